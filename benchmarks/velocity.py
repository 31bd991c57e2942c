"""How often the intervals of the sales velocity hold the truth, against a cluster bootstrap, and how long they take.

Companies come at random; each brings deals at random, has its own liking for us and its own size. Deals are won or
lost after a time; at any moment some stand open. Run with ``make bench NAME=velocity``.
"""

import resource
import time
from collections import Counter
from datetime import date
from multiprocessing import Pool
from typing import NamedTuple

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from salesops import conversion_trend, mix, velocity
from salesops.periods import Period
from salesops.stats import decompose

DRAWS, RESAMPLES = 1_600, 400
ORIGIN = pd.Timestamp("2026-04-01")
BEFORE, NOW = (
    Period("2026Q2", date(2026, 4, 1), date(2026, 6, 30)),
    Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30)),
)
PAST, AHEAD = 700, 183  # days of entries before the first period, and of both
EASY, EASY_DAYS, HARD_DAYS, SHAPE = 0.3, 80.0, 50.0, 2.0  # share of deals easily won, and the mean days of either kind
MEAN_DAYS = EASY * EASY_DAYS + (1 - EASY) * HARD_DAYS
SUMS = ["n_open", "n", "n_won", "n_priced", "won_amount", "n_timed", "exit_days", "n_won_timed", "won_days"]
PARTS = ("open deals", "win rate", "deal size", "days to an end")


class Cell(NamedTuple):
    """A company's world: mean number of accounts, deals an account and day, spread of log amounts, share of it
    that is the account's own, and what the second period's entries, odds of winning and amounts are multiplied by."""

    name: str
    accounts: int
    pace: float
    spread: float
    own: float = 0.3
    odds: float = 1.0
    amount: float = 1.0


CELLS = [
    Cell("50 wins a quarter", 150, 0.01, 1.0),
    Cell("50 wins, amounts very uneven", 150, 0.01, 1.36),
    Cell("13 wins a quarter", 40, 0.01, 1.0),
    Cell("40 accounts, 55 wins, very uneven", 40, 0.04, 1.36, own=0.5),
    Cell("330 wins a quarter", 1_000, 0.01, 1.0),
    Cell("50 wins, won more often and larger", 150, 0.01, 1.0, odds=1.6, amount=1.4),
]


def main() -> None:
    names = ["velocity", "bootstrap", "total", *PARTS, "any named"]
    print(f"{'share of 95 % intervals that hold the truth':<44}" + "".join(f"{name:>15}" for name in names))
    error = 2 * np.sqrt(0.95 * 0.05 / DRAWS)
    with Pool(2, threadpool_limits, [1]) as pool:
        for cell, found in zip(CELLS, pool.imap(_cell, CELLS), strict=True):
            figures = "".join(f"{found[name]:>15.3f}" for name in names)
            print(f"{cell.name:<44}{figures}  ± {error:.3f}")
            won_only = f"with the won deals' days alone {found['won only']:.3f}"
            print(f"    mean velocity {found['mean']:.3f} of the truth, {won_only}", flush=True)
        for accounts, (named, held) in zip((60, 400), pool.imap(slope_errors, (60, 400)), strict=True):
            said = f"named without a trend {named:.3f}, holds a true one {held:.3f}"
            print(f"slope of conversion, {accounts} accounts: {said}  ± {error:.3f}", flush=True)
    for deals, changes in ((60_000, 300_000), (1_000_000, 5_000_000)):
        speed(deals, changes)


def _cell(cell: Cell) -> dict[str, float]:
    return coverage(DRAWS, cell, 1)


def coverage(draws: int, cell: Cell, seed: int) -> dict[str, float]:
    """Share of draws in which each interval holds its truth, and anything is named; mean velocity over its truth."""
    rng = np.random.default_rng(seed)
    factors = truth(cell, False), truth(cell, True)
    parts = decompose.product_effects(*factors)
    expected = dict(zip(["total", *PARTS], [parts.sum(), *parts], strict=True))
    hits, sums = Counter(), Counter()
    for _ in range(draws):
        tallied = drawn(rng, cell)
        row = velocity.velocity(tallied[tallied["period"] == NOW.label]).iloc[0]
        sums["mean"] += row["sales_velocity_amount"] / np.prod(factors[1])
        sums["won only"] += row["won_cycle_velocity_amount"] / np.prod(factors[1])
        limits = row["sales_velocity_amount_low"], row["sales_velocity_amount_high"]
        hits["velocity"] += _holds(limits, np.prod(factors[1]))
        hits["bootstrap"] += _holds(bootstrap(rng, tallied[tallied["period"] == NOW.label]), np.prod(factors[1]))
        change = velocity.velocity_change(tallied, now=NOW, before=BEFORE).set_index("component")
        for name, value in expected.items():
            hits[name] += _holds(change.loc[name, ["velocity_change_amount_low", "velocity_change_amount_high"]], value)
        hits["any named"] += bool(change["is_named"].any())
    return {name: count / draws for name, count in (hits + sums).items()} | {"any named": hits["any named"] / draws}


def _holds(limits, value: float) -> bool:
    low, high = limits
    return bool(low <= value <= high)


def drawn(rng: np.random.Generator, cell: Cell) -> pd.DataFrame:
    """The tallies of both periods; a deal's odds and amount go by the moment it ends.

    They are counted here, not by `velocity.tallies`, whose replay would take most of the time;
    `tests/test_velocity.py` holds it to a plain count.
    """
    accounts = max(rng.poisson(cell.accounts), 2)
    liking, size = rng.normal(size=accounts), rng.normal(size=accounts)
    account = np.repeat(np.arange(accounts), rng.poisson(cell.pace * (PAST + AHEAD) * np.exp(0.5 * liking - 0.125)))
    start = np.floor(rng.uniform(-PAST, AHEAD, len(account)))
    inner = np.sqrt(cell.own) * size[account] + np.sqrt(1 - cell.own) * rng.normal(size=len(account))
    amount = 20_000 * np.exp(cell.spread * inner - cell.spread**2 / 2)
    # What is easily won takes longer; the days are the same at both times, so that only odds and amounts change.
    draw = rng.random(len(account))
    days = np.floor(rng.gamma(SHAPE, np.where(draw < EASY, EASY_DAYS, HARD_DAYS) / SHAPE))
    both = []
    for period, odds, worth in ((BEFORE, 1.0, 1.0), (NOW, cell.odds, cell.amount)):
        first, last = ((pd.Timestamp(day) - ORIGIN).days for day in (period.start, period.end))
        is_open = (start <= last) & (start + days > last)
        ended = (start + days >= first) & (start + days <= last)
        won = ended & (draw < chance(liking[account], odds))
        columns = [is_open, ended, won, won, won * worth * amount, ended, ended * days, won, won * days]
        sums = {name: np.bincount(account, column, accounts) for name, column in zip(SUMS, columns, strict=True)}
        both.append(pd.DataFrame(sums).assign(
            period=period.label, period_start=period.start, period_end=period.end, n_days=period.days,
            company=np.arange(accounts),
        ))  # fmt: skip
    tallied = pd.concat(both, ignore_index=True)
    return tallied[(tallied["n_open"] > 0) | (tallied["n"] > 0)]


def chance(liking: np.ndarray, odds: np.ndarray | float) -> np.ndarray:
    return 1 / (1 + np.exp(-(np.log(0.3 / 0.7 * odds) + 0.5 * liking)))


def truth(cell: Cell, is_now: bool) -> np.ndarray:
    """The four factors of a steady world: open deals, win rate, mean won amount, one over the mean days."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weight = weights * np.exp(0.5 * nodes - 0.125)
    volume = weight.sum() / weights.sum()
    rate = (weight * chance(nodes, cell.odds if is_now else 1.0)).sum() / weight.sum()
    days = MEAN_DAYS - 0.5  # the floor of a smooth time takes half a day on average
    amount = 20_000 * (cell.amount if is_now else 1.0)
    # Open on an evening: started that day or before, ended after it.
    return np.array([cell.accounts * cell.pace * volume * days, rate, amount, 1 / days])


def bootstrap(rng: np.random.Generator, rows: pd.DataFrame) -> tuple[float, float]:
    """Percentiles of the velocity with each company drawn a Poisson number of times."""
    sums = rows.groupby("company")[["n_open", "n", "n_won", "n_priced", "won_amount", "n_timed", "exit_days"]].sum()
    drawn = rng.poisson(1.0, (RESAMPLES, len(sums))) @ sums.to_numpy(float)
    n_open, n, won, priced, amount, timed, days = drawn.T
    with np.errstate(invalid="ignore", divide="ignore"):
        values = n_open * won / n * amount / priced * timed / days
    return tuple(np.nanquantile(values, [0.025, 0.975]))


def slope_errors(accounts: int) -> tuple[float, float]:
    """How often a slope is named where there is none, and how often its interval holds a true one of two points."""
    rng = np.random.default_rng(1)
    quarters = [
        Period(f"Q{n}", date(2024 + n // 4, 3 * (n % 4) + 1, 1), date(2024 + n // 4, 3 * (n % 4) + 3, 28))
        for n in range(8)
    ]
    named = held = 0
    for slope in np.tile([0.0, 0.02], DRAWS):
        liking = 0.15 * rng.choice([-1, 1], accounts)
        account = np.repeat(np.arange(accounts), rng.poisson(6, accounts))
        number = rng.integers(0, 8, len(account))
        entered = pd.DataFrame({
            "stage": "Talk", "pipeline": "new", "position": 1, "within_days": 30.0, "is_known": True,
            "account_id": account, "entered_at": pd.to_datetime([quarters[each].start for each in number]),
            "is_converted": rng.random(len(account)) < 0.4 + liking[account] + slope * (number - 3.5),
        })  # fmt: skip
        row = conversion_trend.conversion_slopes(entered, periods=quarters).iloc[0]
        named += bool(row["is_named"]) if slope == 0 else 0
        held += _holds((row["conversion_slope_low"], row["conversion_slope_high"]), slope) if slope else 0
    return named / DRAWS, held / DRAWS


def speed(deals: int, changes: int) -> None:
    """Seconds of each function, nine quarters, and the most memory this process has held."""
    rng = np.random.default_rng(0)
    opportunities, history, visits = company(rng, deals, changes)
    quarters = [Period(f"Q{n}", *(moment.date() for moment in (each.start_time, each.end_time))) for n, each in
                enumerate(pd.period_range("2024Q3", "2026Q3", freq="Q"))]  # fmt: skip
    print(f"\n{deals:,} deals, {changes:,} changes; memory with the data {_memory():.1f} GB")
    tallied = _timed(
        "tallies, nine quarters", velocity.tallies, opportunities, history, periods=quarters, as_of=NOW.end
    )
    _timed("velocity", velocity.velocity, tallied)
    _timed("velocity_change", velocity.velocity_change, tallied, now=quarters[-1], before=quarters[-2])
    for to in ("next", "won"):
        entered = _timed(f"entries to {to}", conversion_trend.entries, visits, as_of=NOW.end, to=to)
        _timed("conversion_trend", conversion_trend.conversion_trend, entered, periods=quarters)
        _timed("conversion_slopes", conversion_trend.conversion_slopes, entered, periods=quarters)
    spans = [conversion_trend.known_in(entered, each) for each in conversion_trend.last_two(entered, periods=quarters)]
    _timed("mix.conversion_change", mix.conversion_change, *spans, "segment")
    _timed("mix.conversion_contributions", mix.conversion_contributions, *spans, "segment")
    print(f"{'most memory held':<44}{_memory():>8.1f} GB", flush=True)


def _timed(name: str, function, *frames, **options):
    began = time.perf_counter()
    found = function(*frames, **options)
    print(f"{name:<44}{time.perf_counter() - began:>8.2f} s", flush=True)
    return found


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def company(rng: np.random.Generator, deals: int, changes: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Deals of four years in three stages, their history and their visits, one account to two deals."""
    each = changes // deals
    start = rng.integers(-1_400, AHEAD, deals)
    end = start + rng.integers(5, 160, deals)
    is_closed, won = end < AHEAD, rng.random(deals) < 0.3
    name = pd.Series(np.arange(deals)).astype("str").str.zfill(7)
    opportunities = pd.DataFrame({
        "opportunity_id": name, "account_id": pd.Series(rng.integers(0, deals // 2, deals)).astype("str"),
        "segment": rng.choice(["SMB", "Mid", "Large"], deals), "stage": np.where(is_closed, "Ended", "Talk"),
        "qualified_date": _day(start), "created_date": _day(start), "amount": rng.lognormal(10, 1, deals),
        "close_date": _day(end), "closed_at": _day(end).where(is_closed), "is_closed": is_closed,
        "is_won": is_closed & won,
    })  # fmt: skip
    deal, step = np.repeat(np.arange(deals), each), np.tile(np.arange(each), deals)
    at = start[deal] + (end - start)[deal] * step // each
    seen = at < AHEAD
    deal, step, at = deal[seen], step[seen], at[seen]
    history = pd.DataFrame({
        "opportunity_id": name.array[deal], "changed_at": _day(at), "seq": step, "stage": "Talk",
        "amount": opportunities["amount"].to_numpy()[deal], "close_date": _day(end[deal]),
    })  # fmt: skip
    place = step * 3 // each
    moved = (step * 3 % each) < 3
    return opportunities, history, _visits(opportunities, deal[moved], place[moved], at[moved], end, won)


def _visits(opportunities: pd.DataFrame, deal, place, at, end, won) -> pd.DataFrame:
    last = np.r_[deal[1:] != deal[:-1], True]
    until = np.where(last, end[deal], np.r_[at[1:], 0])
    over = until < AHEAD
    left = np.select([~last, ~over, won[deal]], ["forward", "still_there", "won"], "lost")
    carried = opportunities[["opportunity_id", "segment", "account_id"]].iloc[deal].reset_index(drop=True)
    return carried.assign(
        visit=place + 1, pipeline="new", stage=np.array(["One", "Two", "Three"])[place], position=place + 1.0,
        entered_at=_day(at), exited_at=_day(until).where(over), exit=pd.Series(left, dtype="str"), is_reentry=False,
        days=(np.minimum(until, AHEAD) - at).astype(float),
    )  # fmt: skip


def _day(numbers) -> pd.Series:
    return pd.Series(ORIGIN + pd.to_timedelta(numbers, unit="D")).astype("datetime64[us]")


if __name__ == "__main__":
    main()
