"""Hygiene: how much of the open pipeline is kept in order, and how much of what is worked is won, by rep."""

from datetime import date

import numpy as np
import pandas as pd

from salesops import activity, checks, deal_rules, pipeline, words
from salesops.periods import Period
from salesops.stats import proportions

QUIET_DAYS = deal_rules.QUIET_DAYS
COMPONENTS = {
    "next_step": "a next step",
    "recent_activity": "an activity lately",
    "close_ahead": "a close date ahead",
    "usual_age": "no longer in its stage than nine of ten",
}
_LIMITS = ("", "_low", "_high")


def open_deals(
    opportunities: pd.DataFrame,
    *,
    as_of: date,
    activities: pd.DataFrame | None = None,
    visits: pd.DataFrame | None = None,
    durations: pd.DataFrame | None = None,
    days: int = QUIET_DAYS,
) -> pd.DataFrame:
    """The open deals, each with what is in order about it: next step, activity lately, close date, time in stage.

    A component that cannot be told is missing: no open deal has a next step, or a close date; nothing tells
    when anything was done; the usual time in a stage is not known. A deal is in order where all that is known
    of it is.

    Parameters
    ----------
    opportunities
        With ``opportunity_id, owner_id, account_id, amount, is_closed, created_date, close_date`` and, where known,
        ``next_step`` and ``last_activity_date``.
    as_of
        Last day of the data: a close date on it is still ahead.
    activities
        People's own tell when something was last done; where no open deal has any, ``last_activity_date`` does.
        A deal created within the `days` is not quiet yet.
    visits, durations
        Of `journey.stage_visits` and `stage_times.stage_duration`: the time by which 90 % have left is the usual.
    days
        Without activity, after which a deal is quiet.

    Returns
    -------
    DataFrame
        One row per open deal: ``opportunity_id, account_id, owner_id``, ``team`` where known, ``amount``,
        ``next_step``, ``recent_activity``, ``close_ahead``, ``usual_age`` (of `COMPONENTS`) and ``in_order``: yes, no
        or missing.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> deals = pd.DataFrame({
    ...     "opportunity_id": ["A", "B"], "owner_id": "U1", "account_id": ["a", "b"], "amount": [10.0, 90.0],
    ...     "is_closed": False, "created_date": day("2026-01-05"), "close_date": day(["2026-12-01", "2026-08-01"]),
    ...     "next_step": ["Demo", None], "last_activity_date": day("2026-09-20"),
    ... })
    >>> open_deals(deals, as_of=date(2026, 9, 30)).iloc[:, 4:].astype(object).fillna("?").values.tolist()
    [[True, True, True, '?', True], [False, True, False, '?', False]]
    """
    needed = ["opportunity_id", "owner_id", "account_id", "amount", "is_closed", "created_date", "close_date"]
    checks.require_columns(opportunities, needed, where="opportunities")
    rows = opportunities[~opportunities["is_closed"].astype(bool)].reset_index(drop=True)
    known = {
        "next_step": _any_of(rows["next_step"].notna()) if "next_step" in rows else None,
        "recent_activity": _is_recent(rows, activities, as_of, days),
        "close_ahead": _any_of(rows["close_date"] >= pd.Timestamp(as_of), rows["close_date"].notna()),
        "usual_age": _is_usual(rows, visits, durations),
    }
    empty = pd.Series(pd.NA, index=rows.index, dtype="boolean")
    parts = pd.DataFrame({name: empty if part is None else part.astype("boolean") for name, part in known.items()})
    in_order = parts.fillna(True).all(axis=1).astype("boolean").where(parts.notna().any(axis=1))
    kept = rows.columns.intersection(["opportunity_id", "account_id", "owner_id", "team", "amount"], sort=False)
    return rows[kept].join(parts).assign(in_order=in_order)


def pipeline_health(state: pd.DataFrame, *, by: str | None = "owner_id", confidence: float = 0.95) -> pd.DataFrame:
    """Share of the open amount that is in order, and of each thing it takes.

    ``pipeline_health_rate`` is the amount of the deals with everything that can be told over the open amount;
    each component the same for itself, of the deals where it can be told. Missing where there is no
    amount. The intervals allow for several deals of one company; few deals have wide ones.

    Known bias: tidy is not the same as good, and a close date that is moved on every week is always ahead.

    Parameters
    ----------
    state
        Of `open_deals`.
    by
        Column to group on, a missing value is a group; None for the company.
    confidence
        Level of the intervals.

    Returns
    -------
    DataFrame
        One row per group, largest amount first: `by`, ``n`` (open deals), ``n_in_order`` (missing where it cannot
        be told), ``open_amount``, ``pipeline_health_rate``, ``next_step_rate``, ``recent_activity_rate``,
        ``close_ahead_rate`` and ``usual_age_rate`` with their limits; a component no deal has is missing.

    Metrics
    -------
    pipeline_health_rate : rate, as_of, higher, -, amount
        Share of the open amount with a next step, activity lately, a close date ahead and a usual time in its stage.
    next_step_rate : rate, as_of, higher, -, amount
        Share of the open amount that has a next step.
    recent_activity_rate : rate, as_of, higher, -, amount
        Share of the open amount with an activity of people, or created, within the last 30 days.
    close_ahead_rate : rate, as_of, higher, -, amount close_date
        Share of the open amount whose close date is not past.
    usual_age_rate : rate, as_of, higher, -, amount changed_at
        Share of the open amount that has been in its stage for no longer than nine of ten usually are.

    References
    ----------
    Kish (1965), Survey Sampling, ch. 6; Korn & Graubard (1998), Survey Methodology 24:193-201.

    Examples
    --------
    >>> state = pd.DataFrame({
    ...     "owner_id": "U1", "account_id": ["a", "b"], "amount": [30.0, 70.0], "next_step": [True, False],
    ...     "recent_activity": True, "close_ahead": True, "usual_age": pd.NA, "in_order": [True, False],
    ... })
    >>> pipeline_health(state)[["n", "n_in_order", "pipeline_health_rate", "next_step_rate", "usual_age_rate"]]
       n  n_in_order  pipeline_health_rate  next_step_rate  usual_age_rate
    0  2           1                   0.3             0.3             NaN
    """
    checks.require_columns(state, [*([by] if by else []), "account_id", "amount", *COMPONENTS, "in_order"])
    keys = [by] if by else ["all"]
    rows = state.assign(all=0, n=1, n_in_order=state["in_order"].astype("boolean").astype("Int64"))
    groups = rows.assign(open_amount=rows["amount"]).groupby(keys, dropna=False)
    table = groups[["n", "open_amount"]].sum().join(groups["n_in_order"].sum(min_count=1)).reset_index()
    if not by and table.empty:
        table = pd.DataFrame({"all": [0], "n": 0, "open_amount": 0.0, "n_in_order": pd.array([0], dtype="Int64")})
    for column, name in (("in_order", "pipeline_health_rate"), *((each, f"{each}_rate") for each in COMPONENTS)):
        table = table.merge(_share(rows, keys, column, name, confidence), on=keys, how="left")
    table = table.sort_values("open_amount", ascending=False, kind="stable").reset_index(drop=True)
    first = [*([by] if by else []), "n", "n_in_order"]
    return table[[*first, *table.columns.drop([*first, "all"], errors="ignore")]]


def component_rates(state: pd.DataFrame, *, confidence: float = 0.95) -> pd.DataFrame:
    """Each component of the company's pipeline health, the one most money lacks first; those not recorded last.

    Returns
    -------
    DataFrame
        One row per component, in words: ``component``, ``n`` (deals of which it can be told), ``n_met``,
        ``met_rate`` (by amount) with its limits, ``lacking_rate`` (the rest), ``lacking_amount``.

    Metrics
    -------
    met_rate : rate, as_of, higher, -, amount
        Share of the open amount that has the component.
    lacking_rate : rate, as_of, lower, -, amount
        Share of the open amount that lacks the component.
    lacking_amount : amount, as_of, lower, -, amount
        Open amount of the deals without the component.

    Examples
    --------
    >>> state = pd.DataFrame({"account_id": ["a", "b"], "amount": [30.0, 70.0], "next_step": [True, False],
    ...     "recent_activity": True, "close_ahead": pd.NA, "usual_age": pd.NA, "in_order": [True, False]})
    >>> component_rates(state)[["component", "n", "n_met", "met_rate", "lacking_amount"]].head(3)
                component  n  n_met  met_rate  lacking_amount
    0         a next step  2      1       0.3            70.0
    1  an activity lately  2      2       1.0             0.0
    2  a close date ahead  0      0       NaN             NaN
    """
    checks.require_columns(state, ["account_id", "amount", *COMPONENTS])
    found = []
    for name, text in COMPONENTS.items():
        known = state[state[name].notna()]
        has = known[name].astype(bool)
        share = _share(known.assign(all=0), ["all"], name, "met_rate", confidence).drop(columns="all")
        limits = share.iloc[0].to_dict() if len(share) else {}
        lacking = known.loc[~has, "amount"].sum() if len(known) else np.nan
        found.append({"component": text, "n": len(known), "n_met": int(has.sum()), **limits, "lacking_amount": lacking})
    columns = ["component", "n", "n_met", *(f"met_rate{end}" for end in _LIMITS), "lacking_amount"]
    table = pd.DataFrame(found, columns=columns)
    table.insert(len(columns) - 1, "lacking_rate", 1 - table["met_rate"].astype(float))
    return table.sort_values("lacking_amount", ascending=False, kind="stable", ignore_index=True)


def pipeline_yield(
    opportunities: pd.DataFrame, *, period: Period, as_of: date, by: str | None = "owner_id", confidence: float = 0.95
) -> pd.DataFrame:
    """Won amount of the period over the amount worked in it: of every deal that was open on any of its days.

    ``pipeline_yield_rate = won_amount / worked_amount``. A deal worked over two periods counts in both, so
    long cycles give a low yield: compare like with like. The interval allows for several deals of one company.

    Parameters
    ----------
    opportunities
        With ``account_id, amount, is_won, created_date``, what tells when they ended, and `by`. A deal whose creation
        is not known counts from the beginning.
    period, as_of
        When they were worked, and the last day used.
    by
        Column to group on, a missing value is a group; None for the company.
    confidence
        Level of the interval.

    Returns
    -------
    DataFrame
        One row per group, largest amount first: `by`, ``n`` (deals worked), ``worked_amount``, ``pipeline_yield_rate``
        with its limits.

    Metrics
    -------
    worked_amount : amount, period, none, -, amount created_date close_date
        Amount of the deals open on any day of the period.
    pipeline_yield_rate : rate, closed, higher, -, amount created_date close_date
        Amount won in the period over the amount worked in it.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> deals = pd.DataFrame({
    ...     "owner_id": "U1", "account_id": ["a", "b", "c"], "amount": [30.0, 50.0, 20.0],
    ...     "is_won": [True, False, True], "is_closed": [True, False, True], "created_date": day("2026-01-05"),
    ...     "closed_at": pd.NaT, "close_date": day(["2026-08-01", "2026-12-01", "2026-06-30"]),
    ... }).astype({"closed_at": "datetime64[us]"})
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> pipeline_yield(deals, period=q3, as_of=q3.end)[["n", "worked_amount", "pipeline_yield_rate"]]
       n  worked_amount  pipeline_yield_rate
    0  2           80.0                0.375
    """
    checks.require_columns(opportunities, ["account_id", "amount", "is_won", "created_date", *([by] if by else [])])
    last, ended = pd.Timestamp(min(period.end, as_of)), pipeline.ended_on(opportunities)
    is_over = (ended < pd.Timestamp(period.start)) | (opportunities["is_closed"] & ended.isna())
    is_worked = ~(opportunities["created_date"].dt.normalize() > last) & ~is_over
    is_won = opportunities["is_won"].astype(bool) & (ended <= last)
    rows = opportunities.assign(is_hit=is_won)[is_worked & opportunities["amount"].notna()]
    table = proportions.weighted_share(
        rows, by=[by] if by else [], weight="amount", success="is_hit", cluster="account_id", confidence=confidence
    ).drop(columns="hit")
    return table.rename(columns={"total": "worked_amount"} | _named("pipeline_yield_rate"))


def health_sentence(company: pd.DataFrame, components: pd.DataFrame, *, currency: str = "", brief: bool = False) -> str:
    """How much of the open money is in order, what it lacks most, and what cannot be told; the first two `brief`.

    Parameters
    ----------
    company, components
        Of `pipeline_health` with ``by=None``, and of `component_rates`.

    Examples
    --------
    >>> row = {"n": 200, "open_amount": 12e6, "pipeline_health_rate": 0.55, "pipeline_health_rate_low": 0.47,
    ...     "pipeline_health_rate_high": 0.63}
    >>> parts = pd.DataFrame({"component": ["a next step", "a close date ahead", "an activity lately"],
    ...     "n": [200, 200, 0], "met_rate": [0.6, 0.9, None], "lacking_amount": [4.8e6, 1.2e6, None]})
    >>> health_sentence(pd.DataFrame([row]), parts, currency="USD")  # doctest: +NORMALIZE_WHITESPACE
    '55 % of the $12M open is in order (likely between 47 % and 63 %); what is lacking most often is a next step: in
    40 % of it. Not recorded, so left out: an activity lately.'
    >>> health_sentence(pd.DataFrame([row]), parts, currency="USD", brief=True)
    '55 % of the $12M open is in order; 40 % of it lacks a next step'
    >>> health_sentence(pd.DataFrame([row]), parts.assign(lacking_amount=0.0, met_rate=1.0, n=200), currency="USD")
    'All of the $12M open is in order: nothing that can be told is lacking.'
    >>> health_sentence(pd.DataFrame([row]).assign(n=0), parts)
    'No deal is open, so there is nothing to keep in order.'
    """
    row, known = company.iloc[0], components[components["n"] > 0]
    if row["n"] == 0:
        return "No deal is open, so there is nothing to keep in order."
    left_out = components.loc[components["n"] == 0, "component"].tolist()
    without = "" if brief or not left_out else f" Not recorded, so left out: {', '.join(left_out)}."
    if known.empty or words.is_missing(row["pipeline_health_rate"]):
        return f"How much of the open pipeline is in order cannot be told: no amounts, or nothing recorded.{without}"
    money = f"the {words.amount(row['open_amount'], currency, compact=True)} open"
    worst = known.sort_values("lacking_amount", ascending=False, kind="stable").iloc[0]
    if not worst["lacking_amount"] > 0:
        return f"All of {money} is in order: nothing that can be told is lacking.{without}"
    limits = words.interval(row["pipeline_health_rate_low"], row["pipeline_health_rate_high"], "rate")
    share, lacking = (
        f"{words.rate(row['pipeline_health_rate'])} of {money} is in order",
        words.rate(1 - worst["met_rate"]),
    )
    if brief:
        return f"{share}; {lacking} of it lacks {worst['component']}"
    share += f" ({limits})" if limits else ""
    return f"{share}; what is lacking most often is {worst['component']}: in {lacking} of it.{without}"


def _any_of(has: pd.Series, recorded: pd.Series | None = None) -> pd.Series | None:
    """A component, unless no deal at all has it: a column the source lacks is nobody's fault."""
    return has if (has if recorded is None else recorded).any() else None


def _is_recent(rows: pd.DataFrame, activities: pd.DataFrame | None, as_of: date, days: int) -> pd.Series | None:
    """Whether each deal was last dealt with, or created, within so many days; None where nothing tells."""
    last = rows.get("last_activity_date", pd.Series(pd.NaT, index=rows.index)).astype("datetime64[us]")
    if activities is not None and len(activities):
        mine = activity.own(activities)
        logged = rows["opportunity_id"].map(mine.groupby("opportunity_id")["occurred_at"].max())
        last = logged.astype("datetime64[us]") if logged.notna().any() else last
    if last.isna().all():
        return None
    since = pd.Timestamp(as_of) - pd.Timedelta(days=days)
    return last.fillna(rows["created_date"]).dt.normalize() >= since


def _is_usual(rows: pd.DataFrame, visits: pd.DataFrame | None, durations: pd.DataFrame | None) -> pd.Series | None:
    """Whether each deal has been in its stage for no longer than 90 % usually are; missing where that is not known."""
    if visits is None or durations is None or visits.empty:
        return None
    checks.require_columns(durations, ["stage", "pipeline", "n", "stage_duration_days_p90"], where="durations")
    known = durations.loc[durations["n"] >= checks.MIN_N, ["stage", "pipeline", "stage_duration_days_p90"]]
    there = visits.loc[visits["exit"] == "still_there", ["opportunity_id", "stage", "pipeline", "days"]]
    there = there.merge(known, on=["stage", "pipeline"]).dropna(subset=["stage_duration_days_p90"])
    is_usual = (there["days"] <= there["stage_duration_days_p90"]).set_axis(there["opportunity_id"])
    found = rows["opportunity_id"].map(is_usual[~is_usual.index.duplicated(keep="last")].astype("boolean"))
    return found if found.notna().any() else None


def _share(rows: pd.DataFrame, keys: list[str], column: str, name: str, confidence: float) -> pd.DataFrame:
    """Share of the amount of the deals of which a component can be told that has it."""
    known = rows[rows[column].notna() & rows["amount"].notna()]
    known = known.assign(has=known[column].astype(bool))
    table = proportions.weighted_share(
        known, by=keys, weight="amount", success="has", cluster="account_id", confidence=confidence
    )
    limits = {f"share{end}": table[f"share{end}"].clip(0, 1) for end in _LIMITS[1:]}  # rounding leaves -5e-17 for 0
    return table.assign(**limits).rename(columns=_named(name))[[*keys, *_named(name).values()]]


def _named(name: str) -> dict[str, str]:
    return {f"share{end}": f"{name}{end}" for end in _LIMITS}
