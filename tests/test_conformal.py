"""Intervals that earn their promise from past errors."""

import numpy as np
import pytest

from salesops.stats import conformal, seasonal


def walks(rng: np.random.Generator, count: int, steps: int, spread=None) -> np.ndarray:
    spread = np.exp(rng.normal(0, 1, count)) if spread is None else spread
    return 100 + np.cumsum(rng.normal(size=(count, steps)) * spread[:, None], axis=1)


def learned_from(y: np.ndarray, horizon: int):
    """The last value carried on, from the horizon before the end."""
    past, later = y[:, :-horizon], y[:, -horizon:]
    unit, known = conformal.features(past, np.zeros(later.shape), 1)
    return conformal.learn(later - past[:, -1:], unit, known)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_random_walks_are_covered_at_every_step(level):
    rng = np.random.default_rng(4)
    y = walks(rng, 1500, 60)
    learned = learned_from(y[:, :48], 6)
    past, later = y[:, 42:54], y[:, 54:]
    past = y[:, :54]
    unit, known = conformal.features(past, np.zeros(later.shape), 1)
    low, high = conformal.limits(learned, np.repeat(past[:, -1:], 6, axis=1), unit, known, level)
    covered = ((low <= later) & (later <= high)).mean(axis=0)
    assert np.abs(covered - level).max() < 0.035


def test_the_scale_follows_the_series_and_the_square_root_of_the_step():
    rng = np.random.default_rng(7)
    y = walks(rng, 2000, 80)
    learned = learned_from(y, 8)
    assert learned.coefficients[1] + learned.coefficients[4] / 2 == pytest.approx(0.5, abs=0.06)
    unit, known = conformal.features(y, np.zeros((2000, 8)), 1)
    low, high = conformal.limits(learned, np.zeros((2000, 8)), unit, known, 0.8)
    assert np.corrcoef(np.log(high - low)[:, 0], np.log(unit))[0, 1] > 0.95


def test_errors_to_one_side_move_the_interval_there():
    rng = np.random.default_rng(1)
    y = walks(rng, 400, 40, spread=np.ones(400))
    unit, known = conformal.features(y, np.zeros((400, 2)), 1)
    learned = conformal.learn(rng.exponential(size=(400, 2)), unit, known)
    low, high = conformal.limits(learned, np.zeros((400, 2)), unit, known, 0.8)
    assert (high > 5 * -low).all() and (low <= 0).all()


def test_with_nothing_scored_the_prior_speaks():
    y = walks(np.random.default_rng(3), 5, 40, spread=np.ones(5))
    unit, known = conformal.features(y, np.zeros((5, 3)), 1)
    learned = conformal.learn(np.full((5, 3), np.nan), unit, known)
    assert learned.count == 0
    inner = conformal.limits(learned, y[:, -3:], unit, known, 0.8)
    outer = conformal.limits(learned, y[:, -3:], unit, known, 0.95)
    assert (inner[0] < y[:, -3:]).all() and (outer[0] < inner[0]).all() and (outer[1] > inner[1]).all()


def test_the_tails_widen_while_few_are_scored():
    assert conformal.tails(0.8, 9) == (0.06, 0.94)
    assert conformal.tails(0.95, 9) == (0.0, 1.0)
    assert conformal.tails(0.8, 1e9)[0] == pytest.approx(0.1)


def test_quantiles_of_weighted_errors():
    learned = conformal.Learned(np.zeros(5), np.array([-1.0, 0.0, 1.0]), np.array([1.0, 2.0, 1.0]), 3)
    assert [conformal._quantile(learned, share) for share in (0.0, 0.125, 0.5, 0.875, 1.0)] == [
        -1.0,
        -1.0,
        0.0,
        1.0,
        1.0,
    ]
    assert conformal._quantile(learned, 0.3125) == pytest.approx(-0.5)


def test_usual_moves():
    y = seasonal.stack([[1.0, 5.0, 2.0, 6.0, 3.0, 7.0], [4.0]])
    wide, rough = conformal.usual_move(y, 2)
    assert wide.tolist() == [1.0, 0.004]  # one a season; a single value counts with a thousandth of itself
    assert rough.tolist() == [0.004, 0.004]


def test_what_a_model_expects_widens_the_interval_of_the_series_it_is_expected_of():
    """Noise round a level against a walk of the same steps: errors of one stay, those of the other grow."""
    rng = np.random.default_rng(9)
    noise, walk = 50 + rng.normal(size=(300, 40)), 50 + np.cumsum(rng.normal(0, 2**0.5, (300, 40)), axis=1)
    y, steps = np.vstack([noise, walk]), np.arange(1.0, 7)
    expected = np.vstack([np.ones((300, 6)), np.sqrt(2 * steps) * np.ones((300, 1))])
    errors = rng.normal(size=(600, 6)) * expected
    widths = {}
    for name, spread in (("none", None), ("model", expected)):
        unit, known = conformal.features(y, np.ones((600, 6)), 1, spread=spread)
        learned = conformal.learn(errors, unit, known)
        low, high = conformal.limits(learned, np.zeros((600, 6)), unit, known, 0.8)
        widths[name] = (high - low)[:, -1]
        covered = (np.abs(errors) <= high)[:, -1]
        assert (covered[:300].mean() - covered[300:].mean() > 0.1) == (name == "none")
    assert widths["model"][300:].mean() > 2.5 * widths["model"][:300].mean()


def test_scale_does_not_matter():
    y = walks(np.random.default_rng(6), 30, 50)
    one, thousand = (conformal.features(y * times, np.abs(y[:, -4:]) * times, 4) for times in (1, 1000))
    np.testing.assert_allclose(thousand[0], 1000 * one[0])
    np.testing.assert_allclose(thousand[1], one[1], atol=1e-9)
