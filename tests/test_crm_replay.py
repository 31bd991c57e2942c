"""The company as it stood on a day: default day, full and partial replay, and the day's end."""

import random
from datetime import date

import pandas as pd
import pytest
from crm_folder import DEALS, HEADER, write

from salesops import crm
from salesops.checks import ParameterError
from salesops.crm import model, sample

STAGES = """
stages: {order: [Lead, Offer], won: [Won], lost: [Lost]}
"""
HISTORY = """opportunity_id,changed_at,stage,amount,close_date,owner_id
d1,2026-01-10 09:00,Lead,50,2026-02-28,u1
d1,2026-02-10 09:00,Offer,80,2026-03-15,u2
d1,2026-03-31 09:00,Won,100,2026-03-31,u2
d2,2026-02-01 09:00,Lead,200,2026-04-30,u1
d2,2026-02-20 09:00,Lost,200,2026-02-20,u1
d2,2026-03-05 09:00,Offer,210,2026-05-31,u1
d2,2026-04-15 09:00,Lost,210,2026-04-15,u1
d3,2026-03-01 09:00,Lead,300,2026-12-31,u1
"""
FIELDS = "opportunity_id,owner_id,stage,amount,close_date,created_date,closed_at,loss_reason,outcome"
TODAY = f"""{FIELDS}
d1,u2,Won,100,2026-03-31,2026-01-10,2026-03-31 09:00,,won
d2,u1,Lost,210,2026-04-15,2026-02-01,2026-04-15 09:00,Price,lost
d3,u1,Lead,300,2026-12-31,2026-03-01,,,open
"""


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path, yaml=STAGES, opportunities=TODAY, stage_history=HISTORY)


def state(folder, day: str, *fields: str) -> list:
    deals = crm.load(folder, as_of=day).opportunities
    return (
        deals.set_index("opportunity_id")[list(fields)]
        .astype(object)
        .where(lambda cells: cells.notna(), None)
        .T.to_dict("list")
    )


def test_the_default_day_is_the_latest_event_and_never_an_expected_close(folder):
    company = crm.load(folder)
    assert company.as_of == company.data_through == date(2026, 4, 15) and company.replay == "full"


def test_targets_and_dates_out_of_range_are_no_events(tmp_path):
    targets = "metric,scope_kind,scope_id,period_start,value\nbookings_amount,rep,u1,2027-01-01,5\n"
    rows = DEALS + "d4,1,2201-01-01,2026-01-15,won\nd5,1,2026-11-01,2026-01-15,won\n"
    assert crm.load(write(tmp_path, opportunities=rows, targets=targets)).as_of == date(2026, 4, 15)


def test_later_or_earlier_days_leave_data_through_where_the_data_end(folder):
    assert crm.load(folder, as_of="2026-07-01").data_through == date(2026, 4, 15)
    assert crm.load(folder, as_of=date(2026, 3, 7)).data_through == date(2026, 3, 5)


def test_without_any_date_as_of_must_be_given(tmp_path):
    folder = write(tmp_path, opportunities="opportunity_id,outcome\nd1,won\n")
    with pytest.raises(ParameterError) as error:
        crm.load(folder)
    assert str(error.value) == f"as_of: {tmp_path.name} holds no dates to tell it. Give it, e.g. as_of=2026-09-30."
    assert crm.load(folder, as_of="2026-01-01").as_of == date(2026, 1, 1)


def test_a_day_that_is_no_date_is_refused(folder):
    with pytest.raises(ParameterError, match=r"as_of: '31\.3\.2026' is no date\. Write it as 2026-09-30\."):
        crm.load(folder, as_of="31.3.2026")


def test_history_brings_back_the_values_in_force(folder):
    day = pd.Timestamp
    fields = ("stage", "amount", "owner_id", "outcome")
    assert state(folder, "2026-01-31", *fields) == {"d1": ["Lead", 50, "u1", "open"]}
    assert state(folder, "2026-03-30", *fields) == {
        "d1": ["Offer", 80, "u2", "open"], "d2": ["Offer", 210, "u1", "open"], "d3": ["Lead", 300, "u1", "open"],
    }  # fmt: skip
    assert state(folder, "2026-03-31", "outcome", "is_won", "close_date")["d1"] == ["won", True, day("2026-03-31")]


def test_a_deal_closed_and_reopened_closed_when_it_first_did(folder):
    fields = ("outcome", "closed_at", "close_date", "loss_reason")
    first = ["lost", pd.Timestamp("2026-02-20 09:00"), pd.Timestamp("2026-02-20"), None]
    assert state(folder, "2026-02-25", *fields)["d2"] == first
    assert state(folder, "2026-03-10", *fields)["d2"] == ["open", None, pd.Timestamp("2026-05-31"), None]
    last = ["lost", pd.Timestamp("2026-04-15 09:00"), pd.Timestamp("2026-04-15"), "Price"]
    assert state(folder, "2026-04-15", *fields)["d2"] == last


def test_a_deal_that_closed_without_leaving_its_stage_was_open_before(tmp_path):
    history = "opportunity_id,changed_at,stage\nd1,2026-01-10,Offer\nd2,2026-01-01,Lead\n"
    rows = f"{HEADER},stage\nd1,1,2026-01-10,2026-03-31,won,Offer\nd2,1,2026-01-01,2026-05-31,open,Lead\n"
    folder = write(tmp_path, yaml=STAGES, opportunities=rows, stage_history=history)
    assert state(folder, "2026-03-30", "outcome")["d1"] == ["open"]
    assert state(folder, "2026-03-31", "outcome")["d1"] == ["won"]


def test_history_without_a_column_leaves_it_and_says_so(tmp_path):
    history = "opportunity_id,changed_at,stage\nd1,2026-01-10,Lead\nd1,2026-03-31,Won\nd2,2026-02-01,Lead\n"
    company = crm.load(write(tmp_path, yaml=STAGES, opportunities=TODAY, stage_history=history), as_of="2026-02-15")
    assert company.opportunities["amount"].tolist() == [100, 210]
    assert (
        "stage_history has no amount, close_date, probability, forecast_category, owner_id, next_step"
        in company.notes[-1]
    )


def test_without_history_the_replay_is_partial_and_says_so(tmp_path):
    company = crm.load(write(tmp_path, opportunities=TODAY), as_of="2026-04-01")
    deals = company.opportunities.set_index("opportunity_id")
    assert company.replay == "partial" and deals["outcome"].tolist() == ["won", "open", "open"]
    assert (
        deals.loc["d2", ["stage", "close_date", "closed_at", "loss_reason"]].isna().all()
        and deals.loc["d2", "amount"] == 210
    )
    assert company.notes[-1] == (
        "The replay is partial: 3 deals have no history. 1 of them closed after 2026-04-01 "
        "and count as open, with the amount of the export and without stage and expected close."
    )
    assert crm.load(tmp_path, as_of="2026-02-15").opportunities["opportunity_id"].tolist() == ["d1", "d2"]
    assert "1 deals created after 2026-02-15 are left out." in crm.load(tmp_path, as_of="2026-02-15").notes


def test_a_day_ends_at_midnight_in_the_time_zone_of_the_source(tmp_path):
    rows = f"{HEADER}\nd1,1,2026-06-30T23:30:00Z,,open\nd2,1,2026-07-05T00:00:00Z,,open\n"
    assert len(crm.load(write(tmp_path, opportunities=rows), as_of="2026-06-30").opportunities) == 1
    assert (
        len(
            crm.load(
                write(tmp_path, yaml="time_zone: Asia/Tokyo", opportunities=rows), as_of="2026-06-30"
            ).opportunities
        )
        == 0
    )
    west = crm.load(write(tmp_path, yaml="time_zone: America/New_York", opportunities=rows))
    assert west.as_of == date(2026, 7, 4)


def test_every_other_table_is_cut_at_the_day(tmp_path):
    folder = write(
        tmp_path,
        yaml="fiscal: {start_month: 7}",
        reps="owner_id,hire_date,left_date\nu1,2020-01-01,2026-04-10\nu2,2026-04-12,\n",
        accounts="account_id,customer_since\na1,2026-03-31\na2,2026-01-01\n",
        activities="opportunity_id,kind,occurred_at\nd1,call,2026-02-02 10:00\nd1,call,2026-04-02 10:00\n",
        leads="lead_id,created_at,converted_at,opportunity_id,disqualified_at,reason\n"
        "l1,2026-01-01,2026-04-05,d1,,\nl2,2026-01-01,,,2026-01-09,Spam\nl3,2026-04-01,,,,\n",
        line_items="opportunity_id,product,amount\nd1,x,100\nd2,y,5\n",
        targets="metric,scope_kind,scope_id,period_start,value\nb,rep,u1,2026-01-01,1\nb,rep,u1,2026-07-01,1\n",
        market="month,factor,value,is_planned\n2026-01-01,gdp,1,no\n2026-05-01,gdp,2,no\n2026-05-01,ads,3,yes\n",
        territory_assignments="territory,owner_id,valid_from,valid_to\nN,u1,2025-01-01,2026-04-11\nN,u2,2026-04-12,\n",
    )
    then = crm.load(folder, as_of="2026-03-30")
    assert then.reps["owner_id"].tolist() == ["u1"] and then.reps["left_date"].isna().all()
    assert then.accounts["customer_since"].isna().tolist() == [True, False]
    assert len(then.activities) == 1 and then.opportunities["last_activity_date"][0] == pd.Timestamp("2026-02-02")
    assert then.leads["lead_id"].tolist() == ["l1", "l2"]
    assert (
        then.leads[["opportunity_id", "converted_at"]].isna().all(axis=None)
        and then.leads["reason"].tolist()[1] == "Spam"
    )
    assert then.line_items.empty and len(then.targets) == 1 and then.market["factor"].tolist() == ["gdp", "ads"]
    assert then.territory_assignments["valid_to"].isna().tolist() == [True]
    now = crm.load(folder)
    assert now.line_items["opportunity_id"].tolist() == ["d1", "d2"] and len(now.targets) == 2


@pytest.mark.parametrize("day", sorted(random.Random(2).sample(pd.date_range("2023-01-01", "2026-09-29").tolist(), 4)))
def test_the_replayed_sample_is_the_sample_of_that_day(monkeypatch, day):
    tables = sample.tables
    monkeypatch.setattr(sample, "tables", lambda: tables(size=1500))
    replayed = crm.load("sample", as_of=day.date(), where=None)
    monkeypatch.setattr(sample, "tables", lambda: tables(size=1500, until=day.date()))
    simulated = crm.load("sample", as_of=day.date(), where=None)
    assert replayed.data_through == simulated.data_through
    for table in model.TABLES:
        keys = model.keys(table)
        frames = [getattr(company, table).sort_values(keys, ignore_index=True) for company in (replayed, simulated)]
        pd.testing.assert_frame_equal(*frames, obj=f"{table} on {day:%Y-%m-%d}")
