"""A page that breaks a rule is not published: for each rule a page built to break it."""

import pandas as pd
import pytest
import report_toys as toys
from report_toys import META, notebook, one, page, rates

from salesops import metrics, report
from salesops.report import agreement, contrast, gate


@pytest.fixture(autouse=True, scope="module")
def vocabulary():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "registry", lambda: toys.REGISTRY)
        yield


@pytest.fixture(scope="module")
def good(vocabulary):  # noqa: ARG001
    shown = page()
    return report.render(
        notebook(
            "# Win/loss\n\nAsked every quarter.",
            shown,
            shown.headline(["We won 25 % of 400 deals: no clear change."]),
            shown.tiles([report.tile("Win rate", one(400, 0.25, 0.21, 0.29), "win_rate")]),
            "## Where do we win?",
            shown.chart.rate_dots(rates(), rate="win_rate", by="segment", title="SMB wins a quarter", overall=0.25),
            shown.table(rates(), caption="Win rate by segment"),
        ),
        META,
    )


def content(**changes):
    figure = {"value": 0.25, "low": 0.21, "high": 0.29, "n": 400, "numerator": 100, "unit": "rate", "by": {}}
    usual = {
        "headlines": ["We won 25 % of 400 deals: no clear change."],
        "figures": [figure],
        "period": {"label": "2026Q3", "start": "2026-07-01", "end": "2026-09-30"},
        "as_of": "2026-09-30",
        "data_through": "2026-09-29",
        "currency": "USD",
    }
    return usual | changes


def broken(page, content=None):
    return {fault.rule for fault in gate.faults(page, content)}


def test_a_good_page_breaks_no_rule(good):
    assert gate.faults(good, content()) == []


NEW_CHART = '<figure class="so-chart"><p class="so-chart-title">A gap</p><p class="so-chart-subtitle">m</p>{}</figure>'
DATA = "<table><caption>d</caption><tbody><tr><td>1</td></tr></tbody></table>"
BREAKS = [
    ("nothing from outside", "</main>", '<img src="https://example.com/a.png" alt="a picture of four words"></main>'),
    ("nothing from outside", "</style>", "@import 'other.css';</style>"),
    ("nothing from outside", "</style>", "p { background: url(https://example.com/a.png) }</style>"),
    ("nothing from outside", "</main>", '<p style="background:url(//example.com/x)">x</p></main>'),
    ("nothing from outside", "<title>", '<meta http-equiv="refresh" content="0;url=https://example.com"><title>'),
    ("nothing from outside", "</main>", '<svg aria-hidden="true"><use href="other.svg#a"/></svg></main>'),
    ("no code", "</main>", "<script>alert(1)</script></main>"),
    ("no code", "<title>", '<link rel="stylesheet" href="#x"><title>'),
    ("no code", "<p", '<p onclick="x()"'),
    ("no code", "</main>", '<p><a href=" javascript:x()">x</a></p></main>'),
    ("no code", "</main>", '<div class="highlight"><pre>import pandas</pre></div></main>'),
    ("pictures in words", 'role="img"', 'role="img" aria-label="" '),
    ("pictures in words", "</main>", NEW_CHART.format(f'<svg role="img" aria-label="A gap"><path/></svg>{DATA}') + "</main>"),
    ("headings in order", '<h2 id="where', '<h4>too deep</h4><h2 id="where'),
    ("headings in order", "</main>", "<h1>another</h1></main>"),
    ("headings in order", "</main>", "<h2> </h2></main>"),
    ("names and links", "</main>", '<p id="content">x</p></main>'),
    ("names and links", "</main>", '<a href="#nowhere">x</a></main>'),
    ("names and links", ' lang="en"', ""),
    ("names and links", "<title>Win/loss</title>", "<title> </title>"),
    ("captions and scope", "<caption>", "<caption hidden></caption><caption>"),
    ("captions and scope", ' scope="col"', ""),
    ("contrast", "--so-quiet: #595959", "--so-quiet: #9a9a9a"),
    ("no NaN", 'so-tile-value">25', 'so-tile-value">nan'),
    ("no NaN", 'so-tile-value">25\u00a0%', 'so-tile-value">None'),
    ("no NaN", 'd="M', 'd="M nan M'),
    ("no empty chart", "</main>", NEW_CHART.format(f'<svg role="img" aria-label="four words are here"></svg>{DATA}') + "</main>"),
    ("no empty chart", "</main>", NEW_CHART.format('<svg role="img" aria-label="four words are here"><path/></svg>') + "</main>"),
    ("no empty chart", 'class="so-chart-title">SMB wins a quarter', 'class="so-chart-title">'),
    ("size", "</main>", "<p>" + "long " * 60_000 + "</p></main>"),
    ("size", "</main>", NEW_CHART.format("<i>" + "x" * 600_000 + "</i>") + "</main>"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "found", "instead"), BREAKS)
def test_each_rule_is_broken_alone(good, rule, found, instead):
    assert found in good, "the good page has changed: break it elsewhere"
    assert broken(good.replace(found, instead, 1), content()) == {rule}


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("sentences agree", {"headlines": ["We won 26 % of 400 deals."]}),
        ("sentences agree", {"headlines": ["We won 25 % of 401 deals."]}),
        ("sentences agree", {"headlines": ["The rate rose 4 points (25 % to 21 %)."]}),
        ("freshness", {"data_through": "2026-08-15"}),
    ],
)
def test_what_the_page_says_is_checked_against_the_figures(good, rule, changes):
    assert broken(good, content(**changes)) == {rule}


def test_old_data_serve_an_old_period(good):
    assert gate.faults(good, content(as_of="2027-03-31")) == []
    running = content(
        as_of="2026-09-20", data_through="2026-08-15", period={"label": "all", "start": None, "end": None}
    )
    assert [fault.rule for fault in gate.faults(good, running)] == ["freshness"]


def test_names_from_the_data_are_no_numbers():
    figure = {"value": 0.25, "unit": "rate", "by": {"segment": "50-200 seats"}}
    named = "Deals with 50-200 seats are won at 25 %; deal D-0001946 is the largest."
    assert agreement.untraced(named, [figure]) == []
    assert agreement.untraced(named.replace("25", "24"), [figure]) == ["24 %"]
    assert agreement.untraced("It hangs on 7-Eleven 2031 renewal.", [figure], names=["7-Eleven 2031 renewal"]) == []


@pytest.mark.parametrize(
    ("said", "n"),
    [
        ("The rate fell 8 points from 2025Q1 (33 %) to 2025Q2 (24 %).", 0),
        ("The rate rose 8 points from 2025Q1 (33 %) to 2025Q2 (24 %).", 1),
        ("Overdue: up 2 points since 2024Q4 (0 % to 2 %).", 0),
        ("Overdue: up 5 points since 2024Q4 (0 % to 2 %).", 1),
    ],
)
def test_direction_and_size_of_a_move(said, n):
    assert len(agreement.contradictions(said)) == n


def test_contrast_is_that_of_the_standard():
    assert contrast.ratio("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)  # the example of WCAG's technique G18
    assert contrast.ratio("#fff", "#fff") == 1


def test_our_own_stylesheet_can_be_read():
    assert list(contrast.too_faint(report.stylesheet())) == []
    assert len(contrast.palettes(report.stylesheet())) >= 3


def test_a_large_table_of_any_company_stays_small():
    many = pd.DataFrame({"segment": [f"s{number}" for number in range(400)], "n": 50, "win_rate": 0.5})
    assert len(page().table(many, caption="x").html) < 30_000
