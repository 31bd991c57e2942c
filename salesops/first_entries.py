"""First entries: deals as they first come to each stage, what came of them there."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from salesops import checks, journey
from salesops.stats import groups

_PLACE = ["pipeline", "stage", "position"]


class Entries(NamedTuple):
    """First entries of deals to stages, followed to what came of them, and the stages they came beyond unseen."""

    rows: pd.DataFrame
    passes: pd.DataFrame


def entries(visits: pd.DataFrame, *, by: str | None = None) -> Entries:
    """Each deal's first entry to each stage, followed as `journey.progress` does, and the stages it came beyond unseen.

    Parameters
    ----------
    visits
        Of `journey.stage_visits`; with ``account_id`` where the deals of one company count together.
    by
        Column to group on.

    Returns
    -------
    Entries
        ``rows``, one per deal and stage: ``pipeline, stage, position``, `by`, ``entered_at``, ``exit`` (of that stay),
        ``cause`` and ``days`` (of `journey.progress`), ``is_reentered``, ``cluster`` (what counts together) and
        ``entry_days`` where it is known. ``passes``, one per deal and place it came beyond without entering:
        ``pipeline, position``, `by` and ``passed_at``.

    Examples
    --------
    >>> visits = pd.DataFrame({
    ...     "opportunity_id": "A", "visit": [1, 2], "pipeline": "new", "stage": ["Qualify", "Close"],
    ...     "position": [1, 3], "entered_at": pd.to_datetime(["2026-07-01", "2026-07-05"]),
    ...     "exited_at": pd.to_datetime(["2026-07-05", None]), "exit": ["skip", "still_there"], "is_reentry": False,
    ...     "days": [4.0, 15.0]})
    >>> other = visits.assign(opportunity_id="B", stage=["Qualify", "Propose"], position=[1, 2])
    >>> found = entries(pd.concat([visits, other], ignore_index=True))
    >>> found.rows[["stage", "cause", "days"]].head(2).values.tolist(), found.passes[["position"]].values.tolist()
    ([['Qualify', 'advanced', 4.0], ['Close', nan, 15.0]], [[2]])
    """
    checks.require_columns(visits, ["entered_at", "exit", "days", *([by] if by else [])])
    rows = journey.progress(visits)
    cluster = groups.clusters(rows["account_id"]) if "account_id" in rows else rows["deal"]
    shared = list(dict.fromkeys(["pipeline", *([by] if by not in (None, "stage") else [])]))
    needed = dict.fromkeys([*_PLACE, *shared, "entered_at", "exit", "cause", "days", "is_reentered"])
    needed = [*needed, *rows.columns.intersection(["entry_days"])]
    return Entries(rows[needed].assign(cluster=cluster)[~rows["is_reentry"]], _passes(rows, shared))


def _passes(rows: pd.DataFrame, shared: list[str]) -> pd.DataFrame:
    """When each deal of each group first came beyond each place that it never entered."""
    unit = rows.groupby([*shared, "deal"], dropna=False, sort=False).ngroup()
    steps = rows[["position", "entered_at", "exited_at", "exit"]].assign(deal=unit)
    units = rows[shared].assign(unit=unit).drop_duplicates("unit").set_index("unit")
    passed = {place: journey.skipped(steps, place).dropna() for place in np.sort(rows["position"].unique())}
    found = [units.loc[at.index].assign(position=place, passed_at=at) for place, at in passed.items()]
    return pd.concat(found, ignore_index=True) if found else units.assign(position=0, passed_at=pd.NaT)
