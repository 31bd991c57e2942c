"""Whether stated chances came true: counts by hand, right and wrong forecasters, the words."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from salesops import forecast_cases, reliability
from salesops.crm import sample


def calls(chance, is_true, periods=12):
    n = len(chance)
    return pd.DataFrame({"call": reliability.CALLS[1], "period": [f"Q{at % periods}" for at in range(n)], "week": 1,
                         "chance": chance, "is_true": np.asarray(is_true, dtype=bool)})  # fmt: skip


def test_the_calls_of_the_target_are_those_of_one_method():
    tested = pd.DataFrame({
        "model": ["a", "a", "b", "a"], "period": ["Q1", "Q2", "Q1", "Q3"], "week": 5, "target_chance": [0.2, 0.9, 0.5, None],
        "is_above_target": pd.array([False, True, True, True], dtype="boolean"),
    })  # fmt: skip
    found = reliability.target_calls(tested, model="a")
    assert found["chance"].tolist() == [0.2, 0.9] and found["is_true"].tolist() == [False, True]
    assert set(found["call"]) == {"target reached"}


@pytest.fixture(scope="module")
def cases():
    tables = sample.tables(size=2000, years=3, clean=True)
    known = {"stages": tables["stages"], "as_of": date(2026, 9, 30)}
    found = forecast_cases.cases(tables["opportunities"], tables["stage_history"], weeks=[1, 9], quarters=3, **known)
    later = forecast_cases.case_of(tables["opportunities"], tables["stage_history"], stages=tables["stages"],
                                   period=_q4(), cutoff=date(2026, 9, 30))  # fmt: skip
    return found, later


def _q4():
    from salesops.periods import quarter

    return quarter(date(2026, 10, 1))


def test_every_deal_open_on_every_past_evening_is_a_call(cases):
    found, later = cases
    looked = reliability.deal_calls(found, later)
    assert len(looked) == sum(len(case.now) for case in found)
    case = found[-1]
    mine = looked[(looked["period"] == case.period.label) & (looked["week"] == case.week)].set_index("opportunity_id")
    won = later.won[case.period.contains(later.won["close_date"])]["opportunity_id"]
    assert set(mine.index[mine["is_true"]]) == set(won) & set(case.now["opportunity_id"])
    assert looked["chance"].between(0, 1).all() and 0 < looked["is_true"].mean() < 0.5


def test_a_quarter_whose_end_is_not_known_is_left_out(cases):
    found, later = cases
    assert reliability.deal_calls([later], later).empty
    assert reliability.deal_calls([], later).columns.tolist() == [
        "call",
        "period",
        "week",
        "opportunity_id",
        "chance",
        "is_true",
    ]


def test_right_chances_lie_on_the_line_and_wrong_ones_do_not():
    random = np.random.default_rng(3)
    chance = random.uniform(0.02, 0.9, 6000)
    came = random.random(6000) < chance
    right, wrong = reliability.reliability(calls(chance, came)), reliability.reliability(calls(chance**2, came))
    assert len(right) == 10 and right["n"].sum() == 6000 and right["bin"].tolist() == list(range(1, 11))
    inside = right["stated_chance_rate"].between(right["came_true_rate_low"], right["came_true_rate_high"])
    outside = ~wrong["stated_chance_rate"].between(wrong["came_true_rate_low"], wrong["came_true_rate_high"])
    assert inside.sum() >= 8 and outside.sum() >= 5
    assert reliability.reliability_sentence(wrong).count("more than stated") == 1


def test_few_calls_make_fewer_groups():
    table = reliability.reliability(calls(np.linspace(0.1, 0.9, 40), np.arange(40) % 2))
    assert len(table) == 5 and (table["n"] == 8).all() and (table["n_true"] == 4).all()
    assert reliability.reliability(calls([], [])).empty


def test_a_quarter_is_one_draw():
    chance, came = np.full(240, 0.5), np.repeat(np.arange(12) % 2, 20).astype(bool)
    together = calls(chance, came).assign(period=np.repeat([f"Q{at}" for at in range(12)], 20))
    apart = calls(chance, np.random.default_rng(0).permutation(came))
    tables = [reliability.reliability(each, bins=1) for each in (together, apart)]
    widths = [table["came_true_rate_high"].item() - table["came_true_rate_low"].item() for table in tables]
    assert widths[0] > 2.5 * widths[1]


def test_the_scores_are_brier_s_and_its_skill():
    chance, came = np.array([0.1, 0.4, 0.9, 0.6]), np.array([0.0, 0, 1, 1])
    row = reliability.chance_scores(calls(chance, came)).iloc[0]
    assert row["call_brier_score"] == pytest.approx(((chance - came) ** 2).mean())
    assert row["call_skill_rate"] == pytest.approx(1 - ((chance - came) ** 2).mean() / 0.25)
    assert row["call_true_rate"] == 0.5 and row["n_quarters"] == 4
    assert np.isnan(reliability.chance_scores(calls([0.2, 0.3], [0, 0])).iloc[0]["call_skill_rate"])
    both = reliability.chance_scores(calls(chance, came).assign(call="a"), calls([], []), calls(chance, came))
    assert both["call"].tolist() == ["a", reliability.CALLS[1]]


def test_the_words_of_targets_and_of_one_group():
    table = reliability.reliability(calls([0.5] * 30, np.arange(30) % 2), bins=1).assign(call="target reached")
    said = reliability.reliability_sentence(table)
    assert said == "Of targets given the highest chances, 50 % on average, 50 % were reached: as stated, within chance."
    low = table.assign(came_true_rate=0.2, came_true_rate_high=0.3)
    assert "fewer than stated" in reliability.reliability_sentence(low)
    few = reliability.reliability(calls([0.1] * 8 + [0.5] * 8, [0] * 8 + [1, 0] * 4), bins=2)
    assert reliability.reliability_sentence(few) == (
        "Of 16 calls of deals, too few to judge group by group, 25 % came true where 30 % was stated on average."
    )
