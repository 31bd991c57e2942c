"""Charts that name only who is beyond chance: all in order with their intervals, and a rate against its n."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from salesops import checks, words
from salesops.report import captions, drawing, marks, tables
from salesops.report.block import Block
from salesops.report.drawing import AREA, GRID, PAPER, QUIET, SERIES, TEXT
from salesops.report.figures import UNSCOPED, Scope
from salesops.report.finding import Finding

_ROW, _LEAST, _TALLEST = 16.0, 3.0, 640.0  # pixels from one to the next: usual, least; and of all together
_READABLE = 12.0  # pixels a row needs for its n
_NAME, _AWAY = 15.0, 17.0  # pixels between names, and from a mark to its own
_ENDS = ((0.95, "{}_low_95", "{}_high_95"), (0.998, "{}_low", "{}_high"))


def caterpillar(
    frame: pd.DataFrame,
    *,
    value: str,
    by: str,
    title: str,
    called: str = "call",
    reference: float | None = None,
    who: str = "reps",
    subtitle: str = "",
    scope: Scope = UNSCOPED,
) -> Block:
    """Everybody's estimate with its interval, highest first; a name only where somebody is called.

    Order alone says nothing: where intervals overlap, so may the truth. The wrong chart for a few groups that may
    all be named: use `rate_dots`.

    Parameters
    ----------
    frame
        One row each: ``by``, ``value``, its ``_low`` and ``_high``, ``n`` and ``called``.
    value, by
        Columns to draw and to name by.
    title
        The finding.
    called
        Column that is missing, or false, for those not to be named.
    reference
        Value of a dashed line: that of all together.
    who
        What the rows are, in the plural.
    subtitle
        What is measured; put together from the columns if empty.
    """
    checks.require_columns(frame, [value, by, called])
    unit = tables.unit_of(frame, value) or "rate"
    rows = _ordered(frame, value, by, called)
    said = subtitle or _measured(frame, value, rows, "named and full: beyond chance", scope)
    finding = Finding(frame, title, said, scope, {value: unit})
    if finding.is_undrawn(value):
        return finding.without_picture(value)
    step = float(np.clip(_TALLEST / len(rows), _LEAST, _ROW))
    with drawing.canvas(step * len(rows) + 62, left=112, right=98, top=30, bottom=32) as axes:
        axes.set_ylim(len(rows) - 0.5, -0.5)
        marks.reference(axes, reference, "" if reference is None else f"all {words.value(reference, unit)}")
        _intervals(axes, rows, min(step / _ROW, 1.0))
        _names(axes, rows, step, unit, scope.currency)
        known = [*rows[["value", "low", "high"]].stack(), *([] if reference is None else [reference])]
        room = 0.04 * ((max(known) - min(known)) or 0.1)
        marks.value_axis(axes, unit, scope.currency, min(known) - room, max(known) + room)
        return finding.drawn(axes, _in_order(rows, value, unit, reference, who, scope))


def funnel_plot(
    frame: pd.DataFrame,
    *,
    value: str,
    by: str,
    lines: pd.DataFrame,
    title: str,
    outside: str = "is_outside",
    called: str | None = None,
    limits: Sequence[str] = ("chance", "widened"),
    centre: float = 1.0,
    who: str = "reps",
    subtitle: str = "",
    scope: Scope = UNSCOPED,
) -> Block:
    """Everybody's value over how many deals it is made of, between the limits of chance; names only beyond them.

    Parameters
    ----------
    frame
        One row each: ``by``, ``value``, ``n``, ``outside`` and, where given, ``called``.
    value, by
        Columns to draw and to name by.
    lines
        Limits by ``n``: of each name in `limits` ``_low``, ``_high`` (99.8 %) and, where known, ``_low_95``,
        ``_high_95``.
    title
        The finding.
    outside
        Boolean column: who lies outside the widest limits.
    called
        Column that is missing, or false, for those outside who are not to be named; all of them are, where it is None.
    limits
        Limits to draw, from inside out. Those that nowhere lie beyond the one before are left out.
    centre
        Value of a dashed line: what was expected.
    who
        What the rows are, in the plural.
    subtitle
        What is measured; put together from the columns if empty.
    """
    checks.require_columns(frame, [value, by, "n", outside, *filter(None, [called])])
    checks.require_columns(lines, ["n"])
    unit = tables.unit_of(frame, value) or "ratio"
    rows = _ordered(frame, value, by, called or outside, outside)
    full = ", full where named" if (rows["is_outside"] & ~rows["is_named"]).any() else ""
    drawn_as = f"lines: 95 and {words.rate(0.998)} of chance; diamonds lie outside{full}"
    said = subtitle or _measured(frame, value, rows, drawn_as, scope)
    finding = Finding(frame, title, said, scope, {value: unit})
    if finding.is_undrawn(value):
        return finding.without_picture(value)
    drawn = _limit_lines(lines[lines["n"] >= 0.7 * rows["n"].min()], limits)
    with drawing.canvas(320, left=48, right=66, top=16, bottom=50) as axes:
        _scales(axes, rows, drawn, centre, unit, scope.currency)
        _limits(axes, drawn, centre)
        _scattered(axes, rows)
        _beside(axes, rows, centre)
        return finding.drawn(axes, _around(rows, value, unit, who, scope))


def _ordered(frame: pd.DataFrame, value: str, by: str, called: str, outside: str | None = None) -> pd.DataFrame:
    """Rows with a value, highest first, which of them may be named, and which are outside."""
    rows = marks.numbers(frame, by, value)
    rows["is_named"] = _is_set(frame[called])
    rows["is_outside"] = _is_set(frame[outside]) if outside else rows["is_named"]
    rows["is_named"] &= rows["is_outside"]
    rows = rows.dropna(subset=["value"]).sort_values("value", ascending=False, kind="stable", ignore_index=True)
    return rows.assign(place=np.arange(len(rows), dtype=float))


def _is_set(column: pd.Series) -> np.ndarray:
    return (column.notna() & column.ne(False)).to_numpy(dtype=bool)


def _measured(frame: pd.DataFrame, value: str, rows: pd.DataFrame, how: str, scope: Scope) -> str:
    """What is measured, of whom, from how much, and what the marks mean."""
    n = f"n {words.count(rows['n'].sum())}" if rows["n"].notna().any() else ""
    return "; ".join(part for part in (captions.subtitle(frame, value, None, scope), n, how) if part)


def _intervals(axes: Axes, rows: pd.DataFrame, size: float) -> None:
    """Thin and hollow; full for those named."""
    for chosen, colour, fill in ((rows[~rows["is_named"]], QUIET, PAPER), (rows[rows["is_named"]], SERIES, SERIES)):
        known = chosen.dropna(subset=["low", "high"])
        axes.hlines(known["place"], known["low"], known["high"], color=colour, linewidth=max(2 * size, 0.8), zorder=2)
        axes.scatter(
            chosen["value"], chosen["place"], s=36 * max(size, 0.3), color=fill, edgecolor=colour,
            linewidth=max(1.5 * size, 0.6), zorder=3,
        )  # fmt: skip


def _names(axes: Axes, rows: pd.DataFrame, step: float, unit: str, currency: str) -> None:
    """Name and value of those called, and n of each where a row is tall enough to read it."""
    axes.set_yticks([])
    axes.set_ylabel("")
    look = {"xycoords": axes.get_yaxis_transform(), "textcoords": "offset pixels", "annotation_clip": False}
    named = rows[rows["is_named"]]
    places = drawing.spread(named["place"].tolist(), _NAME / step)
    left = 1 - axes.get_position().x0 * drawing.WIDTH
    for place, row in zip(places, named.itertuples(), strict=True):
        name = drawing.wrapped(words.group(row.group), 17, 1)
        axes.annotate(name, (0, place), xytext=(left, 0), va="center", fontweight="bold", **look)
        shown = words.value(row.value, unit, currency=currency, compact=True, bare=True)
        axes.annotate(shown, (1, place), xytext=(8, 0), va="center", fontweight="bold", **look)
    if step < _READABLE or rows["n"].isna().all():
        return
    quiet = {"color": QUIET, "fontsize": 12, "va": "center"}
    for row in rows.dropna(subset=["n"]).itertuples():
        axes.annotate(f"n {words.count(row.n)}", (1, row.place), xytext=(54, 0), **quiet, **look)


def _in_order(rows: pd.DataFrame, value: str, unit: str, reference: float | None, who: str, scope: Scope) -> str:
    """From the highest to the lowest, how many intervals leave out the value of all, and those named."""
    shown = [words.value(rows["value"].iloc[end], unit, currency=scope.currency, compact=True) for end in (0, -1)]
    head = f"{words.label(value)} of {_counted(rows, who)} in order, from {shown[0]} to {shown[1]}"
    beyond = ""
    if reference is not None:
        out = int(((rows["low"] > reference) | (rows["high"] < reference)).sum())
        common = words.value(reference, unit, currency=scope.currency, compact=True)
        beyond = f"; the likely range of {out or 'none'} leaves out that of all together, {common}"
    return f"{head}{beyond}; {_those_named(rows, unit, scope)}."


def _counted(rows: pd.DataFrame, who: str) -> str:
    return f"{len(rows)} {who.removesuffix('s') if len(rows) == 1 else who}"


def _those_named(rows: pd.DataFrame, unit: str, scope: Scope) -> str:
    listed = []
    for row in rows[rows["is_named"]].itertuples():
        limits = words.interval(row.low, row.high, unit, currency=scope.currency)
        shown = words.value(row.value, unit, currency=scope.currency, compact=True)
        listed.append(f"{words.group(row.group)} {shown}{f' ({limits})' if limits else ''}")
    return f"named: {', '.join(listed)}" if listed else "nobody is named"


def _limit_lines(lines: pd.DataFrame, limits: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Each pair of limits by what it is called, from inside out; without those that add nothing."""
    found: dict[str, pd.DataFrame] = {}
    for position, kind in enumerate(limits):
        for level, low, high in _ENDS:
            names = [low.format(kind), high.format(kind)]
            if not set(names) <= set(lines.columns):
                continue
            pair = lines[["n", *names]].set_axis(["n", "low", "high"], axis=1).dropna()
            last = next(reversed(found.values()), None)
            if last is None or not np.allclose(*(each.merge(pair["n"])[["low", "high"]] for each in (pair, last))):
                found[words.rate(level) if not position else "widened"] = pair
    return found


def _limits(axes: Axes, drawn: dict[str, pd.DataFrame], centre: float) -> None:
    """The inner limits shaded, the others as lines, each named at its end."""
    axes.axhline(centre, color=QUIET, linewidth=1.5, linestyle=(0, (3, 2)), zorder=1)
    looks = iter([{"linewidth": 1}, {"linewidth": 1.5}, {"linewidth": 1.5, "linestyle": (0, (1, 1.5))}])
    ends = {}
    for position, (name, pair) in enumerate(drawn.items()):
        if not position:
            axes.fill_between(pair["n"], pair["low"], pair["high"], color=AREA, alpha=0.35, linewidth=0, zorder=0)
        look = next(looks)
        for end in ("low", "high"):
            axes.plot(pair["n"], pair[end], color=QUIET, zorder=1, **look)
        ends[name] = float(pair["high"].iloc[-1]) if len(pair) else np.nan
    ends["expected"] = centre
    _end_names(axes, ends)


def _end_names(axes: Axes, ends: dict[str, float]) -> None:
    known = {name: height for name, height in ends.items() if not np.isnan(height)}
    bottom, top = axes.get_ylim()
    pixels = axes.get_position().height * axes.figure.get_figheight() * 72
    for name, height in zip(known, drawing.spread(list(known.values()), 15 * (top - bottom) / pixels), strict=True):
        axes.annotate(
            name, (1, height), xycoords=axes.get_yaxis_transform(), xytext=(5, 0), textcoords="offset pixels",
            va="center", color=QUIET, fontsize=12, annotation_clip=False,
        )  # fmt: skip


def _scattered(axes: Axes, rows: pd.DataFrame) -> None:
    """A hollow dot each; a large diamond for who is outside, full where named."""
    inside, outside = rows[~rows["is_outside"]], rows[rows["is_outside"]]
    axes.scatter(inside["n"], inside["value"], s=30, color=PAPER, edgecolor=QUIET, linewidth=1.5, zorder=3)
    for chosen, fill in ((~outside["is_named"], PAPER), (outside["is_named"], SERIES)):
        each, look = outside[chosen], {"marker": "D", "edgecolor": SERIES, "linewidth": 2, "zorder": 4}
        axes.scatter(each["n"], each["value"], s=70, color=fill, **look)


def _beside(axes: Axes, rows: pd.DataFrame, centre: float) -> None:
    """Names of those who may be named, on the far side of their marks from the centre."""
    named = rows[rows["is_named"]]
    bottom, top = axes.get_ylim()
    pixel = (top - bottom) / (axes.get_position().height * axes.figure.get_figheight() * 72)
    away = np.where(named["value"] < centre, -_AWAY, _AWAY) * pixel
    for height, row in zip(
        drawing.spread((named["value"] + away).tolist(), _NAME * pixel), named.itertuples(), strict=True
    ):
        share = row.n / axes.get_xlim()[1]
        axes.annotate(
            drawing.wrapped(words.group(row.group), 20, 1), (row.n, height), xytext=(0, 0),
            textcoords="offset pixels", ha="right" if share > 0.75 else "left" if share < 0.25 else "center",
            va="center", color=TEXT, fontweight="bold", annotation_clip=False, zorder=5,
            bbox={"facecolor": PAPER, "linewidth": 0, "pad": 1},  # no limit of chance strikes through a name
        )  # fmt: skip


def _scales(axes: Axes, rows: pd.DataFrame, drawn: dict, centre: float, unit: str, currency: str) -> None:
    """Cases below from none, values on the left; the limits may leave the picture where there are few cases."""
    axes.set_xlim(0, 1.04 * rows["n"].max())
    reach = [pair[["low", "high"]].iloc[len(pair) // 6] for pair in drawn.values() if len(pair)]
    known = pd.concat([rows["value"], *reach, pd.Series([centre])])
    marks.side_axis(axes, unit, currency, known)
    marks.counted_axis(axes, "Deals")
    axes.grid(axis="y", color=GRID)


def _around(rows: pd.DataFrame, value: str, unit: str, who: str, scope: Scope) -> str:
    """From how few to how many cases, and those outside."""
    few, most = (words.count(end) for end in (rows["n"].min(), rows["n"].max()))
    head = (
        f"{words.label(value)} of {_counted(rows, who)} with {few} to {most} deals each, between the limits of chance"
    )
    return f"{head}; {int(rows['is_outside'].sum()) or 'none'} outside; {_those_named(rows, unit, scope)}."
