"""A quarter week by week: what was expected of it with its band, what was won by then, and the target."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from salesops import checks, words
from salesops.report import drawing, marks, tables
from salesops.report.block import Block
from salesops.report.drawing import QUIET, SERIES
from salesops.report.figures import UNSCOPED, Scope
from salesops.report.finding import Finding


def weekly(
    frame: pd.DataFrame,
    *,
    value: str,
    so_far: str,
    title: str,
    target: str | None = None,
    x: str = "week",
    unit: str | None = None,
    subtitle: str = "",
    scope: Scope = UNSCOPED,
) -> Block:
    """What was expected in the end (dashed, with its band) over what had come by then (solid), and a target's line.

    Parameters
    ----------
    frame
        One row per evening, oldest first: ``x`` (weeks), ``value`` with its limits (missing at the very end),
        ``so_far`` and, where there is one, ``target``.
    value, so_far, target, x
        Columns to draw.
    title
        The finding.
    unit
        Unit of all, where the name of ``value`` does not say it.
    subtitle
        What is measured.
    """
    checks.require_columns(frame, [x, value, so_far, *filter(None, [target])])
    unit = unit or tables.unit_of(frame, value) or "amount"
    units = {name: unit for name in (value, so_far, target) if name}
    finding = Finding(frame, title, subtitle or "Expected in the end (dashed), and so far (solid)", scope, units)
    if finding.is_undrawn(value):
        return finding.without_picture(value)
    rows = marks.numbers(frame, x, value).assign(place=frame[x].to_numpy(float), so_far=frame[so_far].to_numpy(float))
    goal = frame[target].dropna().iloc[:1].to_list() if target else []
    with drawing.canvas(252, left=54, right=98, top=14, bottom=48) as axes:
        known = rows.dropna(subset=["value"])
        marks.band(axes, known, "low", "high", 0.2)
        axes.plot(known["place"], known["value"], color=SERIES, linestyle=(0, (5, 2)), linewidth=2, zorder=3)
        axes.plot(rows["place"], rows["so_far"], color=SERIES, linewidth=2.5, zorder=3)
        marks.alone(axes, known)
        _goal(axes, goal)
        shown = pd.concat([rows[["value", "high", "so_far"]].stack(), pd.Series(goal, dtype=float)])
        marks.side_axis(axes, unit, scope.currency, shown)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 3, 5, 10], integer=True))
        axes.set_xlim(left=rows["place"].min() - 0.2)
        marks.counted_axis(axes, words.label(x))
        marks.end_labels(axes, _ends(rows, goal, unit, scope))
        return finding.drawn(axes, _said(rows, goal, unit, scope))


def _goal(axes: Axes, goal: list[float]) -> None:
    for each in goal:
        axes.axhline(each, color=QUIET, linewidth=1.5, linestyle=(0, (3, 2)), zorder=1)


def _ends(rows: pd.DataFrame, goal: list[float], unit: str, scope: Scope) -> dict[str, float]:
    """Names at the right end of the lines."""
    said, came = rows["value"].dropna().iloc[-1], rows["so_far"].dropna()
    ends = {f"{_shown(said, unit, scope)} expected": said} if pd.notna(rows["value"].iloc[-1]) else {}
    ends |= {f"{_shown(came.iloc[-1], unit, scope)} won": came.iloc[-1]} if len(came) else {}
    return ends | {f"{_shown(each, unit, scope)} target": each for each in goal}


def _said(rows: pd.DataFrame, goal: list[float], unit: str, scope: Scope) -> str:
    listed = "; ".join(
        f"week {words.count(int(row.place))}: {_shown(row.value, unit, scope)}"
        f"{_between(row, unit, scope)}, {_shown(row.so_far, unit, scope)} won by then" for row in rows.itertuples()
    )  # fmt: skip
    plan = "".join(f" Target {_shown(each, unit, scope)}." for each in goal)
    return f"Expected in the end and won by then, on {len(rows)} evenings: {listed}.{plan}"


def _between(row: object, unit: str, scope: Scope) -> str:
    said = words.interval(row.low, row.high, unit, currency=scope.currency)
    return f" ({said})" if said else ""


def _shown(number: float, unit: str, scope: Scope) -> str:
    return words.value(number, unit, currency=scope.currency, compact=True)
