"""Cells: what is counted, stated once, and counted by whoever holds the rows.

A cell stands for all rows that are alike in its keys; its ``n`` says how many. Keys keep the names of the columns they
are made of, so a function that takes rows takes their cells too, where it needs no more than the keys. A statement is
made of terms; `count` counts a frame, `sql` states a term in DuckDB's SQL, for `crm.counted` to hand to a file or a
warehouse.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

import numpy as np
import pandas as pd

from salesops import checks
from salesops.periods import Period

_DAY = pd.Timedelta(days=1)


class Term(NamedTuple):
    """A value made of the columns of a row: what is done, and to what."""

    does: str
    parts: tuple


class Counted(NamedTuple):
    """What is counted: rows where a condition holds, alike in their keys, with sums; a name is a column."""

    keys: Mapping[str, Term | str]
    sums: Mapping[str, Term | str] = {}
    where: Term | str | None = None


def column(name: str) -> Term:
    """The value of a column; wherever a term is asked for, its name does."""
    return Term("column", (name,))


def stated(value: str | date) -> Term:
    """The same text or day for every row."""
    return Term("stated", (value,))


def day(of: Term | str) -> Term:
    """The midnight at which the day of a moment began.

    Examples
    --------
    >>> rows = pd.DataFrame({"at": pd.to_datetime(["2026-07-31 17:00", None])})
    >>> value(day("at"), rows).dt.strftime("%d %H").tolist()
    ['31 00', nan]
    """
    return Term("day", (as_term(of),))


def month(of: Term | str) -> Term:
    """The first day of the month of a moment: cells of it serve every period of whole months.

    Examples
    --------
    >>> value(month("at"), pd.DataFrame({"at": pd.to_datetime(["2026-07-31 17:00"])}))[0]
    Timestamp('2026-07-01 00:00:00')
    """
    return Term("month", (as_term(of),))


def within(of: Term | str, periods: Sequence[Period]) -> Term:
    """The first day of the period a moment lies in; missing outside all of them.

    Examples
    --------
    >>> july = Period("July", date(2026, 7, 1), date(2026, 7, 31))
    >>> value(within("at", [july]), pd.DataFrame({"at": pd.to_datetime(["2026-07-31", "2026-08-01"])})).tolist()
    [Timestamp('2026-07-01 00:00:00'), NaT]
    """
    return Term("within", (as_term(of), tuple(periods)))


def first(*terms: Term | str) -> Term:
    """The first that is known.

    Examples
    --------
    >>> value(first("a", "b"), pd.DataFrame({"a": [1.0, None], "b": [2.0, 3.0]})).tolist()
    [1.0, 3.0]
    """
    return Term("first", tuple(map(as_term, terms)))


def when(condition: Term | str, then: Term | str, otherwise: Term | str | None = None) -> Term:
    """One value where a condition holds, and another, or none, where it does not or is not known.

    Examples
    --------
    >>> value(when("is_won", stated("won")), pd.DataFrame({"is_won": [True, False]})).tolist()
    ['won', nan]
    """
    return Term("when", (as_term(condition), as_term(then), None if otherwise is None else as_term(otherwise)))


def known(of: Term | str) -> Term:
    """Whether there is a value.

    Examples
    --------
    >>> value(known("a"), pd.DataFrame({"a": [1.0, None]})).tolist()
    [True, False]
    """
    return Term("known", (as_term(of),))


def at_most(one: Term | str, other: Term | str) -> Term:
    """Whether one value does not pass another; where either is not known it does.

    Examples
    --------
    >>> value(at_most("a", "b"), pd.DataFrame({"a": [1.0, 2.0, None], "b": [1.0, 1.0, 1.0]})).tolist()
    [True, False, False]
    """
    return Term("at_most", (as_term(one), as_term(other)))


def both(one: Term | str, other: Term | str) -> Term:
    """Whether both of two conditions hold; one that is not known does not.

    Examples
    --------
    >>> value(both("a", "b"), pd.DataFrame({"a": [True, True], "b": [True, False]})).tolist()
    [True, False]
    """
    return Term("both", (as_term(one), as_term(other)))


def days(start: Term | str, end: Term | str) -> Term:
    """Whole days of the calendar from one moment to another.

    Examples
    --------
    >>> rows = pd.DataFrame({"a": pd.to_datetime(["2026-07-01 23:00"]), "b": pd.to_datetime(["2026-07-03 01:00"])})
    >>> value(days("a", "b"), rows).tolist()
    [2.0]
    """
    return Term("days", (as_term(start), as_term(end)))


def count(rows: pd.DataFrame, counted: Counted) -> pd.DataFrame:
    """The cells of a frame's rows, or of its cells: those with ``n`` count so often.

    Parameters
    ----------
    rows
        With the columns of the statement, and ``n`` where they are cells.
    counted
        What is counted.

    Returns
    -------
    DataFrame
        One row per combination of keys found, in their order, a missing key last: the keys, ``n`` and the sums
        (missing where no row has a value). Without rows, no cells.

    Examples
    --------
    >>> deals = pd.DataFrame({"segment": ["SMB", None, "SMB"], "is_won": [True, True, False], "amount": [5.0, 2, 1]})
    >>> count(deals, Counted({"segment": "segment"}, {"amount": "amount"}, where="is_won"))
      segment  n  amount
    0     SMB  1     5.0
    1     NaN  1     2.0
    """
    needed = sorted(columns(counted))
    checks.require_columns(rows, needed, where="the rows to count")
    kept = (
        rows if counted.where is None else rows[value(as_term(counted.where), rows).fillna(False).to_numpy(dtype=bool)]
    )
    made = {name: value(as_term(term), kept) for name, term in (counted.keys | counted.sums).items()}
    frame = pd.DataFrame({"n": weight(kept), **made}, index=kept.index)
    groups = frame.groupby(list(counted.keys), dropna=False, observed=True, sort=False)
    sums = groups["n"].sum().to_frame().join(groups[list(counted.sums)].sum(min_count=1))
    return tidy(sums.reset_index(), counted)


def weight(rows: pd.DataFrame) -> np.ndarray:
    """How many each row stands for: its ``n``, or one.

    Examples
    --------
    >>> weight(pd.DataFrame({"a": [5, 6]})).tolist(), weight(pd.DataFrame({"n": [2, 3]})).tolist()
    ([1, 1], [2, 3])
    """
    return rows["n"].to_numpy(dtype=np.int64) if "n" in rows else np.ones(len(rows), dtype=np.int64)


def total(rows: pd.DataFrame) -> int:
    """How many the rows stand for together.

    Examples
    --------
    >>> total(pd.DataFrame({"a": [5, 6]})), total(pd.DataFrame({"n": [2, 3]}))
    (2, 5)
    """
    return int(rows["n"].sum()) if "n" in rows else len(rows)


def tidy(found: pd.DataFrame, counted: Counted) -> pd.DataFrame:
    """Cells typed and in order, whoever counted them: the same frame from a frame, a file and a warehouse."""
    keys = {name: typed(found[name]) for name in counted.keys}
    sums = {name: found[name].astype("float64") for name in counted.sums}
    table = pd.DataFrame({**keys, "n": found["n"].astype("int64"), **sums})
    return table.sort_values(list(counted.keys), ignore_index=True) if keys else table


def typed(key: pd.Series) -> pd.Series:
    """Numbers, truths, moments and names each in one type, so that cells compare whoever counted them.

    Examples
    --------
    >>> typed(pd.Series(["a", None], dtype="category")).dtype, typed(pd.Series([1, 2])).dtype
    (<StringDtype(na_value=nan)>, dtype('float64'))
    """
    kind = pd.api.types
    if isinstance(key.dtype, pd.CategoricalDtype):
        key = key.astype(key.cat.categories.dtype)
    if kind.is_bool_dtype(key.dtype):
        return key.astype("boolean" if key.isna().any() else "bool")
    if kind.is_datetime64_any_dtype(key.dtype):
        return key.astype("datetime64[us]")
    if kind.is_numeric_dtype(key.dtype):
        return key.astype("float64")
    return key.astype("str")


def columns(counted: Counted) -> set[str]:
    """The columns a statement needs.

    Examples
    --------
    >>> sorted(columns(Counted({"days": days("created_date", "close_date")}, where="is_won")))
    ['close_date', 'created_date', 'is_won']
    """
    terms = [*counted.keys.values(), *counted.sums.values(), *([counted.where] if counted.where else [])]
    return set().union(*(_columns(as_term(term)) for term in terms))


def value(term: Term | str, rows: pd.DataFrame) -> pd.Series:
    """A term of every row of a frame."""
    does, parts = as_term(term)
    of = [value(part, rows) if isinstance(part, Term) else part for part in parts]
    match does:
        case "column":
            return rows[parts[0]]
        case "stated":
            constant = parts[0] if isinstance(parts[0], str) else pd.Timestamp(parts[0]).as_unit("us")
            return pd.Series(constant, index=rows.index, dtype="str" if isinstance(parts[0], str) else "datetime64[us]")
        case "day":
            return of[0].dt.normalize()
        case "month":
            return of[0].dt.normalize() - pd.to_timedelta(of[0].dt.day - 1, unit="D")
        case "within":
            return _starts(of[0], parts[1])
        case "first":
            found = of[0]
            for other in of[1:]:
                found = found.fillna(other)
            return found
        case "when":
            return of[1].where(of[0]) if of[2] is None else of[1].where(of[0], of[2])
        case "known":
            return of[0].notna()
        case "at_most":
            return of[0] <= of[1]
        case "both":
            return of[0] & of[1]
        case _:
            return (of[1].dt.normalize() - of[0].dt.normalize()) / _DAY


def sql(term: Term | str) -> str:
    """A term in DuckDB's SQL.

    Examples
    --------
    >>> sql(when("is_won", first("closed_at", "close_date")))
    'CASE WHEN "is_won" THEN coalesce("closed_at", "close_date") END'
    """
    does, parts = as_term(term)
    of = [sql(part) if isinstance(part, Term) else part for part in parts]
    match does:
        case "column":
            return name_in_sql(parts[0])
        case "stated":
            return _text(parts[0]) if isinstance(parts[0], str) else _moment(parts[0])
        case "day" | "month":
            return f"CAST(date_trunc('{does}', {of[0]}) AS TIMESTAMP)"
        case "within":
            return _starts_in_sql(of[0], parts[1])
        case "first":
            return f"coalesce({', '.join(of)})"
        case "when":
            return f"CASE WHEN {of[0]} THEN {of[1]}{f' ELSE {of[2]}' if of[2] else ''} END"
        case "known":
            return f"({of[0]} IS NOT NULL)"
        case "at_most":
            return f"({of[0]} <= {of[1]})"
        case "both":
            return f"({of[0]} AND {of[1]})"
        case _:
            return f"date_diff('day', CAST({of[0]} AS DATE), CAST({of[1]} AS DATE))"


def query(counted: Counted, table: str, *, has_n: bool = False) -> str:
    """The statement as a query in DuckDB's SQL on a table, named as SQL names it.

    Amounts are added as decimals, to a millionth: a sum of floating-point numbers depends on the order of
    its rows, and several threads have none.

    Examples
    --------
    >>> print(query(Counted({"segment": "segment"}, {"amount": "amount"}, where="is_won"), "deals"))
    SELECT "segment" AS "segment", CAST(count(*) AS BIGINT) AS "n", \
CAST(sum(CAST("amount" AS DECIMAL(28, 6))) AS DOUBLE) AS "amount" FROM deals WHERE "is_won" GROUP BY 1
    """
    keys = [f"{sql(term)} AS {name_in_sql(name)}" for name, term in counted.keys.items()]
    size = f'CAST({"sum(n)" if has_n else "count(*)"} AS BIGINT) AS "n"'
    sums = [
        f"CAST(sum(CAST({sql(term)} AS DECIMAL(28, 6))) AS DOUBLE) AS {name_in_sql(name)}"
        for name, term in counted.sums.items()
    ]
    where = f" WHERE {sql(counted.where)}" if counted.where else ""
    groups = f" GROUP BY {', '.join(str(place + 1) for place in range(len(keys)))}" if keys else ""
    return f"SELECT {', '.join([*keys, size, *sums])} FROM {table}{where}{groups}"


def name_in_sql(name: str) -> str:
    """A name quoted for SQL.

    Examples
    --------
    >>> name_in_sql("size_band")
    '"size_band"'
    """
    return '"' + name.replace('"', '""') + '"'


def as_term(of: Term | str) -> Term:
    """A term, or the column of that name."""
    return of if isinstance(of, Term) else column(of)


def _columns(term: Term) -> set[str]:
    if term.does == "column":
        return {term.parts[0]}
    return set().union(*(_columns(part) for part in term.parts if isinstance(part, Term)))


def _starts(moments: pd.Series, periods: Sequence[Period]) -> pd.Series:
    found = pd.Series(pd.NaT, index=moments.index, dtype="datetime64[us]")
    for each in periods:
        found = found.mask(each.contains(moments) & found.isna(), pd.Timestamp(each.start))
    return found


def _starts_in_sql(moment: str, periods: Sequence[Period]) -> str:
    cases = [
        f"WHEN {moment} >= {_moment(each.start)} AND {moment} < {_moment(pd.Timestamp(each.end) + _DAY)} "
        f"THEN {_moment(each.start)}"
        for each in periods
    ]
    return f"CASE {' '.join(cases)} END" if cases else "CAST(NULL AS TIMESTAMP)"


def _moment(of: date) -> str:
    return f"TIMESTAMP '{pd.Timestamp(of):%Y-%m-%d %H:%M:%S}'"


def _text(of: str) -> str:
    return "'" + of.replace("'", "''") + "'"
