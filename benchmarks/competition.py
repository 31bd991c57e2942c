"""Whether the competitor matrix holds the truth and names only what is there; likewise reasons and shrunk rates.

At least 1,600 draws a cell, companies repeating, with the Monte-Carlo error. Run with
``make bench NAME=competition``.
"""

from datetime import date
from functools import partial
from multiprocessing import Pool

import numpy as np
import pandas as pd
from scipy.special import expit, gammaln

from salesops import competition, loss_reasons
from salesops.crm import sample
from salesops.stats import logit, multiplicity, shrinkage

DRAWS, SAMPLES = 1_600, 24
RIVALS = np.array(["Acuity", "Borealis", "Cobalt", "Dynamo", "Evergreen"])
HURTING = 2
ODDS_RATIO = 0.5
ADJUST = ["segment", "region"]
REASONS = ["Price", "Missing feature", "Chose competitor", "Timing", "No budget", "No response"]
SHARES = np.array([0.3, 0.2, 0.18, 0.15, 0.1, 0.07])


def main() -> None:
    print(f"{'what':<52}{'cell':<36}{'figure':>8}{'± 2 se':>9}")
    with Pool(2) as pool:
        for size, ratio in ((2_000, ODDS_RATIO), (2_000, 1.0), (600, ODDS_RATIO)):
            matrix(pool, size, ratio)
        samples(pool)
        pareto(pool)
        times(pool)
        for groups in (5, 20):
            shrunk(pool, groups)


def show(what: str, cell: str, found: np.ndarray) -> None:
    error = found.std() / np.sqrt(len(found))
    print(f"{what:<52}{cell:<36}{found.mean():>8.3f}{2 * error:>9.3f}", flush=True)


def matrix(pool: Pool, size: int, ratio: float) -> None:
    truth = large_sample(ratio)
    results = pd.DataFrame(pool.map(partial(one_matrix, size=size, ratio=ratio, truth=truth), range(DRAWS), 20))
    cell = f"{size:,} closed deals, odds ratio {ratio}"
    show("its odds ratio is covered", cell, results["odds_covered"])
    show("its difference in points is covered", cell, results["points_covered"])
    show("the planted competitor is named", cell, results["named"])
    show("another one is named", cell, results["others_named"])
    show("any is named", cell, results["any_named"])


def one_matrix(seed: int, *, size: int, ratio: float, truth: tuple[float, float]) -> dict[str, float]:
    deals = company(np.random.default_rng([1, seed]), size, ratio)
    [table] = multiplicity.named_together(competition.competitors(deals, adjust=ADJUST))
    row = table.set_index("competitor").loc[RIVALS[HURTING]]
    odds, gap = truth
    named = set(table.loc[table["is_named"], "competitor"])
    return {
        "odds_covered": row["competitor_odds_ratio_low"] <= odds <= row["competitor_odds_ratio_high"],
        "points_covered": row["competitive_win_rate_difference_low"]
        <= gap
        <= row["competitive_win_rate_difference_high"],
        "named": RIVALS[HURTING] in named,
        "others_named": bool(named - {RIVALS[HURTING]}),
        "any_named": bool(named),
    }


def company(random: np.random.Generator, size: int, ratio: float) -> pd.DataFrame:
    """Closed deals: about three a company, whose chance of winning and usual competitor are its own.

    Segments and regions win at different rates and meet different competitors.
    """
    n = size // 3
    account = random.integers(0, n, size)
    segment, region = random.integers(0, 3, n), random.integers(0, 3, n)
    weight = np.array([[1.0, 1, 1.5, 1, 1], [1, 1, 1, 1, 1], [1, 1, 2.5, 1, 0.5]])[segment]
    usual = (random.random(n)[:, None] > (weight / weight.sum(axis=1, keepdims=True)).cumsum(axis=1)).sum(axis=1)
    rival = np.where(random.random(size) < 0.4, usual[account], random.integers(0, len(RIVALS), size))
    own = random.normal(0, 0.6, n)[account]
    base = np.array([-1.4, -0.4, -0.9])[segment[account]] + np.array([0.0, 0.2, -0.3])[region[account]]
    won = random.random(size) < expit(base + own + np.log(ratio) * (rival == HURTING))
    named = pd.Series(RIVALS[rival]).where(random.random(size) < 0.6)
    return pd.DataFrame(
        {
            "account_id": account,
            "segment": np.array(list("ABC"))[segment[account]],
            "region": np.array(list("XYZ"))[region[account]],
            "competitor": named,
            "is_won": won,
            "is_closed": True,
            "outcome": np.where(won, "won", "lost"),
            "qualified_date": pd.Timestamp("2026-07-01"),
        }
    )


def large_sample(ratio: float) -> tuple[float, float]:
    """What the regression tends to: odds ratio and difference in points in a million deals."""
    deals = company(np.random.default_rng(0), 1_000_000, ratio).dropna(subset=["competitor"])
    dummies = [deals[name] == level for name in ADJUST for level in sorted(deals[name].unique())[1:]]
    design = np.column_stack([np.ones(len(deals)), deals["competitor"] == RIVALS[HURTING], *dummies])
    fitted = logit.fit(design, deals["is_won"])
    return float(np.exp(fitted.coefficients[1])), logit.average_difference(fitted, [1], [1], [0]).estimate


def samples(pool: Pool) -> None:
    found = pd.DataFrame(pool.map(one_sample, range(SAMPLES), 1))
    for name, what in (("odds_covered", "its odds ratio is covered"), ("named", "the planted competitor is named"),
                       ("others_named", "another one is named")):  # fmt: skip
        show(what, f"sample company, {SAMPLES} seeds", found[name])


def one_sample(seed: int) -> dict[str, float]:
    key, deals = sample.truth(seed=seed), sample.tables(seed=seed)["opportunities"]
    [table] = multiplicity.named_together(competition.competitors(deals[deals["opportunity_type"] != "renewal"]))
    row = table.set_index("competitor").loc[key.hurting_competitor]
    named = set(table.loc[table["is_named"], "competitor"])
    return {
        "odds_covered": row["competitor_odds_ratio_low"]
        <= key.competitor_odds_ratio
        <= row["competitor_odds_ratio_high"],
        "named": key.hurting_competitor in named,
        "others_named": bool(named - {key.hurting_competitor}),
    }


def pareto(pool: Pool) -> None:
    for size in (100, 300):
        found = pd.DataFrame(pool.map(partial(one_pareto, size=size), range(DRAWS), 20))
        show("all shares of reasons are covered, by count", f"{size} lost deals, 6 reasons", found["count"])
        show("all shares of reasons are covered, by amount", f"{size} lost deals, 6 reasons", found["amount"])


def one_pareto(seed: int, *, size: int) -> dict[str, float]:
    random = np.random.default_rng([2, seed])
    lost = pd.DataFrame(
        {
            "is_closed": True,
            "is_won": False,
            "account_id": random.integers(0, size // 2, size),
            "loss_reason": random.choice(REASONS, size, p=SHARES),
            "amount": random.lognormal(0, np.sqrt(np.log(4)), size),
        }
    )
    table = loss_reasons.loss_pareto(lost).set_index("loss_reason").reindex(REASONS)
    return {
        kind: bool(((table[f"{name}_low"].fillna(0) <= SHARES) & (SHARES <= table[f"{name}_high"].fillna(1))).all())
        for kind, name in (("count", "loss_share"), ("amount", "value_loss_share"))
    }


def times(pool: Pool) -> None:
    found = np.array(pool.map(one_time, range(DRAWS), 20))
    show("times to loss are said to differ though they do not", "600 deals, 6 reasons, level 5 %", found)


def one_time(seed: int) -> bool:
    random, size = np.random.default_rng([3, seed]), 600
    created = pd.Timestamp("2025-01-01") + pd.to_timedelta(random.integers(0, 600, size), "D")
    ended = created + pd.to_timedelta(random.gamma(1.2, 50, size).round(), "D")
    closed, won = ended <= pd.Timestamp("2026-09-30"), random.random(size) < 0.25
    deals = pd.DataFrame(
        {
            "created_date": created,
            "close_date": ended,
            "closed_at": pd.NaT,
            "is_closed": closed,
            "is_won": closed & won,
            "loss_reason": pd.Series(random.choice(REASONS, size, p=SHARES)).where(closed & ~won),
        }
    ).astype({"closed_at": "datetime64[us]"})
    contrast = loss_reasons.time_contrast(loss_reasons.time_to_loss_by(deals, as_of=date(2026, 9, 30)))
    return bool(len(contrast) and contrast["p_value"].iloc[0] < 0.05)


def shrunk(pool: Pool, groups: int) -> None:
    found = pd.DataFrame(pool.map(partial(one_shrunk, groups=groups), range(DRAWS), 20))
    cell = f"{groups} groups of 10 to 80, spread 0.08"
    show("rates are covered, drawn to the mean on a grid", cell, found["grid"])
    show("rates are covered, best estimate put in", cell, found["plug_in"])
    print(
        f"{'squared error, raw over drawn to the mean':<52}{cell:<36}{found['raw'].sum() / found['pooled'].sum():>8.2f}"
    )


def one_shrunk(seed: int, *, groups: int) -> dict[str, float]:
    random = np.random.default_rng([4, seed])
    total = 0.25 * 0.75 / 0.08**2 - 1
    rate = random.beta(0.25 * total, 0.75 * total, groups)
    n = random.integers(10, 81, groups)
    x = random.binomial(n, rate)
    table = shrinkage.pooled_rates(x, n)
    low, high = plug_in(x, n)
    return {
        "grid": ((table["rate_low"] <= rate) & (rate <= table["rate_high"])).mean(),
        "plug_in": ((low <= rate) & (rate <= high)).mean(),
        "raw": ((x / n - rate) ** 2).sum(),
        "pooled": ((table["rate"] - rate) ** 2).sum(),
    }


def plug_in(x: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Empirical Bayes as it is usually done: the most likely beta distribution taken for true."""
    from scipy.optimize import minimize
    from scipy.stats import beta

    def less_likelihood(logs: np.ndarray) -> float:
        a, b = np.exp(logs)
        part = gammaln(x + a) + gammaln(n - x + b) - gammaln(n + a + b) - gammaln(a) - gammaln(b) + gammaln(a + b)
        return -part.sum()

    a, b = np.exp(minimize(less_likelihood, [1.0, 2.0], method="Nelder-Mead", bounds=[(-5, 9)] * 2).x)
    return beta.ppf(0.025, a + x, b + n - x), beta.ppf(0.975, a + x, b + n - x)


if __name__ == "__main__":
    main()
