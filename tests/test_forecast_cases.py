"""What was known on an evening: nothing of what came later, and all of what had been written."""

import dataclasses
import runpy
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from salesops import checks, deal_changes, forecast_cases
from salesops.crm import model, sample
from salesops.periods import Calendar, Period, quarter, quarter_ahead

Q1, Q2, Q3 = (quarter(date(2026, month, 1)) for month in (1, 4, 7))
STAGES = pd.DataFrame({
    "pipeline": "new", "stage": ["Talk", "Offer", "Won", "Lost"], "valid_from": pd.NaT, "position": [10, 20, 30, 40],
    "is_closed": [False, False, True, True], "is_won": [False, False, True, False],
    "probability": [0.2, 0.6, 1.0, 0.0], "forecast_category": ["pipeline", "commit", "closed", "omitted"],
})  # fmt: skip


def company(rows, deals=None):
    """History rows (deal, moment, stage, amount, close date) and the deals as the last of them leaves each."""
    history = pd.DataFrame(rows, columns=["opportunity_id", "changed_at", "stage", "amount", "close_date"])
    for name in ("changed_at", "close_date"):
        history[name] = pd.to_datetime(history[name], format="ISO8601")
    history["seq"] = history.groupby("opportunity_id").cumcount() + 1
    history = model.conform(history.assign(pipeline="new", owner_id="r1"), "stage_history")
    last, first = (history.drop_duplicates("opportunity_id", keep=which) for which in ("last", "first"))
    found = last[["opportunity_id", "stage", "amount", "close_date"]].assign(
        created_date=first["changed_at"].array, account_id="acme", owner_id="r1", pipeline="new", segment="SMB",
        is_won=last["stage"].eq("Won"), is_closed=last["stage"].isin(["Won", "Lost"]),
        closed_at=last["changed_at"].where(last["stage"].isin(["Won", "Lost"])),
    )  # fmt: skip
    for name, changed in (deals or {}).items():
        for column, value in changed.items():
            found.loc[found["opportunity_id"] == name, column] = value
    return model.conform(found.reset_index(drop=True), "opportunities"), history


def one(rows, period, cutoff, **options):
    deals, history = company(rows, **options)
    return forecast_cases.case_of(deals, history, stages=STAGES, period=period, cutoff=cutoff)


def same(left, right):
    """Bit for bit."""
    for part in dataclasses.fields(left):
        a, b = getattr(left, part.name), getattr(right, part.name)
        if isinstance(a, pd.DataFrame):
            pd.testing.assert_frame_equal(a, b, check_exact=True)
        else:
            assert a == b, part.name


OLD = ("O", "2025-12-01", "Talk", 1.0, "2025-12-31")  # from here on the history tells


def test_one_deal_by_hand():
    rows = [
        OLD,
        ("A", "2026-02-02 10:00", "Talk", 100.0, "2026-03-15"),
        ("A", "2026-02-20 09:00", "Offer", 90.0, "2026-03-15"),
        ("A", "2026-03-20 09:00", "Offer", 90.0, "2026-05-15"),
        ("A", "2026-03-31 23:59", "Offer", 95.0, "2026-06-15"),
        ("A", "2026-04-01 00:00", "Won", 999.0, "2026-04-01"),
    ]
    case = one(rows, Q2, date(2026, 3, 31))
    found = case.now.set_index("opportunity_id").loc["A"]
    assert found[["stage", "position", "amount", "push_count", "is_due"]].tolist() == ["Offer", 2.0, 95.0, 2, True]
    assert found[["age_days", "stage_days", "weeks_left", "week"]].tolist() == [57.0, 39.0, 13.0, 1]
    assert found["close_date"] == pd.Timestamp("2026-06-15") and found["period"] == "2026Q2"
    assert found["cutoff_date"] == pd.Timestamp("2026-03-31") and found["owner_id"] == "r1"
    # the history has no probability or category: the stage's stands in
    assert found["probability"] == 0.6 and found["forecast_category"] == "commit"
    assert case.won_so_far == 0 and case.won.empty and case.n_created == 1


def test_a_deal_is_as_old_as_its_record_says_and_new_when_it_was_first_seen():
    """Made on 20 November, brought into the history on 5 January: 92 days old on 20 February and new for 91 from then."""
    made = {"A": {"created_date": pd.Timestamp("2025-11-20")}, "B": {"created_date": pd.NaT}}
    rows = [
        OLD,
        ("A", "2026-01-05", "Talk", 1.0, "2026-05-31"),
        ("B", "2026-01-10", "Talk", 1.0, "2026-05-31"),
    ]
    found = {day: one(rows, Q2, day, deals=made) for day in (date(2026, 2, 20), date(2026, 4, 5), date(2026, 4, 6))}
    ages = found[date(2026, 2, 20)].now.set_index("opportunity_id")["age_days"]
    assert ages.to_dict() == {"O": 81.0, "A": 92.0, "B": 41.0}
    assert [case.n_created for case in found.values()] == [3, 2, 1]


def test_what_the_next_evening_knows():
    rows = [OLD, ("A", "2026-02-02", "Talk", 100.0, "2026-03-15"), ("A", "2026-04-01", "Won", 80.0, "2026-04-01")]
    case = one(rows, Q2, date(2026, 4, 1))
    assert case.now["opportunity_id"].tolist() == ["O"] and case.won_so_far == 80.0
    assert case.won[["opportunity_id", "amount"]].values.tolist() == [["A", 80.0]] and case.week == 1


def test_how_past_rows_ended():
    rows = [
        OLD,
        ("W", "2025-12-05", "Talk", 100.0, "2026-01-15"), ("W", "2026-02-10", "Won", 80.0, "2026-02-10"),
        ("L", "2025-12-06", "Talk", 50.0, "2026-01-15"), ("L", "2026-03-10", "Lost", 0.0, "2026-03-10"),
        ("S", "2025-12-07", "Talk", 70.0, "2026-01-15"), ("S", "2026-04-10", "Won", 70.0, "2026-04-10"),
        ("N", "2026-01-20", "Talk", 30.0, "2026-01-31"), ("N", "2026-02-01", "Won", 33.0, "2026-02-01"),
    ]  # fmt: skip
    case = one(rows, Q2, date(2026, 6, 30))
    first = case.past[case.past["week"] == 1].set_index("opportunity_id")
    assert first["ended"].astype(str).to_dict() == {"O": "slipped", "W": "won", "L": "lost", "S": "slipped"}
    assert first["won_amount"].to_dict() == {"O": 0.0, "W": 80.0, "L": 0.0, "S": 0.0}
    assert first["is_won_in_period"].to_dict() == {"O": False, "W": True, "L": False, "S": False}
    assert first.loc["W", "amount"] == 100.0  # as known then, not as it was won
    late = case.late.set_index("week")
    assert late.loc[[1, 3, 4, 5], ["n", "amount"]].values.tolist() == [[1, 33.0], [1, 33.0], [0, 0.0], [0, 0.0]]
    assert case.late_deals.groupby("opportunity_id").size().to_dict() == {"N": 3}
    assert late.loc[1, "n_created"] == 4 and set(case.past["period"]) == {"2026Q1"}


def test_a_win_told_late_is_known_late():
    """Won on 30 March, written on 9 April: on 31 March the deal is open, and the quarter's rows are relabelled after."""
    rows = [OLD, ("A", "2025-12-05", "Talk", 100.0, "2026-03-31"), ("A", "2026-04-09", "Won", 80.0, "2026-03-30")]
    before, after = (one(rows, Q2, day) for day in (date(2026, 4, 7), date(2026, 4, 14)))
    assert "A" in set(before.now["opportunity_id"]) and "A" not in set(after.now["opportunity_id"])
    how = [
        case.past.query("opportunity_id == 'A' and week == 2")["ended"].astype(str).tolist() for case in (before, after)
    ]
    assert how == [["slipped"], ["won"]] and after.won_so_far == 0.0 and after.won["amount"].tolist() == [80.0]


def test_cases_of_one_quarter_learn_of_a_win_told_late():
    rows = [OLD, ("A", "2025-12-05", "Talk", 100.0, "2026-03-31"), ("A", "2026-04-09", "Won", 80.0, "2026-03-30")]
    deals, history = company(rows)
    options = {"stages": STAGES, "as_of": date(2026, 6, 30), "least": 1}
    found = forecast_cases.cases(deals, history, weeks=(1, 2, 3, 4), **options)
    assert [case.past["won_amount"].max() for case in found] == [0.0, 0.0, 80.0, 80.0]
    assert found[0].past is found[1].past and found[2].past is found[3].past
    for case in found:
        same(case, forecast_cases.case_of(deals, history, stages=STAGES, period=case.period, cutoff=case.cutoff))


def test_a_restated_win_counts_as_known_then():
    rows = [
        OLD, ("A", "2025-12-05", "Talk", 100.0, "2026-03-31"), ("A", "2026-02-09", "Won", 80.0, "2026-02-09"),
        ("A", "2026-05-20", "Won", 60.0, "2026-02-09"),
    ]  # fmt: skip
    amounts = [one(rows, Q2, day).past["won_amount"].max() for day in (date(2026, 5, 19), date(2026, 5, 20))]
    assert amounts == [80.0, 60.0]


def test_a_lost_deal_won_again_in_the_quarter_is_among_the_late():
    rows = [
        OLD, ("A", "2025-12-05", "Talk", 9.0, "2026-03-31"), ("A", "2026-01-10", "Lost", 9.0, "2026-01-10"),
        ("A", "2026-02-20", "Offer", 9.0, "2026-03-31"), ("A", "2026-03-01", "Won", 9.0, "2026-03-01"),
    ]  # fmt: skip
    case = one(rows, Q2, date(2026, 3, 31))
    assert case.late.loc[case.late["n"] > 0, "week"].tolist() == [3, 4, 5, 6, 7, 8]
    weeks = case.past.loc[case.past["opportunity_id"] == "A", "week"].tolist()
    assert weeks == [1, 2, 9]  # open again on 24 February, won on 1 March: no later evening


def test_the_record_ends_a_deal_whose_history_stays_open():
    ended = {"is_closed": True, "is_won": True, "close_date": pd.Timestamp("2026-04-20"), "amount": 70.0,
             "closed_at": pd.Timestamp("2026-04-20 12:00")}  # fmt: skip
    rows = [OLD, ("A", "2026-01-05", "Talk", 100.0, "2026-05-31"), ("A", "2026-05-20", "Talk", 71.0, "2026-04-20")]
    before, after, later = (one(rows, Q2, day, deals={"A": ended}) for day in (
        date(2026, 4, 19), date(2026, 4, 20), date(2026, 6, 1)))  # fmt: skip
    assert before.now["opportunity_id"].tolist() == ["O", "A"] and before.won_so_far == 0
    assert after.now["opportunity_id"].tolist() == ["O"] and after.won_so_far == 70.0
    assert later.now["opportunity_id"].tolist() == ["O"] and later.won_so_far == 71.0


def test_a_deal_without_history_is_never_open_but_its_win_counts():
    deals, history = company(
        [OLD, ("A", "2026-02-05", "Won", 100.0, "2026-02-05"), ("B", "2026-02-05", "Talk", 5.0, None)]
    )
    case = forecast_cases.case_of(
        deals, history[history["opportunity_id"] == "O"], stages=STAGES, period=Q1, cutoff=date(2026, 2, 10)
    )
    assert case.now["opportunity_id"].tolist() == ["O"] and case.won_so_far == 100.0
    early = forecast_cases.case_of(
        deals, history[history["opportunity_id"] == "O"], stages=STAGES, period=Q1, cutoff=date(2026, 2, 4)
    )
    assert early.won_so_far == 0.0
    past = forecast_cases.case_of(
        deals, history[history["opportunity_id"] == "O"], stages=STAGES, period=Q2, cutoff=date(2026, 3, 31)
    )
    assert past.won["amount"].tolist() == [100.0] and set(past.past["period"]) == {"2026Q1"}
    assert past.late_deals.empty and past.late["n"].sum() == 0  # nobody knows when it was made


def test_an_unknown_stage_leaves_the_one_before():
    rows = [OLD, ("A", "2026-01-05", "Offer", 1.0, "2026-05-31"), ("A", "2026-01-15", "Gone", 2.0, "2026-05-31"),
            ("A", "2026-01-16", None, 3.0, "2026-05-31")]  # fmt: skip
    found = one(rows, Q1, date(2026, 1, 20)).now.set_index("opportunity_id").loc["A"]
    assert found[["stage", "position", "amount", "stage_days"]].tolist() == ["Offer", 2.0, 3.0, 15.0]


def test_only_what_a_day_leaves_is_a_push_and_a_reopening_is_none():
    rows = [
        OLD, ("A", "2026-01-05 09:00", "Talk", 1.0, "2026-02-28"),
        ("A", "2026-01-06 09:00", "Talk", 1.0, "2026-12-31"), ("A", "2026-01-06 10:00", "Talk", 1.0, "2026-02-28"),
        ("A", "2026-01-07 09:00", "Talk", 1.0, "2026-03-31"), ("A", "2026-01-08 09:00", "Talk", 1.0, "2026-02-15"),
        ("A", "2026-01-09 09:00", "Lost", 1.0, "2026-01-09"), ("A", "2026-01-12 09:00", "Talk", 1.0, "2026-06-30"),
        ("A", "2026-01-13 09:00", "Talk", 1.0, None), ("A", "2026-01-14 09:00", "Talk", 1.0, "2026-07-31"),
    ]  # fmt: skip
    days = [date(2026, 1, day) for day in (5, 6, 7, 8, 12, 13, 14)]
    counts = [one(rows, Q1, day).now.set_index("opportunity_id").loc["A", "push_count"] for day in days]
    assert counts == [0, 0, 1, 1, 1, 1, 2]


def test_an_evening_within_a_week_has_past_evenings_as_far_into_theirs():
    rows = [OLD, ("A", "2025-12-05", "Talk", 1.0, "2026-05-31")]
    case = one(rows, Q2, date(2026, 5, 1))
    assert case.week == 5 and case.now["weeks_left"].iloc[0] == pytest.approx(60 / 7)
    days = case.past.drop_duplicates("week").set_index("week")["cutoff_date"]
    assert days[5] == pd.Timestamp("2026-01-31") and days[1] == pd.Timestamp("2026-01-03")
    assert days.index.tolist() == list(range(1, 14)) and days.max() <= pd.Timestamp("2026-03-31")


def test_a_quarter_to_come_is_seen_from_as_far_before_past_ones():
    rows = [OLD, ("A", "2025-12-05", "Talk", 1.0, "2026-05-31")]
    case = one(rows, Q3, date(2026, 5, 31))
    assert case.week == -4 and case.cutoff == date(2026, 5, 31)
    ahead = case.past[case.past["week"] == -4]
    assert ahead["weeks_left"].tolist() == [(date(2026, 3, 31) - date(2025, 12, 1)).days / 7]
    assert set(case.past["period"]) == {"2026Q1"}  # the running one has not ended


def test_the_last_days_of_a_long_quarter_are_a_14th_week():
    rows = [OLD, ("A", "2025-12-05", "Talk", 1.0, "2026-05-31")]
    case = one(rows, Q3, date(2026, 9, 29))
    assert case.week == 14 and case.now["weeks_left"].tolist() == [1 / 7, 1 / 7]
    # 90 and 91 days: the first has no evening 91 days in
    assert case.past.loc[case.past["week"] == 14, "period"].unique().tolist() == ["2026Q2"]


def test_a_short_history_has_no_cases():
    deals, history = company([OLD])
    assert forecast_cases.cases(deals, history, stages=STAGES, as_of=date(2026, 3, 31)) == []
    assert forecast_cases.cases(deals, history[:0], stages=STAGES, as_of=date(2026, 3, 31), least=0) == []
    empty = forecast_cases.case_of(deals, history[:0], stages=STAGES, period=Q1, cutoff=date(2026, 1, 31))
    assert empty.now.empty and empty.past.empty and empty.late.empty and empty.won_so_far == 0
    nothing = forecast_cases.case_of(deals[:0], history, stages=STAGES, period=Q1, cutoff=date(2026, 1, 31))
    assert nothing.now.empty and list(nothing.past)[:20] == list(nothing.now)


def test_errors_say_what_to_do():
    deals, history = company([OLD])
    options = {"stages": STAGES, "as_of": date(2026, 9, 30)}
    with pytest.raises(checks.ParameterError, match=r"weeks: 14, 0 outside 1 to 13. Name weeks of a quarter."):
        forecast_cases.cases(deals, history, weeks=(1, 14, 0), **options)
    with pytest.raises(checks.ParameterError, match=r"weeks: none is given"):
        forecast_cases.cases(deals, history, weeks=(), **options)
    with pytest.raises(checks.DataError, match=r"1 rows repeat an opportunity_id .O.. Keep one row per deal"):
        forecast_cases.cases(pd.concat([deals, deals]), history, **options)
    with pytest.raises(checks.DataError, match=r"stage_history: missing column .'seq'."):
        forecast_cases.cases(deals, history.drop(columns="seq"), **options)
    with pytest.raises(checks.DataError, match=r"stages: missing column .'is_won'."):
        forecast_cases.cases(deals, history, stages=STAGES.drop(columns="is_won"), as_of=date(2026, 9, 30))
    with pytest.raises(checks.ParameterError, match=r"2026-04-01 is after 2026Q1, which ended on 2026-03-31"):
        forecast_cases.case_of(deals, history, stages=STAGES, period=Q1, cutoff=date(2026, 4, 1))


@pytest.fixture(scope="module")
def full():
    return sample.tables(size=3000, clean=True)


@pytest.fixture(scope="module")
def world():
    bench = runpy.run_path(str(ROOT / "benchmarks" / "forecast_world.py"))
    return bench["simulated"](seed=5, quarters=9)


def sample_case(tables, period, cutoff):
    return forecast_cases.case_of(
        tables["opportunities"], tables["stage_history"], stages=tables["stages"], period=period, cutoff=cutoff
    )


@pytest.mark.parametrize("cutoff", ["2024-12-31", "2025-03-09", "2025-09-30", "2026-07-28"])
def test_no_leak_the_crm_of_that_evening_gives_the_same_case(full, cutoff):
    """The sample's tables as they stood on the evening: the records too hold only what was known then."""
    day = date.fromisoformat(cutoff)
    then = sample.tables(size=3000, clean=True, until=cutoff)
    same(sample_case(full, quarter_ahead(day), day), sample_case(then, quarter_ahead(day), day))


def cut(deals, history, day):
    """All records later than a day deleted: rows of the history, deals, and what the deals' records say."""
    until = pd.Timestamp(day + timedelta(days=1))
    kept = history[history["changed_at"] < until]
    last = kept.drop_duplicates("opportunity_id", keep="last").set_index("opportunity_id")
    then = deals[deals["opportunity_id"].isin(last.index)]
    values = last.loc[then["opportunity_id"]]
    closed = values["stage"].str.startswith("Closed").to_numpy()
    return then.assign(
        stage=values["stage"].array, amount=values["amount"].array, close_date=values["close_date"].array,
        is_closed=closed, is_won=(values["stage"] == "Closed Won").to_numpy(),
        closed_at=then["closed_at"].where(closed), probability=values["probability"].array,
    ), kept  # fmt: skip


def test_no_leak_every_case_of_a_backtest_survives_deleting_all_that_came_later(world):
    deals, history = world.opportunities, world.stage_history
    found = forecast_cases.cases(deals, history, stages=world.stages, as_of=world.as_of, weeks=(1, 6, 13), quarters=4)
    assert len(found) == 12
    for case in found:
        then, kept = cut(deals, history, case.cutoff)
        same(case, forecast_cases.case_of(then, kept, stages=world.stages, period=case.period, cutoff=case.cutoff))


def test_no_leak_poisoned_later_records_change_nothing(world):
    deals, history = world.opportunities, world.stage_history
    day, period = date(2026, 4, 28), Q2
    later = history["changed_at"] >= pd.Timestamp(day + timedelta(days=1))
    strange = history.assign(
        amount=history["amount"].mask(later, -1e12), stage=history["stage"].mask(later, "Closed Won"),
        close_date=history["close_date"].mask(later, pd.Timestamp("2026-04-10")),
        probability=history["probability"].mask(later, 7.0), owner_id=history["owner_id"].mask(later, "nobody"),
    )  # fmt: skip
    records = deals.assign(amount=-5.0, close_date=pd.Timestamp("2026-04-02"), stage="Closed Won", owner_id="nobody")
    options = {"stages": world.stages, "period": period, "cutoff": day}
    same(forecast_cases.case_of(deals, history, **options), forecast_cases.case_of(records, strange, **options))


def test_won_open_and_late_add_up_to_what_was_booked(world):
    """In a world that writes each win on its day, the three parts of every past evening are the quarter's bookings."""
    deals = world.opportunities
    ahead = quarter(date(2026, 10, 1))
    case = forecast_cases.case_of(
        deals, world.stage_history, stages=world.stages, period=ahead, cutoff=date(2026, 9, 30)
    )
    won = deals[deals["is_won"]]
    for span in world.quarters:
        for week in (1, 4, 9, 13):
            rows = case.past[(case.past["period"] == span.label) & (case.past["week"] == week)]
            late = case.late[(case.late["period"] == span.label) & (case.late["week"] == week)]
            before = won["close_date"].between(
                pd.Timestamp(span.start), pd.Timestamp(forecast_cases.cutoff_of(span, week))
            )
            parts = won.loc[before, "amount"].sum() + rows["won_amount"].sum() + late["amount"].sum()
            assert parts == pytest.approx(won.loc[span.contains(won["close_date"]), "amount"].sum(), abs=0.01)
    assert case.late["amount"].sum() == pytest.approx(case.late_deals["amount"].sum())
    assert case.late["n"].sum() == len(case.late_deals) > 100


def naive(deals, history, stages, day, period):
    """The open deals of an evening, one by one."""
    until = pd.Timestamp(day + timedelta(days=1))
    is_open = stages.set_index("stage")["is_closed"].eq(False)
    rows = []
    for deal in deals.itertuples():
        known = history[(history["opportunity_id"] == deal.opportunity_id) & (history["changed_at"] < until)]
        known = known.sort_values(["changed_at", "seq"])
        if known.empty or not is_open[known["stage"].iloc[-1]]:
            continue
        now = known.iloc[-1]
        stays = known["stage"].ne(known["stage"].shift()).cumsum()
        entered = known.loc[stays == stays.iloc[-1], "changed_at"].iloc[0]
        last_of_day = known.groupby(known["changed_at"].dt.date).tail(1)
        pushes = (last_of_day["close_date"].diff() > pd.Timedelta(0)).sum()
        rows.append([deal.opportunity_id, now["stage"], now["amount"], now["close_date"], int(pushes),
                     float((pd.Timestamp(day) - entered.normalize()).days),
                     float((pd.Timestamp(day) - deal.created_date.normalize()).days),
                     period.start <= now["close_date"].date() <= period.end])  # fmt: skip
    return pd.DataFrame(rows, columns=["opportunity_id", "stage", "amount", "close_date", "push_count", "stage_days",
                                       "age_days", "is_due"])  # fmt: skip


@pytest.mark.parametrize("day", [date(2026, 3, 31), date(2026, 5, 17)])
def test_the_open_deals_are_those_of_a_plain_loop(world, day):
    some = world.opportunities[world.opportunities["created_date"] < "2026-05-01"].iloc[-500:]
    history = world.stage_history[world.stage_history["opportunity_id"].isin(some["opportunity_id"])]
    case = forecast_cases.case_of(some, history, stages=world.stages, period=Q2, cutoff=day)
    expected = naive(some, history, world.stages, day, Q2)
    assert len(expected) > 50 and expected["push_count"].max() > 0
    pd.testing.assert_frame_equal(case.now[expected.columns.tolist()], expected, check_dtype=False)


def test_cases_come_by_quarter_and_week_and_share_what_they_know(world):
    options = {"stages": world.stages, "as_of": world.as_of, "weeks": (9, 1), "quarters": 2}
    found = forecast_cases.cases(world.opportunities, world.stage_history, **options)
    assert [(case.period.label, case.week) for case in found] == [
        ("2026Q2", 1), ("2026Q2", 9), ("2026Q3", 1), ("2026Q3", 9)]  # fmt: skip
    assert found[0].past is found[1].past and found[1].past is not found[2].past
    assert found[2].past["period"].unique().tolist() == [span.label for span in world.quarters[:-1]]
    few = forecast_cases.cases(world.opportunities, world.stage_history, **options, learned=2)
    assert few[2].past["period"].unique().tolist() == ["2026Q1", "2026Q2"]


def test_order_and_input_do_not_matter(world):
    deals, history = world.opportunities, world.stage_history
    copies = deals.copy(), history.copy()
    options = {"stages": world.stages, "period": Q2, "cutoff": date(2026, 5, 12)}
    straight = forecast_cases.case_of(deals, history, **options)
    shuffled = forecast_cases.case_of(deals, history.sample(frac=1, random_state=0), **options)
    same(straight, shuffled)
    for left, right in zip(copies, (deals, history), strict=True):
        pd.testing.assert_frame_equal(left, right)


def test_fiscal_quarters():
    calendar = Calendar(start_month=2)
    rows = [OLD, ("A", "2025-12-05", "Talk", 1.0, "2026-04-30")]
    deals, history = company(rows)
    [*_, case] = forecast_cases.cases(
        deals, history, stages=STAGES, as_of=date(2026, 7, 31), calendar=calendar, weeks=(1,), least=0
    )
    assert case.period == Period("FY27Q2", date(2026, 5, 1), date(2026, 7, 31)) and case.calendar == calendar
    assert case.past["period"].unique().tolist() == ["FY27Q1"] and case.past["is_due"].sum() == 13


def test_two_pipelines_rank_their_own_stages():
    stages = pd.concat([STAGES, STAGES.assign(pipeline="old", position=[2, 1, 3, 4])])
    deals, history = company([OLD, ("A", "2026-01-05", "Offer", 1.0, None), ("B", "2026-01-05", "Offer", 1.0, None)])
    history.loc[history["opportunity_id"] == "B", "pipeline"] = "old"
    case = forecast_cases.case_of(deals, history, stages=stages, period=Q1, cutoff=date(2026, 2, 1))
    known = case.now.set_index("opportunity_id")
    assert known.loc[["A", "B"], "position"].tolist() == [2.0, 1.0]
    assert known.loc[["A", "B"], "pipeline"].tolist() == ["new", "old"]
    gone = history.assign(pipeline=history["pipeline"].mask(history["opportunity_id"] == "B", "renamed"))
    case = forecast_cases.case_of(deals, gone, stages=STAGES, period=Q1, cutoff=date(2026, 2, 1))
    assert case.now.set_index("opportunity_id").loc["B", "position"] == 2.0


def test_days_and_back():
    days = pd.Series(pd.to_datetime(["2026-07-01 23:59", None]))
    number = deal_changes.day_numbers(days)
    assert number[0] == deal_changes.day_number(date(2026, 7, 1)) and number[1] < -(10**15)
    assert deal_changes.dates(number[:1])[0] == np.datetime64("2026-07-01")
