"""Published forecasts: what earlier reports said of a quarter, read from their figures files, and what came."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from salesops import checks, figures_files, words

FIGURE = "landing_amount"
REPORT = "forecast"
ENDED, RUNNING = "ended", "still running"

_LIMITS = ("", "_low", "_high")
_COLUMNS = ("as_of_date", "period", "period_start", "period_end", "week", "model", "n", "level")  # fmt: skip


def published_forecasts(
    reports: Path, *, as_of: date, source: str, where: str, measure: str, currency: str
) -> pd.DataFrame:
    """The forecasts that earlier reports printed of the same thing: same source, filter, measure and currency.

    Only reports as of an earlier day are read, so a report that is made again says the same. What is no figures file,
    or holds no such forecast, is passed over; a folder that is not there holds none.

    Parameters
    ----------
    reports
        Holds a folder for each day, named ``YYYY-MM-DD``, with the figures files of that day's reports.
    as_of
        Of the report that asks.
    source, where, measure, currency
        Its own; a forecast of anything else is another forecast.

    Returns
    -------
    DataFrame
        One row per day and quarter, oldest first: ``as_of_date``, ``period``, ``period_start``, ``period_end``,
        ``week`` (of the quarter), ``model``, ``n`` (open deals then), ``level``, ``published_amount`` with limits.

    Metrics
    -------
    published_amount : amount, close_date, none, -, is_won close_date amount
        Bookings of the quarter as an earlier report forecast them, with the range it printed.

    Examples
    --------
    >>> published_forecasts(Path("nowhere"), as_of=date(2026, 9, 30), source="sample", where="", measure="amount",
    ...                     currency="USD").empty
    True
    """
    wanted = {"source": source, "where": where, "measure": measure}
    rows = [
        row
        for found in figures_files.read(reports, before=as_of, report=REPORT)
        if all(found["parameters"].get(name) == value for name, value in wanted.items())
        for row in _forecasts(found["as_of"], found, currency)
    ]
    columns = [*_COLUMNS, *(f"published_amount{end}" for end in _LIMITS)]
    table = pd.DataFrame(rows, columns=columns).drop_duplicates(["as_of_date", "period_start"])
    return table.sort_values(["period_end", "as_of_date"], kind="stable", ignore_index=True)


def published_record(published: pd.DataFrame, opportunities: pd.DataFrame, *, as_of: date) -> pd.DataFrame:
    """What became of each published forecast.

    Known bias: bookings are as the CRM has them now; a win entered late, or taken back, changes a past quarter.

    Parameters
    ----------
    published
        Of `published_forecasts`.
    opportunities
        With ``is_won``, ``close_date``, ``amount``: the population that was forecast.
    as_of
        Last day of data; a quarter that ends later is still running.

    Returns
    -------
    DataFrame
        As `published`, with ``state`` (ended, still running), ``became_amount``, ``published_error_rate`` and
        ``is_inside`` (the range); missing while the quarter is running.

    Metrics
    -------
    became_amount : amount, close_date, higher, -, is_won close_date amount
        Bookings of the quarter in the end.
    published_error_rate : rate, close_date, none, -, is_won close_date amount
        Published forecast less bookings over bookings, sign kept: above nothing it promised too much.

    Examples
    --------
    >>> said = pd.DataFrame({"as_of_date": pd.to_datetime("2026-04-28"), "period": ["2026Q2", "2026Q3"],
    ...     "period_start": pd.to_datetime(["2026-04-01", "2026-07-01"]), "n": 9, "published_amount": 110.0,
    ...     "period_end": pd.to_datetime(["2026-06-30", "2026-09-30"]), "published_amount_low": 90.0,
    ...     "published_amount_high": 130.0})
    >>> deals = pd.DataFrame({"is_won": [True], "close_date": pd.to_datetime(["2026-05-02"]), "amount": [100.0]})
    >>> published_record(said, deals, as_of=date(2026, 7, 28))[
    ...     ["period", "state", "became_amount", "published_error_rate", "is_inside"]]
       period          state  became_amount  published_error_rate  is_inside
    0  2026Q2          ended          100.0                   0.1       True
    1  2026Q3  still running            NaN                   NaN       <NA>
    """
    checks.require_columns(opportunities, ["is_won", "close_date", "amount"])
    won = opportunities[opportunities["is_won"].to_numpy(dtype=bool)]
    is_over = pd.to_datetime(published["period_end"]) <= pd.Timestamp(as_of)
    spans = zip(published["period_start"], published["period_end"], strict=True)
    came = [won.loc[won["close_date"].between(start, _last_moment(end)), "amount"].sum() for start, end in spans]
    became = pd.Series(came, index=published.index, dtype=float).where(is_over)
    said, low, high = (published[f"published_amount{end}"].astype(float) for end in _LIMITS)
    is_known = is_over & low.notna() & high.notna()
    return published.assign(
        state=is_over.map({True: ENDED, False: RUNNING}).astype("str"),
        became_amount=became,
        published_error_rate=(said - became) / became.where(became != 0),
        is_inside=became.between(low, high).astype("boolean").where(is_known),
    )


def published_sentence(record: pd.DataFrame) -> str:
    """How many of the published forecasts kept their range, and on which side the others lay.

    Parameters
    ----------
    record
        Of `published_record`.

    Examples
    --------
    >>> record = pd.DataFrame({"state": ["ended"] * 3 + ["still running"], "is_inside": [True, False, True, pd.NA],
    ...     "level": 0.8, "published_error_rate": [0.1, -0.4, 0.0, None]})
    >>> published_sentence(record)  # doctest: +NORMALIZE_WHITESPACE
    'Of 3 published forecasts whose quarter has ended, bookings lay inside the 80 % range of 2; 1 was too high and 1
    too low. 1 is still running.'
    >>> published_sentence(record[3:])
    'The one forecast published so far is of a quarter that is still running.'
    >>> published_sentence(record[:0])
    'No earlier forecast of this was published, so none can be scored yet.'
    """
    if record.empty:
        return "No earlier forecast of this was published, so none can be scored yet."
    over = record[record["state"].eq(ENDED)]
    n, running = len(over), len(record) - len(over)
    if not n:
        if running == 1:
            return "The one forecast published so far is of a quarter that is still running."
        return f"All {running} forecasts published so far are of quarters that are still running."
    inside, ranged = int(over["is_inside"].eq(True).sum()), int(over["is_inside"].notna().sum())
    errors = over["published_error_rate"]
    high, low = int(errors.gt(0).sum()), int(errors.lt(0).sum())
    level = words.rate(float(over["level"].dropna().iloc[0])) if over["level"].notna().any() else "stated"
    of = "The one published forecast" if n == 1 else f"Of {n} published forecasts"
    kept = f"bookings lay inside the {level} range of {inside}{f' of {ranged} with one' if ranged < n else ''}"
    if n == 1:
        side = "too high" if high else "too low" if low else "exact"
        kept = f"had bookings {'inside' if inside else 'outside'} its {level} range; it was {side}"
        stated = f"{of} whose quarter has ended {kept}."
    else:
        was = "was" if high == 1 else "were"
        stated = f"{of} whose quarter has ended, {kept}; {high} {was} too high and {low} too low."
    if not running:
        return stated
    return f"{stated} {running} {'is' if running == 1 else 'are'} still running."


def _forecasts(day: str, found: dict[str, Any], currency: str) -> Iterator[list]:
    """The forecasts of one file that say their quarter's days and their currency."""
    for figure in found["figures"]:
        by, period = figure.get("by") or {}, figure.get("period") or {}
        is_one = figure.get("metric") == FIGURE and figure.get("statistic") == "value"
        is_told = by.get("currency") == currency and by.get("cutoff_date") == day and period.get("end")
        if is_one and is_told and figure.get("value") is not None and figure.get("compared_with") is None:
            ends = [pd.Timestamp(period[end]) for end in ("start", "end")]
            amounts = [figure.get(name) for name in ("value", "low", "high")]
            told = [by.get("week"), by.get("model"), figure.get("n"), figure.get("level")]
            yield [pd.Timestamp(day), period["label"], *ends, *told, *amounts]


def _last_moment(day: pd.Timestamp) -> pd.Timestamp:
    return pd.Timestamp(day) + pd.Timedelta(days=1) - pd.Timedelta(1, "us")
