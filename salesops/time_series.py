"""Time series: months, quarters, weeks or years ahead, from the past of the series and nothing else."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from salesops import checks, words
from salesops.stats import conformal, members, reconciliation, seasonal, steps

LEVELS = (80, 95)
MODELS = ("combination", "ets", "theta", "arima", "seasonal_naive")
COLUMNS = ["unique_id", "ds", "predicted",
           *[f"predicted_{end}_{level}" for level in LEVELS for end in ("low", "high")]]  # fmt: skip

_ORIGINS = 4  # earlier ends from which the methods are tried out: half a horizon apart, or a quarter of a season
_FEWEST = 4  # values below which nothing is tried out
_LARGEST = np.finfo(float).max
_OWN, _OWN_LONG = 0.9, 2.0  # how strongly a method that did well on the series is favoured; the same of long seasons
_POOLED = 5.0  # how strongly one that did well on all series is
_PLAIN = np.e**2  # times the weight of methods that leave a long season in, where none shows
_WIDER = 1.06  # intervals of series without seasons: years tell of few booms and slumps, and fell that much short
_ALIKE = 20.0  # series whose trials taken together say half of what could be said of all


class _Trial(NamedTuple):
    """What the methods forecast from an earlier origin, and what came."""

    rows: np.ndarray
    past: list[np.ndarray]
    actual: np.ndarray
    found: dict[str, np.ndarray]
    spread: np.ndarray


def time_series(frame: pd.DataFrame, *, horizon: int, season_length: int, model: str = "combination") -> pd.DataFrame:
    """Forecasts of every series with intervals that its past and that of the other series earned.

    The combination is the weighted mean of exponential smoothing (forms weighted by AICc), the dynamic Theta
    model and ARIMA on logs (a small grid, weighted by AICc). The weights, near equal, follow how well each
    method did from up to four earlier origins, on the series and on all series of the frame. A series of fewer than
    two seasons (six values without one) gets the season before, or the last value and half its usual step.
    Intervals: what the errors from the earlier origins ask for, pooled over the series, wider where a model expects
    to be off by more. A season longer than 24 steps is taken out by loess first; each method is also tried as if
    there were none, and so is the last value. A series never below nothing has no forecast below it.

    Parameters
    ----------
    frame
        Long: ``unique_id``, ``ds`` (timestamp or whole number), ``y``. Missing ``y`` and gaps are bridged by straight
        lines.
    horizon
        Steps ahead.
    season_length
        Steps in a season: 12 for months, 4 for quarters, 52 for weeks, 1 for none.
    model
        ``combination``, ``ets``, ``theta``, ``arima`` or ``seasonal_naive``.

    Returns
    -------
    DataFrame
        One row per series and step, sorted: ``unique_id``, ``ds`` (continued by its step), ``predicted``,
        ``predicted_low_80``, ``predicted_high_80``, ``predicted_low_95``, ``predicted_high_95``, all in the unit
        of ``y``.

    Raises
    ------
    DataError
        A series without any value, values that are no finite numbers, two rows of one time.

    Notes
    -----
    Known bias: methods that forecast logs give the median, not the mean, so that sums over many skewed series come
    out a little low.

    References
    ----------
    Makridakis, Spiliotis & Assimakopoulos (2020), Int. J. Forecasting 36:54-74; Petropoulos & Svetunkov (2020),
    Int. J. Forecasting 36:110-115.

    Examples
    --------
    >>> past = pd.DataFrame({"unique_id": "north", "ds": pd.date_range("2024-01-01", periods=24, freq="MS"), "y": 5.0})
    >>> time_series(past, horizon=2, season_length=12)[["unique_id", "ds", "predicted"]]
      unique_id         ds  predicted
    0     north 2026-01-01        5.0
    1     north 2026-02-01        5.0
    """
    _require(horizon, season_length, model)
    names, many, times = steps.read(frame, horizon=horizon, season_length=season_length)
    if not many:
        return pd.DataFrame(columns=COLUMNS).astype({name: float for name in COLUMNS[2:]})
    sizes = np.array([_size(each) for each in many])
    scaled = [each / size for each, size in zip(many, sizes, strict=True)]
    predicted, ends, _ = _forecast(scaled, horizon, season_length, model)
    predicted, *ends = (_unscaled(each, sizes) for each in (predicted, *ends))
    table = {"unique_id": np.repeat(names, horizon), "ds": times, "predicted": predicted.ravel()}
    table |= {name: each.ravel() for name, each in zip(COLUMNS[3:], ends, strict=True)}
    return pd.DataFrame(table, columns=COLUMNS)


def basis(frame: pd.DataFrame, *, season_length: int) -> pd.DataFrame:
    """What each series is forecast from: a model, or too short for one.

    Parameters
    ----------
    frame, season_length
        As of `time_series`.

    Returns
    -------
    DataFrame
        One row per series: ``unique_id``, ``n`` (values), ``basis`` (``models``, ``season before``, ``half the usual
        step`` or ``last value``).

    Examples
    --------
    >>> past = pd.DataFrame({"unique_id": ["a"] * 9 + ["b"] * 5 + ["c"], "ds": [*range(9), *range(5), 0], "y": 1.0})
    >>> basis(past, season_length=4)
      unique_id  n          basis
    0         a  9         models
    1         b  5  season before
    2         c  1     last value
    """
    names, many, _ = steps.read(frame, horizon=1, season_length=season_length)
    n = np.array([len(each) for each in many], dtype=int)
    seasons = (n >= season_length) & (season_length > 1)
    said = np.select([~members.is_short(n, season_length), seasons, n >= 3],
                     ["models", "season before", "half the usual step"], "last value")  # fmt: skip
    return pd.DataFrame({"unique_id": names, "n": n, "basis": said})


def basis_sentence(table: pd.DataFrame) -> str:
    """How many series were too short for a model.

    Examples
    --------
    >>> basis_sentence(pd.DataFrame({"basis": ["models", "season before", "last value"]}))
    '2 of 3 series are too short for a model; they repeat the season before or carry on from the last value.'
    >>> basis_sentence(pd.DataFrame({"basis": ["models"]}))
    ''
    """
    short, n = int((table["basis"] != "models").sum()), len(table)
    if not short:
        return ""
    if n == 1:
        return "The series is too short for a model; it repeats the season before or carries on from the last value."
    subject = f"{words.count(short)} of {words.count(n)} series {'is' if short == 1 else 'are'} too short for a model"
    verbs = "it repeats the season before or carries" if short == 1 else "they repeat the season before or carry"
    return f"{subject}; {verbs} on from the last value."


def hierarchical(frame: pd.DataFrame, *, by: Sequence[str], horizon: int, season_length: int) -> pd.DataFrame:
    """Forecasts of the total, of every group and of every combination of groups, all of which add up.

    Each is forecast as of `time_series`, then all are moved as little as their past errors ask for until every
    whole is the sum of its parts (MinT with shrinkage). A time at which a combination has no row counts as nothing.

    Parameters
    ----------
    frame
        Long: the columns of `by`, ``ds``, ``y``; rows of one combination and time are summed.
    by
        Columns to group on, e.g. ``["region", "segment"]``; a missing value is a group.
    horizon, season_length
        As of `time_series`.

    Returns
    -------
    DataFrame
        One row per series and step: ``level`` (``total``, a column of `by`, or all of them joined by `` × ``), the
        columns of `by` (missing where summed over), ``ds``, ``predicted`` and the ends of its intervals, which move
        with it.

    Notes
    -----
    Known bias: intervals keep the width they had before the forecasts were made to add up, a little too wide.

    References
    ----------
    Wickramasuriya, Athanasopoulos & Hyndman (2019), J. Am. Stat. Assoc. 114:804-819.

    Examples
    --------
    >>> past = pd.DataFrame({"region": ["north", "south"] * 9, "ds": np.repeat(range(9), 2), "y": [3.0, 2.0] * 9})
    >>> hierarchical(past, by=["region"], horizon=1, season_length=4)[["level", "region", "ds", "predicted"]].round(6)
        level region  ds  predicted
    0   total    NaN   9        5.0
    1  region  north   9        3.0
    2  region  south   9        2.0
    """
    checks.require_columns(frame, [*by, "ds", "y"], where="time_series")
    _require(horizon, season_length, MODELS[0])
    bottom, wide = _wide(frame, list(by))
    labels, summing = _summing(bottom, list(by))
    sums = (summing @ wide.to_numpy().T).ravel()
    names, when = np.repeat(np.arange(len(labels)), len(wide)), np.tile(wide.index, len(labels))
    places = pd.DataFrame({"unique_id": names, "ds": when, "y": sums})
    _, many, times = steps.read(places, horizon=horizon, season_length=season_length)
    size = _size(np.abs(np.concatenate([*many, np.zeros(1)])))
    predicted, ends, errors = _forecast([each / size for each in many], horizon, season_length, MODELS[0])
    moved = _coherent(predicted, summing, errors, nonnegative=bool((wide.to_numpy() >= 0).all()))
    low = 0.0 if (wide.to_numpy() >= 0).all() else -np.inf
    ends = [np.maximum(each + moved - predicted, low) for each in ends]
    table = labels.loc[labels.index.repeat(horizon)].reset_index(drop=True).assign(ds=np.asarray(times))
    return table.assign(**{name: (each * size).ravel() for name, each in zip(COLUMNS[2:], [moved, *ends], strict=True)})


def _wide(frame: pd.DataFrame, by: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The combinations, one row each, and the sums by time with one column a combination."""
    sums = frame.groupby([*by, "ds"], dropna=False, observed=True, sort=True)["y"].sum().reset_index()
    bottom = sums[by].drop_duplicates(ignore_index=True)
    codes = sums.groupby(by, dropna=False, observed=True, sort=True).ngroup()
    wide = sums.assign(code=codes).pivot(index="ds", columns="code", values="y")
    return bottom, wide.fillna(0.0).sort_index()


def _summing(bottom: pd.DataFrame, by: list[str]) -> tuple[pd.DataFrame, np.ndarray]:
    """Which combinations are in which series, the combinations themselves last, and what each series is called."""
    groups = [[], *([name] for name in by if len(by) > 1)]
    labels, rows = [], []
    for names in groups:
        codes = bottom.groupby(names, dropna=False, sort=True).ngroup() if names else pd.Series(0, index=bottom.index)
        level = names[0] if names else "total"
        for code in range(codes.max() + 1):
            within = codes.eq(code)
            labels.append(bottom.loc[within, names].head(1).assign(level=level))
            rows.append(within.to_numpy(float))
    named = pd.concat([*labels, bottom.assign(level=" × ".join(by))], ignore_index=True)
    return named[["level", *by]], np.vstack([*rows, np.eye(len(bottom))])


def _coherent(predicted: np.ndarray, summing: np.ndarray, errors: np.ndarray, *, nonnegative: bool) -> np.ndarray:
    moved = reconciliation.reconcile(predicted, summing, errors=errors)
    return summing @ np.maximum(moved[-summing.shape[1] :], 0.0) if nonnegative else moved


def _require(horizon: int, season_length: int, model: str) -> None:
    for name, value in (("horizon", horizon), ("season_length", season_length)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise checks.ParameterError(f"time_series: {name} is {value!r}. It takes a whole number from 1 on.")
    if model not in MODELS:
        near = checks.did_you_mean(str(model), MODELS)
        raise checks.ParameterError(f"time_series: unknown model {model!r}. It takes {', '.join(MODELS)}.{near}")


def _forecast(many: Sequence[np.ndarray], horizon: int, season_length: int, model: str):
    """Forecasts ``(series, horizon)``, the ends of their intervals in the order of the columns, and past errors."""
    trials = _trials(many, horizon, season_length)
    (found, spread), *before = _described([many, *(each.past for each in trials)], horizon, season_length)
    trials = [each._replace(found=values, spread=wide) for each, (values, wide) in zip(trials, before, strict=True)]
    return _combined(many, found, spread, trials, season_length, model)


def _combined(many, found, spread, trials, season_length: int, model: str):
    used = [name for name in found if name != "seasonal_naive"] if model == "combination" else [model]
    predicted, unit, known = _mean(many, found, spread, used, _weights(trials, used, len(many)), season_length)
    past = [_earlier(each, trials, used, len(many), season_length) for each in trials]
    errors = [each.actual - values for each, (values, _, _) in zip(trials, past, strict=True)]
    learned = conformal.learn(
        np.concatenate([np.full((1, predicted.shape[1]), np.nan), *errors]),
        np.concatenate([[0.0], *(each[1] for each in past)]),
        np.concatenate([known[:1], *(each[2] for each in past)]),
    )
    floor = np.array([0.0 if each.min() >= 0 else -np.inf for each in many])[:, None]
    unit = unit * (_WIDER if season_length == 1 else 1.0)
    ends = [end for level in LEVELS for end in conformal.limits(learned, predicted, unit, known, level / 100)]
    missed = [error for error in errors if len(error) == len(many)]
    return predicted, [np.maximum(end, floor) for end in ends], np.hstack([np.zeros((len(many), 0)), *missed])


def _earlier(trial: _Trial, trials: Sequence[_Trial], used: Sequence[str], count: int, season_length: int):
    """What was forecast from an earlier origin, by weights that the other origins gave: it is to be a fair test."""
    weights = _weights([each for each in trials if each is not trial], used, count)
    return _mean(trial.past, trial.found, trial.spread, used, weights[trial.rows], season_length)


def _size(y: np.ndarray) -> float:
    """A power of two near the largest value, by which a series is divided without rounding."""
    most = np.abs(y).max()
    return float(2.0 ** max(np.frexp(most)[1] - 1, -1000)) if most > 0 else 1.0


def _unscaled(values: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.clip(values * sizes[:, None], -_LARGEST, _LARGEST)


def _mean(many, found, spread, used, weights, season_length):
    """The weighted mean of the methods, and what the width of its interval hangs on."""
    seasonless = members.is_without_season(seasonal.stack(many), season_length)
    plain = np.array([name.endswith("_plain") for name in used])
    weights = weights * np.where(seasonless[:, None] & plain, _PLAIN, 1.0)
    weights = weights / weights.sum(axis=1, keepdims=True)
    values = np.array([found[name] for name in used])
    predicted = np.einsum("nk,knh->nh", weights, values)
    others = np.array([each for name, each in found.items() if name != "seasonal_naive"])
    apart = np.abs(others - predicted).mean(axis=0)
    return predicted, *conformal.features(seasonal.stack(many), apart, season_length, spread=spread)


def _described(groups: Sequence[Sequence[np.ndarray]], horizon: int, season_length: int):
    """What each method forecasts for several groups of series, made in one go because that is faster."""
    found, spread = members.described(
        [y for group in groups for y in group], horizon=horizon, season_length=season_length
    )
    ends = np.cumsum([len(group) for group in groups])
    parts = [slice(end - len(group), end) for group, end in zip(groups, ends, strict=True)]
    return [({name: values[part] for name, values in found.items()}, spread[part]) for part in parts]


def _trials(many: Sequence[np.ndarray], horizon: int, season_length: int) -> list[_Trial]:
    """Earlier origins of every series; a series too short for them all is tried out over a third of itself."""
    n = np.array([len(each) for each in many])
    reached, trials = np.zeros(len(many), dtype=bool), []
    for place in range(_ORIGINS):
        cut = horizon + int(np.ceil(place * max(horizon / 2, season_length / 4)))
        rows = np.flatnonzero(~members.is_short(n - cut, season_length) & (n - cut >= season_length))
        reached[rows] = True
        trials.append(_trial(many, rows, np.full(len(rows), cut), horizon))
    rows = np.flatnonzero(~reached & (n >= _FEWEST))
    trials.append(_trial(many, rows, np.minimum(n[rows] // 3, horizon), horizon))
    return [each for each in trials if len(each.rows)]


def _trial(many, rows: np.ndarray, cuts: np.ndarray, horizon: int) -> _Trial:
    past = [many[row][:-cut] for row, cut in zip(rows, cuts, strict=True)]
    actual = np.full((len(rows), horizon), np.nan)
    for place, (row, cut) in enumerate(zip(rows, cuts, strict=True)):
        later = many[row][-cut:][:horizon]
        actual[place, : len(later)] = later
    return _Trial(rows, past, actual, {}, np.empty((0, horizon)))


def _weights(trials: Sequence[_Trial], used: Sequence[str], count: int) -> np.ndarray:
    """The weight of each method for each series, by its errors against the other methods'."""
    total, tried = np.zeros((count, len(used))), np.zeros(count)
    for each in trials:
        sizes = np.column_stack([np.nanmean(np.abs(each.actual - each.found[name]), axis=1) for name in used])
        mean = sizes.mean(axis=1, keepdims=True)
        ratio = (sizes + 0.01 * mean) / np.where(mean > 0, 1.01 * mean, 1.0)
        total[each.rows] += np.log(np.where(mean > 0, ratio, 1.0))
        tried[each.rows] += 1
    own = total / np.maximum(tried, 1)[:, None]
    pooled = own.sum(axis=0) / ((tried > 0).sum() + _ALIKE)
    alone = _OWN_LONG if any(name.endswith("_plain") for name in used) else _OWN
    weights = np.exp(-alone * own - _POOLED * pooled)
    return weights / weights.sum(axis=1, keepdims=True)
