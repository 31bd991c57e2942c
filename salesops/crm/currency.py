"""One reporting currency: several are converted at the rate of the close date, of the plan, or of one day."""

from datetime import date

import pandas as pd

from salesops import checks
from salesops.crm.exclusions import Finding
from salesops.crm.rules import MONEY, Tables
from salesops.crm.source import FILE
from salesops.periods import Calendar, year_starts

FALLBACK = "USD"
CONVERSIONS = {
    "close_date": "the rate of the close date",
    "plan": "the plan rate, that of the first day of the fiscal year of the close date",
    "constant": "one rate for all, that of the last day of the data",
}


def reporting(tables: Tables, named: str | None) -> tuple[str, list[str]]:
    """The reporting currency: as named, else the only one of the deals."""
    found = sorted(tables["opportunities"]["currency"].dropna().unique())
    if named or len(found) == 1:
        return named or found[0].upper(), []
    if found:
        raise checks.DataError(
            f"opportunities: amounts in {len(found)} currencies ({checks.examples(found)}) and no reporting currency. "
            f"Write for example currency: {found[0]} in {FILE}, and give fx_rates."
        )
    return FALLBACK, [f"The source names no currency; amounts are shown as {FALLBACK}. Write currency: … in {FILE}."]


def converted(
    tables: Tables, currency: str, *, conversion: str = "close_date", as_of: date, calendar: Calendar
) -> tuple[Tables, list[Finding]]:
    """Amounts of deals, their history and their lines in the reporting currency.

    ``amount × rate``, where a rate is the reporting currency for one unit of the other: the
    latest on or before the day that `conversion` chooses, and the earliest where all are
    later. A deal without a close date is taken at `as_of`.

    Parameters
    ----------
    tables
        With ``opportunities`` and ``fx_rates``.
    currency
        The reporting currency.
    conversion
        ``close_date``; ``plan``, the first day of the close date's fiscal year; or
        ``constant``, `as_of` for every deal, so that a change is never the exchange rate's.
    as_of, calendar
        The report's day and its fiscal calendar.

    Raises
    ------
    ParameterError
        Another word for `conversion`.
    DataError
        Deals in another currency and no rate for it.
    """
    if conversion not in CONVERSIONS:
        raise checks.ParameterError(
            f"conversion: '{conversion}'. Use {', '.join(CONVERSIONS)}.{checks.did_you_mean(conversion, CONVERSIONS)}"
        )
    deals = tables["opportunities"]
    foreign = deals["currency"].notna() & (deals["currency"].str.upper() != currency)
    if not foreign.any():
        return tables, []
    days = _days(deals.loc[foreign, "close_date"], conversion, as_of, calendar)
    rate = _rates(deals[foreign], days, tables["fx_rates"], currency)
    money = {field: deals[field] * rate.reindex(deals.index).fillna(1.0) for field in MONEY}
    by_deal = pd.Series(rate.to_numpy(), index=deals.loc[foreign, "opportunity_id"])
    others = {"stage_history": ("amount",), "line_items": ("amount", "list_amount")}
    changed = {table: _times(tables[table], fields, by_deal) for table, fields in others.items()}
    some = checks.examples(deals.loc[foreign, "opportunity_id"])
    names = ", ".join(sorted(deals.loc[foreign, "currency"].unique()))
    reason = f"{names} converted to {currency} at {CONVERSIONS[conversion]}"
    finding = Finding("opportunities", "converted_currency", "amount", "repaired", int(foreign.sum()), some, reason)
    # the currency column goes on saying what the deal is in
    return tables | changed | {"opportunities": deals.assign(**money)}, [finding]


def _days(close_dates: pd.Series, conversion: str, as_of: date, calendar: Calendar) -> pd.Series:
    """The day whose rate each deal takes."""
    known = close_dates.fillna(pd.Timestamp(as_of))
    if conversion == "constant":
        return pd.Series(pd.Timestamp(as_of), index=known.index, dtype=known.dtype)
    return year_starts(known, calendar) if conversion == "plan" else known


def _rates(deals: pd.DataFrame, days: pd.Series, fx_rates: pd.DataFrame, currency: str) -> pd.Series:
    wanted = deals["currency"].str.upper()
    rates = fx_rates.dropna(subset=["date", "currency", "rate"]).sort_values("date", kind="stable")
    rates = rates.assign(currency=rates["currency"].str.upper())[["date", "currency", "rate"]]
    unknown = sorted(set(wanted) - set(rates["currency"]))
    if unknown:
        n = int(wanted.isin(unknown).sum())
        raise checks.DataError(
            f"opportunities: {n:,} deals are in {', '.join(unknown)} and the reporting currency is {currency}, "
            f"but fx_rates has no rate for it. Add fx_rates.csv (date, currency, rate: {currency} for one unit)."
        )
    asked = pd.DataFrame({"date": days, "currency": wanted, "row": deals.index})
    asked = asked.sort_values("date", kind="stable")
    found = pd.merge_asof(asked, rates, on="date", by="currency", direction="backward")
    earliest = rates.drop_duplicates("currency").set_index("currency")["rate"]
    found["rate"] = found["rate"].fillna(found["currency"].map(earliest))
    return found.set_index("row")["rate"].reindex(deals.index)


def _times(frame: pd.DataFrame, fields: tuple[str, ...], by_deal: pd.Series) -> pd.DataFrame:
    rate = by_deal.reindex(frame["opportunity_id"]).set_axis(frame.index).fillna(1.0)
    return frame.assign(**{field: frame[field] * rate for field in fields})
