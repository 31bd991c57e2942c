"""Rushed stages: whether deals that pass a stage unusually fast win less often afterwards."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import t as student

from salesops import checks, journey, pipeline, words
from salesops.periods import Calendar, Period, quarter_labels
from salesops.stats import incidence, multiplicity, proportions

_CALENDAR = Calendar()
_DAY = pd.Timedelta(days=1)
_DECIDED = 0.75  # share of the deals of a quarter whose end must be known
_NEEDED = ["opportunity_id", "account_id", "pipeline", "stage", "position", "entered_at", "exited_at", "exit"]


def fast_passes(
    visits: pd.DataFrame,
    *,
    period: Period,
    by: str | Sequence[str] = (),
    share: float = 0.25,
    calendar: Calendar = _CALENDAR,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Win rate after a stage of the deals that passed it fastest, less that of the others that passed it.

    The clock starts when a deal leaves the stage for a later one (its first stay there): all that are compared
    were alive then, and how long they had been in the stage was known. A loss in the stage, which can be quick
    too, is in neither side. Fast are passes of so few whole days as at most a quarter took, or of the fewest where
    more took those; a stage that more than half pass as fast is not compared. Within each group of `by` and quarter
    of leaving, ``gap = win rate of the fast - win rate of the others``, the win rate being the plateau of the
    cumulative incidence of winning from then on (losing competes, open deals are censored); gaps are averaged with
    the weight ``n_fast * n_other / (n_fast + n_other)`` of Mantel and Haenszel, the two rates likewise.
    A group's quarter of which under 75 % are decided is left out. The variance is over companies,
    never less than equal rates would give. Stages are judged together (Benjamini-Hochberg at 10 %).

    Known bias: it compares deals alike in `by` and quarter only. A deal may pass fast because it is simple, or because
    nobody asked; the gap is an association.

    Parameters
    ----------
    visits
        Of `journey.stage_visits`, carrying ``account_id`` and `by`.
    period
        When the stage was left.
    by
        Column or columns within which deals are compared; a missing value is a group.
    share
        Which part of the passes is fast (0-1).
    calendar
        Makes the quarters of leaving.
    confidence
        Level of the intervals.

    Returns
    -------
    DataFrame
        One row per pipeline and stage in order: ``stage``, ``pipeline``, ``n`` (deals compared), ``n_fast``,
        ``n_left_out`` (their quarter is too young, or nobody of the other speed is in their group),
        ``fast_pass_days`` (the longest stay that is fast), ``fast_pass_win_rate``, ``other_pass_win_rate`` and
        ``fast_pass_win_gap`` (points, 0-1) with limits, ``p_value``, ``is_named`` and ``n_compared``. A stage with
        fewer than 20 deals or companies on either side has no p-value.

    Metrics
    -------
    fast_pass_days : days, stage_left, none, -, changed_at
        Longest stay among the passes of the stage that count as fast.
    fast_pass_win_rate : rate, stage_left, higher, -, changed_at
        Of the deals that passed the stage fast, probability of being won afterwards, weighted as the gap is.
    other_pass_win_rate : rate, stage_left, higher, -, changed_at
        The same of the deals that passed it less fast.
    fast_pass_win_gap : points, stage_left, higher, -, changed_at
        Win rate after a stage of the deals that passed it fast less that of the others, compared within groups and
        quarters.

    References
    ----------
    Mantel & Haenszel (1959), J. Natl. Cancer Inst. 22:719-748; Anderson, Cain & Gelber (1983), J. Clin. Oncol.
    1:710-719 (landmarks); Benjamini & Hochberg (1995), J. R. Statist. Soc. B 57:289-300.

    Examples
    --------
    Of 30 deals that passed in a day 6 are won, of 90 that took ten days 45.

    >>> number = np.arange(120)
    >>> visits = pd.DataFrame({
    ...     "opportunity_id": number.repeat(2), "account_id": number.repeat(2), "visit": np.tile([1, 2], 120),
    ...     "pipeline": "new", "stage": np.tile(["One", "Two"], 120), "position": np.tile([1, 2], 120),
    ...     "entered_at": pd.Timestamp("2026-01-01"), "exit": "forward", "is_reentry": False, "days": 0.0,
    ... })
    >>> stays = pd.to_timedelta(np.where(visits["visit"] == 2, 40, np.where(number < 30, 1, 10).repeat(2)), unit="D")
    >>> visits["exited_at"] = visits["entered_at"] + stays
    >>> is_won = (number < 6) | (number >= 75)
    >>> visits.loc[visits["visit"] == 2, "exit"] = np.where(is_won, "won", "lost")
    >>> q1 = Period("2026Q1", pd.Timestamp("2026-01-01").date(), pd.Timestamp("2026-03-31").date())
    >>> found = fast_passes(visits, period=q1)
    >>> found[["stage", "n", "n_fast", "fast_pass_days", "fast_pass_win_gap", "is_named"]].round(2)
      stage    n  n_fast  fast_pass_days  fast_pass_win_gap  is_named
    0   One  120      30             1.0               -0.3      True
    1   Two    0       0             NaN                NaN     False
    """
    columns = [by] if isinstance(by, str) else list(by)
    checks.require_columns(visits, [*_NEEDED, *columns], where="visits")
    if not 0 < share <= 0.5:
        raise checks.ParameterError(f"fast_passes: share is {share}. Give a part of the passes above 0 and up to 0.5.")
    stages = visits[["stage", "pipeline", "position"]].drop_duplicates()
    stages = stages.sort_values(["pipeline", "position", "stage"], ignore_index=True)
    passes = _passes(visits, stages, period, columns, share, calendar)
    sides = _sides(passes)
    table = pd.DataFrame([_compared(passes, sides, number, confidence) for number in range(len(stages))])
    table = pd.concat([stages[["stage", "pipeline"]], table.reindex(columns=_COLUMNS)], axis=1)
    table = table.astype(dict.fromkeys(["n", "n_fast", "n_left_out"], int))
    (table,) = multiplicity.named_together(table)
    return pipeline.dated(table, period, after=["stage", "pipeline"])


def sentence(passes: pd.DataFrame, *, by: str | Sequence[str] = ()) -> str:
    """Which stages seem rushed, in words: those passed fast whose deals then win less, beyond chance.

    Parameters
    ----------
    passes
        Of `fast_passes`; ``is_named`` decides.
    by
        The columns within which deals were compared.

    Examples
    --------
    >>> passes = pd.DataFrame({
    ...     "stage": ["One", "Two"], "pipeline": "new", "n": 400, "fast_pass_days": [3.0, 5.0], "p_value": [0.001, 0.4],
    ...     "fast_pass_win_rate": [0.2, 0.4], "other_pass_win_rate": [0.32, 0.38], "is_named": [True, False],
    ...     "fast_pass_win_gap": [-0.12, 0.02], "fast_pass_win_gap_low": [-0.18, -0.03],
    ...     "fast_pass_win_gap_high": [-0.06, 0.07],
    ... })
    >>> print(sentence(passes, by="segment"))
    Deals that passed One of new within 3 days win 12 points less often afterwards than those that took longer \
(20 % against 32 %; likely between 6 points and 18 points less), compared within segment and quarter.
    >>> print(sentence(passes.assign(is_named=False)))
    At no stage do deals that passed it unusually fast win clearly less often afterwards.
    >>> print(sentence(passes.assign(p_value=None)))
    Too few deals passed the stages to say whether any is rushed.
    """
    if not passes["p_value"].notna().any():
        return "Too few deals passed the stages to say whether any is rushed."
    slower = passes[passes["is_named"] & (passes["fast_pass_win_gap_high"] < 0)].sort_values("fast_pass_win_gap")
    if slower.empty:
        return "At no stage do deals that passed it unusually fast win clearly less often afterwards."
    row, others = slower.iloc[0], [_stage(row) for _, row in slower.iloc[1:].iterrows()]
    within = [words.label(name).lower() for name in ([by] if isinstance(by, str) else by)] + ["quarter"]
    fast, usual = (words.rate(row[f"{side}_pass_win_rate"]) for side in ("fast", "other"))
    limits = words.interval(-row["fast_pass_win_gap_high"], -row["fast_pass_win_gap_low"], "points").replace("+", "")
    less = words.points(-row["fast_pass_win_gap"])
    also = f" The same holds, less strongly, of {_listed(others)}." if others else ""
    return (
        f"Deals that passed {_stage(row)} {_within(row['fast_pass_days'])} win {less} less often afterwards than those "
        f"that took longer ({fast} against {usual}; {limits} less), compared within "
        f"{_listed(within)}.{also}"
    )


class _Passes(NamedTuple):
    """First passes of the stages: one row per deal and stage."""

    stage: np.ndarray
    stratum: np.ndarray  # of its stage, group and quarter; whole numbers from 0 on
    is_fast: np.ndarray
    is_kept: np.ndarray  # the stratum is old enough and holds both speeds
    days: np.ndarray  # from leaving the stage to the end, or the last day
    is_won: np.ndarray
    is_lost: np.ndarray
    company: np.ndarray
    limit: np.ndarray  # of each stage: the longest stay that is fast


class _Sides(NamedTuple):
    """Of each stratum: rates of the fast and the others, its weight, and what each row adds to its side."""

    rate: np.ndarray  # (strata, 2): others, fast
    n: np.ndarray
    weight: np.ndarray
    influence: np.ndarray


_RATES = ("fast_pass_win_rate", "other_pass_win_rate", "fast_pass_win_gap")
_COLUMNS = ["n", "n_fast", "n_left_out", "fast_pass_days"]
_COLUMNS += [f"{name}{end}" for name in _RATES for end in ("", "_low", "_high")] + ["p_value"]


def _passes(
    visits: pd.DataFrame, stages: pd.DataFrame, period: Period, by: list[str], share: float, calendar: Calendar
) -> _Passes:
    rows = journey.ends(visits)
    rows = rows[~rows["is_reentry"] & rows["exit"].isin(["forward", "skip"]) & period.contains(rows["exited_at"])]
    rows = rows.reset_index(drop=True)
    keys = pd.MultiIndex.from_frame(stages[["pipeline", "stage", "position"]])
    stage = keys.get_indexer(pd.MultiIndex.from_frame(rows[["pipeline", "stage", "position"]]))
    stay = np.floor((rows["exited_at"] - rows["entered_at"]) / _DAY)  # `ends` counts its days to the deal's end
    limit = _limits(stay, stage, share).reindex(range(len(stages))).to_numpy()
    is_fast = (stay.to_numpy() <= limit[stage]) if len(rows) else np.zeros(0, dtype=bool)
    quarter = quarter_labels(rows["exited_at"], calendar)
    stratum = rows.assign(of=stage, quarter=quarter).groupby(["of", "quarter", *by], dropna=False).ngroup().to_numpy()
    won, lost = (rows["cause"] == "won").to_numpy(), (rows["cause"] == "lost").to_numpy()
    after = ((rows["final_at"] - rows["exited_at"]) / _DAY).to_numpy()
    company, names = pd.factorize(rows["account_id"])
    company = np.where(company < 0, len(names) + np.arange(len(rows)), company)
    is_kept = _kept(stage, stratum, is_fast, won | lost)
    return _Passes(stage, stratum, is_fast, is_kept, after, won, lost, company, limit)


def _limits(stay: pd.Series, stage: np.ndarray, share: float) -> pd.Series:
    """Of each stage the longest stay that, with all shorter ones, at most the share took; or else its shortest."""
    until = stay.groupby(stage).rank(method="max", pct=True)
    return stay.where(until <= share).groupby(stage).max().fillna(stay.groupby(stage).min())


def _kept(stage: np.ndarray, stratum: np.ndarray, is_fast: np.ndarray, is_decided: np.ndarray) -> np.ndarray:
    n, fast, decided = (np.bincount(stratum, each) for each in (np.ones(len(stratum)), is_fast, is_decided))
    holds = (fast > 0) & (fast < n) & (decided >= _DECIDED * n)
    share_fast = np.bincount(stage, is_fast) / np.maximum(np.bincount(stage), 1)
    return holds[stratum] & (share_fast <= 0.5)[stage]


def _sides(passes: _Passes) -> _Sides:
    n_strata = int(passes.stratum.max(initial=-1)) + 1
    side = np.where(passes.is_kept, 2 * passes.stratum + passes.is_fast, -1)
    found = incidence.plateaus(passes.days, passes.is_won, passes.is_lost, side, n_groups=2 * n_strata)
    n = np.bincount(side[side >= 0], minlength=2 * n_strata).reshape(n_strata, 2).astype(float)
    rate = found.share.reshape(n_strata, 2)
    known = ~np.isnan(rate).any(axis=1)
    weight = np.where(known, n.prod(axis=1) / np.maximum(n.sum(axis=1), 1), 0.0)
    return _Sides(np.nan_to_num(rate), n, weight, found.influence)


def _compared(passes: _Passes, sides: _Sides, number: int, confidence: float) -> dict[str, float]:
    """One stage's rates and gap; the limits of the gap are Student's, those of the rates Wilson's."""
    rows = np.flatnonzero((passes.stage == number) & passes.is_kept)
    rows = rows[sides.weight[passes.stratum[rows]] > 0]
    is_fast, strata = passes.is_fast[rows], np.unique(passes.stratum[rows])
    found = {"n": len(rows), "n_fast": int(is_fast.sum())}
    found |= {"n_left_out": int((passes.stage == number).sum()) - len(rows), "fast_pass_days": passes.limit[number]}
    if not len(rows):
        return found
    weight = sides.weight[strata] / sides.weight[strata].sum()
    other, fast = weight @ sides.rate[strata]
    moves = sides.influence[rows] * sides.weight[passes.stratum[rows]] / sides.weight[strata].sum()
    company = pd.factorize(passes.company[rows])[0]
    within = [np.bincount(company, np.where(is_fast == side, moves, 0.0)) for side in (True, False)]
    for name, share, sums in zip(_RATES, (fast, other), within, strict=False):
        found |= _rate(name, share, sums, confidence)
    n_companies = min(len(np.unique(company[is_fast == side])) for side in (True, False))
    error = np.sqrt(max(_variance(within[0] - within[1]), _least(sides, strata, weight)))
    half = student.ppf((1 + confidence) / 2, max(n_companies - 1, 1)) * error
    gap = fast - other
    found |= {"fast_pass_win_gap": gap, "fast_pass_win_gap_low": gap - half, "fast_pass_win_gap_high": gap + half}
    is_enough = min(is_fast.sum(), (~is_fast).sum(), n_companies) >= checks.MIN_N and error > 0
    return found | {"p_value": 2 * student.sf(abs(gap) / error, n_companies - 1) if is_enough else np.nan}


def _variance(sums: np.ndarray) -> float:
    moving = np.count_nonzero(sums)
    return float((sums**2).sum() * moving / max(moving - 1, 1))


def _least(sides: _Sides, strata: np.ndarray, weight: np.ndarray) -> float:
    """The variance of the gap if both sides of each stratum had its rate and every deal stood alone."""
    n, rate = sides.n[strata], sides.rate[strata]
    together = (n * rate).sum(axis=1) / n.sum(axis=1)
    return float((weight**2 * together * (1 - together) * (1 / n).sum(axis=1)).sum())


def _rate(name: str, share: float, sums: np.ndarray, confidence: float) -> dict[str, float]:
    variance, share = _variance(sums), min(max(share, 0.0), 1.0)
    trials = share * (1 - share) / variance if variance > 0 and 0 < share < 1 else np.count_nonzero(sums) or 1
    low, high = proportions.wilson_interval(share * trials, trials, confidence)
    return {name: share, f"{name}_low": low[0], f"{name}_high": high[0]}


def _within(days: float) -> str:
    return "within a day" if days < 1 else f"within {words.duration(days)}"


def _stage(row: pd.Series) -> str:
    return row["stage"] if pd.isna(row["pipeline"]) else f"{row['stage']} of {row['pipeline']}"


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
