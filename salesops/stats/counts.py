"""Counts over an exposure, with intervals that are exact."""

import numpy as np
from statsmodels.stats.rates import confint_poisson


def poisson_interval(count, exposure=1.0, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Exact interval of a Poisson rate; missing where there was no exposure.

    Parameters
    ----------
    count
        Events counted, a scalar or an array.
    exposure
        Over how much time, or any other size, in the unit the rate is wanted per.
    confidence
        Level of the interval.

    Returns
    -------
    tuple of arrays
        Lower and upper limits of ``count / exposure``.

    References
    ----------
    Garwood (1936), Biometrika 28:437-442.

    Examples
    --------
    >>> low, high = poisson_interval([10, 0, 3], [1, 2, 0])
    >>> low.round(4).tolist(), high.round(4).tolist()
    ([4.7954, 0.0, nan], [18.3904, 1.8444, nan])
    """
    count, exposure = np.broadcast_arrays(np.atleast_1d(count).astype(float), np.asarray(exposure, dtype=float))
    low, high = np.full(count.shape, np.nan), np.full(count.shape, np.nan)
    known = exposure > 0
    low[known], high[known] = confint_poisson(count[known], exposure[known], method="exact-c", alpha=1 - confidence)
    return np.where(known & (count == 0), 0.0, low), high
