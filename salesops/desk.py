"""The analyst's desk: in a notebook open in JupyterLab an edit to the package counts from the next cell on."""

import sys
from pathlib import Path

_PACKAGE = Path(__file__).parent


def follow_edits() -> None:
    """Take up edits of the package before each cell, as ``%autoreload 2`` does; what was remembered is forgotten.

    Called on import where JupyterLab opened the notebook. A report that runs by itself never comes here: one
    page is made by one state of the code.
    """
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None:  # a script that a notebook started
        return
    if "autoreload" not in shell.magics_manager.magics["line"]:
        shell.run_line_magic("load_ext", "autoreload")
    shell.run_line_magic("autoreload", "2 --full")  # whole modules: a changed docstring or constant counts too
    shell.events.register("pre_run_cell", _Remembered())


class _Remembered:
    """Empties the package's caches, e.g. the registry of metrics, once a file of it has changed."""

    def __init__(self) -> None:
        self.stamp = _stamp()

    def __call__(self, _: object) -> None:
        before, self.stamp = self.stamp, _stamp()
        if self.stamp != before:
            for name in [name for name in sys.modules if name.startswith("salesops.")]:
                for member in list(vars(sys.modules[name]).values()):
                    getattr(member, "cache_clear", int)()


def _stamp() -> dict[Path, int]:
    """When each file of the package was last written."""
    files = [path for path in _PACKAGE.rglob("*") if path.suffix in {".py", ".css", ".j2", ".mplstyle", ".yaml"}]
    return {path: path.stat().st_mtime_ns for path in files}
