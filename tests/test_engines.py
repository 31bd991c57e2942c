"""One door, any engine: files, PostgreSQL, DuckDB and Spark give the same tables and the same figures."""

import contextlib
import json
import logging
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import warehouse_servers as servers
from crm_folder import write
from pandas.testing import assert_frame_equal

from salesops import cli, crm, win_loss
from salesops.checks import DataError, ParameterError
from salesops.crm import databases, model, warehouses
from salesops.crm import source as sources
from salesops.crm.sample import export
from salesops.engine import causes

REPORTS = ("win_loss", "forecast", "funnel", "rep_performance")
VARIABLE = "SALES_DB"
SHORT = 1500  # deals of the company that every engine is given; the full test takes the sample as it is
DEALS = """CREATE TABLE {0}opportunities (opportunity_id text, amount numeric(12, 2), created_date timestamp,
    close_date date, outcome text);
INSERT INTO {0}opportunities VALUES ('d1', 100, '2026-01-10', '2026-03-31', 'won'),
    ('d2', 200, '2026-02-01', '2026-04-15', 'lost'), ('d3', 300, '2026-03-01', '2026-12-31', 'open')"""


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("files") / "files"
    export.write(folder, shape="canonical", size=SHORT)
    return folder


@pytest.fixture(scope="module")
def server() -> Iterator[servers.Postgres]:
    with servers.postgres() as running:
        yield running


@pytest.fixture(scope="module")
def postgres(server, files) -> str:
    server.load(servers.typed(files), "company")
    return server.in_schema("company")


@pytest.fixture(scope="module")
def duckdb_file(files, tmp_path_factory) -> str:
    return servers.duckdb_file(servers.typed(files), tmp_path_factory.mktemp("duckdb") / "company.duckdb")


@pytest.fixture(scope="module")
def cluster(files) -> Iterator[servers.Spark]:
    with servers.spark(servers.typed(files) | servers.odd()) as running:
        yield running


@pytest.fixture(scope="module")
def spark(cluster) -> str:
    return cluster.address


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """A folder whose source.yaml reads the address from the environment, and what it says besides."""

    def folder(address: str, more: str = "") -> Path:
        monkeypatch.setenv(VARIABLE, address)
        (tmp_path / "source.yaml").write_text(f"database: env:{VARIABLE}\n{more}", encoding="utf-8")
        return tmp_path

    return folder


@pytest.fixture
def schema(server, request):
    """The three deals in a schema of the test's own, and what the test adds to it."""

    def made(*statements: str) -> str:
        name = f"s{abs(hash(request.node.name)) % 10**9}"
        server.run(f"DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}", DEALS.format(f"{name}."))
        server.run(*(f"SET search_path = {name}; {statement}" for statement in statements))
        return server.in_schema(name)

    return made


def refused(folder: Path, kind: type[Exception] = DataError) -> str:
    with pytest.raises(kind) as error:
        crm.load(folder)
    assert servers.PASSWORD not in str(error.value) and "so-pg-" not in str(error.value)
    return str(error.value)


def as_set(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values(list(frame.columns), kind="stable").reset_index(drop=True)


# --- one company, four engines ---


@pytest.mark.parametrize("engine", ["postgres", "duckdb_file", "spark"])
def test_every_table_is_the_same_from_every_engine(engine, files, asked, request):
    given, ours = crm.load(files), crm.load(asked(request.getfixturevalue(engine)))
    for table in model.TABLES:
        assert_frame_equal(as_set(getattr(ours, table)), as_set(getattr(given, table)), check_exact=True)
    for table in ("opportunities", "stage_history", "accounts", "reps", "leads"):
        assert_frame_equal(getattr(ours, table), getattr(given, table), check_exact=True)
    assert ours.as_of == given.as_of and ours.currency == given.currency
    ours_by, given_by = (win_loss.win_rate(each.opportunities, "segment") for each in (ours, given))
    assert_frame_equal(ours_by, given_by, check_exact=True)
    assert ours_by["win_rate"].notna().all() and len(ours_by) >= 3


@pytest.mark.full
@pytest.mark.parametrize("engine", ["postgres", "duckdb", "spark"])
def test_every_figure_of_four_reports_is_the_same(engine, tmp_path, monkeypatch, whole, reports_of_files):
    with servers.started(engine, servers.typed(whole), tmp_path) as address:
        monkeypatch.setenv(VARIABLE, address)
        folder = tmp_path / whole.name
        folder.mkdir()
        (folder / "source.yaml").write_text(f"database: env:{VARIABLE}")
        ours = reports(folder, tmp_path / "reports")
    for name, given in reports_of_files.items():
        assert_figures_equal(ours[name], given)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "company"
    export.write(folder, shape="canonical")
    return folder


@pytest.fixture(scope="module")
def reports_of_files(whole, tmp_path_factory) -> dict[str, dict]:
    return reports(whole, tmp_path_factory.mktemp("reports"))


def reports(source: Path, out: Path) -> dict[str, dict]:
    assert cli.main(["run", *REPORTS, "-p", f"source={source}", "--out", str(out), "--jobs", "2"]) == 0
    return {path.stem: json.loads(path.read_text()) for name in REPORTS for path in out.glob(f"20*/{name}.json")}


# What says where the figures come from, not what they are.
OF_THE_SOURCE = {"hashes", "inputs", "run_id"}


def assert_figures_equal(ours: dict, given: dict) -> None:
    left, right = (dict(leaves({k: v for k, v in each.items() if k not in OF_THE_SOURCE})) for each in (ours, given))
    assert left.keys() == right.keys() and len(left) > 5000
    apart = [key for key in left if left[key] != right[key] and not close(left[key], right[key])]
    assert [key for key in apart if key != ("parameters", "source")] == []


def leaves(value: object, at: tuple = ()) -> Iterator[tuple[tuple, object]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        yield at, value
        return
    for key, each in items:
        yield from leaves(each, (*at, key))


def close(left: object, right: object) -> bool:
    are_numbers = isinstance(left, float | int) and isinstance(right, float | int)
    return are_numbers and math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)


# --- values ---

ODD = """CREATE TYPE mood AS ENUM ('calm', 'loud');
CREATE TABLE accounts (account_id uuid, name char(12), annual_revenue numeric, employees integer,
    customer_since date, "Order" text, "SELECT" boolean, "user" double precision, tags text[], doc jsonb, secret bytea,
    at_hour time, seen timestamptz, local timestamp, mood mood, price money, bits numeric(4, 1))"""
ROWS = """INSERT INTO accounts VALUES
    ('00000000-0000-0000-0000-000000000001', 'Ann', 12345678901234567.25, 3, 'infinity', ' a ', true, 'NaN',
     '{{x,y}}', '{{"a": 1}}', '\\x00', '10:30', '2026-03-29 03:30+02', '2026-03-29 03:30', 'calm', 7, 99.5),
    ('00000000-0000-0000-0000-000000000002', NULL, 'NaN', NULL, '2026-02-28', '', NULL, NULL, NULL, NULL, NULL,
     NULL, '-infinity', NULL, NULL, NULL, NULL)"""


def test_odd_values_of_postgres_come_as_a_file_would_hold_them(schema, asked):
    address = schema(ODD, ROWS.format())
    found = crm.load(asked(address, "time_zone: Europe/Ljubljana")).accounts
    first, second = found.to_dict("records")
    assert first["account_id"] == "00000000-0000-0000-0000-000000000001" and first["name"] == "Ann"
    assert first["annual_revenue"] == float("12345678901234567.25") and math.isnan(second["annual_revenue"])
    assert first["employees"] == 3 and math.isnan(second["employees"])
    assert pd.isna(first["customer_since"]) and second["customer_since"] == pd.Timestamp("2026-02-28")
    assert (first["x_order"], pd.isna(second["x_order"])) == ("a", True)
    assert first["x_select"] is True or (bool(first["x_select"]) and pd.isna(second["x_select"]))
    assert math.isnan(first["x_user"]) and math.isnan(second["x_user"])
    assert (first["x_tags"], first["x_doc"], first["x_at_hour"]) == ("{x,y}", '{"a": 1}', "10:30:00")
    assert first["x_seen"] == pd.Timestamp("2026-03-29 01:30", tz="UTC") and pd.isna(second["x_seen"])
    assert first["x_local"] == pd.Timestamp("2026-03-29 03:30") and first["x_mood"] == "calm"
    assert (
        (first["x_bits"], first["x_price"]) == (99.5, 7.0)
        and math.isnan(second["x_price"])
        and "x_secret" not in found.columns
    )


@pytest.mark.parametrize("kind", ["numeric", "numeric(38, 0)", "numeric(38, 2)", "bigint"])
def test_a_long_id_keeps_all_its_digits(schema, asked, kind):
    """As a floating-point number the two would be one deal."""
    ids = ["9007199254740992", "9007199254740993"] + ["1234567890123456789012345"] * (kind != "bigint")
    address = schema(
        "DELETE FROM opportunities WHERE opportunity_id = 'd3'" if kind == "bigint" else "SELECT 1",
        *(f"UPDATE opportunities SET opportunity_id = '{new}' WHERE opportunity_id = 'd{n}'" for n, new in enumerate(ids, 1)),
        f"ALTER TABLE opportunities ALTER opportunity_id TYPE {kind} USING opportunity_id::{kind}",
    )  # fmt: skip
    assert sorted(crm.load(asked(address)).opportunities["opportunity_id"]) == sorted(ids)


def test_a_day_after_all_calendars_is_named(schema, asked):
    address = schema("UPDATE opportunities SET created_date = '290000-01-01' WHERE opportunity_id = 'd1'")
    message = refused(asked(address))
    assert "'290000-01-01 00:00:00'; mend it there, or leave it out by a SELECT under tables. " in message


def test_moments_with_and_without_a_zone(schema, asked):
    address = schema(
        "CREATE TABLE stage_history (opportunity_id text, changed_at timestamptz, stage text)",
        "INSERT INTO stage_history VALUES ('d1', '2026-07-01 00:30+02', 'A')",
        "UPDATE opportunities SET created_date = '2026-07-01 00:30' WHERE opportunity_id = 'd1'",
        "ALTER TABLE opportunities ALTER close_date TYPE timestamptz USING '2026-08-01 00:30+02'",
    )
    company = crm.load(asked(address, "time_zone: Europe/Ljubljana"), as_of="2026-12-31")
    assert company.stage_history["changed_at"].tolist() == [pd.Timestamp("2026-07-01 00:30")]
    assert company.opportunities["created_date"].iloc[0] == pd.Timestamp("2026-07-01 00:30")
    assert company.opportunities["close_date"].iloc[0] == pd.Timestamp("2026-08-01")


def test_a_huge_text_is_cut_like_any_other(schema, asked):
    address = schema(
        "ALTER TABLE opportunities ADD next_step text; UPDATE opportunities SET next_step = repeat('x', 5000000)"
    )
    company = crm.load(asked(address))
    assert company.opportunities["next_step"].str.len().max() < 600
    assert any("opportunities.next_step: 3 texts are longer" in note for note in company.notes)


# --- names ---


def test_case_of_columns_and_tables_does_not_matter(schema, asked):
    address = schema(
        'ALTER TABLE opportunities RENAME amount TO "AMOUNT"; ALTER TABLE opportunities RENAME TO "Opportunities"'
    )
    company = crm.load(asked(address, "columns: {opportunities: {outcome: OUTCOME}}"))
    assert company.opportunities["amount"].tolist() == [100.0, 200.0, 300.0]
    both = schema("ALTER TABLE opportunities ADD \"AMOUNT\" text DEFAULT '1'")
    company = crm.load(asked(both))
    assert company.opportunities["amount"].tolist() == [100.0, 200.0, 300.0] and "x_amount" in company.opportunities


def test_tables_and_columns_may_have_reserved_words_for_names(schema, asked):
    address = schema('ALTER TABLE opportunities RENAME TO "order"', 'ALTER TABLE "order" RENAME amount TO "select"')
    more = "tables: {opportunities: order}\ncolumns: {opportunities: {amount: select}}"
    assert crm.load(asked(address, more)).opportunities["amount"].sum() == 600.0


def test_views_of_both_kinds_are_tables(schema, asked):
    address = schema(
        "CREATE TABLE people AS SELECT 'r1' AS owner_id, 'Ann' AS name",
        "CREATE VIEW reps AS SELECT * FROM people",
        "CREATE MATERIALIZED VIEW accounts AS SELECT 'a1' AS account_id",
    )
    company = crm.load(asked(address))
    assert company.reps["name"].tolist() == ["Ann"] and company.accounts["account_id"].tolist() == ["a1"]


def test_an_absent_table_is_named_with_its_nearest(schema, asked):
    folder = asked(schema("CREATE TABLE owners (owner_id text)"), "tables: {reps: owner}")
    words = "SALES_DB:owner: no such table; found ['opportunities', 'owners']. Did you mean 'owners'?"
    assert refused(folder) == words


def test_a_database_without_deals_says_what_it_has(schema, asked):
    message = refused(asked(schema("ALTER TABLE opportunities RENAME TO opportunity")))
    assert message.startswith("SALES_DB: no table opportunities; found ['opportunity']. Did you mean 'opportunity'?")


def test_a_table_of_another_schema_is_read_by_a_select(schema, asked):
    there = schema().rpartition("%3D")[2]
    here = schema()
    message = refused(asked(here, f"tables: {{opportunities: {there}.opportunities}}"))
    assert message.endswith(f"A table of another schema is read by SELECT * FROM {there}.opportunities.")
    select = f"tables: {{opportunities: SELECT * FROM {there}.opportunities}}"
    assert len(crm.load(asked(here, select)).opportunities) == 3


def test_where_the_address_leads_to_no_table_it_says_how_to_name_a_schema(server, asked):
    message = refused(asked(server.in_schema("nowhere")))
    assert message.startswith("SALES_DB: no table opportunities; found none that this user may see; a schema can be ")


# --- rows and columns ---


def test_rows_come_in_one_order_however_they_lie(server, schema, asked):
    address = schema(
        "CREATE TABLE targets (value float, metric text, scope_kind text, scope_id text, period_start date)"
    )
    server.run(f"SET search_path = {address.rpartition('%3D')[2]}; INSERT INTO targets SELECT n, 'bookings', 'team', 'é' || n, "
               "'2026-01-01' FROM generate_series(1, 2000) AS n")  # fmt: skip
    before = crm.load(asked(address))
    server.run(f"UPDATE {address.rpartition('%3D')[2]}.targets SET value = value WHERE value > 700")
    after = crm.load(asked(address))
    assert_frame_equal(after.targets, before.targets)
    assert after.inputs["sha256"].tolist() == before.inputs["sha256"].tolist()
    ids = after.targets["scope_id"].tolist()
    assert ids == sorted(ids)


def test_a_select_that_orders_keeps_its_order(schema, asked):
    for order, amounts in (("", [100.0, 200.0, 300.0]), ("ORDER BY amount DESC", [300.0, 200.0, 100.0])):
        folder = asked(schema(), f"tables: {{opportunities: 'SELECT * FROM opportunities {order}'}}")
        with databases.opened(sources.read(folder)) as door:
            frame = door.rows("opportunities", f"SELECT * FROM opportunities {order}", "SELECT")
        assert frame["amount"].tolist() == amounts


def test_only_columns_with_a_place_are_asked_for(schema, asked):
    """The view's other column cannot be computed."""
    address = schema(
        "CREATE TABLE moves AS SELECT 'd1' AS id, timestamp '2026-02-01' AS changed_at, 'A' AS stage, 0 AS zero",
        "CREATE VIEW stage_history AS SELECT id AS deal, changed_at, stage, 1 / zero AS broken FROM moves",
    )
    folder = asked(address, "columns: {stage_history: {opportunity_id: deal}}")
    assert crm.load(folder).stage_history["stage"].tolist() == ["A"]
    folder = asked(address, "tables: {stage_history: 'SELECT *, deal AS opportunity_id FROM stage_history'}")
    assert "fails: division by zero." in refused(folder)


def test_every_table_is_as_of_the_same_moment(server, schema, asked):
    source = sources.read(asked(schema("CREATE TABLE reps (owner_id text)")))
    with databases.opened(source) as door:
        assert len(door.rows("opportunities", "opportunities", "")) == 3
        name = server.run(f"INSERT INTO {schema_of(source)}.reps VALUES ('late')")
        assert name is None and len(door.rows("reps", "reps", "")) == 0
    with databases.opened(source) as door:
        assert len(door.rows("reps", "reps", "")) == 1


def schema_of(source: sources.Source) -> str:
    with databases.opened(source) as door:
        return door.rows("reps", "SELECT current_schema() AS owner_id", "")["owner_id"].iloc[0]


# --- SELECTs ---


@pytest.mark.parametrize(
    "query",
    [
        "SELECT opportunity_id, amount::float8 AS amount, outcome FROM opportunities WHERE outcome ILIKE '%O%'",
        "WITH closed AS (SELECT * FROM opportunities) SELECT DISTINCT ON (opportunity_id) * FROM closed;  ",
        "SELECT *, count(*) FILTER (WHERE amount > 100) OVER () AS n FROM opportunities -- ours",
    ],
)
def test_a_select_is_in_the_sql_of_the_engine(schema, asked, query):
    (folder := asked(schema())).joinpath("source.yaml").write_text(
        f"database: env:{VARIABLE}\ntables:\n  opportunities: {json.dumps(query)}"
    )
    assert crm.load(folder, as_of="2026-09-30").opportunities["amount"].sum() in (400.0, 600.0)


WRITING = [
    "WITH gone AS (DELETE FROM opportunities RETURNING *) SELECT * FROM gone",
    "SELECT * INTO taken FROM opportunities",
    "SELECT 1 AS owner_id; DROP TABLE opportunities",
    "SELECT * FROM opportunities FOR UPDATE",
    "SELECT 1) AS q; DROP TABLE opportunities; SELECT * FROM (SELECT 1",
    "SELECT nextval('numbers') AS owner_id",
    "SELECT emptied() AS owner_id",
    "SELECT set_config('transaction_read_only', 'off', false) AS owner_id, emptied() AS name",
]


UNREADABLE = [query for query in WRITING if "AS q;" in query or "set_config" in query]


@pytest.mark.parametrize("query", WRITING)
def test_a_select_that_writes_is_refused(schema, asked, query):
    address = schema(
        "CREATE SEQUENCE numbers",
        "CREATE FUNCTION emptied() RETURNS int LANGUAGE sql AS 'DELETE FROM opportunities; SELECT 1'",
    )
    folder = asked(address, f"tables: {{reps: {json.dumps(query)}}}")
    assert ("fails: " if query in UNREADABLE else "does more than select") in refused(folder)
    (folder / "source.yaml").write_text(f"database: env:{VARIABLE}")
    assert len(crm.load(folder).opportunities) == 3


def test_what_a_function_did_all_the_same_is_taken_back(server, schema, asked):
    """Large objects are made in read-only transactions too, before PostgreSQL 16."""
    query = "SELECT lo_create(77) AS owner_id"
    with contextlib.suppress(DataError):
        crm.load(asked(schema(), f"tables: {{reps: {query}}}"))
    assert server.value("SELECT count(*) FROM pg_largeobject_metadata") == 0


def test_a_select_that_fails_says_why_and_what_there_is(schema, asked):
    folder = asked(schema(), "tables: {reps: SELECT nme FROM opportunities}")
    words = "fails: column \"nme\" does not exist. Tables that can be read by name: ['opportunities']."
    assert refused(folder).endswith(words)
    folder = asked(schema(), "tables: {reps: SELECT FROM WHERE}")
    assert "source.yaml: the SELECT 'SELECT FROM WHERE…' fails: " in refused(folder)


def test_an_endless_select_ends(schema, asked, monkeypatch):
    monkeypatch.setattr(databases, "SELECT_SECONDS", 1)
    folder = asked(schema(), "tables: {reps: SELECT pg_sleep(60)::text AS owner_id}")
    assert "takes longer than 1 s." in refused(folder)


def test_the_server_itself_ends_a_statement(schema, asked):
    with databases.opened(sources.read(asked(schema()))) as door:
        assert door.rows("reps", "SELECT current_setting('statement_timeout') AS a", "")["a"].tolist() == ["10min"]


# --- what is not there, or not ours ---


def test_a_wrong_password_is_not_tried_again(server, asked):
    for address in (server.address(password="wrong-s3cr3t"), server.address(user="nobody-s3cr3t")):
        with pytest.raises(ParameterError) as error:
            crm.load(asked(address))
        assert "s3cr3t" not in str(error.value) and "the user or the password of the address" in str(error.value)
        assert causes.of(error.value) == "parameters" and not causes.is_passing(error.value)
    message = refused(asked(server.address(database="elsewhere")), ParameterError)
    assert message == "SALES_DB: the database of the address it holds is refused. Correct and export it."


@pytest.mark.parametrize("scheme", ["postgresql", "sc", "spark"])
def test_a_server_that_is_down_is_tried_again(asked, scheme, caplog, capfd):
    pytest.importorskip("psycopg" if scheme == "postgresql" else "pyspark")
    caplog.set_level(logging.DEBUG)
    with pytest.raises(DataError) as error:
        crm.load(asked(f"{scheme}://me-s3cr3t.invalid:1/base"))
    assert str(error.value).startswith("SALES_DB: the database it names cannot be reached.")
    assert causes.is_passing(error.value) and causes.of(error.value) == "input/output"
    said = "".join([str(error.value), str(error.value.__cause__), caplog.text, *capfd.readouterr()])
    assert "s3cr3t" not in said


def test_a_connection_that_is_lost_is_tried_again(schema, asked):
    folder = asked(schema(), "tables: {reps: SELECT pg_terminate_backend(pg_backend_pid())::text AS owner_id}")
    with pytest.raises(DataError, match="cannot be reached") as error:
        crm.load(folder)
    assert causes.is_passing(error.value)


def test_an_address_that_cannot_be_read(asked):
    pytest.importorskip("psycopg")
    for address in ("postgresql://me:s3cr3t@host:port/db", "postgresql://host/db?s3cr3t=1"):
        with pytest.raises(ParameterError) as error:
            crm.load(asked(address))
        assert "s3cr3t" not in str(error.value)


def test_an_address_may_end_with_a_new_line(schema, asked):
    """As a secret from a file does."""
    assert len(crm.load(asked(schema() + "\n")).opportunities) == 3
    assert refused(asked(" \n"), ParameterError).startswith("SALES_DB: not set.")


@pytest.mark.parametrize(
    ("address", "kind"),
    [("postgresql+psycopg2://me:s3cr3t@host/db", "postgresql+psycopg2"), ("'postgres://me:s3cr3t@host/db'", "another"),
     ("mysql://me:s3cr3t@host/db", "mysql"), ("me:s3cr3t@host/db", "another")],
)  # fmt: skip
def test_another_kind_of_address_is_named_whole_and_no_secret_with_it(asked, address, kind):
    message = refused(asked(address))
    assert message.startswith(f"SALES_DB: names a database of kind '{kind}', which") and "s3cr3t" not in message


def test_a_table_that_may_not_be_read(server, schema, asked):
    address = schema("DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN PASSWORD 'pw'")
    name = address.rpartition("%3D")[2]
    server.run(f"GRANT USAGE ON SCHEMA {name} TO reader")
    message = refused(asked(f"{server.address('reader', 'pw')}?options=-csearch_path%3D{name}"))
    assert "SALES_DB:opportunities fails: permission denied for table opportunities." in message


@pytest.mark.parametrize(
    ("scheme", "module", "extra"), [("postgres", "psycopg", "warehouse"), ("sc", "pyspark", "spark")]
)
def test_a_driver_that_is_not_installed_is_named_with_its_extra(asked, monkeypatch, scheme, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    message = refused(asked(f"{scheme}://me:s3cr3t@host/db"), ParameterError)
    assert message.endswith(f"Install it beside salesops: python -m pip install --editable '.[{extra}]'.")


def test_files_need_no_driver(asked, monkeypatch, duckdb_file):
    for module in ("ibis", "psycopg", "pyspark", "sqlglot"):
        monkeypatch.setitem(sys.modules, module, None)
    assert len(crm.load(asked(duckdb_file)).opportunities) > 1000
    assert len(crm.load(write(Path(asked(duckdb_file)) / "in")).opportunities) == 3


def test_the_address_is_in_nothing_that_is_kept(postgres, asked, caplog):
    caplog.set_level(logging.DEBUG)
    company = crm.load(asked(postgres))
    kept = " ".join(map(str, [company.source, company.notes, company.inputs.to_csv(), company.exclusions.to_csv()]))
    assert servers.PASSWORD not in kept + caplog.text and "so-pg-" not in kept + caplog.text


# --- what a count over a table needs ---


def test_a_table_is_there_for_counting_where_it_is(postgres, monkeypatch):
    monkeypatch.setenv(VARIABLE, postgres)
    with warehouses.opened(postgres, label=VARIABLE, seconds=60) as warehouse:
        deals = warehouses.table(warehouse, "opportunities", is_select=False)
        counts = warehouse.fetch(deals.group_by("outcome").agg(n=deals.count()).order_by("outcome"))
        won = warehouses.table(warehouse, "SELECT * FROM opportunities WHERE outcome = 'won'", is_select=True)
        assert (
            warehouse.fetch(won.agg(n=won.count()))["n"].to_pylist()[0]
            == dict(zip(counts["outcome"].to_pylist(), counts["n"].to_pylist(), strict=True))["won"]
        )


# --- Spark ---


def test_an_address_of_spark_that_cannot_be_read(spark, asked):
    for address in (f"{spark}/;token", "sc://", "spark://?a=b"):
        message = refused(asked(address), ParameterError)
        assert "of the address it holds is refused" in message


def test_a_session_that_is_open_gives_the_same_rows(cluster, asked):
    """The hashes are of what is in the tables."""
    assert_frame_equal(crm.load(asked(cluster.address)).inputs.iloc[:-1], cluster.inputs.iloc[:-1], check_dtype=False)


def test_a_local_spark_is_started_where_none_is_open(tmp_path):
    pytest.importorskip("pyspark")
    (tmp_path / "source.yaml").write_text(f"database: env:{VARIABLE}")
    address = {VARIABLE: f"spark://local?spark.sql.warehouse.dir={tmp_path / 's3cr3t'}"}
    command = [sys.executable, "-m", "salesops", "check", str(tmp_path)]
    found = subprocess.run(command, env=os.environ | address, capture_output=True, text=True)
    assert found.returncode == 3 and "SALES_DB: no table opportunities; found none that " in found.stderr
    assert "s3cr3t" not in found.stdout + found.stderr


def test_odd_values_of_spark(spark, asked):
    more = "tables: {accounts: Odd}\ncolumns: {accounts: {name: Select}}\ntime_zone: Europe/Ljubljana"
    found = crm.load(asked(spark, more)).accounts
    first, second = found.to_dict("records")
    assert (first["account_id"], first["name"], first["annual_revenue"]) == ("a1", "Ann", 12.25)
    assert math.isnan(second["employees"]) and math.isnan(first["x_order"])
    assert first["x_seen"] == pd.Timestamp("2026-03-29 01:30", tz="UTC")
    assert first["x_local"] == pd.Timestamp("2026-03-29 03:30") and first["x_list"] == "[1, 2]"
    assert first["customer_since"] == pd.Timestamp("2026-02-28") and bool(first["x_yes"]) and pd.isna(second["x_yes"])


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT id AS owner_id FROM nowhere", "fails: [TABLE_OR_VIEW_NOT_FOUND]"),
        ("SELECT 1 AS owner_id; DROP TABLE odd", "does more than select"),
        ("WITH a AS (SELECT 1) INSERT INTO odd SELECT * FROM a", "does more than select"),
        ("SELECT reflect('java.lang.System', 'getProperty', 'user.home') AS owner_id", "does more than select"),
        ("SELECT `java_method`('java.lang.System', 'gc') AS owner_id", "does more than select"),
        ("SELECT * FROM text.`/etc/passwd`", "fails: [TABLE_OR_VIEW_NOT_FOUND]"),
    ],
)
def test_a_select_in_spark_only_selects(spark, asked, query, words):
    assert words in refused(asked(spark, f"tables: {{reps: {json.dumps(query)}}}"))


def test_a_select_in_the_sql_of_spark(spark, asked):
    query = "SELECT opportunity_id, outcome, amount FROM opportunities WHERE outcome RLIKE '^w' LIMIT 5"
    company = crm.load(asked(spark, f"tables: {{opportunities: {json.dumps(query)}}}"))
    assert company.opportunities["outcome"].tolist() == ["won"] * 5


def test_an_endless_select_in_spark_ends(spark, asked, monkeypatch):
    monkeypatch.setattr(databases, "SELECT_SECONDS", 2)
    query = "SELECT count(*) AS owner_id FROM range(1000000000) AS a JOIN range(1000000) AS b ON a.id % 7 = b.id % 5"
    assert "takes longer than 2 s." in refused(asked(spark, f"tables: {{reps: {json.dumps(query)}}}"))
