"""The square root of a covariance: one and the same however the linear algebra turns its vectors."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import sqrtm

from salesops.stats.covariance import square_root


@pytest.mark.parametrize("rank", [1, 3, 5])
def test_its_product_with_itself_is_the_covariance(rank):
    half = np.random.default_rng(rank).standard_normal((5, rank))
    covariance = half @ half.T

    assert_allclose(square_root(covariance) @ square_root(covariance), covariance, atol=1e-12)


def test_it_is_scipys_principal_root():
    half = np.random.default_rng(8).standard_normal((4, 9))

    assert_allclose(square_root(half @ half.T), sqrtm(half @ half.T), atol=1e-10)


def test_the_sign_of_the_vectors_does_not_matter(monkeypatch):
    half = np.random.default_rng(9).standard_normal((4, 9))
    covariance = half @ half.T
    plain, values_and_vectors = square_root(covariance), np.linalg.eigh(covariance)
    monkeypatch.setattr(np.linalg, "eigh", lambda _: (values_and_vectors[0], values_and_vectors[1] * [1, -1, 1, -1]))

    assert_allclose(square_root(covariance), plain, atol=1e-12)


def test_what_rounding_left_below_zero_is_none():
    assert square_root(np.diag([4.0, -1e-18])).tolist() == [[2.0, 0.0], [0.0, 0.0]]
