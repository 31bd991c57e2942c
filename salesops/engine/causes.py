"""Why a report was not made: one of a few causes, each in words for a person who did not write the report."""

import builtins
import errno
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from salesops.checks import DataError, ParameterError, SalesopsError, StaleError
from salesops.engine.limits import RunTimeoutError

# What a second try may mend: a busy or shaky file system, network or database; a file that is being replaced.
_PASSING = {
    getattr(errno, name)
    for name in (
        "EAGAIN", "EBUSY", "ECONNABORTED", "ECONNREFUSED", "ECONNRESET", "EDEADLK", "EHOSTDOWN", "EHOSTUNREACH",
        "EINTR", "EIO", "EMFILE", "ENETDOWN", "ENETRESET", "ENETUNREACH", "ENFILE", "ENOLCK", "EPIPE", "EREMOTEIO",
        "ESTALE", "ETIMEDOUT", "ETXTBSY",
    )
    if hasattr(errno, name)
}  # fmt: skip
_FULL = {errno.ENOSPC, errno.EDQUOT}
_PASSING_NAMES = {"TimeoutError", "ConnectionError", "BlockingIOError", "InterruptedError"}
_DATABASES = {"OperationalError", "IOException", "ConnectionException", "HTTPException"}  # of sqlite3 and DuckDB
_LOCKED = re.compile(r"\block|busy|disk i/o error|connection|timed out", re.IGNORECASE)
_NUMBER = re.compile(r"\[errno (\d+)\]", re.IGNORECASE)

_KINDS = {  # the first that fits
    StaleError: "stale data", DataError: "data", ParameterError: "parameters", RunTimeoutError: "run timeout",
    SalesopsError: "page",
}  # fmt: skip


class Cause(NamedTuple):
    """What happened, and what to do, for a person who did not write the report."""

    sentence: str
    advice: str


CAUSES = {
    "parameters": Cause(
        "The report was asked for with a setting it does not have or cannot read.",
        "Correct the setting that the message names, then run the report again.",
    ),
    "data": Cause(
        "The data are not as the report needs them, so no number was made from them.",
        "Mend what the message names in the CRM or in its export, then run the report again.",
    ),
    "stale data": Cause(
        "The data end too long before the day that the report is as of.",
        "Look whether the export still runs and arrives, then run the report again.",
    ),
    "input/output": Cause(
        "A file, a database or a connection could not be read or written.",
        "Look whether the source can be reached and the folder of reports can be written, then run the report again.",
    ),
    "notebook code": Cause(
        "A calculation of the report stopped with an error; no part of it was published.",
        "Send this page to whoever looks after the report: the notebook below shows where it stopped.",
    ),
    "cell timeout": Cause(
        "One step of the report took longer than a step may.",
        "Run the report again when the machine is less busy; if it ends here again, raise --cell-timeout.",
    ),
    "run timeout": Cause(
        "The run took longer than it may and was ended.",
        "Run the report again when the machine is less busy; if it ends here again, raise --timeout or make fewer "
        "reports at a time.",
    ),
    "kernel killed": Cause(
        "The program that calculates the report was ended before it was done.",
        "Run the report again; if it ends here again, whoever looks after the machine can say what ends it.",
    ),
    "out of memory": Cause(
        "The report needed more memory than there was for it.",
        "Run it when less runs beside it (--jobs 1), allow it more (--memory), or report on fewer deals (where).",
    ),
    "disk full": Cause(
        "There was no room left on the disk to write to.",
        "Make room where reports and temporary files lie, then run the report again.",
    ),
    "page": Cause(
        "The report was calculated, but its page fell short of what every page has to hold, so it was not published.",
        "Send this page to whoever looks after the report: the message says which rule it broke.",
    ),
}


def of(fault: BaseException) -> str:
    """The cause of what was raised in this process.

    A data error that comes of a shaky disk, a lock, or want of memory or room has that for its cause.

    Parameters
    ----------
    fault
        As caught.

    Returns
    -------
    str
        A key of `CAUSES`.

    Examples
    --------
    >>> of(ParameterError("by: unknown")), of(StaleError("deals end in May")), of(OSError(errno.ENOSPC, "full"))
    ('parameters', 'stale data', 'disk full')
    >>> of(MemoryError()), of(SalesopsError("alpha: not fit to be published")), of(KeyError("amount"))
    ('out of memory', 'page', 'notebook code')
    >>> of(DataError("deals.csv: is empty.")), of(PermissionError(errno.EACCES, "denied"))
    ('data', 'input/output')
    >>> for number in (errno.ENOSPC, errno.EACCES):
    ...     try:
    ...         raise SalesopsError("reports: could not be brought up to date.") from OSError(number, "refused")
    ...     except SalesopsError as fault:
    ...         of(fault)
    'disk full'
    'input/output'
    """
    below = [*_below(fault)] if isinstance(fault, SalesopsError) else []
    for inner in (fault, *below):
        short = _shortage(_names(type(inner)), _number(inner, str(inner)))
        if short:
            return short
    is_of_files = type(fault) is SalesopsError and any(isinstance(inner, OSError) for inner in below)
    if is_of_files or is_passing(fault):
        return "input/output"
    for kind, cause in _KINDS.items():
        if isinstance(fault, kind):
            return cause
    return "input/output" if isinstance(fault, OSError) else "notebook code"


def of_error(error: str, message: str) -> str:
    """The cause of an error in a notebook's cell, of which only name and text are known.

    Examples
    --------
    >>> of_error("KeyError", "'amount'"), of_error("DataError", "deals.csv: is empty.")
    ('notebook code', 'data')
    >>> of_error("OSError", "[Errno 28] No space left on device"), of_error("_ArrayMemoryError", "Unable to allocate")
    ('disk full', 'out of memory')
    >>> of_error("ConnectionResetError", "[Errno 104] reset"), of_error("KeyboardInterrupt", "")
    ('input/output', 'kernel killed')
    """
    own = {"ParameterError": "parameters", "DataError": "data", "StaleError": "stale data"}
    if error in own:
        return own[error]
    names = _names_of(error)
    short = _shortage(names, _number(None, message))
    if short:
        return short
    if "OSError" in names or is_passing_error(error, message):
        return "input/output"
    return "kernel killed" if error == "KeyboardInterrupt" else "notebook code"


def is_passing(fault: BaseException) -> bool:
    """Whether a second try may go well: reading was disturbed, or a database was locked.

    Examples
    --------
    >>> is_passing(OSError(errno.EIO, "Input/output error")), is_passing(FileNotFoundError(errno.ENOENT, "gone"))
    (True, False)
    >>> try:
    ...     raise DataError("deals.csv: cannot be opened.") from OSError(errno.ESTALE, "Stale file handle")
    ... except DataError as fault:
    ...     is_passing(fault)
    True
    """
    below = _below(fault) if isinstance(fault, DataError) else []
    return any(_is_passing(_names(type(each)), _number(each, str(each)), str(each)) for each in (fault, *below))


def is_passing_error(error: str, message: str) -> bool:
    """`is_passing` of an error in a notebook's cell.

    Examples
    --------
    >>> is_passing_error("OperationalError", "database is locked"), is_passing_error("KeyError", "'lock'")
    (True, False)
    """
    return _is_passing(_names_of(error), _number(None, message), message)


def told(cause: str) -> Cause:
    """A cause's words.

    Examples
    --------
    >>> told("disk full").sentence
    'There was no room left on the disk to write to.'
    """
    return CAUSES[cause]


def _is_passing(names: set[str], number: int | None, text: str) -> bool:
    if names & _DATABASES:
        return bool(_LOCKED.search(text))
    return "OSError" in names and (number in _PASSING or (number is None and bool(names & _PASSING_NAMES)))


def _shortage(names: set[str], number: int | None) -> str:
    """Which of memory and room ran out, if either did."""
    is_memory = any(name.endswith(("MemoryError", "OutOfMemoryException")) for name in names)
    if is_memory or ("OSError" in names and number == errno.ENOMEM):
        return "out of memory"
    return "disk full" if "OSError" in names and number in _FULL else ""


def _below(fault: BaseException) -> Iterator[BaseException]:
    """What an error was raised from; a reader that hides a path (`from None`) keeps it all the same."""
    seen = fault.__cause__ or fault.__context__
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _names(kind: type) -> set[str]:
    return {each.__name__ for each in kind.__mro__}


def _names_of(error: str) -> set[str]:
    kind = getattr(builtins, error, None)
    return _names(kind) if isinstance(kind, type) and issubclass(kind, BaseException) else {error}


def _number(fault: BaseException | None, text: str) -> int | None:
    """The system's number of an error; Arrow and a kernel have it in the text alone."""
    number = getattr(fault, "errno", None)
    if isinstance(number, int):
        return number
    found = _NUMBER.search(text)
    return int(found[1]) if found else None


def strerror(fault: BaseException) -> str:
    """What the system calls an error, without the path it happened at.

    Examples
    --------
    >>> strerror(OSError(errno.ENOSPC, "No space left on device", "/somewhere/of/ours"))
    'No space left on device'
    """
    number = _number(fault, str(fault))
    return os.strerror(number) if number is not None else str(fault)
