"""The forecast and its track record: by hand, against published numbers, and without a look ahead."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from conftest import deals

from salesops import forecast, periods
from salesops.periods import Calendar, quarter, quarters_between
from salesops.stats import series

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


def test_accuracy_by_hand():
    tested = pd.DataFrame({"model": ["a", "a", "b"], "actual": [100.0, 300.0, 0.0], "predicted": [150.0, 250.0, 5.0]})
    table = forecast.accuracy(tested).set_index("model")
    assert table.loc["a", ["n", "forecast_wape", "forecast_bias"]].tolist() == [2, 0.25, 0.0]
    assert np.isnan(table.loc["b", "forecast_wape"])  # nothing was booked: no rate of it


def test_each_past_forecast_uses_only_what_came_before():
    rng = np.random.default_rng(3)
    full = history(list(rng.lognormal(3, 0.3, 14)))
    for cut in (9, 12):
        pd.testing.assert_frame_equal(
            forecast.backtest(full).query("period in @full.period[:@cut].tolist()").reset_index(drop=True),
            forecast.backtest(full[:cut]).reset_index(drop=True),
        )


def test_the_cutoff_is_the_day_before_the_quarter():
    tested = forecast.backtest(history([1.0, 2, 3, 4] * 3))
    assert (
        pd.to_datetime(tested["cutoff_date"]) + pd.Timedelta(days=1) == pd.to_datetime(tested["period_start"])
    ).all()
    assert tested.query("model == 'seasonal_naive'")["predicted"].tolist() == [1, 2, 3, 4]


def test_too_short_a_history_gives_no_forecast():
    short = history([1.0] * 7)
    assert forecast.backtest(short).empty
    assert forecast.next_quarter(short, forecast.backtest(short), Q4).empty


def test_a_forecast_without_enough_scored_quarters_has_no_interval():
    short = history([5.0, 6, 7, 8] * 2)
    table = forecast.next_quarter(short, forecast.backtest(short), Q4)
    assert table["forecast_amount"].notna().all() and table["forecast_amount_low"].isna().all()


def test_the_interval_is_what_past_errors_earned():
    full = history([10.0, 20, 30, 40] * 2 + [11.0, 18, 30, 50])
    row = forecast.next_quarter(full, forecast.backtest(full), Q4).set_index("model").loc["seasonal_naive"]
    assert row["forecast_amount"] == 11
    # errors 1/10, 2/20, 0/30, 10/40: the ceil(5 x 0.8) = 4th smallest is a quarter
    assert (row["forecast_amount_low"], row["forecast_amount_high"]) == pytest.approx((8.25, 13.75))


def test_conformal_intervals_cover_exchangeable_errors():
    rng = np.random.default_rng(4)
    actual = 100 * rng.lognormal(0, 0.3, (1600, 9))
    factors = [series.conformal_factor(row[:8], np.full(8, 100.0), 0.8) for row in actual]
    covered = np.mean(np.abs(actual[:, 8] - 100) <= 100 * np.array(factors))
    assert covered >= 0.8 - 3 * np.sqrt(0.8 * 0.2 / 1600)


def test_crm_probabilities_are_replayed_as_they_stood(q3):
    past = history([50.0] * 9)
    changes = pd.DataFrame(
        {
            "opportunity_id": ["A", "A", "B", "C", "D"],
            "seq": [1, 2, 1, 1, 1],
            "changed_at": pd.to_datetime(["2026-06-01", "2026-07-15", "2026-06-01", "2026-06-01", "2026-07-02"]),
            "stage": ["Open", "Closed", "Open", "Closed", "Open"],
            "amount": [100.0, 900.0, 10.0, 10.0, 10.0],
            "probability": [0.5, 1.0, 0.5, 1.0, 0.5],
            "close_date": pd.to_datetime(["2026-08-01", "2026-07-15", "2026-10-01", "2026-06-01", "2026-08-01"]),
        }
    )
    tested = forecast.crm_backtest(past, changes, ["Open"])
    assert tested["period"].tolist() == [q3.label] and tested["predicted"].tolist() == [50.0]  # A alone: open and due


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


def test_past_deals_in_a_stage_weigh_the_ones_there_now():
    frame = deals(
        [
            {"outcome": "won"},
            {"outcome": "lost"},
            {"outcome": "lost"},
            {"outcome": "won"},
            {"outcome": "open", "stage": "Proposal", "amount": 200.0},
        ]
    ).assign(pipeline="New")
    changes = pd.DataFrame({"opportunity_id": ["d0", "d1", "d2", "d3", "d4"], "pipeline": "New", "stage": "Proposal"})
    table = forecast.weighted_by_stage_history(frame, changes)
    assert table["weighted_pipeline_amount"].tolist() == [100.0]


@pytest.mark.parametrize("y", [[0.0] * 12, [5.0] * 12, [0.0, 1.0] * 6, [1e-9, 1e9] * 6, [3.0], [1.0, 2.0]])
@pytest.mark.parametrize("forecaster", [series.ets, series.seasonal_naive])
def test_odd_series_give_finite_forecasts(y, forecaster):
    predicted = forecaster(np.array(y), 4, 4)
    assert predicted.shape == (4,) and np.isfinite(predicted).all()
    assert np.abs(predicted).max() <= 20 * max(np.abs(y))


def test_a_forecast_that_explodes_is_replaced(monkeypatch):
    class Exploding:
        aicc = -1e9

        def forecast(self, horizon):
            return np.full(horizon, 1e12)

    monkeypatch.setattr(series, "_ets_fit", lambda *_: Exploding())
    assert series.ets(np.array([1.0, 2, 3, 4, 5]), 2, 4).tolist() == [2, 3]


def test_the_sentences_of_a_forecast(q3):
    scores = pd.DataFrame({"model": ["combination"], "n": [1], "forecast_wape": [0.17], "forecast_bias": [0.17]})
    assert forecast.record_sentence(scores) == (
        "Over the last quarter this method was off by 17 % of bookings on average, 17 % too high in total."
    )
    assert "too few quarters are scored" in forecast.outlook_sentence(
        q3,
        pd.DataFrame(
            {
                "model": ["combination"],
                "forecast_amount": [1.0],
                "forecast_amount_low": [np.nan],
                "forecast_amount_high": [np.nan],
            }
        ),
        currency="USD",
    )
