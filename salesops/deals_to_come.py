"""Deals to come: how many deals will be created by a quarter's end, from the leads here and those that usually arrive.

A lead that is open has, by its source, its score and its age, a chance to become a deal on each of the days
left; leads yet to arrive come as they came of late and have the same chances. Deals without a lead
come as they came of late. What is known on an evening is all that is used.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import nbinom, norm
from scipy.stats import t as student

from salesops import checks, lead_chances, words
from salesops.deal_changes import day_number
from salesops.forecast_cases import RECENT, Case
from salesops.lead_chances import LEARNT_DAYS, Flow
from salesops.periods import Period, resolve

LEVEL = 0.80  # of the ranges
LEAST_QUARTERS = 4  # past quarters with known leads below which the late deals do not follow the leads

SEASON_WEIGHT = 100  # deals: what past quarters tell of a season counts as much as this many that came as usual
_CALM, _FARTHEST = 1, 100.0  # quarters that came as expected, counted in; most one quarter counts
_FEWEST = 2  # degrees of freedom of the ranges, however few the quarters
_PARTS = ("leads here", "leads to arrive", "without a lead")
_LIMITS = ("", "_low", "_high")
_COUNTS = ("expected_deal_count", "expected_qualified_count")


def expected_deals(case: Case, found: Flow | None) -> pd.DataFrame:
    """How many deals will be created, and leads qualified, from an evening to the quarter's end.

    Leads here: the sum of their chances, by source, score and age (see `lead_chances.lead_chances`). Leads to
    arrive: each day left as many as on a day of the last 91, with the same chances. Deals without a lead: as many
    a day as in the last 91 days. The last two are brought to the season: times the number that came over the
    number so expected in past quarters from this point on, 100 deals drawing those of the same quarter of the
    year to all, and all to 1. The ranges hold chance and what 91 days leave unsure, stretched by how far each past
    quarter came from what would have been expected of it, the more the fewer the quarters (Student's t).

    Parameters
    ----------
    case
        Of `forecast_cases.cases` or `case_of`.
    found
        Of `lead_chances.flow`.

    Returns
    -------
    DataFrame
        One row per part (``leads here``, ``leads to arrive``, ``without a lead``, ``all``): ``part``, ``period``,
        ``cutoff_date``, ``n`` (leads here that are open; missing otherwise), ``expected_deal_count`` and
        ``expected_qualified_count`` (missing for deals without a lead) with ranges at ``level``. No rows without leads.

    Metrics
    -------
    expected_deal_count : count, created, higher, -, created_date
        Deals expected to be created from the evening to the quarter's end.
    expected_qualified_count : count, created, higher, -, created_at qualified_at
        Leads expected to be qualified from the evening to the quarter's end.

    Examples
    --------
    >>> from datetime import date
    >>> from salesops import forecast_cases, periods
    >>> from salesops.crm import sample
    >>> tables, day = sample.tables(size=2000, years=3, clean=True), date(2026, 7, 28)
    >>> case = forecast_cases.case_of(tables["opportunities"], tables["stage_history"], stages=tables["stages"],
    ...                               period=periods.quarter(day), cutoff=day)
    >>> table = expected_deals(case, lead_chances.flow(tables["leads"], tables["opportunities"]))
    >>> table[["part", "n", "expected_deal_count", "expected_qualified_count"]].round(1)
                  part      n  expected_deal_count  expected_qualified_count
    0       leads here  385.0                  3.7                       4.8
    1  leads to arrive    NaN                 28.7                      44.4
    2   without a lead    NaN                 71.2                       NaN
    3              all    NaN                103.5                      49.1
    """
    names = [f"{name}{end}" for name in _COUNTS for end in _LIMITS]
    columns = ["part", "period", "cutoff_date", "n", *names, "level"]
    if found is None:
        return pd.DataFrame({name: pd.Series(dtype=float) for name in columns})
    ranges = {name: _ranges(case, found, is_deal) for name, is_deal in zip(_COUNTS, (True, False), strict=True)}
    parts = pd.DataFrame({"part": [*_PARTS, "all"], "period": case.period.label, "cutoff_date": case.cutoff})
    values = {f"{name}{end}": [each[k] for each in ranges[name]] for name in _COUNTS for k, end in enumerate(_LIMITS)}
    is_open = lead_chances.is_open(found, day_number(case.cutoff), found.made, found.gone)
    return parts.assign(n=np.r_[float(is_open.sum()), np.full(3, np.nan)], **values, level=LEVEL)[columns]


def expected_sentence(table: pd.DataFrame, period: Period) -> str:
    """How many deals are expected to be created, of which leads or of none, and how many leads qualified.

    Parameters
    ----------
    table
        Of `expected_deals`.
    period
        The quarter.

    Examples
    --------
    >>> from datetime import date
    >>> table = pd.DataFrame({"part": ["leads here", "leads to arrive", "without a lead", "all"],
    ...     "n": [155.0, np.nan, np.nan, np.nan], "expected_deal_count": [8.6, 29.9, 82.1, 120.6],
    ...     "expected_deal_count_low": [5, 22, 70, 104], "expected_deal_count_high": [12, 38, 95, 137],
    ...     "expected_qualified_count": [10.9, 46.0, np.nan, 56.9]})
    >>> from salesops.periods import quarter
    >>> q3 = quarter(date(2026, 8, 1))
    >>> expected_sentence(table, q3)
    'About 121 deals are expected to be created by the end of 2026Q3, in four of five cases between 104 and 137: \
about 82 without a lead, about 30 of leads yet to arrive and about 9 of the 155 leads open now, whenever they \
arrived. About 57 leads are expected to be qualified by then.'
    >>> expected_sentence(table.iloc[:0], q3)
    'No leads are known: the deals to be created by the end of 2026Q3 are expected as they came of late.'
    """
    by = f"by the end of {period.label}"
    if table.empty:
        return f"No leads are known: the deals to be created {by} are expected as they came of late."
    rows = table.set_index("part")
    here, arriving, other, total = (rows.loc[part, "expected_deal_count"] for part in (*_PARTS, "all"))
    n = rows.loc["leads here", "n"]
    leads = "as no lead is" if n == 0 else "of the one lead" if n == 1 else f"of the {words.count(n)} leads"
    arrived = f"open now, whenever {'it' if n == 1 else 'they'} arrived"
    now = f"none {leads} open now" if n == 0 else f"{_bare(here)} {leads} {arrived}"
    ends = (rows.loc["all", f"expected_deal_count{end}"] for end in ("_low", "_high"))
    likely = words.interval(*ends, "count", level=LEVEL)
    first = f"{_about(total, 'deal').capitalize()} expected to be created {by}, {likely}"
    rest = f"{_bare(other)} without a lead, {_bare(arriving)} of leads yet to arrive and {now}"
    qualified = _about(rows.loc["all", "expected_qualified_count"], "lead").capitalize()
    return f"{first}: {rest}. {qualified} expected to be qualified by then."


def follower(found: Flow | None) -> Callable[[Case], pd.Series | None]:
    """What the late deals of a case follow, for `pipeline_forecast.outlook`.

    Of a case it gives, by label of each past quarter and of its own, the deals expected to be created from that
    evening of the quarter to its end, from the leads known then. A deal counts by the share of deals that are won
    as soon after creation as days would be left; so deals that come early count more.

    Known limit: on simulated companies it forecasts bookings no better than the creation rate alone, and late in a
    quarter somewhat worse; it counts the deals better (``benchmarks/deals_to_come.py``).

    Parameters
    ----------
    found
        Of `lead_chances.flow`. What was counted of an evening is kept for the next case that asks.

    Returns
    -------
    Callable
        ``(case) -> Series`` by quarter's label, in its order, missing where the leads of fewer than 91 days were
        known; None without leads, or with fewer than four such quarters.

    Examples
    --------
    >>> from datetime import date
    >>> from salesops import forecast_cases, periods
    >>> from salesops.crm import sample
    >>> tables, day = sample.tables(size=2000, years=3, clean=True), date(2026, 7, 28)
    >>> case = forecast_cases.case_of(tables["opportunities"], tables["stage_history"], stages=tables["stages"],
    ...                               period=periods.quarter(day), cutoff=day)
    >>> follow = follower(lead_chances.flow(tables["leads"], tables["opportunities"]))
    >>> follow(case).round(1).tail(3)
    2026Q1    25.0
    2026Q2    29.5
    2026Q3    23.9
    dtype: float64
    """
    memory: dict[tuple[int, int], _Count] = {}

    def count(span: _Span) -> _Count:
        key = span.start, span.end
        if key not in memory:
            memory[key] = _count(found, span, True)
        return memory[key]

    def follow(case: Case) -> pd.Series | None:
        if found is None or case.late.empty:
            return None
        labels, spans = [*case.late["period"].unique(), case.period.label], _spans(case)
        counts = [count(span) if _is_known(found, span) else None for span in spans]
        past, soon = [each for each in counts[:-1] if each is not None], _won_within(case)
        values = [np.nan if each is None else _daily(each, past) @ _worth(soon, each.span) for each in counts]
        said = pd.Series(values, index=pd.Index(labels, dtype="str"))
        return said if len(past) >= LEAST_QUARTERS and said.iloc[:-1].sum() > 0 and said.iloc[-1] > 0 else None

    return follow


class _Span(NamedTuple):
    """From an evening to the last day of its quarter, as days since 1970, and the month that quarter begins in."""

    start: int
    end: int
    season: int


class _Count(NamedTuple):
    """What was expected of a span on its first evening, and what came: of leads here then, and of all others."""

    span: _Span
    said: lead_chances.Outcome
    n_other: int  # deals without a lead in the 91 days before
    came: int
    came_new: int

    @property
    def new(self) -> tuple[float, float]:
        """Expected of leads to arrive and without a lead."""
        return float(self.said.arriving.sum()), self.n_other * (self.span.end - self.span.start) / RECENT


def _spans(case: Case) -> list[_Span]:
    """As far into each past quarter as the case is into its own, and the case's own last."""
    into = day_number(case.cutoff) - day_number(case.period.start)
    labels = case.late["period"].unique()
    quarters = [*(resolve(label, as_of=case.cutoff, calendar=case.calendar) for label in labels), case.period]
    ends = [day_number(each.end) for each in quarters]
    # The last evenings of a long quarter lie beyond the end of a short one.
    return [
        _Span(min(day_number(each.start) + into, end), end, each.start.month)
        for each, end in zip(quarters, ends, strict=True)
    ]


def _is_known(found: Flow, span: _Span) -> bool:
    return bool(found.arrived.min() <= span.start - RECENT + 1)


def _count(found: Flow, span: _Span, is_deal: bool) -> _Count:
    """Deals made and to come, or leads qualified."""
    start, end = span.start, span.end
    reached = found.made if is_deal else found.qualified
    said = lead_chances.outcome(found, start, end, reached, found.gone)
    is_come = (reached > start) & (reached <= end)
    n_new, n_other = int((is_come & (found.arrived > start)).sum()), 0
    if is_deal:
        seen, lead = found.deal_seen, found.deal_lead
        n_other = int(((seen <= start) & (seen > start - RECENT) & (lead > start)).sum())
        n_new += int(((seen > start) & (seen <= end) & (lead > end)).sum())
    return _Count(span, said, n_other, int((is_come & (found.arrived <= start)).sum()) + n_new, n_new)


def _season(past: list[_Count], season: int) -> float:
    """How many more came than 91 days promised in past quarters, in those of the same season above all."""
    expected, came = np.array([sum(each.new) for each in past]), np.array([each.came_new for each in past])
    whole = (came.sum() + SEASON_WEIGHT) / (expected.sum() + SEASON_WEIGHT)
    same = np.array([each.span.season == season for each in past], dtype=bool)
    return float((came[same].sum() + SEASON_WEIGHT * whole) / (expected[same].sum() + SEASON_WEIGHT))


def _daily(count: _Count, past: list[_Count]) -> np.ndarray:
    """Deals expected on each day left."""
    n_days = count.span.end - count.span.start
    new = count.said.arriving + np.full(n_days, count.n_other / RECENT)
    return count.said.here + _season(past, count.span.season) * new


def _moments(count: _Count, past: list[_Count]) -> list[tuple[float, float]]:
    """Mean and variance of each part, and of all."""
    season = _season(past, count.span.season)
    parts = [(float(count.said.here.sum()), count.said.variance)]
    for mean, n in zip(count.new, (count.said.n_arrived, count.n_other), strict=True):
        parts.append((season * mean, season * mean + (season * mean) ** 2 / max(n, 1)))
    return [*parts, tuple(float(sum(each)) for each in zip(*parts, strict=True))]


def _ranges(case: Case, found: Flow, is_deal: bool) -> list[tuple[float, float, float]]:
    """Number and limits of each part and of all; missing where a part cannot be."""
    *before, now = _spans(case)
    past = [_count(found, span, is_deal) for span in before if _is_known(found, span)]
    stretch = _stretch(past)
    said = [_range(mean, variance * stretch) for mean, variance in _moments(_count(found, now, is_deal), past)]
    return said if is_deal else [*said[:2], (np.nan,) * 3, said[3]]


def _stretch(past: list[_Count]) -> float:
    """Factor of the variance: how far each past quarter came from what the others would have had it expected.

    A variance known from few quarters is unsure itself: hence Student's range in place of the normal.
    """
    squares = []
    for number, each in enumerate(past):
        mean, variance = _moments(each, past[:number] + past[number + 1 :])[-1]
        squares.append(min((each.came - mean) ** 2 / variance, _FARTHEST) if variance > 0 else 1.0)
    n, place = len(squares), (1 + LEVEL) / 2
    unsure = (student.ppf(place, max(n, _FEWEST)) / norm.ppf(place)) ** 2
    return (_CALM + sum(squares)) / (_CALM + n) * unsure


def _range(mean: float, variance: float) -> tuple[float, float, float]:
    """A count with its range: negative binomial of that mean and variance, Poisson's variance at least."""
    if not mean > 0:
        return mean, mean, mean
    variance = max(variance, mean * (1 + 1e-6))
    p = mean / variance
    low, high = nbinom.ppf([(1 - LEVEL) / 2, (1 + LEVEL) / 2], mean * p / (1 - p), p)
    return float(mean), float(low), float(high)


def _won_within(case: Case) -> np.ndarray:
    """Share of all wins that came within so many days of creation, among deals old enough to tell; flat where few."""
    left = max(day_number(case.period.end) - day_number(case.cutoff), 1)
    won = case.won.dropna(subset=["created_date", "close_date"])
    created, closed = lead_chances.days(won["created_date"]), lead_chances.days(won["close_date"])
    reach = max(left, RECENT)
    cutoff = day_number(case.cutoff)
    mine = (created > cutoff - LEARNT_DAYS) & (created <= cutoff - reach)
    days = (closed - created)[mine].clip(0)
    if (days <= reach).sum() < checks.MIN_N:
        return np.ones(1)
    return np.bincount(days[days <= reach].astype(np.int64), minlength=reach + 1).cumsum() / len(days)


def _worth(soon: np.ndarray, span: _Span) -> np.ndarray:
    """What a deal created on each of the days left counts."""
    left = np.arange(span.end - span.start)[::-1]
    return soon[np.minimum(left, len(soon) - 1)]


def _about(number: float, noun: str) -> str:
    shown = round(number)
    if shown == 1:
        return f"about 1 {noun} is"
    return f"about {words.count(shown)} {noun}s are" if shown else f"hardly any {noun} is"


def _bare(number: float) -> str:
    return f"about {words.count(round(number))}" if round(number) else "hardly any"
