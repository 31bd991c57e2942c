"""Rep fit: who does better with one kind of deal, by hand, by simulation and by a second way, and what a plan gains."""

from functools import cache
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from scipy.special import expit, logit
from scipy.stats import binom, norm

from salesops import checks, pipeline, rep_fit, rep_performance
from salesops.crm import sample
from salesops.periods import Period
from salesops.stats import crossed

TWO_YEARS = Period("two years", pd.Timestamp("2024-10-01").date(), pd.Timestamp("2026-09-30").date())


def closed(won: dict, **columns) -> pd.DataFrame:
    """Deals of each rep and segment: {(rep, segment): (won, closed)}."""
    rows = [(*who, number < hits) for who, (hits, n) in won.items() for number in range(n)]
    return pd.DataFrame(rows, columns=["owner_id", "segment", "is_won"]).assign(is_closed=True, **columns)


def many(special: int = 30, n: int = 60) -> pd.DataFrame:
    """Eight reps who win a third of either segment; the first wins otherwise where `special` says so."""
    won = {(f"r{rep}", kind): (n // 3, n) for rep in range(8) for kind in ("Large", "SMB")}
    return closed(won | {("r0", "Large"): (n // 3 + special, n), ("r0", "SMB"): (max(n // 3 - special, 0), n)})


@cache
def company(null: bool) -> pd.DataFrame:
    tables = sample.tables(null=null)
    deals = tables["opportunities"].query("opportunity_type != 'renewal'")
    deals = rep_performance.credited(deals, stage_history=tables["stage_history"], reps=tables["reps"])
    return pipeline.closed_in(pipeline.qualified(deals), TWO_YEARS)


def simulated(seed: int, deviation: float, n_reps: int = 30) -> tuple[pd.DataFrame, np.ndarray]:
    random = np.random.default_rng(seed)
    rep = np.repeat(np.arange(n_reps), random.integers(8, 121, n_reps))
    kind = random.choice(3, len(rep), p=[0.5, 0.3, 0.2])
    logits = logit(0.28) + np.array([0.4, 0, -0.4]) + random.normal(0, 0.25, n_reps)[:, None]
    logits = logits + random.normal(0, deviation, (n_reps, 3))
    deals = pd.DataFrame({"owner_id": np.char.zfill(rep.astype(str), 2), "segment": np.array(list("ABC"))[kind]})
    return deals.assign(is_won=random.random(len(rep)) < expit(logits[rep, kind])), expit(logits)


def test_interaction_by_hand():
    """Rep one has 30 of 40 deals large, rep two 10 of 40: kinds weigh the same, and so do reps."""
    fit = crossed.interaction(np.array([[0.5, 0.3], [0.3, 0.3]]), np.array([[30, 10], [10, 30]]))
    assert fit == pytest.approx(np.array([[0.05, -0.05], [-0.05, 0.05]]))
    unequal = crossed.interaction(np.array([[0.5, 0.3], [0.3, 0.3]]), np.array([[60, 0], [0, 20]]))
    # Large weighs 3/4, and so does rep one: own means 0.45 and 0.3; kinds' means 0.45 and 0.3; mean 0.4125.
    assert unequal == pytest.approx(np.array([[0.0125, -0.0375], [-0.0375, 0.1125]]))


@given(st.integers(2, 5), st.integers(2, 4), st.integers(0, 999))
@settings(max_examples=25, deadline=None)
def test_interaction_adds_up_to_what_a_plan_gains(n_reps, n_kinds, seed):
    random = np.random.default_rng(seed)
    rates, n = random.random((n_reps, n_kinds)), random.integers(1, 50, (n_reps, n_kinds))
    fit = crossed.interaction(rates, n)
    assert fit @ n.sum(axis=0) == pytest.approx(np.zeros(n_reps), abs=1e-9)
    assert n.sum(axis=1) @ fit == pytest.approx(np.zeros(n_kinds), abs=1e-9)
    moves = np.zeros(n.shape)
    moves[:2, :2] = [[1, -1], [-1, 1]]
    assert (moves * fit).sum() == pytest.approx((moves * rates).sum())


def test_rates_agree_with_a_second_way():
    """Two reps, two kinds: every effect on a grid, every deviation on a grid, no approximation."""
    x, n = np.array([[12, 3], [6, 9]]), np.array([[20, 20], [20, 20]])
    z = norm.ppf((np.arange(21) + 0.5) / 21)
    levels = np.linspace(-3, 2, 26)
    middle = np.log((x.sum() + 0.5) / (n.sum() - x.sum() + 0.5))
    total, weight = np.zeros((2, 2)), 0.0
    for own, both in product((np.arange(12) + 0.5) / 6, (np.arange(12) + 0.5) / 6):
        # Given level and rep, cells are independent: sum each cell's own effect out.
        base = levels[:, None] + own * z  # kind's level, rep
        logits = base[:, :, None] + both * z
        p = expit(logits)
        like = binom.pmf(x[:, :, None, None, None], n[:, :, None, None, None], p)  # rep, kind, level, rep's effect, own
        mass, first = like.mean(axis=4), (like * p).mean(axis=4)
        prior = norm.pdf(levels, middle, 2.0)
        rep_given = np.einsum("rae,rbe->rabe", mass[:, 0][:, :, :], mass[:, 1]).mean(axis=3)  # rep, level a, level b
        joint = rep_given[0] * rep_given[1] * np.outer(prior, prior)
        weight += own * both * joint.sum()
        for rep, kind in product(range(2), range(2)):
            pair = (first if kind == 0 else mass)[rep, 0], (first if kind == 1 else mass)[rep, 1]
            mine = np.einsum("ae,be->abe", *pair).mean(axis=2)
            total[rep, kind] += own * both * (mine * rep_given[1 - rep] * np.outer(prior, prior)).sum()
    rep, kind = (each.repeat(n.ravel()) for each in (np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])))
    outcome = np.concatenate([np.arange(20) < hits for hits in x.ravel()])
    found = crossed.crossed_outcomes(rep, kind, outcome, draws=20_000)
    assert found.drawn.mean(axis=0) == pytest.approx(total / weight, abs=0.015)


def test_counts_by_rep_and_segment():
    cells = rep_fit.segment_fit(closed({("a", "SMB"): (5, 20), ("b", "SMB"): (3, 10), ("b", "Large"): (1, 4)})).cells
    assert cells[["owner_id", "segment"]].values.tolist() == [
        ["a", "Large"],
        ["a", "SMB"],
        ["b", "Large"],
        ["b", "SMB"],
    ]
    assert cells["n"].tolist() == [0, 20, 4, 10] and cells["won_count"].tolist() == [0, 5, 1, 3]
    assert (
        cells["win_rate"].tolist()[1:] == [0.25, 0.25, 0.3] and cells.loc[0, ["win_rate", "segment_fit"]].isna().all()
    )
    assert cells["segment_fit"].notna().tolist() == [False, True, True, True] and not cells["is_named"].any()


def test_the_one_who_fits_is_named_and_nobody_else():
    found = rep_fit.segment_fit(many())
    named = found.cells[found.cells["is_named"]]
    assert named[["owner_id", "segment"]].values.tolist() == [["r0", "Large"]]
    row = named.iloc[0]
    assert 0.15 < row["segment_fit_low"] < row["segment_fit"] < 0.4 and row["fit_probability"] > 0.99
    [sentence] = rep_fit.fit_sentences(found.cells, label="owner_id")
    assert sentence.startswith("r0 does better with segment Large than the results of r0 on the whole and of all reps")
    few = many(7, 19)
    assert not rep_fit.segment_fit(few).cells["is_named"].any()
    assert rep_fit.segment_fit(many(7, 21)).cells["is_named"].any()


def test_reps_alike_are_not_named_and_drawn_in():
    found = rep_fit.segment_fit(many(0))
    assert not found.cells["is_named"].any() and found.cells["segment_fit"].abs().max() < 0.01
    assert found.spread["segment_fit_spread_low"].iloc[0] < 0.02
    said = rep_fit.fit_sentences(found.cells, label="owner_id")
    assert said == ["None of 8 reps does clearly better with one segment than with the others."]


def test_a_rep_of_one_segment_is_never_named():
    deals = pd.concat([many(0), closed({("only", "Large"): (55, 60)})])
    cells = rep_fit.segment_fit(deals).cells
    assert not cells.loc[cells["owner_id"] == "only", "is_named"].any()
    for n, is_named in ((19, False), (21, True)):
        deals = pd.concat([many(0), closed({("most", "Large"): (50, 60), ("most", "SMB"): (1, n)})])
        row = rep_fit.segment_fit(deals).cells.query("owner_id == 'most' and segment == 'Large'").iloc[0]
        assert row["fit_probability"] > 0.95 and row["is_named"] == is_named


def test_limits_hold_the_truth():
    """The benchmark has 1,600 such companies."""
    held = []
    for seed in range(16):
        deals, rate = simulated(seed, 0.4)
        cells = rep_fit.segment_fit(deals, draws=600, seed=seed).cells
        truth = crossed.interaction(rate, cells["n"].to_numpy().reshape(rate.shape)).ravel()
        held.append(((cells["segment_fit_low"] <= truth) & (truth <= cells["segment_fit_high"]))[cells["n"] > 0])
    assert np.concatenate(held).mean() == pytest.approx(0.945, abs=0.025)


def test_deals_of_one_company_count_for_less():
    deals = many(12).assign(account_id=lambda frame: np.arange(len(frame)) // 6)
    alone, together = (rep_fit.segment_fit(each).cells for each in (deals.drop(columns="account_id"), deals))
    width = [(each["segment_fit_high"] - each["segment_fit_low"]).mean() for each in (alone, together)]
    assert width[1] > 1.2 * width[0]
    single = rep_fit.segment_fit(deals.assign(account_id=None)).cells
    pd.testing.assert_frame_equal(single, alone)


def test_design_effect_by_hand():
    """Ten pairs won or lost together, of twenty cases."""
    outcome, pair = np.repeat([1, 0] * 5, 2), np.repeat(np.arange(10), 2)
    effect = crossed._design_effect(outcome, np.zeros(20, dtype=int), pair)
    # seen: 10 pairs of (2 * 0.5)^2 = 10; alone: 20 * (1 - 2 / 20) * 0.25 * 20 / 19
    assert effect == pytest.approx(10 / (20 * 0.9 * 0.25 * 20 / 19))
    assert crossed._design_effect(outcome, np.zeros(20, dtype=int), np.arange(20)) == pytest.approx(1.0)
    assert crossed._design_effect(np.ones(4), np.zeros(4, dtype=int), np.array([0, 0, 1, 1])) == 1.0


def test_a_plan_keeps_loads_and_is_the_best_assignment():
    deals, _ = simulated(3, 1.5, n_reps=8)
    deals = deals[deals.groupby(["owner_id", "segment"])["is_won"].transform("size") >= checks.MIN_N]
    coming = deals.groupby("owner_id").head(9)
    found = rep_fit.reassignment(deals, coming)
    cells = rep_fit.segment_fit(deals).cells.set_index(["owner_id", "segment"])
    plan = found.plan.set_index(["owner_id", "segment"])
    moved = plan["n_planned"] - plan["n"]
    assert found.gain["is_probable"].all() and len(plan)
    assert moved.groupby("owner_id").sum().abs().max() < 1e-9 and moved.groupby("segment").sum().abs().max() < 1e-9
    assert (plan["n_planned"] >= 0).all() and (cells.loc[plan.index, "n"] >= checks.MIN_N).all()
    assert found.gain["n_moved"].iloc[0] == moved.clip(lower=0).sum()
    best, worth = assigned(deals, coming)
    assert found.gain["fit_gain_win_count"].iloc[0] - 0.01 * found.gain["n_moved"].iloc[0] == pytest.approx(
        best - worth
    )


def assigned(deals: pd.DataFrame, coming: pd.DataFrame) -> tuple[float, float]:
    """Deal by deal to the seat of a rep, by the assignment problem; a move costs a point; and what stays is worth."""
    rep, reps = pd.factorize(deals["owner_id"], sort=True)
    kind, kinds = pd.factorize(deals["segment"], sort=True)
    found = crossed.crossed_outcomes(rep, kind, deals["is_won"])
    rates, may = found.drawn.mean(axis=0), found.n >= checks.MIN_N
    may &= (may.sum(axis=1, keepdims=True) > 1) & (may.sum(axis=0) > 1)
    owner, of = pd.Index(reps).get_indexer(coming["owner_id"]), pd.Index(kinds).get_indexer(coming["segment"])
    free = may[owner, of]
    owner, of = owner[free], of[free]
    worth = np.where(may[owner][:, of], rates[owner][:, of] - 0.01 * (owner[:, None] != owner), -9.0)
    seat, deal = linear_sum_assignment(-worth)
    return worth[seat, deal].sum(), rates[owner, of].sum()


def test_a_gain_is_said_only_where_it_is_probable():
    fits = many(20).replace({"segment": {"Large": "L", "SMB": "S"}})
    found = rep_fit.reassignment(fits, fits, quarters=8)
    row = found.gain.iloc[0]
    assert row["n"] == len(fits) / 8 and row["is_probable"] and row["fit_gain_low"] > 0 and len(found.plan)
    assert row["fit_gain_win_count"] == pytest.approx(row["fit_gain"] * row["n"])
    assert "would be won (likely between" in rep_fit.gain_sentence(found.gain)
    none = rep_fit.reassignment(many(0), many(0))
    assert none.gain["n_moved"].iloc[0] == 0  # no deal moves for less than a point of its chance
    assert none.plan.empty and not none.gain["is_probable"].any() and none.gain["fit_gain_low"].iloc[0] < 0.005
    said = rep_fit.gain_sentence(none.gain)
    assert said == "Giving deals to other reps by segment promises no gain that is worth the moves."
    few = rep_fit.reassignment(many(5, 15), many(0))
    assert few.gain["fit_gain"].isna().all() and few.plan.empty
    assert "with 20 closed deals of two values of segment each" in rep_fit.gain_sentence(few.gain)


def test_a_gain_of_noise_is_not_what_raw_rates_promise():
    deals, _ = simulated(11, 0.0)
    gain, plan = rep_fit.reassignment(deals, deals)
    found = gain.iloc[0]
    assert found["fit_gain"] < 0.015 and found["fit_gain_low"] < 0.003 and not found["is_probable"]
    assert found["n_moved"] > 0 and plan.empty


def test_deals_without_an_owner_count_for_nobody():
    deals = many()
    lost = deals.head(40).assign(owner_id=None, is_won=False)
    for ours, theirs in zip(rep_fit.segment_fit(pd.concat([deals, lost])), rep_fit.segment_fit(deals), strict=True):
        pd.testing.assert_frame_equal(ours, theirs, check_dtype=False)


def test_what_is_unknown_stays():
    deals = many()
    other = closed({("new", "Large"): (1, 5), ("r1", "Public"): (1, 5)}).assign(is_won=None)
    coming = pd.concat([deals, other, deals.head(3).assign(owner_id=None), deals.head(2).assign(segment=None)])
    found = rep_fit.reassignment(deals, coming)
    assert found.gain["n"].iloc[0] == len(coming) and set(found.plan["owner_id"]) <= set(deals["owner_id"])
    assert set(found.plan["segment"]) == {"Large", "SMB"}


def test_the_sample_names_nobody_and_moves_nothing():
    for null in (False, True):
        deals = company(null)
        found = rep_fit.segment_fit(deals)
        assert not found.cells["is_named"].any() and found.cells["n"].sum() == deals["owner_id"].notna().sum()
        assert rep_fit.reassignment(deals, deals, quarters=8).plan.empty


def test_other_columns_and_missing_kinds():
    deals = many().rename(columns={"segment": "product"})
    deals.loc[deals["product"] == "SMB", "product"] = None
    found = rep_fit.segment_fit(deals, by="product")
    assert found.cells["product"].isna().sum() == 8 and found.spread["n_kinds"].iloc[0] == 2
    assert rep_fit.fit_sentences(found.cells, by="product", label="owner_id")[0].startswith(
        "r0 does better with product"
    )
    mixed = many().assign(segment=lambda frame: frame["segment"].eq("SMB"))
    assert rep_fit.segment_fit(mixed).cells["is_named"].sum() == 1


@pytest.mark.parametrize("won", [{}, {("a", "SMB"): (5, 20)}, {("a", "SMB"): (5, 20), ("b", "SMB"): (5, 20)}])
def test_too_little_to_compare(won):
    deals = closed(won)
    found, moved = rep_fit.segment_fit(deals), rep_fit.reassignment(deals, deals)
    assert found.cells["segment_fit"].isna().all() and len(found.cells) == len(won)
    assert found.spread["n"].iloc[0] == len(deals) and found.spread["segment_fit_spread"].isna().all()
    assert moved.plan.empty and not moved.gain["is_probable"].any()
    assert "it cannot be told who" in rep_fit.fit_sentences(found.cells, label="owner_id")[0]
    assert "cannot be told what giving" in rep_fit.gain_sentence(moved.gain)


def test_all_won_and_open_deals_and_input_unchanged():
    deals = pd.concat(
        [closed({(rep, kind): (30, 30) for rep in "ab" for kind in ("L", "S")}), many().assign(is_closed=False)]
    )
    before = deals.copy()
    found = rep_fit.segment_fit(deals)
    assert found.cells["n"].tolist() == [30] * 4 and found.cells["segment_fit"].abs().max() < 0.02
    pd.testing.assert_frame_equal(deals, before)
    again = rep_fit.segment_fit(deals.sample(frac=1, random_state=0))
    pd.testing.assert_frame_equal(again.cells[["owner_id", "segment", "n", "won_count"]], found.cells.iloc[:, :4])


def test_errors_say_what_to_do():
    with pytest.raises(checks.DataError, match=r"rep fit: missing column \['segment'\]"):
        rep_fit.segment_fit(many().drop(columns="segment"))
    with pytest.raises(checks.DataError, match=r"coming: missing column \['owner_id'\]"):
        rep_fit.reassignment(many(), many().drop(columns="owner_id"))
    with pytest.raises(
        checks.ParameterError, match=r"quarters: 0 is no number of quarters\. Give one above 0, such as 4\."
    ):
        rep_fit.reassignment(many(), many(), quarters=0)
