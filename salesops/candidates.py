"""Which columns of a deal can be compared with how it ended, and why the others cannot."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from salesops import checks, words
from salesops.landmark import FIXED, KINDS
from salesops.stats import association, ranks

MOST_LEVELS = 12
MIN_N = 20  # deals a level needs to be a level of its own
OTHER = "(other)"
PAIRS = (("segment", "lead_source"), ("segment", "opportunity_type"), ("segment", "product"))

_TOLD = 0.98  # share of the guesses from which a category tells another
_SAME_ORDER = 0.9  # rank correlation of two numbers from which neither can be held equal while the other moves
_GROUPED = 0.7  # share of a number's ranks that a category explains, from which it is that category again
_LEAST_FILLED = 0.5  # a number missing more often says only that it is missing


def candidates(frame: pd.DataFrame, *, factors: Sequence[str] | None = None) -> pd.DataFrame:
    """Which columns can be compared with the outcome, and why the others cannot.

    Of two columns that tell the same (territories within regions, a pipeline that goes with the
    type) the one with fewest levels is kept; of two numbers that rise together (employees and
    revenue) the first, and of a number that goes with a category (employees with the segment) the
    category: one cannot be held equal while the other moves. Nothing is said here of knowing the
    outcome: ask `leaks.guard` first, and give the clean ones as `factors`.

    Parameters
    ----------
    frame, factors
        Of `deals`; the columns looked at, all candidates by default.

    Returns
    -------
    DataFrame
        One row per candidate: ``factor``, ``kind`` (category or number), ``n_levels`` (distinct
        values, a missing category being one), ``filled_rate`` (0-1), ``n``, ``reason`` (missing: may be used).

    Examples
    --------
    >>> frame = pd.DataFrame({"segment": ["SMB", "Mid"] * 20, "pipeline": ["a", "b"] * 20, "currency": "USD"})
    >>> candidates(frame)[["factor", "n_levels", "reason"]].values.tolist()
    [['segment', 2, nan], ['pipeline', 2, 'says the same as segment'], ['currency', 1, 'has one value only']]
    """
    names = frame.columns.drop(list(FIXED), errors="ignore") if factors is None else list(factors)
    checks.require_columns(frame, names)
    columns = ["factor", "kind", "n_levels", "filled_rate", "n", "reason"]
    table = pd.DataFrame([_described(frame[name], name) for name in names], columns=columns)
    told = _told(frame, table[table["reason"].isna()])
    told = [told.get(each) for each in table["factor"]]
    return table.assign(reason=table["reason"].where(table["reason"].notna(), told).astype("str"))


def usable(table: pd.DataFrame) -> list[str]:
    """The factors of a table of `candidates` that nothing speaks against.

    Examples
    --------
    >>> usable(pd.DataFrame({"factor": ["segment", "currency"], "reason": [None, "has one value only"]}))
    ['segment']
    """
    return table.loc[table["reason"].isna(), "factor"].tolist()


def activities(factors: Sequence[str]) -> list[str]:
    """Those of the factors that count activities.

    Examples
    --------
    >>> activities(["segment", "meeting_count", "x_seat_count"])
    ['meeting_count']
    """
    return [each for each in factors if each.removesuffix("_count") in KINDS and each.endswith("_count")]


def pairs(factors: Sequence[str]) -> list[tuple[str, str]]:
    """The few pairs of factors, listed before any data were seen, whose effects may depend on each other.

    Examples
    --------
    >>> pairs(["segment", "lead_source", "region"])
    [('segment', 'lead_source')]
    """
    return [pair for pair in PAIRS if set(pair) <= set(factors)]


def lumped(column: pd.Series, *, min_n: int = MIN_N) -> pd.Series:
    """A category as it is compared: missing is "(none)", levels of fewer than `min_n` deals are "(other)".

    Examples
    --------
    >>> lumped(pd.Series(["a", "a", "b", None, None]), min_n=2).tolist()
    ['a', 'a', '(other)', '(none)', '(none)']
    """
    number, names = _lumped(column, min_n)
    return names.take(number).set_axis(column.index)


def is_number(column: pd.Series) -> bool:
    """Whether a column counts as a number; flags and texts are categories."""
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _lumped(column: pd.Series, min_n: int = MIN_N) -> tuple[np.ndarray, pd.Series]:
    """The number of each row's level as it is compared, and the levels' names."""
    codes, values = pd.factorize(column, use_na_sentinel=False)
    is_few = np.bincount(codes, minlength=len(values)) < min_n
    named = [words.NO_GROUP if pd.isna(value) else str(value) for value in values]
    number, names = pd.factorize(np.where(is_few, OTHER, np.array(named, dtype=object)))
    return number[codes], pd.Series(names, dtype="str")


def _described(column: pd.Series, name: str) -> tuple:
    """One row of `candidates`, without what other columns tell."""
    kind = "number" if is_number(column) else "category"
    n_levels = column.nunique() + int(kind == "category" and column.isna().any())
    filled = float(column.notna().mean()) if len(column) else np.nan
    if not column.notna().any():
        reason = "is empty"
    elif n_levels == 1:
        reason = "has one value only"
    elif kind == "category":
        reason = _too_scattered(column, n_levels)
    else:
        reason = f"is filled in only {words.rate(filled)} of the deals" if filled < _LEAST_FILLED else None
    return name, kind, n_levels, filled, len(column), reason


def _too_scattered(column: pd.Series, n_levels: int) -> str | None:
    number, names = _lumped(column)
    counts = pd.Series(np.bincount(number, minlength=len(names)), index=names)
    large = int((counts.drop(OTHER, errors="ignore") >= MIN_N).sum())
    if large > MOST_LEVELS:
        return f"has too many values ({large} with {MIN_N} deals or more)"
    if large == 0:
        return f"has too many values ({words.count(n_levels)}, none with {MIN_N} deals)"
    # One large value beside a remainder that is no group yet.
    return f"has one value only with {MIN_N} deals or more" if counts.ge(MIN_N).sum() < 2 else None


def _told(frame: pd.DataFrame, usable: pd.DataFrame) -> dict[str, str]:
    """Why a usable column is left out because another, kept one tells it."""
    reasons = {}
    is_category = usable["kind"] == "category"
    ordered = usable[is_category].sort_values("n_levels", kind="stable")["factor"]
    codes = {each: _lumped(frame[each])[0] for each in ordered}
    kept: list[str] = []
    for each in ordered:
        broader = next((other for other in kept if association.names(codes[each], codes[other]) >= _TOLD), None)
        if broader is None:
            kept.append(each)
        elif association.names(codes[broader], codes[each]) >= _TOLD:
            reasons[each] = f"says the same as {words.label(broader).lower()}"
        else:
            reasons[each] = f"lies within {words.label(broader).lower()}: each of its values has only one there"
    reasons |= _same_numbers(frame[usable.loc[~is_category, "factor"]])
    return reasons | _grouped(frame, [each for each in usable.loc[~is_category, "factor"] if each not in reasons], kept)


def _grouped(frame: pd.DataFrame, numbers: Iterable[str], categories: list[str]) -> dict[str, str]:
    """Numbers that hardly vary within the values of a category."""
    found = {}
    # Numbered once: texts are slow to tell apart.
    groups = {each: pd.factorize(frame[each])[0] for each in categories}
    for number in numbers:
        levels = ranks.levels(frame[number].to_numpy(dtype=float, na_value=np.nan))
        shares = dict(zip(groups, association.explained(levels, groups.values()), strict=True))
        most = max(shares, key=lambda each: np.nan_to_num(shares[each]), default=None)
        if most is not None and shares[most] >= _GROUPED:
            found[number] = f"goes with {words.label(most).lower()}"
    return found


def _same_numbers(numbers: pd.DataFrame) -> dict[str, str]:
    """A total whose parts are there, and numbers in the same order as an earlier one."""
    reasons = {}
    if "activity_count" in numbers and any(name.removesuffix("_count") in KINDS for name in numbers):
        reasons["activity_count"] = "is the sum of the counts by kind"
    same = association.same_order(numbers.drop(columns=list(reasons)), least=_SAME_ORDER, min_n=MIN_N)
    return reasons | {each: f"says the same as {words.label(other).lower()}" for each, other in same.items()}
