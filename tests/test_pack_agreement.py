"""Figures of two reports: equal, or different with a reason, or different without one."""

import pandas as pd
import pytest
from test_executive_summary import QUARTER, document, figure

from salesops import figures_files, pack_agreement


def compared(*documents):
    return pack_agreement.compared(figures_files.figures(documents), documents)


def pair(other, **parameters):
    first = document("win_loss", figures=[figure("win_rate", 0.22, low=0.17, high=0.27, n=200)], any_other=4)
    return compared(first, document("funnel", figures=[other], **{"any_other": 4} | parameters))


def test_the_same_figure_with_the_same_values_agrees():
    table = pair(figure("win_rate", 0.22, low=0.17, high=0.27))
    assert table["is_equal"].tolist() == [True] and table["reason"].isna().all()
    assert "the same in all of them" not in pack_agreement.agreement_sentence(table[:0])
    assert pack_agreement.agreement_sentence(table) == (
        "The one figure that stands in more than one report is the same in all of them."
    )


@pytest.mark.parametrize(
    ("change", "parameters", "reason"),
    [
        ({}, {}, "no reason was found"),
        ({"where": "segment == 'SMB'"}, {}, "another filter: opportunity_type != 'renewal', segment == 'SMB'"),
        ({"clock": "created"}, {}, "another clock: closed, created"),
        ({}, {"measure": "arr"}, "another measure: amount, arr"),
        ({}, {"any_other": 8}, "another any other: 4, 8"),
        ({}, {"any_other": 8, "measure": "arr"}, "another measure: amount, arr; another any other: 4, 8"),
        ({}, {"of_one_alone": 8}, "no reason was found"),
    ],
)
def test_a_difference_is_named_with_its_reason(change, parameters, reason):
    table = pair(figure("win_rate", 0.23, low=0.17, high=0.27, **change), **parameters)
    assert table["is_equal"].tolist() == [False] and table["reason"].tolist() == [reason]


def test_another_interval_is_a_difference_and_a_missing_one_is_not():
    assert not pair(figure("win_rate", 0.22, low=0.17, high=0.29))["is_equal"].any()
    assert pair(figure("win_rate", 0.22))["is_equal"].all()


def test_another_number_of_deals_is_a_difference():
    wrong = pair(figure("win_rate", 0.22, low=0.17, high=0.27, n=201))
    assert wrong["is_equal"].tolist() == [False] and wrong["reason"].tolist() == ["no reason was found"]
    assert pair(figure("win_rate", 0.22, low=0.17, high=0.27, n=200))["is_equal"].all()
    one, other = (figure("open_amount", 5.0, unit="amount", n=n) for n in (255, 258))
    sums = compared(document("funnel", figures=[one]), document("activity", figures=[other]))
    assert sums["reason"].tolist() == ["the same, listed over 255 and over 258 deals"]
    assert "without a reason" not in pack_agreement.agreement_sentence(sums)


def test_another_group_or_span_is_another_figure():
    assert pair(figure("win_rate", 0.3, by={"segment": "SMB"})).empty
    assert pair(figure("win_rate", 0.3, period=QUARTER | {"start": "2026-01-01"})).empty
    assert pair(figure("win_rate", 0.3, compared_with="prior_period")).empty


def test_bookings_and_the_amount_won_are_one_thing():
    one, other = figure("bookings_amount", 5.0, unit="amount"), figure("won_amount", 6.0, unit="amount")
    table = compared(document("forecast", figures=[one]), document("win_loss", figures=[other]))
    assert table["is_equal"].tolist() == [False]


def test_three_reports_make_one_figure_of_the_table():
    told = [document(name, figures=[figure("win_rate", 0.22)]) for name in ("win_loss", "funnel", "leads")]
    table = compared(*told)
    assert len(table) == 2 and pack_agreement.agreement_sentence(table).startswith("The one figure")
    shown = pack_agreement.agreement(table, table[:0], titles={"win_loss": "Win/loss"}, period="2026Q3")
    assert shown.to_numpy().tolist() == [["Win rate", "2026Q3", "the same", "22 % in Win/loss, Funnel, Leads"]]


def test_what_is_equal_is_said_so_beside_what_is_not():
    first = document("win_loss", figures=[figure("win_rate", 0.22), figure("slippage_rate", 0.3)])
    table = compared(first, document("funnel", figures=[figure("win_rate", 0.22), figure("slippage_rate", 0.4)]))
    shown = pack_agreement.agreement(table, table[:0], titles={}, period="2026Q3")
    assert shown["verdict"].tolist() == ["no reason was found", "the same"]


def test_tiles_of_one_name_and_other_days_are_named():
    year = figure("win_rate", 0.28, period={"label": "FY26", "start": "2025-10-01", "end": "2026-09-30"})
    told = [
        document("win_loss", figures=[figure("win_rate", 0.22)], tiles=["win_rate.2026Q3"]),
        document("rep_performance", figures=[year], tiles=["win_rate.FY26"]),
    ]
    apart = pack_agreement.apart(figures_files.figures(told), told)
    assert apart["reason"].tolist() == ["another period: FY26, 2026Q3"]
    shown = pack_agreement.agreement(compared(*told), apart, titles={}, period="2026Q3")
    assert shown["said"].tolist() == ["Rep performance 28 %, Win loss 22 %"]


def test_nothing_published_is_nothing_to_compare():
    table = compared()
    assert table.empty and pack_agreement.agreement_sentence(table) == "No figure stands in more than one report."
    assert pack_agreement.agreement(table, table, titles={}, period="2026Q3").empty
    assert pack_agreement.fault_sentences(table, titles={}) == []


def test_the_sentence_shows_more_digits_where_two_values_look_alike():
    one, other = figure("won_amount", 1_768_220.0, unit="amount"), figure("won_amount", 1_768_221.0, unit="amount")
    table = compared(document("win_loss", figures=[one]), document("rep_performance", figures=[other]))
    (said,) = pack_agreement.fault_sentences(table, titles={}, currency="USD")
    assert "$1,768,221 in Rep performance and $1,768,220 in Win loss" in said
    more = pd.concat([table, table], ignore_index=True)
    assert pack_agreement.fault_sentences(more, titles={}, currency="USD")[0].endswith("The page names 1 more.")
