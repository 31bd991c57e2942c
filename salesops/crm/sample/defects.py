"""The faults planted in the sample, each on deals of its own."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from salesops.crm.sample import law, people, settings
from salesops.crm.sample.settings import Switches

NO_CLOSE = -(10**7)
UNKNOWN_STAGE, UNKNOWN_OWNER, MISSPELT = law.NO_DECISION + 1, people.N_REPS, len(settings.PRODUCTS)
TWO_CENTURIES = 73_049
EXTRA = ("no_id", "no_outcome", "repeated_row")

# Where each fault lands when the rules for reading are applied: rule, table, field, action.
LANDS = {
    "closed_before_created": [("closed_before_created", "opportunities", "created_date", "barred")],
    "date_out_of_range": [
        ("date_out_of_range", "opportunities", "close_date", "barred"),
        ("date_out_of_range", "stage_history", "close_date", "barred"),
    ],
    "negative_amount": [
        ("negative_amount", "opportunities", "amount", "barred"),
        ("negative_amount", "stage_history", "amount", "barred"),
    ],
    "unknown_stage": [
        ("unknown_stage", "opportunities", "stage", "barred"),
        ("unknown_stage", "stage_history", "stage", "barred"),
    ],
    "unknown_owner": [("unknown_owner", "opportunities", "owner_id", "counted")],
    "no_id": [("no_id", "opportunities", "opportunity_id", "set_aside")],
    "no_outcome": [("no_outcome", "opportunities", "outcome", "set_aside")],
    "past_due_close_date": [("open_past_close_date", "opportunities", "close_date", "counted")],
    "no_amount_open": [("open_without_amount", "opportunities", "amount", "counted")],
    "repeated_row": [("repeated_row", "opportunities", "opportunity_id", "repaired")],
    "missing_date": [("missing_date", "opportunities", "close_date", "counted")],
    "product_spelling": [("product_spelling", "opportunities", "product", "counted")],
    "lost_amount_zero": [("lost_amount_zero", "opportunities", "amount", "counted")],
}


class Hit(NamedTuple):
    """What a fault changes in place: copies of deals and history, the deals it hits and their last rows."""

    random: np.random.Generator
    deals: pd.DataFrame
    rows: pd.DataFrame
    hit: np.ndarray
    at: np.ndarray


def plant(chosen: Switches, deals: pd.DataFrame, rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Deals and history with the chosen faults, and what was planted: ``name, deal``.

    Each fault takes deals that no other has, as many as asked for or as there
    are. `lost_amount_zero` is a switch: it touches every lost deal.
    """
    wanted, random = dict(chosen.defects), chosen.random("defects")
    deals, rows = deals.copy(), rows.copy()
    if wanted.pop("lost_amount_zero", 0):
        rows.loc[rows["stage"].isin([law.LOST, law.NO_DECISION]), "amount"] = 0.0
    last = rows.loc[rows["is_last"]].reset_index().set_index("deal")
    free, planted = pd.Series(True, index=deals.index), []
    for name, count in wanted.items():
        fits = np.flatnonzero(free & _fits(name, deals, last))
        hit = np.sort(random.choice(fits, min(count, len(fits)), replace=False))
        free[hit] = False
        planted.append(pd.DataFrame({"name": name, "deal": hit}))
        if name not in EXTRA and len(hit):
            _FAULTS[name](Hit(random, deals, rows, hit, last.loc[hit, "index"].to_numpy()))
    listed = pd.concat(planted, ignore_index=True) if planted else pd.DataFrame({"name": [], "deal": []})
    return deals, rows, listed.astype({"deal": "int64"})


def _fits(name: str, deals: pd.DataFrame, last: pd.DataFrame) -> pd.Series:
    is_open = last["stage"] < law.LOST
    is_lost = last["stage"].isin([law.LOST, law.NO_DECISION])
    if name in ("date_out_of_range", "unknown_stage", "no_amount_open"):
        return is_open
    if name == "past_due_close_date":
        return is_open & (last["day"] < last["day"].max() - 3)
    if name in ("negative_amount", "missing_date"):
        return is_lost
    if name == "closed_before_created":
        return ~is_open & (deals["created"] > 30)
    if name == "unknown_owner":
        return (deals["owner"] != people.OUTLIER) & (deals["heir_day"] == people.FOREVER)
    return deals["product"].eq(0) if name == "product_spelling" else pd.Series(True, index=deals.index)


def _closed_before_created(on: Hit) -> None:
    early = on.deals["created"].to_numpy()[on.hit] - on.random.integers(1, 25, len(on.hit))
    on.rows.loc[on.at, "close"] = on.rows.loc[on.at, "closed"] = early


def _date_out_of_range(on: Hit) -> None:
    on.rows.loc[on.at, "close"] += TWO_CENTURIES


def _negative_amount(on: Hit) -> None:
    on.rows.loc[on.at, "amount"] = -np.round(on.deals["amount"].to_numpy()[on.hit], -1)


def _unknown_stage(on: Hit) -> None:
    on.rows.loc[on.at, "stage"] = UNKNOWN_STAGE


def _unknown_owner(on: Hit) -> None:
    on.rows.loc[on.rows["deal"].isin(on.hit), "owner"] = UNKNOWN_OWNER
    on.deals.loc[on.hit, ["owner", "heir"]] = UNKNOWN_OWNER


def _past_due_close_date(on: Hit) -> None:
    today, changed = on.rows["day"].max(), on.rows["day"].to_numpy()[on.at]
    room = np.minimum(today - changed, 60)
    on.rows.loc[on.at, "close"] = today - 1 - (on.random.random(len(on.hit)) * (room - 1)).astype(int)


def _no_amount_open(on: Hit) -> None:
    on.rows.loc[on.rows["deal"].isin(on.hit), "amount"] = np.nan


def _missing_date(on: Hit) -> None:
    on.rows.loc[on.at, "close"] = NO_CLOSE


def _product_spelling(on: Hit) -> None:
    on.deals.loc[on.hit, "product"] = MISSPELT


_FAULTS: dict[str, Callable[[Hit], None]] = {
    "closed_before_created": _closed_before_created,
    "date_out_of_range": _date_out_of_range,
    "negative_amount": _negative_amount,
    "unknown_stage": _unknown_stage,
    "unknown_owner": _unknown_owner,
    "past_due_close_date": _past_due_close_date,
    "no_amount_open": _no_amount_open,
    "missing_date": _missing_date,
    "product_spelling": _product_spelling,
}


def with_extra_rows(opportunities: pd.DataFrame, numbers: np.ndarray, planted: pd.DataFrame) -> pd.DataFrame:
    """The table with rows that repeat, have no id, or say neither open nor closed; no real deal is touched."""
    copies = {name: opportunities[np.isin(numbers, planted.loc[planted["name"] == name, "deal"])] for name in EXTRA}
    blank = copies["no_outcome"].assign(
        outcome=None, stage=None, probability=np.nan, forecast_category=None, closed_at=pd.NaT
    )
    blank = blank.assign(opportunity_id="X" + blank["opportunity_id"].str[1:], is_closed=False, is_won=False)
    parts = [opportunities, copies["no_id"].assign(opportunity_id=None, record_url=None), blank, copies["repeated_row"]]
    return pd.concat([part.astype(opportunities.dtypes) for part in parts if len(part)], ignore_index=True)


def counts(chosen: Switches, planted: pd.DataFrame, opportunities: pd.DataFrame) -> pd.DataFrame:
    """How many rows each rule finds in the full company: ``defect, rule, table, field, action, n``."""
    number = planted.groupby("name").size().to_dict()
    if dict(chosen.defects).get("lost_amount_zero"):
        deals = opportunities.dropna(subset="opportunity_id").drop_duplicates("opportunity_id")
        number["lost_amount_zero"] = int(deals["outcome"].isin(["lost", "no_decision"]).sum())
    rows = [(name, *place, number[name]) for name, places in LANDS.items() if number.get(name) for place in places]
    return pd.DataFrame(rows, columns=["defect", "rule", "table", "field", "action", "n"])
