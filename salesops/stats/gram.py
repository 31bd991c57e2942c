"""Weighted products of a table's columns, the work of every Newton step."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

_ROWS = 4096  # a block of them stays in the processor's cache
_PART = 16 * _ROWS  # rows that a thread takes at once; so many everywhere, that sums have one order
# BLAS has one thread in a report's kernel, for the sake of one order there too. Where it has more it shares the work
# itself, and threads beside its own would only wait for each other.
_THREADS = os.cpu_count() if os.environ.get("OMP_NUM_THREADS") == "1" else 1


def gram(design: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """``design.T @ diag(weight) @ design`` for weights not below nothing, without a weighted copy of the table.

    Only one triangle is computed: half the work of a product of two tables. The processors share a large table; how
    many there are changes no digit.

    Parameters
    ----------
    design
        Rows by columns.
    weight
        Of each row, 0 or more.

    Examples
    --------
    >>> gram(np.array([[1.0, 2], [1, 3]]), np.array([1.0, 2])).round(9).tolist()
    [[3.0, 8.0], [8.0, 22.0]]
    """
    parts = [slice(first, first + _PART) for first in range(0, len(design), _PART)]
    if len(parts) < 2 or _THREADS < 2:
        return sum((_of_part(design[rows], weight[rows]) for rows in parts), np.zeros(2 * design.shape[1:]))
    with ThreadPoolExecutor(_THREADS) as threads:
        return sum(threads.map(lambda rows: _of_part(design[rows], weight[rows]), parts))


def _of_part(design: np.ndarray, weight: np.ndarray) -> np.ndarray:
    root, found = np.sqrt(weight)[:, None], np.zeros((design.shape[1], design.shape[1]))
    for first in range(0, len(design), _ROWS):
        block = design[first : first + _ROWS] * root[first : first + _ROWS]
        found += block.T @ block
    return found
