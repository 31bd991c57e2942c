"""What changed since the last report, in sentences."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from salesops import checks, figures_files, what_changed, words

MOST = 4  # movements told one by one; the others are counted
_MOST_RESTATED = 2
_MOST_VALUES = 3  # parameters or definitions told one by one
_CHANGED = {
    what_changed.MAPPING: "the mapping of the source, its stage map or its calendar",
    what_changed.PARAMETERS: "the parameters",
    what_changed.DEFINITION: "the definition",
    what_changed.CODE: "the code of salesops",
    what_changed.NOTEBOOK: "the notebook",
    what_changed.PACKAGES: "the packages under salesops",
}
_NO_BREAK = (what_changed.CODE, what_changed.NOTEBOOK, what_changed.PACKAGES)


class Told(NamedTuple):
    """What changed in one report: its sentences by kind, and the frames behind them."""

    report: str
    breaks: list[str]
    moved: list[str]
    restated: list[str]
    scored: list[str]
    movements: pd.DataFrame
    restatements: pd.DataFrame

    @property
    def sentences(self) -> list[str]:
        """All of them: breaks first, because they say what may be compared."""
        return [*self.breaks, *self.moved, *self.restated, *self.scored]


def diff(earlier: Path, later: Path) -> str:
    """What changed between two packs, or two reports, as text.

    Parameters
    ----------
    earlier, later
        A dated folder of published reports, or one report's figures file, each.

    Raises
    ------
    ParameterError
        One is neither; both hold no report of the same name; or the earlier is the later one.
    """
    before, after = _given(earlier), _given(later)
    if max(document["as_of"] for document in before) > min(document["as_of"] for document in after):
        raise checks.ParameterError(f"diff: {earlier} is later than {later}. Name the earlier first.")
    found = between(before, after)
    if not found:
        names = [_joined(sorted(document["report"] for document in documents)) for documents in (before, after)]
        raise checks.ParameterError(
            f"diff: {earlier} and {later} have no report in common ({names[0]}; {names[1]}). Name two of the same."
        )
    told = {each.report for each in found}
    alone = sorted({document["report"] for document in (*before, *after)} - told)
    lines = [f"{each.report}\n" + "\n".join(f"  {sentence}" for sentence in each.sentences) for each in found]
    return "\n".join([*lines, *([f"In one of the two alone: {_joined(alone)}."] if alone else [])])


def between(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]], *, min_n: int = checks.MIN_N
) -> list[Told]:
    """What changed between two packs, report by report; those in one alone are passed over.

    All movements of the pack are judged together, so that noise is not named more often in a larger pack.

    Parameters
    ----------
    before, after
        Figures files of the two packs.
    min_n
        Deals below which a figure is not compared.

    Examples
    --------
    >>> between([], [])
    []
    """
    old = {document["report"]: document for document in before}
    pairs = [(old[document["report"]], document) for document in after if document["report"] in old]
    if not pairs:
        return []
    table = what_changed.named(
        pd.concat([what_changed.movements(*pair, min_n=min_n) for pair in pairs], ignore_index=True)
    )
    return [told(*pair, movements=table[table["report"].eq(pair[1]["report"])]) for pair in pairs]


def told(before: Mapping[str, Any], after: Mapping[str, Any], *, movements: pd.DataFrame) -> Told:
    """What changed between two reports.

    Parameters
    ----------
    before, after
        Figures files of one report.
    movements
        Of `what_changed.named`.
    """
    made = what_changed.changed(before, after)
    restated = what_changed.restated(before, after)
    return Told(
        report=after["report"],
        breaks=break_sentences(made, as_of=before["as_of"]),
        moved=movement_sentences(movements, before, after, is_broken=_is_broken(made)),
        restated=restated_sentences(restated, as_of=before["as_of"]),
        scored=scored_sentences(what_changed.scored(before, after), as_of=before["as_of"]),
        movements=movements,
        restatements=restated,
    )


def break_sentences(changed: pd.DataFrame, *, as_of: object) -> list[str]:
    """What of the report's making changed, and what that forbids.

    Parameters
    ----------
    changed
        Of `what_changed.changed`.
    as_of
        Day of the earlier report.

    Examples
    --------
    >>> rows = [("mapping", "", "", "", True), ("parameters", "where", "", "segment == 'SMB'", True),
    ...     ("code", "", "", "", False), ("definition", "win_rate", "", "", True)]
    >>> table = pd.DataFrame(rows, columns=["what", "name", "was", "became", "is_break"])
    >>> first, second, third = break_sentences(table, as_of="2026-06-30")
    >>> first  # doctest: +NORMALIZE_WHITESPACE
    "Break: since the report of 30 June 2026 the mapping of the source, its stage map or its calendar changed, and
    parameter where (empty then, segment == 'SMB' now); nothing is compared across it."
    >>> second, third  # doctest: +NORMALIZE_WHITESPACE
    ('Break: since the report of 30 June 2026 the definition of win rate changed; it is not compared across it.',
     'Since the report of 30 June 2026 the code of salesops changed.')
    """
    since, what = f"since the report of {words.day(as_of)}", changed["what"]
    if what.eq(what_changed.UNKNOWN).any():
        return [
            f"The report of {words.day(as_of)} does not say how it was made; nothing is compared with it, in case its "
            "definitions were others."
        ]
    wholes = [_CHANGED[what_changed.MAPPING]] if what.eq(what_changed.MAPPING).any() else []
    said = [f"Break: {since} "]
    parameters = _parameters(changed[what.eq(what_changed.PARAMETERS)])
    sentences = []
    if wholes or parameters:
        body = (
            f"{wholes[0]} changed{f', and {parameters}' if parameters else ''}" if wholes else f"{parameters} changed"
        )
        sentences.append(f"{said[0]}{body}; nothing is compared across it.")
    redefined = [_lower(words.label(name)) for name in changed.loc[what.eq(what_changed.DEFINITION), "name"]]
    if redefined:
        it = "it is" if len(redefined) == 1 else "they are"
        sentences.append(f"{said[0]}the definition of {_listed(redefined)} changed; {it} not compared across it.")
    others = [_CHANGED[part] for part in _NO_BREAK if what.eq(part).any()]
    if others:
        same = "" if redefined else "; every definition is the same"
        sentences.append(f"{since[:1].upper()}{since[1:]} {_joined(others)} changed{same}.")
    return sentences


def movement_sentences(
    table: pd.DataFrame, before: Mapping[str, Any], after: Mapping[str, Any], *, is_broken: bool = False
) -> list[str]:
    """What moved beyond noise, the surest first; or that nothing did, or why nothing is compared.

    Parameters
    ----------
    table
        Of `what_changed.named`, of this report.
    before, after
        The figures files.
    is_broken
        Whether a break forbids every comparison.

    Examples
    --------
    >>> second = {"as_of": "2026-06-30", "period": {"label": "2026Q2", "start": "2026-04-01", "end": "2026-06-30"}}
    >>> third = {"as_of": "2026-09-30", "period": {"label": "2026Q3", "start": "2026-07-01", "end": "2026-09-30"}}
    >>> row = {"metric": "win_rate", "statistic": "value", "by": "{}", "unit": "rate", "currency": "USD", "gap": 0.1,
    ...     "gap_least": 0.03, "gap_most": 0.18, "was_value": 0.22, "value": 0.32, "was_period": "2026Q2",
    ...     "period": "2026Q3", "is_named": True, "is_told": True}
    >>> movement_sentences(pd.DataFrame([row]), second, third)
    ['Win rate rose from 22 % in 2026Q2 to 32 % in 2026Q3, a change likely between +3 points and +18 points.']
    >>> movement_sentences(pd.DataFrame([row | {"is_named": False, "is_told": False}] * 9), second, third)
    ['None of the 9 figures that can be compared with the report of 30 June 2026 moved by more than noise.']
    >>> movement_sentences(pd.DataFrame([row])[:0], third, third)
    ['Both reports are about 2026Q3, so no movement is judged.']
    """
    if is_broken:
        return []  # the break says it
    first, second = before["period"]["label"], after["period"]["label"]
    if table.empty:
        if first == second:
            return [f"Both reports are about {second or 'no period'}, so no movement is judged."]
        if not what_changed.alike(before, after):
            return [f"{first or 'No period'} and {second or 'no period'} are not alike, so no movement is judged."]
        return [f"No figure can be compared with the report of {words.day(before['as_of'])}."]
    named = table[table["is_told"]]
    shown = named.drop_duplicates(["value", "was_value"])
    if shown.empty:
        n = len(table)
        of = f"None of the {words.count(n)} figures" if n > 1 else "The one figure"
        moved = "moved by more than noise" if n > 1 else "did not move by more than noise"
        return [f"{of} that can be compared with the report of {words.day(before['as_of'])} {moved}."]
    sentences = [_moved(row) for row in shown.head(MOST).to_dict("records")]
    more = len(shown) - len(sentences)
    if more:
        sentences.append(f"{words.count(more)} more {'figure' if more == 1 else 'figures'} moved by more than noise.")
    return sentences


def restated_sentences(table: pd.DataFrame, *, as_of: object) -> list[str]:
    """Past figures that are others now than when they were published, and what moved them.

    Parameters
    ----------
    table
        Of `what_changed.restated`.
    as_of
        Day of the earlier report.

    Examples
    --------
    >>> row = {"metric": "win_rate", "statistic": "value", "by": "{}", "unit": "rate", "currency": "USD",
    ...     "period": "2026Q2", "was_value": 0.2463, "value": 0.2472, "cause": "input"}
    >>> restated_sentences(pd.DataFrame([row] * 3), as_of="2026-06-30")  # doctest: +NORMALIZE_WHITESPACE
    ['Restated, because deals were changed after the report of 30 June 2026: win rate of 2026Q2, 24.6 % then and
    24.7 % now; and 2 more figures.']
    >>> restated_sentences(pd.DataFrame([row | {"cause": "mapping, input"}]), as_of="2026-06-30")
    ... # doctest: +NORMALIZE_WHITESPACE
    ['Restated, and the mapping of the source, its stage map or its calendar changed after the report of 30 June 2026;
    changed deals may have moved it too: win rate of 2026Q2, 24.6 % then and 24.7 % now.']
    """
    return [_restated(rows, cause, as_of) for cause, rows in table.groupby("cause", sort=False)]


def scored_sentences(table: pd.DataFrame, *, as_of: object) -> list[str]:
    """What the earlier forecast said of quarters that have ended, and what they became.

    Parameters
    ----------
    table
        Of `what_changed.scored`.
    as_of
        Day of the earlier report.

    Examples
    --------
    >>> row = {"period": "2026Q3", "said_amount": 4.2e6, "said_least": 3.6e6, "said_most": 4.9e6, "level": 0.8,
    ...     "became": 3.9e6, "is_inside": True, "currency": "USD"}
    >>> scored_sentences(pd.DataFrame([row]), as_of="2026-07-31")  # doctest: +NORMALIZE_WHITESPACE
    ['The forecast of 31 July 2026 said $4.2M for 2026Q3; it became $3.9M, inside the 80 % range of $3.6M to $4.9M and
    7 % less than said.']
    """
    return [_scored(row, as_of) for row in table.to_dict("records")]


def _given(path: Path) -> list[Mapping[str, Any]]:
    """The figures files of a dated folder, or the one that is named."""
    paths = sorted(path.glob("*.json")) if path.is_dir() else [path]
    found = [document for each in paths if (document := figures_files.document_of(each))]
    if not found:
        what = "holds no figures file" if path.is_dir() else "is no figures file" if path.exists() else "is not there"
        raise checks.ParameterError(
            f"diff: {path} {what}. Give a dated folder such as reports/2026-09-30, or a figures file in it."
        )
    return found


def _moved(row: Mapping[str, Any]) -> str:
    way = "rose" if row["gap"] > 0 else "fell"
    was, now = _both(row)
    unit = "points" if row["unit"] == "rate" else row["unit"]
    sizes = [round(row[end]) if unit == "count" else row[end] for end in ("gap_least", "gap_most")]
    ends = [words.value(size, unit, currency=row["currency"], compact=True) for size in sizes]
    signed = [end if end.startswith(("+", "−")) else f"+{end}" for end in ends]
    return (
        f"{_named(row)} {way} from {was} in {row['was_period']} to {now} in {row['period']}, "
        f"a change likely between {signed[0]} and {signed[1]}."
    )


def _restated(rows: pd.DataFrame, cause: str, as_of: object) -> str:
    shown = rows.head(_MOST_RESTATED if rows["by"].iloc[0] == "{}" else 1)
    shown = shown.drop_duplicates(["value", "was_value"])
    pieces = []
    for row in shown.to_dict("records"):
        was, now = _both(row)
        pieces.append(f"{_lower(_named(row))} of {row['period']}, {was} then and {now} now")
    more = len(rows) - len(shown)
    if more:
        pieces.append(f"and {words.count(more)} more {'figure' if more == 1 else 'figures'}")
    return f"Restated, {_why(cause, words.day(as_of), len(rows))}: {'; '.join(pieces)}."


def _why(cause: str, day: str, n: int) -> str:
    parts = [part for part in cause.split(", ") if part]
    made = [_CHANGED[part] for part in parts if part in _CHANGED]
    it = "it" if n == 1 else "them"
    if what_changed.UNKNOWN in parts:
        return f"and the report of {day} does not say how it was made"
    if made:
        late = f"; changed deals may have moved {it} too" if what_changed.INPUT in parts else ""
        return f"and {_joined(made)} changed after the report of {day}{late}"
    if parts:
        return f"because deals were changed after the report of {day}"
    return "though both reports say they were made from the same"


def _scored(row: Mapping[str, Any], as_of: object) -> str:
    said, came, least, most = (
        words.amount(row[name], row["currency"], compact=True)
        for name in ("said_amount", "became", "said_least", "said_most")
    )
    off = row["became"] / row["said_amount"] - 1 if row["said_amount"] > 0 else None
    far = "" if off is None else words.rate(abs(off))
    how = "" if off is None else "as said" if off == 0 else f"{far} {'more' if off > 0 else 'less'} than said"
    place = ""
    if not words.is_missing(row["is_inside"]):
        side = "inside" if row["is_inside"] else "outside"
        place = f"{side} the {words.rate(row['level'])} range of {least} to {most}"
    rest = " and ".join(part for part in (place, how) if part)
    became = f"it became {came}{f', {rest}' if rest else ''}"
    return f"The forecast of {words.day(as_of)} said {said} for {row['period']}; {became}."


def _named(row: Mapping[str, Any]) -> str:
    """The metric and its group, as a reader would say it."""
    column = row["metric"] if row["statistic"] == "value" else f"{row['metric']}_{row['statistic']}"
    count = " (count)" if row["unit"] == "count" else ""
    groups = [
        f"{_lower(words.label(name))} {words.group(value, name)}"
        for name, value in json.loads(row["by"]).items()
        if value is not None
    ]
    return ", ".join([f"{words.label(column)}{count}", *groups])


def _both(row: Mapping[str, Any]) -> tuple[str, str]:
    """Both values, with as many decimals as it takes to tell them apart."""
    values = [row["was_value"], row["value"]]
    told = [words.value(value, row["unit"], currency=row["currency"], compact=True) for value in values]
    scale, tail = (
        (100, " %") if row["unit"] == "rate" else (1, f" {row['currency']}" if "amount" in row["unit"] else "")
    )
    for decimals in range(1, 7):
        if told[0] != told[1]:
            break
        told = [f"{words.number(value * scale, decimals)}{tail}" for value in values]
    return told[0], told[1]


def _parameters(rows: pd.DataFrame) -> str:
    if rows.empty:
        return ""
    told = [
        f"{row.name} ({row.was or 'empty'} then, {row.became or 'empty'} now)" for row in rows.itertuples(index=False)
    ]
    return f"{'parameter' if len(told) == 1 else 'parameters'} {_listed(told)}"


def _listed(names: list[str]) -> str:
    more = len(names) - _MOST_VALUES
    return _joined([*names[:_MOST_VALUES], *([f"{words.count(more)} more"] if more > 0 else [])])


def _joined(names: Iterable[str]) -> str:
    names = list(names)
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def _lower(label: str) -> str:
    return label if label[:2].isupper() else label[:1].lower() + label[1:]


def _is_broken(changed: pd.DataFrame) -> bool:
    return bool((changed["is_break"] & changed["what"].ne(what_changed.DEFINITION)).any())
