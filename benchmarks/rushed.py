"""How often stages passed fast are said to be rushed, where fast deals win as often and where they win less.

Run with ``make bench NAME=rushed``.
"""

from datetime import date
from multiprocessing import Pool
from typing import NamedTuple

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from salesops import rushed
from salesops.periods import Period

DRAWS, PARTS = 1_600, 8
WINDOW = Period("2024Q4–2026Q3", date(2024, 10, 1), date(2026, 9, 30))
START, LAST = pd.Timestamp(WINDOW.start), (pd.Timestamp(WINDOW.end) - pd.Timestamp(WINDOW.start)).days + 1
STAGES = 4
PACE, LEVEL = np.array([1.0, 1.5, 3.0]), np.array([0.85, 0.75, 0.65])  # by segment: slower ones go further less often


class Cell(NamedTuple):
    """Deals, and what a fast pass of the second stage does."""

    name: str
    n: int = 3_000
    effect: float = 0.0  # on the chance at the last stage
    companies: float = 0.1  # how far a company's own chance lies above or below
    repeats: int = 4
    slower: float = 1.0  # how much longer the rest of a fast deal takes


CELLS = [
    Cell("no effect, segments differ in pace and chance"),
    Cell("no effect, 10 deals a company, 0.2 apart", companies=0.2, repeats=10),
    Cell("no effect, 600 deals", n=600),
    Cell("no effect, fast deals take longer later", slower=1.5),
    Cell("15 points less at the last stage", effect=-0.15),
    Cell("30 points less at the last stage", effect=-0.30),
]


def main() -> None:
    with Pool(2, threadpool_limits, [1]) as pool:
        print(f"{'named':<48}{'stage 2':>9}{'± 2 se':>8}{'other':>9}{'± 2 se':>8}{'any':>9}{'± 2 se':>8}{'gap':>8}")
        for cell in CELLS:
            *shares, gap = np.mean(pool.starmap(named, [(cell, seed) for seed in range(PARTS)], 1), axis=0)
            figures = "".join(f"{share:>9.3f}{2 * np.sqrt(share * (1 - share) / DRAWS):>8.3f}" for share in shares)
            print(f"{cell.name:<48}{figures}{gap:>8.3f}", flush=True)


def named(cell: Cell, seed: int) -> tuple[float, ...]:
    """Shares of draws in which the second stage, another, or any is said to be rushed; the mean gap of the second."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(DRAWS // PARTS):
        table = rushed.fast_passes(visits(rng, cell), period=WINDOW, by="segment")
        mine = (table["is_named"] & (table["fast_pass_win_gap_high"] < 0)).to_numpy()
        found.append((mine[1], mine[[0, 2, 3]].any(), mine.any(), table["fast_pass_win_gap"].iloc[1]))
    return tuple(np.nanmean(found, axis=0))


def visits(rng: np.random.Generator, cell: Cell) -> pd.DataFrame:
    """Deals through four stages; the second is fast where its stay is in the shortest quarter of the segment's."""
    company = rng.integers(0, cell.n // cell.repeats, cell.n)
    segment = rng.integers(0, 3, company.max() + 1)[company]
    own = np.where(rng.random(company.max() + 1) < 0.5, -1, 1)[company] * cell.companies
    day, is_fast, stays = rng.random(cell.n) * LAST, np.zeros(cell.n, dtype=bool), []
    mine = np.arange(cell.n)
    for stage in range(STAGES):
        stay = rng.exponential(10 * PACE[segment[mine]]) * np.where(is_fast[mine], cell.slower, 1.0)
        chance = LEVEL[segment[mine]] + own[mine] * (1 - LEVEL[segment[mine]]) * 2
        goes_on = rng.random(len(mine)) < chance + (stage == STAGES - 1) * cell.effect * is_fast[mine]
        stays.append((mine, np.full(len(mine), stage), day[mine].copy(), stay, goes_on))
        if stage == 1:
            is_fast[mine] = stay < -10 * PACE[segment[mine]] * np.log(0.75)
        day[mine] += stay
        mine = mine[goes_on & (day[mine] < LAST)]
    return frame(company, segment, *(np.concatenate(each) for each in zip(*stays, strict=True)))


def frame(company, segment, deal, stage, day, stay, goes_on) -> pd.DataFrame:
    is_over = day + stay < LAST
    how = np.where(goes_on, np.where(stage == STAGES - 1, "won", "forward"), "lost")
    rows = pd.DataFrame(
        {
            "opportunity_id": deal,
            "account_id": company[deal],
            "segment": segment[deal].astype(str),
            "visit": stage + 1,
            "pipeline": "new",
            "stage": stage.astype(str),
            "position": stage + 1.0,
            "entered_at": START + pd.to_timedelta(day, unit="D"),
            "exited_at": (START + pd.to_timedelta(day + stay, unit="D")).where(is_over),
            "exit": np.where(is_over, how, "still_there"),
            "is_reentry": False,
            "days": np.where(is_over, stay, LAST - day),
        }
    )
    return rows.iloc[np.lexsort([stage, deal])].reset_index(drop=True)


if __name__ == "__main__":
    main()
