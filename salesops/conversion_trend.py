"""Conversion over time: whether deals that enter a stage convert more often than those that entered before.

Every deal has the same time to convert, so that quarters of different age compare.
"""

from collections.abc import Sequence
from datetime import date
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import t as student

from salesops import checks, journey, words
from salesops.periods import Period
from salesops.stats import means, survival

_DAY = pd.Timedelta(days=1)
_KEYS = ["stage", "pipeline", "within_days"]
_LIMITS = ("", "_low", "_high")
_CAUSES = {"next": "advanced", "won": "won"}


def entries(
    visits: pd.DataFrame,
    *,
    as_of: date,
    to: Literal["next", "won"] = "next",
    within_days: int | None = None,
    usual: float = 0.75,
) -> pd.DataFrame:
    """First entries of deals in a stage, and whether each converted within a time that is the same for all.

    A deal counts once, at its first entry. One that entered too lately to have had the time is not
    known, even if it has converted or was lost already: quick ends alone would remain.

    Parameters
    ----------
    visits
        Of `journey.stage_visits`; with ``account_id`` carried, deals of an account count as related.
    as_of
        Last day used.
    to
        ``next``: of each stage, reaching a later stage or winning; ``won``: of each pipeline's first stage,
        winning.
    within_days
        Time each deal has; by default the days within which the share `usual` of those that convert at
        all do so, in whole days, stage by stage, from all entries.
    usual
        That share.

    Returns
    -------
    DataFrame
        The first entries with the columns of the visits, ``within_days`` (missing where none has
        converted), ``is_known`` and ``is_converted`` (in time; false where not known), ``account_id``
        (missing where it is not carried).

    Raises
    ------
    ParameterError
        `to` is neither, or a time that is no number of days.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> visits = pd.DataFrame({
    ...     "opportunity_id": list("ABC"), "visit": 1, "pipeline": "new", "stage": "Talk", "position": 1,
    ...     "entered_at": day(["2026-07-01", "2026-07-01", "2026-07-28"]), "exit": ["won", "lost", "won"],
    ...     "exited_at": day(["2026-07-05", "2026-07-09", "2026-07-29"]), "is_reentry": False, "days": [4.0, 8.0, 1.0]})
    >>> found = entries(visits, as_of=date(2026, 7, 31), within_days=5)
    >>> found[["opportunity_id", "is_known", "is_converted"]]
      opportunity_id  is_known  is_converted
    0              A      True          True
    1              B      True         False
    2              C     False         False
    """
    if to not in _CAUSES:
        raise checks.ParameterError(f"conversion_trend: to is {to!r}. Write next or won.")
    if within_days is not None and not within_days > 0:
        raise checks.ParameterError(
            f"conversion_trend: within_days is {within_days!r}. Write a number of days above 0."
        )
    rows = journey.progress(visits) if to == "next" else journey.ends(visits)
    first = ~rows["is_reentry"] & ((to == "next") | (rows["position"] == 1))
    rows = rows[first].reset_index(drop=True)
    rows["within_days"] = float(within_days) if within_days is not None else _usual_days(rows, _CAUSES[to], usual)
    end = pd.Timestamp(as_of) + _DAY
    known = rows["entered_at"] + rows["within_days"] * _DAY <= end
    converted = known & (rows["cause"] == _CAUSES[to]) & (rows["days"] <= rows["within_days"])
    account = rows["account_id"] if "account_id" in rows else pd.Series(None, index=rows.index, dtype="str")
    return rows.assign(is_known=known, is_converted=converted, account_id=account)


def conversion_trend(entered: pd.DataFrame, *, periods: Sequence[Period], confidence: float = 0.95) -> pd.DataFrame:
    """Conversion in the time given, by period of entry: each at the same age.

    ``conversion_in_time_rate = n_converted / n``. It is missing until all deals that entered in the period
    have had the time: those of its first weeks alone are not like a whole quarter's, because deals
    are hurried to a quarter's end, which the first ones are furthest from.

    Parameters
    ----------
    entered
        Of `entries`.
    periods
        When the stage was entered, in order.
    confidence
        Level of the intervals, clustered by account.

    Returns
    -------
    DataFrame
        One row per stage in order and period: ``stage``, ``pipeline``, ``within_days``, ``cohort``,
        ``cohort_start``, ``cohort_end``, ``n`` (entered and had the time), ``n_converted``, ``n_too_young``,
        ``conversion_in_time_rate`` with interval.

    Metrics
    -------
    conversion_in_time_rate : rate, stage_entered, higher, n_converted / n, changed_at
        Share of the deals that first entered the stage in the period that converted within the days stated, known
        once all of them have had these days.

    Examples
    --------
    >>> entered = pd.DataFrame({
    ...     "stage": "Talk", "pipeline": "new", "position": 1, "within_days": 10.0, "is_known": [True] * 5 + [False],
    ...     "entered_at": pd.to_datetime(["2026-04-05"] * 2 + ["2026-07-05"] * 4),
    ...     "is_converted": [True, False, True, True, False, False], "account_id": None})
    >>> quarters = [Period(f"Q{n}", date(2026, 3 * n - 2, 1), date(2026, 3 * n, 30)) for n in (2, 3)]
    >>> conversion_trend(entered, periods=quarters)[["cohort", "n", "n_too_young", "conversion_in_time_rate"]].round(2)
      cohort  n  n_too_young  conversion_in_time_rate
    0     Q2  2            0                      0.5
    1     Q3  3            1                      NaN
    """
    rows = _in_periods(entered, periods)
    known = rows[rows["is_known"]]
    shares = means.clustered_share(
        known, by=["stage_number", "period_number"], success="is_converted", cluster="account_id", confidence=confidence
    )
    stages = _stages(entered)
    cohorts = pd.DataFrame({
        "period_number": range(len(periods)), "cohort": [each.label for each in periods],
        "cohort_start": [each.start for each in periods], "cohort_end": [each.end for each in periods],
    })  # fmt: skip
    keys = ["stage_number", "period_number"]
    young = rows[~rows["is_known"]].groupby(keys).size().rename("n_too_young").reset_index()
    table = stages.merge(cohorts, how="cross").merge(shares, on=keys, how="left").merge(young, on=keys, how="left")
    counts, rates = ["n", "n_converted", "n_too_young"], [f"conversion_in_time_rate{end}" for end in _LIMITS]
    given = {f"share{end}": name for end, name in zip(_LIMITS, rates, strict=True)}
    table = table.rename(columns=given | {"hit": "n_converted"})
    table[counts] = table[counts].fillna(0).astype(int)
    table[rates] = table[rates].where(table["n_too_young"] == 0)
    return table[[*_KEYS, *cohorts.columns[1:], *counts, *rates]]


def conversion_slopes(entered: pd.DataFrame, *, periods: Sequence[Period], confidence: float = 0.95) -> pd.DataFrame:
    """Straight trend of the conversion in time over the periods of entry, stage by stage.

    Least squares of converted or not on the number of the period, over the periods whose deals have all
    had the time, with the variance summed over accounts and Student's t of their number less one. It is a
    mean trend: a single step, or a rise and a fall, is told by the table of `conversion_trend`.

    Parameters
    ----------
    entered, periods, confidence
        As for `conversion_trend`.

    Returns
    -------
    DataFrame
        One row per stage in order: ``stage``, ``pipeline``, ``within_days``, ``n``, ``n_converted``,
        ``first_cohort`` and ``last_cohort`` (that have any), ``n_cohorts``, ``conversion_slope`` (points a
        period) with interval, ``p_value`` and ``is_named`` (the interval does not hold zero). Missing with
        fewer than three periods or two accounts.

    Metrics
    -------
    conversion_slope : points, stage_entered, higher, -, changed_at
        Mean change of the conversion in time from one period of entry to the next.

    References
    ----------
    Liang & Zeger (1986), Biometrika 73:13-22.

    Examples
    --------
    >>> entered = pd.DataFrame({
    ...     "stage": "Talk", "pipeline": "new", "position": 1, "within_days": 10.0, "is_known": True,
    ...     "entered_at": pd.to_datetime(["2026-01-05"] * 100 + ["2026-04-05"] * 100 + ["2026-07-05"] * 100),
    ...     "is_converted": np.r_[np.arange(100) < 40, np.arange(100) < 50, np.arange(100) < 60], "account_id": None})
    >>> quarters = [Period(f"Q{n}", date(2026, 3 * n - 2, 1), date(2026, 3 * n, 28)) for n in (1, 2, 3)]
    >>> conversion_slopes(entered, periods=quarters)[["n", "last_cohort", "conversion_slope", "is_named"]].round(3)
         n last_cohort  conversion_slope  is_named
    0  300          Q3               0.1      True
    """
    rows = _in_periods(entered, periods)
    rows = rows[rows.groupby(["stage_number", "period_number"])["is_known"].transform("all")]
    stages = _stages(entered)
    pieces = dict(list(rows.groupby("stage_number")))
    found = [_slope(pieces.get(number, rows.iloc[:0]), periods, confidence) for number in stages["stage_number"]]
    table = stages[_KEYS].join(pd.DataFrame(found, columns=_SLOPE))
    named = (table["conversion_slope_low"] > 0) | (table["conversion_slope_high"] < 0)
    # Whole days: what a trend is within is a key of its figures, so that its sentence finds it there.
    return table.assign(within_days=table["within_days"].astype("Int64"), is_named=named)


def last_two(entered: pd.DataFrame, *, periods: Sequence[Period], length: int = 4) -> tuple[Period, Period]:
    """The last spans of so many periods whose deals have all had the time, now and before, for `mix.conversion_change`.

    Shorter spans where there are too few such periods; the last two periods where there are not even two.

    Examples
    --------
    >>> quarters = [Period(f"2026Q{n}", date(2026, 3 * n - 2, 1), date(2026, 3 * n, 30)) for n in (1, 2, 3)]
    >>> entered = pd.DataFrame({"entered_at": pd.to_datetime(["2026-02-01", "2026-09-01"]), "is_known": [True, False]})
    >>> [span.label for span in last_two(entered, periods=quarters)]
    ['2026Q2', '2026Q1']
    """
    checks.require_columns(entered, ["entered_at", "is_known"], where="entered")
    whole = [each for each in periods if entered.loc[each.contains(entered["entered_at"]), "is_known"].all()]
    if len(whole) < 2:
        return periods[-1], periods[-2]
    size = min(length, len(whole) // 2)
    return _span(whole[-size:]), _span(whole[-2 * size : -size])


def known_in(entered: pd.DataFrame, period: Period) -> pd.DataFrame:
    """The entries of a period that have had the time."""
    return entered[entered["is_known"] & period.contains(entered["entered_at"])]


def sentence(
    slopes: pd.DataFrame, *, each: str = "quarter", min_n: int = checks.MIN_N, to: str = "next", brief: bool = False
) -> str:
    """Where conversion has risen or fallen, named only beyond chance.

    Parameters
    ----------
    slopes
        Of `conversion_slopes`; ``is_named`` decides what is clear.
    each
        What a period is called.
    min_n
        Fewest entries of a stage.
    to
        As for `entries`.
    brief
        The largest move alone, as the title of a chart.

    Examples
    --------
    >>> slopes = pd.DataFrame({
    ...     "stage": ["Talk", "Offer"], "pipeline": "new", "within_days": [10.0, 20.0], "n": 300,
    ...     "first_cohort": "2024Q4", "last_cohort": ["2026Q3", "2026Q2"],
    ...     "conversion_slope": [0.02, 0.0], "conversion_slope_low": [0.01, -0.01],
    ...     "conversion_slope_high": [0.03, 0.01], "is_named": [True, False]})
    >>> sentence(slopes)
    'From 2024Q4 to 2026Q3 the share of deals that got beyond Talk within 10 days rose by 2 points a quarter \
(likely between 1 and 3); at the other stage there is no clear trend.'
    >>> sentence(slopes, brief=True)
    'Beyond Talk within 10 days: up 2 points a quarter'
    >>> sentence(slopes.tail(1))
    'There is no clear trend in the share of deals that got beyond Offer within 20 days.'
    """
    known = slopes[(slopes["n"] >= min_n) & slopes["conversion_slope"].notna()]
    if known.empty and brief:
        return "Too few deals to tell whether conversion rises or falls"
    if known.empty:
        return "Too few deals have had the time to tell whether conversion rises or falls."
    clear = known[known["is_named"]].sort_values("conversion_slope", key=abs, ascending=False, kind="stable")
    names_pipeline = known["pipeline"].nunique(dropna=False) > 1
    if clear.empty:
        every = "the share of deals won, in any pipeline" if to == "won" else "the conversion of any stage"
        only = _what(known.iloc[0], to, names_pipeline) if len(known) == 1 and not brief else every
        return f"There is no clear trend in {only}."
    if brief:
        return _brief(clear.iloc[0], each, to, names_pipeline)
    told = [_slope_words(row, each, to, names_pipeline) for _, row in clear.iterrows()]
    n = len(known) - len(clear)
    rest = "" if not n else f"; at the other {'stage' if n == 1 else f'{n} stages'} there is no clear trend"
    return f"{'; '.join([told[0], *(_lowered(text) for text in told[1:])])}{rest}."


_SLOPE = ["n", "n_converted", "first_cohort", "last_cohort", "n_cohorts", "conversion_slope", "conversion_slope_low",
          "conversion_slope_high", "p_value"]  # fmt: skip


def _usual_days(rows: pd.DataFrame, cause: str, usual: float) -> pd.Series:
    """For each entry, the whole days within which so many of those that convert from its stage have done so."""
    found = {}
    for key, each in rows.groupby(["pipeline", "stage"], dropna=False)[["days", "cause"]]:
        times = survival.incidence_quantiles(
            np.ceil(each["days"]), each["cause"], probabilities=[usual], causes=[cause]
        ).query("cause == @cause")
        found[key] = max(times["time"].iloc[0], 1.0)
    keys = pd.MultiIndex.from_frame(rows[["pipeline", "stage"]])
    days = pd.Series(found, dtype=float)
    return pd.Series(days.reindex(keys).to_numpy(), index=rows.index)


def _in_periods(entered: pd.DataFrame, periods: Sequence[Period]) -> pd.DataFrame:
    """The entries of the periods, with the numbers of their stage and period."""
    needed = ["stage", "pipeline", "position", "within_days", "entered_at", "is_known", "is_converted", "account_id"]
    checks.require_columns(entered, needed, where="entered")
    if not periods:
        raise checks.ParameterError("conversion_trend: periods are none. Name at least one.")
    number = np.full(len(entered), -1)
    for place, period in enumerate(periods):
        number[period.contains(entered["entered_at"]).to_numpy()] = place
    rows = entered[needed].assign(period_number=number)[number >= 0]
    return rows.merge(_stages(entered)[["stage", "pipeline", "stage_number"]], on=["stage", "pipeline"])


def _span(periods: Sequence[Period]) -> Period:
    first, last = periods[0], periods[-1]
    return first if first == last else Period(f"{first.label}–{last.label}", first.start, last.end)


def _stages(entered: pd.DataFrame) -> pd.DataFrame:
    order = ["pipeline", "position", "stage"]
    stages = entered[[*order, "within_days"]].drop_duplicates(["pipeline", "stage"]).sort_values(order)
    return stages.reset_index(drop=True).rename_axis("stage_number").reset_index()


def _slope(rows: pd.DataFrame, periods: Sequence[Period], confidence: float) -> tuple:
    x, y = rows["period_number"].to_numpy(dtype=float), rows["is_converted"].to_numpy(dtype=float)
    seen = np.unique(x).astype(int)
    cohorts = (periods[seen[0]].label, periods[seen[-1]].label) if len(seen) else (None, None)
    sizes = (len(rows), int(y.sum()), *cohorts, len(seen))
    account = pd.factorize(rows["account_id"])[0]
    alone = account < 0
    account[alone] = account.max(initial=-1) + 1 + np.arange(alone.sum())
    m = account.max(initial=-1) + 1
    if len(seen) < 3 or m < 2:
        return (*sizes, *[np.nan] * 4)
    centred = x - x.mean()
    square = (centred**2).sum()
    slope = (centred * y).sum() / square
    scores = np.bincount(account, centred * (y - y.mean() - slope * centred))
    error = np.sqrt((scores**2).sum() * m / (m - 1)) / square
    half = student.ppf((1 + confidence) / 2, m - 1) * error
    size = abs(slope) / error if error > 0 else np.inf if slope else 0.0
    return (*sizes, slope, slope - half, slope + half, float(2 * student.sf(size, m - 1)))


def _what(row: pd.Series, to: str, names_pipeline: bool) -> str:
    where = f" of {words.group(row['pipeline'])}" if names_pipeline else ""
    days = words.duration(row["within_days"])
    if to == "won":
        return f"the share of deals won within {days} of entering {row['stage']}{where}"
    return f"the share of deals that got beyond {row['stage']}{where} within {days}"


def _slope_words(row: pd.Series, each: str, to: str, names_pipeline: bool) -> str:
    slope, low, high = (row[f"conversion_slope{end}"] for end in ("", "_low", "_high"))
    verb = "rose" if slope > 0 else "fell"
    near, far = (words.points(end).split()[0] for end in sorted((abs(low), abs(high))))
    inside = f" (likely between {near} and {far})" if low * high > 0 else ""
    what = _what(row, to, names_pipeline)
    span = f"From {row['first_cohort']} to {row['last_cohort']}"
    return f"{span} {what} {verb} by {words.points(abs(slope))} a {each}{inside}"


def _brief(row: pd.Series, each: str, to: str, names_pipeline: bool) -> str:
    where = f" of {words.group(row['pipeline'])}" if names_pipeline else ""
    what = f"Won, of those that entered {row['stage']}{where}," if to == "won" else f"Beyond {row['stage']}{where}"
    moved = f"{'up' if row['conversion_slope'] > 0 else 'down'} {words.points(abs(row['conversion_slope']))}"
    return f"{what} within {words.duration(row['within_days'])}: {moved} a {each}"


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
