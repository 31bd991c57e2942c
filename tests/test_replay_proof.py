"""The proof of the replay: a company loaded as of a day is the company of that day, and ten deals read by hand."""

import random
from datetime import date

import pandas as pd
import pytest

from salesops import crm
from salesops.crm import model, sample

DAYS = random.Random(20260930).sample(pd.date_range("2022-10-03", "2026-09-29").date.tolist(), 200)
FIRST = 20  # the days that are tried every time; the others are of the full counts


@pytest.mark.parametrize(
    "day", [pytest.param(day, id=str(day), marks=[pytest.mark.full] * (n >= FIRST)) for n, day in enumerate(DAYS)]
)
def test_the_sample_as_of_a_day_is_the_sample_of_that_day(monkeypatch, day):
    tables = sample.tables
    replayed = crm.load("sample", as_of=day, where=None)
    monkeypatch.setattr(sample, "tables", lambda: tables(until=day))
    simulated = crm.load("sample", as_of=day, where=None)
    assert (replayed.replay, replayed.data_through) == ("full", simulated.data_through)
    assert len(replayed.stage_history)
    for table in model.TABLES:
        pair = [
            getattr(company, table).sort_values(model.keys(table), ignore_index=True)
            for company in (replayed, simulated)
        ]
        pd.testing.assert_frame_equal(*pair, obj=table)


# Ten deals, read off their history rows: stage, amount, close date, owner and outcome on the evening of a day.
LIVES = {
    # jumps from Solution over Proposal to Negotiation
    "D-0002918": {
        "2024-10-07": ("Discovery", 5560, "2024-12-16", "U-039", "open"),
        "2024-10-25": ("Qualified", 4210, "2024-12-16", "U-039", "open"),
        "2024-12-06": ("Solution", 4210, "2025-01-27", "U-039", "open"),
        "2025-01-08": ("Negotiation", 4210, "2025-01-27", "U-039", "open"),
        "2025-03-31": ("Closed Lost", 4700, "2025-01-16", "U-039", "lost"),
    },
    # returns from Business Case to Scoping, then comes to nothing
    "D-0002920": {
        "2024-10-07": ("Scoping", 17370, "2024-11-18", "U-021", "open"),
        "2024-11-20": ("Business Case", 19560, "2024-12-24", "U-021", "open"),
        "2024-12-06": ("Scoping", 14080, "2024-12-24", "U-021", "open"),
        "2025-01-08": ("No Decision", 11750, "2024-12-10", "U-021", "no_decision"),
    },
    # lost on 4 December, opened again on the 20th, lost for good in March
    "D-0003071": {
        "2024-10-25": None,
        "2024-11-20": ("Qualified", 102910, "2025-01-20", "U-040", "open"),
        "2024-12-06": ("Closed Lost", 102910, "2024-12-04", "U-040", "lost"),
        "2025-01-08": ("Qualified", 105320, "2025-02-28", "U-040", "open"),
        "2025-03-31": ("Closed Lost", 68780, "2025-03-06", "U-040", "lost"),
    },
    # pushed on the evening of 29 November, the day it was to close
    "D-0002915": {
        "2024-10-07": ("Qualified", 307790, "2024-11-29", "U-005", "open"),
        "2024-11-20": ("Qualified", 307790, "2024-11-29", "U-005", "open"),
        "2024-12-06": ("Qualified", 307790, "2024-12-16", "U-005", "open"),
        "2025-01-08": ("Proposal", 307790, "2025-02-28", "U-005", "open"),
        "2025-03-31": ("Closed Lost", 330600, "2025-02-07", "U-005", "lost"),
    },
    # handed over on 11 November, when U-028 left
    "D-0002977": {
        "2024-10-25": ("Business Case", 9970, "2025-01-20", "U-028", "open"),
        "2024-11-20": ("Business Case", 9970, "2025-01-20", "U-010", "open"),
        "2025-01-08": ("Quote", 9360, "2025-01-20", "U-010", "open"),
        "2025-03-31": ("Approval", 9190, "2025-04-14", "U-010", "open"),
        "2026-09-30": ("Closed Lost", 9190, "2025-04-01", "U-010", "lost"),
    },
    # ends in no decision the day before it was to close
    "D-0002911": {
        "2024-10-07": ("Qualified", 25250, "2024-12-10", "U-026", "open"),
        "2024-10-25": ("Negotiation", 25250, "2024-11-27", "U-026", "open"),
        "2024-12-06": ("No Decision", 25250, "2024-11-26", "U-026", "no_decision"),
        "2025-03-31": ("No Decision", 25250, "2024-11-26", "U-026", "no_decision"),
    },
    # cut by a fifth on 4 December
    "D-0002913": {
        "2024-11-20": ("Qualified", 23360, "2025-01-13", "U-007", "open"),
        "2024-12-06": ("Proposal", 18640, "2025-02-28", "U-007", "open"),
        "2025-01-08": ("Closed Lost", 18640, "2024-12-18", "U-007", "lost"),
    },
    # won on the last day of a quarter
    "D-0003141": {
        "2024-10-25": None,
        "2024-11-20": ("Discovery", 29280, "2025-03-26", "U-011", "open"),
        "2024-12-06": ("Solution", 29280, "2025-01-31", "U-011", "open"),
        "2025-01-08": ("Solution", 29280, "2025-01-31", "U-011", "open"),
        "2025-03-31": ("Closed Won", 22700, "2025-03-31", "U-011", "won"),
    },
    # open to this day; pushed once more on the last evening
    "D-0004547": {
        "2025-03-31": None,
        "2026-01-31": ("Qualified", 20960, "2026-05-25", "U-024", "open"),
        "2026-09-30": ("Solution", 20960, "2026-10-26", "U-024", "open"),
    },
    # a renewal, won two days early
    "D-0002910": {
        "2024-10-07": ("Scoping", 45880, "2025-01-17", "U-004", "open"),
        "2024-12-06": ("Scoping", 45880, "2025-01-17", "U-004", "open"),
        "2025-01-08": ("Approval", 39400, "2025-01-17", "U-004", "open"),
        "2025-03-31": ("Closed Won", 39400, "2025-01-15", "U-004", "won"),
    },
}


@pytest.mark.parametrize("day", sorted({day for life in LIVES.values() for day in life}))
def test_ten_deals_read_by_hand(day):
    deals = crm.load("sample", as_of=day, where=None).opportunities.set_index("opportunity_id")
    for deal, life in LIVES.items():
        if day not in life:
            continue
        if life[day] is None:
            assert deal not in deals.index, f"{deal} is not yet created on {day}"
            continue
        stage, amount, close_date, owner, outcome = life[day]
        now = deals.loc[deal]
        found = (now["stage"], now["amount"], now["close_date"].date(), now["owner_id"], now["outcome"])
        assert found == (stage, amount, date.fromisoformat(close_date), owner, outcome), f"{deal} on {day}"
        assert (now["is_closed"], now["is_won"]) == (outcome != "open", outcome == "won")
