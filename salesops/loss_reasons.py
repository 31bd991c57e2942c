"""Loss reasons: what our own people write down about the deals we lose, and how much they leave out.

A reason is filled in by hand, often in haste. So the share that says nothing comes first, and
where it is large nothing is ranked.
"""

from datetime import date

import numpy as np
import pandas as pd
from scipy.stats import norm, studentized_range

from salesops import checks, pipeline, words
from salesops.stats import groups, proportions, survival

MOST_UNEXPLAINED = 0.30  # share of the lost deals without a telling reason above which reasons are not ranked
_VAGUE = {"other", "others", "misc", "miscellaneous", "unknown", "n/a", "na", "none", "-", "?", "not known"}
_HALF_A_DAY = 0.5  # added to times before their logarithm: some deals are lost on the day they come
_QUANTILES = {"p25": 0.25, "median": 0.5, "p75": 0.75}


def missing_reasons(opportunities: pd.DataFrame, by: str | None = None, *, confidence: float = 0.95) -> pd.DataFrame:
    """How many lost deals say nothing of why: no reason at all, or only "other".

    Parameters
    ----------
    opportunities
        With ``is_closed``, ``is_won``, ``loss_reason``, ``amount``, ``account_id`` and `by`; the closed deals
        that were not won count (no-decision included).
    by
        Column to group on; a missing value is a group. None gives one row.
    confidence
        Level of the intervals: Wilson's by count; by amount, that of a ratio of sums clustered by account.

    Returns
    -------
    DataFrame
        One row per group, largest first: `by`, ``n`` (lost), ``missing_count``, ``other_count``,
        ``missing_reason_rate``, ``other_reason_rate``, ``value_missing_reason_rate``,
        ``value_other_reason_rate`` (0-1), each rate with limits.

    Metrics
    -------
    missing_reason_rate : rate, closed, lower, missing_count / n, is_won
        Lost deals (no-decision included) without a loss reason over all lost deals closed in the period.
    other_reason_rate : rate, closed, lower, other_count / n, is_won
        Lost deals whose reason is "other" or as vague over all lost deals closed in the period.
    value_missing_reason_rate : rate, closed, lower, -, is_won amount lost_amount
        Amount of the lost deals without a loss reason over the amount of all lost deals closed in the period.
    value_other_reason_rate : rate, closed, lower, -, is_won amount lost_amount
        Amount of the lost deals whose reason is "other" or as vague over the amount of all lost deals.

    Examples
    --------
    >>> deals = pd.DataFrame({
    ...     "is_closed": True, "is_won": [False, False, False, False, True], "account_id": list("ABCDE"),
    ...     "loss_reason": ["Price", "Other", None, "Price", None], "amount": [10.0, 20.0, 50.0, 20.0, 99.0],
    ... })
    >>> missing_reasons(deals)[["n", "missing_reason_rate", "other_reason_rate", "value_missing_reason_rate"]]
       n  missing_reason_rate  other_reason_rate  value_missing_reason_rate
    0  4                 0.25               0.25                        0.5
    """
    lost = _lost(opportunities, by)
    lost = lost.assign(missing=lost["loss_reason"].isna(), other=is_vague(lost["loss_reason"]), all=0)
    each = lost[[by]].drop_duplicates() if by else pd.DataFrame({"all": [0]})
    table = groups.rows_of_each(each, lost, lambda rows: _unexplained(rows, confidence))
    table = table if by else table.drop(columns="all")
    return table.sort_values("n", ascending=False, kind="stable", ignore_index=True)


def is_ranked(missing: pd.DataFrame) -> bool:
    """Whether enough lost deals say why for the reasons to be ranked.

    Parameters
    ----------
    missing
        Of `missing_reasons`, without `by`.

    Examples
    --------
    >>> is_ranked(pd.DataFrame({"n": [50], "missing_count": [10], "other_count": [6]}))
    False
    """
    row = missing.iloc[0]
    return bool(row["n"] and row["missing_count"] + row["other_count"] <= MOST_UNEXPLAINED * row["n"])


def loss_pareto(opportunities: pd.DataFrame, by: str | None = None, *, confidence: float = 0.95) -> pd.DataFrame:
    """Each reason's share of the lost deals, by count and by amount, with limits that hold for all reasons together.

    By count the intervals are Sison and Glaz's; by amount, those of ratios of sums clustered by
    account, each at a level of ``1 - (1 - confidence) / reasons`` (Bonferroni). Deals without a
    reason come first, then vague ones; the others follow by count, or by name where too few
    deals say why (`is_ranked`).

    Known bias: a reason is what our own people recorded, not what the customer said.

    Parameters
    ----------
    opportunities
        With ``is_closed``, ``is_won``, ``loss_reason``, ``amount``, ``account_id`` and `by`.
    by
        Column to group on; shares and limits are then each group's own.
    confidence
        Level of the intervals.

    Returns
    -------
    DataFrame
        One row per group and reason: `by`, ``loss_reason``, ``n`` (all lost), ``reason_count``,
        ``loss_share``, ``reason_amount``, ``all_lost_amount``, ``value_loss_share`` (0-1, shares with limits),
        ``cumulative_share`` (by count, this reason and those before it that tell why; missing unless ranked).

    Metrics
    -------
    loss_share : rate, closed, none, reason_count / n, is_won
        Lost deals with this reason over all lost deals (no-decision included) closed in the period.
    value_loss_share : rate, closed, none, reason_amount / all_lost_amount, is_won amount lost_amount
        Amount of the lost deals with this reason over the amount of all lost deals closed in the period.

    References
    ----------
    Sison & Glaz (1995), J. Am. Stat. Assoc. 90:366-369.

    Examples
    --------
    >>> deals = pd.DataFrame({
    ...     "is_closed": True, "is_won": False, "account_id": list("ABCDEF"), "amount": [10.0, 20, 30, 40, 50, 50],
    ...     "loss_reason": ["Price", "Price", "Timing", "Price", "Timing", None],
    ... })
    >>> loss_pareto(deals)[["loss_reason", "reason_count", "loss_share", "value_loss_share", "cumulative_share"]]
      loss_reason  reason_count  loss_share  value_loss_share  cumulative_share
    0         NaN             1    0.166667              0.25               NaN
    1       Price             3    0.500000              0.35          0.500000
    2      Timing             2    0.333333              0.40          0.833333
    """
    lost = _lost(opportunities, by)
    return groups.tables_of_each(lost, by, lambda rows: _pareto(rows, confidence))


def time_to_loss_by(
    opportunities: pd.DataFrame, *, by: str = "loss_reason", as_of: date, confidence: float = 0.95
) -> pd.DataFrame:
    """How long deals take to be lost for each reason, or to each competitor.

    Losing for one reason competes with losing for the others and with winning; open deals are
    censored. The quantiles are of ``F_k(t) / F_k(last)``, ``F_k`` being the share of all deals
    that have been lost so by age ``t``. What is written only when a deal is lost is enough.

    Known bias: too short while the oldest open deals are younger than the slowest losses.

    Parameters
    ----------
    opportunities
        With ``created_date``, ``close_date``, ``closed_at``, ``is_closed``, ``is_won`` and `by`.
    by
        Column that says how a deal was lost.
    as_of
        Last day used.
    confidence
        Level of the intervals.

    Returns
    -------
    DataFrame
        One row per value of `by`, the missing one included, most losses first: `by`, ``n`` (lost so),
        ``time_to_loss_days_median`` with limits, ``time_to_loss_days_p25``, ``time_to_loss_days_p75``.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> deals = pd.DataFrame({
    ...     "created_date": day("2026-07-01"), "close_date": day(["2026-07-11"] * 3 + ["2026-07-31"] * 2),
    ...     "closed_at": day([None] * 5), "is_closed": True, "is_won": [False, False, False, False, True],
    ...     "loss_reason": ["No budget", "No budget", None, "Price", None],
    ... })
    >>> time_to_loss_by(deals, as_of=date(2026, 9, 30))[["loss_reason", "n", "time_to_loss_days_median"]]
      loss_reason  n  time_to_loss_days_median
    0   No budget  2                      10.0
    1         NaN  1                      10.0
    2       Price  1                      30.0
    """
    checks.require_columns(opportunities, [by])
    aged = pipeline.ages(opportunities, start="created_date", as_of=as_of)
    code, values = pd.factorize(aged[by], use_na_sentinel=False)
    cause = pd.Series(code, index=aged.index).astype("str").where(aged["cause"] == "lost", aged["cause"])
    found = survival.incidence_quantiles(aged["days"], cause, confidence=confidence)
    found = found[found["cause"] != "won"].set_index("cause")
    at = {name: found[found["probability"] == share] for name, share in _QUANTILES.items()}
    middle = at["median"]
    table = pd.DataFrame({"n": middle["n_events"].astype(int), **_times(middle, "median", ("", "_low", "_high"))})
    table = table.assign(**_times(at["p25"], "p25"), **_times(at["p75"], "p75"))
    names = pd.Series(values[table.index.astype(int)], index=table.index, dtype=aged[by].dtype, name=by)
    return pd.concat([names, table], axis=1).sort_values("n", ascending=False, kind="stable", ignore_index=True)


def time_contrast(table: pd.DataFrame, by: str = "loss_reason", *, min_n: int = checks.MIN_N) -> pd.DataFrame:
    """The reasons for which deals are lost soonest and latest, and whether chance would part them as far.

    The difference of the two medians over its error (pooled from the limits of all groups), both of their
    logarithms, because short times are known more closely than long ones; against the range of so many groups
    that do not differ (Tukey's).

    Parameters
    ----------
    table
        Of `time_to_loss_by`.
    by
        Its column.
    min_n
        Fewest lost deals of a group compared; a missing reason is compared too, but never named.

    Returns
    -------
    DataFrame
        One row: ``soonest``, ``soonest_days``, ``latest``, ``latest_days`` (medians), ``n`` (lost deals of the two),
        ``n_groups`` (compared), ``p_value``; no row where fewer than two groups can be compared.

    References
    ----------
    Tukey (1953), The problem of multiple comparisons; Kramer (1956), Biometrics 12:307-310.

    Examples
    --------
    >>> table = pd.DataFrame({"loss_reason": ["No budget", "Price"], "n": [60, 80],
    ...     "time_to_loss_days_median": [20.0, 55], "time_to_loss_days_median_low": [15.0, 45],
    ...     "time_to_loss_days_median_high": [26.0, 66]})
    >>> time_contrast(table)[["soonest", "soonest_days", "latest", "latest_days", "n"]]
         soonest  soonest_days latest  latest_days    n
    0  No budget          20.0  Price         55.0  140
    """
    days = "time_to_loss_days_median"
    compared = table[(table["n"] >= min_n) & table[[f"{days}_low", f"{days}_high"]].notna().all(axis=1)]
    named = compared[compared[by].notna()].rename(columns={by: "name", days: "days"})
    named = named.sort_values("days", kind="stable")
    if len(named) < 2:
        return pd.DataFrame(columns=["soonest", "soonest_days", "latest", "latest_days", "n", "n_groups", "p_value"])
    (_, soon), (_, late) = named.iloc[[0, -1]].iterrows()
    middle, low, high = (np.log(compared[f"{days}{end}"] + _HALF_A_DAY) for end in ("", "_low", "_high"))
    # One deal's error is pooled: that of each group alone, read from a few ordered times, is too uncertain itself.
    of_one_deal = np.sqrt((((high - low) / (2 * norm.ppf(0.975))) ** 2 * compared["n"]).mean())
    error = of_one_deal * np.sqrt(1 / soon["n"] + 1 / late["n"])
    apart = middle[late.name] - middle[soon.name]
    far = np.sqrt(2) * apart / error if error > 0 else 0.0
    found = {
        "soonest": soon["name"],
        "soonest_days": soon["days"],
        "latest": late["name"],
        "latest_days": late["days"],
        "n": int(soon["n"] + late["n"]),
        "n_groups": len(compared),
        "p_value": float(studentized_range.sf(far, len(compared), np.inf)),
    }
    return pd.DataFrame([found])


def missing_sentence(missing: pd.DataFrame) -> str:
    """How many lost deals say nothing of why.

    Examples
    --------
    >>> row = {"n": 264, "missing_count": 60, "other_count": 40}
    >>> missing_sentence(pd.DataFrame([row]))
    '60 of the 264 lost deals carry no reason and 40 only a vague one: too many to rank the others.'
    >>> missing_sentence(pd.DataFrame([row | {"missing_count": 20, "other_count": 0}]))
    '20 of the 264 lost deals carry no reason.'
    """
    row = missing.iloc[0]
    lost, none, vague = (int(row[name]) for name in ("n", "missing_count", "other_count"))
    if not lost:
        return "No deals were lost."
    if none == lost:
        return f"None of the {words.count(lost)} lost deals carries a reason."
    if not none + vague:
        return f"All {words.count(lost)} lost deals carry a reason."
    whole = f"of the {words.count(lost)} lost deals"
    told = f"{words.count(none or vague)} {whole} carry {'no reason' if none else 'only a vague reason'}"
    told = f"{told} and {words.count(vague)} only a vague one" if none and vague else told
    return f"{told}." if is_ranked(missing) else f"{told}: too many to rank the others."


def pareto_sentence(pareto: pd.DataFrame, missing: pd.DataFrame) -> str:
    """Why we lose most often and most money; a reason is named only where it stands clear of the next.

    Parameters
    ----------
    pareto, missing
        Of `loss_pareto` and `missing_reasons`, without `by`.

    Examples
    --------
    >>> lost = pd.DataFrame({"is_closed": True, "is_won": False, "account_id": range(120), "amount": 10.0,
    ...     "loss_reason": ["Price"] * 80 + ["Timing"] * 40})
    >>> pareto_sentence(loss_pareto(lost), missing_reasons(lost))
    'Price is the reason given most often, for 67 % of the 120 lost deals, and for most money, 67 %.'
    >>> lost = lost.assign(amount=[10.0] * 80 + [100.0] * 40)
    >>> pareto_sentence(loss_pareto(lost), missing_reasons(lost))
    'Price is the reason given most often, for 67 % of the 120 lost deals; for most money it is Timing, 83 %.'
    """
    lost = int(missing["n"].iloc[0])
    if lost < checks.MIN_N:
        return f"Too few lost deals ({lost}) to say why we lose."
    if not is_ranked(missing):
        return missing_sentence(missing)
    telling = pareto[pareto["loss_reason"].notna() & ~is_vague(pareto["loss_reason"])]
    often, money = (_clear(telling, share) for share in ("loss_share", "value_loss_share"))
    if often is None:
        tail = "" if money is None else f"; {_of_money(money)}"
        return f"No loss reason is given clearly more often than the next ({words.count(lost)} lost deals){tail}."
    said = f"{often['loss_reason']} is the reason given most often, for {words.rate(often['loss_share'])}"
    said = f"{said} of the {words.count(lost)} lost deals"
    if money is None:
        return f"{said}."
    if money["loss_reason"] == often["loss_reason"]:
        return f"{said}, and for most money, {words.rate(money['value_loss_share'])}."
    return f"{said}; {_of_money(money)}."


def time_sentence(contrast: pd.DataFrame, by: str = "loss_reason") -> str:
    """Which deals are lost soonest and which latest, where that is beyond chance.

    Parameters
    ----------
    contrast
        Of `time_contrast`, with ``is_named`` from `stats.multiplicity.named_together`.
    by
        What the deals are compared by.

    Examples
    --------
    >>> row = {"soonest": "No budget", "soonest_days": 20.0, "latest": "Price", "latest_days": 55.0, "n_groups": 4}
    >>> time_sentence(pd.DataFrame([row | {"is_named": True}]))
    'Half of the deals lost for No budget are lost within 20 days, half of those lost for Price within 55 days.'
    >>> time_sentence(pd.DataFrame([row | {"is_named": False}]))
    'How long a deal takes to be lost does not differ by loss reason beyond chance (4 compared).'
    """
    name = words.label(by).lower()
    if contrast.empty:
        return f"Too few lost deals to compare by {name} how long they take."
    row = contrast.iloc[0]
    if not row["is_named"]:
        return f"How long a deal takes to be lost does not differ by {name} beyond chance ({row['n_groups']} compared)."
    lost = "lost to" if by == "competitor" else "lost for"
    soon, late = (words.duration(row[f"{end}_days"]) for end in ("soonest", "latest"))
    return (
        f"Half of the deals {lost} {row['soonest']} are lost within {soon}, "
        f"half of those {lost} {row['latest']} within {late}."
    )


def is_vague(reason: pd.Series) -> pd.Series:
    """Which reasons tell nothing: "other" and the like.

    Examples
    --------
    >>> is_vague(pd.Series(["Price", "Other ", "N/A", None])).tolist()
    [False, True, True, False]
    """
    return reason.astype("str").str.strip().str.lower().isin(_VAGUE)


def _lost(opportunities: pd.DataFrame, by: str | None) -> pd.DataFrame:
    needed = ["is_closed", "is_won", "loss_reason", "amount", "account_id", *([by] if by else [])]
    checks.require_columns(opportunities, needed)
    return opportunities[opportunities["is_closed"] & ~opportunities["is_won"]]


def _unexplained(rows: pd.DataFrame, confidence: float) -> dict[str, float]:
    found = {"n": len(rows), "missing_count": int(rows["missing"].sum()), "other_count": int(rows["other"].sum())}
    for kind in ("missing", "other"):
        [low], [high] = proportions.wilson_interval(found[f"{kind}_count"], len(rows), confidence)
        rate = found[f"{kind}_count"] / len(rows) if len(rows) else np.nan
        found |= dict(zip(_ends(f"{kind}_reason_rate"), (rate, low, high), strict=True))
    for kind in ("missing", "other"):
        found |= dict(zip(_ends(f"value_{kind}_reason_rate"), _value_share(rows, rows[kind], confidence), strict=True))
    return found


def _pareto(rows: pd.DataFrame, confidence: float) -> pd.DataFrame:
    cells = rows.groupby("loss_reason", observed=True, dropna=False)
    table = cells.agg(reason_count=("is_won", "size"), reason_amount=("amount", "sum")).reset_index()
    table = table.sort_values(["reason_count", "loss_reason"], ascending=[False, True], ignore_index=True)
    low, high = proportions.simultaneous_intervals(table["reason_count"], confidence)
    total = table["reason_amount"].sum()
    each = 1 - (1 - confidence) / max(len(table), 1)
    values = [
        _value_share(rows, rows["loss_reason"].isna() if pd.isna(name) else rows["loss_reason"] == name, each)
        for name in table["loss_reason"]
    ]
    shares = dict(zip(_ends("value_loss_share"), np.array(values, dtype=float).reshape(-1, 3).T, strict=True))
    share = table["reason_count"] / max(len(rows), 1)
    table = table.assign(n=len(rows), loss_share=share, loss_share_low=low, loss_share_high=high, all_lost_amount=total)
    return _ordered(table.assign(**shares))


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Missing first, then vague, then the others: by count, or by name where they are not to be ranked."""
    is_telling = table["loss_reason"].notna() & ~is_vague(table["loss_reason"])
    if table["reason_count"].where(~is_telling).sum() > MOST_UNEXPLAINED * table["reason_count"].sum():
        table, running = table.sort_values("loss_reason"), np.nan
    else:
        running = table["loss_share"].where(is_telling).cumsum()
    rank = np.select([table["loss_reason"].isna(), is_vague(table["loss_reason"])], [0, 1], 2)
    return table.assign(cumulative_share=running).iloc[np.argsort(rank, kind="stable")].reset_index(drop=True)


def _value_share(rows: pd.DataFrame, chosen: pd.Series, confidence: float) -> tuple[float, float, float]:
    """Share of the amount that falls on some rows; missing where nothing is known of any amount."""
    known = rows.assign(chosen=chosen)[rows["amount"].notna()]
    found = proportions.weighted_share(
        known, by=[], weight="amount", success="chosen", cluster="account_id", confidence=confidence
    ).iloc[0]
    return found["share"], max(found["share_low"], 0.0), min(found["share_high"], 1.0)  # rounding goes beyond


def _times(found: pd.DataFrame, name: str, ends: tuple[str, ...] = ("",)) -> dict[str, pd.Series]:
    return {f"time_to_loss_days_{name}{end}": found[f"time{end}"] for end in ends}


def _clear(telling: pd.DataFrame, share: str) -> pd.Series | None:
    """The reason with the largest share, if its limits stand clear of the next one's."""
    ranked = telling.dropna(subset=[share]).sort_values(share, ascending=False, kind="stable")
    if ranked.empty or (len(ranked) > 1 and ranked[f"{share}_low"].iloc[0] <= ranked[f"{share}_high"].iloc[1]):
        return None
    return ranked.iloc[0]


def _of_money(row: pd.Series) -> str:
    return f"for most money it is {row['loss_reason']}, {words.rate(row['value_loss_share'])}"


def _ends(name: str) -> list[str]:
    return [f"{name}{end}" for end in ("", "_low", "_high")]
