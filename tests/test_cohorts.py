"""Cohorts against hand-worked cases, a naive loop, companies whose truth is known, and their own invariants."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from conftest import deals
from hypothesis import given, settings
from hypothesis import strategies as st

from salesops import checks, cohorts
from salesops.crm import sample
from salesops.periods import Calendar, Period, quarter

Q1, Q2, Q3 = (quarter(date(2026, month, 1)) for month in (1, 4, 7))
AS_OF = date(2026, 9, 30)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "outcome": st.sampled_from(["open", "won", "lost", "no_decision"]),
            "segment": st.sampled_from(["SMB", "Enterprise", None]),
            "account_id": st.sampled_from(["acme", "bolt", None]),
            "created_date": st.sampled_from(["2026-04-01", "2026-05-20", "2026-07-01", "2026-08-30"]),
            "close_date": st.sampled_from(["2026-09-01", "2026-09-29"]),
        }
    ),
    max_size=30,
)


def many(count: int, **row) -> list[dict]:
    return [row | {"account_id": None}] * count


def past(won: int = 12, lost: int = 18) -> list[dict]:
    """An older cohort, all ended: lost after 30 days, won after 60."""
    return many(won, created_date="2026-01-01", close_date="2026-03-02") + many(
        lost, created_date="2026-01-01", close_date="2026-01-31", outcome="lost"
    )


def one(frame: pd.DataFrame, cohort: Period = Q3, **options) -> pd.Series:
    return cohorts.cohort_win_rate(frame, cohorts=[cohort], as_of=AS_OF, **options).iloc[0]


def test_what_is_open_goes_on_as_others_did():
    young = {"created_date": "2026-08-22"}  # 39 days old: past the age at which the old ones were lost
    frame = deals(past() + many(4, outcome="open", **young) + many(6, outcome="lost", close_date="2026-09-21", **young))
    row = one(frame)
    # Six were lost on day 30 of 10 + 30 at risk; those open at 39 are all won on day 60.
    assert (row["n"], row["n_won"], row["n_lost"], row["n_open"], row["n_recent"]) == (10, 0, 6, 4, 36)
    assert (row["won_so_far_rate"], row["closed_win_rate"]) == (0.0, 0.0)
    assert (row["expected_win_rate"], row["expected_loss_rate"]) == (0.4, 0.6)


def test_deals_older_than_any_end_are_not_decided():
    frame = deals(past() + many(10, outcome="open", created_date="2026-02-01"))
    row = one(frame, Q1)
    assert row["never_ended_rate"] == pytest.approx(0.25)
    assert (row["expected_win_rate"], row["expected_loss_rate"]) == pytest.approx((12 / 40, 18 / 40))
    assert one(deals(past()), Q1)["never_ended_rate"] == 0


def test_a_deal_too_young_to_have_lost_still_may():
    frame = deals(past() + many(10, outcome="open", created_date="2026-09-20"))
    assert one(frame)["expected_win_rate"] == pytest.approx(12 / 30)


def test_ends_before_the_window_do_not_count():
    frame = deals(past() + many(10, outcome="open", created_date="2026-09-20"))
    assert one(frame, recent_days=30)["n_recent"] == 0
    assert np.isnan(one(frame, recent_days=30)["expected_win_rate"])
    # 213 days back is 2 March, the day of the wins: the losses of January fall out.
    assert one(frame, recent_days=213)["n_recent"] == 12 and np.isnan(one(frame, recent_days=213)["expected_win_rate"])
    assert one(frame, recent_days=212)["n_recent"] == 0


def test_no_decision_is_its_own_end_where_the_data_know_it():
    known = many(20, outcome="no_decision", created_date="2026-01-01", close_date="2026-02-10")
    row = one(deals(past() + known), Q1)
    assert (row["n_lost"], row["n_no_decision"]) == (18, 20)
    rates = row[["expected_win_rate", "expected_loss_rate", "expected_no_decision_rate"]].astype(float)
    assert rates.tolist() == pytest.approx([12 / 50, 18 / 50, 20 / 50])
    never = one(deals(past()), Q1)
    assert np.isnan(never["expected_no_decision_rate"]) and never["expected_loss_rate"] == 0.6
    unsaid = one(deals(past() + known).drop(columns="outcome"), Q1)
    assert unsaid["n_lost"] == 38 and np.isnan(unsaid["expected_no_decision_rate"])


def test_an_ended_cohort_is_expected_to_be_what_it_was():
    row = one(deals(past()), Q1)
    for name in ("won_so_far_rate", "cohort_win_rate", "expected_win_rate", "closed_win_rate"):
        assert row[name] == pytest.approx(0.4)
    assert row["within_days"] == 60 and row["n_open"] == 0


def test_within_days_is_one_age_for_all():
    row = one(deals(past()), Q1, within_days=59)
    assert row["cohort_win_rate"] == 0.0 and row["within_days"] == 59


def test_the_known_age_is_the_last_that_ten_were_watched_to():
    frame = deals(
        many(9, outcome="open", created_date="2026-07-01") + many(5, outcome="open", created_date="2026-09-20")
    )
    row = one(frame)
    assert row["within_days"] == 10  # nine are 91 days old, the tenth oldest is 10
    assert np.isnan(one(frame.iloc[:9])["within_days"]) and np.isnan(one(frame.iloc[:9])["cohort_win_rate"])


def test_the_usual_rate_leaves_out_what_is_open():
    row = one(deals([{"created_date": "2026-07-01"}] + many(3, outcome="open", created_date="2026-07-01")))
    assert (row["n_closed"], row["closed_win_rate"], row["won_so_far_rate"]) == (1, 1.0, 0.25)


def hurried(rng: np.random.Generator) -> tuple[pd.DataFrame, pd.Series]:
    """Twelve deals a day, lost at .02 a day, won at .005 and ten times that in the last week of a calendar quarter."""
    days = pd.date_range("2025-01-01", "2028-12-31")
    intensity = np.cumsum(np.where((days + pd.offsets.QuarterEnd(0) - days).days < 7, 0.05, 0.005))
    start = np.repeat(np.arange(638), 12)  # to 30 September 2026
    won = np.searchsorted(intensity, intensity[start] + rng.exponential(size=len(start)))
    lost = start + np.ceil(rng.exponential(1 / 0.02, len(start))).astype(int)
    rows = pd.DataFrame({"created_date": days[start], "close_date": days[np.minimum(won, lost)], "is_won": won < lost})
    is_closed = rows["close_date"] <= "2026-09-30"
    shown = rows.assign(is_closed=is_closed, is_won=is_closed & rows["is_won"], closed_at=rows["close_date"])
    return shown, rows["is_won"]


def test_the_end_of_the_quarter_is_that_of_the_calendar():
    errors = {1: [], 2: []}
    for seed in range(5):
        frame, is_won = hurried(np.random.default_rng(seed))
        september = Period("September", date(2026, 9, 1), AS_OF)
        true = is_won[september.contains(frame["created_date"])].mean()
        for start_month, found in errors.items():
            row = one(frame, september, calendar=Calendar(start_month))
            found.append(row["expected_win_rate"] - true)
    right, wrong = (abs(np.mean(found)) for found in errors.values())
    assert right < 0.012 < 0.018 < wrong


def test_the_period_s_own_rate_is_of_what_closed_in_it():
    frame = deals(
        [{"created_date": "2026-03-01", "close_date": "2026-07-02"}]
        + [{"created_date": "2026-07-01", "close_date": "2026-09-30", "outcome": "lost"}] * 3
    )
    row = one(frame)
    assert (row["n_period"], row["n_period_won"], row["period_win_rate"], row["closed_win_rate"]) == (4, 1, 0.25, 0.0)


def test_the_clock_may_be_entry_to_qualified():
    frame = deals([{"created_date": "2026-03-01", "qualified_date": "2026-07-02", "close_date": "2026-08-01"}, {}])
    assert one(frame, start="qualified_date")["n"] == 1 and one(frame)["n"] == 0


def test_nothing_is_unknown_not_zero(no_deals, all_open):
    row = one(no_deals)
    rates = [name for name in row.index if name.endswith("_rate")]
    assert row["n"] == 0 and row[rates].isna().all()
    assert cohorts.win_curves(no_deals, cohorts=[Q3], as_of=AS_OF).empty
    assert np.isnan(one(all_open, Q2)["expected_win_rate"]) and one(all_open, Q2)["won_so_far_rate"] == 0


def test_no_rows_have_all_columns(no_deals, one_won):
    full = cohorts.cohort_win_rate(one_won, cohorts=[Q3], as_of=AS_OF, by="segment")
    for frame, periods in ((no_deals, [Q3]), (one_won, []), (one_won, [quarter(date(2020, 1, 1))])):
        empty = cohorts.cohort_win_rate(frame, cohorts=periods, as_of=AS_OF, by="segment")
        assert empty.empty and empty.columns.tolist() == full.columns.tolist()
        assert empty["segment"].dtype == frame["segment"].dtype
    whole = cohorts.cohort_win_rate(one_won, cohorts=[], as_of=AS_OF)
    assert whole.empty and whole.columns.tolist() == full.columns.drop("segment").tolist()


def test_a_missing_segment_is_a_row(missing_segment):
    table = cohorts.cohort_win_rate(missing_segment, cohorts=[Q2, Q3], as_of=AS_OF, by="segment")
    assert table["cohort"].tolist() == ["2026Q2"] * 2 + ["2026Q3"] * 2
    assert table["segment"].isna().tolist() == [True, False] * 2 and table["n"].tolist() == [2, 1, 0, 0]


def test_a_group_goes_on_at_its_own_pace():
    rows = [row | {"segment": "SMB"} for row in past()]
    rows += [row | {"segment": "Enterprise"} for row in past(won=24, lost=6)]
    young = {"outcome": "open", "created_date": "2026-09-20"}
    frame = deals(rows + many(5, segment="SMB", **young) + many(10, segment="Enterprise", **young))
    by = cohorts.cohort_win_rate(frame, cohorts=[Q3], as_of=AS_OF, by="segment").set_index("segment")
    assert by["expected_win_rate"].to_dict() == pytest.approx({"Enterprise": 0.8, "SMB": 0.4})
    assert one(frame)["expected_win_rate"] == pytest.approx(36 / 60)
    assert one(frame, strata=["segment"])["expected_win_rate"] == pytest.approx((10 * 0.8 + 5 * 0.4) / 15)


def test_strata_too_small_share_a_pace():
    rows = [row | {"segment": "SMB"} for row in past()] + [row | {"segment": "A"} for row in past(8, 0)]
    rows += [row | {"segment": "B"} for row in past(0, 16)]
    frame = deals(rows + many(5, segment="A", outcome="open", created_date="2026-09-20"))
    assert one(frame, strata=["segment"])["expected_win_rate"] == pytest.approx(8 / 24)  # A and B together
    few = frame[frame["segment"] != "B"]  # A alone is too small and has nobody to share with
    assert one(few, strata=["segment"])["expected_win_rate"] == pytest.approx(20 / 38)


def test_companies_that_repeat_widen_the_intervals():
    alone = past(30, 30) + many(20, outcome="open", created_date="2026-09-20")
    frame = deals(alone)
    four = np.arange(len(frame)) // 4
    together = frame.assign(account_id=pd.Series(four, index=frame.index).astype(str))
    for name in ("won_so_far_rate", "cohort_win_rate", "expected_win_rate"):
        narrow, wide = (one(each, Q1)[f"{name}_high"] - one(each, Q1)[f"{name}_low"] for each in (frame, together))
        assert wide > 1.5 * narrow
    narrow, wide = (
        one(each)["expected_win_rate_high"] - one(each)["expected_win_rate_low"] for each in (frame, together)
    )
    assert wide > 1.15 * narrow


def test_curves_rise_and_stop_where_few_are_watched():
    frame = deals(past() + many(12, outcome="open", created_date="2026-09-01"))
    curves = cohorts.win_curves(frame, cohorts=[Q1, Q3], as_of=AS_OF, step=10)
    old, young = (curves[curves["cohort"] == label] for label in ("2026Q1", "2026Q3"))
    assert old["age_days"].tolist() == [0, 10, 20, 30, 40, 50, 60] and young["age_days"].tolist() == [0, 10, 20]
    assert old["won_by_age_rate"].tolist() == pytest.approx([0] * 6 + [0.4])
    assert old["n_at_risk"].tolist() == [30] * 4 + [12] * 3 and curves["won_by_age_rate"].notna().all()


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_counts_agree_with_a_loop_and_rates_with_their_intervals(rows):
    table = cohorts.cohort_win_rate(deals(rows), cohorts=[Q2, Q3], as_of=AS_OF, by="segment")
    for row in table.itertuples():
        segment = None if pd.isna(row.segment) else row.segment
        mine = [
            each
            for each in rows
            if each["segment"] == segment
            and ("2026-04" <= each["created_date"][:7] <= "2026-06") == (row.cohort == "2026Q2")
        ]
        ends = [each["outcome"] for each in mine]
        found = (row.n, row.n_won, row.n_lost, row.n_no_decision, row.n_open)
        assert found == (len(ends), *(ends.count(each) for each in ("won", "lost", "no_decision", "open")))
    for name in (column for column in table.columns if column.endswith("_rate")):
        known = table.dropna(subset=name)
        assert (known[f"{name}_low"] <= known[name] + 1e-9).all() and (
            known[name] <= known[f"{name}_high"] + 1e-9
        ).all()


def test_input_is_not_changed_and_order_does_not_matter():
    frame = deals(past() + many(10, outcome="open", created_date="2026-09-20"))
    before = frame.copy(deep=True)
    first = cohorts.cohort_win_rate(frame, cohorts=[Q1, Q3], as_of=AS_OF)
    second = cohorts.cohort_win_rate(frame.sample(frac=1, random_state=1), cohorts=[Q1, Q3], as_of=AS_OF)
    pd.testing.assert_frame_equal(first, second)
    pd.testing.assert_frame_equal(frame, before)


def test_errors_say_what_to_type(one_won):
    with pytest.raises(checks.DataError, match=r"missing column \['segmnt'\]"):
        cohorts.cohort_win_rate(one_won, cohorts=[Q3], as_of=AS_OF, by="segmnt")
    with pytest.raises(checks.ParameterError, match=r"recent_days: 0 is no window\. Give 1 day or more\."):
        cohorts.cohort_win_rate(one_won, cohorts=[Q3], as_of=AS_OF, recent_days=0)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"n": 0, "n_won": 0, "n_open": 0}, "No deals were created in 2026Q3: too few to say how many are won."),
        ({"n": 1, "n_won": 1, "n_open": 0}, "Only 1 deal was created in 2026Q3: too few to say how many are won."),
        ({"n": 19, "n_won": 1, "n_open": 0}, "Only 19 deals were created in 2026Q3: too few to say how many are won."),
        ({"n_won": 0, "n_open": 0, "won_so_far_rate": 0.0}, "Of the 40 deals created in 2026Q3, none was won; all of them have ended."),
        ({"n_won": 0, "won_so_far_rate": 0.0}, "Of the 40 deals created in 2026Q3, none is won so far; about 20 % are expected in the end (likely between 10 % and 30 %)."),
        ({"never_ended_rate": 0.27}, "Of the 40 deals created in 2026Q3, 10 % are won so far; about 20 % are expected in the end (likely between 10 % and 30 %). No deal lately ended as late as 27 % of them would have to."),
        ({"expected_win_rate": np.nan}, "Of the 40 deals created in 2026Q3, 10 % are won so far; too few deals ended lately to say how many will be."),
        ({"cohort": "all", "n_won": 40, "won_so_far_rate": 1.0, "n_open": 0}, "Of the 40 deals created over all dates, 100 % were won; all of them have ended."),
    ],
)  # fmt: skip
def test_the_sentence_is_true_in_every_branch(row, said):
    usual = {"cohort": "2026Q3", "n": 40, "n_won": 4, "n_open": 30, "won_so_far_rate": 0.1, "expected_win_rate": 0.2}
    usual |= {"expected_win_rate_low": 0.1, "expected_win_rate_high": 0.3}
    assert cohorts.cohort_sentence(pd.Series(usual | row)) == said
    title = cohorts.cohort_sentence(pd.Series(usual | row), brief=True)
    assert title == (
        "Of the 40 deals created in 2026Q3, about 20 % can be expected to be won" if "expected in" in said else said
    )


# Reduced from benchmarks/young_cohorts.py, which prints the full table.
def test_young_cohorts_are_expected_to_be_what_they_are():
    switches = {"size": 20_000, "seed": 3, "clean": True, "planted": ("segment", "product", "sponsor")}
    as_of = date(2026, 9, 30)
    frame = sample.tables(**switches)["opportunities"]
    for first in (date(2026, 9, 1), date(2026, 7, 1)):
        cohort = Period("young", first, as_of)
        row = cohorts.cohort_win_rate(frame, cohorts=[cohort], as_of=as_of).iloc[0]
        members = frame[cohort.contains(frame["created_date"])]
        days = members["created_date"].dt.normalize()
        picked = [part.sample(min(len(part), 8), random_state=1) for _, part in list(members.groupby(days))[::7]]
        key = sample.truth(**switches)
        truth = np.mean(
            [key.win_probability(part["opportunity_id"], part["created_date"].iloc[0]).mean() for part in picked]
        )
        assert abs(row["closed_win_rate"] - truth) > 0.04
        assert row["expected_win_rate_low"] - 0.02 < truth < row["expected_win_rate_high"] + 0.02
