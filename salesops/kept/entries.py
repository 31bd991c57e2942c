"""The entries of a cache on disk: each a folder of Parquet files and a manifest that vouches for them.

An entry is written beside its place and put there by one rename, so that several processes may do so at once and
none finds half of one. What does not agree with its manifest is removed and made anew: a damaged disk costs time, never
a figure. Nobody else may read it, and what another person owns is not trusted.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

SCHEMA = 1
MANIFEST = "manifest.json"
_HALF = ".half-"  # how folders begin that are not in place yet
_STALE = 86_400  # seconds after which what a killed process left half written is removed
_MARK = "salesops keeps here what it can make again; `salesops cache --clear` empties it.\n"


class DamagedError(Exception):
    """An entry is not what its manifest says."""


class Entry(NamedTuple):
    """An entry: its kind, folder, bytes, and when it was last used, in seconds."""

    kind: str
    folder: Path
    size: int
    used: float


def read(root: Path, kind: str, key: str) -> tuple[Any, list[pd.DataFrame]] | None:
    """What was written under a key; nothing where nothing was.

    Raises
    ------
    DamagedError
        It is cut off, changed, of another key or another person's.
    """
    folder = root / kind / key
    try:
        sealed, _, text = (folder / MANIFEST).read_bytes().partition(b"\n")
    except (FileNotFoundError, NotADirectoryError):
        if folder.exists():
            raise DamagedError("no manifest") from None
        return None
    except OSError as fault:
        raise DamagedError(str(fault.strerror)) from fault
    if hashlib.sha256(text).hexdigest().encode() != sealed:
        raise DamagedError("manifest")
    told = json.loads(text)
    if (told["schema"], told["kind"], told["key"]) != (SCHEMA, kind, key) or not _is_own(folder):
        raise DamagedError("foreign")
    frames = [_frame(folder / f"{place}.parquet", seal) for place, seal in enumerate(told["files"])]
    with suppress(OSError):
        os.utime(folder / MANIFEST)  # when it was last used
    return told["tree"], frames


def write(root: Path, kind: str, key: str, tree: Any, frames: list[pd.DataFrame]) -> Path:
    """A folder with an entry that is not in place yet; `settle` puts it there.

    Raises
    ------
    OSError, ArrowException, ValueError, TypeError
        It cannot be written: the disk, or a frame that Parquet has no words for.
    """
    prepare(root)
    (root / kind).mkdir(mode=0o700, exist_ok=True)
    half = Path(tempfile.mkdtemp(prefix=_HALF, dir=root / kind))
    try:
        seals = [_written(frame, half / f"{place}.parquet") for place, frame in enumerate(frames)]
        told = {"schema": SCHEMA, "kind": kind, "key": key, "tree": tree, "files": seals}
        text = json.dumps(told).encode()
        _private(half / MANIFEST, hashlib.sha256(text).hexdigest().encode() + b"\n" + text)
    except BaseException:
        shutil.rmtree(half, ignore_errors=True)
        raise
    return half


def frames_of(half: Path) -> list[pd.DataFrame]:
    """The frames of an entry that is not in place yet, as a later reader will find them."""
    count = len(list(half.glob("*.parquet")))
    return [_loaded((half / f"{place}.parquet").read_bytes()) for place in range(count)]


def settle(half: Path, key: str) -> None:
    """Put an entry into its place; where another process was first, its entry stays."""
    try:
        half.rename(half.parent / key)
    except OSError:
        shutil.rmtree(half, ignore_errors=True)


def drop(root: Path, kind: str, key: str) -> None:
    """Remove an entry, whatever lies in its place."""
    place = root / kind / key
    if place.is_symlink() or place.is_file():
        place.unlink(missing_ok=True)
    shutil.rmtree(place, ignore_errors=True)


def prepare(root: Path) -> None:
    """Make the folder of a cache, for this person alone.

    Raises
    ------
    OSError
        It cannot be made, or is another person's or open to others.
    """
    if not root.exists() or not any(root.iterdir()):
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        root.chmod(0o700)
        _private(root / "README", _MARK.encode())
    if not _is_own(root) or not (root / "README").is_file():
        raise PermissionError(0, "not a cache of this person's own", str(root))


def is_foreign(root: Path) -> bool:
    """Whether a file lies there, or a folder that holds something else."""
    return root.exists() and not (root / "README").is_file() and (not root.is_dir() or any(root.iterdir()))


def each(root: Path) -> Iterator[Entry]:
    """The entries of a cache, kind by kind."""
    for manifest in sorted(root.glob(f"*/*/{MANIFEST}")):
        folder = manifest.parent
        if folder.name.startswith("."):
            continue
        with suppress(OSError):  # another process removed it meanwhile
            size = sum(path.stat().st_size for path in folder.iterdir())
            yield Entry(folder.parent.name, folder, size, manifest.stat().st_mtime)


def evict(root: Path, limit: int) -> None:
    """Remove what was used longest ago until the rest is within so many bytes, and what killed processes left."""
    found = sorted(each(root), key=lambda entry: entry.used, reverse=True)
    held = 0
    for entry in found:
        held += entry.size
        if held > limit:
            shutil.rmtree(entry.folder, ignore_errors=True)
    newest = found[0].used if found else 0.0
    for half in root.glob(f"*/{_HALF}*"):
        with suppress(OSError):
            if newest - half.stat().st_mtime > _STALE:
                shutil.rmtree(half, ignore_errors=True)


def clear(root: Path, kind: str | None = None) -> int:
    """Remove all entries, or those of a kind; returns how many they were."""
    if not (root / "README").is_file():
        return 0
    found = [entry for entry in each(root) if kind in (None, entry.kind)]
    for folder in [path for path in root.iterdir() if path.is_dir() and kind in (None, path.name)]:
        shutil.rmtree(folder)
    return len(found)


def _is_own(folder: Path) -> bool:
    if not hasattr(os, "geteuid"):  # Windows: a person's folders are that person's
        return True
    found = folder.lstat()
    return found.st_uid == os.geteuid() and not found.st_mode & 0o077


def _written(frame: pd.DataFrame, path: Path) -> str:
    """Write a frame; the hash of the file."""
    _private(path, b"")
    table = pa.Table.from_pandas(frame)
    pq.write_table(table, path, compression="lz4", row_group_size=1 << 20)
    return _seal(path.read_bytes())


def _frame(path: Path, seal: str) -> pd.DataFrame:
    try:
        content = path.read_bytes()
    except OSError as fault:
        raise DamagedError(str(fault.strerror)) from fault
    if _seal(content) != seal:
        raise DamagedError(path.name)
    return _loaded(content)


def _loaded(content: bytes) -> pd.DataFrame:
    return pq.read_table(pa.BufferReader(content), use_threads=False).to_pandas()


def _seal(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _private(path: Path, content: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
