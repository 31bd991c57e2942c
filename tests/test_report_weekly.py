"""The chart of a quarter week by week: what is drawn, named and said."""

import re

import numpy as np
import pandas as pd
import pytest
import report_toys as toys

from salesops import report
from salesops.report import bridge
from salesops.report.weekly import weekly

COLUMNS = {"value": "weekly_landing_amount", "so_far": "weekly_won_amount", "target": "weekly_target_amount"}


def frame(n=4, *, is_over=False, target=3e6):
    rows = pd.DataFrame({
        "period": "2026Q3", "week": np.arange(n) + 1.0, "weekly_landing_amount": 2e6 + 1e5 * np.arange(n),
        "weekly_won_amount": 4e5 * np.arange(n), "weekly_target_amount": target,
    })  # fmt: skip
    rows = rows.assign(weekly_landing_amount_low=1e6, weekly_landing_amount_high=3.5e6)
    if is_over:
        rows.loc[n - 1, [f"weekly_landing_amount{end}" for end in ("", "_low", "_high")]] = np.nan
    return rows


def drawn(rows, **other):
    return weekly(rows, title="It fell", **(COLUMNS | other))


def said(block):
    return toys.texts(block), toys.alt(block)


def test_a_running_quarter_names_all_three_lines():
    shown, alt = said(drawn(frame()))
    assert {"2.3M expected", "1.2M won", "3.0M target", "Week"} <= set(shown)
    assert "week 4: 2.3M" in alt and "1.2M won by then" in alt and "Target 3.0M." in alt


def test_a_quarter_that_is_over_ends_in_what_was_won():
    shown, alt = said(drawn(frame(is_over=True)))
    assert "1.2M won" in shown and not any("expected" in text for text in shown)
    assert "on 4 evenings" in alt


def test_one_evening_is_a_dot_and_no_target_no_line():
    shown, alt = said(drawn(frame(1, target=np.nan)))
    assert "2.0M expected" in shown and not any("target" in text.lower() for text in shown)
    assert "Target" not in alt


def test_weeks_are_whole_numbers_on_the_axis():
    shown, _ = said(drawn(frame(14)))
    ticks = [text for text in shown if re.fullmatch(r"[\d.]+", text)]
    assert ticks and all("." not in text for text in ticks)


def test_nothing_forecast_is_no_picture():
    empty = frame().assign(weekly_landing_amount=np.nan)
    assert "<svg" not in drawn(empty).html


def test_it_is_among_the_page_s_charts():
    assert "weekly" in report.charts.__all__


def test_a_bridge_may_have_a_level_in_its_middle():
    rows = bridge.steps(pd.DataFrame({"group": ["said", "slipped", "booked", "later", "revenue"],
                                      "value": [10.0, -4.0, 6.0, -1.0, 5.0]}), levels=["booked"])  # fmt: skip
    assert rows["is_level"].tolist() == [True, False, True, False, True]
    assert rows["begin"].tolist() == [0, 10, 0, 6, 0] and rows["end"].tolist() == [10, 6, 6, 5, 5]


@pytest.mark.parametrize("missing", ["week", "weekly_won_amount"])
def test_a_missing_column_is_named(missing):
    with pytest.raises(Exception, match=missing):
        drawn(frame().drop(columns=missing))
