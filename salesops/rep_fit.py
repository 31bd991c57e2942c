"""Rep fit: who does better with one kind of deal than with others, and what giving deals to those would gain."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.optimize import linprog

from salesops import checks, words
from salesops.stats import crossed, groups, proportions

LEAST = 0.03  # fit above which a rep does notably better with a kind
CALLED = 0.9  # chance of that from which it is said
MATERIAL = 0.01  # deals won more of each deal to come, from which a gain is worth the moves
PROBABLE = 0.8  # chance of that from which a plan is shown

_REP = "owner_id"
_MOVE = 0.01  # a deal moves for no less than this rise of its chance
_LIMITS = ("", "_low", "_high")


class Fit(NamedTuple):
    """Reps by kind of deal, and how much fit differs at all."""

    cells: pd.DataFrame
    spread: pd.DataFrame


class Reassignment(NamedTuple):
    """What giving deals to other reps would gain, and who would get how many; nobody, unless it is probable."""

    gain: pd.DataFrame
    plan: pd.DataFrame


def segment_fit(
    deals: pd.DataFrame, *, by: str = "segment", confidence: float = 0.95, draws: int = crossed.DRAWS, seed: int = 0
) -> Fit:
    """How much better each rep does with each kind of deal than rep and kind alone would give.

    ``fit = p - rep's mean - kind's mean + mean`` of the true win rates ``p`` of reps with kinds, a rep's mean being
    over the company's mix of kinds and a kind's over all reps: 8 points say that what the rep wins more (or less) than
    the others is 8 points higher with this kind than on the whole. Rates are drawn in together, to what
    rep and kind say and as far as chance explains the distance (`stats.crossed`).

    Parameters
    ----------
    deals
        Closed deals of the window, with ``owner_id`` (who has the credit), ``is_won`` and `by`; open ones are left out,
        as are those without an owner. Deals of one ``account_id``, where there is one, may be won together.
    by
        Column with the kind of deal, known before the end; a missing value is a kind.
    confidence
        Level of the intervals.
    draws, seed
        Of the posterior.

    Returns
    -------
    Fit
        ``cells``: one row per rep and kind by id: ``owner_id``, `by`, ``n``, ``won_count``, ``win_rate``,
        ``segment_fit``, each with limits, ``fit_probability`` and ``is_named``: that chance is above 90 % and the
        rep has `checks.MIN_N` deals of the kind and as many of others. Without a deal of the kind, or
        without two reps and two kinds, there is no fit. No ranking. ``spread``: one row: ``n`` (deals), ``n_reps``,
        ``n_kinds`` and ``segment_fit_spread`` with limits.

    Metrics
    -------
    segment_fit : points, closed, none, -, is_won
        Win rate of a rep with a kind of deal above what rep and kind alone would give, drawn in for chance.
    fit_probability : rate, closed, none, -, is_won
        Chance that the true fit exceeds 3 points.
    segment_fit_spread : points, closed, none, -, is_won
        Standard deviation over deals of the reps' true fit with their kinds.

    Notes
    -----
    Fit is an association: a rep may be given the better deals of a kind. Where all reps are alike in their kinds,
    intervals hold the truth more often than they say. A rep who is better than the others by the same odds with every
    kind gains more points where win rates are near a half: that is fit too, as points are what deals are won by, and
    small.

    References
    ----------
    VanderWeele & Knol (2014), Epidemiol. Methods 3:33-72 (additive interaction); Gelman, Hill & Yajima (2012), J. Res.
    Educ. Eff. 5:189-211 (partial pooling instead of corrections for many comparisons).

    Examples
    --------
    >>> won = {("U1", "Large"): 60, ("U1", "Small"): 20, ("U2", "Large"): 30, ("U2", "Small"): 40,
    ...     ("U3", "Large"): 29, ("U3", "Small"): 42}
    >>> rows = [(*who, number < hits) for who, hits in won.items() for number in range(100)]
    >>> found = segment_fit(pd.DataFrame(rows, columns=["owner_id", "segment", "is_won"]))
    >>> found.cells[["owner_id", "segment", "win_rate", "segment_fit", "is_named"]].round(2).head(3)
      owner_id segment  win_rate  segment_fit  is_named
    0       U1   Large       0.6         0.16      True
    1       U1   Small       0.2        -0.16     False
    2       U2   Large       0.3        -0.07     False
    """
    rows, reps, kinds = _known(deals, by)
    names = [*(f"segment_fit{end}" for end in _LIMITS), "fit_probability"]
    if min(len(reps), len(kinds)) < 2:
        cells = _cells(rows, reps, kinds, by, confidence).assign(**dict.fromkeys(names, np.nan), is_named=False)
        return Fit(cells, _spread(rows, reps, kinds, None, confidence))
    found = _posterior(rows, draws, seed)
    fit, n = crossed.interaction(found.drawn, found.n), found.n
    known = np.where(n > 0, 1.0, np.nan)
    judged = [*_summary(fit, confidence), (fit > LEAST).mean(axis=0)]
    cells = _cells(rows, reps, kinds, by, confidence)
    cells = cells.assign(**{name: (each * known).ravel() for name, each in zip(names, judged, strict=True)})
    enough = (n >= checks.MIN_N) & (n.sum(axis=1, keepdims=True) - n >= checks.MIN_N)
    cells["is_named"] = enough.ravel() & (cells["fit_probability"] > CALLED)
    deviation = np.sqrt((fit**2 * n).sum(axis=(1, 2)) / n.sum())
    return Fit(cells, _spread(rows, reps, kinds, deviation, confidence))


def reassignment(
    deals: pd.DataFrame,
    coming: pd.DataFrame,
    *,
    by: str = "segment",
    quarters: float = 1.0,
    confidence: float = 0.95,
    draws: int = crossed.DRAWS,
    seed: int = 0,
) -> Reassignment:
    """What deals would gain if they went to the reps who do better with their kind, every rep keeping as many.

    The plan has the most wins at the posterior means of the reps' rates (a transportation problem); a deal moves
    for a point of its chance or more, and only among reps with `checks.MIN_N` closed deals of its kind. The plan is
    then judged on joint draws of the true rates, not on the rates it was chosen by: what chance made look good is
    drawn in there, and where there may be no fit at all the low end of the gain is about nothing.

    Known bias: takes a rep to do as well with more deals of a kind as with those they had, and a deal that is
    handed over to lose nothing by it.

    Parameters
    ----------
    deals
        As `segment_fit` takes them.
    coming
        The deals to be given out, one row each with ``owner_id`` (who has or would have it) and `by`: open ones, or
        those created in past quarters, as an example of the next.
    quarters
        How many quarters `coming` holds; counts are divided by it.
    by, confidence, draws, seed
        As of `segment_fit`.

    Returns
    -------
    Reassignment
        ``gain``: one row: ``n`` (deals to come), ``n_moved``, ``n_reps`` and ``n_kinds`` among whom deals may move,
        ``fit_gain_win_count`` and ``fit_gain`` with limits, ``gain_probability`` and ``is_probable``: above
        80 %. Missing where there are not two reps with enough deals of two kinds. ``plan``: one row per rep and
        kind that changes: ``owner_id``, `by`, ``n``, ``n_planned``; no row unless the gain is probable.

    Metrics
    -------
    fit_gain_win_count : count, created, higher, -, is_won
        Wins more to be expected of the deals to come if they went to the reps who do better with their kind.
    fit_gain : points, created, higher, -, is_won
        The same for each deal to come.
    gain_probability : rate, created, none, -, is_won
        Chance that the plan wins at least one more of each hundred deals to come.

    References
    ----------
    Smith & Winkler (2006), Manag. Sci. 52:311-322 (the optimizer's curse, and why the posterior is free of it).

    Examples
    --------
    >>> won = {("U1", "Large"): 60, ("U1", "Small"): 20, ("U2", "Large"): 30, ("U2", "Small"): 40,
    ...     ("U3", "Large"): 29, ("U3", "Small"): 42}
    >>> rows = [(*who, number < hits) for who, hits in won.items() for number in range(100)]
    >>> closed = pd.DataFrame(rows, columns=["owner_id", "segment", "is_won"])
    >>> found = reassignment(closed, closed, quarters=10)
    >>> found.gain[["n", "n_moved", "fit_gain_win_count", "fit_gain", "is_probable"]].round(2)
          n  n_moved  fit_gain_win_count  fit_gain  is_probable
    0  60.0     20.0                 5.0      0.08         True
    >>> found.plan.head(2)
      owner_id segment     n  n_planned
    0       U1   Large  10.0       20.0
    1       U1   Small  10.0        0.0
    """
    if not quarters > 0:
        raise checks.ParameterError(f"quarters: {quarters} is no number of quarters. Give one above 0, such as 4.")
    rows, reps, kinds = _known(deals, by)
    checks.require_columns(coming, [_REP, by], where="coming")
    load = _load(coming, reps, kinds, by) / quarters
    found, may = None, np.zeros(load.shape, dtype=bool)
    if min(load.shape) > 1:
        found = _posterior(rows, draws, seed)
        may = _free(found.n, load)
    moves = _moves(found.drawn.mean(axis=0), load, may) if may.any() else np.zeros(load.shape)
    gain = _gain(found, moves, may, len(coming) / quarters, confidence)
    planned = moves if gain["is_probable"].all() else np.zeros(load.shape)
    return Reassignment(gain, _plan(load, planned, reps, kinds, by))


def fit_sentences(cells: pd.DataFrame, *, by: str = "segment", label: str = "name") -> list[str]:
    """Who does better with one kind of deal than with others, in the order of the table; nobody, if so.

    Parameters
    ----------
    cells
        Of `segment_fit`, with a column `label` to call reps by: names, initials or codes, as the people policy says.
    by, label
        Columns of the kind and of the name.

    Examples
    --------
    >>> cells = pd.DataFrame({"owner_id": ["U1", "U1", "U2", "U2"], "name": ["Ann", "Ann", "Bo", "Bo"],
    ...     "segment": ["SMB", "Large"] * 2, "segment_fit": [0.08, -0.08, -0.07, 0.07],
    ...     "segment_fit_low": [0.02, -0.14, -0.13, -0.01], "segment_fit_high": [0.14, -0.02, 0.01, 0.13],
    ...     "is_named": [True, False, False, False]})
    >>> fit_sentences(cells)
    ['Ann does better with segment SMB than the results of Ann on the whole and of all reps with SMB would give: by \
8 points (likely between 2 points and 14 points).']
    >>> fit_sentences(cells.assign(is_named=False))
    ['None of 2 reps does clearly better with one segment than with the others.']
    >>> fit_sentences(cells.assign(is_named=False, segment_fit=None))
    ['There are not two reps and two values of segment to compare, so it cannot be told who does better with which.']
    """
    checks.require_columns(cells, [label, by, "segment_fit", "is_named"], where="rep fit")
    kind = words.label(by).lower()
    compared = cells[cells["segment_fit"].notna()]
    if compared.empty:
        return [
            f"There are not two reps and two values of {kind} to compare, so it cannot be told who does better \
with which."
        ]
    said = []
    for row in cells[cells["is_named"]].to_dict("records"):
        who, what = words.group(row[label]), words.group(row[by])
        ends = (words.points(row[f"segment_fit_{end}"], signed=row["segment_fit_low"] < 0) for end in ("low", "high"))
        much = f"by {words.points(row['segment_fit'])} (likely between {' and '.join(ends)})"
        usual = f"the results of {who} on the whole and of all reps with {what} would give"
        said.append(f"{who} does better with {kind} {what} than {usual}: {much}.")
    n = compared[_REP].nunique()
    return said or [f"None of {n} reps does clearly better with one {kind} than with the others."]


def gain_sentence(gain: pd.DataFrame, *, by: str = "segment", ahead: str = "a usual quarter") -> str:
    """What giving deals to other reps would gain, said only where it is probable.

    Parameters
    ----------
    gain
        Of `reassignment`.
    by
        Column of the kind.
    ahead
        What the deals are of: "a usual quarter", or "the open pipeline".

    Examples
    --------
    >>> row = pd.DataFrame([{"n": 150.0, "n_moved": 34.0, "n_reps": 12, "fit_gain_win_count": 6.2,
    ...     "fit_gain_win_count_low": 1.8, "fit_gain_win_count_high": 10.4, "is_probable": True}])
    >>> gain_sentence(row)
    'If 34 of the 150 deals of a usual quarter went to reps who do better with their segment, every rep keeping as \
many, about 6 more of them would be won (likely between 2 and 10).'
    >>> gain_sentence(row.assign(is_probable=False))
    'Giving deals to other reps by segment promises no gain that is worth the moves.'
    >>> gain_sentence(row.assign(is_probable=False, n_reps=0))
    'There are not two reps with 20 closed deals of two values of segment each, so it cannot be told what giving \
deals to others would gain.'
    """
    row, kind = gain.iloc[0], words.label(by).lower()
    if not row["n_reps"]:
        few = f"There are not two reps with {checks.MIN_N} closed deals of two values of {kind} each"
        return f"{few}, so it cannot be told what giving deals to others would gain."
    if not row["is_probable"]:
        return f"Giving deals to other reps by {kind} promises no gain that is worth the moves."
    moved, n, more, low, high = (
        words.count(round(row[name], 0 if abs(row[name]) >= 1 else 1))
        for name in ("n_moved", "n", *(f"fit_gain_win_count{end}" for end in _LIMITS))
    )
    went = f"If {moved} of the {n} deals of {ahead} went to reps who do better with their {kind}"
    return (
        f"{went}, every rep keeping as many, about {more} more of them would be won (likely between {low} and {high})."
    )


def _known(deals: pd.DataFrame, by: str) -> tuple[pd.DataFrame, pd.Index, pd.Index]:
    """Closed deals with an owner, numbered by rep and kind, and who and what these are."""
    checks.require_columns(deals, [_REP, "is_won", by], where="rep fit")
    rows = deals[deals["is_closed"].astype(bool)] if "is_closed" in deals else deals
    rows = rows[rows[_REP].notna()]
    rep, reps = pd.factorize(rows[_REP], sort=True)
    kind, kinds = pd.factorize(rows[by], sort=True, use_na_sentinel=False)
    return rows.assign(rep=rep, kind=kind), pd.Index(reps), pd.Index(kinds)


def _posterior(rows: pd.DataFrame, draws: int, seed: int) -> crossed.Posterior:
    cluster = groups.clusters(rows["account_id"]) if "account_id" in rows else None
    return crossed.crossed_outcomes(rows["rep"], rows["kind"], rows["is_won"], cluster=cluster, draws=draws, seed=seed)


def _cells(rows: pd.DataFrame, reps: pd.Index, kinds: pd.Index, by: str, confidence: float) -> pd.DataFrame:
    """Counts of every rep with every kind."""
    shape = len(reps), len(kinds)
    cell = (rows["rep"] * len(kinds) + rows["kind"]).to_numpy()
    n = np.bincount(cell, minlength=shape[0] * shape[1])
    won = np.bincount(cell, rows["is_won"], minlength=shape[0] * shape[1]).astype(int)
    low, high = proportions.wilson_interval(won, n, confidence)
    table = {_REP: reps.repeat(len(kinds)), by: kinds[np.tile(np.arange(len(kinds)), len(reps))], "n": n}
    rate = won / np.where(n > 0, n, np.nan)
    return pd.DataFrame(table | {"won_count": won, "win_rate": rate, "win_rate_low": low, "win_rate_high": high})


def _summary(drawn: np.ndarray, confidence: float) -> list[np.ndarray]:
    tail = (1 - confidence) / 2
    return [drawn.mean(axis=0), *np.quantile(drawn, [tail, 1 - tail], axis=0)]


def _spread(rows: pd.DataFrame, reps: pd.Index, kinds: pd.Index, drawn, confidence: float) -> pd.DataFrame:
    ends = [np.nan] * 3 if drawn is None else _summary(drawn, confidence)
    counts = {"n": len(rows), "n_reps": len(reps), "n_kinds": len(kinds)}
    return pd.DataFrame([counts | {f"segment_fit_spread{end}": x for end, x in zip(_LIMITS, ends, strict=True)}])


def _load(coming: pd.DataFrame, reps: pd.Index, kinds: pd.Index, by: str) -> np.ndarray:
    """Deals to come of reps and kinds that are known from closed ones; the others stay where they are."""
    rep, kind = reps.get_indexer(coming[_REP]), kinds.get_indexer(coming[by])
    load = np.zeros((len(reps), len(kinds)))
    known = (rep >= 0) & (kind >= 0)
    np.add.at(load, (rep[known], kind[known]), 1)
    return load


def _free(n: np.ndarray, load: np.ndarray) -> np.ndarray:
    """Reps and kinds among whom deals may move: two of each at least, enough closed deals, and some to come."""
    may = (n >= checks.MIN_N) & (load.sum(axis=1, keepdims=True) > 0) & (load.sum(axis=0) > 0)
    for _ in range(sum(n.shape)):
        kept = may & (may.sum(axis=1, keepdims=True) > 1) & (may.sum(axis=0) > 1)
        if (kept == may).all():
            break
        may = kept
    return may


def _moves(rates: np.ndarray, load: np.ndarray, may: np.ndarray) -> np.ndarray:
    """Deals each rep gains or gives up of each kind in the plan with the most wins."""
    rep, kind = np.nonzero(may)
    sums = sparse.csr_matrix(
        np.vstack([rep == np.arange(may.shape[0])[:, None], kind == np.arange(may.shape[1])[:, None]]).astype(float)
    )
    cost = np.concatenate([_MOVE / 2 - rates[may], _MOVE / 2 + rates[may]])
    bounds = np.column_stack([np.zeros(2 * len(rep)), np.concatenate([np.full(len(rep), np.inf), load[may]])])
    kept = sparse.hstack([sums, -sums])
    found = linprog(cost, A_eq=kept, b_eq=np.zeros(kept.shape[0]), bounds=bounds, method="highs")
    gained, given = found.x.reshape(2, -1)
    moves = np.zeros(load.shape)
    moves[may] = (gained - given).round(9)
    return moves


def _gain(found: crossed.Posterior | None, moves, may, n: float, confidence: float) -> pd.DataFrame:
    """The plan's wins more, on joint draws of the true rates."""
    ends, probability, moved = np.full(3, np.nan), np.nan, np.nan
    if may.any():
        gained = (found.drawn * moves).sum(axis=(1, 2))
        ends = np.array(_summary(gained, confidence), dtype=float)
        probability, moved = float((gained > MATERIAL * n).mean()), float(moves.clip(min=0).sum())
    counts = {"n": n, "n_moved": moved, "n_reps": int(may.any(axis=1).sum()), "n_kinds": int(may.any(axis=0).sum())}
    figures = {f"fit_gain_win_count{end}": x for end, x in zip(_LIMITS, ends, strict=True)}
    figures |= {f"fit_gain{end}": x / n if n else np.nan for end, x in zip(_LIMITS, ends, strict=True)}
    chance = {"gain_probability": probability, "is_probable": bool(probability > PROBABLE)}
    return pd.DataFrame([counts | figures | chance])


def _plan(load: np.ndarray, moves: np.ndarray, reps: pd.Index, kinds: pd.Index, by: str) -> pd.DataFrame:
    rep, kind = np.nonzero(moves)
    planned = (load + moves)[rep, kind].round(6)
    return pd.DataFrame({_REP: reps[rep], by: kinds[kind], "n": load[rep, kind], "n_planned": planned})
