"""Forecast cases: what was known on an evening about a quarter, and about the quarters before it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from salesops import checks, deal_changes
from salesops.deal_changes import LOST, OPEN, WON, Changes
from salesops.periods import Calendar, Period, quarters_between

WEEKS = 13  # whole ones in a quarter
RECENT = 91  # days over which newly created deals are counted
ENDS = ("won", "lost", "slipped")

_CALENDAR = Calendar()
_KNOWN = (
    "cutoff_date", "period", "week", "weeks_left", "opportunity_id", "account_id", "owner_id", "pipeline", "stage",
    "position", "segment", "source", "amount", "close_date", "probability", "forecast_category", "age_days",
    "stage_days", "push_count", "is_due",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """What was known on the evening of `cutoff` about the quarter `period`.

    Nothing recorded later is in it: deleting all later records leaves it as it is, to the bit.

    Attributes
    ----------
    period, cutoff, week
        The quarter; the last day known; the week that begins the day after it (1 to 13, or 14
        in the last days of a longer quarter; 0 and less before the quarter's eve).
    now
        The deals open then, as known then, in the order of the input: ``cutoff_date, period, week,
        weeks_left`` (days left over 7), ``opportunity_id, account_id, owner_id, pipeline, stage, position``
        (1 is the pipeline's first open stage), ``segment, source, amount, close_date, probability,
        forecast_category, age_days`` (since creation), ``stage_days`` (since the stage was entered),
        ``push_count`` (days on which the close date was moved later), ``is_due`` (close date in the quarter).
    past
        The same rows for every week of the quarters completed by `cutoff`, each evening as far into its
        quarter as this one, with how they ended as known by `cutoff`: ``is_won_in_period``, ``won_amount``
        (as won; 0 where not won in it), ``ended`` (won, lost, slipped: neither by the quarter's last evening).
        The same object for every case that knows the same, so that a method may fit once.
    won
        The deals known as won: ``opportunity_id, close_date, amount, created_date, segment, owner_id, source``.
    won_so_far
        Their amount with a close date in the quarter.
    late
        Of the past quarters, week by week, the deals won in the quarter that were neither open nor won
        on that evening, nearly all of them created later: ``period, week, n, amount``, and ``n_created``
        (deals created in the 91 days up to that evening).
    late_deals
        The same deal by deal: ``period, week, opportunity_id, amount, segment, source``.
    n_created
        Deals created in the 91 days up to this evening: what ``late`` is scaled by.
    calendar
        Whose quarters.
    """

    period: Period
    cutoff: date
    week: int
    now: pd.DataFrame
    past: pd.DataFrame
    won: pd.DataFrame
    won_so_far: float
    late: pd.DataFrame
    late_deals: pd.DataFrame
    n_created: int
    calendar: Calendar


def cutoff_of(period: Period, week: int) -> date:
    """The evening before a week of a quarter begins; week 1 knows nothing of the quarter itself.

    Examples
    --------
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> [str(cutoff_of(q3, week)) for week in (1, 5, 13)]
    ['2026-06-30', '2026-07-28', '2026-09-22']
    """
    return period.start + timedelta(days=7 * (week - 1) - 1)


def at_week(cases: Sequence[Case], week: int) -> list[Case]:
    """The cases cut off before a week of their quarter, oldest first; none where that week was not tried.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> [case.name for case in at_week([SimpleNamespace(name="a", week=1), SimpleNamespace(name="b", week=5)], 5)]
    ['b']
    """
    return [case for case in cases if case.week == week]


def week_of(period: Period, cutoff: date) -> int:
    """The week of a quarter in which the day after an evening lies; 14 on the last evenings of a longer quarter.

    Examples
    --------
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> [week_of(q3, day) for day in (date(2026, 6, 30), date(2026, 7, 6), date(2026, 7, 7), date(2026, 9, 30))]
    [1, 1, 2, 14]
    """
    return ((cutoff - period.start).days + 1) // 7 + 1


def cases(
    opportunities: pd.DataFrame,
    stage_history: pd.DataFrame,
    *,
    stages: pd.DataFrame,
    as_of: date,
    calendar: Calendar = _CALENDAR,
    weeks: Sequence[int] = (1, 5, 9),
    quarters: int = 12,
    least: int = 4,
    learned: int = 12,
) -> list[Case]:
    """The cases of the completed quarters, to test a forecast on.

    Parameters
    ----------
    opportunities
        The population, one row per deal: ``opportunity_id, account_id, owner_id, created_date, close_date,
        closed_at, amount, is_closed, is_won`` and, where known, ``pipeline, segment, lead_source``. What is
        not in the history (account, segment, source, creation) is taken as it is now. Amount and dates serve
        only where the history does not show the end of a closed deal, or has none at all.
    stage_history
        ``opportunity_id, changed_at, seq, stage`` and the values in force after the change: ``pipeline, amount,
        close_date, probability, forecast_category, owner_id``.
    stages
        ``pipeline, stage, valid_from, position, is_closed, is_won, probability, forecast_category``.
    as_of
        Last day used.
    calendar
        Whose quarters.
    weeks
        Weeks of each quarter, 1 to 13.
    quarters
        How many completed quarters, the latest.
    least, learned
        How many whole quarters of history a case needs before its own, and how many it has at most.

    Returns
    -------
    list of Case
        Quarter by quarter and week by week; empty where the history is too short.

    Raises
    ------
    DataError
        A missing column, or the same deal twice.
    ParameterError
        No week, or one outside 1 to 13.

    Notes
    -----
    A deal without history is in none of the open deals, because its record does not tell how it stood;
    once won it counts among the wins.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> deals = pd.DataFrame({"opportunity_id": ["A", "B"], "account_id": "acme", "owner_id": "r1",
    ...     "created_date": day(["2026-01-05", "2026-05-02"]), "close_date": day(["2026-05-20", "2026-08-31"]),
    ...     "closed_at": day(["2026-05-20", None]), "amount": [80.0, 50.0], "is_closed": [True, False],
    ...     "is_won": [True, False]})
    >>> stages = pd.DataFrame({"pipeline": "new", "stage": ["Talk", "Won"], "valid_from": pd.NaT, "position": [1, 2],
    ...     "is_closed": [False, True], "is_won": [False, True], "probability": [0.3, 1.0],
    ...     "forecast_category": ["pipeline", "closed"]})
    >>> history = pd.DataFrame({"opportunity_id": ["A", "A", "B"], "seq": 1, "pipeline": "new",
    ...     "changed_at": day(["2026-01-05", "2026-05-20", "2026-05-02"]), "stage": ["Talk", "Won", "Talk"],
    ...     "amount": [100.0, 80.0, 50.0], "close_date": day(["2026-06-30", "2026-05-20", "2026-08-31"])})
    >>> [early, late] = cases(deals, history, stages=stages, as_of=date(2026, 6, 30), weeks=(1, 9), least=0)
    >>> early.cutoff, early.now[["opportunity_id", "amount", "age_days"]].values.tolist(), early.won_so_far
    (datetime.date(2026, 3, 31), [['A', 100.0, 85.0]], 0.0)
    >>> late.now["opportunity_id"].tolist(), late.won_so_far
    (['B'], 80.0)
    """
    if not len(weeks):
        raise checks.ParameterError("weeks: none is given. Name weeks of a quarter, e.g. 1, 5, 9.")
    strange = [week for week in weeks if not 1 <= week <= WEEKS]
    if strange:
        raise checks.ParameterError(f"weeks: {checks.examples(strange)} outside 1 to {WEEKS}. Name weeks of a quarter.")
    changes = deal_changes.changes(opportunities, stage_history, stages=stages)
    known = _whole_quarters(changes, as_of, calendar)
    tested = known[least:][-quarters:]
    if not tested:
        return []
    first = known.index(tested[0])
    grid = _Grid(changes, known[max(0, first - learned) :], range(1, WEEKS + 1), shift=0)
    maker = _Maker(grid, calendar, learned)
    return [maker.case(period, cutoff_of(period, week)) for period in tested for week in sorted(set(weeks))]


def case_of(
    opportunities: pd.DataFrame,
    stage_history: pd.DataFrame,
    *,
    stages: pd.DataFrame,
    period: Period,
    cutoff: date,
    calendar: Calendar = _CALENDAR,
    learned: int = 12,
) -> Case:
    """What was known on one evening about one quarter, running, to come or over.

    The evenings of the past quarters are as far into the week as this one, so that their row of the
    same ``week`` had as many days behind it; before the quarter they reach back to its lead.

    Parameters
    ----------
    opportunities, stage_history, stages, calendar, learned
        As of `cases`.
    period
        The quarter to forecast.
    cutoff
        The last day used.

    Returns
    -------
    Case
        With no rows in ``past`` and ``late`` where no quarter is whole.

    Raises
    ------
    ParameterError
        The evening is after the quarter.
    """
    if cutoff > period.end:
        raise checks.ParameterError(
            f"cutoff: {cutoff} is after {period.label}, which ended on {period.end}. Give a day before its end."
        )
    changes = deal_changes.changes(opportunities, stage_history, stages=stages)
    known = [each for each in _whole_quarters(changes, cutoff, calendar) if each.start < period.start]
    first_week, shift = week_of(period, cutoff), (cutoff - period.start + timedelta(days=1)).days % 7
    weeks = range(min(first_week, 1), max(first_week, WEEKS) + 1)
    grid = _Grid(changes, [*known[-learned:], period], weeks, shift=shift)
    return _Maker(grid, calendar, learned).case(period, cutoff)


def weekly_cases(
    opportunities: pd.DataFrame,
    stage_history: pd.DataFrame,
    *,
    stages: pd.DataFrame,
    period: Period,
    as_of: date,
    calendar: Calendar = _CALENDAR,
    learned: int = 12,
) -> list[Case]:
    """The cases of one quarter on the evening before each of its weeks, as far as they have come.

    Each is that of `case_of` on its evening; made together, they are made faster.

    Parameters
    ----------
    opportunities, stage_history, stages, calendar, learned
        As of `cases`.
    period
        The quarter, running or over.
    as_of
        The last day used.

    Returns
    -------
    list of Case
        Week by week, up to 13; empty before the quarter's eve, and where no quarter before it is whole.
    """
    changes = deal_changes.changes(opportunities, stage_history, stages=stages)
    known = [each for each in _whole_quarters(changes, as_of, calendar) if each.start < period.start]
    evenings = [cutoff_of(period, week) for week in range(1, WEEKS + 1)]
    evenings = [each for each in evenings if each <= min(as_of, period.end)]
    if not known or not evenings:
        return []
    grid = _Grid(changes, [*known[-learned:], period], range(1, WEEKS + 1), shift=0)
    maker = _Maker(grid, calendar, learned)
    return [maker.case(period, evening) for evening in evenings]


def _whole_quarters(changes: Changes, day: date, calendar: Calendar) -> list[Period]:
    """The quarters that lie wholly between the history's first change and a day."""
    first = changes.first_day
    if first is None or first > day:
        return []
    found = quarters_between(first, day, calendar)
    return [each for each in found if each.start >= first and each.is_complete(day)]


class _Grid:
    """The open deals of every week of some quarters, and how they stood at the quarter's end."""

    def __init__(self, changes: Changes, quarters: list[Period], weeks: Sequence[int], *, shift: int) -> None:
        self.changes, self.quarters = changes, quarters
        self.starts = np.array([deal_changes.day_number(each.start) for each in quarters])
        self.ends = np.array([deal_changes.day_number(each.end) for each in quarters])
        at = np.repeat(np.arange(len(quarters)), len(weeks))
        week = np.tile(np.array(weeks, dtype=np.int64), len(quarters))
        days = self.starts[at] + 7 * (week - 1) - 1 + shift
        kept = days <= self.ends[at]  # a short quarter has no 14th week
        self.quarter, self.week, self.days = at[kept], week[kept], days[kept]
        found = [changes.standing(day, OPEN) for day in self.days]
        self.bounds = np.r_[0, np.cumsum([len(rows) for rows in found])]
        self.rows = np.concatenate(found) if found else np.zeros(0, dtype=np.int64)
        self.spot = np.repeat(np.arange(len(self.days)), np.diff(self.bounds))
        self.frame = self._known()
        lost = [changes.is_in(end, LOST) for end in self.ends]
        deal = changes.deal[self.rows]
        self.is_lost = np.array(lost)[self.quarter[self.spot], deal] if len(deal) else np.zeros(0, dtype=bool)

    def _known(self) -> pd.DataFrame:
        changes, rows, spot = self.changes, self.rows, self.spot
        deal, day = changes.deal[rows], self.days[spot]
        start, end = self.starts[self.quarter[spot]], self.ends[self.quarter[spot]]
        due = deal_changes.day_numbers(changes.frame["close_date"])[rows]
        labels = pd.Series([each.label for each in self.quarters], dtype="str")
        values = {
            "cutoff_date": deal_changes.dates(day),
            "period": labels.array[self.quarter[spot]],
            "week": self.week[spot],
            "weeks_left": (end - day) / 7,
            **{name: changes.deals[name].array[deal] for name in ("opportunity_id", "account_id", "segment", "source")},
            **{name: changes.frame[name].array[rows] for name in deal_changes.IN_FORCE},
            "age_days": (day - changes.created[deal]).astype(float),
            "stage_days": (day - changes.entered[rows]).astype(float),
            "push_count": changes.pushes[rows],
            "is_due": (due >= start) & (due <= end),
        }
        return pd.DataFrame(values)[list(_KNOWN)]

    def place(self, period: Period, cutoff: date) -> int:
        at = self.quarters.index(period)
        return int(np.flatnonzero((self.quarter == at) & (self.days == deal_changes.day_number(cutoff)))[0])


class _Maker:
    """Makes cases of one grid; past rows and late deals are made again only when what is known of wins changed."""

    def __init__(self, grid: _Grid, calendar: Calendar, learned: int) -> None:
        self.grid, self.calendar, self.learned = grid, calendar, learned
        self.wins: deal_changes.Wins | None = None
        self.made: tuple = ()

    def case(self, period: Period, cutoff: date) -> Case:
        grid, place = self.grid, self.grid.place(period, cutoff)
        wins = grid.changes.wins(cutoff)
        past, late, late_deals = self._past(period, wins)
        now = grid.frame.iloc[grid.bounds[place] : grid.bounds[place + 1]].reset_index(drop=True)
        won = grid.changes.won_deals(wins)
        return Case(
            period=period,
            cutoff=cutoff,
            week=int(grid.week[place]),
            now=now,
            past=past,
            won=won,
            won_so_far=float(won.loc[period.contains(won["close_date"]), "amount"].sum()),
            late=late,
            late_deals=late_deals,
            n_created=grid.changes.created_within(cutoff, RECENT),
            calendar=self.calendar,
        )

    def _past(self, period: Period, wins: deal_changes.Wins) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        at = self.grid.quarters.index(period)
        spots = np.flatnonzero((self.grid.quarter < at) & (self.grid.quarter >= at - self.learned))
        # Only what was won in the quarters before matters.
        ended = wins.before(self.grid.starts[at])
        if self.made and self.made[0] == at and self.wins.equals(ended):
            return self.made[1]
        self.wins, self.made = ended, (at, (self._outcomes(spots, ended), *self._late(spots, ended)))
        return self.made[1]

    def _outcomes(self, spots: np.ndarray, wins: deal_changes.Wins) -> pd.DataFrame:
        grid = self.grid
        part = slice(grid.bounds[spots[0]], grid.bounds[spots[-1] + 1]) if len(spots) else slice(0, 0)
        deal, at = grid.changes.deal[grid.rows[part]], grid.quarter[grid.spot[part]]
        day, amount = wins.of(deal, len(grid.changes.deals))
        is_won = (day >= grid.starts[at]) & (day <= grid.ends[at])
        code = np.where(is_won, 0, np.where(grid.is_lost[part], 1, 2))
        return (
            grid.frame.iloc[part]
            .reset_index(drop=True)
            .assign(
                is_won_in_period=is_won,
                won_amount=np.where(is_won, amount, 0.0),
                ended=pd.Categorical.from_codes(code, ENDS),
            )
        )

    def _late(self, spots: np.ndarray, wins: deal_changes.Wins) -> tuple[pd.DataFrame, pd.DataFrame]:
        grid, changes = self.grid, self.grid.changes
        labels = pd.Series([each.label for each in grid.quarters], dtype="str").array
        who, where = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        has_history = wins.has_history
        for spot in spots:
            at, day = grid.quarter[spot], grid.days[spot]
            mine = np.flatnonzero(has_history & (wins.day >= grid.starts[at]) & (wins.day <= grid.ends[at]))
            state = changes.state_on(day)[wins.deal[mine]]
            mine = mine[(state != OPEN) & (state != WON)]
            who.append(mine)
            where.append(np.full(len(mine), spot))
        mine, spot = np.concatenate(who), np.concatenate(where)
        deals = changes.deals.iloc[wins.deal[mine]][["opportunity_id", "segment", "source"]].reset_index(drop=True)
        deals = deals.assign(period=labels[grid.quarter[spot]], week=grid.week[spot], amount=wins.amount[mine])[
            ["period", "week", "opportunity_id", "amount", "segment", "source"]
        ]
        n = np.bincount(spot, minlength=len(grid.week))[spots]
        total = np.bincount(spot, np.nan_to_num(wins.amount[mine]), minlength=len(grid.week))[spots]
        created = [changes.created_within(day, RECENT) for day in grid.days[spots]]
        late = pd.DataFrame(
            {"period": labels[grid.quarter[spots]], "week": grid.week[spots], "n": n, "amount": total,
             "n_created": np.array(created, dtype=np.int64)}
        )  # fmt: skip
        return late, deals
