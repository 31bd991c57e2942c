"""Control charts against published numbers, hand-worked cases, simulation and their own invariants."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesops.stats import control

# NIST/SEMATECH e-Handbook of Statistical Methods, 6.3.2.2, flow rate: limits 45.82 and 55.80.
FLOW = [49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4, 53.6, 52.1]
COUNTS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)).map(sorted), min_size=1, max_size=30)
STEADY = [25, 22, 27, 24, 26, 23, 25, 24]


def test_flow_rates_are_nist_s():
    chart = control.xmr_chart(FLOW)
    assert chart["centre"][0] == pytest.approx(50.81, abs=1e-9)
    assert np.abs(np.diff(FLOW)).mean() == pytest.approx(1.8778, abs=5e-5)
    assert (chart["limit_low"][0], chart["limit_high"][0]) == pytest.approx((45.82, 55.80), abs=0.005)
    assert not chart["is_signal"].any()


def test_one_value_outside_and_eight_on_one_side():
    chart = control.xmr_chart([5.0, 6, 5, 6, 5, 6, 20, 5, 6], n_before=6)
    assert chart["rule"].fillna("").tolist() == [""] * 6 + ["outside"] + [""] * 2
    run = control.xmr_chart([5.0, 7, 5, 7] + [6.5] * 8, n_before=4)
    assert run["rule"].fillna("").tolist() == [""] * 3 + ["run"] * 9  # the 7 before the eight lies on their side
    assert not control.xmr_chart([5.0, 7, 5] + [6.5] * 7, n_before=3)["is_signal"].any()


def test_a_missing_value_breaks_a_run():
    values = [5.0, 7, 5] + [6.5] * 4 + [np.nan] + [6.5] * 4
    assert not control.xmr_chart(values, n_before=3)["is_signal"].any()
    assert np.isnan(control.xmr_chart([1.0])["limit_low"][0])


def test_limits_by_hand():
    # 196 of 800: p = .245; z's mean moving range is below that of counting alone, so sigma is 1 and q is 3.0902.
    chart = control.p_chart([*STEADY, 60], [100] * 9, n_before=8)
    width = 3.0902323 * np.sqrt(0.245 * 0.755 * (1 / 100 + 1 / 800))
    assert chart["dispersion"].unique().tolist() == [1.0]
    assert chart["limit_high"][8] - chart["centre"][8] == pytest.approx(width, abs=1e-7)
    assert chart["rule"][8] == "outside" and not chart["is_signal"][:8].any()


def test_spread_beyond_counting_widens_the_limits():
    # Shares of .21 and .29 in turn: each moving range is .08, so sigma is .08 / 1.1284 in standard errors; t with 7 degrees.
    chart = control.p_chart([21, 29] * 4 + [50], [100] * 9, n_before=8)
    assert chart["dispersion"][0] == pytest.approx(0.08 / np.sqrt(0.25 * 0.75 / 100) / 1.1283792, rel=1e-6)
    width = 4.785290 * (0.08 / 1.1283792) * np.sqrt(1 + 1 / 8)  # t.ppf(.999, 7) = 4.78529
    assert chart["limit_high"][0] - 0.25 == pytest.approx(width, rel=1e-5)
    assert not chart["is_signal"].any()  # 50 of 100 would be far outside the limits of counting alone


def test_a_lasting_shift_is_a_run_from_its_first_point():
    chart = control.p_chart(STEADY + [33] * 8, [100] * 16)
    assert chart["rule"].fillna("").tolist() == [""] * 8 + ["run"] * 8
    assert not control.p_chart(STEADY + [33] * 7, [100] * 15, n_before=8)["is_signal"].any()


def test_a_shift_within_the_earlier_points_is_dated_too():
    chart = control.p_chart([20, 22, 21, 20, 19, 20] + [34, 36, 35, 34, 33, 36, 35, 34, 35], [100] * 15, n_before=10)
    assert chart.index[chart["rule"] == "run"].tolist() == list(range(6, 15))


def test_a_run_with_nothing_before_it_differs_from_nothing():
    chart = control.p_chart([0] * 8 + [14] * 8, [100] * 16, n_before=16)
    assert chart["rule"].fillna("").tolist() == [""] * 8 + ["run"] * 8


def test_eight_on_one_side_that_do_not_differ_are_no_run():
    chart = control.p_chart([24, 26] * 4 + [26] * 8, [100] * 16)
    assert (chart["share"][8:] > chart["centre"][8:]).all() and not chart["is_signal"].any()


@pytest.mark.parametrize(
    ("successes", "n"),
    [([], []), ([5] * 7, [50] * 7), ([0] * 12, [50] * 12), ([50] * 12, [50] * 12), ([3] * 12, [19] * 12)],
)
def test_nothing_to_go_by_is_not_judged(successes, n):
    chart = control.p_chart(successes, n)
    assert chart["limit_low"].isna().all() and not chart["is_signal"].any() and len(chart) == len(n)


def test_a_thin_point_is_shown_and_not_judged():
    chart = control.p_chart([*STEADY, 19, 0], [100] * 8 + [19, 0], n_before=8)
    assert chart["limit_low"].isna().tolist() == [False] * 8 + [True] * 2
    assert chart["share"][8] == 1.0 and np.isnan(chart["share"][9]) and not chart["is_signal"].any()


@given(COUNTS)
def test_limits_hold_the_centre_and_signals_have_a_rule(counts):
    chart = control.p_chart(*zip(*counts, strict=True))
    judged = chart.dropna(subset="limit_low")
    assert (judged["limit_low"] <= judged["centre"]).all() and (judged["centre"] <= judged["limit_high"]).all()
    assert judged["limit_low"].ge(0).all() and judged["limit_high"].le(1).all()
    assert chart["is_signal"].tolist() == chart["rule"].notna().tolist()
    outside = (judged["share"] < judged["limit_low"]) | (judged["share"] > judged["limit_high"])
    assert judged["is_signal"][outside].all()


# Reduced from benchmarks/young_cohorts.py, which prints the full table.
@pytest.mark.parametrize("spread", [0.0, 0.05])
def test_in_control_few_charts_signal(spread):
    rng, draws = np.random.default_rng(5), 400
    signals, points = 0, 0
    for _ in range(draws):
        chance = np.full(24, 0.25) if not spread else rng.beta(18.5, 55.5, 24)  # sd .05
        n = rng.poisson(120, 24)
        chart = control.p_chart(rng.binomial(n, chance), n)
        signals, points = signals + chart["is_signal"].any(), points + (chart["rule"] == "outside").sum()
    assert points / (24 * draws) <= 0.006 and signals / draws <= 0.09
