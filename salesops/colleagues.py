"""Colleagues: what a person's own page may say of the others, who are never named and never few."""

import numpy as np
import pandas as pd

from salesops import checks, pipeline, words
from salesops.periods import Period
from salesops.stats import proportions

TEAM, COMPANY = "other reps of the team", "reps of other teams"


def beside(
    own: pd.DataFrame, peers: pd.DataFrame, *, period: Period, who: str, smallest_group: int = 5
) -> pd.DataFrame:
    """Win rate of one person beside that of the rest of the team, and of the other teams.

    The three overlap in nobody, so that none can be told from the others by taking one from another. A group of fewer
    than `smallest_group` people with a deal closed in the period is left out.

    Parameters
    ----------
    own
        The person's qualified deals closed in the period, with ``is_won``.
    peers
        Of the company on a person's own page: a row per deal of the others, with ``person`` (a number that says
        nothing), ``is_team``, ``is_closed``, ``is_won``, ``qualified_date``, ``close_date`` and ``closed_at``.
    period
        When the deals closed.
    who
        What the person is called.
    smallest_group
        Fewest people that are shown together.

    Returns
    -------
    DataFrame
        A row for the person and one per group: ``group``, ``n_reps``, ``n`` (qualified deals closed), ``n_won``,
        ``colleague_win_rate`` with Wilson interval, ``colleague_gap`` (the person's less the group's; points) with
        Newcombe interval, missing in the person's own row.

    Metrics
    -------
    colleague_win_rate : rate, closed, higher, won ÷ (won + lost), is_won qualified_date close_date
        Share of the qualified deals closed in the period that were won, of a person or of all people of a group.
    colleague_gap : points, closed, higher, -, is_won qualified_date close_date
        Win rate of the person less that of the group.

    Notes
    -----
    Known bias: the deals are not alike; who works larger ones wins fewer.

    Examples
    --------
    >>> from datetime import date
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> peers = pd.DataFrame({
    ...     "person": [0, 1, 2, 3], "is_team": [True, True, False, False], "is_closed": True,
    ...     "is_won": [True, False, True, True], "qualified_date": pd.Timestamp("2026-05-01"),
    ...     "close_date": pd.Timestamp("2026-08-01"), "closed_at": pd.NaT}).astype({"closed_at": "datetime64[us]"})
    >>> own = pd.DataFrame({"is_won": [True, False, False, False]})
    >>> table = beside(own, peers, period=q3, who="Ann", smallest_group=2)
    >>> table[["group", "n_reps", "n", "colleague_win_rate", "colleague_gap"]]
                        group  n_reps  n  colleague_win_rate  colleague_gap
    0                     Ann       1  4                0.25            NaN
    1  other reps of the team       2  2                0.50          -0.25
    2     reps of other teams       2  2                1.00          -0.75
    >>> len(beside(own, peers, period=q3, who="Ann", smallest_group=3))
    1
    """
    checks.require_columns(own, ["is_won"])
    rows = [(who, 1, len(own), int(own["is_won"].sum()))]
    if len(peers):
        closed = pipeline.qualified(pipeline.closed_in(peers, period))
        for name, is_team in ((TEAM, True), (COMPANY, False)):
            group = closed[closed["is_team"] == is_team]
            people = group["person"].nunique()
            if people >= smallest_group:
                rows.append((name, people, len(group), int(group["is_won"].sum())))
    table = pd.DataFrame(rows, columns=["group", "n_reps", "n", "n_won"])
    low, high = proportions.wilson_interval(table["n_won"], table["n"])
    rate = (table["n_won"] / table["n"]).where(table["n"] > 0)
    first, *others = table[["n_won", "n"]].to_numpy()
    gaps = [(np.nan,) * 3, *(proportions.difference_interval(*first, *other) for other in others)]
    return table.assign(
        colleague_win_rate=rate, colleague_win_rate_low=low, colleague_win_rate_high=high,
        colleague_gap=[gap for gap, _, _ in gaps], colleague_gap_low=[low for _, low, _ in gaps],
        colleague_gap_high=[high for _, _, high in gaps],
    )  # fmt: skip


def beside_sentence(table: pd.DataFrame, *, period: Period, smallest_group: int = 5) -> str:
    """How often the person wins beside the others; a difference only where it is beyond chance.

    Parameters
    ----------
    table
        Of `beside`.
    period, smallest_group
        The same as for it.

    Examples
    --------
    >>> from datetime import date
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> table = pd.DataFrame({"group": ["Ann", TEAM, COMPANY], "n": [80, 300, 1500],
    ...     "colleague_win_rate": [0.5, 0.3, 0.45], "colleague_gap_low": [None, 0.1, -0.06],
    ...     "colleague_gap_high": [None, 0.3, 0.16]})
    >>> beside_sentence(table, period=q3)  # doctest: +NORMALIZE_WHITESPACE
    'Ann won 50 % of 80 deals closed in 2026Q3: clearly more often than the other reps of the team (30 %), and not
    clearly more or less often than the reps of other teams (45 %).'
    >>> beside_sentence(table.assign(colleague_gap_low=0.1), period=q3)  # doctest: +NORMALIZE_WHITESPACE
    'Ann won 50 % of 80 deals closed in 2026Q3: clearly more often than the other reps of the team (30 %) and than the
    reps of other teams (45 %).'
    >>> beside_sentence(table[:1], period=q3)
    'Ann won 50 % of 80 deals closed in 2026Q3; fewer than 5 others closed any, so none are shown beside.'
    >>> beside_sentence(table.assign(n=8), period=q3)
    'Ann closed 8 deals in 2026Q3: too few to set beside those of others.'
    """
    own, others = table.iloc[0], table.iloc[1:]
    n = int(own["n"])
    if n < checks.MIN_N:
        deals = "no deals" if not n else f"{n} {'deal' if n == 1 else 'deals'}"
        return f"{own['group']} closed {deals} {period.when}: too few to set beside those of others."
    won = f"{own['group']} won {words.rate(own['colleague_win_rate'])} of {words.count(n)} deals closed {period.when}"
    if others.empty:
        return f"{won}; fewer than {smallest_group} others closed any, so none are shown beside."
    sides = [_side(row) for _, row in others.iterrows()]
    than = [f"than the {row['group']} ({words.rate(row['colleague_win_rate'])})" for _, row in others.iterrows()]
    if len(set(sides)) == 1:
        return f"{won}: {sides[0]} {' and '.join(than)}."
    return f"{won}: {', and '.join(f'{side} {group}' for side, group in zip(sides, than, strict=True))}."


def _side(row: pd.Series) -> str:
    if row["colleague_gap_low"] > 0:
        return "clearly more often"
    return "clearly less often" if row["colleague_gap_high"] < 0 else "not clearly more or less often"
