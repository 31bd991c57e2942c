"""The README's way from a question to a finding, gone as written: code, test, notebook, published page."""

import re

import lab
import nbformat
import strip
from conftest import ROOT

NOTEBOOK = "notebooks/waterfall.ipynb"
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(place):
    """What the README writes into one file: language and text of each piece."""
    section = README.split("## From a question to a finding\n")[1].split("\n## Adding a report")[0]
    return [
        (kind, text)
        for kind, path, text in re.findall(r"^```(\w+) (\S+)\n(.*?)^```$", section, re.M | re.S)
        if path == place
    ]


def appended(folder, place):
    written = blocks(place)
    assert written
    with (folder / place).open("a", encoding="utf-8") as file:
        file.writelines(f"\n\n{text}" for _, text in written)


def with_cells(notebook):
    """The notebook with the cells of the README above its definitions."""
    made = [
        nbformat.v4.new_markdown_cell(text.strip()) if kind == "markdown" else nbformat.v4.new_code_cell(text.strip())
        for kind, text in blocks(NOTEBOOK)
    ]
    for cell in made:
        cell.metadata = {"tags": ["nbval-check-output"]} if cell.source.startswith("page.table(") else {}
    (place,) = [number for number, cell in enumerate(notebook.cells) if cell.source == "## Appendix: definitions"]
    notebook.cells[place:place] = made
    definitions = notebook.cells[place + len(made) + 1]
    definitions.source = definitions.source.replace(
        "slippage.slippage_rate, ", "slippage.slippage_rate, slippage.discount_rate, "
    )
    return notebook


def test_the_way_from_a_question_to_a_finding_works_as_written(tmp_path):
    folder = lab.copied(tmp_path / "checkout", also=("tests",))
    appended(folder, "salesops/slippage.py")
    appended(folder, "tests/test_slippage.py")
    lab.ran(
        folder,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--doctest-modules",
        "salesops/slippage.py",
        "tests/test_slippage.py",
        "-k",
        "discount",
    )

    path = folder / NOTEBOOK
    path.write_text(strip.text(with_cells(nbformat.read(path, as_version=4))), encoding="utf-8")
    lab.ran(folder, "-m", "salesops", "run", "waterfall", "--out", str(tmp_path / "out"))
    page = (tmp_path / "out" / "latest" / "waterfall.html").read_text(encoding="utf-8")
    assert 'id="is-more-given-away-at-the-end"' in page
    assert "below list when a quarter ends" in page and "no clear difference" in page
    assert "One less amount over list amount, the mean over the won deals that have both." in page
