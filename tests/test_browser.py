"""The published pages as a reader opens them: a browser, no network, any width, paper, a keyboard."""

import json
import os
import re
import shutil
from html import unescape
from pathlib import Path

import pytest

from salesops.engine import plan, run
from salesops.report import captions

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
ROOT = Path(__file__).resolve().parents[1]
WIDTHS = (360, 768, 1440)
A4 = {"width": 673, "height": 986}  # pixels between the margins of page.css

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not installed: no page was opened. Debian: apt-get install chromium"
)


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    """The quarterly pack of the sample, published; the folder may be given to look at one made before."""
    given = os.environ.get("SALESOPS_TEST_PACK")
    if given:
        return Path(given)
    out = tmp_path_factory.mktemp("pack")
    told = []
    assert run.run(plan.Request(root=ROOT, out=out), told.append) == 0, told
    return out


@pytest.fixture(scope="module")
def pages(pack):
    found = sorted(path for path in pack.rglob("*.html") if not path.is_symlink())  # each once
    assert len(found) > 8, found
    return found


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


def opened(browser, path, **options):
    """A page in a context without network, and the addresses it asked for."""
    context = browser.new_context(offline=True, **options)
    page = context.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    return page, asked


def reports(pages):
    return [path for path in pages if not path.name.endswith(".deals.html")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_barrier(browser, pages, scheme):
    from axe_playwright_python.sync_playwright import Axe

    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa"]}
    if scheme == "dark":  # the same page in other colours
        rules = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
    found = {}
    lists = [path for path in pages if path.name == "leads.deals.html" or path.name == "data_quality.deals.html"]
    for path in [
        *reports(pages),
        *(lists if scheme == "light" else []),
    ]:  # of the lists, alike but for length, the shortest
        page, _ = opened(browser, path, color_scheme=scheme, viewport={"width": 1280, "height": 900})
        result = Axe().run(page, options=rules)
        if result.violations_count:
            found[path.name] = [
                (each["id"], len(each["nodes"]), each["nodes"][0]["html"][:200])
                for each in result.response["violations"]
            ]
        page.context.close()
    assert not found


def test_pages_are_small(pages):
    for path in reports(pages):
        text = path.read_text(encoding="utf-8")
        charts = sum(len(figure.encode()) for figure in re.findall(r"<figure.*?</figure>", text, flags=re.DOTALL))
        assert len(text.encode()) <= 500_000, path.name
        assert len(text.encode()) - charts <= 100_000, f"{path.name}: {len(text.encode()) - charts} bytes beyond charts"


def test_titles_are_short(pages):
    """Of the sample: on other data a few words more are no reason to publish nothing."""
    for path in (path for path in reports(pages) if path.with_suffix(".json").exists()):
        figures = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["figures"]
        names = {name for figure in figures for name in figure["by"].values() if isinstance(name, str) and " " in name}
        titles = re.findall(r'<p class="so-chart-title">(.*?)</p>', path.read_text(encoding="utf-8"))
        long = [title for title in map(unescape, titles) if captions.length(title, names) > captions.MOST_WORDS]
        assert not long, f"{path.name}: {long}"


def test_pages_ask_the_network_for_nothing(browser, pages):
    for path in pages:
        page, asked = opened(browser, path)
        assert asked == [path.as_uri()], f"{path.name} asked for {asked[1:4]}"
        page.context.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_overflows(browser, pages, width):
    for path in pages:
        page, _ = opened(browser, path, viewport={"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{path.name} is wider than {width} px"
        page.context.close()


def test_text_is_large_enough_on_a_phone(browser, pages):
    for path in reports(pages):
        page, _ = opened(browser, path, viewport={"width": 360, "height": 800})
        size = page.evaluate(
            "Math.min(...[...document.querySelectorAll('.so-headline li, .so-prose p')].map(e => parseFloat(getComputedStyle(e).fontSize)), 99)"
        )
        assert size >= 16, f"{path.name}: {size} px"
        page.context.close()


def test_no_chart_is_split_in_print(browser, pages):
    for path in reports(pages):
        page, _ = opened(browser, path, viewport=A4)
        page.emulate_media(media="print")
        charts = page.evaluate(
            "[...document.querySelectorAll('figure.so-chart, .so-tile')]"
            ".map(e => [e.offsetHeight, getComputedStyle(e).breakInside])"
        )
        split = [chart for chart in charts if chart[0] > A4["height"] or chart[1] != "avoid"]
        assert not split, f"{path.name}: {split}"
        heads = page.evaluate("[...document.querySelectorAll('thead')].map(e => getComputedStyle(e).display)")
        assert set(heads) <= {"table-header-group"}, path.name
        assert page.evaluate("document.documentElement.scrollWidth") <= A4["width"], f"{path.name} is wider than paper"
        page.context.close()


def test_the_contents_work_by_keyboard(browser, pages):
    for path in reports(pages):
        page, _ = opened(browser, path)
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.evaluate("location.hash") == "#content", f"{path.name}: the first stop is not the skip link"
        links = page.locator(".so-contents a")
        if links.count():
            links.last.focus()
            page.keyboard.press("Enter")
            aim = page.evaluate("document.getElementById(location.hash.slice(1)).getBoundingClientRect().top")
            assert 0 <= aim < 900, f"{path.name}: the link leads to {aim} px"
        page.context.close()


def test_pages_read_without_scripts(browser, pages):
    for path in reports(pages):
        page, _ = opened(browser, path, java_script_enabled=False)
        assert len(page.locator("main").inner_text()) > 40, path.name
        for title in page.locator("main h2").all():
            assert title.is_visible(), path.name
        page.context.close()


def test_every_linked_figure_opens_the_list_of_its_deals(pages):
    seen = 0
    for path in reports(pages):
        lists = path.with_suffix("").with_suffix(".deals.html")
        if not lists.exists():
            continue
        names = set(re.findall(r'\bid="([^"]+)"', lists.read_text(encoding="utf-8")))
        wanted = re.findall(r'<a href="[^"#]*\.deals\.html#([^"]+)"', path.read_text(encoding="utf-8"))
        assert set(wanted) <= names, f"{path.name}: {sorted(set(wanted) - names)[:3]}"
        seen += len(wanted)
    assert seen > 50
