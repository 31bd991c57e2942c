"""Did it work: what a change on a known day did to how often deals are won."""

from datetime import date

import numpy as np
import pandas as pd

from salesops import checks, pipeline, words
from salesops.stats import interrupted, proportions

MIN_PERIODS = 6  # cohorts on each side below which a course cannot be told from its change
MIN_PLACEBOS = 19  # dates tried from which on they decide with the interval: one in twenty
_LENGTH = {"month": 365.25 / 12, "week": 7.0}  # days of a cohort
_YEARS_FOR_SEASON = 2
_DAY = pd.Timedelta(days=1)
_ASSUMES = {
    "interrupted series": "Without the change the course before would have gone on, and nothing else changed that day.",
    "difference in differences": "Without the change both groups would have moved alike.",
    "before and after": "Nothing but the change differs between the two times; no design, shown to compare.",
}


def cases(
    opportunities: pd.DataFrame,
    *,
    change_date: date | None,
    as_of: date,
    days: int = 120,
    start: str = "created_date",
    group: str | pd.Series | None = None,
    cluster: str = "account_id",
) -> pd.DataFrame:
    """Each deal with whether it was won within so many days, and on which side of a change it lies.

    Every deal has the same time, so young ones are not at a disadvantage. A deal whose time runs
    across the change is on neither side, however early it ended: of those started just before,
    only the quick would be left. Nor is one too young to have had its time.

    Parameters
    ----------
    opportunities
        With `start`, `cluster`, ``is_closed``, ``is_won``, ``close_date`` and ``closed_at``.
    change_date
        First day of the new way; None where nothing is asked, which gives no cases.
    as_of
        Last day used.
    days
        Time each deal has to be won; 0 is the day itself, for a clock that starts as a deal ends.
    start
        Column with the moment its clock starts, e.g. ``"qualified_date"``.
    group
        Which deals the change was for: a boolean column or series; the others are the comparison.
        None where it was for all.
    cluster
        Column whose deals belong together, e.g. ``"owner_id"`` for a change in how people sell.

    Returns
    -------
    DataFrame
        One row per deal that started: ``started_at``, ``side`` (before, after, across, too young,
        or no group where `group` is missing), ``is_in_group``, ``is_won`` (within `days`),
        ``cluster``, ``day`` (whole days from the change to its start), ``days``.

    Raises
    ------
    ParameterError
        A time that is no number of days, a change that is still to come, or a group that is not true or false.

    Examples
    --------
    >>> deals = pd.DataFrame({
    ...     "created_date": pd.to_datetime(["2025-12-01", "2026-03-01", "2026-04-02", "2026-07-01"]),
    ...     "close_date": pd.to_datetime("2026-07-10"), "closed_at": pd.Timestamp("2026-07-10"), "is_closed": True,
    ...     "is_won": True, "account_id": ["a", "b", "c", "d"],
    ... })
    >>> cases(deals, change_date=date(2026, 4, 1), as_of=date(2026, 9, 1), days=90)["side"].tolist()
    ['before', 'across', 'after', 'too young']
    """
    checks.require_columns(opportunities, [start, cluster])
    if days < 0:
        raise checks.ParameterError(f"before_after: days is {days}. Give the days a deal has to be won, 0 or more.")
    if change_date is not None and change_date > as_of:
        raise checks.ParameterError(
            f"change_date: {change_date} is after the data's last day {as_of}. Give a day on which it had begun."
        )
    if change_date is None:
        opportunities, change_date = opportunities.iloc[:0], as_of
        group = group.iloc[:0] if isinstance(group, pd.Series) else group
    deals = opportunities.assign(is_in_group=_membership(opportunities, group).array).reset_index(drop=True)
    rows = pipeline.ages(deals, start=start, as_of=as_of)
    timely = pipeline.won_in_time(deals, days=days, start=start, as_of=as_of)["is_won"]
    day = (rows["started_at"].dt.normalize() - pd.Timestamp(change_date)) // _DAY
    tests = [rows["is_in_group"].isna(), ~rows.index.isin(timely.index), day >= 0, day + days < 0]
    side = np.select(tests, ["no group", "too young", "after", "before"], "across")
    return rows[["started_at"]].assign(
        side=pd.Series(side, index=rows.index, dtype="str"),
        is_in_group=rows["is_in_group"].fillna(False).astype(bool),
        is_won=timely.reindex(rows.index, fill_value=False),
        cluster=rows[cluster],
        day=day.astype(int),
        days=days,
    )


def effect(deals: pd.DataFrame, *, cohort: str = "month", confidence: float = 0.95) -> pd.DataFrame:
    """What happened at the change, by each design the data allow.

    *Interrupted series*: cohorts of the group by start on a straight line that steps on the day of
    the change; the effect is the step. ``slope_effect`` is how much it also bends, from a fit that
    allows both. Scatter beyond chance, likeness of neighbours and, from two years on, a yearly wave
    are allowed for. *Difference in differences*: after less before in the group, less the same in the
    comparison; errors clustered by `cluster` of `cases` and by cohort. *Before and after*: the
    plain difference, which is no design: it takes any trend for the change.

    Known bias: whatever else changed on the same day is in the effect; see ``assumes``.

    Parameters
    ----------
    deals
        Of `cases`.
    cohort
        ``"month"`` or ``"week"``.
    confidence
        Level of the intervals.

    Returns
    -------
    DataFrame
        One row per design: ``design``, ``is_main`` (the one a finding rests on: the difference in
        differences where there is a comparison group, else the series), ``reason`` (why it cannot
        be estimated), ``n``, ``n_before``, ``n_after`` (of the group), ``n_comparison``, ``n_across`` and
        ``n_young`` (left out of the group), ``n_no_group``, ``n_periods``,
        ``change_effect``, ``slope_effect`` and ``gap_trend`` (how fast group and comparison moved
        apart before, a cohort) with intervals (points, 0-1), ``smallest_effect`` (seen four times
        in five), ``p_value`` and ``is_named`` of the main design, ``dispersion``, ``assumes``.

    Metrics
    -------
    change_effect : points, created, higher, -, is_won
        Change of the share of deals won in time at the day of a change, beyond what the design expects without it.
    slope_effect : points, created, higher, -, is_won
        Change, with the change, of how much the share of deals won in time moves from one cohort to the next.
    gap_trend : points, created, none, -, is_won
        How much more the share won in time moved in the group than in the comparison, a cohort, before the change.
    smallest_effect : points, created, none, -, is_won
        Effect that so many deals would have shown clearly in four of five such cases.

    References
    ----------
    Wagner et al. (2002), J. Clin. Pharm. Ther. 27:299-309; Bertrand, Duflo & Mullainathan (2004),
    Q. J. Econ. 119:249-275.

    Examples
    --------
    >>> start = pd.date_range("2025-01-01", "2026-12-31")
    >>> won = np.arange(len(start)) % 10 < np.where(start < "2026-01-01", 2, 4)
    >>> deals = pd.DataFrame({"created_date": start, "close_date": start, "closed_at": start, "is_closed": True,
    ...     "is_won": won, "account_id": np.arange(len(start)).astype(str)})
    >>> deals = cases(deals, change_date=date(2026, 1, 1), as_of=date(2026, 12, 31), days=1)
    >>> effect(deals)[["design", "n", "change_effect", "is_named"]].round(1)
                          design    n  change_effect  is_named
    0         interrupted series  728            0.2      True
    1  difference in differences  728            NaN     False
    2           before and after  728            0.2     False
    """
    used = deals[deals["side"].isin(["before", "after"])]
    used = used.assign(time=np.floor(used["day"] / _length(cohort)).astype(int))
    group = used[used["is_in_group"]]
    found = [
        _series_effect(group, cohort, confidence),
        _double_effect(used, cohort, confidence),
        _plain_effect(group, confidence),
    ]
    sizes = _sizes(deals)
    rows = [sizes | {"design": design} | each for design, each in zip(_ASSUMES, found, strict=True)]
    table = pd.DataFrame(rows, columns=_COLUMNS)
    main = 1 if table["reason"].isna()[1] else 0
    table["is_main"] = (table.index == main) & table["reason"].isna()
    table["p_value"] = table["p_value"].where(table["is_main"])
    clear = (table["change_effect_low"] > 0) | (table["change_effect_high"] < 0)
    return table.assign(is_named=table["is_main"] & clear, assumes=table["design"].map(_ASSUMES))


def placebos(deals: pd.DataFrame, *, cohort: str = "month", confidence: float = 0.95) -> pd.DataFrame:
    """The main design's effect at dates before the change, when nothing is known to have changed.

    Only deals whose whole time lies before the change are used (Bertrand, Duflo & Mullainathan
    2004, section IV), with at least six cohorts on both sides of a date. These series are shorter
    than the true one, so an effect is compared by its ratio to half its own interval.

    Parameters
    ----------
    deals, cohort, confidence
        As for `effect`.

    Returns
    -------
    DataFrame
        One row per date tried, oldest first: ``placebo_date``, ``n``, ``placebo_effect`` with
        interval (points, 0-1), ``placebo_ratio`` (its absolute value over half its interval),
        ``is_as_large`` (the true change's ratio is no larger). No date, no row.

    Metrics
    -------
    placebo_effect : points, created, none, -, is_won
        The same estimate at a date before the change, when nothing is known to have changed.
    placebo_ratio : ratio, created, none, -, is_won
        Size of the estimate over half the length of its interval: one where the interval just touches zero.

    Examples
    --------
    >>> start = pd.date_range("2025-01-01", "2026-12-31")
    >>> deals = pd.DataFrame({"created_date": start, "close_date": start, "closed_at": start, "is_closed": True,
    ...     "is_won": np.arange(len(start)) % 10 < 2, "account_id": np.arange(len(start)).astype(str)})
    >>> deals = cases(deals, change_date=date(2026, 6, 1), as_of=date(2026, 12, 31), days=1)
    >>> tried = placebos(deals)
    >>> len(tried), tried["placebo_date"].iloc[0], round(float(tried["placebo_ratio"].max()), 1)
    (5, datetime.date(2025, 7, 31), 0.7)
    """
    true = effect(deals, cohort=cohort, confidence=confidence)
    true = true[true["is_main"]]
    rows = [_placebo(deals, shift, true, cohort, confidence) for shift in _shifts(deals, cohort)] if len(true) else []
    columns = ["placebo_date", "n", *_ends("placebo_effect"), "placebo_ratio"]
    table = pd.DataFrame([row for row in rows if row], columns=columns)
    return table.assign(is_as_large=table["placebo_ratio"] >= (_ratio(true) if len(true) else np.nan))


def series(deals: pd.DataFrame, *, cohort: str = "month") -> pd.DataFrame:
    """The share won in time by cohort of start, with the fitted course and the one expected without the change.

    Returns
    -------
    DataFrame
        By group and time: ``is_in_group``, ``cohort_start`` (date), ``is_after``, ``n``,
        ``n_won``, ``won_in_time_rate`` with Wilson interval, ``fitted_rate``, ``expected_rate``
        (missing where the series is too short to fit, and for the comparison).

    Metrics
    -------
    won_in_time_rate : rate, created, higher, n_won / n, is_won
        Deals won within a fixed number of days of their start over all deals old enough to have had them.
    fitted_rate : rate, created, none, -, is_won
        The share won in time on the fitted course.
    expected_rate : rate, created, none, -, is_won
        The share won in time had the course before the change gone on.

    Examples
    --------
    >>> deals = pd.DataFrame({"side": "before", "is_in_group": True, "is_won": [True, False], "day": [-40, -35],
    ...     "started_at": pd.to_datetime(["2026-01-01", "2026-01-06"])})
    >>> series(deals)[["cohort_start", "n", "won_in_time_rate"]]
      cohort_start  n  won_in_time_rate
    0   2025-12-12  2               0.5
    """
    used = deals[deals["side"].isin(["before", "after"])]
    pieces = [] if len(used) else [_cohorts(used, cohort).assign(is_in_group=False)]
    for is_in_group, rows in used.groupby("is_in_group", sort=False):
        table = _cohorts(rows, cohort)
        fit = _fit(table, cohort) if is_in_group and not _too_short(table, cohort) else None
        courses = {"fitted_rate": fit.fitted, "expected_rate": fit.counterfactual} if fit else {}
        pieces.append(table.assign(is_in_group=is_in_group, **courses))
    table = pd.concat(pieces, ignore_index=True)
    low, high = proportions.wilson_interval(table["n_won"], table["n"])
    rates = dict(zip(_ends("won_in_time_rate"), (table["n_won"] / table["n"], low, high), strict=True))
    table = table.assign(is_after=table["time"] >= 0, **rates)
    front = ["is_in_group", "cohort_start", "is_after", "n", "n_won", *_ends("won_in_time_rate")]
    return table.reindex(columns=[*front, "fitted_rate", "expected_rate"]).sort_values(
        ["is_in_group", "cohort_start"], ascending=[False, True], ignore_index=True
    )


def sentence(
    effects: pd.DataFrame, tried: pd.DataFrame, *, change_date: date, days: int = 120, change: str = "the change"
) -> str:
    """Whether it worked, named only beyond chance and beyond what dates without a change show.

    Parameters
    ----------
    effects
        Of `effect`; ``is_named`` may come from a family of comparisons.
    tried
        Of `placebos`.
    change_date
        Day of the change.
    days
        Time each deal had, as given to `cases`.
    change
        What was introduced, in words.

    Examples
    --------
    >>> row = {"design": "interrupted series", "is_main": True, "reason": None, "n": 900, "n_before": 500,
    ...     "n_after": 400, "change_effect": 0.08, "change_effect_low": 0.04, "change_effect_high": 0.12,
    ...     "smallest_effect": 0.057, "is_named": True}
    >>> tried = pd.DataFrame({"is_as_large": [False] * 20})
    >>> said = lambda **other: sentence(pd.DataFrame([row | other]), tried, change_date=date(2024, 10, 1))
    >>> print(said())
    Since the change of 1 October 2024 deals are won within 120 days more often, by 8 points (likely between 4 and 12) \
against the course before; none of 20 earlier dates tried shows as much. What else changed that day is part of it.
    >>> print(said(is_named=False, change_effect_low=-0.01))
    No clear effect of the change of 1 October 2024 on how often deals are won within 120 days; \
one below 6 points would likely not have shown (500 deals before, 400 after).
    """
    named = f"{change} of {words.day(change_date)}"
    main = effects[effects["is_main"]]
    if main.empty:
        return f"Whether {named} worked cannot be told: {effects['reason'].dropna().iloc[0]}."
    row = main.iloc[0]
    what = f"deals are won within {days} days"
    if row.get("gap_trend_low", 0) > 0 or row.get("gap_trend_high", 0) < 0:
        return f"Whether {named} worked cannot be told: the two groups moved apart before it already."
    large, dates = int(tried["is_as_large"].sum()), len(tried)
    if not row["is_named"] or words.covers_zero(row["change_effect_low"], row["change_effect_high"]):
        seen = f"one below {words.points(row['smallest_effect'])} would likely not have shown"
        counted = f"({words.number(row['n_before'])} deals before, {words.number(row['n_after'])} after)"
        return f"No clear effect of {named} on how often {what}; {seen} {counted}."
    moved = words.points(abs(row["change_effect"]))
    # Larger than 95 % of the placebos; fewer than nineteen of them cannot tell.
    if dates >= MIN_PLACEBOS and large > 0.05 * dates:
        return (
            f"No clear effect of {named}: how often {what} moved by {moved}, but so it did "
            f"at {large} of {dates} earlier dates tried, when nothing is known to have changed."
        )
    near, far = sorted(abs(row[f"change_effect_{end}"]) for end in ("low", "high"))
    likely = f"(likely between {words.points(near).split()[0]} and {words.points(far).split()[0]})"
    against, caution = _AGAINST[row["design"]]
    shown = f"; {large or 'none'} of {dates} earlier dates tried {'show' if large > 1 else 'shows'} as much"
    often = "more" if row["change_effect"] > 0 else "less"
    return (
        f"Since {named} {what} {often} often, by {moved} {likely} against {against}{shown if dates else ''}. {caution}"
    )


_AGAINST = {
    "interrupted series": ("the course before", "What else changed that day is part of it."),
    "difference in differences": ("the deals it was not for", "What else changed for these deals alone is part of it."),
}


def _ends(name: str) -> list[str]:
    return [name, f"{name}_low", f"{name}_high"]


_COLUMNS = [
    *("design", "is_main", "reason", "n", "n_before", "n_after", "n_comparison", "n_across", "n_young", "n_no_group"),
    *(end for name in ("change_effect", "slope_effect", "gap_trend") for end in _ends(name)),
    *("n_periods", "smallest_effect", "p_value", "dispersion", "autocorrelation"),
]


def _membership(opportunities: pd.DataFrame, group: str | pd.Series | None) -> pd.Series:
    """True, false or missing for each deal."""
    if group is None:
        return pd.Series(True, index=opportunities.index, dtype="boolean")
    if isinstance(group, str):
        checks.require_columns(opportunities, [group])
        group = opportunities[group]
    strange = group[~group.isin([True, False]) & group.notna()]
    if len(strange):
        raise checks.ParameterError(
            f"change_group: {len(strange)} deals are neither in nor out ({checks.examples(strange)}). "
            "Give a column of true and false."
        )
    if not group.index.equals(opportunities.index):
        raise checks.ParameterError("change_group: its rows are not those of the opportunities. Give one value a deal.")
    return group.astype("boolean")


def _length(cohort: str) -> float:
    if cohort not in _LENGTH:
        raise checks.ParameterError(f"before_after: cohort is '{cohort}'. Use {' or '.join(_LENGTH)}.")
    return _LENGTH[cohort]


def _sizes(deals: pd.DataFrame) -> dict[str, int]:
    counted = deals.loc[deals["is_in_group"], "side"].value_counts()
    before, after, across, young = (int(counted.get(side, 0)) for side in ("before", "after", "across", "too young"))
    others = int((deals["side"].isin(["before", "after"]) & ~deals["is_in_group"]).sum())
    sizes = {"n": before + after, "n_before": before, "n_after": after, "n_comparison": others}
    unknown = int((deals["side"] == "no group").sum())
    return sizes | {"n_across": across, "n_young": young, "n_no_group": unknown}


def _cohorts(deals: pd.DataFrame, cohort: str) -> pd.DataFrame:
    table = interrupted.cohorts(deals["day"], deals["is_won"], deals["started_at"], length=_length(cohort))
    return table.rename(columns={"start": "cohort_start", "successes": "n_won"})


def _too_short(table: pd.DataFrame, cohort: str) -> str | None:
    """Why a series cannot be judged, if so."""
    for side, rows in (("before", table[table["time"] < 0]), ("after", table[table["time"] >= 0])):
        if len(rows) < MIN_PERIODS:
            return f"only {len(rows)} {cohort}s {side} it, fewer than {MIN_PERIODS}"
        if rows["n"].sum() < checks.MIN_N:
            return f"only {rows['n'].sum()} deals {side} it, fewer than {checks.MIN_N}"
    if table["n_won"].sum() in (0, table["n"].sum()):
        return "all deals ended alike"
    return None


def _fit(table: pd.DataFrame, cohort: str, bends: bool = False) -> interrupted.Segmented:
    years = (table["time"].max() - table["time"].min() + 1) * _length(cohort) / 365.25
    time, won, n, phase = (table[name].to_numpy() for name in ("time", "n_won", "n", "phase"))
    return interrupted.segmented(time, won, n, phase=phase if years >= _YEARS_FOR_SEASON else None, bends=bends)


def _series_effect(group: pd.DataFrame, cohort: str, confidence: float) -> dict[str, object]:
    table = _cohorts(group, cohort)
    if reason := _too_short(table, cohort):
        return {"reason": reason, "n_periods": len(table)}
    fit = _fit(table, cohort)
    level = interrupted.reading(fit.level, fit.level_error, fit.df, confidence)
    full = _fit(table, cohort, bends=True)
    slope = interrupted.reading(full.slope, full.slope_error, full.df, confidence)
    about = {"n_periods": len(table), "dispersion": fit.dispersion, "autocorrelation": fit.autocorrelation}
    return _named(level) | _ends_of("slope_effect", slope) | about


def _double_effect(used: pd.DataFrame, cohort: str, confidence: float) -> dict[str, object]:
    if reason := _no_comparison(used, cohort):
        return {"reason": reason}
    group, after = used["is_in_group"].to_numpy(float), (used["side"] == "after").to_numpy(float)
    before, time = after == 0, used["time"].to_numpy(float)
    moved = _linear(used, [group, after, group * after], confidence)
    apart = _linear(used[before], [group[before], time[before], (group * time)[before]], confidence)
    return _named(moved) | _ends_of("gap_trend", apart) | {"n_periods": used["time"].nunique()}


def _plain_effect(group: pd.DataFrame, confidence: float) -> dict[str, object]:
    after = (group["side"] == "after").to_numpy(float)
    if min(after.sum(), len(after) - after.sum()) < checks.MIN_N:
        return {"reason": f"fewer than {checks.MIN_N} deals on a side"}
    return _named(_linear(group, [after], confidence)) | {"n_periods": group["time"].nunique()}


def _no_comparison(used: pd.DataFrame, cohort: str) -> str | None:
    """Why there is nothing to compare the group with, if so."""
    if used["is_in_group"].all():
        return "there is no comparison group"
    cells = used.groupby(["is_in_group", "side"]).size().unstack(fill_value=0).stack()
    if cells.min() < checks.MIN_N:
        is_in_group, side = cells.idxmin()
        return f"only {cells.min()} deals {'it was for' if is_in_group else 'to compare with'} {side} it"
    periods = {side: used.loc[used["side"] == side, "time"].nunique() for side in ("before", "after")}
    side = min(periods, key=periods.get)
    return (
        f"only {periods[side]} {cohort}s {side} it, fewer than {MIN_PERIODS}" if periods[side] < MIN_PERIODS else None
    )


def _linear(deals: pd.DataFrame, columns: list, confidence: float) -> interrupted.Reading:
    """The last column's coefficient, with errors clustered by account and by cohort."""
    design = np.column_stack([np.ones(len(deals)), *columns])
    fit = interrupted.linear(design, deals["is_won"].to_numpy(float), [deals["cluster"], deals["time"]])
    return interrupted.reading(fit.values[-1], np.sqrt(fit.covariance[-1, -1]), fit.df, confidence)


def _named(found: interrupted.Reading) -> dict[str, float]:
    return _ends_of("change_effect", found) | {"p_value": found.p_value, "smallest_effect": found.smallest}


def _ends_of(name: str, found: interrupted.Reading) -> dict[str, float]:
    return dict(zip(_ends(name), found[:3], strict=True))


def _shifts(deals: pd.DataFrame, cohort: str) -> list[int]:
    """Days from the change to each earlier date that can be tried: cohorts back from the last one."""
    group = deals[(deals["side"] == "before") & deals["is_in_group"]]
    if group.empty:
        return []
    length, span = _length(cohort), MIN_PERIODS * _length(cohort)
    first, last = group["day"].min() + span + deals["days"].iloc[0], group["day"].max() + 1 - span
    return [int(np.ceil(last - back * length)) for back in range(int(max((last - first) // length, -1)) + 1)][::-1]


def _placebo(deals: pd.DataFrame, shift: int, true: pd.DataFrame, cohort: str, confidence: float) -> dict[str, object]:
    day, days = deals["day"] - shift, deals["days"]
    side = np.select([deals["side"] != "before", day >= 0, day + days < 0], ["other", "after", "before"], "across")
    moved = deals.assign(day=day, side=side)
    row = effect(moved, cohort=cohort, confidence=confidence)
    row = row[(row["design"] == true["design"].iloc[0]) & row["reason"].isna()]
    if row.empty:
        return {}
    ends = dict(zip(_ends("placebo_effect"), row[_ends("change_effect")].iloc[0], strict=True))
    when = (deals["started_at"].dt.normalize() - pd.to_timedelta(day, unit="D")).iloc[0].date()
    return {"placebo_date": when, "n": int(row["n"].iloc[0]), **ends, "placebo_ratio": _ratio(row)}


def _ratio(row: pd.DataFrame) -> float:
    """Size of an effect over half its interval's length: one where the interval just touches zero."""
    value, low = row["change_effect"].iloc[0], row["change_effect_low"].iloc[0]
    return abs(value) / (value - low) if value > low else 0.0
