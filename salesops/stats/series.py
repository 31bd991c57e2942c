"""Time series: forecasts, their backtest and intervals learned from past errors."""

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
from statsmodels.tsa.exponential_smoothing.ets import ETSModel

Forecaster = Callable[[np.ndarray, int, int], np.ndarray]

# error, trend, damped, seasonal; no additive error with a multiplicative season (unstable).
_ETS_FORMS = (
    ("add", None, False, None),
    ("add", "add", True, None),
    ("add", None, False, "add"),
    ("add", "add", True, "add"),
    ("mul", None, False, "mul"),
    ("mul", "add", True, "mul"),
)
_EXPLODED = 20  # times the largest value seen


def seasonal_naive(y: np.ndarray, horizon: int, season_length: int) -> np.ndarray:
    """The value one season earlier; the last value while there is no whole season.

    Examples
    --------
    >>> seasonal_naive(np.array([1.0, 2, 3, 4, 5]), 3, 4)
    array([2., 3., 4.])
    """
    season = y[-season_length:] if len(y) >= season_length else y[-1:]
    return np.resize(season, horizon)


def ets(y: np.ndarray, horizon: int, season_length: int) -> np.ndarray:
    """Exponential smoothing, its form chosen by AICc among the stable ones.

    Falls back on `seasonal_naive` where no form fits or the forecast explodes: is not finite,
    or beyond 20 times the largest value seen.

    References
    ----------
    Hyndman, Koehler, Ord & Snyder (2008), Forecasting with Exponential Smoothing.
    """
    fits = [fit for form in _ETS_FORMS if (fit := _ets_fit(y, form, season_length)) is not None]
    if not fits:
        return seasonal_naive(y, horizon, season_length)
    predicted = np.asarray(min(fits, key=lambda fit: fit.aicc).forecast(horizon))
    is_sane = np.isfinite(predicted).all() and np.abs(predicted).max() <= _EXPLODED * np.abs(y).max()
    return predicted if is_sane else seasonal_naive(y, horizon, season_length)


def mean_of(*forecasters: Forecaster) -> Forecaster:
    """A forecaster that is the mean of several."""
    return lambda y, horizon, season_length: np.mean([each(y, horizon, season_length) for each in forecasters], axis=0)


def rolling_origin(y: np.ndarray, forecaster: Forecaster, *, season_length: int, first: int) -> pd.DataFrame:
    """One-step forecasts of every point from `first` on, each from the points before it.

    Returns
    -------
    DataFrame
        ``step`` (index of the point), ``actual``, ``predicted``.

    Examples
    --------
    >>> rolling_origin(np.array([1.0, 2, 3, 4, 5, 6]), seasonal_naive, season_length=4, first=4)
       step  actual  predicted
    0     4     5.0        1.0
    1     5     6.0        2.0
    """
    steps = range(first, len(y))
    predicted = [forecaster(y[:step], 1, season_length)[0] for step in steps]
    return pd.DataFrame({"step": list(steps), "actual": y[first:], "predicted": np.asarray(predicted, dtype=float)})


def conformal_factor(actual: np.ndarray, predicted: np.ndarray, level: float) -> float:
    """Relative half-width that past errors ask of an interval at `level`.

    The ``ceil((k + 1) level)``-th smallest of ``k`` errors ``|actual - predicted| / predicted``;
    infinite where there are too few errors to promise the level.

    References
    ----------
    Vovk, Gammerman & Shafer (2005), Algorithmic Learning in a Random World.

    Examples
    --------
    >>> conformal_factor(np.array([9.0, 12, 10, 8]), np.array([10.0, 10, 10, 10]), 0.8)
    0.2
    >>> conformal_factor(np.array([9.0]), np.array([10.0]), 0.8)
    inf
    """
    scale = np.abs(predicted)
    errors = np.sort(np.abs(actual - predicted)[scale > 0] / scale[scale > 0])
    rank = int(np.ceil((len(errors) + 1) * level))
    return float(errors[rank - 1]) if 0 < rank <= len(errors) else np.inf


def _ets_fit(y: np.ndarray, form: tuple, season_length: int):
    error, trend, damped, seasonal = form
    parameters = 2 + 2 * bool(trend) + damped + season_length * bool(seasonal)
    too_short = len(y) < parameters + 3 or (seasonal and len(y) < 2 * season_length)
    if too_short or ("mul" in (error, seasonal) and y.min() <= 0) or np.ptp(y) == 0:
        return None
    model = ETSModel(
        y,
        error=error,
        trend=trend,
        damped_trend=damped,
        seasonal=seasonal,
        seasonal_periods=season_length if seasonal else None,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an optimiser that did not converge loses on AICc
        fit = model.fit(disp=False)
    return fit if np.isfinite(fit.aicc) else None
