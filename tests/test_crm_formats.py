"""One door for Excel, gzip, Parquet, DuckDB, SQLite and addresses from the environment."""

import gzip
import logging
import sqlite3
from contextlib import closing
from datetime import datetime

import duckdb
import pandas as pd
import pytest
import workbooks
from crm_folder import DEALS, write
from workbooks import DAY, EMPTY, MOMENT, formula, number, text, workbook

from salesops import crm
from salesops.checks import DataError, ParameterError
from salesops.crm import databases, delimited, excel, formats

SECRET = "s3cr3t"


def refused(source, **options) -> str:
    with pytest.raises((DataError, ParameterError)) as error:
        crm.load(source, **options)
    return str(error.value)


def same_deals(source, tmp_path) -> None:
    """The source loads to the deals of the CSV folder."""
    expected = crm.load(write(tmp_path / "csv")).opportunities
    found = crm.load(source).opportunities
    pd.testing.assert_frame_equal(found, expected)


# Excel

TITLES = [text(name) for name in ("opportunity_id", "name", "amount", "created_date", "close_date", "outcome")]


def excel_deal(deal: str, *cells: str) -> list[str]:
    return [text(deal), *cells, text("won")]


def test_excel_cells_keep_their_types(tmp_path):
    rows = [
        excel_deal("d1", text(" Acme "), number(1.5), number(46032, DAY), number(46040, DAY)),
        excel_deal("d2", number(84), formula("1+1", 2), number(46032.75, MOMENT), EMPTY),
    ]
    (tmp_path / "opportunities.xlsx").write_bytes(workbook({"Deals": [TITLES, *rows]}))
    deals = crm.load(tmp_path).opportunities
    assert deals["name"].tolist() == ["Acme", "84"] and deals["amount"].tolist() == [1.5, 2]
    assert deals["created_date"].tolist() == [datetime(2026, 1, 10), datetime(2026, 1, 10, 18)]
    assert deals["close_date"][0] == datetime(2026, 1, 18) and pd.isna(deals["close_date"][1])


def test_columns_of_one_kind_keep_it_and_others_are_text():
    rows = [
        [text("days"), text("mixed"), text("sure")],
        [number(46032, DAY), number(46032, DAY), '<c t="b"><v>1</v></c>'],
    ]
    frame, _ = excel.read(workbook({"One": [*rows, [EMPTY, text("later"), EMPTY]]}), file="book.xlsx")
    assert list(map(str, frame.dtypes)) == ["datetime64[us]", "str", "boolean"]
    assert frame["mixed"].tolist() == ["2026-01-10", "later"]


def test_another_sheet_is_named_after_a_colon(tmp_path):
    sheets = {
        "Notes": [[text("about")]],
        "My deals": [[text("opportunity_id"), text("outcome")], [text("d1"), text("won")]],
    }
    folder = write(tmp_path, yaml="tables: {opportunities: 'book.xlsx:My deals'}")
    (folder / "book.xlsx").write_bytes(workbook(sheets))
    assert crm.load(folder, as_of="2026-06-30").opportunities["opportunity_id"].tolist() == ["d1"]
    (folder / "source.yaml").write_text("tables: {opportunities: 'book.xlsx:My deal'}")
    assert refused(folder) == ("book.xlsx: has no sheet 'My deal'; it has Notes, My deals. Did you mean 'My deals'?")


def test_a_sheet_that_was_not_named_is_said():
    frame, notes = excel.read(workbook({"One": [[text("id")], [text("a")]], "Two": []}), file="book.xlsx")
    assert frame["id"].tolist() == ["a"]
    assert notes == ["book.xlsx: sheet 'One' is read; name another as book.xlsx:Two."]


def test_formulas_and_errors_without_a_value_are_said():
    rows = [
        [text("id"), text("sum")],
        [text("a"), formula("B1", 3)],
        [text("b"), formula("B1")],
        [text("c"), workbooks.error("#N/A")],
    ]
    frame, notes = excel.read(workbook({"One": rows}), file="book.xlsx")
    assert frame["sum"].iloc[0] == 3 and frame["sum"].iloc[1:].isna().all()
    assert [note.partition(" (")[2][:3] for note in notes] == ["B3)", "B4)"]


def test_a_formula_that_gives_no_text_is_no_fault():
    empty_text = '<c r="{place}" t="str"><f>IF(1,"")</f><v></v></c>'
    _, notes = excel.read(workbook({"One": [[text("id"), text("x")], [text("a"), empty_text]]}), file="book.xlsx")
    assert notes == []


# Packed and Parquet


@pytest.mark.parametrize("name", ["opportunities.csv.gz", "opportunities.tsv.gz"])
def test_gzip_reads_as_the_file_in_it(tmp_path, name):
    (tmp_path / "in").mkdir()
    content = DEALS.replace(",", "\t") if "tsv" in name else DEALS
    (tmp_path / "in" / name).write_bytes(gzip.compress(content.encode()))
    same_deals(tmp_path / "in", tmp_path)


def test_text_that_packs_well_is_no_bomb(monkeypatch):
    monkeypatch.setattr(formats, "LARGEST_UNPACKED", 1_000)
    text = DEALS.encode() * 400
    packed = gzip.compress(text)
    monkeypatch.setattr(formats, "LARGEST_RATIO", len(text) / len(packed) + 1)
    assert formats._unpacked(packed, "x.csv.gz") == text
    monkeypatch.setattr(formats, "LARGEST_RATIO", len(text) / len(packed) - 1)
    with pytest.raises(DataError, match="more than data does"):
        formats._unpacked(packed, "x.csv.gz")


def test_stray_quotes_are_looked_for_only_where_a_cell_has_a_line_end(monkeypatch):
    looked = []
    monkeypatch.setattr(delimited, "_refuse_stray_quotes", lambda *arguments: looked.append(arguments))
    delimited.read(b'id,name\n1,"a,b"\n', file="x.csv")
    assert looked == []
    delimited.read(b'id,name\n1,"a\nb"\n', file="x.csv")
    assert len(looked) == 1


# Databases


@pytest.fixture
def duckdb_file(tmp_path):
    path = tmp_path / "sales.duckdb"
    frame = pd.read_csv(write(tmp_path / "made") / "opportunities.csv", parse_dates=["created_date", "close_date"])
    with duckdb.connect(str(path)) as connection:
        connection.register("held", frame)
        connection.execute("CREATE TABLE Opportunities AS SELECT * FROM held")
        connection.execute("CREATE TABLE owners AS SELECT 'r1' AS id, 'Ann' AS called")
        connection.execute("CREATE VIEW leaky AS SELECT * FROM read_csv('/etc/passwd')")
    return path


@pytest.fixture
def sqlite_file(tmp_path):
    path = tmp_path / "sales.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        pd.read_csv(write(tmp_path / "made") / "opportunities.csv").to_sql("opportunities", connection, index=False)
        connection.execute("CREATE TABLE owners (id TEXT, called)")
        connection.executemany("INSERT INTO owners VALUES (?, ?)", [("r1", "Ann"), ("r2", 7), ("r3", None)])
        connection.commit()
    return path


def test_a_duckdb_file_is_a_source(duckdb_file, tmp_path):
    same_deals(duckdb_file, tmp_path)
    company = crm.load(duckdb_file)
    assert company.source == "sales.duckdb" and company.inputs["table"].tolist() == ["opportunities"]


def test_an_sqlite_file_is_a_source(sqlite_file, tmp_path):
    same_deals(sqlite_file, tmp_path)


@pytest.mark.parametrize("kind", ["duckdb_file", "sqlite_file"])
def test_source_yaml_names_tables_and_selects(request, tmp_path, kind):
    path = request.getfixturevalue(kind)
    select = "SELECT id AS owner_id, called AS name FROM owners ORDER BY id"
    (tmp_path / "source.yaml").write_text(f"database: {path.name}\ntables: {{reps: '{select}'}}")
    company = crm.load(tmp_path)
    assert company.reps[["owner_id", "name"]].fillna("-").values.tolist()[:1] == [["r1", "Ann"]]
    if kind == "sqlite_file":
        assert company.reps["name"].fillna("-").tolist() == ["Ann", "7", "-"]


def test_the_environment_names_the_database(duckdb_file, sqlite_file, tmp_path, monkeypatch):
    (tmp_path / "source.yaml").write_text("database: env:SALES_DB_URL")
    for address in (f"duckdb:///{duckdb_file}", "duckdb:///sales.duckdb", f"sqlite:///{sqlite_file}"):
        monkeypatch.setenv("SALES_DB_URL", address)
        same_deals(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("", "SALES_DB_URL: not set. source.yaml reads the database's address from it; export it."),
        (f"mysql+x://{SECRET}", "names a database of kind 'mysql+x', which salesops does not read; it reads"),
        (SECRET, "SALES_DB_URL: names a database of kind 'another'"),
        (f"duckdb:///{SECRET}.duckdb", "SALES_DB_URL: cannot be opened (No such file or directory)."),
        (f"duckdb:///{SECRET}/broken", "SALES_DB_URL: cannot be opened as a DuckDB file; it is damaged"),
        (f"sqlite:///{SECRET}/broken.db", "SALES_DB_URL: cannot be read as SQLite"),
        (f"duckdb:///{SECRET}/other", "SALES_DB_URL: is neither a DuckDB nor an SQLite file."),
    ],
)
def test_an_address_is_never_said(tmp_path, monkeypatch, caplog, address, words):
    hidden = tmp_path / SECRET
    hidden.mkdir()
    (hidden / "broken").write_bytes(b"\1" * 8 + b"DUCK" + b"\0" * 9000)
    (hidden / "broken.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 200)
    (hidden / "other").write_bytes(b"other")
    (tmp_path / "source.yaml").write_text("database: env:SALES_DB_URL")
    monkeypatch.setenv("SALES_DB_URL", address)
    caplog.set_level(logging.DEBUG)
    with pytest.raises((DataError, ParameterError)) as error:
        crm.load(tmp_path)
    assert words in str(error.value)
    chain = [error.value, error.value.__cause__]
    assert SECRET not in " ".join(map(str, chain)) + caplog.text and error.value.__cause__ is None


def test_nothing_of_the_address_is_in_the_company(tmp_path, monkeypatch):
    hidden = tmp_path / SECRET
    hidden.mkdir()
    with duckdb.connect(str(hidden / "d")) as connection:
        connection.execute("CREATE TABLE opportunities AS SELECT 'd1' AS opportunity_id, 'won' AS outcome")
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "source.yaml").write_text("database: env:SALES_DB_URL")
    monkeypatch.setenv("SALES_DB_URL", f"duckdb:///{hidden / 'd'}")
    company = crm.load(folder, as_of="2026-06-30")
    assert SECRET not in " ".join(map(str, [company.source, company.notes, company.inputs, company.exclusions]))
    (folder / "source.yaml").write_text("database: env:SALES_DB_URL\ntables: {reps: SELECT * FROM nowhere}")
    assert SECRET not in refused(folder) and "Table with name nowhere does not exist" in refused(folder)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT * FROM read_csv('/etc/passwd')", "file system operations are disabled"),
        ("SELECT * FROM leaky", "file system operations are disabled"),
        ("SELECT 1; DROP TABLE opportunities", "does more than select"),
        ("SELECT 1; COPY opportunities TO 'x.csv'", "does more than select"),
        ("SELECT 1; SET enable_external_access = true", "does more than select"),
        ("WITH a AS (SELECT 1) INSERT INTO opportunities SELECT * FROM a", "does more than select"),
    ],
)
def test_a_select_in_a_database_only_selects(duckdb_file, tmp_path, query, words):
    before = duckdb_file.read_bytes()
    (tmp_path / "source.yaml").write_text(f'database: sales.duckdb\ntables: {{reps: "{query}"}}')
    assert words in refused(tmp_path)
    assert duckdb_file.read_bytes() == before and not (tmp_path / "x.csv").exists()


@pytest.mark.usefixtures("duckdb_file")
def test_an_absent_table_is_named_with_its_nearest(tmp_path):
    (tmp_path / "source.yaml").write_text("database: sales.duckdb\ntables: {reps: owner}")
    words = "sales.duckdb:owner: no such table; found ['Opportunities', 'leaky', 'owners']. Did you mean 'owners'?"
    assert refused(tmp_path) == words


def test_a_database_without_deals_is_refused(tmp_path):
    with duckdb.connect(str(tmp_path / "x.duckdb")) as connection:
        connection.execute("CREATE TABLE opportunity AS SELECT 1 AS id")
    message = refused(tmp_path / "x.duckdb")
    assert message.startswith("x.duckdb: no table opportunities; found ['opportunity']. Did you mean 'opportunity'?")


def test_the_hash_is_of_the_content(duckdb_file):
    before = crm.load(duckdb_file).inputs["sha256"].tolist()
    with duckdb.connect(str(duckdb_file)) as connection:
        connection.execute("CREATE TABLE other AS SELECT 1 AS a")
    assert crm.load(duckdb_file).inputs["sha256"].tolist() == before
    with duckdb.connect(str(duckdb_file)) as connection:
        connection.execute("UPDATE Opportunities SET amount = 1")
    assert crm.load(duckdb_file).inputs["sha256"].tolist() != before


def test_a_select_sees_no_variable_of_python():
    frame = pd.DataFrame({"id": ["d1"]})
    with databases.in_memory({"held": frame}) as connection:
        assert connection.sql("SELECT * FROM held").fetchall() == [("d1",)]
        with pytest.raises(duckdb.Error, match="frame does not exist"):
            connection.sql("SELECT * FROM frame")


def test_an_endless_sqlite_view_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(databases, "SELECT_SECONDS", 0.2)
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        endless = (
            "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT sum(n) AS opportunity_id FROM t"
        )
        connection.execute(f"CREATE VIEW opportunities AS {endless}")
        connection.commit()
    assert "x.db: cannot be read as SQLite (interrupted)" in refused(tmp_path / "x.db")
