"""The sample company as a dump of Salesforce's objects: API names, 18-character ids, and its own tables of history."""

import pandas as pd

from salesops.crm.sample import written

DAY, TIME = "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S.000+0000"
PREFIXES = {
    "opportunity_id": "006",
    "account_id": "001",
    "parent_id": "001",
    "owner_id": "005",
    "manager_id": "005",
    "lead_id": "00Q",
    "activity_id": "00T",
}
EVENT, EVENTS = "00U", ("meeting", "demo")
CATEGORIES = {
    "pipeline": "Pipeline",
    "best_case": "Best Case",
    "commit": "Commit",
    "omitted": "Omitted",
    "closed": "Closed",
}
API_CATEGORIES = CATEGORIES | {"best_case": "BestCase", "commit": "Forecast"}
TYPES = {"new": "New Business", "expansion": "Expansion", "renewal": "Renewal"}

# Standard fields by our columns; a column that is not here goes to a custom field of its own.
FIELDS = {
    "opportunities": {
        "opportunity_id": "Id",
        "name": "Name",
        "account_id": "AccountId",
        "owner_id": "OwnerId",
        "pipeline": "RecordType.Name",
        "opportunity_type": "Type",
        "lead_source": "LeadSource",
        "campaign": "Campaign.Name",
        "amount": "Amount",
        "currency": "CurrencyIsoCode",
        "stage": "StageName",
        "probability": "Probability",
        "forecast_category": "ForecastCategoryName",
        "close_date": "CloseDate",
        "created_date": "CreatedDate",
        "is_closed": "IsClosed",
        "is_won": "IsWon",
        "next_step": "NextStep",
        "last_activity_date": "LastActivityDate",
    },
    "stage_history": {
        "opportunity_id": "OpportunityId",
        "changed_at": "CreatedDate",
        "stage": "StageName",
        "amount": "Amount",
        "close_date": "CloseDate",
        "probability": "Probability",
        "forecast_category": "ForecastCategory",
    },
    "stages": {
        "pipeline": "SalesProcess",
        "stage": "MasterLabel",
        "position": "SortOrder",
        "is_closed": "IsClosed",
        "is_won": "IsWon",
        "probability": "DefaultProbability",
        "forecast_category": "ForecastCategoryName",
    },
    "reps": {"owner_id": "Id", "name": "Name", "email": "Email", "manager_id": "ManagerId"},
    "accounts": {
        "account_id": "Id",
        "name": "Name",
        "industry": "Industry",
        "employees": "NumberOfEmployees",
        "annual_revenue": "AnnualRevenue",
        "parent_id": "ParentId",
    },
    "activities": {
        "activity_id": "Id",
        "owner_id": "OwnerId",
        "opportunity_id": "WhatId",
        "lead_id": "WhoId",
        "kind": "Type",
    },
    "leads": {
        "lead_id": "Id",
        "source": "LeadSource",
        "owner_id": "OwnerId",
        "created_at": "CreatedDate",
        "opportunity_id": "ConvertedOpportunityId",
    },
    "opportunity_splits": {
        "opportunity_id": "OpportunityId",
        "owner_id": "SplitOwnerId",
        "kind": "SplitType.MasterLabel",
        "share": "SplitPercentage",
    },
    "line_items": {
        "opportunity_id": "OpportunityId",
        "line": "SortOrder",
        "product": "Product2.Name",
        "quantity": "Quantity",
        "amount": "TotalPrice",
    },
}
IN_HISTORY = ["stage", "amount", "close_date", "probability", "forecast_category"]
IN_FIELD_HISTORY = {"Owner": "owner_id", "NextStep": "next_step"}
# Of no object, so written as they are.
BESIDE = ("targets", "actuals", "tool_usage", "forecast_submissions", "territory_assignments", "costs", "market")


def files(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The frames of the dump by file name, each cell as the API writes it."""
    history = tables["stage_history"]
    activities = tables["activities"]
    is_event = activities["kind"].isin(EVENTS)
    return {
        "Opportunity": opportunities(tables["opportunities"]),
        "OpportunityHistory": opportunity_history(history),
        "OpportunityFieldHistory": field_history(history),
        "OpportunityStage": stages(tables["stages"]),
        "User": fields(tables["reps"], "reps"),
        "Account": fields(tables["accounts"], "accounts"),
        "Task": tasks(activities[~is_event]),
        "Event": events(activities[is_event]),
        "Lead": fields(tables["leads"], "leads"),
        "OpportunityLineItem": fields(tables["line_items"], "line_items"),
        "OpportunitySplit": splits(tables["opportunity_splits"]),
    } | {name: with_ids(tables[name]) for name in BESIDE}


def record_ids(ids: pd.Series, prefix: str) -> pd.Series:
    """18-character ids of our ids: the object's prefix, the number, and the check of the capitals.

    Examples
    --------
    >>> record_ids(pd.Series(["D-0000042", None]), "006").tolist()
    ['006Dy0000000042IAA', nan]
    """
    body = prefix + ids.str[0] + "y" + ids.str[2:].str.zfill(10)
    # digits have no capitals, so only the first five characters tell
    return body + body.str[:5].map(check, na_action="ignore").astype("str") + "AA"


def check(five: str) -> str:
    """One of 32 characters for which of five are capitals.

    Examples
    --------
    >>> check("00155"), check("00Xyy")
    ('A', 'E')
    """
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[sum(letter.isupper() << place for place, letter in enumerate(five))]


def with_ids(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame of ours under the CRM's ids."""
    ids = {name: record_ids(frame[name], PREFIXES[name]) for name in frame.columns if name in PREFIXES}
    if "scope_id" in frame:
        is_rep = frame["scope_kind"] == "rep"
        ids["scope_id"] = frame["scope_id"].mask(is_rep, record_ids(frame["scope_id"], PREFIXES["owner_id"]))
    if "activity_id" in frame:
        is_event = frame["kind"].isin(EVENTS)
        ids["activity_id"] = ids["activity_id"].mask(is_event, record_ids(frame["activity_id"], EVENT))
    return frame.assign(**ids)


def fields(frame: pd.DataFrame, table: str) -> pd.DataFrame:
    """A table's columns as fields: standard ones by their API name, the others custom."""
    told = written.cells(with_ids(frame), table, day=DAY, moment=TIME)
    return told.rename(columns={name: FIELDS[table].get(name, _custom(name)) for name in told.columns})


def _custom(name: str) -> str:
    return "_".join(word.capitalize() for word in name.removeprefix("x_").split("_")) + "__c"


def _percent(rates: pd.Series) -> pd.Series:
    return (rates * 100).round(6)


def opportunities(deals: pd.DataFrame) -> pd.DataFrame:
    """Opportunity: what became of it is in IsClosed and IsWon."""
    told = written.flagged(deals).assign(
        opportunity_type=deals["opportunity_type"].map(TYPES),
        probability=_percent(deals["probability"]),
        forecast_category=deals["forecast_category"].map(CATEGORIES),
    )
    named = fields(told, "opportunities")
    return named.assign(ForecastCategory=deals["forecast_category"].map(API_CATEGORIES), IsDeleted="false")


def opportunity_history(history: pd.DataFrame) -> pd.DataFrame:
    """OpportunityHistory: stage, amount, close date, probability and category after each change of any of them."""
    rows = history[written.changed(history, IN_HISTORY)]
    rows = rows.assign(
        probability=_percent(rows["probability"]), forecast_category=rows["forecast_category"].map(API_CATEGORIES)
    )
    return _numbered(fields(rows[list(FIELDS["stage_history"])], "stage_history"), "008")


def field_history(history: pd.DataFrame) -> pd.DataFrame:
    """OpportunityFieldHistory: owner and next step, before and after; a deal's first values are no change."""
    rows = with_ids(history)
    told = pd.DataFrame({"OpportunityId": rows["opportunity_id"], "CreatedDate": rows["changed_at"].dt.strftime(TIME)})
    parts = [
        told.assign(Field=field, OldValue=written.before(rows, column), NewValue=rows[column])[
            written.changed(rows, [column]) & ~written.is_first(rows)
        ]
        for field, column in IN_FIELD_HISTORY.items()
    ]
    return _numbered(pd.concat(parts).sort_index(kind="stable"), "017")


def _numbered(frame: pd.DataFrame, prefix: str) -> pd.DataFrame:
    numbers = pd.Series(range(1, len(frame) + 1), index=frame.index).astype("str")
    frame.insert(0, "Id", record_ids("H-" + numbers, prefix))
    return frame


def stages(table: pd.DataFrame) -> pd.DataFrame:
    """OpportunityStage, and the sales process that uses the stage, which the object itself does not tell."""
    told = table.drop(columns="valid_from").assign(
        probability=_percent(table["probability"]), forecast_category=table["forecast_category"].map(CATEGORIES)
    )
    return fields(told, "stages")


def tasks(activities: pd.DataFrame) -> pd.DataFrame:
    """Task: e-mails, calls, proposals and to-dos; how long they took is in seconds."""
    seconds = activities.assign(minutes=activities["minutes"] * 60)
    return _activity(seconds, {"Occurred_At__c": "CompletedDateTime", "Minutes__c": "CallDurationInSeconds"})


def events(activities: pd.DataFrame) -> pd.DataFrame:
    """Event: meetings and demos."""
    return _activity(activities, {"Occurred_At__c": "StartDateTime", "Minutes__c": "DurationInMinutes"})


def _activity(activities: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    named = fields(activities, "activities").rename(columns=names)
    return named.assign(Type=named["Type"].str.capitalize())


def splits(table: pd.DataFrame) -> pd.DataFrame:
    """OpportunitySplit: shares in percent."""
    told = table.assign(share=_percent(table["share"]), kind=table["kind"].str.capitalize())
    return fields(told, "opportunity_splits")
