"""What a run wrote goes into its dated folder whole or not at all: crashes at every step, other runs, full disks."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from test_site import publish_report

from salesops import figures_files, report
from salesops.checks import ParameterError, SalesopsError
from salesops.engine import exchange, handover, index, links, locks, pages, publish, shelf

DAY = "2026-09-30"


class Stopped(BaseException):
    """The machine is off: nothing after it happens, no cleaning up either."""


# Every call by which something is made, renamed, removed or written through.
CALLS = [
    (os, name) for name in ("replace", "rename", "link", "mkdir", "unlink", "rmdir", "symlink", "fsync", "chmod")
] + [(exchange, "_exchange"), (shutil, "rmtree"), (Path, "write_text"), (Path, "write_bytes")]  # fmt: skip


class Machine:
    """Counts calls and stops at one of them, before it has happened."""

    def __init__(self, patch: pytest.MonkeyPatch, stop_at: int | None = None) -> None:
        self.n, self.stop_at = 0, stop_at
        for place, name in CALLS:
            patch.setattr(place, name, self._counted(getattr(place, name)))

    def _counted(self, call):
        def counted(*given, **named):
            if self.stop_at is not None and self.n >= self.stop_at:
                raise Stopped
            self.n += 1
            return call(*given, **named)

        return counted


def stops(act) -> int:
    """How many calls a thing takes."""
    with pytest.MonkeyPatch.context() as patch:
        machine = Machine(patch)
        act()
    return machine.n


def stopped(act, at: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        Machine(patch, at)
        with pytest.raises(Stopped):
            act()


def staged_report(out: Path, staged: Path, name: str = "alpha", day: str = DAY, **changes) -> Path:
    """Every file of a report in the staging folder; its run id is in each."""
    made = publish_report(out.parent / f"made-{name}", day, name, **changes)
    run_id = changes.get("run_id", "0" * 16)
    for path in made.iterdir():
        if path.suffix != ".json":
            path.write_text(run_id)
        shutil.copy(path, staged)
    return out / day


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()} if folder.exists() else {}


def put(out: Path, name: str = "alpha", **changes) -> None:
    with publish.staging(out) as staged:
        folder = staged_report(out, staged, name, **changes)
        publish.into_place(staged, folder, name)


def state(folder: Path, name: str = "alpha") -> dict[str, str]:
    return {key: text for key, text in contents(folder).items() if key.startswith(f"{name}.")}


@pytest.fixture
def unchecked(monkeypatch):
    """Pages are not read again by the gate, and the disk is not waited for: what is looked at is when they are there."""
    monkeypatch.setattr(report, "faults", lambda *_, **__: [])
    monkeypatch.setattr(os, "fsync", lambda _: None)


def copied(before: Path, to: Path) -> Path:
    shutil.copytree(before, to, symlinks=True)
    return to


def after_stops(tmp_path: Path, before: Path, act) -> list[bool]:
    """Whether the folder was as it shall be, after a stop at each step; else it was as it was, and never else."""
    shown = copied(before, tmp_path / "shown")
    (tmp_path / "made-alpha" / DAY).mkdir(parents=True, exist_ok=True)
    n = stops(lambda: act(shown))
    old, new, seen = contents(before / DAY), contents(shown / DAY), []
    for at in range(n):
        out = copied(before, tmp_path / f"out{at}")
        stopped(lambda out=out: act(out), at)
        found = contents(out / DAY)
        assert found in (old, new), at
        seen.append(found == new)
        act(out)
        assert contents(out / DAY) == new and not list(out.glob(".staging-*")), at
    assert not seen[0] and seen[-1] and sorted(seen) == seen, "it changes once, and there are stops on both sides"
    return seen


@pytest.mark.usefixtures("unchecked")
def test_after_a_stop_at_any_step_the_folder_is_as_it_was_or_as_it_shall_be(tmp_path):
    before = tmp_path / "before"
    for name in ("alpha", "beta"):
        put(before, name)
    fail(before)
    assert len(after_stops(tmp_path, before, lambda out: put(out, run_id="b" * 16, headlines=["Another."]))) > 40


@pytest.mark.usefixtures("unchecked")
def test_a_first_publication_is_there_whole_or_not_at_all(tmp_path):
    (tmp_path / "before").mkdir()
    after_stops(tmp_path, tmp_path / "before", put)


def fail(out: Path, name: str = "alpha", said: str = "what happened") -> None:
    with publish.staging(out) as staged:
        for ending in shelf.FAILED:
            (staged / f"{name}{ending}").write_text(said)
        publish.failure_into_place(staged, out / DAY, name)


@pytest.mark.usefixtures("unchecked")
def test_a_failure_page_and_its_notebook_come_together_and_beside_the_last_good_one(tmp_path):
    put(tmp_path / "before")
    after_stops(tmp_path, tmp_path / "before", fail)
    good, failed = contents(tmp_path / "before" / DAY), contents(tmp_path / "shown" / DAY)
    assert set(failed) - set(good) == {f"alpha{ending}" for ending in shelf.FAILED}
    assert {key for key in good if failed[key] != good[key]} == {"index.html"}
    assert "The last run failed" in failed["index.html"]


def by_report(folder: Path) -> dict[str, set[str]]:
    """The dates that the links of each report lead to."""
    found: dict[str, set[str]] = {}
    for path in folder.iterdir() if folder.exists() else ():
        found.setdefault(path.name.partition(".")[0], set()).add(path.resolve().parent.name)
    return found


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("later", [True, False], ids=["a later date", "a date withdrawn"])
def test_the_links_of_a_report_are_of_one_date_at_any_step(tmp_path, later):
    def write(out: Path) -> None:
        with publish.staging(out) as staged:
            index.write(out, staged)

    before = tmp_path / "before"
    for name in ("alpha", "beta"):
        publish_report(before, "2026-06-30", name, period="all")
        if not later:
            publish_report(before, DAY, name, period="all")
    write(before)
    for name in ("alpha", "beta"):
        if later:
            publish_report(before, DAY, name, period="all")
    if not later:
        shutil.rmtree(before / DAY)
    shown = copied(before, tmp_path / "shown")
    newest = {name: {DAY if later else "2026-06-30"} for name in ("alpha", "beta")}
    for at in range(0, stops(lambda: write(shown)), 2):
        out = copied(before, tmp_path / f"out{at}")
        stopped(lambda out=out: write(out), at)
        for folder in (out / "latest", out / "by-period" / "all"):
            found = by_report(folder)
            assert all(len(days) == 1 for days in found.values()) and set(found) == set(newest), at
        assert (out / "index.html").read_text().rstrip().endswith("</html>")
        write(out)
        assert by_report(out / "latest") == by_report(out / "by-period" / "all") == newest, at
        assert not list(out.glob(".staging-*"))


def test_the_list_of_a_date_is_of_the_same_step(tmp_path):
    put(tmp_path / "out")
    folder = tmp_path / "out" / DAY
    assert (folder / "index.html").read_text() == index.of_day(folder)
    assert "alpha on 2026-09-30." in (folder / "index.html").read_text()
    fail(tmp_path / "out", "beta")
    assert "beta.failed.html" in (folder / "index.html").read_text() == index.of_day(folder)
    put(tmp_path / "out", "beta")
    assert "failed" not in (folder / "index.html").read_text() == index.of_day(folder)


def test_a_list_that_is_not_fit_keeps_no_report_from_being_published(tmp_path, monkeypatch):
    put(tmp_path / "out")
    before = (tmp_path / "out" / DAY / "index.html").read_text()
    monkeypatch.setattr(pages, "require_fit", _unfit)
    put(tmp_path / "out", "beta")
    assert (tmp_path / "out" / DAY / "beta.html").exists()
    assert (tmp_path / "out" / DAY / "index.html").read_text() == before


def _unfit(*_):
    raise SalesopsError("not fit")


@pytest.mark.usefixtures("unchecked")
def test_eight_at_once_lose_nothing_and_none_waits_forever(tmp_path):
    out, faults = tmp_path / "out", []

    def publisher(number: int) -> None:
        try:
            for times in range(4):
                put(out, f"r{number}", run_id=f"{number}{times}" * 8, headlines=[f"Time {times}."])
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=publisher, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not faults and not any(thread.is_alive() for thread in threads)
    found = figures_files.in_folder(out / DAY)
    assert {name: document["run_id"] for name, document in found.items()} == {f"r{n}": f"{n}3" * 8 for n in range(8)}
    for name, document in found.items():
        assert {path.read_text() for path in (out / DAY).glob(f"{name}.*") if path.suffix != ".json"} == {
            document["run_id"]
        }
    assert (out / DAY / "index.html").read_text() == index.of_day(out / DAY)
    assert not list(out.glob(".staging-*"))


def test_what_a_run_does_not_know_stays_and_the_folder_keeps_its_permissions(tmp_path):
    put(tmp_path)
    folder = tmp_path / DAY
    (folder / "notes.txt").write_text("mine")
    (folder / "pictures" / "deep").mkdir(parents=True)
    (folder / "pictures" / "deep" / "one.png").write_text("drawn")
    (folder / "elsewhere").symlink_to("pictures/deep")
    (folder / "dangling").symlink_to("nowhere")
    folder.chmod(0o2750)
    put(tmp_path, run_id="b" * 16)
    assert (folder / "notes.txt").read_text() == "mine" and (folder / "elsewhere" / "one.png").read_text() == "drawn"
    assert os.readlink(folder / "dangling") == "nowhere"
    assert folder.stat().st_mode & 0o7777 == 0o2750
    assert state(folder)["alpha.html"] == "b" * 16


def test_a_published_file_is_never_written_to(tmp_path):
    put(tmp_path)
    opened = {path: path.open() for path in (tmp_path / DAY).iterdir()}
    before = contents(tmp_path / DAY)
    put(tmp_path, run_id="b" * 16, headlines=["Another."])
    put(tmp_path, "beta")
    for path, file in opened.items():
        with file:
            assert file.read() == before[path.name]


def no(number: int):
    def refused(*_, **__):
        raise OSError(number, os.strerror(number))

    return refused


@pytest.mark.parametrize(
    ("place", "name", "to"),
    [
        (exchange, "_exchange", no(errno.EINVAL)),
        (exchange, "_renameat2", lambda: None),
        (exchange.os, "link", no(errno.EPERM)),
        (exchange.os, "link", no(errno.EOPNOTSUPP)),
        (locks, "fcntl", None),
        (locks.fcntl, "flock", no(errno.ENOLCK)),
    ],
)
def test_without_locks_links_or_exchange_the_files_go_one_by_one(tmp_path, monkeypatch, place, name, to):
    for each in ("alpha", "beta"):
        put(tmp_path, each)
    fail(tmp_path)
    inode = (tmp_path / DAY).stat().st_ino
    monkeypatch.setattr(place, name, to)
    put(tmp_path, run_id="b" * 16, headlines=["Another."])
    assert (tmp_path / DAY).stat().st_ino == inode
    found = contents(tmp_path / DAY)
    assert json.loads(found["alpha.json"])["run_id"] == "b" * 16 and found["alpha.html"] == "b" * 16
    assert not [key for key in found if "failed" in key] and state(tmp_path / DAY, "beta")["beta.html"] == "0" * 16
    publish_report(tmp_path, "2026-06-30", "beta", period="all")
    with publish.staging(tmp_path) as staged:
        index.write(tmp_path, staged)
    assert by_report(tmp_path / "latest") == {"alpha": {DAY}, "beta": {DAY}}


def test_one_by_one_the_page_comes_last(tmp_path, monkeypatch):
    put(tmp_path, run_id="a" * 16)
    monkeypatch.setattr(exchange, "_exchange", no(errno.EINVAL))
    order = []

    def replace(old, new, rename=os.replace):
        if Path(new).parent == tmp_path / DAY:
            order.append(Path(new).name)
            if len(order) == 6:
                raise Stopped
        rename(old, new)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(exchange.os, "replace", replace)
        put(tmp_path, run_id="b" * 16)
    assert order == [f"alpha{ending}" for ending in shelf.ORDER]
    assert (tmp_path / DAY / "alpha.html").read_text() == "a" * 16
    put(tmp_path, run_id="b" * 16)
    assert (tmp_path / DAY / "alpha.html").read_text() == "b" * 16


def test_a_full_disk_touches_nothing_that_is_published(tmp_path):
    put(tmp_path / "count")
    n = stops(lambda: put(tmp_path / "count", run_id="b" * 16))
    put(tmp_path / "out")
    before = contents(tmp_path / "out" / DAY)
    taking = [("link", os), ("mkdir", os), ("fsync", os), ("write_text", Path), ("replace", os)]
    for name, place in taking:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(place, name, no(errno.ENOSPC))
            with pytest.raises((OSError, ParameterError)) as fault:
                put(tmp_path / "out", run_id="b" * 16)
        assert "No space left" in str(fault.value), name
        assert contents(tmp_path / "out" / DAY) == before, name
    assert n and not list((tmp_path / "out").glob(".staging-*"))
    put(tmp_path / "out", run_id="b" * 16)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_folder_that_may_not_be_written_is_one_message(tmp_path, monkeypatch, number):
    put(tmp_path)
    before = contents(tmp_path / DAY)
    with publish.staging(tmp_path) as staged:
        folder = staged_report(tmp_path, staged, run_id="b" * 16)
        monkeypatch.setattr(exchange, "_exchange", no(number))
        with pytest.raises(ParameterError, match=rf"{DAY}: cannot be written \(.+\)\. Nothing in it was changed: "):
            publish.into_place(staged, folder, "alpha")
    assert contents(tmp_path / DAY) == before


def test_something_in_the_place_of_the_folder_is_said(tmp_path):
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / DAY).write_text("mine")
    with pytest.raises(ParameterError, match="move what is in the way"):
        put(tmp_path)
    assert (tmp_path / DAY).read_text() == "mine"


def test_a_folder_of_another_source_is_refused_at_the_last_moment(tmp_path):
    put(tmp_path, parameters={"source": "acme"})
    before = contents(tmp_path / DAY)
    with pytest.raises(ParameterError, match=r"holds reports of source 'acme' \(alpha\), not of 'sample'"):
        put(tmp_path, "beta")
    assert contents(tmp_path / DAY) == before


def test_no_clock_is_asked(tmp_path, monkeypatch):
    put(tmp_path)
    for path in [*(tmp_path / DAY).iterdir(), tmp_path / DAY]:
        os.utime(path, (4e9, 4e9))
    orphan = tmp_path / ".staging-fromthen"
    orphan.mkdir()
    os.utime(orphan, (4e9, 4e9))
    for name in ("time", "time_ns", "monotonic"):
        monkeypatch.setattr(time, name, lambda: pytest.fail("a clock was read"))
    put(tmp_path, run_id="b" * 16)
    with publish.staging(tmp_path) as staged:
        index.write(tmp_path, staged)
    assert state(tmp_path / DAY)["alpha.html"] == "b" * 16 and not orphan.exists()


HOLD = """
import sys, time
from pathlib import Path
from salesops.engine import locks
with locks.{block} as found:
    print(found, flush=True)
    time.sleep(60)
"""


def holder(block: str) -> subprocess.Popen:
    """Another process inside a block of `locks`."""
    found = subprocess.Popen([sys.executable, "-c", HOLD.format(block=block)], stdout=subprocess.PIPE, text=True)
    found.said = found.stdout.readline().strip()
    return found


def test_a_lock_is_waited_for_and_dies_with_its_process(tmp_path):
    other = holder(f"exclusive(Path({str(tmp_path)!r}))")
    assert other.said == "True"
    inside = threading.Event()

    def enter() -> None:
        with locks.exclusive(tmp_path):
            inside.set()

    waiting = threading.Thread(target=enter)
    waiting.start()
    assert not inside.wait(0.2)
    other.send_signal(signal.SIGKILL)
    assert inside.wait(10)
    waiting.join()
    other.communicate()


def test_a_started_program_does_not_keep_the_lock(tmp_path):
    with locks.exclusive(tmp_path):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    handle = os.open(tmp_path, os.O_RDONLY)
    try:
        assert locks._locked(handle, wait=False)
    finally:
        os.close(handle)
        child.kill()
        child.wait()


def test_what_is_held_by_another_process_stays_until_it_is_killed(tmp_path):
    other = holder(f"held(Path({str(tmp_path)!r}), '.staging-')")
    folder = Path(other.said)
    (folder / "half.html").write_text("half")
    with publish.staging(tmp_path):
        assert folder.exists()
    other.send_signal(signal.SIGKILL)
    other.communicate()
    with publish.staging(tmp_path):
        assert not folder.exists()


def test_only_our_own_folders_of_our_own_names_are_removed(tmp_path, monkeypatch):
    names = ("salesops-run-abcdefgh", "salesops-run-2025", "salesops-run-abcdefgh.bak", "salesops-backup-abcdefgh")
    for name in names:
        (tmp_path / name).mkdir()
    (tmp_path / "salesops-run-aaaaaaaa").write_text("a file")
    (tmp_path / "salesops-run-bbbbbbbb").symlink_to("salesops-run-2025")
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: os.getuid() + 1)
        assert locks.sweep(tmp_path, handover.PREFIX) == []
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with handover.folder() as place:
        assert place.parent == tmp_path and place.stat().st_mode & 0o777 == 0o700
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {*names[1:], "salesops-run-aaaaaaaa", "salesops-run-bbbbbbbb"}


def test_a_folder_that_is_swept_before_it_is_held_is_made_again(tmp_path, monkeypatch):
    made = []

    def made_and_swept(prefix, dir, make=tempfile.mkdtemp):
        folder = make(prefix=prefix, dir=dir)
        made.append(folder)
        if len(made) == 1:  # another run's sweep comes between
            assert locks.sweep(tmp_path, ".staging-") == [Path(folder).name]
        return folder

    monkeypatch.setattr(locks.tempfile, "mkdtemp", made_and_swept)
    with publish.staging(tmp_path) as staged:
        assert len(made) == 2 and staged == Path(made[1]) and staged.is_dir()


def test_staging_is_cleaned_whatever_happens(tmp_path):
    with pytest.raises(KeyboardInterrupt), publish.staging(tmp_path / "out") as staged:
        (staged / "half.html").write_text("half")
        raise KeyboardInterrupt
    assert not list((tmp_path / "out").iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(ParameterError, match="cannot be written"), publish.staging(tmp_path / "file"):
        pass


def test_what_is_no_figures_file_is_passed_over(tmp_path):
    (tmp_path / "notes.json").write_text("[1]")
    (tmp_path / "broken.json").write_text("{")
    assert figures_files.in_folder(tmp_path) == {} and shelf.run_record(tmp_path, "notes") == {}
    assert index.entries(tmp_path) == [] and links.BY_PERIOD == "by-period"


def test_a_figures_file_is_read_once_while_it_is_the_same(tmp_path, monkeypatch):
    read = []
    real = figures_files.document_of
    monkeypatch.setattr(figures_files, "document_of", lambda path: read.append(path.name) or real(path))
    for name in ("alpha", "beta"):
        document = {"report": name, "as_of": DAY, "figures": [], "parameters": {"source": "s"}, "headlines": [name]}
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
        (tmp_path / f"{name}.html").write_text("")
    first = index.entries(tmp_path)
    assert index.entries(tmp_path) == first and sorted(read) == ["alpha.json", "beta.json"]
    (tmp_path / "new").write_text((tmp_path / "beta.json").read_text().replace('["beta"]', '["BETA"]'))
    before = (tmp_path / "beta.json").stat()
    os.utime(tmp_path / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
    (tmp_path / "new").replace(tmp_path / "beta.json")  # as publication does: of the same size, perhaps at once
    assert [each["headlines"] for each in index.entries(tmp_path)] == [["alpha"], ["BETA"]]
    for _ in range(2):
        shelf.require_one_source(tmp_path, "s")
    assert sorted(read) == ["alpha.json", "alpha.json", "beta.json", "beta.json", "beta.json"]
    with pytest.raises(ParameterError, match="holds reports of source 's' \\(alpha\\), not of 'other'"):
        shelf.require_one_source(tmp_path, "other")
