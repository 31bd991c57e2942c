"""Quotas: what each person and each group was asked to win, and who was fully ramped."""

from datetime import date

import numpy as np
import pandas as pd

from salesops import checks, rep_performance
from salesops.kept.memory import once
from salesops.periods import Period

SCOPES = {
    "rep": "owner_id", "team": "team", "manager": "manager_id", "region": "region", "territory": "territory",
    "company": "scope",
}  # fmt: skip
RAMP_DAYS = 183  # from hiring, after which a rep counts as ramped where no target says so

_DAY = pd.Timedelta(days=1)
_COLUMNS = ["metric", "scope_kind", "scope_id", "period_start", "version", "period_end", "value", "ramp_factor"]


def quotas(targets: pd.DataFrame, *, reps: pd.DataFrame, period: Period, scope: str = "rep") -> pd.DataFrame:
    """The bookings asked of each rep, team, manager, region, territory or of the company in a period.

    A group's quota is the target set for it; where none is, it is the sum of its people's quotas. A person's quota is
    target x ramp factor x share of the days in seat. A target that lies partly outside the period counts by its days
    inside; one without an end is a month's. Of several versions that overlap the last counts.

    A manager's target is never added to those of the reps it is made of: it stands for the manager's team. Only one
    below the quota of a single rep led cannot be a team's: it is the manager's own and is added to the reps'.

    Known bias: a region's sum is that of the people who belong there, but they may sell elsewhere.

    Parameters
    ----------
    targets
        The table; those of metric ``bookings_amount`` count.
    reps
        The table of reps, for ramp, seat, team, manager and region; may be empty.
    period
        Which days.
    scope
        rep, team, manager, region, territory or company.

    Returns
    -------
    DataFrame
        One row per group with a quota: its column (``owner_id``, ``team``, ``manager_id``, …; of the company
        ``scope``), ``quota_amount``, ``n_quotas`` (people's quotas it is the sum of; 0 where a target is set for it).

    Raises
    ------
    ParameterError
        Another word for `scope`.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> plan = pd.DataFrame({
    ...     "metric": "bookings_amount", "scope_kind": ["rep", "rep", "rep"], "scope_id": ["U1", "U2", "M1"],
    ...     "version": "plan", "period_start": day("2026-07-01"), "period_end": day("2026-09-30"),
    ...     "value": [100.0, 100.0, 180.0], "ramp_factor": [1.0, 0.5, None],
    ... })
    >>> people = pd.DataFrame({
    ...     "owner_id": ["U1", "U2", "M1"], "role": ["rep", "rep", "manager"], "manager_id": ["M1", "M1", None],
    ...     "hire_date": pd.NaT, "left_date": pd.NaT,
    ... })
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> quotas(plan, reps=people, period=q3, scope="manager")  # of M1: not 180 + 100 + 50
      manager_id  quota_amount  n_quotas
    0         M1         180.0         0
    >>> quotas(plan, reps=people, period=q3, scope="company")
         scope  quota_amount  n_quotas
    0  company         150.0         2
    """
    if scope not in SCOPES:
        raise checks.ParameterError(f"scope: '{scope}'. Use {', '.join(SCOPES)}.{checks.did_you_mean(scope, SCOPES)}")
    checks.require_columns(targets, _COLUMNS, where="targets")
    people, rolled_up = _peoples(targets, reps, period)
    if scope == "rep":
        return people.rename(columns={"scope_id": "owner_id"}).assign(n_quotas=0).reset_index(drop=True)
    own = _set(targets, reps, period, scope)
    if scope == "company":
        own = own.assign(scope_id="company").groupby("scope_id", as_index=False)["quota_amount"].sum(min_count=1)
    if scope == "manager":
        own = pd.concat([own, rolled_up[~rolled_up["scope_id"].isin(own["scope_id"])]])
    return _first_of(own, _summed(people, reps, scope)).rename(columns={"scope_id": SCOPES[scope]})


def valid_targets(targets: pd.DataFrame, *, kind: str, period: Period) -> pd.DataFrame:
    """The bookings targets of a kind that overlap a period, of the last version, with their last day in ``last``.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> plan = pd.DataFrame({"metric": "bookings_amount", "scope_kind": "rep", "scope_id": "U1",
    ...     "version": ["plan", "plan", "revised"], "period_end": pd.NaT, "value": [10.0, 10.0, 20.0],
    ...     "period_start": day(["2026-07-01", "2026-08-01", "2026-08-01"])})
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> valid_targets(plan, kind="rep", period=q3)["value"].tolist()
    [10.0, 20.0]
    """
    rows = _of_kind(targets, kind)
    rows = rows[rep_performance.days_inside(rows["period_start"], rows["last"], period) > 0]
    rows = rows.sort_values("version", kind="stable", na_position="first").reset_index(drop=True)
    rows = rows.drop_duplicates(["scope_id", "period_start"], keep="last")
    return _last_version(rows) if rows["version"].nunique(dropna=False) > 1 else rows


def manager_of(owner: pd.Series, reps: pd.DataFrame) -> pd.Series:
    """Who leads the team an owner's deals count for: the manager, or the owner who leads others.

    Examples
    --------
    >>> people = pd.DataFrame({"owner_id": ["U1", "M1"], "role": ["rep", "manager"], "manager_id": ["M1", "D1"]})
    >>> manager_of(pd.Series(["U1", "M1", "X9"]), people).tolist()
    ['M1', 'M1', nan]
    """
    leads = set(reps.loc[~reps["owner_id"].isin(rep_performance.not_reps(reps)), "manager_id"].dropna())
    above = owner.map(reps.set_index("owner_id")["manager_id"]).astype("str")
    return above.where(~owner.isin(leads), owner).astype("str")


def ramp_states(
    targets: pd.DataFrame, *, reps: pd.DataFrame, period: Period, as_of: date, ramp_days: int = RAMP_DAYS
) -> pd.DataFrame:
    """Which reps were fully ramped throughout a period, and how long they were in seat.

    Ramped is who has a ramp factor of 1 in every target of the period; where no target of the rep says, who was hired
    at least `ramp_days` before it begins. A rep of unknown hire date counts as ramped.

    Parameters
    ----------
    targets, reps
        The tables; may be empty.
    period, as_of
        Which days, and the last day used.
    ramp_days
        Days from hiring after which a rep counts as ramped where no target says so.

    Returns
    -------
    DataFrame
        One row per rep in seat in the period, by id: ``owner_id``, ``team``, ``is_ramped``, ``n_days`` (in seat).

    Examples
    --------
    >>> people = pd.DataFrame({"owner_id": ["U1", "U2"], "role": "rep", "team": "East", "left_date": pd.NaT,
    ...     "hire_date": pd.to_datetime(["2020-01-01", "2026-08-01"])})
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> none = pd.DataFrame(columns=["metric", "scope_kind", "scope_id", "period_start", "version", "period_end",
    ...     "value", "ramp_factor"])
    >>> ramp_states(none, reps=people, period=q3, as_of=date(2026, 9, 30))
      owner_id  team  is_ramped  n_days
    0       U1  East       True      92
    1       U2  East      False      61
    """
    checks.require_columns(targets, _COLUMNS, where="targets")
    until = Period(period.label, period.start, min(period.end, as_of))
    sellers = reps[~reps["owner_id"].isin(rep_performance.not_reps(reps))]
    first = sellers["hire_date"].fillna(pd.Timestamp(until.start))
    days = rep_performance.days_inside(first, sellers["left_date"].fillna(pd.Timestamp(until.end)), until)
    rows = valid_targets(targets, kind="rep", period=period) if len(targets) else targets
    factor = sellers["owner_id"].map(rows.groupby("scope_id")["ramp_factor"].min()).astype(float)
    is_long = ~((pd.Timestamp(period.start) - sellers["hire_date"]) / _DAY < ramp_days)
    states = sellers[["owner_id", "team"]].assign(
        is_ramped=(factor >= 1).where(factor.notna(), is_long).astype(bool), n_days=days.astype(int)
    )
    return states[states["n_days"] > 0].sort_values("owner_id").reset_index(drop=True)


@once
def _of_kind(targets: pd.DataFrame, kind: str) -> pd.DataFrame:
    rows = targets[(targets["metric"] == "bookings_amount") & (targets["scope_kind"] == kind)]
    return rows.assign(last=rows["period_end"].fillna(rows["period_start"] + pd.offsets.MonthEnd(0)))


@once
def _peoples(targets: pd.DataFrame, reps: pd.DataFrame, period: Period) -> tuple[pd.DataFrame, pd.DataFrame]:
    """People's own quotas, and managers' targets that are a team's."""
    every = _set(targets, reps, period, "rep")
    is_other = every["scope_id"].isin(rep_performance.not_reps(reps))
    mine, others = every[~is_other], every[is_other]
    if others.empty:
        return mine, others
    largest = mine.assign(scope_id=_groups(mine["scope_id"], reps, "manager")).groupby("scope_id")["quota_amount"].max()
    is_own = others["quota_amount"] < others["scope_id"].map(largest).astype(float)
    return pd.concat([mine, others[is_own]]), others[~is_own]


def _last_version(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that none of a later version overlaps."""
    rank = rows["version"].rank(method="dense").fillna(0)
    spans = rows[["scope_id", "period_start", "last"]].assign(rank=rank, row=rows.index)
    pairs = spans.merge(spans, on="scope_id", suffixes=("", "_other"))
    is_over = (pairs["rank_other"] > pairs["rank"]) & (pairs["period_start_other"] <= pairs["last"])
    return rows.drop(index=pairs.loc[is_over & (pairs["last_other"] >= pairs["period_start"]), "row"].unique())


def _set(targets: pd.DataFrame, reps: pd.DataFrame, period: Period, kind: str) -> pd.DataFrame:
    """The targets of a kind, by the group they are set for; a rep's for ramp and days in seat."""
    rows = valid_targets(targets, kind=kind, period=period)
    last, value = rows["last"], rows["value"]
    share = rep_performance.days_inside(rows["period_start"], last, period)
    if kind == "rep":
        seats = rows[["scope_id"]].merge(reps.rename(columns={"owner_id": "scope_id"}), how="left").set_axis(rows.index)
        first = rows["period_start"].clip(lower=seats["hire_date"].fillna(rows["period_start"]))
        share = rep_performance.days_inside(first, last.clip(upper=seats["left_date"].fillna(last)), period)
        value = value * rows["ramp_factor"].fillna(1.0)
    part = share / ((last - rows["period_start"]) / _DAY + 1)
    rows = rows.assign(quota_amount=value * part)[share > 0]
    return rows.groupby("scope_id", as_index=False)["quota_amount"].sum(min_count=1)


def _groups(owner: pd.Series, reps: pd.DataFrame, scope: str) -> pd.Series:
    """The group each person's quota belongs to."""
    if scope == "company":
        return pd.Series("company", index=owner.index, dtype="str")
    if scope == "manager":
        return manager_of(owner, reps)
    column = SCOPES[scope]
    if column not in reps:
        return pd.Series(np.nan, index=owner.index).astype("str")
    return owner.map(reps.set_index("owner_id")[column]).astype("str")


def _summed(people: pd.DataFrame, reps: pd.DataFrame, scope: str) -> pd.DataFrame:
    rows = people.assign(scope_id=_groups(people["scope_id"], reps, scope)).groupby("scope_id")["quota_amount"]
    return rows.agg(quota_amount=lambda each: each.sum(min_count=1), n_quotas="count").reset_index()


def _first_of(own: pd.DataFrame, summed: pd.DataFrame) -> pd.DataFrame:
    """A group's own target where there is one, else the sum."""
    rest = summed[~summed["scope_id"].isin(own["scope_id"]) & (summed["n_quotas"] > 0)]
    return pd.concat([own.assign(n_quotas=0), rest]).sort_values("scope_id").reset_index(drop=True)
