"""A desk to test on: JupyterLab on a copy of the checkout, open in a browser without any network but itself."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from conftest import ROOT

_COPIED = ("salesops", "notebooks", "parameters")
_OPTIONS = (
    "--no-browser",
    "--allow-root",  # as in a container
    "--ServerApp.port=0",  # a free one, chosen by the system
    "--ServerApp.shutdown_no_activity_timeout=1200",  # should the test itself be killed
    "--MappingKernelManager.cull_idle_timeout=1200",
    "--LabApp.extension_manager=readonly",
    "--expose-app-in-browser",
)
_SETTINGS = {"apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False}}


def copied(folder: Path, *, also: tuple[str, ...] = ()) -> Path:
    """The parts of the checkout that an analyst works in, to be edited at will."""
    for name in (*_COPIED, *also):
        ignored = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    return folder


@contextmanager
def server(checkout: Path, folder: Path) -> Iterator[dict]:
    """JupyterLab on a checkout: its address, token and log. It has ended, kernels too, when this has."""
    token, log = secrets.token_hex(24), folder / "lab.log"
    with log.open("w", encoding="utf-8") as told:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *_OPTIONS, f"--ServerApp.root_dir={checkout}"],
            env=_environment(checkout, folder, token), cwd=folder, stdout=told, stderr=told, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        yield {"url": _address(process, folder, log), "token": token, "log": log, "process": process}
    finally:
        stop(process)


def stop(process: subprocess.Popen) -> None:
    """End a server and every kernel it started, by force where it does not go by itself."""
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    _, left = psutil.wait_procs(family, timeout=10)
    for each in left:
        each.kill()


def left_over(folder: Path) -> list[str]:
    """The command lines of processes that a server of this folder left running: none, once it has ended."""
    found = []
    for each in psutil.process_iter():
        with suppress(psutil.Error):
            command = " ".join(each.cmdline())
            if str(folder) in command and each.pid != os.getpid():
                found.append(command)
    return found


def ran(folder: Path, *command: str) -> str:
    """What a Python command in a copy of the repository says; it has to end well."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        capture_output=True,
        text=True,
        env=plain_environment(folder),
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def plain_environment(checkout: Path) -> dict[str, str]:
    """The variables of this process but for those of a notebook or a report, with the package of the checkout."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "JPY_", "SALESOPS"))}
    return mine | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}


def _environment(checkout: Path, folder: Path, token: str) -> dict[str, str]:
    """Settings, kernels and history of its own; the token goes by the environment, where no list of processes shows it."""
    for place, setting in _SETTINGS.items():
        path = folder / "settings" / "@jupyterlab" / f"{place}.jupyterlab-settings"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(setting), encoding="utf-8")
    folders = {f"JUPYTER_{name.upper()}_DIR": str(folder / name) for name in ("runtime", "config", "data")}
    folders |= {f"JUPYTERLAB_{name.upper()}_DIR": str(folder / name) for name in ("settings", "workspaces")}
    return plain_environment(checkout) | folders | {
        "JUPYTER_TOKEN": token,
        "JUPYTER_PREFER_ENV_PATH": "1",
        "HOME": str(folder),
        "IPYTHONDIR": str(folder / "ipython"),
    }  # fmt: skip


def _address(process: subprocess.Popen, folder: Path, log: Path) -> str:
    told = folder / "runtime" / f"jpserver-{process.pid}.json"
    for _ in range(600):
        assert process.poll() is None, f"JupyterLab did not start:\n{log.read_text(encoding='utf-8')[-2000:]}"
        if told.exists() and (text := told.read_text(encoding="utf-8")).endswith("}"):
            return json.loads(text)["url"]
        time.sleep(0.2)
    raise AssertionError(f"JupyterLab did not start in two minutes:\n{log.read_text(encoding='utf-8')[-2000:]}")


class Notebook:
    """One notebook open in Lab."""

    def __init__(self, browser, lab: dict, path: str):
        self.page = browser.new_context(viewport={"width": 1400, "height": 1000}, color_scheme="light").new_page()
        self.page.set_default_timeout(600_000)
        self.asked: list[str] = []  # addresses beyond the server's own
        self.page.route(lambda url: not url.startswith((lab["url"], "data:", "blob:")), self._refuse)
        self.page.goto(f"{lab['url']}lab/tree/{path}?reset&token={lab['token']}")
        self.page.wait_for_function("window.jupyterapp?.shell.currentWidget?.context?.isReady")
        self._awaited("await jupyterapp.shell.currentWidget.sessionContext.ready")

    def _refuse(self, route) -> None:
        self.asked.append(route.request.url)
        route.abort()

    def run_all(self) -> None:
        """Run > Run All Cells, until the last has ended."""
        self._awaited("await jupyterapp.commands.execute('notebook:run-all-cells')")

    def _awaited(self, script: str, code: str = "") -> None:
        """Run a script to its end, within the page's time: an evaluation that is waited for has no limit."""
        started = f"code => {{ window.done = 0; (async () => {{ {script} }})().finally(() => {{ window.done = 1 }}) }}"
        self.page.evaluate(started, code)
        self.page.wait_for_function("window.done")

    def whole(self) -> dict:
        """The notebook as Lab would save it now."""
        found = self.page.evaluate("jupyterapp.shell.currentWidget.content.model.toJSON()")
        return found | {"cells": [{k: v for k, v in cell.items() if v is not None} for cell in found["cells"]]}

    def code_cells(self) -> list[dict]:
        return [cell for cell in self.whole()["cells"] if cell["cell_type"] == "code"]

    def ask(self, code: str) -> str:
        """Run a cell typed under the last one; what it shows, or the error."""
        self._awaited(
            """const notebook = jupyterapp.shell.currentWidget.content
            const cells = notebook.model.sharedModel
            cells.insertCell(cells.cells.length, {cell_type: 'code', source: code})
            notebook.deselectAll()
            notebook.activeCellIndex = cells.cells.length - 1
            await jupyterapp.commands.execute('notebook:run-cell')""",
            code,
        )
        return "\n".join(_words(output) for output in self.code_cells()[-1]["outputs"])

    def close(self) -> None:
        """End the kernel, so that one notebook's memory is free before the next."""
        self.page.evaluate("jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        self.page.context.close()


def _words(output: dict) -> str:
    said = output.get("text") or output.get("data", {}).get("text/plain") or output.get("evalue", "")
    return "".join(said) if isinstance(said, list) else said
