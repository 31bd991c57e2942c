"""Locks that die with their process, so that a killed run leaves none: `flock` on folders, never on a file.

The kernel drops such a lock when the process ends, however it ends; a started kernel of a notebook does not inherit
it. Where the system or the file system has no such locks (Windows; network shares without a lock service)
`exclusive` says so and `publish` keeps to renames that no other run can lose by; folders that a killed run left
there are not told from live ones and stay until a person removes them.
"""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EBADF, errno.EINVAL}


@contextmanager
def exclusive(folder: Path) -> Iterator[bool]:
    """Nobody else is inside such a block for this folder, in this process or another; waits for whoever is.

    Parameters
    ----------
    folder
        Must be there. Not to be nested for one folder: the inner block would wait for the outer.

    Yields
    ------
    bool
        Whether there is a lock; False where the system has none.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as out, exclusive(Path(out)) as is_alone:
    ...     is_alone
    True
    """
    handle = _opened(folder) if fcntl else None
    try:
        yield handle is not None and _locked(handle, wait=True)
    finally:
        if handle is not None:
            os.close(handle)


@contextmanager
def held(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder that nobody else may read; it is held while the block runs and does not outlive it.

    What earlier runs left under the same prefix and nobody holds any more is removed first.

    Parameters
    ----------
    parent
        Where the folder is made.
    prefix
        Its name's beginning; eight characters of its own follow.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as out:
    ...     with held(Path(out), ".staging-") as one, held(Path(out), ".staging-") as other:
    ...         one != other, one.is_dir() and other.is_dir()
    ...     list(Path(out).iterdir())
    (True, True)
    []
    """
    sweep(parent, prefix)
    folder, handle = _made(parent, prefix)
    try:
        yield folder
    finally:
        try:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            if handle is not None:
                os.close(handle)


def sweep(parent: Path, prefix: str) -> list[str]:
    """Remove the folders that killed runs left; returns their names.

    One is removed if its name is of `held`'s making, it belongs to this user, and nobody holds it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as out:
    ...     for name in (".staging-abcdefgh", ".staging-of-mine"):
    ...         (Path(out) / name).mkdir()
    ...     with held(Path(out), ".staging-") as live:
    ...         sweep(Path(out), ".staging-"), live.is_dir()
    ...     [path.name for path in Path(out).iterdir()]
    ([], True)
    ['.staging-of-mine']
    """
    named = re.compile(re.escape(prefix) + r"[a-z0-9_]{8}")
    found = [path for path in sorted(parent.iterdir()) if named.fullmatch(path.name)] if fcntl else []
    return [path.name for path in found if _removed(path)]


def _made(parent: Path, prefix: str) -> tuple[Path, int | None]:
    """A new folder and the descriptor that holds it."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        if not fcntl:
            return folder, None
        # Another run's sweep may come between: then it holds the folder and removes it, or has removed it.
        with suppress(FileNotFoundError):
            handle = _opened(folder)
            with suppress(BlockingIOError):
                if not _locked(handle, wait=False) or _is_there(folder, handle):
                    return folder, handle
            os.close(handle)


def _removed(folder: Path) -> bool:
    try:
        handle = _opened(folder)
    except OSError:  # another user's, gone, or no folder
        return False
    try:
        is_left = os.fstat(handle).st_uid == os.geteuid() and _locked(handle, wait=False) and _is_there(folder, handle)
        if is_left:
            shutil.rmtree(folder, ignore_errors=True)
        return is_left
    except BlockingIOError:  # a run is at work in it
        return False
    finally:
        os.close(handle)


def _opened(folder: Path) -> int:
    # Python opens it so that no started program inherits it.
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def _locked(handle: int, *, wait: bool) -> bool:
    """Whether it is locked now; False where there are no locks.

    Raises
    ------
    BlockingIOError
        Somebody else has it, and we do not wait.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as fault:
        if fault.errno not in _NO_LOCKS:
            raise
        return False
    return True


def _is_there(folder: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.stat(folder, follow_symlinks=False), os.fstat(handle))
    except OSError:
        return False
