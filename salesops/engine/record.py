"""What identifies a run: a hash of its inputs, parameters and code; and the record of one."""

import hashlib
import importlib.metadata
import json
import platform
import re
import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import salesops

_PACKAGE = Path(salesops.__file__).parent


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


def now() -> str:
    """The present moment, for the run record alone."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _commit() -> str | None:
    if not (_PACKAGE.parent / ".git").exists():
        return None
    command = ["git", "-C", str(_PACKAGE.parent), "rev-parse", "--verify", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
