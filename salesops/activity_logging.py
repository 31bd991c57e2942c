"""Logging: how much of people's time went to customers, and how much of what they do is logged at all."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd
from scipy.stats import norm
from scipy.stats import t as student

from salesops import activity, checks, pipeline, rep_performance, words
from salesops.periods import Period
from salesops.stats import means, proportions

SELLING = ("call", "meeting", "demo")  # time spent with customers
MOSTLY = 0.5  # share of the activities with a duration, from which they speak for all

_WEEK = 7
_LIMITS = ("", "_low", "_high")


def selling_time(
    activities: pd.DataFrame,
    *,
    reps: pd.DataFrame,
    period: Period,
    as_of: date,
    by: str | None = "owner_id",
    selling: Sequence[str] = SELLING,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Share of the logged time that was spent with customers: calls, meetings held and demos.

    ``selling_time_rate = minutes of the selling kinds / minutes logged``, of activities with a duration; a
    call that came in takes time too. Missing where none has one: the time is not recorded. Automatic
    messages and meetings not held take no time. The interval allows for what one rep
    does in one week being alike.

    Known bias: time nobody logs, such as travel and paperwork, is not in it; the true share is lower.

    Parameters
    ----------
    activities
        With ``owner_id, kind, occurred_at, minutes, is_held, is_automated``.
    reps, period, as_of
        As for `activity.weekly_activity`.
    by
        ``"owner_id"``, ``"team"``, or None for the company.
    selling
        The kinds that are time with customers.
    confidence
        Level of the interval.

    Returns
    -------
    DataFrame
        One row per group: `by`, ``n`` (activities), ``n_timed`` (with a duration), ``timed_rate`` with limits,
        ``logged_hours``, ``selling_time_rate`` with limits.

    Metrics
    -------
    timed_rate : rate, occurred, higher, n_timed / n, activities.owner_id
        Share of the activities that have a duration.
    logged_hours : hours, occurred, none, -, activities.owner_id
        Time of the activities that have a duration.
    selling_time_rate : rate, occurred, higher, -, activities.owner_id
        Time of calls, meetings held and demonstrations over all time logged.

    Examples
    --------
    >>> log = pd.DataFrame({"owner_id": "U1", "kind": ["meeting", "task", "email"], "minutes": [45.0, 15.0, None],
    ...     "occurred_at": pd.to_datetime("2026-08-03"), "is_held": True, "is_automated": False})
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> table = selling_time(log, reps=pd.DataFrame(), period=q3, as_of=q3.end)
    >>> table[["owner_id", "n", "n_timed", "logged_hours", "selling_time_rate"]]
      owner_id  n  n_timed  logged_hours  selling_time_rate
    0       U1  3        2           1.0               0.75
    """
    needed = ["owner_id", "kind", "occurred_at", "minutes", "is_held", "is_automated"]
    checks.require_columns(activities, needed, where="activities")
    until = Period(period.label, period.start, min(period.end, as_of))
    rows = _sellers(activities[until.contains(activities["occurred_at"])], reps)
    rows = rows[~activity.flag(rows["is_automated"], False) & activity.flag(rows["is_held"], True)]
    week = (rows["occurred_at"] - pd.Timestamp(until.start)).dt.days // _WEEK
    rows = rows.assign(
        team=rep_performance.team_of(rows["owner_id"], reps) if len(reps) else None, all=0, week=week, n=1,
        n_timed=(rows["minutes"].fillna(0) > 0).astype(int), hours=rows["minutes"].fillna(0).clip(lower=0) / 60,
        hit=rows["kind"].isin(selling),
    )  # fmt: skip
    table = _time_shares(rows, by or "all", confidence)
    low, high = proportions.wilson_interval(table["n_timed"], table["n"], confidence)
    table = table.assign(
        timed_rate=table["n_timed"] / table["n"].where(table["n"] > 0), timed_rate_low=low, timed_rate_high=high
    )
    columns = ["n", "n_timed", *(f"timed_rate{end}" for end in _LIMITS), "logged_hours"]
    return table[[*([by] if by else []), *columns, *(f"selling_time_rate{end}" for end in _LIMITS)]]


def deal_logging(
    opportunities: pd.DataFrame,
    activities: pd.DataFrame,
    *,
    period: Period,
    by: str | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Share of the deals closed in the period with any activity logged in their life, by people.

    Of deals that ended since the log began: of earlier ones it tells nothing. The interval allows for
    several deals of one company.

    Parameters
    ----------
    opportunities
        With ``opportunity_id, account_id, created_date``, what tells when they ended, and `by`.
    activities
        With ``opportunity_id``, ``occurred_at``, ``direction`` and ``is_automated``.
    period
        When the deals were won or lost.
    by
        Column to group on; a missing value is a group.
    confidence
        Level of the interval.

    Returns
    -------
    DataFrame
        One row per group, largest first: `by`, ``n`` (deals), ``n_logged``, ``activity_logging_rate`` with its limits.

    Metrics
    -------
    activity_logging_rate : rate, closed, higher, n_logged / n, close_date
        Share of the deals closed in the period that have any activity of people logged between creation and end.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> deals = pd.DataFrame({
    ...     "opportunity_id": ["A", "B"], "account_id": ["a", "b"], "created_date": day("2026-07-01"),
    ...     "is_closed": True, "is_won": True, "close_date": day("2026-08-31"), "closed_at": day("2026-08-31"),
    ... })
    >>> log = pd.DataFrame({"opportunity_id": ["A", "B"], "occurred_at": day(["2026-07-09", "2026-09-09"]),
    ...     "direction": None, "is_automated": False})
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> deal_logging(deals, log, period=q3)[["n", "n_logged", "activity_logging_rate"]]
       n  n_logged  activity_logging_rate
    0  2         1                    0.5
    """
    checks.require_columns(activities, ["opportunity_id", "occurred_at"], where="activities")
    checks.require_columns(opportunities, ["opportunity_id", "account_id", "created_date", *([by] if by else [])])
    closed = pipeline.closed_in(opportunities, period)
    ended, log = pipeline.ended_on(closed), activity.own(activities)
    closed, ended = closed[_is_since(ended, activities)], ended[_is_since(ended, activities)]
    place = pd.Index(closed["opportunity_id"]).get_indexer(log["opportunity_id"])
    day, place = log["occurred_at"].dt.normalize().to_numpy()[place >= 0], place[place >= 0]
    start = closed["created_date"].dt.normalize().to_numpy()[place]
    # a deal whose creation is not known began before any of its activities
    inside = ~(day < start) & ~(day > ended.to_numpy()[place])
    rows = closed.assign(is_logged=np.bincount(place[inside], minlength=len(closed)) > 0)
    return _shares(rows, by, "is_logged", "account_id", ("n_logged", "activity_logging_rate"), confidence)


def week_logging(weeks: pd.DataFrame, *, by: str | None = None, confidence: float = 0.95) -> pd.DataFrame:
    """Share of the weeks a rep was employed in which the rep logged anything at all.

    Parameters
    ----------
    weeks
        Of `activity.weekly_activity`.
    by
        ``"owner_id"``, ``"team"``, or None for the company; weeks of one rep are alike in the interval, but
        where the rep is the group they are taken to be independent.
    confidence
        Level of the interval.

    Returns
    -------
    DataFrame
        One row per group: `by`, ``n`` (weeks of reps), ``n_logged``, ``logged_week_rate`` with its limits.

    Metrics
    -------
    logged_week_rate : rate, occurred, higher, n_logged / n, activities.owner_id
        Share of the weeks of the reps employed in which anything of their own was logged.

    Examples
    --------
    >>> weeks = pd.DataFrame({"owner_id": "U1", "n_days": 7, "n_logged": [3, 0, 1, 1]})
    >>> week_logging(weeks, by="owner_id")[["owner_id", "n", "n_logged", "logged_week_rate"]]
      owner_id  n  n_logged  logged_week_rate
    0       U1  4         3              0.75
    """
    checks.require_columns(weeks, ["owner_id", "n_days", "n_logged", *([by] if by else [])], where="weeks")
    rows = weeks[weeks["n_days"] > 0]
    rows = rows.assign(is_logged=rows["n_logged"] > 0)
    cluster = None if by == "owner_id" else "owner_id"
    return _shares(rows, by, "is_logged", cluster, ("n_logged", "logged_week_rate"), confidence)


def tool_adoption(tool_usage: pd.DataFrame, *, period: Period, as_of: date, confidence: float = 0.95) -> pd.DataFrame:
    """Share of the licensed users of each tool who used it in the period.

    Parameters
    ----------
    tool_usage
        With ``owner_id, tool, date, events, is_licensed``; whoever is not said to be without a licence has one.

    Returns
    -------
    DataFrame
        One row per tool, by name: ``tool``, ``n`` (licensed users), ``n_active``, ``tool_adoption_rate`` with limits.

    Metrics
    -------
    tool_adoption_rate : rate, occurred, higher, n_active / n, activities.owner_id
        Share of the licensed users of a tool who used it at least once in the period.

    Examples
    --------
    >>> used = pd.DataFrame({"owner_id": ["U1", "U2"], "tool": "Dialler", "date": pd.to_datetime("2026-08-03"),
    ...     "events": [5.0, 0.0], "is_licensed": True})
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> tool_adoption(used, period=q3, as_of=q3.end)[["tool", "n", "n_active", "tool_adoption_rate"]]
          tool  n  n_active  tool_adoption_rate
    0  Dialler  2         1                 0.5
    """
    checks.require_columns(tool_usage, ["owner_id", "tool", "date", "events", "is_licensed"], where="tool_usage")
    until = Period(period.label, period.start, min(period.end, as_of))
    rows = tool_usage[until.contains(tool_usage["date"]) & activity.flag(tool_usage["is_licensed"], True)]
    used = rows.assign(is_used=rows["events"].fillna(0) > 0).groupby(["tool", "owner_id"])["is_used"].any()
    table = used.groupby("tool").agg(n="size", n_active="sum").reset_index().astype({"n": int, "n_active": int})
    low, high = proportions.wilson_interval(table["n_active"], table["n"], confidence)
    return table.assign(tool_adoption_rate=table["n_active"] / table["n"], tool_adoption_rate_low=low,
                        tool_adoption_rate_high=high)  # fmt: skip


def selling_sentence(table: pd.DataFrame, period: Period) -> str:
    """How much of the time logged went to customers, where durations are recorded.

    Parameters
    ----------
    table
        Of `selling_time` with ``by=None``.
    period
        Of the time.

    Examples
    --------
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> row = {"n": 900, "n_timed": 810, "timed_rate": 0.9, "logged_hours": 400.0, "selling_time_rate": 0.71,
    ...     "selling_time_rate_low": 0.68, "selling_time_rate_high": 0.74}
    >>> selling_sentence(pd.DataFrame([row]), q3)  # doctest: +NORMALIZE_WHITESPACE
    '71 % of the time logged in 2026Q3 was spent with customers in calls, meetings and demos (likely between 68 % and
    74 %); 90 % of the activities have a duration.'
    >>> selling_sentence(pd.DataFrame([row | {"n_timed": 0, "timed_rate": 0.0}]), q3)
    'The share of selling time is not recorded: no activity in 2026Q3 has a duration.'
    >>> selling_sentence(pd.DataFrame([row | {"n_timed": 90, "timed_rate": 0.1}]), q3)
    'Only 10 % of the activities in 2026Q3 have a duration, too few to say how much time went to customers.'
    >>> selling_sentence(pd.DataFrame([row | {"n": 0, "n_timed": 0}]), q3)
    'No activity was logged in 2026Q3.'
    """
    row = table.iloc[0]
    if row["n"] == 0:
        return f"No activity was logged {period.when}."
    if row["n_timed"] == 0:
        return f"The share of selling time is not recorded: no activity {period.when} has a duration."
    timed = words.rate(row["timed_rate"])
    if row["timed_rate"] < MOSTLY or row["n_timed"] < checks.MIN_N:
        few = f"Only {timed} of the activities {period.when} have a duration"
        return f"{few}, too few to say how much time went to customers."
    limits = words.interval(row["selling_time_rate_low"], row["selling_time_rate_high"], "rate")
    share = f"{words.rate(row['selling_time_rate'])} of the time logged {period.when}"
    spent = f"{share} was spent with customers in calls, meetings and demos ({limits})"
    return f"{spent}; {timed} of the activities have a duration."


def logging_sentence(deals: pd.DataFrame, weeks: pd.DataFrame, period: Period) -> str:
    """How many deals and weeks of reps have anything logged.

    Parameters
    ----------
    deals, weeks
        Of `deal_logging` and `week_logging`, for the company.
    period
        Of both.

    Examples
    --------
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> deals = pd.DataFrame({"n": [200], "activity_logging_rate": 0.9, "activity_logging_rate_low": 0.85,
    ...     "activity_logging_rate_high": 0.94})
    >>> weeks = pd.DataFrame({"n": [520], "logged_week_rate": 0.97})
    >>> logging_sentence(deals, weeks, q3)  # doctest: +NORMALIZE_WHITESPACE
    '90 % of the 200 deals closed in 2026Q3 have an activity logged (likely between 85 % and 94 %), and reps logged
    something in 97 % of their weeks.'
    >>> logging_sentence(deals.assign(n=0), weeks.assign(n=0), q3)
    'No deal that closed in 2026Q3 can be held against the log.'
    """
    deal, week = deals.iloc[0], weeks.iloc[0]
    of_weeks = f"reps logged something in {words.rate(week['logged_week_rate'])} of their weeks" if week["n"] else ""
    of_weeks = "reps logged nothing" if week["n"] and not week["logged_week_rate"] else of_weeks
    if deal["n"] < checks.MIN_N:
        none = "No deal" if deal["n"] == 0 else f"Too few deals ({deal['n']:.0f})"
        told = f"{none} that closed {period.when} can be held against the log"
        return f"{told}{'; ' if of_weeks else ''}{of_weeks}."
    limits = words.interval(deal["activity_logging_rate_low"], deal["activity_logging_rate_high"], "rate")
    share = f"{words.rate(deal['activity_logging_rate'])} of the {words.count(deal['n'])} deals closed {period.when}"
    return f"{share} have an activity logged ({limits}){', and ' if of_weeks else ''}{of_weeks}."


def _sellers(rows: pd.DataFrame, reps: pd.DataFrame) -> pd.DataFrame:
    """The rows of reps: not of managers and overlays, nor of people who are not among the reps."""
    if reps.empty:
        return rows
    return rows[rows["owner_id"].isin(reps["owner_id"]) & ~rows["owner_id"].isin(rep_performance.not_reps(reps))]


def _is_since(ended: pd.Series, activities: pd.DataFrame) -> pd.Series:
    """Whether each deal ended on a day since the log began, or on none known."""
    begins = activities["occurred_at"].min()
    return pd.Series(False, index=ended.index) if pd.isna(begins) else ~(ended < begins.normalize())


def _time_shares(rows: pd.DataFrame, key: str, confidence: float) -> pd.DataFrame:
    """Share of the hours that are hits: Wilson's interval with the trials that the variance over weeks is worth.

    No more than Kish's effective number of activities, and fewer as Student's t is wider than the normal.
    """
    rows = rows.assign(hit=rows["hours"].where(rows["hit"], 0.0), square=rows["hours"] ** 2)
    keys = list(dict.fromkeys([key, "owner_id", "week"]))
    cells = rows.groupby(keys, dropna=False)[["n", "n_timed", "hours", "hit", "square"]].sum()
    cells = cells.reset_index()
    if cells.empty and key == "all":
        cells = pd.DataFrame([{"all": 0, "n": 0, "n_timed": 0, "hours": 0.0, "hit": 0.0, "square": 0.0}])
    total = cells.groupby(key, dropna=False)[["hours", "hit"]].transform("sum")
    apart = (cells["hit"] - total["hit"] / total["hours"].where(total["hours"] > 0) * cells["hours"]) / total["hours"]
    table = cells.assign(variance=apart**2, m=cells["hours"] > 0).groupby(key, dropna=False)[
        ["n", "n_timed", "hours", "hit", "square", "variance", "m"]
    ].sum().reset_index()  # fmt: skip
    share, m = table["hit"] / table["hours"].where(table["hours"] > 0), table["m"].astype(float)
    variance = (table["variance"] * m / (m - 1)).where(m > 1)
    worth = (share * (1 - share) / variance.where(variance > 0)).fillna(m.where(m > 1))
    tail = (1 + confidence) / 2
    few = (norm.ppf(tail) / student.ppf(tail, (m - 1).clip(lower=1))) ** 2
    worth = np.minimum(worth, table["hours"] ** 2 / table["square"].where(table["square"] > 0)) * few
    low, high = proportions.wilson_interval(share * worth, worth, confidence)
    return table.assign(logged_hours=table["hours"], selling_time_rate=share, selling_time_rate_low=low,
                        selling_time_rate_high=high)  # fmt: skip


def _shares(
    rows: pd.DataFrame, by: str | None, success: str, cluster: str | None, names: tuple[str, str], confidence: float
) -> pd.DataFrame:
    table = means.clustered_share(rows, by=[by] if by else [], success=success, cluster=cluster, confidence=confidence)
    return table.rename(columns={"hit": names[0]} | {f"share{end}": f"{names[1]}{end}" for end in _LIMITS})
