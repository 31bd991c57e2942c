"""Funnel: how far deals come, and where they stall, open ones counted."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from salesops import cells, checks, first_entries, journey, pipeline, words
from salesops.periods import Period
from salesops.stats import completion, groups, survival

MIN_AT_RISK = 10  # deals below which a curve stops
_LIMITS = ("", "_low", "_high")
_STEPS = 60  # of a curve: ages at which it is read
_ENDS = {
    "n_advanced": ["forward", "skip", "won"],
    "n_lost": ["lost"],
    "n_moved_back": ["back"],
    "n_still_there": ["still_there"],
}


def stage_conversion(
    visits: pd.DataFrame | first_entries.Entries, *, period: Period, by: str | None = None, confidence: float = 0.95
) -> pd.DataFrame:
    """Probability that a deal which enters a stage ever reaches the next one, or a later one.

    The counting rule: a deal counts once, at its first entry, in the stage it entered; a deal
    that jumps over a stage is in its ``n_skipped``, not in its ``n``. Reaching any later stage
    or winning is success, losing competes with it (until a lost deal is opened again), and a
    deal that is still open is censored, never dropped. ``n = n_advanced + n_lost +
    n_moved_back + n_still_there`` by how the first stay ended.

    A deal that was under way when the history began counts from the age at which it was first
    seen; where that is not known, in the counts alone.

    Known bias: a lower bound where many are still open and nobody has been watched for long.

    Parameters
    ----------
    visits
        Of `journey.stage_visits`, with `by` among its columns, and ``account_id``: the deals of one
        company count together in the interval. Without it each deal stands alone. Or their `first_entries.entries`,
        rows or the cells of them; of cells each deal stands alone.
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
    >>> from datetime import date
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
    rows, passes = visits if isinstance(visits, first_entries.Entries) else first_entries.entries(visits, by=by)
    stages = journey.stage_groups(rows, by=by)
    keys = list(stages.columns.drop("position"))
    entered = rows[period.contains(rows["entered_at"])]
    entered = entered if "cluster" in entered else entered.assign(cluster=np.nan)

    def one_group(rows: pd.DataFrame) -> dict[str, float]:
        n, still_open = cells.total(rows), cells.total(rows[rows["cause"].isna()])
        return {
            "n": n,
            **_plateau(rows, "advanced", "stage_conversion_rate", confidence),
            "still_open_rate": still_open / n if n else np.nan,
            **_exit_counts(rows),
            "n_still_open": still_open,
            "n_reentered": cells.total(rows[rows["is_reentered"].astype(bool)]),
        }

    table = groups.rows_of_each(stages[keys], entered, one_group)
    return pipeline.dated(table.assign(n_skipped=_skipped(passes, stages, period)), period, after=keys)


def conversion_curves(
    visits: pd.DataFrame, *, cohorts: Sequence[Period], ages: Sequence[float] = (), confidence: float = 0.95
) -> pd.DataFrame:
    """Share of the deals that entered a stage in each quarter that had gone further by each age.

    Counted as stage conversion is: first entries, losing competes, open deals censored. Each curve
    stops at the age that fewer than ten deals were watched to, so a young quarter's is short. Compare
    curves at equal age only.

    Parameters
    ----------
    visits
        Of `journey.stage_visits`, with ``account_id`` for the intervals where it is known.
    cohorts
        Periods of the first entry, such as quarters.
    ages
        Ages in days, rising; by default up to sixty whole days, as far as any was watched.
    confidence
        Level of the interval.

    Returns
    -------
    DataFrame
        One row per stage, in order, pipeline, cohort, oldest first, and age: ``stage``, ``pipeline``,
        ``cohort``, ``cohort_start``, ``cohort_end``, ``days``, ``n`` (deals that entered), ``n_at_risk``
        (watched, and still neither further nor lost, at that age), ``advanced_by_age_rate`` with limits.

    Metrics
    -------
    advanced_by_age_rate : rate, stage_entered, higher, -, changed_at
        Of the deals that first entered the stage in the quarter, share that had reached a later stage or been won
        by that many days, losing competing and open deals censored.

    References
    ----------
    Aalen & Johansen (1978), Scand. J. Statist. 5:141-150.

    Examples
    --------
    >>> from datetime import date
    >>> visits = pd.DataFrame({
    ...     "opportunity_id": range(20), "visit": 1, "pipeline": "new", "stage": "Qualify", "position": 1,
    ...     "entered_at": pd.to_datetime("2026-07-01"), "exit": ["won"] * 5 + ["lost"] * 5 + ["still_there"] * 10,
    ...     "exited_at": pd.to_datetime(["2026-07-04"] * 5 + ["2026-07-06"] * 5 + [None] * 10), "is_reentry": False,
    ...     "days": [3.0] * 5 + [5.0] * 5 + [8.0] * 10,
    ... })
    >>> quarter = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> curves = conversion_curves(visits, cohorts=[quarter], ages=[2, 4, 8, 9])
    >>> curves[["cohort", "days", "n", "n_at_risk", "advanced_by_age_rate"]]
       cohort  days   n  n_at_risk  advanced_by_age_rate
    0  2026Q3     2  20         20                  0.00
    1  2026Q3     4  20         15                  0.25
    2  2026Q3     8  20         10                  0.25
    """
    return _by_age(visits, "advanced", "advanced_by_age_rate", cohorts, ages, confidence)


def overall_curves(
    visits: pd.DataFrame, *, cohorts: Sequence[Period], ages: Sequence[float] = (), confidence: float = 0.95
) -> pd.DataFrame:
    """Share of the deals that entered the first stage in each quarter that had been won by each age.

    As `conversion_curves`, for the first stage of each pipeline and being won.

    Returns
    -------
    DataFrame
        As of `conversion_curves`, with ``overall_by_age_rate``.

    Metrics
    -------
    overall_by_age_rate : rate, stage_entered, higher, -, changed_at
        Of the deals that first entered the first stage in the quarter, share won by that many days, losing
        competing and open deals censored.

    Examples
    --------
    >>> from datetime import date
    >>> visits = pd.DataFrame({
    ...     "opportunity_id": range(20), "visit": 1, "pipeline": "new", "stage": "Qualify", "position": 1,
    ...     "entered_at": pd.to_datetime("2026-07-01"), "exit": ["won"] * 5 + ["still_there"] * 15,
    ...     "exited_at": pd.to_datetime(["2026-07-04"] * 5 + [None] * 15), "is_reentry": False,
    ...     "days": [3.0] * 5 + [8.0] * 15,
    ... })
    >>> quarter = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> overall_curves(visits, cohorts=[quarter], ages=[2, 4])["overall_by_age_rate"].tolist()
    [0.0, 0.25]
    """
    return _by_age(visits, "won", "overall_by_age_rate", cohorts, ages, confidence)


def overall_conversion(
    visits: pd.DataFrame, *, period: Period, by: str | None = None, confidence: float = 0.95
) -> pd.DataFrame:
    """Probability that a deal which enters its pipeline's first stage is ever won.

    Counted as stage conversion is: first entries, losing competes, open deals censored, the deals of
    one company together.

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
    >>> from datetime import date
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
    _, ends = _followed(visits, by, journey.ends)
    entries = ends[(ends["position"] == 1) & ~ends["is_reentry"] & period.contains(ends["entered_at"])]

    def one_group(rows: pd.DataFrame) -> dict[str, float]:
        counts = {f"n_{end}": int((rows["cause"] == end).sum()) for end in ("won", "lost")}
        rate = _plateau(rows, "won", "overall_conversion_rate", confidence)
        return {"n": len(rows), **counts, "n_still_open": int(rows["cause"].isna().sum()), **rate}

    table = groups.rows_of_each(groups.of_column(visits, by), entries, one_group)
    return pipeline.dated(table, period, after=[by] if by else [])


def headlines(overall: pd.DataFrame, cycle: pd.DataFrame, *, window: Period) -> list[str]:
    """How many of the deals that came in can be expected to be won, for the two pipelines with most of them.

    Parameters
    ----------
    overall, cycle
        Of `overall_conversion` by pipeline, empty where there is no stage history, and `stage_times.sales_cycle`.
    window
        When the deals came in.
    """
    if overall.empty:
        absent = "There is no stage history, so how far deals come and where they stall cannot be told."
        return [cycle_sentence(cycle, window), absent]
    busiest = overall.sort_values("n", ascending=False, kind="stable").head(2)
    return [_overall_sentence(row, window, len(overall) > 1) for _, row in busiest.iterrows()]


def weakest_sentence(conversion: pd.DataFrame) -> str:
    """The stage fewest deals get past, named only where its interval touches no other's of its pipeline.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "stage": ["One", "Two"], "pipeline": "new", "n": 100, "stage_conversion_rate": [0.4, 0.7],
    ...     "stage_conversion_rate_low": [0.35, 0.6], "stage_conversion_rate_high": [0.45, 0.8],
    ... })
    >>> weakest_sentence(table)
    'Fewest deals of new get past One: 40 % (likely between 35 % and 45 %).'
    >>> weakest_sentence(table.assign(stage_conversion_rate_high=0.9))
    'No stage of new stands clear as the one fewest deals get past.'
    """
    table = _comparable(conversion, "stage_conversion_rate")
    if len(table) < 2:
        return "Too few deals entered the stages to say where they stall."
    first, others = table.iloc[0], table.iloc[1:]
    if first["high"] >= others["low"].min():
        return f"No stage{_of(first)} stands clear as the one fewest deals get past."
    limits = words.interval(first["low"], first["high"], "rate")
    share = words.rate(first["value"])
    return f"Fewest deals{_of(first)} get past {first['stage']}: {share} ({limits})."


def groups_sentence(table: pd.DataFrame, by: str) -> str:
    """Which group is won most often, named only where its interval touches no other's.

    Parameters
    ----------
    table
        Of `overall_conversion` by `by`.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "segment": ["SMB", "Mid"], "n": 100, "overall_conversion_rate": [0.2, 0.4],
    ...     "overall_conversion_rate_low": [0.15, 0.33], "overall_conversion_rate_high": [0.25, 0.47],
    ... })
    >>> groups_sentence(table, "segment")
    'Mid deals are won most often: 40 % (likely between 33 % and 47 %).'
    >>> groups_sentence(table.assign(overall_conversion_rate_high=0.5), "segment")
    'No segment stands clear as the one whose deals are won most often.'
    """
    rate, name = "overall_conversion_rate", words.label(by).lower()
    limits = {end: table[f"{rate}_{end}"] for end in ("low", "high")}
    known = table.assign(**limits)[table["n"] >= checks.MIN_N].dropna(subset=[rate, "low", "high"])
    known = known.sort_values(rate, ascending=False, kind="stable")
    if len(known) < 2:
        return f"Too few deals to compare how many are won by {name}."
    first, others = known.iloc[0], known.iloc[1:]
    if first["low"] <= others["high"].max():
        return f"No {name} stands clear as the one whose deals are won most often."
    which = "Deals" if words.is_missing(first[by]) else f"{words.group(first[by], by)} deals"
    without = f" without {name}" if words.is_missing(first[by]) else ""
    often = words.interval(first["low"], first["high"], "rate")
    return f"{which}{without} are won most often: {words.rate(first[rate])} ({often})."


def slowest_sentence(durations: pd.DataFrame) -> str:
    """Where deals stay longest, named only where its interval touches no other stage's.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "stage": ["One", "Two"], "pipeline": "new", "n": 100, "stage_duration_days_median": [30.0, 10],
    ...     "stage_duration_days_median_low": [25.0, 8], "stage_duration_days_median_high": [36.0, 12],
    ... })
    >>> slowest_sentence(table)
    'Deals of new stay longest in One: half leave within 30 days (likely between 25 days and 36 days).'
    >>> slowest_sentence(table.assign(stage_duration_days_median_low=5.0))
    'No stage of new stands clear as the one where deals stay longest.'
    """
    table = _comparable(durations, "stage_duration_days_median")
    if len(table) < 2:
        return "Too few deals entered the stages to compare how long they stay."
    first, others = table.iloc[-1], table.iloc[:-1]
    if first["low"] <= others["high"].max():
        return f"No stage{_of(first)} stands clear as the one where deals stay longest."
    limits = words.interval(first["low"], first["high"], "days")
    stays = f"half leave within {words.duration(first['value'])} ({limits})"
    return f"Deals{_of(first)} stay longest in {first['stage']}: {stays}."


def cycle_sentence(cycle: pd.DataFrame, window: Period, *, brief: bool = False) -> str:
    """How long winning takes; the middle alone, without limits, where `brief`, as the title of a chart.

    Examples
    --------
    >>> from datetime import date
    >>> row = pd.DataFrame({
    ...     "n_won": [50], "sales_cycle_days_median": 62.0, "sales_cycle_days_median_low": 53.0,
    ...     "sales_cycle_days_median_high": 69.0, "sales_cycle_days_p25": 26.0, "sales_cycle_days_p75": 127.0,
    ... })
    >>> cycle_sentence(row, Period("all", date(2025, 1, 1), date(2026, 9, 30)))
    'Half of the wins take no more than 62 days (likely between 53 days and 69 days); the middle half take 26 to 127.'
    >>> cycle_sentence(row, Period("all", date(2025, 1, 1), date(2026, 9, 30)), brief=True)
    'Half of the wins take no more than 62 days'
    """
    row = cycle.iloc[0]
    if row["n_won"] < checks.MIN_N:
        won = f"{words.count(row['n_won'])} of the deals started {window.when} have been won"
        return f"{won}: too few to say how long winning takes."
    median, low, high = (row[f"sales_cycle_days_median{end}"] for end in _LIMITS)
    if brief:
        return f"Half of the wins take no more than {words.duration(median)}"
    short, long = (words.value(row[f"sales_cycle_days_{end}"], "days", bare=True) for end in ("p25", "p75"))
    stated = f"{words.duration(median)} ({words.interval(low, high, 'days')})"
    return f"Half of the wins take no more than {stated}; the middle half take {short} to {long}."


def _followed(
    visits: pd.DataFrame, by: str | None, follow: Callable[[pd.DataFrame], pd.DataFrame]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every stage and group, and the visits followed to an end, with the number of their company."""
    checks.require_columns(visits, ["entered_at", "exit", "days"])
    stages, rows = journey.stage_groups(visits, by=by), follow(visits)
    cluster = groups.clusters(rows["account_id"]) if "account_id" in rows else rows["deal"]
    late = rows.columns.intersection(["is_reentered", "entry_days"])
    needed = dict.fromkeys([*stages.columns, "entered_at", "exited_at", "exit", "is_reentry", "cause", "days", "deal"])
    return stages, rows[[*needed, *late]].assign(cluster=cluster)


def _by_age(
    visits: pd.DataFrame, cause: str, metric: str, cohorts: Sequence[Period], ages: Sequence[float], confidence: float
) -> pd.DataFrame:
    """One row per stage, cohort and age."""
    _, rows = _followed(visits, None, journey.progress if cause == "advanced" else journey.ends)
    entries = rows[~rows["is_reentry"] & ((rows["position"] == 1) | (cause == "advanced"))]
    ages = list(ages) or _ages(entries["days"])
    keys = ["pipeline", "position", "stage"]
    curves = [
        _curve(piece, cause, metric, ages, confidence).assign(
            **dict(zip(keys, key, strict=True)), cohort=each.label, cohort_start=each.start, cohort_end=each.end
        )
        for each in cohorts
        for key, piece in entries[each.contains(entries["entered_at"])].groupby(keys, dropna=False)
    ]
    columns = ["stage", "pipeline", "cohort", "cohort_start", "cohort_end", "days", "n", "n_at_risk"]
    columns += [f"{metric}{end}" for end in _LIMITS]
    table = pd.concat(curves).sort_values(keys, kind="stable") if curves else pd.DataFrame(columns=columns)
    return table[columns].reset_index(drop=True)


def _curve(rows: pd.DataFrame, cause: str, metric: str, ages: list[float], confidence: float) -> pd.DataFrame:
    watched = pipeline.watched(rows)
    found = completion.incidence_at(
        watched["days"],
        watched["cause"],
        ages=ages,
        kind=cause,
        cluster=watched["cluster"],
        entry=watched["entry"] if (watched["entry"] > 0).any() else None,
        min_at_risk=MIN_AT_RISK,
        confidence=confidence,
    )
    found = found[found["n_at_risk"] >= MIN_AT_RISK].assign(n=len(rows))
    return found.rename(columns={"age": "days"} | {f"share{end}": f"{metric}{end}" for end in _LIMITS})


def _ages(days: pd.Series) -> list[int]:
    """Whole days as far as any was watched, evenly apart."""
    last = int(np.ceil(days.max())) if len(days) else 0
    return list(range(0, last + 1, max(-(-last // _STEPS), 1)))


def _exit_counts(entries: pd.DataFrame) -> dict[str, int]:
    exits = pd.Series(cells.weight(entries)).groupby(entries["exit"].array).sum()
    return {name: int(exits.reindex(kinds, fill_value=0).sum()) for name, kinds in _ENDS.items()}


def _skipped(passes: pd.DataFrame, stages: pd.DataFrame, period: Period) -> list[int]:
    """Deals of each group that came beyond a stage in the period without ever entering it."""
    shared = [name for name in stages.columns if name != "stage"]
    inside = passes[period.contains(passes["passed_at"])]
    counts = inside[shared].assign(n=cells.weight(inside)).groupby(shared, dropna=False)["n"].sum().reset_index()
    return stages.merge(counts, on=shared, how="left")["n"].fillna(0).astype(int).tolist()


def _plateau(rows: pd.DataFrame, cause: str, name: str, confidence: float) -> dict[str, float]:
    rows = pipeline.watched(rows)
    found = survival.plateau(
        rows["days"],
        rows["cause"],
        causes=[cause],
        weight=cells.weight(rows),
        cluster=rows["cluster"],
        entry=rows["entry"] if (rows["entry"] > 0).any() else None,
        confidence=confidence,
    ).iloc[0]
    return {f"{name}{end}": found[f"incidence{end}"] for end in _LIMITS}


def _overall_sentence(row: pd.Series, window: Period, names_pipeline: bool) -> str:
    where = f"the first stage of {words.group(row['pipeline'])}" if names_pipeline else "the first stage"
    deals = f"{words.count(row['n'])} {'deal' if row['n'] == 1 else 'deals'}"
    entered = f"{where} {window.when}"
    rate, low, high = (row[f"overall_conversion_rate{end}"] for end in _LIMITS)
    if row["n"] < checks.MIN_N:
        return f"{deals} entered {entered}: too few to say how many will be won."
    if words.is_missing(rate):
        return f"{deals} entered {entered}; none of them has ended yet."
    still_open = f"{words.rate(row['n_still_open'] / row['n'])} are" if row["n_still_open"] else "none is"
    expected = f"can be expected to be won ({words.interval(low, high, 'rate')})"
    return f"{words.rate(rate)} of the {deals} that entered {entered} {expected}; {still_open} still open."


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
