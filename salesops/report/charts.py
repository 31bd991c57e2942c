"""Charts of a report: a tidy frame in, a titled picture with its intervals, words and data out.

Every function takes the frame first, then which columns to draw and the finding as title.
``scope`` carries what the page knows: period, population, currency; `Page.chart` fills it in.
"""

import numpy as np
import pandas as pd

from salesops import checks, words
from salesops.report import captions, drawing, marks, tables
from salesops.report.block import Block
from salesops.report.bridge import bridge
from salesops.report.caterpillar import caterpillar, funnel_plot
from salesops.report.comparisons import calibration, forest, grid
from salesops.report.figures import UNSCOPED, Scope
from salesops.report.finding import MAX_ROWS, Finding
from salesops.report.panels import funnel, multiples
from salesops.report.watching import cohorts, control
from salesops.report.weekly import weekly

__all__ = [
    "bars",
    "bridge",
    "calibration",
    "caterpillar",
    "cohorts",
    "control",
    "fan",
    "forest",
    "funnel",
    "funnel_plot",
    "grid",
    "lines",
    "multiples",
    "pareto",
    "rate_dots",
    "steps",
    "weekly",
]

MAX_CURVES = 4
MAX_DAYS = 730  # of an axis of days; a longer one is of months
_MONTH = 365.25 / 12


def rate_dots(
    frame: pd.DataFrame,
    *,
    rate: str,
    by: str,
    title: str,
    overall: float | None = None,
    min_n: int = checks.MIN_N,
    subtitle: str = "",
    scope: Scope = UNSCOPED,
) -> Block:
    """A dot and its interval for each group, beside the overall rate.

    The wrong chart for amounts and counts: their length from zero matters, so use `bars`.

    Parameters
    ----------
    frame
        One row per group with ``by``, ``rate``, its ``_low`` and ``_high``, and ``n``.
    rate, by
        Columns to draw.
    title
        The finding.
    overall
        The rate of all groups together, drawn as a line.
    min_n
        Groups with a smaller ``n`` get a hollow dot.
    subtitle
        What is measured; put together from the columns if empty.
    """
    checks.require_columns(frame, [rate, by])
    unit = tables.unit_of(frame, rate) or "rate"
    finding = Finding(frame, title, subtitle or captions.subtitle(frame, rate, by, scope), scope, {rate: unit})
    if finding.is_undrawn(rate):
        return finding.without_picture(rate)
    rows = marks.numbers(frame.head(MAX_ROWS), by, rate)
    with drawing.canvas(_tall(rows, 30), **drawing.NAMED, top=30, bottom=28) as axes:
        marks.reference(axes, overall, f"all {words.value(overall, unit)}")
        marks.whiskers(axes, rows)
        marks.dots(axes, rows, hollow=rows["n"] < min_n)
        marks.row_labels(axes, rows, unit, scope.currency)
        marks.value_axis(axes, unit, scope.currency, *_room(rows, unit, overall))
        return finding.drawn(axes, captions.ranked(rows, rate, by, unit, overall, scope))


def bars(
    frame: pd.DataFrame,
    *,
    value: str,
    by: str,
    title: str,
    highlight: object = None,
    unit: str | None = None,
    subtitle: str = "",
    scope: Scope = UNSCOPED,
) -> Block:
    """A bar from zero for each group, with its interval where the frame has one.

    The wrong chart for a rate of which zero is far away: use `rate_dots`.

    Parameters
    ----------
    frame
        One row per group with ``by``, ``value`` and, where known, its limits and ``n``.
    value, by
        Columns to draw.
    title
        The finding.
    highlight
        The one group in colour; all are if None.
    unit
        Unit of ``value``, where its name does not say it.
    subtitle
        What is measured; put together from the columns if empty.
    """
    checks.require_columns(frame, [value, by])
    unit = unit or tables.unit_of(frame, value) or "count"
    finding = Finding(frame, title, subtitle or captions.subtitle(frame, value, by, scope), scope, {value: unit})
    if finding.is_undrawn(value):
        return finding.without_picture(value)
    rows = marks.numbers(frame.head(MAX_ROWS), by, value)
    return _barred(finding, rows, value, by, _others(rows, highlight))


def pareto(
    frame: pd.DataFrame,
    *,
    value: str,
    by: str,
    running: str,
    title: str,
    subtitle: str = "",
    scope: Scope = UNSCOPED,
) -> Block:
    """Parts of a whole from the largest on: a bar with its interval, and what it adds up to with those above it.

    Parameters
    ----------
    frame
        One row per part, largest first: ``by``, ``value``, where known its limits, and ``running``.
    value, by
        Columns to draw.
    running
        Column with the running sum; missing for a part that is no part of it, which is grey.
    title
        The finding.
    subtitle
        What is measured; put together from the columns if empty.
    """
    checks.require_columns(frame, [value, by, running])
    unit = tables.unit_of(frame, value) or "rate"
    units = dict.fromkeys((value, running), unit)
    finding = Finding(frame, title, subtitle or captions.subtitle(frame, value, by, scope), scope, units)
    if finding.is_undrawn(value):
        return finding.without_picture(value)
    rows = marks.numbers(frame.head(MAX_ROWS), by, value)
    rows["running"] = frame[running].head(MAX_ROWS).to_numpy(dtype=float)
    return _barred(finding, rows, value, by, rows["running"].isna())


def lines(
    frame: pd.DataFrame,
    *,
    value: str,
    title: str,
    x: str = "period",
    prior: str | None = None,
    forecast: str | None = None,
    unit: str | None = None,
    subtitle: str = "",
    scope: Scope = UNSCOPED,
) -> Block:
    """One series over time with its band; the year before lighter, a forecast dashed.

    Parameters
    ----------
    frame
        One row per period, oldest first, with ``x``, ``value`` and, where known, its limits.
    value, x
        Columns to draw.
    title
        The finding.
    prior
        Column with the values of the year before.
    forecast
        Boolean column: which rows are expected, not recorded.
    unit
        Unit of ``value``, where its name does not say it.
    subtitle
        What is measured; put together from the columns if empty.
    """
    checks.require_columns(frame, [value, x, *filter(None, (prior, forecast))])
    unit = unit or tables.unit_of(frame, value) or "count"
    units = {name: unit for name in (value, prior) if name}
    finding = Finding(frame, title, subtitle or captions.subtitle(frame, value, None, scope), scope, units)
    if finding.is_undrawn(value):
        return finding.without_picture(value)
    series = marks.numbers(frame, x, value)
    series["is_forecast"] = frame[forecast].to_numpy(dtype=bool) if forecast else False
    series["before"] = frame[prior].to_numpy(dtype=float) if prior else np.nan
    with drawing.canvas(240, left=54, right=90 if prior else 58, top=14, bottom=34) as axes:
        marks.earlier(axes, series)
        marks.band(axes, series, "low", "high", 0.16)
        marks.actual_and_expected(axes, series)
        marks.time_axis(axes, series, unit, scope.currency, series[["value", "low", "high", "before"]].stack())
        marks.end_labels(axes, _ends(series, unit, scope))
        return finding.drawn(axes, captions.course(series, value, unit, scope))


def fan(
    frame: pd.DataFrame,
    *,
    title: str,
    x: str = "period",
    actual: str = "actual",
    predicted: str = "predicted",
    unit: str = "amount",
    subtitle: str = "",
    scope: Scope = UNSCOPED,
) -> Block:
    """What was recorded, then what is expected with its widening bands.

    Parameters
    ----------
    frame
        One row per period, oldest first: ``x``, ``actual``, ``predicted`` and its limits
        ``_low``, ``_high`` (95 %) and, where known, ``_low_80``, ``_high_80``.
    title
        The finding.
    x, actual, predicted
        Columns to draw.
    unit
        Unit of both.
    subtitle
        What is measured; put together from the columns if empty.
    """
    checks.require_columns(frame, [x, actual, predicted])
    units = {name: unit for name in frame.columns if name.startswith((actual, predicted))}
    names = {
        actual: "Recorded",
        predicted: "Expected",
        f"{predicted}_low_80": "80 % from",
        f"{predicted}_high_80": "80 % to",
    }
    finding = Finding(frame, title, subtitle or captions.fan(frame, predicted), scope, units, names)
    if frame[[actual, predicted]].isna().all(axis=None):
        return finding.without_picture(predicted)
    series = _joined(_history_and_forecast(frame, x, actual, predicted))
    with drawing.canvas(240, left=54, right=58, top=14, bottom=34) as axes:
        marks.band(axes, series, "low", "high", 0.16)
        marks.band(axes, series, "low_80", "high_80", 0.26)
        marks.actual_and_expected(axes, series)
        marks.time_axis(axes, series, unit, scope.currency, series[["value", "low", "high"]].stack())
        marks.end_labels(axes, _ends(series, unit, scope))
        return finding.drawn(axes, captions.expected(series, unit, scope))


def steps(
    frame: pd.DataFrame,
    *,
    title: str,
    y: str,
    x: str = "days",
    by: str | None = None,
    highlight: object = None,
    unit: str = "rate",
    subtitle: str = "",
    scope: Scope = UNSCOPED,
) -> Block:
    """How a share builds up over time: step curves with bands, labelled at their ends.

    Parameters
    ----------
    frame
        Rows by time: ``x``, ``y`` and its limits, and ``by`` where there are several curves.
    title
        The finding.
    y, x, by
        Columns to draw.
    highlight
        The curve in colour; the first if None. At most four curves are drawn.
    unit
        Unit of ``y``.
    subtitle
        What is measured; put together from the columns if empty.
    """
    checks.require_columns(frame, [x, y, *filter(None, [by])])
    finding = Finding(frame, title, subtitle or captions.subtitle(frame, y, by, scope), scope, {y: unit})
    if finding.is_undrawn(y):
        return finding.without_picture(y)
    curves, counted = _in_months(_curves(frame, x, y, by), x)
    chosen = highlight if highlight in curves else next(iter(curves))
    ends = {f"{words.value(_last(each['value']), unit)} {name}": _last(each["value"]) for name, each in curves.items()}
    with drawing.canvas(252, left=48, right=112 if by else 58, top=14, bottom=48) as axes:
        marks.curves(axes, curves, chosen)
        marks.side_axis(
            axes, unit, scope.currency, pd.concat([each[["value", "high"]].stack() for each in curves.values()])
        )
        axes.set_xlim(left=0)
        marks.counted_axis(axes, counted)
        marks.end_labels(axes, ends)
        return finding.drawn(axes, captions.built_up(curves, y, counted, unit))


def _barred(finding: Finding, rows: pd.DataFrame, value: str, by: str, quiet: pd.Series | None) -> Block:
    """Bars from zero; where the rows have a running sum it stands at the right under a head of its own."""
    unit, currency, running = finding.units[value], finding.scope.currency, "running" in rows.columns
    top = 26 if running else 8
    with drawing.canvas(_tall(rows, top), **drawing.NAMED, top=top, bottom=28) as axes:
        marks.bars(axes, rows, quiet=quiet)
        marks.row_labels(axes, rows, unit, currency, running=running)
        if running:
            marks.column_head(axes, "adds to")
        marks.value_axis(axes, unit, currency, *_from_zero(rows))
        return finding.drawn(axes, captions.ranked(rows, value, by, unit, None, finding.scope))


def _others(rows: pd.DataFrame, highlight: object) -> pd.Series | None:
    return None if highlight is None else rows["group"] != highlight


def _curves(frame: pd.DataFrame, x: str, y: str, by: str | None) -> dict[str, pd.DataFrame]:
    """Each curve by its name, at most four, in the order of the frame."""
    parts = (
        [("", frame)] if by is None else list(frame.groupby(by, sort=False, dropna=False, observed=True))[:MAX_CURVES]
    )
    return {
        words.group(name) if by else "": marks.numbers(part, x, y).assign(place=part[x].to_numpy(dtype=float))
        for name, part in parts
    }


def _in_months(curves: dict[str, pd.DataFrame], x: str) -> tuple[dict[str, pd.DataFrame], str]:
    """Curves over years of days are read in months; what they are drawn over, in words."""
    longest = max(each["place"].max() for each in curves.values())
    if not x.endswith("days") or not longest > MAX_DAYS:
        return curves, words.label(x)
    name = words.label(x).removesuffix("(days)").strip()
    months = {key: each.assign(place=each["place"] / _MONTH) for key, each in curves.items()}
    return months, "Months" if name == "Days" else f"{name} (months)"


def _history_and_forecast(frame: pd.DataFrame, x: str, actual: str, predicted: str) -> pd.DataFrame:
    """One line of both; only what is not yet recorded has limits."""
    series = marks.numbers(frame.assign(both=frame[actual].fillna(frame[predicted])), x, "both")
    series["is_forecast"] = frame[actual].isna().to_numpy()
    for end in ("low", "high", "low_80", "high_80"):
        limits = frame.get(f"{predicted}_{end}", pd.Series(np.nan, index=frame.index))
        series[end] = limits.astype(float).where(frame[actual].isna()).to_numpy()
    return series


def _ends(series: pd.DataFrame, unit: str, scope: Scope) -> dict[str, float]:
    last, before = _last(series["value"]), _last(series["before"]) if "before" in series else float("nan")
    return {marks.end_name(last, unit, scope.currency): last, "year before": before}


def _joined(series: pd.DataFrame) -> pd.DataFrame:
    """Bands that open at the last record, so that the fan grows out of it."""
    recorded = series.index[~series["is_forecast"] & series["value"].notna()]
    if len(recorded) and series["is_forecast"].any():
        ends = ["low", "high", "low_80", "high_80"]
        series.loc[recorded[-1], ends] = series.loc[recorded[-1], "value"]
    return series


def _room(rows: pd.DataFrame, unit: str, overall: float | None) -> tuple[float, float]:
    """Room for every dot, interval and the overall line; a share stays within 0 and 1."""
    known = [*rows[["value", "low", "high"]].stack(), *([] if overall is None else [overall])]
    if not known:
        return 0.0, 1.0
    room = 0.08 * ((max(known) - min(known)) or 0.1)
    low, high = min(known) - room, max(known) + room
    is_share = unit == "rate" and min(known) >= 0
    return (max(low, -room / 2), min(high, max(1, *known) + room / 2)) if is_share else (low, high)


def _from_zero(rows: pd.DataFrame) -> tuple[float, float]:
    low, high = rows[["value", "low"]].min(axis=None), rows[["value", "high"]].max(axis=None)
    return min(0, low * 1.05), max(0, high * 1.05)


def _tall(rows: pd.DataFrame, top: float) -> float:
    return max(len(rows), 1) * marks.ROW + top + 28


def _last(column: pd.Series) -> float:
    known = column.dropna()
    return float(known.iloc[-1]) if len(known) else float("nan")
