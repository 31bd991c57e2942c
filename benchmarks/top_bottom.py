"""Whether what the top do differently is told from luck: errors among identical reps and what is found, with the error.

Run with ``make bench NAME=top_bottom``.
"""

import sys
from datetime import date
from functools import partial
from multiprocessing import Pool

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from salesops import top_bottom
from salesops.periods import Period

DRAWS, REPS, MEAN = 1_600, 30, 0.28
EARLIER, LATER = (Period(str(year), date(year, 1, 1), date(year, 12, 31)) for year in (2025, 2026))
CELLS = {  # deviation of skill in log odds, of meetings with it, and draws: fewer where no error is counted
    "identical reps": (0.0, 0.0, DRAWS),
    "reps differ, habits do not": (0.3, 0.0, DRAWS),
    "meetings go with skill": (0.3, 0.3, DRAWS // 4),
    "much skill, much meetings": (0.5, 0.4, DRAWS // 4),
}


def main(share: float = 1.0) -> None:
    print(f"{'what':<70}{'cell':<28}{'figure':>8}{'± 2 se':>9}")
    with Pool(2) as pool:
        for cell, (spread, habit, draws) in CELLS.items():
            seeds = range(int(draws * share))
            found = pd.DataFrame(pool.imap_unordered(partial(one_company, spread=spread, habit=habit), seeds, 10))
            for what in found:
                show(what, cell, found[what])


def show(what: str, cell: str, found: pd.Series) -> None:
    error = 2 * found.astype(float).std() / np.sqrt(found.notna().sum())
    print(f"{what:<70}{cell:<28}{found.mean():>8.3f}{error:>9.3f}", flush=True)


def one_company(seed: int, *, spread: float, habit: float) -> dict[str, float]:
    """Reps of 40-120 deals a year, two to a company; winning is by skill, and skill goes with meetings or does not."""
    random = np.random.default_rng([1, seed])
    own = random.normal(0, 1, REPS)
    chance, keen = logit(MEAN) + spread * own, np.exp(habit * own + random.normal(0, 0.2, REPS))
    before, after = (year_of_deals(random, chance) for _ in range(2))
    habits = year_of_habits(random, after, keen, is_led_by_wins=spread == 0)
    groups = top_bottom.score_groups(before, draws=100, seed=seed)
    always = groups._replace(spread=groups.spread.assign(is_beyond_chance=True))
    table, blunt = (top_bottom.compare(each, habits, earlier=EARLIER, later=LATER) for each in (groups, always))
    same = top_bottom.compare(by_same_year(after), habits, earlier=EARLIER, later=LATER)
    rest = table["behaviour"] != "meetings_held"
    if habit:
        return {
            "groups told apart": groups.spread["is_beyond_chance"].iloc[0],
            "meetings named": table.loc[~rest, "is_named"].any(),
            "meetings named, groups taken without being told apart": blunt.loc[~rest, "is_named"].any(),
            "another habit named": table.loc[rest, "is_named"].any(),
            "standard gap of meetings, mean": blunt.loc[~rest, "standard_behaviour_gap"].iloc[0],
        }
    return {
        "groups told apart": groups.spread["is_beyond_chance"].iloc[0],
        "anything named": table["is_named"].any(),
        "anything named, groups taken without being told apart": blunt["is_named"].any(),
        "a habit's p-value under 5 %, groups taken so": (blunt["p_value"] < 0.05).mean(),
        "anything named, groups by raw rates of the same year": same["is_named"].any(),
    }


def year_of_deals(random: np.random.Generator, chance: np.ndarray) -> pd.DataFrame:
    rep = np.repeat(np.arange(REPS), random.integers(40, 121, REPS))
    account = rep * 100 + random.integers(0, np.bincount(rep)[rep] // 2)
    effect = random.normal(0, 0.5, REPS * 100)
    won = random.random(len(rep)) < expit(chance[rep] + effect[account])
    return pd.DataFrame({"owner_id": np.array([f"U{each:02}" for each in range(REPS)])[rep], "is_won": won})


def year_of_habits(random, deals: pd.DataFrame, keen: np.ndarray, *, is_led_by_wins: bool) -> pd.DataFrame:
    """What each rep does; a deal that is won lives longer and sees more of everything, where wins lead."""
    rep, led = deals["owner_id"].str[1:].astype(int).to_numpy(), deals["is_won"].to_numpy() * is_led_by_wins
    n = np.bincount(rep, minlength=REPS)
    met = np.bincount(rep, random.poisson(2 * keen[rep] + 6 * led), REPS)
    style = np.exp(random.normal(0, 0.3, (2, REPS)))
    return pd.DataFrame({
        "owner_id": [f"U{each:02}" for each in range(REPS)], "meetings_held": met / 12,
        "early_meeting_rate": np.bincount(rep, random.random(len(rep)) < 0.3 + 0.3 * led, REPS) / n,
        "contacts_per_deal": np.bincount(rep, 1 + random.poisson(1 + 2 * led), REPS) / n,
        "calls": random.poisson(120 * style[0]) / 12, "emails": random.poisson(240 * style[1]) / 12,
        "won_discount_rate": np.clip(random.normal(0.15, 0.03, REPS), 0, 1),
    })  # fmt: skip


def by_same_year(after: pd.DataFrame) -> top_bottom.Groups:
    """The usual way: a third with the best and a third with the worst win rate of the very period that is looked at."""
    order = after.groupby("owner_id")["is_won"].mean().sort_values().index
    third = len(order) // 3
    group = ["bottom"] * third + [None] * (len(order) - 2 * third) + ["top"] * third
    spread = pd.DataFrame([{"is_beyond_chance": True, "n_top": third, "n_bottom": third}])
    return top_bottom.Groups(pd.DataFrame({"owner_id": order, "group": group}), spread)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)
