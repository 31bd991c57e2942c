"""Whether something known beforehand foretells the errors of a forecast, tried out origin by origin."""

import numpy as np

FITTED = 3  # earlier errors from which a relation is fitted
TRIED = 4  # errors that have to be foretold before anything is said of it

_HELD = 2.0  # errors of no relation that the fit starts from
_FURTHEST = 2.5  # standard deviations from its mean beyond which a value is not believed to count in full
_SAME = 1e-12  # relative: gains nearer than that are equal


def move(errors, known, ahead) -> np.ndarray:
    """By how much the next errors are foretold to differ from nothing.

    Least squares through the mean of the values known, the slope held towards nothing as two errors without any
    relation would hold it; values count up to 2.5 standard deviations from the mean.

    Parameters
    ----------
    errors, known
        Past errors, and the value that was known before each.
    ahead
        Values known before the errors to foretell; a missing one foretells nothing.

    Returns
    -------
    array
        One move a value of `ahead`; nothing where the values known never differed.

    Examples
    --------
    >>> move([-1.0, 1.0, -1.0, 1.0], [0.0, 2.0, 0.0, 2.0], [2.0, 0.0, 1.0, np.nan]).round(3).tolist()
    [0.667, -0.667, 0.0, 0.0]
    """
    errors = np.asarray(errors, dtype=float)
    return np.array([_weights(known, each) @ errors for each in np.asarray(ahead, dtype=float)])


def trial(errors, known, *, draws: int = 1999, seed: int = 0) -> tuple[np.ndarray, float]:
    """How each error would have been foretold from those before it, and how likely chance does as well.

    Each error from the fourth on is foretold by `move` from the errors before it and what was known before it. The
    gain is the sum of the squared errors less that of what is left of them; its p-value is the share of reshuffled
    errors that gain as much from the same values.

    Parameters
    ----------
    errors, known
        Errors in order of time, and the value that was known before each.
    draws
        Reshuffles.
    seed
        Of the reshuffles.

    Returns
    -------
    tuple
        The moves, missing for the first three errors; the p-value, missing for fewer than seven errors.

    Notes
    -----
    Exact where errors come in no order (those of a forecast one step ahead, if it is any good). Errors alike in
    neighbouring steps make it claim a little too often of a value that drifts.

    References
    ----------
    Phipson & Smyth (2010), Stat. Appl. Genet. Mol. Biol. 9:39 (the one added to both counts).

    Examples
    --------
    >>> moves, p_value = trial([-1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0], [0.0, 2.0] * 4)
    >>> moves.round(2).tolist(), p_value < 0.05
    ([nan, nan, nan, 0.8, -0.67, 0.86, -0.75, 0.89], True)
    """
    errors, known = np.asarray(errors, dtype=float), np.asarray(known, dtype=float)
    moves = np.full(len(errors), np.nan)
    if len(errors) < FITTED + TRIED:
        return moves, np.nan
    rows = np.array([np.r_[_weights(known[:at], known[at]), np.zeros(len(known) - at)] for at in range(len(known))])
    moves[FITTED:] = (rows @ errors)[FITTED:]
    shuffled = np.random.default_rng(seed).permuted(np.tile(errors, (draws, 1)), axis=1)
    gains = _gain(np.vstack([errors, shuffled]), rows)
    as_good = gains[1:] >= gains[0] - _SAME * (errors @ errors)
    return moves, float((1 + as_good.sum()) / (1 + draws))


def _gain(errors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """How much less the squared errors of each row of `errors` add up to, once foretold."""
    left = errors - errors @ rows.T
    return (errors**2 - left**2)[:, FITTED:].sum(axis=1)


def _weights(known, value: float) -> np.ndarray:
    """What each past error adds to the move that a value foretells."""
    known = np.asarray(known, dtype=float)
    spread = known.std() if len(known) else 0.0
    if not np.isfinite(value) or spread <= 1e-9 * np.abs(known).max(initial=0.0):
        return np.zeros(len(known))
    z, at = (np.clip((each - known.mean()) / spread, -_FURTHEST, _FURTHEST) for each in (known, value))
    return at * z / (z @ z + _HELD)
