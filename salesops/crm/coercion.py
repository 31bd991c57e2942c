"""From text to typed columns: numbers, dates, times and booleans as CRMs write them.

Each function takes a column and gives a `Parsed`: the values, which filled cells could not
be read, and what a reader should know. Each distinct text is parsed once.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

TRUE = ("true", "t", "yes", "y", "1", "1.0")
FALSE = ("false", "f", "no", "n", "0", "0.0")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

_PLAIN = r"^[+-]?\d+(\.\d+)?([eE][+-]?\d+)?$"
_POINT = r"^(\d{1,3}(,\d{3})+|\d*)(\.\d*)?$"
_COMMA = r"^(\d{1,3}(\.\d{3})+|\d*)(,\d*)?$"
# reads as a thousand and something, or as one and three decimals
_TWO_WAYS = r"^[+-]?[1-9]\d{0,2}\.\d{3}$"
_ISO = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?$"
_ISO_LENGTHS = {10, 16, 19, *range(21, 27)}
_TIME = r"(?:[T ,]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}(?:[.,]\d+)?))?)?"
_TAIL = r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?\s*(?P<offset>Z|UTC|GMT|[+-]\d{2}:?\d{2})?$"
_YEAR_FIRST = r"^(?P<year>\d{4})[-/.]?(?P<month>\d{2})[-/.]?(?P<day>\d{2})"
_LOOSE_YEAR_FIRST = r"^(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})"
_YEAR_LAST = r"^(?P<first>\d{1,2})[-/. ]{1,2}(?P<second_part>\d{1,2})[-/. ]{1,2}(?P<year>\d{4}|\d{2})"
_DAY_NAME_MONTH = r"^(?P<day>\d{1,2})[-/. ]{1,2}(?P<name>[A-Za-z]{3,9})[-/., ]{1,2}(?P<year>\d{4}|\d{2})"
_NAME_MONTH_DAY = r"^(?P<name>[A-Za-z]{3,9})\.? (?P<day>\d{1,2}),? (?P<year>\d{4})"


class Parsed(NamedTuple):
    """Typed values, the filled cells that could not be read, a fault of the whole column, a note."""

    values: pd.Series
    bad: pd.Series
    fault: str | None = None
    note: str | None = None


def numbers(column: pd.Series, *, decimal: str | None = None) -> Parsed:
    """Numbers and money, with either decimal mark, grouping, signs and currency marks.

    Which mark is the decimal one is decided from the whole column; a column whose every
    number reads two ways (``1.200``) is a fault unless ``decimal`` says it.

    Examples
    --------
    >>> numbers(pd.Series(["$22,700.00", "(1,200)", "12 %", None])).values.tolist()
    [22700.0, -1200.0, 12.0, nan]
    >>> numbers(pd.Series(["1.234,56", "7"])).values.tolist()
    [1234.56, 7.0]
    >>> numbers(pd.Series(["1.200", "3.500"])).fault
    'a number such as 1.200 reads two ways'
    """
    if not _is_text(column):
        values = pd.to_numeric(column, errors="coerce").astype("float64").replace([np.inf, -np.inf], np.nan)
        return Parsed(values, column.notna() & values.isna())
    distinct, spread = distinct_of(column)
    if _all_match(distinct, _PLAIN):
        values = _floats(distinct)
        fault = _two_ways(distinct) if decimal is None else None
        if decimal == ",":
            values = _marked_numbers(distinct, decimal)[0]
    else:
        values, fault = _marked_numbers(distinct, decimal)
    values = values.where(np.isfinite(values))
    spread_values = spread(values)
    return Parsed(spread_values, column.notna() & spread_values.isna(), fault)


def moments(column: pd.Series, *, order: str | None = None, zone: str = "UTC", as_date: bool = False) -> Parsed:
    """Dates and times: UTC moments, or the days they fall on in the source's time zone.

    Without ``order`` (``dmy``, ``mdy``, ``ymd`` or a format) the column as a whole has to
    tell it; where it cannot, that is a fault. A time without an offset is local to ``zone``.

    Examples
    --------
    >>> moments(pd.Series(["2015-11-20 10:59:00.000000018"]), as_date=True).values.astype(str).tolist()
    ['2015-11-20']
    >>> moments(pd.Series(["31/12/2024", "01/02/2024"])).values.dt.month.tolist()
    [12, 2]
    >>> moments(pd.Series(["01/02/2024"])).fault
    'day and month cannot be told apart'
    """
    if pd.api.types.is_datetime64_any_dtype(column):
        aware = column.dt.tz is not None
        values = _settle(column.dt.tz_convert("UTC") if aware else column, zone, as_date, aware=aware)
        return Parsed(values, column.notna() & values.isna())
    text = column if _is_text(column) else _as_text(column)
    plain = None if order and "%" in order else _iso(text)
    if plain is not None:
        return Parsed(_settle(plain, zone, as_date), pd.Series(False, index=column.index))
    distinct, spread = distinct_of(text)
    values, fault = _moments_of(distinct, order, zone, as_date)
    spread_values = spread(values)
    return Parsed(spread_values, column.notna() & spread_values.isna(), fault)


def booleans(column: pd.Series) -> Parsed:
    """Yes and no, in the ways CRMs write them.

    Examples
    --------
    >>> booleans(pd.Series(["TRUE", "no", "1", "perhaps"])).values.tolist()
    [True, False, True, <NA>]
    """
    if pd.api.types.is_bool_dtype(column):
        return Parsed(column.astype("boolean"), pd.Series(False, index=column.index))
    distinct, spread = distinct_of(column if _is_text(column) else _as_text(column))
    words = distinct.str.lower()
    values = pd.Series(pd.NA, index=distinct.index, dtype="boolean")
    values[words.isin(TRUE)] = True
    values[words.isin(FALSE)] = False
    spread_values = spread(values)
    return Parsed(spread_values, column.notna() & spread_values.isna())


def texts(column: pd.Series, *, is_id: bool = False) -> Parsed:
    """Text; ids that a spreadsheet turned into decimals, the whole column, lose the ``.0``.

    Examples
    --------
    >>> texts(pd.Series(["84.0", "7.0"]), is_id=True).values.tolist()
    ['84', '7']
    >>> texts(pd.Series(["84.0", "A7"]), is_id=True).values.tolist()
    ['84.0', 'A7']
    """
    values = column if _is_text(column) else _as_text(column)
    nothing_bad = pd.Series(False, index=column.index)
    first = values.first_valid_index() if is_id else None
    if first is not None and _all_match(values.loc[[first]], r"^\d+\.0+$"):
        distinct, spread = distinct_of(values)
        if _all_match(distinct, r"^\d+\.0+$"):
            values = spread(distinct.str.replace(r"\.0+$", "", regex=True)).astype("str")
            return Parsed(values, nothing_bad, note="written as decimals (84.0), read as whole numbers (84)")
    return Parsed(values.astype("str"), nothing_bad)


def rates(column: pd.Series, *, decimal: str | None = None) -> Parsed:
    """Probabilities as 0-1, whether they were written 0-1 or 0-100: the whole column tells.

    Examples
    --------
    >>> rates(pd.Series(["10", "75"])).values.tolist()
    [0.1, 0.75]
    >>> rates(pd.Series(["0.1", "1"])).note
    'read as 0-1'
    """
    parsed = numbers(column, decimal=decimal)
    highest = parsed.values.max()
    if not parsed.values.notna().any():
        return parsed
    is_percent = highest > 1 or (_is_text(column) and column.str.contains("%", regex=False).any())
    values = parsed.values / 100 if is_percent else parsed.values
    return parsed._replace(values=values, note="read as 0-100" if is_percent else "read as 0-1")


def _is_text(column: pd.Series) -> bool:
    return pd.api.types.is_string_dtype(column)


def _as_text(column: pd.Series) -> pd.Series:
    """Text of a typed column; whole floats without the ``.0`` Parquet gives a column with gaps."""
    if (
        pd.api.types.is_float_dtype(column)
        and (column.dropna() % 1 == 0).all()
        and (column.dropna().abs() < 2**63).all()
    ):
        column = column.astype("Int64")
    return column.astype("string").astype("str")


def distinct_of(column: pd.Series) -> tuple[pd.Series, Callable[[pd.Series], pd.Series]]:
    """The distinct texts, and how to lay a result for them out over the column again."""
    codes, found = pd.factorize(column)

    def spread(values: pd.Series) -> pd.Series:
        if not len(values):
            return pd.Series(index=column.index, dtype=values.dtype)
        is_there = codes >= 0
        laid = values.take(codes if is_there.all() else np.maximum(codes, 0))
        laid.index = column.index
        return laid if is_there.all() else laid.where(is_there)

    return pd.Series(found, dtype="str"), spread


def _all_match(text: pd.Series, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(pa.array(text, type=pa.string()), pattern)).as_py() is not False)


def _floats(text: pd.Series) -> pd.Series:
    unsigned = pc.utf8_ltrim(pa.array(text, type=pa.string()), "+")
    return pd.Series(unsigned.cast(pa.float64()).to_numpy(zero_copy_only=False), index=text.index)


def _two_ways(text: pd.Series) -> str | None:
    pointed = text[text.str.contains(".", regex=False)]
    if len(pointed) and _all_match(pointed, _TWO_WAYS):
        return f"a number such as {pointed.iloc[0]} reads two ways"
    return None


def _marked_numbers(text: pd.Series, decimal: str | None) -> tuple[pd.Series, str | None]:
    bare = text.str.replace(r"[\s\u00a0\u202f'’%$€£¥]", "", regex=True).str.replace("−", "-", regex=False)
    bare = bare.str.replace(r"^[A-Za-z]{3}(?=[\d(+.-])|(?<=[\d)])[A-Za-z]{3}$", "", regex=True)
    bracketed = bare.str.match(r"^\(.*\)$") | bare.str.endswith("-")
    negative = bracketed | bare.str.startswith("-")
    body = bare.str.replace(r"^[(+-]|[)-]$", "", regex=True)
    point = body.str.match(_POINT) & body.str.contains(r"\d")
    comma = body.str.match(_COMMA) & body.str.contains(r"\d")
    is_comma = decimal == "," if decimal else bool(comma.sum() > point.sum())
    fault = None if decimal or is_comma or not comma[point].all() else _two_ways(body)
    grouped, mark = (".", ",") if is_comma else (",", ".")
    plain = body.str.replace(grouped, "", regex=False).str.replace(mark, ".", regex=False)
    values = pd.to_numeric(plain.where(comma if is_comma else point), errors="coerce").astype("float64")
    return values.where(~negative, -values), fault


def _iso(text: pd.Series) -> pd.Series | None:
    """Local moments of a column that is all `_ISO`, the common case; none where a cell is anything else.

    Arrow reads what `_ISO` allows and some more, which these lengths tell apart: hours without minutes, or
    minutes without a colon.
    """
    cells = pa.array(text, type=pa.large_string())
    lengths = pc.unique(pc.binary_length(cells)).drop_null().to_pylist()
    if not lengths or not _ISO_LENGTHS.issuperset(lengths):
        return None
    try:
        return pd.Series(cells.cast(pa.timestamp("us")).to_numpy(zero_copy_only=False), index=text.index)
    except pa.ArrowInvalid:
        return None


def _moments_of(text: pd.Series, order: str | None, zone: str, as_date: bool) -> tuple[pd.Series, str | None]:
    if order and "%" in order:
        return _settle(pd.to_datetime(text, format=order, errors="coerce"), zone, as_date), None
    if _all_match(text, _ISO):
        return _settle(pd.to_datetime(text, format="ISO8601", errors="coerce"), zone, as_date), None
    parts = _parts(text)
    fault = None
    if parts["first"].notna().any():
        order = order if order in ("dmy", "mdy") else None
        if order is None:
            order, fault = _order(parts["first"], parts["second_part"])
        days, months = ("first", "second_part") if order == "dmy" else ("second_part", "first")
        parts["day"] = parts["day"].fillna(parts[days])
        parts["month"] = parts["month"].fillna(parts[months])
    local, aware = _composed(parts)
    values = _settle(local, zone, as_date)
    if aware.any():
        values[aware] = _settle((local - parts["shift"])[aware], zone, as_date, aware=True)
    return values, fault


def _order(first: pd.Series, second: pd.Series) -> tuple[str | None, str | None]:
    """Which of two numbers is the day: one above 12 tells; equal pairs need no telling."""
    day_first, month_first = (first > 12).any(), (second > 12).any()
    if day_first and month_first:
        return None, "day and month come in both orders"
    if not day_first and not month_first and (first != second)[first.notna()].any():
        return None, "day and month cannot be told apart"
    return "dmy" if day_first else "mdy", None


def _parts(text: pd.Series) -> pd.DataFrame:
    """Year, month, day and time of each text, from the first layout that fits it."""
    names = ["year", "month", "day", "first", "second_part", "name", "hour", "minute", "second", "half", "offset"]
    parts = pd.DataFrame(index=text.index, columns=names, dtype="str")
    for layout in (_YEAR_FIRST, _LOOSE_YEAR_FIRST, _YEAR_LAST, _DAY_NAME_MONTH, _NAME_MONTH_DAY):
        left = parts["year"].isna()
        if left.any():
            found = text[left].str.extract(layout + _TIME + _TAIL)
            parts.loc[left, found.columns] = found
    parts["second"] = parts["second"].str.replace(",", ".", regex=False)
    shift = parts["offset"].str.extract(r"(?P<sign>[+-])(?P<hours>\d{2}):?(?P<minutes>\d{2})")
    minutes = _number(shift["hours"]) * 60 + _number(shift["minutes"])
    minutes = minutes.where(shift["sign"] != "-", -minutes).fillna(0)
    by_name = parts["name"].str.lower().str[:3].map({name: str(i) for i, name in enumerate(MONTHS, start=1)})
    parts["month"] = parts["month"].fillna(by_name)
    numeric = {name: _number(parts[name]) for name in names if name not in ("name", "half", "offset")}
    return pd.DataFrame(numeric).assign(
        half=parts["half"].str.lower().str[0],
        is_aware=parts["offset"].notna(),
        shift=pd.to_timedelta(minutes, unit="min"),
    )


def _number(text: pd.Series) -> pd.Series:
    return pd.to_numeric(text, errors="coerce").astype("float64")


def _composed(parts: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    year = parts["year"]
    year = year.where(year >= 100, year + np.where(year < 69, 2000, 1900))
    days = pd.to_datetime(pd.DataFrame({"year": year, "month": parts["month"], "day": parts["day"]}), errors="coerce")
    hour = parts["hour"].fillna(0)
    hour = hour.where(parts["half"] != "p", hour % 12 + 12).where(parts["half"] != "a", hour % 12)
    seconds = hour * 3600 + parts["minute"].fillna(0) * 60 + parts["second"].fillna(0)
    seconds = seconds.where((hour < 24) & ~(parts["minute"] > 59))
    whole = (seconds * 1e6).round()
    return days.astype("datetime64[us]") + pd.to_timedelta(whole.astype("Int64"), unit="us"), parts["is_aware"]


def _settle(values: pd.Series, zone: str, as_date: bool, *, aware: bool = False) -> pd.Series:
    """Naive UTC moments, or naive local days, of local or (``aware``) UTC moments."""
    if values.dt.tz is not None:
        values, aware = values.dt.tz_convert("UTC").dt.tz_localize(None), True
    values = values.astype("datetime64[us]")
    if as_date:
        local = values.dt.tz_localize("UTC").dt.tz_convert(zone).dt.tz_localize(None) if aware else values
        return local.dt.normalize()
    return values if aware or zone == "UTC" else to_utc(values, zone)


def to_utc(local: pd.Series, zone: str) -> pd.Series:
    """Local clock times as naive UTC; an hour that comes twice is the first, one that never comes moves on."""
    first = np.ones(len(local), dtype=bool)
    return (
        local.dt.tz_localize(zone, ambiguous=first, nonexistent="shift_forward")
        .dt.tz_convert("UTC")
        .dt.tz_localize(None)
    )
