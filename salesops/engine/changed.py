"""The page's block "What changed since the last report", from the figures files published before."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
from nbformat import NotebookNode

from salesops import changes_told, crm, figures_files, report, what_changed, words
from salesops.report import figures, markup
from salesops.report.block import Block

HEADING = "What changed since the last report"
LAST = 12  # reports that the trend goes back
_SHORTEST = 3  # points of a trend without a break; two are in the sentences
_TILES = "tiles"


def beside(
    notebook: NotebookNode, content: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]], company: crm.Company
) -> NotebookNode:
    """The notebook with the block after its tiles; as it is where nothing was published before, or it has no tiles.

    A page without tiles, such as the Monday report, compares with a day of its own choice.
    """
    at = [number for number, cell in enumerate(notebook.cells) if _TILES in _kinds(cell)]
    return _inserted(notebook, block(content, earlier, company), max(at)) if earlier and at else notebook


def block(content: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]], company: crm.Company) -> Block:
    """What changed between a report and the one published before it.

    Parameters
    ----------
    content
        The report's own figures file.
    earlier
        Those of the same report published before, oldest first; at least one.
    company
        As loaded; a sentence about a person who may not be shown is left away.
    """
    title = f"<h2>{HEADING}</h2>"
    before = earlier[-1]
    [found] = changes_told.between([before], [content])
    said = [sentence for sentence in found.sentences if not company.hides(sentence)]
    items = "".join(f"<li>{markup.text(sentence)}</li>" for sentence in said)
    day = markup.text(words.day(before["as_of"]))
    html = f'{title}<div class="so"><p>Beside the report of {day}:</p><ul>{items}</ul></div>'
    return Block("note", html + _drawn(content, [*earlier, content], company))


def earlier(out: Path, name: str, as_of: str) -> list[dict[str, Any]]:
    """The figures files of this very report as of earlier days, oldest first."""
    return figures_files.read(out, before=date.fromisoformat(as_of), report=name, variants=False, last=LAST)


def _drawn(content: Mapping[str, Any], documents: Sequence[Mapping[str, Any]], company: crm.Company) -> str:
    """The first tile's figure over the reports, where they are enough or there is a break to be seen."""
    first = next((figure for figure in content["figures"] if report.figure_key(figure) in content["tiles"][:1]), None)
    if first is None:
        return ""
    by = figures_files.groups(first["by"])
    table = what_changed.trend(documents, metric=first["metric"], statistic=first["statistic"], by=by)
    if len(table) < 2 or (len(table) < _SHORTEST and not table["is_break"].any()):
        return ""
    name = first["metric"] if first["statistic"] == "value" else f"{first['metric']}_{first['statistic']}"
    label = words.label(name)
    frame = pd.DataFrame(
        {"period": table["period"], name: table["value"], f"{name}_low": table["low"],
         f"{name}_high": table["high"], "run": table["run"]}
    )  # fmt: skip
    from salesops.report import broken  # with matplotlib; most reports have nothing to draw here

    parted = "; beyond a break it is not compared" if table["is_break"].any() else ""
    drawn = broken.broken_line(
        frame, value=name, unit=first["unit"], title=f"{label} as each report published it{parted}",
        subtitle="Each report's own period, as it was known on the report's day",
        scope=figures.Scope(currency=company.currency),
    )  # fmt: skip
    return drawn.html if not company.hides(drawn.html) else ""


def _kinds(cell: NotebookNode) -> set[str]:
    return {output.get("metadata", {}).get("salesops", {}).get("kind") for output in cell.get("outputs", [])}


def _inserted(notebook: NotebookNode, made: Block, after: int) -> NotebookNode:
    data, metadata = made._repr_mimebundle_()
    cell = nbformat.v4.new_code_cell("", outputs=[nbformat.v4.new_output("display_data", data=data, metadata=metadata)])
    cell["id"] = "what-changed"
    return NotebookNode({**notebook, "cells": [*notebook.cells[: after + 1], cell, *notebook.cells[after + 1 :]]})
