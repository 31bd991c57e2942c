"""The waterfall against hand-worked deals, a loop over deals, and the identity it has to keep to the cent."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from conftest import deals
from hypothesis import given, settings
from hypothesis import strategies as st

from salesops import checks, crm, evenings, forecast, periods, waterfall, waterfall_findings
from salesops.crm import model
from salesops.periods import Period

Q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
EVE, END = date(2026, 6, 30), date(2026, 9, 30)
AMOUNT = "pipeline_waterfall_amount"
STAGES = model.conform(
    pd.DataFrame(
        {
            "pipeline": "new",
            "stage": ["Talk", "Offer", "Won", "Lost"],
            "position": range(4),
            "is_closed": [False, False, True, True],
            "is_won": [False, False, True, False],
        }
    ),
    "stages",
)
STATE = {"Talk": "open", "Offer": "open", "Won": "won", "Lost": "lost"}


def row(deal, day, stage, amount, due, owner="r1"):
    return {
        "opportunity_id": deal,
        "changed_at": day,
        "stage": stage,
        "amount": amount,
        "close_date": due,
        "owner_id": owner,
    }


def history(rows):
    frame = pd.DataFrame(rows, columns=list(row(*[None] * 5)))
    for name in ("changed_at", "close_date"):
        frame[name] = pd.to_datetime(frame[name], format="ISO8601")
    return model.conform(frame.assign(seq=range(len(frame)), pipeline="new"), "stage_history")


def record(deal, created="2026-05-01", **values):
    return {
        "opportunity_id": deal,
        "outcome": "open",
        "stage": "Talk",
        "created_date": created,
        "close_date": None,
    } | values


def one(rows, by=None, start=EVE, end=END, window=Q3, **values):
    """The cells of one deal, with their signed amounts."""
    frame = deals([record("A", **values)])
    stood = evenings.between(frame, history(rows), start=start, end=end, stages=STAGES, by=by)
    cells = waterfall.cells(waterfall.deal_moves(stood, window=window, by=by))
    keys = zip(cells[by], cells["cell"], strict=True) if by else cells["cell"]
    return dict(zip(keys, cells["amount"], strict=True))


HAND_WORKED = {
    "unchanged": ([row("A", "2026-06-01", "Talk", 10, "2026-08-01")], {"start": 10, "end": 10}),
    "increased": (
        [row("A", "2026-06-01", "Talk", 10, "2026-08-01"), row("A", "2026-07-09", "Talk", 12.34, "2026-08-01")],
        {"start": 10, "increased": 2.34, "end": 12.34},
    ),
    "pushed out and decreased": (
        [row("A", "2026-06-01", "Talk", 10, "2026-08-01"), row("A", "2026-07-09", "Talk", 8, "2026-10-01")],
        {"start": 10, "decreased": -2, "pushed out": -8},
    ),
    "pulled in and increased": (
        [row("A", "2026-06-01", "Talk", 10, "2026-10-01"), row("A", "2026-07-09", "Talk", 15, "2026-09-30")],
        {"pulled in": 10, "increased": 5, "end": 15},
    ),
    "slipped in from the quarter before": (
        [row("A", "2026-06-01", "Talk", 10, "2026-06-30"), row("A", "2026-07-02", "Talk", 10, "2026-07-31")],
        {"slipped in": 10, "end": 10},
    ),
    "pulled ahead of the window": (
        [row("A", "2026-06-01", "Talk", 10, "2026-07-01"), row("A", "2026-07-02", "Talk", 10, "2026-06-30")],
        {"start": 10, "pulled ahead": -10},
    ),
    "created": ([row("A", "2026-07-01", "Talk", 10, "2026-08-01")], {"created": 10, "end": 10}),
    "created and never due": ([row("A", "2026-07-01", "Talk", 10, "2026-10-01")], {}),
    "created on the last evening's day": ([row("A", "2026-06-30 23:59", "Talk", 10, "2026-08-01")], {"start": 10, "end": 10}),
    "created and won": (
        [row("A", "2026-07-01", "Talk", 10, "2026-12-01"), row("A", "2026-07-09", "Won", 9, "2026-07-09")],
        {"created": 9, "won": -9},
    ),
    "pulled in and won": (
        [row("A", "2026-06-01", "Talk", 10, "2026-12-01"), row("A", "2026-07-09", "Won", 9, "2026-07-09")],
        {"pulled in": 10, "decreased": -1, "won": -9},
    ),
    "lost for what it was last open with": (
        [row("A", "2026-06-01", "Talk", 10, "2026-08-01"), row("A", "2026-07-02", "Talk", 12, "2026-08-01"),
         row("A", "2026-07-09", "Lost", 0, "2026-07-09")],
        {"start": 10, "increased": 2, "lost": -12},
    ),
    "lost while due later": (
        [row("A", "2026-06-01", "Talk", 10, "2026-12-01"), row("A", "2026-07-09", "Lost", 10, "2026-07-09")],
        {},
    ),
    "created and lost": (
        [row("A", "2026-07-01", "Talk", 10, "2026-09-01"), row("A", "2026-07-09", "Lost", 10, "2026-07-09")],
        {"created": 10, "lost": -10},
    ),
    "re-opened": (
        [row("A", "2026-06-01", "Lost", 10, "2026-06-01"), row("A", "2026-07-09", "Talk", 8, "2026-09-01")],
        {"re-opened": 8, "end": 8},
    ),
    "already lost": (
        [row("A", "2026-06-01", "Lost", 10, "2026-08-01"), row("A", "2026-07-09", "Lost", 8, "2026-09-01")],
        {},
    ),
    "already won": (
        [row("A", "2026-06-01", "Won", 10, "2026-06-01"), row("A", "2026-07-09", "Won", 8, "2026-07-01")],
        {},
    ),
    "dated": (
        [row("A", "2026-06-01", "Talk", 10, None), row("A", "2026-07-09", "Talk", 10, "2026-09-01")],
        {"dated": 10, "end": 10},
    ),
    "undated": (
        [row("A", "2026-06-01", "Talk", 10, "2026-09-01"), row("A", "2026-07-09", "Talk", 10, None)],
        {"start": 10, "undated": -10},
    ),
    "no amount at first": (
        [row("A", "2026-06-01", "Talk", None, "2026-09-01"), row("A", "2026-07-09", "Talk", 7, "2026-09-01")],
        {"start": 0, "increased": 7, "end": 7},
    ),
    "won before the first evening, dated after it": (
        [row("A", "2026-06-01", "Talk", 10, "2026-09-01"), row("A", "2026-06-28", "Won", 10, "2026-07-02")],
        {"start": 10, "won": -10},
    ),
    "won, dated after the last evening": (
        [row("A", "2026-06-01", "Talk", 10, "2026-09-01"), row("A", "2026-09-28", "Won", 10, "2026-10-02")],
        {"start": 10, "pushed out": -10},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HAND_WORKED)
def test_hand_worked_deals(name):
    rows, expected = HAND_WORKED[name]
    assert one(rows, created=rows[0]["changed_at"]) == expected


def test_a_win_told_late_counts_on_its_close_date():
    rows = [row("A", "2026-06-01", "Talk", 10, "2026-09-01"), row("A", "2026-10-02", "Won", 11, "2026-09-30")]
    assert one(rows) == {"start": 10, "end": 10}  # nobody knows yet: the record is still open
    told = {"outcome": "won", "close_date": "2026-09-30", "closed_at": "2026-10-02"}
    assert one(rows, **told) == {"start": 10, "increased": 1, "won": -11}
    assert one(rows, start=END, end=date(2026, 10, 31), **told) == {}


def test_the_owner_in_force_splits_and_the_closing_owner_has_the_win():
    rows = [
        row("A", "2026-06-01", "Talk", 10, "2026-08-01", "r1"),
        row("A", "2026-07-02", "Talk", 12, "2026-08-01", "r2"),
        row("A", "2026-07-09", "Won", 12, "2026-07-09", "r2"),
        row("A", "2026-08-01", "Won", 12, "2026-07-09", "r3"),
    ]
    assert one(rows, by="owner_id") == {
        ("r1", "start"): 10, ("r1", "moved out"): -10, ("r2", "moved in"): 10, ("r2", "increased"): 2, ("r2", "won"): -12,
    }  # fmt: skip
    assert one(rows) == {"start": 10, "increased": 2, "won": -12}


def test_a_deal_that_came_from_elsewhere_with_a_new_owner_has_not_moved():
    rows = [
        row("A", "2026-06-01", "Talk", 10, "2026-12-01", "r1"),
        row("A", "2026-07-02", "Talk", 12, "2026-08-01", "r2"),
    ]
    assert one(rows, by="owner_id") == {("r2", "pulled in"): 10, ("r2", "increased"): 2, ("r2", "end"): 12}


def test_changes_of_one_moment_follow_their_sequence():
    rows = history([row("A", "2026-06-01", "Talk", amount, "2026-08-01") for amount in (1, 2, 3)]).iloc[::-1]
    stood = evenings.between(deals([record("A")]), rows, start=EVE, end=END, stages=STAGES)
    assert stood["amount_after"].tolist() == [3]


def test_a_deal_closes_after_its_last_move_whatever_the_record_says():
    rows = [row("A", "2026-06-01", "Talk", 10, "2026-08-01"), row("A", "2026-07-20", "Offer", 10, "2026-08-01")]
    lost = {"outcome": "lost", "close_date": "2026-06-09", "closed_at": "2026-06-09"}
    assert one(rows, end=date(2026, 7, 19), **lost) == {"start": 10, "end": 10}
    assert one(rows, **lost) == {"start": 10, "lost": -10}


def test_a_win_that_the_history_has_since_lost_is_no_booking():
    rows = [row("A", "2026-06-01", "Talk", 10, "2026-08-01"), row("A", "2026-07-20", "Lost", 10, "2026-07-20")]
    assert one(rows, outcome="won", close_date="2026-07-09") == {"start": 10, "lost": -10}


def test_each_deal_has_one_cell_what_became_of_it_before_how_it_came():
    rows = [row("A", "2026-07-01", "Talk", 10, "2026-08-01"), row("A", "2026-07-09", "Won", 12, "2026-07-09"),
            row("B", "2026-06-01", "Talk", 10, "2026-12-01"), row("B", "2026-07-09", "Talk", 12, "2026-09-01"),
            row("C", "2026-06-01", "Talk", 10, "2026-08-01"), row("C", "2026-07-09", "Talk", 12, "2026-08-01"),
            row("D", "2026-06-01", "Talk", 10, "2026-08-01")]  # fmt: skip
    frame = deals([record("A", created="2026-07-01"), record("B"), record("C"), record("D")])
    stood = evenings.between(frame, history(rows), start=EVE, end=END, stages=STAGES)
    assert waterfall.deal_moves(stood, window=Q3)["cell"].tolist() == ["won", "pulled in", "increased", "unchanged"]


def test_a_team_is_that_of_the_owner_in_force():
    rows = [
        row("A", "2026-06-01", "Talk", 10, "2026-08-01", "r1"),
        row("A", "2026-07-02", "Talk", 10, "2026-08-01", "r2"),
    ]
    reps = pd.DataFrame({"owner_id": ["r1", "r2"], "team": ["North", None]})
    table = waterfall.pipeline_waterfall(
        deals([record("A")]), history(rows), window=Q3, start=EVE, end=END, by="team", reps=reps
    )
    found = table[table["n"] > 0]
    assert found[["cell", AMOUNT]].values.tolist() == [["start", 10], ["moved out", -10], ["moved in", 10], ["end", 10]]
    assert found["team"].fillna("-").tolist() == ["North", "North", "-", "-"]


def test_a_closing_the_history_does_not_show_is_taken_from_the_record():
    rows = [row("A", "2026-06-01", "Talk", 10, "2026-08-01"), row("A", "2026-08-09", "Talk", 11, "2026-08-01")]
    lost = {"outcome": "lost", "close_date": "2026-07-09", "closed_at": "2026-07-09 10:00", "amount": 10.0}
    assert one(rows, **lost) == {"start": 10, "lost": -10}
    assert one(rows, end=date(2026, 7, 8), **lost) == {"start": 10, "end": 10}
    won = lost | {"outcome": "won", "amount": 13.0, "closed_at": None}
    assert one(rows[:1], **won) == {"start": 10, "increased": 3, "won": -13}
    undated = lost | {"close_date": None, "closed_at": None}  # closed nobody knows when: after its last change
    assert one(rows, **undated) == {"start": 10, "increased": 1, "lost": -11}


def test_without_stages_a_stage_is_closed_where_all_its_deals_are():
    rows = [row("A", "2026-06-01", "Talk", 10, "2026-08-01"), row("A", "2026-07-09", "Gone", 10, "2026-07-09"),
            row("B", "2026-06-01", "Talk", 5, "2026-08-01"), row("B", "2026-07-09", "Sold", 5, "2026-07-09")]  # fmt: skip
    frame = deals([
        record("A", stage="Gone", outcome="no_decision", close_date="2026-07-09", closed_at="2026-07-09"),
        record("B", stage="Sold", outcome="won", close_date="2026-07-09", closed_at="2026-07-09"),
        record("C", stage="Talk", outcome="lost", close_date="2026-05-09"), record("D"), record("E", stage=None),
    ])  # fmt: skip
    stood = evenings.between(frame, history(rows), start=EVE, end=END)
    assert stood["state_before"].astype(str).tolist() == ["open", "open", "lost", "open", "open"]
    assert stood["state_after"].astype(str).tolist() == ["lost", "won", "lost", "open", "open"]
    assert stood["history"].tolist() == ["full", "full", "none", "none", "none"]


def test_a_stage_means_what_its_pipeline_says():
    other = STAGES.assign(pipeline="old", is_closed=~STAGES["is_closed"].astype(bool))
    stages = pd.concat([other, STAGES])
    rows = history([row("A", "2026-06-01", "Talk", 10, "2026-08-01")])
    frame = deals([record("A")])
    for pipeline, state in (("new", "open"), ("old", "lost"), (None, "open")):
        moved = rows.assign(pipeline=pd.Series([pipeline], dtype="str"))
        stood = evenings.between(frame, moved, start=EVE, end=END, stages=stages)
        assert stood["state_after"].tolist() == [state]


def test_the_stage_last_defined_counts():
    first = STAGES.assign(valid_from=pd.Timestamp("2020-01-01"), is_closed=True, is_won=False)
    stages = pd.concat([STAGES.assign(valid_from=pd.Timestamp("2021-01-01")), first])
    rows = history([row("A", "2026-06-01", "Talk", 10, "2026-08-01")])
    stood = evenings.between(deals([record("A")]), rows, start=EVE, end=END, stages=stages)
    assert stood["state_after"].tolist() == ["open"]


def test_a_history_that_begins_late_is_taken_back_to_the_created_date():
    rows = [row("A", "2026-07-15", "Offer", 10, "2026-08-01")]
    assert one(rows, created="2026-06-20") == {"start": 10, "end": 10}
    assert one(rows, created="2026-07-02") == {"created": 10, "end": 10}
    frame = deals([record("A", created="2026-06-20"), record("B", created="2026-07-20")])
    both = history([*rows, row("B", "2026-07-21", "Talk", 1, "2026-08-01")])
    stood = evenings.between(frame, both, start=EVE, end=END, stages=STAGES)
    assert stood["history"].tolist() == ["late", "full"]
    assert waterfall.exceptions(stood, window=Q3)["exception"].tolist() == ["history begins later"]


def test_without_history_the_record_stands_and_what_it_cannot_tell_is_left_out():
    frame = deals([
        record("A", close_date="2026-08-01", amount=10.0),
        record("B", created="2026-07-02", outcome="won", close_date="2026-07-20", amount=5.0),
        record("C", outcome="lost", close_date="2026-07-21", closed_at="2026-07-21", amount=3.0),
        record("D", outcome="lost", close_date="2026-06-21", closed_at="2026-06-21", amount=3.0),
    ])  # fmt: skip
    none = history([])
    table = waterfall.pipeline_waterfall(frame, none, window=Q3, start=EVE, end=END)
    assert dict(zip(table["cell"], table[AMOUNT], strict=True)) == {
        "start": 13,
        "created": 5,
        "won": -5,
        "lost": -3,
        "end": 10,
    }
    assert "pulled in or pushed out, increased or decreased is not known" in waterfall_findings.untold_sentence(none)
    stood = evenings.between(frame, none, start=EVE, end=END)
    assert waterfall.exceptions(stood, window=Q3)["exception"].tolist() == ["no history"] * 3
    undated = history([row("A", "2026-06-01", "Talk", 10, None), row("A", "2026-07-01", "Talk", 12, None)])
    assert waterfall_findings.untold_sentence(undated) == (
        "There is no history of close dates, so the waterfall takes them as they are now: what was pulled in or pushed "
        "out is not known."
    )
    table = waterfall.pipeline_waterfall(frame[:1], undated, window=Q3, start=EVE, end=END)
    assert table["cell"].tolist() == ["start", "created", "increased", "decreased", "won", "lost", "end"]
    assert table[AMOUNT].tolist() == [10, 0, 2, 0, 0, 0, 12]


def test_no_deals_give_a_waterfall_of_nothing(no_deals):
    table = waterfall.pipeline_waterfall(
        no_deals, history([row("A", "2026-06-01", "Talk", 1, "2026-08-01")]), window=Q3, start=EVE, end=END
    )
    assert table["cell"].tolist() == [
        "start",
        "created",
        "pulled in",
        "increased",
        "decreased",
        "pushed out",
        "won",
        "lost",
        "end",
    ]
    assert (table["n"] == 0).all() and (table[AMOUNT] == 0).all()
    split = waterfall.pipeline_waterfall(no_deals, history([]), window=Q3, start=EVE, end=END, by="segment")
    assert split.empty and split.columns[0] == "segment"
    assert waterfall.weekly_waterfall(no_deals, history([]), window=Q3, days=[EVE]).empty


def test_groups_stand_largest_first_and_a_missing_one_is_a_group():
    frame = deals([record("A", segment="SMB"), record("B", segment=None), record("C", segment="SMB")])
    rows = history([row("A", "2026-06-01", "Talk", 1, "2026-08-01"), row("B", "2026-06-01", "Talk", 9, "2026-08-01"),
                    row("C", "2026-06-01", "Talk", 2, "2026-08-01")])  # fmt: skip
    table = waterfall.pipeline_waterfall(frame, rows, window=Q3, start=EVE, end=END, by="segment")
    starts = table[table["cell"] == "start"]
    assert starts["segment"].fillna("-").tolist() == ["-", "SMB"]
    assert starts["n"].tolist() == [1, 2] and starts[AMOUNT].tolist() == [9, 3]
    assert len(table) == 2 * 9


def test_the_period_is_that_of_the_flows():
    rows = history([row("A", "2026-06-01", "Talk", 1, "2026-08-01")])

    def label(start, end):
        table = waterfall.pipeline_waterfall(deals([record("A")]), rows, window=Q3, start=start, end=end)
        return table["period"].iloc[0]

    assert label(EVE, END) == "2026Q3"
    assert label(date(2026, 7, 5), date(2026, 7, 12)) == "2026-W28"
    assert label(EVE, date(2026, 7, 12)) == "2026-07-01/2026-07-12"


def test_cents_add_up_where_floats_do_not():
    rows = [row(f"d{n}", "2026-06-01", "Talk", 0.29, "2026-08-01") for n in range(30)]
    frame = deals([record(f"d{n}") for n in range(30)])
    table = waterfall.pipeline_waterfall(frame, history(rows), window=Q3, start=EVE, end=END)
    assert table[AMOUNT].iloc[0] == 8.7 != sum([0.29] * 30)


def test_exceptions_are_listed():
    rows = [
        row("no amount", "2026-06-01", "Talk", None, "2026-08-01"),
        row("undated", "2026-06-01", "Talk", 5, None),
        row("lost", "2026-06-01", "Lost", 5, "2026-06-01"), row("lost", "2026-07-01", "Talk", 5, "2026-08-01"),
        row("won", "2026-06-01", "Talk", 5, "2026-07-01"), row("won", "2026-07-02", "Won", 5, "2026-07-02"),
        row("won", "2026-07-09", "Lost", 5, "2026-07-09"), row("fine", "2026-06-01", "Talk", 5, "2026-08-01"),
        row("later", "2026-06-01", "Talk", None, "2026-12-01"),
    ]  # fmt: skip
    frame = deals(
        [record(name, created="2026-06-01") for name in dict.fromkeys(each["opportunity_id"] for each in rows)]
    )
    stood = evenings.between(frame, history(rows), start=date(2026, 7, 5), end=END, stages=STAGES)
    found = waterfall.exceptions(stood, window=Q3)
    assert found[["exception", "opportunity_id"]].values.tolist() == [
        ["no amount", "no amount"], ["no close date", "undated"], ["win withdrawn", "won"],
    ]  # fmt: skip
    stood = evenings.between(frame, history(rows), start=EVE, end=END, stages=STAGES)
    assert "re-opened" in set(waterfall.exceptions(stood, window=Q3)["exception"])


def test_the_last_evening_comes_after_the_first():
    with pytest.raises(checks.ParameterError, match="the last evening 2026-06-30 is not after the first 2026-06-30"):
        waterfall.pipeline_waterfall(deals([]), history([]), window=Q3, start=EVE, end=EVE)


def test_a_deal_given_twice_is_refused():
    with pytest.raises(checks.DataError, match=r"1 rows repeat an opportunity_id \(A\)"):
        evenings.between(deals([record("A")] * 2), history([]), start=EVE, end=END)


def test_a_missing_column_is_named():
    with pytest.raises(checks.DataError, match="stage_history: missing column"):
        waterfall.pipeline_waterfall(deals([]), history([]).drop(columns="seq"), window=Q3, start=EVE, end=END)
    with pytest.raises(checks.DataError, match=r"opportunities: missing column.*'taem'"):
        waterfall.pipeline_waterfall(deals([]), history([]), window=Q3, start=EVE, end=END, by="taem")


# Random companies: what the CRM wrote day by day, and records that agree with it or do not.

DAYS = [f"2026-{month:02d}-{day:02d}" for month in range(5, 11) for day in (1, 15, 30)]
DUE = st.sampled_from([None, *DAYS])
MONEY = st.one_of(st.none(), st.integers(0, 10**7).map(lambda cents: cents / 100), st.floats(0, 1e6))
CHANGE = st.tuples(
    st.sampled_from(DAYS),
    st.sampled_from([None, "Talk", "Offer", "Won", "Lost", "Unheard"]),
    MONEY,
    DUE,
    st.sampled_from([None, "r1", "r2"]),
)
DEAL = st.tuples(
    st.lists(CHANGE, max_size=6),
    st.sampled_from([None, *DAYS]),
    st.sampled_from(["as the history", "open", "won", "lost"]),
    MONEY,
    DUE,
    DUE,
    st.sampled_from(["r1", "r2", None]),
)
COMPANIES = st.lists(DEAL, min_size=2, max_size=10)


def company(drawn):
    rows, records = [], []
    for number, (changes, created, outcome, amount, due, closed, owner) in enumerate(drawn):
        name = f"d{number}"
        rows += [row(name, *change) for change in changes]
        ordered = sorted(changes, key=lambda change: change[0])
        known = [STATE[stage] for _, stage, *_ in ordered if stage in STATE]
        state = (known or ["open"])[-1] if outcome == "as the history" else outcome
        if outcome == "as the history" and ordered:
            _, _, amount, due, owner = ordered[-1]
        records.append(record(name, created, outcome=state, amount=amount, close_date=due, owner_id=owner,
                              closed_at=closed if state != "open" else None))  # fmt: skip
    return deals(records), history(rows)


def changes_of(deal, rows):
    """What is known of one deal, as a list of moments; written anew, for the oracle."""
    known, stage, owner = [], None, None
    for each in sorted(rows, key=lambda each: (each["changed_at"], each["seq"])):
        is_known = each["stage"] in STATE
        own = each["stage"] if isinstance(each["stage"], str) else None
        stage = own if is_known or not any(entry["is_known"] for entry in known) else stage
        owner = each["owner_id"] if isinstance(each["owner_id"], str) else owner
        state = STATE[each["stage"]] if is_known else (known[-1]["state"] if known else "open")
        known.append(each | {"state": state, "stage": stage, "is_known": is_known, "owner": owner or deal["owner_id"]})
    created = deal["created_date"] if pd.notna(deal["created_date"]) else pd.Timestamp("1900-01-01")
    if not known or (pd.notna(deal["created_date"]) and created < known[0]["changed_at"]):
        first = known[0] if known else deal | {"owner": deal["owner_id"]}
        known.insert(0, {**first, "changed_at": created, "state": "open", "stage": None, "is_known": False})
    if deal["is_closed"] and known[-1]["state"] == "open":
        moves = [
            entry["changed_at"] for n, entry in enumerate(known) if n == 0 or entry["stage"] != known[n - 1]["stage"]
        ]
        said = [deal["closed_at"], deal["close_date"], known[-1]["changed_at"]]
        moment = max(next(each for each in said if pd.notna(each)), moves[-1])
        state = "won" if deal["is_won"] else "lost"
        last = known[-1]
        known = [entry | {"state": state if entry["changed_at"] > moment else entry["state"]} for entry in known]
        place = sum(entry["changed_at"] <= moment for entry in known)
        ending = {"changed_at": moment, "state": state, "amount": deal["amount"], "close_date": deal["close_date"]}
        known.insert(place, last | ending)
    return known


def standing(deal, known, day):
    """State, amount, close date and owner of one deal at the end of a day."""
    after = pd.Timestamp(day) + pd.Timedelta(days=1)
    past = [entry for entry in known if entry["changed_at"] < after]
    if not past:
        return None
    is_booked = deal["is_won"] and deal["close_date"] < after
    past = known if is_booked and past[-1]["state"] == "open" else past
    is_booked = is_booked and past[-1]["state"] != "lost"
    now = past[-1] | ({"state": "won", "close_date": deal["close_date"]} if is_booked else {})
    state = "open" if now["state"] == "won" and now["close_date"] >= after else now["state"]
    was_open = [n for n, entry in enumerate(past) if entry["state"] == "open"]
    closing = past[
        was_open[-1] + 1 if was_open and was_open[-1] + 1 < len(past) else (len(past) - 1 if was_open else 0)
    ]
    priced = past[was_open[-1]] if state == "lost" and was_open else now
    return state, priced["amount"], priced["close_date"], (now if state == "open" else closing)["owner"]


def lives(frame, rows):
    """Each deal with all that is known of it."""
    written: dict = {}
    for each in rows.to_dict("records"):
        written.setdefault(each["opportunity_id"], []).append(each)
    return [(deal, changes_of(deal, written.get(deal["opportunity_id"], []))) for deal in frame.to_dict("records")]


def looped(lived, window, start, end, by=None):
    """The waterfall deal by deal, in whole cents, as {(group, cell): [cents, deals]}."""
    found: dict = {}
    for deal, known in lived:
        stood = [standing(deal, known, day) for day in (start, end)]
        stood = stood if by else [each and (*each[:3], None) for each in stood]
        for cell, cents, group in entries(*stood, window):
            place = found.setdefault((None if pd.isna(group) else group, cell), [0, 0])
            place[0], place[1] = place[0] + cents, place[1] + 1
    return found


def entries(before, after, window):
    def where(stood):
        if stood is None or pd.isna(stood[2]):
            return "never"
        return (
            "in"
            if window.start <= stood[2].date() <= window.end
            else "later"
            if stood[2].date() > window.end
            else "earlier"
        )

    def cents(stood):
        return 0 if stood is None or pd.isna(stood[1]) else round(stood[1] * 100)

    if after is None:
        return []
    was, now = before[0] if before else None, after[0]
    if was == "open" and where(before) == "in":
        came = "start"
    elif where(after) != "in" or (now == "won" and was == "won") or (now == "lost" and was in ("won", "lost")):
        return []
    elif was is None or was != "open":
        came = "created" if was is None else "re-opened"
    else:
        came = {"later": "pulled in", "earlier": "slipped in", "never": "dated"}[where(before)]
    left = {
        "later": "pushed out",
        "earlier": "pulled ahead",
        "never": "undated",
        "in": "won" if now == "won" else "end",
    }[where(after)]
    left = "lost" if now == "lost" else left
    first, last = cents(after) if came in ("created", "re-opened") else cents(before), cents(after)
    change = [("increased" if last > first else "decreased", last - first, after[3])] if last != first else []
    ending = (left, last if left == "end" else -last, after[3])
    same = came != "start" or before[3] == after[3] or (pd.isna(before[3]) and pd.isna(after[3]))
    if same:
        return [(came, first, after[3]), *change, ending]
    return [
        ("start", first, before[3]),
        ("moved out", -first, before[3]),
        ("moved in", first, after[3]),
        *change,
        ending,
    ]


def as_cells(table, by=None):
    kept = table[table["n"] > 0]
    groups = [None if pd.isna(name) else name for name in kept[by]] if by else [None] * len(kept)
    cents = (kept[AMOUNT] * 100).round().astype(int)
    keys = zip(groups, kept["cell"], strict=True)
    return {key: list(value) for key, value in zip(keys, zip(cents, kept["n"], strict=True), strict=True)}


def assert_reconciles(table, by=None):
    """Rows but the last add up to the last, in cents and in deals."""
    cents = (table[AMOUNT] * 100).round().astype("int64")
    assert np.allclose(cents / 100, table[AMOUNT], rtol=0, atol=1e-6)
    rows = table.assign(cents=cents, group=table[by].fillna("-") if by else "all")
    signs = rows["cell"].map(dict.fromkeys(waterfall.LEFT, -1) | dict.fromkeys(waterfall.CHANGED, 0)).fillna(1)
    is_end = rows["cell"] == "end"
    for value in (rows["cents"], rows["n"] * signs):
        sums = value[~is_end].groupby(rows["group"]).sum()
        assert (sums == value[is_end].groupby(rows["group"]).sum()).all()


@pytest.mark.parametrize("histories", [60, pytest.param(10_000, marks=pytest.mark.full)])
def test_the_waterfall_reconciles_and_is_that_of_a_loop_over_deals(histories):
    counted = []

    # Two deals a company at least on average; the same companies every time, so that the count is sure.
    @settings(max_examples=histories // 2, deadline=None, derandomize=True)
    @given(
        COMPANIES,
        st.sampled_from([None, "owner_id"]),
        st.sampled_from([date(2026, 6, 14), EVE]),
        st.sampled_from([date(2026, 7, 15), END]),
    )
    def check(drawn, by, start, end):
        frame, rows = company(drawn)
        counted.append(len(frame))
        table = waterfall.pipeline_waterfall(frame, rows, window=Q3, start=start, end=end, stages=STAGES, by=by)
        assert_reconciles(table, by)
        assert as_cells(table, by) == looped(lives(frame, filled(rows, frame)), Q3, start, end, by)

    check()
    assert sum(counted) >= histories


def filled(rows, frame):
    """The history with the record's values in columns it does not have at all."""
    own = frame.set_index("opportunity_id")
    absent = [name for name in ("amount", "close_date", "owner_id") if rows[name].isna().all()]
    return rows.assign(**{name: rows["opportunity_id"].map(own[name]) for name in absent})


@settings(max_examples=10, deadline=None)
@given(COMPANIES, st.randoms(use_true_random=False))
def test_invariants(drawn, random):
    frame, rows = company(drawn)
    before = frame.copy(), rows.copy()
    stood = evenings.between(frame, rows, start=EVE, end=END, stages=STAGES, by="owner_id")
    moves = waterfall.deal_moves(stood, window=Q3)
    assert moves["opportunity_id"].is_unique and moves["cell"].notna().all()
    assert set(moves["cell"]) <= {*waterfall.CELLS, waterfall.UNCHANGED} - {"start", "end"}
    whole, split = (
        waterfall.bridge(moves),
        waterfall.bridge(waterfall.deal_moves(stood, window=Q3, by="owner_id"), by="owner_id"),
    )
    summed = split[~split["cell"].str.startswith("moved")].groupby("cell")[["n", AMOUNT]].sum().round(2)
    common = whole.set_index("cell").loc[summed.index, ["n", AMOUNT]].round(2)
    assert (summed == common).all(axis=None)
    order = list(range(len(rows)))
    random.shuffle(order)
    again = waterfall.pipeline_waterfall(frame, rows.iloc[order], window=Q3, start=EVE, end=END, stages=STAGES)
    pd.testing.assert_frame_equal(again[["cell", "n", AMOUNT]], waterfall.pipeline_waterfall(
        frame, rows, window=Q3, start=EVE, end=END, stages=STAGES)[["cell", "n", AMOUNT]])  # fmt: skip
    pd.testing.assert_frame_equal(frame, before[0])
    pd.testing.assert_frame_equal(rows, before[1])


@pytest.fixture(scope="module")
def sample():
    return crm.load("sample")


@pytest.fixture(scope="module")
def sample_lives(sample):
    with pytest.MonkeyPatch.context() as patch:
        for stage, is_closed, is_won in sample.stages[["stage", "is_closed", "is_won"]].itertuples(index=False):
            patch.setitem(STATE, stage, "won" if is_won else "lost" if is_closed else "open")
        return lives(sample.opportunities, sample.stage_history)


@pytest.mark.parametrize("text", ["2024Q1", "2025-11", "2026Q3"])
def test_the_sample_is_that_of_a_loop_over_deals_and_its_wins_are_the_bookings(sample, sample_lives, text):
    frame, rows, window = sample.opportunities, sample.stage_history, sample.period(text)
    days = {"window": window, "start": window.start - timedelta(days=1), "end": window.end}
    table = waterfall.pipeline_waterfall(frame, rows, stages=sample.stages, by="owner_id", **days)
    assert_reconciles(table, "owner_id")
    assert as_cells(table, "owner_id") == looped(sample_lives, by="owner_id", **days)
    booked = forecast.bookings(frame, [window]).iloc[0]
    won = table[table["cell"] == "won"][["n", AMOUNT]].sum()
    assert (won["n"], round(-won[AMOUNT], 2)) == (booked["n"], round(booked["bookings_amount"], 2))


def test_each_week_begins_where_the_last_one_ended(sample):
    days = evenings.week_evenings(Q3, date(2026, 8, 19))
    assert days[:2] == [EVE, date(2026, 7, 5)] and days[-2:] == [date(2026, 8, 16), date(2026, 8, 19)]
    options = {"window": Q3, "stages": sample.stages, "by": "segment"}
    table = waterfall.weekly_waterfall(sample.opportunities, sample.stage_history, days=days, **options)
    assert table["period"].unique().tolist()[:3] == ["2026-07-01/2026-07-05", "2026-W28", "2026-W29"]
    ends, starts = (
        table[table["cell"] == cell].groupby(["segment", "period_start"])[AMOUNT].first().unstack()
        for cell in ("end", "start")
    )
    assert (ends.to_numpy()[:, :-1] == starts.to_numpy()[:, 1:]).all()
    last = waterfall.pipeline_waterfall(
        sample.opportunities, sample.stage_history, start=days[-2], end=days[-1], **options
    )
    pd.testing.assert_frame_equal(last, table[table["period"] == last["period"].iloc[0]].reset_index(drop=True))


def test_the_deals_behind_each_row_add_up_to_it(sample):
    stood = evenings.between(sample.opportunities, sample.stage_history, start=EVE, end=END, stages=sample.stages)
    moves = waterfall.deal_moves(stood, window=Q3)
    listed = waterfall.cells(moves).groupby("cell")["amount"].agg(["size", "sum"])
    table = waterfall.bridge(moves).set_index("cell")
    assert (table.loc[listed.index, "n"] == listed["size"]).all()
    assert np.allclose(table.loc[listed.index, AMOUNT], listed["sum"], rtol=0, atol=1e-6)


def test_sentences_in_every_form():
    options = {"window": Q3, "start": EVE, "end": END, "currency": "USD"}

    def said(*rows):
        return waterfall_findings.waterfall_sentence(pd.DataFrame(rows, columns=["cell", "n", AMOUNT]), **options)

    due, left = "$1.0K (3 deals) was due on 30 June 2026", "nothing was left on 30 September 2026."
    assert said(("start", 3, 1000.0), ("won", 2, -600.0), ("lost", 1, -400.0), ("end", 0, 0.0)) == (
        f"Of the pipeline due in 2026Q3, $600 was won and $400 lost: {due}; {left}"
    )
    assert said(
        ("start", 3, 1000.0), ("increased", 1, 50.0), ("decreased", 1, -60.0), ("pushed out", 1, -290.0),
        ("undated", 1, -10.0), ("lost", 1, -690.0), ("end", 0, 0.0),
    ) == (
        f"Of the pipeline due in 2026Q3, nothing was won and $690 lost: {due} and $50 came since; $290 was pushed out, "
        f"$10 left without a close date, $60 taken off amounts and {left}"
    )  # fmt: skip
    assert said(("start", 0, 0.0), ("created", 2, 0.0), ("lost", 1, 0.0), ("end", 1, 0.0)) == (
        "Of the pipeline due in 2026Q3, nothing was won and deals without an amount lost: $0 (0 deals) was due on 30 June "
        "2026 and deals without an amount came since; $0 (1 deal) was left on 30 September 2026."
    )
    assert "deals without an amount were won and nothing lost:" in said(("start", 1, 0.0), ("won", 1, 0.0))
    title = waterfall_findings.waterfall_sentence(
        pd.DataFrame([("start", 2, 9.0), ("pushed out", 1, -5.0), ("won", 1, -4.0)], columns=["cell", "n", AMOUNT]),
        **options, brief=True,
    )  # fmt: skip
    assert title == "Of the pipeline due in 2026Q3, $4 was won and nothing lost"
    assert said(("start", 0, 0.0), ("end", 0, 0.0)).startswith("No deal was due in 2026Q3 on 30 June 2026")
    assert "is recorded" in said(("start", 1, 5.0), ("end", 1, 5.0))


def test_the_window_may_lie_ahead(sample):
    ahead = periods.quarter_ahead(sample.as_of)
    table = waterfall.pipeline_waterfall(
        sample.opportunities, sample.stage_history, window=ahead, start=EVE, end=END, stages=sample.stages
    )
    assert_reconciles(table)
    assert table.loc[table["cell"] == "won", "n"].item() == 0  # nothing is booked in a quarter to come
    assert table.loc[table["cell"] == "end", "n"].item() > 0
