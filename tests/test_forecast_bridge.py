"""The bridge from one evening's forecast to a later one's: to the cent, and every deal where its history puts it."""

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from salesops import checks, forecast_backtest, forecast_bridge, forecast_cases, pipeline_forecast
from salesops.crm import sample
from salesops.periods import quarter

WEEK = timedelta(days=7)
SUNDAYS = [date(2026, 7, 26) + week * WEEK for week in range(9)]  # eves of nine Mondays of one quarter


def weeks(tables: dict, evenings: list[date], draws: int) -> list[dict]:
    """What the bridge of each week takes; an evening's plays are the same in both weeks that it bounds."""
    cases = [
        forecast_cases.case_of(
            tables["opportunities"], tables["stage_history"], stages=tables["stages"], period=quarter(SUNDAYS[-1]),
            cutoff=evening,
        )
        for evening in evenings
    ]  # fmt: skip
    plays = [pipeline_forecast.outlook(case, draws=draws, seed=forecast_backtest.case_seed(case)) for case in cases]
    sides = list(zip(cases, plays, strict=True))
    names = ("then", "found_then", "now", "found_now")
    return [dict(zip(names, (*first, *last), strict=True)) for first, last in pairwise(sides)]


@pytest.fixture(scope="module")
def tables():
    return sample.tables(size=2000, years=3, clean=True)


@pytest.fixture(scope="module")
def eight(tables):
    return weeks(tables, SUNDAYS, 1000)


def cents(amounts) -> list[int]:
    found = [round(100 * float(amount)) for amount in amounts]
    assert np.allclose(amounts, np.array(found) / 100, rtol=0, atol=1e-9), "not whole cents"
    return found


def require_whole(each: dict) -> pd.DataFrame:
    """The bridge of a week adds up, in whole cents, from one landing to the other; so do the deals of each step."""
    bridge = forecast_bridge.forecast_bridge(**each)
    amounts = cents(bridge["forecast_bridge_amount"])
    assert sum(amounts[:-1]) == amounts[-1]
    for side, amount in (("then", amounts[0]), ("now", amounts[-1])):
        landing = pipeline_forecast.landing(each[side], each[f"found_{side}"])["landing_amount"].iloc[0]
        assert abs(amount - 100 * landing) <= 0.51
    moves = forecast_bridge.deal_moves(**each)
    by_step = forecast_bridge.cells(moves).groupby("step")["effect"].agg(["size", "sum"])
    for row in bridge.iloc[1:-2].itertuples():
        n, total = by_step.loc[row.step] if row.step in by_step.index else (0, 0.0)
        assert n == row.n and round(100 * total) == round(100 * row.forecast_bridge_amount)
    assert moves["opportunity_id"].is_unique
    return bridge


def test_eight_consecutive_weeks_add_up_to_the_cent(eight):
    bridges = [require_whole(each) for each in eight]
    assert len(bridges) == 8
    ends = [cents(bridge["forecast_bridge_amount"].iloc[[0, -1]]) for bridge in bridges]
    assert all(first[1] == last[0] for first, last in pairwise(ends))  # each Monday's end is the next one's start
    assert sum((bridge["forecast_bridge_amount"] != 0).sum() for bridge in bridges) > 60


@pytest.mark.full
def test_eight_consecutive_weeks_of_the_whole_sample_add_up_to_the_cent():
    from salesops import crm

    company = crm.load("sample", where="opportunity_type != 'renewal'")
    whole = {name: getattr(company, name) for name in ("opportunities", "stage_history", "stages")}
    known = whole["stage_history"]["opportunity_id"].isin(whole["opportunities"]["opportunity_id"])
    whole["stage_history"] = whole["stage_history"][known]
    for start in (date(2026, 7, 26), date(2026, 8, 2)):
        bridges = [require_whole(each) for each in weeks(whole, [start + k * WEEK for k in range(9)], 5000)]
        assert len(bridges) == 8


def stood(tables, day: date) -> pd.DataFrame:
    """Each deal's last change by an evening, from the history by hand."""
    history = tables["stage_history"].sort_values(["changed_at", "seq"])
    known = history[history["changed_at"] < pd.Timestamp(day) + pd.Timedelta(days=1)]
    return known.groupby("opportunity_id").last()


def test_each_move_is_that_of_the_history(tables, eight):
    stages = tables["stages"].drop_duplicates("stage").set_index("stage")
    q3 = quarter(SUNDAYS[-1])
    seen = set()
    for each in eight:
        a, b = (stood(tables, each[side].cutoff) for side in ("then", "now"))
        expected = {}
        for deal in b.index:
            now = b.loc[deal]
            was_open = deal in a.index and not stages.loc[a.loc[deal, "stage"], "is_closed"]
            is_won, is_open = stages.loc[now["stage"], "is_won"], not stages.loc[now["stage"], "is_closed"]
            was_won = deal in a.index and stages.loc[a.loc[deal, "stage"], "is_won"]
            is_in = q3.start <= now["close_date"].date() <= q3.end
            if is_won and not was_won:
                expected[deal] = "won" if is_in else "won in another quarter"
            elif was_open and not is_open:
                expected[deal] = "lost"
            elif is_open and not was_open:
                expected[deal] = "new"
            elif is_open:
                due = q3.start <= a.loc[deal, "close_date"].date() <= q3.end
                gone, came = (
                    due and now["close_date"].date() > q3.end,
                    a.loc[deal, "close_date"].date() > q3.end and is_in,
                )
                expected[deal] = "pushed out" if gone else "pulled in" if came else "chance changed"
        moves = forecast_bridge.deal_moves(**each)
        found = dict(zip(moves["opportunity_id"], moves["move"], strict=True))
        assert {deal: move for deal, move in found.items() if move != "win corrected"} == expected
        seen |= set(found.values())
    assert {"won", "lost", "new", "pushed out", "pulled in", "chance changed"} <= seen


def test_a_changed_amount_is_its_share_of_the_worth_then_and_a_loss_takes_the_worth():
    week = forecast_bridge._example()
    b = week["now"].now["opportunity_id"] == "C"
    week["now"].now.loc[b, "amount"] = 75.0  # half as much again, of a worth of 9
    moves = forecast_bridge.deal_moves(**week).set_index("opportunity_id")
    assert moves.loc["C", ["amount_effect", "move_effect"]].tolist() == [4.5, 1.5]
    week["now"].won = week["now"].won[:0]
    week["found_now"].total[:] = 30.0
    lost = forecast_bridge.deal_moves(**week).set_index("opportunity_id").loc["A"]
    assert lost["move"] == "lost" and lost["forecast_effect_amount"] == -60.0 and lost["amount_effect"] == 0


def test_a_win_that_changes_is_corrected_and_one_that_stands_is_not_told():
    week = forecast_bridge._example()
    won = week["now"].won
    week["then"].won = won.copy()
    week["then"].now = week["then"].now[1:].reset_index(drop=True)
    week["found_then"] = type(week["found_then"])(
        total=np.array([180.0]), deal=np.arange(2), amount=np.array([45.0, 9.0]), late=np.array([6.0])
    )
    assert "A" not in set(forecast_bridge.deal_moves(**week)["opportunity_id"])
    won["amount"] = 130.0
    week["found_now"].total[:] = 160.0
    moves = forecast_bridge.deal_moves(**week).set_index("opportunity_id")
    assert moves.loc["A", ["move", "forecast_effect_amount"]].tolist() == ["win corrected", 10.0]
    bridge = forecast_bridge.forecast_bridge(**week)
    assert "win corrected" in set(bridge["step"])
    assert sum(cents(bridge["forecast_bridge_amount"])[:-1]) == 16000


def test_without_plays_there_are_moves_and_no_money(eight):
    bare = {side: eight[0][side] for side in ("then", "now")}
    moves = forecast_bridge.deal_moves(**bare)
    assert moves["forecast_effect_amount"].isna().all() and (moves["move"] == "lost").any()
    assert moves["amount"].dropna().is_monotonic_decreasing
    bridge = forecast_bridge.forecast_bridge(**bare)
    assert bridge.empty and forecast_bridge.forecast_change(bridge).empty


def test_the_play_error_is_how_far_the_middle_moves_from_seed_to_seed(eight):
    case = eight[0]["now"]
    found = [pipeline_forecast.outlook(case, draws=400, seed=seed) for seed in range(16)]
    spread = np.std([np.median(each.total) for each in found], ddof=1)
    told = np.sqrt(np.mean([forecast_bridge.play_error(each) ** 2 for each in found]))
    assert 0.5 < told / spread < 1.8, (told, spread)


def test_evenings_in_the_wrong_order_or_of_two_quarters_are_refused(eight):
    then, now = eight[0]["then"], eight[0]["now"]
    with pytest.raises(checks.ParameterError, match="is no earlier evening of 2026Q3"):
        forecast_bridge.deal_moves(now, then)
    with pytest.raises(checks.ParameterError, match="Give a case of the same quarter"):
        forecast_bridge.deal_moves(replace(then, period=quarter(date(2026, 6, 30))), now)


def test_nothing_given_is_changed(eight):
    before = eight[0]["now"].now.copy(), eight[0]["now"].won.copy()
    forecast_bridge.forecast_bridge(**eight[0])
    pd.testing.assert_frame_equal(eight[0]["now"].now, before[0])
    pd.testing.assert_frame_equal(eight[0]["now"].won, before[1])


def test_a_deal_created_and_won_since_is_won_and_one_won_elsewhere_takes_its_worth_whole():
    week = forecast_bridge._example()
    won = week["now"].won.iloc[[0]]
    week["now"].won = pd.concat([won.assign(close_date=pd.Timestamp("2026-06-29")), won.assign(opportunity_id="E")])
    moves = forecast_bridge.deal_moves(**week).set_index("opportunity_id")
    told = moves.loc[["A", "E"], ["move", "amount_effect", "move_effect"]].values.tolist()
    assert told == [["won in another quarter", 0.0, -60.0], ["won", 0.0, 120.0]]
