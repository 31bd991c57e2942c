"""Rep performance: who reached quota, who really differs, and what was put in."""

from datetime import date

import numpy as np
import pandas as pd
from scipy.stats import binom

from salesops import checks, pipeline, words
from salesops.periods import Period
from salesops.stats import counts, proportions

UNKNOWN = "unknown owner"

_SCOPES = {"rep": "owner_id", "team": "team", "region": "region", "territory": "territory", "company": None}
_DAY = pd.Timedelta(days=1)


def credited(opportunities: pd.DataFrame, *, stage_history: pd.DataFrame, reps: pd.DataFrame) -> pd.DataFrame:
    """Deals with their credit: the owner when the deal closed, and that owner's team.

    Where the history is empty or names no owner, the present one keeps the credit. An owner who
    is not among the reps is missing: the unknown owner, one row in every table. Without any reps
    every owner is known.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> deals = pd.DataFrame({
    ...     "opportunity_id": ["A"], "owner_id": ["now"], "is_closed": [True], "is_won": [True],
    ...     "close_date": day(["2026-07-31"]), "closed_at": day(["2026-07-31 15:00"]),
    ... })
    >>> history = pd.DataFrame({
    ...     "opportunity_id": "A", "changed_at": day(["2026-07-01", "2026-08-02"]), "seq": [1, 2],
    ...     "owner_id": ["then", "now"],
    ... })
    >>> people = pd.DataFrame({"owner_id": ["now", "then"], "team": ["East", "West"]})
    >>> credited(deals, stage_history=history, reps=people)[["owner_id", "team"]].values.tolist()
    [['then', 'West']]
    """
    owner = _known_owner(pipeline.owner_at_close(opportunities, stage_history), reps)
    return opportunities.assign(owner_id=owner, team=_team(owner, reps))


def quota_attainment(
    opportunities: pd.DataFrame, *, targets: pd.DataFrame, reps: pd.DataFrame, period: Period, scope: str = "rep"
) -> pd.DataFrame:
    """Won amount over quota, for each rep, team, region, territory or the company.

    A quota is the sum of the targets inside the period; one that lies partly outside counts
    by its days inside. A rep's is multiplied by the ramp factor and by the share of the days
    in seat. A target without an end is a month's. Of several versions the last counts. For
    reps, managers and overlays are left out. Quota without wins is 0 won; wins without a quota
    have no rate.

    Parameters
    ----------
    opportunities
        Of `credited`, with ``is_won``, ``amount`` and the scope's column.
    targets, reps
        The tables; of targets those of metric ``bookings_amount``. Reps may be empty.
    period
        When deals were won. One that is not over yet has its whole quota.
    scope
        rep, team, region, territory or company.

    Returns
    -------
    DataFrame
        One row per rep by name (``name``, ``owner_id``), group, or one for the company; ``n``
        (deals won), ``won_amount``, ``quota_amount``, ``quota_attainment_rate``.

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
    ...     "owner_id": ["U1", "U2"], "name": ["Ann", "Bo"], "role": "rep",
    ...     "hire_date": day(["2020-01-01", "2026-08-16"]), "left_date": pd.NaT,
    ... })
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> quota_attainment(deals, targets=plan, reps=people, period=q3).drop(columns="owner_id")
      name  n  won_amount  quota_amount  quota_attainment_rate
    0  Ann  1        60.0         100.0                    0.6
    1   Bo  0         0.0          25.0                    0.0
    """
    if scope not in _SCOPES:
        raise checks.ParameterError(f"scope: '{scope}'. Use {', '.join(_SCOPES)}.{checks.did_you_mean(scope, _SCOPES)}")
    key = _SCOPES[scope] or "scope"
    rows = opportunities.assign(scope="company") if scope == "company" else opportunities
    checks.require_columns(rows, [key, "is_won", "amount"])
    quotas = _quotas(targets, reps, period, scope).rename(columns={"scope_id": key})
    if scope == "company":
        quotas = pd.DataFrame({"scope": ["company"], "quota_amount": quotas["quota_amount"].sum(min_count=1)})
    table = _wins(rows, key, period).merge(quotas, on=key, how="outer")
    table["won_amount"] = table["won_amount"].where(table["n"].notna(), 0.0)
    table["n"] = table["n"].fillna(0).astype(int)
    table["quota_attainment_rate"] = table["won_amount"] / table["quota_amount"].where(table["quota_amount"] > 0)
    if scope == "rep":
        return named(table[~table[key].isin(_others(reps))], reps)
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
    return pd.DataFrame({
        "n": [n], "n_achieved": achieved, "quota_achievement_rate": achieved / n if n else np.nan,
        "quota_achievement_rate_low": low, "quota_achievement_rate_high": high,
    })


def activity_counts(
    activities: pd.DataFrame, *, opportunities: pd.DataFrame, reps: pd.DataFrame, period: Period, as_of: date
) -> pd.DataFrame:
    """What each rep put in during the period: meetings, calls, e-mails, demos, proposals, new deals.

    Work by people only: automatic messages and what came in from outside are left out. A
    meeting or demo is held unless it is marked as not held. Only what was logged is known.

    Parameters
    ----------
    activities
        With ``owner_id``, ``kind``, ``direction``, ``occurred_at``, ``is_held``, ``is_automated``.
    opportunities
        With ``owner_id`` and ``created_date``.
    reps
        The table of reps; where it is empty, everyone with an activity or a new deal has a row.
    period, as_of
        When it happened, and the last day used.

    Returns
    -------
    DataFrame
        One row per rep employed in the period, by name: ``name``, ``owner_id``, ``n_days``
        (employed in the period), and the metrics below.

    Metrics
    -------
    meetings_held : count, occurred, none, -, -
        Meetings that took place.
    meetings_booked : count, occurred, none, -, -
        Meetings in the calendar, held or not.
    calls : count, occurred, none, -, -
        Calls made.
    emails : count, occurred, none, -, -
        E-mails written, automatic ones left out.
    demos : count, occurred, none, -, -
        Demonstrations that took place.
    proposals : count, occurred, none, -, -
        Proposals sent.
    opportunities_created : count, created, none, -, created_date
        Deals created, by owner.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> log = pd.DataFrame({
    ...     "owner_id": "U1", "occurred_at": day("2026-08-03"), "kind": ["meeting", "meeting", "email", "email"],
    ...     "direction": [None, None, "outbound", "inbound"], "is_automated": False,
    ...     "is_held": pd.array([True, False, None, None], dtype="boolean"),
    ... })
    >>> deals = pd.DataFrame({"owner_id": ["U1"], "created_date": day(["2026-07-05"])})
    >>> people = pd.DataFrame({
    ...     "owner_id": ["U1"], "name": ["Ann"], "role": ["rep"], "hire_date": day(["2026-09-01"]), "left_date": pd.NaT,
    ... })
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> table = activity_counts(log, opportunities=deals, reps=people, period=q3, as_of=date(2026, 9, 30))
    >>> table[["name", "n_days", "meetings_held", "meetings_booked", "emails", "opportunities_created"]]
      name  n_days  meetings_held  meetings_booked  emails  opportunities_created
    0  Ann      30              1                2       1                      1
    """
    needed = ["owner_id", "kind", "direction", "occurred_at", "is_held", "is_automated"]
    checks.require_columns(activities, needed, where="activities")
    checks.require_columns(opportunities, ["owner_id", "created_date"])
    done = _by_people(activities[period.contains(activities["occurred_at"])])
    created = opportunities[period.contains(opportunities["created_date"])]
    found = pd.DataFrame({name: rows.groupby("owner_id").size() for name, rows in _kinds(done, created).items()})
    seats = _seats(found.index, reps, period, as_of).reset_index(drop=True)
    done = found.reindex(seats["owner_id"]).fillna(0).astype(int).reset_index(drop=True)
    return named(seats.join(done), reps)


def activity_rates(table: pd.DataFrame, *, confidence: float = 0.95) -> pd.DataFrame:
    """What was put in per 30 days employed, so that a leaver compares with those who stayed.

    Parameters
    ----------
    table
        Of `activity_counts`, or its sums by team or another key.
    confidence
        Level of the exact Poisson interval. Activities come in bunches, so it is too narrow:
        read it as the least that chance alone does.

    Returns
    -------
    DataFrame
        One row per row of the table and kind: the keys, ``kind``, ``n``, ``n_days``,
        ``monthly_activities`` with its limits.

    Metrics
    -------
    monthly_activities : count, occurred, none, n / n_days, -
        Activities of a kind per 30 days employed in the period.

    Examples
    --------
    >>> table = pd.DataFrame({"owner_id": ["U1"], "n_days": [60], "calls": [10]})
    >>> activity_rates(table).round(1)[["kind", "n", "monthly_activities", "monthly_activities_high"]]
        kind   n  monthly_activities  monthly_activities_high
    0  calls  10                 5.0                      9.2
    """
    checks.require_columns(table, ["n_days"])
    kinds = [name for name in _KINDS if name in table.columns]
    keys = [name for name in table.columns if name not in kinds]
    rows = table.melt(id_vars=keys, value_vars=kinds, var_name="kind", value_name="n")
    low, high = counts.poisson_interval(rows["n"], rows["n_days"] / 30, confidence)
    rows["kind"] = rows["kind"].str.replace("_", " ").astype("str")
    rates = rows["n"] / (rows["n_days"] / 30).where(rows["n_days"] > 0)
    rows = rows.assign(monthly_activities=rates, monthly_activities_low=low, monthly_activities_high=high)
    return rows[[*(key for key in keys if key != "n_days"), "kind", "n", "n_days", *rows.columns[-3:]]]


def team_activity(table: pd.DataFrame, reps: pd.DataFrame) -> pd.DataFrame:
    """`activity_counts` summed by team, the unknown team last.

    Examples
    --------
    >>> people = pd.DataFrame({"owner_id": ["U1", "U2"], "team": ["East", "East"]})
    >>> team_activity(pd.DataFrame({"owner_id": ["U1", "U2"], "n_days": [90, 30], "calls": [5, 7]}), people)
       team  n_days  calls
    0  East     120     12
    """
    sums = table.assign(team=_team(table["owner_id"], reps)).drop(columns=["owner_id", "name"], errors="ignore")
    return sums.groupby("team", dropna=False).sum().reset_index()


def named(table: pd.DataFrame, reps: pd.DataFrame) -> pd.DataFrame:
    """A table by ``owner_id`` with people's names, in the order of the names: never a ranking.

    Examples
    --------
    >>> people = pd.DataFrame({"owner_id": ["U1", "U2"], "name": ["Zoe", "Ann"]})
    >>> named(pd.DataFrame({"owner_id": ["U1", "U2", None], "n": [3, 2, 1]}), people)
                name owner_id  n
    0            Ann       U2  2
    1            Zoe       U1  3
    2  unknown owner      NaN  1
    """
    owner = _known_owner(table["owner_id"], reps)
    name = _looked_up(owner, reps, "owner_id", "name").fillna(owner)
    rows = table.assign(owner_id=owner, name=name).sort_values(["name", "owner_id"], na_position="last")
    rows["name"] = rows["name"].fillna(UNKNOWN)
    return rows[["name", *table.columns]].reset_index(drop=True)


def beyond_chance(rates: pd.DataFrame, *, min_n: int = checks.MIN_N, level: float = 0.998) -> pd.DataFrame:
    """Which reps' win rates lie outside what chance gives around the rate of all together.

    Exact binomial limits at the common rate: 99.8 % of equal reps lie inside, so that among
    thirty equal reps fewer than one report in fifteen marks any.

    Returns the rows of ``win_rate`` by owner with at least `min_n` deals, with the limits
    ``chance_low`` and ``chance_high`` (0-1) and ``is_outside``.

    References
    ----------
    Spiegelhalter (2005), Statist. Med. 24:1185-1202.

    Examples
    --------
    >>> rates = pd.DataFrame({"owner_id": ["U1", "U2", "U3"], "n": [100, 100, 5], "won_count": [60, 20, 5]})
    >>> beyond_chance(rates).round(2)[["owner_id", "chance_low", "chance_high", "is_outside"]]
      owner_id  chance_low  chance_high  is_outside
    0       U1        0.27         0.57        True
    1       U2        0.27         0.57        True
    """
    checks.require_columns(rates, ["n", "won_count"])
    total = rates["n"].sum()
    common = rates["won_count"].sum() / total if total else np.nan
    judged = rates[rates["n"] >= min_n].reset_index(drop=True)
    tail = (1 - level) / 2
    n, won = judged["n"], judged["won_count"]
    is_outside = (binom.cdf(won, n, common) < tail) | (binom.sf(won - 1, n, common) < tail)
    low, high = (binom.ppf(q, n, common) / n for q in (tail, 1 - tail))
    return judged.assign(chance_low=low, chance_high=high, is_outside=is_outside)


def headlines(
    company: pd.DataFrame, achievement: pd.DataFrame, rates: pd.DataFrame, *, period: Period, window: Period,
    as_of: date,
) -> list[str]:
    """The findings in sentences, most important first; no rep is named.

    Parameters
    ----------
    company, achievement
        Of `quota_attainment` for the company, and of `quota_achievement`.
    rates
        Of ``win_rate`` by owner, in `window`.
    period, window, as_of
        Of attainment; of the win rates; and the last day used, which may lie inside `period`.
    """
    row = achievement.iloc[0]
    reached = f"{row['n_achieved']:.0f} of {row['n']:.0f} reps with a quota reached it."
    unknown = "No rep has a quota in this period, so who reached it cannot be told."
    attained, differ = attainment_sentence(company, period, as_of), difference_sentence(rates, window)
    return [attained, reached if row["n"] else unknown, differ]


def attainment_sentence(company: pd.DataFrame, period: Period, as_of: date) -> str:
    """How much of its target the company won.

    Examples
    --------
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> attainment_sentence(pd.DataFrame({"quota_attainment_rate": [0.907]}), q3, as_of=date(2026, 8, 1))
    'The company won 91 % of its bookings target so far in 2026Q3.'
    """
    rate = company["quota_attainment_rate"].iloc[0]
    if words.is_missing(rate):
        return "There is no bookings target for the company in this period, so attainment cannot be told."
    so_far = "" if period.is_complete(as_of) else "so far "
    return f"The company won {words.rate(rate)} of its bookings target {so_far}{period.when}."


def difference_sentence(rates: pd.DataFrame, window: Period) -> str:
    """Whether reps win more or less often than luck explains; nobody is named.

    Examples
    --------
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> difference_sentence(pd.DataFrame({"owner_id": ["U1", "U2"], "n": [50, 60], "won_count": [15, 16]}), q3)
    'The differences between the win rates of 2 reps in 2026Q3 are no larger than chance would make them.'
    """
    judged = beyond_chance(rates[rates["owner_id"].notna()])
    when = window.when
    if len(judged) < 2:
        return f"Too few reps closed {checks.MIN_N} deals {when} to compare their win rates."
    outside = int(judged["is_outside"].sum())
    if outside == 0:
        compared = f"The differences between the win rates of {len(judged)} reps {when}"
        return f"{compared} are no larger than chance would make them."
    verb = "has a win rate" if outside == 1 else "have win rates"
    found = f"{outside} of {len(judged)} reps {verb} {when} that chance alone does not explain"
    return f"{found}; deal mix and territory may."


def credit_sentence(opportunities: pd.DataFrame, deals: pd.DataFrame) -> str:
    """How much won money would move from `deals`, as credited, to the present owners of `opportunities`.

    Examples
    --------
    >>> then = pd.DataFrame({"owner_id": ["U1", "U2"], "is_won": True, "amount": [30.0, 70.0]})
    >>> credit_sentence(then.assign(owner_id="U2"), then)
    'Credit goes to the owner when the deal closed; with the present owner, 30 % of the won amount would move.'
    """
    won = deals[deals["is_won"]]
    moves = won["owner_id"].notna() & (opportunities.loc[won.index, "owner_id"] != won["owner_id"])
    total = won["amount"].sum()
    share = words.rate(won.loc[moves, "amount"].sum() / total) if total else "none"
    credit = "Credit goes to the owner when the deal closed"
    return f"{credit}; with the present owner, {share} of the won amount would move."


_KINDS = ("meetings_held", "meetings_booked", "calls", "emails", "demos", "proposals", "opportunities_created")


def _known_owner(owner: pd.Series, reps: pd.DataFrame) -> pd.Series:
    return owner if reps.empty else owner.where(owner.isin(reps["owner_id"]))


def _team(owner: pd.Series, reps: pd.DataFrame) -> pd.Series:
    return _looked_up(owner, reps, "owner_id", "team")


def _looked_up(keys: pd.Series, table: pd.DataFrame, key: str, column: str) -> pd.Series:
    """A column of text for each key; typed, also where the table is empty."""
    return keys.map(table.set_index(key)[column]).astype("str")


def _others(reps: pd.DataFrame) -> pd.Series:
    """Those whose own quota and activity are not a rep's: managers, overlays and the like."""
    return reps.loc[reps["role"].notna() & (reps["role"] != "rep"), "owner_id"]


def _wins(rows: pd.DataFrame, key: str, period: Period) -> pd.DataFrame:
    """Deals won and their money; wins none of which has an amount are of unknown money, not of none."""
    won = pipeline.closed_in(rows, period).query("is_won").groupby(key, dropna=False, observed=True)["amount"]
    wins = won.agg(n="size", known="count", won_amount="sum").reset_index()
    return wins.assign(won_amount=wins["won_amount"].where(wins["known"] > 0)).drop(columns="known")


def _quotas(targets: pd.DataFrame, reps: pd.DataFrame, period: Period, scope: str) -> pd.DataFrame:
    columns = ["metric", "scope_kind", "scope_id", "period_start", "version", "period_end", "value", "ramp_factor"]
    checks.require_columns(targets, columns, where="targets")
    rows = targets[(targets["metric"] == "bookings_amount") & (targets["scope_kind"] == scope)]
    rows = rows.sort_values("version", kind="stable", na_position="first")
    rows = rows.drop_duplicates(["scope_id", "period_start"], keep="last")
    last = rows["period_end"].fillna(rows["period_start"] + pd.offsets.MonthEnd(0))
    share = _days_inside(rows["period_start"], last, period)
    value = rows["value"]
    if scope == "rep":
        seats = rows[["scope_id"]].merge(reps.rename(columns={"owner_id": "scope_id"}), how="left").set_axis(rows.index)
        first = rows["period_start"].clip(lower=seats["hire_date"].fillna(rows["period_start"]))
        share = _days_inside(first, last.clip(upper=seats["left_date"].fillna(last)), period)
        value = value * rows["ramp_factor"].fillna(1.0)
    part = share / ((last - rows["period_start"]) / _DAY + 1)
    rows = rows.assign(quota_amount=value * part)[share > 0]
    return rows.groupby("scope_id", as_index=False)["quota_amount"].sum(min_count=1)


def _days_inside(first: pd.Series, last: pd.Series, period: Period) -> pd.Series:
    """Days from first to last, both included, that lie in the period."""
    inside = last.clip(upper=pd.Timestamp(period.end)) - first.clip(lower=pd.Timestamp(period.start))
    return (inside / _DAY + 1).clip(lower=0)


def _by_people(activities: pd.DataFrame) -> pd.DataFrame:
    automatic = activities["is_automated"].fillna(False).astype(bool)
    return activities[~automatic & (activities["direction"] != "inbound")]


def _kinds(done: pd.DataFrame, created: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows each count counts."""
    held = done[done["is_held"].fillna(True).astype(bool)]
    of = {"meetings_held": (held, "meeting"), "meetings_booked": (done, "meeting"), "calls": (done, "call"),
          "emails": (done, "email"), "demos": (held, "demo"), "proposals": (done, "proposal")}
    return {name: rows[rows["kind"] == kind] for name, (rows, kind) in of.items()} | {"opportunities_created": created}


def _seats(owners: pd.Index, reps: pd.DataFrame, period: Period, as_of: date) -> pd.DataFrame:
    """Reps and the days of the period, up to `as_of`, that they were employed."""
    until = Period(period.label, period.start, min(period.end, as_of))
    if reps.empty:
        return pd.DataFrame({"owner_id": pd.Series(owners, dtype="str"), "n_days": until.days})
    sellers = reps[~reps["owner_id"].isin(_others(reps))]
    first = sellers["hire_date"].fillna(pd.Timestamp(until.start))
    last = sellers["left_date"].fillna(pd.Timestamp(until.end))
    seats = sellers[["owner_id"]].assign(n_days=_days_inside(first, last, until).astype(int))
    return seats[seats["n_days"] > 0]
