"""Warehouses that a test starts for itself: a PostgreSQL server on a socket of its own, a local Spark."""

import io
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

PASSWORD = "s3cr3t/p@ss"  # with what an address has to escape
KINDS = {
    "bool": "boolean",
    "int64": "bigint",
    "double": "double precision",
    "date32[day]": "date",
    "timestamp[us]": "timestamp",
    "timestamp[us, tz=UTC]": "timestamptz",
    "string": "text",
}


def typed(folder: Path) -> dict[str, pa.Table]:
    """The tables of a folder of CSV files, with the types DuckDB sees in them, times as UTC moments."""
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1; SET TimeZone = 'UTC'")
        return {path.stem: connection.sql(_reading(path)).to_arrow_table() for path in sorted(folder.glob("*.csv"))}


def _reading(path: Path) -> str:
    """A custom field that says Yes and No is text in a CRM."""
    header = path.read_text(encoding="utf-8").partition("\n")[0].split(",")
    own = [name for name in header if name.startswith("x_") and name != "x_website_visits"]
    kinds = "{" + ", ".join(f"'{name}': 'VARCHAR'" for name in own) + "}"
    return f"SELECT * FROM read_csv('{path}', sample_size=-1, nullstr=''{f', types={kinds}' if own else ''})"


def odd() -> dict[str, pa.Table]:
    """A table of accounts in Spark's types."""
    moment = datetime(2026, 3, 29, 3, 30)
    columns = {
        "ACCOUNT_ID": pa.array(["a1", "a2"]),
        "select": pa.array(["Ann", None]),
        "annual_revenue": pa.array([Decimal("12.25"), None], pa.decimal128(18, 2)),
        "employees": pa.array([float("nan"), None]),
        "Order": pa.array([float("nan"), 1.5]),
        "customer_since": pa.array([date(2026, 2, 28), None]),
        "seen": pa.array([moment - timedelta(hours=2), None], pa.timestamp("us", tz="UTC")),
        "local": pa.array([moment, None], pa.timestamp("us")),
        "yes": pa.array([True, None]),
        "list": pa.array([[1, 2], None]),
    }
    return {"odd": pa.table(columns)}


def duckdb_file(tables: Mapping[str, pa.Table], path: Path) -> str:
    """The address of a DuckDB file with the tables."""
    with duckdb.connect(str(path)) as connection:
        for name, table in tables.items():
            connection.register("held", table)
            connection.execute(f'CREATE TABLE "{name}" AS SELECT * FROM held')
            connection.unregister("held")
    return f"duckdb:///{path}"


@contextmanager
def started(engine: str, tables: Mapping[str, pa.Table], folder: Path) -> Iterator[str]:
    """The address of an engine, by name, that holds the tables."""
    if engine == "duckdb":
        yield duckdb_file(tables, folder / "company.duckdb")
    elif engine == "spark":
        with spark(tables) as running:
            yield running.address
    else:
        with postgres() as server:
            server.load(tables, "company")
            yield server.in_schema("company")


class Postgres:
    """A running server: its addresses, and how tables come into it."""

    def __init__(self, folder: Path, port: int):
        self.folder, self.port = folder, port

    def address(self, user: str = "postgres", password: str = PASSWORD, database: str = "postgres") -> str:
        place = quote(str(self.folder), safe="")
        return f"postgresql://{user}:{quote(password, safe='')}@{place}:{self.port}/{database}"

    def run(self, *statements: str) -> None:
        import psycopg

        with psycopg.connect(self.address(), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def value(self, query: str) -> object:
        import psycopg

        with psycopg.connect(self.address()) as connection:
            return connection.execute(query).fetchone()[0]

    def load(self, tables: Mapping[str, pa.Table], schema: str) -> None:
        import psycopg

        with psycopg.connect(self.address()) as connection:
            connection.execute(f'CREATE SCHEMA "{schema}"')
            for name, table in tables.items():
                columns = ", ".join(f'"{field.name}" {KINDS[str(field.type)]}' for field in table.schema)
                connection.execute(f'CREATE TABLE "{schema}"."{name}" ({columns})')
                text = io.BytesIO()
                csv.write_csv(table, text)
                with connection.cursor().copy(f'COPY "{schema}"."{name}" FROM STDIN (FORMAT csv, HEADER)') as copy:
                    copy.write(text.getvalue())

    def in_schema(self, schema: str) -> str:
        return f"{self.address()}?options=-csearch_path%3D{schema}"


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A server that lives as long as the context; skipped, and said so, where there is none to start."""
    for needed in ("ibis", "psycopg"):
        pytest.importorskip(needed, reason="the extra 'warehouse' is not installed")
    programs = _programs()
    owner = {"user": _owner()} if os.getuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="so-pg-", dir="/tmp"))
    try:
        secret = folder / "password"
        secret.write_text(PASSWORD)
        if owner:
            for path in (folder, secret):
                shutil.chown(path, owner["user"])
        server = Postgres(folder, 20_000 + os.getpid() % 20_000)
        made = ["-D", folder / "data", "-U", "postgres", "-A", "scram-sha-256", f"--pwfile={secret}"]
        _ran([programs / "initdb", *made, "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"], owner)
        options = f"-k {folder} -c listen_addresses= -p {server.port} -c fsync=off -c max_connections=20"
        control = [programs / "pg_ctl", "-D", folder / "data", "-w", "-s"]
        _ran([*control, "-l", folder / "log", "-o", options, "start"], owner)
        try:
            yield server
        finally:
            _ran([*control, "-m", "immediate", "stop"], owner)
    finally:
        shutil.rmtree(folder)


def _programs() -> Path:
    on_path = shutil.which("initdb")
    places = [
        *([Path(on_path).resolve().parent] if on_path else []),
        *sorted(Path("/usr/lib/postgresql").glob("*/bin")),
    ]
    if not places:
        pytest.skip("PostgreSQL is not installed: nothing to read from")
    return places[-1]


def _owner() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _ran(command: list[object], owner: dict[str, str]) -> None:
    subprocess.run([str(part) for part in command], check=True, cwd="/", stdout=subprocess.DEVNULL, **owner)


class Spark(NamedTuple):
    """Where it answers, and the hashes of what salesops reads of it in its own process."""

    address: str
    inputs: pd.DataFrame


@contextmanager
def spark(tables: Mapping[str, pa.Table]) -> Iterator[Spark]:
    """A local Spark in a process of its own, with the tables; skipped, and said so, without one."""
    for needed in ("ibis", "pyspark", "grpc"):
        pytest.importorskip(needed, reason="the extra 'spark' is not installed: nothing to read from")
    if shutil.which("java") is None:
        pytest.skip("Java is not installed: no Spark to read from")
    with tempfile.TemporaryDirectory(prefix="so-spark-") as folder, socket.socket() as free:
        for name, table in tables.items():
            pq.write_table(table, Path(folder) / f"{name}.parquet")
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        program = [sys.executable, Path(__file__).with_name("spark_server.py"), folder, str(port)]
        quiet = {"stderr": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stdin": subprocess.PIPE}
        with subprocess.Popen(program, cwd=folder, text=True, **quiet) as server:
            assert server.stdout.readline() == "ready\n"
            yield Spark(f"sc://127.0.0.1:{port}", pd.read_csv(Path(folder) / "inputs.csv"))
            server.stdin.close()
