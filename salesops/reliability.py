"""Reliability: whether stated chances came true as often as stated, of reaching the target and of winning a deal."""

from collections.abc import Sequence

import pandas as pd

from salesops import checks, kept, win_chances, words
from salesops.forecast_cases import Case
from salesops.stats import bootstrap, means, scores

CALLS = ("target reached", "deal won in the quarter")

_LIMITS = ("", "_low", "_high")
_LEAST_DEALS = 500  # looks at open deals from which tenths are told apart; fewer give fifths


def target_calls(tested: pd.DataFrame, *, model: str) -> pd.DataFrame:
    """The chances of the target that one method stated on past quarters, and what came.

    Parameters
    ----------
    tested
        Of `forecast_backtest.backtest` with ``targets``.
    model
        The method.

    Returns
    -------
    DataFrame
        One row per quarter and week with a target and a chance: ``call`` ("target reached"), ``period``, ``week``,
        ``chance``, ``is_true``.
    """
    checks.require_columns(tested, ["model", "period", "week", "target_chance", "is_above_target"], where="tested")
    mine = tested[tested["model"].eq(model) & tested["target_chance"].notna() & tested["is_above_target"].notna()]
    told = {"call": CALLS[0], "period": mine["period"], "week": mine["week"], "chance": mine["target_chance"]}
    return pd.DataFrame(told | {"is_true": mine["is_above_target"].astype(bool)}).reset_index(drop=True)


@kept.by_content("backtests")
def deal_calls(cases: Sequence[Case], later: Case) -> pd.DataFrame:
    """The chance that each deal open on past evenings was given of being won by the quarter's end, and what came.

    Every case learns again from what it knew. A deal open in several cases is there several times.

    Parameters
    ----------
    cases
        Of `forecast_cases.cases`.
    later
        A later case, which knows what was won.

    Returns
    -------
    DataFrame
        One row per case and open deal: ``call`` ("deal won in the quarter"), ``period``, ``week``, ``opportunity_id``,
        ``chance``, ``is_true``; no rows of cases that had too little to learn from.
    """
    frames = [_deals(case, later) for case in cases if case.period.label in set(later.late["period"])]
    known = [frame for frame in frames if len(frame)]
    columns = ["call", "period", "week", "opportunity_id", "chance", "is_true"]
    return pd.concat(known, ignore_index=True) if known else pd.DataFrame(columns=columns)


def reliability(calls: pd.DataFrame, *, bins: int | None = None, confidence: float = 0.95) -> pd.DataFrame:
    """Share that came true among calls of like chance: on the line of equal shares where the chances are right.

    Parameters
    ----------
    calls
        Of `target_calls` or `deal_calls`.
    bins
        Groups of about equally many, equal chances together; ten, or five for fewer than 500 calls, if empty.
    confidence
        Level of the interval; calls of one quarter come true together, so a quarter is one draw.

    Returns
    -------
    DataFrame
        One row per group, the least likely first: ``call``, ``bin`` (from 1), ``n`` (calls), ``n_quarters``,
        ``n_true``, ``stated_chance_rate`` (mean), ``came_true_rate`` with limits (0-1).

    Metrics
    -------
    stated_chance_rate : rate, close_date, none, -, is_won close_date
        Mean chance stated in past quarters for the calls of the group.
    came_true_rate : rate, close_date, none, n_true / n, is_won close_date
        Share of the calls of the group that came true.

    References
    ----------
    Murphy & Winkler (1977), Appl. Statist. 26:41-47; Korn & Graubard (1998), Survey Methodology 24:193-201.

    Examples
    --------
    >>> calls = pd.DataFrame({"call": "deal", "period": ["Q1", "Q2"] * 4, "chance": [0.1] * 4 + [0.8] * 4,
    ...     "is_true": [False, False, True, False, True, True, False, True]})
    >>> reliability(calls, bins=2)[["bin", "n", "n_quarters", "stated_chance_rate", "came_true_rate"]]
       bin  n  n_quarters  stated_chance_rate  came_true_rate
    0    1  4           2                 0.1            0.25
    1    2  4           2                 0.8            0.75
    """
    checks.require_columns(calls, ["call", "period", "chance", "is_true"], where="calls")
    columns = ["call", "bin", "n", "n_quarters", "n_true", "stated_chance_rate",
               *(f"came_true_rate{end}" for end in _LIMITS)]  # fmt: skip
    if calls.empty:
        return pd.DataFrame(columns=columns)
    number = bins or (10 if len(calls) >= _LEAST_DEALS else 5)
    rows = calls.assign(bin=scores.equal_count_bins(calls["chance"], number) + 1)
    keys = ["call", "bin"]
    shares = means.clustered_share(rows, by=keys, success="is_true", cluster="period", confidence=confidence)
    shares = shares.rename(columns={"hit": "n_true"} | {f"share{end}": f"came_true_rate{end}" for end in _LIMITS})
    said = rows.groupby(keys).agg(stated_chance_rate=("chance", "mean"), n_quarters=("period", "nunique")).reset_index()
    return shares.merge(said, on=keys).sort_values(keys, kind="stable", ignore_index=True)[columns]


def chance_scores(*calls: pd.DataFrame, confidence: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """How far stated chances lay from what came, and how much that is better than one chance for all.

    ``call_brier_score = mean (chance - came) ** 2``;
    ``call_skill_rate = 1 - call_brier_score / (that of always stating the share that came true)``.

    Parameters
    ----------
    calls
        Of `target_calls` and `deal_calls`.
    confidence, seed
        Of the bootstrap, which draws whole quarters.

    Returns
    -------
    DataFrame
        One row per kind of call: ``call``, ``n``, ``n_quarters``, ``call_true_rate``, ``call_brier_score`` and
        ``call_skill_rate`` with limits. Skill is missing where all came true, or none.

    Metrics
    -------
    call_true_rate : rate, close_date, none, -, is_won close_date
        Share of the calls that came true.
    call_brier_score : ratio, close_date, lower, -, is_won close_date
        Mean squared distance of the stated chance from what came, 1 or 0.
    call_skill_rate : rate, close_date, higher, -, is_won close_date
        Share of the Brier score of always stating how often such calls came true that the stated chances save.

    References
    ----------
    Brier (1950), Monthly Weather Review 78:1-3.

    Examples
    --------
    >>> calls = pd.DataFrame({"call": "deal", "period": ["Q1", "Q2"] * 2, "chance": [0.1, 0.1, 0.8, 0.8],
    ...     "is_true": [False, False, True, False]})
    >>> chance_scores(calls)[["call", "n", "call_true_rate", "call_brier_score", "call_skill_rate"]].round(3)
       call  n  call_true_rate  call_brier_score  call_skill_rate
    0  deal  4            0.25             0.175            0.067
    """
    rows = [_scored(each, confidence, seed) for each in calls if len(each)]
    names = ("call_brier_score", "call_skill_rate")
    columns = ["call", "n", "n_quarters", "call_true_rate", *(f"{name}{end}" for name in names for end in _LIMITS)]
    return pd.DataFrame(rows, columns=columns)


def reliability_sentence(table: pd.DataFrame, *, brief: bool = False) -> str:
    """Whether stated chances came true as often as stated; the highest alone where `brief`, as a title.

    Parameters
    ----------
    table
        Of `reliability`.

    Examples
    --------
    >>> table = pd.DataFrame({"call": CALLS[1], "n": 90, "stated_chance_rate": [0.05, 0.4],
    ...     "came_true_rate": [0.06, 0.3], "came_true_rate_low": [0.02, 0.2], "came_true_rate_high": [0.1, 0.38]})
    >>> reliability_sentence(table)  # doctest: +NORMALIZE_WHITESPACE
    'Of deals given the highest chances, 40 % on average, 30 % were won in the quarter: fewer than stated; of those
    given the lowest, 5 %, 6 % were won.'
    >>> reliability_sentence(table, brief=True)
    'Of deals given chances of 40 %, 30 % were won in the quarter: fewer than stated'
    >>> reliability_sentence(table.assign(came_true_rate_high=0.6))[-98:]
    '% were won in the quarter: as stated, within chance; of those given the lowest, 5 %, 6 % were won.'
    >>> reliability_sentence(table[:0])
    'No past evening tells how the stated chances came true.'
    >>> reliability_sentence(table.assign(call=CALLS[0], n=7))
    'Of 14 calls of targets, too few to judge group by group, 18 % came true where 23 % was stated on average.'
    """
    if table.empty:
        return "No past evening tells how the stated chances came true."
    first, last = table.iloc[0], table.iloc[-1]
    is_deal = last["call"] == CALLS[1]
    what, came = ("deals", "won in the quarter") if is_deal else ("targets", "reached")
    if last["n"] < checks.MIN_N:
        n = table["n"].sum()
        said, true = (words.rate(table[name] @ table["n"] / n) for name in ("stated_chance_rate", "came_true_rate"))
        few = f"Of {words.count(n)} calls of {what}, too few to judge group by group"
        if brief:
            return f"Of {words.count(n)} calls of {what} {true} came true, {said} stated: too few to judge"
        return f"{few}, {true} came true where {said} was stated on average."
    stated, true, least, least_true = (
        words.rate(row[name]) for row in (last, first) for name in ("stated_chance_rate", "came_true_rate")
    )
    side = (
        "fewer than stated" if last["came_true_rate_high"] < last["stated_chance_rate"]
        else "more than stated" if last["came_true_rate_low"] > last["stated_chance_rate"]
        else "as stated, within chance"
    )  # fmt: skip
    if brief:
        return f"Of {what} given chances of {stated}, {true} were {came}: {side}"
    told = f"Of {what} given the highest chances, {stated} on average, {true} were {came}: {side}"
    ended = "won" if is_deal else "reached"
    return f"{told}; of those given the lowest, {least}, {least_true} were {ended}." if len(table) > 1 else f"{told}."


def _deals(case: Case, later: Case) -> pd.DataFrame:
    learnt = win_chances.learn(case)
    if learnt is None or case.now.empty:
        return pd.DataFrame()
    won = later.won.loc[case.period.contains(later.won["close_date"]), "opportunity_id"]
    return pd.DataFrame({
        "call": CALLS[1], "period": case.period.label, "week": case.week, "opportunity_id": case.now["opportunity_id"],
        "chance": win_chances.stated(learnt), "is_true": case.now["opportunity_id"].isin(set(won)),
    })  # fmt: skip


def _scored(calls: pd.DataFrame, confidence: float, seed: int) -> list:
    chance, came = calls["chance"].to_numpy(dtype=float), calls["is_true"].to_numpy(dtype=float)
    missed, plain = (chance - came) ** 2, (came - came.mean()) ** 2
    options = {"cluster": calls["period"], "confidence": confidence, "seed": seed}
    found = [bootstrap.mean_interval(missed, **options), bootstrap.ratio_interval(plain - missed, plain, **options)]
    return [calls["call"].iloc[0], len(calls), calls["period"].nunique(), came.mean(), *found[0], *found[1]]
