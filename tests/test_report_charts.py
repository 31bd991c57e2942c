"""Charts: what was drawn, in which colours, with which words; never how many pixels differ."""

import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import report_toys as toys
from report_toys import page, rates

from salesops import metrics, report
from salesops.report import drawing, marks

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True, scope="module")
def vocabulary():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "registry", lambda: toys.REGISTRY)
        yield


@pytest.fixture
def canvas():
    with drawing.canvas(200) as axes:
        yield axes


def picture(block) -> ElementTree.Element:
    found = re.search(r"<svg.*?</svg>", block.html, re.DOTALL)[0]
    return ElementTree.fromstring(found.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def texts(block) -> list[str]:
    return ["".join(each.itertext()) for each in picture(block).iter(f"{SVG}text")]


def alt(block) -> str:
    return picture(block).get("aria-label")


def shares() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "reason": ["Price", None],
            "n": [60, 40],
            "share": [0.6, 0.4],
            "share_low": [0.5, 0.3],
            "share_high": [0.7, 0.5],
        }
    )


def quarters(n: int = 6) -> pd.DataFrame:
    size = np.arange(n) / 100
    labels = [f"{2025 + place // 4}Q{place % 4 + 1}" for place in range(n)]
    return pd.DataFrame(
        {"period": labels, "win_rate": 0.2 + size, "win_rate_low": 0.15 + size, "win_rate_high": 0.25 + size}
    )


def history() -> pd.DataFrame:
    gap = np.nan
    return pd.DataFrame({
        "period": ["2026Q1", "2026Q2", "2026Q3", "2026Q4"],
        "actual": [1e6, 2e6, gap, gap],
        "predicted": [gap, gap, 2.5e6, 3e6],
        "predicted_low": [gap, gap, 2e6, 2e6], "predicted_high": [gap, gap, 3e6, 4e6],
        "predicted_low_80": [gap, gap, 2.2e6, 2.4e6], "predicted_high_80": [gap, gap, 2.8e6, 3.6e6],
    })  # fmt: skip


def curves() -> pd.DataFrame:
    days = np.array([0.0, 30, 60])
    parts = [
        pd.DataFrame(
            {
                "segment": name,
                "days": days,
                "p": days * slope,
                "p_low": days * slope * 0.8,
                "p_high": days * slope * 1.2,
            }
        )
        for name, slope in zip(
            ["SMB", "Mid", None, "Public", "Fifth"], [0.006, 0.005, 0.004, 0.003, 0.002], strict=True
        )
    ]
    return pd.concat(parts, ignore_index=True)


def every_chart() -> dict[str, report.charts.Block]:
    chart = page().chart
    return {
        "rate_dots": chart.rate_dots(rates(), rate="win_rate", by="segment", title="SMB wins a quarter", overall=0.26),
        "bars": chart.bars(shares(), value="share", by="reason", title="Price is named most", highlight="Price"),
        "lines": chart.lines(quarters(), value="win_rate", title="It rises"),
        "fan": chart.fan(history(), title="It may rise"),
        "steps": chart.steps(curves(), y="p", by="segment", title="SMB is fastest"),
    }


@pytest.fixture(scope="module")
def drawn():
    return every_chart()


NAMES = list(report.charts.__all__)


def test_every_public_chart_is_tested(drawn):
    assert set(drawn) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_chart_has_finding_measure_picture_words_and_data(drawn, name):
    block = drawn[name]
    title = re.search(r'class="so-chart-title">(.*?)</p>', block.html)[1]
    assert re.search(r'class="so-chart-subtitle">[^<]{10,}</p>', block.html)
    assert picture(block).get("role") == "img" and len(alt(block)) > 40 and title not in alt(block)
    assert "<details><summary>" in block.html and f"Data: {title}" in block.text


@pytest.mark.parametrize("name", NAMES)
def test_colours_are_the_page_s_and_text_is_text(drawn, name):
    source = ElementTree.tostring(picture(drawn[name]), encoding="unicode")
    bare = re.sub(r"var\(--so-[a-z]+,\s*#[0-9a-f]{6}\)", "", source)
    assert "var(--so-series,#12436d)" in source and not re.search(
        r"#[0-9a-f]{6}\b(?!-)", re.sub(r"url\(#[^)]*\)", "", bare)
    )
    assert texts(drawn[name]) and not re.search("DejaVu|metadata|<style|ns0:style", source)


def test_every_chart_is_the_same_twice_and_shares_no_id_with_another(drawn):
    again = every_chart()
    assert {name: block.html for name, block in again.items()} == {name: block.html for name, block in drawn.items()}
    ids = [each.get("id") for block in drawn.values() for each in picture(block).iter() if each.get("id")]
    assert len(ids) == len(set(ids)) and all(name.startswith("so-") for name in ids)


@pytest.mark.parametrize("name", NAMES)
def test_every_identifier_that_is_used_is_there(drawn, name):
    source = ElementTree.tostring(picture(drawn[name]), encoding="unicode")
    used = set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', source))
    ids = set(re.findall(r' id="([^"]+)"', source))
    assert {first or second for first, second in used} == ids


def test_rate_dots_name_groups_values_and_n(drawn):
    said = texts(drawn["rate_dots"])
    assert {"SMB", "(none)", "Public", "25 %", "40 %", "—", "n 400", "n 10", "n 0", "all 26 %"} <= set(said)
    assert "Win rate by segment; deals closed in 2026Q3, where amount > 10; n 410" in drawn["rate_dots"].text
    assert "highest first: (none) 40 % (likely between 17 % and 69 %), SMB 25 %" in alt(drawn["rate_dots"])


def test_dots_are_drawn_at_their_values_hollow_where_few(canvas):
    rows = marks.numbers(rates(), "segment", "win_rate")
    marks.whiskers(canvas, rows)
    marks.dots(canvas, rows, hollow=rows["n"] < 20)
    lines, full, hollow = canvas.collections
    assert [segment[:, 0].tolist() for segment in lines.get_segments()] == [[0.21, 0.29], [0.17, 0.69]]
    assert full.get_offsets().tolist() == [[0.25, 0.0]]
    assert [offset for offset in hollow.get_offsets().tolist() if offset[0] == offset[0]] == [[0.4, 1.0]]
    assert hollow.get_facecolor()[0][:3].tolist() == [1, 1, 1] != full.get_facecolor()[0][:3].tolist()


def test_bars_begin_at_zero_and_end_at_their_values(canvas):
    rows = marks.numbers(shares(), "reason", "share")
    marks.bars(canvas, rows, quiet=rows["group"] != "Price")
    assert sorted((bar.get_x(), round(bar.get_width(), 6)) for bar in canvas.patches) == [(0, 0.4), (0, 0.6)]
    whiskers = canvas.collections[-1].get_segments()
    assert [segment[:, 0].tolist() for segment in whiskers] == [[0.5, 0.7], [0.3, 0.5]]
    assert len({bar.get_facecolor() for bar in canvas.patches}) == 2


def test_the_axis_of_bars_holds_zero(drawn):
    assert "0 %" in texts(drawn["bars"]) and {"Price", "(none)", "60 %", "n 40"} <= set(texts(drawn["bars"]))


def test_shares_of_one_whole_say_its_n_once():
    whole = pd.DataFrame({"reason": list("abc"), "n": 264, "share": [0.5, 0.3, 0.2]})
    block = page().chart.bars(whole, value="share", by="reason", title="t")
    assert "n 264" not in texts(block) and "n 264" in block.text.splitlines()[1]


def test_a_line_goes_through_its_values_and_breaks_to_dashes(canvas):
    series = marks.numbers(quarters(), "period", "win_rate").assign(is_forecast=[False] * 4 + [True] * 2)
    marks.band(canvas, series, "low", "high", 0.2)
    marks.actual_and_expected(canvas, series)
    recorded, expected, end = canvas.lines
    assert recorded.get_ydata().tolist() == pytest.approx([0.2, 0.21, 0.22, 0.23]) and recorded.get_linestyle() == "-"
    assert expected.get_ydata().tolist() == pytest.approx([0.23, 0.24, 0.25]) and expected.get_linestyle() == "--"
    assert end.get_ydata().tolist() == [0.25] and len(canvas.collections) == 1


def test_lines_label_their_end_and_the_year_before():
    block = page().chart.lines(quarters().assign(was=0.1), value="win_rate", prior="was", title="t")
    assert {"25 %", "year before", "2026Q2"} <= set(texts(block)) and "; n" not in block.text
    assert "over 6 periods, from 20 % in 2025Q1 to 25 % in 2026Q2" in alt(block)


def test_a_fan_opens_at_the_last_record(drawn):
    assert "$3.0M" in texts(drawn["fan"])
    assert "last record $2.0M in 2026Q2; 2026Q3 $2.5M (likely between $2.0M and $3.0M)" in alt(drawn["fan"])
    assert "Expected [95 % interval]" in drawn["fan"].text and "$2,500,000 [2,000,000–3,000,000]" in drawn["fan"].text


def test_steps_draw_four_curves_at_most_and_name_them_at_their_ends(drawn, canvas):
    assert {"36 % SMB", "30 % Mid", "24 % (none)", "18 % Public"} <= set(texts(drawn["steps"]))
    assert not any("Fifth" in text for text in texts(drawn["steps"]))
    one = marks.numbers(curves().head(3), "days", "p").assign(place=[0.0, 30.0, 60.0])
    marks.curves(canvas, {"SMB": one, "Mid": one}, "SMB")
    first, second = canvas.lines
    assert first.get_drawstyle() == "steps-post" and (first.get_linestyle(), second.get_linestyle()) == ("-", "--")
    assert len(canvas.collections) == 2


@pytest.mark.parametrize(
    "name",
    ["<script>alert(1)</script>", "a & b", "$x_1$ 50 %", "_hidden", "", "漢字", "x" * 80, '#12436d id="g"', "a\x00b"],
)
def test_any_name_is_drawn_as_text(name):
    frame = pd.DataFrame(
        {"segment": [name], "n": [30], "win_rate": [0.5], "win_rate_low": [0.3], "win_rate_high": [0.7]}
    )
    block = page().chart.rate_dots(frame, rate="win_rate", by="segment", title=name or "t")
    assert "<script" not in block.html
    drawn = "".join(texts(block))
    assert "var(" not in drawn
    assert drawing.wrapped(name).replace("\n", "").replace(" ", "") in drawn.replace(" ", "")


def test_nothing_to_draw_is_said_and_no_rows_show_nothing():
    chart = page().chart
    unknown = rates().assign(win_rate=np.nan, win_rate_low=np.nan, win_rate_high=np.nan)
    block = chart.rate_dots(unknown, rate="win_rate", by="segment", title="t")
    assert "Win rate: no value is known." in block.text and "<svg" not in block.html
    assert chart.bars(shares().head(0), value="share", by="reason", title="t").html == ""


def test_a_chart_carries_the_figures_of_its_data(drawn):
    assert [each["value"] for each in drawn["rate_dots"].facts["figures"]] == [0.25, 0.4, None]
    assert drawn["bars"].facts["figures"] == []


def test_drawing_leaves_matplotlib_as_it_was():
    import matplotlib

    before = dict(matplotlib.rcParams)
    page().chart.lines(quarters(), value="win_rate", title="t")
    assert dict(matplotlib.rcParams) == before


def test_labels_at_the_ends_never_touch():
    moved = drawing.spread([0.1, 0.1, 0.12, 0.9], 0.1)
    assert np.diff(sorted(moved)).min() >= 0.1 - 1e-6
