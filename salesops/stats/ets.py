"""Exponential smoothing of many series at once, its form chosen by AICc."""

from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit

from salesops.stats import least_squares, seasonal


class Form(NamedTuple):
    """Error ``A`` or ``M``, trend ``N``, ``A`` or ``D`` (damped), season ``N``, ``A`` or ``M``."""

    error: str
    trend: str
    season: str

    @property
    def counted(self) -> int:
        """Smoothing parameters and first states, without those of the season."""
        return 2 + 2 * (self.trend != "N") + (self.trend == "D") + (self.season != "N")


# The error is multiplicative where the season is, and only there together with a season: other mixes are unstable.
PLAIN = tuple(Form(error, trend, "N") for error in "AM" for trend in "NAD")
SEASONAL = tuple(Form(error, trend, error) for error in "AM" for trend in "NAD")

_ALPHA, _SHARE, _DAMPED = (1e-4, 0.9999), (1e-4, 0.9999), (0.8, 0.98)
_POLISHED = 200  # steps of the search that also moves the first season
_FLOOR = 1e-3  # of the series' mean size, below which a multiplicative form's forecast is not let


class Fit(NamedTuple):
    """Of one form over all series; rows a form does not suit have an infinite `aicc`."""

    aicc: np.ndarray
    forecast: np.ndarray
    parameters: np.ndarray
    spread: np.ndarray


class _Given(NamedTuple):
    y: np.ndarray  # steps, series
    first: np.ndarray
    level: np.ndarray
    slope: np.ndarray
    season: np.ndarray  # season_length, series


def fit(y: np.ndarray, form: Form, *, horizon: int, season_length: int, searches_season: bool = False) -> Fit:
    """One form fitted to every series.

    Gaussian maximum likelihood over smoothing parameters, first level and slope, within the usual
    bounds; the first season is that of the classical decomposition, unless it is searched too.

    Parameters
    ----------
    y
        Series of `seasonal.stack`.
    form
        Which error, trend and season.
    horizon
        Steps ahead.
    season_length
        Steps in a season.
    searches_season
        Whether the likelihood also chooses the first season, slower and as published software does.

    Returns
    -------
    Fit
        ``aicc`` (series), ``forecast`` (series, horizon), ``parameters`` (series, 4): alpha, beta, gamma, phi,
        ``spread`` (series, horizon): standard deviation of the error at each step ahead, near enough where errors are
        multiplicative.

    References
    ----------
    Hyndman, Koehler, Ord & Snyder (2008), Forecasting with Exponential Smoothing.

    Examples
    --------
    >>> found = fit(np.array([[1.0, 9.0] * 8]), Form("A", "N", "A"), horizon=3, season_length=2)
    >>> found.forecast.round(6)
    array([[1., 9., 1.]])
    """
    scale = seasonal.sizes(y)
    given = _given(y / scale[:, None], form, season_length)
    found, sums = least_squares.minimise(lambda x: _run(form, x, given)[0], _starts(form, len(y)))
    if searches_season and form.season != "N":
        whole = np.hstack([found, np.zeros((len(y), season_length - 1))])[:, None, :]
        found, sums = least_squares.minimise(lambda x: _run(form, x, given)[0], whole, iterations=_POLISHED)
    _, states = _run(form, found[:, None, :], given)
    ahead = _ahead(form, found[:, None, :], states, horizon)[:, :, 0].T
    parameters = [np.broadcast_to(each, len(y)) for each in _unpacked(form, found)[:4]]
    n = np.isfinite(y).sum(axis=1)
    counted = form.counted + (season_length - 1) * (form.season != "N") + 1
    aicc = _aicc(sums * scale**2, n, counted)
    suited = (form.error == "A") | (np.nanmin(y, axis=1) > 0)
    suited &= (form.season == "N") | (n >= 2 * season_length)
    suited &= np.isfinite(ahead).all(axis=1)
    spread = np.sqrt(sums / np.maximum(n, 1))[:, None] * _growth(found, form, horizon, season_length)
    if form.error == "M":
        logs = np.log(np.where(y > 0, y, np.nan) / scale[:, None])
        spread = spread * np.abs(ahead) / np.exp(np.nanmean(logs, axis=1))[:, None]
    found = (ahead * scale[:, None], np.column_stack(parameters), spread * scale[:, None])
    return Fit(np.where(suited, aicc, np.inf), *found)


def _aicc(sums: np.ndarray, n: np.ndarray, counted: int) -> np.ndarray:
    spare = n - counted - 1
    likelihood = n * np.log(np.maximum(sums, 1e-300))
    return np.where(spare > 0, likelihood + 2 * counted * n / np.maximum(spare, 1), np.inf)


def _given(y: np.ndarray, form: Form, season_length: int) -> _Given:
    """The data, filled before their start, and where the states begin."""
    first = seasonal.firsts(y)
    length = season_length if form.season != "N" else 1
    season = seasonal.indices(y, length, multiplicative=form.season == "M") if length > 1 else np.zeros((len(y), 1))
    steps = y.shape[1]
    position = (np.arange(steps) - steps) % length
    plain = y / season[:, position] if form.season == "M" else y - season[:, position]
    level, slope = _line(plain, max(10, 2 * length))
    if form.trend == "N":
        level = level + slope * 5
    filled = np.where(np.isfinite(y), y, y[:, -1:])
    return _Given(
        np.ascontiguousarray(filled.T)[:, :, None],
        first[:, None],
        level[:, None],
        slope[:, None],
        np.ascontiguousarray(season.T)[:, :, None],
    )


def _line(y: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """The straight line through the first `most` values: its value one step before them, and its slope."""
    first = seasonal.firsts(y)
    time = np.arange(y.shape[1]) - first[:, None] + 1.0
    used = (time >= 1) & (time <= most)
    n = used.sum(axis=1)
    values = np.where(used, y, 0.0)
    middle, mean = (time * used).sum(axis=1) / n, values.sum(axis=1) / n
    away = (time - middle[:, None]) * used
    slope = (away * values).sum(axis=1) / np.maximum((away**2).sum(axis=1), 1e-9)
    return mean - slope * middle, slope


def _starts(form: Form, count: int) -> np.ndarray:
    """Candidates to start from, the same for every series."""
    grid = [
        [alpha, *([share, damped][: {"N": 0, "A": 1, "D": 2}[form.trend]]), *([third] * (form.season != "N"))]
        for alpha in (0.1, 0.4, 0.8)
        for share in ((0.02, 0.2) if form.trend != "N" else (0.0,))
        for damped in ((0.5, 0.95) if form.trend == "D" else (0.0,))
        for third in ((0.02, 0.2) if form.season != "N" else (0.0,))
    ]
    states = np.zeros((len(grid), 1 + (form.trend != "N")))
    return np.broadcast_to(
        np.hstack([logit(np.array(grid)), states]), (count, len(grid), len(grid[0]) + states.shape[1])
    )


def _unpacked(form: Form, x: np.ndarray):
    """alpha, beta, gamma, phi and how far the first level and slope are moved."""
    alpha, place = _within(_ALPHA, x[..., 0]), 1
    beta, phi, gamma, slope = 0.0, 1.0, 0.0, 0.0
    if form.trend != "N":
        beta, place = alpha * _within(_SHARE, x[..., place]), place + 1
    if form.trend == "D":
        phi, place = _within(_DAMPED, x[..., place]), place + 1
    if form.season != "N":
        gamma, place = (1 - alpha) * _within(_SHARE, x[..., place]), place + 1
    level = x[..., place]
    if form.trend != "N":
        slope = x[..., place + 1]
    return alpha, beta, gamma, phi, level, slope


def _within(bounds: tuple[float, float], x: np.ndarray) -> np.ndarray:
    return bounds[0] + (bounds[1] - bounds[0]) * expit(x)


def _run(form: Form, x: np.ndarray, given: _Given):
    """Residuals (steps, series, candidates) and the states after the last step.

    Those of a multiplicative error are scaled by the geometric mean of the fitted values, so that their sum
    of squares orders as the likelihood does.
    """
    alpha, beta, gamma, phi, moved, tilted = _unpacked(form, x)
    level0, slope0 = given.level + moved, given.slope + tilted
    level, slope = level0.copy(), slope0 + np.zeros_like(level0)
    begun_season = _first_season(form, x, given.season)
    season = [each + np.zeros_like(level) for each in begun_season]
    steps, length, begun = len(given.y), len(season), given.first.max()
    errors, logs = np.zeros((steps, *level.shape)), np.zeros_like(level)
    has_trend, has_season, relative = form.trend != "N", form.season != "N", form.error == "M"
    with np.errstate(all="ignore"):
        for t in range(steps):
            place = (t - steps) % length
            base = level + phi * slope if has_trend else level
            if relative:
                fitted = np.maximum(base * season[place] if has_season else base, _FLOOR)
                error = given.y[t] / fitted - 1
                move = base * error
                logs += np.log(fitted) * (t >= given.first)
            else:
                error = given.y[t] - base - season[place] if has_season else given.y[t] - base
                move = error
            level = base + alpha * move
            if has_trend:
                slope = phi * slope + beta * move
            if has_season:
                season[place] = season[place] * (1 + gamma * error) if relative else season[place] + gamma * error
            if t < begun:
                waiting = t < given.first
                np.copyto(level, level0, where=waiting)
                np.copyto(error, 0.0, where=waiting)
                np.copyto(slope, slope0, where=waiting)
                np.copyto(season[place], begun_season[place], where=waiting)
            errors[t] = error
        if relative:
            errors *= np.exp(logs / (steps - given.first))
    return errors, (level, slope, season)


def _first_season(form: Form, x: np.ndarray, season: np.ndarray) -> list[np.ndarray]:
    """The first season of each candidate, moved where that is searched; its parts keep their sum."""
    parts = list(np.moveaxis(x[..., _terms(form) :], -1, 0))
    if not parts:
        return list(season)
    return [each + move for each, move in zip(season, [*parts, -np.sum(parts, axis=0)], strict=True)]


def _terms(form: Form) -> int:
    """Parameters searched besides those of the first season."""
    return 2 + 2 * (form.trend != "N") + (form.trend == "D") + (form.season != "N")


def _growth(x: np.ndarray, form: Form, horizon: int, season_length: int) -> np.ndarray:
    """How much larger the error is at each step ahead than one step ahead (Hyndman et al. 2008, table 6.1)."""
    alpha, beta, gamma, phi, *_ = _unpacked(form, x)
    total, slope, result = np.ones(len(x)), np.zeros(len(x)), []
    for step in range(1, horizon + 1):
        result.append(total)
        slope = slope + phi**step
        total = total + (alpha + beta * slope + gamma * (step % season_length == 0)) ** 2
    return np.sqrt(np.array(result).T)


def _ahead(form: Form, x: np.ndarray, states, horizon: int) -> np.ndarray:
    level, slope, season = states
    phi = _unpacked(form, x)[3]
    result, grown = [], 0.0
    for step in range(horizon):
        grown = grown + phi ** (step + 1)
        base = level + grown * slope if form.trend != "N" else level
        ring = season[step % len(season)]
        result.append({"N": base, "A": base + ring, "M": base * ring}[form.season])
    return np.array(result)
