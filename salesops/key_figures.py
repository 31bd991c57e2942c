"""The key figures of the company by period, each by the function that defines it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from functools import partial

import pandas as pd

from salesops import (
    attainment,
    checks,
    forecast,
    forecast_cases,
    leads,
    pacing,
    pipeline,
    quotas,
    slippage,
    velocity,
    win_loss,
)
from salesops.periods import Calendar, Period, quarters_between, trailing_quarters

QUARTERS = 13  # the latest and three years before it

_PERIOD = ["period", "period_start", "period_end"]
_COVERAGE = ("pipeline_coverage_ratio", "coverage_needed_ratio")


def complete_quarters(
    opportunities: pd.DataFrame, window: Period, *, as_of: date, calendar: Calendar = Calendar(), n: int = QUARTERS
) -> list[Period]:
    """The last `n` quarters that are over and that the data cover whole, up to the one a period ends in.

    Examples
    --------
    >>> deals = pd.DataFrame({"created_date": pd.to_datetime(["2026-02-10", "2026-08-01"])})
    >>> third = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> [each.label for each in complete_quarters(deals, third, as_of=date(2026, 9, 30))]
    ['2026Q2', '2026Q3']
    """
    first = opportunities["created_date"].min()
    if pd.isna(first):
        return []
    known = quarters_between(first.date(), as_of, calendar)
    whole = known[(first.date() - known[0].start).days >= 7 :]
    recent = trailing_quarters(window, n, calendar)
    return [each for each in recent if each.is_complete(as_of) and each.label in {one.label for one in whole}]


def kpis(
    opportunities: pd.DataFrame,
    *,
    periods: Sequence[Period],
    as_of: date,
    stage_history: pd.DataFrame,
    stages: pd.DataFrame | None,
    reps: pd.DataFrame,
    targets: pd.DataFrame,
    arrived: pd.DataFrame,
    sla_hours: float = 24,
) -> dict[str, pd.DataFrame]:
    """Each key figure over some periods, by the function that defines it.

    Parameters
    ----------
    opportunities
        The population.
    periods
        Oldest first, none beginning after `as_of`.
    as_of
        Last day used.
    stage_history, stages, reps, targets
        Of the company; without targets there is no attainment, without a history no slippage.
    arrived
        Leads, of `leads.answered_by_people`; none gives no figure of leads.
    sla_hours
        Within which a lead is to be answered.

    Returns
    -------
    dict of DataFrame
        By column of the figure: one row per period, ``period``, ``period_start``, ``period_end``, ``n`` and the
        figure with its limits.

    Examples
    --------
    >>> kpis(pd.DataFrame(), periods=[], as_of=date(2026, 9, 30), stage_history=pd.DataFrame(), stages=None,
    ...      reps=pd.DataFrame(), targets=pd.DataFrame(), arrived=pd.DataFrame())
    {}
    """
    if not periods:
        return {}
    held = partial(_held, opportunities, reps=reps, targets=targets)
    due = partial(slippage.due_deals, opportunities, stage_history, as_of=as_of, stages=stages)
    pace = velocity.velocity(
        velocity.tallies(opportunities, stage_history, periods=periods, as_of=as_of, stages=stages)
    )
    counts = by_period(lambda each: win_loss.outcome_counts(opportunities, each), periods)
    closed = {each.label: pipeline.closed_in(opportunities, each) for each in periods}
    found = {
        "bookings_amount": forecast.bookings(opportunities, periods),
        "won_count": counts,
        "win_rate": by_period(lambda each: win_loss.win_rate(closed[each.label]), periods),
        "value_win_rate": by_period(lambda each: win_loss.value_win_rate(closed[each.label]), periods),
        "won_size_amount": pace,
        "won_exit_days": pace,
        "sales_velocity_amount": pace,
    }
    if len(stage_history):
        found["slippage_rate"] = by_period(lambda each: slippage.slippage_rate(due(period=each)), periods)
    if len(targets):
        found["quota_attainment_rate"] = by_period(lambda each: held(period=each), periods)
    if len(arrived):
        known = {"as_of": as_of, "hours": sla_hours}
        found["lead_sla_rate"] = by_period(lambda each: leads.lead_sla(arrived, period=each, **known), periods)
    return {name: _only(frame, name) for name, frame in found.items()}


def by_period(measure: Callable[[Period], pd.DataFrame], periods: Sequence[Period]) -> pd.DataFrame:
    """What a function of one period gives, period under period.

    Examples
    --------
    >>> third = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> by_period(lambda each: pd.DataFrame({"n": [each.days]}), [third])[["period", "n"]]
       period   n
    0  2026Q3  92
    """
    rows = [pipeline.dated(measure(each).drop(columns=_PERIOD, errors="ignore"), each) for each in periods]
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=[*_PERIOD, "n"])


def coverages(
    opportunities: pd.DataFrame,
    stage_history: pd.DataFrame,
    *,
    ahead: Period,
    quarters: Sequence[Period],
    as_of: date,
    stages: pd.DataFrame | None,
    reps: pd.DataFrame,
    targets: pd.DataFrame,
    calendar: Calendar = Calendar(),
) -> pd.DataFrame:
    """Coverage of the quarter ahead, and of each earlier one as it stood at the same place in it.

    Parameters
    ----------
    opportunities, stage_history, stages, reps, targets
        As for `kpis`.
    ahead
        The quarter to come, or the one running.
    quarters
        Earlier ones.
    as_of
        Evening on which the quarter ahead is looked at.

    Returns
    -------
    DataFrame
        One row per quarter with a target, oldest first: as of `pacing.coverage`, with its days.

    Examples
    --------
    >>> third = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> coverages(pd.DataFrame(), pd.DataFrame(), ahead=third, quarters=[], as_of=third.end, stages=None,
    ...           reps=pd.DataFrame(), targets=pd.DataFrame()).empty
    True
    """
    into = as_of - ahead.start
    rows = []
    for each in [*(one for one in quarters if one.start < ahead.start), ahead] if len(targets) else []:
        target = quotas.quotas(targets, reps=reps, scope="company", period=each)["quota_amount"].max()
        if pd.notna(target):
            evening = max(each.start - timedelta(days=1), min(each.start + into, each.end))
            known = {"period": each, "cutoff": evening, "stages": stages, "calendar": calendar}
            case = forecast_cases.case_of(opportunities, stage_history, **known)
            rows.append(pipeline.dated(pacing.coverage(case, target=target).drop(columns="period"), each))
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=[*_PERIOD, "n", *_COVERAGE])


def with_coverage(series: Mapping[str, pd.DataFrame], coverage: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The key figures with coverage among them, where there are targets.

    Examples
    --------
    >>> with_coverage({}, pd.DataFrame({"period": [], "n": [], "pipeline_coverage_ratio": []}))
    {}
    """
    if coverage.empty:
        return dict(series)
    return dict(series) | {"pipeline_coverage_ratio": _only(coverage, "pipeline_coverage_ratio")}


def row(series: Mapping[str, pd.DataFrame], name: str) -> pd.DataFrame:
    """The rows of a key figure; none where the company has no such figure.

    Examples
    --------
    >>> row({}, "win_rate").columns.tolist()
    ['n', 'win_rate']
    """
    return series.get(name, pd.DataFrame(columns=["n", name]))


def course(series: Mapping[str, pd.DataFrame], name: str) -> pd.Series:
    """The values of a key figure, quarter by quarter, for a small line.

    Examples
    --------
    >>> course({"won_count": pd.DataFrame({"n": [4, 5], "won_count": [4, 5]})}, "won_count").tolist()
    [4, 5]
    """
    return row(series, name)[name]


def target(series: Mapping[str, pd.DataFrame]) -> float | None:
    """The bookings target of the one period of `kpis`; nothing where there is none.

    Examples
    --------
    >>> target({"quota_attainment_rate": pd.DataFrame({"quota_amount": [4e6]})}), target({})
    (4000000.0, None)
    """
    found = series.get("quota_attainment_rate", pd.DataFrame({"quota_amount": []}))["quota_amount"].dropna()
    return float(found.iloc[0]) if len(found) else None


def of_period(frame: pd.DataFrame, period: Period) -> pd.DataFrame:
    """The row of one period.

    Examples
    --------
    >>> of_period(pd.DataFrame({"period": ["2026Q3"], "n": [4]}), Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30)))
       period  n
    0  2026Q3  4
    """
    return frame[frame["period"].eq(period.label)].reset_index(drop=True)


def needed(coverage: pd.DataFrame, period: Period) -> float | None:
    """The coverage that a quarter needs, of `coverages`; nothing where it is not known.

    Examples
    --------
    >>> third = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> needed(pd.DataFrame({"period": ["2026Q3"], "coverage_needed_ratio": [3.3]}), third)
    3.3
    """
    found = of_period(coverage, period)["coverage_needed_ratio"].dropna()
    return float(found.iloc[0]) if len(found) else None


def booked(series: Mapping[str, pd.DataFrame], period: Period) -> pd.DataFrame:
    """What a quarter booked, to set a forecast beside: as the amount it landed at.

    Examples
    --------
    >>> third = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> booked({"bookings_amount": pd.DataFrame({"period": ["2026Q3"], "n": [57], "bookings_amount": [1.8]})}, third)
       period   n  landing_amount
    0  2026Q3  57             1.8
    """
    frame = series.get("bookings_amount", pd.DataFrame({"period": [], "n": [], "bookings_amount": []}))
    return of_period(frame, period).rename(columns={"bookings_amount": "landing_amount"})


def _held(opportunities: pd.DataFrame, *, period: Period, reps: pd.DataFrame, targets: pd.DataFrame) -> pd.DataFrame:
    return attainment.quota_attainment(opportunities, period=period, scope="company", targets=targets, reps=reps)


def _only(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """A figure with its limits and what it is of, without the other figures of its function."""
    checks.require_columns(frame, [*_PERIOD, "n", name])
    beside = {"quota_attainment_rate": ["won_amount", "quota_amount"]}.get(name, [])
    known = [column for column in (f"{name}_low", f"{name}_high", *beside) if column in frame.columns]
    return frame[[*_PERIOD, "n", name, *known]].reset_index(drop=True)
