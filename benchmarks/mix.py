"""How often the parts of a change of the win rate hold the truth, and what is said of the sample's mix shift.

Run with ``make bench NAME=mix``.
"""

from collections import Counter
from datetime import date
from multiprocessing import Pool

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from salesops import mix, pipeline
from salesops.crm import sample
from salesops.periods import Period

DRAWS, SEEDS = 1_600, 48
# Name, accounts, deals an account and time, rates before and now by segment, shares before and now,
# standard deviation of the accounts' own log odds.
EVEN, OLD, NEW = (0.4, 0.4, 0.2), (0.36, 0.42, 0.22), (0.68, 0.15, 0.17)
LOW, HIGH, FLAT = (0.15, 0.35, 0.20), (0.22, 0.42, 0.27), (0.20, 0.20, 0.20)
CELLS = [
    ("mix alone", 400, 1.0, LOW, LOW, OLD, NEW, 0.0),
    ("mix alone, accounts differ", 400, 1.0, LOW, LOW, OLD, NEW, 1.0),
    ("rate alone, accounts differ", 400, 1.0, LOW, HIGH, EVEN, EVEN, 1.0),
    ("one against the other, 80 accounts", 80, 1.0, LOW, HIGH, OLD, NEW, 0.5),
    ("nothing, six deals an account", 60, 6.0, FLAT, FLAT, EVEN, EVEN, 1.0),
]
WITHOUT_BREAK = ("segment", "type", "sponsor", "partner", "product", "rep", "competitor", "ramp", "mix")


def main() -> None:
    print(f"{'95 % intervals of the parts':<36}{'total':>8}{'mix':>8}{'rate':>8}{'second':>9}{'± 2 se':>8}")
    with Pool(2, threadpool_limits, [1]) as pool:
        covered = pool.starmap(coverage, [(DRAWS, cell, 1) for cell in CELLS])
        for cell, found in zip(CELLS, covered, strict=True):
            error = 2 * np.sqrt(0.95 * 0.05 / DRAWS)
            print(
                f"{cell[0]:<36}"
                + "".join(f"{found[part]:>8.3f}" for part in ("total", "mix", "rate", "types"))
                + f"{error:>9.3f}"
            )
        print(f"\n{'the four quarters to 2026Q3 against the four before':<80}{'said':>8}{'± 2 se':>8}")
        planted = {
            "mix shift, trend break, all planted": (*WITHOUT_BREAK, "break"),
            "mix shift, no break": WITHOUT_BREAK,
            "segment and mix shift alone": ("segment", "mix"),
            "segment alone: no shift": ("segment",),
        }
        for name, truths in planted.items():
            for view in ("closed", "created"):
                said = pd.DataFrame(pool.starmap(spoken, [(seed, truths, view) for seed in range(SEEDS)])).mean()
                for what in ("mix", "a decline within segments", "a rise within segments"):
                    error = 2 * np.sqrt(said[what] * (1 - said[what]) / SEEDS)
                    print(f"{f'{name}, by {view}: {what}':<80}{said[what]:>8.2f}{error:>8.2f}")
                parts = f"{said['mix part']:>8.3f}{said['rate part']:>8.3f}"
                print(f"{f'{name}, by {view}: mean mix and rate':<80}{parts}", flush=True)


def coverage(draws: int, cell: tuple, seed: int) -> dict[str, float]:
    """Share of draws in which each part's interval holds its true value;
    ``types`` is the mix part of a second column that tells nothing."""
    rng = np.random.default_rng(seed)
    _, accounts, each, before, now, share_before, share_now, spread = cell
    before, now, share_before, share_now = (np.array(part) for part in (before, now, share_before, share_now))
    truth = {
        "mix": ((share_now - share_before) * (before + now) / 2).sum(),
        "rate": ((share_now + share_before) / 2 * (now - before)).sum(),
    }
    truth["total"], truth["types"] = truth["mix"] + truth["rate"], 0.0
    hits = Counter()
    for _ in range(draws):
        frames = [
            drawn(rng, accounts, each, *part, spread)
            for part in _companies(rng, accounts, share_before, share_now, before, now)
        ]
        table = mix.win_rate_change(frames[1], frames[0], "segment").set_index("component")
        for part in ("total", "mix", "rate"):
            hits[part] += _holds(table.loc[part], truth[part])
        two = mix.win_rate_change(frames[1], frames[0], ["segment", "opportunity_type"])
        hits["types"] += _holds(two.iloc[2], 0.0)
    return {part: hits[part] / draws for part in ("total", "mix", "rate", "types")}


def _holds(row: pd.Series, truth: float) -> bool:
    return bool(row["win_rate_change_low"] <= truth <= row["win_rate_change_high"])


def _companies(rng, accounts: int, share_before, share_now, before, now):
    """The same accounts at both times: each has its own liking for us; deals by segment follow the shares."""
    liking = rng.normal(size=accounts)
    segment = rng.choice(3, accounts, p=(share_before + share_now) / 2)
    for share, rate in ((share_before, before), (share_now, now)):
        yield segment, liking, share / ((share_before + share_now) / 2), rate


def drawn(rng, accounts: int, each: float, segment, liking, weight, rate, spread: float) -> pd.DataFrame:
    account = np.repeat(np.arange(accounts), rng.poisson(each * weight[segment]))
    chance = _tilted(rate, spread)[segment[account]] + spread * liking[account]
    return pd.DataFrame(
        {
            "segment": np.array(["SMB", "Mid", "Large"])[segment[account]],
            "opportunity_type": np.array(["new", "expansion"])[account % 2],
            "is_won": rng.random(len(account)) < 1 / (1 + np.exp(-chance)),
            "is_closed": True,
            "account_id": account,
            "qualified_date": pd.Timestamp("2026-01-01"),
        }
    )


def _tilted(rate: np.ndarray, spread: float) -> np.ndarray:
    """Log odds whose mean chance over accounts is the rate."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    low, high = np.full(rate.shape, -10.0), np.full(rate.shape, 10.0)
    for _ in range(50):
        middle = (low + high) / 2
        mean = (weights / (1 + np.exp(-(middle[:, None] + spread * nodes)))).sum(axis=1) / weights.sum()
        low, high = np.where(mean < rate, middle, low), np.where(mean < rate, high, middle)
    return (low + high) / 2


def spoken(seed: int, planted: tuple[str, ...], view: str) -> dict[str, float]:
    """What the sentence names on one sample company without renewals."""
    deals = sample.tables(seed=seed, planted=planted)["opportunities"].query("opportunity_type != 'renewal'")
    if view == "closed":
        years = [Period(str(year), date(year - 1, 10, 1), date(year, 9, 30)) for year in (2026, 2025)]
        now, before = (pipeline.closed_in(deals, year) for year in years)
    else:
        # Won within 120 days of creation; the same months of two years, as far as the later ones are old enough.
        known = pipeline.won_in_time(deals, days=120, start="created_date", as_of=date(2026, 9, 30))
        spans = [Period(str(year), date(year - 1, 10, 1), date(year, 6, 2)) for year in (2026, 2025)]
        now, before = (known[span.contains(known["started_at"])] for span in spans)
    table = mix.win_rate_change(now, before, "segment").set_index("component")
    rate = table.loc["rate"]
    return {
        "mix": bool(table.loc["mix", "is_named"]),
        "a decline within segments": bool(rate["is_named"] and rate["win_rate_change"] < 0),
        "a rise within segments": bool(rate["is_named"] and rate["win_rate_change"] > 0),
        "mix part": table.loc["mix", "win_rate_change"],
        "rate part": rate["win_rate_change"],
    }


if __name__ == "__main__":
    main()
