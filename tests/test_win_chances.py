"""Win chances of the open deals: the truth of toy cases found again, the table by hand."""

import dataclasses

import case_toys
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from scipy.stats import beta

from salesops import checks, win_chances
from salesops.stats import repeated


@pytest.fixture(scope="module")
def case():
    return case_toys.case(n=600)


def test_true_chances_are_found(case):
    learnt = win_chances.learn(case)
    truth = expit(case_toys.log_odds(case.now))
    assert np.abs(expit(learnt.odds) - truth).max() < 0.1
    assert expit(learnt.odds).mean() == pytest.approx(truth.mean(), abs=0.02)


def test_a_day_beyond_the_quarter_is_not_due(case):
    end = case.now["close_date"][case.now["is_due"]].iloc[0]
    alike = case.now.iloc[[0, 0]].assign(is_due=[True, False], close_date=[end, end + pd.Timedelta(days=1)])
    odds = win_chances.learn(dataclasses.replace(case, now=alike)).odds
    assert odds[0] - odds[1] == pytest.approx(0.8, abs=0.5)


def test_over_the_looks_learnt_from_wins_are_as_many_as_expected(case, monkeypatch):
    monkeypatch.setattr(win_chances, "REACH", 0)
    learnt = win_chances.learn(case)
    rows = case.past.iloc[learnt.at]
    assert (rows["week"] == case.week).all() and len(rows) == 8 * 600
    assert expit(learnt.past_odds).sum() == pytest.approx(rows["is_won_in_period"].sum(), rel=1e-6)


def test_weeks_out_of_reach_teach_nothing(case):
    near = dataclasses.replace(case, past=case.past[case.past["week"] == case.week].reset_index(drop=True))
    np.testing.assert_allclose(win_chances.learn(near).odds, win_chances.learn(case).odds, rtol=1e-9)


def test_nearer_weeks_count_for_more(case, monkeypatch):
    seen, fit = [], repeated.fit
    monkeypatch.setattr(repeated, "fit", lambda *given, weight, **how: seen.append(weight) or fit(*given, **how))
    monkeypatch.setattr(win_chances, "REACH", 4)
    win_chances.learn(dataclasses.replace(case))
    assert seen[0][case.past["week"].to_numpy() == case.week].tolist() == [1.0] * 4800
    assert seen[0][case.past["week"].to_numpy() != case.week] == pytest.approx(np.full(9600, 0.2))


def test_a_quarter_that_went_better_has_a_higher_level():
    levels = np.array([0.0, 0.0, 0.8, 0.0, 0.0, 0.0, 0.0, 0.0])
    learnt = win_chances.learn(case_toys.case(n=400, levels=levels))
    assert learnt.levels.level.argmax() == 2 and learnt.quarters == tuple(dict.fromkeys(learnt.quarters))
    assert 0.4 < learnt.levels.level[2] < 1.0


@pytest.mark.parametrize("learn", [win_chances.learn, win_chances.tabled])
def test_too_few_wins_teach_nothing(learn):
    assert learn(case_toys.case(quarters=0)) is None
    small = case_toys.case(quarters=1, n=60)
    few = small.past["is_won_in_period"] & (small.past.groupby("week")["is_won_in_period"].cumsum() < 19.5)
    assert few.groupby(small.past["week"]).sum()[small.week] <= 19
    assert learn(dataclasses.replace(small, past=small.past.assign(is_won_in_period=few))) is None


@pytest.mark.parametrize("learn", [win_chances.learn, win_chances.tabled])
def test_what_is_missing_or_new_has_a_chance_all_the_same(case, learn):
    now = case.now.copy()
    now.loc[:20, ["segment", "source", "forecast_category"]] = None
    now.loc[10:30, "amount"] = [np.nan, 0.0, -5.0] * 7
    now.loc[20:40, "close_date"] = pd.NaT
    now.loc[40:50, "stage"] = "Never seen"
    before = now.copy()
    found = learn(dataclasses.replace(case, now=now))
    assert np.isfinite(found.odds).all() and len(found.odds) == len(now)
    pd.testing.assert_frame_equal(now, before)
    assert learn(dataclasses.replace(case, now=now.iloc[:0])).odds.shape == (0,)


def test_the_order_of_the_looks_does_not_matter(case):
    mixed = case.past.sample(frac=1, random_state=1).sort_values("period", kind="stable")
    other = win_chances.learn(dataclasses.replace(case, past=mixed))
    np.testing.assert_allclose(other.odds, win_chances.learn(case).odds, rtol=1e-6)


def test_a_missing_column_is_named(case):
    with pytest.raises(checks.DataError, match=r"the case's past: missing column \['stage_days'\]"):
        win_chances.learn(dataclasses.replace(case, past=case.past.drop(columns="stage_days")))


def small_table(case):
    rows = case.past.iloc[:4].assign(
        week=case.week, stage=["Talk", "Talk", "Talk", "Offer"], position=[1, 1, 1, 2], segment="SMB",
        is_due=[True, True, False, True], age_days=[10.0, 29.0, 30.0, 400.0], is_won_in_period=[True, False, False, True],
    )  # fmt: skip
    return dataclasses.replace(case, past=rows)


def test_the_table_by_hand(case):
    table = win_chances.landmark_table(small_table(case)).set_index(["stage", "due", "age"])
    everyone = 2 / 4
    talk = (1 + 20 * everyone) / (3 + 20)
    due = (1 + 20 * talk) / (2 + 20)
    segment = (1 + 20 * due) / (2 + 20)
    age = (1 + 20 * segment) / (2 + 20)
    row = table.loc[("Talk", "in the quarter", "0 to 29")]
    assert row[["n", "won_count", "quarter_win_rate"]].tolist() == pytest.approx([2, 1, age])
    assert table.loc[("Talk", "all", "all"), "quarter_win_rate"] == pytest.approx(talk)
    assert row["quarter_win_rate_low"] == pytest.approx(beta.ppf(0.025, 22 * age, 22 * (1 - age)))
    assert table.index.get_level_values("stage").tolist() == ["Talk"] * 3 + ["Offer"] * 2
    assert table.loc[("Offer", "in the quarter", "365 and more"), "n"] == 1
    cells = table.drop(index="all", level="due")
    assert table.index.get_level_values("age").astype(str).tolist()[1:3] == ["0 to 29", "30 to 89"]
    assert cells["n"].sum() == 4 and (table["quarter_win_rate_low"] < table["quarter_win_rate"]).all()


def test_ages_are_in_order(case):
    table = win_chances.landmark_table(case)
    one = table[(table["stage"] == "Talk") & (table["due"] == "in the quarter") & (table["segment"] == "SMB")]
    assert one["age"].astype(str).tolist() == ["0 to 29", "30 to 89", "90 to 179", "180 to 364"]


def test_no_past_gives_no_rows():
    table = win_chances.landmark_table(case_toys.case(quarters=0))
    assert table.empty and "quarter_win_rate_low" in table


def test_chances_are_looked_up_in_the_table(case):
    learnt, table = win_chances.tabled(case), win_chances.landmark_table(case)
    row = case.now.iloc[3]
    due = "in the quarter" if row["is_due"] else "later or none"
    cell = table[(table["stage"] == row["stage"]) & (table["due"] == due) & (table["segment"] == row["segment"])]
    bounds = cell["age"].astype(str).str.extract(r"(\d+) (?:to (\d+)|and)")
    held = (bounds[0].astype(float) <= row["age_days"]) & ~(bounds[1].astype(float) < row["age_days"])
    assert held.sum() == 1 and expit(learnt.odds[3]) == pytest.approx(cell.loc[held, "quarter_win_rate"].iloc[0])
    new = dataclasses.replace(case, now=case.now.assign(segment="Never seen", age_days=5.0))
    parent = win_chances.tabled(new).odds
    of_talk = case.past[(case.past["week"] == case.week) & (case.past["stage"] == "Talk") & case.past["is_due"]]
    share, everyone = of_talk["is_won_in_period"].mean(), case.past["is_won_in_period"].mean()
    talk_due = expit(parent[(new.now["stage"] == "Talk") & new.now["is_due"]])
    assert np.ptp(talk_due) < 1e-12 and abs(talk_due[0] - share) < 0.02 < abs(share - everyone)
