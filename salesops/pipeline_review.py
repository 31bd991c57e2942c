"""Pipeline review: what the week did to the forecast of the quarter, and which deals moved, for the Monday meeting."""

from datetime import date, timedelta

import pandas as pd

from salesops import periods, words
from salesops.forecast_bridge import (
    AMOUNT,
    CHANCE,
    CORRECTED,
    ELSEWHERE,
    LOST,
    NEW,
    PULLED,
    PUSHED,
    TO_COME,
    WON,
    largest_first,
)  # fmt: skip
from salesops.periods import Period

QUIET = "gone quiet"

_COUNTED = {
    NEW: "new_deal_count", PULLED: "pulled_in_deal_count", PUSHED: "pushed_out_deal_count", WON: "won_deal_count",
    LOST: "lost_deal_count", QUIET: "gone_quiet_deal_count",
}  # fmt: skip
COUNTS = {name: move.capitalize() for move, name in _COUNTED.items()}  # heads of the columns
_PHRASES = {
    WON: "won deals", LOST: "lost deals", PUSHED: "deals pushed out", PULLED: "deals pulled in", NEW: "new deals",
    AMOUNT: "changed amounts", CHANCE: "changed chances", TO_COME: "deals not created yet",
    ELSEWHERE: "deals won in another quarter", CORRECTED: "corrected wins",
}  # fmt: skip
_DAYS = 7
_NOBODY = pd.DataFrame({"opportunity_id": [], "turn": []})  # went quiet


def week_reviewed(period: Period, as_of: date) -> Period:
    """The seven days that end with a period's last known day: from last Monday on where it is a whole week.

    Examples
    --------
    >>> week_reviewed(Period("2026-W39", date(2026, 9, 21), date(2026, 9, 27)), date(2026, 9, 30))
    Period(label='2026-W39', start=datetime.date(2026, 9, 21), end=datetime.date(2026, 9, 27))
    >>> week_reviewed(Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30)), date(2026, 9, 30)).label
    '2026-09-24/2026-09-30'
    """
    last = min(period.end, as_of)
    first = last - timedelta(days=_DAYS - 1)
    return periods.week(last) if periods.week(last).end == last else Period(f"{first}/{last}", first, last)


def moved(moves: pd.DataFrame, turned: pd.DataFrame) -> pd.DataFrame:
    """The deals that moved, with those that went quiet: what a Monday meeting goes through.

    Parameters
    ----------
    moves
        Of `forecast_bridge.deal_moves`.
    turned
        Of `turned_deals.turned_deals`, of the same evenings.

    Returns
    -------
    DataFrame
        The rows of `moves` that are new, pulled in, pushed out, won (elsewhere too) or lost, and one for each
        deal that went quiet (it may be pulled in and quiet); the largest effects first.

    Examples
    --------
    >>> from salesops import forecast_bridge
    >>> turned = pd.DataFrame({"opportunity_id": ["C", "C"], "turn": ["pushed", "gone quiet"]})
    >>> moved(forecast_bridge._example_moves(), turned)[["opportunity_id", "move"]].values.tolist()
    [['A', 'won'], ['B', 'pushed out'], ['D', 'new'], ['C', 'gone quiet']]
    """
    is_quiet = moves["opportunity_id"].isin(turned.loc[turned["turn"] == QUIET, "opportunity_id"])
    quiet = moves[is_quiet & ~moves["move"].isin([WON, ELSEWHERE, LOST])].assign(move=QUIET)
    return largest_first(pd.concat([moves[_kind(moves).isin(_COUNTED)], quiet], ignore_index=True))


def moves_by_owner(listed: pd.DataFrame) -> pd.DataFrame:
    """How many deals of each owner are new, pulled in, pushed out, won, lost and gone quiet.

    Parameters
    ----------
    listed
        Of `moved`.

    Returns
    -------
    DataFrame
        One row per ``owner_id`` with a deal that moved: ``n`` (such deals, each once), ``new_deal_count``,
        ``pulled_in_deal_count``, ``pushed_out_deal_count``, ``won_deal_count``, ``lost_deal_count``,
        ``gone_quiet_deal_count``.

    Metrics
    -------
    new_deal_count : count, changed_at, higher, -, -
        Deals open now and neither open nor won on the evening before.
    pulled_in_deal_count : count, changed_at, none, -, close_date
        Open deals due after the quarter on the evening before, and in it now.
    pushed_out_deal_count : count, changed_at, lower, -, close_date
        Open deals due in the quarter on the evening before, and after it now.
    won_deal_count : count, changed_at, higher, -, is_won close_date
        Deals known as won since the evening before, in this quarter or another.
    lost_deal_count : count, changed_at, lower, -, is_won
        Deals open on the evening before, and neither open nor won now.
    gone_quiet_deal_count : count, changed_at, lower, -, -
        Open deals without a sign of life for fourteen days, and not so on the evening before.

    Examples
    --------
    >>> from salesops import forecast_bridge
    >>> turned = pd.DataFrame({"opportunity_id": ["C"], "turn": ["gone quiet"]})
    >>> table = moves_by_owner(moved(forecast_bridge._example_moves(), turned))
    >>> table[["owner_id", "n", "new_deal_count", "won_deal_count", "gone_quiet_deal_count"]]
      owner_id  n  new_deal_count  won_deal_count  gone_quiet_deal_count
    0       r1  2               0               1                      0
    1       r2  2               1               0                      1
    """
    owners = listed.assign(move=_kind(listed)).groupby("owner_id", dropna=False)
    table = owners["opportunity_id"].nunique().rename("n").reset_index()
    for move, name in _COUNTED.items():
        table[name] = owners["move"].agg(lambda kinds, move=move: int((kinds == move).sum())).to_numpy(dtype=int)
    return table


def moves_in_all(listed: pd.DataFrame, period: Period) -> pd.DataFrame:
    """The same over all owners in one row, with how many deals moved at all.

    Parameters
    ----------
    listed
        Of `moved`.
    period
        The seven days.

    Returns
    -------
    DataFrame
        One row: ``period, period_start, period_end, n``, ``moved_deal_count`` and the counts of `moves_by_owner`.

    Metrics
    -------
    moved_deal_count : count, changed_at, none, -, -
        Deals that were new, pulled in, pushed out, won, lost or gone quiet since the evening before, each once.

    Examples
    --------
    >>> from salesops import forecast_bridge
    >>> week = Period("2026-W30", date(2026, 7, 21), date(2026, 7, 27))
    >>> moves_in_all(moved(forecast_bridge._example_moves(), _NOBODY), week)["moved_deal_count"].tolist()
    [3]
    """
    n = listed["opportunity_id"].nunique()
    counts = {name: int((_kind(listed) == move).sum()) for move, name in _COUNTED.items()}
    row = {"period": period.label, "period_start": period.start, "period_end": period.end, "n": n}
    return pd.DataFrame([row | {"moved_deal_count": n} | counts])


def deals_by_count(listed: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The deals behind each count of `moves_by_owner`, by its name.

    Examples
    --------
    >>> from salesops import forecast_bridge
    >>> lists = deals_by_count(moved(forecast_bridge._example_moves(), _NOBODY))
    >>> lists["won_deal_count"]["opportunity_id"].tolist(), len(lists["lost_deal_count"])
    (['A'], 0)
    """
    return {name: listed[_kind(listed) == move] for move, name in _COUNTED.items()}


def coverages(now: pd.DataFrame, later: pd.DataFrame) -> pd.DataFrame:
    """The coverage of the quarter and of the next in one table.

    Examples
    --------
    >>> coverages(pd.DataFrame({"period": ["2026Q3"]}), pd.DataFrame({"period": ["2026Q4"]}))["period"].tolist()
    ['2026Q3', '2026Q4']
    """
    return pd.concat([now, later], ignore_index=True)


def bridge_sentence(
    bridge: pd.DataFrame, change: pd.DataFrame, *, since: date, currency: str = "", brief: bool = False
) -> str:
    """Whether the forecast of the quarter rose or fell since a day, and what moved it most.

    Parameters
    ----------
    bridge, change
        Of `forecast_bridge.forecast_bridge` and `forecast_change`.
    since
        The first day after the evening before.
    brief
        As a title.

    Examples
    --------
    >>> bridge = pd.DataFrame({"step": ["forecast then", "won", "lost", "deals to come", "forecast now"],
    ...     "forecast_bridge_amount": [2e6, 3e5, -1e5, 0, 2.2e6]})
    >>> change = pd.DataFrame({"period": ["2026Q3"], "forecast_now_amount": 2.2e6, "forecast_change_amount": 2e5,
    ...     "forecast_change_amount_low": 1.5e5, "forecast_change_amount_high": 2.5e5})
    >>> options = {"since": date(2026, 9, 21), "currency": "USD"}
    >>> bridge_sentence(bridge, change, **options)  # doctest: +NORMALIZE_WHITESPACE
    'Since Monday, 21 September 2026 the forecast of 2026Q3 rose by $200K to $2.2M: won deals added most ($300K), lost
    deals took most ($100K).'
    >>> bridge_sentence(bridge, change, **options, brief=True)
    'The forecast of 2026Q3 rose by $200K to $2.2M; won deals added most'
    >>> bridge_sentence(bridge, change.replace(1.5e5, -1e4), **options, brief=True)
    'The forecast of 2026Q3 shows no clear change, at $2.2M'
    >>> bridge_sentence(bridge, change.replace(1.5e5, -1e4), **options)  # doctest: +NORMALIZE_WHITESPACE
    'Since Monday, 21 September 2026 the forecast of 2026Q3 shows no clear change, at $2.2M: won deals added most
    ($300K), lost deals took most ($100K).'
    >>> bridge_sentence(bridge[:0], change[:0], **options)
    'Past quarters do not tell enough to say what the week did to the forecast.'
    """
    if bridge.empty:
        return "Past quarters do not tell enough to say what the week did to the forecast."
    row = change.iloc[0]
    by, now = row["forecast_change_amount"], words.amount(row["forecast_now_amount"], currency, compact=True)
    is_clear = row["forecast_change_amount_low"] > 0 or row["forecast_change_amount_high"] < 0
    size = words.amount(abs(by), currency, compact=True)
    moved_so = f"{'rose' if by > 0 else 'fell'} by {size} to {now}" if is_clear else f"shows no clear change, at {now}"
    added, took = _largest(bridge.set_index("step")["forecast_bridge_amount"].iloc[1:-1], currency)
    if brief:
        cause = (added if by > 0 else took) if is_clear else None
        return f"The forecast of {row['period']} {moved_so}{f'; {cause[0]}' if cause else ''}"
    why = ", ".join(f"{what} ({much})" for what, much in filter(None, (added, took)))
    stated = f"Since {since:%A}, {words.day(since)} the forecast of {row['period']} {moved_so}"
    return f"{stated}: {why}." if why else f"{stated}."


def chance_sentence(then: pd.DataFrame, now: pd.DataFrame, *, currency: str = "") -> str:
    """How likely the target is reached, and how likely it was on the evening before; nothing without a target.

    Parameters
    ----------
    then, now
        Of `pipeline_forecast.landing`.

    Examples
    --------
    >>> now = pd.DataFrame({"period": ["2026Q3"], "won_so_far_amount": 1.2e6, "bookings_target_amount": 3.5e6,
    ...     "target_probability": 0.24})
    >>> chance_sentence(now.replace(0.24, 0.3), now, currency="USD")
    'The chance of reaching the target of $3.5M is 24 %, after 30 % a week before.'
    >>> chance_sentence(now, now.replace(0.24, 0.002), currency="USD")
    'The chance of reaching the target of $3.5M is under one in a hundred, after 24 % a week before.'
    >>> chance_sentence(now, now.replace(3.5e6, 1e6), currency="USD")
    'The target of $1.0M is reached already.'
    >>> chance_sentence(now, now.replace(0.24, float("nan")))
    ''
    """
    row, before = now.iloc[0], then.iloc[0]["target_probability"]
    if pd.isna(row["target_probability"]):
        return ""
    target = words.amount(row["bookings_target_amount"], currency, compact=True)
    if row["won_so_far_amount"] >= row["bookings_target_amount"]:
        return f"The target of {target} is reached already."
    was = "" if pd.isna(before) else f", after {_chance(before)} a week before"
    return f"The chance of reaching the target of {target} is {_chance(row['target_probability'])}{was}."


def moves_sentence(listed: pd.DataFrame, *, since: date) -> str:
    """How many deals moved since a day, and how.

    Parameters
    ----------
    listed
        Of `moved`.
    since
        The first day after the evening before.

    Examples
    --------
    >>> listed = pd.DataFrame({"opportunity_id": ["A", "B", "C", "C"], "move": ["won", "lost", "new", "gone quiet"]})
    >>> moves_sentence(listed, since=date(2026, 9, 21))
    'Since Monday 3 deals moved: 1 new, 1 won, 1 lost and 1 gone quiet.'
    >>> moves_sentence(listed[:1], since=date(2026, 9, 21))
    'Since Monday one deal moved: 1 won.'
    >>> moves_sentence(listed[:0], since=date(2026, 9, 21))
    'Since Monday no deal was new, pulled in, pushed out, won, lost or gone quiet.'
    """
    counts, n = _kind(listed).value_counts(), listed["opportunity_id"].nunique()
    if not n:
        *others, last = _COUNTED
        return f"Since {since:%A} no deal was {', '.join(others)} or {last}."
    *others, last = [f"{words.count(counts[move])} {move}" for move in _COUNTED if move in counts]
    how = f"{', '.join(others)} and {last}" if others else last
    return f"Since {since:%A} {'one deal' if n == 1 else f'{words.count(n)} deals'} moved: {how}."


def _kind(listed: pd.DataFrame) -> pd.Series:
    """What a move counts as among people: a win is one in any quarter."""
    return listed["move"].replace(ELSEWHERE, WON)


def _chance(chance: float) -> str:
    if 0.01 <= chance <= 0.99:
        return words.rate(chance)
    return "under one in a hundred" if chance < 0.01 else "over ninety-nine in a hundred"


def _largest(steps: pd.Series, currency: str) -> list[tuple[str, str] | None]:
    """What added most and what took most, each with how much."""
    found: list[tuple[str, str] | None] = []
    for name, size, what in ((steps.idxmax(), steps.max(), "added"), (steps.idxmin(), -steps.min(), "took")):
        much = words.amount(size, currency, compact=True)
        found.append((f"{_PHRASES[name]} {what} most", much) if size > 0 else None)
    return found
