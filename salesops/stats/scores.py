"""How good stated chances were: scores, calibration and ranking, each with its interval.

An outcome is true or false, a probability is what was said of it beforehand. Rows may carry
a weight (how many cases each stands for) and a cluster (rows that belong together).
"""

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import norm

from salesops.stats import bootstrap, proportions
from salesops.stats.bootstrap import Estimate
from salesops.stats.gram import logistic

_EPSILON = np.finfo(float).eps  # a chance of exactly 0 or 1 that fails costs 36, not infinity, as in scikit-learn


def log_losses(outcome, probability) -> np.ndarray:
    """Minus the log of the chance given to what happened, row by row; less is better.

    Examples
    --------
    >>> log_losses([True, False], [0.5, 0.2]).round(3)
    array([0.693, 0.223])
    """
    outcome, p = _pair(outcome, probability)
    p = np.clip(p, _EPSILON, 1 - _EPSILON)
    return -np.where(outcome > 0, np.log(p), np.log1p(-p))


def squared_errors(outcome, probability) -> np.ndarray:
    """Squared distance of each chance from what happened; its mean is the Brier score.

    Examples
    --------
    >>> squared_errors([True, False], [0.5, 0.2]).round(3)
    array([0.25, 0.04])
    """
    outcome, p = _pair(outcome, probability)
    return (outcome - p) ** 2


def log_loss(outcome, probability, *, weight=None) -> float:
    """Mean of `log_losses`; missing where there are no rows.

    References
    ----------
    Good (1952), J. R. Statist. Soc. B 14:107-114.

    Examples
    --------
    >>> round(log_loss([True, False], [0.5, 0.2]), 4)
    0.4581
    """
    return _mean(log_losses(outcome, probability), weight)


def brier(outcome, probability, *, weight=None) -> float:
    """Mean of `squared_errors`; missing where there are no rows.

    References
    ----------
    Brier (1950), Mon. Weather Rev. 78:1-3.

    Examples
    --------
    >>> round(brier([True, False], [0.5, 0.2]), 4)
    0.145
    """
    return _mean(squared_errors(outcome, probability), weight)


def murphy(outcome, probability, *, bins: int | None = None, weight=None) -> dict[str, float]:
    """The Brier score taken apart: how wrong the chances are, and how far they tell cases apart.

    ``brier = reliability - resolution + uncertainty + within``. Cases are grouped by the chance
    stated, or into `bins` of equal count; ``within``, what binning hides (variance of the
    chances in a bin less twice their covariance with the outcome), is then not nothing.

    Returns
    -------
    dict
        ``brier``, ``reliability`` (0 is best), ``resolution`` (more is better),
        ``uncertainty`` (of the outcome itself), ``within``.

    References
    ----------
    Murphy (1973), J. Appl. Meteor. 12:595-600; Stephenson, Coelho & Jolliffe (2008),
    Weather and Forecasting 23:752-757.

    Examples
    --------
    >>> parts = murphy([True, False, True, False], [0.8, 0.8, 0.8, 0.2])
    >>> {name: round(value, 4) for name, value in parts.items()}
    {'brier': 0.19, 'reliability': 0.0233, 'resolution': 0.0833, 'uncertainty': 0.25, 'within': 0.0}
    """
    outcome, p, weight = _rows(outcome, probability, weight)
    if not len(p):
        return dict.fromkeys(("brier", "reliability", "resolution", "uncertainty", "within"), np.nan)
    group = np.unique(p, return_inverse=True)[1] if bins is None else equal_count_bins(p, bins)
    share = np.bincount(group, weight) / weight.sum()
    said, seen = (np.bincount(group, weight * column) / np.bincount(group, weight) for column in (p, outcome))
    overall = np.average(outcome, weights=weight)
    spread = (p - said[group]) ** 2 - 2 * (p - said[group]) * (outcome - seen[group])
    return {
        "brier": float(np.average((outcome - p) ** 2, weights=weight)),
        "reliability": float(share @ (said - seen) ** 2),
        "resolution": float(share @ (seen - overall) ** 2),
        "uncertainty": float(overall * (1 - overall)),
        "within": float(np.average(spread, weights=weight)),
    }


def spiegelhalter(outcome, probability) -> tuple[float, float]:
    """Whether the chances can be right as they stand: ``(z, p_value)``.

    ``z = sum((x - p)(1 - 2p)) / sqrt(sum((1 - 2p)^2 p (1 - p)))`` is standard normal when each
    outcome happens with the chance stated. Missing where every chance is 0, 1 or one half.

    References
    ----------
    Spiegelhalter (1986), Statist. Med. 5:421-433.

    Examples
    --------
    >>> [round(value, 3) for value in spiegelhalter([True, False, False, False], [0.4, 0.3, 0.2, 0.1])]
    [-0.503, 0.615]
    """
    outcome, p = _pair(outcome, probability)
    spread = np.sum((1 - 2 * p) ** 2 * p * (1 - p))
    if not spread > 0:
        return np.nan, np.nan
    z = float(np.sum((outcome - p) * (1 - 2 * p)) / np.sqrt(spread))
    return z, float(2 * norm.sf(abs(z)))


def calibration_line(
    outcome, probability, *, weight=None, cluster=None, confidence: float = 0.95
) -> tuple[Estimate, Estimate]:
    """Slope and intercept of the outcome's log odds on the log odds stated: ``(slope, intercept)``.

    A slope of 1 and an intercept of 0 are right; a slope below 1 means chances too far out, as
    an overfitted model gives. Logistic maximum likelihood, robust (clustered) variance.
    Missing where all chances are equal, or where they part the outcomes without overlap.

    References
    ----------
    Cox (1958), Biometrika 45:562-565; Steyerberg (2019), Clinical Prediction Models, ch. 15.

    Examples
    --------
    >>> said = np.repeat([0.2, 0.8], 50)
    >>> happened = np.r_[np.arange(50) < 15, np.arange(50) < 35]
    >>> slope, intercept = calibration_line(happened, said)
    >>> round(slope.value, 3), round(intercept.value, 3)
    (0.611, -0.0)
    """
    outcome, p, weight = _rows(outcome, probability, weight)
    x = logit(np.clip(p, _EPSILON, 1 - _EPSILON))
    missing = Estimate(np.nan, np.nan, np.nan)
    if _parted(outcome, x):
        return missing, missing
    design = np.column_stack([x, np.ones(len(x))])
    line, bread = _logistic(design, outcome, weight)
    scores = bootstrap.by_cluster(design * (weight * (outcome - expit(design @ line)))[:, None], cluster)
    m = len(scores)
    error = np.sqrt(np.diag(bread @ (scores.T @ scores) @ bread) * m / max(m - 1, 1))
    half = norm.ppf((1 + confidence) / 2) * error
    slope, intercept = (Estimate(float(v), float(v - h), float(v + h)) for v, h in zip(line, half, strict=True))
    return slope, intercept


def calibration_table(outcome, probability, *, bins: int = 10, weight=None, confidence: float = 0.95) -> pd.DataFrame:
    """What was said beside what happened, in bins of equal count.

    Equal chances stay in one bin, so there are fewer bins where few chances were stated.

    Returns
    -------
    DataFrame
        One row per bin, lowest chance first: ``bin`` (from 1), ``n``, ``n_hit``, ``predicted``
        (mean chance), ``observed`` with Wilson's interval (of the trials that the weights are
        worth, Kish), all 0-1.

    References
    ----------
    Wilson (1927), J. Am. Stat. Assoc. 22:209-212.

    Examples
    --------
    >>> calibration_table([0, 1, 0, 1], [0.1, 0.2, 0.6, 0.9], bins=2).round(2)
       bin  n  n_hit  predicted  observed  observed_low  observed_high
    0    1  2      1       0.15       0.5          0.09           0.91
    1    2  2      1       0.75       0.5          0.09           0.91
    """
    outcome, p, weight = _rows(outcome, probability, weight)
    rows = pd.DataFrame({"bin": equal_count_bins(p, bins) + 1, "weight": weight, "squared": weight**2})
    rows = rows.assign(n=1, n_hit=outcome.astype(int), said=weight * p, seen=weight * outcome)
    table = rows.groupby("bin").sum().reset_index()
    seen, trials = table["seen"] / table["weight"], table["weight"] ** 2 / table["squared"]
    low, high = proportions.wilson_interval(seen * trials, trials, confidence)
    return table[["bin", "n", "n_hit"]].assign(
        predicted=table["said"] / table["weight"], observed=seen, observed_low=low, observed_high=high
    )


def expected_calibration_error(outcome, probability, *, bins: int = 10, weight=None) -> float:
    """Mean distance between what was said and what happened, over bins of equal count.

    Known bias: chance alone makes it larger than nothing; `calibration_error_by_chance` says
    by how much.

    References
    ----------
    Naeini, Cooper & Hauskrecht (2015), AAAI 29:2901-2907; equal-count bins as in Nixon et al.
    (2019).

    Examples
    --------
    >>> round(expected_calibration_error([0, 1, 0, 1], [0.1, 0.2, 0.6, 0.9], bins=2), 3)
    0.3
    """
    outcome, p, weight = _rows(outcome, probability, weight)
    return float(np.abs(_gaps(outcome, p, weight, bins)).sum()) if len(p) else np.nan


def calibration_error_by_chance(probability, *, bins: int = 10, weight=None) -> float:
    """The `expected_calibration_error` that chances which are exactly right would show.

    In each bin the gap is about normal with variance ``sum(w^2 p (1 - p)) / sum(w)^2``, and the mean
    of its size is ``sqrt(2 / pi)`` standard deviations.

    Examples
    --------
    >>> round(calibration_error_by_chance(np.full(100, 0.5)), 4)
    0.0399
    """
    p = np.asarray(probability, dtype=float)
    _, p, weight = _rows(np.zeros(len(p)), p, weight)
    if not len(p):
        return np.nan
    spread = np.bincount(equal_count_bins(p, bins), weight**2 * p * (1 - p))
    return float(np.sqrt(2 / np.pi) * np.sqrt(spread).sum() / weight.sum())


def equal_count_bins(values, bins: int) -> np.ndarray:
    """Number of the bin of each value, from 0; the bins hold about equally many, equal values together.

    Examples
    --------
    >>> equal_count_bins([0.1, 0.4, 0.2, 0.9], 2), equal_count_bins([0.3, 0.3, 0.3, 0.5], 2)
    (array([0, 1, 0, 1]), array([0, 0, 0, 1]))
    """
    values = np.asarray(values, dtype=float)
    if not len(values):
        return np.zeros(0, dtype=int)
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = (np.cumsum(counts) - counts / 2) / len(values)
    return np.unique(np.minimum((middle * bins).astype(int), bins - 1)[which], return_inverse=True)[1]


def auc(outcome, score, *, weight=None, cluster=None, confidence: float = 0.95) -> Estimate:
    """Chance that a hit was scored above a miss (ties half), with DeLong's interval.

    With clusters the variance is that of Obuchowski: the rows' parts are added up within a
    cluster first. The interval is cut at 0 and 1. Missing without both a hit and a miss.

    References
    ----------
    DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44:837-845; Obuchowski (1997),
    Biometrics 53:567-578.

    Examples
    --------
    >>> found = auc([0, 0, 1, 1, 1], [0.1, 0.4, 0.35, 0.8, 0.9])
    >>> [round(value, 4) for value in found]
    [0.8333, 0.3714, 1.0]
    """
    value, parts = _placements(outcome, score, weight)
    half = float(norm.ppf((1 + confidence) / 2) * _deviation(parts, outcome, cluster))
    return Estimate(value, max(value - half, 0.0), min(value + half, 1.0)) if np.isfinite(half) else _MISSING


def auc_of_counts(hits, misses, score, *, confidence: float = 0.95) -> Estimate:
    """`auc` of rows that are counted: how many hits and misses there are with each score.

    Examples
    --------
    >>> found = auc_of_counts([2, 0, 1], [0, 1, 1], [0.8, 0.1, 0.4])
    >>> found == auc([1, 1, 0, 1, 0], [0.8, 0.8, 0.1, 0.4, 0.4])
    True
    """
    place, scored = pd.factorize(np.asarray(score, dtype=float), sort=True)
    counts = [np.bincount(place, each, len(scored)) for each in (hits, misses)]
    n = [each.sum() for each in counts]
    if min(n) < 2:
        return _MISSING
    above, below = ((np.cumsum(other) - other / 2) / m for other, m in zip(counts[::-1], n[::-1], strict=True))
    value = float(counts[0] @ above / n[0])
    spread = [each @ (part - value) ** 2 for each, part in zip(counts, (above, 1 - below), strict=True)]
    error = np.sqrt(sum(each / (m * (m - 1)) for each, m in zip(spread, n, strict=True)))
    half = float(norm.ppf((1 + confidence) / 2) * error)
    return Estimate(value, max(value - half, 0.0), min(value + half, 1.0))


def auc_difference(
    outcome, score, other, *, weight=None, cluster=None, confidence: float = 0.95
) -> tuple[Estimate, float]:
    """How much better one score ranks the same rows than another: ``(difference, p_value)``.

    References
    ----------
    DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44:837-845.

    Examples
    --------
    >>> gap, p_value = auc_difference([0, 0, 1, 1, 0, 1], [1, 2, 3, 4, 3, 6], [1, 4, 3, 2, 5, 6])
    >>> round(gap.value, 4), round(p_value, 4)
    (0.3889, 0.1698)
    """
    (value, parts), (versus, others) = _placements(outcome, score, weight), _placements(outcome, other, weight)
    error = _deviation(parts - others, outcome, cluster)
    gap, half = value - versus, float(norm.ppf((1 + confidence) / 2) * error)
    if not np.isfinite(error):
        return _MISSING, np.nan
    p_value = float(2 * norm.sf(abs(gap) / error)) if error > 0 else float(gap == 0)
    return Estimate(gap, gap - half, gap + half), p_value


def summary(
    outcome, probability, reference, *, weight, cluster, confidence: float = 0.95, draws: int = 1000, seed: int = 0
) -> dict[str, float]:
    """All of it at once: how good chances were, by themselves and against a reference on the same rows.

    Returns
    -------
    dict
        ``log_loss``, ``brier_score``, ``skill_rate`` (share of the reference's log-loss saved),
        ``calibration_slope``, ``calibration_intercept`` and ``auc``, each with ``_low`` and ``_high``;
        ``calibration_error`` and ``chance_calibration_error`` (what chances exactly right would show).

    Examples
    --------
    >>> found = summary([0, 1, 0, 1], [0.2, 0.5, 0.6, 0.9], np.full(4, 0.5), weight=np.ones(4), cluster=range(4))
    >>> round(found["log_loss"], 3), round(found["skill_rate"], 3), found["auc"]
    (0.484, 0.301, 0.75)
    """
    outcome, p, weight = _rows(outcome, probability, weight)
    drawn = {"weight": weight, "cluster": cluster, "draws": draws, "confidence": confidence, "seed": seed}
    loss, base = log_losses(outcome, p), log_losses(outcome, reference)
    slope, intercept = calibration_line(outcome, p, weight=weight, cluster=cluster, confidence=confidence)
    ones = np.ones(len(loss))
    pairs = [(loss, ones), (squared_errors(outcome, p), ones), (base - loss, base)]
    estimates = {
        **dict(zip(("log_loss", "brier_score", "skill_rate"), bootstrap.ratio_intervals(pairs, **drawn), strict=True)),
        "calibration_slope": slope,
        "calibration_intercept": intercept,
        "auc": auc(outcome, p, weight=weight, cluster=cluster, confidence=confidence),
    }
    found = {f"{name}{end}": part for name, each in estimates.items() for end, part in zip(_ENDS, each, strict=True)}
    return found | {
        "calibration_error": expected_calibration_error(outcome, p, weight=weight),
        "chance_calibration_error": calibration_error_by_chance(p, weight=weight),
    }


_ENDS = ("", "_low", "_high")
_MISSING = Estimate(np.nan, np.nan, np.nan)


def _pair(outcome, probability) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(outcome, dtype=float), np.asarray(probability, dtype=float)


def _rows(outcome, probability, weight) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    outcome, p = _pair(outcome, probability)
    return outcome, p, np.ones(len(p)) if weight is None else np.asarray(weight, dtype=float)


def _mean(values: np.ndarray, weight) -> float:
    return float(np.average(values, weights=weight)) if len(values) else np.nan


def _gaps(outcome: np.ndarray, p: np.ndarray, weight: np.ndarray, bins: int) -> np.ndarray:
    """Of each bin: share of the weight times (what happened less what was said)."""
    return np.bincount(equal_count_bins(p, bins), weight * (outcome - p)) / weight.sum()


def _parted(outcome: np.ndarray, x: np.ndarray) -> bool:
    """Whether no finite line exists: one value only, one outcome only, or no overlap."""
    hits, misses = x[outcome > 0], x[outcome <= 0]
    if not len(hits) or not len(misses) or np.ptp(x) == 0:
        return True
    return hits.min() >= misses.max() or hits.max() <= misses.min()


def _logistic(design: np.ndarray, outcome: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Maximum likelihood and the inverse of its information, by Newton's steps, halved while they overshoot."""
    line = np.zeros(design.shape[1])
    best = _log_likelihood(design, outcome, weight, line)
    for _ in range(100):
        score, information = logistic(design, outcome, weight, line)
        step = np.linalg.solve(information, score)
        while (now := _log_likelihood(design, outcome, weight, line + step)) < best - 1e-12 * abs(best):
            step = step / 2
        line, best = line + step, now
        if np.abs(step).max() < 1e-10:
            break
    return line, np.linalg.inv(information)


def _log_likelihood(design: np.ndarray, outcome: np.ndarray, weight: np.ndarray, line: np.ndarray) -> float:
    x = design @ line
    return float(weight @ (outcome * x - np.logaddexp(0, x)))


def _placements(outcome, score, weight) -> tuple[float, np.ndarray]:
    """The AUC and each row's part of its error, which add up to nothing."""
    outcome, score, weight = _rows(outcome, score, weight)
    hit = outcome > 0
    parts = np.zeros(len(score))
    if hit.all() or not hit.any():
        return np.nan, parts
    place, found = pd.factorize(score, sort=True, use_na_sentinel=False)
    for mine, sign in ((hit, 1.0), (~hit, -1.0)):
        own = np.bincount(place[~mine], weight[~mine], len(found))
        # Of the others with the same score a half counts as lower.
        share = ((np.cumsum(own) - own / 2) / weight[~mine].sum())[place[mine]]
        parts[mine] = share if sign > 0 else 1 - share
    value = float(np.average(parts[hit], weights=weight[hit]))
    for mine in (hit, ~hit):
        parts[mine] = weight[mine] * (parts[mine] - value) / weight[mine].sum()
    return value, parts


def _deviation(parts: np.ndarray, outcome, cluster) -> float:
    """Standard deviation of the sum of the parts."""
    hit = np.asarray(outcome, dtype=float) > 0
    if min(hit.sum(), (~hit).sum()) < 2:
        return np.nan
    if cluster is None:
        return float(np.sqrt(sum(np.sum(parts[mine] ** 2) * mine.sum() / (mine.sum() - 1) for mine in (hit, ~hit))))
    sums = bootstrap.by_cluster(parts[:, None], cluster)[:, 0]
    return float(np.sqrt(np.sum(sums**2) * len(sums) / max(len(sums) - 1, 1)))
