"""Deals to come: hand-worked counts, seasons, ranges, what the late deals follow, no leak, every sentence."""

import dataclasses
from datetime import date

import case_toys
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.stats import norm
from scipy.stats import t as student

from salesops import deals_to_come, forecast_cases, lead_chances, pipeline_forecast, win_chances
from salesops.crm import sample
from salesops.deal_changes import day_number
from salesops.lead_chances import Flow
from salesops.periods import quarter

AS_OF = date(2026, 8, 4)
NEVER = np.inf


def steady(*, days=1400, waves=None):
    """A company: one lead a day, every other one a deal on the fifth day; one deal a day without a lead."""
    first = day_number(date(2023, 1, 1))
    day = first + np.arange(days, dtype=float)
    if waves is not None:
        day = np.repeat(day, waves(day))
    made = np.where(np.arange(len(day)) % 2, day + 5, NEVER)
    gone = np.where(np.isinf(made), day + 5, NEVER)
    other = first + np.arange(days, dtype=float)
    seen, lead = np.r_[made[np.isfinite(made)], other], np.r_[made[np.isfinite(made)], np.full(days, NEVER)]
    never = np.full(len(day), NEVER)
    return Flow(day, made, made, gone, np.zeros(len(day), dtype=int), ("web",), never, seen, lead)


def toy(**options):
    case = case_toys.case(**options)
    return dataclasses.replace(case, won=case.won.assign(created_date=case.won["close_date"]))


@pytest.fixture(scope="module")
def case():
    return toy(week=5)


def test_a_steady_company_by_hand(case):
    """64 days left of 2026Q3: five leads here, 32 - 2.5 of those to arrive, 64 without a lead."""
    table = deals_to_come.expected_deals(case, steady())
    assert (case.period.end - case.cutoff).days == 64
    assert table["part"].tolist() == ["leads here", "leads to arrive", "without a lead", "all"]
    assert table["n"].fillna(-1).tolist() == [5, -1, -1, -1]
    assert table["expected_deal_count"].tolist() == pytest.approx([2.5, 29.5, 64, 96], abs=0.6)
    assert table["expected_qualified_count"].fillna(-1).tolist() == pytest.approx([2.5, 29.5, -1, 32], abs=0.6)
    assert (table["level"] == 0.8).all() and set(table["period"]) == {"2026Q3"}
    assert table.loc[2, ["expected_qualified_count_low", "expected_qualified_count_high"]].isna().all()


def test_the_range_of_all_is_that_of_a_negative_binomial(case):
    """Past quarters came as expected, so the stretch is 4 / 12 of chance; never less than Poisson's."""
    row = deals_to_come.expected_deals(case, steady()).iloc[3]
    low, high = stats.poisson.ppf([0.1, 0.9], row["expected_deal_count"])
    assert [row["expected_deal_count_low"], row["expected_deal_count_high"]] == [low, high]
    assert deals_to_come._range(10.0, 30.0) == pytest.approx((10.0, *stats.nbinom.ppf([0.1, 0.9], 5, 1 / 3)))
    assert deals_to_come._range(0.0, 0.0) == (0.0, 0.0, 0.0)


def test_quarters_that_came_otherwise_widen_the_range(case):
    def waves(day):
        return np.where((day // 91) % 2, 5, 1).astype(int)

    calm, wild = (deals_to_come.expected_deals(case, each).iloc[3] for each in (steady(), steady(waves=waves)))
    width = [each["expected_deal_count_high"] - each["expected_deal_count_low"] for each in (calm, wild)]
    assert width[1] > 2 * width[0]


def count(season, new, came):
    said = lead_chances.Outcome(np.zeros(1), np.array([float(new)]), 0, 1, 0.0)
    return deals_to_come._Count(deals_to_come._Span(0, 1, season), said, 0, came, came)


def test_the_season_by_hand():
    past = [count(1, 200, 100), count(4, 200, 200), count(7, 200, 300)]
    whole = (600 + 100) / (600 + 100)
    assert deals_to_come._season(past, 1) == pytest.approx((100 + 100 * whole) / 300)
    assert deals_to_come._season(past, 10) == pytest.approx(whole)
    assert deals_to_come._season([count(1, 200, 400)], 10) == pytest.approx(500 / 300)
    assert deals_to_come._season([], 1) == 1.0


def test_each_past_quarter_is_judged_by_the_others():
    past = [count(1, 100, 400), *[count(1, 100, 100)] * 3]
    others = [(300 + 100) / 400] + [((600 + 100) / 400 * 100 + 600) / 400] * 3
    assert deals_to_come._season(past[1:], 1) == pytest.approx(1.0) and others[0] == 1.0
    squares = []
    for number, each in enumerate(past):
        rest = past[:number] + past[number + 1 :]
        mean = 100 * deals_to_come._season(rest, 1)
        squares.append(min((each.came - mean) ** 2 / (mean + mean**2), 100.0))
    few = (student.ppf(0.9, 4) / norm.ppf(0.9)) ** 2
    assert deals_to_come._stretch(past) == pytest.approx((1 + sum(squares)) / 5 * few)
    assert deals_to_come._stretch([]) == pytest.approx((student.ppf(0.9, 2) / norm.ppf(0.9)) ** 2)


def test_what_the_late_deals_follow(case):
    """Few wins tell how soon a deal is won, so each counts whole: about 96 in each quarter."""
    said = deals_to_come.follower(steady())(case)
    assert said.index.tolist() == [*case.late["period"].unique(), "2026Q3"]
    assert said.iloc[-1] == pytest.approx(96, abs=1) and said.to_numpy() == pytest.approx(96, rel=0.05)


def test_more_leads_here_and_of_late_promise_more(case):
    start = day_number(case.cutoff)
    more = steady(waves=lambda day: np.where((day > start - 91) & (day <= start), 3, 1))
    one, two = (deals_to_come.follower(each)(case) for each in (steady(), more))
    assert two.iloc[-1] > 1.6 * one.iloc[-1] and two.iloc[:-2].to_numpy() == pytest.approx(one.iloc[:-2], rel=0.25)
    for found, said in ((steady(), one), (more, two)):
        played = pipeline_forecast.outlook(case, to_come=deals_to_come.follower(found))
        assert played.n_late.mean() == pytest.approx(3 * said.iloc[-1] / said.iloc[:-1].mean(), rel=0.06)


def test_deals_that_come_early_count_more(case):
    """All deals are won on the thirtieth day; a deal with fewer days left counts nothing."""
    created = pd.date_range("2025-01-01", periods=400)
    won = pd.DataFrame({"created_date": created, "close_date": created + pd.Timedelta(days=30)})
    said = deals_to_come.follower(steady())(dataclasses.replace(case, won=won))
    assert said.iloc[-1] == pytest.approx(1.5 * (64 - 30), abs=2.0)


def test_what_a_deal_counts_by_the_days_left():
    span = deals_to_come._Span(0, 5, 1)
    assert deals_to_come._worth(np.array([0.0, 1.0, 2.0]), span).tolist() == [2, 2, 2, 1, 0]
    assert deals_to_come._worth(np.ones(1), span).tolist() == [1] * 5


def test_only_wins_old_enough_tell_how_soon(case):
    """Wins after 10 days of deals long created, and after 2 of those of late, which had no time to be won later."""
    old, late = pd.date_range("2025-06-01", periods=30), pd.date_range("2026-07-01", periods=20)
    won = pd.DataFrame({"created_date": [*old, *late], "close_date": [*(old + pd.Timedelta(days=10)),
                                                                   *(late + pd.Timedelta(days=2))]})  # fmt: skip
    soon = deals_to_come._won_within(dataclasses.replace(case, won=won))
    assert soon.tolist() == [0.0] * 10 + [1.0] * 82
    assert deals_to_come._won_within(case).tolist() == [1.0]


def test_the_days_ahead_are_brought_to_the_season():
    past = [count(1, 300, 150)]
    now = deals_to_come._Count(deals_to_come._Span(0, 2, 1), lead_chances.Outcome(
        np.array([1.0, 0.0]), np.array([0.0, 2.0]), 1, 1, 0.0), 91, 0, 0)  # fmt: skip
    season = (150 + 100 * 250 / 400) / 400
    assert deals_to_come._daily(now, past).tolist() == pytest.approx([1 + season, 3 * season])


def test_a_quarter_of_which_nothing_is_said_is_a_usual_one(case):
    """Twice as many late wins in that quarter tell nothing of the rate."""
    labels = [*case.late["period"].unique(), "2026Q3"]
    said = pd.Series([np.nan, *[10.0] * 6, 20.0, 40.0], index=labels)
    late = case.late.assign(n=np.where(case.late["period"] == labels[0], 6, 3))
    found = pipeline_forecast._late_expected(dataclasses.replace(case, late=late), win_chances.learn(case), said)
    rate = 21 / 80
    assert found.past.tolist() == pytest.approx([rate * 80 / 7, *[rate * 10] * 6, rate * 20])
    assert found.now == pytest.approx(rate * 40)


def test_quarters_before_the_leads_are_left_out(case):
    found = steady()
    first = day_number(date(2025, 1, 1))
    late = found._replace(**{
        name: getattr(found, name)[found.arrived >= first]
        for name in ("arrived", "qualified", "made", "gone", "source", "score")
    })  # fmt: skip
    said = deals_to_come.follower(late)(case)
    assert said.isna().tolist() == [True] * 3 + [False] * 6 and said.index[2] == "2025Q1"
    assert pipeline_forecast.outlook(case, to_come=deals_to_come.follower(late)).n_late.mean() > 2
    later = late._replace(arrived=late.arrived + 400)
    assert deals_to_come.follower(later)(case) is None


def test_without_leads_all_stays_as_it_was(case):
    follow = deals_to_come.follower(None)
    assert follow(case) is None and deals_to_come.expected_deals(case, None).empty
    assert deals_to_come.follower(steady())(toy(quarters=0)) is None
    one, two = (pipeline_forecast.outlook(case, seed=3, to_come=each) for each in (None, follow))
    assert (one.total == two.total).all()
    method = pipeline_forecast.pipeline(case, seed=3, to_come=deals_to_come.follower(steady()))
    table = pipeline_forecast.stage_table(case, seed=3, to_come=deals_to_come.follower(steady()))
    assert len(method) == len(table) == 5000 and (method != one.total).any()


def test_the_last_evening_promises_nothing():
    case = dataclasses.replace(toy(week=13), cutoff=date(2026, 9, 30))
    table = deals_to_come.expected_deals(case, steady())
    assert table["expected_deal_count"].tolist() == [0, 0, 0, 0]
    assert deals_to_come.follower(steady())(case) is None


@pytest.fixture(scope="module")
def company():
    """The sample company as its CRM stands at the end, and as it stood on the evening of the case."""
    switches = {"seed": 4, "size": 3000, "years": 3.5, "end": "2026-09-30", "clean": True}
    return [sample.tables(**switches, until=until) for until in (None, str(AS_OF))]


def made(tables, day=AS_OF):
    history = tables["stage_history"]
    case = forecast_cases.case_of(tables["opportunities"], history, stages=tables["stages"], period=quarter(day),
                                  cutoff=day)  # fmt: skip
    return case, lead_chances.flow(tables["leads"], tables["opportunities"], stage_history=history)


def test_no_leak_the_crm_of_that_evening_says_the_same(company):
    (full, leads), (cut, known) = (made(each) for each in company)
    assert len(leads.arrived) > len(known.arrived)
    pd.testing.assert_frame_equal(deals_to_come.expected_deals(full, leads), deals_to_come.expected_deals(cut, known),
                                  check_exact=True)  # fmt: skip
    one, two = deals_to_come.follower(leads)(full), deals_to_come.follower(known)(cut)
    pd.testing.assert_series_equal(one, two, check_exact=True)
    tables = [lead_chances.lead_chances(each, cutoff=AS_OF) for each in (leads, known)]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    draws = [pipeline_forecast.pipeline(each, to_come=deals_to_come.follower(flow))
             for each, flow in ((full, leads), (cut, known))]  # fmt: skip
    assert (draws[0] == draws[1]).all()


def test_one_follower_serves_all_cases_in_any_order(company):
    tables = company[0]
    history = tables["stage_history"]
    cases = forecast_cases.cases(tables["opportunities"], history, stages=tables["stages"], as_of=date(2026, 9, 30),
                                 weeks=(1, 9), quarters=3)  # fmt: skip
    flow = lead_chances.flow(tables["leads"], tables["opportunities"], stage_history=history)
    follow = deals_to_come.follower(flow)
    forward = [follow(each) for each in cases]
    for each, said in zip(cases[::-1], forward[::-1], strict=True):
        pd.testing.assert_series_equal(deals_to_come.follower(flow)(each), said, check_exact=True)


def test_a_season_of_the_sample_is_seen(company):
    """Few deals are created in December: a fourth quarter has fewer to come than a third from week 9 on."""
    case, flow = made(company[0], date(2026, 6, 30))
    past = [deals_to_come._count(flow, span, True) for span in deals_to_come._spans(case)[:-1]]
    assert {each.span.season for each in past} == {1, 4, 7, 10}
    assert all(each.came >= each.came_new >= 0 for each in past)


def said(n=9, here=2.0, arriving=3.0, other=4.0, qualified=5.0):
    table = pd.DataFrame({"part": ["leads here", "leads to arrive", "without a lead", "all"], "n": [n, *[np.nan] * 3],
                          "expected_deal_count": [here, arriving, other, here + arriving + other],
                          "expected_qualified_count": [qualified / 2, qualified / 2, np.nan, qualified]})  # fmt: skip
    table = table.assign(expected_deal_count_low=5.0, expected_deal_count_high=13.0)
    return deals_to_come.expected_sentence(table, quarter(AS_OF))


def test_every_branch_of_the_sentence():
    assert said() == (
        "About 9 deals are expected to be created by the end of 2026Q3, in four of five cases between 5 and 13: about 4 "
        "without a lead, about 3 of leads yet to arrive and about 2 of the 9 leads open now, whenever they arrived. "
        "About 5 leads are expected to be qualified by then."
    )
    assert "and about 1 of the one lead open now, whenever it arrived." in said(n=1, here=0.7, qualified=1.1)
    assert said(qualified=1.1).endswith(" About 1 lead is expected to be qualified by then.")
    assert "hardly any of leads yet to arrive and hardly any of the 9 leads open" in said(here=0.1, arriving=0.2)
    assert said(here=0.1, arriving=0.2, other=0.1).startswith("Hardly any deal is expected to be created by the end")
    assert said(n=0, here=0.0, other=0.0, qualified=0.0) == (
        "About 3 deals are expected to be created by the end of 2026Q3, in four of five cases between 5 and 13: hardly any "
        "without a lead, about 3 of leads yet to arrive and none as no lead is open now. Hardly any lead is expected to be "
        "qualified by then."
    )
