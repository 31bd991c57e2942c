"""Tenure and turnover against a published curve, plain counts and a naive loop."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from conftest import deals
from rep_toys import NO_HISTORY, people, plan
from scipy.stats import chi2
from scipy.stats import t as student

from salesops import checks, rep_performance, tenure
from salesops.periods import Calendar, Period

SINCE, AS_OF = date(2024, 1, 1), date(2025, 12, 31)
YEAR = Period("2025", date(2025, 1, 1), date(2025, 12, 31))


def staff(stays: list[tuple]) -> pd.DataFrame:
    """Reps from pairs of hire date and leave date, and a role or team after them."""
    return people(
        [
            {"owner_id": f"r{number}", "hire_date": hired, "left_date": left, **(rest[0] if rest else {})}
            for number, (hired, left, *rest) in enumerate(stays)
        ]
    )


def naive(reps: pd.DataFrame, start: float) -> dict[float, float]:
    """Kaplan-Meier with late entry, counted rep by rep."""
    seen = []
    for rep in reps.itertuples():
        entry = max((pd.Timestamp(SINCE) - rep.hire_date).days, 0)
        gone = not pd.isna(rep.left_date) and rep.left_date <= pd.Timestamp(AS_OF)
        end = rep.left_date if gone else pd.Timestamp(AS_OF) + pd.Timedelta(days=1)
        seen.append((max(entry, start), (end - rep.hire_date).days, gone))
    share, curve = 1.0, {}
    for day in sorted({end for entry, end, gone in seen if gone and end > entry}):
        at_risk = sum(entry < day <= end for entry, end, _ in seen)
        share *= 1 - sum(gone and end == day and entry < end for entry, end, gone in seen) / at_risk
        curve[float(day)] = share
    return curve


def test_the_curve_is_kaplan_meiers_with_late_entry():
    random = np.random.default_rng(0)
    hired = pd.Timestamp("2022-01-01") + pd.to_timedelta(random.integers(0, 1200, 80), "D")
    left = hired + pd.to_timedelta(random.integers(30, 1500, 80), "D")
    reps = staff(
        [(first, last if last > pd.Timestamp(SINCE) else None) for first, last in zip(hired, left, strict=True)]
    )
    curve = tenure.rep_tenure(reps, since=SINCE, as_of=AS_OF)
    expected = naive(reps, curve["tenure_days"].iloc[0])
    inner = curve.iloc[1:][curve["tenure_days"].iloc[1:].isin(list(expected))]
    assert len(inner) > 20
    assert inner["rep_tenure_rate"].tolist() == pytest.approx([expected[day] for day in inner["tenure_days"]])
    assert (curve["rep_tenure_rate_low"] <= curve["rep_tenure_rate"]).all()
    assert (curve["rep_tenure_rate_high"] >= curve["rep_tenure_rate"]).all()
    assert curve["rep_tenure_rate"].is_monotonic_decreasing and (curve["n_at_risk"] >= tenure.AT_RISK).all()


def test_without_late_entry_early_leavers_would_be_missed():
    """Half leave within a year. Of those hired before the records began only those who stayed are on record."""
    random = np.random.default_rng(1)
    hired = pd.Timestamp("2021-01-01") + pd.to_timedelta(random.integers(0, 1800, 3000), "D")
    left = hired + pd.to_timedelta(np.ceil(random.exponential(365 / np.log(2), 3000)), "D")
    on_record = left > pd.Timestamp(SINCE)
    reps = staff(list(zip(hired[on_record], left[on_record], strict=True)))
    curve = tenure.rep_tenure(reps, since=SINCE, as_of=AS_OF)
    after = curve[curve["tenure_days"] <= 365].iloc[-1]
    assert after["rep_tenure_rate_low"] <= 0.5 <= after["rep_tenure_rate_high"]
    assert after["rep_tenure_rate"] == pytest.approx(0.5, abs=0.03)
    wrong = tenure.rep_tenure(reps, since=date(2020, 1, 1), as_of=AS_OF)  # as if all had been watched throughout
    assert wrong[wrong["tenure_days"] <= 365]["rep_tenure_rate"].iloc[-1] > 0.6


def test_the_curve_starts_where_enough_are_watched():
    old = [("2023-01-01", None)] * 9 + [("2023-01-01", "2024-03-01")]
    curve = tenure.rep_tenure(staff(old), since=SINCE, as_of=AS_OF)
    assert curve["tenure_days"].tolist() == [365, 425] and curve["n"].tolist() == [0, 1]
    assert curve["rep_tenure_rate"].tolist() == pytest.approx([1, 0.9])
    none = tenure.rep_tenure(staff(old[:9]), since=SINCE, as_of=AS_OF)
    assert none.empty and tenure.tenure_sentence(none).startswith("Fewer than 10 reps")
    stay = tenure.rep_tenure(staff([("2024-01-01", None)] * 10), since=SINCE, as_of=AS_OF)
    assert stay["tenure_days"].tolist() == [0, 731] and stay["rep_tenure_rate"].tolist() == [1, 1]
    assert tenure.tenure_sentence(stay) == "Of reps hired, none on record has left by 2 years."
    others = tenure.rep_tenure(staff([("2024-01-01", None, {"role": "manager"})] * 20), since=SINCE, as_of=AS_OF)
    assert others.empty


def test_a_leaver_of_the_last_days_and_one_of_the_future():
    stays = [("2024-01-01", None)] * 10 + [("2024-01-01", "2025-12-31"), ("2024-01-01", "2026-01-01")]
    curve = tenure.rep_tenure(staff(stays), since=SINCE, as_of=AS_OF)
    assert curve["n"].iloc[-1] == 1 and curve["rep_tenure_rate"].iloc[-1] == pytest.approx(11 / 12)


def test_turnover_is_leavers_over_mean_head_count_by_the_year():
    reps = staff(
        [
            ("2020-01-01", "2025-06-30", {"team": "East"}),
            ("2020-01-01", "2025-12-31", {"team": "West"}),
            ("2025-07-01", None, {"team": "West"}),
            (None, "2024-12-31"),
            ("2020-01-01", "2026-02-01", {"team": None}),
            ("2020-01-01", "2025-05-05", {"role": "manager"}),
        ]
    )
    row = tenure.turnover(reps, period=YEAR, as_of=AS_OF).iloc[0]
    days = 181 + 365 + 184 + 365
    assert row["n"] == 2 and row["head_count"] == pytest.approx(days / 365)
    assert row["rep_turnover_rate"] == pytest.approx(2 / (days / 365.25))
    low, high = chi2.ppf(0.025, 4) / 2, chi2.ppf(0.975, 6) / 2  # Garwood 1936
    assert row["rep_turnover_rate_low"] == pytest.approx(low / (days / 365.25))
    assert row["rep_turnover_rate_high"] == pytest.approx(high / (days / 365.25))
    teams = tenure.turnover(reps, period=YEAR, as_of=AS_OF, by="team")
    assert teams["team"].fillna("?").tolist() == ["East", "West", "?"] and teams["n"].tolist() == [1, 1, 0]
    assert teams["head_count"].sum() == pytest.approx(row["head_count"])
    half = tenure.turnover(reps, period=YEAR, as_of=date(2025, 6, 29)).iloc[0]
    assert half["n"] == 0 and half["head_count"] == 3 and half["rep_turnover_rate"] == 0
    assert half["rep_turnover_rate_high"] == pytest.approx(-np.log(0.025) / (3 * 180 / 365.25))


def test_turnover_of_nobody():
    table = tenure.turnover(staff([]), period=YEAR, as_of=AS_OF)
    assert table["n"].iloc[0] == 0 and np.isnan(table["rep_turnover_rate"].iloc[0])
    assert (
        tenure.turnover_sentence(table, period=YEAR) == "No rep was in seat in 2025, so how many leave cannot be told."
    )
    none = tenure.turnover(staff([("2020-01-01", None)] * 30), period=YEAR, as_of=AS_OF)
    assert tenure.turnover_sentence(none, period=YEAR) == (
        "No rep left in 2025, where 30 were in seat on average: at most 12 % a year is likely."
    )


def test_reasons_are_apart_and_add_up():
    reps = staff([("2020-01-01", "2025-12-31")] * 4 + [("2020-01-01", None)])
    reps["x_own_accord"] = pd.array([True, True, False, None, True], dtype="boolean")
    parts = tenure.turnover_by_reason(reps, voluntary="x_own_accord", period=YEAR, as_of=AS_OF)
    assert parts[["leaving", "n"]].values.tolist() == [["voluntary", 2], ["not voluntary", 1], ["unknown", 1]]
    whole = tenure.turnover(reps, period=YEAR, as_of=AS_OF).iloc[0]
    assert parts["rep_turnover_rate"].sum() == pytest.approx(whole["rep_turnover_rate"])
    with pytest.raises(checks.DataError, match=r"reps: missing column \['x_reason'\]"):
        tenure.turnover_by_reason(reps, voluntary="x_reason", period=YEAR, as_of=AS_OF)


def quarters(n_leavers: int, leaver: float, stayer: float, seed: int | None = None) -> pd.DataFrame:
    """Ten stayers and some leavers of 15 August 2025, four quarters of quota 100 each; with noise where a seed is."""
    random = np.random.default_rng(seed)
    names = [f"s{number}" for number in range(10)] + [f"l{number}" for number in range(n_leavers)]
    starts = pd.date_range("2024-07-01", periods=5, freq="3MS")
    rows, asked = [], []
    for name in names:
        for start in starts:
            last = start + pd.offsets.QuarterEnd(0)
            usual = leaver if name[0] == "l" else stayer
            amount = 100 * usual + (random.normal(0, 40) if seed is not None else 0)
            rows.append({"owner_id": name, "close_date": start + pd.Timedelta(days=20), "amount": amount})
            asked.append({"scope_id": name, "value": 100.0, "period_start": start, "period_end": last})
    reps = people([{"owner_id": name, "left_date": "2025-08-15" if name[0] == "l" else None} for name in names])
    won = rep_performance.credited(deals(rows), stage_history=NO_HISTORY, reps=reps)
    return tenure.before_leaving(won, targets=plan(asked), reps=reps, as_of=AS_OF)


def test_leavers_against_those_who_stayed_in_the_same_quarters():
    table = quarters(3, 0.5, 0.9)
    assert table["quarters_before"].tolist() == ["1", "2", "3", "4", "1 to 4"]
    assert table["n"].tolist() == [3] * 5 and table["n_stayers"].tolist() == [10] * 5
    assert table["leaver_attainment_rate"].tolist() == pytest.approx([0.5] * 5)
    assert table["stayer_attainment_rate"].tolist() == pytest.approx([0.9] * 5)
    assert table["leaver_gap_points"].tolist() == pytest.approx([-0.4] * 5)
    one = quarters(1, 0.5, 0.9)
    assert one["leaver_gap_points_low"].isna().all() and one["leaver_gap_points"].notna().all()
    nobody = quarters(0, 0.5, 0.9)
    assert nobody["n"].tolist() == [0] * 5 and nobody["leaver_attainment_rate"].isna().all()
    assert tenure.before_leaving_sentence(nobody).startswith("No rep with a quota left, fewer than 20")


def test_a_gap_is_found_where_it_is_and_no_person_named():
    less, same = quarters(25, 0.6, 0.9, seed=0), quarters(25, 0.9, 0.9, seed=2)
    assert less["leaver_gap_points_high"].iloc[-1] < 0 and ": a larger gap" in tenure.before_leaving_sentence(less)
    assert same["leaver_gap_points_low"].iloc[-1] < 0 < same["leaver_gap_points_high"].iloc[-1]
    assert "no larger a gap than chance explains" in tenure.before_leaving_sentence(same)
    assert "owner_id" not in less and "name" not in less
    assert "Only 19 reps with a quota left" in tenure.before_leaving_sentence(quarters(19, 0.6, 0.9))


def test_limits_of_a_mean_are_students():
    values = np.tile([-1.0, 1.0], 10)
    mean, low, high = tenure._mean(values, 0.95)
    assert (mean, -low) == (0, pytest.approx(high))
    assert high == pytest.approx(student.ppf(0.975, 20) * np.sqrt(20 / 19) / np.sqrt(20))
    assert np.isnan(tenure._mean(values[:1], 0.95)[1:]).all() and np.isnan(tenure._mean(values[:0], 0.95)).all()


def test_a_leaver_to_come_and_the_quarter_of_leaving_are_nobodys():
    """Who leaves later than the last day is a stayer; who leaves within four quarters is none; Q3 itself is left out."""
    table = quarters(2, 0.5, 0.9)
    assert table["n"].iloc[0] == 2  # 2025Q2, not 2025Q3
    reps = people([{"owner_id": "a", "left_date": "2026-01-05"}, {"owner_id": "b", "left_date": "2025-11-05"}])
    won = deals([{"owner_id": each, "close_date": "2025-08-01", "amount": 50.0} for each in "ab"])
    asked = plan([{"scope_id": each, "period_start": "2025-07-01", "period_end": "2025-09-30"} for each in "ab"])
    found = tenure.before_leaving(won, targets=asked, reps=reps, as_of=AS_OF, calendar=Calendar(2), quarters=8)
    assert found["n"].iloc[:4].sum() >= 1 and found["n_stayers"].iloc[-1] == 1
