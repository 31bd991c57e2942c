"""Why a report was not made: each cause provoked for real, told apart, tried again or not, and told to a reader."""

import copy
import errno
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from html import escape
from pathlib import Path

import duckdb
import engine_toys
import pytest

from salesops import crm, report
from salesops.checks import DataError, ParameterError, SalesopsError, StaleError
from salesops.engine import causes, execute, failures, limits, log, pages, plan, publish, run
from salesops.engine.limits import Guard, Limits
from salesops.report import gate

DAY = "2026-09-30"
FAULTS = engine_toys.PARAMETERS + 'fault: str = ""  # a line of code that goes wrong\n'
FAULTY = "import os, signal, time\nexec(fault)\n"
SLEEP = "time.sleep(60)"
# Written to, so that the memory is really held; what one look misses the next one sees.
EAT = "held = [bytearray(b'x' * 50_000_000) for _ in range(60)]; time.sleep(60)"

PROVOKED = {  # report: a line in its cell, the cause, and what is said
    "code": ("{}['amount']", "notebook code", "KeyError: 'amount'"),
    "killed": ("os.kill(os.getpid(), signal.SIGKILL)", "kernel killed", "SIGKILL"),
    "ended": ("os._exit(7)", "kernel killed", "DeadKernelError: Kernel died: it ended itself with code 7."),
    "crashed": ("os.kill(os.getpid(), signal.SIGSEGV)", "kernel killed", "DeadKernelError: Kernel died of SIGSEGV."),
    "slow": (SLEEP, "cell timeout", "it took longer than the 8 s that a cell may (--cell-timeout)."),
    "large": (EAT, "out of memory", "MB and may hold 400 (--memory)."),
    "refused": ("import numpy; numpy.ones(10**15)", "out of memory", "MemoryError: Unable to allocate"),
    "full": ("open('/dev/full', 'w', 1).write('x\\n')", "disk full", "OSError: [Errno 28] No space left on device"),
    "data": ("from salesops import checks; raise checks.DataError('deals.csv: empty.')", "data", "deals.csv: empty."),
}
CODES = {"data": 3}


@pytest.fixture(scope="module", autouse=True)
def _small_company():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crm, "load", engine_toys.company)
        yield


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    for name in ("alpha", *PROVOKED):
        engine_toys.notebook(folder / "notebooks" / f"{name}.ipynb", FAULTS, (FAULTY, engine_toys.SAY))
    return folder


def made(request: plan.Request) -> tuple[int, list[str], list[float]]:
    """Exit code, what was said, and how long it would have waited."""
    told: list[str] = []
    waited: list[float] = []
    return run.run(request, told.append, sleep=waited.append), told, waited


@pytest.fixture(scope="module")
def provoked(root, tmp_path_factory) -> Path:
    """The folder of one run in which every report fails for a reason of its own."""
    out = tmp_path_factory.mktemp("out")
    lines = tuple(f"{name}.fault={fault}" for name, (fault, _, _) in PROVOKED.items())
    limited = Limits(cell_timeout=8, memory=400)
    code, _, waited = made(plan.Request(root, out, tuple(PROVOKED), None, lines, jobs=5, limits=limited))
    assert (code, waited) == (3, [])
    return out


def lines(out: Path) -> dict[str, dict[str, object]]:
    """What the log says of each report."""
    return {line["report"]: line for line in log.read(out)}


@pytest.mark.parametrize("name", PROVOKED)
def test_each_cause_is_told_from_the_others(provoked, name):
    _, cause, message = PROVOKED[name]
    found = lines(provoked)[name]
    assert (found["cause"], found["outcome"], found["attempts"]) == (cause, "failed", 1)
    assert message in found["message"]
    assert found["where"] == "cell 4 (Where do we win?)"


@pytest.mark.parametrize("name", PROVOKED)
def test_a_failure_page_is_for_a_person_who_did_not_write_the_report(provoked, name):
    page = (provoked / DAY / f"{name}.failed.html").read_text(encoding="utf-8")
    assert report.faults(page) == []
    told = causes.told(PROVOKED[name][1])
    for text in (told.sentence, told.advice, PROVOKED[name][2], "2026Q3, 1 July 2026 to 30 September 2026"):
        assert escape(text) in page.replace("&#34;", "&quot;").replace("&#39;", "&#x27;"), text
    assert "There is no earlier one." in page
    assert not (provoked / DAY / f"{name}.html").exists()


def test_a_kernel_is_held_to_its_memory_soon(provoked):
    peak = lines(provoked)["large"]["peak_memory_bytes"]
    assert 400 << 20 < peak < 1500 << 20
    assert 20 << 20 < lines(provoked)["code"]["peak_memory_bytes"] < 400 << 20


def test_every_cause_has_its_words():
    assert {cause for _, cause, _ in PROVOKED.values()} <= set(causes.CAUSES)
    for cause, (sentence, advice) in causes.CAUSES.items():
        assert sentence.endswith(".") and advice.endswith("."), cause


# --- the whole run ---


def test_a_run_that_takes_too_long(root, tmp_path):
    begun = time.monotonic()
    request = plan.Request(
        root, tmp_path, ("alpha", "code"), None, (f"alpha.fault={SLEEP}",), jobs=1, limits=Limits(timeout=4)
    )
    assert made(request)[0] == 1
    assert time.monotonic() - begun < 40
    for name in ("alpha", "code"):  # the second was not even begun
        assert lines(tmp_path)[name]["cause"] == "run timeout"
        assert lines(tmp_path)[name]["message"] == "the whole run may take 4 s (--timeout), and they are over."


def test_a_source_that_never_answers_does_not_hold_up_the_run(root, tmp_path, monkeypatch):
    monkeypatch.setattr(crm, "load", lambda **_: time.sleep(30))
    begun = time.monotonic()
    with pytest.raises(limits.RunTimeoutError, match=r"the whole run may take 0\.5 s"):
        made(plan.Request(root, tmp_path, ("alpha",), limits=Limits(timeout=0.5)))
    assert time.monotonic() - begun < 10
    assert lines(tmp_path)["alpha"]["cause"] == "run timeout"


@pytest.mark.parametrize("how", [pytest.param("INT", marks=pytest.mark.full), "TERM"])
def test_stopping_ends_every_kernel_and_publishes_nothing_half_made(root, tmp_path, how):
    code = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
import engine_toys
from salesops import cli, crm
crm.load = engine_toys.company
sys.exit(cli.main(sys.argv[1:]))
"""
    mark = tmp_path / "running"
    fault = f"open({str(mark)!r} + str(os.getpid()), 'w').close(); time.sleep(300)"
    words = ["run", "alpha", "code", "--root", str(root), "--out", str(tmp_path / "out"), "--jobs", "2", "-p"]
    with subprocess.Popen([sys.executable, "-c", code, *words, f"fault={fault}"], stderr=subprocess.PIPE) as process:
        kernels = _until(lambda: found if len(found := list(tmp_path.glob("running*"))) == 2 else None)
        begun = time.monotonic()
        process.send_signal(getattr(signal, f"SIG{how}"))
        said = process.stderr.read().decode()
    assert process.returncode == 130
    assert time.monotonic() - begun < 15
    assert said == "salesops: stopped; what was published before stays, nothing half made does.\n"
    assert [pid for pid in (int(path.name.removeprefix("running")) for path in kernels) if limits.memory(pid)] == []
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def _until(found: Callable[[], object], seconds: float = 150.0) -> object:  # a busy machine starts a kernel slowly
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if there := found():
            return there
        time.sleep(0.1)
    pytest.fail("it did not come about in time")


# --- what a second try mends, and what it does not ---


@pytest.fixture(scope="module")
def executed(root) -> execute.Execution:
    """One run of the toy notebook, for tests of what comes before and after it."""
    values = {name: value.value for name, value in plan.jobs(plan.Request(root, reports=("alpha",)))[0].values.items()}
    with execute.own_loop():
        return execute.execute(root / "notebooks" / "alpha.ipynb", values | {"as_of": date(2026, 9, 30)})


@pytest.fixture
def quick(executed, monkeypatch) -> execute.Execution:
    """No kernel starts."""
    monkeypatch.setattr(execute, "execute", lambda *_, **__: copy.deepcopy(executed))
    return executed


def test_a_run_tells_what_it_took(executed):
    assert executed.failure is None
    assert executed.seconds > 0.1
    assert 20 << 20 < executed.peak_memory_bytes < 400 << 20


def disturbed(*faults: Exception) -> tuple[Callable[..., object], list[dict[str, object]]]:
    """A `crm.load` that fails so before it works, and what it was asked for."""
    left, asked = list(faults), []

    def load(source="sample", *, as_of=None, where="") -> object:
        asked.append({"as_of": as_of, "where": where})
        if left:
            raise left.pop(0)
        return engine_toys.company(source, as_of=as_of, where=where)

    return load, asked


@pytest.mark.usefixtures("quick")
def test_a_source_that_fails_twice_is_read_a_third_time(root, tmp_path, monkeypatch):
    shaky = DataError("deals.csv: cannot be opened.")
    shaky.__cause__ = OSError(errno.ESTALE, "Stale file handle")
    load, asked = disturbed(OSError(errno.EIO, "Input/output error"), shaky)
    monkeypatch.setattr(crm, "load", load)
    code, told, waited = made(plan.Request(root, tmp_path, ("alpha",)))
    assert (code, waited, len(asked)) == (0, [2.0, 4.0], 3)
    assert told[:2] == [
        "reading the source was disturbed (1 of 3): [Errno 5] Input/output error Trying again in 2 s.",
        "reading the source was disturbed (2 of 3): deals.csv: cannot be opened. Trying again in 4 s.",
    ]
    assert (tmp_path / DAY / "alpha.html").exists()


@pytest.mark.usefixtures("quick")
def test_a_source_that_is_read_again_is_read_as_of_the_same_day(root, tmp_path, monkeypatch):
    load, asked = disturbed()
    monkeypatch.setattr(crm, "load", load)
    made(plan.Request(root, tmp_path, ("alpha", "code"), None, ("code.where=amount > 1",)))
    assert [each["as_of"] for each in asked] == [None, date(2026, 9, 30)]  # though more may have arrived


def test_a_source_that_stays_broken_leaves_a_page_beside_the_dated_folders(root, tmp_path, monkeypatch):
    faults = [DataError("deals.csv: cannot be opened (Input/output error).") for _ in range(3)]
    for fault in faults:
        fault.__cause__ = OSError(errno.EIO, "Input/output error")
    load, asked = disturbed(*faults)
    monkeypatch.setattr(crm, "load", load)
    request = plan.Request(root, tmp_path, ("alpha",), assignments=("source=/secret/place/acme",))
    with pytest.raises(DataError, match="cannot be opened"):
        made(request)
    assert len(asked) == 3
    page = (tmp_path / "failed" / "alpha.html").read_text(encoding="utf-8")
    assert report.faults(page) == []
    assert causes.told("input/output").sentence in page
    assert "/secret/place" not in page
    assert lines(tmp_path)["alpha"]["cause"] == "input/output"


@pytest.mark.usefixtures("quick")
def test_a_good_run_removes_the_page_of_the_broken_one(root, tmp_path, monkeypatch):
    monkeypatch.setattr(crm, "load", disturbed(DataError("deals.csv: is empty."))[0])
    request = plan.Request(root, tmp_path, ("alpha",))
    with pytest.raises(DataError, match="is empty"):
        made(request)
    assert (tmp_path / "failed" / "alpha.html").exists()
    assert made(request)[0] == 0
    assert not (tmp_path / "failed").exists()


def test_what_a_second_try_cannot_mend_is_not_tried(root, tmp_path, monkeypatch):
    for fault in (DataError("deals.csv: is empty."), PermissionError(errno.EACCES, "denied"), KeyError("x")):
        load, asked = disturbed(fault)
        monkeypatch.setattr(crm, "load", load)
        with pytest.raises(type(fault)):
            made(plan.Request(root, tmp_path, ("alpha",)))
        assert len(asked) == 1


def test_a_database_that_is_locked_is_tried_again(tmp_path):
    place = tmp_path / "sales.db"
    with sqlite3.connect(place) as first:
        first.execute("CREATE TABLE opportunities (id)")
        first.execute("BEGIN EXCLUSIVE")
        with sqlite3.connect(place, timeout=0) as second, pytest.raises(sqlite3.OperationalError) as fault:
            second.execute("SELECT * FROM opportunities")
    first.close()
    second.close()
    assert causes.is_passing(fault.value)
    assert not causes.is_passing(sqlite3.OperationalError("no such table: opportunities"))


def test_a_duckdb_file_open_elsewhere_is_tried_again_and_a_damaged_one_is_not(tmp_path):
    place = tmp_path / "sales.duckdb"
    hold = f"import duckdb, sys; c = duckdb.connect({str(place)!r}); print(1, flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with pytest.raises(DataError) as fault:
            _opened(place)
        other.stdin.close()
    assert causes.of(fault.value) == "input/output"
    place.write_bytes(b"x" * 8 + b"DUCK" + b"x" * 5000)
    with pytest.raises(DataError) as fault:
        _opened(place)
    assert causes.of(fault.value) == "data"


def _opened(place: Path) -> None:
    """As `crm.databases` opens it: no word of the system's message is kept, its path may be secret."""
    try:
        duckdb.connect(str(place), read_only=True).close()
    except duckdb.Error:
        raise DataError("sales.duckdb: cannot be opened.") from None


def test_a_kernel_that_does_not_start_is_tried_again(root, tmp_path, monkeypatch, executed):
    unstarted = execute._death(RuntimeError("Kernel didn't respond in 60 seconds"), None, Guard(), False)
    assert (unstarted.cause, unstarted.is_passing) == ("kernel killed", True)
    found = [executed._replace(failure=unstarted), executed._replace(failure=unstarted), executed]
    asked = []

    def started(_: Path, values: dict[str, object], **__: object) -> execute.Execution:
        asked.append(values["as_of"])
        return copy.deepcopy(found.pop(0))

    monkeypatch.setattr(execute, "execute", started)
    code, _, waited = made(plan.Request(root, tmp_path, ("alpha",)))
    assert (code, waited, asked) == (0, [2.0, 4.0], [date(2026, 9, 30)] * 3)
    assert lines(tmp_path)["alpha"]["attempts"] == 3
    found[:] = [executed._replace(failure=unstarted)] * 2
    assert made(plan.Request(root, tmp_path, ("alpha",), retries=1))[0] == 1
    assert '<td class="so-text">2 times</td>' in (tmp_path / DAY / "alpha.failed.html").read_text()


# --- before and after the notebook ---


@pytest.mark.usefixtures("quick")
def test_data_that_end_too_early_are_stale(root, tmp_path):
    request = plan.Request(root, tmp_path, ("alpha",), assignments=("as_of=2026-10-08",), max_age=7)
    assert made(request)[0] == 3
    found = lines(tmp_path)["alpha"]
    assert (found["cause"], found["attempts"]) == ("stale data", 1)
    said = "the newest record is of 30 September 2026, 8 days before 8 October 2026, and may be 7 days old"
    assert said in found["message"]
    page = (tmp_path / "2026-10-08" / "alpha.failed.html").read_text(encoding="utf-8")
    assert '<th scope="row">Newest record</th><td class="so-text">30 September 2026</td>' in page
    assert '<th scope="row">Deals read</th><td class="so-text">3</td>' in page
    assert made(request._replace(max_age=8))[0] == 0


def test_the_gate_tells_stale_data_from_a_bad_page():
    with pytest.raises(StaleError):
        pages.require_fit("alpha", [gate.Fault("freshness", "the data end in May")])
    with pytest.raises(SalesopsError) as fault:
        pages.require_fit("alpha", [gate.Fault("freshness", "in May"), gate.Fault("no code", "a script")])
    assert causes.of(fault.value) == "page"


def test_a_page_that_the_gate_refuses(root, tmp_path, monkeypatch, quick):
    worse = copy.deepcopy(quick)
    said = next(output for cell in worse.notebook.cells for output in cell.get("outputs", []) if "data" in output)
    said.data["text/html"] = "<script>1</script>"
    monkeypatch.setattr(execute, "execute", lambda *_, **__: copy.deepcopy(worse))
    assert made(plan.Request(root, tmp_path, ("alpha",)))[0] == 1
    found = lines(tmp_path)["alpha"]
    assert found["cause"] == "page"
    assert "no code" in found["message"]
    assert "&lt;script&gt;" in (tmp_path / DAY / "alpha.failed.html").read_text()


@pytest.mark.usefixtures("quick")
def test_a_disk_that_is_full_where_reports_lie(root, tmp_path, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/secret/place")

    monkeypatch.setattr(publish, "into_place", full)
    assert made(plan.Request(root, tmp_path, ("alpha",)))[0] == 1
    assert lines(tmp_path)["alpha"]["cause"] == "disk full"
    page = (tmp_path / DAY / "alpha.failed.html").read_text(encoding="utf-8")
    assert report.faults(page) == []
    assert "/secret/place" not in page
    monkeypatch.setattr(publish, "failure_into_place", full)
    code, told, _ = made(plan.Request(root, tmp_path, ("alpha", "code")))
    assert code == 1
    assert [text for text in "\n".join(told).splitlines() if "either" in text] == [
        "  its failure page could not be written either (No space left on device)."
    ] * 2


@pytest.mark.usefixtures("quick")
def test_the_page_leads_to_the_last_good_report(root, tmp_path):
    october = plan.Request(root, tmp_path, ("alpha",), assignments=("as_of=2026-10-02",), max_age=0)
    assert made(plan.Request(root, tmp_path, ("alpha",)))[0] == 0
    assert made(october)[0] == 3
    page = (tmp_path / "2026-10-02" / "alpha.failed.html").read_text(encoding="utf-8")
    assert '<a href="../2026-09-30/alpha.html">As of 30 September 2026</a>' in page
    assert made(october._replace(max_age=None))[0] == 0
    assert made(october)[0] == 3
    page = (tmp_path / "2026-10-02" / "alpha.failed.html").read_text(encoding="utf-8")
    assert '<a href="alpha.html">The one made before as of 2 October 2026</a>' in page


@pytest.mark.usefixtures("quick")
def test_the_page_names_who_looks_after_the_report(root, tmp_path):
    owned = plan.Request().wanted._replace(owner='o\'neil&"b"@example.com')
    made(plan.Request(root, tmp_path, ("alpha",), assignments=("as_of=2026-10-02",), max_age=0, wanted=owned))
    page = (tmp_path / "2026-10-02" / "alpha.failed.html").read_text(encoding="utf-8")
    assert '<a href="mailto:o%27neil%26%22b%22%40example.com">o&#39;neil&amp;&#34;b&#34;@example.com</a>' in page
    assert "Nobody is named" not in page


def test_a_very_long_message_is_cut(root):
    [each] = plan.load(plan.jobs(plan.Request(root, reports=("alpha",))), None, print)
    failure = execute.Failure("ValueError", "x" * 10**6, traceback="y" * 10**6, cause="notebook code")
    page = failures.page(each, failure, root)
    assert len(page) < 60_000
    assert report.faults(page) == []


def test_a_mistyped_parameter_has_a_page_only_where_nobody_typed_it(root, tmp_path):
    request = plan.Request(root, tmp_path, ("alpha",), assignments=("as_off=1",))
    with pytest.raises(ParameterError):
        made(request)
    assert not (tmp_path / "failed").exists()
    with pytest.raises(ParameterError):
        made(request._replace(schedule="weekly"))
    assert causes.told("parameters").sentence in (tmp_path / "failed" / "weekly.html").read_text(encoding="utf-8")


# --- what the system says of a killed kernel ---


class Ended:
    """A process that ended so."""

    def __init__(self, code: int):
        self.pid, self._code = -1, code

    def poll(self) -> int:
        return self._code


@pytest.mark.parametrize(
    ("before", "after", "cause", "words"),
    [
        (1, 2, "out of memory", "killed by the system for want of memory (SIGKILL)"),
        (1, 1, "kernel killed", "killed from outside (SIGKILL), not for want of memory"),
        (None, None, "kernel killed", "whether for want of memory the system does not say"),
    ],
)
def test_a_killed_kernel_is_told_from_one_the_system_ended_for_memory(monkeypatch, before, after, cause, words):
    monkeypatch.setattr(limits, "oom_kills", lambda: before)
    watch = limits.Watch(Ended(-9))
    monkeypatch.setattr(execute, "oom_kills", lambda: after)
    found = execute._ending(watch)
    assert found[0] == cause
    assert words in found[1]


def test_kills_for_memory_are_counted_in_both_kinds_of_control_groups(tmp_path, monkeypatch):
    lines = {"memory.events": "low 0\noom 3\noom_kill 2\n", "memory/memory.oom_control": "under_oom 0\noom_kill 5\n"}
    groups = {"0::/mine\n": ("memory.events", 2), "4:memory:/mine\n": ("memory/memory.oom_control", 5)}
    for group, (name, kills) in groups.items():
        (tmp_path / "group").write_text(group)
        place = tmp_path / Path(name).parent / "mine" / Path(name).name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(lines[name])
        monkeypatch.setattr(limits, "_OWN_GROUP", tmp_path / "group")
        assert limits.oom_kills(tmp_path) == kills
        place.unlink()
        assert limits.oom_kills(tmp_path) is None


def test_limits_that_mean_nothing_are_refused():
    for name in Limits._fields:
        with pytest.raises(ParameterError, match=f"--{name.replace('_', '-')}: 0 is no limit"):
            limits.require(Limits(**{name: 0}))
    for name, value in {"jobs": 0, "retries": -1, "max_age": -1}.items():
        with pytest.raises(ParameterError, match="is too few"):
            limits.require(Limits(), **{name: value})


def test_where_memory_cannot_be_read_it_cannot_be_limited(monkeypatch):
    monkeypatch.setattr(limits, "memory", lambda _: {})
    with pytest.raises(ParameterError, match="this system does not say what a process holds"):
        limits.require(Limits(memory=100))
    limits.require(Limits(timeout=1.0))


def test_waiting_ends_when_the_run_does():
    now = [0.0]
    guard = Guard(Limits(timeout=5.0), clock=lambda: now[0])
    now[0] = 5.0
    begun = time.monotonic()
    guard.sleep(60)
    stopped = Guard()
    stopped.stop()
    stopped.sleep(60)
    assert time.monotonic() - begun < 5
    with pytest.raises(limits.StoppedError):
        stopped.require()


def test_our_own_process_group_is_never_killed():
    watch = limits.Watch(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]))
    assert os.getpgid(watch.process.pid) == os.getpgid(0)
    watch.end("stopped")
    assert watch.process.wait() == -9


def loaded(root: Path) -> plan.Loaded:
    """The job of a report with its small company."""
    return plan.load(plan.jobs(plan.Request(root=root, reports=("alpha",))), None, print)[0]


def test_a_stop_that_comes_before_publication_publishes_nothing(root, tmp_path, monkeypatch):
    guard = Guard()
    monkeypatch.setattr(execute, "execute", engine_toys.without_kernel)
    monkeypatch.setattr(run.exports, "write", lambda *_, **__: guard.stop() or [])
    with publish.staging(tmp_path) as staged, pytest.raises(limits.StoppedError):
        run.make(loaded(root), staged / "0", tmp_path, place=tmp_path, terms=run.Terms(guard=guard))
    assert not [*tmp_path.rglob("*.html")]


def test_what_a_stop_brought_about_is_no_failure(root, tmp_path, monkeypatch):
    guard = Guard()

    def cut_off(notebook, values, **_):
        guard.stop()
        return engine_toys.without_kernel(notebook, values)._replace(failure=execute.Failure("OSError", "cut off"))

    monkeypatch.setattr(execute, "execute", cut_off)
    with publish.staging(tmp_path) as staged, pytest.raises(limits.StoppedError):
        run.make(loaded(root), staged / "0", tmp_path, place=tmp_path, terms=run.Terms(guard=guard))
    assert not [*tmp_path.rglob("*.failed.html")]


def test_a_person_is_named_nowhere_in_a_failure():
    named = execute.Failure("KeyError", "no Ann", heading="What Ann won", traceback="deals of Ann", cause="data")
    company = crm.load("sample")
    company.unnamed = lambda text: text.replace("Ann", "R-01")
    found = failures.unnamed(named, company)
    assert (found.message, found.heading, found.traceback) == ("no R-01", "What R-01 won", "deals of R-01")
    assert found.cause == "data"
