"""What a change did to a share over time: a series interrupted once, and means with clustered errors."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import t

_CORRELATIONS = np.arange(-0.4, 0.81, 0.1)  # averaged over; a stronger one cannot be told from a trend
POWER = 0.80  # chance with which the smallest effect of a reading would be seen
_LEAST_DISPERSION = 0.5  # a series smoother than chance by more than this is luck, not knowledge


class Segmented(NamedTuple):
    """Step and change of slope at an interruption, their errors, and the courses with and without them."""

    level: float
    level_error: float
    slope: float
    slope_error: float
    df: int
    dispersion: float
    autocorrelation: float
    fitted: np.ndarray
    counterfactual: np.ndarray


class Reading(NamedTuple):
    """An estimate with its interval, two-sided p-value, and the effect that `POWER` of such cases would show."""

    value: float
    low: float
    high: float
    p_value: float
    smallest: float


class Linear(NamedTuple):
    """Coefficients, their covariance, and the degrees of freedom of its smallest set of clusters."""

    values: np.ndarray
    covariance: np.ndarray
    df: int


def cohorts(day: pd.Series, success: pd.Series, moment: pd.Series, *, length: float) -> pd.DataFrame:
    """Cases counted by spans of `length` days from day zero; a span without cases has no row.

    Parameters
    ----------
    day
        Whole days from the interruption to each case.
    success
        Whether it succeeded.
    moment
        The date of each case, as a timestamp.
    length
        Days of a cohort.

    Returns
    -------
    DataFrame
        ``time`` (-1 is the last cohort before day zero, 0 the first after), ``start`` (date),
        ``phase`` (part of the year in which its middle lies, 0-1), ``successes``, ``n``.

    Examples
    --------
    >>> moments = pd.Series(pd.to_datetime(["2026-01-02", "2026-01-09", "2026-01-10"]))
    >>> cohorts(pd.Series([-6, 1, 2]), pd.Series([True, False, True]), moments, length=7.0).drop(columns="phase")
       time       start  successes  n
    0    -1  2026-01-01          1  1
    1     0  2026-01-08          1  2
    """
    zero = (moment.dt.normalize() - pd.to_timedelta(day, unit="D")).min()
    counted = pd.DataFrame({"time": np.floor(day / length).astype(int), "success": success.astype(int)})
    table = counted.groupby("time")["success"].agg(successes="sum", n="size").reset_index()
    first = pd.Series(zero, index=table.index, dtype="datetime64[us]") + pd.to_timedelta(
        np.ceil(table["time"] * length), unit="D"
    )
    phase = (first + pd.Timedelta(days=length / 2)).dt.day_of_year / 365.25
    return table.assign(start=first.dt.date, phase=phase)[["time", "start", "phase", "successes", "n"]]


def segmented(
    time: np.ndarray, successes: np.ndarray, n: np.ndarray, *, phase: np.ndarray | None = None, bends: bool = True
) -> Segmented:
    """A share's course as a straight line that steps and bends at time zero, with a yearly wave if asked.

    ``share = a + b * time + level * after + slope * after * time (+ wave)``, by least squares with
    the weights ``n / (p (1 - p))``. The scatter about it may be larger than chance would give
    (over-dispersion) and neighbours may be alike: the estimate is the mean over autocorrelations
    from -0.4 to 0.8, weighted by their restricted likelihood, and its variance is the mean variance
    and that of the means.

    Parameters
    ----------
    time
        Whole numbers of the periods from the interruption: -1 is the last before, 0 the first after.
    successes, n
        Counts of each period; every ``n`` above zero.
    phase
        Part of the year, 0-1, in which each period lies; a sine and a cosine are fitted.
    bends
        Whether the slope may change too; without, the step is known better and ``slope`` is missing.

    Returns
    -------
    Segmented
        With at least one degree of freedom left.

    References
    ----------
    Wagner et al. (2002), J. Clin. Pharm. Ther. 27:299-309; Harville (1977), J. Am. Stat. Assoc. 72:320-338.

    Examples
    --------
    >>> time = np.arange(-10, 10)
    >>> fit = segmented(time, np.where(time < 0, 20, 30), np.full(20, 100))
    >>> round(fit.level, 6), abs(round(fit.slope, 6)), fit.df
    (0.1, 0.0, 16)
    """
    middle, after = time + 0.5, (time >= 0).astype(float)
    plain = [np.ones(len(time)), middle]
    if phase is not None:
        plain += [np.sin(2 * np.pi * phase), np.cos(2 * np.pi * phase)]
    design = np.column_stack([*plain, after, after * middle] if bends else [*plain, after])
    changes = design.shape[1] - 1 - bends
    share, n = successes / n, np.asarray(n, dtype=float)
    usual = np.clip(design @ _least_squares(design, share, n), 0.02, 0.98)
    root = np.sqrt(n / (usual * (1 - usual)))
    values, covariance, dispersion, correlation = _averaged(design * root[:, None], share * root, time)
    error = np.sqrt(np.diag(covariance))
    fitted = design @ values
    slope = (values[-1], error[-1]) if bends else (np.nan, np.nan)
    return Segmented(
        *(float(each) for each in (values[changes], error[changes], *slope)),
        df=len(time) - design.shape[1],
        dispersion=dispersion,
        autocorrelation=correlation,
        fitted=fitted,
        counterfactual=fitted - design[:, changes:] @ values[changes:],
    )


def linear(design: np.ndarray, outcome: np.ndarray, clusters: Sequence[Sequence]) -> Linear:
    """Least squares with errors clustered by one or two things at once.

    The covariance by both is that by the first, and by the second, less that by their pairs; a
    variance is never below that of either alone. Each has the factor ``G / (G - k / 2)`` for its
    `G` clusters and `k` coefficients, since each coefficient uses up a cluster mean of its own.

    Parameters
    ----------
    design
        One row per case.
    outcome
        Numbers.
    clusters
        One or two labels for each case; a missing one stands alone.

    References
    ----------
    Cameron, Gelbach & Miller (2011), J. Bus. Econ. Stat. 29:238-249.

    Examples
    --------
    >>> after = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    >>> fit = linear(np.column_stack([np.ones(8), after]), np.array([0, 0, 1, 0, 1, 1, 0, 1]), [np.arange(8)])
    >>> fit.values.round(2).tolist(), round(float(np.sqrt(fit.covariance[1, 1])), 3), fit.df
    ([0.25, 0.5], 0.327, 7)
    """
    clusters = [_numbered(cluster) for cluster in clusters]
    bread = np.linalg.pinv(design.T @ design)
    values = bread @ design.T @ outcome
    scores = design * (outcome - design @ values)[:, None]
    singles = [bread @ _meat(scores, cluster) @ bread for cluster in clusters]
    covariance = sum(singles)
    if len(clusters) == 2:
        pair = pd.factorize(clusters[0].astype(np.int64) * (clusters[1].max() + 1) + clusters[1])[0]
        covariance = covariance - bread @ _meat(scores, pair) @ bread
    floor = np.max([np.diag(each) for each in singles], axis=0)
    np.fill_diagonal(covariance, np.maximum(np.diag(covariance), floor))
    return Linear(values, covariance, min(int(cluster.max()) + 1 for cluster in clusters) - 1)


def reading(value: float, error: float, df: int, confidence: float = 0.95) -> Reading:
    """An estimate and its error as a reader needs them.

    Examples
    --------
    >>> [round(each, 3) for each in reading(0.08, 0.02, 30)]
    [0.08, 0.039, 0.121, 0.0, 0.058]
    """
    two_sided = t.ppf((1 + confidence) / 2, df)
    p_value = 2 * t.sf(abs(value) / error, df) if error > 0 else 1.0
    ends = value, value - two_sided * error, value + two_sided * error
    return Reading(*(float(each) for each in (*ends, p_value, (two_sided + t.ppf(POWER, df)) * error)))


def _least_squares(design: np.ndarray, outcome: np.ndarray, weight: np.ndarray) -> np.ndarray:
    root = np.sqrt(weight)
    return np.linalg.lstsq(design * root[:, None], outcome * root, rcond=None)[0]


def _averaged(design: np.ndarray, outcome: np.ndarray, time: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Coefficients and covariance, averaged over autocorrelations by how likely each is."""
    df = len(outcome) - design.shape[1]
    lag = np.abs(time[:, None] - time[None, :])
    correlations = np.sign(_CORRELATIONS)[:, None, None] ** lag * np.abs(_CORRELATIONS)[:, None, None] ** lag
    values, spread, bread, logs = _correlated(design, outcome, correlations)
    spread = np.maximum(spread / df, _LEAST_DISPERSION)
    likely = logs - df / 2 * np.log(spread)
    weight = np.exp(likely - likely.max())
    weight /= weight.sum()
    mean = weight @ values
    apart = values - mean
    covariance = np.einsum("r,rij->ij", weight * spread, bread) + np.einsum("r,ri,rj->ij", weight, apart, apart)
    return mean, covariance, float(weight @ spread), float(weight @ _CORRELATIONS)


def _correlated(design: np.ndarray, outcome: np.ndarray, correlations: np.ndarray):
    """Generalised least squares by correlation: coefficients, residual sums, inverse information, log-determinants."""
    inverse = np.linalg.inv(correlations)
    weighted = np.swapaxes(inverse @ design, 1, 2)
    information = weighted @ design
    bread = np.linalg.inv(information)
    values = np.einsum("rij,rjt,t->ri", bread, weighted, outcome)
    rest = outcome - values @ design.T
    logs = -(np.linalg.slogdet(correlations)[1] + np.linalg.slogdet(information)[1]) / 2
    return values, np.einsum("rs,rst,rt->r", rest, inverse, rest), bread, logs


def _numbered(labels: Sequence) -> np.ndarray:
    number = pd.factorize(pd.Series(labels))[0]
    return pd.factorize(np.where(number < 0, -1 - np.arange(len(number)), number))[0]


def _meat(scores: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    sums = np.column_stack([np.bincount(cluster, weights=column) for column in scores.T])
    count = int((np.bincount(cluster) > 0).sum())
    return sums.T @ sums * count / max(count - scores.shape[1] / 2, 1)
