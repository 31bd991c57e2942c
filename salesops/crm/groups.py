"""Groups of people that are too small to be shown apart."""

from collections.abc import Mapping
from datetime import date

import pandas as pd

from salesops.crm.rules import Tables

OTHERS = {"team": "Other teams", "region": "Other regions", "territory": "Other territories"}


def grouped(tables: Tables, smallest: int, day: date) -> Tables:
    """Tables in which teams, regions and territories of fewer than `smallest` people are one group.

    Who counts in a team or region: its reps (of no role, or the role rep) who have not left; in a
    territory: those who ever owned a deal in it. Where even all together are fewer, the group is missing.
    """
    reps = tables["reps"]
    is_rep = (reps["role"].isna() | (reps["role"] == "rep")) & ~(reps["left_date"] < pd.Timestamp(day))
    everybody = {column: reps[[column]].assign(n=is_rep).groupby(column)["n"].sum() for column in ("team", "region")}
    deals = tables["opportunities"]
    everybody["territory"] = deals.groupby("territory")["owner_id"].nunique()
    found = tables | {"territory_assignments": tables["territory_assignments"][:0]}
    for column, sizes in everybody.items():
        names = merged(sizes, smallest, OTHERS[column])
        if not names:
            continue
        for table, frame in found.items():
            if column in frame.columns:
                into = frame[column].map(lambda cell, names=names: names.get(cell, cell), na_action="ignore")
                found[table] = frame.assign(**{column: into.astype("str")})
        for table, money in (("targets", "value"), ("actuals", "amount")):
            found[table] = _joined(found[table], column, names, money)
    return found


def merged(sizes: pd.Series, smallest: int, other: str) -> dict[str, str | None]:
    """What each group that is too small is called: the smallest ones together make one large enough.

    Examples
    --------
    >>> merged(pd.Series({"East": 9, "West": 6, "South": 2}), 5, "Other teams")
    {'South': 'Other teams', 'West': 'Other teams'}
    >>> merged(pd.Series({"East": 9, "West": 6}), 5, "Other teams"), merged(pd.Series({"East": 2}), 5, "Other teams")
    ({}, {'East': None})
    """
    ordered = sizes.sort_values(kind="stable")
    small, rest = list(ordered.index[ordered < smallest]), list(ordered.index[ordered >= smallest])
    while small and sizes[small].sum() < smallest and rest:
        small.append(rest.pop(0))
    is_enough = bool(small) and sizes[small].sum() >= smallest
    return {name: other if is_enough else None for name in small}


def _joined(plan: pd.DataFrame, column: str, names: Mapping[str, str | None], money: str) -> pd.DataFrame:
    """Plans of merged groups as one row each, their values summed; those of withheld groups are gone."""
    is_merged = (plan["scope_kind"] == column) & plan["scope_id"].isin(list(names))
    if not is_merged.any():
        return plan
    rows = plan[is_merged].assign(scope_id=plan.loc[is_merged, "scope_id"].map(names).astype("str"))
    rows = rows.dropna(subset=["scope_id"])
    keys = [name for name in rows.columns if name != money]
    sums = rows.groupby(keys, dropna=False, as_index=False)[money].sum(min_count=1)
    return pd.concat([plan[~is_merged], sums[plan.columns].astype(plan.dtypes)], ignore_index=True)
