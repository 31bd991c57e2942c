"""The page: what a reader sees, what the engine collects, and what must never be in the file."""

import itertools
import re
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser
from urllib.parse import unquote

import nbformat
import pandas as pd
import pytest
import report_toys as toys
from report_toys import META, notebook, one, page, rates

from salesops import checks, report
from salesops.report import changes, figures, tables
from salesops.stats import proportions

pytestmark = pytest.mark.usefixtures("vocabulary")


class Outline(HTMLParser):
    """Tags with their attributes, and the text outside style sheets."""

    def __init__(self, html: str):
        super().__init__()
        self.tags, self.words, self._skip = [], [], False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._skip = tag == "style"

    def handle_endtag(self, _tag):
        self._skip = False

    def handle_data(self, data):
        self.words += [] if self._skip else [data]

    def all(self, *names):
        return [attributes for tag, attributes in self.tags if tag in names]


def whole_notebook() -> nbformat.NotebookNode:
    shown = page()
    return notebook(
        "# Win/loss\n\nAsked every quarter.",
        shown,
        shown.headline(["Win rate 25 %, no clear change.", "<script>alert(1)</script> is a name."]),
        shown.tiles([report.tile("Win rate", one(400, 0.25, 0.21, 0.29), "win_rate", prior=one(380, 0.24, 0.2, 0.29))]),
        "## Where do we win?",
        shown.chart.rate_dots(rates(), rate="win_rate", by="segment", title="SMB wins a quarter", overall=0.25),
        shown.table(rates(), caption="Win rate by segment", deals=deals()),
        "## Appendix: definitions",
        shown.definitions(toys.toy_metrics),
        shown.exclusions(),
        shown.method("Wilson intervals.\n\nNo cause is claimed."),
    )


def deals() -> pd.DataFrame:
    return pd.DataFrame({"opportunity_id": ["d2", "d1", "d3", "d1"], "segment": ["SMB", "SMB", None, "SMB"]})


@pytest.fixture(scope="module")
def html():
    return report.render(whole_notebook(), META)


# The file


def test_the_same_notebook_gives_the_same_bytes(html):
    assert report.render(whole_notebook(), dict(META)) == html


def test_nothing_comes_from_outside_and_nothing_runs(html):
    outline = Outline(html)
    addresses = [value for _, given in outline.tags for name, value in given.items() if name in ("src", "href")]
    assert all(re.match(r"#|data:|win_loss\.deals\.html#|\.\./2026-06-30/win_loss\.html$", each) for each in addresses)
    assert not outline.all("script", "link", "iframe") and "@import" not in html
    assert not re.search(r"url\((?!#)", html) and not re.search(r"\son\w+=", html)


def test_no_code_no_prompt_and_no_banner_of_the_notebook(html):
    assert "secret_code" not in html and "In [" not in html and "so-page" not in html.partition("</style>")[2]


def test_one_heading_one_language_and_no_skipped_level(html):
    outline = Outline(html)
    levels = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch(r"h\d", tag)]
    assert levels.count(1) == 1 and levels[0] == 1 and all(b - a <= 1 for a, b in itertools.pairwise(levels))
    assert outline.all("html")[0]["lang"] == "en" and {"name": "viewport"}.items() <= outline.all("meta")[1].items()


def test_contents_lead_to_every_section_and_ids_are_unique(html):
    outline = Outline(html)
    ids = [given["id"] for _, given in outline.tags if "id" in given]
    targets = [each["href"][1:] for each in outline.all("a") if each["href"].startswith("#")]
    assert len(ids) == len(set(ids)) and set(targets) <= set(ids)
    assert {"where-do-we-win", "appendix-definitions", "run-record"} <= set(targets)


def test_contents_name_the_findings_first_and_the_appendix_apart():
    html = report.render(notebook("# A title", "## Where?", "## Appendix: a & b", "## Why?"), META)
    listed = re.search(r"<nav.*?</nav>", html, flags=re.DOTALL)[0]
    assert re.findall(r'<a href="#([^"]+)">([^<]+)</a>|<p[^>]*>(\w+)</p>', listed) == [
        ("where", "Where?", ""), ("why", "Why?", ""), ("", "", "Appendix"),
        ("appendix-a-b", "a &amp; b", ""), ("run-record", "Run record", ""),
    ]  # fmt: skip


def test_two_sections_of_one_name_have_two_ids():
    html = report.render(notebook("## Same", "## Same", "## Run record"), META)
    names = [each["id"] for each in Outline(html).all("h2")]
    assert names == ["contents", "same", "same-2", "run-record-2", "run-record"]


def test_banner_says_period_dates_rows_and_the_report_before(html):
    said = " ".join(" ".join(Outline(html).words).split())
    for words in (
        "2026Q3",
        "1 July 2026 to 30 September 2026",
        "complete",
        "partial",
        "6,009",
        "Previous report: 30 June 2026",
    ):
        assert words in said
    assert said.index("6,009") < said.index("Win rate 25") < said.rindex("Run record") < said.index("0123456789abcdef")


def test_what_the_meta_lacks_is_left_away():
    html = report.render(notebook("# A title", "## A section"), {})
    assert "<h1>A title</h1>" in html and "None" not in html and "Undefined" not in html


def test_other_level_one_headings_become_sections():
    html = report.render(notebook("# First", "# Second"), {})
    assert html.count("<h1") == 1 and '<h2 id="second">Second</h2>' in html


def test_a_cell_that_failed_is_never_rendered():
    broken = notebook("# Title")
    error = nbformat.v4.new_output("error", ename="DataError", evalue="no rows", traceback=["x"])
    broken.cells.append(nbformat.v4.new_code_cell("x", outputs=[error]))
    with pytest.raises(checks.DataError, match=r"cell 2: DataError: no rows. Mend the cell and run again."):
        report.render(broken, META)


def test_streams_and_plain_text_are_not_shown():
    loud = notebook("# Title")
    outputs = [
        nbformat.v4.new_output("stream", name="stderr", text="a warning"),
        nbformat.v4.new_output("execute_result", data={"text/plain": "plain words"}, execution_count=1),
    ]
    loud.cells.append(nbformat.v4.new_code_cell("x", outputs=outputs))
    html = report.render(loud, META)
    assert "a warning" not in html and "plain words" not in html


def test_text_from_data_is_text(html):
    assert "&lt;script&gt;alert(1)&lt;/script&gt; is a name." in html
    assert "<b>row 1</b>" not in html and "&lt;b&gt;row 1&lt;/b&gt;" in html
    assert "<i>segment</i>" not in html and "&lt;i&gt;segment&lt;/i&gt;" in html


def test_wide_tables_scroll_in_a_named_box_that_keys_reach(html):
    boxes = [given for given in Outline(html).all("div") if given.get("class") == "so-scroll"]
    names = {given["id"] for given in Outline(html).all("span") if "id" in given}
    assert boxes and all(box["tabindex"] == "0" and box["role"] == "region" for box in boxes)
    assert all(box.get("aria-label") or box["aria-labelledby"] in names for box in boxes)


def test_page_shell_is_a_page_of_its_own():
    html = report.page_shell("A <title>", "<p>body</p>")
    assert "<h1>A &lt;title&gt;</h1>" in html and "<p>body</p>" in html and report.stylesheet() in html


# Blocks


def test_page_says_who_it_is():
    data, metadata = page()._repr_mimebundle_(include=None, exclude=None)
    assert metadata["salesops"] == {
        "kind": "page",
        "page": {"report": "win_loss", "title": "Win/loss", "population": 2},
    }
    assert "2026Q3 (1 July 2026 to 30 September 2026, complete)" in data["text/plain"]


def test_at_most_six_headlines():
    assert page().headline(["a", "", "b"]).facts == {"headlines": ["a", "b"], "figures": []}
    behind = page().headline(["We won 25 % of 400."], of=[one(400, 0.25, 0.21, 0.29)]).facts["figures"]
    assert [(each["metric"], each["value"], each["n"]) for each in behind] == [("win_rate", 0.25, 400)]
    with pytest.raises(checks.ParameterError, match=r"headline: 7 sentences. Keep the 6 that matter most."):
        page().headline(list("abcdefg"))


def test_left_out_says_why():
    block = page().left_out("Attainment", "there is no <targets> table")
    assert block.facts == {"left_out": {"section": "Attainment", "reason": "there is no <targets> table"}}
    assert block.text == "Attainment is left out: there is no <targets> table"


def test_needs_is_silent_where_the_data_are_there():
    shown = page(has=lambda table: table == "leads", has_column=lambda _, column: column == "amount")
    assert shown.needs("Leads", "leads", "opportunities.amount").html == ""
    assert shown.needs("Targets", "targets").facts["left_out"]["reason"] == "the source has no targets."


def test_definitions_come_from_the_docstring():
    said = page().definitions(toys.toy_metrics).text
    assert "Win rate win_rate" in said and "Won over closed, by count." in said
    assert "win_rate = won_count ÷ n; unit: rate; clock: closed; higher is better." in said
    assert "win_rate = won / closed, always." in said and "Source: Wilson (1927)." in said and "`" not in said
    shown, _, folded = page().definitions(toys.toy_metrics).html.partition("<details>")
    assert "Won over closed, by count." in shown and "win_rate = won_count ÷ n" in shown and "always" not in shown
    assert "<summary>How it is worked out: Win rate</summary>" in folded and folded.count("Wilson (1927)") == 1


def test_exclusions_list_every_row_with_notes_and_what_is_withheld():
    many = pd.concat([toys.company().exclusions] * 20, ignore_index=True)
    said = page(exclusions=many, withheld={"lost_amount": "all are 0"}).exclusions().text
    assert said.count("opportunities.opportunity_id | has no id | set aside | 3") == 20
    assert "Lost amount withheld: all are 0" in said and "Read as CSV." in said
    assert "No row was set aside" in page(exclusions=many.head(0)).exclusions().text


# Tables


def test_a_table_shows_interval_missing_group_few_deals_and_missing_value():
    said = page().table(rates(), caption="Win rate by segment").text.splitlines()
    assert said[:5] == [
        "Win rate by segment",
        "Segment | n | Won | Win rate [95 % interval]",
        "SMB | 400 | 100 | 25 % [21–29]",
        "(none) few deals | 10 | 4 | 40 % [17–69]",
        "Public few deals | 0 | 0 | —",
    ]


def test_header_cells_have_a_scope_and_numbers_stand_right():
    outline = Outline(page().table(rates(), caption="x").html)
    heads = outline.all("th")
    assert [head["scope"] for head in heads] == ["col"] * 4 + ["row"] * 3
    assert [cell.get("class") for cell in outline.all("td")] == [None] * 9  # a number is the plain cell


def test_twelve_rows_are_shown_and_all_are_figures_and_csv():
    many = pd.DataFrame({"owner": [f"=r{number}" for number in range(30)], "n": 50, "win_rate": 0.5})
    block = page().table(many, caption="By owner")
    assert len(Outline(block.html).all("tr")) == 13 and len(block.facts["figures"]) == 30
    assert "'=r29,50,0.5" in unescape(unquote(block.html))
    assert (
        "First 12 of 30 rows." in block.text and "data:text/csv" not in page().table(many, caption="x", csv=False).html
    )


def test_a_csv_has_the_columns_shown_and_so_many_rows():
    many = pd.DataFrame(
        {"owner": [f"r{number}" for number in range(200)], "n": 50, "win_rate": 0.51234567, "p_value": 0.3}
    )
    shown = page().table(many, caption="By owner", shown=["owner", "win_rate"])
    text = unescape(unquote(shown.html))
    assert "owner,win_rate\nr0,0.5123\n" in text and "r49,0.5123" in text and "r50," not in text
    assert "The first 50 rows (CSV) ; all values are in the file of figures" in shown.text
    assert len(shown.facts["figures"]) == 200
    for rows, csv in ((50, True), (150, 150)):
        fewer = page().table(many.head(rows), caption="By owner", csv=csv)
        assert f"All {rows} rows (CSV)" in fewer.text and "figures:" not in fewer.html


def test_the_rest_of_a_table_without_a_csv_is_in_the_file_of_figures():
    many = pd.DataFrame({"segment": [f"s{number}" for number in range(30)], "n": 50, "win_rate": 0.5})
    left = page().table(many, caption="x", csv=False)
    assert "All values are in the file of figures" in left.text and 'href="figures:"' in left.html
    assert "figures:" not in page().table(many.head(12), caption="x", csv=False).html
    without = page().table(many[["segment", "n"]], caption="x", csv=False)  # no figure of it is in that file
    assert "figures:" not in without.html and "CSV" not in without.text


def test_ids_are_not_broken_and_records_are_links():
    deals = pd.DataFrame(
        {
            "name": ["A", "B"], "opportunity_id": ["D-1", "D-2"],
            "record_url": ["https://crm.example.com/D-1", "javascript:alert(1)"],
        }
    )  # fmt: skip
    html = page().table(deals, caption="x").html
    assert '<td class="t i">D-1</td>' in html and '<th scope="row">A</th>' in html
    assert '<a href="https://crm.example.com/D-1" rel="noreferrer">record</a>' in html
    assert '<td class="t">javascript:alert(1)</td>' in html
    dated = deals.assign(close_date=pd.Timestamp("2026-10-13"))[["name", "close_date"]]
    assert '<td class="t i">13 October 2026</td>' in page().table(dated, caption="x").html
    assert '<th scope="row" class="i">D-1</th>' in page().table(deals[["opportunity_id"]], caption="x").html


def test_the_level_of_an_interval_stays_together_in_a_head():
    html = page().table(rates(), caption="x").html
    assert "[95&nbsp;%\xa0interval]" in html


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_spreadsheet_runs_nothing(start):
    text = tables.csv_text(pd.DataFrame({f"{start}head": [f"{start}cmd"], "amount": [-1.5]}))
    assert f"'{start}head" in text and f"'{start}cmd" in text and ",-1.5" in text


def test_a_withheld_metric_is_shown_as_withheld_everywhere():
    shown = page(withheld={"is_won": "9 % of the rows are faulty"})
    table = shown.table(rates(), caption="x")
    assert "SMB | 400 | withheld | withheld" in table.text and "withheld: 9 % of the rows are faulty" in table.text
    tile = shown.tiles([report.tile("Win rate", one(400, 0.25, 0.21, 0.29), "win_rate", prior=one(380, 0.2, 0.1, 0.3))])
    assert "withheld\n9 % of the rows are faulty" in tile.text and "25" not in tile.text
    chart = shown.chart.rate_dots(rates(), rate="win_rate", by="segment", title="SMB wins 25 %")
    assert "Win rate is withheld: 9 % of the rows are faulty." in chart.text and "25" not in chart.text
    for block in (table, tile, chart):
        assert {one["value"] for one in block.facts["figures"]} == {None}
        assert {(one["low"], one["high"]) for one in block.facts["figures"]} == {(None, None)}


def test_an_empty_table_says_so():
    assert "Nothing to show" in page().table(rates().head(0), caption="Win rate").text


# Deals


def test_a_figure_links_to_its_deals(html):
    block = page().table(rates(), caption="x", deals=deals())
    smb, unnamed = "win_rate.segment-SMB.2026Q3", next(key for key in block.facts["deals"] if "none" in key)
    assert {key: ids.to_pylist() for key, ids in block.facts["deals"].items()} == {smb: ["d1", "d2"], unnamed: ["d3"]}
    assert re.findall(r'href="deals:([^"]+)"', block.html) == [smb, unnamed]
    assert f'href="win_loss.deals.html#{smb}"' in html and 'href="deals:' not in html


def test_deals_may_differ_by_metric():
    frame = pd.DataFrame({"segment": ["SMB"], "won_amount": [5.0], "sales_cycle_days_median": [40.0]})
    block = page().table(frame, caption="x", deals={"won_amount": deals()})
    assert {key: ids.to_pylist() for key, ids in block.facts["deals"].items()} == {
        "won_amount.segment-SMB.2026Q3": ["d1", "d2"]
    }


def test_deals_without_the_key_column_are_refused():
    with pytest.raises(checks.DataError, match=r"deals: missing column \['segment'\]"):
        page().table(rates(), caption="x", deals=deals()[["opportunity_id"]])


# Tiles


def tile_text(*arguments, **options) -> str:
    said = page().tiles([report.tile("T", *arguments, **options)]).text
    return "\n".join(line for line in said.splitlines() if not line.startswith("n is how many"))


def test_what_n_is_stands_once_under_tiles_that_say_it():
    rows = one(400, 0.25, 0.21, 0.29)
    two = [report.tile("T", rows, "win_rate"), report.tile("U", rows, "win_rate")]
    assert page().tiles(two).text.count("n is how many") == 1
    assert "n is how" not in page().tiles([report.tile("T", rows.drop(columns="n"), "win_rate")]).text


@pytest.mark.parametrize(
    ("prior", "words"),
    [
        (one(400, 0.15, 0.12, 0.19), "vs 2026Q2: up 10 points (was 15 %)"),
        (one(400, 0.35, 0.31, 0.4), "vs 2026Q2: down 10 points (was 35 %)"),
        (one(400, 0.27, 0.23, 0.32), "vs 2026Q2: no clear change (was 27 %; under 6 points would not show)"),
        (one(400, None), "vs 2026Q2: not comparable, no value then"),
        (one(12, 0.5, 0.25, 0.75), "vs 2026Q2: too few deals to compare"),
        (one(400, 0.25), "vs 2026Q2: no clear change (was 25 %)"),
    ],
)
def test_a_tile_gives_a_direction_only_outside_the_noise(prior, words):
    assert words in tile_text(one(400, 0.25, 0.21, 0.29), "win_rate", prior=prior).splitlines()


def test_a_tile_says_value_interval_and_n():
    said = tile_text(one(400, 0.25, 0.21, 0.29), "win_rate", target=0.35).splitlines()
    assert said == ["T", "25 %", "likely between 21 % and 29 %, n 400", "10 points below target (35 %)"]
    assert "n 0, no deals" in tile_text(one(0, None), "win_rate") and "—" in tile_text(one(0, None), "win_rate")
    assert "few deals" in tile_text(one(12, 0.5, 0.25, 0.75), "win_rate")


def test_money_without_an_interval_is_a_record_and_a_count_is_not():
    won = pd.DataFrame({"won_amount": [1_200_000.0]})
    assert "vs 2025Q3: up 20 % (was $1.0M)" in tile_text(won, "won_amount", prior_year=won / 1.2)
    few = pd.DataFrame({"won_count": [66], "n": [300]})
    assert "vs 2026Q2: no clear change (was 74; " in tile_text(few, "won_count", prior=few.assign(won_count=74))
    assert "vs 2026Q2: down 50 % (was 132)" in tile_text(few, "won_count", prior=few.assign(won_count=132))
    assert "vs 2026Q2: up from zero (was $0)" in tile_text(won, "won_amount", prior=won * 0)


def test_where_less_is_better_the_words_say_so():
    days = pd.DataFrame({"sales_cycle_days_median": [40.0]})
    assert "vs 2026Q2: down 20 % (better) (was 50 days)" in tile_text(days, "sales_cycle_days_median", prior=days + 10)


def test_a_tile_writes_its_comparisons_as_figures():
    item = report.tile("T", one(400, 0.25, 0.21, 0.29), "win_rate", prior=one(400, 0.15, 0.12, 0.19), target=0.35)
    own, prior, target = page().tiles([item]).facts["figures"]
    assert (own["value"], own["unit"], own["compared_with"]) == (0.25, "rate", None)
    assert (round(prior["value"], 9), prior["unit"], prior["compared_with"]) == (0.1, "points", "prior_period")
    assert (prior["numerator"], prior["denominator"]) == (0.25, 0.15) and 0 < prior["low"] < 0.1 < prior["high"]
    assert (round(target["value"], 9), target["compared_with"]) == (-0.1, "target")
    assert all(set(each) == set(own) for each in (prior, target))


def test_a_sparkline_needs_three_values():
    trend = pd.Series([0.2, None, 0.3, 0.25])
    html = page().tiles([report.tile("T", one(400, 0.25), "win_rate", trend=trend)]).html
    assert 'aria-label="3 periods, from 20 % to 25 %"' in html and html.count(",") >= 3
    assert "<svg" not in page().tiles([report.tile("T", one(400, 0.25), "win_rate", trend=trend.head(2))]).html


def test_a_tile_takes_one_row_of_a_metric():
    with pytest.raises(checks.ParameterError, match=r"tile: 'win_rat' is not a metric. Did you mean 'win_rate'"):
        report.tile("T", one(1, 1.0), "win_rat")
    with pytest.raises(checks.ParameterError, match=r"tile: win_rate has 3 rows. Give one row."):
        report.tile("T", rates(), "win_rate")


def test_difference_of_wilson_limits_is_newcombes_interval():
    def row(won, n):
        low, high = proportions.wilson_interval([won], [n])
        return {"win_rate": won / n, "win_rate_low": low[0], "win_rate_high": high[0]}

    found = changes.difference(row(56, 70), row(48, 80), "win_rate")
    assert found == pytest.approx(proportions.difference_interval(56, 70, 48, 80))


# Figures


def test_every_figure_equals_the_cell_it_came_from():
    made = page().table(rates(), caption="x").facts["figures"]
    assert [each["by"] for each in made] == [{"segment": "SMB"}, {"segment": None}, {"segment": "Public"}]
    assert [each["value"] for each in made] == [0.25, 0.4, None]
    smb = {
        key: made[0][key] for key in ("low", "high", "level", "n", "numerator", "denominator", "unit", "clock", "where")
    }
    assert smb == {
        "low": 0.21, "high": 0.29, "level": 0.95, "n": 400, "numerator": 100, "denominator": 400,
        "unit": "rate", "clock": "closed", "where": "amount > 10",
    }  # fmt: skip
    assert made[0]["period"] == {"label": "2026Q3", "start": "2026-07-01", "end": "2026-09-30"}
    assert made[2]["level"] is None and made[2]["n"] == 0


def test_a_period_column_sets_the_period_and_its_dates():
    frame = pd.DataFrame({"period": ["2026Q1", "earlier"], "won_amount": [1.0, 2.0]})
    found = [each["period"] for each in figures.of(frame, page().scope)]
    assert found[0] == {"label": "2026Q1", "start": "2026-01-01", "end": "2026-03-31"}
    assert found[1] == {"label": "earlier", "start": None, "end": None}


def test_labels_measures_limits_and_numerators_are_not_keys():
    frame = rates().assign(note="x", odds=1.5, n_open=3)
    assert figures.columns(frame, label="note") == figures.Columns(["segment"], ["win_rate"], ["note"])
    assert figures.columns(frame, by=["note"]).keys == ["note"]
    won = pd.DataFrame({"segment": ["SMB"], "won_count": [4]})
    assert figures.columns(won).metrics == ["won_count"], "without the rate it is a figure of its own"


def test_importing_report_loads_neither_engine_nor_questions():
    unwanted = ("salesops.e", "salesops.w", "salesops.f", "salesops.crm", "nbconvert")
    code = f"import sys, salesops.report; print([name for name in sys.modules if name.startswith({unwanted})])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "['salesops.words']"


def test_a_level_column_is_said_and_stored():
    block = page().table(rates().assign(level=0.8), caption="x")
    assert "Win rate [80 % interval]" in block.text and "Level" not in block.text
    assert [each["level"] for each in block.facts["figures"]] == [0.8, 0.8, None]


def test_a_section_left_out_is_one_line_and_the_next_one_stays():
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

    def shown(kind: str, html: str):
        return new_code_cell(
            outputs=[new_output("display_data", {"text/html": html}, metadata={"salesops": {"kind": kind}})]
        )

    cells = [
        new_markdown_cell("# Report"),
        new_markdown_cell("## Why?"),
        shown("left_out", "<p>Why? is left out</p>"),
        shown("table", "<p>an empty table</p>"),
        new_markdown_cell("How to read it."),
        new_markdown_cell("## When?"),
        shown("table", "<p>kept</p>"),
    ]
    page = report.render(new_notebook(cells=cells), {"title": "Report"})
    assert "Why? is left out" in page and "kept" in page
    assert "an empty table" not in page and "How to read it." not in page


def test_a_period_that_all_rows_share_is_left_to_the_caption():
    rates = pd.DataFrame({"segment": ["A", "B"], "period": "2026Q3", "n": [30, 40], "win_rate": [0.2, 0.3]})
    shared = toys.page().table(rates, caption="Win rate in 2026Q3")
    assert "2026Q3" not in shared.html.split("</caption>")[1]
    assert {figure["period"]["label"] for figure in shared.facts["figures"]} == {"2026Q3"}
    apart = toys.page().table(rates.assign(period=["2026Q2", "2026Q3"]), caption="x")
    assert "2026Q2" in apart.html


def test_a_table_shows_the_columns_asked_for_and_keeps_all_figures():
    frame = pd.DataFrame(
        {"segment": ["SMB"], "n": [40], "win_rate": [0.25], "value_win_rate": [0.5], "p_value": [0.01]}
    )
    block = tables.table(frame, caption="By segment", shown=["segment", "win_rate"])
    shown = unescape(block.html).replace("\xa0", " ")
    assert "25 %" in shown and "50 %" not in shown and "0.01" not in shown
    assert [each["metric"] for each in block.facts["figures"]] == ["win_rate", "value_win_rate"]
    assert block.facts["figures"][0]["by"] == {"segment": "SMB"}
    assert 'scope="col">Segment' in tables.table(frame.iloc[:0], caption="By segment", shown=["segment"]).html
    with pytest.raises(KeyError, match="segment"):  # no rows are no reason to lack a column
        tables.table(frame.iloc[:0][["n"]], caption="By segment", shown=["segment"])


def test_an_estimate_that_is_no_metric_is_refused_by_name():
    frame = rates().rename(columns=lambda name: name.replace("win_rate", "luck_rate"))
    for rows in (frame, frame.iloc[:0]):
        with pytest.raises(ValueError, match=r"^luck_rate: no metric\. Define it in the docstring of the function"):
            tables.table(rows, caption="By segment")
    plain = frame.drop(columns=["luck_rate_low", "luck_rate_high"])
    assert "Luck rate" in tables.table(plain, caption="By segment").html


def test_a_bar_in_a_cell_is_its_value_on_the_scale_of_the_column():
    frame = pd.DataFrame({"step": list("abc"), "n": [40, 10, 0], "win_rate": [0.5, None, 0.25],
                          "win_rate_low": [0.4, None, 0.1], "win_rate_high": [0.6, None, 0.3]})  # fmt: skip
    block = page().table(frame, caption="t", bars=["n", "win_rate"])
    cells = re.findall(r"<td>(.*?)</td>", block.html)
    widths = [re.findall(r'rect x="([\d.]+)" width="([\d.]+)"', cell) for cell in cells]
    assert widths == [[("0", "72")], [("0", "60")], [("0", "18")], [], [("0", "0")], [("0", "30")]]
    assert "M48 5H72" in cells[1] and "path" not in cells[0] and "<rect" not in cells[3]
    assert block.text == page().table(frame, caption="t").text and 'aria-hidden="true"' in cells[0]


def test_a_bar_below_zero_ends_at_zero():
    frame = pd.DataFrame({"moved": [30.0, -10.0]})
    drawn = [tables.bar(row, "moved", frame) for row in frame.to_dict("records")]
    assert 'x="18" width="54"' in drawn[0] and 'x="0" width="18"' in drawn[1]
    assert "rect" not in tables.bar({"moved": None}, "moved", pd.DataFrame({"moved": [None, None]}))


def test_bars_of_a_column_that_is_not_there_are_refused():
    with pytest.raises(checks.DataError, match="nowhere"):
        page().table(rates(), caption="t", bars=["nowhere"])


def test_a_section_nobody_asked_for_is_no_gap():
    made = page()
    assert made.asks("Did it work?", "2026-01-01", "give change_date.").html == ""
    block = made.asks("Did it work?", None, "give change_date.")
    assert block.kind == "left_out" and not block.facts and "was not asked: give change_date." in block.html
