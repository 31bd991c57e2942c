"""What if: what it would be worth if some points more of the deals went on from a stage."""

import numpy as np
import pandas as pd

from salesops import checks, pipeline, words
from salesops.periods import Period
from salesops.stats import multistate
from salesops.stays import Stays, counted

_QUARTER = 365.25 / 4
_DRAWN = 200  # groups of companies that bootstrap draws are made of
_AT_ONCE = 50  # draws held at once


def gains(
    visits: pd.DataFrame,
    *,
    period: Period,
    points: float = 0.05,
    draws: int = 400,
    confidence: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """What some points more going on from a stage would be worth: more wins, and more won amount, a quarter.

    The stays begun in `period` make an absorbing chain: from each stage the chances of `transitions`,
    scaled to one, and as many new deals a quarter as the period had. At one stage at a time `points` of
    the stays that are lost go on instead, to where those that go on from there go now, and then fare as
    those do. The gain is the difference in wins a quarter, and that times the mean amount of the won
    deals that were in the stage. Points are of stays, so a deal that comes twice profits twice.

    Known bias: deals saved from a loss are taken to go on as the others; they may be weaker. What a
    stage does is taken not to depend on how the deal came to it.

    Parameters
    ----------
    visits
        Of `journey.stage_visits`; with ``account_id`` where deals of a company belong together, and ``amount``
        where money is wanted.
    period
        When the stays began, long enough that most have ended.
    points
        How many more go on, 0-1.
    draws
        Of companies, at most 200 groups of them.
    confidence
        Level of the intervals.
    seed
        Of the draws.

    Returns
    -------
    DataFrame
        One row per pipeline and stage: ``stage``, ``pipeline``, ``n`` (stays), ``n_lost``, ``gained_win_count`` and
        ``gained_win_amount`` a quarter with their limits, ``is_named`` (worth most in `confidence` of the draws).
        Missing where fewer than `points` of the stays are lost, and where nobody went on.

    Metrics
    -------
    gained_win_count : count, stage_entered, higher, -, changed_at
        Wins a quarter that would come on top if so many points of the stays in the stage went on instead of being lost.
    gained_win_amount : amount, stage_entered, higher, -, changed_at amount
        Those wins times the mean amount of the won deals that were in the stage.

    References
    ----------
    Kemeny & Snell (1960), Finite Markov Chains, ch. 3; Field & Welsh (2007), J. R. Statist. Soc. B 69:369-390.

    Examples
    --------
    Half of forty are lost in the only stage: five points more win two of them.

    >>> visits = pd.DataFrame({
    ...     "opportunity_id": [f"d{number}" for number in range(40)], "visit": 1, "pipeline": "new", "stage": "Propose",
    ...     "position": 1, "entered_at": pd.to_datetime("2026-07-01"), "exited_at": pd.to_datetime("2026-07-11"),
    ...     "exit": ["won", "lost"] * 20, "days": 10.0, "amount": 100.0,
    ... })
    >>> quarter = Period("2026Q3", pd.Timestamp("2026-07-01").date(), pd.Timestamp("2026-09-30").date())
    >>> gains(visits, period=quarter)[["stage", "n", "n_lost", "gained_win_count", "gained_win_amount"]].round(0)
         stage   n  n_lost  gained_win_count  gained_win_amount
    0  Propose  40      20               2.0              199.0
    """
    if not 0 < points < 1:
        raise checks.ParameterError(f"gains: points must lie between 0 and 1, not {points}. Five points are 0.05.")
    stays = counted(visits, ["amount"] if "amount" in visits else [])
    rows = stays.rows[period.contains(stays.rows["entered_at"])]
    group, n_groups, _ = multistate.group_numbers(rows["company"], most=_DRAWN)
    weights = np.random.default_rng(seed).multinomial(n_groups, np.full(n_groups, 1 / n_groups), draws)
    weights = np.vstack([np.ones(n_groups), weights])
    sums = _starts_and_amounts(rows, group, n_groups, len(stays.states), period)
    starts, amount, won = (weights @ part for part in sums)
    is_known = rows["entry"].notna().to_numpy()
    shares = _drawn_shares(rows[is_known], group[is_known], weights, stays.numbers)
    each = [_gain(shares, starts, stays.states, at, points) for at in range(len(stays.states))]
    more = np.stack(each, axis=1) if each else np.zeros_like(starts)
    worth = more * np.divide(amount, won, out=np.full(amount.shape, np.nan), where=won > 0)
    table = _gains_table(stays, rows, {"gained_win_count": more, "gained_win_amount": worth}, confidence, n_groups)
    return pipeline.dated(table, period, after=["stage", "pipeline"])


def sentence(table: pd.DataFrame, *, points: float = 0.05, currency: str = "") -> str:
    """What more going on would be worth, from `gains`; a stage is named only if it stands clear of the others.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "stage": ["One", "Two"], "pipeline": "new", "n": 100, "is_named": [False, True],
    ...     "gained_win_count": [4.0, 9.0], "gained_win_count_low": [3.0, 7.0], "gained_win_count_high": [5.0, 11.0],
    ...     "gained_win_amount": [4e4, 9e4],
    ... })
    >>> sentence(table, currency="USD")
    'If 5 points more of the stays in Two went on instead of being lost, and then fared as the others, 9 more deals \
would be won a quarter (likely between 7 and 11), about $90K: more than at any other stage.'
    >>> sentence(table.assign(is_named=False))
    'If 5 points more of the stays in one stage went on instead of being lost, and then fared as the others, between 4 \
and 9 more deals would be won a quarter, depending on the stage; no stage stands clear of the others.'
    """
    known = table[(table["n"] >= checks.MIN_N) & table["gained_win_count"].notna()]
    if known.empty:
        return "Too few deals have left the stages to say what it would be worth if more went on."
    named = known if len(known) == 1 else known[known["is_named"]]
    told = "If {} more of the stays in {} went on instead of being lost, and then fared as the others"
    if named.empty:
        least, most = (words.count(known["gained_win_count"].agg(end)) for end in ("min", "max"))
        span = f"between {least} and {most}" if least != most else f"about {most}"
        gain = f"{span} more deals would be won a quarter, depending on the stage; no stage stands clear of the others."
        return f"{told.format(words.points(points), 'one stage')}, {gain}"
    row = named.iloc[0]
    limits = words.interval(row["gained_win_count_low"], row["gained_win_count_high"], "count")
    gain = f"{words.count(row['gained_win_count'])} more deals would be won a quarter{limits and f' ({limits})'}"
    money = row["gained_win_amount"]
    gain += "" if words.is_missing(money) else f", about {words.amount(money, currency, compact=True)}"
    gain += ": more than at any other stage." if len(known) > 1 else "."
    return f"{told.format(words.points(points), words.group(row['stage']))}, {gain}"


def _starts_and_amounts(rows: pd.DataFrame, group, n_groups: int, n_states: int, period: Period) -> np.ndarray:
    """By group of companies and state: new deals a quarter, and amount and number of the won deals that were there."""
    size = n_groups * n_states
    cell = group * n_states + rows["from"].to_numpy()
    is_new = (rows["visit"] == 1) & (rows["entry"] == 0)
    new = np.bincount(cell[is_new], minlength=size) * _QUARTER / period.days
    if "amount" not in rows:
        return np.stack([new, np.zeros(size), np.zeros(size)]).reshape(3, n_groups, n_states)
    won = rows.assign(cell=cell)[rows["is_won"] & rows["amount"].notna()].drop_duplicates(["deal", "from"])
    amount, n_won = (np.bincount(won["cell"], weight, minlength=size) for weight in (won["amount"], None))
    return np.stack([new, amount, n_won]).reshape(3, n_groups, n_states)


def _drawn_shares(rows: pd.DataFrame, group, weights: np.ndarray, numbers: dict[str, int]) -> np.ndarray:
    """Chances of the ways out of each state in each draw, scaled to one: (draw, state, way), the last unknown."""
    leaving = multistate.leavings(
        rows["from"], rows["to"], rows["time"], entry=rows["entry"], group=group, n_groups=weights.shape[1], **numbers
    )
    found = []
    for counts in leaving:
        flat = counts.moves.reshape(len(counts.moves), -1).astype(float)
        drawn = [
            multistate.next_shares((part @ flat).reshape(len(part), *counts.moves.shape[1:]), part @ counts.at_risk)
            for part in np.array_split(weights, -(-len(weights) // _AT_ONCE))
        ]
        found.append(np.nan_to_num(np.concatenate(drawn)))
    shares = np.stack(found, axis=1) if found else np.zeros((len(weights), 0, 2))
    total = shares.sum(axis=-1, keepdims=True)
    shares = np.divide(shares, total, out=np.zeros_like(shares), where=total > 0)
    return np.concatenate([shares, (total == 0).astype(float)], axis=-1)


def _gain(shares: np.ndarray, starts: np.ndarray, states: pd.DataFrame, at: int, points: float) -> np.ndarray:
    """More wins a quarter in each draw if at one state so many points went on instead of being lost."""
    n, here = len(states), shares[:, at]
    own = (states["pipeline"].fillna("") == states["pipeline"].fillna("").iloc[at]).to_numpy()
    onward = np.r_[own & (states["position"] > states["position"].iloc[at]).to_numpy(), True, False, False]
    forward, lost = here * onward, here[:, n + 1]
    moved = np.minimum(points, lost)
    total = forward.sum(axis=-1)
    better = here + np.divide(moved, total, out=np.full(len(here), np.nan), where=total > 0)[:, None] * forward
    better[:, n + 1] -= moved
    is_known = np.isfinite(better).all(axis=-1) & (lost[0] >= points)
    changed = shares.copy()
    changed[is_known, at] = better[is_known]
    before, after = (
        (starts * multistate.absorbing(each[..., :n], each[..., n:]).absorbed[..., 0]).sum(axis=-1)
        for each in (shares, changed)
    )
    return np.where(is_known, after - before, np.nan)


def _gains_table(stays: Stays, rows: pd.DataFrame, drawn: dict, confidence: float, n_groups: int) -> pd.DataFrame:
    n = len(stays.states)
    lost = rows["from"][rows["to"] == n + 1]
    table = stays.states[["stage", "pipeline"]].assign(
        n=np.bincount(rows["from"], minlength=n), n_lost=np.bincount(lost, minlength=n)
    )
    for name, values in drawn.items():
        low, high = _quantiles(values[1:], confidence, n_groups)
        table = table.assign(**{name: values[0], f"{name}_low": low, f"{name}_high": high})
    is_first = _is_first(drawn["gained_win_count"][1:], confidence) & (n_groups > 1) & (n > 1)
    return table.assign(is_named=is_first & (table["n"] >= checks.MIN_N))


def _quantiles(values: np.ndarray, confidence: float, n_groups: int) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.full((2, values.shape[1]), np.nan)
    known = np.isfinite(values).mean(axis=0) > 0.5
    if n_groups > 1 and known.any():
        limits = [(1 - confidence) / 2, (1 + confidence) / 2]
        low[known], high[known] = np.nanquantile(values[:, known], limits, axis=0)
    return low, high


def _is_first(values: np.ndarray, confidence: float) -> np.ndarray:
    """Which state is worth most in nearly all draws."""
    filled = np.where(np.isfinite(values), values, -np.inf)
    first = np.bincount(filled.argmax(axis=1), minlength=values.shape[1]) if values.size else np.zeros(values.shape[1])
    return first >= confidence * max(len(values), 1)
