"""One door for every kind of file: its bytes, bounded, and the frame they hold."""

import hashlib
import io
import zipfile
import zlib
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from salesops import checks, kept
from salesops.crm import delimited, excel, footers, raw

SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".xlsx", ".parquet")
KINDS = "CSV, TSV, Excel (.xlsx) or Parquet"

# Text packs twenty times over; a file that unpacks to this much more was made to fill the memory.
LARGEST_UNPACKED = 1 << 28
LARGEST_RATIO = 200
_STEP = 1 << 22
# What text with columns turns out to hold is kept as Parquet, so that the same export is taken apart once.
KEPT = "exports"
SMALLEST_KEPT = 1 << 26  # bytes of text; below that it is read as fast as it is found
SMALLEST_WORKBOOK_KEPT = 1 << 20  # a workbook takes many times as long
_CODE = tuple(map(Path, (__file__, *(each.__file__ for each in (checks, delimited, excel, footers, raw)))))
_BLANK = b" \t\r\n\xef\xbb\xbf"


def suffix_of(name: str) -> str | None:
    """The suffix that tells how a file is read, or nothing.

    Examples
    --------
    >>> suffix_of("Deals.2026.CSV.gz"), suffix_of("notes.txt")
    ('.csv.gz', None)
    """
    return max((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), key=len, default=None)


def stem_of(name: str) -> str:
    """A file's name without that suffix.

    Examples
    --------
    >>> stem_of("deals.csv.gz")
    'deals'
    """
    return name[: -len(suffix_of(name) or "")] if suffix_of(name) else name


def read_file(path: Path, *, name: str, sheet: str | None = None) -> raw.Raw:
    """A file as a raw frame.

    Raises
    ------
    DataError
        The file is empty, cannot be opened, is of another kind, or its rows do not fit its header.
    """
    suffix = suffix_of(path.name)
    if suffix is None:
        raise checks.DataError(f"{name}: cannot read a '{path.suffix}' file. Export it as {KINDS}.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise checks.DataError(f"{name}: cannot be opened ({error.strerror}). Check who may read it.") from error
    digest = hashlib.sha256(content).hexdigest()
    depends = {"sha256": digest, "suffix": suffix, "name": name, "sheet": sheet}
    is_kept = suffix != ".parquet" and len(content) >= (SMALLEST_WORKBOOK_KEPT if suffix == ".xlsx" else SMALLEST_KEPT)
    make = partial(_read, content, suffix, name, sheet)
    frame, notes = kept.found_or_made(KEPT, depends, make, code=_CODE) if is_kept else make()
    return raw.Raw(frame, f"{name}:{sheet}" if sheet else name, digest, tuple(notes))


def _read(content: bytes, suffix: str, name: str, sheet: str | None) -> tuple[pd.DataFrame, list[str]]:
    if suffix.endswith(".gz"):
        content = _unpacked(content, name)
    if not content[:_STEP].strip(_BLANK) and not content.strip(_BLANK):
        raise checks.DataError(f"{name}: is empty, without even a header. Export it again.")
    return _frame(content, suffix.removesuffix(".gz"), name, sheet)


def _frame(content: bytes, suffix: str, name: str, sheet: str | None) -> tuple[pd.DataFrame, list[str]]:
    if suffix == ".parquet":
        return _from_parquet(content, name), []
    if suffix == ".xlsx":
        _refuse_bomb(content, name)
        return excel.read(content, file=name, sheet=sheet)
    return delimited.read(content, file=name, delimiter="\t" if suffix == ".tsv" else None)


def _from_parquet(content: bytes, name: str) -> pd.DataFrame:
    try:
        return raw.of_arrow(pyarrow.parquet.ParquetFile(io.BytesIO(content)).read(), file=name)
    except (pa.ArrowException, OSError) as error:
        detail = " ".join(str(error).split())[:120]
        raise checks.DataError(f"{name}: cannot be read as Parquet ({detail}). Export it again.") from error


def _unpacked(content: bytes, name: str) -> bytes:
    """The text in a gzip file, which may be of several parts."""
    parts, size, rest = [], 0, content
    while rest:
        unpacker = zlib.decompressobj(wbits=31)
        while not unpacker.eof:
            try:
                part = unpacker.decompress(rest, _STEP)
            except zlib.error as error:
                raise checks.DataError(f"{name}: is not a gzip file, or is damaged. Pack it again.") from error
            rest = unpacker.unconsumed_tail
            if not (part or rest or unpacker.eof):
                raise checks.DataError(f"{name}: is cut off before the end of the gzip data. Copy or export it again.")
            parts.append(part)
            size += len(part)
            _refuse_ratio(size, len(content), name)
        rest = unpacker.unused_data.lstrip(b"\0")
    return b"".join(parts)


def _refuse_bomb(content: bytes, name: str) -> None:
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _refuse_ratio(sum(part.file_size for part in archive.infolist()), len(content), name)


def _refuse_ratio(size: int, packed: int, name: str) -> None:
    if size > max(LARGEST_UNPACKED, LARGEST_RATIO * packed):
        raise checks.DataError(
            f"{name}: unpacks to more than {size >> 20:,} MB from {packed:,} bytes, more than data does. "
            "Export it again."
        )
