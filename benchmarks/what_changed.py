"""How often "what changed" names a movement between two quarters of one company in which nothing differs.

Run with ``make bench NAME=what_changed``; about ten minutes of one processor. Two ways, because a pair through every
step takes a second:

* whole: two quarters of deals closed, deals due and leads, made into figures files by the reports' own functions and
  compared by `changes_told.between`. Deals come several to an account, whose luck they share. Shares of small groups
  stand for the hundreds of other figures a pack compares.
* figures alone: 1,600 pairs of counts, of which the same rule sees values and limits: four key figures (deals won, win
  rate, slippage, leads answered in time) and the same small groups.

The last lines have the odds of winning half as high again in the later quarter, to show what the rule sees.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from salesops import changes_told, periods, slippage, velocity, what_changed, win_loss
from salesops.report import changes, figures
from salesops.stats import proportions

DRAWS, WHOLE, PROCESSES = 1_600, 160, 2
ODDS = 1.5  # of winning in the later quarter, where something changed
DEALS, LEADS, ACCOUNTS = 250, 300, 600  # a quarter: closed, arrived; in all
WIN, SLIP, ANSWERED, LUCK = 0.23, 0.3, 0.6, 0.15  # luck: spread of an account's own chances, on the log of the odds
GROUPS = {"segment": 3, "region": 4, "lead_source": 6, "product": 8, "territory": 12}
SHARES = 450  # of small groups, 20 to 100 deals each
RATES = ("win_rate", "slippage_rate", "lead_sla_rate")
UNMOVED = ("slippage_rate", "value_slippage_rate", "lead_sla_rate")  # by winning more often
Z = ndtri(0.975)
LAST = date(2026, 9, 30)
QUARTERS = tuple(periods.resolve(label, as_of=LAST) for label in ("2026Q2", "2026Q3"))


def main(draws: int = DRAWS, whole: int = WHOLE, processes: int = PROCESSES) -> None:
    print(f"{'named':<72}{'share':>8}{'± 2 se':>8}{'pairs':>7}{'compared':>9}", flush=True)
    with ProcessPoolExecutor(processes) as workers:
        for how, made, pairs in (("figures alone", counted, draws), ("whole", pair, whole)):
            null = pd.DataFrame(workers.map(made, range(pairs), chunksize=10))
            for what, column in (("anything", "any"), ("a key figure", "key"), ("another figure", "other")):
                show(f"{how}, nothing changed: {what}", null, column)
            some = range(pairs, pairs + pairs // 2)
            broken = pd.DataFrame(workers.map(partial(made, odds=ODDS), some, chunksize=10))
            show(f"{how}, odds of winning half as much again: the win rate", broken, "win_rate")
            show(f"{how}, odds of winning half as much again: what it does not move", broken, "untouched")


def show(name: str, table: pd.DataFrame, column: str) -> None:
    """A share with twice its Monte-Carlo error; of none or all, the most that 95 % of such runs would hide."""
    share, n = table[column].mean(), len(table)
    error = 2 * np.sqrt(share * (1 - share) / n) if 0 < share < 1 else 3 / n
    print(f"{name:<72}{share:>8.3f}{error:>8.3f}{n:>7,}{table['compared'].mean():>9.0f}", flush=True)


def pair(seed: int, odds: float = 1.0) -> dict[str, object]:
    """What is named between two quarters of one company; winning is `odds` times as likely in the later."""
    random = np.random.default_rng(seed)
    luck = random.normal(0, LUCK, ACCOUNTS)
    small = random.integers(20, 101, SHARES), random.uniform(0.1, 0.9, SHARES)
    files = [file(random, luck, small, quarter, factor) for quarter, factor in zip(QUARTERS, (1.0, odds), strict=True)]
    [found] = changes_told.between(files[:1], files[1:])
    return verdict(found.movements)


def verdict(judged: pd.DataFrame) -> dict[str, object]:
    """What of a pair's movements was named."""
    named = judged[judged["is_named"]]
    return {
        "any": len(named) > 0, "key": bool(named["is_key"].any()), "other": bool((~named["is_key"]).any()),
        "win_rate": bool((named["metric"].eq("win_rate") & named["is_key"]).any()),
        "untouched": bool(named["metric"].isin(UNMOVED).any()), "compared": len(judged),
    }  # fmt: skip


def counted(seed: int, odds: float = 1.0) -> dict[str, object]:
    """What is named between two quarters of which only counts are drawn."""
    random = np.random.default_rng((seed, 1))
    luck = random.normal(0, LUCK, ACCOUNTS)
    size, chance = random.integers(20, 101, SHARES), random.uniform(0.1, 0.9, SHARES)
    was, now = (counts(random, luck, size, chance, factor) for factor in (1.0, odds))
    rows = [
        {"metric": "won_count", "by": "{}", "is_key": True, **judged({"x": now.won}, {"x": was.won}, is_count=True)},
        *({"metric": name, "by": "{}", "is_key": True, **judged(now.rates[name], was.rates[name])} for name in RATES),
        *({"metric": "filled_rate", "by": f'{{"team":"T{number}"}}', "is_key": False, **judged(*both)}
          for number, both in enumerate(zip(now.groups, was.groups, strict=True))),
    ]  # fmt: skip
    fixed = {"report": "pack", "statistic": "value", "where": "", "currency": "USD"}
    return verdict(what_changed.named(pd.DataFrame(rows).assign(**fixed)))


class Counts(NamedTuple):
    """A quarter as its figures have it: a value and its limits each."""

    won: int
    rates: dict[str, dict[str, float]]
    groups: list[dict[str, float]]


def counts(random: np.random.Generator, luck: np.ndarray, size: np.ndarray, chance: np.ndarray, odds: float) -> Counts:
    closed, due = random.poisson(DEALS, 2)
    own = luck[random.integers(0, ACCOUNTS, closed)]
    won = random.binomial(1, 1 / (1 + (1 - WIN) / WIN / odds * np.exp(-own))).sum()
    told = limited([won, random.binomial(due, SLIP), random.binomial(LEADS, ANSWERED)], [closed, due, LEADS])
    return Counts(int(won), dict(zip(RATES, told, strict=True)), limited(random.binomial(size, chance), size))


def limited(successes: object, n: object) -> list[dict[str, float]]:
    successes, n = np.asarray(successes), np.asarray(n)
    found = zip(successes / n, *proportions.wilson_interval(successes, n), strict=True)
    return [dict(zip(("x", "x_low", "x_high"), map(float, each), strict=True)) for each in found]


def judged(now: dict[str, float], was: dict[str, float], *, is_count: bool = False) -> dict[str, float]:
    """A movement as `what_changed.movements` gives it: the difference by the same function, and its p-value."""
    gap, low, high = changes.difference(now, was, "x", is_count=is_count)
    half = gap - low if gap > 0 else high - gap
    p_value = 2 * ndtr(-abs(gap) / half * Z)
    ends = {"low": now.get("x_low", np.nan), "high": now.get("x_high", np.nan)}
    return {"value": now["x"], "was_value": was["x"], "gap": gap, "p_value": float(p_value), **ends}


def file(
    random: np.random.Generator, luck: np.ndarray, small: tuple, quarter: periods.Period, odds: float
) -> dict[str, object]:
    """The figures file of a quarter."""
    closed, due = deals(random, luck, quarter, odds), deals(random, luck, quarter, odds)
    due["is_slipped"] = random.random(len(due)) < SLIP
    answered, n = random.binomial(LEADS, ANSWERED), LEADS
    teams = [f"T{number}" for number in range(SHARES)]
    frames = [
        win_loss.outcome_counts(closed, quarter).drop(columns=["open_count", "open_amount"]),
        velocity.velocity(tallies(closed, quarter)), slippage.slippage_rate(due), win_loss.value_win_rate(closed),
        win_loss.all_closed_win_rate(closed), win_loss.decided_win_rate(closed),
        *(win_loss.win_rate(closed, by) for by in (None, *GROUPS)),
        shares("lead_sla_rate", np.array([answered]), np.array([n])),
        shares("filled_rate", random.binomial(*small), small[0]).assign(team=teams),
    ]  # fmt: skip
    scope = figures.Scope(period=quarter, currency="USD")
    told = {"label": quarter.label, "start": quarter.start.isoformat(), "end": quarter.end.isoformat()}
    return {
        "report": "pack", "run_id": "", "as_of": quarter.end.isoformat(), "currency": "USD", "period": told,
        "parameters": {}, "definitions": {}, "hashes": {"input": ""},
        "figures": [one for frame in frames for one in figures.of(frame, scope)],
    }  # fmt: skip


def shares(name: str, counts: np.ndarray, n: np.ndarray) -> pd.DataFrame:
    low, high = proportions.wilson_interval(counts, n)
    return pd.DataFrame({"n": n, name: counts / n, f"{name}_low": low, f"{name}_high": high})


def deals(random: np.random.Generator, luck: np.ndarray, quarter: periods.Period, odds: float) -> pd.DataFrame:
    """The deals of a quarter that closed, as a report has them."""
    n = random.poisson(DEALS)
    account = random.integers(0, ACCOUNTS, n)
    chance = 1 / (1 + (1 - WIN) / WIN / odds * np.exp(-luck[account]))
    is_won = random.random(n) < chance
    day = pd.Timestamp(quarter.start) + pd.to_timedelta(random.integers(0, 91, n), unit="D")
    outcome = np.where(is_won, "won", np.where(random.random(n) < 0.25, "no_decision", "lost"))
    groups = {name: [f"{name} {number}" for number in random.integers(0, size, n)] for name, size in GROUPS.items()}
    return pd.DataFrame({
        "opportunity_id": np.arange(n).astype("str"), "account_id": account.astype("str"), "is_closed": True,
        "is_won": is_won, "outcome": outcome, "amount": np.exp(random.normal(10, 0.8, n)), "close_date": day,
        "closed_at": day, "qualified_date": day - pd.to_timedelta(random.integers(10, 200, n), unit="D"),
        **groups,
    })  # fmt: skip


def tallies(closed: pd.DataFrame, quarter: periods.Period) -> pd.DataFrame:
    """As of `velocity.tallies`, with as many deals open as closed."""
    days = (closed["close_date"] - closed["qualified_date"]).dt.days.astype(float)
    won = closed["is_won"]
    rows = pd.DataFrame({
        "company": closed["account_id"].astype(int), "n_open": 1, "n": 1, "n_won": won, "n_priced": won,
        "won_amount": closed["amount"].where(won, 0.0), "n_timed": 1, "exit_days": days, "n_won_timed": won,
        "won_days": days.where(won, 0.0),
    })  # fmt: skip
    summed = rows.groupby("company", as_index=False).sum()
    span = {"period": quarter.label, "period_start": quarter.start, "period_end": quarter.end, "n_days": quarter.days}
    return summed.assign(**span)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--whole", type=int, default=WHOLE)
    parser.add_argument("--processes", type=int, default=PROCESSES)
    main(**vars(parser.parse_args()))
