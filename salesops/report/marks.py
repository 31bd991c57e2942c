"""The marks charts are made of: intervals, bands, lines and axes on a given canvas."""

import math
import re
from collections.abc import Mapping

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from salesops import words
from salesops.report import captions, drawing
from salesops.report.drawing import AREA, GRID, PAPER, QUIET, SERIES, TEXT

ROW = 38  # pixels from one group to the next
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


def curves(axes: Axes, named: Mapping[str, pd.DataFrame], chosen: str) -> None:
    """Step curves with their bands: one in colour, the others grey and told apart by their dashes."""
    dashes = iter(_DASHES)
    for name, curve in named.items():
        main = name == chosen
        look = {"color": SERIES} if main else {"color": QUIET, "linestyle": next(dashes), "linewidth": 2}
        axes.fill_between(
            curve["place"], curve["low"], curve["high"], step="post", color=look["color"], alpha=0.16, linewidth=0
        )
        axes.step(curve["place"], curve["value"], where="post", **look)


def earlier(axes: Axes, series: pd.DataFrame) -> None:
    """The year before, thinner and grey."""
    if series["before"].notna().any():
        sns.lineplot(series, x="place", y="before", color=QUIET, linewidth=1.5, errorbar=None, ax=axes)


def row_labels(axes: Axes, rows: pd.DataFrame, unit: str, currency: str) -> None:
    """Names on the left, values on the right, the first row at the top."""
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks([])
    left = axes.get_position().x0 * drawing.WIDTH
    tells_n = not captions.is_shared(rows["n"])
    for row in rows.itertuples():
        axes.annotate(
            drawing.wrapped(words.group(row.group)), (0, row.place), xycoords=axes.get_yaxis_transform(),
            xytext=(1 - left, 0), textcoords="offset pixels", va="center", linespacing=1.05, annotation_clip=False,
        )  # fmt: skip
        shown = words.value(row.value, unit, currency=currency, compact=True, bare=True)
        axes.annotate(
            shown, (1, row.place), xycoords=axes.get_yaxis_transform(), xytext=(8, 0), textcoords="offset pixels",
            va="center", fontweight="bold", annotation_clip=False,
        )  # fmt: skip
        if tells_n and not np.isnan(row.n):
            axes.annotate(
                f"n {words.count(row.n)}", (1, row.place), xycoords=axes.get_yaxis_transform(), xytext=(60, 0),
                textcoords="offset pixels", va="center", color=QUIET, fontsize=12, annotation_clip=False,
            )  # fmt: skip
    axes.set_ylabel("")


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
    axes.xaxis.set_major_locator(
        MaxNLocator(3 if unit.startswith("amount") else 4, steps=[1, 2, 2.5, 5, 10], integer=unit == "count")
    )
    axes.xaxis.set_major_formatter(tick_text(unit, currency))
    axes.grid(axis="x", color=GRID)
    axes.tick_params(axis="x", length=0)
    axes.spines["bottom"].set_visible(False)
    axes.set_xlabel("")


def band(axes: Axes, series: pd.DataFrame, low: str, high: str, alpha: float) -> None:
    """The space between two limits."""
    axes.fill_between(series["place"], series[low], series[high], color=SERIES, alpha=alpha, linewidth=0, zorder=1)


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
    places = range(len(series) - 1, -1, -max(math.ceil(len(series) / 4), 1))
    axes.set_xticks(list(places), [words.group(series["group"].iloc[place]) for place in places])
    axes.tick_params(axis="x", pad=5)
    axes.set_xlim(-0.2, max(len(series) - 0.8, 0.2))
    side_axis(axes, unit, currency, shown)


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


def tick_text(unit: str, currency: str) -> FuncFormatter:
    """Tick labels as the unit is written, short."""

    def text(number: float, _: object) -> str:
        return re.sub(r"\.0(?=[KMB])", "", words.value(number, unit, currency=currency, compact=True, bare=True))

    return FuncFormatter(text)
