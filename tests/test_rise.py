"""The rise to a plateau against a plain likelihood, exact curves, and subjects that leave for their level."""

import numpy as np
import pytest
from scipy.special import gammaln

from salesops.stats import rise


def company(seed: int, n: int = 60, ages: int = 40, reach: float = 8.0, rate: float = 3.0, weak_leave: bool = True):
    """Straight rises to each one's level; four fifths after 0.8 x reach. The weak half leaves four times as fast."""
    random = np.random.default_rng(seed)
    level = np.exp(random.normal(0, 0.4, n))
    hazard = np.where(level < np.median(level), 0.05, 0.0125) if weak_leave else np.full(n, 1e-9)
    end = np.minimum(random.uniform(4, ages, n), random.exponential(1 / hazard))
    exposure = np.clip(end[:, None] - np.arange(ages), 0, 1)
    share = np.minimum((np.arange(ages) + 0.5) / reach, 1)
    return random.poisson(rate * level[:, None] * share * exposure).astype(float), exposure


def test_every_shape_is_at_the_share_at_its_time_and_rises_to_one():
    at = np.linspace(0, 60, 2000)
    for share in (0.6, 0.8):
        curves = rise.shapes(at, share)
        assert curves.shape == (2000, 20)
        assert rise.shapes(np.array([1.0]), share)[0] == pytest.approx(np.full(20, share))
        assert (np.diff(curves, axis=0) >= -1e-12).all() and (curves >= 0).all()
        assert curves[-1] == pytest.approx(np.ones(20), abs=1e-3)


@pytest.mark.parametrize("reach", [4, 10, 16])
def test_exact_amounts_give_the_exact_time_and_plateau(reach):
    share = np.minimum((np.arange(36) + 0.5) / reach, 1)
    found = rise.rise(np.arange(1, 31)[:, None] * share, np.ones((30, 36)))
    assert found.time[0] == pytest.approx(0.8 * reach, rel=0.04)  # the grid's step
    assert found.plateau[0] == pytest.approx(15.5, rel=0.02)
    assert found.share[:, 0] == pytest.approx(share, abs=0.04)


def test_levels_and_units_do_not_matter_to_the_time():
    amount, exposure = company(0)
    once, scaled = rise.rise(amount, exposure), rise.rise(1000 * amount, exposure)
    assert scaled.time == pytest.approx(once.time)
    assert np.array(scaled.plateau) == pytest.approx(1000 * np.array(once.plateau))
    order = np.random.default_rng(1).permutation(len(amount))
    assert rise.rise(amount[order], exposure[order]).time == pytest.approx(once.time)


def test_limits_surround_and_a_wider_level_is_wider():
    amount, exposure = company(2)
    narrow, wide = (rise.rise(amount, exposure, confidence=level) for level in (0.8, 0.95))
    assert wide.time[1] < narrow.time[1] < narrow.time[0] < narrow.time[2] < wide.time[2]
    assert wide.plateau[1] < narrow.plateau[1] < narrow.plateau[0] < narrow.plateau[2] < wide.plateau[2]
    assert (wide.share[:, 1] <= wide.share[:, 0] + 1e-9).all() and (wide.share[:, 0] <= wide.share[:, 2] + 1e-9).all()


def test_the_weak_may_leave():
    """Truth 6.4; the mean of those present ends higher because the weak are gone, and takes longer to come up."""
    found = [rise.rise(*company(seed)).time for seed in range(40)]
    values = np.array(found)
    assert values[:, 0].mean() == pytest.approx(6.4, abs=0.46)  # two weeks of a month
    assert ((values[:, 1] <= 6.4) & (values[:, 2] >= 6.4)).mean() >= 0.85
    late = []
    for seed in range(40):
        amount, exposure = company(seed)
        curve = amount.sum(axis=0) / np.maximum(exposure.sum(axis=0), 1e-9)
        late.append(curve[20:30].mean() / 3.0)
    assert np.mean(late) > 1.15  # the plateau of whoever is left, against 1.08 of everybody


def test_the_likelihoods_are_those_written_out():
    """Free levels: multinomial within the subject; drawn levels: gamma mixture of Poisson counts."""
    amount, exposure = company(3, n=5, ages=6)
    shares = np.maximum(rise._shares(6, 0.8)[1][:, [40, 700]], 1e-4)
    reached = exposure @ shares
    for column in range(2):
        mean, spread = amount.sum() / reached[:, column].sum(), 2.0
        for _ in range(400):
            weight = (amount.sum(axis=1) + spread) / (spread + mean * reached[:, column])
            mean = amount.sum() / (weight * reached[:, column]).sum()
        plain = 0.0
        for made, per in zip(amount.sum(axis=1), reached[:, column], strict=True):
            plain += gammaln(made + spread) - gammaln(spread) + spread * np.log(spread)
            plain += made * np.log(mean) - (made + spread) * np.log(spread + mean * per)
        found = rise._drawn(amount.sum(axis=1), reached[:, [column]], spread)[0]
        assert found == pytest.approx(plain, abs=1e-3)


def test_no_plateau_in_sight_is_open_ended():
    amount = np.tile(np.arange(12.0) + 0.5, (30, 1))  # still rising in a straight line
    found = rise.rise(amount, np.ones((30, 12)))
    assert np.isnan(found.time[2])
    flat = rise.rise(np.ones((30, 12)), np.ones((30, 12)))
    assert flat.time[0] < 1 and flat.plateau[0] == pytest.approx(1, rel=0.03)


def test_nothing_is_known_of_nothing():
    for amount in (np.zeros((0, 0)), np.zeros((3, 4)), np.eye(1, 4)):
        found = rise.rise(amount, np.ones_like(amount))
        assert np.isnan(found.time).all() and np.isnan(found.plateau).all()
        assert found.share.shape == (amount.shape[1], 3)
