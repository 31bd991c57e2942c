"""A connection to a warehouse, and what goes wrong there in our words: its own may hold an address."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pyarrow as pa

from salesops import checks
from salesops.crm.source import FILE


class Fault(NamedTuple):
    """What an error means (``address``, ``unreached``, ``slow``, ``writes``, ``query``), and words for it."""

    kind: str
    words: str = ""


class Warehouse(NamedTuple):
    """An open connection: Ibis's backend, what messages call it, its tables, what a SELECT may take.

    ``schema`` gives the columns of a SELECT, ``fetch`` the rows of an Ibis table, ``interrupt`` ends what runs,
    ``fault`` says what an error means; None where it is not one of the engine's.
    """

    backend: Any
    label: str
    tables: tuple[str, ...]
    seconds: int
    schema: Callable[[str], Any]
    fetch: Callable[[Any], pa.Table]
    interrupt: Callable[[], None]
    fault: Callable[[BaseException], Fault | None]


class WritesError(Exception):
    """A query that is not one SELECT."""


@contextmanager
def told(warehouse: Warehouse, text: str, *, is_select: bool) -> Iterator[None]:
    """What goes wrong with a table or a SELECT, in our words.

    Raises
    ------
    DataError
        It cannot be read, does more than select, takes too long, or the connection was lost.
    """
    shown = f"{FILE}: the SELECT '{' '.join(text.split())[:60]}…'" if is_select else f"{warehouse.label}:{text}"
    try:
        yield
    except Exception as error:
        fault = warehouse.fault(error)
        if fault is None:
            raise
        raise _faulty(fault, shown, warehouse) from passing(fault)


def _faulty(fault: Fault, shown: str, warehouse: Warehouse) -> checks.SalesopsError:
    if fault.kind == "writes":
        return checks.DataError(f"{shown} does more than select. Write one SELECT.")
    if fault.kind == "slow":
        return checks.DataError(f"{shown} takes longer than {warehouse.seconds} s. Narrow it by a SELECT under tables.")
    if fault.kind != "query":
        return refusal(fault, warehouse.label)
    return checks.DataError(
        f"{shown} fails: {fault.words.rstrip('.')}. Tables that can be read by name: {list(warehouse.tables)[:8]}."
    )


def refusal(fault: Fault, label: str) -> checks.SalesopsError:
    """The error where no connection came about, or it was lost.

    Examples
    --------
    >>> refusal(Fault("address", "the user or the password"), "SALES_DB")
    ParameterError('SALES_DB: the user or the password of the address it holds is refused. Correct and export it.')
    """
    if fault.kind == "address":
        return checks.ParameterError(
            f"{label}: {fault.words} of the address it holds is refused. Correct and export it."
        )
    return checks.DataError(
        f"{label}: the database it names cannot be reached. Look whether it runs and this machine may connect to it."
    )


def passing(fault: Fault) -> BaseException | None:
    """A cause for that error which a second try may mend, as the retries of a run know it; None if it may not.

    Examples
    --------
    >>> passing(Fault("unreached")), passing(Fault("writes"))
    (ConnectionError('no connection to the database'), None)
    """
    return ConnectionError("no connection to the database") if fault.kind == "unreached" else None


def common_fault(error: BaseException) -> Fault | None:
    """What Ibis and the check of a SELECT raise, whatever the engine.

    Examples
    --------
    >>> common_fault(WritesError("DROP TABLE deals"))
    Fault(kind='writes', words='')
    """
    if isinstance(error, WritesError):
        return Fault("writes")
    from ibis.common.exceptions import IbisError
    from sqlglot.errors import ParseError, SqlglotError

    if isinstance(error, ParseError) and error.errors:
        return Fault("query", str(error.errors[0]["description"]))
    is_known = isinstance(error, IbisError | SqlglotError | pa.ArrowException)
    return Fault("query", str(error).splitlines()[0]) if is_known else None
