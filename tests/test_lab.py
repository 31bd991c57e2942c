"""The analyst's desk: every notebook runs in JupyterLab as it stands, looks like its page and leaves Lab alone."""

import html
import importlib
import inspect
import pkgutil

import nbformat
import pytest
import report_toys
from conftest import ROOT
from test_browser import CHROMIUM, browser  # noqa: F401

import salesops
from salesops import metrics, report

pytest.importorskip("jupyterlab", reason="JupyterLab is not installed: no notebook was opened in it. Run: make test")
import lab
from IPython.core import oinspect

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not installed: JupyterLab was not opened. Debian: apt-get install chromium"
)

QUICK = ("leads", "waterfall")
NOTEBOOKS = [
    pytest.param(path.stem, marks=[] if path.stem in QUICK else pytest.mark.full)
    for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
]
ALIKE = (  # what a reader compares
    ".so-headline li", ".so-headline li:first-child", ".so-tile", ".so-tile-title", ".so-tile-value",
    ".so-tile-notes p", ".so-chart-title", ".so-chart-subtitle", ".so-svg", ".so-svg text", "figure.so-chart summary",
    ".so-table .so-scroll table", ".so-table .so-scroll caption", ".so-table .so-scroll thead th",
    ".so-table .so-scroll tbody th", ".so-table .so-scroll tbody tr:first-child td", ".so-definitions dt",
    ".so-definitions dd",
)  # fmt: skip
LOOKS = (
    "color", "fontFamily", "fontSize", "fontWeight", "fontStyle", "textAlign", "lineHeight", "paddingTop",
    "paddingRight", "paddingBottom", "paddingLeft", "marginTop", "marginBottom", "borderTopWidth", "borderBottomWidth",
    "borderBottomColor", "borderLeftWidth", "borderLeftColor", "listStyleType", "whiteSpace", "textTransform",
)  # fmt: skip
OF_LAB = (
    "body", ".lm-MenuBar-itemLabel", ".jp-Toolbar", ".jp-DirListing-itemText", ".jp-MarkdownOutput h1",
    ".jp-MarkdownOutput h2", ".jp-MarkdownOutput p", ".jp-InputArea-editor", ".cm-line", ".jp-Cell",
    "#probe table", "#probe td", "#probe li", "#probe figure", "#probe summary", "#probe a", "#probe dt",
)  # fmt: skip
PROBE = """() => {
    const probe = document.createElement('div')
    probe.id = 'probe'
    probe.className = 'jp-RenderedHTMLCommon'
    probe.innerHTML = '<table><caption>c</caption><tr><th>a</th><td>b</td></tr></table><ul><li>l</li></ul>' +
        '<figure>f</figure><details><summary>s</summary></details><a href="#">a</a><dl><dt>t</dt><dd>d</dd></dl>'
    probe.style.cssText = 'position: absolute; top: 0; visibility: hidden'  // Lab lays out its notebook by itself
    document.body.append(probe)
}"""
LOOKED = """([selectors, looks]) => Object.fromEntries(selectors.flatMap(selector => {
    const found = document.querySelector(selector)
    return found ? [[selector, Object.fromEntries(looks.map(look => [look, getComputedStyle(found)[look].replace(/^start$/, 'left')]))]] : []
}))"""
LEAKS = """() => {
    const leaks = [], read = (rules) => { for (const rule of rules) {
        if (rule instanceof CSSMediaRule) read(rule.cssRules)
        else if (!(rule instanceof CSSStyleRule)) leaks.push(rule.cssText)
        else for (const found of document.querySelectorAll(rule.selectorText.replace(/:(hover|focus-visible|focus|active)/g, '')))
            if (!found.closest('.so')) leaks.push(rule.selectorText + ' restyles ' + found.tagName + '.' + found.className)
    } }
    const sheets = [...document.styleSheets].filter(sheet => sheet.ownerNode.closest('.jp-OutputArea'))
    sheets.forEach(sheet => read(sheet.cssRules))
    return [sheets.length, [...new Set(leaks)].slice(0, 5)]
}"""
SAID = """() => [...document.querySelectorAll(
    '.so-headline li, .so-tile p, .so-chart-title, .so-chart-subtitle, .so-table caption, .so-table td, .so-note, .so-definitions dd'
)].map(found => found.textContent.trim()).filter(text => text)"""
CHARTS = """() => [...document.querySelectorAll('.jp-OutputArea figure.so-chart')].map(figure => {
    figure.scrollIntoView()
    const drawn = figure.querySelector('svg, img'), box = drawn?.getBoundingClientRect()
    const marks = drawn?.querySelectorAll('path, circle, rect, line, polyline, polygon, use').length
    return {title: figure.innerText.slice(0, 60), withheld: !!figure.querySelector('.so-withheld'),
            width: box?.width || 0, height: box?.height || 0, marks: drawn?.tagName == 'IMG' ? drawn.naturalWidth : marks || 0}
})"""

SETTINGS = """
import matplotlib, pandas, re
told = pandas.describe_option(_print_desc=False)
styled = [name for name in matplotlib.rcParams if matplotlib.rcParams[name] != matplotlib.rcParamsDefault[name]]
[name for name in styled if name not in ("backend", "interactive")] + [
    found for found in re.findall(r"\\[default: (.*?)\\]\\s+\\[currently: (.*?)\\]", told) if found[0] != found[1]]
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("desk")
    with lab.server(lab.copied(folder / "checkout"), folder) as running:
        yield running | {"checkout": folder / "checkout"}
    assert running["process"].poll() is not None and lab.left_over(folder) == []
    assert running["token"] not in running["log"].read_text(encoding="utf-8")


@pytest.fixture
def opened(browser, desk):  # noqa: F811
    notebooks = []

    def open_it(path):
        notebooks.append(lab.Notebook(browser, desk, path))
        return notebooks[-1]

    yield open_it
    for notebook in notebooks:
        notebook.close()


@pytest.fixture
def blank(desk, opened):
    """A notebook with nothing in it."""
    empty = nbformat.v4.new_notebook(metadata={"kernelspec": {"display_name": "Python 3", "name": "python3"}})
    nbformat.write(empty, desk["checkout"] / "notebooks" / "blank.ipynb")
    return opened("notebooks/blank.ipynb")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_in_lab_and_looks_like_its_page(name, opened, browser, tmp_path):  # noqa: F811
    notebook = opened(f"notebooks/{name}.ipynb")
    notebook.page.evaluate(PROBE)
    before = notebook.page.evaluate(LOOKED, [OF_LAB, LOOKS])
    assert set(OF_LAB) - {".jp-MarkdownOutput h2"} <= set(before)

    notebook.run_all()
    cells = notebook.code_cells()
    assert [cell.get("execution_count") for cell in cells] == list(range(1, len(cells) + 1))
    assert faults(cells) == []
    assert notebook.asked == []

    assert differences(notebook.page.evaluate(LOOKED, [OF_LAB, LOOKS]), before) == []
    sheets, leaks = notebook.page.evaluate(LEAKS)
    assert sheets and not leaks

    charts = [chart for chart in notebook.page.evaluate(CHARTS) if not chart["withheld"]]
    assert charts
    assert not [chart for chart in charts if chart["width"] < 200 or chart["height"] < 60 or chart["marks"] < 4]

    assert notebook.ask(SETTINGS) == "[]"

    published = tmp_path / "page.html"
    published.write_text(report.render(nbformat.from_dict(notebook.whole()), {"title": name}), encoding="utf-8")
    page = browser.new_page(viewport={"width": 1400, "height": 1000}, color_scheme="light")
    page.goto(published.as_uri())
    in_report, in_lab = (each.evaluate(LOOKED, [ALIKE, LOOKS]) for each in (page, notebook.page))
    said, said_in_lab = (each.evaluate(SAID) for each in (page, notebook.page))
    page.close()
    assert len(said) > 20 and said_in_lab == said
    assert len(in_report) >= 14
    unlike = differences(in_lab, in_report)
    assert not unlike, "\n".join(unlike)


def differences(in_lab, in_report):
    return [
        f"{selector} {look}: {in_lab.get(selector, {}).get(look)}, not {value}"
        for selector, looks in in_report.items()
        for look, value in looks.items()
        if in_lab.get(selector, {}).get(look) != value
    ]


def faults(cells):
    """Errors, warnings and anything printed."""
    return [
        (cell["source"][:60], output.get("evalue") or output.get("text"))
        for cell in cells
        for output in cell["outputs"]
        if output["output_type"] in ("error", "stream")
    ]


def test_an_edit_to_the_package_counts_from_the_next_cell_on(blank, desk):
    path = desk["checkout"] / "salesops" / "win_loss.py"
    before = path.read_text(encoding="utf-8")
    assert (
        blank.ask(
            "from salesops import metrics, win_loss\nfrom salesops.win_loss import win_rate\nlen(metrics.table('asked'))"
        )
        == "0"
    )
    added = (
        "\n\ndef asked(frame):\n"
        '    """Asked.\n\n    Metrics\n    -------\n    asked_rate : rate, closed, higher, -, amount\n        Just asked.\n    """\n'
        "    return len(frame)\n"
    )
    text = before.replace('"""Share of', '"""Surely the share of', 1)
    assert text != before
    path.write_text(text + added, encoding="utf-8")
    assert blank.ask("win_loss.asked('four'), len(metrics.table('asked_rate'))") == "(4, 1)"
    assert (
        blank.ask("win_rate.__doc__[:19], win_loss.win_rate.__doc__[:19]")
        == "('Surely the share of', 'Surely the share of')"
    )
    path.write_text(before + "\n\ndef wrong(:\n", encoding="utf-8")
    assert "SyntaxError" in blank.ask("win_loss.asked('four')")  # said, and what was there before goes on
    path.write_text(before, encoding="utf-8")
    assert blank.ask("win_rate.__doc__[:8]") == "'Share of'"


def test_a_headless_run_follows_no_edit(blank):
    """One page is made by one state of the code, also where a notebook in Lab starts the run."""
    assert (
        blank.ask("from salesops import win_loss\n'autoreload' in get_ipython().magics_manager.magics['line']")
        == "True"
    )
    assert blank.ask(HEADLESS) == "False"


HEADLESS = """
import nbformat, pathlib, tempfile
from salesops.engine import execute
asked = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(
    "from salesops import win_loss\\n'autoreload' in get_ipython().magics_manager.magics['line']")])
with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, "asked.ipynb")
    nbformat.write(asked, path)
    ran = execute.execute(path, {})
print(ran.notebook.cells[-1].outputs[0].data["text/plain"], end="")
"""


def test_a_question_mark_shows_the_definition(blank):
    said = blank.ask("from salesops import metrics, win_loss\nwin_loss.win_rate?")
    assert "Share of closed" in said and "Won over won and lost" in said


def public_functions():
    """Every public function and class of the package, with its name."""
    names = [found.name for found in pkgutil.walk_packages(salesops.__path__, "salesops.")]
    for module in [importlib.import_module(name) for name in names if not name.endswith("__main__")]:
        for name, member in vars(module).items():
            if getattr(member, "__module__", None) == module.__name__ and not name.startswith("_"):
                if inspect.isfunction(inspect.unwrap(member)) or inspect.isclass(member):
                    yield f"{module.__name__}.{name}", member


def test_every_public_function_shows_its_definition():
    shown = {
        name: oinspect.Inspector(theme_name="nocolor").info(member)["docstring"] for name, member in public_functions()
    }
    assert len(shown) > 1000
    first = {name: (text or "").split("\n\n")[0] for name, text in shown.items()}
    assert not [name for name, text in first.items() if len(text.split()) < 3 or text[-1] not in ".?:"]
    for metric in metrics.registry().values():
        assert metric.definition in " ".join(shown[f"{metric.module}.{metric.function}"].split())


def test_a_chart_of_a_page_shows_what_it_draws():
    page = report_toys.page()
    for name in report.charts.__all__:
        told = oinspect.Inspector(theme_name="nocolor").info(getattr(page.chart, name))
        assert told["docstring"] == inspect.getdoc(getattr(report.charts, name)) and "title" in told["definition"]


def test_the_list_of_metrics_is_whole_and_filters():
    listed = metrics.table()
    assert listed["name"].tolist() == sorted(metrics.registry())
    for row in listed.itertuples():
        module, _, function = row.function.partition(".")
        assert callable(getattr(importlib.import_module(f"salesops.{module}"), function))
    few = metrics.table("Win Rate", "qualified")
    assert 0 < len(few) < len(listed) and "win_loss.win_rate" in few["function"].tolist()
    assert metrics.table("no such word")._repr_html_().count("<tr") == 1
    shown = listed.query("unit == 'hours'")._repr_html_()
    assert (
        all(html.escape(text, quote=False) in shown for text in listed.query("unit == 'hours'")["definition"])
        and "..." not in shown
    )
    assert "<table" in listed[["name"]]._repr_html_()
