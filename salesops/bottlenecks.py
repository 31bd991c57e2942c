"""Bottleneck: the stage whose improvement to its own best comparable group or quarter would bring most."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from salesops import checks, journey, pipeline, words
from salesops.periods import Calendar, Period, quarter_labels
from salesops.stats import bootstrap, incidence, shrinkage

_CALENDAR = Calendar()
_DRAWS, _PARTS = 1000, 1000
_QUARTER_DAYS = 365.25 / 4
FIRST = 0.60  # chance of being first from which a stage may be named


def stage_gaps(
    visits: pd.DataFrame,
    *,
    period: Period,
    by: str | Sequence[str] = (),
    measure: str = "amount",
    calendar: Calendar = _CALENDAR,
    draws: int = _DRAWS,
    confidence: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """What each stage would bring if it converted as well as its own best comparable group or quarter did.

    ``gain = n a quarter * gap * (won / converted) * mean won amount``: as many more deals get past the stage,
    and go on as those do that get past it today: that share of them is won, at the mean amount of the
    won. In an absorbing chain this is the derivative of the expected won amount with respect to the
    stage's conversion, times the gap; it needs no chain, for it is counted on whole journeys.

    Conversion is as in `funnel.stage_conversion`: first entries, ever beyond the stage, losing competes, open
    deals censored (in whole days). The groups compared are the levels of each column of `by` and the quarters of
    entry. Each rate is first drawn towards the mean of its kind as far as chance explains its distance
    (`shrinkage.mean_rates`, with the entries its clustered variance is worth); the highest is the comparator, less
    what choosing the highest adds in draws of companies. A group is a comparator only if at least half of its entries
    are decided and at the stage's rate at least 20 of the decided would get past and 20 would not; a column needs two
    such groups.

    A highest of many is high by chance too. So the limits of the gap use the quantile of the largest standardised
    deviation over all groups of all stages in a draw of companies, and hold for whichever group and stage comes
    out on top. Of the stages whose limits lie above nought, one has the largest gain in each draw, rates moved and
    comparators chosen anew; `is_named` is the one that has it in at least 60 % of the draws.

    What may be chance counts as no gap: a stage whose groups differ too little to be told apart may still have more
    to gain, unseen. With as many entries at each stage a point is worth most at the last.

    Known bias: a group may convert better for reasons that nobody can bring about elsewhere, so the gap is what
    others reach, not what a change would do. Young quarters convert a little low, as funnel's do.

    Parameters
    ----------
    visits
        Of `journey.stage_visits`, carrying ``account_id``, `by` and `measure`.
    period
        When the stage was first entered.
    by
        Column or columns whose groups are compared; a missing value is a group.
    measure
        Which money; ranked by number of wins where no win has any.
    calendar
        Makes the quarters of entry.
    draws
        Of companies. Above a thousand companies, parts of a thousand drawn at random are drawn instead.
    confidence
        Level of the intervals, all stages and groups together.

    Returns
    -------
    DataFrame
        One row per pipeline and stage in order: ``stage``, ``pipeline``, ``dimension`` and ``comparator`` (the column
        and its best group; missing where nothing compares), ``n`` (entries), ``n_comparator``,
        ``current_conversion_rate``, ``comparator_conversion_rate``, ``comparator_gap`` with limits (points, 0-1),
        ``gain_count`` and ``gain_amount`` with limits (a quarter), ``first_probability``, ``p_value`` (of no gap,
        over all stages and groups) and ``is_named``. Limits are missing below 20 companies.

    Metrics
    -------
    current_conversion_rate : rate, stage_entered, higher, -, changed_at
        Of the deals that first entered the stage in the period, probability of ever going beyond it, losing competing
        and open deals censored.
    comparator_conversion_rate : rate, stage_entered, higher, -, changed_at
        The same of the stage's best comparable group or quarter, drawn towards the mean of its kind as far as chance
        explains its distance, less what choosing the best adds.
    comparator_gap : points, stage_entered, lower, -, changed_at
        The comparator's conversion less the stage's own.
    gain_count : count, stage_entered, none, -, changed_at
        Wins a quarter more if the stage converted as its comparator and all else stayed.
    gain_amount : amount, stage_entered, none, -, changed_at amount
        Won amount a quarter more if the stage converted as its comparator and all else stayed.
    first_probability : rate, stage_entered, none, -, changed_at amount
        Share of the draws of companies in which the stage's gain is the largest of those whose gap is beyond chance.

    References
    ----------
    Kemeny & Snell (1960), Finite Markov Chains, ch. 3; Gelman et al. (2013), Bayesian Data Analysis, 5.3; Romano &
    Wolf (2005), J. Am. Stat. Assoc. 100:94-108 (the largest deviation); Field & Welsh (2007), J. R. Statist. Soc. B
    69:369-390 (drawing clusters).

    Examples
    --------
    Half of 400 get past the first stage, 70 % in one quarter and 30 % in the other.

    >>> day, number = pd.to_datetime(["2026-01-05", "2026-04-05"]).repeat(200), np.tile(np.arange(200), 2)
    >>> goes_on = number < np.repeat([140, 60], 200)
    >>> visits = pd.DataFrame({
    ...     "opportunity_id": np.arange(400), "account_id": np.arange(400), "amount": 100.0, "visit": 1,
    ...     "pipeline": "new", "stage": "Qualify", "position": 1, "entered_at": day,
    ...     "exited_at": day + pd.Timedelta(days=9), "exit": np.where(goes_on, "won", "lost"), "is_reentry": False,
    ...     "days": 9.0,
    ... })
    >>> half_year = Period("2026H1", pd.Timestamp("2026-01-01").date(), pd.Timestamp("2026-06-30").date())
    >>> found = stage_gaps(visits, period=half_year)
    >>> found[["stage", "comparator", "n", "comparator_gap", "gain_count", "is_named"]].round(2)
         stage comparator    n  comparator_gap  gain_count  is_named
    0  Qualify     2026Q1  400             0.2        39.4      True
    """
    columns = [by] if isinstance(by, str) else list(by)
    needed = ["pipeline", "stage", "position", "entered_at", "exit", "days", "account_id", measure]
    checks.require_columns(visits, [*needed, *columns], where="visits")
    stages = visits[["stage", "pipeline", "position"]].drop_duplicates()
    stages = stages.sort_values(["pipeline", "position", "stage"], ignore_index=True)
    entries = _entries(visits, stages, period, columns, measure=measure, calendar=calendar, seed=seed)
    today = _today(entries, len(stages), period, draws, seed)
    rivals = _rivals(today, entries, ["quarter", *columns])
    table = _table(stages[["stage", "pipeline"]], today, rivals, confidence)
    return pipeline.dated(table, period, after=["stage", "pipeline", "dimension", "comparator"])


def sentence(gaps: pd.DataFrame, *, currency: str = "") -> str:
    """The bottleneck in words, or why none is named.

    Parameters
    ----------
    gaps
        Of `stage_gaps`.
    currency
        ISO code of amounts.

    Examples
    --------
    >>> gaps = pd.DataFrame({
    ...     "stage": ["One", "Two"], "pipeline": "new", "dimension": "segment", "comparator": "SMB", "n": 900,
    ...     "current_conversion_rate": [0.5, 0.6], "comparator_conversion_rate": [0.58, 0.61],
    ...     "comparator_gap": [0.08, 0.01], "comparator_gap_low": [0.04, -0.02], "comparator_gap_high": [0.12, 0.04],
    ...     "gain_count": 6.0, "gain_amount": [120e3, 9e3], "gain_amount_low": [50e3, -9e3],
    ...     "gain_amount_high": [210e3, 4e4], "first_probability": [0.94, 0.06], "is_named": [True, False],
    ... })
    >>> print(sentence(gaps, currency="USD"))
    One of new has most to gain of the stages with a clear gap: 50 % get past it, 58 % where it does best (segment \
SMB; 8 points more, likely between 4 points and 12 points). As many getting past it everywhere would be worth $120K a \
quarter (likely between $50K and $210K).
    >>> print(sentence(gaps.assign(is_named=False, comparator_gap_low=-0.01)))
    No stage stands out as the bottleneck: how far each falls behind its own best segment or quarter can be chance.
    >>> print(sentence(gaps.assign(is_named=False, first_probability=[0.52, 0.48])))
    No stage stands out as the bottleneck: One of new lies clearly behind where it does best, but whether it has most \
to gain cannot be told.
    """
    known = gaps.dropna(subset=["comparator_gap_low"])
    if known.empty:
        return "Too few deals of different companies entered the stages to say which of them has most to gain."
    named = known[known["is_named"]]
    if len(named):
        return _named(named.iloc[0], currency)
    clear = known[known["comparator_gap_low"] > 0].sort_values("first_probability", ascending=False, kind="stable")
    nobody = "No stage stands out as the bottleneck"
    if clear.empty:
        return f"{nobody}: how far each falls behind its own best {_kinds(known)} can be chance."
    behind = " and ".join(_stage(row) for _, row in clear.head(2).iterrows())
    if len(clear) == 1:
        doubt = "but whether it has most to gain cannot be told"
        return f"{nobody}: {behind} lies clearly behind where it does best, {doubt}."
    return f"{nobody}: {behind} lie clearly behind where they do best, but which has most to gain cannot be told."


def title(gaps: pd.DataFrame) -> str:
    """`sentence` in few words, to stand above its picture.

    Examples
    --------
    >>> gaps = pd.DataFrame({
    ...     "stage": ["One", "Two"], "pipeline": None, "dimension": "segment", "comparator_gap_low": [0.04, -0.02],
    ...     "first_probability": [0.94, 0.06], "is_named": [True, False],
    ... })
    >>> title(gaps)
    'One has most to gain of the stages with a clear gap'
    """
    named = gaps[gaps["is_named"]]
    return f"{_stage(named.iloc[0])} has most to gain of the stages with a clear gap" if len(named) else sentence(gaps)


class _Entries(NamedTuple):
    """First entries into the stages: one row per deal and stage."""

    stage: np.ndarray
    days: np.ndarray  # until the deal went beyond, was lost, or the last day
    cause: np.ndarray
    ended_days: np.ndarray
    end: np.ndarray
    part: np.ndarray  # of the companies, whole ones: what is drawn
    amount: np.ndarray  # of the won
    labels: dict[str, pd.Series]
    n_companies: int


class _Today(NamedTuple):
    """Each stage as it is, and in each draw of companies."""

    n: np.ndarray
    rate: np.ndarray
    drawn: np.ndarray  # (draws, stages)
    wins: np.ndarray  # more wins a quarter of one more converted of each entry
    money: np.ndarray  # the same in won amount; in the draws below
    wins_drawn: np.ndarray
    money_drawn: np.ndarray
    draws: int
    seed: int


class _Rivals(NamedTuple):
    """The groups that each stage is compared with: (stages, groups of every kind)."""

    dimension: np.ndarray
    name: np.ndarray
    n: np.ndarray
    rate: np.ndarray  # drawn together; missing where it does not compare
    own_weight: np.ndarray
    ahead: np.ndarray  # the group's own rate less the stage's
    error: np.ndarray
    moved: np.ndarray  # (draws, stages, groups): how far the group's own rate moved, in the same draws as the stage's
    is_enough: bool


def _entries(
    visits: pd.DataFrame,
    stages: pd.DataFrame,
    period: Period,
    by: list[str],
    *,
    measure: str,
    calendar: Calendar,
    seed: int,
) -> _Entries:
    rows = journey.progress(visits)
    rows = rows[~rows["is_reentry"] & period.contains(rows["entered_at"])].reset_index(drop=True)
    end = rows["final_exit"].where(rows["final_exit"].isin(["won", "lost"]))
    ended_days = (rows["final_at"] - rows["entered_at"]) / pd.Timedelta(days=1)
    keys = pd.MultiIndex.from_frame(stages[["pipeline", "stage", "position"]])
    stage = keys.get_indexer(pd.MultiIndex.from_frame(rows[["pipeline", "stage", "position"]]))
    part, n_companies = _parts(rows["account_id"], seed)
    labels = {"quarter": quarter_labels(rows["entered_at"], calendar)} | {name: rows[name] for name in by}
    money = rows[measure].where(end == "won").to_numpy(dtype=float)
    days = rows["days"].to_numpy(), ended_days.to_numpy()
    return _Entries(stage, days[0], rows["cause"].to_numpy(), days[1], end.to_numpy(), part, money, labels, n_companies)


def _parts(account: pd.Series, seed: int) -> tuple[np.ndarray, int]:
    """Whole companies dealt out at random into parts, at most a thousand; a deal of no company stands alone."""
    code, names = pd.factorize(account)
    code = np.where(code < 0, len(names) + np.cumsum(code < 0) - 1, code)
    n = int(code.max(initial=-1)) + 1
    return np.random.default_rng(seed).permutation(n)[code] % _PARTS, n


def _today(entries: _Entries, k: int, period: Period, draws: int, seed: int) -> _Today:
    converted = incidence.plateaus(
        entries.days, entries.cause == "advanced", entries.cause == "lost", entries.stage, n_groups=k
    )
    won = incidence.plateaus(entries.ended_days, entries.end == "won", entries.end == "lost", entries.stage, n_groups=k)
    paid = ~np.isnan(entries.amount)
    sums = [converted.influence, won.influence, np.where(paid, entries.amount, 0.0), paid.astype(float)]
    drawn = _drawn(np.concatenate([_by_part(entries, each, entries.stage, k) for each in sums], axis=1), draws, seed)
    n = np.bincount(entries.stage, minlength=k)
    rate, share = np.clip(converted.share + drawn[:, :k], 1e-6, 1), np.clip(won.share + drawn[:, k : 2 * k], 0, 1)
    a_quarter = n / max(period.days / _QUARTER_DAYS, 1e-9)
    total, paid_n = (np.bincount(entries.stage, each, minlength=k) for each in sums[2:])
    wins, wins_drawn = a_quarter * _over(won.share, converted.share), a_quarter * share / rate
    money = wins * _over(total, paid_n)
    money_drawn = wins_drawn * _over(drawn[:, 2 * k : 3 * k], drawn[:, 3 * k :])
    return _Today(n, converted.share, rate, wins, money, wins_drawn, money_drawn, draws, seed)


def _over(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.full(np.shape(top), np.nan), where=bottom > 0)


def _by_part(entries: _Entries, values: np.ndarray, cell: np.ndarray, n_cells: int) -> np.ndarray:
    n_parts = int(entries.part.max(initial=-1)) + 1
    sums = np.bincount(entries.part * n_cells + cell, values, minlength=n_parts * n_cells)
    return sums.reshape(n_parts, n_cells)


def _drawn(sums: np.ndarray, draws: int, seed: int) -> np.ndarray:
    if not len(sums):
        return np.zeros((draws, sums.shape[1]))
    return bootstrap.resampled_sums(sums, draws=draws, seed=seed)


def _rivals(today: _Today, entries: _Entries, dimensions: list[str]) -> _Rivals:
    kinds = [_rivals_of(today, entries, name) for name in dict.fromkeys(dimensions)]
    names = np.concatenate([kind.dimension for kind in kinds]), np.concatenate([kind.name for kind in kinds])
    joined = [np.concatenate([kind[at] for kind in kinds], axis=-1) for at in range(2, 8)]
    return _Rivals(*names, *joined, entries.n_companies >= checks.MIN_N)


def _rivals_of(today: _Today, entries: _Entries, dimension: str) -> _Rivals:
    """The groups of one column; no error is less than equal rates would give, so that a rate of one is no proof."""
    k = len(today.n)
    number, names = pd.factorize(entries.labels[dimension], sort=True, use_na_sentinel=False)
    names = np.asarray(names, dtype=object) if len(names) else np.array([np.nan], dtype=object)
    g = len(names)
    cell = entries.stage * g + number
    is_advanced, is_lost = entries.cause == "advanced", entries.cause == "lost"
    found = incidence.plateaus(entries.days, is_advanced, is_lost, cell, n_groups=k * g)
    moved = _drawn(_by_part(entries, found.influence, cell, k * g), today.draws, today.seed).reshape(today.draws, k, g)
    n, decided = (np.bincount(cell[mine], minlength=k * g).reshape(k, g) for mine in (cell >= 0, is_advanced | is_lost))
    share, rate = found.share.reshape(k, g), today.rate[:, None]
    spread = rate * (1 - rate)
    is_enough = (decided * np.minimum(rate, 1 - rate) >= checks.MIN_N) & (2 * decided >= n)
    is_enough &= is_enough.sum(axis=1, keepdims=True) > 1
    with np.errstate(divide="ignore", invalid="ignore"):
        least = np.sqrt(spread * np.maximum(1 / n - 1 / today.n[:, None], 0))
        error = np.maximum((moved - (today.drawn - today.rate)[:, :, None]).std(axis=0), least)
        worth = np.minimum(spread / moved.var(axis=0), n)
    pooled = np.array([_pooled(*each) for each in zip(share, worth, is_enough, strict=True)]).reshape(k, 2, g)
    together, own_weight = pooled[:, 0], pooled[:, 1]
    return _Rivals(np.full(g, dimension), names, n, together, own_weight, share - rate, error, moved, True)


def _pooled(share: np.ndarray, worth: np.ndarray, is_enough: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    together, own_weight = np.full((2, len(share)), np.nan)
    if is_enough.any():
        found = shrinkage.mean_rates(share[is_enough] * worth[is_enough], worth[is_enough])
        together[is_enough], own_weight[is_enough] = found["rate"], found["own_weight"]
    return together, own_weight


def _table(stages: pd.DataFrame, today: _Today, rivals: _Rivals, confidence: float) -> pd.DataFrame:
    largest = _largest(today, rivals)
    reach = np.quantile(largest, confidence) if rivals.is_enough else np.nan
    best, gap, drawn = _chosen(today, rivals)
    at, has_rival = (np.arange(len(stages)), best), ~np.isnan(gap)
    ahead, error = rivals.ahead[at], rivals.error[at]
    # Below, as shrunk as the gap itself: above nought only where the group's own rate is. Above, the group's own rate.
    low = gap - np.fmax(_over(gap, ahead), rivals.own_weight[at]) * reach * error
    high = np.fmax(ahead, gap) + reach * error
    table = stages.assign(
        dimension=pd.Series(rivals.dimension[best], dtype="str").where(has_rival),
        comparator=pd.Series([words.group(name) for name in rivals.name[best]], dtype="str").where(has_rival),
        n=today.n,
        n_comparator=np.where(has_rival, rivals.n[at], 0),
        current_conversion_rate=today.rate,
        comparator_conversion_rate=today.rate + gap,
        comparator_gap=gap,
        comparator_gap_low=low,
        comparator_gap_high=high,
        **_gain("gain_count", today.wins, today.wins_drawn, (gap, low, high), confidence),
        **_gain("gain_amount", today.money, today.money_drawn, (gap, low, high), confidence),
        first_probability=np.where(has_rival, _first(today, np.where(low > 0, drawn, 0.0)), np.nan),
    )
    reached = (largest[:, None] >= _over(ahead, error)).sum(axis=0)
    table["p_value"] = np.where(has_rival & rivals.is_enough, (1 + reached) / (1 + len(largest)), np.nan)
    return table.assign(is_named=(table["first_probability"] >= FIRST) & (table["comparator_gap_low"] > 0))


def _largest(today: _Today, rivals: _Rivals) -> np.ndarray:
    """The largest standardised deviation of any group from its stage, in each draw."""
    deviation = np.abs(rivals.moved - (today.drawn - today.rate)[:, :, None]) / rivals.error
    return np.where(np.isnan(rivals.rate), 0.0, deviation).max(axis=(1, 2), initial=0.0)


def _chosen(today: _Today, rivals: _Rivals) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each stage's best group, its gap, and the gap of each draw, its best group chosen anew.

    The draws show what choosing the best of many adds: that much is taken off.
    """
    stage_moved = (today.drawn - today.rate)[:, :, None]
    rate = rivals.rate + rivals.own_weight * rivals.moved + (1 - rivals.own_weight) * stage_moved
    best = np.where(np.isnan(rivals.rate), -np.inf, rivals.rate).argmax(axis=1)
    seen = rivals.rate[np.arange(len(best)), best] - today.rate
    drawn = np.where(np.isnan(rate), -np.inf, rate).max(axis=2) - today.drawn
    added = np.where(np.isnan(seen), np.nan, drawn).mean(axis=0) - seen
    return best, np.maximum(seen - added, 0), np.maximum(drawn - added, 0)


def _first(today: _Today, gaps: np.ndarray) -> np.ndarray:
    """Share of the draws in which each stage has most to gain; in wins where no win has an amount."""
    worth = today.wins_drawn if np.isnan(today.money).all() else today.money_drawn
    gain = np.nan_to_num(gaps) * np.nan_to_num(worth)
    leads = (gain == gain.max(axis=1, keepdims=True, initial=0.0)) & (gain > 0)
    return leads.mean(axis=0)


def _gain(name: str, worth, drawn, gaps: tuple[np.ndarray, ...], confidence: float) -> dict[str, np.ndarray]:
    """Worth times gap: the lower limits of both, and the upper."""
    gap, low, high = gaps
    is_known = ~np.isnan(worth)
    known = np.where(np.isnan(drawn).all(axis=0) | ~is_known, 0.0, drawn)
    least, most = np.nanquantile(known, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0).reshape(2, -1)
    low, high = np.where(low > 0, least, most) * low, most * high
    missing = np.where(is_known, 0.0, np.nan)
    return {name: worth * gap, f"{name}_low": low + missing, f"{name}_high": high + missing}


def _named(row: pd.Series, currency: str) -> str:
    own, best, more = words.ends(row["current_conversion_rate"], row["comparator_conversion_rate"])
    limits = words.interval(row["comparator_gap_low"], row["comparator_gap_high"], "points").replace("+", "")
    where = f"{words.label(row['dimension']).lower()} {row['comparator']}"
    worth, unit = ("gain_count", "count") if words.is_missing(row["gain_amount"]) else ("gain_amount", "amount")
    gain = words.value(row[worth], unit, currency=currency, compact=True) + (" wins" if unit == "count" else "")
    likely = words.interval(row[f"{worth}_low"], row[f"{worth}_high"], unit, currency=currency)
    return (
        f"{_stage(row)} has most to gain of the stages with a clear gap: {own} get past it, {best} where it does best "
        f"({where}; {more} more, {limits}). As many getting past it everywhere would be worth {gain} a quarter "
        f"({likely})."
    )


def _stage(row: pd.Series) -> str:
    """The stage, with its pipeline where there is one."""
    return row["stage"] if pd.isna(row["pipeline"]) else f"{row['stage']} of {row['pipeline']}"


def _kinds(gaps: pd.DataFrame) -> str:
    kinds = [words.label(name).lower() for name in gaps["dimension"].dropna().unique()]
    return " or ".join(dict.fromkeys([*sorted(kinds, key=lambda kind: kind == "quarter"), "quarter"]))
