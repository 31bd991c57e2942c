"""Errors that say where, what is wrong, how many, three examples, and what to do."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

MIN_N = 20  # deals, wins, leads, accounts or trials below which a figure is shown, but never named, ranked or judged


class SalesopsError(Exception):
    """A fault a person can mend; its text is the whole message."""


class ParameterError(SalesopsError):
    """A parameter that is unknown or cannot be read (exit code 2)."""


class DataError(SalesopsError):
    """Data that cannot be trusted as they are (exit code 3)."""


class StaleError(DataError):
    """Data that end too long before the day a report is as of (exit code 3)."""


def require_columns(frame: "pd.DataFrame", columns: Iterable[str], *, where: str = "the frame") -> None:
    """Raise `DataError` unless every column is there.

    Parameters
    ----------
    frame
        Any frame.
    columns
        Names that must be among its columns.
    where
        What the message calls the frame, e.g. a file's name.

    Raises
    ------
    DataError
        Names the missing columns, those found and the nearest spelling.

    Examples
    --------
    >>> import pandas as pd
    >>> require_columns(pd.DataFrame({"CloseDate": []}), ["close_date"], where="deals.csv")
    Traceback (most recent call last):
        ...
    salesops.checks.DataError: deals.csv: missing column ['close_date']; found ['CloseDate']. \
Did you mean 'CloseDate'?
    """
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        found = [str(name) for name in frame.columns]
        noun = "column" if len(missing) == 1 else "columns"
        raise DataError(
            f"{where}: missing {noun} {missing}; found {_shortened(found)}.{did_you_mean(missing[0], found)}"
        )


def examples(values: Iterable[object], limit: int = 3) -> str:
    """The first few distinct values, for a message.

    Examples
    --------
    >>> examples(["006A1", "006B2", "006A1", "006C3", "006D4"])
    '006A1, 006B2, 006C3, …'
    """
    distinct = list(dict.fromkeys(str(value)[:80] for value in values))
    return ", ".join(distinct[:limit]) + (", …" if len(distinct) > limit else "")


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """The nearest spelling as a question with a leading space, or nothing.

    Examples
    --------
    >>> did_you_mean("as_off", ["as_of", "source"])
    " Did you mean 'as_of'?"
    >>> did_you_mean("zebra", ["as_of", "source"])
    ''
    """
    plain = {_plain(option): option for option in options}
    near = get_close_matches(_plain(word), list(plain), n=1, cutoff=0.7)
    return f" Did you mean '{plain[near[0]]}'?" if near else ""


def _plain(word: str) -> str:
    return "".join(letter for letter in str(word).lower() if letter.isalnum())


def _shortened(names: list[str], limit: int = 8) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:limit])
    return f"[{shown}, …]" if len(names) > limit else f"[{shown}]"
