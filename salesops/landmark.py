"""What was known of each deal at a fixed moment of its life, and which of that may be compared with how it ended."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import numpy as np
import pandas as pd
from pandas.api.extensions import take

from salesops import checks, periods, pipeline, words
from salesops.periods import Calendar, Period
from salesops.stats import codes, survival

FIXED = (
    "opportunity_id", "account_id", "owner_id", "landmark_at", "ended_at", "days", "outcome", "is_closed", "is_won",
    "crm_probability", "quarter",
)  # fmt: skip
KINDS = ("email", "call", "meeting", "demo", "proposal", "task")

_DAY = pd.Timedelta(days=1)
_KEY = "opportunity_id"
_CLOCKS = {"qualified": "qualified_date", "created": "created_date"}
_IN_FORCE = ("owner_id", "stage", "amount", "close_date", "probability")
_FINAL = 0.9  # share of a stage's deals that are closed in it, from which it is a closing stage
# The first of two columns that tell the same is kept: the plainer one comes first.
_CATEGORIES = (
    "segment", "region", "opportunity_type", "pipeline", "product", "lead_source", "campaign", "territory",
    "competitor", "loss_reason",
)  # fmt: skip
_NUMBERS = ("list_amount", "arr_amount", "one_off_amount", "prior_arr_amount", "term_months")
_OF_ACCOUNT = ("industry", "employees", "annual_revenue")
_USED = (
    _KEY, "account_id", "owner_id", "partner_id", "outcome", "is_closed", "is_won", "created_date", "qualified_date",
    "close_date", "closed_at", *_IN_FORCE, *_CATEGORIES, *_NUMBERS,
)  # fmt: skip


def deals(
    opportunities: pd.DataFrame,
    *,
    at: str | int,
    as_of: date,
    stage_history: pd.DataFrame | None = None,
    activities: pd.DataFrame | None = None,
    accounts: pd.DataFrame | None = None,
    reps: pd.DataFrame | None = None,
    calendar: Calendar = Calendar(),
) -> pd.DataFrame:
    """The deals still open at a fixed moment of their life, with what was known of them then.

    The landmark is the entry to the qualified stage, the creation, or so many days after it. A
    deal that had ended by then could no longer gain a meeting or a sponsor, so it is left out,
    as is one without the landmark; `population` counts both. Owner, amount, stage, probability
    and expected close are those in force at the landmark where the history tells; activities are
    those until it, by people, and held.

    Parameters
    ----------
    opportunities
        With ``opportunity_id, account_id, owner_id, outcome, is_closed, is_won, created_date,
        qualified_date, close_date, closed_at``; every other column is a candidate where it is
        filled at all, the ``x_`` columns included.
    at
        ``"qualified"``, ``"created"`` or days after creation. Where no deal has a qualified
        date, creation stands for it; where none has a created date either, every closed deal
        counts and the moment is missing.
    as_of
        Last day used; a deal that ends later is open.
    stage_history
        With ``opportunity_id, changed_at, seq`` and the values in force after each change.
    activities
        With ``opportunity_id, kind, occurred_at, is_held, is_automated``.
    accounts, reps
        With ``account_id`` and what is known of it; with ``owner_id`` and ``team``.
    calendar
        Whose quarters.

    Returns
    -------
    DataFrame
        One row per deal, in the order of `opportunities`: the columns of `FIXED`: ``landmark_at``,
        ``ended_at`` (missing while open), ``days`` from the landmark to the end, or to `as_of` while
        open, ``outcome``, ``is_closed``, ``is_won``, ``crm_probability`` (at the landmark, missing
        without history), ``quarter`` (of the landmark, to hold equal); then the candidates:
        ``amount``, categories and numbers of the deal, ``is_partner``, ``team``, the account's industry
        and size, ``x_…``, ``stage``, ``age_days`` (creation to landmark), ``expected_days`` (landmark to
        the close then expected), ``email_count`` … and ``activity_count``. A date in an ``x_…`` column
        becomes days after the landmark.

    Raises
    ------
    ParameterError
        `at` is no landmark.
    DataError
        A column is missing, or a deal has two rows.

    Notes
    -----
    A field without history is taken as it stands today, also where it was filled in later:
    `leaks.guard` tests each for knowing the outcome.

    References
    ----------
    Anderson, Cain & Gelber (1983), J. Clin. Oncol. 1:710-719.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> now = pd.DataFrame({
    ...     "opportunity_id": ["A", "B"], "account_id": "acme", "owner_id": "r1", "outcome": ["won", "lost"],
    ...     "is_closed": True, "is_won": [True, False], "amount": [90.0, 50.0], "created_date": day("2026-05-01"),
    ...     "qualified_date": day(["2026-06-01", None]), "close_date": day("2026-08-01"), "closed_at": pd.NaT,
    ... }).astype({"closed_at": "datetime64[us]"})
    >>> history = pd.DataFrame({"opportunity_id": "A", "changed_at": day(["2026-05-01", "2026-07-01"]), "seq": [1, 2],
    ...     "amount": [120.0, 90.0]})
    >>> found = deals(now, at="qualified", as_of=date(2026, 9, 30), stage_history=history)
    >>> found[["opportunity_id", "days", "is_won", "amount", "age_days"]].values.tolist()
    [['A', 61.0, True, 120.0, 31.0]]
    """
    checks.require_columns(opportunities, ["account_id", "owner_id"], where="opportunities")
    own = [name for name in opportunities.columns if name.startswith("x_")]
    kept = opportunities[opportunities.columns.intersection([*_USED, *own], sort=False)]
    rows, in_force = _alive(kept, at, as_of, stage_history)
    then = _told(rows, stage_history, in_force, [*_IN_FORCE, *_CATEGORIES, *_NUMBERS, *own])
    owner = then.get("owner_id", rows["owner_id"]).fillna(rows["owner_id"])
    rows = rows.assign(**then | {"owner_id": owner})
    day = rows["landmark_at"].dt.normalize()
    fixed = {name: rows[name] for name in FIXED[:-2]}
    known = {
        "amount": rows.get("amount"),
        **_of_deal(rows),
        **_joined(rows, reps, "owner_id", ["team"]),
        **_joined(rows, accounts, "account_id", _OF_ACCOUNT),
        **{name: _counted(rows[name], day) for name in own},
        "stage": then.get("stage"),
        "age_days": (day - rows["created_date"].dt.normalize()) / _DAY,
        "expected_days": (rows["close_date"] - day) / _DAY if "close_date" in then else None,
        **activity_counts(rows, activities),
    }
    filled = {name: column for name, column in known.items() if column is not None and column.notna().any()}
    probability = then.get("probability", pd.Series(np.nan, index=rows.index))
    fixed |= {"crm_probability": probability, "quarter": periods.quarter_labels(rows["landmark_at"], calendar)}
    return pd.DataFrame(fixed | filled).reset_index(drop=True)


def population(
    opportunities: pd.DataFrame, *, at: str | int, as_of: date, stage_history: pd.DataFrame | None = None
) -> pd.DataFrame:
    """How many deals `deals` keeps, and why it leaves out the others.

    Returns
    -------
    DataFrame
        One row: ``n`` (all deals), ``n_without`` (no landmark: never qualified, or not yet that
        old), ``n_ended_before`` (closed by then, or closed on no day known), ``n_alive``.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> rows = pd.DataFrame({
    ...     "opportunity_id": ["A", "B", "C"], "outcome": "won", "is_closed": True, "is_won": True,
    ...     "created_date": day(["2026-05-01", "2026-05-01", None]), "qualified_date": pd.NaT,
    ...     "close_date": day(["2026-08-01", "2026-05-08", "2026-08-01"]), "closed_at": pd.NaT,
    ... }).astype({"closed_at": "datetime64[us]"})
    >>> population(rows, at=14, as_of=date(2026, 9, 30))
       n  n_without  n_ended_before  n_alive
    0  3          1               1        1
    """
    moment = _moments(opportunities, at, as_of)
    n, n_alive = len(opportunities), len(_alive(opportunities, at, as_of, stage_history)[0])
    n_without = int(moment.isna().sum()) if _has_clock(opportunities) else int((~opportunities["is_closed"]).sum())
    counts = {"n": n, "n_without": n_without, "n_ended_before": n - n_without - n_alive, "n_alive": n_alive}
    return pd.DataFrame([counts])


def name(opportunities: pd.DataFrame, at: str | int) -> str:
    """The landmark in words, as it applies to these deals.

    Examples
    --------
    >>> rows = pd.DataFrame({"qualified_date": pd.to_datetime([None]), "created_date": pd.to_datetime(["2026-07-01"])})
    >>> name(rows, "qualified"), name(rows, 14), name(rows.assign(qualified_date=rows["created_date"]), "qualified")
    ('when they were created', '14 days after they were created', 'when they were qualified')
    """
    if not _has_clock(opportunities):
        return "at a time not recorded"
    clock = _clock(opportunities, at)
    if isinstance(at, int) and at > 0:
        return f"{words.duration(at)} after they were created"
    return f"when they were {clock.removesuffix('_date')}"


def activity_counts(rows: pd.DataFrame, activities: pd.DataFrame | None) -> dict[str, pd.Series]:
    """Activities of each deal until its landmark, by kind and in all.

    People's own: an automatic e-mail is none, nor a meeting or demo that was not held. Kinds that
    never occur have no column; without any activity of a deal there are none at all.

    Parameters
    ----------
    rows
        With ``opportunity_id`` and ``landmark_at``.
    activities
        With ``opportunity_id, kind, occurred_at`` and, where known, ``is_held, is_automated``.

    Examples
    --------
    >>> log = pd.DataFrame({"opportunity_id": "A", "kind": ["call", "call", "email"],
    ...     "occurred_at": pd.to_datetime(["2026-05-03", "2026-07-01", "2026-05-04"]),
    ...     "is_held": None, "is_automated": [False, False, True]})
    >>> one = pd.DataFrame({"opportunity_id": ["A"], "landmark_at": pd.to_datetime(["2026-06-01"])})
    >>> {kind: count.tolist() for kind, count in activity_counts(one, log).items()}
    {'call_count': [1.0], 'activity_count': [1.0]}
    """
    if activities is None or activities["opportunity_id"].notna().sum() == 0 or rows["landmark_at"].isna().all():
        return {}
    checks.require_columns(activities, [_KEY, "kind", "occurred_at"], where="activities")
    mine = np.flatnonzero(_is_own(activities))
    kind, kinds = pd.factorize(activities["kind"].take(mine))
    deal = codes.places(activities[_KEY].take(mine), rows[_KEY])
    moment = activities["occurred_at"].to_numpy()[mine]
    is_past = (deal >= 0) & (kind >= 0) & (moment <= rows["landmark_at"].to_numpy()[deal])
    counts = np.bincount(kind[is_past] * len(rows) + deal[is_past], minlength=len(kinds) * len(rows))
    number = {each: at for at, each in enumerate(kinds)}
    totals = {
        f"{each}_count": pd.Series(counts[number[each] * len(rows) :][: len(rows)].astype(float), index=rows.index)
        for each in dict.fromkeys([*KINDS, *kinds])
        if each in number
    }
    return totals | {"activity_count": sum(totals.values())} if totals else {}


def maturity_days(frame: pd.DataFrame, *, share: float = 0.9) -> float:
    """Days after the landmark by which a share of the wins, and of the losses, that will come have come.

    The longer of the two: cohorts cut where the losses are in but the wins are not would show too
    few wins. Open deals count as watched so long (Aalen-Johansen); missing where nothing ended.

    Examples
    --------
    >>> frame = pd.DataFrame({"days": [10.0, 20.0, 30.0, 40.0], "is_closed": True,
    ...     "is_won": [False, True, False, True]})
    >>> maturity_days(frame)
    40.0
    """
    known = frame[frame["days"].notna()]
    how = pd.Series(np.where(known["is_won"], "won", "lost"), index=known.index, dtype="str")
    found = survival.incidence_quantiles(known["days"], how.where(known["is_closed"]), probabilities=[share])
    return float(found["time"].max()) if len(found) else np.nan


def mature(frame: pd.DataFrame, as_of: date, *, share: float = 0.9) -> pd.DataFrame:
    """The deals whose landmark is old enough for nearly all decisions to be in.

    Of young deals only the fast ones are decided, and the fast ones win less often or more. Kept
    are the landmarks at least `maturity_days` before `as_of`; all of them where no moment is known.

    Parameters
    ----------
    frame, share
        Of `deals`; how much of the wins, and of the losses, must be in.
    as_of
        Last day used.

    Examples
    --------
    >>> frame = pd.DataFrame({"landmark_at": pd.to_datetime(["2026-06-01", "2026-09-20"]), "days": [30.0, 10.0],
    ...     "is_closed": [True, False], "is_won": [True, False]})
    >>> len(mature(frame, date(2026, 9, 30)))
    1
    """
    checks.require_columns(frame, ["landmark_at", "days", "is_closed", "is_won"])
    needed = maturity_days(frame, share=share)
    if np.isnan(needed):
        return frame
    age = (pd.Timestamp(as_of) - frame["landmark_at"].dt.normalize()) / _DAY
    return frame[frame["landmark_at"].isna() | (age >= needed)]


def studied(frame: pd.DataFrame, period: Period, *, as_of: date) -> pd.DataFrame:
    """The deals that what goes with winning is learned from: their landmark in the period and old enough.

    Parameters
    ----------
    frame
        Of `deals`.
    period, as_of
        When the landmark was; last day used. Where no moment is known, all deals.
    Examples
    --------
    >>> frame = pd.DataFrame({"landmark_at": pd.to_datetime(["2026-02-01", "2020-06-01", "2026-09-20"]),
    ...     "days": [30.0, 20.0, 10.0], "is_closed": [True, True, False], "is_won": [True, True, False]})
    >>> year = Period("2026", date(2026, 1, 1), date(2026, 12, 31))
    >>> studied(frame, year, as_of=date(2026, 9, 30)).index.tolist()
    [0]
    """
    rows = frame if frame["landmark_at"].isna().all() else frame[period.contains(frame["landmark_at"])]
    return mature(rows, as_of)


def factors(frame: pd.DataFrame) -> list[str]:
    """The candidate columns of a frame of `deals`: all but those of `FIXED`."""
    return frame.columns.drop(list(FIXED), errors="ignore").tolist()


def _clock(opportunities: pd.DataFrame, at: str | int) -> str:
    if isinstance(at, bool) or not (at in _CLOCKS or (isinstance(at, int) and at >= 0)):
        raise checks.ParameterError(f"at: '{at}' is no landmark. Give qualified, created or days after creation.")
    if at == "qualified" and opportunities["qualified_date"].notna().any():
        return "qualified_date"
    return "created_date"


def _has_clock(opportunities: pd.DataFrame) -> bool:
    return bool(opportunities[["created_date", "qualified_date"]].notna().any(axis=None))


def _moments(opportunities: pd.DataFrame, at: str | int, as_of: date) -> pd.Series:
    """When each deal reached the landmark; missing where it never did, or not by the last day."""
    days = at if isinstance(at, int) else 0
    moment = opportunities[_clock(opportunities, at)] + days * _DAY
    return moment.where(moment < pd.Timestamp(as_of) + _DAY).astype("datetime64[us]")


def _alive(
    opportunities: pd.DataFrame, at: str | int, as_of: date, stage_history: pd.DataFrame | None
) -> tuple[pd.DataFrame, np.ndarray | None]:
    """The deals open at the landmark: when it was, how long they took from there, how they stand; and `_in_force`."""
    wanted = [_KEY, "outcome", "is_closed", "is_won", "created_date", "qualified_date", "close_date", "closed_at"]
    checks.require_columns(opportunities, wanted, where="opportunities")
    twice = opportunities.loc[opportunities[_KEY].duplicated(), _KEY]
    if len(twice):
        some = checks.examples(twice)
        raise checks.DataError(f"opportunities: {len(twice):,} rows repeat a deal ({some}). Keep one row a deal.")
    moment = _moments(opportunities, at, as_of)
    rows = _as_on(opportunities.assign(landmark_at=moment, ended_at=pipeline.ended_on(opportunities)), as_of)
    if not _has_clock(opportunities):
        return rows[rows["is_closed"]].assign(days=np.nan), None
    day = rows["landmark_at"].dt.normalize()
    days = (rows["ended_at"].where(rows["is_closed"], pd.Timestamp(as_of)) - day) / _DAY
    # A deal may be qualified and decided in one day; then only the time of day tells which came first.
    is_later = (days > 0) | ((days == 0) & ~(rows["is_closed"] & ~(rows["closed_at"] > rows["landmark_at"])))
    is_alive = (is_later & rows["landmark_at"].notna()).to_numpy(bool)
    in_force = None
    if stage_history is not None and len(stage_history) and is_alive.any():
        numbered = _Numbered.of(stage_history, opportunities)
        in_force = _in_force(rows["landmark_at"], stage_history, numbered)
        is_alive = is_alive & ~_was_closed(in_force, opportunities, stage_history, numbered)
    return rows.assign(days=days)[is_alive], None if in_force is None else in_force[is_alive]


def _as_on(rows: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """Deals that ended after the last day are open on it."""
    later = rows["ended_at"] > pd.Timestamp(as_of)
    return rows.assign(
        ended_at=rows["ended_at"].mask(later),
        outcome=rows["outcome"].mask(later, "open"),
        is_closed=rows["is_closed"] & ~later,
        is_won=rows["is_won"] & ~later,
    )


class _Numbered(NamedTuple):
    """Which deal each row of a history is of, and which of the opportunities each of these deals is."""

    deal: np.ndarray  # of each row, -1 where none is named
    place: np.ndarray  # of each deal, -1 where it is not among them

    @classmethod
    def of(cls, stage_history: pd.DataFrame, opportunities: pd.DataFrame) -> "_Numbered":
        checks.require_columns(stage_history, [_KEY, "changed_at", "seq"], where="stage_history")
        # Named once: of a long history all else is done with numbers.
        deal, ids = pd.factorize(stage_history[_KEY])
        return cls(deal, codes.places(pd.Series(ids), opportunities[_KEY]))


def _was_closed(
    in_force: np.ndarray, opportunities: pd.DataFrame, stage_history: pd.DataFrame, numbered: _Numbered
) -> np.ndarray:
    """Deals closed at the landmark and re-opened since: in a stage then that hardly any deal ever leaves."""
    if "stage" not in stage_history or "stage" not in opportunities:
        return np.zeros(len(opportunities), dtype=bool)
    place, stages = pd.factorize(stage_history["stage"])
    is_known = (numbered.deal >= 0) & (place >= 0)
    is_visited = np.zeros((len(numbered.place), len(stages)), dtype=bool)
    is_visited[numbered.deal[is_known], place[is_known]] = True
    deal, visited = np.nonzero(is_visited)
    closed = codes.places(opportunities["stage"].where(opportunities["is_closed"]), pd.Series(stages))
    last = np.append(closed, -1)[numbered.place]
    share = np.bincount(visited, last[deal] == visited, len(stages)) / is_visited.sum(axis=0).clip(1)
    is_final = np.append(share > _FINAL, False)  # the last: no stage is known
    return np.where(in_force >= 0, is_final[place[in_force]], False)


def _in_force(landmark_at: pd.Series, stage_history: pd.DataFrame, numbered: _Numbered) -> np.ndarray:
    """The row of the history that holds at each deal's own landmark, -1 where it begins later."""
    deal, changed = np.append(numbered.place, -1)[numbered.deal], stage_history["changed_at"]
    order = codes.ordered(deal, changed, stage_history["seq"])
    deal, changed = deal[order], changed.to_numpy()[order]
    is_first = np.diff(deal, prepend=-1) != 0
    # The row of its creation may be written a little after the moment a deal says it was created.
    until = landmark_at.to_numpy()[deal]
    is_past = (changed <= until) | (is_first & (changed < until + _DAY.to_timedelta64()))
    at = np.full(len(landmark_at), -1)
    at[deal[is_past]] = order[is_past]  # of several the last
    return at


def _told(
    rows: pd.DataFrame, stage_history: pd.DataFrame | None, in_force: np.ndarray | None, fields: Sequence[str]
) -> dict[str, pd.Series]:
    """The history's values at each deal's own landmark, missing where it begins later; fields it never has are not."""
    if stage_history is None or in_force is None:
        return {}
    known = [name for name in fields if name in stage_history and stage_history[name].notna().any()]
    values = stage_history[known].iloc[np.maximum(in_force, 0)].set_axis(rows.index)
    return {name: values[name].where(in_force >= 0) for name in known}


def _of_deal(rows: pd.DataFrame) -> dict[str, pd.Series]:
    known = {name: rows[name] for name in (*_CATEGORIES, *_NUMBERS) if name in rows}
    if "partner_id" not in rows or rows["partner_id"].isna().all():
        return known
    told = np.where(rows["partner_id"].notna(), "partner", "direct")
    return known | {"is_partner": pd.Series(told, index=rows.index, dtype="str")}


def _joined(rows: pd.DataFrame, table: pd.DataFrame | None, key: str, names: Sequence[str]) -> dict[str, pd.Series]:
    """What another table knows of the deals' owners or accounts: the columns named, and its own."""
    if table is None or table.empty:
        return {}
    book = table.drop_duplicates(key).set_index(key)
    own = [name for name in book.columns if name.startswith("x_") and name not in rows]
    place = codes.places(rows[key], pd.Series(book.index))
    shown = [name for name in [*names, *own] if name in book]
    return {name: pd.Series(take(book[name].array, place, allow_fill=True), index=rows.index) for name in shown}


def _counted(column: pd.Series, day: pd.Series) -> pd.Series:
    """A date counts in days after the landmark; anything else is as it is."""
    return (column - day) / _DAY if pd.api.types.is_datetime64_any_dtype(column) else column


def _is_own(activities: pd.DataFrame) -> pd.Series:
    """People's own activities; a meeting is one unless it is known not to have been held."""
    yes = pd.Series(True, index=activities.index)
    automatic = activities["is_automated"].fillna(False).astype(bool) if "is_automated" in activities else ~yes
    held = activities["is_held"].fillna(True).astype(bool) if "is_held" in activities else yes
    return ~automatic & held
