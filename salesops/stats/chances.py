"""Chances learnt from the cases whose end is known, at the level of the latest ones.

A case begins on a day, is watched, and ends one of two ways or goes on. Ridge logistic
regression on those that ended in a window of time, each standing for those still going on; the
intercept is then set on a shorter, later window, because the level of an outcome drifts
sooner than what tells the cases apart.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit

from salesops.stats import censoring, encoding, ridge, scores

MIN_KNOWN = 100  # ended cases below which nothing is learnt
MIN_OUTCOME = 10  # of them, each way
_LEVEL_PRIOR = 0.5  # standard deviation, in log odds, of the change of level thought likely beforehand
_AGES = (0.25, 0.5, 0.75, 0.9)  # of how long cases take to end: where the level of an age is learnt
_SHUFFLES = 5
_SETTLED = 1e-13  # in log odds: beyond it only the last digits move
_DAY = np.timedelta64(1, "D")


class Cases(NamedTuple):
    """Cases in the order in which they began."""

    begun: np.ndarray  # days
    ended: np.ndarray  # days; missing while it goes on
    outcome: np.ndarray  # 1 or 0, read only where it has ended
    cluster: np.ndarray  # cases that belong together
    columns: encoding.Coded


class Known(NamedTuple):
    """The cases whose end is known on a day: positions, what each stands for, how long they lasted."""

    at: np.ndarray
    weight: np.ndarray
    days: np.ndarray


class Learnt(NamedTuple):
    """A model at the latest level, the same level without any column, and what it was learnt from."""

    found: ridge.Fit
    encoder: encoding.Encoder
    known: Known
    latest: Known
    base_rate: float


def known(cases: Cases, now: object, since: object) -> Known:
    """The cases that ended from `since` until the day before `now`, standing for all watched in that time.

    Examples
    --------
    >>> day = np.array(["2026-01-01", "2026-01-01", "2026-02-01"], dtype="datetime64[D]")
    >>> end = np.array(["2026-01-11", "2026-03-01", "NaT"], dtype="datetime64[D]")
    >>> known(Cases(day, end, np.array([1.0, 0, 0]), day, None), "2026-02-15", "2026-01-01")
    Known(at=array([0]), weight=array([1.]), days=array([10.]))
    """
    now, since = np.datetime64(now, "D"), np.datetime64(since, "D")
    watched = np.flatnonzero((cases.begun < now) & ~(cases.ended < since))
    begun, ended = cases.begun[watched], cases.ended[watched]
    over = ended < now
    days = (np.where(over, ended, now - _DAY) - begun) / _DAY
    entry = np.maximum((since - begun) / _DAY, 0) - 1
    weight = censoring.known_end_weights(days, over, entry=entry)
    return Known(watched[over], weight[over], days[over])


def learn(
    cases: Cases, now: object, since: object, latest_since: object, *, penalty: float | None = None, seed: int = 0
) -> Learnt | None:
    """What can be learnt on the morning of `now`; None where too few have ended.

    Parameters
    ----------
    cases
        All cases; those that begin or end later are not looked at.
    now
        First day not known.
    since
        First day whose ends are learnt from.
    latest_since
        First day whose ends set the level; not before `since`.
    penalty
        Of the ridge; chosen by leaving out clusters where empty.
    seed
        Of the folds.
    """
    ended = known(cases, now, since)
    hits = cases.outcome[ended.at].sum()
    if len(ended.at) < MIN_KNOWN or min(hits, len(ended.at) - hits) < MIN_OUTCOME:
        return None
    encoder, outcome = encoding.learn(cases.columns, ended.at), cases.outcome[ended.at]
    design = ridge.Design(encoding.encode(encoder, cases.columns, ended.at, constant=True))
    if penalty is None:
        penalty = ridge.best_penalty(design, outcome, weight=ended.weight, cluster=cases.cluster[ended.at], seed=seed)
    found = ridge.fit(design, outcome, penalty=penalty, weight=ended.weight)
    latest, usual = known(cases, now, latest_since), logit(np.average(outcome, weights=ended.weight))
    shift = _level(np.full(len(latest.at), usual), cases.outcome[latest.at], latest.weight)
    learnt = Learnt(found, encoder, ended, latest, float(expit(usual + shift)))
    return learnt._replace(found=_levelled(found, learnt, cases, _latest(learnt, design)))


def predict(learnt: Learnt, cases: Cases, rows: np.ndarray) -> np.ndarray:
    """Chance of each of the cases in the given positions."""
    return expit(ridge.log_odds(learnt.found, encoding.encode(learnt.encoder, cases.columns, rows)))


def log_odds(learnt: Learnt, cases: Cases, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log odds of each of the cases in the given positions, and their standard deviation.

    The deviation is that of the penalised likelihood and of the level; it does not know that
    the truth may be no sum of log odds, so it is somewhat too small.
    """
    matrix = encoding.encode(learnt.encoder, cases.columns, rows)
    latest = predict(learnt, cases, learnt.latest.at)
    level = 1 / (learnt.latest.weight @ (latest * (1 - latest)) + 1 / _LEVEL_PRIOR**2)
    return ridge.log_odds(learnt.found, matrix), np.sqrt(ridge.deviations(learnt.found, matrix) ** 2 + level)


def age_levels(learnt: Learnt, cases: Cases, ages: np.ndarray) -> np.ndarray:
    """What to add to the log odds of a case that has gone on for so many days.

    At the quantiles of how long cases last, the level that is right on average for the known
    ones that lasted at least as long; straight lines between.
    """
    matrix, outcome = encoding.encode(learnt.encoder, cases.columns, learnt.known.at), cases.outcome[learnt.known.at]
    x = ridge.log_odds(learnt.found, matrix)
    knots = np.r_[0.0, np.quantile(learnt.known.days, _AGES)]
    lasting = [learnt.known.days >= age for age in knots]
    levels = np.array([_level(x[mine], outcome[mine], learnt.known.weight[mine]) for mine in lasting])
    return np.interp(ages, knots, levels - levels[0])


def changes(learnt: Learnt, cases: Cases, rows: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """What each column is worth to each case: log-loss without it, less log-loss with it.

    Returns
    -------
    array
        Two ways (the model learnt without the column; the column's values shuffled among the
        cases, mean of five shuffles) by columns by cases.
    """
    outcome, random = cases.outcome[rows], np.random.default_rng(seed)
    matrix = encoding.encode(learnt.encoder, cases.columns, rows)
    design = ridge.Design(encoding.encode(learnt.encoder, cases.columns, learnt.known.at, constant=True))
    latest, x = _latest(learnt, design), ridge.log_odds(learnt.found, matrix)
    losses = scores.log_losses(outcome, expit(x))
    orders = [random.permutation(len(rows)) for _ in range(_SHUFFLES)]
    dropped, shuffled = [], []
    for column in range(len(cases.columns.names)):
        mine = learnt.encoder.owner == column
        without = _without(learnt, cases, mine, design, latest)
        dropped.append(scores.log_losses(outcome, expit(ridge.log_odds(without, matrix))) - losses)
        part = matrix[:, mine] @ learnt.found.coefficients[1:][mine]
        others = [scores.log_losses(outcome, expit(x - part + part[order])) for order in orders]
        shuffled.append(np.mean(others, axis=0) - losses)
    return np.array([dropped, shuffled])


def _without(learnt: Learnt, cases: Cases, mine, design: ridge.Design, latest: ridge.Design) -> ridge.Fit:
    if not mine.any():
        return learnt.found
    outcome, weight = cases.outcome[learnt.known.at], learnt.known.weight
    return _levelled(ridge.without(learnt.found, mine, design, outcome, weight), learnt, cases, latest)


def _latest(learnt: Learnt, design: ridge.Design) -> ridge.Design:
    """The columns of the latest cases, from those of all known ones."""
    return ridge.Design(design.values[np.searchsorted(learnt.known.at, learnt.latest.at)])


def _levelled(found: ridge.Fit, learnt: Learnt, cases: Cases, columns: ridge.Design) -> ridge.Fit:
    """The fit with its intercept moved to where the latest cases are."""
    latest, moved = learnt.latest, found.coefficients.copy()
    moved[0] += _level(ridge.log_odds(found, columns), cases.outcome[latest.at], latest.weight)
    return found._replace(coefficients=moved)


def _level(x: np.ndarray, outcome: np.ndarray, weight: np.ndarray) -> float:
    """What to add to log odds so that they are right on average; little, where little is known."""
    shift = 0.0
    for _ in range(25):
        p = expit(x + shift)
        slope = weight @ (outcome - p) - shift / _LEVEL_PRIOR**2
        step = slope / (weight @ (p * (1 - p)) + 1 / _LEVEL_PRIOR**2)
        shift += step
        if abs(step) < _SETTLED:
            break
    return float(shift)
