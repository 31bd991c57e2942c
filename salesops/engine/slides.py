"""A published report as slides: a finding each, its chart with numbers that can be edited, definitions in the notes.

python-pptx writes them: the one library that makes charts a presentation program takes as its own.
"""

import io
from pathlib import Path
from typing import Any

from salesops import words
from salesops.engine import native_chart, printed, zipped

_WIDE, _HIGH, _EDGE = 13.333, 7.5, 0.6  # inches
_INK, _QUIET, _SERIES, _PANEL = "0B0C0C", "505A5F", "12436D", "F3F2F1"
_TITLE_ONLY = 5  # layout of the template: a heading, so that the outline names every slide
_A_ROW, _MAX_TILES, _MAX_ROWS, _MAX_COLUMNS = 3, 6, 13, 6
_LONG = 110  # letters of a heading from which it is set smaller


def write(report: printed.Published, to: Path) -> None:
    """Write the slides of a report."""
    import pptx
    from pptx.util import Inches

    deck = pptx.Presentation()
    deck.slide_width, deck.slide_height = Inches(_WIDE), Inches(_HIGH)
    _own(deck, report)
    _opening(deck, report)
    shown = printed.tiles(report.page)
    if shown:
        _tiles(deck, report, shown[:_MAX_TILES])
    for finding in printed.findings(report):
        _finding(deck, report, finding)
    out = io.BytesIO()
    deck.save(out)
    to.write_bytes(zipped.settle(out.getvalue(), report.day))


def notes(report: printed.Published, finding: printed.Finding) -> str:
    """What a speaker is asked: how the measures of a finding are defined, and where it comes from."""
    names = [key.partition(".")[0] for key in finding.drawn["figures"]]
    told = [f"{finding.title}.", finding.subtitle]
    for one in printed.defined(names):
        formula = f" {one.name} = {one.numerator} ÷ {one.denominator}." if one.numerator and one.denominator else ""
        told.append(f"{words.label(one.name)}: {one.definition}{formula}")
    left = finding.drawn.get("rows_left_out", 0)
    told.append(f"{words.count(left)} further rows are on the page." if left else "")
    return "\n\n".join(filter(None, [*told, _source(report)]))


def _own(deck: Any, report: printed.Published) -> None:
    said = deck.core_properties
    said.title, said.subject = report.subject, report.name
    said.author = said.last_modified_by = "salesops"
    said.keywords = said.comments = said.category = ""
    said.revision = 1


def _opening(deck: Any, report: printed.Published) -> None:
    slide, period = _slide(deck, report.title), report.content["period"]
    span = f"{period['label']}, {words.day(period['start'])} to {words.day(period['end'])}. " if period["label"] else ""
    _text(slide, [f"{span}As of {words.day(report.day)}."], (_EDGE, 1.3, _WIDE - 2 * _EDGE, 0.5), size=16, ink=_QUIET)
    place = (_EDGE, 1.95, _WIDE - 2 * _EDGE, _HIGH - 2.7)
    sentences = [f"{number}.  {text}" for number, text in enumerate(report.content["headlines"], start=1)]
    _text(slide, sentences, place, size=18, gap=8)
    _footer(slide, report)
    slide.notes_slide.notes_text_frame.text = "\n\n".join(
        filter(None, [*(f"Left out: {each['section']}: {each['reason']}" for each in
                        report.content["sections_left_out"]), " ".join(report.company.policy), _source(report)])
    )  # fmt: skip


def _tiles(deck: Any, report: printed.Published, shown: list[printed.Tile]) -> None:
    from pptx.util import Pt

    slide, gap = _slide(deck, "The figures"), 0.25
    wide = (_WIDE - 2 * _EDGE - gap * (_A_ROW - 1)) / _A_ROW
    for number, tile in enumerate(shown):
        row, column = divmod(number, _A_ROW)
        place = (_EDGE + column * (wide + gap), 1.4 + row * 2.7, wide, 2.45)
        frame = _text(slide, [tile.title, tile.value, *tile.notes], place, size=12, fill=_PANEL)
        title, value = frame.paragraphs[:2]
        title.runs[0].font.size = Pt(14)
        value.runs[0].font.size, value.runs[0].font.bold = Pt(28), True
    _footer(slide, report)
    keys = [key.partition(".")[0] for key in report.content["tiles"]]
    defined = [f"{words.label(one.name)}: {one.definition}" for one in printed.defined(keys)]
    slide.notes_slide.notes_text_frame.text = "\n\n".join([*defined, _source(report)])


def _finding(deck: Any, report: printed.Published, finding: printed.Finding) -> None:
    slide = _slide(deck, finding.title)
    _text(slide, [finding.question], (_EDGE, 0.2, _WIDE - 2 * _EDGE, 0.35), size=14, ink=_QUIET)
    shown, left = len(finding.drawn.get("labels", [])), finding.drawn.get("rows_left_out", 0)
    some = f"; the first {words.count(shown)} of {words.count(shown + left)}" if left else ""
    _text(slide, [finding.subtitle + some], (_EDGE, 1.35, _WIDE - 2 * _EDGE, 0.4), size=14, ink=_QUIET)
    place = (_EDGE, 1.85, _WIDE - 2 * _EDGE, _HIGH - 2.45)
    if finding.drawn.get("series"):
        native_chart.add(slide, finding.drawn, place, alt=f"{finding.title}. {finding.subtitle}",
                         currency=report.content["currency"])  # fmt: skip
    elif finding.rows:
        _table(slide, finding.rows, place)
    _footer(slide, report)
    slide.notes_slide.notes_text_frame.text = notes(report, finding)


def _slide(deck: Any, title: str) -> Any:
    from pptx.enum.text import MSO_ANCHOR, MSO_AUTO_SIZE, PP_ALIGN
    from pptx.util import Inches, Pt

    slide = deck.slides.add_slide(deck.slide_layouts[_TITLE_ONLY])
    head = slide.shapes.title
    head.left, head.top, head.width, head.height = (Inches(at) for at in (_EDGE, 0.5, _WIDE - 2 * _EDGE, 0.85))
    frame = head.text_frame
    frame.text, frame.word_wrap, frame.vertical_anchor = title, True, MSO_ANCHOR.MIDDLE
    frame.margin_left = frame.margin_right = 0
    frame.auto_size = MSO_AUTO_SIZE.NONE
    frame.paragraphs[0].alignment = PP_ALIGN.LEFT
    _set(frame.paragraphs[0].runs[0].font, Pt(20 if len(title) > _LONG else 24), _INK, bold=True)
    return slide


def _text(
    slide: Any, lines: list[str], place: tuple[float, ...], *, size: int, ink: str = _INK, gap: int = 2, fill: str = ""
) -> Any:
    from pptx.dml.color import RGBColor
    from pptx.enum.text import MSO_AUTO_SIZE
    from pptx.util import Inches, Pt

    box = slide.shapes.add_textbox(*(Inches(at) for at in place))
    frame = box.text_frame
    frame.word_wrap, frame.auto_size = True, MSO_AUTO_SIZE.NONE
    if fill:
        box.fill.solid()
        box.fill.fore_color.rgb = RGBColor.from_string(fill)
    else:
        frame.margin_left = frame.margin_right = 0
    for number, line in enumerate(lines):
        paragraph = frame.paragraphs[0] if number == 0 else frame.add_paragraph()
        paragraph.space_after = Pt(gap)
        run = paragraph.add_run()
        run.text = line
        _set(run.font, Pt(size), ink)
    return frame


def _set(font: Any, size: Any, ink: str, *, bold: bool = False) -> None:
    from pptx.dml.color import RGBColor

    font.size, font.bold, font.name = size, bold, "Arial"
    font.color.rgb = RGBColor.from_string(ink)


def _table(slide: Any, rows: list[list[str]], place: tuple[float, ...]) -> None:
    """The data of a picture as the page shows them, where it cannot be drawn from numbers."""
    from pptx.util import Inches, Pt

    kept = [row[:_MAX_COLUMNS] for row in rows[:_MAX_ROWS]]
    wide = max(map(len, kept))
    left, top, width, _ = place
    frame = slide.shapes.add_table(len(kept), wide, Inches(left), Inches(top), Inches(width), Inches(0.35 * len(kept)))
    for at, row in enumerate(kept):
        for column, said in enumerate(row):
            cell = frame.table.cell(at, column)
            cell.text = said
            for run in cell.text_frame.paragraphs[0].runs:
                run.font.size = Pt(12)


def _footer(slide: Any, report: printed.Published) -> None:
    frame = _text(slide, [report.subject], (_EDGE, _HIGH - 0.5, _WIDE - 2 * _EDGE, 0.35), size=11, ink=_QUIET)
    if report.address:
        frame.paragraphs[0].runs[0].hyperlink.address = report.address


def _source(report: printed.Published) -> str:
    where = report.address or f"{report.name}.html"
    return f"From: {report.subject}. Page: {where}. Run {report.content['run_id']}."
