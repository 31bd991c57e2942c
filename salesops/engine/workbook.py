"""A published report as a workbook: figures, deals and definitions, numbers as numbers.

XlsxWriter writes it: it has no dependencies, is kept well, and python-pptx brings it anyway.
"""

import io
import math
import re
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from salesops import words
from salesops.engine import deals, printed, zipped

MAX_DEALS, MAX_LINES = 20_000, 200_000  # rows of the sheets of deals: a workbook is opened by a person
_FORMULA = ("=", "+", "-", "@")
_WIDEST = 60
_LINE, _LETTERS = 15, 85  # height of a line in points, letters of one in the summary
_LINK = "link"  # in place of a number format
_PRINTED = 12  # columns of the figures on paper; the rest is for programs
_POINTS = '+0.0 %;"−"0.0 %;0.0 %'
_FORMATS = {"rate": "0.0 %", "points": _POINTS, "days": "#,##0.0", "hours": "#,##0.0", "ratio": "0.00"}
_UNITS = {"points": "percentage points", "amount_per_day": "amount a day"}
_GOOD = {"higher": "higher is better", "lower": "lower is better", "none": "neither way is better"}


class Sheet(NamedTuple):
    """A table of a workbook: heads, rows, and the number format of each cell that has one."""

    name: str
    heads: list[str]
    rows: list[list[Any]]
    formats: list[list[str]]


def write(report: printed.Published, to: Path) -> None:
    """Write the workbook of a report."""
    import xlsxwriter

    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        book.set_properties({"title": report.subject, "author": "salesops", "company": ""})
        styles = _Styles(book)
        _write_summary(book.add_worksheet("Summary"), report, styles)
        for sheet in sheets(report):
            _write_sheet(book.add_worksheet(sheet.name), sheet, styles)
    to.write_bytes(zipped.settle(out.getvalue(), report.day))


def number_format(unit: str | None, value: Any, currency: str) -> str:
    """The number format of a unit; a currency stands where the locale has it, the program sets its own marks.

    Examples
    --------
    >>> number_format("rate", 0.24, "USD"), number_format("amount", 5.5, "EUR"), number_format("count", 3, "USD")
    ('0.0 %', '"€"#,##0', '#,##0')
    >>> with words.written_in("de"):
    ...     number_format("amount", 5.5, "EUR"), number_format("count", 2.5, "EUR")
    ('#,##0" €"', '#,##0.0')
    """
    if unit in ("amount", "amount_per_day"):
        before, _, after = words.amount(1, currency).partition("1")
        return "#,##0".join(f'"{part}"' if part else "" for part in (before, after))
    if unit == "count":
        return "#,##0" if value is None or float(value).is_integer() else "#,##0.0"
    return _FORMATS.get(unit or "", "General")


def sheets(report: printed.Published) -> Iterator[Sheet]:
    """The tables of the workbook, from the figures file and the lists of deals."""
    yield _figures(report)
    yield from _deals(report)
    yield _definitions(report)
    heads = ["Table", "Field", "Rule", "Rows"]
    rows = [[each["table"], each["field"], each["rule"], each["n"]] for each in report.content["exclusions"]]
    yield Sheet("Exclusions", heads, rows, [["", "", "", "#,##0"]] * len(rows))


def title(figure: dict[str, Any]) -> str:
    """What a figure is, in words.

    Examples
    --------
    >>> title({"metric": "win_rate", "statistic": "value", "by": {"segment": None}})
    'Win rate, Segment (none)'
    """
    name = figure["metric"] if figure["statistic"] == "value" else f"{figure['metric']}_{figure['statistic']}"
    groups = [f"{words.label(column)} {words.group(value, column)}" for column, value in figure["by"].items()]
    return ", ".join([words.label(name), *groups])


def _figures(report: printed.Published) -> Sheet:
    heads = [
        "Figure", "Period", "Compared with", "Shown as", "Value", "Low", "High", "Level", "n", "Numerator",
        "Denominator", "Unit", "Period start", "Period end", "Clock", "Only deals where", "Metric", "Statistic", "Key",
    ]  # fmt: skip
    currency, rows, formats = report.content["currency"], [], []
    for key, one in report.figures.items():
        period, shown = one["period"], words.value(one["value"], one["unit"], currency=currency)
        told = [title(one), period["label"], (one["compared_with"] or "").replace("_", " "), shown]
        numbers = [one[name] for name in ("value", "low", "high", "level", "n", "numerator", "denominator")]
        dates = [_date(period["start"]), _date(period["end"])]
        unit = _UNITS.get(one["unit"], one["unit"])
        rows.append([*told, *numbers, unit, *dates, one["clock"], one["where"], one["metric"], one["statistic"], key])
        own = [number_format(one["unit"], one["value"], currency)] * 3
        plain = ["#,##0.##" if item is None or not float(item).is_integer() else "#,##0" for item in numbers[4:]]
        formats.append([*[""] * 4, *own, "0 %", *plain, "", "yyyy-mm-dd", "yyyy-mm-dd", *[""] * 5])
    return Sheet("Figures", heads, rows, formats)


def _deals(report: printed.Published) -> Iterator[Sheet]:
    """Each deal once, and which figures count it; what is over the most a sheet has is said in the summary."""
    lists = pd.read_parquet(report.folder / f"{report.name}.deals.parquet")
    company, amount = report.company, number_format("amount", 0, report.content["currency"])
    found = deals.frame(company, lists["opportunity_id"].unique(), MAX_DEALS)
    counted = lists.groupby("opportunity_id").size()
    rows = [
        [*(_unnamed(company, row[name]) for name in ("opportunity_id", "name", "owner", "stage")), row["amount"],
         row["close_date"].date() if pd.notna(row["close_date"]) else None, row["record"],
         int(counted[row["opportunity_id"]])]
        for row in found.to_dict("records")
    ]  # fmt: skip
    heads = ["Deal", "Name", "Owner", "Stage", "Amount", "Close date", "Record", "Figures that count it"]
    yield Sheet("Deals", heads, rows, [["", "", "", "", amount, "yyyy-mm-dd", _LINK, "#,##0"]] * len(rows))
    titles = {key: title(one) for key, one in report.figures.items()}
    some = lists.head(MAX_LINES).to_dict("records")
    lines = [[titles.get(row["figure"], row["figure"]), row["opportunity_id"], row["figure"]] for row in some]
    yield Sheet("Deals by figure", ["Figure", "Deal", "Key"], lines, [["", "", ""]] * len(lines))


def _definitions(report: printed.Published) -> Sheet:
    found = printed.defined([one["metric"] for one in report.content["figures"]])
    rows = [
        [words.label(one.name), one.definition,
         f"{one.numerator} ÷ {one.denominator}" if one.numerator and one.denominator else "", one.unit, one.clock,
         _GOOD[one.good], one.name]
        for one in found
    ]  # fmt: skip
    heads = ["Metric", "Definition", "Formula", "Unit", "Counted when", "Direction", "Name"]
    return Sheet("Definitions", heads, rows, [[""] * len(heads)] * len(rows))


class _Exact(float):
    """A number written to its last digit: of the seventeen that tell a float, XlsxWriter would write sixteen."""

    def __format__(self, _: str) -> str:
        return repr(float(self))


class _Styles:
    """The formats of a workbook, each made once."""

    def __init__(self, book: Any):
        self.book, self.made = book, {}

    def __call__(self, **wanted: Any) -> Any:
        key = tuple(sorted(wanted.items()))
        if key not in self.made:
            self.made[key] = self.book.add_format({"valign": "top", **wanted})
        return self.made[key]


def _write_summary(sheet: Any, report: printed.Published, styles: _Styles) -> None:
    content, period = report.content, report.content["period"]
    sheet.hide_gridlines(2)
    sheet.set_column(0, 0, 18)
    sheet.set_column(1, 1, 95)
    span = f"{period['label']} ({words.day(period['start'])} to {words.day(period['end'])})" if period["label"] else ""
    listed = _listed(report)
    facts = [
        ("Period", span), ("As of", words.day(report.day)), ("Status", content["status"]),
        ("Currency", content["currency"]), ("Page", report.address or f"{report.name}.html"),
        ("Run", content["run_id"]), ("Deals", listed), ("People", " ".join(report.company.policy)),
    ]  # fmt: skip
    left_out = [("Left out", f"{each['section']}: {each['reason']}") for each in content["sections_left_out"]]
    lines = [("", sentence) for sentence in content["headlines"]]
    _put(sheet, 0, 0, report.title, styles, bold=True, font_size=16)
    for place, (name, said) in enumerate([*lines, *[each for each in facts if each[1]], *left_out], start=2):
        _put(sheet, place, 0, name, styles, bold=True)
        _put(sheet, place, 1, said, styles, text_wrap=True)
        sheet.set_row(place, _LINE * max(math.ceil(len(said) / _LETTERS), 1) + 2)
    sheet.fit_to_pages(1, 0)


def _listed(report: printed.Published) -> str:
    lists = pd.read_parquet(report.folder / f"{report.name}.deals.parquet")
    n, lines = lists["opportunity_id"].nunique(), len(lists)
    if n <= MAX_DEALS and lines <= MAX_LINES:
        return ""
    return (
        f"The {words.count(min(n, MAX_DEALS))} largest of {words.count(n)} deals, and the first "
        f"{words.count(min(lines, MAX_LINES))} of {words.count(lines)} lines of deals by figure; the file "
        f"{report.name}.deals.parquet has them all."
    )


def _write_sheet(sheet: Any, table: Sheet, styles: _Styles) -> None:
    is_prose = table.name == "Definitions"
    for column, head in enumerate(table.heads):
        sheet.set_column(column, column, _width(head, (row[column] for row in table.rows[:500])))
        is_number = bool(table.formats) and table.formats[0][column] not in ("", _LINK)
        side = {"align": "right"} if is_number else {"indent": int(column > 0)}
        _put(sheet, 0, column, head, styles, bold=True, bottom=1, text_wrap=True, **side)
    for place, (row, formats) in enumerate(zip(table.rows, table.formats, strict=True), start=1):
        if is_prose:
            sheet.set_row(place, _LINE * max(math.ceil(len(str(item or "")) / (_WIDEST - 5)) for item in row))
        for column, item in enumerate(row):
            own = formats[column]
            if own == _LINK and re.fullmatch(r"https?://\S{1,2000}", item or ""):
                sheet.write_url(place, column, item, styles(font_color="#12436D", underline=1, indent=1))
            else:
                is_text = own in ("", _LINK)
                look = {"indent": int(column > 0), "text_wrap": is_prose} if is_text else {"num_format": own}
                _put(sheet, place, column, item, styles, **look)
    sheet.set_row(0, 2 * _LINE)
    sheet.freeze_panes(1, 1)
    sheet.autofilter(0, 0, max(len(table.rows), 1), len(table.heads) - 1)
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0)
    if table.name == "Figures":
        sheet.print_area(0, 0, len(table.rows), _PRINTED - 1)


def _put(sheet: Any, row: int, column: int, item: Any, styles: _Styles, **look: Any) -> None:
    """A cell by its kind: nothing from the data is ever a formula or a link."""
    if words.is_missing(item) or item == "":
        return
    if isinstance(item, date):
        sheet.write_datetime(row, column, item, styles(**look))
    elif isinstance(item, (int, float)) and not isinstance(item, bool):
        sheet.write_number(row, column, _Exact(item), styles(**look))
    else:
        # The mark keeps what begins like a formula a text when someone edits the cell.
        quoted = {"quote_prefix": True} if str(item).startswith(_FORMULA) else {}
        sheet.write_string(row, column, str(item), styles(**look, **quoted))


def _width(head: str, items: Iterable[Any]) -> float:
    shown = (f"{item:,.2f}" if isinstance(item, float) else str(item) for item in items if item is not None)
    longest = max(map(len, shown), default=0)
    return min(max(longest + 2, len(head) // 2 + 6, 9), _WIDEST)


def _date(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _unnamed(company: Any, item: Any) -> str:
    return "" if words.is_missing(item) else company.unnamed(str(item))
