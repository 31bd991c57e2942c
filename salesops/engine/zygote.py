"""The process that warm kernels are forked from: it imports what notebooks import, once, and then forks on request.

Started by `warm.Zygote` as ``python -m salesops.engine.zygote SOCKET MODULE...``; Linux only. It imports and never
calls: what a kernel works out for itself, reads of its environment or sets in a library, it does after the fork, as in
a kernel of its own. It has one thread, else it ends, because a fork keeps only one. It ends with all its kernels when
the other end of its socket closes, however the process there ended; and a kernel ends when this process does.

A request is a message with the words of the command and what of the environment differs, together with three
descriptors: the kernel's own line back, its standard output and its standard error. Over that line go the process
number, a word when the kernel listens, and how the process ended. A process that has ended keeps its number until the
other end of the line closes, so that no signal can reach another.
"""

import atexit
import ctypes
import gc
import importlib.util
import json
import os
import select
import selectors
import signal
import socket
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

LARGEST = 1 << 17  # bytes of a request
_DIES_WITH_PARENT = 1  # PR_SET_PDEATHSIG
# What a kernel loads when it starts.
KERNEL = (
    "ipykernel.kernelapp", "ipykernel.debugger", "IPython.core.completerlib", "IPython.core.debugger",
    "IPython.core.debugger_backport", "IPython.core.logger", "IPython.core.oinspect", "IPython.extensions.storemagic",
    "tornado.platform.asyncio",
)  # fmt: skip
# What notebooks load while they run, of packages that they have imported.
LATER = ("matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg", "pandas.core.reshape.reshape")


class Kernel(NamedTuple):
    """A forked kernel: its number, what tells that it has ended, and the line to who asked for it."""

    pid: int
    handle: int
    line: socket.socket


def main(arguments: list[str]) -> None:
    """Import, then fork a kernel for each request until the other end of the socket closes."""
    with socket.socket(fileno=int(arguments[0])) as asked:
        os.environ["JPY_PARENT_PID"] = str(os.getpid())  # ipykernel reads on import whose end is its own
        # As ipykernel_launcher: the folder where we stand is on the path for notebooks, not for what runs them.
        if sys.path[0] == "" or Path(sys.path[0]) == Path.cwd():
            del sys.path[0]
        gc.disable()
        if _imported(KERNEL, asked) and _with_here(arguments[1:], asked) and _is_alone():
            gc.collect()
            gc.freeze()
            _Server(asked).serve()


class _Server:
    """Forks kernels and tells how they ended."""

    def __init__(self, asked: socket.socket):
        self.asked, self.running, self.over = asked, set[Kernel](), set[Kernel]()
        self.selector = selectors.DefaultSelector()
        self.selector.register(asked, selectors.EVENT_READ, None)

    def serve(self) -> None:
        """Until nobody is left who could ask."""
        try:
            while self._turn():
                pass
        finally:
            for kernel in self.running:
                _end(kernel)

    def _turn(self) -> bool:
        for key, _ in self.selector.select():
            if key.data is None:
                if not self._fork():
                    return False
            elif key.fileobj is key.data.line:
                self._closed(key.data)
            elif key.data in self.running:  # it may have gone earlier in this turn
                self._ended(key.data)
        return True

    def _fork(self) -> bool:
        """One kernel more, or none where that cannot be; False where the other end has gone."""
        try:
            said, numbers, _, _ = socket.recv_fds(self.asked, LARGEST, 3)
        except ConnectionError:
            return False
        if not said:
            return False
        line = socket.socket(fileno=numbers[0])
        try:
            pid = os.fork() if _is_alone() else None
        except OSError:  # no room for another process
            pid = None
        if pid == 0:
            self._forked(said, line, numbers[1:])
        for number in numbers[1:]:
            os.close(number)
        self._add(Kernel(pid, os.pidfd_open(pid), line)) if pid else line.close()
        return True

    def _add(self, kernel: Kernel) -> None:
        self.running.add(kernel)
        self.selector.register(kernel.handle, selectors.EVENT_READ, kernel)
        self.selector.register(kernel.line, selectors.EVENT_READ, kernel)

    def _ended(self, kernel: Kernel) -> None:
        """Tell how, and keep its number until that was heard."""
        found = os.waitid(os.P_PIDFD, kernel.handle, os.WEXITED | os.WNOWAIT)
        _tell(kernel.line, code=found.si_status if found.si_code == os.CLD_EXITED else -found.si_status)
        self.selector.unregister(kernel.handle)
        self.running.remove(kernel)
        self.over.add(kernel)

    def _closed(self, kernel: Kernel) -> None:
        """Nobody looks after it any more."""
        if kernel in self.running:
            _end(kernel)
            self.selector.unregister(kernel.handle)
        os.waitpid(kernel.pid, 0)
        self.selector.unregister(kernel.line)
        self._close(kernel)
        self.running.discard(kernel)
        self.over.discard(kernel)

    def _close(self, kernel: Kernel) -> None:
        os.close(kernel.handle)
        kernel.line.close()

    def _forked(self, said: bytes, line: socket.socket, streams: list[int]) -> None:
        """In the kernel: nothing of this process stays open in it; it does not return."""
        code = 1
        try:
            self.selector.close()
            self.asked.close()
            for kernel in self.running | self.over:
                self._close(kernel)
            code = _run(json.loads(said), line, streams)
        finally:
            os._exit(code)


def _run(request: dict[str, Any], line: socket.socket, streams: list[int]) -> int:
    """Be the kernel that was asked for, as if it had been started with these words and this environment."""
    os.setsid()
    ctypes.CDLL(None).prctl(_DIES_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(os.environ["JPY_PARENT_PID"]):
        return 1
    _tell(line, pid=os.getpid())
    for number, stream in enumerate(streams, start=1):
        os.dup2(stream, number)
        os.close(stream)
    for name, value in request["environment"].items():
        os.environ.pop(name, None) if value is None else os.environ.update({name: value})
    _reseed()
    gc.enable()
    sys.argv = [importlib.util.find_spec(request["words"][0]).origin, *request["words"][1:]]
    app = sys.modules["ipykernel.kernelapp"].IPKernelApp.instance()
    app.initialize()
    _look_again()
    _tell(line, listens=1)
    line.close()
    app.start()
    # What an interpreter does at its end. It leaves closing and memory to the system: closing, ipykernel's threads now
    # and then wait for each other for ever, and most of the memory is not this process's own.
    atexit.unregister(app.close)
    threading._shutdown()
    atexit._run_exitfuncs()
    return 0


def _reseed() -> None:
    """Numbers of its own: `random` sees to that by itself, numpy's generator without a name does not."""
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()
    # A folder that matplotlib made for want of a better one is every kernel's: who made it removes it.
    atexit.unregister(sys.modules["shutil"].rmtree)


def _look_again() -> None:
    """Set what pandas makes out on import: how the standard output is encoded, and that no terminal shows frames."""
    if "pandas" in sys.modules:
        sys.modules["pandas"].set_option("display.encoding", sys.stdout.encoding, "display.max_columns", 20)


def _imported(names: Iterable[str], asked: socket.socket) -> bool:
    """Import what is there; False once nobody is left who could ask."""
    for name in names:
        with suppress(Exception):  # whoever imports it in a notebook gets to see why not
            importlib.import_module(name)
        if select.select([asked], [], [], 0)[0] and not _is_asked(asked):
            return False
    return True


def _with_here(names: Iterable[str], asked: socket.socket) -> bool:
    """Import as a notebook does: what lies where we stand comes after Python's own and before what is installed."""
    installed = (at for at, path in enumerate(sys.path) if Path(path).name in ("site-packages", "dist-packages"))
    sys.path.insert(next(installed, 0), "")
    try:
        later = (name for name in LATER if name.partition(".")[0] in sys.modules)
        return _imported(names, asked) and _imported(later, asked)
    finally:
        sys.path.remove("")


def _is_asked(asked: socket.socket) -> bool:
    """Whether what has arrived is a request, not the end."""
    try:
        return bool(asked.recv(1, socket.MSG_PEEK))
    except ConnectionError:
        return False


def _is_alone() -> bool:
    """Whether there is one thread, so that a fork loses nothing and copies no lock that another holds."""
    return threading.active_count() == 1 and len(os.listdir("/proc/self/task")) == 1


def _tell(line: socket.socket, **what: int) -> None:
    with suppress(OSError):  # nobody listens any more
        line.send(json.dumps(what).encode())


def _end(kernel: Kernel) -> None:
    """End it and what it started, at once; its number is still its own."""
    for send in (os.kill, os.killpg):
        with suppress(OSError):
            send(kernel.pid, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
    atexit._run_exitfuncs()
    os._exit(0)  # nothing is left to be written, and taking a heap apart takes long
