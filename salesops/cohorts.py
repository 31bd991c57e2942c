"""Cohorts: how often the deals that started together are won, so far and once all of them have ended."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from salesops import checks, pipeline, words
from salesops.periods import Calendar, Period, quarters_between
from salesops.stats import completion, groups, proportions

MIN_AT_RISK = 10  # deals below which a curve stops
RECENT_DAYS = 365  # of whose events the pace of open deals is learned: one of each season
LAST_WEEKS = 3  # of a quarter, each with a pace of its own: deals are hurried to its end
_CALENDAR = Calendar()
_DAY = pd.Timedelta(days=1)
_ENDS = {"won": "win", "lost": "loss", "no_decision": "no_decision"}
_VERBS = {"created_date": "created", "qualified_date": "qualified"}


def cohort_win_rate(
    opportunities: pd.DataFrame,
    *,
    cohorts: Sequence[Period],
    as_of: date,
    start: str = "created_date",
    by: str | None = None,
    strata: Sequence[str] = (),
    within_days: int | None = None,
    recent_days: int = RECENT_DAYS,
    calendar: Calendar = _CALENDAR,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """How often the deals of each cohort are won: so far, within so many days, and in the end.

    Three readings of one cohort, beside the two usual ones. ``won_so_far_rate = won / n``, open
    deals in the denominator: it only grows, and is not to be compared with an older cohort's.
    ``cohort_win_rate``: Aalen-Johansen probability of being won within ``within_days``, losing
    competing, open deals censored. ``expected_win_rate = (won + sum over open deals of C(age)) / n``,
    where ``C(u)`` is the chance that a deal still open at age `u` is won after all, by the hazards
    at each age among all deals in the last `recent_days` days, and by how much faster deals end in the
    last three weeks of a quarter; it is comparable between cohorts.
    A deal without the start date, or that ends before it starts, is left out.

    Known bias: open deals are taken to go on as others of the same age (and stratum) lately did. A
    change in pace since then shows only as it happens, and a lost deal that will be re-opened counts
    as lost.

    Parameters
    ----------
    opportunities
        As they stood on `as_of`: `start`, ``close_date``, ``closed_at``, ``is_closed``, ``is_won``, `by`
        and `strata`; ``outcome`` to tell no-decision from lost, ``account_id`` for the intervals.
    cohorts
        Periods of the start.
    as_of
        Last day used.
    start
        Column with the moment the clock starts: ``created_date`` or ``qualified_date``.
    by
        Column to group on; a missing value is a group. Each group goes on at its own pace.
    strata
        Columns whose levels go on at a pace of their own, where their mix changes; levels with
        fewer than 20 recent ends share one.
    within_days
        Age of ``cohort_win_rate``, the same for all; by default the last that at least 10 of the
        cohort have been watched to.
    recent_days
        Length of the window that the pace is learned in.
    calendar
        Says when quarters end.
    confidence
        Level of the intervals.

    Returns
    -------
    DataFrame
        One row per cohort, oldest first, and group: ``cohort``, ``cohort_start``, ``cohort_end``, `by`,
        ``n`` (started), ``n_won``, ``n_lost``, ``n_no_decision``, ``n_open``; ``won_so_far_rate``,
        ``within_days`` and ``cohort_win_rate``, ``n_recent`` (ends that the pace is learned from),
        ``expected_win_rate``, ``expected_loss_rate``, ``expected_no_decision_rate``, ``closed_win_rate``,
        ``n_period`` and ``period_win_rate``, each rate 0-1 with interval, clustered by account but for
        the last two. The interval of an expected rate holds the share that there will be in the end.
        Expected rates are missing where fewer than 20 deals ended lately. ``never_ended_rate`` is what
        they lack of 1: deals that nothing recent tells the end of.

    Metrics
    -------
    won_so_far_rate : rate, started, higher, n_won / n, is_won
        Deals of the cohort won up to the day of the data, over all of the cohort, the open ones included.
    cohort_win_rate : rate, started, higher, -, is_won close_date
        Probability of being won within the days stated after the start, lost competing, open deals censored.
    expected_win_rate : rate, started, higher, -, is_won close_date
        Share of the cohort won once all have ended: those won, and what the recent pace gives of those open.
    expected_loss_rate : rate, started, lower, -, is_won close_date
        Share of the cohort lost once all have ended, no-decision apart where the data know it.
    expected_no_decision_rate : rate, started, lower, -, is_won outcome close_date
        Share of the cohort that ends without a decision once all have ended.
    never_ended_rate : rate, started, lower, -, is_won close_date
        Share of the cohort that stays open for longer than any deal lately took to end.
    closed_win_rate : rate, started, higher, n_won / n_closed, is_won
        Won over closed so far of the cohort: too low where losses come sooner than wins.
    period_win_rate : rate, closed, higher, n_period_won / n_period, is_won close_date
        Won over all deals closed within the cohort's own dates, whenever they started.

    References
    ----------
    Aalen & Johansen (1978), Scand. J. Statist. 5:141-150; Andersen, Borgan, Gill & Keiding (1993),
    Statistical Models Based on Counting Processes, IV.4.

    Examples
    --------
    >>> from salesops.periods import quarter
    >>> day = pd.to_datetime
    >>> deals = pd.DataFrame({
    ...     "created_date": day(["2026-04-01"] * 30 + ["2026-07-01"] * 30),
    ...     "close_date": day(["2026-06-30"] * 60), "is_closed": [True] * 30 + [True] * 10 + [False] * 20,
    ...     "is_won": [True] * 12 + [False] * 48, "closed_at": day(["2026-06-30"] * 30 + ["2026-07-11"] * 30),
    ... })
    >>> table = cohort_win_rate(deals, cohorts=[quarter(date(2026, 8, 1))], as_of=date(2026, 9, 15))
    >>> table[["cohort", "n", "n_open", "closed_win_rate", "expected_win_rate"]].round(2)
       cohort   n  n_open  closed_win_rate  expected_win_rate
    0  2026Q3  30      20              0.0               0.27
    """
    keys = [by] if by else []
    rows = _started(opportunities, start, as_of, recent_days, [*keys, *strata])
    # Accounts by number: every cohort and group asks which deals are of one.
    rows = rows.assign(account=groups.clusters(rows["account"]))
    known = _past(rows, _strata(rows, keys, strata), calendar)
    parts = _groups(rows, cohorts, by)
    found = [
        {"cohort": each.label, "cohort_start": each.start, "cohort_end": each.end}
        | ({by: name} if by else {})
        | _figures(rows, each, is_mine, within_days, known, confidence)
        for each in cohorts
        for name, is_mine in parts
    ]
    table = pd.DataFrame(found, columns=["cohort", "cohort_start", "cohort_end", *keys, *_COLUMNS])
    return table.astype({by: rows[by].dtype}) if by else table


def win_curves(
    opportunities: pd.DataFrame,
    *,
    cohorts: Sequence[Period],
    as_of: date,
    start: str = "created_date",
    step: int = 7,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Share of each cohort won by each age, lost competing, as far as at least 10 were watched.

    Aalen-Johansen at every `step` days. Curves of cohorts of different age are compared at the
    same age only.

    Returns
    -------
    DataFrame
        One row per cohort and age: ``cohort``, ``age_days``, ``n`` (started), ``n_at_risk``,
        ``won_by_age_rate`` with interval (0-1, clustered by account). A cohort without deals has no rows.

    Metrics
    -------
    won_by_age_rate : rate, started, higher, -, is_won close_date
        Probability of being won by an age, lost competing, open deals censored.

    Examples
    --------
    >>> from salesops.periods import quarter
    >>> deals = pd.DataFrame({
    ...     "created_date": pd.to_datetime(["2026-07-01"] * 20), "close_date": pd.to_datetime(["2026-07-06"] * 20),
    ...     "closed_at": pd.NaT, "is_closed": [True] * 5 + [False] * 15, "is_won": [True] * 5 + [False] * 15,
    ... }).astype({"closed_at": "datetime64[us]"})
    >>> win_curves(deals, cohorts=[quarter(date(2026, 8, 1))], as_of=date(2026, 7, 15)).round(2).iloc[:, :5]
       cohort  age_days   n  n_at_risk  won_by_age_rate
    0  2026Q3         0  20         20             0.00
    1  2026Q3         7  20         15             0.25
    2  2026Q3        14  20         15             0.25
    """
    rows = _started(opportunities, start, as_of, RECENT_DAYS, [])
    curves = [_curve(rows[each.contains(rows["started_at"])], step, confidence, each.label) for each in cohorts]
    return pd.concat([curve for curve in curves if len(curve)] or curves[:1], ignore_index=True)


def cohort_sentence(
    cohort: pd.Series,
    *,
    start: str = "created_date",
    deals: str = "deals",
    min_n: int = checks.MIN_N,
    brief: bool = False,
) -> str:
    """How many of a cohort are won so far, and how many are expected to be in the end.

    Parameters
    ----------
    cohort
        A row of `cohort_win_rate` without groups.
    start
        The clock it was made with.
    deals
        Which deals they are.
    min_n
        Smallest cohort spoken of.
    brief
        What is expected alone, as the title of a chart.

    Examples
    --------
    >>> row = pd.Series({"cohort": "2026Q2", "n": 300, "n_won": 36, "n_open": 60, "won_so_far_rate": 0.12,
    ...     "expected_win_rate": 0.17, "expected_win_rate_low": 0.14, "expected_win_rate_high": 0.2})
    >>> cohort_sentence(row)
    'Of the 300 deals created in 2026Q2, 12 % are won so far; about 17 % are expected in the end (likely between \
14 % and 20 %).'
    >>> cohort_sentence(row, brief=True)
    'Of the 300 deals created in 2026Q2, about 17 % can be expected to be won'
    >>> cohort_sentence(pd.concat([row.drop("n_open"), pd.Series({"n_open": 0})]), start="qualified_date")
    'Of the 300 deals qualified in 2026Q2, 12 % were won; all of them have ended.'
    >>> cohort_sentence(row.where(~row.index.str.startswith("expected"), None))
    'Of the 300 deals created in 2026Q2, 12 % are won so far; too few deals ended lately to say how many will be.'
    """
    verb = _VERBS.get(start, "started")
    when = "over all dates" if cohort["cohort"] == "all" else f"in {cohort['cohort']}"
    if cohort["n"] < min_n:
        counted = f"Only {words.number(cohort['n'])}" if cohort["n"] else "No"
        was = "was" if cohort["n"] == 1 else "were"
        noun = deals.removesuffix("s") if cohort["n"] == 1 else deals
        return f"{counted} {noun} {was} {verb} {when}: too few to say how many are won."
    opening = f"Of the {words.number(cohort['n'])} {deals} {verb} {when}, "
    won = words.rate(cohort["won_so_far_rate"]) if cohort["n_won"] else "none"
    are = "is" if not cohort["n_won"] else "are"
    if not cohort["n_open"]:
        return f"{opening}{won} {'were' if cohort['n_won'] else 'was'} won; all of them have ended."
    if words.is_missing(cohort["expected_win_rate"]):
        return f"{opening}{won} {are} won so far; too few deals ended lately to say how many will be."
    expected, low, high = (cohort[f"expected_win_rate{end}"] for end in ("", "_low", "_high"))
    if brief:
        return f"{opening}about {words.rate(expected)} can be expected to be won"
    likely = words.interval(low, high, "rate")
    said = f"{opening}{won} {are} won so far; about {words.rate(expected)} are expected in the end ({likely})."
    lasting = cohort.get("never_ended_rate", 0.0)
    return (
        f"{said} No deal lately ended as late as {words.rate(lasting)} of them would have to."
        if lasting >= 0.05
        else said
    )


def _ends(name: str) -> list[str]:
    return [name, f"{name}_low", f"{name}_high"]


_COLUMNS = [
    *("n", "n_won", "n_lost", "n_no_decision", "n_closed", "n_open", *_ends("won_so_far_rate")),
    *("within_days", *_ends("cohort_win_rate"), "n_recent"),
    *(end for kind in _ENDS.values() for end in _ends(f"expected_{kind}_rate")),
    *(*_ends("never_ended_rate"), *_ends("closed_win_rate")),
    *("n_period", "n_period_won", *_ends("period_win_rate")),
]


def _started(opportunities, start: str, as_of: date, recent_days: int, keep: Sequence[str]) -> pd.DataFrame:
    """Deals with their age, end, cluster and the age at which the recent window opened on them."""
    checks.require_columns(opportunities, list(keep))
    if recent_days < 1:
        raise checks.ParameterError(f"recent_days: {recent_days} is no window. Give 1 day or more.")
    read = {start, "close_date", "closed_at", "is_closed", "is_won", "outcome", "account_id", *keep}
    texts = opportunities.columns[opportunities.dtypes.map(pd.api.types.is_string_dtype)].difference(read)
    rows = pipeline.ages(opportunities.drop(columns=texts), start=start, as_of=as_of)
    begun = rows["started_at"].dt.normalize()
    cause = rows["cause"]
    if "outcome" in rows:
        cause = cause.mask((rows["outcome"] == "no_decision") & (cause == "lost"), "no_decision")
    opened = (pd.Timestamp(as_of) - (recent_days - 1) * _DAY - begun) / _DAY
    named = rows["account_id"] if "account_id" in rows else pd.Series(None, index=rows.index, dtype="str")
    ended_at = (begun + rows["days"] * _DAY).where(cause.notna())
    made = {"days": rows["days"], "cause": cause, "entry": opened.clip(lower=0), "account": named, "ended_at": ended_at}
    return pd.DataFrame({"started_at": rows["started_at"], **made} | {name: rows[name] for name in keep})


def _strata(rows: pd.DataFrame, keys: list[str], strata: Sequence[str]) -> pd.Series:
    """Whose pace each deal goes on at: its group's, or its level's where that has recent ends enough."""
    group = _numbered(rows[keys])
    level = _numbered(rows[[*keys, *strata]])
    recent = rows["cause"].notna() & (rows["days"] >= rows["entry"])
    is_large = recent.groupby(level).transform("sum") >= checks.MIN_N
    own = (3 * level).where(is_large, 3 * group + 1)  # the rest of it
    # Where even the levels that are too small make too few together, all of the group go on alike.
    is_thin = (recent.groupby(own).transform("sum") < checks.MIN_N).groupby(group).transform("any")
    return own.mask(is_thin, 3 * group + 2)


def _seasons(rows: pd.DataFrame, calendar: Calendar) -> completion.Seasons | None:
    """How much faster deals end in the last weeks of a quarter; nothing where there are no deals."""
    if rows.empty:
        return None
    begun = rows["started_at"].dt.normalize()
    first, last = begun.min(), (begun + rows["days"] * _DAY).max() + (rows["days"].max() + 1) * _DAY
    ends = pd.DatetimeIndex([each.end for each in quarters_between(first.date(), last.date(), calendar)])
    days = pd.date_range(first, last)
    left = (ends[np.searchsorted(ends, days)] - days).days
    return completion.seasons(
        rows["days"],
        rows["cause"],
        origin=(begun - first).dt.days,
        part=np.minimum(left // 7, LAST_WEEKS),
        causes=list(_ENDS),
        entry=rows["entry"],
    )


def _numbered(keys: pd.DataFrame) -> pd.Series:
    if keys.columns.empty:
        return pd.Series(0, index=keys.index)
    return keys.groupby(list(keys.columns), dropna=False, observed=True, sort=False).ngroup()


def _groups(rows: pd.DataFrame, cohorts: Sequence[Period], by: str | None) -> list[tuple[object, np.ndarray]]:
    """Each group among the cohorts' deals, largest first, with which rows are its own."""
    if by is None:
        return [("all", np.ones(len(rows), dtype=bool))]
    within = np.any([each.contains(rows["started_at"]) for each in cohorts] or [np.zeros(len(rows))], axis=0)
    names = rows.loc[within.astype(bool), by].value_counts(dropna=False).index
    return [(name, (rows[by].isna() if pd.isna(name) else rows[by] == name).to_numpy()) for name in names]


def _figures(rows: pd.DataFrame, cohort: Period, is_mine, within_days, known, confidence: float) -> dict:
    is_member = is_mine & cohort.contains(rows["started_at"]).to_numpy()
    members = rows[is_member]
    counts = _outcomes(members)
    naive = _wilson("closed_win_rate", counts["n_won"], counts["n_closed"], confidence)
    ended = rows[is_mine & cohort.contains(rows["ended_at"]).to_numpy()]
    won_in_period = int((ended["cause"] == "won").sum())
    beside = {"n_period": len(ended), "n_period_won": won_in_period}
    return (
        counts
        | _so_far(members, confidence)
        | _by_age(members, within_days, confidence)
        | _expected(rows, is_member, known, confidence)
        | naive
        | beside
        | _wilson("period_win_rate", won_in_period, len(ended), confidence)
    )


def _outcomes(members: pd.DataFrame) -> dict[str, int]:
    counts = {f"n_{cause}": int((members["cause"] == cause).sum()) for cause in _ENDS}
    closed = sum(counts.values())
    return {"n": len(members)} | counts | {"n_closed": closed, "n_open": len(members) - closed}


def _so_far(members: pd.DataFrame, confidence: float) -> dict[str, float]:
    trials = members.assign(one=1.0, is_won=members["cause"] == "won")
    found = proportions.weighted_share(
        trials, by=[], weight="one", success="is_won", cluster="account", confidence=confidence
    )
    return dict(
        zip(_ends("won_so_far_rate"), found[["share", "share_low", "share_high"]].iloc[0].astype(float), strict=True)
    )


def _by_age(members: pd.DataFrame, within_days: int | None, confidence: float) -> dict[str, float]:
    age = _known_age(members) if within_days is None else within_days
    shares = (np.nan,) * 3
    if len(members) and not np.isnan(age):
        found = _incidence(members, [age], confidence).iloc[0]
        shares = found["share"], found["share_low"], found["share_high"]
    return {"within_days": age} | dict(zip(_ends("cohort_win_rate"), shares, strict=True))


def _known_age(members: pd.DataFrame) -> float:
    """The last age that at least so many were watched to, or the last end where all have ended."""
    if members["cause"].notna().all() and len(members):
        return members["days"].max()
    return members["days"].nlargest(MIN_AT_RISK).min() if len(members) >= MIN_AT_RISK else np.nan


def _incidence(members: pd.DataFrame, ages: Sequence[float], confidence: float) -> pd.DataFrame:
    return completion.incidence_at(
        members["days"],
        members["cause"],
        ages=ages,
        kind="won",
        cluster=members["account"],
        min_at_risk=MIN_AT_RISK,
        confidence=confidence,
    )


def _past(rows: pd.DataFrame, strata: pd.Series, calendar: Calendar) -> completion.Past:
    return completion.past(
        rows["days"],
        rows["cause"],
        causes=list(_ENDS),
        entry=rows["entry"],
        cluster=rows["account"],
        stratum=strata,
        calendar=_seasons(rows, calendar),
    )


def _expected(rows: pd.DataFrame, is_member: np.ndarray, known, confidence: float) -> dict[str, float]:
    found = completion.expected_shares(known, is_member=is_member, min_ends=checks.MIN_N, confidence=confidence)
    rates = [
        dict(zip(_ends(f"expected_{name}_rate"), shares, strict=True))
        for name, shares in zip(
            _ENDS.values(), found[["share", "share_low", "share_high"]].itertuples(index=False), strict=True
        )
    ]
    if not (rows["cause"] == "no_decision").any():
        rates[2] = dict.fromkeys(rates[2], np.nan)  # data that never say so do not know it
    n = int(is_member.sum())
    lasting = _wilson("never_ended_rate", max(1 - found["share"].sum(skipna=False), 0.0) * n, n, confidence)
    return {"n_recent": int(found["n_ends"].iloc[0])} | rates[0] | rates[1] | rates[2] | lasting


def _curve(members: pd.DataFrame, step: int, confidence: float, label: str) -> pd.DataFrame:
    last = _known_age(members)
    ages = np.arange(0, last + 1, step) if not np.isnan(last) else np.array([])
    if members["cause"].notna().all() and len(ages) and ages[-1] < last:
        ages = np.append(ages, last)
    found = _incidence(members, ages, confidence)
    named = dict(zip(("share", "share_low", "share_high"), _ends("won_by_age_rate"), strict=True))
    table = found.rename(columns={"age": "age_days"} | named).astype({"age_days": int})
    table.insert(0, "cohort", pd.Series(label, index=table.index, dtype="str"))
    table.insert(2, "n", len(members))
    return table


def _wilson(name: str, successes: float, n: int, confidence: float) -> dict[str, float]:
    low, high = proportions.wilson_interval(successes, n, confidence)
    return dict(zip(_ends(name), (successes / n if n else np.nan, low[0], high[0]), strict=True))
