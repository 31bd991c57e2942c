"""Outside factors: used only where they foretell, never with what was not known."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from salesops import checks, outside_factors, periods
from salesops.outside_factors import factor_tests, factors_sentence, with_factors
from salesops.stats import leading
from salesops.time_series import time_series

LAST = periods.quarter(date(2026, 9, 30))
N = 24
LEAD = np.random.default_rng(1).normal(size=40)


def quarters(n: int = N, ahead: int = 0) -> list[periods.Period]:
    found = periods.trailing_quarters(LAST, n)
    return periods.quarters_between(found[0].start, (pd.Timestamp(LAST.end) + pd.DateOffset(months=3 * ahead)).date())


def history_of(y) -> pd.DataFrame:
    found = quarters(len(y))
    return pd.DataFrame({"period": [each.label for each in found], "period_start": [each.start for each in found],
                         "period_end": [each.end for each in found], "bookings_amount": y})  # fmt: skip


def market_of(values, *, ahead: int = 0, factor: str = "orders", planned=False) -> pd.DataFrame:
    """A value a quarter, in all of its months, the last one so many quarters after the last of the bookings."""
    found = quarters(len(values) - ahead, ahead)
    months = [pd.Timestamp(each.start) + pd.DateOffset(months=month) for each in found for month in range(3)]
    frame = pd.DataFrame({"month": months, "factor": factor, "value": np.repeat(np.asarray(values, float), 3)})
    return frame.assign(is_planned=planned)


def told(lag: int, noise: float = 0.05) -> np.ndarray:
    """Bookings that follow the factor so many quarters later: ``LEAD[8:]`` is known in their quarters."""
    random = np.random.default_rng(2)
    return 1e5 * np.exp(0.3 * LEAD[8 - lag : 8 - lag + N] + random.normal(0, noise, N))


@pytest.fixture(scope="module")
def lagged() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    history, market = history_of(told(1)), market_of(LEAD[: 8 + N])
    return history, market, factor_tests(history, market)


def test_a_factor_that_tells_is_named_with_its_lag(lagged):
    _, _, tested = lagged
    assert tested["lag_quarters"].tolist() == [1, 2] and tested["is_named"].tolist() == [True, False]
    assert tested["n"].tolist() == [N - 8 - leading.FITTED] * 2 and tested["n_compared"].tolist() == [2, 2]
    row = tested.iloc[0]
    assert row["p_value"] == 2 * 0.0005  # none of 1,999 reshuffles does as well, two compared
    assert row["factor_gain_points"] == pytest.approx(row["own_past_wape"] - row["factor_wape"], rel=1e-12)
    assert row["factor_wape"] < 0.7 * row["own_past_wape"]
    assert row["factor_gain_points_low"] < row["factor_gain_points"] < row["factor_gain_points_high"]
    assert factors_sentence(tested).startswith("Orders of the quarter before foretells bookings better than")


def test_the_next_quarter_moves_by_what_the_past_says(lagged):
    history, market, tested = lagged
    found = with_factors(history, market, tested=tested, horizon=3)
    series = pd.DataFrame({"unique_id": "all", "ds": range(N), "y": history["bookings_amount"]})
    plain = time_series(series, horizon=3, season_length=4)
    trials = outside_factors._trials([history["bookings_amount"].to_numpy()])[0]
    values = LEAD[8 : 8 + N]
    feature = lambda at: LEAD[8 + at - 1] - LEAD[8 + at - 5 : 8 + at - 1].mean()  # noqa: E731
    move = leading.move(
        np.log(trials.actual / trials.forecast),
        [feature(at) for at in range(8, N)],
        [values[-1] - values[-5:-1].mean()],
    )
    factor = found["factor_forecast_amount"] / plain["predicted"]
    np.testing.assert_allclose(factor, [np.exp(move[0]), 1.0, 1.0], rtol=1e-9)
    np.testing.assert_allclose(found["factor_forecast_amount_high"] / plain["predicted_high_80"], factor, rtol=1e-9)
    assert found["factor"].fillna("-").tolist() == ["orders", "-", "-"] and found["level"].tolist() == [0.8] * 3
    assert found["period"].tolist() == ["2026Q4", "2027Q1", "2027Q2"] and found["n"].tolist() == [N] * 3


def test_a_planned_factor_counts_in_its_own_quarter():
    history, market = history_of(told(0)), market_of(LEAD[: 8 + N + 2], ahead=2, planned=True)
    tested = factor_tests(history, market)
    assert tested.loc[tested["is_named"], "lag_quarters"].tolist() == [0]
    assert factors_sentence(tested).startswith("Orders, as planned, foretells")
    found = with_factors(history, market, tested=tested)
    assert found["factor"].fillna("-").tolist() == ["orders", "orders", "-", "-"]


def test_values_not_known_at_the_cutoff_are_never_used(lagged):
    history, market, tested = lagged
    later = market_of(LEAD[: 8 + N + 2], ahead=2)
    assert later["month"].max() > market["month"].max()
    pd.testing.assert_frame_equal(factor_tests(history, later), tested, check_exact=True)
    found = [with_factors(history, each, tested=tested) for each in (market, later)]
    pd.testing.assert_frame_equal(*found, check_exact=True)
    plan = later.assign(is_planned=later["month"] > market["month"].max())
    moved = with_factors(history, plan, tested=tested)
    assert moved["factor"].notna().tolist() == [True, True, True, False]
    pd.testing.assert_frame_equal(factor_tests(history, plan), tested, check_exact=True)  # no past plan: not tried


def test_a_value_of_the_quarter_itself_is_no_forecast():
    tested = factor_tests(history_of(told(0)), market_of(LEAD[: 8 + N]))
    assert tested["lag_quarters"].tolist() == [1, 2] and not tested["is_named"].any()


def test_no_trial_hangs_on_later_bookings():
    y = told(1)
    trials, cut = outside_factors._trials([y])[0], outside_factors._trials([y[:-4]])[0]
    other = outside_factors._trials([np.r_[y[:-4], y[-4:] * 50]])[0]
    assert trials.forecast[:-3].tobytes() == other.forecast[:-3].tobytes()
    np.testing.assert_allclose(cut.forecast, trials.forecast[:-4], rtol=1e-9)  # batches of other sizes round otherwise
    assert trials.place.tolist() == list(range(8, N))


def test_the_features_are_those_of_the_definition():
    values = pd.DataFrame({"value": [1.0, 2, 4, 8, 16, 32], "planned": [np.nan] * 5 + [32.0]}, index=range(-2, 4))
    features = lambda origin, ahead, lag: outside_factors._features(values, np.array([origin]), ahead, lag)[0]  # noqa: E731
    assert features(2, 1, 0) == 32 - (2 + 4 + 8 + 16) / 4
    assert features(2, 1, 1) == 16 - (1 + 2 + 4 + 8) / 4
    assert features(1, 2, 0) == 32 - (1 + 2 + 4 + 8) / 4
    assert np.isnan(features(1, 1, 0))  # not planned
    assert np.isnan(features(1, 1, 1)) and np.isnan(features(2, 2, 0))  # before and after what is on record


def test_a_quarter_with_a_month_missing_is_not_known(lagged):
    history, market, _ = lagged
    last = with_factors(history, market[:-1], tested=factor_tests(history, market[:-1]))
    assert last["factor"].isna().all()


def test_too_few_quarters_and_flat_factors_are_said():
    y = told(1)
    flat = factor_tests(history_of(y), market_of([3.0] * (8 + N)))
    assert flat["reason"].tolist() == ["never changes"] * 2 and flat["n"].tolist() == [0, 0]
    assert factors_sentence(flat) == "No outside factor could be tried: none ever changes."
    few = factor_tests(history_of(y[:12]), market_of(LEAD[:20]))
    assert few["reason"].tolist() == ["too few quarters"] * 2 and not few["is_named"].any()
    assert factors_sentence(few) == "No outside factor could be tried: too few past quarters with its values."
    some = factor_tests(history_of(y[:18]), market_of(LEAD[:26]))
    assert some["n"].tolist() == [7, 7] and some["p_value"].isna().all() and some["n_compared"].tolist() == [0, 0]
    assert some["own_past_wape"].notna().all() and not some["is_named"].any()
    said = "Too few quarters to tell whether an outside factor foretells bookings: 7 of the 8 needed."
    assert factors_sentence(some) == said


def test_three_factors_that_tell_nothing():
    random = np.random.default_rng(9)
    market = pd.concat([market_of(np.cumsum(random.normal(size=8 + N)), factor=name) for name in "abc"])
    tested = factor_tests(history_of(told(1)), market)
    assert tested["n_compared"].eq(6).all() and not tested["is_named"].any()
    assert factors_sentence(tested) == "No outside factor foretells bookings better than their own past (3 tried)."


def test_a_company_without_history_or_market():
    history, market = history_of(told(1)), market_of(LEAD[: 8 + N])
    few = "No outside factor could be tried: too few past quarters with its values."
    none = "No outside factor is on record."
    for some, other, said in ((history[:0], market, few), (history, market[:0], none), (history[:0], market[:0], none)):
        tested = factor_tests(some, other)
        assert factors_sentence(tested) == said
        assert len(with_factors(some, other, tested=tested)) == (4 if len(some) else 0)


def test_quarters_of_nothing_are_not_tried():
    y = told(1)
    y[12] = 0.0
    assert factor_tests(history_of(y), market_of(LEAD[: 8 + N]))["n"].tolist() == [N - 8 - leading.FITTED - 1] * 2
    nothing = factor_tests(history_of(np.zeros(N)), market_of(LEAD[: 8 + N]))
    assert nothing["reason"].tolist() == ["too few quarters"] * 2
    unknown = history_of(np.r_[np.nan, told(1)[1:]])
    assert with_factors(unknown, market_of(LEAD[: 8 + N]), tested=nothing, horizon=1)["n"].tolist() == [N - 1]


def test_inputs_stay_as_they_are_and_errors_are_plain(lagged):
    history, market, tested = lagged
    before = [each.copy(deep=True) for each in (history, market, tested)]
    with_factors(history, market, tested=factor_tests(history, market))
    for each, kept in zip((history, market, tested), before, strict=True):
        pd.testing.assert_frame_equal(each, kept)
    with pytest.raises(checks.DataError, match=r"market: missing column \['is_planned'\]"):
        factor_tests(history, market.drop(columns="is_planned"))
