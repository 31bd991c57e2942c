"""Reports that are not run again: everything a page depends on decides, one thing after the other."""

import json
import re
import shutil
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import engine_toys
import nbformat
import pandas as pd
import pytest

from salesops import crm, figures_files
from salesops.checks import SalesopsError
from salesops.engine import execute, exports, imported, log, plan, record, run, unchanged

DAY = "2026-09-30"
IMPORTS = "import own_rules\nfrom salesops import checks, decisions\n"
READS = """from datetime import date
from salesops import figures_files

pack = figures_files.read(figures_files.folder(), as_of=date(2026, 9, 30))
past = figures_files.read(figures_files.folder(), before=date(2026, 9, 30), report="delta")
"""
NOTE = """- report: {report}
  metric: win_rate
  period: 2026Q3
  author: Ann
  date: 2026-10-02
  value: 50 %
  text: {text}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A repository and what its two reports published: alpha imports a module of its own, cover reads the others."""
    root = tmp_path_factory.mktemp("made")
    engine_toys.notebook(root / "notebooks" / "alpha.ipynb", cells=(IMPORTS, engine_toys.WORK, engine_toys.SAY))
    engine_toys.notebook(root / "notebooks" / "cover.ipynb", cells=(READS, engine_toys.WORK, engine_toys.SAY))
    (root / "own_rules.py").write_text("import own_words\n")
    (root / "own_words").mkdir()
    (root / "own_words" / "__init__.py").write_text("WORD = 1\n")
    (root / "notes").mkdir()
    (root / "notes" / "alpha.yaml").write_text(NOTE.format(report="alpha", text="Holiday."))
    figures(root, "2026-06-30", "alpha", value=0.4)
    figures(root, DAY, "other", value=0.1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crm, "load", engine_toys.company)
        patch.chdir(root)
        assert ran(root, jobs=1) == 0
    return root


@pytest.fixture
def case(made, tmp_path, monkeypatch) -> SimpleNamespace:
    """A copy of it, and the reports whose kernels start when it is run again."""
    root = tmp_path / "root"
    shutil.copytree(made, root, symlinks=True)
    started = []

    def kernel(notebook, *_, **__):
        started.append(notebook.stem)
        return execute.Execution(nbformat.read(notebook, as_version=4), execute.Failure("Ran", "it ran"))

    monkeypatch.setattr(execute, "execute", kernel)
    monkeypatch.setattr(crm, "load", engine_toys.company)
    monkeypatch.chdir(root)
    return SimpleNamespace(root=root, started=started, day=root / "reports" / DAY)


def figures(root: Path, day: str, report: str, *, value: float, commit: str = "abc") -> None:
    """A figures file of a report that has no page."""
    place = root / "reports" / day / f"{report}.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    figure = {"metric": "win_rate", "statistic": "value", "by": {}, "value": value, "low": None, "high": None,
              "level": None, "n": 2, "numerator": 1, "denominator": 2, "unit": "rate", "clock": "closed", "where": "",
              "period": {"label": "2026Q2", "start": None, "end": None}, "compared_with": None}  # fmt: skip
    content = {"schema": 1, "report": report, "as_of": day, "run_id": "0" * 16, "parameters": {"source": "sample"},
               "figures": [figure], "code": {"commit": commit}, "status": "ok", "tiles": [],
               "headlines": []}  # fmt: skip
    place.write_text(json.dumps(content))


def ran(root: Path, *reports: str, **wanted: object) -> int:
    told = wanted.pop("told", [])
    request = plan.Request(root=root, out=root / "reports", reports=reports, force=False)._replace(**wanted)
    return run.run(request, told.append)


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = [path for path in folder.rglob("*") if path.is_file() and "log" not in path.parts]
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_nothing_changed_is_not_run_and_no_byte_is_touched(case):
    before, told = state(case.root / "reports"), []
    assert ran(case.root, told=told) == 0
    assert case.started == []
    assert state(case.root / "reports") == before
    run_id = json.loads((case.day / "alpha.json").read_text())["run_id"]
    assert told[0] == f"alpha: unchanged: {run_id}, made as of 2026-09-30"


def test_a_skip_stands_in_the_log(case):
    ran(case.root, "alpha")
    last = log.read(case.root / "reports")[-1]
    run_id = json.loads((case.day / "alpha.json").read_text())["run_id"]
    assert (last["report"], last["outcome"], last["run_id"], last["as_of"]) == ("alpha", "unchanged", run_id, DAY)


def test_force_runs_it(case):
    ran(case.root, "alpha", force=True)
    assert case.started == ["alpha"]


def change_notebook(case):
    path = case.root / "notebooks" / "alpha.ipynb"
    path.write_text(path.read_text().replace("# Toy: what happened?", "# Toy: what was it?"))


def change_module(case):
    (case.root / "own_rules.py").write_text("import own_words\nRULE = 2\n")


def change_inner_module(case):
    (case.root / "own_words" / "__init__.py").write_text("WORD = 2\n")


def change_note(case):
    (case.root / "notes" / "alpha.yaml").write_text(NOTE.format(report="alpha", text="A holiday."))


def add_note(case):
    (case.root / "notes" / "more.yaml").write_text(NOTE.format(report="alpha", text="More."))


def drop_notes(case):
    (case.root / "notes" / "alpha.yaml").unlink()


def add_decisions(case):
    (case.root / "notes" / "decisions.yaml").write_text("[]\n")


def change_earlier(case):
    figures(case.root, "2026-06-30", "alpha", value=0.41)


def add_earlier(case):
    figures(case.root, "2026-03-31", "alpha", value=0.4)


def drop_earlier(case):
    (case.root / "reports" / "2026-06-30" / "alpha.json").unlink()


def add_earlier_page(case):
    for ending in (".html", ".ipynb", ".deals.html"):
        (case.root / "reports" / "2026-06-30" / f"alpha{ending}").write_text("{}")


def fail_before(case):
    (case.day / "alpha.failed.html").write_text("it failed since")


def forget(case):
    path = case.day / "alpha.run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "depends": {}}))


def lose_record(case):
    (case.day / "alpha.run.json").unlink()


@pytest.mark.parametrize(
    "change",
    [
        change_notebook, change_module, change_inner_module, change_note, add_note, drop_notes, add_decisions,
        change_earlier, add_earlier, drop_earlier, add_earlier_page, fail_before, forget, lose_record,
    ],
    ids=lambda change: change.__name__,
)  # fmt: skip
def test_a_changed_file_is_seen(case, change):
    change(case)
    ran(case.root, "alpha")
    assert case.started == ["alpha"]


@pytest.mark.parametrize("ending", [".html", ".ipynb", ".json", ".deals.html", ".deals.parquet"])
@pytest.mark.parametrize("how", ["gone", "other"])
def test_a_report_that_is_not_whole_is_run(case, ending, how):
    path = case.day / f"alpha{ending}"
    path.unlink() if how == "gone" else path.write_bytes(path.read_bytes() + b" ")
    with suppress(SalesopsError):  # the kernel of these tests makes nothing, so the list of reports leads nowhere
        ran(case.root, "alpha")
    assert case.started == ["alpha"]


@pytest.mark.parametrize(
    "assignment",
    ["level=0.6", "by=owner_id", "where=amount > 1", "as_of=2026-09-29", "period=2026Q2", "level=0.5"],
)
def test_a_parameter_is_seen_and_where_it_comes_from(case, assignment):
    """The page says both; the last value is the notebook's own."""
    ran(case.root, "alpha", assignments=(assignment,))
    assert case.started == ["alpha"]


def test_a_variant_is_a_report_of_its_own(case):
    (case.root / "parameters").mkdir()
    (case.root / "parameters" / "alpha.emea.yaml").write_text("parameters: {level: 0.5}\n")
    ran(case.root, "alpha.emea")
    assert case.started == ["alpha"]


def other_company(monkeypatch, **changes):
    def load(*arguments, **named):
        company = engine_toys.company(*arguments, **named)
        for name, change in changes.items():
            setattr(company, name, change(getattr(company, name)))
        return company

    monkeypatch.setattr(crm, "load", load)


@pytest.mark.parametrize(
    "changes",
    [
        {"inputs": lambda inputs: inputs.assign(sha256="cd" * 32)},
        {"inputs": lambda inputs: inputs.assign(rows=4)},
        {"inputs": lambda inputs: pd.concat([inputs, inputs.assign(table="accounts")])},
        {"policy": lambda _: ("People are shown by codes.",)},
        {"reps": lambda reps: reps.assign(name="A. C.")},
        {"all_opportunities": lambda deals: deals.assign(owner_id="P-1")},
        {"currency": lambda _: "EUR"},
        {"locale": lambda _: "de"},
        {"data_through": lambda day: day.replace(day=29)},
    ],
    ids=["hash", "rows", "table", "policy", "names", "key", "currency", "locale", "data through"],
)
def test_the_data_and_who_is_shown_are_seen(case, monkeypatch, changes):
    other_company(monkeypatch, **changes)
    ran(case.root, "alpha")
    assert case.started == ["alpha"]


def test_where_the_source_lies_is_nothing_to_a_page(case):
    [each] = plan.load(plan.jobs(plan.Request(root=case.root, reports=("alpha",))), None, print)
    values = each.job.values | {"source": each.job.values["source"]._replace(value="/mnt/new/sample")}
    moved = each._replace(job=each.job._replace(values=values))
    out = case.root / "reports"
    assert unchanged.ingredients(moved, out) == unchanged.ingredients(each, out)


@pytest.mark.parametrize("ties", [True, False])
def test_the_crms_own_totals_are_seen(case, monkeypatch, ties):
    monkeypatch.setattr(plan, "_ties", lambda _: ties)
    ran(case.root, "alpha")
    assert case.started == ["alpha"]


@pytest.mark.parametrize(
    ("module", "name", "now"),
    [(record, "code_hash", lambda: "0" * 64), (imported, "packages", lambda: {"numpy": "99"})],
    ids=["code", "packages"],
)
def test_the_code_and_the_packages_are_seen(case, monkeypatch, module, name, now):
    monkeypatch.setattr(module, name, now)
    ran(case.root, "alpha")
    assert case.started == ["alpha"]


def test_every_installed_package_counts():
    found = imported.packages()
    assert {"pandas", "numpy", "python", "machine"} <= set(found)
    assert {name.lower() for name in record.versions()} <= {name.lower() for name in found}


def test_what_is_anothers_is_not_ours(case):
    """A note on another report, a ledger nobody reads, another report's past: alpha and cover stand as they are."""
    (case.root / "notes" / "gamma.yaml").write_text(NOTE.format(report="gamma", text="Else."))
    figures(case.root, "2026-06-30", "gamma", value=0.3)
    assert ran(case.root) == 0
    assert case.started == []


def test_a_ledger_that_the_notebook_does_not_read_is_nothing_to_it(case):
    add_decisions(case)
    ran(case.root, "cover")
    assert case.started == []


@pytest.mark.parametrize(
    ("day", "report", "is_seen"),
    [(DAY, "other", True), (DAY, "new", True), ("2026-06-30", "delta", True), ("2026-06-30", "delta.emea", True),
     ("2026-06-30", "epsilon", False), ("2026-10-31", "delta", False), (DAY, "cover.emea", False)],
)  # fmt: skip
def test_a_cover_hangs_on_the_figures_it_read_and_no_others(case, day, report, is_seen):
    figures(case.root, day, report, value=0.7)
    ran(case.root, "cover")
    assert case.started == (["cover"] if is_seen else [])


def test_another_commit_of_the_same_figures_is_nothing_to_a_cover(case):
    figures(case.root, DAY, "other", value=0.1, commit="def")
    ran(case.root, "cover")
    assert case.started == []


def test_a_report_that_went_is_seen_by_the_cover(case):
    (case.day / "other.json").unlink()
    ran(case.root, "cover")
    assert case.started == ["cover"]


def test_the_record_says_what_the_cover_read(case):
    found = json.loads((case.day / "cover.run.json").read_text())
    [pack, past] = found["read"]
    assert pack["asked"] == {"as_of": DAY, "before": None, "report": None, "variants": True, "last": None}
    assert set(pack["found"]) == {f"{DAY}/alpha", f"{DAY}/other"}
    assert (past["asked"]["report"], past["found"]) == ("delta", {})


def asked(case, **options: object) -> list[str]:
    """Which kernels start when these exports are wanted."""
    case.started.clear()
    ran(case.root, "alpha", wanted=exports.Wanted(**options))
    (case.day / "alpha.failed.html").unlink(missing_ok=True)
    return list(case.started)


def exported(case, **options: object) -> None:
    """As if alpha had been made with these exports."""
    hashed = unchanged.exports_of(exports.Wanted(**options))
    path = case.day / "alpha.run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"exports": hashed}))
    for ending in hashed:
        (case.day / f"alpha{ending}").write_text("made")


def test_an_export_that_is_not_there_is_made(case):
    assert asked(case, xlsx=True) == ["alpha"]
    exported(case, xlsx=True)
    assert asked(case, xlsx=True) == []
    assert asked(case) == []
    (case.day / "alpha.xlsx").unlink()
    assert asked(case, xlsx=True) == ["alpha"]


def test_an_export_that_would_say_something_else_is_made(case):
    mail = {"email": True, "readers": ("ann@example.com",), "owner": "o@example.com", "base_url": "https://a.example"}
    exported(case, **mail)
    assert asked(case, **mail) == []
    for other in ({"readers": ("bob@example.com",)}, {"owner": "p@example.com"}, {"base_url": "https://b.example"}):
        assert asked(case, **mail | other) == ["alpha"], other


def test_exports_tell_every_option_that_a_file_may_hang_on():
    """A new option of `Wanted` has to be among what is hashed."""
    known = {field: f"https://{field}.example" for field in ("base_url", "owner")} | {"readers": ("a@b.c",)}
    every = exports.Wanted(pdf=True, xlsx=True, pptx=True, email=True, **known)
    assert set(exports.Wanted._fields) == {"pdf", "xlsx", "pptx", "email", *known}
    for field in ("base_url", "owner", "readers", "pdf"):
        assert unchanged.exports_of(every) != unchanged.exports_of(
            every._replace(**{field: type(known.get(field, True))()})
        )


def test_every_door_to_what_lies_outside_is_known():
    """Whoever reads notes, figures files or the environment elsewhere has to make it an ingredient."""
    package = Path(unchanged.__file__).parents[1]
    door = re.compile(r"figures_files\.(read|folder|document_of|in_folder)\(|notes\.folder\(|os\.environ")
    found = {str(path.relative_to(package)) for path in package.rglob("*.py") if door.search(path.read_text())}
    known = {
        "figures_files.py", "notes.py", "decisions.py", "published.py", "changes_told.py",  # read by a page
        "crm/databases.py", "crm/policy.py", "crm/handed.py", "report/deal_lists.py", "__init__.py",
            "kept/__init__.py", "stats/gram.py",  # what is the same to the bit with and without
    }  # fmt: skip
    assert {name for name in found if not name.startswith("engine/") and name != "cli.py"} == known


def test_every_fact_of_a_job_and_its_company_is_an_ingredient(case):
    """The parts are named in the record, so that it can be said what changed; a new one of `Loaded` has to be added."""
    assert plan.Loaded._fields == ("job", "company", "period", "ties", "folder")
    [each] = plan.load(plan.jobs(plan.Request(root=case.root, reports=("alpha",))), None, print)
    found = unchanged.ingredients(each, case.root / "reports")
    recorded = json.loads((case.day / "alpha.run.json").read_text())["depends"]
    assert found == recorded
    assert set(found) == {
        "report", "notebook", "code", "modules", "packages", "parameters", "data", "people", "ties", "notes",
        "decisions", "earlier", "reports",
    }  # fmt: skip
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in found.values())


def test_a_kernel_leaves_what_it_read_only_where_a_run_asks(tmp_path, monkeypatch):
    monkeypatch.delenv(figures_files.ASKED, raising=False)
    figures_files.read(tmp_path)
    assert unchanged.read_by(tmp_path) == []
    monkeypatch.setenv(figures_files.ASKED, str(tmp_path / figures_files.ASKED_FILE))
    figures_files.read(tmp_path)
    figures_files.read(tmp_path)
    assert [each["found"] for each in unchanged.read_by(tmp_path)] == [{}]
