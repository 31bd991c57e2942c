"""Tenure: how long reps stay, how many leave in a year, and what leavers won before they left."""

from datetime import date

import numpy as np
import pandas as pd

from salesops import attainment, checks, rep_performance, words
from salesops.periods import Calendar, Period, previous, quarter, trailing_quarters
from salesops.stats import counts, survival, totals

AT_RISK = 10  # reps watched at an age, below which the curve neither starts nor goes on

_CALENDAR = Calendar()
_YEAR, _MONTH = 365.25, 365.25 / 12
_DAY = pd.Timedelta(days=1)
_ENDS = ("", "_low", "_high")


def rep_tenure(
    reps: pd.DataFrame, *, since: date, as_of: date, min_at_risk: int = AT_RISK, confidence: float = 0.95
) -> pd.DataFrame:
    """Share of reps still there so many months after being hired (Kaplan-Meier).

    Those who are still there are open-ended. Those hired before the records began are watched from then on only,
    at the tenure they had reached: had they left earlier, they would not be on record. The curve starts where
    `min_at_risk` reps are watched at once and is of those who had stayed that long.

    Known bias: who comes back is a new rep; a hire and a leaving that were never entered are not seen.

    Parameters
    ----------
    reps
        The table; managers, overlays and reps of unknown hire date are left out.
    since, as_of
        First and last day of the records.
    min_at_risk
        Reps watched at an age, below which the curve neither starts nor goes on.
    confidence
        Level of the intervals.

    Returns
    -------
    DataFrame
        One row for the start, one per tenure at which any left and one for the longest watched: ``tenure_days``,
        ``n_at_risk`` (watched just before), ``n`` (leavings up to then), ``rep_tenure_rate`` with limits. No rows
        where there are never so many.

    Metrics
    -------
    rep_tenure_rate : rate, occurred, higher, -, -
        Share of the reps still there so many days after being hired, of those there when the curve starts.

    References
    ----------
    Kaplan & Meier (1958), J. Am. Stat. Assoc. 53:457-481; Tsai, Jewell & Wang (1987), Biometrika 74:883-886.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> people = pd.DataFrame({"owner_id": [f"U{number}" for number in range(12)], "role": "rep",
    ...     "hire_date": day("2025-01-01"), "left_date": day([None] * 9 + ["2025-07-01", "2025-07-01", "2025-10-01"])})
    >>> rep_tenure(people, since=date(2025, 1, 1), as_of=date(2025, 12, 31)).round(2).iloc[:, :4]
       tenure_days  n_at_risk  n  rep_tenure_rate
    0            0         12  0             1.00
    1          181         12  2             0.83
    2          273         10  3             0.75
    """
    rows = _stays(reps, since, as_of)
    start = _start(rows, min_at_risk)
    columns = ["tenure_days", "n_at_risk", "n", *(f"rep_tenure_rate{end}" for end in _ENDS)]
    if start is None:
        return pd.DataFrame(columns=columns)
    rows = rows[rows["last"] > start]
    entry = rows["first"].clip(lower=start)
    found = survival.cumulative_incidence(
        rows["last"], rows["cause"], entry=entry, min_at_risk=min_at_risk, confidence=confidence
    )
    left = np.searchsorted(np.sort(rows.loc[rows["cause"].notna(), "last"]), found["time"], side="right")
    shares = {f"rep_tenure_rate{end}": 1 - found[f"incidence{other}"] for end, other in _OPPOSITE.items()}
    table = pd.DataFrame({"tenure_days": found["time"], "n_at_risk": found["n_at_risk"], "n": left} | shares)
    ends = np.unique(rows["last"])
    watched = np.array([((entry < end) & (rows["last"] >= end)).sum() for end in ends])
    last = np.flatnonzero(watched >= min_at_risk)[-1]
    lines = [[start, ((rows["first"] <= start) & (rows["last"] > start)).sum(), 0, 1.0, 1.0, 1.0], *table.to_numpy()]
    if ends[last] > lines[-1][0]:
        lines.append([ends[last], watched[last], *lines[-1][2:]])
    table = pd.DataFrame(lines, columns=columns)
    return table.astype({"tenure_days": int, "n_at_risk": int, "n": int})


def turnover(
    reps: pd.DataFrame, *, period: Period, as_of: date, by: str | None = None, confidence: float = 0.95
) -> pd.DataFrame:
    """Leavers over mean head-count, per year.

    ``rep_turnover_rate = leavers / (days in seat / 365.25)``, which is leavers over mean head-count, annualised. The
    interval is Garwood's exact one of a Poisson count.

    Parameters
    ----------
    reps
        The table; managers and overlays are left out. A missing hire date is long ago.
    period, as_of
        Which days, and the last day used. One quarter is short: a year or more tells something.
    by
        A column of the reps, such as ``team``. For why they left see `turnover_by_reason`.

    Returns
    -------
    DataFrame
        One row per group, or one: ``n`` (leavers), ``head_count`` (mean), ``rep_turnover_rate`` with limits; all
        missing where the table holds no date at all.

    Metrics
    -------
    head_count : count, occurred, none, -, -
        Reps in seat, on average over the days of the period.
    rep_turnover_rate : rate, occurred, lower, -, -
        Reps who left in the period over the mean head-count, as a rate per year.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> people = pd.DataFrame({"owner_id": ["U1", "U2", "U3"], "role": "rep", "hire_date": day("2020-01-01"),
    ...     "left_date": day(["2025-06-30", None, None])})
    >>> year = Period("2025", date(2025, 1, 1), date(2025, 12, 31))
    >>> turnover(people, period=year, as_of=date(2025, 12, 31)).round(2).iloc[0].tolist()
    [1.0, 2.5, 0.4, 0.01, 2.23]
    """
    checks.require_columns(reps, ["owner_id", "role", "hire_date", "left_date"] + ([by] if by else []), where="reps")
    rows, days = _present(reps, period, as_of)
    groups = rows.groupby(by, dropna=False, observed=True) if by else [(None, rows)]
    found = [[name, part["has_left"].sum(), part["n_days"].sum()] for name, part in groups]
    table = pd.DataFrame(found, columns=[by or "all", "n", "n_days"])
    table["head_count"] = table["n_days"] / days
    if len(reps) and reps[["hire_date", "left_date"]].isna().all(axis=None):  # nobody's coming or going is recorded
        table = table.assign(n=np.nan, n_days=np.nan, head_count=np.nan)
    return _per_year(table, confidence).drop(columns=["n_days"] if by else ["n_days", "all"])


def turnover_by_reason(
    reps: pd.DataFrame, *, voluntary: str, period: Period, as_of: date, confidence: float = 0.95
) -> pd.DataFrame:
    """Leavers who went of their own accord, and the others, each over the mean head-count of all, per year.

    Parameters
    ----------
    reps, period, as_of
        As of `turnover`.
    voluntary
        Column of the reps that is true where a leaver went of his own accord, false where not.

    Returns
    -------
    DataFrame
        One row per ``leaving`` (voluntary, not voluntary, unknown where any is): the columns of `turnover`.

    Raises
    ------
    DataError
        The column is missing.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> people = pd.DataFrame({"owner_id": ["U1", "U2", "U3"], "role": "rep", "hire_date": day("2020-01-01"),
    ...     "left_date": day(["2025-12-31", "2025-12-31", None]), "x_own_accord": [True, False, None]})
    >>> year = Period("2025", date(2025, 1, 1), date(2025, 12, 31))
    >>> found = turnover_by_reason(people, voluntary="x_own_accord", period=year, as_of=date(2025, 12, 31))
    >>> found[["leaving", "n", "rep_turnover_rate"]].round(2)
             leaving  n  rep_turnover_rate
    0      voluntary  1               0.33
    1  not voluntary  1               0.33
    """
    checks.require_columns(reps, ["owner_id", "role", "hire_date", "left_date", voluntary], where="reps")
    rows, days = _present(reps, period, as_of)
    left = rows[rows["has_left"]]
    kinds = {"voluntary": left[voluntary].eq(True), "not voluntary": left[voluntary].eq(False)}
    kinds["unknown"] = left[voluntary].isna()
    found = [[name, int(mine.sum())] for name, mine in kinds.items() if name != "unknown" or mine.any()]
    table = pd.DataFrame(found, columns=["leaving", "n"]).assign(n_days=rows["n_days"].sum())
    return _per_year(table.assign(head_count=table["n_days"] / days), confidence).drop(columns="n_days")


def before_leaving(
    opportunities: pd.DataFrame,
    *,
    targets: pd.DataFrame,
    reps: pd.DataFrame,
    as_of: date,
    calendar: Calendar = _CALENDAR,
    back: int = 4,
    quarters: int = 16,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Attainment of leavers in the whole quarters before they left, against those who stayed, quarter by quarter.

    A stayer of a quarter is a rep who was in seat in it and did not leave within `back` quarters after it, as far as
    is known. The gap of a quarter is the leaver's attainment less the mean of the stayers' of the same quarter.

    Known bias: those who will leave soon, but have not yet, count as stayers of the last quarters.

    Parameters
    ----------
    opportunities
        Of `rep_performance.credited`.
    targets, reps
        The tables.
    as_of, calendar
        Last day used, and whose quarters.
    back
        Quarters before the quarter of leaving.
    quarters
        Whole quarters looked at, the latest.
    confidence
        Level of the intervals, over leavers.

    Returns
    -------
    DataFrame
        One row per ``quarters_before`` ("1" is the last whole quarter) and one for all of them ("1 to 4", each leaver
        counting once): ``n`` (leavers with a quota then), ``n_stayers`` (on average), ``leaver_attainment_rate``,
        ``stayer_attainment_rate`` (means), ``leaver_gap_points`` with limits, missing for fewer than two leavers.
        Nobody is told apart.

    Metrics
    -------
    leaver_attainment_rate : rate, closed, higher, -, amount close_date
        Mean attainment of those who left later, so many quarters before they left.
    stayer_attainment_rate : rate, closed, higher, -, amount close_date
        Mean attainment of those who stayed, in the same quarters.
    leaver_gap_points : points, closed, none, -, amount close_date
        Mean difference between a leaver's attainment and that of those who stayed, in the same quarter.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> deals = pd.DataFrame({"owner_id": ["U1", "U2"], "is_closed": True, "is_won": True, "amount": [60.0, 90.0],
    ...     "close_date": day("2026-02-15"), "closed_at": day("2026-02-15")})
    >>> plan = pd.DataFrame({"metric": "bookings_amount", "scope_kind": "rep", "scope_id": ["U1", "U2"],
    ...     "version": "plan", "period_start": day("2026-01-01"), "period_end": day("2026-03-31"), "value": 100.0,
    ...     "ramp_factor": None})
    >>> people = pd.DataFrame({"owner_id": ["U1", "U2"], "name": ["Ann", "Bo"], "role": "rep", "manager_id": None,
    ...     "hire_date": day("2020-01-01"), "left_date": day(["2026-05-05", None])})
    >>> found = before_leaving(deals, targets=plan, reps=people, as_of=date(2026, 6, 30))
    >>> found.iloc[[0, -1], :6].round(2).values.tolist()
    [['1', 1, 1.0, 0.6, 0.9, -0.3], ['1 to 4', 1, 1.0, 0.6, 0.9, -0.3]]
    """
    rates = _rates(opportunities, targets, reps, as_of, calendar, quarters)
    rates = rates.merge(reps[["owner_id", "left_date"]], on="owner_id")
    # The quarter of leaving; whoever left after the last day used had not left.
    gone = rates["left_date"].where(rates["left_date"] <= pd.Timestamp(as_of))
    rates["before"] = _order(gone, calendar) - rates["order"]
    stayers = rates[~(rates["before"] <= back)].groupby("order")["rate"].agg(stayers="mean", n_stayers="size")
    leavers = rates[rates["before"].between(1, back)].merge(stayers, left_on="order", right_index=True)
    leavers["gap"] = leavers["rate"] - leavers["stayers"]
    names, rows = ["n_stayers", "rate", "stayers", "gap"], []
    parts = {str(each): leavers[leavers["before"] == each] for each in range(1, back + 1)}
    parts[f"1 to {back}"] = leavers.groupby("owner_id")[names].mean()
    for before, mine in parts.items():
        means = [mine[name].mean() if len(mine) else np.nan for name in names[:3]]
        rows.append([before, len(mine), *means, *_mean(mine["gap"].to_numpy(), confidence)])
    metrics = ["leaver_attainment_rate", "stayer_attainment_rate", *(f"leaver_gap_points{end}" for end in _ENDS)]
    return pd.DataFrame(rows, columns=["quarters_before", "n", "n_stayers", *metrics])


def tenure_sentence(curve: pd.DataFrame, *, brief: bool = False) -> str:
    """How many reps are still there after some years; without the limits where `brief`, as a title.

    Parameters
    ----------
    curve
        Of `rep_tenure`.

    Examples
    --------
    >>> curve = pd.DataFrame({"tenure_days": [0.0, 200.0, 900.0], "n_at_risk": [40, 30, 12], "n": [0, 6, 9],
    ...     "rep_tenure_rate": [1.0, 0.8, 0.7], "rep_tenure_rate_low": [1.0, 0.7, 0.5], "rep_tenure_rate_high": 0.9})
    >>> tenure_sentence(curve)
    'Of reps hired, 80 % are still there after 2 years (likely between 70 % and 90 %).'
    >>> tenure_sentence(curve, brief=True)
    'Of reps hired, 80 % are still there after 2 years'
    >>> tenure_sentence(curve.assign(tenure_days=curve["tenure_days"] + 400))
    'Of reps who stay 13 months, 80 % are still there after 3 years (likely between 70 % and 90 %).'
    >>> tenure_sentence(curve[:0])
    'Fewer than 10 reps were watched at once at the same tenure: how long reps stay cannot be told.'
    """
    if curve.empty:
        return f"Fewer than {AT_RISK} reps were watched at once at the same tenure: how long reps stay cannot be told."
    start, end = curve["tenure_days"].iloc[0], curve["tenure_days"].iloc[-1]
    years = min(int(start // _YEAR) + 2, int(end // _YEAR))
    if years * _YEAR <= start:
        return "Reps were watched for too short a time to tell how long they stay."
    row = curve[curve["tenure_days"] <= years * _YEAR].iloc[-1]
    months = round(start / _MONTH)
    who = "hired" if not months else f"who stay {months} {'month' if months == 1 else 'months'}"
    if not row["n"]:
        return f"Of reps {who}, none on record has left by {years} {'year' if years == 1 else 'years'}."
    likely = words.interval(row["rep_tenure_rate_low"], row["rep_tenure_rate_high"], "rate")
    after = f"after {years} {'year' if years == 1 else 'years'}{'' if brief else f' ({likely})'}"
    return f"Of reps {who}, {words.rate(row['rep_tenure_rate'])} are still there {after}{'' if brief else '.'}"


def turnover_sentence(table: pd.DataFrame, *, period: Period) -> str:
    """How many reps left, and how many that is in a year.

    Parameters
    ----------
    table
        Of `turnover`, all reps together.

    Examples
    --------
    >>> row = pd.DataFrame({"n": [4], "head_count": 38.2, "rep_turnover_rate": 0.105, "rep_turnover_rate_low": 0.03,
    ...     "rep_turnover_rate_high": 0.27})
    >>> turnover_sentence(row, period=Period("2025", date(2025, 1, 1), date(2025, 12, 31)))
    '4 reps left in 2025, where 38 were in seat on average: 10 % a year (likely between 3 % and 27 %).'
    >>> turnover_sentence(row.assign(head_count=None), period=Period("2025", date(2025, 1, 1), date(2025, 12, 31)))
    'When reps came and left is not recorded.'
    """
    row = table.iloc[0] if len(table) else None
    if row is not None and words.is_missing(row["head_count"]):
        return "When reps came and left is not recorded."
    if row is None or not row["head_count"] > 0:
        return f"No rep was in seat {period.when}, so how many leave cannot be told."
    likely = words.interval(row["rep_turnover_rate_low"], row["rep_turnover_rate_high"], "rate")
    in_seat = words.count(round(row["head_count"]))
    seated = f"{in_seat} {'was' if in_seat == '1' else 'were'} in seat on average"
    if not row["n"]:
        below = f": at most {words.rate(row['rep_turnover_rate_high'])} a year is likely"
        return f"No rep left {period.when}, where {seated}{below}."
    a_year = f"{words.rate(row['rep_turnover_rate'])} a year ({likely})"
    left = "One rep" if row["n"] == 1 else f"{words.count(row['n'])} reps"
    return f"{left} left {period.when}, where {seated}: {a_year}."


def before_leaving_sentence(table: pd.DataFrame, *, min_n: int = checks.MIN_N) -> str:
    """Whether leavers had won less than those who stayed; nobody is told apart.

    Parameters
    ----------
    table
        Of `before_leaving`.

    Examples
    --------
    >>> row = pd.DataFrame({"quarters_before": ["1 to 4"], "n": [24], "leaver_attainment_rate": 0.6,
    ...     "stayer_attainment_rate": 0.9, "leaver_gap_points": -0.3, "leaver_gap_points_low": -0.5,
    ...     "leaver_gap_points_high": -0.1})
    >>> before_leaving_sentence(row)
    '24 leavers won 60 % of quota in the quarters before, those who stayed 90 %: a larger gap than chance explains.'
    >>> before_leaving_sentence(row.assign(leaver_gap_points_high=0.1))[-39:]
    ': no larger a gap than chance explains.'
    >>> before_leaving_sentence(row.assign(n=8))
    'Only 8 reps with a quota left, fewer than 20: whether leavers had won less before cannot be told.'
    """
    row = table.iloc[-1]
    n = int(row["n"])
    if n < min_n:
        reps = f"Only {n} {'rep' if n == 1 else 'reps'} with a quota left" if n else "No rep with a quota left"
        return f"{reps}, fewer than {min_n}: whether leavers had won less before cannot be told."
    low, high = row["leaver_gap_points_low"], row["leaver_gap_points_high"]
    own, others = words.rate(row["leaver_attainment_rate"]), words.rate(row["stayer_attainment_rate"])
    gap = "no larger a gap" if words.covers_zero(low, high) else "a larger gap"
    said = f"{n} leavers won {own} of quota in the quarters before, those who stayed {others}"
    return f"{said}: {gap} than chance explains."


_OPPOSITE = {"": "", "_low": "_high", "_high": "_low"}


def _stays(reps: pd.DataFrame, since: date, as_of: date) -> pd.DataFrame:
    """Days since hire at which each rep came under watch and was last seen, and whether that was the leaving."""
    checks.require_columns(reps, ["owner_id", "role", "hire_date", "left_date"], where="reps")
    sellers = reps[~reps["owner_id"].isin(rep_performance.not_reps(reps)) & reps["hire_date"].notna()]
    has_left = sellers["left_date"] <= pd.Timestamp(as_of)
    last = sellers["left_date"].where(has_left, pd.Timestamp(as_of) + _DAY) - sellers["hire_date"]
    first = sellers["hire_date"].clip(lower=pd.Timestamp(since)) - sellers["hire_date"]
    cause = pd.Series("left", index=sellers.index, dtype="str").where(has_left)
    rows = pd.DataFrame({"first": first / _DAY, "last": last / _DAY, "cause": cause})
    return rows[rows["last"] > rows["first"]]


def _start(rows: pd.DataFrame, min_at_risk: int) -> float | None:
    """The first tenure at which enough reps are watched at once."""
    if rows.empty:
        return None
    ages = np.unique(rows["first"])
    watched = [((rows["first"] <= age) & (rows["last"] > age)).sum() for age in ages]
    enough = np.flatnonzero(np.array(watched) >= min_at_risk)
    return float(ages[enough[0]]) if len(enough) else None


def _present(reps: pd.DataFrame, period: Period, as_of: date) -> tuple[pd.DataFrame, int]:
    """Reps with their days in seat and whether they left in the period so far, and the days so far."""
    until = Period(period.label, period.start, min(period.end, as_of))
    sellers = reps[~reps["owner_id"].isin(rep_performance.not_reps(reps))]
    first = sellers["hire_date"].fillna(pd.Timestamp(until.start))
    last = sellers["left_date"].fillna(pd.Timestamp(until.end))
    days = rep_performance.days_inside(first, last, until)
    rows = sellers.assign(n_days=days, has_left=until.contains(sellers["left_date"]))
    return rows[rows["n_days"] > 0], until.days


def _per_year(table: pd.DataFrame, confidence: float) -> pd.DataFrame:
    years = table["n_days"] / _YEAR
    low, high = counts.poisson_interval(table["n"], years, confidence)
    rate = table["n"] / years.where(years > 0)
    return table.assign(rep_turnover_rate=rate, rep_turnover_rate_low=low, rep_turnover_rate_high=high)


def _rates(opportunities, targets, reps, as_of: date, calendar: Calendar, quarters: int) -> pd.DataFrame:
    """Attainment of every rep in every whole quarter: ``owner_id, order, rate``."""
    last = quarter(as_of, calendar)
    whole = trailing_quarters(last if last.is_complete(as_of) else previous(last, calendar), quarters, calendar)
    won, found = opportunities[opportunities["is_won"]], []
    for each in whole:
        table = attainment.quota_attainment(won, targets=targets, reps=reps, period=each)
        known = table[table["quota_attainment_rate"].notna()]
        rate = known["quota_attainment_rate"].to_numpy()
        start = pd.Series(pd.Timestamp(each.start), index=known.index)
        found.append(pd.DataFrame({"owner_id": known["owner_id"], "order": _order(start, calendar), "rate": rate}))
    return pd.concat(found, ignore_index=True)


def _order(days: pd.Series, calendar: Calendar) -> pd.Series:
    """Number of the fiscal quarter of each day."""
    days = pd.to_datetime(days)
    return (days.dt.year * 12 + days.dt.month - calendar.start_month) // 3


def _mean(values: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """Mean with Student's limits."""
    n = len(values)
    if n < 2:
        return (values[0] if n else np.nan), np.nan, np.nan
    value = values.mean()
    return totals.difference(value, (values - value) / n, confidence=confidence)[:3]
