"""Activity: what people put in, week by week, and how much of it that is for each month they were there."""

from datetime import date

import numpy as np
import pandas as pd
from scipy.stats import norm
from scipy.stats import t as student

from salesops import checks, pipeline, rep_performance, words
from salesops.periods import Period
from salesops.stats import counts

KINDS = (
    "meetings_held", "meetings_booked", "calls", "emails", "demos", "proposals", "opportunities_created",
    "prospect_meetings",
)  # fmt: skip
_WEEK = 7
_MONTH = 30
_FEW = 10  # weeks that the unevenness usual among reps counts for in each one's own
_RUN = 4  # weeks after which a busy one is taken to be forgotten
_LIMITS = ("", "_low", "_high")


def own(activities: pd.DataFrame) -> pd.DataFrame:
    """People's own activities: automatic messages and what came in from outside are left out.

    Examples
    --------
    >>> log = pd.DataFrame({"direction": ["outbound", "inbound", None], "is_automated": [True, False, None]})
    >>> len(own(log))
    1
    """
    checks.require_columns(activities, ["direction", "is_automated"], where="activities")
    return activities[~flag(activities["is_automated"], False) & (activities["direction"] != "inbound")]


def flag(column: pd.Series, missing: bool) -> pd.Series:
    """A column of yes and no, with what a missing one counts as.

    Examples
    --------
    >>> flag(pd.Series([True, None]), False).tolist()
    [True, False]
    """
    return column.astype("boolean").fillna(missing).astype(bool)


def weekly_activity(
    activities: pd.DataFrame, *, opportunities: pd.DataFrame, reps: pd.DataFrame, period: Period, as_of: date
) -> pd.DataFrame:
    """What each rep put in, week by week of the period, with the days employed: the cells all rates are made of.

    Work by people only (`own`). A meeting or demo is held unless it is marked as not held. A prospect
    meeting is one held, or a demo, with a lead or with a deal open that day. Only what was logged is known.

    Parameters
    ----------
    activities
        With ``owner_id``, ``kind``, ``direction``, ``occurred_at``, ``is_held``, ``is_automated``, ``opportunity_id``
        and ``lead_id``.
    opportunities
        With ``opportunity_id``, ``owner_id``, ``created_date`` and what tells when they ended.
    reps
        The table of reps: managers and overlays are left out. Where it is empty, everyone with an
        activity or a new deal has a row.
    period, as_of
        When it happened, and the last day used.

    Returns
    -------
    DataFrame
        One row per rep employed in the period and week (seven days from the period's first, the last perhaps
        fewer): ``owner_id``, ``team``, ``week_start``, ``n_days`` (employed), ``n_deal_days`` (days of the deals
        the rep had open), ``n_logged`` (own activities of any kind) and the counts of `KINDS`.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> log = pd.DataFrame({
    ...     "owner_id": "U1", "occurred_at": day("2026-07-09"), "kind": ["meeting", "email"], "direction": None,
    ...     "is_automated": False, "is_held": None, "opportunity_id": ["A", None], "lead_id": None,
    ... })
    >>> deals = pd.DataFrame({
    ...     "opportunity_id": ["A"], "owner_id": "U1", "created_date": day("2026-07-10"), "is_closed": False,
    ...     "is_won": False, "close_date": pd.NaT, "closed_at": pd.NaT,
    ... }).astype({"close_date": "datetime64[us]", "closed_at": "datetime64[us]"})
    >>> people = pd.DataFrame({
    ...     "owner_id": ["U1"], "team": "East", "role": "rep", "hire_date": day("2026-07-03"), "left_date": pd.NaT,
    ... })
    >>> two = Period("two weeks", date(2026, 7, 1), date(2026, 7, 14))
    >>> weekly_activity(log, opportunities=deals, reps=people, period=two, as_of=two.end)[
    ...     ["week_start", "n_days", "n_deal_days", "meetings_held", "emails", "prospect_meetings"]]
      week_start  n_days  n_deal_days  meetings_held  emails  prospect_meetings
    0 2026-07-01       5            0              0       0                  0
    1 2026-07-08       7            5              1       1                  0
    """
    needed = ["owner_id", "kind", "direction", "occurred_at", "is_held", "is_automated", "opportunity_id"]
    checks.require_columns(activities, needed, where="activities")
    checks.require_columns(opportunities, ["opportunity_id", "owner_id", "created_date"])
    until = Period(period.label, period.start, min(period.end, as_of))
    rows = _counted_rows(own(activities[until.contains(activities["occurred_at"])]), opportunities, until)
    starts = pd.date_range(until.start, until.end, freq=f"{_WEEK}D").as_unit("us")
    seats = _seats(rows, reps, until, starts)
    owners = pd.Index(seats["owner_id"].unique())
    shape = (len(owners), len(starts))
    cells = {name: _by_week(each, moment, owners, until.start, shape) for name, (each, moment) in rows.items()}
    counted = pd.DataFrame({"n_deal_days": _deal_days(opportunities, owners, until, len(starts))} | cells)
    table = seats.assign(team=rep_performance.team_of(seats["owner_id"], reps)).join(counted)
    columns = ["owner_id", "team", "week_start", "n_days", "n_deal_days", "n_logged", *KINDS]
    return table.loc[(table["n_days"] > 0) | (table["n_logged"] > 0), columns].reset_index(drop=True)


def activity_counts(weeks: pd.DataFrame, reps: pd.DataFrame) -> pd.DataFrame:
    """What each rep put in during the period: meetings, calls, e-mails, demos, proposals, new deals.

    Parameters
    ----------
    weeks
        Of `weekly_activity`.
    reps
        The table of reps, for the names.

    Returns
    -------
    DataFrame
        One row per rep employed in the period, by name: ``name``, ``owner_id``, ``n_days``
        (employed in the period), and the metrics below.

    Metrics
    -------
    meetings_held : count, occurred, none, -, activities.owner_id
        Meetings that took place.
    meetings_booked : count, occurred, none, -, activities.owner_id
        Meetings in the calendar, held or not.
    calls : count, occurred, none, -, activities.owner_id
        Calls made.
    emails : count, occurred, none, -, activities.owner_id
        E-mails written, automatic ones left out.
    demos : count, occurred, none, -, activities.owner_id
        Demonstrations that took place.
    proposals : count, occurred, none, -, activities.owner_id
        Proposals sent.
    opportunities_created : count, created, none, -, created_date
        Deals created, by owner.
    prospect_meetings : count, occurred, none, -, activities.owner_id
        Meetings and demonstrations that took place with a lead, or with a deal open that day.

    Examples
    --------
    >>> weeks = pd.DataFrame({"owner_id": ["U1", "U1"], "team": "East", "n_days": [7, 2], "n_deal_days": 7,
    ...     "n_logged": [3, 0], **dict.fromkeys(KINDS, [1, 2])})
    >>> people = pd.DataFrame({"owner_id": ["U1"], "name": ["Ann"]})
    >>> activity_counts(weeks, people)[["name", "owner_id", "n_days", "calls"]]
      name owner_id  n_days  calls
    0  Ann       U1       9      3
    """
    checks.require_columns(weeks, ["owner_id", "n_days", *KINDS], where="weeks")
    sums = weeks.groupby("owner_id", as_index=False, sort=False)[["n_days", *KINDS]].sum()
    return rep_performance.named(sums, reps)


def activity_rates(weeks: pd.DataFrame, *, by: str | None = "owner_id", confidence: float = 0.95) -> pd.DataFrame:
    """What was put in per 30 days employed, so that a leaver compares with those who stayed.

    Activities come in bunches: weeks of one rep vary more than chance alone makes counts vary. The
    interval is the exact Poisson one with counts and days both divided by how many times more, as
    measured from week to week within reps: each rep's own, drawn to that usual among reps as if it were
    10 weeks more, never below one, and scaled up as Student's t is wider than the normal. Where busy weeks
    follow busy ones, runs of four weeks vary more than four weeks apart would: that ratio, of all reps
    together and drawn to one as if by 10 runs more, widens it once more, and never narrows it.

    Parameters
    ----------
    weeks
        Of `weekly_activity`, in its order: each rep's weeks one after the other.
    by
        ``"owner_id"``, ``"team"``, or None for the company.
    confidence
        Level of the intervals.

    Returns
    -------
    DataFrame
        One row per group and kind: `by`, ``kind``, ``n``, ``n_days``, ``monthly_activities`` with its limits, and
        ``weekly_spread_ratio``: variance from week to week over that of chance alone.

    Metrics
    -------
    monthly_activities : count, occurred, none, n / n_days, activities.owner_id
        Activities of a kind per 30 days employed in the period.
    weekly_spread_ratio : ratio, occurred, none, -, activities.owner_id
        Variance of the counts of one rep from week to week over that which chance alone gives.

    References
    ----------
    McCullagh & Nelder (1989), Generalized Linear Models, 2nd ed., section 6.2 (quasi-Poisson); Garwood (1936),
    Biometrika 28:437-442; Smyth (2004), Stat. Appl. Genet. Mol. Biol. 3:3 (variances drawn together).

    Examples
    --------
    >>> weeks = pd.DataFrame({"owner_id": "U1", "n_days": [7] * 4, "calls": [0, 8, 1, 7]})
    >>> activity_rates(weeks).round(1)[["kind", "n", "monthly_activities", "weekly_spread_ratio"]]
        kind   n  monthly_activities  weekly_spread_ratio
    0  calls  16                17.1                  4.2
    """
    checks.require_columns(weeks, ["owner_id", "n_days", *([by] if by else [])], where="weeks")
    kinds = [name for name in KINDS if name in weeks.columns]
    tables = [_rates(weeks, name, "n_days", by, confidence).assign(kind=name.replace("_", " ")) for name in kinds]
    rates = pd.concat(tables, ignore_index=True).rename(columns={"exposure": "n_days"})
    named = {f"rate{end}": f"monthly_activities{end}" for end in _LIMITS}
    columns = [*([by] if by else []), "kind", "n", "n_days", *named.values(), "weekly_spread_ratio"]
    return rates.rename(columns=named)[columns]


def meetings_per_deal(weeks: pd.DataFrame, *, by: str | None = "owner_id", confidence: float = 0.95) -> pd.DataFrame:
    """Prospect meetings for each open deal and 30 days: a rep with twice the deals has the time for half of it.

    Parameters
    ----------
    weeks, by, confidence
        As for `activity_rates`, with the same interval.

    Returns
    -------
    DataFrame
        One row per group: `by`, ``n`` (prospect meetings), ``n_deal_days``, ``deal_meetings`` with its limits, and
        ``weekly_spread_ratio``.

    Metrics
    -------
    deal_meetings : count, occurred, none, n / n_deal_days, activities.owner_id
        Meetings and demonstrations with prospects per open deal and 30 days.

    Examples
    --------
    >>> weeks = pd.DataFrame({"owner_id": "U1", "n_deal_days": [14, 16], "prospect_meetings": [1, 2]})
    >>> meetings_per_deal(weeks)[["n", "n_deal_days", "deal_meetings"]]
       n  n_deal_days  deal_meetings
    0  3           30            3.0
    """
    needed = ["owner_id", "n_deal_days", "prospect_meetings", *([by] if by else [])]
    checks.require_columns(weeks, needed, where="weeks")
    named = {"exposure": "n_deal_days"} | {f"rate{end}": f"deal_meetings{end}" for end in _LIMITS}
    return _rates(weeks, "prospect_meetings", "n_deal_days", by, confidence).rename(columns=named)


def rate_sentence(rates: pd.DataFrame, period: Period, *, kind: str = "meetings held", brief: bool = False) -> str:
    """How much of one kind a rep put in per 30 days, in the company; without the limits where `brief`, as a title.

    Parameters
    ----------
    rates
        Of `activity_rates` with ``by=None``.
    period
        Of the rates.
    kind
        One of `KINDS`, in words.

    Raises
    ------
    ParameterError
        More than one row of the kind: the rates are split.

    Examples
    --------
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> row = {"kind": "meetings held", "n": 900, "n_days": 3600, "monthly_activities": 7.5,
    ...     "monthly_activities_low": 6.9, "monthly_activities_high": 8.2}
    >>> rate_sentence(pd.DataFrame([row]), q3)
    'In 30 days a rep logged 7.5 meetings held in 2026Q3 (likely between 6.9 and 8.2).'
    >>> rate_sentence(pd.DataFrame([row]), q3, brief=True)
    'In 30 days a rep logged 7.5 meetings held in 2026Q3'
    >>> rate_sentence(pd.DataFrame([row]).assign(n=0), q3)
    'No meetings held were logged in 2026Q3.'
    >>> rate_sentence(pd.DataFrame([row])[:0], q3)
    'No rep was employed in 2026Q3, as far as is known.'
    """
    found = rates[rates["kind"] == kind]
    if len(found) > 1:
        raise checks.ParameterError(f"rates: {len(found)} rows of {kind}. Give those of the company, by=None.")
    if found.empty or found["n_days"].iloc[0] == 0:
        return f"No rep was employed {period.when}, as far as is known."
    row = found.iloc[0]
    if row["n"] == 0:
        return f"No {kind} were logged {period.when}."
    low, high = row["monthly_activities_low"], row["monthly_activities_high"]
    rate = words.value(row["monthly_activities"], "count")
    stated = f"In 30 days a rep logged {rate} {kind} {period.when}"
    return stated if brief else f"{stated} ({words.interval(low, high, 'count')})."


def _counted_rows(done: pd.DataFrame, opportunities: pd.DataFrame, until: Period) -> dict[str, tuple]:
    """The rows each count counts, with when they happened."""
    held = done[flag(done["is_held"], True)]
    created = opportunities[until.contains(opportunities["created_date"])]
    of = {"meetings_held": (held, "meeting"), "meetings_booked": (done, "meeting"), "calls": (done, "call"),
          "emails": (done, "email"), "demos": (held, "demo"), "proposals": (done, "proposal")}  # fmt: skip
    found = {name: rows[rows["kind"] == kind] for name, (rows, kind) in of.items()}
    met = held[held["kind"].isin(["meeting", "demo"])]
    found |= {"prospect_meetings": met[_with_prospect(met, opportunities)], "n_logged": done}
    dated = {name: (rows, rows["occurred_at"]) for name, rows in found.items()}
    return dated | {"opportunities_created": (created, created["created_date"])}


def _with_prospect(met: pd.DataFrame, opportunities: pd.DataFrame) -> np.ndarray:
    """Whether each meeting was with a lead, or with a deal that was open that day."""
    deal = pd.Index(opportunities["opportunity_id"]).get_indexer(met["opportunity_id"])
    day = met["occurred_at"].dt.normalize().to_numpy()
    start = opportunities["created_date"].dt.normalize().to_numpy()
    end = pipeline.ended_on(opportunities).to_numpy()
    is_lead = met["lead_id"].notna().to_numpy() if "lead_id" in met else np.zeros(len(met), dtype=bool)
    if not len(opportunities):
        return is_lead
    return is_lead | ((deal >= 0) & ~(day < start[deal]) & ~(day > end[deal]))


def _seats(rows: dict[str, tuple], reps: pd.DataFrame, until: Period, starts: pd.DatetimeIndex) -> pd.DataFrame:
    """Each rep employed by each week, with the days of the week in seat; rep by rep, in order of the weeks."""
    last = starts + pd.Timedelta(days=_WEEK - 1)
    last = last.where(last <= pd.Timestamp(until.end), pd.Timestamp(until.end))
    if reps.empty:
        found = pd.unique(pd.concat([rows[name][0]["owner_id"] for name in ("n_logged", "opportunities_created")]))
        owners = sorted(owner for owner in found if not pd.isna(owner))
        days = np.tile((last - starts).days.to_numpy() + 1, (len(owners), 1))
    else:
        sellers = reps[~reps["owner_id"].isin(rep_performance.not_reps(reps))]
        hired = sellers["hire_date"].fillna(pd.Timestamp(until.start)).to_numpy()[:, None]
        left = sellers["left_date"].fillna(pd.Timestamp(until.end)).to_numpy()[:, None]
        days = np.minimum(left, last.to_numpy()) - np.maximum(hired, starts.to_numpy())
        days = (days / np.timedelta64(1, "D") + 1).clip(min=0).astype(int)
        owners, days = sellers["owner_id"].to_numpy()[days.any(axis=1)], days[days.any(axis=1)]
    table = {"owner_id": pd.Series(np.repeat(owners, len(starts)), dtype="str")}
    return pd.DataFrame(table | {"week_start": np.tile(starts, len(owners)), "n_days": days.ravel()})


def _by_week(
    rows: pd.DataFrame, moment: pd.Series, owners: pd.Index, first: date, shape: tuple[int, int]
) -> np.ndarray:
    """How many rows each owner has in each week, in the order of `_seats`."""
    owner = owners.get_indexer(rows["owner_id"])
    week = (moment.to_numpy() - np.datetime64(first)) // np.timedelta64(_WEEK, "D")
    return np.bincount((owner * shape[1] + week)[owner >= 0].astype(int), minlength=shape[0] * shape[1])


def _deal_days(opportunities: pd.DataFrame, owners: pd.Index, until: Period, n_weeks: int) -> np.ndarray:
    """Days of each owner's open deals in each week."""
    first, n_days = pd.Timestamp(until.start), until.days
    start = (opportunities["created_date"].dt.normalize() - first).dt.days.clip(lower=0)
    end = (pipeline.ended_on(opportunities) - first).dt.days.fillna(n_days - 1).clip(upper=n_days - 1)
    owner = owners.get_indexer(opportunities["owner_id"])
    used = (owner >= 0) & start.notna().to_numpy() & (start <= end).to_numpy()
    change = np.zeros((len(owners), n_weeks * _WEEK + 1), dtype=int)
    np.add.at(change, (owner[used], start[used].to_numpy(int)), 1)
    np.add.at(change, (owner[used], end[used].to_numpy(int) + 1), -1)
    return np.cumsum(change, axis=1)[:, :-1].reshape(len(owners) * n_weeks, _WEEK).sum(axis=1)


def _rates(weeks: pd.DataFrame, kind: str, exposure: str, by: str | None, confidence: float) -> pd.DataFrame:
    """Counts per 30 days of an exposure, their intervals widened as far as weeks of one rep vary beyond chance."""
    people = _people(weeks, kind, exposure)
    people[by or "all"] = weeks.drop_duplicates("owner_id")[by].to_numpy() if by else 0
    people["weighed"] = people["spread"] * people["n"].where(people["n"] > 0, 1e-9)
    people["weight"] = people["n"].where(people["n"] > 0, 1e-9)
    sums = people.groupby(by or "all", dropna=False)[["n", "exposure", "freedom", "weighed", "weight"]].sum()
    spread, months = sums["weighed"] / sums["weight"], sums["exposure"] / _MONTH
    tail = (1 + confidence) / 2
    wide = spread * _carried(weeks, kind, exposure) * (student.ppf(tail, sums["freedom"] + _FEW) / norm.ppf(tail)) ** 2
    low, high = counts.poisson_interval(sums["n"] / wide, months / wide, confidence)
    rates = {"rate": sums["n"] / months.where(months > 0), "rate_low": low, "rate_high": high}
    table = sums[["n", "exposure"]].astype(int).assign(**rates, weekly_spread_ratio=spread)
    return table.reset_index(drop=not by)


def _people(weeks: pd.DataFrame, kind: str, exposure: str) -> pd.DataFrame:
    """Each rep's count, exposure and unevenness: variance over chance from week to week, drawn to the usual one."""
    owner = pd.factorize(weeks["owner_id"])[0]
    n, total, squares, freedom = _unevenness(owner, weeks[kind].to_numpy(float), weeks[exposure].to_numpy(float))
    usual = max(squares.sum() / freedom.sum(), 1.0) if freedom.sum() else 1.0
    spread = np.maximum((squares + _FEW * usual) / (freedom + _FEW), 1.0)
    return pd.DataFrame({"n": n, "exposure": total, "spread": spread, "freedom": freedom})


def _carried(weeks: pd.DataFrame, kind: str, exposure: str) -> float:
    """How many times more runs of weeks vary than weeks that know nothing of each other would make them; at least 1."""
    owner, place = pd.factorize(weeks["owner_id"])[0], weeks.groupby("owner_id").cumcount().to_numpy()
    length = np.bincount(owner)[owner]
    run = owner * len(weeks) + place * np.maximum(length // _RUN, 1) // length
    of_run = weeks[[kind, exposure]].groupby(run).sum().to_numpy(float).T
    by_week = _unevenness(owner, weeks[kind].to_numpy(float), weeks[exposure].to_numpy(float))[2:]
    by_run = _unevenness(np.unique(run) // max(len(weeks), 1), *of_run)[2:]
    (squares, freedom), (whole, apart) = ([each.sum() for each in found] for found in (by_week, by_run))
    if squares == 0 or apart == 0:
        return 1.0
    return max((whole * freedom / squares + _FEW) / (apart + _FEW), 1.0)


def _unevenness(owner: np.ndarray, count: np.ndarray, days: np.ndarray) -> tuple[np.ndarray, ...]:
    """By owner: count, exposure, sum of squares about expectation over it, and degrees of freedom."""
    owners = int(owner.max(initial=-1)) + 1
    n, total = (np.bincount(owner, each, owners) for each in (count, days))
    expected = days * np.divide(n, total, out=np.zeros(owners), where=total > 0)[owner]
    is_known = expected > 0
    square = np.divide((count - expected) ** 2, expected, out=np.zeros(len(count)), where=is_known)
    freedom = np.maximum(np.bincount(owner, is_known, owners) - 1, 0)
    return n, total, np.bincount(owner, square, owners), freedom
