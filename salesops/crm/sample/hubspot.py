"""The sample company as an export of HubSpot's objects: internal property names, stage ids, histories in long form."""

import pandas as pd

from salesops.crm.sample import written

TIME = "%Y-%m-%dT%H:%M:%SZ"
IDS = ("opportunity_id", "account_id", "parent_id", "owner_id", "manager_id", "lead_id", "activity_id")
CATEGORIES = {
    "pipeline": "PIPELINE",
    "best_case": "BEST_CASE",
    "commit": "COMMIT",
    "omitted": "OMIT",
    "closed": "CLOSED",
}
TYPES = {"new": "newbusiness", "expansion": "existingbusiness", "renewal": "renewal"}

# HubSpot's own properties by our columns; a column that is not here is a custom property of the same name.
PROPERTIES = {
    "opportunities": {
        "opportunity_id": "hs_object_id",
        "name": "dealname",
        "account_id": "hs_primary_associated_company",
        "owner_id": "hubspot_owner_id",
        "opportunity_type": "dealtype",
        "loss_reason": "closed_lost_reason",
        "currency": "deal_currency_code",
        "stage": "dealstage",
        "probability": "hs_deal_stage_probability",
        "forecast_category": "hs_manual_forecast_category",
        "created_date": "createdate",
        "close_date": "closedate",
        "is_closed": "hs_is_closed",
        "is_won": "hs_is_closed_won",
        "next_step": "hs_next_step",
        "last_activity_date": "notes_last_updated",
    },
    "reps": {"owner_id": "id", "manager_id": "managerId"},
    "accounts": {
        "account_id": "hs_object_id",
        "employees": "numberofemployees",
        "annual_revenue": "annualrevenue",
        "parent_id": "hs_parent_company_id",
    },
    "activities": {
        "activity_id": "id",
        "owner_id": "ownerId",
        "opportunity_id": "dealId",
        "lead_id": "contactId",
        "kind": "type",
        "occurred_at": "timestamp",
    },
    "stages": {
        "pipeline": "pipelineId",
        "stage": "label",
        "position": "displayOrder",
        "is_closed": "isClosed",
        "forecast_category": "forecastCategory",
    },
    "leads": {
        "lead_id": "hs_object_id",
        "source": "lead_source",
        "owner_id": "hubspot_owner_id",
        "created_at": "createdate",
        "opportunity_id": "associated_deal_id",
    },
    "line_items": {"opportunity_id": "deal_id", "line": "hs_position_on_quote", "product": "name"},
    "opportunity_splits": {
        "opportunity_id": "deal_id",
        "owner_id": "hubspot_owner_id",
        "share": "hs_deal_split_percentage",
        "kind": "hs_split_type",
    },
}
IN_HISTORY = ("stage", "amount", "close_date", "probability", "forecast_category", "owner_id", "next_step")
# Of no object, so written as they are.
BESIDE = ("targets", "actuals", "tool_usage", "forecast_submissions", "territory_assignments", "costs", "market")


def files(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The frames of the export by file name, each cell as HubSpot writes it."""
    stages = tables["stages"]
    return {
        "deals": deals(tables["opportunities"], stages),
        "deal_property_history": property_history(tables["stage_history"], stages),
        "pipelines": pipelines(stages),
        "pipeline_stages": pipeline_stages(stages),
        "owners": owners(tables["reps"]),
        "companies": properties(tables["accounts"], "accounts"),
        "engagements": engagements(tables["activities"]),
        "contacts": properties(tables["leads"], "leads"),
        "all_line_items": properties(tables["line_items"], "line_items"),
        "deal_splits": properties(tables["opportunity_splits"], "opportunity_splits"),
    } | {name: with_ids(tables[name]) for name in BESIDE}


def record_ids(ids: pd.Series) -> pd.Series:
    """Numeric ids of our ids: the number, after a number for its letter.

    Examples
    --------
    >>> record_ids(pd.Series(["D-0000042", None])).tolist()
    ['680000042', nan]
    """
    letters = ids.str[0].map(lambda letter: str(ord(letter)), na_action="ignore").astype("str")
    return letters + ids.str[2:]


def with_ids(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame of ours under the CRM's ids."""
    ids = {name: record_ids(frame[name]) for name in frame.columns if name in IDS}
    if "scope_id" in frame:
        ids["scope_id"] = frame["scope_id"].mask(frame["scope_kind"] == "rep", record_ids(frame["scope_id"]))
    return frame.assign(**ids)


def properties(frame: pd.DataFrame, table: str) -> pd.DataFrame:
    """A table's columns as properties: HubSpot's own by their internal name, the others under ours."""
    names = {name: PROPERTIES[table].get(name, name.removeprefix("x_")) for name in frame.columns}
    return _written(frame, table).rename(columns=names)


def _written(frame: pd.DataFrame, table: str) -> pd.DataFrame:
    return written.cells(with_ids(frame), table, day=TIME, moment=TIME)


def deals(table: pd.DataFrame, stages: pd.DataFrame) -> pd.DataFrame:
    """deals: pipeline and stage as ids; what became of a deal is in its two flags."""
    told = _coded(written.flagged(table), stages)
    return properties(told.assign(opportunity_type=table["opportunity_type"].map(TYPES)), "opportunities")


def property_history(history: pd.DataFrame, stages: pd.DataFrame) -> pd.DataFrame:
    """deal_property_history: a row for each property at each of its changes, the first value among them."""
    told = _written(_coded(history, stages), "stage_history")
    parts = [
        pd.DataFrame(
            {
                "deal_id": told["opportunity_id"],
                "name": PROPERTIES["opportunities"].get(column, column),
                "value": told[column].astype("str"),
                "timestamp": told["changed_at"],
                "source": "CRM_UI",
            }
        )[written.changed(history, [column])]
        for column in IN_HISTORY
    ]
    return pd.concat(parts).sort_index(kind="stable")


def _coded(table: pd.DataFrame, stages: pd.DataFrame) -> pd.DataFrame:
    """Pipelines, stages and categories as HubSpot has them; a stage that is in no pipeline has an id without label."""
    known = dict(zip(zip(stages["pipeline"], stages["stage"], strict=True), stage_ids(stages), strict=True))
    pairs = zip(table["pipeline"], table["stage"].fillna(""), strict=True)
    ids = [known.get(pair, pair[1].replace(" ", "").lower() or None) for pair in pairs]
    return table.assign(
        pipeline=table["pipeline"].map(pipeline_ids(stages)),
        stage=pd.Series(ids, index=table.index, dtype="str"),
        forecast_category=table["forecast_category"].map(CATEGORIES),
    )


def pipeline_ids(stages: pd.DataFrame) -> dict[str, str]:
    """Id of each pipeline by its label; the first is HubSpot's own."""
    labels = stages["pipeline"].drop_duplicates()
    return {label: "default" if number == 0 else str(7_000_000 + number) for number, label in enumerate(labels)}


def stage_ids(stages: pd.DataFrame) -> pd.Series:
    """Id of each stage: stages of one label in two pipelines are two."""
    return pd.Series(range(41_000_001, 41_000_001 + len(stages)), index=stages.index).astype("str")


def pipelines(stages: pd.DataFrame) -> pd.DataFrame:
    """The pipelines that the stages belong to, as HubSpot exports them."""
    ids = pipeline_ids(stages)
    return pd.DataFrame({"id": list(ids.values()), "label": list(ids), "displayOrder": range(len(ids))})


def pipeline_stages(stages: pd.DataFrame) -> pd.DataFrame:
    """Stages in order; won is what is closed with probability 1."""
    told = stages.drop(columns=["valid_from", "is_won"]).assign(
        pipeline=stages["pipeline"].map(pipeline_ids(stages)),
        forecast_category=stages["forecast_category"].map(CATEGORIES),
    )
    named = properties(told, "stages")
    named.insert(0, "id", stage_ids(stages))
    return named


def owners(reps: pd.DataFrame) -> pd.DataFrame:
    """The reps as HubSpot's owners, first and last name apart."""
    names = reps["name"].str.partition(" ")
    return properties(reps.drop(columns="name"), "reps").assign(firstName=names[0], lastName=names[2])


def engagements(activities: pd.DataFrame) -> pd.DataFrame:
    """The activities as HubSpot's engagements, their kinds in capitals."""
    return properties(activities.assign(kind=activities["kind"].str.upper()), "activities")
