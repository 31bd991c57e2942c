"""Forecasts of parts and wholes made to add up."""

import numpy as np
import pytest

from salesops.stats.reconciliation import reconcile, shrunk_covariance

# total; two regions; four lines
SUMMING = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
BASE = np.array(
    [
        [146.6, 20.8, 48.6],
        [144.3, 124.5, 106.4],
        [101.3, 61.3, 70.4],
        [161.0, 92.2, 59.4],
        [96.9, 39.9, 109.5],
        [155.9, 107.2, 137.6],
        [148.5, 83.9, 121.6],
    ]
)
ERRORS = np.array([
    [-3.8, 15.6, -2.1, 2.7, 3.1, 1.1, -6.4, -3.6, -3.5, -6.1, 1.1, 9.8, -1.9, -2.6, -16.3, 6.3, -10.5, -3.4, 6.2, -2.9, -5.1, -0.6, -2.5, -0.0],
    [-8.0, 5.4, -10.2, 0.6, 4.0, 2.9, -7.4, 1.0, -1.7, -1.2, 4.0, 6.5, -5.6, -0.1, -6.4, 3.1, -7.8, -0.0, 3.1, -1.9, -1.3, 2.0, 3.4, 10.6],
    [1.5, 9.3, 4.1, 2.6, 2.3, -2.0, -1.0, -3.6, 2.8, 0.0, 4.2, 6.3, 6.8, -8.0, -7.9, 5.4, -9.5, -0.9, -1.0, -0.1, -4.1, -1.0, -2.3, -5.7],
    [0.2, 9.2, 2.1, 1.7, 3.2, 2.0, 0.5, 1.3, -0.1, -6.6, 5.3, 3.7, -3.4, 1.3, -4.4, -6.5, -1.6, 0.5, -5.9, -2.0, 4.0, 1.0, 2.3, 2.0],
    [-7.4, 3.8, -8.0, 0.5, -1.1, -0.4, -5.3, -1.1, -3.6, -0.8, -1.3, 4.6, -6.0, -4.0, 1.3, 9.4, -5.1, -0.4, 2.1, -5.9, -5.1, 0.8, -1.0, 3.1],
    [-3.1, 1.5, 0.5, 2.1, -1.7, 3.3, 0.5, -0.3, -4.6, -0.2, -1.9, 2.4, -1.1, 2.1, 0.9, 4.8, -6.4, -3.9, -3.2, -1.7, -3.2, -4.6, -3.2, -5.2],
    [2.3, 8.2, 4.6, -1.5, -1.6, -1.4, 1.1, -1.2, 1.8, -5.6, 0.9, 0.7, 5.9, -7.4, -6.4, 2.2, -1.8, 3.4, 1.6, -2.6, 2.3, 5.5, -0.2, -0.9],
])  # fmt: skip
# hierarchicalforecast 1.5.3, MinTrace("ols") and MinTrace("mint_shrink", mint_shr_ridge=0), its first three rows
OLS = [
    [234.271428571429, 111.142857142857, 139.442857142857],
    [123.719047619048, 66.804761904762, 66.671428571429],
    [110.552380952381, 44.338095238095, 72.771428571429],
]
SHRUNK = [
    [271.071893530627, 140.590151559237, 176.661337208725],
    [120.048480567295, 55.235653160529, 58.389256157361],
    [151.023412963332, 85.354498398709, 118.272081051364],
]


def test_ordinary_least_squares_is_that_of_hierarchicalforecast():
    np.testing.assert_allclose(reconcile(BASE, SUMMING)[:3], OLS, rtol=1e-8)


def test_shrinkage_is_that_of_hierarchicalforecast():
    np.testing.assert_allclose(reconcile(BASE, SUMMING, errors=ERRORS)[:3], SHRUNK, rtol=1e-7)


def test_it_is_the_formula_of_the_paper():
    """G = (S' W^-1 S)^-1 S' W^-1."""
    inverse = np.linalg.inv(shrunk_covariance(ERRORS))
    through = np.linalg.solve(SUMMING.T @ inverse @ SUMMING, SUMMING.T @ inverse)
    np.testing.assert_allclose(reconcile(BASE, SUMMING, errors=ERRORS), SUMMING @ through @ BASE, rtol=1e-8)


@pytest.mark.parametrize("errors", [None, ERRORS, np.zeros((7, 9)), ERRORS[:, :2], np.full((7, 9), np.nan),
                                    ERRORS * [[1], [1], [1], [0], [1], [1], [1]]])  # fmt: skip
def test_every_whole_is_the_sum_of_its_parts(errors):
    found = reconcile(BASE, SUMMING, errors=errors)
    assert np.abs(found - SUMMING @ found[3:]).max() <= 1e-9 and np.isfinite(found).all()


def test_what_adds_up_already_is_left_alone():
    whole = SUMMING @ BASE[3:]
    np.testing.assert_allclose(reconcile(whole, SUMMING, errors=ERRORS), whole, rtol=1e-10)


def test_without_wholes_nothing_changes():
    np.testing.assert_array_equal(reconcile(BASE[3:], np.eye(4)), BASE[3:])


def test_a_time_with_a_missing_error_is_left_out():
    gap = ERRORS.copy()
    gap[2, 5] = np.nan
    np.testing.assert_allclose(shrunk_covariance(gap), shrunk_covariance(np.delete(ERRORS, 5, axis=1)))


def test_the_wholes_that_err_least_give_way_least():
    errors = ERRORS * np.array([0.01, 1, 1, 1, 1, 1, 1])[:, None]
    moved = np.abs(reconcile(BASE, SUMMING, errors=errors) - BASE)
    assert moved[0].max() < 0.02 * moved[3:].max()
