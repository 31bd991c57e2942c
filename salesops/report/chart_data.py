"""What a picture draws, as plain numbers: for whoever draws it again, such as an editable chart of a slide."""

from collections.abc import Mapping

import pandas as pd

from salesops import words
from salesops.report import figures

MAX_BARS, MAX_POINTS, MAX_SERIES = 40, 400, 4  # of a picture with names, over time or numbers, and of series
MAX_PANELS = 12  # of series over time that are too many for one chart
_TIMES = (
    "period",
    "month",
    "week",
    "day",
    "evening",
    "cohort",
    "months",
    "weeks",
    "days",
    "horizon",
)  # keys that follow each other

Data = dict[str, object]


def of(frame: pd.DataFrame, units: Mapping[str, str], names: Mapping[str, str] | None = None) -> Data:
    """The numbers of a picture: its labels, and each series with its limits, in full precision.

    Parameters
    ----------
    frame
        The frame that was drawn.
    units
        Unit of each column drawn, the one the finding is about first.
    names
        What a column is called, where its own name does not say it.

    Returns
    -------
    dict
        ``unit``, ``is_time`` (labels follow each other), ``labels``, ``series`` with ``name``, ``values``, ``low`` and
        ``high`` (None where missing), and ``rows_left_out``.

    Examples
    --------
    >>> rates = pd.DataFrame({"segment": ["SMB", None], "win_rate": [0.25, None], "win_rate_low": [0.1, None]})
    >>> found = of(rates, {"win_rate": "rate"})
    >>> found["labels"], found["series"][0]["name"], found["series"][0]["values"], found["series"][0]["low"]
    (['SMB', '(none)'], 'Win rate', [0.25, None], [0.1, None])
    """
    drawn = [name for name in units if name in frame.columns]
    unit = units[drawn[0]]
    columns = [name for name in drawn if units[name] == unit and not _is_limit(name, drawn)]
    keys = _keys(frame, drawn)
    is_time = bool(keys) and (keys[0] in _TIMES or _is_dates(frame[keys[0]]))
    kept = frame.head(MAX_POINTS if is_time else MAX_BARS)
    most = MAX_PANELS if is_time else MAX_SERIES
    labels, series = _split(kept, columns, keys, most) or _joined(kept, columns, keys)
    told = [{**each, "name": (names or {}).get(each["name"], each["name"])} for each in series]
    for each in told:
        each["name"] = words.label(each["name"]) if each["name"] in columns else each["name"]
    return {
        "unit": unit,
        "is_time": is_time,
        "labels": labels,
        "series": told,
        "rows_left_out": len(frame) - len(kept),
    }


def _keys(frame: pd.DataFrame, drawn: list[str]) -> list[str]:
    """What tells the rows apart, time first."""
    named = ["period"] if "period" in frame.columns else []
    named += [name for name in figures.columns(frame).keys if name not in drawn]
    varied = [name for name in named if frame[name].nunique(dropna=False) > 1]
    found = [name for name in varied if not pd.api.types.is_bool_dtype(frame[name])] or named[:1]
    ordered = sorted(found, key=lambda name: name not in _TIMES)
    enough = (ordered[:count] for count in range(1, len(ordered)) if not frame.duplicated(ordered[:count]).any())
    return next(enough, ordered)


def _split(frame: pd.DataFrame, columns: list[str], keys: list[str], most: int) -> tuple[list[str], list[Data]] | None:
    """Series of one column by a second key with few values; None where the rows are not such."""
    if len(columns) != 1 or len(keys) != 2 or frame.duplicated(keys).any():
        return None
    place, part = keys if frame[keys[1]].nunique(dropna=False) <= most else keys[::-1]
    if frame[part].nunique(dropna=False) > (most if place == keys[0] else MAX_SERIES):
        return None
    at = frame[place].map(lambda item: _named(item, place))
    labels = list(dict.fromkeys(at))
    series = []
    for name in frame[part].drop_duplicates():
        own = frame[frame[part].isna() if words.is_missing(name) else frame[part] == name]
        lined = own.set_index(at[own.index]).reindex(labels)
        series.append(_series(lined, columns[0], words.group(name, part)))
    return labels, series


def _joined(frame: pd.DataFrame, columns: list[str], keys: list[str]) -> tuple[list[str], list[Data]]:
    rows = frame.to_dict("records")
    labels = [", ".join(_named(row[key], key) for key in keys) for row in rows]
    if not keys:
        labels = [words.count(number) for number in range(1, len(rows) + 1)]
    return labels, [_series(frame, name, name) for name in columns[:MAX_SERIES]]


def _series(frame: pd.DataFrame, column: str, name: str) -> Data:
    def numbers(of: str) -> list[object]:
        return [figures.plain(item) for item in frame[of]] if of in frame.columns else [None] * len(frame)

    return {"name": name, "values": numbers(column), "low": numbers(f"{column}_low"), "high": numbers(f"{column}_high")}


def _named(item: object, key: str) -> str:
    """A group's name; a length of time says that it is one."""
    is_length = key.endswith("_days") and not words.is_missing(item) and not isinstance(item, str)
    return words.value(item, "days") if is_length else words.group(item, key)


def _is_dates(column: pd.Series) -> bool:
    told = column.dropna().map(words.group)
    return len(told) > 0 and bool(told.str.fullmatch(r"\d{4}-\d\d-\d\d").all())


def _is_limit(name: str, drawn: list[str]) -> bool:
    stem = name.removesuffix("_low").removesuffix("_high")
    return stem != name and stem in drawn
