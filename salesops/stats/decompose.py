"""Why a figure changed: its change split among the factors it is made of, whatever their order."""

from collections.abc import Callable, Sequence
from itertools import combinations
from math import factorial

import numpy as np


def effects(
    function: Callable[..., np.ndarray], before: Sequence[np.ndarray], after: Sequence[np.ndarray]
) -> np.ndarray:
    """Part of a change that each factor brought; the parts sum to the change.

    Each factor is moved from its value before to its value after while the others stand at
    either; the moves are averaged over all orders in which the factors could have changed. So
    no order is preferred and nothing is left over. This is Das Gupta's decomposition, and the
    Shapley value of the factors.

    Parameters
    ----------
    function
        Takes the factors and gives the figure, a number or an array; asked once for each of the
        ``2 ** k`` combinations.
    before, after
        The `k` factors, numbers or arrays.

    Returns
    -------
    array
        The parts, one a factor along the first axis.

    References
    ----------
    Das Gupta (1993), Standardization and Decomposition of Rates, US Census Bureau P23-186;
    Shapley (1953), Contributions to the Theory of Games II:307-317.

    Examples
    --------
    >>> velocity = lambda n, rate, amount, days: n * rate * amount / days
    >>> parts = effects(velocity, (100, 0.25, 20_000, 50), (110, 0.22, 21_000, 55))
    >>> parts.round(1).tolist(), round(float(parts.sum()), 1)
    ([919.8, -1231.9, 470.7, -918.7], -760.0)
    """
    k = len(before)
    known = {chosen: _figure(function, before, after, chosen) for chosen in _subsets(range(k))}
    parts = [
        sum(
            _weight(len(chosen), k) * (known[tuple(sorted((*chosen, factor)))] - known[chosen])
            for chosen in _subsets(each for each in range(k) if each != factor)
        )
        for factor in range(k)
    ]
    return np.array(parts)


def product_effects(before: Sequence[float], after: Sequence[float]) -> np.ndarray:
    """Part of each factor in the change of their product.

    References
    ----------
    Das Gupta (1993), example 2.5: births per woman as the product of four factors.

    Examples
    --------
    >>> product_effects([25.3, 0.214, 0.279, 0.949], [32.7, 0.29, 0.473, 0.986]).round(7).tolist()
    [0.6889411, 0.8125381, 1.3829055, 0.1047547]
    """
    return effects(lambda *factors: np.prod(np.array(factors, dtype=float), axis=0), before, after)


def structure(n: np.ndarray, dimensions: int = 1) -> list[np.ndarray]:
    """Each cell's share of all as a product of one factor a dimension.

    The factor of a dimension is the geometric mean, over all orders of the dimensions, of its
    share within the cells of those before it: for two, ``sqrt(n_ij / n_.j * n_i. / n)``. An
    empty cell has factors of zero.

    Parameters
    ----------
    n
        Counts; the last `dimensions` axes are the dimensions, any others are repeated draws.
    dimensions
        How many.

    Returns
    -------
    list of arrays
        One factor a dimension, each of the shape of `n`; their product is ``n`` over its sum.

    References
    ----------
    Das Gupta (1993), ch. 5, and (1991), J. Off. Stat. 7:283-303.

    Examples
    --------
    >>> first, second = structure(np.array([[10.0, 30.0], [40.0, 20.0]]), 2)
    >>> (first * second).round(3).tolist()
    [[0.1, 0.3], [0.4, 0.2]]
    """
    n = np.asarray(n, dtype=float)
    axes = range(n.ndim - dimensions, n.ndim)
    with np.errstate(divide="ignore"):
        logs = {
            kept: np.log(n.sum(axis=tuple(axis for axis in axes if axis not in kept), keepdims=True))
            for kept in _subsets(axes)
        }
    factors = []
    for axis in axes:
        others = _subsets(other for other in axes if other != axis)
        with np.errstate(invalid="ignore"):
            logarithm = sum(
                _weight(len(kept), dimensions) * (logs[tuple(sorted((*kept, axis)))] - logs[kept]) for kept in others
            )
        factors.append(np.where(n > 0, np.exp(np.broadcast_to(logarithm, n.shape)), 0.0))
    return factors


def mix_and_rate(
    n_before: np.ndarray, rate_before: np.ndarray, n_after: np.ndarray, rate_after: np.ndarray, dimensions: int = 1
) -> np.ndarray:
    """A change of a mean rate as change of mix, one part a dimension, and change of the cells' rates.

    With one dimension it is Kitagawa's ``sum(dw * r)`` and ``sum(w * dr)``, each at the mean of
    the other. A cell that is there at one time only has its rate of that time at both: its coming
    or going is mix.

    Parameters
    ----------
    n_before, n_after
        Counts; the last `dimensions` axes are the dimensions, any others are repeated draws.
    rate_before, rate_after
        The cells' rates; what an empty cell has is not read.
    dimensions
        How many.

    Returns
    -------
    array
        Along the first axis the mix part of each dimension, then the rate part. Missing where
        there is nothing before or nothing after.

    References
    ----------
    Kitagawa (1955), J. Am. Stat. Assoc. 50:1168-1194; Das Gupta (1993), ch. 5.

    Examples
    --------
    >>> mix_and_rate([60, 40], [0.1, 0.4], [80, 20], [0.1, 0.4]).round(3).tolist()
    [-0.06, 0.0]
    """
    n_before, n_after = np.asarray(n_before, dtype=float), np.asarray(n_after, dtype=float)
    rates = rates_at_both(n_before, rate_before, n_after, rate_after)
    axes = tuple(range(-dimensions, 0))
    before, after = structure(n_before, dimensions), structure(n_after, dimensions)
    usual = (np.prod(before, axis=0) + np.prod(after, axis=0)) / 2
    parts = effects(
        lambda *factors: _mean_rate(factors[:-1], factors[-1], usual, axes), [*before, rates[0]], [*after, rates[1]]
    )
    return np.where((n_before.sum(axis=axes) > 0) & (n_after.sum(axis=axes) > 0), parts, np.nan)


def rates_at_both(n_before, rate_before, n_after, rate_after) -> tuple[np.ndarray, np.ndarray]:
    """The cells' rates before and after; where a cell is empty, its rate of the other time, zero where it never was.

    Examples
    --------
    >>> before, after = rates_at_both([10, 0], [0.1, np.nan], [5, 5], [0.2, 0.4])
    >>> before.tolist(), after.tolist()
    ([0.1, 0.4], [0.2, 0.4])
    """
    has_before, has_after = np.asarray(n_before) > 0, np.asarray(n_after) > 0
    rate_before, rate_after = np.where(has_before, rate_before, 0.0), np.where(has_after, rate_after, 0.0)
    return np.where(has_before, rate_before, rate_after), np.where(has_after, rate_after, rate_before)


def _mean_rate(factors, rate: np.ndarray, usual: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Mean rate under a structure some of whose factors are of before and some of after, scaled to sum to one."""
    weight = np.prod(factors, axis=0)
    # No cell is filled at both times: such a structure has no weight, and the mean of the two stands in.
    weight = np.where(weight.sum(axis=axes, keepdims=True) > 0, weight, usual)
    total = weight.sum(axis=axes)
    return (weight * rate).sum(axis=axes) / np.where(total > 0, total, np.nan)


def _figure(function, before, after, chosen: tuple[int, ...]) -> np.ndarray:
    return function(*(after[i] if i in chosen else before[i] for i in range(len(before))))


def _subsets(items) -> list[tuple[int, ...]]:
    items = tuple(items)
    return [chosen for size in range(len(items) + 1) for chosen in combinations(items, size)]


def _weight(size: int, k: int) -> float:
    """Share of the orders of `k` factors in which a given set of `size` comes just before a given factor."""
    return factorial(size) * factorial(k - size - 1) / factorial(k)
