"""Lead routing: who gets which leads, what comes of them, and what giving them to others would gain."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.optimize import linprog
from scipy.stats import norm

from salesops import checks, words
from salesops.leads import with_rate
from salesops.stats import multiplicity, proportions, shrinkage, survival

FOLDS = 5
_STAY = 1e-6  # worth of a lead that stays where it is: no lead moves for nothing

_LIMITS = ("", "_low", "_high")
_KEYS = ["owner_id", "class"]


def rep_leads(rows: pd.DataFrame, *, confidence: float = 0.95) -> pd.DataFrame:
    """Load, response and conversion of each rep with each class of leads.

    The shrunk rate draws each rep's rate to that of the class as far as chance explains the
    distance. A rep is compared with all others in the same class, where both have at least
    `checks.MIN_N` leads, and named by Benjamini-Hochberg over the table. Rows are in the order of
    class and rep: no ranking.

    Known bias: whoever is given the better leads of a class looks better.

    Parameters
    ----------
    rows
        Of `lead_funnel.settled`, with ``owner_id``, ``class``, and ``waited_hours`` and ``is_over`` of `leads.waits`.
    confidence
        Level of the intervals.

    Returns
    -------
    DataFrame
        One row per rep and class: ``owner_id``, ``class``, ``n``, ``n_reached``, ``rep_response_hours_median``,
        ``rep_conversion_rate``, ``shrunk_conversion_rate`` and ``rep_conversion_difference``, each with limits,
        ``p_value``, ``is_named``, ``n_compared``.

    Metrics
    -------
    rep_response_hours : hours, created, lower, -, created_at first_response_at
        Median time from arrival to first response of the rep's leads of the class, unanswered ones censored.
    rep_conversion_rate : rate, created, higher, n_reached / n, created_at
        Share of the rep's leads of the class that reached the goal within the given days of their arrival.
    shrunk_conversion_rate : rate, created, higher, -, created_at
        The same, drawn to the mean of the class as far as chance explains the distance.
    rep_conversion_difference : points, created, higher, -, created_at
        Conversion of the rep's leads of the class less that of the other reps' leads of it.

    Examples
    --------
    >>> rows = pd.DataFrame({
    ...     "owner_id": ["U1"] * 40 + ["U2"] * 40, "class": "A", "is_reached": [True] * 20 + [False] * 60,
    ...     "waited_hours": 2.0, "is_over": True,
    ... })
    >>> rep_leads(rows)[["owner_id", "n", "rep_conversion_rate", "shrunk_conversion_rate", "is_named"]].round(2)
      owner_id   n  rep_conversion_rate  shrunk_conversion_rate  is_named
    0       U1  40                  0.5                    0.49      True
    1       U2  40                  0.0                    0.01      True
    """
    checks.require_columns(rows, [*_KEYS, "is_reached", "waited_hours", "is_over"], where="leads")
    cells = _cells(rows)
    cells = with_rate(cells, "n_reached", "n", "rep_conversion_rate", confidence)
    pieces = [
        pd.concat([each, _shrunk(each, confidence), _against_others(each, confidence)], axis=1)
        for _, each in cells.groupby("class", dropna=False, sort=True)
    ]
    judged = [*_names("shrunk_conversion_rate"), *_names("rep_conversion_difference"), "p_value"]
    table = pd.concat(pieces) if pieces else cells.assign(**{name: np.nan for name in judged})
    medians = [
        survival.duration_quantiles(each["waited_hours"], each["is_over"], confidence=confidence).iloc[0]
        for _, each in rows.groupby(_KEYS, dropna=False, sort=True)
    ]
    times = pd.DataFrame([[each[f"time{end}"] for end in _LIMITS] for each in medians], columns=_names("time"))
    times.columns = _names("rep_response_hours_median")
    table = table.sort_index().join(times).sort_values(["class", "owner_id"], ignore_index=True)
    return multiplicity.named_together(table)[0]


def routing_plan(rows: pd.DataFrame) -> pd.DataFrame:
    """Who would get how many leads of each class if leads went where they convert most often.

    Every rep keeps as many leads as before and every class all of its own; the plan has the
    greatest expected number of conversions at the shrunk rates (a transportation problem).
    Reps with fewer than `checks.MIN_N` leads of a class keep what they have of it; so do leads without
    an owner. What it is worth, `rerouting_gain` says.

    Returns
    -------
    DataFrame
        One row per rep and class: ``owner_id``, ``class``, ``n`` and ``n_planned``.

    Examples
    --------
    >>> rows = pd.DataFrame({
    ...     "owner_id": ["U1"] * 80 + ["U2"] * 80, "class": (["A"] * 40 + ["B"] * 40) * 2,
    ...     "is_reached": [True] * 20 + [False] * 80 + [True] * 20 + [False] * 20 + [True] * 20,
    ... })
    >>> routing_plan(rows)
      owner_id class   n  n_planned
    0       U1     A  40       80.0
    1       U1     B  40        0.0
    2       U2     A  40        0.0
    3       U2     B  40       80.0
    """
    checks.require_columns(rows, [*_KEYS, "is_reached"], where="leads")
    cells = _cells(rows)
    grid, where = _grid(cells)
    planned = cells["n"].astype(float).to_numpy().copy()
    if len(where):
        planned[where] += _moves(_drawn(grid.reached, grid.n)[None], grid.n)[0][grid.n > 0]
    return cells[[*_KEYS, "n"]].assign(n_planned=planned.round(6))


def rerouting_gain(rows: pd.DataFrame, *, draws: int = 200, seed: int = 0, confidence: float = 0.95) -> pd.DataFrame:
    """What giving leads to the reps who convert their class more often would gain, capacity held.

    A plan judged on the leads it was made from always promises something. So the leads of each
    rep and class are parted into five at random; the plan made from four parts is judged on the
    fifth, in turn: its gain there is the sum over cells of leads moved times conversion seen.
    The error is that of 200 bootstrap draws of every cell, plans made anew each time.

    Known bias: takes each rep to do as well with more leads of a class as with those they had.
    Made from four fifths of the leads, the plans judged are a little worse than the one from all.

    Parameters
    ----------
    rows
        Of `lead_funnel.settled`, with ``owner_id`` and ``class``.
    draws, seed
        Of the bootstrap.
    confidence
        Level of the interval.

    Returns
    -------
    DataFrame
        One row: ``n`` (leads), ``n_reached``, ``n_reps`` and ``n_classes`` compared,
        ``rerouting_gain`` with limits (points: conversions gained over leads), ``p_value``,
        ``is_named``, ``n_compared``. Missing where there are not two reps with enough leads of two classes.

    Metrics
    -------
    rerouting_gain : points, created, higher, -, created_at
        Expected rise of the conversion of all leads if each went to a rep who converts its class more often, every
        rep keeping as many leads, judged on leads the plan was not made from.

    Examples
    --------
    >>> rows = pd.DataFrame({
    ...     "owner_id": ["U1"] * 80 + ["U2"] * 80, "class": (["A"] * 40 + ["B"] * 40) * 2,
    ...     "is_reached": [True] * 20 + [False] * 80 + [True] * 20 + [False] * 20 + [True] * 20,
    ... })
    >>> rerouting_gain(rows)[["n", "n_reps", "n_classes", "rerouting_gain", "is_named"]]
         n  n_reps  n_classes  rerouting_gain  is_named
    0  160       2          2           0.125      True
    """
    checks.require_columns(rows, [*_KEYS, "is_reached"], where="leads")
    if draws < 20:
        raise checks.ParameterError(f"draws: {draws} are too few for an interval. Give 20 or more, such as 200.")
    grid, _ = _grid(_cells(rows))
    counts = {"n": len(rows), "n_reached": int(rows["is_reached"].sum())}
    counts |= dict(zip(("n_reps", "n_classes"), grid.n.shape, strict=True))
    gain = low = high = p_value = np.nan
    if min(grid.n.shape) > 1:
        rng = np.random.default_rng(seed)
        seen = _parted(grid.reached, _parts(grid.n), rng)
        gain, *again = _judged(np.stack([seen, *_redrawn(grid, draws, rng)]), grid) / len(rows)
        error = np.std(again, ddof=1)
        low, high = gain + np.array([-1, 1]) * norm.ppf((1 + confidence) / 2) * error
        p_value = 2 * norm.sf(abs(gain) / error) if error > 0 else 1.0
    values = dict(zip(_names("rerouting_gain"), (gain, low, high), strict=True))
    return multiplicity.named_together(pd.DataFrame([counts | values | {"p_value": p_value}]))[0]


def reps_sentence(table: pd.DataFrame, *, goal: str = "become an opportunity", person: str = "owner_id") -> str:
    """Which rep's leads convert more or less often than the others' of the same class, named only beyond chance.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "owner_id": ["U1", "U2"], "class": "A", "is_named": [True, False], "n_compared": 2,
    ...     "rep_conversion_difference": [0.28, -0.2], "rep_conversion_difference_low": [0.15, -0.4],
    ...     "rep_conversion_difference_high": [0.39, 0.01],
    ... })
    >>> reps_sentence(table)
    'Leads of class A become an opportunity more often with U1 than with the other reps, by 28 points (likely between \
15 and 39).'
    >>> reps_sentence(table.assign(is_named=False))
    'With no rep do leads clearly become an opportunity more or less often than with the others, class by class \
(2 pairs of rep and class compared).'
    """
    compared = table[table["rep_conversion_difference"].notna()]
    if compared.empty:
        return "Too few leads by rep and class to compare what comes of them."
    limits = compared[["rep_conversion_difference_low", "rep_conversion_difference_high"]].astype(float)
    named = compared[compared["is_named"] & (limits.prod(axis=1) > 0)]
    if named.empty:
        n = int(compared["n_compared"].iloc[0])
        compared_with = f"the others, class by class ({n} {'pair' if n == 1 else 'pairs'} of rep and class compared)"
        return f"With no rep do leads clearly {goal} more or less often than with {compared_with}."
    row = named.loc[named["rep_conversion_difference"].abs().idxmax()]
    gap, *ends = (row[name] for name in _names("rep_conversion_difference"))
    near, far = (words.points(end).split()[0] for end in sorted(ends, key=abs))
    often = f"{goal} {'more' if gap > 0 else 'less'} often with {words.group(row[person])} than with the other reps"
    by = f"by {words.points(abs(gap))} (likely between {near} and {far})"
    return f"Leads of class {words.group(row['class'])} {often}, {by}."


def gain_sentence(table: pd.DataFrame, *, goal: str = "become an opportunity") -> str:
    """What re-routing would gain, named only beyond chance.

    Examples
    --------
    >>> row = pd.DataFrame({
    ...     "n": [2000], "n_reps": 4, "n_classes": 3, "rerouting_gain": 0.021, "rerouting_gain_low": 0.008,
    ...     "rerouting_gain_high": 0.034, "is_named": True,
    ... })
    >>> gain_sentence(row)
    'If each lead went to a rep who does better with its class, about 21 more of every 1,000 leads would become an \
opportunity (likely between 8 and 34), every rep keeping as many leads.'
    >>> gain_sentence(row.assign(is_named=False, rerouting_gain_low=-0.01))
    'Giving leads to other reps promises no clear gain: between 10 fewer and 34 more of every 1,000 leads become an \
opportunity.'
    """
    row = table.iloc[0]
    gain, low, high = (row[name] for name in _names("rerouting_gain"))
    if words.is_missing(gain):
        return "Too few leads by rep and class to say what giving them to others would gain."
    fewer_more = " and ".join(
        f"{words.count(round(abs(end) * 1000))} {'more' if end >= 0 else 'fewer'}" for end in (low, high)
    )
    if not (row["is_named"] and low > 0):
        promise = "Giving leads to other reps promises no clear gain"
        return f"{promise}: between {fewer_more} of every {words.number(1000)} leads {goal}."
    likely = f"likely between {words.count(round(low * 1000))} and {words.count(round(high * 1000))}"
    many = f"about {words.count(round(gain * 1000))} more of every {words.number(1000)} leads would {goal} ({likely})"
    return f"If each lead went to a rep who does better with its class, {many}, every rep keeping as many leads."


class _Grid(NamedTuple):
    """Leads and conversions of reps (rows) by classes (columns); cells that may not move are empty."""

    n: np.ndarray
    reached: np.ndarray


def _cells(rows: pd.DataFrame) -> pd.DataFrame:
    counted = rows.groupby(_KEYS, dropna=False, sort=True)["is_reached"].agg(n="size", n_reached="sum").reset_index()
    return counted.astype({"n_reached": int})


def _names(name: str) -> list[str]:
    return [f"{name}{end}" for end in _LIMITS]


def _shrunk(cells: pd.DataFrame, confidence: float) -> pd.DataFrame:
    found = shrinkage.pooled_rates(cells["n_reached"], cells["n"], confidence).iloc[:, :3]
    return found.set_axis(_names("shrunk_conversion_rate"), axis=1).set_index(cells.index)


def _against_others(cells: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Each rep's conversion less that of the others with the same class."""
    reached, n = cells["n_reached"], cells["n"]
    other, other_n = reached.sum() - reached, n.sum() - n
    is_large = (n >= checks.MIN_N) & (other_n >= checks.MIN_N) & cells["owner_id"].notna()
    table = pd.DataFrame(np.nan, index=cells.index, columns=[*_names("rep_conversion_difference"), "p_value"])
    for row in cells.index[is_large]:
        counts = (reached[row], n[row], other[row], other_n[row])
        table.loc[row] = [*proportions.difference_interval(*counts, confidence), proportions.score_test(*counts)[0]]
    return table


def _grid(cells: pd.DataFrame) -> tuple[_Grid, np.ndarray]:
    """The cells that may move, laid out, and which rows of the table they are, in the grid's order."""
    where = np.flatnonzero((cells["n"] >= checks.MIN_N) & cells["owner_id"].notna())
    chosen = cells.iloc[where]
    rep, reps = pd.factorize(chosen["owner_id"])
    kind, kinds = pd.factorize(chosen["class"], use_na_sentinel=False)
    n, reached = np.zeros((2, len(reps), len(kinds)))
    n[rep, kind], reached[rep, kind] = chosen["n"], chosen["n_reached"]
    return _Grid(n, reached), where


def _parts(n: np.ndarray) -> np.ndarray:
    """How many leads of each cell fall to each part: as equal as can be."""
    return np.array([(n + part) // FOLDS for part in range(FOLDS)])


def _parted(reached: np.ndarray, parts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The conversions of each cell dealt out to its parts at random."""
    sizes, hits = parts.reshape(FOLDS, -1).astype(int), reached.ravel().astype(int)
    dealt = [rng.multivariate_hypergeometric(colours, n) for colours, n in zip(sizes.T, hits, strict=True)]
    return np.array(dealt, dtype=float).T.reshape(parts.shape)


def _redrawn(grid: _Grid, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Bootstrap of the leads of every cell and part."""
    rates = np.divide(grid.reached, grid.n, out=np.zeros_like(grid.n), where=grid.n > 0)
    parts = _parts(grid.n)
    return rng.binomial(parts.astype(int), rates, (draws, *parts.shape)).astype(float)


def _judged(seen: np.ndarray, grid: _Grid) -> np.ndarray:
    """Conversions gained by plans made without each part, by the rates seen in it."""
    parts = _parts(grid.n)
    rest = _drawn(seen.sum(axis=1, keepdims=True) - seen, grid.n - parts)
    moves = _moves(rest.reshape(-1, *grid.n.shape), grid.n).reshape(seen.shape)
    rates = np.divide(seen, parts, out=np.zeros_like(seen), where=parts > 0)
    return (moves * rates).sum(axis=(2, 3)).mean(axis=1)


def _drawn(reached: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Rates of reps (next to last axis) drawn to their class's mean, by the moments of their spread."""
    total = n.sum(axis=-2, keepdims=True)
    mean = np.divide(reached.sum(axis=-2, keepdims=True), total)
    rates = np.divide(
        reached, n, out=np.broadcast_to(mean, reached.shape).copy(), where=np.broadcast_to(n > 0, reached.shape)
    )
    noise = mean * (1 - mean)
    excess = (n * (rates - mean) ** 2).sum(axis=-2, keepdims=True) - ((n > 0).sum(axis=-2, keepdims=True) - 1) * noise
    effective = total - (n**2).sum(axis=-2, keepdims=True) / total
    spread = np.divide(
        excess, effective, out=np.zeros_like(excess), where=np.broadcast_to(effective > 0, excess.shape)
    ).clip(min=0)
    weight = np.divide(n * spread, n * spread + noise, out=np.zeros_like(rates), where=n * spread + noise > 0)
    return mean + weight * (rates - mean)


def _moves(rates: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Leads each cell gains or gives up in the best plan for each table of rates; all plans in one programme."""
    free = n.ravel() > 0
    rep, kind = (code.ravel()[free] for code in np.indices(n.shape))
    sums = np.vstack([rep == np.arange(n.shape[0])[:, None], kind == np.arange(n.shape[1])[:, None]]).astype(float)
    block = sparse.csr_matrix(np.hstack([sums, -sums]))
    worth = rates.reshape(len(rates), -1)[:, free]
    cost = np.hstack([_STAY - worth, _STAY + worth]).ravel()
    most = np.tile(np.concatenate([np.full(free.sum(), np.inf), n.ravel()[free]]), len(rates))
    kept = sparse.kron(sparse.eye_array(len(rates)), block, format="csr")
    bounds = np.column_stack([np.zeros(len(most)), most])
    found = linprog(cost, A_eq=kept, b_eq=np.zeros(kept.shape[0]), bounds=bounds, method="highs")
    gained, given = found.x.reshape(len(rates), 2, -1).transpose(1, 0, 2)
    moves = np.zeros((len(rates), n.size))
    moves[:, free] = gained - given
    return moves.reshape(rates.shape)
