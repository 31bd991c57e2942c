"""How far two estimates lie apart, and whether that can be told from noise."""

import math
from collections.abc import Mapping

from salesops import words
from salesops.report.figures import plain

_Z = 1.959964  # 95 %


def difference(
    now: Mapping, before: Mapping, column: str, *, is_count: bool = False, is_exact: bool = False
) -> tuple[float | None, float | None, float | None]:
    """Difference of two estimates, with an interval recovered from theirs.

    ``low = d - sqrt((now - now_low)² + (before_high - before)²)`` and its mirror image:
    Newcombe's interval where the limits are Wilson's. A side without limit columns
    is a record, taken as exact, or a count, taken as Poisson with score limits; of two exact
    sides the difference has no interval.

    Parameters
    ----------
    now, before
        Rows with ``column``, ``column_low``, ``column_high``.
    column
        Name of the estimate.
    is_count
        Whether the values are counts of events.
    is_exact
        Whether ``before`` is a target rather than an observation.

    Returns
    -------
    tuple
        Difference, low, high; None where unknown.

    References
    ----------
    Zou & Donner (2008), Statist. Med. 27:1693-1702; Newcombe (1998), ibid. 17:873-890.

    Examples
    --------
    >>> now = {"win_rate": 0.8, "win_rate_low": 0.6919, "win_rate_high": 0.8770}
    >>> before = {"win_rate": 0.6, "win_rate_low": 0.4904, "win_rate_high": 0.7004}
    >>> [round(value, 3) for value in difference(now, before, "win_rate")]
    [0.2, 0.052, 0.334]
    """
    if is_count:
        now, before = _as_poisson(now, column), before if is_exact else _as_poisson(before, column)
    values = [plain(row.get(column)) for row in (now, before)]
    if None in values:
        return None, None, None
    gap = values[0] - values[1]
    if not any(f"{column}_{end}" in row for row in (now, before) for end in ("low", "high")):
        return gap, None, None
    limits = [plain(row.get(f"{column}_{end}", row[column])) for row in (now, before) for end in ("low", "high")]
    if None in limits:
        return gap, -math.inf, math.inf  # an estimate of unknown width: nothing can be called
    (low, high), (other_low, other_high) = limits[:2], limits[2:]
    down = math.hypot(values[0] - low, other_high - values[1])
    up = math.hypot(high - values[0], values[1] - other_low)
    return gap, gap - down, gap + up


def smallest_seen(low: float | None, high: float | None, unit: str, base: float) -> str:
    """The smallest change this much data could have told from noise, in words.

    Examples
    --------
    >>> smallest_seen(-0.03, 0.05, "rate", 0.3), smallest_seen(-20, 60, "amount", 400)
    ('4 points', '10 %')
    """
    if low is None or high is None or not math.isfinite(high - low):
        return ""
    half = (high - low) / 2
    if unit in ("rate", "points"):
        return words.points(half)
    return words.rate(half / base) if base > 0 else ""


def _as_poisson(row: Mapping, column: str) -> Mapping:
    number = plain(row.get(column))
    if number is None or f"{column}_low" in row:
        return row
    half = _Z * math.sqrt(number + _Z**2 / 4)
    centre = number + _Z**2 / 2
    return {**row, f"{column}_low": centre - half, f"{column}_high": centre + half}
