"""Several states with moves between them: where those who are in one end up, from counts of moves.

A state is left for another one, or not yet (censored), and may be entered again; a state that is
never left is an end. Everything is computed from counts of moves by time, so a million rows cost no
more than counting them.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import chi2, norm
from scipy.stats import t as student

from salesops.stats import proportions

_TIE = 1e-9  # two shares closer than this are one


class Chain(NamedTuple):
    """What lies ahead of one who has just entered each state."""

    visits: np.ndarray  # (…, from, in): how often each state will be entered, the present entry included
    absorbed: np.ndarray  # (…, from, end): chance of each end
    steps: np.ndarray  # (…, from): moves until the end


def absorbing(moves, ends) -> Chain:
    """Absorbing Markov chain: ``N = (I - Q)^-1``, ``B = N R``, ``steps = N 1``.

    Each state's row of moves and ends, counts or chances, is scaled to one. Stacks of chains, such
    as bootstrap draws, go through at once.

    Parameters
    ----------
    moves
        From each state (row) to each state (column): (…, states, states).
    ends
        From each state to each end: (…, states, ends).

    Returns
    -------
    Chain
        All missing of a state from which the way may lead to one that has no way to an end.

    References
    ----------
    Kemeny & Snell (1960), Finite Markov Chains, ch. 3; Grinstead & Snell (1997), Introduction to
    Probability, 11.2.

    Examples
    --------
    A walk over three corners, home at either side with even chance (Grinstead & Snell, example 11.13).

    >>> walk = absorbing([[0, 1, 0], [1, 0, 1], [0, 1, 0]], [[1, 0], [0, 0], [0, 1]])
    >>> walk.absorbed.round(2).tolist(), walk.steps.round(2).tolist()
    ([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]], [3.0, 4.0, 3.0])
    """
    moves, ends = np.asarray(moves, dtype=float), np.asarray(ends, dtype=float)
    total = moves.sum(axis=-1) + ends.sum(axis=-1)
    scale = np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)[..., None]
    inner, outer = moves * scale, ends * scale
    unknown = _may_not_end(inner > 0, (outer > 0).any(axis=-1))[..., None]
    same = np.eye(inner.shape[-1])
    visits = np.linalg.solve(np.where(unknown, same, same - inner), np.broadcast_to(same, inner.shape))
    visits = np.where(unknown, np.nan, visits)
    known = np.where(unknown, 0.0, visits)  # a missing one times a chance of nought is nought
    return Chain(visits, np.where(unknown, np.nan, known @ outer), visits.sum(axis=-1))


def occupation(
    start, stop, origin, target, *, states: Sequence[str], begin: Sequence[float], group=None, n_groups: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Share in each state after each time, moves back and forth and late starts of watching included.

    Aalen-Johansen: the product integral ``p(t) = p(0) product of (I + dA(u))``, where ``dA_hj(u)`` is the
    moves from h to j at u over those watched in h just before u, ``start < u <= stop``.

    Parameters
    ----------
    start, stop
        Each stay, on one clock for all.
    origin, target
        The state of the stay and the one it went to at `stop`; missing where it had not.
    states
        Every state, ends included.
    begin
        Share in each state at the start of the clock; one row for all, or one per replicate of `deleted`.
    group, n_groups
        Number of the group of each stay; every group is left out in turn.

    Returns
    -------
    tuple
        The times of moves, and the shares (all, then without each group; time; state); only all where
        there is one group.

    References
    ----------
    Aalen & Johansen (1978), Scand. J. Statist. 5:141-150; Andersen, Borgan, Gill & Keiding (1993), IV.4.

    Examples
    --------
    >>> times, shares = occupation([0, 0, 2], [2, 3, 5], ["in", "in", "out"], ["out", None, "in"],
    ...     states=["in", "out"], begin=[1, 0])
    >>> times.tolist(), shares[0].tolist()
    ([2.0, 5.0], [[0.5, 0.5], [1.0, 0.0]])
    """
    start, stop = np.asarray(start, dtype=float), np.asarray(stop, dtype=float)
    if (start >= stop).any():
        raise ValueError("start: every start must come before its stop.")
    here, there = (pd.Index(states).get_indexer(pd.Series(side, dtype="str")) for side in (origin, target))
    number, n = np.zeros(len(start), dtype=int) if group is None else np.asarray(group), len(states)
    moved = there >= 0
    times, at = np.unique(stop[moved], return_inverse=True)
    shape = n_groups, len(times), n
    cell = ((number[moved] * len(times) + at) * n + here[moved]) * n + there[moved]
    moves = deleted(np.bincount(cell, minlength=np.prod(shape) * n).reshape(*shape, n))
    at_risk = deleted(_watched(start, stop, number * n + here, times, n_groups * n).reshape(n_groups, n, -1))
    share = np.broadcast_to(np.asarray(begin, dtype=float), (len(moves), n))
    shares = np.empty((len(moves), len(times), n))
    for step in range(len(times)):
        flow = moves[:, step] * _over(share, at_risk[:, :, step])[..., None]
        share = share + flow.sum(axis=1) - flow.sum(axis=2)
        shares[:, step] = share
    return times, shares


class Leaving(NamedTuple):
    """How those in one state leave it: counts by whole time spent there, group by group."""

    moves: np.ndarray  # (group, time, target)
    at_risk: np.ndarray  # (group, time)


def leavings(
    origin, target, time, *, n_states: int, n_targets: int, entry=None, group=None, n_groups: int = 1
) -> Iterator[Leaving]:
    """Moves out of each state in turn, by the whole time spent there, the clock starting again with each stay.

    Parameters
    ----------
    origin, target
        Number of the state of each stay and of where it went; -1 where it still goes on.
    time
        Whole time until it left, or whole time for which it was watched not to leave.
    n_states, n_targets
        How many there are.
    entry
        How old the stay was when first watched; from its start by default.
    group, n_groups
        Number of the group of each stay, and how many there are.

    Examples
    --------
    Two leave at once, one after two days; one was watched for one day and another from its third on.

    >>> [counts] = leavings([0] * 5, [1, 0, 1, -1, 1], [0, 0, 2, 1, 3], n_states=1, n_targets=2, entry=[0, 0, 0, 0, 2])
    >>> counts.at_risk[0].tolist(), counts.moves[0].tolist()
    ([4, 1, 2, 1], [[1, 1], [0, 0], [0, 1], [0, 1]])
    """
    origin, target, time = (np.asarray(part, dtype=int) for part in (origin, target, time))
    entry = np.zeros(len(time), dtype=int) if entry is None else np.asarray(entry, dtype=int)
    group = np.zeros(len(time), dtype=int) if group is None else np.asarray(group, dtype=int)
    last = np.where(target < 0, time - 1, time)
    kept = (last >= entry) & (origin >= 0)
    for state in range(n_states):
        mine = kept & (origin == state)
        n_times = int(last[mine].max(initial=-1)) + 1
        yield _leaving(target[mine], entry[mine], last[mine], group[mine], (n_groups, n_times, n_targets))


def deleted(counts: np.ndarray) -> np.ndarray:
    """Totals over the groups, then the totals without each group; the totals alone where there is one group.

    Examples
    --------
    >>> deleted(np.array([[1.0], [2.0], [4.0]])).ravel()
    array([7., 6., 5., 3.])
    """
    total = counts.sum(axis=0, keepdims=True)
    return total if len(counts) == 1 else np.concatenate([total, total - counts])


def next_shares(moves: np.ndarray, at_risk: np.ndarray) -> np.ndarray:
    """Share that leaves to each target as far as anyone was watched (…, target): Aalen-Johansen on each stay's clock.

    ``F_j = sum over u of S(u-) d_j(u) / n(u)``. All missing where nobody was seen to leave.

    Examples
    --------
    >>> next_shares(np.array([[1.0, 0], [0, 1]]), np.array([4.0, 2]))
    array([0.25 , 0.375])
    """
    hazard = _over(moves, at_risk[..., None])
    staying = np.clip(1 - hazard.sum(axis=-1), 0, 1)
    before = np.concatenate([np.ones_like(staying[..., :1]), np.cumprod(staying, axis=-1)], axis=-1)[..., :-1]
    shares = (before[..., None] * hazard).sum(axis=-2)
    return np.where(shares.sum(axis=-1, keepdims=True) > 0, shares, np.nan)


class Outlook(NamedTuple):
    """Chance of each end, of one who has been in a state for a whole time (state, time, end)."""

    within: np.ndarray  # by the horizon
    finally_: np.ndarray


def outlook(
    moves: Sequence[np.ndarray], at_risk: Sequence[np.ndarray], *, horizon: int, min_moves: int = 20
) -> Outlook:
    """Chance of each end ahead of one who stands in a state, by the time spent there: a Markov renewal process.

    Each state is left at the rate of its own clock, given that it has lasted so far, and the next
    one begins anew; moves within one day are followed to their end. From the time on at which the last
    `min_moves` moves lie the rate is their mean. A target that is a state comes before the ends.

    Parameters
    ----------
    moves, at_risk
        Of each state: (time, target) and (time).
    horizon
        How many whole times ahead.
    min_moves
        Moves in the pooled tail.

    Returns
    -------
    Outlook
        A state, or a ring of states, that nobody was seen to leave counts as never left.

    References
    ----------
    Andersen, Borgan, Gill & Keiding (1993), X.1 (Markov renewal); Putter & Spitoni (2018), Statistical
    Methods in Medical Research 27:2081-2092 (the state at a landmark).

    Examples
    --------
    Each day one of ten wins and one of ten loses: after one day 10 % are won, in the end half.

    >>> ahead = outlook([np.array([[0.0, 10, 10]] * 3)], [np.array([100.0] * 3)], horizon=1)
    >>> ahead.within[0, 0].round(2), ahead.finally_[0, 0].round(2)
    (array([0.1, 0.1]), array([0.5, 0.5]))
    """
    n, hazard = len(moves), _hazards(moves, at_risk, min_moves)
    staying = np.clip(1 - hazard.sum(axis=-1), 0, 1)
    inner, ends = hazard[..., :n], hazard[..., n:]
    following = np.minimum(np.arange(hazard.shape[1]) + 1, hazard.shape[1] - 1)
    # A move may be followed by another on the same day: the chain of first days.
    waits = np.eye(n) * staying[:, :1]
    same_day = np.nan_to_num(absorbing(inner[:, 0], np.concatenate([ends[:, 0], waits], axis=1)).absorbed)
    within = np.zeros_like(ends)
    for _ in range(horizon):
        later = staying[..., None] * within[:, following]
        new = same_day[:, : ends.shape[-1]] + same_day[:, ends.shape[-1] :] @ within[:, following[0]]
        within = ends + inner @ new + later
    left = np.empty_like(hazard)
    left[:, -1] = _over(hazard[:, -1], hazard[:, -1].sum(axis=-1, keepdims=True))
    for time in range(hazard.shape[1] - 2, -1, -1):
        left[:, time] = hazard[:, time] + staying[:, time, None] * left[:, time + 1]
    never = 1.0 - left[:, 0].sum(axis=-1, keepdims=True)
    final = absorbing(left[:, 0, :n], np.concatenate([left[:, 0, n:], never], axis=1)).absorbed[:, :-1]
    return Outlook(within, left[..., n:] + left[..., :n] @ np.nan_to_num(final))


def group_numbers(cluster: pd.Series, *, most: int) -> tuple[np.ndarray, int, np.ndarray]:
    """Clusters put together in at most so many groups of equal size: each row's group, how many, each row's cluster.

    Groups go by a hash of the cluster, so the order of the rows does not matter.

    References
    ----------
    Wolter (2007), Introduction to Variance Estimation, ch. 2 (random groups) and 4 (the jackknife).

    Examples
    --------
    >>> numbers, n_groups, _ = group_numbers(pd.Series(["a", "b", "a", "c"]), most=50)
    >>> n_groups, bool(numbers[0] == numbers[2]), len(set(numbers))
    (3, True, 3)
    """
    code, clusters = pd.factorize(cluster, use_na_sentinel=False)
    order = np.argsort(hashes(clusters), kind="stable")
    rank = np.empty(len(order), dtype=int)
    rank[order] = np.arange(len(order)) % most
    return rank[code], max(min(len(order), most), 1), code


def hashes(names) -> np.ndarray:
    """A number for each name that depends on the name alone.

    Examples
    --------
    >>> bool(hashes(["a", "b"])[1] == hashes(["b"])[0])
    True
    """
    names = np.asarray(names)
    return pd.util.hash_array(names if names.dtype == np.uint64 else names.astype(object))


def jackknife_error(replicates: np.ndarray) -> np.ndarray:
    """Standard error from the estimates without each group, of which the first is that of all.

    Examples
    --------
    The mean of 1, 2 and 6, and without each of them: the usual error of a mean.

    >>> error = jackknife_error(np.array([3.0, 4, 3.5, 1.5]))
    >>> bool(np.isclose(error, np.std([1, 2, 6], ddof=1) / 3**0.5))
    True
    """
    parts = np.asarray(replicates, dtype=float)[1:]
    known = np.isfinite(parts).sum(axis=0)
    mean = _over(np.where(np.isfinite(parts), parts, 0).sum(axis=0), known)
    squares = np.where(np.isfinite(parts), (parts - mean) ** 2, 0).sum(axis=0)
    return np.sqrt(np.where(known > 1, squares * _over(known - 1.0, known), np.nan))


def share_limits(share, error, *, n_groups: int, least, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's limits with the trials that the error is worth, scaled down for few groups as Student's t is.

    Where the error is nothing, or the share 0 or 1, the trials are `least`; both limits are missing
    where the share is, or with one group.

    Examples
    --------
    >>> [limit.round(3).tolist() for limit in share_limits([0.4, 0.0], [0.05, 0.0], n_groups=50, least=[40, 40])]
    [[0.306, 0.0], [0.503, 0.088]]
    """
    share, error = np.asarray(share, dtype=float), np.asarray(error, dtype=float)
    inside = (share > _TIE) & (share < 1 - _TIE) & (error > _TIE)
    worth = np.divide(share * (1 - share), error**2, out=np.asarray(least, dtype=float).copy(), where=inside)
    few = (norm.ppf((1 + confidence) / 2) / student.ppf((1 + confidence) / 2, max(n_groups - 1, 1))) ** 2
    known = np.isfinite(share) & (n_groups > 1)
    trials = np.where(known, worth * np.where(inside, few, 1.0), 1.0)
    low, high = proportions.wilson_interval(np.where(known, np.clip(share, 0, 1), 0) * trials, trials, confidence)
    return np.where(known, low, np.nan), np.where(known, high, np.nan)


def log_rank(time, is_over, group, *, entry=None) -> tuple[float, int, float]:
    """Whether groups last equally long, some not over yet: chi-square, degrees of freedom and p-value.

    At each time at which any ends, the ends of each group less those expected from its part of
    those at risk, and their hypergeometric covariance. Missing with fewer than two groups or no end.
    Every row counts as independent.

    References
    ----------
    Mantel (1966), Cancer Chemotherapy Reports 50:163-170; Peto & Peto (1972), J. R. Statist. Soc. A 135:185-207.

    Examples
    --------
    >>> statistic, freedom, p_value = log_rank([1, 2, 3, 4, 5, 6], [True] * 6, list("aaabbb"))
    >>> round(statistic, 3), freedom, round(p_value, 3)
    (5.052, 1, 0.025)
    """
    time, over = np.asarray(time, dtype=float), np.asarray(is_over, dtype=bool)
    code, names = pd.factorize(pd.Series(group).reset_index(drop=True), use_na_sentinel=False)
    start = np.full(len(time), -np.inf) if entry is None else np.asarray(entry, dtype=float)
    times, at = np.unique(time[over], return_inverse=True)
    if len(names) < 2 or not len(times):
        return np.nan, max(len(names) - 1, 0), np.nan
    ends = np.bincount(code[over] * len(times) + at, minlength=len(names) * len(times)).reshape(len(names), -1)
    at_risk = _watched(start, time, code, times, len(names))
    total, all_ends = at_risk.sum(axis=0), ends.sum(axis=0)
    part = at_risk / total
    spread = all_ends * _over(total - all_ends, total - 1.0)
    gap = (ends - part * all_ends).sum(axis=1)[:-1]
    cover = (np.diag((part * spread).sum(axis=1)) - (part * spread) @ part.T)[:-1, :-1]
    statistic = float(gap @ np.linalg.pinv(cover) @ gap)
    return statistic, len(names) - 1, float(chi2.sf(statistic, len(names) - 1))


def _watched(start, stop, state: np.ndarray, times: np.ndarray, n_states: int) -> np.ndarray:
    """How many are watched in each state just before each time: ``start < time <= stop``."""
    width = len(times) + 1
    came = np.bincount(state * width + np.searchsorted(times, start, side="right"), minlength=n_states * width)
    gone = np.bincount(state * width + np.searchsorted(times, stop, side="right"), minlength=n_states * width)
    return (came - gone).reshape(n_states, width).cumsum(axis=1)[:, :-1]


def _leaving(target, entry, last, group, shape: tuple[int, int, int]) -> Leaving:
    n_groups, n_times, n_targets = shape
    moved = target >= 0
    cell = (group[moved] * n_times + last[moved]) * n_targets + target[moved]
    moves = np.bincount(cell, minlength=n_groups * n_times * n_targets).reshape(shape)
    width, size = n_times + 1, n_groups * (n_times + 1)
    steps = np.bincount(group * width + entry, minlength=size) - np.bincount(group * width + last + 1, minlength=size)
    return Leaving(moves, steps.reshape(n_groups, width).cumsum(axis=1)[:, :-1])


def _hazards(moves: Sequence[np.ndarray], at_risk: Sequence[np.ndarray], min_moves: int) -> np.ndarray:
    """Rates by state, time and target; each state's tail pooled, and repeated to the longest of them."""
    found, width = [], 1
    for counts, watched in zip(moves, at_risk, strict=True):
        later = counts.sum(axis=-1)[::-1].cumsum()[::-1]
        tail = max(int((later >= min_moves).sum()) - 1, 0)
        pooled = _over(counts[tail:].sum(axis=0), watched[tail:].sum())
        found.append(np.concatenate([_over(counts[:tail], watched[:tail, None]), pooled[None]]))
        width = max(width, tail + 1)
    repeated = [np.concatenate([rate, np.repeat(rate[-1:], width - len(rate), axis=0)]) for rate in found]
    return np.stack(repeated) if repeated else np.zeros((0, 1, 0))


def _over(numerator, denominator) -> np.ndarray:
    """Quotient, nought where there is nothing to divide by."""
    numerator, denominator = np.broadcast_arrays(np.asarray(numerator, dtype=float), np.asarray(denominator))
    return np.divide(numerator, denominator, out=np.zeros(numerator.shape), where=denominator > 0)


def _may_not_end(leads: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """States from which the way may lead to one that has no way to an end."""
    reach = leads | np.eye(leads.shape[-1], dtype=bool)
    for _ in range(int(np.ceil(np.log2(max(leads.shape[-1], 2))))):
        reach = (reach.astype(float) @ reach.astype(float)) > 0
    dead = ~(reach & ends[..., None, :]).any(axis=-1)
    return (reach & dead[..., None, :]).any(axis=-1)
