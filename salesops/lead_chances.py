"""Lead chances: how likely a lead becomes a deal, by its source and score, and how soon, as known on an evening."""

from datetime import date
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import beta

from salesops import checks
from salesops.deal_changes import day_number
from salesops.forecast_cases import RECENT

PARENT_WEIGHT = 20  # leads that the group above counts for in each group, at every age
LEARNT_DAYS = 728  # eight quarters of leads are learnt from
BANDS = 5  # of the score, of as many leads each

_OLDEST = 365  # days of age at which a lead is given up
_LEADS = ("created_at", "qualified_at", "converted_at", "disqualified_at", "opportunity_id")


class Flow(NamedTuple):
    """Leads and deals as days since 1970; infinity where a thing did not happen.

    ``made`` is the day a lead became a deal of the population, ``gone`` that on which it came to another end; a deal
    made of several leads is that of the first. ``deal_seen`` and ``deal_lead`` are of the deals: when each
    was first known, and when its lead became it.
    """

    arrived: np.ndarray
    qualified: np.ndarray
    made: np.ndarray
    gone: np.ndarray
    source: np.ndarray  # code
    sources: tuple[str | None, ...]
    score: np.ndarray
    deal_seen: np.ndarray
    deal_lead: np.ndarray


class Outcome(NamedTuple):
    """Expected number on each day left of the leads here and of those to arrive; and how many each is learnt from."""

    here: np.ndarray
    arriving: np.ndarray
    n_here: int
    n_arrived: int  # in the last 91 days
    variance: float  # of the number of those here


class _Chances(NamedTuple):
    """Of each group of leads: chance to reach the goal at each age, and to be open still after it."""

    at: np.ndarray  # groups by ages
    still: np.ndarray
    n: np.ndarray  # leads learnt from
    reached: np.ndarray
    edges: np.ndarray
    n_bands: int


def flow(leads: pd.DataFrame, opportunities: pd.DataFrame, *, stage_history: pd.DataFrame | None = None) -> Flow | None:
    """Leads and deals made ready for counting; None without leads.

    A lead that became something else than a deal of the population (a renewal left out, a contact only) came
    to another end. Left out are leads without a day of arrival, and those that were turned into a deal before
    it. Source and score are taken as they are now.

    Known bias: a score that was changed after the lead was worked knows what came of it.

    Parameters
    ----------
    leads
        ``created_at, qualified_at, converted_at, disqualified_at, opportunity_id`` and, where known,
        ``source, score``.
    opportunities
        The population: ``opportunity_id, created_date``.
    stage_history
        ``opportunity_id, changed_at``: a deal is known from its first change, where that is after its creation.

    Raises
    ------
    DataError
        A missing column.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> leads = pd.DataFrame({"lead_id": ["L1", "L2"], "created_at": day(["1970-01-02", "1970-01-03"]),
    ...     "qualified_at": pd.NaT, "converted_at": day(["1970-01-05", None]), "disqualified_at": pd.NaT,
    ...     "opportunity_id": ["D1", None], "source": "web", "score": [70.0, 30.0]})
    >>> deals = pd.DataFrame({"opportunity_id": ["D1", "D2"], "created_date": day("1970-01-05")})
    >>> found = flow(leads, deals)
    >>> found.arrived.tolist(), found.made.tolist(), found.qualified.tolist(), found.deal_lead.tolist()
    ([1.0, 2.0], [4.0, inf], [4.0, inf], [4.0, inf])
    """
    checks.require_columns(leads, _LEADS, where="leads")
    checks.require_columns(opportunities, ["opportunity_id", "created_date"], where="opportunities")
    known = opportunities.drop_duplicates("opportunity_id").set_index("opportunity_id")["created_date"]
    created = pd.Series(days(known), index=known.index)
    whose = created.reindex(leads["opportunity_id"]).fillna(np.inf).to_numpy()
    converted = np.where(leads["converted_at"].notna(), days(leads["converted_at"]), whose)
    is_own = _is_first(leads["opportunity_id"], converted) & leads["opportunity_id"].isin(created.index).to_numpy()
    arrived, made = days(leads["created_at"]), np.where(is_own, converted, np.inf)
    kept = np.isfinite(arrived) & (converted >= arrived)
    if not kept.any():
        return None
    gone = np.minimum(days(leads["disqualified_at"]), np.where(is_own, np.inf, converted))
    source, sources = pd.factorize(_column(leads, "source"), use_na_sentinel=False, sort=True)
    by_deal = pd.Series(made[is_own], index=leads["opportunity_id"].array[is_own]).reindex(created.index)
    return Flow(
        arrived[kept], np.minimum(days(leads["qualified_at"]), converted)[kept], made[kept], gone[kept], source[kept],
        tuple(None if pd.isna(each) else each for each in sources), _column(leads, "score").to_numpy(dtype=float)[kept],
        _seen(created, stage_history), by_deal.fillna(np.inf).to_numpy(),
    )  # fmt: skip


def lead_chances(found: Flow | None, *, cutoff: date, confidence: float = 0.95) -> pd.DataFrame:
    """How likely a lead becomes a deal, by source and score, and how soon, as known on an evening.

    From the leads that arrived in the eight quarters before. At each age, the share of the open leads that became
    a deal, being disqualified competing and open leads censored (Aalen-Johansen); each group is drawn, age by
    age, to its source, and that to all, as if they were 20 leads more: ``(made + 20 * above) / (open + 20)``.

    Parameters
    ----------
    found
        Of `flow`.
    cutoff
        Last day known.
    confidence
        Level of the interval: that of the beta distribution with the rate and the leads behind it, 20 of them drawn.

    Returns
    -------
    DataFrame
        One row per source and score band: ``source, score_band, n`` (leads), ``n_made`` (of them, so far),
        ``lead_to_deal_rate`` with limits (within a year of arrival), ``made_days_median`` (days from arrival by
        which half of those that will be made are). No rows without leads.

    Metrics
    -------
    lead_to_deal_rate : rate, created, higher, -, created_at converted_at
        Chance that a lead becomes a deal within a year of its arrival, by source and score, few leads drawn to
        the chance of the group above.

    References
    ----------
    Aalen & Johansen (1978), Scand. J. Statist. 5:141-150; Efron & Morris (1975), J. Am. Stat. Assoc. 70:311-319.

    Examples
    --------
    >>> from salesops.crm import sample
    >>> tables = sample.tables(size=2000, years=3, clean=True)
    >>> table = lead_chances(flow(tables["leads"], tables["opportunities"]), cutoff=date(2026, 7, 28))
    >>> table.loc[table["source"] == "Event", ["score_band", "n", "n_made", "lead_to_deal_rate"]].round(2)
      score_band    n  n_made  lead_to_deal_rate
    5       1-38  157       7               0.07
    6      39-46  130       8               0.08
    7      47-54  124      18               0.15
    8      55-63  104      22               0.20
    9     64-100  107      47               0.38
    """
    columns = ["source", "score_band", "n", "n_made"]
    rate = ["lead_to_deal_rate", "lead_to_deal_rate_low", "lead_to_deal_rate_high"]
    chances = None if found is None else _learn(found, day_number(cutoff), found.made, found.gone)
    if chances is None:
        return pd.DataFrame({name: pd.Series(dtype=float) for name in [*columns, *rate, "made_days_median"]})
    total = chances.at.cumsum(axis=1)
    share, n = total[:, -1], chances.n + PARENT_WEIGHT
    low, high = (
        beta.ppf(q, np.maximum(share * n, 1e-9), np.maximum((1 - share) * n, 1e-9))
        for q in ((1 - confidence) / 2, (1 + confidence) / 2)
    )
    table = pd.DataFrame({
        "source": pd.Series(np.repeat(np.array(found.sources, dtype=object), chances.n_bands), dtype="str"),
        "score_band": _band_names(found, day_number(cutoff), chances), "n": chances.n, "n_made": chances.reached,
        **dict(zip(rate, (share, low, high), strict=True)),
        "made_days_median": np.where(share > 0, (total < share[:, None] / 2).sum(axis=1), np.nan),
    })  # fmt: skip
    return table[chances.n > 0].reset_index(drop=True)


def outcome(found: Flow, start: int, end: int, reached: np.ndarray, ended: np.ndarray) -> Outcome:
    """Leads expected to come to a goal on each day after `start` up to `end`, as known on the evening of `start`.

    Parameters
    ----------
    found
        Of `flow`.
    start, end
        Days since 1970.
    reached, ended
        When each lead came to the goal, and to another end.

    Examples
    --------
    >>> never, day = np.full(200, np.inf), np.arange(200.0)
    >>> made = np.where(np.arange(200) % 2, day + 1, np.inf)  # every other one, on the day after
    >>> found = Flow(day, never, made, never, np.zeros(200, dtype=int), ("web",), never, never, never)
    >>> said = outcome(found, 150, 153, made, never)
    >>> said.here.round(2).tolist(), said.arriving.round(2).tolist(), said.n_here
    ([0.5, 0.0, 0.0], [0.0, 0.5, 0.5], 76)
    """
    left = end - start
    chances = _learn(found, start, reached, ended)
    if chances is None:
        return Outcome(np.zeros(left), np.zeros(left), 0, 0, 0.0)
    group, is_waiting = _group(found, chances.edges), is_open(found, start, reached, ended)
    age = (start - found.arrived[is_waiting]).astype(np.int64)
    cell, n = np.unique(group[is_waiting][age < _OLDEST] * _OLDEST + age[age < _OLDEST], return_counts=True)
    whose, age = np.divmod(cell, _OLDEST)
    padded = np.column_stack([chances.at, np.zeros((len(chances.n), left + 1))])
    still = chances.still[whose, age]
    each = padded[whose[:, None], age[:, None] + 1 + np.arange(left)] / np.where(still > 0, still, 1)[:, None]
    whole = each.sum(axis=1)
    recent = (found.arrived <= start) & (found.arrived > start - RECENT)
    # Only the groups seen: those known later only must not change the order of the sum.
    code, came = np.unique(group[recent], return_counts=True)
    arriving = came / RECENT @ padded[code, :left].cumsum(axis=1)
    spread = float(n @ (whole * (1 - whole)))
    return Outcome(n @ each, arriving, int(is_waiting.sum()), int(came.sum()), spread)


def is_open(found: Flow, day: int, reached: np.ndarray, ended: np.ndarray) -> np.ndarray:
    """Leads that are there on the evening of a day, neither at the goal nor ended.

    Examples
    --------
    >>> one, two, never = np.array([1.0, 2.0]), np.array([9.0, 3.0]), np.full(2, np.inf)
    >>> found = Flow(one, never, two, never, np.zeros(2, dtype=int), ("web",), never, never, never)
    >>> is_open(found, 3, two, never).tolist()
    [True, False]
    """
    return (found.arrived <= day) & (reached > day) & (ended > day)


def days(moments: pd.Series) -> np.ndarray:
    """Days since 1970; infinity where missing.

    Examples
    --------
    >>> days(pd.Series(pd.to_datetime(["1970-02-01 23:00", None]))).tolist()
    [31.0, inf]
    """
    found = pd.to_datetime(moments).to_numpy().astype("datetime64[D]")
    return np.where(np.isnat(found), np.inf, found.astype(np.int64).astype(float))


def _is_first(deal: pd.Series, converted: np.ndarray) -> np.ndarray:
    """Whether no other lead became the same deal earlier."""
    order = np.argsort(converted, kind="stable")
    is_first = np.empty(len(deal), dtype=bool)
    is_first[order] = ~pd.Series(deal.array[order]).duplicated().to_numpy()
    return is_first


def _column(leads: pd.DataFrame, name: str) -> pd.Series:
    return leads[name] if name in leads else pd.Series(np.nan, index=leads.index)


def _seen(created: pd.Series, stage_history: pd.DataFrame | None) -> np.ndarray:
    """The day from which each deal was known: its creation, or its first change if that is later."""
    made = created.to_numpy()
    if stage_history is None:
        return made
    first = days(stage_history.groupby("opportunity_id")["changed_at"].min().reindex(created.index))
    return np.where(np.isfinite(first) & np.isfinite(made), np.maximum(first, made), np.minimum(first, made))


def _learnt_from(found: Flow, cutoff: int) -> np.ndarray:
    return (found.arrived <= cutoff) & (found.arrived > cutoff - LEARNT_DAYS)


def _learn(found: Flow, cutoff: int, reached: np.ndarray, ended: np.ndarray) -> _Chances | None:
    """The chances of each source and score band as known on an evening; None where no lead is known."""
    mine = _learnt_from(found, cutoff)
    if not mine.any():
        return None
    score = found.score[mine & np.isfinite(found.score)]
    edges = np.unique(np.quantile(score, np.arange(1, BANDS) / BANDS)) if len(score) else np.zeros(0)
    group, source, n_bands = _group(found, edges)[mine], found.source[mine], len(edges) + 2
    reached, ended, arrived = reached[mine], ended[mine], found.arrived[mine]
    age = (np.minimum(np.minimum(reached, ended), cutoff) - arrived).clip(0, _OLDEST).astype(np.int64)
    is_over = age < _OLDEST
    is_made = is_over & (reached <= cutoff) & (reached <= ended)
    is_gone = is_over & (ended <= cutoff) & ~is_made
    n_groups = len(found.sources) * n_bands
    one, whose = np.zeros_like(source), np.arange(n_groups) // n_bands
    above = np.zeros((2, 1, _OLDEST))
    for code, parent, weight in ((one, [0], 0), (source, np.zeros(len(found.sources), dtype=int), PARENT_WEIGHT),
                                 (group, whose, PARENT_WEIGHT)):  # fmt: skip
        waiting = _by_age(code, age, len(parent))[:, ::-1].cumsum(axis=1)[:, ::-1]
        ends = np.array([_by_age(code[which], age[which], len(parent)) for which in (is_made, is_gone)])
        above = (ends[..., :-1] + weight * above[:, parent]) / np.maximum(waiting[:, :-1] + weight, 1)
    still = np.cumprod(1 - above.sum(axis=0).clip(max=1), axis=1)
    before = np.column_stack([np.ones(n_groups), still[:, :-1]])
    n, n_made = (np.bincount(group[which], minlength=n_groups) for which in (slice(None), is_made))
    return _Chances(above[0] * before, still, n, n_made, edges, n_bands)


def _by_age(code: np.ndarray, age: np.ndarray, n: int) -> np.ndarray:
    """Leads of each group and age; those too old to count stand in one more column, the last."""
    width = _OLDEST + 1
    return np.bincount(code * width + age, minlength=n * width).reshape(n, width).astype(float)


def _group(found: Flow, edges: np.ndarray) -> np.ndarray:
    """Source and score band of each lead as one code; a lead without a score is in a band of its own, the last."""
    band = np.where(np.isfinite(found.score), np.searchsorted(edges, found.score, side="left"), len(edges) + 1)
    return found.source * (len(edges) + 2) + band


def _band_names(found: Flow, cutoff: int, chances: _Chances) -> np.ndarray:
    """The scores of each band, from the least to the most seen in it."""
    mine = _learnt_from(found, cutoff) & np.isfinite(found.score)
    band = (_group(found, chances.edges) % chances.n_bands)[mine]
    names = np.full(chances.n_bands, None, dtype=object)
    for each in np.unique(band):
        low, high = found.score[mine][band == each].min(), found.score[mine][band == each].max()
        names[each] = f"{low:g}" if low == high else f"{low:g}-{high:g}"
    return pd.Series(np.tile(names, len(found.sources)), dtype="str").array
