"""Typical wins: how much each rep wins at a time, and how long it takes, given the deals and chance."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import f as fisher

from salesops import checks
from salesops.periods import Period
from salesops.skill import DOUBT, Comparison, closed_deals, mix_columns
from salesops.stats import pooling

_REP = "owner_id"
_ROUNDS = 5


def won_amounts(
    deals: pd.DataFrame, *, factors: Sequence[str] | None = None, by: str = _REP, confidence: float = 0.95
) -> Comparison:
    """The amount each rep wins in a typical deal, with the company's mix of deals, drawn in for chance.

    Geometric means: logarithms of the amounts won are a sum of what the mix makes them and of the rep's own part, a
    draw from one normal distribution for all reps (`stats.pooling`). Wins without an amount above 0 are left out.

    Parameters
    ----------
    deals, factors, by, confidence
        As for `skill.win_skill`, with ``amount``; the amount itself is no factor here.

    Returns
    -------
    Comparison
        ``reps``: one row per rep by id: ``owner_id``, ``n`` (deals won with an amount), ``typical_won_amount`` with
        limits; missing with fewer than three reps. ``spread``: ``n``, ``n_reps``, ``p_value`` that all are alike,
        ``is_beyond_chance``.

    Metrics
    -------
    typical_won_amount : amount, closed, higher, -, is_won amount
        Geometric mean amount of the deals a rep wins, given the company's mix, drawn in towards the other reps'.

    References
    ----------
    Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., section 5.4.

    Examples
    --------
    >>> deals = pd.DataFrame({"owner_id": ["U1", "U2", "U3"] * 40, "is_won": True,
    ...     "amount": [100.0, 110.0, 400.0, 200.0, 220.0, 800.0] * 20})
    >>> won_amounts(deals).reps.round(0)[["owner_id", "n", "typical_won_amount"]]
      owner_id   n  typical_won_amount
    0       U1  40               142.0
    1       U2  40               156.0
    2       U3  40               565.0
    """
    checks.require_columns(deals, ["amount"], where="typical_wins")
    return _typical(deals, deals["amount"], "typical_won_amount", factors, by, confidence)


def won_cycles(
    deals: pd.DataFrame, *, factors: Sequence[str] | None = None, by: str = _REP, confidence: float = 0.95
) -> Comparison:
    """The days each rep takes to win a typical deal, with the company's mix of deals, drawn in for chance.

    As `won_amounts`. From creation to the close date; a deal won on its first day counts as one day. Only deals
    that are won already: slow ones still open are missing, for every rep alike.

    Parameters
    ----------
    deals, factors, by, confidence
        As for `skill.win_skill`, with ``created_date`` and ``close_date``.

    Returns
    -------
    Comparison
        ``reps``: ``owner_id``, ``n`` (deals won with both dates), ``typical_won_days`` with limits. ``spread``
        as in `won_amounts`.

    Metrics
    -------
    typical_won_days : days, closed, lower, -, is_won created_date close_date
        Geometric mean days from creation to close of the deals a rep wins, given the mix, drawn in towards the others'.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> deals = pd.DataFrame({"owner_id": ["U1", "U2", "U3"] * 4, "is_won": True, "created_date": day("2026-05-01"),
    ...     "close_date": day(["2026-05-11", "2026-05-13", "2026-07-20"] * 2 + ["2026-05-21", "2026-05-25",
    ...     "2026-09-28"] * 2)})
    >>> won_cycles(deals).reps.round(0)["typical_won_days"].tolist()
    [14.0, 17.0, 108.0]
    """
    checks.require_columns(deals, ["created_date", "close_date"], where="typical_wins")
    days = (deals["close_date"].dt.normalize() - deals["created_date"].dt.normalize()) / pd.Timedelta(days=1)
    return _typical(deals, days.where(days < 0, days.clip(lower=1)), "typical_won_days", factors, by, confidence)


def difference_sentences(
    amounts: pd.DataFrame, cycles: pd.DataFrame, window: Period, *, who: str = "reps"
) -> list[str]:
    """Whether reps win larger deals, or win them faster, than chance and their deals explain; nobody is named.

    Parameters
    ----------
    amounts, cycles
        ``spread`` of `won_amounts` and of `won_cycles`.
    window
        When the deals closed.
    who
        What those compared are called, in the plural.

    Examples
    --------
    >>> from datetime import date
    >>> year = Period("2026", date(2026, 1, 1), date(2026, 12, 31))
    >>> differ = pd.DataFrame({"n_reps": [30], "p_value": [0.001], "is_beyond_chance": [True]})
    >>> difference_sentences(differ, differ.assign(p_value=0.4, is_beyond_chance=False), year)
    ['Given the deals they had, 30 reps differ in 2026 in the amounts they win by more than chance would make them.', \
'Given the deals they had, 30 reps differ in 2026 in the days they take to win no more than chance would make them.']
    >>> difference_sentences(differ, differ.assign(p_value=float("nan")), year, who="teams")[1]
    'In 2026 teams have won too few deals to compare the days they take to win.'
    """
    when, said = window.when, []
    for spread, what in ((amounts, "the amounts they win"), (cycles, "the days they take to win")):
        row = spread.iloc[0]
        if pd.isna(row["p_value"]):
            said.append(f"{when[:1].upper()}{when[1:]} {who} have won too few deals to compare {what}.")
            continue
        more = "by more than" if row["is_beyond_chance"] else "no more than"
        differ = f"{row['n_reps']:.0f} {who} differ {when} in {what} {more} chance would make them"
        said.append(f"Given the deals they had, {differ}.")
    return said


def _typical(
    deals: pd.DataFrame, values: pd.Series, name: str, factors: Sequence[str] | None, by: str, confidence: float
) -> Comparison:
    rows, used = closed_deals(deals.assign(value=values), factors, by=by)
    rows = rows[rows["is_won"].astype(bool)]
    every = np.sort(rows[by].dropna().unique())
    rows = rows[rows[by].notna() & (rows["value"] > 0)].reset_index(drop=True)
    used = [each for each in used if each != "amount" or name != "typical_won_amount"]
    codes, reps = pd.factorize(rows[by], sort=True)
    mean, error, p_value = _adjusted(np.log(rows["value"].to_numpy(dtype=float)), mix_columns(rows, used), codes)
    pooled = np.exp(pooling.pooled_means(mean, error, confidence=confidence, power=1.0)).set_axis(reps).reindex(every)
    n = pd.Series(np.bincount(codes, minlength=len(reps)), index=reps).reindex(every, fill_value=0).astype(int)
    table = pd.DataFrame({by: pd.Series(every, dtype="str"), "n": n.to_numpy()})
    for column in pooled:
        table[column.replace("mean", name)] = pooled[column].to_numpy()
    spread = {"n": len(rows), "n_reps": len(reps), "p_value": p_value, "is_beyond_chance": bool(p_value < DOUBT)}
    return Comparison(table, pd.DataFrame([spread]))


def _adjusted(y: np.ndarray, columns: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Each group's mean at the mean of the columns, its error, and the p-value that all are alike.

    Slopes are those of a model with a normal effect for each group, whose variance is found with them in turn.
    """
    n = np.bincount(codes)
    freedom = len(y) - len(n) - columns.shape[1]
    if len(n) < 2 or freedom < 1:
        return np.full(len(n), np.nan), np.full(len(n), np.nan), np.nan
    ratio = 0.1  # of the groups' variance to that of cases
    for _ in range(_ROUNDS):
        slope, curve = _slopes(y, columns, codes, n, ratio)
        rest = y - columns @ slope
        mean = np.bincount(codes, rest) / n
        variance = max(((rest - mean[codes]) ** 2).sum() / freedom, 1e-12)
        scatter = n @ (mean - n @ mean / n.sum()) ** 2
        between = (scatter / variance - (len(n) - 1)) / (n.sum() - (n**2).sum() / n.sum())
        ratio = max(between, 1e-3)
    away = np.array([np.bincount(codes, column) / n - column.mean() for column in columns.T]).reshape(-1, len(n))
    told = np.sum(away * np.linalg.solve(curve, away), axis=0)
    return mean, np.sqrt(variance * (1 / n + told)), _alike_p_value(y, columns, codes)


def _alike_p_value(y: np.ndarray, columns: np.ndarray, codes: np.ndarray) -> float:
    """F-test of all groups together, beyond the columns."""
    design = np.column_stack([np.ones(len(y)), columns])
    full = np.column_stack([columns, codes[:, None] == np.arange(codes.max() + 1)])
    (without, rank), (beside, full_rank) = (_residual(each, y) for each in (design, full))
    if full_rank in (rank, len(y)) or not beside > 0:
        return np.nan
    square = (without - beside) / (full_rank - rank)
    return float(fisher.sf(square / (beside / (len(y) - full_rank)), full_rank - rank, len(y) - full_rank))


def _residual(design: np.ndarray, y: np.ndarray) -> tuple[float, int]:
    slope, _, rank, _ = np.linalg.lstsq(design, y)
    return float(((y - design @ slope) ** 2).sum()), int(rank)


def _slopes(y: np.ndarray, columns: np.ndarray, codes: np.ndarray, n: np.ndarray, ratio: float) -> tuple:
    """Slopes and their curvature, given the groups' variance; a ridge of one row holds a column that hardly moves."""
    both = np.column_stack([y, columns])
    both = both - both.mean(axis=0)
    drawn = n * ratio / (1 + n * ratio)
    means = np.stack([np.bincount(codes, column) / n for column in both.T], axis=1)
    # Rows less what their group's effect takes up: the square of this is the generalised sum of squares.
    inner = both - ((1 - np.sqrt(1 - drawn))[:, None] * means)[codes]
    curve = inner[:, 1:].T @ inner[:, 1:] + np.eye(columns.shape[1])
    return np.linalg.solve(curve, inner[:, 1:].T @ inner[:, 0]), curve
