"""Times: how long deals stay in a stage, which have stayed too long, and how long winning and losing take."""

from datetime import date

import numpy as np
import pandas as pd

from salesops import cells, checks, journey, pipeline, words
from salesops.periods import Period
from salesops.stats import groups, means, survival

_LIMITS = ("", "_low", "_high")
_PERIOD = ["period", "period_start", "period_end"]
_KNOWN = "deals open in a known stage"
_STUCK = ["opportunity_id", "stage", "pipeline", "owner_id", "amount", "entered_at", "days_in_stage", "usual_days"]
_CYCLE = ["opportunity_id", "account_id", "qualified_date", "created_date", "close_date", "closed_at", "is_closed",
          "is_won"]  # fmt: skip
_STEPS = 60  # of a curve: ages at which it is read
_QUANTILES = {0.25: "p25", 0.5: "median", 0.75: "p75", 0.9: "p90"}


def stage_duration(
    visits: pd.DataFrame, *, period: Period, by: str | None = None, confidence: float = 0.95
) -> pd.DataFrame:
    """How long deals stay in each stage: the times by which 25, 50, 75 and 90 % have left.

    Kaplan-Meier over every visit that began in the period; those still going on are censored.
    The mean of the visits that ended is not shown: it is too short, because long stays are the
    ones still open. Missing where too few have left to say. The visits of one deal, and the deals
    of one company where ``account_id`` is among the columns, count together in the intervals.
    A stay that was under way when the history began counts from the age at which it was first seen; where
    that is not known, in ``n`` alone. The cells of `stage_counts.StageCells` serve as well; of them each visit
    stands alone.

    Returns
    -------
    DataFrame
        One row per pipeline, stage in order, and group: ``n`` (visits), ``n_still_there``, and
        ``stage_duration_days_p25``, ``_median``, ``_p75`` and ``_p90`` with their limits.

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
    ...     "opportunity_id": list("ABC"), "pipeline": "new", "stage": "Qualify", "position": 1,
    ...     "entered_at": pd.to_datetime("2026-07-01"),
    ...     "exit": ["forward", "lost", "still_there"], "days": [4.0, 8.0, 20.0],
    ... })
    >>> july = Period("2026-07", date(2026, 7, 1), date(2026, 7, 31))
    >>> stage_duration(visits, period=july)[["stage", "n", "n_still_there", "stage_duration_days_median"]]
         stage  n  n_still_there  stage_duration_days_median
    0  Qualify  3              1                         8.0
    """
    checks.require_columns(visits, ["n" if "n" in visits else "opportunity_id", "entered_at", "exit", "days"])
    stages = journey.stage_groups(visits, by=by)
    keys = list(stages.columns.drop("position"))
    inside = period.contains(visits["entered_at"])
    began = visits.loc[inside, [*keys, "days", "exit", *visits.columns.intersection(["entry_days", "n"])]]
    began = began.assign(cluster=_clusters(visits)[inside])

    def one_group(rows: pd.DataFrame) -> dict[str, float]:
        is_over = rows["exit"] != "still_there"
        watched = pipeline.watched(rows)
        found = survival.duration_quantiles(
            watched["days"],
            watched["exit"] != "still_there",
            probabilities=list(_QUANTILES),
            weight=cells.weight(watched),
            cluster=watched["cluster"],
            entry=watched["entry"] if (watched["entry"] > 0).any() else None,
            confidence=confidence,
        )
        there = cells.total(rows[~is_over])
        return {"n": cells.total(rows), "n_still_there": there, **_named(found, "stage_duration_days")}

    return pipeline.dated(groups.rows_of_each(stages[keys], began, one_group), period, after=keys)


def stuck_deals(visits: pd.DataFrame, durations: pd.DataFrame, *, opportunities: pd.DataFrame) -> pd.DataFrame:
    """The deals that stand in their stage for longer than nine of ten usually do.

    A list to work through, not a sample: no interval. A stage with fewer than 20 visits, or that
    too few have left to know the usual 90 %, names nobody.

    Parameters
    ----------
    visits
        Of `journey.stage_visits`.
    durations
        Of `stage_duration`, not split: what is usual.
    opportunities
        With ``opportunity_id``, ``amount`` and ``owner_id``.

    Returns
    -------
    DataFrame
        One row per deal, furthest beyond the usual first: ``opportunity_id``, ``stage``, ``pipeline``,
        ``owner_id``, ``amount``, ``entered_at``, ``days_in_stage``, ``usual_days`` (by which 90 % have
        left) and ``days_over``.

    Examples
    --------
    >>> visits = pd.DataFrame({
    ...     "opportunity_id": ["A", "B"], "pipeline": "new", "stage": "Qualify", "position": 1,
    ...     "entered_at": pd.to_datetime(["2026-07-01", "2026-09-01"]), "exit": "still_there", "days": [92.0, 30.0],
    ... })
    >>> usual = pd.DataFrame({"pipeline": ["new"], "stage": "Qualify", "n": 40, "stage_duration_days_p90": 60.0})
    >>> deals = pd.DataFrame({"opportunity_id": ["A", "B"], "amount": [10.0, 20.0], "owner_id": "r1"})
    >>> stuck_deals(visits, usual, opportunities=deals)[["opportunity_id", "days_in_stage", "usual_days", "days_over"]]
      opportunity_id  days_in_stage  usual_days  days_over
    0              A           92.0        60.0       32.0
    """
    there = _standing(visits, durations, opportunities)
    over = there[there["is_stuck"]].assign(days_over=lambda rows: rows["days_in_stage"] - rows["usual_days"])
    over = over.sort_values(["days_over", "opportunity_id"], ascending=[False, True], ignore_index=True)
    return over[[*_STUCK, "days_over"]]


def stuck_by_stage(
    visits: pd.DataFrame, durations: pd.DataFrame, *, opportunities: pd.DataFrame, confidence: float = 0.95
) -> pd.DataFrame:
    """How many of the deals in each stage have stood there for longer than nine of ten usually do, and their money.

    ``stuck_rate = n_stuck / n``. More than 10 % is no surprise: those that stand there today are the
    slow ones of many months, so compare stages and days, not with 10 %.

    Parameters
    ----------
    visits, durations, opportunities
        As for `stuck_deals`.
    confidence
        Level of the interval: of the share there would be among many such days.

    Returns
    -------
    DataFrame
        One row per stage, in order, and pipeline: ``stage``, ``pipeline``, ``n`` (deals that stand there), ``n_stuck``,
        ``stuck_rate`` with its limits, ``stuck_amount``; the last three missing where the usual is not known.

    Metrics
    -------
    stuck_rate : rate, as_of, lower, n_stuck / n, changed_at
        Share of the deals standing in the stage that have been there longer than nine of ten usually are.
    stuck_amount : amount, as_of, lower, -, changed_at amount
        Amount of the deals standing in the stage for longer than nine of ten usually do.

    Examples
    --------
    >>> visits = pd.DataFrame({
    ...     "opportunity_id": ["A", "B"], "pipeline": "new", "stage": "Qualify", "position": 1,
    ...     "entered_at": pd.to_datetime(["2026-07-01", "2026-09-01"]), "exit": "still_there", "days": [92.0, 30.0],
    ... })
    >>> usual = pd.DataFrame({"pipeline": ["new"], "stage": "Qualify", "n": 40, "stage_duration_days_p90": 60.0})
    >>> deals = pd.DataFrame({"opportunity_id": ["A", "B"], "amount": [10.0, 20.0], "owner_id": "r1"})
    >>> stuck_by_stage(visits, usual, opportunities=deals)[["stage", "n", "n_stuck", "stuck_rate", "stuck_amount"]]
         stage  n  n_stuck  stuck_rate  stuck_amount
    0  Qualify  2        1         0.5          10.0
    """
    stages = journey.stage_groups(visits).drop(columns="position")
    there = _standing(visits, durations, opportunities)

    def one_stage(rows: pd.DataFrame) -> dict[str, float]:
        known = rows[rows["usual_days"].notna()]
        share = means.clustered_share(known, by=[], success="is_stuck", cluster="cluster", confidence=confidence).iloc[
            0
        ]
        late = known.loc[known["is_stuck"], "amount"]
        return {
            "n": len(rows),
            "n_stuck": len(late) if len(known) else np.nan,
            **{f"stuck_rate{end}": share[f"share{end}"] for end in _LIMITS},
            "stuck_amount": late.sum(min_count=min(len(late), 1)) if len(known) else np.nan,
        }

    return groups.rows_of_each(stages, there, one_stage).astype({"n_stuck": "Int64"})


def stuck_total(stuck: pd.DataFrame) -> pd.DataFrame:
    """The deals that stand too long in any stage whose usual time is known, and their money: sums of `stuck_by_stage`.

    Examples
    --------
    >>> stuck_total(pd.DataFrame({"n": [40, 60, 7], "n_stuck": [12, 3, None], "stuck_amount": [9e5, 1e5, None]}))
         n  n_stuck  stuck_rate  stuck_amount
    0  100       15        0.15     1000000.0
    """
    known = stuck.dropna(subset=["n_stuck"])
    n, late = int(known["n"].sum()), int(known["n_stuck"].sum())
    money = known["stuck_amount"].sum(min_count=1)
    return pd.DataFrame(
        {"n": [n], "n_stuck": [late], "stuck_rate": [late / n if n else np.nan], "stuck_amount": [money]}
    )


def stuck_sentence(stuck: pd.DataFrame, *, currency: str = "") -> str:
    """How many deals stand too long, their money, and where most of them are.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "stage": ["One", "Two"], "n": [40, 60], "n_stuck": [12, 3], "stuck_amount": [9e5, 1e5],
    ... })
    >>> stuck_sentence(table)  # doctest: +NORMALIZE_WHITESPACE
    '15 of the 100 deals open in a known stage, worth 1.0M, have stood in it for longer than nine of ten usually do: of
    them 12 in One.'
    >>> stuck_sentence(table.assign(n_stuck=0, stuck_amount=0.0))
    'None of the 100 deals open in a known stage has stood in it for longer than nine of ten usually do.'
    """
    known, total = stuck.dropna(subset=["n_stuck"]), stuck_total(stuck).iloc[0]
    n, late = int(total["n"]), int(total["n_stuck"])
    usual = "in its stage for longer than nine of ten usually do"
    if not n:
        return "No open deal stands in a stage whose usual time is known."
    if not late:
        alone = "The one open deal has not stood" if n == 1 else f"None of the {words.count(n)} {_KNOWN} has stood"
        return f"{alone} {usual if n == 1 else usual.replace('its stage', 'it')}."
    first = known.sort_values("n_stuck", ascending=False, kind="stable").iloc[0]
    worth = words.amount(total["stuck_amount"], currency, compact=True)
    money = "" if worth == words.MISSING else f", worth {worth},"
    in_first = words.count(first["n_stuck"])
    where = f"in {words.group(first['stage'])}" if late == 1 else f"of them {in_first} in {words.group(first['stage'])}"
    deals = f"{words.count(late)} of the {words.count(n)} {_KNOWN if n > 1 else _KNOWN.replace('deals', 'deal')}{money}"
    stood = f"{'has' if late == 1 else 'have'} stood {usual.replace('its stage', 'it')}"
    return f"{deals} {stood}: {where}."


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
    opportunities, asked = _of_cycles(opportunities, by), {"period": period, "by": by, "confidence": confidence}
    main = times_to("won", _qualified_ages(opportunities, as_of), metric="sales_cycle_days", **asked)
    beside = pipeline.ages(opportunities, start="created_date", as_of=as_of)
    beside = times_to("won", beside, metric="created_to_won_days", **asked)
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
    aged = pipeline.ages(_of_cycles(opportunities, by), start="created_date", as_of=as_of)
    return times_to("lost", aged, metric="time_to_loss_days", period=period, by=by, confidence=confidence)


def times_to(
    outcome: str, aged: pd.DataFrame, *, metric: str, period: Period, by: str | None = None, confidence: float = 0.95
) -> pd.DataFrame:
    """How long it takes to an outcome: what `sales_cycle` and `time_to_loss` say of one clock.

    Parameters
    ----------
    outcome
        ``won`` or ``lost``.
    aged
        Of `pipeline.ages`; or the cells of `pipeline.counted_ages`, in whose intervals every deal stands alone.
    metric
        What the times are called.
    period, by, confidence
        As for `sales_cycle`.

    Returns
    -------
    DataFrame
        One row per group: `by`, the period, ``n``, ``n_won`` or ``n_lost``, ``n_open``, and the median, the quartiles
        and the mean of the metric with their limits.

    Examples
    --------
    >>> aged = pd.DataFrame({
    ...     "started_at": pd.to_datetime("2026-07-01"), "days": [10.0, 20.0], "cause": ["won", "lost"], "n": [30, 10]})
    >>> july = Period("2026-07", date(2026, 7, 1), date(2026, 7, 31))
    >>> table = times_to("won", aged, metric="sales_cycle_days", period=july)
    >>> table[["n", "n_won", "sales_cycle_days_median", "sales_cycle_days_mean"]]
        n  n_won  sales_cycle_days_median  sales_cycle_days_mean
    0  40     30                     10.0                   10.0
    """

    def one_group(rows: pd.DataFrame) -> dict[str, float]:
        ended = rows[rows["cause"] == outcome]
        open_ = rows[rows["cause"].isna()]
        counts = {"n": cells.total(rows), f"n_{outcome}": cells.total(ended), "n_open": cells.total(open_)}
        quantiles = survival.incidence_quantiles(
            rows["days"],
            rows["cause"],
            probabilities=[0.5, 0.25, 0.75],
            causes=[outcome],
            weight=cells.weight(rows),
            cluster=rows["cluster"],
            confidence=confidence,
        ).query("cause == @outcome")
        mean = survival.ended_mean(ended["days"], weight=cells.weight(ended), confidence=confidence)
        means = {f"{metric}_mean{end}": value for end, value in zip(_LIMITS, mean, strict=True)}
        return counts | _named(quantiles, metric) | means

    needed = list(dict.fromkeys([*([by] if by else []), "days", "cause", *aged.columns.intersection(["n"])]))
    begun = aged[needed].assign(cluster=_clusters(aged))[period.contains(aged["started_at"])]
    table = groups.rows_of_each(groups.of_column(aged, by), begun, one_group)
    return pipeline.dated(table, period, after=[by] if by else [])


def outcome_curves(
    opportunities: pd.DataFrame, *, period: Period, as_of: date, confidence: float = 0.95
) -> pd.DataFrame:
    """Share of the deals created in the period that were won, and lost, by each age.

    Cumulative incidence: each outcome competes with the other, open deals are censored.

    Returns
    -------
    DataFrame
        One row per ``outcome`` (won, lost) and age: ``days``, ``ended_rate`` with its limits,
        ``n_at_risk``; at most sixty ages, cut where fewer than ten are left.

    Metrics
    -------
    ended_rate : rate, created, none, -, created_date close_date
        Of the deals created in the period, share that had ended so by that age, the other outcome competing and
        open deals censored.

    References
    ----------
    Aalen & Johansen (1978), Scand. J. Statist. 5:141-150.

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
    0     won    10         0.5       20.0
    1     won    30         0.5       10.0
    2    lost    10         0.0       20.0
    3    lost    30         0.5       10.0
    """
    aged = pipeline.ages(_of_cycles(opportunities, None), start="created_date", as_of=as_of)
    started = aged[period.contains(aged["started_at"])]
    curves = survival.cumulative_incidence(
        started["days"], started["cause"], cluster=_clusters(started), confidence=confidence
    )
    curves.columns = ["outcome", "days", "ended_rate", "ended_rate_low", "ended_rate_high", "n_at_risk"]
    curves = curves.astype({"days": int})  # whole days: each is a figure of its own
    step = max(-(-curves["days"].max() // _STEPS), 1) if len(curves) else 1
    curves = curves[~curves.assign(at=curves["days"] // step).duplicated(["outcome", "at"], keep="last")]
    return curves.sort_values("outcome", ascending=False, kind="stable", ignore_index=True)


def _named(quantiles: pd.DataFrame, metric: str) -> dict[str, float]:
    """Quantiles as columns: the metric with its statistic, and its limits."""
    rows = quantiles.to_dict("records")
    return {f"{metric}_{_QUANTILES[row['probability']]}{end}": row[f"time{end}"] for row in rows for end in _LIMITS}


def _of_cycles(opportunities: pd.DataFrame, by: str | None) -> pd.DataFrame:
    """The columns that cycles are made of: a million deals with all of theirs are slow to copy."""
    return opportunities[[name for name in opportunities.columns if name in {*_CYCLE, by}]]


def _qualified_ages(opportunities: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """Ages since a deal was qualified, or since it was created where no deal has a qualified date."""
    qualified = pipeline.qualified(opportunities)
    start = "qualified_date" if qualified["qualified_date"].notna().any() else "created_date"
    return pipeline.ages(qualified, start=start, as_of=as_of)


def _standing(visits: pd.DataFrame, durations: pd.DataFrame, opportunities: pd.DataFrame) -> pd.DataFrame:
    """The deals that stand in a stage today, with the usual time there where it is known."""
    checks.require_columns(visits, ["opportunity_id", "entered_at", "exit", "days"])
    checks.require_columns(durations, ["stage", "pipeline", "n", "stage_duration_days_p90"], where="durations")
    checks.require_columns(opportunities, ["opportunity_id", "amount", "owner_id"], where="opportunities")
    there = visits.loc[visits["exit"] == "still_there", ["opportunity_id", "stage", "pipeline", "entered_at", "days"]]
    known = durations[durations["n"] >= checks.MIN_N].rename(columns={"stage_duration_days_p90": "usual_days"})
    there = there.merge(known[["stage", "pipeline", "usual_days"]], on=["stage", "pipeline"], how="left")
    of_deal = opportunities.columns.intersection(["opportunity_id", "account_id", "owner_id", "amount"])
    there = there.merge(opportunities[of_deal], on="opportunity_id", how="left")
    return there.rename(columns={"days": "days_in_stage"}).assign(
        is_stuck=there["days"] > there["usual_days"], cluster=_clusters(there)
    )


def _clusters(rows: pd.DataFrame) -> np.ndarray:
    """The number of each row's company, or of its deal where no company is known; missing of what stands alone."""
    named = next((name for name in ("account_id", "opportunity_id") if name in rows), None)
    return groups.clusters(rows[named]) if named else np.full(len(rows), np.nan)
