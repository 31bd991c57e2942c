"""Kernels that start warm: forked from a process that has imported already what notebooks import.

One such process, `zygote`, is started for a run. It shares a pair of sockets with us that has no address; whatever a
kernel is told goes that way and is seen by nobody else. A kernel is forked only if it would be the same started by
itself: the same interpreter, working directory and environment, but for what a run tells each of its reports. In any
other case, and where the process has died or cannot be, the kernel starts by itself as ever. Linux only: on other
systems libraries do not survive a fork.

Memory of a forked kernel counts what it shares with the others, as `limits` reads it: a kernel holds what it would
hold by itself, while all together hold less than the sum.
"""

import ast
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from importlib.metadata import entry_points
from pathlib import Path
from queue import Empty
from typing import Any

from ipykernel.kernelspec import make_ipkernel_cmd
from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.provisioning import LocalProvisioner
from traitlets import Any as AnyTrait

from salesops import metrics
from salesops.engine import limits

PROVISIONER = "salesops-warm"
# Whose modules are imported beforehand: they do nothing on import that depends on a report.
SAFE = {"matplotlib", "numpy", "pandas", "salesops", "scipy", "seaborn", "statsmodels"}
# What a run tells each of its reports, and pytest each of its tests; no module reads these on import.
_OWN = ("SALESOPS_", "JPY_PARENT_PID", "PYTEST_CURRENT_TEST")
_LOOK = 0.002  # seconds between two looks at what has come about
_LEAVE = 2.0  # seconds that a kernel, or the process, has to end by itself
_SAID = 4096  # bytes of a message at most


class Zygote:
    """The process that forks kernels; it starts with the first use.

    Parameters
    ----------
    modules
        What to import.
    environment
        Of its kernels.
    cwd
        Folder of its kernels; where we stand without.
    """

    def __init__(self, modules: Iterable[str], environment: Mapping[str, str], cwd: Path | None = None):
        self.environment = dict(environment)
        self.cwd = str(cwd or os.getcwd())
        self.process: subprocess.Popen | None = None
        self._modules = list(modules)
        self._lock = threading.Lock()
        self._ours: socket.socket | None = None
        self._is_asked = self._is_closed = False

    def begin(self) -> None:
        """Start it, if it has not been."""
        with self._lock:
            if self.process is None and not self._is_closed:
                self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                with theirs:
                    words = [*_command()[:-1], "salesops.engine.zygote", str(theirs.fileno()), *self._modules]
                    self.process = subprocess.Popen(
                        words, pass_fds=[theirs.fileno()], env=self.environment, cwd=self.cwd,
                        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
                    )  # fmt: skip

    def provisioner(self, guard: limits.Guard) -> dict[str, Any]:
        """What the metadata of a kernel spec say under ``kernel_provisioner`` of kernels that are forked here.

        Parameters
        ----------
        guard
            Of the run that they are for.
        """
        return {"provisioner_name": PROVISIONER, "config": {"zygote": self, "guard": guard}}

    def ask(
        self, words: list[str], environment: Mapping[str, str], streams: list[int], cwd: str | None = None
    ) -> socket.socket | None:
        """Ask for a kernel; the line over which it will be told of, or None where it must start by itself.

        Parameters
        ----------
        words
            Of its command, after the interpreter.
        environment
            All of it.
        streams
            Standard output and standard error.
        cwd
            Its folder; where we stand without.
        """
        told = self._told(environment)
        if told is None or (cwd or os.getcwd()) != self.cwd:
            return None
        self.begin()
        line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        said = json.dumps({"words": words, "environment": told}).encode()
        with theirs:
            try:
                self._is_asked = True
                socket.send_fds(self._ours, [said], [theirs.fileno(), *streams])
            except (OSError, AttributeError):  # it has died, or was closed
                line.close()
                return None
        return line

    def close(self) -> None:
        """End it, and every kernel that is left."""
        with self._lock:
            self._is_closed = True
            if self.process is None:
                return
            self._ours.close()
            if not self._is_asked:
                self.process.kill()  # nothing hangs on it, and an import may take long
            try:
                self.process.wait(_LEAVE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def _told(self, environment: Mapping[str, str]) -> dict[str, str | None] | None:
        """What differs from the environment it was started in; None where an import might have read it."""
        names = {name for name, _ in environment.items() ^ self.environment.items()}
        if not all(name.startswith(_OWN) for name in names):
            return None
        return {name: environment.get(name) for name in names if name != "JPY_PARENT_PID"}


class Forked:
    """A forked kernel, with what is asked of a `subprocess.Popen`."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int, line: socket.socket):
        self.pid, self.returncode, self.listens = pid, None, False
        self.is_orphaned = False  # it ended because what forked it did, not by its own doing
        self._line, self._lock = line, threading.Lock()

    def poll(self) -> int | None:
        """How it ended, less than nothing where by a signal; None while it runs."""
        with self._lock:
            while self.returncode is None and (told := _heard(self._line)) is not None:
                self.listens |= "listens" in told
                # Without a word of how: the process that forked it has died, and took it along.
                self.is_orphaned = not told
                code = told.get("code", None if told else -signal.SIGKILL)
                if code is not None:
                    self._line.close()
                    self.returncode = code
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        until = time.monotonic() + (float("inf") if timeout is None else timeout)
        while self.poll() is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired("kernel", timeout)
            time.sleep(_LOOK)
        return self.returncode

    def until_it_listens(self, timeout: float) -> None:
        """Wait until a connection would be taken, or it has ended, or time is up."""
        until = time.monotonic() + timeout
        while self.poll() is None and not self.listens and time.monotonic() < until:
            time.sleep(_LOOK)

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)


class Provisioner(LocalProvisioner):
    """Starts a kernel by having it forked, where that is the same, and by itself else."""

    zygote = AnyTrait()
    guard = AnyTrait()

    async def launch_kernel(self, cmd: list[str], **options: Any) -> dict[str, Any]:
        """Start the kernel; see `LocalProvisioner`."""
        forked = await self._forked(cmd, **options)
        if forked is None:
            return await super().launch_kernel(cmd, **options)
        self.process, self.pid, self.pgid, self.cwd = forked, forked.pid, forked.pid, self.zygote.cwd
        return self.connection_info

    async def shutdown_requested(self, restart: bool = False) -> None:  # noqa: ARG002
        """Wait for its end without the pauses that others make between looks."""
        if isinstance(self.process, Forked):
            until = time.monotonic() + _LEAVE
            while self.process.poll() is None and time.monotonic() < until:
                await asyncio.sleep(_LOOK)

    async def _forked(self, cmd: list[str], **options: Any) -> Forked | None:
        begins, asked = _command(), {name: value for name, value in options.items() if value is not None}
        environment, stderr, cwd = asked.pop("env", {}), asked.pop("stderr", None), asked.pop("cwd", None)
        is_silent = stderr == subprocess.DEVNULL
        if cmd[: len(begins)] != begins or not (is_silent or hasattr(stderr, "fileno")) or asked:
            return None
        with open(os.devnull, "wb") as nothing:
            errors = nothing if is_silent else stderr
            line = self.zygote.ask(cmd[len(begins) - 1 :], environment, [1, errors.fileno()], cwd)
        return None if line is None else await self._begun(line)

    async def _begun(self, line: socket.socket) -> Forked | None:
        """What was asked for, once it is there; None where the process has died meanwhile."""
        try:
            while (told := _heard(line)) is None:
                self.guard.require()
                await asyncio.sleep(_LOOK)
        except BaseException:
            line.close()
            raise
        if "pid" in told:
            return Forked(told["pid"], line)
        line.close()
        return None


class Client(AsyncKernelClient):
    """Begins as soon as the kernel answers, where Jupyter's waits another fifth of a second for it to say more."""

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Wait until the kernel has answered on both channels; see `AsyncKernelClient`.

        Raises
        ------
        RuntimeError
            It has ended, or does not answer in time.
        """
        until = time.monotonic() + (float("inf") if timeout is None else timeout)
        while not await self._answers():
            if not await self._async_is_alive():
                raise RuntimeError("Kernel died before replying to kernel_info")
            if time.monotonic() > until:
                raise RuntimeError(f"Kernel didn't respond in {timeout:g} seconds")

    async def _answers(self) -> bool:
        """Whether it says within a second that it is ready, and on the channel of outputs that it is idle again."""
        asked = self.kernel_info()
        try:
            while (reply := await self.get_shell_msg(timeout=1))["parent_header"].get("msg_id") != asked:
                pass
            self._handle_kernel_info_reply(reply)
            while not _is_idle(await self.get_iopub_msg(timeout=0.2), asked):
                pass
        except Empty:
            return False
        return True


def is_possible() -> bool:
    """Whether kernels can be forked here.

    Examples
    --------
    >>> is_possible() or sys.platform != "linux"
    True
    """
    is_registered = entry_points(group="jupyter_client.kernel_provisioners", name=PROVISIONER)
    return sys.platform == "linux" and hasattr(os, "pidfd_open") and bool(is_registered)


@contextmanager
def zygote(
    notebooks: Iterable[Path], environment: Mapping[str, str], *, cwd: Path | None = None, is_wanted: bool = True
) -> Iterator[Zygote | None]:
    """What forks kernels for these notebooks as long as the block lasts; None where nothing can or shall.

    Parameters
    ----------
    notebooks
        Whose imports are made beforehand.
    environment
        Of the kernels.
    cwd
        Folder of the kernels; where we stand without.
    is_wanted
        Whether kernels shall be warm.
    """
    if not is_wanted or not is_possible():
        yield None
        return
    with closing(Zygote(modules(notebooks), environment, cwd)) as found:
        yield found


def modules(notebooks: Iterable[Path]) -> list[str]:
    """What notebooks import of `SAFE`, in order; ``from a import b`` gives ``a`` and ``a.b``, whether a module or not.

    With a page come what draws its charts and what defines its metrics, which it loads when first asked.

    Examples
    --------
    >>> import json, tempfile
    >>> cells = [{"cell_type": "code", "source": ["import os, pandas as pd\\n", "from salesops import crm"]}]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.ipynb"
    ...     _ = path.write_text(json.dumps({"cells": cells}))
    ...     modules([path])
    ['pandas', 'salesops', 'salesops.crm']
    """
    found = [name for path in notebooks for cell in _code(path) for name in _imports(cell)]
    if "salesops.report" in found:
        found += ["salesops.report.charts", *metrics.modules()]
    return list(dict.fromkeys(name for name in found if name.partition(".")[0] in SAFE))


def _code(path: Path) -> list[str]:
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (OSError, ValueError, KeyError, TypeError):  # whoever runs it says what is wrong
        return []


def _imports(source: str) -> Iterator[str]:
    with suppress(SyntaxError):  # IPython's own words, or a fault that the kernel will show
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                yield from (each.name for each in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module
                yield from (f"{node.module}.{each.name}" for each in node.names)


def _is_idle(message: dict[str, Any], asked: str) -> bool:
    is_ours = message["parent_header"].get("msg_id") == asked
    return is_ours and message["content"].get("execution_state") == "idle"


def _command() -> list[str]:
    """How a kernel of this interpreter is started, up to its own arguments."""
    return make_ipkernel_cmd()[:-2]


def _heard(line: socket.socket) -> dict[str, Any] | None:
    """The next message of a line; None where there is none yet, empty where there will be none."""
    try:
        said = line.recv(_SAID, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except ConnectionError:
        return {}
    return json.loads(said) if said else {}
