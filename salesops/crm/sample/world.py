"""The whole history of one sample company, as numbers; what the tables and the answer key are made from."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from salesops.crm.sample import deals as creation
from salesops.crm.sample import defects, law, people, record, walk
from salesops.crm.sample.settings import Switches

HURTING = 2  # of settings.COMPETITORS
NAMED_SHARE = 0.6
HURTING_ODDS_RATIO = 0.5  # of winning, against deals with another competitor named
HURTING_SHARE_LOST = 0.30
_ODDS_WON = HURTING_ODDS_RATIO * HURTING_SHARE_LOST / (1 - HURTING_SHARE_LOST)
HURTING_SHARE_WON = _ODDS_WON / (1 + _ODDS_WON)


@dataclass(frozen=True)
class World:
    """Everything that ever happened, up to the company's last day."""

    chosen: Switches
    sellers: pd.DataFrame
    accounts: pd.DataFrame
    deals: pd.DataFrame  # as created, and what was written at the final close
    visits: pd.DataFrame
    rows: pd.DataFrame  # stage_history
    planted: pd.DataFrame  # defects: name, deal


@lru_cache(maxsize=2)
def build(chosen: Switches) -> World:
    """Simulate once; the frames of a World are not to be changed."""
    sellers, accounts = people.reps(chosen), creation.accounts(chosen)
    deals = creation.deals(chosen, accounts, sellers)
    stays = record.visits(walk.walk(chosen, deals))
    rows = record.record(chosen, deals, stays, sellers)
    deals = deals.assign(**_closing(chosen, deals, stays), **_qualified(deals, rows), **_heirs(deals, rows))
    rows = rows.assign(closed=rows["day"], is_last=_is_last(rows))
    deals, rows, planted = defects.plant(chosen, deals, rows)
    return World(chosen, sellers, accounts, deals, stays, rows, planted)


def last_of_each(deal: np.ndarray) -> np.ndarray:
    """Positions of the last row of each run of equal numbers."""
    return np.flatnonzero(np.diff(deal, append=-1))


def _is_last(rows: pd.DataFrame) -> np.ndarray:
    return np.diff(rows["deal"].to_numpy(), append=-1) != 0


def _heirs(deals: pd.DataFrame, rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """Who owns each deal after its hand-over, and the day of it; a deal is handed over once at most."""
    changed = rows["owner"].to_numpy() != deals["owner"].to_numpy()[rows["deal"]]
    first = rows[changed].drop_duplicates("deal").set_index("deal").reindex(deals.index)
    return {
        "heir": first["owner"].fillna(deals["owner"]).to_numpy(np.int64),
        "heir_day": first["day"].fillna(people.FOREVER).to_numpy(np.int64),
    }


def _qualified(deals: pd.DataFrame, rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """Day and minute of each deal's first entry to the qualified stage; `people.FOREVER` if it never got there."""
    first = rows[rows["stage"] == law.QUALIFIED].drop_duplicates("deal").set_index("deal")
    first = first.reindex(deals.index)
    return {
        "qualified": first["day"].fillna(people.FOREVER).to_numpy(np.int64),
        "qualified_minute": first["minute"].fillna(0).to_numpy(np.int64),
    }


def _closing(chosen: Switches, deals: pd.DataFrame, stays: pd.DataFrame) -> dict[str, np.ndarray]:
    """What a rep writes when a deal closes for good: competitor, reason, terms.

    The competitor is drawn from the outcome: named equally often in won and
    not-won deals, the hurting one less often among the won. So its odds ratio
    is exact, and nothing shown while a deal is open tells who will win.
    """
    random, size = chosen.random("closing"), len(deals)
    final = stays.iloc[last_of_each(stays["deal"].to_numpy())]
    won = (final["stage"] == law.WON).to_numpy()
    hurting = np.where(won & chosen.has("competitor"), HURTING_SHARE_WON, HURTING_SHARE_LOST)
    other = random.integers(0, 4, size)
    other = other + (other >= HURTING)
    competitor = np.where(random.random(size) < hurting, HURTING, other)
    reason = np.where(final["stage"] == law.NO_DECISION, random.integers(3, 6, size), random.integers(0, 4, size))
    return {
        "competitor": np.where(random.random(size) < NAMED_SHARE, competitor, -1),
        "reason": np.where(won | (random.random(size) < 0.08), -1, reason),
        "discount": np.round(random.beta(2, 9, size), 2),
        "term": np.array([12, 24, 36])[np.searchsorted([0.6, 0.82], random.random(size))],
        "one_off": np.round(random.beta(1.2, 9, size), 2),
        "starts": random.integers(0, 31, size),
        "prior": random.lognormal(-0.1, 0.2, size),
    }
