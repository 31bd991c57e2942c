"""A series as it was published, drawn apart where what lies before is not comparable with what comes after."""

import numpy as np
import pandas as pd

from salesops import checks, words
from salesops.report import drawing, marks
from salesops.report.block import Block
from salesops.report.drawing import QUIET, SERIES
from salesops.report.figures import UNSCOPED, Scope
from salesops.report.finding import Finding


def broken_line(
    frame: pd.DataFrame,
    *,
    value: str,
    title: str,
    x: str = "period",
    run: str = "run",
    unit: str = "rate",
    subtitle: str = "",
    scope: Scope = UNSCOPED,
) -> Block:
    """A line with its band for each run of comparable periods, and a dashed line where one run ends.

    The last run is in colour; what is not comparable with it is grey.

    Parameters
    ----------
    frame
        One row per period, oldest first: ``x``, ``value`` and, where known, its limits; ``run``.
    value, x
        Columns to draw.
    run
        Column that is the same for periods that may be compared.
    title
        The finding.
    unit
        Unit of ``value``.
    subtitle
        What is measured.
    """
    checks.require_columns(frame, [value, x, run])
    finding = Finding(frame, title, subtitle, scope, {value: unit}, {run: "Comparable run"})
    if finding.is_undrawn(value):
        return finding.without_picture(value)
    series = marks.numbers(frame, x, value)
    series["place"], series["run"] = np.arange(len(series)), frame[run].to_numpy()
    with drawing.canvas(200, left=54, right=58, top=14, bottom=34) as axes:
        for number, part in series.groupby("run"):
            colour = SERIES if number == series["run"].iloc[-1] else QUIET
            axes.fill_between(part["place"], part["low"], part["high"], color=colour, alpha=0.16, linewidth=0)
            axes.vlines(part["place"], part["low"], part["high"], color=colour, linewidth=1)
            axes.plot(part["place"], part["value"], "o-", color=colour, markersize=5)
        marks.time_axis(axes, series, unit, scope.currency, series[["value", "low", "high"]].stack())
        axes.set_xlim(-0.3, len(series) - 0.7)
        for place in breaks(series):
            axes.axvline(place, color=QUIET, linestyle=(0, (4, 3)), linewidth=1.5)
            axes.annotate("break", (place, 1), xycoords=axes.get_xaxis_transform(), xytext=(4, -10), color=QUIET,
                          textcoords="offset points")  # fmt: skip
        last = series["value"].iloc[-1]
        marks.end_labels(axes, {marks.end_name(last, unit, scope.currency): last})
        return finding.drawn(axes, told(series, unit, scope))


def breaks(series: pd.DataFrame) -> list[float]:
    """Where between two periods a run ends.

    Examples
    --------
    >>> breaks(pd.DataFrame({"run": [0, 0, 1, 2]}))
    [1.5, 2.5]
    """
    is_new = series["run"].ne(series["run"].shift()).to_numpy()
    return [float(place) - 0.5 for place in np.flatnonzero(is_new) if place]


def told(series: pd.DataFrame, unit: str, scope: Scope = UNSCOPED) -> str:
    """What the picture shows, for who cannot see it.

    Examples
    --------
    >>> series = pd.DataFrame({"group": ["2026Q1", "2026Q2"], "value": [0.2, 0.3], "run": [0, 1]})
    >>> told(series, "rate")
    'Line of values as published: 2026Q1 20 %; then a break; 2026Q2 30 %.'
    """
    pieces = []
    for row, is_new in zip(series.itertuples(), series["run"].ne(series["run"].shift()), strict=True):
        if pieces and is_new:
            pieces.append("then a break")
        pieces.append(f"{words.group(row.group)} {words.value(row.value, unit, currency=scope.currency, compact=True)}")
    return f"Line of values as published: {'; '.join(pieces)}."
