"""What a report is made of, and how much of each: the parts of the page's standard that keep it to four minutes."""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping

from bs4 import BeautifulSoup
from bs4.element import Tag

from salesops.report import captions, page, tables, tags

MOST_TILES, MOST_FINDINGS = 6, 5
_METHODS = re.compile(  # in words that no account or person goes by
    r"\b(?:bootstrap\w*|Kaplan-Meier|Aalen-Johansen|Wilson(?:'s| score| interval)|Benjamini|Bayes\w*|Poisson|p-values?"
    r"|(?:beta-|negative )?binomial|logistic|logit|regressions?|posterior|prior distribution|likelihood ratio"
    r"|confidence intervals?|credible intervals?|standard (?:deviation|error)s?|chi-squared?|z-scores?|Monte Carlo"
    r"|random forests?|gradient boost\w*|ARIMA|Holt-Winters|Kitagawa|cumulative incidence|censored|null hypothesis"
    r"|statistically significant|shrunk|shrinkage|quantiles?|percentiles?)\b"
)
_SPEAKING = {"caption", "h2", "h3"}
_SPEAKING_CLASSES = {"so-tile-title", "so-chart-title", "so-chart-subtitle", "so-note"}
_SPEAKING_IN = {"li": "so-headline", "p": "so-prose"}


def _sentences(read: BeautifulSoup, _: Mapping) -> Iterator[str]:
    n = sum(len(box.find_all("li")) for box in tags.classed(read, "so-headline"))
    if n > page.MAX_HEADLINES:
        yield f"{n} sentences at the head; {page.MAX_HEADLINES} are allowed"


def _tiles(read: BeautifulSoup, _: Mapping) -> Iterator[str]:
    """Few are no fault: a source without the data, and a report in the making, have fewer than four."""
    n = sum(len(tags.classed(box, "so-tile")) for box in tags.classed(read, "so-tiles"))
    if n > MOST_TILES:
        yield f"{n} tiles; {MOST_TILES} are allowed"


def _order(read: BeautifulSoup, _: Mapping) -> Iterator[str]:
    """The answer before its figures, these before the findings, the appendix at the end."""
    found = [name for tag in read.find_all(True) if (name := _part(tag))]
    wanted = ("the sentences", "the tiles", "a finding", "the appendix")
    places = [wanted.index(name) for name in found]
    for before, after in itertools.pairwise(places):
        if after < before:
            yield f"{wanted[after]} after {wanted[before]}"
            return


def _part(tag: Tag) -> str:
    classes = tag.get("class", ())
    if "so-headline" in classes:
        return "the sentences"
    if "so-tiles" in classes:
        return "the tiles"
    if tag.name != "h2" or tag.find_parent("main") is None:
        return ""
    return "the appendix" if _is_appendix(tag) else "a finding"


def _findings(read: BeautifulSoup, _: Mapping) -> Iterator[str]:
    asked = [tag.text.strip() for tag in tags.within(read, "main", "h2") if not _is_appendix(tag)]
    asked = [text for text in asked if not text.startswith("What changed since")]
    if len(asked) > MOST_FINDINGS:
        yield f"{len(asked)} findings; {MOST_FINDINGS} are allowed"
    yield from (f"'{text}' is no question" for text in asked if not text.endswith("?"))


def _titles(read: BeautifulSoup, content: Mapping) -> Iterator[str]:
    """A title says a finding of this company's data: a few words too many are no reason to publish nothing."""
    for title in tags.classed(read, "so-chart-title"):
        n = captions.length(title.text, _names(content))
        if n > 2 * captions.MOST_WORDS:
            yield f"'{' '.join(title.text.split())}' has {n} words; {captions.MOST_WORDS} are enough"


def _rows(read: BeautifulSoup, _: Mapping) -> Iterator[str]:
    for table in tags.within(read, "main", "table"):
        n = len(tags.within(table, "tbody", "tr"))
        if n > tables.MAX_ROWS and table.find_parent("details") is None and not _in_appendix(table):
            name = table.caption.text.strip() if table.caption else ""
            yield f"table '{name[:70]}' has {n} rows in a finding; {tables.MAX_ROWS} are allowed"


def _folded(read: BeautifulSoup, _: Mapping) -> Iterator[str]:
    for figure in tags.charts(read):
        is_open = any(table.find_parent("details") is None for table in figure.find_all("table"))
        if is_open or figure.find("details", open=True):
            yield f"the data of '{_title(figure)}' lie open"


def _missing(read: BeautifulSoup, _: Mapping) -> Iterator[str]:
    for cell in tags.within(read, "main", "td"):
        if not cell.text.strip() and not cell.find(True):
            table = cell.find_parent("table")
            yield f"an empty cell in '{table.caption.text.strip()[:70] if table.caption else ''}'"
            return


def _plain_words(read: BeautifulSoup, _: Mapping) -> Iterator[str]:
    for tag in read.main.find_all(True) if read.main else ():
        found = _METHODS.search(tag.text) if _speaks(tag) else None
        if found and not _is_appendix(tag) and not _in_appendix(tag):
            yield f"'{found[0]}' in '{' '.join(tag.text.split())[:70]}' stands above the appendix"


def _speaks(tag: Tag) -> bool:
    if tag.name in _SPEAKING or not _SPEAKING_CLASSES.isdisjoint(tag.get("class", ())):
        return True
    return tag.name in _SPEAKING_IN and tag.find_parent(class_=_SPEAKING_IN[tag.name]) is not None


def _names(content: Mapping) -> set[str]:
    groups = {item for figure in content.get("figures", ()) for item in figure["by"].values() if isinstance(item, str)}
    return {name for name in {*groups, *content.get("names", ())} if " " in name}


def _title(figure: Tag) -> str:
    title = tags.first(figure, "so-chart-title")
    return title.text.strip() if title else ""


def _in_appendix(tag: Tag) -> bool:
    before = tag.find_previous("h2")
    return before is not None and _is_appendix(before)


def _is_appendix(heading: Tag) -> bool:
    return heading.text.startswith("Appendix: ") or heading.get("id") in ("run-record", "people")


RULES: dict[str, Callable[[BeautifulSoup, Mapping], Iterator[str]]] = {
    "six sentences": _sentences,
    "six tiles": _tiles,
    "one order": _order,
    "five questions": _findings,
    "short titles": _titles,
    "short tables": _rows,
    "data folded": _folded,
    "missing is said": _missing,
    "plain words": _plain_words,
}
