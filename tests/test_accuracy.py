"""Scores of forecasts of amounts, against closed forms, plain loops and what other libraries print."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from salesops import checks
from salesops.stats import accuracy

amounts = st.lists(st.floats(-1e6, 1e6, allow_nan=False), min_size=1, max_size=30)


def test_errors_by_hand():
    actual, predicted = [100.0, 200.0, np.nan, 50.0], [130.0, 180.0, 5.0, np.nan]
    assert accuracy.wape(actual, predicted) == pytest.approx(50 / 300)
    assert accuracy.bias(actual, predicted) == pytest.approx(10 / 300)
    assert accuracy.mase([10.0, 20.0, 30.0], [12.0, 20.0, 99.0], [14.0, 16.0, np.nan]) == pytest.approx(2 / 8)
    for empty in ([], [0.0], [np.nan]):
        assert np.isnan(accuracy.wape(empty, empty)) and np.isnan(accuracy.bias(empty, empty))
    assert np.isnan(accuracy.mase([1.0], [2.0], [1.0]))


def test_crps_of_the_standard_normal_at_nought():
    """Closed form 0.2336949 (Gneiting & Raftery 2007): sqrt(2/pi) phi… of draws at equal steps of probability."""
    draws = norm.ppf((np.arange(200_000) + 0.5) / 200_000)
    assert accuracy.crps(draws, 0.0) == pytest.approx(0.2336949, abs=2e-5)
    y, mean, sd = 1.7, 0.4, 2.0
    z = (y - mean) / sd
    closed = sd * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi))
    assert accuracy.crps(mean + sd * draws, y) == pytest.approx(closed, abs=1e-4)


@given(amounts, st.floats(-1e6, 1e6))
def test_crps_is_that_of_a_plain_loop(draws, actual):
    spread = sum(abs(a - b) for a in draws for b in draws) / (2 * len(draws) ** 2)
    plain = sum(abs(a - actual) for a in draws) / len(draws) - spread
    assert accuracy.crps(draws, actual) == pytest.approx(plain, rel=1e-9, abs=1e-6)
    assert accuracy.crps(draws[:1], actual) == pytest.approx(abs(draws[0] - actual))


@given(amounts, st.floats(-1e6, 1e6))
def test_crps_is_twice_the_mean_pinball_loss_over_all_quantiles(draws, actual):
    x, n = np.sort(draws), len(draws)
    middle = (np.arange(n) + 0.5) / n
    loss = 2 * np.mean([accuracy.pinball([actual], [q], p)[0] for q, p in zip(x, middle, strict=True)])
    assert accuracy.crps(draws, actual) == pytest.approx(loss, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("score", [accuracy.crps, accuracy.pit])
def test_nothing_said_is_not_scored(score):
    assert np.isnan(score([], 1.0)) and np.isnan(score([1.0, np.nan], 1.0)) and np.isnan(score([1.0, 2.0], np.nan))


def test_pit_and_intervals():
    assert accuracy.pit([1.0, 2.0], 0.0) == 0 and accuracy.pit([1.0, 2.0], 3.0) == 1
    assert accuracy.pit([2.0, 2.0, 2.0, 5.0], 2.0) == 0.375 and np.isnan(accuracy.pit([2.0], 2.0))
    assert np.isnan(accuracy.central_interval([3.0], 0.8)).all()
    assert accuracy.central_interval(np.linspace(0, 1, 1001), 0.95) == pytest.approx((0.025, 0.975))
    hits = accuracy.is_covered([1.0, 2.0, 3.0, np.nan], [1.0, 2.5, np.nan, 0.0], [1.0, 3.0, 4.0, 1.0])
    assert hits[:2].tolist() == [1.0, 0.0] and np.isnan(hits[2:]).all()


def test_right_forecasts_have_even_pit_and_cover_as_they_say():
    random = np.random.default_rng(0)
    truth = random.lognormal(0, 0.5, 4000)
    pits, hits = [], []
    for actual in truth:
        draws = random.lognormal(0, 0.5, 200)
        pits.append(accuracy.pit(draws, actual))
        low, high = accuracy.central_interval(draws, 0.8)
        hits.append(accuracy.is_covered(actual, low, high))
    assert np.abs(np.histogram(pits, 10, (0, 1))[0] / 4000 - 0.1).max() < 4 * np.sqrt(0.09 / 4000)
    assert np.mean(hits) == pytest.approx(0.8, abs=4 * np.sqrt(0.16 / 4000))


def test_diebold_mariano_one_step_is_the_t_test():
    """With one step HLN's statistic is Student's t: (n - 1) / n corrects the variance by n to that by n - 1."""
    from scipy.stats import ttest_1samp

    random = np.random.default_rng(1)
    one, other = random.exponential(1, (2, 12))
    found, expected = accuracy.diebold_mariano(one, other), ttest_1samp(one - other, 0)
    assert found == pytest.approx((expected.statistic, expected.pvalue))


def test_diebold_mariano_two_steps_by_hand():
    """Differences 1 2 3 6: mean 3, gamma0 14/4, gamma1 2/4; variance (3.5 + 1) / 4; correction (4 + 1 - 4 + 2/4) / 4."""
    statistic, _ = accuracy.diebold_mariano([1.0, 2.0, 3.0, 6.0, np.nan], [0.0] * 5, horizon=2)
    gamma = [((-2) ** 2 + 1 + 0 + 9) / 4, ((-2) * (-1) + 0 + 0) / 4]
    assert statistic == pytest.approx(3 / np.sqrt((gamma[0] + 2 * gamma[1]) / 4) * np.sqrt((4 + 1 - 4 + 0.5) / 4))


def test_diebold_mariano_has_a_side_and_limits():
    better = accuracy.diebold_mariano([1.0, 2.0, 1.5, 1.0], [3.0, 2.5, 3.0, 4.0])
    worse = accuracy.diebold_mariano([3.0, 2.5, 3.0, 4.0], [1.0, 2.0, 1.5, 1.0])
    assert better[0] < 0 and worse[0] == -better[0] and better[1] == worse[1]
    for few in (([1.0, 2.0], [3.0, 4.5]), ([1.0] * 5, [2.0] * 5), ([], []), ([np.nan] * 4, [1.0] * 4)):
        assert np.isnan(accuracy.diebold_mariano(*few)).all()
    assert np.isnan(
        accuracy.diebold_mariano([1.0, 3.0, 1.0, 3.0], [0.0] * 4, horizon=2)
    ).all()  # variance below nothing
    with pytest.raises(checks.ParameterError, match=r"horizon: 0 is no number of steps ahead. Give 1 or more."):
        accuracy.diebold_mariano([1.0], [1.0], horizon=0)


def test_diebold_mariano_is_right_as_often_as_it_says():
    random = np.random.default_rng(2)
    found = [accuracy.diebold_mariano(*random.exponential(1, (2, 12)))[1] for _ in range(3000)]
    assert np.mean(np.array(found) < 0.05) == pytest.approx(0.05, abs=0.015)


def test_floor_closed_forms():
    """Many equal deals: sqrt(2/pi) sd / mean; a stream of Poisson counts; what is had only thins it."""
    n, p = 900, 0.3
    normal = np.sqrt(2 / np.pi * p * (1 - p) / n) / p
    assert accuracy.floor(np.full(n, 7.0), np.full(n, p), draws=20_000) == pytest.approx(normal, rel=0.03)
    both = accuracy.floor(np.full(n, 7.0), np.full(n, p), draws=20_000, certain=[7.0 * n * p])
    assert both == pytest.approx(normal / 2, rel=0.03)
    stream = accuracy.floor(np.full(n, 7.0), np.ones(n), draws=20_000)
    assert stream == pytest.approx(np.sqrt(2 / np.pi / n), rel=0.03)
    one = accuracy.floor([900.0], [900.0], draws=20_000)
    assert one == pytest.approx(np.sqrt(2 / np.pi / 900), rel=0.03)


def test_floor_adds_groups_like_wape_and_knows_certainty():
    sizes, chances = np.tile(np.arange(1.0, 101), 2), np.r_[np.full(100, 0.2), np.full(100, 0.6)]
    group = np.repeat(["a", "b"], 100)
    apart = [accuracy.floor(sizes[group == g], chances[group == g], draws=8000) for g in "ab"]
    expected = (apart[0] * 0.2 + apart[1] * 0.6) / 0.8
    assert accuracy.floor(sizes, chances, group=group, draws=8000) == pytest.approx(expected, rel=0.03)
    assert accuracy.floor([5.0, np.nan], [1 - 1e-12, 0.5]) == 0
    assert np.isnan(accuracy.floor([], []))
    assert accuracy.floor(sizes, chances, seed=3) == accuracy.floor(sizes, chances, seed=3)
