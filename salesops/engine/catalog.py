"""Which reports there are: one a notebook, and one a parameter file that names a variant of it."""

import json
import re
from pathlib import Path
from typing import NamedTuple

from salesops.checks import ParameterError, did_you_mean

_WORD = r"[A-Za-z0-9][A-Za-z0-9_-]*"
# Endings of the files published beside a report, and the pages that list reports.
_TAKEN = ("failed", "deals", "run", "index")


READS_REPORTS = "reads-reports"  # tag of a cell that reads what other reports of the day published


class Report(NamedTuple):
    """A report by its published name, its notebook, and its parameter file where it is a variant."""

    name: str
    notebook: Path
    variant: Path | None = None


def find(root: Path) -> dict[str, Report]:
    """Every report of a repository: ``notebooks/win_loss.ipynb``, ``parameters/win_loss.emea.yaml``.

    Raises
    ------
    ParameterError
        There are no notebooks, a name cannot be a report's, or a variant's notebook does not exist.
    """
    notebooks = sorted((root / "notebooks").glob("*.ipynb"))
    if not notebooks:
        raise ParameterError("there is no notebooks/*.ipynb here. Run from the repository root, or say --root DIR.")
    found = {path.stem: Report(checked(path.stem), path) for path in notebooks}
    for path in sorted((root / "parameters").glob("*.*.yaml")):
        base = path.stem.partition(".")[0]
        if base not in found:
            hint = did_you_mean(base, [each.stem for each in notebooks])
            raise ParameterError(f"{path.name}: there is no notebook '{base}' for this variant.{hint}")
        found[path.stem] = Report(checked(path.stem), found[base].notebook, path)
    return dict(sorted(found.items()))


def checked(name: str) -> str:
    """The name, if it is safe as a file's and does not clash with one published beside a report.

    Examples
    --------
    >>> checked("win_loss.emea")
    'win_loss.emea'
    >>> checked("win loss")
    Traceback (most recent call last):
        ...
    salesops.checks.ParameterError: 'win loss' cannot name a report. Use letters, digits, '_' and '-'.
    """
    if not re.fullmatch(rf"{_WORD}(\.{_WORD})*", name):
        raise ParameterError(f"'{name}' cannot name a report. Use letters, digits, '_' and '-'.")
    if is_taken(name.rpartition(".")[2]):
        raise ParameterError(f"'{name}' cannot name a report: its files would clash with others. Rename it.")
    return name


def is_taken(ending: str) -> bool:
    """Whether a name's last part is that of a file published beside a report.

    Examples
    --------
    >>> is_taken("deals"), is_taken("emea")
    (True, False)
    """
    return ending.lower() in _TAKEN


def reads_reports(notebook: Path) -> bool:
    """Whether a notebook says, by a tag of a cell, that it reads the other reports of its day.

    Raises
    ------
    ParameterError
        It is no notebook.
    """
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        return any(READS_REPORTS in cell["metadata"].get("tags", []) for cell in cells)
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise ParameterError(f"{notebook.name}: is not a Jupyter notebook ({fault}).") from fault


def select(found: dict[str, Report], names: list[str]) -> list[Report]:
    """The named reports, each once, in the order asked.

    Raises
    ------
    ParameterError
        A name is no report's.
    """
    for name in names:
        if name not in found:
            hint = did_you_mean(name, found)
            raise ParameterError(f"there is no report '{name}'. There are {', '.join(found)}.{hint}")
    return [found[name] for name in dict.fromkeys(names)]
