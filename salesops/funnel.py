"""Funnel: how far deals come, how long they stay, and where they stall, open ones counted."""

from collections.abc import Callable
from datetime import date

import numpy as np
import pandas as pd

from salesops import checks, journey, pipeline, words
from salesops.periods import Period
from salesops.stats import groups, survival

_LIMITS = ("", "_low", "_high")
_PERIOD = ["period", "period_start", "period_end"]
_QUANTILES = {0.25: "p25", 0.5: "median", 0.75: "p75", 0.9: "p90"}


def stage_conversion(
    visits: pd.DataFrame, *, period: Period, by: str | None = None, confidence: float = 0.95
) -> pd.DataFrame:
    """Probability that a deal which enters a stage ever reaches the next one, or a later one.

    The counting rule: a deal counts once, at its first entry, in the stage it entered; a deal
    that jumps over a stage is in its ``n_skipped``, not in its ``n``. Reaching any later stage
    or winning is success, losing competes with it (until a lost deal is opened again), and a
    deal that is still open is censored, never dropped. ``n = n_advanced + n_lost +
    n_moved_back + n_still_there`` by how the first stay ended.

    Known bias: a lower bound where many are still open and nobody has been watched for long.

    Parameters
    ----------
    visits
        Of `journey.stage_visits`, with `by` among its columns.
    period
        When the stage was first entered.
    by
        Column to group on; a missing value is a group.
    confidence
        Level of the interval.

    Returns
    -------
    DataFrame
        One row per pipeline, stage in order, and group: ``n`` (deals that entered),
        ``stage_conversion_rate`` with its limits, ``still_open_rate``, ``n_advanced``,
        ``n_lost``, ``n_moved_back``, ``n_still_there``, ``n_still_open``, ``n_skipped``,
        ``n_reentered``. A stage nobody entered, or none has left, has no rate.

    Metrics
    -------
    stage_conversion_rate : rate, stage_entered, higher, -, changed_at
        Of the deals that first entered the stage in the period, probability of ever reaching the next stage or
        beyond, losing competing and open deals censored.
    still_open_rate : rate, stage_entered, none, n_still_open / n, changed_at
        Share of the deals that entered whose end is not known yet: still open and not advanced.

    References
    ----------
    Aalen & Johansen (1978), Scand. J. Statist. 5:141-150.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> visits = pd.DataFrame({
    ...     "opportunity_id": ["A", "A", "B", "C"], "visit": [1, 2, 1, 1], "pipeline": "new",
    ...     "stage": ["Qualify", "Propose", "Qualify", "Qualify"], "position": [1, 2, 1, 1],
    ...     "entered_at": day(["2026-07-01", "2026-07-05", "2026-07-01", "2026-07-10"]),
    ...     "exited_at": day(["2026-07-05", "2026-07-20", "2026-07-09", None]),
    ...     "exit": ["forward", "won", "lost", "still_there"], "is_reentry": False, "days": [4.0, 15.0, 8.0, 2.0],
    ... })
    >>> july = Period("2026-07", date(2026, 7, 1), date(2026, 7, 31))
    >>> stage_conversion(visits, period=july)[["stage", "n", "n_advanced", "n_lost", "stage_conversion_rate"]]
         stage  n  n_advanced  n_lost  stage_conversion_rate
    0  Qualify  3           1       1                    0.5
    1  Propose  1           1       0                    1.0
    """
    keys = _keys(visits, by)
    rows = journey.progress(visits)
    entries = rows[~rows["is_reentry"] & period.contains(rows["entered_at"])]

    def one_group(rows: pd.DataFrame) -> dict[str, float]:
        rate = _plateau(rows, "advanced", "stage_conversion_rate", confidence)
        still_open = int(rows["cause"].isna().sum())
        share = still_open / len(rows) if len(rows) else np.nan
        return {
            "n": len(rows),
            **rate,
            "still_open_rate": share,
            **_exit_counts(rows),
            "n_still_open": still_open,
            "n_reentered": int(rows["is_reentered"].sum()),
        }

    stages = _stage_groups(visits, by)
    table = groups.rows_of_each(stages[keys], entries, one_group)
    n_skipped = [_skipped(rows, stage, period, by) for stage in stages.to_dict("records")]
    return pipeline.dated(table.assign(n_skipped=n_skipped), period, after=keys)


def stage_duration(
    visits: pd.DataFrame, *, period: Period, by: str | None = None, confidence: float = 0.95
) -> pd.DataFrame:
    """How long deals stay in each stage: the times by which half, 75 and 90 % have left.

    Kaplan-Meier over every visit that began in the period; those still going on are censored.
    The mean of the visits that ended is not shown: it is too short, because long stays are the
    ones still open. Missing where too few have left to say.

    Returns
    -------
    DataFrame
        One row per pipeline, stage in order, and group: ``n`` (visits), ``n_still_there``, and
        ``stage_duration_days_median``, ``_p75`` and ``_p90`` with their limits.

    Metrics
    -------
    stage_duration_days : days, stage_entered, lower, -, changed_at
        Time in a stage of the visits that began in the period, those still there censored.

    References
    ----------
    Kaplan & Meier (1958), J. Am. Stat. Assoc. 53:457-481.

    Examples
    --------
    >>> visits = pd.DataFrame({
    ...     "pipeline": "new", "stage": "Qualify", "position": 1, "entered_at": pd.to_datetime("2026-07-01"),
    ...     "exit": ["forward", "lost", "still_there"], "days": [4.0, 8.0, 20.0],
    ... })
    >>> july = Period("2026-07", date(2026, 7, 1), date(2026, 7, 31))
    >>> stage_duration(visits, period=july)[["stage", "n", "n_still_there", "stage_duration_days_median"]]
         stage  n  n_still_there  stage_duration_days_median
    0  Qualify  3              1                         8.0
    """
    keys = _keys(visits, by)
    began = visits[period.contains(visits["entered_at"])]

    def one_group(rows: pd.DataFrame) -> dict[str, float]:
        is_over = rows["exit"] != "still_there"
        shares = [0.5, 0.75, 0.9]
        found = survival.duration_quantiles(rows["days"], is_over, probabilities=shares, confidence=confidence)
        return {"n": len(rows), "n_still_there": int((~is_over).sum()), **_named(found, "stage_duration_days")}

    return pipeline.dated(groups.rows_of_each(_stage_groups(visits, by)[keys], began, one_group), period, after=keys)


def overall_conversion(
    visits: pd.DataFrame, *, period: Period, by: str | None = None, confidence: float = 0.95
) -> pd.DataFrame:
    """Probability that a deal which enters its pipeline's first stage is ever won.

    Counted as stage conversion is: first entries, losing competes, open deals censored.

    Returns
    -------
    DataFrame
        One row per group: ``n``, ``n_won``, ``n_lost``, ``n_still_open``, ``overall_conversion_rate`` and limits.

    Metrics
    -------
    overall_conversion_rate : rate, stage_entered, higher, -, changed_at
        Of the deals that first entered the first stage in the period, probability of ever being won, losing
        competing and open deals censored.

    Examples
    --------
    >>> visits = pd.DataFrame({
    ...     "opportunity_id": ["A", "B"], "visit": 1, "pipeline": "new", "stage": "Qualify", "position": 1,
    ...     "entered_at": pd.to_datetime("2026-07-01"), "exited_at": pd.to_datetime("2026-07-09"),
    ...     "exit": ["won", "lost"], "is_reentry": False, "days": 8.0,
    ... })
    >>> july = Period("2026-07", date(2026, 7, 1), date(2026, 7, 31))
    >>> overall_conversion(visits, period=july)[["n", "n_won", "n_lost", "overall_conversion_rate"]]
       n  n_won  n_lost  overall_conversion_rate
    0  2      1       1                      0.5
    """
    _keys(visits, by)
    ends = journey.ends(visits)
    entries = ends[(ends["position"] == 1) & ~ends["is_reentry"] & period.contains(ends["entered_at"])]

    def one_group(rows: pd.DataFrame) -> dict[str, float]:
        counts = {f"n_{end}": int((rows["cause"] == end).sum()) for end in ("won", "lost")}
        rate = _plateau(rows, "won", "overall_conversion_rate", confidence)
        return {"n": len(rows), **counts, "n_still_open": int(rows["cause"].isna().sum()), **rate}

    return _grouped(visits, entries, by, period, one_group)


def sales_cycle(
    opportunities: pd.DataFrame, *, period: Period, as_of: date, by: str | None = None, confidence: float = 0.95
) -> pd.DataFrame:
    """How long winning takes, from being qualified and from being created.

    The clock starts at the qualified date, or at creation where no deal has one, and stops at
    the close date. Median and quartiles are of the deals that are won, from their cumulative
    incidence: losing competes, open deals are censored. The plain mean over the deals won so
    far stands beside it; it is too short while slow deals are still open. A deal without its
    start or end date, or that ends before it starts, is left out.

    Parameters
    ----------
    opportunities
        With ``created_date``, ``qualified_date``, ``close_date``, ``closed_at``, ``is_closed``,
        ``is_won`` and `by`.
    period
        When the clock started.
    as_of
        Last day used.
    by
        Column to group on; a missing value is a group.
    confidence
        Level of the intervals.

    Returns
    -------
    DataFrame
        One row per group: `by`, ``n`` (deals started), ``n_won``, ``n_open``, and
        ``sales_cycle_days_median``, ``_p25``, ``_p75``, ``_mean`` and the same of
        ``created_to_won_days``, each with its limits.

    Metrics
    -------
    sales_cycle_days : days, qualified, lower, -, qualified_date created_date close_date
        Time from qualified (created where that is not known) to won, from the cumulative incidence, losing
        competing and open deals censored; the mean is the plain one over won deals.
    created_to_won_days : days, created, lower, -, created_date close_date
        Time from created to won, in the same way.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> deals = pd.DataFrame({
    ...     "created_date": day("2026-07-01"), "qualified_date": day("2026-07-04"),
    ...     "close_date": day(["2026-07-14", "2026-07-24", "2026-08-03", "2026-12-31"]), "closed_at": day([None] * 4),
    ...     "is_closed": [True, True, True, False], "is_won": [True, True, False, False],
    ... })
    >>> july = Period("2026-07", date(2026, 7, 1), date(2026, 7, 31))
    >>> table = sales_cycle(deals, period=july, as_of=date(2026, 9, 30))
    >>> table[["n", "n_won", "n_open", "sales_cycle_days_median", "created_to_won_days_mean"]]
       n  n_won  n_open  sales_cycle_days_median  created_to_won_days_mean
    0  4      2       1                     15.0                      18.0
    """
    main = _cycles(_qualified_ages(opportunities, as_of), "won", "sales_cycle_days", period, by, confidence)
    beside = pipeline.ages(opportunities, start="created_date", as_of=as_of)
    beside = _cycles(beside, "won", "created_to_won_days", period, by, confidence)
    beside = beside.drop(columns=["n", "n_won", "n_open", *_PERIOD])
    return main.merge(beside, on=by, how="left") if by else main.join(beside)


def started(opportunities: pd.DataFrame, *, period: Period, as_of: date) -> pd.DataFrame:
    """The deals that `sales_cycle` counts: those whose clock started in the period."""
    aged = _qualified_ages(opportunities, as_of)
    return aged[period.contains(aged["started_at"])]


def time_to_loss(
    opportunities: pd.DataFrame, *, period: Period, as_of: date, by: str | None = None, confidence: float = 0.95
) -> pd.DataFrame:
    """How long losing takes, from being created: as the sales cycle, for the deals that are lost.

    Returns
    -------
    DataFrame
        One row per group: `by`, ``n`` (deals created), ``n_lost``, ``n_open``, and
        ``time_to_loss_days_median``, ``_p25``, ``_p75`` and ``_mean`` with their limits.

    Metrics
    -------
    time_to_loss_days : days, created, none, -, created_date close_date
        Time from created to lost, from the cumulative incidence, winning competing and open deals censored; the
        mean is the plain one over lost deals.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> deals = pd.DataFrame({
    ...     "created_date": day("2026-07-01"), "close_date": day(["2026-07-11", "2026-07-31"]),
    ...     "closed_at": day([None] * 2), "is_closed": True, "is_won": [False, True],
    ... })
    >>> july = Period("2026-07", date(2026, 7, 1), date(2026, 7, 31))
    >>> time_to_loss(deals, period=july, as_of=date(2026, 9, 30))[["n", "n_lost", "time_to_loss_days_median"]]
       n  n_lost  time_to_loss_days_median
    0  2       1                      10.0
    """
    aged = pipeline.ages(opportunities, start="created_date", as_of=as_of)
    return _cycles(aged, "lost", "time_to_loss_days", period, by, confidence)


def outcome_curves(
    opportunities: pd.DataFrame, *, period: Period, as_of: date, confidence: float = 0.95
) -> pd.DataFrame:
    """Share of the deals created in the period that were won, and lost, by each age.

    One row per ``outcome`` (won, lost) and age: ``days``, ``ended_rate`` with its limits,
    ``n_at_risk``; cut where fewer than ten are left.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> deals = pd.DataFrame({
    ...     "created_date": day("2026-07-01"), "close_date": day(["2026-07-11"] * 10 + ["2026-07-31"] * 10),
    ...     "closed_at": day([None] * 20), "is_closed": True, "is_won": [True] * 10 + [False] * 10,
    ... })
    >>> july = Period("2026-07", date(2026, 7, 1), date(2026, 7, 31))
    >>> outcome_curves(deals, period=july, as_of=date(2026, 9, 30))[["outcome", "days", "ended_rate", "n_at_risk"]]
      outcome  days  ended_rate  n_at_risk
    0     won  10.0         0.5       20.0
    1     won  30.0         0.5       10.0
    2    lost  10.0         0.0       20.0
    3    lost  30.0         0.5       10.0
    """
    aged = pipeline.ages(opportunities, start="created_date", as_of=as_of)
    started = aged[period.contains(aged["started_at"])]
    curves = survival.cumulative_incidence(started["days"], started["cause"], confidence=confidence)
    curves.columns = ["outcome", "days", "ended_rate", "ended_rate_low", "ended_rate_high", "n_at_risk"]
    return curves.sort_values("outcome", ascending=False, kind="stable", ignore_index=True)


def headlines(
    conversion: pd.DataFrame, durations: pd.DataFrame, overall: pd.DataFrame, cycle: pd.DataFrame, *, window: Period
) -> list[str]:
    """The findings in sentences, most important first.

    The tables are those of `stage_conversion`, `stage_duration`, `overall_conversion` by pipeline
    and `sales_cycle`; the first three are empty where there is no stage history.
    """
    if conversion.empty:
        absent = "There is no stage history, so how far deals come and where they stall cannot be told."
        return [cycle_sentence(cycle, window), absent]
    busiest = overall.sort_values("n", ascending=False, kind="stable").head(2)
    return [
        *(_overall_sentence(row, window, len(overall) > 1) for _, row in busiest.iterrows()),
        weakest_sentence(conversion),
        slowest_sentence(durations),
        cycle_sentence(cycle, window),
    ]


def weakest_sentence(conversion: pd.DataFrame) -> str:
    """The stage fewest deals get past, named only where its interval touches no other's of its pipeline.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "stage": ["One", "Two"], "pipeline": "new", "n": 100, "stage_conversion_rate": [0.4, 0.7],
    ...     "stage_conversion_rate_low": [0.35, 0.6], "stage_conversion_rate_high": [0.45, 0.8],
    ... })
    >>> weakest_sentence(table)
    'One is the stage of new that fewest deals get past: 40 % (likely between 35 % and 45 %).'
    >>> weakest_sentence(table.assign(stage_conversion_rate_high=0.9))
    'No stage of new stands clear of the others as the one fewest deals get past.'
    """
    table = _comparable(conversion, "stage_conversion_rate")
    if len(table) < 2:
        return "Too few deals entered the stages to say where they stall."
    first, others = table.iloc[0], table.iloc[1:]
    if first["high"] >= others["low"].min():
        return f"No stage{_of(first)} stands clear of the others as the one fewest deals get past."
    limits = words.interval(first["low"], first["high"], "rate")
    share = words.rate(first["value"])
    return f"{first['stage']} is the stage{_of(first)} that fewest deals get past: {share} ({limits})."


def slowest_sentence(durations: pd.DataFrame) -> str:
    """Where deals stay longest, named only where its interval touches no other stage's.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "stage": ["One", "Two"], "pipeline": "new", "n": 100, "stage_duration_days_median": [30.0, 10],
    ...     "stage_duration_days_median_low": [25.0, 8], "stage_duration_days_median_high": [36.0, 12],
    ... })
    >>> slowest_sentence(table)
    'One is the stage of new where deals stay longest: half leave within 30 days (likely between 25 days and 36 days).'
    >>> slowest_sentence(table.assign(stage_duration_days_median_low=5.0))
    'No stage of new stands clear of the others as the one where deals stay longest.'
    """
    table = _comparable(durations, "stage_duration_days_median")
    if len(table) < 2:
        return "Too few deals entered the stages to compare how long they stay."
    first, others = table.iloc[-1], table.iloc[:-1]
    if first["low"] <= others["high"].max():
        return f"No stage{_of(first)} stands clear of the others as the one where deals stay longest."
    limits = words.interval(first["low"], first["high"], "days")
    stays = f"half leave within {words.duration(first['value'])} ({limits})"
    return f"{first['stage']} is the stage{_of(first)} where deals stay longest: {stays}."


def cycle_sentence(cycle: pd.DataFrame, window: Period) -> str:
    """How long winning takes.

    Examples
    --------
    >>> row = pd.DataFrame({
    ...     "n_won": [50], "sales_cycle_days_median": 62.0, "sales_cycle_days_median_low": 53.0,
    ...     "sales_cycle_days_median_high": 69.0, "sales_cycle_days_p25": 26.0, "sales_cycle_days_p75": 127.0,
    ... })
    >>> cycle_sentence(row, Period("all", date(2025, 1, 1), date(2026, 9, 30)))
    'Half of the wins take no more than 62 days (likely between 53 days and 69 days); the middle half take 26 to 127.'
    """
    row = cycle.iloc[0]
    if row["n_won"] < checks.MIN_N:
        won = f"{words.count(row['n_won'])} of the deals started {window.when} have been won"
        return f"{won}: too few to say how long winning takes."
    median, low, high = (row[f"sales_cycle_days_median{end}"] for end in _LIMITS)
    short, long = (words.count(round(row[f"sales_cycle_days_{end}"])) for end in ("p25", "p75"))
    stated = f"{words.duration(median)} ({words.interval(low, high, 'days')})"
    return f"Half of the wins take no more than {stated}; the middle half take {short} to {long}."


def _keys(visits: pd.DataFrame, by: str | None) -> list[str]:
    needed = ["pipeline", "stage", "position", "entered_at", "exit", "days"]
    checks.require_columns(visits, [*needed, *([by] if by else [])])
    return list(dict.fromkeys(["stage", "pipeline", *([by] if by else [])]))


def _stage_groups(visits: pd.DataFrame, by: str | None) -> pd.DataFrame:
    """Every stage in order, each with every group, so that a stage nobody entered keeps its row."""
    stages = visits[["pipeline", "stage", "position"]].drop_duplicates().sort_values(["pipeline", "position", "stage"])
    if by in (None, "pipeline", "stage"):
        return stages.reset_index(drop=True)
    return stages.merge(visits[[by]].drop_duplicates().sort_values(by), how="cross")


def _exit_counts(entries: pd.DataFrame) -> dict[str, int]:
    exits = entries["exit"].replace({"skip": "forward", "won": "forward"}).value_counts()
    kinds = {"n_advanced": "forward", "n_lost": "lost", "n_moved_back": "back", "n_still_there": "still_there"}
    return {name: int(exits.get(kind, 0)) for name, kind in kinds.items()}


def _skipped(visits: pd.DataFrame, stage: dict, period: Period, by: str | None) -> int:
    """Deals of a group that came beyond a stage in the period without ever entering it."""
    for key in dict.fromkeys(["pipeline", *([by] if by and by != "stage" else [])]):
        visits = visits[visits[key].isna() if pd.isna(stage[key]) else visits[key] == stage[key]]
    return int(period.contains(journey.skipped(visits, stage["position"])).sum())


def _plateau(rows: pd.DataFrame, cause: str, name: str, confidence: float) -> dict[str, float]:
    found = survival.plateau(rows["days"], rows["cause"], causes=[cause], confidence=confidence).iloc[0]
    return {f"{name}{end}": found[f"incidence{end}"] for end in _LIMITS}


def _named(quantiles: pd.DataFrame, metric: str) -> dict[str, float]:
    """Quantiles as columns: the metric with its statistic, and its limits."""
    rows = quantiles.to_dict("records")
    return {f"{metric}_{_QUANTILES[row['probability']]}{end}": row[f"time{end}"] for row in rows for end in _LIMITS}


def _qualified_ages(opportunities: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """Ages since a deal was qualified, or since it was created where no deal has a qualified date."""
    qualified = pipeline.qualified(opportunities)
    start = "qualified_date" if qualified["qualified_date"].notna().any() else "created_date"
    return pipeline.ages(qualified, start=start, as_of=as_of)


def _cycles(
    aged: pd.DataFrame, outcome: str, metric: str, period: Period, by: str | None, confidence: float
) -> pd.DataFrame:
    def one_group(rows: pd.DataFrame) -> dict[str, float]:
        ended = rows["cause"] == outcome
        counts = {"n": len(rows), f"n_{outcome}": int(ended.sum()), "n_open": int(rows["cause"].isna().sum())}
        quantiles = survival.incidence_quantiles(
            rows["days"], rows["cause"], probabilities=[0.5, 0.25, 0.75], causes=[outcome], confidence=confidence
        ).query("cause == @outcome")
        mean = survival.ended_mean(rows.loc[ended, "days"], confidence=confidence)
        means = {f"{metric}_mean{end}": value for end, value in zip(_LIMITS, mean, strict=True)}
        return counts | _named(quantiles, metric) | means

    return _grouped(aged, aged[period.contains(aged["started_at"])], by, period, one_group)


def _grouped(
    whole: pd.DataFrame, rows: pd.DataFrame, by: str | None, period: Period, one_group: Callable[[pd.DataFrame], dict]
) -> pd.DataFrame:
    """One row per group of the whole, or one for all."""
    keys = whole[[by]].drop_duplicates().sort_values(by) if by else pd.DataFrame({"all": ["all"]})
    table = groups.rows_of_each(keys, rows.assign(all="all"), one_group)
    return pipeline.dated(table.drop(columns="all", errors="ignore"), period, after=[by] if by else [])


def _overall_sentence(row: pd.Series, window: Period, names_pipeline: bool) -> str:
    where = f"the first stage of {words.group(row['pipeline'])}" if names_pipeline else "the first stage"
    deals = f"{words.count(row['n'])} {'deal' if row['n'] == 1 else 'deals'}"
    entered = f"{deals} entered {where} {window.when}"
    rate, low, high = (row[f"overall_conversion_rate{end}"] for end in _LIMITS)
    if row["n"] < checks.MIN_N:
        return f"{entered}: too few to say how many will be won."
    if words.is_missing(rate):
        return f"{entered}; none of them has ended yet."
    still_open = words.rate(row["n_still_open"] / row["n"])
    expected = f"{words.rate(rate)} can be expected to be won ({words.interval(low, high, 'rate')})"
    return f"{entered}; {expected}, while {still_open} are still open."


def _comparable(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Stages of the busiest pipeline with enough entries and known limits, lowest first."""
    pipelines = table["pipeline"].fillna("")
    busiest = table.groupby(pipelines)["n"].sum().sort_values(kind="stable").index[-1:]
    mine = table[pipelines.isin(busiest)]
    limits = mine.assign(value=mine[column], low=mine[f"{column}_low"], high=mine[f"{column}_high"])
    return (
        limits[limits["n"] >= checks.MIN_N].dropna(subset=["value", "low", "high"]).sort_values("value", kind="stable")
    )


def _of(row: pd.Series) -> str:
    return "" if pd.isna(row["pipeline"]) else f" of {row['pipeline']}"
