"""The run record and the log: what they say of a run, and what they never say."""

import json
import os
import re
import threading
from pathlib import Path

import engine_toys
import pytest

from salesops import crm, kept
from salesops.engine import log, plan, record, run, scrub

DAY = "2026-09-30"
SECRET = "hunter2-and-more"
TALK = """
import os, sys, warnings
warnings.warn(f"{os.path.expanduser('~')}/crm/deals.csv is old")
print("log in with", os.environ["CRM_PASSWORD"], file=sys.stderr)
print("postgres://ann:geheim@db.example/sales?password=geheim", file=sys.stderr)
"""
AT = "2026-10-01T06:00:00.000+00:00"


def ran(root: Path, *reports: str, **changes: object) -> list[str]:
    told: list[str] = []
    request = plan.Request(root=root, out=root / "reports", reports=reports, force=False, jobs=1)
    run.run(request._replace(**changes), told.append)
    return told


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    """A repository with one report from a source that lies at a path, run as of two days, and failed on a third."""
    root = tmp_path_factory.mktemp("root")
    engine_toys.notebook(root / "notebooks" / "alpha.ipynb", cells=(TALK, engine_toys.WORK, engine_toys.SAY))
    source = f"source={root}/exports/acme"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crm, "load", engine_toys.company)
        patch.setenv("CRM_PASSWORD", SECRET)
        ran(root, "alpha", assignments=(source, "as_of=2026-06-30"))
        ran(root, "alpha", assignments=(source, "level=0.6"), schedule="weekly")
        ran(root, "alpha", assignments=(source, "level=0.6"))
        ran(root, "alpha", assignments=(source, "mode=crash"))
    return root


@pytest.fixture
def found(published) -> dict:
    return json.loads((published / "reports" / DAY / "alpha.run.json").read_text())


def test_the_record_says_all_that_a_run_hangs_on(found):
    assert set(found) == {
        "as_of", "attempts", "cache", "cause", "cell_seconds", "code", "depends", "exports", "files", "finished", "inputs",
        "locale", "messages", "notebook", "outcome", "packages", "parameters", "peak_memory_bytes", "period",
        "previous", "read", "replaces", "report", "run_id", "schedule", "schema", "seconds", "source", "started",
        "title",
    }  # fmt: skip
    assert (found["report"], found["outcome"], found["cause"], found["attempts"]) == ("alpha", "ok", None, 1)
    assert (found["schema"], found["notebook"], found["schedule"]) == (2, "alpha.ipynb", "weekly")
    assert found["inputs"] == [{"table": "opportunities", "rows": 3, "sha256": "ab" * 32}]
    assert found["period"]["label"] == "2026Q3"


def test_each_parameter_has_its_value_and_its_origin(found):
    assert found["parameters"]["level"] == {"value": 0.6, "origin": "-p"}
    assert found["parameters"]["mode"] == {"value": "good", "origin": "notebook"}
    assert found["parameters"]["as_of"] == {"value": DAY, "origin": "the latest recorded event"}
    assert found["parameters"]["source"] == {"value": "acme", "origin": "-p"}


def test_what_came_from_the_cache_is_told_and_nothing_hangs_on_it(tmp_path, monkeypatch):
    asks = 'from salesops import kept\n[kept.found_or_made("toys", {"n": n}, lambda: n) for n in (1, 2, 2)]'
    engine_toys.notebook(tmp_path / "notebooks" / "alpha.ipynb", cells=(asks, engine_toys.WORK, engine_toys.SAY))
    monkeypatch.setattr(crm, "load", engine_toys.company)
    made = []
    for cache in (tmp_path / "cache", tmp_path / "cache", "off"):
        monkeypatch.setenv(kept.FOLDER, str(cache))
        ran(tmp_path, "alpha", force=True)
        made.append(json.loads((tmp_path / "reports" / DAY / "alpha.run.json").read_text()))
    uses = [each["cache"] for each in made]
    assert uses == [{"taken": 1, "made": 2}, {"taken": 3, "made": 0}, {"taken": 0, "made": 0}]
    for name in ("run_id", "depends", "files"):
        assert made[0][name] == made[1][name] == made[2][name]
    assert any("unchanged" in said for said in ran(tmp_path, "alpha"))


def test_times_and_memory_are_of_the_run(found):
    assert found["started"] < found["finished"]
    assert found["seconds"] == record.seconds(found["started"], found["finished"])
    assert len(found["cell_seconds"]) == 5
    assert sum(found["cell_seconds"]) <= found["seconds"]
    assert 20e6 < found["peak_memory_bytes"] < 4e9


def test_the_code_is_the_commit_and_whether_it_was_changed(found, monkeypatch):
    assert set(found["code"]) == {"version", "commit", "dirty"}
    for said, dirty in (("", False), (" M salesops/cli.py", True), (None, None)):
        record.checkout.cache_clear()
        monkeypatch.setattr(record, "code", lambda: {"version": "1", "commit": "abc"})
        monkeypatch.setattr(record, "_git", lambda *_, said=said: said)
        assert record.checkout()["dirty"] is dirty
    record.checkout.cache_clear()
    monkeypatch.setattr(record, "code", lambda: {"version": "1", "commit": None})
    assert record.checkout() == {"version": "1", "commit": None, "dirty": None}
    record.checkout.cache_clear()


def test_the_run_before_and_the_one_it_replaces_are_named(published, found):
    before = json.loads((published / "reports" / "2026-06-30" / "alpha.run.json").read_text())
    assert found["previous"] == {"as_of": "2026-06-30", "run_id": before["run_id"]}
    assert (before["previous"], before["replaces"], found["replaces"]) == (None, None, None)


def test_no_secret_and_no_path_is_in_any_file(published):
    """Every byte of the figures files, the run records and the log."""
    files = [path for path in (published / "reports").rglob("*") if path.is_file()]
    assert len(files) > 15
    for path in (path for path in files if path.suffix in (".json", ".jsonl")):
        text = path.read_bytes().decode()
        for word in (SECRET, "geheim", str(published), str(Path.home()) + "/", "exports/acme"):
            assert word not in text, (path.name, word)


def test_what_cells_said_is_kept_without_them(found):
    said = "".join(found["messages"])
    assert "deals.csv is old" in said
    assert "log in with ***" in said
    assert "postgres://***@db.example/sales?password=***" in said


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("open('/srv/crm exports/2026/deals.csv')", "open('deals.csv')"),
        (r"C:\Users\Ann\crm\deals.csv is locked", "deals.csv is locked"),
        ("~/crm/deals.csv", "deals.csv"),
        ("file:///srv/crm/deals.csv", "file:///srv/crm/deals.csv"),
        ("mysql+pymysql://u:p%40ss@h:3306/db", "mysql+pymysql://***@h:3306/db"),
        ("PWD=letmein; host=x", "PWD=***; host=x"),
        ("api_key: abc123 and on", "api_key: *** and on"),
        ("3/4 of 5/6, and/or not", "3/4 of 5/6, and/or not"),
        ("at https://example.com/a/b/c", "at https://example.com/a/b/c"),
        ("", ""),
    ],
)
def test_scrubbing(said, told):
    assert scrub.text(said) == told


def test_secrets_are_told_by_the_name_of_their_variable(monkeypatch):
    monkeypatch.setenv("SALESOPS_PEOPLE_KEY", "k3y-of-people")
    monkeypatch.setenv("PLAIN_SETTING", "plain-value")
    monkeypatch.setenv("SHORT_KEY", "abc")
    assert scrub.text("k3y-of-people plain-value abc") == "*** plain-value abc"


def test_places_are_cut_off_where_they_have_blanks(tmp_path):
    place = tmp_path / "my own folder"
    assert scrub.text(f"{place}/notebooks/alpha.ipynb is gone", place) == "notebooks/alpha.ipynb is gone"


def test_the_log_has_a_line_for_every_run(published):
    lines = log.read(published / "reports")
    assert [line["outcome"] for line in lines] == ["ok", "ok", "unchanged", "failed"]
    assert [line["as_of"] for line in lines] == ["2026-06-30", DAY, DAY, DAY]
    assert [line["schedule"] for line in lines] == [None, "weekly", None, None]
    last = lines[-1]
    assert last["cause"] == "notebook code"
    assert last["message"] == "ValueError: no <b>deals</b> here"
    assert last["where"] == "cell 5 (Where do we win?)"
    assert last["run_id"] is None or re.fullmatch("[0-9a-f]{16}", last["run_id"])
    assert {path.name for path in (published / "reports" / "log").iterdir()} == {f"{last['finished'][:7]}.jsonl"}


def test_a_line_that_was_cut_off_spoils_no_other(tmp_path):
    log.append(tmp_path, log.entry(report="a", outcome="ok", started=AT, finished=AT))
    with (tmp_path / "log" / "2026-10.jsonl").open("a") as file:
        file.write('{"report": "half')
    log.append(tmp_path, log.entry(report="b", outcome="ok", started=AT, finished=AT))
    assert [each["report"] for each in log.read(tmp_path)] == ["a", "b"]
    assert len((tmp_path / "log" / "2026-10.jsonl").read_text().splitlines()) == 3


def test_lines_of_several_runs_do_not_mix(tmp_path):
    def write(name: str) -> None:
        for _ in range(50):
            log.append(tmp_path, log.entry(report=name * 300, outcome="ok", started=AT, finished=AT))

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [each["report"] for each in log.read(tmp_path)]
    assert sorted(found) == sorted(name * 300 for name in "abcd" for _ in range(50))


def test_months_are_files_and_are_read_in_order(tmp_path):
    for month in ("11", "09", "10"):
        at = f"2026-{month}-01T06:00:00.000+00:00"
        log.append(tmp_path, log.entry(report=month, outcome="ok", started=at, finished=at))
    assert [path.name for path in sorted((tmp_path / "log").iterdir())] == [
        f"2026-{n}.jsonl" for n in ("09", "10", "11")
    ]
    assert [each["report"] for each in log.read(tmp_path)] == ["09", "10", "11"]


def test_a_log_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "log").write_text("in the way")
    with pytest.raises(OSError):
        log.append(tmp_path, log.entry(report="a", outcome="ok", started=AT, finished=AT))
    assert os.listdir(tmp_path) == ["log"]
