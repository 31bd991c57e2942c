"""Tidy frame in, figures out: the numbers of a page as the figures file lists them."""

import functools
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np
import pandas as pd

from salesops import checks, metrics, periods, words
from salesops.notes import Note

Figure = dict[str, object]
Deals = pd.DataFrame | Mapping[str, pd.DataFrame] | None


@dataclass(frozen=True)
class Scope:
    """What every figure of a page has in common.

    Parameters
    ----------
    period
        Period of figures whose row names none.
    where
        Filter that made the population.
    currency
        ISO code of amounts.
    withheld
        Field to reason, for fields too faulty to use.
    as_of, calendar
        How labels of other periods become dates.
    notes
        What people wrote about figures of the page.
    """

    period: periods.Period | None = None
    where: str = ""
    currency: str = ""
    withheld: Mapping[str, str] = field(default_factory=dict)
    as_of: date | None = None
    calendar: periods.Calendar = field(default_factory=periods.Calendar)
    notes: tuple[Note, ...] = ()

    def over(self, period: periods.Period | None) -> "Scope":
        """The same scope over another period."""
        return replace(self, period=period)


UNSCOPED = Scope()
LEVEL = 0.95  # of an interval, where a column `level` does not say another
SUPPORT = (
    "n", "level", "period", "period_start", "period_end", "p_value", "is_named", "n_compared", "is_main", "is_signal",
    "is_before", "reason", "assumes",
)  # fmt: skip


@dataclass(frozen=True)
class Columns:
    """The columns of a tidy frame by the part they play."""

    keys: list[str]
    metrics: list[str]
    label: list[str]


def columns(frame: pd.DataFrame, *, by: Iterable[str] | None = None, label: str | Iterable[str] = ()) -> Columns:
    """Which columns are keys, which are metrics and which are only labels.

    A metric is named in the registry, alone or with a statistic, and is not what another
    metric of the frame is made of: won deals beside a win rate are its numerator, counted
    over its population. Every other column is a key, except ``n``, ``n_*``, limits,
    numerators, denominators, periods, measures (columns of decimals) and labels.

    Examples
    --------
    >>> columns(pd.DataFrame({"segment": ["SMB"], "n": [4], "win_rate": [0.25], "win_rate_low": [0.05]}))
    Columns(keys=['segment'], metrics=['win_rate'], label=[])
    """
    labels = [label] if isinstance(label, str) else list(label)
    named = [column for column in frame.columns if metrics.split(column)]
    registered = [metrics.registry()[metrics.split(column)[0]] for column in named]
    parts = {part for metric in registered for part in (metric.numerator, metric.denominator)}
    known = [column for column in named if column not in parts]
    keys = [
        column
        for column in frame.columns
        if column not in {*known, *labels, *parts} and not _is_support(frame, column) and not _is_measure(frame[column])
    ]
    return Columns(keys if by is None else list(by), known, labels)


def of(
    frame: pd.DataFrame, scope: Scope = UNSCOPED, *, by: Iterable[str] | None = None, label: str | Iterable[str] = ()
) -> list[Figure]:
    """Every figure of a tidy frame, row by row.

    Parameters
    ----------
    frame
        One row per group, with metric columns and their ``_low``, ``_high``, ``n`` (or a metric's own
        ``n_<metric>``). A column
        ``period`` (with ``period_start``, ``period_end`` where known) sets the period, a
        column ``level`` the level of the intervals, else 95 %.
    scope
        What the figures have in common.
    by
        Key columns, where the names and types of the columns do not tell.
    label
        Columns that only name a row for the reader.

    Returns
    -------
    list of dict
        As in the figures file; a withheld metric has no value.
    """
    roles = columns(frame, by=by, label=label)
    checks.require_columns(frame, roles.keys)
    return [figure(row, column, scope, by=roles.keys) for row in frame.to_dict("records") for column in roles.metrics]


def figure(row: Mapping[str, object], column: str, scope: Scope, *, by: Iterable[str] = ()) -> Figure:
    """One figure: a metric's column in one row."""
    name, statistic = metrics.split(column)
    metric = metrics.registry()[name]
    ends = {"value": column, "low": f"{column}_low", "high": f"{column}_high"}
    numbers = {key: None if withheld(column, scope) else plain(row.get(end)) for key, end in ends.items()}
    parts = {"numerator": metric.numerator, "denominator": metric.denominator} if statistic == "value" else {}
    has_interval = numbers["low"] is not None or numbers["high"] is not None
    level = plain(row.get("level"))
    return {
        "metric": name,
        "statistic": statistic,
        "by": {key: plain(row[key]) for key in by},
        **numbers,
        "level": (level if isinstance(level, float) else LEVEL) if has_interval else None,
        "n": plain(row.get(f"n_{column}", row.get("n"))),
        "numerator": plain(row.get(parts.get("numerator"))),
        "denominator": plain(row.get(parts.get("denominator"))),
        "unit": metric.unit,
        "clock": metric.clock,
        "where": scope.where,
        "period": _period(row, scope),
        "compared_with": None,
    }


def withheld(column: str, scope: Scope) -> str:
    """Why a metric may not be shown, or nothing.

    Examples
    --------
    >>> withheld("win_rate", Scope(withheld={"is_won": "9 % of the rows are faulty"}))
    '9 % of the rows are faulty'
    >>> withheld("win_rate", Scope())
    ''
    """
    found = metrics.split(column)
    needed = metrics.registry()[found[0]].fields if found else ()
    return "; ".join(scope.withheld[name] for name in needed if name in scope.withheld)


def figure_key(figure: Figure) -> str:
    """A figure's name: readable, stable, and safe as an HTML id.

    Six hexadecimal digits follow where the readable part had to change a group's name.

    Examples
    --------
    >>> period = {"label": "2026Q3", "start": "2026-07-01", "end": "2026-09-30"}
    >>> figure = {"metric": "win_rate", "statistic": "value", "by": {}, "period": period, "compared_with": None}
    >>> figure_key(figure), figure_key(figure | {"by": {"segment": "SMB"}})
    ('win_rate.2026Q3', 'win_rate.segment-SMB.2026Q3')
    >>> figure_key(figure | {"by": {"owner": "Ann O'Hara"}, "compared_with": "prior_period"})
    'win_rate.owner-Ann-O-Hara.2026Q3.prior_period-a4dd9f'
    """
    statistic = figure["statistic"] if figure["statistic"] != "value" else None
    groups = sorted(figure["by"].items())
    label = figure["period"]["label"]
    parts = [figure["metric"], statistic, *(f"{name}-{_slug(item)}" for name, item in groups)]
    parts += [label and _slug(label), figure["compared_with"]]
    key = ".".join(part for part in parts if part)
    if all(_is_slug(item) for item in [*figure["by"].values(), label or "all"]):
        return key
    identity = json.dumps([figure["metric"], statistic, groups, label, figure["compared_with"]])
    return f"{key}-{hashlib.sha256(identity.encode()).hexdigest()[:6]}"


def plain(item: object) -> object:
    """A value as JSON knows it; missing and infinite become None.

    Examples
    --------
    >>> plain(np.float64("nan")), plain(np.int64(3)), plain(pd.Timestamp("2026-07-01")), plain("SMB")
    (None, 3, '2026-07-01', 'SMB')
    """
    if item is None or words.is_missing(item):
        return None
    if isinstance(item, np.generic):
        return plain(item.item())
    if isinstance(item, date):
        return f"{item:%Y-%m-%d}"
    return item if isinstance(item, str | int | float) else str(item)


def is_level(column: pd.Series) -> bool:
    """Whether a column called ``level`` is that of the intervals; a text is the level of a factor.

    Examples
    --------
    >>> is_level(pd.Series([0.8], name="level")), is_level(pd.Series(["SMB"], name="level"))
    (True, False)
    """
    return column.name == "level" and pd.api.types.is_numeric_dtype(column)


def _is_support(frame: pd.DataFrame, column: str) -> bool:
    limits = re.search(r"_(low|high)(_\d+)?$", column)
    if column == "level":
        return is_level(frame[column])
    return bool(limits) or column in SUPPORT or column.startswith("n_")


def _is_measure(column: pd.Series) -> bool:
    return pd.api.types.is_float_dtype(column)


def _period(row: Mapping[str, object], scope: Scope) -> dict[str, object]:
    if "period" not in row:
        known = scope.period
        return {
            "label": known.label if known else None,
            "start": known.start.isoformat() if known else None,
            "end": known.end.isoformat() if known else None,
        }
    start, end = plain(row.get("period_start")), plain(row.get("period_end"))
    label = plain(row["period"])
    if start is None and end is None and label is not None and scope.as_of:
        start, end = _dates(str(label), scope)
    return {"label": label if label is None else str(label), "start": start, "end": end}


def _dates(label: str, scope: Scope) -> tuple[str | None, str | None]:
    try:
        named = periods.resolve(label, as_of=scope.as_of, calendar=scope.calendar)
    except checks.ParameterError:  # a label of another kind, e.g. "before 2024"
        return None, None
    return named.start.isoformat(), named.end.isoformat()


def _slug(item: object) -> str:
    return _slug_of(words.group(item))


@functools.cache
def _slug_of(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:40] or "x"


def _is_slug(item: object) -> bool:
    if isinstance(item, bool) or item is None:
        return False
    if isinstance(item, int):
        return item >= 0
    return (
        isinstance(item, str)
        and bool(re.fullmatch(r"[A-Za-z0-9_-]{1,40}", item))
        and item == _slug(item)
        and not item.isdigit()
    )
