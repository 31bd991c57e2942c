"""Forecast: bookings on record, what they alone say of the quarters ahead, and the path the two make.

The forecast from the open deals is that of `pipeline_forecast`; how wrong each method was, of `forecast_backtest`.
"""

from collections.abc import Sequence
from datetime import date

import pandas as pd

from salesops import cells, checks, words
from salesops.periods import Calendar, Period, quarters_between
from salesops.time_series import basis, basis_sentence, time_series

__all__ = [
    "bookings", "bookings_history", "growth_sentence", "path", "series_ahead", "series_sentence", "steps",
    "time_series", "weighted_pipeline",
]  # fmt: skip

QUARTERS = 4  # of a season
_A_CENT = 0.01


def bookings(opportunities: pd.DataFrame, periods: Sequence[Period]) -> pd.DataFrame:
    """Money won in each period, by close date.

    Parameters
    ----------
    opportunities
        With ``is_won``, ``close_date``, ``amount``; or their cells, with the sum of ``amount``.
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
        inside = won[each.contains(won["close_date"])]
        rows.append(
            {
                "period": each.label,
                "period_start": each.start,
                "period_end": each.end,
                "n": cells.total(inside),
                "bookings_amount": inside["amount"].sum(min_count=min(len(inside), 1)),
            }
        )
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


def series_ahead(history: pd.DataFrame, *, horizon: int = QUARTERS, calendar: Calendar = Calendar()) -> pd.DataFrame:
    """The quarters after the last completed one as past bookings alone foretell them, no open deal looked at.

    The combination of `time_series` on quarterly totals, with the 80 % range that its errors on earlier quarters
    earned.

    Parameters
    ----------
    history
        Of `bookings_history`.
    horizon
        How many quarters.
    calendar
        Names the quarters.

    Returns
    -------
    DataFrame
        One row per quarter ahead: ``period``, ``period_start``, ``period_end``, ``n`` (quarters of history),
        ``series_forecast_amount`` with its limits, ``level``; no rows without history.

    Metrics
    -------
    series_forecast_amount : amount, close_date, higher, -, is_won amount close_date
        Bookings of a quarter as those of past quarters alone foretell them.

    Examples
    --------
    >>> each = quarters_between(date(2024, 1, 1), date(2026, 6, 30))
    >>> history = pd.DataFrame({"period": [q.label for q in each], "period_start": [q.start for q in each],
    ...     "period_end": [q.end for q in each], "bookings_amount": [1.0, 2, 3, 4] * 2 + [1.0, 2.0]})
    >>> series_ahead(history, horizon=2)[["period", "n", "series_forecast_amount"]].round(1)
       period   n  series_forecast_amount
    0  2026Q3  10                     2.6
    1  2026Q4  10                     3.0
    """
    columns = ["period", "period_start", "period_end", "n", "series_forecast_amount", "series_forecast_amount_low",
               "series_forecast_amount_high", "level"]  # fmt: skip
    known = history.dropna(subset=["bookings_amount"])
    if known.empty:
        return pd.DataFrame(columns=columns)
    last = pd.Timestamp(known["period_end"].iloc[-1])
    found = quarters_between(last.date(), (last + pd.DateOffset(months=3 * horizon)).date(), calendar)[1 : horizon + 1]
    ahead = time_series(_series(known), horizon=horizon, season_length=QUARTERS)
    return pd.DataFrame({
        "period": [each.label for each in found], "period_start": [each.start for each in found],
        "period_end": [each.end for each in found], "n": len(known), "series_forecast_amount": ahead["predicted"],
        "series_forecast_amount_low": ahead["predicted_low_80"],
        "series_forecast_amount_high": ahead["predicted_high_80"], "level": 0.8,
    })[columns]  # fmt: skip


def path(history: pd.DataFrame, landing: pd.DataFrame | None, later: pd.DataFrame, *, shown: int = 12) -> pd.DataFrame:
    """Past bookings, the landing of the quarter ahead and the quarters after it as one series, for a chart.

    Parameters
    ----------
    history, landing, later
        Of `bookings_history`, `pipeline_forecast.landing` and `series_ahead`; the quarter of a landing that is known
        is taken from it, and of none where it is None.
    shown
        Past quarters.

    Returns
    -------
    DataFrame
        ``period, actual, predicted, predicted_low_80, predicted_high_80``, oldest first.
    """
    ends = {"": "predicted", "_low": "predicted_low_80", "_high": "predicted_high_80"}
    landed = {} if landing is None else {"landing_amount": landing.dropna(subset=["landing_amount"])}
    tables = landed | {"series_forecast_amount": later}
    frames = [
        table[["period", *(f"{name}{end}" for end in ends)]].set_axis(["period", *ends.values()], axis=1)
        for name, table in tables.items()
    ]
    future = pd.concat([frame for frame in frames if len(frame)] or frames).drop_duplicates("period")
    past = history.tail(shown)[["period", "bookings_amount"]].rename(columns={"bookings_amount": "actual"})
    return pd.concat([past, future], ignore_index=True).reindex(columns=["period", "actual", *ends.values()])


def steps(parts: pd.DataFrame, landing: pd.DataFrame) -> pd.DataFrame:
    """The parts of a landing as a bridge that ends in it, for a chart.

    Where the landing is another method's than that of the parts, a last step leads to it.

    Parameters
    ----------
    parts, landing
        Of `pipeline_forecast.landing_parts` and `landing`.

    Examples
    --------
    >>> parts = pd.DataFrame({"part": ["won", "open", "to be created"], "stage": [None, "Offer", None],
    ...                       "n": [2.0, 9, None], "landing_part_amount": [1.0, 2.0, 3.0]})
    >>> steps(parts, pd.DataFrame({"period": ["2026Q4"], "landing_amount": [6.0]}))
                step    n  landing_part_amount
    0            won  2.0                  1.0
    1          Offer  9.0                  2.0
    2  to be created  NaN                  3.0
    3         2026Q4  NaN                  6.0
    >>> steps(parts, pd.DataFrame({"period": ["2026Q4"], "landing_amount": [5.0]}))["step"].tolist()[3:]
    ['another method', '2026Q4']
    """
    named = parts["stage"].fillna(parts["part"].where(parts["part"] != "open", "(none)"))
    rows = pd.DataFrame({"step": named, "n": parts["n"], "landing_part_amount": parts["landing_part_amount"]})
    end = landing[["period", "landing_amount"]].set_axis(["step", "landing_part_amount"], axis=1)
    left = end["landing_part_amount"] - rows["landing_part_amount"].sum()
    rest = end.assign(step="another method", landing_part_amount=left)
    rest = rest[rest["landing_part_amount"].abs() > _A_CENT]
    return pd.concat([rows, rest, end], ignore_index=True) if len(rows) else rows


def series_sentence(
    history: pd.DataFrame,
    later: pd.DataFrame,
    landing: pd.DataFrame | None = None,
    *,
    currency: str = "",
    brief: bool = False,
) -> str:
    """What past bookings alone say of the quarter ahead, and whether that agrees with the open deals.

    The two disagree where they lie farther apart than the narrower of their ranges is wide; neither is then drawn to
    the other.

    Parameters
    ----------
    history, later, landing
        Of `bookings_history`, `bookings_ahead.total_ahead` (or `series_ahead`), and `pipeline_forecast.landing`,
        where the two are to be compared.
    brief
        For a chart's title: without the range, which is drawn.

    Examples
    --------
    >>> history = pd.DataFrame({"bookings_amount": range(9), "period_start": pd.date_range("2024-07-01", periods=9)})
    >>> later = pd.DataFrame({"period": ["2026Q4"], "series_forecast_amount": 3e6, "series_forecast_amount_low": 2e6,
    ...                       "series_forecast_amount_high": 4e6})
    >>> landing = pd.DataFrame({"period": ["2026Q4"], "landing_amount": 2.5e6, "landing_amount_low": 2.2e6,
    ...                         "landing_amount_high": 3.6e6})
    >>> series_sentence(history, later, landing, currency="USD")
    'By past bookings alone, 2026Q4 would land at $3.0M, in four of five cases between $2.0M and $4.0M; the forecast \
from the deals lies inside.'
    >>> series_sentence(history, later, landing.assign(landing_amount=1.7e6), currency="USD").split("; ")[1]
    'the forecast from the deals lies below that range.'
    >>> series_sentence(history, later, landing.assign(landing_amount=1.5e6), currency="USD").split("; ")[1]
    'the forecast from the deals lies below it by more than a whole range: the two disagree.'
    >>> series_sentence(history, later, currency="USD")
    'By past bookings alone, 2026Q4 would land at $3.0M, in four of five cases between $2.0M and $4.0M.'
    >>> series_sentence(history, later, currency="USD", brief=True)
    'By past bookings alone, 2026Q4 would land at $3.0M'
    >>> series_sentence(history[:0], later[:0], landing)
    'There is no completed quarter of bookings to go by.'
    """
    if later.empty:
        return "There is no completed quarter of bookings to go by."
    row = later.iloc[0]
    middle, low, high = (row[f"series_forecast_amount{end}"] for end in ("", "_low", "_high"))
    money = [words.amount(each, currency, compact=True) for each in (middle, low, high)]
    said = f"By past bookings alone, {row['period']} would land at {money[0]}"
    if brief:
        return said
    said += f", in four of five cases between {money[1]} and {money[2]}"
    short = basis_sentence(basis(_series(history.dropna(subset=["bookings_amount"])), season_length=QUARTERS))
    from_deals = later[:0] if landing is None else landing.dropna(subset="landing_amount")
    known = from_deals[from_deals["period"].eq(row["period"])]
    agrees = [f"; {_source(each)} {_beside(each, row)}" for _, each in known.head(1).iterrows()]
    return " ".join(filter(None, [f"{said}{''.join(agrees)}.", short]))


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


def _series(history: pd.DataFrame) -> pd.DataFrame:
    """Quarterly totals as one long series."""
    y = history["bookings_amount"].astype(float)
    return pd.DataFrame({"unique_id": "bookings", "ds": range(len(history)), "y": y})


def _source(landing: pd.Series) -> str:
    name = landing.get("model", "pipeline")
    is_of_deals = name in ("pipeline", "stage_table")
    return "the forecast from the deals" if is_of_deals else f"the forecast of {words.group(name, 'model')}"


def _beside(landing: pd.Series, ahead: pd.Series) -> str:
    """Where the forecast from the deals lies beside that from past bookings."""
    told, ends = landing["landing_amount"], [ahead[f"series_forecast_amount{end}"] for end in ("_low", "_high")]
    side = "below" if told < ends[0] else "above" if told > ends[1] else ""
    own = [landing.get(f"landing_amount{end}", float("nan")) for end in ("_low", "_high")]
    narrower = pd.Series([ends[1] - ends[0], own[1] - own[0]]).min()
    if abs(told - ahead["series_forecast_amount"]) > narrower:
        over = side or ("below" if told < ahead["series_forecast_amount"] else "above")
        return f"lies {over} it by more than a whole range: the two disagree"
    return f"lies {side} that range" if side else "lies inside"


def _weighted(weighed: pd.DataFrame, probability: pd.Series, by: str | None, model: str) -> pd.DataFrame:
    worth = weighed["amount"] * probability
    rows = weighed.assign(model=model, weighed_amount=weighed["amount"], weighted_pipeline_amount=worth)
    keys = ["model", by] if by else ["model"]
    table = rows.groupby(keys, dropna=False, observed=True).agg(
        n=("amount", "size"),
        weighed_amount=("weighed_amount", "sum"),
        weighted_pipeline_amount=("weighted_pipeline_amount", "sum"),
    )
    return table.reset_index()
