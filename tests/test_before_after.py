"""Did it work: sides of a change, each design by hand, placebos, and every form of the sentence."""

import runpy
from datetime import date

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, deals
from scipy.stats import t

from salesops import before_after, checks
from salesops.crm import sample
from salesops.stats import interrupted

CHANGE = date(2026, 1, 1)


@pytest.fixture(scope="module")
def bench():
    return runpy.run_path(str(ROOT / "benchmarks" / "before_after.py"))


def company(before=0.2, after=0.3, other=0.2, other_after=0.2, each=100, months=12, group_share=0.5, drift=0.0):
    """Deals of a group and a comparison with exact shares won each month; 0 days to win."""
    rows = []
    for month in range(-months, months):
        for is_in_group, share in (
            (True, (before, after)[month >= 0] + drift * month),
            (False, (other, other_after)[month >= 0]),
        ):
            n = round(each * (group_share if is_in_group else 1 - group_share))
            rows.append(
                pd.DataFrame(
                    {
                        "day": int(np.ceil(month * 30.4375)) + 3,
                        "is_in_group": is_in_group,
                        "is_won": np.arange(n) < round(share * n),
                        "side": "after" if month >= 0 else "before",
                    }
                )
            )
    frame = pd.concat(rows, ignore_index=True).assign(days=1)
    frame["started_at"] = pd.Timestamp(CHANGE) + pd.to_timedelta(frame["day"], unit="D")
    return frame.assign(cluster=frame.index.astype(str))


def opened(*starts, **more):
    return deals([{"created_date": start, "close_date": "2026-02-10", **more} for start in starts])


def test_sides_of_a_change():
    frame = opened("2025-10-01", "2025-12-01", "2025-12-02", "2025-12-31", "2026-01-01", "2026-01-30", "2026-01-31")
    table = before_after.cases(frame, change_date=CHANGE, as_of=date(2026, 3, 1), days=30)
    assert table["side"].tolist() == ["before", "before", "across", "across", "after", "after", "too young"]
    assert table["day"].tolist() == [-92, -31, -30, -1, 0, 29, 30]


def test_a_quick_end_does_not_bring_a_deal_onto_a_side():
    """Closed before the change, but its time runs across it: keeping it would keep the quick ones alone."""
    frame = deals(
        [
            {"created_date": "2025-12-20", "close_date": "2025-12-22"},
            {"created_date": "2026-02-25", "close_date": "2026-02-26"},
        ]
    )
    table = before_after.cases(frame, change_date=CHANGE, as_of=date(2026, 3, 1), days=30)
    assert table["side"].tolist() == ["across", "too young"] and not table["is_won"].iloc[1]


def test_won_in_time_only():
    frame = deals(
        [
            {"created_date": "2025-06-01", "close_date": "2025-07-01"},
            {"created_date": "2025-06-01", "close_date": "2025-07-02"},
            {"created_date": "2025-06-01", "close_date": "2025-06-10", "outcome": "lost"},
            {"created_date": "2025-06-01", "outcome": "open"},
        ]
    )
    table = before_after.cases(frame, change_date=CHANGE, as_of=date(2026, 3, 1), days=30)
    assert table["is_won"].tolist() == [True, False, False, False] and set(table["side"]) == {"before"}


def test_a_group_may_be_a_column_a_series_or_unknown():
    frame = opened("2025-06-01", "2025-06-02", "2025-06-03").assign(
        is_pilot=pd.array([True, False, None], dtype="boolean")
    )
    for group in ("is_pilot", frame["is_pilot"], frame["is_pilot"].astype(object)):
        table = before_after.cases(frame, change_date=CHANGE, as_of=date(2026, 3, 1), days=30, group=group)
        assert table["side"].tolist() == ["before", "before", "no group"]
        assert table["is_in_group"].tolist() == [True, False, False]


def test_the_input_is_left_as_it_was():
    frame = opened("2025-06-01", "2025-06-02").set_index(pd.Index([7, 7]))
    copy = frame.copy()
    assert len(before_after.cases(frame, change_date=CHANGE, as_of=date(2026, 3, 1), group=frame["is_won"])) == 2
    pd.testing.assert_frame_equal(frame, copy)


def test_errors_say_what_to_do(one_won):
    ask = {"change_date": CHANGE, "as_of": date(2026, 9, 30)}
    with pytest.raises(checks.ParameterError, match=r"days is -1\. Give the days a deal has to be won, 0 or more"):
        before_after.cases(one_won, **ask, days=-1)
    with pytest.raises(
        checks.ParameterError, match=r"1 deals are neither in nor out \(SMB\)\. Give a column of true and false"
    ):
        before_after.cases(one_won, **ask, group="segment")
    with pytest.raises(checks.ParameterError, match="its rows are not those of the opportunities"):
        before_after.cases(one_won, **ask, group=pd.Series([True, False]))
    with pytest.raises(checks.DataError, match=r"missing column \['pilot'\]"):
        before_after.cases(one_won, **ask, group="pilot")
    with pytest.raises(checks.ParameterError, match=r"cohort is 'year'\. Use month or week"):
        before_after.effect(before_after.cases(one_won, **ask), cohort="year")


def test_the_double_difference_is_of_four_shares():
    table = before_after.effect(company(before=0.2, after=0.34, other=0.1, other_after=0.14)).set_index("design")
    row = table.loc["difference in differences"]
    assert row["is_main"] and row["change_effect"] == pytest.approx(0.1) and row["is_named"]
    assert row[["n", "n_before", "n_after", "n_comparison"]].tolist() == [1200, 600, 600, 1200]
    assert table.loc["before and after", "change_effect"] == pytest.approx(0.14)
    assert not table.loc["before and after", "is_named"] and np.isnan(table.loc["before and after", "p_value"])
    assert abs(row["gap_trend"]) < 1e-12


def test_a_trend_is_no_step():
    """0.5 points a month, no step: the plain difference takes it for one, the series does not."""
    table = before_after.effect(company(after=0.2, drift=0.005, each=400, group_share=1.0).query("is_in_group"))
    table = table.set_index("design")
    assert abs(table.loc["interrupted series", "change_effect"]) < 0.005
    assert table.loc["before and after", "change_effect"] == pytest.approx(0.06)
    assert table.loc["interrupted series", "is_main"] and not table["is_named"].any()
    assert table.loc["difference in differences", "reason"] == "there is no comparison group"


def test_a_step_is_found_with_its_courses():
    frame = company(each=400, group_share=1.0).query("is_in_group")
    row = before_after.effect(frame).iloc[0]
    assert row["change_effect"] == pytest.approx(0.1, abs=0.003) and row["is_named"]
    assert row["n_periods"] == 24 and abs(row["slope_effect"]) < 1e-3
    time, n, won = np.arange(-12, 12), np.full(24, 400), np.where(np.arange(-12, 12) < 0, 80, 120)
    phase = pd.date_range("2025-01-16", periods=24, freq=pd.Timedelta(days=30.4375)).day_of_year.to_numpy() / 365.25
    step = interrupted.segmented(time, won, n, phase=phase, bends=False)
    half = (row["change_effect_high"] - row["change_effect_low"]) / 2
    assert half == pytest.approx(t.ppf(0.975, 19) * step.level_error, rel=0.01)
    table = before_after.series(frame)
    after = table[table["is_after"]]
    assert after["fitted_rate"].to_numpy() == pytest.approx(0.3, abs=0.003)
    assert after["expected_rate"].to_numpy() == pytest.approx(0.2, abs=0.004)
    assert table["n"].sum() == len(frame) and (table["won_in_time_rate_low"] <= table["won_in_time_rate"]).all()


def test_the_comparison_has_no_expected_course():
    table = before_after.series(company())
    assert table.loc[~table["is_in_group"], "expected_rate"].isna().all()
    assert table["is_in_group"].tolist() == sorted(table["is_in_group"], reverse=True)


def test_left_out_deals_are_counted():
    frame = opened(*pd.date_range("2025-06-01", "2026-02-28", freq="D"), close_date="2026-03-01")
    row = before_after.effect(before_after.cases(frame, change_date=CHANGE, as_of=date(2026, 3, 1), days=30)).iloc[0]
    assert row[["n_across", "n_young"]].tolist() == [30, 29]
    assert row["n_no_group"] == 0
    assert row["n"] + row["n_across"] + row["n_young"] == len(frame)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (company().query("is_in_group and day < 150"), "only 5 months after it, fewer than 6"),
        (company().query("is_in_group and day > -150"), "only 5 months before it, fewer than 6"),
        (company(each=4).query("is_in_group and day > -300"), "only 18 deals before it, fewer than 20"),
        (company(before=0.0, after=0.0).query("is_in_group"), "all deals ended alike"),
        (company().query("is_in_group and side == 'x'"), "only 0 months before it, fewer than 6"),
    ],
)
def test_what_cannot_be_judged_says_why(frame, reason):
    table = before_after.effect(frame)
    assert table["reason"].iloc[0] == reason and not table["is_main"].any()
    said = before_after.sentence(table, before_after.placebos(frame), change_date=CHANGE)
    assert said == f"Whether the change of 1 January 2026 worked cannot be told: {reason}."


def test_a_small_comparison_leaves_the_series():
    frame = company()
    frame = frame[frame["is_in_group"] | (frame["day"] > 290) | (frame["day"] < -300)]
    table = before_after.effect(frame.drop(frame.index[~frame["is_in_group"] & (frame["side"] == "after")][10:]))
    assert table["is_main"].tolist() == [True, False, False]
    assert table["reason"].iloc[1] == "only 10 deals to compare with after it"


def test_placebos_lie_before_the_change():
    frame = company(months=20, each=200).query("is_in_group")
    table = before_after.placebos(frame)
    days = [(day - CHANGE).days for day in table["placebo_date"]]
    assert len(table) == 7 and max(days) <= -6 * 30 and min(days) >= -(20 - 6) * 31
    assert not table["is_as_large"].any() and (table["placebo_ratio"] < 0.6).all()
    assert (table["n"] <= 20 * 100).all()


def test_placebos_leave_out_deals_across_them():
    frame = company(months=24, each=200).query("is_in_group").assign(days=60)
    frame = frame[(frame["day"] >= 0) | (frame["day"] + 60 < 0)]
    table = before_after.placebos(frame)
    assert len(table) and (table["n"] < (frame["side"] == "before").sum()).all()


def test_no_main_design_has_no_placebos(no_deals):
    frame = before_after.cases(no_deals, change_date=CHANGE, as_of=date(2026, 9, 30))
    assert before_after.placebos(frame).empty and before_after.series(frame).empty
    assert before_after.effect(frame)["change_effect"].isna().all()


ROW = {"design": "interrupted series", "is_main": True, "reason": None, "n": 900, "n_before": 500, "n_after": 400}
ROW |= {"change_effect": 0.08, "change_effect_low": 0.04, "change_effect_high": 0.12, "smallest_effect": 0.057}
ROW |= {"is_named": True, "gap_trend_low": np.nan, "gap_trend_high": np.nan}
DOUBLE = {"design": "difference in differences", "gap_trend_low": -0.01, "gap_trend_high": 0.01}
LOWER = {"change_effect": -0.08, "change_effect_low": -0.12, "change_effect_high": -0.04}


@pytest.mark.parametrize(
    ("row", "tried", "said"),
    [
        ({}, [False] * 20, "Since the new price list of 1 January 2026 deals are won within 90 days more often, by 8 points (likely between 4 and 12) against the course before; none of 20 earlier dates tried shows as much. What else changed that day is part of it."),
        (LOWER, [True] + [False] * 20, "Since the new price list of 1 January 2026 deals are won within 90 days less often, by 8 points (likely between 4 and 12) against the course before; 1 of 21 earlier dates tried shows as much. What else changed that day is part of it."),
        (DOUBLE, [], "Since the new price list of 1 January 2026 deals are won within 90 days more often, by 8 points (likely between 4 and 12) against the deals it was not for. What else changed for these deals alone is part of it."),
        ({}, [True] * 2 + [False] * 18, "No clear effect of the new price list of 1 January 2026: how often deals are won within 90 days moved by 8 points, but so it did at 2 of 20 earlier dates tried, when nothing is known to have changed."),
        ({}, [True] * 2 + [False] * 3, "Since the new price list of 1 January 2026 deals are won within 90 days more often, by 8 points (likely between 4 and 12) against the course before; 2 of 5 earlier dates tried show as much. What else changed that day is part of it."),
        ({"is_named": False}, [], "No clear effect of the new price list of 1 January 2026 on how often deals are won within 90 days; one below 6 points would likely not have shown (500 deals before, 400 after)."),
        ({"change_effect_low": -0.01}, [], "No clear effect of the new price list of 1 January 2026 on how often deals are won within 90 days; one below 6 points would likely not have shown (500 deals before, 400 after)."),
        (DOUBLE | {"gap_trend_low": 0.001}, [], "Whether the new price list of 1 January 2026 worked cannot be told: the two groups moved apart before it already."),
    ],
)  # fmt: skip
def test_every_form_of_the_sentence(row, tried, said):
    effects, dates = pd.DataFrame([ROW | row]), pd.DataFrame({"is_as_large": pd.Series(tried, dtype=bool)})
    assert before_after.sentence(effects, dates, change_date=CHANGE, days=90, change="the new price list") == said


def test_groups_that_moved_apart_before_are_not_compared():
    frame = company(before=0.5, after=0.7, drift=0.02, each=400)
    effects = before_after.effect(frame)
    said = before_after.sentence(effects, before_after.placebos(frame), change_date=CHANGE)
    assert said.endswith("cannot be told: the two groups moved apart before it already.")


def test_the_planted_trend_break_is_found_on_its_date_and_not_before(bench):
    found, effect = bench["spoken"](0, bench["WITH_BREAK"], 4, 24_000, "2024-10-01", "2026-09-30")
    assert found and 0.03 < effect < 0.10
    assert not bench["spoken"](0, bench["WITH_BREAK"], 6, 9_000, "2023-01-01", "2024-09-30")[0]


@pytest.mark.parametrize("cell", ["SERIES", "PAIRS"])
def test_intervals_cover_and_nothing_is_not_named(bench, cell):
    found = bench["measured"](bench[cell][-2], draws=40, seed=4)
    assert found["covered"] >= 0.85 and found["named"] <= 0.15


def test_weeks_serve_as_well():
    frame = company(each=400, group_share=1.0).query("is_in_group")
    assert before_after.effect(frame, cohort="week").iloc[0]["change_effect"] == pytest.approx(0.1, abs=0.01)


def test_the_sample_has_no_effect_on_a_random_group():
    frame = sample.tables(size=3000, null=True, clean=True)["opportunities"]
    group = pd.Series(np.random.default_rng(0).random(len(frame)) < 0.4, index=frame.index)
    table = before_after.cases(frame, change_date=date(2024, 10, 1), as_of=date(2026, 9, 30), group=group)
    row = before_after.effect(table).iloc[1]
    assert row["is_main"] and row["change_effect_low"] < 0 < row["change_effect_high"]
