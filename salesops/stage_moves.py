"""Moves between stages: from the rows of a history to when each deal came to a stage, when it left and how."""

import numpy as np
import pandas as pd

from salesops.stats import codes

MOMENT = "datetime64[us]"
DAY = 86_400_000_000
NEVER = np.iinfo(np.int64).min  # what a missing moment is as a number
EXITS = pd.array(["won", "lost", "still_there", "skip", "forward", "back"], dtype="str")


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
    changed = is_move(deal, place)
    rows = (rows if changed.all() else rows[changed]).reset_index(drop=True)
    stage = places[["position", "is_closed", "is_won"]].iloc[rows["place"]]
    return rows.assign(**{name: stage[name].array for name in stage.columns})


def is_move(deal: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Whether each row of a history, deal by deal in time, came to another stage than the one before.

    Examples
    --------
    >>> is_move(np.array([0, 0, 1]), np.array([2, 2, 2])).tolist()
    [True, False, True]
    """
    return np.r_[True, (deal[1:] != deal[:-1]) | (place[1:] != place[:-1])][: len(deal)]


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
    deal, told = moves["deal"].to_numpy(), opportunities["closed_at"].fillna(opportunities["close_date"])
    closed, won = (opportunities[name].to_numpy(dtype=bool)[deal] for name in ("is_closed", "is_won"))
    stage = (moves[name].to_numpy() for name in ("position", "is_closed", "is_won"))
    exited_at, how = exits(deal, ticks(moves["entered_at"]), *stage, closed, won, ticks(told)[deal])
    return moves.assign(exited_at=exited_at.view(MOMENT), exit=EXITS.take(how))


def ticks(moments: pd.Series) -> np.ndarray:
    """Moments as whole numbers, `NEVER` where missing: what a few million of them are compared by.

    Examples
    --------
    >>> ticks(pd.Series(pd.to_datetime(["1970-01-02", None]))).tolist() == [86_400_000_000, NEVER]
    True
    """
    return moments.to_numpy(dtype=MOMENT).view(np.int64)


def exits(deal, entered_at, position, is_closed, is_won, deal_closed, deal_won, deal_ended) -> tuple[np.ndarray, ...]:
    """When each move's stage was left and how (a number of `EXITS`), of arrays deal by deal in time.

    Examples
    --------
    >>> yes, no = np.array([True, True]), np.array([False, False])
    >>> at, how = exits(np.array([0, 0]), np.array([5, 7]), np.array([1.0, 2]), no, no, yes, yes, np.array([9, 9]))
    >>> at.tolist(), EXITS.take(how).tolist()
    ([7, 9], ['forward', 'won'])
    """
    is_last = np.r_[deal[1:] != deal[:-1], True][: len(deal)]
    ended = np.where(deal_closed & (deal_ended != NEVER), np.maximum(deal_ended, entered_at), NEVER)
    exited_at = np.where(is_last, ended, _next(entered_at))
    step = _next(position) - position
    closes, wins = (np.where(is_last, own, _next(of)) for own, of in ((deal_closed, is_closed), (deal_won, is_won)))
    # A change of pipeline to a stage of the same place is no progress: it counts as back.
    how = np.full(len(deal), 5, dtype=np.int8)
    for number, holds in ((4, step == 1), (3, step > 1), (2, is_last), (1, closes), (0, closes & wins)):
        how[holds] = number
    return exited_at, how


def beyond(position, entered_at, exited_at, is_won, place: float) -> np.ndarray:
    """When each stay lay beyond a place: it began further on, or ended in a win; else `NEVER`.

    Examples
    --------
    >>> beyond(np.array([1.0, 2]), np.array([5, 7]), np.array([7, 9]), np.array([False, True]), 1.0)[1]
    np.int64(7)
    """
    return np.where(position > place, entered_at, np.where(is_won, exited_at, NEVER))


def advanced_at(deal, position, entered_at, exited_at, is_won) -> np.ndarray:
    """When each stay's deal first came beyond its place, from then on; `NEVER` where it did not.

    Examples
    --------
    >>> advanced_at(*map(np.array, ([0, 0, 1], [1.0, 2, 1], [5, 7, 5], [7, 9, 6], [False, True, False]))).tolist()[:2]
    [7, 9]
    """
    found = np.full(len(deal), NEVER)
    for place in np.unique(position):
        at = beyond(position, entered_at, exited_at, is_won, place)
        here = np.flatnonzero(position == place)
        following = codes.following(at != NEVER)[here]
        is_own = following < len(deal)
        is_own[is_own] = deal[following[is_own]] == deal[here[is_own]]
        found[here[is_own]] = at[following[is_own]]
    return found


def entry_days(deal, position, entered_at, created_at, begins: int) -> tuple[np.ndarray, np.ndarray]:
    """Which first stays of deals were under way when the history began, and for how many days each stay was.

    Examples
    --------
    >>> day = 86_400_000_000
    >>> late, days = entry_days(np.array([0, 0]), np.array([1.0, 2]), np.array([9, 10]) * day, np.array([2, 2]) * day,
    ...     5 * day)
    >>> late.tolist(), days.tolist()
    ([True, False], [7.0, 0.0])
    """
    is_first = np.r_[True, deal[1:] != deal[:-1]][: len(deal)]
    is_late = is_first & (created_at != NEVER) & (created_at // DAY < begins // DAY)
    since = np.where(position == 1, entered_at // DAY - created_at // DAY, np.nan)
    return is_late, np.where(is_late, since, 0.0)


def _next(of: np.ndarray) -> np.ndarray:
    """The value of the row after; of the last its own."""
    return np.r_[of[1:], of[-1:]]


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
