"""Loss reasons against hand-worked cases, statsmodels' intervals and what an empty field does to them."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from conftest import deals
from hypothesis import given, settings
from hypothesis import strategies as st

from salesops import checks, loss_reasons
from salesops.stats import multiplicity, proportions


def lost(counts: dict[str | None, int], **columns: object) -> pd.DataFrame:
    """Lost deals by reason, every one its own company."""
    rows = [{"loss_reason": name} | columns for name, n in counts.items() for _ in range(n)]
    return deals([{"outcome": "lost", "account_id": f"c{number}"} | row for number, row in enumerate(rows)])


def said(rows: pd.DataFrame) -> str:
    return loss_reasons.pareto_sentence(loss_reasons.loss_pareto(rows), loss_reasons.missing_reasons(rows))


def test_missing_and_vague_reasons_by_hand():
    rows = pd.concat([lost({"Price": 5, "other": 2, None: 3}), deals([{}, {"outcome": "open"}])])
    rows["amount"] = [10.0] * 5 + [100.0, 50.0] + [200.0, np.nan, 0.0] + [999.0, 999.0]
    row = loss_reasons.missing_reasons(rows).iloc[0]
    assert (row["n"], row["missing_count"], row["other_count"]) == (10, 3, 2)
    assert (row["missing_reason_rate"], row["other_reason_rate"]) == (0.3, 0.2)
    assert (row["value_missing_reason_rate"], row["value_other_reason_rate"]) == (200 / 400, 150 / 400)
    low, high = proportions.wilson_interval(3, 10)
    assert (row["missing_reason_rate_low"], row["missing_reason_rate_high"]) == (low[0], high[0])


def test_missing_reasons_of_each_group_largest_first(no_deals):
    rows = lost({"Price": 5, None: 3}).assign(segment=["SMB", "SMB", None, None, None, None, None, "SMB"])
    table = loss_reasons.missing_reasons(rows, "segment")
    assert table["segment"].isna().tolist() == [True, False] and table["missing_count"].tolist() == [2, 1]
    none = loss_reasons.missing_reasons(no_deals)
    assert none["n"].tolist() == [0] and none.filter(like="rate").isna().all(axis=None)
    assert loss_reasons.missing_reasons(no_deals, "segment").empty


@pytest.mark.parametrize(("missing", "other", "is_ranked"), [(30, 0, True), (15, 15, True), (16, 15, False)])
def test_thirty_in_a_hundred_is_the_most(missing, other, is_ranked):
    rows = lost({"Price": 70 - (missing + other - 30), "Other": other, None: missing})
    assert loss_reasons.is_ranked(loss_reasons.missing_reasons(rows)) == is_ranked
    running = loss_reasons.loss_pareto(rows)["cumulative_share"]
    assert running.notna().any() == is_ranked
    assert not loss_reasons.is_ranked(loss_reasons.missing_reasons(rows.head(0)))


def test_the_pareto_by_hand():
    rows = lost({"Price": 20, "Timing": 50, "Other": 10, None: 20}).assign(amount=[400.0] * 20 + [10.0] * 80)
    table = loss_reasons.loss_pareto(rows)
    assert table["loss_reason"].fillna("—").tolist() == ["—", "Other", "Timing", "Price"]
    assert table["loss_share"].tolist() == [0.2, 0.1, 0.5, 0.2] and (table["n"] == 100).all()
    assert table["cumulative_share"].tolist()[2:] == [0.5, 0.7] and table["cumulative_share"].isna().sum() == 2
    assert table["value_loss_share"].iloc[3] == 8000 / 8800 and (table["all_lost_amount"] == 8800).all()


def test_by_count_the_limits_are_sison_and_glaz_s_and_by_amount_bonferroni_s():
    rows = lost({"Price": 60, "Timing": 40, "Budget": 20}).assign(amount=np.arange(1, 121.0))
    table = loss_reasons.loss_pareto(rows)
    low, high = proportions.simultaneous_intervals([60, 40, 20])
    np.testing.assert_allclose(table[["loss_share_low", "loss_share_high"]].to_numpy().T, [low, high])
    one = proportions.weighted_share(
        rows.assign(is_price=rows["loss_reason"] == "Price"), by=[], weight="amount", success="is_price",
        cluster="account_id", confidence=1 - 0.05 / 3,
    ).iloc[0]  # fmt: skip
    assert table.loc[0, ["value_loss_share_low", "value_loss_share_high"]].tolist() == [
        one["share_low"],
        one["share_high"],
    ]


def test_deals_of_one_company_widen_the_limits_of_the_money():
    rows = lost({"Price": 60, "Timing": 60})
    alone, together = (
        loss_reasons.loss_pareto(rows.assign(account_id=account)).iloc[0]
        for account in (rows["account_id"], np.arange(120) // 10)
    )
    width = "value_loss_share_high"
    assert together[width] - together["value_loss_share"] > 2 * (alone[width] - alone["value_loss_share"])


def test_too_many_without_a_reason_are_not_ranked_but_listed_by_name():
    table = loss_reasons.loss_pareto(lost({"Timing": 40, "Price": 10, None: 50}))
    assert table["loss_reason"].fillna("—").tolist() == ["—", "Price", "Timing"]


def test_each_segment_has_its_own_pareto():
    rows = pd.concat([lost({"Price": 3, "Timing": 1}, segment="SMB"), lost({"Timing": 2}, segment=None)])
    table = loss_reasons.loss_pareto(rows, "segment")
    assert table["segment"].isna().tolist() == [False, False, True] and table["n"].tolist() == [4, 4, 2]
    assert table["loss_share"].tolist() == [0.75, 0.25, 1.0]


@pytest.mark.parametrize(
    ("counts", "amounts", "words"),
    [
        ({"Price": 10}, None, "Too few lost deals (10) to say why we lose."),
        ({None: 40}, None, "None of the 40 lost deals carries a reason."),
        ({"Price": 60, None: 40}, None, "40 of the 100 lost deals carry no reason: too many to rank the others."),
        ({"Price": 60, "other": 40}, None, "40 of the 100 lost deals carry only a vague reason: too many to rank the others."),
        ({"Price": 51, "Timing": 49}, None, "No loss reason is given clearly more often than the next (100 lost deals)."),
        ({"Price": 80, "Timing": 20}, None,
         "Price is the reason given most often, for 80 % of the 100 lost deals, and for most money, 80 %."),
        ({"Price": 80, "Timing": 20}, {"Price": 1, "Timing": 100},
         "Price is the reason given most often, for 80 % of the 100 lost deals; for most money it is Timing, 96 %."),
        ({"Price": 80, "Timing": 20}, {"Price": 10, "Timing": 40},
         "Price is the reason given most often, for 80 % of the 100 lost deals."),
        ({"Price": 51, "Timing": 49}, {"Price": 1, "Timing": 100},
         "No loss reason is given clearly more often than the next (100 lost deals); for most money it is Timing, 99 %."),
        ({"Price": 100}, None, "Price is the reason given most often, for 100 % of the 100 lost deals, and for most money, 100 %."),
    ],
)  # fmt: skip
def test_each_form_of_the_sentence(counts, amounts, words):
    rows = lost(counts)
    if amounts:
        rows["amount"] = rows["loss_reason"].map(amounts).astype(float)
    assert said(rows) == words


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({}, "No deals were lost."),
        ({"Price": 9}, "All 9 lost deals carry a reason."),
        ({"Price": 9, None: 1}, "1 of the 10 lost deals carry no reason."),
        ({"Price": 8, None: 1, "n/a": 1}, "1 of the 10 lost deals carry no reason and 1 only a vague one."),
    ],
)
def test_each_form_of_what_is_missing(counts, words):
    assert loss_reasons.missing_sentence(loss_reasons.missing_reasons(lost(counts))) == words


def test_money_nobody_knows_is_unknown():
    rows = lost({"Price": 30, "Timing": 5}).assign(amount=np.nan)
    table = loss_reasons.loss_pareto(rows)
    assert table["value_loss_share"].isna().all() and said(rows).endswith("for 86 % of the 35 lost deals.")


def aged(days: dict[tuple[str, str | None], list[int]]) -> pd.DataFrame:
    """Deals by outcome and reason that ended so many days after the first of January."""
    start = pd.Timestamp("2026-01-01")
    return deals(
        [
            {"outcome": how, "loss_reason": why, "created_date": start, "close_date": start + pd.Timedelta(days=each)}
            for (how, why), ends in days.items()
            for each in ends
        ]
    )


def test_times_to_loss_by_hand_with_nothing_censored():
    rows = aged({("lost", "Price"): [10, 20, 30, 40, 50], ("lost", None): [7], ("won", None): [90, 91]})
    table = loss_reasons.time_to_loss_by(rows, as_of=date(2026, 9, 30))
    assert table["loss_reason"].isna().tolist() == [False, True] and table["n"].tolist() == [5, 1]
    assert table["time_to_loss_days_median"].tolist() == [30, 7] and table["time_to_loss_days_p75"].tolist() == [40, 7]


def test_winning_competes_and_does_not_censor():
    """With nothing open the median is that of the lost deals; were the wins censored it would be 30."""
    rows = aged({("lost", "Price"): [10, 20, 30, 40], ("won", None): [15, 15, 15, 15, 25]})
    table = loss_reasons.time_to_loss_by(rows, as_of=date(2026, 9, 30))
    assert table["time_to_loss_days_median"].tolist() == [25]


def test_open_deals_lengthen_the_time_to_loss():
    """Of ten deals six were lost by day 30; the four still open at day 60 stand for later losses, as some came on day 100."""
    done = aged({("lost", "Price"): [10, 20, 30, 100, 110, 120]})
    going = deals([{"outcome": "open", "created_date": "2026-08-01", "close_date": "2026-12-31"}] * 6)
    alone, both = (
        loss_reasons.time_to_loss_by(rows, as_of=date(2026, 9, 30))["time_to_loss_days_median"].iloc[0]
        for rows in (done, pd.concat([done, going]))
    )
    assert both > alone == 65


def test_a_reason_called_won_is_a_reason():
    rows = aged({("lost", "won"): [10], ("won", None): [5]})
    assert loss_reasons.time_to_loss_by(rows, as_of=date(2026, 9, 30))["loss_reason"].tolist() == ["won"]


def test_times_that_differ_are_said_and_those_that_do_not_are_not():
    quick, slow = list(range(5, 45)), list(range(60, 140, 2))
    for late, words in (
        (
            slow,
            "Half of the deals lost for Budget are lost within 24 days, half of those lost for Price within 99 days.",
        ),
        (quick, "How long a deal takes to be lost does not differ by loss reason beyond chance (2 compared)."),
    ):
        table = loss_reasons.time_to_loss_by(
            aged({("lost", "Budget"): quick, ("lost", "Price"): late}), as_of=date(2026, 9, 30)
        )
        [contrast] = multiplicity.named_together(loss_reasons.time_contrast(table))
        assert loss_reasons.time_sentence(contrast) == words


def test_one_reason_has_nothing_to_be_compared_with():
    table = loss_reasons.time_to_loss_by(aged({("lost", "Price"): list(range(30))}), as_of=date(2026, 9, 30))
    contrast = loss_reasons.time_contrast(table)
    assert contrast.empty
    assert loss_reasons.time_sentence(contrast) == "Too few lost deals to compare by loss reason how long they take."


def test_no_deals_give_no_rows(no_deals):
    assert loss_reasons.loss_pareto(no_deals).empty and loss_reasons.loss_pareto(no_deals, "segment").empty
    assert loss_reasons.time_to_loss_by(no_deals, as_of=date(2026, 9, 30)).empty
    assert said(no_deals) == "Too few lost deals (0) to say why we lose."


def test_missing_columns_are_named(one_won):
    for function in (loss_reasons.missing_reasons, loss_reasons.loss_pareto):
        with pytest.raises(checks.DataError, match=r"missing column \['loss_reason'\]"):
            function(one_won.drop(columns="loss_reason"))


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "outcome": st.sampled_from(["open", "won", "lost", "no_decision"]),
            "loss_reason": st.sampled_from(["Price", "Timing", "Other", "Budget", None]),
            "amount": st.one_of(st.none(), st.just(0.0), st.floats(1, 1e6)),
            "account_id": st.sampled_from(["acme", "bolt", None]),
        }
    ),
    max_size=30,
)


@settings(deadline=None, max_examples=20)
@given(ROWS)
def test_shares_add_up_and_lie_within_their_limits(rows):
    frame = deals(rows)
    frame["loss_reason"] = pd.Series([row["loss_reason"] for row in rows], dtype="str")
    table, missing = loss_reasons.loss_pareto(frame), loss_reasons.missing_reasons(frame).iloc[0]
    turned = loss_reasons.loss_pareto(frame[::-1].reset_index(drop=True))
    pd.testing.assert_frame_equal(table, turned)
    assert table["reason_count"].sum() == missing["n"] == (frame["is_closed"] & ~frame["is_won"]).sum()
    if len(table):
        assert table["loss_share"].sum() == pytest.approx(1)
        assert table["value_loss_share"].isna().all() or table["value_loss_share"].sum() == pytest.approx(1)
    for name in ("loss_share", "value_loss_share"):
        known = table.dropna(subset=[name])
        assert ((known[f"{name}_low"] <= known[name] + 1e-12) & (known[name] <= known[f"{name}_high"] + 1e-12)).all()
