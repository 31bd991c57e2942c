"""The law of the sample: how likely a deal moves on a day, given what the tables show the evening before.

A deal's state is its stage and the days it has been there (counted to `CAP`). Its class is what
was known when it was created and who owns it. On day *t* the hazard of each move *j* is
``h_j = weekday(t) · band(days) · speed · base_j(stage)``; a win's is further multiplied by the class's
win factor and by ``pull(t)``: the quarter's end, the trend break and the common shock. Something happens with
probability ``1 - exp(-Σh)``, and it is *j* with probability ``h_j / Σh``.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from salesops.crm.sample.settings import Switches

FIRST, QUALIFIED, MIDDLE, LATE, FINAL, LOST, WON, NO_DECISION = range(8)
N_STATES = 6  # the five open stages and lost, which can be re-opened; won and no decision are final
CAP = 40

NEW_STAGES = ("Discovery", "Qualified", "Solution", "Proposal", "Negotiation")
CUSTOMER_STAGES = ("", "Scoping", "Business Case", "Quote", "Approval")
CLOSED_STAGES = ("Closed Lost", "Closed Won", "No Decision")
CRM_PROBABILITY = np.array([0.10, 0.30, 0.50, 0.70, 0.90, 0.0, 1.0, 0.0])

# Base hazards a day by stage: first, qualified, middle, late, final, lost (its only move is re-opening).
FORWARD = np.array([0.024, 0.025, 0.023, 0.020, 0.0, 0.0])
SKIP = np.array([0.0, 0.004, 0.004, 0.0, 0.0, 0.0])
BACK = np.array([0.0, 0.0, 0.002, 0.003, 0.004, 0.0])
LOSE = np.array([0.0070, 0.0030, 0.0030, 0.0050, 0.0110, 0.0])
DROP = np.array([0.0030, 0.0014, 0.0014, 0.0024, 0.0055, 0.0])
WIN = np.array([0.0, 0.0, 0.0004, 0.0025, 0.0100, 0.0])
REOPEN = 0.0016
# Where each move leads from each stage: forward, skip, back, lose, drop, re-open, win.
TARGETS = np.array(
    [[1, 2, 3, 4, 4, 5], [0, 3, 4, 3, 4, 5], [0, 1, 1, 2, 3, 5], [5] * 6, [7] * 6, [1] * 6, [6] * 6], dtype=np.int64
)

# Days in stage below 3, 14 and 40, and longer: little at first, a quick hump, a lull, a slow hump.
BAND = np.repeat([0.35, 1.9, 0.5, 0.95], [3, 11, 26, 1])

SEGMENT_WIN = np.array([0.50, 1.80, 0.85])
TYPE_WIN = np.array([1.0, 1.3, 3.0])
TYPE_LOSS = np.array([1.0, 1.0, 0.3])
SPONSOR_WIN = 1.66
REP_WIN = 5.0
PARTNER_SPEED = 1.3
QUICK_SPEED = 4.0
BREAK_BEFORE = 0.55
QUARTER_END_DAYS, QUARTER_END_PULL, QUARTER_PULL = 12, 2.6, 0.80

FACTORS = {"type": 3, "segment": 3, "sponsor": 2, "partner": 2, "product": 2, "rep": 2}


class Hazards(NamedTuple):
    """Hazards a day of the given classes: ``base * pace``, the win's before calendar and shock."""

    base: np.ndarray  # (move, class, stage): forward, skip, back, lose, drop, re-open
    win: np.ndarray  # (class, stage)
    pace: np.ndarray  # (class, stage, days in stage)


def class_of(**levels: np.ndarray) -> np.ndarray:
    """A deal's class number from its level of each factor of `FACTORS`."""
    return np.ravel_multi_index([np.asarray(levels[name]) for name in FACTORS], tuple(FACTORS.values()))


def level_of(classes: np.ndarray, factor: str) -> np.ndarray:
    """Which level of a factor each class of deals has."""
    return np.unravel_index(classes, tuple(FACTORS.values()))[list(FACTORS).index(factor)]


def with_level(classes: np.ndarray, factor: str, level: int) -> np.ndarray:
    """The classes with one factor set to a level, all else equal."""
    levels = dict(zip(FACTORS, np.unravel_index(classes, tuple(FACTORS.values())), strict=True))
    return class_of(**levels | {factor: np.full_like(levels[factor], level)})


def hazards(chosen: Switches, classes: np.ndarray) -> Hazards:
    """The hazards of the given classes, without weekday and calendar."""
    win, loss, speed = _class_factors(chosen, classes)
    every = np.ones(len(classes))
    reopen = np.where(np.arange(N_STATES) == LOST, REOPEN, 0.0)
    factors = zip((FORWARD, SKIP, BACK, LOSE, DROP, reopen), (every, every, every, loss, loss, every), strict=True)
    pace = np.broadcast_to(speed[:, None, None] * BAND, (len(classes), N_STATES, CAP + 1)).copy()
    pace[:, LOST] = np.arange(CAP + 1) < CAP  # a lost deal can be re-opened for a while
    return Hazards(np.stack([factor[:, None] * base for base, factor in factors]), win[:, None] * WIN, pace)


def _class_factors(chosen: Switches, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    level = {name: level_of(classes, name) for name in FACTORS}
    win, loss, speed = np.ones((3, len(classes)))
    if chosen.has("segment"):
        win = win * SEGMENT_WIN[level["segment"]]
    if chosen.has("type"):
        win, loss = win * TYPE_WIN[level["type"]], loss * TYPE_LOSS[level["type"]]
    if chosen.has("sponsor"):
        win = win * SPONSOR_WIN ** level["sponsor"]
    if chosen.has("rep"):
        win = win * REP_WIN ** level["rep"]
    if chosen.has("partner"):
        speed = speed * PARTNER_SPEED ** level["partner"]
    if chosen.has("product"):
        speed = speed * QUICK_SPEED ** level["product"]
    return win, loss, speed


def weekday(chosen: Switches, days: np.ndarray) -> np.ndarray:
    """Factor of every hazard: nothing moves at a weekend."""
    return np.where(np.is_busday(chosen.dates(days)), 1.4, 0.0)


def pull(chosen: Switches, days: np.ndarray) -> np.ndarray:
    """Factor of the hazard of winning, without the shock: the end of the quarter and the trend break."""
    dates = pd.DatetimeIndex(chosen.dates(days))
    left = (dates + pd.offsets.QuarterEnd(0) - dates).days
    bunching = np.where(left < QUARTER_END_DAYS, QUARTER_END_PULL, QUARTER_PULL)
    before = (np.asarray(days) < chosen.break_day) & chosen.has("break")
    return bunching * np.where(before, BREAK_BEFORE, 1.0)


def quarter_of(chosen: Switches, days: np.ndarray) -> np.ndarray:
    """A running number of the calendar quarter of each day."""
    months = chosen.dates(days).astype("datetime64[M]").astype(int)
    return months // 3


def shocks(chosen: Switches, days: np.ndarray) -> np.ndarray:
    """The common shock of each day's quarter, log-normal with mean 1."""
    quarters = quarter_of(chosen, days)
    spread = np.sqrt(np.log1p(chosen.shock**2))
    drawn = chosen.random("shock").standard_normal(quarters[-1] - quarters[0] + 1)
    return np.exp(spread * drawn - spread**2 / 2)[quarters - quarters[0]]


def stage_names(customer: bool) -> tuple[str, ...]:
    """Stage texts by number, of one pipeline."""
    return (CUSTOMER_STAGES if customer else NEW_STAGES) + CLOSED_STAGES


def stages() -> pd.DataFrame:
    """The `stages` table: both pipelines, open stages in order, then the closed ones."""
    rows = [
        (pipeline, stage, position, position >= LOST, position == WON, CRM_PROBABILITY[position])
        for pipeline, customer in (("New business", False), ("Customer", True))
        for position, stage in enumerate(stage_names(customer))
        if stage
    ]
    frame = pd.DataFrame(rows, columns=["pipeline", "stage", "position", "is_closed", "is_won", "probability"])
    frame["position"] = frame.groupby("pipeline").cumcount() + 1
    usual = {"Closed Won": "closed", "Closed Lost": "omitted", "No Decision": "omitted"}
    late = np.where(
        frame["probability"].ge(0.9), "commit", np.where(frame["probability"].ge(0.7), "best_case", "pipeline")
    )
    return frame.assign(forecast_category=frame["stage"].map(usual).fillna(pd.Series(late)))
