"""Journeys: the stays of deals in stages, how each stay ended, and how far the deal came from there."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from salesops import checks, stage_moves, words
from salesops.stats import codes

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
    begins: pd.Timestamp | None = None,
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
    begins
        When the history begins, where `stage_history` is a part of it; its own first moment if empty.

    Returns
    -------
    DataFrame
        In the order of `opportunities` and of time: ``opportunity_id``, ``visit`` (1 is the
        deal's first), ``pipeline``, ``stage``, ``position`` (1 is the pipeline's first open
        stage), ``entered_at``, ``exited_at`` (missing while there), ``exit`` (forward, skip,
        back, won, lost or still_there), ``is_reentry``, ``days``, ``is_late_entry``,
        ``entry_days`` and `carry`.

    Notes
    -----
    A history that begins late shows deals already under way. Where ``created_date`` is among the
    columns of `opportunities`, the first visit of a deal created on a day before the first row of
    `stage_history` is a late entry: ``entered_at`` is when it was first seen, and ``days`` count from
    there. ``entry_days``, 0 for all others, is how old the stay was then: since the creation in the first
    stage, missing in a later one, because nobody knows when the deal came there. Estimates of time in
    stage take ``entry_days + days`` as the time, entered at ``entry_days`` (left truncation).

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
    stage_map = stage_moves.stage_map(stages)
    moves = stage_moves.moves(stage_history, stage_map, opportunities, end=end)
    visits = stage_moves.with_exits(moves, opportunities)
    visits = visits[~visits["is_closed"]].reset_index(drop=True)
    visits["is_reentry"] = visits.duplicated(["deal", "place"])
    visits["days"] = (visits["exited_at"].fillna(end) - visits["entered_at"]) / _DAY
    visits = _late_entries(visits, opportunities, stage_history["changed_at"].min() if begins is None else begins)
    carried = opportunities[["opportunity_id", *carry]].iloc[visits["deal"]].reset_index(drop=True)
    named = stage_map[["pipeline", "stage"]].iloc[visits["place"]].reset_index(drop=True)
    visits = visits.assign(visit=visits.groupby("deal").cumcount() + 1, **named, **carried)
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
            "is_late_entry",
            "entry_days",
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
    moments = (stage_moves.ticks(rows[name]) for name in ("entered_at", "exited_at"))
    advanced = stage_moves.advanced_at(
        rows["deal"].to_numpy(), rows["position"].to_numpy(), *moments, (rows["exit"] == "won").to_numpy()
    )
    rows["advanced_at"] = advanced.view(stage_moves.MOMENT).astype(rows["exited_at"].dtype)
    cause = rows["final_exit"].where(rows["final_exit"] == "lost").mask(rows["advanced_at"].notna(), "advanced")
    days = (rows["advanced_at"].fillna(rows["final_at"]) - rows["entered_at"]) / _DAY
    again = rows.loc[rows["is_reentry"], ["deal", "pipeline", "stage"]]
    is_again = codes.groups_of(again.drop_duplicates(), rows[["deal", "pipeline", "stage"]]) >= 0
    return rows.assign(cause=cause, days=days, is_reentered=is_again)


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


def stage_groups(visits: pd.DataFrame, *, by: str | None = None) -> pd.DataFrame:
    """Every stage in order, each with every group, so that a stage nobody entered keeps its row.

    Parameters
    ----------
    visits
        Of `stage_visits`.
    by
        Column to group on; a missing value is a group.

    Returns
    -------
    DataFrame
        ``stage``, ``pipeline``, `by` and ``position``.

    Examples
    --------
    >>> visits = pd.DataFrame({"pipeline": "new", "stage": ["Two", "One", "One"], "position": [2, 1, 1]})
    >>> stage_groups(visits)["stage"].tolist()
    ['One', 'Two']
    """
    checks.require_columns(visits, ["pipeline", "stage", "position", *([by] if by else [])])
    stages = visits[["stage", "pipeline", "position"]].drop_duplicates()
    stages = stages.sort_values(["pipeline", "position", "stage"], ignore_index=True)
    if by in (None, "pipeline", "stage"):
        return stages
    crossed = stages.merge(visits[[by]].drop_duplicates().sort_values(by), how="cross")
    return crossed[["stage", "pipeline", by, "position"]]


def stage_order(visits: pd.DataFrame) -> pd.DataFrame:
    """The order of the stages that the deals' own moves give, beside the stated one.

    Of two stages the one that more deals leave for the other comes first. From the stated order on,
    one stage at a time is moved to where most moves go forward, as long as that wins any; a stage that
    no moves speak against stays where it is. The stated order is contradicted where two
    stages change places by this and, of at least `checks.MIN_N` moves between them, more go against it than
    chance would make of even odds.

    Parameters
    ----------
    visits
        Of `stage_visits`.

    Returns
    -------
    DataFrame
        One row per pipeline and stage, as offered: ``pipeline``, ``stage``, ``position`` (stated),
        ``offered_position``, ``n_moves`` (between it and the stages it contradicts), ``n_against`` (of those, against
        the stated order) and ``is_contradicted``. Where nothing contradicts it the offered order is the stated one.

    References
    ----------
    Marti & Reinelt (2011), The Linear Ordering Problem, ch. 2 (insertion).

    Examples
    --------
    >>> visits = pd.DataFrame({
    ...     "opportunity_id": np.repeat(np.arange(30), 2), "visit": [1, 2] * 30, "pipeline": "new",
    ...     "stage": ["Propose", "Qualify"] * 30, "position": [2.0, 1.0] * 30,
    ... })
    >>> stage_order(visits)[["stage", "position", "offered_position", "n_moves", "n_against", "is_contradicted"]]
         stage  position  offered_position  n_moves  n_against  is_contradicted
    0  Propose       2.0                 1       30         30             True
    1  Qualify       1.0                 2       30         30             True
    """
    checks.require_columns(visits, ["opportunity_id", "visit", "pipeline", "stage", "position"], where="visits")
    columns = ["pipeline", "stage", "position", "offered_position", "n_moves", "n_against", "is_contradicted"]
    pieces = [_offered(rows)[columns] for _, rows in visits.groupby("pipeline", dropna=False)]
    empty = visits[["pipeline", "stage", "position"]].iloc[:0].reindex(columns=columns)
    return pd.concat(pieces, ignore_index=True) if pieces else empty


def order_sentence(order: pd.DataFrame) -> str:
    """Whether the deals' own moves bear out the stated order of the stages, from `stage_order`.

    Examples
    --------
    >>> order = pd.DataFrame({
    ...     "pipeline": "new", "stage": ["Propose", "Qualify"], "n_moves": 30, "n_against": 28, "is_contradicted": True,
    ... })
    >>> order_sentence(order)
    'The moves of the deals contradict the stated order of the stages of new at Propose and Qualify: their own order \
is Propose, Qualify.'
    >>> order_sentence(order.assign(is_contradicted=False))
    'The moves of the deals do not contradict the stated order of the stages.'
    """
    if order.empty:
        return "No deal has entered a stage, so the order of the stages cannot be checked."
    told = []
    for name, rows in order.groupby("pipeline", dropna=False):
        against = [words.group(stage) for stage in rows.loc[rows["is_contradicted"], "stage"]]
        if against:
            where = f"{', '.join(against[:-1])} and {against[-1]}"
            own = ", ".join(words.group(stage) for stage in rows["stage"])
            of = "" if pd.isna(name) else f" of {words.group(name)}"
            stated = f"contradict the stated order of the stages{of} at {where}"
            told.append(f"The moves of the deals {stated}: their own order is {own}.")
    return " ".join(told) or "The moves of the deals do not contradict the stated order of the stages."


def recording(opportunities: pd.DataFrame) -> pd.DataFrame:
    """Whether wins, and losses, seem to be recorded only from some day on.

    Up to the day of the first win no deal was won; after it, deals are won at each age at some
    rate. Were that rate the same before, so many wins would have been expected of the deals by
    their ages then. Where at least `checks.MIN_N` are expected and none came, the recording began late: deals
    created before are those that lasted until then, and look unlike later ones.

    Parameters
    ----------
    opportunities
        With ``created_date``, ``close_date``, ``closed_at``, ``is_closed`` and ``is_won``; a deal without
        its dates is left out.

    Returns
    -------
    DataFrame
        One row per ``outcome`` (won, lost): ``n`` (ends with dates), ``first_created_date``, ``first_date`` (of the
        outcome), ``n_expected`` (before that day) and ``is_late``.

    Examples
    --------
    >>> day = np.arange(2000)
    >>> deals = pd.DataFrame({
    ...     "created_date": pd.Timestamp("2026-01-01") + pd.to_timedelta(day // 20, unit="D"), "closed_at": pd.NaT,
    ...     "is_closed": True, "is_won": day % 2 == 0,
    ... })
    >>> deals["close_date"] = deals["created_date"] + pd.to_timedelta(day * 7 % 60, unit="D")
    >>> recording(deals)[["outcome", "n", "first_date", "is_late"]]
      outcome     n first_date  is_late
    0     won  1000 2026-01-01    False
    1    lost  1000 2026-01-04    False
    >>> kept = deals[(deals["close_date"] >= "2026-02-20") | ~deals["is_won"]]
    >>> recording(kept)[["outcome", "n", "first_date", "is_late"]]
      outcome     n first_date  is_late
    0     won   783 2026-02-20     True
    1    lost  1000 2026-01-04    False
    """
    checks.require_columns(opportunities, ["created_date", *_DEALS[2:]], where="opportunities")
    won, closed = (opportunities[name].fillna(False).to_numpy(dtype=bool) for name in ("is_won", "is_closed"))
    close_date = opportunities["close_date"]
    ended = close_date.where(won, opportunities["closed_at"].fillna(close_date)).where(closed)
    last = max(ended.max(), opportunities["created_date"].max())
    days = pd.DataFrame({"created": opportunities["created_date"], "ended": ended.fillna(last)})
    days = ((days - opportunities["created_date"].min()) // _DAY).assign(won=won & closed, lost=closed & ~won)
    days = days[days["created"].notna() & (days["ended"] >= days["created"]) & (ended.notna() | ~closed)]
    rows = []
    for outcome in ("won", "lost"):
        dates = ended[days.index][days[outcome]]
        expected = _expected_before(days, days[outcome].to_numpy()) if len(dates) else np.nan
        first = opportunities["created_date"].min(), dates.min()
        rows.append((outcome, len(dates), *first, expected, expected >= checks.MIN_N))
    return pd.DataFrame(rows, columns=["outcome", "n", "first_created_date", "first_date", "n_expected", "is_late"])


def recording_warnings(recorded: pd.DataFrame) -> list[str]:
    """What to beware of where wins or losses are recorded only from some day on, from `recording`; nothing elsewhere.

    Examples
    --------
    >>> recorded = pd.DataFrame({
    ...     "outcome": ["won", "lost"], "first_created_date": pd.Timestamp("2016-10-20"), "n_expected": [180.2, 3.0],
    ...     "first_date": pd.Timestamp("2017-03-01"), "is_late": [True, False],
    ... })
    >>> recording_warnings(recorded)
    ['Wins seem to be recorded only from 1 March 2017 on: none is dated earlier, though deals are known from 20 \
October 2016 on and about 180 wins would be expected before; deals created earlier cannot be compared with later ones.']
    """
    told = []
    for row in recorded[recorded["is_late"]].to_dict("records"):
        name = {"won": "wins", "lost": "losses"}[row["outcome"]]
        known = f"deals are known from {words.day(row['first_created_date'])} on"
        expected = f"about {words.count(round(row['n_expected']))} {name} would be expected before"
        since = f"{name.capitalize()} seem to be recorded only from {words.day(row['first_date'])} on"
        beware = "deals created earlier cannot be compared with later ones"
        told.append(f"{since}: none is dated earlier, though {known} and {expected}; {beware}.")
    return told


def _expected_before(days: pd.DataFrame, has_ended: np.ndarray) -> float:
    """Ends expected before the first one, at the rates by age from that day on (days since the first creation)."""
    created, ended = days["created"].to_numpy(dtype=int), days["ended"].to_numpy(dtype=int)
    first, age = ended[has_ended].min(), ended - created
    came, size = np.maximum(first - created, 0), age.max() + 2
    watched = came <= age
    steps = np.bincount(came[watched], minlength=size) - np.bincount(age[watched] + 1, minlength=size)
    at_risk, ends = steps.cumsum(), np.bincount(age[has_ended], minlength=size)
    rate = np.divide(ends, at_risk, out=np.zeros(size), where=at_risk > 0)
    lasting = np.r_[1.0, np.cumprod(1 - rate)]
    return float((1 - lasting[np.minimum(came, age + 1)]).sum())


def _late_entries(visits: pd.DataFrame, opportunities: pd.DataFrame, begins: pd.Timestamp) -> pd.DataFrame:
    """Which first visits were under way when the history began, and for how many days."""
    if "created_date" not in opportunities or pd.isna(begins):
        return visits.assign(is_late_entry=False, entry_days=0.0)
    deal, position = visits["deal"].to_numpy(), visits["position"].to_numpy()
    created = stage_moves.ticks(opportunities["created_date"])[deal]
    entered, since = stage_moves.ticks(visits["entered_at"]), stage_moves.ticks(pd.Series([begins]))[0]
    is_late, days = stage_moves.entry_days(deal, position, entered, created, since)
    return visits.assign(is_late_entry=is_late, entry_days=days)


def _offered(visits: pd.DataFrame) -> pd.DataFrame:
    """The stages of one pipeline in the order that most moves go forward in."""
    stages = visits[["pipeline", "stage", "position"]].drop_duplicates("stage")
    stages = stages.sort_values(["position", "stage"], ignore_index=True)
    flow = _flow(visits, stages["stage"])
    between, against = flow + flow.T, np.tril(flow) + np.tril(flow).T
    # 3.3 standard errors of even odds: one pair in a thousand by chance, and ten stages have 45 pairs.
    surplus = against - between / 2
    is_clear = (between >= checks.MIN_N) & (surplus > 3.3 * np.sqrt(between) / 2)
    order = _most_forward(flow)
    place = np.argsort(order)
    swapped = np.triu(place[:, None] > place)
    contradicted = is_clear & (swapped | swapped.T)
    order = order if contradicted.any() else np.arange(len(stages))
    n_moves, n_against = ((counts * contradicted).sum(axis=1).astype(int) for counts in (between, against))
    table = stages.assign(n_moves=n_moves, n_against=n_against, is_contradicted=contradicted.any(axis=1)).iloc[order]
    return table.assign(offered_position=np.arange(len(order)) + 1).reset_index(drop=True)


def _flow(visits: pd.DataFrame, stages: pd.Series) -> np.ndarray:
    """Moves from each stage (row) to each other one of the pipeline (column)."""
    deal, _ = pd.factorize(visits["opportunity_id"])
    order = np.lexsort([visits["visit"], deal])
    deal, visit = deal[order], visits["visit"].to_numpy()[order]
    stage = pd.Index(stages).get_indexer(visits["stage"])[order]
    follows = (deal[1:] == deal[:-1]) & (visit[1:] == visit[:-1] + 1)
    cell = stage[:-1][follows] * len(stages) + stage[1:][follows]
    flow = np.bincount(cell, minlength=len(stages) ** 2).reshape(len(stages), -1).astype(float)
    np.fill_diagonal(flow, 0)
    return flow


def _most_forward(flow: np.ndarray) -> np.ndarray:
    """Places in an order that no single move of one place betters, from the given order on."""
    order, net = list(range(len(flow))), flow - flow.T
    while True:
        best = (0.0, 0, 0)
        for at in range(len(order)):
            for to in range(len(order)):
                passed = order[to:at] if to < at else order[at + 1 : to + 1]
                gain = net[order[at], passed].sum() * (1 if to < at else -1)
                best = max(best, (gain, -at, -to))
        if best[0] <= 0:
            return np.array(order, dtype=int)
        order.insert(-best[2], order.pop(-best[1]))


def _beyond(visits: pd.DataFrame, position: float) -> pd.Series:
    """When each visit lay beyond a place: it began further on, or ended in a win."""
    moments = (stage_moves.ticks(visits[name]) for name in ("entered_at", "exited_at"))
    is_won = (visits["exit"] == "won").to_numpy()
    found = stage_moves.beyond(visits["position"].to_numpy(), *moments, is_won, position)
    return pd.Series(found.view(stage_moves.MOMENT), index=visits.index)


def _finals(visits: pd.DataFrame) -> pd.DataFrame:
    """Visits deal by deal in time, with how and when each deal's last one ended."""
    deal, _ = pd.factorize(visits["opportunity_id"])
    order = codes.order(deal, visits["visit"])
    rows = visits.reset_index(drop=True) if order is None else visits.iloc[order].reset_index(drop=True)
    deal = deal if order is None else deal[order]
    ends = np.flatnonzero(np.r_[deal[1:] != deal[:-1], True][: len(deal)])
    last = rows[["exit", "exited_at", "entered_at", "days"]].iloc[ends]
    ended_at = last["exited_at"].fillna(last["entered_at"] + last["days"] * _DAY)
    return rows.assign(deal=deal, final_exit=last["exit"].array[deal], final_at=ended_at.array[deal])
