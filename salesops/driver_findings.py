"""What the study of drivers found and did not find, in sentences and in the effects it could have seen."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import chi2, ncx2, norm

from salesops import drivers, words
from salesops.candidates import MIN_N, OTHER
from salesops.periods import Period
from salesops.stats.multiplicity import FALSE_DISCOVERY_RATE

_MONEY = ["won_amount_effect", "won_amount_effect_low", "won_amount_effect_high"]


def not_found(
    tests: pd.DataFrame, contrasts: pd.DataFrame, *, power: float = 0.8, confidence: float = 0.95
) -> pd.DataFrame:
    """What was looked at and not found, with the smallest effect these deals would have shown.

    The effect of the best-measured level for which the factor's test falls below the family's
    strictest threshold (rate / comparisons) in four of five cases.

    Parameters
    ----------
    tests
        Of `factor_tests`, with ``is_named`` and ``n_compared``.
    contrasts
        Of `effects`, with intervals of `confidence`.
    power
        Chance of being found.

    Returns
    -------
    DataFrame
        One row per factor tested and not named, best measured first: ``factor``, ``n``, ``detectable_effect`` (0-1).

    Metrics
    -------
    detectable_effect : points, landmark, lower, -, is_won
        Smallest difference of two win rates that this many deals would have shown in four of five cases.

    References
    ----------
    Cohen (1988), Statistical Power Analysis, ch. 12.

    Examples
    --------
    >>> tests = pd.DataFrame({"factor": ["region"], "kind": "category", "n": 800, "n_levels": 2, "p_value": 0.4,
    ...     "is_named": False, "n_compared": 10})
    >>> contrasts = pd.DataFrame({"factor": ["region"], "win_rate_effect_low": -0.03, "win_rate_effect_high": 0.09})
    >>> not_found(tests, contrasts).round(3)
       factor    n  detectable_effect
    0  region  800              0.105
    """
    missed = tests[tests["p_value"].notna() & ~tests["is_named"].astype(bool)]
    width = contrasts["win_rate_effect_high"] - contrasts["win_rate_effect_low"]
    error = (width / (2 * norm.ppf((1 + confidence) / 2))).groupby(contrasts["factor"]).min()
    df = missed["n_levels"].where(missed["kind"] == "category", 2).astype(float).clip(lower=2) - 1
    needed = [_noncentrality(k, FALSE_DISCOVERY_RATE / m, power) for k, m in zip(df, missed["n_compared"], strict=True)]
    table = missed[["factor", "n"]].assign(
        detectable_effect=missed["factor"].map(error).astype(float) * np.sqrt(needed)
    )
    return table.sort_values("detectable_effect", kind="stable", ignore_index=True)


def dose_responses(
    frame: pd.DataFrame, columns: Sequence[str], factors: Sequence[str], *, controls: Sequence[str] = ()
) -> pd.DataFrame:
    """`drivers.dose_response` of each count in turn, in one table.

    Examples
    --------
    >>> deals = pd.DataFrame({
    ...     "is_closed": True, "is_won": ([True] * 20 + [False] * 80) + ([True] * 40 + [False] * 60),
    ...     "meeting_count": [0] * 100 + [3, 4] * 50, "account_id": None,
    ... })
    >>> dose_responses(deals, ["meeting_count"], ["meeting_count"])["adjusted_win_rate"].count()
    np.int64(2)
    """
    tables = [drivers.dose_response(frame, each, factors, controls=controls) for each in columns]
    ends = [f"adjusted_win_rate{end}" for end in ("", "_low", "_high")]
    empty = pd.DataFrame(columns=["factor", "level", "n", *ends])
    return pd.concat(tables, ignore_index=True) if tables else empty


def headlines(
    tests: pd.DataFrame, contrasts: pd.DataFrame, *, period: Period | None = None, currency: str = "", most: int = 5
) -> list[str]:
    """One sentence per confirmed driver, the largest difference first; or that there is none.

    Parameters
    ----------
    tests, contrasts
        Of `factor_tests` with ``is_named``, and of `effects`.
    period
        Of the money.
    currency
        ISO code of amounts.
    most
        Drivers in sentences of their own.

    Examples
    --------
    >>> tests = pd.DataFrame({"factor": ["x_sponsor", "region"], "n": 2000, "p_value": [0.0001, 0.5],
    ...     "is_named": [True, False], "handling": ""})
    >>> contrasts = pd.DataFrame({"factor": ["x_sponsor"], "level": ["Yes"], "reference": ["No"], "n_level": [600],
    ...     "win_rate_with": [0.31], "win_rate_without": [0.22], "win_rate_effect": [0.09],
    ...     "win_rate_effect_low": [0.04], "win_rate_effect_high": [0.14], "n_in_period": [132],
    ...     "won_amount_effect": [1.2e6], "won_amount_effect_low": [5e5], "won_amount_effect_high": [1.9e6],
    ...     "p_value": [0.0001]})
    >>> from datetime import date
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> print(*headlines(tests, contrasts, period=q3, currency="USD"))  # doctest: +NORMALIZE_WHITESPACE
    Deals with sponsor are won more often than those without: 31 % against 22 % with all else alike, a difference of
    9 points (likely between 4 and 14). Over the 132 such deals decided in 2026Q3 it goes with $1.2M more won (likely
    between $500K and $1.9M). An association: it does not show a cause.
    >>> headlines(tests.assign(is_named=False), contrasts)
    ['Of the 2 factors looked at, none goes with winning more or less often by more than chance would give.']
    """
    tested = tests[tests["p_value"].notna()]
    if tested.empty:
        return [_untested(tests)]
    names = tested.loc[tested["is_named"].astype(bool), "factor"]
    if names.empty:
        many = f"Of the {words.count(len(tested))} factors looked at, none goes"
        looked = many if len(tested) > 1 else "The one factor looked at does not go"
        return [f"{looked} with winning more or less often by more than chance would give."]
    clearest = [_clearest(contrasts[contrasts["factor"] == name]) for name in names]
    found = pd.DataFrame(clearest).assign(factor=names.to_numpy())
    found = found.sort_values("win_rate_effect", key=np.abs, ascending=False, kind="stable")
    said = [_sentence(row, period, currency) for _, row in found.head(most).iterrows()]
    return [*said[:-1], f"{said[-1]}{_caution(found.head(most))}", *_beside(found["factor"].iloc[most:])]


def title(tests: pd.DataFrame) -> str:
    """Which factors go with winning, short enough for a chart.

    Examples
    --------
    >>> tests = pd.DataFrame({"factor": ["segment", "x_sponsor", "region"], "p_value": [0.001, 0.002, 0.5],
    ...     "is_named": [True, True, False]})
    >>> title(tests)
    'Segment and sponsor go with winning; 1 other factor shows no clear difference.'
    >>> title(tests.assign(is_named=False)), title(tests.assign(p_value=None))
    ('None of 3 factors goes with winning beyond chance.', 'Too few decided deals to tell what goes with winning.')
    """
    tested = tests[tests["p_value"].notna()]
    if tested.empty:
        return "Too few decided deals to tell what goes with winning."
    found = tested[tested["is_named"].astype(bool)].sort_values("p_value", kind="stable")
    names, others = [_name(each) for each in found["factor"]], len(tested) - len(found)
    if not names:
        return f"None of {len(tested)} factors goes with winning beyond chance."
    listed = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
    said = f"{listed[0].upper()}{listed[1:]} {'go' if len(names) > 1 else 'goes'} with winning"
    if not others:
        return f"{said}."
    show = "other factor shows" if others == 1 else "other factors show"
    return f"{said}; {others} {show} no clear difference."


def shown(tests: pd.DataFrame, contrasts: pd.DataFrame, *, most: int = 12) -> pd.DataFrame:
    """The effects worth a row: every level of the factors that may be named, then the factors with one contrast.

    Of a factor with many levels that may not be named no level is picked out: the largest of many
    is large by chance. The small levels taken together are left out. Their money is in `worth`.

    Returns
    -------
    DataFrame
        Rows of `drivers.effects` with ``is_named``, at most `most`.

    Examples
    --------
    >>> tests = pd.DataFrame({"factor": ["region", "x_trial", "segment"], "is_named": [False, False, True]})
    >>> contrasts = pd.DataFrame({"factor": ["region", "region", "x_trial", "segment"],
    ...     "level": ["A", "B", "Yes", "SMB"], "win_rate_effect": [0.1, 0.05, 0.02, 0.2]})
    >>> shown(tests, contrasts)["level"].tolist()
    ['SMB', 'Yes']
    """
    rows = contrasts[contrasts["level"] != OTHER].merge(tests[["factor", "is_named"]], on="factor")
    is_single = rows.groupby("factor")["level"].transform("size") == 1
    rows = rows[rows["win_rate_effect"].notna() & (rows["is_named"] | is_single)]
    rows = rows.sort_values("is_named", ascending=False, kind="stable", ignore_index=True).head(most)
    return rows.drop(columns=["n_in_period", *_MONEY], errors="ignore")


def worth(tests: pd.DataFrame, contrasts: pd.DataFrame) -> pd.DataFrame:
    """What the effects that may be named come to in the period, in money.

    Returns
    -------
    DataFrame
        One row per level of a named factor: ``factor``, ``level``, ``reference``, ``n`` (deals with the level
        decided in the period, of known amount), ``won_amount_effect`` with interval; none where there is no money.

    Examples
    --------
    >>> tests = pd.DataFrame({"factor": ["x_trial", "segment"], "is_named": [False, True]})
    >>> contrasts = pd.DataFrame({"factor": ["x_trial", "segment"], "level": ["Yes", "SMB"], "reference": ["No", "Mid"],
    ...     "n_in_period": [30, 20], "won_amount_effect": [5.0, 9e4], "won_amount_effect_low": [1.0, 6e4],
    ...     "won_amount_effect_high": [9.0, 1e5]})
    >>> worth(tests, contrasts)[["factor", "level", "n", "won_amount_effect"]].values.tolist()
    [['segment', 'SMB', 20, 90000.0]]
    """
    named = contrasts["factor"].isin(tests.loc[tests["is_named"].astype(bool), "factor"])
    rows = contrasts[named & (contrasts["level"] != OTHER) & contrasts["won_amount_effect"].notna()]
    rows = rows[["factor", "level", "reference", "n_in_period", *_MONEY]]
    return rows.rename(columns={"n_in_period": "n"}).reset_index(drop=True)


def not_found_sentence(missed: pd.DataFrame, *, most: int = 5) -> str:
    """What was looked at and not found, and how small a difference would have been seen.

    Examples
    --------
    >>> missed = pd.DataFrame({"factor": ["region", "lead_source"], "n": 2000, "detectable_effect": [0.06, 0.12]})
    >>> print(not_found_sentence(missed))  # doctest: +NORMALIZE_WHITESPACE
    No clear difference by region or lead source, all else alike: a difference of 6 points (region) to 12 points
    (lead source) would most likely have shown.
    >>> not_found_sentence(missed.head(1))
    'No clear difference by region, all else alike: a difference of 6 points would most likely have shown.'
    >>> not_found_sentence(pd.DataFrame(columns=["factor", "n", "detectable_effect"]))
    'Nothing was looked at and not found.'
    """
    if missed.empty:
        return "Nothing was looked at and not found."
    names = [_name(factor) for factor in missed["factor"]]
    shown = names if len(names) <= most else [*names[: most - 1], f"{len(names) - most + 1} others"]
    listed = f"{', '.join(shown[:-1])} or {shown[-1]}" if len(shown) > 1 else shown[0]
    said = f"No clear difference by {listed}, all else alike"
    known = missed.dropna(subset=["detectable_effect"])
    if known.empty:
        return f"{said}."
    first, last = known.iloc[0], known.iloc[-1]
    least, largest = (words.points(row["detectable_effect"]) for row in (first, last))
    ends = least if least == largest else f"{least} ({_name(first['factor'])}) to {largest} ({_name(last['factor'])})"
    return f"{said}: a difference of {ends} would most likely have shown."


def _noncentrality(df: float, level: float, power: float) -> float:
    """How far from chance a chi-squared must lie to pass `level` with `power`."""
    limit = chi2.isf(level, df)
    return brentq(lambda far: ncx2.sf(limit, df, far) - power, 1e-6, 1e3)


def _clearest(levels: pd.DataFrame) -> pd.Series:
    """The level that stands clear of the reference, or the reference alone with a missing effect."""
    clear = levels[(levels["n_level"] >= MIN_N) & (levels["level"] != OTHER) & (levels["p_value"] < 0.05)]
    if clear.empty:
        return pd.Series({"reference": levels["reference"].iloc[0], "win_rate_effect": np.nan})
    return clear.loc[clear["win_rate_effect"].abs().idxmax()]


def _sentence(row: pd.Series, period: Period | None, currency: str) -> str:
    name = _name(row["factor"])
    if words.is_missing(row["win_rate_effect"]):
        return f"Win rates differ by {name} more than chance would give, but none stands clear of {row['reference']}."
    effect, *ends = (row[f"win_rate_effect{end}"] for end in ("", "_low", "_high"))
    near, far = (words.points(end).split()[0] for end in sorted(ends, key=abs))
    other, own, gap = words.ends(row["win_rate_without"], row["win_rate_with"])
    rates = f"{own} against {other} with all else alike"
    these, those = _having(name, row["level"], row["reference"]), _having("", row["reference"], row["level"])
    return (
        f"Deals {these} are won {'more' if effect > 0 else 'less'} often than those {those}: {rates}, a difference of "
        f"{gap} (likely between {near} and {far}).{_worth(row, period, currency)}"
    )


def _caution(found: pd.DataFrame) -> str:
    """Once, after all that was found: what goes with winning need not bring it about."""
    n = int(found["win_rate_effect"].notna().sum())
    if not n:
        return ""
    return " An association: it does not show a cause." if n == 1 else " These are associations: they show no cause."


def _worth(row: pd.Series, period: Period | None, currency: str) -> str:
    sizes = [row[f"won_amount_effect{end}"] for end in ("", "_low", "_high")]
    if period is None or words.is_missing(sizes[0]):
        return ""
    n = int(row["n_in_period"])
    such = f" Over the {words.count(n)} such deals" if n > 1 else " Over the one such deal"
    if words.covers_zero(*sizes[1:]):
        return f"{such} decided {period.when} it comes to no clear amount."
    more = "more" if sizes[0] > 0 else "less"
    size, near, far = (
        words.amount(abs(each), currency, compact=True) for each in (sizes[0], *sorted(sizes[1:], key=abs))
    )
    return f"{such} decided {period.when} it goes with {size} {more} won (likely between {near} and {far})."


def _having(name: str, level: str, other: str) -> str:
    """The deals of one level; yes and no are said as with and without."""
    if {level, other} == {"Yes", "No"}:
        return f"{'with' if level == 'Yes' else 'without'} {name}".rstrip()
    if level == words.NO_GROUP:
        return f"without {name or 'one'}"
    return f"with {name} {level}" if name else f"with {level}"


def _name(factor: str) -> str:
    return words.label(factor).lower()


def _beside(names: pd.Series) -> list[str]:
    listed = ", ".join(_name(name) for name in names)
    return [f"Beyond chance as well: {listed}."] if listed else []


def _untested(tests: pd.DataFrame) -> str:
    if tests.empty:
        return "No factor was looked at."
    reason = tests["handling"].mode().iloc[0]
    return f"What goes with winning cannot be told: {reason}."
