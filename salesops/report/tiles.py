"""Tiles: one figure each, its interval in words, and what it is compared with."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from salesops import checks, metrics, periods, words
from salesops.report import changes, deal_lists, figures, markup, remarks
from salesops.report.block import Block
from salesops.report.figures import UNSCOPED, Deals, Scope

LEGEND = (
    "<b>n</b> is how many deals (or leads, people, quarters) stand behind a figure; “likely between” is where the true "
    "value lies in all but one of twenty such cases."
)


@dataclass(frozen=True)
class Tile:
    """One figure and its comparisons, not yet drawn; see `tile`."""

    title: str
    row: dict
    column: str
    prior: dict | None = None
    prior_year: dict | None = None
    target: dict | None = None
    trend: pd.Series | None = None
    deals: Deals = None
    min_n: int = checks.MIN_N
    period: periods.Period | None = None
    note: str = ""


def tile(
    title: str,
    frame: pd.DataFrame,
    column: str,
    *,
    prior: pd.DataFrame | None = None,
    prior_year: pd.DataFrame | None = None,
    target: pd.DataFrame | float | None = None,
    trend: pd.Series | None = None,
    deals: Deals = None,
    min_n: int = checks.MIN_N,
    period: periods.Period | None = None,
    note: str = "",
) -> Tile:
    """A tile to hand to `Page.tiles`.

    Parameters
    ----------
    title
        What the figure is called.
    frame
        One row with ``column``, ``column_low``, ``column_high`` and ``n``.
    column
        A metric, alone or with a statistic.
    prior, prior_year
        The same row for the period before and for the same period last year.
    target
        A row with ``column``, or the value itself.
    trend
        Values by period, oldest first, for the small line.
    deals
        Rows with ``opportunity_id``.
    min_n
        A smaller ``n`` is said.
    period
        What the figure is of, where that is not the page's period.
    note
        One more line, in words.
    """
    if metrics.split(column) is None:
        known = list(metrics.registry())
        raise checks.ParameterError(f"tile: '{column}' is not a metric.{checks.did_you_mean(column, known)}")
    row = _row(frame, column) or {column: None}
    aim = {column: target} if isinstance(target, int | float) else _row(target, column)
    bases = (_row(prior, column), _row(prior_year, column), aim)
    return Tile(title, row, column, *bases, trend, deals, min_n, period, note)


def tiles(items: Iterable[Tile], scope: Scope = UNSCOPED) -> Block:
    """Tiles side by side, with their figures."""
    items = list(items)
    made = [one for item in items for one in _figures(item, _over(item, scope))]
    linked = {key: ids for item in items for key, ids in _deals(item, _over(item, scope)).items()}
    html = "".join(_drawn(item, _over(item, scope), linked) for item in items)
    titles = {
        figures.figure_key(figures.figure(item.row, item.column, _over(item, scope))): item.title for item in items
    }
    overs = [(_over(item, scope), item) for item in items]
    legend = f'<p class="so so-note">{LEGEND}</p>' if re.search(r"\bn&nbsp;\d", html) else ""  # once on a page
    facts = {"figures": made, "deals": linked, "titles": titles}
    facts |= remarks.facts((own, over) for over, item in overs for own in _figures(item, over))
    return Block("tiles", f'<ul class="so so-tiles">{html}</ul>{legend}', facts)


def _over(item: Tile, scope: Scope) -> Scope:
    return scope.over(item.period) if item.period else scope


def _figures(item: Tile, scope: Scope) -> list[figures.Figure]:
    own = figures.figure(item.row, item.column, scope)
    return [own, *(_compared(item, own, kind, base) for kind, base, _ in _bases(item, scope) if base is not None)]


def _compared(item: Tile, own: figures.Figure, kind: str, base: dict) -> figures.Figure:
    """The change as a figure; it stands on the two values it was made of."""
    unit, hidden = own["unit"], own["value"] is None
    gap, low, high = (None, None, None) if hidden else _gap(item, own, base, kind)
    before = None if hidden else figures.plain(base.get(item.column))
    in_points = unit in ("rate", "points")
    scale = 1 if in_points else before if before is not None and before > 0 else None
    values = [None if end is None or scale is None else figures.plain(end / scale) for end in (gap, low, high)]
    return own | {
        "value": values[0], "low": values[1], "high": values[2],
        "level": 0.95 if values[1] is not None else None,
        "numerator": own["value"], "denominator": before,
        "unit": "points" if in_points else "rate",
        "compared_with": kind,
    }  # fmt: skip


def _bases(item: Tile, scope: Scope) -> list[tuple[str, dict | None, str]]:
    before = year = "the same period last year"
    aim = ("target", item.target, "target")
    if scope.period and scope.period.label == "all":
        return [aim]  # nothing lies before all there is
    if scope.period:
        before = periods.previous(scope.period, scope.calendar).label
        year = periods.year_before(scope.period, scope.calendar).label
    return [
        ("prior_period", item.prior, before),
        ("prior_year", item.prior_year, year),
        aim,
    ]


def _deals(item: Tile, scope: Scope) -> deal_lists.Lists:
    return deal_lists.of(pd.DataFrame([item.row]), [figures.figure(item.row, item.column, scope)], item.deals)


def _drawn(item: Tile, scope: Scope, linked: dict) -> str:
    own = figures.figure(item.row, item.column, scope)
    key = figures.figure_key(own)
    reason = figures.withheld(item.column, scope)
    shown = markup.text(words.value(own["value"], own["unit"], currency=scope.currency, compact=True))
    value = "withheld" if reason else markup.deals_link(key if key in linked else None, shown)
    lines = [reason] if reason else [_basis(item, own, scope), *_comparisons(item, own, scope), item.note]
    small = "".join(f"<p>{markup.text(line)}</p>" for line in lines if line)
    line = "" if reason else sparkline(item.trend, own["unit"], scope)
    return (
        f'<li class="so-tile"><p class="so-tile-title">{markup.text(item.title)}</p>'
        f'<p class="so-tile-value">{value}</p>{line}'
        f'<div class="so-tile-notes">{small}</div>{remarks.under_tile(own, scope)}</li>'
    )


def _basis(item: Tile, own: figures.Figure, scope: Scope) -> str:
    limits = words.interval(own["low"], own["high"], own["unit"], currency=scope.currency, level=own["level"])
    n = "" if own["n"] is None else f"n {words.count(own['n'])}"
    few = "" if not markup.few(own["n"], item.min_n) else "few deals" if own["n"] else "no deals"
    return ", ".join(part for part in (limits, n, few) if part)


def _comparisons(item: Tile, own: figures.Figure, scope: Scope) -> list[str]:
    return [comparison(item, own, base, name, scope) for _, base, name in _bases(item, scope) if base is not None]


def comparison(item: Tile, own: figures.Figure, base: dict, name: str, scope: Scope) -> str:
    """One comparison in words; a change inside the noise gets no direction."""
    unit, before = own["unit"], figures.plain(base.get(item.column))
    if before is None or own["value"] is None:
        return f"vs {name}: not comparable, {'no value then' if before is None else 'no value now'}"
    if markup.few(own["n"], item.min_n) or markup.few(base.get("n"), item.min_n):
        return f"vs {name}: too few deals to compare"
    _, low, high = _gap(item, own, base, name)
    was = words.value(before, unit, currency=scope.currency, compact=True)
    if unit == "rate":
        was = words.ends(before, own["value"])[0]  # with a decimal where the points between the two have one
    if name == "target":
        return f"{words.against(own['value'], before, unit, low=low, high=high)} ({was})"
    good = metrics.registry()[own["metric"]].good
    said = words.change(own["value"], before, unit, low=low, high=high, good=good)
    seen = changes.smallest_seen(low, high, unit, before) if words.covers_zero(low, high) else ""
    limit = f"; under {seen} would not show" if seen else ""
    return f"vs {name}: {said} (was {was}{limit})"


def _gap(item: Tile, own: figures.Figure, base: dict, kind: str) -> tuple[float | None, float | None, float | None]:
    return changes.difference(item.row, base, item.column, is_count=own["unit"] == "count", is_exact=kind == "target")


def sparkline(
    trend: pd.Series | None, unit: str, scope: Scope, width: int = 120, height: int = 28, *, of: str = "periods"
) -> str:
    """A small line of values by period (or by what `of` says); nothing where fewer than three are known."""
    if trend is None or trend.notna().sum() < 3:
        return ""
    known = trend.astype(float).reset_index(drop=True).dropna()
    bottom, span = known.min(), (known.max() - known.min()) or 1.0
    step = (width - 8) / max(len(trend) - 1, 1)
    dots = [
        f"{4 + place * step:.1f},{height - 4 - (size - bottom) / span * (height - 8):.1f}"
        for place, size in known.items()
    ]
    first, last = (
        words.value(size, unit, currency=scope.currency, compact=True) for size in (known.iloc[0], known.iloc[-1])
    )
    x, y = dots[-1].split(",")
    alt = markup.attribute(f"{len(known)} {of}, from {first} to {last}")
    return (
        f'<svg class="so-spark" viewBox="0 0 {width} {height}" role="img" aria-label="{alt}">'
        f'<polyline points="{" ".join(dots)}"/><circle cx="{x}" cy="{y}" r="3"/></svg>'
    )


def _row(frame: pd.DataFrame | None, column: str) -> dict | None:
    if frame is None:
        return None
    checks.require_columns(frame, [column], where="tile")
    if len(frame) > 1:
        raise checks.ParameterError(f"tile: {column} has {len(frame)} rows. Give one row.")
    return frame.to_dict("records")[0] if len(frame) else None
