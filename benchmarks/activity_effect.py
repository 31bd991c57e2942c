"""Whether what goes with activity within a rep is told from what goes with it between reps, with the error of each.

Run with ``make bench NAME=activity_effect``.
"""

from functools import partial
from multiprocessing import Pool

import numpy as np
import pandas as pd
from scipy.special import expit

from salesops import activity_effect

REPS, DRAWS = 30, 1_600


def main() -> None:
    print(f"{'what':<58}{'cell':<48}{'figure':>8}{'± 2 se':>9}")
    cells = {
        "better reps log more, nothing within": {"within": 0.0, "between": 0.8},
        "nothing at all": {"within": 0.0, "between": 0.0},
        "0.25 log odds a doubling within, none between": {"within": 0.25, "between": 0.0},
        "0.25 within, better reps log less": {"within": 0.25, "between": -0.8},
    }
    with Pool(2) as pool:
        for cell, planted in cells.items():
            found = pd.DataFrame(pool.imap_unordered(partial(one_company, **planted), range(DRAWS), 20))
            show("95 % interval within a rep holds the truth", cell, found["within_held"])
            show("an effect within a rep is found (5 %)", cell, found["within_found"])
            show("error of the effect within, points", cell, 100 * found["within_error"])
            if not planted["between"]:
                show("95 % interval between reps holds the truth", cell, found["between_held"])
            show("pooled over reps, the interval holds the truth within", cell, found["pooled_held"])


def show(what: str, cell: str, found: pd.Series) -> None:
    known = found.dropna().astype(float)
    print(f"{what:<58}{cell:<48}{known.mean():>8.3f}{2 * known.std() / np.sqrt(len(known)):>9.3f}", flush=True)


def one_company(seed: int, *, within: float, between: float) -> dict[str, float]:
    """Thirty reps of 25-110 deals; a customer's deals are alike, and segments differ in both activity and wins."""
    random = np.random.default_rng([7, seed])
    habit = random.normal(0, 1, REPS)
    skill = 0.5 * (between * habit + np.sqrt(1 - between**2) * random.normal(0, 1, REPS))
    rep = np.repeat(np.arange(REPS), random.integers(25, 111, REPS))
    account = random.integers(0, len(rep) // 2, len(rep))
    segment = random.integers(0, 3, len(rep))
    usual = 1.2 + 0.35 * habit[rep] + 0.25 * segment + random.normal(0, 0.5, len(rep))
    count = random.poisson(np.exp(usual))
    x = np.log2(1 + count)
    logit = -1.2 + skill[rep] - 0.3 * segment + within * (x - 2.2) + random.normal(0, 0.5, len(rep) // 2)[account]
    deals = pd.DataFrame({
        "owner_id": rep.astype(str), "account_id": account.astype(str), "segment": np.array(["a", "b", "c"])[segment],
        "is_closed": True, "is_won": random.random(len(rep)) < expit(logit), "activity_count": count,
    })  # fmt: skip
    truth = (expit(logit + within / 2) - expit(logit - within / 2)).mean()
    table = activity_effect.relation(deals).set_index("comparison")
    mine, other = table.loc["within a rep"], table.loc["between reps"]
    pooled = activity_effect.relation(deals.assign(owner_id="all")).set_index("comparison").loc["within a rep"]
    return {
        "within_held": held(mine, truth), "within_found": float(mine["p_value"] < 0.05),
        "within_error": mine["doubling_effect"] - truth, "between_held": held(other, truth),
        "pooled_held": held(pooled, truth),
    }  # fmt: skip


def held(row: pd.Series, truth: float) -> float:
    if np.isnan(row["doubling_effect"]):
        return np.nan
    return float(row["doubling_effect_low"] <= truth <= row["doubling_effect_high"])


if __name__ == "__main__":
    main()
