"""The fiscal calendar and the periods a parameter may name."""

from datetime import date, timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesops import checks, periods
from salesops.periods import Calendar, Period

CALENDARS = st.builds(Calendar, st.integers(1, 12), st.sampled_from(["end", "start"]))
DAYS = st.dates(date(1995, 1, 1), date(2095, 12, 31))
JULY = Calendar(start_month=7)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("last_quarter", "2026-07-01", "2026-09-30"),
        ("this_quarter", "2026-07-01", "2026-09-30"),
        ("last_week", "2026-09-21", "2026-09-27"),
        ("this_week", "2026-09-28", "2026-10-04"),
        ("last_month", "2026-09-01", "2026-09-30"),
        ("last_year", "2025-01-01", "2025-12-31"),
        ("2026Q3", "2026-07-01", "2026-09-30"),
        ("2026-Q3", "2026-07-01", "2026-09-30"),
        ("2026-07", "2026-07-01", "2026-07-31"),
        ("2025", "2025-01-01", "2025-12-31"),
        ("2026-07-01/2026-09-15", "2026-07-01", "2026-09-15"),
        ("all", "2022-10-03", "2026-09-30"),
    ],
)
def test_a_period_named_in_words_or_dates(text, start, end):
    found = periods.resolve(text, as_of=date(2026, 9, 30), first=date(2022, 10, 3))
    assert (found.start.isoformat(), found.end.isoformat()) == (start, end)


def test_last_quarter_is_the_latest_that_ended_on_or_before_as_of():
    assert periods.resolve("last_quarter", as_of=date(2026, 9, 29)).label == "2026Q2"
    assert periods.resolve("this_quarter", as_of=date(2026, 10, 1)).label == "2026Q4"


@pytest.mark.parametrize(
    ("calendar", "label"), [(JULY, "FY27Q1"), (Calendar(7, "start"), "FY26Q1"), (Calendar(1, "start"), "2026Q3")]
)
def test_a_fiscal_quarter_bears_the_year_its_calendar_says(calendar, label):
    found = periods.quarter(date(2026, 8, 15), calendar)
    assert found == Period(label, date(2026, 7, 1), date(2026, 9, 30))
    assert periods.resolve(label, as_of=date(2026, 12, 31), calendar=calendar) == found


def test_a_calendar_quarter_keeps_its_meaning_in_a_fiscal_calendar():
    found = periods.resolve("2026Q2", as_of=date(2026, 12, 31), calendar=Calendar(start_month=2))
    assert found.start == date(2026, 4, 1)
    assert periods.previous(found, Calendar(start_month=2)).label == "2026Q1"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("last_quater", "period: cannot read 'last_quater'. Use last_quarter, .* Did you mean 'last_quarter'?"),
        ("2026Q5", "cannot read '2026Q5'"),
        ("2026-13", "cannot read '2026-13'"),
        ("2026-02-30/2026-03-01", "cannot read"),
        ("2026-09-30/2026-07-01", "ends before it starts. Write the earlier day first"),
        ("2027Q1", "begins 2027-01-01, after the data's last day 2026-09-30"),
        ("", "cannot read ''"),
    ],
)
def test_what_is_not_a_period_is_refused_with_what_is(text, words):
    with pytest.raises(checks.ParameterError, match=words):
        periods.resolve(text, as_of=date(2026, 9, 30))


@pytest.mark.parametrize(
    ("month", "named_by", "words"), [(13, "end", "13 is not a month"), (1, "middle", "Use end or start")]
)
def test_a_calendar_that_cannot_be(month, named_by, words):
    with pytest.raises(checks.ParameterError, match=words):
        Calendar(month, named_by)


@given(DAYS, CALENDARS)
def test_every_day_is_in_its_quarter_and_quarters_tile_the_calendar(day, calendar):
    found = periods.quarter(day, calendar)
    before = periods.previous(found, calendar)
    assert found.start <= day <= found.end
    assert 89 <= found.days <= 92
    assert before.end + timedelta(days=1) == found.start
    assert (found.start.month - calendar.start_month) % 3 == 0


@given(DAYS, CALENDARS)
def test_a_label_reads_back_as_the_period_it_names(day, calendar):
    for made in (periods.quarter(day, calendar), periods.year(day, calendar), periods.month(day)):
        assert periods.resolve(made.label, as_of=made.end, calendar=calendar) == made


@given(st.lists(DAYS, min_size=1, max_size=5), CALENDARS)
def test_quarter_labels_of_a_column_agree_with_the_quarter_of_each_day(days, calendar):
    column = pd.Series(pd.to_datetime(days)).astype("datetime64[us]")
    assert periods.quarter_labels(column, calendar).tolist() == [periods.quarter(day, calendar).label for day in days]


def test_trailing_quarters_end_with_the_period_and_are_consecutive():
    found = periods.trailing_quarters(periods.quarter(date(2026, 8, 1)), 5)
    assert [each.label for each in found] == ["2025Q3", "2025Q4", "2026Q1", "2026Q2", "2026Q3"]
    assert periods.quarters_between(found[0].start, found[-1].end) == found


def test_the_year_before_a_leap_february_is_a_whole_february():
    assert periods.year_before(periods.month(date(2024, 2, 29))).end == date(2023, 2, 28)
    assert periods.year_before(periods.week(date(2026, 9, 30))).start == date(2025, 9, 29)


def test_a_period_holds_its_last_day_to_midnight_and_no_missing_date():
    q3 = periods.quarter(date(2026, 9, 1))
    times = pd.Series(pd.to_datetime(["2026-09-30T23:59:59", "2026-10-01T00:00:00", "2026-07-01T00:00:00", None]))
    assert q3.contains(times).tolist() == [True, False, True, False]


def test_a_part_of_a_period_is_compared_with_the_same_part():
    now, before = periods.quarter(date(2026, 5, 1)), periods.quarter(date(2026, 2, 1))
    assert periods.same_position(before, now, date(2026, 6, 29)).days == 90  # the first quarter has 90 days only
    assert periods.same_position(before, now, date(2026, 4, 1)).label == "2026Q1, first 1 day"
    assert periods.same_position(before, now, date(2026, 6, 30)) is before
    assert [each.label for each in periods.trailing_months(now, 2)] == ["2026-05", "2026-06"]
