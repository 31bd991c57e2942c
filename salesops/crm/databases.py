"""One door for every database: a DuckDB or SQLite file, or what an environment variable names.

Over files DuckDB runs the SELECTs, on one thread so that rows and sums come in the same order
every time, shut off from files, networks and Python's variables; warehouses run their own.
The address of a database may hold a password: it is read here and is in no message.
"""

import hashlib
import os
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import duckdb
import pandas as pd
import pyarrow as pa

from salesops import checks
from salesops.crm import model, raw, warehouses
from salesops.crm.policy import ENVIRONMENT
from salesops.crm.source import FILE, Source

ENGINES = ("duckdb", "sqlite")  # read by DuckDB, embedded
SELECT_SECONDS = 600
# Tables of things, whose other columns are kept as x_; of tables of events a warehouse sends the canonical ones alone.
_WITH_OWN = ("opportunities", "accounts", "leads", "reps")
_SQLITE = b"SQLite format 3\0"
_DUCKDB = b"DUCK"  # after eight bytes of checksum


class Database(NamedTuple):
    """A file that holds tables, and what messages call it."""

    path: Path
    label: str


class Door(NamedTuple):
    """An open database: what messages call it, its tables, and the rows of one, or of a SELECT, for a table of ours."""

    label: str
    tables: list[str]
    rows: Callable[[str, str, str], pd.DataFrame]


def read_tables(source: Source) -> dict[str, raw.Raw]:
    """The raw tables of a source that is a database: those source.yaml names, and those with canonical names.

    Raises
    ------
    DataError
        The database cannot be opened, or holds no opportunities.
    ParameterError
        The environment variable that holds its address is not set, or its driver is not installed.
    """
    with opened(source) as door:
        names = {name.casefold(): name for name in door.tables}
        wanted = {table: names.get(table) for table in model.TABLES} | dict(source.tables)
        if not wanted.get("opportunities"):
            shown = sorted(names.values())
            hint = checks.did_you_mean("opportunities", shown)
            raise checks.DataError(
                f"{door.label}: no table opportunities; {_shown(shown)}.{hint} Name the table that "
                f"holds the deals, or a SELECT, in {FILE} under tables."
            )
        return {table: _read(door, table, text) for table, text in wanted.items() if text}


@contextmanager
def opened(source: Source) -> Iterator[Door]:
    """The database of a source, for reading alone.

    Raises
    ------
    DataError, ParameterError
        As `read_tables`.
    """
    named = source.database or ""
    if not named.startswith(ENVIRONMENT):
        path = source.folder / named
        if not path.is_file():
            raise checks.DataError(f"{named}: no such file beside {FILE}. Name a database file under database.")
        with _file(Database(path, named), source) as door:
            yield door
        return
    variable = named.removeprefix(ENVIRONMENT)
    address = os.environ.get(variable, "").strip()  # a secret that a file holds ends with a new line
    if not address:
        raise checks.ParameterError(f"{variable}: not set. {FILE} reads the database's address from it; export it.")
    with _addressed(address, variable, source) as door:
        yield door


def is_select(text: str) -> bool:
    """Whether a text is a SELECT, not the name of a file or table."""
    return bool(re.match(r"\s*(select|with)\s", text, re.IGNORECASE))


def words(query: str) -> set[str]:
    """The words and quoted names of a query, of which some are tables."""
    return {word.casefold() for pair in re.findall(r'"([^"]*)"|(\w+)', query) for word in pair}


@contextmanager
def in_memory(frames: Mapping[str, pd.DataFrame | pa.Table]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB connection that holds the frames as tables and reaches nothing else."""
    with duckdb.connect(config={"temp_directory": ""}) as connection:
        for name, frame in frames.items():
            held = frame if isinstance(frame, pa.Table) else pa.Table.from_pandas(frame, preserve_index=False)
            connection.register("held", held)
            connection.execute(f"CREATE TABLE {_quoted(name)} AS SELECT * FROM held")
            connection.unregister("held")
        _shut_off(connection)
        yield connection


def selected(connection: duckdb.DuckDBPyConnection, query: str, *, file: str, tables: Sequence[str]) -> pd.DataFrame:
    """The rows of a SELECT, within a time limit.

    Raises
    ------
    DataError
        The SELECT fails, does more than select, or takes too long.
    """
    shown = " ".join(query.split())[:60]
    try:
        statements = connection.extract_statements(query)
        if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
            raise checks.DataError(f"{FILE}: '{shown}…' does more than select. Write one SELECT.")
        with _limited(connection.interrupt):
            table = connection.sql(query).to_arrow_table()
    except duckdb.InterruptException as error:
        raise checks.DataError(
            f"{FILE}: the SELECT '{shown}…' takes longer than {SELECT_SECONDS} s. Narrow it, or save its result "
            "as a file."
        ) from error
    except duckdb.Error as error:
        raise checks.DataError(
            f"{FILE}: the SELECT '{shown}…' fails: {str(error).splitlines()[0]} "
            f"It takes tables by name, {list(tables)[:8]}; columns of text files are text."
        ) from error
    return raw.of_arrow(table, file=file)


_TABLES = "SELECT table_name FROM information_schema.tables ORDER BY table_schema = 'main', table_name"


def _read(door: Door, table: str, text: str) -> raw.Raw:
    """A table, or the rows of a SELECT, hashed by content: a database's file changes when nothing in a table does."""
    file = f"SELECT over {door.label}" if is_select(text) else f"{door.label}:{text}"
    names = {name.casefold(): name for name in door.tables}
    found = text if is_select(text) or text in door.tables else names.get(text.casefold())
    if found is None:
        shown = sorted(names.values())
        select = (
            f" A table of another schema is read by SELECT * FROM {text}." if re.fullmatch(r"\w+(\.\w+)+", text) else ""
        )
        raise checks.DataError(f"{file}: no such table; {_shown(shown)}.{checks.did_you_mean(text, shown)}{select}")
    frame = door.rows(table, found, file)
    digest = hashlib.sha256(",".join(frame.columns).encode())
    digest.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
    return raw.Raw(frame, file, digest.hexdigest())


def _shown(tables: Sequence[str]) -> str:
    if tables:
        return f"found {list(tables[:8])}"
    return "found none that this user may see; a schema can be named in the address, a table of one in a SELECT"


def _addressed(address: str, variable: str, source: Source) -> AbstractContextManager[Door]:
    """The database at an address: a file for DuckDB, or a warehouse."""
    engine, mark, place = address.partition("://")
    if mark and engine in warehouses.ENGINES:
        return _warehouse(address, variable, source)
    if not mark or engine not in ENGINES:
        kind = (re.match(r"[\w+]*", engine)[0] if mark else "") or "another"
        raise checks.DataError(
            f"{variable}: names a database of kind '{kind}', which salesops does not read; it reads "
            f"{', '.join([*ENGINES, *warehouses.ENGINES])}, e.g. duckdb:///sales.duckdb. Copy the tables into such a "
            "one, or export them."
        )
    return _file(Database(source.folder / place.removeprefix("/"), variable), source)


@contextmanager
def _warehouse(address: str, variable: str, source: Source) -> Iterator[Door]:
    with warehouses.opened(address, label=variable, seconds=SELECT_SECONDS) as warehouse:

        def rows(table: str, text: str, file: str) -> pd.DataFrame:
            ours = {name: name for name in model.columns(table)} | dict(source.columns.get(table, {}))
            with _limited(warehouse.interrupt):
                read = warehouses.rows(
                    warehouse,
                    text,
                    is_select=is_select(text),
                    wanted=list(ours.values()),
                    keys=[ours[key] for key in model.keys(table)],
                    keeps_all=is_select(text) or table in _WITH_OWN,
                    texts=[ours[column.name] for column in model.TABLES[table] if column.kind == "str"],
                )
            return raw.of_arrow(read, file=file)

        yield Door(variable, list(warehouse.tables), rows)


@contextmanager
def _file(database: Database, source: Source) -> Iterator[Door]:
    texts = " ".join([*model.TABLES, *(text for text in source.tables.values() if text)])
    with _connected(database, words(texts)) as connection:
        tables = [name for (name,) in connection.sql(_TABLES).fetchall()]

        def rows(_: str, text: str, file: str) -> pd.DataFrame:
            query = text if is_select(text) else f"SELECT * FROM {_quoted(text)}"
            return selected(connection, query, file=file, tables=sorted(tables))

        yield Door(database.label, tables, rows)


@contextmanager
def _connected(database: Database, wanted: set[str]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB connection to the database, for reading alone; of SQLite, to a copy of the wanted tables."""
    try:
        with database.path.open("rb") as file:
            start = file.read(len(_SQLITE))
    except OSError as error:
        raise checks.DataError(f"{database.label}: cannot be opened ({error.strerror}).") from None
    if start == _SQLITE:
        with in_memory(_from_sqlite(database, wanted)) as connection:
            yield connection
        return
    if start[8:12] != _DUCKDB:
        raise checks.DataError(f"{database.label}: is neither a DuckDB nor an SQLite file. Export the tables again.")
    with _opened(database) as connection:
        _shut_off(connection)
        yield connection


def _opened(database: Database) -> duckdb.DuckDBPyConnection:
    try:
        return duckdb.connect(str(database.path), read_only=True, config={"temp_directory": ""})
    except duckdb.Error:
        # its words hold the path, which may come from the environment
        raise checks.DataError(
            f"{database.label}: cannot be opened as a DuckDB file; it is damaged, open for writing elsewhere, or of "
            f"another version than DuckDB {duckdb.__version__}. Close it there, or copy it again."
        ) from None


def _from_sqlite(database: Database, wanted: set[str]) -> dict[str, pa.Table]:
    """The wanted tables and views of an SQLite file."""
    try:
        with closing(sqlite3.connect(f"{database.path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            with _limited(connection.interrupt):
                names = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')").fetchall()
                known = [name for (name,) in names]
                return {name: _sqlite_table(connection, name) for name in known if name.casefold() in wanted}
    except sqlite3.Error as error:
        raise checks.DataError(f"{database.label}: cannot be read as SQLite ({error}). Copy it again.") from None


def _sqlite_table(connection: sqlite3.Connection, name: str) -> pa.Table:
    rows = connection.execute(f"SELECT * FROM {_quoted(name)}")
    names = [column[0] for column in rows.description]
    cells = list(zip(*rows.fetchall(), strict=True)) or [()] * len(names)
    return pa.table({name: _sqlite_column(column) for name, column in zip(names, cells, strict=True)})


def _sqlite_column(cells: Sequence[object]) -> pa.Array:
    """A column of one kind as that kind; SQLite lets each cell be of another, and then all are text."""
    try:
        return pa.array(cells)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if cell is None else str(cell) for cell in cells])


def _shut_off(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("SET threads = 1; SET enable_external_access = false; SET lock_configuration = true")


@contextmanager
def _limited(interrupt: Callable[[], None]) -> Iterator[None]:
    timer = threading.Timer(SELECT_SECONDS, interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
