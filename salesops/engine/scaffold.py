"""A new report: its notebook, module and test, in the pack and the README, passing every test from the start."""

import json
import keyword
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import jinja2
import nbformat

from salesops import metrics, words
from salesops.checks import ParameterError
from salesops.engine import catalog

_PACK = Path("parameters") / "quarterly.yaml"
_README = Path("README.md")
_LAST = "executive_summary"  # the cover quotes the others, so it stays the last of the pack
_TABLE = "| report | the question | notebook | functions |"
_TEMPLATES = {
    "salesops/{name}.py": "module.py",
    "tests/test_{name}.py": "test.py",
    "notebooks/{name}.ipynb": "notebook.md",
}
# The house's format; then what the Makefile runs for `make outputs` and `make readme`.
_STEPS = (
    ("-m", "ruff", "check", "--quiet", "--select", "I", "--fix", "salesops/{name}.py", "tests/test_{name}.py"),
    ("-m", "ruff", "format", "--quiet", "salesops/{name}.py", "tests/test_{name}.py"),
    ("tests/strip.py", "--run", "notebooks/{name}.ipynb"),
    ("tests/readme.py",),
)


def write(root: Path, name: str) -> Iterator[str]:
    """Write the files of a new report, one line for each; nothing that is there is overwritten.

    It answers a small question already, so that the tests pass and the report runs; its place is taken by one's own.

    Parameters
    ----------
    root
        The repository.
    name
        Of the report, its notebook, module and test.

    Raises
    ------
    ParameterError
        The name is taken or cannot be one, or the repository lacks a file that lists reports.
    """
    places = _places(root, name)
    pack, readme = _in_pack(root, name), _in_readme(root, name)
    facts = {"name": name, "title": words.label(name), "common": _common(root)}
    for place, template in places.items():
        text = _rendered(template, facts)
        place.write_text(text if template != "notebook.md" else _notebook(text), encoding="utf-8")
        yield f"{place.relative_to(root).as_posix()}: written."
    for place, text in ((_PACK, pack), (_README, readme)):
        (root / place).write_text(text, encoding="utf-8")
        yield f"{place.as_posix()}: a line for {name}."
    for step in _STEPS:
        _ran(root, [word.format(name=name) for word in step])
    yield f"notebooks/{name}.ipynb: run on the sample. Next: salesops run {name}; put your own question in its place."


def _places(root: Path, name: str) -> dict[Path, str]:
    """Where each file goes, and its template."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{1,23}", name) or keyword.iskeyword(name) or catalog.is_taken(name):
        raise ParameterError(
            f"'{name[:60]}' cannot name a report. Use up to 24 small letters, digits and '_', e.g. renewals."
        )
    if any(re.search(rf"\b{name}\b", _template(each)) for each in _TEMPLATES.values()):
        raise ParameterError(f"'{name}' stands for something else in a new report's files. Choose another name.")
    if f"{name}_rate" in metrics.registry():
        raise ParameterError(f"there is a metric '{name}_rate' already. Choose another name than '{name}'.")
    places = {root / place.format(name=name): template for place, template in _TEMPLATES.items()}
    for place in [*places, root / "salesops" / name]:
        if place.exists():
            raise ParameterError(f"{place.relative_to(root).as_posix()} is there already. Choose another name.")
    return places


def _in_pack(root: Path, name: str) -> str:
    text = _text(root, _PACK)
    found = re.search(rf"^reports: \[[^\]]*?(?=\b{_LAST}\b|\])", text, re.MULTILINE)
    if not found:
        raise ParameterError(f"{_PACK.as_posix()}: holds no 'reports: [...]'. Write it, e.g. reports: [win_loss].")
    before, after = text[: found.end()], text[found.end() :]
    comma = "" if before.rstrip().endswith(("[", ",")) else ", "
    return f"{before}{comma}{name}, {after}"


def _in_readme(root: Path, name: str) -> str:
    lines = _text(root, _README).splitlines(keepends=True)
    try:
        at = next(number for number, line in enumerate(lines) if line.startswith(_TABLE))
    except StopIteration:
        raise ParameterError(f"README.md: its table of reports is not there. Write '{_TABLE}'.") from None
    while at < len(lines) and lines[at].startswith("|"):
        at += 1
    row = (
        f"| `{name}` | How many of the deals created are decided by now? | [notebook](notebooks/{name}.ipynb) "
        f"| [`{name}.py`](salesops/{name}.py) |\n"
    )
    return "".join([*lines[:at], row, *lines[at:]])


def _common(root: Path) -> str:
    """The parameters that every notebook begins with, as the first one has them."""
    books = sorted((root / "notebooks").glob("*.ipynb"))
    if len(books) < 2:
        raise ParameterError("notebooks: holds no two notebooks to take the common parameters from. Run in a checkout.")
    cells = [set(_lines(book)) for book in books]
    return "\n".join(line for line in _lines(books[0]) if all(line in lines for lines in cells[1:]) and ": " in line)


@cache
def _lines(book: Path) -> tuple[str, ...]:
    cells = json.loads(book.read_text(encoding="utf-8"))["cells"]
    tagged = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    return tuple("".join(tagged[0]["source"]).splitlines()) if tagged else ()


def _rendered(template: str, facts: dict[str, str]) -> str:
    return _environment().get_template(f"new/{template}.j2").render(**facts)


def _template(template: str) -> str:
    return _environment().loader.get_source(_environment(), f"new/{template}.j2")[0]


@cache
def _environment() -> jinja2.Environment:
    loader = jinja2.PackageLoader("salesops.engine")
    return jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)


def _notebook(text: str) -> str:
    """A notebook from its cells as text, each below a line that says its kind and tags."""
    cells = []
    for number, part in enumerate(re.split(r"^=== ", text, flags=re.MULTILINE)[1:], start=1):
        head, _, source = part.partition("\n")
        kind, *tags = head.split()
        made = nbformat.v4.new_code_cell if kind == "code" else nbformat.v4.new_markdown_cell
        cells.append(made(source.strip(), id=f"c{number:02d}", metadata={"tags": tags} if tags else {}))
    return nbformat.writes(nbformat.v4.new_notebook(cells=cells))


def _ran(root: Path, words_of_step: list[str]) -> None:
    done = subprocess.run([sys.executable, *words_of_step], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        said = " ".join((done.stderr + done.stdout).strip().splitlines()[-1:])
        raise ParameterError(
            f"{' '.join(words_of_step)}: failed ({said}). The files are written; run it again when mended."
        )


def _text(root: Path, place: Path) -> str:
    try:
        return (root / place).read_text(encoding="utf-8")
    except OSError as fault:
        raise ParameterError(f"{place.as_posix()}: cannot be read ({fault.strerror}). Run in a checkout.") from fault
