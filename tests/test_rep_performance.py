"""Rep performance against hand-worked cases, simulated reps and its own invariants."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from conftest import deals
from hypothesis import given, settings
from hypothesis import strategies as st

from salesops import checks, rep_performance, win_loss
from salesops.crm import model
from salesops.periods import Period

AS_OF = date(2026, 9, 30)
Q3 = Period("2026Q3", date(2026, 7, 1), AS_OF)
FEW = settings(max_examples=30, deadline=None)


def people(rows: list[dict]) -> pd.DataFrame:
    usual = {"role": "rep", "team": "East", "hire_date": "2020-01-01", "left_date": None}
    frame = pd.DataFrame([usual | row for row in rows], columns=["owner_id", "name", *usual])
    for name in ("hire_date", "left_date"):
        frame[name] = pd.to_datetime(frame[name])
    return model.conform(frame, "reps")


def plan(rows: list[dict]) -> pd.DataFrame:
    usual = {
        "metric": "bookings_amount",
        "scope_kind": "rep",
        "scope_id": "r1",
        "period_start": "2026-07-01",
        "period_end": "2026-09-30",
        "version": "plan",
        "value": 92.0,
        "ramp_factor": None,
    }
    frame = pd.DataFrame([usual | row for row in rows], columns=list(usual))
    for name in ("period_start", "period_end"):
        frame[name] = pd.to_datetime(frame[name])
    return model.conform(frame, "targets")


def log(rows: list[dict]) -> pd.DataFrame:
    usual = {
        "owner_id": "r1",
        "kind": "meeting",
        "occurred_at": "2026-08-03",
        "direction": None,
        "is_held": None,
        "is_automated": None,
    }
    frame = pd.DataFrame([usual | row for row in rows], columns=list(usual))
    frame["occurred_at"] = pd.to_datetime(frame["occurred_at"])
    return model.conform(frame.assign(activity_id=range(len(frame))), "activities")


NO_REPS, NO_HISTORY = people([]), model.conform(pd.DataFrame(), "stage_history")


@pytest.fixture
def reps():
    return people(
        [
            {"owner_id": "r1", "name": "Zoe"},
            {"owner_id": "r2", "name": "Ann", "team": "West"},
            {"owner_id": "m1", "name": "Max", "role": "manager", "team": "East"},
        ]
    )


def quota(targets: list[dict], reps: pd.DataFrame, period: Period = Q3) -> list[float]:
    table = rep_performance.quota_attainment(deals([]), targets=plan(targets), reps=reps, period=period)
    return table["quota_amount"].tolist()


def test_attainment_by_hand(reps):
    won = deals(
        [
            {"owner_id": "r1", "amount": 30.0},
            {"owner_id": "r1", "amount": 16.0},
            {"owner_id": "r1", "amount": 1000.0, "outcome": "lost"},
            {"owner_id": "m1"},
            {"owner_id": "x9"},
        ]
    )
    won = rep_performance.credited(won, stage_history=NO_HISTORY, reps=reps)
    targets = plan([{}, {"scope_id": "r2"}, {"scope_id": "m1"}, {"metric": "meetings_held", "value": 5.0}])
    table = rep_performance.quota_attainment(won, targets=targets, reps=reps, period=Q3)
    assert table["name"].tolist() == ["Ann", "Zoe", "unknown owner"]  # by name; the manager is out
    assert table["n"].tolist() == [0, 2, 1] and table["won_amount"].tolist() == [0, 46, 100]
    assert table["quota_amount"].tolist()[:2] == [92, 92] and np.isnan(table["quota_amount"].iloc[2])
    assert table["quota_attainment_rate"].tolist()[:2] == [0, 0.5] and np.isnan(table["quota_attainment_rate"].iloc[2])


def test_quota_counts_ramp_seat_and_days_inside(reps):
    assert quota([{"ramp_factor": 0.25}], reps) == [23]
    assert quota(
        [
            {"period_start": f"2026-0{month}-01", "period_end": end, "value": 10.0}
            for month, end in ((7, "2026-07-31"), (8, "2026-08-31"), (9, "2026-09-30"))
        ],
        reps,
    ) == [30]
    assert quota([{}], reps, Period("2026-08", date(2026, 8, 1), date(2026, 8, 31))) == [31]  # 31 of 92 days
    assert quota([{}], people([{"owner_id": "r1", "name": "Zoe", "hire_date": "2026-08-31"}])) == [31]
    assert quota([{}], people([{"owner_id": "r1", "name": "Zoe", "left_date": "2026-07-31"}])) == [31]
    assert quota([{"period_end": None, "value": 31.0}], reps, Period("2026-07-01", Q3.start, Q3.start)) == [1]


def test_leavers_beside_those_who_stay():
    both = people(
        [
            {"owner_id": "r1", "name": "Zoe", "left_date": "2026-07-31"},
            {"owner_id": "r2", "name": "Ann", "hire_date": None},
        ]
    )
    assert quota([{}, {"scope_id": "r2"}], both) == [92, 31]


def test_one_who_was_not_there_has_no_quota(reps):
    assert quota([{}], people([{"owner_id": "r1", "name": "Zoe", "left_date": "2026-06-30"}])) == []
    assert quota([{"period_start": "2026-04-01", "period_end": "2026-06-30"}], reps) == []


def test_of_two_versions_the_last_counts(reps):
    assert quota([{"version": "v2", "value": 50.0}, {"version": "v1", "value": 40.0}], reps) == [50]


def test_team_region_and_company(reps):
    won = deals([{"owner_id": "r1", "region": "EMEA"}, {"owner_id": "m1", "region": "EMEA"}, {"owner_id": "r2"}])
    won = rep_performance.credited(won, stage_history=NO_HISTORY, reps=reps)
    targets = plan(
        [
            {"scope_kind": "team", "scope_id": "East", "value": 100.0},
            {},
            {"scope_kind": "region", "scope_id": "EMEA"},
            {"scope_kind": "company", "scope_id": "all of us", "value": 600.0},
        ]
    )
    team, region, company = (
        rep_performance.quota_attainment(won, targets=targets, reps=reps, period=Q3, scope=scope)
        for scope in ("team", "region", "company")
    )
    assert team["team"].tolist() == ["East", "West"] and team["quota_attainment_rate"].tolist()[0] == 2.0
    assert region["n"].tolist() == [2, 1] and region["region"].isna().tolist() == [False, True]
    assert company[["n", "won_amount", "quota_amount", "quota_attainment_rate"]].values.tolist() == [[3, 300, 600, 0.5]]


def test_targets_without_a_win_are_nothing_won_of_a_quota(reps):
    targets = plan([{"scope_kind": "company", "scope_id": "company"}])
    table = rep_performance.quota_attainment(deals([]), targets=targets, reps=reps, period=Q3, scope="company")
    assert table[["n", "won_amount", "quota_attainment_rate"]].values.tolist() == [[0, 0, 0]]


def test_wins_without_any_amount_are_of_unknown_money(reps):
    table = rep_performance.quota_attainment(deals([{"amount": None}]), targets=plan([{}]), reps=reps, period=Q3)
    assert table["n"].tolist() == [1] and np.isnan(table["won_amount"].iloc[0])


def test_no_targets_leave_the_rate_missing():
    table = rep_performance.quota_attainment(deals([{}]), targets=plan([]), reps=NO_REPS, period=Q3)
    assert table["name"].tolist() == ["r1"] and table["quota_attainment_rate"].isna().all()
    row = rep_performance.quota_achievement(table).iloc[0]
    assert row["n"] == 0 and np.isnan(row["quota_achievement_rate"]) and np.isnan(row["quota_achievement_rate_low"])


def test_an_unknown_scope_is_refused(reps):
    with pytest.raises(checks.ParameterError, match=r"scope: 'teem'\. Use rep, team, .*Did you mean 'team'\?"):
        rep_performance.quota_attainment(deals([]), targets=plan([]), reps=reps, period=Q3, scope="teem")


def test_achievement_is_a_share_of_reps_not_of_money():
    attainment = pd.DataFrame({"quota_attainment_rate": [5.0, 1.0, 0.99, 0.0, None]})
    row = rep_performance.quota_achievement(attainment).iloc[0]
    assert row[["n", "n_achieved", "quota_achievement_rate"]].tolist() == [4, 2, 0.5]


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


def test_activity_counts_by_hand(reps):
    done = log(
        [
            {"is_held": True},
            {"is_held": False},
            {},
            {"kind": "demo", "is_held": False},
            {"kind": "demo", "is_held": True},
            {"kind": "email", "is_automated": True},
            {"kind": "email", "direction": "inbound"},
            {"kind": "email", "direction": "outbound"},
            {"kind": "call"},
            {"kind": "proposal"},
            {"kind": "task"},
            {"occurred_at": "2026-06-30"},
            {"owner_id": "m1"},
        ]
    )
    created = deals([{"owner_id": "r1", "created_date": "2026-07-01"}, {"owner_id": "r1"}])
    table = rep_performance.activity_counts(done, opportunities=created, reps=reps, period=Q3, as_of=AS_OF)
    assert table["name"].tolist() == ["Ann", "Zoe"] and table["n_days"].tolist() == [92, 92]
    zoe = table.iloc[1].drop(["name", "owner_id", "n_days"]).to_dict()
    assert zoe == {
        "meetings_held": 2,
        "meetings_booked": 3,
        "calls": 1,
        "emails": 1,
        "demos": 1,
        "proposals": 1,
        "opportunities_created": 1,
    }
    assert table.iloc[0].drop(["name", "owner_id", "n_days"]).eq(0).all()


def test_exposure_is_days_employed_so_far():
    some = people(
        [
            {"owner_id": "r1", "name": "Zoe", "hire_date": "2026-07-11"},
            {"owner_id": "r2", "name": "Ann", "left_date": "2026-07-05"},
            {"owner_id": "r3", "name": "Bo", "left_date": "2026-06-30"},
        ]
    )
    day = date(2026, 7, 20)
    table = rep_performance.activity_counts(log([]), opportunities=deals([]), reps=some, period=Q3, as_of=day)
    assert dict(zip(table["name"], table["n_days"], strict=True)) == {"Ann": 5, "Zoe": 10}


def test_without_reps_everyone_who_did_something_has_a_row():
    table = rep_performance.activity_counts(
        log([{}, {"owner_id": "r2"}]), opportunities=deals([]), reps=NO_REPS, period=Q3, as_of=AS_OF
    )
    assert table["name"].tolist() == ["r1", "r2"] and table["n_days"].tolist() == [92, 92]


def test_nobody_and_nothing_done_is_an_empty_table():
    nobody = rep_performance.activity_counts(log([]), opportunities=deals([]), reps=NO_REPS, period=Q3, as_of=AS_OF)
    assert nobody.empty and "meetings_held" in nobody.columns
    assert rep_performance.activity_rates(rep_performance.team_activity(nobody, NO_REPS)).empty


def test_rates_are_per_30_days_with_exact_limits():
    table = pd.DataFrame({"owner_id": ["r1", "r2"], "n_days": [60, 0], "calls": [10, 0], "emails": [0, 0]})
    rates = rep_performance.activity_rates(table).set_index(["owner_id", "kind"])
    ten = rates.loc[("r1", "calls")]
    assert ten["monthly_activities"] == 5
    assert ten["monthly_activities_low"] == pytest.approx(4.7954 / 2, abs=1e-4)  # Garwood 1936
    assert ten["monthly_activities_high"] == pytest.approx(18.3904 / 2, abs=1e-4)
    assert rates.loc[("r1", "emails"), "monthly_activities"] == 0
    assert rates.loc["r2"][["monthly_activities", "monthly_activities_high"]].isna().all(axis=None)


def test_teams_add_up(reps):
    owners = {"name": ["Ann", "Zoe", "?"], "owner_id": ["r2", "r1", None]}
    table = pd.DataFrame(owners | {"n_days": [90, 30, 5], "calls": [1, 2, 4]})
    teams = rep_performance.team_activity(table, reps)
    assert teams["team"].fillna("?").tolist() == ["East", "West", "?"] and teams["calls"].tolist() == [2, 1, 4]


WINS = st.tuples(st.sampled_from(["r1", "r2", "x9", None]), st.one_of(st.none(), st.floats(1, 1e6)))


@FEW
@given(st.lists(WINS, max_size=12))
def test_every_win_is_credited_once(rows):
    known = people([{"owner_id": "r1", "name": "Zoe"}, {"owner_id": "r2", "name": "Ann"}])
    won = deals([{"owner_id": owner, "amount": amount} for owner, amount in rows])
    won = rep_performance.credited(won, stage_history=NO_HISTORY, reps=known)
    for scope in ("rep", "team", "company"):
        table = rep_performance.quota_attainment(won, targets=plan([{}]), reps=known, period=Q3, scope=scope)
        assert table["n"].sum() == len(rows)
        assert table["won_amount"].sum() == pytest.approx(sum(amount or 0 for _, amount in rows))


@FEW
@given(st.permutations(range(6)))
def test_row_order_is_irrelevant(order):
    won = deals([{"owner_id": f"r{number % 3}", "amount": 10.0 * number} for number in range(6)])
    mixed = won.iloc[list(order)]
    tables = [
        rep_performance.quota_attainment(each, targets=plan([{}]), reps=NO_REPS, period=Q3) for each in (won, mixed)
    ]
    pd.testing.assert_frame_equal(*tables)


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
    achievement = rep_performance.quota_achievement(pd.DataFrame({"quota_attainment_rate": [1.2, 0.4, 0.9]}))
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
    nothing = rep_performance.quota_achievement(pd.DataFrame({"quota_attainment_rate": [np.nan]}))
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
    achievement = rep_performance.quota_achievement(pd.DataFrame({"quota_attainment_rate": []}))
    company = pd.DataFrame({"quota_attainment_rate": [1.0]})
    said = " ".join(rep_performance.headlines(company, achievement, table, period=Q3, window=Q3, as_of=AS_OF))
    assert "2 of 2 reps have win rates" in said and not {"Ann", "Zoe", "r1", "r2"} & set(said.split())
