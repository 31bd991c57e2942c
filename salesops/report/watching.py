"""Charts that watch a rate over time: against the limits of chance, and cohort by cohort to its expected end."""

import numpy as np
import pandas as pd

from salesops import checks
from salesops.report import captions, drawing, figures, marks, tables
from salesops.report.block import Block
from salesops.report.figures import UNSCOPED, Scope
from salesops.report.finding import MAX_ROWS, Finding


def control(
    frame: pd.DataFrame,
    *,
    value: str,
    title: str,
    x: str = "period",
    centre: str = "centre",
    low: str = "limit_low",
    high: str = "limit_high",
    signal: str = "is_signal",
    unit: str | None = None,
    subtitle: str = "",
    scope: Scope = UNSCOPED,
) -> Block:
    """A series around its centre, within the limits of chance; what lies beyond them is a large diamond.

    Parameters
    ----------
    frame
        One row per period, oldest first: ``x``, ``value``, ``centre``, ``low``, ``high``, ``signal``.
    value, x, centre, low, high
        Columns to draw; limits may differ from period to period.
    signal
        Boolean column: which periods lie beyond chance.
    title
        The finding.
    unit
        Unit of ``value``, where its name does not say it.
    subtitle
        What is measured; put together from the columns if empty.
    """
    checks.require_columns(frame, [value, x, centre, low, high, signal])
    unit = unit or tables.unit_of(frame, value) or "rate"
    said = subtitle or captions.control(frame, value, scope)
    finding = Finding(frame, title, said, scope, dict.fromkeys((value, centre, low, high), unit))
    if finding.is_undrawn(value):
        return finding.without_picture(value)
    series = marks.numbers(frame, x, value)
    for name, column in (("centre", centre), ("low", low), ("high", high)):
        series[name] = frame[column].to_numpy(dtype=float)
    series["is_signal"] = frame[signal].fillna(False).to_numpy(dtype=bool)
    with drawing.canvas(240, left=54, right=86, top=14, bottom=34) as axes:
        marks.limits(axes, series)
        marks.watched(axes, series)
        marks.time_axis(axes, series, unit, scope.currency, series[["value", "low", "high"]].stack())
        axes.set_xlim(-0.5, max(len(series) - 0.5, 0.5))
        marks.end_labels(axes, _ends(series, unit, scope))
        return finding.drawn(axes, captions.watched(series, value, unit, scope))


def cohorts(
    frame: pd.DataFrame,
    *,
    so_far: str,
    expected: str,
    title: str,
    by: str = "cohort",
    subtitle: str = "",
    scope: Scope = UNSCOPED,
) -> Block:
    """For each cohort what has come so far (hollow), and what is expected in the end (full, with its interval).

    Parameters
    ----------
    frame
        One row per cohort, oldest first: ``by``, ``so_far``, ``expected`` with ``_low`` and ``_high``, ``n``.
    so_far, expected, by
        Columns to draw.
    title
        The finding.
    subtitle
        What is measured; put together from the columns if empty.
    """
    checks.require_columns(frame, [so_far, expected, by])
    unit = tables.unit_of(frame, expected) or "rate"
    said = subtitle or captions.cohorts(frame, so_far, expected, by, scope)
    finding = Finding(frame, title, said, scope, {so_far: unit, expected: unit})
    if figures.withheld(expected, scope) or finding.is_undrawn(so_far):
        return finding.without_picture(expected if figures.withheld(expected, scope) else so_far)
    rows = marks.numbers(frame.tail(MAX_ROWS), by, expected)
    rows["so_far"] = frame[so_far].tail(MAX_ROWS).to_numpy(dtype=float)
    with drawing.canvas(len(rows) * marks.ROW + 58, **drawing.NAMED, top=30, bottom=28) as axes:
        marks.whiskers(axes, rows)
        marks.two_dots(axes, rows)
        marks.row_labels(axes, rows, unit, scope.currency)
        known = rows[["value", "low", "high", "so_far"]].stack()
        room = 0.08 * ((known.max() - known.min()) or 0.1)
        marks.value_axis(axes, unit, scope.currency, max(known.min() - room, -room / 2), known.max() + room)
        return finding.drawn(axes, captions.to_the_end(rows, so_far, expected, unit, scope))


def _ends(series: pd.DataFrame, unit: str, scope: Scope) -> dict[str, float]:
    """The last value and the centre, named at the right."""
    known, centre = series["value"].dropna(), series["centre"].dropna()
    ends = {marks.end_name(known.iloc[-1], unit, scope.currency): known.iloc[-1]}
    if len(centre):
        ends[f"usual {marks.end_name(centre.iloc[-1], unit, scope.currency)}"] = centre.iloc[-1]
    return {name: float(height) if np.isfinite(height) else np.nan for name, height in ends.items()}
