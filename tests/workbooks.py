"""Excel workbooks written by hand, so that a test decides what every cell holds."""

import io
import zipfile
from collections.abc import Mapping, Sequence

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
DAY, MOMENT = 1, 2


def text(words: str) -> str:
    return f'<c t="inlineStr" r="{{place}}"><is><t>{words}</t></is></c>'


def number(value: float, style: int = 0) -> str:
    """A number; with the style DAY or MOMENT, days since 1899-12-30."""
    return f'<c s="{style}" r="{{place}}"><v>{value}</v></c>'


def formula(words: str, value: float | str | None = None) -> str:
    """A formula cell, with the value that was computed for it or without any."""
    return f'<c r="{{place}}"><f>{words}</f>' + ("" if value is None else f"<v>{value}</v>") + "</c>"


def error(words: str) -> str:
    return f'<c t="e" r="{{place}}"><v>{words}</v></c>'


EMPTY = '<c r="{place}"/>'


def workbook(sheets: Mapping[str, Sequence[Sequence[str]]]) -> bytes:
    """The bytes of a workbook with these sheets of rows of cells."""
    order = list(enumerate(sheets, start=1))
    places = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="s{n}"/>' for n, name in order)
    links = "".join(
        f'<Relationship Id="s{n}" Type="{LINKS}/worksheet" Target="worksheets/sheet{n}.xml"/>' for n, _ in order
    )
    styles = '<cellXfs count="3"><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="22"/></cellXfs>'
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"><Override PartName="/xl/workbook.xml" '
        'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
        f'<Relationship Id="r1" Type="{LINKS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{LINKS}"><sheets>{places}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">{links}'
        f'<Relationship Id="st" Type="{LINKS}/styles" Target="styles.xml"/></Relationships>',
        "xl/styles.xml": f'<styleSheet xmlns="{MAIN}">{styles}</styleSheet>',
    }
    parts |= {f"xl/worksheets/sheet{n}.xml": _sheet(sheets[name]) for n, name in order}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, xml in parts.items():
            archive.writestr(name, f'<?xml version="1.0"?>{xml}')
    return packed.getvalue()


def _sheet(rows: Sequence[Sequence[str]]) -> str:
    lines = [
        "".join(cell.replace("{place}", f"{chr(65 + column)}{row}") for column, cell in enumerate(cells))
        for row, cells in enumerate(rows, start=1)
    ]
    body = "".join(f'<row r="{row}">{cells}</row>' for row, cells in enumerate(lines, start=1))
    return f'<worksheet xmlns="{MAIN}"><sheetData>{body}</sheetData></worksheet>'
