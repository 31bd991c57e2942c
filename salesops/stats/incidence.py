"""Shares of many groups at once that end by one cause, the other ends competing, with what each row adds.

Everything is counted by group and whole day first, so that a million rows cost no more than sorting them would.
"""

from typing import NamedTuple

import numpy as np

_CHUNK = 2_000_000  # rows looked up at once


class Plateaus(NamedTuple):
    """The long-run share of each group, and how much each row moves its group's."""

    share: np.ndarray
    influence: np.ndarray


def plateaus(days, is_kind, is_other, group, *, n_groups: int) -> Plateaus:
    """Share of each group that ends by one kind in the long run: the plateau of its cumulative incidence.

    ``share = sum over days of S(before) * ended by the kind / at risk``, rows that have not ended leaving
    after their last whole day. With nothing censored it is the plain share. It is a lower bound where many
    are still running. The influence of a row is what it adds to the error of the share, to first order:
    ``(is_kind - share) / n`` with nothing censored. Influences of a group sum to nought; the sum of the squares of
    their sums over clusters is the variance.

    Parameters
    ----------
    days
        Time until the end, or the last look; 0 or more.
    is_kind, is_other
        Whether the row ended by the kind, or otherwise; neither: not yet.
    group
        Number of each row's group from 0 on; a row of -1 is of none.
    n_groups
        How many groups there are.

    Returns
    -------
    Plateaus
        ``share`` of each group (missing where nothing ended) and ``influence`` of each row.

    References
    ----------
    Aalen & Johansen (1978), Scand. J. Statist. 5:141-150; Andersen, Borgan, Gill & Keiding (1993), Statistical
    Models Based on Counting Processes, IV.4.

    Examples
    --------
    The third of four has not ended; the fourth, watched longer, stands for it.

    >>> found = plateaus([1, 2, 3, 4], [True, False, False, True], [False, True, False, False], [0] * 4, n_groups=1)
    >>> found.share.tolist(), found.influence.round(3).tolist()
    ([0.75], [0.062, -0.188, 0.062, 0.062])
    """
    day, group = np.floor(np.asarray(days, dtype=float)).astype(np.int64), np.asarray(group, dtype=np.int64)
    kind, other = np.asarray(is_kind, dtype=bool), np.asarray(is_other, dtype=bool)
    length = int(day.max(initial=0)) + 1
    cell = np.where(group >= 0, group * length + day, -1)
    left, by_kind, by_other = (_counted(cell[mine], n_groups, length) for mine in (cell >= 0, kind, other & ~kind))
    at_risk = np.maximum(left[:, ::-1].cumsum(axis=1)[:, ::-1], 1)
    hazard, rival = by_kind / at_risk, by_other / at_risk
    before = np.cumprod(np.pad(1 - hazard - rival, ((0, 0), (1, 0)), constant_values=1.0), axis=1)
    reached = np.cumsum(before[:, :-1] * hazard, axis=1)
    share = np.where((by_kind + by_other).sum(axis=1) > 0, reached[:, -1], np.nan)
    # One end more by the kind brings what stood before it and takes what would have come after it.
    ahead = reached[:, -1:] - reached
    if_kind = (before[:, :-1] - _divided(ahead * before[:, :-1], before[:, 1:])) / at_risk
    if_other = -_divided(ahead * before[:, :-1], before[:, 1:]) / at_risk
    expected = np.cumsum(if_kind * hazard + if_other * rival, axis=1)
    return Plateaus(share, _influence(cell, kind, other & ~kind, if_kind, if_other, expected))


def _counted(cell: np.ndarray, n_groups: int, length: int) -> np.ndarray:
    return np.bincount(cell[cell >= 0], minlength=n_groups * length).reshape(n_groups, length)


def _divided(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 1e-12)


def _influence(cell, kind, other, if_kind, if_other, expected) -> np.ndarray:
    """Each row's end where it came, less its end as it was to be expected until then."""
    influence = np.zeros(len(cell))
    for first in range(0, len(cell), _CHUNK):
        rows = slice(first, first + _CHUNK)
        at = cell[rows]
        found = kind[rows] * if_kind.ravel()[at] + other[rows] * if_other.ravel()[at] - expected.ravel()[at]
        influence[rows] = np.where(at >= 0, found, 0.0)
    return influence
