"""The lead funnel: how many leads are qualified, become an opportunity and are won, open ones counted."""

from datetime import date

import numpy as np
import pandas as pd

from salesops import checks, pipeline, words
from salesops.kept.memory import once
from salesops.leads import by_group, known_on, with_rate
from salesops.periods import Period
from salesops.stats import proportions, survival

GOALS = {"qualified": "are qualified", "opportunity": "become an opportunity", "won": "are won"}
UNSETTLED = 0.1  # expected share of leads without an end above which no final rate is stated

_LIMITS = ("", "_low", "_high")
_DAY = pd.Timedelta(days=1)
_PERIOD = ["period", "period_start", "period_end"]
_DEALS = ["opportunity_id", "created_date", "close_date", "closed_at", "is_closed", "is_won"]


def lead_progress(leads: pd.DataFrame, opportunities: pd.DataFrame, *, goal: str, as_of: date, start: str = "created"):
    """Leads with whether, and when, they reached a goal.

    Reached or passed: a lead that became an opportunity counts as qualified. Being disqualified
    competes with every goal, and a lost deal with winning, unless the goal was reached all the
    same; a lead that is still open is censored, and so is one whose deal is not among the
    opportunities. A win counts on the deal's close date, a loss on the day it moved there.

    Parameters
    ----------
    leads
        With ``created_at, qualified_at, converted_at, disqualified_at, opportunity_id``.
    opportunities
        With ``opportunity_id, created_date, close_date, closed_at, is_closed, is_won``.
    goal
        qualified, opportunity or won.
    as_of
        Last day used.
    start
        Where the clock starts: created, qualified or opportunity; leads that never came there are left out.

    Returns
    -------
    DataFrame
        The leads with ``started_at``, ``days`` and ``cause`` (reached, ended, or missing: open).

    Examples
    --------
    >>> day = pd.to_datetime
    >>> leads = pd.DataFrame({
    ...     "created_at": day("2026-07-01"), "first_response_at": pd.NaT, "replied_at": pd.NaT, "qualified_at": pd.NaT,
    ...     "converted_at": day(["2026-07-05", None, None]), "disqualified_at": day([None, "2026-07-09", None]),
    ...     "opportunity_id": ["D1", None, None],
    ... })
    >>> deals = pd.DataFrame({
    ...     "opportunity_id": ["D1"], "created_date": day("2026-07-05"), "close_date": day("2026-09-30"),
    ...     "closed_at": pd.NaT, "is_closed": False, "is_won": False,
    ... })
    >>> lead_progress(leads, deals, goal="opportunity", as_of=date(2026, 7, 10))[["days", "cause"]].values.tolist()
    [[4.0, 'reached'], [8.0, 'ended'], [10.0, nan]]
    """
    if goal not in GOALS:
        raise checks.ParameterError(f"goal: '{goal}'. Use {', '.join(GOALS)}.{checks.did_you_mean(goal, GOALS)}")
    rows, moments, lost_at, end = _known(leads, opportunities, as_of)
    began = moments[start]
    is_converted = moments["opportunity"].notna()
    ended = rows["disqualified_at"].mask(is_converted, lost_at if goal == "won" else pd.NaT)
    is_astray = (goal == "won") & is_converted & ~rows["opportunity_id"].isin(opportunities["opportunity_id"])
    seen = moments["opportunity"].where(is_astray, end)
    reached = moments[goal]
    days = (reached.fillna(ended).fillna(seen) - began) / _DAY
    cause = pd.Series("reached", index=rows.index, dtype="str").where(reached.notna())
    cause = cause.mask(reached.isna() & ended.notna(), "ended")
    # The close date of a win is a day without an hour: it may lie hours before the lead became a deal.
    return rows.assign(started_at=began, days=days.clip(lower=0), cause=cause)[began.notna() & (days > -1)]


def lead_conversion(
    leads: pd.DataFrame,
    opportunities: pd.DataFrame,
    *,
    period: Period,
    as_of: date,
    by: str | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """How many of the leads that arrived are qualified, become an opportunity and are won: so far, and in the end.

    Aalen-Johansen by cohort of arrival, counted as `lead_progress` says. What can be expected is
    the height at which the incidence stays; what is so far is the plain share beside it.

    Known bias: a lower bound while ``lead_unsettled_rate`` is large, as in a young cohort of slow deals.

    Returns
    -------
    DataFrame
        One row per goal and group: ``goal``, `by`, ``n`` (leads), ``n_reached``, ``n_ended``
        (otherwise), ``n_open``, ``lead_open_rate``, ``lead_reached_rate``, ``lead_conversion_rate`` with limits,
        ``lead_unsettled_rate``, and from the goal before ``n_from``, ``lead_step_rate`` with limits.

    Metrics
    -------
    lead_reached_rate : rate, created, higher, n_reached / n, created_at
        Share of the leads that arrived in the period that have reached the goal so far.
    lead_conversion_rate : rate, created, higher, -, created_at
        Of the leads that arrived in the period, probability of ever reaching the goal, being disqualified (and for
        winning, losing) competing and open leads censored.
    lead_open_rate : rate, created, none, n_open / n, created_at
        Share of the leads that arrived of which it is not known yet whether they reach the goal.
    lead_unsettled_rate : rate, created, none, -, created_at
        Expected share of the leads that are neither at the goal nor ended at the greatest age seen: by so much at most
        the conversion may yet rise.
    lead_step_rate : rate, created, higher, -, created_at
        Of those that reached the goal before, probability of ever reaching this one, counted in the same way.

    References
    ----------
    Aalen & Johansen (1978), Scand. J. Statist. 5:141-150.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> leads = pd.DataFrame({
    ...     "created_at": day("2026-07-01"), "converted_at": day(["2026-07-05", None, None]),
    ...     "qualified_at": day(["2026-07-03", None, None]), "disqualified_at": day([None, "2026-07-09", None]),
    ...     "opportunity_id": ["D1", None, None],
    ... })
    >>> deals = pd.DataFrame({
    ...     "opportunity_id": ["D1"], "created_date": day("2026-07-05"), "close_date": day("2026-07-20"),
    ...     "closed_at": pd.NaT, "is_closed": True, "is_won": True,
    ... })
    >>> july = Period("2026-07", date(2026, 7, 1), date(2026, 7, 31))
    >>> table = lead_conversion(leads, deals, period=july, as_of=date(2026, 7, 31))
    >>> table[["goal", "n", "n_reached", "n_ended", "n_open", "lead_conversion_rate", "n_from"]].round(2)
              goal  n  n_reached  n_ended  n_open  lead_conversion_rate  n_from
    0    qualified  3          1        1       1                  0.33       3
    1  opportunity  3          1        1       1                  0.33       1
    2          won  3          1        1       1                  0.33       1
    """

    def one_group(rows: pd.DataFrame) -> dict[str, float]:
        ends = rows["cause"]
        n, reached, ended = len(rows), int((ends == "reached").sum()), int((ends == "ended").sum())
        still = n - reached - ended
        counts = {"n": n, "n_reached": reached, "n_ended": ended, "n_open": still}
        counts["lead_open_rate"] = still / n if n else np.nan
        so_far = {"lead_reached_rate": reached / n if n else np.nan}
        return counts | so_far | _plateau(rows, "lead_conversion_rate", confidence, rest="lead_unsettled_rate")

    def one_step(rows: pd.DataFrame) -> dict[str, float]:
        return {"n_from": len(rows), **_plateau(rows, "lead_step_rate", confidence)}

    tables = []
    for before, goal in zip(["created", *GOALS], GOALS, strict=False):
        whole, step = (
            lead_progress(leads, opportunities, goal=goal, as_of=as_of, start=start) for start in ("created", before)
        )
        table = by_group(whole, leads, by, period, one_group)
        steps = by_group(step, leads, by, period, one_step).drop(columns=[*_PERIOD, *([by] if by else [])])
        tables.append(table.join(steps).assign(goal=goal))
    table = pd.concat(tables, ignore_index=True)
    return table[["goal", *table.columns.drop("goal")]]


def lead_deals(leads: pd.DataFrame, opportunities: pd.DataFrame, *, period: Period, as_of: date) -> pd.DataFrame:
    """The deals behind the goals of `lead_conversion`: those the leads that arrived became, and those of them won.

    A lead without a deal on record, and one that is qualified alone, has none to list.

    Parameters
    ----------
    leads, opportunities
        As for `lead_progress`.
    period
        When the leads arrived.
    as_of
        Last day of data used.

    Returns
    -------
    DataFrame
        One row per lead and goal reached, ``opportunity`` or ``won``: ``goal`` beside the columns of the lead.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> leads = pd.DataFrame({
    ...     "created_at": day("2026-07-01"), "converted_at": day(["2026-07-05", "2026-07-06", None]),
    ...     "qualified_at": pd.NaT, "disqualified_at": pd.NaT, "opportunity_id": ["D1", "D2", None],
    ... })
    >>> deals = pd.DataFrame({
    ...     "opportunity_id": ["D1", "D2"], "created_date": day("2026-07-05"), "close_date": day("2026-07-20"),
    ...     "closed_at": pd.NaT, "is_closed": True, "is_won": [True, False],
    ... })
    >>> july = Period("2026-07", date(2026, 7, 1), date(2026, 7, 31))
    >>> lead_deals(leads, deals, period=july, as_of=date(2026, 7, 31))[["goal", "opportunity_id"]].values.tolist()
    [['opportunity', 'D1'], ['opportunity', 'D2'], ['won', 'D1']]
    """
    came = [
        lead_progress(leads, opportunities, goal=goal, as_of=as_of).assign(goal=goal) for goal in ("opportunity", "won")
    ]
    rows = pd.concat(came, ignore_index=True)
    has_deal = (rows["cause"] == "reached") & rows["opportunity_id"].notna()
    return rows[has_deal & period.contains(rows["started_at"])].reset_index(drop=True)


def conversion_curves(
    leads: pd.DataFrame,
    opportunities: pd.DataFrame,
    *,
    period: Period,
    as_of: date,
    goal: str = "opportunity",
    by: str | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Share of the leads that arrived in the period that have reached a goal by each age.

    One row per group and age: `by`, ``days``, ``reached_rate`` with its limits, ``n_at_risk``;
    cut where fewer than ten are left.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> leads = pd.DataFrame({
    ...     "created_at": day(["2026-07-01"] * 20), "qualified_at": pd.NaT, "opportunity_id": None,
    ...     "converted_at": day(["2026-07-05"] * 5 + [None] * 15), "disqualified_at": pd.NaT,
    ... })
    >>> deals = pd.DataFrame(
    ...     columns=["opportunity_id", "created_date", "close_date", "closed_at", "is_closed", "is_won"])
    >>> july = Period("2026-07", date(2026, 7, 1), date(2026, 7, 31))
    >>> conversion_curves(leads, deals, period=july, as_of=date(2026, 7, 31))[["days", "reached_rate", "n_at_risk"]]
       days  reached_rate  n_at_risk
    0   4.0          0.25       20.0
    """
    rows = lead_progress(leads, opportunities, goal=goal, as_of=as_of)
    rows = rows[period.contains(rows["created_at"])]
    pieces = [(None, rows)] if by is None else list(rows.groupby(by, dropna=False, sort=True))
    curves = []
    for group, each in pieces:
        found = survival.cumulative_incidence(each["days"], each["cause"], confidence=confidence)
        found = found[found["cause"] == "reached"].drop(columns="cause")
        found.columns = ["days", "reached_rate", "reached_rate_low", "reached_rate_high", "n_at_risk"]
        curves.append(found.assign(**({by: group} if by else {})))
    table = pd.concat(curves, ignore_index=True) if curves else pd.DataFrame()
    return table[[by, *table.columns.drop(by)]] if by else table


def settled(
    leads: pd.DataFrame, opportunities: pd.DataFrame, *, goal: str, within_days: int, as_of: date
) -> pd.DataFrame:
    """Leads old enough to tell, with whether each reached a goal within so many days of its arrival.

    Only leads that arrived at least `within_days` before the end of `as_of`: nothing is censored.
    Left out are those whose deal is not among the opportunities, where the goal is winning.

    Returns
    -------
    DataFrame
        The leads with ``is_reached``.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> leads = pd.DataFrame({
    ...     "created_at": day(["2026-07-01", "2026-07-01", "2026-09-30"]), "qualified_at": pd.NaT,
    ...     "converted_at": day(["2026-07-05", "2026-09-28", None]), "disqualified_at": pd.NaT, "opportunity_id": None,
    ... })
    >>> deals = pd.DataFrame(
    ...     columns=["opportunity_id", "created_date", "close_date", "closed_at", "is_closed", "is_won"])
    >>> settled(leads, deals, goal="opportunity", within_days=60, as_of=date(2026, 9, 30))["is_reached"].tolist()
    [True, False]
    """
    if within_days < 1:
        raise checks.ParameterError(f"within_days: {within_days}. Give a whole number of days, 1 or more.")
    rows = lead_progress(leads, opportunities, goal=goal, as_of=as_of)
    is_old = rows["created_at"] <= pd.Timestamp(as_of) + _DAY - within_days * _DAY
    is_lost_sight_of = rows["cause"].isna() & (rows["days"] < within_days)
    is_reached = (rows["cause"] == "reached") & (rows["days"] <= within_days)
    return rows.assign(is_reached=is_reached)[is_old & ~is_lost_sight_of]


def score_bands(rows: pd.DataFrame, *, bands: int = 5, is_probability: bool = False, confidence: float = 0.95):
    """What the score is worth: how often the leads of each band of it reached the goal.

    Bands hold about as many leads each; equal scores are never parted. The lift is the band's
    rate over the rate of all leads that have a score, which is taken as known.

    Known bias: a score that was changed after the lead was worked knows what came of it.

    Parameters
    ----------
    rows
        Of `settled`, with ``score``.
    bands
        How many, 2 or more.
    is_probability
        Whether the score states a chance (0-1): then the mean score stands beside the rate.
    confidence
        Level of the Wilson intervals.

    Returns
    -------
    DataFrame
        One row per band, lowest first, leads without a score last: ``score_band``, ``n``,
        ``n_reached``, ``score_band_rate`` and ``score_lift`` with limits, ``expected_rate``.

    Metrics
    -------
    score_band_rate : rate, created, higher, n_reached / n, score created_at
        Share of the leads of a band of the score that reached the goal within the given days of their arrival.
    score_lift : ratio, created, none, -, score created_at
        Rate of the band over the rate of all leads with a score.

    Examples
    --------
    >>> rows = pd.DataFrame({"score": [10.0, 20, 70, 80], "is_reached": [False, False, True, False]})
    >>> score_bands(rows, bands=2)[["score_band", "n", "n_reached", "score_band_rate", "score_lift"]]
      score_band  n  n_reached  score_band_rate  score_lift
    0      10-20  2          0              0.0         0.0
    1      70-80  2          1              0.5         2.0
    """
    checks.require_columns(rows, ["score", "is_reached"], where="leads")
    if bands < 2:
        raise checks.ParameterError(f"bands: {bands}. Give 2 or more.")
    rank = rows["score"].rank(method="min", pct=True)
    band = np.ceil((rank * bands - 1e-9).clip(lower=1e-9)).where(rank.notna())
    cells = rows.assign(band=band).groupby("band", dropna=False, sort=True)
    table = cells.agg(
        n=("is_reached", "size"),
        n_reached=("is_reached", "sum"),
        expected_rate=("score", "mean"),
        least=("score", "min"),
        most=("score", "max"),
    ).reset_index()
    table["score_band"] = [
        f"{a:g}-{b:g}" if a < b else f"{a:g}" if a == b else None
        for a, b in table[["least", "most"]].itertuples(index=False)
    ]
    table = with_rate(table, "n_reached", "n", "score_band_rate", confidence)
    scored = table[table["band"].notna()]
    overall = scored["n_reached"].sum() / scored["n"].sum() if scored["n_reached"].any() else np.nan
    lifts = {f"score_lift{end}": table[f"score_band_rate{end}"] / overall for end in _LIMITS}
    columns = ["score_band", "n", "n_reached", *(f"score_band_rate{end}" for end in _LIMITS), *lifts]
    return table.assign(**lifts)[[*columns, *(["expected_rate"] if is_probability else [])]]


def score_sentence(
    bands: pd.DataFrame, *, goal: str = "opportunity", confidence: float = 0.95, brief: bool = False
) -> str:
    """Whether leads of a high score do better than those of a low one; short enough for a chart where `brief`.

    Examples
    --------
    >>> table = pd.DataFrame({"score_band": ["1-40", "41-100"], "n": [200, 200], "n_reached": [20, 60]})
    >>> score_sentence(table)
    'Leads of the highest score (41-100) become an opportunity more often than those of the lowest (1-40): 30 % \
against 10 %.'
    >>> score_sentence(table, brief=True)
    'High scores become an opportunity more often: 30 % against 10 % of the lowest'
    >>> score_sentence(table.assign(n_reached=20))
    'Leads of the highest score (41-100) become an opportunity neither more nor less often than those of the lowest \
(1-40) by more than chance would give (10 % against 10 %).'
    """
    scored = bands[bands["score_band"].notna()]
    if len(scored) < 2 or scored["n"].iloc[[0, -1]].min() < checks.MIN_N:
        return f"Too few leads have a score to say whether it tells how many {GOALS[goal]}."
    bottom, top = scored.iloc[0], scored.iloc[-1]
    counts = (top["n_reached"], top["n"], bottom["n_reached"], bottom["n"])
    gap, low, high = proportions.difference_interval(*counts, confidence)  # decides; the bands show their own
    whose = f"Leads of the highest score ({top['score_band']}) {GOALS[goal]}"
    rates = f"{words.rate(top['n_reached'] / top['n'])} against {words.rate(bottom['n_reached'] / bottom['n'])}"
    if words.covers_zero(low, high):
        beyond = f"by more than chance would give ({rates})"
        return f"{whose} neither more nor less often than those of the lowest ({bottom['score_band']}) {beyond}."
    often = f"{'more' if gap > 0 else 'less'} often"
    if brief:
        return f"High scores {GOALS[goal]} {often}: {rates} of the lowest"
    return f"{whose} {often} than those of the lowest ({bottom['score_band']}): {rates}."


def conversion_sentence(table: pd.DataFrame, window: Period, *, goal: str = "opportunity") -> str:
    """How many leads reach a goal so far, and how many can be expected to.

    Examples
    --------
    >>> row = pd.DataFrame({
    ...     "goal": ["opportunity"], "n": 520, "n_open": 130, "lead_reached_rate": 0.18, "lead_conversion_rate": 0.24,
    ...     "lead_conversion_rate_low": 0.2, "lead_conversion_rate_high": 0.28, "lead_unsettled_rate": 0.02,
    ... })
    >>> window = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> conversion_sentence(row, window)
    '520 leads arrived in 2026Q3: 18 % became an opportunity so far, 24 % can be expected to in the end (likely \
between 20 % and 28 %); 130 of them are still open.'
    >>> conversion_sentence(row.assign(lead_unsettled_rate=0.4), window)
    '520 leads arrived in 2026Q3: 18 % became an opportunity so far; 130 of them are still open, too many to say how \
many will in the end.'
    """
    row = table[table["goal"] == goal].iloc[0]
    arrived = f"{words.count(row['n'])} {'lead' if row['n'] == 1 else 'leads'} arrived {window.when}"
    if row["n"] == 0:
        return f"No leads arrived {window.when}."
    if row["n"] < checks.MIN_N:
        return f"{arrived}: too few to say how many {GOALS[goal]}."
    if words.is_missing(row["lead_conversion_rate"]):
        return f"{arrived}; none of them has come to an end yet."
    became = {"qualified": "were qualified", "opportunity": "became an opportunity", "won": "were won"}[goal]
    be = "" if goal == "opportunity" else " be"
    limits = words.interval(row["lead_conversion_rate_low"], row["lead_conversion_rate_high"], "rate")
    so_far = f"{words.rate(row['lead_reached_rate'])} {became}"
    if row["n_open"] == 0:
        return f"{arrived}: {so_far}, and none of them is still open."
    still = "1 of them is" if row["n_open"] == 1 else f"{words.count(row['n_open'])} of them are"
    if row["lead_unsettled_rate"] > UNSETTLED:
        return f"{arrived}: {so_far} so far; {still} still open, too many to say how many will{be} in the end."
    expected = f"{words.rate(row['lead_conversion_rate'])} can be expected to{be} in the end ({limits})"
    return f"{arrived}: {so_far} so far, {expected}; {still} still open."


def groups_sentence(table: pd.DataFrame, by: str, *, goal: str = "opportunity") -> str:
    """Which group converts most often, named only where its interval touches no other's.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "goal": "won", "source": ["Event", "Website"], "n": 400, "lead_conversion_rate": [0.3, 0.2],
    ...     "lead_conversion_rate_low": [0.26, 0.16], "lead_conversion_rate_high": [0.34, 0.24],
    ... })
    >>> groups_sentence(table, "source", goal="won")
    'Leads of source Event are won most often: 30 % (likely between 26 % and 34 %).'
    >>> groups_sentence(table.assign(lead_conversion_rate_high=0.3), "source", goal="won")
    'No source stands clear as the one whose leads are won most often (2 compared).'
    """
    rate, name = "lead_conversion_rate", words.label(by).lower()
    known = table[(table["goal"] == goal) & (table["n"] >= checks.MIN_N)].dropna(
        subset=[rate, f"{rate}_low", f"{rate}_high"]
    )
    known = known.sort_values(rate, ascending=False, kind="stable")
    if len(known) < 2:
        return f"Too few leads to compare how many {GOALS[goal]} by {name}."
    first, others = known.iloc[0], known.iloc[1:]
    if first[f"{rate}_low"] <= others[f"{rate}_high"].max():
        beyond = f"as the one whose leads {GOALS[goal]} most often ({len(known)} compared)"
        return f"No {name} stands clear {beyond}."
    limits = words.interval(first[f"{rate}_low"], first[f"{rate}_high"], "rate")
    return f"Leads of {name} {words.group(first[by])} {GOALS[goal]} most often: {words.rate(first[rate])} ({limits})."


@once  # every goal asks
def _known(leads: pd.DataFrame, opportunities: pd.DataFrame, as_of: date) -> tuple:
    rows, end = known_on(leads, as_of)
    return rows, *_goal_moments(rows, opportunities, end), end


def _goal_moments(
    rows: pd.DataFrame, opportunities: pd.DataFrame, end: pd.Timestamp
) -> tuple[dict[str, pd.Series], pd.Series]:
    """When each lead came to each goal, or beyond it, and when its deal was lost."""
    checks.require_columns(rows, ["qualified_at", "opportunity_id"], where="leads")
    checks.require_columns(opportunities, _DEALS, where="opportunities")
    deals = opportunities[_DEALS].assign(ended_at=_ended(opportunities)).dropna(subset="opportunity_id")
    deals = deals.drop_duplicates("opportunity_id").set_index("opportunity_id")
    own = deals.reindex(rows["opportunity_id"]).set_axis(rows.index)
    created, ended = (
        pd.to_datetime(own[name]).astype("datetime64[us]").where(lambda moments: moments < end)
        for name in ("created_date", "ended_at")
    )
    converted = rows["converted_at"].fillna(created).fillna(ended)
    final = ended.where(ended >= converted, converted).where(ended.notna() & converted.notna())
    is_won = own["is_won"].fillna(False).astype(bool)
    known = rows["qualified_at"].fillna(converted)
    qualified = known.where(~(converted < known), converted)
    moments = {"created": rows["created_at"], "qualified": qualified, "opportunity": converted}
    return moments | {"won": final.where(is_won)}, final.where(~is_won)


def _ended(opportunities: pd.DataFrame) -> pd.Series:
    """When each deal ended; a frame without rows may have columns without types."""
    if opportunities.empty:
        return pd.Series(pd.NaT, index=opportunities.index, dtype="datetime64[us]")
    return pipeline.ended_on(opportunities)


def _plateau(rows: pd.DataFrame, name: str, confidence: float, *, rest: str | None = None) -> dict[str, float]:
    found = survival.plateau(rows["days"], rows["cause"], causes=["reached"], confidence=confidence)
    limits = {f"{name}{end}": found.loc[0, f"incidence{end}"] for end in _LIMITS}
    unsettled = max(1 - found["incidence"].sum(skipna=False), 0.0)  # a sum of products may round above one
    return limits | ({rest: unsettled} if rest else {})
