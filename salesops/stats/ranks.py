"""Values by number, smallest first: of any part of the rows the ranks are then a matter of counting."""

from typing import NamedTuple

import numpy as np
import pandas as pd


class Levels(NamedTuple):
    """Which of the distinct values each row has, counted from the smallest; -1 where it has none."""

    place: np.ndarray
    n: int


def levels(values) -> Levels:
    """The distinct values of some numbers, and which of them each row has.

    Examples
    --------
    >>> levels([30.0, 10.0, np.nan, 30.0])
    Levels(place=array([ 1,  0, -1,  1]), n=2)
    """
    place, found = pd.factorize(np.asarray(values, dtype=float), sort=True)
    return Levels(place, len(found))


def of_levels(counts: np.ndarray) -> np.ndarray:
    """The rank that each level's rows share, the mean of theirs, from how many rows each has.

    Examples
    --------
    >>> of_levels(np.array([1, 2, 1])).tolist()
    [1.0, 2.5, 4.0]
    """
    return np.cumsum(counts) - (counts - 1) / 2


def ranks(found: Levels, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
    """The rank of each row among some rows, from 1, equal ones sharing the mean; missing where the value is.

    Examples
    --------
    >>> ranks(levels([30.0, 10.0, np.nan, 30.0])), ranks(levels([30.0, 10.0, 20.0]), np.array([True, False, True]))
    (array([2.5, 1. , nan, 2.5]), array([2., 1.]))
    """
    place = found.place[rows]
    counts = np.bincount(place + 1, minlength=found.n + 1)[1:]
    return np.append(of_levels(counts), np.nan)[place]
