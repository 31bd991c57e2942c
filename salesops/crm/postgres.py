"""PostgreSQL as a source: one read-only transaction, every table as of the same moment."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from salesops.crm.connection import Fault, Warehouse, common_fault, passing, refusal

CONNECT_SECONDS = 30
_AT_A_TIME = 50_000  # rows
_REPEATABLE_READ = 3
_TABLES = """
SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'v', 'm', 'p', 'f') ORDER BY c.relname COLLATE "C"
"""
_KINDS = "SELECT pg_catalog.format_type(k, NULL) FROM unnest(%s::oid[]) WITH ORDINALITY AS x(k, n) ORDER BY n"


@contextmanager
def connected(address: str, *, label: str, seconds: int) -> Iterator[Warehouse]:
    """A connection to the server at an address, as libpq reads it (``postgresql://user:password@host/database``).

    The transaction is taken back in the end, whatever ran in it.

    Raises
    ------
    DataError
        The server cannot be reached.
    ParameterError
        It refuses the user, the password or the name of the database, or the address cannot be read.
    """
    import ibis

    with _connection(address, label) as connection:
        connection.read_only, connection.isolation_level = True, _REPEATABLE_READ
        with connection.transaction(force_rollback=True):
            backend = ibis.postgres.from_connection(connection)
            connection.execute(f"SET LOCAL statement_timeout = {round(seconds * 1000)}")
            yield Warehouse(
                backend=backend,
                label=label,
                tables=tuple(name for (name,) in connection.execute(_TABLES).fetchall()),
                seconds=seconds,
                schema=lambda query: _schema(connection, query),
                fetch=lambda expression: _fetched(
                    connection, backend.compile(_finite(expression)), expression.schema()
                ),
                interrupt=connection.cancel_safe,
                fault=_fault,
            )


def _connection(address: str, label: str) -> Any:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        settings = {"connect_timeout": CONNECT_SECONDS} | conninfo_to_dict(address)
        return psycopg.connect(**settings, autocommit=True)
    except psycopg.Error as error:
        fault = _refused(error)
        raise refusal(fault, label) from passing(fault)


def _refused(error: Exception) -> Fault:
    """Why no connection came about; before there is one, the driver has only words to tell by."""
    import psycopg

    said = str(error).casefold()
    if isinstance(error, psycopg.ProgrammingError) or "servname" in said:  # of a port
        return Fault("address", "a part")
    if any(word in said for word in ("password", "authentication", "pg_hba", 'role "')):
        return Fault("address", "the user or the password")
    return Fault("address", "the database") if 'database "' in said else Fault("unreached")


def _schema(connection: Any, query: str) -> Any:
    """Names and kinds of a SELECT's columns; Ibis would make a view to see them, which is to write."""
    import ibis
    from ibis.backends.sql.datatypes import PostgresType

    described = connection.execute(f"SELECT * FROM (\n{query}\n) AS asked LIMIT 0").description
    kinds = connection.execute(_KINDS, [[column.type_code for column in described]]).fetchall()
    return ibis.schema(
        [(column.name, PostgresType.from_string(kind)) for column, (kind,) in zip(described, kinds, strict=True)]
    )


def _finite(expression: Any) -> Any:
    """PostgreSQL's infinite days mean that there is none, and are missing."""
    import ibis

    @ibis.udf.scalar.builtin
    def isfinite(moment) -> bool: ...

    moments = [name for name, kind in expression.schema().items() if kind.is_date() or kind.is_timestamp()]
    return expression.mutate(**{name: isfinite(expression[name]).ifelse(expression[name], None) for name in moments})


def _fetched(connection: Any, query: str, schema: Any) -> pa.Table:
    """The rows, some thousands at a time: as Python's values they take many times the room."""
    row = pa.struct(list(schema.to_pyarrow()))
    batches = []
    with connection.cursor(name="salesops") as cursor:
        cursor.execute(query)
        while some := cursor.fetchmany(_AT_A_TIME):
            batches.append(pa.RecordBatch.from_struct_array(pa.array(some, type=row)))
    return pa.Table.from_batches(batches, schema=pa.schema(list(row)))


def _fault(error: BaseException) -> Fault | None:
    import psycopg
    from psycopg import errors

    if not isinstance(error, psycopg.Error):
        return common_fault(error)
    if isinstance(error, errors.QueryCanceled):
        return Fault("slow")
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return Fault("writes")
    said = error.diag.message_primary
    if isinstance(error, errors.AdminShutdown | errors.CrashShutdown | errors.CannotConnectNow):
        return Fault("unreached")
    if isinstance(error, psycopg.OperationalError) and said is None:
        return Fault("unreached")
    if isinstance(error, psycopg.DataError) and said is None:  # the driver's own: a value that Python has none for
        return Fault("query", f"{str(error).splitlines()[0]}; mend it there, or leave it out by a SELECT under tables")
    return Fault("query", said or str(error).splitlines()[0])
