"""Notes by people, shown by the figure they are about; one whose figure has moved since says what it was then."""

from collections.abc import Iterable, Mapping
from typing import Any

from salesops import notes, words
from salesops.notes import Note
from salesops.report import changes, figures, markup
from salesops.report.figures import Figure, Scope

_ELSEWHERE = "Notes about figures that this page does not show"
MARK = '<span class="so-few">note</span> '  # before a figure of a table, whose notes stand under it


def of(figure: Figure, scope: Scope) -> list[Note]:
    """The notes about a figure that has a value."""
    latest = scope.period.label if scope.period else None
    return [] if figure["value"] is None else notes.by_figure(scope.notes, figure, latest=latest)


def by_line(note: Note, figure: Figure, scope: Scope) -> str:
    """Who wrote a note and when, and what the figure was then once it has moved.

    Examples
    --------
    >>> from datetime import date
    >>> note = Note("win_loss", "win_rate", "2026Q3", "Ann Lee", date(2026, 10, 5), 0.24, "Hm.", {}, 0.2, 0.28)
    >>> figure = {"value": 0.25, "low": 0.21, "high": 0.29, "unit": "rate"}
    >>> by_line(note, figure, Scope())
    'Ann Lee, 5 October 2026'
    >>> by_line(note, figure | {"value": 0.35, "low": 0.31, "high": 0.39}, Scope())
    'Ann Lee, 5 October 2026, written at 24 %'
    """
    then = words.value(note.value, str(figure["unit"]), currency=scope.currency, compact=True)
    said = [note.author, words.day(note.date), *([f"written at {then}"] if has_moved(note, figure, scope) else [])]
    return ", ".join(said)


def has_moved(note: Note, figure: Figure, scope: Scope) -> bool:
    """Whether a figure differs from what it was when a note was written by more than chance would give.

    By the interval of the difference. An estimate whose interval was not written down is taken to have been as
    uncertain as it is now; of an exact record any difference that the page would show counts.
    """
    before = {"x": note.value, "x_low": note.low, "x_high": note.high}
    now = {"x": figure["value"], "x_low": figure["low"], "x_high": figure["high"]}
    if note.low is None and figure["low"] is not None and figure["high"] is not None:
        gap = note.value - figure["value"]
        before |= {"x_low": figure["low"] + gap, "x_high": figure["high"] + gap}
    unit = str(figure["unit"])
    is_count = unit == "count" and figure["low"] is None
    gap, low, high = changes.difference(_known(now), _known(before), "x", is_count=is_count)
    if gap is None:
        return False
    if low is None:
        told = [words.value(row["x"], unit, currency=scope.currency, compact=True) for row in (now, before)]
        return told[0] != told[1]
    return not words.covers_zero(low, high)


def under_tile(figure: Figure, scope: Scope) -> str:
    """The notes of a tile's figure."""
    return _list((note, by_line(note, figure, scope), "") for note in of(figure, scope))


def under_table(made: Iterable[Figure], scope: Scope) -> str:
    """The notes of a table's figures, each with what it is about and the figure now."""
    return _list(
        (note, by_line(note, figure, scope), f"{notes.about(note)}, {_now(figure, scope)}")
        for figure in made
        for note in of(figure, scope)
    )


def elsewhere(left: Iterable[Note]) -> str:
    """The notes of a report whose figure is not on its page."""
    told = _list((note, f"{note.author}, {words.day(note.date)}", notes.about(note)) for note in left)
    return f'<div class="so so-table"><p><strong>{_ELSEWHERE}</strong></p>{told}</div>' if told else ""


def facts(made: Iterable[tuple[Figure, Scope]]) -> dict[str, Any]:
    """The notes of some figures, each with its scope, for the engine; nothing where there is none."""
    found = [
        {
            "key": figures.figure_key(figure),
            "about": notes.about(note),
            "text": note.text,
            "by": by_line(note, figure, scope),
        }
        for figure, scope in made
        for note in of(figure, scope)
    ]
    return {"notes": found} if found else {}


def _known(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def _now(figure: Figure, scope: Scope) -> str:
    return words.value(figure["value"], str(figure["unit"]), currency=scope.currency, compact=True)


def _list(told: Iterable[tuple[Note, str, str]]) -> str:
    items = [
        f"<li>{f'<strong>{markup.text(head)}</strong>: ' if head else ''}{markup.text(note.text)} "
        f'<span class="so-by">{markup.text(by)}</span></li>'
        for note, by, head in told
    ]
    return f'<ul class="so-remarks">{"".join(items)}</ul>' if items else ""
