"""Whether the sentences of a page say what its figures say: every number found again, every direction right."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from salesops import words

_DATES = (
    r"\b\d{1,2} (?:January|February|March|April|May|June|July|August|September|October|November|December)(?: \d{4})?"
    r"|\b(?:FY)?\d{2,4}Q[1-4]\b|\b(?:FY)?\d{2,4}W\d\d?\b|\b\d{4}-\d\d(?:-\d\d)?\b|\b\d{4}H[12]\b|\bFY\d{2,4}\b"
)
_NUMBER = re.compile(
    r"(?<![\w.,-])(?P<sign>[−+]?)(?P<money>[$€£¥₹]|[A-Z]{3}\s)?(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
    r"(?P<scale>[KMB]?)(?P<unit>\s?(?:%|points?\b|days?\b|hours?\b))?(?![\w-]*[A-Za-z])"
)
_MOVE = re.compile(
    r"\b(?P<verb>up|rose|grew|gained|down|fell|lost) (?P<gap>[\d.,]+) points?\b[^.]*?"
    r"\((?P<before>[\d.,]+) %(?: to |\)[^.]*?\()(?P<after>[\d.,]+) %"
)
_UP = ("up", "rose", "grew", "gained")
_SHARE_OF_ALL = ("100 %", "80 %", "90 %", "95 %")  # levels of intervals, and the whole


def untraced(
    sentence: str, figures: Sequence[Mapping[str, object]], *, currency: str = "", names: Iterable[str] = ()
) -> list[str]:
    """The numbers of a sentence that no figure shows.

    Dates, periods and ids are no figures; neither is the rank of a week or the words "four of five".

    Parameters
    ----------
    sentence
        Plain text.
    figures
        As in the figures file.
    currency
        ISO code of amounts.
    names
        What deals and people are called, beside the groups of the figures: no numbers, whatever digits they hold.

    Returns
    -------
    list of str
        Each number as the sentence writes it, in order; empty where all are found.

    Examples
    --------
    >>> rate = {"value": 0.2167, "low": 0.1712, "high": 0.2703, "n": 263, "numerator": 57, "unit": "rate"}
    >>> untraced("We won 22 % of the 263 deals closed in 2026Q3 (57).", [rate])
    []
    >>> untraced("We won 23 % of the 263 deals closed by 30 September 2026.", [rate])
    ['23 %']
    """
    known = forms(figures, currency)
    groups = {item for figure in figures for item in figure.get("by", {}).values() if isinstance(item, str)}
    bare = _without({*groups, *names}, sentence)
    return [number for number in _numbers(bare) if number not in known and number not in _SHARE_OF_ALL]


def contradictions(sentence: str) -> list[str]:
    """Moves of a rate whose direction or size is not that of the two values the sentence names.

    Examples
    --------
    >>> contradictions("The win rate fell 8 points from last year (33 %) to this (24 %).")
    []
    >>> contradictions("The win rate rose 9 points (33 % to 24 %).")
    ['rose 9 points, from 33 % to 24 %']
    """
    found = []
    for move in _MOVE.finditer(sentence):
        before, after, gap = (float(move[name].replace(",", "")) for name in ("before", "after", "gap"))
        is_up = move["verb"] in _UP
        is_wrong_way = before != after and is_up != (after > before)
        if is_wrong_way or abs(abs(after - before) - gap) > 1.05:  # each value is rounded by itself
            found.append(f"{move['verb']} {move['gap']} points, from {move['before']} % to {move['after']} %")
    return found


def forms(figures: Iterable[Mapping[str, object]], currency: str = "") -> set[str]:
    """Every way the numbers of some figures may be written in a sentence, without their sign.

    Examples
    --------
    >>> sorted(forms([{"value": -0.082, "n": 40, "unit": "points"}]))
    ['40', '8', '8 %', '8 points']
    """
    return {_unsigned(text) for figure in figures for text in _written(figure, currency)}


def _written(figure: Mapping[str, object], currency: str) -> Iterator[str]:
    unit = figure.get("unit")
    for name in ("value", "low", "high"):
        number = figure.get(name)
        if isinstance(number, int | float):
            yield from _as_value(abs(number), unit, currency)
    for item in figure.get("by", {}).values():  # a horizon or an age
        if isinstance(item, int | float) and not isinstance(item, bool):
            yield from (words.count(item), words.duration(item, "days"))
    for name in ("n", "numerator", "denominator"):
        number = figure.get(name)
        if isinstance(number, int | float):
            yield words.count(number)
            yield words.amount(number, currency, compact=True)
            yield words.amount(number, currency)


def _as_value(number: float, unit: object, currency: str) -> Iterator[str]:
    for compact in (True, False):
        yield words.value(number, unit, currency=currency, compact=compact)
    if unit in ("days", "hours"):
        yield words.value(number, unit, bare=True)
    if unit in ("rate", "points"):
        yield words.rate(number)
        yield words.points(number)
        yield words.points(number).partition(" ")[0]
    if unit == "amount_per_day":
        yield words.amount(number, currency, compact=True)
    if unit in ("count", "ratio"):
        yield from (words.count(round(number)), f"{number:.1f}", f"{number:.2f}")


def _numbers(sentence: str) -> list[str]:
    bare = re.sub(rf"{_DATES}|\bevery 1,000\b", "", sentence.replace("\u00a0", " "))
    return [_unsigned(found[0].strip()) for found in _NUMBER.finditer(bare)]


def _without(names: Iterable[str], sentence: str) -> str:
    for name in sorted(names, key=len, reverse=True):
        if any(mark.isdigit() for mark in name):
            sentence = sentence.replace(name, "it")
    return sentence


def _unsigned(text: str) -> str:
    return text.lstrip("−+<>≈~ ").replace("point ", "points ")
