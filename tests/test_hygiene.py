"""Pipeline hygiene against hand-worked cases, missing fields and its own invariants."""

from datetime import date

import pandas as pd
import pytest
from conftest import deals
from hypothesis import given, settings
from hypothesis import strategies as st
from rep_toys import log

from salesops import checks, deal_rules, hygiene
from salesops.periods import Period

AS_OF = date(2026, 9, 30)
Q3 = Period("2026Q3", date(2026, 7, 1), AS_OF)
FEW = settings(max_examples=15, deadline=None)
USUAL = pd.DataFrame({"stage": ["Talk", "Rare"], "pipeline": "new", "n": [40, 19], "stage_duration_days_p90": 60.0})


def book(rows: list[dict]) -> pd.DataFrame:
    """Open deals that lack nothing, of a company each."""
    usual = {"outcome": "open", "close_date": "2026-12-01", "created_date": "2026-01-05", "next_step": "Demo",
             "last_activity_date": "2026-09-20", "pipeline": "new", "stage": "Talk"}  # fmt: skip
    named = [
        usual | {"account_id": f"a{number}", "opportunity_id": f"d{number}"} | row for number, row in enumerate(rows)
    ]
    frame = deals(named)
    return frame.assign(last_activity_date=pd.to_datetime(frame["last_activity_date"]))


def visits(days: dict[str, float], stage: str = "Talk") -> pd.DataFrame:
    return pd.DataFrame({"opportunity_id": list(days), "stage": stage, "pipeline": "new", "exit": "still_there",
                         "days": list(days.values())})  # fmt: skip


def test_each_component_by_hand():
    open_ones = book([
        {}, {"next_step": None}, {"last_activity_date": "2026-08-30"}, {"last_activity_date": "2026-08-31"},
        {"last_activity_date": None}, {"last_activity_date": None, "created_date": "2026-09-01"},
        {"close_date": "2026-09-29"}, {"close_date": "2026-09-30"}, {"close_date": None}, {"outcome": "won"},
    ])  # fmt: skip
    stays = visits({"d0": 60.0, "d1": 60.1})
    state = hygiene.open_deals(open_ones, as_of=AS_OF, visits=stays, durations=USUAL).set_index("opportunity_id")
    assert "d9" not in state.index and len(state) == 9
    lacking = {name: state.index[~state[name].fillna(True).astype(bool)].tolist() for name in hygiene.COMPONENTS}
    assert lacking == {
        "next_step": ["d1"], "recent_activity": ["d2", "d4"], "close_ahead": ["d6", "d8"], "usual_age": ["d1"],
    }  # fmt: skip
    assert state["usual_age"].isna().sum() == 7  # of those whose stay is not known nothing can be told
    assert state.index[~state["in_order"].astype(bool)].tolist() == ["d1", "d2", "d4", "d6", "d8"]


def test_quiet_and_late_are_what_data_quality_calls_so():
    open_ones = book([{"last_activity_date": f"2026-{month}-{day}", "close_date": f"2026-{month}-{day}"}
                      for month in ("08", "09") for day in ("01", "30")])  # fmt: skip
    state = hygiene.open_deals(open_ones, as_of=AS_OF)
    tests = deal_rules.examined(open_ones, as_of=AS_OF)
    for rule, name in (
        (f"no activity for {hygiene.QUIET_DAYS} days", "recent_activity"),
        (deal_rules.PAST_DUE, "close_ahead"),
    ):
        faulty = tests.loc[(tests["rule"] == rule) & tests["is_faulty"], "opportunity_id"]
        assert state.loc[~state[name].astype(bool), "opportunity_id"].tolist() == faulty.tolist()


def test_the_log_of_people_comes_before_the_crms_own_date():
    done = log([{}, {"is_automated": True}, {"direction": "inbound"}]).assign(
        opportunity_id=pd.array(["d0", "d1", "d2"], dtype="str"), occurred_at=pd.Timestamp("2026-09-29 12:00")
    )
    open_ones = book([{}, {}, {}])
    state = hygiene.open_deals(open_ones, as_of=AS_OF, activities=done)
    assert state["recent_activity"].tolist() == [True, False, False]
    crm_only = hygiene.open_deals(open_ones, as_of=AS_OF, activities=done.assign(opportunity_id="elsewhere"))
    assert crm_only["recent_activity"].all()


def test_what_is_not_recorded_is_left_out_and_said():
    blank = book([{}, {}]).drop(columns=["next_step"]).assign(last_activity_date=pd.NaT, close_date=pd.NaT)
    state = hygiene.open_deals(blank.astype({"close_date": "datetime64[us]"}), as_of=AS_OF)
    assert state[[*hygiene.COMPONENTS, "in_order"]].isna().all(axis=None)
    company, parts = hygiene.pipeline_health(state, by=None), hygiene.component_rates(state)
    assert company.loc[0, "n"] == 2 and pd.isna(company.loc[0, "n_in_order"])
    assert pd.isna(company.loc[0, "pipeline_health_rate"]) and parts["n"].eq(0).all()
    assert "cannot be told" in hygiene.health_sentence(company, parts)
    some = hygiene.open_deals(book([{"next_step": None}] * 2), as_of=AS_OF)
    assert some["next_step"].isna().all() and some["in_order"].all()  # a column nobody fills is nobody's fault
    said = hygiene.health_sentence(
        hygiene.pipeline_health(some, by=None), hygiene.component_rates(some), currency="USD"
    )
    assert said.startswith("All of the $200 open is in order") and "left out: a next step" in said
    rare = hygiene.open_deals(book([{}]), as_of=AS_OF, visits=visits({"d0": 900.0}, "Rare"), durations=USUAL)
    assert rare["usual_age"].isna().all()  # 19 stays do not tell what is usual


def test_shares_are_of_money_and_groups_keep_their_rows():
    rows = [
        {"owner_id": "r1", "amount": 30.0}, {"owner_id": "r1", "amount": 70.0, "next_step": None},
        {"owner_id": None, "amount": 50.0}, {"owner_id": "r2", "amount": None},
    ]  # fmt: skip
    state = hygiene.open_deals(book(rows), as_of=AS_OF)
    table = hygiene.pipeline_health(state)
    assert table["owner_id"].fillna("?").tolist() == ["r1", "?", "r2"]
    assert table["pipeline_health_rate"].round(2).tolist()[:2] == [0.3, 1.0] and pd.isna(
        table.loc[2, "pipeline_health_rate"]
    )
    assert table["n"].tolist() == [2, 1, 1] and table["n_in_order"].tolist() == [1, 1, 1]
    parts = hygiene.component_rates(state).set_index("component")
    assert parts.loc["a next step", "lacking_amount"] == 70 and parts.loc["a next step", "met_rate"] == pytest.approx(
        80 / 150
    )
    none = hygiene.open_deals(book([{"outcome": "won"}]), as_of=AS_OF)
    assert hygiene.pipeline_health(none).empty and hygiene.pipeline_health(none, by=None).loc[0, "n"] == 0
    assert "No deal is open" in hygiene.health_sentence(
        hygiene.pipeline_health(none, by=None), hygiene.component_rates(none)
    )


FLAGS = st.fixed_dictionaries({
    "owner_id": st.sampled_from(["r1", "r2", None]), "amount": st.one_of(st.none(), st.just(0.0), st.floats(0.01, 1e6)),
    "next_step": st.sampled_from(["Demo", None]), "close_date": st.sampled_from(["2026-12-01", "2026-08-01", None]),
})  # fmt: skip


@FEW
@given(st.lists(FLAGS, max_size=10), st.randoms())
def test_shares_stay_shares_and_rows_add_up(rows, shuffled):
    state = hygiene.open_deals(book(rows), as_of=AS_OF)
    table = hygiene.pipeline_health(state)
    assert table["n"].sum() == len(rows) and table["n_in_order"].sum() == state["in_order"].fillna(False).sum()
    for name in ("pipeline_health_rate", *(f"{each}_rate" for each in hygiene.COMPONENTS)):
        known = table.dropna(subset=[name])
        assert ((0 <= known[f"{name}_low"]) & (known[f"{name}_low"] <= known[name] + 1e-9)).all()
        assert ((known[name] <= known[f"{name}_high"] + 1e-9) & (known[f"{name}_high"] <= 1)).all()
    mixed = state.sample(frac=1.0, random_state=shuffled.randrange(99))
    keys = {"by": "owner_id"}
    again = hygiene.pipeline_health(mixed, **keys).sort_values("owner_id", ignore_index=True)
    pd.testing.assert_frame_equal(again, table.sort_values("owner_id", ignore_index=True))


def test_yield_is_what_was_won_of_what_was_worked():
    rows = [
        {"amount": 10.0},  # won on 2026-08-01
        {"amount": 20.0, "close_date": "2026-06-30"},  # before
        {"amount": 30.0, "outcome": "lost", "close_date": "2026-07-01"},
        {"amount": 40.0, "outcome": "open", "close_date": "2026-12-01"},
        {"amount": 50.0, "created_date": "2026-10-01"},  # after
        {"amount": None},
        {"amount": 60.0, "outcome": "won", "close_date": "2026-10-05"},  # still open in the period
    ]
    worked = deals(rows)
    row = hygiene.pipeline_yield(worked, period=Q3, as_of=AS_OF, by=None).iloc[0]
    assert row["n"] == 4 and row["worked_amount"] == 140 and row["pipeline_yield_rate"] == pytest.approx(10 / 140)
    early = hygiene.pipeline_yield(worked, period=Q3, as_of=date(2026, 7, 15), by=None).iloc[0]
    assert early["pipeline_yield_rate"] == 0 and early["n"] == 4
    assert hygiene.pipeline_yield(worked[:0], period=Q3, as_of=AS_OF).empty
    assert hygiene.pipeline_yield(worked, period=Q3, as_of=AS_OF)["owner_id"].tolist() == ["r1"]


def test_the_sentence_names_what_most_money_lacks():
    state = hygiene.open_deals(book([{"next_step": None}, {"close_date": "2026-08-01", "amount": 500.0}]), as_of=AS_OF)
    state = pd.concat([state, hygiene.open_deals(book([{}]), as_of=AS_OF)], ignore_index=True)
    said = hygiene.health_sentence(
        hygiene.pipeline_health(state, by=None), hygiene.component_rates(state), currency="USD"
    )
    assert "what is lacking most often is a close date ahead: in 71 % of it" in said and said.startswith(
        "14 % of the $700 open"
    )


def test_what_is_missing_is_told():
    with pytest.raises(checks.DataError, match=r"opportunities: missing column \['close_date'\]"):
        hygiene.open_deals(book([{}]).drop(columns="close_date"), as_of=AS_OF)
    with pytest.raises(checks.DataError, match="durations: missing column"):
        hygiene.open_deals(book([{}]), as_of=AS_OF, visits=visits({"d0": 1.0}), durations=USUAL.drop(columns="n"))
