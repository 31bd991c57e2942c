"""How far the time to four fifths of the plateau is off, with leavers present, and how often its interval holds it.

Reps are hired over four years and differ in level. They leave at random, because they are weak, or because of what
they showed in the last half year. Run with ``make bench NAME=ramp``.
"""

import warnings
from multiprocessing import Pool

import numpy as np
import pandas as pd
from scipy.stats import gamma

from salesops import ramp
from salesops.stats import rise

DRAWS, FEW, WINDOW, MONTH, WEEK = 1600, 100, 48, 365.25 / 12, 7
LOAD = np.array([0.025, 0.10, 0.25, 0.45, 0.65, 0.80, 0.92, 1.0])  # of the sample company, in the middle of its months
SHAPES = {
    "as the sample": (lambda age: np.interp(age, [0, *(np.arange(7) + 0.5)], LOAD), 4.5),
    "straight": (lambda age: np.clip(age / 9, 0, 1), 7.2),
    "quick, then slow": (lambda age: 1 - np.exp(-age / 3), 3 * np.log(5)),
    "S-shaped": (lambda age: 1 / (1 + np.exp(-(age - 6) / 1.5)), 6 + 1.5 * np.log(4)),
    "straight after two": (lambda age: np.clip((age - 2) / 6, 0, 1), 6.8),
    "in three steps": (lambda age: gamma.cdf(age, 3, scale=1.6), gamma.ppf(0.8, 3, scale=1.6)),
}  # the prior of the shapes was chosen on the first five; the last, the sum of three waits, came after

LEAVING = ("at random", "the weak leave", "after weak results")


def main() -> None:
    print(f"{'rise':<20}{'who leaves':<20}{'hires':>6}{'wins a month':>13}{'bias, weeks':>12}{'± 2 se':>8}"
          f"{'sd, weeks':>11}{'95 % covers':>12}{'± 2 se':>8}")  # fmt: skip
    with Pool(2) as pool:
        for n, wins in ((40, 2.0), (25, 1.0)):
            for shape in SHAPES if n == 40 else ("as the sample",):
                for leaving in LEAVING:
                    jobs = [(shape, leaving, n, wins, seed) for seed in range(DRAWS)]
                    show(shape, leaving, n, wins, np.array(pool.map(fitted, jobs, chunksize=50)))
        print("\nOther methods, the sample's rise, 40 hires with 2 wins a month: bias in weeks ± 2 se, sd")
        for leaving in LEAVING:
            jobs = [("as the sample", leaving, 40, 2.0, seed) for seed in range(FEW)]
            found = np.array(pool.map(others, jobs, chunksize=10)) * MONTH / WEEK
            for name, weeks in zip(("mean of those present", "mixed model, spline"), found.T, strict=True):
                weeks = weeks[~np.isnan(weeks)]
                print(f"{name:<24}{leaving:<20}{weeks.mean():>7.1f} ± {2 * weeks.std() / np.sqrt(len(weeks)):.1f}"
                      f"{weeks.std():>7.1f}{len(weeks):>6} draws")  # fmt: skip
    through_the_tables()


def show(shape: str, leaving: str, n: int, wins: float, found: np.ndarray) -> None:
    truth = SHAPES[shape][1]
    weeks = (found[:, 0] - truth) * MONTH / WEEK
    known = ~np.isnan(weeks)
    low, high = np.nan_to_num(found[:, 1], nan=0.0), np.nan_to_num(found[:, 2], nan=np.inf)
    covered = ((low <= truth) & (truth <= high)).mean()
    errors = 2 * weeks[known].std() / np.sqrt(known.sum()), 2 * np.sqrt(covered * (1 - covered) / len(found))
    none = f"  {(~known).sum()} without a figure" if not known.all() else ""
    print(f"{shape:<20}{leaving:<20}{n:>6}{wins:>13.1f}{weeks[known].mean():>12.2f}{errors[0]:>8.2f}"
          f"{weeks[known].std():>11.1f}{covered:>12.3f}{errors[1]:>8.3f}{none}", flush=True)  # fmt: skip


def fitted(job: tuple) -> tuple[float, float, float]:
    amount, exposure, left = world(*job)
    return rise.rise(amount, exposure, left=left).time


def world(shape: str, leaving: str, n: int, wins: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Amounts and exposure by rep and month since hire, and who has left."""
    random, share = np.random.default_rng(seed), SHAPES[shape][0]
    hired, level = random.uniform(0, WINDOW, n), np.exp(random.normal(-0.06, 0.35, n))
    hazard = {"at random": np.full(n, 0.25), "after weak results": np.full(n, 0.05),
              "the weak leave": np.where(level < np.median(level), 0.5, 0.05)}[leaving] / 12  # fmt: skip
    end = np.minimum(WINDOW - hired, random.exponential(1 / hazard))
    amount = np.zeros((n, WINDOW + 1))
    for rep in range(n):
        age = random.uniform(0, end[rep], random.poisson(wins * level[rep] * end[rep]))
        age = age[random.random(len(age)) < share(age)]
        amount[rep] = np.bincount(age.astype(int), random.lognormal(-0.32, 0.8, len(age)), WINDOW + 1)
        if leaving == "after weak results":
            end[rep] = shown_the_door(random, amount[rep], share, wins, end[rep])
            amount[rep, int(np.ceil(end[rep])) :] = 0
    return amount, np.clip(end[:, None] - np.arange(WINDOW + 1), 0, 1), end < WINDOW - hired


def shown_the_door(random: np.random.Generator, amount: np.ndarray, share, wins: float, end: float) -> float:
    """From month 9 on, each quarter: three of five leave who won less than half of what the job brings by then."""
    for month in range(9, int(end), 3):
        usual = wins * share(np.arange(month - 6, month) + 0.5).sum()
        if amount[month - 6 : month].sum() < 0.5 * usual and random.random() < 0.6:
            return month
    return end


def others(job: tuple) -> tuple[float, float]:
    """Errors, in months, of the mean curve of whoever is there, and of a mixed model with a spline."""
    amount, exposure, _ = world(*job)
    truth = SHAPES[job[0]][1]
    watched = exposure.sum(axis=0)
    mean = np.convolve(amount.sum(axis=0), np.ones(3), "same") / np.maximum(np.convolve(watched, np.ones(3), "same"), 1)
    seen = np.flatnonzero(watched >= 3)
    return crossing(mean[seen], seen + 0.5) - truth, mixed(amount, exposure, seen.max()) - truth


def crossing(curve: np.ndarray, age: np.ndarray) -> float:
    """When a curve first comes up to four fifths of its mean over the last third."""
    goal = 0.8 * curve[-max(len(curve) // 3, 1) :].mean()
    at = np.flatnonzero(curve >= goal)[0]
    return age[0] if at == 0 else np.interp(goal, curve[at - 1 : at + 1], age[at - 1 : at + 1])


def mixed(amount: np.ndarray, exposure: np.ndarray, last: int) -> float:
    """``bs(tenure, df=4)`` and a random intercept by rep, as methods in use have it."""
    import statsmodels.formula.api as smf

    rep, month = np.nonzero(exposure >= 0.999)
    rows = pd.DataFrame({"rep": rep, "month": month + 0.5, "amount": amount[rep, month]})
    try:
        with warnings.catch_warnings(action="ignore"):  # it often says that it has not converged
            found = smf.mixedlm("amount ~ bs(month, df=4)", rows, groups="rep").fit(method="lbfgs")
    except (np.linalg.LinAlgError, ValueError):
        return np.nan
    age = np.arange(0.5, min(last, rows["month"].max()), 0.1)
    return crossing(found.predict(pd.DataFrame({"month": age})).to_numpy(), age)


def through_the_tables() -> None:
    """The same from deals and reps, as a report does it, against the amounts by month directly."""
    first = pd.Timestamp("2022-01-01")
    random, n = np.random.default_rng(0), 40
    hired = first + pd.to_timedelta(random.integers(0, 1461, n), "D")
    people = pd.DataFrame({"owner_id": [f"U{rep}" for rep in range(n)], "role": "rep", "hire_date": hired})
    days = (pd.Timestamp("2025-12-31") - hired).days.to_numpy()
    rows = []
    for rep in range(n):
        age = random.uniform(0, days[rep] + 1, random.poisson(2 * (days[rep] + 1) / MONTH))
        age = age[random.random(len(age)) < SHAPES["as the sample"][0](age / MONTH)]
        rows.append(pd.DataFrame({"owner_id": f"U{rep}", "close_date": hired[rep] + pd.to_timedelta(age // 1, "D")}))
    deals = pd.concat(rows).assign(is_won=True, amount=1.0)
    months = ramp.rep_months(deals, reps=people.assign(left_date=pd.NaT), since=first.date(),
                             as_of=pd.Timestamp("2025-12-31").date())  # fmt: skip
    row = ramp.ramp_time(months).iloc[0]
    print(f"\nFrom tables, one company: {row['ramp_days']:.0f} days ({row['ramp_days_low']:.0f} to "
          f"{row['ramp_days_high']:.0f}); truth {4.5 * MONTH:.0f}")  # fmt: skip


if __name__ == "__main__":
    main()
