"""Funnel: bias and coverage of the conversions, the snapshot ratio beside them, and speed at a million deals.

Simulated histories with skips, returns, re-entry, companies that come back, and deals still open. Run with
``make bench NAME=funnel``. Every figure with two Monte-Carlo standard errors.
"""

import resource
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from salesops import funnel, funnel_counts, journey, stage_times
from salesops.periods import Period, quarters_between

STAGES = ["Qualify", "Discover", "Propose", "Negotiate", "Commit"]
WON, LOST = len(STAGES), len(STAGES) + 1
MOVES = np.array(  # from each stage to each, to won and to lost
    [
        [0.00, 0.55, 0.08, 0.00, 0.00, 0.00, 0.37],
        [0.06, 0.00, 0.56, 0.06, 0.00, 0.02, 0.30],
        [0.00, 0.10, 0.00, 0.58, 0.05, 0.02, 0.25],
        [0.00, 0.00, 0.12, 0.00, 0.60, 0.04, 0.24],
        [0.00, 0.00, 0.02, 0.12, 0.00, 0.52, 0.34],
    ]
)
BUSY = np.where(
    np.arange(7) == LOST, MOVES / 2.6, MOVES
)  # four stays a deal, so that a million have five million moves
WAITS = np.array([[30.0], [20.0], [25.0], [15.0], [10.0]]) * np.r_[np.ones(6), 0.5]  # mean days; losses come sooner
SPREAD = 0.6  # of the log odds of not losing, between companies
DAYS, START = 1095, pd.Timestamp("2023-10-01")
PERIOD = Period("2024Q4-2026Q3", (START + pd.Timedelta(days=365)).date(), (START + pd.Timedelta(days=DAYS - 1)).date())
DRAWS, BATCH = 1_600, 40
CELLS = [(a_year, each) for a_year in (200, 800) for each in (1, 5)]
SIZE = 1_000_000


def main() -> None:
    heads = f"{'true':>7}{'bias':>8}{'± 2 se':>8}{'cover':>8}{'± 2 se':>8}{'width':>8}{'snapshot':>10}"
    print(f"{'conversion, in points':<48}{'n':>7}{heads}")
    for a_year, each in CELLS:
        show(a_year, each, np.concatenate([batch(a_year, each, seed) for seed in range(DRAWS // BATCH)]))
    speed()


def simulated(rng, n: int, each: int, *, same: int, moves: np.ndarray = MOVES, growth: float = 1.2) -> pd.DataFrame:
    """Visits as `journey.stage_visits` gives them, of deals that came over three years, more each year.

    Companies are of one history; each has `same` deals.
    """
    came = DAYS * np.log1p(rng.random(n) * (growth**3 - 1)) / np.log(growth) / 3
    company = (np.arange(n) // same) * same + rng.integers(0, same // each, n) if each > 1 else np.arange(n)
    chances = np.exp(SPREAD * (each > 1) * rng.normal(size=n)[company])
    deal, stage, entered = np.arange(n), np.zeros(n, dtype=int), came
    seen, pieces = np.zeros((n, len(STAGES)), dtype=bool), []
    while len(deal):
        to = moved(rng, moves[stage], chances[deal])
        left = entered + rng.exponential(WAITS[stage, to])
        pieces.append(stays(deal, stage, to, entered, left, seen[deal, stage], len(pieces) + 1))
        seen[deal, stage] = True
        goes_on = (left < DAYS) & (to < WON)
        deal, stage, entered = deal[goes_on], to[goes_on], left[goes_on]
    visits = pd.concat(pieces, ignore_index=True).sort_values(["deal", "visit"], ignore_index=True)
    return visits.assign(account_id=company[visits["deal"]])


def moved(rng, moves: np.ndarray, chances: np.ndarray) -> np.ndarray:
    """Where each goes next; a company's chances multiply the odds of every move but losing."""
    odds = moves * np.where(np.arange(moves.shape[1]) == LOST, 1.0, chances[:, None])
    limits = odds.cumsum(axis=1)
    return (rng.random(len(odds))[:, None] * limits[:, -1:] > limits).sum(axis=1)


def stays(deal, stage, to, entered, left, is_reentry, visit: int) -> pd.DataFrame:
    is_open = left >= DAYS
    tests = [is_open, to == WON, to == LOST, to > stage + 1, to == stage + 1]
    return pd.DataFrame(
        {
            "opportunity_id": deal,
            "deal": deal,
            "visit": visit,
            "pipeline": "new",
            "stage": pd.Categorical.from_codes(stage, STAGES),
            "position": stage + 1.0,
            "entered_at": moment(entered),
            "exited_at": pd.Series(moment(left)).where(~is_open),
            "exit": np.select(tests, ["still_there", "won", "lost", "skip", "forward"], "back"),
            "is_reentry": is_reentry,
            "days": np.where(is_open, DAYS, left) - entered,
        }
    ).astype({"exit": "str", "pipeline": "str", "stage": "str"})


def moment(days: np.ndarray) -> pd.DatetimeIndex:
    return (START + pd.to_timedelta(np.round(days * 86_400), unit="s")).astype("datetime64[us]")


def truth(each: int) -> np.ndarray:
    """Conversion of each stage, then first stage to won: exact, over companies weighted by first entries."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60) if each > 1 else (np.zeros(1), np.ones(1))
    found = np.array([one_company(SPREAD * node) for node in nodes])  # (node, stage, [entered, went on])
    entered, went_on = np.einsum("n,nsk->ks", weights / weights.sum(), found)
    return went_on / entered


def one_company(effect: float) -> np.ndarray:
    odds = MOVES * np.where(np.arange(7) == LOST, 1.0, np.exp(effect))
    chance = odds / odds.sum(axis=1, keepdims=True)
    reach = np.array([hit(chance, {to})[0] if to else 1.0 for to in range(WON)])
    beyond = [hit(chance, set(range(at + 1, WON + 1)))[at] for at in range(WON)]
    return np.column_stack([np.r_[reach, 1.0], np.r_[reach * beyond, hit(chance, {WON})[0]]])


def hit(chance: np.ndarray, goal: set[int]) -> np.ndarray:
    """Chance of ever coming to one of some states, from each stage that is none of them."""
    inside = [at for at in range(WON) if at not in goal]
    moves = chance[np.ix_(inside, inside)]
    found = np.ones(WON)
    found[inside] = np.linalg.solve(np.eye(len(inside)) - moves, chance[np.ix_(inside, sorted(goal))].sum(axis=1))
    return found


def batch(a_year: int, each: int, seed: int) -> np.ndarray:
    """By draw and figure: estimate, low, high, n, standing there today, standing in the next stage."""
    size = 3 * a_year
    visits = simulated(np.random.default_rng([a_year, each, seed]), size * BATCH, each, same=size)
    visits["draw"] = visits["opportunity_id"] // size
    stages, whole = (
        ask(visits, period=PERIOD, by="draw") for ask in (funnel.stage_conversion, funnel.overall_conversion)
    )
    rates = [
        table[[*(f"{metric}{end}" for end in ("", "_low", "_high")), "n"]].to_numpy(dtype=float).reshape(-1, BATCH, 4)
        for table, metric in ((stages, "stage_conversion_rate"), (whole, "overall_conversion_rate"))
    ]
    there = visits[visits["exit"] == "still_there"].pivot_table(
        index="position", columns="draw", values="visit", aggfunc="size"
    )
    there = there.reindex(index=range(1, 8), columns=range(BATCH)).fillna(0).to_numpy()
    snapshot = np.stack([there[:-1], there[1:]], axis=2)
    return np.concatenate([np.concatenate(rates), snapshot], axis=2).swapaxes(0, 1)


def show(a_year: int, each: int, draws: np.ndarray) -> None:
    for number, (name, true) in enumerate(zip([*STAGES, "first stage to won"], truth(each), strict=True)):
        value, low, high, n, there, following = draws[:, number].T
        covered = (low <= true) & (true <= high)
        bias, error = 100 * (value - true).mean(), 200 * value.std() / np.sqrt(len(value))
        se = 200 * np.sqrt(covered.mean() * (1 - covered.mean()) / len(covered))
        snapshot = f"{100 * (following.sum() / there.sum() - true):+.1f}" if number < len(STAGES) - 1 else "-"
        cell = f"{a_year} deals a year, {each} a company, {name}"
        print(
            f"{cell:<48}{n.mean():>7.0f}{100 * true:>7.1f}{bias:>+8.2f}{error:>8.2f}{100 * covered.mean():>8.1f}"
            f"{se:>8.1f}{100 * (high - low).mean():>8.1f}{snapshot:>10}",
            flush=True,
        )


def speed() -> None:
    """Each question once, on a million deals that moved five million times."""
    visits = simulated(np.random.default_rng(0), SIZE, 4, same=SIZE, moves=BUSY)
    text = visits["opportunity_id"].astype("str").radd("006"), visits["account_id"].astype("str").radd("001")
    visits = visits.drop(columns="deal").assign(opportunity_id=text[0], account_id=text[1])
    segment = pd.Series(["SMB", "Mid-market", "Enterprise", "Public"], dtype="str")
    visits["segment"] = segment.array[pd.factorize(visits["account_id"])[0] % 4]
    moves = len(visits) + (visits["exit"].isin(["won", "lost"])).sum()
    print(f"\n{SIZE:,} deals, {moves:,} moves, {len(visits):,} stays{'seconds':>20}{'GB more':>10}", flush=True)
    conversion = timed("stage conversion", lambda: funnel.stage_conversion(visits, period=PERIOD))
    timed("stage conversion by segment", lambda: funnel.stage_conversion(visits, period=PERIOD, by="segment"))
    timed("overall conversion by segment", lambda: funnel.overall_conversion(visits, period=PERIOD, by="segment"))
    quarters = quarters_between(PERIOD.start, PERIOD.end)
    timed("curves by quarter of entry", lambda: funnel.conversion_curves(visits, cohorts=quarters))
    durations = timed("time in stage", lambda: stage_times.stage_duration(visits, period=PERIOD))
    deals = visits.drop_duplicates("opportunity_id")[["opportunity_id", "account_id"]].assign(amount=1.0, owner_id="r")
    timed("stuck deals", lambda: stage_times.stuck_deals(visits, durations, opportunities=deals))
    timed("stuck by stage", lambda: stage_times.stuck_by_stage(visits, durations, opportunities=deals))
    timed("other counts", lambda: funnel_counts.other_counts(visits, conversion, period=PERIOD))
    timed("journey.progress alone", lambda: journey.progress(visits))


def timed(name: str, ask: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    found = ask()
    seconds, more = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"{name:<64}{seconds:>12.1f}{more / 1e6:>10.2f}", flush=True)
    return found


if __name__ == "__main__":
    main()
