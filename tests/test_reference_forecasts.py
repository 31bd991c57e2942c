"""What the methods in common use say, against plain loops over the records."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from case_toys import case as toy

from salesops import checks, forecast_backtest, forecast_cases, reference_forecasts
from salesops.crm import sample
from salesops.periods import quarter, trailing_quarters

DAY = date(2026, 7, 28)


@pytest.fixture(scope="module")
def tables():
    return sample.tables(size=2000, years=3, clean=True)


def case_of(tables, cutoff=DAY):
    return forecast_cases.case_of(
        tables["opportunities"], tables["stage_history"], stages=tables["stages"],
        period=quarter(DAY), cutoff=cutoff,
    )  # fmt: skip


@pytest.fixture(scope="module")
def case(tables):
    return case_of(tables)


def one(method, case):
    [value] = method(case, seed=0)
    return value


def standing(tables, day):
    """Each deal's last row of the history by the end of a day, and whether its stage is open or won."""
    history = tables["stage_history"].sort_values(["changed_at", "seq"])
    last = history[history["changed_at"] < pd.Timestamp(day + timedelta(days=1))].groupby("opportunity_id").tail(1)
    kinds = tables["stages"].set_index(["pipeline", "stage"])[["is_closed", "is_won"]]
    return last.join(kinds, on=["pipeline", "stage"])


def test_stage_weights_are_a_loop_over_the_history(tables, case):
    last, period = standing(tables, DAY), quarter(DAY)
    expected = 0.0
    for row in last.itertuples():
        if period.start <= row.close_date.date() <= period.end:
            if row.is_won:
                expected += row.amount
            elif not row.is_closed and not np.isnan(row.amount):
                expected += row.amount * row.probability
    assert expected > case.won_so_far > 0
    assert one(reference_forecasts.crm_probability, case) == pytest.approx(expected)


def test_the_length_of_the_sales_cycle_is_as_taught(tables, case):
    last = standing(tables, DAY)
    created = tables["opportunities"].set_index("opportunity_id")["created_date"].dt.normalize()
    won = last[last["is_won"]].set_index("opportunity_id")
    cycle = (won["close_date"] - created.reindex(won.index)).dt.days.mean()
    expected = case.won_so_far
    for row in last[~last["is_closed"]].itertuples():
        age = (pd.Timestamp(DAY) - created[row.opportunity_id]).days
        expected += min(age / cycle, 1) * (0 if np.isnan(row.amount) else row.amount)
    assert one(reference_forecasts.length_of_sales_cycle, case) == pytest.approx(expected)
    month = reference_forecasts.cycle_probability(pd.Series([1.0, 2, 4, 9]), mean_cycle_days=4.0)
    assert month.tolist() == [0.25, 0.5, 1, 1]
    assert reference_forecasts.cycle_probability(pd.Series([1.0]), mean_cycle_days=np.nan).isna().all()


def test_category_shares_are_those_of_the_same_week(case):
    due = case.past[(case.past["week"] == case.week) & case.past["is_due"] & case.past["amount"].gt(0)]
    expected = case.won_so_far
    for row in case.now[case.now["is_due"]].itertuples():
        mine = due[due["forecast_category"] == row.forecast_category]
        expected += np.nan_to_num(row.amount) * mine["won_amount"].sum() / mine["amount"].sum()
    assert one(reference_forecasts.category_history, case) == pytest.approx(expected)


def test_stage_shares_count_each_ended_deal_once(tables, case):
    rates = reference_forecasts.stage_rates(case).set_index(["pipeline", "stage"])
    seen = case.past[case.past["stage"] == "Proposal"]
    ids = set(seen["opportunity_id"]) - set(case.now["opportunity_id"])
    is_won = standing(tables, DAY).set_index("opportunity_id")["is_won"]
    row = rates.loc[("New business", "Proposal")]
    assert (row["n"], row["n_won"]) == (len(ids), is_won[list(ids)].sum())
    assert row["stage_won_rate_low"] < row["stage_won_rate"] < row["stage_won_rate_high"]
    assert rates.index.tolist()[:2] == [("Customer", "Scoping"), ("Customer", "Business Case")]
    due = case.now[case.now["is_due"]]
    worth = due["amount"] * rates["stage_won_rate"].reindex(pd.MultiIndex.from_frame(due[["pipeline", "stage"]])).array
    assert one(reference_forecasts.stage_history, case) == pytest.approx(case.won_so_far + worth.sum())


def test_run_rate_and_last_year_are_plain_sums(tables, case):
    won = standing(tables, DAY).query("is_won")

    def booked(start, end):
        return won.loc[(won["close_date"] >= pd.Timestamp(start)) & (won["close_date"] <= pd.Timestamp(end)), "amount"]

    four = trailing_quarters(quarter(DAY), 5)[:-1]
    early = sum(booked(each.start, each.start + timedelta(days=27)).sum() for each in four)
    whole = sum(booked(each.start, each.end).sum() for each in four)
    assert early / whole > 0.1
    assert one(reference_forecasts.run_rate, case) == pytest.approx(case.won_so_far * whole / early)
    assert one(reference_forecasts.run_rate, case_of(tables, date(2026, 6, 30))) == pytest.approx(whole / 4)
    assert one(reference_forecasts.seasonal_naive, case) == pytest.approx(booked("2025-07-01", "2025-09-30").sum())


def test_submissions_are_the_last_words_known(tables, case):
    said = tables["forecast_submissions"]
    expected = 0.0
    for owner in said.loc[said["kind"] == "rep", "owner_id"].unique():
        mine = said[(said["owner_id"] == owner) & (said["category"] == "most_likely")]
        mine = mine[(mine["period_start"] == "2026-07-01") & (mine["submitted_at"] < "2026-07-29")]
        expected += mine.sort_values("submitted_at")["amount"].tail(1).sum()
    method = reference_forecasts.submitted(said, kind="rep")
    assert one(method, case) == pytest.approx(expected) and expected > 0
    known = said[said["submitted_at"] < pd.Timestamp("2026-07-29")]
    assert one(reference_forecasts.submitted(known, kind="rep"), case) == one(method, case)
    commit = reference_forecasts.submitted(said, kind="manager", category="commit")
    assert 0 < one(commit, case) < one(reference_forecasts.submitted(said, kind="manager"), case)
    assert np.isnan(one(method, replace(case, cutoff=date(2026, 6, 30))))
    with pytest.raises(checks.DataError, match=r"forecast_submissions: missing column \['kind'\]"):
        reference_forecasts.submitted(said.drop(columns="kind"), kind="rep")


def test_deleting_later_records_changes_nothing(tables, case):
    end = pd.Timestamp(DAY + timedelta(days=1))
    history = tables["stage_history"]
    known = tables | {
        "stage_history": history[history["changed_at"] < end],
        "opportunities": tables["opportunities"][tables["opportunities"]["created_date"] < end].assign(
            is_closed=False, is_won=False, close_date=pd.NaT, closed_at=pd.NaT, amount=-1.0
        ),
    }
    pd.testing.assert_frame_equal(
        reference_forecasts.reference_table(case), reference_forecasts.reference_table(case_of(known))
    )


def test_nothing_to_go_by_is_missing_not_nothing():
    empty = toy(quarters=0, n_now=0)
    empty = replace(empty, won=empty.won[:0].assign(created_date=pd.Series(dtype="datetime64[us]")), won_so_far=0.0)
    table = reference_forecasts.reference_table(empty).set_index("model")["reference_amount"]
    assert table[["run_rate", "seasonal_naive"]].isna().all() and table.drop(["run_rate", "seasonal_naive"]).eq(0).all()
    busy = replace(empty, now=toy(n_now=8).now)
    table = reference_forecasts.reference_table(busy).set_index("model")["reference_amount"]
    assert table.dropna().to_dict() == {"crm_probability": 200.0}  # four deals of 100 due, half likely
    unpriced = replace(busy, now=busy.now.assign(amount=np.nan))
    assert np.isnan(one(reference_forecasts.crm_probability, unpriced))


def test_a_missing_stage_or_category_is_one_of_its_own():
    busy = toy(n_now=8)
    busy = replace(busy, won=busy.won.assign(created_date=pd.NaT, opportunity_id="none"))
    blank = {"stage": None, "forecast_category": None}
    half = replace(busy, now=busy.now.assign(**blank), past=busy.past.assign(**blank))
    assert one(reference_forecasts.category_history, half) == one(reference_forecasts.category_history, busy)
    assert len(reference_forecasts.stage_rates(half)) == 1 and one(reference_forecasts.stage_history, half) == 400
    other = replace(busy, now=busy.now.assign(forecast_category="new to us"))
    assert one(reference_forecasts.category_history, other) == one(reference_forecasts.category_history, busy)


def test_the_backtest_takes_them_all(tables):
    cases = forecast_cases.cases(
        tables["opportunities"], tables["stage_history"], stages=tables["stages"], as_of=DAY, weeks=(1, 5), quarters=2
    )
    chosen = reference_forecasts.methods(tables["forecast_submissions"])
    assert list(chosen)[-2:] == ["reps", "managers"] and list(reference_forecasts.methods(None)) == list(chosen)[:-2]
    actual = pd.Series({each.period.label: 1e6 for each in cases})
    tested = forecast_backtest.backtest(cases, chosen, actual, seed=0).pivot(
        index=["period", "week"], columns="model", values="predicted"
    )
    assert tested.drop(columns=["reps", "managers"]).notna().all(axis=None)
    assert tested["reps"].isna().tolist() == [True, False] * 2


def test_sentence_where_all_agree():
    table = pd.DataFrame({"model": ["a", "b"], "period": "2026Q3", "reference_amount": [5.0, 5.0]})
    assert reference_forecasts.references_sentence(table) == "All of the 2 usual methods put 2026Q3 at 5."


def test_the_order_of_rows_does_not_matter(case):
    turned = replace(case, now=case.now[::-1], past=case.past[::-1], won=case.won[::-1], late=case.late[::-1])
    left, right = (reference_forecasts.reference_table(each) for each in (case, turned))
    pd.testing.assert_frame_equal(left, right)
    pd.testing.assert_frame_equal(reference_forecasts.stage_rates(case), reference_forecasts.stage_rates(turned))
