"""Text columns from numbers, without a loop over rows."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc


def labels(codes: np.ndarray, words: Sequence[str | None]) -> pd.Series:
    """The word of each code; a negative code is missing.

    Examples
    --------
    >>> labels(np.array([1, -1, 0]), ["no", "yes"]).tolist()
    ['yes', nan, 'no']
    """
    codes = np.asarray(codes)
    taken = pa.array(words, pa.large_string()).take(pa.array(codes.astype(np.int64), mask=codes < 0))
    return series(taken)


def series(array: pa.Array) -> pd.Series:
    """An Arrow array of text as a column."""
    return pd.Series(pd.array(array, dtype="str"))


def ids(prefix: str, numbers: np.ndarray, width: int = 7) -> pd.Series:
    """Identifiers such as ``D-0000042``; a negative number is missing.

    Examples
    --------
    >>> ids("D-", np.array([0, 41, -1]), 4).tolist()
    ['D-0001', 'D-0042', nan]
    """
    numbers = np.asarray(numbers, dtype=np.int64)
    digits = pc.utf8_lpad(pc.cast(pa.array(numbers + 1, mask=numbers < 0), pa.large_string()), width, "0")
    before, between = (pa.scalar(part, pa.large_string()) for part in (prefix, ""))
    return series(pc.binary_join_element_wise(before, digits, between))


def join(separator: str, *parts: pd.Series) -> pd.Series:
    """Texts of several columns set one after the other."""
    arrays = [pa.array(part, pa.large_string()) for part in parts]
    return series(pc.binary_join_element_wise(*arrays, pa.scalar(separator, pa.large_string())))
