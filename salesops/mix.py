"""Mix against rate: how much of a change in a rate is other deals, and how much is each kind doing otherwise.

The rate is the win rate of closed deals, or the conversion of deals that entered a stage; both are split by one rule.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import t

from salesops import checks, pipeline, words
from salesops.stats import decompose, proportions

_BATCH = 2_000  # clusters left out at a time


class _Rate(NamedTuple):
    """A rate whose change can be split: what it is called, and the columns that hold it and its parts."""

    called: str
    frames: tuple[str, str]  # what messages call the rows of now and of before
    success: str
    needed: tuple[str, ...]
    change: str
    rate: str
    n_success: str
    share: str
    mix: str
    within: str


_WIN_RATE = _Rate(
    "win rate", ("closed_now", "closed_before"), "is_won", ("is_closed", "is_won", "account_id", "qualified_date"),
    "win_rate_change", "win_rate", "n_won", "deal_share", "mix_contribution", "within_contribution",
)  # fmt: skip
_CONVERSION = _Rate(
    "conversion", ("entries_now", "entries_before"), "is_converted", ("is_converted", "account_id"),
    "conversion_change", "conversion_in_time_rate", "n_converted", "entry_share", "conversion_mix_contribution",
    "conversion_within_contribution",
)  # fmt: skip


def win_rate_change(
    closed_now: pd.DataFrame, closed_before: pd.DataFrame, by: str | Sequence[str], *, confidence: float = 0.95
) -> pd.DataFrame:
    """Change of the win rate between two sets of closed, qualified deals, split into mix and rate.

    With the share ``w`` and win rate ``r`` of each group, by one column
    ``change = sum(dw * mean r) + sum(mean w * dr)``: the first part is mix, the second is the
    groups' own win rates at an unchanged mix. With several columns each has a mix part of its
    own, the order-free split of Das Gupta. The parts sum to the change. A group present at one
    time only has that time's win rate at both: its coming or going is mix.

    The interval leaves out one account at a time (the jackknife), so that deals of one account
    count as related; it holds for deals like these, not for these deals alone.

    Known bias: deals closed just after a change of mix still come from the mix before, and quick
    ones stand for the new mix, so part of a sudden shift can show as rate. Two cohorts of
    `pipeline.won_in_time` do not share it; in the sample's shift of 5 points both show under half
    a point of it (benchmarks/mix.py).

    Parameters
    ----------
    closed_now, closed_before
        Deals with ``is_closed``, ``is_won``, ``account_id``, ``qualified_date`` and `by`.
    by
        Column or columns that make the mix; a missing value is a group.
    confidence
        Level of the intervals.

    Returns
    -------
    DataFrame
        ``component`` (total, then mix for each column of `by`, then rate), ``dimension`` (the
        column of a mix part), ``n``, ``n_before`` (closed deals), ``n_won``, ``n_won_before``,
        ``win_rate_change`` with interval (points, 0-1), ``p_value``, ``is_named`` (the interval does not
        hold zero); of the total both win rates with Wilson's intervals. Missing where either time has no deals.

    Metrics
    -------
    win_rate_change : points, closed, higher, -, is_won qualified_date
        Win rate of the qualified deals closed now less that of those closed before, and the parts of it: mix is what
        other shares of the groups did at the groups' mean win rates, rate what the groups' win rates did at their mean
        shares.

    References
    ----------
    Kitagawa (1955), J. Am. Stat. Assoc. 50:1168-1194; Das Gupta (1993), Standardization and
    Decomposition of Rates; Efron (1982), The Jackknife, ch. 3.

    Examples
    --------
    >>> def closed(small, won_small, large, won_large):
    ...     won = np.r_[np.arange(small) < won_small, np.arange(large) < won_large]
    ...     return pd.DataFrame({"segment": ["SMB"] * small + ["Large"] * large, "is_won": won, "is_closed": True,
    ...         "account_id": None, "qualified_date": pd.Timestamp("2026-01-01")})
    >>> now, before = closed(800, 80, 200, 80), closed(600, 60, 400, 160)
    >>> win_rate_change(now, before, "segment")[["component", "win_rate_change", "is_named"]].round(3)
      component  win_rate_change  is_named
    0     total            -0.06      True
    1       mix            -0.06      True
    2      rate             0.00     False
    """
    return _change(_closed(closed_now, closed_before, by), by, _WIN_RATE, confidence)


def conversion_change(
    entries_now: pd.DataFrame, entries_before: pd.DataFrame, by: str | Sequence[str], *, confidence: float = 0.95
) -> pd.DataFrame:
    """Change of a conversion between two sets of deals that entered a stage, split as `win_rate_change` is.

    Parameters
    ----------
    entries_now, entries_before
        Deals that had the same time to convert, with ``is_converted``, ``account_id`` and `by`: the rows of
        `conversion_trend.entries` whose ``is_known`` holds, of one stage, or of the first stage on the way to a win.
    by
        Column or columns that make the mix; a missing value is a group.
    confidence
        Level of the intervals.

    Returns
    -------
    DataFrame
        As of `win_rate_change`, with ``n_converted``, ``n_converted_before``, ``conversion_in_time_rate``,
        ``conversion_in_time_rate_before`` and ``conversion_change``.

    Metrics
    -------
    conversion_change : points, stage_entered, higher, -, changed_at
        Share of the deals that entered now and converted in the time given, less the share of those that entered
        before, and the parts of it, mix and rate, as for the win rate.

    Examples
    --------
    >>> def entered(small, converted_small, large, converted_large):
    ...     converted = np.r_[np.arange(small) < converted_small, np.arange(large) < converted_large]
    ...     return pd.DataFrame({
    ...         "segment": ["SMB"] * small + ["Large"] * large, "is_converted": converted, "account_id": None})
    >>> now, before = entered(500, 300, 500, 200), entered(500, 250, 500, 150)
    >>> conversion_change(now, before, "segment")[["component", "conversion_change", "is_named"]].round(3)
      component  conversion_change  is_named
    0     total                0.1      True
    1       mix                0.0     False
    2      rate                0.1      True
    """
    return _change(_entered(entries_now, entries_before, by), by, _CONVERSION, confidence)


def group_contributions(
    closed_now: pd.DataFrame, closed_before: pd.DataFrame, by: str | Sequence[str], *, confidence: float = 0.95
) -> pd.DataFrame:
    """What each group brought to a change of the win rate: by its share, and by its own win rate.

    ``mix_contribution = dw * (mean r - mean of the two overall win rates)``, so a group that wins
    less often than the rest and grows takes something off; ``within_contribution = mean w * dr``.
    They sum to the mix and the rate part of `win_rate_change` (with several columns in `by`, to
    those of their combinations taken as one column).

    Parameters
    ----------
    closed_now, closed_before, by, confidence
        As for `win_rate_change`.

    Returns
    -------
    DataFrame
        One row per group, most deals now first: `by`, ``n``, ``n_before``, ``n_won``,
        ``n_won_before``, ``deal_share``, ``deal_share_before``, ``deal_share_change`` with
        interval, ``win_rate`` and ``win_rate_before`` with intervals, ``mix_contribution`` and
        ``within_contribution`` with intervals (points, 0-1).

    Metrics
    -------
    deal_share : rate, closed, none, n / -, -
        The group's share of all qualified deals closed now.
    deal_share_before : rate, closed, none, n_before / -, -
        The group's share of all qualified deals closed before.
    deal_share_change : points, closed, none, -, -
        The group's share of the deals now less its share before.
    win_rate_before : rate, closed, higher, n_won_before / n_before, is_won qualified_date
        Won over won and lost among the group's qualified deals closed before.
    mix_contribution : points, closed, higher, -, is_won qualified_date
        What the group's change of share did to the overall win rate: it counts against the average win rate.
    within_contribution : points, closed, higher, -, is_won qualified_date
        What the group's change of its own win rate did to the overall win rate, at its mean share.

    Examples
    --------
    >>> deals = pd.DataFrame({
    ...     "segment": ["SMB", "SMB", "Large", "Large"], "is_won": [False, False, True, False], "is_closed": True,
    ...     "account_id": list("abcd"), "qualified_date": pd.Timestamp("2026-01-01"),
    ... })
    >>> group_contributions(deals.iloc[:3], deals.iloc[1:], "segment")[
    ...     ["segment", "n", "mix_contribution", "within_contribution"]].round(2)
      segment  n  mix_contribution  within_contribution
    0     SMB  2             -0.11                 0.00
    1   Large  1             -0.14                 0.25
    """
    return _contributed(_closed(closed_now, closed_before, by), by, _WIN_RATE, confidence)


def conversion_contributions(
    entries_now: pd.DataFrame, entries_before: pd.DataFrame, by: str | Sequence[str], *, confidence: float = 0.95
) -> pd.DataFrame:
    """What each group brought to a change of conversion, split as `group_contributions` is.

    Parameters
    ----------
    entries_now, entries_before, by, confidence
        As for `conversion_change`.

    Returns
    -------
    DataFrame
        One row per group, most entries now first: `by`, ``n``, ``n_before``, ``n_converted``,
        ``n_converted_before``, ``entry_share``, ``entry_share_before``, and with intervals ``entry_share_change``,
        ``conversion_in_time_rate``, ``conversion_in_time_rate_before``, ``conversion_mix_contribution`` and
        ``conversion_within_contribution`` (points, 0-1).

    Metrics
    -------
    entry_share : rate, stage_entered, none, n / -, -
        The group's share of all deals that entered now.
    entry_share_before : rate, stage_entered, none, n_before / -, -
        The group's share of all deals that entered before.
    entry_share_change : points, stage_entered, none, -, -
        The group's share of the entries now less its share before.
    conversion_in_time_rate_before : rate, stage_entered, higher, n_converted_before / n_before, changed_at
        Share of the group's entries before that converted in the time given.
    conversion_mix_contribution : points, stage_entered, higher, -, changed_at
        What the group's change of share did to the overall conversion: it counts against the average conversion.
    conversion_within_contribution : points, stage_entered, higher, -, changed_at
        What the group's change of its own conversion did to the overall one, at its mean share.

    Examples
    --------
    >>> entries = pd.DataFrame({"segment": ["SMB", "SMB", "Large", "Large"], "account_id": list("abcd"),
    ...     "is_converted": [False, False, True, False]})
    >>> conversion_contributions(entries.iloc[:3], entries.iloc[1:], "segment")[
    ...     ["segment", "n", "conversion_mix_contribution"]].round(2)
      segment  n  conversion_mix_contribution
    0     SMB  2                        -0.11
    1   Large  1                        -0.14
    """
    return _contributed(_entered(entries_now, entries_before, by), by, _CONVERSION, confidence)


def sentence(
    change: pd.DataFrame,
    groups: pd.DataFrame,
    *,
    now: str,
    before: str,
    deals: str = "deals",
    rate: str = "",
    min_n: int = checks.MIN_N,
    brief: bool = False,
) -> str:
    """What a change of the win rate, or of a conversion, is made of, named only beyond chance.

    Parameters
    ----------
    change
        Of `win_rate_change` or `conversion_change`; ``is_named`` decides what is clear.
    groups
        Of `group_contributions` or `conversion_contributions`, by one of its columns.
    now, before
        The two times in words, e.g. "the year to 2026Q3".
    deals
        What the deals are called; see `pipeline.population_name`.
    rate
        What the rate is called, e.g. "share of deals won within 120 days"; "win rate" or "conversion" by default.
    min_n
        Fewest deals at either time.
    brief
        The change alone, as the title of a chart.

    Examples
    --------
    >>> change = pd.DataFrame({
    ...     "component": ["total", "mix", "rate"], "dimension": [None, "segment", None], "n": 1000, "n_before": 1000,
    ...     "n_won": 210, "n_won_before": 240, "win_rate_change": [-0.03, -0.028, -0.002],
    ...     "win_rate_change_low": [-0.05, -0.037, -0.02], "win_rate_change_high": [-0.01, -0.019, 0.016],
    ...     "is_named": [True, True, False]})
    >>> groups = pd.DataFrame({"segment": ["SMB"], "mix_contribution": [-0.02], "mix_contribution_low": [-0.03],
    ...     "mix_contribution_high": [-0.01], "deal_share_change": [0.2]})
    >>> print(sentence(change, groups, now="the year to 2026Q3", before="the year to 2025Q3"))
    The win rate fell 3 points from the year to 2025Q3 (24 %) to the year to 2026Q3 (21 %): \
a change of mix (more SMB deals) took 3 points off it (likely between 2 and 4), \
and at an unchanged mix by segment there is no clear change.
    >>> sentence(change, groups, now="2026", before="2025", brief=True)
    'The win rate fell 3 points, from 24 % to 21 %'
    """
    of = _CONVERSION if _CONVERSION.change in change else _WIN_RATE
    called = rate or of.called
    total = change[change["component"] == "total"].iloc[0]
    fewest = min(total["n"], total["n_before"])
    if fewest < min_n:
        where = now if total["n"] <= total["n_before"] else before
        counted = f"only {words.number(fewest)}" if fewest else "none"
        return f"Too few {deals} to split a change of the {called} into mix and rate: {counted} in {where}."
    shares = [total[of.n_success + end] / total["n" + end] for end in ("_before", "")]
    *rates, gap = words.ends(*shares) if total["is_named"] else [*map(words.rate, shares), ""]
    moved = f"{'rose' if total[of.change] > 0 else 'fell'} {gap}"
    if brief:
        moved = f" {moved}, from" if total["is_named"] else ": no clear change,"
        return f"The {called}{moved} {rates[0]} to {rates[1]}"
    span = f"from {before} ({rates[0]}) to {now} ({rates[1]})"
    mixes = change[change["component"] == "mix"]
    parts = [_mix_words(row, groups, of) for _, row in mixes[mixes["is_named"]].iterrows()]
    mix = ", ".join(parts) if parts else "a change of mix made no clear difference"
    by = " and ".join(words.label(name).lower() for name in mixes["dimension"])
    alike = _rate_words(change[change["component"] == "rate"].iloc[0], f"at an unchanged mix by {by}", of)
    if total["is_named"]:
        head = f"The {called} {moved} {span}: "
        return f"{head}{mix}, and {alike}."
    if not parts and not change["is_named"].any():
        return f"The {called} shows no clear change {span}, nor does it at an unchanged mix by {by}."
    if not parts:
        return f"The {called} shows no clear change {span}, but {alike}."
    return f"The {called} shows no clear change {span}, but {mix}, and {alike}."


def _mix_words(row: pd.Series, groups: pd.DataFrame, of: _Rate) -> str:
    moved, name = row[of.change], row["dimension"]
    verb, side = ("took", "off") if moved < 0 else ("added", "to")
    which = _which_group(groups, name, moved, of) if name in groups else f"by {words.label(name).lower()}"
    inside = f" ({which})" if which else ""
    return f"a change of mix{inside} {verb} {words.points(abs(moved))} {side} it{_likely(row, of)}"


def _which_group(groups: pd.DataFrame, name: str, moved: float, of: _Rate) -> str:
    """The one or two groups whose change of share did most of it, if that is beyond chance."""
    clear = groups[_clear(groups, of.mix) & (np.sign(groups[of.mix]) == np.sign(moved))]
    first = clear.sort_values(of.mix, ascending=moved < 0, kind="stable").head(2)
    sides = ["more" if change > 0 else "fewer" for change in first[f"{of.share}_change"]]
    named = [f"{side} {words.group(group)}" for side, group in zip(sides, first[name], strict=True)]
    return f"{', '.join(named)} deals" if named else ""


def _rate_words(row: pd.Series, where: str, of: _Rate) -> str:
    if not row["is_named"]:
        return f"{where} there is no clear change"
    return f"{where} it {_moved(row[of.change])}{_likely(row, of)}"


def _moved(change: float) -> str:
    return f"{'rose' if change > 0 else 'fell'} {words.points(abs(change))}"


def _likely(row: pd.Series, of: _Rate) -> str:
    near, far = sorted(abs(row[f"{of.change}_{end}"]) for end in ("low", "high"))
    return f" (likely between {words.points(near).split()[0]} and {words.points(far).split()[0]})"


def _closed(closed_now: pd.DataFrame, closed_before: pd.DataFrame, by: str | Sequence[str]) -> list[pd.DataFrame]:
    """The closed, qualified deals of both times."""
    _require(closed_now, closed_before, by, _WIN_RATE)
    known = (pipeline.qualified(frame) for frame in (closed_now, closed_before))
    return [frame[frame["is_closed"]] for frame in known]


def _entered(entries_now: pd.DataFrame, entries_before: pd.DataFrame, by: str | Sequence[str]) -> list[pd.DataFrame]:
    _require(entries_now, entries_before, by, _CONVERSION)
    return [entries_now, entries_before]


def _require(now: pd.DataFrame, before: pd.DataFrame, by: str | Sequence[str], of: _Rate) -> None:
    for frame, where in zip((now, before), of.frames, strict=True):
        checks.require_columns(frame, [*of.needed, *_names(by)], where=where)


def _names(by: str | Sequence[str]) -> list[str]:
    return [by] if isinstance(by, str) else list(by)


def _change(frames: list[pd.DataFrame], by: str | Sequence[str], of: _Rate, confidence: float) -> pd.DataFrame:
    columns = _names(by)
    rows, levels = _rows(*frames, columns, of)
    shape = tuple(len(level) for level in levels)
    values, error, clusters = _jackknife(rows, shape, lambda counts: _components(counts, len(columns)))
    names = {"component": ["total", *["mix"] * len(columns), "rate"], "dimension": [None, *columns, None]}
    table = pd.DataFrame(names | _sizes(rows, of))
    table = _with_interval(table, of.change, values, error, clusters, confidence)
    total = table[table["component"] == "total"]
    table = table.join(_rates(total, of, confidence).assign(**{f"n_{of.rate}_before": total["n_before"]}))
    size = np.abs(values) / np.where(error > 0, error, np.nan)
    return table.assign(p_value=2 * t.sf(size, max(clusters - 1, 1)), is_named=_clear(table, of.change))


def _contributed(frames: list[pd.DataFrame], by: str | Sequence[str], of: _Rate, confidence: float) -> pd.DataFrame:
    rows, levels = _rows(*frames, _names(by), of, as_one=True)
    groups = levels[0]
    values, error, clusters = _jackknife(rows, (len(groups),), _contributions)
    sizes = [_sizes(rows[rows["group0"] == number], of) for number in range(len(groups))]
    table = groups.join(pd.DataFrame(sizes, columns=list(_sizes(rows, of))))
    for tail in ("", "_before"):
        table[f"{of.share}{tail}"] = table[f"n{tail}"] / (table[f"n{tail}"].sum() or np.nan)
    parts = zip(values.reshape(3, -1), error.reshape(3, -1), strict=True)
    for name, (part, spread) in zip((of.mix, of.within, f"{of.share}_change"), parts, strict=True):
        table = _with_interval(table, name, part, spread, clusters, confidence)
    table = table.assign(**_rates(table, of, confidence))
    return table.sort_values(["n", "n_before"], ascending=False, kind="stable", ignore_index=True)


def _rates(table: pd.DataFrame, of: _Rate, confidence: float) -> pd.DataFrame:
    found = {}  # the rates of both times with their intervals
    for tail in ("", "_before"):
        n, name = table[f"n{tail}"], f"{of.rate}{tail}"
        low, high = proportions.wilson_interval(table[f"{of.n_success}{tail}"], n, confidence)
        found |= {name: table[f"{of.n_success}{tail}"] / n.where(n > 0), f"{name}_low": low, f"{name}_high": high}
    return pd.DataFrame(found, index=table.index)


def _rows(
    now: pd.DataFrame, before: pd.DataFrame, columns: list[str], of: _Rate, as_one: bool = False
) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """The deals of both times with the number of their group and cluster, and the groups in words."""
    kept = [*dict.fromkeys([of.success, "account_id", *columns])]
    deals = pd.concat([frame[kept].assign(is_now=side) for frame, side in ((now, 1), (before, 0))], ignore_index=True)
    rows = pd.DataFrame({"is_now": deals["is_now"], "is_success": deals[of.success].astype(int)})
    account = pd.factorize(deals["account_id"])[0]
    rows["cluster"] = pd.factorize(np.where(account < 0, -1 - np.arange(len(account)), account))[0]
    levels = []
    for number, names in enumerate([columns] if as_one else [[name] for name in columns]):
        rows[f"group{number}"] = deals.groupby(names, dropna=False, observed=True, sort=False).ngroup()
        levels.append(deals.loc[~rows[f"group{number}"].duplicated(), names].reset_index(drop=True))
    return rows, levels


def _jackknife(rows: pd.DataFrame, shape: tuple[int, ...], figures) -> tuple[np.ndarray, np.ndarray, int]:
    """Figures of the counts, and their standard errors from leaving out one cluster at a time.

    Counts have the axes draw, time (before, now), outcome (lost, won) and the groups'.
    """
    keys = [rows["is_now"], rows["is_success"], *(rows[f"group{axis}"] for axis in range(len(shape)))]
    size = (2, 2, *shape)
    cell = np.ravel_multi_index([key.to_numpy() for key in keys], size) if len(rows) else np.array([], dtype=int)
    counts = np.bincount(cell, minlength=int(np.prod(size))).astype(float)
    values = figures(counts.reshape(1, *size))[:, 0]
    clusters = int(rows["cluster"].max()) + 1 if len(rows) else 0
    order = np.argsort(rows["cluster"].to_numpy(), kind="stable")
    cluster, cell = rows["cluster"].to_numpy()[order], cell[order]
    without = []
    for first in range(0, clusters, _BATCH):
        mine = slice(*np.searchsorted(cluster, [first, first + _BATCH]))
        left = np.tile(counts, (min(_BATCH, clusters - first), 1))
        np.subtract.at(left, (cluster[mine] - first, cell[mine]), 1)
        without.append(figures(left.reshape(-1, *size)))
    drawn = np.concatenate([values[:, None], *without], axis=1)[:, 1:]
    drawn = drawn[:, np.isfinite(drawn).all(axis=0)]  # leaving out the only account of a time leaves no change
    if drawn.shape[1] < 2:
        return values, np.full(values.shape, np.nan), clusters
    spread = ((drawn - drawn.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    return values, np.sqrt(spread * (clusters - 1) / clusters), clusters


def _split(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Deals and win rates of the cells, before and now."""
    n = counts.sum(axis=2)
    rate = np.divide(counts[:, :, 1], n, out=np.zeros_like(n), where=n > 0)
    return n[:, 0], rate[:, 0], n[:, 1], rate[:, 1]


def _components(counts: np.ndarray, dimensions: int) -> np.ndarray:
    parts = decompose.mix_and_rate(*_split(counts), dimensions)
    return np.concatenate([parts.sum(axis=0)[None], parts])


def _contributions(counts: np.ndarray) -> np.ndarray:
    n_before, rate_before, n_now, rate_now = _split(counts)
    before, now = decompose.rates_at_both(n_before, rate_before, n_now, rate_now)
    with np.errstate(invalid="ignore"):
        share_before, share_now = (n / n.sum(axis=1, keepdims=True) for n in (n_before, n_now))
    overall = ((share_before * before).sum(axis=1) + (share_now * now).sum(axis=1))[:, None] / 2
    mix = (share_now - share_before) * ((before + now) / 2 - overall)
    within = (share_now + share_before) / 2 * (now - before)
    return np.concatenate([mix, within, share_now - share_before], axis=1).T


def _sizes(rows: pd.DataFrame, of: _Rate) -> dict[str, int]:
    now = rows["is_now"] == 1
    return {
        "n": int(now.sum()),
        "n_before": int((~now).sum()),
        of.n_success: int(rows.loc[now, "is_success"].sum()),
        f"{of.n_success}_before": int(rows.loc[~now, "is_success"].sum()),
    }


def _with_interval(table, name: str, values, error, clusters: int, confidence: float) -> pd.DataFrame:
    half = t.ppf((1 + confidence) / 2, max(clusters - 1, 1)) * error
    return table.assign(**{name: values, f"{name}_low": values - half, f"{name}_high": values + half})


def _clear(table: pd.DataFrame, name: str) -> pd.Series:
    return (table[f"{name}_low"] > 0) | (table[f"{name}_high"] < 0)
