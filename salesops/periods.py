"""Which days a report is about: fiscal calendars and periods, the only date arithmetic."""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd

from salesops import checks

_RELATIVE = (
    "last_quarter",
    "this_quarter",
    "last_month",
    "this_month",
    "last_week",
    "this_week",
    "last_year",
    "this_year",
)
_WORDS = f"{', '.join(_RELATIVE)}, 2026Q3, FY27Q1, FY27, 2026-07, 2026, 2026-07-01/2026-09-30 or all"


@dataclass(frozen=True)
class Calendar:
    """A fiscal calendar of twelve months.

    Parameters
    ----------
    start_month
        First month of the fiscal year, 1-12.
    named_by
        Whether a fiscal year bears the calendar year it ``"end"``\\ s or ``"start"``\\ s in.

    Raises
    ------
    ParameterError
        A month outside 1-12 or another word for `named_by`.
    """

    start_month: int = 1
    named_by: str = "end"

    def __post_init__(self) -> None:
        if not 1 <= self.start_month <= 12:
            raise checks.ParameterError(f"fiscal_start_month: {self.start_month} is not a month. Use 1 to 12.")
        if self.named_by not in ("end", "start"):
            raise checks.ParameterError(f"fiscal_year_named_by: '{self.named_by}'. Use end or start.")


@dataclass(frozen=True)
class Period:
    """Days from `start` to `end`, both included."""

    label: str
    start: date
    end: date

    @property
    def days(self) -> int:
        """Length in days."""
        return (self.end - self.start).days + 1

    @property
    def when(self) -> str:
        """The period within a sentence: "in 2026Q3", or "over all dates"."""
        return "over all dates" if self.label == "all" else f"in {self.label}"

    def contains(self, days: pd.Series) -> pd.Series:
        """Whether each date or timestamp falls inside; a missing one does not.

        Examples
        --------
        >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
        >>> q3.contains(pd.Series(pd.to_datetime(["2026-09-30", "2026-10-01", None]))).tolist()
        [True, False, False]
        """
        return (days >= pd.Timestamp(self.start)) & (days < pd.Timestamp(self.end + timedelta(days=1)))

    def is_complete(self, as_of: date) -> bool:
        """Whether the last day has passed."""
        return self.end <= as_of


def quarter(day: date, calendar: Calendar = Calendar()) -> Period:
    """The fiscal quarter that holds a day.

    Labels are ``2026Q3`` where the fiscal year is the calendar year, else ``FY27Q1``.

    Examples
    --------
    >>> quarter(date(2026, 8, 15))
    Period(label='2026Q3', start=datetime.date(2026, 7, 1), end=datetime.date(2026, 9, 30))
    >>> quarter(date(2026, 8, 15), Calendar(start_month=7)).label
    'FY27Q1'
    >>> quarter(date(2026, 8, 15), Calendar(start_month=7, named_by="start")).label
    'FY26Q1'
    """
    ahead = (day.month - calendar.start_month) % 12
    start = _add_months(day.replace(day=1), -(ahead % 3))
    end = _add_months(start, 3) - timedelta(days=1)
    number = ahead // 3 + 1
    year = _fiscal_year(day, calendar)
    return Period(f"{year}Q{number}" if calendar.start_month == 1 else f"FY{year % 100:02d}Q{number}", start, end)


def month(day: date) -> Period:
    """The calendar month that holds a day.

    Examples
    --------
    >>> month(date(2026, 2, 3))
    Period(label='2026-02', start=datetime.date(2026, 2, 1), end=datetime.date(2026, 2, 28))
    """
    return Period(f"{day:%Y-%m}", day.replace(day=1), day.replace(day=monthrange(day.year, day.month)[1]))


def year(day: date, calendar: Calendar = Calendar()) -> Period:
    """The fiscal year that holds a day.

    Examples
    --------
    >>> year(date(2026, 8, 15), Calendar(start_month=7))
    Period(label='FY27', start=datetime.date(2026, 7, 1), end=datetime.date(2027, 6, 30))
    """
    start = _add_months(day.replace(day=1), -((day.month - calendar.start_month) % 12))
    number = _fiscal_year(day, calendar)
    label = str(number) if calendar.start_month == 1 else f"FY{number % 100:02d}"
    return Period(label, start, _add_months(start, 12) - timedelta(days=1))


def week(day: date) -> Period:
    """The ISO week, Monday to Sunday, that holds a day.

    Examples
    --------
    >>> week(date(2026, 9, 30))
    Period(label='2026-W40', start=datetime.date(2026, 9, 28), end=datetime.date(2026, 10, 4))
    """
    start = day - timedelta(days=day.weekday())
    iso = start.isocalendar()
    return Period(f"{iso.year}-W{iso.week:02d}", start, start + timedelta(days=6))


def resolve(text: str, *, as_of: date, calendar: Calendar = Calendar(), first: date | None = None) -> Period:
    """The period a parameter names, seen from `as_of`.

    Parameters
    ----------
    text
        ``last_quarter`` (the latest that ended on or before `as_of`), ``this_quarter``, the
        same for ``week``, ``month`` and ``year``; ``2026Q3`` (calendar quarter), ``FY27Q1`` or
        ``FY27`` (fiscal), ``2026-07``, ``2026``, ``2026-07-01/2026-09-30``, or ``all``.
    as_of
        Last day whose information may be used.
    calendar
        The fiscal calendar.
    first
        Where ``all`` starts: the day of the first record.

    Raises
    ------
    ParameterError
        A text none of these forms reads, an end before its start, or a period that begins
        after `as_of`.

    Examples
    --------
    >>> resolve("last_quarter", as_of=date(2026, 9, 30)).label
    '2026Q3'
    >>> resolve("last_quarter", as_of=date(2026, 9, 29)).label
    '2026Q2'
    >>> resolve("FY27Q1", as_of=date(2026, 9, 30), calendar=Calendar(start_month=7)).start
    datetime.date(2026, 7, 1)
    """
    text = str(text).strip()
    if text == "all":
        return Period("all", min(first or as_of, as_of), as_of)
    found = _relative(text, as_of, calendar) if text in _RELATIVE else _absolute(text, as_of, calendar)
    if found is None:
        raise checks.ParameterError(
            f"period: cannot read '{text}'. Use {_WORDS}.{checks.did_you_mean(text, _RELATIVE)}"
        )
    if found.end < found.start:
        raise checks.ParameterError(f"period: '{text}' ends before it starts. Write the earlier day first.")
    if found.start > as_of:
        raise checks.ParameterError(
            f"period: '{text}' begins {found.start}, after the data's last day {as_of}. Choose an earlier one."
        )
    return found


def previous(period: Period, calendar: Calendar = Calendar()) -> Period:
    """The period of the same kind just before.

    Examples
    --------
    >>> previous(quarter(date(2026, 2, 1))).label
    '2025Q4'
    >>> previous(Period("2026-07-06/2026-07-12", date(2026, 7, 6), date(2026, 7, 12))).start
    datetime.date(2026, 6, 29)
    """
    kind = _kind(period, calendar)
    last = period.start - timedelta(days=1)
    return kind(last) if kind else _span(period.start - timedelta(days=period.days), last)


def year_before(period: Period, calendar: Calendar = Calendar()) -> Period:
    """The same period one year earlier; for a week, 52 weeks earlier.

    Examples
    --------
    >>> year_before(quarter(date(2026, 2, 1))).label
    '2025Q1'
    """
    kind = _kind(period, calendar)
    if kind:
        return kind(period.start - timedelta(weeks=52)) if period.days == 7 else kind(_add_months(period.start, -12))
    return _span(_add_months(period.start, -12), _add_months(period.end, -12))


def same_position(earlier: Period, period: Period, as_of: date) -> Period:
    """As much of an earlier period as has passed of this one; all of it once this one is complete.

    Deals bunch at the end of a quarter, so a part is never compared with a whole.

    Examples
    --------
    >>> now, before = quarter(date(2026, 8, 1)), quarter(date(2026, 5, 1))
    >>> same_position(before, now, date(2026, 7, 17))
    Period(label='2026Q2, first 17 days', start=datetime.date(2026, 4, 1), end=datetime.date(2026, 4, 17))
    >>> same_position(before, now, date(2026, 9, 30)) == before
    True
    """
    if period.is_complete(as_of):
        return earlier
    days = (as_of - period.start).days + 1
    end = min(earlier.end, earlier.start + timedelta(days=days - 1))
    return Period(f"{earlier.label}, first {days} {'days' if days > 1 else 'day'}", earlier.start, end)


def quarter_ahead(as_of: date, calendar: Calendar = Calendar()) -> Period:
    """The quarter to forecast: the one still running, or the next once it has ended.

    Examples
    --------
    >>> quarter_ahead(date(2026, 9, 30)).label, quarter_ahead(date(2026, 9, 29)).label
    ('2026Q4', '2026Q3')
    """
    return quarter(as_of + timedelta(days=1), calendar)


def trailing_quarters(period: Period, n: int, calendar: Calendar = Calendar()) -> list[Period]:
    """The `n` fiscal quarters up to the one that holds the period's last day, oldest first.

    Examples
    --------
    >>> [each.label for each in trailing_quarters(quarter(date(2026, 2, 1)), 3)]
    ['2025Q3', '2025Q4', '2026Q1']
    """
    found = [quarter(period.end, calendar)]
    while len(found) < n:
        found.append(previous(found[-1], calendar))
    return found[::-1]


def trailing_months(period: Period, n: int) -> list[Period]:
    """The `n` calendar months up to the one that holds the period's last day, oldest first.

    Examples
    --------
    >>> [each.label for each in trailing_months(quarter(date(2026, 2, 1)), 4)]
    ['2025-12', '2026-01', '2026-02', '2026-03']
    """
    return [month(_add_months(period.end.replace(day=1), back)) for back in range(1 - n, 1)]


def quarters_between(first: date, last: date, calendar: Calendar = Calendar()) -> list[Period]:
    """Every fiscal quarter from the one that holds `first` to the one that holds `last`.

    Examples
    --------
    >>> [each.label for each in quarters_between(date(2025, 12, 31), date(2026, 4, 1))]
    ['2025Q4', '2026Q1', '2026Q2']
    """
    found = [quarter(first, calendar)]
    while found[-1].end < last:
        found.append(quarter(found[-1].end + timedelta(days=1), calendar))
    return found


def quarter_labels(days: pd.Series, calendar: Calendar = Calendar()) -> pd.Series:
    """Label of the fiscal quarter of each date; missing stays missing.

    Examples
    --------
    >>> quarter_labels(pd.Series(pd.to_datetime(["2026-08-15", None])), Calendar(7)).tolist()
    ['FY27Q1', nan]
    """
    starts = quarter_starts(days, calendar)
    labels = {start: quarter(start.date(), calendar).label for start in starts.dropna().unique()}
    return starts.map(labels).astype("str")


def quarter_starts(days: pd.Series, calendar: Calendar = Calendar()) -> pd.Series:
    """First day of the fiscal quarter of each date; missing stays missing.

    Examples
    --------
    >>> quarter_starts(pd.Series(pd.to_datetime(["2026-08-15", None])), Calendar(2)).dt.date.tolist()
    [datetime.date(2026, 8, 1), NaT]
    """
    return _starts(days, calendar, 3)


def year_starts(days: pd.Series, calendar: Calendar = Calendar()) -> pd.Series:
    """First day of the fiscal year of each date; missing stays missing.

    Examples
    --------
    >>> year_starts(pd.Series(pd.to_datetime(["2026-01-15", None])), Calendar(2)).dt.date.tolist()
    [datetime.date(2025, 2, 1), NaT]
    """
    return _starts(days, calendar, 12)


def _starts(days: pd.Series, calendar: Calendar, months: int) -> pd.Series:
    first = days.dt.year * 12 + days.dt.month - 1 - (days.dt.month - calendar.start_month) % months
    parts = {"year": first // 12, "month": first % 12 + 1, "day": first * 0 + 1}
    return pd.to_datetime(pd.DataFrame(parts)).astype("datetime64[us]")


def _relative(text: str, as_of: date, calendar: Calendar) -> Period:
    when, unit = text.split("_")
    kind = {
        "quarter": lambda d: quarter(d, calendar),
        "year": lambda d: year(d, calendar),
        "month": month,
        "week": week,
    }
    current = kind[unit](as_of)
    is_current = when == "this" or current.is_complete(as_of)
    return current if is_current else previous(current, calendar)


def _absolute(text: str, as_of: date, calendar: Calendar) -> Period | None:
    try:
        if found := re.fullmatch(r"(\d{4})-?Q([1-4])", text):
            return quarter(date(int(found[1]), 3 * int(found[2]) - 2, 1))
        if found := re.fullmatch(r"FY(\d{2}|\d{4})(?:-?Q([1-4]))?", text):
            return _fiscal(_four_digits(int(found[1]), as_of), found[2], calendar)
        if re.fullmatch(r"\d{4}-\d{2}", text):
            return month(date.fromisoformat(f"{text}-01"))
        if re.fullmatch(r"\d{4}", text):
            return year(date(int(text), 1, 1))
        if found := re.fullmatch(r"(\d{4}-\d{2}-\d{2})/(\d{4}-\d{2}-\d{2})", text):
            return _span(date.fromisoformat(found[1]), date.fromisoformat(found[2]))
    except ValueError:  # a month 13 or a 30th of February: not a period
        return None
    return None


def _fiscal(number: int, quarter_number: str | None, calendar: Calendar) -> Period:
    is_named_by_end = calendar.named_by == "end" and calendar.start_month > 1
    start = date(number - is_named_by_end, calendar.start_month, 1)
    return (
        quarter(_add_months(start, 3 * int(quarter_number) - 3), calendar) if quarter_number else year(start, calendar)
    )


def _four_digits(number: int, as_of: date) -> int:
    """A year written with two digits is the one nearest to `as_of`."""
    century = as_of.year // 100 * 100
    return (
        number
        if number >= 100
        else min((century + number + shift for shift in (-100, 0, 100)), key=lambda y: abs(y - as_of.year))
    )


def _kind(period: Period, calendar: Calendar):
    """The function that made this period from any of its days, if one did."""
    makers = (lambda d: quarter(d, calendar), quarter, month, lambda d: year(d, calendar), year, week)
    for make in makers:
        if make(period.start) == period:
            return make
    return None


def _span(start: date, end: date) -> Period:
    return Period(f"{start}/{end}", start, end)


def _fiscal_year(day: date, calendar: Calendar) -> int:
    is_named_by_end = calendar.named_by == "end" and calendar.start_month > 1
    return day.year - (day.month < calendar.start_month) + is_named_by_end


def _add_months(day: date, n: int) -> date:
    months = day.year * 12 + day.month - 1 + n
    year_number, month_number = divmod(months, 12)
    return date(year_number, month_number + 1, min(day.day, monthrange(year_number, month_number + 1)[1]))
