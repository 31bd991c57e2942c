"""The blocks of the cover: key figures beside their usual range, and the other reports with what they say first."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from salesops import words
from salesops.report import agreement, figures, markup, tiles
from salesops.report.block import Block
from salesops.report.figures import UNSCOPED, Scope

_HEADS = ("Reading", "Latest", "Quarter before", "A year before", "Usual range", "Course")


def scorecard(
    card: pd.DataFrame,
    *,
    series: Mapping[str, pd.DataFrame],
    usual: Iterable[pd.DataFrame],
    titles: Mapping[str, str],
    caption: str,
    scope: Scope = UNSCOPED,
) -> Block:
    """Key figures beside their usual range; the name of each leads to its definition on the page.

    Parameters
    ----------
    card
        One row per figure: ``kpi``, ``unit``, ``latest``, ``quarter_before``, ``year_before``, ``limit_low``,
        ``limit_high``, ``state``, ``is_signal``.
    series
        By ``kpi``: the quarters behind it; they go to the figures file.
    usual
        The usual ranges as frames of metrics, for the figures file.
    titles
        What each is called.
    caption
        What the table shows.
    scope
        What all figures of the page share.
    """
    rows = "".join(_row(row, series[row["kpi"]], titles, scope) for row in card.to_dict("records"))
    heads = "".join(f'<th scope="col"{_side(head)}>{head}</th>' for head in _HEADS)
    name = "t-scorecard"
    html = (
        f'<div class="so so-table"><div class="so-scroll" role="region" tabindex="0" aria-labelledby="{name}"><table>'
        f'<caption><span id="{name}">{markup.text(caption)}</span></caption>'
        f'<thead><tr><th scope="col">Key figure</th>{heads}</tr></thead><tbody>{rows}</tbody></table></div></div>'
    )
    made = [one for frame in [*series.values(), *usual] for one in figures.of(frame, scope)]
    return Block("table", html, {"figures": made})


def quoted(
    sentences: Iterable[str], documents: Sequence[Mapping], *, known: Sequence[Mapping] = (), currency: str = ""
) -> list[figures.Figure]:
    """The figures of other reports that sentences name, each with its report among its groups.

    A sentence of a report is looked up in that report, any other in all of them; as few figures are taken as
    account for its numbers.

    Parameters
    ----------
    sentences
        Plain text.
    documents
        Figures files.
    known
        Figures that are on the page already.
    currency
        ISO code of amounts.

    Examples
    --------
    >>> period = {"label": "2026Q3", "start": None, "end": None}
    >>> rate = {"metric": "win_rate", "by": {}, "value": 0.25, "n": 40, "unit": "rate", "period": period}
    >>> file = {"report": "win_loss", "headlines": ["We won 25 % of 40."], "figures": [rate, rate | {"value": 0.4}]}
    >>> [(one["by"], one["value"]) for one in quoted(["We won 25 % of 40."], [file])]
    [({'report': 'win_loss'}, 0.25)]
    """
    found: list[figures.Figure] = []
    for sentence in sentences:
        own = [each for each in documents if sentence in each.get("headlines", [])]
        for document in own or documents:
            left = agreement.untraced(sentence, [*known, *([] if own else found)], currency=currency)
            found += _accounting(left, document, currency)
    return found


def source_link(sentence: str, documents: Sequence[Mapping], titles: Mapping[str, str]) -> str:
    """A link to the report that says a sentence; nothing where none does.

    Parameters
    ----------
    sentence
        Plain text.
    documents
        Figures files.
    titles
        What their reports are called; one without a title goes by its name.

    Examples
    --------
    >>> source_link("Up.", [{"report": "win_loss", "headlines": ["Up."]}], {"win_loss": "Win/loss"})
    ' <span class="so-behind"><a href="win_loss.html">Win/loss</a></span>'
    >>> source_link("Down.", [{"report": "win_loss", "headlines": ["Up."]}], {})
    ''
    """
    name = next((each["report"] for each in documents if sentence in each.get("headlines", [])), "")
    title = markup.text(titles.get(name) or words.label(name))
    return f' <span class="so-behind"><a href="{markup.attribute(name)}.html">{title}</a></span>' if name else ""


def contents(listed: pd.DataFrame) -> Block:
    """The other reports as links, each with the first thing it says.

    Parameters
    ----------
    listed
        One row per report: ``href``, ``title``, ``about`` (what it is of), ``sentence``.
    """
    items = "".join(
        f'<li><a href="{markup.attribute(row["href"])}">{markup.text(row["title"])}</a>'
        f"{_beside(row['about'])}: {markup.text(row['sentence'])}</li>"
        for row in listed.to_dict("records")
    )
    return Block("note", f'<ul class="so so-notes">{items}</ul>' if items else "")


def _beside(about: str) -> str:
    return f" ({markup.text(about)})" if about else ""


def _accounting(numbers: Sequence[str], document: Mapping, currency: str) -> list[figures.Figure]:
    """As few figures of a file as have the numbers among their forms; those said nowhere in it are left."""
    if not numbers:
        return []
    forms = [(figure, agreement.forms([figure], currency) & set(numbers)) for figure in document["figures"]]
    left, taken = set(numbers), []
    while left:
        figure, has = max(forms, key=lambda pair: len(pair[1] & left), default=(None, set()))
        if not has & left:
            break
        left -= has
        taken.append(figure | {"by": {"report": document["report"]} | figure["by"]})
    return taken


def _row(row: Mapping, frame: pd.DataFrame, titles: Mapping[str, str], scope: Scope) -> str:
    name, unit = row["kpi"], row["unit"]
    link = f'<a href="#def-{markup.attribute(name)}">{markup.text(titles.get(name, words.label(name)))}</a>'
    head = f'<th scope="row">{link}</th>'
    reason = figures.withheld(name, scope)
    if reason:
        return f'<tr>{head}<td class="t" colspan="{len(_HEADS)}">withheld: {markup.text(reason)}</td></tr>'
    cells = [
        f"<td>{markup.text(_shown(row[column], unit, scope))}</td>"
        for column in ("latest", "quarter_before", "year_before")
    ]
    low, high = (_shown(row[end], unit, scope) for end in ("limit_low", "limit_high"))
    usual = words.MISSING if words.is_missing(row["limit_low"]) else f"{low} to {high}"
    said = f"<strong>{markup.text(row['state'])}</strong>" if row["is_signal"] else markup.text(row["state"])
    line = tiles.sparkline(frame[name], unit, scope, of="quarters")
    return f'<tr>{head}<td class="t">{said}</td>{"".join(cells)}<td>{markup.text(usual)}</td><td>{line}</td></tr>'


def _shown(number: object, unit: str, scope: Scope) -> str:
    is_count = unit == "count" and not words.is_missing(number)
    return words.value(round(number) if is_count else number, unit, currency=scope.currency, compact=True)


def _side(head: str) -> str:
    return "" if head in ("Reading", "Course") else ' class="n"'
