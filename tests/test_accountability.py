"""What was said and what came: by the model, by people, by layer."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

from salesops import accountability, checks, forecast_cases, words
from salesops.crm import sample
from salesops.periods import quarter, trailing_quarters

DAY = date(2026, 7, 28)
PAST = trailing_quarters(quarter(DAY), 9)[:-1]


@pytest.fixture(scope="module")
def tables():
    return sample.tables(size=2000, years=3, clean=True)


@pytest.fixture(scope="module")
def case(tables):
    return forecast_cases.case_of(
        tables["opportunities"], tables["stage_history"], stages=tables["stages"],
        period=quarter(DAY), cutoff=DAY,
    )  # fmt: skip


def toy(said, booked, quarters=PAST):
    """Submissions of people (rows: person, quarter by quarter) and a case that knows what they won."""
    rows, won = [], []
    for owner, mine in said.items():
        for period, amount, came in zip(quarters, mine, booked[owner], strict=False):
            if amount is not None:
                rows.append([owner, period.start, period.start + timedelta(days=20), "commit", amount, "rep"])
            won += [[owner, period.end, came / 5]] * 5
    columns = ["owner_id", "period_start", "submitted_at", "category", "amount", "kind"]
    frame = pd.DataFrame(rows, columns=columns)
    frame[["period_start", "submitted_at"]] = frame[["period_start", "submitted_at"]].apply(pd.to_datetime)
    wins = pd.DataFrame(won, columns=["owner_id", "close_date", "amount"]).assign(
        close_date=lambda rows: pd.to_datetime(rows["close_date"])
    )
    late = pd.DataFrame({"period": [each.label for each in quarters], "week": 5, "n": 0, "amount": 0.0})
    none = wins[:0]
    return frame, forecast_cases.Case(
        period=quarter(DAY), cutoff=DAY, week=5, now=none, past=none, won=wins, won_so_far=0.0, late=late,
        late_deals=late[:0], n_created=0, calendar=forecast_cases._CALENDAR,
    )  # fmt: skip


def test_each_persons_lean_is_said_over_booked(tables, case):
    said, table = tables["forecast_submissions"], accountability.people_lean(tables["forecast_submissions"], case)
    opportunities = tables["opportunities"]
    history = tables["stage_history"].sort_values(["changed_at", "seq"])
    owner = history[history["changed_at"] <= pd.Timestamp(DAY + timedelta(days=1))].groupby("opportunity_id").last()
    won = opportunities[opportunities["is_won"] & (opportunities["closed_at"] < pd.Timestamp(DAY))]
    for row in table.head(4).itertuples():
        total = booked = quarters = 0
        for period in trailing_quarters(quarter(DAY), 13)[:-1]:
            if period.label not in set(case.late["period"]):
                continue
            cutoff = pd.Timestamp(period.start) + pd.Timedelta(days=28)
            mine = said[(said["owner_id"] == row.owner_id) & (said["category"] == "most_likely")]
            mine = mine[(mine["period_start"] == pd.Timestamp(period.start)) & (mine["submitted_at"] < cutoff)]
            if mine.empty:
                continue
            total += mine.sort_values("submitted_at")["amount"].iloc[-1]
            here = won[period.contains(won["close_date"])]
            booked += here.loc[here["opportunity_id"].map(owner["owner_id"]) == row.owner_id, "amount"].sum()
            quarters += 1
        assert (row.said_amount, row.n) == (pytest.approx(total), quarters)
        assert row.said_booked_amount == pytest.approx(booked)
        assert row.forecast_lean_rate == pytest.approx(total / booked - 1)
    assert table["said_amount"].is_monotonic_decreasing and table["n"].max() > 6


def test_managers_answer_for_their_people(tables, case):
    table = accountability.people_lean(tables["forecast_submissions"], case, kind="manager", reps=tables["reps"])
    manager = tables["reps"].set_index("owner_id")["manager_id"]
    row = table.iloc[0]
    own = case.won["owner_id"].map(manager).eq(row["owner_id"])
    known = [each for each in trailing_quarters(quarter(DAY), 13)[:-1] if each.label in set(case.late["period"])]
    is_past = np.logical_or.reduce([each.contains(case.won["close_date"]) for each in known])
    assert row["n"] == len(known)
    assert row["said_booked_amount"] == pytest.approx(case.won.loc[own & is_past, "amount"].sum())
    with pytest.raises(checks.ParameterError, match=r"who works for a manager is told by reps.*Give reps"):
        accountability.people_lean(tables["forecast_submissions"], case, kind="manager")


def test_the_error_is_that_of_a_ratio_of_sums():
    said, booked = [120.0, 90, 150, 110, 100, 130, 95, 125], [100.0, 100, 110, 90, 105, 100, 98, 120]
    frame, case = toy({"a": said, "b": said, "c": said}, {"a": booked, "b": booked, "c": booked})
    table = accountability.people_lean(frame, case)
    cells = pd.DataFrame({"owner_id": "a", "said": said, "booked": booked})
    sums = cells.groupby("owner_id").agg(n=("said", "size"), said=("said", "sum"), booked=("booked", "sum"))
    error, freedom = accountability._errors(cells, sums)
    left = [np.log(np.delete(said, at).sum() / np.delete(booked, at).sum()) for at in range(8)]
    jackknife = np.sqrt(7 / 8 * ((left - np.mean(left)) ** 2).sum())
    assert error["a"] == pytest.approx(jackknife, rel=0.03) and freedom["a"] == 11
    assert table["n_won"].tolist() == [40] * 3 and table["forecast_lean_rate"].nunique() == 1
    assert (table["shrunk_lean_rate"] - table["forecast_lean_rate"]).abs().max() < 0.01


def test_a_person_of_one_quarter_is_drawn_to_the_others():
    random = np.random.default_rng(1)
    said = {f"p{at}": list(110 * np.exp(random.normal(0, 0.2, 8))) for at in range(8)} | {"new": [150.0]}
    booked = {name: [100.0] * len(mine) for name, mine in said.items()}
    table = accountability.people_lean(*toy(said, booked)).set_index("owner_id")
    new = table.loc["new"]
    assert new["forecast_lean_rate"] == pytest.approx(0.5) and 0.05 < new["shrunk_lean_rate"] < 0.3
    known = table.drop("new")
    assert (new["shrunk_lean_rate_high"] - new["shrunk_lean_rate_low"]) > (
        known["shrunk_lean_rate_high"] - known["shrunk_lean_rate_low"]
    ).max()
    assert known["shrunk_lean_rate"].std() < known["forecast_lean_rate"].std()


def test_silence_and_nothing_booked():
    frame, case = toy(
        {"a": [None, 100.0], "b": [0.0, 0.0], "c": [50.0, 50.0]}, {"a": [9, 80.0], "b": [1, 1], "c": [0, 0]}
    )
    table = accountability.people_lean(frame, case).set_index("owner_id")
    assert table.loc["a", ["n", "said_booked_amount"]].tolist() == [1, 80.0]
    assert table.loc[["b", "c"], ["forecast_lean_rate", "p_value"]].isna().all(axis=None)
    empty = accountability.people_lean(frame[:0], case)
    assert empty.empty and "shrunk_lean_rate_low" in empty
    assert accountability.lean_sentence(empty).startswith("Nobody submitted")
    nothing = accountability.lean_sentence(table.loc[["c"]].reset_index())
    assert nothing == "At week 5 the one rep forecast quarters in which nothing was booked."


def test_who_won_few_deals_or_is_not_named_stays_unnamed():
    row = {"kind": "rep", "n": 8, "said_amount": 200.0, "said_booked_amount": 100.0, "p_value": 0.001,
           "shrunk_lean_rate": 0.9}  # fmt: skip
    table = pd.DataFrame([row | {"owner_id": f"p{at}", "n_won": won} for at, won in enumerate([19, 30, 30, 30, 30])])
    text = accountability.lean_sentence(table)
    assert "p0" not in text and "p1, p2, p3 and 1 more forecast too much (90 %, 90 %, 90 %, …)" in text
    assert "no one" in accountability.lean_sentence(table.assign(is_named=False))
    assert accountability.lean_sentence(table[1:2].assign(shrunk_lean_rate=-0.2, said_amount=50.0)) == (
        "At week 5 the one rep forecast 50 % less than was booked in the end; beyond chance p1 forecasts too little (20 %)."
    )


def layers():
    rows = [
        {"model": model, "period": period.label, "period_start": period.start, "period_end": period.end, "week": week,
         "cutoff_date": period.start, "actual": 100.0 + at, "predicted": 100.0 + at + off * (1 + at % 3),
         "predicted_low_80": 90.0, "predicted_high_80": 110.0}
        for model, off in (("reps", 20.0), ("managers", 10.0), ("pipeline", -11.0))
        for at, period in enumerate(PAST) for week in (5, 9) if (model, week) != ("reps", 9)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_value_added_is_the_drop_in_error_on_shared_cases():
    frame = layers()
    table = accountability.value_added(frame).set_index("model")
    assert table["other"].to_dict() == {"managers": "reps", "pipeline": "managers"}
    assert table["n"].tolist() == [8, 16] and table["n_quarters"].tolist() == [8, 8]
    steps, actual = np.array([1 + at % 3 for at in range(8)]), 100.0 + np.arange(8)
    first = table.loc["managers"]
    assert first["layer_before_error_rate"] == pytest.approx(20 * steps.sum() / actual.sum())
    assert first["forecast_value_added"] == pytest.approx(10 * steps.sum() / actual.sum())
    assert first["forecast_value_added_low"] < first["forecast_value_added"] < first["forecast_value_added_high"]
    assert table.loc["pipeline", "forecast_value_added"] == pytest.approx(-steps.sum() / actual.sum())
    assert (table["p_value"] < 0.01).all()
    assert accountability.value_added(frame[:0]).empty and accountability.layer_sentences(table[:0]) == []
    silent = frame.assign(predicted=frame["predicted"].where(frame["model"].ne("reps")))
    assert accountability.value_added(silent)["model"].tolist() == ["pipeline"]


def test_the_record_is_as_stated_then():
    record = accountability.forecast_record(layers(), model="pipeline")
    assert record["week_error_rate"].tolist()[:4] == pytest.approx([-0.11, -0.11, -22 / 101, -22 / 101])
    assert (record["n"] == 1).all() and record["week_forecast_amount_low"].eq(90).all()
    text = accountability.record_sentence(record, week=9)
    last = record[record["week"].eq(9)].iloc[-1]
    money = [words.amount(last[name], compact=True) for name in ("week_forecast_amount", "quarter_bookings_amount")]
    assert text == (f"Forecasts made as week 9 of a quarter began were too low in all 8 quarters: for {last['period']} {money[0]} was forecast "
                    f"and {money[1]} booked. Bookings lay within the range of the forecast in 8 of 8, where four of five should.")  # fmt: skip
    missed = record.assign(week_forecast_amount_high=91.0, week_forecast_amount_low=90.0)
    assert (
        "within the range of the forecast in none of 8, where four of five should."
        in accountability.record_sentence(missed, week=9)
    )
    one = record[record["week"].eq(5)].head(1)
    assert accountability.record_sentence(one, week=5).startswith(
        "Forecasts made as week 5 of a quarter began were too low in the one quarter: "
    )
    blind = one.assign(week_forecast_amount_low=np.nan, week_forecast_amount=100.0)
    assert accountability.record_sentence(blind, week=5) == (
        f"Forecasts made as week 5 of a quarter began were right to the cent in the one quarter: for {one['period'].item()} 100 was forecast "
        "and 100 booked."
    )


def test_people_without_a_lean_are_seldom_found_to_have_one():
    """Thirty people of ten lumpy quarters each, forecasts that know half of what comes."""
    random = np.random.default_rng(1)
    found = []
    for _ in range(20):
        wins = random.poisson(3.5, (30, 10))
        booked = np.array([[random.lognormal(0, 1, n).sum() for n in row] for row in wins])
        said = (booked + 3.5 * np.exp(0.5)) / 2 * random.lognormal(0, 0.15, booked.shape)
        who = np.repeat(np.arange(30), 10).astype(str)
        cells = pd.DataFrame({"owner_id": who, "said": said.ravel(), "booked": booked.ravel()})
        sums = cells.groupby("owner_id", sort=False).agg(
            n=("said", "size"), said=("said", "sum"), booked=("booked", "sum")
        )
        error, freedom = accountability._errors(cells, sums)
        found.append(2 * student.sf(np.log(sums["said"] / sums["booked"]).abs() / error, freedom) < 0.05)
    assert 0.02 < np.mean(found) < 0.08  # 600 people: 0.05 with a standard error of 0.009


def finance(*rows):
    frame = pd.DataFrame(rows, columns=["measure", "scope_kind", "period_start", "amount"])
    return frame.assign(period_start=pd.to_datetime(frame["period_start"]))


MONTHS = ("2026-04-01", "2026-05-01", "2026-06-01")


def test_revenue_is_the_company_s_own_or_the_sum_over_regions():
    q2 = quarter(date(2026, 5, 1))
    regions = [("revenue", "region", month, 4.0) for month in MONTHS for _ in range(2)]
    other = [("margin", "company", month, 99.0) for month in MONTHS]
    assert accountability.revenue(finance(*regions, *other), q2) == 24.0
    own = [("revenue", "company", month, 10.0) for month in MONTHS]
    assert accountability.revenue(finance(*own, *regions), q2) == 30.0
    assert np.isnan(accountability.revenue(finance(*own), q2, measure="arr"))


def test_revenue_of_a_quarter_that_is_not_whole_is_not_known():
    q2, q3 = quarter(date(2026, 5, 1)), quarter(date(2026, 8, 1))
    rows = [("revenue", "company", month, 10.0) for month in (*MONTHS, "2026-07-01", "2026-08-01")]
    assert accountability.revenue(finance(*rows), q2) == 30.0
    assert np.isnan(accountability.revenue(finance(*rows), q3)) and np.isnan(accountability.revenue(finance(), q3))
    quarterly = [("revenue", "company", month, 30.0) for month in ("2026-01-01", "2026-04-01", "2026-07-01")]
    assert accountability.revenue(finance(*quarterly), q3) == 30.0


def test_what_the_report_leaves_out_is_counted_once():
    every = pd.DataFrame({
        "opportunity_id": list("abcd"), "is_won": [True, True, False, True], "amount": [1.0, 2.0, 4.0, 8.0],
        "close_date": pd.to_datetime(["2026-05-01", "2026-06-30", "2026-05-01", "2026-07-01"]),
    })  # fmt: skip
    q2 = quarter(date(2026, 5, 1))
    assert accountability.booked_outside(every, every[:1], q2) == 2.0
    assert accountability.booked_outside(every, every, q2) == 0.0


def test_the_limits_of_the_record_say_their_level():
    tested = pd.DataFrame({
        "model": "m", "period": "2026Q2", "period_start": "2026-04-01", "period_end": "2026-06-30", "week": [1],
        "cutoff_date": "2026-03-31", "actual": 100.0, "predicted": 90.0, "predicted_low_80": 80.0, "predicted_high_80": 99.0,
    })  # fmt: skip
    assert accountability.forecast_record(tested, model="m")["level"].tolist() == [0.8]
