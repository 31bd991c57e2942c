"""Velocity: what the open deals bring a day at the present pace, and which part of the pace has changed."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import numpy as np
import pandas as pd

from salesops import checks, evenings, pipeline, words
from salesops.periods import Period
from salesops.stats import decompose, proportions, totals

_DAY = pd.Timedelta(days=1)
_LACKING = "open deals, amounts or days to an end"
_PERIOD = ["period", "period_start", "period_end"]
_SUMS = ["n_open", "n", "n_won", "n_priced", "won_amount", "n_timed", "exit_days", "n_won_timed", "won_days"]
_NEEDED = ["opportunity_id", "account_id", "qualified_date", "created_date", "amount", "close_date", "closed_at",
           "is_closed", "is_won"]  # fmt: skip
# Powers of the sums that make each figure.
_FACTORS = {
    "open deals": {"n_open": 1},
    "win rate": {"n_won": 1, "n": -1},
    "deal size": {"won_amount": 1, "n_priced": -1},
    "days to an end": {"n_timed": 1, "exit_days": -1},  # its inverse: fewer days are more a day
}
_WON_CYCLE = {"n_won_timed": 1, "won_days": -1}


class _Figure(NamedTuple):
    """A figure of totals: its value, and what each company adds to its logarithm."""

    value: float
    influence: np.ndarray


def tallies(
    opportunities: pd.DataFrame,
    stage_history: pd.DataFrame,
    *,
    periods: Sequence[Period],
    as_of: date,
    stages: pd.DataFrame | None = None,
    by: str | None = None,
) -> pd.DataFrame:
    """What the pace of each period is made of, company by company: counted once, for `velocity` and its change.

    The definitions are the same in every period. Open are the qualified deals that stood open on
    the evening of the period's last day (of `as_of` where that comes first), by replaying the
    history; ended are those won or lost in the period, by `pipeline.ended_on`. The days of a deal
    run from its qualified date, or from its created date where no deal has a qualified one.

    Parameters
    ----------
    opportunities
        The population: ``opportunity_id, account_id, stage, qualified_date, created_date, amount,
        close_date, closed_at, is_closed, is_won`` and `by`.
    stage_history
        As for `evenings.between`; may be empty.
    periods
        The periods to compare, none beginning after `as_of`.
    as_of
        Last day used.
    stages
        As for `evenings.between`.
    by
        Column to group on, as it is now; a missing value is a group.

    Returns
    -------
    DataFrame
        One row per period, group and company that had any: ``period``, ``period_start``,
        ``period_end``, ``n_days`` (of the period until `as_of`), `by`, ``company`` (a number, the same in
        all periods; a deal of no known account stands alone), ``n_open``, ``n`` (ended), ``n_won``,
        ``n_priced`` (won, amount known), ``won_amount``, ``n_timed`` (ended, days known), ``exit_days``,
        ``n_won_timed``, ``won_days``. A period and group without deals has one row of zeros, its company -1.

    Raises
    ------
    ParameterError
        No period, the same one twice, or one that begins after `as_of`.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> deals = pd.DataFrame({
    ...     "opportunity_id": list("ABC"), "account_id": ["x", "x", "y"], "stage": ["Won", "Lost", "Talk"],
    ...     "created_date": day("2026-06-01"), "qualified_date": day("2026-06-11"), "amount": [100.0, 50.0, 70.0],
    ...     "close_date": day(["2026-07-11", "2026-07-31", "2026-12-31"]), "closed_at": day(pd.Series([None] * 3)),
    ...     "is_closed": [True, True, False], "is_won": [True, False, False]})
    >>> history = pd.DataFrame(columns=["opportunity_id", "changed_at", "seq", "stage", "amount", "close_date"])
    >>> july = Period("2026-07", date(2026, 7, 1), date(2026, 7, 31))
    >>> found = tallies(deals, history.astype({"changed_at": "datetime64[us]"}), periods=[july], as_of=july.end)
    >>> found[["company", "n_open", "n", "n_won", "won_amount", "exit_days"]]
       company  n_open  n  n_won  won_amount  exit_days
    0        0       0  2      1       100.0       80.0
    1        1       1  0      0         0.0        0.0
    """
    checks.require_columns(opportunities, [*_NEEDED, *([by] if by else [])], where="opportunities")
    _require_periods(periods, as_of)
    needed = {*_NEEDED, "stage", by}
    deals = _clocked(opportunities[[name for name in opportunities.columns if name in needed]], by)
    changes, _ = evenings.replay(deals, stage_history, stages=stages)
    pieces = [_tally(deals, changes, period, as_of) for period in periods]
    table = pd.concat(pieces, ignore_index=True)
    groups = deals.loc[~deals["group"].duplicated(), ["group", by]].set_index("group")[by] if by else None
    if by:
        table[by] = table["group"].map(groups).astype(deals[by].dtype)
    return table[[*_PERIOD, "n_days", *([by] if by else []), "company", *_SUMS]]


def velocity(tallied: pd.DataFrame, *, by: str | None = None, confidence: float = 0.95) -> pd.DataFrame:
    """Amount a day that the open deals bring at the pace at which deals lately ended.

    ``sales_velocity_amount = open qualified deals * win rate * mean won amount / mean days to an
    end``, won or lost, among the deals that ended in the period. By Little's law as many deals end a
    day as are open, over the mean days they stay, so in a steady state it is what is booked a day.
    Beside it, the usual one with the days of the won deals alone, which is too low where winning
    takes longer than losing, and what was in fact booked a day.

    The interval is for the pace behind the figures: how many deals are open, and of which companies,
    is taken to be a matter of chance too, and deals of one company count as related.

    Known bias: while the pipeline grows, quick ends come before slow ones and the mean days are too
    short; deals that never end are no part of them.

    Parameters
    ----------
    tallied
        Of `tallies`, with the same `by`.
    by
        Column to group on.
    confidence
        Level of the intervals.

    Returns
    -------
    DataFrame
        One row per period, in order, and group: ``period``, ``period_start``, ``period_end``, `by`,
        ``n_open``, ``n`` (ended), ``n_won``, ``n_timed`` (ended, days known); each with interval
        ``sales_velocity_amount`` and ``won_cycle_velocity_amount`` (a day), ``won_size_amount``, ``exit_days``,
        ``won_exit_days``, ``win_rate`` (of `win_loss.win_rate`); then ``booked_per_day_amount``, a record without
        interval.
        A velocity is missing where one of its factors is.

    Metrics
    -------
    sales_velocity_amount : amount_per_day, closed, higher, -, is_won qualified_date amount close_date
        Open qualified deals at the period's end, times the win rate and the mean won amount of the deals that ended in
        the period, over the mean days from qualified to won or lost: amount a day.
    won_cycle_velocity_amount : amount_per_day, closed, higher, -, is_won qualified_date amount close_date
        The same with the mean days of the won deals alone: the usual formula, too low where losing is quicker.
    booked_per_day_amount : amount_per_day, close_date, higher, -, is_won amount close_date
        Amount of the qualified deals won in the period, a day of it.
    won_size_amount : amount, closed, higher, -, amount
        Mean amount of the qualified deals won in the period, those without an amount left out.
    exit_days : days, closed, lower, -, qualified_date close_date
        Mean time from qualified (created where that is not known) to won or lost, of the deals that ended.
    won_exit_days : days, closed, lower, -, qualified_date close_date
        Mean time from qualified to won, of the deals won.

    References
    ----------
    Little (1961), Operations Research 9:383-387.

    Examples
    --------
    >>> tallied = pd.DataFrame({
    ...     "period": "2026Q3", "period_start": date(2026, 7, 1), "period_end": date(2026, 9, 30), "n_days": 92,
    ...     "company": range(10), "n_open": 10, "n": 4, "n_won": 1, "n_priced": 1, "won_amount": 20_000.0, "n_timed": 4,
    ...     "exit_days": 200.0, "n_won_timed": 1, "won_days": 80.0})
    >>> table = velocity(tallied)
    >>> table[["win_rate", "exit_days", "sales_velocity_amount", "booked_per_day_amount"]].round(2)
       win_rate  exit_days  sales_velocity_amount  booked_per_day_amount
    0      0.25       50.0                10000.0                2173.91
    """
    keys = [*_PERIOD, "n_days", *([by] if by else [])]
    checks.require_columns(tallied, [*keys, "company", *_SUMS], where="tallied")
    rows = [
        dict(zip(keys, key, strict=True)) | _figures(rows, key[3], confidence)
        for key, rows in tallied.groupby(keys, dropna=False, sort=False, observed=True)
    ]
    table = pd.DataFrame(rows)
    table = table.astype({by: tallied[by].dtype}) if by else table
    return table.drop(columns="n_days").sort_values("period_start", kind="stable", ignore_index=True)


def velocity_change(tallied: pd.DataFrame, *, now: Period, before: Period, confidence: float = 0.95) -> pd.DataFrame:
    """Change of the sales velocity between two periods, split over the four factors it is the product of.

    Each part is what the factor's own change did while the others stood at either period's value,
    averaged over all orders (`decompose.product_effects`); the parts sum to the change. A company's
    deals of both periods count as related.

    Parameters
    ----------
    tallied
        Of `tallies`, with both periods among its own and without `by`.
    now, before
        The two periods.
    confidence
        Level of the intervals.

    Returns
    -------
    DataFrame
        ``component`` (total, open deals, win rate, deal size, days to an end), ``n``, ``n_before``
        (ended), ``n_won``, ``n_won_before``, ``velocity_change_amount`` (a day) with interval, ``p_value`` and
        ``is_named`` (the interval does not hold zero). Missing where either velocity is.

    Metrics
    -------
    velocity_change_amount : amount_per_day, closed, higher, -, is_won qualified_date amount close_date
        Sales velocity now less sales velocity before, and the part of each of its four factors in that, amount a day.

    References
    ----------
    Das Gupta (1993), Standardization and Decomposition of Rates, ch. 2; Shapley (1953).

    Examples
    --------
    >>> def tallied(period, n_open):
    ...     return pd.DataFrame({"period": period, "company": range(10), "n_open": n_open, "n": 4, "n_won": 1,
    ...         "n_priced": 1, "won_amount": 20_000.0, "n_timed": 4, "exit_days": 200.0, "n_won_timed": 1,
    ...         "won_days": 80.0})
    >>> q3, q2 = (Period(f"2026Q{n}", date(2026, 3 * n - 2, 1), date(2026, 3 * n, 30)) for n in (3, 2))
    >>> both = pd.concat([tallied("2026Q3", 10), tallied("2026Q2", 8)])
    >>> velocity_change(both, now=q3, before=q2)[["component", "velocity_change_amount"]].round(6)
            component  velocity_change_amount
    0           total                  2000.0
    1      open deals                  2000.0
    2        win rate                     0.0
    3       deal size                     0.0
    4  days to an end                     0.0
    """
    checks.require_columns(tallied, ["period", "company", *_SUMS], where="tallied")
    sides = [_sums(tallied[tallied["period"] == period.label]) for period in (before, now)]
    companies = sides[0].index.union(sides[1].index)
    sides = [side.reindex(companies, fill_value=0.0) for side in sides]
    factors = [_figure(side, powers) for side in sides for powers in _FACTORS.values()]
    values = [factor.value for factor in factors]
    parts = _parts(*values)
    influences = totals.of_factors(_parts, values, np.stack([factor.influence for factor in factors]))
    found = [totals.difference(*part, confidence=confidence) for part in zip(parts, influences, strict=True)]
    sizes = {f"{name}{end}": int(side[name].sum()) for name in ("n", "n_won")
             for end, side in (("", sides[1]), ("_before", sides[0]))}  # fmt: skip
    columns = [f"velocity_change_amount{end}" for end in ("", "_low", "_high")]
    table = pd.DataFrame({"component": ["total", *_FACTORS], **sizes})
    table[[*columns, "p_value"]] = np.array(found, dtype=float)
    return table.assign(is_named=(table[columns[1]] > 0) | (table[columns[2]] < 0))


def sentence(
    table: pd.DataFrame,
    change: pd.DataFrame,
    *,
    now: Period,
    before: Period,
    currency: str = "",
    deals: str = "deals",
    min_n: int = checks.MIN_N,
    brief: bool = False,
) -> str:
    """The pace, what was booked beside it, and what its change is made of, named only beyond chance.

    Parameters
    ----------
    table
        Of `velocity`, without `by`.
    change
        Of `velocity_change`; ``is_named`` decides what is clear.
    now, before
        The two periods.
    currency
        ISO code.
    deals
        What the deals are called; see `pipeline.population_name`.
    min_n
        Fewest wins in a period.
    brief
        The pace and its change alone, as the title of a chart.

    Examples
    --------
    >>> q3, q2 = (Period(f"2026Q{n}", date(2026, 3 * n - 2, 1), date(2026, 3 * n, 30)) for n in (3, 2))
    >>> table = pd.DataFrame({"period": ["2026Q2", "2026Q3"], "n_won": 60, "sales_velocity_amount": [39e3, 45e3],
    ...     "sales_velocity_amount_low": [35e3, 41e3], "sales_velocity_amount_high": [44e3, 50e3],
    ...     "booked_per_day_amount": [38e3, 44e3]})
    >>> change = pd.DataFrame({"component": ["total", "open deals", "win rate", "deal size", "days to an end"],
    ...     "n_won": 60, "n_won_before": 60, "velocity_change_amount": [6e3, 5e3, 500, 500, 0],
    ...     "velocity_change_amount_low": [1e3, 2e3, -4e3, -4e3, -4e3],
    ...     "velocity_change_amount_high": [11e3, 8e3, 5e3, 5e3, 4e3], "is_named": [True, True, False, False, False]})
    >>> print(sentence(table, change, now=q3, before=q2, currency="USD"))
    At the pace of 2026Q3 the open deals bring $45K a day (likely between $41K and $50K), while $44K a day was booked. \
That is $6.0K more than in 2026Q2 (likely between $1.0K and $11K more): more open deals added $5.0K.
    >>> sentence(table, change, now=q3, before=q2, currency="USD", brief=True)
    'The open deals bring $45K a day, $6.0K more than in 2026Q2'
    """
    rows = table.set_index("period")
    few = [period for period in (now, before) if _n_won(rows, period) < min_n]
    unknown = [period for period in (now, before) if period not in few and _velocity(rows, period) is None]
    if now in few:
        return f"Too few {deals} to tell a sales velocity: {_wins(rows, now)}."
    if now in unknown:
        return f"A sales velocity cannot be told for {now.label}: {_LACKING} are not known."
    pace = _pace(rows.loc[now.label], now, currency, deals)
    if brief:
        head = pace.partition(" (")[0].partition(", while")[0].removeprefix(f"At the pace of {now.label} t")
        moved = f", {_moved(change.set_index('component').loc['total'], before, currency)}"
        return f"T{head}{'' if before in [*few, *unknown] else moved}"
    if before in few:
        return f"{pace} Too few to compare it with {before.label}: {_wins(rows, before)}."
    if before in unknown:
        return f"{pace} It cannot be compared with {before.label}, whose {_LACKING} are not known."
    return f"{pace} {_change_words(change, before, currency)}"


def _n_won(rows: pd.DataFrame, period: Period) -> int:
    return int(rows.loc[period.label, "n_won"]) if period.label in rows.index else 0


def _velocity(rows: pd.DataFrame, period: Period) -> float | None:
    value = rows.loc[period.label, "sales_velocity_amount"]
    return None if words.is_missing(value) else float(value)


def _wins(rows: pd.DataFrame, period: Period) -> str:
    return f"{words.count(_n_won(rows, period)) if _n_won(rows, period) else 'none'} won {period.when}"


def _pace(row: pd.Series, period: Period, currency: str, deals: str) -> str:
    """What the open deals bring, and what was booked beside it."""
    value, low, high = (row[f"sales_velocity_amount{end}"] for end in ("", "_low", "_high"))
    money, booked = (words.amount(each, currency, compact=True) for each in (value, row["booked_per_day_amount"]))
    limits = words.interval(low, high, "amount", currency=currency)
    inside = f" ({limits})" if limits else ""
    return (
        f"At the pace of {period.label} the open {deals} bring {money} a day{inside}, while {booked} a day was booked."
    )


def _moved(total: pd.Series, before: Period, currency: str) -> str:
    if not total["is_named"]:
        return f"no clear change from {before.label}"
    gap = total["velocity_change_amount"]
    side = "more" if gap > 0 else "less"
    return f"{words.amount(abs(gap), currency, compact=True)} {side} than in {before.label}"


def _change_words(change: pd.DataFrame, before: Period, currency: str) -> str:
    change = change.set_index("component")
    total, parts = change.loc["total"], change.drop(index="total")
    clear = parts[parts["is_named"]]
    moved = [_part_words(name, row, currency) for name, row in clear.iterrows()]
    listed = ", and ".join([", ".join(moved[:-1]), moved[-1]] if len(moved) > 1 else moved)
    if not total["is_named"]:
        if moved:
            return f"The pace shows no clear change from {before.label}, but {listed}."
        factors = "its four factors: open deals, win rate, deal size and days to an end"
        return f"The pace shows no clear change from {before.label}, nor does any of {factors}."
    value, low, high = (total[f"velocity_change_amount{end}"] for end in ("", "_low", "_high"))
    side = "more" if value > 0 else "less"
    inside = words.interval(*sorted((abs(low), abs(high))), "amount", currency=currency) if low * high > 0 else ""
    head = f"That is {_moved(total, before, currency)}"
    head = f"{head} ({inside} {side})" if inside else head
    return f"{head}: {listed}." if moved else f"{head}; which of its four factors moved it cannot be told."


def _part_words(name: str, row: pd.Series, currency: str) -> str:
    value = row["velocity_change_amount"]
    rises = {
        "open deals": ("more open deals", "fewer open deals"),
        "win rate": ("a higher win rate", "a lower win rate"),
        "deal size": ("larger deals", "smaller deals"),
        "days to an end": ("fewer days to an end", "more days to an end"),
    }
    verb = "added" if value > 0 else "took off"
    return f"{rises[name][0 if value > 0 else 1]} {verb} {words.amount(abs(value), currency, compact=True)}"


def _require_periods(periods: Sequence[Period], as_of: date) -> None:
    labels = [period.label for period in periods]
    late = [period.label for period in periods if period.start > as_of]
    if not labels or len(set(labels)) < len(labels):
        raise checks.ParameterError(f"velocity: periods are {labels or 'none'}. Name each once, and at least one.")
    if late:
        verb = "period begins" if len(late) == 1 else "periods begin"
        raise checks.ParameterError(
            f"velocity: {len(late)} {verb} after {as_of} ({checks.examples(late)}). Take earlier ones."
        )


def _clocked(opportunities: pd.DataFrame, by: str | None) -> pd.DataFrame:
    """The population with its clock, end, days, and numbers of company and group."""
    deals = pipeline.qualified(opportunities).reset_index(drop=True)
    start = "qualified_date" if deals["qualified_date"].notna().any() else "created_date"
    started, ended = deals[start].dt.normalize(), pipeline.ended_on(deals)
    days = ((ended - started) / _DAY).astype(float)
    company = pd.factorize(deals["account_id"], sort=True)[0].astype(np.int64)
    alone = company < 0
    company[alone] = company.max(initial=-1) + 1 + np.arange(alone.sum())
    group = deals.groupby(by, dropna=False, sort=False, observed=True).ngroup() if by else 0
    return deals.assign(started=started, ended=ended, days=days.where(days >= 0), company=company, group=group)


def _tally(deals: pd.DataFrame, changes: pd.DataFrame, period: Period, as_of: date) -> pd.DataFrame:
    """The sums of one period by group and company."""
    last = min(period.end, as_of)
    stood = evenings.evening(changes, deals, last)
    is_open = (stood["state"] == evenings.OPEN) & (deals["started"] <= pd.Timestamp(last))
    is_ended = Period(period.label, period.start, last).contains(deals["ended"])
    kept = (is_open | is_ended).to_numpy()
    rows = deals.loc[kept, ["group", "company", "is_won", "amount", "days"]]
    ended, won = is_ended[kept], is_ended[kept] & rows["is_won"]
    timed, priced = ended & rows["days"].notna(), won & rows["amount"].notna()
    cells = pd.DataFrame({
        "group": rows["group"], "company": rows["company"], "n_open": is_open[kept], "n": ended, "n_won": won,
        "n_priced": priced, "won_amount": rows["amount"].astype(float).where(priced, 0.0),
        "n_timed": timed, "exit_days": rows["days"].where(timed, 0.0),
        "n_won_timed": timed & won, "won_days": rows["days"].where(timed & won, 0.0),
    })  # fmt: skip
    counted = cells.groupby(["group", "company"])[_SUMS].sum().reset_index()
    silent = sorted(set(deals["group"]) - set(counted["group"])) or ([0] if deals.empty else [])
    nothing = pd.DataFrame({"group": silent, "company": -1} | dict.fromkeys(_SUMS, 0))
    table = pd.concat([counted, nothing.astype(counted.dtypes.to_dict())], ignore_index=True)
    return table.assign(
        period=period.label, period_start=period.start, period_end=period.end, n_days=(last - period.start).days + 1
    )


def _sums(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.groupby("company")[_SUMS].sum().astype(float)


def _figure(sums: pd.DataFrame, powers: dict[str, int]) -> _Figure:
    vector = [powers.get(name, 0) for name in _SUMS]
    return _Figure(totals.product(sums, vector), totals.log_influence(sums, vector))


def _parts(*factors: float) -> np.ndarray:
    """The change of the product and its parts; the first half of the factors is of before."""
    before, after = factors[: len(factors) // 2], factors[len(factors) // 2 :]
    parts = decompose.product_effects(before, after)
    return np.concatenate([[parts.sum()], parts])


def _win_rate(n_won: int, n: int, confidence: float) -> totals.Interval:
    """With the interval of `win_loss.win_rate`: the same figure reads the same on every page."""
    low, high = proportions.wilson_interval(n_won, n, confidence)
    return totals.Interval(n_won / n if n else np.nan, low[0], high[0], np.nan)


def _figures(rows: pd.DataFrame, days: int, confidence: float) -> dict[str, float]:
    sums = _sums(rows)
    open_deals, win_rate, size, ending = _FACTORS.values()
    figures = {
        "sales_velocity_amount": open_deals | win_rate | size | ending,
        "won_cycle_velocity_amount": open_deals | win_rate | size | _WON_CYCLE,
        "won_size_amount": size,
        "exit_days": {"exit_days": 1, "n_timed": -1},
        "won_exit_days": {"won_days": 1, "n_won_timed": -1},
    }
    found = {name: totals.positive(*_figure(sums, powers), confidence=confidence) for name, powers in figures.items()}
    counts = {name: int(sums[name].sum()) for name in ("n_open", "n", "n_won", "n_timed")}
    found["win_rate"] = _win_rate(counts["n_won"], counts["n"], confidence)
    limits = {
        f"{name}{end}": getattr(each, side)
        for name, each in found.items()
        for end, side in (("", "value"), ("_low", "low"), ("_high", "high"))
    }
    is_known = sums["n_priced"].sum() > 0 or counts["n_won"] == 0
    return counts | limits | {"booked_per_day_amount": sums["won_amount"].sum() / days if is_known else np.nan}
