"""From a source to raw frames: which file, sheet or SELECT holds which table."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

from salesops import checks
from salesops.crm import databases, model
from salesops.crm.formats import SUFFIXES, read_file, stem_of, suffix_of
from salesops.crm.raw import Raw, joint_hash
from salesops.crm.source import FILE, Source

__all__ = ["SUFFIXES", "Raw", "read_file", "read_table", "read_tables"]


def read_tables(source: Source) -> dict[str, Raw]:
    """The raw tables of a source: those source.yaml names, and files or tables with canonical names.

    Raises
    ------
    DataError
        Nothing holds opportunities, a named file is not there, or a file cannot be read.
    """
    return dict(each_table(source))


def each_table(source: Source) -> Iterator[tuple[str, Raw]]:
    """The same one by one, so that one may be dropped before the next is read."""
    if source.database:
        yield from databases.read_tables(source).items()
        return
    wanted = {table: _canonical_file(source.folder, table) for table in model.TABLES} | dict(source.tables)
    for table, text in wanted.items():
        if text:
            yield table, read_table(source.folder, text)
    if not wanted["opportunities"]:
        names = _names(source.folder)
        raise checks.DataError(
            f"{source.label}: no opportunities.csv; found {names[:8]}.{checks.did_you_mean('opportunities.csv', names)}"
            f"{_in_the_way(source.folder)} Name the file that holds the deals in {FILE} under tables."
        )


def read_table(folder: Path, text: str) -> Raw:
    """One table: a file, a sheet as ``deals.xlsx:Sheet``, a pattern over files, or a SELECT over the folder's."""
    if databases.is_select(text):
        return _select(folder, text)
    pattern, sheet = _sheet(text)
    paths = _matches(folder, pattern)
    raws = [read_file(path, name=path.relative_to(folder).as_posix(), sheet=sheet) for path in paths]
    headers = {tuple(raw.frame.columns): raw.file for raw in raws}
    if len(headers) > 1:
        first, second = list(headers.values())[:2]
        raise checks.DataError(f"{text}: {first} and {second} have different columns. Join them with a SELECT.")
    if len(raws) == 1:
        return raws[0]
    frame = pd.concat([raw.frame for raw in raws], ignore_index=True)
    return Raw(frame, text, joint_hash(raws), tuple(note for raw in raws for note in raw.notes))


def _files(folder: Path) -> list[Path]:
    """The files of a folder that can be read, in order; neither folders nor pipes."""
    return sorted(path for path in folder.iterdir() if suffix_of(path.name) and path.is_file())


def _names(folder: Path) -> list[str]:
    return [path.name for path in _files(folder)]


def _in_the_way(folder: Path) -> str:
    """What to say of a folder, a pipe or a broken link that has the name of the deals' file."""
    odd = [path.name for path in folder.glob("opportunities.*") if suffix_of(path.name) and not path.is_file()]
    return f" {odd[0]} is a folder, a pipe or a broken link, not a file." if odd else ""


def _canonical_file(folder: Path, table: str) -> str | None:
    names = [f"{table}{suffix}" for suffix in SUFFIXES if (folder / f"{table}{suffix}").is_file()]
    if len(names) > 1:
        raise checks.DataError(f"{names[0]} and {names[1]} both hold {table}. Name one in {FILE} under tables.")
    return names[0] if names else None


def _sheet(text: str) -> tuple[str, str | None]:
    pattern, mark, sheet = text.rpartition(":")
    return (pattern, sheet) if mark and suffix_of(pattern) == ".xlsx" else (text, None)


def _matches(folder: Path, pattern: str) -> list[Path]:
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise checks.DataError(f"{pattern}: leaves the source's folder. Name a file inside it.")
    paths = sorted(path for path in folder.glob(pattern) if path.is_file())
    _refuse_outside(folder, paths)
    if not paths:
        names = _names(folder)
        raise checks.DataError(f"{pattern}: no such file; found {names[:8]}.{checks.did_you_mean(pattern, names)}")
    return paths


def _refuse_outside(folder: Path, paths: Iterable[Path]) -> None:
    outside = [path for path in paths if not path.resolve().is_relative_to(folder.resolve())]
    if outside:
        raise checks.DataError(f"{outside[0].name}: links out of the source's folder. Copy the file into it.")


def _select(folder: Path, query: str) -> Raw:
    """The rows of a SELECT; the files it names are loaded first, then DuckDB is shut off from the rest."""
    files = {stem_of(path.name): path for path in _files(folder)}
    named = {stem: path for stem, path in files.items() if stem.casefold() in databases.words(query)}
    _refuse_outside(folder, named.values())
    raws = {stem: read_file(path, name=path.name) for stem, path in named.items()}
    label = " over ".join(["SELECT", ", ".join(raw.file for raw in raws.values())] if raws else ["SELECT"])
    with databases.in_memory({stem: raw.frame for stem, raw in raws.items()}) as connection:
        frame = databases.selected(connection, query, file=label, tables=sorted(files))
    notes = tuple(note for raw in raws.values() for note in raw.notes)
    return Raw(frame, label, joint_hash(raws.values()), notes)
