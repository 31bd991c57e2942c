"""Deals walked through the law, day by day, all open deals at once."""

import numpy as np
import pandas as pd

from salesops.crm.sample import law
from salesops.crm.sample.settings import Switches

STATES = law.N_STATES * (law.CAP + 1)


def walk(chosen: Switches, deals: pd.DataFrame) -> pd.DataFrame:
    """Every entry into a stage: ``deal, day, stage``, in order of deal and day."""
    calendar = np.arange(chosen.n_days)
    weekday, pull = law.weekday(chosen, calendar), law.pull(chosen, calendar) * law.shocks(chosen, calendar)
    start = np.where(deals["type"] > 0, law.QUALIFIED, law.FIRST)
    hazards = _Tables(chosen, deals["law_class"].to_numpy())
    entries = _steps(hazards, deals["created"].to_numpy(), start, weekday, pull, chosen.random("walk"))
    first = (np.arange(len(deals)), deals["created"].to_numpy(), start)
    deal, day, stage = (np.concatenate(parts) for parts in zip(first, *entries, strict=True))
    order = np.argsort(deal * np.int64(chosen.n_days) + day, kind="stable")
    return pd.DataFrame({"deal": deal[order], "day": day[order], "stage": stage[order]})


class _Tables:
    """The hazards, flattened so that one integer holds a deal's class, stage and days in stage."""

    def __init__(self, chosen: Switches, law_class: np.ndarray):
        classes, self.row = np.unique(law_class, return_inverse=True)
        hazards = law.hazards(chosen, classes)
        self.other = (hazards.base[..., None] * hazards.pace).reshape(len(hazards.base), -1)
        self.all_other = self.other.sum(axis=0)
        self.win = (hazards.win[..., None] * hazards.pace).reshape(-1)
        stays = np.ones((len(classes), law.N_STATES, law.CAP + 1), dtype=np.int32)
        stays[:, :, law.CAP] = 0
        self.older = stays.reshape(-1)

    def state(self, deals: np.ndarray, stage: np.ndarray) -> np.ndarray:
        return (self.row[deals] * STATES + stage * (law.CAP + 1)).astype(np.int32)


def _steps(tables: _Tables, created: np.ndarray, start: np.ndarray, weekday, pull, random):
    """Arrays (deal, day, stage) of the moves of each day; `created` is in rising order."""
    deal, state = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int32)
    born = np.searchsorted(created, np.arange(len(weekday) + 1))
    for day, factor in enumerate(weekday):
        if factor:
            hazard = factor * (tables.all_other[state] + pull[day] * tables.win[state])
            moved = np.flatnonzero(random.standard_exponential(len(state)) < hazard)
            target = _targets(tables, state[moved], hazard[moved] / factor * random.random(len(moved)))
            state = state + tables.older[state]
            yield deal[moved], np.full(len(moved), day), target
            state[moved] = tables.state(deal[moved], np.where(target > law.LOST, 0, target))
            gone = moved[target > law.LOST]
            deal, state = np.delete(deal, gone), np.delete(state, gone)
            fresh = np.arange(born[day], born[day + 1])
            deal, state = np.append(deal, fresh), np.append(state, tables.state(fresh, start[fresh]))
        else:
            state = state + tables.older[state]


def _targets(tables: _Tables, state: np.ndarray, mark: np.ndarray) -> np.ndarray:
    """Where each moving deal goes: the move whose share of the hazard holds the mark; what is left is a win."""
    stage = state // (law.CAP + 1) % law.N_STATES
    edges = np.cumsum(tables.other[:, state], axis=0)
    move = (edges <= mark).sum(axis=0)
    return law.TARGETS[move, stage]
