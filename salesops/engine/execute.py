"""Runs one notebook in a kernel of its own, through Papermill's interface."""

import logging
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import date, time
from pathlib import Path
from typing import Any, NamedTuple

from nbformat import NotebookNode
from papermill import execute_notebook
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, papermill_engines
from papermill.exceptions import PapermillExecutionError, strip_color
from papermill.execute import ERROR_MARKER_TAG
from papermill.translators import PythonTranslator, papermill_translators
from traitlets.config import Config

# One BLAS thread and a fixed hash seed keep sums and set orders, and so the bytes, the same on every run.
_ENVIRONMENT = {
    "MPLBACKEND": "agg",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "JPY_SESSION_NAME": "",  # started from a notebook in JupyterLab it is headless all the same: see salesops.desk
    "MALLOC_MMAP_THRESHOLD_": str(1 << 22),  # glibc: large arrays that are let go go back to the system at once
}
_INJECTED = "injected-parameters"


class Failure(NamedTuple):
    """Where and why a notebook stopped; ``cell`` counts the notebook's own cells from one."""

    error: str
    message: str
    cell: int | None = None
    heading: str = ""
    traceback: str = ""

    @property
    def sentence(self) -> str:
        """What went wrong, on one line; faults of parameters and data have their own words."""
        text = " ".join(self.message.split())
        return text if self.error in ("ParameterError", "DataError", "SalesopsError") else f"{self.error}: {text}"

    @property
    def where(self) -> str:
        """The cell in words."""
        if self.cell is None:
            return "outside its cells"
        return f"cell {self.cell}" + (f" ({self.heading})" if self.heading else "")


class Execution(NamedTuple):
    """An executed notebook, partial where it failed."""

    notebook: NotebookNode
    failure: Failure | None = None


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


class _Engine(Engine):
    """Hands out the notebook as it grows, so a partial one survives a failure of any kind."""

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: Any,
        kernel_name: str,
        *,
        keep: Callable,
        cell_timeout: float | None,
        start_timeout: int,
        environment: dict[str, str],
        **_: Any,
    ) -> None:
        keep(nb_man.nb)
        # Papermill would store the values as JSON, which has no dates.
        nb_man.nb.metadata.papermill.pop("parameters", None)
        with tempfile.TemporaryDirectory(prefix="salesops-") as folder:
            client = PapermillNotebookClient(
                nb_man,
                kernel_name=kernel_name,
                timeout=cell_timeout,
                startup_timeout=start_timeout,
                log=logging.getLogger("papermill"),
                config=_transport(folder),
            )
            client.execute(env=os.environ | _ENVIRONMENT | environment, stderr=subprocess.DEVNULL)


def _transport(folder: str) -> Config:
    """Sockets in a folder of our own, where the system has them: no port, no other reader."""
    if not hasattr(socket, "AF_UNIX") or sys.platform == "win32":
        return Config()
    return Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/kernel"}})


papermill_translators.register("python", _Translator)
papermill_engines.register("salesops", _Engine)


def execute(
    notebook: Path,
    values: dict[str, Any],
    *,
    reports: Path | None = None,
    told: dict[str, str] | None = None,
    progress: str | None = None,
    cell_timeout: float | None = None,
) -> Execution:
    """The notebook run with these parameter values, in the caller's working directory.

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
    cell_timeout
        Seconds a cell may take.
    """
    logging.getLogger("papermill").setLevel(logging.CRITICAL)
    kept: list[NotebookNode] = []
    bar = {"desc": progress, "leave": False} if progress else False
    # Papermill formats paths, so braces in them are doubled.
    path = str(notebook).replace("{", "{{").replace("}", "}}")
    try:
        execute_notebook(
            path,
            None,
            values,
            engine_name="salesops",
            kernel_name="python3",
            language="python",
            progress_bar=bar,
            keep=kept.append,
            cell_timeout=cell_timeout,
            environment=(told or {}) | ({} if reports is None else {"SALESOPS_REPORTS": str(reports.resolve())}),
        )
    except PapermillExecutionError as fault:
        trace = "\n".join(fault.traceback)
        return Execution(kept[0], _failure(_own(kept[0]), fault.cell_index, fault.ename, fault.evalue, trace))
    except (RuntimeError, TimeoutError) as fault:  # the kernel died, or a cell took too long
        cells = _own(kept[0])
        ran = [index for index, cell in enumerate(cells) if cell.metadata.get("papermill", {}).get("end_time")]
        return Execution(kept[0], _failure(cells, ran[-1] if ran else 0, type(fault).__name__, str(fault), ""))
    return Execution(kept[0])


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
    return Failure(error, message.strip() or error, len(own), headings[-1] if headings else "", strip_color(traceback))
