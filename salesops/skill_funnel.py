"""Funnel plot of reps: who lies further from expectation than chance, and the usual differences, make them."""

import numpy as np
import pandas as pd

from salesops import checks
from salesops.periods import Period
from salesops.stats import funnel_limits

_REP = "owner_id"
_LINES = ("chance_low_95", "chance_high_95", "chance_low", "chance_high", "widened_low", "widened_high")
_OUTSIDE = {"is_beyond_chance": "chance_{}", "is_outside": "widened_{}"}


def funnel(reps: pd.DataFrame, *, by: str = _REP, min_n: int = checks.MIN_N, level: float = 0.998) -> pd.DataFrame:
    """Wins over expected wins beside what chance gives, and beside what reps who all differ somewhat would show.

    Exact binomial limits around the expected rate, at 95 % and at `level`. Where reps differ more than chance makes
    them, `level` is widened by the variance beyond chance: who lies outside differs even from reps who differ.

    Parameters
    ----------
    reps
        Of `skill.win_skill`: ``owner_id, n, won_count, expected_win_count``.
    by
        Column that says who, in the place of ``owner_id``.
    min_n
        Deals below which a rep is not judged, and has no row.
    level
        Of the outer limits.

    Returns
    -------
    DataFrame
        One row per rep with `min_n` deals: ``owner_id``, ``n``, ``observed_ratio`` (wins over expected wins, not
        drawn in), ``chance_low_95``, ``chance_high_95``, ``chance_low``, ``chance_high`` (the same ratio at `level`),
        ``widened_low``, ``widened_high``, ``is_beyond_chance`` and ``is_outside`` (of the widened limits).

    Metrics
    -------
    observed_ratio : ratio, closed, higher, won_count / expected_win_count, is_won
        Wins over expected wins as they were.

    References
    ----------
    Spiegelhalter (2005), Statist. Med. 24:1185-1202; Spiegelhalter et al. (2012), J. R. Statist. Soc. A 175:1-47.

    Examples
    --------
    >>> reps = pd.DataFrame({"owner_id": list("abcdef"), "n": 100, "won_count": [60, 30, 31, 29, 28, 32],
    ...     "expected_win_count": 35.0})
    >>> funnel(reps)[["owner_id", "observed_ratio", "chance_low", "chance_high", "is_outside"]].round(2).head(2)
      owner_id  observed_ratio  chance_low  chance_high  is_outside
    0        a            1.71        0.58         1.45        True
    1        b            0.86        0.58         1.45       False
    """
    checks.require_columns(reps, [by, "n", "won_count", "expected_win_count"], where="skill_funnel")
    judged = reps[reps[by].notna() & (reps["n"] >= min_n)].reset_index(drop=True)
    n, won = judged["n"].to_numpy(dtype=float), judged["won_count"].to_numpy(dtype=float)
    rate = judged["expected_win_count"].to_numpy(dtype=float) / n
    found = excess(judged)
    limits = {
        "chance_{}_95": funnel_limits.binomial_limits(n, rate, 0.95),
        "chance_{}": funnel_limits.binomial_limits(n, rate, level),
        "widened_{}": funnel_limits.widened_limits(n, rate, found.variance, level),
    }
    table = judged[[by, "n"]].assign(observed_ratio=won / (n * rate))
    for name, (low, high) in limits.items():
        table = table.assign(**{name.format("low"): low / rate, name.format("high"): high / rate})
    beyond = {name: _beyond(won / n, *limits[of]) for name, of in _OUTSIDE.items()}
    return table.assign(**beyond)


def excess(reps: pd.DataFrame) -> funnel_limits.Overdispersion:
    """How much more the reps' win rates differ from those expected than chance makes them.

    Examples
    --------
    >>> reps = pd.DataFrame({"n": 100, "won_count": [20, 45, 25, 35, 30, 50], "expected_win_count": 34.0})
    >>> found = excess(reps)
    >>> found.n, round(found.ratio, 1), round(found.variance, 4)
    (4, 2.4, 0.0057)
    """
    reps = reps[(reps["n"] > 0) & reps["expected_win_count"].notna()]
    n, expected = reps["n"].to_numpy(dtype=float), reps["expected_win_count"].to_numpy(dtype=float)
    seen, error = funnel_limits.angle(n, reps["won_count"].to_numpy(dtype=float) / n)
    return funnel_limits.overdispersion(seen - funnel_limits.angle(n, expected / n)[0], error)


def funnel_lines(reps: pd.DataFrame, *, level: float = 0.998, points: int = 60) -> pd.DataFrame:
    """The limits of `funnel` as lines over the number of deals, at the company's expected rate.

    Returns
    -------
    DataFrame
        ``n``, ``chance_low_95``, ``chance_high_95``, ``chance_low``, ``chance_high``, ``widened_low``,
        ``widened_high``: ratios to expected wins, at up to `points` whole numbers. No rows where no rep has a deal.

    Examples
    --------
    >>> reps = pd.DataFrame({"n": [50, 100], "won_count": [20, 30], "expected_win_count": [17.0, 33.0]})
    >>> funnel_lines(reps, points=2)[["n", "chance_low", "chance_high"]].round(2)
           n  chance_low  chance_high
    0    1.0        0.00         3.00
    1  100.0        0.56         1.46
    """
    most = reps["n"].max() if len(reps) else 0
    if not most > 0:
        return pd.DataFrame(columns=["n", *_LINES], dtype=float)
    n = np.unique(np.linspace(1, most, points).round())  # a binomial law has no half deals
    rate = reps["expected_win_count"].sum() / reps["n"].sum()
    inner, outer = (funnel_limits.binomial_limits(n, rate, each) for each in (0.95, level))
    ends = [*inner, *outer, *funnel_limits.widened_limits(n, rate, excess(reps).variance, level)]
    return pd.DataFrame({"n": n} | {name: end / rate for name, end in zip(_LINES, ends, strict=True)})


def funnel_sentence(table: pd.DataFrame, window: Period, *, who: str = "reps", min_n: int = checks.MIN_N) -> str:
    """How many reps lie outside the widened limits, beside how many chance puts there; nobody is named.

    Examples
    --------
    >>> from datetime import date
    >>> year = Period("2026", date(2026, 1, 1), date(2026, 12, 31))
    >>> table = pd.DataFrame({"is_beyond_chance": [True, True, False], "is_outside": [True, False, False]})
    >>> funnel_sentence(table, year)
    'In 2026 one of 3 reps lies farther out than chance and usual differences reach.'
    >>> funnel_sentence(table.assign(is_outside=False), year, who="teams")
    'In 2026 none of 3 teams lies farther out than chance and usual differences reach.'
    >>> funnel_sentence(table.head(1), year)
    'Fewer than two reps closed 20 deals in 2026: too few to compare.'
    """
    if len(table) < 2:
        return f"Fewer than two {who} closed {min_n} deals {window.when}: too few to compare."
    n, when = int(table["is_outside"].sum()), window.when
    count = {0: "none", 1: "one"}.get(n, f"{n}")
    start = f"{when[:1].upper()}{when[1:]} {count} of {len(table)} {who} {'lie' if n > 1 else 'lies'}"
    return f"{start} farther out than chance and usual differences reach."


def _beyond(seen: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return (seen < low) | (seen > high)
