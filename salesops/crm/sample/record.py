"""What the CRM records of each deal's walk: a row per change of stage, close date, amount or owner.

Nothing here looks ahead: a row depends on the deal's past and on chance, so the
recorded fields tell no more about the outcome than the state does.
"""

import numpy as np
import pandas as pd

from salesops.crm.sample import law, people
from salesops.crm.sample.settings import Switches

EXPECTED_DAYS = np.array([110.0, 85.0, 60.0, 40.0, 22.0])  # an open deal's usual time to close, by stage
MOVE, PUSH, HANDOVER = range(3)
KEEP, NEVER = -1, np.iinfo(np.int32).max
N_STEPS = 3  # next steps to choose from in each stage


def visits(entries: pd.DataFrame) -> pd.DataFrame:
    """Stage visits: ``deal, day, stage, exit, rank``; a visit that lasts has exit `NEVER`."""
    deal, day = entries["deal"].to_numpy(), entries["day"].to_numpy()
    first = np.flatnonzero(np.diff(deal, prepend=-1))
    rank = np.arange(len(deal)) - np.repeat(first, np.diff(first, append=len(deal)))
    same = np.diff(deal, append=-1) == 0
    return entries.assign(exit=np.where(same, np.append(day[1:], 0), NEVER), rank=rank)


def record(chosen: Switches, deals: pd.DataFrame, stays: pd.DataFrame, sellers: pd.DataFrame) -> pd.DataFrame:
    """History rows in order of deal and time, with the values in force after each change.

    Columns: ``deal, day, minute, kind, stage, close, amount, owner, step``.
    """
    random = chosen.random("record")
    moved, pushed = _close_dates(chosen, random, stays)
    handed, inherited = _handovers(random, deals, stays, sellers)
    moved["owner"] = KEEP
    moved.loc[inherited.index, "owner"] = inherited
    moved.loc[stays["rank"].eq(0), "owner"] = deals["owner"].to_numpy()
    rows = pd.concat([moved, pushed.assign(owner=KEEP), handed.assign(close=KEEP)], ignore_index=True)
    rows = rows.assign(minute=_minutes(random, rows["kind"].to_numpy()))
    first = (rows["kind"] == MOVE) & (rows["rank"] == 0)
    rows.loc[first, "minute"] = deals["minute"].to_numpy()
    order = np.argsort((rows["deal"].to_numpy() * np.int64(chosen.n_days) + rows["day"]) * 1440 + rows["minute"])
    rows = rows.take(order).drop(columns="rank").reset_index(drop=True)
    rows["close"], rows["owner"] = (_carried(rows[name].to_numpy()) for name in ("close", "owner"))
    rows["amount"] = _amounts(random, deals, rows)
    rows["step"] = np.where(rows["stage"] < law.LOST, random.integers(0, N_STEPS + 1, len(rows)), N_STEPS)
    return rows


def _carried(values: np.ndarray) -> np.ndarray:
    """Each `KEEP` replaced by the value before it; a deal's first row always has one."""
    known = np.where(values == KEEP, 0, np.arange(len(values)))
    return values[np.maximum.accumulate(known)]


def _minutes(random: np.random.Generator, kind: np.ndarray) -> np.ndarray:
    """Moves in working hours, pushes after them, hand-overs last: no two changes at one time."""
    start = np.array([9 * 60, 17 * 60, 18 * 60])[kind]
    return start + (random.random(len(kind)) * np.array([479, 59, 59])[kind]).astype(int)


def _close_dates(chosen: Switches, random: np.random.Generator, stays: pd.DataFrame):
    """Expected dates, visit by visit: set on entry, pushed on the evening they pass; the actual day once closed."""
    deal, day, stage = (stays[name].to_numpy() for name in ("deal", "day", "stage"))
    leaves = np.minimum(stays["exit"].to_numpy(), chosen.n_days)
    close, current = np.empty(len(stays), dtype=np.int64), np.full(deal[-1] + 1, -1)
    pushes = []
    for visit in range(int(stays["rank"].max()) + 1):
        at = np.flatnonzero(stays["rank"].to_numpy() == visit)
        keeps = (current[deal[at]] >= day[at] + 5) & (random.random(len(at)) < 0.55)
        set_to = np.where(keeps, current[deal[at]], _guess(chosen, random, day[at], stage[at]))
        close[at] = np.where(stage[at] < law.LOST, set_to, day[at])
        current[deal[at]] = close[at]
        late = at[(stage[at] < law.LOST) & (close[at] < leaves[at])]
        while len(late):
            passed = current[deal[late]]
            gap = 7 + random.exponential(24, len(late)).astype(int)
            current[deal[late]] = _working_day(chosen, passed + gap)
            pushes.append((late, passed, current[deal[late]]))
            late = late[current[deal[late]] < leaves[late]]
    at, when, to = (np.concatenate(parts) for parts in zip(*pushes, strict=True))
    pushed = pd.DataFrame({"deal": deal[at], "day": when, "stage": stage[at], "close": to, "kind": PUSH, "rank": KEEP})
    return stays[["deal", "day", "stage", "rank"]].assign(close=close, kind=MOVE), pushed


def _guess(chosen: Switches, random: np.random.Generator, day: np.ndarray, stage: np.ndarray) -> np.ndarray:
    """A hopeful date: the stage's usual time with a spread, often moved to the end of its month."""
    ahead = EXPECTED_DAYS[np.minimum(stage, law.FINAL)] * np.exp(random.normal(-0.15, 0.45, len(day)))
    guess = _working_day(chosen, day + np.maximum(ahead, 5).astype(int))
    month_end = chosen.dates(guess).astype("datetime64[M]") + 1
    last = np.busday_offset(month_end.astype("datetime64[D]"), -1, roll="forward")
    rounds = (random.random(len(day)) < 0.35) & (stage > law.FIRST)
    return np.where(rounds, (last - chosen.start).astype(int), guess)


def _working_day(chosen: Switches, days: np.ndarray) -> np.ndarray:
    return (np.busday_offset(chosen.dates(days), 0, roll="forward") - chosen.start).astype(int)


def _handovers(random: np.random.Generator, deals: pd.DataFrame, stays: pd.DataFrame, sellers: pd.DataFrame):
    """A leaver's open deals go to stayers on the last evening; those re-opened later do so then."""
    owner, stage = deals["owner"].to_numpy()[stays["deal"]], stays["stage"].to_numpy()
    left = sellers["left"].to_numpy()[owner]
    is_open = stage < law.LOST
    at_leaving = is_open & (stays["day"] <= left) & (stays["exit"] > left) & (left < people.FOREVER)
    later = is_open & (stays["day"] > left) & (stays["rank"] > 0)
    later = later[later & ~stays["deal"].isin(stays["deal"][at_leaving])]
    reopened = later.index[~stays["deal"].loc[later.index].duplicated()]
    rows = stays.loc[at_leaving, ["deal", "stage"]].assign(day=left[at_leaving], kind=HANDOVER, rank=KEEP)
    rows["owner"] = _heirs(random, sellers, owner[at_leaving])
    return rows, pd.Series(_heirs(random, sellers, owner[reopened]), index=reopened, dtype="int64")


def _heirs(random: np.random.Generator, sellers: pd.DataFrame, leavers: np.ndarray) -> np.ndarray:
    draw, heirs = random.random(len(leavers)), np.empty(len(leavers), dtype=np.int64)
    for leaver in np.unique(leavers):
        options = people.heirs(sellers, leaver)
        mine = leavers == leaver
        heirs[mine] = options[(draw[mine] * len(options)).astype(int)]
    return heirs


def _amounts(random: np.random.Generator, deals: pd.DataFrame, rows: pd.DataFrame) -> np.ndarray:
    """Amounts in tens: revised at some stage moves and pushes, a little down on average."""
    deal, kind = rows["deal"].to_numpy(), rows["kind"].to_numpy()
    first = np.diff(deal, prepend=-1) != 0
    chance = np.array([0.22, 0.10, 0.0])[kind] * ~first
    change = np.where(random.random(len(rows)) < chance, random.normal(-0.03, 0.16, len(rows)), 0.0)
    total = np.cumsum(change)
    start = np.flatnonzero(first)
    since = total - np.repeat(total[start], np.diff(start, append=len(rows)))
    return np.maximum(np.round(deals["amount"].to_numpy()[deal] * np.exp(since), -1), 100.0)
