"""Square roots of covariance matrices that are one and the same on every machine."""

import numpy as np


def square_root(covariance: np.ndarray) -> np.ndarray:
    """The symmetric square root: standard normal columns times it have the covariance.

    Eigenvectors are only known but for their sign, and those of equal eigenvalues not even that: draws through them
    alone differ from one linear algebra library to the next, and with its number of threads. The symmetric root is
    unique, and exists where a covariance is singular, as Cholesky's does not. Eigenvalues that rounding has left
    below zero count as none.

    Parameters
    ----------
    covariance
        Symmetric, positive semi-definite (K by K).

    Returns
    -------
    numpy.ndarray
        K by K; its product with itself is `covariance`.

    References
    ----------
    Higham (2008), Functions of Matrices, section 6.1.

    Examples
    --------
    >>> square_root(np.array([[2.0, 1.0], [1.0, 2.0]])).round(3).tolist()
    [[1.366, 0.366], [0.366, 1.366]]
    >>> square_root(np.zeros((1, 1))).tolist()
    [[0.0]]
    """
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T
