"""How good the chances of `salesops.win_model` are on later deals of a company whose true chances are known.

Run with ``make bench NAME=win_model``. 60,000 opportunities over four years; the win hazard rises by 1 / 0.55 on
2024-10-01, which no history can tell beforehand, so the seven quarters after the first of the new level are scored;
all eight are shown beside them. True chances are `sample.truth`'s at the day of each landmark: from what the tables
show that evening, and the coming level is part of the law.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # two processes share the machine

from datetime import date
from multiprocessing import Pool

import numpy as np
import pandas as pd
from scipy.special import expit

from salesops import candidates, landmark, win_model
from salesops.crm import sample
from salesops.crm.sample import answers, law
from salesops.stats import bootstrap, ridge, scores

AS_OF = date(2026, 9, 30)
SIZE, SEEDS = 60_000, 6
LEFT_OUT = (
    "competitor",
    "loss_reason",
    "list_amount",
    "arr_amount",
    "one_off_amount",
    "term_months",
)  # known at the close
SMALL_DRAWS, SMALL_N, SMALL_K = 400, 300, 25


def main() -> None:
    with Pool(2) as pool:
        for cells in pool.imap(company, range(SEEDS)):
            print("\n".join(cells), flush=True)
        for line in small(pool):
            print(line, flush=True)


def company(seed: int) -> list[str]:
    """One sample company's scores, over seven and over eight quarters."""
    frame, truth = known(seed)
    factors = [*usable(frame), "owner_id"]
    return [line for quarters in (7, 8) for line in scored(frame, truth, factors, seed, quarters)]


def known(seed: int, size: int = SIZE) -> tuple[pd.DataFrame, pd.Series]:
    """The deals at their landmark, and the true chance of each there."""
    switches = {"seed": seed, "size": size}
    tables, key = sample.tables(**switches), sample.truth(**switches)
    deals = tables["opportunities"].dropna(subset=["opportunity_id", "outcome"]).drop_duplicates("opportunity_id")
    others = {name: tables[name] for name in ("stage_history", "activities", "accounts", "reps")}
    frame = landmark.deals(deals[deals["opportunity_type"] != "renewal"], at="qualified", as_of=AS_OF, **others)
    chosen = key.world.chosen
    # `win_probability` day by day, in one pass: the chance at the entry to the qualified stage.
    chance = answers.landmark(chosen, np.arange(np.prod(list(law.FACTORS.values()))), chosen.n_days - 1)
    day = (frame["landmark_at"].to_numpy("datetime64[D]") - chosen.start).astype(int)
    number = frame["opportunity_id"].str[2:].astype(int) - 1
    truth = chance[day, key.world.deals["law_class"].to_numpy()[number]]
    return frame, pd.Series(truth, index=frame["opportunity_id"])


def usable(frame: pd.DataFrame) -> list[str]:
    """Columns that may be used and are known before the close."""
    table = candidates.candidates(frame, factors=[name for name in landmark.factors(frame) if name not in LEFT_OUT])
    return table.loc[table["reason"].isna(), "factor"].tolist()


def scored(frame: pd.DataFrame, truth: pd.Series, factors: list[str], seed: int, quarters: int) -> list[str]:
    later = win_model.later_deals(frame, factors, as_of=AS_OF, quarters=quarters)
    card = win_model.score_card(later).set_index("model")
    done = later[later["is_closed"]]
    exact = truth[done["opportunity_id"]].to_numpy()
    how = {"weight": done["weight"], "cluster": done["account_id"].to_numpy()}
    best = bootstrap.mean_interval(scores.log_losses(done["is_won"], exact), **how)
    row = card.loc["win_model"]
    told = [
        f"seed {seed}, {quarters} quarters, n {row['n']:,.0f} decided, {len(factors)} factors: "
        f"log-loss model {row['log_loss']:.4f}, truth {best.value:.4f} ({row['log_loss'] / best.value - 1:+.1%}), "
        f"base rate {card.loc['base_rate', 'log_loss']:.4f}, CRM {card.loc['crm_probability', 'log_loss']:.4f}"
    ]
    slope, intercept = (
        f"{row[name]:.3f} ({row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f})"
        for name in ("calibration_slope", "calibration_intercept")
    )
    perfect = scores.expected_calibration_error(done["is_won"], exact, weight=done["weight"])
    everyone = truth[later["opportunity_id"]].to_numpy()
    exactly = scores.expected_calibration_error(everyone, later["win_model"])
    told.append(
        f"    slope {slope}, intercept {intercept}, ECE {row['calibration_error']:.4f} (truth's own {perfect:.4f}; "
        f"against the true chances of all {len(later):,} deals {exactly:.4f}), "
        f"AUC {row['auc']:.3f} ({row['auc_low']:.3f}, {row['auc_high']:.3f}), truth's "
        f"{scores.auc(done['is_won'], exact).value:.3f}, skill {row['skill_rate']:.3f} "
        f"({row['skill_rate_low']:.3f}, {row['skill_rate_high']:.3f})"
    )
    return told


def small(pool) -> list[str]:
    """300 cases, 25 columns: ridge against maximum likelihood and the law that drew them."""
    drawn = np.array(pool.map(small_draw, range(SMALL_DRAWS), chunksize=10))
    names = ("oracle", "ridge (cross-validated)", "log-F(1,1)", "maximum likelihood")
    error = 2 * drawn.std(axis=0) / np.sqrt(len(drawn))
    return [
        f"n {SMALL_N}, {SMALL_K} columns, {name:<24} log-loss {drawn[:, place].mean():.4f} ± {error[place]:.4f}   "
        f"median slope {np.median(drawn[:, place + 4]):.2f}"
        for place, name in enumerate(names)
    ]


def small_draw(seed: int) -> list[float]:
    """Log-loss, then calibration slope, of each method on 5,000 new cases of one draw."""
    random = np.random.default_rng([seed, 1])
    beta = np.r_[np.linspace(0.8, 0.2, 8), np.zeros(SMALL_K - 8)] * np.where(np.arange(SMALL_K) % 2, -1, 1)
    columns = random.normal(size=(SMALL_N + 5000, SMALL_K))
    chance = expit(columns @ beta - 1)
    outcome = (random.random(len(chance)) < chance).astype(float)
    seen, new = slice(None, SMALL_N), slice(SMALL_N, None)
    fits = [
        ridge.fit(columns[seen], outcome[seen], penalty=ridge.best_penalty(columns[seen], outcome[seen])),
        log_f(columns[seen], outcome[seen]),
        ridge.fit(columns[seen], outcome[seen], penalty=1e-6),
    ]
    said = [chance[new], *(expit(ridge.log_odds(fit, columns[new])) for fit in fits)]
    slopes = [scores.calibration_line(outcome[new], each)[0].value for each in said]
    return [*(scores.log_loss(outcome[new], each) for each in said), *slopes]


def log_f(columns: np.ndarray, outcome: np.ndarray) -> ridge.Fit:
    """Maximum likelihood with half a success and half a failure more for each column (Greenland & Mansournia 2015)."""
    k = columns.shape[1]
    design = np.column_stack([np.ones(len(outcome)), columns])
    more = np.column_stack([np.zeros(2 * k), np.tile(np.eye(k), (2, 1))])
    every, y = np.vstack([design, more]), np.r_[outcome, np.ones(k), np.zeros(k)]
    weight, beta = np.r_[np.ones(len(outcome)), np.full(2 * k, 0.5)], np.zeros(k + 1)
    for _ in range(30):
        p = expit(every @ beta)
        curve = every.T @ (every * (weight * p * (1 - p))[:, None])
        beta = beta + np.linalg.solve(curve, every.T @ (weight * (y - p)))
    return ridge.Fit(beta, np.linalg.inv(curve), 0.0)


if __name__ == "__main__":
    main()
