"""Typical amounts and cycles: hand-worked means, the mix taken out, coverage, and what cannot be told."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from conftest import deals as conformed

from salesops import checks, typical_wins
from salesops.periods import Period
from salesops.stats import pooling


def won(amounts: dict, **columns) -> pd.DataFrame:
    rows = [(rep, amount) for rep, values in amounts.items() for amount in values]
    return pd.DataFrame(rows, columns=["owner_id", "amount"]).assign(is_closed=True, is_won=True, **columns)


def simulated(seed: int, deviation: float) -> tuple[pd.DataFrame, np.ndarray]:
    """Twelve reps in four territories of unlike amounts, four deals in five at home."""
    rng = np.random.default_rng(seed)
    own, rep = rng.normal(0, deviation, 12), np.repeat(np.arange(12), rng.integers(5, 40, 12))
    at = np.where(rng.random(len(rep)) < 0.8, rep % 4, rng.integers(0, 4, len(rep)))
    level = rng.normal(0, 0.5, 4)[at]
    log = 9 + level + own[rep] + rng.normal(0, 0.8, len(rep))
    frame = pd.DataFrame({"owner_id": [f"{each:02}" for each in rep], "territory": [f"T{each}" for each in at]})
    return frame.assign(is_won=True, amount=np.exp(log)), np.exp(9 + level.mean() + own)


def test_many_deals_keep_their_geometric_mean():
    found = typical_wins.won_amounts(
        won({"a": [50.0, 200.0] * 400, "b": [100.0, 400.0] * 400, "c": [20.0, 80.0] * 400})
    )
    assert found.reps["typical_won_amount"].to_numpy() == pytest.approx([100, 200, 40], rel=0.01)
    assert found.reps["n"].tolist() == [800] * 3 and found.spread["is_beyond_chance"].all()


def test_the_mix_is_taken_out():
    """Amounts are ten times higher for the large; rep a sells to them only one time in five, rep b four."""
    amounts = {"a": [100.0, 110, 90, 105, 1000] * 20, "b": [1000.0, 1100, 900, 1050, 100] * 20, "c": [100.0, 1000] * 50}
    segment = np.where(np.concatenate(list(amounts.values())) > 500, "large", "small")
    found = typical_wins.won_amounts(won(amounts, segment=segment))
    assert np.ptp(np.log(found.reps["typical_won_amount"])) < 0.1 and found.spread["p_value"].iloc[0] > 0.02
    raw = typical_wins.won_amounts(won(amounts), factors=[])
    assert np.ptp(np.log(raw.reps["typical_won_amount"])) > 1


def test_without_a_mix_it_is_the_normal_hierarchy_of_the_means():
    frame, _ = simulated(5, 0.3)
    logs = np.log(frame["amount"]).groupby(frame["owner_id"])
    error = np.sqrt(((logs.size() - 1) * logs.var()).sum() / (len(frame) - 12) / logs.size())
    by_hand = np.exp(pooling.pooled_means(logs.mean(), error, power=1.0))
    found = typical_wins.won_amounts(frame, factors=[]).reps
    assert found.filter(like="typical").to_numpy() == pytest.approx(by_hand.to_numpy())


def test_the_p_value_is_that_of_nested_models():
    frame, _ = simulated(3, 0.05)
    small, large = (smf.ols(f"np.log(amount) ~ {of}", frame).fit() for of in ("territory", "territory + owner_id"))
    found = typical_wins.won_amounts(frame, factors=["territory"]).spread["p_value"].iloc[0]
    assert found == pytest.approx(large.compare_f_test(small)[1], rel=1e-6) and found > 1e-3


def test_limits_hold_the_truth():
    """The benchmark has 1,600 reports of thirty reps."""
    held, raw, pooled = [], 0.0, 0.0
    for seed in range(60):
        frame, truth = simulated(seed, 0.3)
        found = typical_wins.won_amounts(frame, factors=["territory"]).reps
        held.append(found["typical_won_amount_low"].le(truth) & found["typical_won_amount_high"].ge(truth))
        seen = np.log(frame["amount"]).groupby(frame["owner_id"]).mean().to_numpy()
        raw, pooled = (
            raw + ((seen - np.log(truth)) ** 2).sum(),
            pooled + (np.log(found["typical_won_amount"] / truth) ** 2).sum(),
        )
    assert np.mean(held) == pytest.approx(0.945, abs=0.03) and raw / pooled > 2


def test_days_count_from_creation_and_never_below_one():
    rows = [
        ("r1", "2026-05-01", "2026-05-11"),
        ("r2", "2026-05-01", "2026-05-01"),
        ("r3", "2026-05-03", "2026-05-01"),
    ] * 8
    frame = conformed([{"owner_id": rep, "created_date": begun, "close_date": ended} for rep, begun, ended in rows])
    found = typical_wins.won_cycles(frame, factors=[])
    assert found.reps["n"].tolist() == [8, 8, 0] and found.spread["n"].iloc[0] == 16
    more = conformed(
        [
            {"owner_id": f"r{n}", "created_date": "2026-05-01", "close_date": f"2026-05-{d}"}
            for n in range(3)
            for d in (11, 21)
        ]
    )
    assert typical_wins.won_cycles(more).reps["typical_won_days"].to_numpy() == pytest.approx([np.sqrt(200)] * 3)


def test_what_cannot_be_told_is_missing(no_deals, one_won):
    for frame in (no_deals, one_won):
        for found in (typical_wins.won_amounts(frame), typical_wins.won_cycles(frame)):
            assert len(found.reps) == len(frame) and found.reps.filter(like="typical").isna().all(axis=None)
            assert found.spread["p_value"].isna().all() and not found.spread["is_beyond_chance"].any()
    lost = won({"a": [1.0, 2.0], "b": [0.0, np.nan], "c": [3.0, 4.0], "d": [3.0, 9.0]})
    assert typical_wins.won_amounts(lost).reps["n"].tolist() == [2, 0, 2, 2]
    assert typical_wins.won_amounts(lost.assign(is_won=False)).reps.empty
    with pytest.raises(checks.DataError, match=r"typical_wins: missing column \['amount'\]"):
        typical_wins.won_amounts(lost.drop(columns="amount"))
    with pytest.raises(checks.DataError, match=r"typical_wins: missing columns \['created_date', 'close_date'\]"):
        typical_wins.won_cycles(lost)


def test_what_differs_is_said_for_reps_and_teams(no_deals):
    year = Period("2026", date(2026, 1, 1), date(2026, 12, 31))
    frame = won({"a": [50.0, 200.0] * 60, "b": [100.0, 400.0] * 60, "c": [20.0, 80.0] * 60})
    frame = frame.assign(created_date=pd.Timestamp("2026-01-01"), close_date=pd.Timestamp("2026-01-01"))
    days = pd.to_timedelta(np.random.default_rng(0).integers(5, 50, len(frame)), unit="D")
    frame["close_date"] += days
    amounts, cycles = typical_wins.won_amounts(frame).spread, typical_wins.won_cycles(frame).spread
    assert typical_wins.difference_sentences(amounts, cycles, year) == [
        "Given the deals they had, 3 reps differ in 2026 in the amounts they win by more than chance would make them.",
        "Given the deals they had, 3 reps differ in 2026 in the days they take to win no more than chance would make them.",
    ]
    none = typical_wins.won_amounts(no_deals).spread
    assert typical_wins.difference_sentences(none, none, year, who="teams") == [
        "In 2026 teams have won too few deals to compare the amounts they win.",
        "In 2026 teams have won too few deals to compare the days they take to win.",
    ]
    teams = typical_wins.won_amounts(frame.assign(team=frame["owner_id"].str.upper()), by="team").reps
    assert teams["team"].tolist() == ["A", "B", "C"]
    same = typical_wins.won_amounts(frame).reps.filter(like="typical")
    pd.testing.assert_frame_equal(teams.filter(like="typical"), same)


def test_the_amount_is_no_factor_of_itself():
    frame = won({"a": [50.0, 200.0] * 30, "b": [100.0, 400.0] * 30, "c": [20.0, 80.0] * 30})
    pd.testing.assert_frame_equal(
        typical_wins.won_amounts(frame).reps, typical_wins.won_amounts(frame, factors=[]).reps
    )
