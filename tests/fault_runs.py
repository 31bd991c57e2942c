"""Runs that are killed, for benchmarks/faults.py and test_faults.py: small companies, real processes and kernels.

Runs are forked from one process that has imported everything, so that one takes about two seconds. Each has a
process group and a folder of temporary files that it shares with the other runs of its world; its kernels are known by
that folder, in their command lines or, where they are forked, in the environment of what they are forked from. A report's `level` numbers the run that made it: two runs differ in every file.
A run `by_hand` executes the cells in its own process, without a kernel: in publishing nothing differs, and it is soon
there.
"""

import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
DAY = "2026-09-30"
ENDINGS = (".ipynb", ".json", ".deals.parquet", ".deals.html", ".run.json", ".html")
SECONDS = 120  # a run that takes longer hangs
KERNEL = 0.5  # seconds that a kernel takes at least, so that it can be met alive
_ONE = threading.Lock()
ZYGOTE = b"salesops.engine.zygote"
_ADOPTS = 36  # PR_SET_CHILD_SUBREAPER
DEATH = 30  # seconds within which a kernel must be gone; the poller looks every second, the machine may be busy


class World(NamedTuple):
    """Where runs of one company read, publish and leave what does not last."""

    root: Path
    out: Path
    tmp: Path


class Run(NamedTuple):
    """A run under way."""

    pid: int
    log: Path

    @property
    def is_over(self) -> bool:
        """Whether the process has ended; it may not have been waited for."""
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            return True


class Runs:
    """Starts runs by forking a process that has imported what they need."""

    def __init__(self) -> None:
        environment = os.environ | {"SALESOPS_NOTES": os.devnull}
        self.server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def start(self, world: World, *arguments: str, by_hand: bool = False, is_plain: bool = False) -> Run:
        """`salesops run` with these arguments, in a process of its own; root has no privileges in a plain one."""
        log = Path(tempfile.mkstemp(prefix="said-", dir=world.root)[1])
        told = {"arguments": ["--root", str(world.root), "--out", str(world.out), *arguments], "tmp": str(world.tmp)}
        return Run(int(self._asked(told | {"log": str(log), "is_plain": is_plain, "by_hand": by_hand})), log)

    def wait(self, run: Run) -> int:
        """Its exit code; less than nothing where a signal ended it."""
        until = time.monotonic() + SECONDS
        while not run.is_over:
            if time.monotonic() > until:
                os.killpg(run.pid, signal.SIGKILL)
                raise AssertionError(f"a run takes longer than {SECONDS} seconds: {run.log.read_text()}")
            time.sleep(0.01)
        return int(self._asked({"wait": run.pid}))

    def close(self) -> None:
        """End the process; runs that are under way end on their own."""
        self.server.stdin.close()
        self.server.wait(timeout=10)
        self.server.stdout.close()

    def _asked(self, what: dict) -> str:
        self.server.stdin.write(json.dumps(what) + "\n")
        self.server.stdin.flush()
        return self.server.stdout.readline()


@contextmanager
def runs() -> Iterator[Runs]:
    """The one that starts runs, closed at the end."""
    found = Runs()
    try:
        yield found
    finally:
        found.close()


def world(place: Path, *reports: str) -> World:
    """A company of toy notebooks in a folder, with nothing published."""
    import engine_toys

    work = "\n".join(line for line in engine_toys.WORK.splitlines() if not line.startswith("print("))
    work += f"\n__import__('time').sleep({KERNEL} * (__name__ == '__main__'))"  # in a kernel, not by hand
    for name in reports:
        # Titles, and so the lists of reports, and the lists of deals differ from run to run too.
        say = engine_toys.SAY.replace('"Toy report"', 'f"Toy of run {round(level * 1000)}"')
        say = say.replace('["D1", "D2"]', '["D1", "D2", "D3"][: 1 + round(level * 1000) % 3]')
        engine_toys.notebook(place / "notebooks" / f"{name}.ipynb", cells=(work, say))
    found = World(place, place / "out", place / "tmp")
    found.tmp.mkdir()
    return found


def level(number: int) -> str:
    """The argument that makes a run the one of this number."""
    return f"level={number / 1000}"


def number(text: str) -> int:
    """Which run made a report, by its figures file."""
    return round(json.loads(text)["parameters"]["level"] * 1000)


def faults(out: Path) -> list[str]:
    """What is wrong with what is published; nothing must ever be, whatever happened and before any further run."""
    days = sorted(path for path in out.glob("[0-9]*") if path.is_dir())
    found = [fault for day in days for fault in _of_day(day)]
    return [*found, *_of_links(out), *(_of_page(out / "index.html") if (out / "index.html").exists() else [])]


def published(out: Path, day: str = DAY) -> dict[str, int]:
    """The reports of a day and the number of the run that made each."""
    pages = [path for path in (out / day).glob("*.html") if re.fullmatch(r"(?!index)\w+\.html", path.name)]
    return {path.stem: number(path.with_suffix(".json").read_text()) for path in sorted(pages)}


def left(world: World) -> list[str]:
    """What does not last and is still there: staging, temporary folders, what is half changed."""
    found = [*world.out.rglob(".staging-*"), *world.out.rglob("change-*"), *world.tmp.iterdir()]
    return sorted(str(path.relative_to(world.root)) for path in found)


def kernels(world: World) -> list[int]:
    """The processes of its kernels that are alive."""
    warm = {pid: parent for pid, parent, words in _alive(world) if ZYGOTE in words}
    forked = [pid for pid, parent in warm.items() if parent in warm]
    return [*forked, *(pid for pid, _, words in _alive(world) if ZYGOTE not in words)]


def zygotes(world: World) -> list[int]:
    """The processes that its kernels are forked from, and orphaned kernels."""
    return sorted({pid for pid, _, words in _alive(world) if ZYGOTE in words} - set(kernels(world)))


def _alive(world: World) -> Iterator[tuple[int, int, list[bytes]]]:
    """Number, parent and command line of the processes of its runs."""
    tmp = os.fsencode(world.tmp)
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
            state, parent = (entry.parent / "stat").read_text().rpartition(")")[2].split()[:2]
            told = (entry.parent / "environ").read_bytes().split(b"\0") if ZYGOTE in words else []
        except (OSError, ValueError):
            continue
        if state != "Z" and (b"TMPDIR=" + tmp in told or any(word.startswith(tmp) for word in words)):
            yield int(entry.parent.name), int(parent), words


def seconds_to_die(world: World) -> float:
    """How long the kernels of a killed run, and what they are forked from, outlive it."""
    began = time.monotonic()
    while alive := [*kernels(world), *zygotes(world)]:
        if time.monotonic() > began + DEATH:
            raise AssertionError(f"kernels outlive their run by {DEATH} seconds: {alive}")
        time.sleep(0.02)
    return time.monotonic() - began


def when(run: Run, has_come: Callable[[], bool], seconds: float = SECONDS, every: float = 0.001) -> bool:
    """Wait for a moment, looking every so many seconds; False where the run is over before."""
    until = time.monotonic() + seconds
    while not has_come():
        if run.is_over or time.monotonic() > until:
            return False
        time.sleep(every)
    return True


def kill(run: Run, kind: str, world: World) -> bool:
    """Kill the group, the parent alone or a kernel alone; False where there is nothing to kill."""
    try:
        if kind == "group":
            os.killpg(run.pid, signal.SIGKILL)
        elif kind == "parent":
            os.kill(run.pid, signal.SIGKILL)
        else:
            alive = kernels(world)
            for pid in alive:
                os.kill(pid, signal.SIGKILL)
            return bool(alive)
    except ProcessLookupError:
        return False
    return True


def _of_day(folder: Path) -> Iterator[str]:
    from salesops.engine import index

    for name in sorted({path.name.partition(".")[0] for path in folder.iterdir()} - {"index"}):
        there = {ending for ending in ENDINGS if (folder / f"{name}{ending}").exists()}
        if there == set(ENDINGS):
            try:
                yield from _of_report(folder, name)
            except (ValueError, KeyError) as fault:
                yield f"{folder.name}/{name}: cannot be read: {fault!r}"
        elif there:
            yield f"{folder.name}/{name}: of its files only {sorted(there)} are there"
    listed = folder / "index.html"
    if not listed.exists():
        yield f"{folder.name}: has no list of its reports"
    elif listed.read_text(encoding="utf-8") != index.of_day(folder):
        yield f"{folder.name}: its list is not of what it holds"


def _of_report(folder: Path, name: str) -> Iterator[str]:
    import pyarrow.parquet as pq

    from salesops import report

    texts = {ending: (folder / f"{name}{ending}").read_bytes() for ending in ENDINGS}
    content = json.loads(texts[".json"])
    run_id, made_by = content["run_id"], number(texts[".json"].decode())
    for ending in (".html", ".run.json", ".deals.html"):
        if run_id not in texts[ending].decode():
            yield f"{folder.name}/{name}{ending}: is not of run {run_id}"
    if f"level = {content['parameters']['level']}" not in texts[".ipynb"].decode():
        yield f"{folder.name}/{name}.ipynb: is of another run"
    if pq.read_table(folder / f"{name}.deals.parquet").num_rows != 1 + made_by % 3:
        yield f"{folder.name}/{name}.deals.parquet: is of another run"
    known = content | {"data_through": DAY}  # of the toy company
    yield from (f"{folder.name}/{name}: {fault}" for fault in report.faults(texts[".html"].decode(), known))
    if not texts[".html"].decode().rstrip().endswith("</html>"):
        yield f"{folder.name}/{name}.html: is cut off"
    yield from _of_page(folder / f"{name}.deals.html")


def _of_page(path: Path) -> Iterator[str]:
    from salesops import report
    from salesops.engine import pages

    text = path.read_text(encoding="utf-8")
    if not text.rstrip().endswith("</html>"):
        yield f"{path.name}: is cut off"
    yield from (f"{path.name}: {fault}" for fault in report.faults(text, largest=pages.LISTS))
    for address in re.findall(r'<a href="([^"#:]+)"', text):
        if not (path.parent / address).exists():
            yield f"{path.name}: leads to {address}, which is not there"


def _of_links(out: Path) -> Iterator[str]:
    """Links that lead nowhere, or whose files of one report are of two dates."""
    for folder in [out / "latest", *(out / "by-period").glob("*")]:
        days: dict[str, set[str]] = {}
        if folder.is_symlink() or not folder.is_dir():
            continue
        for path in folder.iterdir():
            if not path.exists():
                yield f"{path.relative_to(out)}: leads nowhere"
            days.setdefault(path.name.partition(".")[0], set()).add(path.resolve().parent.name)
        yield from (f"{folder.name}/{name}: is of {sorted(own)}" for name, own in days.items() if len(own) > 1)


def _serve() -> None:
    """Fork a run for each line of the standard input, or wait for one."""
    sys.path.insert(0, str(ROOT / "tests"))
    import engine_toys

    import salesops.engine.run  # noqa: F401
    from salesops import cli, crm
    from salesops.engine import record

    # Whoever is left without a parent comes to this process, as in a user's session or a container, not to the first.
    ctypes.CDLL(None).prctl(_ADOPTS, 1, 0, 0, 0)
    crm.load = engine_toys.company
    record.code_hash(), record.versions(), record.code()  # what a process works out once
    for line in sys.stdin:
        asked = json.loads(line)
        if "wait" in asked:
            answer = os.waitstatus_to_exitcode(os.waitpid(asked["wait"], 0)[1])
        else:
            answer = os.fork() or _forked(asked, cli.main)
        print(answer, flush=True)


def _executed(notebook: Path, values: dict, **_: object) -> object:
    """What a kernel makes of a toy notebook; one at a time, as there is one place that shows."""
    with _ONE:
        return _by_hand(notebook, values)


def _by_hand(notebook: Path, values: dict) -> object:
    import IPython.display
    import nbformat

    from salesops.engine import execute

    book, space, shown = nbformat.read(notebook, as_version=4), {}, []
    IPython.display.display = lambda data, *, metadata, **_: shown.append((data, metadata))
    told = nbformat.v4.new_code_cell("", metadata={"tags": ["injected-parameters"]})
    for cell in [each for each in book.cells if each.cell_type == "code"]:
        shown.clear()
        exec(cell.source, space)
        cell.outputs = [nbformat.v4.new_output("display_data", data, metadata=facts) for data, facts in shown]
        if "parameters" in cell.metadata.get("tags", []):
            space.update(values)
            book.cells.insert(book.cells.index(cell) + 1, told)
    return execute.Execution(book)


def _without_privileges() -> None:
    """From here on permissions of files hold for root too."""
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    if ctypes.CDLL(None, use_errno=True).capset(header, none):
        raise OSError(ctypes.get_errno(), "privileges cannot be dropped")


def _forked(asked: dict, main: Callable[[list[str]], int]) -> None:
    os.setsid()
    tempfile.tempdir = os.environ["TMPDIR"] = asked["tmp"]
    os.environ |= {"HOME": asked["tmp"], "IPYTHONDIR": f"{asked['log']}.ipython"}
    said = os.open(asked["log"], os.O_WRONLY)
    for number in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDONLY) if number == 0 else said, number)
    code = 99
    if asked["by_hand"]:
        from salesops.engine import execute

        execute.execute = _executed
    try:
        if asked["is_plain"]:
            _without_privileges()
        code = main(["run", *asked["arguments"]])
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
