"""The forecast of one quarter week by week: the backtest's own figures, nothing known too early, its end, its words."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from salesops import forecast, forecast_backtest, forecast_cases, forecast_weeks, pipeline_forecast
from salesops.crm import sample
from salesops.periods import Calendar, quarter

Q3, DAY = quarter(date(2026, 9, 30)), date(2026, 9, 30)


@pytest.fixture(scope="module")
def tables():
    return sample.tables(size=2000, years=3, clean=True)


def evenings(tables, as_of=DAY, history=None):
    history = tables["stage_history"] if history is None else history
    return forecast_cases.weekly_cases(
        tables["opportunities"], history, stages=tables["stages"], period=Q3, as_of=as_of
    )


def won_only(case, **_):
    return np.array([case.won_so_far, case.won_so_far + 1.0])


def test_each_evening_is_the_case_of_that_evening(tables):
    found = evenings(tables)
    assert [case.week for case in found] == list(range(1, 14))
    for case in (found[0], found[4], found[12]):
        alone = forecast_cases.case_of(tables["opportunities"], tables["stage_history"], stages=tables["stages"],
                                       period=Q3, cutoff=case.cutoff)  # fmt: skip
        pd.testing.assert_frame_equal(case.now, alone.now)
        pd.testing.assert_frame_equal(case.past, alone.past)
        assert case.won_so_far == alone.won_so_far and case.n_created == alone.n_created


def test_the_figures_are_those_of_the_backtest(tables):
    tested_cases = forecast_cases.cases(tables["opportunities"], tables["stage_history"], stages=tables["stages"], as_of=DAY,
                                        weeks=[5], quarters=1)  # fmt: skip
    history = forecast.bookings_history(tables["opportunities"], DAY).set_index("period")["bookings_amount"]
    tested = forecast_backtest.backtest(tested_cases, {"m": pipeline_forecast.pipeline}, history, seed=0)
    weekly = forecast_weeks.week_by_week(evenings(tables)[4:5], pipeline_forecast.pipeline).iloc[0]
    for end, other in (("", ""), ("_low", "_low_80"), ("_high", "_high_80")):
        assert weekly[f"weekly_landing_amount{end}"] == pytest.approx(tested[f"predicted{other}"].iloc[0], rel=1e-12)


def test_nothing_recorded_later_is_used(tables):
    day = date(2026, 8, 11)
    known = tables["stage_history"][tables["stage_history"]["changed_at"] < pd.Timestamp("2026-08-12")]
    whole = evenings(tables)[:7]
    cut = evenings(tables, as_of=day, history=known)
    assert len(cut) == 7
    one, other = (forecast_weeks.week_by_week(each, pipeline_forecast.pipeline) for each in (whole[-2:], cut[-2:]))
    pd.testing.assert_frame_equal(one, other)


def test_the_quarter_shown_is_that_of_the_last_day_or_an_older_one_asked_for():
    calendar, november = Calendar(), date(2026, 11, 3)
    shown = {q.label: forecast_weeks.quarter_shown(q, november, calendar).label
             for q in (quarter(date(2026, month, 1)) for month in (3, 5, 8, 11))}  # fmt: skip
    assert shown == {"2026Q1": "2026Q1", "2026Q2": "2026Q2", "2026Q3": "2026Q4", "2026Q4": "2026Q4"}


def test_a_running_quarter_ends_in_its_landing(tables):
    cases = evenings(tables, as_of=date(2026, 7, 24))
    landing = pd.DataFrame([{
        "period": "2026Q3", "cutoff_date": date(2026, 7, 24), "n": 9, "landing_amount": 5.0, "landing_amount_low": 4.0,
        "landing_amount_high": 6.0, "won_so_far_amount": 2.0,
    }])  # fmt: skip
    table = forecast_weeks.week_by_week(cases, won_only, target=7.0, now=landing)
    assert table["week"].round(3).tolist() == [1, 2, 3, 4, 4.429] and not table["is_final"].any()
    assert table.iloc[-1][["weekly_landing_amount", "weekly_won_amount", "weekly_target_amount"]].tolist() == [5, 2, 7]
    other = forecast_weeks.week_by_week(cases, won_only, now=landing.assign(period="2026Q4"))
    same_evening = forecast_weeks.week_by_week(cases, won_only, now=landing.assign(cutoff_date=cases[-1].cutoff))
    assert len(other) == len(same_evening) == 4


def test_a_quarter_that_is_over_ends_in_what_was_booked(tables):
    history = forecast.bookings_history(tables["opportunities"], DAY)
    table = forecast_weeks.with_end(forecast_weeks.week_by_week(evenings(tables), won_only), history)
    booked = history.set_index("period").loc["2026Q3", "bookings_amount"]
    assert len(table) == 14 and table["is_final"].tolist() == [False] * 13 + [True]
    assert table["weekly_won_amount"].iloc[-1] == booked and table["weekly_landing_amount"].isna().iloc[-1]
    assert table["weekly_won_amount"].is_monotonic_increasing
    running = forecast_weeks.week_by_week(evenings(tables), won_only)
    assert forecast_weeks.with_end(running, history[:3]) is running


def test_one_number_has_no_band_and_no_weeks_give_no_rows(tables):
    table = forecast_weeks.week_by_week(evenings(tables)[:1], lambda *_, **__: 9.0)
    assert table[["weekly_landing_amount_low", "weekly_landing_amount_high"]].isna().all(axis=None)
    nothing = forecast_weeks.week_by_week([], won_only)
    assert nothing.empty and forecast_weeks.weeks_sentence(nothing) == "No week of the quarter could be forecast."
    assert forecast_weeks.with_end(nothing, pd.DataFrame({"period": []})).empty
    assert evenings(tables, as_of=date(2026, 6, 29)) == []


@pytest.mark.parametrize(("lows", "said"), [
    ([1.0, 1.0], "2 of its 2 weekly forecasts held that in their range."),
    ([9.0, 9.0], "none of its 2 weekly forecasts held that in their range."),
    ([1.0, 9.0], "1 of its 2 weekly forecasts held that in its range."),
])  # fmt: skip
def test_the_sentence_counts_the_ranges_that_held(lows, said):
    table = pd.DataFrame({
        "period": "2026Q3", "is_final": [False, False, True], "weekly_landing_amount": [5.0, 5.0, None],
        "weekly_landing_amount_low": [*lows, None], "weekly_landing_amount_high": [12.0, 12.0, None],
        "weekly_won_amount": [0.0, 1.0, 5.0],
    })  # fmt: skip
    assert forecast_weeks.weeks_sentence(table) == f"2026Q3 ended at 5; {said}"
