"""Win rates of closed deals side by side: over time, at the same point of a quarter, and by every way to cut them."""

from collections.abc import Sequence
from datetime import date
from itertools import pairwise

import numpy as np
import pandas as pd

from salesops import checks, pipeline, win_loss, words
from salesops.periods import Calendar, Period, previous, same_position, year_before
from salesops.stats import control, proportions

DIMENSIONS = (
    "segment",
    "region",
    "territory",
    "product",
    "lead_source",
    "opportunity_type",
    "competitor",
    "is_partner",
    "team",
    "size_band",
)
_LONG = (
    "dimension group n won_count win_rate win_rate_low win_rate_high closed_won_amount closed_amount "
    "value_win_rate value_win_rate_low value_win_rate_high"
).split()
_CALENDAR = Calendar()
_ROUND = np.array([1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10])  # first figures of the edges of size bands


def win_rate_by_position(
    opportunities: pd.DataFrame,
    *,
    period: Period,
    as_of: date,
    calendar: Calendar = _CALENDAR,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Win rate of a period so far beside the same days of the period before and of a year before.

    Where the period is not complete on `as_of` only the first so many days of each are taken:
    deals bunch at the end of a quarter, so a part is never compared with a whole.

    Parameters
    ----------
    opportunities
        With ``is_closed``, ``is_won``, ``qualified_date``, ``close_date`` and ``closed_at``.
    period
        The period.
    as_of
        Last day used.
    calendar
        Says which period is the one before.
    confidence
        Level of the Wilson and Newcombe intervals.

    Returns
    -------
    DataFrame
        Three rows: ``period``, ``first_date``, ``last_date``, ``is_complete``, ``n`` (qualified deals closed),
        ``won_count``, ``win_rate`` with interval, and ``position_win_rate_change`` with interval: this
        period's rate less that of the row, missing in the first.

    Metrics
    -------
    position_win_rate_change : points, closed, higher, -, is_won qualified_date close_date
        Win rate of the period so far minus that of the same days of the earlier period.

    Examples
    --------
    >>> from salesops.periods import quarter
    >>> deals = pd.DataFrame({
    ...     "is_closed": True, "is_won": [True, False, True, True], "qualified_date": pd.to_datetime("2025-01-01"),
    ...     "close_date": pd.to_datetime(["2026-07-02", "2026-07-05", "2026-04-03", "2026-06-30"]), "closed_at": pd.NaT,
    ... }).astype({"closed_at": "datetime64[us]"})
    >>> table = win_rate_by_position(deals, period=quarter(date(2026, 7, 1)), as_of=date(2026, 7, 10))
    >>> table[["period", "last_date", "n", "win_rate"]]
       period   last_date  n  win_rate
    0  2026Q3  2026-07-10  2       0.5
    1  2026Q2  2026-04-10  1       1.0
    2  2025Q3  2025-07-10  0       NaN
    """
    checks.require_columns(opportunities, ["is_closed", "is_won", "qualified_date"])
    days = (min(as_of, period.end) - period.start).days + 1
    if days < 1:
        raise checks.ParameterError(f"period: {period.label} begins after {as_of}. Choose an earlier period.")
    compared = [period, previous(period, calendar), year_before(period, calendar)]
    parts = [Period(each.label, each.start, same_position(each, period, as_of).end) for each in compared]
    table = win_loss.win_rate_by_period(opportunities, parts, confidence=confidence)
    table = table.rename(columns={"period_start": "first_date", "period_end": "last_date"})
    table.insert(3, "is_complete", period.is_complete(as_of))
    return table.assign(**_changes(table, confidence))


def win_rates_by_dimension(
    opportunities: pd.DataFrame, dimensions: Sequence[str], *, confidence: float = 0.95
) -> pd.DataFrame:
    """Win rate of every group of every dimension, by count and by money, in one long table.

    Parameters
    ----------
    opportunities
        Deals closed in the period, with ``is_closed``, ``is_won``, ``qualified_date``, ``amount``, ``account_id``
        and those of the dimensions that there are; a dimension without a column, or with no
        value at all, is left out.
    dimensions
        Columns to group on; see `with_dimensions` for those that are made.
    confidence
        Level of the intervals.

    Returns
    -------
    DataFrame
        One row per dimension, in the order given, and group, largest first: ``dimension``, ``group`` (missing is a
        group), ``n`` (closed), ``won_count``, ``win_rate`` with Wilson interval, ``closed_won_amount``,
        ``closed_amount``, ``value_win_rate`` with the interval of a ratio of sums, clustered by account.

    Examples
    --------
    >>> deals = pd.DataFrame({
    ...     "is_closed": True, "is_won": [True, False, False], "segment": ["SMB", "SMB", None], "amount": 10.0,
    ...     "account_id": ["A", "B", "C"], "qualified_date": pd.to_datetime("2026-07-01"),
    ... })
    >>> win_rates_by_dimension(deals, ["segment", "region"])[["dimension", "group", "n", "win_rate"]]
      dimension group  n  win_rate
    0   segment   SMB  2       0.5
    1   segment   NaN  1       0.0
    """
    needed = ["is_closed", "is_won", "qualified_date", "amount", "account_id"]
    checks.require_columns(opportunities, needed)
    own = [name for name in dict.fromkeys(dimensions) if name in opportunities.columns and name not in needed]
    closed = pipeline.qualified(opportunities[[*needed, *own]]).query("is_closed")
    known = [name for name in dimensions if name in closed.columns and closed[name].notna().any()]
    tables = [_by_group(closed[list(dict.fromkeys([*needed, name]))], name, confidence) for name in known]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=_LONG)


def with_dimensions(
    opportunities: pd.DataFrame, *, reps: pd.DataFrame | None = None, currency: str = ""
) -> pd.DataFrame:
    """The deals with the dimensions that are made of others.

    Parameters
    ----------
    opportunities
        With any of ``partner_id``, ``owner_id`` and ``amount``.
    reps
        With ``owner_id`` and ``team``.
    currency
        ISO code, for the words of the size bands.

    Returns
    -------
    DataFrame
        The deals with ``is_partner`` ("partner" or "direct"; missing throughout where no deal names a
        partner), ``team`` (of the owner) and ``size_band`` (see `size_band`).

    Examples
    --------
    >>> deals = pd.DataFrame({"partner_id": ["P-1", None], "owner_id": ["r1", "r2"], "amount": [10.0, None]})
    >>> made = with_dimensions(deals, reps=pd.DataFrame({"owner_id": ["r1"], "team": ["East"]}))
    >>> made[["is_partner", "team", "size_band"]].values.tolist()
    [['partner', 'East', '10 or more'], ['direct', nan, nan]]
    """
    nothing = pd.Series(np.nan, index=opportunities.index, dtype="str")
    made = {"is_partner": nothing, "team": nothing, "size_band": nothing}
    if "partner_id" in opportunities and (partner := opportunities["partner_id"].notna()).any():
        made["is_partner"] = pd.Series(np.where(partner, "partner", "direct"), index=partner.index, dtype="str")
    if reps is not None and "owner_id" in opportunities:
        team = reps.drop_duplicates("owner_id", keep="last").set_index("owner_id")["team"]
        made["team"] = opportunities["owner_id"].map(team).astype("str")
    if "amount" in opportunities:
        made["size_band"] = size_band(opportunities["amount"], currency)
    return opportunities.assign(**made)


def size_band(amount: pd.Series, currency: str = "", *, bands: int = 4) -> pd.Series:
    """Which band of size each amount lies in, bands of about equal number with round edges.

    The edges are the quantiles, rounded to 1, 1.5, 2, 2.5, 3, 4, 5, 6 or 8 times a power of ten. A band
    holds its lower edge. Fewer bands where amounts repeat; missing stays missing.

    Examples
    --------
    >>> size_band(pd.Series([900.0, 4_100, 11_000, 52_000, None]), "USD", bands=2).tolist()
    ['under $8.0K', 'under $8.0K', '$8.0K or more', '$8.0K or more', nan]
    """
    known = amount.dropna()
    cuts = known.quantile(np.arange(1, bands) / bands, interpolation="linear")
    edges = np.unique([_rounded(cut) for cut in cuts if cut > 0])
    edges = edges[(edges > known.min()) & (edges <= known.max())] if len(known) else edges
    said = [words.amount(edge, currency, compact=True) for edge in edges]
    names = [f"{words.amount(known.min(), currency, compact=True)} or more"] if len(known) else [""]
    if said:
        between = [f"{low} to {high}" for low, high in pairwise(said)]
        names = [f"under {said[0]}", *between, f"{said[-1]} or more"]
    place = np.searchsorted(edges, amount.fillna(0), side="right")
    return pd.Series(np.array(names)[place], index=amount.index, dtype="str").where(amount.notna())


def win_rate_trend(
    opportunities: pd.DataFrame, periods: Sequence[Period], *, n_before: int | None = None, confidence: float = 0.95
) -> pd.DataFrame:
    """The win rate of each period against the limits of chance, those over-dispersed where the data are.

    Each period is held against the common rate of the earlier ones; see `stats.control.p_chart` for the
    limits (99.8 %) and the two rules. The last period counts only in so far as it is over: leave out one that is not.

    Parameters
    ----------
    opportunities
        With ``is_closed``, ``is_won``, ``qualified_date``, ``close_date`` and ``closed_at``.
    periods
        Months or quarters, oldest first.
    n_before
        How many of the first periods make the centre; half of them by default, at least eight.
    confidence
        Level of the Wilson interval of each period by itself.

    Returns
    -------
    DataFrame
        One row per period: ``period``, ``period_start``, ``period_end``, ``n`` (qualified deals closed), ``won_count``,
        ``win_rate`` with interval, ``centre_rate``, ``limit_low_rate``, ``limit_high_rate``, ``dispersion``
        (spread over that of counting), ``is_before``, ``rule`` ("outside", "run" or missing), ``is_signal``.
        A period of fewer than 20 deals has no limits; none has where fewer than eight make the centre.

    Examples
    --------
    >>> from salesops.periods import quarter, trailing_quarters
    >>> quarters = trailing_quarters(quarter(date(2026, 9, 30)), 9)
    >>> deals = pd.DataFrame({
    ...     "is_closed": True, "is_won": ([True] * 25 + [False] * 75) * 8 + [True] * 60 + [False] * 40,
    ...     "close_date": np.repeat(pd.to_datetime([each.end for each in quarters]), 100), "closed_at": pd.NaT,
    ...     "qualified_date": pd.to_datetime("2022-01-01"),
    ... }).astype({"closed_at": "datetime64[us]"})
    >>> win_rate_trend(deals, quarters)[["period", "win_rate", "rule"]].tail(2)
       period  win_rate     rule
    7  2026Q2      0.25      NaN
    8  2026Q3      0.60  outside
    """
    checks.require_columns(opportunities, ["is_closed", "is_won", "qualified_date"])
    rates = win_loss.win_rate_by_period(opportunities, periods, confidence=confidence)
    chart = control.p_chart(rates["won_count"], rates["n"], n_before=n_before).drop(columns=["n", "share"])
    named = {"centre": "centre_rate", "limit_low": "limit_low_rate", "limit_high": "limit_high_rate"}
    return rates.join(chart.rename(columns=named))


def position_sentence(table: pd.DataFrame, *, deals: str = "deals", min_n: int = checks.MIN_N) -> str:
    """How the period stands against the same days of the one before and of a year before.

    Parameters
    ----------
    table
        Of `win_rate_by_position`.
    deals
        Which deals the rate is of.
    min_n
        Fewest closed deals compared.

    Examples
    --------
    >>> table = pd.DataFrame({"period": ["2026Q3", "2026Q2", "2025Q3"], "first_date": date(2026, 7, 1),
    ...     "last_date": date(2026, 8, 14), "is_complete": False, "n": [90, 95, 80], "won_count": [22, 23, 4],
    ...     "win_rate": [22 / 90, 23 / 95, 4 / 80], "position_win_rate_change": [None, 0.002, 0.19],
    ...     "position_win_rate_change_low": [None, -0.12, 0.09], "position_win_rate_change_high": [None, 0.13, 0.3]})
    >>> position_sentence(table)
    'In the first 45 days of 2026Q3 we won 24 % of the deals closed (22 of 90): no clear change from 24 % in the same \
days of 2026Q2, and up 19 points from 5 % in those of 2025Q3.'
    >>> position_sentence(table.assign(n=[0, 95, 80]))
    'No deals were closed in the first 45 days of 2026Q3.'
    """
    now = table.iloc[0]
    days = (now["last_date"] - now["first_date"]).days + 1
    part = "" if now["is_complete"] else f"the first {f'{days} days' if days > 1 else 'day'} of "
    when = f"in {part}{now['period']}"
    if not now["n"]:
        return f"No {deals} were closed {when}."
    said = f"{when[0].upper()}{when[1:]} we won {words.rate(now['win_rate'])} of the {deals} closed"
    said = f"{said} ({words.number(now['won_count'])} of {words.number(now['n'])})"
    if now["n"] < min_n:
        return f"{said}: too few to compare."
    compared = [row for _, row in table.iloc[1:].iterrows() if row["n"] >= min_n]
    if not compared:
        return f"{said}; too few were closed in the earlier periods to compare with."
    places = ["in"] * 2 if now["is_complete"] else ["in the same days of", "in those of"]
    parts = [f"{_moved(row)} {place} {row['period']}" for row, place in zip(compared, places, strict=False)]
    return f"{said}: {', and '.join(parts)}."


def trend_sentence(trend: pd.DataFrame, *, each: str = "month") -> str:
    """Whether the win rate changed by more than chance gives, and when.

    Parameters
    ----------
    trend
        Of `win_rate_trend`.
    each
        What a period is called.

    Examples
    --------
    >>> trend = pd.DataFrame({"period": [f"2026-0{month}" for month in range(1, 10)], "n": 50,
    ...     "won_count": [12] * 8 + [30], "win_rate": [0.24] * 8 + [0.6], "centre_rate": 0.24, "limit_low_rate": 0.1,
    ...     "limit_high_rate": 0.4, "is_before": [True] * 8 + [False], "rule": [None] * 8 + ["outside"]})
    >>> trend_sentence(trend)
    'The win rate of 2026-09 (60 %) lies above what chance gives around the usual 24 %.'
    >>> trend_sentence(trend.assign(rule=None))
    'No month has a win rate outside what chance gives (9 looked at).'
    >>> trend_sentence(trend.assign(rule=[None] * 8 + ["run"]))
    'From 2026-09 on the win rate is higher than before: 60 % over 1 month, against 24 % until then.'
    >>> trend_sentence(trend.assign(n=5, limit_low_rate=None, rule=None))
    'Too few deals are closed a month to say whether the win rate changes.'
    >>> trend_sentence(trend.head(4).assign(limit_low_rate=None))
    'Too few months have enough deals to tell a trend: 4 of 4.'
    """
    trend = trend.reset_index(drop=True)
    judged = trend["limit_low_rate"].notna()
    if not judged.any():
        enough = int((trend["n"] >= checks.MIN_N).sum())
        if not enough:
            return f"Too few deals are closed a {each} to say whether the win rate changes."
        return f"Too few {each}s have enough deals to tell a trend: {enough} of {len(trend)}."
    runs = trend.index[trend["rule"] == "run"]
    if len(runs):
        return _run_sentence(trend, runs, judged, each)
    outside = trend[trend["rule"] == "outside"]
    if outside.empty:
        return f"No {each} has a win rate outside what chance gives ({judged.sum()} looked at)."
    named = [f"{row.period} ({words.rate(row.win_rate)})" for row in outside.itertuples()]
    sides = (outside["win_rate"] > outside["centre_rate"]).unique()
    side = "outside" if len(sides) > 1 else "above" if sides[0] else "below"
    listed = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
    centre = words.rate(trend["centre_rate"].iloc[0])
    subject = f"The win rate of {listed} lies" if len(named) == 1 else f"The win rates of {listed} lie"
    return f"{subject} {side} what chance gives around the usual {centre}."


def _moved(row: pd.Series) -> str:
    gap, low, high = (row[f"position_win_rate_change{end}"] for end in ("", "_low", "_high"))
    was = f"from {words.rate(row['win_rate'])}"
    if words.covers_zero(low, high):
        return f"no clear change {was}"
    return f"{'up' if gap > 0 else 'down'} {words.points(abs(gap))} {was}"


def _changes(table: pd.DataFrame, confidence: float) -> dict[str, list[float]]:
    now = table.iloc[0]
    earlier = [
        proportions.difference_interval(now["won_count"], now["n"], row.won_count, row.n, confidence)
        for row in table.iloc[1:].itertuples()
    ]
    columns = [f"position_win_rate_change{end}" for end in ("", "_low", "_high")]
    return dict(zip(columns, map(list, zip((np.nan,) * 3, *earlier, strict=True)), strict=True))


def _by_group(closed: pd.DataFrame, name: str, confidence: float) -> pd.DataFrame:
    money = win_loss.value_win_rate(closed, by=name, confidence=confidence).drop(columns="n")
    table = win_loss.win_rate(closed, by=name, confidence=confidence).merge(money, on=name, how="left")
    table.insert(0, "dimension", pd.Series(name, index=table.index, dtype="str"))
    return table.rename(columns={name: "group"})


def _rounded(edge: float) -> float:
    scale = 10.0 ** np.floor(np.log10(edge))
    return float(_ROUND[np.abs(_ROUND - edge / scale).argmin()] * scale)


def _run_sentence(trend: pd.DataFrame, runs: pd.Index, judged: pd.Series, each: str) -> str:
    """The last run against all that was before it."""
    last = runs[-1]
    first = next(at for at in runs if set(range(at, last + 1)) <= set(runs))
    run, before = trend.loc[first:last], trend[judged & (trend.index < first)]
    now, was = (part["won_count"].sum() / part["n"].sum() for part in (run, before))
    until = "on" if last == trend.index[-1] else f"to {run['period'].iloc[-1]}"
    months = f"{len(run)} {each}{'s' if len(run) > 1 else ''}"
    said = f"From {run['period'].iloc[0]} {until} the win rate is {'higher' if now > was else 'lower'} than before"
    return f"{said}: {words.rate(now)} over {months}, against {words.rate(was)} until then."
