"""Stays in stages as numbers: from which stage to which, after how many whole days, of which company."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from salesops import checks
from salesops.stats import multistate

ENDS = ["won", "lost"]

_DAY = pd.Timedelta(days=1)
_NEEDED = ["opportunity_id", "visit", "pipeline", "stage", "position", "entered_at", "exited_at", "exit", "days"]


class Stays(NamedTuple):
    """Each stay with the numbers of its state and of the one that followed, in whole days."""

    states: pd.DataFrame  # pipeline, stage, position, in order; after them come won and lost
    rows: pd.DataFrame  # from, to (-1 while it goes on), entry (age when first seen), time (age when left), …

    @property
    def numbers(self) -> dict[str, int]:
        return {"n_states": len(self.states), "n_targets": len(self.states) + len(ENDS)}


def counted(visits: pd.DataFrame, extra: Sequence[str] = ()) -> Stays:
    """Visits as numbers, deal by deal in time.

    A visit that was followed by another one went there, also where a loss or a win lay between: that was
    taken back. Days are those of the calendar, so a stay left on the day it began has none.

    Parameters
    ----------
    visits
        Of `journey.stage_visits`; with ``account_id`` where deals of a company belong together.
    extra
        Columns to keep.

    Returns
    -------
    Stays
        ``states`` (pipeline, stage and position, in order) and ``rows``: ``from`` and ``to`` (numbers of states;
        after them won and lost; -1 while the stay goes on), ``entry`` (whole days in the stage when first seen,
        missing where not known), ``time`` (whole days when left, or when last watched), ``entered_at``,
        ``company`` and ``deal`` (numbers), ``visit``, ``is_won`` (the deal in the end) and `extra`.

    Examples
    --------
    >>> visits = pd.DataFrame({
    ...     "opportunity_id": "A", "visit": [1, 2], "pipeline": "new", "stage": ["Qualify", "Propose"],
    ...     "position": [1, 2], "days": [4.0, 15.0], "exit": ["forward", "won"],
    ...     "entered_at": pd.to_datetime(["2026-07-01", "2026-07-05"]),
    ...     "exited_at": pd.to_datetime(["2026-07-05", "2026-07-20"]),
    ... })
    >>> counted(visits).rows[["from", "to", "entry", "time", "is_won"]]
       from  to  entry  time  is_won
    0     0   1    0.0   4.0    True
    1     1   2    0.0  15.0    True
    """
    checks.require_columns(visits, [*_NEEDED, *extra], where="visits")
    deal, _ = pd.factorize(visits["opportunity_id"])
    order = np.lexsort([visits["visit"], deal])
    if (np.diff(order) != 1).any():
        visits, deal = visits.iloc[order], deal[order]
    here, firsts = coded(visits, ["pipeline", "stage"])
    states = visits[["pipeline", "stage", "position"]].iloc[firsts].reset_index(drop=True)
    states = states.sort_values(["pipeline", "position", "stage"])
    here = np.argsort(states.index)[here] if len(here) else here
    n, goes_on = len(states), np.append(deal[1:] == deal[:-1], False)[: len(deal)]
    exits = visits["exit"].to_numpy()
    to = np.where(goes_on, np.append(here[1:], -1)[: len(here)], -1)
    to[~goes_on & (exits == "won")], to[~goes_on & (exits == "lost")] = n, n + 1
    rows = pd.DataFrame({"from": here, "to": to, "deal": deal, "company": _companies(visits)})
    rows["visit"], rows["entered_at"] = visits["visit"].array, visits["entered_at"].array
    rows["entry"], rows["time"] = _clock(visits)
    rows["is_won"] = np.bincount(deal, to == n, minlength=1)[deal] > 0 if len(deal) else False
    return Stays(states.reset_index(drop=True), rows.assign(**{name: visits[name].array for name in extra}))


def _clock(visits: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Whole days of each stay when it was first seen (missing where that is not known), and when it was left."""
    entry = visits["entry_days"].to_numpy(dtype=float) if "entry_days" in visits else np.zeros(len(visits))
    came = visits["entered_at"].dt.normalize()
    stayed = ((visits["exited_at"].dt.normalize() - came) / _DAY).to_numpy(dtype=float)
    # A stay that goes on was watched until the end of the last day, which may still have seen it leave.
    stayed = np.where(np.isnan(stayed), np.ceil(visits["days"].to_numpy(dtype=float)), stayed)
    return entry, stayed + np.nan_to_num(entry)


def _companies(visits: pd.DataFrame) -> np.ndarray:
    """A number for each company; a deal of none stands alone."""
    alone = visits["opportunity_id"]
    company = visits["account_id"].fillna(alone) if "account_id" in visits else alone
    code, names = pd.factorize(company)
    return multistate.hashes(names)[code]


def coded(frame: pd.DataFrame, keys: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Each row's combination of keys, numbered as they first come, and the rows where they first come.

    Examples
    --------
    >>> number, firsts = coded(pd.DataFrame({"kind": ["b", None, "b", "a"]}), ["kind"])
    >>> number.tolist(), firsts.tolist()
    ([0, 1, 0, 2], [0, 1, 3])
    """
    code = np.zeros(len(frame), dtype=int)
    for key in keys:
        part, names = pd.factorize(frame[key], use_na_sentinel=False)
        code = code * max(len(names), 1) + part
    number, _ = pd.factorize(code)
    return number, pd.Series(number).drop_duplicates().index.to_numpy()
