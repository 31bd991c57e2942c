"""Charts that name only who is beyond chance: order, marks, names, n, limits and words; nobody else's name in them."""

import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from report_toys import SVG, alt, page, picture, texts

from salesops import checks
from salesops.report import caterpillar, drawing, marks

pytestmark = pytest.mark.usefixtures("vocabulary")


def subtitle(block) -> str:
    return re.search('so-chart-subtitle">(.*?)</p>', block.html)[1].replace("&nbsp;", " ")


def reps(n: int = 5) -> pd.DataFrame:
    """In the order of names; the second is called. One whose rate is unknown is the last."""
    rate = 0.2 + 0.02 * (np.arange(n) * 7 % n)
    rate[1] = 0.6
    frame = pd.DataFrame({
        "name": [f"Rep {chr(65 + number)}" if number < 26 else f"Rep {number}" for number in range(n)],
        "n": 30 + np.arange(n), "win_rate": rate, "win_rate_low": rate - 0.1, "win_rate_high": rate + 0.1,
        "call": [None, "top quarter"] + [None] * (n - 2), "is_outside": np.arange(n) < 2,
    })  # fmt: skip
    unknown = pd.DataFrame({"name": [None], "n": [9], "win_rate": [np.nan], "is_outside": [False]})
    return pd.concat([frame, unknown], ignore_index=True)


def limits(widened: bool = True) -> pd.DataFrame:
    n = np.arange(1.0, 41)
    lines = {"n": n}
    for kind, wide in (("chance_{}_95", 2.0), ("chance_{}", 3.0), ("widened_{}", 3.5 if widened else 3.0)):
        lines |= {kind.format("low"): 0.3 - wide * 0.4 / np.sqrt(n), kind.format("high"): 0.3 + wide * 0.4 / np.sqrt(n)}
    return pd.DataFrame(lines)


def crawled(frame: pd.DataFrame, **options):
    return page().chart.caterpillar(frame, value="win_rate", by="name", title="One differs.", **options)


def funnelled(frame: pd.DataFrame, lines: pd.DataFrame, **options):
    asked = {"value": "win_rate", "by": "name", "centre": 0.3, "title": "One is outside"} | options
    return page().chart.funnel_plot(frame, lines=lines, **asked)


def test_all_are_in_order_and_only_the_called_one_is_named():
    block = crawled(reps(), reference=0.3)
    drawn = texts(block)
    assert [each for each in drawn if each.startswith("Rep")] == ["Rep B"] and "60 %" in drawn and "all 30 %" in drawn
    # Highest first: B 60, then D, A, C, E by 0.2 + 0.02 (7 i mod 5).
    assert [each for each in drawn if each.startswith("n ")] == ["n 31", "n 32", "n 34", "n 33", "n 30"]
    assert subtitle(block) == (
        "Win rate; deals closed in 2026Q3, where amount &gt; 10; n 160; named and full: beyond chance"
    )
    assert alt(block) == (
        "Win rate of 5 reps in order, from 60 % to 20 %; the likely range of 1 leaves out that of all together, 30 %; "
        "named: Rep B 60 % (likely between 50 % and 70 %)."
    )
    assert "Rep A" not in picture(block).get("aria-label")


def test_the_rows_drawn_are_those_with_a_value_and_called_ones_are_full(canvas):
    rows = caterpillar._ordered(reps(), "win_rate", "name", "call")
    assert rows["value"].is_monotonic_decreasing and rows["place"].tolist() == [0, 1, 2, 3, 4]
    assert rows["is_named"].tolist() == [True] + [False] * 4
    caterpillar._intervals(canvas, rows, 1.0)
    hollow, full = (each for each in canvas.collections if isinstance(each, PathCollection))
    assert len(hollow.get_offsets()) == 4 and len(full.get_offsets()) == 1
    assert hollow.get_facecolor()[0][:3].tolist() == [1, 1, 1] and full.get_facecolor()[0][:3].tolist() != [1, 1, 1]


def test_nobody_called_nobody_named_and_teams_by_their_word():
    block = crawled(reps().assign(call=None), who="teams")
    assert not [each for each in texts(block) if "Rep" in each]
    assert alt(block).startswith("Win rate of 5 teams in order") and alt(block).endswith("; nobody is named.")
    named = crawled(reps().assign(call=[True, False, None, False, True, False]))
    assert {each for each in texts(named) if "Rep" in each} == {"Rep A", "Rep E"}


def test_many_rows_stay_one_picture_and_names_apart():
    frame = reps(200)
    frame["call"] = frame["call"].where(frame.index != 2, "top quarter").where(frame.index != 3, "bottom quarter")
    frame.loc[[2, 3], "win_rate"] = [0.59, 0.58]
    block = crawled(frame, reference=0.3)
    assert not [each for each in texts(block) if each.startswith("n ")]
    assert float(picture(block).get("viewBox").split()[3]) <= 710
    heights = [
        float(re.search(r'y="([-\d.]+)"', ElementTree.tostring(each, encoding="unicode"))[1])
        for each in picture(block).iter(f"{SVG}text")
        if "".join(each.itertext()) in ("Rep B", "Rep C", "Rep D")
    ]
    assert len(heights) == 3 and min(np.diff(sorted(heights))) >= 14
    small = crawled(reps(3))
    assert float(picture(small).get("viewBox").split()[3]) < 120


def test_the_funnel_names_who_is_outside_and_called():
    block = funnelled(reps(), limits())
    assert [each for each in texts(block) if each.startswith("Rep")] == ["Rep B", "Rep A"]
    assert {"95 %", "99.8 %", "widened", "expected", "Deals"} <= set(texts(block))
    assert alt(block) == (
        "Win rate of 5 reps with 30 to 34 deals each, between the limits of chance; 2 outside; "
        "named: Rep B 60 % (likely between 50 % and 70 %), Rep A 20 % (likely between 10 % and 30 %)."
    )
    called = funnelled(reps(), limits(), called="call")
    assert [each for each in texts(called) if each.startswith("Rep")] == ["Rep B"] and "2 outside; named" in alt(called)
    none = funnelled(reps().assign(is_outside=False), limits(), called="call")
    assert "none outside; nobody is named." in alt(none) and not [each for each in texts(none) if "Rep" in each]
    assert subtitle(none).endswith("n 160; lines: 95 and 99.8 % of chance; diamonds lie outside")


def test_limits_that_add_nothing_are_not_drawn(canvas):
    kinds = ("chance", "widened")
    assert list(caterpillar._limit_lines(limits(), kinds)) == ["95 %", "99.8 %", "widened"]
    assert list(caterpillar._limit_lines(limits(widened=False), kinds)) == ["95 %", "99.8 %"]
    assert list(caterpillar._limit_lines(limits()[["n", "chance_low", "chance_high"]], kinds)) == ["99.8 %"]
    drawn = caterpillar._limit_lines(limits(), kinds)
    caterpillar._limits(canvas, drawn, 0.3)
    dashed, *pairs = canvas.lines
    assert dashed.get_ydata()[0] == 0.3 and len(pairs) == 6
    assert pairs[3].get_ydata().tolist() == pytest.approx(limits()["chance_high"].tolist())
    assert "widened" not in texts(funnelled(reps(), limits(widened=False)))


def test_outside_is_a_diamond_and_the_names_stand_away_from_the_centre(canvas):
    rows = caterpillar._ordered(reps(), "win_rate", "name", "is_outside", "is_outside")
    caterpillar._scattered(canvas, rows)
    inside, unnamed, outside = canvas.collections
    assert sorted(outside.get_offsets()[:, 1]) == [0.2, 0.6] and len(inside.get_offsets()) == 3
    assert len(unnamed.get_offsets()) == 0
    assert len(outside.get_paths()[0].vertices) < len(inside.get_paths()[0].vertices)
    canvas.set(xlim=(0, 40), ylim=(0, 1))
    caterpillar._beside(canvas, rows, 0.3)
    heights = {each.get_text(): each.xy[1] for each in canvas.texts}
    assert heights["Rep B"] > 0.62 and heights["Rep A"] < 0.18


def test_who_is_outside_and_not_named_is_a_hollow_diamond_and_the_words_say_so(canvas):
    some = reps().assign(call=lambda rows: rows["name"].where(rows["name"] == "Rep B"))
    rows = caterpillar._ordered(some, "win_rate", "name", "call", "is_outside")
    caterpillar._scattered(canvas, rows)
    _, unnamed, named = canvas.collections
    assert named.get_offsets()[:, 1].tolist() == [0.6] and unnamed.get_offsets()[:, 1].tolist() == [0.2]
    assert to_hex(unnamed.get_facecolor()[0]) == drawing.PAPER and to_hex(named.get_facecolor()[0]) == drawing.SERIES
    assert "outside, full where named" in funnelled(some, limits(), called="call").text
    assert "full where named" not in funnelled(reps(), limits()).text


def test_nothing_to_draw_is_said_and_missing_columns_are_named():
    unknown = reps().assign(win_rate=np.nan, win_rate_low=np.nan, win_rate_high=np.nan)
    for block in (crawled(unknown), funnelled(unknown, limits())):
        assert "Win rate: no value is known." in block.text and "<svg" not in block.html
    assert crawled(reps().head(0)).html == "" and funnelled(reps().head(0), limits()).html == ""
    with pytest.raises(checks.DataError, match=r"missing column \['call'\]"):
        crawled(reps().drop(columns="call"))
    with pytest.raises(checks.DataError, match=r"missing column \['is_outside'\]"):
        funnelled(reps().drop(columns="is_outside"), limits())
    with pytest.raises(checks.DataError, match=r"missing column \['n'\]"):
        funnelled(reps(), limits().drop(columns="n"))


def test_one_row_and_no_limits_are_drawn():
    one = reps().iloc[[1]]
    assert alt(crawled(one)).startswith("Win rate of 1 rep in order, from 60 % to 60 %")
    block = funnelled(one, limits().head(0))
    assert "Rep B" in texts(block) and "95 %" not in texts(block)


def test_the_data_are_as_given_and_stay_so():
    frame, lines = reps(), limits()
    before = frame.copy(), lines.copy()
    values = [each["value"] for each in crawled(frame).facts["figures"]]
    assert values[:5] == frame["win_rate"].tolist()[:5] and values[5] is None
    funnelled(frame, lines)
    pd.testing.assert_frame_equal(frame, before[0])
    pd.testing.assert_frame_equal(lines, before[1])


@pytest.mark.parametrize("name", ["<script>x</script>", "A & B", "", "#12436d"])
def test_any_name_is_drawn_as_text(name):
    frame = reps().assign(name=[name] * 6, call="top quarter")
    for block in (crawled(frame), funnelled(frame, limits())):
        assert "<script" not in block.html and "var(" not in "".join(texts(block))


def test_marks_share_the_palette():
    html = crawled(reps(), reference=0.3).html + funnelled(reps(), limits()).html
    colours = set(re.findall(r"#[0-9a-fA-F]{6}\b", re.sub(r"var\([^)]*\)", "", html)))
    assert not colours - {"#ffffff"}, colours
    assert marks.ROW > caterpillar._ROW
