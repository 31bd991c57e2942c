"""How often the intervals of activity rates and of selling time hold the truth, where activities come in bunches.

Run with ``make bench NAME=activity``.
"""

from datetime import date

import numpy as np
import pandas as pd

from salesops import activity, activity_logging
from salesops.periods import Period

DRAWS, REPS, WEEKS = 1_600, 20, 13  # companies: 32,000 intervals of reps a cell


def main() -> None:
    print(f"{'interval':<50}{'cell':<44}{'cover':>8}{'± 2 se':>9}")
    for spread in (1.0, 2.0, 4.0):
        for rate in (1.0, 3.0, 10.0):
            counted(f"{rate:g} a week, variance {spread:g} of chance's", rate, bunched(spread))
    counted("3 a week, negative binomial of shape 2", 3.0, gamma)
    counted("3 a week, busy weeks follow busy ones (0.5)", 3.0, drifting)
    timed()


def bunched(spread: float):
    """Weeks of bunches: counts whose variance is a multiple of their mean."""
    if spread == 1.0:
        return lambda random, mean: random.poisson(mean)
    return lambda random, mean: random.negative_binomial(mean / (spread - 1), 1 / spread)


def gamma(random: np.random.Generator, mean: np.ndarray) -> np.ndarray:
    return random.poisson(mean * random.gamma(2.0, 0.5, mean.shape))


def drifting(random: np.random.Generator, mean: np.ndarray) -> np.ndarray:
    """Poisson about a level that moves from week to week: correlation of one half, a third of the level."""
    level = np.empty(mean.shape)
    level[:, 0] = random.normal(0, 1, len(mean))
    for week in range(1, mean.shape[1]):
        level[:, week] = 0.5 * level[:, week - 1] + np.sqrt(0.75) * random.normal(0, 1, len(mean))
    return random.poisson(mean * np.exp(0.33 * level - 0.33**2 / 2))


def counted(cell: str, rate: float, drawn) -> None:
    random, hits, plain, whole = np.random.default_rng(3), [], [], []
    mean = rate * np.exp(np.random.default_rng(4).normal(0, 0.4, REPS))[:, None] * np.ones(WEEKS)
    truth = pd.Series(mean[:, 0] / 7 * 30, index=[f"U{each:02}" for each in range(REPS)])
    for _ in range(DRAWS):
        count = drawn(random, mean)
        weeks = pd.DataFrame({"owner_id": np.repeat(truth.index, WEEKS), "n_days": 7, "calls": count.ravel()})
        found = activity.activity_rates(weeks).set_index("owner_id")
        hits.append(held(found, truth).mean())
        chance = found.assign(weekly_spread_ratio=1.0)
        low, high = activity.counts.poisson_interval(chance["n"], chance["n_days"] / 30)
        plain.append(((low <= truth) & (truth <= high)).mean())
        whole.append(held(activity.activity_rates(weeks, by=None), truth.mean()).mean())
    show("a rep's activities in a quarter", cell, hits)
    show("the same, as if by chance alone (Poisson)", cell, plain)
    show("all reps together", cell, whole)


def held(found: pd.DataFrame, truth) -> pd.Series:
    return found["monthly_activities_low"].le(truth) & found["monthly_activities_high"].ge(truth)


def timed() -> None:
    """Six activities a week of six minutes to an hour and a half; a week has more or less selling in it."""
    random, hits, whole = np.random.default_rng(5), [], []
    period = Period("quarter", date(2026, 7, 1), date(2026, 9, 29))
    kinds, minutes = np.array(["email", "call", "meeting", "task"]), np.array([6.0, 14.0, 42.0, 20.0])
    for _ in range(DRAWS):
        weekly = random.beta(6, 4, (5, WEEKS))
        cell = np.repeat(np.arange(5 * WEEKS), random.poisson(6, 5 * WEEKS))
        sells = random.random(len(cell)) < weekly.ravel()[cell]
        kind = np.where(sells, random.integers(1, 3, len(cell)), random.choice([0, 3], len(cell)))
        log = pd.DataFrame({
            "owner_id": (cell // WEEKS).astype(str), "kind": kinds[kind], "is_held": None, "is_automated": False,
            "occurred_at": pd.Timestamp(period.start) + pd.to_timedelta(7 * (cell % WEEKS), unit="D"),
            "minutes": minutes[kind] * np.exp(random.normal(0, 0.35, len(cell))),
        })  # fmt: skip
        options = {"reps": pd.DataFrame(), "period": period, "as_of": period.end}
        truth = 0.6 * 28 / (0.6 * 28 + 0.4 * 13)
        for by, into in (("owner_id", hits), (None, whole)):
            found = activity_logging.selling_time(log, by=by, **options)
            into.append((found["selling_time_rate_low"].le(truth) & found["selling_time_rate_high"].ge(truth)).mean())
    show("share of a rep's time that is selling", "6 a week, weeks differ (beta 6, 4)", hits)
    show("the same, five reps together", "6 a week, weeks differ (beta 6, 4)", whole)


def show(name: str, cell: str, found: list[float]) -> None:
    print(f"{name:<50}{cell:<44}{np.mean(found):>8.3f}{2 * np.std(found) / np.sqrt(len(found)):>9.3f}", flush=True)


if __name__ == "__main__":
    main()
