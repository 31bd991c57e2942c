"""Process: how closely deals follow the stages and fill the fields asked of them, and whether reps differ in it."""

import numpy as np
import pandas as pd

from salesops import checks, journey
from salesops.stats import funnel_limits, means, proportions, shrinkage

# What the process asks of a deal; what is wrong with an open deal today is pipeline health, not process.
PROCESS = (
    "no amount", "no close date", "no next step", "no account", "no loss reason", "won but never qualified",
    "amount of zero", "open at 0 or 100 %", "stage contradicts outcome", "qualified before created",
    "won before qualified", "skipped a stage", "won, entered late",
)  # fmt: skip
BEYOND = 0.998  # share of equal reps inside the limits of chance

_LIMITS = ("", "_low", "_high")


def skipped_stages(visits: pd.DataFrame, *, by: str | None = "owner_id", confidence: float = 0.95) -> pd.DataFrame:
    """Share of the deals that ever moved forward that never entered a stage they passed.

    Stages before the one a deal began in were not passed.

    Parameters
    ----------
    visits
        Of `journey.stage_visits`, with `by` carried; with ``account_id`` too, deals of one company count together
        in the interval.
    by
        Column to group on, a missing value is a group; None for the company.
    confidence
        Level of the interval.

    Returns
    -------
    DataFrame
        One row per group, largest first: `by`, ``n`` (deals that ever moved forward), ``n_skipped``,
        ``skipped_stage_rate`` with its limits.

    Metrics
    -------
    skipped_stage_rate : rate, stage_entered, lower, n_skipped / n, changed_at
        Share of the deals that ever moved forward that never entered a stage they passed.

    Examples
    --------
    >>> visits = pd.DataFrame({
    ...     "opportunity_id": ["A", "A", "B", "B"], "visit": [1, 2, 1, 2], "pipeline": "new", "owner_id": "U1",
    ...     "stage": ["One", "Three", "One", "Two"], "position": [1, 3, 1, 2], "is_reentry": False, "days": 5.0,
    ...     "entered_at": pd.to_datetime(["2026-07-01", "2026-07-06"] * 2), "exit": ["skip", "won", "forward", "lost"],
    ...     "exited_at": pd.to_datetime(["2026-07-06", "2026-07-11"] * 2),
    ... })
    >>> skipped_stages(visits)[["owner_id", "n", "n_skipped", "skipped_stage_rate"]]
      owner_id  n  n_skipped  skipped_stage_rate
    0       U1  2          1                 0.5
    """
    checks.require_columns(visits, ["opportunity_id", "pipeline", "position", "exit", *([by] if by else [])])
    rows = journey.progress(visits)
    first = rows.groupby(["pipeline", "deal"], dropna=False)["position"].transform("min")
    passed = [
        journey.skipped(one[first[one.index] < place], place).dropna().index
        for _, one in rows.groupby("pipeline", dropna=False)
        for place in one["position"].unique()
    ]
    went = rows.loc[rows["exit"].isin(["forward", "skip", "won"]), "deal"]
    rows = rows[rows["deal"].isin(went)].drop_duplicates("deal")
    rows = rows.assign(is_skipped=rows["deal"].isin(set().union(*passed)))
    cluster = "account_id" if "account_id" in rows else None
    table = means.clustered_share(
        rows, by=[by] if by else [], success="is_skipped", cluster=cluster, confidence=confidence
    )
    return table.rename(columns={"hit": "n_skipped"} | _named("skipped_stage_rate"))


def process_compliance(tests: pd.DataFrame, *, by: str = "owner_id", confidence: float = 0.95) -> pd.DataFrame:
    """Share of the deals that break no rule of the process, each group's drawn to that of all.

    The rules are those of `PROCESS` that could be looked at: fields required of the deal as it stands, stages in
    their order, entered in time. ``shrunk_compliance_rate`` says what is likely true of the group, given that
    the others are as they are: few deals say little.

    Parameters
    ----------
    tests
        Of `deal_rules.examined`, or its `deal_rules.current`, with `by`.
    by
        Column to group on; a missing value is a group.
    confidence
        Level of the intervals.

    Returns
    -------
    DataFrame
        One row per group, largest first: `by`, ``n`` (deals), ``n_compliant``, ``process_compliance_rate`` and
        ``shrunk_compliance_rate`` with their limits.

    Metrics
    -------
    process_compliance_rate : rate, as_of, higher, n_compliant / n, -
        Share of the deals that break none of the rules of the process.
    shrunk_compliance_rate : rate, as_of, higher, -, -
        The same, drawn to that of all groups as far as the group's own deals leave it unsure.

    References
    ----------
    Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., section 5.3.

    Examples
    --------
    >>> tests = pd.DataFrame({
    ...     "opportunity_id": list("AABC"), "owner_id": "U1", "is_faulty": [True, False, False, False],
    ...     "rule": ["no amount", "skipped a stage", "skipped a stage", "owner has left"],
    ... })
    >>> process_compliance(tests)[["owner_id", "n", "n_compliant", "process_compliance_rate"]]
      owner_id  n  n_compliant  process_compliance_rate
    0       U1  2            1                      0.5
    """
    checks.require_columns(tests, ["opportunity_id", "rule", "is_faulty", by])
    asked = tests[tests["rule"].isin(PROCESS)]
    deals = asked.groupby(["opportunity_id", by], dropna=False)["is_faulty"].any().reset_index()
    table = deals.assign(n_compliant=~deals["is_faulty"].astype(bool)).groupby(by, dropna=False)["n_compliant"]
    table = table.agg(n="size", n_compliant="sum").reset_index().astype({"n": int, "n_compliant": int})
    table = table.sort_values("n", ascending=False, kind="stable", ignore_index=True)
    low, high = proportions.wilson_interval(table["n_compliant"], table["n"], confidence)
    limits = {"": table["n_compliant"] / table["n"], "_low": low, "_high": high}
    shrunk = shrinkage.pooled_rates(table["n_compliant"], table["n"], confidence)
    return table.assign(
        **{f"process_compliance_rate{end}": value for end, value in limits.items()},
        **{f"shrunk_compliance_rate{end}": shrunk[f"rate{end}"].to_numpy() for end in _LIMITS},
    )


def beyond_chance(table: pd.DataFrame, *, hits: str, min_n: int = checks.MIN_N, level: float = BEYOND) -> pd.DataFrame:
    """Which groups lie outside what chance gives around the rate of all together; never in the order of it.

    Exact binomial limits: of equal groups 99.8 % lie inside, so that among thirty fewer than one report in fifteen
    marks any.

    Parameters
    ----------
    table
        One row per group with ``n`` and `hits`, such as ``"n_compliant"``; a group where it is missing is left out.
    hits
        Column of those counted.
    min_n, level
        Fewest of a group that is judged; share of equal groups inside.

    Returns
    -------
    DataFrame
        The groups judged, with ``chance_low``, ``chance_high`` (0-1) and ``is_outside``.

    References
    ----------
    Spiegelhalter (2005), Statist. Med. 24:1185-1202.

    Examples
    --------
    >>> table = pd.DataFrame({"owner_id": ["U1", "U2", "U3"], "n": [100, 100, 5], "n_compliant": [60, 20, 5]})
    >>> beyond_chance(table, hits="n_compliant")[["owner_id", "is_outside"]].values.tolist()
    [['U1', True], ['U2', True]]
    """
    checks.require_columns(table, ["n", hits])
    table = table[table[hits].notna()]
    n = table["n"].sum()
    judged = table[table["n"] >= min_n].astype({hits: int}).reset_index(drop=True)
    common = table[hits].sum() / n if n else np.nan
    low, high = funnel_limits.binomial_limits(judged["n"], common, level) if len(judged) else ([], [])
    rate = judged[hits] / judged["n"]
    return judged.assign(chance_low=low, chance_high=high, is_outside=(rate < low) | (rate > high))


def difference_sentence(judged: pd.DataFrame, *, what: str, deals: str = "deals", groups: str = "reps") -> str:
    """How many reps lie outside what chance gives; nobody is named.

    Parameters
    ----------
    judged
        Of `beyond_chance`, without a group that is nobody's.
    what
        The share in words, such as ``"deals that break no rule of the process"``.
    deals, groups
        What is counted, and the groups, in words.

    Examples
    --------
    >>> judged = pd.DataFrame({"n": [50, 60, 70], "is_outside": [True, False, False]})
    >>> difference_sentence(judged, what="deals that follow the process")  # doctest: +NORMALIZE_WHITESPACE
    '1 of 3 reps with at least 20 deals has a share of deals that follow the process that chance alone does not explain;
    the mix of deals may.'
    >>> difference_sentence(judged[1:], what="deals that follow the process")
    'The shares of deals that follow the process of 2 reps differ no more than chance makes them.'
    >>> difference_sentence(judged[:1], what="deals that follow the process")
    'Too few reps have 20 deals to compare their shares of deals that follow the process.'
    """
    n, outside = len(judged), int(judged["is_outside"].sum())
    if n < 2:
        return f"Too few {groups} have {checks.MIN_N} {deals} to compare their shares of {what}."
    if not outside:
        return f"The shares of {what} of {n} {groups} differ no more than chance makes them."
    verb = "has a share" if outside == 1 else "have shares"
    found = f"{outside} of {n} {groups} with at least {checks.MIN_N} {deals} {verb} of {what}"
    return f"{found} that chance alone does not explain; the mix of deals may."


def _named(name: str) -> dict[str, str]:
    return {f"share{end}": f"{name}{end}" for end in _LIMITS}
