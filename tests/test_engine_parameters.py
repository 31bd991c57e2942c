"""Parameters: the cell that declares them, the texts that set them, the files, and who wins."""

import ast
import re
from datetime import date, datetime, time
from pathlib import Path

import engine_toys
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesops import plain_yaml
from salesops.checks import ParameterError
from salesops.engine import catalog, kinds, parameters, plan, schema

TAKES = "source, as_of, period, where, by, mode, level"


def kind(annotation: str) -> kinds.Kind:
    return kinds.parse(ast.parse(annotation, mode="eval").body)


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        ("str", "0012", "0012"),
        ("str", "yes", "yes"),
        ("str", "null", "null"),
        ("str", "", ""),
        ("str", "segment == 'SMB'", "segment == 'SMB'"),
        ("int", "0012", 12),
        ("int", "-3", -3),
        ("float", "1e-3", 0.001),
        ("float", "12", 12.0),
        ("bool", "yes", True),
        ("bool", "off", False),
        ("bool", "0", False),
        ("date", "2026-09-30", date(2026, 9, 30)),
        ("datetime.datetime", "2026-09-30T12:30", datetime(2026, 9, 30, 12, 30)),
        ("datetime", "2026-09-30", datetime(2026, 9, 30)),
        ("time", "12:30", time(12, 30)),
        ("list[str]", "no, 0012,12:30", ["no", "0012", "12:30"]),
        ("list[str]", "[a, 'b, c']", ["a", "b, c"]),
        ("list[int]", "", []),
        ("list[str | None]", "[a, null]", ["a", None]),
        ("tuple[int, str]", "1,x", (1, "x")),
        ("tuple[float, ...]", "[1, 2.5]", (1.0, 2.5)),
        ("dict[str, int]", "{a: 1, b: 2}", {"a": 1, "b": 2}),
        ("dict[str, list[int]]", "a: [1, 2]", {"a": [1, 2]}),
        ("Literal['amount', 'arr']", "arr", "arr"),
        ("Literal[1, 2, None]", "2", 2),
        ("Literal[1, 2, None]", "null", None),
        ("date | None", "null", None),
        ("date | None", "", None),
        ("Optional[int]", "7", 7),
        ("Union[str, int]", "7", 7),
        ("str | None", "none", "none"),
        ("Literal['start', 'end'] | None", "~", None),
    ],
)
def test_text_becomes_what_the_annotation_says(annotation, text, value):
    found = kinds.from_command_line(kind(annotation), text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("annotation", "text", "words"),
    [
        ("int", "1.5", "'1.5' is not a whole number"),
        ("int", "1_000", "'1_000' is not a whole number"),
        ("int", "", "'' is not a whole number"),
        ("float", "nan", "'nan' is not a number"),
        ("float", "1e999", "'1e999' is too large a number"),
        ("bool", "maybe", "'maybe' is not true or false"),
        ("date", "30.09.2026", "'30.09.2026' is not a date such as 2026-09-30"),
        ("date", "2026-02-30", "'2026-02-30' is not a date such as 2026-09-30"),
        ("date", "20260930", "'20260930' is not a date such as 2026-09-30"),
        ("time", "24:30", "'24:30' is not a time of day such as 12:30"),
        ("Literal['amount', 'arr']", "acv", "'acv' is not one of amount, arr"),
        ("list[int]", "1,x", "'x' is not a whole number"),
        ("list[int]", "{a: 1}", "'{a: 1}' is not a list such as [a, b]"),
        ("list[str]", "[a", "line 1:"),
        ("tuple[int, int]", "1", "'[1]' has 1 items, not 2"),
        ("dict[str, int]", "[1]", "'[1]' is not a mapping such as {a: 1, b: 2}"),
        ("date | None", "soon", "'soon' is not a date such as 2026-09-30"),
    ],
)
def test_text_of_another_type_is_refused_in_words(annotation, text, words):
    with pytest.raises(ValueError, match=f"^{re.escape(words)}"):
        kinds.from_command_line(kind(annotation), text)


def test_nothing_is_not_a_text():
    with pytest.raises(ValueError, match="it is empty, and str cannot be"):
        kinds.coerce(kind("str"), None)


_SHOWN = {
    "int": st.integers(),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "bool": st.booleans(),
    "date": st.dates(),
    "datetime": st.datetimes(),
    "time": st.times(),
    "str": st.text(),
    "list[int]": st.lists(st.integers()),
    "tuple[date, ...]": st.lists(st.dates()).map(tuple),
    "date | None": st.none() | st.dates(),
    "dict[str, int]": st.dictionaries(st.text("abc", min_size=1), st.integers()),
}


@pytest.mark.parametrize("annotation", _SHOWN)
@given(data=st.data())
def test_a_value_as_shown_reads_back_as_itself(annotation, data):
    value = data.draw(_SHOWN[annotation])
    assert kinds.from_command_line(kind(annotation), kinds.shown(value)) == value


@given(st.text())
def test_any_text_is_a_value_or_a_fault_in_words(text):
    for annotation in [*_SHOWN, "list[str | None]", "Literal[1, 'a'] | None"]:
        try:
            kinds.from_command_line(kind(annotation), text)
        except ValueError as fault:
            assert str(fault)


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1))
def test_no_plain_yaml_scalar_changes_its_text(text):
    try:
        found = plain_yaml.read(f"key: {text}")
    except ValueError:
        return
    if isinstance(found, dict) and isinstance(found.get("key"), str) and not text.startswith(("'", '"', "#", "|", ">")):
        assert found["key"] == text.partition(" #")[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "a: !!python/object/apply:os.system [ls]",
            "line 1: the tag 'tag:yaml.org,2002:python/object/apply:os.system' is not",
        ),
        ("a: &x 1\nb: *x", "line 2: the alias '*x' is not read"),
        ("a:\n  b: 1\n  b: 2", "line 3: 'b' is there twice"),
        ("a: [1", "line 1: expected ',' or ']'"),
        ("[a]: 1", "line 1: a key must be a single name"),
    ],
)
def test_yaml_that_is_not_plain_is_refused(text, words):
    with pytest.raises(ValueError, match=f"^{re.escape(words)}"):
        plain_yaml.read(text)


def test_the_cell_is_the_schema():
    found = schema.from_cell(engine_toys.PARAMETERS, "toy.ipynb")
    assert list(found) == ["source", "as_of", "period", "where", "by", "mode", "level"]
    assert found["as_of"] == schema.Parameter("as_of", kind("date | None"), None, "last day of data used")
    assert found["by"].default == ["segment"]
    assert found["level"].help == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("by: str = 3", "line 1: the default of 'by' is not str: write '3'"),
        ("import os\nby: int", "line 2: 'by' has no default"),
        ("by: complex = 3", "line 1: type 'complex' is not one of str, int"),
        ("by: str = name()", "line 1: the default of 'by' is not str: 'name()' is not a constant"),
        ("by: bool = 1", "line 1: the default of 'by' is not bool: write True"),
        ("by: str = 'a'\nby: str = 'b'", "line 2: 'by' is there twice"),
        ("print(3)", "line 1: 'print(3)' is not a parameter"),
        ("by: str = 'a\n", "line 1: unterminated string"),
        ("when: date = date(2026, 13, 1)", "line 1: the default of 'when' is not date: month must be in 1..12"),
        ("mode: Literal['a'] = 'b'", "line 1: the default of 'mode' is not Literal['a']: 'b' is not one of a"),
    ],
)
def test_a_cell_that_is_no_schema_is_refused_by_line(text, words):
    with pytest.raises(ParameterError) as fault:
        schema.from_cell(text, "toy.ipynb")
    assert str(fault.value).startswith(f"toy.ipynb: parameters cell, {words}")
    assert str(fault.value).endswith("Write imports and lines such as  name: type = default  # help.")


def test_a_file_that_is_no_notebook_or_has_no_parameters_is_refused(tmp_path):
    (tmp_path / "bad.ipynb").write_text("{")
    with pytest.raises(ParameterError, match=r"bad\.ipynb: is not a Jupyter notebook"):
        schema.read(tmp_path / "bad.ipynb")
    (tmp_path / "bare.ipynb").write_text('{"cells": []}')
    with pytest.raises(ParameterError, match=r"bare\.ipynb: no cell tagged 'parameters'"):
        schema.read(tmp_path / "bare.ipynb")


@pytest.fixture
def root(tmp_path) -> Path:
    """A repository with two reports, a pack and a variant."""
    for name in ("win_loss", "funnel"):
        engine_toys.notebook(tmp_path / "notebooks" / f"{name}.ipynb")
    (tmp_path / "parameters").mkdir()
    (tmp_path / "parameters" / "quarterly.yaml").write_text(
        "reports: [funnel]\nparameters: {level: 1, period: 2026Q1}\nper_report: {funnel: {level: 2}}\n"
    )
    (tmp_path / "parameters" / "win_loss.emea.yaml").write_text("parameters: {level: 3, where: region == 'EMEA'}\n")
    return tmp_path


def levels(root: Path, *names: str, assignments: tuple[str, ...] = (), file: Path | None = None) -> dict[str, tuple]:
    request = plan.Request(root=root, reports=names, assignments=assignments, parameters=file)
    return {job.name: tuple(job.values["level"]) for job in plan.jobs(request)}


def test_the_later_layer_wins_and_its_origin_is_kept(root):
    assert levels(root) == {"funnel": (2.0, "quarterly.yaml, per_report")}
    assert levels(root, "win_loss") == {"win_loss": (1.0, "quarterly.yaml")}
    assert levels(root, "win_loss.emea") == {"win_loss.emea": (3.0, "win_loss.emea.yaml")}
    both = levels(root, "funnel", "win_loss.emea", assignments=("win_loss.emea.level=5", "level=4"))
    assert both == {"funnel": (4.0, "-p"), "win_loss.emea": (5.0, "-p")}
    (root / "parameters" / "quarterly.yaml").unlink()
    assert levels(root) == {"funnel": (0.5, "notebook"), "win_loss": (0.5, "notebook")}


def test_a_variant_runs_its_notebook_under_its_own_name(root):
    [job] = plan.jobs(plan.Request(root=root, reports=("win_loss.emea",)))
    assert (job.name, job.notebook.name) == ("win_loss.emea", "win_loss.ipynb")
    assert job.values["where"].value == "region == 'EMEA'"
    assert job.values["period"].value == "2026Q1"


@pytest.mark.parametrize(
    ("assignments", "words"),
    [
        (
            ("levle=1",),
            f"funnel: unknown parameter 'levle'. It takes {TAKES}. Did you mean 'level'?",
        ),
        (
            ("as_off=1",),
            f"funnel: unknown parameter 'as_off'. It takes {TAKES}. Did you mean 'as_of'?",
        ),
        (("level=high",), "funnel: parameter 'level' (-p): 'high' is not a number. It takes float."),
        (
            ("as_of=yesterday",),
            "funnel: parameter 'as_of' (-p): 'yesterday' is not a date such as 2026-09-30. It takes date | None.",
        ),
        (("level",), "-p 'level' is not NAME=VALUE or REPORT.NAME=VALUE."),
        (
            ("funnle.level=1",),
            "-p 'funnle.level=1': 'funnle' is not a report of this run (funnel). Did you mean 'funnel'?",
        ),
    ],
)
def test_a_wrong_assignment_is_refused_in_words(root, assignments, words):
    with pytest.raises(ParameterError) as fault:
        levels(root, assignments=assignments)
    assert str(fault.value) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "parameter: {level: 1}",
            "my.yaml: unknown key 'parameter'. It takes reports, parameters, per_report, cover. Did you mean 'parameters'?",
        ),
        (
            "parameters: {levle: 1}",
            f"my.yaml: win_loss: unknown parameter 'levle'. It takes {TAKES}. Did you mean 'level'?",
        ),
        (
            "parameters: {level: null}",
            "win_loss: parameter 'level' (my.yaml): it is empty, and float cannot be. It takes float.",
        ),
        (
            "parameters: {level: [1]}",
            "win_loss: parameter 'level' (my.yaml): '[1]' is not a single value. It takes float.",
        ),
        (
            "per_report: {win_los: {}}",
            "there is no report 'win_los'. There are funnel, win_loss, win_loss.emea. Did you mean 'win_loss'?",
        ),
        ("reports: win_loss", "my.yaml: reports is not a list of names such as [win_loss, forecast]."),
        ("per_report: {win_loss: 3}", "my.yaml: win_loss is not a mapping of names to values."),
        ("- win_loss", "my.yaml: is not a mapping. It takes reports, parameters, per_report, cover."),
        ("level: 1\nlevel: 2", "my.yaml: line 2: 'level' is there twice."),
    ],
)
def test_a_wrong_file_is_refused_in_words(root, tmp_path, text, words):
    (tmp_path / "my.yaml").write_text(text)
    with pytest.raises(ParameterError) as fault:
        levels(root, "win_loss", file=tmp_path / "my.yaml")
    assert str(fault.value) == words


def test_an_absent_file_is_named(root):
    with pytest.raises(ParameterError, match=r"no\.yaml: cannot be read \(No such file or directory\)"):
        levels(root, file=root / "no.yaml")


def test_texts_of_a_file_arrive_as_the_annotation_says(root, tmp_path):
    (tmp_path / "my.yaml").write_text(
        "parameters:\n  as_of: 2026-09-30\n  level: 1e-3\n  where: yes\n  by: [NO, 0012]\n  period: 12:30\n"
    )
    [job] = plan.jobs(plan.Request(root=root, reports=("win_loss",), parameters=tmp_path / "my.yaml"))
    found = {name: value.value for name, value in job.values.items()}
    assert found["as_of"] == date(2026, 9, 30)
    assert (found["level"], found["where"], found["by"], found["period"]) == (0.001, "yes", ["NO", "0012"], "12:30")


def test_what_cannot_be_a_report_is_refused(tmp_path, root):
    with pytest.raises(ParameterError, match="Run from the repository root, or say --root DIR"):
        catalog.find(tmp_path / "nowhere")
    with pytest.raises(ParameterError, match="there is no report 'forecst'"):
        catalog.select(catalog.find(root), ["forecst"])
    (root / "parameters" / "win_los.apac.yaml").write_text("")
    with pytest.raises(
        ParameterError, match=r"win_los\.apac\.yaml: there is no notebook 'win_los' for this variant\. Did"
    ):
        catalog.find(root)


@pytest.mark.parametrize(
    "name", ["", "..", "../x", "a/b", "a b", ".hidden", "-p", "win_loss.", "index", "win_loss.failed"]
)
def test_unsafe_names_are_refused(name):
    with pytest.raises(ParameterError, match="cannot name a report"):
        catalog.checked(name)


@given(st.lists(st.text(), unique=True, max_size=6))
def test_every_value_of_a_column_gets_a_safe_name_of_its_own(values):
    names = plan.part_names("win_loss", values)
    assert list(names.values()) == values
    assert len({name.casefold() for name in names}) == len(values)
    assert all(catalog.checked(name) == name and len(name) < 70 for name in names)


def test_a_pack_names_its_cover_and_the_order_of_its_reports(tmp_path):
    (tmp_path / "p.yaml").write_text("{reports: [b, a, c], cover: c}")
    assert parameters.read_file(tmp_path / "p.yaml").order == ["c", "b", "a"]
    (tmp_path / "p.yaml").write_text("reports: [b, a]")
    assert parameters.read_file(tmp_path / "p.yaml").order == ["b", "a"]
    (tmp_path / "p.yaml").write_text("cover: [a]")
    with pytest.raises(ParameterError, match=r"p.yaml: cover is not the name of a report such as executive_summary."):
        parameters.read_file(tmp_path / "p.yaml")
