"""Bookings by group and ahead: nothing is lost, everything adds up, nothing later is known."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from salesops import checks, forecast, periods
from salesops.bookings_ahead import bookings_by_group, group_forecasts, groups_sentence, total_ahead
from salesops.periods import Calendar

AS_OF = date(2026, 9, 30)
BY = ["region", "segment"]


def deals(n: int = 600, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    days = np.sort(random.integers(0, 365 * 4, n))
    return pd.DataFrame({
        "opportunity_id": [f"D{number}" for number in range(n)], "is_won": random.random(n) < 0.7,
        "close_date": pd.Timestamp("2023-01-01") + pd.to_timedelta(days, "D"), "amount": random.lognormal(9, 1, n),
        "region": pd.Series(random.choice(["east", "west", None], n, p=[0.5, 0.4, 0.1]), dtype="str"),
        "segment": pd.Series(random.choice(["large", "small"], n), dtype="str"),
        "product": pd.Series(random.choice(["one", "two"], n), dtype="str"),
    })  # fmt: skip


def history_of(amounts: dict[str, list[float]], n: int = 5) -> pd.DataFrame:
    """Quarters up to 2026Q3 by region."""
    (size,) = {len(each) for each in amounts.values()}
    found = periods.trailing_quarters(periods.quarter(AS_OF), size)
    return pd.DataFrame([
        {"region": region, "period": each.label, "period_start": each.start, "period_end": each.end, "n": n,
         "group_bookings_amount": amount}
        for region, many in amounts.items() for each, amount in zip(found, many, strict=True)])  # fmt: skip


def test_groups_add_up_to_all_bookings():
    frame = deals()
    total = forecast.bookings_history(frame, AS_OF).set_index("period")
    for by in ([], ["region"], BY, [*BY, "product"]):
        table = bookings_by_group(frame, by=by, as_of=AS_OF)
        sums = table.groupby("period")[["n", "group_bookings_amount"]].sum()
        np.testing.assert_allclose(sums["group_bookings_amount"], total["bookings_amount"], rtol=1e-12)
        assert sums["n"].tolist() == total["n"].tolist() and sums.index.tolist() == total.index.tolist()
        assert not table.duplicated([*by, "period"]).any()
        assert len(table) == len(total) * (len(table[by].drop_duplicates()) if by else 1)


def test_a_group_without_wins_has_nothing_and_one_without_amounts_is_missing():
    frame = pd.DataFrame({
        "is_won": [True, True, True, False], "region": ["north", "south", None, "west"], "amount": [10.0, None, 7.0, 9.0],
        "close_date": pd.to_datetime(["2026-01-02", "2026-04-02", "2026-05-01", "2026-05-01"])})  # fmt: skip
    table = bookings_by_group(frame, by=["region"], as_of=date(2026, 8, 1))
    assert table["region"].fillna("-").tolist() == ["north", "north", "south", "south", "-", "-"]
    assert table["n"].tolist() == [1, 0, 0, 1, 0, 1]
    np.testing.assert_array_equal(table["group_bookings_amount"], [10.0, 0.0, 0.0, np.nan, 0.0, 7.0])
    assert table["period"].tolist() == ["2026Q1", "2026Q2"] * 3  # the third quarter is still running


def test_the_first_quarter_counts_only_where_it_is_whole():
    frame = deals().assign(is_won=True)
    frame = frame[frame["close_date"] >= "2023-01-09"]
    assert bookings_by_group(frame, by=BY, as_of=AS_OF)["period"].iloc[0] == "2023Q2"
    none = bookings_by_group(frame.assign(is_won=False), by=BY, as_of=AS_OF)
    assert none.empty and group_forecasts(none, by=BY).empty


def test_line_items_split_a_deal_and_keep_its_amount():
    frame = pd.DataFrame({
        "opportunity_id": ["A", "B", "C"], "is_won": True, "amount": [100.0, 50.0, 8.0], "product": ["one", "one", "two"],
        "close_date": pd.Timestamp("2026-01-02")})  # fmt: skip
    lines = pd.DataFrame({"opportunity_id": ["A", "A", "A", "C"], "product": ["one", "three", "three", "one"],
                          "amount": [20.0, 10.0, 10.0, 0.0]})  # fmt: skip
    table = bookings_by_group(frame, by=["product"], as_of=date(2026, 3, 31), line_items=lines)
    assert table["product"].tolist() == ["one", "three", "two"]
    assert table["group_bookings_amount"].tolist() == [100.0, 50.0, 8.0]  # A by 20:20, B and C whole
    assert table["n"].tolist() == [2, 1, 1]


@pytest.mark.parametrize("by", [[], ["region"], BY, [*BY, "product"]])
def test_forecasts_add_up(by):
    history = bookings_by_group(deals(), by=by, as_of=AS_OF)
    table = group_forecasts(history, by=by, horizon=3)
    total = table[table["grouping"] == "total"].set_index("period")["group_forecast_amount"]
    assert total.index.tolist() == ["2026Q4", "2027Q1", "2027Q2"]
    for grouping in table["grouping"].unique():
        sums = table[table["grouping"] == grouping].groupby("period")["group_forecast_amount"].sum()
        np.testing.assert_allclose(sums, total, rtol=1e-9)
    if len(by) > 1:
        rows = table[(table["grouping"] == " × ".join(by)) & (table["region"] == "east")]
        east = table[(table["grouping"] == "region") & (table["region"] == "east")]
        sums = rows.groupby("period")["group_forecast_amount"].sum()
        np.testing.assert_allclose(sums, east["group_forecast_amount"], rtol=1e-9)
    low, high = table["group_forecast_amount_low"], table["group_forecast_amount_high"]
    assert (table["level"] == 0.8).all() and table["group_forecast_amount"].between(low, high).all()


def test_what_stands_beside_a_forecast():
    table = group_forecasts(history_of({"north": [10.0, 20, 30, 40] * 3, "south": [1.0, 2, 3, 4] * 3}), by=["region"])
    north = table[table["region"] == "north"]
    assert north["year_before_amount"].tolist() == [10, 20, 30, 40]
    assert north["n"].tolist() == [60] * 4 and north["n_quarters"].tolist() == [12] * 4
    assert table.loc[table["grouping"] == "total", "n"].tolist() == [120] * 4
    total = table[table["grouping"] == "total"]
    np.testing.assert_allclose(total["year_before_amount"], 1.1 * north["year_before_amount"].to_numpy())


def test_nothing_later_is_known():
    frame = deals()
    early = frame[frame["close_date"] <= "2025-12-31"]
    found = [
        group_forecasts(bookings_by_group(each, by=BY, as_of=date(2025, 12, 31)), by=BY) for each in (frame, early)
    ]
    pd.testing.assert_frame_equal(*found, check_exact=True)


def test_inputs_stay_as_they_are():
    frame = deals(100)
    before = frame.copy(deep=True)
    history = bookings_by_group(frame, by=BY, as_of=AS_OF)
    kept = history.copy(deep=True)
    group_forecasts(history, by=BY)
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(history, kept)


def test_quarters_without_any_amount_are_left_out_with_those_before():
    history = history_of({"north": [5.0] * 6 + [np.nan] + [9.0] * 5, "south": [0.0] * 7 + [9.0] * 5})
    table = group_forecasts(history, by=["region"], horizon=1)
    assert table["n_quarters"].tolist() == [5] * 3
    np.testing.assert_allclose(table["group_forecast_amount"], [18.0, 9.0, 9.0])


def test_fiscal_quarters_bear_their_names():
    calendar = Calendar(start_month=7)
    history = bookings_by_group(deals(), by=["region"], as_of=AS_OF, calendar=calendar)
    table = group_forecasts(history, by=["region"], horizon=2, calendar=calendar)
    assert table["period"].unique().tolist() == ["FY27Q2", "FY27Q3"]


def test_a_group_far_above_its_year_before_is_named_and_noise_is_not():
    noise = list(np.random.default_rng(5).normal(100, 20, 20))
    risen = history_of({"north": list(np.linspace(100, 500, 20)), "south": noise})
    said = groups_sentence(group_forecasts(risen, by=["region"]), by=["region"])
    assert said == ("By past bookings alone, 2026Q4 should end above the same quarter a year before in region north.")
    few = risen.assign(n=0)
    said = groups_sentence(group_forecasts(few, by=["region"]), by=["region"])
    assert said.startswith("By past bookings alone, no region should end 2026Q4 clearly above or below")
    short = group_forecasts(risen[risen["period"] >= "2026Q1"], by=["region"])
    said = groups_sentence(short, by=["region"])
    assert said == "There is no quarter a year before 2026Q4 to compare its groups with."


def test_sentences_of_both_sides_and_of_the_total_alone():
    table = pd.DataFrame({
        "grouping": ["region", "region", "segment", "total"], "region": ["A", None, None, None], "period": "2026Q4",
        "segment": [None, None, "S", None], "period_start": date(2026, 10, 1), "year_before_amount": 5.0,
        "group_forecast_amount": [2.0, 1.0, 3.0, 9.0], "is_named": [True, True, True, False]})  # fmt: skip
    said = groups_sentence(table, by=BY)
    assert said.endswith("should end below the same quarter a year before in region A, region (none) and segment S.")
    assert groups_sentence(table[table["grouping"] == "total"], by=[]) == ""


def test_errors_say_what_to_do():
    with pytest.raises(checks.ParameterError, match=r"by: 'region' is one word. Give a list of columns"):
        bookings_by_group(deals(20), by="region", as_of=AS_OF)
    with pytest.raises(checks.DataError, match=r"missing column \['regoin'\].*Did you mean 'region'\?"):
        bookings_by_group(deals(20), by=["regoin"], as_of=AS_OF)
    with pytest.raises(checks.DataError, match="history: missing column"):
        group_forecasts(pd.DataFrame({"region": []}), by=["region"])
    with pytest.raises(checks.ParameterError, match="horizon is 0"):
        group_forecasts(history_of({"north": [1.0] * 9}), by=["region"], horizon=0)


def test_the_total_ahead_is_the_sum_of_its_groups():
    history = history_of({"east": [10.0, 12, 9, 14, 11, 13, 10, 15, 12], "west": [3.0, 2, 4, 3, 5, 3, 4, 3, 6]})
    table = group_forecasts(history, by=["region"])
    total = total_ahead(table)
    sums = table[table["grouping"] == "region"].groupby("period_start")["group_forecast_amount"].sum()
    np.testing.assert_allclose(total["series_forecast_amount"], sums, rtol=1e-9)
    assert total["n"].tolist() == [9] * 4 and total["level"].tolist() == [0.8] * 4
    assert list(total.columns) == list(forecast.series_ahead(history[:0].assign(bookings_amount=[])).columns)
    assert total_ahead(group_forecasts(history[:0], by=["region"])).empty
