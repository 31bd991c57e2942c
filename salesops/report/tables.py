"""Tidy frame in, table of a report out: estimate and interval in one cell, n beside it."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

import pandas as pd

from salesops import checks, metrics, words
from salesops.report import deal_lists, figures, markup, remarks
from salesops.report.block import Block
from salesops.report.figures import UNSCOPED, Deals, Scope

MAX_ROWS = 12
MAX_CSV = 50  # rows of a CSV inside the page, which is opened on a phone, where nothing else is asked
_BAR = 72  # pixels of the longest bar of a cell
_DECIMALS = {"amount": 2, "amount_per_day": 2, "days": 2, "hours": 2}  # of a CSV; of shares and ratios four
_INTERVAL = re.compile(r"\[\S+ interval\]$")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def table(
    frame: pd.DataFrame,
    *,
    caption: str,
    scope: Scope = UNSCOPED,
    deals: Deals = None,
    min_n: int = checks.MIN_N,
    csv: bool | int = True,
    limit: int = MAX_ROWS,
    by: Iterable[str] | None = None,
    label: str | Iterable[str] = (),
    units: Mapping[str, str] | None = None,
    names: Mapping[str, str] | None = None,
    shown: Iterable[str] | None = None,
    bars: Iterable[str] = (),
) -> Block:
    """A tidy frame as a table, its figures and its deals.

    Parameters
    ----------
    frame
        One row per group, as the question functions return it.
    caption
        What the table shows.
    scope
        What all figures of the page share.
    deals
        Rows with ``opportunity_id`` and the key columns, or such rows by metric.
    min_n
        A row with a smaller ``n`` is marked "few deals".
    csv
        Offer the rows, up to 50 or so many, as CSV where not all are shown; the rest is in the file of figures.
    limit
        Rows shown: twelve in a finding.
    by, label
        Key and label columns, where names and types do not tell.
    units, names
        Unit and heading of columns whose own name does not say them.
    shown
        The columns a reader needs, in order; all that are no support if empty. The figures are of all, a CSV of those
        shown with their limits.
    bars
        Columns of numbers with a bar from zero in each cell, and their interval over it, to be compared at a glance.

    Returns
    -------
    Block
        With a figure for every metric of every row, shown or not.
    """
    _require_defined(frame)
    made = figures.of(frame, scope, by=by, label=label)
    linked = deal_lists.of(frame, made, deals)
    layout = Layout(frame, scope, min_n, dict(units or {}), dict(names or {}), shown, bars)
    checks.require_columns(frame, layout.barred)
    keys = _row_keys(frame, made, linked)
    noted = _noted(layout, made, limit)
    layout.noted = set(noted)
    html = grid(layout, caption, keys, limit)
    html += _the_rest(layout, caption, MAX_CSV if csv is True else csv, bool(made)) if len(frame) > limit else ""
    html += remarks.under_table(noted.values(), scope)
    facts = {"figures": made, "deals": linked} | remarks.facts((one, scope) for one in noted.values())
    return Block("table", f'<div class="so so-table">{html}</div>', facts)


class Layout:
    """Which columns a table shows, under which heads, in which units."""

    def __init__(
        self,
        frame: pd.DataFrame,
        scope: Scope,
        min_n: int,
        units: dict[str, str],
        names: dict[str, str],
        shown: Iterable[str] | None = None,
        bars: Iterable[str] = (),
    ):
        self.barred = list(bars)
        self.noted: set[tuple[int, str]] = set()
        self.frame, self.scope, self.min_n, self.names = frame, scope, min_n, names
        self.asked = list(shown or [])
        self.shown = self.asked or [column for column in frame.columns if not _is_folded(column, frame)]
        self.units = {column: units.get(column) or unit_of(frame, column) for column in self.shown}

    @property
    def level(self) -> str:
        """Level of the intervals, as a percentage."""
        is_said = "level" in self.frame.columns and figures.is_level(self.frame["level"])
        said = self.frame["level"].dropna() if is_said else pd.Series(dtype=float)
        return words.rate(figures.LEVEL if said.empty else said.iloc[0])

    def head(self, column: str) -> str:
        """A column's heading."""
        named = self.names.get(column) or words.label(column)
        return f"{named} [{self.level} interval]" if f"{column}_low" in self.frame.columns else named

    def is_number(self, column: str) -> bool:
        """Whether a column is set right-aligned."""
        return self.units[column] not in (None, "date") or pd.api.types.is_float_dtype(self.frame[column])

    def cell(self, row: Mapping[str, object], column: str) -> str:
        """A cell's text: the estimate with its interval, or a group's name."""
        if figures.withheld(column, self.scope):
            return "withheld"
        if not self.is_number(column):
            is_date = self.units[column] == "date"
            return words.value(row[column], "date") if is_date else words.group(row[column], column)
        unit = self.units[column] or "ratio"
        shown = words.value(row[column], unit, currency=self.scope.currency, bare=True)
        limits = words.bracket(row.get(f"{column}_low"), row.get(f"{column}_high"), unit)
        return shown if shown == words.MISSING or not limits else f"{shown} {limits}"


def grid(layout: Layout, caption: str, keys: Mapping[tuple[int, str], str], limit: int) -> str:
    """The table element in its scroll box, with the notes under it."""
    heads = "".join(
        f'<th scope="col"{_aligned(layout, column)}>{_head(layout, column)}</th>' for column in layout.shown
    )
    rows = "".join(_row(layout, position, row, keys) for position, row in _first(layout.frame, limit))
    notes = "".join(f'<p class="so-note">{markup.text(note)}</p>' for note in _notes(layout, limit))
    name = "t" + hashlib.sha256(f"{caption}{heads}{rows}".encode()).hexdigest()[:8]
    return (
        f'<div class="so-scroll" role="region" tabindex="0" aria-labelledby="{name}"><table>'
        f'<caption><span id="{name}">{markup.text(caption)}</span></caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>{notes}"
    )


def bar(row: Mapping[str, object], column: str, frame: pd.DataFrame) -> str:
    """A cell's value as a bar from zero on the scale of its column, its interval as a line over it.

    Examples
    --------
    >>> bar({"n": 20}, "n", pd.DataFrame({"n": [40, 20]}))
    '<svg class="so-bar" viewBox="0 0 72 10" aria-hidden="true"><rect x="0" width="36" height="10"/></svg>'
    >>> bar({"n": None}, "n", pd.DataFrame({"n": [40, None]}))  # keeps the place, so that numbers stay in line
    '<svg class="so-bar" viewBox="0 0 72 10" aria-hidden="true"></svg>'
    """
    value, low, high = (figures.plain(row.get(f"{column}{end}")) for end in ("", "_low", "_high"))
    drawn = frame.columns.intersection([column, f"{column}_low", f"{column}_high"])
    known = [0.0, *frame[drawn].astype(float).stack().dropna()]
    shape, least, most = "", min(known), max(known)
    if value is not None:
        start, end = (_place(number, least, most) for number in (min(value, 0), max(value, 0)))
        shape = f'<rect x="{start:g}" width="{end - start:g}" height="10"/>'
    if None not in (value, low, high):
        shape += f'<path d="M{_place(low, least, most):g} 5H{_place(high, least, most):g}"/>'
    return f'<svg class="so-bar" viewBox="0 0 {_BAR} 10" aria-hidden="true">{shape}</svg>'


def csv_text(frame: pd.DataFrame) -> str:
    """A frame as CSV, finer than shown (the figures file has all digits); a text a spreadsheet would run is quoted.

    Examples
    --------
    >>> csv_text(pd.DataFrame({"name": ["=1+1", "Ann"], "amount": [-2.5, 1.0]}))
    "name,amount\\n'=1+1,-2.5\\nAnn,1.0\\n"
    """
    places = {name: _decimals(str(name), frame) for name in frame.select_dtypes("floating").columns}
    safe = frame.round(places).rename(columns=lambda name: _defused(str(name)))
    for position, column in enumerate(safe.columns):
        if not pd.api.types.is_numeric_dtype(safe[column]):
            safe = safe.assign(**{column: safe.iloc[:, position].map(_defused)})
    return safe.to_csv(index=False, lineterminator="\n")


def unit_of(frame: pd.DataFrame, column: str) -> str | None:
    """A column's unit: the metric's, else by its suffix, else a count for whole numbers."""
    found = metrics.split(column)
    if found:
        return metrics.registry()[found[0]].unit
    kind = frame[column].dtype
    is_numeric = pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind)
    named = words.unit_of(column)
    if pd.api.types.is_datetime64_any_dtype(kind) or named == "date":
        return "date"
    return (named or ("count" if pd.api.types.is_integer_dtype(kind) else None)) if is_numeric else None


def _place(number: float, least: float, most: float) -> float:
    return round(_BAR * (number - least) / ((most - least) or 1.0), 1)


def _decimals(column: str, frame: pd.DataFrame) -> int:
    stem = re.sub(r"_(low|high)$", "", column)
    return _DECIMALS.get(unit_of(frame, stem) if stem in frame.columns else None, 4)


def _row(layout: Layout, position: int, row: Mapping[str, object], keys: Mapping[tuple[int, str], str]) -> str:
    is_few = markup.few(row.get("n"), layout.min_n)
    cells = []
    for place, column in enumerate(layout.shown):
        shown = markup.deals_link(keys.get((position, column)), _written(layout, row, column))
        shown = remarks.MARK + shown if (position, column) in layout.noted else shown
        if place == 0 and not layout.is_number(column):
            tag = ' <span class="so-few">few deals</span>' if is_few else ""
            whole = ' class="i"' if column.endswith("_id") else ""
            cells.append(f'<th scope="row"{whole}>{shown}{tag}</th>')
        else:
            drawn = bar(row, column, layout.frame) if column in layout.barred else ""
            cells.append(f"<td{_cell_class(layout, column)}>{shown}{drawn}</td>")
    mark = ' class="so-is-few"' if is_few else ""
    return f"<tr{mark}>{''.join(cells)}</tr>"


def _written(layout: Layout, row: Mapping[str, object], column: str) -> str:
    """A cell's text; an address only as a link, and only where a browser opens it as a page."""
    said = layout.cell(row, column)
    if column == "record_url" and said.lower().startswith(("https://", "http://")):
        return f'<a href="{markup.attribute(said)}" rel="noreferrer">record</a>'
    return markup.text(said)


def _row_keys(frame: pd.DataFrame, made: list[figures.Figure], linked: Mapping) -> dict[tuple[int, str], str]:
    named = {place: figures.figure_key(one) for place, one in zip(_places(frame), made, strict=True)}
    return {place: key for place, key in named.items() if key in linked}


def _noted(layout: Layout, made: list[figures.Figure], limit: int) -> dict[tuple[int, str], figures.Figure]:
    """The figures a reader sees in the table that somebody wrote about, by where they stand."""
    if not layout.scope.notes:
        return {}
    seen = {(at, column): one for (at, column), one in zip(_places(layout.frame), made, strict=True) if at < limit}
    return {place: one for place, one in seen.items() if place[1] in layout.shown and remarks.of(one, layout.scope)}


def _places(frame: pd.DataFrame) -> list[tuple[int, str]]:
    metrics = figures.columns(frame).metrics
    return [(position, column) for position in range(len(frame)) for column in metrics]


def _notes(layout: Layout, limit: int) -> list[str]:
    reasons = {layout.head(column): figures.withheld(column, layout.scope) for column in layout.shown}
    notes = [f"{head}: withheld: {reason}." for head, reason in reasons.items() if reason]
    if layout.frame.empty:
        notes.append("Nothing to show: there is none.")
    if len(layout.frame) > limit:
        notes.append(f"First {limit} of {words.count(len(layout.frame))} rows.")
    if "n" in layout.frame.columns and (layout.frame["n"] < layout.min_n).head(limit).any():
        notes.append(f"Few deals: n below {layout.min_n}; shown, not judged.")
    return notes


def _the_rest(layout: Layout, caption: str, most: int, has_figures: bool) -> str:
    """Where the rows are that the page does not show."""
    links = _download(layout, caption, most) if most else ""
    if has_figures and len(layout.frame) > most:
        links += f'{"; all" if links else "All"} values are in <a href="figures:">the file of figures</a>'
    return f'<p class="so-note">{links}</p>' if links else ""


def _download(layout: Layout, caption: str, most: int) -> str:
    kept = [name for name in layout.frame if not layout.asked or re.sub(r"_(low|high)$", "", name) in layout.asked]
    frame = layout.frame[kept].head(most)
    data = markup.attribute(quote(csv_text(frame), safe="!'()*,-./:;@_~$+=?"))
    which = "All" if len(frame) == len(layout.frame) else "The first"
    named = f"{markup.slug(caption)[:60]}.csv"
    return (
        f'<a download="{named}" href="data:text/csv;charset=utf-8,{data}">'
        f"{which} {words.count(len(frame))} rows (CSV)</a>"
    )


def _head(layout: Layout, column: str) -> str:
    """A heading; the level of its interval keeps together, so that heads stay low."""
    return _INTERVAL.sub(lambda found: found[0].replace(" ", "\xa0"), markup.text(layout.head(column)))


def _first(frame: pd.DataFrame, limit: int) -> list[tuple[int, dict]]:
    return list(enumerate(frame.head(limit).to_dict("records")))


def _aligned(layout: Layout, column: str) -> str:
    return ' class="n"' if layout.is_number(column) else ""


def _cell_class(layout: Layout, column: str) -> str:
    """Most cells are numbers: theirs is the short form. Ids and dates are read whole: they stay on one line."""
    if layout.is_number(column):
        return ""
    return ' class="t i"' if column.endswith("_id") or layout.units[column] == "date" else ' class="t"'


def _is_folded(column: str, frame: pd.DataFrame) -> bool:
    """Limits stand beside their estimate, a period's dates behind its label; one period for all is the caption's.

    What decides whether something may be named is for the analyst: the sentences have used it.
    """
    stem = column.removesuffix("_low").removesuffix("_high")
    is_limit = stem != column and stem in frame.columns
    span = column.removesuffix("_start").removesuffix("_end")
    is_dates = span != column and span in ("period", "cohort") and span in frame.columns
    is_one_period = column == "period" and len(frame) > 1 and frame["period"].nunique(dropna=False) == 1
    decides = column in ("p_value", "is_named", "n_compared")
    return is_limit or is_dates or is_one_period or decides or figures.is_level(frame[column])


def _require_defined(frame: pd.DataFrame) -> None:
    """Every estimate a reader sees is in the figures file and in the definitions, or it is not shown."""
    undefined = [name for name in frame.columns if f"{name}_low" in frame.columns and not metrics.split(name)]
    if undefined:
        raise ValueError(
            f"{', '.join(undefined)}: no metric. Define it in the docstring of the function that computes it."
        )


def _defused(item: object) -> object:
    return f"'{item}" if isinstance(item, str) and item.startswith(_FORMULA) else item
