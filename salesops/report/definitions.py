"""What every word of a report means, read from the docstrings that define it."""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping

import pandas as pd

from salesops import metrics, words
from salesops.report import markup, tables
from salesops.report.block import Block

_GOOD = {"higher": "higher is better", "lower": "lower is better", "none": "neither way is better"}
_ACTIONS = {"set_aside": "set aside", "barred": "value not used", "repaired": "repaired", "counted": "counted"}


def definitions(*functions: Callable, linked: bool = False) -> Block:
    """The definition of each function's metrics: sentence, formula, clock, direction, source.

    `linked` where the page itself leads to them, as the cover's key figures do: each then has an address, which costs
    the page some bytes.
    """
    html = "".join(_definition(function, linked) for function in functions)
    return Block("definitions", f'<dl class="so so-definitions">{html}</dl>')


def exclusions(rows: pd.DataFrame, notes: Iterable[str] = (), withheld: Mapping[str, str] | None = None) -> Block:
    """What was set aside, repaired or withheld, and why."""
    drawn = tables.table(
        _readable(rows), caption="Rows and values set aside, repaired or counted", limit=len(rows)
    ).html
    if rows.empty:
        drawn = '<p class="so">No row was set aside and no value repaired.</p>'
    said = [f"{words.label(name)} withheld: {reason}" for name, reason in (withheld or {}).items()]
    items = "".join(f"<li>{markup.text(line)}</li>" for line in [*said, *notes])
    return Block("exclusions", drawn + (f'<ul class="so so-notes">{items}</ul>' if items else ""))


def _readable(rows: pd.DataFrame) -> pd.DataFrame:
    field = rows["table"].astype(str) + rows["field"].map(lambda name: "" if words.is_missing(name) else f".{name}")
    columns = {
        "Field": field,
        "What is wrong": rows["reason"].where(rows["reason"].notna(), rows["rule"]),
        "What was done": rows["action"].map(lambda action: _ACTIONS.get(action, action)),
        "Rows": rows["n"],
        "Examples": rows["examples"].replace("", None),
    }
    return pd.DataFrame(columns)


def _definition(function: Callable, linked: bool) -> str:
    text = inspect.getdoc(function) or ""
    found = metrics.of(function)
    about = _prose(text)[1 if found else 0 :]  # the metric's own definition says the first sentence
    head = "".join(_entry(metric, linked) for metric in found)
    head = head or _term(words.label(function.__name__), function.__name__, linked)
    source = _section(text, "References")
    rest = [*about, *([f"Source: {source}"] if source else [])]
    if not found:
        return head + "".join(f"<dd>{markup.text(line)}</dd>" for line in rest)
    name = words.label(found[0].name)
    return head + (f"<dd>{_folded(f'How it is worked out: {name}', rest)}</dd>" if rest else "")


def _folded(title: str, lines: Iterable[str]) -> str:
    """What few readers ask, one click away."""
    text = "".join(f"<p>{markup.text(line)}</p>" for line in lines)
    return f"<details><summary>{markup.text(title)}</summary>{text}</details>"


def _entry(metric: metrics.Metric, linked: bool) -> str:
    formula = (
        f"{metric.name} = {metric.numerator} ÷ {metric.denominator}; "
        if metric.numerator and metric.denominator
        else ""
    )
    facts = f"{formula}unit: {metric.unit.replace('_', ' ')}; clock: {metric.clock}; {_GOOD[metric.good]}."
    return (
        f"{_term(words.label(metric.name), metric.name, linked)}<dd>{markup.text(metric.definition)}</dd>"
        f'<dd class="so-facts">{markup.text(facts)}</dd>'
    )


def _term(title: str, name: str, linked: bool) -> str:
    place = f' id="def-{markup.attribute(name)}"' if linked else ""
    return f"<dt{place}>{markup.text(title)} <code>{markup.text(name)}</code></dt>"


def _prose(text: str) -> list[str]:
    """Paragraphs before the first numpydoc section, without the markup of code."""
    body = re.split(r"^\w[\w ]*\n-{3,}\n", text, maxsplit=1, flags=re.MULTILINE)[0]
    paragraphs = [" ".join(part.split()) for part in body.split("\n\n")]
    return [re.sub(r"``|`|(?<!\w)\*(?=\w)|(?<=\w)\*(?!\w)", "", part) for part in paragraphs if part]


def _section(text: str, name: str) -> str:
    found = re.search(rf"^{name}\n-+\n(.*?)(?=^\w[\w ]*\n-{{3,}}\n|\Z)", text, re.MULTILINE | re.DOTALL)
    return " ".join(found[1].split()) if found else ""
