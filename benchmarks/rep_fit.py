"""Whether a rep's fit with a kind of deal is told from chance: coverage, names and gains, with the error of each.

Run with ``make bench NAME=rep_fit``.
"""

import sys
from functools import partial
from multiprocessing import Pool

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from salesops import checks, rep_fit
from salesops.stats import crossed

DRAWS = 1_600
REPS, SHARES, LEVELS = 30, [0.5, 0.3, 0.2], logit(0.28) + np.array([0.4, 0.0, -0.4])
OWN, COMPANY = 0.25, 0.5  # standard deviations of reps and of companies, in log odds
KINDS = np.array(["SMB", "Mid", "Large"])


def main(draws: int = DRAWS) -> None:
    print(f"{'what':<66}{'cell':<34}{'figure':>8}{'± 2 se':>9}")
    rep_fit.PROBABLE = -1.0  # every plan is returned, so that its interval can be judged; see `shown` below
    with Pool(2) as pool:
        for deviation in (0.0, 0.3, 0.6):
            found = pd.DataFrame(pool.imap_unordered(partial(one_company, deviation=deviation), range(draws), 10))
            cell = f"30 reps, 8-120 deals, fit sd {deviation}"
            show("95 % interval of fit holds it", cell, found["held"])
            show(
                "95 % interval of fit holds it, reps with 20 or more of the kind",
                cell,
                found["large"],
                found["n_large"],
            )
            show("named, a report", cell, found["named"])
            show("named whose fit is not above 0, a report", cell, found["named"] - found["above"])
            show("named whose fit is above 0", cell, found["above"], found["named"])
            show("named whose fit is above 3 points", cell, found["right"], found["named"])
            show("true best kind of 10 points or more, named", cell, found["best"], found["n_best"])
            show("95 % interval of the plan's gain holds it", cell, found["gain_held"])
            show("plan's gain, points", cell, 100 * found["gain"])
            show("plan's gain as judged by the posterior, points", cell, 100 * found["judged"])
            show("plan's gain at raw rates, points", cell, 100 * found["raw"])
            show("plan shown, a report", cell, found["shown"])
            show("true gain of plans shown, points", cell, 100 * found["gain"] * found["shown"], found["shown"])
            show("plans shown that gain a point or more", cell, found["shown_right"], found["shown"])


def show(what: str, cell: str, found: np.ndarray, over: np.ndarray | float = 1.0) -> None:
    """A mean, or a ratio of means with its linearised error; a report is one draw."""
    found, over = np.asarray(found, dtype=float), np.broadcast_to(np.asarray(over, dtype=float), len(found))
    if not over.any():
        print(f"{what:<66}{cell:<34}{'-':>8}", flush=True)
        return
    figure = found.mean() / over.mean()
    error = (found - figure * over).std() / over.mean() / np.sqrt(len(found))
    print(f"{what:<66}{cell:<34}{figure:>8.3f}{2 * error:>9.3f}", flush=True)


def one_company(seed: int, *, deviation: float) -> dict[str, float]:
    deals, rate = company(np.random.default_rng([1, seed]), deviation)
    cells = rep_fit.segment_fit(deals, draws=1_000, seed=seed).cells
    shape = REPS, len(KINDS)
    n = cells["n"].to_numpy().reshape(shape)
    order = np.argsort(KINDS)  # the table has kinds in the order of their names
    truth = crossed.interaction(rate[:, order], n).ravel()
    low, high, is_named = (cells[name].to_numpy() for name in ("segment_fit_low", "segment_fit_high", "is_named"))
    held, large, is_best = (low <= truth) & (truth <= high), n.ravel() >= checks.MIN_N, truth >= 0.1
    is_best &= large & ((n.sum(axis=1, keepdims=True) - n).ravel() >= checks.MIN_N)
    known = n.ravel() > 0
    return {
        "held": held[known].mean(), "large": held[large].sum(), "n_large": large.sum(), "named": is_named.sum(),
        "above": (is_named & (truth > 0)).sum(), "right": (is_named & (truth > rep_fit.LEAST)).sum(),
        "best": (is_named & is_best).sum(), "n_best": is_best.sum(),
    } | one_plan(deals, rate[:, order], cells, seed)  # fmt: skip


def one_plan(deals: pd.DataFrame, rate: np.ndarray, cells: pd.DataFrame, seed: int) -> dict[str, float]:
    found = rep_fit.reassignment(deals, deals, quarters=8, draws=1_000, seed=seed)
    row, plan = found.gain.iloc[0], found.plan.set_index(["owner_id", "segment"])
    moves = (plan["n_planned"] - plan["n"]).reindex(cells.set_index(["owner_id", "segment"]).index).fillna(0)
    gain = float((moves.to_numpy() * rate.ravel()).sum() / row["n"])
    raw = float((moves.to_numpy() * cells["win_rate"].fillna(0).to_numpy()).sum() / row["n"])
    shown = row["gain_probability"] > 0.8
    return {
        "gain": gain, "judged": row["fit_gain"], "raw": raw, "shown": shown,
        "shown_right": shown and gain >= rep_fit.MATERIAL,
        "gain_held": row["fit_gain_low"] <= gain + 1e-12 and gain <= row["fit_gain_high"] + 1e-12,
    }  # fmt: skip


def company(random: np.random.Generator, deviation: float) -> tuple[pd.DataFrame, np.ndarray]:
    """Deals, two to a company on the average, and every rep's true rate with every kind, over all companies."""
    rep = np.repeat(np.arange(REPS), random.integers(8, 121, REPS))
    kind = random.choice(len(KINDS), len(rep), p=SHARES)
    logits = LEVELS + random.normal(0, OWN, REPS)[:, None] + random.normal(0, deviation, (REPS, len(KINDS)))
    cell = rep * len(KINDS) + kind
    half = np.maximum(np.bincount(cell, minlength=logits.size) // 2, 1)
    account = cell * 100 + random.integers(0, half[cell])
    effect = random.normal(0, COMPANY, logits.size * 100)
    deals = pd.DataFrame({
        "owner_id": np.array([f"U{each:02}" for each in range(REPS)])[rep], "segment": KINDS[kind],
        "account_id": account.astype(str),
        "is_won": random.random(len(rep)) < expit(logits[rep, kind] + effect[account]),
    })  # fmt: skip
    nodes, weight = np.polynomial.hermite_e.hermegauss(21)
    return deals, expit(logits[..., None] + COMPANY * nodes) @ (weight / weight.sum())


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else DRAWS)
