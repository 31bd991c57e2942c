"""How often an outside factor is named that tells nothing, and how often one that does: 1,600 companies a cell.

Run with ``make bench NAME=outside_factors``. A company has a season, growth and quarters that differ by chance (a
standard deviation of a quarter), alike from quarter to quarter where said; three factors are tried at two lags.
Where the first factor tells, the logarithm of bookings follows its value of the quarter before, by 0.4 for each
standard deviation of its usual step. The miss is that one quarter ahead, over a quarter's bookings, without and
with the factor, over the companies that name one.
"""

import multiprocessing

import numpy as np
import pandas as pd

from salesops import outside_factors
from salesops.periods import Calendar, quarters_between

DRAWS, BATCH = 1600, 64
FACTORS, BEFORE = 3, 8  # quarters of the market before the first of the bookings
QUARTERS = quarters_between(pd.Timestamp("2012-01-01").date(), pd.Timestamp("2026-12-31").date())
CELLS = [
    (20, "walk", 0.0, 0.0), (20, "season", 0.0, 0.0), (24, "walk", 0.5, 0.0), (32, "walk", 0.0, 0.0),
    (24, "walk", 0.0, 0.4),
]  # fmt: skip


def main() -> None:
    print(f"{'quarters, factors, likeness of neighbours, effect':<52}{'named':>8}{'± 2 se':>8}{'right':>8}{'miss':>14}")
    for cell in CELLS:
        jobs = [(*cell, first) for first in range(0, DRAWS, BATCH)]
        with multiprocessing.Pool(2) as pool:
            found = np.array([row for rows in pool.starmap(batch, jobs, chunksize=1) for row in rows])
        named = found[:, 0].mean()
        missed = found[found[:, 0] == 1, 2:].mean(axis=0) if named else (np.nan, np.nan)
        print(f"{cell[0]:>3}, {cell[1]:<8}{cell[2]:>5.1f}{cell[3]:>6.1f}{'':<28}{named:>8.3f}"
              f"{2 * np.sqrt(named * (1 - named) / DRAWS):>8.3f}{found[:, 1].mean():>8.3f}"
              f"{missed[0]:>8.3f}{missed[1]:>6.3f}", flush=True)  # fmt: skip


def batch(n: int, kind: str, likeness: float, effect: float, first: int) -> list[tuple[float, float, float, float]]:
    """Some companies, their past forecasts made in one go because that is ten times faster."""
    many = [company(n, kind, likeness, effect, first + number) for number in range(BATCH)]
    trials = outside_factors._trials([bookings[:-1] for _, bookings in many])
    return [one(*each, tried, effect) for each, tried in zip(many, trials, strict=True)]


def company(n: int, kind: str, likeness: float, effect: float, draw: int) -> tuple[np.ndarray, np.ndarray]:
    """Its factors, quarter by quarter, and its bookings, the last quarter being the one to forecast."""
    random = np.random.default_rng([n, round(10 * likeness), round(10 * effect), len(kind), draw])
    factors = drawn(random, kind, n + 1 + BEFORE)
    return factors, booked(random, n + 1, likeness, effect * factors[0, BEFORE - 1 : -1])


def one(factors: np.ndarray, bookings: np.ndarray, trials, effect: float) -> tuple[float, float, float, float]:
    """Whether a factor is named, whether it is the one that tells, and the next quarter's miss without and with it."""
    found = QUARTERS[-len(bookings) - BEFORE :]
    starts, ends = ([getattr(each, name) for each in found] for name in ("start", "end"))
    names = np.repeat([f"factor_{number}" for number in range(FACTORS)], len(found))
    market = pd.DataFrame({"month": starts * FACTORS, "value": factors.ravel(), "is_planned": False, "factor": names})
    history = pd.DataFrame({"period_start": starts, "period_end": ends})[BEFORE:-1].assign(
        bookings_amount=bookings[:-1]
    )
    by_quarter = outside_factors._by_quarter(market, history, Calendar())
    tested = outside_factors._decided(outside_factors._tried(trials, by_quarter, outside_factors.LAGS, 0))
    if not tested["is_named"].any():
        return 0.0, 0.0, np.nan, np.nan
    ahead = [outside_factors.with_factors(history, market, tested=table, horizon=1)["factor_forecast_amount"].iloc[0]
             for table in (tested.assign(is_named=False), tested)]  # fmt: skip
    is_right = tested.loc[tested["is_named"], "factor"].iloc[0] == "factor_0" and effect > 0
    return 1.0, float(is_right), *(abs(each / bookings[-1] - 1) for each in ahead)


def drawn(random: np.random.Generator, kind: str, size: int) -> np.ndarray:
    moves = random.normal(0.2, 1.0, (FACTORS, size))
    return np.cumsum(moves, axis=1) if kind == "walk" else moves + 2 * np.sin(np.arange(size) * np.pi / 2)


def booked(random: np.random.Generator, size: int, likeness: float, told: np.ndarray) -> np.ndarray:
    noise = random.normal(0, 0.25, size) * np.sqrt(1 - likeness**2)
    for at in range(1, size):
        noise[at] += likeness * noise[at - 1]
    season = np.tile(random.normal(0, 0.15, 4), size // 4 + 1)[:size]
    return 1e6 * np.exp(noise + season + random.uniform(0, 0.03) * np.arange(size) + told)


if __name__ == "__main__":
    main()
