"""Changes become states: each row holds the values in force after it."""

import random

import pandas as pd
import pytest
from test_crm_shapes import DEALS, SALESFORCE, STAGES, folder

from salesops import crm
from salesops.crm import histories

ONE_MEANING = STAGES.replace("22,service,Done,1,true,0.9", "22,service,Over,1,true,0.0")
NEW = "0061G00000HhviAQAR"


def states_by_loop(changes: pd.DataFrame, deals: pd.DataFrame, fields: list[str]) -> list[tuple]:
    """The states of each deal, one change after the other."""
    rows = []
    for deal in deals.to_dict("records"):
        own = changes[changes["opportunity_id"] == deal["opportunity_id"]].to_dict("records")
        now = {}
        for field in fields:
            first = [change for change in own if change["field"] == field]
            first = min(first, key=lambda change: change["at"]) if first else None
            now[field] = first["old"] if first else deal[field]
        moments = {change["at"] for change in own}
        if not moments or deal["at"] <= min(moments):
            moments.add(deal["at"])
        for seq, at in enumerate(sorted(moments), start=1):
            for change in own:
                if change["at"] == at and change["field"] in now:
                    now[change["field"]] = change["new"]
            rows.append((deal["opportunity_id"], at, seq, *(now[field] for field in fields)))
    return rows


@pytest.mark.parametrize("seed", range(20))
def test_states_equal_those_of_a_loop(seed):
    draw = random.Random(seed)
    fields = ["stage", "amount", "owner_id"]
    at = pd.date_range("2026-01-01", periods=40, freq="D")
    deals = pd.DataFrame(
        [
            {"opportunity_id": f"d{n}", "at": draw.choice(at[:10]), **{f: f"{f}{draw.randrange(4)}" for f in fields}}
            for n in range(8)
        ]
    )
    values = [*(str(n) for n in range(5)), None]
    rows, seen = [], set()
    for _ in range(60):
        key = (f"d{draw.randrange(7)}", draw.choice(at), draw.choice(fields))
        if key not in seen:
            seen.add(key)
            stage = key[2] == "stage"
            rows.append((*key, draw.choice(values[: 5 if stage else 6]), draw.choice(values[: 5 if stage else 6])))
    changes = pd.DataFrame(rows, columns=["opportunity_id", "at", "field", "old", "new"])
    found = histories.of_changes(changes, deals)
    expected = pd.DataFrame(
        states_by_loop(changes, deals, fields), columns=["opportunity_id", "changed_at", "seq", *fields]
    )
    expected = expected.sort_values(["opportunity_id", "changed_at"], ignore_index=True)
    pd.testing.assert_frame_equal(
        found[list(expected.columns)].fillna("-").astype(str), expected.fillna("-").astype(str)
    )


def test_opportunity_history_holds_values_after_the_change(tmp_path):
    history = (
        "Id,OpportunityId,StageName,Amount,CloseDate,Probability,ForecastCategory,CreatedDate,CreatedById\n"
        f"008A,{NEW},Discovery,50,2026-11-01,10,Pipeline,2026-01-02T08:00:00.000+0000,005A\n"
        f"008B,{NEW},Proposal,100,2026-12-01,60,Forecast,2026-02-10T08:00:00.000+0000,005A\n"
    )
    path = folder(tmp_path, Opportunity=SALESFORCE, OpportunityHistory=history)
    before = crm.load(path, as_of="2026-02-09", where="").opportunities.set_index("name").loc["Acme"]
    after = crm.load(path, as_of="2026-02-10", where="").opportunities.set_index("name").loc["Acme"]
    assert (before["stage"], before["amount"], before["probability"], before["forecast_category"]) == (
        "Discovery",
        50.0,
        0.1,
        "pipeline",
    )
    assert (after["stage"], after["amount"], after["probability"], after["forecast_category"]) == (
        "Proposal",
        100.0,
        0.6,
        "commit",
    )
    assert before["close_date"] == pd.Timestamp("2026-11-01")
    company = crm.load(path, where="")
    assert company.stage_order() == ["Discovery", "Proposal"]
    assert company.stage_history["seq"].tolist() == [1, 2], "numbered along each deal"


def test_field_history_is_pivoted(tmp_path):
    history = (
        "Id,OpportunityId,Field,OldValue,NewValue,CreatedDate\n"
        f"017A,{NEW},created,,,2026-01-02T08:00:00.000+0000\n"
        f"017B,{NEW},StageName,Discovery,Proposal,2026-02-10T08:00:00.000+0000\n"
        f"017C,{NEW},Owner,005A1G000007Ez4,005A1G000007EpS,2026-03-01T08:00:00.000+0000\n"
        f"017D,{NEW},Owner,Ann Bell,Bob Cole,2026-03-01T08:00:00.000+0000\n"
        f"017E,{NEW},Custom__c,a,b,2026-03-05T08:00:00.000+0000\n"
    )
    company = crm.load(folder(tmp_path, Opportunity=SALESFORCE, OpportunityFieldHistory=history), where="")
    rows = company.stage_history
    rows = rows[rows["opportunity_id"] == NEW[:15]]
    assert rows["stage"].tolist() == ["Discovery", "Proposal", "Proposal", "Proposal"]
    assert rows["owner_id"].tolist() == ["005A1G000007Ez4"] * 2 + ["005A1G000007EpS"] * 2, "by id, not by name"
    assert rows["amount"].tolist() == [100.0] * 4, "never changed: its current value throughout"
    assert rows["seq"].tolist() == [1, 2, 3, 4]
    assert company.stage_history["opportunity_id"].nunique() == 3, "a deal without a change has one row, when created"


def test_property_history_is_pivoted(tmp_path):
    history = (
        "deal_id,name,value,timestamp,source\n"
        "2,dealstage,11,2026-01-03T08:00:00Z,CRM_UI\n2,dealstage,12,2026-03-01T09:00:00Z,CRM_UI\n"
        "2,amount,150,2026-01-03T08:00:00Z,CRM_UI\n2,amount,200,2026-02-01T08:00:00Z,CRM_UI\n"
        "2,some_property,x,2026-02-02T08:00:00Z,CRM_UI\n"
    )
    path = folder(tmp_path, deals=DEALS, deal_pipeline_stages=ONE_MEANING, deal_property_history=history)
    rows = crm.load(path, where="").stage_history.query("opportunity_id == '2'")
    assert rows["stage"].tolist() == ["Offer", "Offer", "Offer", "Done"]
    assert rows["amount"].tolist() == [150.0, 200.0, 200.0, 200.0]
    assert crm.load(path, as_of="2026-02-15", where="").opportunities.set_index("name").loc["Bolt", "outcome"] == "open"


@pytest.mark.parametrize(
    ("offer", "done"),
    [
        ("hs_v2_date_entered_11", "hs_v2_date_entered_12"),
        ("hs_date_entered_11", "hs_date_entered_12"),
        ('"Date entered ""Offer (Sales)"""', '"Date entered ""Done (Sales)"""'),
    ],
)
def test_columns_of_dates_are_unpivoted(tmp_path, offer, done):
    lines = DEALS.splitlines()
    dates = ["2026-01-02T08:00:00Z,", "2026-01-03T08:00:00Z,2026-03-01T09:00:00Z", ",", ",", ","]
    text = "\n".join(
        [
            f"{lines[0]},{offer},{done},hs_v2_date_exited_11",
            *(f"{a},{b}," for a, b in zip(lines[1:], dates, strict=True)),
        ]
    )
    company = crm.load(folder(tmp_path, deals=text + "\n", deal_pipeline_stages=ONE_MEANING), where="")
    rows = company.stage_history.sort_values(["opportunity_id", "changed_at"])
    assert rows[["opportunity_id", "stage"]].values.tolist() == [["1", "Offer"], ["2", "Offer"], ["2", "Done"]]
    assert rows["pipeline"].tolist() == ["default"] * 3
    assert not [name for name in company.opportunities if "date_e" in name]


def test_two_histories_make_one(tmp_path):
    history = (
        "Id,OpportunityId,StageName,Amount,CreatedDate,CreatedById\n"
        f"008A,{NEW},Discovery,50,2026-01-02T08:00:00.000+0000,005A\n"
        f"008B,{NEW},Proposal,100,2026-02-10T08:00:00.000+0000,005A\n"
    )
    fields = (
        "Id,OpportunityId,Field,OldValue,NewValue,CreatedDate\n"
        f"017A,{NEW},NextStep,Call,,2026-02-01T08:00:00.000+0000\n"
        f"017B,{NEW},Amount,50,999,2026-02-02T08:00:00.000+0000\n"
    )
    path = folder(tmp_path, Opportunity=SALESFORCE, OpportunityHistory=history, OpportunityFieldHistory=fields)
    rows = crm.load(path, where="").stage_history.query("opportunity_id == @NEW[:15]")
    assert rows["stage"].tolist() == ["Discovery", "Discovery", "Proposal"]
    assert rows["next_step"].fillna("-").tolist() == ["Call", "-", "-"], "emptied is a change"
    assert rows["amount"].tolist() == [50.0, 50.0, 100.0], "OpportunityHistory is the word on what it holds"
