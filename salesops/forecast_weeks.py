"""Forecast weeks: where a quarter was going to land, as it would have been forecast week by week."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pandas as pd

from salesops import kept, words
from salesops.forecast_backtest import case_seed
from salesops.forecast_cases import WEEKS, Case
from salesops.periods import Calendar, Period, previous, quarter
from salesops.reference_forecasts import Method

LEVEL = 0.80

_LIMITS = ("", "_low", "_high")
_COLUMNS = (
    "period", "period_start", "period_end", "week", "cutoff_date", "n",
    *(f"weekly_landing_amount{end}" for end in _LIMITS), "level", "weekly_won_amount", "weekly_target_amount",
    "is_final",
)  # fmt: skip


def quarter_shown(window: Period, as_of, calendar: Calendar) -> Period:
    """The quarter whose weeks are shown: that of the last day of data, or an older one where the report is about one.

    Examples
    --------
    >>> from datetime import date
    >>> calendar, spring = Calendar(), quarter(date(2026, 5, 1))
    >>> [quarter_shown(spring, date(2026, month, 3), calendar).label for month in (7, 11)]
    ['2026Q3', '2026Q2']
    """
    running = quarter(as_of, calendar)
    own = quarter(window.end, calendar)
    is_older = (own.start, own.end) == (window.start, window.end) and own.start < previous(running, calendar).start
    return own if is_older else running


@kept.by_content("backtests")
def week_by_week(
    cases: Sequence[Case], method: Method, *, target: float | None = None, now: pd.DataFrame | None = None
) -> pd.DataFrame:
    """The forecast of one quarter on the evening before each of its weeks, beside what was won by then.

    Nothing recorded after an evening is used for it. The seeds are those of `forecast_backtest.backtest`, so the
    figures are those of the backtest's weeks.

    Parameters
    ----------
    cases
        Of `forecast_cases.weekly_cases`.
    method
        Gives draws of the quarter's bookings.
    target
        Bookings the plan asks for.
    now
        Of `pipeline_forecast.landing`: the last row where it is of the same quarter and of a later evening.

    Returns
    -------
    DataFrame
        One row per evening: ``period``, ``period_start``, ``period_end``, ``week`` (14 and ``is_final`` at the end of a
        quarter that is over; a part of a week on a day within it), ``cutoff_date``, ``n`` (open deals),
        ``weekly_landing_amount`` with limits at ``level`` (missing at the end), ``weekly_won_amount``,
        ``weekly_target_amount``.

    Metrics
    -------
    weekly_landing_amount : amount, close_date, none, -, is_won close_date amount
        Bookings of the quarter as the method used would have forecast them on that evening, knowing nothing later.
    weekly_won_amount : amount, close_date, higher, -, is_won close_date amount
        Amount known on that evening as won in the quarter.
    weekly_target_amount : amount, close_date, none, -, amount
        Bookings the plan asks for in the quarter.

    Examples
    --------
    >>> from datetime import date
    >>> from salesops import forecast_cases
    >>> from salesops.crm import sample
    >>> tables, day = sample.tables(size=2000, years=3, clean=True), date(2026, 7, 28)
    >>> cases = forecast_cases.weekly_cases(tables["opportunities"], tables["stage_history"], stages=tables["stages"],
    ...                                     period=quarter(day), as_of=day)
    >>> week_by_week(cases, lambda case, **_: case.won_so_far * np.array([1, 2]))[["week", "weekly_won_amount"]]
       week  weekly_won_amount
    0   1.0                0.0
    1   2.0           103320.0
    2   3.0           104650.0
    3   4.0           134350.0
    4   5.0          1086410.0
    """
    goal = np.nan if target is None else float(target)
    rows = []
    for case in cases:
        draws = np.atleast_1d(np.asarray(method(case, seed=case_seed(case)), dtype=float))
        low, middle, high = np.quantile(draws, [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2])
        ends = (low, high) if len(draws) > 1 else (np.nan, np.nan)
        rows.append([*_when(case), len(case.now), middle, *ends, LEVEL, case.won_so_far, goal, False])
    table = pd.DataFrame(rows, columns=list(_COLUMNS)).astype({"week": float, "is_final": bool})
    return table if now is None or not len(cases) else _with_now(table, now, cases[0].period)


def with_end(table: pd.DataFrame, bookings: pd.DataFrame) -> pd.DataFrame:
    """The same with the actual as a last row, where the quarter is over.

    Parameters
    ----------
    table
        Of `week_by_week`.
    bookings
        Of `forecast.bookings_history`.
    """
    if table.empty or not bookings["period"].eq(table["period"].iloc[0]).any():
        return table
    booked = bookings.loc[bookings["period"].eq(table["period"].iloc[0])].iloc[0]
    last = table.iloc[-1].to_dict() | {f"weekly_landing_amount{end}": np.nan for end in _LIMITS}
    last |= {"week": WEEKS + 1.0, "cutoff_date": last["period_end"], "n": np.nan, "is_final": True}
    last |= {"weekly_won_amount": booked["bookings_amount"]}
    return pd.concat([table, pd.DataFrame([last])], ignore_index=True)


def weeks_sentence(table: pd.DataFrame, *, currency: str = "") -> str:
    """How the forecast of the quarter has moved and, once it is over, since when it held what came.

    Parameters
    ----------
    table
        Of `week_by_week`, with or without its end.

    Examples
    --------
    >>> table = pd.DataFrame({"period": "2026Q3", "week": [1.0, 2.0, 14.0], "is_final": [False, False, True],
    ...     "weekly_landing_amount": [2e6, 2.4e6, None], "weekly_landing_amount_low": [1.5e6, 2e6, None],
    ...     "weekly_landing_amount_high": [2.2e6, 3e6, None], "weekly_won_amount": [0.0, 1e5, 2.5e6]})
    >>> weeks_sentence(table, currency="USD")
    '2026Q3 ended at $2.5M; 1 of its 2 weekly forecasts held that in its range.'
    >>> weeks_sentence(table[:2], currency="USD")
    'The forecast of 2026Q3 went from $2.0M to $2.4M in the weeks so far.'
    >>> weeks_sentence(table[:1], currency="USD")
    '2026Q3 has one forecast so far, of $2.0M.'
    >>> weeks_sentence(table[:0])
    'No week of the quarter could be forecast.'
    """
    known = table[table["weekly_landing_amount"].notna()]
    if known.empty:
        return "No week of the quarter could be forecast."
    period, said = known["period"].iloc[0], known["weekly_landing_amount"]
    first, last = (words.amount(each, currency, compact=True) for each in (said.iloc[0], said.iloc[-1]))
    end = table[table["is_final"].astype(bool)]
    if end.empty:
        if len(known) == 1:
            return f"{period} has one forecast so far, of {first}."
        moved = f"stayed at {first}" if first == last else f"went from {first} to {last}"
        return f"The forecast of {period} {moved} in the weeks so far."
    came = end["weekly_won_amount"].iloc[-1]
    held = int(((known["weekly_landing_amount_low"] <= came) & (known["weekly_landing_amount_high"] >= came)).sum())
    booked, n = words.amount(came, currency, compact=True), len(known)
    if n == 1:
        return f"{period} ended at {booked}; its one weekly forecast {'held' if held else 'did not hold'} that."
    own = "its range" if held == 1 else "their range"
    return f"{period} ended at {booked}; {held or 'none'} of its {n} weekly forecasts held that in {own}."


def _when(case: Case) -> list:
    passed = (case.cutoff - case.period.start + timedelta(days=1)).days
    return [case.period.label, case.period.start, case.period.end, 1 + passed / 7, case.cutoff]


def _with_now(table: pd.DataFrame, now: pd.DataFrame, period: Period) -> pd.DataFrame:
    row = now.iloc[0]
    if row["period"] != period.label or row["cutoff_date"] <= table["cutoff_date"].iloc[-1]:
        return table
    passed = (row["cutoff_date"] - period.start + timedelta(days=1)).days
    told = {f"weekly_landing_amount{end}": row[f"landing_amount{end}"] for end in _LIMITS}
    last = table.iloc[-1].to_dict() | told | {
        "week": 1 + passed / 7, "cutoff_date": row["cutoff_date"], "n": row["n"],
        "weekly_won_amount": row["won_so_far_amount"],
    }  # fmt: skip
    return pd.concat([table, pd.DataFrame([last])], ignore_index=True)
