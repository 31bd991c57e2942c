"""Seasons of many series at once: is there one, and how large is it in each part of the year.

Series are rows of one array, aligned at their ends, missing before they begin. The position in the
season counts back from the end: position ``season_length - 1`` is the last value's.
"""

import numpy as np

_SEASONAL_WINDOW = 13  # years over which the same week is smoothed
_IS_SEASONAL = 1.645  # a 90 % test of the autocorrelation one season back


def stack(many, *, longest: int | None = None) -> np.ndarray:
    """Series of different lengths as the rows of one array, aligned at their ends.

    Examples
    --------
    >>> stack([[1.0, 2.0, 3.0], [9.0]])
    array([[ 1.,  2.,  3.],
           [nan, nan,  9.]])
    """
    kept = [np.asarray(each, dtype=float)[-longest if longest else None :] for each in many]
    rows = np.full((len(kept), max((len(each) for each in kept), default=0)), np.nan)
    for row, each in zip(rows, kept, strict=True):
        row[len(row) - len(each) :] = each
    return rows


def firsts(y: np.ndarray) -> np.ndarray:
    """The step at which each series begins.

    Examples
    --------
    >>> firsts(stack([[1.0, 2.0, 3.0], [9.0]]))
    array([0, 2])
    """
    return np.isnan(y).sum(axis=1)


def sizes(y: np.ndarray) -> np.ndarray:
    """The mean size of each series, by which it is divided so that parameters are of order one; 1 for zeros.

    Examples
    --------
    >>> sizes(stack([[1.0, -3.0], [0.0]]))
    array([2., 1.])
    """
    size = np.nanmean(np.abs(y), axis=1)
    return np.where(size > 0, size, 1.0)


def moving_average(y: np.ndarray, season_length: int) -> np.ndarray:
    """The centred moving average over one season; missing for half a season at both ends.

    Examples
    --------
    >>> moving_average(np.array([[1.0, 2, 3, 4, 5, 6]]), 4)
    array([[nan, nan,  3.,  4., nan, nan]])
    """
    half = season_length // 2
    weights = np.ones(season_length) if season_length % 2 else np.r_[0.5, np.ones(season_length - 1), 0.5]
    result = np.full(y.shape, np.nan)
    if y.shape[1] > 2 * half:
        windows = np.lib.stride_tricks.sliding_window_view(y, len(weights), axis=1)
        result[:, half : y.shape[1] - half] = windows @ weights / season_length
    return result


def indices(y: np.ndarray, season_length: int, *, multiplicative: bool) -> np.ndarray:
    """What each part of the season adds to the level, or multiplies it by.

    Classical decomposition: the mean over the years of the value less (over) its centred moving
    average, made to sum to nothing (average one). A series of less than two seasons has none: 0
    (or 1).

    Parameters
    ----------
    y
        Series of `stack`.
    season_length
        Steps in a season.
    multiplicative
        Whether to divide by the level rather than subtract it.

    Returns
    -------
    array
        ``(series, season_length)``.

    References
    ----------
    Makridakis, Wheelwright & Hyndman (1998), Forecasting, ch. 3.

    Examples
    --------
    >>> indices(np.array([[1.0, 3, 1, 3, 1, 3, 1, 3]]), 2, multiplicative=False)
    array([[-1.,  1.]])
    """
    level = moving_average(y, season_length)
    safe = np.where(level > 0, level, np.nan) if multiplicative else level
    parts = y / safe if multiplicative else y - level
    years = -(-y.shape[1] // season_length)
    whole = np.full((len(y), years * season_length), np.nan)
    whole[:, years * season_length - y.shape[1] :] = parts
    cube = whole.reshape(len(y), years, season_length)
    count = np.isfinite(cube).sum(axis=1)
    sums = np.where(np.isfinite(cube), cube, 0.0).sum(axis=1)
    neutral = 1.0 if multiplicative else 0.0
    means = np.where(count > 0, sums / np.maximum(count, 1), neutral)
    centre = means.mean(axis=1, keepdims=True)
    means = means / centre if multiplicative else means - centre
    known = (count > 0).all(axis=1) & (means.min(axis=1) > 0.01 if multiplicative else True)
    return np.where(known[:, None], means, neutral)


def autocorrelations(y: np.ndarray, lags: int) -> np.ndarray:
    """Autocorrelations at lags 1 to `lags`; 0 for a series that does not vary or is too short.

    Examples
    --------
    >>> autocorrelations(np.array([[1.0, 2, 1, 2]]), 2)
    array([[-0.75,  0.5 ]])
    """
    seen = np.isfinite(y)
    n = np.maximum(seen.sum(axis=1), 1)
    centred = np.where(seen, y - (np.where(seen, y, 0).sum(axis=1) / n)[:, None], 0.0)
    total = (centred**2).sum(axis=1)
    found = np.zeros((len(y), lags))
    for lag in range(1, min(lags, y.shape[1] - 1) + 1):
        found[:, lag - 1] = (centred[:, lag:] * centred[:, :-lag]).sum(axis=1)
    return found / np.where(total > 0, total, np.inf)[:, None]


def is_seasonal(y: np.ndarray, season_length: int) -> np.ndarray:
    """Whether a season shows: a 90 % test of the autocorrelation one season back, on three seasons or more.

    References
    ----------
    Makridakis, Spiliotis & Assimakopoulos (2020), Int. J. Forecasting 36:54-74 (the test of Naive 2).

    Examples
    --------
    >>> is_seasonal(np.array([[1.0, 2, 3, 9] * 5, list(range(20))]), 4)
    array([ True, False])
    """
    n = np.isfinite(y).sum(axis=1)
    if season_length < 2:
        return np.zeros(len(y), dtype=bool)
    found = autocorrelations(y, season_length)
    limit = _IS_SEASONAL * np.sqrt((1 + 2 * (found[:, :-1] ** 2).sum(axis=1)) / np.maximum(n, 1))
    return (np.abs(found[:, -1]) > limit) & (n >= 3 * season_length)


def loess(y: np.ndarray, season_length: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """A long season by loess (STL), and its last year carried on; drawn to nothing by the share that is noise.

    Parameters
    ----------
    y
        Series of `stack`; one of less than two seasons has no season.
    season_length
        Steps in a season.
    horizon
        Steps ahead.

    Returns
    -------
    tuple
        The season at each step ``(series, steps)`` and ahead ``(series, horizon)``, added to the level.

    References
    ----------
    Cleveland, Cleveland, McRae & Terpenning (1990), J. Official Statistics 6:3-73.

    Examples
    --------
    >>> season, ahead = loess(np.array([[1.0, 2.0, 6.0] * 6]), 3, 2)
    >>> ahead.round(6)
    array([[-2., -1.]])
    """
    from statsmodels.tsa.stl._stl import STL

    season, ahead = np.zeros(y.shape), np.zeros((len(y), horizon))
    for row, first in enumerate(firsts(y)):
        values = y[row, first:]
        if len(values) < 2 * season_length or np.ptp(values) == 0:
            continue
        found = STL(values, period=season_length, seasonal=_SEASONAL_WINDOW).fit()
        noise, both = np.var(found.resid), np.var(found.resid + found.seasonal)
        parts = found.seasonal * max(0.0, 1 - noise / both if both > 0 else 0.0)
        season[row, first:] = parts
        ahead[row] = np.resize(parts[-season_length:], horizon)
    return season, ahead
