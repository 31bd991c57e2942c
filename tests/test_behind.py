"""From a sentence at the head of a page to the deals it counts: the right list, or none."""

import pytest
import report_toys as toys

from salesops import report, words
from salesops.report import behind, cover, figures, html

pytestmark = pytest.mark.usefixtures("vocabulary")


def rate(**changes):
    plain = {
        "metric": "win_rate", "statistic": "value", "by": {}, "period": {"label": "2026Q3"}, "compared_with": None,
        "value": 0.25, "low": 0.21, "high": 0.29, "n": 400, "numerator": 100, "unit": "rate",
    }  # fmt: skip
    return plain | changes


OTHER = rate(by={"segment": "SMB"}, value=0.4, low=0.3, high=0.5, n=40, numerator=16)


def found(sentence, *listed, currency="USD"):
    lists = {figures.figure_key(each): [f"d{number}" for number in range(each["n"])] for each in listed}
    links = behind.headline_deals([sentence], listed, lists, currency=currency)
    return links.get(sentence, {}).get("key")


@pytest.mark.parametrize(
    ("sentence", "segment"),
    [
        ("We won 25 % of 400 deals.", ""),
        ("We won 25 % (100 of them).", ""),
        ("100 of 400 deals were won.", ""),
        ("We won 25 % (likely between 21 % and 29 %).", ""),
        ("SMB wins 40 % of 40.", "-SMB"),
        ("We won 25 % of 401 deals.", None),
        ("We won 25 %.", None),
        ("400 deals closed.", None),
        ("100 deals are left.", None),
        ("We won 25 % (likely between 20 % and 29 %).", None),
        ("40 % of 12 deals.", None),  # the number of deals is not the share written without its sign
        ("25 % of deals in 400 days.", None),
        ("25 % of what closed in week 2026-400.", None),
        ("$400 in 25 % of cases.", None),
        ("We won 25 % of 400 deals, SMB 40 % of 40.", None),  # two lists: none is better than a wrong one
    ],
)
def test_a_sentence_leads_to_the_one_list_it_counts(sentence, segment):
    key = None if segment is None else "win_rate.segment-SMB.2026Q3" if segment else "win_rate.2026Q3"
    assert found(sentence, rate(), OTHER) == key


def test_a_change_and_a_figure_without_value_or_list_lead_nowhere():
    assert found("We won 25 % of 400 deals.", rate(compared_with="prior_period")) is None
    assert found("We won — of 400 deals.", rate(value=None)) is None
    assert behind.headline_deals(["We won 25 % of 400 deals."], [rate()], {}) == {}
    assert found("400 deals closed.", rate(unit="count", value=400, low=None, high=None)) is None  # one thing twice


def test_figures_of_one_list_lead_to_it():
    same = ["d1", "d2"]
    rows = [rate(n=2, numerator=1), rate(n=2, numerator=1, metric="share")]
    lists = {figures.figure_key(each): list(same) for each in rows}
    links = behind.headline_deals(["25 % of 2 deals."], rows, lists)
    assert links == {"25 % of 2 deals.": {"key": "win_rate.2026Q3", "label": "2 deals"}}


def test_numbers_are_read_in_the_locale():
    with words.written_in("de"):
        assert found("We won 25 % of 1.234 deals.", rate(n=1234)) == "win_rate.2026Q3"
        assert found("We won 25 % of 1,234 deals.", rate(n=1234)) is None


def test_the_page_has_the_link_at_the_end_of_its_sentence():
    said = "We won 25 % of <400> deals & more."
    book = toys.notebook("# T", toys.page().headline([said, "Nothing else."]), "## Where?\n\n- We won 25 % of all")
    links = {said: {"key": "win_rate.2026Q3", "label": "400 deals"}}
    shown = html.render(book, toys.META | {"headline_deals": links, "deals_href": "t.deals.html"})
    item = '<span class="so-behind"><a href="t.deals.html#win_rate.2026Q3">400 deals</a></span></li>'
    assert f"deals &amp; more. {item}" in shown.replace("\u00a0", " ").replace("&nbsp;", " ")
    assert shown.count('<span class="so-behind">') == 1


def test_a_sentence_of_another_report_leads_to_it():
    files = [{"report": "win_loss", "headlines": ["Up."], "figures": []}]
    shown = toys.page().headline(["Up.", "Own."], quoting=files, titles={"win_loss": "Win/loss"}).html
    assert shown.count("<a ") == 1 and '<li>Up. <span class="so-behind"><a href="win_loss.html">Win/loss</a>' in shown
    assert cover.source_link("Up.", files, {}).endswith(">Win loss</a></span>")
    assert report.render(toys.notebook("# T", toys.page().headline(["Up."], quoting=files)), toys.META)
