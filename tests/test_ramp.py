"""Ramp against hand-worked months, simulated companies and its words."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from conftest import deals
from rep_toys import people, plan

from salesops import checks, crm, ramp, rep_performance
from salesops.crm import model

AS_OF = date(2026, 9, 30)
SINCE = date(2024, 1, 1)
MONTH = 365.25 / 12


def months(won: list[dict], reps: list[dict], targets: list[dict] | None = None, **options) -> pd.DataFrame:
    wanted = {"as_of": AS_OF, "since": SINCE} | options
    return ramp.rep_months(deals(won), reps=people(reps), targets=None if targets is None else plan(targets), **wanted)


def test_months_by_hand():
    reps = [{"owner_id": "r1", "hire_date": "2026-08-01"}]
    won = [
        {"owner_id": "r1", "close_date": "2026-08-31"},  # day 30 is the last of the first month: 30.44 days
        {"owner_id": "r1", "close_date": "2026-09-01", "amount": 7.0},
        {"owner_id": "r1", "close_date": "2026-09-02", "outcome": "lost"},
        {"owner_id": "r1", "close_date": "2026-07-31"},  # before the hire
        {"owner_id": "r2", "close_date": "2026-09-02"},
    ]
    table = months(won, reps)
    assert table["month"].tolist() == [1, 2] and table["n_days"].tolist() == [31, 30]
    assert table["won_amount"].tolist() == [100, 7] and table["is_hire"].all() and not table["has_left"].any()
    assert table["quota_amount"].isna().all()


def test_watched_from_the_records_on_and_until_the_exit():
    reps = [
        {"owner_id": "r1", "hire_date": "2023-11-01", "left_date": "2024-02-10"},
        {"owner_id": "r2", "hire_date": "2024-01-01", "left_date": "2027-01-01"},
        {"owner_id": "r3", "hire_date": "2022-01-01", "left_date": "2023-12-31"},
        {"owner_id": "r4", "hire_date": None},
        {"owner_id": "m1", "hire_date": "2025-01-01", "role": "manager"},
    ]
    won = [{"owner_id": "r1", "close_date": "2024-02-10"}, {"owner_id": "r1", "close_date": "2024-02-11"}]
    table = months(won, reps)
    old = table[table["owner_id"] == "r1"]
    assert old["month"].tolist() == [3, 4] and not old["is_hire"].any() and old["has_left"].all()
    assert old["n_days"].sum() == 41 and old["won_amount"].sum() == 100  # 1 January to 10 February; not after it
    new = table[table["owner_id"] == "r2"]
    assert new["is_hire"].all() and not new["has_left"].any() and new["n_days"].sum() == (AS_OF - SINCE).days + 1
    assert set(table["owner_id"]) == {"r1", "r2"}


def test_the_quota_in_full_counts_the_days_watched():
    reps = [{"owner_id": "r1", "hire_date": "2026-08-01"}]
    targets = [{"ramp_factor": 0.1}, {"scope_id": "r2"}]  # 92 for 92 days: 1 a day, before the ramp
    assert months([], reps, targets)["quota_amount"].tolist() == pytest.approx([31, 30])
    half = [{"period_end": "2026-08-31", "value": 62.0}]
    assert months([], reps, half)["quota_amount"].fillna(-1).tolist() == pytest.approx([31, -1])  # September unknown
    part = [{"period_end": "2026-09-10", "value": 72.0}]  # some of September is not enough
    assert months([], reps, part)["quota_amount"].fillna(-1).tolist() == pytest.approx([31, -1])


def test_the_curve_is_what_whoever_was_there_won():
    table = pd.DataFrame(
        {
            "owner_id": ["r1", "r2", "r1", "r2"],
            "month": [1, 1, 2, 30],
            "n_days": [MONTH, MONTH / 2, MONTH, MONTH],
            "is_hire": [True, True, True, False],
            "has_left": False,
            "won_amount": [30.0, 15.0, 80.0, 9.0],
            "quota_amount": [100.0, 50.0, None, 1.0],
        }
    )
    curve = ramp.ramp_curve(table)
    assert (
        curve["month"].tolist() == [1, 2] and curve["n"].tolist() == [2, 1] and curve["n_months"].tolist() == [1.5, 1]
    )
    assert curve["ramp_month_amount"].tolist() == pytest.approx([30, 80])
    assert curve["ramp_attainment_rate"].iloc[0] == pytest.approx(0.3) and np.isnan(
        curve["ramp_attainment_rate"].iloc[1]
    )
    assert curve["ramp_rate"].isna().all()
    assert ramp.ramp_curve(table[:0]).empty


def hired(n: int = 30, seed: int = 0, reach: float = 8.0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Reps hired over two years who win four times a month in the end; a straight rise, four fifths at 6.4 months."""
    random = np.random.default_rng(seed)
    start = pd.Timestamp(SINCE) + pd.to_timedelta(random.integers(0, 700, n), "D")
    days = (pd.Timestamp(AS_OF) - start).days.to_numpy()
    rows = []
    for rep in range(n):
        age = random.uniform(0, days[rep] + 1, random.poisson(4 * (days[rep] + 1) / MONTH))
        kept = age[random.random(len(age)) < np.minimum(age / MONTH / reach, 1)]
        when = start[rep] + pd.to_timedelta(np.floor(kept), "D")
        rows.append(pd.DataFrame({"owner_id": f"r{rep}", "close_date": when, "amount": 1.0, "is_won": True}))
    reps = [{"owner_id": f"r{rep}", "hire_date": start[rep]} for rep in range(n)]
    return pd.concat(rows, ignore_index=True), people(reps)


def test_the_time_of_a_simulated_company_from_its_tables():
    won, reps = hired()
    table = ramp.rep_months(won, reps=reps, as_of=AS_OF, since=SINCE)
    row = ramp.ramp_time(table).iloc[0]
    assert row["n"] == 30 and row["n_left"] == 0
    assert row["ramp_days_low"] < 6.4 * MONTH < row["ramp_days_high"]
    assert row["ramp_days"] == pytest.approx(6.4 * MONTH, abs=35)
    assert row["ramp_plateau_amount"] == pytest.approx(4, rel=0.08)
    assert row["ramp_plateau_amount_low"] < row["ramp_plateau_amount"] < row["ramp_plateau_amount_high"]
    curve = ramp.ramp_curve(table).set_index("month")
    share = np.minimum((curve.index.to_numpy() - 0.5) / 8, 1)
    assert (curve["ramp_rate_low"] <= share + 0.06).all() and (curve["ramp_rate_high"] >= share - 0.06).all()
    amount, exposure, has_left = ramp.matrices(table)
    assert not has_left.any() and len(has_left) == 30
    assert amount.sum() == len(won) and exposure.sum() * MONTH == pytest.approx(table["n_days"].sum(), rel=0.02)


def test_who_has_left_stands_in_the_order_of_the_rows():
    months = pd.DataFrame({"owner_id": ["b", "b", "a", "c"], "month": [1, 2, 1, 1], "n_days": 30.0,
                           "is_hire": [True, True, True, False], "has_left": [True, True, False, True],
                           "won_amount": [1.0, 2.0, 4.0, 8.0]})  # fmt: skip
    amount, _, has_left = ramp.matrices(months)
    assert amount.tolist() == [[1, 2], [4, 0]] and has_left.tolist() == [True, False]


def test_leavers_are_told_to_the_fit(monkeypatch):
    won, reps = hired()
    table = ramp.rep_months(won, reps=reps, as_of=AS_OF, since=SINCE)
    leavers, fitted = [], ramp.rise.rise
    monkeypatch.setattr(ramp.rise, "rise", lambda *of, left, **more: leavers.append(left) or fitted(*of, **more))
    ramp.ramp_time(table.assign(has_left=table["owner_id"].isin(["r3", "r4"])))
    assert leavers[0].sum() == 2


def test_too_few_hires_say_so():
    won, reps = hired(checks.MIN_N)
    table = ramp.rep_months(won, reps=reps, as_of=AS_OF, since=SINCE)
    assert ramp.ramp_time(table)["ramp_days"].notna().all()
    one_less = table[table["owner_id"] != "r3"]
    found = ramp.ramp_time(one_less)
    assert found["n"].iloc[0] == 19 and found["ramp_days"].isna().all() and found["ramp_plateau_amount"].isna().all()
    assert "Only 19 reps were hired" in ramp.ramp_sentence(found) and "fewer than 20" in ramp.ramp_sentence(found)
    nobody = ramp.ramp_time(table[:0])
    assert ramp.ramp_sentence(nobody).startswith("No rep was hired") and nobody["n"].iloc[0] == 0


def test_words_of_an_open_ramp_and_of_one_leaver():
    row = pd.DataFrame({"n": [34], "n_left": [1], "ramp_days": 140.0, "ramp_days_low": 110.0, "ramp_days_high": np.nan})
    assert "(likely more than 3.6; 34 hires, 1 of whom has left)" in ramp.ramp_sentence(row)
    assert "show no plateau yet" in ramp.ramp_sentence(row.assign(ramp_days=np.nan))
    assert not {"r1", "Zoe"} & set(ramp.ramp_sentence(row).split())


def test_a_table_without_hire_dates_is_refused_with_its_name():
    with pytest.raises(checks.DataError, match=r"reps: missing column \['hire_date'\]"):
        ramp.rep_months(deals([]), reps=people([]).drop(columns="hire_date"), as_of=AS_OF)


def test_the_sample_has_too_few_hires_to_tell():
    company = crm.load("sample", where="opportunity_type != 'renewal'")
    won = rep_performance.credited(company.opportunities, stage_history=company.stage_history, reps=company.reps)
    table = ramp.rep_months(won, reps=company.reps, as_of=company.as_of, targets=company.targets)
    assert ramp.ramp_sentence(ramp.ramp_time(table)) == (
        "Only 8 reps were hired since the records began, fewer than 20: how long the ramp takes cannot be told."
    )
    sold = won[won["is_won"] & won["owner_id"].isin(table["owner_id"])]
    assert table["won_amount"].sum() == pytest.approx(sold["amount"].sum(), rel=0.01)  # but for wins after an exit


def test_nobody_at_all():
    table = ramp.rep_months(deals([]), reps=people([]), as_of=AS_OF)
    assert table.empty and ramp.ramp_curve(table).empty
    assert ramp.rep_months(deals([]), reps=model.conform(pd.DataFrame(), "reps"), as_of=AS_OF, targets=plan([])).empty
