"""Slippage: which deals were due in a period and did not close in it, and how often close dates are moved later."""

from datetime import date, timedelta

import numpy as np
import pandas as pd

from salesops import checks, evenings, words
from salesops.periods import Period
from salesops.stats import means, proportions

_LIMITS = ("", "_low", "_high")


def due_deals(
    opportunities: pd.DataFrame,
    stage_history: pd.DataFrame,
    *,
    period: Period,
    as_of: date,
    by: str | None = None,
    stages: pd.DataFrame | None = None,
    reps: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """The deals that were open and due in a period when it began, and what became of them in it.

    They are those of the evening before its first day, with the amount, close date and `by`
    (owner, forecast category …) then in force. A deal is won by its close date, as bookings
    are. A deal whose history does not reach back to that evening is left out: its record no
    longer tells when it was due.

    Parameters
    ----------
    opportunities, stage_history, by, stages, reps
        As of `evenings.between`; ``account_id`` of `opportunities` where known.
    period
        When the deals were due.
    as_of
        Last day of the data: in a period that is not over nothing has slipped yet.

    Returns
    -------
    DataFrame
        One row per deal: ``opportunity_id``, `by`, ``account_id``, ``amount``, ``close_date_before``,
        ``close_date_after``, ``became`` (won, lost, pushed out, still due, pulled ahead, undated; all but the first
        two are open), ``is_slipped`` (missing while the period is not over and the deal is open).

    Examples
    --------
    >>> day = pd.to_datetime
    >>> deals = pd.DataFrame({"opportunity_id": ["A"], "stage": ["Talk"], "amount": [100.0], "is_closed": [False],
    ...     "is_won": [False], "created_date": day(["2026-06-01"]), "close_date": day(["2026-11-01"]),
    ...     "closed_at": day([None])})
    >>> history = pd.DataFrame({"opportunity_id": "A", "changed_at": day(["2026-06-01", "2026-09-09"]), "seq": [1, 2],
    ...     "stage": "Talk", "amount": 100.0, "close_date": day(["2026-08-31", "2026-11-01"])})
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> due_deals(deals, history, period=q3, as_of=date(2026, 9, 30))[["opportunity_id", "became", "is_slipped"]]
      opportunity_id      became  is_slipped
    0              A  pushed out        True
    """
    eve, last = period.start - timedelta(days=1), min(period.end, as_of)
    options = {"by": by, "stages": stages, "reps": reps}
    stood = evenings.between(opportunities, stage_history, start=eve, end=max(last, period.start), **options)
    is_due = stood["state_before"].eq(evenings.OPEN) & period.contains(stood["close_date_before"])
    is_due &= stood["history"].eq("full") & bool(stage_history["close_date"].notna().any())
    accounts = opportunities["account_id"].array if "account_id" in opportunities else stood["opportunity_id"]
    rows = stood.assign(account_id=accounts, became=_became(stood, period))[is_due]
    is_slipped = (~rows["became"].isin(["won", "lost"])).astype("boolean")
    if not period.is_complete(as_of):
        is_slipped = is_slipped.where(~is_slipped, pd.NA)
    named = rows.rename(columns={"amount_before": "amount"} | ({f"{by}_before": by} if by else {}))
    columns = ["account_id", "amount", "close_date_before", "close_date_after", "became"]
    return (
        named[["opportunity_id", *([by] if by else []), *columns]].assign(is_slipped=is_slipped).reset_index(drop=True)
    )


def slippage_rate(due: pd.DataFrame, *, by: str | None = None, confidence: float = 0.95) -> pd.DataFrame:
    """Of the deals due in a period when it began, the share neither won nor lost in it.

    ``slippage_rate = slipped / due`` by count, ``value_slippage_rate`` the same of their amounts; the
    intervals allow for several deals of one company. Split by ``forecast_category`` it shows the
    commit deals alone. Missing while the period is not over, and where nothing was due.

    Known bias: a deal lost in name only, to clear the list, counts as closed.

    Parameters
    ----------
    due
        Of `due_deals`.
    by
        Column to group on; a missing value is a group.
    confidence
        Level of the intervals.

    Returns
    -------
    DataFrame
        One row per group, largest first: `by`, ``n`` (deals due), ``slipped_count``, ``slippage_rate`` and limits,
        ``due_at_start_amount``, ``slipped_amount``, ``value_slippage_rate`` and limits.

    Metrics
    -------
    slippage_rate : rate, close_date, lower, slipped_count / n, close_date
        Of the open deals due to close in the period when it began, the share neither won nor lost in it.
    value_slippage_rate : rate, close_date, lower, slipped_amount / due_at_start_amount, amount close_date
        Of the open amount due to close in the period when it began, the share neither won nor lost in it.

    References
    ----------
    Kish (1965), Survey Sampling, ch. 6; Korn & Graubard (1998), Survey Methodology 24:193-201.

    Examples
    --------
    >>> due = pd.DataFrame({"account_id": list("abcd"), "amount": [10.0, 20, 30, 40],
    ...     "is_slipped": [True, False, True, False]})
    >>> slippage_rate(due)[["n", "slipped_count", "slippage_rate", "slipped_amount", "value_slippage_rate"]]
       n  slipped_count  slippage_rate  slipped_amount  value_slippage_rate
    0  4              2            0.5            40.0                  0.4
    """
    checks.require_columns(due, [*([by] if by else []), "account_id", "amount", "is_slipped"])
    keys = [by] if by else []
    is_over = due["is_slipped"].notna().all()
    rows = due.assign(amount=due["amount"].fillna(0.0), is_slipped=due["is_slipped"].fillna(False).astype(bool))
    options = {"by": keys, "success": "is_slipped", "cluster": "account_id", "confidence": confidence}
    count = means.clustered_share(rows, **options).rename(columns=_OF_COUNT)
    value = proportions.weighted_share(rows, weight="amount", **options).drop(columns="n").rename(columns=_OF_AMOUNT)
    table = count.merge(value, on=keys) if keys else count.join(value)
    unknown = [name for name in table.columns if "slip" in name]
    return table if is_over else table.assign(**dict.fromkeys(unknown, np.nan))


def push_count(
    opportunities: pd.DataFrame,
    stage_history: pd.DataFrame,
    *,
    as_of: date,
    period: Period | None = None,
    by: str | None = None,
    stages: pd.DataFrame | None = None,
    reps: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """How often, and by how many days, the close date of each deal was moved later while it was open.

    Days are compared, not clicks: what a day's last change leaves counts, so a slip of the hand put
    right the same day is no push. A deal's first close date is none, nor the date that closing
    writes, nor that of a re-opening.

    Known bias: where the history begins after the deal, earlier pushes are missing.

    Parameters
    ----------
    opportunities, stage_history, by, stages, reps
        As of `evenings.between`; ``account_id`` of `opportunities` where known. A deal without history
        is left out: its pushes are not known.
    as_of
        Last day used.
    period
        When the pushes were made; any day up to `as_of` if empty.

    Returns
    -------
    DataFrame
        One row per deal with history, in the order of `opportunities`: ``opportunity_id``, `by` (in force at the
        end of `as_of`, or at closing), ``account_id``, ``push_count``, ``pushed_days``, ``first_close_date`` and
        ``last_close_date`` (while open). No rows where the history has no close dates.

    Metrics
    -------
    push_count : count, changed_at, lower, -, close_date
        Times a deal's close date was moved later while it was open; a day counts once.
    pushed_days : days, changed_at, lower, -, close_date
        Days by which those moves put off the close date, all together.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> deals = pd.DataFrame({"opportunity_id": ["A"], "stage": ["Talk"], "amount": [100.0], "is_closed": [False],
    ...     "is_won": [False], "created_date": day(["2026-06-01"]), "close_date": day(["2026-11-01"]),
    ...     "closed_at": day([None])})
    >>> history = pd.DataFrame({"opportunity_id": "A", "seq": [1, 2, 3], "stage": "Talk", "amount": 100.0,
    ...     "changed_at": day(["2026-06-01", "2026-08-09", "2026-09-09"]),
    ...     "close_date": day(["2026-08-31", "2026-09-30", "2026-11-01"])})
    >>> push_count(deals, history, as_of=date(2026, 9, 30))[["opportunity_id", "push_count", "pushed_days"]]
      opportunity_id  push_count  pushed_days
    0              A           2         62.0
    """
    rows, _ = evenings.replay(opportunities, stage_history, stages=stages, by=by, reps=reps)
    now = evenings.evening(rows, opportunities, as_of)
    dated = _dated_days(rows, as_of)
    days = dated.groupby(["deal", "spell"])["close_date"].diff() / pd.Timedelta(days=1)
    is_push = (days > 0) & (period.contains(dated["at"]) if period else True)
    pushes = days[is_push].groupby(dated["deal"])
    has_dates = bool(stage_history["close_date"].notna().any())
    deals = np.unique(rows.loc[has_dates & ~rows["is_inferred"] & (rows["at"] < _midnight(as_of)), "deal"])
    dates = dated.groupby("deal")["close_date"]
    accounts = opportunities["account_id" if "account_id" in opportunities else "opportunity_id"]
    return pd.DataFrame({
        "opportunity_id": opportunities["opportunity_id"].array[deals],
        **({by: now[by].array[deals]} if by else {}),
        "account_id": accounts.array[deals],
        "push_count": pushes.size().reindex(deals, fill_value=0).array,
        "pushed_days": pushes.sum().reindex(deals, fill_value=0.0).array,
        "first_close_date": dates.first().reindex(deals).array,
        "last_close_date": dates.last().reindex(deals).array,
    })  # fmt: skip


def push_rates(pushed: pd.DataFrame, *, by: str | None = None, confidence: float = 0.95) -> pd.DataFrame:
    """How many deals had their close date moved later, how often, and by how much.

    Parameters
    ----------
    pushed
        Of `push_count`, all deals or those of interest.
    by
        Column to group on; a missing value is a group.
    confidence
        Level of the intervals, which allow for several deals of one company.

    Returns
    -------
    DataFrame
        One row per group, largest first: `by`, ``n`` (deals), ``n_pushed``, ``pushed_rate``, ``push_count_mean``,
        ``pushed_days_mean`` (per deal, unmoved ones too), each with its limits.

    Metrics
    -------
    pushed_rate : rate, changed_at, lower, n_pushed / n, close_date
        Share of the deals whose close date was moved later at least once.

    References
    ----------
    Kish (1965), Survey Sampling, ch. 6; Korn & Graubard (1998), Survey Methodology 24:193-201.

    Examples
    --------
    >>> pushed = pd.DataFrame({"account_id": list("abcd"), "push_count": [0, 1, 2, 1], "pushed_days": [0, 30, 60, 10]})
    >>> push_rates(pushed)[["n", "n_pushed", "pushed_rate", "push_count_mean", "pushed_days_mean"]]
       n  n_pushed  pushed_rate  push_count_mean  pushed_days_mean
    0  4         3         0.75              1.0              25.0
    """
    keys = [by] if by else []
    checks.require_columns(pushed, [*keys, "account_id", "push_count", "pushed_days"])
    rows = pushed.assign(is_pushed=pushed["push_count"] > 0)
    options = {"by": keys, "cluster": "account_id", "confidence": confidence}
    table = means.clustered_share(rows, success="is_pushed", **options)
    table = table.rename(columns={"hit": "n_pushed"} | {f"share{end}": f"pushed_rate{end}" for end in _LIMITS})
    for value in ("push_count", "pushed_days"):
        found = means.clustered_mean(rows, value=value, **options).drop(columns=["n", "total"])
        found = found.rename(columns={f"mean{end}": f"{value}_mean{end}" for end in _LIMITS})
        table = table.merge(found, on=keys) if keys else table.join(found)
    return table


def slippage_sentence(
    row: pd.Series, *, period: Period, deals: str = "deals", currency: str = "", brief: bool = False
) -> str:
    """How much of what was due in a period slipped out of it; the first half alone where `brief`, as a title.

    Parameters
    ----------
    row
        A row of `slippage_rate`.
    deals
        Which deals, in words: "deals", "commit deals".
    brief
        Without the limits and the money.

    Examples
    --------
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> row = pd.Series({"n": 240.0, "slipped_count": 60.0, "slippage_rate": 0.25, "slippage_rate_low": 0.2,
    ...     "slippage_rate_high": 0.31, "due_at_start_amount": 8e6, "value_slippage_rate": 0.3})
    >>> slippage_sentence(row, period=q3, currency="USD")  # doctest: +NORMALIZE_WHITESPACE
    '60 of the 240 deals due in 2026Q3 when it began were neither won nor lost in it: 25 % slipped (likely between 20 %
    and 31 %), and 30 % of their $8.0M.'
    >>> slippage_sentence(row, period=q3, brief=True)
    '25 % of the 240 deals due in 2026Q3 slipped out of it'
    >>> slippage_sentence(row[["n"]] * 0, period=q3, deals="commit deals")
    'No commit deals were due in 2026Q3 when it began, as far as the history tells.'
    >>> slippage_sentence(row.mask(row.index != "n"), period=q3)
    '2026Q3 is not over, so it is not known how many of the 240 deals due in it will slip.'
    """
    n = int(row["n"])
    if n == 0:
        return f"No {deals} were due {period.when} when it began, as far as the history tells."
    if pd.isna(row["slipped_count"]):
        unknown = f"it is not known how many of the {_count(n, deals)} due in it will slip"
        return (
            f"{period.label} is not over, so {unknown if n > 1 else 'it is not known whether the one due in it will'}."
        )
    stated = _slipped(int(row["slipped_count"]), n, deals, f"due {period.when} when it began")
    if n < checks.MIN_N:
        return f"{stated}: too few to read a rate from."
    if brief:
        return f"{words.rate(row['slippage_rate'])} of the {_count(n, deals)} due {period.when} slipped out of it"
    limits = words.interval(row["slippage_rate_low"], row["slippage_rate_high"], "rate")
    money = words.amount(row["due_at_start_amount"], currency, compact=True)
    value = row["value_slippage_rate"]
    of_money = "" if pd.isna(value) else f", and {words.rate(value)} of their {money}"
    return f"{stated}: {words.rate(row['slippage_rate'])} slipped ({limits}){of_money}."


def push_sentence(row: pd.Series, *, deals: str = "deals") -> str:
    """How often close dates are moved later.

    Parameters
    ----------
    row
        A row of `push_rates`.
    deals
        Which deals, in words.

    Examples
    --------
    >>> row = pd.Series({"n": 87.0, "n_pushed": 60.0, "pushed_rate": 0.69, "pushed_rate_low": 0.58,
    ...     "pushed_rate_high": 0.78, "push_count_mean": 1.5, "pushed_days_mean": 52.0})
    >>> push_sentence(row, deals="open deals")  # doctest: +NORMALIZE_WHITESPACE
    'The close date of 60 of 87 open deals was moved later at least once: 69 % (likely between 58 % and 78 %), on
    average 1.5 times and by 52 days a deal.'
    >>> push_sentence(row * 0)
    'There are no deals whose history tells how often close dates are moved.'
    """
    n, pushed = int(row["n"]), int(row["n_pushed"])
    if n == 0:
        return f"There are no {deals} whose history tells how often close dates are moved."
    if n == 1:
        return f"The close date of the one {_count(1, deals)[2:]} was {'' if pushed else 'not '}moved later."
    moved = "was moved later at least once"
    counted = _count(n, deals)
    of = f"of {words.count(pushed)} of" if pushed else "of none of"
    stated = f"The close date {of} {counted} {moved}"
    if n < checks.MIN_N:
        return f"{stated}: too few to read a rate from."
    limits = words.interval(row["pushed_rate_low"], row["pushed_rate_high"], "rate")
    times = words.number(row["push_count_mean"], 1).removesuffix(f"{words.decimal_marks()[0]}0")
    days = words.duration(row["pushed_days_mean"])
    often = f", on average {times} {'time' if times == '1' else 'times'} and by {days} a deal" if pushed else ""
    return f"{stated}: {words.rate(row['pushed_rate'])} ({limits}){often}."


_OF_COUNT = {"hit": "slipped_count"} | {f"share{end}": f"slippage_rate{end}" for end in _LIMITS}
_OF_AMOUNT = {"hit": "slipped_amount", "total": "due_at_start_amount"} | {
    f"share{end}": f"value_slippage_rate{end}" for end in _LIMITS
}


def _became(stood: pd.DataFrame, period: Period) -> np.ndarray:
    state, due = stood["state_after"], stood["close_date_after"]
    is_open = state.eq(evenings.OPEN)
    tests = [~is_open, due.isna(), due > pd.Timestamp(period.end), due >= pd.Timestamp(period.start)]
    return np.select(tests, [state.astype("str"), "undated", "pushed out", "still due"], "pulled ahead")


def _dated_days(rows: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """Each deal's close date at the end of each day on which it changed, while open; ``spell`` counts re-openings."""
    past = rows[(rows["at"] < _midnight(as_of)).to_numpy()]
    day = past["at"].dt.normalize().to_numpy()
    deal = past["deal"].to_numpy()
    is_last = np.r_[(deal[1:] != deal[:-1]) | (day[1:] != day[:-1]), [True] * (len(past) > 0)].astype(bool)
    past = past[is_last]
    is_open = past["state"].eq(0)
    spells = past.assign(spell=(~is_open).cumsum())
    return spells.loc[is_open & past["close_date"].notna(), ["deal", "spell", "at", "close_date"]]


def _midnight(day: date) -> pd.Timestamp:
    return pd.Timestamp(day + timedelta(days=1))


def _count(n: float, deals: str) -> str:
    return f"{words.count(n)} {deals.removesuffix('s') if n == 1 else deals}"


def _slipped(slipped: int, n: int, deals: str, due: str) -> str:
    if n == 1:
        became = "neither won nor lost" if slipped else "won or lost"
        return f"The one {_count(1, deals)[2:]} {due} was {became} in it"
    if slipped in (0, n):
        counted = f"All {_count(n, deals)} {due} were" if not slipped else f"None of the {_count(n, deals)} {due} was"
        return f"{counted} won or lost in it"
    was = "was" if slipped == 1 else "were"
    return f"{words.count(slipped)} of the {_count(n, deals)} {due} {was} neither won nor lost in it"
