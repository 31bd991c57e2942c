"""Every report made of a company whose every text is hostile: texts stay texts in every file."""

import csv
import io
import re
import shutil
import subprocess
import sys
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import hostile
import nbformat
import openpyxl
import pytest
from bs4 import BeautifulSoup
from pptx import Presentation
from pptx.util import Emu

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def pack(tmp_path_factory) -> Path:
    """The folder of the published packs, with workbooks, slides and mails."""
    folder = tmp_path_factory.mktemp("hostile_pack")
    source = hostile.company(folder)
    asked = [
        f"source={source}",
        "--xlsx",
        "--pptx",
        "--email",
        "--owner",
        "o@example.com",
        "--readers",
        "r@example.com",
    ]
    command = [sys.executable, "-m", "salesops", "run", "--out", str(folder / "out"), "-p", *asked]
    for n, more in ((10, []), (1, ["--parameters", "parameters/weekly.yaml"])):
        told = subprocess.run([*command, *more], cwd=Path(__file__).parents[1], capture_output=True, text=True)
        assert told.returncode == 0 and told.stderr.count(": ok, ") == n, told.stderr
    (day,) = (folder / "out").glob("20*")
    return day


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_pages_hold_texts_alone(pack):
    pages = [*pack.glob("*.html"), pack.parent / "index.html"]
    assert len(pages) == 24  # eleven reports, their lists of deals, two indexes
    shown = " ".join(hostile.inert(read(path)).get_text() for path in pages)
    flat = " ".join(shown.split())
    missing = [text for text in hostile.EVIL if " ".join(text[:400].split()) not in flat]
    assert missing == []


def test_notebooks_hold_texts_alone(pack):
    paths = [*pack.glob("*.ipynb")]
    assert len(paths) == 11
    for path in paths:
        for cell in nbformat.read(path, as_version=4).cells:
            for output in cell.get("outputs", []):
                hostile.inert(output.get("data", {}).get("text/html", ""))
                assert "application/javascript" not in output.get("data", {})


def test_csv_files_hold_no_formula(pack):
    texts = [
        text for path in pack.glob("*.html") for text in hostile.downloads(BeautifulSoup(read(path), "html.parser"))
    ]
    cells = [cell for text in texts for row in csv.reader(io.StringIO(text)) for cell in row]
    risky = [cell for cell in cells if cell[:1] in ("=", "+", "@", "\t", "\r") or re.match(r"-[^\d.]|-\d+[+*/-]", cell)]
    assert len(texts) > 30 and risky == []


def test_workbooks_hold_no_formula(pack):
    paths = [*pack.glob("*.xlsx")]
    cells = [
        cell for path in paths for sheet in openpyxl.load_workbook(path) for row in sheet.iter_rows() for cell in row
    ]
    assert len(paths) == 11 and any("HYPERLINK" in str(cell.value) for cell in cells)
    assert [cell.value for cell in cells if cell.data_type == "f"] == []
    targets = [cell.hyperlink.target or "" for cell in cells if cell.hyperlink]
    assert [each for each in targets if not each.startswith(("http://", "https://", "#")) and each] == []


def test_slides_hold_texts_and_links_to_their_own_pages_alone(pack):
    paths = [*pack.glob("*.pptx")]
    assert len(paths) == 11
    for path in paths:
        deck = Presentation(path)
        shapes = [shape for slide in deck.slides for shape in slide.shapes]
        runs = [
            run for shape in shapes if shape.has_text_frame for para in shape.text_frame.paragraphs for run in para.runs
        ]
        links = [run.hyperlink.address for run in runs if run.hyperlink.address]
        links += [shape.click_action.hyperlink.address or "" for shape in shapes if shape.has_text_frame]
        assert [each for each in links if re.match(r"\s*(javascript|vbscript|file|data):", each, re.IGNORECASE)] == []
        kinds = {rel.reltype.rsplit("/", 1)[-1] for slide in deck.slides for rel in slide.part.rels.values()}
        assert kinds <= {"slideLayout", "chart", "image", "hyperlink", "notesSlide"}
        assert all(shape.left is None or shape.left + shape.width <= Emu(deck.slide_width) + 10 for shape in shapes)


def test_slides_show_hostile_groups_in_charts(pack):
    deck = Presentation(pack / "win_loss.pptx")
    charts = [shape.chart for slide in deck.slides for shape in slide.shapes if getattr(shape, "has_chart", False)]
    names = [str(name) for chart in charts for plot in chart.plots for name in plot.categories]
    assert any("<script>" in name or "=HYPERLINK" in name or "%s%n" in name for name in names), names


def test_mails_hold_texts_alone(pack):
    paths = [*pack.glob("*.eml")]
    assert len(paths) == 22
    for path in paths:
        message = message_from_bytes(path.read_bytes(), policy=default)
        assert set(message.keys()) <= {"Subject", "To", "X-Unsent", "MIME-Version", "Content-Type"}
        hostile.inert(message.get_body(("html",)).get_content())


def test_files_have_plain_names_and_stay_in_their_folder(pack):
    names = [path.name for path in pack.parent.rglob("*")]
    assert [name for name in names if not re.fullmatch(r"[A-Za-z0-9._-]+", name)] == []
    assert {path.name for path in pack.parent.parent.iterdir()} == {"plain", "exports", "out"}


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: no page was opened")
def test_a_browser_shows_texts_and_runs_none(pack):
    from playwright.sync_api import sync_playwright

    acting = "document.querySelectorAll('[onerror],[onload],[onclick],svg[onload],img[src=x]').length"
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_context(offline=True).new_page()
        dialogs, asked = [], []
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: asked.append(request.url))
        for path in sorted(pack.glob("*.html")):
            page.goto(path.as_uri())
            page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
            page.wait_for_timeout(150)
            assert page.evaluate("window.hacked") is None, path.name
            assert page.evaluate(acting) == 0, path.name
        assert dialogs == [] and [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
        browser.close()
