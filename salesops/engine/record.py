"""What identifies a run: a hash of its inputs, parameters and code; and the record of one."""

import hashlib
import importlib.metadata
import json
import platform
import re
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import salesops

SCHEMA = 2  # of the run record
_PACKAGE = Path(salesops.__file__).parent
_OF_PAGES = ("salesops", "notebooks", "parameters")  # what of a checkout a page is made from


class Run(NamedTuple):
    """What only the engine knows of a run, for the run record.

    Parameters
    ----------
    started
        Of `now`, before the kernel started; with retries the first one.
    depends
        Of `unchanged.ingredients`, taken before the kernel started.
    exports
        Of `unchanged.exports_of`: a hash of what each file beside the page was asked to say.
    attempts
        How often the report was tried, this time included.
    peak_memory_bytes
        Of the kernel; empty where the system does not tell.
    schedule
        Name of the schedule it ran for.
    """

    started: str
    depends: Mapping[str, str] = MappingProxyType({})
    exports: Mapping[str, str] = MappingProxyType({})
    attempts: int = 1
    peak_memory_bytes: int | None = None
    schedule: str | None = None


def run_id(
    *, inputs: list[dict[str, Any]], parameters: dict[str, Any], notebook: Path, report: str, notes: str = ""
) -> str:
    """Sixteen hexadecimal digits that are the same for the same inputs, parameters, notes and code.

    Parameters
    ----------
    inputs
        Table, rows and hash of each input.
    parameters
        Resolved values, as they go to the figures file.
    notebook
        The notebook's file.
    report
        The published name.
    notes
        Hash of what people wrote about the report; empty where nobody did.
    """
    parts = {
        "report": report,
        "inputs": inputs,
        "parameters": parameters,
        "code": code_hash(),
        "notebook": hashlib.sha256(notebook.read_bytes()).hexdigest(),
        "versions": versions(),
        "notes": notes,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def digest(content: Any) -> str:
    """A hash of anything JSON can hold; the order of names does not count.

    Examples
    --------
    >>> digest({"a": 1, "b": None}) == digest({"b": None, "a": 1}), len(digest([]))
    (True, 64)
    """
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


@cache
def code_hash() -> str:
    """A hash of every file of the package: modules, templates, styles."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(_PACKAGE).as_posix()}\0".encode() + path.read_bytes())
    return digest.hexdigest()


@cache
def versions() -> dict[str, str]:
    """Version of Python and of every package salesops depends on."""
    required = importlib.metadata.requires("salesops") or []
    names = sorted(re.match(r"[\w.-]+", line)[0] for line in required if "extra ==" not in line)
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in names}


@cache
def code() -> dict[str, str | None]:
    """Version of salesops and the commit it stands at, where it is a checkout."""
    return {"version": importlib.metadata.version("salesops"), "commit": _commit()}


@cache
def checkout() -> dict[str, Any]:
    """As `code`, with ``dirty``: whether what pages are made from differs from the commit; empty without a checkout."""
    known = code()
    if known["commit"] is None:
        return known | {"dirty": None}
    changed = _git("status", "--porcelain", "--", *_OF_PAGES)
    return known | {"dirty": None if changed is None else bool(changed)}


def seconds(started: str, finished: str) -> float:
    """Seconds between two moments of `now`.

    Examples
    --------
    >>> seconds("2026-10-01T06:00:00.000+00:00", "2026-10-01T06:01:00.500+00:00")
    60.5
    """
    return round((datetime.fromisoformat(finished) - datetime.fromisoformat(started)).total_seconds(), 3)


def now() -> str:
    """The present moment, for the run record alone."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _commit() -> str | None:
    if not (_PACKAGE.parent / ".git").exists():
        return None
    return _git("rev-parse", "--verify", "HEAD")


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(_PACKAGE.parent), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
