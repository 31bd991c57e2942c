"""Reports made by the workers of a Dask cluster: as here, whatever dies meanwhile."""

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import engine_toys
import nbformat
import psutil
import pytest
from crm_folder import write
from test_fan_out import files

from salesops import checks, cli
from salesops.engine import catalog, causes, commands, limits, log, plan, remote, run

pytestmark = pytest.mark.usefixtures("root")

DAY = "2026-04-15"
NOT_SMB = "if 'SMB' in where:\n    raise ValueError('no model for ' + where)\n"
SLOW = "import time\nif (folder := __import__('pathlib').Path('slow')).is_dir():\n    time.sleep(60 if not list(folder.iterdir()) and not (folder / 'begun').touch() else 0)\n"
DEALS = "opportunity_id,amount,created_date,close_date,outcome,segment\n" + "".join(
    f'd{n},{n}00,2026-01-10,2026-0{4 - n % 2}-15,{"won" if n % 2 else "lost"},"{segment}"\n'
    for n, segment in enumerate(["SMB", "a/b", "a b", "Mid, large"] * 3, start=1)
)
PARTS = ["Mid-large", "SMB", "a-b-c8687a", "a-b-c14cdd"]


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "root"
    for name, cells in {"cover": (), "good": (), "torn": (NOT_SMB,), "slow": (SLOW,)}.items():
        engine_toys.notebook(folder / "notebooks" / f"{name}.ipynb", cells=(*cells, engine_toys.WORK, engine_toys.SAY))
    path = folder / "notebooks" / "cover.ipynb"
    book = nbformat.read(path, as_version=4)
    book.cells[-1].metadata["tags"] = [catalog.READS_REPORTS]
    nbformat.write(book, path)
    write(folder / "crm", opportunities=DEALS)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "host": "127.0.0.1"}
    with distributed.LocalCluster(**options, dashboard_address=None, silence_logs=50) as made:
        yield made


@pytest.fixture
def address(cluster) -> str:
    return cluster.scheduler_address.replace("tcp://", remote.DASK)


def made(out: Path, *reports: str, **more: object) -> tuple[int, list[str]]:
    told: list[str] = []
    asked = {"assignments": ("source=crm", "where="), "force": False} | more
    return run.run(plan.Request(out=out, reports=reports, **asked), told.append), told


def without_seconds(told: list[str]) -> list[list[str]]:
    return [
        [word for word in line.split() if not word.replace(".", "").isdigit()]
        for text in told
        for line in text.splitlines()
    ]


@pytest.mark.full
def test_a_cluster_publishes_the_bytes_and_says_the_words_of_this_machine(address):
    parts = ("SMB", "a-b-c14cdd")
    here = made(Path("out"), "cover", "torn", for_each="segment=SMB,a/b")
    os.rename("out", "kept")
    there = made(Path("out"), "cover", "torn", for_each="segment=SMB,a/b", executor=address)
    assert here[0] == there[0] == 1
    assert without_seconds(here[1]) == without_seconds(there[1])
    assert there[1][-1].splitlines()[1].endswith("notebook code")
    assert different(Path("kept"), Path("out")) == set()
    entries = [each["report"] for each in log.read(Path("out"))]
    assert sorted(entries[:2]) == [f"torn.{part}" for part in parts]
    assert sorted(entries[2:]) == [f"cover.{part}" for part in parts]  # after the others


def different(one: Path, other: Path) -> set[str]:
    """The files that differ, but for what tells times and processes."""
    found, again = files(one), files(other)
    return {name for name in found.keys() | again.keys() if found.get(name) != again.get(name)}


def workers(cluster) -> list[int]:
    return [worker.process.pid for worker in cluster.workers.values()]


def running(pids: list[int]) -> tuple[int, list[psutil.Process]] | None:
    """A worker at work on a command whose notebook has begun, with all that it started."""
    for pid in pids:
        below = psutil.Process(pid).children(recursive=True)
        if below and (Path("slow") / "begun").exists():
            return pid, below
    return None


def test_a_killed_worker_is_started_again_and_all_parts_are_published(cluster, address):
    Path("slow").mkdir()
    before, killed = workers(cluster), []

    def kill() -> None:
        for _ in range(600):
            found = running(before)
            if found:
                for pid in [found[0], *(each.pid for each in found[1])]:
                    os.kill(pid, signal.SIGKILL)
                killed.append(found[0])
                return
            time.sleep(0.1)

    thread = threading.Thread(target=kill)
    thread.start()
    code, told = made(Path("out"), "slow", for_each="segment=SMB", executor=address)
    thread.join()
    assert killed and code == 0
    assert [line.split()[:3] for line in told[-1].splitlines()[1:]] == [["slow", "SMB", "ok"]]
    published = Path("out") / DAY
    assert (published / "slow.SMB.html").is_file() and not list(published.glob("*.failed.*"))
    assert (
        json.loads((published / "slow.SMB.run.json").read_text())["attempts"] == 1
    )  # another command, not another try
    cluster.wait_for_workers(2, timeout=60)
    assert set(workers(cluster)) - set(before)


def test_no_scheduler_is_said_in_a_line(capsys):
    pytest.importorskip("distributed")
    began = time.monotonic()
    remote._ANSWER, usual = 0.5, remote._ANSWER
    try:
        code = cli.main(["run", "good", "-p", "source=crm", "--executor", "dask://127.0.0.1:1"])
    finally:
        remote._ANSWER = usual
    assert code == 2 and time.monotonic() - began < 20
    said = capsys.readouterr().err
    assert "no scheduler answers there" in said and "Traceback" not in said


def test_without_a_scheduler_no_client_is_left_to_wait_for(monkeypatch):
    """One that hangs on the fault would keep the command for half a minute after it has said what is wrong."""
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(remote, "_ANSWER", 0.5)
    before = {id(each) for each in gc.get_objects() if isinstance(each, distributed.Client)}
    with pytest.raises(checks.ParameterError) as error:
        remote._client("dask://127.0.0.1:1", print)
    gc.collect()
    assert error.value.__context__ is None
    assert not [1 for each in gc.get_objects() if isinstance(each, distributed.Client) and id(each) not in before]


def test_without_dask_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(checks.ParameterError, match=r"pip install 'salesops\[dask\]'"):
        made(Path("out"), "good", executor="dask://127.0.0.1:1")


class Cluster:
    """Stands for a cluster: runs each task at once, with what a worker would answer."""

    def __init__(self, answer):
        self.answer, self.tasks, self.cancelled = answer, [], []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def submit(self, _, arguments, **named):
        self.tasks.append((arguments, named))
        return SimpleNamespace(result=lambda: self.answer(arguments), arguments=arguments)

    def cancel(self, works, **_):
        self.cancelled += works


def pretended(monkeypatch, answer) -> Cluster:
    cluster = Cluster(answer)
    monkeypatch.setattr(remote, "_client", lambda *_: cluster)
    return cluster


def raises(fault: BaseException):
    def answer(_):
        raise fault

    return answer


@pytest.mark.parametrize(
    ("answer", "code", "cause", "words"),
    [
        (lambda _: commands.Done(3, [], "deals.csv: is empty."), 3, "data", "deals.csv: is empty."),
        (lambda _: commands.Done(2, [], "no such column."), 2, "parameters", "no such column."),
        (lambda _: commands.Done(0, [], ""), 1, "input/output", "Run it again."),
        (raises(commands.DiedError("the command was killed by signal 9 on w1")), 1, "input/output", "signal 9 on w1."),
        (raises(OSError("Timed out")), 1, "input/output", "OSError: Timed out"),
    ],
    ids=["data", "parameters", "nothing", "died", "lost"],
)
def test_what_a_worker_cannot_make_is_told_and_the_others_go_on(monkeypatch, answer, code, cause, words):
    good = {"outcome": "ok", "seconds": 1.0, "cause": None, "exit_code": 0, "told": "made"}

    def answered(arguments):
        if arguments[1] == "good":
            return commands.Done(0, [good | {"report": "good"}], "")
        return answer(arguments)

    cluster = pretended(monkeypatch, answered)
    found, told = made(Path("out"), "torn", "good", executor="dask://w:1")
    assert found == code and told[0].startswith("torn failed: ") and told[0].endswith(words) and told[1] == "made"
    assert len(cluster.tasks) == 2
    page = (Path("out") / "failed" / "reports.html").read_text()
    assert causes.CAUSES[cause].sentence in page and words.rstrip(".") in page


def test_what_is_stopped_is_taken_back(monkeypatch):
    cluster = pretended(monkeypatch, raises(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        made(Path("out"), "torn", "good", executor="dask://w:1")
    assert len(cluster.cancelled) == 2 and not list(Path("out").glob(".staging-*"))


def test_a_worker_stops_what_nobody_waits_for(root):
    Path("slow").mkdir(), Path("leash").mkdir()
    arguments = ["run", "slow", "-p", "source=crm", "-p", "where=", "--out", "out", "--json"]

    def let_go() -> None:
        for _ in range(600):
            if (Path("slow") / "begun").exists():
                break
            time.sleep(0.1)
        Path("leash").rmdir()

    threading.Thread(target=let_go).start()
    done = commands.run(arguments, folder=str(root), leash=str(root / "leash"))
    assert done.code == 130 and done.reports == [] and "stopped" in done.said
    assert not list(Path("out").glob("2*/*.html"))


def test_a_killed_command_is_a_fault_that_passes(root, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/sh")
    monkeypatch.setattr(
        subprocess, "Popen", lambda _, of=subprocess.Popen, **more: of(["/bin/sh", "-c", "kill -9 $$"], **more)
    )
    with pytest.raises(commands.DiedError, match="killed by signal 9"):
        commands.run([], folder=str(root), leash=str(root))


def test_the_command_is_what_was_asked_for_and_no_secret(monkeypatch):
    monkeypatch.setenv("SALESOPS_PASSWORD", "hunter2")
    asked = plan.Request(
        reports=("good",), assignments=("good.level=0.7",), for_each="region=EMEA,APAC", retries=1, force=False, max_age=3, cold=True,
        parameters=Path("p.yaml"), limits=limits.Limits(60.0, 30, 900), schedule="weekly",
        wanted=plan.exports.Wanted(pdf=True, xlsx=True, readers=("a@b.c", "d@e.f"), owner="o@b.c", base_url="https://x.y"),
    )  # fmt: skip
    job = plan.Job("good.EMEA", Path("good.ipynb"), {}, part="EMEA")
    words = remote.words(plan.Loaded(job, None, None), asked)
    options = cli._parser().parse_args(words)
    expected = asked._replace(reports=("good",), for_each="region=EMEA", jobs=1)
    assert cli._request(options) == expected and options.json and "hunter2" not in " ".join(words)
    assert remote.words(plan.Loaded(plan.Job("good", Path("good.ipynb"), {}), None, None), asked)[:3] == [
        "run",
        "good",
        "-p",
    ]


def test_every_value_of_a_request_reaches_the_worker():
    """A field that is new has to be sent, or named here as one that is not."""
    ours = {"executor", "part", "jobs", "reports", "for_each"}
    sent = {
        "root",
        "out",
        "parameters",
        "assignments",
        "wanted",
        "retries",
        "limits",
        "max_age",
        "schedule",
        "force",
        "cold",
    }
    assert set(plan.Request._fields) == ours | sent


@pytest.fixture
def parts():
    """The names of the parts that a request would make."""

    def of(for_each: str, part: str = "") -> list[str]:
        asked = plan.Request(reports=("good",), assignments=("source=crm", "where="), for_each=for_each)
        found = plan.load(plan.jobs(asked), for_each, print, part=part)
        return [each.job.name.removeprefix("good.") for each in found]

    return of


def test_a_part_has_one_name_whichever_others_are_made(parts):
    assert parts("segment") == PARTS
    assert [parts(f"segment={value}") for value in ("Mid, large", "SMB", "a b", "a/b")] == [["Mid-large"], ["SMB"], ["a-b-c8687a"], ["a-b-c14cdd"]]  # fmt: skip
    assert parts("segment=a/b, SMB") == ["a-b-c14cdd", "SMB"]


def test_the_parts_by_number_are_each_made_once(parts):
    for count in (1, 2, 3, 4, 7):
        found = [parts("segment", f"{index}/{count}") for index in range(count)]
        assert sorted(name for each in found for name in each) == sorted(PARTS)
        assert found[1 % count][:1] == PARTS[1 % count : 1 % count + 1]


@pytest.mark.parametrize("part", ["4/4", "-1/4", "1", "a/b", "1/0", "1/2/3", "/"])
def test_a_part_that_is_none_is_refused(parts, part):
    with pytest.raises(checks.ParameterError, match="--part: "):
        parts("segment", part)


def test_a_part_that_is_none_is_refused_before_anything_is_read(capsys):
    assert cli.main(["run", "good", "-p", "source=nowhere", "--for-each", "segment", "--part", "3/3"]) == 2
    assert capsys.readouterr().err.startswith("--part: '3/3' is none.")


def test_a_part_without_a_column_is_refused(capsys):
    assert cli.main(["run", "good", "-p", "source=crm", "--part", "0/2"]) == 2
    assert "--part: goes with --for-each" in capsys.readouterr().err


@pytest.mark.parametrize("executor", ["dask://", "dask://host", "dask://host:port", "ssh://host:22", "", "dask"])
def test_an_executor_that_is_none_is_refused(executor):
    with pytest.raises(checks.ParameterError, match="--executor: "):
        made(Path("out"), "good", executor=executor)


def test_json_is_a_line_a_report(capsys):
    assert (
        cli.main(["run", "good", "torn", "-p", "source=crm", "-p", "where=segment == 'SMB'", "--out", "out", "--json"])
        == 1
    )
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["report"], each["outcome"], each["exit_code"], each["cause"]) for each in lines] == [
        ("good", "ok", 0, None), ("torn", "failed", 1, "notebook code"),
    ]  # fmt: skip
    assert lines[0]["told"].startswith("good: ok, out/") and lines[0]["as_of"] == DAY
