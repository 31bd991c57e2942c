"""Attainment against hand-worked cases, a plain computation on public data and its own invariants."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, deals, shared
from hypothesis import given, settings
from hypothesis import strategies as st
from rep_toys import NO_HISTORY, NO_REPS, people, plan

from salesops import attainment, attainment_findings, checks, crm, quotas, rep_performance
from salesops.periods import Period

AS_OF = date(2026, 9, 30)
Q3 = Period("2026Q3", date(2026, 7, 1), AS_OF)
FEW = settings(max_examples=12, deadline=None)


def quota(targets: list[dict], reps: pd.DataFrame, period: Period = Q3) -> list[float]:
    table = attainment.quota_attainment(deals([]), targets=plan(targets), reps=reps, period=period)
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
    table = attainment.quota_attainment(won, targets=targets, reps=reps, period=Q3)
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
        attainment.quota_attainment(won, targets=targets, reps=reps, period=Q3, scope=scope)
        for scope in ("team", "region", "company")
    )
    assert team["team"].tolist() == ["East", "West"] and team["quota_attainment_rate"].tolist()[0] == 2.0
    assert region["n"].tolist() == [2, 1] and region["region"].isna().tolist() == [False, True]
    assert company[["n", "won_amount", "quota_amount", "quota_attainment_rate"]].values.tolist() == [[3, 300, 600, 0.5]]


def test_targets_without_a_win_are_nothing_won_of_a_quota(reps):
    targets = plan([{"scope_kind": "company", "scope_id": "company"}])
    table = attainment.quota_attainment(deals([]), targets=targets, reps=reps, period=Q3, scope="company")
    assert table[["n", "won_amount", "quota_attainment_rate"]].values.tolist() == [[0, 0, 0]]


def test_wins_without_any_amount_are_of_unknown_money(reps):
    table = attainment.quota_attainment(deals([{"amount": None}]), targets=plan([{}]), reps=reps, period=Q3)
    assert table["n"].tolist() == [1] and np.isnan(table["won_amount"].iloc[0])


def test_no_targets_leave_the_rate_missing():
    table = attainment.quota_attainment(deals([{}]), targets=plan([]), reps=NO_REPS, period=Q3)
    assert table["name"].tolist() == ["r1"] and table["quota_attainment_rate"].isna().all()
    row = attainment.quota_achievement(table).iloc[0]
    assert row["n"] == 0 and np.isnan(row["quota_achievement_rate"]) and np.isnan(row["quota_achievement_rate_low"])


def test_an_unknown_scope_is_refused(reps):
    with pytest.raises(checks.ParameterError, match=r"scope: 'teem'\. Use rep, team, .*Did you mean 'team'\?"):
        attainment.quota_attainment(deals([]), targets=plan([]), reps=reps, period=Q3, scope="teem")


def test_achievement_is_a_share_of_reps_not_of_money():
    rates = pd.DataFrame({"quota_attainment_rate": [5.0, 1.0, 0.99, 0.0, None]})
    row = attainment.quota_achievement(rates).iloc[0]
    assert row[["n", "n_achieved", "quota_achievement_rate"]].tolist() == [4, 2, 0.5]


WINS = st.tuples(st.sampled_from(["r1", "r2", "x9", None]), st.one_of(st.none(), st.floats(1, 1e6)))


@FEW
@given(st.lists(WINS, max_size=12))
def test_every_win_is_credited_once(rows):
    known = people([{"owner_id": "r1", "name": "Zoe"}, {"owner_id": "r2", "name": "Ann"}])
    won = deals([{"owner_id": owner, "amount": amount} for owner, amount in rows])
    won = rep_performance.credited(won, stage_history=NO_HISTORY, reps=known)
    for scope in ("rep", "team", "company"):
        table = attainment.quota_attainment(won, targets=plan([{}]), reps=known, period=Q3, scope=scope)
        assert table["n"].sum() == len(rows)
        assert table["won_amount"].sum() == pytest.approx(sum(amount or 0 for _, amount in rows))


@FEW
@given(st.permutations(range(6)))
def test_row_order_is_irrelevant(order):
    won = deals([{"owner_id": f"r{number % 3}", "amount": 10.0 * number} for number in range(6)])
    mixed = won.iloc[list(order)]
    tables = [attainment.quota_attainment(each, targets=plan([{}]), reps=NO_REPS, period=Q3) for each in (won, mixed)]
    pd.testing.assert_frame_equal(*tables)


def by(table: pd.DataFrame, key: str, column: str) -> dict:
    return table.dropna(subset=key).set_index(key)[column].to_dict()


MANAGED = [
    {"owner_id": "r1", "name": "Zoe", "manager_id": "m1", "region": "EMEA"},
    {"owner_id": "r2", "name": "Ann", "manager_id": "m1", "region": "EMEA"},
    {"owner_id": "r3", "name": "Bo", "manager_id": "m2", "team": "West", "region": "APAC"},
    {"owner_id": "m1", "name": "Max", "manager_id": "d1", "role": "manager"},
    {"owner_id": "m2", "name": "Kim", "manager_id": "d1", "role": "manager", "team": "West"},
    {"owner_id": "d1", "name": "Dee", "role": "manager", "team": None},
]


def managed(targets: list[dict], scope: str, won: list[dict] = ()) -> pd.DataFrame:
    known = people(MANAGED)
    rows = rep_performance.credited(deals(list(won)), stage_history=NO_HISTORY, reps=known)
    return attainment.quota_attainment(rows, targets=plan(targets), reps=known, period=Q3, scope=scope)


EACH = [{"scope_id": "r1"}, {"scope_id": "r2"}, {"scope_id": "r3"}]


def test_a_group_without_a_target_has_the_sum_of_its_peoples():
    won = [{"owner_id": "r1"}, {"owner_id": "m1", "amount": 10.0}, {"owner_id": "r3"}, {"owner_id": "d1"}]
    table = managed(EACH, "manager", won)
    assert table["name"].tolist() == ["Kim", "Max", "no manager"]  # by name; what the director wins is nobody's team's
    assert table["won_amount"].tolist() == [100, 110, 100] and table["quota_amount"].tolist()[:2] == [92, 184]
    assert table["n_quotas"].tolist() == [1, 2, 0]
    assert by(managed(EACH, "team"), "team", "quota_amount") == {"East": 184, "West": 92}
    assert by(managed(EACH, "region"), "region", "quota_amount") == {"EMEA": 184, "APAC": 92}
    company = managed(EACH, "company", won).iloc[0]
    assert (company["won_amount"], company["quota_amount"], company["n_quotas"]) == (310, 276, 3)


def test_a_groups_own_target_comes_first_and_only_for_it():
    own = [*EACH, {"scope_kind": "team", "scope_id": "East", "value": 150.0}]
    table = managed(own, "team")
    assert by(table, "team", "quota_amount") == {"East": 150, "West": 92}
    assert by(table, "team", "n_quotas") == {"East": 0, "West": 1}
    assert managed(own, "company")["quota_amount"].tolist() == [276]  # the team's is not added


@pytest.mark.parametrize("kind", ["rep", "manager"])
def test_a_managers_roll_up_is_never_added_to_the_reps(kind):
    targets = [*EACH, {"scope_kind": kind, "scope_id": "m1", "value": 170.0}]
    assert by(managed(targets, "manager"), "manager_id", "quota_amount") == {"m1": 170, "m2": 92}
    assert by(managed(targets, "manager"), "manager_id", "n_quotas") == {"m1": 0, "m2": 1}
    assert managed(targets, "company")["quota_amount"].tolist() == [276]
    assert by(managed(targets, "team"), "team", "quota_amount") == {"East": 184, "West": 92}
    assert "m1" not in managed(targets, "rep")["owner_id"].tolist()


def test_a_managers_own_small_quota_is_added_and_a_directors_never():
    targets = [*EACH, {"scope_id": "m1", "value": 20.0}, {"scope_id": "d1", "value": 5.0}]
    assert by(managed(targets, "manager"), "manager_id", "quota_amount") == {"m1": 204, "m2": 92, "d1": 5}
    assert managed(targets, "company")["quota_amount"].tolist() == [296]


def test_a_later_version_takes_the_place_of_an_overlapping_one(reps):
    monthly = [
        {"period_start": f"2026-0{month}-01", "period_end": None, "value": 10.0, "version": "a"} for month in (7, 8, 9)
    ]
    assert quota([*monthly, {"value": 92.0, "version": "b"}], reps) == [92]
    assert quota([*monthly, {"value": 92.0, "version": "A"}], reps) == [30]
    late = {"period_start": "2026-09-01", "period_end": None, "value": 15.0, "version": "b"}
    assert quota([*monthly, late], reps) == [35]


def test_ramped_by_the_targets_or_by_time_in_seat():
    known = people(
        [
            {"owner_id": "r1", "hire_date": "2026-06-01"},  # the target says ramped
            {"owner_id": "r2", "hire_date": "2020-01-01"},  # the target says not
            {"owner_id": "r3", "hire_date": "2026-06-01"},
            {"owner_id": "r4", "hire_date": "2025-12-30"},  # 183 days before 1 July
            {"owner_id": "r5", "hire_date": None, "left_date": "2026-07-10"},
            {"owner_id": "r6", "hire_date": "2026-10-01"},
            {"owner_id": "m1", "role": "manager"},
        ]
    )
    targets = plan([{"ramp_factor": 1.0}, {"scope_id": "r2", "ramp_factor": 0.9}])
    states = quotas.ramp_states(targets, reps=known, period=Q3, as_of=AS_OF).set_index("owner_id")
    assert states["is_ramped"].to_dict() == {"r1": True, "r2": False, "r3": False, "r4": True, "r5": True}
    assert states["n_days"].tolist() == [92, 92, 92, 92, 10]
    later = quotas.ramp_states(plan([]), reps=known, period=Q3, as_of=date(2026, 7, 5), ramp_days=184)
    assert later.set_index("owner_id").loc[["r4", "r5"], "is_ramped"].tolist() == [False, True]
    assert later["n_days"].max() == 5


def test_ramped_reps_apart():
    table = pd.DataFrame(
        {
            "owner_id": ["r1", "r2", "r3", "r4"],
            "won_amount": [120.0, 30.0, 40.0, 50.0],
            "quota_amount": [100.0, 100.0, 40.0, np.nan],
            "quota_attainment_rate": [1.2, 0.3, 1.0, np.nan],
        }
    )
    states = pd.DataFrame({"owner_id": ["r1", "r2", "r3", "r4"], "is_ramped": [True, True, False, True]})
    found = attainment.achievement_by_ramp(table, states).set_index("reps")
    assert found[["n", "n_achieved"]].values.tolist() == [[3, 2], [2, 1], [1, 1]]
    assert found["won_amount"].tolist() == [190, 150, 40] and found["quota_amount"].tolist() == [240, 200, 40]
    assert found["quota_attainment_rate"].tolist() == pytest.approx([190 / 240, 0.75, 1.0])
    nobody = attainment.achievement_by_ramp(table[:0], states)
    assert nobody["n"].tolist() == [0, 0, 0] and nobody["quota_attainment_rate"].isna().all()


def test_bands_and_quartiles():
    rates = pd.DataFrame({"quota_attainment_rate": [0.0, 0.7999, 0.8, 0.9999, 1.0, 3.0, None]})
    bands = attainment.attainment_bands(rates)
    assert bands["n_in_band"].tolist() == [2, 2, 2] and bands["n"].tolist() == [6, 6, 6]
    assert bands["attainment_band_rate"].sum() == pytest.approx(1)
    assert (bands["attainment_band_rate_low"] < 1 / 3).all() and (bands["attainment_band_rate_high"] > 1 / 3).all()
    empty = attainment.attainment_bands(rates[:0])
    assert empty["attainment_band_rate"].isna().all() and empty["attainment_band_rate_low"].isna().all()
    row = attainment.attainment_quartiles(pd.DataFrame({"quota_attainment_rate": [4.0, 1.0, 2.0, 3.0, 5.0]})).iloc[0]
    assert row.tolist() == [5, 2, 3, 4]
    assert attainment.attainment_quartiles(rates[:0]).iloc[0, 1:].isna().all()


def paced(days: int, early: list[float], rest: list[float]) -> pd.DataFrame:
    """The usual share where each quarter before 2026Q3 won so much on its first days and so much at its end."""
    starts = pd.date_range("2026-07-01", periods=len(early) + 1, freq="-3MS")[1:]
    rows = [{"close_date": start, "amount": first} for start, first in zip(starts, early, strict=True)]
    rows += [
        {"close_date": start + pd.Timedelta(days=80), "amount": last} for start, last in zip(starts, rest, strict=True)
    ]
    first = {"close_date": starts[-1] - pd.Timedelta(days=100), "amount": 1.0}
    as_of = (pd.Timestamp("2026-06-30") + pd.Timedelta(days=days)).date()
    return attainment.usual_share(deals([*rows, first]), period=Q3, as_of=as_of)


def test_the_usual_share_is_that_of_the_same_day_of_earlier_quarters():
    row = paced(30, [10, 30, 20, 40], [90, 70, 80, 60]).iloc[0]
    half = 1.6377 * np.std([0.1, 0.3, 0.2, 0.4], ddof=1) * np.sqrt(1.25)  # t of 3 degrees at 90 %
    assert row["n"] == 4 and row["usual_by_now_rate"] == pytest.approx(0.25)
    assert row["usual_by_now_rate_low"] == pytest.approx(0.25 - half, abs=1e-4)
    assert row["usual_by_now_rate_high"] == pytest.approx(0.25 + half, abs=1e-4)
    assert paced(81, [10, 30, 20, 40], [90, 70, 80, 60])["usual_by_now_rate"].iloc[0] == 1
    three = paced(30, [10, 30, 20], [90, 70, 80]).iloc[0]
    assert three["n"] == 3 and np.isnan(three["usual_by_now_rate_low"])
    assert paced(92, [10], [90]).iloc[0, 1:].tolist() == [1, 1, 1]
    everything = Period("all", Q3.start, Q3.end)
    none = attainment.usual_share(deals([{}]), period=everything, as_of=Q3.start)
    assert none["n"].iloc[0] == 0 and none.iloc[0, 1:].isna().all()
    assert attainment.usual_share(deals([]), period=Q3, as_of=Q3.start)["n"].iloc[0] == 0


def test_the_pace_divides_attainment_by_the_usual_share():
    usual = paced(30, [20, 30, 20, 30], [80, 70, 80, 70])
    table = attainment.attainment_pace(pd.DataFrame({"quota_attainment_rate": [0.5, None]}), usual)
    ends = [usual[f"usual_by_now_rate{end}"].iloc[0] for end in ("", "_high", "_low")]
    assert table.iloc[0, 1:].tolist() == pytest.approx([0.5 / end for end in ends])
    assert table.iloc[1].isna().all()
    open_ended = attainment.attainment_pace(
        pd.DataFrame({"quota_attainment_rate": [0.5]}), usual.assign(usual_by_now_rate_low=0.0)
    )
    assert np.isnan(open_ended["attainment_pace_high"].iloc[0]) and open_ended["attainment_pace_low"].notna().all()


def test_levels_add_up_and_say_what_differs():
    won = [{"owner_id": "r1"}, {"owner_id": "r3", "amount": 50.0}, {"owner_id": "m1", "amount": 10.0}]
    known = people(MANAGED)
    rows = rep_performance.credited(deals(won), stage_history=NO_HISTORY, reps=known).assign(region="EMEA")
    targets = plan(
        [*EACH, *({"scope_kind": "team", "scope_id": each, "value": 120.0} for each in ("East", "West")),
         {"scope_kind": "company", "scope_id": "all", "value": 240.0}]
    )  # fmt: skip
    table = attainment.attainment_levels(rows, targets=targets, reps=known, period=Q3).set_index("level")
    assert table.index.tolist() == ["rep", "team", "manager", "region", "company"]
    assert table["won_amount"].tolist() == [150, 160, 160, 160, 160]
    assert table["quota_amount"].tolist() == [276, 240, 276, 276, 240]
    assert table["won_gap_amount"].tolist() == [-10, 0, 0, 0, 0]
    assert table["quota_gap_amount"].tolist() == [36, 0, 36, 36, 0]
    assert table["n_groups"].tolist() == [3, 2, 2, 2, 1] and table["n_summed"].tolist() == [0, 0, 2, 2, 0]
    said = attainment_findings.levels_sentence(table.reset_index(), currency="USD")
    assert said == "The teams' targets add up to the company's; the reps' quotas add up to $36 more than it (15 %)."


def test_productivity_is_of_ramped_reps_alone():
    states = pd.DataFrame(
        {
            "owner_id": ["r1", "r2", "r3", "r4"],
            "team": ["East", "East", "West", None],
            "is_ramped": [True, True, False, True],
            "n_days": [92, 31, 92, 92],
        }
    )
    won = deals([{"owner_id": "r1"}, {"owner_id": "r2", "amount": 50.0}, {"owner_id": "r3"}, {"owner_id": "x9"}])
    months = (92 + 31 + 92) / (365.25 / 12)
    row = attainment.productivity(won, states=states, period=Q3).iloc[0]
    assert row["n"] == 3 and row["won_amount"] == 150 and row["productivity_amount"] == pytest.approx(150 / months)
    assert 0 < row["productivity_amount_low"] < row["productivity_amount"] < row["productivity_amount_high"]
    teams = attainment.productivity(won, states=states, period=Q3, by="team")
    assert teams["team"].fillna("?").tolist() == ["East", "?"] and teams["won_amount"].tolist() == [150, 0]
    assert teams["productivity_amount"].tolist()[1] == 0
    assert attainment.productivity(won, states=states[:0], period=Q3).empty


def test_what_is_said_where_there_is_little_to_say():
    said = attainment_findings
    nothing = pd.DataFrame({"quota_attainment_rate": [np.nan]})
    bands, quartiles = attainment.attainment_bands(nothing), attainment.attainment_quartiles(nothing)
    assert "cannot be told" in said.distribution_sentence(bands, quartiles)
    usual = paced(30, [20, 30, 20, 30], [80, 70, 80, 70])
    early = date(2026, 7, 30)
    assert "no bookings target" in said.pace_sentence(
        attainment.attainment_pace(nothing, usual), usual, period=Q3, as_of=early
    )
    behind = attainment.attainment_pace(pd.DataFrame({"quota_attainment_rate": [0.1]}), usual)
    assert "at this pace it ends below it: in 4 earlier periods 25 %" in said.pace_sentence(
        behind, usual, period=Q3, as_of=early
    )
    one = paced(30, [20], [80])
    pace = attainment.attainment_pace(pd.DataFrame({"quota_attainment_rate": [0.1]}), one)
    assert "that is 0.50 of the usual pace: in 1 earlier period 20 %" in said.pace_sentence(
        pace, one, period=Q3, as_of=early
    )
    none = attainment.usual_share(deals([]), period=Q3, as_of=early)
    pace = attainment.attainment_pace(pd.DataFrame({"quota_attainment_rate": [0.1]}), none)
    assert "no earlier period tells" in said.pace_sentence(pace, none, period=Q3, as_of=early)
    levels = attainment.attainment_levels(deals([]), targets=plan([]), reps=people([]), period=Q3)
    assert "nothing to add up to" in said.levels_sentence(levels)
    assert said.source_sentence(managed([], "manager")) == "No manager leads a rep with a quota."
    own = [*EACH, *({"scope_kind": "manager", "scope_id": each} for each in ("m1", "m2"))]
    assert said.source_sentence(managed(own, "manager")).startswith("Every manager has a target")
    whole = managed(EACH, "company", [{"owner_id": "r1", "amount": 138.0}])
    assert rep_performance.attainment_sentence(whole, Q3, AS_OF) == (
        "The company won 50 % of the sum of 3 people's quotas in 2026Q3."
    )


@FEW
@given(st.lists(WINS, max_size=12))
def test_every_level_has_every_win(rows):
    known = people(MANAGED)
    won = deals([{"owner_id": owner, "amount": amount or 1.0} for owner, amount in rows])
    won = rep_performance.credited(won, stage_history=NO_HISTORY, reps=known)
    table = attainment.attainment_levels(won, targets=plan(EACH), reps=known, period=Q3)
    assert table["n"].tolist() == [len(rows)] * 5
    assert table["quota_amount"].tolist() == [276] * 5  # no target but the reps': all levels add up
    assert table["won_gap_amount"].tolist() == pytest.approx([0] * 5, abs=1e-6)


# Public data: AdventureWorks with the two kinds of targets it has, and Maven, which has none of its own.


def sold(name: str, folder: str):
    """A company as mapped, with its deals as credited."""
    shared(folder)
    company = crm.load(ROOT / "tests" / "sources" / name / "source.yaml")
    deals = rep_performance.credited(company.opportunities, stage_history=company.stage_history, reps=company.reps)
    return company, deals


@pytest.fixture(scope="module")
def works():
    return sold("adventureworks", "adventureworks-rep-targets")


@pytest.fixture(scope="module")
def works_raw():
    """Order lines with their seller and quarter, and people with the group of regions they sell in."""
    folder = shared("adventureworks-rep-targets")
    sales, staff = pd.read_csv(folder / "Sales.csv"), pd.read_csv(folder / "Salesperson.csv")
    regions = pd.read_csv(folder / "SalespersonRegion.csv").merge(pd.read_csv(folder / "Region.csv"))
    staff["group"] = staff["EmployeeKey"].map(regions.groupby("EmployeeKey")["Group"].first())
    staff["is_rep"] = staff["Title"] == "Sales Representative"
    manager = staff[staff["Title"].str.endswith("Sales Manager")].set_index("group")["EmployeeKey"]
    staff["manager"] = staff["group"].map(manager)
    staff.loc[staff["Title"] == "Director of Sales", "manager"] = np.nan
    sales["quarter"] = pd.to_datetime(sales["OrderDate"]).dt.to_period("Q")
    return sales, staff.set_index("EmployeeKey")


def test_adventureworks_monthly_targets_at_every_level(works, works_raw):
    company, rows = works
    sales, staff = works_raw
    half = Period("2019H2", date(2019, 7, 1), date(2019, 12, 31))
    targets = pd.read_csv(shared("adventureworks-rep-targets") / "Targets.csv").merge(staff.reset_index())
    asked = targets[targets["TargetMonth"].between("2019-07", "2020")].groupby("EmployeeKey")["TargetAmount"].sum()
    won = sales[sales["OrderDate"].between("2019-07-01", "2019-12-31")].groupby("EmployeeKey")["Sales"].sum()
    tables = {
        scope: attainment.quota_attainment(rows, targets=company.targets, reps=company.reps, period=half, scope=scope)
        for scope in ("rep", "team", "manager", "company")
    }
    reps, leads = staff.index[staff["is_rep"]], staff.dropna(subset="manager")
    found = by(tables["rep"], "owner_id", "quota_attainment_rate")
    expected = (won / asked)[reps]
    assert len(expected) == 14 and found == pytest.approx({str(key): rate for key, rate in expected.items()})
    managers = won.groupby(leads["manager"]).sum() / asked[reps].groupby(staff["manager"]).sum()
    found = by(tables["manager"], "manager_id", "quota_attainment_rate")
    assert {key: found[str(int(key))] for key in managers.index} == pytest.approx(managers.to_dict())
    # A team's own target is its manager's.
    teams = won.groupby(leads["group"]).sum() / asked[leads["manager"].unique()].groupby(staff["group"]).sum()
    assert by(tables["team"], "team", "quota_attainment_rate") == pytest.approx(teams.to_dict())
    director = staff.index[staff["Title"] == "Director of Sales"][0]
    assert tables["company"]["quota_attainment_rate"].iloc[0] == pytest.approx(won.sum() / asked[director])


def test_adventureworks_where_every_target_is_a_persons(works, works_raw):
    """As a CRM exports them: the managers' and the director's roll-ups stand among the reps' quotas."""
    company, rows = works
    _, staff = works_raw
    raw = pd.read_csv(shared("adventureworks-rep-targets") / "Targets.csv").merge(staff.reset_index())
    targets = plan(
        [
            {"scope_id": str(key), "value": float(value), "period_start": month, "period_end": None}
            for key, value, month in raw[["EmployeeKey", "TargetAmount", "TargetMonth"]].itertuples(index=False)
        ]
    )
    half = Period("2019H2", date(2019, 7, 1), date(2019, 12, 31))
    asked = raw[raw["TargetMonth"].between("2019-07", "2020")].groupby("EmployeeKey")["TargetAmount"].sum()
    everyone = quotas.quotas(targets, reps=company.reps, period=half, scope="company")
    assert everyone["quota_amount"].iloc[0] == asked[staff["is_rep"].reindex(asked.index)].sum()  # not 112 million
    found = by(quotas.quotas(targets, reps=company.reps, period=half, scope="manager"), "manager_id", "quota_amount")
    assert {int(key): value for key, value in found.items()} == asked[~staff["is_rep"].reindex(asked.index)].to_dict()


def test_adventureworks_quarterly_quotas_of_the_operational_database(works, works_raw):
    """Twelve quota dates stand for the twelve quarters of the sales; here managers have small quotas of their own."""
    company, rows = works
    sales, staff = works_raw
    names = ["key", "employee", "day", "year", "quarter", "amount", "date"]
    raw = pd.read_csv(shared("adventureworks-rep-targets") / "FactSalesQuota.csv", sep="|", header=None, names=names)
    quarters = sorted(sales["quarter"].unique())
    raw["period"] = raw["date"].map(dict(zip(sorted(raw["date"].unique()), quarters, strict=True)))
    start, end = raw["period"].dt.start_time, raw["period"].dt.end_time.dt.normalize()
    targets = plan(
        [
            {"scope_id": str(who), "value": value, "period_start": first, "period_end": last}
            for who, value, first, last in zip(raw["employee"], raw["amount"], start, end, strict=True)
        ]
    )
    for each in (quarters[0], quarters[7], quarters[11]):
        period = Period(str(each), each.start_time.date(), each.end_time.date())
        won = sales[sales["quarter"] == each].groupby("EmployeeKey")["Sales"].sum()
        asked = raw[raw["period"] == each].set_index("employee")["amount"]
        tables = {
            scope: attainment.quota_attainment(rows, targets=targets, reps=company.reps, period=period, scope=scope)
            for scope in ("rep", "manager", "company")
        }
        expected = (won / asked)[lambda rates: rates.index.isin(staff.index[staff["is_rep"]])].dropna()
        assert by(tables["rep"].dropna(), "owner_id", "quota_attainment_rate") == pytest.approx(
            {str(key): rate for key, rate in expected.items()}
        )
        managers = (won.groupby(staff["manager"]).sum() / asked.groupby(staff["manager"]).sum()).dropna()
        found = by(tables["manager"], "manager_id", "quota_attainment_rate")
        assert len(managers) and {key: found[str(int(key))] for key in managers.index} == pytest.approx(
            managers.to_dict()
        )
        own = asked.drop(staff.index[staff["Title"] == "Director of Sales"], errors="ignore")
        assert tables["company"]["quota_attainment_rate"].iloc[0] == pytest.approx(won.sum() / own.sum())


def test_maven_against_the_quarter_before():
    """Maven has no targets: each agent's wins of the quarter before stand for them."""
    company, rows = sold("maven", "maven-crm-sales-opportunities")
    folder = shared("maven-crm-sales-opportunities")
    raw = pd.read_csv(folder / "sales_pipeline.csv").merge(pd.read_csv(folder / "sales_teams.csv"), on="sales_agent")
    raw = raw[raw["deal_stage"] == "Won"].assign(
        quarter=lambda frame: pd.to_datetime(frame["close_date"]).dt.to_period("Q")
    )
    before, now = (raw[raw["quarter"] == each] for each in ("2017Q3", "2017Q4"))
    quota_of = before.groupby("sales_agent")["close_value"].sum()
    targets = plan(
        [
            {"scope_id": agent, "value": float(value), "period_start": "2017-10-01", "period_end": "2017-12-31"}
            for agent, value in quota_of.items()
        ]
    )
    q4 = Period("2017Q4", date(2017, 10, 1), date(2017, 12, 31))
    keys = {
        "rep": ("sales_agent", "owner_id"),
        "manager": ("manager", "manager_id"),
        "team": ("manager", "team"),
        "region": ("regional_office", "region"),
    }
    for scope, (column, key) in keys.items():
        table = attainment.quota_attainment(rows, targets=targets, reps=company.reps, period=q4, scope=scope)
        sums = [frame.groupby(column)["close_value"].sum() for frame in (now, before)]
        expected = (sums[0].reindex(sums[1].index, fill_value=0) / sums[1]).to_dict()
        assert by(table.dropna(), key, "quota_attainment_rate") == pytest.approx(expected), scope
    levels = attainment.attainment_levels(rows, targets=targets, reps=company.reps, period=q4)
    assert levels["won_amount"].tolist() == pytest.approx([now["close_value"].sum()] * 5)
    assert levels["quota_amount"].tolist() == pytest.approx([before["close_value"].sum()] * 5)
    assert levels["n_groups"].tolist() == [quota_of.size, 6, 6, 3, 1]
