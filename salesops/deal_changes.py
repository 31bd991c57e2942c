"""Deal changes: every deal's history as it was written, to look at on many evenings without knowing the future."""

from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import pandas as pd

from salesops import checks
from salesops.kept.memory import once

OPEN, WON, LOST, UNKNOWN = 0, 1, 2, -1
IN_FORCE = ("owner_id", "pipeline", "stage", "position", "amount", "close_date", "probability", "forecast_category")

_KEY = "opportunity_id"
_DEALS = (_KEY, "account_id", "owner_id", "created_date", "close_date", "closed_at", "amount", "is_closed", "is_won")
_STAGES = ("pipeline", "stage", "position", "is_closed", "is_won")
_NEVER = np.iinfo(np.int64).min // 4
_STEP = 1_000_000  # days: more than any history has


@dataclass(frozen=True)
class Wins:
    """The deals known as won: their number, day, amount and the row of `Changes` they were won with (-1: none)."""

    deal: np.ndarray
    day: np.ndarray
    amount: np.ndarray
    row: np.ndarray
    owners: np.ndarray

    @property
    def has_history(self) -> np.ndarray:
        return self.row >= 0

    def before(self, day: int) -> "Wins":
        """Those won before a day."""
        kept = self.day < day
        return Wins(*(part[kept] for part in (self.deal, self.day, self.amount, self.row, self.owners)))

    def equals(self, other: "Wins") -> bool:
        names = ("deal", "day", "amount")
        return all(np.array_equal(getattr(self, name), getattr(other, name), equal_nan=True) for name in names)

    def of(self, deal: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Day and amount of each deal's win; a day long ago where it is not won."""
        day, amount = np.full(n, _NEVER), np.zeros(n)
        day[self.deal], amount[self.deal] = self.day, self.amount
        return day[deal], amount[deal]

    def owner(self, at: np.ndarray) -> np.ndarray:
        return pd.Series(self.owners, dtype="str").array[at]


class Changes:
    """The rows of a history, deal by deal in time, with what each says; see `changes`."""

    def __init__(self, deals: pd.DataFrame, frame: pd.DataFrame) -> None:
        self.deals, self.frame = deals, frame
        self.deal = frame["deal"].to_numpy()
        self.day = frame["day"].to_numpy()
        self.state = frame["state"].to_numpy()
        self._key = self.deal * _STEP + self.day
        self._starts = np.searchsorted(self.deal, np.arange(len(deals)))
        self._ends = np.searchsorted(self.deal, np.arange(len(deals)), side="right")
        first = np.where(self._ends > self._starts, self.day[np.minimum(self._starts, len(frame) - 1)], _NEVER) \
            if len(frame) else np.full(len(deals), _NEVER)  # fmt: skip
        self.has_history = self._ends > self._starts
        made = day_numbers(deals["created_date"])
        self.created = np.where(made == _NEVER, first, made)
        self.seen = np.sort(np.maximum(self.created, first))

    @property
    def first_day(self) -> date | None:
        """The day of the history's first change."""
        return dates(self.day.min(keepdims=True))[0].astype("datetime64[D]").item() if len(self.day) else None

    @cached_property
    def entered(self) -> np.ndarray:
        """Day on which the stage in force was entered."""
        deal, code = self.deal, self.frame["stage_code"].to_numpy()
        is_move = np.r_[True, (deal[1:] != deal[:-1]) | (code[1:] != code[:-1])][: len(deal)]
        return self.day[np.maximum.accumulate(np.where(is_move, np.arange(len(deal)), 0))]

    @cached_property
    def pushes(self) -> np.ndarray:
        """How often the close date was moved later while the deal was open; what a day's last change leaves counts."""
        due = day_numbers(self.frame["close_date"])
        is_last = np.r_[self._key[1:] != self._key[:-1], [True]][: len(due)]
        spell = np.cumsum(self.state != OPEN)
        told = np.flatnonzero(is_last & (self.state == OPEN) & (due != _NEVER))
        before = told[:-1]
        same = (self.deal[told[1:]] == self.deal[before]) & (spell[told[1:]] == spell[before])
        pushed = np.zeros(len(due), dtype=np.int64)
        pushed[told[1:][same & (due[told[1:]] > due[before])]] = 1
        total = np.cumsum(pushed)
        start = self._starts[self.deal]
        return total - total[start] + pushed[start] if len(due) else total

    def at(self, day: int) -> np.ndarray:
        """Row in force of each deal at the end of a day; -1 before its first."""
        found = np.searchsorted(self._key, np.arange(len(self.deals)) * _STEP + day, side="right") - 1
        return np.where(found >= self._starts, found, -1)

    def state_on(self, day: int) -> np.ndarray:
        """State of each deal at the end of a day."""
        at = self.at(day)
        return np.where(at >= 0, self.state[at], UNKNOWN) if len(self.state) else np.full(len(at), UNKNOWN)

    def is_in(self, day: int, state: int) -> np.ndarray:
        return self.state_on(day) == state

    def standing(self, day: int, state: int) -> np.ndarray:
        """Rows in force at the end of a day, of the deals in a state."""
        at = self.at(day)
        at = at[at >= 0]
        return at[self.state[at] == state]

    def wins(self, day: date) -> Wins:
        """The deals known as won at the end of a day, with the close date and amount then known."""
        number = day_number(day)
        rows = self.standing(number, WON)
        due = day_numbers(self.frame["close_date"])[rows]
        due = np.where(due == _NEVER, self.day[rows], due)
        told = self._told & (self._told_on <= number)
        alone = np.flatnonzero(told)
        deal = np.r_[self.deal[rows], alone]
        order = np.argsort(deal, kind="stable")
        parts = (
            deal,
            np.r_[due, self._told_day[alone]],
            np.r_[self.frame["amount"].to_numpy()[rows], self.deals["amount"].to_numpy(float)[alone]],
            np.r_[rows, np.full(len(alone), -1)],
            np.r_[self.frame["owner_id"].to_numpy(object)[rows], self.deals["owner_id"].to_numpy(object)[alone]],
        )
        return Wins(*(part[order] for part in parts))

    def won_deals(self, wins: Wins) -> pd.DataFrame:
        """``opportunity_id, close_date, amount, created_date, segment, owner_id, source`` of wins."""
        known = self.deals.iloc[wins.deal].reset_index(drop=True)
        return pd.DataFrame({
            _KEY: known[_KEY], "close_date": dates(wins.day), "amount": wins.amount,
            "created_date": known["created_date"], "segment": known["segment"],
            "owner_id": wins.owner(np.arange(len(wins.deal))), "source": known["source"],
        })  # fmt: skip

    def created_within(self, day: date | int, days: int) -> int:
        """Deals created, as far as was known then, in the days up to the end of one."""
        number = day if isinstance(day, (int, np.integer)) else day_number(day)
        low, high = np.searchsorted(self.seen, [number - days, number], side="right")
        return int(high - low)

    @cached_property
    def _told(self) -> np.ndarray:
        """Deals of which only the record tells that they are won."""
        return ~self.has_history & self.deals["is_won"].to_numpy(dtype=bool) & (self._told_day != _NEVER)

    @cached_property
    def _told_day(self) -> np.ndarray:
        return day_numbers(self.deals["close_date"])

    @cached_property
    def _told_on(self) -> np.ndarray:
        moved = day_numbers(self.deals["closed_at"])
        return np.where(moved == _NEVER, self._told_day, moved)


@once
def changes(opportunities: pd.DataFrame, stage_history: pd.DataFrame, *, stages: pd.DataFrame) -> Changes:
    """Every change of every deal as its history tells, and the end of each closed deal whose history lacks it.

    A stage that is unknown leaves the one before in force. Nothing is known of a deal before its
    first change. A win counts from the day the CRM was told.

    Parameters
    ----------
    opportunities, stage_history, stages
        As of `forecast_cases.cases`.

    Raises
    ------
    DataError
        A missing column, or the same deal twice.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> deals = pd.DataFrame({"opportunity_id": ["A"], "account_id": "acme", "owner_id": "r1", "amount": 80.0,
    ...     "created_date": day(["2026-07-01"]), "close_date": day(["2026-07-09"]), "closed_at": day(["2026-07-09"]),
    ...     "is_closed": True, "is_won": True})
    >>> stages = pd.DataFrame({"pipeline": "new", "stage": ["Talk", "Won"], "position": [1, 2],
    ...     "is_closed": [False, True], "is_won": [False, True]})
    >>> history = pd.DataFrame({"opportunity_id": "A", "changed_at": day(["2026-07-01", "2026-07-09"]), "seq": [1, 2],
    ...     "stage": ["Talk", "Won"], "amount": [100.0, 80.0], "close_date": day(["2026-08-31", "2026-07-09"])})
    >>> known = changes(deals, history, stages=stages)
    >>> known.state_on(day_number(date(2026, 7, 8))).tolist(), known.wins(date(2026, 7, 9)).amount.tolist()
    ([0], [80.0])
    """
    checks.require_columns(opportunities, _DEALS, where="opportunities")
    checks.require_columns(stage_history, [_KEY, "changed_at", "seq", "stage"], where="stage_history")
    checks.require_columns(stages, _STAGES, where="stages")
    twice = opportunities.loc[opportunities[_KEY].duplicated(), _KEY]
    if len(twice):
        raise checks.DataError(
            f"opportunities: {len(twice):,} rows repeat an opportunity_id ({checks.examples(twice)}). "
            "Keep one row per deal."
        )
    deals = _deals(opportunities)
    rows = _recorded(deals, stage_history, _stage_map(stages))
    return Changes(deals, _with_ends(rows, deals))


def day_number(day: date) -> int:
    """Days since 1970.

    Examples
    --------
    >>> day_number(date(1970, 2, 1))
    31
    """
    return int(np.datetime64(day, "D").astype(np.int64))


def day_numbers(column: pd.Series) -> np.ndarray:
    """Days since 1970 of dates or times; long ago where missing.

    Examples
    --------
    >>> day_numbers(pd.Series(pd.to_datetime(["1970-02-01 23:00"])))
    array([31])
    """
    days = column.to_numpy().astype("datetime64[D]")
    return np.where(np.isnat(days), _NEVER, days.astype(np.int64))


def dates(numbers: np.ndarray) -> np.ndarray:
    """Days since 1970 as times at midnight.

    Examples
    --------
    >>> str(dates(np.array([31]))[0])[:16]
    '1970-02-01T00:00'
    """
    return np.asarray(numbers).astype("datetime64[D]").astype("datetime64[us]")


def _deals(opportunities: pd.DataFrame) -> pd.DataFrame:
    own = {"pipeline": "pipeline", "segment": "segment", "source": "lead_source"}
    empty = pd.Series(None, index=opportunities.index, dtype="str")
    more = {name: opportunities.get(column, empty) for name, column in own.items()}
    return opportunities[list(_DEALS)].assign(**more).reset_index(drop=True)


def _stage_map(stages: pd.DataFrame) -> pd.DataFrame:
    """Each stage once, as last defined: its place among the open ones of its pipeline, its state, its defaults."""
    known = stages.sort_values("valid_from", kind="stable", na_position="first") if "valid_from" in stages else stages
    known = known.drop_duplicates(["pipeline", "stage"], keep="last").reset_index(drop=True)
    is_closed, is_won = (known[name].fillna(False).to_numpy(dtype=bool) for name in ("is_closed", "is_won"))
    place = known["position"].astype(float).mask(is_closed)
    return pd.DataFrame({
        "pipeline": known["pipeline"].astype("str").fillna(""), "stage": known["stage"],
        "position": place.groupby(known["pipeline"], dropna=False).rank(method="dense"),
        "state": np.select([~is_closed, is_won], [OPEN, WON], LOST),
        "probability": known["probability"] if "probability" in known else np.nan,
        "forecast_category": known.get("forecast_category", pd.Series(None, index=known.index, dtype="str")),
    })  # fmt: skip


def _recorded(deals: pd.DataFrame, history: pd.DataFrame, stage_map: pd.DataFrame) -> pd.DataFrame:
    """The rows of the history, deal by deal in time, with what was in force after each."""
    deal = pd.Index(deals[_KEY]).get_indexer(history[_KEY])
    kept = np.flatnonzero((deal >= 0) & history["changed_at"].notna().to_numpy())
    at = history["changed_at"].to_numpy().astype("datetime64[us]")
    seq = history["seq"].fillna(0).to_numpy(dtype=np.int64)
    order = kept[np.lexsort([seq[kept], at[kept], deal[kept]])]
    deal, rows = deal[order], history.iloc[order].reset_index(drop=True)
    own = deals["pipeline"].array[deal]
    line = rows["pipeline"].fillna(pd.Series(own)) if "pipeline" in rows else pd.Series(own, dtype="str")
    code = _filled(deal, _stage_codes(line, rows["stage"], stage_map))
    known = stage_map.iloc[np.maximum(code, 0)].reset_index(drop=True)
    known = known.where(pd.Series(code >= 0), other=np.nan) if (code < 0).any() else known
    values = {name: _in_force(name, rows, deals, deal) for name in ("amount", "close_date", "owner_id")}
    defaults = {name: _or_default(name, rows, known) for name in ("probability", "forecast_category")}
    return pd.DataFrame({
        "deal": deal, "at": at[order], "day": at[order].astype("datetime64[D]").astype(np.int64), "stage_code": code,
        "state": np.where(code >= 0, stage_map["state"].to_numpy()[code], OPEN) if len(stage_map) else OPEN,
        "pipeline": line.astype("str"), "stage": known["stage"], "position": known["position"].astype(float),
        **values, **defaults,
    })  # fmt: skip


def _stage_codes(line: pd.Series, stage: pd.Series, stage_map: pd.DataFrame) -> np.ndarray:
    """Row of the stage map for each pipeline and stage, by the stage alone where that fails; -1: none."""
    pairs = pd.MultiIndex.from_arrays([line.astype("str").fillna(""), stage])
    code = pd.MultiIndex.from_frame(stage_map[["pipeline", "stage"]]).get_indexer(pairs)
    alone = stage_map.drop_duplicates("stage", keep="last")
    place = pd.Index(alone["stage"]).get_indexer(stage)
    by_name = np.where(place >= 0, alone.index.to_numpy()[place], -1) if len(alone) else place
    return np.where(code >= 0, code, by_name)


def _filled(deal: np.ndarray, code: np.ndarray) -> np.ndarray:
    """Each deal's last known code until then."""
    here = np.arange(len(deal))
    last = np.maximum.accumulate(np.where(code >= 0, here, -1))
    is_own = (last >= 0) & (deal[last] == deal) if len(deal) else np.zeros(0, dtype=bool)
    return np.where(is_own, code[last], -1) if len(deal) else code


def _in_force(name: str, rows: pd.DataFrame, deals: pd.DataFrame, deal: np.ndarray) -> pd.Series:
    """A column of the history; where it has none at all, the record's. An owner stays until the next is named."""
    record = pd.Series(deals[name].array[deal])
    if name not in rows or not rows[name].notna().any():
        return record
    return rows.groupby(deal)[name].ffill() if name == "owner_id" else rows[name]


def _or_default(name: str, rows: pd.DataFrame, known: pd.DataFrame) -> pd.Series:
    """A column of the history; what the stage usually has where the history has none at all."""
    return rows[name] if name in rows and rows[name].notna().any() else known[name]


def _with_ends(rows: pd.DataFrame, deals: pd.DataFrame) -> pd.DataFrame:
    """The changes, with the end of each closed deal whose history stays open."""
    deal, state = rows["deal"].to_numpy(), rows["state"].to_numpy()
    lasts = np.searchsorted(deal, np.arange(len(deals)), side="right") - 1
    has = (lasts >= 0) & (deal[lasts] == np.arange(len(deals))) if len(deal) else np.zeros(len(deals), dtype=bool)
    unseen = np.flatnonzero(has & deals["is_closed"].to_numpy(dtype=bool) & (state[lasts] == OPEN)) if len(deal) else []
    if not len(unseen):
        return rows
    ended = deals.iloc[unseen]
    moment = ended["closed_at"].fillna(ended["close_date"]).astype("datetime64[us]").to_numpy()
    moment = np.where(np.isnat(moment), rows["at"].to_numpy()[lasts[unseen]], moment)
    moment = np.maximum(moment, _moved(rows)[lasts[unseen]])
    code = np.where(ended["is_won"], WON, LOST)
    place = pd.Index(unseen).get_indexer(deal)
    is_after = (place >= 0) & (rows["at"].to_numpy() > moment[place])
    ends = rows.iloc[lasts[unseen]].assign(
        at=moment, day=moment.astype("datetime64[D]").astype(np.int64), state=code, stage_code=-2 - code,
        amount=ended["amount"].to_numpy(), close_date=ended["close_date"].to_numpy(),
    )  # fmt: skip
    both = pd.concat([rows.assign(state=np.where(is_after, code[place], state)), ends], ignore_index=True)
    return both.iloc[np.lexsort([both["at"].to_numpy(), both["deal"].to_numpy()])].reset_index(drop=True)


def _moved(rows: pd.DataFrame) -> np.ndarray:
    """When the stage in force was entered, row by row."""
    deal, code = rows["deal"].to_numpy(), rows["stage_code"].to_numpy()
    is_move = np.r_[True, (deal[1:] != deal[:-1]) | (code[1:] != code[:-1])]
    return rows["at"].to_numpy()[np.maximum.accumulate(np.where(is_move, np.arange(len(deal)), 0))]
