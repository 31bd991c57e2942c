"""Pacing: whether the quarter is on its usual path, whether the pipeline is enough, and how far the goals are off."""

from collections.abc import Mapping
from datetime import timedelta

import numpy as np
import pandas as pd
from scipy.stats import t as student

from salesops import words
from salesops.forecast_cases import Case
from salesops.reference_forecasts import past_bookings, same_week
from salesops.stats import bootstrap

LEVEL = 0.80  # of the usual range

_LEAST = 4  # quarters from which a usual range is told
_LIMITS = ("", "_low", "_high")


def usual_path(case: Case, *, level: float = LEVEL) -> pd.DataFrame:
    """The share of a quarter's bookings that was won by each evening of past quarters, and this quarter's amounts.

    Parameters
    ----------
    case
        Of `forecast_cases.case_of`.
    level
        Of the range in which a quarter usually lies: ``mean ± t s sqrt(1 + 1 / n)`` over the past quarters, within 0-1;
        missing with fewer than four.

    Returns
    -------
    DataFrame
        One row per week from its eve on and the quarter's end (week 14): ``period``, ``week``, ``cutoff_date`` (the
        evening before the week), ``n`` (past quarters), ``usual_won_rate`` with limits, ``level``,
        ``won_by_then_amount`` (of this quarter; missing after the case's evening).

    Metrics
    -------
    usual_won_rate : rate, close_date, none, -, is_won close_date amount
        Share of the bookings of past quarters that was won by the same day of the quarter; the range is a quarter's.
    won_by_then_amount : amount, close_date, higher, -, is_won close_date amount
        Amount of the deals won in the quarter by that evening, by close date.

    Examples
    --------
    >>> usual_path(_example())[["week", "n", "usual_won_rate", "won_by_then_amount"]].round(2)[3:6]
       week  n  usual_won_rate  won_by_then_amount
    3     4  4             0.2                60.0
    4     5  4             0.2                60.0
    5     6  4             0.5                 NaN
    """
    period = case.period
    days = [*range(0, 91, 7), (period.end - period.start).days + 1]
    mine = case.won[period.contains(case.won["close_date"])]
    rows = []
    for at, passed in enumerate(days):
        evening = period.start + timedelta(days=passed - 1)
        past = past_bookings(case, days=passed if at < 13 else 99)
        shares = (past["booked_by_then"] / past["bookings"]).where(past["bookings"] > 0).dropna().to_numpy()
        won = mine.loc[mine["close_date"] < pd.Timestamp(evening + timedelta(days=1)), "amount"].sum()
        ends = np.clip(_usual(shares, level), 0, 1)
        won = won if evening <= case.cutoff else np.nan
        rows.append([period.label, at + 1, evening, len(shares), *ends, level, won])
    limits = [f"usual_won_rate{end}" for end in _LIMITS]
    columns = ["period", "week", "cutoff_date", "n", *limits, "level", "won_by_then_amount"]
    return pd.DataFrame(rows, columns=columns).astype({"won_by_then_amount": float})


def pace(case: Case, *, target: float | None = None, level: float = LEVEL) -> pd.DataFrame:
    """Won to date against what past quarters had won by the same day, and against what the target needs by now.

    ``needed_by_now_amount = target x usual share``: the target paced as past quarters were.
    ``attainment_pace = (won / target) / usual share``: 1 is on pace.

    Known bias: the amounts of past quarters are not adjusted for growth; the pace is.

    Parameters
    ----------
    case
        Of `forecast_cases.case_of`.
    target
        Bookings the plan asks for, where there is one.
    level
        Of the range in which a quarter usually lies by this day, as of `usual_path` but of amounts.

    Returns
    -------
    DataFrame
        One row: ``period, cutoff_date, week``, ``n`` (past quarters), ``won_to_date_amount``, ``usual_by_now_amount``
        with limits, ``usual_by_now_rate`` with limits, ``level``, ``needed_by_now_amount``, ``attainment_pace``.

    Metrics
    -------
    won_to_date_amount : amount, close_date, higher, -, is_won close_date amount
        Amount of the deals won in the quarter by the evening, by close date.
    usual_by_now_amount : amount, close_date, none, -, is_won close_date amount
        Mean of what past quarters had won by the same day; the range is that of a single quarter.
    usual_by_now_rate : rate, close_date, none, -, is_won close_date amount
        Mean share of the bookings of past quarters won by the same day; the range is that of a single quarter.
    needed_by_now_amount : amount, close_date, none, -, is_won close_date amount
        Target times that share: what a quarter that ends on target has usually won by this day.
    attainment_pace : ratio, close_date, higher, -, is_won close_date amount
        Share of the target won over the share of a quarter's bookings usually won by this day; 1 is on pace.

    Examples
    --------
    >>> row = pace(_example(), target=200.0).iloc[0]
    >>> [round(float(row[name]), 2) for name in ("won_to_date_amount", "usual_by_now_amount", "usual_by_now_rate")]
    [60.0, 20.0, 0.2]
    >>> float(row["needed_by_now_amount"]), float(row["attainment_pace"])
    (40.0, 1.5)
    """
    past = past_bookings(case)
    shares = (past["booked_by_then"] / past["bookings"]).where(past["bookings"] > 0).dropna().to_numpy()
    amounts = np.maximum(_usual(past["booked_by_then"].to_numpy(dtype=float), level), 0)
    rates = np.clip(_usual(shares, level), 0, 1)
    goal = np.nan if target is None else float(target)
    needed = goal * rates[0]
    return pd.DataFrame([{
        "period": case.period.label, "cutoff_date": case.cutoff, "week": case.week, "n": len(past),
        "won_to_date_amount": case.won_so_far,
        **{f"usual_by_now_amount{end}": value for end, value in zip(_LIMITS, amounts, strict=True)},
        **{f"usual_by_now_rate{end}": value for end, value in zip(_LIMITS, rates, strict=True)},
        "level": level, "needed_by_now_amount": needed,
        "attainment_pace": case.won_so_far / needed if needed > 0 else np.nan,
    }])  # fmt: skip


def coverage(case: Case, *, target: float | None, confidence: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """Open amount due in the quarter against what is missing to the target, and how much of it is needed.

    ``pipeline_coverage_ratio = open amount due / (target - won so far)``;
    ``coverage_needed_ratio = (missing - created later) / (missing x conversion)``, where conversion is what the deals
    open in this week of past quarters brought in the quarter over their amount due in it, and created later is what
    deals created after this week brought, on average, scaled by how many deals are being created now.

    Parameters
    ----------
    case
        Of this quarter, or of the next one for its coverage.
    target
        Bookings the plan asks for.
    confidence, seed
        Of the bootstrap, which draws past quarters.

    Returns
    -------
    DataFrame
        One row: ``period, cutoff_date, week``, ``n`` (open deals due), ``n_quarters``, ``missing_amount`` (0 once the
        target is reached), ``due_open_amount``, ``open_conversion_rate`` with limits (above 1 where deals due later
        are pulled in), ``created_later_amount``, ``pipeline_coverage_ratio``, ``coverage_needed_ratio`` with limits.
        Ratios are missing without a target, once it is reached, and without past quarters.

    Metrics
    -------
    missing_amount : amount, close_date, lower, -, is_won close_date amount
        Target less what is won so far.
    due_open_amount : amount, close_date, higher, -, close_date amount
        Amount of the open deals due in the quarter.
    open_conversion_rate : rate, close_date, higher, -, is_won close_date amount
        Won in the quarter from the deals open in this week of past quarters, over the amount of those due in it.
    created_later_amount : amount, close_date, higher, -, is_won close_date amount
        Expected of deals not created yet, as in this week of past quarters for as many deals created lately.
    pipeline_coverage_ratio : ratio, close_date, higher, -, is_won close_date amount
        Open amount due in the quarter over what is missing to the target.
    coverage_needed_ratio : ratio, close_date, none, -, is_won close_date amount
        Coverage at which the open deals, converting as before, and those to be created just reach the target.

    References
    ----------
    Efron & Tibshirani (1993), An Introduction to the Bootstrap, ch. 13.

    Examples
    --------
    >>> row = coverage(_example(), target=160.0).iloc[0]
    >>> float(row["missing_amount"]), float(row["due_open_amount"]), float(row["open_conversion_rate"])
    (100.0, 200.0, 0.4)
    >>> float(row["pipeline_coverage_ratio"]), float(row["coverage_needed_ratio"])
    (2.0, 2.25)
    """
    missing = np.nan if target is None else max(float(target) - case.won_so_far, 0.0)
    due = case.now[case.now["is_due"].to_numpy(dtype=bool)]
    later = _created_later(case)
    rows = same_week(case)
    known = rows["amount"].where(rows["is_due"], 0.0).fillna(0.0).to_numpy(dtype=float)
    found = bootstrap.ratio_interval(rows["won_amount"].fillna(0).to_numpy(dtype=float), known, cluster=rows["period"],
                                     confidence=confidence, seed=seed)  # fmt: skip
    rates = np.array(found, dtype=float)
    open_needed = max(missing - later, 0.0) if np.isfinite(missing + later) else np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = open_needed / (missing * rates[[0, 2, 1]]) if missing > 0 else np.full(3, np.nan)
    needed = np.where(np.isfinite(needed), needed, np.nan)
    worth = due["amount"].sum()
    return pd.DataFrame([{
        "period": case.period.label, "cutoff_date": case.cutoff, "week": case.week, "n": len(due),
        "n_quarters": rows["period"].nunique(), "missing_amount": missing, "due_open_amount": worth,
        **{f"open_conversion_rate{end}": value for end, value in zip(_LIMITS, rates, strict=True)},
        "created_later_amount": later, "pipeline_coverage_ratio": worth / missing if missing > 0 else np.nan,
        **{f"coverage_needed_ratio{end}": value for end, value in zip(_LIMITS, needed, strict=True)},
    }])  # fmt: skip


def target_quantiles(draws, goals: Mapping[str, float]) -> pd.DataFrame:
    """Where goals lie in the forecast distribution, and how likely each is reached.

    Parameters
    ----------
    draws
        Of the quarter's bookings, such as `pipeline_forecast.pipeline` gives.
    goals
        Amounts by name: target, commit, last year …; missing ones are kept without a share.

    Returns
    -------
    DataFrame
        One row per goal, in their order: ``goal``, ``n`` (draws), ``goal_amount``, ``goal_quantile_rate``,
        ``goal_probability``. Missing shares with fewer than two draws.

    Metrics
    -------
    goal_amount : amount, close_date, none, -, amount
        Bookings of the quarter that are wanted, or were said.
    goal_quantile_rate : rate, close_date, none, -, is_won close_date amount
        Share of the forecast distribution below the goal: 50 % is as likely to be passed as to be missed.
    goal_probability : rate, close_date, higher, -, is_won close_date amount
        Share of the forecast distribution that reaches the goal.

    Examples
    --------
    >>> target_quantiles(range(100), {"target": 80.0})
         goal    n  goal_amount  goal_quantile_rate  goal_probability
    0  target  100         80.0                 0.8               0.2
    """
    drawn = np.atleast_1d(np.asarray(draws, dtype=float))
    drawn = drawn[np.isfinite(drawn)]
    rows = []
    for name, goal in goals.items():
        amount = np.nan if goal is None else float(goal)
        below = float((drawn < amount).mean()) if len(drawn) > 1 and np.isfinite(amount) else np.nan
        rows.append([name, len(drawn), amount, below, 1 - below])
    table = pd.DataFrame(rows, columns=["goal", "n", "goal_amount", "goal_quantile_rate", "goal_probability"])
    return table.round({"goal_probability": 12})


def pace_sentence(row: pd.Series, *, currency: str = "") -> str:
    """Whether the quarter is ahead of past ones, behind them, or as usual by this day.

    Parameters
    ----------
    row
        Of `pace`.

    Examples
    --------
    >>> row = pd.Series({"period": "2026Q3", "n": 8, "won_to_date_amount": 1.2e6, "usual_by_now_amount": 9e5,
    ...     "usual_by_now_amount_low": 5e5, "usual_by_now_amount_high": 1.1e6, "usual_by_now_rate": 0.3,
    ...     "needed_by_now_amount": 1.5e6, "attainment_pace": 0.8})
    >>> pace_sentence(row, currency="USD")  # doctest: +NORMALIZE_WHITESPACE
    '$1.2M is won in 2026Q3, more than quarters usually have by this day (in four of five cases between $500K and
    $1.1M); a quarter that ends on target would have $1.5M.'
    >>> pace_sentence(row.replace({1.1e6: 1.4e6}).drop("needed_by_now_amount"), currency="USD")
    '$1.2M is won in 2026Q3, as usual by this day (in four of five cases between $500K and $1.4M).'
    >>> pace_sentence(row.replace({9e5: np.nan, 1.5e6: np.nan}), currency="USD")
    '$1.2M is won in 2026Q3; there is no past quarter to compare that with.'
    >>> pace_sentence(row.replace({1.2e6: 0.0, 9e5: 0.0}))
    'Nothing is won in 2026Q3 yet, as usual by this day.'
    """
    won = words.amount(row["won_to_date_amount"], currency, compact=True)
    stated = f"{won} is won in {row['period']}"
    usual, low, high = (row[f"usual_by_now_amount{end}"] for end in _LIMITS)
    needed = row.get("needed_by_now_amount", np.nan)
    goal = "" if pd.isna(needed) else words.amount(needed, currency, compact=True)
    goal = f"; a quarter that ends on target would have {goal}" if goal else ""
    if not row["won_to_date_amount"] and usual == 0:
        return f"Nothing is won in {row['period']} yet, as usual by this day."
    if pd.isna(usual):
        return f"{stated}; there is no past quarter to compare that with."
    if pd.isna(low):
        mean = words.amount(usual, currency, compact=True)
        past = "the past quarter" if row["n"] == 1 else f"the {row['n']:.0f} past quarters on average"
        return f"{stated}; {past} had {mean} by this day{goal}."
    side = "more than" if row["won_to_date_amount"] > high else "less than" if row["won_to_date_amount"] < low else ""
    said = f"{side} quarters usually have by this day" if side else "as usual by this day"
    return f"{stated}, {said} ({words.interval(low, high, 'amount', currency=currency, level=LEVEL)}){goal}."


def coverage_sentence(row: pd.Series, *, currency: str = "") -> str:
    """Whether the open deals due are enough for what is missing.

    Parameters
    ----------
    row
        Of `coverage`.

    Examples
    --------
    >>> row = pd.Series({"period": "2026Q3", "n": 80, "missing_amount": 2e6, "due_open_amount": 5e6,
    ...     "pipeline_coverage_ratio": 2.5, "coverage_needed_ratio": 3.6, "coverage_needed_ratio_low": 3.1,
    ...     "coverage_needed_ratio_high": 4.2})
    >>> coverage_sentence(row, currency="USD")  # doctest: +NORMALIZE_WHITESPACE
    'The $5.0M due in 2026Q3 cover the $2.0M missing to the target 2.50 times; going by past quarters 3.60 times are
    needed (likely between 3.10 and 4.20): too little.'
    >>> coverage_sentence(row.replace({2.5: 3.5}), currency="USD")[-41:]
    'between 3.10 and 4.20): too close to say.'
    >>> coverage_sentence(row.replace({2e6: 0.0}), currency="USD")
    'The target of 2026Q3 is reached already.'
    """
    if pd.isna(row["missing_amount"]):
        return f"There is no target for {row['period']}, so nothing can be said of its coverage."
    if row["missing_amount"] <= 0:
        return f"The target of {row['period']} is reached already."
    due, missing = (words.amount(row[f"{name}_amount"], currency, compact=True) for name in ("due_open", "missing"))
    have, (needed, low, high) = row["pipeline_coverage_ratio"], (row[f"coverage_needed_ratio{end}"] for end in _LIMITS)
    if not row["n"]:
        return f"No open deal is due in {row['period']}, and {missing} is missing to the target."
    stated = f"The {due} due in {row['period']} cover the {missing} missing to the target {words.ratio(have)} times"
    if pd.isna(needed):
        return f"{stated}; how much is needed past quarters do not tell."
    limits = words.interval(low, high, "ratio")
    judged = "enough" if have > high else "too little" if have < low else "too close to say"
    if needed == 0:
        return f"{stated}; going by past quarters, deals not created yet bring all that is missing."
    told = f"going by past quarters {words.ratio(needed)} times are needed"
    return f"{stated}; {told} ({limits}): {judged}." if limits else f"{stated}; {told}."


def goals_sentence(table: pd.DataFrame, *, currency: str = "") -> str:
    """How likely each goal is reached.

    Parameters
    ----------
    table
        Of `target_quantiles`.

    Examples
    --------
    >>> table = pd.DataFrame({"goal": ["target", "commit"], "goal_amount": [3e6, 2.5e6],
    ...     "goal_probability": [0.3, 0.62]})
    >>> goals_sentence(table, currency="USD")
    'The forecast reaches the target of $3.0M with a chance of 30 % and the commit of $2.5M with one of 62 %.'
    >>> goals_sentence(table[:0])
    ''
    """
    known = table[table["goal_probability"].notna()]
    if known.empty:
        return ""
    parts = []
    for _, row in known.iterrows():
        goal = f"the {row['goal']} of {words.amount(row['goal_amount'], currency, compact=True)}"
        parts.append(f"{goal} with {'one' if parts else 'a chance'} {_chance(row['goal_probability'])}")
    return f"The forecast reaches {_listed(parts)}."


def _usual(values: np.ndarray, level: float) -> np.ndarray:
    """Mean, and the range in which one more value lies: Student's prediction interval."""
    n = len(values)
    if not n:
        return np.full(3, np.nan)
    mean = values.mean()
    if n < _LEAST:
        return np.array([mean, np.nan, np.nan])
    half = student.ppf((1 + level) / 2, n - 1) * values.std(ddof=1) * np.sqrt(1 + 1 / n)
    return np.array([mean, mean - half, mean + half])


def _created_later(case: Case) -> float:
    """What deals created later in the quarter bring, at today's rate of creation."""
    distance = (case.late["week"] - case.week).abs()
    rows = case.late[distance == distance.min()]
    created = rows["n_created"].sum()
    return float(rows["amount"].sum() / created * case.n_created) if created > 0 else np.nan


def _chance(probability: float) -> str:
    told = words.chance(probability)
    return f"of {told}" if told == words.rate(probability) else told


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _example() -> Case:
    """Four past quarters that had won a fifth by this day and half a week later, and 60 of 100 due open deals."""
    from salesops.periods import Calendar, quarter, trailing_quarters

    evening = pd.Timestamp("2026-07-28").date()
    period = quarter(evening)
    past = trailing_quarters(period, 5)[:-1]
    days = [each.start + timedelta(days=ahead) for each in past for ahead in (5, 30, 70)]
    won = pd.DataFrame({
        "opportunity_id": range(13), "amount": [20.0, 30.0, 50.0] * 4 + [60.0],
        "close_date": pd.to_datetime([*days, period.start]),
    })  # fmt: skip
    labels = [each.label for each in past]
    rows = pd.DataFrame({"period": labels, "week": 5, "amount": 100.0, "is_due": True, "won_amount": 40.0})
    now = pd.DataFrame({"opportunity_id": ["a", "b"], "amount": [200.0, 70.0], "is_due": [True, False]})
    late = pd.DataFrame({"period": labels, "week": 5, "n": 1, "amount": 10.0, "n_created": 10})
    return Case(
        period=period, cutoff=evening, week=5, now=now, past=rows, won=won, won_so_far=60.0, late=late,
        late_deals=late[:0], n_created=10, calendar=Calendar(),
    )  # fmt: skip
