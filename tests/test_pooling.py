"""Estimates judged together: published numbers, limits and invariants."""

import numpy as np
import pandas as pd
import pytest

from salesops.stats import pooling

EFFECT = [28.0, 8, -3, 7, -1, 1, 18, 12]
ERROR = [15.0, 10, 16, 11, 9, 11, 10, 18]


def test_the_eight_schools_are_as_published():
    """Gelman et al. (2013), table 5.3: 2.5 and 97.5 % of 200 draws, so to within their noise."""
    found = pooling.pooled_means(EFFECT, ERROR)
    low, high = [-2, -5, -11, -7, -9, -7, -1, -6], [31, 23, 19, 21, 18, 28, 26, 33]
    assert np.abs(found["mean_low"] - low).max() < 3.5
    assert np.abs(found["mean_high"] - high)[[0, 1, 2, 3, 4, 6]].max() < 3.5


def test_a_plain_simulation_gives_the_same():
    """Draws of deviation and mean by their posterior on a grid of another make, then of each group."""
    y, error = np.array(EFFECT), np.array(ERROR)
    random = np.random.default_rng(0)
    tau = np.linspace(1e-3, 150, 15000)
    inverse = 1 / (error**2 + tau[:, None] ** 2)
    centre, spread = (inverse * y).sum(1) / inverse.sum(1), inverse.sum(1) ** -0.5
    density = spread * np.prod(inverse**0.5 * np.exp(-inverse * (y - centre[:, None]) ** 2 / 2), axis=1)
    at = random.choice(len(tau), 100_000, p=density / density.sum())
    mean = random.normal(centre[at], spread[at])
    precision = 1 / error**2 + 1 / tau[at, None] ** 2
    draws = random.normal((y / error**2 + mean[:, None] / tau[at, None] ** 2) / precision, precision**-0.5)
    found = pooling.pooled_means(EFFECT, ERROR)
    assert found["mean"].to_numpy() == pytest.approx(draws.mean(axis=0), abs=0.15)
    assert found["mean_low"].to_numpy() == pytest.approx(np.quantile(draws, 0.025, axis=0), abs=0.5)
    assert found["mean_high"].to_numpy() == pytest.approx(np.quantile(draws, 0.975, axis=0), abs=0.5)


def test_a_group_without_an_estimate_is_a_new_one():
    known, more = pooling.pooled_means(EFFECT, ERROR), pooling.pooled_means([*EFFECT, np.nan], [*ERROR, np.nan])
    pd.testing.assert_frame_equal(known, more.head(8))
    assert (more["mean_high"] - more["mean_low"]).idxmax() == 8 and 5 < more["mean"][8] < 10
    assert pooling.pooled_means([1.0, 2.0, np.nan], [1.0, 1.0, 1.0]).isna().all(axis=None)
    assert pooling.pooled_means([], []).empty


def test_order_and_units_do_not_matter():
    found = pooling.pooled_means(EFFECT, ERROR)
    turned = pooling.pooled_means(EFFECT[::-1], ERROR[::-1])
    scaled = pooling.pooled_means(np.array(EFFECT) / 1000, np.array(ERROR) / 1000)
    np.testing.assert_allclose(found, turned[::-1], rtol=1e-9)
    np.testing.assert_allclose(found, scaled * 1000, rtol=1e-9)
    assert (found["mean_low"] < found["mean"]).all() and (found["mean"] < found["mean_high"]).all()


def test_a_rising_prior_draws_less_and_is_flat_by_default():
    flat, rising = pooling.pooled_means(EFFECT, ERROR), pooling.pooled_means(EFFECT, ERROR, power=1.0)
    pd.testing.assert_frame_equal(flat, pooling.pooled_means(EFFECT, ERROR, power=0.0))
    assert rising["mean"].std() > flat["mean"].std()
    assert ((rising["mean_high"] - rising["mean_low"]) > (flat["mean_high"] - flat["mean_low"])).all()
