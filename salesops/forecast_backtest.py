"""Forecast backtest: how every method would have done on past quarters, knowing only what was known then."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from salesops import checks, kept, words
from salesops.forecast_cases import Case
from salesops.periods import quarter_labels
from salesops.stats import accuracy, bootstrap, multiplicity, proportions

Method = Callable[..., np.ndarray]

LEVELS = (50, 80, 95)
ALL_WEEKS = "all weeks"
_COLUMNS = (
    "model", "period", "period_start", "period_end", "week", "cutoff_date", "actual", "predicted",
    *(f"predicted_{side}_{level}" for level in LEVELS for side in ("low", "high")),
    "crps", "pit", "target", "target_chance", "is_above_target",
)  # fmt: skip


@kept.by_content("backtests")
def backtest(
    cases: Sequence[Case],
    methods: Mapping[str, Method],
    actual: pd.Series,
    *,
    seed: int,
    targets: pd.Series | None = None,
) -> pd.DataFrame:
    """What each method said of each case, and what came.

    Parameters
    ----------
    cases
        Of `forecast_cases.cases`.
    methods
        By name: functions ``(case, *, seed)`` that give draws of the quarter's total bookings; one draw, or
        one number, is a forecast without a distribution, no draw or a missing one is no forecast.
    actual
        Bookings by label of the quarter.
    seed
        Of all chance; each case has its own, whatever else is scored.
    targets
        Target by label of the quarter, where there is one.

    Returns
    -------
    DataFrame
        One row per method and case: ``model, period, period_start, period_end, week, cutoff_date, actual,
        predicted`` (median of the draws), ``predicted_low_50, predicted_high_50`` … ``_80, _95``, ``crps`` (in money),
        ``pit``, ``target``, ``target_chance`` (share of the draws at or above it; missing without a
        distribution), ``is_above_target`` (what came).

    Raises
    ------
    DataError
        A case's quarter has no actual.

    Examples
    --------
    >>> from datetime import date
    >>> from types import SimpleNamespace
    >>> from salesops.periods import quarter
    >>> case = SimpleNamespace(period=quarter(date(2026, 8, 1)), cutoff=date(2026, 6, 30), week=1)
    >>> methods = {"spread": lambda case, *, seed: np.array([80.0, 100.0, 120.0]), "flat": lambda case, *, seed: 90.0}
    >>> found = backtest([case], methods, pd.Series({"2026Q3": 110.0}), seed=0)
    >>> found[["model", "week", "actual", "predicted", "predicted_low_50", "crps"]].round(1)
        model  week  actual  predicted  predicted_low_50  crps
    0  spread     1   110.0      100.0              90.0   7.8
    1    flat     1   110.0       90.0               NaN  20.0
    """
    unknown = [case.period.label for case in cases if case.period.label not in actual.index]
    if unknown:
        raise checks.DataError(
            f"actual: {len(unknown):,} cases are of quarters without bookings ({checks.examples(unknown)}). "
            "Give the bookings of every quarter that is tested."
        )
    goal = pd.Series(dtype=float) if targets is None else targets
    rows = [
        _scored(name, method, case, float(actual[case.period.label]), float(goal.get(case.period.label, np.nan)), seed)
        for case in cases
        for name, method in methods.items()
    ]
    frame = pd.DataFrame(rows, columns=list(_COLUMNS))
    return frame.astype({"is_above_target": "boolean", "model": "str", "period": "str"})


def scores(tested: pd.DataFrame, *, naive: str | None = None, confidence: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """How wrong each method was, by week of the quarter and over all of them.

    ``forecast_wape = sum |actual - predicted| / sum |actual|``,
    ``forecast_bias = sum (predicted - actual) / sum actual``; the others below. Quarters are drawn anew, whole, for
    the intervals of errors; those of coverage are Wilson's for as many trials as there are quarters where weeks are
    taken together, because the weeks of one quarter miss together.

    Parameters
    ----------
    tested
        Of `backtest`; rows without a forecast are left out.
    naive
        The method that the errors are a share of in ``forecast_mase``; missing if empty.
    confidence
        Level of the intervals.
    seed
        Of the bootstrap.

    Returns
    -------
    DataFrame
        One row per ``model`` and ``week`` ("1", "5" … and `ALL_WEEKS`): ``n`` (cases), ``n_quarters``,
        ``forecast_wape``, ``forecast_bias``, ``forecast_mase``, ``forecast_crps_rate``, ``interval_coverage_rate_50``,
        ``_80``, ``_95``, each with limits; ``n_called`` (cases with a target and a chance of it),
        ``target_brier_score``, ``target_skill_rate``. The most accurate over all weeks first.

    Metrics
    -------
    forecast_wape : rate, closed, lower, -, amount close_date
        Sum of the absolute errors over the sum of the actual bookings, over the quarters and weeks scored.
    forecast_bias : rate, closed, none, -, amount close_date
        Sum of forecast minus actual over the sum of the actual bookings, sign kept, over the quarters and weeks scored.
    forecast_mase : ratio, closed, lower, -, amount close_date
        Sum of the absolute errors over that of the naive method on the same quarters and weeks; below 1 is better.
    forecast_crps_rate : rate, closed, lower, -, amount close_date
        Mean continuous ranked probability score, the error of a whole distribution, over the mean actual bookings.
    interval_coverage_rate_50 : rate, closed, none, -, amount close_date
        Share of the quarters whose bookings fell within the middle half of the forecast; 50 % is right.
    interval_coverage_rate_80 : rate, closed, none, -, amount close_date
        Share of the quarters whose bookings fell within the forecast's 80 % range; 80 % is right.
    interval_coverage_rate_95 : rate, closed, none, -, amount close_date
        Share of the quarters whose bookings fell within the forecast's 95 % range; 95 % is right.
    target_brier_score : ratio, closed, lower, -, amount close_date
        Mean squared distance of the stated chance of reaching the target from what came, 1 or 0.
    target_skill_rate : rate, closed, higher, -, amount close_date
        Share of the Brier score of always stating how often targets were reached that the method's chances save.

    References
    ----------
    Gneiting & Raftery (2007), J. Am. Stat. Assoc. 102:359-378; Wilson (1927), J. Am. Stat. Assoc. 22:209-212.

    Examples
    --------
    >>> tested = pd.DataFrame({"model": "m", "period": ["Q1", "Q2"], "week": 1, "actual": [100.0, 100.0],
    ...     "predicted": [110.0, 70.0], "crps": [5.0, 15.0], "target_chance": [0.8, 0.4],
    ...     "is_above_target": [True, False]} | {f"predicted_low_{level}": 80.0 for level in LEVELS}
    ...     | {f"predicted_high_{level}": 120.0 for level in LEVELS})
    >>> scores(tested)[["week", "n", "forecast_wape", "forecast_bias", "interval_coverage_rate_80"]]
            week  n  forecast_wape  forecast_bias  interval_coverage_rate_80
    0          1  2            0.2           -0.1                        1.0
    1  all weeks  2            0.2           -0.1                        1.0
    """
    checks.require_columns(tested, ["model", "period", "week", "actual", "predicted", "crps"], where="tested")
    known = tested[tested["predicted"].notna()]
    against = _naive_errors(tested, naive)
    rows = [
        {"model": model, "week": week} | _score(part, against, confidence, seed)
        for model, mine in known.groupby("model", sort=False)
        for week, part in [*((str(week), each) for week, each in mine.groupby("week")), (ALL_WEEKS, mine)]
    ]
    if not rows:
        return pd.DataFrame(columns=["model", "week", "n", "n_quarters", "forecast_wape", "forecast_bias"])
    table = pd.DataFrame(rows)
    whole = table[table["week"] == ALL_WEEKS].set_index("model")["forecast_wape"]
    return table.iloc[np.argsort(table["model"].map(whole).to_numpy(), kind="stable")].reset_index(drop=True)


def past_targets(cases: Sequence[Case], quota: Callable[..., pd.DataFrame]) -> pd.Series:
    """The target of each quarter that is tested, by its label; missing where there is none.

    Parameters
    ----------
    cases
        Of `forecast_cases.cases`.
    quota
        Called with ``period``, gives a frame with ``quota_amount``.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> case = SimpleNamespace(period=SimpleNamespace(label="2026Q3"))
    >>> past_targets([case, case], lambda period: pd.DataFrame({"quota_amount": [5.0]}))
    2026Q3    5.0
    dtype: float64
    """
    quarters = {case.period.label: case.period for case in cases}
    found = {label: quota(period=each)["quota_amount"].max() for label, each in quarters.items()}
    return pd.Series(found, dtype=float)


def compared(tested: pd.DataFrame, *, model: str | None = None) -> pd.DataFrame:
    """Whether one method's errors are smaller than each other's by more than chance.

    On the cases that both forecast; a quarter counts once, with the mean error of its weeks, because the weeks of a
    quarter miss together. The tests answer one question, so they are adjusted together (Holm).

    Known bias: the winner of the same quarters is compared, so what is close is flattered.

    Parameters
    ----------
    tested
        Of `backtest`.
    model
        The method; the one of the smallest `forecast_wape` over all cases that every method forecast, if empty.

    Returns
    -------
    DataFrame
        One row per other method, the nearest first: ``model``, ``other``, ``n`` (quarters), ``error_rate`` and
        ``other_error_rate`` (absolute errors over actual bookings), ``statistic``, ``p_value``.

    Metrics
    -------
    error_rate : rate, closed, lower, -, amount close_date
        Sum of the method's absolute errors over the actual bookings, on the cases that both methods forecast.
    other_error_rate : rate, closed, lower, -, amount close_date
        The same of the method it is compared with.

    References
    ----------
    Diebold & Mariano (1995), J. Bus. Econ. Stat. 13:253-263; Harvey, Leybourne & Newbold (1997),
    Int. J. Forecasting 13:281-291; Holm (1979), Scand. J. Statist. 6:65-70.

    Examples
    --------
    >>> tested = pd.DataFrame({"model": ["far"] * 4 + ["near"] * 4, "period": ["Q1", "Q2", "Q3", "Q4"] * 2, "week": 1,
    ...     "actual": 100.0, "predicted": [130.0, 125.0, 131.0, 128.0, 101.0, 97.0, 105.0, 102.0]})
    >>> compared(tested).round(4)[["model", "other", "n", "error_rate", "p_value"]]
      model other  n  error_rate  p_value
    0  near   far  4      0.0275   0.0004
    """
    checks.require_columns(tested, ["model", "period", "week", "actual", "predicted"], where="tested")
    wide = tested.pivot_table(index=["period", "week"], columns="model", values="predicted", sort=False)
    actual = tested.drop_duplicates(["period", "week"]).set_index(["period", "week"])["actual"].reindex(wide.index)
    errors = wide.sub(actual, axis=0).abs()
    chosen = model or winner(tested)
    if chosen is None or chosen not in errors:
        return pd.DataFrame(columns=["model", "other", "n", "error_rate", "other_error_rate", "statistic", "p_value"])
    rows = [_pair(errors, actual, chosen, other) for other in errors.columns.drop(chosen)]
    columns = ["model", "other", "n", "error_rate", "other_error_rate", "statistic", "p_value"]
    table = pd.DataFrame(rows, columns=columns).sort_values("other_error_rate", kind="stable", ignore_index=True)
    return table.assign(p_value=multiplicity.holm(table["p_value"]))


def winner(tested: pd.DataFrame) -> str | None:
    """The method with the smallest sum of absolute errors on the cases that every method forecast; None without any.

    A method with fewer than half of the cases of the most complete one does not take part.

    Examples
    --------
    >>> tested = pd.DataFrame({"model": ["a", "b"], "period": "Q1", "week": 1, "actual": 10.0,
    ...     "predicted": [9.0, 12.0]})
    >>> winner(tested), winner(tested[:0])
    ('a', None)
    """
    wide = tested.pivot_table(index=["period", "week"], columns="model", values="predicted", sort=False)
    actual = tested.drop_duplicates(["period", "week"]).set_index(["period", "week"])["actual"].reindex(wide.index)
    filled = wide.notna().sum()
    shared = wide[filled.index[filled * 2 >= filled.max()]].dropna() if len(filled) else wide
    if shared.empty:
        return None
    return str(shared.sub(actual.reindex(shared.index), axis=0).abs().sum().idxmin())


def calibration(tested: pd.DataFrame, *, bins: int = 5, confidence: float = 0.95) -> pd.DataFrame:
    """How often what came fell into each part of the forecast distribution: equally often where it is right.

    Returns
    -------
    DataFrame
        One row per ``model`` and part: ``part`` ("0–20 %" …), ``n`` (cases), ``n_quarters``, ``n_hit``,
        ``pit_rate`` with Wilson's limits for as many trials as there are quarters.

    Metrics
    -------
    pit_rate : rate, closed, none, n_hit / n, amount close_date
        Share of the cases whose bookings fell into this part of the forecast distribution.

    References
    ----------
    Dawid (1984), J. R. Statist. Soc. A 147:278-292.

    Examples
    --------
    >>> tested = pd.DataFrame({"model": "m", "period": ["Q1", "Q2", "Q3", "Q4"], "pit": [0.1, 0.6, 0.7, 1.0]})
    >>> calibration(tested, bins=2)[["part", "n", "n_hit", "pit_rate"]]
           part  n  n_hit  pit_rate
    0    0–50 %  4      1      0.25
    1  50–100 %  4      3      0.75
    """
    checks.require_columns(tested, ["model", "period", "pit"], where="tested")
    rows = []
    for model, mine in tested[tested["pit"].notna()].groupby("model", sort=False):
        place = np.minimum((mine["pit"].to_numpy() * bins).astype(int), bins - 1)
        n, trials = len(mine), mine["period"].nunique()
        for part, hit in enumerate(np.bincount(place, minlength=bins)):
            low, high = _wilson(hit / n, trials, confidence)
            span = f"{100 * part / bins:.0f}–{100 * (part + 1) / bins:.0f} %"
            rows.append([model, span, n, trials, int(hit), hit / n, low, high])
    return pd.DataFrame(
        rows, columns=["model", "part", "n", "n_quarters", "n_hit", "pit_rate", "pit_rate_low", "pit_rate_high"]
    )


def floors(case: Case, *, weeks: Sequence[int] | None = None, seed: int = 0) -> pd.DataFrame:
    """What chance alone makes any forecast miss, by week of the quarter: no method can be much better.

    Past quarters are played again with their open deals, each won with the share of the deals of its stage and
    week that were won in the quarter, due in it or not; deals not yet created come as they came.

    Known bias: who knows more of each deal than that could miss a little less.

    Parameters
    ----------
    case
        The latest; its past quarters are used.
    weeks
        Weeks of the quarter; all of them if empty.
    seed
        Of the replay.

    Returns
    -------
    DataFrame
        One row per ``week`` (as text, as in `scores`), and `ALL_WEEKS`: ``n`` (quarters), ``floor_rate``.

    Metrics
    -------
    floor_rate : rate, closed, none, -, amount close_date
        Absolute error over bookings that is left on average when every deal's chance is known: chance alone.
    """
    wanted = sorted(case.past["week"].unique()) if weeks is None else weeks
    found = {str(week): _floor(case, week, seed) for week in wanted}
    found[ALL_WEEKS] = float(np.mean(list(found.values()))) if found else np.nan
    return pd.DataFrame({"week": found.keys(), "n": case.past["period"].nunique(), "floor_rate": found.values()})


def winner_sentence(table: pd.DataFrame, *, by: str = "", brief: bool = False) -> str:
    """Which method was the least wrong here, and whether that is more than chance; no figures where `brief`.

    Parameters
    ----------
    table
        Of `compared`; with ``is_named`` where the report controls its comparisons together.
    by
        What was forecast, in words, put after "quarters".

    Examples
    --------
    >>> row = {"model": "pipeline", "other": "naive", "n": 12, "error_rate": 0.15, "other_error_rate": 0.3,
    ...     "p_value": 0.001}
    >>> winner_sentence(pd.DataFrame([row]))  # doctest: +NORMALIZE_WHITESPACE
    'Over 12 quarters the deal-by-deal forecast was off by 15 % of bookings, less than every other method; the next
    best, naive, by 30 %.'
    >>> winner_sentence(pd.DataFrame([row | {"p_value": 0.4}]))  # doctest: +NORMALIZE_WHITESPACE
    'Over 12 quarters the deal-by-deal forecast was off by 15 % of bookings and naive by 30 %: too close, or too few
    quarters, to call one of them better.'
    >>> winner_sentence(pd.DataFrame([row | {"p_value": 0.4}]), brief=True)
    'Over 12 quarters no other way was clearly better than the deal-by-deal forecast'
    >>> winner_sentence(pd.DataFrame([row])[:0])
    'Only one method could be tested, so none can be called the best.'
    """
    if table.empty:
        return "Only one method could be tested, so none can be called the best."
    rows = table.sort_values("other_error_rate", kind="stable")
    first = rows.iloc[0]
    count = "1 quarter" if first["n"] == 1 else f"{first['n']:.0f} quarters"
    name, other = words.group(first["model"], "model"), words.group(first["other"], "model")
    mine, next_best = words.rate(first["error_rate"]), words.rate(first["other_error_rate"])
    stated = f"Over {count}{' ' + by if by else ''} {name} was off by {mine} of bookings"
    is_less = rows["error_rate"] < rows["other_error_rate"]
    is_best, is_beaten = (_is_named(rows) & is_less).all(), (_is_named(rows) & ~is_less).any()
    if brief:
        beside = "another way was clearly better than" if is_beaten else "no other way was clearly better than"
        return f"Over {count} {f'{name} was clearly the least wrong' if is_best else f'{beside} {name}'}"
    if is_best:
        return f"{stated}, less than every other method; the next best, {other}, by {next_best}."
    if is_beaten:
        return f"{stated}, more than other methods; the best of them, {other}, by {next_best}."
    return f"{stated} and {other} by {next_best}: too close, or too few quarters, to call one of them better."


def _is_named(rows: pd.DataFrame) -> pd.Series:
    return rows["is_named"].astype(bool) if "is_named" in rows else rows["p_value"].lt(0.05)


def case_seed(case: Case, seed: int = 0) -> int:
    """A case's own seed: what else is scored does not matter."""
    parts = [seed, case.period.start.toordinal(), case.cutoff.toordinal()]
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def _scored(name: str, method: Method, case: Case, actual: float, target: float, seed: int) -> list:
    draws = np.atleast_1d(np.asarray(method(case, seed=case_seed(case, seed)), dtype=float)).ravel()
    is_known = len(draws) > 0 and bool(np.isfinite(draws).all())
    draws = draws if is_known else np.array([np.nan])
    limits = [limit for level in LEVELS for limit in accuracy.central_interval(draws, level / 100)]
    has_target = np.isfinite(target)
    chance = float((draws >= target).mean()) if has_target and len(draws) > 1 else np.nan
    return [
        name, case.period.label, case.period.start, case.period.end, case.week, case.cutoff, actual,
        float(np.median(draws)), *limits, accuracy.crps(draws, actual), accuracy.pit(draws, actual),
        target, chance, actual >= target if has_target else pd.NA,
    ]  # fmt: skip


def _naive_errors(tested: pd.DataFrame, naive: str | None) -> pd.Series:
    rows = tested[tested["model"] == naive].set_index(["period", "week"])
    return rows["predicted"]


def _score(part: pd.DataFrame, against: pd.Series, confidence: float, seed: int) -> dict[str, float]:
    actual, predicted, period = part["actual"], part["predicted"], part["period"]
    options = {"cluster": period, "confidence": confidence, "seed": seed}
    size, error = actual.abs(), predicted - actual
    other = pd.MultiIndex.from_frame(part[["period", "week"]])
    versus = (against.reindex(other).to_numpy() - actual).abs()
    both = versus.notna().to_numpy()
    pairs = [(error.abs(), size), (error, size), (part["crps"], size)]
    wape, bias, crps = bootstrap.ratio_intervals(pairs, **options)
    estimates = {
        "forecast_wape": wape,
        "forecast_bias": bias,
        "forecast_mase": bootstrap.ratio_interval(
            error.abs()[both], versus[both], cluster=period[both], confidence=confidence, seed=seed
        ),
        "forecast_crps_rate": crps,
    } | {f"interval_coverage_rate_{level}": _coverage(part, level, confidence) for level in LEVELS}
    flat = {f"{name}{end}": value for name, found in estimates.items() for end, value in zip(_ENDS, found, strict=True)}
    return {"n": len(part), "n_quarters": period.nunique()} | flat | _called(part, confidence, seed)


def _coverage(part: pd.DataFrame, level: int, confidence: float) -> tuple[float, float, float]:
    hits = accuracy.is_covered(part["actual"], part[f"predicted_low_{level}"], part[f"predicted_high_{level}"])
    known = np.isfinite(hits)
    if not known.any():
        return (np.nan,) * 3
    share = float(hits[known].mean())
    return share, *_wilson(share, part.loc[known, "period"].nunique(), confidence)


def _called(part: pd.DataFrame, confidence: float, seed: int) -> dict[str, float]:
    """The call of the target: squared error of the chance, and how much of that of the plain share it saves."""
    known = part[part["target_chance"].notna() & part["is_above_target"].notna()]
    came = known["is_above_target"].to_numpy(dtype=float)
    missed = (known["target_chance"].to_numpy(float) - came) ** 2
    plain = (came - came.mean()) ** 2 if len(came) else came
    options = {"cluster": known["period"], "confidence": confidence, "seed": seed}
    found = {
        "target_brier_score": bootstrap.mean_interval(missed, **options) if len(came) else (np.nan,) * 3,
        "target_skill_rate": bootstrap.ratio_interval(plain - missed, plain, **options),
    }
    flat = {f"{name}{end}": value for name, each in found.items() for end, value in zip(_ENDS, each, strict=True)}
    return {"n_called": len(known)} | flat


def _wilson(share: float, trials: int, confidence: float) -> tuple[float, float]:
    low, high = proportions.wilson_interval(np.array([share * trials]), np.array([trials]), confidence)
    return float(low[0]), float(high[0])


def _pair(errors: pd.DataFrame, actual: pd.Series, chosen: str, other: str) -> list:
    both = errors[[chosen, other]].dropna()
    size = actual.reindex(both.index).abs().sum()
    quarters = both.groupby(level="period", sort=False).mean()
    statistic, p_value = accuracy.diebold_mariano(quarters[chosen], quarters[other])
    rates = [both[name].sum() / size if size > 0 else np.nan for name in (chosen, other)]
    return [chosen, other, len(quarters), *rates, statistic, p_value]


def _floor(case: Case, week: int, seed: int) -> float:
    """Of one week: the deals of each stage with their share won, and a stream of those not yet created."""
    rows = case.past[case.past["week"] == week]
    late = case.late_deals[case.late_deals["week"] == week]
    cell = [rows[name] for name in ("pipeline", "position", "is_due")]
    chance = rows["is_won_in_period"].astype(float).groupby(cell, dropna=False).transform("mean")
    totals = case.won["amount"].groupby(_labels(case)).sum()
    names = sorted(set(rows["period"]) | set(late["period"]))
    coming = rows["won_amount"].groupby(rows["period"]).sum().add(late.groupby("period")["amount"].sum(), fill_value=0)
    had = (totals.reindex(names).fillna(0) - coming.reindex(names).fillna(0)).clip(lower=0)
    # one row of size nothing a quarter keeps every quarter in
    sizes = np.r_[rows["amount"], late["amount"], np.zeros(len(names))]
    chances = np.r_[chance.clip(upper=1 - 1e-9), np.ones(len(late)), np.zeros(len(names))]
    group = np.r_[rows["period"], late["period"], names]
    return accuracy.floor(sizes, chances, group=group, certain=had, seed=seed)


def _labels(case: Case) -> pd.Series:
    return quarter_labels(case.won["close_date"], case.calendar)


_ENDS = ("", "_low", "_high")
