"""How often the intervals of transitions, outlook and what-if hold the truth, and their speed.

Run with ``make bench NAME=flow``.
"""

import resource
import sys
import time
from datetime import date

import numpy as np
import pandas as pd

from salesops import flow, journey, what_if
from salesops.periods import Period

YEAR = Period("2025", date(2025, 1, 1), date(2025, 12, 31))
STAGES = ["Talk", "Offer", "Deal"]
# Chances of the next stage, won, lost: on, back and straight to the end.
NEXT = np.array([[0, 0.55, 0.10, 0.0, 0.35], [0.08, 0, 0.52, 0.05, 0.35], [0.05, 0.15, 0, 0.45, 0.35]])
DAILY = np.array([0.10, 0.06, 0.04])  # of leaving
DRAWS = 1600


def main() -> None:
    print(f"{'95 % interval':<34}{'cell':<38}{'cover':>8}{'± 2 se':>9}{'width':>8}")
    for companies, deals_each in ((400, 1), (100, 4), (300, 4)):
        found = coverage(np.random.default_rng(0), companies, deals_each)
        for name, (hits, width) in found.items():
            error = 2 * np.sqrt(np.mean(hits) * (1 - np.mean(hits)) / len(hits))
            cell = f"{companies * deals_each} deals, {deals_each} a company"
            print(f"{name:<34}{cell:<38}{np.mean(hits):>8.3f}{error:>9.3f}{np.mean(width):>8.3f}", flush=True)
    speed(1_000_000)


def visits(rng: np.random.Generator, companies: int, deals_each: int) -> pd.DataFrame:
    """Stays until the end of 2025 of deals begun over it; companies differ in how easily they are lost."""
    deals = companies * deals_each
    company = np.repeat(np.arange(companies), deals_each)
    weight = rng.choice([0.4, 1.6], companies)[company]  # of being lost; its mean is 1
    day, state, visit = rng.integers(0, 365, deals).astype(float), np.zeros(deals, dtype=int), 1
    pieces, alive = [], np.arange(deals)
    while len(alive):
        here, came = state[alive], day[alive]
        left = came + rng.geometric(DAILY[here]) - 1
        chances = NEXT[here].copy()
        chances[:, 4] *= weight[alive]
        chances[:, :4] *= ((1 - chances[:, 4]) / chances[:, :4].sum(axis=1))[:, None]
        to = (rng.random(len(alive))[:, None] > chances.cumsum(axis=1)).sum(axis=1)
        is_open = left >= 365
        pieces.append(pd.DataFrame({"deal": alive, "visit": visit, "from": here, "came": came, "left": left, "to": to}))
        pieces[-1]["to"] = np.where(is_open, 5, to)
        goes_on = ~is_open & (to < 3)
        state[alive], day[alive] = np.minimum(to, 2), left
        alive, visit = alive[goes_on], visit + 1
    return named(pd.concat(pieces).sort_values(["deal", "visit"], ignore_index=True), company)


def named(rows: pd.DataFrame, company: np.ndarray) -> pd.DataFrame:
    start, step = pd.Timestamp("2025-01-01"), (rows["to"] - rows["from"]).to_numpy()
    tests = [rows["to"] == 5, rows["to"] == 3, rows["to"] == 4, step == 1, step > 1]
    left = rows["left"].where(rows["to"] != 5)
    return pd.DataFrame({
        "opportunity_id": text(rows["deal"]), "visit": rows["visit"], "pipeline": "new",
        "stage": np.array(STAGES)[rows["from"]], "position": rows["from"] + 1.0,
        "entered_at": start + pd.to_timedelta(rows["came"], unit="D"),
        "exited_at": start + pd.to_timedelta(left, unit="D"),
        "exit": np.select(tests, ["still_there", "won", "lost", "forward", "skip"], "back"),
        "days": left.fillna(365) - rows["came"], "account_id": text(company[rows["deal"]]), "amount": 100.0,
    })  # fmt: skip


def text(numbers) -> pd.Series:
    return pd.Series(np.asarray(numbers)).astype("str").str.zfill(7)


def coverage(rng: np.random.Generator, companies: int, deals_each: int) -> dict[str, tuple[list, list]]:
    """Each draw's intervals against what a million deals of the same companies do."""
    truth = known()
    found = {name: ([], []) for name in truth}
    for draw in range(DRAWS):
        rows = visits(rng, companies, deals_each)
        for name, low, high in intervals(rows, draw):
            found[name][0].append(
                low <= truth[name] * (companies * deals_each if name == "what if, wins" else 1) <= high
            )
            found[name][1].append(high - low)
    return found


def intervals(rows: pd.DataFrame, seed: int) -> list[tuple[str, float, float]]:
    moves = flow.transitions(rows, period=YEAR).set_index(["stage", "next"])
    gains = what_if.gains(rows, period=YEAR, seed=seed, draws=200).set_index("stage").loc["Offer"]
    lost, on = moves.loc[("Talk", "lost")], moves.loc[("Offer", "Deal")]
    return [
        ("moves, Talk to lost", lost["transition_rate_low"], lost["transition_rate_high"]),
        ("moves, Offer to Deal", on["transition_rate_low"], on["transition_rate_high"]),
        ("what if, wins", gains["gained_win_count_low"], gains["gained_win_count_high"]),
    ]


def known() -> dict[str, float]:
    """What the same intervals hold of very many deals, each watched to its end."""
    rows = visits(np.random.default_rng(99), 300_000, 4)
    moves = flow.transitions(rows, period=YEAR).set_index(["stage", "next"])["transition_rate"]
    gain = what_if.gains(rows, period=YEAR, draws=2).set_index("stage").loc["Offer", "gained_win_count"]
    return {
        "moves, Talk to lost": moves["Talk", "lost"],
        "moves, Offer to Deal": moves["Offer", "Deal"],
        "what if, wins": gain / 1_200_000,
    }


def speed(deals: int) -> None:
    rng = np.random.default_rng(1)
    rows = visits(rng, deals // 4, 4)
    rows = pd.concat([rows, rows.assign(opportunity_id="b" + rows["opportunity_id"])], ignore_index=True)
    rows = rows.iloc[:5_000_000]
    tasks = {
        "transitions": lambda: flow.transitions(rows, period=YEAR),
        "outlook by stage": lambda: flow.outlook(rows, period=YEAR),
        "what if": lambda: what_if.gains(rows, period=YEAR),
        "stage order": lambda: journey.stage_order(rows),
    }
    for name, task in tasks.items():
        began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        task()
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / (
            1 if sys.platform == "darwin" else 1024
        )
        cell = f"{rows['opportunity_id'].nunique():,} deals, {len(rows):,} stays"
        print(f"{name}, {cell}: {time.process_time() - began:.1f} s of processor time, {grown:,.0f} MB more at most")


if __name__ == "__main__":
    main()
