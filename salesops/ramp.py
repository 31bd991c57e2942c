"""Ramp: what reps bring by month since they were hired, and how long it takes them to come up to the full amount."""

from datetime import date

import numpy as np
import pandas as pd

from salesops import checks, quotas, rep_performance, words
from salesops.periods import Period
from salesops.stats import rise, totals

SHARE = 0.8  # of the plateau

_MONTH = 365.25 / 12
_DAY = pd.Timedelta(days=1)
_ENDS = ("", "_low", "_high")


def rep_months(
    opportunities: pd.DataFrame,
    *,
    reps: pd.DataFrame,
    as_of: date,
    since: date | None = None,
    targets: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Every month since hire of every rep, as far as it was watched, with what was won and asked for in it.

    A month since hire is a twelfth of a year. A leaver's months end with the exit, everybody's with the last day used;
    those of a rep hired before the records began start with the records. Managers, overlays and reps of unknown hire
    date are left out.

    Parameters
    ----------
    opportunities
        Of `rep_performance.credited`, with ``owner_id``, ``is_won``, ``close_date``, ``amount``.
    reps
        The table.
    as_of
        Last day used.
    since
        First day of the records; that of the first win if empty.
    targets
        The table, for the quota in full: before the ramp factor, or no ramp would be seen.

    Returns
    -------
    DataFrame
        One row per rep and month: ``owner_id``, ``month`` (1 is the first), ``n_days`` (watched), ``is_hire`` (hired
        since the records began), ``has_left``, ``won_amount``, ``quota_amount`` (missing without a target).

    Examples
    --------
    >>> day = pd.to_datetime
    >>> deals = pd.DataFrame({"owner_id": "U1", "is_won": True, "amount": [10.0, 20.0],
    ...     "close_date": day(["2026-01-05", "2026-03-20"])})
    >>> people = pd.DataFrame({"owner_id": ["U1"], "role": ["rep"], "hire_date": day(["2026-02-01"]),
    ...     "left_date": day(["2026-03-31"])})
    >>> rep_months(deals, reps=people, as_of=date(2026, 9, 30))[["month", "n_days", "is_hire", "won_amount"]]
       month  n_days  is_hire  won_amount
    0      1    31.0     True         0.0
    1      2    28.0     True        20.0
    """
    checks.require_columns(opportunities, ["owner_id", "is_won", "close_date", "amount"])
    checks.require_columns(reps, ["owner_id", "role", "hire_date", "left_date"], where="reps")
    won = opportunities[opportunities["is_won"] & opportunities["close_date"].notna()]
    start = won["close_date"].min() if since is None else pd.Timestamp(since)
    seats = _seats(reps, start, as_of)
    rows = seats.loc[seats.index.repeat(seats["last_month"] - seats["first_month"] + 1)]
    rows["month"] = rows["first_month"] + rows.groupby("owner_id").cumcount()
    ends = [np.ceil(rows["hire_day"] + month * _MONTH) for month in (rows["month"] - 1, rows["month"])]
    first, last = np.maximum(ends[0], rows["first_day"]), np.minimum(ends[1], rows["last_day"] + 1)
    rows = rows.assign(n_days=np.maximum(last - first, 0.0)).reset_index(drop=True)
    rows["won_amount"] = _by_month(_dated_wins(won, seats), rows)
    rows["quota_amount"] = _quota(targets, rows, first.to_numpy(), last.to_numpy())
    names = ["owner_id", "month", "n_days", "is_hire", "has_left", "won_amount", "quota_amount"]
    return rows.loc[rows["n_days"] > 0, names].reset_index(drop=True)


def ramp_curve(
    months: pd.DataFrame, *, last: int = 24, min_n: int = checks.MIN_N, confidence: float = 0.95
) -> pd.DataFrame:
    """What a rep won, and what share of the quota in full, in each month since hire; and the share of the plateau.

    The amount is that of whoever was in seat: leavers count until their exit, and the later months hold only those who
    stayed. ``ramp_rate`` allows for it: it is what a rep reaches of the own plateau; see `ramp_time`.

    Parameters
    ----------
    months
        Of `rep_months`.
    last
        Months shown.
    min_n
        Hires on record below which no share of the plateau is told.
    confidence
        Level of the intervals, over reps.

    Returns
    -------
    DataFrame
        One row per month since hire with any rep watched: ``month``, ``n`` (reps), ``n_months`` (watched, together),
        ``ramp_month_amount``, ``ramp_attainment_rate``, ``ramp_rate`` with limits.

    Metrics
    -------
    ramp_month_amount : amount, closed, higher, -, amount close_date
        Amount won per rep-month in seat, in that month since hire.
    ramp_attainment_rate : rate, closed, higher, -, amount close_date
        Amount won over the quota in full (before any ramp factor), in that month since hire.
    ramp_rate : rate, closed, higher, -, amount close_date
        Share of the own plateau that a rep has reached in that month since hire.

    Examples
    --------
    >>> months = pd.DataFrame({"owner_id": ["U1", "U1", "U2"], "month": [1, 2, 1], "n_days": 30.4375, "is_hire": True,
    ...     "won_amount": [10.0, 30.0, 20.0], "quota_amount": 40.0, "has_left": False})
    >>> ramp_curve(months)[["month", "n", "ramp_month_amount", "ramp_attainment_rate", "ramp_rate"]]
       month  n  ramp_month_amount  ramp_attainment_rate  ramp_rate
    0      1  2               15.0                 0.375        NaN
    1      2  1               30.0                 0.750        NaN
    """
    needed = ["owner_id", "month", "n_days", "is_hire", "has_left", "won_amount", "quota_amount"]
    checks.require_columns(months, needed)
    found = _rise(months, min_n, confidence)
    rows = []
    for month, part in months[months["month"] <= last].groupby("month"):
        watched, asked = part["n_days"] / _MONTH, part["quota_amount"].fillna(0.0)
        known = part["quota_amount"].notna()
        made = _ratio(part["won_amount"], watched, confidence)
        reached = _ratio(part.loc[known, "won_amount"], asked[known], confidence)
        is_told = found is not None and month <= len(found.share)
        share = found.share[month - 1] if is_told else (np.nan,) * 3
        rows.append([month, len(part), watched.sum(), *made, *reached, *share])
    metrics = ("ramp_month_amount", "ramp_attainment_rate", "ramp_rate")
    columns = ["month", "n", "n_months", *(f"{name}{end}" for name in metrics for end in _ENDS)]
    return pd.DataFrame(rows, columns=columns).astype({"month": int, "n": int})


def ramp_time(months: pd.DataFrame, *, min_n: int = checks.MIN_N, confidence: float = 0.95) -> pd.DataFrame:
    """How long after being hired a rep brings four fifths of what the same rep brings in the long run.

    The curve of `ramp_curve` takes each rep's own level into account, so that it does not matter that weak ones leave
    (`stats.rise`): only the months of reps hired since the records began tell it, the last ones open-ended.

    Known bias: wins come a sales cycle after the work, so this is the ramp of bookings, not of activity. On average
    over simulated companies it is up to two weeks too long where the rise is a steep S and the weak leave, and up to
    two and a quarter too short where its last part is slow; the interval holds the truth 86 to 96 times in 100, as it
    does not know every course a rise can take (benchmarks/ramp.py).

    Parameters
    ----------
    months
        Of `rep_months`.
    min_n
        Hires below which it is not told.
    confidence
        Level of the intervals.

    Returns
    -------
    DataFrame
        One row: ``n`` (hires on record), ``n_left`` (of them), ``n_months`` (watched, together), ``ramp_days`` and
        ``ramp_plateau_amount`` with limits; missing with fewer hires, ``ramp_days_high`` also where the time is longer
        than anyone was watched.

    Metrics
    -------
    ramp_days : days, closed, lower, -, amount close_date
        Days from hire until a rep wins four fifths of the own plateau.
    ramp_plateau_amount : amount, closed, higher, -, amount close_date
        Amount that a fully ramped rep wins in a month, over the reps hired since the records began.

    Examples
    --------
    >>> reached = np.minimum(np.arange(1, 25) / 10, 1)
    >>> months = pd.DataFrame({"owner_id": np.repeat([f"U{number}" for number in range(30)], 24), "is_hire": True,
    ...     "month": np.tile(np.arange(1, 25), 30), "n_days": 30.4375, "won_amount": np.tile(1e3 * reached, 30),
    ...     "quota_amount": np.nan, "has_left": False})
    >>> row = ramp_time(months).iloc[0]
    >>> int(row["n"]), round(row["ramp_days"] / 30.4375), round(row["ramp_plateau_amount"], -1)
    (30, 7, np.float64(1000.0))
    """
    checks.require_columns(months, ["owner_id", "month", "n_days", "is_hire", "has_left", "won_amount"])
    hires, found = months[months["is_hire"]], _rise(months, min_n, confidence)
    days, plateau = ((np.nan,) * 3,) * 2 if found is None else (np.array(found.time) * _MONTH, found.plateau)
    each = hires.groupby("owner_id")["has_left"].first()
    row = {"n": len(each), "n_left": int(each.sum()), "n_months": hires["n_days"].sum() / _MONTH}
    row |= {f"ramp_days{end}": value for end, value in zip(_ENDS, days, strict=True)}
    return pd.DataFrame([row | {f"ramp_plateau_amount{end}": value for end, value in zip(_ENDS, plateau, strict=True)}])


def ramp_sentence(found: pd.DataFrame, *, min_n: int = checks.MIN_N) -> str:
    """How long the ramp takes.

    Parameters
    ----------
    found
        Of `ramp_time`.

    Examples
    --------
    >>> row = pd.DataFrame({"n": [34], "n_left": [9], "ramp_days": 140.0, "ramp_days_low": 110.0,
    ...     "ramp_days_high": 180.0})
    >>> ramp_sentence(row)  # doctest: +NORMALIZE_WHITESPACE
    'A new rep needs about 4.6 months to win four fifths of what the same rep wins in the long run (likely between 3.6
    and 5.9; 34 hires, 9 of whom have left).'
    >>> ramp_sentence(row.assign(n=8, ramp_days=np.nan))
    'Only 8 reps were hired since the records began, fewer than 20: how long the ramp takes cannot be told.'
    """
    row = found.iloc[0]
    n, left = int(row["n"]), int(row["n_left"])
    if n < min_n:
        reps = f"Only {n} {'rep was' if n == 1 else 'reps were'}" if n else "No rep was"
        return f"{reps} hired since the records began, fewer than {min_n}: how long the ramp takes cannot be told."
    if words.is_missing(row["ramp_days"]):
        return f"The {n} reps hired since the records began show no plateau yet: how long the ramp takes is open."
    months, low, high = (row[f"ramp_days{end}"] / _MONTH for end in _ENDS)
    ends = [words.number(end, 1) for end in (low, high) if not words.is_missing(end)]
    likely = f"likely between {ends[0]} and {ends[1]}" if len(ends) == 2 else f"likely more than {words.number(low, 1)}"
    gone = f", {left} of whom {'has' if left == 1 else 'have'} left" if left else ""
    needed = f"A new rep needs about {words.number(months, 1)} months"
    return f"{needed} to win four fifths of what the same rep wins in the long run ({likely}; {n} hires{gone})."


def matrices(months: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What each hire won in each month since hire, which part of it was watched, and who has left: a row per hire.

    Examples
    --------
    >>> months = pd.DataFrame({"owner_id": ["U1", "U1"], "month": [1, 2], "n_days": [30.4375, 15.21875],
    ...     "is_hire": True, "has_left": True, "won_amount": [10.0, 30.0]})
    >>> [each.tolist() for each in matrices(months)]
    [[[10.0, 30.0]], [[1.0, 0.5]], [True]]
    """
    rows = months[months["is_hire"]]
    owner, month = pd.factorize(rows["owner_id"])[0], rows["month"].to_numpy() - 1
    shape = (owner.max(initial=-1) + 1, month.max(initial=-1) + 1)
    amount, exposure = np.zeros(shape), np.zeros(shape)
    amount[owner, month], exposure[owner, month] = rows["won_amount"], np.minimum(rows["n_days"] / _MONTH, 1)
    return amount, exposure, rows.groupby("owner_id", sort=False)["has_left"].first().to_numpy(dtype=bool)


def _rise(months: pd.DataFrame, min_n: int, confidence: float) -> rise.Rise | None:
    amount, exposure, has_left = matrices(months)
    if len(amount) < min_n:
        return None
    return rise.rise(amount, exposure, left=has_left, share=SHARE, confidence=confidence)


def _ratio(made: pd.Series, per: pd.Series, confidence: float) -> tuple[float, ...]:
    """One row per rep: the ratio of the sums with limits."""
    sums = np.column_stack([made, per])
    if not len(sums):
        return (np.nan,) * 3
    return totals.positive(totals.product(sums, [1, -1]), totals.log_influence(sums, [1, -1]), confidence=confidence)[
        :3
    ]


def _seats(reps: pd.DataFrame, start: pd.Timestamp, as_of: date) -> pd.DataFrame:
    """Reps and the days, from 1970, and months since hire in which they were watched."""
    sellers = reps[~reps["owner_id"].isin(rep_performance.not_reps(reps)) & reps["hire_date"].notna()]
    last = sellers["left_date"].fillna(pd.Timestamp(as_of)).clip(upper=pd.Timestamp(as_of))
    first = sellers["hire_date"].clip(lower=start)
    days = {"hire_day": sellers["hire_date"], "first_day": first, "last_day": last}
    seats = pd.DataFrame({name: (each - pd.Timestamp(0)) / _DAY for name, each in days.items()})
    has_left = sellers["left_date"] <= pd.Timestamp(as_of)
    seats = seats.assign(owner_id=sellers["owner_id"], is_hire=sellers["hire_date"] >= start, has_left=has_left)
    seats = seats[seats["last_day"] >= seats["first_day"]]
    for end in ("first", "last"):
        seats[f"{end}_month"] = ((seats[f"{end}_day"] - seats["hire_day"]) // _MONTH + 1).astype(int)
    return seats.sort_values("owner_id").reset_index(drop=True)


def _dated_wins(won: pd.DataFrame, seats: pd.DataFrame) -> pd.DataFrame:
    """Amounts won in seat, by owner and month since hire."""
    rows = won[["owner_id", "close_date", "amount"]].merge(seats, on="owner_id")
    day = (rows["close_date"].dt.normalize() - pd.Timestamp(0)) / _DAY
    rows = rows.assign(month=((day - rows["hire_day"]) // _MONTH + 1).astype(int))
    return rows[(day >= rows["first_day"]) & (day <= rows["last_day"])]


def _by_month(wins: pd.DataFrame, rows: pd.DataFrame) -> np.ndarray:
    sums = wins.groupby(["owner_id", "month"])["amount"].sum()
    return sums.reindex(pd.MultiIndex.from_frame(rows[["owner_id", "month"]]), fill_value=0.0).to_numpy(dtype=float)


def _quota(targets: pd.DataFrame | None, rows: pd.DataFrame, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Quota in full of the days watched; a day without a target makes the month's unknown."""
    if targets is None or targets.empty:
        return np.full(len(rows), np.nan)
    span = Period("all", pd.Timestamp.min.ceil("D").date(), pd.Timestamp.max.floor("D").date())
    plan = quotas.valid_targets(targets, kind="rep", period=span)
    begins, ends = (((plan[name] - pd.Timestamp(0)) / _DAY) for name in ("period_start", "last"))
    plan = pd.DataFrame({"owner_id": plan["scope_id"], "begins": begins, "ends": ends + 1, "value": plan["value"]})
    pairs = pd.DataFrame({"owner_id": rows["owner_id"], "row": rows.index, "from": first, "to": last}).merge(plan)
    days = np.minimum(pairs["to"], pairs["ends"]) - np.maximum(pairs["from"], pairs["begins"])
    pairs = pairs.assign(days=days, quota=pairs["value"] * days / (pairs["ends"] - pairs["begins"]))[days > 0]
    sums = pairs.groupby("row")[["days", "quota"]].sum().reindex(rows.index)
    return sums["quota"].where(sums["days"] >= last - first - 0.5).to_numpy()
