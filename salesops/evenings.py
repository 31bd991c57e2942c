"""Evenings: each deal as it stood at the end of a day, from its history or, without one, from its record."""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pandas as pd

from salesops import checks
from salesops.periods import Period
from salesops.stats import codes

OPEN, WON, LOST = "open", "won", "lost"
_STATES = [OPEN, WON, LOST]
_CODES = {state: code for code, state in enumerate(_STATES)}
_LONG_AGO = pd.Timestamp("1900-01-01")
_DAY = pd.Timedelta(days=1)
_HISTORY = ["opportunity_id", "changed_at", "seq", "stage", "amount", "close_date"]
_DEALS = ["opportunity_id", "stage", "amount", "created_date", "close_date", "closed_at", "is_closed", "is_won"]
# The record of a closed deal has the values that closing wrote: they say nothing about an evening before.
_WRITTEN_ON_CLOSING = ("stage", "forecast_category", "probability")


def between(
    opportunities: pd.DataFrame,
    stage_history: pd.DataFrame,
    *,
    start: date,
    end: date,
    stages: pd.DataFrame | None = None,
    by: str | None = None,
    reps: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Each deal on two evenings: open, won or lost, for how much, due when, and whose.

    The values in force are those of the last change on or before the evening. A win counts from
    its close date on, as bookings do, even where the CRM was told later; a win dated after the
    evening is still open. A lost deal (no decision too) has the amount and the close date it
    was last open with, because closing overwrites them; its owner is the one at its closing.

    A deal without history stands on both evenings as its record is now, from its created date
    on, and closed from the day it closed. A deal whose history begins after its created date
    has its first known values until then.

    Parameters
    ----------
    opportunities
        The population, one row per deal: ``opportunity_id, stage, amount, created_date, close_date,
        closed_at, is_closed, is_won`` and, for `by`, that column or ``owner_id``.
    stage_history
        ``opportunity_id, changed_at, seq, stage, amount, close_date`` and, where known, ``pipeline``
        and `by`; may be empty.
    start, end
        The two evenings: all that happened until the end of these days.
    stages
        Which stages are closed and won: ``pipeline, stage, valid_from, is_closed, is_won``. Without
        it, a stage is closed where every deal now in it is.
    by
        Column to carry: the value in force where the history has it (``owner_id``), an attribute
        of the owner in force where `reps` has it (``team``), else as it is now.
    reps
        ``owner_id`` and the attributes of people.

    Returns
    -------
    DataFrame
        One row per deal, in the order of `opportunities`: ``opportunity_id``, and with the endings
        ``_before`` and ``_after``: ``state`` (missing before the deal was created), ``amount``,
        ``close_date``, `by`; then ``history``: full, late (it begins after the first evening) or none.

    Raises
    ------
    ParameterError
        `end` is not after `start`.
    DataError
        A missing column, or the same deal twice.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> deals = pd.DataFrame({"opportunity_id": ["A"], "stage": ["Won"], "amount": [80.0], "is_closed": [True],
    ...     "is_won": [True], "created_date": day(["2026-06-01"]), "close_date": day(["2026-07-09"]),
    ...     "closed_at": day(["2026-07-09"])})
    >>> history = pd.DataFrame({"opportunity_id": "A", "changed_at": day(["2026-06-01", "2026-07-09"]), "seq": [1, 2],
    ...     "stage": ["Talk", "Won"], "amount": [100.0, 80.0], "close_date": day(["2026-08-31", "2026-07-09"])})
    >>> between(deals, history, start=date(2026, 6, 30), end=date(2026, 7, 31)).iloc[:, :5]
      opportunity_id state_before state_after  amount_before  amount_after
    0              A         open         won          100.0          80.0
    """
    rows, carried = replay(opportunities, stage_history, stages=stages, by=by, reps=reps)
    return compared(rows, opportunities, start=start, end=end, by=carried)


def replay(
    opportunities: pd.DataFrame,
    stage_history: pd.DataFrame,
    *,
    stages: pd.DataFrame | None = None,
    by: str | None = None,
    reps: pd.DataFrame | None = None,
) -> tuple[pd.DataFrame, str | None]:
    """Every change of every deal, deal by deal in time, to look at on many evenings; see `between`.

    Returns
    -------
    tuple
        The changes (``deal``: row of `opportunities`, ``at``, ``state``, ``amount``, ``close_date``, `by`,
        ``is_inferred``: told by the record, not the history) and `by`.
    """
    checks.require_columns(opportunities, _DEALS, where="opportunities")
    checks.require_columns(stage_history, _HISTORY, where="stage_history")
    _require_unique(opportunities)
    source, is_of_owner = _carried(by, opportunities, stage_history, reps)
    rows = _recorded(opportunities, stage_history, stages, source)
    rows = _with_ends(_with_beginnings(rows, opportunities), opportunities)
    if is_of_owner:
        of_owner = reps.drop_duplicates("owner_id").set_index("owner_id")[by]
        rows = rows.drop(columns="owner_id").assign(**{by: rows["owner_id"].map(of_owner)})
    return rows, by


def compared(
    rows: pd.DataFrame, opportunities: pd.DataFrame, *, start: date, end: date, by: str | None = None
) -> pd.DataFrame:
    """What `replay` found, on two evenings side by side; see `between`."""
    if end <= start:
        raise checks.ParameterError(f"waterfall: the last evening {end} is not after the first {start}. Swap them.")
    before, after = (evening(rows, opportunities, day) for day in (start, end))
    sides = {
        f"{name}_{side}": frame[name].array
        for name in ("state", "amount", "close_date", *([by] if by else []))
        for side, frame in (("before", before), ("after", after))
    }
    known = pd.DataFrame({"opportunity_id": opportunities["opportunity_id"].array} | sides)
    has_history = np.zeros(len(opportunities), dtype=bool)
    has_history[rows.loc[~rows["is_inferred"].to_numpy(), "deal"].unique()] = True
    history = np.select([~has_history, before["is_inferred"].to_numpy()], ["none", "late"], "full")
    return known.assign(history=pd.Series(history, dtype="str"))


def evening(rows: pd.DataFrame, opportunities: pd.DataFrame, day: date) -> pd.DataFrame:
    """Each deal as it stood at the end of a day, from the changes of `replay`.

    Returns
    -------
    DataFrame
        One row per deal, in the order of `opportunities`: the columns of the changes but ``deal`` and
        ``at``; all missing, and ``is_inferred`` false, before the deal was created.
    """
    after = pd.Timestamp(day) + _DAY
    starts, lasts = _bounds(rows["deal"].to_numpy(), len(opportunities))
    n_past = np.add.reduceat((rows["at"] < after).to_numpy().astype(np.int64), starts) if len(starts) else starts
    at = starts + n_past - 1
    state, due = rows["state"].to_numpy(), rows["close_date"].to_numpy()
    is_there = n_past > 0
    record_due = opportunities["close_date"].to_numpy()
    is_booked = is_there & opportunities["is_won"].to_numpy(dtype=bool) & (record_due < np.datetime64(after))
    at = np.where(is_booked & (state[at] == _CODES[OPEN]), lasts, at)
    is_booked &= state[at] != _CODES[LOST]
    is_ahead = (state[at] == _CODES[WON]) & (due[at] >= np.datetime64(after))
    now = np.where(is_booked, _CODES[WON], np.where(is_ahead, _CODES[OPEN], state[at]))
    stood = _values(rows, starts, at, now, is_there)
    return stood.assign(close_date=stood["close_date"].mask(is_booked, pd.Series(record_due)))


def week_evenings(window: Period, as_of: date) -> list[date]:
    """The evening before a window begins, every Sunday in it, and its last day, none after `as_of`.

    Examples
    --------
    >>> july = Period("2026-07", date(2026, 7, 1), date(2026, 7, 31))
    >>> [f"{day:%m-%d}" for day in week_evenings(july, as_of=date(2026, 7, 20))]
    ['06-30', '07-05', '07-12', '07-19', '07-20']
    """
    last = min(window.end, as_of)
    sundays = pd.date_range(window.start, last, freq="W-SUN").date.tolist()
    return sorted({window.start - timedelta(days=1), *sundays, last})


def _require_unique(opportunities: pd.DataFrame) -> None:
    twice = opportunities.loc[opportunities["opportunity_id"].duplicated(), "opportunity_id"]
    if len(twice):
        raise checks.DataError(
            f"opportunities: {len(twice):,} rows repeat an opportunity_id ({checks.examples(twice)}). "
            "Keep one row per deal."
        )


def _carried(
    by: str | None, opportunities: pd.DataFrame, stage_history: pd.DataFrame, reps: pd.DataFrame | None
) -> tuple[list[str], bool]:
    """Which column the changes carry, and whether `by` is an attribute of the owner."""
    if by is None:
        return [], False
    if by in opportunities.columns or by in stage_history.columns:
        return [by], False
    if reps is None or by not in reps.columns:
        checks.require_columns(opportunities, [by], where="opportunities")
    return ["owner_id"], True


def _recorded(
    opportunities: pd.DataFrame, stage_history: pd.DataFrame, stages: pd.DataFrame | None, carry: Sequence[str]
) -> pd.DataFrame:
    """The rows of the history, deal by deal in time, with the state of their stage."""
    deal = codes.places(stage_history["opportunity_id"], opportunities["opportunity_id"])
    kept = (deal >= 0) & stage_history["changed_at"].notna().to_numpy()
    stage, state = _stage_states(stage_history, stages, opportunities)
    named = {"changed_at", "seq", "amount", "close_date", *carry}
    history = stage_history[[name for name in stage_history.columns if name in named]]
    history = history if kept.all() else history[kept]
    rows = pd.DataFrame({
        "deal": deal[kept], "at": history["changed_at"].astype("datetime64[us]").to_numpy(),
        "seq": history["seq"].fillna(0).to_numpy(dtype=np.int64), "stage": stage[kept], "state": state[kept],
    })  # fmt: skip
    order = _order(rows)
    values = {name: _in_force(name, rows["deal"], history, opportunities) for name in ("amount", "close_date", *carry)}
    rows = rows.drop(columns="seq").assign(**values)
    rows = (rows if order is None else rows.iloc[order]).reset_index(drop=True)
    for name in carry:
        rows[name] = rows[name].array[_filled(rows["deal"].to_numpy(), rows[name].notna().to_numpy())]
        rows[name] = rows[name].where(rows[name].notna(), _record(name, rows["deal"], opportunities, rows[name].dtype))
    known = _filled(rows["deal"].to_numpy(), rows["state"].to_numpy() >= 0)
    state = np.maximum(rows["state"].to_numpy()[known], _CODES[OPEN])
    return rows.assign(state=state, stage=rows["stage"].to_numpy()[known], is_inferred=False)


def _in_force(
    name: str, deal: pd.Series, history: pd.DataFrame, opportunities: pd.DataFrame
) -> pd.api.extensions.ExtensionArray:
    """A column of the history; where it has none at all, the record's."""
    if name in history.columns and history[name].notna().any():
        return history[name].array
    return _record(name, deal, opportunities, None).array


def _record(name: str, deal: pd.Series, opportunities: pd.DataFrame, dtype: object) -> pd.Series:
    if name not in opportunities.columns or name in _WRITTEN_ON_CLOSING:
        return pd.Series(None, index=deal.index, dtype=dtype or "str")
    return opportunities[name].iloc[deal].set_axis(deal.index)


def _stage_states(
    history: pd.DataFrame, stages: pd.DataFrame | None, opportunities: pd.DataFrame
) -> tuple[np.ndarray, np.ndarray]:
    """A number for each row's stage, and the state it means; -1 where unknown."""
    stage, names = pd.factorize(history["stage"])
    line, lines = pd.factorize(history["pipeline"]) if "pipeline" in history else (np.zeros_like(stage), [None])
    of_pair, of_name = _meanings(stages, opportunities)
    # the last row and column are read for -1: no stage, no pipeline
    table = np.full((len(names) + 1, len(lines) + 1), -1, dtype=np.int8)
    for row, name in enumerate(names):
        table[row] = [of_pair.get((each, name), of_name.get(name, -1)) for each in [*lines, None]]
    return stage, table[stage, line]


def _meanings(stages: pd.DataFrame | None, opportunities: pd.DataFrame) -> tuple[dict, dict]:
    """State by pipeline and stage, and by stage alone."""
    if stages is None or stages.empty:
        code = np.select(
            [~opportunities["is_closed"], opportunities["is_won"]], [_CODES[OPEN], _CODES[WON]], _CODES[LOST]
        )
        seen = pd.Series(code).groupby(opportunities["stage"].array).agg(["min", lambda codes: codes.mode().iloc[0]])
        return {}, dict(
            zip(seen.index, np.where(seen["min"] == _CODES[OPEN], _CODES[OPEN], seen.iloc[:, 1]), strict=True)
        )
    known = stages.sort_values("valid_from", kind="stable", na_position="first") if "valid_from" in stages else stages
    is_closed, is_won = (known[name].fillna(False).to_numpy(dtype=bool) for name in ("is_closed", "is_won"))
    code = np.select([~is_closed, is_won], [_CODES[OPEN], _CODES[WON]], _CODES[LOST])
    lines = known["pipeline"] if "pipeline" in known else pd.Series(None, index=known.index, dtype="str")
    return dict(zip(zip(lines, known["stage"], strict=True), code, strict=True)), dict(
        zip(known["stage"], code, strict=True)
    )


def _with_beginnings(rows: pd.DataFrame, opportunities: pd.DataFrame) -> pd.DataFrame:
    """The changes, each deal open with its first known values from its created date on."""
    created = opportunities["created_date"].astype("datetime64[us]").fillna(_LONG_AGO)
    first = rows.drop_duplicates("deal").set_index("deal").reindex(range(len(opportunities)))
    has_none = first["at"].isna().to_numpy()
    is_late = ~has_none & (opportunities["created_date"].notna() & (created < first["at"].array)).to_numpy()
    begun = first[has_none | is_late]
    if begun.empty:
        return rows
    record = {name: _record(name, begun.index.to_series(), opportunities, begun[name].dtype).array
              for name in rows.columns.drop(["deal", "at", "stage", "state", "is_inferred"])}  # fmt: skip
    begun = begun.assign(**{name: begun[name].where(begun["at"].notna(), values) for name, values in record.items()})
    begun = begun.assign(at=created.array[begun.index], state=_CODES[OPEN], stage=-1, is_inferred=True)
    return _merged(rows, begun.rename_axis("deal").reset_index())


def _with_ends(rows: pd.DataFrame, opportunities: pd.DataFrame) -> pd.DataFrame:
    """The changes, with the end of each closed deal whose history does not show it."""
    lasts = _bounds(rows["deal"].to_numpy(), len(opportunities))[1]
    is_open = rows["state"].to_numpy()[lasts] == _CODES[OPEN]
    unseen = np.flatnonzero(opportunities["is_closed"].to_numpy(dtype=bool) & is_open)
    if not len(unseen):
        return rows
    deal, stage = rows["deal"].to_numpy(), rows["stage"].to_numpy()
    is_move = np.r_[True, (deal[1:] != deal[:-1]) | (stage[1:] != stage[:-1])]
    moved_at = rows["at"].array[_filled(deal, is_move)[lasts[unseen]]]
    ended = opportunities.iloc[unseen]
    said = ended["closed_at"].fillna(ended["close_date"]).astype("datetime64[us]").reset_index(drop=True)
    moment = said.fillna(pd.Series(rows["at"].array[lasts[unseen]])).clip(lower=pd.Series(moved_at))
    code = np.where(ended["is_won"], _CODES[WON], _CODES[LOST])
    at_end = rows.iloc[lasts[unseen]].assign(at=moment.array, state=code, is_inferred=True)
    at_end = at_end.assign(amount=ended["amount"].array, close_date=ended["close_date"].array)
    return _merged(_closed_since(rows, unseen, moment, code), at_end)


def _closed_since(rows: pd.DataFrame, unseen: np.ndarray, moment: pd.Series, code: np.ndarray) -> pd.DataFrame:
    """A change after a deal's unseen end does not open it again."""
    place = pd.Index(unseen).get_indexer(rows["deal"])
    is_after = (place >= 0) & (rows["at"].to_numpy() > moment.to_numpy()[place])
    return rows.assign(state=np.where(is_after, code[place], rows["state"]))


def _merged(rows: pd.DataFrame, more: pd.DataFrame) -> pd.DataFrame:
    """Both in order of deal and time; `more` first where it begins a deal, else after what is known."""
    more = more[rows.columns].astype(rows.dtypes.to_dict())
    both = pd.concat([rows, more], ignore_index=True) if len(rows) else more
    order = np.lexsort([both["at"].to_numpy(), both["deal"].to_numpy()])
    return both.iloc[order].reset_index(drop=True)


def _order(rows: pd.DataFrame) -> np.ndarray | None:
    """The order of deal, time and sequence; nothing where the rows are in it."""
    deal, at, seq = (rows[name].to_numpy() for name in ("deal", "at", "seq"))
    same = deal[1:] == deal[:-1]
    is_next = (at[1:] > at[:-1]) | ((at[1:] == at[:-1]) & (seq[1:] >= seq[:-1]))
    if ((deal[1:] > deal[:-1]) | (same & is_next)).all():
        return None
    return np.lexsort([seq, at, deal])


def _filled(deal: np.ndarray, is_known: np.ndarray) -> np.ndarray:
    """For each row, the deal's last row until then that is known; itself where there is none."""
    here = np.arange(len(deal))
    last = np.maximum.accumulate(np.where(is_known, here, -1))
    first = np.maximum.accumulate(np.where(np.r_[True, deal[1:] != deal[:-1]], here, 0)) if len(deal) else here
    return np.where(last >= first, last, here)


def _bounds(deal: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each deal's changes begin and end."""
    starts = np.searchsorted(deal, np.arange(n))
    return starts, np.r_[starts[1:], len(deal)] - 1 if n else starts


def _values(
    rows: pd.DataFrame, starts: np.ndarray, at: np.ndarray, state: np.ndarray, is_there: np.ndarray
) -> pd.DataFrame:
    """The values of chosen rows; a lost deal's money and date are those it was last open with."""
    is_open = rows["state"].to_numpy() == _CODES[OPEN]
    last_open = np.maximum.accumulate(np.where(is_open, np.arange(len(rows)), -1))[at]
    was_open = last_open >= starts
    priced = np.where((state == _CODES[LOST]) & was_open, last_open, at)
    closing = np.where(was_open, np.minimum(last_open + 1, at), starts)
    owned = np.where(state == _CODES[OPEN], at, closing)
    names = rows.columns.drop(["deal", "at", "stage", "state", "is_inferred"])
    taken = {name: rows[name].array[priced if name in ("amount", "close_date") else owned] for name in names}
    there = pd.Series(is_there)
    frame = pd.DataFrame({name: pd.Series(values).where(there) for name, values in taken.items()})
    named = pd.Categorical.from_codes(np.where(is_there, state, -1), _STATES)
    return frame.assign(state=named, is_inferred=is_there & rows["is_inferred"].to_numpy()[at])
