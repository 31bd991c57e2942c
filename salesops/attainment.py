"""Attainment: how much of its quota each rep, team, manager, region and the company won, and on what pace."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
from scipy.stats import t as student

from salesops import checks, pipeline, quotas, rep_performance
from salesops.periods import Calendar, Period, previous
from salesops.stats import proportions, totals

LEVEL = 0.80  # of the usual range of a quarter
NO_MANAGER = "no manager"

_CALENDAR = Calendar()
_MONTH = 365.25 / 12
_LEAST = 4  # earlier periods from which a usual range is told
_LEVELS = ("rep", "team", "manager", "region", "company")
_BANDS = ("100 % and more", "80 to 100 %", "below 80 %")


def quota_attainment(
    opportunities: pd.DataFrame, *, targets: pd.DataFrame, reps: pd.DataFrame, period: Period, scope: str = "rep"
) -> pd.DataFrame:
    """Won amount over quota, for each rep, team, manager, region, territory or the company.

    A group's quota is the target set for it, else the sum of its people's quotas (``n_quotas`` of them); a manager's
    target is never added to the reps' it is made of: see `quotas.quotas`. Quota without wins is 0 won; wins
    without a quota have no rate. Among reps managers and overlays are left out; for their manager, what managers win
    themselves counts too.

    Parameters
    ----------
    opportunities
        Of `rep_performance.credited`, with ``is_won``, ``amount``, ``owner_id`` and the scope's column.
    targets, reps
        The tables; of targets those of metric ``bookings_amount``. Reps may be empty.
    period
        When deals were won. One that is not over yet has its whole quota.
    scope
        rep, team, manager, region, territory or company.

    Returns
    -------
    DataFrame
        One row per rep or manager by name (``name``, ``owner_id`` or ``manager_id``), group, or one for the company;
        ``n`` (deals won), ``won_amount``, ``quota_amount``, ``quota_attainment_rate`` and, but for reps, ``n_quotas``
        (people's quotas that the quota is the sum of; 0 where a target is set).

    Metrics
    -------
    quota_amount : amount, period, none, -, -
        Bookings target of the period, for a rep times ramp factor and share of days in seat.
    quota_attainment_rate : rate, closed, higher, won_amount / quota_amount, amount close_date
        Won amount of the period over its quota.

    Raises
    ------
    ParameterError
        Another word for `scope`.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> deals = pd.DataFrame({
    ...     "owner_id": ["U1", "U1"], "is_closed": True, "is_won": [True, False], "amount": [60.0, 500.0],
    ...     "close_date": day("2026-08-15"), "closed_at": day("2026-08-15"),
    ... })
    >>> plan = pd.DataFrame({
    ...     "metric": "bookings_amount", "scope_kind": "rep", "scope_id": ["U1", "U2"], "version": "plan",
    ...     "period_start": day("2026-07-01"), "period_end": day("2026-09-30"), "value": 100.0,
    ...     "ramp_factor": [1.0, 0.5],
    ... })
    >>> people = pd.DataFrame({
    ...     "owner_id": ["U1", "U2"], "name": ["Ann", "Bo"], "role": "rep", "manager_id": "M1",
    ...     "hire_date": day(["2020-01-01", "2026-08-16"]), "left_date": pd.NaT,
    ... })
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> quota_attainment(deals, targets=plan, reps=people, period=q3).drop(columns="owner_id")
      name  n  won_amount  quota_amount  quota_attainment_rate
    0  Ann  1        60.0         100.0                    0.6
    1   Bo  0         0.0          25.0                    0.0
    >>> quota_attainment(deals, targets=plan, reps=people, period=q3, scope="manager").drop(columns="name")
      manager_id  n  won_amount  quota_amount  quota_attainment_rate  n_quotas
    0         M1  1        60.0         125.0                   0.48         2
    """
    asked = quotas.quotas(targets, reps=reps, period=period, scope=scope)
    key = quotas.SCOPES[scope]
    rows = opportunities.assign(scope="company") if scope == "company" else opportunities
    if scope == "manager":
        rows = rows.assign(manager_id=quotas.manager_of(rows["owner_id"], reps))
    checks.require_columns(rows, [key, "is_won", "amount"])
    if scope == "company" and asked.empty:
        asked = pd.DataFrame({"scope": ["company"], "quota_amount": np.nan, "n_quotas": 0})
    table = _wins(rows, key, period).merge(asked, on=key, how="outer")
    table["won_amount"] = table["won_amount"].where(table["n"].notna(), 0.0)
    table[["n", "n_quotas"]] = table[["n", "n_quotas"]].fillna(0).astype(int)
    table["quota_attainment_rate"] = table["won_amount"] / table["quota_amount"].where(table["quota_amount"] > 0)
    names = ["n", "won_amount", "quota_amount", "quota_attainment_rate"]
    if scope == "rep":
        is_rep = ~table[key].isin(rep_performance.not_reps(reps))
        return rep_performance.named(table.loc[is_rep, [key, *names]], reps)
    table = table[[key, *names, "n_quotas"]]
    if scope == "manager":
        return _managers(table, reps)
    return table.drop(columns="scope", errors="ignore").reset_index(drop=True)


def quota_achievement(attainment: pd.DataFrame, *, confidence: float = 0.95) -> pd.DataFrame:
    """Share of the reps with a quota who reached all of it.

    Returns
    -------
    DataFrame
        One row: ``n`` (reps with a quota), ``n_achieved``, ``quota_achievement_rate`` and limits.

    Metrics
    -------
    quota_achievement_rate : rate, closed, higher, n_achieved / n, amount close_date
        Share of the reps with a quota who won at least all of it, managers and overlays left out.

    Examples
    --------
    >>> table = quota_achievement(pd.DataFrame({"quota_attainment_rate": [1.2, 1.0, 0.4, None]}))
    >>> table[["n", "n_achieved", "quota_achievement_rate"]].round(2)
       n  n_achieved  quota_achievement_rate
    0  3           2                    0.67
    """
    checks.require_columns(attainment, ["quota_attainment_rate"])
    rates = attainment["quota_attainment_rate"].dropna()
    n, achieved = len(rates), int((rates >= 1).sum())
    low, high = proportions.wilson_interval(achieved, n, confidence)
    return pd.DataFrame(
        {
            "n": [n],
            "n_achieved": achieved,
            "quota_achievement_rate": achieved / n if n else np.nan,
            "quota_achievement_rate_low": low,
            "quota_achievement_rate_high": high,
        }
    )


def achievement_by_ramp(attainment: pd.DataFrame, states: pd.DataFrame, *, confidence: float = 0.95) -> pd.DataFrame:
    """Attainment and achievement of all reps with a quota, of the fully ramped ones and of the others.

    Parameters
    ----------
    attainment
        Of `quota_attainment` by rep.
    states
        Of `quotas.ramp_states`. Who is not in it counts among all reps only.
    confidence
        Level of Wilson's interval.

    Returns
    -------
    DataFrame
        Three rows: ``reps`` (all, ramped, ramping), then the columns of `quota_achievement`, ``won_amount``,
        ``quota_amount`` and ``quota_attainment_rate`` of the reps with a quota, taken together.

    Examples
    --------
    >>> table = pd.DataFrame({"owner_id": ["U1", "U2"], "won_amount": [100.0, 10.0], "quota_amount": [100.0, 50.0],
    ...     "quota_attainment_rate": [1.0, 0.2]})
    >>> found = achievement_by_ramp(table, pd.DataFrame({"owner_id": ["U1", "U2"], "is_ramped": [True, False]}))
    >>> found[["reps", "n", "quota_achievement_rate", "quota_attainment_rate"]].round(2)
          reps  n  quota_achievement_rate  quota_attainment_rate
    0      all  2                     0.5                   0.73
    1   ramped  1                     1.0                   1.00
    2  ramping  1                     0.0                   0.20
    """
    checks.require_columns(attainment, ["owner_id", "won_amount", "quota_amount", "quota_attainment_rate"])
    known = attainment[attainment["quota_attainment_rate"].notna()]
    is_ramped = known["owner_id"].map(states.set_index("owner_id")["is_ramped"])
    parts = {"all": known, "ramped": known[is_ramped.eq(True)], "ramping": known[is_ramped.eq(False)]}
    rows = []
    for name, part in parts.items():
        won, asked = part["won_amount"].sum(), part["quota_amount"].sum()
        row = quota_achievement(part, confidence=confidence).assign(won_amount=won, quota_amount=asked)
        rows.append(row.assign(reps=name, quota_attainment_rate=won / asked if asked > 0 else np.nan))
    table = pd.concat(rows, ignore_index=True)
    return table[["reps", *table.columns.drop("reps")]]


def attainment_bands(attainment: pd.DataFrame, *, confidence: float = 0.95) -> pd.DataFrame:
    """How many of the reps with a quota reached all of it, at least four fifths, or less.

    Parameters
    ----------
    attainment
        Of `quota_attainment` by rep.
    confidence
        Level of Wilson's interval.

    Returns
    -------
    DataFrame
        Three rows: ``band``, ``n`` (reps with a quota), ``n_in_band``, ``attainment_band_rate`` with limits.

    Metrics
    -------
    attainment_band_rate : rate, closed, none, n_in_band / n, amount close_date
        Share of the reps with a quota whose attainment lies in the band.

    Examples
    --------
    >>> attainment_bands(pd.DataFrame({"quota_attainment_rate": [1.2, 0.8, 0.4, 0.1, None]})).iloc[:, :4]
                 band  n  n_in_band  attainment_band_rate
    0  100 % and more  4          1                  0.25
    1     80 to 100 %  4          1                  0.25
    2      below 80 %  4          2                  0.50
    """
    checks.require_columns(attainment, ["quota_attainment_rate"])
    rates = attainment["quota_attainment_rate"].dropna()
    reached, near = (rates >= 1).sum(), ((rates >= 0.8) & (rates < 1)).sum()
    inside, n = np.array([reached, near, len(rates) - reached - near]), len(rates)
    low, high = proportions.wilson_interval(inside, np.full(3, n), confidence)
    table = pd.DataFrame({"band": _BANDS, "n": n, "n_in_band": inside})
    rate = inside / n if n else np.nan
    return table.assign(attainment_band_rate=rate, attainment_band_rate_low=low, attainment_band_rate_high=high)


def attainment_quartiles(attainment: pd.DataFrame) -> pd.DataFrame:
    """The middle of the reps' attainment and the range of the middle half.

    Returns
    -------
    DataFrame
        One row: ``n`` (reps with a quota), ``quota_attainment_rate_p25``, ``quota_attainment_rate_median``,
        ``quota_attainment_rate_p75``: of all reps there are, hence without intervals.

    Examples
    --------
    >>> attainment_quartiles(pd.DataFrame({"quota_attainment_rate": [0.2, 0.6, 1.0, 1.4, 1.6]})).iloc[0].tolist()
    [5.0, 0.6, 1.0, 1.4]
    """
    checks.require_columns(attainment, ["quota_attainment_rate"])
    rates = attainment["quota_attainment_rate"].dropna()
    low, middle, high = (rates.quantile(q) if len(rates) else np.nan for q in (0.25, 0.5, 0.75))
    return pd.DataFrame({
        "n": [len(rates)], "quota_attainment_rate_p25": low, "quota_attainment_rate_median": middle,
        "quota_attainment_rate_p75": high,
    })  # fmt: skip


def usual_share(
    opportunities: pd.DataFrame,
    *,
    period: Period,
    as_of: date,
    calendar: Calendar = _CALENDAR,
    periods: int = 8,
    level: float = LEVEL,
) -> pd.DataFrame:
    """The share of a period's bookings that was won by the same day of earlier periods.

    Where the deals' history is known, `pacing.usual_path` tells the whole path.

    Known bias: a deal entered late counts from its close date, not from the day it was entered.

    Parameters
    ----------
    opportunities
        With ``is_won``, ``close_date``, ``amount``.
    period, as_of
        The period that runs, and the last day used.
    calendar
        Whose periods.
    periods
        How many earlier ones of the kind, at most; those before the first win on record are left out, and the one
        it lies in.
    level
        Of the range in which a period usually lies: ``mean ± t s sqrt(1 + 1 / n)``, within 0-1; missing with fewer
        than four.

    Returns
    -------
    DataFrame
        One row: ``n`` (earlier periods), ``usual_by_now_rate`` with limits. 1 once the period is over; missing for
        one without an earlier kind, such as all dates.

    Examples
    --------
    >>> deals = pd.DataFrame({"is_won": True, "amount": [5.0, 30.0, 70.0], "close_date": pd.to_datetime(
    ...     ["2026-01-15", "2026-04-15", "2026-06-15"])})
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> usual_share(deals, period=q3, as_of=date(2026, 7, 31))[["n", "usual_by_now_rate"]].values.tolist()
    [[1.0, 0.3]]
    """
    checks.require_columns(opportunities, ["is_won", "close_date", "amount"])
    won = opportunities[opportunities["is_won"] & opportunities["close_date"].notna()]
    shares = _past_shares(won, period, as_of, calendar, periods)
    n, value, low, high = len(shares), np.nan, np.nan, np.nan
    if period.is_complete(as_of):
        value = low = high = 1.0
    elif n:
        value = shares.mean()
        half = student.ppf((1 + level) / 2, n - 1) * shares.std(ddof=1) * np.sqrt(1 + 1 / n) if n >= _LEAST else np.nan
        low, high = np.clip([value - half, value + half], 0, 1)
    names = [f"usual_by_now_rate{end}" for end in ("", "_low", "_high")]
    return pd.DataFrame([{"n": n} | dict(zip(names, (value, low, high), strict=True))])


def attainment_pace(attainment: pd.DataFrame, usual: pd.DataFrame) -> pd.DataFrame:
    """Attainment over the share of a usual period's bookings that has closed by this day: 1 is on pace.

    Parameters
    ----------
    attainment
        Of `quota_attainment`, at any level.
    usual
        Of `usual_share`, or any row with ``usual_by_now_rate`` and its limits. The company's share stands for every
        group: one group has too few deals to tell its own.

    Returns
    -------
    DataFrame
        The rows with ``attainment_pace``, ``attainment_pace_low`` and ``attainment_pace_high`` (from the usual range;
        no upper limit where nothing may have closed by this day, and none at all where all has).

    Examples
    --------
    >>> usual = pd.DataFrame({"usual_by_now_rate": [0.4], "usual_by_now_rate_low": 0.2, "usual_by_now_rate_high": 0.5})
    >>> attainment_pace(pd.DataFrame({"quota_attainment_rate": [0.5]}), usual).round(2).iloc[0].tolist()
    [0.5, 1.25, 1.0, 2.5]
    """
    checks.require_columns(attainment, ["quota_attainment_rate"])
    row, rate = usual.iloc[0], attainment["quota_attainment_rate"]
    ends = {"": "", "_low": "_high", "_high": "_low"}
    shares = {end: row[f"usual_by_now_rate{other}"] for end, other in ends.items()}
    if shares["_low"] == shares["_high"] == shares[""]:  # the period is over: nothing is estimated
        shares |= {"_low": np.nan, "_high": np.nan}
    found = {end: rate / share if share > 0 else rate * np.nan for end, share in shares.items()}
    return attainment.assign(**{f"attainment_pace{end}": values for end, values in found.items()})


def attainment_levels(
    opportunities: pd.DataFrame, *, targets: pd.DataFrame, reps: pd.DataFrame, period: Period
) -> pd.DataFrame:
    """What is won and what is asked for, added up over each level, and how far it is from the company's.

    Wins differ where managers and others who are no reps win deals; targets differ by what each level adds on top.

    Parameters
    ----------
    opportunities, targets, reps, period
        As of `quota_attainment`. A level without its column is left out.

    Returns
    -------
    DataFrame
        One row per level (rep, team, manager, region, company): ``level``, ``n`` (deals won), ``n_groups`` (with a
        quota), ``n_summed`` (of them, whose quota is the sum of people's), ``won_amount``, ``quota_amount``,
        ``quota_attainment_rate``, and ``won_gap_amount``, ``quota_gap_amount`` (the level's less the company's).

    Metrics
    -------
    won_gap_amount : amount, closed, none, -, amount close_date
        Amount won, added up over the groups of a level, less the company's.
    quota_gap_amount : amount, period, none, -, -
        Quotas added up over the groups of a level, less the company's.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> deals = pd.DataFrame({"owner_id": ["U1", "M1"], "is_closed": True, "is_won": True, "amount": [60.0, 5.0],
    ...     "close_date": day("2026-08-15"), "closed_at": day("2026-08-15")})
    >>> plan = pd.DataFrame({"metric": "bookings_amount", "scope_kind": ["rep", "company"], "scope_id": ["U1", "all"],
    ...     "version": "plan", "period_start": day("2026-07-01"), "period_end": day("2026-09-30"),
    ...     "value": [100.0, 90.0], "ramp_factor": None})
    >>> people = pd.DataFrame({"owner_id": ["U1", "M1"], "name": ["Ann", "Max"], "role": ["rep", "manager"],
    ...     "manager_id": ["M1", None], "hire_date": pd.NaT, "left_date": pd.NaT})
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> table = attainment_levels(deals, targets=plan, reps=people, period=q3)
    >>> table[["level", "n_summed", "won_amount", "quota_amount", "won_gap_amount"]]
         level  n_summed  won_amount  quota_amount  won_gap_amount
    0      rep         0        60.0         100.0            -5.0
    1  manager         1        65.0         100.0             0.0
    2  company         0        65.0          90.0             0.0
    """
    levels = [name for name in _LEVELS if name in ("rep", "manager", "company") or name in opportunities]
    rows = []
    for level in levels:
        table = quota_attainment(opportunities, targets=targets, reps=reps, period=period, scope=level)
        asked, summed = table["quota_amount"], table.get("n_quotas", pd.Series(0, index=table.index))
        won, quota = table["won_amount"].sum(), asked.sum(min_count=1)
        rate = won / quota if quota > 0 else np.nan
        rows.append([level, table["n"].sum(), asked.notna().sum(), (summed > 0).sum(), won, quota, rate])
    columns = ["level", "n", "n_groups", "n_summed", "won_amount", "quota_amount", "quota_attainment_rate"]
    table = pd.DataFrame(rows, columns=columns)
    company = table.iloc[-1]
    return table.assign(
        won_gap_amount=table["won_amount"] - company["won_amount"],
        quota_gap_amount=table["quota_amount"] - company["quota_amount"],
    )


def productivity(
    opportunities: pd.DataFrame,
    *,
    states: pd.DataFrame,
    period: Period,
    by: str | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Amount that a fully ramped rep wins in a month in seat.

    Wins of ramped reps over their months in seat; neither the wins nor the months of reps still ramping count.

    Parameters
    ----------
    opportunities
        Of `rep_performance.credited`, with ``owner_id``, ``is_won``, ``amount``.
    states
        Of `quotas.ramp_states` for the period.
    period
        When deals were won.
    by
        A column of the states, such as ``team``.
    confidence
        Level of the interval, which takes each rep's wins as one draw.

    Returns
    -------
    DataFrame
        One row per group, or one: ``n`` (ramped reps), ``n_months`` (in seat), ``won_amount``,
        ``productivity_amount`` with limits (none for fewer than two reps with wins).

    Metrics
    -------
    productivity_amount : amount, closed, higher, won_amount / n_months, amount close_date
        Amount won by fully ramped reps per month in seat of one of them.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> deals = pd.DataFrame({"owner_id": ["U1", "U2"], "is_closed": True, "is_won": True, "amount": [60.0, 30.0],
    ...     "close_date": day("2026-08-15"), "closed_at": day("2026-08-15")})
    >>> states = pd.DataFrame({"owner_id": ["U1", "U2", "U3"], "is_ramped": [True, False, True],
    ...     "n_days": [92, 92, 31]})
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> productivity(deals, states=states, period=q3).round(1).iloc[0, :4].tolist()
    [2.0, 4.0, 60.0, 14.8]
    """
    checks.require_columns(states, ["owner_id", "is_ramped", "n_days"] + ([by] if by else []), where="states")
    won = _wins(opportunities, "owner_id", period).dropna(subset="owner_id").set_index("owner_id")["won_amount"]
    rows = states[states["is_ramped"]]
    rows = rows.assign(won=rows["owner_id"].map(won).fillna(0.0), months=rows["n_days"] / _MONTH, group="all")
    found = []
    for name, part in rows.groupby(by or "group", dropna=False, observed=True):
        sums = part[["won", "months"]].to_numpy()
        made = totals.positive(
            totals.product(sums, [1, -1]), totals.log_influence(sums, [1, -1]), confidence=confidence
        )
        found.append([name, len(part), part["months"].sum(), part["won"].sum(), *made[:3]])
    names = ["productivity_amount", "productivity_amount_low", "productivity_amount_high"]
    table = pd.DataFrame(found, columns=[by or "group", "n", "n_months", "won_amount", *names])
    return table if by else table.drop(columns="group")


def _managers(table: pd.DataFrame, reps: pd.DataFrame) -> pd.DataFrame:
    """By name; a manager who is not among the reps goes by the id."""
    name = table["manager_id"].map(reps.set_index("owner_id")["name"]).fillna(table["manager_id"])
    rows = table.assign(name=name).sort_values(["name", "manager_id"], na_position="last")
    rows["name"] = rows["name"].fillna(NO_MANAGER)
    return rows[["name", *table.columns]].reset_index(drop=True)


def _wins(rows: pd.DataFrame, key: str, period: Period) -> pd.DataFrame:
    """Deals won and their money; wins none of which has an amount are of unknown money, not of none."""
    won = pipeline.closed_in(rows[rows["is_won"]], period).groupby(key, dropna=False, observed=True)["amount"]
    wins = won.agg(n="size", known="count", won_amount="sum").reset_index()
    return wins.assign(won_amount=wins["won_amount"].where(wins["known"] > 0)).drop(columns="known")


def _past_shares(won: pd.DataFrame, period: Period, as_of: date, calendar: Calendar, periods: int) -> np.ndarray:
    """Share of the bookings of each earlier period that was won by the same day, latest period first."""
    days, shares = (min(as_of, period.end) - period.start).days + 1, []
    first = won["close_date"].min()
    while len(shares) < periods and len(won) and period.label != "all":
        period = previous(period, calendar)
        if pd.Timestamp(period.start) <= first:
            break
        mine = won[period.contains(won["close_date"])]
        early = mine["close_date"] < pd.Timestamp(period.start + timedelta(days=days))
        total = mine["amount"].sum()
        shares.append(mine.loc[early, "amount"].sum() / total if total > 0 else np.nan)
    shares = np.array(shares, dtype=float)
    return shares[~np.isnan(shares)]
