"""Pipeline waterfall: what came into the pipeline due in a period, what left it, and what changed its amount."""

from collections.abc import Collection, Sequence
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd

from salesops import checks, evenings, periods, pipeline
from salesops.periods import Period

START, END = "start", "end"
CAME = ["created", "pulled in", "slipped in", "re-opened", "dated", "moved in"]
CHANGED = ["increased", "decreased"]
LEFT = ["pushed out", "pulled ahead", "undated", "moved out", "won", "lost"]
CELLS = [START, *CAME, *CHANGED, *LEFT, END]
UNCHANGED = "unchanged"

_ALWAYS = [START, "created", "pulled in", *CHANGED, "pushed out", "won", "lost", END]
_OF_DATES = ["pulled in", "slipped in", "dated", "pushed out", "pulled ahead", "undated"]
_CAME_NEW = ["created", "re-opened"]  # in no pipeline before: no amount to compare with
_SIDES = [f"{name}_{side}" for name in ("amount", "close_date") for side in ("before", "after")]
_OF_A_MOVE = ["cell", "came_by", "left_by", *_SIDES]
_DAY = timedelta(days=1)


def pipeline_waterfall(
    opportunities: pd.DataFrame,
    stage_history: pd.DataFrame,
    *,
    window: Period,
    start: date,
    end: date,
    by: str | None = None,
    stages: pd.DataFrame | None = None,
    reps: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """The pipeline due in a window on two evenings, and all that lies between, to the cent.

    ``start + created + pulled in + slipped in + re-opened + dated + increased - decreased - pushed out -
    pulled ahead - undated - won - lost = end``. Money is counted in whole cents and what
    lowers the pipeline is negative, so that the rows but the last add up to the last; so do the
    counts of the deals that came and left. See `deal_moves` for who is in which cell.

    A cell that the history cannot tell is left out, not 0; so is one of the rarer cells
    (slipped in, re-opened, dated, pulled ahead, undated, moved in, moved out) that is empty.

    Parameters
    ----------
    opportunities, stage_history, start, end, by, stages, reps
        As of `evenings.between`.
    window
        When the deals are due; it stays the same on both evenings.

    Returns
    -------
    DataFrame
        One row per group, largest first, and cell: `by`, ``cell``, ``period`` (the days after
        `start` until `end`), ``period_start``, ``period_end``, ``n`` (deals), ``pipeline_waterfall_amount``.

    Metrics
    -------
    pipeline_waterfall_amount : amount, period_end, none, -, amount close_date
        Amount of the open deals due in the window on the first evening, what came in and left until the last
        evening, and what is there then; what lowers it is negative.

    Raises
    ------
    ParameterError
        `end` is not after `start`.
    DataError
        A missing column, or the same deal twice.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> deals = pd.DataFrame({"opportunity_id": ["A", "B"], "stage": ["Won", "Talk"], "amount": [80.0, 50.0],
    ...     "is_closed": [True, False], "is_won": [True, False], "created_date": day(["2026-06-01", "2026-07-02"]),
    ...     "close_date": day(["2026-07-09", "2026-09-01"]), "closed_at": day(["2026-07-09", None])})
    >>> history = pd.DataFrame({"opportunity_id": ["A", "A", "B"], "seq": [1, 2, 1], "stage": ["Talk", "Won", "Talk"],
    ...     "changed_at": day(["2026-06-01", "2026-07-09", "2026-07-02"]), "amount": [100.0, 80.0, 50.0],
    ...     "close_date": day(["2026-08-31", "2026-07-09", "2026-09-01"])})
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> table = pipeline_waterfall(deals, history, window=q3, start=date(2026, 6, 30), end=date(2026, 7, 31))
    >>> table.set_index("cell")["pipeline_waterfall_amount"].to_dict()  # doctest: +NORMALIZE_WHITESPACE
    {'start': 100.0, 'created': 50.0, 'pulled in': 0.0, 'increased': 0.0, 'decreased': -20.0, 'pushed out': 0.0,
     'won': -80.0, 'lost': 0.0, 'end': 50.0}
    """
    options = {"by": by, "stages": stages, "reps": reps}
    stood = evenings.between(opportunities, stage_history, start=start, end=end, **options)
    table = bridge(deal_moves(stood, window=window, by=by), by=by, untold=untold(stage_history))
    return pipeline.dated(table, _span(window, start, end), after=[*([by] if by else []), "cell"])


def weekly_waterfall(
    opportunities: pd.DataFrame,
    stage_history: pd.DataFrame,
    *,
    window: Period,
    days: Sequence[date],
    by: str | None = None,
    stages: pd.DataFrame | None = None,
    reps: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """The waterfall from evening to evening: each row of `end` is the next week's `start`.

    Where the pipeline is split, a group's end is its next start too.

    Parameters
    ----------
    days
        The evenings, oldest first, e.g. of `evenings.week_evenings`; fewer than two give no rows.

    Returns
    -------
    DataFrame
        As of `pipeline_waterfall`, one table below the other.
    """
    rows, carried = evenings.replay(opportunities, stage_history, stages=stages, by=by, reps=reps)
    keys, hidden, found = [*([by] if by else []), "cell"], untold(stage_history), []
    for first, last in pairwise(days):
        stood = evenings.compared(rows, opportunities, start=first, end=last, by=carried)
        table = bridge(deal_moves(stood, window=window, by=by), by=by, untold=hidden)
        found.append(pipeline.dated(table, _span(window, first, last), after=keys))
    columns = [*keys, "period", "period_start", "period_end", "n", "pipeline_waterfall_amount"]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=columns)


def deal_moves(stood: pd.DataFrame, *, window: Period, by: str | None = None) -> pd.DataFrame:
    """Each deal of the waterfall: how it came in, how it left, and for how much.

    A deal is in the pipeline on an evening where it is open and due in the window. It comes in by
    one cell only:

    - start: in it on the first evening; else
    - created after that evening; re-opened: closed that evening;
    - pulled in, slipped in, dated: open that evening, but due after the window, before it, or never.

    It leaves by one cell only: lost (no decision too), won with a close date in the window, else by its
    close date (pushed out beyond the window, pulled ahead of it, undated), won by then or not; or
    it is in the end. A deal that came and closed between the evenings is in both; one that came and
    left again without closing is in none. Split by a value that changed, a deal that was there at
    the start is moved out of the one group and moved in to the other.

    A deal is counted at its amount of the first evening when it comes (created and re-opened ones at that
    of the last), at its amount of the last evening when it leaves, and the difference is
    increased or decreased, whatever else happened to it. No amount counts as 0.

    Its one ``cell`` is how it left, else how it came, else increased, decreased or unchanged.

    Parameters
    ----------
    stood
        Of `evenings.between`, with `by`.
    window
        When the deals are due.
    by
        Column that splits the pipeline.

    Returns
    -------
    DataFrame
        One row per deal, two where it moved from group to group: ``opportunity_id``, `by`, ``cell``, ``came_by``,
        ``left_by``, ``amount_before``, ``amount_after``, ``close_date_before``, ``close_date_after``.

    Examples
    --------
    >>> stood = pd.DataFrame({"opportunity_id": ["A", "B", "C"], "state_before": ["open", None, "open"],
    ...     "state_after": ["open", "won", "open"], "amount_before": [9.0, None, 5.0], "amount_after": [12.0, 7.0, 5.0],
    ...     "close_date_before": pd.to_datetime(["2026-07-09", None, "2026-12-01"]),
    ...     "close_date_after": pd.to_datetime(["2026-10-01", "2026-07-20", "2026-12-01"])})
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> deal_moves(stood, window=q3)[["opportunity_id", "cell", "came_by", "left_by"]]
      opportunity_id        cell  came_by     left_by
    0              A  pushed out    start  pushed out
    1              B         won  created         won
    """
    split = [f"{by}_before", f"{by}_after"] if by else []
    checks.require_columns(stood, ["opportunity_id", "state_before", "state_after", *_SIDES, *split])
    came_by = _came_by(stood, window)
    is_in = came_by != ""
    rows = stood.loc[is_in, ["opportunity_id", *split, *_SIDES]]
    rows = rows.assign(came_by=came_by[is_in], left_by=_left_by(stood, window)[is_in]).reset_index(drop=True)
    rows = _handed_over(rows, by) if by else rows
    rows = rows.assign(cell=_one_cell(rows))
    return rows[["opportunity_id", *([by] if by else []), "cell", "came_by", "left_by", *_SIDES]]


def cells(moves: pd.DataFrame) -> pd.DataFrame:
    """The deals behind each row of the waterfall, with what they add to it.

    Parameters
    ----------
    moves
        Of `deal_moves`.

    Returns
    -------
    DataFrame
        One row per deal and cell it has money in: ``opportunity_id``, the column that splits, ``cell``, ``amount``.

    Examples
    --------
    >>> moves = pd.DataFrame({"opportunity_id": ["A"], "cell": ["won"], "came_by": ["start"], "left_by": ["won"],
    ...     "amount_before": [10.0], "amount_after": [12.0]})
    >>> cells(moves).values.tolist()
    [['A', 'start', 10.0], ['A', 'increased', 2.0], ['A', 'won', -12.0]]
    """
    found = _in_cents(moves)
    found = found.assign(amount=found["cents"] / 100).drop(columns="cents")
    return found.sort_index(kind="stable").reset_index(drop=True)


def bridge(moves: pd.DataFrame, *, by: str | None = None, untold: Collection[str] = ()) -> pd.DataFrame:
    """The waterfall as the sum of its deals; see `pipeline_waterfall`.

    Parameters
    ----------
    moves
        Of `deal_moves`, split by `by`.
    by
        Column that splits the pipeline.
    untold
        Cells that the history cannot tell.

    Returns
    -------
    DataFrame
        `by`, ``cell``, ``n``, ``pipeline_waterfall_amount``.

    Examples
    --------
    >>> moves = pd.DataFrame({"opportunity_id": ["A"], "cell": ["won"], "came_by": ["start"], "left_by": ["won"],
    ...     "amount_before": [10.0], "amount_after": [12.0]})
    >>> bridge(moves).query("n > 0").values.tolist()
    [['start', 1, 10.0], ['increased', 1, 2.0], ['won', 1, -12.0]]
    """
    found = _in_cents(moves)
    kinds = [cell for cell in CELLS if cell in _ALWAYS or (found["cell"] == cell).any()]
    found["cell"] = pd.Categorical(found["cell"], [cell for cell in kinds if cell not in untold])
    group, names = (0, None) if by is None else pd.factorize(found[by], use_na_sentinel=False)
    sums = found.assign(group=group).groupby(["group", "cell"], observed=False)["cents"].agg(["size", "sum"])
    groups = range(1 if by is None else len(names))
    sums = sums.reindex(pd.MultiIndex.from_product([groups, found["cell"].cat.categories]), fill_value=0)
    table = sums.set_axis(["n", "pipeline_waterfall_amount"], axis=1).rename_axis(["group", "cell"]).reset_index()
    table = table.assign(cell=table["cell"].astype("str"), size=_size(table)).sort_values("size", kind="stable")
    table["pipeline_waterfall_amount"] /= 100
    named = {by: pd.Series(names).iloc[table["group"]].array} if by else {}
    return table.assign(**named)[[*named, "cell", "n", "pipeline_waterfall_amount"]].reset_index(drop=True)


def untold(stage_history: pd.DataFrame) -> list[str]:
    """The cells that a history without close dates, without amounts or without a row cannot tell.

    Examples
    --------
    >>> untold(pd.DataFrame({"amount": [1.0], "close_date": [None]}))
    ['pulled in', 'slipped in', 'dated', 'pushed out', 'pulled ahead', 'undated']
    """
    checks.require_columns(stage_history, ["amount", "close_date"], where="stage_history")
    dates = _OF_DATES if stage_history["close_date"].isna().all() else []
    return [*dates, *(CHANGED if stage_history["amount"].isna().all() else [])]


def exceptions(stood: pd.DataFrame, *, window: Period) -> pd.DataFrame:
    """Deals whose place in the waterfall needs a word.

    - no amount: in the pipeline on an evening without one, and counted as 0 then;
    - no close date: open on an evening without one, and in no window then;
    - re-opened: closed on the first evening, in the pipeline after it;
    - win withdrawn: won in the window on the first evening, and no longer on the last;
    - no history, history begins later: on the first evening taken as its record, or its first row, is.

    Parameters
    ----------
    stood
        Of `evenings.between`.
    window
        When the deals are due.

    Returns
    -------
    DataFrame
        One row per deal and exception: ``exception``, ``opportunity_id``, ``state_before``, ``state_after``,
        ``amount_before``, ``amount_after``, ``close_date_before``, ``close_date_after``.

    Examples
    --------
    >>> stood = pd.DataFrame({"opportunity_id": ["A"], "state_before": ["open"], "state_after": ["open"],
    ...     "amount_before": [None], "amount_after": [12.0], "close_date_before": pd.to_datetime(["2026-07-09"]),
    ...     "close_date_after": pd.to_datetime(["2026-07-09"]), "history": ["full"]})
    >>> exceptions(stood, window=Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30)))["exception"].tolist()
    ['no amount']
    """
    checks.require_columns(stood, ["opportunity_id", "history"])
    came_by = _came_by(stood, window)
    is_in = came_by != ""
    has_before = is_in & ~np.isin(came_by, _CAME_NEW)
    is_open = [stood[f"state_{side}"].eq(evenings.OPEN) for side in ("before", "after")]
    undated = [stood[f"close_date_{side}"].isna() for side in ("before", "after")]
    was_won = stood["state_before"].eq(evenings.WON) & window.contains(stood["close_date_before"])
    found = {
        "no amount": (has_before & stood["amount_before"].isna()) | (is_in & stood["amount_after"].isna()),
        "no close date": (is_open[0] & undated[0]) | (is_open[1] & undated[1]),
        "re-opened": came_by == "re-opened",
        "win withdrawn": was_won & ~stood["state_after"].eq(evenings.WON),
        "no history": is_in & stood["history"].eq("none"),
        "history begins later": is_in & stood["history"].eq("late"),
    }
    columns = [f"{name}_{side}" for name in ("state", "amount", "close_date") for side in ("before", "after")]
    rows = stood[["opportunity_id", *columns]]
    listed = [rows[np.asarray(mask, dtype=bool)].assign(exception=name) for name, mask in found.items()]
    return pd.concat(listed, ignore_index=True)[["exception", "opportunity_id", *columns]]


def _position(close_date: pd.Series, window: Period) -> np.ndarray:
    is_late = close_date >= pd.Timestamp(window.end + _DAY)
    return np.select([close_date.isna(), is_late, window.contains(close_date)], ["none", "after", "in"], "before")


def _came_by(stood: pd.DataFrame, window: Period) -> np.ndarray:
    """The cell by which each deal came into the pipeline; "" where it never was in it."""
    was, state = stood["state_before"], stood["state_after"]
    due, ends = _position(stood["close_date_before"], window), _position(stood["close_date_after"], window)
    is_open, is_new = was.eq(evenings.OPEN), was.isna()
    closes = (state.eq(evenings.WON) & ~was.eq(evenings.WON)) | (state.eq(evenings.LOST) & (is_open | is_new))
    is_in = (ends == "in") & (state.eq(evenings.OPEN) | closes)
    tests = [is_open & (due == "in"), ~is_in, is_new, ~is_open, due == "after", due == "before"]
    return np.select(tests, [START, "", "created", "re-opened", "pulled in", "slipped in"], "dated")


def _left_by(stood: pd.DataFrame, window: Period) -> np.ndarray:
    """The cell by which each deal that came left the pipeline, or the end."""
    state, ends = stood["state_after"], _position(stood["close_date_after"], window)
    tests = [state.eq(evenings.LOST), ends == "none", ends == "after", ends == "before", state.eq(evenings.WON)]
    return np.select(tests, ["lost", "undated", "pushed out", "pulled ahead", "won"], END)


def _handed_over(rows: pd.DataFrame, by: str) -> pd.DataFrame:
    """The deals by group; one that was there at the start and changed groups leaves one and comes into the other."""
    was, now = rows[f"{by}_before"], rows[f"{by}_after"]
    moved = rows["came_by"].eq(START) & ~(was.eq(now) | (was.isna() & now.isna()))
    kept = rows.assign(**{by: now}, came_by=rows["came_by"].mask(moved, "moved in"))
    gone = rows[moved].assign(**{by: was[moved]}, left_by="moved out")
    gone = gone.assign(**{f"{name}_after": gone[f"{name}_before"] for name in ("amount", "close_date")})
    return pd.concat([gone, kept]).sort_index(kind="stable").reset_index(drop=True)


def _one_cell(rows: pd.DataFrame) -> np.ndarray:
    change = _change(rows)
    tests = [rows["left_by"] != END, rows["came_by"] != START, change > 0, change < 0]
    return np.select(tests, [rows["left_by"], rows["came_by"], *CHANGED], UNCHANGED)


def _cents(amount: pd.Series) -> np.ndarray:
    return np.rint(amount.fillna(0).to_numpy(dtype=float) * 100).astype(np.int64)


def _came_with(moves: pd.DataFrame) -> np.ndarray:
    is_new = moves["came_by"].isin(_CAME_NEW)
    return np.where(is_new, _cents(moves["amount_after"]), _cents(moves["amount_before"]))


def _change(moves: pd.DataFrame) -> np.ndarray:
    return _cents(moves["amount_after"]) - _came_with(moves)


def _in_cents(moves: pd.DataFrame) -> pd.DataFrame:
    """One row per deal and cell, in whole cents: a sum of them is exact."""
    keys = [name for name in moves.columns if name not in _OF_A_MOVE]
    rows, change, after = moves[keys], _change(moves), _cents(moves["amount_after"])
    came = rows.assign(cell=moves["came_by"], cents=_came_with(moves))
    changed = rows.assign(cell=np.where(change > 0, *CHANGED), cents=change)[change != 0]
    left = rows.assign(cell=moves["left_by"], cents=np.where(moves["left_by"] == END, after, -after))
    return pd.concat([came, changed, left])


def _size(table: pd.DataFrame) -> pd.Series:
    """What each group had and got, negative: the largest is the first."""
    had = table["pipeline_waterfall_amount"].where(table["cell"].isin([START, *CAME]), 0)
    return -had.groupby(table["group"]).transform("sum")


def _span(window: Period, start: date, end: date) -> Period:
    """The days the flows are of: the window itself, a week, or from day to day."""
    first = start + _DAY
    known = [each for each in (window, periods.week(first)) if (each.start, each.end) == (first, end)]
    return known[0] if known else Period(f"{first}/{end}", first, end)
