"""The Monday review: which week it is about, who is counted, and its sentences in every branch."""

import json
from datetime import date, timedelta
from itertools import pairwise

import pandas as pd
import pytest
import yaml
from conftest import ROOT

from salesops import forecast_bridge, forecast_cases, pipeline_review, turned_deals
from salesops.crm import sample
from salesops.engine import plan, run
from salesops.periods import Period, quarter, week

MONDAY = date(2026, 9, 21)
NO_QUIET = pd.DataFrame({"opportunity_id": [], "turn": []})


def listed(*rows) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["opportunity_id", "owner_id", "move"])
    return frame.assign(amount=10.0, forecast_effect_amount=1.0)


def test_the_weekly_file_asks_for_this_report_of_last_week():
    asked = yaml.safe_load((ROOT / "parameters" / "weekly.yaml").read_text(encoding="utf-8"))
    assert asked["reports"] == ["pipeline_review"] and asked["parameters"]["period"] == "last_week"


def test_the_week_is_from_monday_where_it_is_whole_and_seven_days_at_any_rate():
    whole = pipeline_review.week_reviewed(week(MONDAY), date(2026, 9, 30))
    assert (whole.label, whole.start, whole.end) == ("2026-W39", MONDAY, date(2026, 9, 27))
    running = pipeline_review.week_reviewed(week(date(2026, 9, 30)), date(2026, 9, 30))
    assert (running.start, running.end) == (date(2026, 9, 24), date(2026, 9, 30))
    assert pipeline_review.week_reviewed(quarter(MONDAY), date(2026, 9, 27)) == week(MONDAY)


def test_owners_are_counted_deal_by_deal():
    rows = listed(
        ("A", "r1", "won"), ("B", "r1", "won in another quarter"), ("C", "r1", "lost"), ("D", "r2", "pulled in"),
        ("D", "r2", "gone quiet"), ("E", None, "new"), ("F", None, "pushed out"),
    )  # fmt: skip
    table = pipeline_review.moves_by_owner(rows)
    counts = list(pipeline_review.COUNTS)
    assert counts == ["new_deal_count", "pulled_in_deal_count", "pushed_out_deal_count", "won_deal_count",
                      "lost_deal_count", "gone_quiet_deal_count"]  # fmt: skip
    assert table["n"].tolist() == [3, 1, 2]
    assert table[counts].values.tolist() == [[0, 0, 0, 2, 1, 0], [0, 1, 0, 0, 0, 1], [1, 0, 1, 0, 0, 0]]
    total = pipeline_review.moves_in_all(rows, week(MONDAY)).iloc[0]
    assert total["moved_deal_count"] == 6 and total[counts].tolist() == table[counts].sum().tolist()
    lists = pipeline_review.deals_by_count(rows)
    assert {name: len(each) for name, each in lists.items()} == table[counts].sum().to_dict()
    assert lists["won_deal_count"]["opportunity_id"].tolist() == ["A", "B"]


def test_nothing_moved():
    empty = listed()
    assert pipeline_review.moves_by_owner(empty).empty
    assert pipeline_review.moves_in_all(empty, week(MONDAY))["moved_deal_count"].tolist() == [0]
    said = pipeline_review.moves_sentence(empty, since=MONDAY)
    assert said == "Since Monday no deal was new, pulled in, pushed out, won, lost or gone quiet."


def test_a_quiet_deal_is_told_once_more_and_a_closed_one_is_not():
    tables, day = sample.tables(size=2000, years=3, clean=True), date(2026, 7, 26)
    options = {"stages": tables["stages"], "period": quarter(day)}
    now, then = (
        forecast_cases.case_of(tables["opportunities"], tables["stage_history"], cutoff=each, **options)
        for each in (day, date(2026, 7, 19))
    )
    moves = forecast_bridge.deal_moves(then, now)
    turned = turned_deals.turned_deals(now, then, activities=tables["activities"])
    found = pipeline_review.moved(moves, turned)
    quiet = set(turned.loc[turned["turn"] == "gone quiet", "opportunity_id"])
    assert quiet and set(found.loc[found["move"] == "gone quiet", "opportunity_id"]) == quiet
    assert set(found["move"]) <= {*pipeline_review._COUNTED, "won in another quarter"}
    assert not found.duplicated(["opportunity_id", "move"]).any()
    told = moves["move"].isin(["new", "pulled in", "pushed out", "won", "won in another quarter", "lost"])
    assert len(found) == told.sum() + len(quiet)


def test_moves_in_words():
    rows = listed(("A", "r1", "won in another quarter"), ("B", "r1", "lost"), ("B", "r1", "gone quiet"))
    said = pipeline_review.moves_sentence(rows, since=MONDAY)
    assert said == "Since Monday 2 deals moved: 1 won, 1 lost and 1 gone quiet."
    assert pipeline_review.moves_sentence(rows, since=date(2026, 9, 24)).startswith("Since Thursday 2 deals")


def change(by: float, reach: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    steps = ["forecast then", "won", "lost", "deals to come", "forecast now"]
    bridge = pd.DataFrame({"step": steps, "forecast_bridge_amount": [1e6, max(by, 0), min(by, 0), 0.0, 1e6 + by]})
    row = {"period": "2026Q3", "forecast_now_amount": 1e6 + by, "forecast_change_amount": by,
           "forecast_change_amount_low": by - reach, "forecast_change_amount_high": by + reach}  # fmt: skip
    return bridge, pd.DataFrame([row])


def test_the_change_in_words_up_down_unclear_and_none():
    def said(by, reach, **options):
        return pipeline_review.bridge_sentence(*change(by, reach), since=MONDAY, currency="USD", **options)

    since = "Since Monday, 21 September 2026 the forecast of 2026Q3 "
    assert said(2e5, 1e5) == f"{since}rose by $200K to $1.2M: won deals added most ($200K)."
    assert said(-2e5, 1e5) == f"{since}fell by $200K to $800K: lost deals took most ($200K)."
    assert said(-2e5, 3e5) == f"{since}shows no clear change, at $800K: lost deals took most ($200K)."
    assert said(0.0, 0.0) == f"{since}shows no clear change, at $1.0M."
    assert said(-2e5, 1e5, brief=True) == "The forecast of 2026Q3 fell by $200K to $800K; lost deals took most"
    assert said(0.0, 0.0, brief=True) == "The forecast of 2026Q3 shows no clear change, at $1.0M"


def test_the_chance_in_words():
    def landing(chance, won=0.0):
        return pd.DataFrame({"won_so_far_amount": [won], "bookings_target_amount": 2e6, "target_probability": chance})

    said = pipeline_review.chance_sentence
    assert said(landing(0.999), landing(1.0)) == (
        "The chance of reaching the target of 2.0M is over ninety-nine in a hundred, after over ninety-nine in a "
        "hundred a week before."
    )
    assert said(landing(float("nan")), landing(0.5)) == "The chance of reaching the target of 2.0M is 50 %."
    assert said(landing(0.5), landing(1.0, won=2e6)) == "The target of 2.0M is reached already."
    assert said(landing(0.5), landing(float("nan"))) == ""


def test_coverage_of_both_quarters_stands_together():
    both = pipeline_review.coverages(
        pd.DataFrame({"period": ["a"], "n": [1]}), pd.DataFrame({"period": ["b"], "n": [2]})
    )
    assert both.values.tolist() == [["a", 1], ["b", 2]]


def test_a_period_of_one_day_is_reviewed_over_seven():
    day = Period("day", MONDAY, MONDAY)
    assert pipeline_review.week_reviewed(day, MONDAY).days == 7


@pytest.mark.full
def test_the_monday_reports_of_eight_consecutive_weeks_add_up_to_the_cent(tmp_path):
    """As published on each Monday, knowing nothing later; a report's start is what the one before ended with."""
    ends, told = [], []
    for monday in pd.date_range("2026-08-03", periods=8, freq="W-MON").date:
        asked = plan.Request(
            root=ROOT, out=tmp_path, parameters=ROOT / "parameters" / "weekly.yaml",
            assignments=(f"as_of={monday - timedelta(days=1)}",),
        )  # fmt: skip
        assert run.run(asked, told.append) == 0, told
        (file,) = tmp_path.glob(f"{monday - timedelta(days=1)}/pipeline_review.json")
        made = json.loads(file.read_text(encoding="utf-8"))
        steps = {each["by"]["step"]: each["value"] for each in made["figures"]
                 if each["metric"] == "forecast_bridge_amount"}  # fmt: skip
        cents = [round(100 * value) for value in steps.values()]
        assert next(iter(steps)) == "forecast then" and list(steps)[-1] == "forecast now"
        assert sum(cents[:-1]) == cents[-1]
        ends.append((monday, steps["forecast then"], steps["forecast now"]))
    assert len(ends) == 8
    assert all(first[2] == last[1] for first, last in pairwise(ends)), ends
