"""Numbers in place of names: where millions of rows are matched and ordered, names are looked at once."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc


def places(column: pd.Series, among: pd.Series) -> np.ndarray:
    """The place of each name among others that are all different, -1 where it is not there or missing.

    Examples
    --------
    >>> places(pd.Series(["b", None, "a", "z"]), pd.Series(["a", "b"])).tolist()
    [1, -1, 0, -1]
    """
    if not (pd.api.types.is_string_dtype(column.dtype) and pd.api.types.is_string_dtype(among.dtype)):
        found = pd.Index(among).get_indexer(column)
        return np.where(column.isna(), -1, found)
    names, others = (pa.array(each.astype("str"), type=pa.large_string()) for each in (column, among))
    found = pc.index_in(names, value_set=others, skip_nulls=True)
    return found.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)


def groups_of(groups: pd.DataFrame, rows: pd.DataFrame) -> np.ndarray:
    """The group of each row, by number; -1 where it is of none. A missing key is a key.

    Examples
    --------
    >>> groups = pd.DataFrame({"kind": ["b", None]})
    >>> groups_of(groups, pd.DataFrame({"kind": ["a", "b", None]})).tolist()
    [-1, 0, 1]
    """
    code = np.zeros(len(groups) + len(rows), dtype=np.int64)
    for name in groups.columns:
        both = pd.concat([groups[name], rows[name]], ignore_index=True)
        part, values = pd.factorize(both, use_na_sentinel=False)
        code = code * max(len(values), 1) + part
    return pd.Index(code[: len(groups)]).get_indexer(code[len(groups) :])


def order(*keys) -> np.ndarray | None:
    """The order of rows by the first key, then by the next; a missing one is last. Nothing where they are in it.

    Examples
    --------
    >>> order([1, 1, 2], [3, 4, 1]) is None, order([1, 2, 1], [3, 1, 2]).tolist()
    (True, [2, 0, 1])
    """
    numbers = [_number(key) for key in keys]
    if _is_in_order(numbers):
        return None
    # Rows often come in a few long runs, or group by group: then this is all there is to do, and quick.
    order = np.argsort(numbers[0], kind="stable")
    return order if _is_in_order([number[order] for number in numbers]) else np.lexsort(numbers[::-1])


def ordered(number: np.ndarray, *keys) -> np.ndarray:
    """The rows with a number of at least 0, by it and then by the keys.

    Examples
    --------
    >>> ordered(np.array([1, -1, 0, 0]), [3, 1, 2, 1]).tolist()
    [3, 2, 0]
    """
    rows = np.flatnonzero(number >= 0)
    found = order(number[rows], *(pd.Series(key).take(rows) for key in keys))
    return rows if found is None else rows[found]


def following(is_known: np.ndarray) -> np.ndarray:
    """For each row, the first row from it on that is known; the number of rows where there is none.

    Examples
    --------
    >>> following(np.array([False, True, False])).tolist()
    [1, 1, 3]
    """
    here = np.where(is_known, np.arange(len(is_known)), len(is_known))
    return np.minimum.accumulate(here[::-1])[::-1]


def _is_in_order(numbers: list[np.ndarray]) -> bool:
    in_order = np.ones(max(len(numbers[0]) - 1, 0), dtype=bool)
    for number in reversed(numbers):
        in_order = (number[1:] > number[:-1]) | ((number[1:] == number[:-1]) & in_order)
    return bool(in_order.all())


def _number(key) -> np.ndarray:
    column = pd.Series(key)
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return column.fillna(pd.Timestamp.max.as_unit(column.dt.unit)).to_numpy().view(np.int64)
    if column.isna().any():
        return column.to_numpy(dtype=float, na_value=np.inf)
    return column.to_numpy(dtype=float) if column.dtype == object else column.to_numpy()
