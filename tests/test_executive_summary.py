"""The cover: which sentences it takes, in what order; alone, and over a pack in which two reports disagree."""

import json

import pandas as pd
import pytest
from conftest import ROOT

from salesops import executive_summary, figures_files, words
from salesops.engine import plan, run
from salesops.report import cover

WHERE = "opportunity_type != 'renewal'"
ASKED = {"source": "sample", "where": WHERE, "measure": "amount"}
QUARTER = {"label": "2026Q3", "start": "2026-07-01", "end": "2026-09-30"}


def document(report, *headlines, figures=(), tiles=(), **other):
    return {
        "schema": 1,
        "report": report,
        "as_of": "2026-09-30",
        "parameters": ASKED | other,
        "headlines": list(headlines),
        "figures": list(figures),
        "tiles": list(tiles),
        "tile_titles": {},
        "period": QUARTER,
        "status": "ok",
        "currency": "USD",
        "locale": "en",
        "run_id": "0a",
        "inputs": [],
        "exclusions": [],
        "sections_left_out": [],
        "code": {"version": "0", "commit": None},
    }


def figure(metric, value, *, unit="rate", **other):
    return {
        "metric": metric,
        "statistic": "value",
        "by": {},
        "value": value,
        "low": None,
        "high": None,
        "level": None,
        "n": None,
        "numerator": None,
        "denominator": None,
        "unit": unit,
        "clock": "closed",
        "where": WHERE,
        "period": QUARTER,
        "compared_with": None,
    } | other


def ranked(documents, **other):
    return executive_summary.ranked(documents, where=WHERE, measure="amount", currency="USD", **other)


def shown(table):
    return table.loc[table["is_shown"], "sentence"].tolist()


def test_kinds_come_in_their_order_and_within_one_the_more_money_first():
    told = [
        document("funnel", "9 deals stand still."),
        document("activity", "$300K lacks a next step."),
        document("waterfall", "$2.0M slipped."),
        document("win_loss", "The win rate fell 8 points (33 % to 25 %)."),
        document("leads", "No clear change of $9M."),
        document("forecast", "2026Q4 will land at about $2.5M."),
    ]
    assert shown(ranked(told)) == [
        "2026Q4 will land at about $2.5M.",
        "The win rate fell 8 points (33 % to 25 %).",
        "$2.0M slipped.",
        "$300K lacks a next step.",
        "9 deals stand still.",
        "No clear change of $9M.",
    ]
    assert ranked(told)["kind"].tolist() == [
        *executive_summary.KINDS[1:3],
        "money at stake",
        *executive_summary.KINDS[3:],
    ]


def test_a_report_has_one_sentence_unless_there_is_room():
    many = document("forecast", *(f"2026Q4 will land at ${n}.0M." for n in range(1, 9)))
    others = [document(name, "3 deals are open.") for name in ("funnel", "leads", "activity", "waterfall", "win_loss")]
    assert len(shown(ranked([many, *others]))) == 6
    assert sum("land" in sentence for sentence in shown(ranked([many, *others]))) == 1
    assert sum("land" in sentence for sentence in shown(ranked([many, *others[:2]]))) == 4
    assert len(shown(ranked([many]))) == 6


def test_sentences_are_taken_word_for_word_and_none_of_a_report_about_other_deals():
    told = [document("forecast", "It will land."), document("funnel", "SMB alone.", where="segment == 'SMB'")]
    assert set(ranked(told)["sentence"]) == {"It will land."}


def test_what_the_cover_finds_itself_stands_among_the_others():
    told = [document("forecast", "It will land at $2.0M."), document("funnel", "$5K waits.")]
    own = ["Bookings were below their usual range in 2026Q3: $1.8M."]
    assert shown(ranked(told, own=own, faults=["Two reports disagree."])) == [
        "Two reports disagree.",
        "It will land at $2.0M.",
        *own,
        "$5K waits.",
    ]


def test_amounts_are_read_as_their_locale_writes_them():
    with words.written_in("de"):
        table = executive_summary.ranked(
            [document("funnel", "Offen sind 1,5M €."), document("leads", "Es kosten 2.000 €.")],
            where=WHERE,
            measure="amount",
            currency="EUR",
        )
    assert table.set_index("report")["at_stake"].to_dict() == {"funnel": 1.5e6, "leads": 2000.0}


@pytest.mark.parametrize(
    ("sentence", "kind"),
    [
        ("The chance of reaching the target of $4.0M in 2026Q4 is 2 %.", "the target"),
        ("We won 22 %: no clear change from 25 %.", "no clear finding"),
        ("Open deals past their close date: up 2 points since 2024Q4 (0 % to 2 %).", "a change beyond noise"),
        ("39 of 257 open deals, worth $1.2M, have stood in their stage.", "money at stake"),
        ("It differs no more than chance would give, 8 points.", "no clear finding"),
    ],
)
def test_the_kind_of_a_sentence(sentence, kind):
    assert executive_summary.kind(sentence) == kind


def test_the_pack_is_of_one_source_and_prefers_the_variant_about_the_same_deals():
    emea = WHERE + " and region == 'EMEA'"
    told = [
        document("win_loss"),
        document("win_loss.emea", where=emea),
        document("forecast"),
        document("funnel", source="acme"),
        document("executive_summary"),
    ]
    names = [each["report"] for each in executive_summary.pack(told, **ASKED)]
    assert names == ["forecast", "win_loss"]
    names = [each["report"] for each in executive_summary.pack(told, **ASKED | {"where": emea})]
    assert names == ["forecast", "win_loss.emea"]
    assert executive_summary.contents(told[2:3], where=emea, measure="amount")["about"].tolist() == [
        f"other deals: {WHERE}"
    ]


def test_alone_it_says_so():
    said = executive_summary.sentences(ranked([], own=["A.", "B."]))
    assert said[:2] == ["A.", "B."] and said[2].startswith("No other report of the same day")


def test_quoted_figures_account_for_every_number_and_are_few():
    rate = figure("win_rate", 0.25, n=400, low=0.2, high=0.3)
    file = document("win_loss", "We won 25 % of 400 (likely between 20 % and 30 %).", figures=[figure("x", 0.2), rate])
    found = cover.quoted(file["headlines"], [file], currency="USD")
    assert [one["value"] for one in found] == [0.25] and found[0]["by"] == {"report": "win_loss"}


def publish(folder, *documents):
    """Figures files and pages of a day, as a run would have left them."""
    place = folder / "2026-09-30"
    place.mkdir(parents=True)
    for each in documents:
        (place / f"{each['report']}.json").write_text(json.dumps(each), encoding="utf-8")
        for ending in (".html", ".ipynb", ".deals.html"):
            (place / f"{each['report']}{ending}").write_text("<html></html>", encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """A cover over a pack in which one report's win rate was changed on purpose."""
    out = tmp_path_factory.mktemp("reports")
    wrong = figure("win_rate", 0.31)
    place = publish(
        out,
        document("win_loss", "We won 31 % of the deals closed in 2026Q3.", figures=[wrong], tiles=["win_rate.2026Q3"]),
        document(
            "forecast",
            "2026Q4 will land at about $2.5M.",
            figures=[
                figure("landing_amount", 2.5e6, unit="amount"),
                figure("bookings_amount", 1768220.0, unit="amount"),
            ],
        ),
    )
    said = []
    request = plan.Request(root=ROOT, out=out, reports=("executive_summary",))
    assert run.run(request, said.append) == 0, said
    return json.loads((place / "executive_summary.json").read_text(encoding="utf-8")), (
        place / "executive_summary.html"
    ).read_text(encoding="utf-8")


def test_a_figure_changed_on_purpose_is_named_first(broken):
    content, page = broken
    assert content["headlines"][0] == (
        "Two reports disagree and no reason is known: Win rate of 2026Q3 is 22 % in this page and 31 % in Win/loss."
    )
    assert "1 differs, 1 without a reason" in page.replace("\u00a0", " ").replace("&nbsp;", " ")
    assert "no reason was found" in page


def test_the_cover_quotes_links_and_defines(broken):
    content, page = broken
    assert "2026Q4 will land at about $2.5M." in content["headlines"] and len(content["headlines"]) <= 6
    assert 'href="win_loss.html"' in page and 'href="forecast.html"' in page
    assert 'href="#def-win_rate"' in page and 'id="def-win_rate"' in page
    assert content["status"] == "ok" and len(content["tiles"]) == 6


def test_the_limits_of_the_scorecard_are_figures(broken):
    content, _ = broken
    usual = [
        one for one in content["figures"] if one["metric"] == "usual_amount" and one["by"] == {"kpi": "bookings_amount"}
    ]
    assert len(usual) == 1 and usual[0]["n"] == 12
    bookings = {
        one["period"]["label"]: one["value"]
        for one in content["figures"]
        if one["metric"] == "bookings_amount" and not one["by"] and one["compared_with"] is None
    }
    earlier = pd.Series([bookings[label] for label in sorted(bookings)])[:-1]
    width = 3 * earlier.diff().abs().mean() / 1.128379
    assert usual[0]["value"] == pytest.approx(earlier.mean())
    assert usual[0]["low"] == pytest.approx(earlier.mean() - width, rel=1e-5)


def test_own_figures_are_read_through_the_same_door(broken):
    content, _ = broken
    table = figures_files.figures([content])
    assert not executive_summary.figure(table, "landing_amount", report="executive_summary").empty
