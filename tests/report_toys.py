"""A small vocabulary, company and notebook, so that the page is tested without the questions."""

import re
from datetime import date
from types import SimpleNamespace
from xml.etree import ElementTree

import nbformat
import pandas as pd

from salesops import metrics, periods, report

SVG = "{http://www.w3.org/2000/svg}"
Q3 = periods.quarter(date(2026, 9, 30))


def toy_metrics() -> None:
    """Words for the tests.

    ``win_rate = won / closed``, *always*.

    Metrics
    -------
    win_rate : rate, closed, higher, won_count / n, is_won
        Won over closed, by count.
    won_count : count, closed, higher, -, is_won
        Deals won.
    won_amount : amount, closed, higher, -, amount
        Amount won.
    value_win_rate : rate, closed, higher, won_amount / closed_amount, lost_amount
        Won over closed, by amount.
    sales_cycle_days : days, closed, lower, -, created_date
        Created to won.
    share : rate, closed, none, -, is_won
        Share of a reason.
    p : rate, created, higher, -, is_won
        Share won by an age.
    gap : points, closed, higher, -, is_won
        Win rate beyond another's.
    predicted : amount, closed, higher, -, amount
        Amount expected.
    observed : rate, closed, higher, -, is_won
        Share won of those of one chance.

    References
    ----------
    Wilson (1927).
    """


REGISTRY = {metric.name: metric for metric in metrics.of(toy_metrics)}


def picture(block) -> ElementTree.Element:
    found = re.search(r"<svg.*?</svg>", block.html, re.DOTALL)[0]
    return ElementTree.fromstring(found.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def texts(block) -> list[str]:
    return ["".join(each.itertext()) for each in picture(block).iter(f"{SVG}text")]


def alt(block) -> str:
    return picture(block).get("aria-label")


def company(**changes: object) -> SimpleNamespace:
    """What `crm.load` returns, as far as a page needs it."""
    usual = {
        "where": "amount > 10", "currency": "USD", "withheld": {}, "as_of": date(2026, 9, 30),
        "data_through": date(2026, 9, 30), "calendar": periods.Calendar(), "source": "toys", "notes": ["Read as CSV."],
        "opportunities": pd.DataFrame({"opportunity_id": ["d1", "d2"]}), "policy": (), "hides": lambda _: False, "is_one_person": False,
        "exclusions": pd.DataFrame({
            "table": ["opportunities"], "rule": ["no_id"], "field": ["opportunity_id"], "action": ["set_aside"],
            "n": [3], "examples": ["<b>row 1</b>"], "reason": ["has no id"],
        }),
    }  # fmt: skip
    return SimpleNamespace(**(usual | changes))


def page(**changes: object) -> report.Page:
    return report.Page("Win/loss", company(**changes), period=Q3)


def rates() -> pd.DataFrame:
    """Three groups: a large one, one without a name and few deals, one with nothing closed."""
    return pd.DataFrame({
        "segment": ["SMB", None, "Public"], "n": [400, 10, 0], "won_count": [100, 4, 0],
        "win_rate": [0.25, 0.4, None], "win_rate_low": [0.21, 0.17, None], "win_rate_high": [0.29, 0.69, None],
    })  # fmt: skip


def one(n: int, rate: float | None, low: float | None = None, high: float | None = None) -> pd.DataFrame:
    """One row of win rate."""
    row = {"n": n, "win_rate": rate, "win_rate_low": low, "win_rate_high": high}
    return pd.DataFrame({name: [value] for name, value in row.items()})


def notebook(*parts: object) -> nbformat.NotebookNode:
    """An executed notebook: text becomes prose, anything else an output."""
    cells = []
    for part in parts:
        if isinstance(part, str):
            cells.append(nbformat.v4.new_markdown_cell(part))
            continue
        data, metadata = part._repr_mimebundle_()
        output = nbformat.v4.new_output("execute_result", data=data, metadata=metadata, execution_count=1)
        cells.append(nbformat.v4.new_code_cell("secret_code(42)", outputs=[output], execution_count=1))
    return nbformat.v4.new_notebook(cells=cells)


META = {
    "report": "win_loss", "title": "Win/loss", "run_id": "abc123", "as_of": "2026-09-30", "source": "toys",
    "period": {"label": "2026Q3", "start": "2026-07-01", "end": "2026-09-30"}, "period_complete": True,
    "data_through": "2026-09-30", "rows_read": 6009, "rows_set_aside": 6, "currency": "USD", "status": "partial",
    "parameters": [{"name": "by", "value": "<i>segment</i>", "origin": "notebook"}],
    "inputs": [{"table": "opportunities", "rows": 6009, "sha256": "0123456789abcdef" * 4}],
    "code": {"version": "0.1.0", "commit": "c0ffee"}, "packages": {"pandas": "3.1.1"},
    "previous": {"href": "../2026-06-30/win_loss.html", "label": "30 June 2026"}, "deals_href": "win_loss.deals.html",
}  # fmt: skip
