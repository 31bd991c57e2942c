"""The waterfall's identity over random histories, its speed, and how often the intervals of slippage hold the truth.

Run with ``make bench NAME=waterfall``.
"""

import time
from datetime import date, timedelta

import numpy as np
import pandas as pd

from salesops import evenings, slippage, waterfall
from salesops.periods import Period

WINDOW = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
EVE = WINDOW.start - timedelta(days=1)
HISTORIES, DRAWS = 10_000, 4_000
STAGES = pd.DataFrame(
    {
        "pipeline": "new",
        "stage": ["Talk", "Offer", "Won", "Lost"],
        "is_closed": [False, False, True, True],
        "is_won": [False, False, True, False],
    }
)


def main() -> None:
    identity(HISTORIES)
    for deals, changes in ((60_000, 300_000), (1_000_000, 5_000_000)):
        speed(deals, changes)
    print(f"{'95 % interval':<34}{'cell':<38}{'cover':>8}{'± 2 se':>9}{'width':>8}")
    rng = np.random.default_rng(0)
    for deals_each in (1, 2, 4):
        for n in (40, 240):
            for name, hits, widths in coverage(rng, n, deals_each):
                cover = np.mean(hits)
                error = 2 * np.sqrt(cover * (1 - cover) / DRAWS)
                cell = f"{n} deals, {deals_each} a company"
                print(f"{name:<34}{cell:<38}{cover:>8.3f}{error:>9.3f}{np.mean(widths):>8.3f}")


def company(rng: np.random.Generator, deals: int, changes: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Deals and changes at random: any stage, amount to the cent or none, any close date or none, any owner."""
    deal = np.sort(rng.integers(0, deals, changes))
    at = pd.Timestamp("2026-04-01") + pd.to_timedelta(rng.integers(0, 200 * 24 * 60, changes), unit="min")
    history = pd.DataFrame({
        "opportunity_id": ids(deal), "changed_at": at, "seq": np.arange(changes), "pipeline": "new",
        "stage": STAGES["stage"].to_numpy()[rng.choice(4, changes, p=[0.5, 0.3, 0.08, 0.12])],
        "amount": np.where(rng.random(changes) < 0.05, np.nan, rng.integers(0, 10**8, changes) / 100),
        "close_date": due(rng, changes), "owner_id": ids(rng.integers(0, 40, changes)),
    })  # fmt: skip
    outcome = rng.choice(3, deals, p=[0.3, 0.3, 0.4])
    closed_at = pd.Series(due(rng, deals)).where(outcome > 0)
    return pd.DataFrame({
        "opportunity_id": ids(np.arange(deals)), "stage": "Talk", "amount": rng.integers(0, 10**8, deals) / 100,
        "created_date": due(rng, deals), "close_date": due(rng, deals), "closed_at": closed_at,
        "is_closed": outcome > 0, "is_won": outcome == 1, "owner_id": ids(rng.integers(0, 40, deals)),
    }), history.sort_values(["opportunity_id", "changed_at"], ignore_index=True)  # fmt: skip


def ids(numbers: np.ndarray) -> pd.Series:
    return pd.Series(numbers).astype("str").str.zfill(7)


def due(rng: np.random.Generator, n: int) -> pd.DatetimeIndex:
    days = pd.Timestamp("2026-05-01") + pd.to_timedelta(rng.integers(0, 240, n), unit="D")
    return days.where(rng.random(n) > 0.05)


def identity(deals: int) -> None:
    """The largest gap of any deal's and of the whole waterfall, in cents, over the whole window and a week of it."""
    opportunities, history = company(np.random.default_rng(1), deals, 5 * deals)
    for start, end in ((EVE, WINDOW.end), (date(2026, 7, 12), date(2026, 7, 19))):
        stood = evenings.between(opportunities, history, start=start, end=end, stages=STAGES, by="owner_id")
        moves = waterfall.deal_moves(stood, window=WINDOW, by="owner_id")
        cells = waterfall.cells(moves)
        cents = (cells["amount"] * 100).round().astype("int64")
        signed = cents.where(cells["cell"] != "end", -cents)
        table = waterfall.bridge(moves, by="owner_id")
        total = (table["pipeline_waterfall_amount"] * 100).round().astype("int64")
        total = total.where(table["cell"] != "end", -total)
        whole = total.groupby(table["owner_id"]).sum().abs().max()
        gap = signed.groupby(cells["opportunity_id"]).sum().abs().max()
        kept = f"{moves['opportunity_id'].nunique():,} deals in the waterfall, {cells['cell'].nunique()} cells"
        gaps = f"largest gap of a deal {gap} cents, of an owner {whole} cents"
        print(f"identity, {deals:,} random histories, {start} to {end}: {gaps} ({kept})")


def speed(deals: int, changes: int) -> None:
    opportunities, history = company(np.random.default_rng(2), deals, changes)
    tasks = {
        "waterfall": lambda: waterfall.pipeline_waterfall(
            opportunities, history, window=WINDOW, start=EVE, end=WINDOW.end, stages=STAGES
        ),
        "waterfall by owner": lambda: waterfall.pipeline_waterfall(
            opportunities, history, window=WINDOW, start=EVE, end=WINDOW.end, stages=STAGES, by="owner_id"
        ),
        "waterfall of 14 weeks": lambda: waterfall.weekly_waterfall(
            opportunities, history, window=WINDOW, days=evenings.week_evenings(WINDOW, WINDOW.end), stages=STAGES
        ),
        "deals due": lambda: slippage.due_deals(opportunities, history, period=WINDOW, as_of=WINDOW.end, stages=STAGES),
        "push counts": lambda: slippage.push_count(opportunities, history, as_of=WINDOW.end, stages=STAGES),
    }
    for name, task in tasks.items():
        began = time.process_time()
        task()
        print(f"{name}, {deals:,} deals, {changes:,} changes: {time.process_time() - began:.2f} s of processor time")


def coverage(rng: np.random.Generator, n: int, deals_each: int) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Deals of one company share a chance to slip and a pace of pushes; amounts are heavy-tailed; all draws at once."""
    account = np.repeat(np.arange(DRAWS * n // deals_each), deals_each)
    companies = len(account) // deals_each
    rows = pd.DataFrame({
        "draw": np.repeat(np.arange(DRAWS), n), "account_id": account, "amount": rng.lognormal(0, 1.0, DRAWS * n),
        "is_slipped": rng.random(DRAWS * n) < rng.beta(1.2, 2.8, companies)[account],  # mean 0.3
        "push_count": rng.poisson(rng.gamma(1.5, 1.0, companies)[account]), "pushed_days": 0.0,  # mean 1.5
    })  # fmt: skip
    slipped, pushed = slippage.slippage_rate(rows, by="draw"), slippage.push_rates(rows, by="draw")
    measured = (
        ("slippage by count", slipped, "slippage_rate", 0.3),
        ("slippage by money", slipped, "value_slippage_rate", 0.3),
        ("pushes a deal", pushed, "push_count_mean", 1.5),
    )
    found = []
    for name, table, column, truth in measured:
        low, high = table[f"{column}_low"], table[f"{column}_high"]
        found.append((name, (low <= truth) & (truth <= high), high - low))
    return found


if __name__ == "__main__":
    main()
