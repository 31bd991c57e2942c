"""What people put in against hand-worked cases, a naive loop and its own invariants."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from conftest import deals
from hypothesis import given, settings
from hypothesis import strategies as st
from rep_toys import NO_REPS, log, people
from scipy.stats import chi2
from scipy.stats import t as student

from salesops import activity, checks
from salesops.periods import Period

AS_OF = date(2026, 9, 30)
Q3 = Period("2026Q3", date(2026, 7, 1), AS_OF)
OPTIONS = {"period": Q3, "as_of": AS_OF}
FEW = settings(max_examples=12, deadline=None)


def counted(done: pd.DataFrame, created: pd.DataFrame, reps: pd.DataFrame, **options) -> pd.DataFrame:
    weeks = activity.weekly_activity(done, opportunities=created, reps=reps, **(OPTIONS | options))
    return activity.activity_counts(weeks, reps)


def test_activity_counts_by_hand(reps):
    done = log(
        [
            {"is_held": True},
            {"is_held": False},
            {},
            {"kind": "demo", "is_held": False},
            {"kind": "demo", "is_held": True},
            {"kind": "email", "is_automated": True},
            {"kind": "email", "direction": "inbound"},
            {"kind": "email", "direction": "outbound"},
            {"kind": "call"},
            {"kind": "proposal"},
            {"kind": "task"},
            {"occurred_at": "2026-06-30"},
            {"owner_id": "m1"},
        ]
    )
    created = deals([{"owner_id": "r1", "created_date": "2026-07-01"}, {"owner_id": "r1"}])
    table = counted(done, created, reps)
    assert table["name"].tolist() == ["Ann", "Zoe"] and table["n_days"].tolist() == [92, 92]
    zoe = table.iloc[1].drop(["name", "owner_id", "n_days"]).to_dict()
    assert zoe == {
        "meetings_held": 2,
        "meetings_booked": 3,
        "calls": 1,
        "emails": 1,
        "demos": 1,
        "proposals": 1,
        "opportunities_created": 1,
        "prospect_meetings": 0,
    }
    assert table.iloc[0].drop(["name", "owner_id", "n_days"]).eq(0).all()
    weeks = activity.weekly_activity(done, opportunities=created, reps=reps, **OPTIONS)
    assert weeks["n_logged"].sum() == 9  # tasks and what was not held too: it was logged


def test_prospects_are_leads_and_deals_open_that_day(reps):
    open_deal = {"opportunity_id": "open", "outcome": "open", "created_date": "2026-08-03", "close_date": "2026-12-01"}
    won = {"opportunity_id": "won", "created_date": "2026-07-01", "close_date": "2026-08-02"}
    book = deals([open_deal, won])
    met = log([{"kind": "meeting"}, {"kind": "demo"}, {"kind": "call"}, {"kind": "meeting"}, {"kind": "meeting"},
               {"kind": "meeting", "is_held": False}, {"kind": "meeting"}])  # fmt: skip
    met["opportunity_id"] = pd.array(["open", "open", "open", "won", "elsewhere", "open", None], dtype="str")
    met["lead_id"] = pd.array([None] * 6 + ["lead"], dtype="str")
    met["occurred_at"] += pd.Timedelta(hours=15)
    table = counted(met, book, reps)
    assert table.set_index("name").loc["Zoe", "prospect_meetings"] == 3
    before = met.assign(occurred_at=pd.Timestamp("2026-08-02 09:00"))
    assert counted(before, book, reps).set_index("name").loc["Zoe", "prospect_meetings"] == 2  # the won one, and a lead
    assert counted(met, deals([]), reps)["prospect_meetings"].sum() == 1


def test_exposure_is_days_employed_so_far():
    some = people(
        [
            {"owner_id": "r1", "name": "Zoe", "hire_date": "2026-07-11"},
            {"owner_id": "r2", "name": "Ann", "left_date": "2026-07-05"},
            {"owner_id": "r3", "name": "Bo", "left_date": "2026-06-30"},
        ]
    )
    day = date(2026, 7, 20)
    table = counted(log([]), deals([]), some, as_of=day)
    assert dict(zip(table["name"], table["n_days"], strict=True)) == {"Ann": 5, "Zoe": 10}
    weeks = activity.weekly_activity(log([]), opportunities=deals([]), reps=some, period=Q3, as_of=day)
    assert weeks.loc[weeks["owner_id"] == "r1", "n_days"].tolist() == [4, 6]
    assert counted(log([{}]), deals([]), some, as_of=date(2026, 6, 1)).empty


DAYS = st.integers(-20, 110)


@FEW
@given(st.lists(st.tuples(DAYS, st.one_of(st.none(), DAYS), st.sampled_from(["r1", "r2", "x"])), max_size=8))
def test_days_of_open_deals_against_a_loop(spans):
    first = pd.Timestamp(Q3.start)
    rows = [
        {
            "owner_id": owner,
            "created_date": first + pd.Timedelta(days=start),
            "close_date": first + pd.Timedelta(days=300 if length is None else start + abs(length)),
            "outcome": "open" if length is None else "won",
        }
        for start, length, owner in spans
    ]
    two = people([{"owner_id": "r1", "name": "Zoe"}, {"owner_id": "r2", "name": "Ann"}])
    weeks = activity.weekly_activity(log([]), opportunities=deals(rows), reps=two, **OPTIONS)
    days = pd.date_range(Q3.start, Q3.end)
    for owner in ("r1", "r2"):
        mine = [row for row in rows if row["owner_id"] == owner]
        expected = sum(
            row["created_date"] <= day and (row["outcome"] == "open" or day <= row["close_date"])
            for day in days
            for row in mine
        )
        assert weeks.loc[weeks["owner_id"] == owner, "n_deal_days"].sum() == expected


def test_without_reps_everyone_who_did_something_has_a_row():
    table = counted(log([{}, {"owner_id": "r2"}]), deals([]), NO_REPS)
    assert table["name"].tolist() == ["r1", "r2"] and table["n_days"].tolist() == [92, 92]


def test_nobody_and_nothing_done_is_an_empty_table():
    weeks = activity.weekly_activity(log([]), opportunities=deals([]), reps=NO_REPS, **OPTIONS)
    assert activity.activity_counts(weeks, NO_REPS).empty and "meetings_held" in weeks
    assert activity.activity_rates(weeks, by="team").empty and activity.meetings_per_deal(weeks).empty


def test_even_weeks_have_the_exact_poisson_limits_but_for_students_t():
    weeks = pd.DataFrame({"owner_id": "r1", "n_days": [6] * 10, "calls": [1] * 10, "emails": 0})
    rates = activity.activity_rates(weeks).set_index("kind")
    wide = (student.ppf(0.975, 19) / 1.959964) ** 2  # nine weeks' degrees of freedom, and ten
    ten = rates.loc["calls"]
    assert ten["monthly_activities"] == 5 and ten["weekly_spread_ratio"] == 1
    assert ten["monthly_activities_low"] == pytest.approx(chi2.ppf(0.025, 20 / wide) / 2 * wide / 2)
    assert ten["monthly_activities_high"] == pytest.approx(chi2.ppf(0.975, 20 / wide + 2) / 2 * wide / 2)
    none = rates.loc["emails"]
    assert none["monthly_activities"] == 0 and none["monthly_activities_low"] == 0
    assert none["monthly_activities_high"] > chi2.ppf(0.975, 2) / 2 / 2


def test_unevenness_is_each_reps_own_drawn_to_the_usual():
    weeks = pd.DataFrame({"owner_id": ["a"] * 4 + ["b"] * 4, "n_days": 7, "calls": [0, 8, 0, 8, 4, 4, 4, 4]})
    rates = activity.activity_rates(weeks).set_index("owner_id")
    usual = 16 / 6  # squares of 16 over 4 for each week of a, none of b; three degrees of freedom each
    assert rates.loc["a", "weekly_spread_ratio"] == pytest.approx((16 + 10 * usual) / 13)
    assert rates.loc["b", "weekly_spread_ratio"] == pytest.approx(10 * usual / 13)
    whole = activity.activity_rates(weeks, by=None).iloc[0]
    assert whole["n"] == 32 and whole["weekly_spread_ratio"] == pytest.approx((16 + 20 * usual) / 26)
    width = rates["monthly_activities_high"] - rates["monthly_activities_low"]
    assert width["a"] > width["b"]


def test_busy_weeks_that_follow_busy_ones_widen_the_limits():
    """Eight weeks of 4 4 4 4 0 0 0 0: squares over expectation 16 of 7 by week, 16 of 1 by runs of four."""
    run, mixed, even = [4] * 4 + [0] * 4, [4, 0] * 4, [2] * 8
    found = [
        activity._carried(pd.DataFrame({"owner_id": "r1", "n_days": 7, "calls": each}), "calls", "n_days")
        for each in (run, mixed, even, run[:4])
    ]
    assert found == pytest.approx([(16 * 7 / 16 + 10) / 11, 1, 1, 1])
    weeks = pd.DataFrame({"owner_id": "r1", "n_days": 7, "calls": run, "emails": mixed})
    rates = activity.activity_rates(weeks).set_index("kind")
    assert rates["monthly_activities"].nunique() == 1 and rates["weekly_spread_ratio"].nunique() == 1
    wide = (16 + 10 * 16 / 7) / 17 * found[0] * (student.ppf(0.975, 17) / 1.959964) ** 2
    low = chi2.ppf(0.025, 2 * 16 / wide) / 2 * wide / 56 * 30
    assert rates.loc["calls", "monthly_activities_low"] == pytest.approx(low)
    assert rates.loc["emails", "monthly_activities_low"] > low


def test_runs_are_of_each_rep_and_of_four_weeks_or_so():
    random = np.random.default_rng(2)
    weeks = pd.DataFrame({"owner_id": ["a"] * 13 + ["b"] * 9, "n_days": random.integers(1, 8, 22),
                          "calls": random.poisson(5, 22) + np.repeat([9, 0], [7, 15])})  # fmt: skip
    parts = [list(range(0, 5)), list(range(5, 9)), list(range(9, 13)), list(range(13, 18)), list(range(18, 22))]

    def unevenness(groups, freedom):
        squares = 0.0
        for rows in (range(13), range(13, 22)):
            rate = weeks["calls"].iloc[list(rows)].sum() / weeks["n_days"].iloc[list(rows)].sum()
            for group in groups:
                if group[0] in rows:
                    expected = rate * weeks["n_days"].iloc[group].sum()
                    squares += (weeks["calls"].iloc[group].sum() - expected) ** 2 / expected
        return squares / freedom

    ratio = unevenness(parts, 3) / unevenness([[row] for row in range(22)], 20)
    assert ratio > 1.5
    assert activity._carried(weeks, "calls", "n_days") == pytest.approx((ratio * 3 + 10) / 13)


def test_nobody_there_has_no_rate():
    weeks = pd.DataFrame(
        {"owner_id": ["r1"], "n_days": [0], "calls": [3], "n_deal_days": [0], "prospect_meetings": [2]}
    )
    found = activity.activity_rates(weeks).query("kind == 'calls'").iloc[0]
    assert found["n"] == 3 and pd.isna(found["monthly_activities"]) and pd.isna(found["monthly_activities_high"])
    assert pd.isna(activity.meetings_per_deal(weeks).loc[0, "deal_meetings"])


@FEW
@given(st.lists(st.tuples(st.sampled_from(["r1", "r2"]), st.integers(0, 91)), max_size=25), st.randoms())
def test_totals_tie_and_row_order_is_irrelevant(rows, shuffled):
    two = people([{"owner_id": "r1", "name": "Zoe"}, {"owner_id": "r2", "name": "Ann", "team": "West"}])
    first = pd.Timestamp(Q3.start)
    entries = [
        {"owner_id": owner, "kind": "call", "occurred_at": first + pd.Timedelta(days=day)} for owner, day in rows
    ]
    mixed = shuffled.sample(entries, len(entries))
    tables = [
        activity.weekly_activity(log(each), opportunities=deals([]), reps=two, **OPTIONS) for each in (entries, mixed)
    ]
    pd.testing.assert_frame_equal(*tables)
    for by in ("owner_id", "team", None):
        rates = activity.activity_rates(tables[0], by=by).query("kind == 'calls'")
        assert rates["n"].sum() == len(rows) and rates["n_days"].sum() == 184
        assert (rates["monthly_activities_low"] <= rates["monthly_activities"]).all()
        assert (rates["monthly_activities"] <= rates["monthly_activities_high"]).all()


def test_bunched_activities_are_covered():
    """Variance four times chance's: a plain Poisson interval would hold the truth two times in three."""
    random, hits = np.random.default_rng(1), []
    for _ in range(100):
        count = random.negative_binomial(1.0, 0.25, (8, 13))
        weeks = pd.DataFrame({"owner_id": np.repeat(list("abcdefgh"), 13), "n_days": 7, "calls": count.ravel()})
        found = activity.activity_rates(weeks)
        truth = 3 / 7 * 30
        hits.append((found["monthly_activities_low"].le(truth) & found["monthly_activities_high"].ge(truth)).mean())
    assert 0.93 < np.mean(hits) < 0.985


def test_what_is_missing_is_told(reps):
    with pytest.raises(checks.DataError, match=r"activities: missing column \['is_held'\]"):
        activity.weekly_activity(log([]).drop(columns="is_held"), opportunities=deals([]), reps=reps, **OPTIONS)


def test_one_rep_group_is_not_taken_for_the_company():
    row = {"kind": "meetings held", "n": 9, "n_days": 92, "monthly_activities": 3.0}
    split = pd.DataFrame([row | {"team": "East"}, row | {"team": "West"}])
    q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    with pytest.raises(checks.ParameterError, match=r"rates: 2 rows of meetings held\. Give those of the company"):
        activity.rate_sentence(split, q3)
