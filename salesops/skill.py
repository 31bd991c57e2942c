"""Skill, luck and mix: how far reps differ once chance and the deals they had are taken out."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from salesops import checks, words
from salesops.periods import Period
from salesops.stats import encoding, hierarchical, proportions

FACTORS = (
    "segment", "opportunity_type", "product", "region", "territory", "lead_source", "is_partner", "size_band", "amount",
)  # fmt: skip
CALLED = 0.8  # chance of being in a quarter from which it is said
DOUBT = 0.02  # p-value of "all alike" from which reps count as alike, and nobody is said to be in a quarter

_REP = "owner_id"
_LEAST = 4  # reps, of whom a quarter is one
_FEW = 8  # one rep in so many: those apart are few, and the others alike
_LEAST_FILLED = 0.5
_OWN = 0.8  # share of a level's deals from which it is one rep's
_MOST_OWN = 0.3  # share of the deals in such levels from which a factor tells reps rather than deals
_RATIOS = ("won_ratio", "won_ratio_low", "won_ratio_high")
_RATES = ("comparable_win_rate", "comparable_win_rate_low", "comparable_win_rate_high")
_RANKS = ("skill_rank", "skill_rank_low", "skill_rank_high")
_QUARTERS = ("top_quarter_probability", "bottom_quarter_probability")


class Comparison(NamedTuple):
    """Reps one by one, and how much they differ at all."""

    reps: pd.DataFrame
    spread: pd.DataFrame


def mix_factors(deals: pd.DataFrame, *, factors: Sequence[str] = FACTORS, by: str = _REP) -> pd.DataFrame:
    """Which facts about a deal its chance may be judged by, and why the others may not.

    A fact that goes with one rep only, such as a territory one rep works alone, tells who sold rather than
    what was sold: judged by it, every rep would be as expected.

    Parameters
    ----------
    deals
        With ``owner_id`` and any of `factors`.
    factors
        Columns to look at; those the deals do not have are left out.
    by
        Whose deals they are: ``"team"`` for teams, and so on.

    Returns
    -------
    DataFrame
        One row per factor found: ``factor``, ``n`` (deals with a rep), ``n_levels`` (distinct values),
        ``filled_rate``, ``own_rate`` (share of the deals in levels of which one rep has 80 % or more; missing for
        a number) and ``reason`` (missing: may be used).

    Examples
    --------
    >>> deals = pd.DataFrame({"owner_id": ["U1", "U1", "U2", "U2"] * 10, "segment": ["SMB", "Mid"] * 20,
    ...     "territory": ["North", "North", "South", "South"] * 10, "product": "one"})
    >>> mix_factors(deals)[["factor", "own_rate", "reason"]].values.tolist()
    [['segment', 0.0, nan], ['product', 0.0, 'has one value only'], ['territory', 1.0, "is mostly one rep's"]]
    """
    checks.require_columns(deals, [by], where="skill")
    rows = deals[deals[by].notna()]
    columns = ["factor", "n", "n_levels", "filled_rate", "own_rate", "reason"]
    found = [_described(rows, name, by) for name in dict.fromkeys(factors) if name in deals and name != by]
    return pd.DataFrame(found, columns=columns).astype({"reason": "str"})


def win_skill(
    deals: pd.DataFrame,
    *,
    factors: Sequence[str] | None = None,
    by: str = _REP,
    confidence: float = 0.95,
    min_n: int = checks.MIN_N,
    draws: int = hierarchical.DRAWS,
    seed: int = 0,
) -> Comparison:
    """Wins of each rep against those the company as a whole would have had from the same deals, drawn in for chance.

    The log odds of a deal are what `factors` say plus its rep's own part, which is a draw from one normal
    distribution for all reps; both are estimated together and the spread is integrated over, so that a rep with few
    deals is drawn to the others and the intervals hold what is not known of the spread (`stats.hierarchical`).

    Parameters
    ----------
    deals
        Closed deals of the window, with ``owner_id`` (who has the credit), ``is_won`` and `factors`; open ones are
        left out. A missing owner has a row, but is compared with nobody.
    factors
        What a deal's chance is judged by; those of `mix_factors` by default. Give only what was known before the end.
    by
        Who is compared: the owners, or the values of another column, such as ``"team"``, of which the tables speak as
        of reps.
    confidence
        Level of the intervals.
    min_n
        Deals below which nobody is said to be in a quarter.
    draws, seed
        Of the ranks.

    Returns
    -------
    Comparison
        ``reps``: one row per rep by id: ``owner_id``, ``n``, ``won_count``, ``win_rate``, ``expected_win_count``,
        ``won_ratio``, ``comparable_win_rate``, ``skill_rank`` (of ``n_compared`` reps, 1 the best), with their
        limits, ``top_quarter_probability``, ``bottom_quarter_probability`` and ``call`` (top quarter, bottom quarter
        or missing): above 80 %, with `min_n` deals, and only for those without whom the others differ no more than
        chance makes them. A quarter is rounded down. ``spread``: one row: ``n`` (deals), ``n_reps``,
        ``win_rate_spread`` with limits, ``p_value`` that all are alike, ``is_beyond_chance`` and ``n_apart``
        (reps without whom the others differ no more than chance makes them).

    Metrics
    -------
    expected_win_count : count, closed, none, -, is_won
        Wins the company as a whole would have had from the rep's deals, given what they were.
    won_ratio : ratio, closed, higher, -, is_won
        Wins over expected wins, drawn in towards the other reps' as far as chance explains the distance.
    comparable_win_rate : rate, closed, higher, -, is_won
        Win rate the rep would have with the company's deals, drawn in likewise.
    skill_rank : count, closed, none, -, is_won
        Place among all reps by comparable win rate; the middle of the places that are likely.
    top_quarter_probability : rate, closed, none, -, is_won
        Chance that the rep's true comparable win rate is among the highest quarter.
    bottom_quarter_probability : rate, closed, none, -, is_won
        Chance that the rep's true comparable win rate is among the lowest quarter.
    win_rate_spread : points, closed, none, -, is_won
        Standard deviation of the reps' true comparable win rates: what is left without chance and mix.

    Notes
    -----
    Deals of one rep count as independent: where one company brings many that are won together, limits are too
    narrow. Deals lost soon close before deals won slowly, so a rep's first months look worse than they are. A fact
    about the deals that is not among the factors is laid to the rep.

    References
    ----------
    Goldstein & Spiegelhalter (1996), J. R. Statist. Soc. A 159:385-443; Normand, Glickman & Gatsonis (1997), J. Am.
    Stat. Assoc. 92:803-814.

    Examples
    --------
    >>> deals = pd.DataFrame({"owner_id": np.repeat(["U1", "U2", "U3", "U4"], 100),
    ...     "is_won": np.concatenate([np.arange(100) < won for won in (60, 31, 30, 29)])})
    >>> found = win_skill(deals)
    >>> found.reps[["owner_id", "expected_win_count", "won_ratio", "comparable_win_rate", "call"]].round(2)
      owner_id  expected_win_count  won_ratio  comparable_win_rate         call
    0       U1                37.5       1.57                 0.59  top quarter
    1       U2                37.5       0.84                 0.31          NaN
    2       U3                37.5       0.81                 0.30          NaN
    3       U4                37.5       0.79                 0.29          NaN
    >>> found.spread.round(2)[["n", "n_reps", "win_rate_spread", "is_beyond_chance"]]
         n  n_reps  win_rate_spread  is_beyond_chance
    0  400       4             0.18              True
    """
    rows, used = closed_deals(deals, factors, by=by)
    table = _counts(rows, by, confidence)
    known = rows[rows[by].notna()]
    if known.empty:
        return Comparison(table.assign(**_unknown(table)), _spread(known, None, confidence))
    codes, reps = pd.factorize(known[by], sort=True)
    columns, factor = _mix(known, used)
    found = hierarchical.grouped_outcomes(
        codes, known["is_won"], columns, factor=factor, draws=draws, doubt=DOUBT, seed=seed
    )
    spread = _spread(known, found, confidence)
    judged = _judged(found, confidence).set_axis(reps).reindex(table[by]).reset_index(drop=True)
    table = table.assign(**judged, n_compared=len(reps))
    is_apart = pd.Series(found.is_apart, index=reps).reindex(table[by], fill_value=False).to_numpy()
    may = (table["n"] >= min_n) & is_apart & (len(reps) >= _LEAST)
    calls = [may & (table[chance] > CALLED) for chance in _QUARTERS]
    return Comparison(table.assign(call=_text(np.select(calls, ["top quarter", "bottom quarter"], ""))), spread)


def closed_deals(
    deals: pd.DataFrame, factors: Sequence[str] | None = None, *, by: str = _REP
) -> tuple[pd.DataFrame, list[str]]:
    """The closed deals, and what their chances may be judged by: `factors`, or those `mix_factors` finds usable.

    Examples
    --------
    >>> deals = pd.DataFrame({"owner_id": "U1", "is_closed": [True, True, False], "is_won": [True, False, False],
    ...     "amount": [1.0, 2.0, 3.0]})
    >>> rows, used = closed_deals(deals)
    >>> len(rows), used
    (2, ['amount'])
    """
    checks.require_columns(deals, [by, "is_won"], where="skill")
    rows = deals[deals["is_closed"].astype(bool)] if "is_closed" in deals else deals
    if factors is not None:
        checks.require_columns(rows, factors, where="skill")
        return rows.reset_index(drop=True), list(factors)
    table = mix_factors(rows, by=by)
    return rows.reset_index(drop=True), table.loc[table["reason"].isna(), "factor"].tolist()


def mix_columns(rows: pd.DataFrame, factors: Sequence[str]) -> np.ndarray:
    """The factors as numbers of one scale, one row per deal; see `stats.encoding`.

    Examples
    --------
    >>> mix_columns(pd.DataFrame({"amount": [1.0, 3.0]}), ["amount"]).tolist()
    [[-1.0], [1.0]]
    """
    return _mix(rows, factors)[0]


def difference_sentence(spread: pd.DataFrame, window: Period, *, who: str = "reps", brief: bool = False) -> str:
    """Whether reps win more or less often than chance and their deals explain; nobody is named.

    Parameters
    ----------
    spread
        Of `win_skill`.
    window
        When the deals closed.
    who
        What those compared are called, in the plural.
    brief
        For a chart's title: without the period and the figures drawn.

    Examples
    --------
    >>> from datetime import date
    >>> year = Period("2026", date(2026, 1, 1), date(2026, 12, 31))
    >>> row = {"n_reps": 30, "n": 1900, "win_rate_spread": 0.05, "win_rate_spread_low": 0.03,
    ...     "win_rate_spread_high": 0.08, "is_beyond_chance": True, "n_apart": 5}
    >>> difference_sentence(pd.DataFrame([row]), year)
    'Reps truly differ in 2026: given the same deals, two thirds of the 30 win within 5 points of the middle \
(likely between 3 points and 8 points).'
    >>> difference_sentence(pd.DataFrame([row | {"n_apart": 1}]), year)
    'Given the same deals, one of 30 reps differs from the others by more than chance in 2026; the others differ no \
more than chance would make them.'
    >>> difference_sentence(pd.DataFrame([row | {"is_beyond_chance": False, "n_apart": 0}]), year, who="teams")
    'Given the deals they had, the differences between the win rates of 30 teams in 2026 are no larger than chance \
would make them.'
    >>> [difference_sentence(pd.DataFrame([row | {"n_apart": n}]), year, brief=True) for n in (1, 5)]
    ['Given the same deals, one of 30 reps differs by more than chance', 'Given the same deals, 30 reps truly differ']
    >>> difference_sentence(pd.DataFrame([row | {"is_beyond_chance": False}]), year, brief=True)
    'Given their deals, 30 reps win no more unequally than chance would make them'
    >>> difference_sentence(pd.DataFrame([row | {"n_reps": 1}]), year)
    'Fewer than two reps closed deals in 2026, so there are none to compare.'
    """
    row, when = spread.iloc[0], window.when
    n, apart = f"{row['n_reps']:.0f} {who}", int(row["n_apart"])
    if row["n_reps"] < 2:
        return f"Fewer than two {who} closed deals {when}, so there are none to compare."
    if not row["is_beyond_chance"]:
        if brief:
            return f"Given their deals, {n} win no more unequally than chance would make them"
        compared = f"the differences between the win rates of {n} {when}"
        return f"Given the deals they had, {compared} are no larger than chance would make them."
    if apart * _FEW <= row["n_reps"]:
        some = f"one of {n} differs" if apart == 1 else f"{apart} of {n} differ"
        if brief:
            return f"Given the same deals, {some} by more than chance"
        others = "the others differ no more than chance would make them"
        return f"Given the same deals, {some} from the others by more than chance {when}; {others}."
    if brief:
        return f"Given the same deals, {n} truly differ"
    ends = (words.points(row[f"win_rate_spread_{end}"]) for end in ("low", "high"))
    near = f"within {words.points(row['win_rate_spread'])} of the middle (likely between {' and '.join(ends)})"
    start = f"{who[:1].upper()}{who[1:]} truly differ {when}"
    return f"{start}: given the same deals, two thirds of the {row['n_reps']:.0f} win {near}."


def call_sentences(reps: pd.DataFrame, *, label: str = "name", who: str = "reps") -> list[str]:
    """Who is called in the top or the bottom quarter, in the order of the table; nobody, if so.

    Parameters
    ----------
    reps
        Of `win_skill`, with a column `label` to call them by: names, initials or codes, as the people policy says.
    label
        That column.
    who
        What those compared are called, in the plural.

    Examples
    --------
    >>> reps = pd.DataFrame({"name": ["Ann", "Bo", "Cy"], "call": ["top quarter", None, "top quarter"],
    ...     "n_compared": 12})
    >>> call_sentences(reps)
    ['Ann and Cy are in the top quarter of 12 reps by wins from the same deals, each with a chance above 80 %.']
    >>> call_sentences(reps.assign(call=None))
    ['Of none of 12 reps can it be said that they are in the top or the bottom quarter.']
    >>> call_sentences(reps.assign(n_compared=3, call=None))
    ['Fewer than four reps closed deals: too few for a top and a bottom quarter.']
    """
    checks.require_columns(reps, [label, "call", "n_compared"], where="skill")
    n = int(reps["n_compared"].max()) if len(reps) else 0
    said = []
    for call in ("top quarter", "bottom quarter"):
        named = [words.group(name) for name in reps.loc[reps["call"] == call, label]]
        listed = " and ".join(filter(None, [", ".join(named[:-1]), *named[-1:]]))
        verb, each = ("is", "with") if len(named) == 1 else ("are", "each with")
        tail = f"{verb} in the {call} of {n} {who} by wins from the same deals, {each} a chance above 80 %."
        said += [f"{listed} {tail}"] if named else []
    if n < _LEAST:
        return [f"Fewer than four {who} closed deals: too few for a top and a bottom quarter."]
    return said or [f"Of none of {n} {who} can it be said that they are in the top or the bottom quarter."]


def _described(rows: pd.DataFrame, name: str, by: str) -> dict[str, object]:
    column = rows[name]
    n_levels, filled = int(column.nunique(dropna=False)), float(column.notna().mean()) if len(column) else np.nan
    own = np.nan if _is_number(column) else _own_rate(rows[by], column)
    reason = None
    if n_levels < 2:
        reason = "has one value only"
    elif filled < _LEAST_FILLED:
        reason = "is too rarely filled"
    elif own > _MOST_OWN:
        reason = "is mostly one rep's"
    found = {"factor": name, "n": len(rows), "n_levels": n_levels, "filled_rate": filled}
    return found | {"own_rate": own, "reason": reason}


def _mix(rows: pd.DataFrame, factors: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """One row per deal, and the number of the factor each column comes from."""
    columns, every = encoding.coded(rows, factors), np.arange(len(rows))
    learnt = encoding.learn(columns, every)
    return encoding.encode(learnt, columns, every), learnt.owner


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _own_rate(rep: pd.Series, column: pd.Series) -> float:
    """Share of the deals in levels of which one rep has nearly all."""
    counts = pd.crosstab(pd.factorize(column, use_na_sentinel=False)[0], rep.to_numpy()).to_numpy()
    n = counts.sum(axis=1)
    return float(n[counts.max(axis=1, initial=0) >= _OWN * n].sum() / max(n.sum(), 1))


def _counts(rows: pd.DataFrame, by: str, confidence: float) -> pd.DataFrame:
    table = rows.groupby(by, dropna=False)["is_won"].agg(n="size", won_count="sum").reset_index()
    table = table.astype({"n": int, "won_count": int})
    low, high = proportions.wilson_interval(table["won_count"], table["n"], confidence)
    return table.assign(win_rate=table["won_count"] / table["n"], win_rate_low=low, win_rate_high=high)


def _judged(found: hierarchical.Posterior, confidence: float) -> pd.DataFrame:
    ratios, rates = hierarchical.ratio_summary(found, confidence), hierarchical.rate_summary(found, confidence)
    places, tail = hierarchical.ranks(found), (1 - confidence) / 2
    n = places.shape[1]
    rank = np.quantile(places, [0.5, tail, 1 - tail], axis=0, method="inverted_cdf").astype(float)
    quarter = max(n // 4, 1)
    chances = [(places <= quarter).mean(axis=0), (places > n - quarter).mean(axis=0)]
    names = ("expected_win_count", *_RATIOS, *_RATES, *_RANKS, *_QUARTERS)
    return pd.DataFrame(dict(zip(names, [found.expected, *ratios, *rates, *rank, *chances], strict=True)))


def _unknown(table: pd.DataFrame) -> dict[str, object]:
    names = ("expected_win_count", *_RATIOS, *_RATES, *_RANKS, *_QUARTERS)
    return dict.fromkeys(names, np.nan) | {"n_compared": 0, "call": _text(np.full(len(table), ""))}


def _text(values: np.ndarray) -> pd.Series:
    column = pd.Series(values, dtype="str")
    return column.where(column != "")


def _spread(known: pd.DataFrame, found: hierarchical.Posterior | None, confidence: float) -> pd.DataFrame:
    mean, low, high, p_value = [np.nan] * 4
    n_reps, n_apart = (0, 0) if found is None else (len(found.n), int(found.is_apart.sum()))
    if n_reps > 1:
        tail, order = (1 - confidence) / 2, np.argsort(found.spread)
        upto = np.cumsum(found.spread_weight[order]) - found.spread_weight[order] / 2
        mean, p_value = found.spread @ found.spread_weight, found.p_value
        low, high = np.interp([tail, 1 - tail], upto, found.spread[order])
    return pd.DataFrame([{
        "n": len(known), "n_reps": n_reps, "win_rate_spread": mean, "win_rate_spread_low": low,
        "win_rate_spread_high": high, "p_value": p_value, "is_beyond_chance": bool(p_value < DOUBT), "n_apart": n_apart,
    }])  # fmt: skip
