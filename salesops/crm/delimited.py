"""Text files with columns: every cell is text, and only an empty cell is missing."""

import codecs
import csv
import io
import re
from collections import Counter

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from salesops import checks
from salesops.crm import footers, raw

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
# How other kinds of file begin, for those that were only renamed.
OTHER_KINDS = {
    b"PK\x03\x04": "a zip or Excel file",
    b"\x1f\x8b": "a gzip file",
    b"PAR1": "a Parquet file",
    b"\xd0\xcf\x11\xe0": "an old or password-protected Excel file",
    b"SQLite format 3": "an SQLite database",
    b"%PDF": "a PDF",
    b"<!DOCTYPE": "a web page",
    b"<html": "a web page",
}
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_HEADER_BYTES = 1 << 20
_LARGEST_BLOCK = 1 << 28
_PIECE = 1 << 22


def read(content: bytes, *, file: str, delimiter: str | None = None) -> tuple[pd.DataFrame, list[str]]:
    """A CSV or TSV file as a frame of text, and what had to be guessed.

    Raises
    ------
    DataError
        The file is of another kind, or its rows do not fit its header.

    Examples
    --------
    >>> frame, notes = read(b"id;amount\\nd1;1,5\\n", file="deals.csv")
    >>> frame.values.tolist(), notes
    ([['d1', '1,5']], ['deals.csv: columns are taken to be separated by semicolons.'])
    """
    text, notes = _as_utf8(content, file)
    text, cut = footers.of_text(text, file=file)
    notes += cut
    if delimiter is None:
        delimiter = _delimiter(_first_line(text))
        if delimiter != ",":
            notes.append(f"{file}: columns are taken to be separated by {DELIMITERS[delimiter]}.")
    frame, said = raw.tidy(raw.of_arrow(_table(text, delimiter, file), file=file), file=file)
    return frame, notes + said


def _as_utf8(content: bytes, file: str) -> tuple[bytes, list[str]]:
    """The text as UTF-8, and what had to be guessed of its encoding."""
    bare = content.lstrip() if content[:1].isspace() else content
    for start, kind in OTHER_KINDS.items():
        if bare.startswith(start):
            raise checks.DataError(f"{file}: is {kind}, not text with columns. Export it again as CSV, or name it so.")
    mark = next((mark for mark in _BYTE_ORDER_MARKS if content.startswith(mark)), None)
    notes: list[str] = []
    if mark:
        encoding = _BYTE_ORDER_MARKS[mark]
        try:
            content = content.decode(encoding).encode()
        except UnicodeDecodeError as error:
            raise checks.DataError(f"{file}: is cut off or broken {encoding} text. Export it again.") from error
        notes = [f"{file}: read as {encoding}, because it is not UTF-8."]
    content = content.removeprefix(codecs.BOM_UTF8)
    if b"\0" in content:
        line = content[: content.index(b"\0")].count(b"\n") + 1
        raise checks.DataError(f"{file}, line {line}: holds a NUL byte, so it is no text file. Export it again as CSV.")
    return (content, notes) if _is_utf8(content) else _mended(content, file)


def _is_utf8(content: bytes) -> bool:
    """Whether bytes are UTF-8, told piece by piece: a large file is not held twice."""
    if content.isascii():
        return True
    decoder, view = codecs.getincrementaldecoder("utf-8")(), memoryview(content)
    try:
        for start in range(0, len(content), _PIECE):
            decoder.decode(view[start : start + _PIECE])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _mended(content: bytes, file: str) -> tuple[bytes, list[str]]:
    """Text of which some or all lines are latin-1; a file joined from two exports may hold both."""
    lines, guessed, n_utf8 = content.split(b"\n"), [], 0
    for number, line in enumerate(lines, start=1):
        try:
            n_utf8 += len(line.decode("utf-8")) < len(line)
        except UnicodeDecodeError:
            # cp1252 is latin-1 with the quotes and the euro sign that Windows exports hold
            lines[number - 1] = line.decode("cp1252", errors="replace").encode()
            guessed.append(number)
    if not n_utf8:
        return b"\n".join(lines), [f"{file}: read as latin-1, because it is not UTF-8."]
    which = f"line {guessed[0]} is" if len(guessed) == 1 else f"lines {checks.examples(guessed)} are"
    return b"\n".join(lines), [f"{file}: {which} not UTF-8 like the rest, and read as latin-1."]


def _first_line(text: bytes) -> bytes:
    return next((line for line in text[:_HEADER_BYTES].splitlines() if line.strip()), b"")


def _delimiter(header: bytes) -> str:
    """The mark that comes most often outside quotes."""
    plain = re.sub(r'"[^"]*"', "", header.decode(errors="replace"))
    return max(DELIMITERS, key=plain.count)


def _column_names(text: bytes, delimiter: str, file: str) -> list[str]:
    try:
        first = pd.read_csv(io.BytesIO(text), sep=delimiter, header=None, nrows=1, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise checks.DataError(
            f"{file}, line 1: the header cannot be read. Close its quotes, or export again."
        ) from error
    names = list(first.iloc[0])
    if not any(name.strip() for name in names):
        raise checks.DataError(f"{file}, line 1: names no column. Begin the file with a header line.")
    return raw.header(names, file=file)


def _table(text: bytes, delimiter: str, file: str) -> pa.Table:
    table = _parsed(text, _column_names(text, delimiter, file), delimiter, file)
    if _may_hold_line_ends(text) and any(_has_line_end(column) for column in table.columns):
        _refuse_stray_quotes(text, delimiter, file)
    return table


def _parsed(text: bytes, names: list[str], delimiter: str, file: str) -> pa.Table:
    """The rows under the names; every row has to have as many cells as the header."""
    misfits: list[tuple[int, int, str]] = []
    shapes: Counter[tuple[int, bool]] = Counter()

    def misfit(row: pyarrow.csv.InvalidRow) -> str:
        shapes[row.actual_columns, row.text.endswith(delimiter)] += 1
        if len(misfits) < 3:
            misfits.append((row.number, row.actual_columns, row.text[:80]))
        return "skip"

    has_quotes = b'"' in text
    parse = pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=has_quotes, invalid_row_handler=misfit)
    convert = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.large_string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
    )
    # a block that holds the whole longest row: quoted newlines may make it long
    block = max(1 << 24, min(len(text) + 1, _LARGEST_BLOCK)) if has_quotes else 1 << 24
    options = pyarrow.csv.ReadOptions(use_threads=False, block_size=block, column_names=names)
    ended = pa.BufferReader(text if text.endswith(b"\n") else text + b"\n")
    try:
        table = pyarrow.csv.read_csv(ended, parse_options=parse, convert_options=convert, read_options=options)
    except pa.ArrowInvalid as error:
        detail = str(error).removeprefix("CSV parse error: ").splitlines()[0][:160]
        raise checks.DataError(f"{file}: a row cannot be read ({detail}). Export it again.") from error
    if misfits and table.num_rows == 1 and list(shapes) == [(len(names) + 1, True)]:
        # a delimiter ends every row, but not the header
        line = _first_line(text)
        longer = text.replace(line, line + delimiter.encode(), 1)
        return _parsed(longer, [*names, f"unnamed {len(names) + 1}"], delimiter, file)
    if misfits:
        _refuse_stray_quotes(text, delimiter, file)
        raise checks.DataError(_misfit_words(misfits, shapes.total(), len(names), file))
    return table.slice(1)


def _misfit_words(misfits: list[tuple[int, int, str]], n: int, n_columns: int, file: str) -> str:
    some = "; ".join(f"row {number} has {cells}: {' '.join(text.split())}" for number, cells, text in misfits)
    said = "1 row does not fit" if n == 1 else f"{n:,} rows do not fit"
    return (
        f"{file}: {said} the header's {n_columns:,} columns, counting the header as row 1 ({some}). "
        "Quote cells that hold the delimiter, or export it again."
    )


def _may_hold_line_ends(text: bytes) -> bool:
    """Whether a cell may hold the end of a line: only a quoted one does, unless a mark of an old Mac stands alone."""
    return b'"' in text or (b"\r" in text and text.count(b"\r") != text.count(b"\r\n"))


def _has_line_end(column: pa.ChunkedArray) -> bool:
    return any(pc.any(pc.match_substring(column, end)).as_py() for end in ("\n", "\r"))


def _refuse_stray_quotes(text: bytes, delimiter: str, file: str) -> None:
    """Raise where a quote is not closed as it should be: the rows after it would be one cell of text."""
    before = csv.field_size_limit(len(text) + 1)
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(text), "utf-8", newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for _ in reader:
            line = reader.line_num + 1
    except csv.Error as error:
        raise checks.DataError(
            f"{file}, line {line}: a quote opens a cell that is not closed before the next delimiter or line end, "
            "so the rows after it would be lost. Close it, and write a quote inside a cell twice."
        ) from error
    finally:
        csv.field_size_limit(before)
