"""Journeys: the stays of deals in stages, how each stay ended, and how far the deal came from there."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from salesops import checks

_DAY = pd.Timedelta(days=1)
_HISTORY = ["opportunity_id", "changed_at", "seq", "pipeline", "stage"]
_STAGES = ["pipeline", "stage", "valid_from", "position", "is_closed", "is_won"]
_DEALS = ["opportunity_id", "pipeline", "is_closed", "is_won", "close_date", "closed_at"]


def stage_visits(
    stage_history: pd.DataFrame,
    *,
    stages: pd.DataFrame,
    opportunities: pd.DataFrame,
    as_of: date,
    carry: Sequence[str] = (),
) -> pd.DataFrame:
    """One row per stay of a deal in an open stage: when it came, when it left, and how.

    A row of the history that changes only the amount, the close date or the owner is not a
    move; nor is one whose stage is missing or not in `stages`. A closed deal whose history
    ends in an open stage left it on the day it closed.

    Parameters
    ----------
    stage_history
        With ``opportunity_id``, ``changed_at``, ``seq``, ``pipeline`` and ``stage``.
    stages
        With ``pipeline``, ``stage``, ``valid_from``, ``position``, ``is_closed`` and ``is_won``;
        the definition last in force counts.
    opportunities
        The population: only its deals are followed. With ``opportunity_id``, ``pipeline``,
        ``is_closed``, ``is_won``, ``close_date``, ``closed_at`` and `carry`.
    as_of
        Last day used; visits still going on are as old as at its end.
    carry
        Columns of `opportunities` to repeat on each visit, to group on.

    Returns
    -------
    DataFrame
        In the order of `opportunities` and of time: ``opportunity_id``, ``visit`` (1 is the
        deal's first), ``pipeline``, ``stage``, ``position`` (1 is the pipeline's first open
        stage), ``entered_at``, ``exited_at`` (missing while there), ``exit`` (forward, skip,
        back, won, lost or still_there), ``is_reentry``, ``days`` and `carry`.

    Examples
    --------
    >>> stages = pd.DataFrame({
    ...     "pipeline": "new", "stage": ["Qualify", "Propose", "Won"], "valid_from": pd.NaT, "position": [1, 2, 3],
    ...     "is_closed": [False, False, True], "is_won": [False, False, True],
    ... })
    >>> history = pd.DataFrame({
    ...     "opportunity_id": ["A", "A", "B"], "changed_at": pd.to_datetime(["2026-07-01", "2026-07-11", "2026-07-21"]),
    ...     "seq": [1, 2, 1], "pipeline": "new", "stage": ["Qualify", "Won", "Qualify"],
    ... })
    >>> deals = pd.DataFrame({
    ...     "opportunity_id": ["A", "B"], "pipeline": "new", "is_closed": [True, False], "is_won": [True, False],
    ...     "close_date": pd.to_datetime(["2026-07-11", "2026-09-30"]),
    ...     "closed_at": pd.to_datetime(["2026-07-11", None]),
    ... })
    >>> visits = stage_visits(history, stages=stages, opportunities=deals, as_of=date(2026, 7, 31))
    >>> visits[["opportunity_id", "stage", "exit", "days"]]
      opportunity_id    stage         exit  days
    0              A  Qualify          won  10.0
    1              B  Qualify  still_there  11.0
    """
    checks.require_columns(stage_history, _HISTORY, where="stage_history")
    checks.require_columns(stages, _STAGES, where="stages")
    checks.require_columns(opportunities, [*_DEALS, *carry], where="opportunities")
    end = pd.Timestamp(as_of) + _DAY
    moves = _moves(stage_history, _stage_map(stages), opportunities, end)
    visits = _with_exits(moves, opportunities)
    visits = visits[~visits["is_closed"]].reset_index(drop=True)
    visits["is_reentry"] = visits.duplicated(["deal", "pipeline", "stage"])
    visits["days"] = (visits["exited_at"].fillna(end) - visits["entered_at"]) / _DAY
    carried = opportunities[["opportunity_id", *carry]].iloc[visits["deal"]].reset_index(drop=True)
    visits = visits.assign(visit=visits.groupby("deal").cumcount() + 1, **carried)
    return visits[
        [
            "opportunity_id",
            "visit",
            "pipeline",
            "stage",
            "position",
            "entered_at",
            "exited_at",
            "exit",
            "is_reentry",
            "days",
            *carry,
        ]
    ]


def progress(visits: pd.DataFrame) -> pd.DataFrame:
    """Each visit with whether, and when, the deal ever went beyond its stage from there.

    Parameters
    ----------
    visits
        Of `stage_visits`.

    Returns
    -------
    DataFrame
        The visits, deal by deal in time, with ``cause`` (advanced, else lost where the deal is
        lost in the end, else missing: still open), ``days`` until then or until the last day,
        ``is_reentered`` (the deal came to the stage more than once) and ``deal``, a number.

    Examples
    --------
    >>> visits = pd.DataFrame({
    ...     "opportunity_id": ["A", "A", "B"], "visit": [1, 2, 1], "pipeline": "new",
    ...     "stage": ["Qualify", "Propose", "Qualify"], "position": [1, 2, 1],
    ...     "entered_at": pd.to_datetime(["2026-07-01", "2026-07-05", "2026-07-01"]),
    ...     "exited_at": pd.to_datetime(["2026-07-05", None, "2026-07-09"]),
    ...     "exit": ["forward", "still_there", "lost"], "is_reentry": False, "days": [4.0, 15.0, 8.0],
    ... })
    >>> progress(visits)[["opportunity_id", "stage", "cause", "days"]]
      opportunity_id    stage     cause  days
    0              A  Qualify  advanced   4.0
    1              A  Propose       NaN  15.0
    2              B  Qualify      lost   8.0
    """
    rows = _finals(visits)
    places = rows["position"].unique()
    later = [_beyond(rows, place).groupby(rows["deal"]).bfill()[rows["position"] == place] for place in places]
    rows["advanced_at"] = pd.concat([rows["exited_at"].iloc[:0], *later])
    cause = rows["final_exit"].where(rows["final_exit"] == "lost").mask(rows["advanced_at"].notna(), "advanced")
    days = (rows["advanced_at"].fillna(rows["final_at"]) - rows["entered_at"]) / _DAY
    again = rows.loc[rows["is_reentry"], ["deal", "pipeline", "stage"]].drop_duplicates().assign(is_reentered=True)
    rows = rows.assign(cause=cause, days=days).merge(again, on=["deal", "pipeline", "stage"], how="left")
    return rows.assign(is_reentered=rows["is_reentered"].notna())


def skipped(visits: pd.DataFrame, position: float) -> pd.Series:
    """When each deal that never entered a place first came beyond it; missing where it did not.

    Parameters
    ----------
    visits
        Of `progress`, of one pipeline.
    position
        The place of a stage.
    """
    has_entered = visits["deal"].isin(visits.loc[visits["position"] == position, "deal"])
    passing = visits[~has_entered]
    return _beyond(passing, position).groupby(passing["deal"]).min()


def ends(visits: pd.DataFrame) -> pd.DataFrame:
    """Each visit with how (``cause``: won, lost or missing), and how many ``days`` after, the deal ended."""
    rows = _finals(visits)
    cause = rows["final_exit"].where(rows["final_exit"].isin(["won", "lost"]))
    return rows.assign(cause=cause, days=(rows["final_at"] - rows["entered_at"]) / _DAY)


def _stage_map(stages: pd.DataFrame) -> pd.DataFrame:
    """Each stage once, as last defined, with its place among the open ones of its pipeline."""
    known = stages.sort_values("valid_from", kind="stable", na_position="first")
    known = known.drop_duplicates(["pipeline", "stage"], keep="last")
    closed = known["is_closed"].fillna(False).astype(bool)
    place = known["position"].astype(float).where(~closed).groupby(known["pipeline"], dropna=False).rank(method="dense")
    is_won = known["is_won"].fillna(False).astype(bool)
    return known[["pipeline", "stage"]].assign(position=place, is_closed=closed, is_won=is_won)


def _moves(
    history: pd.DataFrame, stage_map: pd.DataFrame, opportunities: pd.DataFrame, end: pd.Timestamp
) -> pd.DataFrame:
    """Changes of stage, deal by deal in time; `deal` is the deal's row in `opportunities`."""
    deal = pd.Index(opportunities["opportunity_id"]).get_indexer(history["opportunity_id"])
    kept = (deal >= 0) & (history["changed_at"] < end).to_numpy() & history["stage"].notna().to_numpy()
    rows = history.loc[kept, ["pipeline", "stage"]].assign(
        deal=deal[kept], entered_at=history.loc[kept, "changed_at"], seq=history.loc[kept, "seq"]
    )
    own = opportunities["pipeline"].iloc[rows["deal"]].set_axis(rows.index)
    rows = _placed(rows.assign(pipeline=rows["pipeline"].fillna(own)), stage_map)
    rows = rows.sort_values(["deal", "entered_at", "seq"], kind="stable", ignore_index=True)
    same = rows[["deal", "pipeline", "stage"]].fillna({"pipeline": ""})
    return rows[(same != same.shift()).any(axis=1)].reset_index(drop=True)


def _placed(rows: pd.DataFrame, stage_map: pd.DataFrame) -> pd.DataFrame:
    """Rows whose stage is known, with its place; by stage alone where there is one pipeline."""
    if stage_map["pipeline"].nunique(dropna=False) == 1:
        return rows.drop(columns="pipeline").merge(stage_map, on="stage")
    return rows.merge(stage_map, on=["pipeline", "stage"])


def _beyond(visits: pd.DataFrame, position: float) -> pd.Series:
    """When each visit lay beyond a place: it began further on, or ended in a win."""
    won_at = visits["exited_at"].where(visits["exit"] == "won")
    return visits["entered_at"].where(visits["position"] > position, won_at)


def _with_exits(moves: pd.DataFrame, opportunities: pd.DataFrame) -> pd.DataFrame:
    """Each move with when and how its stage was left."""
    following = moves.shift(-1)
    is_last = (moves["deal"] != following["deal"]).to_numpy()
    deals = opportunities.iloc[moves["deal"]].set_axis(moves.index)[["is_closed", "is_won", "close_date", "closed_at"]]
    ended = is_last & deals["is_closed"]
    closed_at = deals["closed_at"].fillna(deals["close_date"]).clip(lower=moves["entered_at"])
    exited_at = following["entered_at"].where(~is_last, closed_at.where(ended))
    step = (following["position"] - moves["position"]).to_numpy()
    is_closing = following["is_closed"].fillna(False).to_numpy(dtype=bool) & ~is_last
    is_winning = np.where(is_last, deals["is_won"], following["is_won"].fillna(False)).astype(bool)
    closes = is_closing | ended.to_numpy()
    # A change of pipeline to a stage of the same place is no progress: it counts as back.
    tests = [closes & is_winning, closes, is_last, step > 1, step == 1]
    how = np.select(tests, ["won", "lost", "still_there", "skip", "forward"], "back")
    return moves.assign(exited_at=exited_at, exit=pd.Series(how, index=moves.index, dtype="str"))


def _finals(visits: pd.DataFrame) -> pd.DataFrame:
    """Visits deal by deal in time, with how and when each deal's last one ended."""
    deal, _ = pd.factorize(visits["opportunity_id"])
    order = np.lexsort([visits["visit"], deal])
    rows = visits.iloc[order].assign(deal=deal[order]).reset_index(drop=True)
    last = rows.drop_duplicates("deal", keep="last")
    ended_at = last["exited_at"].fillna(last["entered_at"] + last["days"] * _DAY)
    return rows.assign(final_exit=last["exit"].array[rows["deal"]], final_at=ended_at.array[rows["deal"]])
