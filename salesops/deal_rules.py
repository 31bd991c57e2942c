"""What can be wrong with a deal: each rule in one table, and every deal held to every rule."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import NamedTuple

import numpy as np
import pandas as pd

from salesops import checks, pipeline
from salesops.periods import Period
from salesops.stats import likeness, proportions, survival

QUIET_DAYS = 30  # without activity, after which an open deal is quiet
LATE_DAYS = 7  # after its close date, after which a win was entered late
TWIN_DAYS = 30  # between the creation of two deals that may be one
USUAL = 0.99  # share of the stays in a stage that are usual
PAST_DUE, NO_AMOUNT, NO_STEP, NO_REASON = "past its close date", "no amount", "no next step", "no loss reason"

_DEALS = ["opportunity_id", "owner_id", "account_id", "name", "amount", "stage", "outcome", "is_closed", "is_won"]
_TWIN = ["account_id", "created_date", "name", "amount"]
_DATES = ["created_date", "qualified_date", "close_date", "closed_at", "last_activity_date"]


_EVERY, _OPEN, _LOST = ("open", "won", "lost", "no_decision"), ("open",), ("lost", "no_decision")
_ASKED = {  # of which deals each field is asked; who competed is known once a deal is closed
    **dict.fromkeys("amount close_date qualified_date owner_id account_id product lead_source".split(), _EVERY),
    "next_step": _OPEN, "loss_reason": _LOST, "competitor": ("won", *_LOST),
}  # fmt: skip


class Rule(NamedTuple):
    """What is wrong with a deal, which field says so, what to do, and ``test(deals) -> (looked at, broken)``.

    A rule that asks nothing to be done tells about the process, not about a record.
    """

    name: str
    kind: str
    field: str
    to_do: str
    test: Callable[[pd.DataFrame], tuple[pd.Series, pd.Series]]


def weight_shares(impacts: pd.DataFrame) -> pd.DataFrame:
    """By how much the weighted pipeline is lower without the deals that break a rule.

    ``fault_weight_rate = 1 - without / with``; a rule whose deals are all there is takes everything.

    Parameters
    ----------
    impacts
        Of `data_quality.impact`.

    Returns
    -------
    DataFrame
        One row per rule where the pipeline has weight: ``rule``, ``n`` (deals left out), ``fault_weight_rate``.

    Metrics
    -------
    fault_weight_rate : rate, as_of, lower, -, amount
        Part of the weighted pipeline that is gone without the deals that break the rule.

    Examples
    --------
    >>> weight_shares(pd.DataFrame({"rule": ["no amount"], "metric": "weighted_pipeline_amount", "n_left_out": 9,
    ...     "with_value": 100.0, "without_value": 88.0}))
            rule  n  fault_weight_rate
    0  no amount  9               0.12
    """
    rows = impacts[(impacts["metric"] == "weighted_pipeline_amount") & (impacts["with_value"] > 0)]
    share = 1 - rows["without_value"].fillna(0) / rows["with_value"]
    n = rows["n_left_out"] if "n_left_out" in rows else pd.Series(pd.NA, index=rows.index)
    return pd.DataFrame({"rule": rows["rule"], "n": n, "fault_weight_rate": share}).reset_index(drop=True)


def largest_lists(owners: pd.DataFrame, *, most: int = 3) -> pd.DataFrame:
    """Share of the faults to mend that the owners with the longest lists hold; missing where there are none.

    Parameters
    ----------
    owners
        One row per owner, with ``fix_count``.
    most
        How many owners.

    Returns
    -------
    DataFrame
        One row: ``n`` (faults), ``held_fix_rate``.

    Metrics
    -------
    held_fix_rate : rate, as_of, none, -, -
        Faults to mend of the three owners with most of them, over all faults to mend.

    Examples
    --------
    >>> largest_lists(pd.DataFrame({"owner": list("ABCD"), "fix_count": [30, 20, 10, 40]}))
         n  held_fix_rate
    0  100            0.9
    """
    total = int(owners["fix_count"].sum())
    held = owners["fix_count"].nlargest(most).sum() / total if total else float("nan")
    return pd.DataFrame({"n": [total], "held_fix_rate": [held]})


def _missing(field: str, outcomes: Sequence[str]) -> Callable[[pd.DataFrame], tuple[pd.Series, pd.Series]]:
    """Deals without a field, where any deal has it: a column the source lacks is nobody's fault."""
    return lambda d: (d["outcome"].isin(outcomes) & bool(d[field].notna().any()), d[field].isna())


RULES: tuple[Rule, ...] = (
    Rule(NO_AMOUNT, "completeness", "amount", "Enter the amount.", _missing("amount", _OPEN)),
    Rule("no close date", "completeness", "close_date", "Enter when it should close.", _missing("close_date", _OPEN)),
    Rule(NO_STEP, "completeness", "next_step", "Enter the next step.", _missing("next_step", _OPEN)),
    Rule("no owner", "completeness", "owner_id", "Name an owner.", _missing("owner_id", _OPEN)),
    Rule("no account", "completeness", "account_id", "Link the account.", _missing("account_id", _OPEN)),
    Rule(NO_REASON, "completeness", "loss_reason", "Enter why it was lost.", _missing("loss_reason", _LOST)),
    Rule("won but never qualified", "completeness", "qualified_date", "Enter when it was qualified.",
         _missing("qualified_date", ("won",))),
    Rule("amount of zero", "validity", "amount", "Enter the amount.",
         lambda d: (~d["outcome"].isin(_LOST) & d["amount"].notna(), d["amount"] == 0)),
    Rule("open at 0 or 100 %", "validity", "probability", "Set the probability of its stage, or close it.",
         lambda d: (~d["is_closed"] & d["probability"].notna(), d["probability"].isin([0, 1]))),
    Rule("too long in its stage", "validity", "days_in_stage", "Move it on, or close it.",
         lambda d: (d["usual_days"].notna(), d["days_in_stage"] > d["usual_days"])),
    Rule("likely duplicate deal", "uniqueness", "same_deal_as", "Merge the two, or tell them apart by name.",
         lambda d: (d[_TWIN].notna().all(axis=1), d["same_deal_as"].notna())),
    Rule("likely duplicate account", "uniqueness", "same_account_as", "Merge the two accounts.",
         lambda d: (d["is_known_account"], d["same_account_as"].notna())),
    Rule("owner is not a rep", "consistency", "owner_id", "Give it to a rep, or add the owner to the reps.",
         lambda d: (d["is_known_owner"].notna(), ~d["is_known_owner"].fillna(True).astype(bool))),
    Rule("owner has left", "consistency", "owner_id", "Give it to somebody who is here.",
         lambda d: (~d["is_closed"] & d["is_known_owner"].notna(), d["has_left"])),
    Rule("stage contradicts outcome", "consistency", "stage", "Set the stage that fits.",
         lambda d: (d["is_closed_stage"].notna(), d["is_closed_stage"] != d["is_closed"])),
    Rule("qualified before created", "consistency", "qualified_date", "Correct the dates.",
         lambda d: (d["qualified_date"].notna() & d["created_date"].notna(),
                    d["qualified_date"].dt.normalize() < d["created_date"].dt.normalize())),
    Rule("won before qualified", "consistency", "close_date", "Correct the dates.",
         lambda d: (d["is_won"] & d["qualified_date"].notna() & d["close_date"].notna(),
                    d["close_date"] < d["qualified_date"].dt.normalize())),
    Rule("skipped a stage", "consistency", "n_skipped", "",
         lambda d: (d["n_skipped"].notna(), d["n_skipped"] > 0)),
    Rule(PAST_DUE, "timeliness", "close_date", "Enter when it should close now, or close it.",
         lambda d: (~d["is_closed"] & bool(d["close_date"][~d["is_closed"]].notna().any()),
                    d["close_date"] < d["as_of"])),
    Rule(f"no activity for {QUIET_DAYS} days", "timeliness", "last_activity_date", "Contact the customer, or close it.",
         lambda d: (~d["is_closed"] & bool(d["last_activity_date"].notna().any()),
                    d["last_activity_date"].fillna(d["created_date"]) < d["as_of"] - pd.Timedelta(days=QUIET_DAYS))),
    Rule("won, entered late", "timeliness", "closed_at", "Close it in the CRM on the day.",
         lambda d: (d["is_won"] & d["closed_at"].notna() & d["close_date"].notna(),
                    d["closed_at"].dt.normalize() - d["close_date"] > pd.Timedelta(days=LATE_DAYS))),
)  # fmt: skip


def examined(
    opportunities: pd.DataFrame,
    *,
    as_of: date,
    reps: pd.DataFrame | None = None,
    accounts: pd.DataFrame | None = None,
    stages: pd.DataFrame | None = None,
    visits: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Every deal held to every rule that can be looked at.

    A rule is skipped where the source lacks what it needs: the column, the reps, the accounts,
    the stages or the stage history.

    Parameters
    ----------
    opportunities
        The population, with the columns of the data model.
    as_of
        Last day of the data.
    reps, accounts, stages
        As loaded; empty or None where there are none.
    visits
        Of `journey.stage_visits`.

    Returns
    -------
    DataFrame
        One row per deal and rule it was held to: ``opportunity_id, owner_id, amount,
        ended_on, is_closed, rule, kind, field, to_do, is_faulty, value`` (the field's text where faulty).

    Examples
    --------
    >>> from salesops.crm import model
    >>> deals = model.conform(pd.DataFrame({
    ...     "opportunity_id": ["A", "B"], "outcome": "open", "is_closed": False, "is_won": False,
    ...     "close_date": pd.to_datetime(["2026-07-01", "2026-12-01"]),
    ... }), "opportunities")
    >>> table = examined(deals, as_of=date(2026, 9, 30))
    >>> table.loc[table["is_faulty"], ["opportunity_id", "rule", "value"]].values.tolist()
    [['A', 'past its close date', '2026-07-01']]
    """
    checks.require_columns(opportunities, [*_DEALS, *_DATES, "probability", "next_step", "loss_reason"])
    deals = _marked(opportunities, as_of, reps, accounts, stages, visits)
    kept = deals[["opportunity_id", "owner_id", "amount", "ended_on", "is_closed"]]
    held = [(rule, *rule.test(deals)) for rule in RULES]
    rows = [
        kept[looked].assign(rule=rule.name, kind=rule.kind, field=rule.field, to_do=rule.to_do,
                            is_faulty=broken[looked].astype(bool), value=_text(deals[rule.field].where(broken)[looked]))
        for rule, looked, broken in ((rule, looked.fillna(False).astype(bool), broken) for rule, looked, broken in held)
    ]  # fmt: skip
    return pd.concat(rows, ignore_index=True)


def current(tests: pd.DataFrame, period: Period) -> pd.DataFrame:
    """What was found of the deals open on the last day and of those closed in a period."""
    closed = tests["is_closed"] if period.label == "all" else period.contains(tests["ended_on"])
    return tests[~tests["is_closed"] | closed]


def completeness(opportunities: pd.DataFrame, *, confidence: float = 0.95) -> pd.DataFrame:
    """How often each important field is filled, by the stage of open deals and the outcome of closed ones.

    A next step is asked of open deals, a loss reason of lost ones, a competitor of closed ones. A
    field no deal has is left out; the worst come first, groups of fewer than 20 deals last.

    Returns
    -------
    DataFrame
        One row per field and stage: ``field, stage, n, filled_count, filled_rate`` with its interval.

    Metrics
    -------
    filled_rate : rate, as_of, higher, filled_count / n, -
        Deals in the stage, or with the outcome, that have the field over all of them.

    Examples
    --------
    >>> deals = pd.DataFrame({"stage": "Proposal", "outcome": "open", "amount": [5.0, None], "close_date": pd.NaT})
    >>> completeness(deals)[["field", "stage", "n", "filled_rate"]]
        field     stage  n  filled_rate
    0  amount  Proposal  2          0.5
    """
    place = opportunities["stage"].astype(object).where(opportunities["outcome"] == "open", opportunities["outcome"])
    none = pd.DataFrame({"field": [], "stage": [], "is_filled": pd.Series([], dtype=bool)})
    parts = [pd.DataFrame({"field": name, "stage": place, "is_filled": opportunities[name].notna()})[
        opportunities["outcome"].isin(asked)] for name, asked in _ASKED.items()
        if name in opportunities.columns and opportunities[name].notna().any()]  # fmt: skip
    rows = pd.concat([none, *parts])
    table = rows.groupby(["field", "stage"], dropna=False, sort=False)["is_filled"].agg(n="size", filled_count="sum")
    table = table.reset_index().astype({"n": int, "filled_count": int})
    low, high = proportions.wilson_interval(table["filled_count"], table["n"], confidence)
    table = table.assign(filled_rate=table["filled_count"] / table["n"], filled_rate_low=low, filled_rate_high=high)
    ordered = table.assign(is_few=table["n"] < checks.MIN_N).sort_values(["is_few", "filled_rate"], kind="stable")
    return ordered.drop(columns="is_few").reset_index(drop=True)


def is_to_mend(tests: pd.DataFrame) -> pd.Series:
    """Which faults somebody can mend in the CRM; a stage once skipped cannot be."""
    return tests["is_faulty"] & (tests["to_do"] != "")


def fixes(tests: pd.DataFrame, opportunities: pd.DataFrame, reps: pd.DataFrame) -> pd.DataFrame:
    """The fix list: one row per deal and fault, by owner, the largest deals first.

    Returns
    -------
    DataFrame
        ``owner`` (the name where known), ``opportunity_id, name, rule, field, value, to_do, amount,
        record_url``.

    Examples
    --------
    >>> tests = pd.DataFrame({"opportunity_id": ["A"], "owner_id": ["U1"], "amount": [5.0], "rule": ["no next step"],
    ...                       "field": "next_step", "to_do": "Enter the next step.", "is_faulty": True, "value": None})
    >>> deals = pd.DataFrame({"opportunity_id": ["A"], "name": ["Alder"], "record_url": ["https://crm.example.com/A"]})
    >>> reps = pd.DataFrame({"owner_id": ["U1"], "name": ["Ann"]})
    >>> fixes(tests, deals, reps)[["owner", "name", "to_do"]].values.tolist()
    [['Ann', 'Alder', 'Enter the next step.']]
    """
    found = tests[is_to_mend(tests)].merge(opportunities[["opportunity_id", "name", "record_url"]])
    found = found.assign(owner=owner_names(found["owner_id"], reps)).sort_values(
        ["owner", "amount", "opportunity_id"], ascending=[True, False, True], kind="stable", ignore_index=True
    )
    return found[["owner", "opportunity_id", "name", "rule", "field", "value", "to_do", "amount", "record_url"]]


def owner_names(owners: pd.Series, reps: pd.DataFrame) -> pd.Series:
    """Names of owners where the reps have them, else their id; a missing owner stays missing."""
    named = reps.dropna(subset=["name"]).set_index("owner_id")["name"]
    return _looked_up(owners, named).fillna(owners)


def _marked(
    opportunities: pd.DataFrame,
    as_of: date,
    reps: pd.DataFrame | None,
    accounts: pd.DataFrame | None,
    stages: pd.DataFrame | None,
    visits: pd.DataFrame | None,
) -> pd.DataFrame:
    """The deals with what the rules look at beside their own columns; missing where there is nothing to look at."""
    deals = opportunities.reset_index(drop=True)
    known = deals.assign(as_of=pd.Timestamp(as_of), ended_on=pipeline.ended_on(deals))
    for part in (_of_owners(deals, reps, as_of), _of_accounts(deals, accounts), _of_stages(deals, stages),
                 _of_visits(deals, visits)):  # fmt: skip
        known = known.assign(**part)
    return known.assign(same_deal_as=_same_deal(deals))


def _of_owners(deals: pd.DataFrame, reps: pd.DataFrame | None, as_of: date) -> dict[str, pd.Series]:
    if reps is None or reps.empty:
        return {"is_known_owner": _nothing(deals, "boolean"), "has_left": _nothing(deals, "boolean")}
    is_known = deals["owner_id"].isin(reps["owner_id"]).astype("boolean").where(deals["owner_id"].notna())
    gone = reps.loc[reps["left_date"] <= pd.Timestamp(as_of), "owner_id"]
    return {"is_known_owner": is_known, "has_left": deals["owner_id"].isin(gone)}


def _of_accounts(deals: pd.DataFrame, accounts: pd.DataFrame | None) -> dict[str, pd.Series]:
    """Another account whose name is likely the same, for accounts that have deals."""
    if accounts is None or accounts.empty:
        return {"is_known_account": _nothing(deals, bool), "same_account_as": _nothing(deals, "str")}
    names = accounts.dropna(subset=["name"]).set_index("account_id")["name"]
    found = likeness.pairs(names)
    both = pd.concat([found, found.rename(columns={"left": "right", "right": "left"})], ignore_index=True)
    other = both.drop_duplicates("left").set_index("left")["right"]
    return {"is_known_account": deals["account_id"].isin(names.index),
            "same_account_as": _looked_up(deals["account_id"], other)}  # fmt: skip


def _of_stages(deals: pd.DataFrame, stages: pd.DataFrame | None) -> dict[str, pd.Series]:
    if stages is None or stages.empty:
        return {"is_closed_stage": _nothing(deals, "boolean")}
    closed = stages.assign(is_closed=stages["is_closed"].fillna(False).astype(bool)).groupby("stage")["is_closed"]
    # A name that is open in one pipeline and closed in another tells nothing.
    unanimous = closed.first()[closed.nunique() == 1]
    return {"is_closed_stage": deals["stage"].map(unanimous).astype("boolean")}


def _of_visits(deals: pd.DataFrame, visits: pd.DataFrame | None) -> dict[str, pd.Series]:
    """Stages skipped, days in the present stage, and the days by which nearly all have left it."""
    if visits is None or visits.empty:
        return {name: _nothing(deals, float) for name in ("n_skipped", "days_in_stage", "usual_days")}
    deal, stage = visits["opportunity_id"], ["pipeline", "stage"]
    skips = (visits["exit"] == "skip").groupby(deal).sum()
    usual = {name: _usual_days(stays) for name, stays in visits.groupby(stage, dropna=False)}
    here = visits[visits["exit"] == "still_there"].set_index("opportunity_id")
    limits = pd.Series([usual[name] for name in zip(here["pipeline"], here["stage"], strict=True)], here.index, float)
    return {"n_skipped": deals["opportunity_id"].map(skips), "days_in_stage": deals["opportunity_id"].map(here["days"]),
            "usual_days": deals["opportunity_id"].map(limits)}  # fmt: skip


def _usual_days(stays: pd.DataFrame) -> float:
    found = survival.duration_quantiles(stays["days"], stays["exit"] != "still_there", probabilities=[USUAL])
    return float(found["time"].iloc[0])


def _same_deal(deals: pd.DataFrame) -> pd.Series:
    """The deal of the same account, name and amount created shortly before; deals without a name often repeat."""
    rows = deals.dropna(subset=_TWIN).sort_values(["account_id", "created_date"], kind="stable")
    earlier = rows.shift()
    is_near = (rows["created_date"] - earlier["created_date"]).dt.days <= TWIN_DAYS
    is_same = (rows["account_id"] == earlier["account_id"]) & is_near & (rows["amount"] == earlier["amount"])
    couples = rows.assign(other=earlier["opportunity_id"], other_name=earlier["name"])[is_same]
    names = zip(couples["name"], couples["other_name"], strict=True)
    alike = [likeness.score(one, two) >= likeness.THRESHOLD for one, two in names]
    return couples.loc[np.array(alike, dtype=bool), "other"].reindex(deals.index)


def _looked_up(keys: pd.Series, texts: pd.Series) -> pd.Series:
    return keys.map(texts).astype(object).astype("str")  # of nothing, map gives numbers


def _nothing(deals: pd.DataFrame, kind: object) -> pd.Series:
    return pd.Series(False if kind is bool else None, index=deals.index, dtype=kind)


def _text(values: pd.Series) -> pd.Series:
    """Values as the fix list shows them: days as dates, whole numbers without a point."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return values.dt.strftime("%Y-%m-%d").astype("str")
    return (
        values.map(lambda value: f"{value:g}", na_action="ignore").astype("str")
        if values.dtype == float
        else values.astype("str")
    )
