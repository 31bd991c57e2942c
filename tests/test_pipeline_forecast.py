"""The pipeline forecast: toy quarters whose distribution is known, no leak, every sentence."""

import dataclasses
from datetime import date

import case_toys
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from salesops import forecast_cases, pipeline_forecast, win_chances
from salesops.crm import sample
from salesops.periods import quarter
from salesops.stats import repeated

AS_OF = date(2026, 8, 4)


@pytest.fixture(scope="module")
def case():
    return case_toys.case(n=400)


@pytest.fixture(scope="module")
def played(case):
    return pipeline_forecast.outlook(case, seed=1)


def test_the_mean_is_won_and_open_times_chance_and_late(case, played):
    chance = expit(win_chances.learn(case).odds)
    opened, late = 100.0 * chance.sum(), 3 * 50.0
    error = 4 * played.total.std() / np.sqrt(5000)
    level = repeated.next_level(win_chances.learn(case).levels, 200, seed=1).mean()
    assert played.open.mean() == pytest.approx(opened * (1 + level * (1 - chance.mean())), abs=error)
    assert played.late.mean() == pytest.approx(late, rel=0.05)
    assert played.total.mean() == pytest.approx(case.won_so_far + played.open.mean() + played.late.mean(), rel=0.01)


def test_the_spread_holds_chance_alone_where_quarters_are_alike(case, played):
    p = expit(win_chances.learn(case).odds)
    own = np.sqrt(100.0**2 * (p * (1 - p)).sum())
    assert own < played.open.std() < 1.35 * own
    assert np.bincount(played.deal, minlength=len(p)) / 5000 == pytest.approx(p, abs=0.06)


def test_quarters_that_differ_widen_the_spread(played):
    levels = np.array([0.6, -0.6, 0.5, -0.5, 0.6, -0.6, 0.5, -0.5])
    wide = pipeline_forecast.outlook(case_toys.case(n=400, levels=levels), seed=1)
    assert wide.total.std() > 1.6 * played.total.std()


def test_after_a_lasting_change_the_new_level_is_expected():
    case = case_toys.case(n=400, levels=np.array([-0.6] * 4 + [0.6] * 4))
    truth = expit(case_toys.log_odds(case.now) + 0.6).sum()
    assert pipeline_forecast.outlook(case).open.mean() == pytest.approx(100 * truth, rel=0.1)


def test_draws_follow_the_seed_and_touch_nothing(case):
    before = case.past.copy(), case.now.copy()
    one, same, other = (pipeline_forecast.pipeline(case, seed=seed) for seed in (1, 1, 2))
    assert (one == same).all() and (one != other).any() and len(one) == 5000
    pd.testing.assert_frame_equal(case.past, before[0])
    pd.testing.assert_frame_equal(case.now, before[1])


@pytest.mark.parametrize("method", [pipeline_forecast.pipeline, pipeline_forecast.stage_table])
def test_nothing_learnt_gives_one_missing_draw(method):
    assert np.isnan(method(case_toys.case(quarters=0), seed=0)).tolist() == [True]


def test_the_table_as_a_method_says_nearly_the_same(case, played):
    assert np.median(pipeline_forecast.stage_table(case, seed=1)) == pytest.approx(np.median(played.total), rel=0.06)


def test_amounts_change_as_they_did():
    same, less = (pipeline_forecast.outlook(case_toys.case(n=400, change=change)) for change in (1.0, 0.8))
    assert set(less.amount) == {80.0} and less.open.mean() == pytest.approx(0.8 * same.open.mean())


def test_each_stage_changes_its_own_way_and_slips_of_the_pen_are_cut(case):
    past = case.past.copy()
    offer = (past["stage"] == "Offer").to_numpy()
    past["won_amount"] = past["won_amount"] * np.where(offer, 0.5, 1000.0)
    found = pipeline_forecast.outlook(dataclasses.replace(case, past=past))
    by_stage = pd.Series(found.amount).groupby(case.now["stage"].array[found.deal]).mean()
    wins = past[past["is_won_in_period"] & (past["week"] == case.week)]["stage"].value_counts()
    pooled = np.average([0.5, 10.0], weights=wins[["Offer", "Talk"]])
    own = wins["Offer"] / (wins["Offer"] + 20)
    assert by_stage["Offer"] == pytest.approx(100 * (own * 0.5 + (1 - own) * pooled), rel=0.1)
    assert by_stage["Talk"] > 800


def test_an_amount_not_known_is_that_of_a_usual_win(case):
    now = case.now.assign(amount=np.nan)
    found = pipeline_forecast.outlook(dataclasses.replace(case, now=now))
    assert set(found.amount) == {100.0}


def test_deals_to_come_follow_the_deals_created_of_late(case, played):
    double = pipeline_forecast.outlook(dataclasses.replace(case, n_created=120), seed=1)
    assert double.n_late.mean() == pytest.approx(6, rel=0.05) and played.n_late.mean() == pytest.approx(3, rel=0.05)
    assert played.n_late.var() > played.n_late.mean()
    none = dataclasses.replace(case, late=case.late.assign(n=0, amount=0.0), late_deals=case.late_deals.iloc[:0])
    assert not pipeline_forecast.outlook(none).late.any()
    other_week = case.late_deals.assign(week=case.week + 1)
    assert not pipeline_forecast.outlook(dataclasses.replace(case, late_deals=other_week)).late.any()


def test_the_stretch_quarter_by_quarter(case, played):
    """A naive loop over the quarters; amounts that do not change, deals to come that are always 50."""
    learnt = win_chances.learn(case)
    level = repeated.next_level(learnt.levels, 200, seed=1).std()
    squares = []
    for number, label in enumerate(learnt.quarters):
        mine = learnt.quarter == number
        p = expit(learnt.past_odds[mine])
        won = case.past.iloc[learnt.at[mine]]["won_amount"].sum() + 150.0
        variance = (100.0**2 * p * (1 - p)).sum() + 3 * 50.0**2
        variance += (level * ((100.0 * p * (1 - p)).sum() + 150.0)) ** 2
        squares.append(min((won - 100.0 * p.sum() - 150.0) ** 2 / variance, 9.0))
        assert case.past.iloc[learnt.at[mine]]["period"].eq(label).all()
    assert played.stretch == pytest.approx(np.sqrt((12 + sum(squares)) / (12 + 8 - 2)))


def test_quarters_that_fell_far_by_amount_stretch_the_interval_about_the_median():
    wild = case_toys.case(n=400)
    factor = np.where(pd.factorize(wild.past["period"])[0] % 2, 1.9, 0.1)
    wild = dataclasses.replace(wild, past=wild.past.assign(won_amount=wild.past["won_amount"] * factor))
    found = pipeline_forecast.outlook(wild)
    rest = found.open + found.late
    assert found.stretch == pytest.approx(np.sqrt((12 + 8 * 9) / 18), rel=0.05)
    assert np.median(found.total) == pytest.approx(400 + np.median(rest))
    assert found.total.min() >= 400 and found.total.std() > 1.5 * rest.std()


def test_the_landing_and_its_parts(case, played):
    row = pipeline_forecast.landing(case, played, target=3000.0, commit=400.0).iloc[0]
    assert row["landing_amount"] == pytest.approx(np.median(played.total))
    assert row["landing_amount_low"] == pytest.approx(np.quantile(played.total, 0.1))
    assert row["target_probability"] == pytest.approx((played.total >= 3000).mean())
    assert row["commit_probability"] == 1.0 and row["n"] == 120 and row["n_quarters"] == 8
    parts = pipeline_forecast.landing_parts(played)
    assert parts["landing_part_amount"].sum() == pytest.approx(row["landing_amount"], abs=1e-6)
    assert parts["part"].tolist() == ["won", "open", "open", "to be created"]
    assert parts["stage"].fillna("").tolist() == ["", "Talk", "Offer", ""]
    assert parts["n"].fillna(-1).tolist() == [1, 60, 60, -1]
    chance = expit(win_chances.learn(case).odds)
    talk = chance[case.now["stage"] == "Talk"].sum() / chance.sum()
    opened = parts["landing_part_amount"][1:3]
    assert opened.iloc[0] / opened.sum() == pytest.approx(talk, abs=0.03)


def test_the_parts_of_unequal_deals_sum_to_the_landing(case):
    sizes = case.now.assign(amount=np.exp(np.random.default_rng(0).normal(5, 1, len(case.now))))
    found = pipeline_forecast.outlook(dataclasses.replace(case, now=sizes))
    parts = pipeline_forecast.landing_parts(found)["landing_part_amount"]
    assert parts.sum() == pytest.approx(np.median(found.total), rel=1e-9) and (parts > 0).all()


def test_no_outlook_and_no_open_deals():
    empty = case_toys.case(quarters=0)
    row = pipeline_forecast.landing(empty, None, target=100.0).iloc[0]
    assert row[["landing_amount", "landing_amount_low", "target_probability", "interval_stretch_ratio"]].isna().all()
    assert row["won_so_far_amount"] == 400 and row["n_quarters"] == 0
    case = case_toys.case()
    none = dataclasses.replace(case, now=case.now.iloc[:0])
    found = pipeline_forecast.outlook(none, draws=1000)
    parts = pipeline_forecast.landing_parts(found)
    assert parts["part"].tolist() == ["won", "to be created"]
    assert parts["landing_part_amount"].sum() == pytest.approx(np.median(found.total))


@pytest.fixture(scope="module")
def company():
    """The sample company as its CRM stands at the end, and as it stood on the evening of the case."""
    switches = {"seed": 4, "size": 3000, "years": 3.5, "end": "2026-09-30", "clean": True}
    return [sample.tables(**switches, until=until) for until in (None, str(AS_OF))]


def test_no_leak_from_later_records(company):
    draws = []
    for tables in company:
        case = forecast_cases.case_of(tables["opportunities"], tables["stage_history"], stages=tables["stages"],
                                      period=quarter(AS_OF), cutoff=AS_OF)  # fmt: skip
        draws.append(pipeline_forecast.pipeline(case, seed=0))
    assert len(company[0]["stage_history"]) > len(company[1]["stage_history"])
    assert len(draws[0]) == 5000 and (draws[0] == draws[1]).all()


def row(**changed):
    usual = {"period": "2026Q3", "n": 9, "n_quarters": 8, "won_so_far_amount": 0.0, "landing_amount": 3e6,
             "landing_amount_low": 2e6, "landing_amount_high": 4e6, "bookings_target_amount": 3e6,
             "target_probability": 0.5, "commit_amount": 2e6, "commit_probability": 0.999}  # fmt: skip
    return pd.Series(usual | changed)


def test_landing_sentences():
    say = pipeline_forecast.landing_sentence
    assert say(row(), currency="EUR") == (
        "2026Q3 will land at about €3.0M, in four of five cases between €2.0M and €4.0M; nothing is won yet. The chance "
        "of reaching the target of €3.0M in 2026Q3 is 50 %, and of reaching the commit of €2.0M over ninety-nine in a "
        "hundred."
    )
    assert say(row(landing_amount=np.nan)).endswith(
        "to say from the open deals where 2026Q3 will land; nothing is won yet."
    )


def test_plan_sentences():
    say = pipeline_forecast.plan_sentence
    assert say(row()) == (
        "The chance of reaching the target of 3.0M in 2026Q3 is 50 %, and of reaching the commit of 2.0M over "
        "ninety-nine in a hundred."
    )
    alone = "The chance of reaching the commit of 2.0M in 2026Q3 is over ninety-nine in a hundred."
    assert say(row(target_probability=np.nan)) == alone
    assert say(row(won_so_far_amount=2e6)) == (
        "The chance of reaching the target of 3.0M in 2026Q3 is 50 %, and the commit of 2.0M is reached already."
    )
    assert say(row(won_so_far_amount=5e6)) == (
        "The target of 3.0M in 2026Q3 is reached already, and the commit of 2.0M is reached already."
    )


def test_parts_sentences(played):
    say = pipeline_forecast.parts_sentence
    parts = pipeline_forecast.landing_parts(played)
    assert say(parts).startswith("Of it 400 is won, ") and "of the 120 open deals" in say(parts)
    assert "of the one open deal and" in say(parts[:2].assign(n=1.0))
    assert say(parts[parts["part"] != "open"]).split(", ")[1].startswith("0 is expected of no open deals and ")


def test_the_landing_of_another_method_is_its_own(case, played):
    draws = np.arange(101.0) * 10
    row = pipeline_forecast.landing(case, played, target=900.0, draws=draws, model="run_rate", currency="EUR").iloc[0]
    assert (row["model"], row["currency"], row["landing_amount"]) == ("run_rate", "EUR", 500.0)
    assert row["target_probability"] == pytest.approx(11 / 101) and np.isnan(row["interval_stretch_ratio"])
    assert (row["period_start"], row["period_end"]) == (case.period.start, case.period.end)
    own = pipeline_forecast.landing(case, played).iloc[0]
    assert own["model"] == "pipeline" and own["landing_amount"] == np.median(played.total)


def test_one_number_has_neither_limits_nor_chances(case, played):
    row = pipeline_forecast.landing(case, played, target=1.0, draws=np.array([5e5])).iloc[0]
    assert row["landing_amount"] == 5e5
    assert row[["landing_amount_low", "landing_amount_high", "target_probability"]].isna().all()
    said = pipeline_forecast.landing_sentence(row, currency="USD")
    assert said.startswith(f"{case.period.label} will land at about $500K; ")


def test_the_level_of_a_quarter_that_gains_more_than_it_loses_is_in_the_mean():
    levels = np.array([0.6, -0.6, 0.5, -0.5, 0.6, -0.6, 0.5, -0.5])
    case = case_toys.case(n=4000, levels=levels)
    learnt = win_chances.learn(case)
    drawn = repeated.next_level(learnt.levels, 200, seed=0)
    chance = pipeline_forecast.outlook(case, draws=200).chance
    assert chance.mean() == pytest.approx(win_chances.stated(learnt).mean(), rel=0.01)
    assert chance.mean() == pytest.approx(expit(learnt.odds[:, None] + drawn).mean(), rel=0.01)
    assert chance.mean() > 1.01 * expit(learnt.odds + drawn.mean()).mean()


def test_no_parts_are_said_to_be_none():
    assert pipeline_forecast.parts_sentence(pipeline_forecast.landing_parts(None)) == (
        "What the landing is made of cannot be said."
    )


def test_a_title_says_where_it_lands_and_no_more():
    say = pipeline_forecast.landing_sentence
    assert say(row(), currency="EUR", brief=True) == (
        "2026Q3 will land at about €3.0M, in four of five cases between €2.0M and €4.0M"
    )
    assert say(row(landing_amount=np.nan), brief=True) == "Where 2026Q3 will land cannot be said from the open deals"
    assert say(row(landing_amount=np.nan)).startswith("Too little is on record of past quarters to say")
