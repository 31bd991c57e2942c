"""Pace, coverage and goals against plain sums."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from salesops import forecast_cases, pacing
from salesops.crm import sample
from salesops.periods import quarter, trailing_quarters

DAY = date(2026, 7, 28)


@pytest.fixture(scope="module")
def tables():
    return sample.tables(size=2000, years=3, clean=True)


def case_of(tables, cutoff, period=None):
    return forecast_cases.case_of(
        tables["opportunities"], tables["stage_history"], stages=tables["stages"],
        period=period or quarter(DAY), cutoff=cutoff,
    )  # fmt: skip


@pytest.fixture(scope="module")
def case(tables):
    return case_of(tables, DAY)


def booked(tables, period, days):
    deals = tables["opportunities"]
    until = min(period.start + timedelta(days=days - 1), period.end)
    is_in = deals["is_won"] & (deals["close_date"] >= str(period.start)) & (deals["close_date"] <= str(until))
    return deals.loc[is_in, "amount"].sum()


def known(case):
    return [each for each in trailing_quarters(case.period, 15)[:-1] if each.label in set(case.late["period"])]


def test_the_pace_is_that_of_plain_sums(tables, case):
    past = known(case)
    early = np.array([booked(tables, each, 28) for each in past])
    share = early / [booked(tables, each, 99) for each in past]
    row = pacing.pace(case, target=4e6).iloc[0]
    assert row["n"] == len(past) and row["won_to_date_amount"] == pytest.approx(booked(tables, quarter(DAY), 28))
    assert row["usual_by_now_amount"] == pytest.approx(early.mean())
    assert row["usual_by_now_rate"] == pytest.approx(share.mean())
    assert row["needed_by_now_amount"] == pytest.approx(4e6 * share.mean())
    assert row["attainment_pace"] == pytest.approx(row["won_to_date_amount"] / 4e6 / share.mean())
    assert pacing.pace(case).iloc[0][["needed_by_now_amount", "attainment_pace"]].isna().all()


def test_the_path_rises_to_the_whole(case):
    path = pacing.usual_path(case)
    assert path["week"].tolist() == list(range(1, 15)) and path["cutoff_date"].iloc[[0, 4, 13]].tolist() == [
        date(2026, 6, 30), DAY, date(2026, 9, 30)]  # fmt: skip
    assert path["usual_won_rate"].is_monotonic_increasing
    assert path["usual_won_rate"].iloc[[0, 13]].tolist() == [0, 1]
    assert path["won_by_then_amount"].notna().sum() == 5
    assert path["won_by_then_amount"].iloc[4] == pytest.approx(case.won_so_far)
    now = pacing.pace(case).iloc[0]
    row = path.iloc[4]
    for end in ("", "_low", "_high"):
        assert row[f"usual_won_rate{end}"] == pytest.approx(now[f"usual_by_now_rate{end}"])
    assert ((path["usual_won_rate_low"] >= 0) & (path["usual_won_rate_high"] <= 1)).all()


def test_the_usual_range_holds_four_of_five():
    random = np.random.default_rng(0)
    draws = random.normal(100, 20, (4000, 6))
    ranges = np.array([pacing._usual(row[:5], 0.8) for row in draws])
    inside = ((draws[:, 5] >= ranges[:, 1]) & (draws[:, 5] <= ranges[:, 2])).mean()
    assert abs(inside - 0.8) < norm.ppf(0.9999) * np.sqrt(0.16 / 4000)


def test_the_range_is_missing_where_quarters_are_few():
    assert (
        np.isnan(pacing._usual(np.array([1.0, 2, 3]), 0.8)[1:]).all()
        and np.isnan(pacing._usual(np.zeros(0), 0.8)).all()
    )
    row = pacing.pace(pacing._example()).iloc[0]
    few = row.copy()
    few[["usual_by_now_amount_low", "usual_by_now_amount_high"]] = np.nan
    assert pacing.pace_sentence(few) == "60 is won in 2026Q3; the 4 past quarters on average had 20 by this day."
    few["n"] = 1
    assert pacing.pace_sentence(few) == "60 is won in 2026Q3; the past quarter had 20 by this day."
    low = row.copy()
    low["won_to_date_amount"] = 1.0
    low[["usual_by_now_amount_low", "usual_by_now_amount_high"]] = [10.0, 30.0]
    assert "less than quarters usually have" in pacing.pace_sentence(low)


def test_coverage_by_loops(case):
    row = pacing.coverage(case, target=4e6).iloc[0]
    due = case.now[case.now["close_date"].between("2026-07-01", "2026-09-30")]
    rows = case.past[case.past["week"] == 5]
    conversion = rows["won_amount"].sum() / rows.loc[rows["is_due"], "amount"].sum()
    late = case.late[case.late["week"] == 5]
    later = late["amount"].sum() / late["n_created"].sum() * case.n_created
    missing = 4e6 - case.won_so_far
    assert row["n"] == len(due) and row["pipeline_coverage_ratio"] == pytest.approx(due["amount"].sum() / missing)
    assert row["open_conversion_rate"] == pytest.approx(conversion)
    assert row["created_later_amount"] == pytest.approx(later)
    assert row["coverage_needed_ratio"] == pytest.approx(max(missing - later, 0) / missing / conversion)
    assert row["coverage_needed_ratio_low"] <= row["coverage_needed_ratio"] <= row["coverage_needed_ratio_high"]
    # at just the coverage needed, what is expected is just the target
    reached = case.won_so_far + row["coverage_needed_ratio"] * missing * conversion + later
    assert reached == pytest.approx(4e6)


def test_coverage_without_a_target_or_with_it_reached(case):
    ratios = ["pipeline_coverage_ratio", "coverage_needed_ratio"]
    for target, text in ((None, "There is no target"), (0.0, "is reached already")):
        row = pacing.coverage(case, target=target).iloc[0]
        assert row[ratios].isna().all() and text in pacing.coverage_sentence(row)
    row = pacing.coverage(case, target=case.won_so_far + 1.0).iloc[0]
    assert row["coverage_needed_ratio"] == 0 and "deals not created yet bring all" in pacing.coverage_sentence(row)
    bare = replace(case, past=case.past[:0], late=case.late[:0])
    row = pacing.coverage(bare, target=4e6).iloc[0]
    assert row["coverage_needed_ratio"] is not None and np.isnan(row["coverage_needed_ratio"])
    assert pacing.coverage_sentence(row).endswith("how much is needed past quarters do not tell.")
    none = pacing.coverage(replace(case, now=case.now[:0]), target=4e6).iloc[0]
    assert pacing.coverage_sentence(none).startswith("No open deal is due in 2026Q3, and ")


def test_the_next_quarter_has_its_coverage_too(tables):
    ahead = case_of(tables, DAY, quarter(date(2026, 10, 1)))
    row = pacing.coverage(ahead, target=4e6).iloc[0]
    assert row["missing_amount"] == 4e6 and 0 < row["pipeline_coverage_ratio"] and row["coverage_needed_ratio"] > 0
    assert pacing.pace_sentence(pacing.pace(ahead).iloc[0]) == "Nothing is won in 2026Q4 yet, as usual by this day."


def test_goals_are_quantiles():
    draws = np.random.default_rng(0).normal(100, 10, 4000)
    table = pacing.target_quantiles(draws, {"target": 110.0, "commit": 90.0, "plan": None})
    assert table["goal_quantile_rate"].tolist()[:2] == pytest.approx(norm.cdf([1, -1]), abs=0.02)
    assert (table["goal_quantile_rate"] + table["goal_probability"])[:2].tolist() == pytest.approx([1, 1])
    assert table.loc[2].isna().tolist() == [False, False, True, True, True]
    assert pacing.target_quantiles([np.nan], {"target": 1.0})["goal_probability"].isna().all()
    assert pacing.target_quantiles([1.0, 2.0], {"t": 2.0})["goal_probability"].tolist() == [0.5]  # reached is reached
    sure = pd.DataFrame({"goal": ["target", "floor"], "goal_amount": [9.0, 1.0], "goal_probability": [0.001, 1.0]})
    assert pacing.goals_sentence(sure) == (
        "The forecast reaches the target of 9 with a chance under one in a hundred and the floor of 1 with one over "
        "ninety-nine in a hundred."
    )
