"""What the exports of both CRMs have in common: cells as text, and histories as changes instead of states."""

from collections.abc import Sequence

import pandas as pd

from salesops.crm import model


def cells(frame: pd.DataFrame, table: str, *, day: str, moment: str) -> pd.DataFrame:
    """A table of ours with its dates and moments in the given formats, and true and false in small letters.

    Examples
    --------
    >>> frame = pd.DataFrame({"stage": ["Won"], "is_won": [True], "valid_from": pd.to_datetime(["2026-01-02"])})
    >>> cells(frame, "stages", day="%d.%m.%Y", moment="").values.tolist()
    [['Won', 'true', '02.01.2026']]
    """
    columns = [column for column in model.TABLES[table] if column.name in frame]
    times = {"date": day, "ts": moment}
    dated = {one.name: frame[one.name].dt.strftime(times[one.kind]) for one in columns if one.kind in times}
    flags = {one.name: frame[one.name].astype("str").str.lower() for one in columns if one.kind == "bool"}
    return frame.assign(**dated, **flags)


def flagged(deals: pd.DataFrame) -> pd.DataFrame:
    """Deals whose flags alone tell their outcome; both are missing where it is not known."""
    is_known = deals["outcome"].notna()
    flags = {name: deals[name].astype("boolean").where(is_known) for name in ("is_closed", "is_won")}
    return deals.drop(columns="outcome").assign(**flags)


def before(history: pd.DataFrame, column: str) -> pd.Series:
    """The value of each row's deal before the row; missing in its first. Rows are in order of deal and time.

    Examples
    --------
    >>> before(pd.DataFrame({"opportunity_id": ["a", "a", "b"], "stage": ["x", "y", "x"]}), "stage").tolist()
    [nan, 'x', nan]
    """
    return history.groupby("opportunity_id", sort=False)[column].shift()


def is_first(history: pd.DataFrame) -> pd.Series:
    """Whether a row is its deal's first."""
    return ~history["opportunity_id"].duplicated()


def changed(history: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """Whether a row is its deal's first or changes any of the columns.

    Examples
    --------
    >>> rows = pd.DataFrame({"opportunity_id": ["a", "a", "a"], "amount": [1.0, None, None]})
    >>> changed(rows, ["amount"]).tolist()
    [True, True, False]
    """
    differs = is_first(history)
    for column in columns:
        now, then = history[column], before(history, column)
        differs |= (now != then) & ~(now.isna() & then.isna())
    return differs
