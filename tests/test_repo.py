"""The repository keeps its own rules: one name in five places, imports one way, documents in step."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import nbformat
import pictures
import pytest
import readme
import strip
import yaml
from conftest import ROOT
from packaging.requirements import Requirement
from rattler import BuildString, MatchSpec, PackageRecord

PACKAGE = ROOT / "salesops"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
QUESTIONS = [path.stem for path in NOTEBOOKS]
CONDA_NAMES = {"duckdb": "python-duckdb", "matplotlib": "matplotlib-base", "ibis-framework": "ibis-postgres"}

# What each layer may import of salesops; a question may import pipeline, stats, periods, checks and words only.
FOUNDATION = {"checks", "kept", "periods", "words"}
CALLED = FOUNDATION | {"forecast_cases", "reference_forecasts", "stats"}
WIN_MODEL = FOUNDATION | {"pipeline", "landmark", "candidates", "leaks", "stats"}
A_QUESTION = FOUNDATION | {"cells", "pipeline", "journey", "first_entries", "deal_rules", "time_series", "stats"}
MAY_IMPORT = dict.fromkeys(QUESTIONS, A_QUESTION) | {
    "checks": set(),
    "kept": {"checks"},
    "words": set(),
    "periods": {"checks"},
    "metrics": {"checks"},
    "stats": {"checks", "kept"},
    "cells": FOUNDATION,
    "pipeline": FOUNDATION | {"cells", "stats"},
    "stage_moves": {"stats"},
    "journey": FOUNDATION | {"stage_moves", "stats"},
    "first_entries": FOUNDATION | {"journey", "stats"},
    "stage_counts": FOUNDATION | {"stage_moves", "first_entries"},
    "deal_rules": FOUNDATION | {"pipeline", "stats"},
    "landmark": FOUNDATION | {"pipeline", "stats"},
    "candidates": FOUNDATION | {"landmark", "stats"},
    "leaks": FOUNDATION | {"pipeline", "landmark", "candidates", "stats"},
    "driver_model": FOUNDATION | {"candidates", "stats"},
    "drivers": WIN_MODEL | {"driver_model"},
    "driver_findings": FOUNDATION | {"drivers", "candidates", "stats"},
    "later_chances": FOUNDATION | {"stats"},
    "win_model": WIN_MODEL | {"later_chances"},
    "cohorts": FOUNDATION | {"pipeline", "stats"},
    "win_rates": FOUNDATION | {"pipeline", "win_loss", "stats"},
    "competition": FOUNDATION | {"pipeline", "candidates", "stats"},
    "loss_reasons": FOUNDATION | {"pipeline", "stats"},
    "mix": FOUNDATION | {"pipeline", "stats"},
    "before_after": FOUNDATION | {"pipeline", "stats"},
    "evenings": FOUNDATION | {"stats"},
    "waterfall": FOUNDATION | {"pipeline", "evenings"},
    "waterfall_findings": FOUNDATION | {"waterfall"},
    "slippage": FOUNDATION | {"evenings", "stats"},
    "lead_funnel": FOUNDATION | {"pipeline", "leads", "stats"},
    "lead_routing": FOUNDATION | {"leads", "stats"},
    "lead_speed": FOUNDATION | {"leads", "stats"},
    "acquisition": FOUNDATION | {"stats"},
    "stays": FOUNDATION | {"stats"},
    "flow": FOUNDATION | {"pipeline", "stays", "stats"},
    "what_if": FOUNDATION | {"pipeline", "stays", "stats"},
    "stage_times": FOUNDATION | {"cells", "pipeline", "journey", "stats"},
    "funnel_counts": FOUNDATION | {"pipeline", "journey", "stats"},
    "bottlenecks": FOUNDATION | {"pipeline", "journey", "stats"},
    "rushed": FOUNDATION | {"pipeline", "journey", "stats"},
    "velocity": FOUNDATION | {"pipeline", "evenings", "stats"},
    "deal_changes": FOUNDATION | {"stats"},
    "forecast_cases": FOUNDATION | {"deal_changes"},
    "forecast_backtest": FOUNDATION | {"forecast_cases", "stats"},
    "win_chances": FOUNDATION | {"forecast_cases", "stats"},
    "pipeline_forecast": FOUNDATION | {"forecast_cases", "win_chances", "stats"},
    "deciding_deals": FOUNDATION | {"pipeline_forecast"},
    "forecast_bridge": FOUNDATION | {"forecast_cases", "pipeline_forecast"},
    "pipeline_review": FOUNDATION | {"forecast_bridge"},
    "time_series": FOUNDATION | {"stats"},
    "reference_forecasts": FOUNDATION | {"forecast_cases", "stats"},
    "forecast_choice": FOUNDATION | {"forecast_cases", "reference_forecasts"},
    "forecast_weeks": FOUNDATION | {"forecast_cases", "forecast_backtest", "reference_forecasts"},
    "reliability": FOUNDATION | {"forecast_cases", "win_chances", "stats"},
    "figures_files": {"report"},
    "published": FOUNDATION | {"figures_files"},
    "what_changed": FOUNDATION | {"figures_files", "stats", "report"},
    "changes_told": FOUNDATION | {"figures_files", "what_changed"},
    "plain_yaml": set(),
    "handwritten": {"checks", "plain_yaml"},
    "notes": FOUNDATION | {"handwritten", "metrics"},
    "decisions": FOUNDATION | {"handwritten", "notes", "metrics", "before_after", "pipeline"},
    "executive_summary": FOUNDATION,
    "pack_agreement": FOUNDATION | {"executive_summary"},
    "scorecard": FOUNDATION | {"stats"},
    "key_figures": FOUNDATION
    | {
        "attainment",
        "forecast",
        "forecast_cases",
        "leads",
        "pacing",
        "pipeline",
        "quotas",
        "slippage",
        "velocity",
        "win_loss",
    },
    "accountability": CALLED,
    "called_deals": CALLED,
    "pacing": CALLED,
    "turned_deals": FOUNDATION | {"forecast_cases"},
    "skill": FOUNDATION | {"stats"},
    "skill_funnel": FOUNDATION | {"stats"},
    "typical_wins": FOUNDATION | {"skill", "stats"},
    "rep_fit": FOUNDATION | {"stats"},
    "top_bottom": FOUNDATION | {"skill", "activity", "stats"},
    "bookings_ahead": FOUNDATION | {"pipeline", "time_series", "stats"},
    "outside_factors": FOUNDATION | {"pipeline", "time_series", "bookings_ahead", "stats"},
    "lead_chances": FOUNDATION | {"deal_changes", "forecast_cases"},
    "deals_to_come": FOUNDATION | {"deal_changes", "forecast_cases", "lead_chances"},
    "conversion_trend": FOUNDATION | {"pipeline", "journey", "stats"},
    "activity": FOUNDATION | {"pipeline", "rep_performance", "stats"},
    "activity_logging": FOUNDATION | {"activity", "pipeline", "rep_performance", "stats"},
    "activity_effect": FOUNDATION | {"candidates", "stats"},
    "hygiene": FOUNDATION | {"activity", "deal_rules", "pipeline", "stats"},
    "process": FOUNDATION | {"journey", "stats"},
    "colleagues": FOUNDATION | {"pipeline", "stats"},
    "quotas": FOUNDATION | {"rep_performance", "stats"},
    "attainment": FOUNDATION | {"pipeline", "rep_performance", "quotas", "stats"},
    "attainment_findings": FOUNDATION,
    "ramp": FOUNDATION | {"rep_performance", "quotas", "stats"},
    "tenure": FOUNDATION | {"rep_performance", "attainment", "stats"},
    "crm": FOUNDATION | {"cells", "pipeline", "stage_moves", "stage_counts", "stats"},
    "report": FOUNDATION | {"metrics", "notes"},
    "engine": FOUNDATION
    | {"plain_yaml", "metrics", "crm", "report", "notes", "figures_files", "what_changed", "changes_told"},
    "cli": FOUNDATION | {"metrics", "crm", "report", "engine", "changes_told"},
    "__main__": {"cli"},
    "desk": set(),
    "__init__": {"desk"},
}


def imports(path: Path) -> set[str]:
    """Parts of salesops that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "salesops":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("salesops."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("salesops.")}
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    beyond = imports(path) - MAY_IMPORT[part] - {part}
    assert not beyond, f"{part} may not import {sorted(beyond)}"


@pytest.mark.parametrize("name", QUESTIONS)
def test_questions_neither_draw_nor_read(name):
    text = (PACKAGE / f"{name}.py").read_text(encoding="utf-8")
    assert not re.search(r"^\s*(from|import) (matplotlib|seaborn|IPython|papermill|duckdb)", text, re.MULTILINE)


@pytest.mark.parametrize("name", QUESTIONS)
def test_one_name_in_five_places(name):
    assert (PACKAGE / f"{name}.py").exists() and (ROOT / "tests" / f"test_{name}.py").exists()
    packs = [ROOT / "parameters" / f"{pack}.yaml" for pack in ("quarterly", "weekly")]
    assert name in [each for pack in packs for each in yaml.safe_load(pack.read_text(encoding="utf-8"))["reports"]]
    assert name in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_stay_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500


def functions(path: Path) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_functions_stay_short(path):
    """The body, its docstring apart."""
    lines = {}
    for node in functions(path):
        body = node.body[1:] if ast.get_docstring(node) is not None else node.body
        lines[node.name] = body[-1].end_lineno - body[0].lineno + 1 if body else 0
    assert {name: n for name, n in lines.items() if n > 45} == {}


ASSERTING = ("assert_", "raises", "warns", "fail")  # of pytest, pandas and numpy


def asserting(node: ast.FunctionDef, helpers: set[str]) -> bool:
    """Whether it asserts, or calls what does."""
    called = [each.func for each in ast.walk(node) if isinstance(each, ast.Call)]
    names = {each.attr if isinstance(each, ast.Attribute) else getattr(each, "id", "") for each in called}
    is_plain = any(isinstance(each, ast.Assert) for each in ast.walk(node))
    return is_plain or any(name in helpers or name.startswith(ASSERTING) for name in names)


@pytest.mark.parametrize("path", sorted((ROOT / "tests").glob("test_*.py")), ids=lambda path: path.stem)
def test_every_test_asserts(path):
    found = functions(path)
    helpers: set[str] = set()
    while more := {node.name for node in found if asserting(node, helpers)} - helpers:
        helpers |= more
    idle = [node.name for node in found if node.name.startswith("test_") and not asserting(node, helpers)]
    assert idle == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_as_make_strip_leaves_them(path):
    assert strip.text(strip.stripped(nbformat.read(path, as_version=4))) == path.read_text(encoding="utf-8")


def test_the_metric_index_is_in_step():
    text = readme.README.read_text(encoding="utf-8")
    assert readme.index() in text and readme.updated(text) == text, "run: make readme"


def test_every_command_of_the_readme_exists():
    text = readme.README.read_text(encoding="utf-8")
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"\bmake (\w+)", text)) <= targets


def test_the_readme_shows_every_page_and_pictures_stay_small():
    shown = re.findall(r"!\[[^\]]{30,}\]\((docs/pictures/\w+\.png)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    kept = sorted((ROOT / "docs" / "pictures").iterdir())
    assert sorted(shown) == [str(path.relative_to(ROOT)) for path in kept]
    named = {path.stem for path in kept}
    assert "index" in named and named <= {"index", *QUESTIONS}, "run: make pictures"
    sizes = [path.stat().st_size for path in kept]
    assert max(sizes) <= pictures.LARGEST and sum(sizes) <= pictures.LARGEST_TOGETHER


def requirements() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [Requirement(text) for text in [*project["dependencies"], *project["optional-dependencies"]["test"]]]


def pins(lock: str = "requirements.lock") -> list[Requirement]:
    lines = (ROOT / lock).read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def conda() -> dict[str, MatchSpec]:
    """What environment.yml asks of conda and, for what is on PyPI alone, of pip."""
    listed = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    pip = [text for text in listed[-1]["pip"] if not text.startswith("-")]
    specs = [MatchSpec(text) for text in [*listed[:-1], *pip]]
    return {spec.name.normalized: spec for spec in specs}


@pytest.mark.parametrize("requirement", requirements(), ids=lambda requirement: requirement.name)
def test_conda_pip_and_the_lock_ask_for_the_same(requirement):
    spec = conda()[CONDA_NAMES.get(requirement.name, requirement.name)]
    bounds = {str(bound) for bound in requirement.specifier}
    assert set(str(spec.version).split(",")) == bounds
    locked = [pin for pin in pins() if pin.name == requirement.name]
    assert locked, f"{requirement.name} is not in requirements.lock; run: make lock"
    for pin in locked:
        (version,) = [bound.version for bound in pin.specifier]
        assert requirement.specifier.contains(version)
        assert spec.matches(_record(spec.name.normalized, version))


def test_conda_lists_nothing_more():
    wanted = {CONDA_NAMES.get(each.name, each.name) for each in requirements()} | {"python", "pip"}
    assert set(conda()) == wanted


def test_python_is_the_same_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert str(conda()["python"].version) == project["requires-python"] == ">=3.11"


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-spark.lock"])
def test_the_lock_names_no_registry(lock):
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text and "--" not in text
    assert all(re.fullmatch(r"==[^=,]+", str(pin.specifier)) for pin in pins(lock))


def test_spark_comes_beside_what_is_there_and_changes_none_of_it():
    both = {str(pin) for pin in pins("requirements-spark.lock")}
    assert {str(pin) for pin in pins()} < both
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    locked = {pin.name: pin for pin in pins("requirements-spark.lock")}
    for wanted in map(Requirement, extra["spark"]):
        (version,) = [bound.version for bound in locked[wanted.name].specifier]
        assert wanted.specifier.contains(version)


def test_no_file_names_a_registry_or_a_machine():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    bad = re.compile(r"(https?://[\w.]*(pypi|pythonhosted|npmjs|debian)\.|/(home|root|work|Users)/\w)")
    found = [name for name in tracked if bad.search((ROOT / name).read_text(encoding="utf-8", errors="ignore"))]
    assert found == []


def _record(name: str, version: str) -> PackageRecord:
    return PackageRecord(name=name, version=version, build=BuildString("0"), build_number=0, subdir="noarch")
