"""Moves between stages: from the rows of a history to when each deal came to a stage, when it left and how."""

import numpy as np
import pandas as pd

from salesops.stats import codes


def stage_map(stages: pd.DataFrame) -> pd.DataFrame:
    """Each stage once, as last defined, with its place among the open ones of its pipeline.

    Parameters
    ----------
    stages
        With ``pipeline``, ``stage``, ``valid_from``, ``position``, ``is_closed`` and ``is_won``.

    Returns
    -------
    DataFrame
        ``pipeline``, ``stage``, ``position`` (1 is the first open stage, missing of a closed one), ``is_closed``
        and ``is_won``.

    Examples
    --------
    >>> stages = pd.DataFrame({
    ...     "pipeline": "new", "stage": ["Propose", "Qualify", "Won"], "valid_from": pd.NaT, "position": [20, 10, 30],
    ...     "is_closed": [False, False, True], "is_won": [False, False, True],
    ... })
    >>> stage_map(stages)["position"].tolist()
    [2.0, 1.0, nan]
    """
    known = stages.sort_values("valid_from", kind="stable", na_position="first")
    known = known.drop_duplicates(["pipeline", "stage"], keep="last")
    closed = known["is_closed"].fillna(False).astype(bool)
    place = known["position"].astype(float).where(~closed).groupby(known["pipeline"], dropna=False).rank(method="dense")
    is_won = known["is_won"].fillna(False).astype(bool)
    return known[["pipeline", "stage"]].assign(position=place, is_closed=closed, is_won=is_won)


def moves(
    history: pd.DataFrame, places: pd.DataFrame, opportunities: pd.DataFrame, *, end: pd.Timestamp
) -> pd.DataFrame:
    """Changes of stage before a moment, deal by deal in time.

    Parameters
    ----------
    history
        With ``opportunity_id``, ``changed_at``, ``seq``, ``pipeline`` and ``stage``.
    places
        Of `stage_map`; a stage that is not in it is no move.
    opportunities
        The deals that count, with ``opportunity_id`` and ``pipeline``.
    end
        Changes from then on do not count.

    Returns
    -------
    DataFrame
        ``deal`` (its row in `opportunities`), ``place`` (the stage's row in `places`), ``entered_at``, ``position``,
        ``is_closed`` and ``is_won`` (of the stage).

    Examples
    --------
    >>> places = pd.DataFrame({"pipeline": "new", "stage": ["One", "Two"], "position": [1.0, 2.0], "is_closed": False,
    ...     "is_won": False})
    >>> history = pd.DataFrame({"opportunity_id": ["B", "A", "A"], "changed_at": pd.Timestamp("2026-07-01"),
    ...     "seq": [1, 2, 1], "pipeline": "new", "stage": ["One", "Two", "One"]})
    >>> deals = pd.DataFrame({"opportunity_id": ["A", "B"], "pipeline": "new"})
    >>> moves(history, places, deals, end=pd.Timestamp("2026-08-01"))[["deal", "place"]].values.tolist()
    [[0, 0], [0, 1], [1, 0]]
    """
    deal = codes.places(history["opportunity_id"], opportunities["opportunity_id"])
    place = _placed(history, places, deal, opportunities)
    kept = np.flatnonzero((deal >= 0) & (history["changed_at"] < end).to_numpy() & (place >= 0))
    rows = pd.DataFrame({
        "deal": deal[kept], "place": place[kept], "entered_at": history["changed_at"].array[kept],
        "seq": history["seq"].array[kept],
    })  # fmt: skip
    order = codes.order(rows["deal"], rows["entered_at"], rows["seq"])
    rows = rows.drop(columns="seq") if order is None else rows.drop(columns="seq").iloc[order]
    deal, place = rows["deal"].to_numpy(), rows["place"].to_numpy()
    is_move = np.r_[True, (deal[1:] != deal[:-1]) | (place[1:] != place[:-1])][: len(rows)]
    rows = (rows if is_move.all() else rows[is_move]).reset_index(drop=True)
    stage = places[["position", "is_closed", "is_won"]].iloc[rows["place"]]
    return rows.assign(**{name: stage[name].array for name in stage.columns})


def with_exits(moves: pd.DataFrame, opportunities: pd.DataFrame) -> pd.DataFrame:
    """Each move with when and how its stage was left.

    Parameters
    ----------
    moves
        Of `moves`.
    opportunities
        The same, with ``is_closed``, ``is_won``, ``close_date`` and ``closed_at``.

    Returns
    -------
    DataFrame
        The moves with ``exited_at`` (missing while there) and ``exit``: forward, skip, back, won, lost or still_there.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> came = pd.DataFrame({"deal": [0, 0], "place": [0, 1], "entered_at": day(["2026-07-01", "2026-07-05"]),
    ...     "position": [1.0, 2.0], "is_closed": False, "is_won": False})
    >>> deals = pd.DataFrame({"is_closed": [True], "is_won": [True], "close_date": day(["2026-07-09"]),
    ...     "closed_at": day(["2026-07-09"])})
    >>> with_exits(came, deals)[["exited_at", "exit"]]
       exited_at     exit
    0 2026-07-05  forward
    1 2026-07-09      won
    """
    following = moves[["deal", "entered_at", "position", "is_closed", "is_won"]].shift(-1)
    is_last = (moves["deal"] != following["deal"]).to_numpy()
    deal = moves["deal"].to_numpy()
    won, closed = (opportunities[name].to_numpy(dtype=bool)[deal] for name in ("is_won", "is_closed"))
    ended = is_last & closed
    told = opportunities["closed_at"].fillna(opportunities["close_date"])
    closed_at = pd.Series(told.array[deal], index=moves.index).clip(lower=moves["entered_at"])
    exited_at = following["entered_at"].where(~is_last, closed_at.where(ended))
    step = (following["position"] - moves["position"]).to_numpy()
    is_closing = following["is_closed"].fillna(False).to_numpy(dtype=bool) & ~is_last
    is_winning = np.where(is_last, won, following["is_won"].fillna(False)).astype(bool)
    closes = is_closing | ended
    # A change of pipeline to a stage of the same place is no progress: it counts as back.
    tests = [closes & is_winning, closes, is_last, step > 1, step == 1]
    how = np.select(tests, range(len(tests)), len(tests))
    names = pd.array(["won", "lost", "still_there", "skip", "forward", "back"], dtype="str")
    return moves.assign(exited_at=exited_at, exit=names.take(how))


def _placed(history: pd.DataFrame, places: pd.DataFrame, deal: np.ndarray, opportunities: pd.DataFrame) -> np.ndarray:
    """The place of each row's stage in the map, -1 where it is not; by stage alone where there is one pipeline."""
    if places["pipeline"].nunique(dropna=False) == 1:
        found = codes.groups_of(places[["stage"]], history[["stage"]])
    else:
        line = history["pipeline"]
        missing = np.flatnonzero(line.isna().to_numpy() & (deal >= 0))
        if len(missing):
            own = opportunities["pipeline"].iloc[deal[missing]].set_axis(history.index[missing])
            line = line.fillna(own)
        found = codes.groups_of(places[["pipeline", "stage"]], history[["stage"]].assign(pipeline=line))
    return np.where(history["stage"].notna().to_numpy(), found, -1)
