"""Deals as a report counts them: when they ended, which of them count, and how old they are."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from salesops import cells, checks
from salesops.periods import Calendar, Period, quarter_labels, trailing_quarters
from salesops.stats import codes

ENDED_ON = cells.when(
    "is_closed", cells.when("is_won", "close_date", cells.first(cells.day("closed_at"), "close_date"))
)
CAUSE = cells.when("is_closed", cells.when("is_won", cells.stated("won"), cells.stated("lost")))

_CALENDAR = Calendar()
_DAY = pd.Timedelta(days=1)


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
    return cells.value(ENDED_ON, opportunities)


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
    until = opportunities["closed_at"].fillna(opportunities["close_date"] + pd.Timedelta(days=1))
    until = until.where(opportunities["is_closed"]).to_numpy()
    deal, moment = codes.places(stage_history[key], opportunities[key]), stage_history["changed_at"].to_numpy()
    rows = np.flatnonzero((deal >= 0) & stage_history["owner_id"].notna().to_numpy())
    rows = rows[moment[rows] <= until[deal[rows]]]
    order = codes.order(deal[rows], moment[rows], stage_history["seq"].iloc[rows])
    rows = rows if order is None else rows[order]
    last = np.full(len(opportunities), -1)
    last[deal[rows]] = rows  # of several the last, which is put there last
    then = stage_history["owner_id"].astype("str").array.take(last, allow_fill=True)
    return pd.Series(then, index=opportunities.index, name=key).fillna(opportunities["owner_id"])


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
    days = cells.value(_age(start, as_of), opportunities)
    cause = cells.value(CAUSE, opportunities)
    return opportunities.assign(started_at=opportunities[start], days=days, cause=cause)[days >= 0]


def counted_ages(start: str, *, periods: Sequence[Period], as_of: date, by: Sequence[str] = ()) -> cells.Counted:
    """What is counted of `ages`: whole days and how they ended, of the deals that started in some periods.

    Parameters
    ----------
    start, as_of
        As for `ages`.
    periods
        Cells of a deal that started in one have its first day as ``started_at``; of all others there is one cell
        a group, with nothing but its size.
    by
        Columns to group on later.

    Returns
    -------
    Counted
        Its cells serve wherever `ages` does for those periods: ``days``, ``cause``, ``started_at``, `by` and ``n``.

    Examples
    --------
    >>> july = Period("July", date(2026, 7, 1), date(2026, 7, 31))
    >>> deals = pd.DataFrame({
    ...     "created_date": pd.to_datetime("2026-07-01"), "close_date": pd.to_datetime(["2026-07-11"] * 2),
    ...     "closed_at": pd.to_datetime([None] * 2), "is_closed": True, "is_won": True})
    >>> cells.count(deals, counted_ages("created_date", periods=[july], as_of=july.end))
      started_at  days cause  n
    0 2026-07-01  10.0   won  2
    """
    began = cells.within(start, periods)
    inside, age = cells.known(began), _age(start, as_of)
    keys = {"started_at": began, "days": cells.when(inside, age), "cause": cells.when(inside, CAUSE)}
    return cells.Counted({name: name for name in by} | keys, where=_is_aged(start, as_of))


def _until(as_of: date) -> cells.Term:
    return cells.when("is_closed", ENDED_ON, cells.stated(as_of))


def _age(start: str, as_of: date) -> cells.Term:
    return cells.days(start, _until(as_of))


def _is_aged(start: str, as_of: date) -> cells.Term:
    return cells.at_most(cells.day(start), _until(as_of))


def watched(visits: pd.DataFrame) -> pd.DataFrame:
    """Stays in a stage with ``days`` as their age at the end and ``entry`` as the age from which they were watched.

    Without late entries there is nothing to add: ``entry`` lies before every age. A late entry
    whose age is not known is left out.

    Parameters
    ----------
    visits
        Of `journey.stage_visits`, `journey.progress` or `journey.ends`.

    Examples
    --------
    >>> visits = pd.DataFrame({"days": [5.0, 3.0, 4.0], "entry_days": [0.0, 10.0, None]})
    >>> watched(visits).round(3)[["days", "entry"]].values.tolist()
    [[5.0, -1.0], [13.0, 10.0]]
    """
    if "entry_days" not in visits:
        return visits.assign(entry=-1.0)
    since = visits["entry_days"]
    # Watching starts a moment before, so that a stay that ended in the same moment still counts.
    rows = visits.assign(days=visits["days"] + since, entry=(since - 1e-6).where(since > 0, -1.0))
    return rows[since.notna()]


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
