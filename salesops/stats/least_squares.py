"""Least squares for many small models at once: one pass over the time steps serves them all."""

from collections.abc import Callable

import numpy as np

Residuals = Callable[[np.ndarray], np.ndarray]

_STEP = 1e-4  # of the numeric derivative, parameters being of order one
_FURTHEST = 8.0  # parameters stay within; a logistic share is then 0.0003 to 0.9997
_DAMPINGS = np.array([0.1, 1.0, 10.0, 1000.0])  # tried together, times the last one that helped


def minimise(residuals: Residuals, starts: np.ndarray, *, iterations: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """The parameters of each series whose residuals have the least sum of squares.

    Levenberg's and Marquardt's damped Gauss-Newton steps from the best of several starts, for all
    series side by side.

    Parameters
    ----------
    residuals
        Takes parameters ``(series, candidates, parameters)`` and returns residuals
        ``(steps, series, candidates)``; where a candidate has no finite residuals it is not taken.
    starts
        Candidates to start from, ``(series, candidates, parameters)``, of order one and within 8 of nothing.
    iterations
        Steps taken.

    Returns
    -------
    tuple
        Parameters ``(series, parameters)`` and their sums of squares ``(series,)``; infinite
        where no candidate had finite residuals.

    References
    ----------
    Marquardt (1963), J. SIAM 11:431-441.

    Examples
    --------
    >>> y = np.array([[1.0, 2.0], [2.0, 4.0], [4.0, 8.0]])  # three steps of two series
    >>> growth = lambda x: y[:, :, None] - x[..., 0] * x[..., 1] ** np.arange(3)[:, None, None]
    >>> found, sums = minimise(growth, np.full((2, 1, 2), 1.5), iterations=20)
    >>> found.round(3).tolist()
    [[1.0, 2.0], [2.0, 2.0]]
    """
    sums = _sums(residuals(starts))
    rows = np.arange(len(starts))
    best = sums.argmin(axis=1)
    place, least = starts[rows, best], sums[rows, best]
    damping = np.full(len(starts), 0.01)
    for _ in range(iterations):
        jacobian, now = _derivative(residuals, place)
        trials = _trials(jacobian, now, place, damping)
        sums = _sums(residuals(trials))
        best = sums.argmin(axis=1)
        helped = sums[rows, best] < least
        place = np.where(helped[:, None], trials[rows, best], place)
        least = np.where(helped, sums[rows, best], least)
        damping = np.clip(damping * np.where(helped, _DAMPINGS[best], 100.0), 1e-8, 1e8)
    return place, least


def _sums(found: np.ndarray) -> np.ndarray:
    """Sums of squares over time; infinite where they are not a number."""
    sums = np.einsum("tnk,tnk->nk", found, found)
    return np.where(np.isfinite(sums), sums, np.inf)


def _derivative(residuals: Residuals, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    count = place.shape[1]
    moves = np.vstack([np.zeros(count), _STEP * np.eye(count)])
    found = residuals(place[:, None, :] + moves)
    now = found[:, :, 0].T
    jacobian = (found[:, :, 1:] - found[:, :, :1]).transpose(1, 0, 2) / _STEP
    return np.nan_to_num(jacobian, posinf=0.0, neginf=0.0), np.nan_to_num(now, posinf=0.0, neginf=0.0)


def _trials(jacobian: np.ndarray, now: np.ndarray, place: np.ndarray, damping: np.ndarray) -> np.ndarray:
    """A damped step for each of several dampings."""
    crossed = np.clip(jacobian.transpose(0, 2, 1) @ jacobian, -1e100, 1e100)
    slope = np.clip(np.einsum("ntp,nt->np", jacobian, now), -1e100, 1e100)
    diagonal = np.einsum("npp->np", crossed)
    ridge = np.maximum(diagonal, 1e-12 * diagonal.max(axis=1, keepdims=True)) + 1e-300
    eye = np.eye(place.shape[1])
    weight = (damping[:, None] * _DAMPINGS)[:, :, None, None] + 1e-10
    system = crossed[:, None] + weight * (ridge[:, None, :, None] * eye)
    scale = np.sqrt(ridge)[:, None, :]
    scaled = system / (scale[..., :, None] * scale[..., None, :])
    steps = np.linalg.solve(scaled, -(slope[:, None, :] / scale)[..., None])[..., 0] / scale
    return np.clip(place[:, None, :] + np.nan_to_num(steps), -_FURTHEST, _FURTHEST)
