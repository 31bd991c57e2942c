"""What goes with winning: factors known at a landmark, each with all the others held equal."""

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from salesops import checks, words
from salesops.candidates import MIN_N
from salesops.driver_model import CROSS, Study, crossed, study_of
from salesops.periods import Period
from salesops.stats import factors as coding
from salesops.stats import logit, multiplicity

BUCKETS = (0, 1, 2, 3, 5)  # where the buckets of a count begin


def factor_tests(
    frame: pd.DataFrame, factors: Sequence[str], *, controls: Sequence[str] = (), cluster: str | None = "account_id"
) -> pd.DataFrame:
    """Whether each factor tells anything about winning that the others do not.

    One logistic regression of won on all factors and controls, over the deals decided. Each factor
    is tested by leaving it out: likelihood ratio, corrected for deals of one company being alike. A
    missing value is a level; levels of fewer than `MIN_N` deals or `LEAST_COMPANIES` companies go
    together as "(other)". A number is standardised, on a logarithmic scale if it is skewed and never
    negative. Where a level has hardly any wins or losses its factor is held towards no effect.

    Known bias: what was not recorded is not held equal: association. Deals still open are left out.

    Parameters
    ----------
    frame
        One row per deal with ``is_closed``, ``is_won``, the factors, the controls and `cluster`;
        see ``landmark.deals``.
    factors
        Columns to test.
    controls
        Columns held equal and not tested, such as the quarter.
    cluster
        Column whose deals belong together; a missing value stands alone.

    Returns
    -------
    DataFrame
        One row per factor: ``factor``, ``kind`` (category or number), ``n`` (deals decided),
        ``n_levels`` (of a category), ``p_value``, ``handling`` (what was done with it, or why it has
        no ``p_value``: too few deals for so many factors, one value only, told by the others).

    Raises
    ------
    DataError
        A column is missing or holds dates.

    References
    ----------
    Rao & Scott (1984), Ann. Statist. 12:46-60; Peduzzi et al. (1996), J. Clin. Epidemiol. 49:1373-1379.

    Examples
    --------
    >>> deals = pd.DataFrame({
    ...     "is_closed": True, "is_won": [True] * 45 + [False] * 55 + [True] * 30 + [False] * 70,
    ...     "x_sponsor": ["Yes"] * 100 + ["No"] * 100, "account_id": [f"A{number % 90}" for number in range(200)],
    ... })
    >>> factor_tests(deals, ["x_sponsor"])[["factor", "kind", "n", "n_levels", "p_value"]].round(3)
          factor      kind    n  n_levels  p_value
    0  x_sponsor  category  200         2    0.031
    """
    study = study_of(frame, factors, controls, cluster)
    rows = [{"factor": each} | _tested(study, each) for each in factors]
    return pd.DataFrame(rows, columns=["factor", *_TEST]).astype({"n_levels": "Int64", "p_value": float})


def effects(
    frame: pd.DataFrame,
    factors: Sequence[str],
    *,
    controls: Sequence[str] = (),
    cluster: str | None = "account_id",
    period: Period | None = None,
    decided: pd.DataFrame | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """How much more often deals with a level are won than with the reference, all else held equal.

    ``win_rate_effect`` is the mean over all decided deals of the chance of winning with the
    level, less that with the reference (g-computation on the model of `factor_tests`). The
    reference is the most frequent level. A number compares its upper quartile with its lower;
    where these are equal, the middle of the values beyond stands for one.

    The money is the same difference for the deals that had the level (a number: at least the
    upper quartile) and were decided in the period, each times its amount.

    Known bias: association, not cause.

    Parameters
    ----------
    frame, factors, controls, cluster
        As for `factor_tests`; for the money also ``ended_at`` and ``amount``.
    period
        Of the money; without one, or where no deal has an amount, it is missing.
    decided
        Deals the money is of, where `frame` leaves some out as too young; the same columns. A value
        the model does not know counts as the reference.
    confidence
        Level of the intervals.

    Returns
    -------
    DataFrame
        One row per factor and level other than the reference: ``factor``, ``level``,
        ``reference``, ``n`` (deals decided), ``n_level`` (of these with the level), ``win_rate_with``,
        ``win_rate_without``, ``win_rate_effect`` with interval (0-1), ``n_in_period`` (with the level, decided
        in it, of known amount), ``won_amount_effect`` with interval, ``p_value`` (Holm's within the factor).

    Metrics
    -------
    win_rate_with : rate, landmark, none, -, is_won
        Mean chance of winning if every deal had the level, all else as it was.
    win_rate_without : rate, landmark, none, -, is_won
        Mean chance of winning if every deal had the reference level, all else as it was.
    win_rate_effect : points, landmark, none, -, is_won
        Chance of winning with the level less that with the reference, all else held equal; an association.
    won_amount_effect : amount, closed, none, -, is_won amount
        Amount of the deals with the level decided in the period, times their chance with it less that without.

    References
    ----------
    Robins (1986), Math. Modelling 7:1393-1512; Zou & Donner (2008), Statist. Med. 27:1693-1702.

    Examples
    --------
    >>> deals = pd.DataFrame({
    ...     "is_closed": True, "is_won": [True] * 60 + [False] * 40 + [True] * 30 + [False] * 70,
    ...     "x_sponsor": ["Yes"] * 100 + ["No"] * 100, "account_id": [f"A{number}" for number in range(200)],
    ... })
    >>> effects(deals, ["x_sponsor"])[["level", "reference", "n_level", "win_rate_effect"]].round(2)
      level reference  n_level  win_rate_effect
    0   Yes        No      100              0.3
    """
    # Only the deals that have money decided in the period add to it: the others need no columns.
    amounts = None if decided is None else _money(decided, period)
    also = None if amounts is None else decided[amounts.notna().to_numpy()]
    study = study_of(frame, factors, controls, cluster, also=also)
    money = _money(study.counted, period)
    rows = [row for each in factors for row in _contrasted(study, each, money, confidence)]
    return pd.DataFrame(rows, columns=_EFFECTS).astype(dict.fromkeys(_EFFECTS[5:], float))


def interaction_tests(
    frame: pd.DataFrame,
    pairs: Sequence[tuple[str, str]],
    factors: Sequence[str] = (),
    *,
    controls: Sequence[str] = (),
    cluster: str | None = "account_id",
) -> pd.DataFrame:
    """Whether what one factor does depends on another, for a few pairs listed beforehand.

    The products of the two factors' columns enter the model of `factor_tests` and are tested
    together. Cells of fewer than `MIN_N` deals have no product of their own.

    Returns
    -------
    DataFrame
        One row per pair: ``factor``, ``other_factor``, ``n``, ``p_value``, ``handling``.

    Examples
    --------
    >>> deals = pd.DataFrame({
    ...     "is_closed": True, "is_won": ([True] * 30 + [False] * 70 + [True] * 70 + [False] * 30) * 2,
    ...     "segment": ["SMB"] * 200 + ["Enterprise"] * 200, "account_id": None,
    ...     "source": ["web"] * 100 + ["event"] * 200 + ["web"] * 100,
    ... })
    >>> interaction_tests(deals, [("segment", "source")])[["factor", "other_factor", "n", "p_value"]].round(4)
        factor other_factor    n  p_value
    0  segment       source  400      0.0
    """
    rows = []
    for pair in pairs:
        study, _ = crossed(study_of(frame, [*pair, *factors], controls, cluster), pair)
        rows.append({"factor": pair[0], "other_factor": pair[1]} | _tested(study, CROSS))
    return pd.DataFrame(rows, columns=["factor", "other_factor", "n", "p_value", "handling"]).astype({"p_value": float})


def interaction_grid(
    frame: pd.DataFrame,
    pair: tuple[str, str],
    factors: Sequence[str] = (),
    *,
    controls: Sequence[str] = (),
    cluster: str | None = "account_id",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """The win rate of each cell of two factors, all else held equal.

    The mean over all decided deals of the chance of winning if every one were in the cell, by the
    model of `interaction_tests`. A cell of fewer than `MIN_N` deals has no rate.

    Returns
    -------
    DataFrame
        One row per cell: ``factor``, ``level``, ``other_factor``, ``other_level``, ``n`` (deals in
        the cell), ``adjusted_win_rate`` with interval (0-1).

    Examples
    --------
    >>> deals = pd.DataFrame({
    ...     "is_closed": True, "is_won": ([True] * 30 + [False] * 70 + [True] * 70 + [False] * 30) * 2,
    ...     "segment": ["SMB"] * 200 + ["Enterprise"] * 200, "account_id": None,
    ...     "source": ["web"] * 100 + ["event"] * 200 + ["web"] * 100,
    ... })
    >>> interaction_grid(deals, ("segment", "source"))[["level", "other_level", "n", "adjusted_win_rate"]].round(2)
            level other_level    n  adjusted_win_rate
    0  Enterprise       event  100                0.3
    1  Enterprise         web  100                0.7
    2         SMB       event  100                0.7
    3         SMB         web  100                0.3
    """
    study, kept = crossed(study_of(frame, [*pair, *factors], controls, cluster), pair)
    one, other = (study.model.factors[name].levels for name in pair)
    cells = sorted(itertools.product(one, other), key=lambda cell: (cell[0].name, cell[1].name))
    rows = []
    for first, second in cells:
        n = int((first.has & second.has).sum())
        values = [first.values, second.values, np.outer(first.values, second.values).ravel()[kept]]
        rate = _adjusted(study, [*pair, CROSS], values, confidence) if n >= MIN_N else _UNKNOWN
        rows.append((pair[0], first.name, pair[1], second.name, n, *rate))
    return pd.DataFrame(rows, columns=["factor", "level", "other_factor", "other_level", "n", *_RATE])


def dose_response(
    frame: pd.DataFrame,
    column: str,
    factors: Sequence[str] = (),
    *,
    controls: Sequence[str] = (),
    cluster: str | None = "account_id",
    buckets: Sequence[int] = BUCKETS,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """The win rate by how much of something there was at the landmark, all else held equal.

    The mean over all decided deals of the chance of winning if every one were in the bucket.

    Known bias: deals that go well gather more activity; association, not cause.

    Parameters
    ----------
    frame, factors, controls, cluster
        As for `factor_tests`; `column` among the factors counts once.
    column
        A count until the landmark, such as ``"meeting_count"``.
    buckets
        Where each begins; the last is open.

    Returns
    -------
    DataFrame
        One row per bucket, the lowest first, deals without the number last: ``factor``, ``level``
        ("0", "3–4", "5+"), ``n`` (deals in it), ``adjusted_win_rate`` with interval (0-1).

    Metrics
    -------
    adjusted_win_rate : rate, landmark, none, -, is_won
        Mean chance of winning if every deal were in the group, all else as it was.

    Examples
    --------
    >>> deals = pd.DataFrame({
    ...     "is_closed": True, "is_won": ([True] * 20 + [False] * 80) + ([True] * 40 + [False] * 60),
    ...     "meeting_count": [0] * 100 + [3, 4] * 50, "account_id": None,
    ... })
    >>> dose_response(deals, "meeting_count", buckets=(0, 3, 5))[["level", "n", "adjusted_win_rate"]].round(2)
      level    n  adjusted_win_rate
    0   0–2  100                0.2
    1   3–4  100                0.4
    2    5+    0                NaN
    """
    checks.require_columns(frame, [column])
    bucket, labels = coding.bucketed(frame[column], buckets)
    study = study_of(frame, [column, *factors], controls, cluster, instead={column: bucket}, whole=column)
    levels = {level.name: level for level in study.model.factors[column].levels}
    rows = []
    for name in [*labels, *([words.NO_GROUP] if words.NO_GROUP in levels else [])]:
        n = int(levels[name].has.sum()) if name in levels else 0
        rate = _adjusted(study, [column], [levels[name].values], confidence) if n else _UNKNOWN
        rows.append((column, name, n, *rate))
    return pd.DataFrame(rows, columns=["factor", "level", "n", *_RATE])


def trend_tests(
    frame: pd.DataFrame,
    columns: Sequence[str],
    factors: Sequence[str] = (),
    *,
    controls: Sequence[str] = (),
    cluster: str | None = "account_id",
    buckets: Sequence[int] = BUCKETS,
) -> pd.DataFrame:
    """Whether winning rises or falls with each count, bucket by bucket, all else held equal.

    The number of the bucket takes the place of the count in the model of `factor_tests`. A count
    that is already tested there as a factor needs no test here.

    Returns
    -------
    DataFrame
        The columns of `factor_tests`, one row per count; ``n_levels`` are the buckets.

    Examples
    --------
    >>> deals = pd.DataFrame({
    ...     "is_closed": True, "is_won": ([True] * 20 + [False] * 80) + ([True] * 40 + [False] * 60),
    ...     "meeting_count": [0] * 100 + [3, 4] * 50, "account_id": None,
    ... })
    >>> trend_tests(deals, ["meeting_count"])[["factor", "n", "p_value"]].round(4)
              factor    n  p_value
    0  meeting_count  200   0.0023
    """
    checks.require_columns(frame, columns)
    rows = []
    for column in columns:
        bucket, labels = coding.bucketed(frame[column], buckets)
        step = bucket.map({label: place for place, label in enumerate(labels)}).astype(float)
        study = study_of(frame, [column, *factors], controls, cluster, instead={column: step})
        rows.append({"factor": column} | _tested(study, column) | {"n_levels": len(labels)})
    return pd.DataFrame(rows, columns=["factor", *_TEST]).astype({"n_levels": "Int64", "p_value": float})


def model_facts(
    frame: pd.DataFrame, factors: Sequence[str], *, controls: Sequence[str] = (), cluster: str | None = "account_id"
) -> pd.DataFrame:
    """What the study of drivers rests on.

    Returns
    -------
    DataFrame
        One row: ``n`` (deals decided), ``n_won``, ``n_open`` (left out), ``n_companies``, ``n_factors``,
        ``n_coefficients``, ``events_per_coefficient`` (won deals, or lost if those are fewer, for each).

    Metrics
    -------
    events_per_coefficient : ratio, landmark, higher, -, is_won
        Won deals (lost, if those are fewer) for each coefficient of the model; below 10 nothing is estimated.

    Examples
    --------
    >>> deals = pd.DataFrame({
    ...     "is_closed": [True] * 60 + [False], "is_won": [True] * 20 + [False] * 41, "account_id": None,
    ...     "region": ["East", "West"] * 30 + [None],
    ... })
    >>> model_facts(deals, ["region"]).iloc[0].tolist()
    [60.0, 20.0, 1.0, 60.0, 1.0, 1.0, 20.0]
    """
    study = study_of(frame, factors, controls, cluster)
    n = len(study.rows)
    companies = study.rows[cluster] if cluster else pd.Series(range(n))
    facts = {"n": n, "n_won": int(study.rows["is_won"].sum()), "n_open": len(frame) - n,
             "n_companies": companies.nunique() + int(companies.isna().sum()), "n_factors": len(factors),
             "n_coefficients": study.model.n_coefficients,
             "events_per_coefficient": study.model.events_per_coefficient}  # fmt: skip
    return pd.DataFrame([facts])


_TEST = ["kind", "n", "n_levels", "p_value", "handling"]
_RATE = ["adjusted_win_rate", "adjusted_win_rate_low", "adjusted_win_rate_high"]
_EFFECTS = [
    "factor", "level", "reference", "n", "n_level", "win_rate_with", "win_rate_without", "win_rate_effect",
    "win_rate_effect_low", "win_rate_effect_high", "n_in_period", "won_amount_effect", "won_amount_effect_low",
    "won_amount_effect_high", "p_value",
]  # fmt: skip
_UNKNOWN = (np.nan, np.nan, np.nan)


def _tested(study: Study, name: str) -> dict[str, object]:
    made = study.model.factors[name]
    n_levels = len(made.levels) if made.kind == "category" else pd.NA
    known = {"kind": made.kind, "n": len(study.rows), "n_levels": n_levels}
    if study.reason:
        return known | {"p_value": np.nan, "handling": study.reason}
    found = study.model.tested(name)
    if found is None:
        told = "told by the other factors" if made.columns.shape[1] else "one value only"
        return known | {"p_value": np.nan, "handling": told}
    held = ["held towards no effect: a level has few wins or losses"] if name in study.model.held else []
    return known | {"p_value": found.p_value, "handling": "; ".join(filter(None, [made.note, *held]))}


def _contrasted(study: Study, name: str, money: pd.Series | None, confidence: float) -> list[dict[str, object]]:
    made = study.model.factors[name]
    found = None if study.reason else study.model.fitted(name)
    whole = found is not None and len(found.columns) == made.columns.shape[1]
    rows = []
    for with_level, without in ((made.levels[one], made.levels[other]) for one, other in made.contrasts):
        n = len(study.rows)
        row = {"factor": name, "level": with_level.name, "reference": without.name}
        row |= {"n": n, "n_level": int(with_level.has[:n].sum())}
        rows.append(row | (_effect(study, found, with_level, without, money, confidence) if whole else {}))
    if whole and rows:
        adjusted = multiplicity.holm([row["p_value"] for row in rows])
        rows = [row | {"p_value": p_value} for row, p_value in zip(rows, adjusted, strict=True)]
    return rows


def _effect(
    study: Study,
    found: coding.Found,
    level: coding.Level,
    reference: coding.Level,
    money,
    confidence: float,
) -> dict[str, float]:
    values = (found.fit, found.columns, level.values, reference.values)
    gap = logit.average_difference(*values, confidence=confidence)
    rates = (gap.first, gap.second, gap.estimate, gap.low, gap.high)
    row = dict(zip(_EFFECTS[5:10], rates, strict=True)) | {"p_value": gap.p_value}
    if money is None:
        return row
    start = len(level.has) - len(money)
    mine = money.where(level.has[start:])
    row["n_in_period"] = int(mine.notna().sum())
    if mine.sum() > 0:
        counts = np.flatnonzero(mine.fillna(0.0))
        rows = study.model.columns(start + counts)[:, found.order]
        worth = logit.average_difference(*values, rows=rows, weight=mine.iloc[counts], confidence=confidence)
        row |= dict(zip(_EFFECTS[11:14], (mine.sum() * each for each in worth[2:5]), strict=True))
    return row


def _money(rows: pd.DataFrame, period: Period | None) -> pd.Series | None:
    """Amounts of the deals decided in the period; missing for the others."""
    if period is None or "amount" not in rows:
        return None
    checks.require_columns(rows, ["ended_at"])
    inside = pd.Series(True, index=rows.index) if period.label == "all" else period.contains(rows["ended_at"])
    return rows["amount"].astype(float).where(inside)


def _adjusted(study: Study, names: Sequence[str], values: Sequence[np.ndarray], confidence: float) -> tuple:
    found = None if study.reason else study.model.together(names)
    if found is None:
        return _UNKNOWN
    return tuple(logit.average_probability(found.fit, found.columns, np.concatenate(values), confidence=confidence))
