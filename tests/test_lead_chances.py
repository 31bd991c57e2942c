"""Chances of leads: by hand, drawn to the group above, as known on an evening and no later."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from salesops import checks, lead_chances
from salesops.deal_changes import day_number
from salesops.lead_chances import Flow

NEVER = np.inf


def table(rows, **columns):
    """Leads by hand: arrival, qualified, converted, disqualified, deal."""
    names = ["created_at", "qualified_at", "converted_at", "disqualified_at", "opportunity_id"]
    frame = pd.DataFrame(rows, columns=names).assign(source="web", score=50.0, **columns)
    return frame.assign(**{name: pd.to_datetime(frame[name]) for name in names[:-1]})


def deals(*rows):
    frame = pd.DataFrame(rows, columns=["opportunity_id", "created_date"])
    return frame.assign(created_date=pd.to_datetime(frame["created_date"]))


def leads_of(arrived, made, gone=None, *, source=None, score=None, qualified=None):
    """A flow by hand, days as they are."""
    arrived, made = (np.asarray(each, dtype=float) for each in (arrived, made))
    n = len(arrived)
    never, code = np.full(n, NEVER), np.zeros(n, dtype=int) if source is None else np.asarray(source)
    return Flow(
        arrived, made if qualified is None else np.asarray(qualified, dtype=float), made,
        never if gone is None else np.asarray(gone, dtype=float), code, tuple(f"s{i}" for i in range(code.max() + 1)),
        np.full(n, np.nan) if score is None else np.asarray(score, dtype=float), np.zeros(0), np.zeros(0),
    )  # fmt: skip


def test_what_becomes_of_each_lead():
    leads = table([
        ("2026-01-01", "2026-01-02", "2026-01-05", None, "D1"),
        ("2026-01-01", None, "2026-01-04", None, "D1"),  # the first of two leads of one deal
        ("2026-01-01", None, None, "2026-01-03", None),
        ("2026-01-01", None, None, None, "D2"),  # no day of conversion: that of the deal
        ("2026-01-01", None, "2026-01-09", None, "R1"),  # a deal of another population
        ("2026-01-01", None, "2026-01-09", None, None),  # a contact only
        ("2026-01-08", None, "2026-01-05", None, "D3"),  # the deal was there before
        (None, None, "2026-01-05", None, "D4"),
    ])  # fmt: skip
    found = lead_chances.flow(leads, deals(("D1", "2026-01-05"), ("D2", "2026-01-07"), ("D3", "2026-01-05"),
                                           ("D5", "2026-01-06")))  # fmt: skip
    new_year = day_number(date(2026, 1, 1))
    assert (found.made - new_year).tolist() == [NEVER, 3, NEVER, 6, NEVER, NEVER]
    assert (found.gone - new_year).tolist() == [4, NEVER, 2, NEVER, 8, 8]
    assert (found.qualified - new_year).tolist() == [1, 3, NEVER, 6, 8, 8]
    assert (found.deal_lead - new_year).tolist() == [3, 6, 4, NEVER]
    assert (found.deal_seen - new_year).tolist() == [4, 6, 4, 5]


def test_a_deal_is_known_from_its_first_change_at_the_earliest():
    history = pd.DataFrame({"opportunity_id": ["D1", "D1", "D2"],
                            "changed_at": pd.to_datetime(["2026-01-09", "2026-01-07", "2026-01-02"])})  # fmt: skip
    made = deals(("D1", "2026-01-05"), ("D2", None), ("D3", "2026-01-06"))
    found = lead_chances.flow(table([("2026-01-01", None, None, None, None)]), made, stage_history=history)
    assert (found.deal_seen - day_number(date(2026, 1, 1))).tolist() == [6, 1, 5]


def test_no_leads_no_flow_and_missing_columns():
    assert lead_chances.flow(table([]), deals()) is None
    assert lead_chances.flow(table([(None, None, None, None, None)]), deals()) is None
    assert lead_chances.lead_chances(None, cutoff=date(2026, 1, 1)).empty
    with pytest.raises(checks.DataError, match="leads: missing column"):
        lead_chances.flow(table([]).drop(columns="qualified_at"), deals())
    with pytest.raises(checks.DataError, match="opportunities: missing column"):
        lead_chances.flow(table([]), deals().drop(columns="created_date"))


def test_one_group_is_the_plain_product_limit():
    """Ten leads of one day: three made on the next, two gone on the third, five still there."""
    found = leads_of([0] * 10, [1] * 3 + [NEVER] * 7, [NEVER] * 3 + [2] * 2 + [NEVER] * 5)
    row = lead_chances.lead_chances(found, cutoff=date(1970, 1, 11)).iloc[0]
    assert row["n"] == 10 and row["n_made"] == 3 and row["lead_to_deal_rate"] == pytest.approx(0.3)
    assert row["made_days_median"] == 1 and row["lead_to_deal_rate_low"] < 0.3 < row["lead_to_deal_rate_high"]


def test_open_leads_are_censored_not_failed():
    """Four leads; those of yesterday have not had their second day: of two that had, one was made."""
    found = leads_of([0, 0, 9, 9], [2, NEVER, NEVER, NEVER])
    row = lead_chances.lead_chances(found, cutoff=date(1970, 1, 11)).iloc[0]
    assert row["lead_to_deal_rate"] == pytest.approx(1 / 2)


def test_each_group_is_drawn_to_its_source_and_that_to_all():
    """Everything happens on the day of arrival, so the shares can be drawn by hand."""
    source, score = np.repeat([0, 0, 1], [40, 40, 20]), np.repeat([10.0, 90.0, 10.0], [40, 40, 20])
    made = np.where(np.arange(100) % 4 == 0, 0.0, NEVER)
    made[40:80] = np.where(np.arange(40) % 2, 0.0, NEVER)
    found = leads_of(np.zeros(100), made, np.where(np.isinf(made), 0.0, NEVER), source=source, score=score)
    said = lead_chances.lead_chances(found, cutoff=date(1970, 1, 31))
    whole = (10 + 20 + 5) / 100
    one, two = (30 + 20 * whole) / 100, (5 + 20 * whole) / 40
    expected = [(10 + 20 * one) / 60, (20 + 20 * one) / 60, (5 + 20 * two) / 40]
    # A drawn group that is not all made or gone keeps a rest, which later ages would share out: there are none.
    assert said["lead_to_deal_rate"].tolist() == pytest.approx(expected)
    assert said["source"].tolist() == ["s0", "s0", "s1"] and said["score_band"].tolist() == ["10", "90", "10"]


def test_a_lead_without_a_score_or_a_source_is_in_a_group_of_its_own():
    leads = table([("2026-01-01", None, None, None, None)] * 6)
    leads["score"], leads["source"] = [1.0, 1, 9, 9, np.nan, np.nan], ["b", "b", "a", None, "b", "b"]
    said = lead_chances.lead_chances(lead_chances.flow(leads, deals()), cutoff=date(2026, 2, 1))
    assert said["source"].fillna("-").tolist() == ["a", "b", "b", "-"]
    assert said["score_band"].fillna("-").tolist() == ["9", "1", "-", "9"] and said["n"].tolist() == [1, 2, 2, 1]
    bare = lead_chances.flow(leads.drop(columns=["score", "source"]), deals())
    assert lead_chances.lead_chances(bare, cutoff=date(2026, 2, 1))["n"].tolist() == [6]


def naive(found, start, end):
    """One group: the chance of each open lead on each day left, and of the days of the last 91 come again."""
    known = [(a, m, g) for a, m, g in zip(found.arrived, found.made, found.gone, strict=True) if a <= start]
    hazards = []
    for age in range(365):
        at_risk = [row for row in known if min(*row[1:], start) - row[0] >= age]
        ends = [sum(row[k] - row[0] == age and row[k] <= start for row in at_risk) for k in (1, 2)]
        hazards.append([each / max(len(at_risk), 1) for each in ends])
    at, still, left = [], [], 1.0
    for made, gone in hazards:
        at.append(left * made)
        left *= 1 - made - gone
        still.append(left)
    here, arriving, variance = np.zeros(end - start), np.zeros(end - start), 0.0
    for row in known:
        age = int(start - row[0])
        if min(row[1:]) > start:
            own = np.array([at[age + j] / still[age] for j in range(1, end - start + 1)])
            here, variance = here + own, variance + own.sum() * (1 - own.sum())
        if row[0] > start - 91:
            arriving += np.cumsum(at[: end - start]) / 91
    return here, arriving, variance


def test_the_days_ahead_as_a_naive_loop_has_them():
    random = np.random.default_rng(1)
    arrived = np.sort(random.integers(0, 200, 300))
    made = np.where(random.random(300) < 0.4, arrived + random.integers(0, 40, 300), NEVER)
    gone = np.where((random.random(300) < 0.5) & np.isinf(made), arrived + random.integers(0, 60, 300), NEVER)
    found = leads_of(arrived, made, gone)
    said = lead_chances.outcome(found, 170, 200, found.made, found.gone)
    here, arriving, variance = naive(found, 170, 200)
    assert said.here == pytest.approx(here) and said.arriving == pytest.approx(arriving)
    is_open = (arrived <= 170) & (made > 170) & (gone > 170)
    assert said.n_here == is_open.sum() and said.n_arrived == ((arrived <= 170) & (arrived > 79)).sum()
    assert said.variance == pytest.approx(variance) and variance > 0


def test_leads_too_old_promise_nothing():
    found = leads_of([0, 0, 400], [380, NEVER, NEVER])
    said = lead_chances.outcome(found, 420, 450, found.made, found.gone)
    assert said.here.sum() == 0 and said.n_here == 2


def test_no_lead_is_known_yet():
    said = lead_chances.outcome(leads_of([5], [7]), 3, 10, np.array([7.0]), np.array([NEVER]))
    assert said.n_here == 0 and said.here.tolist() == [0] * 7 == said.arriving.tolist()


def test_what_comes_later_changes_nothing():
    """Later leads with scores and sources of their own, and later ends of the leads known."""
    random = np.random.default_rng(2)
    arrived = np.sort(random.integers(0, 200, 400))
    made = np.where(random.random(400) < 0.5, arrived + random.integers(0, 50, 400), NEVER)
    score, source = random.integers(1, 100, 400).astype(float), random.integers(0, 4, 400)
    later = arrived > 150
    score[later], source[later] = 1e6, 0
    full = leads_of(arrived, made, source=source, score=score)
    cut = leads_of(arrived[~later], np.where(made > 150, NEVER, made)[~later], source=source[~later],
                   score=score[~later])  # fmt: skip
    one, two = (lead_chances.outcome(each, 150, 190, each.made, each.gone) for each in (full, cut))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True)) and one.here.sum() > 0
    cutoff = date(1970, 5, 31)
    one, two = (lead_chances.lead_chances(each, cutoff=cutoff) for each in (full, cut))
    pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_nothing_is_touched():
    leads, made = table([("2026-01-01", None, "2026-01-05", None, "D1")]), deals(("D1", "2026-01-05"))
    before = leads.copy(), made.copy()
    lead_chances.flow(leads, made)
    pd.testing.assert_frame_equal(leads, before[0])
    pd.testing.assert_frame_equal(made, before[1])
