"""Several reports at a time: the same bytes and words as one by one, others' figures last, people kept apart."""

import copy
import json
import os
import threading
import time
from datetime import date
from pathlib import Path

import engine_toys
import nbformat
import pytest
from crm_folder import write
from test_people import PEOPLE, TABLES, mentioned, published

from salesops import crm
from salesops.checks import ParameterError
from salesops.engine import catalog, execute, limits, log, plan, run

DAY = "2026-09-30"
NOT_SMB = "if 'SMB' in where:\n    raise ValueError('no model for ' + where)\n"


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    for name in ("cover", "good", "torn"):
        cells = (NOT_SMB, engine_toys.SAY) if name == "torn" else (engine_toys.WORK, engine_toys.SAY)
        engine_toys.notebook(folder / "notebooks" / f"{name}.ipynb", cells=cells)
    path = folder / "notebooks" / "cover.ipynb"
    book = nbformat.read(path, as_version=4)
    book.cells[-1].metadata["tags"] = [catalog.READS_REPORTS]
    nbformat.write(book, path)
    return folder


@pytest.fixture
def toys(monkeypatch):
    monkeypatch.setattr(crm, "load", engine_toys.company)


def made(root: Path, out: Path, *reports: str, **more: object) -> tuple[int, list[str]]:
    told: list[str] = []
    return run.run(plan.Request(root=root, out=out, reports=reports, **more), told.append), told


def files(folder: Path) -> dict[str, bytes]:
    """What is published, without what tells times and processes."""
    apart = (".run.json", ".failed.ipynb", ".jsonl")
    found = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(apart)]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.mark.usefixtures("toys")
def test_four_at_a_time_publish_the_bytes_of_one_by_one_and_say_the_same(root, tmp_path):
    told = {}
    for jobs in (1, 4):
        out = tmp_path / str(jobs) / "out"
        code, said = made(root, out, "torn", "good", for_each="segment", jobs=jobs)
        assert code == 1
        told[jobs] = [text.replace(str(out), "OUT") for text in said[:-1]]
        assert [line.split()[:4] for line in said[-1].splitlines()] == [
            ["report", "part", "status", "seconds"],
            ["torn", "Public-State", "ok", said[-1].splitlines()[1].split()[3]],
            ["torn", "SMB", "failed", said[-1].splitlines()[2].split()[3]],
            ["good", "Public-State", "ok", said[-1].splitlines()[3].split()[3]],
            ["good", "SMB", "ok", said[-1].splitlines()[4].split()[3]],
        ]
        assert said[-1].splitlines()[2].endswith("  notebook code")
    assert told[1] == told[4]
    one, four = (files(tmp_path / str(jobs) / "out") for jobs in (1, 4))
    assert list(map(len, (one, four))) == [len(one)] * 2 and f"{DAY}/torn.SMB.failed.html" in one
    assert [name for name in one if one[name] != four[name]] == []
    assert f"{DAY}/torn.SMB.html" not in one


class Fake:
    """Stands for kernels: keeps who ran beside whom, and what was published when each began."""

    def __init__(self, out: Path, slow: tuple[str, ...] = ()):
        self.out, self.slow, self.now, self.most = out, slow, 0, 0
        self.found: dict[str, list[str]] = {}
        self.lock = threading.Lock()
        self.execution = execute.Execution(engine_toys.without_kernel(Path(), VALUES).notebook)

    def __call__(self, notebook: Path, *_: object, **__: object) -> execute.Execution:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.found[notebook.stem] = sorted(path.stem for path in self.out.glob("2*/*.json") if path.stem.isalpha())
        time.sleep(0.3 if notebook.stem in self.slow else 0.1)
        with self.lock:
            self.now -= 1
        return copy.deepcopy(self.execution)


VALUES = {"level": 0.5, "as_of": date(2026, 9, 30)}


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize("jobs", [1, 3])
def test_what_reads_the_other_reports_begins_when_they_are_there(root, tmp_path, monkeypatch, jobs):
    fake = Fake(tmp_path, slow=("good",))
    monkeypatch.setattr(execute, "execute", fake)
    code, told = made(root, tmp_path, "cover", "good", "torn", jobs=jobs)
    assert code == 0
    assert fake.found["cover"] == ["good", "torn"]
    assert [text.partition(":")[0] for text in told] == ["good", "torn", "cover"]  # as asked, the slow one too
    assert fake.most == min(jobs, 2)


@pytest.mark.usefixtures("toys")
def test_as_many_at_a_time_as_there_are_processors(root, tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "cores", lambda: 2)
    fake = Fake(tmp_path)
    monkeypatch.setattr(execute, "execute", fake)
    made(root, tmp_path, "good", "torn", for_each="segment")
    assert fake.most == 2


def test_the_cover_of_the_pack_says_that_it_reads_the_others():
    found = catalog.find(Path(__file__).parents[1])
    assert [name for name, each in found.items() if catalog.reads_reports(each.notebook)] == ["executive_summary"]


def test_what_is_no_notebook_says_nothing_of_others(tmp_path):
    (tmp_path / "x.ipynb").write_text("[]")
    with pytest.raises(ParameterError, match=r"x\.ipynb: is not a Jupyter notebook"):
        catalog.reads_reports(tmp_path / "x.ipynb")


@pytest.mark.usefixtures("toys")
def test_a_part_without_deals_has_nothing_to_report_and_fails_nobody(root, tmp_path, monkeypatch):
    def thinned(*_: object, where: str = "", **options: object) -> object:
        company = engine_toys.company(where=where, **options)
        return company.__class__(**vars(company) | {"opportunities": company.opportunities.query("segment != 'SMB'")})

    monkeypatch.setattr(execute, "execute", Fake(tmp_path))
    jobs = plan.jobs(plan.Request(root, reports=("good",)))
    parts = plan.load(jobs, "segment", print)
    monkeypatch.setattr(plan, "load", lambda *_, **__: [
        each._replace(company=thinned(where="segment == 'SMB'")) if "SMB" in each.job.name else each for each in parts
    ])  # fmt: skip
    code, told = made(root, tmp_path, "good", for_each="segment", jobs=2)
    assert code == 0
    assert told[1] == f"good.SMB: empty, {tmp_path / DAY / 'good.SMB'}.html"
    assert told[2].splitlines()[2].split()[:3] == ["good", "SMB", "empty"]
    assert json.loads((tmp_path / DAY / "good.SMB.json").read_text())["status"] == "empty"


# --- people, each apart ---

SPEAKS = """
from salesops import crm, report
company = crm.load(source, as_of=as_of, where=where)
page = report.Page("Toys", company, period=company.period(period))
page
"""
TELLS = """
page.headline(["Deals are listed below."])
"""
# What no report should do: it speaks of everybody, on standard error and in an error; no word of it is in its code.
SHOUTS = """
import sys
everybody = "gro.x@yc dna xoF evE ,eeD yC dna )200-U( dyoB lA ,)100-U( noryB adA"[::-1]
print(everybody, file=sys.stderr)
if where.endswith("1'"):
    raise ValueError(everybody)
"""


def test_no_byte_of_one_person_lies_in_anothers_folder_nor_in_a_failure(tmp_path):
    root = tmp_path / "root"
    engine_toys.notebook(root / "notebooks" / "toys.ipynb", cells=(SPEAKS, TELLS, SHOUTS), heading="What happened.")
    source = write(tmp_path / "acme", yaml=None, **TABLES)
    settings = (f"source={source}", "period=2026Q1", "as_of=2026-09-30", "where=")
    out = tmp_path / "out"
    code, told = made(root, out, "toys", for_each="owner_id=U-001,U-002", assignments=settings, jobs=2)
    assert code == 1
    folders = {path.name: published(path) for path in (out / "owner_id").iterdir()}
    assert set(folders) == {"U-001", "U-002"}
    assert f"{DAY}/toys.U-001.failed.html" in folders["U-001"]
    assert f"{DAY}/toys.U-002.html" in folders["U-002"], told
    for person, texts in folders.items():
        for name, text in texts.items():
            assert mentioned(f"{name}\n{text}") <= {person}, name
    assert mentioned("\n".join(told)) <= {"U-001", "U-002"}
    lines = sorted((line["report"], line["folder"], mentioned(json.dumps(line))) for line in log.read(out))
    assert [(name, folder) for name, folder, _ in lines] == [
        ("toys.U-001", "owner_id/U-001"), ("toys.U-002", "owner_id/U-002"),
    ]  # fmt: skip
    assert all(found <= {name.partition(".")[2]} for name, _, found in lines)
    assert {path.name for path in out.iterdir()} == {"owner_id", "log"}  # beside the persons' folders only the log
    assert os.listdir(out / "log") == [f"{log.read(out)[0]['finished'][:7]}.jsonl"]
    assert len(PEOPLE) == 6
