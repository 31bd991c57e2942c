"""Intervals of figures made of totals, against naive loops and simulation."""

import numpy as np
import pytest
from scipy.stats import norm, t

from salesops.stats import totals

SUMS = np.array([[2.0, 5.0, 1.0], [3.0, 1.0, 4.0], [1.0, 8.0, 2.0], [6.0, 2.0, 2.0]])


def test_a_product_and_its_influence_by_hand():
    assert totals.product(SUMS, [1, -1, 0]) == 12 / 16
    assert totals.log_influence(SUMS, [1, -1, 0]).tolist() == pytest.approx(
        [2 / 12 - 5 / 16, 3 / 12 - 1 / 16, 1 / 12 - 8 / 16, 6 / 12 - 2 / 16]
    )


def test_influences_are_what_leaving_a_little_out_shows():
    powers = [1.0, -2.0, 1.0]
    slopes = []
    for row in range(len(SUMS)):
        more, less = SUMS.copy(), SUMS.copy()
        more[row] *= 1 + 1e-6
        less[row] *= 1 - 1e-6
        slopes.append((np.log(totals.product(more, powers)) - np.log(totals.product(less, powers))) / 2e-6)
    assert totals.log_influence(SUMS, powers) == pytest.approx(np.array(slopes), abs=1e-8)


def test_of_factors_is_the_chain_rule():
    influences = np.array([[0.1, -0.2], [0.3, 0.4]])
    found = totals.of_factors(lambda a, b: np.array([a * b, a + b]), [2.0, 3.0], influences)
    assert found == pytest.approx(
        np.array([6 * (influences[0] + influences[1]), 2 * influences[0] + 3 * influences[1]])
    )


def test_a_zero_total_is_unknown_not_endless():
    assert np.isnan(totals.product([[1.0, 0.0]], [1, -1])) and totals.product([[0.0, 1.0]], [1, -1]) == 0
    assert np.isnan(totals.log_influence([[1.0, 0.0], [2.0, 0.0]], [1, -1])).all()
    assert np.isnan(totals.product(np.empty((0, 1)), [-1]))


def test_the_limits_by_hand():
    influence = np.array([0.1, -0.3, 0.2, 0.05, 0.0])
    square = influence[:4] ** 2
    freedom = max(square.sum() ** 2 / (square**2).sum(), 5)
    half = t.ppf(0.95, freedom) * np.sqrt(square.sum() * 4 / 3)
    found = totals.positive(10.0, influence, confidence=0.9)
    assert found[:3] == pytest.approx((10, 10 * np.exp(-half), 10 * np.exp(half)))
    found = totals.difference(1.0, influence, confidence=0.9)
    assert found[:3] == pytest.approx((1, 1 - half, 1 + half))
    assert found.p_value == pytest.approx(2 * t.sf(1 / np.sqrt(square.sum() * 4 / 3), freedom))


def test_many_even_clusters_have_the_normal_limits():
    found = totals.difference(0.0, np.full(100_000, 0.01))
    assert found.high == pytest.approx(norm.ppf(0.975) * 0.01 * np.sqrt(100_000), rel=1e-4) and found.p_value == 1


@pytest.mark.parametrize("influence", [[], [0.2], [np.nan, np.nan], [0.0, 0.3]])
def test_one_cluster_or_none_says_nothing(influence):
    assert (
        np.isnan(totals.positive(1.0, influence)[1:3]).all() and np.isnan(totals.difference(1.0, influence)[1:]).all()
    )


def test_no_spread_is_no_width():
    assert totals.difference(0.0, [0.0, 0.0])[:] == (0.0, 0.0, 0.0, 1.0)
    assert totals.difference(2.0, [0.0, 0.0]).p_value == 0
    assert np.isnan(totals.positive(0.0, [0.1, 0.1]).low)
