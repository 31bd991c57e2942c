"""A chart that a presentation program takes as its own: its numbers open in a sheet and can be edited."""

import math
from typing import Any

from salesops import words
from salesops.engine import workbook
from salesops.report import chart_data

_COLOURS = ("12436D", "767676", "BFBFBF", "505A5F")
_INK, _LINES, _UNDER_LINE = "0B0C0C", "D9D9D9", "6B8DB3"  # the last: bars light enough for an interval over them
_A_LABEL = 60  # letters of a group's name
_MOST_BARS = 20  # in one chart: more stand in two, side by side


def add(slide: Any, drawn: dict[str, Any], place: tuple[float, ...], *, alt: str, currency: str) -> None:
    """Add the chart of a finding to a slide; what one chart would crowd stands in several of one scale.

    Parameters
    ----------
    slide
        Of python-pptx.
    drawn
        As `report.chart_data.of` gives it: the same numbers, in full.
    place
        Left, top, width and height in inches.
    alt
        What it shows, in words.
    currency
        Of amounts.
    """
    pieces, ends = panels(drawn), scale(drawn)
    for (name, piece), own in zip(pieces, grid(len(pieces), place), strict=True):
        _add(slide, piece, own, ends, alt=f"{alt} {name}".rstrip(), currency=currency, title=name)


def panels(drawn: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """A chart as those it is drawn as: one; one for each of many series, by its name; two halves of many bars.

    Examples
    --------
    >>> each = {"values": [1.0] * 30, "low": [None] * 30, "high": [None] * 30}
    >>> bars = {"unit": "rate", "is_time": False, "labels": list("ab" * 15), "series": [each | {"name": "Win rate"}]}
    >>> [(name, len(half["labels"]), len(half["series"][0]["values"])) for name, half in panels(bars)]
    [('', 15, 15), ('', 15, 15)]
    >>> lines = bars | {"is_time": True, "series": [each | {"name": f"Stage {number}"} for number in range(5)]}
    >>> [name for name, _ in panels(lines)]
    ['Stage 0', 'Stage 1', 'Stage 2', 'Stage 3', 'Stage 4']
    """
    many, n = drawn["series"], len(drawn["labels"])
    if len(many) > chart_data.MAX_SERIES:
        return [(each["name"], {**drawn, "series": [each]}) for each in many]
    if drawn["is_time"] or n <= _MOST_BARS:
        return [("", drawn)]
    half = -(-n // 2)
    return [("", _part(drawn, slice(start, start + half))) for start in (0, half)]


def grid(n: int, place: tuple[float, ...]) -> list[tuple[float, float, float, float]]:
    """Where each of some charts lies in a place, row by row.

    Examples
    --------
    >>> grid(2, (0, 0, 10, 5))
    [(0.0, 0.0, 5.0, 5.0), (5.0, 0.0, 5.0, 5.0)]
    """
    columns = n if n <= 3 else math.ceil(n / math.ceil(n / 4))
    left, top, wide, high = place
    across, down = wide / columns, high / math.ceil(n / columns)
    return [(left + at % columns * across, top + at // columns * down, across, down) for at in range(n)]


def _part(drawn: dict[str, Any], some: slice) -> dict[str, Any]:
    own = [{**each, **{name: each[name][some] for name in ("values", "low", "high")}} for each in drawn["series"]]
    return {**drawn, "labels": drawn["labels"][some], "series": own}


def _add(
    slide: Any, drawn: dict[str, Any], place: tuple[float, ...], ends: tuple[float, float, float], *,
    alt: str, currency: str, title: str,
) -> None:  # fmt: skip
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE
    from pptx.util import Inches

    largest = max((abs(item) for each in drawn["series"] for item in each["values"] if item is not None), default=0)
    form = number_format(drawn["unit"], largest, currency)
    data = CategoryChartData(number_format=form)
    data.categories = labels(drawn, currency)
    for each in drawn["series"]:
        data.add_series(each["name"], each["values"])
    kind = XL_CHART_TYPE.LINE_MARKERS if drawn["is_time"] else XL_CHART_TYPE.BAR_CLUSTERED
    frame = slide.shapes.add_chart(kind, *(Inches(at) for at in place), data)
    frame.name, chart = "Chart", frame.chart
    frame._element.nvGraphicFramePr.cNvPr.set("descr", alt)
    _look(chart, drawn, form)
    if title:
        _name(chart, title)
    lowest, highest, step = ends
    chart.value_axis.minimum_scale, chart.value_axis.maximum_scale = lowest, highest
    chart.value_axis.major_unit = step
    for each, series in zip(drawn["series"], chart.plots[0].series, strict=True):
        if any(item is not None for item in [*each["low"], *each["high"]]):
            _add_limits(series, each)


def labels(drawn: dict[str, Any], currency: str) -> list[str]:
    """The names along a chart; one series of bars says its values and intervals with them, as the page does.

    Examples
    --------
    >>> one = {"name": "Win rate", "values": [0.241], "low": [0.2], "high": [0.29]}
    >>> labels({"unit": "rate", "is_time": False, "labels": ["SMB"], "series": [one]}, "USD")
    ['SMB: 24 % [20–29]']
    """
    names = [name if len(name) <= _A_LABEL else f"{name[:_A_LABEL]}…" for name in drawn["labels"]]
    if drawn["is_time"] or len(drawn["series"]) > 1:
        return names
    unit, one = drawn["unit"], drawn["series"][0]
    told = []
    for name, value, low, high in zip(names, one["values"], one["low"], one["high"], strict=True):
        shown = words.value(value, unit, currency=currency, compact=unit == "amount")
        limits = "" if unit == "amount" or value is None else words.bracket(low, high, unit)
        told.append(" ".join(filter(None, [f"{name}: {shown}", limits])))
    return told


def scale(drawn: dict[str, Any]) -> tuple[float, float, float]:
    """Both ends of the axis of values and its step: from zero, and every interval inside.

    Examples
    --------
    >>> scale({"series": [{"values": [0.22, None], "low": [0.1, None], "high": [0.46, None]}]})
    (0.0, 0.5, 0.1)
    >>> scale({"series": [{"values": [-7.1, 7.7], "low": [None], "high": [None]}]})
    (-7.5, 10.0, 2.5)
    >>> scale({"series": [{"values": [0.98], "low": [0.9], "high": [1.0]}]})
    (0.0, 1.0, 0.2)
    """
    ends = [item for each in drawn["series"] for name in ("values", "low", "high") for item in each[name]]
    known = [0.0, *(float(item) for item in ends if item is not None)]
    span = (max(known) - min(known)) or 1.0
    size = 10.0 ** math.floor(math.log10(span / 4))
    step = next(part * size for part in (1, 2, 2.5, 5, 10) if part * size * 6 >= span)
    lowest, highest = math.floor(min(known) / step + 1e-9), math.ceil(max(known) / step - 1e-9)
    lowest = 0 if min(known) == 0 else lowest
    highest = max(0 if max(known) == 0 else highest, lowest + 1)
    return round(lowest * step, 10) + 0.0, round(highest * step, 10) + 0.0, round(step, 10)


def number_format(unit: str, largest: float, currency: str) -> str:
    """The format along an axis: fewer digits than in a sheet.

    Examples
    --------
    >>> number_format("rate", 0.4, "USD"), number_format("amount", 7.1e6, "EUR"), number_format("days", 40, "EUR")
    ('0 %', '"€"0.0,,"M";"−€"0.0,,"M"', '#,##0')
    """
    if unit in ("rate", "points"):
        decimals = "0" if largest >= 0.05 else "0.0"
        return f"{decimals} %" if unit == "rate" else f'+{decimals} %;"−"{decimals} %;0 %'
    if unit in ("amount", "amount_per_day"):
        plain = workbook.number_format(unit, None, currency)
        scaled = '0.0,,"M"' if largest >= 1e6 else '0,"K"' if largest >= 1e4 else "#,##0"
        form = plain.replace("#,##0", scaled)
        return f'{form};"−{form.removeprefix(chr(34))}' if form.startswith('"') else f'{form};"−"{form}'
    return "0.00" if unit == "ratio" else "#,##0" if largest >= 10 else "#,##0.0"


def _look(chart: Any, drawn: dict[str, Any], form: str) -> None:
    from pptx.enum.chart import XL_LEGEND_POSITION, XL_TICK_LABEL_POSITION, XL_TICK_MARK
    from pptx.util import Pt

    many = 0 if drawn["is_time"] else len(drawn["labels"])
    chart.font.size, chart.font.name = Pt(12 if many <= 14 else 10 if many <= 24 else 8), "Arial"
    chart.font.color.rgb = _colour(_INK)
    chart.has_title = False
    chart.has_legend = len(drawn["series"]) > 1
    if chart.has_legend:
        chart.legend.position, chart.legend.include_in_layout = XL_LEGEND_POSITION.BOTTOM, False
    values, names = chart.value_axis, chart.category_axis
    values.tick_labels.number_format, values.tick_labels.number_format_is_linked = form, False
    values.major_gridlines.format.line.color.rgb = _colour(_LINES)
    values.format.line.fill.background()
    names.tick_label_position = XL_TICK_LABEL_POSITION.LOW  # beside the chart, not over bars below zero
    names.major_tick_mark = values.major_tick_mark = XL_TICK_MARK.NONE
    if drawn["unit"] == "points":
        values.has_title = True
        values.axis_title.text_frame.text = "Difference in percentage points"
        values.axis_title.text_frame.paragraphs[0].runs[0].font.size = Pt(12)
    if drawn["is_time"]:
        _draw_lines(chart)
    else:
        _draw_bars(chart, [any(item is not None for item in each["high"]) for each in drawn["series"]])


def _name(chart: Any, title: str) -> None:
    """The name of one chart among several, over it; its labels are fewer, as it is narrow."""
    from pptx.oxml import parse_xml
    from pptx.util import Pt

    chart.has_title = True
    chart.chart_title.include_in_layout = False
    chart.chart_title.text_frame.text = title
    said = chart.chart_title.text_frame.paragraphs[0].runs[0].font
    said.size, said.bold = Pt(12), True
    chart.font.size = Pt(10)
    chart.category_axis.tick_labels.font.size = Pt(8)
    chart.category_axis._element.find("{*}txPr/{*}bodyPr").set("rot", "0")  # level, though they be fewer
    skip = max(math.ceil(len(list(chart.plots[0].categories)) / 4), 1)
    axis = chart.category_axis._element
    every = 'xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart"'
    axis.insert(list(axis).index(axis.find("{*}noMultiLvlLbl")), parse_xml(f'<c:tickLblSkip {every} val="{skip}"/>'))


def _draw_lines(chart: Any) -> None:
    from pptx.enum.chart import XL_MARKER_STYLE
    from pptx.util import Pt

    for number, series in enumerate(chart.plots[0].series):
        is_limit = series.name.startswith("Limit")  # both of them look alike
        colour = _colour(_COLOURS[2] if is_limit else _COLOURS[number % len(_COLOURS)])
        series.smooth = False
        series.format.line.color.rgb, series.format.line.width = colour, Pt(2.5 if number == 0 else 1.5)
        series.marker.style = XL_MARKER_STYLE.CIRCLE if number == 0 else XL_MARKER_STYLE.NONE
        series.marker.format.fill.solid()
        series.marker.format.fill.fore_color.rgb = colour
        series.marker.format.line.fill.background()


def _draw_bars(chart: Any, has_limits: list[bool]) -> None:
    from pptx.enum.chart import XL_TICK_LABEL_POSITION

    chart.plots[0].gap_width, chart.plots[0].overlap = 60, -10
    chart.category_axis.reverse_order = True  # the first row on top
    chart.value_axis.tick_label_position = XL_TICK_LABEL_POSITION.HIGH  # which is below, the order being reversed
    for number, series in enumerate(chart.plots[0].series):
        series.invert_if_negative = False
        series.format.fill.solid()
        own = _UNDER_LINE if number == 0 and has_limits[number] else _COLOURS[number % len(_COLOURS)]
        series.format.fill.fore_color.rgb = _colour(own)


def _add_limits(series: Any, told: dict[str, Any]) -> None:
    """The interval of each value as a line over it."""
    from pptx.oxml import parse_xml

    above = _distances(told["values"], told["high"], 1)
    below = _distances(told["values"], told["low"], -1)
    line = f'<a:ln w="15875"><a:solidFill><a:srgbClr val="{_INK}"/></a:solidFill></a:ln>'
    found = parse_xml(
        '<c:errBars xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart" '
        'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main">'
        '<c:errBarType val="both"/><c:errValType val="cust"/><c:noEndCap val="0"/>'
        f"<c:plus>{above}</c:plus><c:minus>{below}</c:minus><c:spPr>{line}</c:spPr></c:errBars>"
    )
    element = series._element
    element.insert(list(element).index(element.find("{*}cat")), found)


def _distances(values: list[Any], ends: list[Any], side: int) -> str:
    known = [
        (place, max(side * (end - value), 0))
        for place, (value, end) in enumerate(zip(values, ends, strict=True))
        if value is not None and end is not None
    ]
    points = "".join(f'<c:pt idx="{place}"><c:v>{size!r}</c:v></c:pt>' for place, size in known)
    code = "<c:formatCode>General</c:formatCode>"
    return f'<c:numLit>{code}<c:ptCount val="{len(values)}"/>{points}</c:numLit>'


def _colour(text: str) -> Any:
    from pptx.dml.color import RGBColor

    return RGBColor.from_string(text)
