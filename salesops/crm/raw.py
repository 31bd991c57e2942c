"""A table as it came: what every format's reader hands on."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from salesops import checks

LONGEST_NAME = 500
_FIRST_VISIBLE, _LAST_VISIBLE = np.uint8(ord("!")), np.uint8(ord("~"))
_LARGEST_EXACT = 2**53  # up to here each whole number has a floating-point number of its own
_AS_THEY_ARE = (pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_timestamp)
_TEXT = pd.StringDtype(na_value=float("nan"))
_DTYPES = {pa.string(): _TEXT, pa.large_string(): _TEXT, pa.bool_(): pd.BooleanDtype()}


@dataclass(frozen=True)
class Raw:
    """A table as it came: its frame, what messages call it, its bytes' hash, and what was guessed."""

    frame: pd.DataFrame
    file: str
    sha256: str
    notes: tuple[str, ...] = ()


def joint_hash(raws: Iterable[Raw]) -> str:
    """One hash of several tables' hashes."""
    return hashlib.sha256("".join(raw.sha256 for raw in raws).encode()).hexdigest()


def header(names: Sequence[str], *, file: str) -> list[str]:
    """Column names without blanks around them; those without a name are called by their place.

    Raises
    ------
    DataError
        A name comes twice, or is too long to be one.

    Examples
    --------
    >>> header([" amount ", "Close\\nDate", ""], file="deals.csv")
    ['amount', 'Close Date', 'unnamed 3']
    >>> header(["id", "id "], file="deals.csv")
    Traceback (most recent call last):
        ...
    salesops.checks.DataError: deals.csv: column 'id' is there 2 times. Keep one.
    """
    bare = [re.sub(r"\s*[\r\n]+\s*", " ", name.strip("\ufeff \t\r\n")) for name in names]
    longest = max(map(len, bare), default=0)
    if longest > LONGEST_NAME:
        raise checks.DataError(f"{file}: a column name has {longest:,} characters. Begin the file with a header line.")
    named = [name or f"unnamed {place}" for place, name in enumerate(bare, start=1)]
    counts = pd.Series(named, dtype="str").value_counts(sort=False)
    if counts.max() > 1:
        raise checks.DataError(f"{file}: column '{counts.idxmax()}' is there {counts.max()} times. Keep one.")
    return named


def of_arrow(table: pa.Table, *, file: str) -> pd.DataFrame:
    """A frame of an Arrow table; text is trimmed and empty text is missing."""
    names, columns = header(table.column_names, file=file), table.columns
    del table  # a column that is made plain is let go: a large table is not there twice
    plain = []
    while columns:
        plain.append(_plain(columns.pop(0)))
        pa.default_memory_pool().release_unused()
    return pa.table(plain, names=names).to_pandas(types_mapper=_DTYPES.get)


def tidy(frame: pd.DataFrame, *, file: str) -> tuple[pd.DataFrame, list[str]]:
    """A frame without nameless empty columns and without empty rows at its end, which are counted.

    Examples
    --------
    >>> frame = pd.DataFrame({"id": ["d1", None], "unnamed 2": [None, None]})
    >>> tidy(frame, file="deals.csv")
    (   id
    0  d1, ['deals.csv: 1 row at the end holds nothing and is not read.'])
    """
    nameless = [name for name in frame.columns if re.fullmatch(r"unnamed \d+", name) and frame[name].isna().all()]
    frame = frame.drop(columns=nameless)
    if frame.empty or frame.iloc[-1].notna().any():
        return frame, []
    filled = frame.notna().any(axis=1).to_numpy().nonzero()[0]
    n_kept = int(filled[-1]) + 1 if len(filled) else 0
    n = len(frame) - n_kept
    said = "1 row at the end holds nothing and is" if n == 1 else f"{n:,} rows at the end hold nothing and are"
    return frame.iloc[:n_kept], [f"{file}: {said} not read."]


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of text, numbers, times or booleans, whatever it was."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain(column.cast(kind.value_type))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        parts = map(_trimmed, column.cast(pa.large_string()).chunks)
        trimmed = pa.chunked_array(parts, type=pa.large_string())
        return trimmed if trimmed.num_chunks <= 1 else pa.chunked_array([trimmed.combine_chunks()])
    if pa.types.is_date(kind):
        return column.cast(pa.timestamp("us"))
    if pa.types.is_decimal(kind):
        return _numbers(column)
    if any(is_kind(kind) for is_kind in _AS_THEY_ARE):
        return column
    cells = [None if cell is None else str(cell) for cell in column.to_pylist()]
    return pa.chunked_array([pa.array(cells, type=pa.string())])


def _trimmed(part: pa.LargeStringArray) -> pa.LargeStringArray:
    """Text without blanks around it; empty text is missing."""
    trimmed = pc.utf8_trim_whitespace(part) if _may_be_padded(part) else part
    empty = pc.equal(pc.binary_length(trimmed), 0)
    return pc.if_else(empty, None, trimmed) if pc.any(empty).as_py() else trimmed


def _may_be_padded(part: pa.LargeStringArray) -> bool:
    """Whether a text begins or ends with what is no visible ASCII: few do, and trimming copies all."""
    _, ends, letters = part.buffers()
    if letters is None or not len(letters):
        return False
    bounds = np.frombuffer(ends, dtype=np.int64, count=part.offset + len(part) + 1)[part.offset :]
    letters = np.frombuffer(letters, dtype=np.uint8)
    # "clip": where nothing stands, any other text's letter will do
    edges = (letters.take(bounds[:-1], mode="clip"), letters.take(bounds[1:] - 1, mode="clip"))
    return any(bool((edge - _FIRST_VISIBLE > _LAST_VISIBLE - _FIRST_VISIBLE).any()) for edge in edges)


def _numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Decimals as numbers; whole ones that a number would round, such as long ids, as text."""
    numbers = column.cast(pa.float64())
    if column.type.scale or not (pc.max(pc.abs(numbers)).as_py() or 0) > _LARGEST_EXACT:
        return numbers
    return column.cast(pa.string())
