"""Finds people's names, addresses and ids in any text, and puts something else in their place."""

import re
from collections.abc import Mapping
from html import unescape
from typing import NamedTuple
from urllib.parse import unquote

import pandas as pd

_WORD = re.compile(r"[^\W_]+")
_BETWEEN = r"[\s,._+\-–]{1,3}"  # "Byron, Ada", "ada.byron", "Ada-Byron"
_LEAST_DIGITS = 6  # a shorter number is likely a year, an amount or a count
_LEAST_ID = 4


class _Phrase(NamedTuple):
    """Words that stand for a person: how they are found, what stands in their place, whether they are proof."""

    words: tuple[str, ...]
    pattern: re.Pattern
    mark: str
    is_certain: bool


class Scrubber:
    """Texts that give people away, each with what stands in its place.

    A text of several words is found as those words in a row, in any case, with blanks, points,
    commas or dashes between them; a name of two words also the other way round. An id is
    found as it is, where it holds letters and digits or is a long number; any other single word as
    the whole word in the same case: "2" may be anything. Parts of words are never touched.

    Parameters
    ----------
    marks
        What stands in each text's place.

    Examples
    --------
    >>> people = Scrubber({"Ada Byron": "AB", "ada@x.org": "AB", "U-001": "AB", "Al": "A", "2": "C"})
    >>> people.scrubbed("Byron, Ada (U-001, ADA@x.org) asks Al 2 things about Alpha")
    'AB (AB, AB) asks A 2 things about Alpha'
    >>> people.is_in("ada%20byron"), people.is_in("Ada and Byron"), people.is_in("Alas")
    (True, False, False)
    """

    def __init__(self, marks: Mapping[str, str]):
        self.texts = frozenset(marks)
        self._phrases: dict[str, list[_Phrase]] = {}
        for text in sorted(marks, key=lambda text: (-len(text), text)):
            for phrase in _phrases(text, marks[text]):
                self._phrases.setdefault(phrase.words[0], []).append(phrase)

    def scrubbed(self, text: str) -> str:
        """The text with every mention replaced."""
        for phrase in self._likely(text):
            text = phrase.pattern.sub(lambda _, mark=phrase.mark: mark, text)
        return text

    def is_in(self, text: str) -> bool:
        """Whether a text, a page or a document mentions anybody; a number or a single word is not enough to tell."""
        readable = unescape(unquote(text))
        return any(phrase.is_certain and phrase.pattern.search(readable) for phrase in self._likely(readable))

    def mentions(self, text: str) -> bool:
        """Whether a text would be changed, or is or lists one of the texts, however short."""
        return bool(self.texts & {part.strip() for part in text.split(",")}) or self.scrubbed(text) != text

    def column(self, texts: pd.Series) -> pd.Series:
        """A column of texts with every mention replaced; the same column where there is none."""
        changed = {text: self.scrubbed(text) for text in texts.dropna().unique()}
        changed = {text: other for text, other in changed.items() if text != other}
        if not changed:
            return texts
        return texts.map(lambda cell: changed.get(cell, cell), na_action="ignore").astype("str")

    def _likely(self, text: str) -> list[_Phrase]:
        """Phrases all of whose words are in the text, long ones first."""
        words = set(_WORD.findall(text.casefold()))
        found = [phrase for first in words & self._phrases.keys() for phrase in self._phrases[first]]
        return sorted((phrase for phrase in found if words.issuperset(phrase.words)), key=_longest_first)


def _longest_first(phrase: _Phrase) -> tuple[int, str]:
    return -len(phrase.pattern.pattern), phrase.pattern.pattern


def _phrases(text: str, mark: str) -> list[_Phrase]:
    """How a text is found: an id as it is, words in a row, and a name also with the last word first."""
    words = tuple(_WORD.findall(text))
    letters = "".join(words)
    if not words:
        return []
    if any(letter.isdigit() for letter in text) and not set(text) & {"@", " "}:
        is_mixed = not letters.isdigit()
        is_telling = len(letters) >= (_LEAST_ID if is_mixed else _LEAST_DIGITS)
        return [_phrase(words, re.escape(text), mark, is_mixed)] if is_telling else []
    if len(words) == 1:
        return [_Phrase((text.casefold(),), re.compile(_whole(re.escape(text))), mark, is_certain=False)]
    if "@" in text:
        return [_phrase(words, re.escape(text), mark, True)]
    orders = dict.fromkeys([words, (words[-1], *words[:-1])])
    return [_phrase(order, _BETWEEN.join(map(re.escape, order)), mark, True) for order in orders]


def _phrase(words: tuple[str, ...], pattern: str, mark: str, is_certain: bool) -> _Phrase:
    folded = tuple(word.casefold() for word in words)
    return _Phrase(folded, re.compile(_whole(pattern), re.IGNORECASE), mark, is_certain)


def _whole(pattern: str) -> str:
    return rf"(?<![^\W_]){pattern}(?![^\W_])"
