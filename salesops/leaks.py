"""The leak guard: which fields know how a deal ended, because they were filled in, changed or counted afterwards."""

import functools
from collections.abc import Callable, Sequence
from datetime import date
from typing import NamedTuple

import numpy as np
import pandas as pd
from pandas.api.extensions import take

from salesops import candidates, checks, words
from salesops.stats import association, codes, ranks, scores

MIN_N = 20  # open deals, deals won and deals lost without which nothing is compared
MOST_BY_CHANCE = 0.001  # a field is refused only where chance would do so less often
LEAST_GAP = 0.10  # and by how much more often it must be filled in closed deals
LEAST_ODDS_RATIO = 8.0
LEAST_ODDS_RATIO_SINCE = 3.0  # of later deals: they are few
LEAST_GAP_AMONG_ALIVE = 0.05
_USUAL = 0.90  # share of open deals with one value, from which it reads as "not yet"
LARGEST_AUC = 0.90
_SURE_AUC = 0.80  # the lower end of its interval
_NEVER = 1 / 50  # "constant": a value other than the usual one so much rarer than on the other side
_LEAST_VARIED = 0.05
_EXPECTED = 50  # deals that would differ if both sides did so equally often
_LEAST_AT_CLOSE = 0.20
_GROWS = 0.60  # rank correlation with the time open
_FOLLOWS = 0.50  # with the activities after the landmark, among deals alike in those before
_FEW = 50  # deals needed for a rank correlation
_WEEK = 7.0
_SAME = 0.90  # rank correlation of a column that is the time itself
_MOST = 0.50
_COLUMNS = (
    "factor", "reason", "n", "n_open", "won_filled_rate", "lost_filled_rate", "open_filled_rate", "auc", "auc_low",
    "auc_high",
)  # fmt: skip


class _Deals(NamedTuple):
    """What every field is compared with, row by row of the frame."""

    is_won: np.ndarray
    is_lost: np.ndarray
    is_open: np.ndarray
    age: np.ndarray  # days from creation to the end, or so far
    days: np.ndarray  # from the landmark
    fold: np.ndarray
    until: dict[str, ranks.Levels]  # activities until the landmark, by what they are
    later: dict[str, ranks.Levels]  # and after it
    alike: Callable[..., association.Alike]  # what open deals are compared with; see `_alike`


class _Field(NamedTuple):
    """A field's values by number, counted once for all that is asked of it."""

    column: pd.Series
    levels: ranks.Levels  # of a number in their order
    is_number: bool

    @classmethod
    def of(cls, column: pd.Series) -> "_Field":
        if candidates.is_number(column):
            return cls(column, ranks.levels(column.to_numpy(dtype=float, na_value=np.nan)), True)
        place, found = pd.factorize(column)
        return cls(column, ranks.Levels(place, len(found)), False)

    @property
    def is_filled(self) -> np.ndarray:
        return self.levels.place >= 0

    def counts(self, part: np.ndarray) -> np.ndarray:
        """How many of some rows have each value, the last entry being how many have none."""
        place = self.levels.place[part]
        return np.bincount(np.where(place < 0, self.levels.n, place), minlength=self.levels.n + 1)


def guard(
    frame: pd.DataFrame,
    opportunities: pd.DataFrame,
    *,
    factors: Sequence[str],
    as_of: date,
    stage_history: pd.DataFrame | None = None,
    activities: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Which candidate fields know how the deal ended, and what gives them away.

    A field is refused when it

    1. counts the deal's whole life: follows the activities after the landmark among deals alike
       before it, or grows with the days until the deal closed;
    2. got its value on the day of closing in a fifth or more of the deals won or lost, and half or
       more of its changes fall on that day, where the history carries it;
    3. is filled in, or no longer what nine in ten open deals have, more often in deals won, lost or
       closed than in open deals of the same age (10 points, odds eight times as large), of those
       that came later more often than in the open ones (10 points, three times), and in past deals
       that were open at that age more often than in today's (5 points), each of it beyond what
       chance does once in 1,000;
    4. is empty or constant for all lost, or all won, deals and varies among the others;
    5. tells won from lost alone too well: AUC above 0.90 on deals not used to learn from.

    Parameters
    ----------
    frame
        Of `landmark.deals`, open deals included: without at least 20 of them rule 3 is silent.
    opportunities
        With ``opportunity_id`` and ``created_date``.
    factors
        Columns of `frame` to test.
    as_of
        Last day used.
    stage_history
        With ``opportunity_id, changed_at, seq`` and the fields it carries.
    activities
        With ``opportunity_id, kind, occurred_at``; all count here, automatic ones too.

    Returns
    -------
    DataFrame
        One row per factor: ``factor``, ``reason`` (missing: clean), ``n`` (closed deals), ``n_open``,
        ``won_filled_rate``, ``lost_filled_rate``, ``open_filled_rate`` (0-1), ``auc`` with interval (0.5-1).

    Notes
    -----
    Each comparison of rule 3 also differs for an honest reason of its own: a field that goes with
    winning or with speed, one given up or introduced at some time, one that fills up with age. A
    leak shows in all three. A field that is filled at a later stage is refused as well: it tells how far a deal
    came. A category of how long a deal took, or a leak weaker than the limits, goes unseen.

    References
    ----------
    Kaufman, Rosset, Perlich & Stitelman (2012), ACM Trans. Knowl. Discov. Data 6(4):15.

    Examples
    --------
    >>> n = 400
    >>> frame = pd.DataFrame({
    ...     "opportunity_id": [f"d{i}" for i in range(n)], "landmark_at": pd.Timestamp("2026-06-01"),
    ...     "days": [float(i % 50) for i in range(n)], "is_closed": [i < 300 for i in range(n)],
    ...     "is_won": [i < 100 for i in range(n)], "segment": ["SMB", "Mid", "Big", "Mid"] * 100,
    ...     "x_reason": ["Price" if i < 300 else None for i in range(n)],
    ... })
    >>> deals = frame[["opportunity_id"]].assign(created_date=frame["landmark_at"])
    >>> found = guard(frame, deals, factors=["segment", "x_reason"], as_of=date(2026, 9, 30))
    >>> found[["factor", "reason"]].values.tolist()
    [['segment', nan], ['x_reason', 'filled in 100 % of closed deals and in 0 % of open deals of the same age']]
    """
    checks.require_columns(frame, ["opportunity_id", "landmark_at", "days", "is_closed", "is_won", *factors])
    checks.require_columns(opportunities, ["opportunity_id", "created_date"])
    deals = _deals(frame, opportunities, activities, as_of)
    written = _written_at_close(frame, stage_history, factors)
    rows = [_row(each, _Field.of(frame[each]), deals, written.get(each)) for each in factors]
    return pd.DataFrame(rows, columns=_COLUMNS).astype({"factor": "str", "reason": "str"})


def clean(found: pd.DataFrame) -> list[str]:
    """The factors that `guard` has nothing against."""
    return found.loc[found["reason"].isna(), "factor"].tolist()


def sentence(found: pd.DataFrame, *, shown: int = 3) -> str:
    """What was refused, in words.

    Examples
    --------
    >>> table = pd.DataFrame({"factor": ["x_tier", "x_emails", "segment"],
    ...     "reason": ["the same for all lost deals", "a count of the whole life", None]})
    >>> sentence(table, shown=1)
    '2 of 3 fields know how the deal ended and are left out: tier (the same for all lost deals) and 1 more.'
    >>> sentence(table[1:])
    '1 of 2 fields knows how the deal ended and is left out: emails (a count of the whole life).'
    >>> sentence(table[2:]), sentence(table[:0])
    ('None of the fields looked at (1) knows how the deal ended.', 'There is no field to look at.')
    """
    refused = found[found["reason"].notna()]
    if found.empty:
        return "There is no field to look at."
    if refused.empty:
        return f"None of the fields looked at ({words.count(len(found))}) knows how the deal ended."
    listed = [
        f"{words.label(factor).lower()} ({reason})"
        for factor, reason in zip(refused["factor"], refused["reason"], strict=True)
    ]
    more = len(listed) - shown
    named = "; ".join(listed[:shown]) + (f" and {words.count(more)} more" if more > 0 else "")
    verb = "knows how the deal ended and is" if len(listed) == 1 else "know how the deal ended and are"
    return f"{words.count(len(listed))} of {words.count(len(found))} fields {verb} left out: {named}."


def _deals(frame: pd.DataFrame, opportunities: pd.DataFrame, activities: pd.DataFrame | None, as_of: date) -> _Deals:
    is_won, is_open = frame["is_won"].to_numpy(bool), ~frame["is_closed"].to_numpy(bool)
    ids = frame["opportunity_id"]
    created = opportunities["created_date"].dt.normalize().array
    begun = take(created, codes.places(ids, opportunities["opportunity_id"]), allow_fill=True)
    before = pd.Series(frame["landmark_at"].dt.normalize().array - begun) / pd.Timedelta(days=1)
    days = frame["days"].to_numpy(float)
    age, day = days + before.fillna(0).to_numpy(float), frame["landmark_at"].to_numpy("datetime64[D]").astype(float)
    until, later = _activities(frame, activities, as_of)
    return _Deals(
        is_won=is_won,
        is_lost=~is_won & ~is_open,
        is_open=is_open,
        age=age,
        days=days,
        # By the id, so that the order of the rows does not matter.
        fold=(pd.util.hash_array(ids.to_numpy(object), categorize=False) % 5).astype(int),
        until=until,
        later=later,
        alike=functools.cache(functools.partial(_alike, is_won, is_open, age, day)),
    )


def _alike(
    is_won: np.ndarray, is_open: np.ndarray, age: np.ndarray, day: np.ndarray, group: str, *, since: bool, onwards: bool
) -> association.Alike:
    """The deals of a group that each open one is compared with: as old, or of its day; onwards: at least as old."""
    key, known = day if since else age, np.isfinite(age)
    return association.alike(
        key[is_open & known], key[_of_group(group, is_won, is_open) & known], from_there_on=onwards
    )


def _of_group(group: str, is_won: np.ndarray, is_open: np.ndarray) -> np.ndarray:
    return {"won": is_won, "lost": ~is_won & ~is_open, "closed": ~is_open}[group] & ~is_open


def _activities(
    frame: pd.DataFrame, activities: pd.DataFrame | None, as_of: date
) -> tuple[dict[str, ranks.Levels], dict[str, ranks.Levels]]:
    """Activities of each deal until its landmark and after it, all and by kind."""
    if activities is None or frame["landmark_at"].isna().all():
        return {}, {}
    deal = codes.places(activities["opportunity_id"], frame["opportunity_id"])
    moment = activities["occurred_at"].to_numpy()
    kept = np.flatnonzero((deal >= 0) & (moment < np.datetime64(pd.Timestamp(as_of) + pd.Timedelta(days=1))))
    deal, (kind, kinds) = deal[kept], pd.factorize(activities["kind"].take(kept))
    is_past = moment[kept] <= frame["landmark_at"].to_numpy()[deal]

    def counted(part: np.ndarray) -> dict[str, ranks.Levels]:
        # Of no kind: the last.
        cell = np.where(kind < 0, len(kinds), kind)[part] * len(frame) + deal[part]
        counts = np.bincount(cell, minlength=(len(kinds) + 1) * len(frame)).reshape(-1, len(frame))
        found = {"activity": counts.sum(axis=0), **dict(zip(kinds, counts, strict=False))}
        return {name: ranks.Levels(each, int(each.max(initial=0)) + 1) for name, each in found.items()}

    return counted(is_past), counted(~is_past)


def _written_at_close(
    frame: pd.DataFrame, stage_history: pd.DataFrame | None, factors: Sequence[str]
) -> dict[str, tuple[float, float, float]]:
    """Of each field the history carries: share of won and of lost deals whose value came on the day of closing.

    Only where the frame has that later value: one in force at the landmark leaks nothing. Third, the
    share of all changes, in deals closed, that fall on that day.
    """
    carried = [each for each in factors if stage_history is not None and each in stage_history]
    if not carried:
        return {}
    has_ended = np.flatnonzero(frame["ended_at"].notna())
    ids = frame["opportunity_id"].take(has_ended)
    is_won = frame["is_won"].to_numpy(bool)[has_ended]
    deal, changed_at = codes.places(stage_history["opportunity_id"], ids), stage_history["changed_at"]
    order = codes.ordered(deal, changed_at, stage_history["seq"])
    deal = deal[order]
    # One column at a time: the history is long.
    is_late = changed_at.to_numpy()[order] >= frame["ended_at"].to_numpy()[has_ended][deal]
    is_next = np.diff(deal, prepend=-1) == 0
    shares = {}
    for each in carried:
        values, found = pd.factorize(stage_history[each])
        then, last_known = values[order], codes.places(frame[each].take(has_ended), pd.Series(found))
        changed = is_next & (then >= 0) & (np.diff(then, prepend=-1) != 0)
        late = np.zeros(len(ids), dtype=bool)
        late[deal[changed & is_late & (then == last_known[deal])]] = True
        shares[each] = (_share(late[is_won]), _share(late[~is_won]), _share(is_late[changed]))
    return shares


def _row(factor: str, field: _Field, deals: _Deals, written: tuple[float, float, float] | None) -> tuple:
    """One row of `guard`; the first rule that speaks gives the reason."""
    counts = {part: field.counts(getattr(deals, f"is_{part}")) for part in ("won", "lost", "open")}
    auc = _auc(field, deals)
    reasons = (
        rule
        for rule in (
            _counts_the_life(field, deals),
            _late(written),
            _filled_at_close(field, deals),
            _constant(field, counts),
            _too_good(auc),
        )
        if rule
    )
    rates = [float(each[:-1].sum() / each.sum()) if each.sum() else np.nan for each in counts.values()]
    return factor, next(reasons, None), int((~deals.is_open).sum()), int(deals.is_open.sum()), *rates, *auc


def _share(flags: np.ndarray) -> float:
    return float(flags.mean()) if len(flags) else np.nan


def _counts_the_life(field: _Field, deals: _Deals) -> str | None:
    """A number that follows what happened after the landmark."""
    if not field.is_number:
        return None
    values = field.column.to_numpy(dtype=float, na_value=np.nan)
    known = np.isfinite(values) & ~deals.is_open & np.isfinite(deals.days)
    place = field.levels.place[known]
    if len(place) < _FEW or (place == place[0]).all():
        return None
    rank, values = ranks.ranks(field.levels, known), values[known]
    by_days = ranks.ranks(ranks.levels(deals.days[known]))
    order = np.corrcoef(rank, by_days)[0, 1] if np.ptp(by_days) else np.nan
    return (
        _is_the_time(values, known, deals, order)
        or _follows_activities(rank, values, known, deals)
        or _grows(values, deals.days[known], order)
    )


def _is_the_time(values: np.ndarray, known: np.ndarray, deals: _Deals, order: float) -> str | None:
    if not order >= _SAME:
        return None
    near = max(float((np.abs(values - when[known]) <= _WEEK).mean()) for when in (deals.days, deals.age))
    if not near >= _MOST:
        return None
    return f"is the time until the deal closed: within a week of it in {words.rate(near)} of closed deals"


def _follows_activities(rank: np.ndarray, values: np.ndarray, known: np.ndarray, deals: _Deals) -> str | None:
    def order(kind: str) -> float:
        later, until = (ranks.ranks(counts[kind], known) for counts in (deals.later, deals.until))
        return association.partial_order(rank, later, until)

    # What follows one kind follows all of them a little: most fields need no look at each.
    if not deals.later or not order("activity") >= _FOLLOWS / 2:
        return None
    strong = {kind: found for kind in deals.later if (found := order(kind)) >= _FOLLOWS}
    if not strong:
        return None
    kind = max(strong, key=strong.__getitem__)
    later, until = (counts[kind].place[known] for counts in (deals.later, deals.until))
    name = "activities" if kind == "activity" else f"activities of the kind {words.group(kind)}"
    is_equal = float((values == later + until).mean())
    if is_equal >= _MOST:
        return f"counts the {name} of the whole life: equal to them in {words.rate(is_equal)} of closed deals"
    few, many = _ends(values, later)
    return f"follows the {name} after the landmark: {few} where they are fewest, {many} where they are most"


def _grows(values: np.ndarray, days: np.ndarray, order: float) -> str | None:
    if not abs(order) >= _GROWS:
        return None
    soon, late = _ends(values, days)
    return f"changes with the time a deal stays open: {soon} in those closed soonest, {late} in those closed last"


def _ends(values: np.ndarray, by: np.ndarray) -> tuple[str, str]:
    """Median of the values in the lowest and in the highest quarter by another number."""
    low, high = np.quantile(by, [0.25, 0.75])
    return words.count(np.median(values[by <= low])), words.count(np.median(values[by >= high]))


def _late(written: tuple[float, float, float] | None) -> str | None:
    if written is None or not (max(written[:2]) >= _LEAST_AT_CLOSE and written[2] >= _MOST):
        return None
    won, lost = (words.rate(share) for share in written[:2])
    return f"got its value on the day of closing in {won} of won and {lost} of lost deals"


def _filled_at_close(field: _Field, deals: _Deals) -> str | None:
    """Filled, or other than usual, more often in closed deals than in open ones as old, as recent, and alive then."""
    if deals.is_open.sum() < MIN_N:
        return None
    still = field.column[deals.is_open]
    usual = still.mode()
    tests = [("filled in", field.is_filled)]
    if len(usual) and (is_usual := still == usual.iloc[0]).mean() >= _USUAL:
        place = field.levels.place[deals.is_open][int(np.argmax(is_usual.to_numpy(bool, na_value=False)))]
        tests.append((f"other than {_text(usual.iloc[0])} in", field.is_filled & (field.levels.place != place)))
    for said, flags in tests:
        found = _more_often(flags, deals)
        if found:
            group, rate, share = found
            closed = words.rate(rate)
            return f"{said} {closed} of {group} deals and in {words.rate(share)} of open deals of the same age"
    return None


def _more_often(flags: np.ndarray, deals: _Deals) -> tuple[str, float, float] | None:
    """The group of closed deals in which the flag is set more often than any honest reason explains."""
    known = np.isfinite(deals.age)
    still = flags[deals.is_open & known]

    def gap(group: str, *, since: bool, onwards: bool) -> association.Gap:
        part = _of_group(group, deals.is_won, deals.is_open) & known
        return association.gap_at_same(still, flags[part], deals.alike(group, since=since, onwards=onwards))

    if not _is_larger(gap("closed", since=False, onwards=True), LEAST_GAP_AMONG_ALIVE):
        return None
    found = []
    for group in ("won", "lost", "closed"):
        same_age, later = gap(group, since=False, onwards=False), gap(group, since=True, onwards=True)
        if _is_larger(same_age, LEAST_GAP, LEAST_ODDS_RATIO) and _is_larger(later, LEAST_GAP, LEAST_ODDS_RATIO_SINCE):
            found.append((same_age.expected - same_age.share, group, same_age.expected, same_age.share))
    # Won and lost ones alike: then it is the closing that fills it.
    return (found[-1] if len(found) == 3 else max(found))[1:] if found else None


def _is_larger(gap: association.Gap, least: float, odds_ratio: float = 1.0) -> bool:
    is_far = gap.n >= MIN_N and gap.expected - gap.share >= least and gap.p_value <= MOST_BY_CHANCE
    return is_far and _odds_ratio(gap) >= odds_ratio


def _odds_ratio(gap: association.Gap) -> float:
    """Of the share expected against the one found, half a deal added on each side."""
    few, many = ((share * gap.n + 0.5) / (gap.n + 1) for share in (gap.share, gap.expected))
    return many * (1 - few) / (few * (1 - many))


def _constant(field: _Field, counts: dict[str, np.ndarray]) -> str | None:
    """Empty or one value on one side, and not on the other."""
    for fixed, varied in (("lost", "won"), ("won", "lost")):
        here, there = counts[fixed], counts[varied]
        if here.sum() < MIN_N or there.sum() < MIN_N:
            return None
        place, usual = _most_frequent(field, here)
        off, other_off = (float((each.sum() - each[place]) / each.sum()) for each in (here, there))
        rare = off <= other_off * _NEVER
        if rare and other_off >= _LEAST_VARIED and here.sum() * other_off >= _EXPECTED:
            kept = "empty" if pd.isna(usual) else _text(usual)
            return (
                f"{kept} in {words.rate(1 - off)} of {fixed} deals and in {words.rate(1 - other_off)} of {varied} ones"
            )
    return None


def _most_frequent(field: _Field, counts: np.ndarray) -> tuple[int, object]:
    """The most frequent value, which may be none, of several the first in their order: its number and itself."""
    often = np.flatnonzero(counts == counts.max())
    example = np.empty(len(counts), dtype=int)
    example[field.levels.place] = np.arange(len(field.column))
    values = field.column.iloc[example[often]]
    first = values.mode(dropna=False).iloc[0]
    is_first = values.isna() if pd.isna(first) else values == first
    return int(often[int(np.argmax(is_first.to_numpy(bool, na_value=False)))]), first


def _text(value: object) -> str:
    return words.count(value) if isinstance(value, int | float) and not isinstance(value, bool) else words.group(value)


def _auc(field: _Field, deals: _Deals) -> tuple[float, float, float]:
    """How well the field alone tells won from lost, on deals not used to learn from."""
    if min(deals.is_won.sum(), deals.is_lost.sum()) < MIN_N:
        return np.nan, np.nan, np.nan
    closed = ~deals.is_open
    place = field.levels.place[closed] + 1
    if field.is_number:
        counts = np.bincount(place, minlength=field.levels.n + 1)
        share = ranks.of_levels(counts[1:]) / max(counts[1:].sum(), 1)
        place = np.append(0, np.ceil(share * 20).astype(int))[place]
    rate, won, lost = association.held_out_rates(place, deals.is_won[closed], deals.fold[closed])
    seen = won + lost > 0
    return tuple(scores.auc_of_counts(won[seen], lost[seen], rate[seen]))


def _too_good(auc: tuple[float, float, float]) -> str | None:
    value, low, _ = auc
    if not (value > LARGEST_AUC and low > _SURE_AUC):
        return None
    return f"tells won from lost by itself, rightly in {words.rate(value)} of pairs"
