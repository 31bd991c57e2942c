"""The forecast and its track record: by hand, against published numbers, and without a look ahead."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from conftest import deals

from salesops import forecast, periods
from salesops.periods import Calendar, quarter, quarters_between

Q4 = quarter(date(2026, 10, 1))


def history(amounts: list[float]) -> pd.DataFrame:
    """Completed quarters up to 2026Q3 with these bookings."""
    found = quarters_between(date(2010, 1, 1), date(2026, 9, 30))[-len(amounts) :] if amounts else []
    return pd.DataFrame(
        {
            "period": [q.label for q in found],
            "period_start": [q.start for q in found],
            "period_end": [q.end for q in found],
            "n": 1,
            "bookings_amount": amounts,
        }
    )


@pytest.mark.parametrize(
    ("as_of", "calendar", "label"),
    [("2026-09-30", Calendar(), "2026Q4"), ("2026-10-01", Calendar(), "2026Q4"), ("2026-07-31", Calendar(2), "FY27Q3")],
)
def test_the_quarter_to_come(as_of, calendar, label):
    assert periods.quarter_ahead(date.fromisoformat(as_of), calendar).label == label


def test_bookings_by_hand(q3):
    frame = deals(
        [
            {"amount": 10.0},
            {"amount": 5.0, "close_date": "2026-07-01"},
            {"outcome": "lost"},
            {"outcome": "open"},
            {"close_date": "2026-10-01"},
        ]
    )
    assert forecast.bookings(frame, [q3])[["n", "bookings_amount"]].values.tolist() == [[2, 15]]


def test_a_quarter_without_wins_is_zero_and_one_without_amounts_unknown(q3, no_deals):
    assert forecast.bookings(no_deals, [q3])["bookings_amount"].tolist() == [0]
    assert forecast.bookings(deals([{"amount": None}]), [q3])["bookings_amount"].isna().all()
    assert forecast.bookings_history(no_deals, date(2026, 9, 30)).empty


def test_quarters_not_seen_whole_are_left_out():
    frame = deals([{"close_date": "2026-02-20"}, {"close_date": "2026-05-05"}, {"close_date": "2026-07-05"}])
    assert forecast.bookings_history(frame, date(2026, 8, 1))["period"].tolist() == ["2026Q2"]
    early = deals([{"close_date": "2026-01-02"}])
    assert forecast.bookings_history(early, date(2026, 6, 30))["period"].tolist() == ["2026Q1", "2026Q2"]


def test_weighted_pipeline_by_hand(all_open):
    frame = deals(
        [
            {"outcome": "open", "amount": 100.0, "probability": 0.5},
            {"outcome": "open", "amount": None, "probability": 0.9},
            {"outcome": "open", "amount": 10.0, "probability": None},
            {"probability": 1.0},
        ]
    )
    assert forecast.weighted_pipeline(frame)[["n", "weighted_pipeline_amount"]].values.tolist() == [[1, 50.0]]
    assert forecast.weighted_pipeline(all_open).empty


def test_the_quarters_after_the_last_completed_one_in_the_fiscal_calendar():
    short = history([5.0, 6, 7, 8] * 3)
    ahead = forecast.series_ahead(short, horizon=5)
    assert ahead["period"].tolist() == ["2026Q4", "2027Q1", "2027Q2", "2027Q3", "2027Q4"]
    assert (ahead["n"] == 12).all() and (ahead["period_start"].iloc[0], ahead["level"].iloc[0]) == (Q4.start, 0.8)
    assert ahead["series_forecast_amount"].between(4, 9).all()
    low, high = ahead["series_forecast_amount_low"], ahead["series_forecast_amount_high"]
    assert ((low <= ahead["series_forecast_amount"]) & (ahead["series_forecast_amount"] <= high)).all()
    assert forecast.series_ahead(history([])).empty
    fiscal = short.assign(period_end=[each + timedelta(days=31) for each in short["period_end"]])
    assert forecast.series_ahead(fiscal, horizon=1, calendar=Calendar(2))["period"].tolist() == ["FY27Q4"]


def test_a_quarter_is_foretold_from_those_before_it_alone():
    full = history(list(np.random.default_rng(3).lognormal(3, 0.3, 14)))
    again = full.copy()
    again.loc[12:, "bookings_amount"] *= 9
    pd.testing.assert_frame_equal(forecast.series_ahead(full[:12]), forecast.series_ahead(again[:12]))


def test_the_path_takes_the_quarter_ahead_from_its_deals_and_the_rest_from_the_past():
    short = history([5.0, 6, 7, 8] * 3)
    landing = pd.DataFrame({"period": ["2026Q4"], "landing_amount": [99.0], "landing_amount_low": [90.0],
                            "landing_amount_high": [120.0]})  # fmt: skip
    later = forecast.series_ahead(short)
    found = forecast.path(short, landing, later, shown=2)
    assert found["period"].tolist() == ["2026Q2", "2026Q3", "2026Q4", "2027Q1", "2027Q2", "2027Q3"]
    assert found["actual"].tolist()[:2] == [7, 8] and found["predicted"].iloc[2] == 99
    assert found["predicted"].iloc[3] == later["series_forecast_amount"].iloc[1]
    unknown = forecast.path(short, landing.assign(landing_amount=np.nan), later, shown=2)
    assert unknown["predicted"].iloc[2] == later["series_forecast_amount"].iloc[0]
    assert forecast.steps(pd.DataFrame(columns=["part", "stage", "n", "landing_part_amount"]), landing).empty


def test_past_bookings_agree_or_disagree_with_the_deals():
    short = history([5.0, 6, 7, 8] * 3)
    later = pd.DataFrame({"period": ["2026Q4"], "series_forecast_amount": 6.0, "series_forecast_amount_low": 5.0,
                          "series_forecast_amount_high": 8.0})  # fmt: skip
    for amount, said in ((9.0, "lies above that range"), (4.0, "lies below that range"), (6.0, "lies inside.")):
        landing = pd.DataFrame({"period": ["2026Q4"], "landing_amount": [amount]})
        assert said in forecast.series_sentence(short, later, landing)
    assert "deals" not in forecast.series_sentence(short, later, landing[:0])
    few = forecast.series_sentence(short[:5], later, landing[:0])
    assert few.count(".") > 1, few  # says what the few quarters allow


@pytest.mark.parametrize(("middle", "said"), [
    (3.9e6, "lies inside"), (4.05e6, "lies above that range"), (4.5e6, "lies above it by more than a whole range: the two disagree"),
    (1.9e6, "lies below it by more than a whole range: the two disagree"), (1.97e6, "lies below that range"),
])  # fmt: skip
def test_two_forecasts_disagree_beyond_the_narrower_range(middle, said):
    later = pd.DataFrame({"period": ["2026Q4"], "series_forecast_amount": 3e6, "series_forecast_amount_low": 2e6,
                          "series_forecast_amount_high": 4e6})  # fmt: skip
    landing = pd.DataFrame({"period": ["2026Q4"], "landing_amount": middle, "landing_amount_low": middle - 5e5,
                            "landing_amount_high": middle + 5.5e5})  # fmt: skip
    told = forecast.series_sentence(history([1.0] * 9), later, landing)
    assert told.split("; ")[1] == f"the forecast from the deals {said}."
    other = forecast.series_sentence(history([1.0] * 9), later, landing.assign(model="run_rate"))
    assert other.split("; ")[1] == f"the forecast of run rate {said}."
