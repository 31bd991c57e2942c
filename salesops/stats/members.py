"""The forecasting methods whose mean is the forecast, each for many series at once."""

from collections.abc import Callable, Sequence

import numpy as np

from salesops.stats import arima, ets, seasonal, theta

_WIDTH = 256  # series fitted side by side
_LONGEST_SEASON = 24  # beyond it a season is taken out before a model sees the series
_LEANING = 1.0  # standard errors from which a long season is taken to be there
_SEASONS, _STEPS = 25, (100, 600)  # of the past that are used; at least, at most so many steps
_FEWEST = 6  # values below which there is no model
_ABSURD = 5.0  # times the range seen, beyond which outside it a forecast is not believed

_PLAIN_ORDERS = tuple(
    arima.Order(*each)
    for each in (
        (0, 1, 1), (1, 1, 0), (0, 1, 2), (2, 1, 0), (0, 2, 1), (0, 2, 2),
        (0, 1, 0, 0, 0, 0, True), (0, 1, 1, 0, 0, 0, True), (1, 1, 0, 0, 0, 0, True), (1, 1, 1, 0, 0, 0, True),
        (1, 0, 0, 0, 0, 0, True), (1, 0, 1, 0, 0, 0, True),
    )
)  # fmt: skip
_SEASONAL_ORDERS = tuple(
    arima.Order(*each)
    for each in (
        (0, 1, 1, 0, 1, 1), (1, 1, 1, 0, 1, 1), (0, 1, 2, 0, 1, 1), (2, 1, 0, 0, 1, 1), (2, 1, 1, 0, 1, 1),
        (1, 0, 1, 0, 1, 1, True), (1, 0, 0, 1, 1, 0, True),
    )
)  # fmt: skip


def forecasts(many: Sequence[np.ndarray], *, horizon: int, season_length: int) -> dict[str, np.ndarray]:
    """What each method forecasts for each series.

    Parameters
    ----------
    many
        Series of any length from one value on, without missing values.
    horizon
        Steps ahead.
    season_length
        Steps in a season; 1 for none.

    Returns
    -------
    dict
        ``seasonal_naive``, ``ets``, ``theta``, ``arima``, each ``(series, horizon)`` and finite; with a season
        longer than 24 steps also ``last``, and each of them ``_plain``, made as if there were no season.

    Examples
    --------
    >>> found = forecasts([np.array([5.0]), np.array([1.0, 2.0] * 12)], horizon=2, season_length=2)
    >>> found["ets"].round(1).tolist()
    [[5.0, 5.0], [1.0, 2.0]]
    """
    return described(many, horizon=horizon, season_length=season_length)[0]


def described(
    many: Sequence[np.ndarray], *, horizon: int, season_length: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The forecasts of `forecasts`, and how far exponential smoothing expects its own to be off.

    Returns
    -------
    tuple
        The forecasts, and the standard deviation of the error ``(series, horizon)``, missing where there is no model.

    Examples
    --------
    >>> _, spread = described([np.array([5.0]), np.array([1.0, 2.0, 1.0] * 8)], horizon=2, season_length=1)
    >>> spread.round(1).tolist()
    [[nan, nan], [0.5, 0.5]]
    """
    order = np.argsort([len(each) for each in many], kind="stable")
    longest = int(np.clip(_SEASONS * season_length, *_STEPS))
    parts = []
    for begin in range(0, len(order), _WIDTH):
        y = seasonal.stack([many[row] for row in order[begin : begin + _WIDTH]], longest=longest)
        with np.errstate(all="ignore"):  # candidates that overflow are not taken
            parts.append(_of_stack(y, horizon, season_length))
    back = np.argsort(order)
    spread = np.concatenate([each for _, each in parts])[back]
    return {name: np.concatenate([found[name] for found, _ in parts])[back] for name in parts[0][0]}, spread


def _of_stack(y: np.ndarray, horizon: int, season_length: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    otherwise = simple(y, horizon, season_length)
    if season_length <= _LONGEST_SEASON:
        found, spread = _methods(y, horizon, season_length)
    else:
        plain, _ = _methods(y, horizon, 1)
        found, spread = _without_season(y, horizon, season_length)
        found |= {f"{name}_plain": values for name, values in (plain | {"last": _last(y, horizon)}).items()}
    long = ~is_short(np.isfinite(y).sum(axis=1), season_length)[:, None]
    kept = {name: np.where(long, values, otherwise) for name, values in found.items()}
    found = {"seasonal_naive": seasonal_naive(y, horizon, season_length)} | kept
    return {name: sane(y, values, otherwise) for name, values in found.items()}, np.where(long, spread, np.nan)


def is_without_season(y: np.ndarray, season_length: int) -> np.ndarray:
    """Whether a long season does not show in the steps of a series; never where the season is not long.

    In walks, as prices are, a season that is taken out by loess is one that was not there.

    Examples
    --------
    >>> is_without_season(np.array([np.resize(np.arange(30.0), 120), np.arange(120.0)]), 30).tolist()
    [False, True]
    """
    if season_length <= _LONGEST_SEASON:
        return np.zeros(len(y), dtype=bool)
    steps = arima.difference(_logs(y, np.nanmin(y, axis=1, keepdims=True) > 0), 1, 0, 1)
    found = seasonal.autocorrelations(steps, season_length)
    n = np.isfinite(steps).sum(axis=1)
    seen = n / np.sqrt(np.maximum(n - season_length, 1))  # the pairs a season apart, of which short series have few
    return found[:, -1] * seen <= _LEANING * np.sqrt(1 + 2 * (found[:, :-1] ** 2).sum(axis=1))


def _methods(y: np.ndarray, horizon: int, season_length: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The forecast of each method, and how far exponential smoothing expects its own to be off."""
    ahead, spread = _ets(y, horizon, season_length)
    others = {name: method(y, horizon, season_length) for name, method in (("theta", _theta), ("arima", _arima))}
    return {"ets": ahead} | others, spread


def is_short(n: np.ndarray, season_length: int) -> np.ndarray:
    """Whether series of `n` values are too short for a model: under two seasons, or under six values.

    Examples
    --------
    >>> is_short(np.array([5, 6, 7, 8]), 4).tolist(), is_short(np.array([5, 6]), 1).tolist()
    ([True, True, True, False], [True, False])
    """
    return n < max(_FEWEST, 2 * season_length if season_length <= _LONGEST_SEASON else 0)


def simple(y: np.ndarray, horizon: int, season_length: int) -> np.ndarray:
    """What is forecast without a model: the season before, or the last value and half the usual step.

    The last value alone where there are fewer than three.

    Examples
    --------
    >>> simple(seasonal.stack([[1.0, 2, 3, 4, 5], [1.0, 3, 5], [7.0]]), 2, 4)
    array([[2., 3.],
           [6., 7.],
           [7., 7.]])
    """
    n = np.isfinite(y).sum(axis=1)
    begin = y[np.arange(len(y)), seasonal.firsts(y)]
    half = np.where(n >= 3, (y[:, -1] - begin) / np.maximum(n - 1, 1) / 2, 0.0)
    drifting = y[:, -1:] + half[:, None] * np.arange(1, horizon + 1)
    has_season = (n >= season_length) & (season_length > 1)
    return np.where(has_season[:, None], seasonal_naive(y, horizon, season_length), drifting)


def seasonal_naive(y: np.ndarray, horizon: int, season_length: int) -> np.ndarray:
    """The value one season earlier, or the last value where there is no whole season.

    Examples
    --------
    >>> seasonal_naive(seasonal.stack([[1.0, 2, 3, 4], [7.0]]), 3, 2)
    array([[3., 4., 3.],
           [7., 7., 7.]])
    """
    last = y[:, -season_length:][:, np.arange(horizon) % min(season_length, y.shape[1])]
    whole = np.isfinite(y).sum(axis=1) >= season_length
    return np.where(whole[:, None], last, y[:, -1:])


def sane(y: np.ndarray, values: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """`values`, or `otherwise` for a series where they are not finite or far beyond all that was seen.

    A series never below nothing is not forecast below it; one always above stays above a tenth of its least value.

    Examples
    --------
    >>> y = np.array([[1.0, 2.0, 3.0]])
    >>> sane(y, np.array([[4.0, -1.0]]), y[:, :2]), sane(y, np.array([[4.0, 99.0]]), y[:, :2])
    (array([[4. , 0.1]]), array([[1., 2.]]))
    """
    low, high = np.nanmin(y, axis=1, keepdims=True), np.nanmax(y, axis=1, keepdims=True)
    room = _ABSURD * (high - low)
    with np.errstate(invalid="ignore"):
        believed = np.isfinite(values) & (values >= low - room) & (values <= high + room)
    kept = np.where(believed.all(axis=1, keepdims=True), values, otherwise)
    return np.where(low >= 0, np.maximum(kept, 0.1 * low), kept)


def _ets(y: np.ndarray, horizon: int, season_length: int) -> tuple[np.ndarray, np.ndarray]:
    forms = ets.PLAIN + (ets.SEASONAL if season_length > 1 else ())
    fits = [_on(_suits(y, form), y, horizon, lambda part, form=form: ets.fit(
        part, form, horizon=horizon, season_length=season_length)) for form in forms]  # fmt: skip
    return averaged([(aicc, ahead) for aicc, ahead, _ in fits]), averaged([(aicc, wide) for aicc, _, wide in fits])


def _suits(y: np.ndarray, form: ets.Form) -> np.ndarray:
    return (form.error == "A") | (np.nanmin(y, axis=1) > 0)


def _on(rows: np.ndarray, y: np.ndarray, horizon: int, fit: Callable) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """AICc, forecasts and spread of a model fitted to some of the series; of no use for the others."""
    aicc, values = np.full(len(y), np.inf), np.full((len(y), horizon), np.nan)
    spread = values.copy()
    if rows.any():
        found = fit(y[rows])
        aicc[rows], values[rows] = found.aicc, found.forecast
        spread[rows] = getattr(found, "spread", np.nan)
    return aicc, values, spread


def averaged(fits: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The forecasts of several models, each weighted by its Akaike weight; missing where none fits.

    References
    ----------
    Burnham & Anderson (2002), Model Selection and Multimodel Inference, ch. 2.

    Examples
    --------
    >>> averaged([(np.array([0.0]), np.array([[1.0]])), (np.array([2.0]), np.array([[2.0]]))]).round(3)
    array([[1.269]])
    """
    aicc = np.array([each[0] for each in fits])
    values = np.array([each[1] for each in fits])
    best = aicc.min(axis=0)
    away = np.where(np.isfinite(aicc), aicc - np.where(np.isfinite(best), best, 0.0), np.inf)
    weights = np.exp(-np.clip(away, 0, 1400) / 2) * np.isfinite(aicc)
    total = weights.sum(axis=0)
    mean = (weights[:, :, None] * np.nan_to_num(values, posinf=np.inf, neginf=-np.inf)).sum(axis=0)
    return np.where(total[:, None] > 0, mean / np.where(total > 0, total, 1.0)[:, None], np.nan)


def _arima(y: np.ndarray, horizon: int, season_length: int) -> np.ndarray:
    """On logs where every value is above nothing; a season is differenced away where one shows.

    Each order is fitted by conditional least squares; where there are seasons the best one then by exact maximum
    likelihood, which in years was no better.
    """
    is_log = np.nanmin(y, axis=1) > 0
    z = _logs(y, is_log[:, None])
    has_season = seasonal.is_seasonal(arima.difference(z, 1, 0, 1), season_length)
    tried = [(order, ~has_season, 1, 2) for order in _PLAIN_ORDERS]
    if season_length > 1:
        tried += [(order, has_season, season_length, season_length + 1) for order in _SEASONAL_ORDERS]
    fits = [_arima_on(rows, z, order, horizon, length, skipped) for order, rows, length, skipped in tried]
    fits = _refitted(fits, tried, z, horizon) if season_length > 1 else fits
    mean = averaged([each[:2] for each in fits])
    return np.where(is_log[:, None], np.exp(np.clip(mean, -700, 700)), mean)


def _refitted(fits, tried, z: np.ndarray, horizon: int):
    """The forecast of the best order of each series, by exact maximum likelihood where that is finite."""
    aicc = np.array([each[0] for each in fits])
    result = []
    for place, ((order, _, length, _), (score, values, spread)) in enumerate(zip(tried, fits, strict=True)):
        best = (aicc.argmin(axis=0) == place) & np.isfinite(score)
        exact = _arima_on(best, z, order, horizon, length, 0, exact=True)
        result.append((score, np.where(np.isfinite(exact[0])[:, None], exact[1], values), spread))
    return result


def _arima_on(rows, z, order, horizon, season_length, skipped, *, exact=False):
    return _on(rows, z, horizon, lambda part: arima.fit(
        part, order, horizon=horizon, season_length=season_length, skipped=skipped, exact=exact))  # fmt: skip


def _theta(y: np.ndarray, horizon: int, season_length: int) -> np.ndarray:
    if season_length == 1:
        return theta.dynamic(y, horizon=horizon)
    is_positive = np.nanmin(y, axis=1) > 0
    has_season = seasonal.is_seasonal(arima.difference(_logs(y, is_positive[:, None]), 1, 0, 1), season_length)
    factor = seasonal.indices(y, season_length, multiplicative=True)
    factor = np.where((has_season & is_positive)[:, None], factor, 1.0)
    added = seasonal.indices(y, season_length, multiplicative=False)
    added = np.where((has_season & ~is_positive)[:, None], added, 0.0)
    past = (np.arange(y.shape[1]) - y.shape[1]) % season_length
    ahead = np.arange(horizon) % season_length
    return theta.dynamic(y / factor[:, past] - added[:, past], horizon=horizon) * factor[:, ahead] + added[:, ahead]


def _without_season(y: np.ndarray, horizon: int, season_length: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Each method, and the last value, on what is left when a long season is taken out, the season put back."""
    is_log = np.nanmin(y, axis=1, keepdims=True) > 0
    z = _logs(y, is_log)
    season, ahead = seasonal.loess(z, season_length, horizon)
    left = z - season
    left = np.where(is_log, np.exp(np.where(is_log, left, 0.0)), left) + 0.0 * y
    factor, added = np.exp(np.where(is_log, ahead, 0.0)), np.where(is_log, 0.0, ahead)
    found, spread = _methods(left, horizon, 1)
    found |= {"last": _last(left, horizon)}
    return {name: values * factor + added for name, values in found.items()}, spread * factor


def _last(y: np.ndarray, horizon: int) -> np.ndarray:
    return np.repeat(y[:, -1:], horizon, axis=1)


def _logs(y: np.ndarray, is_log: np.ndarray) -> np.ndarray:
    """Logs of the series for which they are asked, the others as they are; missing stays missing."""
    return np.where(is_log, np.log(np.where(y > 0, y, 1.0)), y) + 0.0 * y
