"""CRMs keep changes; a stage history keeps states: the values in force after each change.

`of_changes` turns one row per changed field (Salesforce's field history, HubSpot's property
history) into one row per moment, and `of_columns` one column per stage (HubSpot's "date
entered") into one row per stage entered. Nothing here loops over rows.
"""

import re

import numpy as np
import pandas as pd

FIELDS = (
    "pipeline", "stage", "amount", "close_date", "probability", "forecast_category", "owner_id", "next_step",
)  # fmt: skip


def of_changes(changes: pd.DataFrame, deals: pd.DataFrame) -> pd.DataFrame:
    """States from changes: the values in force after each.

    A field that was never changed has its current value throughout; before its first change it
    has that change's old value, which is missing where the CRM keeps none.

    Parameters
    ----------
    changes
        ``opportunity_id, at`` (a moment), ``field`` (one of `FIELDS`; another one only dates
        the state), ``old, new``.
    deals
        The deals today: ``opportunity_id, at`` (when created) and any of `FIELDS`.

    Returns
    -------
    DataFrame
        ``opportunity_id, changed_at, seq`` and each of `FIELDS` that is known, by deal and time.

    Examples
    --------
    >>> changes = pd.DataFrame({"opportunity_id": ["d1", "d1"], "at": pd.to_datetime(["2026-02-01", "2026-03-01"]),
    ...     "field": ["stage", "amount"], "old": ["Open", "5"], "new": ["Won", None]})
    >>> deals = pd.DataFrame({"opportunity_id": ["d1"], "at": pd.to_datetime(["2026-01-01"]),
    ...     "stage": ["Won"], "amount": [None], "owner_id": ["u1"]})
    >>> of_changes(changes, deals)
      opportunity_id changed_at  seq stage amount owner_id
    0             d1 2026-01-01    1  Open      5       u1
    1             d1 2026-02-01    2   Won      5       u1
    2             d1 2026-03-01    3   Won    NaN       u1
    """
    changes, deals = changes.dropna(subset=["opportunity_id", "at"]), deals.dropna(subset=["opportunity_id"])
    states = _moments(changes, deals)
    placed = changes.merge(states.reset_index(names="row"), on=["opportunity_id", "at"])
    fields = [field for field in FIELDS if field in deals or (changes["field"] == field).any()]
    current = deals.drop_duplicates("opportunity_id").set_index("opportunity_id")
    values = {field: _in_force(states, placed[placed["field"] == field], current.get(field)) for field in fields}
    states = states.assign(seq=states.groupby("opportunity_id").cumcount() + 1, **values)
    if "stage" in fields:
        states = states[states["stage"].notna()]
    return states.rename(columns={"at": "changed_at"}).reset_index(drop=True)


def as_changes(rows: pd.DataFrame) -> pd.DataFrame:
    """Changes from rows that hold several values each, as OpportunityHistory does.

    Examples
    --------
    >>> rows = pd.DataFrame({"opportunity_id": ["d1"], "at": pd.to_datetime(["2026-02-01"]), "stage": ["Won"]})
    >>> as_changes(rows)[["field", "new"]].values.tolist()
    [['stage', 'Won']]
    """
    fields = [field for field in FIELDS if field in rows]
    melted = rows.melt(["opportunity_id", "at"], fields, var_name="field", value_name="new")
    return melted.assign(old=pd.Series(None, index=melted.index, dtype="str"))


def of_columns(frame: pd.DataFrame, id_column: str, entered: str) -> pd.DataFrame:
    """One row per stage a deal entered, from one column per stage; ``entered`` begins their names.

    Examples
    --------
    >>> deals = pd.DataFrame({"id": ["d1"], "hs_date_entered_77": ["2026-01-05"], "hs_date_entered_78": [None]})
    >>> of_columns(deals, "id", "hs_date_entered_").values.tolist()
    [['d1', '2026-01-05', '77']]
    """
    names = {name: stage_named(name, entered) for name in frame.columns if begins(name, entered)}
    # HubSpot's newer columns first: where a stage has both, they are the ones that are kept up to date
    newest = sorted(names, key=lambda name: "_v2_" not in name)
    chosen = {names[name]: name for name in reversed(newest)}
    parts = [
        pd.DataFrame({"opportunity_id": frame[id_column], "changed_at": frame[column], "stage": stage})
        for stage, column in chosen.items()
    ]
    rows = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["opportunity_id", "changed_at"])
    return rows.dropna(subset=["changed_at"]).reset_index(drop=True)


def begins(column: str, start: str) -> bool:
    """Whether a column's name begins like those of a shape, whatever its case."""
    return re.match(start, column, re.IGNORECASE) is not None


def stage_named(column: str, entered: str) -> str:
    """The stage a column of dates is about.

    Examples
    --------
    >>> stage_named('Date entered "Closed won (Sales)"', "date entered ")
    'Closed won (Sales)'
    """
    return re.sub(entered, "", column, count=1, flags=re.IGNORECASE).strip(" \"'“”")


def _moments(changes: pd.DataFrame, deals: pd.DataFrame) -> pd.DataFrame:
    """Each deal's moments in order: when it was created, where nothing changed before, and its changes."""
    first = changes.groupby("opportunity_id")["at"].min().reindex(deals["opportunity_id"]).set_axis(deals.index)
    born = deals.loc[deals["at"].notna() & ~(deals["at"] > first), ["opportunity_id", "at"]]
    moments = pd.concat([changes[["opportunity_id", "at"]], born]).drop_duplicates()
    return moments.sort_values(["opportunity_id", "at"], kind="stable", ignore_index=True)


def _in_force(states: pd.DataFrame, own: pd.DataFrame, current: pd.Series | None) -> np.ndarray:
    """A field's value at each state, from the rows of its changes and the deals' current values."""
    rows = np.arange(len(states))
    ids = states["opportunity_id"]
    changed = np.zeros(len(states), dtype=bool)
    changed[own["row"]] = True
    last = own.drop_duplicates("row", keep="last").set_index("row")["new"].reindex(rows).to_numpy(dtype=object)
    latest = np.maximum.accumulate(np.where(changed, rows, -1)) if len(rows) else rows
    began = np.maximum.accumulate(np.where(ids.ne(ids.shift()), rows, 0)) if len(rows) else rows
    initial = own.sort_values("row", kind="stable").drop_duplicates("opportunity_id").set_index("opportunity_id")["old"]
    known = {} if current is None else current.drop(index=initial.index, errors="ignore")
    before = pd.concat([initial.astype(object), pd.Series(known, dtype=object)]).reindex(ids).to_numpy(dtype=object)
    values = np.where(latest >= began, last[latest], before)
    return pd.Series(values, dtype="str").to_numpy(dtype=object)
