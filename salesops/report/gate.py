"""What keeps a page from being published: each rule of the page, checked on the finished text."""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import NamedTuple

from bs4 import BeautifulSoup
from bs4.element import Tag

from salesops import words
from salesops.report import agreement, contrast

LARGEST, LARGEST_BEYOND_CHARTS = 500_000, 250_000  # bytes of any page; the sample's hold 100,000 beyond charts
STALE_DAYS = 31  # between the last recorded event and the end of what the page is about
_LOADING = ("src", "srcset", "poster", "background", "data", "action", "formaction", "manifest", "xlink:href")
_ACTIVE = ("script", "iframe", "object", "embed", "applet", "form", "base", "link", "frame")
_NOT_A_NUMBER = re.compile(r"(?<![\w'’-])(?:nan|NaN|NaT|inf|<NA>|undefined)(?![\w'’-])|^None$")  # "None of" is English
_MARKS = ("path", "circle", "rect", "line", "polyline", "polygon", "use", "image")


class Fault(NamedTuple):
    """A rule that a page breaks, and where."""

    rule: str
    message: str


def faults(page: str, content: Mapping[str, object] | None = None) -> list[Fault]:
    """Every rule of the page's standard that a finished page breaks.

    Parameters
    ----------
    page
        The whole HTML file.
    content
        Of the figures file: ``headlines``, ``figures``, ``period``, ``as_of``, with ``currency`` and
        ``data_through`` beside them. Without it only the page itself is checked.

    Returns
    -------
    list of Fault
        In the order of the rules; empty for a page that may be published.

    Examples
    --------
    >>> [fault.message for fault in faults("<html lang='en'><title>x</title><h1>A</h1><h3>B</h3></html>")]
    ["heading 'B' is h3 after h1"]
    """
    read = BeautifulSoup(page, "html.parser")
    found = [Fault(name, message) for name, rule in RULES.items() for message in rule(read)]
    found += [Fault("size", message) for message in _size(page, read)]
    if content is not None:
        found += [Fault("sentences agree", message) for message in _sentences(content)]
        found += [Fault("freshness", message) for message in _freshness(content)]
    return found


def _outside(read: BeautifulSoup) -> Iterator[str]:
    for tag in read.find_all(True):
        for name in _LOADING:
            if not str(tag.get(name, "#")).startswith(("#", "data:")):
                yield f"<{tag.name} {name}> loads {_cut(tag[name])}"
        if tag.name in ("use", "image") and not str(tag.get("href", "#")).startswith(("#", "data:")):
            yield f"<{tag.name} href> loads {_cut(tag['href'])}"
        if tag.name == "meta" and str(tag.get("http-equiv", "")).lower() == "refresh":
            yield "<meta> sends the reader elsewhere"
    for style in [*(tag.text for tag in read.find_all("style")), *(tag["style"] for tag in read.find_all(style=True))]:
        yield from (
            f"a style loads {_cut(found)}" for found in re.findall(r"@import[^;]+|url\((?!['\"]?[#])[^)]*\)", style)
        )


def _code(read: BeautifulSoup) -> Iterator[str]:
    for tag in read.find_all(True):
        if tag.name in _ACTIVE:
            yield f"<{tag.name}> stands on the page"
        yield from (f"<{tag.name}> has {name}" for name in tag.attrs if name.lower().startswith("on"))
        if str(tag.get("href", "")).strip().lower().startswith(("javascript:", "vbscript:")):
            yield f"a link runs {_cut(tag['href'])}"
        if {"input", "jp-InputArea", "prompt", "highlight", "traceback"} & set(tag.get("class", [])):
            yield f"code is shown: {_cut(tag.text)}"


def _alternatives(read: BeautifulSoup) -> Iterator[str]:
    for picture in read.find_all(["svg", "img"]):
        said = str(picture.get("aria-label") or picture.get("alt") or "").strip()
        figure = picture.find_parent("figure")
        title = figure.select_one(".so-chart-title") if figure else None
        if picture.get("aria-hidden") == "true":
            continue
        if len(said.split()) < 4:
            yield f"a picture says '{said}' to who cannot see it"
        elif title is not None and said.rstrip(".") == title.text.strip().rstrip("."):
            yield f"a picture repeats its title: {_cut(said)}"


def _headings(read: BeautifulSoup) -> Iterator[str]:
    headings = [tag for tag in read.find_all(re.compile("^h[1-6]$"))]
    firsts = [tag for tag in headings if tag.name == "h1"]
    if len(firsts) != 1:
        yield f"{len(firsts)} first headings, not one"
    content = [tag for tag in headings if not tag.find_parent("nav")]
    for before, tag in itertools.pairwise(content):
        if int(tag.name[1]) > int(before.name[1]) + 1:
            yield f"heading '{_cut(tag.text)}' is {tag.name} after {before.name}"
    yield from (f"an empty {tag.name}" for tag in headings if not tag.text.strip())


def _names(read: BeautifulSoup) -> Iterator[str]:
    ids = [tag["id"] for tag in read.find_all(id=True)]
    yield from (f"two things are called #{name}" for name in sorted({name for name in ids if ids.count(name) > 1}))
    for link in read.find_all("a", href=re.compile("^#")):
        if link["href"][1:] not in ids:
            yield f"a link leads to {link['href']}, which is not there"
    if read.html is None or not read.html.get("lang"):
        yield "the page does not say its language"
    if read.title is None or not read.title.text.strip():
        yield "the page has no title"


def _tables(read: BeautifulSoup) -> Iterator[str]:
    for table in read.find_all("table"):
        caption = table.find("caption")
        name = caption.text.strip() if caption else ""
        if not name:
            yield "a table has no caption"
        yield from (
            f"table '{_cut(name)}': a heading without scope" for head in table.find_all("th") if not head.get("scope")
        )


def _not_numbers(read: BeautifulSoup) -> Iterator[str]:
    places = read.select("td:not(.so-text), .so-tile-value, .so-tile-notes, .so-headline li, .so-chart-title, svg text")
    for place in places:
        found = _NOT_A_NUMBER.search(place.get_text(" ").strip())
        if found:
            yield f"'{found[0]}' in '{_cut(place.get_text(' ').strip())}'"
    for picture in read.find_all("svg"):
        found = re.search(
            r"\b(?:nan|inf)\b", " ".join(str(tag.get("d") or tag.get("points") or "") for tag in picture.find_all(True))
        )
        if found:
            yield f"a picture is drawn with '{found[0]}'"


def _charts(read: BeautifulSoup) -> Iterator[str]:
    for figure in read.select("figure.so-chart"):
        name = _text(figure.select_one(".so-chart-title"))
        picture = figure.find("svg")
        if not name:
            yield "a chart has no title"
        if not _text(figure.select_one(".so-chart-subtitle")) and picture is not None:
            yield f"chart '{_cut(name)}' does not say what it measures"
        if picture is not None and not picture.find(_MARKS):
            yield f"chart '{_cut(name)}' is empty"
        if picture is not None and len(figure.select("tbody tr")) == 0:
            yield f"chart '{_cut(name)}' has no data behind it"


def _contrasts(read: BeautifulSoup) -> Iterator[str]:
    for style in read.find_all("style"):
        yield from contrast.too_faint(style.text)


def _size(page: str, read: BeautifulSoup) -> Iterator[str]:
    whole = len(page.encode())
    charts = sum(len(str(figure).encode()) for figure in read.find_all("figure"))
    if whole > LARGEST:
        yield f"{whole // 1000:,} KB; {LARGEST // 1000} are allowed"
    if whole - charts > LARGEST_BEYOND_CHARTS:
        yield f"{(whole - charts) // 1000:,} KB beyond charts; {LARGEST_BEYOND_CHARTS // 1000} are allowed"


def _sentences(content: Mapping) -> Iterator[str]:
    asked = [{"by": content.get("parameters", {})}]  # a number of days that was asked for is said, not found
    known = {"currency": content.get("currency", ""), "names": content.get("names", ())}
    for sentence in content["headlines"]:
        lost = agreement.untraced(sentence, [*content["figures"], *asked], **known)
        if lost:
            yield f"'{_cut(sentence)}': {', '.join(lost)} is not among the figures"
        yield from (f"'{_cut(sentence)}': {wrong}" for wrong in agreement.contradictions(sentence))


def _freshness(content: Mapping) -> Iterator[str]:
    through, as_of = content.get("data_through"), content.get("as_of")
    end = (content.get("period") or {}).get("end")
    if not through or not as_of:
        return
    wanted = min(as_of, end) if end else as_of
    late = (date.fromisoformat(wanted) - date.fromisoformat(through)).days
    if late > STALE_DAYS:
        yield (
            f"the data end on {words.day(through)}, {late} days before {words.day(wanted)}. "
            "Export anew, or give an as_of up to which the data reach"
        )


def _text(tag: Tag | None) -> str:
    return tag.text.strip() if tag else ""


def _cut(text: object, most: int = 70) -> str:
    plain = " ".join(str(text).split())
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"


RULES: dict[str, Callable[[BeautifulSoup], Iterator[str]]] = {
    "nothing from outside": _outside,
    "no code": _code,
    "pictures in words": _alternatives,
    "headings in order": _headings,
    "names and links": _names,
    "captions and scope": _tables,
    "contrast": _contrasts,
    "no NaN": _not_numbers,
    "no empty chart": _charts,
}
