"""Hours between two moments, all of them or only those of a working week."""

import re
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from salesops import checks

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_FORM = re.compile(r"([A-Za-z]{3})(?:-([A-Za-z]{3}))? (\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")
_HOUR = np.timedelta64(3600 * 1_000_000, "us")


@dataclass(frozen=True)
class Week:
    """The hours that count: the same span on each working day, none on a holiday."""

    days: tuple[bool, ...]  # Monday first
    opens: float  # hours after midnight
    closes: float
    holidays: tuple[date, ...] = ()


def week(text: str, *, holidays: tuple[date, ...] = ()) -> Week | None:
    """The working week a parameter names; an empty text is none: every hour counts.

    Parameters
    ----------
    text
        Such as ``Mon-Fri 09:00-17:00``, in the time zone of the data.
    holidays
        Days on which nobody works.

    Raises
    ------
    ParameterError
        Another form, an unknown day, or hours that end before they begin.

    Examples
    --------
    >>> week("Mon-Fri 08:30-17:00").opens, week("") is None
    (8.5, True)
    """
    if not text:
        return None
    found = _FORM.fullmatch(text.strip())
    first, last = (found[1].title(), (found[2] or found[1]).title()) if found else ("", "")
    if first not in _DAYS or last not in _DAYS:
        raise checks.ParameterError(f"working hours: cannot read '{text}'. Write them as Mon-Fri 09:00-17:00.")
    opens, closes = (int(found[at]) + int(found[at + 1]) / 60 for at in (3, 5))
    if not 0 <= opens < closes <= 24:
        raise checks.ParameterError(f"working hours: '{text}' ends before it begins, or is not within one day.")
    begin, end = _DAYS.index(first), _DAYS.index(last)
    days = tuple((place - begin) % 7 <= (end - begin) % 7 for place in range(7))
    return Week(days, opens, closes, tuple(holidays))


def hours_between(start: pd.Series, end: pd.Series, working: Week | None = None) -> pd.Series:
    """Hours from one moment to another, of a working week or all; missing where either is.

    Negative where the end comes first and any counted hour lies between.

    Parameters
    ----------
    start, end
        Timestamps of one index, in the time zone of the working week.
    working
        Which hours count; all of them without one.

    Examples
    --------
    >>> moments = lambda *texts: pd.Series(pd.to_datetime(list(texts)))
    >>> start, end = moments("2026-07-03 16:00", "2026-07-04 12:00"), moments("2026-07-06 10:00", "2026-07-04 13:00")
    >>> hours_between(start, end).tolist()
    [66.0, 1.0]
    >>> hours_between(start, end, week("Mon-Fri 09:00-17:00")).tolist()
    [2.0, 0.0]
    """
    if working is None:
        return (end - start) / pd.Timedelta(hours=1)
    return _worked(end, working) - _worked(start, working)


def _worked(moments: pd.Series, working: Week) -> pd.Series:
    """Working hours from a fixed day up to each moment."""
    known = moments.dropna()
    at = known.to_numpy("datetime64[us]")
    day = at.astype("datetime64[D]")
    calendar = np.busdaycalendar(list(working.days), [np.datetime64(each) for each in working.holidays])
    # Long before any record: counting backwards, busday_count leaves out the other end of the span.
    whole = np.busday_count(np.datetime64("1900-01-01"), day, busdaycal=calendar)
    today = np.clip((at - day) / _HOUR, working.opens, working.closes) - working.opens
    hours = whole * (working.closes - working.opens) + today * np.is_busday(day, busdaycal=calendar)
    return pd.Series(hours, index=known.index, dtype=float).reindex(moments.index)
