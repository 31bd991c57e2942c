"""Charts that compare: effects around zero, rates in a grid of two cuts, what was predicted with what came."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from salesops import checks, words
from salesops.report import captions, drawing, marks, tables
from salesops.report.block import Block
from salesops.report.figures import UNSCOPED, Scope
from salesops.report.finding import MAX_ROWS, Finding

MAX_EFFECTS = 18
MAX_COLUMNS = 4
_CELL = 56


def forest(
    frame: pd.DataFrame,
    *,
    value: str,
    by: str,
    title: str,
    level: str | None = None,
    reference: str | None = None,
    n: str = "n",
    named: str | None = "is_named",
    unit: str | None = None,
    subtitle: str = "",
    scope: Scope = UNSCOPED,
) -> Block:
    """Effects with their intervals around a line at zero; those named are full, the others hollow and grey.

    The wrong chart for levels: use `rate_dots`.

    Parameters
    ----------
    frame
        One row per effect: ``by``, ``value``, its ``_low`` and ``_high``; rows of one factor stand together.
    value, by
        Columns to draw. With `level`, ``by`` holds names of columns, shown as headings.
    title
        The finding.
    level, reference
        Columns with the level compared and the one it is compared with.
    n
        Column with how many rows have the level.
    named
        Boolean column: which may be named. All are, where it is None or absent.
    unit
        Unit of ``value``, where its name does not say it.
    subtitle
        What is measured; put together from the columns if empty.
    """
    checks.require_columns(frame, [value, by, *filter(None, (level, reference))])
    unit = unit or tables.unit_of(frame, value) or "points"
    said = subtitle or captions.effects(frame, value, level, scope)
    finding = Finding(frame, title, said, scope, {value: unit})
    if finding.is_undrawn(value):
        return finding.without_picture(value)
    rows = _effects(frame.head(MAX_EFFECTS), value, by, level, reference, n, named)
    places, heads, height = marks.places(rows["factor"] if level else None, len(rows))
    rows["place"] = places
    with drawing.canvas(height + 38, left=130, right=96, top=8, bottom=30) as axes:
        axes.set_ylim(height, 0)
        marks.reference(axes, 0.0, "")
        marks.effects(axes, rows)
        marks.effect_labels(axes, rows, heads, unit, scope.currency)
        known = [0.0, *rows[["value", "low", "high"]].stack()]
        room = 0.06 * ((max(known) - min(known)) or 0.1)
        marks.value_axis(axes, unit, scope.currency, min(known) - room, max(known) + room)
        return finding.drawn(axes, captions.against_zero(rows, value, unit, scope))


def grid(
    frame: pd.DataFrame,
    *,
    value: str,
    by: str,
    across: str,
    title: str,
    named: str | None = "is_named",
    min_n: int = checks.MIN_N,
    subtitle: str = "",
    scope: Scope = UNSCOPED,
) -> Block:
    """A value for each pair of two cuts, with its interval and n in the cell; the higher, the darker.

    Parameters
    ----------
    frame
        One row per pair: ``by``, ``across``, ``value``, its ``_low`` and ``_high``, and ``n``.
    value, by, across
        Columns to draw: rows by ``by``, at most four columns by ``across``.
    title
        The finding.
    named
        Boolean column: which cells get a frame; none where it is None or absent.
    min_n
        Cells with a smaller ``n`` stay white.
    subtitle
        What is measured; put together from the columns if empty.
    """
    checks.require_columns(frame, [value, by, across])
    unit = tables.unit_of(frame, value) or "rate"
    heads = _first(frame[across], MAX_COLUMNS)
    said = subtitle or captions.grid(frame, value, by, across, scope)
    finding = Finding(frame, title, said, scope, {value: unit})
    if finding.is_undrawn(value):
        return finding.without_picture(value)
    cells = marks.numbers(frame, by, value)
    cells["across"] = frame[across].map(words.group).to_numpy()
    cells["group"] = frame[by].map(words.group).to_numpy()
    cells["is_named"] = frame[named].to_numpy(dtype=bool) if named in frame.columns else False
    sides = _first(frame[by], MAX_ROWS)
    cells = cells[cells["group"].isin(sides) & cells["across"].isin(heads)]
    with drawing.canvas(len(sides) * _CELL + 46, left=88, right=2, top=40, bottom=6) as axes:
        marks.cells(axes, cells, sides, heads, unit, scope.currency, min_n)
        return finding.drawn(axes, captions.crossed(cells, value, unit, scope))


def calibration(
    frame: pd.DataFrame,
    *,
    title: str,
    predicted: str = "predicted",
    observed: str = "observed",
    min_n: int = checks.MIN_N,
    subtitle: str = "",
    scope: Scope = UNSCOPED,
) -> Block:
    """What was predicted against what came, with intervals; on the dashed line both agree.

    Parameters
    ----------
    frame
        One row per group of like predictions: ``predicted``, ``observed`` with ``_low`` and ``_high``, ``n``.
    title
        The finding.
    predicted, observed
        Columns to draw, 0-1.
    min_n
        Groups with a smaller ``n`` get a hollow dot.
    subtitle
        What is measured; put together from the columns if empty.
    """
    checks.require_columns(frame, [predicted, observed])
    units = {predicted: "rate", observed: "rate"}
    names = {predicted: "Predicted", observed: "Came true"}
    finding = Finding(frame, title, subtitle or captions.calibration(frame), scope, units, names)
    if finding.is_undrawn(observed):
        return finding.without_picture(observed)
    rows = marks.numbers(frame, predicted, observed).assign(place=frame[predicted].to_numpy(dtype=float))
    top = float(np.nanmax(rows[["place", "value", "high"]].to_numpy()))
    with drawing.canvas(300, left=54, right=24, top=14, bottom=52) as axes:
        marks.agreement(axes, rows, rows["n"] < min_n)
        marks.square_axes(axes, min(1.04 * top, 1.02))
        return finding.drawn(axes, captions.agreement(rows))


def _effects(frame: pd.DataFrame, value, by, level, reference, n, named) -> pd.DataFrame:
    rows = marks.numbers(frame, level or by, value)
    rows["factor"] = frame[by].map(words.label if level else words.group).to_numpy()
    against = frame[reference].map(words.group).to_numpy() if reference else ""
    rows["against"] = [f"against {name}" if name else "" for name in np.broadcast_to(against, len(rows))]
    rows["n"] = frame[n].to_numpy(dtype=float) if n in frame.columns else np.nan
    rows["is_named"] = frame[named].to_numpy(dtype=bool) if named in frame.columns else True
    return rows


def _first(column: pd.Series, limit: int) -> Sequence[str]:
    return list(dict.fromkeys(column.map(words.group)))[:limit]
