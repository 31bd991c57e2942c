"""How often the intervals hold the truth: 20,000 draws a cell, with the Monte-Carlo error.

Run with ``make bench NAME=coverage``.
"""

import numpy as np
import pandas as pd

from salesops.stats import proportions

DRAWS, BATCH = 20_000, 2_000
SPREAD = np.sqrt(np.log(6))  # log-normal amounts with E[A^2] / E[A]^2 = 6


def main() -> None:
    print(f"{'interval':<44}{'cell':<34}{'cover':>8}{'± 2 se':>9}{'width':>8}")
    rng = np.random.default_rng(0)
    for p in (0.05, 0.25, 0.5):
        for n in (20, 80, 350):
            show("win rate by count (Wilson)", f"p {p}, n {n}", *wilson(rng, p, n))
    for p in (0.1, 0.25):
        for n in (20, 80, 350):
            for deals_each in (1, 2):
                show(
                    "win rate by money (clustered ratio)",
                    f"p {p}, n {n}, {deals_each} a company",
                    *value(rng, p, n, deals_each),
                )


def show(name: str, cell: str, covered: float, width: float) -> None:
    error = np.sqrt(covered * (1 - covered) / DRAWS)
    print(f"{name:<44}{cell:<34}{covered:>8.3f}{2 * error:>9.3f}{width:>8.3f}")


def wilson(rng: np.random.Generator, p: float, n: int) -> tuple[float, float]:
    low, high = proportions.wilson_interval(rng.binomial(n, p, DRAWS), np.full(DRAWS, n))
    return ((low <= p) & (p <= high)).mean(), (high - low).mean()


def value(rng: np.random.Generator, p: float, n: int, deals_each: int) -> tuple[float, float]:
    """Money won over money closed; the deals of one company share a chance of their own."""
    hits, widths = [], []
    for _ in range(DRAWS // BATCH):
        account = rng.integers(0, n // deals_each, (BATCH, n)) if deals_each > 1 else np.tile(np.arange(n), (BATCH, 1))
        effect = rng.normal(0, 0.5, (BATCH, n)) * (deals_each > 1)
        chance = 1 / (1 + np.exp(-(np.log(p / (1 - p)) + np.take_along_axis(effect, account, axis=1))))
        rows = pd.DataFrame(
            {
                "draw": np.repeat(np.arange(BATCH), n),
                "amount": rng.lognormal(0, SPREAD, BATCH * n),
                "account": account.ravel().astype(str),
                "won": (rng.random((BATCH, n)) < chance).ravel(),
            }
        )
        table = proportions.weighted_share(rows, by=["draw"], weight="amount", success="won", cluster="account")
        truth = true_share(p) if deals_each > 1 else p
        hits.append(((table["share_low"] <= truth) & (truth <= table["share_high"])).mean())
        widths.append((table["share_high"] - table["share_low"]).mean())
    return float(np.mean(hits)), float(np.mean(widths))


def true_share(p: float) -> float:
    """Mean chance over companies whose log odds have a standard deviation of one half."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    return float((weights / (1 + np.exp(-(np.log(p / (1 - p)) + 0.5 * nodes)))).sum() / weights.sum())


if __name__ == "__main__":
    main()
