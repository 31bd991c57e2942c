"""What old reports may go, what never does, and that nothing leads nowhere afterwards."""

import json
import os
import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import pytest
import test_site
from conftest import ROOT

from salesops import figures_files, report
from salesops.checks import ParameterError
from salesops.engine import exchange, index, log, prune, publish, shelf, unchanged

DAYS = ("2026-07-31", "2026-08-31", "2026-09-15", "2026-09-30", "2026-10-31")
PERIODS = dict(zip(DAYS, ("2026Q2", "2026Q3", "2026Q3", "2026Q3", "2026Q4"), strict=True))
TWO = prune.Keep(reports=2)


def publish_all(out: Path, *names: str, days: tuple[str, ...] = DAYS) -> None:
    """Every report at every day, each page with a link to the one before it, and the cover's to its own day's."""
    for before, day in zip((None, *days), days, strict=False):
        for name in names or ("alpha",):
            folder = test_site.publish_report(out, day, name, period=PERIODS[day])
            links = f'<a href="../{before}/{name}.html">before</a>' if before else ""
            links += '<a href="alpha.html#s">alpha</a>' if name == "cover" else ""
            (folder / f"{name}.html").write_text(f"<title>{name}</title>{links}<p>{'word ' * 100}</p>")
            (folder / f"{name}.pdf").write_text("printed")
    test_site.write(out)


def pruned(out: Path, keep: prune.Keep = TWO, *, is_sure: bool = True) -> list[str]:
    said: list[str] = []
    assert prune.prune(out, keep, said.append, is_sure=is_sure) == 0
    return said


def pages(out: Path, name: str = "alpha") -> list[str]:
    """Days of which the report has its page."""
    return [path.name for path in sorted(out.glob("[0-9]*")) if shelf.is_published(path, name)]


def dead_links(out: Path) -> list[str]:
    found = []
    for page in (path for path in out.rglob("*.html") if ".staging-" not in str(path)):
        for address in re.findall(r'<a href="([^"#:]+)', page.read_text()):
            if not (page.parent / unquote(unescape(address))).exists():
                found.append(f"{page.relative_to(out)}: {address}")
    return found


def state(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_without_yes_nothing_is_touched_and_all_is_said(tmp_path):
    publish_all(tmp_path)
    before = state(tmp_path)
    size = sum(len(before[f"2026-07-31/alpha{end}"]) for end in (".html", ".ipynb", ".deals.html", ".deals.parquet"))
    said = pruned(tmp_path, prune.Keep(reports=1), is_sure=False)
    assert state(tmp_path) == before
    # 2026Q3 keeps its last, 2026Q2 its only one
    assert [line.split("\t")[0] for line in said] == [
        "2026-08-31/alpha", "2026-09-15/alpha",
        "2 reports would go, 1 kB; figures files and run records would stay. Add --yes to remove them.",
    ]  # fmt: skip
    assert said[0].split("\t")[1:] == ["5 files", prune.size(size + len("printed"))]


def test_what_goes_and_what_stays_of_a_report(tmp_path):
    publish_all(tmp_path)
    pruned(tmp_path, prune.Keep(reports=1))
    assert pages(tmp_path) == ["2026-07-31", "2026-09-30", "2026-10-31"]
    left = {path.name for path in (tmp_path / "2026-08-31").iterdir()}
    assert left == {"alpha.json", "alpha.run.json", "alpha.html", "index.html"}
    assert "was removed to save room" in (tmp_path / "2026-08-31" / "alpha.html").read_text()
    kept = {path.name for path in (tmp_path / "2026-10-31").iterdir()}
    assert kept == {"index.html", "alpha.pdf", *(f"alpha{end}" for end in publish.ORDER)}


def test_the_last_good_one_of_a_period_never_goes(tmp_path):
    publish_all(tmp_path)
    for keep in (prune.Keep(reports=1), prune.Keep(days=1), prune.Keep(reports=1, all_files=True)):
        pruned(tmp_path, keep)
        assert pages(tmp_path) == ["2026-07-31", "2026-09-30", "2026-10-31"], keep


def test_the_last_good_one_stays_also_where_nothing_leads_to_it(tmp_path):
    """Without links, and of a source that no stable address is for."""
    publish_all(tmp_path)
    for folder in ("latest", "by-period"):
        shutil.rmtree(tmp_path / folder)
    for keep in (prune.Keep(reports=1), prune.Keep(days=1)):
        assert [each.version.day for each in prune.selected(tmp_path, keep)] == ["2026-08-31", "2026-09-15"]


def test_a_failure_later_in_the_period_is_not_its_last_good_one(tmp_path):
    publish_all(tmp_path, days=DAYS[:4])
    test_site.fail_report(tmp_path, "2026-09-30")
    test_site.fail_report(tmp_path, "2026-10-31")
    pruned(tmp_path, prune.Keep(reports=1))
    assert pages(tmp_path) == ["2026-07-31", "2026-09-30"]
    assert (tmp_path / "2026-10-31" / "alpha.failed.html").exists()
    assert (tmp_path / "2026-09-30" / "alpha.failed.html").exists()


def test_an_outdated_failure_goes(tmp_path):
    publish_all(tmp_path, days=DAYS[2:])
    test_site.fail_report(tmp_path, "2026-08-31")
    (tmp_path / "2026-08-31" / "alpha.failed.ipynb").write_text("{}")
    test_site.write(tmp_path)
    said = pruned(tmp_path, prune.Keep(reports=3))
    assert said[0].startswith("2026-08-31/alpha\t2 files")
    assert not (tmp_path / "2026-08-31").exists()
    assert dead_links(tmp_path) == []


def test_a_report_that_never_ended_well_stays_as_it_is(tmp_path):
    publish_all(tmp_path)
    test_site.fail_report(tmp_path, "2026-07-31", "beta")
    test_site.write(tmp_path)
    pruned(tmp_path)
    assert (tmp_path / "2026-07-31" / "beta.failed.html").exists()


def test_days_count_from_the_newest_date_published(tmp_path):
    publish_all(tmp_path)
    pruned(tmp_path, prune.Keep(days=46))  # from 15 September on
    assert pages(tmp_path) == ["2026-07-31", "2026-09-15", "2026-09-30", "2026-10-31"]


def test_of_two_rules_the_kinder_one_holds(tmp_path):
    publish_all(tmp_path)
    pruned(tmp_path, prune.Keep(reports=4, days=1))
    assert pages(tmp_path) == list(DAYS)


def test_each_report_is_counted_by_itself(tmp_path):
    publish_all(tmp_path, "alpha")
    publish_all(tmp_path, "beta", days=DAYS[1:3])
    pruned(tmp_path)
    assert pages(tmp_path, "beta") == ["2026-08-31", "2026-09-15"]


def test_no_address_leads_nowhere(tmp_path):
    publish_all(tmp_path, "alpha", "cover")
    assert dead_links(tmp_path) == []
    pruned(tmp_path, prune.Keep(reports=1))
    assert dead_links(tmp_path) == []
    assert (tmp_path / "by-period" / "2026Q3" / "alpha.html").resolve().parent.name == "2026-09-30"


def test_a_page_that_a_person_points_to_stays(tmp_path):
    publish_all(tmp_path)
    (tmp_path / "latest" / "alpha.html").unlink()
    os.symlink("../2026-08-31/alpha.html", tmp_path / "latest" / "alpha.html")
    assert [each.version.day for each in prune.selected(tmp_path, prune.Keep(reports=1))] == ["2026-09-15"]


def test_the_index_says_what_was_removed_and_its_lines_go_on(tmp_path):
    for day, value in zip(DAYS, (0.1, 0.2, 0.3, 0.4, 0.5), strict=True):
        test_site.publish_report(tmp_path, day, period="all", shown=[test_site.figure(value, "all")])
    points = re.findall(r'points="([^"]+)"', str(test_site.write(tmp_path)))
    pruned(tmp_path)
    after = (tmp_path / "index.html").read_text()
    assert re.findall(r'points="([^"]+)"', after) == points
    assert "(page removed to save room)" in after
    day = (tmp_path / "2026-08-31" / "index.html").read_text()
    assert "page removed to save room" in day
    assert 'href="alpha.json"' in day
    assert 'href="alpha.html"' not in day
    assert [each["report"] for each in figures_files.read(tmp_path)] == ["alpha"] * 5


def test_the_page_that_stands_in_is_fit_to_be_published(tmp_path):
    publish_all(tmp_path)
    pruned(tmp_path, prune.Keep(reports=1))
    text = (tmp_path / "2026-08-31" / "alpha.html").read_text()
    assert report.faults(text, largest=(20_000, 20_000)) == []
    assert len(text) < 20_000
    assert 'href="../latest/alpha.html"' in text
    assert 'href="alpha.run.json"' in text


def test_all_files_leaves_only_what_pages_lead_to(tmp_path):
    publish_all(tmp_path, "alpha", "cover")
    pruned(tmp_path, prune.Keep(reports=1, all_files=True))
    assert dead_links(tmp_path) == []
    # 2026-09-30 stays and its pages lead to the ones before, those to nothing any more
    assert {path.name for path in (tmp_path / "2026-09-15").iterdir()} == {"alpha.html", "cover.html", "index.html"}
    assert not (tmp_path / "2026-08-31").exists()


def test_all_files_takes_what_an_earlier_pruning_left(tmp_path):
    publish_all(tmp_path)
    pruned(tmp_path, prune.Keep(reports=1))
    assert (tmp_path / "2026-08-31" / "alpha.json").exists()
    pruned(tmp_path, prune.Keep(reports=1, all_files=True))
    assert not (tmp_path / "2026-08-31").exists()
    assert not (tmp_path / "2026-09-15" / "alpha.json").exists()
    assert dead_links(tmp_path) == []


def test_pruning_twice_finds_nothing_more(tmp_path):
    publish_all(tmp_path)
    pruned(tmp_path)
    before = state(tmp_path)
    assert pruned(tmp_path) == ["Nothing to remove: all that is published is to be kept."]
    assert state(tmp_path) == before


def test_what_people_put_there_stays(tmp_path):
    publish_all(tmp_path)
    (tmp_path / "2026-08-31" / "alpha.comments.txt").write_text("mine")
    (tmp_path / "2026-08-31" / "alpha.emea.html").write_text("no report of ours")
    (tmp_path / "notes.html").write_text("mine")
    pruned(tmp_path, prune.Keep(reports=1, all_files=True))
    assert (tmp_path / "2026-08-31" / "alpha.comments.txt").exists()
    assert (tmp_path / "2026-08-31" / "alpha.emea.html").exists()
    assert (tmp_path / "notes.html").exists()


def test_a_persons_own_folder_is_pruned_by_itself(tmp_path):
    publish_all(tmp_path)
    own = tmp_path / "owner_id" / "r1"
    publish_all(own, "alpha.r1")
    said = pruned(tmp_path, prune.Keep(reports=1))
    assert "owner_id/r1/2026-08-31/alpha.r1\t5 files" in said[2].rpartition("\t")[0]
    assert pages(own, "alpha.r1") == ["2026-07-31", "2026-09-30", "2026-10-31"]
    assert dead_links(tmp_path) == []
    assert prune.homes(tmp_path) == [tmp_path, own]


def test_a_pruned_report_is_made_again_when_it_is_asked_for(tmp_path):
    publish_all(tmp_path)
    whole = unchanged.hashes(tmp_path / "2026-08-31", "alpha")
    pruned(tmp_path, prune.Keep(reports=1))
    assert unchanged.hashes(tmp_path / "2026-08-31", "alpha") != whole
    assert shelf.previous(tmp_path, "2026-09-30", "alpha") == "2026-07-31"


@pytest.mark.parametrize(
    ("keep", "words"),
    [(prune.Keep(), "say what to keep"), (prune.Keep(reports=0), "--keep: 0 is less than one"),
     (prune.Keep(days=-3), "--keep-days: -3 is less than one")],
)  # fmt: skip
def test_a_rule_that_keeps_nothing_is_refused(tmp_path, keep, words):
    publish_all(tmp_path)
    with pytest.raises(ParameterError, match=words):
        prune.prune(tmp_path, keep, print, is_sure=True)
    with pytest.raises(ParameterError, match="no such folder"):
        prune.prune(tmp_path / "else", TWO, print, is_sure=True)


def test_what_may_go_is_chosen_under_the_lock(tmp_path, monkeypatch):
    """Between the first look and the lock a person points an address to what was to go."""
    publish_all(tmp_path)
    staging = publish.staging

    def slow(out):
        (out / "latest" / "alpha.html").unlink()
        os.symlink("../2026-08-31/alpha.html", out / "latest" / "alpha.html")
        return staging(out)

    monkeypatch.setattr(publish, "staging", slow)
    pruned(tmp_path, prune.Keep(reports=1))
    assert pages(tmp_path) == ["2026-07-31", "2026-08-31", "2026-09-30", "2026-10-31"]


@pytest.mark.parametrize("n", range(4))
def test_a_fault_between_two_dates_leaves_whole_ones(tmp_path, monkeypatch, n):
    publish_all(tmp_path, "alpha", "cover")
    change, done = exchange.change, []

    def failing(*arguments, **named):
        if len(done) == n:
            raise OSError(28, "No space left on device")
        done.append(arguments[0])
        return change(*arguments, **named)

    monkeypatch.setattr(exchange, "change", failing)
    if n < 2:
        with pytest.raises(OSError, match="No space"):
            prune.prune(tmp_path, prune.Keep(reports=1), print, is_sure=True)
    else:
        pruned(tmp_path, prune.Keep(reports=1))
    monkeypatch.undo()
    assert dead_links(tmp_path) == []
    assert not list(tmp_path.glob(".staging-*"))
    pruned(tmp_path, prune.Keep(reports=1))
    assert pages(tmp_path) == ["2026-07-31", "2026-09-30", "2026-10-31"]
    assert dead_links(tmp_path) == []


_KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from salesops.engine import prune

whole, copies = Path(sys.argv[1]), Path(sys.argv[2])

def counted(usual, left):
    def call(*arguments, **named):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return usual(*arguments, **named)
    return call

for step in range(1, 400, 29):
    out = copies / f"{step:03}"
    shutil.copytree(whole, out, symlinks=True)
    child = os.fork()
    if not child:
        left = [step]
        for name in ("replace", "rename", "unlink", "link", "rmdir", "mkdir"):
            setattr(os, name, counted(getattr(os, name), left))
        prune.prune(out, prune.Keep(reports=1, all_files=True), lambda _: None, is_sure=True)
        os._exit(0)
    if os.waitpid(child, 0)[1] != signal.SIGKILL:
        break
"""


def test_a_kill_at_any_moment_leaves_no_dead_link(tmp_path):
    """Processes that end themselves at every 29th change they make."""
    publish_all(tmp_path / "whole", "alpha", "cover")
    command = [sys.executable, "-c", _KILLED, str(tmp_path / "whole"), str(tmp_path / "copies")]
    subprocess.run(command, cwd=ROOT, capture_output=True, timeout=300, check=True)
    copies = sorted((tmp_path / "copies").iterdir())
    assert len(copies) > 3
    for out in copies:
        assert dead_links(out) == [], out.name
        assert {"2026-07-31", "2026-09-30", "2026-10-31"} <= set(pages(out)), out.name
    for out in copies[::3]:
        pruned(out, prune.Keep(reports=1, all_files=True))
        assert dead_links(out) == []
        assert pages(out) == ["2026-07-31", "2026-09-30", "2026-10-31"]
        assert not list(out.glob(".staging-*"))


def test_the_log_stays(tmp_path):
    publish_all(tmp_path)
    at = "2026-10-31T06:00:00.000+00:00"
    log.append(tmp_path, log.entry(report="alpha", outcome="ok", started=at, finished=at))
    pruned(tmp_path, prune.Keep(reports=1, all_files=True))
    assert len(log.read(tmp_path)) == 1


def test_old_index_of_a_date_is_never_left_with_dead_links(tmp_path):
    publish_all(tmp_path)
    assert index.entries(tmp_path / "2026-08-31")[0]["href"] == "alpha.html"
    pruned(tmp_path, prune.Keep(reports=1))
    [entry] = index.entries(tmp_path / "2026-08-31")
    assert (entry["href"], entry["status"]) == (None, "page removed to save room")
    assert json.loads((tmp_path / "2026-08-31" / "alpha.json").read_text())["report"] == "alpha"
