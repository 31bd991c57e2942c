"""A canvas in the house style, and its picture as SVG that follows the page's colours."""

import re
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from itertools import pairwise
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from salesops.report.style import chart_style

WIDTH = 360  # pixels: at most a third larger on a wide page, hardly smaller on a phone
NAMED = {"left": 116, "right": 104}  # margins of rows with names before and values behind them
SERIES, AREA, QUIET, TEXT, GRID, PAPER = "#12436d", "#bfbfbf", "#767676", "#0b0c0c", "#e3e3e3", "#ffffff"
_VARIABLES = {
    SERIES: "--so-series",
    AREA: "--so-area",
    QUIET: "--so-quiet",
    TEXT: "--so-text",
    GRID: "--so-grid",
    PAPER: "--so-paper",
}


@contextmanager
def canvas(height: float, *, left: float = 8, right: float = 8, top: float = 8, bottom: float = 28) -> Iterator[Axes]:
    """Axes on a picture of the house width; margins in pixels.

    Only the object interface of matplotlib is used, and its settings are put back.
    """
    with mpl.rc_context(chart_style()):
        figure = Figure(figsize=(WIDTH / 72, height / 72))
        inside = (left / WIDTH, bottom / height, 1 - (left + right) / WIDTH, 1 - (top + bottom) / height)
        yield figure.add_axes(inside)


def svg(axes: Axes, *, name: str, alt: str) -> str:
    """A picture as inline SVG.

    Text stays text, colours become the page's variables, and identifiers that nothing
    refers to go, so that pictures of one page never clash.

    Parameters
    ----------
    axes
        Drawn on a `canvas`; call inside its context.
    name
        Unique on the page; begins every identifier that is left.
    alt
        What the picture shows, in words.
    """
    file = StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the reader's own fonts draw the text
        axes.figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    root = ElementTree.fromstring(file.getvalue())
    used = set(re.findall(r"""(?:url\(#|href="#)([^)"]+)""", file.getvalue()))
    _tidy(root, name, used)
    root.attrib = {"class": "so-svg", "viewBox": root.get("viewBox"), "role": "img", "aria-label": printable(alt)}
    return ElementTree.tostring(root, encoding="unicode")


def wrapped(label: str, width: int = 15, lines: int = 2) -> str:
    """A label broken into at most so many lines, the rest cut with an ellipsis.

    Examples
    --------
    >>> wrapped("Price too high for the budget of this year")
    'Price too high\\nfor the budget…'
    """
    return "\n".join(textwrap.wrap(printable(label), width, max_lines=lines, placeholder="…"))


def spread(positions: list[float], gap: float) -> list[float]:
    """Positions moved apart so that neighbours keep a gap, in the order given.

    Examples
    --------
    >>> spread([0.5, 0.52, 0.9], 0.1)
    [0.46, 0.56, 0.9]
    """
    order = sorted(range(len(positions)), key=lambda place: positions[place])
    moved = list(positions)
    for _ in range(100):
        for lower, upper in pairwise(order):
            short = gap - (moved[upper] - moved[lower])
            if short > 1e-9:
                moved[lower] -= short / 2
                moved[upper] += short / 2
    return [round(position, 6) for position in moved]


def printable(item: str) -> str:
    """Text without the control characters that XML forbids.

    Examples
    --------
    >>> printable("Ann\\x00 O'Hara")
    "Ann O'Hara"
    """
    return "".join(letter for letter in item if letter.isprintable() or letter in "\t\n")


def _tidy(element: Element, name: str, used: set[str]) -> None:
    """Only attributes are touched: a group may be called ``#12436d`` or ``id="x"``."""
    element.tag, element.tail = _local(element.tag), None
    element.text = element.text if element.text and element.text.strip() else None
    kept = {_local(key): value for key, value in element.attrib.items()}
    element.attrib = {key: _value(key, value, name) for key, value in kept.items() if _is_kept(key, value, used)}
    for child in element:
        _tidy(child, name, used)
    # The style sheet of the picture would rule the whole page.
    children = [child for child in element if child.tag not in ("metadata", "style")]
    element[:] = [each for child in children for each in (list(child) if _is_bare(child) else [child])]


def _is_kept(key: str, value: str, used: set[str]) -> bool:
    return (key != "id" or value in used) and not (key == "transform" and re.match(r"rotate\(-?0 ", value))


def _is_bare(element: Element) -> bool:
    return element.tag in ("g", "defs") and not element.attrib and (element.tag == "g" or not len(element))


def _value(key: str, value: str, name: str) -> str:
    if key == "id":
        return f"{name}-{value}"
    if key in ("href", "clip-path"):
        return value.replace("#", f"#{name}-")
    if key == "style":
        for colour, variable in _VARIABLES.items():
            value = value.replace(colour, f"var({variable},{colour})")
        value = re.sub(r"font-family: [^;]*; ?", "", value).replace("url(#", f"url(#{name}-")
    return re.sub(r"(\.\d\d)\d+", r"\1", " ".join(value.split()))


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
