"""Young cohorts: bias and coverage of the expected win rate, and false alarms of the trend's limits.

Run with ``make bench NAME=young_cohorts``. Every figure with two Monte-Carlo standard errors.
"""

from datetime import timedelta
from functools import cache

import numpy as np
import pandas as pd

from salesops import cohorts
from salesops.crm import model
from salesops.crm.sample import answers, core_frames, law, settings, world
from salesops.periods import Period
from salesops.stats import completion, control

WEEKS = (2, 4, 8, 13, 26, 39, 52)  # age of the oldest deal; a cohort spans thirteen weeks at most
SIZE, SEEDS = 24_000, 30
DRAWS = 1_600
YOUNG = (4, 13, 26, 52)
LAWS = (
    ("exponential", 300, 1),
    ("exponential", 1200, 4),
    ("log-normal", 300, 1),
    ("log-normal", 300, 4),
    ("log-normal", 1200, 1),
    ("log-normal", 1200, 4),
)
STEADY = tuple(name for name in settings.PLANTED if name not in ("break", "mix"))
COMPANIES = (
    # what is planted, as of, strata, in words
    (STEADY, "2026-09-30", (), "steady company"),
    (STEADY, "2025-05-15", (), "steady company, mid-quarter"),
    (settings.PLANTED, "2026-09-30", (), "default, mix shifts for a year"),
    (settings.PLANTED, "2026-09-30", ("segment",), "default, paces by segment"),
    (settings.PLANTED, "2025-02-15", (), "default, 20 weeks after the break"),
)


def main() -> None:
    heads = f"{'true':>7}{'closed':>9}{'so far':>9}{'expected':>10}{'± 2 se':>8}{'cover':>8}"
    print(f"{'company: error in points':<36}{'age':>5}{'n':>6}{heads}")
    for planted, as_of, strata, name in COMPANIES:
        for weeks, cell in bias(planted, as_of, strata).items():
            show_bias(name, weeks, cell)
    heads = f"{'bias':>8}{'± 2 se':>8}{'share':>8}{'± 2 se':>8}{'chance':>8}{'width':>8}"
    print(f"\n{'the interval holds the share in the end, and the chance behind it':<68}{heads}")
    rng = np.random.default_rng(0)
    for law_name, a_year, each in LAWS:
        for weeks, cell in cover(rng, law_name, a_year, each).items():
            show_cover(f"{law_name}, {a_year} deals a year, {each} a company, {weeks} weeks", cell)
    print(f"\n{'trend in control':<68}{'a point':>9}{'± 2 se':>8}{'a chart':>9}{'± 2 se':>8}")
    for periods in (12, 24, 36):
        for n, chance in ((40, 0.2), (120, 0.25), (250, 0.25)):
            for spread in (0.0, 0.05):
                show_alarms(periods, n, chance, spread, *alarms(rng, periods, n, chance, spread))
    print(f"\n{'break of +8 points, half-way':<68}{'found':>9}{'± 2 se':>8}{'dated':>9}")
    for periods, n in ((16, 250), (24, 120), (36, 120)):
        show_power(periods, n, *power(rng, periods, n))


def bias(planted: tuple[str, ...], as_of: str, strata: tuple[str, ...], seeds: int = SEEDS, size: int = SIZE) -> dict:
    """By age in weeks, one row a seed: n, truth, and the error of won/closed, won so far and expected; covered."""
    cells = {weeks: [] for weeks in WEEKS}
    day = pd.Timestamp(as_of).date()
    for seed in range(seeds):
        chosen = settings.switches(seed=seed, size=size, planted=planted, clean=True)
        company = world.build(chosen)
        chance = chances(planted)[company.deals["created"], company.deals["law_class"]]
        deals = model.conform(core_frames.opportunities(company, chosen.day(as_of)), "opportunities")
        truth = pd.Series(chance, index=[f"D-{number:07d}" for number in range(1, len(chance) + 1)])
        spans = [span(day, weeks) for weeks in WEEKS]
        table = cohorts.cohort_win_rate(deals, cohorts=spans, as_of=day, strata=strata)
        for weeks, each, row in zip(WEEKS, spans, table.itertuples(), strict=True):
            true = truth[deals.loc[each.contains(deals["created_date"]), "opportunity_id"]].mean()
            covered = row.expected_win_rate_low <= true <= row.expected_win_rate_high
            rates = (row.closed_win_rate, row.won_so_far_rate, row.expected_win_rate)
            cells[weeks].append((row.n, true, *(rate - true for rate in rates), covered))
    return {weeks: np.array(rows, dtype=float) for weeks, rows in cells.items()}


def span(as_of, weeks: int) -> Period:
    start = as_of - timedelta(days=7 * weeks - 1)
    return Period(f"{weeks} weeks", start, min(as_of, start + timedelta(days=90)))


@cache
def chances(planted: tuple[str, ...]) -> np.ndarray:
    """Exact chance of ever being won, on the evening of creation: a row a day, a column a class of deal."""
    chosen = settings.switches(planted=planted, clean=True)
    classes = np.arange(np.prod(list(law.FACTORS.values())))
    start = np.where(law.level_of(classes, "type") > 0, law.QUALIFIED, law.FIRST)
    found = np.empty((chosen.n_days, len(classes)))
    for day, chance in answers.values(chosen, classes, 0, chosen.n_days - 1 + answers.HORIZON):
        if day < chosen.n_days:
            found[day] = chance[0, classes, start, 0]
    return found


def show_bias(name: str, weeks: int, cell: np.ndarray) -> None:
    n, true, closed, so_far, expected, covered = cell.mean(axis=0)
    error = 2 * cell[:, 4].std(ddof=1) / np.sqrt(len(cell))
    print(
        f"{name:<36}{weeks:>4}w{n:>6.0f}{true:>7.3f}{100 * closed:>+9.1f}{100 * so_far:>+9.1f}"
        f"{100 * expected:>+10.2f}{100 * error:>8.2f}{covered:>8.2f}",
        flush=True,
    )


def deals(rng: np.random.Generator, law_name: str, a_year: int, each: int) -> pd.DataFrame:
    """Three years of deals, 20 % more each year: quick losses, slow wins, companies that share a chance."""
    count = 3 * a_year
    created = 1095 * (np.log1p(rng.random(count) * (1.2**3 - 1)) / np.log(1.2) / 3)
    company = rng.integers(0, max(count // each, 1), count) if each > 1 else np.arange(count)
    chance = 1 / (1 + np.exp(-(-1.2 + 0.7 * (each > 1) * rng.normal(size=count)[company])))
    is_won = rng.random(count) < chance
    middle = np.where(is_won, 90, 30)
    waits = rng.exponential(middle) if law_name == "exponential" else middle * np.exp(0.8 * rng.normal(size=count))
    age = np.floor(1095 - created)
    is_over = np.ceil(waits) <= age
    cause = pd.Series(np.where(is_won, "won", "lost"), dtype="str").where(is_over)
    return pd.DataFrame(
        {"age": age, "days": np.where(is_over, np.ceil(waits), age), "cause": cause, "company": company.astype(str)}
    ).assign(entry=np.maximum(age - 364, 0), is_won=is_won)


def true_rate(each: int) -> float:
    if each == 1:
        return 1 / (1 + np.exp(1.2))
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    return float((weights / (1 + np.exp(1.2 - 0.7 * nodes))).sum() / weights.sum())


def cover(rng, law_name: str, a_year: int, each: int, draws: int = DRAWS) -> dict[int, np.ndarray]:
    """By age in weeks, one row a draw: error, share and chance covered or not, and width of the expected win rate."""
    cells, true = {weeks: [] for weeks in YOUNG}, true_rate(each)
    part = np.minimum((1095 + 90 - np.arange(3 * 1095)) % 91 // 7, 3)
    for _ in range(draws):
        rows = deals(rng, law_name, a_year, each)
        taken = {"causes": ["won", "lost"], "entry": rows["entry"]}
        origin = 1095 - rows["age"].astype(int)
        calendar = completion.seasons(rows["days"], rows["cause"], origin=origin, part=part, **taken)
        for weeks in YOUNG:
            member = rows["age"].between(7 * weeks - 91, 7 * weeks - 1)
            found = completion.expected_shares(
                rows["days"], rows["cause"], is_member=member, cluster=rows["company"], calendar=calendar, **taken
            ).iloc[0]
            low, high = found["share_low"], found["share_high"]
            share = rows.loc[member, "is_won"].mean()
            cells[weeks].append((found["share"] - true, low <= share <= high, low <= true <= high, high - low))
    return {weeks: np.array(rows, dtype=float) for weeks, rows in cells.items()}


def show_cover(name: str, cell: np.ndarray) -> None:
    error, covered, chance, width = cell.mean(axis=0)
    errors = 2 * cell[:, :2].std(axis=0) / np.sqrt(len(cell))
    figures = f"{covered:>8.3f}{errors[1]:>8.3f}{chance:>8.3f}{width:>8.3f}"
    print(f"{name:<68}{100 * error:>+8.2f}{100 * errors[0]:>8.2f}{figures}", flush=True)


def counts(rng, chance: np.ndarray, n: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Won and closed of each period; its chance varies by so much beyond counting."""
    trials = rng.poisson(n, len(chance))
    if spread:
        size = chance * (1 - chance) / spread**2 - 1
        chance = rng.beta(chance * size, (1 - chance) * size)
    return rng.binomial(trials, chance), trials


def alarms(rng, periods: int, n: int, chance: float, spread: float, draws: int = DRAWS) -> tuple[float, float]:
    """Share of points outside the limits, and of charts with any signal, where nothing changes."""
    points, charts = [], []
    for _ in range(draws):
        chart = control.p_chart(*counts(rng, np.full(periods, chance), n, spread))
        points.append((chart["rule"] == "outside").mean())
        charts.append(chart["is_signal"].any())
    return float(np.mean(points)), float(np.mean(charts))


def show_alarms(periods: int, n: int, chance: float, spread: float, point: float, chart: float) -> None:
    cell = f"{periods} periods of {n} deals, rate {chance}, " + (f"sd {spread} beyond" if spread else "counting alone")
    errors = [2 * np.sqrt(share * (1 - share) / size) for share, size in ((point, DRAWS * periods), (chart, DRAWS))]
    print(f"{cell:<68}{point:>9.4f}{errors[0]:>8.4f}{chart:>9.3f}{errors[1]:>8.3f}", flush=True)


def power(rng, periods: int, n: int, draws: int = DRAWS) -> tuple[float, float]:
    """How often a lasting rise from 24 to 32 % is found as a run, and then dated within one period."""
    found, dated = 0, 0
    for _ in range(draws):
        chance = np.where(np.arange(periods) < periods // 2, 0.24, 0.32)
        chart = control.p_chart(*counts(rng, chance, n, 0.0))
        run = np.flatnonzero(chart["rule"] == "run")
        found += bool(len(run))
        dated += bool(len(run)) and abs(int(run[0]) - periods // 2) <= 1
    return found / draws, dated / max(found, 1)


def show_power(periods: int, n: int, found: float, dated: float) -> None:
    error = 2 * np.sqrt(found * (1 - found) / DRAWS)
    print(f"{f'{periods} periods of {n} deals':<68}{found:>9.3f}{error:>8.3f}{dated:>9.3f}", flush=True)


if __name__ == "__main__":
    main()
