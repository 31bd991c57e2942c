"""Long frames of series: their values at even steps, and the times that carry them on."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from salesops import checks

_MONTHS = ((27.5, 31.5, 1), (58.5, 62.5, 2), (88.5, 93.0, 3), (180.0, 185.0, 6), (364.5, 366.5, 12))  # days and months
_ASSUMED = {1: 12, 4: 3, 12: 1}  # months in a step where no series has two times
_LONGEST_GAP = 10  # times as many steps as values: such times are counted on, not bridged


class _Clock(NamedTuple):
    """How times become whole numbers: by months, or by a fixed step."""

    months: int  # in a step; 0 for a fixed step
    step: int
    month_ends: bool


def read(frame: pd.DataFrame, *, horizon: int, season_length: int):
    """The series of a long frame at even steps, and the times ahead of each.

    Parameters
    ----------
    frame
        ``unique_id``, ``ds`` (timestamp or whole number), ``y``; in any order.
    horizon
        Steps ahead.
    season_length
        Steps in a season; says what a step is where every series has one value.

    Returns
    -------
    tuple
        Names sorted, values of each series without gaps, and the times ahead, `horizon` a series.

    Raises
    ------
    DataError
        Columns missing, values that are no finite numbers, times that cannot be read or that repeat, a series
        without a value.

    Examples
    --------
    >>> frame = pd.DataFrame({"unique_id": "a", "ds": [1, 2, 4], "y": [1.0, 2.0, 4.0]})
    >>> names, many, times = read(frame, horizon=2, season_length=1)
    >>> many[0].tolist(), times.tolist()
    ([1.0, 2.0, 3.0, 4.0], [5, 6])
    """
    checks.require_columns(frame, ["unique_id", "ds", "y"], where="time_series")
    known = pd.DataFrame({"unique_id": frame["unique_id"], "ds": _times(frame["ds"]), "y": _values(frame)})
    codes, names = pd.factorize(known["unique_id"], sort=True, use_na_sentinel=False)
    known = known.assign(code=codes).sort_values(["code", "ds"], kind="stable")
    _refuse(known)
    known = known[known["y"].notna()]
    empty = sorted(set(range(len(names))) - set(known["code"]))
    if empty:
        said = checks.examples(names[empty])
        raise checks.DataError(f"time_series: {len(empty)} series without a value ({said}). Leave them out.")
    clock = _clock(known, season_length)
    position = _positions(known["ds"], clock)
    groups = known.groupby("code", sort=True).indices.values() if len(known) else []
    y, at = known["y"].to_numpy(float), position.to_numpy()
    many = [_even(at[rows], y[rows]) for rows in groups]
    last = known.groupby("code", sort=True)["ds"].last()
    return np.asarray(names), many, _zoned(_ahead(last, clock, horizon), frame["ds"])


def _values(frame: pd.DataFrame) -> pd.Series:
    y = pd.to_numeric(frame["y"], errors="coerce").astype(float)
    wrong = (y.isna() & frame["y"].notna()) | np.isinf(y)
    if wrong.any():
        raise checks.DataError(
            f"time_series: {wrong.sum()} values of y are no finite numbers ({checks.examples(frame.loc[wrong, 'y'])}). "
            "Correct them or leave them empty."
        )
    return y


def _times(ds: pd.Series) -> pd.Series:
    """Timestamps or whole numbers, whatever they were written as."""
    if pd.api.types.is_datetime64_any_dtype(ds):
        return _told(ds.dt.tz_localize(None), ds)
    numbers = pd.to_numeric(ds, errors="coerce")
    if numbers.notna().all() and (numbers % 1 == 0).all():
        return numbers.astype("int64")
    if pd.api.types.is_numeric_dtype(ds):
        return _told(numbers.where(numbers % 1 == 0), ds)
    return _told(pd.to_datetime(ds, errors="coerce", format="ISO8601"), ds)


def _told(times: pd.Series, ds: pd.Series) -> pd.Series:
    if times.isna().any():
        raise checks.DataError(
            f"time_series: {times.isna().sum()} values of ds are neither a time nor a whole number "
            f"({checks.examples(ds[times.isna()])}). Write them as dates or count the steps."
        )
    return times


def _refuse(known: pd.DataFrame) -> None:
    twice = known.duplicated(["code", "ds"])
    if twice.any():
        rows = known[twice]
        said = checks.examples(f"{name} {at}" for name, at in zip(rows["unique_id"], rows["ds"], strict=True))
        raise checks.DataError(
            f"time_series: {twice.sum()} rows repeat a time of their series ({said}). Keep one row per series and time."
        )


def _clock(known: pd.DataFrame, season_length: int) -> _Clock:
    """The step most common between neighbours: months where the times keep to days of the month, else a fixed one."""
    gaps = known.groupby("code")["ds"].diff().dropna()
    if known["ds"].dtype.kind != "M":
        return _Clock(0, int(gaps.mode().iloc[0]) if len(gaps) else 1, False)
    one = pd.Timedelta(1, known["ds"].dt.unit)
    days = known["ds"].dt.day
    ends = bool(len(known)) and bool(known["ds"].dt.is_month_end.all())
    if gaps.empty:
        return _Clock(_ASSUMED.get(season_length, 0), int(pd.Timedelta(days=7) / one), ends)
    usual = gaps.median() / pd.Timedelta(days=1)
    months = next((count for low, high, count in _MONTHS if low <= usual <= high), 0)
    if months and (ends or days.nunique() == 1 or days.min() >= 28):
        return _Clock(months, 0, ends)
    return _Clock(0, int(gaps.mode().iloc[0] / one), False)


def _months(ds: pd.Series) -> pd.Series:
    return ds.dt.year * 12 + ds.dt.month


def _positions(ds: pd.Series, clock: _Clock) -> pd.Series:
    if clock.months:
        return _months(ds) / clock.months
    numbers = ds.astype("int64") if ds.dtype.kind == "M" else ds
    return numbers / clock.step


def _even(at: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Values at every whole step from the first to the last; as they come where the times are not on even steps."""
    place = np.round(at - at[0])
    length = int(place[-1]) + 1
    is_even = np.abs(at - at[0] - place).max() < 0.2 and np.diff(place).min(initial=1) >= 1
    if length == len(y) or not is_even or length > _LONGEST_GAP * len(y):
        return y
    return np.interp(np.arange(length), place, y)


def _zoned(times, ds: pd.Series):
    zone = getattr(ds.dtype, "tz", None)
    return times if zone is None else times.dt.tz_localize(zone, ambiguous=False, nonexistent="shift_forward")


def _ahead(last: pd.Series, clock: _Clock, horizon: int):
    """Times after the last of each series."""
    steps = np.tile(np.arange(1, horizon + 1), len(last))
    base = last.repeat(horizon).reset_index(drop=True)
    if not clock.months:
        if last.dtype.kind == "M":
            return base + pd.to_timedelta(steps * clock.step, unit=last.dt.unit)
        return (base + steps * clock.step).to_numpy()
    count = _months(base) - 1 + steps * clock.months
    first = pd.to_datetime(pd.DataFrame({"year": count // 12, "month": count % 12 + 1, "day": 1}))
    day = first.dt.days_in_month if clock.month_ends else np.minimum(first.dt.days_in_month, base.dt.day)
    return first + pd.to_timedelta(day - 1, unit="D") + (base - base.dt.normalize())
