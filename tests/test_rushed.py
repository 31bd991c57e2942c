"""Rushed stages: gaps by hand, deals that must not be compared, and what is named of noise."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from salesops import checks, rushed
from salesops.periods import Period

Q1 = Period("2026Q1", date(2026, 1, 1), date(2026, 3, 31))
HALF = Period("2026H1", date(2026, 1, 1), date(2026, 6, 30))


def visits_of(groups: list[tuple], *, per_company: int = 1) -> pd.DataFrame:
    """Deals from (segment, days in the first stage, end, how many); the second stage lasts ten days.

    An end of ``lost_there`` or ``won_there`` comes in the first stage. A fifth field is the day the deal came.
    """
    rows = []
    for segment, days, end, n, *start in groups:
        came = pd.Timestamp(start[0] if start else "2026-01-05")
        left = came + pd.Timedelta(days=days)
        for _ in range(n):
            number = len({row[0] for row in rows})
            first = end.removesuffix("_there") if end.endswith("_there") and end != "still_there" else "forward"
            rows.append((number, segment, 1, "One", came, left, first))
            if first == "forward":
                until = pd.NaT if end == "still_there" else left + pd.Timedelta(days=10)
                rows.append((number, segment, 2, "Two", left, until, end))
    columns = ["opportunity_id", "segment", "visit", "stage", "entered_at", "exited_at", "exit"]
    frame = pd.DataFrame(rows, columns=columns).assign(pipeline="new", is_reentry=False)
    days = (frame["exited_at"] - frame["entered_at"]).dt.days.fillna(5.0)
    return frame.assign(
        position=frame["visit"].astype(float), days=days, account_id=frame["opportunity_id"] // per_company
    )


def sides(segment: str | None, fast: tuple[int, int], other: tuple[int, int], *start: str) -> list[tuple]:
    """(won, lost) of those that stay a day and of those that stay ten."""
    return [
        (segment, days, end, n, *start)
        for days, ends in ((1, fast), (10, other))
        for end, n in zip(("won", "lost"), ends, strict=True)
    ]


def first(groups: list[tuple], **options) -> pd.Series:
    return rushed.fast_passes(visits_of(groups), period=Q1, **options).iloc[0]


def test_the_gap_is_a_difference_of_win_rates_after_the_stage():
    row = first(sides("A", (6, 24), (45, 45)))
    assert (row["n"], row["n_fast"], row["n_left_out"], row["fast_pass_days"]) == (120, 30, 0, 1)
    assert row["fast_pass_win_rate"] == pytest.approx(0.2) and row["other_pass_win_rate"] == pytest.approx(0.5)
    assert row["fast_pass_win_gap"] == pytest.approx(-0.3) and row["is_named"]
    # Each side alone p (1 - p) / n with its n / (n - 1) would be 0.10; equal rates of 0.425 give 0.104: the larger counts.
    error = np.sqrt(0.425 * 0.575 * (1 / 30 + 1 / 90))
    assert row["fast_pass_win_gap_high"] == pytest.approx(-0.3 + 2.0452 * error, abs=1e-4)  # t of 29 degrees


def test_gaps_are_averaged_within_groups_by_mantel_and_haenszel():
    groups = [*sides("A", (10, 10), (20, 20)), *sides("B", (2, 18), (60, 60))]
    row = first(groups, by="segment")
    weights = np.array([20 * 40 / 60, 20 * 120 / 140])
    assert row["fast_pass_win_gap"] == pytest.approx(weights @ [0, -0.4] / weights.sum())
    assert row["fast_pass_win_rate"] == pytest.approx(weights @ [0.5, 0.1] / weights.sum())
    assert row["other_pass_win_rate"] == pytest.approx(0.5)


def test_a_group_that_is_fast_and_wins_less_is_not_rushed():
    groups = [*sides("A", (20, 80), (4, 16)), *sides("B", (16, 4), (320, 80))]  # 20 % in A, 80 % in B, fast or not
    assert first(groups)["fast_pass_win_gap"] < -0.4
    within = first(groups, by="segment")
    assert within["fast_pass_win_gap"] == pytest.approx(0) and not within["is_named"]


def test_quick_losses_in_the_stage_and_wins_from_it_are_no_passes():
    groups = sides("A", (12, 18), (36, 54))
    plain = first(groups)
    more = first([*groups, ("A", 0, "lost_there", 200), ("A", 0, "won_there", 50)])
    assert (
        more["n"] == plain["n"] == 120 and more["fast_pass_win_gap"] == pytest.approx(0) == plain["fast_pass_win_gap"]
    )


def test_only_the_first_pass_in_the_period_counts():
    visits = visits_of(sides("A", (6, 24), (45, 45)))
    visits.loc[visits["opportunity_id"] < 10, "is_reentry"] = True
    assert rushed.fast_passes(visits, period=Q1)["n"].iloc[0] == 110
    later = Period("2027", date(2027, 1, 1), date(2027, 12, 31))
    table = rushed.fast_passes(visits, period=later)
    assert table["n"].tolist() == [0, 0] and table["p_value"].isna().all()


def test_open_deals_are_censored_not_lost():
    groups = [*sides("A", (15, 15), (45, 45)), ("A", 1, "still_there", 5), ("A", 10, "still_there", 15)]
    row = first(groups)
    assert row["n"] == 140 and row["fast_pass_win_rate"] == pytest.approx(0.5)


def test_a_quarter_too_young_is_left_out_and_counted():
    old = sides("A", (6, 24), (45, 45))
    young = [
        *sides("A", (20, 0), (10, 0), "2026-05-01"),
        ("A", 1, "still_there", 20, "2026-05-01"),
        ("A", 10, "still_there", 40, "2026-05-01"),
    ]
    row = rushed.fast_passes(visits_of([*old, *young]), period=HALF).iloc[0]
    assert (row["n"], row["n_left_out"]) == (120, 90) and row["fast_pass_win_gap"] == pytest.approx(-0.3)


def test_a_group_of_one_speed_is_left_out():
    row = first([*sides("A", (6, 24), (45, 45)), *sides("B", (0, 0), (30, 5))], by="segment")
    assert (row["n"], row["n_left_out"]) == (120, 35)


def test_a_stage_most_pass_alike_fast_is_not_compared():
    row = first(sides("A", (40, 60), (30, 30)))  # 100 of 160 within a day
    assert row["n"] == 0 and row["n_left_out"] == 160 and pd.isna(row["p_value"])


def test_none_of_the_fast_won_is_no_certainty():
    row = first(sides("A", (0, 22), (20, 80)))
    assert row["fast_pass_win_rate"] == 0 and 0.005 < row["p_value"] < 0.1
    assert row["fast_pass_win_rate_low"] == 0 < row["fast_pass_win_rate_high"]


def test_deals_of_few_companies_prove_less():
    groups = sides("A", (60, 240), (450, 450))
    alone, lumped = (rushed.fast_passes(visits_of(groups, per_company=size), period=Q1).iloc[0] for size in (1, 6))
    assert lumped["fast_pass_win_gap"] == alone["fast_pass_win_gap"]
    ratio = lumped["fast_pass_win_gap_high"] - lumped["fast_pass_win_gap"]
    assert ratio / (alone["fast_pass_win_gap_high"] - alone["fast_pass_win_gap"]) == pytest.approx(np.sqrt(6), rel=0.15)
    few = rushed.fast_passes(visits_of(groups, per_company=20), period=Q1).iloc[0]  # 15 companies are fast
    assert pd.isna(few["p_value"]) and not few["is_named"]


def test_fewer_than_twenty_are_not_judged():
    row = first(sides("A", (1, 18), (60, 20)))
    assert row["n_fast"] == 19 and pd.isna(row["p_value"]) and not row["is_named"]
    assert rushed.sentence(pd.DataFrame([row])) == "Too few deals passed the stages to say whether any is rushed."


def test_a_missing_segment_is_a_group():
    row = first(sides(None, (6, 24), (45, 45)), by="segment")
    assert row["n"] == 120 and row["fast_pass_win_gap"] == pytest.approx(-0.3)


def test_stages_are_one_family():
    table = rushed.fast_passes(visits_of(sides("A", (6, 24), (45, 45))), period=Q1)
    assert table["stage"].tolist() == ["One", "Two"] and table["n_compared"].tolist() == [1, 1]
    assert table["is_named"].tolist() == [True, False]


def test_a_better_end_of_the_fast_is_not_called_rushed():
    table = rushed.fast_passes(visits_of(sides("A", (28, 2), (45, 45))), period=Q1)
    assert table["is_named"].iloc[0]
    assert (
        rushed.sentence(table)
        == "At no stage do deals that passed it unusually fast win clearly less often afterwards."
    )


def test_the_sentence_of_one_and_of_more():
    table = rushed.fast_passes(visits_of(sides("A", (6, 24), (45, 45))), period=Q1, by="segment")
    said = rushed.sentence(table, by="segment")
    assert said == (
        "Deals that passed One of new within 1 day win 30 points less often afterwards than those that took longer "
        "(20 % against 50 %; likely between 9 points and 51 points less), compared within segment and quarter."
    )
    two = pd.concat([table.iloc[[0]], table.iloc[[0]].assign(stage="Two", pipeline=None, fast_pass_win_gap=-0.2)])
    assert rushed.sentence(two).endswith("compared within quarter. The same holds, less strongly, of Two.")
    assert " within a day win " in rushed.sentence(table.assign(fast_pass_days=0.0))


def test_order_is_irrelevant_and_the_visits_stay_as_they_are():
    visits = visits_of([*sides("A", (10, 10), (20, 20)), *sides("B", (2, 18), (60, 60))])
    kept = visits.copy()
    table = rushed.fast_passes(visits, period=Q1, by="segment")
    pd.testing.assert_frame_equal(visits, kept)
    other = rushed.fast_passes(visits.sample(frac=1, random_state=0), period=Q1, by="segment")
    pd.testing.assert_frame_equal(table, other)


def test_no_visits():
    table = rushed.fast_passes(visits_of(sides("A", (1, 1), (1, 1))).iloc[:0], period=Q1, by="segment")
    assert table.empty and rushed.sentence(table).startswith("Too few deals")


def test_what_is_wrong_is_named():
    visits = visits_of(sides("A", (6, 24), (45, 45)))
    with pytest.raises(checks.ParameterError, match=r"fast_passes: share is 0.8. Give a part of the passes above 0"):
        rushed.fast_passes(visits, period=Q1, share=0.8)
    with pytest.raises(checks.DataError, match=r"visits: missing column \['segmnt'\]"):
        rushed.fast_passes(visits, period=Q1, by="segmnt")
