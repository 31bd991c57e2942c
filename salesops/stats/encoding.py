"""Columns of any kind as numbers of one scale, learnt on some rows and used on others."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

MIN_N = 20  # rows a level needs for a column of its own
_SKEWED = 1.0  # skewness from which a number that is never negative is taken as its logarithm


class Coded(NamedTuple):
    """A frame's columns as arrays: floats, or level numbers with how many levels there are (0 for a number)."""

    names: tuple[str, ...]
    values: tuple[np.ndarray, ...]
    n_levels: tuple[int, ...]
    levels: tuple[pd.Index | None, ...]  # in the order of their numbers


class Encoder(NamedTuple):
    """What was learnt of each column; see `learn`. Rules are (column, kind, parameters …)."""

    rules: tuple[tuple, ...]
    owner: np.ndarray  # number of the column that each column of the matrix comes from


def coded(frame: pd.DataFrame, columns: Sequence[str]) -> Coded:
    """The columns of a frame, ready to be encoded again and again.

    Numbers stay numbers; flags, texts and dates are levels, and a missing one is a level.

    Examples
    --------
    >>> coded(pd.DataFrame({"size": [1.0, 2.0], "kind": ["a", None]}), ["kind", "size"]).n_levels
    (2, 0)
    """
    values, levels = [], []
    for name in columns:
        column = frame[name]
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            values.append(column.to_numpy(dtype=float, na_value=np.nan))
            levels.append(None)
        else:
            codes, found = pd.factorize(column, use_na_sentinel=False, sort=False)
            values.append(codes)
            levels.append(pd.Index(found))
    counts = tuple(0 if each is None else len(each) for each in levels)
    return Coded(tuple(columns), tuple(values), counts, tuple(levels))


def joined(first: Coded, rows: np.ndarray, then: Coded) -> Coded:
    """Some rows of one frame and after them all rows of another, as if they had been coded together.

    Examples
    --------
    >>> one, other = (coded(pd.DataFrame({"kind": list(kinds)}), ["kind"]) for kinds in ("abc", "cd"))
    >>> found = joined(one, np.array([1, 2]), other)
    >>> found.values[0].tolist(), found.n_levels
    ([0, 1, 1, 2], (3,))
    """
    values, counts, levels = [], [], []
    for one, other, known, new in zip(first.values, then.values, first.levels, then.levels, strict=True):
        if known is None:
            values.append(np.concatenate([one[rows], other]))
            counts.append(0)
            levels.append(None)
            continue
        number, every = pd.factorize(known.append(new), use_na_sentinel=False)
        codes, kept = pd.factorize(np.concatenate([one[rows], number[len(known) :][other]]))
        values.append(codes)
        counts.append(len(kept))
        levels.append(every[kept])
    return Coded(first.names, tuple(values), tuple(counts), tuple(levels))


def learn(columns: Coded, rows: np.ndarray, *, min_n: int = MIN_N) -> Encoder:
    """What to make of each column, from some rows.

    A level of at least `min_n` rows gets a column, the others share one where they are as many
    together; all are 1 or 0 less their mean. A number is centred and scaled to a standard
    deviation of 1, its logarithm where it is skewed, cut at the ends seen; where it is missing it is
    the mean, and a column says so.

    Examples
    --------
    >>> columns = coded(pd.DataFrame({"kind": ["a", "a", "b", "b"], "size": [1.0, 2, 3, np.nan]}), ["kind", "size"])
    >>> encode(learn(columns, np.arange(4), min_n=1), columns, np.array([0, 3])).round(2).tolist()
    [[0.5, -0.5, -1.22, -0.25], [-0.5, 0.5, 0.0, 0.75]]
    """
    rules, owner = [], []
    for number, (values, levels) in enumerate(zip(columns.values, columns.n_levels, strict=True)):
        found = _level_rules(values[rows], levels, min_n) if levels else _number_rules(values[rows])
        rules += [(number, *rule) for rule in found]
        owner += [number] * len(found)
    return Encoder(tuple(rules), np.array(owner, dtype=int))


def encode(encoder: Encoder, columns: Coded, rows: np.ndarray, *, constant: bool = False) -> np.ndarray:
    """The matrix of the rows: one column per rule, behind one of ones where a `constant` is asked for."""
    matrix = np.ones((len(rows), constant + len(encoder.rules)))
    for place, (number, kind, *rule) in enumerate(encoder.rules, start=int(constant)):
        values = columns.values[number][rows]
        if kind == "levels":
            members, mean = rule
            matrix[:, place] = (members - mean)[np.minimum(values, len(members) - 1)]
        elif kind == "missing":
            matrix[:, place] = np.isnan(values) - rule[0]
        else:
            is_log, low, high, mean, deviation = rule
            seen = _scaled(np.clip(values, low, high), is_log)
            matrix[:, place] = np.nan_to_num((seen - mean) / deviation)
    return matrix


def _level_rules(codes: np.ndarray, n_levels: int, min_n: int) -> list[tuple]:
    counts = np.bincount(codes, minlength=n_levels)
    common = counts >= min_n
    rules = []
    for level in np.flatnonzero(common):
        rules.append(("levels", np.arange(n_levels) == level, counts[level] / len(codes)))
    if counts[~common].sum() >= min_n:
        rules.append(("levels", ~common, counts[~common].sum() / len(codes)))
    return rules if len(rules) > 1 or (rules and not common.all()) else []


def _number_rules(values: np.ndarray) -> list[tuple]:
    known = values[~np.isnan(values)]
    share = 1 - len(known) / max(len(values), 1)
    missing = [("missing", share)] if 0 < share < 1 else []
    if not len(known) or np.ptp(known) == 0:
        return missing
    low, high = known.min(), known.max()
    centred = known - known.mean()
    is_log = bool(low >= 0 and centred @ centred**2 > len(known) * _SKEWED * known.std() ** 3)
    seen = _scaled(known, is_log)
    return [("number", is_log, low, high, seen.mean(), seen.std()), *missing]


def _scaled(values: np.ndarray, is_log: bool) -> np.ndarray:
    return np.log1p(values) if is_log else values
