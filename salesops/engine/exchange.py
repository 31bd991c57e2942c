"""Changes a folder in one step: who reads it, and a crash at any moment, finds it as it was or as it shall be.

The new folder is made beside the old one, of hard links and the new files, written through to the disk, and the two
are exchanged (`renameat2` with ``RENAME_EXCHANGE``: Linux; ext4, XFS, Btrfs, tmpfs and most others). Where there are
no hard links, no exchange or no lock the files are renamed one by one, the page last. A crash between two renames then
leaves files of two runs side by side: the page and the files that do not bear its run id yet; the next run of that
report mends it.
"""

import ctypes
import errno
import functools
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from salesops.checks import ParameterError

_EXCHANGE, _HERE = 2, -100  # RENAME_EXCHANGE and AT_FDCWD of Linux
_CANNOT = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EXDEV, errno.EPERM, errno.EMLINK}
_REFUSED = {errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY}


def change(
    folder: Path,
    staged: Path,
    put: Mapping[str, Path],
    drop: Iterable[str] = (),
    *,
    is_alone: bool,
    finish: Callable[[Path], None] | None = None,
) -> bool:
    """Put files into a folder and take others out of it, at once where that is possible.

    Nothing in the folder is touched before all that needs space is written.

    Parameters
    ----------
    folder
        It need not be there; the folder above it must.
    staged
        A folder of this run's own on the same file system.
    put
        What shall lie under each name; files and links are moved from where they are. One by one they go in this
        order.
    drop
        Names that shall not be there; what is not there is no fault.
    is_alone
        Whether the folder above is locked (`locks.exclusive`): only then nobody's files can be lost by an exchange.
    finish
        Called with the new folder before it takes its place, to add what follows from its content.

    Returns
    -------
    bool
        Whether it was one step; what `finish` adds is there only then.

    Raises
    ------
    ParameterError
        The folder may not be written, or something else lies in its place.
    OSError
        The disk is full or failing; the folder is as it was.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as out:
    ...     folder, staged = Path(out) / "2026-09-30", Path(out) / "staged"
    ...     staged.mkdir()
    ...     for text in ("first", "second"):
    ...         _ = (staged / "page").write_text(text)
    ...         at_once = change(folder, staged, {"page": staged / "page"}, ["gone"], is_alone=True)
    ...     (folder / "page").read_text(), [path.name for path in folder.iterdir()]
    ('second', ['page'])
    """
    put, drop = dict(put), list(drop)
    can = is_alone and _renameat2() is not None and not folder.is_symlink()
    try:
        box = Path(tempfile.mkdtemp(prefix="change-", dir=staged))
        made = box / folder.name
        try:
            if can and _linked(folder, made, {*put, *drop}):
                for name, path in put.items():
                    os.replace(path, made / name)
                if finish:
                    finish(made)
                _written_through(made)
                if _swapped(made, folder):
                    return True
                put = {name: made / name for name in put}
            _one_by_one(folder, put, drop)
            return False
        finally:
            shutil.rmtree(box, ignore_errors=True)
    except OSError as fault:
        if fault.errno not in _REFUSED:
            raise
        raise ParameterError(
            f"{folder}: cannot be written ({fault.strerror}). Nothing in it was changed: allow writing there, move "
            "what is in the way, or choose another --out."
        ) from fault


def write(to: Path, text: str, staged: Path) -> None:
    """Write one file so that it is there whole or as it was.

    Parameters
    ----------
    to
        The file.
    text
        Its content.
    staged
        A folder of this run's own on the same file system.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as out:
    ...     (Path(out) / "staged").mkdir()
    ...     write(Path(out) / "index.html", "<p>", Path(out) / "staged")
    ...     (Path(out) / "index.html").read_text(), list((Path(out) / "staged").iterdir())
    ('<p>', [])
    """
    box = Path(tempfile.mkdtemp(prefix="change-", dir=staged))
    try:
        (box / to.name).write_text(text, encoding="utf-8")
        _sync(box / to.name)
        os.replace(box / to.name, to)
        _sync(to.parent)
    finally:
        shutil.rmtree(box, ignore_errors=True)


def _linked(folder: Path, made: Path, without: set[str]) -> bool:
    """Make a folder of hard links to all that another holds but some names; False where there are no hard links."""
    made.mkdir()
    if not folder.exists():
        return True
    try:
        for entry in sorted(os.scandir(folder), key=lambda each: each.name):
            if entry.is_dir(follow_symlinks=False):
                if not _linked(Path(entry.path), made / entry.name, set()):
                    return False
            elif entry.name not in without:
                os.link(entry.path, made / entry.name, follow_symlinks=False)
    except OSError as fault:
        if fault.errno not in _CANNOT:
            raise
        return False
    _as(folder, made)
    return True


def _as(folder: Path, made: Path) -> None:
    """Give a folder another's owner and permissions, so far as we may."""
    found = folder.stat()
    if (found.st_uid, found.st_gid) != (made.stat().st_uid, made.stat().st_gid):
        try:
            os.chown(made, found.st_uid, found.st_gid)
        except PermissionError:
            return
    made.chmod(stat.S_IMODE(found.st_mode))


def _swapped(made: Path, folder: Path) -> bool:
    """Put a folder in another's place, in one step; False where the system cannot."""
    try:
        if folder.exists():
            _exchange(made, folder)
        else:
            os.rename(made, folder)
    except OSError as fault:
        if fault.errno not in _CANNOT:
            raise
        return False
    _sync(folder.parent)
    return True


def _exchange(one: Path, other: Path) -> None:
    if _renameat2()(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(one), None, str(other))


@functools.cache
def _renameat2() -> Callable[..., int] | None:
    try:
        found = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):  # another system, or a C library older than 2018
        return None
    found.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    return found


def _one_by_one(folder: Path, put: Mapping[str, Path], drop: Iterable[str]) -> None:
    folder.mkdir(exist_ok=True)
    for path in put.values():
        if not path.is_symlink():
            _sync(path)
    for name, path in put.items():
        os.replace(path, folder / name)
    for name in drop:
        (folder / name).unlink(missing_ok=True)
    _sync(folder)


def _written_through(folder: Path) -> None:
    """Everything new in a folder is on the disk; what is linked was written through when it was new."""
    for parent, _, names in os.walk(folder):
        for path in (Path(parent) / name for name in names):
            if not path.is_symlink() and path.stat().st_nlink == 1:
                _sync(path)
        _sync(Path(parent))


def _sync(path: Path) -> None:
    if os.name == "nt":  # folders cannot be opened there
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as fault:
        if fault.errno != errno.EINVAL:  # some file systems know no such thing for a folder
            raise
    finally:
        os.close(handle)
