"""A result taken apart into frames, which Parquet holds, and a plain description of the rest; no code is in either."""

import dataclasses
import importlib
import sys
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from salesops.kept.content import UnknownError


def apart(value: Any) -> tuple[Any, list[pd.DataFrame]]:
    """What JSON can say of a value, and the frames it holds; one that is there twice is there once.

    Parameters
    ----------
    value
        A frame, a series, an array, a number, text, a day, a record of the package, or a collection of them.

    Raises
    ------
    UnknownError
        It is something else.

    Examples
    --------
    >>> tree, frames = apart((pd.DataFrame({"n": [1]}), 0.1, date(2026, 9, 30)))
    >>> tree
    {'tuple': [{'frame': 0}, {'float': '0x1.999999999999ap-4'}, {'date': '2026-09-30'}]}
    >>> together(tree, frames)
    (   n
    0  1, 0.1, datetime.date(2026, 9, 30))
    """
    frames: list[pd.DataFrame] = []
    return _apart(value, frames, {}), frames


def together(tree: Any, frames: list[pd.DataFrame]) -> Any:
    """The value again.

    Raises
    ------
    UnknownError
        The description is not one of `apart`.
    """
    if not isinstance(tree, dict):
        return tree
    [(kind, told)] = tree.items()
    if kind == "frame":
        return frames[told]
    if kind in ("series", "array"):
        place, name = (told, None) if kind == "array" else (told[0], together(told[1], frames))
        column = frames[place].iloc[:, 0]
        return column.to_numpy() if kind == "array" else column.rename(name)
    if kind == "float":
        return float.fromhex(told)
    if kind == "date":
        return date.fromisoformat(told)
    if kind in ("tuple", "list"):
        return (tuple if kind == "tuple" else list)(together(part, frames) for part in told)
    if kind == "dict":
        return {together(key, frames): together(part, frames) for key, part in told}
    if kind == "record":
        return _class(*told[:2])(**{name: together(part, frames) for name, part in told[2].items()})
    raise UnknownError(kind)


def _apart(value: Any, frames: list[pd.DataFrame], places: dict[int, Any]) -> Any:
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return {"float": value.hex()}
    if kind is date:
        return {"date": value.isoformat()}
    if kind in (pd.DataFrame, pd.Series, np.ndarray):
        return _framed(value, frames, places)
    if kind in (tuple, list):
        return {kind.__name__: [_apart(part, frames, places) for part in value]}
    if kind is dict:
        return {"dict": [[_apart(part, frames, places) for part in pair] for pair in value.items()]}
    if kind.__module__.startswith("salesops.") and _fields(kind):
        parts = {name: _apart(getattr(value, name), frames, places) for name in _fields(kind)}
        return {"record": [kind.__module__, kind.__qualname__, parts]}
    raise UnknownError(kind.__name__)


def _framed(value: Any, frames: list[pd.DataFrame], places: dict[int, Any]) -> Any:
    if id(value) in places:
        return places[id(value)]
    place = len(frames)
    if isinstance(value, pd.DataFrame):
        frames.append(value)
        told = {"frame": place}
    elif isinstance(value, pd.Series):
        frames.append(value.to_frame("value"))
        told = {"series": [place, _apart(value.name, frames, places)]}
    elif value.ndim == 1:
        frames.append(pd.DataFrame({"value": value}))
        told = {"array": place}
    else:
        raise UnknownError(f"array of {value.ndim} dimensions")
    places[id(value)] = told
    return told


def _fields(kind: type) -> list[str]:
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind)]
    return list(getattr(kind, "_fields", ()))


def _class(module: str, name: str) -> type:
    if not module.startswith("salesops."):
        raise UnknownError(module)
    found = getattr(sys.modules.get(module) or importlib.import_module(module), name, None)
    if not isinstance(found, type) or not _fields(found):
        raise UnknownError(name)
    return found
