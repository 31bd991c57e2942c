"""Runs one notebook in a kernel of its own, through Papermill's interface."""

import asyncio
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time as clock
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, time
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from jupyter_core.utils import ensure_event_loop
from nbclient.exceptions import CellTimeoutError
from nbformat import NotebookNode
from papermill import execute_notebook
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, papermill_engines
from papermill.exceptions import PapermillExecutionError, strip_color
from papermill.execute import ERROR_MARKER_TAG
from papermill.translators import PythonTranslator, papermill_translators
from traitlets.config import Config

from salesops.engine import causes, handover, warm
from salesops.engine.limits import MEGABYTE, Guard, StoppedError, Watch, oom_kills

# One BLAS thread and a fixed hash seed keep sums and set orders, and so the bytes, the same on every run.
_ENVIRONMENT = {
    "MPLBACKEND": "agg",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # nor one of Arrow's: what has two threads cannot be forked
    "PYTHONHASHSEED": "0",
    "JPY_SESSION_NAME": "",  # started from a notebook in JupyterLab it is headless all the same: see salesops.desk
    "MALLOC_MMAP_THRESHOLD_": str(1 << 22),  # glibc: large arrays that are let go go back to the system at once
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # and come in large pages: some hundredths of the time
}
_INJECTED = "injected-parameters"
_LONGEST = 90  # bytes of the folder of sockets; an address may have 103 to 107, and the last part is added
# ipykernel ends a kernel whose parent goes, but not one whose parent went while it was starting and left it to another
# process than the first (of a user's session, of a container): such a kernel would stay forever.
_LEASH = "__import__('os').getppid() == int(__import__('os').environ['JPY_PARENT_PID']) or __import__('os')._exit(1);"
_LATE = 60  # seconds that a cell's outputs may come after its end: a busy machine is no fault of theirs
# Errors whose text is written for a person and needs no name before it.
_IN_WORDS = {
    "ParameterError", "DataError", "StaleError", "SalesopsError", "RunTimeoutError", "CellTimeoutError",
    "MemoryLimitError",
}  # fmt: skip


class Failure(NamedTuple):
    """Where and why a notebook stopped; ``cell`` counts the notebook's own cells from one."""

    error: str
    message: str
    cell: int | None = None
    heading: str = ""
    traceback: str = ""
    cause: str = ""  # one of `causes.CAUSES`
    is_passing: bool = False  # whether another try may go well

    @property
    def sentence(self) -> str:
        """What went wrong, on one line; faults of parameters and data have their own words."""
        text = " ".join(self.message.split())
        return text if self.error in _IN_WORDS else f"{self.error}: {text}"

    @property
    def where(self) -> str:
        """The cell in words."""
        if self.cell is None:
            return "outside its cells"
        return f"cell {self.cell}" + (f" ({self.heading})" if self.heading else "")


class Execution(NamedTuple):
    """An executed notebook, partial where it failed; what it took: seconds, bytes at most, tries."""

    notebook: NotebookNode
    failure: Failure | None = None
    seconds: float = 0.0
    peak_memory_bytes: int | None = None
    attempts: int = 1


class _Translator(PythonTranslator):
    """Writes dates as dates and tuples as tuples, which Papermill's own turns into text."""

    @classmethod
    def translate(cls, val: Any) -> str:
        if isinstance(val, (date, time)):
            return f"_{val!r}"
        if isinstance(val, tuple):
            return f"({''.join(f'{cls.translate(item)}, ' for item in val).rstrip()})"
        return super().translate(val)

    @classmethod
    def codify(cls, parameters: dict[str, Any], comment: str = "Parameters") -> str:
        lines = [f"{name} = {cls.translate(value)}" for name, value in parameters.items()]
        needs_import = any("_datetime." in line for line in lines)
        return "\n".join([f"# {comment}", *["import datetime as _datetime"] * needs_import, *lines])


class _Client(PapermillNotebookClient):
    """Has its kernel watched from its start, and does not wait for a kernel that failed to end by itself."""

    def __init__(self, *arguments: Any, guard: Guard, seen: list[Watch], zygote: warm.Zygote | None, **options: Any):
        super().__init__(*arguments, **options)
        self.guard, self.seen, self.held, self.zygote = guard, seen, ExitStack(), zygote

    def execute(self, **options: Any) -> NotebookNode:
        with self.held:
            return super().execute(**options)

    def create_kernel_manager(self) -> Any:
        manager = super().create_kernel_manager()
        manager.client_factory = warm.Client
        if self.zygote:
            manager.kernel_spec.metadata["kernel_provisioner"] = self.zygote.provisioner(self.guard)
        return manager

    def start_new_kernel(self, **options: Any) -> None:
        super().start_new_kernel(**options)
        self.seen.append(self.held.enter_context(self.guard.watching(self.km.provisioner.process)))
        if isinstance(self.km.provisioner.process, warm.Forked):  # who connects too early tries again much later
            self.km.provisioner.process.until_it_listens(self.startup_timeout)

    def papermill_execute_cells(self) -> None:
        try:
            super().papermill_execute_cells()
            self.seen[-1].look()
        except BaseException:
            self.shutdown_kernel = "immediate"
            raise


class _Engine(Engine):
    """Hands out the notebook as it grows, so a partial one survives a failure of any kind."""

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: Any,
        kernel_name: str,
        *,
        keep: Callable,
        guard: Guard,
        seen: list[Watch],
        start_timeout: int,
        environment: dict[str, str],
        zygote: warm.Zygote | None,
        **_: Any,
    ) -> None:
        keep(nb_man.nb)
        # Papermill would store the values as JSON, which has no dates.
        nb_man.nb.metadata.papermill.pop("parameters", None)
        with handover.folder() as folder:
            client = _Client(
                nb_man,
                guard=guard,
                seen=seen,
                zygote=zygote,
                kernel_name=kernel_name,
                timeout=guard.limits.cell_timeout,
                startup_timeout=start_timeout,
                iopub_timeout=_LATE,
                log=logging.getLogger("papermill"),
                config=_transport(folder),
                extra_arguments=[] if sys.platform == "win32" else [f"--IPKernelApp.exec_lines={_LEASH}"],
            )
            client.execute(env=kernel_environment() | environment, stderr=subprocess.DEVNULL)


def _transport(folder: Path) -> Config:
    """Sockets and their key in a folder of our own: no port, no other reader, nothing that outlives a killed run."""
    if not hasattr(socket, "AF_UNIX") or sys.platform == "win32":
        return Config({"KernelManager": {"connection_file": str(folder / "kernel.json")}})
    told = {"transport": "ipc", "ip": str(folder / "kernel"), "connection_file": str(folder / "kernel.json")}
    if len(told["ip"].encode()) > _LONGEST:
        told = {"connection_file": told["connection_file"]}  # no socket has so long an address: ports of this machine
    return Config({"KernelManager": told})


def kernel_environment() -> dict[str, str]:
    """The environment of every kernel: ours, with what keeps its figures the same everywhere."""
    return os.environ | _ENVIRONMENT


papermill_translators.register("python", _Translator)
papermill_engines.register("salesops", _Engine)


def execute(
    notebook: Path,
    values: dict[str, Any],
    *,
    reports: Path | None = None,
    told: dict[str, str] | None = None,
    progress: str | None = None,
    guard: Guard | None = None,
    zygote: warm.Zygote | None = None,
) -> Execution:
    """The notebook run with these parameter values, in the caller's working directory.

    Several may run at once, each called in a thread of its own (`own_loop`).

    Parameters
    ----------
    notebook
        Path of the notebook; it is not changed.
    values
        A value for each parameter; dates arrive as dates.
    reports
        Where earlier reports are; the notebook finds it in the variable ``SALESOPS_REPORTS``.
    told
        Further variables of the kernel's environment.
    progress
        Label of a progress bar; none is shown without.
    guard
        The run's limits; none without.
    zygote
        What forks the kernel; it starts by itself without.

    Raises
    ------
    StoppedError
        The run was stopped meanwhile.
    """
    guard = guard or Guard()
    begun, kept, seen = clock.monotonic(), [], []
    where = {} if reports is None else {"SALESOPS_REPORTS": str(reports.resolve())}
    options = {
        "keep": kept.append, "seen": seen, "guard": guard, "zygote": zygote, "environment": (told or {}) | where,
    }  # fmt: skip
    failure = _run(notebook, values, progress, kept, seen, options)
    if seen and seen[-1].ended == "stopped":
        raise StoppedError
    made = kept[0] if kept else nbformat.read(notebook, as_version=4)
    return Execution(made, failure, clock.monotonic() - begun, seen[-1].peak if seen else None)


def _run(
    notebook: Path, values: dict[str, Any], progress: str | None, kept: list[NotebookNode], seen: list[Watch],
    options: dict[str, Any],
) -> Failure | None:  # fmt: skip
    """Run it; why it stopped, if it did."""
    logging.getLogger("papermill").setLevel(logging.CRITICAL)
    # Papermill formats paths, so braces in them are doubled.
    path = str(notebook).replace("{", "{{").replace("}", "}}")
    bar = {"desc": progress, "leave": False} if progress else False
    common = {"engine_name": "salesops", "kernel_name": "python3", "language": "python", "progress_bar": bar}
    try:
        execute_notebook(path, None, values, **common, **options)
    except PapermillExecutionError as fault:
        trace = "\n".join(fault.traceback)
        return _failure(_own(kept[0]), fault.cell_index, fault.ename, fault.evalue, trace)
    except CellTimeoutError as fault:
        return _at(kept[0], _timeout(fault, options["guard"]))
    except (RuntimeError, OSError) as fault:  # the kernel died, or did not start
        cells = kept[0].cells if kept else []
        has_begun = any(cell.metadata.get("papermill", {}).get("start_time") for cell in cells)
        failure = _death(fault, seen[-1] if seen else None, options["guard"], has_begun)
        return _at(kept[0], failure) if has_begun else failure
    return None


def _timeout(fault: CellTimeoutError, guard: Guard) -> Failure:
    if "IOPub" in str(fault):  # it ended in time; what it showed did not arrive
        return Failure("CellTimeoutError", f"its outputs did not arrive within {_LATE} s.", cause="input/output",
                       is_passing=True)  # fmt: skip
    said = f"it took longer than the {guard.limits.cell_timeout} s that a cell may (--cell-timeout)."
    return Failure("CellTimeoutError", said, cause="cell timeout")


def _death(fault: Exception, watch: Watch | None, guard: Guard, has_begun: bool) -> Failure:
    """Why a kernel ended before its notebook, as far as it can be told."""
    error, is_ours = type(fault).__name__, isinstance(fault, OSError) and not isinstance(fault, TimeoutError)
    if watch is None or is_ours:  # it could not be started, or something beside it went wrong
        cause = causes.of(fault) if is_ours else "kernel killed"
        return Failure(error, str(fault), cause=cause, is_passing=not is_ours or causes.is_passing(fault))
    if watch.ended == "run timeout":
        return Failure("RunTimeoutError", guard.overdue, cause="run timeout")
    if watch.ended == "out of memory":
        said = f"the kernel held {(watch.peak or 0) // MEGABYTE:,} MB and may hold {guard.limits.memory:,} (--memory)."
        return Failure("MemoryLimitError", said, cause="out of memory")
    if not has_begun and "respond" in str(fault):
        return Failure(error, "Kernel did not answer in time after its start.", cause="kernel killed", is_passing=True)
    cause, said = _ending(watch)
    is_passing = cause == "kernel killed" and (not has_begun or getattr(watch.process, "is_orphaned", False))
    return Failure("DeadKernelError", said, cause=cause, is_passing=is_passing)


def _ending(watch: Watch) -> tuple[str, str]:
    """Cause and words of an ending that was not ours."""
    code, kills = watch.process.poll(), oom_kills()
    if code is None:
        return "kernel killed", "Kernel did not answer, though it still ran."
    if code >= 0:
        return "kernel killed", f"Kernel died: it ended itself with code {code}."
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    if code != -getattr(signal, "SIGKILL", 9):
        return "kernel killed", f"Kernel died of {name}."
    if kills is None or watch.oom_kills is None:
        return "kernel killed", f"Kernel died: killed ({name}); whether for want of memory the system does not say."
    if kills > watch.oom_kills:
        return "out of memory", f"Kernel died: killed by the system for want of memory ({name})."
    return "kernel killed", f"Kernel died: killed from outside ({name}), not for want of memory."


def _at(notebook: NotebookNode, failure: Failure) -> Failure:
    """The failure with the cell it happened in: the last that began."""
    cells = _own(notebook)
    ran = [index for index, cell in enumerate(cells) if cell.metadata.get("papermill", {}).get("end_time")]
    found = _failure(cells, ran[-1] if ran else 0, failure.error, failure.message, "")
    return failure._replace(cell=found.cell, heading=found.heading)


@contextmanager
def own_loop() -> Iterator[None]:
    """Close what a thread that ran notebooks leaves open, tasks of dead kernels above all."""
    try:
        yield
    finally:
        loop = ensure_event_loop()
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
        asyncio.set_event_loop(None)


def cell_seconds(notebook: NotebookNode) -> list[float | None]:
    """How long each code cell took."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [cell.metadata.get("papermill", {}).get("duration") for cell in cells]


def messages(notebook: NotebookNode) -> list[str]:
    """What cells wrote to standard error."""
    return [
        output.text
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream" and output.name == "stderr"
    ]


def cleaned(notebook: NotebookNode, values: dict[str, Any]) -> NotebookNode:
    """The notebook without what differs from run to run: times, paths, process ids, random ids.

    Parameters
    ----------
    notebook
        As executed; it is changed.
    values
        What the injected cell shall say, e.g. a source's label in place of its path.
    """
    notebook.metadata.pop("papermill", None)
    notebook.cells = _own(notebook)
    for number, cell in enumerate(notebook.cells, start=1):
        cell["id"] = f"cell-{number}"
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if _INJECTED in cell.metadata.get("tags", []):
            cell.source = _Translator.codify(values)
        if cell.cell_type == "code":
            cell.outputs = [_steady(output) for output in cell.outputs if output.get("name") != "stderr"]
    return notebook


def scrubbed(notebook: NotebookNode, values: dict[str, Any], clean: Callable[[str], str]) -> NotebookNode:
    """A notebook that stopped, for its author to read: values as published, and all that was said made clean.

    Parameters
    ----------
    notebook
        As far as it ran; it is changed.
    values
        What the injected cell shall say.
    clean
        Applied to every line that a cell wrote to a stream or ended with.
    """
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        if _INJECTED in cell.metadata.get("tags", []):
            cell.source = _Translator.codify(values)
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                output.text = clean(output.text)
            elif output.output_type == "error":
                output.evalue, output.traceback = clean(output.evalue), [clean(line) for line in output.traceback]
            else:  # a page that was refused may show what it was refused for
                shown = output.get("data", {})
                output.data = {kind: clean(said) if isinstance(said, str) else said for kind, said in shown.items()}
    return notebook


def without_facts(notebook: NotebookNode) -> NotebookNode:
    """The notebook without the facts its outputs carried for the engine."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            output.get("metadata", {}).pop("salesops", None)
    return notebook


def _own(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if ERROR_MARKER_TAG not in cell.metadata.get("tags", [])]


def _steady(output: NotebookNode) -> NotebookNode:
    if "text/plain" in output.get("data", {}):
        output.data["text/plain"] = re.sub(r" at 0x[0-9a-fA-F]+", "", output.data["text/plain"])
    return output


def _failure(cells: list[NotebookNode], index: int, error: str, message: str, traceback: str) -> Failure:
    own = [cell for cell in cells[: index + 1] if _INJECTED not in cell.metadata.get("tags", [])]
    headings = [
        line.lstrip("#").strip()
        for cell in own
        if cell.cell_type == "markdown"
        for line in cell.source.splitlines()
        if re.match(r"#{1,6} ", line)
    ]
    told = Failure(error, message.strip() or error, len(own), headings[-1] if headings else "", strip_color(traceback))
    return told._replace(cause=causes.of_error(error, message), is_passing=causes.is_passing_error(error, message))
