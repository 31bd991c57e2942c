"""Slippage and pushes against hand-worked deals, a loop over the sample, and each sentence's forms."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from conftest import deals
from test_waterfall import EVE, Q3, STAGES, history, record, row

from salesops import checks, crm, evenings, slippage, waterfall
from salesops.periods import Period

END = date(2026, 9, 30)
Q4 = Period("2026Q4", date(2026, 10, 1), date(2026, 12, 31))

ROWS = [
    row("won", "2026-06-01", "Talk", 10, "2026-08-01"), row("won", "2026-07-09", "Won", 9, "2026-07-09"),
    row("lost", "2026-06-01", "Talk", 20, "2026-08-01"), row("lost", "2026-07-09", "Lost", 0, "2026-07-09"),
    row("pushed", "2026-06-01", "Talk", 30, "2026-08-01"), row("pushed", "2026-07-09", "Talk", 33, "2026-10-01"),
    row("overdue", "2026-06-01", "Talk", None, "2026-08-01"),
    row("late win", "2026-06-01", "Talk", 40, "2026-08-01"), row("late win", "2026-10-05", "Won", 40, "2026-10-05"),
    row("ahead", "2026-06-01", "Talk", 5, "2026-08-01"), row("ahead", "2026-06-30", "Talk", 5, "2026-07-01"),
    row("ahead", "2026-07-02", "Talk", 5, "2026-06-01"),
    row("undated", "2026-06-01", "Talk", 6, "2026-08-01"), row("undated", "2026-07-02", "Talk", 6, None),
    row("not due", "2026-06-01", "Talk", 50, "2026-10-01"), row("not due", "2026-07-09", "Talk", 50, "2026-08-01"),
    row("new", "2026-07-01", "Talk", 60, "2026-08-01"),
]  # fmt: skip


def population(rows=ROWS):
    names = dict.fromkeys(each["opportunity_id"] for each in rows)
    return deals([record(name, created=next(each["changed_at"] for each in rows if each["opportunity_id"] == name), account_id=name)
                  for name in names])  # fmt: skip


def due(as_of=END, period=Q3, **options):
    return slippage.due_deals(population(), history(ROWS), period=period, as_of=as_of, stages=STAGES, **options)


def test_what_became_of_the_deals_due():
    found = due().set_index("opportunity_id")
    assert found["became"].to_dict() == {
        "won": "won", "lost": "lost", "pushed": "pushed out", "overdue": "still due", "late win": "still due",
        "ahead": "pulled ahead", "undated": "undated",
    }  # fmt: skip
    assert found["is_slipped"].tolist() == [False, False, True, True, True, True, True]
    assert found.loc["pushed", "amount"] == 30  # as it was when the quarter began


def test_a_deal_whose_history_does_not_reach_back_is_left_out():
    rows = [*ROWS, row("late", "2026-07-09", "Talk", 7, "2026-08-01")]
    frame = deals([record("late", created="2026-06-01"), record("none", close_date="2026-08-01"), record("overdue")])
    found = slippage.due_deals(frame, history(rows), period=Q3, as_of=END, stages=STAGES)
    assert found["opportunity_id"].tolist() == ["overdue"]


def test_the_share_that_slipped_by_count_and_by_money():
    table = slippage.slippage_rate(due()).iloc[0]
    assert (table["n"], table["slipped_count"], table["slippage_rate"]) == (7, 5, 5 / 7)
    assert (table["slipped_amount"], table["due_at_start_amount"]) == (81, 111)
    assert table["value_slippage_rate"] == 81 / 111
    for rate in ("slippage_rate", "value_slippage_rate"):
        assert 0 < table[f"{rate}_low"] < table[rate] < table[f"{rate}_high"] < 1


def test_a_win_dated_in_the_quarter_and_told_later_has_not_slipped():
    told = population().assign(is_won=lambda frame: frame["opportunity_id"] == "late win")
    told["is_closed"] = told["is_won"]
    told["close_date"] = pd.to_datetime("2026-09-30")
    found = slippage.due_deals(told, history(ROWS), period=Q3, as_of=date(2026, 10, 31), stages=STAGES)
    assert not found.set_index("opportunity_id").loc["late win", "is_slipped"]


def test_commit_deals_are_those_committed_when_the_period_began():
    rows = history([row("A", "2026-06-01", "Talk", 10, "2026-08-01"), row("A", "2026-07-09", "Talk", 10, "2026-10-09"),
                    row("B", "2026-06-01", "Talk", 10, "2026-08-01")])  # fmt: skip
    rows["forecast_category"] = pd.Series(["commit", "omitted", None], dtype="str")
    frame = deals([record("A"), record("B", forecast_category="commit")])
    found = slippage.due_deals(frame, rows, period=Q3, as_of=END, stages=STAGES, by="forecast_category")
    table = slippage.slippage_rate(found, by="forecast_category")
    assert table["forecast_category"].fillna("-").tolist() == ["commit", "-"]  # not what the record says now
    assert table["slipped_count"].tolist() == [1, 1]


def test_a_company_with_several_deals_widens_the_interval():
    many = pd.DataFrame(
        {"amount": 1.0, "is_slipped": [True] * 20 + [False] * 20, "account_id": [f"a{n}" for n in range(40)]}
    )
    alone = slippage.slippage_rate(many).iloc[0]
    grouped = slippage.slippage_rate(many.assign(account_id=many["account_id"].str[:2])).iloc[0]
    for rate in ("slippage_rate", "value_slippage_rate"):
        assert grouped[f"{rate}_high"] - grouped[f"{rate}_low"] > alone[f"{rate}_high"] - alone[f"{rate}_low"]


def test_a_period_that_is_not_over_has_no_slippage():
    running = due(as_of=date(2026, 7, 31))
    assert running["is_slipped"].isna().sum() == 5 and running["is_slipped"].notna().sum() == 2
    table = slippage.slippage_rate(running).iloc[0]
    assert table["n"] == 7 and table["due_at_start_amount"] == 111
    assert (
        table[["slipped_count", "slippage_rate", "slippage_rate_low", "value_slippage_rate", "slipped_amount"]]
        .isna()
        .all()
    )
    assert due(period=Q4)["opportunity_id"].tolist() == ["pushed"]


def test_without_history_nothing_is_known(no_deals):
    for frame, rows in (
        (population(), history([])),
        (no_deals, history(ROWS)),
        (population(), history(ROWS).assign(close_date=pd.NaT)),
    ):
        found = slippage.due_deals(frame, rows, period=Q3, as_of=END)
        table = slippage.slippage_rate(found).iloc[0]
        assert table["n"] == 0 and np.isnan(table["slippage_rate"]) and np.isnan(table["value_slippage_rate"])
        pushed = slippage.push_count(frame, rows, as_of=END)
        table = slippage.push_rates(pushed).iloc[0]
        assert table["n"] == 0 and np.isnan(table["pushed_rate"]) and np.isnan(table["push_count_mean"])
        assert slippage.slippage_rate(found.assign(team="x"), by="team").empty


PUSHES = [
    row("A", "2026-05-01", "Talk", 1, "2026-07-01", "r1"), row("A", "2026-06-01", "Talk", 1, "2026-07-31", "r1"),  # 30
    row("A", "2026-07-01", "Talk", 1, "2026-07-11", "r1"),  # pulled in
    row("A", "2026-07-05", "Offer", 1, None, "r2"), row("A", "2026-07-06", "Talk", 1, "2026-07-12", "r2"),  # 1, over the gap
    row("A", "2026-07-09 10:00", "Talk", 1, "2027-07-12", "r2"), row("A", "2026-07-09 11:00", "Talk", 1, "2026-07-12", "r2"),
    row("A", "2026-07-20", "Lost", 1, "2026-08-20", "r2"),  # written by closing
    row("A", "2026-08-01", "Talk", 1, "2026-12-01", "r3"),  # re-opened
    row("A", "2026-10-02", "Talk", 1, "2026-12-31", "r3"),  # after the last day: 30
    row("B", "2026-05-01", "Talk", 1, "2026-07-01"), row("C", "2026-10-01", "Talk", 1, "2026-12-01"),
]  # fmt: skip


def test_pushes_are_counted_by_the_day_while_open():
    frame, rows = population(PUSHES), history(PUSHES)
    found = slippage.push_count(frame, rows, as_of=END, stages=STAGES, by="owner_id")
    assert found[["opportunity_id", "owner_id", "push_count", "pushed_days"]].values.tolist() == [
        ["A", "r3", 2, 31],
        ["B", "r1", 0, 0],
    ]
    assert found["first_close_date"].dt.strftime("%m-%d").tolist() == ["07-01", "07-01"]
    assert found["last_close_date"].dt.strftime("%m-%d").tolist() == ["12-01", "07-01"]
    later = slippage.push_count(frame, rows, as_of=date(2026, 10, 31), stages=STAGES)
    assert later[["push_count", "pushed_days"]].values.tolist() == [[3, 61], [0, 0], [0, 0]]
    in_q3 = slippage.push_count(frame, rows, as_of=date(2026, 10, 31), period=Q3, stages=STAGES)
    assert in_q3[["push_count", "pushed_days"]].values.tolist() == [[1, 1], [0, 0], [0, 0]]


def test_push_rates_by_group():
    pushed = pd.DataFrame({
        "account_id": list("abcdef"), "team": ["N", "N", "N", "N", None, None], "push_count": [0, 1, 2, 1, 0, 0],
        "pushed_days": [0.0, 30, 60, 10, 0, 0],
    })  # fmt: skip
    table = slippage.push_rates(pushed, by="team")
    assert table["team"].fillna("-").tolist() == ["N", "-"] and table["n"].tolist() == [4, 2]
    assert table["n_pushed"].tolist() == [3, 0] and table["pushed_rate"].tolist() == [0.75, 0]
    assert table["push_count_mean"].tolist() == [1, 0] and table["pushed_days_mean"].tolist() == [25, 0]
    assert (table["push_count_mean_low"] <= table["push_count_mean"]).all()


@pytest.fixture(scope="module")
def sample():
    return crm.load("sample")


def test_the_sample_is_that_of_a_loop(sample):
    closed = set(sample.stages.loc[sample.stages["is_closed"].astype(bool), "stage"])
    found = slippage.push_count(sample.opportunities, sample.stage_history, as_of=sample.as_of, stages=sample.stages)
    ordered = sample.stage_history.sort_values(["opportunity_id", "changed_at", "seq"])
    evening = {(name, at.date()): last for name, at, *last in
               ordered[["opportunity_id", "changed_at", "stage", "close_date"]].itertuples(index=False)}  # fmt: skip
    expected, dates = {}, {}
    for (name, _), (stage, due_on) in evening.items():
        count, total = expected.setdefault(name, [0, 0])
        if stage in closed:
            dates.pop(name, None)
        elif pd.notna(due_on):
            gap = (due_on - dates.get(name, due_on)).days
            expected[name], dates[name] = [count + (gap > 0), total + max(gap, 0)], due_on
    assert found.set_index("opportunity_id")[["push_count", "pushed_days"]].T.to_dict("list") == {
        name: expected[name] for name in found["opportunity_id"]
    }


def test_slippage_agrees_with_the_waterfall(sample):
    frame, rows = sample.opportunities, sample.stage_history
    found = slippage.due_deals(frame, rows, period=Q3, as_of=sample.as_of, stages=sample.stages)
    stood = evenings.between(frame, rows, start=EVE, end=END, stages=sample.stages)
    moves = waterfall.deal_moves(stood, window=Q3)
    began = moves[moves["came_by"] == "start"].set_index("opportunity_id")["left_by"]
    assert set(began.index) == set(found["opportunity_id"])
    named = found.set_index("opportunity_id")["became"].replace({"still due": "end"})
    assert (named == began.loc[named.index]).all()


def test_a_missing_column_is_named():
    with pytest.raises(checks.DataError, match=r"missing column \['is_slipped'\]"):
        slippage.slippage_rate(pd.DataFrame({"account_id": [], "amount": []}))
    with pytest.raises(checks.DataError, match=r"missing column \['push_count'\]"):
        slippage.push_rates(pd.DataFrame({"account_id": [], "pushed_days": []}))


def row_of(n, slipped, **values):
    shares = {"slippage_rate": slipped / n if n else np.nan, "slippage_rate_low": 0.1, "slippage_rate_high": 0.9}
    return pd.Series(
        {"n": n, "slipped_count": slipped, **shares, "due_at_start_amount": 1e6, "value_slippage_rate": 0.5} | values
    )


def test_slippage_sentences_in_every_form():
    def said(n, slipped, deals="deals", **values):
        return slippage.slippage_sentence(row_of(n, slipped, **values), period=Q3, deals=deals, currency="USD")

    when = "due in 2026Q3 when it began"
    assert said(1, 1) == f"The one deal {when} was neither won nor lost in it: too few to read a rate from."
    assert said(1, 0) == f"The one deal {when} was won or lost in it: too few to read a rate from."
    assert said(5, 1) == f"1 of the 5 deals {when} was neither won nor lost in it: too few to read a rate from."
    assert said(5, 5) == f"None of the 5 deals {when} was won or lost in it: too few to read a rate from."
    assert said(40, 0, "commit deals") == (
        f"All 40 commit deals {when} were won or lost in it: 0 % slipped (likely between 10 % and 90 %), and 50 % of their $1.0M."
    )
    assert said(40, 10, value_slippage_rate=np.nan).endswith("25 % slipped (likely between 10 % and 90 %).")
    assert said(1, np.nan).endswith("so it is not known whether the one due in it will.") is True
    assert said(0, 0) == "No deals were due in 2026Q3 when it began, as far as the history tells."


def test_push_sentences_in_every_form():
    def said(n, pushed, **values):
        row = {
            "n": n,
            "n_pushed": pushed,
            "pushed_rate": pushed / max(n, 1),
            "pushed_rate_low": 0.1,
            "pushed_rate_high": 0.9,
        }
        return slippage.push_sentence(
            pd.Series(row | {"push_count_mean": 1.0, "pushed_days_mean": 1.0} | values), deals="open deals"
        )

    assert said(1, 1) == "The close date of the one open deal was moved later."
    assert said(1, 0) == "The close date of the one open deal was not moved later."
    assert (
        said(5, 0)
        == "The close date of none of 5 open deals was moved later at least once: too few to read a rate from."
    )
    assert said(40, 0).endswith("was moved later at least once: 0 % (likely between 10 % and 90 %).")
    assert said(40, 10).endswith("25 % (likely between 10 % and 90 %), on average 1 time and by 1 day a deal.")
    assert said(0, 0) == "There are no open deals whose history tells how often close dates are moved."
