"""Forecasts of parts and wholes made to add up."""

import numpy as np


def reconcile(base: np.ndarray, summing: np.ndarray, *, errors: np.ndarray | None = None) -> np.ndarray:
    """The forecasts nearest to `base` in which every whole is the sum of its parts.

    ``S (S' W^-1 S)^-1 S' W^-1 base``, computed without inverting ``W``; ``W`` is the covariance of the errors drawn to
    its diagonal (MinT with shrinkage), or one for all where no errors are given (OLS).

    Parameters
    ----------
    base
        Forecasts ``(series, horizon)``, in the order of the rows of `summing`.
    summing
        Which bottom series are in which: ``(series, bottom series)`` of 0 and 1, the bottom series last.
    errors
        Past errors of the base forecasts ``(series, times)``, missing values allowed.

    Returns
    -------
    array
        ``(series, horizon)``.

    References
    ----------
    Wickramasuriya, Athanasopoulos & Hyndman (2019), J. Am. Stat. Assoc. 114:804-819.

    Examples
    --------
    >>> reconcile(np.array([[10.0], [4.0], [3.0]]), np.array([[1, 1], [1, 0], [0, 1]])).round(6).tolist()
    [[9.0], [5.0], [4.0]]
    """
    summing = np.asarray(summing, dtype=float)
    base = np.asarray(base, dtype=float)
    uppers = len(summing) - summing.shape[1]
    if uppers == 0:
        return base.copy()
    covariance = np.eye(len(summing)) if errors is None else shrunk_covariance(errors)
    gaps = np.hstack([np.eye(uppers), -summing[:uppers]])  # each whole less its parts
    crossed = covariance @ gaps.T
    adjustment = crossed @ np.linalg.lstsq(gaps @ crossed, gaps @ base, rcond=None)[0]
    return summing @ (base - adjustment)[uppers:]


def shrunk_covariance(errors: np.ndarray) -> np.ndarray:
    """Covariance of the rows, its correlations drawn to nothing by as much as they are noise.

    A series that never erred is given the smallest spread of the others, so that it can still give way.

    Parameters
    ----------
    errors
        ``(series, times)``; a time with a missing value is left out.

    References
    ----------
    Schäfer & Strimmer (2005), Stat. Appl. Genet. Mol. Biol. 4:32.

    Examples
    --------
    >>> np.diag(shrunk_covariance(np.array([[1.0, -1.0, 1.0, -1.0], [2.0, 2.0, -2.0, -2.0]]))).round(3)
    array([1.333, 5.333])
    """
    used = errors[:, np.isfinite(errors).all(axis=0)]
    n = used.shape[1]
    if n < 3:
        return np.eye(len(errors))
    centred = used - used.mean(axis=1, keepdims=True)
    covariance = centred @ centred.T / (n - 1)
    variance = np.diag(covariance).copy()
    seen = variance > 1e-12 * max(variance.max(), 1e-300)
    if not seen.any():
        return np.eye(len(errors))
    variance[~seen] = variance[seen].min()
    scaled = centred / np.sqrt(variance)[:, None]
    correlation = scaled @ scaled.T / (n - 1)
    noise = n / (n - 1) ** 3 * ((scaled**2) @ (scaled**2).T - (scaled @ scaled.T) ** 2 / n)
    off = ~np.eye(len(errors), dtype=bool)
    total = (correlation[off] ** 2).sum()
    weight = float(np.clip(noise[off].sum() / total, 0.0, 1.0)) if total > 0 else 1.0
    shrunk = (1 - weight) * correlation
    np.fill_diagonal(shrunk, 1.0)
    return shrunk * np.sqrt(np.outer(variance, variance))
