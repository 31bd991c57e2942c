"""Whether skill is told from luck and mix: errors, coverage, calls and ranks of simulated reps, with the error of each.

Run with ``make bench NAME=skill``.
"""

from datetime import date
from functools import partial
from multiprocessing import Pool

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import spearmanr

from salesops import pipeline, rep_performance, skill, skill_funnel, typical_wins
from salesops.crm import sample
from salesops.periods import Period
from salesops.stats import ridge

REPS, TERRITORIES, CALLS, DRAWS = 30, 10, 2_400, 1_600  # more where calls are counted
SEEDS = 100  # sample companies with a planted rep, and as many without
MEAN = 0.28
PLANTED = "U-008"  # `sample.truth().outlier_rep`
EIGHT_QUARTERS = Period("eight quarters", date(2024, 10, 1), date(2026, 9, 30))


def main() -> None:
    print(f"{'what':<62}{'cell':<40}{'figure':>8}{'± 2 se':>9}")
    with Pool(2) as pool:
        companies(pool)
        unlike(pool)
        alike(pool)
        confounded(pool)
        amounts(pool)


def show(what: str, cell: str, found: np.ndarray, over: np.ndarray | float = 1.0) -> None:
    """A mean, or a ratio of means with its linearised error; a report is one draw."""
    found, over = np.asarray(found, dtype=float), np.broadcast_to(np.asarray(over, dtype=float), len(found))
    figure = found.mean() / over.mean()
    error = (found - figure * over).std() / over.mean() / np.sqrt(len(found))
    print(f"{what:<62}{cell:<40}{figure:>8.3f}{2 * error:>9.3f}", flush=True)


def unlike(pool: Pool) -> None:
    """Thirty reps, 8-120 deals each, true rates 28 % with a standard deviation of 5 points."""
    found = pd.DataFrame(pool.imap_unordered(partial(one_company, spread=0.05), range(CALLS), 10))
    cell = "30 reps, 8-120 deals, sd 5 points"
    show("squared error of raw rates over that of pooled ones", cell, found["raw"], found["pooled"])
    show("95 % interval holds the true rate", cell, found["held"])
    show("95 % interval holds the true rate, reps of 8-20 deals", cell, found["small_held"], found["small"])
    show("95 % interval of the spread holds it", cell, found["spread_held"])
    show("95 % rank interval holds the true rank", cell, found["rank_held"])
    show("top-quarter calls a report", cell, found["top"])
    show("top-quarter calls that are right", f"{cell}, {found['top'].sum():.0f}", found["top_right"], found["top"])
    show("bottom-quarter calls that are right", cell, found["bottom_right"], found["bottom"])
    show("chances above 80 % of the top quarter, right", cell, found["likely_right"], found["likely"])
    show("differences found beyond chance", cell, found["beyond"])
    show("outside the widened 99.8 % funnel, a report", cell, found["outside"])


def alike(pool: Pool) -> None:
    found = pd.DataFrame(pool.imap_unordered(partial(one_company, spread=0.0), range(DRAWS), 10))
    cell = "30 identical reps, 8-120 deals"
    show("called in the top or bottom quarter, a report", cell, found["top"] + found["bottom"])
    show("outside the widened 99.8 % funnel, a report", cell, found["outside"])
    show("outside the plain 99.8 % funnel, a report", cell, found["beyond_funnel"])
    show("differences found beyond chance", cell, found["beyond"])


def one_company(seed: int, *, spread: float) -> dict[str, float]:
    random = np.random.default_rng([1, seed])
    rate = np.clip(random.normal(MEAN, spread, REPS), 0.02, 0.9)
    n = random.integers(8, 121, REPS)
    rep = np.repeat(np.arange(REPS), n)
    deals = pd.DataFrame({"owner_id": [f"U{each:02}" for each in rep], "is_won": random.random(len(rep)) < rate[rep]})
    found = skill.win_skill(deals, seed=seed)
    reps, spread_row, plot = found.reps, found.spread.iloc[0], skill_funnel.funnel(found.reps)
    held = reps["comparable_win_rate_low"].le(rate) & reps["comparable_win_rate_high"].ge(rate)
    place = (-rate).argsort().argsort() + 1
    is_top, is_bottom, quarter = reps["call"] == "top quarter", reps["call"] == "bottom quarter", REPS // 4
    likely, small = (reps["top_quarter_probability"] > skill.CALLED) & (reps["n"] >= 20), (n <= 20)
    return {
        "raw": ((reps["win_rate"] - rate) ** 2).mean(), "pooled": ((reps["comparable_win_rate"] - rate) ** 2).mean(),
        "held": held.mean(), "small_held": held[small].sum(), "small": small.sum(),
        "spread_held": spread_row["win_rate_spread_low"] <= spread <= spread_row["win_rate_spread_high"],
        "rank_held": (reps["skill_rank_low"].le(place) & reps["skill_rank_high"].ge(place)).mean(),
        "top": is_top.sum(), "top_right": (is_top & (place <= quarter)).sum(),
        "bottom": is_bottom.sum(), "bottom_right": (is_bottom & (place > REPS - quarter)).sum(),
        "likely": likely.sum(), "likely_right": (likely & (place <= quarter)).sum(),
        "beyond": spread_row["is_beyond_chance"], "outside": plot["is_outside"].sum(),
        "beyond_funnel": plot["is_beyond_chance"].sum(),
    }  # fmt: skip


def confounded(pool: Pool) -> None:
    """Territories are twice, or three times, as unlike as reps: one deviation out they win 18 and 41 %, or 14 and 49 %.

    What adjusting gains over raw rates grows with how unlike the territories are, and with how seldom reps meet there.
    """
    for unlike_by in (0.6, 0.9):
        found = pd.DataFrame(pool.imap_unordered(partial(one_confounded, unlike_by=unlike_by), range(DRAWS), 10))
        cell = f"30 reps sd 0.3, 10 territories {unlike_by}"
        show("rank correlation with true skill, raw", cell, found["raw"])
        show("rank correlation with true skill, adjusted", cell, found["adjusted"])
        show("the gain", cell, found["adjusted"] - found["raw"])
        show("the gain, were every deviation known", cell, found["ideal"] - found["raw"])
        show("the gain, were the territories known as well", cell, found["told"] - found["raw"])
        show("95 % interval of wins over expected wins holds it", cell, found["ratio_held"])
        show("95 % interval of the adjusted rate holds it", cell, found["rate_held"])
        show("calls that are right", cell, found["right"], found["called"])


def one_confounded(seed: int, *, unlike_by: float) -> dict[str, float]:
    deals, chance, own = territories(np.random.default_rng([2, seed]), unlike_by)
    found = skill.win_skill(deals, factors=["territory", "segment"], seed=seed).reps
    rep, territory = (deals[name].str[1:].astype(int).to_numpy() for name in ("owner_id", "territory"))
    home = territory[:, None] == np.arange(TERRITORIES)
    rate = expit(chance[:, None] + own).mean(axis=0)
    won = np.bincount(rep, expit(chance + own[rep]))
    level = level_of(chance, won.sum())
    ratio = won / np.bincount(rep, expit(chance + level))
    place, calls, quarter = (-own).argsort().argsort() + 1, found["call"], REPS // 4
    right = ((calls == "top quarter") & (place <= quarter)) | ((calls == "bottom quarter") & (place > REPS - quarter))
    return {
        "raw": spearmanr(found["win_rate"], own).statistic,
        "adjusted": spearmanr(found["comparable_win_rate"], own).statistic,
        "ideal": spearmanr(best_guess(deals, rep, home * unlike_by), own).statistic,
        "told": spearmanr(best_guess(deals, rep, 1e3 * chance[:, None]), own).statistic,
        "ratio_held": (found["won_ratio_low"].le(ratio) & found["won_ratio_high"].ge(ratio)).mean(),
        "rate_held": (found["comparable_win_rate_low"].le(rate) & found["comparable_win_rate_high"].ge(rate)).mean(),
        "called": calls.notna().sum(), "right": right.sum(),
    }  # fmt: skip


def best_guess(deals: pd.DataFrame, rep: np.ndarray, mix: np.ndarray) -> np.ndarray:
    """Each rep's part at the top of the likelihood, told how far reps and territories differ: no method knows more."""
    segment = (deals["segment"].to_numpy()[:, None] == ["SMB", "Mid", "Large"]) * 0.4
    columns = np.column_stack([(rep[:, None] == np.arange(REPS)) * 0.3, segment, mix])
    return ridge.fit(columns, deals["is_won"], penalty=1.0).coefficients[1 : REPS + 1]


def territories(random: np.random.Generator, unlike_by: float) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Three reps to a territory, a fifth of their deals elsewhere; territories and segments win at their own rates."""
    own = random.normal(0, 0.3, REPS)
    rep = np.repeat(np.arange(REPS), random.integers(40, 121, REPS))
    home = rep % TERRITORIES
    territory = np.where(random.random(len(rep)) < 0.8, home, random.integers(0, TERRITORIES, len(rep)))
    easy, segment = random.normal(0, unlike_by, TERRITORIES), random.integers(0, 3, len(rep))
    chance = logit(MEAN) + easy[territory] + np.array([0.4, 0.0, -0.4])[segment]
    deals = pd.DataFrame({
        "owner_id": [f"U{each:02}" for each in rep], "territory": [f"T{each}" for each in territory],
        "segment": np.array(["SMB", "Mid", "Large"])[segment],
        "is_won": random.random(len(rep)) < expit(chance + own[rep]),
    })  # fmt: skip
    return deals, chance, own


def level_of(chance: np.ndarray, total: float) -> float:
    level = 0.0
    for _ in range(30):
        p = expit(chance + level)
        level += (total - p.sum()) / (p * (1 - p)).sum()
    return level


def companies(pool: Pool) -> None:
    """The sample at its default size, eight quarters, renewals apart: one rep in forty wins 26 points more often."""
    for null in (False, True):
        found = pd.DataFrame(pool.imap_unordered(partial(one_sample, null=null), range(SEEDS), 2))
        cell = "null sample" if null else "sample with its planted rep"
        show("the planted rep is called", cell, found["planted"])
        show("the planted rep is called and nobody else", cell, found["alone"])
        show("anybody else is called, a company", cell, found["others"])
        show("nobody is called", cell, found["nobody"])
        show("differences found beyond chance", cell, found["beyond"])
        show("deals of the rep (planted in the one)", cell, found["n"])
        show("wins of the rep over expected wins, as seen", cell, found["won"], found["expected"])


def one_sample(seed: int, *, null: bool) -> dict[str, float]:
    tables = sample.tables(seed=seed, null=null)
    deals = tables["opportunities"].query("opportunity_type != 'renewal'")
    deals = rep_performance.credited(deals, stage_history=tables["stage_history"], reps=tables["reps"])
    found = skill.win_skill(pipeline.closed_in(pipeline.qualified(deals), EIGHT_QUARTERS), seed=seed)
    planted = found.reps["owner_id"] == PLANTED
    called = found.reps["call"].notna()
    return {
        "planted": (called & planted).sum(), "others": (called & ~planted).sum(), "nobody": ~called.any(),
        "alone": (called & planted).any() & ~(called & ~planted).any(),
        "beyond": found.spread["is_beyond_chance"].iloc[0],
        **found.reps.loc[planted, ["n", "won_count", "expected_win_count"]].iloc[0].set_axis(["n", "won", "expected"]),
    }  # fmt: skip


def amounts(pool: Pool) -> None:
    for deviation in (0.2, 0.0):
        found = pd.DataFrame(pool.imap_unordered(partial(one_amount, deviation=deviation), range(DRAWS), 20))
        cell = f"30 reps, 3-40 wins, log sd 1, reps {deviation}"
        show("squared error of raw log amounts over pooled ones", cell, found["raw"], found["pooled"])
        show("95 % interval holds the typical amount", cell, found["held"])
        show("differences found beyond chance", cell, found["beyond"])


def one_amount(seed: int, *, deviation: float) -> dict[str, float]:
    """Reps of one territory in three; amounts differ by territory as well."""
    random = np.random.default_rng([3, seed])
    own = random.normal(0, deviation, REPS)
    rep = np.repeat(np.arange(REPS), random.integers(3, 41, REPS))
    territory = np.where(random.random(len(rep)) < 0.8, rep % 5, random.integers(0, 5, len(rep)))
    of_territory = random.normal(0, 0.3, 5)[territory]
    log = 10 + of_territory + own[rep] + random.normal(0, 1, len(rep))
    deals = pd.DataFrame({
        "owner_id": [f"U{each:02}" for each in rep], "territory": [f"T{each}" for each in territory],
        "is_won": True, "amount": np.exp(log),
    })  # fmt: skip
    reps, spread = typical_wins.won_amounts(deals, factors=["territory"])
    truth = 10 + of_territory.mean() + own
    inside = reps["typical_won_amount_low"].le(np.exp(truth)) & reps["typical_won_amount_high"].ge(np.exp(truth))
    return {
        "raw": ((np.bincount(rep, log) / np.bincount(rep) - truth) ** 2).mean(),
        "pooled": ((np.log(reps["typical_won_amount"]) - truth) ** 2).mean(),
        "held": inside.mean(), "beyond": spread["is_beyond_chance"].iloc[0],
    }  # fmt: skip


if __name__ == "__main__":
    main()
