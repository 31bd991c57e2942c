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


def dismissals(seed: int, by_results: bool, n: int = 60, ages: int = 36):
    """Rises as 1 - exp(-age / 3), truth 4.83. From age 9 on who is below half of the usual of late leaves at once.

    Or else as many leave because their level is low, whatever they showed.
    """
    random = np.random.default_rng(seed)
    level, share = np.exp(random.normal(0, 0.4, n)), 1 - np.exp(-(np.arange(ages) + 0.5) / 3)
    amount, end = random.poisson(2 * level[:, None] * share).astype(float), random.integers(12, ages + 1, n)
    left = np.zeros(n, dtype=bool)
    for subject in range(n):
        for age in range(9, end[subject], 3):
            weak = amount[subject, age - 6 : age].sum() < 6 if by_results else random.random() < 0.05 / level[subject]
            if weak:
                end[subject], left[subject] = age, True
                break
    exposure = (np.arange(ages) < end[:, None]) * 1.0
    return amount * exposure, exposure, left


def test_leaving_after_weak_results_is_known_from_leaving_for_the_level():
    found = {by_results: [] for by_results in (True, False)}
    for by_results, chances in found.items():
        for seed in range(12):
            amount, exposure, left = dismissals(seed, by_results)
            usual = exposure * (1 - np.exp(-(np.arange(36) + 0.5) / 3)) * 2
            chances.append(rise._by_level(amount, usual, exposure > 0, left, 8.0))
    assert np.mean(found[True]) < 0.05 and 0.35 < np.mean(found[False]) < 0.65
    assert rise._by_level(amount, usual, exposure > 0, np.zeros(60, dtype=bool), 8.0) == 0.5


def test_the_level_is_that_of_all_ages_but_the_last_six():
    amount, exposure, left = dismissals(3, by_results=True)
    usual = 2 * exposure * (1 - np.exp(-(np.arange(36) + 0.5) / 3))
    else_, late = (np.ones(amount.shape) for _ in range(2))
    for subject in range(60):
        for age in range(36):
            last = slice(max(age - 6, 0), age)
            seen, asked = (each[subject, last].sum() for each in (amount, usual))
            late[subject, age] = (seen + 4) / (asked + 4)
            else_[subject, age] = (amount[subject].sum() - seen + 4) / (usual[subject].sum() - asked + 4)
    leaves = np.zeros(amount.shape, dtype=bool)
    leaves[left, exposure.sum(axis=1).astype(int)[left] - 1] = True
    ratio = rise._told(np.log(else_), exposure > 0, leaves) - rise._told(np.log(late), exposure > 0, leaves)
    found = rise._by_level(amount, usual, exposure > 0, left, 4.0)
    assert np.log(found / (1 - found)) == pytest.approx(ratio)


def test_known_leavers_take_the_bias_away_that_weak_results_bring():
    times = []
    for seed in range(24):
        amount, exposure, left = dismissals(seed, by_results=True)
        times.append([rise.rise(amount, exposure, left=each).time[0] for each in (None, left)])
    unknown, known = np.mean(times, axis=0) - 3 * np.log(5)
    assert unknown < known - 0.1 and abs(known) < 0.46  # two weeks of a month


def test_what_was_shown_of_late_and_how_well_it_tells():
    values = np.random.default_rng(1).random((3, 15))
    plain = [[row[max(age - 6, 0) : age].sum() for age in range(15)] for row in values]
    assert rise._of_late(values) == pytest.approx(np.array(plain))
    watched, leaves = np.array([[1, 1, 0], [1, 1, 1], [1, 1, 1]]) > 0, np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]]) > 0
    assert rise._told(np.zeros((3, 3)), watched, leaves) == pytest.approx(np.log(1 / 3) + np.log(1 / 2))
    level = np.array([[-1.0], [0.0], [0.5]]) + np.zeros(3)
    at = np.linspace(-8, 8, 65)
    plain = [-b - np.log(np.exp(-b) + 1 + np.exp(b / 2)) - np.log(1 + np.exp(b / 2)) - b * b / 8 for b in at]
    assert rise._told(level, watched, leaves) == pytest.approx(max(plain)) and at[np.argmax(plain)] < 0


def test_half_the_prior_is_that_of_the_s_shapes(monkeypatch):
    early = rise.shapes(np.array([0.01]))[0]
    assert rise._PRIOR.sum() == pytest.approx(1) and len(rise._PRIOR) == len(early)
    assert rise._PRIOR[-4:].sum() == pytest.approx(0.5)
    at = np.array([[0.3, 0.5, 0.7, 0.8]])
    assert np.diag(rise.shapes(at[0])[:, -4:]) == pytest.approx(np.full(4, 0.5))  # half way at their middle: logistic
    monkeypatch.setattr(rise, "_PRIOR", np.arange(20) == 12.0)
    amount, exposure = company(0)
    shares = rise._shares(40, 0.8)[1]
    weights = rise._weights(amount, exposure, shares, exposure @ shares, np.zeros(60, dtype=bool)).reshape(-1, 20)
    assert weights.sum() == pytest.approx(1) and weights[:, 12].sum() == pytest.approx(1)


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
