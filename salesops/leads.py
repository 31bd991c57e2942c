"""Leads: how soon they are answered by people, and how soon the prospect reacts."""

from collections.abc import Callable
from datetime import date

import pandas as pd

from salesops import checks, pipeline, words
from salesops.periods import Period
from salesops.stats import groups, proportions, survival, working_time

_LIMITS = ("", "_low", "_high")
_DAY = pd.Timedelta(days=1)
_MOMENTS = ["first_response_at", "replied_at", "qualified_at", "converted_at", "disqualified_at"]


def answered_by_people(leads: pd.DataFrame, activities: pd.DataFrame) -> pd.DataFrame:
    """Leads whose first response is one by a person, automatic replies apart.

    Where activities are logged on a lead they decide: its first response is the earliest one
    that went out from a person at or after its arrival, and none where only automatic ones
    did. A lead without any logged activity keeps the first response of its record.

    Parameters
    ----------
    leads
        With ``lead_id``, ``created_at`` and ``first_response_at``.
    activities
        With ``lead_id``, ``occurred_at``, ``direction`` and ``is_automated``; may be empty.

    Returns
    -------
    DataFrame
        The leads with ``first_response_at`` as said, and ``automatic_response_at``.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> leads = pd.DataFrame({
    ...     "lead_id": ["L1", "L2"], "created_at": day("2026-07-01 09:00"),
    ...     "first_response_at": day(["2026-07-01 09:01", "2026-07-01 12:00"]),
    ... })
    >>> log = pd.DataFrame({
    ...     "lead_id": "L1", "occurred_at": day(["2026-07-01 09:01", "2026-07-01 15:00"]), "direction": "outbound",
    ...     "is_automated": [True, False],
    ... })
    >>> answered_by_people(leads, log)["first_response_at"].dt.hour.tolist()
    [15, 12]
    """
    checks.require_columns(leads, ["lead_id", "created_at", "first_response_at"], where="leads")
    checks.require_columns(activities, ["lead_id", "occurred_at", "direction", "is_automated"], where="activities")
    log = activities.loc[activities["lead_id"].isin(leads["lead_id"]), ["lead_id", "occurred_at", "direction"]]
    log = log.assign(automatic=activities["is_automated"].fillna(False).astype(bool))
    arrival = leads.dropna(subset="lead_id").drop_duplicates("lead_id").set_index("lead_id")["created_at"]
    is_later = log["occurred_at"] >= arrival.reindex(log["lead_id"]).set_axis(log.index)
    out = log[(log["direction"].fillna("") != "inbound") & is_later]
    by_people, automatic = (
        rows.groupby("lead_id")["occurred_at"].min().reindex(leads["lead_id"]).set_axis(leads.index)
        for rows in (out[~out["automatic"]], out[out["automatic"]])
    )
    is_logged = leads["lead_id"].isin(log["lead_id"])
    own = leads["first_response_at"].mask(is_logged, by_people)
    return leads.assign(first_response_at=own, automatic_response_at=automatic)


def waits(
    leads: pd.DataFrame,
    *,
    as_of: date,
    start: str = "created_at",
    stop: str = "first_response_at",
    working: working_time.Week | None = None,
) -> pd.DataFrame:
    """Leads with how long each waited from one moment to another, or has waited so far.

    A lead that was converted or disqualified without that moment waited until then, one that
    is still open until the end of `as_of`. Left out are leads without `start` or where `stop`
    comes first: a call that made the lead is no answer to it.

    Returns
    -------
    DataFrame
        The leads with ``waited_hours``, ``is_over`` (it came), ``is_closed`` (ended without it).

    Examples
    --------
    >>> day = pd.to_datetime
    >>> leads = pd.DataFrame({
    ...     "created_at": day("2026-07-01 09:00"), "first_response_at": day(["2026-07-01 12:00", None]),
    ...     "replied_at": pd.NaT, "qualified_at": pd.NaT, "converted_at": pd.NaT, "disqualified_at": pd.NaT,
    ... })
    >>> waits(leads, as_of=date(2026, 7, 1))[["waited_hours", "is_over"]].values.tolist()
    [[3.0, True], [15.0, False]]
    """
    rows, end = known_on(leads, as_of)
    ended = rows[["converted_at", "disqualified_at"]].min(axis=1)
    is_over, is_closed = rows[stop].notna(), rows[stop].isna() & ended.notna()
    until = rows[stop].fillna(ended).fillna(end)
    kept = rows[start].notna() & (until >= rows[start])
    hours = working_time.hours_between(rows[start], until, working)
    return rows.assign(waited_hours=hours, is_over=is_over, is_closed=is_closed)[kept]


def lead_response(
    leads: pd.DataFrame,
    *,
    period: Period,
    as_of: date,
    by: str | None = None,
    working: working_time.Week | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """How long a lead waits for its first response by a person: the times by which half and 90 % have one.

    Kaplan-Meier over the leads that arrived in the period; one that has no answer yet, or was
    closed without one, is censored, never dropped. A time is missing where so many have never
    been answered. See `answered_by_people` for automatic replies and `waits` for what is left out.

    Known bias: closing a lead unanswered is taken to say nothing about how soon it would have been.

    Parameters
    ----------
    leads
        With ``created_at, first_response_at, converted_at, disqualified_at`` and `by`.
    period
        When the lead arrived.
    as_of
        Last day used.
    by
        Column to group on; a missing value is a group.
    working
        Hours that count, for a second clock beside the elapsed one.
    confidence
        Level of the intervals.

    Returns
    -------
    DataFrame
        One row per group: ``n``, ``n_answered``, ``n_waiting`` (still open), ``n_closed_unanswered``,
        ``lead_response_hours_median`` and ``_p90`` with limits, and with `working` the same of
        ``lead_response_working_hours``.

    Metrics
    -------
    lead_response_hours : hours, created, lower, -, created_at first_response_at
        Time from a lead's arrival to its first response by a person, every hour counted, unanswered ones censored.
    lead_response_working_hours : hours, created, lower, -, created_at first_response_at
        The same, counting only the agreed working hours.

    References
    ----------
    Kaplan & Meier (1958), J. Am. Stat. Assoc. 53:457-481.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> leads = pd.DataFrame({
    ...     "created_at": day("2026-07-01"), "first_response_at": day(["2026-07-01 01:00", "2026-07-02 00:00", None]),
    ...     "replied_at": pd.NaT, "qualified_at": pd.NaT, "converted_at": pd.NaT, "disqualified_at": pd.NaT,
    ... })
    >>> july = Period("2026-07", date(2026, 7, 1), date(2026, 7, 31))
    >>> lead_response(leads, period=july, as_of=date(2026, 7, 31))[["n", "n_answered", "lead_response_hours_median"]]
       n  n_answered  lead_response_hours_median
    0  3           2                        24.0
    """
    clocks = {"lead_response_hours": None} | ({"lead_response_working_hours": working} if working else {})
    return _waiting_table(leads, "created_at", "first_response_at", clocks, "n_answered", period, as_of, by, confidence)


def prospect_reply(
    leads: pd.DataFrame, *, period: Period, as_of: date, by: str | None = None, confidence: float = 0.95
) -> pd.DataFrame:
    """How long a prospect takes to react to our first response: the other clock, counted the same way.

    Returns
    -------
    DataFrame
        One row per group: ``n`` (leads we answered), ``n_replied``, ``n_waiting``,
        ``n_closed_unanswered``, ``prospect_reply_hours_median`` and ``_p90`` with limits.

    Metrics
    -------
    prospect_reply_hours : hours, created, lower, -, first_response_at replied_at
        Time from our first response to the prospect's first positive reaction, no reaction censored.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> leads = pd.DataFrame({
    ...     "created_at": day("2026-07-01 09:00"), "first_response_at": day(["2026-07-01 10:00", None]),
    ...     "replied_at": day(["2026-07-03 10:00", None]), "qualified_at": pd.NaT, "converted_at": pd.NaT,
    ...     "disqualified_at": pd.NaT,
    ... })
    >>> july = Period("2026-07", date(2026, 7, 1), date(2026, 7, 31))
    >>> prospect_reply(leads, period=july, as_of=date(2026, 7, 31))[["n", "prospect_reply_hours_median"]]
       n  prospect_reply_hours_median
    0  1                         48.0
    """
    clocks = {"prospect_reply_hours": None}
    return _waiting_table(leads, "first_response_at", "replied_at", clocks, "n_replied", period, as_of, by, confidence)


def lead_sla(
    leads: pd.DataFrame,
    *,
    period: Period,
    as_of: date,
    hours: float,
    by: str | None = None,
    working: working_time.Week | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Share of the leads answered within the agreed hours.

    A lead counts once its agreed time has passed; until then it is not yet due, answered or
    not: counting only the ones already answered would flatter. A lead that was closed
    unanswered before its time was up counts in neither side.

    Returns
    -------
    DataFrame
        One row per group: ``n`` (due), ``n_in_time``, ``n_not_due``, ``n_closed_before``,
        ``lead_sla_rate`` with Wilson limits.

    Metrics
    -------
    lead_sla_rate : rate, created, higher, n_in_time / n, created_at first_response_at
        Share of the leads answered by a person within the agreed hours, among those whose time has passed.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> leads = pd.DataFrame({
    ...     "created_at": day(["2026-07-01 09:00"] * 2 + ["2026-07-31 22:00"]), "replied_at": pd.NaT,
    ...     "first_response_at": day(["2026-07-01 10:00", None, None]), "qualified_at": pd.NaT, "converted_at": pd.NaT,
    ...     "disqualified_at": pd.NaT,
    ... })
    >>> july = Period("2026-07", date(2026, 7, 1), date(2026, 7, 31))
    >>> lead_sla(leads, period=july, as_of=date(2026, 7, 31), hours=4)[["n", "n_in_time", "n_not_due", "lead_sla_rate"]]
       n  n_in_time  n_not_due  lead_sla_rate
    0  2          1          1            0.5
    """
    if not hours > 0:
        raise checks.ParameterError(f"hours: {hours} is no time to answer in. Give a number above 0.")
    rows = waits(leads, as_of=as_of, working=working)
    end = pd.Series(pd.Timestamp(as_of) + _DAY, index=rows.index)
    is_due = working_time.hours_between(rows["created_at"], end, working) >= hours
    closed_before = is_due & rows["is_closed"] & (rows["waited_hours"] < hours)
    in_time = is_due & rows["is_over"] & (rows["waited_hours"] <= hours)
    marks = {"n": is_due & ~closed_before, "n_in_time": in_time, "n_not_due": ~is_due, "n_closed_before": closed_before}

    def one_group(rows: pd.DataFrame) -> dict[str, float]:
        return {name: int(rows[name].sum()) for name in marks}

    table = by_group(rows.assign(**marks), leads, by, period, one_group)
    return with_rate(table, "n_in_time", "n", "lead_sla_rate", confidence)


def known_on(leads: pd.DataFrame, as_of: date) -> tuple[pd.DataFrame, pd.Timestamp]:
    """The leads there were at the end of a day, with what had happened to them by then, and that moment.

    Examples
    --------
    >>> leads = pd.DataFrame({"created_at": pd.to_datetime(["2026-07-01", "2026-07-03"]), "disqualified_at": None,
    ...     "converted_at": pd.to_datetime("2026-07-05")})
    >>> rows, end = known_on(leads, date(2026, 7, 2))
    >>> len(rows), rows["converted_at"].notna().sum(), f"{end:%m-%d}"
    (1, np.int64(0), '07-03')
    """
    checks.require_columns(leads, ["created_at", "converted_at", "disqualified_at"], where="leads")
    end = pd.Timestamp(as_of) + _DAY
    rows = leads[leads["created_at"] < end]
    happened = {name: pd.to_datetime(rows[name]).astype("datetime64[us]") for name in _MOMENTS if name in rows}
    return rows.assign(**{name: moments.where(moments < end) for name, moments in happened.items()}), end


def by_group(
    rows: pd.DataFrame, whole: pd.DataFrame, by: str | None, period: Period, one_group: Callable[[pd.DataFrame], dict]
) -> pd.DataFrame:
    """What a function says of the leads that arrived in a period, for each group of the whole or for all.

    Examples
    --------
    >>> rows = pd.DataFrame({"source": ["Event"], "created_at": pd.to_datetime(["2026-06-30"])})
    >>> july = Period("2026-07", date(2026, 7, 1), date(2026, 7, 31))
    >>> by_group(rows, rows, "source", july, lambda each: {"n": len(each)})[["source", "period", "n"]]
      source   period  n
    0  Event  2026-07  0
    """
    if by is not None:
        checks.require_columns(whole, [by], where="leads")
    keys = whole[[by]].drop_duplicates().sort_values(by) if by else pd.DataFrame({"all": ["all"]})
    arrived = rows[period.contains(rows["created_at"])]
    table = groups.rows_of_each(keys, arrived.assign(all="all"), one_group)
    return pipeline.dated(table.drop(columns="all", errors="ignore"), period, after=[by] if by else [])


def with_rate(table: pd.DataFrame, hits: str, n: str, name: str, confidence: float = 0.95) -> pd.DataFrame:
    """A table with the share of one count in another, and its Wilson limits.

    Examples
    --------
    >>> with_rate(pd.DataFrame({"n": [10, 0], "n_hit": [4, 0]}), "n_hit", "n", "hit_rate").round(2)
        n  n_hit  hit_rate  hit_rate_low  hit_rate_high
    0  10      4       0.4          0.17           0.69
    1   0      0       NaN           NaN            NaN
    """
    low, high = proportions.wilson_interval(table[hits], table[n], confidence)
    return table.assign(**{name: table[hits] / table[n].where(table[n] > 0), f"{name}_low": low, f"{name}_high": high})


def response_sentence(table: pd.DataFrame, window: Period) -> str:
    """How soon leads are answered; every hour counts.

    Examples
    --------
    >>> row = pd.DataFrame({
    ...     "n": [520], "n_answered": [470], "lead_response_hours_median": 3.2, "lead_response_hours_median_low": 2.9,
    ...     "lead_response_hours_median_high": 3.5, "lead_response_hours_p90": 20.0,
    ... })
    >>> window = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> response_sentence(row, window)
    'Half of the 520 leads that arrived in 2026Q3 are answered within 3.2 hours (likely between 2.9 hours and \
3.5 hours); nine in ten within 20 hours.'
    >>> response_sentence(row.assign(lead_response_hours_p90=None), window)[-60:]
    ' 3.5 hours); more than one in ten have had no answer so far.'
    """
    row = table.iloc[0]
    leads = f"{words.count(row['n'])} {'lead' if row['n'] == 1 else 'leads'}"
    if row["n"] == 0:
        return f"No leads arrived {window.when}."
    if row["n"] < checks.MIN_N:
        return f"{leads} arrived {window.when}: too few to say how soon they are answered."
    if row["n_answered"] == 0:
        return f"None of the {leads} that arrived {window.when} has been answered."
    median, low, high = (row[f"lead_response_hours_median{end}"] for end in _LIMITS)
    if words.is_missing(median):
        share = words.rate(row["n_answered"] / row["n"])
        return f"Fewer than half of the {leads} that arrived {window.when} have been answered ({share})."
    limits = words.interval(low, high, "hours")
    half = f"Half of the {leads} that arrived {window.when} are answered within {words.duration(median, 'hours')}"
    most = row["lead_response_hours_p90"]
    rest = "more than one in ten have had no answer so far"
    ninety = rest if words.is_missing(most) else f"nine in ten within {words.duration(most, 'hours')}"
    return f"{half}{f' ({limits})' if limits else ''}; {ninety}."


def reply_sentence(table: pd.DataFrame, window: Period) -> str:
    """How soon prospects react once we have answered.

    Examples
    --------
    >>> row = pd.DataFrame({
    ...     "n": [430], "n_replied": [250], "prospect_reply_hours_median": 133.0,
    ...     "prospect_reply_hours_median_low": 108.0, "prospect_reply_hours_median_high": 168.0,
    ... })
    >>> window = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> reply_sentence(row, window)
    'Of the 430 leads of 2026Q3 that we answered, half reply within 133 hours (likely between 108 hours and \
168 hours).'
    >>> reply_sentence(row.assign(prospect_reply_hours_median=None, n_replied=90), window)
    'Of the 430 leads of 2026Q3 that we answered, fewer than half have replied (21 %).'
    """
    row = table.iloc[0]
    leads = f"{words.count(row['n'])} {'lead' if row['n'] == 1 else 'leads'}"
    when = "" if window.label == "all" else f" of {window.label}"
    if row["n"] < checks.MIN_N:
        return f"We have answered {leads}{when}: too few to say how soon prospects reply."
    median, low, high = (row[f"prospect_reply_hours_median{end}"] for end in _LIMITS)
    if words.is_missing(median):
        share = words.rate(row["n_replied"] / row["n"])
        return f"Of the {leads}{when} that we answered, fewer than half have replied ({share})."
    limits = words.interval(low, high, "hours")
    within = f"{words.duration(median, 'hours')}{f' ({limits})' if limits else ''}"
    return f"Of the {leads}{when} that we answered, half reply within {within}."


def sla_sentence(table: pd.DataFrame, window: Period, *, hours: float) -> str:
    """How many leads are answered in time.

    Examples
    --------
    >>> row = pd.DataFrame({"n": [480], "n_in_time": [417], "lead_sla_rate": 0.87, "lead_sla_rate_low": 0.84,
    ...     "lead_sla_rate_high": 0.9})
    >>> window = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> sla_sentence(row, window, hours=4)
    '87 % of the 480 leads due in 2026Q3 were answered within 4 hours (likely between 84 % and 90 %).'
    >>> sla_sentence(row.assign(n=3), window, hours=4)
    '3 leads that arrived in 2026Q3 are due for an answer: too few to say how many are answered within 4 hours.'
    """
    row, agreed = table.iloc[0], words.duration(hours, "hours")
    if row["n"] == 0:
        return f"No lead that arrived {window.when} is due for an answer."
    if row["n"] < checks.MIN_N:
        due = "1 lead that arrived {} is" if row["n"] == 1 else f"{words.count(row['n'])} leads that arrived {{}} are"
        return f"{due.format(window.when)} due for an answer: too few to say how many are answered within {agreed}."
    limits = words.interval(row["lead_sla_rate_low"], row["lead_sla_rate_high"], "rate")
    share = f"{words.rate(row['lead_sla_rate'])} of the {words.count(row['n'])} leads"
    return f"{share} due {window.when} were answered within {agreed} ({limits})."


def _waiting_table(
    leads: pd.DataFrame,
    start: str,
    stop: str,
    clocks: dict[str, working_time.Week | None],
    answered: str,
    period: Period,
    as_of: date,
    by: str | None,
    confidence: float,
) -> pd.DataFrame:
    checks.require_columns(leads, [start, stop, *([by] if by else [])], where="leads")
    rows = waits(leads, as_of=as_of, start=start, stop=stop)
    times = {
        name: waits(leads, as_of=as_of, start=start, stop=stop, working=clock)["waited_hours"]
        for name, clock in clocks.items()
    }

    def one_group(rows: pd.DataFrame) -> dict[str, float]:
        over, closed = int(rows["is_over"].sum()), int(rows["is_closed"].sum())
        counts = {"n": len(rows), answered: over, "n_waiting": len(rows) - over - closed, "n_closed_unanswered": closed}
        for name in clocks:
            found = survival.duration_quantiles(
                rows[name], rows["is_over"], probabilities=[0.5, 0.9], confidence=confidence
            )
            for statistic, each in zip(("median", "p90"), found.to_dict("records"), strict=True):
                counts |= {f"{name}_{statistic}{end}": each[f"time{end}"] for end in _LIMITS}
        return counts

    return by_group(rows.assign(**times), leads, by, period, one_group)
