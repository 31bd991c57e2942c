"""Rep performance against hand-worked cases, simulated reps and its own invariants."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from conftest import deals
from rep_toys import people

from salesops import attainment, rep_performance, win_loss
from salesops.crm import model
from salesops.periods import Period

AS_OF = date(2026, 9, 30)
Q3 = Period("2026Q3", date(2026, 7, 1), AS_OF)


@pytest.fixture
def reps():
    return people(
        [
            {"owner_id": "r1", "name": "Zoe"},
            {"owner_id": "r2", "name": "Ann", "team": "West"},
            {"owner_id": "m1", "name": "Max", "role": "manager", "team": "East"},
        ]
    )


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


def rates(won: list[int], n: list[int]) -> pd.DataFrame:
    return pd.DataFrame({"owner_id": [f"r{number}" for number in range(len(n))], "n": n, "won_count": won})


def test_limits_of_chance_are_the_exact_binomial_ones():
    # 300 of 1,000 won. Of 100 at 0.3, P(X >= 46) = 0.0005 and P(X >= 45) = 0.0011; P(X <= 16) = 0.00097.
    table = rep_performance.beyond_chance(rates([46, 45, 16, 193], [100, 100, 100, 700]))
    assert table["is_outside"].tolist() == [True, False, True, False]
    assert rep_performance.beyond_chance(rates([19, 0], [19, 10_000])).shape[0] == 1  # 19 deals: not judged


def test_equal_reps_are_hardly_ever_marked():
    """Thirty equal reps, a thousand reports: 0.2 % of reps at most, against 5 % by the usual 95 %."""
    rng = np.random.default_rng(0)
    n = rng.integers(20, 120, 30)
    reports = (rep_performance.beyond_chance(rates(rng.binomial(n, 0.28), n)) for _ in range(1000))
    marked = sum(report["is_outside"].sum() for report in reports)
    assert marked / 30_000 <= 0.002


def test_headlines_of_a_good_and_of_a_running_quarter():
    company = pd.DataFrame({"quota_attainment_rate": [0.907]})
    achievement = attainment.quota_achievement(pd.DataFrame({"quota_attainment_rate": [1.2, 0.4, 0.9]}))
    equal, other = rates([30, 28, 31], [100] * 3), rates([60, 28, 25, 24], [100] * 4)
    said = rep_performance.headlines(company, achievement, equal, period=Q3, window=Q3, as_of=AS_OF)
    assert said == [
        "The company won 91 % of its bookings target in 2026Q3.",
        "1 of 3 reps with a quota reached it.",
        "The differences between the win rates of 3 reps in 2026Q3 are no larger than chance would make them.",
    ]
    said = rep_performance.headlines(company, achievement, other, period=Q3, window=Q3, as_of=date(2026, 8, 1))
    assert said[0] == "The company won 91 % of its bookings target so far in 2026Q3."
    assert said[2] == (
        "1 of 4 reps has a win rate in 2026Q3 that chance alone does not explain; deal mix and territory may."
    )


def test_headlines_without_targets_and_with_too_few():
    nothing = attainment.quota_achievement(pd.DataFrame({"quota_attainment_rate": [np.nan]}))
    company, whole = pd.DataFrame({"quota_attainment_rate": [np.nan]}), Period("all", Q3.start, Q3.end)
    said = rep_performance.headlines(company, nothing, rates([1], [5]), period=whole, window=whole, as_of=AS_OF)
    assert said == [
        "There is no bookings target for the company in this period, so attainment cannot be told.",
        "No rep has a quota in this period, so who reached it cannot be told.",
        "Too few reps closed 20 deals over all dates to compare their win rates.",
    ]


def test_nobody_is_named_or_ranked(reps):
    won = deals([{"owner_id": "r1"}] * 30 + [{"owner_id": "r2", "outcome": "lost"}] * 30)
    table = rep_performance.named(win_loss.win_rate(won, by="owner_id"), reps)
    assert table["name"].tolist() == ["Ann", "Zoe"]
    achievement = attainment.quota_achievement(pd.DataFrame({"quota_attainment_rate": []}))
    company = pd.DataFrame({"quota_attainment_rate": [1.0]})
    said = " ".join(rep_performance.headlines(company, achievement, table, period=Q3, window=Q3, as_of=AS_OF))
    assert "2 of 2 reps have win rates" in said and not {"Ann", "Zoe", "r1", "r2"} & set(said.split())
