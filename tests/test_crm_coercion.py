"""Text to numbers, dates and booleans: literal cases, round trips, and what cannot be told."""

from datetime import date, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salesops.crm import coercion


def column(*cells) -> pd.Series:
    return pd.Series(list(cells), dtype="str")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("$22,700.00", 22700), ("1,234,567", 1234567), ("(1,200)", -1200), ("-5", -5), ("5-", -5), ("−5", -5),
        ("USD 1,000.50", 1000.5), ("1 000.50 EUR", 1000.5), ("1\u00a0000", 1000), ("1'000.5", 1000.5), ("€-3.5", -3.5),
        ("12%", 12), (".5", 0.5), ("1e3", 1000), ("+7", 7), ("0", 0), ("007", 7), ("($1,200.50)", -1200.5),
    ],
)  # fmt: skip
def test_a_number_reads(text, number):
    assert coercion.numbers(column(text, "1.25")).values.tolist() == [number, 1.25]


@pytest.mark.parametrize(("text", "number"), [("1.234,56", 1234.56), ("1.234.567", 1234567), ("(9,5) €", -9.5)])
def test_a_decimal_comma_reads(text, number):
    assert coercion.numbers(column(text, "0,25")).values.tolist() == [number, 0.25]


@pytest.mark.parametrize("text", ["abc", "n/a", "1,2,3", "1.2.3", "nan", "inf", "--", "1 2 x", "12,34.5", "$", "0x1F"])
def test_what_is_no_number_is_bad_and_missing(text):
    parsed = coercion.numbers(column(text, "1.25", "2.5", None))
    assert parsed.bad.tolist() == [True, False, False, False] and pd.isna(parsed.values[0])


def test_only_grouping_is_grouping():
    assert coercion.numbers(column("1,200", "3,500")).values.tolist() == [1200, 3500]


def test_three_decimals_everywhere_read_two_ways_until_said():
    cells = column("1.200", "3.500")
    assert coercion.numbers(cells).fault == "a number such as 1.200 reads two ways"
    assert coercion.numbers(cells, decimal=",").values.tolist() == [1200, 3500]
    assert coercion.numbers(cells, decimal=".").values.tolist() == [1.2, 3.5]
    assert coercion.numbers(column("1.200", "3.51")).fault is None


@given(st.lists(st.decimals(-(10**12), 10**12, places=2, allow_nan=False), min_size=1), st.booleans())
def test_money_round_trips_in_either_mark(amounts, is_comma):
    written = [f"{amount:,.2f}" for amount in amounts]
    if is_comma:
        written = [text.translate(str.maketrans(",.", ".,")) for text in written]
    parsed = coercion.numbers(column(*written), decimal="," if is_comma else ".")
    assert parsed.values.tolist() == [float(amount) for amount in amounts] and not parsed.bad.any()
    guessed = coercion.numbers(column(*written))
    assert guessed.values.tolist() == parsed.values.tolist()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2015-11-20 10:59:00.000000018", "2015-11-20 10:59"), ("2024-02-29", "2024-02-29"),
        ("2024-02-29T23:30:00Z", "2024-02-29 23:30"), ("2024-02-29T23:30:00+02:00", "2024-02-29 21:30"),
        ("2024-02-29T23:30:00-0530", "2024-03-01 05:00"), ("20240229", "2024-02-29"), ("2024/2/9", "2024-02-09"),
        ("31.12.2024", "2024-12-31"), ("12/31/2024 11:59 PM", "2024-12-31 23:59"),
        ("12/31/24 12:05 AM", "2024-12-31 00:05"),
        ("31-Dec-2024", "2024-12-31"), ("Dec 31, 2024", "2024-12-31"), ("5 March 2024", "2024-03-05"),
        ("2024-02-29 9:05", "2024-02-29 09:05"), ("2024-02-29T10:00:00.250+00:00", "2024-02-29 10:00:00.250"),
    ],
)  # fmt: skip
def test_a_moment_reads(text, moment):
    parsed = coercion.moments(column(text, None))
    assert parsed.values[0] == pd.Timestamp(moment) and pd.isna(parsed.values[1]) and parsed.fault is None
    assert parsed.values.dtype == "datetime64[us]"


@pytest.mark.parametrize("text", ["soon", "2024-02-30", "31/31/2024", "45000", "2024-01-01 25:00"])
def test_what_is_no_date_is_bad_and_missing(text):
    parsed = coercion.moments(column(text, "2024-01-01"), order="dmy")
    assert parsed.bad.tolist() == [True, False]


def test_day_and_month_are_told_by_the_whole_column():
    assert coercion.moments(column("01/02/2024", "13/02/2024")).values.dt.month.tolist() == [2, 2]
    assert coercion.moments(column("01/02/2024", "01/13/2024")).values.dt.month.tolist() == [1, 1]
    assert coercion.moments(column("01/02/2024", "03/04/2024")).fault == "day and month cannot be told apart"
    assert coercion.moments(column("13/02/2024", "02/13/2024")).fault == "day and month come in both orders"
    assert coercion.moments(column("02/02/2024")).fault is None
    assert coercion.moments(column("01/02/2024"), order="mdy").values.dt.month.tolist() == [1]
    assert coercion.moments(column("01_02_2024"), order="%d_%m_%Y").values.dt.month.tolist() == [2]


def test_a_time_zone_turns_local_times_to_utc_and_moments_to_local_days():
    zone = "America/New_York"
    assert coercion.moments(column("2024-07-01 22:00"), zone=zone).values[0] == pd.Timestamp("2024-07-02 02:00")
    assert coercion.moments(column("2024-07-01"), zone=zone).values[0] == pd.Timestamp("2024-07-01 04:00")
    assert coercion.moments(column("2024-07-02T02:00Z"), zone=zone, as_date=True).values[0] == pd.Timestamp(
        "2024-07-01"
    )
    assert coercion.moments(column("2024-07-01 22:00"), zone=zone, as_date=True).values[0] == pd.Timestamp("2024-07-01")
    # the hour that comes twice is the first, the one that never comes moves on
    assert coercion.moments(column("2024-11-03 01:30"), zone=zone).values[0] == pd.Timestamp("2024-11-03 05:30")
    assert coercion.moments(column("2024-03-10 02:30"), zone=zone).values[0] == pd.Timestamp("2024-03-10 07:00")


@given(
    st.lists(st.dates(date(1990, 1, 1), date(2100, 12, 31)), min_size=1),
    st.sampled_from(["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d-%b-%Y", "%Y%m%d", "%b %d, %Y"]),
)
def test_dates_round_trip(days, layout):
    order = {"%d.%m.%Y": "dmy", "%m/%d/%Y": "mdy"}.get(layout)
    parsed = coercion.moments(column(*(day.strftime(layout) for day in days)), order=order, as_date=True)
    assert [value.date() for value in parsed.values] == days and not parsed.bad.any()


@settings(deadline=None)
@given(st.lists(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)), min_size=1), st.integers(-12, 14))
def test_moments_with_an_offset_round_trip(moments, hours):
    written = [f"{moment.isoformat(sep='T', timespec='microseconds')}{hours:+03d}:00" for moment in moments]
    parsed = coercion.moments(column(*written), zone="Asia/Tokyo")
    assert parsed.values.tolist() == [pd.Timestamp(moment - timedelta(hours=hours)) for moment in moments]


def test_typed_columns_keep_their_values():
    typed = pd.Series(pd.to_datetime(["2024-01-01 23:00"]))
    assert coercion.moments(typed, zone="Europe/Ljubljana").values[0] == pd.Timestamp("2024-01-01 22:00")
    aware = typed.dt.tz_localize("UTC")
    assert coercion.moments(aware, zone="Europe/Ljubljana", as_date=True).values[0] == pd.Timestamp("2024-01-02")
    assert coercion.numbers(pd.Series([1, 2])).values.dtype == "float64"
    assert coercion.texts(pd.Series([1.0, None, 3.0])).values.tolist()[::2] == ["1", "3"]
    assert coercion.booleans(pd.Series([1, 0])).values.tolist() == [True, False]


def test_a_probability_is_read_from_the_whole_column():
    assert coercion.rates(column("10", "0.5")).values.tolist() == [0.1, 0.005]
    assert coercion.rates(column("1 %", "0 %")).values.tolist() == [0.01, 0.0]
    assert coercion.rates(column("0.5", "1")).note == "read as 0-1"
    assert coercion.rates(column("50", "1")).note == "read as 0-100"


@pytest.mark.parametrize(
    "read", [coercion.numbers, coercion.moments, coercion.booleans, coercion.texts, coercion.rates]
)
def test_nothing_reads_as_nothing(read):
    for cells in (column(), column(None, None)):
        parsed = read(cells)
        assert len(parsed.values) == len(cells) and parsed.values.isna().all() and not parsed.bad.any()
