"""What the engine and the kernel of a notebook leave for one another, in a folder of the run's own."""

import inspect
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from salesops import crm, figures_files, kept, notes
from salesops.crm import handed, released
from salesops.engine import locks, plan
from salesops.report import deal_lists

PREFIX = "salesops-run-"


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that nobody else may read and that does not outlive the block.

    What killed runs of the same person left of theirs is removed first.
    """
    with locks.held(Path(tempfile.gettempdir()), PREFIX) as path:
        yield path


def companies(loaded: list[plan.Loaded], place: Path) -> list[plan.Loaded]:
    """The jobs with companies that lie in the folder, so that no kernel reads its source again."""
    left: dict[str, Any] = {}
    for at in range(len(loaded)):  # by number: no name may hold on to what was loaded
        loaded[at] = loaded[at]._replace(company=_left(loaded[at], place, left))
    released.give_back()
    return loaded


def environment(place: Path, lists: Path) -> dict[str, str]:
    """What tells a kernel where companies lie, and where to leave lists of deals, what it read and what it cached."""
    left = {figures_files.ASKED: lists / figures_files.ASKED_FILE, kept.USE: lists / kept.USE_FILE}
    told = {handed.FOLDER: place, deal_lists.FOLDER: lists} | left
    return {name: str(path) for name, path in told.items()}


def notes_of(job: plan.Job) -> dict[str, str]:
    """What tells a kernel where people's notes are and by which name its report is published."""
    return {notes.FOLDER: str((job.notebook.parents[1] / notes.DEFAULT).resolve()), notes.REPORT: job.name}


def _left(each: plan.Loaded, place: Path, left: dict[str, Any]) -> Any:
    if not isinstance(each.company, crm.Company):
        return each.company
    values = {name: value.value for name, value in each.job.values.items()}
    taken = inspect.signature(crm.load)
    asked = taken.bind_partial(**{name: values[name] for name in taken.parameters if name in values})
    asked.apply_defaults()
    name = handed.name(asked.arguments)
    if name not in left:
        left[name] = handed.leave(each.company, asked.arguments, place)
    return left[name]
