"""The CRM tables salesops reads: names, columns, types and keys, in one place.

A column is written ``name:type``, with ``*`` after the name where it is part of the
table's key. Types: ``str``; ``date`` (midnight, no time zone); ``ts`` (UTC, no time
zone attached); ``float`` (amounts in the reporting currency, rates 0-1, other numbers);
``int``; ``bool``. Every canonical column is present after loading, missing where the
source does not have it.
"""

from typing import NamedTuple

import pandas as pd


class Column(NamedTuple):
    """One column of the canonical model: its name, its kind of value, and whether it identifies a row."""

    name: str
    kind: str
    is_key: bool


_SPECS = {
    "opportunities": """
        opportunity_id*:str name:str account_id:str owner_id:str pipeline:str opportunity_type:str segment:str
        region:str territory:str product:str lead_source:str campaign:str competitor:str partner_id:str
        loss_reason:str amount:float list_amount:float arr_amount:float one_off_amount:float
        prior_arr_amount:float term_months:float contract_start:date contract_end:date currency:str stage:str
        probability:float forecast_category:str created_date:ts qualified_date:ts close_date:date closed_at:ts
        outcome:str is_closed:bool is_won:bool next_step:str last_activity_date:date record_url:str""",
    "stage_history": """
        opportunity_id*:str changed_at*:ts seq*:int pipeline:str stage:str amount:float close_date:date
        probability:float forecast_category:str owner_id:str next_step:str""",
    "stages": """
        pipeline*:str stage*:str valid_from:date position:int is_closed:bool is_won:bool probability:float
        forecast_category:str""",
    "reps": """
        owner_id*:str name:str email:str manager_id:str team:str role:str region:str hire_date:date left_date:date""",
    "accounts": """
        account_id*:str name:str industry:str employees:float annual_revenue:float segment:str region:str
        territory:str parent_id:str customer_since:date""",
    "targets": """
        metric*:str scope_kind*:str scope_id*:str period_start*:date version*:str period_end:date value:float
        ramp_factor:float""",
    "actuals": "measure*:str scope_kind*:str scope_id*:str period_start*:date amount:float",
    "activities": """
        activity_id*:str owner_id:str opportunity_id:str lead_id:str kind:str direction:str occurred_at:ts
        minutes:float is_held:bool is_automated:bool""",
    "tool_usage": "owner_id*:str tool*:str date*:date events:float is_licensed:bool",
    "leads": """
        lead_id*:str source:str campaign:str class:str score:float owner_id:str created_at:ts first_response_at:ts
        replied_at:ts qualified_at:ts converted_at:ts opportunity_id:str disqualified_at:ts reason:str""",
    "forecast_submissions": """
        owner_id*:str period_start*:date submitted_at*:ts category*:str amount:float kind:str reason:str""",
    "opportunity_splits": "opportunity_id*:str owner_id*:str kind*:str share:float",
    "line_items": "opportunity_id*:str line*:str product:str quantity:float amount:float list_amount:float",
    "territory_assignments": "territory*:str owner_id*:str valid_from*:date valid_to:date",
    "fx_rates": "date*:date currency*:str rate:float",
    "costs": "month*:date kind*:str source*:str amount:float",
    "market": "month*:date factor*:str value:float is_planned:bool",
}


def _column(text: str) -> Column:
    name, kind = text.split(":")
    return Column(name.rstrip("*"), kind, name.endswith("*"))


TABLES: dict[str, tuple[Column, ...]] = {
    table: tuple(_column(text) for text in spec.split()) for table, spec in _SPECS.items()
}

OUTCOMES = ("open", "won", "lost", "no_decision")

# What each optional table switches on; said when the table is absent.
SWITCHES_ON = {
    "stage_history": "stage funnel, time in stage, point-in-time replay, waterfall, slippage, forecast backtest",
    "stages": "funnel order, calibration of the CRM's probabilities",
    "reps": "ramp, teams, turnover",
    "accounts": "segments, fit",
    "targets": "attainment, coverage, tiles against target",
    "actuals": "finance's revenue beside bookings",
    "activities": "drivers, selling time, meetings",
    "tool_usage": "technology adoption",
    "leads": "lead response, lead funnel, expected pipeline",
    "forecast_submissions": "accuracy and bias of people's forecasts",
    "opportunity_splits": "shared credit",
    "line_items": "product views",
    "territory_assignments": "territory tracking",
    "fx_rates": "several currencies",
    "costs": "customer acquisition cost",
    "market": "outside factors in forecasts",
}


def columns(table: str) -> list[str]:
    """Names of a table's canonical columns.

    Examples
    --------
    >>> columns("actuals")
    ['measure', 'scope_kind', 'scope_id', 'period_start', 'amount']
    """
    return [column.name for column in TABLES[table]]


def keys(table: str) -> list[str]:
    """Names of the columns that identify a row.

    Examples
    --------
    >>> keys("fx_rates")
    ['date', 'currency']
    """
    return [column.name for column in TABLES[table] if column.is_key]


_DTYPES = {
    "str": "str",
    "date": "datetime64[us]",
    "ts": "datetime64[us]",
    "float": "float64",
    "int": "Int64",
    "bool": "boolean",
}


def conform(frame: pd.DataFrame, table: str) -> pd.DataFrame:
    """A table with its canonical columns, in order and typed; others follow.

    Absent columns are added, all missing. ``is_closed`` and ``is_won`` of
    opportunities are plain booleans, because every opportunity has an outcome.

    Examples
    --------
    >>> conform(pd.DataFrame({"measure": ["revenue"], "amount": [1]}), "actuals").dtypes["amount"]
    dtype('float64')
    """
    wanted = TABLES[table]
    extra = [name for name in frame.columns if name not in {column.name for column in wanted}]
    typed = {
        column.name: frame[column.name].astype(_DTYPES[column.kind])
        if column.name in frame.columns
        else pd.Series(pd.NA, index=frame.index, dtype=_DTYPES[column.kind])
        if column.kind in ("int", "bool")
        else pd.Series(None, index=frame.index, dtype=_DTYPES[column.kind])
        for column in wanted
    }
    if table == "opportunities":
        typed |= {name: typed[name].astype(bool) for name in ("is_closed", "is_won") if typed[name].notna().all()}
    return pd.DataFrame(typed | {name: frame[name] for name in extra}, index=frame.index, copy=False)
