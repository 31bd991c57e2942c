"""What is made beside a page, opened with other programs than wrote it: its figures are the figures file's."""

import email
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from datetime import date, datetime
from email.policy import default
from pathlib import Path

import engine_toys
import openpyxl
import pandas as pd
import pptx
import pytest

from salesops import cli, crm, metrics, words
from salesops.checks import ParameterError, SalesopsError
from salesops.engine import exports, pdf, plan, printed, publish, run, workbook, zipped
from salesops.report import chart_data, charts, figure_key, figures

DAY, NAME = "2026-09-30", "alpha"
FORMULA = '=HYPERLINK("https://evil.example","pay")'
OFFICE = next((found for name in ("soffice", "libreoffice") if (found := shutil.which(name))), None)
CHROMIUM = next((found for name in pdf.BROWSERS if (found := shutil.which(name))), None)
ALL = exports.Wanted(
    xlsx=True, pptx=True, email=True, base_url="https://reports.example/sales/", readers=("a@example.com", "b@example.com"),
    owner="o@example.com",
)  # fmt: skip

FINDINGS = """
import pandas as pd
from salesops import periods
from salesops.report import charts, figures
scope = figures.Scope(period=periods.resolve("2026Q3", as_of=as_of), currency="USD", where=where, as_of=as_of)
rates = pd.DataFrame({"segment": ["=SMB", "Public", None], "n": [40, 30, 0], "won_count": [11, 6, 0],
                      "win_rate": [0.275, 0.2, None], "win_rate_low": [0.16142800000000004, 0.0951, None],
                      "win_rate_high": [0.4283, 0.3731, None]})
trend = pd.DataFrame({"period": ["2026Q1", "2026Q2", "2026Q3"], "won_amount": [1250000.25, 99000.5, 2100000.75]})
"""
BARS = 'charts.rate_dots(rates, rate="win_rate", by="segment", title="No segment wins more often <b>", scope=scope)'
LINES = 'charts.lines(trend, value="won_amount", title="Bookings rose & fell", scope=scope)'


def company(source="sample", **options):
    """The toys' company with a deal named like a formula."""
    found = engine_toys.company(source, **options)
    named = {"D1": FORMULA, "D2": "@SUM(A1)"}
    for deals in (found.opportunities, found.all_opportunities):
        deals["name"] = deals["opportunity_id"].map(named).fillna(deals["name"]).astype("str")
    return found


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    engine_toys.notebook(
        folder / "notebooks" / f"{NAME}.ipynb", cells=(engine_toys.SAY, FINDINGS, BARS, LINES)
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def made(root):
    """The dated folder of one run that asked for a workbook, slides and mails, and what it said."""
    told: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crm, "load", company)
        code = run.run(plan.Request(root=root, out=root / "out", wanted=ALL), told.append)
    assert code == 0, told
    return root / "out" / DAY


@pytest.fixture
def copy(made, tmp_path):
    """The report's own files alone, to make more from."""
    for ending in publish.ORDER:
        shutil.copy(made / f"{NAME}{ending}", tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def document(made):
    return json.loads((made / f"{NAME}.json").read_text(encoding="utf-8"))


def again(folder: Path, wanted: exports.Wanted = ALL, other=None) -> list[str]:
    return exports.write(wanted, folder, NAME, other or company(), at=f"{DAY}/{NAME}.html")


def table(path: Path, sheet: str) -> list[dict]:
    rows = list(openpyxl.load_workbook(path)[sheet].iter_rows())
    heads = [cell.value for cell in rows[0]]
    return [dict(zip(heads, row, strict=True)) for row in rows[1:]]


def pages(path: Path, to: Path) -> int:
    """How many pages LibreOffice prints of a file."""
    command = [OFFICE, f"-env:UserInstallation={(to / 'profile').as_uri()}", "--headless", "--convert-to", "pdf"]
    subprocess.run([*command, "--outdir", str(to), str(path)], check=True, capture_output=True, timeout=180)
    content = (to / f"{path.stem}.pdf").read_bytes()
    return len(re.findall(rb"/Type\s*/Page\b", content)) if content.startswith(b"%PDF-") else 0


def mail_of(path: Path):
    return email.message_from_bytes(path.read_bytes(), policy=default)


# the workbook


def test_every_figure_of_the_workbook_is_the_figures_files_to_the_last_digit(made, document):
    rows = table(made / f"{NAME}.xlsx", "Figures")
    known = {figure_key(figure): figure for figure in document["figures"]}
    assert {row["Key"].value for row in rows} == set(known) and len(rows) == len(known) >= 7
    for row in rows:
        figure = known[row["Key"].value]
        for head in ("Value", "Low", "High", "Level", "n", "Numerator", "Denominator"):
            assert row[head].value == figure[head.lower()], (row["Key"].value, head)
            assert row[head].value is None or row[head].data_type == "n"
    assert any(row["Value"].value is None for row in rows) and any(row["Low"].value is not None for row in rows)


def test_numbers_have_the_format_of_their_unit_and_days_are_days(made):
    rows = {row["Key"].value: row for row in table(made / f"{NAME}.xlsx", "Figures")}
    rate, won = rows["win_rate.segment-Public.2026Q3"], rows["won_amount.2026Q3"]
    assert (rate["Value"].number_format, rate["Level"].number_format, rate["n"].number_format) == (
        "0.0 %",
        "0 %",
        "#,##0",
    )
    assert won["Value"].number_format == '"$"#,##0' and won["Shown as"].value == "$2,100,001"
    assert won["Period start"].value == datetime(2026, 7, 1) and won["Period start"].is_date


def test_a_workbook_follows_the_locale(copy):
    euros = json.loads((copy / f"{NAME}.json").read_text()) | {"currency": "EUR"}
    (copy / f"{NAME}.json").write_text(json.dumps(euros))
    with words.written_in("de"):
        assert again(copy) == []
    [won] = [row for row in table(copy / f"{NAME}.xlsx", "Figures") if row["Key"].value == "won_amount.2026Q3"]
    assert (won["Value"].number_format, won["Shown as"].value) == ('#,##0" €"', "2.100.001 €")
    deck = pptx.Presentation(copy / f"{NAME}.pptx")
    [bars] = [shape.chart for shape in deck.slides[1].shapes if shape.has_chart]
    assert next(iter(bars.plots[0].categories)) == "=SMB: 28 % [16–43]"


def test_what_looks_like_a_formula_is_a_text_and_stays_one(made):
    for sheet, head, text in (("Deals", "Name", FORMULA), ("Deals", "Name", "@SUM(A1)")):
        [cell] = [row[head] for row in table(made / f"{NAME}.xlsx", sheet) if row[head].value == text]
        assert cell.data_type == "s" and cell.quotePrefix
    with zipfile.ZipFile(made / f"{NAME}.xlsx") as parts:
        assert not any(b"<f>" in parts.read(name) or b"<f " in parts.read(name) for name in parts.namelist())


def test_the_deals_of_the_workbook_are_those_of_the_lists(made):
    lists = pd.read_parquet(made / f"{NAME}.deals.parquet")
    rows = {row["Deal"].value: row for row in table(made / f"{NAME}.xlsx", "Deals")}
    assert list(rows) == ["D2", "D1"] and set(rows) == set(lists["opportunity_id"])  # the largest first
    assert (rows["D1"]["Amount"].value, rows["D1"]["Owner"].value, rows["D2"]["Owner"].value) == (100, "Ann & Co", "R2")
    assert rows["D1"]["Close date"].value == datetime(2026, 7, 5)
    assert rows["D1"]["Record"].hyperlink.target == "https://crm.example/D1" and rows["D2"]["Record"].value is None
    lines = [(row["Key"].value, row["Deal"].value) for row in table(made / f"{NAME}.xlsx", "Deals by figure")]
    assert lines == list(lists.itertuples(index=False, name=None))


def test_a_workbook_of_many_deals_says_what_it_leaves_out(copy, monkeypatch):
    monkeypatch.setattr(workbook, "MAX_DEALS", 1)
    assert again(copy) == []
    assert [row["Deal"].value for row in table(copy / f"{NAME}.xlsx", "Deals")] == ["D2"]
    said = [cell.value for row in openpyxl.load_workbook(copy / f"{NAME}.xlsx")["Summary"].iter_rows() for cell in row]
    assert any(str(text).startswith("The 1 largest of 2 deals") for text in said)


def test_definitions_are_the_docstrings(made):
    rows = {row["Name"].value: row for row in table(made / f"{NAME}.xlsx", "Definitions")}
    assert set(rows) == {"win_rate", "won_amount"}
    for name, row in rows.items():
        assert row["Definition"].value == metrics.registry()[name].definition


@pytest.mark.parametrize(
    ("unit", "value", "shown"),
    [("points", -0.02, '+0.0 %;"−"0.0 %;0.0 %'), ("days", 3, "#,##0.0"), (None, 1, "General")],
)
def test_number_formats(unit, value, shown):
    assert workbook.number_format(unit, value, "USD") == shown


# the slides


def test_each_finding_has_a_slide_whose_chart_holds_the_figures(made, document):
    deck = pptx.Presentation(made / f"{NAME}.pptx")
    titles = [slide.shapes.title.text for slide in deck.slides]
    assert titles == ["Toy report", "No segment wins more often <b>", "Bookings rose & fell"]
    known = {figure_key(figure): figure["value"] for figure in document["figures"]}
    bars, lines = (next(shape for shape in slide.shapes if shape.has_chart) for slide in list(deck.slides)[1:])
    found = {
        figure["by"].get("segment"): figure["value"] for figure in document["figures"] if "segment" in figure["by"]
    }
    assert (
        list(bars.chart.plots[0].series[0].values)
        == [found["=SMB"], found["Public"], found[None]]
        == [0.275, 0.2, None]
    )
    assert list(lines.chart.plots[0].series[0].values) == [known[f"won_amount.2026Q{number}"] for number in (1, 2, 3)]
    assert list(lines.chart.plots[0].categories) == ["2026Q1", "2026Q2", "2026Q3"]
    assert bars._element.nvGraphicFramePr.cNvPr.get("descr").startswith("No segment wins")


def test_a_chart_can_be_edited_as_its_numbers_lie_in_it(made):
    deck = pptx.Presentation(made / f"{NAME}.pptx")
    [lines] = [shape.chart for shape in deck.slides[2].shapes if shape.has_chart]
    book = openpyxl.load_workbook(io.BytesIO(lines.part.chart_workbook.xlsx_part.blob))
    assert [row[1] for row in book.active.iter_rows(min_row=2, values_only=True)] == [1250000.25, 99000.5, 2100000.75]


def test_intervals_are_drawn_inside_the_axis(made):
    deck = pptx.Presentation(made / f"{NAME}.pptx")
    [bars] = [shape.chart for shape in deck.slides[1].shapes if shape.has_chart]
    found = bars.plots[0].series[0]._element.find(".//{*}errBars")
    above, below = ([float(each.text) for each in found.iterfind(f"{{*}}{side}//{{*}}v")] for side in ("plus", "minus"))
    assert above == pytest.approx([0.4283 - 0.275, 0.3731 - 0.2]) and below == pytest.approx(
        [0.275 - 0.161428, 0.2 - 0.0951]
    )
    assert bars.value_axis.maximum_scale >= 0.4283 and bars.value_axis.minimum_scale == 0


def test_notes_define_what_is_measured(made):
    deck = pptx.Presentation(made / f"{NAME}.pptx")
    said = deck.slides[1].notes_slide.notes_text_frame.text
    assert metrics.registry()["win_rate"].definition in said and "win_rate = won_count ÷ n." in said
    assert f"https://reports.example/sales/{DAY}/{NAME}.html" in said


def test_a_finding_without_numbers_shows_the_table_of_the_page(copy):
    content = json.loads((copy / f"{NAME}.json").read_text()) | {"findings": []}
    (copy / f"{NAME}.json").write_text(json.dumps(content))
    assert again(copy, ALL._replace(email=False)) == []
    deck = pptx.Presentation(copy / f"{NAME}.pptx")
    [shown] = [shape.table for shape in deck.slides[2].shapes if shape.has_table]
    assert [shown.cell(row, 0).text for row in range(4)] == ["Period", "2026Q1", "2026Q2", "2026Q3"]


# the mails


def test_the_readers_mail_has_text_and_tiles_and_nothing_that_runs_or_loads(made):
    mail = mail_of(made / f"{NAME}.eml")
    plain, html = (mail.get_body((kind,)).get_content() for kind in ("plain", "html"))
    page = (made / f"{NAME}.html").read_text(encoding="utf-8")
    for sentence in json.loads((made / f"{NAME}.json").read_text())["headlines"]:
        assert sentence in plain and sentence.replace("<", "&lt;").replace(">", "&gt;") in html
    for tile in printed.tiles(page):
        assert tile.title in plain and tile.value in plain and tile.value in html
    assert not re.search(r"<script|<img|<link|src=|@import|url\(|javascript:", html)
    assert re.findall(r'href="([^"]+)"', html) == [f"https://reports.example/sales/{DAY}/{NAME}.html"]
    assert (mail["To"], mail["X-Unsent"], mail["Date"], mail["From"]) == (
        "a@example.com, b@example.com",
        "1",
        None,
        None,
    )


def test_readers_and_owner_have_mails_apart(made):
    readers, owner = mail_of(made / f"{NAME}.eml"), mail_of(made / f"{NAME}.owner.eml")
    assert owner["To"] == "o@example.com" and "o@example.com" not in readers.as_string()
    body = owner.get_body(("plain",)).get_content()
    assert "opportunities.amount, negative amount: 1" in body and "opportunities, 3 rows" in body
    assert "negative amount" not in readers.as_string()


def test_the_pdf_goes_with_the_readers_mail(copy):
    (copy / f"{NAME}.pdf").write_bytes(b"%PDF-1.4 toy")
    assert again(copy) == []
    [attached] = list(mail_of(copy / f"{NAME}.eml").iter_attachments())
    assert (attached.get_content_type(), attached.get_filename()) == ("application/pdf", f"{NAME}.pdf")
    assert attached.get_content() == b"%PDF-1.4 toy"
    assert not list(mail_of(copy / f"{NAME}.owner.eml").iter_attachments())


def test_without_an_address_the_mail_names_the_file(copy):
    assert again(copy, exports.Wanted(email=True)) == []
    mail = mail_of(copy / f"{NAME}.eml")
    assert f"the file {NAME}.html" in mail.get_body(("plain",)).get_content() and mail["To"] is None
    assert "href" not in mail.get_body(("html",)).get_content()


# all of them


def test_the_same_report_gives_the_same_bytes_at_another_time(made, copy):
    time.sleep(2.1)  # an archive's clock goes by twos
    assert again(copy) == []
    for ending in (".xlsx", ".pptx", ".eml", ".owner.eml"):
        assert (copy / f"{NAME}{ending}").read_bytes() == (made / f"{NAME}{ending}").read_bytes(), ending
    for ending in (".xlsx", ".pptx"):
        with zipfile.ZipFile(copy / f"{NAME}{ending}") as parts:
            assert {part.date_time for part in parts.infolist()} == {(1980, 1, 1, 0, 0, 0)}
            assert set(re.findall(rb">(\d{4}-\d\d-\d\dT[^<]+)<", parts.read("docProps/core.xml"))) == {
                b"2026-09-30T00:00:00Z"
            }


def test_what_is_hidden_on_the_page_is_hidden_in_every_file(copy):
    hidden = company()
    hidden.unnamed = lambda text: text.replace("Ann & Co", "not shown")
    hidden.hides = lambda text: "Ann & Co" in text
    assert again(copy, other=hidden) == []
    said = zipped.text(copy / f"{NAME}.xlsx")
    assert "Ann & Co" not in said and "not shown" in said and "Ann & Co" in zipped.text(made_with_names(copy))


def made_with_names(folder: Path) -> Path:
    assert again(folder) == []
    return folder / f"{NAME}.xlsx"


def test_a_file_that_shows_a_hidden_person_is_not_made(copy):
    hidden = company()
    hidden.hides = lambda text: "Beta" in text or "@SUM" in text  # and nothing takes it out
    told = again(copy, other=hidden)
    assert told == [f"{NAME}.xlsx was not made: it shows a person who may not be shown to its readers."]
    assert not (copy / f"{NAME}.xlsx").exists() and (copy / f"{NAME}.pptx").exists()


def test_a_file_that_cannot_be_made_leaves_nothing_and_the_page_is_published(root, tmp_path, monkeypatch):
    def halfway(_, to):
        to.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(crm, "load", company)
    monkeypatch.setattr(workbook, "write", halfway)
    told: list[str] = []
    code = run.run(plan.Request(root=root, out=tmp_path, wanted=ALL), told.append)
    assert code == 1 and told[0].endswith(f"\n  {NAME}.xlsx was not made: OSError: disk full")
    names = {path.name for path in (tmp_path / DAY).iterdir()}
    assert f"{NAME}.xlsx" not in names and {f"{NAME}{ending}" for ending in (".html", ".pptx", ".eml")} <= names
    assert (tmp_path / "latest" / f"{NAME}.pptx").exists() and not (tmp_path / "latest" / f"{NAME}.xlsx").exists()


def test_no_file_outlives_the_page_it_was_made_from(made, tmp_path):
    folder, staged = tmp_path / DAY, tmp_path / "staged"
    shutil.copytree(made, folder)
    for page, kept in ((b"", True), (b"<!-- another -->", False)):
        staged.mkdir(exist_ok=True)
        for ending in publish.ORDER:
            shutil.copy(made / f"{NAME}{ending}", staged)
        (staged / f"{NAME}.html").write_bytes((made / f"{NAME}.html").read_bytes() + page)
        publish.into_place(staged, folder, NAME)
        assert (folder / f"{NAME}.xlsx").exists() is kept and (folder / f"{NAME}.eml").exists() is kept


def test_a_run_that_asks_for_none_imports_nothing_of_them():
    asked = "import sys, salesops.cli, salesops.engine.run; print(sorted({'xlsxwriter', 'pptx', 'openpyxl', 'salesops.engine.mail', 'salesops.engine.slides'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (exports.Wanted(base_url="reports.example"), "--base-url: 'reports.example' is no web address"),
        (exports.Wanted(base_url="javascript:alert(1)"), "--base-url: "),
        (exports.Wanted(readers=("ann",)), "--readers: 'ann' is no mail address"),
        (exports.Wanted(owner="a@b\nBcc: c@d"), "--owner: "),
    ],
)
def test_what_is_no_address_is_said(wanted, said):
    with pytest.raises(ParameterError, match=re.escape(said)):
        exports.require(wanted)


def test_without_a_browser_a_pdf_is_refused_before_anything_runs(root, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    arguments = ["run", "--pdf", "--root", str(root), "--out", str(tmp_path / "out")]
    assert cli.main(arguments) == 2
    assert "--pdf: none of chromium, " in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_the_command_line_hands_every_flag_on(monkeypatch):
    asked = []
    monkeypatch.setattr(run, "run", lambda request, *_, **__: asked.append(request.wanted) or 0)
    flags = "--pdf --xlsx --pptx --email --base-url https://r.example --readers a@b,c@d --owner o@b"
    assert cli.main(["run", *flags.split()]) == 0 and cli.main(["run"]) == 0
    whole = exports.Wanted(True, True, True, True, "https://r.example", ("a@b", "c@d"), "o@b")
    assert asked == [whole, exports.Wanted()]


# what a chart draws


def test_rows_told_apart_by_two_keys_are_series():
    frame = pd.DataFrame(
        {"period": ["Q1", "Q1", "Q2"], "segment": ["SMB", "Public", "SMB"], "won_amount": [1.5, 2.0, 3.0]}
    )
    found = chart_data.of(frame, {"won_amount": "amount"})
    assert found["labels"] == ["Q1", "Q2"] and found["is_time"]
    assert [(each["name"], each["values"]) for each in found["series"]] == [
        ("SMB", [1.5, 3.0]),
        ("Public", [2.0, None]),
    ]


def test_columns_of_one_unit_are_series_and_limits_are_none():
    frame = pd.DataFrame(
        {"period": ["Q1", "Q2"], "win_rate": [0.2, 0.3], "win_rate_low": [0.1, 0.2], "mean_rate": 0.25, "n": [4, 5]}
    )
    found = chart_data.of(frame, {"win_rate": "rate", "win_rate_low": "rate", "mean_rate": "rate", "n": "count"})
    assert [(each["name"], each["values"], each["low"]) for each in found["series"]] == [
        ("Win rate", [0.2, 0.3], [0.1, 0.2]), ("Mean rate", [0.25, 0.25], [None, None]),
    ]  # fmt: skip


def test_of_many_bars_the_first_are_drawn_and_the_rest_counted():
    frame = pd.DataFrame({"reason": [f"r{number}" for number in range(50)], "won_amount": 1.0})
    found = chart_data.of(frame, {"won_amount": "amount"})
    assert len(found["labels"]) == chart_data.MAX_BARS and found["rows_left_out"] == 50 - chart_data.MAX_BARS


def test_what_is_withheld_is_not_handed_on_in_numbers():
    frame = pd.DataFrame({"segment": ["SMB", "Public"], "n": [9, 9], "win_rate": [0.123, 0.2]})
    shown = charts.rate_dots(frame, rate="win_rate", by="segment", title="One")
    hidden = charts.rate_dots(
        frame, rate="win_rate", by="segment", title="One", scope=figures.Scope(withheld={"is_won": "faulty"})
    )
    assert shown.facts["finding"]["series"][0]["values"] == [0.123, 0.2] and "0.123" not in str(hidden.facts)


# other programs


@pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not installed: no page was printed. Debian: apt-get install chromium"
)
def test_the_page_prints_and_twice_the_same(made, tmp_path):
    page = (made / f"{NAME}.html").read_text(encoding="utf-8")
    for name in ("one.pdf", "two.pdf"):
        pdf.write(page, tmp_path / name, day=DAY, address="https://reports.example/x/alpha.html")
        time.sleep(1.1)
    content = (tmp_path / "one.pdf").read_bytes()
    assert content.startswith(b"%PDF-") and content == (tmp_path / "two.pdf").read_bytes()
    assert b"(D:20260930000000+00'00')" in content and b"file:" not in content and str(tmp_path).encode() not in content
    assert set(re.findall(rb"/URI \(([^)#]+)", content)) == {b"https://reports.example/x/alpha.deals.html"}
    assert {tuple(box.split()[2:]) for box in re.findall(rb"/MediaBox \[([^\]]+)\]", content)} <= {
        (b"594.95996", b"841.91998"),
        (b"595", b"842"),
        (b"594.96", b"841.92"),
    }


def test_a_browser_that_prints_nothing_is_said(tmp_path, monkeypatch):
    mute = tmp_path / "chromium"
    mute.write_text("#!/bin/sh\necho no display >&2\nexit 3\n")
    mute.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    with pytest.raises(SalesopsError, match=r"gave no PDF \(exit code 3\): no display"):
        pdf.write("<html><head></head></html>", tmp_path / "x.pdf", day=DAY)
    assert not (tmp_path / "x.pdf").exists()


@pytest.mark.skipif(
    OFFICE is None,
    reason="LibreOffice is not installed: no workbook or slide was opened by it. Debian: libreoffice-calc, libreoffice-impress",
)
@pytest.mark.parametrize("ending", [".xlsx", ".pptx"])
def test_libreoffice_opens_it_and_prints_it(made, tmp_path, ending):
    assert pages(made / f"{NAME}{ending}", tmp_path) >= 3


def test_the_toys_date_is_the_reports():
    assert company().as_of == date.fromisoformat(DAY)
