"""Times to an end of several kinds, some not reached yet: incidence, plateau and quantiles.

An end is one of several causes that exclude each other; a missing cause means that the
end had not come when the watching stopped (censored). Everything is computed from counts by
distinct time, so a million rows cost no more than sorting them. The numbers are those of
``statsmodels.duration``, which has no standard error for counted rows, and none at the time
when the last one leaves.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import norm
from scipy.stats import t as student

from salesops.stats import life_table, proportions


def cumulative_incidence(
    time, cause, *, weight=None, cluster=None, entry=None, min_at_risk: float = 10, confidence: float = 0.95
) -> pd.DataFrame:
    """Share that has ended by each time, cause by cause, the other causes competing.

    Aalen-Johansen: ``F_k(t) = sum over u <= t of S(u-) d_k(u) / n(u)``. The interval is
    Wilson's with the trials that the variance is worth, ``F (1 - F) / var F``; with nothing
    censored it is the plain Wilson interval. Where rows belong together, the variance is that of
    the influence function summed over clusters.

    Parameters
    ----------
    time
        Time to the end, or to the last look.
    cause
        What ended it; missing where it had not ended.
    weight
        How many each row stands for; one by default.
    cluster
        What belongs together; a missing one stands alone, and with a weight so many that each stand alone.
        By default every row stands alone, and the variance is the plain one.
    entry
        How old each was when first watched (left truncation); from the start by default.
    min_at_risk
        The curve stops where fewer are left to watch.
    confidence
        Level of the interval.

    Returns
    -------
    DataFrame
        One row per cause and time at which any ended: ``cause``, ``time``, ``incidence``,
        ``incidence_low``, ``incidence_high`` (0-1), ``n_at_risk`` (just before). No rows
        where nothing ended.

    References
    ----------
    Aalen & Johansen (1978), Scand. J. Statist. 5:141-150; variance as in Marubini &
    Valsecchi (1995), Analysing Survival Data from Clinical Trials and Observational Studies;
    of clusters as in Andersen, Borgan, Gill & Keiding (1993), Statistical Models Based on
    Counting Processes, IV.4.

    Examples
    --------
    >>> cumulative_incidence([1, 2, 3, 4], ["a", "b", None, "a"], min_at_risk=1).round(2)
      cause  time  incidence  incidence_low  incidence_high  n_at_risk
    0     a   1.0       0.25           0.05            0.70        4.0
    1     a   2.0       0.25           0.05            0.70        3.0
    2     a   4.0       0.75           0.30            0.95        1.0
    3     b   1.0       0.00           0.00            0.49        4.0
    4     b   2.0       0.25           0.05            0.70        3.0
    5     b   4.0       0.25           0.05            0.70        1.0
    """
    table = life_table.life_table(time, cause, weight, entry)
    rows = life_table.clustered(table, time, cause, weight, cluster, entry)
    shown = table.at_risk >= min_at_risk
    curves = []
    for number, name in enumerate(table.causes):
        share, variance = life_table.incidence(table, number)
        variance = variance if rows is None else life_table.clustered_variance(table, rows, number, share)
        low, high = _interval(share, variance, life_table.known_by(table, rows), confidence)
        curves.append(
            pd.DataFrame(
                {
                    "cause": name,
                    "time": table.times,
                    "incidence": share,
                    "incidence_low": low,
                    "incidence_high": high,
                    "n_at_risk": table.at_risk,
                }
            )[shown]
        )
    return _stacked(curves, ["cause", "time", "incidence", "incidence_low", "incidence_high", "n_at_risk"])


def plateau(
    time, cause, *, weight=None, causes: Sequence[str] = (), cluster=None, entry=None, confidence: float = 0.95
) -> pd.DataFrame:
    """Share that ends by each cause in the long run: the height at which its incidence stays.

    The last value of `cumulative_incidence`, not cut at a number at risk: with nothing
    censored it is the plain share. It says "as far as anyone was watched", so it is a lower
    bound where many are still running.

    Parameters
    ----------
    time, cause, weight, cluster, entry, confidence
        As for `cumulative_incidence`.
    causes
        Causes that get a row even where they never happened.

    Returns
    -------
    DataFrame
        One row per cause: ``cause``, ``n``, ``n_events``, ``incidence``, ``incidence_low``,
        ``incidence_high``; all missing where nothing ended at all, because then nothing is
        known of how it will.

    Examples
    --------
    >>> plateau([1, 2, 3, 4], ["a", "b", None, "a"], causes=["a", "c"]).round(2)
      cause  n  n_events  incidence  incidence_low  incidence_high
    0     a  4       2.0       0.75           0.30            0.95
    1     c  4       0.0       0.00           0.00            0.56
    2     b  4       1.0       0.25           0.05            0.70
    """
    table = life_table.life_table(time, cause, weight, entry)
    rows = life_table.clustered(table, time, cause, weight, cluster, entry)
    n = len(np.asarray(time)) if weight is None else np.sum(weight)
    found = [(name, n, *_last(table, rows, number, confidence)) for name, number in _numbered(table, causes)]
    return pd.DataFrame(found, columns=["cause", "n", "n_events", "incidence", "incidence_low", "incidence_high"])


def incidence_quantiles(
    time,
    cause,
    *,
    probabilities: Sequence[float] = (0.25, 0.5, 0.75),
    weight=None,
    causes: Sequence[str] = (),
    cluster=None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Time by which a share of those that will end by a cause have done so.

    The quantile of ``F_k(t) / F_k(last)``, so that those still running, and those that ended
    otherwise, take their part. The interval is Woodruff's: limits of the share at the
    quantile, from its delta-method variance, read back on the curve. A limit is missing where
    the events are too few for one (``p ** events > (1 - confidence) / 2``: six for a median).

    Parameters
    ----------
    time, cause, weight, cluster, confidence
        As for `cumulative_incidence`.
    probabilities
        Which quantiles, 0-1.
    causes
        Causes that get rows even where they never happened.

    Returns
    -------
    DataFrame
        One row per cause and probability: ``cause``, ``probability``, ``n_events``, ``time``,
        ``time_low``, ``time_high``.

    Notes
    -----
    Where the longest times have not been watched to their end yet, the quantiles are too
    short; the plateau is too low for the same reason.

    References
    ----------
    Woodruff (1952), J. Am. Stat. Assoc. 47:635-646.

    Examples
    --------
    >>> incidence_quantiles([1, 2, 3, 4, 5], ["a", "a", None, "b", "a"], probabilities=[0.5])
      cause  probability  n_events  time  time_low  time_high
    0     a          0.5       3.0   2.0       NaN        NaN
    1     b          0.5       1.0   4.0       NaN        NaN
    """
    table = life_table.life_table(time, cause, weight)
    rows = life_table.clustered(table, time, cause, weight, cluster, None)
    lines = []
    for name, number in _numbered(table, causes):
        events = 0.0 if number is None else table.exits[number].sum()
        for probability in probabilities:
            found = _incidence_quantile(table, rows, number, probability, confidence)
            lines.append((name, probability, events, *found))
    return pd.DataFrame(lines, columns=["cause", "probability", "n_events", "time", "time_low", "time_high"])


def duration_quantiles(
    time,
    is_over,
    *,
    probabilities: Sequence[float] = (0.5,),
    weight=None,
    cluster=None,
    entry=None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Quantiles of a duration of which some are not over yet (Kaplan-Meier).

    The interval inverts the limits of the survival curve on the log scale, as R's
    ``survfit`` does. A quantile that the curve does not reach is missing: it is longer than
    anyone was watched.

    Parameters
    ----------
    time
        Duration so far.
    is_over
        Whether it has ended.
    probabilities
        Which quantiles, 0-1.
    weight, cluster, entry, confidence
        As for `cumulative_incidence`.

    Returns
    -------
    DataFrame
        One row per probability: ``probability``, ``n``, ``n_events``, ``time``, ``time_low``,
        ``time_high``.

    References
    ----------
    Kaplan & Meier (1958), J. Am. Stat. Assoc. 53:457-481; Brookmeyer & Crowley (1982),
    Biometrics 38:29-41.

    Examples
    --------
    >>> duration_quantiles([3, 5, 8, 9, 9], [True, True, False, True, False])
       probability  n  n_events  time  time_low  time_high
    0          0.5  5       3.0   9.0       5.0        NaN
    """
    cause = pd.Series("over", index=range(len(is_over)), dtype="str").where(np.asarray(is_over, dtype=bool))
    table = life_table.life_table(time, cause, weight, entry)
    n = len(np.asarray(time)) if weight is None else np.sum(weight)
    rows = life_table.clustered(table, time, cause, weight, cluster, entry)
    low, share, high = _over_curves(table, rows, confidence)
    found = [
        (p, n, table.exits.sum(), *(_reached(table.times, curve, p) for curve in (share, high, low)))
        for p in probabilities
    ]
    return pd.DataFrame(found, columns=["probability", "n", "n_events", "time", "time_low", "time_high"])


def ended_mean(time, *, weight=None, confidence: float = 0.95) -> tuple[float, float, float]:
    """Plain mean of the durations that are over, with Student's interval: ``(mean, low, high)``.

    Too short wherever some are still going on, because the long ones are.

    Examples
    --------
    >>> [round(float(value), 2) for value in ended_mean([2.0, 4.0, 9.0])]
    [5.0, 0.0, 13.96]
    >>> ended_mean([2.0, 4.0], weight=[2, 1]) == ended_mean([2.0, 2.0, 4.0])
    True
    """
    time = np.asarray(time, dtype=float)
    time = time if weight is None else np.repeat(time, np.asarray(weight, dtype=int))
    if len(time) < 2:
        return (time[0] if len(time) else np.nan), np.nan, np.nan
    margin = student.ppf((1 + confidence) / 2, len(time) - 1) * time.std(ddof=1) / np.sqrt(len(time))
    return time.mean(), max(time.mean() - margin, 0.0), time.mean() + margin


def _numbered(table: life_table.LifeTable, causes: Sequence[str]) -> list[tuple[str, int | None]]:
    """Each cause, those asked for first, with its row among the exits, if it ever happened."""
    names = dict.fromkeys([*causes, *table.causes])
    return [(name, table.causes.index(name) if name in table.causes else None) for name in names]


def _interval(share, variance, known, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Wilson limits with the trials the variance is worth; with those known where it is nothing."""
    share, variance, known = np.clip(share, 0, 1), np.asarray(variance), np.asarray(known)
    inside = (share > life_table.TIE) & (share < 1 - life_table.TIE) & (variance > 0)
    trials = np.divide(share * (1 - share), variance, out=known.astype(float), where=inside)
    return proportions.wilson_interval(share * trials, trials, confidence)


def _last(
    table: life_table.LifeTable, rows: life_table.Clustered | None, number: int | None, confidence: float
) -> tuple[float, ...]:
    if not len(table.times):
        return 0.0, np.nan, np.nan, np.nan
    known = life_table.known_by(table, rows)[-1:]
    none = np.zeros(1), np.zeros(1)
    share, variance = none if number is None else life_table.incidence(table, number)
    if rows is not None and number is not None:
        variance = np.array([life_table.between(rows, life_table.adds(table, rows, number, share))])
    share, variance = share[-1:], variance[-1:]
    low, high = _interval(share, variance, known, confidence)
    events = 0.0 if number is None else table.exits[number].sum()
    return events, share[0], low[0], high[0]


def _incidence_quantile(
    table: life_table.LifeTable, rows: life_table.Clustered | None, number: int | None, p: float, confidence: float
) -> tuple[float, ...]:
    if number is None:
        return np.nan, np.nan, np.nan
    share, _ = life_table.incidence(table, number)
    happened = table.exits[number] > 0
    times, events = table.times[happened], table.exits[number].sum()
    reached = (share / share[-1])[happened]
    nth = min(np.searchsorted(reached, p - life_table.TIE), len(times) - 1)
    trials = _trials_at(table, rows, number, share, np.flatnonzero(happened)[nth])
    low, high = (limit[0] for limit in proportions.wilson_interval(p * trials, trials, confidence))
    tail = (1 - confidence) / 2
    return (
        _reached(times, reached, p),
        _reached(times, reached, low) if (1 - p) ** events <= tail else np.nan,
        _reached(times, reached, high) if p**events <= tail else np.nan,
    )


def _trials_at(
    table: life_table.LifeTable, rows: life_table.Clustered | None, number: int, share: np.ndarray, at: int
) -> float:
    """Trials that the variance of ``F(t) / F(last)`` is worth at one of the times."""
    ratio, events = share[at] / share[-1], table.exits[number].sum()
    if rows is None:
        variance = life_table.variance_of_part(table, number, share, at, ratio)
    else:
        early, late = (life_table.adds(table, rows, number, share, moment) for moment in (at, -1))
        variance = life_table.between(rows, early - ratio * late)
    spread_of_one = ratio * (1 - ratio) * share[-1] ** 2
    return min(spread_of_one / variance, events) if variance > 0 and spread_of_one > life_table.TIE else events


def _over_curves(
    table: life_table.LifeTable, rows: life_table.Clustered | None, confidence: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Share that is over at each time, between its limits (log scale of the share that is not)."""
    if not len(table.times):
        return (np.array([]),) * 3
    over, variance = life_table.incidence(table, 0)
    variance = variance if rows is None else life_table.clustered_variance(table, rows, 0, over)
    lasting = np.clip(1 - over, 0, 1)
    some = lasting > life_table.TIE
    relative = np.sqrt(np.divide(variance, lasting**2, out=np.zeros_like(over), where=some))
    width = norm.ppf((1 + confidence) / 2) * relative
    # Once all are over the log scale ends; the exact limit for none in so many trials takes its place.
    none_left = 1 - ((1 - confidence) / 2) ** (1 / table.exits.sum())
    high = np.where(some, np.minimum(lasting * np.exp(width), 1), none_left)
    return np.maximum.accumulate(1 - high), over, 1 - lasting * np.exp(-width)


def _reached(times: np.ndarray, share: np.ndarray, p: float) -> float:
    """When a rising share reaches p; midway where it rests exactly on p, as a median does."""
    first, beyond = np.searchsorted(share, [p - life_table.TIE, p + life_table.TIE])
    return (times[first] + times[min(beyond, len(times) - 1)]) / 2 if first < len(times) else np.nan


def _stacked(frames: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)
