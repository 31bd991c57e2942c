"""Win/loss: which opportunities we win, and why we lose the rest."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from salesops import cells, checks, pipeline, words
from salesops.periods import Period
from salesops.stats import multiplicity, proportions


def win_rate(opportunities: pd.DataFrame, by: str | None = None, *, confidence: float = 0.95) -> pd.DataFrame:
    """Share of closed, qualified opportunities that were won, by count.

    ``win_rate = won / (won + lost)``, no-decision counted among the lost. Open opportunities
    count in neither side; where qualified dates are known, deals that never qualified do not
    either. A group with nothing closed keeps its row, with ``n = 0`` and a missing rate: it is
    unknown, not 0 %.

    Known bias: among deals *closed* in a period, quick losses are over-represented while
    creation grows; the cohort rate does not share it.

    Parameters
    ----------
    opportunities
        One row per opportunity, with ``is_closed``, ``is_won``, ``qualified_date`` and `by`; or their cells.
    by
        Column to group on, e.g. ``"segment"``; a missing value is a group. None gives one row.
    confidence
        Level of the Wilson score interval.

    Returns
    -------
    DataFrame
        One row per group, largest first: `by`, ``n`` (closed), ``won_count``, ``win_rate``,
        ``win_rate_low``, ``win_rate_high`` (rates 0-1).

    Metrics
    -------
    win_rate : rate, closed, higher, won_count / n, is_won qualified_date
        Won over won and lost (no-decision counted as lost), by count, among the qualified deals closed in the period.

    References
    ----------
    Wilson (1927), J. Am. Stat. Assoc. 22:209-212.

    Examples
    --------
    >>> deals = pd.DataFrame({
    ...     "segment":   ["SMB", "SMB", "SMB", "Enterprise", "Public"],
    ...     "is_closed": [True, True, False, True, False],
    ...     "is_won":    [True, False, False, True, False],
    ...     "qualified_date": pd.to_datetime("2026-07-01"),
    ... })
    >>> win_rate(deals, by="segment").round(2)
          segment  n  won_count  win_rate  win_rate_low  win_rate_high
    0         SMB  2          1       0.5          0.09           0.91
    1  Enterprise  1          1       1.0          0.21           1.00
    2      Public  0          0       NaN           NaN            NaN
    """
    checks.require_columns(opportunities, ["is_closed", "is_won"])
    return _rates(pipeline.qualified(opportunities), by, "win_rate", confidence)


def all_closed_win_rate(
    opportunities: pd.DataFrame, by: str | None = None, *, confidence: float = 0.95
) -> pd.DataFrame:
    """Share of all closed opportunities that were won, qualified or not.

    Metrics
    -------
    all_closed_win_rate : rate, closed, higher, won_count / n, is_won
        Won over all deals closed in the period, those that were never qualified included.

    Examples
    --------
    >>> deals = pd.DataFrame({"is_closed": [True, True], "is_won": [True, False]})
    >>> all_closed_win_rate(deals)["all_closed_win_rate"].tolist()
    [0.5]
    """
    checks.require_columns(opportunities, ["is_closed", "is_won"])
    return _rates(opportunities, by, "all_closed_win_rate", confidence)


def decided_win_rate(opportunities: pd.DataFrame, by: str | None = None, *, confidence: float = 0.95) -> pd.DataFrame:
    """Share won of the qualified opportunities that went to us or to somebody else.

    Metrics
    -------
    decided_win_rate : rate, closed, higher, won_count / n, is_won qualified_date outcome
        Won over won and lost among the qualified deals closed in the period, no-decision left out.

    Examples
    --------
    >>> deals = pd.DataFrame({
    ...     "is_closed": True, "is_won": [True, False, False], "outcome": ["won", "lost", "no_decision"],
    ...     "qualified_date": pd.to_datetime("2026-07-01"),
    ... })
    >>> decided_win_rate(deals)["decided_win_rate"].tolist()
    [0.5]
    """
    checks.require_columns(opportunities, ["is_closed", "is_won", "outcome"])
    decided = pipeline.qualified(opportunities).query("outcome != 'no_decision'")
    return _rates(decided, by, "decided_win_rate", confidence)


def value_win_rate(opportunities: pd.DataFrame, by: str | None = None, *, confidence: float = 0.95) -> pd.DataFrame:
    """Share of the closed, qualified amount that was won.

    ``value_win_rate = won amount / (won + lost amount)``. Deals without an amount count in
    neither side and not in ``n``. Meaningless where lost deals carry no amount: the report
    withholds it then. The interval is the linearised one of a ratio of sums, clustered by
    account.

    Metrics
    -------
    value_win_rate : rate, closed, higher, closed_won_amount / closed_amount, is_won amount lost_amount qualified_date
        Won amount over won and lost amount, among the qualified deals closed in the period.

    Examples
    --------
    >>> deals = pd.DataFrame({
    ...     "is_closed": True, "is_won": [True, False], "amount": [300.0, 100.0], "account_id": ["A", "B"],
    ...     "qualified_date": pd.to_datetime("2026-07-01"),
    ... })
    >>> value_win_rate(deals)["value_win_rate"].tolist()
    [0.75]
    """
    checks.require_columns(opportunities, ["is_closed", "is_won", "amount", "account_id"])
    closed = pipeline.qualified(opportunities).query("is_closed and amount.notna()")
    shares = proportions.weighted_share(
        closed, by=[by] if by else [], weight="amount", success="is_won", cluster="account_id", confidence=confidence
    )
    named = {"hit": "closed_won_amount", "total": "closed_amount"}
    return shares.rename(columns=lambda name: named.get(name, name.replace("share", "value_win_rate")))


def outcome_counts(opportunities: pd.DataFrame, period: Period) -> pd.DataFrame:
    """What the rates are made of: deals and money won, lost and still open.

    Parameters
    ----------
    opportunities
        One row per opportunity with ``outcome``, ``amount`` and its dates.
    period
        Won and lost are those closed in it; open is what is open on the report's day.

    Returns
    -------
    DataFrame
        One row: ``n`` (closed in the period), ``won_count``, ``lost_count`` (no-decision
        included), ``open_count``, ``won_amount``, ``lost_amount``, ``open_amount``, and
        their own n where it differs: ``n_open_count``, ``n_won_amount`` … (those with an amount).

    Metrics
    -------
    won_count : count, closed, higher, -, is_won
        Deals won in the period.
    lost_count : count, closed, lower, -, is_won
        Deals lost or ended without a decision in the period.
    open_count : count, as_of, none, -, is_won
        Deals open on the last day of the data.
    won_amount : amount, closed, higher, -, is_won amount
        Amount of the deals won in the period.
    lost_amount : amount, closed, lower, -, is_won amount lost_amount
        Amount of the deals lost or ended without a decision in the period.
    open_amount : amount, as_of, none, -, is_won amount
        Amount of the deals open on the last day of the data; deals without an amount add nothing.

    Examples
    --------
    >>> from datetime import date
    >>> deals = pd.DataFrame({
    ...     "is_closed": [True, True, False], "is_won": [True, False, False], "amount": [5.0, 3.0, 2.0],
    ...     "close_date": pd.to_datetime("2026-08-01"), "closed_at": pd.NaT,
    ... })
    >>> outcome_counts(deals, Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30)))[["won_count", "open_amount"]]
       won_count  open_amount
    0          1          2.0
    """
    checks.require_columns(opportunities, ["is_closed", "is_won", "amount"])
    closed = pipeline.closed_in(opportunities, period)
    parts = {
        "won": closed[closed["is_won"]],
        "lost": closed[~closed["is_won"]],
        "open": opportunities[~opportunities["is_closed"]],
    }
    counts = {f"{name}_count": len(rows) for name, rows in parts.items()}
    # Deals none of which has an amount: their money is unknown, not nothing.
    amounts = {f"{name}_amount": rows["amount"].sum(min_count=min(len(rows), 1)) for name, rows in parts.items()}
    known = {f"n_{name}_amount": rows["amount"].count() for name, rows in parts.items()}
    return pd.DataFrame([{"n": len(closed), "n_open_count": len(parts["open"])} | counts | amounts | known])


def win_rate_by_period(
    opportunities: pd.DataFrame, periods: Sequence[Period], *, confidence: float = 0.95
) -> pd.DataFrame:
    """The win rate of each period, oldest first; a period with nothing closed keeps its row.

    Returns
    -------
    DataFrame
        ``period``, ``period_start``, ``period_end`` and the columns of `win_rate`.

    Examples
    --------
    >>> from datetime import date
    >>> from salesops.periods import quarter, trailing_quarters
    >>> deals = pd.DataFrame({
    ...     "is_closed": True, "is_won": [True, False], "close_date": pd.to_datetime("2026-08-01"),
    ...     "closed_at": pd.NaT, "qualified_date": pd.to_datetime("2026-07-01"),
    ... })
    >>> win_rate_by_period(deals, trailing_quarters(quarter(date(2026, 8, 1)), 2))[["period", "n", "win_rate"]]
       period  n  win_rate
    0  2026Q2  0       NaN
    1  2026Q3  2       0.5
    """
    dates = pd.DataFrame(
        [(each.label, each.start, each.end) for each in periods], columns=["period", "period_start", "period_end"]
    )
    deals = pipeline.qualified(opportunities)  # which are is a matter of all of them, not of one period's
    nothing = win_rate(deals.iloc[:0], confidence=confidence)
    # The deals of one period at a time: all of them together are another company.
    found = (win_rate(pipeline.closed_in(deals, each), confidence=confidence) for each in periods)
    rates = pd.concat([nothing, *found]).iloc[1:]
    return dates.join(rates.reset_index(drop=True))


def group_differences(rates: pd.DataFrame, by: str, *, min_n: int = checks.MIN_N) -> pd.DataFrame:
    """Which groups win more or less often than all the others together.

    Each group of at least `min_n` closed deals is compared with the rest by Newcombe's
    interval and a score test; the p-values are adjusted by Holm over the groups compared. What may
    be named is decided with everything else the report looks at: `stats.multiplicity.named_together`.

    Parameters
    ----------
    rates
        A table of `win_rate` by `by`.
    min_n
        Smallest group compared.

    Returns
    -------
    DataFrame
        One row per compared group, largest difference first: `by`, ``n``,
        ``win_rate_difference`` with interval (0-1), ``p_value``.

    Metrics
    -------
    win_rate_difference : points, closed, higher, -, is_won qualified_date
        Win rate of the group minus the win rate of all other deals together.

    References
    ----------
    Newcombe (1998), Statist. Med. 17:873-890; Holm (1979), Scand. J. Statist. 6:65-70.

    Examples
    --------
    >>> rates = pd.DataFrame({"segment": ["SMB", "Enterprise"], "n": [200, 100], "won_count": [30, 45]})
    >>> group_differences(rates, "segment")[["segment", "win_rate_difference", "p_value"]].round(2)
          segment  win_rate_difference  p_value
    0         SMB                 -0.3      0.0
    1  Enterprise                  0.3      0.0
    """
    large = rates[(rates["n"] >= min_n) & (rates["n"].sum() - rates["n"] >= min_n)]
    rest = {"n": rates["n"].sum() - large["n"], "won": rates["won_count"].sum() - large["won_count"]}
    compared = [
        proportions.difference_interval(*counts)
        for counts in zip(large["won_count"], large["n"], rest["won"], rest["n"], strict=True)
    ]
    table = large[[by, "n"]].assign(
        **dict(
            zip(
                [f"win_rate_difference{end}" for end in ("", "_low", "_high")],
                np.array(compared).reshape(-1, 3).T,
                strict=True,
            )
        )
    )
    tested = proportions.score_test(large["won_count"], large["n"], rest["won"], rest["n"])
    table["p_value"] = multiplicity.holm(tested)
    return table.sort_values("win_rate_difference", key=np.abs, ascending=False, kind="stable", ignore_index=True)


def headlines(
    now: pd.DataFrame,
    before: pd.DataFrame,
    *,
    period: Period,
    prior: Period,
    mix: str,
    drivers: Sequence[str],
    competitor: str,
    deals: str = "deals",
) -> list[str]:
    """The findings in sentences, most important first; at most six.

    Parameters
    ----------
    now, before
        One-row tables of `win_rate` for `period` and the period before it.
    mix, drivers, competitor
        What `mix.sentence`, `driver_findings.headlines` and `competition.competitor_sentence` say.
    deals
        Which deals the rate is of; see `pipeline.population_name`.
    """
    first = rate_sentence(now.iloc[0], before.iloc[0], period=period, prior=prior, deals=deals)
    return [first, mix, *list(drivers)[:3], competitor]


def rate_sentence(
    now: pd.Series, before: pd.Series, *, period: Period, prior: Period, deals: str = "deals", min_n: int = checks.MIN_N
) -> str:
    """How often we won, and whether that changed by more than chance.

    Examples
    --------
    >>> from datetime import date
    >>> q2 = Period("2026Q2", date(2026, 4, 1), date(2026, 6, 30))
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> row = lambda won, n: pd.Series({"won_count": won, "n": n})
    >>> rate_sentence(row(88, 366), row(95, 360), period=q3, prior=q2)
    'We won 24 % of the deals closed in 2026Q3 (88 of 366): no clear change from 26 % in 2026Q2.'
    >>> rate_sentence(row(60, 100), row(30, 100), period=q3, prior=q2, deals="qualified deals")
    'We won 60 % of the qualified deals closed in 2026Q3 (60 of 100), up 30 points from 30 % in 2026Q2.'
    >>> rate_sentence(row(0, 0), row(30, 100), period=q3, prior=q2)
    'No deals were closed in 2026Q3, so there is no win rate.'
    """
    when = period.when
    if now["n"] == 0:
        return f"No {deals} were closed {when}, so there is no win rate."
    if now["n"] == now["won_count"] and now["n"] >= min_n:
        all_of_them = f"All {words.number(now['n'])} {deals} closed {when}"
        return f"{all_of_them} were won: a record without lost deals gives no win rate."
    counted = f"{words.number(now['won_count'])} of {words.number(now['n'])}"
    won = now["won_count"] / now["n"]
    stated = f"We won {words.rate(won)} of the {deals} closed {when} ({counted})"
    if now["n"] < min_n:
        return f"{stated}: too few to read a rate from."
    if before["n"] < min_n:
        return f"{stated}."
    gap, low, high = proportions.difference_interval(now["won_count"], now["n"], before["won_count"], before["n"])
    was, is_now, moved = words.ends(before["won_count"] / before["n"], won)
    if words.covers_zero(low, high):
        return f"{stated}: no clear change from {words.rate(before['won_count'] / before['n'])} in {prior.label}."
    stated = stated.replace(words.rate(won), is_now, 1)
    return f"{stated}, {'up' if gap > 0 else 'down'} {moved} from {was} in {prior.label}."


def groups_sentence(differences: pd.DataFrame, by: str) -> str:
    """Which group stands out, named only beyond chance.

    Examples
    --------
    >>> table = pd.DataFrame({"segment": ["SMB"], "n": [200], "win_rate_difference": [-0.3],
    ...     "win_rate_difference_low": [-0.41], "win_rate_difference_high": [-0.19], "is_named": [True]})
    >>> groups_sentence(table, "segment")
    'SMB wins less often than the other deals, by 30 points (likely between 19 and 41).'
    >>> groups_sentence(table.assign(is_named=False), "segment")
    'No segment wins more or less often than the other deals beyond chance (1 compared).'
    """
    name = words.label(by).lower()
    if differences.empty:
        return f"Fewer than two groups by {name} have enough closed deals to compare."
    named = differences[differences["is_named"]]
    if named.empty:
        beyond = f"beyond chance ({len(differences)} compared)"
        return f"No {name} wins more or less often than the other deals {beyond}."
    first = named.iloc[0]
    gap, *ends = (first[f"win_rate_difference{end}"] for end in ("", "_low", "_high"))
    near, far = (words.points(end).split()[0] for end in sorted(ends, key=abs))
    return (
        f"{words.group(first[by])} wins {'more' if gap > 0 else 'less'} often than the other deals, "
        f"by {words.points(abs(gap))} (likely between {near} and {far})."
    )


def _rates(opportunities: pd.DataFrame, by: str | None, name: str, confidence: float) -> pd.DataFrame:
    n = cells.weight(opportunities)
    rows = opportunities.assign(n=opportunities["is_closed"] * n, won_count=opportunities["is_won"] * n)
    if by is None:
        table = rows[["n", "won_count"]].sum().to_frame().T.astype(int)
    else:
        checks.require_columns(rows, [by])
        table = rows.groupby(by, observed=True, dropna=False)[["n", "won_count"]].sum()
        table = table.sort_values("n", ascending=False, kind="stable").reset_index()
    low, high = proportions.wilson_interval(table["won_count"], table["n"], confidence)
    rate = table["won_count"] / table["n"].where(table["n"] > 0)
    return table.assign(**{name: rate, f"{name}_low": low, f"{name}_high": high})
