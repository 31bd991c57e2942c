"""Deals as they move: when they ended, which count, and the stages they visited."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from salesops import checks
from salesops.periods import Calendar, Period, quarter_labels, trailing_quarters

_CALENDAR = Calendar()
_DAY = pd.Timedelta(days=1)
_HISTORY = ["opportunity_id", "changed_at", "seq", "pipeline", "stage"]
_STAGES = ["pipeline", "stage", "valid_from", "position", "is_closed", "is_won"]
_DEALS = ["opportunity_id", "pipeline", "is_closed", "is_won", "close_date", "closed_at"]


def ended_on(opportunities: pd.DataFrame) -> pd.Series:
    """The day each deal was won or lost; missing while it is open.

    A win counts on its close date, as bookings do; a loss or no-decision on the day it moved
    there (``closed_at``), or its close date where that is not known.

    Parameters
    ----------
    opportunities
        With ``is_closed``, ``is_won``, ``close_date`` and ``closed_at``.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> deals = pd.DataFrame({
    ...     "is_closed": [True, True, False], "is_won": [True, False, False],
    ...     "close_date": day(["2026-06-30", "2026-09-30", "2026-12-31"]),
    ...     "closed_at": day(["2026-07-02", "2026-06-15", None]),
    ... })
    >>> ended_on(deals).dt.strftime("%m-%d").tolist()
    ['06-30', '06-15', nan]
    """
    checks.require_columns(opportunities, ["is_closed", "is_won", "close_date", "closed_at"])
    moved = opportunities["closed_at"].dt.normalize().fillna(opportunities["close_date"])
    return opportunities["close_date"].where(opportunities["is_won"], moved).where(opportunities["is_closed"])


def closed_in(opportunities: pd.DataFrame, period: Period) -> pd.DataFrame:
    """The deals won or lost in a period; a deal without a date counts only in ``all``.

    See `ended_on` for the clock. The period ``all`` is every closed deal.
    """
    if period.label == "all":
        return opportunities[opportunities["is_closed"]]
    return opportunities[period.contains(ended_on(opportunities))]


def won_in(opportunities: pd.DataFrame, period: Period) -> pd.DataFrame:
    """The deals won in a period, by close date."""
    return opportunities[opportunities["is_won"] & period.contains(opportunities["close_date"])]


def due(opportunities: pd.DataFrame, ahead: Period) -> pd.DataFrame:
    """Open deals whose expected close date lies in a period.

    Parameters
    ----------
    opportunities
        With ``is_closed``, ``close_date``, ``amount``.
    ahead
        The period.

    Returns
    -------
    DataFrame
        One row: ``n``, ``due_amount``.

    Metrics
    -------
    due_amount : amount, close_date, none, -, amount close_date
        Amount of the open deals expected to close in the quarter to come, unweighted.

    Examples
    --------
    >>> from salesops.periods import quarter
    >>> deals = pd.DataFrame(
    ...     {"is_closed": [False, True], "amount": [10.0, 5.0], "close_date": pd.to_datetime("2026-11-01")})
    >>> due(deals, quarter(date(2026, 11, 1)))
       n  due_amount
    0  1        10.0
    """
    checks.require_columns(opportunities, ["is_closed", "close_date", "amount"])
    rows = opportunities[~opportunities["is_closed"] & ahead.contains(opportunities["close_date"])]
    return pd.DataFrame([{"n": len(rows), "due_amount": rows["amount"].sum(min_count=min(len(rows), 1))}])


def won_by_quarter(opportunities: pd.DataFrame, calendar: Calendar) -> pd.DataFrame:
    """The deals won, with the label of their quarter as ``period``."""
    won = opportunities[opportunities["is_won"]]
    return won.assign(period=quarter_labels(won["close_date"], calendar))


def qualified(opportunities: pd.DataFrame) -> pd.DataFrame:
    """The deals that were ever qualified; all of them where no qualified date is known.

    Examples
    --------
    >>> deals = pd.DataFrame({"qualified_date": pd.to_datetime(["2026-05-01", None])})
    >>> len(qualified(deals)), len(qualified(deals[1:]))
    (1, 1)
    """
    checks.require_columns(opportunities, ["qualified_date"])
    known = opportunities["qualified_date"].notna()
    return opportunities[known] if known.any() else opportunities


def population_name(opportunities: pd.DataFrame) -> str:
    """What `qualified` keeps, in words: "qualified deals", or "deals" where nothing says which were qualified.

    Examples
    --------
    >>> population_name(pd.DataFrame({"qualified_date": pd.to_datetime([None])}))
    'deals'
    """
    return "qualified deals" if opportunities["qualified_date"].notna().any() else "deals"


def owner_at_close(opportunities: pd.DataFrame, stage_history: pd.DataFrame) -> pd.Series:
    """Who owned each deal when it closed; the present owner where it is open or the history does not say.

    Parameters
    ----------
    opportunities
        With ``opportunity_id, owner_id, is_closed, close_date, closed_at``.
    stage_history
        With ``opportunity_id, changed_at, seq, owner_id``; may be empty.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> deals = pd.DataFrame({"opportunity_id": ["A"], "owner_id": ["now"], "is_closed": [True],
    ...     "close_date": day(["2026-07-31"]), "closed_at": day(["2026-07-31"])})
    >>> history = pd.DataFrame({"opportunity_id": "A", "changed_at": day(["2026-07-01", "2026-08-02"]), "seq": [1, 2],
    ...     "owner_id": ["then", "now"]})
    >>> owner_at_close(deals, history).tolist()
    ['then']
    """
    key = "opportunity_id"
    checks.require_columns(opportunities, [key, "owner_id", "is_closed", "close_date", "closed_at"])
    checks.require_columns(stage_history, [key, "changed_at", "seq", "owner_id"], where="stage_history")
    closed = opportunities[opportunities["is_closed"]]
    moments = closed[[key]].assign(until=closed["closed_at"].fillna(closed["close_date"] + pd.Timedelta(days=1)))
    past = stage_history[[key, "changed_at", "seq", "owner_id"]].dropna(subset=["owner_id"])
    past = past.merge(moments, on=key).query("changed_at <= until").sort_values(["changed_at", "seq"])
    then = past.drop_duplicates(key, keep="last").set_index(key)["owner_id"]
    return opportunities[key].map(then).astype("str").fillna(opportunities["owner_id"])


def snapshot(stage_history: pd.DataFrame, day: date) -> pd.DataFrame:
    """Each deal as it stood at the end of a day: its last history row until then.

    Parameters
    ----------
    stage_history
        One row per change: ``opportunity_id``, ``changed_at``, ``seq`` and the values after it.
    day
        Last day that counts.

    Examples
    --------
    >>> history = pd.DataFrame({
    ...     "opportunity_id": ["A", "A", "B"], "seq": [1, 2, 1], "stage": ["Discovery", "Proposal", "Discovery"],
    ...     "changed_at": pd.to_datetime(["2026-07-01", "2026-08-01", "2026-09-01"]),
    ... })
    >>> snapshot(history, date(2026, 8, 15))[["opportunity_id", "stage"]].values.tolist()
    [['A', 'Proposal']]
    """
    checks.require_columns(stage_history, ["opportunity_id", "changed_at", "seq"])
    until = stage_history[stage_history["changed_at"] < pd.Timestamp(day) + pd.Timedelta(days=1)]
    return until.sort_values(["changed_at", "seq"], kind="stable").drop_duplicates("opportunity_id", keep="last")


def extended(period: Period, *, quarters: int, calendar: Calendar = _CALENDAR) -> Period:
    """The period with quarters before it, so many in all: enough deals, old enough to have ended.

    Examples
    --------
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> extended(q3, quarters=8)
    Period(label='2024Q4–2026Q3', start=datetime.date(2024, 10, 1), end=datetime.date(2026, 9, 30))
    >>> extended(Period("all", date(2026, 1, 1), date(2026, 9, 30)), quarters=8).label
    'all'
    """
    first = trailing_quarters(period, quarters, calendar)[0]
    is_long = period.label == "all" or period.start <= first.start
    return period if is_long else Period(f"{first.label}–{period.label}", first.start, period.end)


def dated(table: pd.DataFrame, period: Period, *, after: Sequence[str] = ()) -> pd.DataFrame:
    """A table with the period its figures are of, behind its key columns.

    Examples
    --------
    >>> july = Period("2026-07", date(2026, 7, 1), date(2026, 7, 31))
    >>> dated(pd.DataFrame({"stage": ["One"], "n": [3]}), july, after=["stage"]).drop(columns="period_start")
      stage   period  period_end  n
    0   One  2026-07  2026-07-31  3
    """
    stated = {"period": period.label, "period_start": period.start, "period_end": period.end}
    return table.assign(**stated)[[*after, *stated, *table.columns.drop(list(after))]]


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


def ages(opportunities: pd.DataFrame, *, start: str, as_of: date) -> pd.DataFrame:
    """Deals with the whole days from a start to their end, or to `as_of`, and how they ended.

    A deal without its start or end date, or that ends before it starts, is left out.

    Parameters
    ----------
    opportunities
        With `start`, ``close_date``, ``closed_at``, ``is_closed`` and ``is_won``.
    start
        Column with the moment the clock starts.
    as_of
        Last day used.

    Returns
    -------
    DataFrame
        The deals with ``started_at``, ``days`` and ``cause`` (won, lost, or missing: open).

    Examples
    --------
    >>> deals = pd.DataFrame({
    ...     "created_date": pd.to_datetime("2026-07-01 09:00"), "close_date": pd.to_datetime("2026-07-11"),
    ...     "closed_at": pd.NaT, "is_closed": [True, False], "is_won": [True, False],
    ... }).astype({"closed_at": "datetime64[us]"})
    >>> ages(deals, start="created_date", as_of=date(2026, 7, 31))[["days", "cause"]].values.tolist()
    [[10.0, 'won'], [30.0, nan]]
    """
    checks.require_columns(opportunities, [start, "close_date", "closed_at", "is_closed", "is_won"])
    until = ended_on(opportunities).where(opportunities["is_closed"], pd.Timestamp(as_of))
    days = (until - opportunities[start].dt.normalize()) / _DAY
    how = pd.Series(np.where(opportunities["is_won"], "won", "lost"), index=opportunities.index, dtype="str")
    cause = how.where(opportunities["is_closed"])
    return opportunities.assign(started_at=opportunities[start], days=days, cause=cause)[days >= 0]


def won_in_time(opportunities: pd.DataFrame, *, days: int, start: str, as_of: date) -> pd.DataFrame:
    """Deals old enough to tell whether they were won within so many days of a start, and whether they were.

    Every deal had the same time, so cohorts of different age compare. A deal that started fewer
    than `days` before `as_of` is left out even if it has ended: quick ends alone would remain.

    Parameters
    ----------
    opportunities
        As for `ages`.
    days
        Time each deal has.
    start
        Column with the moment the clock starts.
    as_of
        Last day used.

    Returns
    -------
    DataFrame
        The deals with ``started_at``; ``is_won`` says whether in time, ``is_closed`` is true.

    Examples
    --------
    >>> deals = pd.DataFrame({
    ...     "created_date": pd.to_datetime(["2026-01-01", "2026-01-01", "2026-07-01"]), "closed_at": pd.NaT,
    ...     "close_date": pd.to_datetime(["2026-02-01", "2026-06-01", "2026-07-02"]),
    ...     "is_closed": True, "is_won": True,
    ... }).astype({"closed_at": "datetime64[us]"})
    >>> won_in_time(deals, days=90, start="created_date", as_of=date(2026, 7, 31))["is_won"].tolist()
    [True, False]
    """
    rows = ages(opportunities, start=start, as_of=as_of)
    rows = rows[rows["started_at"].dt.normalize() + days * _DAY <= pd.Timestamp(as_of)]
    return rows.assign(is_won=(rows["cause"] == "won") & (rows["days"] <= days), is_closed=True)


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
