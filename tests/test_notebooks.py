"""Every notebook found: its shape, and that it runs on a company that has nothing."""

import ast
import re

import nbformat
import pytest
from conftest import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
COMMON = [
    "source",
    "as_of",
    "period",
    "where",
    "measure",
    "fiscal_start_month",
    "fiscal_year_named_by",
    "names",
    "conversion",
]
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path, kind: str) -> list:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def parameters(path) -> list[ast.AnnAssign]:
    (cell,) = [cell for cell in cells(path, "code") if "parameters" in cell.metadata.get("tags", [])]
    return [node for node in ast.parse(cell.source).body if isinstance(node, ast.AnnAssign)]


def test_the_reports_we_ship_are_there():
    named = [
        "activity", "bookings_ahead", "data_quality", "executive_summary", "forecast", "funnel", "leads", "pipeline_review",
        "rep_performance", "waterfall", "win_loss",
    ]  # fmt: skip
    assert set(named) <= {path.stem for path in NOTEBOOKS}


@every_notebook
def test_it_begins_with_its_question_and_its_parameters(path):
    first, second = nbformat.read(path, as_version=4).cells[:2]
    assert first.cell_type == "markdown" and first.source.startswith("# ") and "?" in first.source
    assert second.metadata.get("tags") == ["parameters"]
    assert [node.target.id for node in parameters(path)][: len(COMMON)] == COMMON


@every_notebook
def test_common_parameters_are_the_same_in_every_notebook(path):
    mine, first = ([ast.dump(node) for node in parameters(each)][: len(COMMON)] for each in (path, NOTEBOOKS[0]))
    assert mine == first


@every_notebook
def test_cells_are_short_and_only_call(path):
    forbidden = (ast.FunctionDef, ast.ClassDef, ast.For, ast.While, ast.Try, ast.If, ast.Lambda, ast.ListComp)
    for cell in cells(path, "code"):
        found = [type(node).__name__ for node in ast.walk(ast.parse(cell.source)) if isinstance(node, forbidden)]
        assert not found, f"{found} in {cell.source[:60]!r}"
        assert len(cell.source.splitlines()) <= 45


@every_notebook
def test_prose_holds_no_number_that_data_could_falsify(path):
    for cell in cells(path, "markdown"):
        assert not re.search(r"\d", cell.source), cell.source


@every_notebook
def test_findings_come_before_the_appendix(path):
    headings = [line for cell in cells(path, "markdown") for line in cell.source.splitlines() if line.startswith("## ")]
    is_appendix = [heading.startswith("## Appendix") for heading in headings]
    assert is_appendix == sorted(is_appendix) and 3 <= is_appendix.count(False) <= 5
    assert {
        "## Appendix: definitions",
        "## Appendix: exclusions and data quality",
        "## Appendix: method and limits",
    } <= set(headings)
    assert all(heading.endswith("?") for heading in headings if not heading.startswith("## Appendix"))


@every_notebook
def test_the_headline_and_every_table_are_checked_by_nbval(path):
    for cell in cells(path, "code"):
        is_checked = "nbval-check-output" in cell.metadata.get("tags", [])
        assert is_checked == cell.source.startswith(("page.headline(", "page.table("))
        assert bool(cell.outputs) == is_checked
