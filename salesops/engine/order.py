"""In which order reports are started so that all are done soonest: the longest first, so that none is left at the end.

How long one takes is known from its newest run record in the folder it goes to; of one that was never published
there, from how many code cells its notebook has.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from salesops.engine import shelf

_A_CELL = 1.0  # seconds, where no run record tells what one takes: then all are alike


def longest_first(loaded: Sequence[Any], places: Iterable[int], out: Path) -> list[int]:
    """The places of some reports in the order of their expected length; of equal ones as asked.

    Parameters
    ----------
    loaded
        All reports, of `plan.load`.
    places
        Which of them, by number.
    out
        The folder of all dates.
    """
    asked = list(places)
    took = {at: _seconds(out / loaded[at].folder, loaded[at].job.name) for at in asked}
    counts = {path: _cells(path) for path in {loaded[at].job.notebook for at in asked}}
    cells = {at: counts[loaded[at].job.notebook] for at in asked}
    known = [at for at in asked if took[at] is not None]
    a_cell = sum(took[at] for at in known) / max(sum(cells[at] for at in known), 1) if known else _A_CELL
    return sorted(asked, key=lambda at: -(cells[at] * a_cell if took[at] is None else took[at]))


def _seconds(out: Path, report: str) -> float | None:
    """What the cells of a report took when it was last published, as of any day."""
    newest = max(out.glob(f"[0-9]*/{report}.run.json"), default=None)
    told = shelf.run_record(newest.parent, report).get("cell_seconds") if newest else None
    took = [each for each in told if isinstance(each, int | float)] if isinstance(told, list) else []
    return float(sum(took)) if took else None


def _cells(notebook: Path) -> int:
    """How many code cells it has; what is no notebook the run will say."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        return sum(cell["cell_type"] == "code" for cell in cells)
    except (OSError, ValueError, KeyError, TypeError):
        return 0
