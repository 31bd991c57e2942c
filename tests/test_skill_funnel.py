"""The funnel of reps: exact tails, who is outside, lines that meet the limits, and sentences."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from salesops import checks, skill_funnel
from salesops.periods import Period

YEAR = Period("2026", date(2026, 1, 1), date(2026, 12, 31))


def reps(won: list[int], n: int | list[int], expected) -> pd.DataFrame:
    owner = [f"r{number}" for number in range(len(won))]
    return pd.DataFrame({"owner_id": owner, "n": n, "won_count": won, "expected_win_count": expected})


def test_without_excess_who_is_outside_has_a_tail_below_one_in_a_thousand():
    table = reps(list(range(5, 45)), 80, 24.0)
    found = skill_funnel.funnel(table.assign(won_count=[24] * 38 + [8, 43]))
    tail = np.minimum(binom.cdf([8, 43], 80, 0.3), binom.sf([7, 42], 80, 0.3))
    assert (tail < 0.001).all() and found["is_outside"].tolist() == [False] * 38 + [True, True]
    by_count = skill_funnel.funnel(table)
    outside = [min(binom.cdf(won, 80, 0.3), binom.sf(won - 1, 80, 0.3)) < 0.001 for won in range(5, 45)]
    assert by_count["is_beyond_chance"].tolist() == outside


def test_ratios_are_to_each_reps_own_expectation():
    found = skill_funnel.funnel(reps([30, 30], 100, [20.0, 40.0]))
    assert found["observed_ratio"].tolist() == [1.5, 0.75]
    assert (
        found["chance_high"][0] * 0.2 < found["chance_high"][1] * 0.4
        and (found["chance_high_95"] < found["chance_high"]).all()
    )
    assert (found["chance_low"] < found["chance_low_95"]).all() and (found["chance_low_95"] < 1).all()


def test_where_all_differ_only_the_odd_one_is_outside():
    won = [20, 45, 25, 40, 28, 44, 22, 38, 30, 36, 24, 42, 80]
    table = reps(won, 100, float(np.mean(won)))
    found = skill_funnel.funnel(table)
    assert skill_funnel.excess(table).variance > 0
    assert found["is_beyond_chance"].sum() > 1 and found.loc[found["is_outside"], "owner_id"].tolist() == ["r12"]
    assert (found["widened_low"] <= found["chance_low"]).all() and (found["widened_high"] >= found["chance_high"]).all()


def test_excess_by_a_loop():
    table = reps([20, 45, 25, 35, 30, 50], 100, 34.0)
    scores = sorted((np.arcsin(np.sqrt(won / 100)) - np.arcsin(np.sqrt(0.34))) / 0.05 for won in table["won_count"])[
        1:-1
    ]
    ratio = sum(score**2 for score in scores) / 4
    found = skill_funnel.excess(table)
    assert found.ratio == pytest.approx(ratio) and found.variance == pytest.approx((4 * ratio - 3) / 3 * 0.05**2)


def test_few_deals_and_unknown_owners_are_not_judged():
    table = pd.concat([reps([9, 30], [9, 100], [3.0, 30.0]), reps([50], 100, np.nan).assign(owner_id=None)])
    assert skill_funnel.funnel(table)["owner_id"].tolist() == ["r1"]
    assert skill_funnel.excess(table).variance == 0
    assert len(skill_funnel.funnel(table, min_n=9)) == 2 and skill_funnel.funnel(table.iloc[:0]).empty


def test_lines_meet_the_limits():
    table = reps([20] * 5, [25, 50, 75, 100, 60], [10.0, 20, 30, 40, 24])
    lines, found = skill_funnel.funnel_lines(table, points=100), skill_funnel.funnel(table)
    at = lines.set_index("n").loc[[25.0, 50.0, 75.0, 100.0]]
    for name in ("chance_low_95", "chance_high", "widened_low", "widened_high"):
        assert at[name].to_numpy() == pytest.approx(found[name].to_numpy()[:4])
    assert skill_funnel.funnel_lines(table.iloc[:0]).empty
    few = skill_funnel.funnel_lines(table, points=17)
    assert few.notna().all(axis=None) and (few["n"] % 1 == 0).all() and len(few) == 17
    assert len(skill_funnel.funnel_lines(table.assign(n=5, won_count=1, expected_win_count=2.0), points=60)) == 5


def test_sentences_and_errors():
    table = pd.DataFrame({"is_outside": [True] * 3 + [False]})
    assert skill_funnel.funnel_sentence(table, YEAR).startswith(
        "In 2026 3 of 4 reps lie farther out than chance and usual"
    )
    assert skill_funnel.funnel_sentence(table.iloc[:0], YEAR) == (
        "Fewer than two reps closed 20 deals in 2026: too few to compare."
    )
    with pytest.raises(checks.DataError, match=r"skill_funnel: missing column \['expected_win_count'\]"):
        skill_funnel.funnel(table.assign(owner_id="a", n=1, won_count=1))
