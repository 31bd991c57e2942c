"""How what is made beside a page looks where one chart or one sheet of paper is too small."""

import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pptx
import pytest
from test_exports import CHROMIUM, DAY

from salesops.engine import native_chart, pdf, printed
from salesops.report import chart_data


def test_many_series_stand_in_charts_of_one_scale_and_many_bars_in_two():
    deck = pptx.Presentation()
    stages = pd.DataFrame([(f"2026Q{at % 4 + 1}", f"Stage {at // 4}", at / 40, 20) for at in range(20)])
    frame = stages.set_axis(["period", "stage", "rate", "n"], axis=1)
    bars = pd.DataFrame({"owner": [f"R{number}" for number in range(31)], "rate": 0.5, "n": 9})
    shown = []
    for drawn in (chart_data.of(frame, {"rate": "rate"}), chart_data.of(bars, {"rate": "rate"})):
        slide = deck.slides.add_slide(deck.slide_layouts[6])
        native_chart.add(slide, drawn, (1, 1, 10, 5), alt="One", currency="USD")
        shown.append([shape.chart for shape in slide.shapes])
    many, halves = shown
    assert [chart.chart_title.text_frame.text for chart in many] == [f"Stage {number}" for number in range(5)]
    assert [list(chart.plots[0].series[0].values) for chart in many] == frame["rate"].to_numpy().reshape(5, 4).tolist()
    assert {chart.value_axis.maximum_scale for chart in many} == {0.5}
    assert [len(list(chart.plots[0].categories)) for chart in halves] == [16, 15]
    assert next(iter(halves[1].plots[0].categories)) == "R16: 50 %"


@pytest.mark.skipif(
    CHROMIUM is None or shutil.which("pdftotext") is None,
    reason="Chromium or pdftotext is not installed: no page was printed. Debian: chromium, poppler-utils",
)
def test_what_announces_a_list_is_printed_on_its_page(tmp_path):
    """A list of one long line that the first page has no room for."""
    style = (Path(printed.__file__).parents[1] / "report" / "page.css").read_text(encoding="utf-8")
    told = '<div style="height:243mm"></div><p>Announced:</p><ul><li>Listed. ' + "And more. " * 60 + "</li></ul>"
    page = f'<html><head><style>{style}</style></head><body class="so so-body"><main>{told}</main></body></html>'
    pdf.write(page, tmp_path / "x.pdf", day=DAY)
    said = subprocess.run(["pdftotext", tmp_path / "x.pdf", "-"], capture_output=True, text=True, check=True).stdout
    assert ["Announced" in each for each in said.split("\f") if "Listed" in each] == [True]
