"""How often drivers are found where there are some, and named where there are none, and whether their intervals hold.

Each draw is a company of 2,000 decided deals, a fifth of them won, at some 700 accounts of very
different size that each have a chance of their own; ten factors, one a flag that 30 % of the deals have.
Run with ``make bench NAME=drivers``.
"""

from multiprocessing import Pool
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit
from threadpoolctl import threadpool_limits

from salesops import driver_findings, drivers
from salesops.stats import multiplicity

DRAWS, N, ACCOUNTS, BASE = 1_600, 2_000, 700, 0.20
SOURCES = (0.4, 0.25, 0.2, 0.1, 0.005, 0.045)
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(40)
FACTORS = [
    "x_sponsor", "segment", "region", "lead_source", "product", "is_partner", "amount", "employees", "meeting_count",
    "x_visits",
]  # fmt: skip


class Cell(NamedTuple):
    """What is planted: the flag's effect, its prevalence, the spread of the accounts' log odds, who has the flag."""

    name: str
    effect: float
    prevalence: float = 0.30
    spread: float = 0.6
    by_account: bool = False
    n: int = N


CELLS = (
    Cell("+8 points, 30 % of deals", 0.08),
    Cell("+8 points, flag of the account, very unlike accounts", 0.08, spread=1.5, by_account=True),
    Cell("+8 points, 2 % of deals", 0.08, prevalence=0.02),
    Cell("no effect", 0.0),
    Cell("no effect, flag of the account, very unlike accounts", 0.0, spread=1.5, by_account=True),
)


def main() -> None:
    heads = f"{'found':>14}{'interval holds':>17}{'named wrongly':>16}{'each, p<.05':>14}"
    print(f"{'cell':<56}{heads}{'worst':>7}{'width':>7}{'seen':>7}")
    with Pool(2, threadpool_limits, [1]) as pool:
        for cell in CELLS:
            draws = pd.DataFrame(pool.starmap(one, [(cell, seed) for seed in range(DRAWS)], chunksize=25))
            show(cell, draws)


def show(cell: Cell, draws: pd.DataFrame) -> None:
    """Shares of the draws, and the wrong share of what is named: without effects, how often anything is."""
    others = draws[[name for name in FACTORS if name != "x_sponsor" or not cell.effect]]
    worst = (others < 0.05).mean().max()
    found, held, wrong = (share(draws[name]) for name in ("found", "held", "wrong"))
    each = f"{(others < 0.05).to_numpy().mean():.3f}"
    print(
        f"{cell.name:<56}{found:>14}{held:>17}{wrong:>16}{each:>14}{worst:>7.3f}{draws['width'].mean():>7.3f}{draws['detectable'].mean():>7.3f}",
        flush=True,
    )


def share(hits: pd.Series) -> str:
    return f"{hits.mean():.3f} ± {2 * hits.astype(float).sem():.3f}"


def one(cell: Cell, seed: int) -> dict[str, float]:
    """One company: what was found of the flag, whether its interval holds the truth, what else was named."""
    frame = company(cell, np.random.default_rng([seed, CELLS.index(cell)]))
    [tests] = multiplicity.named_together(drivers.factor_tests(frame, FACTORS))
    effects = drivers.effects(frame, ["x_sponsor"], controls=FACTORS[1:])
    effect = effects.iloc[0]
    sign = -1 if effect["level"] == "No" else 1
    ends = sorted(sign * effect[f"win_rate_effect_{end}"] for end in ("low", "high"))
    named = tests.set_index("factor")["is_named"]
    return dict(tests.set_index("factor")["p_value"]) | {
        "found": named["x_sponsor"],
        "wrong": named[named.index.isin(FACTORS[bool(cell.effect) :])].sum() / max(named.sum(), 1),
        "held": ends[0] <= cell.effect <= ends[1],
        "width": ends[1] - ends[0],
        "detectable": driver_findings.not_found(tests.assign(is_named=False), effects)["detectable_effect"].min(),
    }


def company(cell: Cell, rng: np.random.Generator) -> pd.DataFrame:
    """Decided deals: the flag more often in large segments and where there are meetings, nothing else of any effect."""
    weight = rng.lognormal(0, 1, ACCOUNTS)
    account = rng.choice(ACCOUNTS, cell.n, p=weight / weight.sum())
    unit = account if cell.by_account else np.arange(cell.n)
    segment = rng.choice(3, ACCOUNTS, p=[0.5, 0.3, 0.2])
    tilt = np.array([0.8, 1.0, 1.5])[segment[account]] / (0.5 * 0.8 + 0.3 + 0.2 * 1.5)
    has = rng.random(max(ACCOUNTS, cell.n))[unit] < cell.prevalence * tilt
    without = BASE - cell.prevalence * cell.effect
    chance = expit(
        np.where(has, log_odds(without + cell.effect, cell.spread), log_odds(without, cell.spread))
        + cell.spread * rng.standard_normal(ACCOUNTS)[account]
    )
    region = rng.choice(4, ACCOUNTS, p=[0.4, 0.35, 0.2, 0.05])
    visits = rng.negative_binomial(1, 0.2, cell.n).astype(float)
    return pd.DataFrame(
        {
            "account_id": account.astype(str),
            "is_closed": True,
            "is_won": rng.random(cell.n) < chance,
            "x_sponsor": np.where(has, "Yes", "No"),
            "segment": np.array(["SMB", "Mid", "Enterprise"])[segment[account]],
            "region": np.array(["EMEA", "AMER", "APAC", "LATAM"])[region[account]],
            "lead_source": rng.choice(["web", "event", "partner", "referral", "fax", None], cell.n, p=SOURCES),
            "product": rng.choice(["Core", "Plus", "Pro", "Edge"], cell.n, p=[0.5, 0.25, 0.15, 0.1]),
            "is_partner": np.where(rng.random(cell.n) < 0.15, "partner", "direct"),
            "amount": rng.lognormal(10, 1.2, cell.n),
            "employees": rng.lognormal(5, 1.5, ACCOUNTS)[account],
            "meeting_count": rng.poisson(1.0 + 1.0 * has),
            "x_visits": np.where(rng.random(cell.n) < 0.15, np.nan, visits),
        }
    )  # fmt: skip


def log_odds(rate: float, spread: float) -> float:
    """Log odds that give a rate on average over accounts whose log odds have a spread."""
    over = lambda centre: float((WEIGHTS * expit(centre + spread * NODES)).sum() / WEIGHTS.sum())  # noqa: E731
    return brentq(lambda centre: over(centre) - rate, -10, 10)


if __name__ == "__main__":
    main()
