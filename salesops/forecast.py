"""Forecast: where the quarter will land, how sure we are, and how wrong we were before."""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pandas as pd

from salesops import checks, pipeline, words
from salesops.periods import Calendar, Period, quarters_between
from salesops.stats import series

QUARTERS = 4  # of a season
SHORTEST = 8  # completed quarters below which there is no seasonal model
LEVEL = 0.80

_MODELS: dict[str, series.Forecaster] = {
    "combination": series.mean_of(series.seasonal_naive, series.ets),
    "ets": series.ets,
    "seasonal_naive": series.seasonal_naive,
}


def bookings(opportunities: pd.DataFrame, periods: Sequence[Period]) -> pd.DataFrame:
    """Money won in each period, by close date.

    Parameters
    ----------
    opportunities
        With ``is_won``, ``close_date``, ``amount``.
    periods
        The periods, in the order wanted.

    Returns
    -------
    DataFrame
        One row per period: ``period``, ``period_start``, ``period_end``, ``n`` (deals won),
        ``bookings_amount``. A period with nothing won is 0; one whose wins carry no amount is
        missing.

    Metrics
    -------
    bookings_amount : amount, closed, higher, -, is_won amount close_date
        Amount of the deals won, by close date.

    Examples
    --------
    >>> from salesops.periods import quarter
    >>> deals = pd.DataFrame({
    ...     "is_won": [True, True, False], "amount": [10.0, 5.0, 7.0], "close_date": pd.to_datetime("2026-08-01"),
    ... })
    >>> bookings(deals, [quarter(date(2026, 8, 1))])[["period", "n", "bookings_amount"]]
       period  n  bookings_amount
    0  2026Q3  2             15.0
    """
    checks.require_columns(opportunities, ["is_won", "close_date", "amount"])
    won = opportunities[opportunities["is_won"]]
    rows = []
    for each in periods:
        amounts = won.loc[each.contains(won["close_date"]), "amount"]
        rows.append({"period": each.label, "period_start": each.start, "period_end": each.end,
                     "n": len(amounts), "bookings_amount": amounts.sum(min_count=min(len(amounts), 1))})
    return pd.DataFrame(rows, columns=["period", "period_start", "period_end", "n", "bookings_amount"])


def bookings_history(opportunities: pd.DataFrame, as_of: date, calendar: Calendar = Calendar()) -> pd.DataFrame:
    """Bookings of every completed quarter that the data cover whole.

    The quarter of the first win is left out unless it won from its first week on: what is on
    record may be only its end.
    """
    days = opportunities.loc[opportunities["is_won"], "close_date"].dropna()
    if days.empty:
        return bookings(opportunities, [])
    found = quarters_between(days.min().date(), as_of, calendar)
    starts_late = (days.min().date() - found[0].start).days >= 7
    return bookings(opportunities, [each for each in found[starts_late:] if each.is_complete(as_of)])


def backtest(history: pd.DataFrame) -> pd.DataFrame:
    """How each method would have forecast past quarters, one quarter ahead.

    Every completed quarter from the ninth on is forecast from those before it alone.

    Parameters
    ----------
    history
        Of `bookings_history`.

    Returns
    -------
    DataFrame
        ``model, cutoff_date, period, period_start, period_end, horizon, actual, predicted``;
        no rows where there are fewer than nine quarters.

    Examples
    --------
    >>> each = quarters_between(date(2024, 1, 1), date(2026, 6, 30))
    >>> history = pd.DataFrame({"period": [q.label for q in each], "period_start": [q.start for q in each],
    ...     "period_end": [q.end for q in each], "bookings_amount": [1.0, 2, 3, 4] * 2 + [1.0, 2.0]})
    >>> backtest(history).query("model == 'seasonal_naive'")[["period", "actual", "predicted"]]
       period  actual  predicted
    4  2026Q1     1.0        1.0
    5  2026Q2     2.0        2.0
    """
    tested = history.iloc[SHORTEST:].reset_index(drop=True)
    frames = []
    for name, forecaster in _MODELS.items():
        scored = series.rolling_origin(
            history["bookings_amount"].to_numpy(float), forecaster, season_length=QUARTERS, first=SHORTEST
        )
        frames.append(tested[["period", "period_start", "period_end"]].assign(
            model=name, cutoff_date=[start - timedelta(days=1) for start in tested["period_start"]], horizon=1,
            actual=scored["actual"], predicted=scored["predicted"],
        ))
    return pd.concat(frames, ignore_index=True)


def crm_backtest(history: pd.DataFrame, stage_history: pd.DataFrame, open_stages: Sequence[str]) -> pd.DataFrame:
    """What the CRM's own probabilities promised at the start of each past quarter.

    The deals open the day before, due to close in the quarter, times the probability on
    record that day. Deals created and won inside the quarter are not in it.

    Parameters
    ----------
    history
        Of `bookings_history`.
    stage_history
        Of the same population: ``opportunity_id, changed_at, seq, stage, amount, close_date, probability``.
    open_stages
        Stages in which a deal is open.

    Returns
    -------
    DataFrame
        As of `backtest`, with model ``crm_probability``; no rows without history.
    """
    rows = []
    for each in history.iloc[SHORTEST:].itertuples():
        cutoff = each.period_start - timedelta(days=1)
        known = pipeline.snapshot(stage_history, cutoff)
        due = Period(each.period, each.period_start, each.period_end).contains(known["close_date"])
        expected = (known["amount"] * known["probability"])[due & known["stage"].isin(open_stages)]
        if len(known):
            rows.append({"period": each.period, "period_start": each.period_start, "period_end": each.period_end,
                         "model": "crm_probability", "cutoff_date": cutoff, "horizon": 1,
                         "actual": each.bookings_amount, "predicted": expected.sum()})
    return pd.DataFrame(rows, columns=["period", "period_start", "period_end", "model", "cutoff_date", "horizon",
                                       "actual", "predicted"])


def track_record(tested: pd.DataFrame, model: str = "combination") -> pd.DataFrame:
    """What one method said of each past quarter, and what was booked.

    Returns
    -------
    DataFrame
        One row per quarter: ``period``, ``period_start``, ``period_end``, ``model``, ``n`` (1),
        ``predicted_amount``, ``actual_amount``, ``forecast_error_rate``.

    Metrics
    -------
    predicted_amount : amount, closed, none, -, amount close_date
        Bookings the method forecast for a past quarter, knowing only what came before it.
    actual_amount : amount, closed, none, -, amount close_date
        Bookings of that quarter as the CRM has them now.
    forecast_error_rate : rate, closed, none, -, amount close_date
        Forecast minus actual over actual, sign kept, one quarter ahead.

    Examples
    --------
    >>> from datetime import date
    >>> tested = pd.DataFrame({"model": ["combination"], "period": ["2026Q3"], "period_start": [date(2026, 7, 1)],
    ...     "period_end": [date(2026, 9, 30)], "actual": [100.0], "predicted": [110.0]})
    >>> track_record(tested)[["period", "forecast_error_rate"]]
       period  forecast_error_rate
    0  2026Q3                  0.1
    """
    named = {"predicted": "predicted_amount", "actual": "actual_amount"}
    found = tested[tested["model"] == model].rename(columns=named)
    booked = found["actual_amount"].where(found["actual_amount"] != 0)
    table = found.assign(n=1, forecast_error_rate=found["predicted_amount"] / booked - 1)
    return table[["period", "period_start", "period_end", "model", "n", "predicted_amount", "actual_amount",
                  "forecast_error_rate"]].reset_index(drop=True)


def path(history: pd.DataFrame, outlook: pd.DataFrame, *, shown: int = 12) -> pd.DataFrame:
    """Past bookings and the forecast as one series, for a chart.

    Returns
    -------
    DataFrame
        ``period, actual, predicted, predicted_low_80, predicted_high_80``, oldest first.
    """
    past = history.tail(shown)[["period", "bookings_amount"]].rename(columns={"bookings_amount": "actual"})
    renamed = {"forecast_amount": "predicted", "forecast_amount_low": "predicted_low_80",
               "forecast_amount_high": "predicted_high_80"}
    future = outlook.head(1)[["period", *renamed]].rename(columns=renamed)
    return pd.concat([past, future.astype({name: float for name in renamed.values()})], ignore_index=True).reindex(
        columns=["period", "actual", *renamed.values()])


def accuracy(tested: pd.DataFrame) -> pd.DataFrame:
    """How wrong each method was: the size of its errors and their direction.

    ``forecast_wape = sum |actual - predicted| / sum |actual|``;
    ``forecast_bias = sum (predicted - actual) / sum actual``, positive where it promised too much.

    Parameters
    ----------
    tested
        Of `backtest`: ``model, actual, predicted``.

    Returns
    -------
    DataFrame
        One row per ``model``, the most accurate first: ``n`` (quarters scored),
        ``forecast_wape``, ``forecast_bias``.

    Metrics
    -------
    forecast_wape : rate, closed, lower, -, amount close_date
        Sum of the absolute errors over the sum of the actual bookings, one quarter ahead, over the quarters scored.
    forecast_bias : rate, closed, none, -, amount close_date
        Sum of forecast minus actual over the sum of the actual bookings, sign kept, over the quarters scored.

    Examples
    --------
    >>> accuracy(pd.DataFrame({"model": "naive", "actual": [100.0, 100.0], "predicted": [110.0, 70.0]}))
       model  n  forecast_wape  forecast_bias
    0  naive  2            0.2           -0.1
    """
    checks.require_columns(tested, ["model", "actual", "predicted"])
    errors = tested.assign(error=tested["predicted"] - tested["actual"], size=tested["actual"].abs())
    errors["absolute"] = errors["error"].abs()
    sums = errors.groupby("model", sort=False).agg(n=("error", "size"), absolute=("absolute", "sum"),
                                                   error=("error", "sum"), size=("size", "sum"))
    size = sums["size"].where(sums["size"] > 0)
    table = sums.assign(forecast_wape=sums["absolute"] / size, forecast_bias=sums["error"] / size).reset_index()
    return table[["model", "n", "forecast_wape", "forecast_bias"]].sort_values(
        "forecast_wape", kind="stable", ignore_index=True)


def next_quarter(history: pd.DataFrame, tested: pd.DataFrame, ahead: Period) -> pd.DataFrame:
    """The quarter to come by each time-series method, with an interval its own errors earned.

    The interval is the forecast ± the share of it by which the method was off before
    (conformal) at 80 %; it is missing while too few quarters are scored to promise that.

    Parameters
    ----------
    history
        Of `bookings_history`, the quarter before `ahead` last.
    tested
        Of `backtest`.
    ahead
        The quarter to come.

    Returns
    -------
    DataFrame
        One row per ``model``: ``period``, ``period_start``, ``period_end``, ``n`` (quarters
        scored), ``forecast_amount``, ``forecast_amount_low``, ``forecast_amount_high``, ``level``; no rows
        with fewer than eight completed quarters.

    Metrics
    -------
    forecast_amount : amount, closed, higher, -, amount close_date
        Bookings expected in the quarter to come, with the interval that the method's past errors earned.

    References
    ----------
    Vovk, Gammerman & Shafer (2005), Algorithmic Learning in a Random World.
    """
    columns = ["model", "period", "period_start", "period_end", "n", "forecast_amount", "forecast_amount_low",
               "forecast_amount_high", "level"]
    rows = []
    for name, forecaster in _MODELS.items() if len(history) >= SHORTEST else ():
        steps = len(quarters_between(history["period_end"].iloc[-1], ahead.start)) - 1
        predicted = max(forecaster(history["bookings_amount"].to_numpy(float), steps, QUARTERS)[-1], 0.0)
        past = tested[tested["model"] == name]
        factor = series.conformal_factor(past["actual"].to_numpy(), past["predicted"].to_numpy(), LEVEL)
        half = predicted * factor if np.isfinite(factor) else np.nan
        rows.append([name, ahead.label, ahead.start, ahead.end, len(past), predicted, max(predicted - half, 0.0),
                     predicted + half, LEVEL])
    return pd.DataFrame(rows, columns=columns)


def weighted_pipeline(opportunities: pd.DataFrame, by: str | None = None) -> pd.DataFrame:
    """What the open deals are worth by the CRM's own probabilities.

    ``weighted_pipeline_amount = sum(open amount x probability)``. A deal without an amount or
    a probability adds nothing and is not in ``n``.

    Parameters
    ----------
    opportunities
        With ``is_closed``, ``amount``, ``probability`` (0-1) and `by`.
    by
        Column to group on; None gives one row.

    Returns
    -------
    DataFrame
        One row per group: `by`, ``model`` (``crm_probability``), ``n``, ``weighed_amount`` (their
        amount), ``weighted_pipeline_amount``.

    Metrics
    -------
    weighted_pipeline_amount : amount, as_of, higher, - / weighed_amount, amount probability
        Open amount times the probability of winning it, over the deals open on the last day of the data.

    Examples
    --------
    >>> deals = pd.DataFrame(
    ...     {"is_closed": [False, False, True], "amount": [100.0, 50.0, 70.0], "probability": [0.5, 0.2, 1.0]})
    >>> weighted_pipeline(deals)
                 model  n  weighed_amount  weighted_pipeline_amount
    0  crm_probability  2           150.0                      60.0
    """
    checks.require_columns(opportunities, ["is_closed", "amount", "probability", *([by] if by else [])])
    weighed = opportunities.query("not is_closed and amount.notna() and probability.notna()")
    return _weighted(weighed, weighed["probability"], by, "crm_probability")


def weighted_by_stage_history(
    opportunities: pd.DataFrame, stage_history: pd.DataFrame, by: str | None = None
) -> pd.DataFrame:
    """What the open deals are worth by what became of past deals in their stage.

    Each open deal counts with the share won of the closed deals that ever stood in its stage
    and pipeline (deals still open are left out of that share, so it flatters a stage that
    takes long to lose).

    Returns
    -------
    DataFrame
        As of `weighted_pipeline`, with model ``stage_history``; no rows without history.
    """
    outcomes = opportunities.loc[opportunities["is_closed"], ["opportunity_id", "is_won"]]
    keys = ["pipeline", "stage"]
    stood = stage_history[["opportunity_id", *keys]].drop_duplicates().merge(outcomes, on="opportunity_id")
    shares = stood.groupby(keys, dropna=False)["is_won"].mean().rename("share").reset_index()
    weighed = opportunities.query("not is_closed and amount.notna()").merge(shares, on=keys)
    return _weighted(weighed, weighed["share"], by, "stage_history")


def weighings(opportunities: pd.DataFrame, stage_history: pd.DataFrame) -> pd.DataFrame:
    """The open pipeline weighed in each way the data allow, one row a way."""
    ways = [weighted_pipeline(opportunities), weighted_by_stage_history(opportunities, stage_history)]
    known = [way for way in ways if len(way)]
    return pd.concat(known, ignore_index=True) if known else ways[0]


def headlines(
    ahead: Period, outlook: pd.DataFrame, scores: pd.DataFrame, weighted: pd.DataFrame, *, currency: str
) -> list[str]:
    """The findings in sentences, most important first.

    Parameters
    ----------
    ahead
        The quarter to come.
    outlook, scores, weighted
        Of `next_quarter`, `accuracy` and `weighted_pipeline`.
    currency
        ISO code for the amounts.
    """
    landing = outlook_sentence(ahead, outlook, currency=currency)
    return [landing, record_sentence(scores), pipeline_sentence(weighted, currency=currency)]


def outlook_sentence(ahead: Period, outlook: pd.DataFrame, *, currency: str) -> str:
    """Where the quarter is expected to land.

    Examples
    --------
    >>> from datetime import date
    >>> from salesops.periods import quarter
    >>> row = pd.DataFrame({"model": ["combination"], "n": [8], "forecast_amount": [2e6],
    ...                     "forecast_amount_low": [1.5e6], "forecast_amount_high": [2.5e6]})
    >>> outlook_sentence(quarter(date(2026, 10, 1)), row, currency="USD")
    'Bookings of 2026Q4 are expected at $2.0M, in four of five cases between $1.5M and $2.5M.'
    >>> outlook_sentence(quarter(date(2026, 10, 1)), row[:0], currency="USD")
    'There are fewer than 8 completed quarters of bookings, too few to forecast 2026Q4.'
    """
    if outlook.empty:
        return f"There are fewer than {SHORTEST} completed quarters of bookings, too few to forecast {ahead.label}."
    first = outlook.iloc[0]
    money = [words.amount(first[f"forecast_amount{end}"], currency, compact=True) for end in ("", "_low", "_high")]
    stated = f"Bookings of {ahead.label} are expected at {money[0]}"
    if pd.isna(first["forecast_amount_low"]):
        return f"{stated}; too few quarters are scored to say how sure that is."
    return f"{stated}, in four of five cases between {money[1]} and {money[2]}."


def record_sentence(scores: pd.DataFrame, model: str = "combination") -> str:
    """How wrong the forecast was before.

    Examples
    --------
    >>> scores = {"model": ["combination"], "n": [8], "forecast_wape": [0.17], "forecast_bias": [-0.04]}
    >>> record_sentence(pd.DataFrame(scores))
    'Over the last 8 quarters this method was off by 17 % of bookings on average, 4 % too low in total.'
    >>> record_sentence(pd.DataFrame({"model": [], "n": []}))  # nothing scored, nothing to say
    ''
    """
    found = scores[scores["model"] == model]
    if found.empty or pd.isna(found["forecast_wape"].iloc[0]):
        return ""
    first = found.iloc[0]
    side = "too high" if first["forecast_bias"] > 0 else "too low"
    counted = "quarter" if first["n"] == 1 else f"{first['n']:.0f} quarters"
    missed, leaned = words.rate(first["forecast_wape"]), words.rate(abs(first["forecast_bias"]))
    return f"Over the last {counted} this method was off by {missed} of bookings on average, {leaned} {side} in total."


def pipeline_sentence(weighted: pd.DataFrame, *, currency: str) -> str:
    """What the open pipeline is worth by each way of weighing it.

    Examples
    --------
    >>> ways = pd.DataFrame({"model": ["crm_probability", "stage_history"], "n": [40, 40],
    ...                      "weighted_pipeline_amount": [2.5e6, 1.2e6]})
    >>> pipeline_sentence(ways, currency="USD")
    "The 40 open deals are worth $2.5M by the CRM's probabilities and $1.2M by how past deals in their stage ended."
    >>> pipeline_sentence(ways[:0], currency="USD")
    'No open deal has both an amount and a probability, so the pipeline cannot be weighed.'
    """
    said = {"crm_probability": "by the CRM's probabilities", "stage_history": "by how past deals in their stage ended"}
    known = weighted[weighted["n"] > 0]
    if known.empty:
        return "No open deal has both an amount and a probability, so the pipeline cannot be weighed."
    amounts = [words.amount(value, currency, compact=True) for value in known["weighted_pipeline_amount"]]
    worth = " and ".join(f"{amount} {said[model]}" for amount, model in zip(amounts, known["model"], strict=True))
    return f"The {known['n'].iloc[0]:,} open deals are worth {worth}."


def growth_sentence(now: pd.DataFrame, year_ago: pd.DataFrame, period: Period, before: Period) -> str:
    """What was booked against the same period a year earlier; both are records, so no interval.

    Examples
    --------
    >>> q3 = Period("2026Q3", None, None), Period("2025Q3", None, None)
    >>> row = lambda amount, n: pd.DataFrame({"n": [n], "bookings_amount": [amount]})
    >>> growth_sentence(row(110.0, 5), row(100.0, 4), *q3)
    'Bookings of 2026Q3 are 10 % above those of 2025Q3.'
    >>> growth_sentence(row(110.0, 5), row(0.0, 0), *q3)
    'Bookings of 2026Q3 cannot be compared: nothing was booked in 2025Q3.'
    """
    booked, was = now["bookings_amount"].iloc[0], year_ago["bookings_amount"].iloc[0]
    if pd.isna(booked) or pd.isna(was):
        return f"Bookings of {period.label} cannot be compared: wins without an amount."
    if was == 0:
        return f"Bookings of {period.label} cannot be compared: nothing was booked in {before.label}."
    if booked == was:
        return f"Bookings of {period.label} equal those of {before.label}."
    side = "above" if booked > was else "below"
    return f"Bookings of {period.label} are {words.rate(abs(booked / was - 1))} {side} those of {before.label}."


def _weighted(weighed: pd.DataFrame, probability: pd.Series, by: str | None, model: str) -> pd.DataFrame:
    worth = weighed["amount"] * probability
    rows = weighed.assign(model=model, weighed_amount=weighed["amount"], weighted_pipeline_amount=worth)
    keys = ["model", by] if by else ["model"]
    table = rows.groupby(keys, dropna=False, observed=True).agg(
        n=("amount", "size"), weighed_amount=("weighed_amount", "sum"),
        weighted_pipeline_amount=("weighted_pipeline_amount", "sum"))
    return table.reset_index()
