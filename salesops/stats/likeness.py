"""Names that are likely the same, written differently: who to compare, how alike they are, which belong together."""

import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from math import log

import numpy as np
import pandas as pd
from rapidfuzz import process
from rapidfuzz.distance import OSA, JaroWinkler
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

THRESHOLD = 0.88
WINDOW = 4  # neighbours compared in each sorted pass
SHARED = 30  # names that share all words but one are compared, unless more than so many do
RARE = 3  # a word of no more names than this may be a misspelling
SHORTEST = 4  # letters of a word that may be misspelt

# What a name may end in without naming anybody.
_LEGAL_FORMS = frozenset(
    "ab ag as asa bv co company corp corporation gmbh inc incorporated kg kk limited llc llp lp ltd nv oy oyj plc pte "
    "pty sa sarl sas se sl spa srl the and of".split()
)
_VOWELS = str.maketrans("", "", "aeiouy")
_CHUNK = 1_000_000


def pairs(names: pd.Series, *, threshold: float = THRESHOLD, window: int = WINDOW) -> pd.DataFrame:
    """Pairs of names that are likely one, with how alike they are.

    Blocking: a seldom word that is a commoner one but for a letter is taken for it; then each
    name is compared with its neighbours in three sorted passes (words in order, backwards,
    consonants only) and with the names that share all words but one, so that the work grows as
    the number of names. A pair is scored word by word (`score`).

    Not found: a misspelt first letter (seldom, and names that differ there are mostly two),
    initials for words (IBM), translations, a new name after a merger.

    Parameters
    ----------
    names
        Names by whatever identifies them; a missing name is compared with nothing.
    threshold
        Smallest score kept, 0-1.
    window
        Neighbours compared in each pass.

    Returns
    -------
    DataFrame
        ``left``, ``right`` (index labels), ``score``; the most alike first.

    References
    ----------
    Hernandez & Stolfo (1995), SIGMOD, sorted neighbourhoods in several passes; Winkler (1990), string comparator.

    Examples
    --------
    >>> pairs(pd.Series({"a": "Alder Analytics Inc.", "b": "Analytics, Aldre", "c": "Amber Analytics"})).round(2)
      left right  score
    0    a     b   0.97
    """
    words = names.dropna().map(_words)
    words = words[words.map(len) > 0]
    lists = words.tolist()
    weights = _weights(lists)
    left, right = _candidates(lists, weights, window)
    found = np.array([_score(lists[a], lists[b], weights) for a, b in zip(left, right, strict=True)], dtype=float)
    kept = found >= threshold
    labels = words.index
    table = pd.DataFrame({"left": labels[left[kept]], "right": labels[right[kept]], "score": found[kept]})
    return table.sort_values(
        ["score", "left", "right"], ascending=[False, True, True], kind="stable", ignore_index=True
    )


def clusters(found: pd.DataFrame) -> pd.Series:
    """Number of the group each paired label belongs to: whatever is linked, also by way of others.

    Examples
    --------
    >>> clusters(pd.DataFrame({"left": ["a", "b", "x"], "right": ["b", "c", "y"]})).to_dict()
    {'a': 0, 'b': 0, 'x': 1, 'c': 0, 'y': 1}
    """
    codes, labels = pd.factorize(pd.concat([found["left"], found["right"]], ignore_index=True))
    left, right = np.split(codes, 2)
    links = coo_matrix((np.ones(len(left)), (left, right)), shape=(len(labels), len(labels)))
    number = connected_components(links, directed=False)[1] if len(labels) else np.array([], dtype=int)
    return pd.Series(number, index=pd.Index(labels), dtype="int64")


def score(left: str, right: str) -> float:
    """How alike two names are, 0-1, by their words alone.

    Words are matched one to one, in any order: a word with itself, with a misspelling (one
    edit after the first letter, two from nine letters on) by its Jaro-Winkler similarity, or with an abbreviation.
    ``score = 2 x matched / all words of both``. Numbers only match themselves, legal forms do
    not count. Among many names (`pairs`) a word that many have counts less.

    Examples
    --------
    >>> round(score("Alder Mfg Ltd", "Manufacturing Alder"), 2), round(score("Alder Analytics", "Amber Analytics"), 2)
    (0.95, 0.5)
    """
    return _score(_words(left), _words(right), {})


@lru_cache(maxsize=200_000)
def _words(name: str) -> tuple[str, ...]:
    """A name's words, plain and sorted, without its legal form."""
    plain = unicodedata.normalize("NFKD", name).casefold().replace("&", " and ")
    kept = "".join(
        letter if letter.isalnum() else "" if letter in "'.’" or unicodedata.combining(letter) else " "
        for letter in plain
    )
    found = sorted(kept.split())
    return tuple(word for word in found if word not in _LEGAL_FORMS) or tuple(found)


def _candidates(lists: list[tuple[str, ...]], often: dict[str, int], window: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the names to compare, each pair once; those far apart in letters are dropped at once."""
    usual = _usual_spelling(often)
    lists = [tuple(sorted({usual.get(word, word) for word in words})) for words in lists]
    joined = pd.Series([" ".join(words) for words in lists], dtype="str")
    backwards = joined.str[::-1]
    passes = [_neighbours(keys, window) for keys in (joined, backwards, joined.str.translate(_VOWELS))]
    both = np.concatenate([*passes, _all_but_one_word(lists)], axis=1)
    numbers = np.unique(both.min(axis=0) * len(lists) + both.max(axis=0))
    left, right = numbers // max(len(lists), 1), numbers % max(len(lists), 1)
    near = _alike_at_all(joined.to_numpy(dtype=object), left, right)
    return left[near], right[near]


def _usual_spelling(often: dict[str, int]) -> dict[str, str]:
    """Seldom words that are a misspelling of a commoner one: those that are equal but for a letter left out of each."""
    words = pd.Series(list(often), dtype="str")
    words = words[words.str.len() >= SHORTEST]
    places = range(int(words.str.len().max()) if len(words) else 0)
    without = pd.concat([words.rename("key"), *(_without(words, place) for place in places)])
    keys = without.to_frame("key").assign(word=words.reindex(without.index).array).drop_duplicates()
    close = keys.merge(keys, on="key").query("word_x != word_y")[["word_x", "word_y"]].drop_duplicates()
    likeness = [
        _same_word(seldom, usual, often) for seldom, usual in zip(close["word_x"], close["word_y"], strict=True)
    ]
    close = close.assign(likeness=likeness, often_x=close["word_x"].map(often), often_y=close["word_y"].map(often))
    rising = (close["often_y"] > close["often_x"]) | (
        (close["often_y"] == close["often_x"]) & (close["word_y"] < close["word_x"])
    )
    best = close[rising & (close["likeness"] > 0)].sort_values(["often_y", "likeness", "word_y"], kind="stable")
    return best.drop_duplicates("word_x", keep="last").set_index("word_x")["word_y"].to_dict()


def _without(words: pd.Series, place: int) -> pd.Series:
    long = words[words.str.len() > place]
    return (long.str[:place] + long.str[place + 1 :]).rename("key")


def _neighbours(keys: pd.Series, window: int) -> np.ndarray:
    order = np.argsort(keys.to_numpy(dtype=object), kind="stable")
    steps = range(1, min(window, len(order) - 1) + 1)
    parts = [np.stack([order[:-step], order[step:]]) for step in steps]
    return np.concatenate(parts, axis=1) if parts else np.empty((2, 0), dtype=int)


def _all_but_one_word(lists: list[tuple[str, ...]]) -> np.ndarray:
    """Names equal but for one word, where not too many share the others."""
    keys = [(name, " ".join(words[:at] + words[at + 1 :]))
            for name, words in enumerate(lists) if len(words) > 1 for at in range(len(words))]  # fmt: skip
    rows = pd.DataFrame(keys, columns=["name", "key"]).drop_duplicates()
    rows = rows[rows.groupby("key")["name"].transform("size").between(2, SHARED)]
    both = rows.merge(rows, on="key").query("name_x < name_y")
    return both[["name_x", "name_y"]].to_numpy(dtype=int).T


def _alike_at_all(names: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Which pairs are worth a comparison word by word."""
    near = np.zeros(len(left), dtype=bool)
    for start in range(0, len(left), _CHUNK):
        part = slice(start, start + _CHUNK)
        alike = process.cpdist(names[left[part]], names[right[part]], scorer=JaroWinkler.normalized_similarity)
        near[part] = alike >= 0.7
    return near


def _weights(lists: Iterable[tuple[str, ...]]) -> dict[str, int]:
    """In how many names each word occurs."""
    counted: dict[str, int] = {}
    for words in lists:
        for word in set(words):
            counted[word] = counted.get(word, 0) + 1
    return counted


def _score(left: tuple[str, ...], right: tuple[str, ...], often: dict[str, int]) -> float:
    if left == right or "".join(left) == "".join(right):
        return 1.0
    shared = set(left) & set(right)
    ours, theirs = ([word for word in words if word not in shared] for words in (left, right))
    alike = 2 * sum(_weight(word, often) for word in shared)
    total = alike
    for word in ours:
        best = max(theirs, key=lambda other: _same_word(word, other, often), default="")
        same = _same_word(word, best, often) if best else 0.0
        # A word that only one of them has is a difference, however common the word.
        worth = _weight(word, often) + _weight(best, often) if same else 1.0
        alike, total = alike + same * worth, total + worth
        if same:
            theirs.remove(best)
    return alike / (total + len(theirs))


def _weight(word: str, often: dict[str, int]) -> float:
    """A word of many names says little about one."""
    return 1 / (1 + log(often.get(word, 1)))


def _same_word(word: str, other: str, often: dict[str, int]) -> float:
    """How likely two different words are one: a misspelling, or an abbreviation."""
    if not (word + other).isalpha():
        return 0.0
    short, long = (word, other) if len(word) <= len(other) else (other, word)
    seldom, commonly = sorted((often.get(word, 1), often.get(other, 1)))
    # Two words that many names use are words of their own, however close.
    is_seldom = seldom <= max(RARE, commonly / 50)
    if (
        is_seldom
        and short[0] == long[0]
        and len(short) >= SHORTEST
        and OSA.distance(short, long) <= 1 + (len(long) >= 9)
    ):
        return JaroWinkler.similarity(short, long)
    return 0.9 if _abbreviates(short, long) else 0.0


def _abbreviates(short: str, long: str) -> bool:
    """Whether a short word is the beginning of a long one, or its first, some and last letters in order."""
    if short[0] != long[0] or not 3 <= len(short) <= min(6, len(long) - 2):
        return False
    letters = iter(long)
    is_in_order = all(letter in letters for letter in short)
    return long.startswith(short) or (short[-1] == long[-1] and len(short) <= len(long) / 2 and is_in_order)
