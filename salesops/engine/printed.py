"""A published report as what is made from it sees it: its page, its figures file, its lists of deals."""

import json
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from salesops import metrics, words
from salesops.report import figure_key

_MISS = {"figures": [], "title": ""}


class Published(NamedTuple):
    """The files of one report, read; nothing here is computed."""

    name: str
    title: str
    content: dict[str, Any]
    page: str
    folder: Path  # where its files lie
    address: str  # where the page will be read; empty where nobody said
    company: Any

    @property
    def day(self) -> str:
        """The report's date."""
        return self.content["as_of"]

    @property
    def subject(self) -> str:
        """The report in one line: title, period, date."""
        period = self.content["period"]["label"]
        return ", ".join(filter(None, [self.title, period, f"as of {words.day(self.day)}"]))

    @property
    def figures(self) -> dict[str, dict[str, Any]]:
        """Its figures by key."""
        return {figure_key(figure): figure for figure in self.content["figures"]}


class Tile(NamedTuple):
    """A tile as the page shows it."""

    title: str
    value: str
    notes: list[str]


class Finding(NamedTuple):
    """A picture of the page in words, with what it draws where that is numbers."""

    question: str
    title: str
    subtitle: str
    rows: list[list[str]]  # its data as the page shows them, the heads first
    drawn: dict[str, Any]


def read(folder: Path, name: str, company: Any, base_url: str, at: str) -> Published:
    """A report from its files.

    Parameters
    ----------
    folder
        Where its files lie.
    name
        Of the report.
    company
        Names of the deals' owners come from it, by its people policy.
    base_url, at
        Web address of the folder of dates, and the page's place in it.
    """
    content = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    title = json.loads((folder / f"{name}.run.json").read_text(encoding="utf-8"))["title"]
    address = f"{base_url.rstrip('/')}/{quote(at)}" if base_url else ""
    page = (folder / f"{name}.html").read_text(encoding="utf-8")
    return Published(name, title, content, page, folder, address, company)


def tiles(page: str) -> list[Tile]:
    """The tiles of a page, as they are written there.

    Examples
    --------
    >>> tiles('<li class="so-tile"><p class="so-tile-title">Win rate</p><p class="so-tile-value">24 %</p>'
    ...       '<div class="so-tile-notes"><p>n 310</p></div></li>')
    [Tile(title='Win rate', value='24 %', notes=['n 310'])]
    """
    return [
        Tile(
            _said(each.select_one(".so-tile-title")),
            _said(each.select_one(".so-tile-value")),
            [_said(note) for note in each.select(".so-tile-notes p")],
        )
        for each in _soup(page).select("li.so-tile")
    ]


def findings(report: Published) -> list[Finding]:
    """The pictures of a report above its appendix, in the order of the page."""
    waiting = list(report.content.get("findings", []))
    found = []
    for each in _soup(report.page).select("figure.so-chart"):
        title, heading = _said(each.select_one(".so-chart-title")), each.find_previous("h2")
        drawn = next((one for one in waiting if " ".join(one["title"].split()) == title), None)
        if drawn is not None:
            waiting.remove(drawn)
        question = _said(heading)
        if not question.startswith("Appendix"):
            rows = [[_said(cell) for cell in row.select("th, td")] for row in each.select("details table tr")]
            found.append(Finding(question, title, _said(each.select_one(".so-chart-subtitle")), rows, drawn or _MISS))
    return found


def defined(names: list[str]) -> list[metrics.Metric]:
    """The definitions of some metrics, each once, in the order of their names' first mention."""
    registry = metrics.registry()
    return [registry[name] for name in dict.fromkeys(names) if name in registry]


def _soup(page: str) -> Any:
    from bs4 import BeautifulSoup  # a run that makes nothing from its page does not read it

    return BeautifulSoup(page, "html.parser")


def _said(element: Any) -> str:
    return " ".join(element.get_text(" ").split()) if element is not None else ""
