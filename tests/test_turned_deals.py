"""Which deals turned between two evenings, from the history itself."""

from dataclasses import replace
from datetime import date

import pandas as pd
import pytest

from salesops import checks, forecast_cases, turned_deals
from salesops.crm import sample
from salesops.periods import quarter

DAY, WEEK_AGO = date(2026, 7, 28), date(2026, 7, 21)


@pytest.fixture(scope="module")
def tables():
    return sample.tables(size=2000, years=3, clean=True)


@pytest.fixture(scope="module")
def evenings(tables):
    options = {"stages": tables["stages"], "period": quarter(DAY)}
    return [
        forecast_cases.case_of(tables["opportunities"], tables["stage_history"], cutoff=day, **options)
        for day in (DAY, WEEK_AGO)
    ]


def last(tables, day):
    history = tables["stage_history"].sort_values(["changed_at", "seq"])
    known = history[history["changed_at"] < pd.Timestamp(day) + pd.Timedelta(days=1)]
    return known.groupby("opportunity_id").last()


def test_turns_are_those_of_the_history(tables, evenings):
    case, before = evenings
    turned = turned_deals.turned_deals(case, before, activities=tables["activities"])
    now, then = last(tables, DAY), last(tables, WEEK_AGO)
    place = tables["stages"].set_index(["pipeline", "stage"])["position"]
    spoke = tables["activities"][~tables["activities"]["is_automated"].fillna(False)]
    spoke = spoke[spoke["is_held"].fillna(True)]
    expected = set()
    for deal in set(case.now["opportunity_id"]) & set(before.now["opportunity_id"]):
        if now.loc[deal, "close_date"] > then.loc[deal, "close_date"]:
            expected.add((deal, "pushed"))
        spots = [place[(each.loc[deal, "pipeline"], each.loc[deal, "stage"])] for each in (now, then)]
        if spots[0] < spots[1]:
            expected.add((deal, "stage back"))
        mine = spoke.loc[(spoke["opportunity_id"] == deal) & (spoke["occurred_at"] < "2026-07-29"), "occurred_at"]
        if len(mine) and "2026-07-08" <= f"{mine.max():%Y-%m-%d}" <= "2026-07-14":
            expected.add((deal, "gone quiet"))
    assert set(zip(turned["opportunity_id"], turned["turn"], strict=True)) == expected
    assert {turn for _, turn in expected} == set(turned_deals.TURNS)
    assert turned["is_due"].is_monotonic_decreasing


def test_without_activities_no_one_is_quiet(evenings):
    turned = turned_deals.turned_deals(*evenings)
    assert set(turned["turn"]) == {"pushed", "stage back"} and turned["quiet_days"].isna().all()


def test_the_evening_before_is_before(evenings):
    case, before = evenings
    with pytest.raises(
        checks.ParameterError, match=r"2026Q3 on 2026-07-28 is no earlier evening of 2026Q3 than 2026-07-21"
    ):
        turned_deals.turned_deals(before, case)
    with pytest.raises(checks.ParameterError, match="Give a case of the same quarter"):
        turned_deals.turned_deals(case, replace(before, period=quarter(date(2026, 4, 1))))


def test_one_deal_in_words():
    one = pd.DataFrame(
        {"opportunity_id": ["A", "A"], "turn": ["pushed", "gone quiet"], "is_due": True, "turned_amount": 5.0}
    )
    assert turned_deals.turned_sentence(one, before=WEEK_AGO) == (
        "Since 21 July 2026 one deal due in the quarter, A, worth 5, has turned: pushed and gone quiet."
    )
    beyond = one.assign(is_due=False)
    assert "no open deal due in the quarter" in turned_deals.turned_sentence(beyond, before=WEEK_AGO)


def test_a_deal_that_turned_twice_is_one_row_and_said():
    rows = [("A", "pushed", 5.0), ("A", "stage back", 5.0), ("B", "pushed", 3.0), ("C", "gone quiet", 1.0)]
    turned = pd.DataFrame(rows, columns=["opportunity_id", "turn", "turned_amount"]).assign(is_due=True)
    assert turned_deals.by_deal(turned)["turn"].tolist() == ["pushed and stage back", "pushed", "gone quiet"]
    said = turned_deals.turned_sentence(turned, before="2026-07-21", names=pd.Series({"A": "Oak Foods", "B": None}))
    assert said == (
        "Since 21 July 2026 3 deals due in the quarter, worth 9, have turned: 2 were pushed, 1 went back a stage and 1 has "
        "gone quiet, one of them in more than one way; the largest are Oak Foods (A), B and C."
    )
    assert "more than one way" not in turned_deals.turned_sentence(turned.iloc[1:], before="2026-07-21")
    assert turned_deals.by_deal(turned.iloc[:0]).empty
