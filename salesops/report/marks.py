"""The marks charts are made of: intervals, bands, lines and axes on a given canvas."""

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from salesops import words
from salesops.report import captions, drawing
from salesops.report.drawing import AREA, GRID, PAPER, QUIET, SERIES, TEXT

ROW = 38  # pixels from one group to the next
_LETTER = 8  # pixels of a letter of a tick
HEAD = 26  # pixels of a name above the rows that belong to it
_SHORT = {"amount_per_day": "amount"}  # units without what has no room in a picture
_BANDS = 2  # curves that can have a band each
_DASHES = [(0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2))]


def numbers(frame: pd.DataFrame, label: str, value: str) -> pd.DataFrame:
    """The columns charts draw, under fixed names: group, value, low, high, n, place."""
    named = frame[label].map(lambda name: words.group(name, label)) if label == "model" else frame[label]
    drawn = pd.DataFrame({"group": named.to_numpy(), "value": frame[value].to_numpy(dtype=float)})
    for end in ("low", "high"):
        known = f"{value}_{end}" in frame.columns
        drawn[end] = frame[f"{value}_{end}"].to_numpy(dtype=float) if known else np.nan
    drawn["n"] = frame["n"].to_numpy(dtype=float) if "n" in frame.columns else np.nan
    drawn["place"] = np.arange(len(drawn), dtype=float)
    return drawn


def places(parts: pd.Series | None, n: int) -> tuple[list[float], dict[float, str], float]:
    """Where each row stands, where each head does, and how tall all are, in pixels from the top."""
    places, heads, at, last = [], {}, 0.0, None
    for row in range(n):
        if parts is not None and parts.iloc[row] != last:
            last = parts.iloc[row]
            heads[at + HEAD / 2 + 2] = last
            at += HEAD
        places.append(at + ROW / 2)
        at += ROW
    return places, heads, max(at, ROW)


def whiskers(axes: Axes, rows: pd.DataFrame, colour: str = SERIES) -> None:
    """The interval of each row, as a thin line."""
    known = rows.dropna(subset=["low", "high"])
    if colour != SERIES:  # over a dark bar a line needs a light edge
        axes.hlines(known["place"], known["low"], known["high"], color=PAPER, linewidth=5, zorder=2)
    axes.hlines(known["place"], known["low"], known["high"], color=colour, linewidth=2, zorder=2)


def dots(axes: Axes, rows: pd.DataFrame, *, hollow: pd.Series) -> None:
    """A dot for each row, hollow where asked."""
    for chosen, fill in ((~hollow, SERIES), (hollow, PAPER)):
        sns.scatterplot(
            rows[chosen], x="value", y="place", ax=axes, color=fill, s=72, edgecolor=SERIES, linewidth=2, zorder=3
        )


def bars(axes: Axes, rows: pd.DataFrame, *, quiet: pd.Series | None) -> None:
    """A bar from zero for each row, grey where quiet, with its interval."""
    quiet = pd.Series(False, index=rows.index) if quiet is None else quiet
    look = {"orient": "h", "native_scale": True, "errorbar": None, "saturation": 1, "width": 0.6, "linewidth": 0}
    for chosen, colour in ((rows[~quiet], SERIES), (rows[quiet], AREA)):
        if len(chosen):
            sns.barplot(chosen, x="value", y="place", color=colour, ax=axes, **look)
    whiskers(axes, rows, TEXT)
    axes.axvline(0, color=QUIET, linewidth=1)


def going_further(axes: Axes, rows: pd.DataFrame) -> None:
    """How many entered, grey from zero; over it in colour the share that goes further, with its interval."""
    axes.barh(rows["place"], rows["n"], height=0.6, color=AREA)
    axes.barh(rows["place"], rows["n"] * rows["value"].fillna(0), height=0.6, color=SERIES)
    counted = rows.assign(low=rows["n"] * rows["low"], high=rows["n"] * rows["high"])
    whiskers(axes, counted, TEXT)
    axes.axvline(0, color=QUIET, linewidth=1)


def floating(axes: Axes, rows: pd.DataFrame) -> None:
    """Levels as bars from zero; what came (full) and what went (hollow) from where the one before ended."""
    rise = rows["end"] >= rows["begin"]
    fill = np.select([rows["is_level"], rise], [SERIES, AREA], PAPER)
    edge = np.where(rows["is_level"], SERIES, QUIET)
    width = rows["end"] - rows["begin"]
    axes.barh(rows["place"], width, left=rows["begin"], height=0.6, color=fill, edgecolor=edge, linewidth=1)
    inner = rows["end"].iloc[:-1]
    axes.vlines(inner, rows["place"].iloc[:-1] + 0.3, rows["place"].iloc[1:] - 0.3, color=QUIET, linewidth=1)
    axes.axvline(0, color=QUIET, linewidth=1)


def curves(axes: Axes, named: Mapping[str, pd.DataFrame], chosen: str) -> None:
    """Step curves: one in colour with its band, the others grey and told apart by their dashes.

    Bands of more than two curves would lie over one another: the others have their interval at their end.
    """
    dashes = iter(_DASHES)
    longest = max((curve["place"].max() for curve in named.values()), default=0)
    for at, (name, curve) in enumerate(named.items()):
        main = name == chosen
        look = {"color": SERIES} if main else {"color": QUIET, "linestyle": next(dashes), "linewidth": 2}
        axes.step(curve["place"], curve["value"], where="post", **look)
        if main or len(named) <= _BANDS:
            axes.fill_between(
                curve["place"], curve["low"], curve["high"], step="post", color=look["color"], alpha=0.16, linewidth=0
            )
        else:
            end = curve.dropna(subset=["low", "high"]).tail(1)
            axes.vlines(end["place"] + 0.012 * at * longest, end["low"], end["high"], color=QUIET, linewidth=1.5)


def earlier(axes: Axes, series: pd.DataFrame) -> None:
    """The year before, thinner and grey."""
    if series["before"].notna().any():
        sns.lineplot(series, x="place", y="before", color=QUIET, linewidth=1.5, errorbar=None, ax=axes)


def row_labels(axes: Axes, rows: pd.DataFrame, unit: str, currency: str, *, running: bool = False) -> None:
    """Names on the left, values on the right, the first row at the top; their running sum in the place of n."""
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks([])
    left = axes.get_position().x0 * drawing.WIDTH
    tells_n = not captions.is_shared(rows["n"])
    for row in rows.itertuples():
        name = drawing.wrapped(words.group(row.group), lines=3)
        axes.annotate(
            name, (0, row.place), xycoords=axes.get_yaxis_transform(), xytext=(1 - left, 0),
            textcoords="offset pixels", va="center", linespacing=1.05, annotation_clip=False,
            fontsize=11 if name.count("\n") > 1 else 13,
        )  # fmt: skip
        shown = words.value(row.value, unit, currency=currency, compact=True, bare=True)
        axes.annotate(
            shown, (1, row.place), xycoords=axes.get_yaxis_transform(), xytext=(8, 0), textcoords="offset pixels",
            va="center", fontweight="bold", annotation_clip=False,
        )  # fmt: skip
        note = words.value(row.running, unit) if running else f"n {words.count(row.n)}"
        if not np.isnan(row.running if running else row.n) and (running or tells_n):
            axes.annotate(
                note, (1, row.place), xycoords=axes.get_yaxis_transform(), xytext=(57, 0),
                textcoords="offset pixels", va="center", color=QUIET, fontsize=12, annotation_clip=False,
            )  # fmt: skip
    axes.set_ylabel("")


def heads_of(axes: Axes, heads: Mapping[float, str]) -> None:
    """Names above the rows that belong to them."""
    left = 1 - axes.get_position().x0 * drawing.WIDTH
    for place, head in heads.items():
        axes.annotate(
            drawing.wrapped(head, 40, 1), (0, place), xycoords=axes.get_yaxis_transform(), xytext=(left, 0),
            textcoords="offset pixels", va="center", fontweight="bold", annotation_clip=False,
        )  # fmt: skip


def column_head(axes: Axes, text: str) -> None:
    """What the quiet figures at the right are, above them."""
    axes.annotate(
        text, (1, 1), xycoords="axes fraction", xytext=(57, 4), textcoords="offset pixels", color=QUIET,
        fontsize=12, annotation_clip=False,
    )  # fmt: skip


def effects(axes: Axes, rows: pd.DataFrame) -> None:
    """Whiskers and dots: full where named, hollow and grey where not."""
    for chosen, colour, fill in ((rows[~rows["is_named"]], QUIET, PAPER), (rows[rows["is_named"]], SERIES, SERIES)):
        known = chosen.dropna(subset=["low", "high"])
        axes.hlines(known["place"], known["low"], known["high"], color=colour, linewidth=2, zorder=2)
        axes.scatter(chosen["value"], chosen["place"], s=64, color=fill, edgecolor=colour, linewidth=2, zorder=3)


def effect_labels(axes: Axes, rows: pd.DataFrame, heads: Mapping[float, str], unit: str, currency: str) -> None:
    """Each factor's name above its levels, what each is compared with under it, values and n on the right."""
    axes.set_yticks([])
    look = {"xycoords": axes.get_yaxis_transform(), "textcoords": "offset pixels", "annotation_clip": False}
    left = 1 - axes.get_position().x0 * drawing.WIDTH
    quiet = {"color": QUIET, "fontsize": 12}
    heads_of(axes, heads)
    for row in rows.itertuples():
        indent, up = left + (8 if heads else 0), 8 if row.against else 0
        lines = 1 if row.against else 2
        name = drawing.wrapped(words.group(row.group), 18, lines)
        axes.annotate(name, (0, row.place), xytext=(indent, up), va="center", linespacing=1.05, **look)
        if row.against:
            axes.annotate(
                drawing.wrapped(row.against, 20, 1), (0, row.place), xytext=(indent, -8), va="center", **quiet, **look
            )
        shown = words.value(row.value, unit, currency=currency, compact=True, bare=True)
        weight = {"fontweight": "bold"} if row.is_named else {"color": QUIET}
        axes.annotate(shown, (1, row.place), xytext=(8, 0), va="center", **weight, **look)
        if not np.isnan(row.n):
            axes.annotate(f"n {words.count(row.n)}", (1, row.place), xytext=(46, 0), va="center", **quiet, **look)
    axes.set_ylabel("")


def cells(
    axes: Axes, table: pd.DataFrame, sides: Sequence[str], heads: Sequence[str], unit: str, currency: str, min_n: int
) -> None:
    """A box for each pair, shaded by its value where n is not small, with value, interval and n inside."""
    known = table.loc[(table["n"] >= min_n) | table["n"].isna(), "value"].dropna()
    low, span = (known.min(), (known.max() - known.min()) or 1.0) if len(known) else (0.0, 1.0)
    axes.set_xlim(0, len(heads))
    axes.set_ylim(len(sides), 0)
    axes.set_axis_off()
    for row in table.itertuples():
        x, y = heads.index(row.across), sides.index(row.group)
        is_few = row.n < min_n
        shade = 0.0 if is_few or np.isnan(row.value) else 0.06 + 0.3 * (row.value - low) / span
        axes.add_patch(Rectangle((x + 0.02, y + 0.03), 0.96, 0.94, facecolor=SERIES, alpha=shade, linewidth=0))
        edge = {"edgecolor": SERIES, "linewidth": 2} if row.is_named else {"edgecolor": GRID, "linewidth": 1}
        axes.add_patch(Rectangle((x + 0.02, y + 0.03), 0.96, 0.94, fill=False, **edge))
        shown = words.value(row.value, unit, currency=currency, compact=True, bare=True)
        weight = {"color": QUIET} if is_few else {"fontweight": "bold"}
        axes.text(x + 0.5, y + 0.26, shown, ha="center", va="center", **weight)
        small = {"ha": "center", "va": "center", "fontsize": 12}
        axes.text(x + 0.5, y + 0.54, words.bracket(row.low, row.high, unit), **small)
        axes.text(x + 0.5, y + 0.79, "" if np.isnan(row.n) else f"n {words.count(row.n)}", **small)
    left = axes.get_position().x0 * drawing.WIDTH
    for place, side in enumerate(sides):
        axes.annotate(
            drawing.wrapped(side, 14), (0, place + 0.5), xytext=(1 - left, 0), textcoords="offset pixels", va="center",
            annotation_clip=False,
        )  # fmt: skip
    width = int(axes.get_position().width * drawing.WIDTH / len(heads) / 8)
    for place, head in enumerate(heads):
        axes.text(place + 0.5, -0.08, drawing.wrapped(head, width), ha="center", va="bottom", linespacing=1.05)


def agreement(axes: Axes, rows: pd.DataFrame, few: pd.Series) -> None:
    """The diagonal on which both agree, and a dot with its interval for each group, hollow where few."""
    axes.plot([0, 1], [0, 1], color=QUIET, linewidth=1.5, linestyle=(0, (3, 2)), zorder=1)
    known = rows.dropna(subset=["low", "high"])
    axes.vlines(known["place"], known["low"], known["high"], color=SERIES, linewidth=2, zorder=2)
    for chosen, fill in ((rows[~few], SERIES), (rows[few], PAPER)):
        axes.scatter(chosen["place"], chosen["value"], s=56, color=fill, edgecolor=SERIES, linewidth=2, zorder=3)


def square_axes(axes: Axes, top: float) -> None:
    """Both axes from zero to the same end, named."""
    axes.set_xlim(0, top)
    axes.set_ylim(0, top)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
        axis.set_major_formatter(tick_text("rate", ""))
    axes.grid(color=GRID)
    axes.tick_params(axis="x", pad=6)  # the two zeros stand apart
    axes.set_xlabel("Predicted", color=QUIET, labelpad=6)
    axes.set_ylabel("")
    axes.annotate(
        "Came true", (0, 1), xycoords="axes fraction", xytext=(6, -2), textcoords="offset pixels", va="top", color=QUIET
    )


def limits(axes: Axes, series: pd.DataFrame) -> None:
    """What chance alone gives, stepped because it depends on each period's n, around a dashed centre."""
    known = series.dropna(subset=["low", "high"])
    axes.fill_between(known["place"], known["low"], known["high"], step="mid", color=AREA, alpha=0.35, linewidth=0)
    for end in ("low", "high"):
        axes.step(known["place"], known[end], where="mid", color=QUIET, linewidth=1)
    axes.step(
        series["place"], series["centre"], where="mid", color=QUIET, linewidth=1.5, linestyle=(0, (3, 2)), zorder=2
    )


def watched(axes: Axes, series: pd.DataFrame) -> None:
    """The series with a dot for each period; a large diamond for what lies beyond chance."""
    axes.plot(series["place"], series["value"], color=SERIES, linewidth=1.5, zorder=3)
    for chosen, marker, size in ((series[~series["is_signal"]], "o", 24), (series[series["is_signal"]], "D", 90)):
        axes.scatter(chosen["place"], chosen["value"], s=size, marker=marker, color=SERIES, zorder=4)


def two_dots(axes: Axes, rows: pd.DataFrame) -> None:
    """Hollow for what has come so far, full for the end expected, named above."""
    axes.scatter(rows["value"], rows["place"], s=72, color=SERIES, edgecolor=SERIES, linewidth=2, zorder=3)
    axes.scatter(rows["so_far"], rows["place"], s=72, color=PAPER, edgecolor=SERIES, linewidth=2, zorder=4)
    for at, (fill, name) in enumerate(((PAPER, "so far"), (SERIES, "expected in the end"))):
        look = {"xycoords": "axes fraction", "textcoords": "offset pixels", "annotation_clip": False}
        place = {"markersize": 8, "color": SERIES, "markerfacecolor": fill, "markeredgewidth": 2, "clip_on": False}
        x = 0.03 + 0.42 * at
        axes.plot(x, 1 + 15 / (axes.get_position().height * axes.figure.get_figheight() * 72), "o",
                  transform=axes.transAxes, **place)  # fmt: skip
        axes.annotate(name, (x, 1), xytext=(10, 15), va="center", color=QUIET, fontsize=12, **look)


def reference(axes: Axes, value: float | None, label: str) -> None:
    """A dashed line from top to bottom, labelled above."""
    if value is None or np.isnan(value):
        return
    axes.axvline(value, color=QUIET, linewidth=1.5, linestyle=(0, (3, 2)), zorder=1)
    axes.annotate(
        label, (value, 1), xycoords=axes.get_xaxis_transform(), xytext=(0, 6), textcoords="offset pixels",
        ha="center", color=QUIET, annotation_clip=False,
    )  # fmt: skip


def value_axis(axes: Axes, unit: str, currency: str, low: float, high: float) -> None:
    """A horizontal axis of values with a light grid."""
    if np.isfinite([low, high]).all() and high > low:
        axes.set_xlim(low, high)
    axes.xaxis.set_major_formatter(tick_text(unit, currency))
    _ticked(axes, unit)
    axes.grid(axis="x", color=GRID)
    axes.tick_params(axis="x", length=0)
    axes.spines["bottom"].set_visible(False)
    axes.set_xlabel("")


def _ticked(axes: Axes, unit: str) -> None:
    """As many values as have room beside one another, between the names and the figures."""
    room = axes.get_position().width * drawing.WIDTH
    for most in (5, 4, 3):
        axes.xaxis.set_major_locator(MaxNLocator(most, steps=[1, 2, 2.5, 5, 10], integer=unit == "count"))
        low, high = axes.get_xlim()
        seen = [place for place in axes.xaxis.get_majorticklocs() if low <= place <= high]
        widest = max((len(text) for text in axes.xaxis.get_major_formatter().format_ticks(seen)), default=0)
        if len(seen) < 2 or (seen[1] - seen[0]) / (high - low) * room >= _LETTER * widest + 12:
            return


def band(axes: Axes, series: pd.DataFrame, low: str, high: str, alpha: float) -> None:
    """The space between two limits."""
    axes.fill_between(series["place"], series[low], series[high], color=SERIES, alpha=alpha, linewidth=0, zorder=1)


def alone(axes: Axes, known: pd.DataFrame) -> None:
    """A single value has no line: a dot with its whisker."""
    if len(known) == 1:
        axes.vlines(known["place"], known["low"], known["high"], color=SERIES, linewidth=2, zorder=2)
        axes.scatter(known["place"], known["value"], color=SERIES, s=64, zorder=3)


def actual_and_expected(axes: Axes, series: pd.DataFrame) -> None:
    """A solid line while recorded; dashed from the last record on while expected."""
    expected = series["is_forecast"].to_numpy()
    recorded = series[~expected]
    bridged = series[expected | np.append(expected[1:], False)] if expected.any() else series.iloc[:0]
    sns.lineplot(recorded, x="place", y="value", color=SERIES, errorbar=None, ax=axes, zorder=3)
    sns.lineplot(bridged, x="place", y="value", color=SERIES, linestyle=(0, (3, 2)), errorbar=None, ax=axes, zorder=3)
    known = series.dropna(subset=["value"])
    if len(known):
        last = known.iloc[-1]
        fill = PAPER if last["is_forecast"] else SERIES
        axes.plot(
            last["place"],
            last["value"],
            "o",
            color=SERIES,
            markerfacecolor=fill,
            markersize=8,
            markeredgewidth=2,
            zorder=4,
        )


def time_axis(axes: Axes, series: pd.DataFrame, unit: str, currency: str, shown: pd.Series) -> None:
    """Periods below, values on the left; amounts, counts and times begin at zero."""
    names = series["group"].map(words.group).tolist()
    room = axes.get_position().width * drawing.WIDTH
    apart = (8 * max(map(len, names), default=1) + 16) * (len(names) - 0.6) / room  # places a name takes
    places = range(len(names) - 1, -1, -max(math.ceil(apart), 1))
    axes.set_xticks(list(places), [names[place] for place in places])
    axes.tick_params(axis="x", pad=5)
    axes.set_xlim(-0.2, max(len(series) - 0.8, 0.2))
    side_axis(axes, unit, currency, shown)


def counted_axis(axes: Axes, name: str) -> None:
    """A horizontal axis of days, weeks or deals, named below."""
    axes.xaxis.set_major_formatter(tick_text("count", ""))
    axes.set_xlabel(name, color=QUIET, labelpad=6)


def side_axis(axes: Axes, unit: str, currency: str, shown: pd.Series) -> None:
    """A vertical axis of values with a light grid."""
    known = shown.dropna().astype(float)
    if len(known):
        low, high = known.min(), known.max()
        room = 0.08 * ((high - low) or abs(high) or 1)
        from_zero = low >= 0 and (unit not in ("rate", "points") or low < 0.6 * high)
        axes.set_ylim(0 if from_zero else low - room, high + room)
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10], integer=unit == "count"))
    axes.yaxis.set_major_formatter(tick_text(unit, currency))
    axes.grid(axis="y", color=GRID)
    axes.set_xlabel("")
    axes.set_ylabel("")


def end_labels(axes: Axes, ends: Mapping[str, float]) -> None:
    """Each line's name at its end, moved apart where two would touch."""
    known = {name: height for name, height in ends.items() if not np.isnan(height)}
    bottom, top = axes.get_ylim()
    pixels = axes.get_position().height * axes.figure.get_figheight() * 72
    moved = drawing.spread(list(known.values()), gap=17 * (top - bottom) / pixels)
    for place, (name, height) in enumerate(zip(known, moved, strict=True)):
        axes.annotate(
            drawing.wrapped(name, 16, 1), (1, height), xycoords=axes.get_yaxis_transform(), xytext=(6, 0),
            textcoords="offset pixels", va="center", color=TEXT if place == 0 else QUIET,
            fontweight="bold" if place == 0 else "normal", annotation_clip=False,
        )  # fmt: skip


def end_name(number: float, unit: str, currency: str) -> str:
    """A value at the end of its line; that an amount is of a day the words above the picture say.

    Examples
    --------
    >>> end_name(18_000.0, "amount_per_day", "USD"), end_name(0.22, "rate", "")
    ('$18K', '22 %')
    """
    return words.value(number, _SHORT.get(unit, unit), currency=currency, compact=True)


def tick_text(unit: str, currency: str) -> FuncFormatter:
    """Tick labels as the unit is written, short."""
    short = _SHORT.get(unit, unit)

    def text(number: float, _: object) -> str:
        return re.sub(r"[.,]0(?=[KMB])", "", words.value(number, short, currency=currency, compact=True, bare=True))

    return FuncFormatter(text)
