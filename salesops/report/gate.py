"""What keeps a page from being published: each rule of the page, checked on the finished text."""

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import NamedTuple

from bs4 import BeautifulSoup
from bs4.element import Tag

from salesops import words
from salesops.report import agreement, contrast, shape, tags

LARGEST, LARGEST_BEYOND_CHARTS = 500_000, 250_000  # bytes of any page; the sample's hold 100,000 beyond charts
STALE_DAYS = 31  # between the last recorded event and the end of what the page is about; of a shorter period its days
_LOADING = (
    "src", "srcset", "imagesrcset", "poster", "background", "data", "action", "formaction", "manifest", "xlink:href",
    "ping", "longdesc", "profile",
)  # fmt: skip
_DRAWN = ("use", "image", "feimage", "pattern", "lineargradient", "radialgradient", "textpath", "mpath")
_STYLE_LOADS = re.compile(r"""@import[^;]+|(?:url|image-set|src)\(\s*(?!['"]?\s*(?:#|data:))[^)]*\)""", re.IGNORECASE)
_ACTIVE = (
    "script", "iframe", "object", "embed", "applet", "form", "base", "link", "frame", "portal", "animate", "set",
    "animatemotion", "animatetransform", "foreignobject",
)  # fmt: skip
_LEFT_BY_CODE = re.compile(r"Traceback \(most recent call last\)|<[\w.]+ (?:object )?at 0x[0-9a-f]+>|<class '[\w.]+'>")
_COLOUR = re.compile(
    r"(?<![\w-])(?:color|fill|stroke|background(?:-color)?):\s*(#[0-9a-f]{3,8}|(?:rgb|hsl)a?\([^)]*\))", re.IGNORECASE
)
_NOT_A_NUMBER = re.compile(r"(?<![\w'’-])(?:nan|NaN|NaT|inf|<NA>|undefined)(?![\w'’-])|^None$")  # "None of" is English
_CELL = r"(?:[^<>&]|&(?:amp|#34|#39);)*"  # text, and of what is escaped only what can be no code
_PLAIN_ROW = re.compile(
    rf'<tr><th scope="row">(?:<a href="https?://[^"<>]*" rel="noreferrer">{_CELL}</a>|{_CELL})</th>'
    rf'(?:<td(?: class="t")?>{_CELL}</td>)+</tr>\s*'
)
_ODD = re.compile(rf"Traceback|\bNone\b|{_NOT_A_NUMBER.pattern}")
_SAID = {  # where the page speaks itself; what data say may be called anything
    "so-tile-value", "so-tile-notes", "so-chart-title", "so-chart-subtitle", "so-note", "so-left-out", "so-withheld",
}  # fmt: skip
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_MARKS = ("path", "circle", "rect", "line", "polyline", "polygon", "use", "image")


class Fault(NamedTuple):
    """A rule that a page breaks, and where."""

    rule: str
    message: str


def faults(
    page: str,
    content: Mapping[str, object] | None = None,
    *,
    largest: tuple[int, int] = (LARGEST, LARGEST_BEYOND_CHARTS),
) -> list[Fault]:
    """Every rule of the page's standard that a finished page breaks.

    Parameters
    ----------
    page
        The whole HTML file: a report, a list of deals or an index.
    content
        Of the figures file: ``headlines``, ``figures``, ``period``, ``as_of``, with ``currency`` and
        ``data_through`` beside them. Without it only the page itself is checked: a list of deals and an index have
        no sentences of their own.
    largest
        Most bytes of the page and of what is no chart in it; a list of deals may be longer than a report.

    Returns
    -------
    list of Fault
        In the order of the rules; empty for a page that may be published.

    Examples
    --------
    >>> faults("<html lang='en'><title>x</title><h1>A</h1><h3>B</h3></html>")[0].message
    "heading 'B' is h3 after h1"
    """
    read = BeautifulSoup(_without_plain_rows(page) if content is None else page, "html.parser")
    found = [Fault(name, message) for name, rule in RULES.items() for message in rule(read)]
    found += [Fault("size", message) for message in _size(page, read, *largest)]
    if content is not None:
        found += [Fault(name, message) for name, rule in shape.RULES.items() for message in rule(read, content)]
        found += [Fault("sentences agree", message) for message in _sentences(read, content)]
        found += [Fault("freshness", message) for message in _freshness(read, content)]
    return found


def _without_plain_rows(page: str) -> str:
    """A list's page without the rows that can break no rule: they are most of it, and reading them most of the time."""
    return _PLAIN_ROW.sub(lambda row: row[0] if _ODD.search(row[0]) else "", page)


def _outside(read: BeautifulSoup) -> Iterator[str]:
    for tag in read.find_all(True):
        names = [*_LOADING, "href"] if tag.name in _DRAWN else _LOADING
        for name in names:
            if not str(tag.get(name, "#")).strip().lower().startswith(("#", "data:")):
                yield f"<{tag.name} {name}> loads {_cut(tag[name])}"
        if tag.name == "meta" and str(tag.get("http-equiv", "")).lower() == "refresh":
            yield "<meta> sends the reader elsewhere"
        # Of an SVG any attribute is a style: fill="url(…)".
        styles = [tag.text] if tag.name == "style" else map(str, tag.attrs.values()) if tag.attrs else []
        yield from (f"a style loads {_cut(found[0])}" for style in styles for found in _STYLE_LOADS.finditer(style))


def _code(read: BeautifulSoup) -> Iterator[str]:
    for tag in read.find_all(True):
        if tag.name in _ACTIVE:
            yield f"<{tag.name}> stands on the page"
        yield from (f"<{tag.name}> has {name}" for name in tag.attrs if name.lower().startswith("on"))
        aim = re.sub(r"[\x00-\x20]", "", str(tag.get("href", ""))).lower()  # as a browser reads it
        is_file = aim.startswith("data:text/csv")
        if aim.startswith(("javascript:", "vbscript:", "data:")) and not is_file:
            yield f"a link runs {_cut(tag['href'])}"
        if {"input", "jp-InputArea", "prompt", "highlight", "traceback"} & set(tag.get("class", [])):
            yield f"code is shown: {_cut(tag.text)}"
    yield from (f"'{found[0]}' is shown" for found in _LEFT_BY_CODE.finditer(read.body.text if read.body else ""))


def _alternatives(read: BeautifulSoup) -> Iterator[str]:
    for picture in read.find_all(["svg", "img"]):
        said = str(picture.get("aria-label") or picture.get("alt") or "").strip()
        figure = picture.find_parent("figure")
        title = tags.first(figure, "so-chart-title") if figure else None
        if picture.get("aria-hidden") == "true":
            continue
        if len(said.split()) < 4:
            yield f"a picture says '{said}' to who cannot see it"
        elif title is not None and _plain(said) == _plain(title.text):
            yield f"a picture repeats its title: {_cut(said)}"
        elif picture.name == "svg" and picture.get("role") != "img":
            yield f"a picture does not say that it is one: {_cut(said)}"


def _headings(read: BeautifulSoup) -> Iterator[str]:
    headings = [tag for tag in read.find_all(True) if tag.name in _HEADINGS]
    firsts = [tag for tag in headings if tag.name == "h1"]
    if len(firsts) != 1:
        yield f"{len(firsts)} first headings, not one"
    content = [tag for tag in headings if not tag.find_parent("nav")]
    if content and content[0].name != "h1":
        yield f"'{_cut(content[0].text)}' comes before the first heading"
    for before, tag in itertools.pairwise(content):
        if int(tag.name[1]) > int(before.name[1]) + 1:
            yield f"heading '{_cut(tag.text)}' is {tag.name} after {before.name}"
    yield from (f"an empty {tag.name}" for tag in headings if not tag.text.strip())


def _names(read: BeautifulSoup) -> Iterator[str]:
    ids = Counter(tag["id"] for tag in read.find_all(id=True))
    yield from (f"two things are called #{name}" for name in sorted(ids) if ids[name] > 1)
    for link in read.find_all("a", href=re.compile("^#")):
        if link["href"][1:] not in ids:
            yield f"a link leads to {link['href']}, which is not there"
    if len(read.find_all("main")) != 1:
        yield f"{len(read.find_all('main'))} main parts, not one"
    else:
        yield from _way_in(read)
    if read.html is None or not read.html.get("lang"):
        yield "the page does not say its language"
    if read.title is None or not read.title.text.strip():
        yield "the page has no title"


def _way_in(read: BeautifulSoup) -> Iterator[str]:
    """What leads past the banner, through a long page, and lets a phone show it in its own width."""
    first = read.find("a")
    if first is None or first.get("href") != f"#{read.main.get('id')}":
        yield "the first link does not lead to the content"
    listed = {link["href"] for link in tags.within(read, "nav", "a") if link.get("href") is not None}
    missed = [tag for tag in read.main.find_all("h2", id=True) if f"#{tag['id']}" not in listed]
    if listed and missed:
        yield f"'{_cut(missed[0].text)}' is not in the contents"
    view = read.find("meta", attrs={"name": "viewport"})
    if view is None or "width=device-width" not in view.get("content", "") or "user-scalable=no" in view["content"]:
        yield "a phone cannot show the page in its own width"


def _tables(read: BeautifulSoup) -> Iterator[str]:
    for table in read.find_all("table"):
        caption = table.find("caption")
        name = caption.text.strip() if caption else ""
        if not name:
            yield "a table has no caption"
        heads = table.find_all("th")
        if not heads:
            yield f"table '{_cut(name)}' has no headings"
        yield from (f"table '{_cut(name)}': a heading without scope" for head in heads if not head.get("scope"))
        box = table.parent
        if box.get("tabindex") != "0" or box.get("role") != "region":
            yield f"table '{_cut(name)}' cannot be scrolled by itself"


def _not_numbers(read: BeautifulSoup) -> Iterator[str]:
    places = [tag.get_text(" ").strip() for tag in read.find_all(True) if _is_said(tag)]
    for said in [*places, *(str(picture.get("aria-label", "")) for picture in read.find_all("svg"))]:
        found = _NOT_A_NUMBER.search(said)
        if found:
            yield f"'{found[0]}' in '{_cut(said)}'"
    for picture in read.find_all("svg"):
        found = re.search(
            r"\b(?:nan|inf)\b", " ".join(str(tag.get("d") or tag.get("points") or "") for tag in picture.find_all(True))
        )
        if found:
            yield f"a picture is drawn with '{found[0]}'"


def _is_said(tag: Tag) -> bool:
    classes = tag.get("class", ())
    if tag.name == "td":
        return "t" not in classes
    if tag.name in ("li", "dd"):
        return tag.find_parent(class_=("so-headline", "so-banner")) is not None
    return tag.name == "text" or not _SAID.isdisjoint(classes)


def _charts(read: BeautifulSoup) -> Iterator[str]:
    for figure in tags.charts(read):
        name = _text(tags.first(figure, "so-chart-title"))
        shown = " ".join(cell.text for cell in tags.within(figure, "tbody", "td"))
        picture = figure.find("svg")
        if not name:
            yield "a chart has no title"
        if not _text(tags.first(figure, "so-chart-subtitle")) and picture is not None:
            yield f"chart '{_cut(name)}' does not say what it measures"
        if picture is not None and not picture.find(_MARKS):
            yield f"chart '{_cut(name)}' is empty"
        if picture is not None and not tags.within(figure, "tbody", "tr"):
            yield f"chart '{_cut(name)}' has no data behind it"
        elif picture is not None and not re.search(r"\d", shown):
            yield f"chart '{_cut(name)}' has no number behind it"


def _contrasts(read: BeautifulSoup) -> Iterator[str]:
    palettes = [palette for style in read.find_all("style") for palette in contrast.palettes(style.text)]
    if not palettes:
        yield "the page has no colours to check"
    for style in read.find_all("style"):
        yield from contrast.too_faint(style.text)
    drawn = [
        f"{name}:{tag[name]}" for tag in read.find_all(True) for name in ("fill", "stroke", "color") if tag.get(name)
    ]
    for style in {*(tag["style"] for tag in read.find_all(style=True)), *drawn}:
        found = _COLOUR.search(style)
        if found:
            yield f"{found[0]} is the same in light and dark: it may be too faint in one"


def _size(page: str, read: BeautifulSoup, most: int, most_beyond: int) -> Iterator[str]:
    whole = len(page.encode())
    charts = sum(len(str(figure).encode()) for figure in read.find_all("figure"))
    if whole > most:
        yield f"{whole // 1000:,} KB; {most // 1000:,} are allowed"
    if whole - charts > most_beyond:
        yield f"{(whole - charts) // 1000:,} KB beyond charts; {most_beyond // 1000:,} are allowed"


def _sentences(read: BeautifulSoup, content: Mapping) -> Iterator[str]:
    asked = [{"by": _asked(content.get("parameters", {}))}]  # a number of days that was asked for is said, not found
    known = {"currency": content.get("currency", ""), "names": content.get("names", ())}
    if not content["headlines"]:
        yield "the page says nothing in a sentence"
    titles = [_text(title).replace("\u00a0", " ") for title in tags.classed(read, "so-chart-title")]
    untraced = agreement.tracer([*content["figures"], *asked], **known)
    for sentence in [*content["headlines"], *titles]:
        lost = untraced(sentence)
        if lost:
            yield f"'{_cut(sentence)}': {', '.join(lost)} is not among the figures"
        yield from (f"'{_cut(sentence)}': {wrong}" for wrong in agreement.contradictions(sentence))
    for tile in tags.classed(read, "so-tile"):
        notes = [_text(note) for box in tags.classed(tile, "so-tile-notes") for note in box.find_all("p")]
        wrong = agreement.wrong_notes(_text(tags.first(tile, "so-tile-value")), notes)
        yield from (f"tile '{_cut(_text(tags.first(tile, 'so-tile-title')))}': {_cut(note)}" for note in wrong)


def _asked(parameters: Mapping) -> dict[str, object]:
    """Each number that was asked for, one of a list by itself."""
    listed = {name: each if isinstance(each, list) else [each] for name, each in parameters.items()}
    return {f"{name} {place}": each for name, items in listed.items() for place, each in enumerate(items)}


def _freshness(read: BeautifulSoup, content: Mapping) -> Iterator[str]:
    through, as_of = content.get("data_through"), content.get("as_of")
    names = [name for box in tags.classed(read, "so-banner") for name in box.find_all("dt")]
    said = {_text(name): _text(name.find_next("dd")) for name in names}
    for name, day in (("Data through", through), ("As of", as_of)):
        if day and said.get(name) != words.day(day):
            yield f"the page does not say '{name} {words.day(day)}'"
    if not through or not as_of:
        yield "it is not known how far the data reach"
        return
    period = content.get("period") or {}
    start, end = period.get("start"), period.get("end")
    wanted = date.fromisoformat(min(as_of, end) if end else as_of)
    most = (
        min(STALE_DAYS, (date.fromisoformat(end) - date.fromisoformat(start)).days + 1) if start and end else STALE_DAYS
    )
    late = (wanted - date.fromisoformat(through)).days
    if late > most:
        yield (
            f"the data end on {words.day(through)}, {late} days before {words.day(wanted)}. "
            "Export anew, or give an as_of up to which the data reach"
        )


def _text(tag: Tag | None) -> str:
    return tag.text.strip() if tag else ""


def _plain(text: str) -> str:
    return re.sub(r"\W+", " ", text).strip().lower()


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
