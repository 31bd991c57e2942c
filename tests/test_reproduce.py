"""A published report made again from its record: the same to 1e-9, or which figure is not."""

import json
import shutil
from pathlib import Path

import engine_toys
import nbformat
import pytest

from salesops import cli, crm
from salesops.checks import DataError, ParameterError
from salesops.engine import execute, imported, plan, record, reproduce, run

DAY = "2026-09-30"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("made")
    engine_toys.notebook(root / "notebooks" / "alpha.ipynb")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crm, "load", engine_toys.company)
        request = plan.Request(root=root, out=root / "reports", reports=("alpha",), for_each="segment=SMB", jobs=1)
        assert run.run(request._replace(assignments=("level=0.6", "by=segment,stage", "where=amount > 1")), print) == 0
    return root


class Case:
    """A copy of it, what is said, and the executed notebook that stands for a kernel."""

    def __init__(self, root: Path):
        self.root, self.said, self.kernels = root, [], []
        self.file = root / "reports" / DAY / "alpha.SMB.run.json"
        self.executed = None

    def reproduce(self, *assignments: str) -> int:
        self.said.clear()
        return reproduce.reproduce(self.file, root=self.root, assignments=assignments, say=self.said.append)

    def change(self, file: Path, **changes: object) -> None:
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.fixture
def case(made, tmp_path, monkeypatch) -> Case:
    monkeypatch.setattr(crm, "load", engine_toys.company)
    shutil.copytree(made, tmp_path / "root", symlinks=True)
    return Case(tmp_path / "root")


@pytest.fixture
def quick(case, monkeypatch) -> Case:
    """Without a kernel: what a notebook would say is what the published figures file says, or `case.figures`."""
    case.figures = None

    def kernel(notebook, values, **named):
        case.kernels.append((values, named))
        return execute.Execution(nbformat.read(notebook, as_version=4))

    monkeypatch.setattr(execute, "execute", kernel)
    published = json.loads(case.file.with_name("alpha.SMB.json").read_text())
    monkeypatch.setattr(
        reproduce.document, "figures_file", lambda *_: published | {"figures": case.figures or published["figures"]}
    )
    return case


def state(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_the_same_figures_come_out_and_nothing_is_written(case):
    """In a real kernel."""
    before = state(case.root)
    assert case.reproduce() == 0
    run_id = json.loads(case.file.read_text())["run_id"]
    assert case.said == [f"identical: all 2 figures of run {run_id} came out the same."]
    assert state(case.root) == before


def test_every_value_is_the_recorded_one(quick):
    assert quick.reproduce() == 0
    [(values, named)] = quick.kernels
    assert (values["level"], values["by"], values["mode"]) == (0.6, ["segment", "stage"], "good")
    assert values["where"] == "(amount > 1) and segment == 'SMB'"
    assert values["as_of"].isoformat() == DAY
    assert named["reports"] == quick.root / "reports"


@pytest.mark.parametrize("name", reproduce.COMPARED)
def test_a_number_that_is_another_is_told(quick, name):
    [first, *rest] = json.loads(quick.file.with_name("alpha.SMB.json").read_text())["figures"]
    quick.figures = [first | {name: 0.125}, *rest]
    assert quick.reproduce() == 1
    assert quick.said[-1].startswith("different: 1 figure differs from the 2 of run ")
    assert [line.split() for line in quick.said[-1].splitlines()[1:]] == [
        ["figure", "what", "then", "now"], ["win_rate.2026Q3", name, str(first[name] or "–"), "0.125"]
    ]  # fmt: skip


@pytest.mark.parametrize(("now", "n"), [(0.6 + 5e-10, 0), (0.6 - 5e-10, 0), (0.6 + 5e-9, 1)])
def test_the_ninth_digit_is_the_last_that_counts(now, n):
    one = {"metric": "m", "statistic": "value", "by": {}, "period": {"label": "p"}, "compared_with": None}
    assert len(reproduce.compared([one | {"value": 0.6}], [one | {"value": now}])) == n


def test_a_figure_that_went_and_one_that_came_are_told():
    one = {"metric": "m", "statistic": "value", "by": {}, "value": 1.0, "period": {"label": "p"}, "compared_with": None}
    table = reproduce.compared([one], [one | {"by": {"segment": None}}])
    assert table[["what", "then", "now"]].values.tolist() == [["whole", 1.0, None], ["whole", None, 1.0]]
    empty = reproduce.compared([one | {"value": None}], [one])
    assert empty.values.tolist() == [["m.p", "value", None, 1.0]]


def test_many_differences_are_counted_not_all_shown():
    one = {"metric": "m", "statistic": "value", "value": 1.0, "period": {"label": "p"}, "compared_with": None}
    then = [one | {"by": {"segment": str(n)}} for n in range(30)]
    said = reproduce.told(reproduce.compared(then, [each | {"value": 2.0} for each in then]), n=30, run_id="0a")
    assert said.splitlines()[0] == "different: 30 figures differ from the 30 of run 0a."
    assert said.splitlines()[-1] == "… and 10 more"
    assert len(said.splitlines()) == 23


def other_inputs(monkeypatch, change):
    def load(*arguments, **named):
        company = engine_toys.company(*arguments, **named)
        company.inputs = change(company.inputs)
        return company

    monkeypatch.setattr(crm, "load", load)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows.assign(sha256="cd" * 32), "opportunities: its content is another, of as many rows (3)."),
        (lambda rows: rows.assign(sha256="cd" * 32, rows=1400), "opportunities: 3 rows then, 1,400 now."),
        (lambda rows: rows.assign(table="deals"), "deals: was not among the inputs and is now."),
        (lambda rows: rows[:0], "opportunities: was among the inputs and is not now."),
    ],
)
def test_other_inputs_end_it_before_anything_runs(quick, monkeypatch, change, words):
    other_inputs(monkeypatch, change)
    assert quick.reproduce() == 3
    assert words in quick.said
    assert "not run, because the inputs are not those of run " in quick.said[-1]
    assert quick.kernels == []


def test_what_else_is_another_is_said_before_it_runs(quick, monkeypatch):
    monkeypatch.setattr(record, "code_hash", lambda: "0" * 64)
    monkeypatch.setattr(imported, "packages", lambda: {"numpy": "99"})
    monkeypatch.setattr(record, "versions", lambda: {"python": "3.99"})
    book = quick.root / "notebooks" / "alpha.ipynb"
    book.write_text(book.read_text().replace("what happened?", "what was it?"))
    assert quick.reproduce() == 0
    assert quick.said[:2] == [
        "beforehand: the code of salesops is another.", "beforehand: the notebook is another.",
    ]  # fmt: skip
    assert any(line.startswith("beforehand: python was 3.") and line.endswith("is 3.99.") for line in quick.said)
    assert "beforehand: pandas was" in "\n".join(quick.said)
    assert quick.said[-1].startswith("identical")


def test_every_part_that_decides_has_its_words():
    """Data, parameters and packages are told one by one; the period and the day are the record's own."""
    parts = {"report", "parameters", "data", "packages"} | set(reproduce._PARTS)
    assert parts == {
        "report", "notebook", "code", "modules", "packages", "parameters", "data", "people", "ties", "notes",
        "decisions", "earlier", "reports",
    }  # fmt: skip


def test_a_report_that_fails_now_is_different(quick, monkeypatch):
    failed = execute.Failure("KeyError", "'amount'", cell=3, heading="Where do we win?")
    monkeypatch.setattr(execute, "execute", lambda *_, **__: execute.Execution(nbformat.v4.new_notebook(), failed))
    assert quick.reproduce() == 1
    assert quick.said[-1] == (
        "alpha.SMB: could not be made again: cell 3 (Where do we win?), KeyError: 'amount'"
    )  # fmt: skip


def test_a_source_that_lies_somewhere_has_to_be_said(quick):
    found = json.loads(quick.file.read_text())
    found["parameters"]["source"]["value"] = "acme"
    quick.file.write_text(json.dumps(found))
    with pytest.raises(ParameterError, match="names its source 'acme', not where it lies"):
        quick.reproduce()
    assert quick.reproduce("source=/srv/acme") == 0
    assert quick.kernels[0][0]["source"] == "/srv/acme"


def test_nothing_but_the_source_can_be_set(quick):
    with pytest.raises(ParameterError, match="'level' cannot be set; the record says it"):
        quick.reproduce("level=0.7")


def test_a_record_alone_is_not_enough(quick):
    quick.change(quick.file.with_name("alpha.SMB.json"), run_id="0" * 16)
    with pytest.raises(DataError, match=r"alpha.SMB.json beside it is of run 0{16}, not of"):
        quick.reproduce()
    quick.file.with_name("alpha.SMB.json").unlink()
    with pytest.raises(DataError, match="is not there or is not whole"):
        quick.reproduce()


def test_what_is_no_record_is_refused(quick, capsys):
    quick.file = quick.file.with_name("alpha.SMB.json")
    with pytest.raises(DataError, match="is no run record"):
        quick.reproduce()
    assert cli.main(["reproduce", str(quick.file), "--root", str(quick.root)]) == 3
    assert "is no run record" in capsys.readouterr().err


def test_a_record_of_an_earlier_version_is_refused(quick):
    found = json.loads(quick.file.read_text())
    quick.file.write_text(json.dumps({name: each for name, each in found.items() if name != "inputs"}))
    with pytest.raises(DataError, match="by an earlier version"):
        quick.reproduce()


def test_a_notebook_that_is_gone_or_takes_other_parameters_is_refused(quick):
    quick.change(quick.file, notebook="beta.ipynb")
    with pytest.raises(ParameterError, match=r"no notebooks/beta.ipynb here"):
        quick.reproduce()
    found = json.loads(quick.file.read_text())
    quick.change(quick.file, notebook="alpha.ipynb", parameters=found["parameters"] | {"older": {"value": 1}})
    with pytest.raises(ParameterError, match="unknown parameter 'older'"):
        quick.reproduce()


def test_the_command(quick, capsys):
    assert cli.main(["reproduce", str(quick.file), "--root", str(quick.root)]) == 0
    assert capsys.readouterr().err.startswith("identical: all 2 figures")
