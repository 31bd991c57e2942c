"""What was set aside, barred, repaired or only counted: the rows of the exclusions table."""

from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

from salesops import words

ACTIONS = ("set_aside", "barred", "repaired", "counted")
COLUMNS = ["table", "rule", "field", "action", "n", "examples", "reason"]


class Finding(NamedTuple):
    """One rule that some rows of a table break; `filled` is how many rows have the field."""

    table: str
    rule: str
    field: str
    action: str
    n: int
    examples: str
    reason: str
    filled: int = 0


def table(findings: Iterable[Finding]) -> pd.DataFrame:
    """The exclusions table: one row per table, rule and field, in a fixed order.

    Examples
    --------
    >>> table([Finding("opportunities", "no_id", "opportunity_id", "set_aside", 2, "", "has no id")]).n.tolist()
    [2]
    """
    frame = pd.DataFrame([finding[:-1] for finding in findings], columns=COLUMNS).astype({"n": "int64"})
    rank = frame["action"].map({action: rank for rank, action in enumerate(ACTIONS)}).astype("int64")
    ordered = frame.assign(rank=rank).sort_values(["rank", "table", "rule", "field"], kind="stable", ignore_index=True)
    return ordered.drop(columns="rank").astype({name: "str" for name in COLUMNS if name != "n"})


def withheld(findings: Iterable[Finding], *, max_barred: float) -> dict[str, str]:
    """Fields of which more than ``max_barred`` of the filled rows are barred, and why.

    A field of another table than opportunities is named ``table.field``.

    Examples
    --------
    >>> bad = Finding("opportunities", "negative_amount", "amount", "barred", 2, "", "is negative", filled=10)
    >>> withheld([bad], max_barred=0.05)
    {'amount': '2 of 10 values of amount are barred (negative_amount), more than 5 %'}
    """
    barred: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.action == "barred":
            name = finding.field if finding.table == "opportunities" else f"{finding.table}.{finding.field}"
            barred.setdefault(name, []).append(finding)
    reasons = {}
    for name, found in barred.items():
        n, filled = sum(finding.n for finding in found), max(finding.filled for finding in found)
        if filled and n > max_barred * filled:
            rules = ", ".join(dict.fromkeys(finding.rule for finding in found))
            share = percent(max_barred)
            found_bad = f"{words.count(n)} of {words.count(filled)} values of {name} are barred"
            reasons[name] = f"{found_bad} ({rules}), more than {share}"
    return reasons


def percent(share: float) -> str:
    """A share as the reports write it.

    Examples
    --------
    >>> percent(0.05)
    '5 %'
    """
    return f"{share * 100:g} %"
