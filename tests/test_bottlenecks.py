"""The bottleneck: gains by hand and by a chain, comparators that may not be trusted, and what is named of noise."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from salesops import bottlenecks, checks, funnel
from salesops.periods import Period

HALF = Period("2026H1", date(2026, 1, 1), date(2026, 6, 30))
QUARTERS = HALF.days / (365.25 / 4)
STAGES = ["One", "Two", "Three"]


def visits_of(deals: pd.DataFrame, *, amount: float = 100.0) -> pd.DataFrame:
    """Stays of two days from (reached, end) of each deal: stages passed, then won, lost or still_there."""
    rows = deals.loc[deals.index.repeat(deals["reached"])].assign(visit=1)
    rows["visit"] = rows.groupby("opportunity_id").cumcount() + 1
    is_last = rows["visit"] == rows["reached"]
    entered = rows["started"] + pd.to_timedelta(2 * (rows["visit"] - 1), unit="D")
    exit_ = rows["end"].where(is_last, "forward")
    exited = (entered + pd.Timedelta(days=2)).where(exit_ != "still_there")
    rows = rows.assign(
        stage=rows["visit"].map(dict(enumerate(STAGES, 1))), position=rows["visit"].astype(float), entered_at=entered,
        exited_at=exited, exit=exit_, is_reentry=False, days=np.where(exit_ == "still_there", 1.0, 2.0), pipeline="new", amount=amount,
    )  # fmt: skip
    return rows.drop(columns=["reached", "end", "started"]).reset_index(drop=True)


def deals_of(groups: list[tuple], *, per_company: int = 1) -> pd.DataFrame:
    """Deals from (segment, first day, stages reached, end, how many)."""
    rows = [
        {"segment": segment, "started": pd.Timestamp(day), "reached": reached, "end": end}
        for segment, day, reached, end, n in groups
        for _ in range(n)
    ]
    frame = pd.DataFrame(rows)
    number = np.arange(len(frame))
    return frame.assign(opportunity_id=number, account_id=number // per_company)


def through(segment: str | None, day: str, n: int, first: float, second: float) -> list[tuple]:
    """So many deals of which a share passes the first stage, and of these a share wins from the second."""
    passed = round(n * first)
    won = round(passed * second)
    return [
        (segment, day, 1, "lost", n - passed), (segment, day, 2, "lost", passed - won), (segment, day, 2, "won", won)
    ]  # fmt: skip


@pytest.fixture
def behind():
    """First stage: 70 % in A, 50 % in B; second 40 % in both; 400 deals each, all in one quarter."""
    return deals_of([*through("A", "2026-02-01", 400, 0.7, 0.4), *through("B", "2026-02-01", 400, 0.5, 0.4)])


def test_the_gain_is_entries_times_gap_times_what_one_more_is_worth(behind):
    table = bottlenecks.stage_gaps(visits_of(behind), period=HALF, by="segment")
    one, two = table.iloc[0], table.iloc[1]
    assert one["stage"] == "One" and one["comparator"] == "A" and one["dimension"] == "segment"
    assert (one["n"], one["n_comparator"], two["n"]) == (800, 400, 480)
    assert one["current_conversion_rate"] == pytest.approx(0.6) and two["current_conversion_rate"] == pytest.approx(0.4)
    assert 0.07 < one["comparator_gap"] < 0.1 and two["comparator_gap"] < 0.01  # shrunk a little below 0.1
    assert one["comparator_conversion_rate"] == pytest.approx(0.6 + one["comparator_gap"])
    assert one["gain_count"] == pytest.approx(800 / QUARTERS * one["comparator_gap"] * 0.4)
    assert one["gain_amount"] == pytest.approx(100 * one["gain_count"])
    assert one["is_named"] and not two["is_named"] and one["p_value"] < 0.01 and one["first_probability"] > 0.99


def test_one_more_is_worth_what_the_absorbing_chain_says(behind):
    """Derivative of the chain's expected wins with respect to the stage's conversion, numerically."""
    table = bottlenecks.stage_gaps(visits_of(behind), period=HALF, by="segment")

    def wins(first: float, second: float) -> float:
        moves = np.array([[0, first], [0, 0]])
        ends = np.array([[0.0], [second]])
        return float((np.linalg.inv(np.eye(2) - moves) @ ends)[0, 0] * 800)

    step = 1e-6
    slopes = (wins(0.6 + step, 0.4) - wins(0.6, 0.4)) / step, (wins(0.6, 0.4 + step) - wins(0.6, 0.4)) / step
    assert (table["gain_count"] * QUARTERS).tolist() == pytest.approx(
        (np.array(slopes) * table["comparator_gap"]).tolist(), rel=1e-4
    )


def test_the_rate_is_the_funnels_own(behind):
    deals = behind.assign(end=behind["end"].where(np.arange(len(behind)) % 5 > 0, "still_there"))
    visits = visits_of(deals)
    ours = bottlenecks.stage_gaps(visits, period=HALF)["current_conversion_rate"]
    theirs = funnel.stage_conversion(visits, period=HALF)["stage_conversion_rate"]
    assert ours.tolist() == pytest.approx(theirs.tolist(), abs=1e-12)


def test_equal_rates_name_nothing():
    even = deals_of([*through("A", "2026-02-01", 400, 0.6, 0.4), *through("B", "2026-02-01", 400, 0.6, 0.4)])
    table = bottlenecks.stage_gaps(visits_of(even), period=HALF, by="segment")
    assert not table["is_named"].any() and (table["comparator_gap"] < 0.01).all() and (table["p_value"] > 0.5).all()
    assert bottlenecks.sentence(table) == (
        "No stage stands out as the bottleneck: how far each falls behind its own best segment or quarter can be chance."
    )


def test_deals_of_few_companies_prove_less(behind):
    lumped = behind.assign(account_id=np.arange(len(behind)) // 20)  # 20 alike deals a company
    alone = bottlenecks.stage_gaps(visits_of(behind), period=HALF, by="segment").iloc[0]
    table = bottlenecks.stage_gaps(visits_of(lumped), period=HALF, by="segment")
    assert not table["is_named"].any() and table["p_value"].iloc[0] > 3 * alone["p_value"]
    few = visits_of(behind.assign(account_id=np.arange(len(behind)) % 19))
    table = bottlenecks.stage_gaps(few, period=HALF, by="segment")
    assert table[["comparator_gap_low", "comparator_gap_high", "p_value"]].isna().all(axis=None)
    assert bottlenecks.sentence(table) == (
        "Too few deals of different companies entered the stages to say which of them has most to gain."
    )


def test_a_deal_of_no_company_stands_alone(behind):
    nameless = visits_of(behind.assign(account_id=pd.Series([None] * len(behind), dtype="str")))
    own = bottlenecks.stage_gaps(nameless, period=HALF, by="segment")
    assert own["is_named"].tolist() == [True, False]


def test_a_small_group_is_no_comparator(behind):
    tiny = deals_of([*through("C", "2026-02-01", 25, 1.0, 1.0)])
    both = pd.concat([behind, tiny], ignore_index=True)
    both = both.assign(opportunity_id=np.arange(len(both)), account_id=np.arange(len(both)))
    table = bottlenecks.stage_gaps(visits_of(both), period=HALF, by="segment")
    assert table["comparator"].tolist()[0] == "A"


def test_a_group_mostly_open_is_no_comparator():
    groups = [*through("A", "2026-02-01", 400, 0.6, 0.4), *through("B", "2026-02-01", 400, 0.5, 0.4)]
    young = [("C", "2026-06-01", 1, "still_there", 500), *through("C", "2026-06-01", 300, 1.0, 0.4)]
    table = bottlenecks.stage_gaps(visits_of(deals_of([*groups, *young])), period=HALF, by="segment")
    assert table["comparator"].iloc[0] == "A"


def test_one_group_alone_has_nothing_to_compare_with():
    only = deals_of(through("A", "2026-02-01", 400, 0.6, 0.4))
    table = bottlenecks.stage_gaps(visits_of(only), period=HALF, by="segment")
    assert table[["dimension", "comparator", "comparator_gap", "p_value"]].isna().all(axis=None)
    assert table["n_comparator"].tolist() == [0, 0] and not table["is_named"].any()
    assert bottlenecks.sentence(table).startswith("Too few deals of different companies")


def test_a_missing_segment_is_a_group():
    groups = [*through(None, "2026-02-01", 400, 0.8, 0.4), *through("B", "2026-02-01", 400, 0.5, 0.4)]
    table = bottlenecks.stage_gaps(visits_of(deals_of(groups)), period=HALF, by="segment")
    assert table["comparator"].iloc[0] == "(none)" and "segment (none)" in bottlenecks.sentence(table)


def test_a_quarter_can_be_the_comparator():
    groups = [*through("A", "2026-02-01", 500, 0.7, 0.4), *through("A", "2026-05-01", 500, 0.5, 0.4)]
    table = bottlenecks.stage_gaps(visits_of(deals_of(groups)), period=HALF)
    assert table[["dimension", "comparator"]].iloc[0].tolist() == ["quarter", "2026Q1"]
    said = bottlenecks.sentence(table, currency="EUR")
    assert said.startswith(
        "One of new has most to gain of the stages with a clear gap: 60 % get past it, 70 % where it"
    )
    assert "(quarter 2026Q1; 10 points more, likely between" in said and " a quarter (likely between €" in said


def test_without_amounts_wins_rank(behind):
    table = bottlenecks.stage_gaps(visits_of(behind, amount=np.nan), period=HALF, by="segment")
    assert table["gain_amount"].isna().all() and table["is_named"].tolist() == [True, False]
    assert " wins a quarter (likely between " in bottlenecks.sentence(table)


def test_two_stages_as_far_behind_are_not_told_apart():
    # In the first 0.7 and 0.5, in the second 0.7 and 0.5: the same share of more wins from either.
    groups = [*through("A", "2026-02-01", 1500, 0.7, 0.7), *through("B", "2026-02-01", 2100, 0.5, 0.5)]
    table = bottlenecks.stage_gaps(visits_of(deals_of(groups)), period=HALF, by="segment").assign(
        first_probability=[0.55, 0.45], is_named=False
    )
    assert (table["comparator_gap_low"] > 0).all()
    assert bottlenecks.sentence(table) == (
        "No stage stands out as the bottleneck: One of new and Two of new lie clearly behind where they do best, "
        "but which has most to gain cannot be told."
    )


def test_chances_of_being_first_are_shared():
    groups = [*through("A", "2026-02-01", 1500, 0.7, 0.7), *through("B", "2026-02-01", 2100, 0.5, 0.5)]
    table = bottlenecks.stage_gaps(visits_of(deals_of(groups)), period=HALF, by="segment")
    assert table["first_probability"].sum() == pytest.approx(1) and table["first_probability"].between(0.01, 0.99).all()


def test_rows_may_come_in_any_order_and_stay_as_they_are(behind):
    visits = visits_of(behind)
    kept = visits.copy()
    table = bottlenecks.stage_gaps(visits, period=HALF, by="segment")
    pd.testing.assert_frame_equal(visits, kept)
    other = bottlenecks.stage_gaps(visits.sample(frac=1, random_state=1), period=HALF, by="segment")
    exact = ["stage", "comparator", "n", "n_comparator", "current_conversion_rate", "is_named"]
    pd.testing.assert_frame_equal(table[exact], other[exact])


def test_limits_hold_their_estimates(behind):
    table = bottlenecks.stage_gaps(visits_of(behind), period=HALF, by="segment")
    for name in ("comparator_gap", "gain_count", "gain_amount"):
        assert (table[f"{name}_low"] <= table[name]).all() and (table[name] <= table[f"{name}_high"]).all()


def test_no_visits_and_entries_outside_the_period(behind):
    visits = visits_of(behind)
    empty = bottlenecks.stage_gaps(visits.iloc[:0], period=HALF, by="segment")
    assert empty.empty and bottlenecks.sentence(empty).startswith("Too few deals of different companies")
    later = Period("2027", date(2027, 1, 1), date(2027, 12, 31))
    outside = bottlenecks.stage_gaps(visits, period=later, by="segment")
    assert outside["n"].tolist() == [0, 0] and outside["current_conversion_rate"].isna().all()


def test_a_return_to_a_stage_is_no_entry(behind):
    visits = visits_of(behind)
    visits.loc[visits["opportunity_id"] < 10, "is_reentry"] = True
    assert bottlenecks.stage_gaps(visits, period=HALF)["n"].tolist() == [790, 480]


def test_a_missing_column_is_named(behind):
    with pytest.raises(checks.DataError, match=r"visits: missing column \['account_id'\]"):
        bottlenecks.stage_gaps(visits_of(behind).drop(columns="account_id"), period=HALF)


def test_noise_is_seldom_named_and_a_wide_gap_mostly():
    """Twenty-four draws each, companies of four deals with chances of their own; the full counts are in benchmarks."""
    named = np.zeros((2, 24), dtype=bool)
    for gap in (0, 1):
        for seed in range(24):
            rng = np.random.default_rng(seed)
            company = rng.integers(0, 700, 2800)
            segment = rng.choice(4, 700, p=[0.4, 0.25, 0.2, 0.15])[company]
            own = np.where(rng.random(700) < 0.5, -0.1, 0.1)[company]
            passes = rng.random(2800) < 0.5 + own + gap * np.where(segment == 1, 0.12, -0.04)
            won = rng.random(2800) < 0.4
            deals = pd.DataFrame(
                {"opportunity_id": np.arange(2800), "account_id": company, "segment": segment.astype(str)}
            )
            deals["started"] = pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 170, 2800), unit="D")
            deals = deals.assign(reached=1 + passes, end=np.where(passes & won, "won", "lost"))
            table = bottlenecks.stage_gaps(visits_of(deals), period=HALF, by="segment", draws=200)
            named[gap, seed] = table["is_named"].iloc[0] if gap else table["is_named"].any()
    assert named[0].sum() <= 4 and named[1].sum() >= 19
