"""The scorecard: signal or noise, against limits worked by hand."""

import numpy as np
import pandas as pd
import pytest

from salesops import scorecard


def quarters(values, name="bookings_amount", n=50):
    labels = [f"{2023 + at // 4}Q{at % 4 + 1}" for at in range(len(values))]
    return pd.DataFrame({"period": labels, "period_start": pd.NaT, "period_end": pd.NaT, "n": n, name: values})


def judged(values, name="bookings_amount"):
    return scorecard.scorecard({name: quarters(values, name)}).iloc[0]


WANDERING = [10.0, 12, 9, 11, 10, 12, 9, 11]  # mean 10.5; mean move 15/7, so limits 10.5 +- 3 * 15/7 / 1.128379


def test_the_usual_range_is_of_the_quarters_before_the_latest():
    row = judged([*WANDERING, 30.0])
    moves = np.abs(np.diff(WANDERING)).mean()
    assert row["centre"] == 10.5
    assert row["limit_low"] == pytest.approx(10.5 - 3 * moves / 1.1283792, rel=1e-6)
    assert row["limit_high"] == pytest.approx(10.5 + 3 * moves / 1.1283792, rel=1e-6)
    assert row["quarter_before"] == 11 and row["year_before"] == 10 and row["latest"] == 30


@pytest.mark.parametrize(
    ("latest", "state"),
    [(30.0, scorecard.ABOVE), (1.0, scorecard.BELOW), (14.0, scorecard.USUAL), (np.nan, scorecard.UNKNOWN)],
)
def test_signal_or_noise(latest, state):
    row = judged([*WANDERING, latest])
    assert row["state"] == state and row["is_signal"] == (state in (scorecard.ABOVE, scorecard.BELOW))


def test_eight_in_a_row_on_one_side_are_a_signal():
    values = [14.0, 15, 14, 15, 14, 8, 9, 8, 9, 8, 9, 8, 9]
    assert judged(values)["state"] == scorecard.LONG_BELOW
    assert judged(values[:-1])["state"] == scorecard.USUAL
    said = scorecard.signal_sentences(scorecard.scorecard({"bookings_amount": quarters(values)}), currency="USD")
    assert said == ["Bookings have now been below their usual $11 for eight quarters or more: $9 in 2026Q1."]


def test_too_few_quarters_say_nothing():
    row = judged([*WANDERING[:7], 99.0])
    assert row["state"] == scorecard.UNKNOWN and not row["is_signal"] and np.isnan(row["centre"])


def test_no_limit_lies_below_nothing():
    assert judged([1.0, 9, 1, 9, 1, 9, 1, 9, 5])["limit_low"] == 0


def test_a_card_without_figures():
    card = scorecard.scorecard({})
    assert card.empty and scorecard.usual(card) == [] and scorecard.signal_sentences(card) == []
    assert scorecard.card_sentence(card) == "There are too few quarters to tell what is usual"
    assert scorecard.charted({}, card).empty
    assert scorecard.chart_sentence(card) == "Bookings: too few quarters to tell what is usual"


def test_each_unit_has_its_metric():
    series = {name: quarters([*WANDERING, 10.0], name) for name in ("win_rate", "won_count", "sales_velocity_amount")}
    found = [frame.columns[4] for frame in scorecard.usual(scorecard.scorecard(series))]
    assert found == ["usual_rate", "usual_count", "usual_daily_amount"]


def test_two_signals_in_words():
    series = {"bookings_amount": quarters([*WANDERING, 1.0]), "won_count": quarters([*WANDERING, 1.0], "won_count")}
    card = scorecard.scorecard(series | {"win_rate": quarters([*WANDERING, 10.0], "win_rate")})
    assert scorecard.card_sentence(card) == (
        "Bookings and deals won moved beyond their usual range; the others are noise"
    )
    assert scorecard.chart_sentence(card) == "Bookings were below their usual range in 2025Q1"
    assert scorecard.charted(series, card)["is_signal"].tolist() == [False] * 8 + [True]
