"""Activity and winning: whether deals that get more of it are won more often, within a rep and between reps."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from salesops import candidates, checks, words
from salesops.stats import factors, logit, means, multiplicity

LANDMARK = 30  # days after its creation, at which a deal's activity so far is counted
BUCKETS = (0, 1, 3, 6, 11, 21)  # where the buckets of a count begin
LEAST_REPS = 8  # below which reps cannot be compared by how much they do
LEAST_OF_EACH = 5  # deals won, and lost, of a rep within whose deals can be compared
HELD = ("stage", "opportunity_type", "segment", "quarter")  # held equal, where known

_WITHIN, _BETWEEN = "within a rep", "between reps"
_COUNT = "_count"
_LIMITS = ("", "_low", "_high")
_RATES = [f"{name}{end}" for name in ("landmark_win_rate", "adjusted_win_rate") for end in _LIMITS]
_STRENGTH = 1.0  # of the penalty on what is held equal: a level where all are won has no finite effect
_EFFECT = ["activity", "comparison", "n", "n_reps", "doubling_effect", "doubling_effect_low", "doubling_effect_high",
           "p_value"]  # fmt: skip


def held_equal(frame: pd.DataFrame, wanted: Sequence[str] = HELD) -> list[str]:
    """Which of the columns to hold equal are there and tell anything.

    Examples
    --------
    >>> held_equal(pd.DataFrame({"segment": ["SMB", "Mid"], "quarter": ["2026Q1", "2026Q1"]}))
    ['segment']
    """
    return [name for name in wanted if name in frame and frame[name].nunique(dropna=False) > 1]


def relation(
    frame: pd.DataFrame, *, controls: Sequence[str] | None = None, cluster: str = "account_id", confidence: float = 0.95
) -> pd.DataFrame:
    """How much more often deals with twice the activity are won: within a rep, and between reps.

    Within: a logistic regression of won on ``log2(1 + count)`` with an effect of every rep, so that a rep's
    deals are compared with the same rep's others: what makes a rep good, and a diligent logger, is held
    equal. Of reps with at least 20 deals decided, 5 won and 5 lost; the interval allows for several deals
    of one company. Between: the same on the rep's mean, beside each deal's distance from it; the
    interval is over reps. Both are the mean change in the chance of winning over one doubling (of the count
    plus one), from half of it below what every deal had, or every rep's usual, to half above, in points.
    Each kind of activity is looked at by itself.

    Known bias: association. A customer who answers gets more calls, and a deal that goes well gets more
    of everything; between reps it holds, beside what shows within, whatever else diligent reps do
    differently. Deals that ended before the landmark are not in it. A rep's mean of few deals is partly
    luck, which draws the effect between reps towards that within.

    Parameters
    ----------
    frame
        Of `landmark.deals` at `LANDMARK` days, with ``owner_id`` and counts until the landmark (of
        `activity.own` activities), old enough to be decided: `landmark.studied`. Open deals are left out.
    controls
        Columns held equal; those of `HELD` that tell anything by default.
    cluster
        Column whose deals belong together within reps.
    confidence
        Level of the intervals.

    Returns
    -------
    DataFrame
        Two rows per kind of activity, all kinds together first: ``activity``, ``comparison`` (within a rep, between
        reps), ``n`` (deals), ``n_reps``, ``doubling_effect`` with its limits, ``p_value``. Missing where there are
        too few reps, or one wins all.

    Metrics
    -------
    doubling_effect : points, landmark, none, -, is_won
        Mean change in the chance of winning that goes with twice the activity by the landmark.

    References
    ----------
    Neuhaus & Kalbfleisch (1998), Biometrics 54:638-645; Mundlak (1978), Econometrica 46:69-85; Anderson, Cain & Gelber
    (1983), J. Clin. Oncol. 1:710-719.

    Examples
    --------
    Every rep wins half of the deals, more of those with more calls:

    >>> deals = pd.DataFrame({
    ...     "owner_id": [f"U{number % 8}" for number in range(320)], "account_id": [f"A{n}" for n in range(320)],
    ...     "is_closed": True, "is_won": [number // 8 % 4 < (1, 3)[number // 160] for number in range(320)],
    ...     "activity_count": [1] * 160 + [3] * 160,
    ... })
    >>> relation(deals)[["comparison", "n", "n_reps", "doubling_effect"]].round(2)
         comparison    n  n_reps  doubling_effect
    0  within a rep  320       8              0.4
    1  between reps  320       8              NaN
    """
    rows = _decided(frame, [cluster])
    held = held_equal(rows) if controls is None else list(controls)
    checks.require_columns(rows, held)
    columns = [name for name in rows if name.endswith(_COUNT) and not name.startswith("x_")]
    columns = sorted(columns, key=lambda name: name != "activity_count")
    others = _coded(rows, held)
    found = [
        {"activity": column.removesuffix(_COUNT), "comparison": how} | each(rows, column, others, cluster, confidence)
        for column in columns
        for how, each in ((_WITHIN, _within), (_BETWEEN, _between))
    ]
    return pd.DataFrame(found, columns=_EFFECT)


def dose_response(
    frame: pd.DataFrame,
    *,
    column: str = "activity_count",
    controls: Sequence[str] | None = None,
    cluster: str = "account_id",
    buckets: Sequence[int] = BUCKETS,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """The win rate by how much was done until the landmark: as seen, and with the rep and all else held equal.

    Known bias: as `relation`.

    Parameters
    ----------
    frame, controls, cluster, confidence
        As for `relation`.
    column
        The count.
    buckets
        Where each begins; the last is open, and takes in those above it that fewer than 20 deals reach.

    Returns
    -------
    DataFrame
        One row per bucket, the lowest first: ``level``, ``n`` (deals decided), ``n_won``, ``landmark_win_rate`` (as
        seen) and ``adjusted_win_rate`` (all else equal) with their limits. No row where nothing was counted.

    Metrics
    -------
    landmark_win_rate : rate, landmark, none, n_won / n, is_won
        Share of the deals decided, of those open at the landmark, that were won.

    Examples
    --------
    >>> deals = pd.DataFrame({
    ...     "is_closed": True, "is_won": [True] * 20 + [False] * 80 + [True] * 40 + [False] * 60,
    ...     "activity_count": [0] * 100 + [3, 4] * 50, "owner_id": ["U1", "U2"] * 100, "account_id": None,
    ... })
    >>> dose_response(deals, buckets=(0, 3))[["level", "n", "n_won", "landmark_win_rate", "adjusted_win_rate"]].round(2)
      level    n  n_won  landmark_win_rate  adjusted_win_rate
    0   0–2  100     20                0.2                0.2
    1    3+  100     40                0.4                0.4
    """
    if not any(name.endswith(_COUNT) for name in frame):
        return pd.DataFrame(columns=["level", "n", "n_won", *_RATES])
    checks.require_columns(frame, [column])
    rows = _decided(frame, [cluster])
    held = held_equal(rows) if controls is None else list(controls)
    starts = [buckets[0], *(each for each in buckets[1:] if (rows[column] >= each).sum() >= checks.MIN_N)]
    level, labels = factors.bucketed(rows[column], starts)
    levels = rows.assign(level=pd.Categorical(level, labels), is_won=rows["is_won"].astype(bool))
    options = {"success": "is_won", "cluster": cluster, "confidence": confidence}
    seen = means.clustered_share(levels, by=["level"], **options).astype({"level": "str"})
    named = {"hit": "n_won"} | {f"share{end}": f"landmark_win_rate{end}" for end in _LIMITS}
    table = pd.DataFrame({"level": labels}).merge(seen.rename(columns=named), on="level", how="left")
    table[["n", "n_won"]] = table[["n", "n_won"]].fillna(0).astype(int)
    own = _coded(rows, [*held_equal(rows, ["owner_id"]), *held])
    adjusted = _adjusted(rows, level, labels, own, rows[cluster], confidence)
    return table.join(pd.DataFrame(adjusted, columns=_RATES[3:]))


def relation_sentence(
    table: pd.DataFrame, *, activity: str = "activity", days: int = LANDMARK, brief: bool = False
) -> str:
    """What goes with more activity within a rep's deals, and between reps; without figures where `brief`, as a title.

    Parameters
    ----------
    table
        Of `relation`; with ``is_named`` where the report controls its comparisons together.
    activity
        Which kind.
    days
        The landmark.

    Examples
    --------
    >>> row = {"activity": "activity", "n": 900, "n_reps": 30}
    >>> found = pd.DataFrame([
    ...     row | {"comparison": "within a rep", "doubling_effect": 0.04, "doubling_effect_low": 0.01,
    ...            "doubling_effect_high": 0.07, "p_value": 0.01},
    ...     row | {"comparison": "between reps", "doubling_effect": 0.02, "doubling_effect_low": -0.05,
    ...            "doubling_effect_high": 0.09, "p_value": 0.5}])
    >>> relation_sentence(found)  # doctest: +NORMALIZE_WHITESPACE
    'Of the deals of one rep still open after 30 days, those with twice the activity by then are won 4 points more often
    (likely between 1 point and 7 points); reps who usually do more win neither clearly more nor clearly less often.'
    >>> relation_sentence(found.assign(p_value=0.5))  # doctest: +NORMALIZE_WHITESPACE
    'More activity in the first 30 days goes with no clear difference in wins: not within the deals of one rep, and not
    between reps.'
    >>> relation_sentence(found.assign(p_value=0.5), brief=True)
    'More activity in the first 30 days goes with no clear difference in wins'
    >>> relation_sentence(found, brief=True)
    'A rep wins more of the deals with more activity in the first 30 days'
    >>> relation_sentence(found[:0])
    'Too few deals and reps to say whether more activity goes with more wins.'
    """
    mine = table[table["activity"] == activity].set_index("comparison")
    known = mine[mine["doubling_effect"].notna() & (mine["n"] >= checks.MIN_N)]
    what = "activity" if activity == "activity" else f"{words.group(activity)}s"
    if known.empty:
        return f"Too few deals and reps to say whether more {what} goes with more wins."
    named = _is_named(known)
    no_more = "neither clearly more nor clearly less often"
    if not named.any():
        where = {_WITHIN: "not within the deals of one rep", _BETWEEN: "not between reps"}
        said = ", and ".join(where[each] for each in known.index)
        stated = f"More {what} in the first {words.duration(days)} goes with no clear difference in wins"
        return stated if brief else f"{stated}: {said}."
    if brief:
        return _brief(known[named], f"more {what} in the first {words.duration(days)}")
    parts = []
    if _WITHIN in known.index:
        those = f"those with twice the {what} by then are won"
        one = f"Of the deals of one rep still open after {words.duration(days)}, {those}"
        parts.append(f"{one} {_more(known.loc[_WITHIN]) if named[_WITHIN] else no_more}")
    if _BETWEEN in known.index:
        usual = f"{'reps' if parts else 'Reps'} who usually do {'more' if not named[_BETWEEN] else 'twice as much'} win"
        parts.append(f"{usual} {_more(known.loc[_BETWEEN]) if named[_BETWEEN] else no_more}")
    return f"{'; '.join(parts)}."


def _brief(named: pd.DataFrame, more: str) -> str:
    """The relation that stands, in at most fifteen words; that within a rep where both do."""
    place = _WITHIN if _WITHIN in named.index else _BETWEEN
    side = "more" if named.loc[place, "doubling_effect"] > 0 else "fewer"
    if place == _WITHIN:
        return f"A rep wins {side} of the deals with {more}"
    return f"Reps whose deals usually have {more} win {side} of them"


def _decided(frame: pd.DataFrame, more: Sequence[str]) -> pd.DataFrame:
    checks.require_columns(frame, ["owner_id", "is_closed", "is_won", *more])
    return frame[frame["is_closed"].astype(bool) & frame["owner_id"].notna()].reset_index(drop=True)


def _coded(rows: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    """Categories as columns of zeros and ones, rare levels together; numbers standardised."""
    parts = [np.zeros((len(rows), 0))]
    for name in names:
        if candidates.is_number(rows[name]):
            number = rows[name].astype(float).fillna(rows[name].mean())
            parts.append(((number - number.mean()) / (number.std() or 1.0)).to_numpy()[:, None])
        else:
            parts.append(pd.get_dummies(candidates.lumped(rows[name]), drop_first=True, dtype=float).to_numpy())
    return np.column_stack(parts)


def _within(rows: pd.DataFrame, column: str, others: np.ndarray, cluster: str, confidence: float) -> dict:
    won = rows["is_won"].groupby(rows["owner_id"]).agg(["size", "sum"])
    lost = won["size"] - won["sum"]
    able = won.index[(won["size"] >= checks.MIN_N) & (won["sum"] >= LEAST_OF_EACH) & (lost >= LEAST_OF_EACH)]
    is_in = rows["owner_id"].isin(able).to_numpy()
    reps = pd.get_dummies(rows.loc[is_in, "owner_id"], dtype=float).to_numpy()
    return _effect(
        rows[is_in], _doublings(rows[column])[is_in], reps, others[is_in], rows.loc[is_in, cluster], confidence
    )


def _between(rows: pd.DataFrame, column: str, others: np.ndarray, _: str, confidence: float) -> dict:
    x = pd.Series(_doublings(rows[column]), index=rows.index)
    size = x.groupby(rows["owner_id"]).transform("size")
    is_in = (size >= checks.MIN_N).to_numpy()
    mean = x.groupby(rows["owner_id"]).transform("mean").to_numpy()
    n_reps = rows.loc[is_in, "owner_id"].nunique()
    if n_reps < LEAST_REPS:
        return {"n": int(is_in.sum()), "n_reps": n_reps}
    first = np.column_stack([np.ones(len(rows)), x - mean])[is_in]
    return _effect(rows[is_in], mean[is_in], first, others[is_in], rows.loc[is_in, "owner_id"], confidence)


def _adjusted(
    rows: pd.DataFrame, level: pd.Series, labels: list[str], others: np.ndarray, cluster, confidence: float
) -> list:
    """Mean chance of winning in each bucket, were every deal in it; missing where nothing can be told."""
    unknown = [(np.nan,) * 3] * len(labels)
    inside = (level.to_numpy()[:, None] == np.array(labels, dtype=object)).astype(float)
    used = np.flatnonzero(inside.sum(axis=0))
    if rows["is_won"].nunique() < 2:
        return unknown
    design = np.column_stack([np.ones(len(rows)), inside[:, used[1:]], others])
    kept = logit.independent_columns(design)
    strength = np.where(np.arange(design.shape[1]) > 0, _STRENGTH, 0.0)[kept]
    fitted = logit.fit(design[:, kept], rows["is_won"], cluster=cluster, strength=strength)
    columns, values = np.arange(1, len(used)), np.eye(len(used))[:, 1:]
    means_of = {place: logit.average_probability(fitted, columns, values[number], confidence=confidence)
                for number, place in enumerate(used)}  # fmt: skip
    return [tuple(means_of[place]) if place in means_of else unknown[place] for place in range(len(labels))]


def _doublings(counted: pd.Series) -> np.ndarray:
    return np.log2(1 + counted.to_numpy(float))


def _effect(
    rows: pd.DataFrame, x: np.ndarray, first: np.ndarray, others: np.ndarray, cluster, confidence: float
) -> dict:
    """The mean change in the chance of winning with one more in `x`; missing where the other columns tell it."""
    known = {"n": len(rows), "n_reps": rows["owner_id"].nunique()}
    design = np.column_stack([first, x, others])
    place = first.shape[1]
    if not len(rows) or rows["is_won"].nunique() < 2:
        return known
    kept = logit.independent_columns(design)
    if not kept[place]:
        return known
    strength = np.where(np.arange(design.shape[1]) > place, _STRENGTH, 0.0)[kept]
    at = int(kept[:place].sum())
    try:
        fitted = logit.fit(design[:, kept], rows["is_won"], cluster=cluster, strength=strength)
    except checks.DataError:  # the outcomes are parted by the activity
        return known
    found = logit.average_difference(fitted, [at], x[:, None] + 0.5, x[:, None] - 0.5, confidence=confidence)
    effect = {"doubling_effect": found.estimate, "doubling_effect_low": found.low, "doubling_effect_high": found.high}
    return known | effect | {"p_value": found.p_value}


def _is_named(rows: pd.DataFrame) -> pd.Series:
    if "is_named" in rows:
        return rows["is_named"].astype(bool)
    return multiplicity.named_together(rows)[0]["is_named"]


def _more(row: pd.Series) -> str:
    effect, low, high = (row[f"doubling_effect{end}"] for end in ("", "_low", "_high"))
    side = "more" if effect > 0 else "less"
    low, high = (low, high) if effect > 0 else (-high, -low)
    limits = words.interval(low, high, "points").replace("+", "")
    return f"{words.points(abs(effect))} {side} often ({limits})"
