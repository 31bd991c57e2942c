"""Lead speed: how often leads convert that were answered sooner or later, like compared with like."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from salesops import checks, words
from salesops.leads import with_rate
from salesops.stats import logit, multiplicity

EDGES = (1, 4, 24)  # hours that part the bands
MIN_OVERLAP = 0.8  # share of the leads that must have their like in a band for it to stand for all
NO_ANSWER = "not answered"

_LIMITS = ("", "_low", "_high")
_DAY = pd.Timedelta(days=1)
_TIE = 1e-6  # of a day: a time in days rounds
_LIKE = ["source", "class", "hours_of_day", "is_weekend"]
_MIN_LIKE = 3  # leads of one kind answered within a band that make it comparable there


def response_effect(
    rows: pd.DataFrame, *, edges: Sequence[float] = EDGES, controls: Sequence[str] = (), confidence: float = 0.95
) -> pd.DataFrame:
    """Conversion of leads by how soon they were answered, standardised for what kind of lead they were.

    A logistic regression of reaching the goal on the band of the response time, source, class,
    quarter of the day and weekend of arrival; the standardised rate of a band is the mean
    chance if every answered lead had been answered within it, all else as it was. It is
    missing where fewer than `MIN_OVERLAP` of the leads have their like, of the same source,
    class, hours and part of the week, among the leads of the band (at least three). A lead
    that had ended, or reached the goal, before its answer counts as not answered.

    Known bias: an association. People answer the leads first that look best to them; a slow
    answer presupposes a lead that was still alive to get it; and it leaves less time to reach
    the goal within the given days.

    Parameters
    ----------
    rows
        Of `lead_funnel.settled`, with ``waited_hours`` and ``is_over`` of `leads.waits`, ``created_at``,
        ``first_response_at``, ``source`` and ``class``.
    edges
        Hours that part the bands, rising.
    controls
        Further columns of categories to hold equal.
    confidence
        Level of the intervals.

    Returns
    -------
    DataFrame
        One row per band, soonest first, and one for leads not answered: ``response_band``, ``n``, ``n_reached``,
        ``response_band_rate``, ``standardised_rate`` and ``response_band_effect`` (against the soonest band) with
        limits, ``overlap_rate``, ``p_value``, ``is_named``, ``n_compared``.

    Metrics
    -------
    response_band_rate : rate, created, higher, n_reached / n, created_at first_response_at
        Share of the leads answered within the band that reached the goal within the given days of their arrival.
    standardised_rate : rate, created, higher, -, created_at first_response_at
        Chance that all answered leads would show at the band's conversion, source, class and time of arrival equal.
    response_band_effect : points, created, none, -, created_at first_response_at
        Standardised rate of the band less that of the soonest band: an association, not an effect of waiting.
    overlap_rate : rate, created, higher, -, created_at first_response_at
        Share of the answered leads that have leads of their own kind in the band.

    References
    ----------
    Robins (1986), Mathematical Modelling 7:1393-1512 (g-computation).

    Examples
    --------
    >>> rows = pd.DataFrame({
    ...     "waited_hours": [0.5] * 100 + [30.0] * 100, "is_over": True, "source": "Event", "class": "A",
    ...     "created_at": pd.to_datetime("2026-07-01 09:00"), "first_response_at": pd.to_datetime("2026-07-02 15:00"),
    ...     "cause": None, "days": 60.0, "is_reached": [True] * 40 + [False] * 60 + [True] * 15 + [False] * 85,
    ... })
    >>> table = response_effect(rows, edges=[4])
    >>> table[["response_band", "n", "standardised_rate", "response_band_effect", "is_named"]].round(2)
           response_band    n  standardised_rate  response_band_effect  is_named
    0     within 4 hours  100               0.40                   NaN     False
    1  more than 4 hours  100               0.15                 -0.25      True
    2       not answered    0                NaN                   NaN     False
    """
    needed = ["waited_hours", "is_over", "created_at", "first_response_at", "days", "cause", "is_reached"]
    checks.require_columns(rows, [*needed, "source", "class", *controls], where="leads")
    bands = _bands(edges)
    answered = (rows["first_response_at"] - rows["created_at"]) / _DAY
    in_time = rows["is_over"] & ~(rows["cause"].notna() & (rows["days"] < answered - _TIE))
    band = pd.Series(np.searchsorted(np.asarray(edges, dtype=float), rows["waited_hours"]), index=rows.index)
    band = band.where(in_time, len(bands))
    counted = rows["is_reached"].groupby(band).agg(n="size", n_reached="sum").reindex(range(len(bands) + 1))
    counted = counted.fillna(0).astype(int).assign(response_band=[*bands, NO_ANSWER])
    table = with_rate(counted.reset_index(drop=True), "n_reached", "n", "response_band_rate", confidence)
    kinds = _kinds(rows[in_time], controls)
    found = _standardised(kinds, band[in_time].to_numpy(), rows.loc[in_time, "is_reached"], len(bands), confidence)
    table = pd.concat([table, found.reindex(table.index)], axis=1)
    return multiplicity.named_together(table[["response_band", *table.columns.drop("response_band")]])[0]


def effect_sentence(table: pd.DataFrame, *, goal: str = "become an opportunity") -> str:
    """Whether leads answered sooner convert more often; an association, said as one.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "response_band": ["within 4 hours", "more than 4 hours", "not answered"], "n": [100, 100, 0],
    ...     "standardised_rate": [0.4, 0.15, None], "response_band_effect": [None, -0.25, None],
    ...     "response_band_effect_low": [None, -0.36, None], "response_band_effect_high": [None, -0.13, None],
    ...     "is_named": [False, True, False],
    ... })
    >>> effect_sentence(table)
    'Leads answered in more than 4 hours become an opportunity less often than those answered within 4 hours, by \
25 points among leads of like kind (likely between 13 and 36): an association, since the better leads may be \
answered first.'
    >>> effect_sentence(table.assign(is_named=False))
    'Leads answered sooner do not clearly become an opportunity more or less often than leads of like kind answered \
later: 1 later time of answer was compared with the soonest.'
    """
    answered = table[table["response_band"] != NO_ANSWER]
    compared = answered[answered["response_band_effect"].notna()]
    if compared.empty:
        return "Too few leads of like kind were answered sooner and later to compare what became of them."
    limits = compared[["response_band_effect_low", "response_band_effect_high"]].astype(float)
    named = compared[compared["is_named"] & (limits.prod(axis=1) > 0)]
    if named.empty:
        tried = "1 later time of answer was" if len(compared) == 1 else f"{len(compared)} later times of answer were"
        later = f"leads of like kind answered later: {tried} compared with the soonest"
        return f"Leads answered sooner do not clearly {goal} more or less often than {later}."
    row = named.loc[named["response_band_effect"].abs().idxmax()]
    gap, *ends = (row[f"response_band_effect{end}"] for end in _LIMITS)
    near, far = (words.points(end).split()[0] for end in sorted(ends, key=abs))
    soonest = answered["response_band"].iloc[0]
    how = f"{'more' if gap > 0 else 'less'} often than those answered {soonest}"
    by = f"by {words.points(abs(gap))} among leads of like kind (likely between {near} and {far})"
    why = "an association, since the better leads may be answered first"
    late = row["response_band"] if row["response_band"].startswith("within") else f"in {row['response_band']}"
    return f"Leads answered {late} {goal} {how}, {by}: {why}."


def _bands(edges: Sequence[float]) -> list[str]:
    rising = list(edges) == sorted(set(edges)) and len(edges) > 0 and edges[0] > 0
    if not rising:
        raise checks.ParameterError(f"edges: {list(edges)}. Give hours above 0 in rising order, such as 1, 4, 24.")
    texts = [f"{edge:g}" for edge in edges]
    middle = [f"{low} to {high} hours" for low, high in pairwise(texts)]
    unit = "hour" if texts[0] == "1" else "hours"
    return [f"within {texts[0]} {unit}", *middle, f"more than {words.duration(edges[-1], 'hours')}"]


def _kinds(rows: pd.DataFrame, controls: Sequence[str]) -> pd.DataFrame:
    """What is held equal, as whole numbers: a missing category is one of its own."""
    arrived = rows["created_at"]
    kinds = rows.assign(hours_of_day=arrived.dt.hour // 6, is_weekend=arrived.dt.day_of_week >= 5)
    return pd.DataFrame({name: pd.factorize(kinds[name], use_na_sentinel=False)[0] for name in [*_LIKE, *controls]})


def _standardised(
    kinds: pd.DataFrame, band: np.ndarray, is_reached: pd.Series, n_bands: int, confidence: float
) -> pd.DataFrame:
    """Standardised rate of each band and its difference from the first; missing where it cannot stand for all."""
    names = [f"{name}{end}" for name in ("standardised_rate", "response_band_effect") for end in _LIMITS]
    table = pd.DataFrame(np.nan, index=range(n_bands), columns=[*names, "overlap_rate", "p_value"])
    if not len(band):
        return table
    kind = kinds.groupby(list(kinds)).ngroup().to_numpy()
    alike = np.zeros((kind.max() + 1, n_bands), dtype=int)
    np.add.at(alike, (kind, band), 1)
    table["overlap_rate"] = (alike >= _MIN_LIKE)[kind].mean(axis=0)
    shown = (table["overlap_rate"] >= MIN_OVERLAP) & (np.bincount(band, minlength=n_bands) >= checks.MIN_N)
    if not shown.iloc[0] or shown.sum() < 2 or is_reached.nunique() < 2:
        return table
    fitted, places = _fitted(kinds, band, is_reached, n_bands)
    values = np.eye(n_bands)[:, 1:][:, [number for number, place in places]]
    columns = [place for number, place in places]
    for at in np.flatnonzero(shown):
        mean = logit.average_probability(fitted, columns, values[at], confidence=confidence)
        table.loc[at, names[:3]] = [mean.estimate, mean.low, mean.high]
        if at:
            gap = logit.average_difference(fitted, columns, values[at], values[0], confidence=confidence)
            table.loc[at, [*names[3:], "p_value"]] = [gap.estimate, gap.low, gap.high, gap.p_value]
    return table


def _fitted(
    kinds: pd.DataFrame, band: np.ndarray, is_reached: pd.Series, n_bands: int
) -> tuple[logit.Fit, list[tuple[int, int]]]:
    """The regression, and for each band but the first that has a column: its number, and where it stands."""
    bands = [number for number in range(1, n_bands) if (band == number).any()]
    levels = [kinds[name].to_numpy() == level for name in kinds for level in range(1, kinds[name].max() + 1)]
    design = np.column_stack([np.ones(len(band)), *(band == number for number in bands), *levels]).astype(float)
    kept = logit.independent_columns(design)
    # A kind or band in which all or none converted has no finite estimate: one further trial holds it in.
    in_band = pd.Series(np.asarray(is_reached, dtype=float)).groupby(band).mean()
    is_parted = bool(((in_band == 0) | (in_band == 1)).any())
    strength = np.r_[0, np.full(len(bands), float(is_parted)), np.ones(len(levels))][kept]
    return logit.fit(design[:, kept], is_reached, strength=strength), [(n - 1, at) for at, n in enumerate(bands, 1)]
