"""Excel workbooks: one sheet as a frame, with dates and numbers typed as they are in the cells."""

import io
import re
import zipfile
from collections.abc import Sequence
from datetime import date, datetime
from xml.etree import ElementTree

import pandas as pd
import python_calamine

from salesops import checks
from salesops.crm import raw

# A formula whose result was never computed has no value (`<v>`), or an empty one that is no text.
_FORMULA = rb"<(?:\w+:)?c\b([^>]*)>\s*<(?:\w+:)?f\b(?:[^>]*/>|[^>]*>[^<]*</(?:\w+:)?f>)\s*(<(?:\w+:)?v[^>]*>)?\s*</"
_ERROR = rb'<(?:\w+:)?c\b([^>]*\bt="e"[^>]*)>'
_LOCKED = b"\xd0\xcf\x11\xe0"


def read(content: bytes, *, file: str, sheet: str | None = None) -> tuple[pd.DataFrame, list[str]]:
    """A sheet of a workbook, the first unless named, and what a reader should know.

    Formula cells have the value Excel last computed; a cell that holds an error, or a formula
    that was never computed, is missing and counted.

    Raises
    ------
    DataError
        The workbook cannot be opened, has no such sheet, or its header is faulty.
    """
    if content.startswith(_LOCKED):
        raise checks.DataError(
            f"{file}: is password-protected or in an old format. Save it as .xlsx without a password."
        )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            book = python_calamine.load_workbook(io.BytesIO(content))
            name = _chosen(book.sheet_names, sheet, file)
            rows = book.get_sheet_by_name(name).to_python()
            faults = _faults(_sheet_xml(archive, name), file)
    except (python_calamine.CalamineError, zipfile.BadZipFile, ElementTree.ParseError, KeyError, EOFError) as error:
        raise checks.DataError(
            f"{file}: cannot be opened as an Excel file. Save it in Excel again as .xlsx."
        ) from error
    if not rows:
        raise checks.DataError(f"{file}: sheet '{name}' is empty, without even a header. Export it again.")
    others = [other for other in book.sheet_names if other != name]
    notes = [] if sheet or not others else [f"{file}: sheet '{name}' is read; name another as {file}:{others[0]}."]
    names = raw.header([_text(cell) or "" for cell in rows[0]], file=file)
    columns = zip(names, zip(*rows[1:], strict=True) if len(rows) > 1 else [()] * len(names), strict=True)
    frame, said = raw.tidy(pd.DataFrame({column: _column(cells) for column, cells in columns}), file=file)
    return frame, notes + faults + said


def _chosen(names: Sequence[str], wanted: str | None, file: str) -> str:
    if not names:
        raise checks.DataError(f"{file}: has no sheet. Export it again.")
    if wanted and wanted not in names:
        hint = checks.did_you_mean(wanted, names)
        raise checks.DataError(f"{file}: has no sheet '{wanted}'; it has {', '.join(names)}.{hint}")
    return wanted or names[0]


def _column(cells: Sequence[object]) -> pd.Series:
    """Cells of one kind as that kind; of several, or of text, as text."""
    values = [None if isinstance(cell, str) and not cell.strip() else cell for cell in cells]
    kinds = {type(cell) for cell in values if cell is not None}
    if kinds and kinds <= {int, float}:
        return pd.Series(values, dtype="float64")
    if kinds == {bool}:
        return pd.Series(values, dtype="boolean")
    if kinds and kinds <= {date, datetime}:
        return pd.Series(pd.to_datetime(pd.Series(values, dtype="object"))).astype("datetime64[us]")
    return pd.Series([_text(cell) for cell in values], dtype="str")


def _text(cell: object) -> str | None:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return None if cell is None else str(cell).strip()


def _sheet_xml(archive: zipfile.ZipFile, name: str) -> bytes:
    """The file of a sheet inside the workbook."""
    book = ElementTree.fromstring(archive.read("xl/workbook.xml"))
    place = next(node for node in book.iter() if node.tag.endswith("}sheet") and node.get("name") == name)
    key = next(value for attribute, value in place.items() if attribute.endswith("}id"))
    links = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))
    target = next(link.get("Target", "") for link in links if link.get("Id") == key)
    return archive.read(target.lstrip("/") if target.startswith("/") else f"xl/{target}")


def _faults(xml: bytes, file: str) -> list[str]:
    """What to say of formulas that were never computed and of error cells."""
    formulas = [cell for cell, value in re.findall(_FORMULA, xml) if not value or b't="str"' not in cell]
    notes = []
    if formulas:
        notes.append(
            f"{file}: {len(formulas):,} formula cells were never computed and count as missing ({_places(formulas)}). "
            "Open the file in Excel and save it."
        )
    if errors := re.findall(_ERROR, xml):
        notes.append(
            f"{file}: {len(errors):,} cells hold an error such as #N/A and count as missing ({_places(errors)})."
        )
    return notes


def _places(cells: list[bytes]) -> str:
    return checks.examples(found.group(1).decode() for cell in cells if (found := re.search(rb'\br="(\w+)"', cell)))
