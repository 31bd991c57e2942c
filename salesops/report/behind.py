"""Which deals the sentences at the head of a page speak of: from a sentence to its figure's list in one click."""

import re
from collections.abc import Iterable, Mapping, Sequence

from salesops import words
from salesops.report.figures import figure_key

_NUMBER = re.compile(r"(?<![\w–-])[^\s\d\w(]?\d[\d.,]*(?:[KMB](?!\w)|(?![\w–-]))(?: [%€]| days?| hours?| points?)?")


def headline_deals(
    sentences: Iterable[str], figures: Sequence[Mapping], lists: Mapping[str, Sequence], *, currency: str = ""
) -> dict[str, dict[str, str]]:
    """The list of deals behind each sentence that has one.

    It is the list of the figure of which the sentence says two things: its value, an end of its interval, ``n``, or
    how many of these came to what is measured; one of them is the value, or both are counts. A sentence whose numbers
    two lists would account for has no link: none is better than a wrong one.

    Parameters
    ----------
    sentences
        Plain text.
    figures
        As in the figures file.
    lists
        Ids of deals by key of a figure.
    currency
        ISO code of amounts.

    Returns
    -------
    dict
        By sentence: ``key`` of the figure and ``label`` of the link.

    Examples
    --------
    >>> period = {"label": "2026Q3", "start": None, "end": None}
    >>> rate = {"metric": "win_rate", "statistic": "value", "by": {}, "period": period, "compared_with": None,
    ...     "value": 0.25, "n": 4, "numerator": 1, "unit": "rate"}
    >>> lists = {"win_rate.2026Q3": ["d1", "d2", "d3", "d4"]}
    >>> headline_deals(["We won 25 % of 4 deals.", "Nothing else is known of 4."], [rate], lists)
    {'We won 25 % of 4 deals.': {'key': 'win_rate.2026Q3', 'label': '4 deals'}}
    """
    listed = [(figure, lists[key]) for figure in figures if (key := figure_key(figure)) in lists]
    found = {}
    for sentence in sentences:
        said = _numbers(sentence)
        fitting = [(figure, ids) for figure, ids in listed if _is_told(figure, said, currency)]
        if fitting and all(_same(ids, fitting[0][1]) for _, ids in fitting):
            figure, ids = fitting[0]
            label = f"{words.count(len(ids))} {'deal' if len(ids) == 1 else 'deals'}"
            found[sentence] = {"key": figure_key(figure), "label": label}
    return found


def _is_told(figure: Mapping, said: set[str], currency: str) -> bool:
    """Whether a sentence says a figure by its value and one thing more, or by what it is a share of."""
    if figure.get("compared_with") is not None or figure.get("value") is None or figure["unit"] == "count":
        return False
    value, low, high = (
        _written(figure.get(name), figure["unit"], currency) & said for name in ("value", "low", "high")
    )
    part, whole = (bool(figure.get(name)) and words.count(figure[name]) in said for name in ("numerator", "n"))
    return bool(value and (part or whole or (low and high))) or (part and whole)


def _written(number: object, unit: str, currency: str) -> set[str]:
    if number is None:
        return set()
    return {words.value(number, unit, currency=currency, compact=short) for short in (True, False)}


def _numbers(sentence: str) -> set[str]:
    """Every number of a sentence as written, with its unit; periods and days are none."""
    plain = sentence.replace("\u00a0", " ")
    return {text.rstrip(".,") for text in _NUMBER.findall(plain)}


def _same(first: Sequence, second: Sequence) -> bool:
    return first is second or (len(first) == len(second) and list(first) == list(second))
