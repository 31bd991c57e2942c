"""Win model: how likely a deal is won, from what was known at its landmark, and how well such chances hold later.

Apart from the account of what matters (`drivers`): here a ridge logistic regression takes every clean
factor at once, and is judged only on deals that came later than everything it had seen.
"""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import norm
from statsmodels.stats.multitest import multipletests

from salesops import checks, words
from salesops.later_chances import BASE_RATE, CRM, GIVEN, LEVEL_WINDOW, MODEL, cases_of, first_day, rolled
from salesops.periods import Calendar
from salesops.stats import bootstrap, chances, scores

WINDOW = 8  # quarters whose decisions are learnt from
QUARTERS = 8  # later quarters scored
MIN_LATER = 100  # later decided deals below which a score is not read
_DRAWS = 1000
_ENDS = ("", "_low", "_high")
_CHANGES = [f"{way}_log_loss_change{end}" for way in ("dropped", "shuffled") for end in _ENDS]

_CALENDAR = Calendar()
_DAY = pd.Timedelta(days=1)
_SCORED = ["opportunity_id", "account_id", "is_closed", "is_won", *GIVEN]


def later_deals(
    frame: pd.DataFrame,
    factors: Sequence[str],
    *,
    as_of: date,
    calendar: Calendar = _CALENDAR,
    quarters: int = QUARTERS,
    window: int = WINDOW,
    seed: int = 0,
) -> pd.DataFrame:
    """Each later quarter's deals with the chance a model gave them that knew only what was known before.

    For every quarter the model is fitted on the deals decided in the `window` quarters before it,
    each standing for those still open then (`censoring.known_end_weights`), and its level is set on
    the latest two. The penalty is chosen once, before the first quarter scored. The base rate is
    the weighted share won of those latest two quarters.

    Parameters
    ----------
    frame
        Of `landmark.deals`: ``opportunity_id, account_id, landmark_at, days, is_closed, is_won``,
        ``crm_probability`` where known, and `factors`. Give all deals, young ones too.
    factors
        Columns to predict from, clean of the outcome (`leaks.guard`).
    as_of
        Last day used.
    calendar, quarters
        Whose quarters; how many are scored at most, the one that holds `as_of` being the last.
    window, seed
        Quarters of decisions learnt from; seed of the folds that choose the penalty.

    Returns
    -------
    DataFrame
        One row per deal whose landmark lies in a scored quarter: ``opportunity_id``,
        ``account_id``, ``is_closed``, ``is_won``, ``period``, ``cutoff_date`` (last day known),
        ``weight`` (how many deals it stands for; 0 while open), ``n_known`` (decided deals learnt
        from), and the chances 0-1 ``win_model``, ``base_rate`` and ``crm_probability``. No rows
        where deals have no dates, or too few were decided before any quarter.

    Notes
    -----
    A field without history shows today's value, also to a model of two years ago. A deal
    re-opened later counts as open at the time.

    References
    ----------
    Tashman (2000), Int. J. Forecasting 16:437-450 (rolling origin).

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> sponsor = random.random(900) < 0.5
    >>> frame = pd.DataFrame({
    ...     "opportunity_id": range(900), "account_id": range(900), "days": 20.0, "is_closed": True,
    ...     "landmark_at": pd.date_range("2025-01-01", periods=900, freq="17h"), "x_sponsor": sponsor,
    ...     "is_won": random.random(900) < np.where(sponsor, 0.6, 0.2),
    ... })
    >>> later = later_deals(frame, ["x_sponsor"], as_of=date(2026, 9, 30), quarters=2)
    >>> later.groupby(["period", "n_known"]).size().to_dict()
    {('2026Q2', 615): 128, ('2026Q3', 743): 129}
    >>> later.merge(frame[["opportunity_id", "x_sponsor"]]).groupby("x_sponsor")["win_model"].mean().round(1).to_dict()
    {False: 0.2, True: 0.6}
    """
    later = rolled(frame, tuple(factors), as_of, calendar, quarters, window, seed).scored
    return later[_SCORED]


def score_card(later: pd.DataFrame, *, confidence: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """How well each set of chances held on later deals: the model's, the base rate's and the CRM's.

    The decided are weighted to stand for the open; for the intervals companies are drawn whole.

    Parameters
    ----------
    later
        Of `later_deals`.
    confidence, seed
        Level of the intervals; seed of their bootstrap.

    Returns
    -------
    DataFrame
        Three rows, ``model`` win_model, base_rate and crm_probability: ``n`` (later deals decided
        and given a chance), ``n_won``, ``n_open``; with intervals ``log_loss``, ``brier_score``,
        ``skill_rate`` (share of the base rate's log-loss saved, on the same deals),
        ``calibration_slope``, ``calibration_intercept``, ``auc``; and ``calibration_error`` beside
        ``chance_calibration_error``, what chances exactly right would show.

    Metrics
    -------
    log_loss : ratio, landmark, lower, -, is_won
        Mean of minus the log of the chance given to what then happened, over later deals.
    brier_score : ratio, landmark, lower, -, is_won
        Mean squared distance between the chance given and what then happened (1 won, 0 not), over later deals.
    skill_rate : rate, landmark, higher, -, is_won
        Share of the log-loss of the base rate that the chances save on the same later deals; below 0 they are worse.
    calibration_slope : ratio, landmark, none, -, is_won
        Slope of the outcome's log odds on the log odds given; 1 is right, below 1 the chances are too far out.
    calibration_intercept : ratio, landmark, none, -, is_won
        Log odds of winning where the chance given was one half; 0 is right.
    calibration_error : points, landmark, lower, -, is_won
        Mean distance between chance given and share won, over ten groups of later deals by chance given.
    chance_calibration_error : points, landmark, none, -, is_won
        The calibration error that chances exactly right would show with so many deals.
    auc : ratio, landmark, higher, -, is_won
        Share of pairs of a won and a not-won later deal in which the won one had been given the higher chance.

    References
    ----------
    Steyerberg et al. (2010), Epidemiology 21:128-138; see `stats.scores` for each score's own.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> chance = random.uniform(0.05, 0.6, 2000)
    >>> later = pd.DataFrame({
    ...     "account_id": range(2000), "is_closed": True, "is_won": random.random(2000) < chance, "weight": 1.0,
    ...     "win_model": chance, "base_rate": 0.325, "crm_probability": np.nan,
    ... })
    >>> score_card(later)[["model", "n", "log_loss", "skill_rate", "calibration_slope", "auc"]].round(2)
                 model     n  log_loss  skill_rate  calibration_slope   auc
    0        win_model  2000      0.56         0.1                1.0  0.71
    1        base_rate  2000      0.62         0.0                NaN  0.50
    2  crm_probability     0       NaN         NaN                NaN   NaN
    """
    checks.require_columns(later, ["account_id", "is_closed", "is_won", "weight", MODEL, BASE_RATE, CRM])
    return pd.DataFrame([_scored(later, model, confidence=confidence, seed=seed) for model in (MODEL, BASE_RATE, CRM)])


def calibration(later: pd.DataFrame, *, model: str = MODEL, bins: int = 10, confidence: float = 0.95) -> pd.DataFrame:
    """Later deals by the chance they were given: the chance beside the share then won.

    Parameters
    ----------
    later
        Of `later_deals`.
    model, bins
        Whose chances: a column of `later`; groups of equally many deals, equal chances together.
    confidence
        Level of Wilson's interval.

    Returns
    -------
    DataFrame
        One row per group, lowest chance first: ``model``, ``bin`` (from 1), ``n``, ``n_won``,
        ``predicted_rate`` (mean chance given), ``later_win_rate`` with interval (0-1).

    Metrics
    -------
    predicted_rate : rate, landmark, none, -, is_won
        Mean chance of winning that the deals of the group were given.
    later_win_rate : rate, landmark, none, n_won / n, is_won
        Share then won, each decided deal standing for those still open.

    Examples
    --------
    >>> later = pd.DataFrame({"win_model": [0.1, 0.1, 0.5, 0.5], "is_won": [False, False, True, False],
    ...     "is_closed": True, "weight": 1.0})
    >>> calibration(later)[["bin", "n", "predicted_rate", "later_win_rate"]]
       bin  n  predicted_rate  later_win_rate
    0    1  2             0.1             0.0
    1    2  2             0.5             0.5
    """
    rows = _decided(later, model)
    how = {"bins": bins, "weight": rows["weight"], "confidence": confidence}
    table = scores.calibration_table(rows["is_won"], rows[model], **how)
    named = {"n_hit": "n_won", "predicted": "predicted_rate"}
    table = table.rename(columns=lambda name: named.get(name, name.replace("observed", "later_win_rate")))
    return table.assign(model=model)[["model", *table.columns]]


def importance(
    frame: pd.DataFrame,
    factors: Sequence[str],
    *,
    as_of: date,
    calendar: Calendar = _CALENDAR,
    quarters: int = QUARTERS,
    window: int = WINDOW,
    confidence: float = 0.95,
    rate: float = 0.10,
    seed: int = 0,
) -> pd.DataFrame:
    """What each factor adds to the prediction of later deals: how much worse it gets without it.

    The model is fitted again without the factor, all its levels together, and both are scored on
    the same later deals; whole companies are drawn for the interval. The second view shuffles the
    factor's values among the deals of a quarter and leaves the model as it is. Two factors that
    tell the same share their importance in the first view, and both have it in the second.

    Parameters
    ----------
    frame, factors, as_of, calendar, quarters, window
        As for `later_deals`.
    confidence, rate, seed
        Level of the intervals; false discovery rate over all factors, for ``is_named``; seed.

    Returns
    -------
    DataFrame
        One row per factor, the most important first: ``factor``, ``n`` (later deals decided),
        ``dropped_log_loss_change`` and ``shuffled_log_loss_change`` with intervals (above 0: the
        factor helps), ``p_value`` of the first, ``is_named``. No rows where nothing can be scored.

    Metrics
    -------
    dropped_log_loss_change : ratio, landmark, none, -, is_won
        Log-loss over later deals of a model without the factor, less that of the model with it.
    shuffled_log_loss_change : ratio, landmark, none, -, is_won
        Log-loss over later deals with the factor's values shuffled among them, less that with the right ones.

    References
    ----------
    Lei et al. (2018), J. Am. Stat. Assoc. 113:1094-1111 (leaving a factor out); Breiman (2001),
    Machine Learning 45:5-32 (shuffling).

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> sponsor = random.random(900) < 0.5
    >>> frame = pd.DataFrame({
    ...     "opportunity_id": range(900), "account_id": range(900), "days": 20.0, "is_closed": True,
    ...     "landmark_at": pd.date_range("2025-01-01", periods=900, freq="17h"), "x_sponsor": sponsor,
    ...     "region": random.choice(["East", "West"], 900),
    ...     "is_won": random.random(900) < np.where(sponsor, 0.6, 0.2),
    ... })
    >>> table = importance(frame, ["region", "x_sponsor"], as_of=date(2026, 9, 30))
    >>> table[["factor", "dropped_log_loss_change", "is_named"]].round(2).values.tolist()
    [['x_sponsor', 0.08, True], ['region', -0.0, False]]
    """
    later, cases, learnt = rolled(frame, tuple(factors), as_of, calendar, quarters, window, seed)
    changes = [chances.changes(each, cases, mine, seed=seed) for each, mine in learnt]
    table = pd.DataFrame({"factor": pd.Series(list(factors), dtype="str")})
    if not changes or not later["is_closed"].any():
        return table.iloc[:0].assign(**dict.fromkeys(["n", *_CHANGES, "p_value"], np.nan), is_named=False)
    kept = later["is_closed"].to_numpy(dtype=bool)
    table = table.assign(n=int(kept.sum()))
    how = {"weight": later["weight"].to_numpy()[kept], "cluster": later["account_id"].to_numpy()[kept]}
    how |= {"draws": _DRAWS, "confidence": confidence, "seed": seed}
    # Both ways side by side: companies are drawn once.
    both = bootstrap.mean_intervals(np.concatenate([*np.concatenate(changes, axis=2)[:, :, kept]]).T, **how)
    for at, column in enumerate(("dropped", "shuffled")):
        value, low, high, error = (each[at * len(factors) : (at + 1) * len(factors)] for each in both)
        name = f"{column}_log_loss_change"
        table = table.assign(**{name: value, f"{name}_low": low, f"{name}_high": high})
        # One-sided: a factor that makes the prediction worse is no more important than one that does nothing.
        z = np.divide(value, error, out=np.zeros(len(error)), where=error > 0)
        table["p_value"] = table.get("p_value", pd.Series(norm.sf(z)))
    table["is_named"] = multipletests(table["p_value"], rate, "fdr_bh")[0]
    table = table[["factor", "n", *_CHANGES, "p_value", "is_named"]]
    return table.sort_values("dropped_log_loss_change", ascending=False, kind="stable", ignore_index=True)


def predict_win_probability(
    frame: pd.DataFrame,
    factors: Sequence[str],
    *,
    as_of: date,
    calendar: Calendar = _CALENDAR,
    window: int = WINDOW,
    confidence: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """The chance of winning each deal open now, from its factors at the landmark and its age since.

    Fitted on all deals decided in the last `window` quarters, as `later_deals` does it. A deal that
    is still open after a while is not the deal it was at its landmark: the level of each age is
    learnt from the decided deals that lasted at least as long.

    Parameters
    ----------
    frame, factors, as_of, calendar, window, seed
        As for `later_deals`; the last `window` quarters before the day after `as_of`.
    confidence
        Level of the interval of the chance, not of the outcome; somewhat narrow (it held 90-94 % of true chances).

    Returns
    -------
    DataFrame
        One row per open deal, highest chance first: ``opportunity_id``, ``account_id``,
        ``owner_id``, ``open_days`` (since the landmark), ``n`` (decided deals learnt from),
        ``win_probability`` with interval (0-1); missing where too few deals are decided.

    Metrics
    -------
    win_probability : rate, as_of, none, -, is_won
        Chance that a deal open now is won, from what was known at its landmark and how long it has been open since.

    References
    ----------
    van Houwelingen (2007), Scand. J. Statist. 34:70-85 (landmarking).

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> sponsor = random.random(600) < 0.5
    >>> frame = pd.DataFrame({
    ...     "opportunity_id": range(600), "account_id": range(600), "owner_id": "r1", "days": 20.0,
    ...     "is_closed": [False, *[True] * 599], "landmark_at": pd.date_range("2026-01-01", periods=600, freq="10h"),
    ...     "x_sponsor": sponsor, "is_won": random.random(600) < np.where(sponsor, 0.6, 0.2),
    ... })
    >>> frame.loc[0, ["is_won", "days"]] = [False, 5.0]
    >>> predict_win_probability(frame, ["x_sponsor"], as_of=date(2026, 9, 30)).round(2).values.tolist()
    [[0, 0, 'r1', 5.0, 599, 0.21, 0.16, 0.27]]
    """
    (rows, cases), now = cases_of(frame, factors), pd.Timestamp(as_of) + _DAY
    is_open = ~rows["is_closed"].to_numpy(dtype=bool)
    table = rows.loc[is_open, ["opportunity_id", "account_id", "owner_id"]].assign(open_days=rows["days"])
    table = table.assign(n=0, **dict.fromkeys([f"win_probability{end}" for end in _ENDS], np.nan))
    learnt = chances.learn(
        cases, now, first_day(now, window, calendar), first_day(now, LEVEL_WINDOW, calendar), seed=seed
    )
    if learnt is not None:
        x, error = chances.log_odds(learnt, cases, np.flatnonzero(is_open))
        x = x + chances.age_levels(learnt, cases, table["open_days"].to_numpy(dtype=float))
        half = norm.ppf((1 + confidence) / 2) * error
        for end, value in zip(_ENDS, (x, x - half, x + half), strict=True):
            table[f"win_probability{end}"] = expit(value)
        table["n"] = len(learnt.known.at)
    return table.sort_values("win_probability", ascending=False, kind="stable", ignore_index=True)


def score_sentence(card: pd.DataFrame, *, has_dates: bool = True, min_n: int = MIN_LATER) -> str:
    """How much better than the base rate the chances were on later deals; never by ranking alone.

    Examples
    --------
    >>> row = {"model": "win_model", "n": 1830, "skill_rate": 0.05, "skill_rate_low": 0.033, "skill_rate_high": 0.067,
    ...     "auc": 0.653}
    >>> score_sentence(pd.DataFrame([row]))
    'On 1,830 later deals the chances had 5 % less error than the base rate (likely between 3 % and 7 %); \
a deal that was won had been given a higher chance than one that was not in 65 of 100 pairs.'
    >>> score_sentence(pd.DataFrame([row | {"skill_rate_low": -0.01}]))
    'On 1,830 later deals the chances predict no better than the base rate.'
    >>> score_sentence(pd.DataFrame([row | {"n": 34}]))
    'Only 34 later deals are decided: too few to say how good the chances are.'
    >>> score_sentence(pd.DataFrame([row | {"n": 0}]), has_dates=False)
    'Without dates no deal comes later than another, so the chances cannot be scored and none is quoted.'
    """
    row = card.set_index("model").loc[MODEL]
    n = f"{words.number(row['n'])}"
    if not has_dates:
        return "Without dates no deal comes later than another, so the chances cannot be scored and none is quoted."
    if row["n"] < min_n:
        deals = f"Only {n} later deals are" if row["n"] > 1 else "One later deal is" if row["n"] else "No later deal is"
        return f"{deals} decided: too few to say how good the chances are."
    if row["skill_rate_high"] < 0:
        return f"On {n} later deals the chances predict worse than the base rate."
    if not row["skill_rate_low"] > 0:
        return f"On {n} later deals the chances predict no better than the base rate."
    saved, pairs = words.rate(row["skill_rate"]), f"{100 * row['auc']:.0f} of 100 pairs"
    likely = words.interval(row["skill_rate_low"], row["skill_rate_high"], "rate")
    return (
        f"On {n} later deals the chances had {saved} less error than the base rate ({likely}); "
        f"a deal that was won had been given a higher chance than one that was not in {pairs}."
    )


def calibration_sentence(card: pd.DataFrame, *, min_n: int = MIN_LATER) -> str:
    """Whether a chance means what it says; nothing where it cannot be told.

    Examples
    --------
    >>> row = {"model": "win_model", "n": 1830, "calibration_slope": 1.05, "calibration_slope_low": 0.83,
    ...     "calibration_slope_high": 1.26, "calibration_error": 0.022, "chance_calibration_error": 0.026}
    >>> calibration_sentence(pd.DataFrame([row]))
    'Chance given and share then won differ by 2 points on average; by luck alone it would be 3 points.'
    >>> calibration_sentence(pd.DataFrame([row | {"calibration_slope_high": 0.9}]))
    'The chances are too far out: of the deals given a high one fewer were won, of those given a low one more.'
    """
    row = card.set_index("model").loc[MODEL]
    if row["n"] < min_n or np.isnan(row["calibration_slope"]):
        return ""
    if row["calibration_slope_high"] < 1:
        return (
            "The chances are too far out: of the deals given a high one fewer were won, of those given a low one more."
        )
    if row["calibration_slope_low"] > 1:
        return "The chances are too timid: of the deals given a high one more were won, of those given a low one fewer."
    gap, luck = words.points(row["calibration_error"]), words.points(row["chance_calibration_error"])
    return f"Chance given and share then won differ by {gap} on average; by luck alone it would be {luck}."


def importance_sentence(table: pd.DataFrame) -> str:
    """Which factors later deals can be told apart by, named only beyond chance.

    Examples
    --------
    >>> table = pd.DataFrame({"factor": ["segment", "region"], "is_named": [True, False]})
    >>> importance_sentence(table)
    'Later deals are predicted better with segment; none of the other factors (1) helps by more than chance would.'
    >>> importance_sentence(table.assign(is_named=False))
    'None of the 2 factors makes later deals more predictable by more than chance would.'
    """
    if table.empty:
        return "Too few deals are decided to say which factors make later deals more predictable."
    named = [words.label(factor).lower() for factor in table.loc[table["is_named"].astype(bool), "factor"]]
    rest = len(table) - len(named)
    if not named:
        which = f"None of the {rest} factors makes" if rest > 1 else "The one factor does not make"
        return f"{which} later deals more predictable by more than chance would."
    listed = " and ".join(filter(None, [", ".join(named[:-1]), named[-1]]))
    others = f"; none of the other factors ({rest}) helps by more than chance would" if rest else ""
    return f"Later deals are predicted better with {listed}{others}."


def _decided(later: pd.DataFrame, model: str) -> pd.DataFrame:
    return later[later["is_closed"].astype(bool) & later[model].notna()]


def _scored(later: pd.DataFrame, model: str, **how: float) -> dict[str, float]:
    rows = _decided(later, model)
    counts = {"n": len(rows), "n_won": int(rows["is_won"].sum()), "n_open": len(later) - int(later["is_closed"].sum())}
    grouping = {"weight": rows["weight"], "cluster": rows["account_id"].to_numpy()}
    return {"model": model} | counts | scores.summary(rows["is_won"], rows[model], rows[BASE_RATE], **grouping, **how)
