"""How columns tell of each other: hand-worked, published and naive-loop figures."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, spearmanr

from salesops.stats import association, ranks

FEW = settings(max_examples=40, deadline=None)


def test_goodman_and_kruskal_by_hand():
    # Two by two with 30, 10 / 5, 55: blind guesses err in 35 of 100, knowing the row in 15.
    rows, columns = np.repeat([0, 0, 1, 1], [30, 10, 5, 55]), np.repeat([0, 1, 0, 1], [30, 10, 5, 55])
    assert association.names(rows, columns) == pytest.approx(1 - 15 / 35)
    assert association.names(columns, rows) == pytest.approx(1 - 15 / 40)


def test_naming_what_has_one_value_or_nothing():
    assert np.isnan(association.names(["a", "b"], ["x", "x"]))
    assert np.isnan(association.names([], []))
    assert association.names(["a", None, "b"], ["x", None, "y"]) == 1.0


def test_same_order_needs_enough_rows_and_knows_reversal():
    frame = pd.DataFrame({"a": [1.0, 2, 3, 4], "b": [4.0, 3, 2, 1], "c": [1.0, np.nan, np.nan, 2], "d": [2.0, 1, 4, 3]})
    assert association.same_order(frame, least=0.98, min_n=3) == {"b": "a"}
    assert association.same_order(frame, least=0.98, min_n=2) == {"b": "a", "c": "a"}
    assert association.same_order(frame[[]], least=0.98, min_n=2) == {}


def test_partial_order_is_the_correlation_of_what_the_third_leaves():
    random = np.random.default_rng(0)
    third = random.normal(size=200)
    one, two = third + random.normal(size=200), third + random.normal(size=200)
    ranked = [pd.Series(each).rank().to_numpy() for each in (one, two, third)]
    left = [each - np.polyval(np.polyfit(ranked[2], each, 1), ranked[2]) for each in ranked[:2]]
    assert association.partial_order(*ranked) == pytest.approx(np.corrcoef(*left)[0, 1])
    assert association.partial_order(*ranked[:2], np.ones(200)) == pytest.approx(spearmanr(one, two)[0])
    assert np.isnan(association.partial_order(ranked[0], np.ones(200), ranked[2]))
    assert np.isnan(association.partial_order(ranked[0], ranked[1], ranked[1]))


def test_held_out_rates_by_a_loop():
    random = np.random.default_rng(1)
    values, outcome, fold = random.integers(0, 3, 60), random.integers(0, 2, 60), random.integers(0, 5, 60)
    rate, hits, misses = association.held_out_rates(values, outcome, fold)
    for row, cell in enumerate(values * 5 + fold):
        others, own = (values == values[row]) & (fold != fold[row]), (values == values[row]) & (fold == fold[row])
        assert rate[cell] == pytest.approx((outcome[others].sum() + 2 * outcome.mean()) / (others.sum() + 2))
        assert (hits[cell], misses[cell]) == (outcome[own].sum(), (1 - outcome[own]).sum())
    assert hits.sum() + misses.sum() == 60
    none = np.zeros(0, dtype=int)
    assert [len(each) for each in association.held_out_rates(none, none, none)] == [0, 0, 0]


@FEW
@given(st.integers(0, 10_000), st.sampled_from([2, 12, 1000]), st.booleans())
def test_what_groups_explain_of_the_ranks_by_a_frame(seed, n_values, is_partly_missing):
    random = np.random.default_rng(seed)
    values = random.integers(0, n_values, 80).astype(float)
    groups = (
        random.integers(0, 4, 80),
        np.where(random.random(80) < 0.2, -1, random.integers(0, 3, 80)),
        np.zeros(80, int),
    )
    if is_partly_missing:
        values[random.random(80) < 0.3] = np.nan
    for group, found in zip(groups, association.explained(ranks.levels(values), groups), strict=True):
        rows = pd.DataFrame({"value": values, "group": group})[(group >= 0) & ~np.isnan(values)]
        rank = rows["value"].rank()
        within = ((rank - rank.groupby(rows["group"]).transform("mean")) ** 2).sum()
        whole = ((rank - rank.mean()) ** 2).sum()
        expected = 1 - within / whole if rows["group"].nunique() > 1 and whole else np.nan
        assert found == pytest.approx(expected, abs=1e-12, nan_ok=True)


@FEW
@given(
    st.lists(st.sampled_from([np.nan, -np.inf, -1.5, -0.0, 0.0, 2.0, 1e300, np.inf]), max_size=40), st.integers(0, 99)
)
def test_ranks_from_counts_are_those_of_pandas(values, seed):
    values, rows = pd.Series(values, dtype=float), np.random.default_rng(seed).random(len(values)) < 0.6
    found = ranks.levels(values)
    np.testing.assert_array_equal(ranks.ranks(found), values.rank())
    np.testing.assert_array_equal(ranks.ranks(found, rows), values[rows].rank())


def gap(cases, case_key, controls, control_key, **how) -> association.Gap:
    return association.gap_at_same(cases, controls, association.alike(case_key, control_key, **how))


def by_loop(cases, case_key, controls, control_key, from_there_on):
    """Share, expected share and their standard error, one case at a time."""
    shares, expected, chances, weight = [], [], [], np.zeros(len(controls))
    for flag, key in zip(cases, case_key, strict=True):
        if from_there_on:
            mine = control_key >= key
        elif len(controls) == 0 or key > control_key.max():
            continue
        else:
            order = np.sort(control_key)
            first = np.clip((order < key).sum() - 25, 0, max(len(order) - 50, 0))
            mine = (control_key >= order[first]) & (control_key <= order[min(first + 49, len(order) - 1)])
        if mine.sum() < 20:
            continue
        shares.append(flag)
        expected.append(controls[mine].mean())
        chances.append((controls[mine].sum() + 0.5) / (mine.sum() + 1))
        weight += mine / mine.sum()
    n, chances = len(shares), np.array(chances)
    variance = (chances * (1 - chances)).sum() / n**2
    variance += chances.mean() * (1 - chances.mean()) * ((weight / n) ** 2).sum()
    return np.mean(shares), np.mean(expected), np.sqrt(variance), n


@FEW
@given(st.integers(0, 10_000), st.booleans(), st.sampled_from([30, 60, 200]))
def test_gap_by_a_loop(seed, from_there_on, m):
    random = np.random.default_rng(seed)
    cases, controls = random.random(25) < 0.3, random.random(m) < 0.6
    case_key, control_key = random.integers(0, 40, 25), random.integers(0, 60, m)
    found = gap(cases, case_key, controls, control_key, from_there_on=from_there_on)
    share, expected, error, n = by_loop(cases, case_key, controls, control_key, from_there_on)
    assert found.n == n
    assert found.share == pytest.approx(share) and found.expected == pytest.approx(expected)
    assert found.p_value == pytest.approx(norm.sf((expected - share) / error))


def test_gap_is_silent_without_controls():
    assert gap([True], [1.0], [], []).n == 0
    assert gap([True] * 5, [9.0] * 5, [True] * 30, [1.0] * 30).n == 0
    assert np.isnan(gap([], [], [True] * 30, range(30)).p_value)


def test_all_of_the_controls_are_all():
    random = np.random.default_rng(3)
    found = gap([True] * 999, random.integers(0, 40, 999), [True] * 999, random.integers(0, 60, 999))
    assert found.expected == found.share == 1.0


@pytest.mark.parametrize("from_there_on", [False, True])
def test_gap_by_chance_is_as_rare_as_its_p_value_says(from_there_on):
    random = np.random.default_rng(2)
    p_values = []
    for _ in range(2000):
        case_key, control_key = random.exponential(50, 80), random.exponential(50, 600)
        p_values.append(
            gap(
                random.random(80) < 0.4, case_key, random.random(600) < 0.4, control_key, from_there_on=from_there_on
            ).p_value
        )
    below = np.mean(np.array(p_values) < 0.05)
    assert abs(below - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 2000)
