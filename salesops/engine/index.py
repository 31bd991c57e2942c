"""The pages that list what is published: one a date, and one over all dates with the newest of each report."""

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pandas as pd

from salesops import figures_files, report, words
from salesops.checks import SalesopsError
from salesops.engine import exchange, links, locks, pages, shelf
from salesops.engine.parameters import File
from salesops.report import gate
from salesops.report.figures import Scope
from salesops.report.tiles import sparkline

_REMOVED = "removed"
_STATUS = {
    "ok": "complete", "partial": "partial: a section is left out", "empty": "nothing to report",
    _REMOVED: "page removed to save room",
}  # fmt: skip
_NOTHING = {
    "status": "failed", "period": None, "source": None, "headlines": [], "tiles": {}, "currency": "", "locale": "en",
}  # fmt: skip
_DAY = r"\d{4}-\d\d-\d\d"
_SENTENCES = 3
_TILES = 4
_LINKS = 900  # to reports of earlier dates; before that a date has one to its own page, so that the page stays small
_OPEN = 8  # so many earlier dates lie open; more are folded by year
_POINTS = 24  # of a line over the dates


def write(out: Path, staged: Path, *, pack: File | None = None) -> None:
    """Write ``index.html`` of every dated folder and of ``out``, and the stable links; each put into place whole.

    Only one run at a time does so; what a killed one left undone the next one does.

    Parameters
    ----------
    out
        Where the dated folders are.
    staged
        Folder to write to first.
    pack
        Its cover stands first and apart, its reports in its order; any other report after them, by name.

    Raises
    ------
    ParameterError
        Something else lies where a stable link goes.
    SalesopsError
        A page falls short of what a page is, or leads nowhere, or the disk is full; what was published stays.
    """
    try:
        with locks.exclusive(out) as is_alone:
            _write(out, staged, pack, is_alone=is_alone)
    except OSError as fault:
        raise SalesopsError(
            f"{out}: the page of all dates and the addresses under {links.LATEST} and {links.BY_PERIOD} could not be "
            f"brought up to date ({fault.strerror or fault}); what is published stays. The next run that can write "
            "there does it."
        ) from fault


def of_day(folder: Path, pack: File | None = None) -> str:
    """The page that lists what a dated folder holds.

    Parameters
    ----------
    folder
        Named by its date, as it is or as it is about to be published.
    pack
        As of `write`.

    Raises
    ------
    SalesopsError
        The page falls short of what a page is, or leads nowhere.
    """
    text = _page(folder, in_order(grouped(entries(folder)), pack))
    _require_fit(text, folder)
    return text


def entries(folder: Path) -> list[dict[str, Any]]:
    """What a dated folder holds: each report with its title, status, first sentences, links and tiles.

    A figures file without its page is what a job kept for later comparisons, and no report.
    """
    kept = {path.stem: _shown(path) for path in folder.glob("*.json")}
    published = {name: found for name, found in kept.items() if found and (folder / f"{name}.html").exists()}
    failed = {path.name.removesuffix(".failed.html") for path in folder.glob("*.failed.html")}
    return [_entry(folder, name, published.get(name), name in failed) for name in sorted({*published, *failed})]


def grouped(reports: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The reports in order, each with its variants; a variant whose report is not there stands for itself.

    Examples
    --------
    >>> found = grouped([{"name": name} for name in ("funnel.emea", "win_loss", "win_loss.emea")])
    >>> [(each["name"], [variant["name"] for variant in each["variants"]]) for each in found]
    [('funnel.emea', []), ('win_loss', ['win_loss.emea'])]
    """
    names = {each["name"] for each in reports}
    own = {each["name"]: _base(each["name"]) if _base(each["name"]) in names else each["name"] for each in reports}
    variants = {name: [each for each in reports if own[each["name"]] == name != each["name"]] for name in names}
    return [each | {"variants": variants[each["name"]]} for each in reports if own[each["name"]] == each["name"]]


def in_order(reports: list[dict[str, Any]], pack: File | None) -> list[dict[str, Any]]:
    """The reports as the pack lists them, its cover first and marked; any other after them, by name.

    Examples
    --------
    >>> pack = File("pack.yaml", ["win_loss", "funnel", "summary"], {}, {}, cover="summary")
    >>> found = in_order([{"name": name} for name in ("funnel", "more", "summary", "win_loss")], pack)
    >>> [(each["name"], each["is_cover"]) for each in found]
    [('summary', True), ('win_loss', False), ('funnel', False), ('more', False)]
    """
    order = pack.order if pack else []
    place = {name: number for number, name in enumerate(order)}
    listed = sorted(reports, key=lambda each: (place.get(each["name"], len(order)), each["name"]))
    return [each | {"is_cover": pack is not None and each["name"] == pack.cover} for each in listed]


def latest(folders: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each report once, as the newest date has it, by source; the source of the newest date comes first.

    Parameters
    ----------
    folders
        Dated folders, the newest first: ``name``, ``reports`` (`grouped`) and ``source``. A folder in which every
        report failed has no source and counts to the newest one.
    """
    sources = list(dict.fromkeys(folder["source"] for folder in folders if folder["source"])) or [""]
    found = []
    for source in sources if folders else []:
        dated = [(folder["name"], each) for folder in folders if (folder["source"] or sources[0]) == source
                 for each in _flat(folder["reports"])]  # fmt: skip
        names = sorted({each["name"] for _, each in dated})
        newest = [
            _newest([(day, each) for day, each in dated if each["name"] == name], is_linked=source == sources[0])
            for name in names
        ]
        found.append({"source": source, "reports": grouped(newest)})
    return found


def by_year(folders: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Earlier dates by year, newest first: folded where they are many, their reports listed up to 900 of them.

    Examples
    --------
    >>> days = ("2026-06-30", "2026-03-31", "2025-12-31")
    >>> found = by_year([{"name": day, "reports": [{"name": "funnel", "variants": []}]} for day in days])
    >>> [(year["name"], year["n"], [each["name"] for each in year["folders"]]) for year in found]
    [('2026', 2, ['2026-06-30', '2026-03-31']), ('2025', 1, ['2025-12-31'])]
    >>> found[1]["folders"][0]["is_listed"], found[1]["is_open"]
    (True, True)
    """
    shown, n = [], 0
    for folder in folders:
        own = len(_flat(folder["reports"]))
        n += own
        shown.append(folder | {"n": own, "is_listed": n <= _LINKS})
    years = dict.fromkeys(folder["name"][:4] for folder in shown)
    parts = {year: [folder for folder in shown if folder["name"].startswith(year)] for year in years}
    told = {"is_open": len(folders) <= _OPEN}
    return [{"name": year, "folders": own, "n": sum(each["n"] for each in own)} | told for year, own in parts.items()]


def title(name: str) -> str:
    """A report's name as a heading.

    Examples
    --------
    >>> title("win_loss.emea")
    'Win loss – emea'
    """
    base, _, variant = name.partition(".")
    return words.label(base) + (f" – {variant}" if variant else "")


def _entry(folder: Path, name: str, document: dict[str, Any] | None, has_failed: bool) -> dict[str, Any]:
    is_removed = document is not None and not shelf.is_published(folder, name)  # see `prune`
    return {
        "name": name,
        "title": shelf.run_record(folder, name).get("title") or title(name),
        **(document or _NOTHING),
        "status": _status(_REMOVED if is_removed else (document or _NOTHING)["status"]),
        "href": f"{name}.html" if document and not is_removed else None,
        "is_removed": is_removed,
        "failed_href": f"{name}.failed.html" if has_failed else None,
    }


@shelf.once
def _shown(path: Path) -> dict[str, Any]:
    """What the pages show of a figures file; empty where it is no whole one."""
    found = figures_files.document_of(path)
    return found and {
        "status": found.get("status", "failed"),
        "period": (found.get("period") or {}).get("label"),
        "source": found.get("parameters", {}).get("source"),
        "headlines": found.get("headlines", [])[:_SENTENCES],
        "tiles": dict(_tiles(found)),
        "currency": found.get("currency") or "",
        "locale": found.get("locale") or "en",
    }


def _write(out: Path, staged: Path, pack: File | None, *, is_alone: bool) -> None:
    listed = []
    for folder in sorted((path for path in out.iterdir() if re.fullmatch(_DAY, path.name)), reverse=True):
        reports = entries(folder)
        if reports:
            shown = in_order(grouped(reports), pack)
            listed.append({"name": folder.name, "reports": shown, "source": _source(reports)})
            _place(_page(folder, shown), staged, folder)
    sources = [each | {"reports": in_order(each["reports"], pack)} for each in latest(listed)]
    published = list(_linked(listed, sources[0]["source"] if sources else ""))
    links.place(out, staged, published, is_alone=is_alone)
    page = pages.render("dates", "Reports", newest=listed[:1], years=by_year(listed[1:]), sources=sources)
    _place(page, staged, out)
    links.tidy(out, staged, published, is_alone=is_alone)


def _status(said: str) -> str:
    return _STATUS.get(said, said)


def _tiles(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The tile figures of a figures file, each under what it has in common with itself at other dates."""
    keys = document.get("tiles", [])
    named = {key.partition(".")[0] for key in keys}
    figures = [figure for figure in document.get("figures", []) if figure["metric"] in named]
    known = {report.figure_key(figure): figure for figure in figures}
    seen: list[str] = []
    for figure in (known[key] for key in keys if key in known):
        kind = re.sub(r"\d+", "#", figure["period"]["label"] or "")  # no year in a line of quarters
        parts = [figure[name] for name in ("metric", "statistic", "by", "unit", "where")]
        identity = json.dumps([*parts, kind, document.get("currency")], sort_keys=True)
        title = document.get("tile_titles", {}).get(report.figure_key(figure))
        yield f"{identity} {seen.count(identity)}", figure | {"title": title}
        seen.append(identity)


def _newest(dated: list[tuple[str, dict[str, Any]]], *, is_linked: bool) -> dict[str, Any]:
    """The newest good report of one name; where a later run failed that is its status."""
    last_day, last = dated[0]
    good = [(day, each) for day, each in dated if each["href"]]
    day, shown = good[0] if good else (last_day, last)
    at = f"{day}/{shown['href']}" if good else None
    by_period = links.by_period(shown["name"], shown["period"]) if good and shown["period"] is not None else None
    return shown | {
        "day": day,
        "href": links.latest(shown["name"]) if at and is_linked else at,
        "period_href": by_period if is_linked else None,
        "status": "last run failed" if last["failed_href"] else shown["status"],
        "failed_href": f"{last_day}/{last['failed_href']}" if last["failed_href"] else None,
        "tiles": [_tile(key, shown, [each for _, each in dated]) for key in list(shown["tiles"])[:_TILES]],
    }


def _tile(key: str, shown: dict[str, Any], dates: list[dict[str, Any]]) -> dict[str, str]:
    """A tile figure's label, newest value and line over the dates published, oldest first."""
    figure, currency = shown["tiles"][key], shown["currency"]
    values = [each["tiles"][key]["value"] for each in reversed(dates) if key in each["tiles"]][-_POINTS:]
    with words.written_in(shown["locale"]):
        line = sparkline(pd.Series(values, dtype="float64"), figure["unit"], Scope(currency=currency), of="dates")
        value = words.value(figure["value"], figure["unit"], currency=currency, compact=True)
    return {"label": figure["title"] or _label(figure, shown["period"]), "value": value, "line": line}


def _label(figure: dict[str, Any], period: str | None) -> str:
    name = figure["metric"] if figure["statistic"] == "value" else f"{figure['metric']}_{figure['statistic']}"
    groups = [f"{words.label(column)} {words.group(value, column)}" for column, value in figure["by"].items()]
    own = figure["period"]["label"]
    return ", ".join(filter(None, [words.label(name), *groups, own if own != period else None]))


def _linked(folders: list[dict[str, Any]], source: str) -> Iterator[links.Published]:
    """The reports that stable links may lead to: those of one source."""
    for folder in folders:
        if folder["source"] == source:
            good = (each for each in _flat(folder["reports"]) if each["href"])
            yield from (links.Published(each["name"], folder["name"], each["period"]) for each in good)


def _flat(reports: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for own in reports for each in (own, *own["variants"])]


def _base(name: str) -> str:
    return name.partition(".")[0]


def _source(reports: list[dict[str, Any]]) -> str:
    return next((each["source"] for each in reports if each["source"]), "")


def _page(folder: Path, reports: list[dict[str, Any]]) -> str:
    return pages.render("index", f"Reports as of {words.day(folder.name)}", reports=reports)


def _place(text: str, staged: Path, folder: Path) -> None:
    """Put a page into a folder, if it is fit and not there already: a site has hundreds that a run does not change."""
    placed = folder / "index.html"
    if placed.is_file() and placed.read_bytes() == text.encode():
        return
    _require_fit(text, folder)
    exchange.write(placed, text, staged)


def _require_fit(text: str, folder: Path) -> None:
    found = [*report.faults(text, largest=pages.LISTS), *_dead_links(text, folder)]
    pages.require_fit(str(folder / "index.html"), found)


def _dead_links(text: str, folder: Path) -> Iterator[gate.Fault]:
    """The addresses of a page that no file is at; a page of a date leads to that of all, which is written last."""
    for address in dict.fromkeys(unescape(found) for found in re.findall(r'<a href="([^"#:]+)"', text)):
        if not (folder / unquote(address)).exists() and address != "../index.html":
            yield gate.Fault("names and links", f"a link leads to {address}, which is not there")
