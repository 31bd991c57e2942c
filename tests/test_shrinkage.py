"""Rates drawn to their mean: against brute-force integration, limiting cases and the intervals' promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betainc, betaln
from scipy.stats import beta

from salesops.stats import shrinkage


def integrated(x: list[int], n: list[int], of) -> float:
    """Posterior mean of a function of the two parameters: Gauss-Legendre over the whole unit square."""
    nodes, weights = np.polynomial.legendre.leggauss(200)
    mean, scale = np.meshgrid((nodes + 1) / 2, (nodes + 1) / 2)
    a, b = mean * (1 / scale**2 - 1), (1 - mean) * (1 / scale**2 - 1)
    logs = sum(betaln(a + k, b + m - k) - betaln(a, b) for k, m in zip(x, n, strict=True))
    density = np.exp(logs - logs.max()) * np.outer(weights, weights)
    return float((density * of(a, b)).sum() / density.sum())


def test_the_grid_equals_integration_over_the_whole_square():
    x, n = [3, 8, 9], [20, 25, 60]
    found = shrinkage.pooled_rates(x, n)
    for group in range(3):
        exact = integrated(x, n, lambda a, b, k=group: (a + x[k]) / (a + b + n[k]))
        assert found["rate"][group] == pytest.approx(exact, abs=2e-5)
    below = integrated(x, n, lambda a, b: betainc(a + x[1], b + n[1] - x[1], found["rate_low"][1]))
    above = integrated(x, n, lambda a, b: 1 - betainc(a + x[1], b + n[1] - x[1], a / (a + b)))
    assert below == pytest.approx(0.025, abs=5e-4) and found["above_mean"][1] == pytest.approx(above, abs=1e-3)


def test_limits_hold_the_level_asked_for():
    wide, narrow = (shrinkage.pooled_rates([3, 8], [20, 25], level) for level in (0.95, 0.8))
    assert (wide["rate_low"] < narrow["rate_low"]).all() and (narrow["rate_high"] < wide["rate_high"]).all()


def test_large_groups_keep_their_own_rate():
    found = shrinkage.pooled_rates([2000, 5000, 8000], [10_000] * 3)
    assert found["rate"].to_numpy() == pytest.approx([0.2, 0.5, 0.8], abs=1e-3)
    own = beta.ppf([0.025, 0.975], 2000, 8000)
    assert found.loc[0, ["rate_low", "rate_high"]].tolist() == pytest.approx(own, abs=1e-3)


def test_groups_that_chance_alone_parts_are_drawn_together():
    """Forty groups of 50 as unlike as chance makes them: the spread seen is 6 points, the true one none."""
    x = np.random.default_rng(1).binomial(50, 0.25, 40)
    found = shrinkage.pooled_rates(x, np.full(40, 50))
    assert found["rate"].std() < 0.35 * (x / 50).std()


def test_a_group_without_trials_gets_the_others_and_their_spread():
    found = shrinkage.pooled_rates([0, 30, 45, 38], [0, 100, 100, 100])
    assert 0.3 < found["rate"][0] < 0.45
    assert found["rate_high"][0] - found["rate_low"][0] > 1.5 * (found["rate_high"] - found["rate_low"])[1:].max()


def test_nothing_at_all_is_unknown():
    assert shrinkage.pooled_rates([], []).empty and shrinkage.pooled_rates([0, 0], [0, 0]).isna().all(axis=None)


def test_intervals_cover_and_the_mean_of_all_is_better_than_the_raw_rates():
    """Thirty draws of 12 groups; the benchmark has 1,600."""
    rng, held, raw, pooled = np.random.default_rng(2), [], 0.0, 0.0
    for _ in range(30):
        rate, n = rng.beta(7, 21, 12), rng.integers(10, 80, 12)
        x = rng.binomial(n, rate)
        found = shrinkage.pooled_rates(x, n)
        held.append(((found["rate_low"] <= rate) & (rate <= found["rate_high"])).mean())
        raw, pooled = raw + ((x / n - rate) ** 2).sum(), pooled + ((found["rate"] - rate) ** 2).sum()
    assert np.mean(held) == pytest.approx(0.95, abs=0.035) and raw / pooled > 1.3


GROUPS = st.lists(
    st.integers(0, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1, max_size=6
)


@settings(deadline=None, max_examples=15)
@given(GROUPS)
def test_rates_lie_within_their_limits_and_in_order(groups):
    x, n = np.array(groups).T
    found = shrinkage.pooled_rates(x, n)
    if not n.sum():
        return
    assert ((found["rate_low"] <= found["rate"]) & (found["rate"] <= found["rate_high"])).all()
    assert found["above_mean"].between(0, 1).all() and found["rate_low"].ge(0).all() and found["rate_high"].le(1).all()
    same = shrinkage.pooled_rates(x[::-1], n[::-1])
    np.testing.assert_allclose(same["rate"][::-1], found["rate"], atol=1e-9)
    # Failures for successes: the mirror image.
    other = shrinkage.pooled_rates(n - x, n)
    np.testing.assert_allclose(1 - other["rate"], found["rate"], atol=1e-6)
    np.testing.assert_allclose(1 - other["rate_high"], found["rate_low"], atol=1e-5)
