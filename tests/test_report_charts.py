"""Charts: what was drawn, in which colours, with which words; never how many pixels differ."""

import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PolyCollection
from report_toys import SVG, alt, page, picture, rates, texts

from salesops import report, words
from salesops.report import bridge, charts, drawing, marks, panels

pytestmark = pytest.mark.usefixtures("vocabulary")


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


def compared() -> pd.DataFrame:
    """Effects of three levels of two factors, one of them named."""
    return pd.DataFrame({
        "factor": ["x_sponsor", "segment", "segment"], "level": ["Yes", "Mid", None], "reference": ["No", "SMB", "SMB"],
        "n_level": [120, 80, 9], "gap": [0.08, -0.02, 0.01], "gap_low": [0.03, -0.07, -0.2],
        "gap_high": [0.13, 0.03, 0.22], "is_named": [True, False, False],
    })  # fmt: skip


def months() -> pd.DataFrame:
    share = np.array([0.2, 0.25, 0.22, 0.6, 0.24])
    return pd.DataFrame({
        "period": [f"2026-0{month}" for month in range(1, 6)], "win_rate": share, "centre": 0.23,
        "limit_low": [0.1, 0.1, 0.12, 0.12, 0.12], "limit_high": [0.4, 0.4, 0.36, 0.36, 0.36], "is_signal": share > 0.5,
    })  # fmt: skip


def predictions() -> pd.DataFrame:
    return pd.DataFrame({
        "predicted": [0.1, 0.3, 0.5], "observed": [0.12, 0.28, 0.61], "observed_low": [0.08, 0.22, 0.33],
        "observed_high": [0.17, 0.35, 0.83], "n": [200, 200, 12],
    })  # fmt: skip


def ends() -> pd.DataFrame:
    return pd.DataFrame({
        "cohort": ["2025Q4", "2026Q1", "2026Q2"], "n": [300, 310, 320], "so_far": [0.24, 0.15, 0.05],
        "win_rate": [0.24, 0.22, np.nan], "win_rate_low": [0.2, 0.17, np.nan], "win_rate_high": [0.29, 0.28, np.nan],
    })  # fmt: skip


def flows() -> pd.DataFrame:
    cells = ["start", "created", "lost", "end"]
    return pd.DataFrame({"cell": cells, "n": [9, 4, 6, 7], "moved": [10e6, 5e6, -7e6, 8e6]})


def pairs() -> pd.DataFrame:
    rows = [("Cobalt", "SMB", 90, 0.1, True), ("Cobalt", None, 80, 0.3, False), ("Acuity", "SMB", 9, 0.5, False)]
    frame = pd.DataFrame(rows, columns=["competitor", "segment", "n", "win_rate", "is_named"])
    return frame.assign(win_rate_low=frame["win_rate"] - 0.05, win_rate_high=frame["win_rate"] + 0.05)


def sellers() -> pd.DataFrame:
    """Three in the order of names, one of whom is called and outside."""
    return pd.DataFrame({
        "name": ["Ann", "Bo", "Cy"], "n": [40, 60, 50], "win_rate": [0.2, 0.6, 0.25], "win_rate_low": [0.1, 0.5, 0.15],
        "win_rate_high": [0.3, 0.7, 0.35], "call": [None, "top quarter", None], "is_outside": [False, True, False],
    })  # fmt: skip


def chances() -> pd.DataFrame:
    n = np.arange(1.0, 61)
    return pd.DataFrame({"n": n, "chance_low": 0.3 - 1.4 / np.sqrt(n), "chance_high": 0.3 + 1.4 / np.sqrt(n)})


def evenings() -> pd.DataFrame:
    """Three weeks of a quarter and its end, where nothing is expected any more."""
    return pd.DataFrame({
        "week": [1, 2, 3, 4], "predicted": [2e6, 2.2e6, 2.1e6, np.nan], "predicted_low": [1e6, 1.5e6, 1.8e6, np.nan],
        "predicted_high": [3e6, 2.9e6, 2.5e6, np.nan], "won_amount": [0.1e6, 0.6e6, 1.2e6, 2.0e6], "goal": 2.4e6,
    })  # fmt: skip


def stages() -> pd.DataFrame:
    """Two pipelines; nobody has left the last stage yet."""
    return pd.DataFrame({
        "pipeline": ["New", "New", "Renewal"], "stage": ["Discovery", "Proposal", "Quote"], "n": [200, 80, 5],
        "win_rate": [0.6, 0.25, np.nan], "win_rate_low": [0.5, 0.2, np.nan], "win_rate_high": [0.7, 0.3, np.nan],
    })  # fmt: skip


def by_segment(n: int = 5) -> pd.DataFrame:
    """Groups over four quarters, the last of them without a name and known in one quarter only."""
    rows = [quarters(4).assign(segment=f"S{group}" if group < n - 1 else None) for group in range(n)]
    for group, each in enumerate(rows):
        each[["win_rate", "win_rate_low", "win_rate_high"]] += group / 10
    return pd.concat([*rows[:-1], rows[-1].tail(1)], ignore_index=True)


def reasons() -> pd.DataFrame:
    return pd.DataFrame({"reason": [None, "Price", "Timing"], "share": [0.1, 0.6, 0.3], "sum": [None, 0.6, 0.9]})


def every_chart() -> dict[str, report.charts.Block]:
    chart = page().chart
    return {
        "rate_dots": chart.rate_dots(rates(), rate="win_rate", by="segment", title="SMB wins a quarter", overall=0.26),
        "bars": chart.bars(shares(), value="share", by="reason", title="Price is named most", highlight="Price"),
        "lines": chart.lines(quarters(), value="win_rate", title="It rises"),
        "fan": chart.fan(history(), title="It may rise"),
        "caterpillar": chart.caterpillar(sellers(), value="win_rate", by="name", title="One differs", reference=0.3),
        "funnel_plot": chart.funnel_plot(
            sellers(), value="win_rate", by="name", lines=chances(), centre=0.3, title="One is outside"
        ),
        "forest": chart.forest(
            compared(),
            value="gap",
            by="factor",
            level="level",
            reference="reference",
            n="n_level",
            title="Sponsors help",
        ),
        "weekly": chart.weekly(
            evenings(), value="predicted", so_far="won_amount", target="goal", title="The target is near"
        ),
        "control": chart.control(months(), value="win_rate", title="April stands out"),
        "calibration": chart.calibration(predictions(), title="They hold"),
        "bridge": chart.bridge(flows(), value="moved", by="cell", unit="amount", title="More went than came"),
        "cohorts": chart.cohorts(ends(), so_far="so_far", expected="win_rate", title="They end alike"),
        "funnel": chart.funnel(stages(), rate="win_rate", by="stage", part="pipeline", title="Most stall at proposal"),
        "multiples": chart.multiples(by_segment(), value="win_rate", by="segment", title="All rise"),
        "pareto": chart.pareto(reasons(), value="share", by="reason", running="sum", title="Two make nine tenths"),
        "grid": chart.grid(pairs(), value="win_rate", by="competitor", across="segment", title="Cobalt hurts in SMB"),
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


def test_a_bridge_leads_from_level_to_level_what_went_hollow(drawn, canvas):
    rows = bridge.steps(marks.numbers(flows(), "cell", "moved"))
    marks.floating(canvas, rows)
    spans = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in canvas.patches]
    assert spans == [(0, 10e6), (10e6, 15e6), (15e6, 8e6), (0, 8e6)]
    start, came, went, end = (bar.get_facecolor()[:3] for bar in canvas.patches)
    assert start == end != came and went == (1, 1, 1)
    joins = [segment[:, 0].tolist() for segment in canvas.collections[0].get_segments()]
    assert joins == [[10e6] * 2, [15e6] * 2, [8e6] * 2]
    assert "start $10M to end $8.0M" in alt(drawn["bridge"]) and "lost" in alt(drawn["bridge"])


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


def test_a_forest_groups_levels_and_names_what_they_are_compared_with(drawn):
    said = texts(drawn["forest"])
    assert said.count("Segment") == 1 and {"Sponsor", "Yes", "against No", "Mid", "(none)", "against SMB"} <= set(said)
    assert {"+8", "−2", "+1", "n 120", "n 9"} <= set(said)
    words = alt(drawn["forest"])
    assert (
        "1 of them beyond chance: Sponsor Yes against No +8 points (likely between +3 points and +13 points)" in words
    )
    assert "full dots: beyond chance (1 of 3)" in drawn["forest"].text


def test_effects_lie_at_their_values_named_ones_full(canvas):
    rows = marks.numbers(compared(), "level", "gap").assign(is_named=compared()["is_named"])
    marks.effects(canvas, rows)
    other_lines, hollow, lines, full = canvas.collections
    assert full.get_offsets().tolist() == [[0.08, 0.0]] and hollow.get_offsets()[:, 0].tolist() == [-0.02, 0.01]
    assert [segment[:, 0].tolist() for segment in lines.get_segments()] == [[0.03, 0.13]]
    assert [segment[:, 0].tolist() for segment in other_lines.get_segments()] == [[-0.07, 0.03], [-0.2, 0.22]]
    assert hollow.get_facecolor()[0][:3].tolist() == [1, 1, 1] != full.get_facecolor()[0][:3].tolist()


def test_a_forest_without_levels_holds_zero_and_takes_all_as_named():
    frame = pd.DataFrame({"competitor": ["A", None], "gap": [0.2, 0.3], "gap_low": [0.1, 0.2], "gap_high": [0.3, 0.4]})
    block = page().chart.forest(frame, value="gap", by="competitor", unit="points", title="t")
    assert {"A", "(none)", "0", "+20", "+30"} <= set(texts(block)) and "2 of them beyond chance: A +20 points" in alt(
        block
    )


def test_a_level_of_a_factor_is_a_column_and_not_the_level_of_the_intervals(drawn):
    assert "Factor | Level | Reference" in drawn["forest"].text and "[95 % interval]" in drawn["forest"].text


def test_a_watched_series_marks_what_lies_beyond_by_shape(canvas):
    series = marks.numbers(months(), "period", "win_rate").assign(
        centre=0.23, low=months()["limit_low"], high=months()["limit_high"], is_signal=months()["is_signal"]
    )
    marks.limits(canvas, series)
    marks.watched(canvas, series)
    usual, beyond = canvas.collections[-2:]
    assert beyond.get_offsets().tolist() == [[3.0, 0.6]] and len(usual.get_offsets()) == 4
    assert beyond.get_sizes()[0] > 3 * usual.get_sizes()[0]
    assert not np.array_equal(beyond.get_paths()[0].vertices, usual.get_paths()[0].vertices)
    low, high, centre, line = canvas.lines
    assert low.get_ydata().tolist() == months()["limit_low"].tolist() and low.get_drawstyle() == "steps-mid"
    assert high.get_ydata().tolist() == months()["limit_high"].tolist() and set(centre.get_ydata()) == {0.23}
    assert line.get_ydata().tolist() == months()["win_rate"].tolist()


def test_the_words_of_a_watched_series_name_the_period_beyond_chance(drawn):
    assert "around 23 %, last 24 % in 2026-05; beyond chance: 2026-04 60 %" in alt(drawn["control"])
    assert {"24 %", "usual 23 %"} <= set(texts(drawn["control"]))
    calm = page().chart.control(months().assign(is_signal=False), value="win_rate", title="t")
    assert "none beyond chance" in alt(calm)


def test_predictions_lie_on_the_diagonal_where_they_came_true(canvas):
    rows = marks.numbers(predictions(), "predicted", "observed").assign(place=predictions()["predicted"])
    marks.agreement(canvas, rows, rows["n"] < 20)
    whiskers, full, hollow = canvas.collections
    assert full.get_offsets().tolist() == [[0.1, 0.12], [0.3, 0.28]] and hollow.get_offsets().tolist() == [[0.5, 0.61]]
    assert [segment[:, 1].tolist() for segment in whiskers.get_segments()] == [[0.08, 0.17], [0.22, 0.35], [0.33, 0.83]]
    [diagonal] = canvas.lines
    assert diagonal.get_xdata().tolist() == diagonal.get_ydata().tolist() == [0, 1]


def test_the_words_of_a_calibration_tell_each_group_and_its_n(drawn):
    assert "predicted 50 %, came true 61 % (likely between 33 % and 83 %)" in alt(drawn["calibration"])
    assert "n 12 to 200 each" in drawn["calibration"].text


def test_cohorts_show_so_far_hollow_and_the_expected_end_full(drawn, canvas):
    rows = marks.numbers(ends(), "cohort", "win_rate").assign(so_far=ends()["so_far"])
    marks.two_dots(canvas, rows)
    full, hollow = canvas.collections
    assert full.get_offsets()[:2].tolist() == [[0.24, 0.0], [0.22, 1.0]] and hollow.get_offsets()[:, 0].tolist() == [
        0.24,
        0.15,
        0.05,
    ]
    assert hollow.get_facecolor()[0][:3].tolist() == [1, 1, 1] != full.get_facecolor()[0][:3].tolist()
    assert {"so far", "expected in the end", "22 %", "—", "n 320"} <= set(texts(drawn["cohorts"]))
    assert "2026Q1 15 % so far, 22 % expected (likely between 17 % and 28 %); 2026Q2 5 % so far, — expected" in alt(
        drawn["cohorts"]
    )


def test_a_grid_shades_by_value_leaves_few_white_and_frames_what_is_named(drawn, canvas):
    said = texts(drawn["grid"])
    assert {"Cobalt", "Acuity", "SMB", "(none)", "10 %", "[5–15]", "n 90"} <= set(said)
    cells = marks.numbers(pairs(), "competitor", "win_rate").assign(across=["SMB", "(none)", "SMB"])
    cells["is_named"] = pairs()["is_named"]
    marks.cells(canvas, cells, ["Cobalt", "Acuity"], ["SMB", "(none)"], "rate", "", 20)
    fills, frames = canvas.patches[::2], canvas.patches[1::2]
    assert fills[2].get_alpha() == 0 < fills[0].get_alpha() < fills[1].get_alpha()
    assert [frame.get_linewidth() for frame in frames] == [2, 1, 1]
    assert [(round(fill.get_x()), round(fill.get_y())) for fill in fills] == [(0, 0), (1, 0), (0, 1)]
    assert "highest first: Acuity, SMB: 50 %; Cobalt, (none): 30 %; Cobalt, SMB: 10 %" in alt(drawn["grid"])


def test_a_pareto_shows_the_running_sum_and_what_it_leaves_out_in_grey():
    block = page().chart.pareto(reasons(), value="share", by="reason", running="sum", title="t")
    assert {"adds to", "90 %"} <= set(texts(block)) and "0 %" in texts(block)
    source = ElementTree.tostring(picture(block), encoding="unicode")
    assert source.count("fill: var(--so-area") == 1 and source.count("fill: var(--so-series") == 2


def test_a_funnel_s_bars_are_those_who_entered_and_those_who_go_on(drawn, canvas):
    assert {"New", "Renewal", "Discovery", "60 %", "25 %", "—", "n 200", "n 5"} <= set(texts(drawn["funnel"]))
    marks.going_further(canvas, marks.numbers(stages(), "stage", "win_rate"))
    assert [bar.get_width() for bar in canvas.patches] == [200, 80, 5, 120, 20, 0]
    spans = canvas.collections[-1].get_segments()
    assert [span[:, 0].round().tolist() for span in spans] == [[100, 140], [16, 24]]
    assert "Discovery 200, 60 % (likely between 50 % and 70 %) further" in alt(drawn["funnel"])
    assert "Quote 5, — further" in alt(drawn["funnel"])


def test_a_funnel_draws_heads_above_their_stages_and_none_without_parts(drawn):
    heights = {"".join(each.itertext()): float(each.get("y")) for each in picture(drawn["funnel"]).iter(f"{SVG}text")}
    order = ["New", "Discovery", "Proposal", "Renewal", "Quote"]
    assert sorted(order, key=heights.get) == order
    assert heights["Proposal"] - heights["Discovery"] == pytest.approx(marks.ROW, abs=0.1)
    plain = page().chart.funnel(stages(), rate="win_rate", by="stage", title="t")
    assert not {"New", "Renewal"} & set(texts(plain))


def test_small_multiples_have_one_picture_a_group_on_one_scale(drawn):
    said = texts(drawn["multiples"])
    assert {"S0", "S1", "S2", "S3", "(none)", "23 %", "63 %"} <= set(said)
    assert said.count("2025Q1") == said.count("2025Q4") == 2  # under the last picture of each column
    assert said.count("0 %") == 3  # at the left edge of each row
    assert "in 5 small pictures on one scale: S0 from 20 % to 23 %; S1 from 30 % to 33 %" in alt(drawn["multiples"])


def test_a_small_multiple_draws_its_own_band_over_the_others(canvas):
    series = panels._series(by_segment(3), "win_rate", "segment", "period", quarters(4)["period"].tolist())
    panels._drawn(canvas, series, "S1", "rate", report.figures.UNSCOPED)
    colours = [line.get_color() for line in canvas.lines]
    assert colours == [drawing.AREA, drawing.AREA, drawing.SERIES]
    assert canvas.lines[-1].get_ydata().tolist() == pytest.approx([0.3, 0.31, 0.32, 0.33])
    band = canvas.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((0.25, 0.38))
    assert series["(none)"]["place"].tolist() == [3.0]  # its quarter is the fourth


def test_a_group_known_once_is_a_dot_with_its_whisker(canvas):
    series = panels._series(by_segment(3), "win_rate", "segment", "period", quarters(4)["period"].tolist())
    panels._drawn(canvas, series, "(none)", "rate", report.figures.UNSCOPED)
    whisker = canvas.collections[1].get_segments()[0]
    assert whisker[:, 1].tolist() == pytest.approx([0.38, 0.48])


def test_what_is_expected_is_not_drawn_where_it_is_withheld():
    one = page(withheld={"is_won": "faulty"}).chart
    block = one.cohorts(ends(), so_far="so_far", expected="win_rate", title="They end alike")
    assert "Win rate is withheld: faulty." in block.text and "<svg" not in block.html


@pytest.mark.parametrize(
    ("chart", "options"),
    [
        ("forest", {"value": "gap", "by": "factor"}),
        ("control", {"value": "win_rate"}),
        ("calibration", {}),
        ("cohorts", {"so_far": "so_far", "expected": "win_rate"}),
        ("grid", {"value": "win_rate", "by": "competitor", "across": "segment"}),
    ],
)
def test_new_charts_say_when_nothing_is_known(chart, options):
    frame = {"forest": compared, "control": months, "calibration": predictions, "cohorts": ends, "grid": pairs}[chart]()
    numbers = frame.select_dtypes("float").columns
    draw = getattr(page().chart, chart)
    block = draw(frame.assign(**dict.fromkeys(numbers, np.nan)), title="t", **options)
    assert "no value is known" in block.text and "<svg" not in block.html
    assert draw(frame.head(0), title="t", **options).html == ""


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
    assert [each["value"] for each in drawn["bars"].facts["figures"]] == [0.6, 0.4]
    assert drawn["bridge"].facts["figures"] == []


def test_drawing_leaves_matplotlib_as_it_was():
    import matplotlib

    before = dict(matplotlib.rcParams)
    page().chart.lines(quarters(), value="win_rate", title="t")
    assert dict(matplotlib.rcParams) == before


def test_labels_at_the_ends_never_touch():
    moved = drawing.spread([0.1, 0.1, 0.12, 0.9], 0.1)
    assert np.diff(sorted(moved)).min() >= 0.1 - 1e-6


def test_names_of_periods_below_a_line_never_touch(canvas):
    for n, shown in ((16, [15, 12, 9, 6, 3, 0]), (4, [3, 2, 1, 0]), (1, [0])):
        marks.time_axis(canvas, marks.numbers(quarters(n), "period", "win_rate"), "rate", "", pd.Series([0.1, 0.3]))
        assert canvas.get_xticks().tolist() == shown  # 344 pixels for names of six letters
    long = marks.numbers(quarters(12).assign(period="a period with a name"), "period", "win_rate")
    marks.time_axis(canvas, long, "rate", "", pd.Series([0.1, 0.3]))
    assert canvas.get_xticks().tolist() == [11, 5]


def test_days_along_an_axis_have_the_marks_of_the_locale():
    long = curves().assign(deals=curves()["days"] * 50)
    with words.written_in("de"):
        assert "2.000" in texts(page().chart.steps(long, y="p", x="deals", by="segment", title="t"))


def test_years_of_days_are_read_in_months():
    long = curves().assign(tenure_days=curves()["days"] * 365.25 / 12)  # 60 months
    block = page().chart.steps(long, y="p", x="tenure_days", by="segment", title="t")
    assert "Tenure (months)" in texts(block) and "60" in texts(block) and "after 60" in block.html
    brief = page().chart.steps(curves().assign(tenure_days=curves()["days"]), y="p", x="tenure_days", title="t")
    assert "Tenure (days)" in texts(brief)


def test_many_curves_have_one_band_and_an_interval_each_at_its_end(canvas):
    drawn = charts._curves(curves(), "days", "p", "segment")
    marks.curves(canvas, drawn, "SMB")
    bands = [each for each in canvas.collections if isinstance(each, PolyCollection)]
    ends = [each.get_segments()[0] for each in canvas.collections if isinstance(each, LineCollection)]
    assert len(bands) == 1 and len(ends) == 3
    assert ends[0][:, 1].tolist() == pytest.approx([0.24, 0.36])  # 60 * 0.005, a fifth less and more
    assert len({end[0, 0] for end in ends}) == 3  # side by side


def test_an_amount_a_day_is_short_in_the_picture():
    course = pd.DataFrame({"period": ["2026Q1", "2026Q2"], "sales_velocity_amount": [18_000.0, 21_000.0]})
    block = page().chart.lines(course, value="sales_velocity_amount", unit="amount_per_day", title="t")
    assert "$21K" in texts(block) and not any("a day" in text for text in texts(block))


def test_a_name_of_three_lines_is_whole():
    rows = pd.DataFrame({"kind": ["no longer in its stage than usual"], "win_rate": [0.3], "n": [30]})
    drawn = " ".join(texts(page().chart.rate_dots(rows, rate="win_rate", by="kind", title="t")))
    assert "its stage than usual" in drawn and "…" not in drawn


@pytest.mark.parametrize(
    ("low", "high", "unit", "said"),
    [(4.5, 11.5, "count", 3), (0.2, 0.45, "rate", 3), (-1.0, 0.3, "points", 3), (0, 3_000_000, "amount", 3)],
)
def test_an_axis_has_as_many_values_as_have_room(low, high, unit, said):
    with drawing.canvas(200, **drawing.NAMED) as axes:
        marks.value_axis(axes, unit, "USD", low, high)
        seen = [place for place in axes.xaxis.get_majorticklocs() if low <= place <= high]
        texts = axes.xaxis.get_major_formatter().format_ticks(seen)
        apart = (seen[1] - seen[0]) / (high - low) * 140
        assert len(seen) >= said and apart >= 8 * max(map(len, texts)) + 8
