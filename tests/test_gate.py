"""A page that breaks a rule is not published: for each rule a page built to break it."""

import ast
import copy
import doctest
import importlib
import shutil

import engine_toys
import nbformat
import pandas as pd
import pytest
from conftest import ROOT
from report_toys import META, notebook, one, page, rates

from salesops import crm, report, words
from salesops.checks import SalesopsError
from salesops.engine import execute, index, pages, plan, publish, run
from salesops.report import agreement, captions, contrast, gate

pytestmark = pytest.mark.usefixtures("vocabulary")
DAY = "2026-09-30"


@pytest.fixture(scope="module")
def book(vocabulary):  # noqa: ARG001
    """A notebook as executed, with one of each block."""
    shown = page()
    return notebook(
        "# Win/loss\n\nAsked every quarter.",
        shown,
        shown.headline(["We won 25 % of 400 deals: no clear change."]),
        shown.tiles(
            report.tile(title, one(400, 0.25, 0.21, 0.29), "win_rate", prior=one(400, 0.15, 0.11, 0.19))
            for title in ("Win rate", "A second", "A third", "A fourth")
        ),
        "## Where do we win?",
        shown.chart.rate_dots(rates(), rate="win_rate", by="segment", title="SMB wins 25 % this quarter", overall=0.25),
        shown.table(rates(), caption="Win rate by segment"),
    )


@pytest.fixture(scope="module")
def good(book):
    return report.render(book, META)


def content(**changes):
    figure = {"value": 0.25, "low": 0.21, "high": 0.29, "n": 400, "numerator": 100, "unit": "rate", "by": {}}
    usual = {
        "headlines": ["We won 25 % of 400 deals: no clear change."],
        "figures": [figure],
        "period": {"label": "2026Q3", "start": "2026-07-01", "end": "2026-09-30"},
        "as_of": "2026-09-30",
        "data_through": "2026-09-30",
        "currency": "USD",
    }
    return usual | changes


def broken(page, content=None):
    return {fault.rule for fault in gate.faults(page, content)}


def test_a_good_page_breaks_no_rule(good):
    assert gate.faults(good, content()) == []


NEW_CHART = (
    '<figure class="so-chart"><p class="so-chart-title">A gap</p><p class="so-chart-subtitle">m</p>{}</figure></main>'
)
BOX = '<div role="region" tabindex="0" aria-label="d"><table><caption>d</caption>{}</table></div>'
ROWS = '<tr><th scope="col">n</th></tr><tbody><tr><td>1</td></tr></tbody>'
DATA = f"<details>{BOX.format(ROWS)}</details>"
EMPTY = DATA.replace("<td>1</td>", "<td>—</td>")
SAID = '<svg role="img" aria-label="{}">{}</svg>'
FOUR = "four words are here"
PATH = "<path/>"
BREAKS = [
    ("nothing from outside", "</main>", '<img src="https://example.com/a.png" alt="a picture of four words"></main>'),
    ("nothing from outside", "</main>", '<img srcset="a.png 2x" alt="a picture of four words"></main>'),
    ("nothing from outside", "</style>", "@import 'other.css';</style>"),
    ("nothing from outside", "</style>", "@IMPORT 'other.css';</style>"),
    ("nothing from outside", "</style>", "p { background: url(https://example.com/a.png) }</style>"),
    ("nothing from outside", "</style>", "p { background: URL( 'a.png') }</style>"),
    ("nothing from outside", "</style>", "p { background: image-set('a.png' 1x) }</style>"),
    ("nothing from outside", "</main>", '<p style="background:url(//example.com/x)">x</p></main>'),
    ("nothing from outside", "</main>", '<svg aria-hidden="true"><rect fill="url(a.svg#b)"/></svg></main>'),
    ("nothing from outside", "<title>", '<meta http-equiv="refresh" content="0;url=https://example.com"><title>'),
    ("nothing from outside", "</main>", '<svg aria-hidden="true"><use href="other.svg#a"/></svg></main>'),
    ("nothing from outside", "</main>", '<svg aria-hidden="true"><feImage href="a.png"/></svg></main>'),
    ("nothing from outside", "</main>", '<a href="#content" ping="https://example.com">x</a></main>'),
    ("no code", "</main>", "<script>alert(1)</script></main>"),
    ("no code", "<title>", '<link rel="stylesheet" href="#x"><title>'),
    ("no code", "<p", '<p onclick="x()"'),
    ("no code", "</main>", '<p><a href=" javascript:x()">x</a></p></main>'),
    ("no code", "</main>", '<p><a href="java\tscript:x()">x</a></p></main>'),
    ("no code", "</main>", '<p><a href="data:text/html,x">x</a></p></main>'),
    ("no code", "</main>", '<svg aria-hidden="true"><set attributeName="href" to="x"/></svg></main>'),
    ("no code", "</main>", '<div class="highlight"><pre>import pandas</pre></div></main>'),
    ("no code", "</main>", "<p>&lt;salesops.Page object at 0x7f3a&gt;</p></main>"),
    ("no code", "</main>", "<pre>Traceback (most recent call last)</pre></main>"),
    ("pictures in words", 'role="img"', 'role="img" aria-label="" '),
    ("pictures in words", "</main>", '<img alt="chart"></main>'),
    ("pictures in words", "</main>", NEW_CHART.format(SAID.format("A gap", PATH) + DATA)),
    ("pictures in words", "</main>", NEW_CHART.format(f"{SAID.format('a Gap: of its own', PATH)}{DATA}").replace("A gap", "A gap of its own.")),
    ("pictures in words", "</main>", f'<svg aria-label="{FOUR}"></svg></main>'),
    ("headings in order", '<h2 id="where', '<h4>too deep</h4><h2 id="where'),
    ("headings in order", "</main>", "<h1>another</h1></main>"),
    ("headings in order", "</main>", "<h3> </h3></main>"),
    ("headings in order", "<header", "<h2>before</h2><header"),
    ("names and links", "</main>", '<p id="content">x</p></main>'),
    ("names and links", "</main>", '<a href="#nowhere">x</a></main>'),
    ("names and links", ' lang="en"', ""),
    ("names and links", "<title>Win/loss</title>", "<title> </title>"),
    ("names and links", "</main>", "</main><main></main>"),
    ("names and links", '<a class="so-skip" href="#content">Skip to content</a>', ""),
    ("names and links", '<h2 id="where', '<h2 id="unlisted">x?</h2><h2 id="where'),
    ("names and links", "width=device-width", "width=1200"),
    ("captions and scope", "<caption>", "<caption hidden></caption><caption>"),
    ("captions and scope", ' scope="col"', ""),
    ("captions and scope", "</main>", BOX.format("<tr><td>1</td></tr>") + "</main>"),
    ("captions and scope", 'role="region" tabindex="0"', ""),
    ("contrast", "--so-quiet:#595959", "--so-quiet:#9a9a9a"),
    ("contrast", "</main>", '<p style="color: #777">x</p></main>'),
    ("contrast", "</main>", '<svg aria-hidden="true"><text fill="#BFBFBF">x</text></svg></main>'),
    ("no NaN", 'so-tile-value">25', 'so-tile-value">nan'),
    ("no NaN", 'so-tile-value">25\u00a0%', 'so-tile-value">None'),
    ("no NaN", 'd="M', 'd="M nan M'),
    ("no NaN", "</main>", '<p class="so-note">of inf deals</p></main>'),
    ("no NaN", "</main>", NEW_CHART.format(SAID.format("from 1 to nan %", PATH) + DATA)),
    ("no NaN", 'so-chart-subtitle">', 'so-chart-subtitle">NaT, '),
    ("no NaN", "<td>", "<td>&lt;NA&gt; "),
    ("no empty chart", "</main>", NEW_CHART.format(SAID.format(FOUR, "") + DATA)),
    ("no empty chart", "</main>", NEW_CHART.format(SAID.format(FOUR, PATH))),
    ("no empty chart", "</main>", NEW_CHART.format(SAID.format(FOUR, PATH) + EMPTY)),
    ("no empty chart", 'class="so-chart-title">SMB wins 25\u00a0% this quarter', 'class="so-chart-title">'),
    ("size", "</main>", "<p>" + "long " * 60_000 + "</p></main>"),
    ("size", "</main>", NEW_CHART.format("<i>" + "x" * 600_000 + "</i>")),
    ("six sentences", 'so-headline">', 'so-headline">' + 6 * "<li>No clear change.</li>"),
    ("six tiles", 'so-tiles">', 'so-tiles">' + 3 * '<li class="so-tile"></li>'),
    ("one order", 'so-tiles">', 'so-tiles"></ul><ul class="so so-headline"></ul><ul class="so so-tiles">'),
    ("one order", "</main>", '<section><h2>And why?</h2></section></main>'),
    ("five questions", "Where do we win?</h2>", "Where we win</h2>"),
    ("five questions", '<h2 id="where', 5 * "<h2>And why?</h2>" + '<h2 id="where'),
    ("short titles", "SMB wins 25\u00a0% this quarter", "SMB wins 25\u00a0% this quarter" + 26 * " so"),
    ("short tables", '<section class="so-record">', BOX.format(ROWS.replace("<tr><td>", 12 * "<tr><td>1</td></tr>" + "<tr><td>")) + '<section class="so-record">'),
    ("data folded", "<details>", "<details open>"),
    ("missing is said", "<td>", "<td></td><td>"),
    ("plain words", 'so-chart-subtitle">', 'so-chart-subtitle">Kaplan-Meier, '),
    ("plain words", "<caption><span", "<caption>By regression <span"),
    ("sentences agree", 'class="so-chart-title">SMB wins 25', 'class="so-chart-title">SMB wins 26'),
    ("sentences agree", "vs 2026Q2: up", "vs 2026Q2: down"),
    ("freshness", "<dt>Data through</dt>", "<dt>Data</dt>"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "found", "instead"), BREAKS)
def test_each_rule_is_broken_alone(good, rule, found, instead):
    assert broken(altered(good, found, instead), content()) == {rule}


def altered(page, found, instead):
    """The page broken in one place; a no-break space may be written as one or as its name."""
    named = found.replace("\u00a0", "&nbsp;")
    assert found in page or named in page, "the good page has changed: break it elsewhere"
    return page.replace(found if found in page else named, instead, 1)


def publishing(monkeypatch, tmp_path, executed, alter=lambda page: page):
    """A run that ends with this executed notebook and this page: its exit code and what it told."""
    engine_toys.notebook(tmp_path / "root" / "notebooks" / "toy.ipynb")
    render = report.render
    with monkeypatch.context() as patch:
        patch.setattr(crm, "load", engine_toys.company)
        patch.setattr(execute, "execute", lambda *_, **__: execute.Execution(copy.deepcopy(executed)))
        patch.setattr(report, "render", lambda *parts: alter(render(*parts)))
        told = []
        code = run.run(plan.Request(root=tmp_path / "root", out=tmp_path / "out", reports=("toy",)), told.append)
    return code, "\n".join(told)


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "index.html"}


@pytest.fixture(scope="module")
def published(book, tmp_path_factory):
    """A site with the good page."""
    folder = tmp_path_factory.mktemp("published")
    with pytest.MonkeyPatch.context() as patch:
        assert publishing(patch, folder, book) == (0, f"toy: ok, {folder / 'out' / DAY / 'toy'}.html")
    return folder


@pytest.mark.parametrize(("rule", "found", "instead"), BREAKS)
def test_a_page_that_breaks_a_rule_is_not_published_and_the_reason_is_printed(
    book, published, tmp_path, monkeypatch, rule, found, instead
):
    shutil.copytree(published, tmp_path, dirs_exist_ok=True, symlinks=True)
    before = files(tmp_path / "out" / DAY)
    code, told = publishing(monkeypatch, tmp_path, book, lambda page: altered(page, found, instead))
    assert code == (3 if rule == "freshness" else 1)
    assert f"toy failed: toy.ipynb\n  outside its cells\n  toy: not fit to be published: {rule}: " in told
    after = files(tmp_path / "out" / DAY)
    assert set(after) - set(before) == {"toy.failed.html", "toy.failed.ipynb"}
    assert {name: after[name] for name in before} == before, "the last good report has changed"
    assert not list((tmp_path / "out").glob(".staging-*"))
    reason = told.partition("published: ")[2].split("\n")[0]
    shown = report.faults((tmp_path / "out" / DAY / "toy.failed.html").read_text(), largest=pages.LISTS)
    assert [fault for fault in shown if fault.rule != "no code"] == []
    assert reason.split("'")[0].split("<")[0] in (tmp_path / "out" / DAY / "toy.failed.html").read_text()
    assert "last run failed" in (tmp_path / "out" / "index.html").read_text()


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("We won 26 % of 400 deals.", "26 % is not among the figures"),
        ("The rate rose 10 points, from 25 % to 15 % (25 % to 15 %).", "rose 10 points, from 25 % to 15 %"),
        ("We won 25 % of the deals (10 of 400).", "25 %, which is not 10 of 400"),
        ("", "the page says nothing in a sentence"),
    ],
)
def test_a_sentence_that_its_figures_do_not_bear_out_is_not_published(book, tmp_path, monkeypatch, sentence, reason):
    wrong = copy.deepcopy(book)
    (said,) = [
        output.metadata["salesops"]
        for cell in wrong.cells
        for output in cell.get("outputs", [])
        if "headlines" in output.metadata["salesops"]
    ]
    said["headlines"] = [sentence] if sentence else []
    code, told = publishing(monkeypatch, tmp_path, wrong)
    assert code == 1 and "sentences agree" in told and reason in told
    assert set(files(tmp_path / "out" / DAY)) == {"toy.failed.html", "toy.failed.ipynb"}


def test_stale_data_are_not_published(book, tmp_path, monkeypatch):
    def company(*arguments, read=engine_toys.company, **options):
        found = read(*arguments, **options)
        found.data_through = found.data_through.replace(month=8, day=15)
        return found

    monkeypatch.setattr(engine_toys, "company", company)
    code, told = publishing(monkeypatch, tmp_path, book)
    assert code == 3  # nothing is wrong with the page: the data are late
    assert "freshness: the data end on 15 August 2026, 46 days before 30 September 2026. Export anew" in told
    assert set(files(tmp_path / "out" / DAY)) == {"toy.failed.html", "toy.failed.ipynb"}


def test_a_list_of_deals_that_breaks_a_rule_takes_its_report_with_it(book, tmp_path, monkeypatch):
    drawn = pages.render
    wrong = {"deals": "<script>x</script>"}
    monkeypatch.setattr(pages, "render", lambda name, *rest, **facts: drawn(name, *rest, **facts) + wrong.get(name, ""))
    code, told = publishing(monkeypatch, tmp_path, book)
    assert code == 1
    assert "toy, its lists of deals: not fit to be published: no code: <script> stands on the page." in told
    assert set(files(tmp_path / "out" / DAY)) == {"toy.failed.html", "toy.failed.ipynb"}


@pytest.mark.parametrize(
    ("name", "wrong", "reason"),
    [
        ("dates", "<script>x</script>", "no code: <script> stands on the page"),
        ("index", '<a href="gone.html">x</a>', "names and links: a link leads to gone.html, which is not there"),
        ("dates", '<img src="x.png" aria-hidden="true">', "nothing from outside: <img src> loads x.png"),
    ],
)
def test_an_index_that_breaks_a_rule_does_not_take_the_place_of_the_last(published, monkeypatch, name, wrong, reason):
    out, drawn = published / "out", pages.render
    before = {path: path.read_bytes() for path in out.rglob("index.html")}
    assert len(before) == 2
    monkeypatch.setattr(
        pages, "render", lambda which, *rest, **facts: drawn(which, *rest, **facts) + (wrong if which == name else "")
    )
    with publish.staging(out) as staged, pytest.raises(SalesopsError, match="not fit to be published: ") as fault:
        index.write(out, staged)
    assert reason in str(fault.value)
    assert {path: path.read_bytes() for path in before} == before


def test_an_index_that_has_not_changed_is_left_alone(published, monkeypatch):
    monkeypatch.setattr(report, "faults", lambda *_, **__: pytest.fail("it was checked again"))
    with publish.staging(published / "out") as staged:
        index.write(published / "out", staged)


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("sentences agree", {"headlines": ["We won 26 % of 400 deals."]}),
        ("sentences agree", {"headlines": ["We won 25 % of 401 deals."]}),
        ("sentences agree", {"headlines": ["The rate rose 4 points (25 % to 21 %)."]}),
        ("sentences agree", {"headlines": []}),
        ("freshness", {"data_through": "2026-08-15"}),
        ("freshness", {"data_through": None}),
        ("freshness", {"as_of": None}),
    ],
)
def test_what_the_page_says_is_checked_against_the_figures(good, rule, changes):
    assert broken(good, content(**changes)) == {rule}


def late(good, as_of, through, period):
    """The reasons where a page says these days."""
    first, second, rest = good.split("<dd>30 September 2026</dd>", 2)
    shown = f"{first}<dd>{words.day(as_of)}</dd>{second}<dd>{words.day(through)}</dd>{rest}"
    return [fault.message for fault in gate.faults(shown, content(as_of=as_of, data_through=through, period=period))]


QUARTER = {"label": "2026Q3", "start": "2026-07-01", "end": "2026-09-30"}
WEEK = {"label": "2026W39", "start": "2026-09-21", "end": "2026-09-27"}
ALL = {"label": "all", "start": None, "end": None}


@pytest.mark.parametrize(
    ("as_of", "through", "period", "days"),
    [
        ("2027-03-31", "2026-09-29", QUARTER, None),  # old data serve an old period
        ("2026-09-30", "2026-08-30", QUARTER, None),
        ("2026-09-30", "2026-08-29", QUARTER, 32),
        ("2026-08-20", "2026-07-19", QUARTER, 32),  # of a running period only what is over counts
        ("2026-09-30", "2026-09-20", WEEK, None),
        ("2026-09-30", "2026-09-19", WEEK, 8),  # a week without one day of its own
        ("2026-09-20", "2026-08-15", ALL, 36),
        ("2026-09-20", "2026-10-15", ALL, None),  # the data know more than was asked
    ],
)
def test_how_old_data_may_be(good, as_of, through, period, days):
    found = late(good, as_of, through, period)
    assert len(found) == (days is not None)
    assert days is None or f", {days} days before " in found[0]


def test_names_from_the_data_are_no_numbers():
    figure = {"value": 0.25, "unit": "rate", "by": {"segment": "50-200 seats"}}
    named = "Deals with 50-200 seats are won at 25 %; deal D-0001946 is the largest."
    assert agreement.untraced(named, [figure]) == []
    assert agreement.untraced(named.replace("25", "24"), [figure]) == ["24 %"]
    assert agreement.untraced("It hangs on 7-Eleven 2031 renewal.", [figure], names=["7-Eleven 2031 renewal"]) == []
    within = "What goes with winning cannot be told (1,332 deals decided), of level 2."
    assert agreement.untraced(within, [figure], names=["2"]) == ["1,332"]


@pytest.mark.parametrize(
    ("said", "n"),
    [
        ("The rate fell 9 points from 2025Q1 (33 %) to 2025Q2 (24 %).", 0),
        ("The rate fell 8 points from 2025Q1 (33 %) to 2025Q2 (24 %).", 1),
        ("The rate fell 8.4 points from 2025Q1 (32.7 %) to 2025Q2 (24.3 %).", 0),
        ("38 % get past it, 60 % where it does best (segment A; 23 points more, likely between 12 and 33).", 1),
        ("38 % get past it, 60 % where it does best (segment A; 22 points more, likely between 12 and 33).", 0),
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


def titles_told() -> list[tuple[str, str]]:
    """Each form, as its doctest has it, of each sentence that a notebook makes the title of a chart."""
    calls = [
        (call.func.value.id, call.func.attr, any(word.arg == "brief" for word in call.keywords))
        for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "code"
        for word in ast.walk(ast.parse(cell.source))
        if isinstance(word, ast.keyword) and word.arg == "title"
        for call in ast.walk(word.value)
        if isinstance(call, ast.Call) and isinstance(getattr(call.func, "value", None), ast.Name)
    ]
    found = []
    for module, name, is_brief in sorted(set(calls)):
        function = getattr(importlib.import_module(f"salesops.{module}"), name)
        for example in doctest.DocTestParser().get_examples(function.__doc__ or ""):
            if example.want.startswith(("'", '"')) and is_brief == ("brief=True" in example.source):
                found.append((f"{module}.{name}", " ".join(example.want.strip().strip("'\"").split())))
    return found


def test_every_form_of_a_sentence_over_a_chart_is_short_enough_for_a_title():
    told = titles_told()
    assert len(told) > 40
    assert {name: text for name, text in told if captions.length(captions.title(text)) > captions.MOST_WORDS} == {}


ROW = '<tr><th scope="row"><a href="https://crm.example/1" rel="noreferrer">Big &amp; Co</a></th><td class="t">Ann</td><td>1.2M</td></tr>'
ROWS = {
    "no NaN": ROW.replace("1.2M", "nan"),
    "no NaN ": ROW.replace("1.2M", "None"),
    "no code": ROW.replace("Big &amp; Co", "&lt;class 'pandas.Series'&gt;"),
    "no code ": ROW.replace("Big &amp; Co", "Traceback (most recent call last)"),
    "no code  ": ROW.replace("https://crm.example/1", "javascript:alert(1)"),
    "no code   ": ROW.replace('<td class="t">', '<td class="t" onclick="x()">'),
    "no code    ": ROW.replace('<td class="t">', '<td class="highlight">'),
    "nothing from outside": ROW.replace("Ann", '<img src="https://x.example/1.png" alt="a b c d">'),
    "nothing from outside ": ROW.replace('<td class="t">', '<td class="t" style="background:url(https://x.example)">'),
    "names and links": ROW.replace("https://crm.example/1", "#nowhere"),
    "captions and scope": ROW.replace(' scope="row"', ""),
    "contrast": ROW.replace('<td class="t">', '<td class="t" style="color:#999">'),
}


def list_of(*rows: str) -> str:
    """A page of one list, with these rows."""
    head = '<table><caption>Deals</caption><thead><tr><th scope="col">Deal</th></tr></thead><tbody>'
    body = f'<div role="region" tabindex="0">{head}{"".join(rows)}</tbody></table></div>'
    return report.page_shell("Deals behind Win/loss", body)


@pytest.mark.parametrize("name", ROWS)
def test_a_row_that_breaks_a_rule_is_found_among_thousands(name, monkeypatch):
    page_of = list_of(*[ROW + "\n"] * 50, ROWS[name], *[ROW] * 50)
    found = gate.faults(page_of)
    assert [fault.rule for fault in found] == [name.strip()]
    monkeypatch.setattr(gate, "_without_plain_rows", lambda text: text)
    assert found == gate.faults(page_of)


def test_rows_that_can_break_no_rule_are_not_read(monkeypatch):
    read = []
    real = gate.BeautifulSoup
    monkeypatch.setattr(gate, "BeautifulSoup", lambda text, kind: read.append(text.count("<tr>")) or real(text, kind))
    without = ROW.replace('<a href="https://crm.example/1" rel="noreferrer">Big &amp; Co</a>', "O&#39;Neil &#34;1&#34;")
    assert gate.faults(list_of(*[ROW, without] * 50)) == [] and read == [1]
    rows = list_of(*[ROW] * 50)
    assert gate._without_plain_rows(rows).count("<tr>") == 1 and "<caption>" in gate._without_plain_rows(rows)


def test_many_sentences_are_traced_as_each_alone():
    figures = [{"value": 0.25, "n": 400, "unit": "rate", "by": {"team": "Team 7"}}]
    told = agreement.tracer(figures, currency="USD", names=["Plan 9", "Plan 9 30"])
    sentences = ["25 % of 400.", "26 % of 400.", "Team 7 won 25 %.", "Plan 9 30: 9 deals.", "Plan 91 and Plan 9."]
    assert [told(each) for each in sentences] == [[], ["26 %"], [], ["9"], ["91"]]
    assert [told(each) for each in sentences] == [
        agreement.untraced(each, figures, currency="USD", names=["Plan 9", "Plan 9 30"]) for each in sentences
    ]


@pytest.mark.parametrize("said", ['<section class="so-prose"><p>{}</p></section>', '<p class="so-note">{}</p>'])
def test_a_method_is_not_named_above_the_appendix_whoever_says_it(good, said):
    at = good.index('<figure class="so so-chart"')
    for words_of, rules in (("Drawn by bootstrap.", ["plain words"]), ("Drawn by hand.", [])):
        page_of = good[:at] + said.format(words_of) + good[at:]
        assert [fault.rule for fault in gate.faults(page_of, content())] == rules
