"""Logged time and the coverage of logging against hand-worked cases."""

from datetime import date

import pandas as pd
import pytest
from conftest import deals
from rep_toys import NO_REPS, log, people

from salesops import activity_logging, checks
from salesops.crm import model
from salesops.periods import Period
from salesops.stats import proportions

AS_OF = date(2026, 9, 30)
Q3 = Period("2026Q3", date(2026, 7, 1), AS_OF)
OPTIONS = {"period": Q3, "as_of": AS_OF}
REPS = people([{"owner_id": "r1", "name": "Zoe"}, {"owner_id": "r2", "name": "Ann", "team": "West"},
               {"owner_id": "m1", "name": "Max", "role": "manager"}])  # fmt: skip


def timed(rows: list[dict]) -> pd.DataFrame:
    return log(rows).assign(minutes=[float(row.get("minutes", "nan")) for row in rows])


DAY = [
    {"kind": "meeting", "minutes": 60},
    {"kind": "meeting", "minutes": 60, "is_held": False},
    {"kind": "call", "minutes": 30, "direction": "inbound"},
    {"kind": "email", "minutes": 30, "direction": "outbound"},
    {"kind": "email", "minutes": 10, "is_automated": True},
    {"kind": "task", "minutes": 0},
    {"kind": "task"},
    {"kind": "task", "minutes": 99, "owner_id": "m1"},
    {"kind": "task", "minutes": 99, "occurred_at": "2026-10-01"},
]


def test_selling_time_by_hand():
    table = activity_logging.selling_time(timed(DAY), reps=REPS, **OPTIONS)
    assert table["owner_id"].tolist() == ["r1"]
    row = table.iloc[0]
    assert row["n"] == 5 and row["n_timed"] == 3 and row["timed_rate"] == 0.6
    assert row["logged_hours"] == 2.0 and row["selling_time_rate"] == 0.75
    assert pd.isna(row["selling_time_rate_low"])  # one week: nothing tells how much weeks differ
    whole = activity_logging.selling_time(timed(DAY), reps=REPS, by=None, **OPTIONS).iloc[0]
    assert whole["selling_time_rate"] == 0.75 and "all" not in whole
    only = activity_logging.selling_time(timed(DAY), reps=REPS, selling=["call"], **OPTIONS).iloc[0]
    assert only["selling_time_rate"] == 0.25


def test_time_not_recorded_has_no_share_and_says_so():
    none = timed([{"kind": "call"}, {"kind": "task", "minutes": 0}])
    table = activity_logging.selling_time(none, reps=REPS, by=None, **OPTIONS)
    assert table.loc[0, "n"] == 2 and pd.isna(table.loc[0, "selling_time_rate"])
    assert "not recorded" in activity_logging.selling_sentence(table, Q3)
    nothing = activity_logging.selling_time(timed([]), reps=REPS, by=None, **OPTIONS)
    assert activity_logging.selling_sentence(nothing, Q3) == "No activity was logged in 2026Q3."
    assert activity_logging.selling_time(timed([]), reps=REPS, by="team", **OPTIONS).empty


def test_selling_intervals_hold_the_share_and_narrow_with_weeks():
    rows = [
        {"owner_id": owner, "kind": kind, "minutes": 30, "occurred_at": day}
        for owner in ("r1", "r2")
        for day in pd.date_range("2026-07-01", "2026-09-30", freq="3D")
        for kind in (("call", "task") if day.day % 2 else ("call",))
    ]
    some, more = (timed(each) for each in (rows[:12], rows))
    widths = []
    for each in (some, more):
        row = activity_logging.selling_time(each, reps=REPS, by=None, **OPTIONS).iloc[0]
        assert 0 <= row["selling_time_rate_low"] <= row["selling_time_rate"] <= row["selling_time_rate_high"] <= 1
        widths.append(row["selling_time_rate_high"] - row["selling_time_rate_low"])
    assert widths[1] < widths[0]
    teams = activity_logging.selling_time(more, reps=REPS, by="team", **OPTIONS)
    assert teams["team"].tolist() == ["East", "West"] and teams["n"].sum() == len(more)


def test_few_weeks_are_worth_few_trials():
    rows = [{"kind": kind, "minutes": minutes, "occurred_at": day} for kind, minutes, day in
            (("call", 60, "2026-07-01"), ("call", 30, "2026-07-08"), ("task", 30, "2026-07-08"))]  # fmt: skip
    row = activity_logging.selling_time(timed(rows), reps=REPS, **OPTIONS).iloc[0]
    # 0.75 of two hours; the weeks' variance is worth three trials, the hours 4 / 1.5, Student's t 12.7 and not 1.96
    worth = 4 / 1.5 * (1.959964 / 12.7062) ** 2
    low, high = proportions.wilson_interval(0.75 * worth, worth)
    assert row["selling_time_rate_low"] == pytest.approx(low[0], rel=1e-4)
    assert row["selling_time_rate_high"] == pytest.approx(high[0], rel=1e-4)


def test_deals_with_anything_logged_in_their_life():
    closed = deals([{"account_id": name, "opportunity_id": name} for name in "abcdef"])
    closed.loc[4, "close_date"] = pd.Timestamp("2026-07-02")  # before the log began
    rows = [
        {"opportunity_id": "a", "occurred_at": "2026-08-01 17:00"},  # on its last day
        {"opportunity_id": "b", "occurred_at": "2026-08-02 00:00"},
        {"opportunity_id": "c", "occurred_at": "2026-07-20 00:00", "is_automated": True},
        {"opportunity_id": "d", "occurred_at": "2026-07-20 00:00", "direction": "inbound"},
        {"opportunity_id": "f", "occurred_at": "2026-07-10 00:00"},
    ]
    done = log(rows).assign(opportunity_id=pd.array([row["opportunity_id"] for row in rows], dtype="str"))
    row = activity_logging.deal_logging(closed, done, period=Q3).iloc[0]
    assert row["n"] == 5 and row["n_logged"] == 2 and row["activity_logging_rate"] == 0.4
    assert row["activity_logging_rate_low"] < 0.4 < row["activity_logging_rate_high"]
    assert activity_logging.deal_logging(closed, done[:0], period=Q3).loc[0, "n"] == 0
    by_rep = activity_logging.deal_logging(closed.assign(owner_id=list("xxyyyy")), done, period=Q3, by="owner_id")
    assert by_rep.set_index("owner_id")["n"].to_dict() == {"y": 3, "x": 2}


def test_weeks_with_anything_logged():
    weeks = pd.DataFrame(
        {"owner_id": list("aabb"), "team": ["E"] * 4, "n_days": [7, 7, 7, 0], "n_logged": [1, 0, 2, 5]}
    )
    table = activity_logging.week_logging(weeks, by="owner_id").set_index("owner_id")
    assert table["n"].to_dict() == {"a": 2, "b": 1} and table["n_logged"].to_dict() == {"a": 1, "b": 1}
    whole = activity_logging.week_logging(weeks).iloc[0]
    assert whole["n"] == 3 and whole["logged_week_rate"] == pytest.approx(2 / 3)


def test_tools_count_licensed_users_once():
    rows = [("U1", "Dialler", "2026-08-01", 0.0, True), ("U1", "Dialler", "2026-08-02", 3.0, True),
            ("U2", "Dialler", "2026-08-01", 0.0, None), ("U3", "Dialler", "2026-08-01", 9.0, False),
            ("U4", "Dialler", "2026-06-01", 9.0, True)]  # fmt: skip
    used = pd.DataFrame(rows, columns=["owner_id", "tool", "date", "events", "is_licensed"])
    used = model.conform(used.assign(date=pd.to_datetime(used["date"])), "tool_usage")
    table = activity_logging.tool_adoption(used, **OPTIONS)
    assert table[["n", "n_active", "tool_adoption_rate"]].values.tolist() == [[2, 1, 0.5]]
    assert activity_logging.tool_adoption(used[:0], **OPTIONS).empty


def test_sentences_of_few_and_none():
    weeks = pd.DataFrame({"n": [26], "logged_week_rate": [0.5]})
    few = pd.DataFrame({"n": [3], "activity_logging_rate": [1.0]})
    said = activity_logging.logging_sentence(few, weeks, Q3)
    assert said == (
        "Too few deals (3) that closed in 2026Q3 can be held against the log; reps logged something in 50 % of their weeks."
    )


def test_where_nothing_is_logged_no_rate_is_told():
    weeks = pd.DataFrame({"owner_id": ["a"] * 3, "n_days": 7, "n_logged": 0})
    none = activity_logging.deal_logging(deals([{}]), log([]), period=Q3)
    said = activity_logging.logging_sentence(none, activity_logging.week_logging(weeks), Q3)
    assert said == "No deal that closed in 2026Q3 can be held against the log; reps logged nothing."


def test_what_is_missing_is_told():
    with pytest.raises(checks.DataError, match=r"activities: missing column \['minutes'\]"):
        activity_logging.selling_time(log([]).drop(columns="minutes"), reps=NO_REPS, **OPTIONS)
