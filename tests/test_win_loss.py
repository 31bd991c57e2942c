"""Win/loss against hand-worked cases, a naive loop, published numbers and its own invariants."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from conftest import deals
from hypothesis import given
from hypothesis import strategies as st

from salesops import checks, pipeline, win_loss
from salesops.periods import Period, previous, trailing_quarters
from salesops.stats import multiplicity, proportions

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "outcome": st.sampled_from(["open", "won", "lost", "no_decision"]),
            "segment": st.sampled_from(["SMB", "Enterprise", None]),
            "amount": st.one_of(st.none(), st.floats(1, 1e6)),
            "account_id": st.sampled_from(["acme", "bolt", None]),
        }
    ),
    max_size=25,
)


def test_no_deals_is_unknown_not_zero(no_deals):
    row = win_loss.win_rate(no_deals).iloc[0]
    assert (row["n"], row["won_count"]) == (0, 0)
    assert np.isnan(row["win_rate"]) and np.isnan(row["win_rate_low"])
    assert win_loss.win_rate(no_deals, by="segment").empty
    assert np.isnan(win_loss.value_win_rate(no_deals)["value_win_rate"].iloc[0])


def test_one_won_is_certain_of_little(one_won):
    row = win_loss.win_rate(one_won).iloc[0]
    assert row["win_rate"] == 1
    assert row["win_rate_low"] == pytest.approx(0.206549, abs=1e-6)  # Wilson 1/1


def test_open_deals_are_in_neither_side(all_open):
    row = win_loss.win_rate(all_open).iloc[0]
    assert row["n"] == 0 and np.isnan(row["win_rate"])


def test_a_missing_segment_is_a_row(missing_segment):
    table = win_loss.win_rate(missing_segment, by="segment")
    assert table["segment"].isna().tolist() == [True, False]
    assert table["n"].tolist() == [2, 1] and table["win_rate"].tolist() == [0.5, 1.0]


def test_deals_never_qualified_leave_the_plain_rate_only():
    frame = deals([{}, {"outcome": "lost"}, {"outcome": "lost", "qualified_date": None}])
    assert win_loss.win_rate(frame)["win_rate"].iloc[0] == 1 / 2
    assert win_loss.all_closed_win_rate(frame)["all_closed_win_rate"].iloc[0] == 1 / 3


def test_no_decision_counts_as_lost_but_not_as_decided():
    frame = deals([{}, {"outcome": "lost"}, {"outcome": "no_decision"}, {"outcome": "no_decision"}])
    assert win_loss.win_rate(frame)["win_rate"].iloc[0] == 1 / 4
    assert win_loss.decided_win_rate(frame)["decided_win_rate"].iloc[0] == 1 / 2


def test_a_loss_counts_when_it_moved_to_lost_and_a_win_on_its_close_date(q3):
    frame = deals(
        [
            {"outcome": "won", "close_date": "2026-06-30", "closed_at": "2026-07-02"},
            {"outcome": "lost", "close_date": "2026-12-31", "closed_at": "2026-07-02"},
            {"outcome": "open", "close_date": "2026-07-02"},
        ]
    )
    assert pipeline.closed_in(frame, q3)["outcome"].tolist() == ["lost"]


def test_money_without_an_amount_is_left_out_of_the_value_rate():
    frame = deals([{"amount": 300.0}, {"outcome": "lost", "amount": 100.0}, {"outcome": "lost", "amount": None}])
    row = win_loss.value_win_rate(frame).iloc[0]
    assert row["n"] == 2 and row["value_win_rate"] == 0.75


@given(ROWS)
def test_rates_agree_with_a_loop(rows):
    frame = deals(rows)
    for row in win_loss.win_rate(frame, by="segment").itertuples():
        group = [each for each in rows if each["segment"] == (None if pd.isna(row.segment) else row.segment)]
        closed = [each for each in group if each["outcome"] != "open"]
        won = [each for each in closed if each["outcome"] == "won"]
        assert (row.n, row.won_count) == (len(closed), len(won))
        assert row.win_rate == (pytest.approx(len(won) / len(closed)) if closed else pytest.approx(np.nan, nan_ok=True))


@given(ROWS)
def test_value_rates_agree_with_a_loop(rows):
    known = [each for each in rows if each["outcome"] != "open" and each["amount"] is not None]
    total = sum(each["amount"] for each in known)
    won = sum(each["amount"] for each in known if each["outcome"] == "won")
    row = win_loss.value_win_rate(deals(rows)).iloc[0]
    assert row["n"] == len(known)
    assert row["value_win_rate"] == pytest.approx(won / total if total else np.nan, nan_ok=True)
    if known:
        assert -1e-9 <= row["value_win_rate_low"] <= row["value_win_rate"] + 1e-9
        assert row["value_win_rate"] - 1e-9 <= row["value_win_rate_high"] <= 1 + 1e-9


@given(ROWS, st.randoms(use_true_random=False))
def test_order_and_open_deals_do_not_move_the_rate(rows, random):
    shuffled = random.sample(rows, len(rows)) + [
        {"outcome": "open", "segment": "SMB", "amount": 1.0, "account_id": None}
    ]
    pd.testing.assert_frame_equal(win_loss.win_rate(deals(rows)), win_loss.win_rate(deals(shuffled)))


@given(ROWS)
def test_intervals_hold_their_rate_and_groups_sum_to_the_whole(rows):
    frame = deals(rows)
    table = win_loss.win_rate(frame, by="segment").dropna(subset=["win_rate"])
    assert (table["win_rate_low"] <= table["win_rate"] + 1e-12).all() and (
        table["win_rate"] <= table["win_rate_high"] + 1e-12
    ).all()
    assert table["win_rate_low"].ge(-1e-12).all() and table["win_rate_high"].le(1 + 1e-12).all()
    assert table["n"].sum() == win_loss.win_rate(frame)["n"].iloc[0]


def test_outcome_counts_by_hand(q3):
    frame = deals(
        [
            {"amount": 10.0},
            {"amount": None},
            {"outcome": "lost", "amount": 5.0},
            {"outcome": "no_decision", "amount": 2.0},
            {"outcome": "open", "amount": 7.0},
            {"close_date": "2026-04-01", "amount": 99.0},
        ]
    )
    row = win_loss.outcome_counts(frame, q3).iloc[0]
    assert row[["won_count", "lost_count", "open_count"]].tolist() == [2, 2, 1]
    assert row[["won_amount", "lost_amount", "open_amount"]].tolist() == [10, 7, 7]
    assert row["n_won_amount"] == 1


def test_amounts_nobody_recorded_are_unknown(q3):
    row = win_loss.outcome_counts(deals([{"amount": None}]), q3).iloc[0]
    assert np.isnan(row["won_amount"]) and row["lost_amount"] == 0


def test_a_quarter_with_nothing_closed_keeps_its_row(q3):
    table = win_loss.win_rate_by_period(deals([{}]), trailing_quarters(q3, 3))
    assert table["period"].tolist() == ["2026Q1", "2026Q2", "2026Q3"]
    assert table["n"].tolist() == [0, 0, 1] and table["period_start"].iloc[-1] == date(2026, 7, 1)


def test_small_groups_are_not_compared():
    rates = pd.DataFrame({"segment": ["SMB", "Mid", "Tiny"], "n": [200, 100, 19], "won_count": [40, 45, 19]})
    table = win_loss.group_differences(rates, "segment")
    assert sorted(table["segment"]) == ["Mid", "SMB"]


def test_a_group_is_compared_with_all_the_others():
    rates = pd.DataFrame({"segment": ["A", "B", "C"], "n": [100, 100, 100], "won_count": [20, 22, 45]})
    table = win_loss.group_differences(rates, "segment")
    first = table.iloc[0]
    assert first["segment"] == "C" and first["win_rate_difference"] == pytest.approx(0.45 - 42 / 200)
    alone = proportions.score_test([45, 20, 22], 100, [42, 67, 65], 200)
    assert table["segment"].tolist() == ["C", "A", "B"]
    assert table["p_value"].tolist() == pytest.approx([3 * alone[0], 2 * alone[1], max(2 * alone[1], alone[2])])


@pytest.mark.parametrize("companies", [400, pytest.param(2000, marks=pytest.mark.full)])
def test_equal_groups_are_seldom_named(companies):
    """Four equal groups: at most 10 % (the family's rate) of reports name anyone."""
    rng = np.random.default_rng(1)
    won = rng.binomial(90, 0.25, (companies, 4))
    tables = [
        win_loss.group_differences(pd.DataFrame({"g": list("abcd"), "n": 90, "won_count": row}), "g") for row in won
    ]
    named = [multiplicity.named_together(table)[0]["is_named"].any() for table in tables]
    error = np.sqrt(0.1 * 0.9 / len(named))
    assert np.mean(named) <= 0.10 + 3 * error


def test_value_intervals_cover_the_true_share():
    """Log-normal amounts, E[A²]/E[A]² = 6, two deals a company, 1,600 draws a cell."""
    rng = np.random.default_rng(2)
    for n in (40, 350):
        frame = pd.DataFrame(
            {"draw": np.repeat(np.arange(1600), n), "amount": rng.lognormal(0, np.sqrt(np.log(6)), 1600 * n)}
        )
        account = rng.integers(0, n // 2, len(frame))
        odds = np.log(1 / 3) + rng.normal(0, 0.5, (1600, n // 2))[frame["draw"], account]
        chance = 1 / (1 + np.exp(-odds))
        frame = frame.assign(account=account.astype(str), won=rng.random(len(frame)) < chance)
        table = proportions.weighted_share(frame, by=["draw"], weight="amount", success="won", cluster="account")
        truth = chance.mean()
        covered = ((table["share_low"] <= truth) & (truth <= table["share_high"])).mean()
        assert covered >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 1600), (n, covered)


def test_a_missing_column_is_named(one_won):
    with pytest.raises(checks.DataError, match=r"missing column \['segmnt'\].*Did you mean 'segment'"):
        win_loss.win_rate(one_won, by="segmnt")


def test_headlines_begin_with_the_rate_and_keep_three_drivers(q3):
    frame = deals([{}] * 90 + [{"outcome": "lost"}] * 110)
    rates = win_loss.win_rate(frame), win_loss.win_rate(frame[:0])
    parts = {"mix": "Mix.", "drivers": ["A.", "B.", "C.", "D."], "competitor": "Rival."}
    said = win_loss.headlines(*rates, period=q3, prior=previous(q3), **parts)
    assert said == ["We won 45 % of the deals closed in 2026Q3 (90 of 200).", "Mix.", "A.", "B.", "C.", "Rival."]


@pytest.mark.parametrize(
    ("won", "n", "words"),
    [
        (30, 100, "no clear change from 30 %"),
        (60, 100, "up 30 points from 30 %"),
        (5, 100, "down 25 points from 30 %"),
        (5, 10, "too few to read a rate from"),
        (0, 0, "there is no win rate"),
    ],
)
def test_each_form_of_the_rate_sentence(won, n, words, q3):
    now, before = pd.Series({"won_count": won, "n": n}), pd.Series({"won_count": 30, "n": 100})
    assert words in win_loss.rate_sentence(now, before, period=q3, prior=previous(q3))


def test_over_all_dates_there_is_no_change_to_speak_of():
    period = Period("all", date(2022, 10, 1), date(2026, 9, 30))
    said = win_loss.rate_sentence(
        pd.Series({"won_count": 40, "n": 100}),
        pd.Series({"won_count": 0, "n": 0}),
        period=period,
        prior=previous(period),
    )
    assert said == "We won 40 % of the deals closed over all dates (40 of 100)."


def test_wilson_equals_r_prop_test():
    """R: prop.test(x, n, correct = FALSE)$conf.int"""
    low, high = proportions.wilson_interval([0, 1, 4, 15, 50], [5, 10, 10, 40, 200])
    np.testing.assert_allclose(low, [0.0, 0.017876, 0.16818, 0.24223, 0.195082], atol=1e-6)
    np.testing.assert_allclose(high, [0.434482, 0.40415, 0.687326, 0.529676, 0.314341], atol=1e-6)


def test_newcombe_equals_his_table():
    """Newcombe (1998), Table II, contrast (a) 56/70 - 48/80, method 10: 0.0524 to 0.3339."""
    assert proportions.difference_interval(56, 70, 48, 80) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)


def test_a_record_of_wins_alone_gives_no_win_rate(q3):
    said = win_loss.rate_sentence(
        pd.Series({"won_count": 30, "n": 30}), pd.Series({"won_count": 0, "n": 0}), period=q3, prior=previous(q3)
    )
    assert said == "All 30 deals closed in 2026Q3 were won: a record without lost deals gives no win rate."
