"""Hostile files: each reads correctly or gives one paragraph that says where and what to do.

Never another exception, a hang or a silent loss: rows used, set aside, repeated and empty are
the rows of the file.
"""

import codecs
import gzip
import hashlib
import io
import os
import re
import signal
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
import workbooks

from salesops import crm
from salesops.checks import DataError, ParameterError
from salesops.crm import databases, formats

HEADER = "opportunity_id,name,amount,created_date,close_date,outcome"
FIRST = "d1,Acme,100,2026-01-10,2026-03-31,won"
SECOND = "d2,Beta,200,2026-02-01,2026-04-15,lost"
MB = 1 << 20


@dataclass(frozen=True)
class Case:
    """What is written, and either the words of the refusal or the values that are read."""

    files: dict[str, bytes | Callable[[Path], None]]
    words: tuple[str, ...] = ()
    error: type[Exception] = DataError
    rows: int = 0
    values: dict[str, list] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    source: str = ""


def lines(*rows: str, header: str = HEADER, end: str = "\n") -> bytes:
    return (end.join([header, *rows]) + end).encode()


def refused(content: bytes | Callable, *words: str, file: str = "opportunities.csv", **more) -> Case:
    return Case({file: content}, words, **more)


def reads(content: bytes, rows: int, *notes: str, file: str = "opportunities.csv", **values: list) -> Case:
    return Case({file: content}, rows=rows, values=values, notes=notes)


def yaml(text: str | bytes, *words: str, **more) -> Case:
    content = text.encode() if isinstance(text, str) else text
    return Case({"source.yaml": content, "opportunities.csv": lines(FIRST)}, words, **more)


def select(query: str, *words: str) -> Case:
    return yaml(f'tables: {{opportunities: "{query}"}}', "source.yaml: ", *words)


def deal(amount: str) -> str:
    return f'd1,Acme,"{amount}",2026-01-10,2026-03-31,won'


def money(*amounts: str) -> bytes:
    return lines(*(f'd{n},Acme,"{amount}",2026-01-10,2026-03-31,won' for n, amount in enumerate(amounts)))


def parquet(table: pa.Table) -> bytes:
    packed = io.BytesIO()
    pyarrow.parquet.write_table(table, packed)
    return packed.getvalue()


def zipped(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, content)
    return packed.getvalue()


def sheet(*rows: list[str]) -> bytes:
    header = [workbooks.text(name) for name in ("opportunity_id", "amount", "created_date", "outcome")]
    return workbooks.workbook({"Deals": [header, *rows]})


def excel_row(deal: str, amount: str) -> list[str]:
    return [workbooks.text(deal), amount, workbooks.number(46032, workbooks.DAY), workbooks.text("won")]


def long_row(size: int) -> bytes:
    return lines(FIRST.replace("Acme", "x" * size), SECOND)


def wide(columns: int) -> Case:
    header = ",".join([HEADER, *(f"c{n}" for n in range(columns))])
    return reads(lines(FIRST + "," * columns + "7", header=header), 1, **{f"x_c{columns - 1}": [7]})


PLAIN = lines(FIRST, SECOND)
TABLE = pa.table({"opportunity_id": ["d1"], "outcome": ["won"]})
LAUGHS = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
ENDLESS = "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT sum(n) AS opportunity_id FROM t"

REFUSED = {
    "empty": refused(b"", "opportunities.csv: is empty, without even a header. Export it again."),
    "only blanks and a mark": refused(codecs.BOM_UTF8 + b" \r\n\t\n", "opportunities.csv: is empty"),
    "no header": refused(
        lines(SECOND, header="d3,Eta,300,2026-03-01,,open"), "opportunities.csv: missing column ['opportunity_id']; found ['d3'"
    ),
    "duplicate headers": refused(lines("d1,1,2", header="opportunity_id,a,a"), "column 'a' is there 2 times. Keep one."),
    "headers equal but for blanks": refused(lines("1,2", header="id, id "), "column 'id' is there 2 times."),
    "a header of a million letters": refused(b"x" * 1_000_000 + b"\n1\n", "a column name has 1,000,000 characters."),
    "only delimiters": refused(b",,,\n,,,\n", "opportunities.csv, line 1: names no column. Begin the file with a header"),
    "NUL bytes": refused(PLAIN.replace(b"Beta", b"B\0ta"), "opportunities.csv, line 3: holds a NUL byte", "Export it again"),
    "random bytes": refused(bytes(range(1, 256)) * 40, "opportunities.csv"),
    "a folder instead of a file": refused(Path.mkdir, "opportunities.csv is a folder, a pipe or a broken link, not a file."),
    "a link to itself": refused(lambda path: path.symlink_to(path), "opportunities.csv is a folder, a pipe or a broken"),
    "a folder that links to itself": Case(
        {"loop": lambda path: path.symlink_to(path)}, ("loop: no such folder or file. A source is a",), source="loop"
    ),
    "a pipe": refused(os.mkfifo, "opportunities.csv is a folder, a pipe or a broken link, not a file."),
    "a device": refused(lambda path: path.symlink_to("/dev/zero"), "opportunities.csv is a folder, a pipe or a broken"),
    "a short row": refused(
        lines(FIRST, "d2,Beta"), "1 row does not fit the header's 6 columns", "(row 3 has 2: d2,Beta)", "Quote cells"
    ),
    "ragged rows": refused(
        lines(FIRST, *["d2,Beta"] * 4, SECOND + ",x"),
        "5 rows do not fit the header's 6 columns, counting the header as row 1 (row 3 has 2: d2,Beta; row 4 has 2",
    ),
    "thousands marks without quotes": refused(lines(FIRST.replace("100", "1,100")), "(row 2 has 7: d1,Acme,1,100,"),
    "a quote that is never closed": refused(
        lines(FIRST, SECOND.replace("Beta", '"Beta'), FIRST.replace("d1", "d3")),
        "opportunities.csv, line 3: a quote opens a cell that is not closed", "Close it, and write a quote inside",
    ),
    "a quote closed rows later": refused(
        lines('d1,"Acme,100,2026-01-10,2026-03-31,won', 'd2,"Beta",200,2026-02-01,2026-04-15,lost'), "opportunities.csv",
        "Close it",
    ),
    "a last cell that is never closed": refused(
        lines(FIRST, 'd2,Beta,200,2026-02-01,2026-04-15,"lost').strip(), "opportunities.csv, line 3: a quote opens"
    ),
    "a quote in the header": refused(lines(FIRST, header='"' + HEADER), "opportunities.csv"),
    "a zip renamed csv": refused(zipped("deals.csv", PLAIN), "opportunities.csv: is a zip or Excel file, not text"),
    "a web page renamed csv": refused(b"\n<html><table><tr><td>1", "opportunities.csv: is a web page, not text with"),
    "gzip renamed csv": refused(gzip.compress(PLAIN), "opportunities.csv: is a gzip file, not text with columns."),
    "UTF-16 cut off": refused(PLAIN.decode().encode("utf-16")[:-1], "opportunities.csv: is cut off or broken UTF-16"),
    "UTF-16 without a mark": refused(PLAIN.decode().encode("utf-16-le"), "opportunities.csv, line 1: holds a NUL byte"),
    "numbers in words": refused(
        money("one hundred", "two hundred"), "column 'amount': 2 of 2 values cannot be read (one hundred, two hundred)."
    ),
    "days and months that cannot be told apart": refused(
        lines(FIRST.replace("2026-01-10", "01/02/2026")), "column 'created_date': day and month cannot be told apart",
        "Add to source.yaml dates: {created_date: dmy}",
    ),
    "one id, two contents": refused(lines(FIRST, SECOND.replace("d2", "d1")), "1 opportunity_id stands for rows with"),
    "Parquet cut off": refused(parquet(TABLE)[:-9], "cannot be read as Parquet", file="opportunities.parquet"),
    "text named Parquet": refused(PLAIN, "opportunities.parquet: cannot be read as Parquet", file="opportunities.parquet"),
    "Parquet with a column twice": refused(
        parquet(pa.Table.from_arrays([pa.array(["d1"])] * 2, names=["id", "id"])),
        "opportunities.parquet: column 'id' is there 2 times.", file="opportunities.parquet",
    ),
    "Excel cut off": refused(
        sheet(excel_row("d1", workbooks.number(1)))[:700], "opportunities.xlsx: cannot be opened as an Excel file.",
        file="opportunities.xlsx",
    ),
    "Excel behind a password": refused(
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 4096, "opportunities.xlsx: is password-protected or in an old format.",
        file="opportunities.xlsx",
    ),
    "Excel that is a zip of something": refused(
        zipped("a.txt", b"x"), "opportunities.xlsx: cannot be opened as an Excel file", file="opportunities.xlsx"
    ),
    "Excel with an empty sheet": refused(
        workbooks.workbook({"Deals": []}), "sheet 'Deals' is empty, without even a header", file="opportunities.xlsx"
    ),
    "an Excel bomb": refused(
        workbooks.workbook({"Deals": [[workbooks.text(" " * (300 * MB))]]}), "opportunities.xlsx: unpacks to more than 300 MB",
        file="opportunities.xlsx",
    ),
    "gzip cut off": refused(
        gzip.compress(PLAIN * 100)[:-20], "opportunities.csv.gz: is cut off before the end", file="opportunities.csv.gz"
    ),
    "text named gzip": refused(PLAIN, "opportunities.csv.gz: is not a gzip file", file="opportunities.csv.gz"),
    "a gzip bomb": refused(
        gzip.compress(b" " * (300 * MB), 1), "opportunities.csv.gz: unpacks to more than 2", "more than data does",
        file="opportunities.csv.gz",
    ),
    "a gzip of nothing": refused(gzip.compress(b""), "opportunities.csv.gz: is empty", file="opportunities.csv.gz"),
    "a Python tag": yaml(
        "currency: !!python/object/apply:os.system ['true']", "source.yaml, line 1: tag 'tag:yaml.org,2002:python/",
        "is not allowed. Write plain text.",
    ),
    "a billion laughs": yaml(LAUGHS, "source.yaml, line 2: '*a' is not allowed. Write the text out."),
    "a list that holds itself": yaml("tables: &a [*a]", "source.yaml, line 1: '*a' is not allowed."),
    "ten thousand brackets": yaml("tables: " + "[" * 10_000, "source.yaml, line 1: is nested more than 20 deep."),
    "a list as a name": yaml("? [a, b]\n: c", "source.yaml, line 1: a name must be text."),
    "yaml in latin-1": yaml("currency: EUR # für".encode("latin-1"), "source.yaml: is not UTF-8 text."),
    "yaml with control characters": yaml("currency: \x07", "source.yaml: cannot be read as YAML"),
    "a folder named source.yaml": Case(
        {"source.yaml": Path.mkdir, "opportunities.csv": PLAIN}, ("source.yaml: cannot be opened (Is a directory).",)
    ),
    "a path that climbs out": yaml(
        "tables: {opportunities: ../../etc/passwd}", "../../etc/passwd: leaves the source's folder. Name a file inside it."
    ),
    "a pattern that climbs out": yaml("tables: {opportunities: '*/../../*.csv'}", "leaves the source's folder."),
    "an absolute path": yaml("tables: {opportunities: /etc/passwd}", "/etc/passwd: leaves the source's folder."),
    "a link out of the folder": Case(
        {"source.yaml": b"tables: {opportunities: x.csv}", "x.csv": lambda path: path.symlink_to("/etc/passwd")},
        ("x.csv: links out of the source's folder. Copy the file into it.",),
    ),
    "a SELECT over a link out of the folder": Case(
        {
            "source.yaml": b"tables: {opportunities: SELECT * FROM x}",
            "x.csv": lambda path: path.symlink_to("/etc/passwd"),
        },
        ("x.csv: links out of the source's folder.",),
    ),
    "a SELECT over a pipe": Case(
        {"source.yaml": b"tables: {opportunities: SELECT * FROM x}", "x.csv": os.mkfifo},
        ("Table with name x does not exist",),
    ),
    "a canonical link out of the folder": refused(
        lambda path: path.symlink_to("/etc/passwd"), "opportunities.csv: links out of the source's folder."
    ),
    "a SELECT that reads a file": select("SELECT * FROM read_csv('/etc/passwd')", "file system operations are disabled"),
    "a SELECT that names a path": select("SELECT * FROM '/etc/passwd'", "fails: Catalog Error"),
    "a SELECT that lists a folder": select("SELECT * FROM glob('/etc/*')", "file system operations are disabled"),
    "a SELECT that writes": select("SELECT 1; COPY (SELECT 1) TO '/tmp/out.csv'", "does more than select. Write one"),
    "a SELECT that attaches": select("SELECT 1; ATTACH '/tmp/other.db'", "does more than select. Write one SELECT."),
    "a SELECT of Python's variables": select("SELECT * FROM tables", "Table with name tables does not exist"),
    "a SELECT without an end": select(ENDLESS, "takes longer than 1 s. Narrow it"),
    "a SELECT with a column twice": yaml(
        'tables: {opportunities: "SELECT 1 AS a, 2 AS a"}', "SELECT: column 'a' is there 2 times."),
    "COPY in place of a file": yaml(
        "tables: {opportunities: \"COPY opportunities TO 'out.csv'\"}", "COPY opportunities TO 'out.csv': no such file; found"
    ),
    "an address in source.yaml": yaml(
        "database: postgresql://me:secret@host/db", "source.yaml: database must be env: and the name of the environment"
    ),
    "an address that ends like a file": yaml(
        "database: sqlite://me:secret@host/sales.db", "source.yaml: database must be env: and the name of"
    ),
    "an address nowhere": yaml(
        "database: env:NO_SUCH_SALES_DB", "NO_SUCH_SALES_DB: not set. source.yaml reads", error=ParameterError
    ),
    "a database of random bytes": Case(
        {"x.duckdb": b"not a database at all"}, ("x.duckdb: is neither a DuckDB nor an SQLite file.",), source="x.duckdb"
    ),
    "a DuckDB file cut off": Case(
        {"x.duckdb": b"\1" * 8 + b"DUCK" + b"\0" * 9000}, ("x.duckdb: cannot be opened as a DuckDB file",), source="x.duckdb"
    ),
    "an SQLite file cut off": Case(
        {"x.db": b"SQLite format 3\0" + b"\xff" * 200}, ("x.db: cannot be read as SQLite",), source="x.db"
    ),
}  # fmt: skip

READ = {
    "header only": reads(lines(), 0),
    "one row": reads(lines(FIRST), 1, amount=[100]),
    "no line end at the end": reads(PLAIN.strip(), 2, amount=[100, 200]),
    "mixed encodings": reads(
        lines(FIRST.replace("Acme", "Zoë"), SECOND) + "d3,Žiga,1,2026-01-10,,open\n".encode() + "d4,Zoë,2,2026-01-10,,open\n".encode("latin-1"),
        4, "opportunities.csv: line 5 is not UTF-8 like the rest, and read as latin-1.", name=["Zoë", "Beta", "Žiga", "Zoë"],
    ),
    "UTF-16 with a mark": reads(PLAIN.decode().encode("utf-16"), 2, "opportunities.csv: read as UTF-16", amount=[100, 200]),
    "a byte-order mark twice": reads(codecs.BOM_UTF8 * 2 + PLAIN, 2, opportunity_id=["d1", "d2"]),
    "1,000 columns": wide(1_000),
    "10,000 columns": wide(10_000),
    "a line of 20 MB": reads(long_row(20 * MB), 2, amount=[100, 200]),
    "a cell of a million letters": reads(
        long_row(1_000_000), 2, "opportunities.name: 1 text is longer than 500 characters and is cut.",
        name=[f"{'x' * 500}… {hashlib.sha256(b'x' * 1_000_000).hexdigest()[:6]}", "Beta"],
    ),
    "dates in the years 0 and 9999": reads(
        lines(FIRST.replace("2026-01-10", "0000-01-01"), SECOND.replace("2026-02-01", "9999-12-31")), 2,
        created_date=[pd.NaT, pd.NaT], close_date=[pd.Timestamp("2026-03-31"), pd.Timestamp("2026-04-15")],
    ),
    "quoted line ends": reads(lines(FIRST.replace("Acme", '"Ac\nme\r\n, ""Inc"""'), SECOND), 2, name=['Ac\nme\r\n, "Inc"', "Beta"]),
    "a quote inside a cell": reads(lines(FIRST.replace("Acme", '5" pipe'), SECOND), 2, name=['5" pipe', "Beta"]),
    "formulas as text": reads(
        lines(FIRST.replace("Acme", "=HYPERLINK(A1)"), SECOND.replace("Beta", "+cmd|' /C calc'!A0")), 2,
        name=["=HYPERLINK(A1)", "+cmd|' /C calc'!A0"],
    ),
    "a script as a name": reads(lines(FIRST.replace("Acme", "<script>alert(1)</script>")), 1, name=["<script>alert(1)</script>"]),
    "a path as an id": reads(lines(FIRST.replace("d1", "../../etc/passwd")), 1, opportunity_id=["../../etc/passwd"]),
    "blanks around header names": reads(lines(FIRST, header=HEADER.replace(",", " ,  ")), 1, amount=[100]),
    "a header name over two lines": reads(lines(FIRST, header=HEADER.replace("name", '"name\n"')), 1, name=["Acme"]),
    "CRLF": reads(lines(FIRST, SECOND, end="\r\n"), 2, outcome=["won", "lost"]),
    "CR alone": reads(lines(FIRST, SECOND, end="\r"), 2, outcome=["won", "lost"]),
    "blank lines between": reads(lines(FIRST, "", "", SECOND, ""), 2, amount=[100, 200]),
    "a delimiter after every line": reads(lines(FIRST + ",", SECOND + ",", header=HEADER + ","), 2, amount=[100, 200]),
    "a delimiter after every row": reads(lines(FIRST + ",", SECOND + ","), 2, outcome=["won", "lost"]),
    "columns without a name": reads(lines(FIRST + ",a,", header=HEADER + ",,"), 1, x_unnamed_7=["a"]),
    "rows of delimiters at the end": reads(
        lines(FIRST, SECOND, ",,,,,", ",,,,,"), 4, "opportunities.csv: 2 rows at the end hold nothing and are not read.", amount=[100, 200]
    ),
    "rows of delimiters between": reads(lines(FIRST, ",,,,,", SECOND), 3, amount=[100, 200]),
    "rows without an id or an outcome": reads(lines(FIRST, SECOND[2:], "d3,,,,,perhaps", SECOND), 4, amount=[100, 200]),
    "repeated rows": reads(lines(FIRST, SECOND, FIRST, FIRST), 4, amount=[100, 200]),
    "negative zero": reads(money("-0", "-0.00"), 2, amount=[0, 0]),
    "scientific notation": reads(money("1e3", "1.5E+2", "2E-1"), 3, amount=[1000, 150, 0.2]),
    "thousands marked by commas": reads(money("1,234.50", "1,234,567"), 2, amount=[1234.5, 1234567]),
    "thousands marked by points": reads(money("1.234,50", "1.234.567"), 2, amount=[1234.5, 1234567]),
    "thousands marked by blanks and apostrophes": reads(money("1 234.50", "1'234'567.5", "1\u202f234.5"), 3, amount=[1234.5, 1234567.5, 1234.5]),
    "currency signs": reads(money("$1,200.50", "€ 7.5", "USD 1,000.00", "(£12.25)"), 4, amount=[1200.5, 7.5, 1000, None]),
    "a column of spaces": reads(lines(FIRST.replace("Acme", "    "), SECOND.replace("Beta", "\u00a0")), 2, name=[None, None]),
    "ids that look missing": reads(lines(*(FIRST.replace("d1", word) for word in ("NA", "null", "nan", "None"))), 4, opportunity_id=["NA", "null", "nan", "None"]),
    "letters right to left and pictures": reads(lines(FIRST.replace("Acme", "שלום 🦊\u200d")), 1, name=["שלום 🦊\u200d"]),
    "gzip in two parts": reads(gzip.compress(PLAIN[:40]) + gzip.compress(PLAIN[40:]) + b"\0" * 9, 2, file="opportunities.csv.gz", amount=[100, 200]),
    "Excel formulas": reads(
        sheet(
            excel_row("d1", workbooks.formula("A1+1", 42)),
            excel_row("d2", workbooks.formula("A1+2")),
            excel_row("d3", workbooks.error("#REF!")),
        ), 3,
        "opportunities.xlsx: 1 formula cells were never computed and count as missing (B3). Open the file",
        "opportunities.xlsx: 1 cells hold an error such as #N/A and count as missing (B4).",
        file="opportunities.xlsx", amount=[42, None, None], created_date=[pd.Timestamp("2026-01-10")] * 3,
    ),
    "a renamed reader's column": reads(parquet(TABLE.append_column("tags", [[["a", "b"]]])), 1, file="opportunities.parquet", x_tags=["['a', 'b']"]),
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_hang():
    """A case that takes longer than this hangs."""

    def stop(*_):
        raise AssertionError("hangs")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def written(case: Case, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in case.files.items():
        content(folder / name) if callable(content) else (folder / name).write_bytes(content)
    return folder / case.source


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_trusted_is_refused_in_one_paragraph(tmp_path, monkeypatch, name):
    case = REFUSED[name]
    monkeypatch.setattr(databases, "SELECT_SECONDS", 1)
    with pytest.raises((DataError, ParameterError)) as caught:
        crm.load(written(case, tmp_path), as_of="2026-12-31")
    message = str(caught.value)
    assert isinstance(caught.value, case.error)
    assert all(words in message for words in case.words), message
    assert "\n" not in message and len(message) < 900 and message.endswith((".", "?")) and "secret" not in message


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.full] * (name == "10,000 columns")) for name in READ]
)
def test_what_can_be_read_is_read_whole(tmp_path, name):
    case = READ[name]
    company = crm.load(written(case, tmp_path), as_of="2026-12-31", max_barred=0.6)
    deals = company.all_opportunities
    for column, wanted in case.values.items():
        found = deals[column].tolist()
        assert [None if pd.isna(cell) else cell for cell in found] == [
            None if pd.isna(cell) else cell for cell in wanted
        ]
    assert rows_accounted_for(company) == case.rows
    assert [note for wanted in case.notes for note in company.notes if note.startswith(wanted)] != [] or not case.notes


def rows_accounted_for(company: crm.Company) -> int:
    """Rows used, set aside, repeated, and empty at the end of the file."""
    found = company.exclusions
    is_gone = found["action"].eq("set_aside") | found["rule"].eq("repeated_row")
    empty = [re.search(r": ([\d,]+) rows? at the end", note) for note in company.notes]
    n_empty = sum(int(match.group(1).replace(",", "")) for match in empty if match)
    return len(company.all_opportunities) + int(found.loc[is_gone, "n"].sum()) + n_empty


@pytest.mark.full
def test_a_line_of_200_mb(tmp_path):
    case = reads(long_row(200 * MB), 2, amount=[100, 200])
    company = crm.load(written(case, tmp_path), as_of="2026-12-31")
    assert company.all_opportunities["name"].str.len().tolist() == [508, 4]


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    def forbidden(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(formats.Path, "read_bytes", forbidden)
    with pytest.raises(DataError) as caught:
        crm.load(written(reads(PLAIN, 2), tmp_path))
    assert str(caught.value) == "opportunities.csv: cannot be opened (Permission denied). Check who may read it."


def test_there_are_forty_and_each_is_another():
    cases = [tuple(case.files.items()) for case in (REFUSED | READ).values()]
    assert len(cases) >= 40 and len(set(map(str, cases))) == len(cases)
