"""Charts in parts: the stages of a funnel, and one small picture for each group."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from salesops import checks, words
from salesops.report import captions, drawing, marks, tables
from salesops.report.block import Block
from salesops.report.drawing import AREA, QUIET, SERIES, WIDTH
from salesops.report.figures import UNSCOPED, Scope
from salesops.report.finding import MAX_ROWS, Finding

MAX_STAGES = 18
_SIDE, _BETWEEN, _HEAD, _TALL, _UNDER, _TOP = 44, 26, 24, 84, 20, 6  # pixels of a panel and around it
_COLUMNS = 2  # side by side they can still be read on a phone


def funnel(
    frame: pd.DataFrame,
    *,
    rate: str,
    by: str,
    title: str,
    part: str | None = None,
    subtitle: str = "",
    scope: Scope = UNSCOPED,
) -> Block:
    """A bar from zero for how many entered each stage; in colour those who go further, with the interval of the share.

    The wrong chart for groups that do not follow one another: use `rate_dots`.

    Parameters
    ----------
    frame
        One row per stage, in order: ``by``, ``rate``, its ``_low`` and ``_high``, and ``n`` (entered).
    rate, by
        Columns to draw.
    title
        The finding.
    part
        Column whose values head the stages under them, as the pipelines of one company.
    subtitle
        What is measured; put together from the columns if empty.
    """
    checks.require_columns(frame, [rate, by, "n", *filter(None, [part])])
    finding = Finding(frame, title, subtitle or captions.funnel(frame, rate, scope), scope, {rate: "rate"})
    if finding.is_undrawn(rate):
        return finding.without_picture(rate)
    shown = frame.head(MAX_STAGES)
    rows = marks.numbers(shown, by, rate)
    places, heads, height = marks.places(shown[part].map(words.group) if part else None, len(rows))
    rows["place"] = np.array(places) / marks.ROW
    with drawing.canvas(height + 36, **drawing.NAMED, top=8, bottom=28) as axes:
        marks.going_further(axes, rows)
        marks.row_labels(axes, rows, "rate", scope.currency)
        axes.set_ylim(height / marks.ROW, 0)
        marks.heads_of(axes, {place / marks.ROW: head for place, head in heads.items()})
        marks.value_axis(axes, "count", "", 0, 1.02 * max(rows["n"].max(), 1))
        return finding.drawn(axes, captions.gone_further(rows, rate, scope))


def multiples(
    frame: pd.DataFrame,
    *,
    value: str,
    by: str,
    title: str,
    x: str = "period",
    unit: str | None = None,
    subtitle: str = "",
    scope: Scope = UNSCOPED,
) -> Block:
    """The same small picture for each group: its line with its band, the others grey behind it, all on one scale.

    For more than four groups over time; up to four fit into one picture.

    Parameters
    ----------
    frame
        One row per group and period, oldest first: ``by``, ``x``, ``value`` and, where known, its limits.
    value, by, x
        Columns to draw.
    title
        The finding.
    unit
        Unit of ``value``, where its name does not say it.
    subtitle
        What is measured; put together from the columns if empty.
    """
    checks.require_columns(frame, [value, by, x])
    unit = unit or tables.unit_of(frame, value) or "count"
    finding = Finding(frame, title, subtitle or captions.multiples(frame, value, by, scope), scope, {value: unit})
    if finding.is_undrawn(value):
        return finding.without_picture(value)
    periods = list(dict.fromkeys(frame[x]))
    series = _series(frame, value, by, x, periods)
    n_rows = math.ceil(len(series) / _COLUMNS)
    height = _TOP + n_rows * (_HEAD + _TALL) + (n_rows - 1) * _UNDER + 26
    with drawing.canvas(height) as axes:
        axes.set_axis_off()
        for at, name in enumerate(series):
            panel = _panel(axes, at, height)
            _drawn(panel, series, name, unit, scope)
            _scaled(panel, series, periods, unit, scope)
            _outer(panel, at, len(series))
        return finding.drawn(axes, captions.several(series, value, unit, scope))


def _series(frame: pd.DataFrame, value: str, by: str, x: str, periods: list) -> dict[str, pd.DataFrame]:
    """Each group by its name, at most twelve, its rows at the places of their periods."""
    parts = list(frame.groupby(by, sort=False, dropna=False, observed=True))[:MAX_ROWS]
    return {
        words.group(name, by): marks.numbers(part, x, value).assign(
            place=[float(periods.index(each)) for each in part[x]]
        )
        for name, part in parts
    }


def _panel(axes: Axes, at: int, height: float) -> Axes:
    """Axes for one group, in reading order."""
    row, column = divmod(at, _COLUMNS)
    width = (WIDTH - _SIDE - _BETWEEN * (_COLUMNS - 1) - 6) / _COLUMNS
    top = _TOP + _HEAD + row * (_HEAD + _TALL + _UNDER)
    left = _SIDE + column * (width + _BETWEEN)
    return axes.figure.add_axes((left / WIDTH, 1 - (top + _TALL) / height, width / WIDTH, _TALL / height))


def _drawn(axes: Axes, series: dict[str, pd.DataFrame], name: str, unit: str, scope: Scope) -> None:
    """The others grey, then the group with its band, its name and its last value above."""
    for other in series:
        if other != name:
            axes.plot(series[other]["place"], series[other]["value"], color=AREA, linewidth=1, zorder=1)
    own = series[name]
    known = own.dropna(subset=["value"])
    marks.band(axes, own, "low", "high", 0.2)
    axes.plot(own["place"], own["value"], color=SERIES, linewidth=2, zorder=3)
    marks.alone(axes, known)
    axes.scatter(known["place"].tail(1), known["value"].tail(1), color=SERIES, s=28, zorder=4)
    last = known["value"].iloc[-1] if len(known) else None
    shown = words.value(last, unit, currency=scope.currency, compact=True, bare=True)
    look = {"xycoords": "axes fraction", "textcoords": "offset pixels", "va": "bottom", "annotation_clip": False}
    axes.annotate(drawing.wrapped(name, 14, 1), (0, 1), xytext=(0, 6), fontweight="bold", **look)
    axes.annotate(shown, (1, 1), xytext=(0, 6), ha="right", fontweight="bold", color=SERIES, **look)


def _scaled(axes: Axes, series: dict[str, pd.DataFrame], periods: list, unit: str, scope: Scope) -> None:
    """One scale for all: the first and the last period below, values on the left."""
    marks.side_axis(
        axes, unit, scope.currency, pd.concat([each[["value", "low", "high"]].stack() for each in series.values()])
    )
    axes.yaxis.get_major_locator().set_params(nbins=2)
    last = len(periods) - 1
    axes.set_xlim(-0.3, max(last + 0.3, 0.3))
    axes.set_xticks(sorted({0, last}), [words.group(periods[place]) for place in sorted({0, last})])
    for label, side in zip(axes.get_xticklabels(), ("left", "right") if last else ("center",), strict=True):
        label.set_horizontalalignment(side)
    axes.tick_params(axis="x", colors=QUIET, labelcolor=QUIET, labelsize=12, pad=4)


def _outer(axes: Axes, at: int, n: int) -> None:
    """Numbers only at the left edge and under the last picture of a column."""
    if at % _COLUMNS:
        axes.set_yticklabels([])
    if at + _COLUMNS < n:
        axes.set_xticklabels([])
