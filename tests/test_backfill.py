"""Past dates made as they would have been, and a month of a schedule with faults: each due report is there or explained."""

import json
import shutil
from datetime import date, timedelta
from pathlib import Path

import engine_toys
import pytest

from salesops import cli, crm, figures_files
from salesops.checks import DataError, ParameterError
from salesops.engine import backfill, execute, index, mail, plan, publish

SCHEDULES = """\
weekly:
  reports: [funnel, win_loss]
  cron: 0 6 * * 1
  timezone: Europe/Berlin
  owner: owner@example.com
  readers: [boss@example.com]
  args: [--max-age, 6, --retries, 0]
"""
SUNDAYS = ["2026-08-30", "2026-09-06", "2026-09-13", "2026-09-20", "2026-09-27"]


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    for name in ("win_loss", "funnel"):
        engine_toys.notebook(tmp_path / "notebooks" / f"{name}.ipynb")
    (tmp_path / "parameters").mkdir()
    (tmp_path / "parameters" / "schedules.yaml").write_text(SCHEDULES, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(crm, "load", engine_toys.company)
    monkeypatch.setattr(execute, "execute", engine_toys.without_kernel)
    return tmp_path


def filled(*more: str, first: str = "2026-08-31", last: str = "2026-09-30") -> int:
    return cli.main(["backfill", "--schedule", "weekly", "--from", first, "--to", last, *more])


def days(root: Path, report: str = "funnel") -> list[str]:
    return sorted(path.parent.name for path in (root / "reports").glob(f"2*/{report}.html"))


class Kitchen:
    """Stands for a run: makes nothing, and notes what it was asked for."""

    def __init__(self, **failing: Exception | int):
        self.asked: list[tuple[str, tuple[str, ...]]] = []
        self.failing = failing

    def __call__(self, request: plan.Request, _) -> int:
        day = request.assignments[-1].removeprefix("as_of=")
        self.asked.append((day, request.reports))
        found = self.failing.get(f"d{day.replace('-', '')}", 0)
        if isinstance(found, Exception):
            raise found
        return found


def pretended(root: Path, made: Kitchen, *, force: bool = False, **more) -> tuple[int, list[str]]:
    told: list[str] = []
    request = plan.Request(root=root, out=root / "reports", reports=("funnel", "win_loss"), **more)
    chosen = [date.fromisoformat(day) for day in reversed(SUNDAYS)]
    return backfill.backfill(request, chosen, told.append, force=force, make=made), told


def test_days_are_made_oldest_first_and_a_failure_stops_none(root):
    made = Kitchen(d20260906=DataError("deals.csv: is empty."), d20260913=ParameterError("by: unknown."), d20260920=1)
    code, told = pretended(root, made)
    assert [day for day, _ in made.asked] == SUNDAYS
    assert code == 2
    assert told == [
        "2026-09-06: deals.csv: is empty.",
        "2026-09-13: by: unknown.",
        "5 dates due, 3 of them with a failure: 2026-09-06, 2026-09-13, 2026-09-20.",
    ]


@pytest.mark.parametrize(
    ("failing", "code"), [({}, 0), ({"d20260906": 1}, 1), ({"d20260906": 1, "d20260913": DataError("x")}, 3)]
)
def test_the_exit_code_is_that_of_the_worst_day(root, failing, code):
    assert pretended(root, Kitchen(**failing))[0] == code


def test_what_is_published_and_good_is_left_as_it_is(root):
    for day, names in (
        ("2026-08-30", ("funnel", "win_loss")),
        ("2026-09-06", ("funnel",)),
        ("2026-09-13", ("funnel",)),
    ):
        (root / "reports" / day).mkdir(parents=True)
        for name in names:
            (root / "reports" / day / f"{name}.html").write_text("good", encoding="utf-8")
    (root / "reports" / "2026-09-13" / "funnel.failed.html").write_text("a later run failed", encoding="utf-8")
    made = Kitchen()
    told = pretended(root, made)[1]
    assert made.asked[:2] == [("2026-09-06", ("win_loss",)), ("2026-09-13", ("funnel", "win_loss"))]
    assert told[0] == "2026-08-30: funnel, win_loss published already."
    assert told[-1] == "5 dates due: nothing failed."
    again = Kitchen()
    pretended(root, again, force=True)
    assert [names for _, names in again.asked] == [("funnel", "win_loss")] * 5
    split = Kitchen()
    pretended(root, split, for_each="segment")  # which parts there are only the run itself knows
    assert [names for _, names in split.asked] == [("funnel", "win_loss")] * 5


def test_each_day_is_as_of_itself_and_knows_the_one_before(root, capsys):
    assert filled() == 0
    assert days(root) == days(root, "win_loss") == SUNDAYS
    files = figures_files.read(root / "reports", report="funnel")
    assert [each["as_of"] for each in files] == SUNDAYS and [each["parameters"]["as_of"] for each in files] == SUNDAYS
    page = (root / "reports" / "2026-09-06" / "funnel.html").read_text(encoding="utf-8")
    assert "Beside the report of 30 August 2026" in page
    capsys.readouterr()
    assert filled() == 0
    assert capsys.readouterr().err.count("published already") == 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["backfill", "--from", "2026-09-01", "--to", "2026-09-30"], "backfill: --schedule is missing."),
        (["backfill", "--schedule", "weekly", "--from", "1.9.", "--to", "2026-09-30"], "--from: '1.9.' is no day."),
        (["backfill", "--schedule", "weekly", "--from", "2026-09-30", "--to", "2026-09-01"], "--from 2026-09-30: is after --to"),
        (["backfill", "--schedule", "monthly", "--from", "2026-09-01", "--to", "2026-09-30"], "has no 'monthly'. There are weekly."),
        (["backfill", "funel", "--schedule", "weekly", "--from", "2026-09-01", "--to", "2026-09-30"], "there is no report 'funel'."),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("root")
def test_faults_of_a_backfill(capsys, arguments, words):
    assert cli.main(arguments) == 2
    assert words in capsys.readouterr().err


@pytest.mark.usefixtures("root")
def test_a_span_without_a_due_day_says_so(capsys):
    assert filled(first="2026-09-01", last="2026-09-06") == 0
    assert capsys.readouterr().err == "Nothing was due on these days.\n"


def test_two_clean_folders_know_what_changed_where_figures_files_are_kept(root):
    assert cli.main(["run", "funnel", "--out", "monday", "-p", "as_of=2026-09-20"]) == 0
    for path in (root / "monday").glob("2*/*.json"):  # what a job keeps
        place = root / "next" / path.parent.name / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    assert cli.main(["run", "funnel", "--out", "next", "-p", "as_of=2026-09-27", "-p", "level=0.75"]) == 0
    page = (root / "next" / "2026-09-27" / "funnel.html").read_text(encoding="utf-8")
    assert "What changed since the last report" in page and "Beside the report of 20 September 2026" in page
    assert index.entries(root / "next" / "2026-09-20") == []  # no page, so no report
    assert "2026-09-20" not in (root / "next" / "index.html").read_text(encoding="utf-8")
    assert (
        cli.main(["run", "funnel", "--out", "next", "-p", "as_of=2026-09-20"]) == 0
    )  # its page is made, figures or not
    assert (root / "next" / "2026-09-20" / "funnel.html").is_file()


def monday(day: str) -> int:
    return cli.main(
        ["run", "--schedule", "weekly", "--due", (date.fromisoformat(day) + timedelta(days=1)).isoformat() + "T06:00"]
    )


def gone(**_):
    raise DataError("exports: no such folder or file. A source is a folder, a source.yaml or 'sample'.")


def killed(notebook, values, **_):
    made = engine_toys.without_kernel(notebook, values)
    gone = execute.Failure("DeadKernelError", "Kernel died: killed from outside.", cause="kernel killed")
    return made._replace(failure=gone) if notebook.stem == "funnel" else made


def full(*_, **__):
    raise OSError(28, "No space left on device")


def old(source="sample", *, as_of=None, **more):
    company = engine_toys.company(source, as_of=as_of, **more)
    company.data_through = date(2026, 8, 30)
    return company


def mails(root: Path) -> dict[str, str]:
    """Every mail under the reports, by its place; the links to the newest apart."""
    found = [path for path in (root / "reports").rglob("*.eml") if not path.is_symlink() and "latest" not in path.parts]
    places = {path.relative_to(root / "reports").as_posix(): path for path in found if "by-period" not in path.parts}
    return {place: mail.text(path) for place, path in places.items()}


def test_a_month_with_faults_leaves_every_due_report_there_or_explained(root, monkeypatch):
    out, loading = root / "reports", engine_toys.company

    def fresh(source="sample", *, as_of=None, **more):
        company = loading(source, as_of=as_of, **more)
        company.data_through = as_of or company.data_through
        return company

    monkeypatch.setattr(crm, "load", fresh)
    assert monday(SUNDAYS[0]) == 0

    with monkeypatch.context() as patch:  # the export did not arrive
        patch.setattr(crm, "load", gone)
        assert monday(SUNDAYS[1]) == 3
    explained = {"2026-09-06": (out / "failed" / "weekly.html").read_text(encoding="utf-8")}
    assert "no such folder or file" in explained["2026-09-06"]
    told = {place: text for place, text in mails(root).items() if place == "failed/weekly.owner.eml"}

    with monkeypatch.context() as patch:  # the kernel of one report is killed
        patch.setattr(execute, "execute", killed)
        assert monday(SUNDAYS[2]) == 1

    with monkeypatch.context() as patch:  # the data ended weeks ago
        patch.setattr(crm, "load", old)
        assert monday(SUNDAYS[3]) == 3

    with monkeypatch.context() as patch:  # no room for one of the reports
        whole = publish.into_place
        patch.setattr(
            publish,
            "into_place",
            lambda staged, folder, report, **how: (
                full() if report == "win_loss" else whole(staged, folder, report, **how)
            ),
        )
        assert monday(SUNDAYS[4]) == 1

    told |= mails(root)
    for day in (SUNDAYS[2], SUNDAYS[3], SUNDAYS[4]):
        for name in ("funnel", "win_loss"):
            page, failure = out / day / f"{name}.html", out / day / f"{name}.failed.html"
            assert page.exists() != failure.exists(), (day, name)
    assert {path.relative_to(out).as_posix() for path in out.glob("2*/*.failed.html")} == {
        "2026-09-13/funnel.failed.html", "2026-09-20/funnel.failed.html", "2026-09-20/win_loss.failed.html",
        "2026-09-27/win_loss.failed.html",
    }  # fmt: skip
    failures = {place: text for place, text in told.items() if "not published" in text}
    assert sorted(failures) == sorted(
        ["2026-09-13/funnel.failed.owner.eml", "2026-09-20/funnel.failed.owner.eml", "2026-09-20/win_loss.failed.owner.eml",
         "2026-09-27/win_loss.failed.owner.eml", "failed/weekly.owner.eml"]
    )  # fmt: skip
    assert all("owner@example.com" in text and "boss@example.com" not in text for text in failures.values())
    assert "The program that calculates the report was ended" in failures["2026-09-13/funnel.failed.owner.eml"]
    assert "Newest record: 30 August 2026" in failures["2026-09-20/funnel.failed.owner.eml"]
    assert "no such folder or file" in failures["failed/weekly.owner.eml"]
    readers = {place for place, text in told.items() if "boss@example.com" in text}
    assert readers == {
        "2026-08-30/funnel.eml", "2026-08-30/win_loss.eml", "2026-09-13/win_loss.eml", "2026-09-27/funnel.eml",
    }  # fmt: skip

    assert filled() == 0  # everything is mended: the whole month is made good
    assert days(root) == days(root, "win_loss") == SUNDAYS
    assert not list(out.rglob("*.failed.*")) and not (out / "failed").exists()
    runs = [
        json.loads(line)
        for path in (out / "log").glob("*.jsonl")
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    assert len([each for each in runs if each["schedule"] == "weekly"]) >= 15
