"""What is loaded by whom: start-up is most of a short report, so nobody loads what he does not use. No times here."""

import ast
import json
import subprocess
import sys

import pytest
from conftest import ROOT

HEAVY = (
    "pandas", "numpy", "scipy", "matplotlib", "seaborn", "statsmodels", "pyarrow", "nbformat", "jsonschema",
    "papermill", "nbconvert", "jinja2", "bs4", "duckdb",
)  # fmt: skip
DRAWING = ("matplotlib", "seaborn", "scipy.stats", "statsmodels")
ONLY_ENGINE = ("nbformat", "jsonschema", "papermill", "nbconvert", "jinja2", "bs4", "duckdb", "python_calamine")


def loaded(code: str) -> set[str]:
    """The modules a process has loaded after some code; an entry that forbids a module is none."""
    told = "; import json, sys; print(json.dumps([name for name in sys.modules if sys.modules[name] is not None]))"
    done = subprocess.run([sys.executable, "-c", code + told], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(json.loads(done.stdout.splitlines()[-1]))


def command_line(*words: str) -> str:
    """A command run, whose end is passed over."""
    return (
        f"import contextlib; from salesops import cli\nwith contextlib.suppress(SystemExit): cli.main({list(words)})\n0"
    )


@pytest.mark.parametrize(
    "words", [["--help"], ["run", "--help"], ["run", "--nothing"], ["list"], ["params", "win_loss"], ["params", "none"]],
    ids=" ".join,
)  # fmt: skip
def test_the_command_line_answers_without_the_machinery(words):
    assert not loaded(command_line(*words)) & set(HEAVY)


def test_schedules_are_listed_without_what_runs_reports():
    assert not loaded(command_line("schedule")) & set(HEAVY)


def test_the_package_alone_loads_nothing():
    assert {name for name in loaded("import salesops") if name.startswith("salesops.")} == set()


def imports_of(notebook: str) -> str:
    cells = json.loads((ROOT / "notebooks" / f"{notebook}.ipynb").read_text(encoding="utf-8"))["cells"]
    trees = [ast.parse("".join(cell["source"])) for cell in cells if cell["cell_type"] == "code"]
    nodes = [node for tree in trees for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    return "; ".join(map(ast.unparse, nodes))


@pytest.mark.parametrize("notebook", ["win_loss", "executive_summary"])
def test_a_notebook_loads_nothing_that_finishes_pages_or_reads_sources(notebook):
    code = imports_of(notebook)
    assert "crm" in code and "report" in code
    assert not loaded(f"{code}; report.charts; report.Page") & set(ONLY_ENGINE)


def test_the_engine_starts_reports_before_anything_draws():
    found = loaded("from salesops.engine import run")
    assert "papermill" in found and "salesops.report.gate" in found and not found & set(DRAWING)


def test_the_grammar_of_addresses_is_never_built():
    pytest.importorskip("rfc3987_syntax", reason="what jsonschema would load is not installed")
    code = "from salesops.engine import run; import jsonschema, nbformat; nbformat.validate(nbformat.v4.new_notebook())"
    assert not {"rfc3987_syntax", "lark"} & loaded(code)
    assert "rfc3987_syntax" in loaded("import nbformat")  # else the entry in salesops.engine has no reason any more


def test_a_notebook_that_is_not_one_is_still_refused():
    code = """
from salesops.engine import execute
import nbformat
broken = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "code"}]}
try:
    nbformat.validate(nbformat.from_dict(broken))
except nbformat.ValidationError as fault:
    print("refused")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"


def test_what_is_loaded_later_has_its_name():
    from salesops import report
    from salesops.report import charts, gate, html

    assert (report.faults, report.render, report.page_shell) == (gate.faults, html.render, html.page_shell)
    assert report.charts is charts and set(report.__all__) <= set(dir(report))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        report.nothing  # noqa: B018


def test_a_kernel_forked_warm_has_what_draws():
    """`report.charts` is loaded when first asked for: what forks kernels has to ask for it before it forks."""
    warm = pytest.importorskip("salesops.engine.warm")
    assert "salesops.report.charts" in warm.modules([ROOT / "notebooks" / "win_loss.ipynb"])
