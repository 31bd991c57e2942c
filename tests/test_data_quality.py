"""Data quality: planted faults are all found, clean deals raise none, and each number against a loop or by hand."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from conftest import deals
from hypothesis import given
from hypothesis import strategies as st

from salesops import checks, crm, data_quality, deal_rules, journey
from salesops.crm import sample
from salesops.deal_rules import NO_AMOUNT, NO_REASON, NO_STEP, PAST_DUE
from salesops.periods import trailing_quarters

DAY = date(2026, 9, 30)
K = 7
# In the clean company deals still lack a next step or a reason, and skip stages: habits, not faults.
HABITS = {NO_STEP, NO_REASON, "skipped a stage", "too long in its stage", "won but never qualified"}


@pytest.fixture(scope="module")
def clean() -> dict[str, pd.DataFrame]:
    return sample.tables(size=3000, clean=True)


def found(
    tables: dict[str, pd.DataFrame], opportunities: pd.DataFrame | None = None, **changed: object
) -> dict[str, set]:
    """The deals that break each rule."""
    tables = tables | changed
    rows = tables["opportunities"] if opportunities is None else opportunities
    visits = journey.stage_visits(tables["stage_history"], stages=tables["stages"], opportunities=rows, as_of=DAY)
    tests = deal_rules.examined(
        rows, as_of=DAY, reps=tables["reps"], accounts=tables["accounts"], stages=tables["stages"], visits=visits
    )
    broken = tests[tests["is_faulty"]].groupby("rule")["opportunity_id"].agg(set).to_dict()
    return {rule.name: broken.get(rule.name, set()) for rule in deal_rules.RULES}


# How each fault looks in a CRM: the outcome of the deals it is planted on, and what it changes there.
DAYS = pd.Timedelta(days=1)
PLANTED = {
    NO_AMOUNT: ("open", lambda _: {"amount": np.nan}),
    "no close date": ("open", lambda _: {"close_date": pd.NaT}),
    NO_STEP: ("open", lambda _: {"next_step": None}),
    "no owner": ("open", lambda _: {"owner_id": None}),
    "no account": ("open", lambda _: {"account_id": None}),
    NO_REASON: ("lost", lambda _: {"loss_reason": None}),
    "won but never qualified": ("won", lambda _: {"qualified_date": pd.NaT}),
    "amount of zero": ("won", lambda _: {"amount": 0.0}),
    "open at 0 or 100 %": ("open", lambda _: {"probability": 1.0}),
    "owner is not a rep": ("open", lambda _: {"owner_id": "nobody"}),
    "owner has left": ("open", lambda _: {"owner_id": "gone"}),
    "stage contradicts outcome": ("open", lambda _: {"stage": "Closed Won"}),
    "qualified before created": ("won", lambda d: {"qualified_date": d["created_date"] - 2 * DAYS}),
    "won before qualified": ("won", lambda d: {"qualified_date": d["close_date"] + 2 * DAYS}),
    PAST_DUE: ("open", lambda _: {"close_date": pd.Timestamp(DAY) - DAYS}),
    "no activity for 30 days": ("open", lambda _: {"last_activity_date": pd.Timestamp(DAY) - 31 * DAYS}),
    "won, entered late": ("won", lambda d: {"closed_at": d["close_date"] + 8 * DAYS}),
}  # fmt: skip


@pytest.mark.parametrize("rule", PLANTED)
def test_every_planted_fault_is_found_and_nothing_else(clean, rule):
    outcome, change = PLANTED[rule]
    rows, before = clean["opportunities"], found(clean)
    sound = rows[(rows["outcome"] == outcome) & ~rows["opportunity_id"].isin(before[rule])]
    hit = sound.sample(K, random_state=1)
    planted = rows.copy()
    for name, value in change(hit).items():
        planted.loc[hit.index, name] = value
    gone = clean["reps"].iloc[:1].assign(owner_id="gone", left_date=pd.Timestamp(DAY))
    seen = found(clean, planted, reps=pd.concat([clean["reps"], gone]))
    assert seen[rule] - before[rule] == set(hit["opportunity_id"]) and len(hit) == K


def test_planted_twins_are_found(clean):
    rows, before = clean["opportunities"], found(clean)["likely duplicate deal"]
    hit = rows[rows["outcome"] == "open"].sample(K, random_state=1)
    twins = hit.assign(
        opportunity_id="T" + hit["opportunity_id"],
        name=hit["name"].str.upper(),
        created_date=hit["created_date"] + 9 * DAYS,
    )
    seen = found(clean, pd.concat([rows, twins], ignore_index=True))["likely duplicate deal"]
    assert seen - before == set(twins["opportunity_id"])


def test_planted_twin_accounts_are_found(clean):
    rows = clean["opportunities"]
    used = clean["accounts"][clean["accounts"]["account_id"].isin(rows["account_id"])].sample(K, random_state=1)
    twins = used.assign(account_id="T" + used["account_id"], name=used["name"].str.upper() + ", Inc.")
    seen = found(clean, accounts=pd.concat([clean["accounts"], twins]))["likely duplicate account"]
    assert seen == set(rows.loc[rows["account_id"].isin(used["account_id"]), "opportunity_id"])


def test_planted_jumps_and_long_stays_are_found(clean):
    rows, before = clean["opportunities"], found(clean)
    visits = journey.stage_visits(clean["stage_history"], stages=clean["stages"], opportunities=rows, as_of=DAY)
    here = visits[(visits["exit"] == "still_there") & ~visits["opportunity_id"].isin(before["too long in its stage"])]
    hit = here.sample(K, random_state=1)
    visits.loc[hit.index, "days"] = 10_000.0
    moved = visits[(visits["exit"] == "forward") & ~visits["opportunity_id"].isin(before["skipped a stage"])]
    moved = moved.drop_duplicates("opportunity_id").sample(K, random_state=1)
    visits.loc[moved.index, "exit"] = "skip"
    tests = deal_rules.examined(rows, as_of=DAY, visits=visits).query("is_faulty")
    seen = tests.groupby("rule")["opportunity_id"].agg(set)
    assert seen["too long in its stage"] - before["too long in its stage"] == set(hit["opportunity_id"])
    assert seen["skipped a stage"] - before["skipped a stage"] == set(moved["opportunity_id"])


def test_every_rule_has_its_planted_fault():
    special = {"likely duplicate deal", "likely duplicate account", "skipped a stage", "too long in its stage"}
    assert {rule.name for rule in deal_rules.RULES} == set(PLANTED) | special


def test_the_clean_company_raises_none(clean):
    assert {rule: ids for rule, ids in found(clean).items() if ids and rule not in HABITS} == {}


def test_the_sample_has_as_many_faults_as_were_planted():
    truth = sample.truth().defects.set_index("defect")["n"]
    company = crm.load("sample", where=None)
    seen = found({name: getattr(company, name) for name in ("stage_history", "stages", "reps", "accounts")},
                 company.all_opportunities)  # fmt: skip
    assert len(seen[PAST_DUE]) == truth["past_due_close_date"]
    assert len(seen[NO_AMOUNT]) == truth["no_amount_open"]
    assert len(seen["no close date"]) == truth["date_out_of_range"].iloc[0]  # barred in reading: none is left
    assert len(seen["owner is not a rep"]) == truth["unknown_owner"]
    read = data_quality.reading_rates(company.exclusions, len(company.all_opportunities)).set_index("rule")[
        "faulty_count"
    ]
    for rule, defect in {
        "no id (opportunity_id)": "no_id", "no outcome (outcome)": "no_outcome", "missing date (close_date)": "missing_date",
        "closed before created (created_date)": "closed_before_created", "repeated row (opportunity_id)": "repeated_row",
        "product spelling (product)": "product_spelling",
    }.items():  # fmt: skip
        assert read[rule] == truth[defect], rule
    for rule, defect in {
        "negative amount (amount)": "negative_amount",
        "unknown stage (stage)": "unknown_stage",
    }.items():
        assert read[rule] == truth[defect].iloc[0], rule


# What each rule is looked at for


def test_a_column_nobody_filled_is_nobodys_fault():
    tests = deal_rules.examined(deals([{"outcome": "open", "amount": None, "owner_id": None}] * 3), as_of=DAY)
    assert not {NO_AMOUNT, "no owner", NO_STEP, "owner is not a rep", "skipped a stage"} & set(tests["rule"])


def test_an_almost_empty_source_has_nothing_to_look_at():
    bare = pd.DataFrame({"opportunity_id": ["a", "b"], "outcome": ["won", "open"]})
    bare = crm.model.conform(bare.assign(is_closed=[True, False], is_won=[True, False]), "opportunities")
    tests = deal_rules.examined(bare, as_of=DAY)
    assert tests.empty
    assert data_quality.fault_rates(tests).empty and data_quality.open_faults(tests)["past_due_rate"].isna().all()
    assert deal_rules.fixes(tests, bare, pd.DataFrame({"owner_id": [], "name": []})).empty
    assert deal_rules.completeness(bare).empty and data_quality.heaping(bare).empty
    none = data_quality.impact(bare, tests, {"win_rate": lambda _: pd.DataFrame()})
    assert none.empty
    said = data_quality.headlines(
        data_quality.fault_rates(tests), none, data_quality.heaping(bare), _course([]), _owners([])
    )
    assert (
        said[1] == "No open deal has a close date, so none can be called late." and "There is nothing to mend." in said
    )


def test_deals_without_a_name_are_not_called_one():
    """Records without names often repeat: small orders of one customer, each of them real."""
    tests = deal_rules.examined(deals([{"outcome": "open"}] * 3), as_of=DAY)
    assert "likely duplicate deal" not in set(tests["rule"])


def test_open_deals_without_any_close_date_cannot_be_late():
    tests = deal_rules.examined(deals([{"outcome": "open", "close_date": None}, {}]), as_of=DAY)
    assert PAST_DUE not in set(tests["rule"])


def test_due_today_is_not_late():
    frame = deals([{"outcome": "open", "close_date": DAY}, {"outcome": "open", "close_date": "2026-09-29"}])
    tests = deal_rules.examined(frame, as_of=DAY).query("rule == @PAST_DUE")
    assert tests["is_faulty"].tolist() == [False, True] and tests["value"].tolist()[1] == "2026-09-29"


def test_the_period_chooses_closed_deals_and_keeps_open_ones(q3):
    frame = deals([{"outcome": "open"}, {"close_date": "2026-08-01"}, {"close_date": "2026-05-01"}])
    current = deal_rules.current(deal_rules.examined(frame, as_of=DAY), q3)
    assert set(current["opportunity_id"]) == {"d0", "d1"}


# Rates


ROWS = st.lists(
    st.tuples(st.sampled_from("ab"), st.booleans(), st.one_of(st.none(), st.floats(1, 1e6))), min_size=1, max_size=60
)


@given(ROWS)
def test_rates_agree_with_a_loop(rows):
    tests = pd.DataFrame(rows, columns=["rule", "is_faulty", "amount"]).assign(kind="k").astype({"amount": float})
    table = data_quality.fault_rates(tests)
    for row in table.itertuples():
        mine = [each for each in rows if each[0] == row.rule]
        broken = [each for each in mine if each[1]]
        assert (row.n, row.faulty_count) == (len(mine), len(broken))
        assert row.fault_rate == pytest.approx(len(broken) / len(mine))
        assert row.touched_amount == pytest.approx(sum(each[2] or 0 for each in broken))
        assert 0 <= row.fault_rate_low <= row.fault_rate + 1e-12 and row.fault_rate <= row.fault_rate_high + 1e-12
    assert table["n"].sum() == len(rows)


def test_the_worst_come_first_and_few_deals_last():
    tests = pd.DataFrame(
        {"rule": ["a"] * 30 + ["b"] * 30 + ["c"] * 3, "kind": "k", "amount": 1.0,
         "is_faulty": [True] * 3 + [False] * 27 + [True] * 9 + [False] * 21 + [True] * 3}
    )  # fmt: skip
    assert data_quality.fault_rates(tests)["rule"].tolist() == ["b", "a", "c"]


def test_how_full_a_field_is_by_stage_and_outcome():
    frame = deals(
        [{"outcome": "open", "stage": "Proposal", "amount": None}, {"outcome": "open", "stage": "Proposal"}]
        + [{"outcome": "lost", "loss_reason": "Price"}, {"outcome": "lost"}, {}]
    )
    table = deal_rules.completeness(frame).set_index(["field", "stage"])["filled_rate"]
    assert table["amount", "Proposal"] == 0.5 and table["amount", "won"] == 1
    assert table["loss_reason", "lost"] == 0.5 and ("loss_reason", "won") not in table.index


def test_heaps_are_named_beyond_chance_only():
    rng = np.random.default_rng(0)
    smooth = deals([{"outcome": "open", "amount": float(size)} for size in rng.integers(10_000, 90_000, 400)])
    table = data_quality.heaping(
        smooth.assign(close_date=pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 365, 400), "D"))
    )
    assert table["is_heaped"].tolist() == [False, False] and table["expected_rate"].iloc[0] == 0.001
    rounded = smooth.assign(amount=smooth["amount"].round(-3), close_date=pd.Timestamp("2026-10-31"))
    assert data_quality.heaping(rounded)["is_heaped"].tolist() == [True, True]


# What the faults do


def test_impact_is_the_measure_without_the_faulty_deals():
    frame = deals([{"amount": 10.0}, {"amount": 20.0, "outcome": "lost"}, {"amount": 30.0}])
    tests = pd.DataFrame(
        {"opportunity_id": ["d0", "d1", "d0"], "rule": ["a", "a", "b"], "is_faulty": [True, False, True]}
    )
    measures = {
        "win_rate": lambda rows: pd.DataFrame({"win_rate": [rows["is_won"].mean()]}),
        "amount": lambda rows: rows[["amount"]].sum().to_frame().T,
    }
    table = data_quality.impact(frame, tests, measures).set_index(["rule", "metric"])
    assert table.loc[("a", "win_rate"), "without_value"] == pytest.approx(1 / 2)
    assert table.loc[("b", "amount"), ["n_left_out", "with_value", "without_value", "difference"]].tolist() == [
        1,
        60,
        50,
        -10,
    ]


def test_a_measure_without_rows_is_missing():
    tests = pd.DataFrame({"opportunity_id": ["d0"], "rule": "a", "is_faulty": True})
    table = data_quality.impact(
        deals([{}]), tests, {"win_rate": lambda rows: rows[["amount"]].rename(columns={"amount": "win_rate"})}
    )
    assert table["with_value"].tolist() == [100] and table["without_value"].isna().all()


def test_the_largest_move_comes_first():
    table = pd.DataFrame({"rule": list("abc"), "metric": "win_rate", "n_left_out": 1, "with_value": 0.2,
                          "without_value": [0.21, 0.1, np.nan], "difference": [0.01, -0.1, np.nan]})  # fmt: skip
    assert data_quality.impact_on(table, "win_rate")["rule"].tolist() == ["b", "a", "c"]


# The past


def test_the_trend_shows_each_evening_as_it_was(q3):
    history = pd.DataFrame({
        "opportunity_id": ["d0", "d0", "d1"], "seq": [1, 2, 1], "stage": "Proposal", "probability": 0.5, "owner_id": "r1",
        "changed_at": pd.to_datetime(["2026-04-01", "2026-08-01", "2026-05-01"]), "next_step": None,
        "amount": [None, 100.0, 100.0], "close_date": pd.to_datetime(["2026-06-01", "2026-12-01", "2026-12-01"]),
    })  # fmt: skip
    frame = deals(
        [{"outcome": "open", "close_date": "2026-12-01"}, {"close_date": "2026-08-01", "created_date": "2026-05-01"}]
    )
    table = data_quality.trend(
        frame, trailing_quarters(q3, 2), as_of=DAY, stage_history=history, open_stages=["Proposal"]
    )
    seen = table.set_index(["period", "rule"])
    assert seen.loc[("2026Q2", PAST_DUE), ["n", "faulty_count"]].tolist() == [2, 1]
    assert seen.loc[("2026Q2", NO_AMOUNT), ["n", "faulty_count"]].tolist() == [2, 1]
    assert seen.loc[("2026Q3", PAST_DUE), "faulty_count"] == 0
    assert data_quality.one_rule(table, PAST_DUE)["period"].tolist() == ["2026Q2", "2026Q3"]


# The list of work


def test_the_fix_list_names_deal_owner_fault_and_what_to_do():
    frame = deals([{"outcome": "open", "amount": None, "name": "Alder", "record_url": "https://crm.example.com/d0"},
                   {"outcome": "open", "next_step": "Call"}])  # fmt: skip
    reps = pd.DataFrame({"owner_id": ["r1"], "name": ["Ann"]})
    tests = deal_rules.examined(frame, as_of=date(2026, 7, 1))
    listed = deal_rules.fixes(tests, frame, reps)
    assert listed[["owner", "opportunity_id", "rule", "to_do"]].values.tolist() == [
        ["Ann", "d0", NO_AMOUNT, "Enter the amount."],
        ["Ann", "d0", NO_STEP, "Enter the next step."],
    ]
    assert set(listed["record_url"]) == {"https://crm.example.com/d0"}
    owners = data_quality.fixes_by_owner(tests, reps)
    assert owners[["owner", "n", "fix_count", "n_deals_to_fix"]].values.tolist() == [["Ann", 2, 2, 1]]


def test_a_skipped_stage_is_told_but_not_asked_to_be_mended(clean):
    rows = clean["opportunities"]
    visits = journey.stage_visits(clean["stage_history"], stages=clean["stages"], opportunities=rows, as_of=DAY)
    tests = deal_rules.examined(rows, as_of=DAY, visits=visits)
    assert "skipped a stage" in set(tests.loc[tests["is_faulty"], "rule"])
    assert "skipped a stage" not in set(deal_rules.fixes(tests, rows, clean["reps"])["rule"])


# Sentences


def _rates(**changed: object) -> pd.DataFrame:
    return pd.DataFrame([{"rule": PAST_DUE, "n": 250, "faulty_count": 15, "fault_rate": 0.06} | changed])


def _moved(without: float, with_: float = 100.0) -> pd.DataFrame:
    return pd.DataFrame(
        [{"rule": PAST_DUE, "metric": "weighted_pipeline_amount", "with_value": with_, "without_value": without}]
    )


def _course(rows: list[tuple]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["period", "n", "faulty_count"]).astype({"n": float, "faulty_count": float})
    return table.assign(rule=PAST_DUE, quarter_fault_rate=table["faulty_count"] / table["n"])


def _owners(counts: list[int]) -> pd.DataFrame:
    return pd.DataFrame({"owner": [str(number) for number in range(len(counts))], "fix_count": counts})


@pytest.mark.parametrize(
    ("rates", "moved", "said"),
    [
        (_rates(), _moved(88), "6 % of open deals are past their close date; without them the weighted pipeline is 12 % lower."),
        (_rates(), _moved(100), "6 % of open deals are past their close date; they add nothing to the weighted pipeline."),
        (_rates(), _moved(np.nan), "6 % of open deals are past their close date; without them the weighted pipeline is 100 % lower."),
        (_rates(), _moved(0, np.nan), "6 % of open deals are past their close date; the pipeline cannot be weighed to say what they are worth."),
        (_rates(), _moved(0, 0), "6 % of open deals are past their close date; the pipeline cannot be weighed to say what they are worth."),
        (_rates(n=5, faulty_count=2), _moved(88), "2 of 5 open deals are past their close date; without them the weighted pipeline is 12 % lower."),
        (_rates(faulty_count=0), _moved(88), "None of the 250 open deals is past its close date."),
        (_rates()[:0], _moved(88), "No open deal has a close date, so none can be called late."),
    ],
)  # fmt: skip
def test_each_form_of_the_headline(rates, moved, said):
    assert data_quality.past_due_sentence(rates, moved) == said
    if (rates["faulty_count"] > 0).any() and rates["n"].iloc[0] >= 20:
        worst = data_quality.worst_sentence(rates, moved)
        tail = said.partition(";")[2] if "lower" in said else "."
        assert worst.endswith(f"6 % of the deals it can concern (15 of 250){';' if 'lower' in said else ''}{tail}")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("2025Q3", 200, 60), ("2026Q3", 200, 10)], "Open deals past their close date: down 25 points since 2025Q3 (30 % to 5 %)."),
        ([("2025Q3", 200, 10), ("2026Q3", 200, 60)], "Open deals past their close date: up 25 points since 2025Q3 (5 % to 30 %)."),
        ([("2025Q3", 200, 20), ("2026Q3", 200, 22)], "Open deals past their close date: no clear change since 2025Q3 (10 % to 11 %)."),
        ([], ""),
        ([("2025Q3", 19, 9), ("2026Q3", 200, 22)], "Too few past open deals to say whether the share past its close date changes."),
    ],
)  # fmt: skip
def test_each_form_of_the_trend(rows, said):
    assert data_quality.trend_sentence(_course(rows)) == said


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ([], "There is nothing to mend."),
        ([1], "1 fault to mend, by 1 owner."),
        ([3, 2], "5 faults to mend, by 2 owners."),
        ([40, 30, 20, 10], "100 faults to mend; three owners hold 90 % of them."),
    ],
)
def test_each_form_of_the_owners(counts, said):
    assert data_quality.owners_sentence(_owners(counts)) == said


def test_a_rule_that_only_lost_deals_can_break_is_not_said_to_move_the_win_rate():
    row = {"metric": "win_rate", "n_left_out": 40, "with_value": 0.24, "without_value": 0.34, "difference": 0.1}
    assert "no loss reason" not in data_quality.moved_sentence(pd.DataFrame([row | {"rule": NO_REASON}]))


def test_few_deals_name_no_fault():
    assert "Too few" in data_quality.worst_sentence(_rates(n=5))
    assert data_quality.worst_sentence(_rates()[:0]) == "There was nothing to look at."


def test_a_missing_column_is_named(one_won):
    with pytest.raises(checks.DataError, match=r"missing column \['next_step'\]"):
        deal_rules.examined(one_won.drop(columns="next_step"), as_of=DAY)
