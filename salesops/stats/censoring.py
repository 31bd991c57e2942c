"""Weights that let those whose end is known stand for those still being watched."""

import numpy as np


def known_end_weights(time, is_over, *, entry=None) -> np.ndarray:
    """How many cases each one that has ended stands for: its jump of the Kaplan-Meier curve.

    Among the cases that have ended so far the quick ones are too many. A case that ended at
    ``t`` weighs ``S(t-) / Y(t)``, ``Y`` being watched at ``t`` and ``S`` the share that lasts as long:
    without late entries this is one over the chance of being watched that long (inverse
    probability of censoring); a weighted mean over the ended is the Aalen-Johansen plateau.

    Parameters
    ----------
    time
        Time to the end, or to the last look.
    is_over
        Whether it has ended.
    entry
        Time just after which each was first watched (left truncation); below nothing, or none
        at all, is from the start.

    Returns
    -------
    array
        Weights with mean 1 over those that have ended, 0 for the others.

    Notes
    -----
    Right where how long a case is watched has nothing to do with how it ends. The ends beyond
    the longest time watched are not stood for.

    References
    ----------
    Robins & Rotnitzky (1992), AIDS Epidemiology, 297-331; Satten & Datta (2001), Am. Statistician
    55:207-210.

    Examples
    --------
    >>> known_end_weights([1, 2, 3, 4], [True, False, True, True]).round(3)
    array([0.75 , 0.   , 1.125, 1.125])
    """
    time, is_over = np.asarray(time, dtype=float), np.asarray(is_over, dtype=bool)
    weight = np.zeros(len(time))
    if not is_over.any():
        return weight
    ends, counts = np.unique(time[is_over], return_counts=True)
    started = len(time) if entry is None else np.searchsorted(np.sort(np.asarray(entry, dtype=float)), ends)
    watched = started - np.searchsorted(np.sort(time), ends)
    lasting = np.cumprod(np.r_[1.0, 1 - counts / watched])[:-1]
    weight[is_over] = (lasting / watched)[np.searchsorted(ends, time[is_over])]
    return weight / weight[is_over].mean()
