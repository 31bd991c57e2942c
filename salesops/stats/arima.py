"""Seasonal ARIMA models of many series at once, by conditional least squares or exact maximum likelihood."""

from typing import NamedTuple

import numpy as np

from salesops.stats import least_squares

_EXACT_STEPS = 12
_DOUBLINGS = 16  # of the steps over which the stationary spread is summed: a coefficient of .99 a year dies slowly


class Order(NamedTuple):
    """Numbers of terms: autoregressive, differences, moving average; the same of the season; with a constant or not."""

    p: int
    d: int
    q: int
    seasonal_p: int = 0
    seasonal_d: int = 0
    seasonal_q: int = 0
    constant: bool = False

    @property
    def counted(self) -> int:
        return self.p + self.q + self.seasonal_p + self.seasonal_q + self.constant


class Fit(NamedTuple):
    """Of one order over all series: ``coefficients`` are AR, MA, seasonal AR, seasonal MA, constant."""

    aicc: np.ndarray
    forecast: np.ndarray
    coefficients: np.ndarray
    variance: np.ndarray
    likelihood: np.ndarray


def fit(
    y: np.ndarray, order: Order, *, horizon: int, season_length: int = 1, skipped: int = 0, exact: bool = False
) -> Fit:
    """One order fitted to every series by conditional least squares, or from there by exact maximum likelihood.

    Shocks before the start are nothing; with `exact` they are as likely as the model says. Coefficients stay
    stationary and invertible.

    Parameters
    ----------
    y
        Series of `seasonal.stack`.
    order
        Which terms.
    horizon
        Steps ahead.
    season_length
        Steps in a season.
    skipped
        Steps at the start that are not scored, so that orders of different differencing compare.
    exact
        Whether the Gaussian likelihood of all differences is maximised.

    Returns
    -------
    Fit
        ``aicc`` (series; infinite where too short), ``forecast`` (series, horizon), ``coefficients``, ``variance``,
        ``likelihood`` (its logarithm; of the scored shocks alone unless `exact`).

    References
    ----------
    Box & Jenkins (1970), Time Series Analysis, ch. 7 (conditional sums of squares); Ansley (1979), Biometrika
    66:59-65 (the exact likelihood from the shocks and what was before the start).

    Examples
    --------
    >>> found = fit(np.array([[1.0, 3.0, 5.0, 7.0, 9.0, 11.0]]), Order(0, 1, 0, constant=True), horizon=2)
    >>> found.coefficients.round(6), found.forecast.round(6)
    (array([[2.]]), array([[13., 15.]]))
    """
    differenced = difference(y, order.d, order.seasonal_d, season_length)
    mean, scale = _moments(differenced)
    w, mean = differenced / scale[:, None], mean / scale
    steps = np.arange(y.shape[1])
    begins = np.isnan(y).sum(axis=1) + max(skipped, order.d + order.seasonal_d * season_length)
    scored = (steps >= begins[:, None]).T[:, :, None]
    run = lambda x: _run(order, x, w.T, mean, season_length)  # noqa: E731
    found, sums = least_squares.minimise(lambda x: run(x)[0] * scored, _starts(order, len(y)))
    if exact:
        begins = np.isnan(w).sum(axis=1)
        scored = (steps >= begins[:, None]).T[:, :, None]
        whole = lambda x: _exact(run(x), begins)[0]  # noqa: E731
        found, sums = least_squares.minimise(whole, found[:, None, :], iterations=_EXACT_STEPS)
    errors, values, (_, ar, ma) = run(found[:, None, :])
    if exact:
        _, errors, logs = _exact((errors, values, (None, ar, ma)), begins)
    ahead = _ahead(values[:, :, 0], errors[:, :, 0], ar, ma, horizon) + _constant(order, found, mean)[:, None]
    n = scored[:, :, 0].sum(axis=0)
    variance = np.maximum(sums * scale**2, 1e-300) / np.maximum(n, 1)
    k = order.counted + 1
    spare = n - k - 1
    aicc = n * np.log(variance) + 2 * k * n / np.maximum(spare, 1)
    likelihood = -n / 2 * (np.log(2 * np.pi * variance) + 1)
    if exact:  # the sums hold the determinant of the likelihood
        variance = variance * np.exp(-logs[:, 0] / np.maximum(n, 1))
    forecast = _integrated(y, ahead * scale[:, None], order.d, order.seasonal_d, season_length)
    is_fit = (spare > 1) & np.isfinite(forecast).all(axis=1)
    return Fit(
        np.where(is_fit, aicc, np.inf),
        forecast,
        _coefficients(order, found, mean, scale),
        variance,
        likelihood,
    )


def difference(y: np.ndarray, d: int, seasonal_d: int, season_length: int) -> np.ndarray:
    """Each value less the one before (less the one a season before), missing where there is none.

    Examples
    --------
    >>> difference(np.array([[1.0, 2.0, 4.0, 8.0]]), 1, 0, 1)
    array([[nan,  1.,  2.,  4.]])
    """
    for lag in [season_length] * seasonal_d + [1] * d:
        y = np.hstack([np.full((len(y), min(lag, y.shape[1])), np.nan), y[:, lag:] - y[:, :-lag]])
    return y


def _moments(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each row's known values; nothing and one where there is none or no spread."""
    seen = np.isfinite(w)
    n = np.maximum(seen.sum(axis=1), 1)
    mean = np.where(seen, w, 0.0).sum(axis=1) / n
    spread = np.sqrt((np.where(seen, w - mean[:, None], 0.0) ** 2).sum(axis=1) / n)
    return mean, np.where(spread > 0, spread, 1.0)


def _starts(order: Order, count: int) -> np.ndarray:
    terms = order.p + order.q + order.seasonal_p + order.seasonal_q
    grid = [np.zeros(terms + order.constant)]
    for place in range(terms):
        for size in (-0.5, 0.5):
            grid.append(np.zeros(terms + order.constant))
            grid[-1][place] = size
    if terms > 1:
        grid.append(np.r_[np.full(terms, -0.5), np.zeros(int(order.constant))])
    return np.broadcast_to(np.array(grid), (count, len(grid), len(grid[0])))


def _shares(order: Order, x: np.ndarray):
    """AR, MA, seasonal AR and seasonal MA coefficients, each a list of arrays, from unbounded numbers."""
    parts, place = [], 0
    for count in (order.p, order.q, order.seasonal_p, order.seasonal_q):
        bounded = [0.99 * np.tanh(x[..., place + each]) for each in range(count)]
        parts.append([bounded[0] * (1 - bounded[1]), bounded[1]] if count == 2 else bounded)
        place += count
    return parts


def _polynomials(order: Order, x: np.ndarray, season_length: int):
    """Coefficients by lag of the past values and of the past shocks."""
    p, q, seasonal_p, seasonal_q = _shares(order, x)
    ar = {lag + 1: each for lag, each in enumerate(p)}
    for each in seasonal_p:
        ar |= {season_length: each} | {season_length + lag + 1: -each * one for lag, one in enumerate(p)}
    ma = {lag + 1: -each for lag, each in enumerate(q)}  # stationary AR form turned round is invertible MA form
    for each in seasonal_q:
        ma |= {season_length: each} | {season_length + lag + 1: -each * one for lag, one in enumerate(q)}
    return ar, ma


def _constant(order: Order, x: np.ndarray, mean: np.ndarray) -> np.ndarray:
    return (mean.reshape(mean.shape + (1,) * (x.ndim - 2)) + x[..., -1]) if order.constant else np.zeros(x.shape[:-1])


def _run(order: Order, x: np.ndarray, w: np.ndarray, mean: np.ndarray, season_length: int):
    """Shocks and values less the constant, ``(steps, series, candidates)``, and the polynomials."""
    ar, ma = _polynomials(order, x, season_length)
    constant = _constant(order, x, mean)
    values = np.where(np.isfinite(w)[:, :, None], w[:, :, None] - constant, 0.0)
    base = values.copy()
    for lag, each in ar.items():
        base[lag:] -= each * values[:-lag]
    longest = max(ma, default=0)
    shocks = np.zeros((len(w) + longest, *x.shape[:-1]))
    for t in range(len(w)):  # nothing before the start, so shocks are nothing there by themselves
        now = base[t]
        for lag, each in ma.items():
            now = now - each * shocks[t + longest - lag]
        shocks[t + longest] = now
    return shocks[longest:], values, (constant, ar, ma)


def _exact(found, begins: np.ndarray):
    """Residuals whose sum of squares orders as the exact likelihood does, the shocks, and the log determinant.

    What was before the start adds an unknown to each of the first few steps, of known spread when the shocks are of
    spread one; it is estimated with the shocks.
    """
    shocks, _, (_, ar, ma) = found
    before = max([0, *ar, *ma])
    shape = shocks.shape[1:]
    if not before:
        return shocks, shocks, np.zeros(shape)
    phi, theta = (_by_lag(each, before, shape) for each in (ar, ma))
    effects = _effects(ma, begins, before, shocks.shape)  # series, candidates, steps, before
    turned = effects.swapaxes(-1, -2)
    crossed, seen = turned @ effects, (turned @ np.moveaxis(shocks, 0, -1)[..., None])
    spread = _stationary(phi, theta)
    inner = np.eye(before) + crossed @ spread
    unknown = spread @ np.linalg.solve(inner, seen)
    logs = np.linalg.slogdet(inner)[1]
    after = shocks - np.moveaxis((effects @ unknown)[..., 0], -1, 0)
    total = (shocks**2).sum(axis=0) - (seen * unknown).sum(axis=(-1, -2))
    rest = np.sqrt(np.maximum(total - (after**2).sum(axis=0), 0.0))
    n = np.maximum(len(shocks) - begins, 1)[:, None]
    return np.concatenate([after, rest[None]]) * np.exp(logs / n / 2), after, logs


def _by_lag(terms: dict, most: int, shape: tuple[int, ...]) -> np.ndarray:
    parts = [np.broadcast_to(terms.get(lag, 0.0), shape) for lag in range(1, most + 1)]
    return np.stack(parts, axis=-1)


def _effects(ma: dict, begins: np.ndarray, before: int, shape: tuple[int, ...]) -> np.ndarray:
    """How each of the first steps' unknowns moves the shocks: the answer to one impulse, begun later and later."""
    answer = np.zeros(shape)
    answer[0] = 1.0
    for t in range(1, len(answer)):
        for lag, each in ma.items():
            if lag <= t:
                answer[t] -= each * answer[t - lag]
    place = np.arange(shape[0])[:, None] - begins[:, None, None] - np.arange(before)  # series, steps, before
    rows = np.arange(shape[1])[:, None, None]
    taken = np.where(place[..., None] >= 0, answer.swapaxes(0, 1)[rows, np.maximum(place, 0)], 0.0)
    return np.moveaxis(taken, -1, 1)


def _stationary(phi: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Spread of what the past adds to the coming steps, the shocks being of spread one."""
    size = phi.shape[-1]
    move = np.zeros((*phi.shape, size)) + np.eye(size, k=1)
    move[..., :, 0] += phi
    push = phi + theta
    spread = push[..., :, None] * push[..., None, :]
    for _ in range(_DOUBLINGS):
        spread = spread + move @ spread @ move.swapaxes(-1, -2)
        move = move @ move
    return spread


def _ahead(values, shocks, ar, ma, horizon: int) -> np.ndarray:
    values, shocks = list(values), list(shocks)
    for _ in range(horizon):
        now = np.zeros_like(values[-1])
        for lag, each in ar.items():
            now = now + each[:, 0] * values[-lag] if lag <= len(values) else now
        for lag, each in ma.items():
            now = now + each[:, 0] * shocks[-lag] if lag <= len(shocks) else now
        values.append(now)
        shocks.append(np.zeros_like(now))
    return np.array(values[-horizon:]).T


def _integrated(y: np.ndarray, ahead: np.ndarray, d: int, seasonal_d: int, season_length: int) -> np.ndarray:
    """Differences summed up again from the last values."""
    levels = [y]
    for lag in [season_length] * seasonal_d + [1] * d:
        levels.append(difference(levels[-1], int(lag == 1), int(lag != 1), season_length))
    lags = [season_length] * seasonal_d + [1] * d
    for before, lag in zip(levels[-2::-1], lags[::-1], strict=True):
        grown = before[:, -lag:]
        for step in range(ahead.shape[1]):
            grown = np.hstack([grown, (ahead[:, step] + grown[:, -lag])[:, None]])
        ahead = grown[:, lag:] if grown.shape[1] > ahead.shape[1] else grown
    return ahead


def _coefficients(order: Order, x: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    p, q, seasonal_p, seasonal_q = _shares(order, x)
    parts = [*p, *[-each for each in q], *seasonal_p, *seasonal_q]
    constant = [_constant(order, x, mean) * scale] if order.constant else []
    return np.column_stack([*parts, *constant]) if parts or constant else np.zeros((len(x), 0))
