"""What a chart measures, and what it shows to somebody who cannot see it."""

from collections.abc import Mapping

import pandas as pd

from salesops import metrics, words
from salesops.report.figures import Scope

DEFAULT_WHERE = "opportunity_type != 'renewal'"


def subtitle(frame: pd.DataFrame, column: str, by: str | None, scope: Scope) -> str:
    """Measure, population, period and n.

    Examples
    --------
    >>> subtitle(pd.DataFrame({"n": [3, 4]}), "win_rate", "segment", Scope(where="amount > 10"))
    'Win rate by segment; deals closed in the period, where amount > 10; n 7'
    """
    measure = words.label(column) + (f" by {words.label(by).lower()}" if by else "")
    named = metrics.split(column)
    clock = metrics.registry()[named[0]].clock if named else ""
    when = scope.period.label if scope.period and "period" not in frame.columns else "the period"
    whom = f"deals {clock} in {when}" if clock in ("closed", "created") else when if scope.period else ""
    which = {"": "", DEFAULT_WHERE: "renewals apart"}.get(scope.where, f"where {scope.where}")
    n = f"n {words.count(total(frame['n']))}" if "n" in frame.columns and by else ""
    return "; ".join(part for part in (measure, ", ".join(part for part in (whom, which) if part), n) if part)


def total(n: pd.Series) -> float:
    """All deals behind a table: the sum over its groups, or the whole that all are shares of.

    Examples
    --------
    >>> total(pd.Series([3, 4])), total(pd.Series([264, 264, 264]))
    (7.0, 264.0)
    """
    return float(n.iloc[0] if is_shared(n) else n.sum())


def is_shared(n: pd.Series) -> bool:
    """Whether several rows have one n: shares of a whole."""
    return len(n) > 2 and n.nunique() == 1


def ranked(rows: pd.DataFrame, value: str, by: str, unit: str, overall: float | None, scope: Scope) -> str:
    """Groups from high to low, with the intervals of the two ends."""
    known = rows.dropna(subset=["value"]).sort_values("value", ascending=False, kind="stable")
    head = f"{words.label(value)} for {len(rows)} groups by {words.label(by).lower()}"
    if known.empty:
        return f"{head}: no group has a value."
    listed = ", ".join(_one(row, unit, scope) for row in known.itertuples())
    mean = "" if overall is None else f" All together: {_value(overall, unit, scope)}."
    return f"{head}, highest first: {listed}.{mean}"


def course(series: pd.DataFrame, value: str, unit: str, scope: Scope) -> str:
    """Where a line starts and ends, and its highest and lowest points."""
    known = series.dropna(subset=["value"])
    if known.empty:
        return f"{words.label(value)} over {len(series)} periods: no value is known."
    first, last = known.iloc[0], known.iloc[-1]
    top, low = known.loc[known["value"].idxmax()], known.loc[known["value"].idxmin()]
    ends = [f"{_value(row['value'], unit, scope)} in {words.group(row['group'])}" for row in (first, last, top, low)]
    expected = int(known["is_forecast"].sum())
    tail = f" The last {expected} are expected, not recorded." if expected else ""
    return (
        f"Line of {words.label(value).lower()} over {len(known)} periods, from {ends[0]} to {ends[1]}; "
        f"highest {ends[2]}, lowest {ends[3]}.{tail}"
    )


def built_up(curves: Mapping[str, pd.DataFrame], y: str, x: str, unit: str) -> str:
    """Where each step curve ends."""
    ends = []
    for name, curve in curves.items():
        last = curve.dropna(subset=["value"]).tail(1)
        shown = words.value(last["value"].iloc[0], unit) if len(last) else words.MISSING
        at = words.count(last["place"].iloc[0]) if len(last) else words.MISSING
        ends.append(f"{name or 'all'} {shown} after {at}")
    return f"{words.label(y)} building up over {words.label(x).lower()}: {'; '.join(ends)}."


def fan(frame: pd.DataFrame, predicted: str) -> str:
    """What the lines and bands of a fan are.

    Examples
    --------
    >>> fan(pd.DataFrame(columns=["predicted", "predicted_low_80"]), "predicted")
    'Recorded (solid) and expected (dashed), with a band that holds in 80 % of cases'
    """
    levels = [level for level, end in (("80", "_low_80"), ("95", "_low")) if f"{predicted}{end}" in frame.columns]
    kind = "a band that holds" if len(levels) == 1 else "bands that hold"
    bands = f", with {kind} in {' and '.join(levels)} % of cases" if levels else ""
    return f"Recorded (solid) and expected (dashed){bands}"


def expected(series: pd.DataFrame, unit: str, scope: Scope) -> str:
    """The last record and what each following period is expected to bring."""
    recorded = series[~series["is_forecast"]].dropna(subset=["value"]).tail(1)
    head = [
        f"last record {_value(row.value, unit, scope)} in {words.group(row.group)}" for row in recorded.itertuples()
    ]
    series = series.assign(low=series["low"].fillna(series["low_80"]), high=series["high"].fillna(series["high_80"]))
    coming = [f"{words.group(row.group)} {_value(row.value, unit, scope)}" + _limits(row, unit, scope)
              for row in series[series["is_forecast"]].itertuples()]  # fmt: skip
    return f"History and forecast: {'; '.join([*head, *coming])}."


def _one(row: object, unit: str, scope: Scope) -> str:
    return f"{words.group(row.group)} {_value(row.value, unit, scope)}{_limits(row, unit, scope)}"


def _limits(row: object, unit: str, scope: Scope) -> str:
    said = words.interval(row.low, row.high, unit, currency=scope.currency)
    return f" ({said})" if said else ""


def _value(number: float, unit: str, scope: Scope) -> str:
    return words.value(number, unit, currency=scope.currency, compact=True)
