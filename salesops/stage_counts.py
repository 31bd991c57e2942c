"""Histories of stages counted: stays, first entries and stages passed unseen, as cells.

What `journey` and `first_entries` tell deal by deal is told here of numbers alone, by the same rules (`stage_moves`),
and counted at once: a part of a history needs no names, and its cells add up with those of the others.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from salesops import first_entries, stage_moves
from salesops.periods import Period
from salesops.stage_moves import DAY, EXITS, NEVER

_CAUSES = pd.array(["advanced", "lost"], dtype="str")
_LOST, _WON = 1, 0  # among EXITS
_UNKNOWN = -2  # days of a late entry into a later stage


class StageCells(NamedTuple):
    """What a history of stages is counted to: for `stage_times.stage_duration` and `funnel.stage_conversion`."""

    stays: pd.DataFrame
    entries: first_entries.Entries


class Numbers(NamedTuple):
    """Moves between stages as numbers, deal by deal in time, each with what is known of its deal."""

    deal: np.ndarray
    place: np.ndarray  # the stage's row in `stage_moves.stage_map`
    entered_at: np.ndarray
    is_closed: np.ndarray
    is_won: np.ndarray
    ended_at: np.ndarray
    created_at: np.ndarray
    group: np.ndarray


def numbers(
    stage_history: pd.DataFrame, opportunities: pd.DataFrame, *, stages: pd.DataFrame, end: pd.Timestamp, group=None
) -> Numbers:
    """The moves of some deals as numbers; frames as for `journey.stage_visits`, and the number of each deal's group."""
    moves = stage_moves.moves(stage_history, stage_moves.stage_map(stages), opportunities, end=end)
    deal, told = moves["deal"].to_numpy(), opportunities["closed_at"].fillna(opportunities["close_date"])
    flags = (opportunities[name].to_numpy(dtype=bool)[deal] for name in ("is_closed", "is_won"))
    created = opportunities["created_date"] if "created_date" in opportunities else pd.Series(pd.NaT, told.index)
    moments = (stage_moves.ticks(each)[deal] for each in (told, created))
    group = np.zeros(len(opportunities), dtype=np.int64) if group is None else np.asarray(group)
    return Numbers(
        deal, moves["place"].to_numpy(), stage_moves.ticks(moves["entered_at"]), *flags, *moments, group[deal]
    )


def counted(
    moves: Numbers, *, stages: pd.DataFrame, end: pd.Timestamp, begins: pd.Timestamp, periods: Sequence[Period]
) -> dict[str, pd.DataFrame]:
    """The cells of moves, still as numbers: ``stays``, ``entries`` and ``passes``; those of several parts add up.

    Parameters
    ----------
    moves
        Of `numbers`.
    stages
        As for `journey.stage_visits`.
    end
        Stays still going on then are as old as at it.
    begins
        When the history begins, the other parts of it included.
    periods
        Of a move in none of them nothing but its stage and group is kept.
    """
    places = stage_moves.stage_map(stages)
    stays = _stays(moves, places, stage_moves.ticks(pd.Series([begins]))[0])
    last = stage_moves.ticks(pd.Series([end]))[0]
    stays["period"] = _period(stays["entered_at"], periods)
    until = np.where(stays["exited_at"] == NEVER, last, stays["exited_at"])
    days = (until - stays["entered_at"]) // DAY
    return {
        "stays": _cells(stays, ["place", "group"], {"exit": stays["exit"], "days": days}),
        "entries": _entries(stays, until),
        "passes": _passes(stays, places, periods),
    }


def named(
    cells: Mapping[str, pd.DataFrame],
    *,
    stages: pd.DataFrame,
    periods: Sequence[Period],
    by: str | None,
    groups: pd.Series,
) -> StageCells:
    """Cells with the names of their stages, groups, periods, exits and causes.

    Parameters
    ----------
    cells
        Of `counted`, of all parts.
    stages, periods
        As for `counted`.
    by
        What the groups are called.
    groups
        Their names, in order of their numbers.
    """
    places = stage_moves.stage_map(stages)[["pipeline", "stage", "position"]]
    stays, rows, passes = (_summed(cells[name]) for name in ("stays", "entries", "passes"))
    own = {} if by in (None, "pipeline", "stage") else {by: groups}
    stays, rows = (_with_names(each, places, own, periods) for each in (stays, rows))
    rows["cause"] = _taken(_CAUSES, rows["cause"])
    rows["is_reentered"] = rows["is_reentered"] == 1
    passed = places.iloc[passes["place"]][["pipeline", "position"]].reset_index(drop=True)
    passed = passed.assign(**{by: names.array[passes["group"]] for by, names in own.items()})
    passed["passed_at"] = _starts(passes["period"], periods)
    return StageCells(stays, first_entries.Entries(rows, passed.assign(n=passes["n"])))


def _stays(moves: Numbers, places: pd.DataFrame, begins: int) -> dict[str, np.ndarray]:
    """The stays in open stages: the rules of `journey.stage_visits`."""
    position, is_closed, is_won = (places[name].to_numpy()[moves.place] for name in ("position", "is_closed", "is_won"))
    exited_at, how = stage_moves.exits(
        moves.deal, moves.entered_at, position, is_closed, is_won, moves.is_closed, moves.is_won, moves.ended_at
    )
    found = {"deal": moves.deal, "place": moves.place, "group": moves.group, "entered_at": moves.entered_at,
             "created_at": moves.created_at, "position": position, "exited_at": exited_at, "exit": how}  # fmt: skip
    stays = {name: each[~is_closed] for name, each in found.items()}
    since = (stays.pop("created_at"), begins)
    _, stays["entry_days"] = stage_moves.entry_days(stays["deal"], stays["position"], stays["entered_at"], *since)
    return stays


def _entries(stays: Mapping[str, np.ndarray], until: np.ndarray) -> pd.DataFrame:
    """The first stay of each deal in each stage, followed to what came of it: the rules of `journey.progress`."""
    deal, entered_at = stays["deal"], stays["entered_at"]
    advanced_at = stage_moves.advanced_at(
        deal, stays["position"], entered_at, stays["exited_at"], stays["exit"] == _WON
    )
    is_last = np.r_[deal[1:] != deal[:-1], True][: len(deal)]
    ends = np.flatnonzero(is_last)
    final = np.repeat(ends, np.diff(ends, prepend=-1))
    has_advanced = advanced_at != NEVER
    cause = np.where(has_advanced, 0, np.where(stays["exit"][final] == _LOST, 1, -1))
    days = (np.where(has_advanced, advanced_at, until[final]) - entered_at) // DAY
    is_first, comes_again = _occurrences(deal, stays["place"])
    first = {name: each[is_first] for name, each in stays.items()}
    values = {"exit": stays["exit"], "cause": cause, "days": days, "is_reentered": comes_again}
    return _cells(first, ["place", "group"], {name: each[is_first] for name, each in values.items()})


def _occurrences(deal: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether each stay is the deal's first in its stage, and whether another follows."""
    is_first, comes_again = np.zeros(len(deal), dtype=bool), np.zeros(len(deal), dtype=bool)
    for each in np.unique(place):
        here = np.flatnonzero(place == each)
        same = deal[here[1:]] == deal[here[:-1]]
        is_first[here], comes_again[here] = np.r_[True, ~same], np.r_[same, False]
    return is_first, comes_again


def _passes(stays: Mapping[str, np.ndarray], places: pd.DataFrame, periods: Sequence[Period]) -> pd.DataFrame:
    """How many deals of each group first came, in each period, beyond each place that they never entered."""
    found = [pd.DataFrame({"place": [], "group": [], "period": [], "n": []}, dtype=np.int64)]
    lines = pd.factorize(places["pipeline"], use_na_sentinel=False)[0]
    of_stay = lines[stays["place"]]
    # Also the places that nobody of this part entered: those of another part may have.
    known = places.assign(line=lines, place=range(len(places)))[~places["is_closed"].to_numpy()]
    for line, of_line in known.groupby("line"):
        mine = np.flatnonzero(of_stay == line)
        rows = stays if len(mine) == len(of_stay) else {name: column[mine] for name, column in stays.items()}
        deal = np.cumsum(np.r_[True, rows["deal"][1:] != rows["deal"][:-1]][: len(mine)]) - 1
        for position, place in of_line.groupby("position")["place"].min().items():
            cells = _passing(rows, deal, position, periods).assign(place=place)
            found.append(cells[["place", "group", "period", "n"]])
    return pd.concat(found, ignore_index=True)


def _passing(
    rows: Mapping[str, np.ndarray], deal: np.ndarray, position: float, periods: Sequence[Period]
) -> pd.DataFrame:
    came = np.zeros(deal.max(initial=-1) + 1, dtype=bool)
    came[deal[rows["position"] == position]] = True
    at = stage_moves.beyond(rows["position"], rows["entered_at"], rows["exited_at"], rows["exit"] == _WON, position)
    passing = np.flatnonzero((at != NEVER) & ~came[deal])
    passing = passing[np.r_[True, np.diff(deal[passing]) > 0][: len(passing)]]
    cells = _counts({"group": rows["group"][passing], "period": _period(at[passing], periods)})
    return cells[cells["period"] >= 0]


def _period(moments: np.ndarray, periods: Sequence[Period]) -> np.ndarray:
    """The number of the period each moment lies in; -1 outside all of them."""
    found = np.full(len(moments), -1)
    for number, each in enumerate(periods):
        start, end = stage_moves.ticks(pd.Series([pd.Timestamp(each.start), pd.Timestamp(each.end)]))
        found[(moments >= start) & (moments < end + DAY) & (found < 0)] = number
    return found


def _cells(rows: Mapping[str, np.ndarray], keys: Sequence[str], values: Mapping[str, np.ndarray]) -> pd.DataFrame:
    entry = np.where(np.isnan(rows["entry_days"]), _UNKNOWN, rows["entry_days"]).astype(np.int64)
    outside = rows["period"] < 0
    kept = {name: np.where(outside, -1, each) for name, each in (values | {"entry_days": entry}).items()}
    return _counts({name: rows[name] for name in [*keys, "period"]} | kept)


def _counts(columns: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """The combinations found of whole numbers, and how often."""
    code, bases = np.zeros(len(next(iter(columns.values()))), dtype=np.int64), []
    for column in columns.values():
        low, high = (int(column.min()), int(column.max())) if len(column) else (0, 0)
        bases.append((low, high - low + 1))
        code = code * (high - low + 1) + (column.astype(np.int64) - low)
    number, found = pd.factorize(code)
    table = {"n": np.bincount(number, minlength=len(found))}
    for name, (low, size) in reversed(list(zip(columns, bases, strict=True))):
        table[name], found = found % size + low, found // size
    return pd.DataFrame(table)[[*columns, "n"]]


def _with_names(
    cells: pd.DataFrame, places: pd.DataFrame, own: Mapping[str, pd.Series], periods: Sequence[Period]
) -> pd.DataFrame:
    table = places.iloc[cells["place"]].reset_index(drop=True)
    table = table.assign(**{by: names.array[cells["group"]] for by, names in own.items()})
    table["entered_at"] = _starts(cells["period"], periods)
    is_inside = cells["period"] >= 0
    table["exit"] = _taken(EXITS, cells["exit"])
    table["days"] = cells["days"].astype(float).where(is_inside)
    table["entry_days"] = cells["entry_days"].astype(float).where(is_inside & (cells["entry_days"] != _UNKNOWN))
    rest = {name: cells[name] for name in ("cause", "is_reentered") if name in cells}
    return table.assign(**rest, n=cells["n"])


def _taken(names: pd.api.extensions.ExtensionArray, numbers: pd.Series) -> pd.api.extensions.ExtensionArray:
    return names.take(numbers.to_numpy(dtype=np.intp), allow_fill=True)


def _starts(numbers: pd.Series, periods: Sequence[Period]) -> pd.Series:
    starts = pd.array([pd.Timestamp(each.start) for each in periods], dtype=stage_moves.MOMENT)
    return pd.Series(starts.take(numbers.to_numpy(dtype=np.intp), allow_fill=True), index=numbers.index)


def _summed(pieces: pd.DataFrame) -> pd.DataFrame:
    keys = list(pieces.columns.drop("n"))
    return pieces.groupby(keys, as_index=False)["n"].sum()
