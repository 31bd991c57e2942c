"""Skill apart from luck and mix: hand-worked counts, the sample's planted rep, simulated reps and errors."""

from datetime import date
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import spearmanr

from salesops import checks, pipeline, rep_performance, skill, skill_funnel
from salesops.crm import sample
from salesops.periods import Period

YEAR = Period("2026", date(2026, 1, 1), date(2026, 12, 31))
TWO_YEARS = Period("two years", date(2024, 10, 1), date(2026, 9, 30))


def closed(won: dict, **columns) -> pd.DataFrame:
    """Deals of each rep: {rep: (won, closed)}."""
    rows = [(rep, number < hits) for rep, (hits, n) in won.items() for number in range(n)]
    return pd.DataFrame(rows, columns=["owner_id", "is_won"]).assign(is_closed=True, **columns)


@cache
def company(null: bool = False, seed: int = 0) -> tuple[pd.DataFrame, str | None]:
    """The sample's closed deals of two years with their credit, renewals apart, and the rep who is planted."""
    tables = sample.tables(null=null, seed=seed)
    deals = tables["opportunities"].query("opportunity_type != 'renewal'")
    deals = rep_performance.credited(deals, stage_history=tables["stage_history"], reps=tables["reps"])
    return pipeline.closed_in(pipeline.qualified(deals), TWO_YEARS), sample.truth(null=null, seed=seed).outlier_rep


def test_the_planted_rep_of_the_sample_is_called_and_nobody_else():
    deals, planted = company()
    found = skill.win_skill(deals)
    called = found.reps[found.reps["call"].notna()]
    assert called[["owner_id", "call"]].values.tolist() == [[planted, "top quarter"]]
    assert found.spread["is_beyond_chance"].all() and called["won_ratio_low"].iloc[0] > 1
    assert found.reps["expected_win_count"].sum() == pytest.approx(deals.loc[deals["owner_id"].notna(), "is_won"].sum())


def test_the_null_company_calls_nobody():
    found = skill.win_skill(company(null=True)[0])
    assert found.reps["call"].isna().all() and not found.spread["is_beyond_chance"].any()


def test_counts_and_expectation_by_hand():
    """Without a factor everybody's expectation is the common rate, 30 of 100."""
    found = skill.win_skill(closed({"a": (5, 20), "b": (10, 50), "c": (15, 30)}))
    assert found.reps["n"].tolist() == [20, 50, 30] and found.reps["won_count"].tolist() == [5, 10, 15]
    assert found.reps["expected_win_count"].to_numpy() == pytest.approx([6, 15, 9])
    assert found.reps["win_rate"].tolist() == [0.25, 0.2, 0.5]
    assert found.reps["won_ratio"].to_numpy() * 0.3 == pytest.approx(found.reps["comparable_win_rate"].to_numpy())
    assert 0.2 < found.reps["comparable_win_rate"][1] < 0.3 < found.reps["comparable_win_rate"][2] < 0.5


def test_expectation_follows_the_mix():
    """Both reps win half of the easy deals and a tenth of the hard ones; one has four easy ones in five."""
    easy = [("a", "easy", 80, 40), ("a", "hard", 20, 2), ("b", "easy", 20, 10), ("b", "hard", 80, 8)]
    rows = [(rep, segment, number < won) for rep, segment, n, won in easy for number in range(n)]
    deals = pd.DataFrame(rows * 5, columns=["owner_id", "segment", "is_won"])
    found = skill.win_skill(deals, factors=["segment"]).reps
    assert found["expected_win_count"].to_numpy() == pytest.approx([210, 90], rel=0.04)
    assert found["comparable_win_rate"].to_numpy() == pytest.approx([0.3, 0.3], abs=0.03)
    alone = skill.win_skill(deals, factors=[]).reps
    assert alone["expected_win_count"].to_numpy() == pytest.approx([150, 150]) and alone["won_ratio"][0] > 1.25


def test_skill_is_ranked_better_than_by_raw_rates_where_territories_differ():
    gains, rng = [], np.random.default_rng(0)
    for _ in range(6):
        own = rng.normal(0, 0.3, 30)
        rep = np.repeat(np.arange(30), 80)
        home = np.where(rng.random(2400) < 0.8, rep % 10, rng.integers(0, 10, 2400))
        chance = expit(-1 + rng.normal(0, 0.7, 10)[home] + own[rep])
        deals = pd.DataFrame({"owner_id": [f"{each:02}" for each in rep], "territory": [f"T{each}" for each in home]})
        found = skill.win_skill(deals.assign(is_won=rng.random(2400) < chance), draws=200).reps
        gains.append(spearmanr(found["comparable_win_rate"], own)[0] - spearmanr(found["win_rate"], own)[0])
    assert np.mean(gains) > 0.15


def test_a_rep_with_few_deals_is_drawn_in_and_never_called():
    deals = closed({f"r{number}": (24, 80) for number in range(8)} | {"star": (60, 80), "lucky": (15, 15)})
    found = skill.win_skill(deals).reps.set_index("owner_id")
    assert found["call"].dropna().to_dict() == {"star": "top quarter"}
    assert found.loc["lucky", "comparable_win_rate"] < 0.9
    assert skill.win_skill(deals, min_n=81).reps["call"].isna().all()
    bottom = skill.win_skill(closed({f"r{number}": (24, 80) for number in range(8)} | {"low": (2, 80)})).reps
    assert bottom.set_index("owner_id")["call"].dropna().to_dict() == {"low": "bottom quarter"}


def test_identical_reps_are_never_called():
    found = skill.win_skill(closed({f"r{number}": (20, 60) for number in range(12)}))
    assert found.reps["call"].isna().all() and not found.spread["is_beyond_chance"].any()
    assert found.reps[["top_quarter_probability", "bottom_quarter_probability"]].sum().to_numpy() == pytest.approx(
        [3, 3]
    )
    assert (found.reps["skill_rank_low"] <= 2).all() and (found.reps["skill_rank_high"] >= 11).all()


def test_simulated_reps_have_less_error_and_limits_that_hold():
    """The benchmark has 2,000 such reports."""
    held, raw, pooled, rng = [], 0.0, 0.0, np.random.default_rng(7)
    for _ in range(15):
        rate, n = rng.normal(0.28, 0.05, 30), rng.integers(8, 121, 30)
        won = rng.binomial(n, rate)
        found = skill.win_skill(
            closed({f"{i:02}": each for i, each in enumerate(zip(won, n, strict=True))}), draws=100
        ).reps
        held.append(found["comparable_win_rate_low"].le(rate) & found["comparable_win_rate_high"].ge(rate))
        raw += ((found["win_rate"] - rate) ** 2).sum()
        pooled += ((found["comparable_win_rate"] - rate) ** 2).sum()
    assert np.mean(held) == pytest.approx(0.95, abs=0.035) and raw / pooled > 2.0


def test_an_unknown_owner_is_a_row_and_compares_with_nobody():
    known = closed({"a": (5, 20), "b": (10, 30)})
    lost = closed({"?": (8, 10)}).assign(owner_id=None)
    found, alone = skill.win_skill(pd.concat([known, lost], ignore_index=True)), skill.win_skill(known)
    row = found.reps[found.reps["owner_id"].isna()].iloc[0]
    assert (row["n"], row["won_count"]) == (10, 8) and np.isnan(row["comparable_win_rate"])
    pd.testing.assert_frame_equal(found.reps.dropna(subset="owner_id"), alone.reps)
    pd.testing.assert_frame_equal(found.spread, alone.spread)


def test_open_deals_do_not_count_and_nothing_gives_nothing(no_deals, all_open, one_won):
    deals = closed({"a": (5, 20), "b": (10, 30)})
    more = pd.concat([deals, deals.assign(is_closed=False)], ignore_index=True)
    pd.testing.assert_frame_equal(skill.win_skill(more).reps, skill.win_skill(deals).reps)
    for empty in (no_deals, all_open):
        found = skill.win_skill(empty)
        assert found.reps.empty and found.spread[["n", "n_reps"]].values.tolist() == [[0, 0]]
        assert set(found.reps) == set(skill.win_skill(deals).reps)
    one = skill.win_skill(one_won)
    assert one.reps["call"].isna().all() and one.spread["win_rate_spread"].isna().all()
    assert skill.win_skill(closed({"a": (0, 9), "b": (0, 9)})).reps["won_ratio"].isna().all()


def test_a_fact_that_goes_with_one_rep_is_not_held_against_him():
    """Each rep has a territory alone; judged by it the best would be as expected."""
    deals = closed({"a": (45, 60), "b": (20, 60), "c": (19, 60), "d": (21, 60)})
    deals = deals.assign(
        territory=deals["owner_id"].str.upper(), region=["x", "y"] * 120, product="one", lead_source=None
    )
    table = skill.mix_factors(deals).set_index("factor")
    assert table["reason"].to_dict() | {"region": None} == {
        "product": "has one value only", "region": None, "territory": "is mostly one rep's", "lead_source": "has one value only",
    }  # fmt: skip
    assert pd.isna(table.loc["region", "reason"]) and table.loc["territory", "own_rate"] == 1
    assert skill.win_skill(deals).reps["call"].tolist()[0] == "top quarter"
    assert skill.closed_deals(deals)[1] == ["region"]
    rare = deals.assign(territory=["n", "s", None, None, None] * 48)
    assert skill.mix_factors(rare, factors=["territory"])["reason"].tolist() == ["is too rarely filled"]


def test_levels_of_which_one_rep_has_most_count_by_their_deals():
    """Of 100 deals 30 lie in a region one rep has nearly alone: at the bound; 40 are beyond it."""
    rows = [("a", "east"), ("b", "east")] * 35 + [("a", "west")] * 30
    deals = pd.DataFrame(rows, columns=["owner_id", "region"])
    assert skill.mix_factors(deals).iloc[0][["n", "own_rate"]].tolist() == [100, 0.3]
    assert skill.mix_factors(deals)["reason"].isna().all()
    more = pd.concat([deals, deals.tail(10)])
    assert skill.mix_factors(more)["reason"].tolist() == ["is mostly one rep's"]


def test_missing_columns_are_named():
    with pytest.raises(checks.DataError, match=r"skill: missing column \['is_won'\]"):
        skill.win_skill(pd.DataFrame({"owner_id": ["a"]}))
    with pytest.raises(checks.DataError, match=r"skill: missing column \['segmnt'\].*Did you mean 'segment'"):
        skill.win_skill(closed({"a": (1, 2)}, segment="x"), factors=["segmnt"])
    with pytest.raises(checks.DataError, match="missing columns"):
        skill.call_sentences(pd.DataFrame({"name": ["a"]}))


def test_calls_are_said_in_every_case():
    calls = ["top quarter", "bottom quarter", "top quarter", "top quarter"]
    reps = pd.DataFrame({"name": ["Ann", "Bo", "Cy", "Di"], "call": calls, "n_compared": 16})
    assert skill.call_sentences(reps) == [
        "Ann, Cy and Di are in the top quarter of 16 reps by wins from the same deals, each with a chance above 80 %.",
        "Bo is in the bottom quarter of 16 reps by wins from the same deals, with a chance above 80 %.",
    ]
    assert skill.call_sentences(reps.assign(call=None), who="teams") == [
        "Of none of 16 teams can it be said that they are in the top or the bottom quarter."
    ]
    few = ["Fewer than four reps closed deals: too few for a top and a bottom quarter."]
    assert skill.call_sentences(reps.iloc[:0]) == few
    three = skill.win_skill(closed({"a": (10, 80), "b": (11, 80), "c": (60, 80)}))
    assert three.reps["call"].isna().all() and three.spread["is_beyond_chance"].all()
    for count in (1, 3, 4):
        found = skill.win_skill(closed({f"r{number}": (9, 30) for number in range(count)})).reps
        said = skill.call_sentences(found, label="owner_id")
        assert (said == few) == (count < 4)
    unknown = skill.win_skill(closed({"?": (9, 30)}).assign(owner_id=None)).reps
    assert skill.call_sentences(unknown, label="owner_id") == few


def test_differences_are_said_in_every_case():
    deals, _ = company()
    found = skill.win_skill(deals).spread
    assert found["n_apart"].tolist() == [1]
    assert skill.difference_sentence(found, YEAR) == (
        f"Given the same deals, one of {found['n_reps'].iloc[0]} reps differs from the others by more than chance in 2026; "
        "the others differ no more than chance would make them."
    )
    null = skill.win_skill(company(null=True)[0]).spread
    assert null["n_apart"].tolist() == [0] and "no larger than chance" in skill.difference_sentence(null, YEAR)
    none = skill.win_skill(deals.iloc[:0]).spread
    assert (
        skill.difference_sentence(none, YEAR)
        == "Fewer than two reps closed deals in 2026, so there are none to compare."
    )
    half = skill.win_skill(closed({f"r{number}": (12 + 36 * (number % 2), 80) for number in range(8)})).spread
    assert half["n_apart"].iloc[0] > 1
    assert skill.difference_sentence(half, YEAR).startswith(
        "Reps truly differ in 2026: given the same deals, two thirds"
    )
    wide = half.assign(n_reps=40, n_apart=3)
    assert skill.difference_sentence(wide, YEAR, who="teams").startswith(
        "Given the same deals, 3 of 40 teams differ from"
    )


def test_teams_are_compared_as_reps_are():
    """Of six teams one wins half, and is called; a fact that is one team's own is not held against it."""
    won = {"East": (150, 300)} | {f"team {number}": (80, 300) for number in range(5)}
    teams = closed(won).rename(columns={"owner_id": "team"})
    teams = teams.assign(owner_id="U1", region=teams["team"].str.upper(), segment=["SMB", "Mid"] * 900)
    found = skill.win_skill(teams, by="team")
    assert found.reps["team"].tolist() == sorted(won) and found.spread["n_reps"].tolist() == [6]
    assert found.reps.set_index("team")["call"].dropna().to_dict() == {"East": "top quarter"}
    assert skill.closed_deals(teams, by="team")[1] == ["segment"]
    said = skill.call_sentences(found.reps, label="team", who="teams")
    assert said == ["East is in the top quarter of 6 teams by wins from the same deals, with a chance above 80 %."]
    same = skill.win_skill(teams.assign(owner_id=teams["team"]), factors=["segment"]).reps.rename(
        columns={"owner_id": "team"}
    )
    pd.testing.assert_frame_equal(found.reps, same)
    assert skill.win_skill(teams, factors=["segment"]).spread["n_reps"].tolist() == [1]
    assert skill_funnel.funnel(found.reps, by="team")["team"].tolist() == sorted(won)
    with pytest.raises(checks.DataError, match=r"skill: missing column \['tem'\].*Did you mean 'team'"):
        skill.win_skill(teams, by="tem")


def test_a_territory_without_an_effect_takes_nothing_from_its_best_rep():
    """Twelve territories win alike, two reps in each; one rep is better. Nearly all of it is laid to the rep."""
    rng = np.random.default_rng(3)
    rep, own = np.repeat(np.arange(24), 80), np.r_[1.2, np.zeros(23)]
    deals = pd.DataFrame({"owner_id": [f"{each:02}" for each in rep], "territory": [f"T{each % 12}" for each in rep]})
    deals = deals.assign(is_won=rng.random(len(rep)) < expit(-1 + own[rep]))
    found = skill.win_skill(deals, factors=["territory"]).reps
    alone = skill.win_skill(deals, factors=[]).reps
    assert found.loc[0, "call"] == "top quarter" and found["call"].notna().sum() == 1
    assert found.loc[0, "expected_win_count"] < 1.1 * alone.loc[0, "expected_win_count"]
    assert found.loc[0, "won_ratio"] > 0.85 * alone.loc[0, "won_ratio"]


COUNTS = st.lists(
    st.integers(1, 40).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1, max_size=6
)


@settings(max_examples=25, deadline=None)
@given(COUNTS)
def test_tables_keep_their_promises(counts):
    deals = closed({f"r{number}": each for number, each in enumerate(counts)}, segment="one")
    before, found = deals.copy(), skill.win_skill(deals, draws=100)
    pd.testing.assert_frame_equal(deals, before)
    reps = found.reps
    assert reps["n"].sum() == len(deals) == found.spread["n"].iloc[0] and len(reps) == len(counts)
    for name in ("won_ratio", "comparable_win_rate", "skill_rank", "win_rate"):
        known = reps[reps[name].notna()]
        assert (known[f"{name}_low"] <= known[name] + 1e-9).all() and (
            known[name] <= known[f"{name}_high"] + 1e-9
        ).all()
    assert reps["comparable_win_rate_low"].ge(0).all() and reps["comparable_win_rate_high"].le(1).all()
    shuffled = skill.win_skill(deals.sample(frac=1, random_state=1), draws=100).reps
    pd.testing.assert_frame_equal(reps, shuffled)
