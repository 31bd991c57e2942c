"""How often the bottleneck is named: where there is one, where there is none, and where two are level.

Five stages with 5,000 entries each. Run with ``make bench NAME=bottlenecks``.
"""

from datetime import date
from multiprocessing import Pool
from typing import NamedTuple

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from salesops import bottlenecks
from salesops.periods import Period

DRAWS, PARTS = 1_600, 10
WINDOW = Period("2024Q4–2026Q3", date(2024, 10, 1), date(2026, 9, 30))
START, LAST = pd.Timestamp(WINDOW.start), (pd.Timestamp(WINDOW.end) - pd.Timestamp(WINDOW.start)).days + 1
CONVERSION = (0.7, 0.6, 0.5, 0.65, 0.4)
SEGMENTS = (0.4, 0.25, 0.2, 0.15)
BEST = 1  # the segment, or the quarter, that does better


class Cell(NamedTuple):
    """Entries a stage, and what makes the rates differ."""

    name: str
    n: int = 5_000
    gaps: tuple[float, ...] = (0, 0, 0, 0, 0)  # the best group's rate less the stage's, by stage; one: each in turn
    kind: str = "segment"
    groups: tuple[float, ...] = SEGMENTS  # their shares
    companies: float = 0.12  # how far a company's own chance lies above or below, stage by stage
    repeats: int = 4  # deals a company
    conversion: tuple[float, ...] = CONVERSION
    stay: float = 20.0  # days, mean


NONE = [
    Cell("no gap"),
    Cell("no gap, companies differ, 10 deals each", companies=0.25, repeats=10),
    Cell("no gap, 20 segments", groups=(0.05,) * 20),
    Cell("no gap, few get past, 1,000 entries", n=1_000, conversion=(0.15, 0.9, 0.1, 0.92, 0.1)),
]
ONE = [
    Cell("8 points, one segment of four", gaps=(0.08,)),
    Cell("8 points, one quarter of eight", gaps=(0.08,), kind="quarter"),
    Cell("8 points, segment, 10 deals a company", gaps=(0.08,), companies=0.25, repeats=10),
    Cell("8 points, segment, long stays: many open", gaps=(0.08,), stay=60.0),
]
TWO = [Cell("two stages with as much to gain", gaps=(0, 0, 0.087, 0.08, 0))]


def main() -> None:
    with Pool(2, threadpool_limits, [1]) as pool:
        heads = "".join(f"{name:>9}{'± 2 se':>8}" for name in ("rightly", "wrongly", "covered"))
        print(f"{'named':<44}{heads}{'gap':>7}")
        for cell in (*NONE, *ONE, *TWO):
            found = np.array(pool.starmap(named, [(cell, seed) for seed in range(PARTS)], 1))
            *shares, gap = found.mean(axis=0)
            figures = "".join(f"{share:>9.3f}{2 * np.sqrt(share * (1 - share) / DRAWS):>8.3f}" for share in shares)
            print(f"{cell.name:<44}{figures}{gap:>7.3f}", flush=True)
            if len(cell.gaps) == 1:
                print(f"    with the gap at stage 1 to 5: {found[:5, 0].round(3)}, {found[5:, 0].round(3)}", flush=True)


def named(cell: Cell, seed: int) -> tuple[float, ...]:
    """Shares of draws in which a stage with a gap is named, another is, and all true gaps are covered; mean gap."""
    rng, found = np.random.default_rng(seed), []
    if len(cell.gaps) == 1:
        cell = cell._replace(gaps=tuple(np.where(np.arange(5) == seed % 5, cell.gaps[0], 0.0)))
    truth = np.array(cell.gaps)
    for _ in range(DRAWS // PARTS):
        table = bottlenecks.stage_gaps(visits(rng, cell), period=WINDOW, by="segment", draws=400)
        mine = table["is_named"].to_numpy()
        low, high = table["comparator_gap_low"].to_numpy(), table["comparator_gap_high"].to_numpy()
        is_held = ((low <= truth) & (truth <= high)).all()
        gap = table["comparator_gap"].to_numpy()[truth.argmax()]
        found.append(((mine & (truth > 0)).any(), (mine & (truth == 0)).any(), is_held, gap))
    return tuple(np.mean(found, axis=0))


def visits(rng: np.random.Generator, cell: Cell) -> pd.DataFrame:
    """Stays in five stages with about as many entries each: what one stage loses comes in new at the next."""
    starts = (cell.n * (1 - np.array([0.0, *cell.conversion[:-1]]))).astype(int)
    first = np.repeat(np.arange(5), starts)
    size = len(first)
    company = rng.integers(0, max(size // cell.repeats, 1), size)
    segment = rng.choice(len(cell.groups), company.max() + 1, p=cell.groups)[company]
    own = np.where(rng.random((5, company.max() + 1)) < 0.5, -1, 1) * cell.companies
    day, stays = rng.random(size) * LAST, []
    alive = np.zeros(size, dtype=bool)
    for stage in range(5):
        alive |= first == stage
        mine = np.flatnonzero(alive & (day < LAST))
        level = chance(cell, stage, segment[mine], day[mine]) + own[stage, company[mine]] * room(cell.conversion[stage])
        goes_on, stay = rng.random(len(mine)) < level, rng.exponential(cell.stay, len(mine))
        stays.append((mine, np.full(len(mine), stage), day[mine], stay, goes_on))
        day[mine], alive[mine] = day[mine] + stay, goes_on
    return frame(company, segment, *(np.concatenate(each) for each in zip(*stays, strict=True)), rng)


def room(rate: float) -> float:
    """Company effects are scaled down where the rate is near 0 or 1."""
    return min(1.0, min(rate, 1 - rate) / 0.4)


def chance(cell: Cell, stage: int, segment: np.ndarray, day: np.ndarray) -> np.ndarray:
    """The best group lies so far above the stage's mean, the others below it."""
    gap = cell.gaps[stage]
    if cell.kind == "quarter":
        return cell.conversion[stage] + np.where(day // (LAST / 8) == BEST, gap, -gap / 7)
    share = cell.groups[BEST]
    return cell.conversion[stage] + np.where(segment == BEST, gap, -gap * share / (1 - share))


def frame(company, segment, deal, stage, day, stay, goes_on, rng: np.random.Generator) -> pd.DataFrame:
    is_over = day + stay < LAST
    how = np.where(goes_on, np.where(stage == 4, "won", "forward"), "lost")
    entered = START + pd.to_timedelta(day, unit="D")
    exited = (START + pd.to_timedelta(day + stay, unit="D")).where(is_over)
    order = np.lexsort([stage, deal])
    rows = pd.DataFrame(
        {
            "opportunity_id": deal,
            "account_id": company[deal],
            "amount": rng.lognormal(10, 1, len(company))[deal],
            "segment": segment[deal].astype(str),
            "visit": stage + 1,
            "pipeline": "new",
            "stage": stage.astype(str),
            "position": stage + 1.0,
            "entered_at": entered,
            "exited_at": exited,
            "exit": np.where(is_over, how, "still_there"),
            "is_reentry": False,
            "days": np.where(is_over, stay, LAST - day),
        }
    )
    return rows.iloc[order].reset_index(drop=True)


if __name__ == "__main__":
    main()
