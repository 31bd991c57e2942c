"""How a group that has not all ended will end: its own past, continued at the pace of all who were lately at risk.

An end is one of several causes that exclude each other; a missing cause means that the end has
not come yet. The pace is a period life table: at each age, those watched at that age within the
window, each entering at the age it had when the window opened (left truncation). Where ends bunch in
the calendar, as at the end of a quarter, a factor of each part of it multiplies the pace.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from salesops.stats import groups, proportions, survival

_ROUNDS = 20  # of fitting factors and hazards in turn; they agree to four figures after five


def incidence_at(
    time,
    cause,
    *,
    ages: Sequence[float],
    kind: str,
    cluster=None,
    entry=None,
    min_at_risk: float = 10,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Share that has ended by one cause by given ages, the other causes competing, rows of a cluster together.

    Aalen-Johansen with the variance of its influence function summed over clusters; each row
    alone is a cluster where none are given. The interval is Wilson's with the trials that the
    variance is worth.

    Parameters
    ----------
    time
        Age at the end, or at the last look.
    cause
        What ended it; missing where it had not ended.
    ages
        Ages wanted, rising.
    kind
        Which cause.
    cluster
        What belongs together; a missing one stands alone.
    entry
        Age from which each was watched (left truncation); from the start by default.
    min_at_risk
        The share is missing at ages that fewer were watched at, unless all have ended by then.
    confidence
        Level of the interval.

    Returns
    -------
    DataFrame
        One row per age: ``age``, ``n_at_risk`` (watched at that age or longer), ``share``,
        ``share_low``, ``share_high`` (0-1).

    References
    ----------
    Aalen & Johansen (1978), Scand. J. Statist. 5:141-150; Andersen, Borgan, Gill & Keiding
    (1993), Statistical Models Based on Counting Processes, IV.4.

    Examples
    --------
    >>> incidence_at([1, 2, 3, 4], ["a", "b", None, "a"], ages=[2, 4], kind="a", min_at_risk=1).round(2)
       age  n_at_risk  share  share_low  share_high
    0    2          3   0.25       0.04        0.74
    1    4          1   0.75       0.26        0.96
    """
    time, ages = np.asarray(time, dtype=float), np.asarray(ages)
    number = np.arange(len(time)) if cluster is None else groups.clusters(pd.Series(cluster))
    watched = {"cluster": number, "entry": entry, "min_at_risk": 0, "confidence": confidence}
    curves = survival.cumulative_incidence(time, cause, **watched)
    curve = curves[curves["cause"] == kind].drop(columns=["cause", "n_at_risk"]).to_numpy(dtype=float)
    since = np.full(len(time), -np.inf) if entry is None else np.asarray(entry, dtype=float)
    at_risk = np.searchsorted(np.sort(since), ages) - np.searchsorted(np.sort(time), ages)
    is_over = pd.Series(cause).notna().to_numpy()
    last = time.max(initial=-np.inf) if is_over.all() else np.inf
    trials = np.minimum(at_risk, number.max(initial=-1) + 1)
    none = np.zeros(len(ages))
    nothing_yet = np.column_stack([ages, none, *proportions.wilson_interval(none, trials, confidence)])
    place = np.searchsorted(curve[:, 0], ages, side="right")
    found = np.where(place[:, None] > 0, np.vstack([np.full(4, np.nan), curve])[place], nothing_yet)
    found[(at_risk < min_at_risk) & (ages < last)] = np.nan
    shares = pd.DataFrame(found[:, 1:], columns=["share", "share_low", "share_high"], dtype=float)
    return pd.concat([pd.DataFrame({"age": ages, "n_at_risk": at_risk}), shares], axis=1)


def past(
    time,
    cause,
    *,
    causes: Sequence[str],
    entry=None,
    cluster=None,
    stratum=None,
    calendar: "Seasons | None" = None,
) -> "Past":
    """How all rows ended, worked out once for every group of them; see `expected_shares`.

    Parameters
    ----------
    time, cause
        Of every row: age at the end or the last look, and what ended it.
    causes
        Causes that get a row.
    entry
        Age at which each row's window opens; from the start by default. Rows whose `time` comes
        before their `entry` say nothing of the pace.
    cluster
        What belongs together; a missing one stands alone.
    stratum
        Rows of one stratum continue at the pace of that stratum alone.
    calendar
        Of `seasons`; times are whole days then. The factors are taken as known.

    Examples
    --------
    >>> [each.table.n_ends for each in past([1, 2, 2], ["won", None, "lost"], causes=["won", "lost"]).paces]
    [2.0]
    """
    rows = _rows(time, cause, causes, entry=entry, cluster=cluster)
    n = len(rows.time)
    number, names = (
        (np.zeros(n, dtype=int), [0]) if stratum is None else pd.factorize(pd.Series(stratum), use_na_sentinel=False)
    )
    return Past(rows, number, [_pace(rows, number == each, calendar) for each in range(len(names))], calendar)


def expected_shares(known: "Past", *, is_member, min_ends: int = 20, confidence: float = 0.95) -> pd.DataFrame:
    """Share of a group that will have ended by each cause, once all have.

    ``(ended by the cause + sum over those still running of C(age)) / n`` where ``C(u)`` is the
    chance of still ending by the cause after age `u`, the other causes competing, by the hazards
    of the rows in the window. In a group of one age this is ``F(t) + S(t) C(t)``. The variance
    is that of the influence function, through both the group's own ends and the hazards, summed
    over clusters, and ``C (1 - C)`` of each still running for the chance it ends by in the end; the
    interval is Wilson's with the trials that the variance is worth. So it is the one the group
    will have once all have ended, widened by what is not known of the pace, and holds both the
    share that there will be and the chance behind it.

    Parameters
    ----------
    known
        Of `past`: every row, members and others.
    is_member
        Whether each row is of the group.
    min_ends
        A stratum with members still running and fewer ends than this in the window has no pace
        to go by: all shares are missing.
    confidence
        Level of the interval.

    Returns
    -------
    DataFrame
        One row per cause: ``cause``, ``n`` (members), ``n_ends`` (in the window, in the strata of
        the members), ``share``, ``share_low``, ``share_high`` (0-1).

    Notes
    -----
    Members are taken to go on as others lately did at the same age. Shares add up to less than
    one where nobody was watched to the end; what is lacking is not known.

    Examples
    --------
    One of four has ended; of three others, watched from age 2 on, two are won and one lost.

    >>> known = past([1, 2, 2, 2, 5, 6, 7], ["won", None, None, None, "won", "lost", "won"],
    ...     entry=[0] * 4 + [2] * 3, causes=["won", "lost"])
    >>> found = expected_shares(known, is_member=[True] * 4 + [False] * 3, min_ends=1)
    >>> found[["cause", "n", "n_ends", "share"]].round(3)
      cause  n  n_ends  share
    0   won  4       4   0.75
    1  lost  4       4   0.25

    References
    ----------
    Andersen, Borgan, Gill & Keiding (1993), Statistical Models Based on Counting Processes, IV.4;
    Preston, Heuveline & Guillot (2001), Demography, ch. 3 (the period life table).
    """
    rows, member, causes = known.rows, np.asarray(is_member, dtype=bool), known.rows.causes
    values, influence = np.zeros((2, len(causes), len(member)))
    n_ends, is_known = 0, True
    for number in np.unique(known.stratum[member]):
        pace, table = known.paces[number], known.paces[number].table
        running = pace.running[member[pace.running]]
        n_ends, is_known = n_ends + int(table.n_ends), is_known and (table.n_ends >= min_ends or not len(running))
        futures = _futures(rows, table, running, known.calendar)
        for each in range(len(causes)):
            ahead = _ahead(futures, each)
            values[each, running] = ahead[futures.kind, 0]
            _add_hazard_influence(influence[each], rows, pace, _slopes(futures, each, ahead))
    for each in range(len(causes)):
        values[each, rows.code == each] = 1.0
    found = [_estimate(*pair, rows, member, is_known, confidence) for pair in zip(values, influence, strict=True)]
    shares = pd.DataFrame(found, columns=["share", "share_low", "share_high"], dtype=float)
    return pd.concat([pd.DataFrame({"cause": list(causes), "n": int(member.sum()), "n_ends": n_ends}), shares], axis=1)


class Seasons(NamedTuple):
    """Which part of the calendar each day lies in, and how much faster each cause comes in it."""

    origin: np.ndarray  # day on which each row started
    part: np.ndarray  # part of the calendar of each day from day 0 on
    factors: dict[str, np.ndarray]  # by cause: one factor a part


def seasons(time, cause, *, origin, part, causes: Sequence[str], entry=None) -> Seasons:
    """How much faster each cause comes in each part of the calendar, at equal ages.

    ``factor = (ends + 1) / (ends expected + 1)``, expected from the ages of those at risk in that
    part, and the hazards at each age in turn from at-risk counts weighted by the factors, until
    they agree. One more is added to each side, so that a part with little expected has a factor near
    that of others. The mean over all at risk is 1.

    Parameters
    ----------
    time, cause, entry
        As for `expected_shares`, in whole days.
    origin
        Day on which each row started, counted from some day 0.
    part
        Number of the part of the calendar that each day from day 0 on lies in; as far ahead as
        any row may last.
    causes
        Causes with factors of their own.

    References
    ----------
    Breslow & Day (1987), Statistical Methods in Cancer Research II, ch. 2 (internal standardisation).

    Examples
    --------
    Ten start on each of 200 days; one of ten ends at once, but three of ten on every fifth day.

    >>> day = np.repeat(np.arange(200), 10)
    >>> is_won = np.tile(np.arange(10), 200) < np.where(day % 5 == 4, 3, 1)
    >>> cause, part = np.where(is_won, "won", None), np.arange(300) % 5 == 4
    >>> found = seasons(np.zeros(2000), cause, origin=day, part=part, causes=["won"])
    >>> found.factors["won"].round(2).tolist()
    [0.72, 2.13]
    """
    rows = _rows(time, cause, causes, entry=entry)
    origin, part = np.asarray(origin, dtype=int), np.asarray(part, dtype=int)
    at_risk = _at_risk_by_part(rows, np.ones(len(rows.time), dtype=bool), origin, part)
    ended = (rows.time >= rows.entry) & (rows.code >= 0)
    factors = {}
    for number, name in enumerate(causes):
        mine = ended & (rows.code == number)
        ends = np.bincount(rows.time[mine].astype(int), minlength=len(at_risk))
        happened = np.bincount(part[(origin + rows.time.astype(int))[mine]], minlength=at_risk.shape[1])
        factors[name] = np.ones(at_risk.shape[1])
        for _ in range(_ROUNDS):
            weighted = at_risk @ factors[name]
            hazard = np.divide(ends, weighted, out=np.zeros(len(ends)), where=weighted > 0)
            factors[name] = (happened + 1) / (hazard @ at_risk + 1)
        factors[name] /= factors[name] @ at_risk.sum(axis=0) / max(at_risk.sum(), 1)
    return Seasons(origin, part, factors)


class _Rows(NamedTuple):
    """Every row: its time, the age it is watched from, the number of its cause (-1 while it runs), its cluster."""

    time: np.ndarray
    entry: np.ndarray
    code: np.ndarray  # of all causes that were not asked for: the number after the last that was
    cluster: np.ndarray
    causes: tuple[str, ...]

    @property
    def n_causes(self) -> int:
        return len(self.causes)


class _Table(NamedTuple):
    """Hazards at each age at which any ended within the window."""

    times: np.ndarray
    at_risk: np.ndarray  # one row per cause; weighted by the season's factors where there are any
    by_cause: np.ndarray  # hazards: one row per cause, the last of all causes that were not asked for
    n_ends: float


class _Pace(NamedTuple):
    """How the rows of one stratum ended, and where among the ages of its table each of them comes and goes."""

    table: _Table
    running: np.ndarray  # rows that run on
    watched: np.ndarray
    came: np.ndarray  # of each that was watched
    left: np.ndarray
    ended: np.ndarray  # those of them that ended
    place: np.ndarray  # of each that ended


class Past(NamedTuple):
    """All rows, the number of the stratum of each, and the pace of each stratum."""

    rows: _Rows
    stratum: np.ndarray
    paces: list[_Pace]
    calendar: Seasons | None


class _Futures(NamedTuple):
    """What lies ahead of those who run on, one row for each kind of them: of one age, and one origin."""

    kind: np.ndarray  # of each who runs on
    count: np.ndarray
    hazards: np.ndarray  # (cause, kind, age)
    factors: np.ndarray  # (cause, kind, age), nought at ages that are past
    present: np.ndarray  # (kind, age): share still running just before


def _rows(time, cause, causes: Sequence[str], *, entry=None, cluster=None) -> _Rows:
    time = np.asarray(time, dtype=float)
    entry = np.full(len(time), -np.inf) if entry is None else np.asarray(entry, dtype=float)
    number, names = pd.factorize(pd.Series(cause, dtype="str"))
    numbers = {name: number for number, name in enumerate(causes)}
    code = np.array([*(numbers.get(name, len(causes)) for name in names), -1], dtype=int)[number]  # missing: the last
    # Numbered in their order, which sums over them follow.
    number = np.arange(len(time)) if cluster is None else pd.factorize(groups.clusters(pd.Series(cluster)))[0]
    return _Rows(time, entry, code, number, tuple(causes))


def _pace(rows: _Rows, mine: np.ndarray, calendar: Seasons | None) -> _Pace:
    table = _table(rows, mine, calendar)
    watched = np.flatnonzero(mine & (rows.time >= rows.entry))
    ended = watched[rows.code[watched] >= 0]
    return _Pace(
        table,
        running=np.flatnonzero(mine & (rows.code < 0)),
        watched=watched,
        came=np.searchsorted(table.times, rows.entry[watched], side="left"),
        left=np.searchsorted(table.times, rows.time[watched], side="right"),
        ended=ended,
        place=np.searchsorted(table.times, rows.time[ended]),
    )


def _table(rows: _Rows, mine: np.ndarray, calendar: Seasons | None) -> _Table:
    watched = mine & (rows.time >= rows.entry)
    ended = watched & (rows.code >= 0)
    times = np.unique(rows.time[ended])
    place = np.searchsorted(times, rows.time[ended])
    counts = np.bincount(rows.code[ended] * len(times) + place, minlength=(rows.n_causes + 1) * len(times))
    counts = counts.reshape(rows.n_causes + 1, len(times))
    at_risk = np.broadcast_to(_at_risk(rows, watched, times), counts.shape).astype(float)
    if calendar is not None and len(times):
        by_part = _at_risk_by_part(rows, mine, calendar.origin, calendar.part)[times.astype(int)]
        at_risk[:-1] = [by_part @ calendar.factors[name] for name in rows.causes]
    return _Table(times, at_risk, counts / at_risk, float(ended.sum()))


def _at_risk(rows: _Rows, watched: np.ndarray, times: np.ndarray) -> np.ndarray:
    """How many came at an age or before it, and did not leave before it."""
    leaving, coming = np.sort(rows.time[watched]), np.sort(rows.entry[watched])
    return np.searchsorted(coming, times, side="right") - np.searchsorted(leaving, times, side="left")


def _at_risk_by_part(rows: _Rows, mine: np.ndarray, origin: np.ndarray, part: np.ndarray) -> np.ndarray:
    """How many are at risk at each whole age from 0 on (rows) while the calendar is in each part (columns)."""
    watched = mine & (rows.time >= rows.entry)
    days, which = np.unique(origin[watched], return_inverse=True)
    ages = int(rows.time[watched].max(initial=-1)) + 1
    came = np.maximum(rows.entry[watched], 0).astype(int)
    steps = np.bincount(which * (ages + 1) + came, minlength=len(days) * (ages + 1)).astype(float)
    steps -= np.bincount(which * (ages + 1) + rows.time[watched].astype(int) + 1, minlength=len(days) * (ages + 1))
    count = steps.reshape(len(days), ages + 1).cumsum(axis=1)[:, :ages]
    n_parts = int(part.max(initial=0)) + 1
    cell = np.arange(ages) * n_parts + part[days[:, None] + np.arange(ages)]
    return np.bincount(cell.ravel(), count.ravel(), minlength=ages * n_parts).reshape(ages, n_parts)


def _futures(rows: _Rows, table: _Table, running: np.ndarray, calendar: Seasons | None) -> _Futures:
    origin = np.zeros(len(running)) if calendar is None else calendar.origin[running]
    kinds, kind, count = np.unique(
        np.column_stack([rows.time[running], origin]), axis=0, return_inverse=True, return_counts=True
    )
    ahead = np.broadcast_to(table.times > kinds[:, :1], (len(kinds), len(table.times)))
    factors = np.repeat(ahead[None].astype(float), rows.n_causes + 1, axis=0)
    if calendar is not None and len(kinds) and len(table.times):
        part = calendar.part[(kinds[:, 1:] + table.times).astype(int)]
        factors[:-1] *= np.stack([calendar.factors[name][part] for name in rows.causes])
    hazards = factors * table.by_cause[:, None, :]
    hazards /= np.maximum(hazards.sum(axis=0), 1)  # a factor may not make more end than there are
    staying = np.cumprod(1 - hazards.sum(axis=0), axis=1)
    present = np.concatenate([np.ones((len(kinds), 1)), staying], axis=1)[:, :-1]
    return _Futures(kind.ravel(), count, hazards, factors, present)


def _ahead(futures: _Futures, number: int) -> np.ndarray:
    """Chance of ending by a cause at each age or later, of those running just before (kind, age); then nought."""
    own, staying = futures.hazards[number], 1 - futures.hazards.sum(axis=0)
    ahead = np.zeros((own.shape[0], own.shape[1] + 1))
    for at in range(own.shape[1] - 1, -1, -1):
        ahead[:, at] = own[:, at] + staying[:, at] * ahead[:, at + 1]
    return ahead


def _slopes(futures: _Futures, number: int, ahead: np.ndarray) -> np.ndarray:
    """How the sum of the chances moves with the hazard of each cause (rows) at each age.

    One end more of cause c at an age brings ``1{c = number}`` and takes what lay ahead after it.
    """
    weight = futures.count[:, None] * futures.present
    own = np.arange(len(futures.factors)) == number
    return np.einsum("ka,cka,cka->ca", weight, futures.factors, own[:, None, None] - ahead[None, :, 1:])


def _add_hazard_influence(influence: np.ndarray, rows: _Rows, pace: _Pace, slopes: np.ndarray) -> None:
    """What each row adds through the hazards: its end where it came, less its end as it was to be expected."""
    table = pace.table
    if not len(table.times):
        return
    weight = slopes / table.at_risk
    until = np.r_[0.0, np.cumsum((weight * table.by_cause).sum(axis=0))]
    influence[pace.watched] = until[pace.came] - until[pace.left]
    influence[pace.ended] += weight[rows.code[pace.ended], pace.place]


def _estimate(values, influence, rows: _Rows, member, is_known: bool, confidence: float) -> tuple[float, float, float]:
    n = member.sum()
    if not n or not is_known:
        return np.nan, np.nan, np.nan
    share = values[member].mean()
    own = np.where(member, values - share, 0.0)
    to_come = (values * (1 - values))[member].sum() / n**2
    clusters = np.count_nonzero(np.bincount(rows.cluster[member]))
    return _interval(share, (own + influence) / n, rows.cluster, clusters, confidence, to_come)


def _interval(
    share: float, influence, cluster, least: int, confidence: float, more: float = 0.0
) -> tuple[float, float, float]:
    """Wilson limits with the trials the clusters' spread, and more, is worth; with `least` where there is none."""
    sums = np.bincount(cluster, influence)
    moving = np.count_nonzero(sums)
    variance = (sums**2).sum() * moving / max(moving - 1, 1) + more
    share = min(max(share, 0.0), 1.0)
    inside = variance > 0 and 0 < share < 1
    trials = share * (1 - share) / variance if inside else least
    low, high = proportions.wilson_interval(share * trials, trials, confidence)
    return share, low[0], high[0]
