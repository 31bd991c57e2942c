"""Shares of many groups at once that end by one cause, the other ends competing, with what each row adds."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from salesops.stats import life_table


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
    group, day = np.asarray(group, dtype=np.int64), np.floor(np.asarray(days, dtype=float))
    kind, other = np.asarray(is_kind, dtype=bool), np.asarray(is_other, dtype=bool)
    cause = pd.Categorical.from_codes(np.where(kind, 0, np.where(other, 1, -1)), ["kind", "other"])
    order = np.argsort(group, kind="stable")
    places = np.split(order, np.searchsorted(group[order], np.arange(n_groups + 1)))[1:-1]
    share, influence = np.full(n_groups, np.nan), np.zeros(len(group))
    for number, rows in enumerate(places):
        share[number], influence[rows] = _plateau(day[rows], cause[rows])
    return Plateaus(share, influence)


def _plateau(day: np.ndarray, cause: pd.Categorical) -> tuple[float, np.ndarray]:
    """Of one group."""
    table = life_table.life_table(day, cause)
    if "kind" not in table.causes:
        return 0.0 if table.causes else np.nan, np.zeros(len(day))
    number = table.causes.index("kind")
    reached, _ = life_table.incidence(table, number)
    rows = life_table.clustered(table, day, cause, None, np.arange(len(day)), None)
    return reached[-1], life_table.adds(table, rows, number, reached)
