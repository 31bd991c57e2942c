"""Theta models of many series at once: the one that won the third competition, and the dynamic optimised one."""

import numpy as np
from scipy.special import expit, logit

from salesops.stats import least_squares, seasonal


def standard(y: np.ndarray, *, horizon: int) -> np.ndarray:
    """Forecasts of the Theta model as first published: simple smoothing with half the slope of the line.

    For series without a season (take it out first). The level begins at the first value; its smoothing
    minimises the squared one-step errors.

    Parameters
    ----------
    y
        Series of `seasonal.stack`.
    horizon
        Steps ahead.

    Returns
    -------
    array
        ``(series, horizon)``.

    References
    ----------
    Assimakopoulos & Nikolopoulos (2000), Int. J. Forecasting 16:521-530; Hyndman & Billah (2003), Int. J.
    Forecasting 19:287-290.

    Examples
    --------
    >>> standard(seasonal.stack([[5.0] * 9, [1.0, 2.0, 3.0, 4.0]]), horizon=2).round(2)
    array([[5. , 5. ],
           [4.5, 5. ]])
    """
    scale = seasonal.sizes(y)
    first = seasonal.firsts(y)
    filled = np.where(np.isfinite(y), y, 0.0) / scale[:, None]
    starts = np.broadcast_to(logit(np.array([0.05, 0.2, 0.5, 0.8, 0.97]))[:, None], (len(y), 5, 1))
    run = lambda x: _smoothed(_share(x[..., 0]), filled.T[:, :, None], first[:, None])  # noqa: E731
    found, _ = least_squares.minimise(lambda x: run(x)[0], starts, iterations=12)
    level = run(found[:, None, :])[1][:, 0]
    alpha, n = _share(found[:, 0]), filled.shape[1] - first
    _, slope = (each[-1, :, 0] for each in _lines(filled, first))
    drift = np.arange(horizon) + ((1 - (1 - alpha) ** n) / alpha)[:, None]
    return (level[:, None] + slope[:, None] / 2 * drift) * scale[:, None]


def _share(x: np.ndarray) -> np.ndarray:
    return 1e-4 + 0.9998 * expit(x)


def _smoothed(alpha: np.ndarray, y: np.ndarray, first: np.ndarray):
    """One-step errors of simple smoothing that begins at the first value, and the last level."""
    level = y[0] + np.zeros_like(alpha)
    errors = np.zeros((len(y), *level.shape))
    for t in range(1, len(y)):
        level = np.where(t <= first, y[t], level)
        errors[t] = y[t] - level
        level = level + alpha * errors[t]
    return errors, level


def dynamic(y: np.ndarray, *, horizon: int) -> np.ndarray:
    """Forecasts of the dynamic optimised Theta model: a level, pulled by a share of the line through the past.

    For series without a season (take it out first). Its smoothing, the weight of the line and the first
    level minimise the squared one-step errors.

    Parameters
    ----------
    y
        Series of `seasonal.stack`.
    horizon
        Steps ahead.

    Returns
    -------
    array
        ``(series, horizon)``.

    References
    ----------
    Fiorucci, Pellegrini, Louzada, Petropoulos & Koehler (2016), Int. J. Forecasting 32:1151-1161.

    Examples
    --------
    >>> dynamic(seasonal.stack([[5.0] * 9, [4.0] * 6]), horizon=2).round(6)
    array([[5., 5.],
           [4., 4.]])
    """
    scale = seasonal.sizes(y)
    first = seasonal.firsts(y)
    filled = np.where(np.isfinite(y), y, 0.0) / scale[:, None]
    lines = _lines(filled, first)
    begin = filled[np.arange(len(y)), first]
    grid = np.array([[logit(a), w, 0.0] for a in (0.1, 0.4, 0.8) for w in (-2.0, 0.0, 2.0)])
    starts = np.broadcast_to(grid, (len(y), *grid.shape))
    run = lambda x: _theta(x, filled.T[:, :, None], first[:, None], begin[:, None], *lines)  # noqa: E731
    found, _ = least_squares.minimise(lambda x: run(x)[0], starts)
    level = run(found[:, None, :])[1][:, 0]
    alpha, weight = _share(found[:, 0]), expit(found[:, 1])
    return _theta_ahead(filled, first, level, alpha, weight, horizon) * scale[:, None]


def _lines(filled: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Intercept and slope of the line through the values up to each step, ``(steps, series, 1)``."""
    steps = filled.shape[1]
    t = np.arange(steps) - first[:, None] + 1.0
    used = t >= 1
    n = np.where(used, t, 1.0)
    total = np.cumsum(filled * used, axis=1)
    crossed = np.cumsum(filled * t * used, axis=1)
    mean = total / n
    spread = n * (n**2 - 1) / 12
    slope = np.where(n > 1, (crossed - (n + 1) / 2 * total) / np.where(n > 1, spread, 1.0), 0.0)
    return (mean - slope * (n + 1) / 2).T[:, :, None], slope.T[:, :, None]


def _theta(x, y, first, begin, intercept, slope):
    """One-step errors (the first two of a series left out) and the last level."""
    alpha, weight = _share(x[..., 0]), expit(x[..., 1])
    level0 = begin + x[..., 2]
    level = level0.copy()
    errors = np.zeros((len(y), *level.shape))
    shrunk = np.ones_like(level)  # (1 - alpha) ** (t - 1)
    for t in range(1, len(y)):
        started = t > first
        level = np.where(t - 1 >= first, alpha * y[t - 1] + (1 - alpha) * level, level0)
        now = (1 - alpha) * shrunk
        shrunk = np.where(started, now, shrunk)
        drift = now * intercept[t - 1] + (1 - now * (1 - alpha)) / alpha * slope[t - 1]
        errors[t] = np.where(t > first + 1, y[t] - level - weight * drift, 0.0)
    return errors, alpha * y[-1] + (1 - alpha) * level


def _theta_ahead(filled, first, level, alpha, weight, horizon):
    """The recursion fed with its own forecasts."""
    n = filled.shape[1] - first + 0.0
    t = np.arange(filled.shape[1]) - first[:, None] + 1.0
    total, crossed = filled.sum(axis=1), (filled * t * (t >= 1)).sum(axis=1)
    result = []
    for _ in range(horizon):
        slope = np.where(n > 1, (crossed - (n + 1) / 2 * total) / np.maximum(n * (n**2 - 1) / 12, 1e-9), 0.0)
        intercept = total / n - slope * (n + 1) / 2
        drift = (1 - alpha) ** n * intercept + (1 - (1 - alpha) ** (n + 1)) / alpha * slope
        ahead = level + weight * drift
        result.append(ahead)
        n = n + 1
        level, total, crossed = alpha * ahead + (1 - alpha) * level, total + ahead, crossed + n * ahead
    return np.array(result).T
