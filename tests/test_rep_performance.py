"""Rep performance against hand-worked cases, simulated reps and its own invariants."""

from datetime import date

import numpy as np
import pandas as pd
from conftest import deals

from salesops import rep_performance, win_loss
from salesops.crm import model
from salesops.periods import Period

AS_OF = date(2026, 9, 30)
Q3 = Period("2026Q3", date(2026, 7, 1), AS_OF)


def test_credit_goes_to_the_owner_at_the_close(reps):
    won = deals(
        [
            {"opportunity_id": "A", "owner_id": "r2", "closed_at": "2026-08-01 12:00"},
            {"opportunity_id": "B", "owner_id": "r2", "closed_at": "2026-08-01 12:00", "amount": 300.0},
            {"opportunity_id": "C", "owner_id": "x9", "closed_at": None},
        ]
    )
    rows = [
        ("A", "2026-07-01", 1, "r1"),
        ("A", "2026-08-01 12:00", 2, "r1"),
        ("A", "2026-08-05", 3, "r2"),
        ("B", "2026-07-01", 1, "r2"),
        ("B", "2026-07-09", 2, None),
    ]
    history = pd.DataFrame(rows, columns=["opportunity_id", "changed_at", "seq", "owner_id"])
    history["changed_at"] = pd.to_datetime(history["changed_at"], format="ISO8601")
    credited = rep_performance.credited(won, stage_history=model.conform(history, "stage_history"), reps=reps)
    assert credited["owner_id"].fillna("?").tolist() == ["r1", "r2", "?"]
    assert credited["team"].fillna("?").tolist() == ["East", "West", "?"]
    assert "25 % of the won amount" in rep_performance.credit_sentence(won[:2], credited[:2])
    assert "none of the won amount" in rep_performance.credit_sentence(won[:0], credited[:0])


COMPANY = pd.DataFrame({"quota_attainment_rate": [0.907]})


def test_attainment_of_a_good_of_a_running_quarter_and_without_a_target():
    said = rep_performance.attainment_sentence
    assert said(COMPANY, Q3, AS_OF) == "The company won 91 % of its bookings target in 2026Q3."
    early = said(COMPANY, Q3, date(2026, 8, 1), who="Zoe")
    assert early == "Zoe won 91 % of the bookings target so far in 2026Q3."
    summed = said(COMPANY.assign(n_quotas=12), Q3, AS_OF)
    assert summed == "The company won 91 % of the sum of 12 people's quotas in 2026Q3."
    none = "There is no bookings target for the company in this period, so attainment cannot be told."
    assert said(COMPANY.assign(quota_attainment_rate=np.nan), Q3, AS_OF) == none
    assert said(COMPANY.assign(quota_attainment_rate=np.nan), Q3, AS_OF, who="Zoe") == none.replace(
        "the company", "Zoe"
    )


def test_names_are_in_their_order_and_never_ranked(reps):
    won = deals([{"owner_id": "r1"}] * 30 + [{"owner_id": "r2", "outcome": "lost"}] * 30)
    table = rep_performance.named(win_loss.win_rate(won, by="owner_id"), reps)
    assert table["name"].tolist() == ["Ann", "Zoe"]
