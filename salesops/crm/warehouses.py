"""SQL warehouses and Spark clusters as a source: read by Ibis, for reading alone, rows in one order.

An `Engine` knows how to connect to one, what its errors mean and how a query's rows come as Arrow; everything
else is the same for all of them. Ibis and the drivers are extras, imported when an address asks for them.
"""

import importlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from salesops import checks
from salesops.crm import postgres, spark
from salesops.crm.connection import Warehouse, WritesError, told

_HARMFUL = {"reflect", "java_method", "try_reflect"}  # call any method of Java from a SELECT
_MONEY = (19, 4)  # what Ibis takes PostgreSQL's money for, which the server turns into a decimal and nothing else


class Engine(NamedTuple):
    """One kind of warehouse: the extra that reads it, what that installs, and a context that connects."""

    extra: str
    modules: tuple[str, ...]
    connected: Callable[..., AbstractContextManager[Warehouse]]


@contextmanager
def opened(address: str, *, label: str, seconds: int) -> Iterator[Warehouse]:
    """A connection to the warehouse at an address, which may only read.

    Parameters
    ----------
    address
        As the environment has it, with a scheme among `ENGINES`; no word of it is in a message.
    label
        What messages call the database: the variable's name.
    seconds
        What a SELECT may take.

    Raises
    ------
    DataError
        The warehouse cannot be reached.
    ParameterError
        Its driver is not installed, or the user, the password or the address is refused.
    """
    engine = ENGINES[address.partition("://")[0]]
    try:
        for name in engine.modules:
            importlib.import_module(name)
    except ImportError:
        raise checks.ParameterError(
            f"{label}: names a database whose driver is not installed. Install it beside salesops: "
            f"python -m pip install --editable '.[{engine.extra}]'."
        ) from None
    with engine.connected(address, label=label, seconds=seconds) as warehouse:
        yield warehouse


def table(warehouse: Warehouse, text: str, *, is_select: bool) -> Any:
    """A table, or what a SELECT gives, as an `ibis.Table`; nothing is read.

    Raises
    ------
    DataError
        There is no such table, or the SELECT fails or does more than select.
    """
    with told(warehouse, text, is_select=is_select):
        if not is_select:
            return warehouse.backend.table(text)
        query = _one_select(text, warehouse.backend.dialect)
        return warehouse.backend.sql(query, schema=warehouse.schema(query))


def rows(
    warehouse: Warehouse, text: str, *, is_select: bool, wanted: Sequence[str], keys: Sequence[str], keeps_all: bool,
    texts: Collection[str] = (),
) -> pa.Table:  # fmt: skip
    """The rows of a table or a SELECT, in one order.

    Parameters
    ----------
    warehouse
        From `opened`.
    text
        A table's name, or (``is_select``) a SELECT.
    wanted
        Names of columns, found whatever their case.
    keys
        Those of them that come first in the order of rows; all other columns follow. A SELECT that says ORDER BY
        keeps its own order.
    keeps_all
        Whether columns that are not wanted come too.
    texts
        Names of columns that hold text: a long id is no number, which would be rounded.

    Raises
    ------
    DataError
        As `table`; or it has no column to be read.
    """
    found = table(warehouse, text, is_select=is_select)
    named = _named(found.columns, wanted)
    columns = {
        new: _plain(found[old], is_text=new in texts) for old, new in named.items() if keeps_all or new in wanted
    }
    plain = {name: column for name, column in columns.items() if column is not None}
    if not plain:
        raise checks.DataError(f"{warehouse.label}: no column to be read in '{text}'; found {found.columns[:8]}.")
    with told(warehouse, text, is_select=is_select):
        read = warehouse.fetch(found.select(**plain))
    if is_select and _is_ordered(text, warehouse.backend.dialect):
        return read
    return _ordered(read, [key for key in keys if key in read.column_names])


# --- one SELECT ---


def _one_select(query: str, dialect: Any) -> str:
    """The query, if it is one SELECT that changes nothing."""
    import sqlglot
    from sqlglot import expressions as sql

    parsed = [one for one in sqlglot.parse(query, read=dialect) if one is not None]
    writing = (sql.DML, sql.DDL, sql.Into, sql.Lock, sql.Command)
    if len(parsed) != 1 or not isinstance(parsed[0], sql.Query) or parsed[0].find(*writing):
        raise WritesError(query)
    if any(call.name.casefold() in _HARMFUL for call in parsed[0].find_all(sql.Anonymous)):
        raise WritesError(query)
    return query.rstrip("; \t\r\n")


def _is_ordered(query: str, dialect: Any) -> bool:
    import sqlglot

    return sqlglot.parse_one(query, read=dialect).args.get("order") is not None


# --- columns and rows ---


def _named(columns: Sequence[str], wanted: Sequence[str]) -> dict[str, str]:
    """New names of columns by those they have: as wanted where one differs in case alone."""
    by_case: dict[str, list[str]] = {}
    for column in columns:
        by_case.setdefault(column.casefold(), []).append(column)
    named = {column: column for column in columns}
    for name in wanted:
        same = by_case.get(name.casefold(), [])
        if len(same) == 1 and same[0] not in wanted:
            named[same[0]] = name
    return named


def _plain(column: Any, *, is_text: bool = False) -> Any | None:
    """A column as text, number, time or yes and no, as a file would hold it; bytes hold nothing to count."""
    kind = column.type()
    if kind.is_binary() or kind.is_null():
        return None
    if kind.is_decimal():
        exact = column.cast("decimal(30, 6)") if (kind.precision, kind.scale) == _MONEY else column
        return exact.cast("string" if is_text else "float64")
    if kind.is_boolean() or kind.is_integer() or kind.is_floating() or kind.is_string():
        return column
    return column if kind.is_date() or kind.is_timestamp() else column.cast("string")


def _ordered(read: pa.Table, keys: Sequence[str]) -> pa.Table:
    """Rows by the keys, then by all other columns: a database has no order of its own."""
    names = [*keys, *(name for name in read.column_names if name not in keys)]
    return read.take(pc.sort_indices(read, sort_keys=[(name, "ascending") for name in names]))


ENGINES = {
    "postgres": Engine("warehouse", ("ibis", "psycopg"), postgres.connected),
    "postgresql": Engine("warehouse", ("ibis", "psycopg"), postgres.connected),
    "spark": Engine("spark", ("ibis", "pyspark"), spark.connected),
    "sc": Engine("spark", ("ibis", "pyspark", "grpc"), spark.connected),
}
