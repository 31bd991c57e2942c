"""Deciding deals: every figure against plays counted one by one."""

import dataclasses

import case_toys
import numpy as np
import pandas as pd
import pytest

from salesops import checks, deciding_deals, pipeline_forecast
from salesops.pipeline_forecast import Outlook

AMOUNTS = np.array([400.0, 100.0, 50.0, 10.0])
WINS = np.array([[1, 0, 0, 1], [0, 1, 1, 0], [0, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 0]], dtype=bool)


@pytest.fixture
def found():
    """Five plays of four deals, no deal changing its amount, 20 won so far."""
    case = case_toys.case(quarters=0, n_now=4)
    case = dataclasses.replace(case, now=case.now.assign(amount=AMOUNTS), won_so_far=20.0)
    play, deal = np.nonzero(WINS)
    opened = WINS @ AMOUNTS
    chance = np.array([[0.5, 0.5, 0.5, 0.05], [0.3, 0.7, 0.7, 0.05]])
    return Outlook(case, 20 + opened, opened, np.zeros(5), np.zeros(5, dtype=int), play, deal, AMOUNTS[deal], chance,
                   1.0, 8)  # fmt: skip


def by_id(found, **options):
    table = deciding_deals.deal_list(found, **options)
    return table.set_index("opportunity_id").loc[found.case.now["opportunity_id"]].reset_index()


@pytest.mark.parametrize("target", [20.0, 120.0, 125.0, 171.0, 450.0, 600.0])
def test_the_target_with_each_deal_won_and_lost_play_by_play(found, target):
    table = by_id(found, target=target)
    for deal, amount in enumerate(AMOUNTS):
        won = np.where(WINS[:, deal], found.total, found.total + amount)
        lost = np.where(WINS[:, deal], found.total - amount, found.total)
        assert table["target_probability_if_won"][deal] == pytest.approx((won >= target).mean())
        assert table["target_probability_if_lost"][deal] == pytest.approx((lost >= target).mean())


def test_contribution_and_swing(found):
    table = by_id(found)
    assert table["deal_contribution_amount"].tolist() == pytest.approx(list(WINS.mean(axis=0) * AMOUNTS))
    assert table["deal_swing_amount"].tolist() == pytest.approx(list((1 - WINS.mean(axis=0)) * AMOUNTS))
    assert table["quarter_win_probability"].tolist() == pytest.approx([0.4, 0.6, 0.6, 0.05])
    assert table["quarter_win_probability_low"][0] == pytest.approx(0.32)
    assert table["n"].eq(5).all() and table["is_must_win"].isna().all()
    assert deciding_deals.deal_list(found)["deal_contribution_amount"].is_monotonic_decreasing


def test_a_deal_never_won_swings_by_what_is_known_of_it(found):
    kept = found.deal != 3
    never = found._replace(play=found.play[kept], deal=found.deal[kept], amount=0.9 * found.amount[kept])
    assert by_id(never)["deal_swing_amount"][3] == pytest.approx(9.0)


def test_must_win_deals_are_the_fewest_by_swing(found):
    # Swings are 240, 40, 20 and 9.5; with A won every play ends at 420 or more, with A and B at 520 or more.
    assert by_id(found, target=420.0)["is_must_win"].tolist() == [True, False, False, False]
    assert by_id(found, target=520.0)["is_must_win"].tolist() == [True, True, False, False]
    assert by_id(found, target=20.0)["is_must_win"].tolist() == [False] * 4
    assert by_id(found, target=575.0)["is_must_win"].isna().all()  # the deal of 10 is not in play
    assert by_id(found, target=575.0, wanted=0.2)["is_must_win"].tolist() == [True, True, True, False]
    assert by_id(found, target=575.0, in_play=0.0)["is_must_win"].tolist() == [True, True, True, True]
    assert by_id(found, target=430.0, wanted=0.2)["is_must_win"].tolist() == [False] * 4


def test_a_played_case_and_no_open_deals():
    case = case_toys.case()
    played = pipeline_forecast.outlook(case, draws=1000)
    table = deciding_deals.deal_list(played, target=4000.0)
    assert len(table) == len(case.now) and not table["is_must_win"].isna().any()
    assert (table["target_probability_if_won"] >= table["target_probability_if_lost"]).all()
    total = played.total.mean() - case.won_so_far - played.late.mean()
    assert table["deal_contribution_amount"].sum() == pytest.approx(total, rel=0.02)
    none = dataclasses.replace(case, now=case.now.iloc[:0])
    assert deciding_deals.deal_list(pipeline_forecast.outlook(none, draws=400), target=1e9).empty


def test_an_amount_not_known_swings_as_a_usual_deal():
    case = case_toys.case()
    now = case.now.assign(amount=case.now["amount"].where(case.now.index != 0))
    table = by_id(pipeline_forecast.outlook(dataclasses.replace(case, now=now), draws=1000))
    assert table["deal_swing_amount"][0] + table["deal_contribution_amount"][0] == pytest.approx(100.0)


@pytest.mark.parametrize("name", ["wanted", "in_play"])
def test_a_share_is_asked_for(found, name):
    with pytest.raises(checks.ParameterError, match=rf"{name}: 80 is not a share. Give a number from 0 to 1."):
        deciding_deals.deal_list(found, target=1.0, **{name: 80})


def test_must_win_deals_stand_first(found):
    table = deciding_deals.deal_list(found, target=150.0, in_play=0.5)
    must = table["is_must_win"].astype(bool).tolist()
    assert must == [True, False, False, False] and table["deal_contribution_amount"].iloc[0] == pytest.approx(60)
    for part in (table[must], table[[not each for each in must]]):
        assert part["deal_contribution_amount"].is_monotonic_decreasing


def test_sentences_of_every_kind():
    say = deciding_deals.deal_sentence
    deals = pd.DataFrame({
        "opportunity_id": list("ABCDE"), "deal_contribution_amount": [30.0, 30, 20, 10, 10],
        "is_must_win": pd.array([True, True, True, True, False], dtype="boolean"),
    })  # fmt: skip
    deals = deals.assign(deal_swing_amount=[1.0, 9, 5, 3, 99], quarter_win_probability=[0.1, 0.2, 0.15, 0.12, 0.9])
    assert say(deals, target=900) == (
        "It would take 4 of the 5 open deals, all won, to bring the chance of the target of 900 to 80 %: "
        "the largest are B, C and D, and the likeliest of the 4 has a chance of 20 %."
    )
    assert say(deals[:4], target=900).startswith("It would take all 4 open deals, won, to bring")
    alone = deals.assign(is_must_win=pd.array([False, True, False, False, False], dtype="boolean"))
    assert say(alone, target=900) == (
        "It would take one deal more to bring the chance of the target of 900 to 80 %: B, with a chance of 20 %."
    )
    none = deals.assign(is_must_win=pd.array([False] * 5, dtype="boolean"))
    assert say(none, target=900, wanted=0.9) == (
        "No single deal must be won: the chance of the target of 900 is 90 % or more as things stand."
    )
    assert say(deals) == "Half of what is expected of the 5 open deals comes from 2 of them."
    assert say(deals, target=np.nan) == say(deals)
    assert say(deals[:1]) == "One deal is open."
    nothing = deals.assign(deal_contribution_amount=0.0)
    assert say(nothing) == "Nothing is expected of the 5 open deals in the quarter."
    assert say(deals[:0], target=900) == "No open deal has a chance that can be told."
