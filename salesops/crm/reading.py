"""From files to raw frames: every cell of a text file is text, and only an empty cell is missing."""

import codecs
import hashlib
import io
import re
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from salesops import checks
from salesops.crm import model
from salesops.crm.source import FILE, Source

SUFFIXES = (".csv", ".tsv", ".parquet")
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


@dataclass(frozen=True)
class Raw:
    """A table as it came: its frame, what messages call it, its bytes' hash, and what was guessed."""

    frame: pd.DataFrame
    file: str
    sha256: str
    notes: tuple[str, ...] = ()


def read_tables(source: Source) -> dict[str, Raw]:
    """The raw tables of a folder: those source.yaml names, and files with canonical names.

    Raises
    ------
    DataError
        No file holds opportunities, a named file is not there, or a file cannot be read.
    """
    wanted = {table: _canonical_file(source.folder, table) for table in model.TABLES} | dict(source.tables)
    found = {table: read_table(source.folder, text) for table, text in wanted.items() if text}
    if "opportunities" not in found:
        files = sorted(path.name for path in source.folder.iterdir() if path.suffix in SUFFIXES)
        nearest = checks.did_you_mean("opportunities.csv", files)
        raise checks.DataError(
            f"{source.label}: no opportunities.csv; found {files[:8]}.{nearest} "
            f"Name the file that holds the deals in {FILE} under tables."
        )
    return found


def read_table(folder: Path, text: str) -> Raw:
    """One table: a file, a pattern over several, or a SELECT over the folder's files."""
    if re.match(r"\s*(select|with)\s", text, re.IGNORECASE):
        return _select(folder, text)
    raws = [read_file(path, name=path.relative_to(folder).as_posix()) for path in _matches(folder, text)]
    headers = {tuple(raw.frame.columns): raw.file for raw in raws}
    if len(headers) > 1:
        first, second = list(headers.values())[:2]
        raise checks.DataError(f"{text}: {first} and {second} have different columns. Join them with a SELECT.")
    if len(raws) == 1:
        return raws[0]
    frame = pd.concat([raw.frame for raw in raws], ignore_index=True)
    return Raw(frame, text, _joint_hash(raws), tuple(note for raw in raws for note in raw.notes))


def read_file(path: Path, *, name: str) -> Raw:
    """A CSV, TSV or Parquet file as a raw frame.

    Raises
    ------
    DataError
        The file is empty, is of another kind, or its rows do not fit its header.
    """
    if path.suffix not in SUFFIXES:
        raise checks.DataError(f"{name}: cannot read a '{path.suffix}' file. Export it as CSV, TSV or Parquet.")
    content = path.read_bytes()
    if not content.strip():
        raise checks.DataError(f"{name}: is empty, without even a header. Export it again.")
    digest = hashlib.sha256(content).hexdigest()
    if path.suffix == ".parquet":
        return Raw(_from_parquet(content, name), name, digest)
    text, encoding = _as_utf8(content, name)
    header = _header(text)
    delimiter = "\t" if path.suffix == ".tsv" else _delimiter(header)
    notes = [f"{name}: read as {encoding}, because it is not UTF-8."] if encoding else []
    if delimiter != "," and path.suffix == ".csv":
        notes.append(f"{name}: columns are taken to be separated by {DELIMITERS[delimiter]}.")
    return Raw(_from_csv(text, delimiter, name), name, digest, tuple(notes))


def text_of(table: pa.Table) -> pd.DataFrame:
    """A frame of an Arrow table; text is trimmed and empty text is missing."""
    return pd.DataFrame({name: _series(table[name]) for name in table.column_names})


def _canonical_file(folder: Path, table: str) -> str | None:
    names = [f"{table}{suffix}" for suffix in SUFFIXES if (folder / f"{table}{suffix}").is_file()]
    if len(names) > 1:
        raise checks.DataError(f"{names[0]} and {names[1]} both hold {table}. Name one in {FILE} under tables.")
    return names[0] if names else None


def _matches(folder: Path, pattern: str) -> list[Path]:
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise checks.DataError(f"{pattern}: leaves the source's folder. Name a file inside it.")
    paths = sorted(path for path in folder.glob(pattern) if path.is_file())
    outside = [path for path in paths if not path.resolve().is_relative_to(folder.resolve())]
    if outside:
        raise checks.DataError(f"{outside[0].name}: links out of the source's folder. Copy the file into it.")
    if not paths:
        files = sorted(path.name for path in folder.iterdir() if path.suffix in SUFFIXES)
        raise checks.DataError(f"{pattern}: no such file; found {files[:8]}.{checks.did_you_mean(pattern, files)}")
    return paths


def _joint_hash(raws: list[Raw]) -> str:
    return hashlib.sha256("".join(raw.sha256 for raw in raws).encode()).hexdigest()


def _as_utf8(content: bytes, name: str) -> tuple[bytes, str | None]:
    """The text as UTF-8, and the encoding's name where it had to be guessed."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16").encode(), "UTF-16"
    if b"\0" in content:
        line = content[: content.index(b"\0")].count(b"\n") + 1
        raise checks.DataError(f"{name}, line {line}: holds a NUL byte, so it is no text file. Export it again as CSV.")
    try:
        content.decode("utf-8")
        return content, None
    except UnicodeDecodeError:
        # cp1252 is latin-1 with the quotes and the euro sign that Windows exports hold
        return content.decode("cp1252", errors="replace").encode(), "latin-1"


def _header(text: bytes) -> str:
    line = next(line for line in text.splitlines() if line.strip())
    return re.sub(r'"[^"]*"', "", line[:100_000].decode(errors="replace"))


def _delimiter(header: str) -> str:
    return max(DELIMITERS, key=header.count)


def _from_csv(text: bytes, delimiter: str, name: str) -> pd.DataFrame:
    names = _column_names(text, delimiter, name)
    parse = pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    convert = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
    )
    # a block that holds the whole longest row: quoted newlines may make it long
    options = pyarrow.csv.ReadOptions(use_threads=False, block_size=max(1 << 24, min(len(text) + 1, 1 << 28)))
    try:
        table = pyarrow.csv.read_csv(
            io.BytesIO(text + b"\n"), parse_options=parse, convert_options=convert, read_options=options
        )
    except pa.ArrowInvalid as error:
        detail = str(error).removeprefix("CSV parse error: ").splitlines()[0][:160]
        raise checks.DataError(f"{name}: a row does not fit the header ({detail}). Export it again.") from error
    return text_of(table)


def _column_names(text: bytes, delimiter: str, name: str) -> list[str]:
    header = pd.read_csv(io.BytesIO(text), sep=delimiter, header=None, nrows=1, dtype=str, keep_default_na=False)
    names = list(header.iloc[0])
    repeated = [column for column in dict.fromkeys(names) if names.count(column) > 1]
    if repeated:
        raise checks.DataError(f"{name}: column '{repeated[0]}' is there {names.count(repeated[0])} times. Keep one.")
    return names


def _from_parquet(content: bytes, name: str) -> pd.DataFrame:
    try:
        table = pyarrow.parquet.read_table(io.BytesIO(content))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise checks.DataError(f"{name}: cannot be read as Parquet ({str(error)[:120]}). Export it again.") from error
    return text_of(table)


def _series(column: pa.ChunkedArray) -> pd.Series:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _series(column.cast(kind.value_type))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        trimmed = pc.utf8_trim_whitespace(column)
        return pc.if_else(pc.equal(trimmed, ""), None, trimmed).to_pandas().astype("str")
    if pa.types.is_date(kind):
        return column.cast(pa.timestamp("us")).to_pandas()
    if pa.types.is_decimal(kind):
        return column.cast(pa.float64()).to_pandas()
    if pa.types.is_boolean(kind):
        return column.to_pandas().astype("boolean")
    if pa.types.is_null(kind) or pa.types.is_nested(kind) or pa.types.is_binary(kind):
        return pd.Series([None if cell is None else str(cell) for cell in column.to_pylist()], dtype="str")
    return column.to_pandas()


def _select(folder: Path, query: str) -> Raw:
    """The rows of a SELECT; the files it names are loaded first, then DuckDB is shut off from the rest."""
    files = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix in SUFFIXES}
    words = {word.casefold() for pair in re.findall(r'"([^"]*)"|(\w+)', query) for word in pair}
    raws = [read_file(path, name=path.name) for stem, path in files.items() if stem.casefold() in words]
    with duckdb.connect() as connection:
        for raw in raws:
            connection.register("raw", pa.Table.from_pandas(raw.frame, preserve_index=False))
            connection.execute(f'CREATE TABLE "{Path(raw.file).stem}" AS SELECT * FROM raw')
            connection.unregister("raw")
        # one thread, so that rows and sums come in the same order every time
        connection.execute("SET threads = 1; SET enable_external_access = false; SET lock_configuration = true")
        table = _run(connection, query, files)
    label = "SELECT over " + ", ".join(raw.file for raw in raws)
    return Raw(text_of(table), label, _joint_hash(raws), tuple(note for raw in raws for note in raw.notes))


def _run(connection: duckdb.DuckDBPyConnection, query: str, files: dict[str, Path]) -> pa.Table:
    try:
        return connection.sql(query).to_arrow_table()
    except duckdb.Error as error:
        raise checks.DataError(
            f"{FILE}: the SELECT '{' '.join(query.split())[:60]}…' fails: {str(error).splitlines()[0]} "
            f"It takes the folder's files by name, {sorted(files)[:8]}; every column is text."
        ) from error
