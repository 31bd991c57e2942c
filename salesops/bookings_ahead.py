"""Bookings ahead, group by group: forecasts from past bookings alone, all of which add up."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from salesops import checks, kept, words
from salesops.periods import Calendar, Period, quarters_between
from salesops.pipeline import won_in
from salesops.time_series import hierarchical, time_series

QUARTERS = 4  # of a season
LEVEL = 0.8  # of the limits

_FEWEST = 2 * QUARTERS  # quarters from which there is a model
_CALENDAR = Calendar()
_AHEAD = ["period", "period_start", "period_end"]


def bookings_by_group(
    opportunities: pd.DataFrame,
    *,
    by: Sequence[str],
    calendar: Calendar = _CALENDAR,
    as_of: date,
    line_items: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Bookings of every group in every completed quarter that the data cover whole.

    The quarter of the first win is left out unless it won from its first week on. A deal with line items is split by
    their amounts where `by` holds ``product``; its own amount is kept.

    Parameters
    ----------
    opportunities
        With ``opportunity_id`` (for line items), ``is_won``, ``close_date``, ``amount`` and the columns of `by`.
    by
        Columns to group on, e.g. ``["region", "segment"]``; a missing value is a group; none gives the total.
    calendar, as_of
        Which quarters there are, and which are complete.
    line_items
        With ``opportunity_id``, ``product``, ``amount``; left out where `by` has no product.

    Returns
    -------
    DataFrame
        One row per group that ever won and quarter: the columns of `by`, ``period``, ``period_start``,
        ``period_end``, ``n`` (deals won), ``group_bookings_amount`` (0 where nothing was won, missing where no win
        carries an amount).

    Metrics
    -------
    group_bookings_amount : amount, closed, higher, -, is_won amount close_date
        Amount of the deals won by a group, by close date.

    Examples
    --------
    >>> deals = pd.DataFrame({"is_won": True, "region": ["north", "north", "south"], "amount": [10.0, 5.0, 7.0],
    ...                       "close_date": pd.to_datetime(["2026-01-02", "2026-02-01", "2026-04-09"])})
    >>> bookings_by_group(deals, by=["region"], as_of=date(2026, 6, 30))[
    ...     ["region", "period", "n", "group_bookings_amount"]]
      region  period  n  group_bookings_amount
    0  north  2026Q1  2                   15.0
    1  north  2026Q2  0                    0.0
    2  south  2026Q1  0                    0.0
    3  south  2026Q2  1                    7.0
    """
    by = _groups(by)
    lines = line_items if "product" in by else None
    checks.require_columns(opportunities, ["is_won", "close_date", "amount", *by])
    found = _completed(opportunities, as_of, calendar)
    won = [_parts(won_in(opportunities, each), lines).assign(period=each.label) for each in found]
    columns = [*by, *_AHEAD, "n", "group_bookings_amount"]
    if not won:
        return pd.DataFrame(columns=columns)
    sums = _summed(pd.concat(won), [*by, "period"])
    grid = sums[by].drop_duplicates() if by else pd.DataFrame(index=[0])
    quarters = pd.DataFrame([(each.label, each.start, each.end) for each in found], columns=_AHEAD)
    table = grid.merge(quarters, how="cross").merge(sums, how="left", on=[*by, "period"])
    none = table["n"].isna()
    table = table.assign(n=table["n"].fillna(0).astype(int), group_bookings_amount=table["amount"].mask(none, 0.0))
    return table.sort_values([*by, "period_start"], kind="stable", ignore_index=True)[columns]


@kept.by_content("forecasts")
def group_forecasts(
    history: pd.DataFrame, *, by: Sequence[str], horizon: int = QUARTERS, calendar: Calendar = _CALENDAR
) -> pd.DataFrame:
    """The quarters ahead of the total, of every group and of every combination of groups, all of which add up.

    Each as of `time_series`, then moved as little as past errors ask for until wholes are the sums of their parts.
    A group is named where its year-before bookings lie outside the 95 % range of the forecast; only groups of one
    column, with 20 wins and eight quarters.

    Parameters
    ----------
    history
        Of `bookings_by_group`, with the same `by`.
    by
        Columns grouped on.
    horizon
        How many quarters.
    calendar
        Names the quarters.

    Returns
    -------
    DataFrame
        One row per group and quarter ahead: ``grouping`` (``total``, a column of `by`, or all of them joined by
        `` × ``), the columns of `by` (missing where summed over), ``period``, ``period_start``, ``period_end``, ``n``
        (deals won in the past), ``n_quarters`` (of history), ``group_forecast_amount`` with limits, ``level``,
        ``year_before_amount``, ``is_named``; no rows without history.

    Metrics
    -------
    group_forecast_amount : amount, close_date, higher, -, is_won amount close_date
        Bookings of a group in a quarter as past quarters alone foretell them; groups add up to their total.
    year_before_amount : amount, closed, higher, -, is_won amount close_date
        Bookings of the same group in the same quarter a year before.

    Notes
    -----
    Known bias: a win without an amount counts as nothing; limits keep the width they had before forecasts were made
    to add up, and a group's low limit is not below nothing.

    References
    ----------
    Wickramasuriya, Athanasopoulos & Hyndman (2019), J. Am. Stat. Assoc. 114:804-819.

    Examples
    --------
    >>> quarters = [each for each in quarters_between(date(2024, 1, 1), date(2026, 6, 30))]
    >>> history = pd.DataFrame([
    ...     {"region": region, "period": each.label, "period_start": each.start, "period_end": each.end, "n": 3,
    ...      "group_bookings_amount": amount} for region, amount in [("north", 30.0), ("south", 20.0)]
    ...     for each in quarters])
    >>> group_forecasts(history, by=["region"], horizon=1)[
    ...     ["grouping", "region", "period", "n", "group_forecast_amount", "year_before_amount"]].round(6)
      grouping region  period   n  group_forecast_amount  year_before_amount
    0    total    NaN  2026Q3  60                   50.0                50.0
    1   region  north  2026Q3  30                   30.0                30.0
    2   region  south  2026Q3  30                   20.0                20.0
    """
    by = _groups(by)
    limits = [f"group_forecast_amount{end}" for end in ("", "_low", "_high")]
    columns = ["grouping", *by, *_AHEAD, "n", "n_quarters", *limits, "level", "year_before_amount", "is_named"]
    placed = _placed(history, by)
    if placed.empty:
        return pd.DataFrame(columns=columns)
    table = _hierarchy(placed, by, horizon).rename(columns={"level": "grouping"})
    past = _at_levels(placed, by)
    keys = ["grouping", *by]
    wins = past.groupby(keys, dropna=False, as_index=False)["n"].sum()
    before = past[[*keys, "ds", "year_before_amount"]].assign(ds=past["ds"] + QUARTERS)
    table = table.merge(wins, how="left", on=keys).merge(before, how="left", on=[*keys, "ds"])
    quarters = quarters_after(history, table["ds"] - placed["ds"].max(), calendar=calendar)
    table = table.join(quarters).assign(n_quarters=placed["ds"].nunique(), level=LEVEL)
    names = dict(zip(["predicted", "predicted_low_80", "predicted_high_80"], limits, strict=True))
    return table.rename(columns=names).assign(is_named=_is_clear(table, by))[columns]


def total_ahead(table: pd.DataFrame) -> pd.DataFrame:
    """The quarters ahead of the whole company: the total that its groups add up to, so that a page has one of them.

    Parameters
    ----------
    table
        Of `group_forecasts`.

    Returns
    -------
    DataFrame
        As of `forecast.series_ahead`: one row per quarter ahead, ``period``, ``period_start``, ``period_end``, ``n``
        (quarters of history), ``series_forecast_amount`` with limits, ``level``.

    Examples
    --------
    >>> table = pd.DataFrame({"grouping": ["total", "region"], "period": "2026Q3", "period_start": date(2026, 7, 1),
    ...     "period_end": date(2026, 9, 30), "n_quarters": 12, "group_forecast_amount": [50.0, 30.0],
    ...     "group_forecast_amount_low": 20.0, "group_forecast_amount_high": 80.0, "level": 0.8})
    >>> total_ahead(table)[["period", "n", "series_forecast_amount"]]
       period   n  series_forecast_amount
    0  2026Q3  12                    50.0
    """
    ends = ("", "_low", "_high")
    names = {f"group_forecast_amount{end}": f"series_forecast_amount{end}" for end in ends} | {"n_quarters": "n"}
    rows = table[table["grouping"].eq("total")].drop(columns="n", errors="ignore").rename(columns=names)
    columns = [*_AHEAD, "n", *(f"series_forecast_amount{end}" for end in ends), "level"]
    return rows[columns].reset_index(drop=True)


def groups_sentence(table: pd.DataFrame, *, by: Sequence[str]) -> str:
    """Which groups should end the next quarter clearly above or below the same quarter a year before.

    Parameters
    ----------
    table
        Of `group_forecasts`.
    by
        Columns grouped on.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "grouping": ["total", "region", "segment", "segment"], "region": [None, "EMEA", None, None],
    ...     "period": "2026Q4", "segment": [None, None, "SMB", "Enterprise"], "period_start": date(2026, 10, 1),
    ...     "year_before_amount": 5.0, "group_forecast_amount": [6.0, 9.0, 2.0, 5.0],
    ...     "is_named": [False, True, True, False]})
    >>> groups_sentence(table, by=["region", "segment"])
    'By past bookings alone, 2026Q4 should end above the same quarter a year before in region EMEA and below it in \
segment SMB.'
    >>> groups_sentence(table.assign(is_named=False), by=["region", "segment"])
    'By past bookings alone, no region or segment should end 2026Q4 clearly above or below the same quarter a year \
before.'
    >>> groups_sentence(table[:0], by=["region"])
    'There is no completed quarter of bookings to go by.'
    """
    by = _groups(by)
    if table.empty:
        return "There is no completed quarter of bookings to go by."
    ahead = table[(table["period_start"] == table["period_start"].min()) & table["grouping"].isin(by)]
    quarter = table["period"].iloc[0]
    if ahead.empty:
        return ""
    if ahead["year_before_amount"].isna().all():
        return f"There is no quarter a year before {quarter} to compare its groups with."
    named = ahead[ahead["is_named"].astype(bool)]
    if named.empty:
        kinds = " or ".join(words.label(name).lower() for name in by)
        return (f"By past bookings alone, no {kinds} should end {quarter} clearly above or below the same quarter "
                "a year before.")  # fmt: skip
    is_more = named["group_forecast_amount"] > named["year_before_amount"]
    sides = {"above": named[is_more], "below": named[~is_more]}
    told = [f"{side} {{}} in {_listed(rows)}" for side, rows in sides.items() if len(rows)]
    said = " and ".join(told).format(*["the same quarter a year before", "it"][: len(told)])
    return f"By past bookings alone, {quarter} should end {said}."


def next_quarter(table: pd.DataFrame, *, by: Sequence[str]) -> pd.DataFrame:
    """The quarter ahead of every group of one column, one row each, the group's name in one column.

    Parameters
    ----------
    table
        Of `group_forecasts`.
    by
        Columns grouped on.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "grouping": ["total", "region", "region", "segment"], "region": [None, "EMEA", "EMEA", None],
    ...     "segment": [None, None, None, "SMB"], "period": ["2026Q4", "2026Q4", "2027Q1", "2026Q4"],
    ...     "period_start": [date(2026, 10, 1), date(2026, 10, 1), date(2027, 1, 1), date(2026, 10, 1)],
    ...     "group_forecast_amount": [9.0, 9.0, 8.0, 2.0]})
    >>> next_quarter(table, by=["region", "segment"])[["grouping", "group", "group_forecast_amount"]]
      grouping group  group_forecast_amount
    0   region  EMEA                    9.0
    1  segment   SMB                    2.0
    """
    by = _groups(by)
    rows = table[(table["period_start"] == table["period_start"].min()) & table["grouping"].isin(by)]
    names = [words.group(row[row["grouping"]]) for _, row in rows.iterrows()]
    told = rows.drop(columns=by)
    told.insert(told.columns.get_loc("grouping") + 1, "group", pd.Series(names, index=rows.index, dtype="str"))
    return told.reset_index(drop=True)


def quarters_after(history: pd.DataFrame, step: pd.Series, *, calendar: Calendar = _CALENDAR) -> pd.DataFrame:
    """The quarter so many after the last of a history.

    Parameters
    ----------
    history
        With ``period_end``.
    step
        1 for the quarter after.
    calendar
        Names the quarters.

    Returns
    -------
    DataFrame
        Like `step`: ``period``, ``period_start``, ``period_end``.

    Examples
    --------
    >>> quarters_after(pd.DataFrame({"period_end": [date(2026, 6, 30)]}), pd.Series([2]))
       period period_start  period_end
    0  2026Q4   2026-10-01  2026-12-31
    """
    last = pd.to_datetime(history["period_end"]).max()
    until = last + pd.DateOffset(months=3 * int(step.max()))
    found = quarters_between(last.date(), until.date(), calendar)
    rows = [(found[at].label, found[at].start, found[at].end) for at in step]
    return pd.DataFrame(rows, columns=_AHEAD, index=step.index)


def _groups(by: Sequence[str]) -> list[str]:
    if isinstance(by, str):
        raise checks.ParameterError(f"by: {by!r} is one word. Give a list of columns, e.g. ['{by}'].")
    return list(by)


def _completed(opportunities: pd.DataFrame, as_of: date, calendar: Calendar) -> list[Period]:
    """The completed quarters from the first that the data cover whole."""
    days = opportunities.loc[opportunities["is_won"], "close_date"].dropna()
    if days.empty:
        return []
    found = quarters_between(days.min().date(), as_of, calendar)
    starts_late = (days.min().date() - found[0].start).days >= 7
    return [each for each in found[starts_late:] if each.is_complete(as_of)]


def _parts(won: pd.DataFrame, line_items: pd.DataFrame | None) -> pd.DataFrame:
    """Deals split by product where their line items carry amounts; the parts add up to the deal's amount."""
    if line_items is None:
        return won.assign(counted=1)
    checks.require_columns(line_items, ["opportunity_id", "product", "amount"], where="line_items")
    lines = line_items.groupby(["opportunity_id", "product"], dropna=False, observed=True)["amount"].sum().reset_index()
    whole = lines.groupby("opportunity_id")["amount"].transform("sum")
    lines = lines.assign(share=lines["amount"] / whole)[(whole > 0) & lines["amount"].ge(0)]
    split = won.drop(columns="product").merge(lines[["opportunity_id", "product", "share"]], on="opportunity_id")
    split = split.assign(amount=split["amount"] * split["share"])
    return pd.concat([won[~won["opportunity_id"].isin(lines["opportunity_id"])], split]).assign(counted=1)


def _summed(won: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    grouped = won.groupby(keys, dropna=False, observed=True)
    return pd.DataFrame({"n": grouped["counted"].sum(), "amount": grouped["amount"].sum(min_count=1)}).reset_index()


def _placed(history: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """The quarters after the last whose wins carry no amount, numbered; a group without amounts counts as nothing."""
    needed = [*by, *_AHEAD, "n", "group_bookings_amount"]
    checks.require_columns(history, needed, where="history")
    amount = history["group_bookings_amount"].astype(float)
    starts = pd.to_datetime(history["period_start"])
    whole = amount.groupby(starts).transform(lambda each: np.nan if each.isna().any() and not each.any() else 0.0)
    last = starts[whole.isna()].max()
    kept = history[needed].assign(y=amount.fillna(0.0), starts=starts)[
        starts.gt(last) if pd.notna(last) else slice(None)
    ]
    return kept.assign(ds=kept["starts"].rank(method="dense").astype(int) - 1 if len(kept) else 0)


def _hierarchy(placed: pd.DataFrame, by: list[str], horizon: int) -> pd.DataFrame:
    if by:
        return hierarchical(placed[[*by, "ds", "y"]], by=by, horizon=horizon, season_length=QUARTERS)
    series = placed[["ds", "y"]].assign(unique_id="total")
    return time_series(series, horizon=horizon, season_length=QUARTERS).rename(columns={"unique_id": "level"})


def _at_levels(placed: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Wins and bookings of the total, of every group and of every combination, by quarter."""
    levels = {"total": []} | {name: [name] for name in by} | ({" × ".join(by): by} if by else {})
    frames = []
    for grouping, names in levels.items():
        sums = placed.groupby([*names, "ds"], dropna=False, observed=True)[["n", "y"]].sum().reset_index()
        frames.append(sums.assign(grouping=grouping))
    return pd.concat(frames, ignore_index=True).rename(columns={"y": "year_before_amount"})


def _is_clear(table: pd.DataFrame, by: list[str]) -> pd.Series:
    """Whether a group's year-before bookings lie outside the 95 % range, with enough behind it to say so."""
    before = table["year_before_amount"]
    outside = (before < table["predicted_low_95"]) | (before > table["predicted_high_95"])
    enough = (table["n"] >= checks.MIN_N) & (table["n_quarters"] >= _FEWEST)
    return outside & enough & table["grouping"].isin(by)


def _listed(rows: pd.DataFrame) -> str:
    told = [f"{words.label(row['grouping']).lower()} {words.group(row[row['grouping']])}" for _, row in rows.iterrows()]
    return told[0] if len(told) == 1 else f"{', '.join(told[:-1])} and {told[-1]}"
