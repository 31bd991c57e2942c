"""How often a change that did nothing is said to have worked, how often intervals hold the truth, what is found.

Run with ``make bench NAME=before_after``.
"""

from collections import Counter
from datetime import date
from multiprocessing import Pool
from typing import NamedTuple

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from salesops import before_after
from salesops.crm import sample

DRAWS, POWER_DRAWS, SEEDS = 1_600, 400, 40
DAYS, MONTH = 120, 365.25 / 12
CHANGE = pd.Timestamp("2026-01-01")
WITHOUT_MIX = ("segment", "type", "sponsor", "partner", "product", "rep", "competitor", "ramp")


class Cell(NamedTuple):
    """A company: usable months before and after, deals a month, and what moves their chance of being won."""

    name: str
    before: int = 24
    after: int = 16
    each: int = 100
    trend: float = 0.0  # a month
    season: float = 0.0  # amplitude over the year
    months: float = 0.0  # standard deviation of a month's own chance
    alike: float = 0.0  # autocorrelation of neighbouring months
    accounts: float = 0.0  # how far an account's own chance lies above or below
    repeats: int = 3  # deals an account
    share: float = 1.0  # of deals the change is for
    effect: float = 0.0


SERIES = [
    Cell("nothing else moves"),
    Cell("a trend", trend=0.002),
    Cell("a season", season=0.04),
    Cell("months differ", months=0.04),
    Cell("months differ, neighbours alike 0.4", months=0.04, alike=0.4),
    Cell("months differ, neighbours alike 0.7", months=0.04, alike=0.7),
    Cell("accounts differ, 12 deals each", accounts=0.12, repeats=12),
    Cell("all at once", trend=0.002, season=0.04, months=0.03, alike=0.3, accounts=0.12),
    Cell("short: 10 and 8 months, 40 deals", before=10, after=8, each=40, months=0.03),
]
PAIRS = [
    Cell("nothing else moves", share=0.4),
    Cell("both have a trend and a season", share=0.4, trend=0.002, season=0.04),
    Cell("months differ by group", share=0.4, months=0.04),
    Cell("accounts differ, 12 deals each", share=0.4, accounts=0.12, repeats=12),
    Cell("all at once", share=0.4, trend=0.002, season=0.04, months=0.03, accounts=0.12),
    Cell("short: 10 and 8 months, 40 deals", before=10, after=8, each=40, share=0.5, months=0.03),
]


def main() -> None:
    with Pool(2, threadpool_limits, [1]) as pool:
        for design, cells in (("interrupted series", SERIES), ("difference in differences", PAIRS)):
            print(f"{design:<50}{'cover':>8}{'± 2 se':>8}{'named with no effect':>22}{'± 2 se':>8}{'length':>8}")
            for cell, found in zip(cells, pool.starmap(measured, [(cell, DRAWS, 1) for cell in cells], 1), strict=True):
                show(cell.name, found["covered"], DRAWS, found["named"], DRAWS, found["length"])
            print(f"\n{design:<50}{'cover':>8}{'± 2 se':>8}{'named at +8 points':>22}{'± 2 se':>8}{'length':>8}")
            strong = [cell._replace(effect=0.08, each=each) for cell in (cells[0], cells[-2]) for each in (100, 250)]
            for cell, found in zip(
                strong, pool.starmap(measured, [(each, POWER_DRAWS, 2) for each in strong], 1), strict=True
            ):
                name = f"{cell.name}, {cell.each} deals a month"
                show(name, found["covered"], POWER_DRAWS, found["named"], POWER_DRAWS, found["length"])
            print()
        print(f"{'the sample company, 120 days to win, monthly cohorts':<86}{'named':>8}{'± 2 se':>8}{'effect':>8}")
        for name, *told in COMPANIES:
            rows = pool.starmap(spoken, [(seed, *told) for seed in range(SEEDS)])
            share, effects = np.mean([row[0] for row in rows]), np.nanmean([row[1] for row in rows])
            print(f"{name:<86}{share:>8.2f}{2 * np.sqrt(share * (1 - share) / SEEDS):>8.2f}{effects:>8.3f}", flush=True)


def show(name: str, covered: float, draws: int, named: float, of: int, length: float) -> None:
    errors = [2 * np.sqrt(share * (1 - share) / n) for share, n in ((covered, draws), (named, of))]
    print(f"{name:<50}{covered:>8.3f}{errors[0]:>8.3f}{named:>22.3f}{errors[1]:>8.3f}{length:>8.3f}", flush=True)


def measured(cell: Cell, draws: int, seed: int) -> dict[str, float]:
    """Coverage of the main design's interval, how often it is named, and the interval's mean length."""
    rng, hits = np.random.default_rng(seed), Counter()
    for _ in range(draws):
        deals = drawn(rng, cell)
        effects = before_after.effect(deals)
        row = effects[effects["is_main"]].iloc[0]
        hits["covered"] += row["change_effect_low"] <= cell.effect <= row["change_effect_high"]
        hits["length"] += row["change_effect_high"] - row["change_effect_low"]
        hits["named"] += is_named(deals, effects)
    return {name: float(hits[name] / draws) for name in ("covered", "named", "length")}


def is_named(deals: pd.DataFrame, effects: pd.DataFrame) -> bool:
    """Whether the sentence says it worked or hurt; placebos are tried only where they could still speak against it."""
    if not effects["is_named"].any():
        return False
    tried = before_after.placebos(deals)
    return before_after.sentence(effects, tried, change_date=CHANGE.date(), days=DAYS).startswith("Since")


def drawn(rng: np.random.Generator, cell: Cell) -> pd.DataFrame:
    """Deals as `before_after.cases` gives them; a chance is a sum, so its mean over accounts and months is known."""
    first = -int(np.ceil(DAYS / MONTH)) - cell.before
    month = np.repeat(np.arange(first, cell.after), rng.poisson(cell.each, cell.after - first))
    size = len(month)
    account = rng.integers(0, max(size // cell.repeats, 1), size)
    is_in_group = rng.random(account.max() + 1)[account] < cell.share
    own = np.where(rng.random(account.max() + 1) < 0.5, -1, 1)[account] * cell.accounts
    shocks = np.stack([wandering(rng, cell.after - first, cell.months, cell.alike) for _ in range(2)])
    chance = 0.24 + cell.trend * month + cell.season * np.sin(2 * np.pi * month / 12) + own
    chance += shocks[is_in_group.astype(int), month - first] + cell.effect * ((month >= 0) & is_in_group)
    day = np.floor((month + rng.random(size)) * MONTH).astype(int)
    side = np.select([day >= 0, day + DAYS < 0], ["after", "before"], "across")
    return pd.DataFrame(
        {
            "started_at": CHANGE + pd.to_timedelta(day, unit="D"),
            "side": side,
            "is_in_group": is_in_group,
            "is_won": rng.random(size) < chance,
            "cluster": account,
            "day": day,
            "days": DAYS,
        }
    )


def wandering(rng: np.random.Generator, length: int, spread: float, alike: float) -> np.ndarray:
    steps = rng.normal(size=length)
    for place in range(1, length):
        steps[place] = alike * steps[place - 1] + np.sqrt(1 - alike**2) * steps[place]
    return spread * steps


WITH_BREAK = (*WITHOUT_MIX, "break")
# Name; what is planted; years and size; the date given; the last day used.
COMPANIES = [
    ("6,000 deals in 4 years, trend break on the date", WITH_BREAK, 4, 6_000, "2024-10-01", "2026-09-30"),
    ("9,000 in 6 years, trend break on the date", WITH_BREAK, 6, 9_000, "2024-10-01", "2026-09-30"),
    ("24,000 in 4 years, trend break on the date", WITH_BREAK, 4, 24_000, "2024-10-01", "2026-09-30"),
    ("24,000 in 4 years, mix shift too, until it", (*WITH_BREAK, "mix"), 4, 24_000, "2024-10-01", "2026-01-28"),
    ("9,000 in 6 years, a date before the break", WITH_BREAK, 6, 9_000, "2023-01-01", "2024-09-30"),
    ("36,000 in 6 years, a date before the break", WITH_BREAK, 6, 36_000, "2023-01-01", "2024-09-30"),
    ("6,000 in 4 years, no break", WITHOUT_MIX, 4, 6_000, "2024-10-01", "2026-09-30"),
]


def spoken(seed: int, planted: tuple[str, ...], years: int, size: int, day: str, last: str) -> tuple[bool, float]:
    """Whether one company's sentence names the date, and the effect estimated."""
    deals = sample.tables(seed=seed, planted=planted, years=years, size=size)["opportunities"]
    deals = deals.query("opportunity_type != 'renewal'")
    cases = before_after.cases(deals, change_date=date.fromisoformat(day), as_of=date.fromisoformat(last), days=DAYS)
    effects = before_after.effect(cases)
    main = effects[effects["is_main"]]
    return is_named(cases, effects), float(main["change_effect"].iloc[0]) if len(main) else np.nan


if __name__ == "__main__":
    main()
