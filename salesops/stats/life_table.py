"""Counts at each time at which any ended, and what follows from them: incidence and its variance.

With clusters the variance is that of the influence function: what each row adds to the estimate,
summed over its cluster, squared.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from salesops.stats import groups

TIE = 1e-9  # two shares closer than this are one: a running product rounds


class LifeTable(NamedTuple):
    """Counts at each time at which any ended: at risk just before, and ends by cause."""

    causes: list
    times: np.ndarray
    at_risk: np.ndarray
    exits: np.ndarray  # one row per cause


def life_table(time, cause, weight=None, entry=None) -> LifeTable:
    """The counts of some rows; those of a weight count so often, those of an entry from that age on.

    Examples
    --------
    >>> found = life_table([1, 2, 2, 4], ["a", "b", None, "a"])
    >>> found.causes, found.times.tolist(), found.at_risk.tolist(), found.exits.tolist()
    (['a', 'b'], [1.0, 2.0, 4.0], [4.0, 3.0, 1.0], [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    """
    time = np.asarray(time, dtype=float)
    weight = np.ones(len(time)) if weight is None else np.asarray(weight, dtype=float)
    codes, causes = pd.factorize(pd.Series(cause, dtype=None if len(time) else "str").array, sort=True)
    times, position = np.unique(time, return_inverse=True)
    at_risk = _from_here_on(np.bincount(position, weight, len(times)))
    if entry is not None:
        entry = np.asarray(entry, dtype=float)
        if (entry >= time).any():
            raise ValueError("entry: every entry must come before its time.")
        started = np.searchsorted(times, entry, side="right")
        at_risk = at_risk - _from_here_on(np.bincount(started, weight, len(times) + 1))[1:]
    ended = codes >= 0
    cells = np.bincount(codes[ended] * len(times) + position[ended], weight[ended], len(causes) * len(times))
    exits = cells.reshape(len(causes), len(times))
    kept = exits.sum(axis=0) > 0
    return LifeTable(list(causes), times[kept], at_risk[kept], exits[:, kept])


def _from_here_on(counts: np.ndarray) -> np.ndarray:
    return counts[::-1].cumsum()[::-1]


def incidence(table: LifeTable, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Incidence of one cause and its variance, at each time.

    Examples
    --------
    >>> incidence(life_table([1, 2, 2, 4], ["a", "b", None, "a"]), 0)[0].tolist()
    [0.25, 0.25, 0.75]
    """
    before, hazard, spread = _hazards(table, number)
    share = np.cumsum(before * hazard)
    cross = before * hazard / table.at_risk
    variance = (
        np.cumsum(before**2 * hazard * (1 - hazard) / table.at_risk)
        - 2 * (share * np.cumsum(cross) - np.cumsum(cross * share))
        + share**2 * np.cumsum(spread)
        - 2 * share * np.cumsum(spread * share)
        + np.cumsum(spread * share**2)
    )
    return share, np.clip(variance, 0, None)


def _hazards(table: LifeTable, number: int) -> tuple[np.ndarray, ...]:
    any_hazard = table.exits.sum(axis=0) / table.at_risk
    before = np.cumprod(np.r_[1.0, 1 - any_hazard])[:-1]
    left = 1 - any_hazard
    # Where all leave at once nothing comes later, so the term that divides by those left is nothing.
    spread = np.divide(any_hazard, left * table.at_risk, out=np.zeros_like(left), where=left > TIE)
    return before, table.exits[number] / table.at_risk, spread


def known_by(table: LifeTable, rows: "Clustered | None") -> np.ndarray:
    """How many have a known state just after each time: ended by then, or still watched; never more than clusters."""
    ends = table.exits.sum(axis=0)
    known = np.cumsum(ends) + table.at_risk - ends
    return known if rows is None else np.minimum(known, rows.n_clusters)


def variance_of_part(table: LifeTable, number: int, share: np.ndarray, at: int, ratio: float) -> float:
    """Variance of ``F(t) - ratio F(last)``."""
    before, hazard, spread = _hazards(table, number)
    until = np.arange(len(share)) <= at
    own = before * (until - ratio)
    rest = np.where(until, share[at] - share, 0) - ratio * (share[-1] - share)
    return np.sum(own**2 * hazard * (1 - hazard) / table.at_risk - 2 * own * rest * hazard / table.at_risk
                  + rest**2 * spread)  # fmt: skip


class Clustered(NamedTuple):
    """Every row with its cluster, its weight, and where on the table it came and left."""

    cluster: np.ndarray
    n_clusters: float
    weight: np.ndarray  # its root, of so many that each stand alone: the squares of what they add are summed
    code: np.ndarray  # of its cause, -1 while it runs
    came: np.ndarray  # how many of the table's times had passed
    left: np.ndarray  # how many had, its own included


def clustered(table: LifeTable, time, cause, weight, cluster, entry) -> Clustered | None:
    """The rows of a table by cluster; nothing where no clusters are given.

    A missing cluster stands alone; with a weight, it is as many as that, each alone.
    """
    if cluster is None:
        return None
    time, named = np.asarray(time, dtype=float), pd.Series(cluster)
    number, is_alone = groups.clusters(named), named.isna().to_numpy()
    code, _ = pd.factorize(pd.Series(cause, dtype=None if len(time) else "str").array, sort=True)  # as the table
    since = np.full(len(time), -np.inf) if entry is None else np.asarray(entry, dtype=float)
    came = np.searchsorted(table.times, since, side="right")
    left = np.searchsorted(table.times, time, side="right")
    ones = np.ones(len(time)) if weight is None else np.asarray(weight, dtype=float)
    n_clusters = number.max(initial=-1) + 1 + (ones[is_alone] - 1).sum()
    return Clustered(number, n_clusters, np.where(is_alone, np.sqrt(ones), ones), code, came, left)


def _influence(table: LifeTable, number: int, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What an end by each cause adds to ``F(t)`` at its time, and what being at risk takes until each time.

    One more end of cause c at u raises ``F(t)`` by ``S(u-) 1{c = k} - (F(t) - F(u)) S(u-) / S(u)``: both results
    have two parts, the second to be multiplied by ``-F(t)``.
    """
    before, _, _ = _hazards(table, number)
    left = 1 - table.exits.sum(axis=0) / table.at_risk
    again = np.divide(1, left, out=np.zeros_like(left), where=left > TIE)
    own = np.arange(len(table.causes))[:, None] == number
    ends = np.stack([before * own + share * again, np.broadcast_to(again, (len(own), len(again)))]) / table.at_risk
    taken = np.einsum("pct,ct->pt", ends, table.exits / table.at_risk).cumsum(axis=1)
    return ends, np.concatenate([np.zeros((2, 1)), taken], axis=1)


def adds(table: LifeTable, rows: Clustered, number: int, share: np.ndarray, at: int = -1) -> np.ndarray:
    """What each row adds to the incidence of one cause at one of the times, the last by default."""
    at = range(len(share))[at]
    ends, taken = (part[0] - share[at] * part[1] for part in _influence(table, number, share))
    added = taken[np.minimum(rows.came, at + 1)] - taken[np.minimum(rows.left, at + 1)]
    ended = (rows.code >= 0) & (rows.left <= at + 1)
    added[ended] += ends[rows.code[ended], rows.left[ended] - 1]
    return added


def between(rows: Clustered, added: np.ndarray) -> float:
    """Variance of a sum over rows: the squares of what each cluster adds to it."""
    sums = np.bincount(rows.cluster, rows.weight * added)
    return (sums**2).sum() * rows.n_clusters / max(rows.n_clusters - 1, 1)


def clustered_variance(table: LifeTable, rows: Clustered, number: int, share: np.ndarray) -> np.ndarray:
    """Variance at every time, in one pass over the comings and leavings in order of time.

    A cluster adds ``E(t) - F(t) D(t) - (H(t) - F(t) G(t)) R(t)`` with `R` its rows at risk, `E` and `D` what its
    comings and leavings have left behind; the sums of their squares and products change only at those moments.
    """
    ends, taken = _influence(table, number, share)
    ended = rows.code >= 0
    leaving = -taken[:, rows.left]
    leaving[:, ended] += ends[:, rows.code[ended], rows.left[ended] - 1]
    steps = np.concatenate([np.vstack([taken[:, rows.came], np.ones(len(ended))]),
                            np.vstack([leaving, -np.ones(len(ended))])], axis=1) * np.tile(rows.weight, 2)  # fmt: skip
    # One comes after the ends of its moment and leaves with its own: at risk in between.
    moment = np.r_[rows.came, rows.left - 1 + (~ended)]
    cluster = np.tile(rows.cluster, 2)
    order = np.lexsort([moment, cluster])
    products = _running_products(steps[:, order], cluster[order])
    at = np.minimum(moment[order], len(share))
    sums = [[np.bincount(at, each, len(share) + 1)[:-1].cumsum() for each in line] for line in products]
    factors = np.stack([np.ones(len(share)), -share, share * taken[1, 1:] - taken[0, 1:]])
    variance = np.einsum("at,abt,bt->t", factors, np.array(sums), factors)
    return np.clip(variance, 0, None) * rows.n_clusters / max(rows.n_clusters - 1, 1)


def _running_products(steps: np.ndarray, cluster: np.ndarray) -> list[list[np.ndarray]]:
    """How each step changes the products of its cluster's running sums; the steps lie cluster by cluster."""
    after = steps.cumsum(axis=1)
    first = np.flatnonzero(np.diff(cluster, prepend=-1))
    base = np.repeat((after - steps)[:, first], np.diff(np.r_[first, len(cluster)]), axis=1)
    after = after - base
    before = after - steps
    return [[after[a] * after[b] - before[a] * before[b] for b in range(3)] for a in range(3)]
