"""What is costly and always comes out the same is kept on disk under a hash of all that it depends on.

A key is a hash of the data, the parameters, the code and the versions of the packages it runs on; what has the same key
is the same to the bit, so a report's figures do not depend on whether something was kept. Where it lies, and whether at
all, the environment says: ``SALESOPS_CACHE`` is a folder, or ``off``; without it, it is the user's folder for
caches.
"""

import functools
import hashlib
import importlib.metadata
import json
import logging
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from salesops import checks
from salesops.kept.content import UnknownError, digest

__all__ = ["FOLDER", "OFF", "USE", "USE_FILE", "by_content", "cleared", "folder", "found_or_made", "table", "use"]

FOLDER, LIMIT = "SALESOPS_CACHE", "SALESOPS_CACHE_MB"  # environment variables
USE = "SALESOPS_CACHE_USE"  # the file in which a run's notebook leaves what it took from the cache and what it kept
USE_FILE = "cache_use.txt"  # its name, among the lists of deals that the notebook leaves
_TAKEN, _MADE = "taken", "made"
OFF = "off"
_MEGABYTE = 1_000_000
_MOST = 2_000  # megabytes
_PACKAGE = Path(__file__).parents[1]
_RUNS_ON = ("numpy", "pandas", "pyarrow", "scipy", "statsmodels")
_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
)  # sums of several threads have other last bits
_log = logging.getLogger(__name__)


def folder() -> Path | None:
    """Where things are kept; nothing where they are not.

    Examples
    --------
    >>> before = os.environ.get(FOLDER)
    >>> os.environ[FOLDER] = "off"
    >>> folder() is None
    True
    >>> os.environ[FOLDER] = "kept-here"
    >>> folder()
    PosixPath('kept-here')
    >>> _ = os.environ.pop(FOLDER) if before is None else os.environ.update({FOLDER: before})
    """
    asked = os.environ.get(FOLDER, "")
    if asked.strip().casefold() in (OFF, "0", "no"):
        return None
    return Path(asked).expanduser() if asked.strip() else _usual()


def found_or_made(kind: str, depends: Mapping[str, Any], make: Callable[[], Any], *, code: Iterable[Path] = ()) -> Any:
    """What was kept of this kind, or what `make` gives, which is then kept.

    Parameters
    ----------
    kind
        What it is, in a word: the name of its folder, and what `salesops cache` says.
    depends
        All that it depends on, by name.
    make
        Makes it; always the same for what it depends on.
    code
        Files of the package that it is made by; all of them without.

    Raises
    ------
    ParameterError
        The environment's limit is no number.
    Whatever `make` raises; that is never kept.
    """
    root = folder()
    if root is None:
        return make()
    limit = _limit()
    try:
        key = digest(
            [kind, dict(depends), _code(tuple(code)), _versions(), [os.environ.get(name) for name in _THREADS]]
        )
    except UnknownError:
        return make()
    known, value = _found(root, kind, key)
    if known:
        _tell(_TAKEN)
        return value
    made = make()
    _keep(root, kind, key, made, limit)
    return made


def by_content(kind: str) -> Callable:
    """A decorator: a pure function whose answers are kept by the content of its arguments.

    What is given to it beside frames, numbers, text, the package's own records and functions (a notebook's own
    function, say) cannot be told by its content; then nothing is kept.

    Parameters
    ----------
    kind
        As of `found_or_made`.

    Examples
    --------
    >>> @by_content("doubles")
    ... def double(n):
    ...     return 2 * n
    >>> double(2)
    4
    """

    return functools.partial(_Kept, kind)


class _Kept:
    """A function whose answers are kept. To doctest and to `inspect` it is the function itself."""

    def __init__(self, kind: str, function: Callable):
        self.kind = kind
        functools.update_wrapper(self, function)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        function = self.__wrapped__
        if folder() is None:
            return function(*arguments, **named)
        depends = {"function": f"{function.__module__}.{function.__qualname__}", "given": [arguments, named]}
        return found_or_made(self.kind, depends, functools.partial(function, *arguments, **named))


def use(left: Path) -> dict[str, int]:
    """How many costly results a run's notebook took from the cache, and how many it made and kept there.

    Parameters
    ----------
    left
        The folder in which it left `USE_FILE`.

    Examples
    --------
    >>> use(Path("nowhere"))
    {'taken': 0, 'made': 0}
    """
    file = left / USE_FILE
    told = file.read_text(encoding="utf-8").split() if file.is_file() else []
    return {word: told.count(word) for word in (_TAKEN, _MADE)}


def table(root: Path) -> str:
    """What a cache holds, kind by kind, for a person.

    Parameters
    ----------
    root
        Of `folder`.
    """
    from salesops.kept import entries

    if entries.is_foreign(root):
        return _left_alone(root)
    found: dict[str, list[entries.Entry]] = {}
    for entry in entries.each(root):
        found.setdefault(entry.kind, []).append(entry)
    rows = [("kind", "entries", "MB", "last used")]
    for kind, held in found.items():
        size, used = sum(entry.size for entry in held) / _MEGABYTE, max(entry.used for entry in held)
        rows.append((kind, f"{len(held):,}", f"{size:,.1f}", _moment(used)))
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [f"{kind:{wide[0]}}  {n:>{wide[1]}}  {size:>{wide[2]}}  {used}" for kind, n, size, used in rows]
    said = f"{root}, {_limit() // _MEGABYTE:,} MB at most; it may hold customers' data and only you may read it."
    return "\n".join([said, *(lines if found else ["Nothing is kept."])])


def cleared(root: Path, kind: str | None = None) -> str:
    """Empties a cache, or what it holds of a kind, and says so.

    Raises
    ------
    ParameterError
        Nothing of that kind is kept.
    """
    from salesops.kept import entries

    if entries.is_foreign(root):
        return _left_alone(root)
    kinds = sorted({entry.kind for entry in entries.each(root)})
    if kind and kind not in kinds:
        raise checks.ParameterError(
            f"cache: nothing is kept under '{kind}'; there is {kinds or 'nothing'}.{checks.did_you_mean(kind, kinds)}"
        )
    n = entries.clear(root, kind)
    return f"{root}: {'1 entry' if n == 1 else f'{n:,} entries'} removed."


def _left_alone(root: Path) -> str:
    return (
        f"{root}: is no cache of salesops and is left alone; nothing is kept. Name a new or empty folder in {FOLDER}, "
        f"or say {OFF}."
    )


def _found(root: Path, kind: str, key: str) -> tuple[bool, Any]:
    from salesops.kept import codec, entries  # Parquet's reader is loaded where something is kept, and not before

    try:
        held = entries.read(root, kind, key)
        return (False, None) if held is None else (True, codec.together(*held))
    except Exception as fault:  # whatever is wrong with an entry, it is only made again
        _log.warning("%s: a kept entry is damaged (%s) and is made again.", kind, fault)
        entries.drop(root, kind, key)
        return False, None


def _keep(root: Path, kind: str, key: str, made: Any, limit: int) -> None:
    """Keep it where a later reader finds exactly what was made."""
    from salesops.kept import codec, entries

    half = None
    try:
        tree, frames = codec.apart(made)
        half = entries.write(root, kind, key, tree, frames)
        again = codec.together(json.loads(json.dumps(tree)), entries.frames_of(half))
        if digest(again) == digest(made):
            entries.settle(half, key)
            half = None
            _tell(_MADE)
            entries.evict(root, limit)
    except UnknownError:
        pass
    except OSError as fault:
        _say_once(str(fault.strerror))
    except Exception as fault:  # a frame that Parquet has no words for
        _log.debug("%s: not kept (%s)", kind, fault)
    finally:
        if half is not None:
            shutil.rmtree(half, ignore_errors=True)


def _tell(word: str) -> None:
    """Leave for the engine what came of asking, where a run wants to know."""
    if os.environ.get(USE):
        with suppress(OSError), open(os.environ[USE], "a", encoding="utf-8") as file:  # no report hangs on a count
            file.write(f"{word}\n")


@functools.cache
def _say_once(why: str) -> None:
    """Said to who named a folder; the usual one may be missing, as in a container, and nobody is to mind."""
    level = logging.WARNING if os.environ.get(FOLDER, "").strip() else logging.DEBUG
    _log.log(level, "nothing is kept for the next run (%s); %s=off says that none is wanted.", why, FOLDER)


@functools.cache
def _code(files: tuple[Path, ...]) -> str:
    """A hash of files of the package."""
    found = hashlib.sha256()
    for path in files or sorted(_PACKAGE.rglob("*.py")):
        found.update(f"{path.relative_to(_PACKAGE).as_posix()}\0".encode() + path.read_bytes())
    return found.hexdigest()


@functools.cache
def _versions() -> list[str]:
    return [platform.python_version(), platform.machine(), *map(importlib.metadata.version, _RUNS_ON)]


def _usual() -> Path | None:
    try:
        home = Path.home()
    except RuntimeError:  # a user that the system does not know
        return None
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home)) / "salesops" / "cache"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "salesops"
    given = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(given) if Path(given).is_absolute() else home / ".cache") / "salesops"


def _limit() -> int:
    """Bytes that may be kept."""
    text = os.environ.get(LIMIT, "").strip() or str(_MOST)
    if not text.isdecimal():
        raise checks.ParameterError(f"{LIMIT}: '{text[:60]}' is no number of megabytes. Write {_MOST}, say.")
    return int(text) * _MEGABYTE


def _moment(seconds: float) -> str:
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
