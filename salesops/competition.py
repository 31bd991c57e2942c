"""Competition: against whom we win less often, and whether what is written down can say so.

The competitor is filled in by hand, often only when a deal is over. So the first question is how
often it is filled in, and for which outcome; where that decides the answer, none is given.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import t as student

from salesops import candidates, checks, pipeline, words
from salesops.stats import groups, logit, multiplicity, proportions, shrinkage

LARGEST_GAP = 0.10  # between how often won and lost deals name a competitor, beyond which rates are withheld
ADJUST = ("segment", "region", "opportunity_type")
_UNKNOWN = {"unknown", "n/a", "na", "-", "?", "not known", "tbd"}
_NOBODY = {"none", "no", "nobody", "no competitor", "no competition", "not competitive"}
_SET_APART = 0.05  # chance of wrongly setting any competitor apart before the others are compared
_PENALTY = 1.0  # strength of the log-F prior on every column but the constant: odds ratios within 1/648 and 648
_DIFFERENCE, _ODDS = "competitive_win_rate_difference", "competitor_odds_ratio"
_RATES = ["competitive_win_rate", "competitive_shrunk_win_rate", _DIFFERENCE, _ODDS]
_ENDS = ("", "_low", "_high")


def fill_by_outcome(opportunities: pd.DataFrame, *, confidence: float = 0.95) -> pd.DataFrame:
    """How often a competitor is named, for deals won, lost, ended without a decision, and open.

    Where a competitor is typed in only after a loss, hardly any won deal names one, and the win
    rate against every competitor looks bad whatever the truth.

    Parameters
    ----------
    opportunities
        With ``outcome`` and ``competitor``.

    Returns
    -------
    DataFrame
        One row per outcome (won and lost always): ``outcome``, ``n``, ``named_count``,
        ``competitor_named_rate`` with Wilson's limits (0-1).

    Metrics
    -------
    competitor_named_rate : rate, closed, none, named_count / n, is_won
        Deals with a competitor named over all deals of that outcome.

    Examples
    --------
    >>> names = ["Cobalt", None, "Cobalt", None]
    >>> deals = pd.DataFrame({"outcome": ["won", "won", "lost", "open"], "competitor": names})
    >>> fill_by_outcome(deals)[["outcome", "n", "competitor_named_rate"]]
      outcome  n  competitor_named_rate
    0     won  2                    0.5
    1    lost  1                    1.0
    2    open  1                    0.0
    """
    checks.require_columns(opportunities, ["outcome", "competitor"])
    is_named = _names(opportunities["competitor"]).notna()
    cells = is_named.groupby(opportunities["outcome"], observed=True).agg(n="size", named_count="sum")
    shown = [name for name in ("won", "lost", "no_decision", "open") if name in {"won", "lost", *cells.index}]
    cells = cells.reindex(shown, fill_value=0).rename_axis("outcome").reset_index()
    return _with_rate(cells, "competitor_named_rate", "named_count", confidence)


def fill_sentence(fill: pd.DataFrame) -> str:
    """Why win rates against competitors are withheld; nothing where they may be shown.

    They are withheld where won and lost deals name a competitor with frequencies that differ by
    more than chance and by more than ten points.

    Parameters
    ----------
    fill
        Of `fill_by_outcome`.

    Examples
    --------
    >>> fill = pd.DataFrame({"outcome": ["won", "lost"], "n": [200, 300], "named_count": [20, 240]})
    >>> print(fill_sentence(fill))
    A competitor is named for 80 % of the deals lost but 10 % of those won, so win rates against competitors \
are withheld.
    >>> fill_sentence(fill.assign(named_count=[160, 240]))
    ''
    """
    won, lost = (fill.set_index("outcome").loc[name] for name in ("won", "lost"))
    if not (won["n"] and lost["n"]):
        return ""
    rates = won["named_count"] / won["n"], lost["named_count"] / lost["n"]
    [p_value] = proportions.score_test(won["named_count"], won["n"], lost["named_count"], lost["n"])
    if abs(rates[0] - rates[1]) <= LARGEST_GAP or p_value >= 0.05:
        return ""
    shown = f"{words.rate(rates[1])} of the deals lost but {words.rate(rates[0])} of those won"
    return f"A competitor is named for {shown}, so win rates against competitors are withheld."


def competitors(
    opportunities: pd.DataFrame,
    by: str | None = None,
    *,
    adjust: Sequence[str] = ADJUST,
    min_n: int = checks.MIN_N,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """How often we win against each competitor, and against it rather than another.

    A competitor's deals are compared with the deals that name another competitor, so that what
    makes a deal competitive at all is on both sides. The odds ratio and the difference in points
    come from a logistic regression on the competitor and the columns of `adjust`, with a
    log-F(1, 1) penalty and errors clustered by account; the points are the mean over all those
    deals of the chance of winning with the competitor less without. One that stands out
    (a chance below 5 % over all compared) is set apart before the others are compared again, or
    each of them would look good beside it.

    Deals whose competitor is not known keep a row, and so do deals said to have none; neither is
    compared. Rates are withheld where `fill_sentence` says so.

    Parameters
    ----------
    opportunities
        With ``competitor``, ``outcome``, ``is_closed``, ``is_won``, ``qualified_date``, ``account_id``, `by` and
        the columns of `adjust`. Where qualified dates are known, deals that never qualified do not count.
    by
        Column to group on: the comparison is then made within each group.
    adjust
        Categories held equal; a missing value is one, values with few deals are taken together.
    min_n
        Fewest closed deals with a competitor, and with all others, to compare.
    confidence
        Level of the intervals.

    Returns
    -------
    DataFrame
        One row per group and competitor, most faced first, the unknown last: `by`, ``competitor``,
        ``faced_count`` (open deals included), ``n`` (closed), ``won_count``, ``competitive_win_rate`` (Wilson),
        ``competitive_shrunk_win_rate`` (each drawn to the mean of the competitors as far as chance explains its
        distance), ``n_others_win_rate`` and ``others_win_rate`` (the deals compared with),
        ``competitive_win_rate_difference`` (points, 0-1), ``competitor_odds_ratio``, ``p_value`` (Holm over the
        competitors); estimates with limits.

    Metrics
    -------
    faced_count : count, closed, none, -, -
        Deals, open ones included, in which the competitor is named.
    competitive_win_rate : rate, closed, higher, won_count / n, is_won qualified_date
        Won over won and lost (no-decision counted as lost) among the qualified deals in which the competitor is named.
    competitive_shrunk_win_rate : rate, closed, higher, -, is_won qualified_date
        The competitive win rate drawn to the mean of all competitors as far as chance explains its distance.
    competitive_win_rate_difference : points, closed, higher, -, is_won qualified_date
        Win rate against the competitor minus that against other competitors, like for like.
    others_win_rate : rate, closed, higher, -, is_won qualified_date
        Win rate of the deals a competitor is compared with: those in which another one is named.
    competitor_odds_ratio : ratio, closed, higher, -, is_won qualified_date
        Odds of winning against the competitor over the odds against other competitors, like for like.

    References
    ----------
    Greenland & Mansournia (2015), Statist. Med. 34:3133-3143; Liang & Zeger (1986), Biometrika 73:13-22.

    Examples
    --------
    >>> deals = pd.DataFrame({
    ...     "competitor": ["Acuity"] * 100 + ["Cobalt"] * 100, "is_won": [True] * 40 + [False] * 60 + [True] * 20 +
    ...     [False] * 80, "is_closed": True, "account_id": range(200), "qualified_date": pd.to_datetime("2026-07-01"),
    ... }).assign(outcome=lambda deals: deals["is_won"].map({True: "won", False: "lost"}))
    >>> table = competitors(deals, adjust=[])
    >>> table[["competitor", "n", "competitive_win_rate", "competitor_odds_ratio", "p_value"]].round(3)
      competitor    n  competitive_win_rate  competitor_odds_ratio  p_value
    0     Acuity  100                   0.4                  2.606    0.005
    1     Cobalt  100                   0.2                  0.384    0.005
    """
    needed = ["competitor", "outcome", "is_closed", "is_won", "account_id", *adjust, *([by] if by else [])]
    checks.require_columns(opportunities, [*needed, "qualified_date"])
    deals = pipeline.qualified(opportunities[list(dict.fromkeys([*needed, "qualified_date"]))])
    deals = deals.assign(competitor=_names(deals["competitor"]))
    held = [column for column in adjust if column != by]
    table = groups.tables_of_each(deals, by, lambda rows: _matrix(rows, held, min_n, confidence))
    table = table.assign(p_value=multiplicity.holm(table["p_value"]), **_shrunk(table, confidence))
    if fill_sentence(fill_by_outcome(deals)):
        table[[*(f"{name}{end}" for name in _RATES for end in _ENDS), "others_win_rate", "p_value"]] = np.nan
    return table


def competitor_sentence(table: pd.DataFrame, fill: pd.DataFrame, *, brief: bool = False) -> str:
    """Against whom we win less often, or more often, than against other competitors; named only beyond chance.

    Parameters
    ----------
    table
        Of `competitors`, without `by`, with ``is_named`` from `stats.multiplicity.named_together`.
    fill
        Of `fill_by_outcome`.
    brief
        Short enough for the title of a chart.

    Examples
    --------
    >>> row = {"competitor": "Cobalt", "n": 210, "competitive_win_rate": 0.15, "n_others_win_rate": 640,
    ...     "others_win_rate": 0.26, "competitive_win_rate_difference": -0.11,
    ...     "competitive_win_rate_difference_low": -0.16,
    ...     "competitive_win_rate_difference_high": -0.06, "p_value": 0.001, "is_named": True}
    >>> fill = pd.DataFrame({"outcome": ["won", "lost"], "n": [500, 900], "named_count": [300, 550]})
    >>> print(competitor_sentence(pd.DataFrame([row]), fill))
    We win less often against Cobalt: 15 % of 210 deals against 26 % of 640 with another competitor named; \
like for like 11 points less (likely between 6 and 16).
    >>> competitor_sentence(pd.DataFrame([row]), fill, brief=True)
    'We win less often against Cobalt than against other competitors, by 11 points.'
    >>> print(competitor_sentence(pd.DataFrame([row | {"is_named": False}]), fill))
    We win no more and no less often against any competitor than against the others, beyond chance (1 compared; \
a difference of 10 points would most likely have shown).
    """
    withheld = fill_sentence(fill)
    if withheld:
        return withheld
    if table["competitor"].isna().all():
        return "No deal names a competitor."
    compared = table[table["p_value"].notna()]
    if compared.empty:
        return "Too few deals name a competitor to compare how often we win."
    named = _nameable(compared)
    if named.empty:
        beyond = f"beyond chance ({len(compared)} compared{_would_have_shown(compared)})"
        return f"We win no more and no less often against any competitor than against the others, {beyond}."
    if brief:
        return f"We win {_said_briefly(named.iloc[0])}."
    return "We win " + "; and ".join(_said(row) for _, row in named.head(2).iterrows()) + "."


def grid_sentence(table: pd.DataFrame, by: str, *, brief: bool = False) -> str:
    """In which group a competitor stands out against the other competitors there; named only beyond chance.

    Parameters
    ----------
    table
        Of `competitors` with `by`, with ``is_named``.
    by
        The column.
    brief
        Short enough for the title of a chart.

    Examples
    --------
    >>> row = {"segment": "SMB", "competitor": "Cobalt", "n": 90, "competitive_win_rate": 0.1, "n_others_win_rate": 300,
    ...     "others_win_rate": 0.3, "competitive_win_rate_difference": -0.2,
    ...     "competitive_win_rate_difference_low": -0.28,
    ...     "competitive_win_rate_difference_high": -0.12, "p_value": 0.001, "is_named": True}
    >>> print(grid_sentence(pd.DataFrame([row]), "segment"))
    In SMB we win less often against Cobalt: 10 % of 90 deals against 30 % of 300 with another competitor named; \
like for like 20 points less (likely between 12 and 28).
    >>> grid_sentence(pd.DataFrame([row]), "segment", brief=True)
    'In SMB we win less often against Cobalt than against other competitors, by 20 points.'
    >>> grid_sentence(pd.DataFrame([row | {"is_named": False}]), "segment")
    'In no segment does a competitor stand out from the others beyond chance (1 compared).'
    """
    name, compared = words.label(by).lower(), table[table["p_value"].notna()]
    if compared.empty:
        return f"Too few deals in each {name} name a competitor to compare how often we win."
    named = _nameable(compared)
    if named.empty:
        return f"In no {name} does a competitor stand out from the others beyond chance ({len(compared)} compared)."
    first = named.iloc[0]
    if brief:
        return f"In {words.group(first[by])} we win {_said_briefly(first)}."
    more = f" {len(named) - 1} more stand out." if len(named) > 2 else " One more stands out." if len(named) > 1 else ""
    return f"In {words.group(first[by])} we win {_said(first)}.{more}"


def _names(column: pd.Series) -> pd.Series:
    """The competitor, missing where what is written says that it is not known."""
    return column.where(~_is_one_of(column, _UNKNOWN))


def _is_one_of(column: pd.Series, known: set[str]) -> pd.Series:
    place, names = pd.factorize(column)  # few are different
    is_known = pd.Series(names).astype("str").str.strip().str.lower().isin(known)
    return pd.Series(np.append(is_known.to_numpy(bool), False)[place], index=column.index)


def _is_rival(column: pd.Series) -> pd.Series:
    return column.notna() & ~_is_one_of(column, _NOBODY)


def _matrix(deals: pd.DataFrame, held: list[str], min_n: int, confidence: float) -> pd.DataFrame:
    """The competitors of some deals, most faced first, the unknown last."""
    cells = deals.assign(won=deals["is_closed"] & deals["is_won"]).groupby("competitor", dropna=False, observed=True)
    table = cells.agg(faced_count=("won", "size"), n=("is_closed", "sum"), won_count=("won", "sum")).reset_index()
    table = table.sort_values(["faced_count", "competitor"], ascending=[False, True], kind="stable")
    table = table.iloc[np.argsort(table["competitor"].isna(), kind="stable")].reset_index(drop=True)
    table = _with_rate(table, "competitive_win_rate", "won_count", confidence)
    found = _compared(deals[deals["is_closed"] & _is_rival(deals["competitor"])], held, min_n, confidence)
    return pd.concat([table, found.reindex(table["competitor"]).reset_index(drop=True)], axis=1)


def _compared(rivals: pd.DataFrame, held: list[str], min_n: int, confidence: float) -> pd.DataFrame:
    """Each competitor against the others; one that stands out is set apart and the rest compared again."""
    estimates = [f"{name}{end}" for name in (_DIFFERENCE, _ODDS) for end in _ENDS]
    columns = ["n_others_win_rate", "others_win_rate", *estimates]
    n = rivals["competitor"].value_counts()
    left, found = sorted(n.index[n >= min_n]), {}
    while left:
        pool = rivals[~rivals["competitor"].isin(found.keys() - {*left})]
        alike, cluster = _dummies(pool, held), logit.clusters(pool["account_id"])
        now = {name: _contrast(pool, name, alike, cluster, confidence) for name in left if len(pool) - n[name] >= min_n}
        found |= now
        first = min(now, key=lambda name: now[name]["p_value"], default=None)
        if first is None or now[first]["p_value"] * len(now) > _SET_APART:
            break
        left.remove(first)
    return pd.DataFrame(list(found.values()), index=list(found), columns=[*columns, "p_value"], dtype=float)


def _contrast(
    pool: pd.DataFrame, name: str, alike: np.ndarray, cluster: logit.Clusters, confidence: float
) -> dict[str, float]:
    """One competitor against all others of the pool, like for like."""
    is_here, won = (pool["competitor"] == name).to_numpy(), pool["is_won"].to_numpy(dtype=float)
    others = {"n_others_win_rate": int((~is_here).sum()), "others_win_rate": won[~is_here].mean()}
    if won.all() or not won.any():
        return others | {"p_value": np.nan}
    design = np.column_stack([np.ones(len(pool)), is_here, alike])
    design = design[:, logit.independent_columns(design)]
    if design.shape[1] < 2 or not np.array_equal(design[:, 1], is_here):
        return others | {"p_value": np.nan}
    strength = np.r_[0.0, np.full(design.shape[1] - 1, _PENALTY)]
    fitted = logit.fit(design, won, cluster=cluster, strength=strength, is_independent=True)
    gap = logit.average_difference(fitted, [1], [1], [0], confidence=confidence)
    # With few wins or losses the residuals are too small to say how uncertain the estimate is.
    error = np.sqrt(max(fitted.covariance[1, 1], fitted.model_covariance[1, 1]))
    step = student.ppf((1 + confidence) / 2, fitted.freedom) * error
    odds = np.exp(fitted.coefficients[1] + np.array([0, -step, step]))
    found = dict(zip([f"{_ODDS}{end}" for end in _ENDS], odds, strict=True))
    found |= dict(zip([f"{_DIFFERENCE}{end}" for end in _ENDS], (gap.estimate, gap.low, gap.high), strict=True))
    return others | found | {"p_value": logit.group_test(fitted, [1]).p_value}


def _dummies(pool: pd.DataFrame, held: list[str]) -> np.ndarray:
    """A column of zeros and ones for each value but the most frequent of each category held equal."""
    columns = []
    for name in held:
        values = candidates.lumped(pool[name])
        columns += [values == value for value in values.value_counts().index[1:]]
    return np.column_stack(columns) if columns else np.empty((len(pool), 0))


def _shrunk(table: pd.DataFrame, confidence: float) -> dict[str, pd.Series]:
    rivals = table[_is_rival(table["competitor"])]
    pooled = shrinkage.pooled_rates(rivals["won_count"], rivals["n"], confidence).set_axis(rivals.index)
    return {f"competitive_shrunk_win_rate{end}": pooled[f"rate{end}"].reindex(table.index) for end in _ENDS}


def _with_rate(cells: pd.DataFrame, name: str, hits: str, confidence: float) -> pd.DataFrame:
    low, high = proportions.wilson_interval(cells[hits], cells["n"], confidence)
    rate = cells[hits] / cells["n"].where(cells["n"] > 0)
    return cells.assign(**{name: rate, f"{name}_low": low, f"{name}_high": high})


def _nameable(compared: pd.DataFrame) -> pd.DataFrame:
    """Those named, those we win least often against first; an interval that holds zero names nothing."""
    ends = compared[f"{_DIFFERENCE}_low"], compared[f"{_DIFFERENCE}_high"]
    clear = compared[compared["is_named"].astype(bool) & ((ends[0] > 0) | (ends[1] < 0))]
    return clear.sort_values(_DIFFERENCE, kind="stable")


def _would_have_shown(compared: pd.DataFrame) -> str:
    """The difference that even the competitor faced least would have shown."""
    rows = compared.itertuples()
    sizes = [proportions.smallest_difference(row.others_win_rate, row.n, row.n_others_win_rate) for row in rows]
    largest = np.nanmax(sizes) if np.isfinite(sizes).any() else np.nan
    return "" if np.isnan(largest) else f"; a difference of {words.points(largest)} would most likely have shown"


def _said_briefly(row: pd.Series) -> str:
    gap, rival = row[_DIFFERENCE], words.group(row["competitor"])
    way = "more" if gap > 0 else "less"
    return f"{way} often against {rival} than against other competitors, by {words.points(abs(gap))}"


def _said(row: pd.Series) -> str:
    gap, *ends = (row[f"{_DIFFERENCE}{end}"] for end in _ENDS)
    near, far = (words.points(end).split()[0] for end in sorted(ends, key=abs))
    way = "more" if gap > 0 else "less"
    shown = f"{words.rate(row['competitive_win_rate'])} of {words.number(row['n'])} deals"
    others = f"{words.rate(row['others_win_rate'])} of {words.number(row['n_others_win_rate'])}"
    return (
        f"{way} often against {words.group(row['competitor'])}: {shown} against {others} with another competitor "
        f"named; like for like {words.points(abs(gap))} {way} (likely between {near} and {far})"
    )
