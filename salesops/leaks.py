"""The leak guard: which fields know how a deal ended, because they were filled in, changed or counted afterwards."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import numpy as np
import pandas as pd

from salesops import candidates, checks, words
from salesops.stats import association, scores

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
    day: np.ndarray  # of the landmark
    fold: np.ndarray
    until: dict[str, np.ndarray]  # activities until the landmark, by what they are
    later: dict[str, np.ndarray]  # and after it


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
    rows = [_row(each, frame[each], deals, written.get(each)) for each in factors]
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
    created = opportunities.drop_duplicates("opportunity_id").set_index("opportunity_id")["created_date"]
    begun = created.reindex(frame["opportunity_id"]).set_axis(frame.index)
    before = frame["landmark_at"].dt.normalize() - begun.dt.normalize()
    days = frame["days"].to_numpy(float)
    until, later = _activities(frame, activities, as_of)
    return _Deals(
        is_won=is_won,
        is_lost=~is_won & ~is_open,
        is_open=is_open,
        age=days + (before / pd.Timedelta(days=1)).fillna(0).to_numpy(float),
        days=days,
        day=frame["landmark_at"].to_numpy("datetime64[D]").astype(float),
        # By the id, so that the order of the rows does not matter.
        fold=(pd.util.hash_array(frame["opportunity_id"].to_numpy(object)) % 5).astype(int),
        until=until,
        later=later,
    )


def _activities(
    frame: pd.DataFrame, activities: pd.DataFrame | None, as_of: date
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Activities of each deal until its landmark and after it, all and by kind."""
    if activities is None or frame["landmark_at"].isna().all():
        return {}, {}
    deal = pd.Index(frame["opportunity_id"]).get_indexer(activities["opportunity_id"])
    moment = activities["occurred_at"].to_numpy()
    kept = (deal >= 0) & (moment < np.datetime64(pd.Timestamp(as_of) + pd.Timedelta(days=1)))
    deal, kind = deal[kept], activities["kind"].to_numpy(object)[kept]
    is_past = moment[kept] <= frame["landmark_at"].to_numpy()[deal]
    kinds = {"activity": np.ones(len(kind), bool)} | {each: kind == each for each in pd.unique(kind)}
    counts = [
        {name: np.bincount(deal[mine & part], minlength=len(frame)) for name, mine in kinds.items()}
        for part in (is_past, ~is_past)
    ]
    return counts[0], counts[1]


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
    ids = frame["opportunity_id"].iloc[has_ended]
    is_won = frame["is_won"].to_numpy(bool)[has_ended]
    deal = pd.Index(ids).get_indexer(stage_history["opportunity_id"])
    order = np.lexsort([stage_history["seq"].to_numpy(), stage_history["changed_at"].to_numpy(), deal])
    order = order[np.searchsorted(deal[order], 0) :]
    deal = deal[order]
    # One column at a time: the history is long.
    is_late = stage_history["changed_at"].to_numpy()[order] >= frame["ended_at"].to_numpy()[has_ended][deal]
    is_next = np.diff(deal, prepend=-1) == 0
    shares = {}
    for each in carried:
        then, last_known = stage_history[each].take(order), frame[each].take(has_ended).take(deal).array
        then = then.reset_index(drop=True)
        changed = (is_next & then.notna() & (then != then.shift())).to_numpy(bool, na_value=False)
        late = np.zeros(len(ids), dtype=bool)
        late[deal[changed & is_late & then.eq(last_known).to_numpy(bool, na_value=False)]] = True
        shares[each] = (_share(late[is_won]), _share(late[~is_won]), _share(is_late[changed]))
    return shares


def _row(factor: str, column: pd.Series, deals: _Deals, written: tuple[float, float, float] | None) -> tuple:
    """One row of `guard`; the first rule that speaks gives the reason."""
    filled = column.notna().to_numpy()
    auc = _auc(column, deals)
    reasons = (
        rule
        for rule in (
            _counts_the_life(column, deals),
            _late(written),
            _filled_at_close(column, deals),
            _constant(column, deals),
            _too_good(auc),
        )
        if rule
    )
    rates = [_share(filled[part]) for part in (deals.is_won, deals.is_lost, deals.is_open)]
    return factor, next(reasons, None), int((~deals.is_open).sum()), int(deals.is_open.sum()), *rates, *auc


def _share(flags: np.ndarray) -> float:
    return float(flags.mean()) if len(flags) else np.nan


def _counts_the_life(column: pd.Series, deals: _Deals) -> str | None:
    """A number that follows what happened after the landmark."""
    if not candidates.is_number(column):
        return None
    values = column.to_numpy(float)
    known = np.isfinite(values) & ~deals.is_open & np.isfinite(deals.days)
    if known.sum() < _FEW or np.ptp(values[known]) == 0:
        return None
    order = pd.Series(values[known]).corr(pd.Series(deals.days[known]), method="spearman")
    return (
        _is_the_time(values, known, deals, order)
        or _follows_activities(values[known], known, deals)
        or _grows(values[known], deals.days[known], order)
    )


def _is_the_time(values: np.ndarray, known: np.ndarray, deals: _Deals, order: float) -> str | None:
    near = [float((np.abs(values - when)[known] <= _WEEK).mean()) for when in (deals.days, deals.age)]
    if not (order >= _SAME and max(near) >= _MOST):
        return None
    return f"is the time until the deal closed: within a week of it in {words.rate(max(near))} of closed deals"


def _follows_activities(values: np.ndarray, known: np.ndarray, deals: _Deals) -> str | None:
    def order(kind: str) -> float:
        return association.partial_order(values, deals.later[kind][known], deals.until[kind][known])

    # What follows one kind follows all of them a little: most fields need no look at each.
    if not deals.later or not order("activity") >= _FOLLOWS / 2:
        return None
    strong = {kind: found for kind in deals.later if (found := order(kind)) >= _FOLLOWS}
    if not strong:
        return None
    kind = max(strong, key=strong.__getitem__)
    later, until = deals.later[kind][known], deals.until[kind][known]
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


def _filled_at_close(column: pd.Series, deals: _Deals) -> str | None:
    """Filled, or other than usual, more often in closed deals than in open ones as old, as recent, and alive then."""
    if deals.is_open.sum() < MIN_N:
        return None
    usual = column[deals.is_open].mode()
    tests = [("filled in", column.notna().to_numpy())]
    if len(usual) and (column[deals.is_open] == usual.iloc[0]).mean() >= _USUAL:
        is_other = column.notna().to_numpy() & _differs(column, usual.iloc[0])
        tests.append((f"other than {_text(usual.iloc[0])} in", is_other))
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
    still, closed = deals.is_open & known, ~deals.is_open & known

    def gap(key: np.ndarray, part: np.ndarray, *, onwards: bool) -> association.Gap:
        return association.gap_at_same(flags[still], key[still], flags[part], key[part], from_there_on=onwards)

    if not _is_larger(gap(deals.age, closed, onwards=True), LEAST_GAP_AMONG_ALIVE):
        return None
    found = []
    for group, part in (("won", deals.is_won & closed), ("lost", deals.is_lost & closed), ("closed", closed)):
        same_age, since = gap(deals.age, part, onwards=False), gap(deals.day, part, onwards=True)
        if _is_larger(same_age, LEAST_GAP, LEAST_ODDS_RATIO) and _is_larger(since, LEAST_GAP, LEAST_ODDS_RATIO_SINCE):
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


def _constant(column: pd.Series, deals: _Deals) -> str | None:
    """Empty or one value on one side, and not on the other."""
    sides = {"lost": deals.is_lost, "won": deals.is_won}
    for fixed, varied in (("lost", "won"), ("won", "lost")):
        here, there = column[sides[fixed]], column[sides[varied]]
        if len(here) < MIN_N or len(there) < MIN_N:
            return None
        usual = here.mode(dropna=False).iloc[0]
        off, other_off = (_share(_differs(part, usual)) for part in (here, there))
        rare = off <= other_off * _NEVER
        if rare and other_off >= _LEAST_VARIED and len(here) * other_off >= _EXPECTED:
            kept = "empty" if pd.isna(usual) else _text(usual)
            return (
                f"{kept} in {words.rate(1 - off)} of {fixed} deals and in {words.rate(1 - other_off)} of {varied} ones"
            )
    return None


def _differs(column: pd.Series, usual: object) -> np.ndarray:
    """Where a column has another value than the usual one, or any where that is none."""
    return column.notna().to_numpy() if pd.isna(usual) else ~(column == usual).to_numpy(bool, na_value=False)


def _text(value: object) -> str:
    return words.count(value) if isinstance(value, int | float) and not isinstance(value, bool) else words.group(value)


def _auc(column: pd.Series, deals: _Deals) -> tuple[float, float, float]:
    """How well the field alone tells won from lost, on deals not used to learn from."""
    if min(deals.is_won.sum(), deals.is_lost.sum()) < MIN_N:
        return np.nan, np.nan, np.nan
    closed = ~deals.is_open
    values = column[closed]
    if candidates.is_number(column):
        values = pd.Series(np.ceil(values.rank(pct=True) * 20).to_numpy())
    score = association.held_out_rates(values, deals.is_won[closed], deals.fold[closed])
    return tuple(scores.auc(deals.is_won[closed], score))


def _too_good(auc: tuple[float, float, float]) -> str | None:
    value, low, _ = auc
    if not (value > LARGEST_AUC and low > _SURE_AUC):
        return None
    return f"tells won from lost by itself, rightly in {words.rate(value)} of pairs"
