"""One row per group, for statistics that take the rows of a group at once."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pandas as pd

from salesops.stats import codes


def rows_of_each(
    groups: pd.DataFrame, rows: pd.DataFrame, one_group: Callable[[pd.DataFrame], dict[str, float]]
) -> pd.DataFrame:
    """What a function says of each group's rows, also of a group that has none.

    Parameters
    ----------
    groups
        The groups, one row each, in the order wanted; a missing key is a group.
    rows
        Rows with the columns of `groups`.
    one_group
        Takes the rows of a group and gives its columns.

    Returns
    -------
    DataFrame
        The groups with those columns.

    Examples
    --------
    >>> groups = pd.DataFrame({"kind": ["b", "a"]})
    >>> rows = pd.DataFrame({"kind": ["a", "a"], "size": [1, 2]})
    >>> rows_of_each(groups, rows, lambda each: {"n": len(each), "total": int(each["size"].sum())})
      kind  n  total
    0    b  0      0
    1    a  2      3
    """
    groups = groups.reset_index(drop=True)
    number = codes.groups_of(groups, rows)
    order = np.argsort(number, kind="stable")
    starts = np.searchsorted(number[order], np.arange(len(groups) + 1))
    pieces = [order[first:last] for first, last in pairwise(starts)]
    found = [one_group(rows.iloc[piece].reset_index(drop=True)) for piece in pieces]
    columns = found[0] if found else one_group(rows.iloc[:0])
    return groups.join(pd.DataFrame(found, columns=list(columns)))


def of_column(rows: pd.DataFrame, by: str | None) -> pd.DataFrame:
    """The groups of a column, in order, a missing one last; without a column the one group of all, which has no key.

    Examples
    --------
    >>> of_column(pd.DataFrame({"kind": ["b", "a", "b", None]}), "kind")["kind"].fillna("none").tolist()
    ['a', 'b', 'none']
    >>> of_column(pd.DataFrame({"kind": ["b"]}), None).shape
    (1, 0)
    """
    return rows[[by]].drop_duplicates().sort_values(by) if by else pd.DataFrame(index=[0])


def tables_of_each(
    rows: pd.DataFrame, by: str | None, one_table: Callable[[pd.DataFrame], pd.DataFrame]
) -> pd.DataFrame:
    """The tables a function makes of each group's rows, one under the other, largest group first.

    Parameters
    ----------
    rows
        Rows with the column `by`; a missing key is a group.
    by
        Column to group on; None makes one table of all rows.
    one_table
        Takes the rows of a group and gives its table.

    Returns
    -------
    DataFrame
        `by` and the columns of the tables.

    Examples
    --------
    >>> rows = pd.DataFrame({"kind": ["a", "b", "b"], "size": [1, 2, 3]})
    >>> tables_of_each(rows, "kind", lambda each: each[["size"]] * 10)
      kind  size
    0    b    20
    1    b    30
    2    a    10
    """
    if by is None:
        return one_table(rows).reset_index(drop=True)
    pieces = sorted(rows.groupby(by, observed=True, dropna=False), key=lambda piece: -len(piece[1]))
    made = [(name, one_table(piece)) for name, piece in pieces] or [(None, one_table(rows))]
    names = pd.Series([name for name, table in made for _ in range(len(table))], dtype=rows[by].dtype, name=by)
    stacked = pd.concat([table for _, table in made], ignore_index=True)
    return pd.concat([names, stacked], axis=1)


def clusters(column: pd.Series) -> np.ndarray:
    """The number of what each row belongs to; a row that belongs to nothing known stands alone.

    Examples
    --------
    >>> clusters(pd.Series(["b", None, "a", "b"])).tolist()
    [0, 2, 1, 0]
    """
    number = pd.factorize(column)[0]
    alone = number < 0
    number[alone] = number.max(initial=-1) + 1 + np.arange(alone.sum())
    return number
