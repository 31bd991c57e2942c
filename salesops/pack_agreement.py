"""Whether the reports of a pack say the same of the same thing, and if not, why."""

import json
import math
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import pandas as pd

from salesops import words
from salesops.executive_summary import OWN, Document, place

UNEXPLAINED = "no reason was found"

_SAME = {"bookings_amount": "won_amount"}  # two names of one thing: deals won by their close date
_THING = ["thing", "statistic", "by", "period_start", "period_end", "compared"]
_FIGURE = ["metric", "statistic", "by", "period", "compared_with"]
_COMPARED = [*_FIGURE, "report", "said", "other_report", "other_said", "unit", "is_equal", "reason"]
_OWN = ("as_of", "period", "where")  # parameters that the figures themselves tell
_SUMS = ("count", "amount")  # the same over more deals, where those add nothing


def own(figures: list[dict[str, Any]], *, as_of: date, currency: str = "", **parameters: object) -> Document:
    """The cover's own figures in the shape of a figures file, to be compared with those of the reports.

    Examples
    --------
    >>> own([], as_of=date(2026, 9, 30), measure="amount")["parameters"]
    {'measure': 'amount'}
    """
    return {
        "report": OWN,
        "as_of": as_of.isoformat(),
        "parameters": parameters,
        "figures": figures,
        "currency": currency,
    }


def compared(figures: pd.DataFrame, documents: Iterable[Document]) -> pd.DataFrame:
    """Each figure that stands in two reports or more, and whether they say the same; if not, why.

    The same figure is that of one metric, statistic, group and span of days; bookings and the amount won are one
    thing. Values, limits and the number of deals under them are compared to nine digits. Where they differ the reason
    is what the reports say of themselves: another filter, clock or currency, whichever parameters of both differ, or,
    where a sum is the same, that one also counts deals that add nothing to it.

    Parameters
    ----------
    figures
        Of `figures_files.figures`, the cover's own among them.
    documents
        The figures files themselves, for their parameters.

    Returns
    -------
    DataFrame
        One row per figure and further report: ``metric``, ``statistic``, ``by``, ``period``, ``compared_with``,
        ``report``, ``said``, ``other_report``,
        ``other_said`` (values), ``unit``, ``is_equal``, ``reason`` (missing where equal).

    Examples
    --------
    >>> row = {"metric": "win_rate", "statistic": "value", "by": "{}", "period": "2026Q3", "period_start": pd.NaT,
    ...     "period_end": pd.NaT, "compared_with": None, "low": None, "high": None, "unit": "rate", "clock": "closed",
    ...     "where": "", "currency": "USD"}
    >>> both = pd.DataFrame([row | {"report": "win_loss", "value": 0.22}, row | {"report": "funnel", "value": 0.25}])
    >>> compared(both, [])[["metric", "said", "other_said", "is_equal", "reason"]]
         metric  said  other_said  is_equal               reason
    0  win_rate  0.22        0.25     False  no reason was found
    """
    told = {each["report"]: each["parameters"] for each in documents}
    known = figures[figures["value"].notna()].drop_duplicates(["report", "metric", "statistic", "by", "period_start",
                                                               "period_end", "compared_with"])  # fmt: skip
    known = known.assign(thing=known["metric"].replace(_SAME), compared=known["compared_with"].astype("object"))
    n_reports = known["report"].groupby([known[name] for name in _THING], dropna=False, sort=False).transform("nunique")
    rows = []
    for _, group in known[n_reports > 1].groupby(_THING, dropna=False, sort=False):
        first, *others = sorted(group.to_dict("records"), key=place)
        rows += [_beside(first, other, told) for other in others if other["report"] != first["report"]]
    return pd.DataFrame(rows, columns=_COMPARED)


def apart(figures: pd.DataFrame, documents: Iterable[Document]) -> pd.DataFrame:
    """Tiles of two reports that bear one metric's name and are of different days, filters or clocks.

    Parameters
    ----------
    figures, documents
        As for `compared`.

    Returns
    -------
    DataFrame
        As of `compared`; ``reason`` tells the difference.

    Examples
    --------
    >>> apart(pd.DataFrame(columns=["report", "key"]), []).empty
    True
    """
    documents = list(documents)
    told = {each["report"]: each["parameters"] for each in documents}
    tiles = {(each["report"], key) for each in documents for key in each.get("tiles", [])}
    pairs = zip(figures["report"], figures["key"], strict=True)
    shown = figures[[pair in tiles for pair in pairs]]
    if shown.empty:
        return pd.DataFrame(columns=_COMPARED)
    rows = []
    for _, group in shown[shown["by"].eq("{}")].groupby(["metric", "statistic"], sort=False):
        first, *others = sorted(group.to_dict("records"), key=place)
        rows += [_beside(first, other, told) for other in others if _is_apart(first, other)]
    return pd.DataFrame(rows, columns=_COMPARED)


def agreement(
    same: pd.DataFrame, apart: pd.DataFrame, *, titles: Mapping[str, str], period: str, currency: str = ""
) -> pd.DataFrame:
    """What stands in more than one report, in words: what differs first, then what is equal in the period.

    Parameters
    ----------
    same, apart
        Of `compared` and `apart`.
    titles
        Of `titles`.
    period
        Label of the page's period, whose equal figures are listed.
    currency
        ISO code of amounts.

    Returns
    -------
    DataFrame
        ``figure``, ``span``, ``verdict`` (the same, or why not), ``said`` (by report).

    Examples
    --------
    >>> pair = {"metric": "win_rate", "statistic": "value", "by": "{}", "period": "2026Q3", "compared_with": None,
    ...     "report": "win_loss", "said": 0.22, "other_report": "funnel", "other_said": 0.25, "unit": "rate",
    ...     "is_equal": False, "reason": "another clock"}
    >>> agreement(pd.DataFrame([pair]), pd.DataFrame([pair])[:0], titles={}, period="2026Q3").iloc[0].tolist()
    ['Win rate', '2026Q3', 'another clock', 'Win loss 22 %, Funnel 25 %']
    """
    is_equal = same["is_equal"].astype(bool)
    is_bare = same["reason"].eq(UNEXPLAINED)
    now = is_equal & same["period"].eq(period) & same["compared_with"].isna()
    ordered = [same[is_bare], same[~is_equal & ~is_bare], apart, same[now]]
    rows: dict[tuple, list[dict]] = {}
    for row in (row for table in ordered for row in table.to_dict("records")):
        rows.setdefault((*(str(row[name]) for name in _FIGURE), row["reason"]), []).append(row)
    shown = [_in_words(group, titles, currency) for group in rows.values()]
    return pd.DataFrame(shown, columns=["figure", "span", "verdict", "said"])


def agreement_sentence(table: pd.DataFrame) -> str:
    """Whether the reports say the same of the same thing.

    Examples
    --------
    >>> table = pd.DataFrame({"metric": ["win_rate", "won_count"], "statistic": "value", "by": "{}", "period": "2026Q3",
    ...     "compared_with": None, "is_equal": [True, True], "reason": [None, None]})
    >>> agreement_sentence(table)
    'Each of the 2 figures that stand in more than one report is the same in all of them.'
    >>> agreement_sentence(table.assign(is_equal=[True, False], reason=[None, UNEXPLAINED]))
    'Of 2 figures that stand in more than one report 1 differs, 1 without a reason.'
    >>> agreement_sentence(table[:0])
    'No figure stands in more than one report.'
    """
    figures = table.drop_duplicates(_FIGURE)
    n, wrong = len(figures), table[~table["is_equal"].astype(bool)].drop_duplicates(_FIGURE)
    if not n:
        return "No figure stands in more than one report."
    if wrong.empty:
        each = f"Each of the {n} figures that stand" if n > 1 else "The one figure that stands"
        return f"{each} in more than one report is the same in all of them."
    bare = int(wrong["reason"].eq(UNEXPLAINED).sum())
    why = f"{bare} without a reason" if bare else "with a reason" if len(wrong) == 1 else "each with a reason"
    differ = "1 differs" if len(wrong) == 1 else f"{len(wrong)} differ"
    return f"Of {n} figures that stand in more than one report {differ}, {why}."


def fault_sentences(table: pd.DataFrame, *, titles: Mapping[str, str], currency: str = "") -> list[str]:
    """Where two reports disagree and no reason is known: one sentence on the first, with how many more there are.

    Examples
    --------
    >>> table = pd.DataFrame({"metric": ["win_rate"], "by": ["{}"], "period": ["2026Q3"], "report": ["win_loss"],
    ...     "said": [0.22], "other_report": ["funnel"], "other_said": [0.25], "unit": ["rate"],
    ...     "reason": [UNEXPLAINED]})
    >>> fault_sentences(table, titles={"win_loss": "Win/loss"})
    ['Two reports disagree and no reason is known: Win rate of 2026Q3 is 22 % in Win/loss and 25 % in Funnel.']
    """
    found = table[table["reason"].eq(UNEXPLAINED)]
    if found.empty:
        return []
    row, more = found.iloc[0], len(found) - 1
    said, other = (
        words.value(row[name], row["unit"], currency=currency, compact=True) for name in ("said", "other_said")
    )
    if said == other:
        said, other = (words.value(row[name], row["unit"], currency=currency) for name in ("said", "other_said"))
    names = [titles.get(row[name]) or words.label(row[name]) for name in ("report", "other_report")]
    groups = _groups(row["by"])
    thing = f"{words.label(row['metric'])}{f' ({groups})' if groups else ''} of {row['period']}"
    rest = f" The page names {more} more." if more else ""
    return [
        f"Two reports disagree and no reason is known: {thing} is {said} in {names[0]} and {other} in {names[1]}.{rest}"
    ]


def _in_words(group: list[dict], titles: Mapping[str, str], currency: str) -> dict[str, str]:
    first = group[0]
    values = {first["report"]: first["said"]} | {row["other_report"]: row["other_said"] for row in group}
    names = {name: titles.get(name) or words.label(name) for name in values}
    if first["is_equal"]:
        said = f"{words.value(first['said'], first['unit'], currency=currency)} in {', '.join(names.values())}"
    else:
        said = ", ".join(
            f"{names[name]} {words.value(value, first['unit'], currency=currency)}" for name, value in values.items()
        )
    metric = first["metric"] if first["statistic"] == "value" else f"{first['metric']}_{first['statistic']}"
    compared = (
        "" if words.is_missing(first["compared_with"]) else f"against {words.label(first['compared_with']).lower()}"
    )
    figure = ", ".join(filter(None, [words.label(metric), _groups(first["by"]), compared]))
    verdict = "the same" if words.is_missing(first["reason"]) else first["reason"]
    return {"figure": figure, "span": first["period"], "said": said, "verdict": verdict}


def _groups(by: str) -> str:
    return ", ".join(f"{words.label(name)} {words.group(item, name)}" for name, item in json.loads(by).items())


def _beside(first: dict, other: dict, told: Mapping[str, Mapping]) -> dict[str, object]:
    told_by_both = ("value", "low", "high", "n")
    is_equal = all(_is_close(first.get(name), other.get(name)) for name in told_by_both) and not _is_apart(first, other)
    return {
        **{name: first.get(name) for name in _FIGURE},
        "report": first["report"], "said": first["value"],
        "other_report": other["report"], "other_said": other["value"],
        "unit": first["unit"], "is_equal": is_equal, "reason": None if is_equal else _reason(first, other, told),
    }  # fmt: skip


def _reason(first: dict, other: dict, told: Mapping[str, Mapping]) -> str:
    if _is_apart(first, other) and first["period"] != other["period"]:
        return f"another period: {first['period']}, {other['period']}"
    if first["where"] != other["where"]:
        return f"another filter: {first['where'] or 'all deals'}, {other['where'] or 'all deals'}"
    if first["clock"] != other["clock"]:
        return f"another clock: {first['clock']}, {other['clock']}"
    mine, theirs = (told.get(each["report"], {}) for each in (first, other))
    if _differ(first, other, "currency"):
        return f"another currency: {first['currency']}, {other['currency']}"
    others = [name for name in mine if name in theirs and name not in _OWN and mine[name] != theirs[name]]
    if others:
        return "; ".join(f"another {words.label(name).lower()}: {mine[name]}, {theirs[name]}" for name in others)
    is_same_sum = first["unit"] in _SUMS and _is_close(first["value"], other["value"])
    if is_same_sum and not _is_close(first.get("n"), other.get("n")):
        return f"the same, listed over {words.count(first['n'])} and over {words.count(other['n'])} deals"
    return UNEXPLAINED


def _is_apart(first: dict, other: dict) -> bool:
    return any(_differ(first, other, name) for name in ("period_start", "period_end"))


def _differ(first: dict, other: dict, name: str) -> bool:
    one, two = first.get(name), other.get(name)
    return not (one == two or (words.is_missing(one) and words.is_missing(two)))


def _is_close(one: object, two: object) -> bool:
    if words.is_missing(one) or words.is_missing(two):
        return True  # limits that one of them does not show
    return math.isclose(one, two, rel_tol=1e-9, abs_tol=1e-12)
