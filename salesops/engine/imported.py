"""Which code a notebook stands on beside the package: modules of its own, and every package that is installed."""

import ast
import hashlib
import importlib.metadata
import importlib.util
import platform
import sys
import threading
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path

import nbformat

_INSTALLED = ("site-packages", "dist-packages")
# Two threads that make trees at once trip over a counter that CPython 3.11 keeps for all of them (a SystemError).
_PARSING = threading.Lock()


@cache
def packages() -> dict[str, str]:
    """Version of Python, the machine's kind, and every package installed: also what none of ours names draws along."""
    found = {each.name: each.version for each in importlib.metadata.distributions()}
    return {"python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"} | found


def modules(notebook: Path) -> dict[str, str]:
    """SHA-256 of every file of code that a notebook imports, and those import, which is not part of a package.

    Parameters
    ----------
    notebook
        The notebook's file; it finds modules in the working directory, as its kernel does.

    Returns
    -------
    dict
        By module name; empty where it imports salesops and installed packages alone.
    """
    cells = nbformat.read(notebook, as_version=4).cells
    pending = list(_imports(cell.source for cell in cells if cell.cell_type == "code"))
    found: dict[str, str] = {}
    while pending:
        name = pending.pop()
        if name not in found:
            files = sorted(_files(name))
            if files:
                found[name] = hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()
                pending += _imports(path.read_text(encoding="utf-8", errors="replace") for path in files)
    return dict(sorted(found.items()))


def names(notebook: Path) -> set[str]:
    """Every name that the code of a notebook mentions.

    Parameters
    ----------
    notebook
        The notebook's file.
    """
    cells = nbformat.read(notebook, as_version=4).cells
    trees = [_tree(cell.source) for cell in cells if cell.cell_type == "code"]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    imported = {alias.name for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom)) for alias in node.names}
    return imported | {node.id for node in nodes if isinstance(node, ast.Name)}


def _imports(sources: Iterable[str]) -> Iterator[str]:
    """The first part of each name imported."""
    for node in (node for source in sources for node in ast.walk(_tree(source))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _tree(source: str) -> ast.AST:
    plain = "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines())
    try:
        with _PARSING:
            return ast.parse(plain)
    except SyntaxError:  # the run will say so
        return ast.Module([], [])


def _files(name: str) -> list[Path]:
    """The files of a module that lies in the working directory or on the path, but in no package installed."""
    if name == "salesops" or name in sys.stdlib_module_names:
        return []
    spec = PathFinder.find_spec(name, [str(Path.cwd()), *sys.path])
    if spec is None:
        return []
    folders = [Path(place) for place in spec.submodule_search_locations or ()]
    files = [path for folder in folders for path in folder.rglob("*.py")]
    files += [Path(spec.origin)] if spec.has_location and spec.origin.endswith(".py") and not folders else []
    return [path for path in files if not set(_INSTALLED) & set(path.parts)]
