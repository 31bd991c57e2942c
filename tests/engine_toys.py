"""Small notebooks and a small company for the tests of the engine and the command line."""

import tempfile
from datetime import date
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pandas as pd

from salesops import checks, periods
from salesops.crm import model
from salesops.engine import execute

PARAMETERS = """from datetime import date
from typing import Literal

source: str = "sample"  # a folder, or "sample"
as_of: date | None = None  # last day of data used
period: str = "last_quarter"  # which period
where: str = "opportunity_type != 'renewal'"  # which deals count
by: list[str] = ["segment"]  # columns that split
mode: Literal["good", "crash", "data", "parameter", "twice", "die"] = "good"  # what happens
level: float = 0.5
"""

WORK = """import os
import sys
from IPython.display import display
from salesops import checks

print(f"noise {os.getpid()}", file=sys.stderr)
print({f"group {n}" for n in range(20)})
if mode == "crash":
    raise ValueError("no <b>deals</b>\\nhere")
if mode == "data":
    raise checks.DataError("deals.csv: nothing in it.")
if mode == "parameter":
    raise checks.ParameterError("level is wrong.")
if mode == "die":
    os._exit(9)
"""

SAY = """
def figure(value, **by):
    return {"metric": "win_rate", "statistic": "value", "by": by, "value": value, "low": None, "high": None,
            "level": None, "n": 2, "numerator": 1, "denominator": 2, "unit": "rate", "clock": "closed", "where": where,
            "period": {"label": "2026Q3", "start": "2026-07-01", "end": "2026-09-30"}, "compared_with": None}

def show(html, **facts):
    display({"text/html": html, "text/plain": "text"}, raw=True, metadata={"salesops": facts})

show("<p>page</p>", kind="page", page={"report": "toy", "title": "Toy report", "population": 3})
show(f"<p>As of {as_of!r}</p>", kind="headline", headlines=[f"Half of <all> deals were won as of {as_of}."])
link = '<p><a href="deals:win_rate.2026Q3">50 %</a></p>'
show(link, kind="tiles", figures=[figure(level), figure(float("nan"), segment=None)],
     deals={"win_rate.2026Q3": ["D1", "D2"]})
show("<p>table</p>", kind="table", figures=[figure(0.25 if mode == "twice" else level)])
object()
"""


def notebook(
    path: Path, parameters: str = PARAMETERS, cells: tuple[str, ...] = (WORK, SAY), heading: str = "## Where do we win?"
) -> Path:
    """Write a notebook of a title, a parameters cell, and cells under a heading: code, or another heading."""
    tagged = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    title, heading = map(nbformat.v4.new_markdown_cell, ("# Toy: what happened?", heading))
    book = nbformat.v4.new_notebook(cells=[title, tagged, heading, *map(_cell, cells)])
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(book, path)
    return path


def _cell(source: str) -> nbformat.NotebookNode:
    return (nbformat.v4.new_markdown_cell if source.startswith("## ") else nbformat.v4.new_code_cell)(source)


def company(source: str = "sample", *, as_of: date | None = None, where: str = "", **_: object) -> SimpleNamespace:
    """What `crm.load` gives, for three deals; `where` is a pandas filter."""
    if source == "broken":
        raise checks.DataError("opportunities.csv: missing column ['close_date'].")
    deals = pd.DataFrame(
        {
            "opportunity_id": ["D1", "D2", "D3"],
            "name": ["<script>alert(1)</script>", "Beta", "Gamma"],
            "owner_id": ["R1", "R2", "R1"],
            "opportunity_type": "new",
            "segment": ["SMB", "Public/State", None],
            "stage": ["Won", "Lost", "Open"],
            "amount": [100.0, 2500.0, None],
            "created_date": pd.to_datetime(["2026-01-05", "2026-02-05", "2026-03-05"]),
            "close_date": pd.to_datetime(["2026-07-05", "2026-08-05", "2026-12-05"]),
            "record_url": ["https://crm.example/D1", "javascript:alert(1)", None],
            "outcome": ["won", "lost", "open"],
            "is_closed": [True, True, False],
            "is_won": [True, False, False],
        }
    )
    deals = model.conform(deals, "opportunities")
    reps = model.conform(pd.DataFrame({"owner_id": ["R1"], "name": ["Ann & Co"]}), "reps")
    return SimpleNamespace(
        opportunities=deals.query(where, engine="python") if where else deals,
        all_opportunities=deals,
        reps=reps,
        as_of=as_of or date(2026, 9, 30),
        data_through=date(2026, 9, 30),
        calendar=periods.Calendar(),
        currency="USD",
        locale="en",
        source=Path(source).name,
        where=where,
        withheld={},
        inputs=pd.DataFrame({"table": ["opportunities"], "rows": [3], "sha256": ["ab" * 32]}),
        exclusions=pd.DataFrame(
            {
                "table": ["opportunities"],
                "rule": ["negative amount"],
                "field": ["amount"],
                "action": ["barred"],
                "n": [1],
            }
        ),
        notes=[],
        about=None,
        policy=(),
        hides=lambda _: False,
        unnamed=lambda text: text,
        period=partial(periods.resolve, as_of=as_of or date(2026, 9, 30), first=date(2026, 1, 5)),
    )


_REALLY = execute.execute  # a test may put the function below in its place


def without_kernel(_: Path, values: dict, **__: object) -> execute.Execution:
    """What `execute.execute` gives for a toy in good mode, from one real run: for tests of many days."""
    text = _executed_once().replace('"value": 0.5', f'"value": {values["level"]}')
    day = values["as_of"]
    text = text.replace("2026, 9, 30", f"{day.year}, {day.month}, {day.day}").replace(
        "as of 2026-09-30", f"as of {day}"
    )
    return execute.Execution(nbformat.reads(text, as_version=4))


@cache
def _executed_once() -> str:
    with tempfile.TemporaryDirectory() as folder:
        values = {"as_of": date(2026, 9, 30), "where": "opportunity_type != 'renewal'"}
        return nbformat.writes(_REALLY(notebook(Path(folder) / "toy.ipynb"), values).notebook)
