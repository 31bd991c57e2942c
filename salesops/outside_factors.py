"""Outside factors: whether something known of the market foretells bookings better than their own past."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import t as student

from salesops import checks, words
from salesops.bookings_ahead import LEVEL, QUARTERS, quarters_after
from salesops.periods import Calendar, quarter_starts
from salesops.stats import leading, members, multiplicity
from salesops.time_series import time_series

ERROR_RATE = 0.05  # how often a company whose market tells nothing is told that it does
TOLD = 8  # quarters foretold below which figures are shown, but nothing is said of chance
LAGS = (1, 2)  # quarters by which a factor that is not planned may run ahead of bookings

_FEWEST = 2 * QUARTERS  # quarters from which there is a model
_FEW, _NEVER = "too few quarters", "never changes"
_FEW_SAID = "too few past quarters with its values"
_CALENDAR = Calendar()
_AHEAD = ["period", "period_start", "period_end"]
_GAIN = [f"factor_gain_points{end}" for end in ("", "_low", "_high")]
_TESTED = ["factor", "lag_quarters", "n", "own_past_wape", "factor_wape", *_GAIN,
           "p_value", "is_named", "n_compared", "reason"]  # fmt: skip


class _Trials(NamedTuple):
    """Quarters forecast from those before them: their place in the history, what came and what was forecast."""

    place: np.ndarray
    actual: np.ndarray
    forecast: np.ndarray


def factor_tests(
    history: pd.DataFrame,
    market: pd.DataFrame,
    *,
    calendar: Calendar = _CALENDAR,
    lags: Sequence[int] = LAGS,
    seed: int = 0,
) -> pd.DataFrame:
    """Whether an outside factor foretells bookings better than their own past, tried on past quarters only.

    Every quarter from the ninth on is forecast from those before it (mean of exponential smoothing, Theta and ARIMA of
    logs). What it missed, ``log(bookings / forecast)``, is foretold from how far the factor lies from its mean over
    the four quarters before, by the misses of the quarters before (`leading.trial`). The factor counts with the value
    of the quarter itself only where that is planned, else with that of one or two quarters before. One is named
    where the error fell and chance would hardly have done as well, over eight quarters or more.

    Parameters
    ----------
    history
        Completed quarters, oldest first: ``period_start``, ``period_end``, ``bookings_amount``.
    market
        ``month``, ``factor``, ``value``, ``is_planned`` (known beforehand); a quarter's value is the mean of its
        months.
    calendar
        Names the quarters.
    lags
        Quarters by which a factor that is not planned is tried.
    seed
        Of the reshuffles that say what chance does.

    Returns
    -------
    DataFrame
        One row per factor and way of using it: ``factor``, ``lag_quarters`` (0: planned), ``n`` (quarters foretold),
        ``own_past_wape``, ``factor_wape``, ``factor_gain_points`` with limits at 95 %, ``p_value`` (Holm over all
        rows; missing for fewer than eight quarters), ``is_named`` (the one to use), ``n_compared``, ``reason`` (why it
        was not tried; missing: it was).

    Metrics
    -------
    own_past_wape : rate, close_date, lower, -, is_won amount close_date
        Miss of forecasts one quarter ahead from past bookings alone, over what was booked.
    factor_wape : rate, close_date, lower, -, is_won amount close_date
        The same miss where the forecasts also go by the factor.
    factor_gain_points : points, close_date, higher, -, is_won amount close_date
        How much the factor takes off the miss, in points of what was booked.

    Notes
    -----
    The limits of the gain are those of its mean over the quarters tried and often hold nothing even where the p-value,
    which knows that a relation has to be learned first, rules chance out.

    Known bias: a month's value counts as known once the month is over, though some are published or revised later.
    A factor with a season of its own is named a little too often where few years are known (7 % at 20 quarters).

    References
    ----------
    Clark & West (2007), J. Econometrics 138:291-311; Holm (1979), Scand. J. Statist. 6:65-70.

    Examples
    --------
    >>> from datetime import date
    >>> from salesops.periods import quarters_between
    >>> found = quarters_between(date(2020, 1, 1), date(2026, 6, 30))
    >>> lead = np.random.default_rng(0).normal(0, 1, len(found))
    >>> y = 100 * np.exp(0.3 * np.r_[0, lead[:-1]])
    >>> history = pd.DataFrame({"period_start": [q.start for q in found], "period_end": [q.end for q in found],
    ...                         "bookings_amount": y})
    >>> market = pd.DataFrame({"month": [q.start for q in found], "factor": "orders", "value": lead,
    ...                        "is_planned": False})
    >>> factor_tests(history, market)[["factor", "lag_quarters", "n", "is_named"]]
       factor  lag_quarters   n  is_named
    0  orders             1  15      True
    1  orders             2  15     False
    """
    checks.require_columns(history, ["period_start", "period_end", "bookings_amount"], where="history")
    checks.require_columns(market, ["month", "factor", "value", "is_planned"], where="market")
    known = _known(history)
    (trials,) = _trials([known["bookings_amount"].to_numpy(float)])
    return _decided(_tried(trials, _by_quarter(market, known, calendar), lags, seed))


def with_factors(
    history: pd.DataFrame,
    market: pd.DataFrame,
    *,
    tested: pd.DataFrame,
    horizon: int = QUARTERS,
    calendar: Calendar = _CALENDAR,
) -> pd.DataFrame:
    """The quarters ahead from past bookings, moved by the outside factor that proved to foretell them, if one did.

    A quarter is moved only where the factor's value for it is known at the end of the last completed quarter, or
    planned; ``forecast x exp(move)``, the move as of `leading.move`.

    Parameters
    ----------
    history, market
        As of `factor_tests`.
    tested
        Of `factor_tests` on the same history and market.
    horizon
        How many quarters.
    calendar
        Names the quarters.

    Returns
    -------
    DataFrame
        One row per quarter ahead: ``period``, ``period_start``, ``period_end``, ``n`` (quarters of history),
        ``factor`` (that moved it; missing: none), ``factor_forecast_amount`` with limits, ``level``.

    Metrics
    -------
    factor_forecast_amount : amount, close_date, higher, -, is_won amount close_date
        Bookings of a quarter as past quarters and, where one proved itself, an outside factor foretell them.

    Notes
    -----
    Known bias: the factor proved itself one quarter ahead; further ahead the same move is taken for granted. Limits
    are as wide as without the factor, a little too wide.

    Examples
    --------
    >>> from datetime import date
    >>> from salesops.periods import quarters_between
    >>> found = quarters_between(date(2024, 1, 1), date(2026, 6, 30))
    >>> history = pd.DataFrame({"period_start": [q.start for q in found], "period_end": [q.end for q in found],
    ...                         "bookings_amount": 5.0})
    >>> market = pd.DataFrame({"month": [], "factor": [], "value": [], "is_planned": []})
    >>> with_factors(history, market, tested=factor_tests(history, market), horizon=1)[
    ...     ["period", "n", "factor", "factor_forecast_amount"]]
       period   n factor  factor_forecast_amount
    0  2026Q3  10    NaN                     5.0
    """
    known = _known(history)
    columns = [*_AHEAD, "n", "factor", *(f"factor_forecast_amount{end}" for end in ("", "_low", "_high")), "level"]
    if known.empty:
        return pd.DataFrame(columns=columns)
    series = pd.DataFrame({"unique_id": "bookings", "ds": range(len(known)), "y": known["bookings_amount"].to_numpy()})
    ahead = time_series(series, horizon=horizon, season_length=QUARTERS)
    moves, used = _moves(known, market, tested, horizon, calendar)
    values = ahead[["predicted", "predicted_low_80", "predicted_high_80"]].mul(np.exp(moves), axis=0)
    quarters = quarters_after(known, pd.Series(range(1, horizon + 1)), calendar=calendar)
    names = dict(zip(columns[5:8], values.T.to_numpy(), strict=True))
    return quarters.assign(n=len(known), factor=pd.Series(used, dtype="str"), **names, level=LEVEL)[columns]


def factors_sentence(tested: pd.DataFrame) -> str:
    """Whether an outside factor foretells bookings better than their own past.

    Parameters
    ----------
    tested
        Of `factor_tests`.

    Examples
    --------
    >>> tested = pd.DataFrame({
    ...     "factor": ["industry_index", "industry_index", "fx"], "lag_quarters": [1, 2, 1], "n": [12, 12, 12],
    ...     "own_past_wape": 0.24, "factor_wape": [0.18, 0.24, 0.25], "is_named": [True, False, False],
    ...     "p_value": [0.01, 0.6, 0.9], "reason": None})
    >>> factors_sentence(tested)
    'Industry index of the quarter before foretells bookings better than their own past: over 12 past quarters the \
typical error falls from 24 % to 18 % (2 factors tried).'
    >>> factors_sentence(tested.assign(is_named=False))
    'No outside factor foretells bookings better than their own past (2 tried).'
    >>> factors_sentence(tested.assign(is_named=False, reason="too few quarters"))
    'No outside factor could be tried: too few past quarters with its values.'
    >>> factors_sentence(tested.assign(is_named=False, n=4, p_value=None))
    'Too few quarters to tell whether an outside factor foretells bookings: 4 of the 8 needed.'
    >>> factors_sentence(tested[:0])
    'No outside factor is on record.'
    """
    if tested.empty:
        return "No outside factor is on record."
    tried = tested.loc[tested["reason"].isna(), "factor"].nunique()
    if not tried:
        is_flat = tested["reason"].eq(_NEVER).any()
        return f"No outside factor could be tried: {'none ever changes' if is_flat else _FEW_SAID}."
    if tested["p_value"].isna().all():
        most = int(tested["n"].max())
        return f"Too few quarters to tell whether an outside factor foretells bookings: {most} of the {TOLD} needed."
    named = tested[tested["is_named"].astype(bool)]
    if named.empty:
        return f"No outside factor foretells bookings better than their own past ({tried} tried)."
    row = named.iloc[0]
    factor = words.group(row["factor"], "factor")
    when = {0: f"{factor}, as planned,", 1: f"{factor} of the quarter before"}
    subject = when.get(int(row["lag_quarters"]), f"{factor} of {int(row['lag_quarters'])} quarters before")
    wapes = f"from {words.rate(row['own_past_wape'])} to {words.rate(row['factor_wape'])}"
    return (f"{subject} foretells bookings better than their own past: over {int(row['n'])} past quarters the typical "
            f"error falls {wapes} ({tried} {'factor' if tried == 1 else 'factors'} tried).")  # fmt: skip


def _known(history: pd.DataFrame) -> pd.DataFrame:
    """The quarters after the last whose bookings are not known."""
    missing = np.flatnonzero(history["bookings_amount"].isna())
    return history.iloc[missing[-1] + 1 if len(missing) else 0 :].reset_index(drop=True)


def _trials(many: Sequence[np.ndarray]) -> list[_Trials]:
    """Every quarter of each history from the ninth on, forecast from those before it alone."""
    places = [[at for at in range(_FEWEST, len(y)) if y[:at].max() > 0] for y in many]
    past = [y[:at] for y, places_of in zip(many, places, strict=True) for at in places_of]
    sizes = np.array([each.max() for each in past])  # each of its own past, so that nothing later touches it
    mean = np.zeros(0)
    if past:
        scaled = [each / size for each, size in zip(past, sizes, strict=True)]
        found = members.forecasts(scaled, horizon=1, season_length=QUARTERS)
        mean = np.mean([found[name][:, 0] for name in ("ets", "theta", "arima")], axis=0) * sizes
    ends = np.cumsum([len(each) for each in places])[:-1]
    return [_Trials(np.array(place, dtype=int), y[place], forecast)
            for y, place, forecast in zip(many, places, np.split(mean, ends), strict=True)]  # fmt: skip


def _misses(trials: _Trials) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        misses = np.log(trials.actual / trials.forecast)
    return np.where((trials.actual > 0) & (trials.forecast > 0), misses, np.nan)


def _by_quarter(market: pd.DataFrame, known: pd.DataFrame, calendar: Calendar) -> dict[str, pd.DataFrame]:
    """Each factor's mean by quarter, counted from the first of the history: all months, and planned ones alone.

    A quarter with fewer months than the factor's fullest is not known.
    """
    rows = market.dropna(subset=["month", "factor", "value"])
    if rows.empty or known.empty:
        return {
            factor: pd.DataFrame({"value": [], "planned": []}, dtype=float) for factor in sorted(set(rows["factor"]))
        }
    starts = quarter_starts(pd.to_datetime(rows["month"]), calendar)
    first = pd.Timestamp(known["period_start"].iloc[0])
    place = ((starts.dt.year - first.year) * 12 + starts.dt.month - first.month) // 3
    planned = rows["is_planned"].fillna(False).astype(bool)
    rows = pd.DataFrame({"factor": rows["factor"], "place": place, "value": rows["value"], "planned": planned})
    found = {}
    for factor, months in rows.groupby("factor", sort=True, observed=True):
        quarters = months.groupby("place").agg(n=("value", "size"), value=("value", "mean"), planned=("planned", "all"))
        whole = quarters[quarters["n"] == quarters["n"].max()]
        found[factor] = whole[["value"]].assign(planned=whole["value"].where(whole["planned"]))
    return found


def _features(values: pd.DataFrame, origins: np.ndarray, ahead, lag: int) -> np.ndarray:
    """How far a factor lies from its mean over the four quarters that told on the last four known bookings.

    Of what is known at the end of the quarters `origins`: later values count only where they are planned.
    """
    if not len(origins):
        return np.zeros(0)
    sources = origins + ahead - lag
    first = int(origins.min()) - lag - QUARTERS + 1
    known = values.reindex(range(first, int(max(sources.max(), origins.max())) + 1))
    value, planned = known["value"].to_numpy(float), known["planned"].to_numpy(float)
    now = np.where(sources <= origins, value[sources - first], planned[sources - first])
    return now - value[(origins - lag - first)[:, None] - np.arange(QUARTERS)].mean(axis=1)


def _tried(trials: _Trials, factors: dict[str, pd.DataFrame], lags: Sequence[int], seed: int) -> pd.DataFrame:
    """One row per factor and way of using it; as planned only where it ever was."""
    rows = []
    for factor, values in factors.items():
        for lag in (0, *sorted(set(lags) - {0})):
            features = _features(values, trials.place - 1, 1, lag)
            if lag or np.isfinite(features).any():
                rows.append({"factor": factor, "lag_quarters": lag, **_tested(trials, features, seed)})
    return pd.DataFrame(rows, columns=[name for name in _TESTED if name not in ("is_named", "n_compared")])


def _decided(table: pd.DataFrame) -> pd.DataFrame:
    """The rows with the one to use: the error fell, beyond chance."""
    table = table.assign(p_value=multiplicity.holm(table["p_value"].to_numpy(float)))
    good = table[(table["p_value"] <= ERROR_RATE) & (table["factor_gain_points"] > 0)]
    chosen = good.sort_values(["p_value", "factor_wape"], kind="stable").index[:1]
    return table.assign(is_named=table.index.isin(chosen), n_compared=int(table["p_value"].notna().sum()))[_TESTED]


def _tested(trials: _Trials, features: np.ndarray, seed: int) -> dict[str, object]:
    """What a factor would have done for the quarters tried."""
    misses = _misses(trials)
    told = np.isfinite(misses) & np.isfinite(features)
    misses, features = misses[told], features[told]
    few = len(misses) < leading.FITTED + leading.TRIED
    if few or np.ptp(features) <= 1e-9 * np.abs(features).max():
        return {"n": 0, "p_value": np.nan, "reason": _FEW if few else _NEVER}
    moves, p_value = leading.trial(misses, features, seed=seed)
    p_value = p_value if len(moves) - leading.FITTED >= TOLD else np.nan
    moves, actual, forecast = (each[leading.FITTED :] for each in (moves, trials.actual[told], trials.forecast[told]))
    missed, left = np.abs(actual - forecast), np.abs(actual - forecast * np.exp(moves))
    return {"n": len(moves), "own_past_wape": missed.sum() / actual.sum(), "factor_wape": left.sum() / actual.sum(),
            **_gain(missed - left, actual.mean()), "p_value": p_value, "reason": None}  # fmt: skip


def _gain(gains: np.ndarray, size: float) -> dict[str, float]:
    mean, error = gains.mean() / size, gains.std(ddof=1) / np.sqrt(len(gains)) / size
    reach = student.ppf(0.975, len(gains) - 1) * error
    return dict(zip(_GAIN, (mean, mean - reach, mean + reach), strict=True))


def _moves(known, market, tested, horizon, calendar) -> tuple[np.ndarray, list[str | None]]:
    """By how much the proven factor moves the log of each quarter ahead, and its name where it does."""
    named = tested[tested["is_named"].astype(bool)]
    if named.empty:
        return np.zeros(horizon), [None] * horizon
    factor, lag = named["factor"].iloc[0], int(named["lag_quarters"].iloc[0])
    values = _by_quarter(market, known, calendar)[factor]
    (trials,) = _trials([known["bookings_amount"].to_numpy(float)])
    past = _features(values, trials.place - 1, 1, lag)
    ahead = _features(values, np.full(horizon, len(known) - 1), np.arange(1, horizon + 1), lag)
    misses = _misses(trials)
    told = np.isfinite(misses) & np.isfinite(past)
    moves = leading.move(misses[told], past[told], ahead)
    return moves, [factor if np.isfinite(each) else None for each in ahead]
