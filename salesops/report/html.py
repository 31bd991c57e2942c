"""An executed notebook in, one page out: no code, no script, no outside address."""

import re
from collections.abc import Mapping
from functools import cache
from html import unescape

from jinja2 import Environment, PackageLoader, select_autoescape
from nbformat import NotebookNode

from salesops import checks, words
from salesops.report import markup
from salesops.report.block import bare
from salesops.report.style import stylesheet

_SHOWN = ("text/html", "image/svg+xml")


def render(notebook: NotebookNode, meta: Mapping[str, object]) -> str:
    """One self-contained page from an executed notebook.

    Parameters
    ----------
    notebook
        With outputs; code, prompts and the page's own block are left away.
    meta
        report, title, run_id, as_of, period, period_complete, data_through, rows_read,
        rows_set_aside, rows_barred, rows_repaired, ties, source, currency, status, parameters, inputs, code, packages,
        previous, deals_href, headline_deals (see `behind.headline_deals`); what is absent is not shown.

    Returns
    -------
    str
        The same bytes for the same arguments.

    Raises
    ------
    DataError
        A cell ended in an error: an unfinished notebook is not a report.
    """
    _require_finished(notebook)
    title, body = _lifted_title(_exporter().from_notebook_node(_readable(notebook))[0], str(meta.get("title", "")))
    intro, body = _lifted_intro(body)
    body = _linked(_to_deals(_anchored(body), meta.get("headline_deals", {})), str(meta.get("deals_href", "")))
    record = _template("record.html.j2").render(meta=meta)
    return page_shell(
        title,
        body + record,
        banner=_template("banner.html.j2").render(meta=meta, title=title, intro=intro),
        contents=_contents(body + record),
    )


def page_shell(
    title: str, body: str, *, banner: str | None = None, contents: list[tuple[str, str]] | None = None
) -> str:
    """A whole page around a body of HTML, in the look of every published page.

    Parameters
    ----------
    title
        Text; also the heading where there is no banner.
    body
        HTML, already escaped.
    banner
        HTML that holds the page's one ``h1``.
    contents
        ``(id, heading)`` of the sections to list.
    """
    return _template("page.html.j2").render(
        title=title, body=body, banner=banner, contents=contents or [], css=stylesheet()
    )


def _require_finished(notebook: NotebookNode) -> None:
    for position, cell in enumerate(notebook.cells, start=1):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                raise checks.DataError(
                    f"cell {position}: {output.ename}: {output.evalue}. Mend the cell and run again."
                )


def _readable(notebook: NotebookNode) -> NotebookNode:
    """The notebook with only what a reader sees: prose and HTML outputs; a section left out ends with that line."""
    cells, is_left_out = [], False
    for cell in notebook.cells:
        is_left_out = is_left_out and not _begins_section(cell)
        if is_left_out:
            continue
        is_left_out = any(_kind(output) == "left_out" for output in cell.get("outputs", []))
        if cell.cell_type == "markdown":
            cells.append(NotebookNode(cell))
        elif cell.cell_type == "code":
            outputs = [_bare(output) for output in cell.get("outputs", []) if _is_shown(output)]
            cells.append(NotebookNode({**cell, "source": "", "outputs": outputs}))
    return NotebookNode({**notebook, "cells": cells})


def _bare(output: NotebookNode) -> NotebookNode:
    data = {kind: bare(text) if kind == "text/html" else text for kind, text in output["data"].items()}
    return NotebookNode({**output, "data": NotebookNode(data)})


def _begins_section(cell: NotebookNode) -> bool:
    return cell.cell_type == "markdown" and cell.source.startswith("## ")


def _kind(output: NotebookNode) -> str | None:
    return output.get("metadata", {}).get("salesops", {}).get("kind")


def _is_shown(output: NotebookNode) -> bool:
    data = output.get("data", {})
    return any(kind in data for kind in _SHOWN) and 'class="so so-page"' not in data.get("text/html", "")


def _lifted_title(body: str, title: str) -> tuple[str, str]:
    """The page's one ``h1`` moves to the banner; any other becomes an ``h2``."""
    found = re.search(r"<h1[^>]*>(.*?)</h1>\s*", body, re.DOTALL)
    if found:
        title = title or re.sub(r"<[^>]+>", "", found[1])
        body = body[: found.start()] + body[found.end() :]
    return title, re.sub(r"<(/?)h1\b", r"<\1h2", body)


def _lifted_intro(body: str) -> tuple[str, str]:
    """What the report asks moves into the banner, folded: a reader comes for the answer."""
    found = re.match(r'\s*<section class="so-prose">(.*?)</section>\s*', body, re.DOTALL)
    if found is None or "<h" in found[1]:
        return "", body
    return found[1].strip(), body[found.end() :]


def _to_deals(body: str, links: Mapping[str, Mapping[str, str]]) -> str:
    """Each sentence at the head whose number a list of deals stands behind ends with a link to it."""

    def linked(item: re.Match) -> str:
        link = links.get(unescape(item[1]).replace("\u00a0", " "))
        if link is None:
            return item[0]
        shown = markup.deals_link(link["key"], markup.text(link["label"]))
        return f'<li>{item[1]} <span class="so-behind">{shown}</span></li>'

    return re.sub(
        r'<ul class="so so-headline">.*?</ul>', lambda found: re.sub(r"<li>(.*?)</li>", linked, found[0]), body
    )


def _anchored(body: str) -> str:
    """Every ``h2`` with an id of its own, made from its words."""
    seen: dict[str, int] = {"content": 1, "contents": 1, "run-record": 1}

    def named(found: re.Match) -> str:
        name = markup.slug(unescape(re.sub(r"<[^>]+>", "", found[1])))
        seen[name] = seen.get(name, 0) + 1
        number = f"-{seen[name]}" if seen[name] > 1 else ""
        return f'<h2 id="{name}{number}">{found[1]}</h2>'

    return re.sub(r"<h2[^>]*>(.*?)</h2>", named, body, flags=re.DOTALL)


def _linked(body: str, deals_href: str) -> str:
    """Deals and figures lie in files beside the page."""
    figures_href = markup.attribute(f"{deals_href.removesuffix('.deals.html')}.json")
    body = body.replace('href="figures:"', f'href="{figures_href}"')
    return body.replace('href="deals:', f'href="{markup.attribute(deals_href)}#')


def _contents(body: str) -> list[tuple[str, str]]:
    found = re.findall(r'<h2 id="([^"]+)">(.*?)</h2>', body, re.DOTALL)
    return [(name, re.sub(r"<[^>]+>", "", heading)) for name, heading in found]


@cache
def _exporter():
    from nbconvert import HTMLExporter  # slow to import, and a notebook never renders

    return HTMLExporter(
        template_file="body.html.j2",
        extra_loaders=[PackageLoader("salesops.report")],
        exclude_anchor_links=True,
        default_preprocessors=[],  # none has anything to do here, and each checks the whole notebook anew
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("salesops.report"), autoescape=select_autoescape(["j2", "html"]), trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(day=words.day, count=words.count, slug=markup.slug)
    return environment


def _template(name: str):
    return _environment().get_template(name)
