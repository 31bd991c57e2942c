"""Whether the sentences of a page say what its figures say: every number found again, every direction right."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache

from salesops import words

_DATES = (
    r"\b\d{1,2} (?:January|February|March|April|May|June|July|August|September|October|November|December)(?: \d{4})?"
    r"|\b(?:FY)?\d{2,4}Q[1-4]\b|\b(?:FY)?\d{2,4}W\d\d?\b|\b\d{4}-\d\d(?:-\d\d)?\b|\b\d{4}H[12]\b|\bFY\d{2,4}\b"
)
_VALUE = r"[−+]?(?:[^\s\d(),;:]{0,3} ?)?\d[\d.,]*[KMB]?"  # with its currency before it
_MOVE = re.compile(
    r"\b(?P<verb>up|rose|grew|gained|down|fell|lost) (?P<gap>[\d.,]+) points?\b[^.]*?"
    r"\((?P<before>[\d.,]+) %(?: to |\)[^.]*?\()(?P<after>[\d.,]+) %"
)
_CAME = re.compile(
    r"(?P<after>[\d.,]+) %(?:(?! %|; |\. ).)*?,? (?P<verb>up|down) (?P<gap>[\d.,]+) points? from (?P<before>[\d.,]+) %"
)
_APART = re.compile(
    r"(?P<before>[\d.,]+) % (?:against|get past it,) (?P<after>[\d.,]+) %(?:(?! %).)*?"
    r"(?:a difference of |; )(?P<gap>[\d.,]+) points?\b"
)
_BESIDE = re.compile(
    r"(?<!neither )(?<!nor )(?<!no )(?<!or )(?<!clearly )\b(?P<way>more|less|higher|lower)\b(?! nor| or | and no)"
    r"(?: often)?(?: than| against)\b(?:(?! %|; |\. ).)*?: "
    r"(?P<one>[\d.,]+) %(?:(?! %|; |\. ).)*? against (?P<other>[\d.,]+) %"
)
_WITHIN = re.compile(
    rf"\b(?:likely|in four of five cases) between (?P<low>{_VALUE})(?: (?:%|points?|days?|hours?))?"
    rf" and (?P<high>{_VALUE})"
)
_PART = re.compile(r"(?P<share>[\d.,]+) %(?:(?! %|; |\. |\().)*?\((?P<part>[\d.,]+) of (?P<all>[\d.,]+)\)")
_NOTE = re.compile(rf"^vs [^:]+: (?P<verb>up|down)\b.*?\(was (?P<before>{_VALUE})")
_NOT_FOUND_BUT_TOLD = re.compile(  # how many things were looked at, and a year
    r"\b\d+ (?:(?:habits|factors|rules|pairs? of rep and class|later times? of answer w(?:as|ere)) )?"
    r"(?:compared|tried|looked at|rules)\b"
    r"|\b(?:\d+ of )?\d+ (?:reps|teams) lies? farther out\b"
    r"|\b(?:[Ff]irst|In) 30 days\b"  # what activity is counted by
    r"|(?:(?<=\b(?:in|of|to) )|(?<=\b(?:from|than) )|(?<=\bsince ))(?:19|20)\d\d\b(?![.,]\d| ?%| points| days)"
)
_UP = ("up", "rose", "grew", "gained", "more", "higher")
_SCALES = {"K": 1e3, "M": 1e6, "B": 1e9}
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
    >>> with words.written_in("de"):
    ...     untraced("24,3 % of 1.234 deals, not 1.235.", [{"value": 0.24, "n": 1234, "unit": "rate"}])
    ['24,3 %', '1.235']
    """
    return tracer(figures, currency=currency, names=names)(sentence)


def tracer(
    figures: Sequence[Mapping[str, object]], *, currency: str = "", names: Iterable[str] = ()
) -> Callable[[str], list[str]]:
    """`untraced` of any sentence beside the same figures, whose forms are written once.

    Examples
    --------
    >>> lost = tracer([{"value": 0.2167, "n": 263, "unit": "rate"}])
    >>> lost("We won 22 % of 263 deals."), lost("We won 23 % of 263 deals.")
    ([], ['23 %'])
    """
    known = forms(figures, currency) | {*_SHARE_OF_ALL, words.rate(0.998)}  # the usual limits of chance
    groups = {item for figure in figures for item in figure.get("by", {}).values() if isinstance(item, str)}
    named = [name for name in {*groups, *names} if any(mark.isdigit() for mark in name)]
    named.sort(key=len, reverse=True)

    def lost(sentence: str) -> list[str]:
        bare = _without(named, _NOT_FOUND_BUT_TOLD.sub("", _without_gaps(sentence)))
        return [number for number in _numbers(bare, currency) if number not in known]

    return lost


def contradictions(sentence: str) -> list[str]:
    """What a sentence says against the values it names itself.

    A move or a comparison of rates in the wrong direction or of another size, an interval whose ends are in the
    wrong order, a share that is not that of the counts beside it.

    Examples
    --------
    >>> contradictions("The win rate fell 9 points from last year (33 %) to this (24 %).")
    []
    >>> contradictions("The win rate rose 9 points (33 % to 24 %).")
    ['rose 9 points, from 33 % to 24 %']
    >>> contradictions("We won 60 % of them (50 of 100), down 30 points from 30 % in 2026Q2.")
    ['down 30 points, from 30 % to 60 %', '60 %, which is not 50 of 100']
    >>> contradictions("SMB deals are won less often than others: 40 % against 19 % (likely between 7 and 3).")
    ['less, 40 % against 19 %', 'between 7 and 3']
    >>> contradictions("34 % against 26 % with all else alike, a difference of 7 points.")
    ['7 points between 34 % and 26 %']
    """
    moves = [*_MOVE.finditer(sentence), *_CAME.finditer(sentence)]
    return [
        *(said for move in moves for said in _wrong_move(move)),
        *(
            f"{found['gap']} points between {found['before']} % and {found['after']} %"
            for found in _APART.finditer(sentence)
            if _is_wrong_gap(found)
        ),
        *(
            f"{found['way']}, {found['one']} % against {found['other']} %"
            for found in _BESIDE.finditer(sentence)
            if _is_wrong_way(found["way"], found["other"], found["one"])
        ),
        *(
            f"between {found['low']} and {found['high']}"
            for found in _WITHIN.finditer(sentence)
            if size(found["low"]) > size(found["high"])
        ),
        *(
            f"{found['share']} %, which is not {found['part']} of {found['all']}"
            for found in _PART.finditer(sentence)
            if abs(100 * size(found["part"]) - size(found["share"]) * size(found["all"])) > 0.51 * size(found["all"])
        ),
    ]


def wrong_notes(value: str, notes: Iterable[str]) -> list[str]:
    """The comparisons of a tile that go the other way than its value and the one it names.

    Examples
    --------
    >>> wrong_notes("$1.2M", ["vs 2026Q2: up 20 % (was $1.0M)", "vs 2025Q3: up 10 % (was $1.4M)"])
    ['vs 2025Q3: up 10 % (was $1.4M)']
    """
    moved = [(note, _NOTE.search(note.replace("\u00a0", " "))) for note in notes]
    return [note for note, found in moved if found and _is_wrong_way(found["verb"], found["before"], value)]


def size(text: str) -> float:
    """The number that a text of this locale begins with, beside its currency; NaN where it holds none.

    Examples
    --------
    >>> size("−$1,234.5"), size("$1.2M"), size("24 %"), size("—")
    (-1234.5, 1200000.0, 24.0, nan)
    """
    point, comma = words.decimal_marks()
    found = re.search(r"([−-]?)\D*?(\d[\d.,]*)([KMB]?)", text)
    if not found:
        return math.nan
    digits = found[2].rstrip(".,").replace(comma, "").replace(point, ".")
    return (-1 if found[1] else 1) * float(digits) * _SCALES.get(found[3], 1)


def forms(figures: Iterable[Mapping[str, object]], currency: str = "") -> set[str]:
    """Every way the numbers of some figures may be written in a sentence, without their sign.

    Examples
    --------
    >>> sorted(forms([{"value": -0.082, "n": 40, "unit": "points"}]))
    ['40', '8', '8 %', '8 points', '8.2 %']
    """
    return {_unsigned(text) for figure in figures for text in _written(figure, currency)}


def _written(figure: Mapping[str, object], currency: str) -> Iterator[str]:
    unit = figure.get("unit")
    for name in ("value", "low", "high"):
        number = figure.get(name)
        if isinstance(number, int | float):
            yield from _as_value(abs(number), unit, currency)
    for item in figure.get("by", {}).values():  # a horizon, an age, or hours to answer in
        if isinstance(item, int | float) and not isinstance(item, bool):
            yield from (words.count(item), words.duration(item, "days"), words.duration(item, "hours"))
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
        yield f"{words.number(100 * number, 1)} %"  # beside a difference that whole ones would not agree with
        yield words.points(number)
        yield words.points(number).partition(" ")[0]
    if unit == "amount_per_day":
        yield words.amount(number, currency, compact=True)
    if unit in ("count", "ratio"):
        yield from (words.count(round(number)), words.number(number, 1), words.number(number, 2))


def _numbers(sentence: str, currency: str) -> list[str]:
    bare = re.sub(rf"{_DATES}|\bevery 1[.,]000\b", "", sentence.replace("\u00a0", " "))
    return [_unsigned(found[0].strip()) for found in _pattern(*words.decimal_marks(), currency).finditer(bare)]


@cache
def _pattern(decimals: str, thousands: str, currency: str) -> re.Pattern:
    """A number as its locale writes it, money with its currency before or after it."""
    digits = rf"\d{{1,3}}(?:{re.escape(thousands)}\d{{3}})+(?:[{decimals}]\d+)?|\d+(?:[{decimals}]\d+)?"
    before = r"[$€£¥₹]" + (rf"|{re.escape(currency)}\s" if currency else "")
    after = r"\s?[$€£¥₹]" + (rf"|\s{re.escape(currency)}\b" if currency else "")
    return re.compile(
        rf"(?<![\w.,-])[−+]?(?:{before})?(?:{digits})[KMB]?(?:{after})?"
        r"(?:\s?(?:%|points?\b|days?\b|hours?\b))?(?![\w-]*[A-Za-z])"
    )


def _wrong_move(move: re.Match) -> Iterator[str]:
    if _is_wrong_gap(move) or _is_wrong_way(move["verb"], move["before"], move["after"]):
        yield f"{move['verb']} {move['gap']} points, from {move['before']} % to {move['after']} %"


def _is_wrong_gap(found: re.Match) -> bool:
    """Whether the points between two rates are not those between the two as they stand; see `words.ends`."""
    return abs(abs(size(found["after"]) - size(found["before"])) - size(found["gap"])) > 0.06


def _is_wrong_way(way: str, before: str, after: str) -> bool:
    gap = size(after) - size(before)
    return bool(gap < 0 if way in _UP else gap > 0)  # a text without a number has no direction


def _without(names: Iterable[str], sentence: str) -> str:
    """The sentence without names, longest first, where they stand whole: a level "2" is no part of 1,332."""
    for name in names:
        if name in sentence:
            sentence = re.sub(rf"(?<![\w.,−-]){re.escape(name)}(?![\w-]|[.,]\d)", "it", sentence)
    return sentence


def _without_gaps(sentence: str) -> str:
    """The sentence without the size of a move between two rates it names: `contradictions` checks that against them."""
    for pattern in (_MOVE, _CAME, _APART):
        sentence = pattern.sub(lambda move: move[0].replace(f"{move['gap']} point", "point", 1), sentence)
    return sentence


def _unsigned(text: str) -> str:
    return text.lstrip("−+<>≈~ ").replace("point ", "points ")
