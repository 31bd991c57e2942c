"""Weighted products of a table's columns, the work of every Newton step."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.special import expit

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
    root = np.sqrt(weight)[:, None]

    def of_block(rows: slice) -> np.ndarray:
        block = design[rows] * root[rows]
        return block.T @ block

    return _summed(of_block, len(design))


def logistic(design: np.ndarray, outcome: np.ndarray, weight: np.ndarray, beta: np.ndarray) -> tuple[np.ndarray, ...]:
    """First derivatives of a logistic log-likelihood, and the second ones with their sign turned; the table read once.

    Parameters
    ----------
    design
        Rows by columns.
    outcome
        0 or 1 for each row.
    weight
        Of each row, 0 or more.
    beta
        A coefficient a column.

    Examples
    --------
    >>> score, information = logistic(np.ones((4, 1)), np.array([1.0, 0, 1, 1]), np.ones(4), np.zeros(1))
    >>> score.tolist(), information.tolist()
    ([1.0], [[1.0]])
    """

    def of_block(rows: slice) -> np.ndarray:
        part, w = design[rows], weight[rows]
        p = expit(part @ beta)
        block = part * np.sqrt(w * p * (1 - p))[:, None]
        return np.vstack([(w * (outcome[rows] - p)) @ part, block.T @ block])

    found = _summed(of_block, len(design))
    return found[0], found[1:]


def _summed(of_block: Callable[[slice], np.ndarray], n: int) -> np.ndarray:
    """The sum over blocks of rows: those of a part in turn, and then the parts'."""

    def of_part(first: int) -> np.ndarray:
        last = min(first + _PART, n)
        return sum(of_block(slice(at, min(at + _ROWS, last))) for at in range(first, max(last, 1), _ROWS))

    starts = range(0, max(n, 1), _PART)
    if len(starts) < 2 or _THREADS < 2:
        return sum(map(of_part, starts))
    with ThreadPoolExecutor(_THREADS) as threads:
        return sum(threads.map(of_part, starts))
