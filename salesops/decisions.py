"""Decisions: what was decided and signed, what it should bring, and what it did by before and after.

For a page, in this order::

    decided = decisions.read(source=company.source)             # one row a decision of notes/decisions.yaml
    scores = decisions.scored(decided, deals, as_of=company.as_of, is_in=company.is_in)
    scores = decisions.shown(scores, company)                   # people as the policy lets them stand on the page
    decisions.sentences(scores)                                 # one for each decision, as it stands today
    page.table(decisions.ledger(scores), caption="Decisions and what they did", by=["decision"], names=decisions.HEADS)
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from salesops import before_after, checks, handwritten, metrics, notes, pipeline, words
from salesops.handwritten import Field

METRIC = "won_in_time_rate"  # of deals by their start, each with as much time; the others below are by their end
SCORED = {
    METRIC: "deals are won within {days} days",
    "win_rate": "closed qualified deals are won",
    "decided_win_rate": "qualified deals that went to us or to somebody else are won",
    "all_closed_win_rate": "closed deals are won",
}  # what before and after can judge: shares of deals, each of which is on one side of a day
DAYS = 120  # each deal has to be won, where the decision says nothing else
TOO_EARLY, UNCLEAR, BETTER, WORSE = "too early", "no clear change", "better", "worse"
NOT_SCORED = "not scored"
HEADS = {
    "change_date": "Since", "review_date": "Review", "outcome": "So far", "baseline_rate": "Before, as signed",
    "expected_effect": "Expected (points)", "decision_effect": "Found (points)",
}  # fmt: skip
REACHED, POSSIBLE, EXCLUDED = "reached", "possible", "excluded"

_COLUMNS = (
    "decision", "owner", "metric", "change_date", "group", "days", "baseline_rate", "expected_effect", "review_date",
    "signed_by", "signed_date",
)  # fmt: skip
_EFFECT = ("decision_effect", "decision_effect_low", "decision_effect_high")
_SCORES = ("state", "expected", "reason", "n", "n_before", "n_after", *_EFFECT, "judged_from_date", "is_due")


def read(place: Path | None = None, *, source: str = "") -> pd.DataFrame:
    """The decision ledger, in the order of its file; none where there is no file.

    Parameters
    ----------
    place
        Folder of ``decisions.yaml``; the run's own folder of notes if empty.
    source
        Of the report that asks; a decision may be about one source alone.

    Returns
    -------
    DataFrame
        One row per decision: ``decision``, ``owner``, ``metric``, ``change_date`` (first day of the new way), ``group``
        (the deals it is for, a filter; empty for all), ``days`` (each deal has to be won; 0 for a share of closed
        deals), ``baseline_rate`` (0-1, as signed), ``expected_effect`` (points, 0-1), ``review_date``, ``signed_by``,
        ``signed_date``; dates are ``date``.

    Raises
    ------
    DataError
        One line for each fault of the file.

    Metrics
    -------
    baseline_rate : rate, created, higher, -, is_won
        Share of deals won (in time, or of those closed) before a decision, as it was written down when it was signed.
    expected_effect : points, created, higher, -, is_won
        Change of that share which the decision was signed for.

    Examples
    --------
    >>> read(Path("nowhere")).empty
    True
    """
    path = (notes.folder() if place is None else place) / notes.LEDGER
    found = handwritten.read(path, _FIELDS, noun="decision", check=_checked) if path.is_file() else []
    rows = [_row(each) for each in found if each["source"] in (None, source)]
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def scored(
    decided: pd.DataFrame,
    opportunities: pd.DataFrame,
    *,
    as_of: date,
    is_in: Callable[[str], pd.Series | None] | None = None,
    cohort: str = "month",
) -> pd.DataFrame:
    """Each decision with what happened at its day, by the method of `before_after`.

    A change is called only where its interval is clear of zero, the group and its comparison did not move apart
    before, and no more than one in twenty earlier dates show as much. Before there are six cohorts on both sides it
    is too early. A deal lies by its start where the share is that of deals won in time, by its end where it is one of
    closed deals. Known bias: whatever else changed that day is in the effect; several decisions of one day cannot
    be told apart. A share of closed deals also moves while deals of before it are still being decided.

    Parameters
    ----------
    decided
        Of `read`.
    opportunities
        The population, as for `before_after.cases`.
    as_of
        Last day of data.
    is_in
        For which opportunities a filter holds: `Company.is_in`; without it each decision is for all.
    cohort
        ``"month"`` or ``"week"``.

    Returns
    -------
    DataFrame
        As `decided`, with ``state`` (too early, no clear change, better, worse, not scored), ``expected`` (reached:
        the interval lies at or beyond the expected effect; possible: it holds it; excluded: it does not come to it;
        missing where there is no effect yet), ``reason`` (why not scored or too early), ``n``, ``n_before``,
        ``n_after``, ``decision_effect`` with interval (points, 0-1), ``judged_from_date`` (first day on which it can
        be told) and ``is_due`` (the review date has come).

    Metrics
    -------
    decision_effect : points, created, higher, -, is_won
        Change of the share that a decision is about at its day, beyond what would be expected without it.

    Examples
    --------
    >>> scored(read(Path("nowhere")), pd.DataFrame(), as_of=date(2026, 9, 30)).empty
    True
    """
    rows = [_scored(row, opportunities, as_of, is_in, cohort) for row in decided.to_dict("records")]
    table = pd.DataFrame(rows, columns=list(_SCORES), index=decided.index)
    counts = {name: table[name].astype("Int64") for name in ("n", "n_before", "n_after")}
    return pd.concat([decided, table.assign(**counts, **{name: table[name].astype(float) for name in _EFFECT})], axis=1)


def shown(scores: pd.DataFrame, company: Any) -> pd.DataFrame:
    """The decisions with every person in them as the people policy of the source has it.

    Parameters
    ----------
    scores
        Of `read` or `scored`.
    company
        With ``hidden`` and ``unnamed``, as `crm.load` gives it.
    """
    is_masked, unnamed = bool(company.hidden), company.unnamed
    people = {
        name: [
            notes.signed(each, unnamed, is_masked=is_masked) if isinstance(each, str) else None for each in scores[name]
        ]
        for name in ("owner", "signed_by")
    }
    return scores.assign(**people, decision=scores["decision"].map(unnamed), group=scores["group"].map(unnamed))


def ledger(scores: pd.DataFrame) -> pd.DataFrame:
    """The columns of the ledger as a table of the page shows them, due reviews first.

    Returns
    -------
    DataFrame
        ``decision``, ``owner``, ``change_date``, ``review_date``, ``signed`` (who and when, or not yet),
        ``baseline_rate``, ``expected_effect``, ``decision_effect`` with interval, ``n``, ``outcome`` (in words).
    """
    signed = [_signed(row) for row in scores.to_dict("records")]
    outcome = [_outcome(row) for row in scores.to_dict("records")]
    columns = ["decision", "owner", "change_date", "review_date", "signed", "outcome", "baseline_rate"]
    table = scores.assign(signed=pd.Series(signed, index=scores.index, dtype="str"), outcome=outcome)
    due_first = table.sort_values(["is_due", "review_date"], ascending=[False, True], kind="stable")
    return due_first[[*columns, "expected_effect", *_EFFECT, "n"]].reset_index(drop=True)


def sentences(scores: pd.DataFrame) -> list[str]:
    """What became of each decision, one sentence each, in the order of the frame.

    Parameters
    ----------
    scores
        Of `scored`.

    Examples
    --------
    >>> row = {"decision": "Ask for a sponsor", "change_date": date(2026, 1, 12), "days": 120, "expected_effect": 0.05,
    ...     "state": "better", "expected": "possible", "decision_effect": 0.08, "decision_effect_low": 0.04,
    ...     "decision_effect_high": 0.12, "n_before": 500, "n_after": 400, "reason": None, "is_due": True,
    ...     "metric": "won_in_time_rate", "review_date": date(2026, 9, 1), "judged_from_date": date(2026, 11, 11)}
    >>> said = lambda **other: print(sentences(pd.DataFrame([row | other]))[0])
    >>> said()
    "Ask for a sponsor" (since 12 January 2026): deals are won within 120 days more often, by 8 points \
(likely between 4 and 12); the expected 5 points lie in that range.
    >>> said(state="no clear change", expected="excluded", decision_effect_low=-0.02, decision_effect_high=0.03)
    "Ask for a sponsor" (since 12 January 2026): no clear change of how often deals are won within 120 days \
(500 deals before, 400 after); the expected 5 points can be ruled out.
    >>> said(state="too early", reason="none of the deals started since has had its 120 days")
    "Ask for a sponsor" (since 12 January 2026): too early to tell, none of the deals started since has had \
its 120 days; from 11 November 2026 on.
    """
    return [_sentence(row) for row in scores.to_dict("records")]


def _sentence(row: Mapping[str, Any]) -> str:
    head = f'"{row["decision"].rstrip(".")}" (since {words.day(row["change_date"])})'
    if row["state"] == NOT_SCORED:
        return f"{head}: not scored, {row['reason']}."
    if row["state"] == TOO_EARLY:
        again = "" if words.is_missing(row["judged_from_date"]) else f"; from {words.day(row['judged_from_date'])} on"
        return f"{head}: too early to tell, {row['reason']}{again}."
    said = SCORED[row["metric"]].format(days=row["days"])
    met = _EXPECTED_UNCLEAR if row["state"] == UNCLEAR else _EXPECTED
    expected = f"; {met[row['expected']].format(_points(row['expected_effect']))}"
    if row["state"] == UNCLEAR:
        counted = f"({words.count(row['n_before'])} deals before, {words.count(row['n_after'])} after)"
        return f"{head}: no clear change of how often {said} {counted}{expected}."
    often = "more" if row["state"] == BETTER else "less"
    near, far = (words.points(end).split()[0] for end in sorted(abs(row[name]) for name in _EFFECT[1:]))
    moved = f"by {words.points(abs(row['decision_effect']))} (likely between {near} and {far})"
    return f"{head}: {said} {often} often, {moved}{expected}."


_EXPECTED = {
    REACHED: "that is at least the expected {}",
    POSSIBLE: "the expected {} lie in that range",
    EXCLUDED: "the expected {} can be ruled out",
}
_EXPECTED_UNCLEAR = _EXPECTED | {POSSIBLE: "the expected {} are still possible"}


def _points(effect: float) -> str:
    return words.points(abs(effect)) if effect > 0 else f"fall of {words.points(abs(effect))}"


def _row(entry: Mapping[str, Any]) -> dict[str, Any]:
    sign_off = entry["sign_off"] or {}
    names = {"baseline_rate": "baseline"}
    row = {name: entry[names.get(name, name)] for name in _COLUMNS if not name.startswith("signed_")}
    days = row["days"] if row["metric"] == METRIC else 0
    return row | {"days": days, "signed_by": sign_off.get("by"), "signed_date": sign_off.get("on")}


def _scored(
    row: Mapping[str, Any], opportunities: pd.DataFrame, as_of: date, is_in: Callable | None, cohort: str
) -> dict[str, Any]:
    first = _judged_from(row, cohort)
    told = {"is_due": row["review_date"] <= as_of, "judged_from_date": first if first > as_of else None}
    if row["change_date"] > as_of:
        return told | {"state": TOO_EARLY, "reason": "it begins later"}
    try:
        group = is_in(row["group"]) if is_in else None
        cases = before_after.cases(
            **_deals(row["metric"], opportunities, group),
            change_date=row["change_date"],
            as_of=as_of,
            days=int(row["days"]),
        )
    except checks.ParameterError as fault:
        return told | {"state": NOT_SCORED, "reason": str(fault).rstrip(".")}
    return told | _judged(row, cases, cohort, is_early=first > as_of)


def _deals(metric: str, opportunities: pd.DataFrame, group: pd.Series | None) -> dict[str, Any]:
    """The deals that a share is of, from where their clock starts, and for which of them the decision is."""
    if metric == METRIC:
        return {"opportunities": opportunities, "group": group}
    rows = opportunities if metric == "all_closed_win_rate" else pipeline.qualified(opportunities)
    rows = rows[rows["is_closed"]]
    if metric == "decided_win_rate":
        rows = rows[rows["outcome"] != "no_decision"]
    rows = rows.assign(ended_on=pipeline.ended_on(rows))
    return {"opportunities": rows, "start": "ended_on", "group": None if group is None else group.loc[rows.index]}


def _judged(row: Mapping[str, Any], cases: pd.DataFrame, cohort: str, *, is_early: bool) -> dict[str, Any]:
    """How a decision stands by the main design, the one `before_after.sentence` rests on."""
    effects = before_after.effect(cases, cohort=cohort)
    main = effects[effects["is_main"]]
    sizes = effects.iloc[0][["n", "n_before", "n_after"]].to_dict()
    if is_early or sizes["n_after"] < checks.MIN_N:
        return sizes | {"state": TOO_EARLY, "reason": _early(sizes["n_after"], row["days"])}
    if main.empty:
        return sizes | {"state": NOT_SCORED, "reason": effects["reason"].dropna().iloc[0]}
    found = main.iloc[0]
    ends = {f"decision_effect{end}": found[f"change_effect{end}"] for end in ("", "_low", "_high")}
    if found["gap_trend_low"] > 0 or found["gap_trend_high"] < 0:
        reason = "the deals it was for and the others moved apart before it already"
        return sizes | {"state": NOT_SCORED, "reason": reason}
    is_clear = bool(found["is_named"]) and not _is_usual(before_after.placebos(cases, cohort=cohort))
    state = UNCLEAR if not is_clear else BETTER if ends["decision_effect"] > 0 else WORSE
    return sizes | ends | {"state": state, "expected": _met(row["expected_effect"], ends), "reason": None}


def _early(n_after: int, days: int) -> str:
    if not days:
        deals = "deal has" if n_after == 1 else "deals have"
        return f"only {words.count(n_after)} {deals} closed since" if n_after else "no deal has closed since"
    if not n_after:
        return f"none of the deals started since has had its {days} days"
    return f"only {words.count(n_after)} of the deals started since {'has' if n_after == 1 else 'have'} had {days} days"


def _is_usual(tried: pd.DataFrame) -> bool:
    """Whether more than one in twenty dates without a change show as much; so few that they cannot tell do not."""
    return len(tried) >= before_after.MIN_PLACEBOS and bool(tried["is_as_large"].sum() > len(tried) / 20)


def _met(expected: float, ends: Mapping[str, float]) -> str:
    """Where the expected effect lies against the interval, seen in its own direction."""
    way = 1 if expected > 0 else -1
    least, most = sorted(way * ends[f"decision_effect_{end}"] for end in ("low", "high"))
    return REACHED if least >= abs(expected) else POSSIBLE if most >= abs(expected) else EXCLUDED


def _judged_from(row: Mapping[str, Any], cohort: str) -> date:
    """The first day on which enough cohorts after the change have had their time."""
    length = {"month": 365.25 / 12, "week": 7.0}[cohort]
    return row["change_date"] + timedelta(days=int(row["days"]) + int(np.ceil((before_after.MIN_PERIODS - 1) * length)))


def _signed(row: Mapping[str, Any]) -> str:
    if words.is_missing(row["signed_by"]):
        return "not signed"
    return f"{row['signed_by']}, {words.day(row['signed_date'])}"


def _outcome(row: Mapping[str, Any]) -> str:
    expected = {
        REACHED: "expected effect reached",
        POSSIBLE: "expected effect possible",
        EXCLUDED: "expected effect ruled out",
    }
    return ", ".join(filter(None, [row["state"], expected.get(row["expected"])]))


def _metric(item: Any) -> str:
    if not isinstance(item, str) or item not in metrics.registry():
        raise ValueError(f"is no metric.{checks.did_you_mean(str(item), metrics.registry())}".removesuffix("."))
    if item not in SCORED:
        raise ValueError("cannot be scored by before and after")
    return item


def _days(item: Any) -> int:
    if not str(item).isdigit() or not 1 <= int(item) <= 3650:
        raise ValueError("is no number of days")
    return int(item)


def _sign_off(item: Any) -> dict[str, Any]:
    if not isinstance(item, dict) or set(item) != {"by", "on"}:
        raise ValueError("does not say by and on")
    return {"by": handwritten.text(item["by"]), "on": handwritten.day(item["on"])}


def _checked(entry: Mapping[str, Any]) -> Iterable[tuple[str, str, object]]:
    baseline, expected = entry["baseline"], entry["expected_effect"]
    if not 0 <= baseline <= 1:
        yield "baseline is no share", "Write it as 24 % or as 0.24.", baseline
    if not 0 < abs(expected) <= 1:
        yield "expected_effect is nothing or more than 100 points", "Write it as 5 points or as 0.05.", expected
    if entry["review_date"] <= entry["change_date"]:
        yield "review_date is not after change_date", "Give a later day.", entry["review_date"]


_FIELDS = {
    "decision": Field(handwritten.text, "Write in a few words what was decided."),
    "owner": Field(handwritten.text, "Write who answers for it."),
    "metric": Field(_metric, f"Write one that can: {', '.join(SCORED)}."),
    "change_date": Field(handwritten.day, "Write the first day of the new way, such as 2026-01-12."),
    "group": Field(handwritten.text, "Write a filter such as region == 'EMEA', or leave it out for all deals.", ""),
    "days": Field(_days, f"Write how many days each deal has to be won; {DAYS} if left out.", DAYS),
    "baseline": Field(handwritten.number, "Write the share before, such as 24 %."),
    "expected_effect": Field(handwritten.number, "Write it as 5 points or as 0.05."),
    "review_date": Field(handwritten.day, "Write the day it is looked at again, such as 2026-12-31."),
    "sign_off": Field(_sign_off, "Write {by: NAME, on: 2026-01-05}, or leave it out until it is signed.", None),
    "source": Field(handwritten.text, "Write the source as the page's banner names it, or leave it out for any.", None),
}
