"""Which deals each figure is made of, and how their ids come from the notebook to the engine.

A million deals stand behind a dozen figures each, so ids are matched once for all figures of a
table, figures of one group share one list, and lists travel in a file beside the notebook: its
outputs hold keys and counts only.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from salesops import checks
from salesops.report import figures

FOLDER = "SALESOPS_DEALS"  # environment variable: where a notebook that the engine runs leaves its lists
_IDS = pa.large_string()
_NOT_OF_A_DEAL = ("model", "horizon", "category")  # keys of a figure that no deal carries
_SCHEMA = pa.schema({"figures": pa.list_(pa.string()), "ids": pa.large_list(_IDS)})

Lists = dict[str, pa.LargeStringArray]


def of(frame: pd.DataFrame, made: list[figures.Figure], deals: figures.Deals) -> Lists:
    """Which deals each figure of a frame is made of, each once and in order; a figure of none has no list.

    Parameters
    ----------
    frame
        The frame the figures came from.
    made
        Its figures.
    deals
        Rows with ``opportunity_id`` and the frame's key columns, or such rows by metric.
    """
    if deals is None:
        return {}
    found, known = {}, {}
    for one in made:
        rows = deals.get(one["metric"]) if isinstance(deals, Mapping) else deals
        if rows is None:
            continue
        wanted = _wanted(one, rows, "period" in frame.columns)
        table = (id(rows), *wanted)
        if table not in known:
            known[table] = by_group(rows, list(wanted))
        ids = known[table].get(tuple(wanted.values()))
        if ids is not None:
            found[figures.figure_key(one)] = ids
    return found


def by_group(rows: pd.DataFrame, keys: list[str]) -> dict[tuple, pa.LargeStringArray]:
    """The ids of each group of deals, each once and in order; a group is named by plain values, missing as None.

    Examples
    --------
    >>> rows = pd.DataFrame({"opportunity_id": ["d2", "d1", "d2", "d3"], "segment": ["SMB", "SMB", "SMB", None]})
    >>> {group: ids.to_pylist() for group, ids in by_group(rows, ["segment"]).items()}
    {('SMB',): ['d1', 'd2'], (None,): ['d3']}
    """
    checks.require_columns(rows, ["opportunity_id", *keys], where="deals")
    group, names = np.zeros(len(rows), dtype=np.int64), [()]
    for key in keys:
        part, values = _coded(rows[key])
        combined = np.where((group < 0) | (part < 0), -1, group * len(values) + part)
        group, first = _numbered(combined)
        names = [(*names[pair // len(values)], values[pair % len(values)]) for pair in first]
    place, ids = _ordered(rows["opportunity_id"])
    keep = (group >= 0) & (place >= 0)
    pairs = np.unique(group[keep] * len(ids) + place[keep])
    sorted_ids = ids.take(pa.array(pairs % max(len(ids), 1)))
    starts = np.searchsorted(pairs, np.arange(len(names) + 1) * len(ids))
    lists = {name: sorted_ids[starts[at] : starts[at + 1]] for at, name in enumerate(names)}
    return {name: found for name, found in lists.items() if len(found)}


def left(lists: Lists) -> dict[str, object]:
    """What a block says of its lists: how many deals each figure has, and the file that holds which.

    The file is in the folder that the environment names; in a notebook that a person runs there
    is none, and nobody asks for the ids.
    """
    said: dict[str, object] = {"deals": {key: len(ids) for key, ids in lists.items()}}
    folder = os.environ.get(FOLDER)
    if not folder or not lists:
        return said
    shared: dict[int, tuple[list[str], pa.LargeStringArray]] = {}
    for key, ids in lists.items():
        shared.setdefault(id(ids), ([], ids))[0].append(key)
    name = f"{len(os.listdir(folder)):05d}.arrow"
    keys, arrays = zip(*shared.values(), strict=True)
    offsets = pa.array(np.cumsum([0, *map(len, arrays)]), type=pa.int64())
    ids = pa.LargeListArray.from_arrays(offsets, pa.concat_arrays(arrays))
    with pa.ipc.new_file(str(Path(folder, name)), _SCHEMA) as file:
        file.write_batch(pa.record_batch([pa.array(keys, type=_SCHEMA.field(0).type), ids], schema=_SCHEMA))
    return said | {"deals_file": name}


def found(folder: Path, name: str) -> Lists:
    """The lists that a block left; figures of one group share one."""
    batch = pa.ipc.open_file(pa.BufferReader((folder / name).read_bytes())).get_batch(0)
    lists = zip(batch["figures"].to_pylist(), batch["ids"], strict=True)
    return {key: ids for keys, each in lists for ids in [each.values] for key in keys}


def listed(ids: Sequence[str]) -> pa.LargeStringArray:
    """A list of few ids."""
    return pa.array(ids, type=_IDS)


def merged(first: pa.LargeStringArray, second: pa.LargeStringArray) -> pa.LargeStringArray:
    """Both lists as one, each deal once, in the order of the first."""
    return first if first is second or first.equals(second) else pc.unique(pa.concat_arrays([first, second]))


def _wanted(one: figures.Figure, rows: pd.DataFrame, by_period: bool) -> dict[str, object]:
    """What a figure's deals have in the columns that name its group."""
    by = {name: item for name, item in one["by"].items() if name not in _NOT_OF_A_DEAL}
    return by | ({"period": one["period"]["label"]} if by_period and "period" in rows.columns else {})


def _coded(column: pd.Series) -> tuple[np.ndarray, list[object]]:
    """The number of each row's plain value, -1 where it has none, and the values; missing is a value."""
    code, distinct = pd.factorize(column)
    numbers: dict[object, int] = {}
    plain = [figures.plain(item) for item in distinct]
    number = [-1 if item is None else numbers.setdefault(item, len(numbers)) for item in plain]
    missing = numbers.setdefault(None, len(numbers))
    return np.array([*number, missing], dtype=np.int64)[code], list(numbers)


def _numbered(group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Groups numbered as they first come; those below zero stay out."""
    number, keep = np.full(len(group), -1, dtype=np.int64), group >= 0
    number[keep], first = pd.factorize(group[keep])
    return number, first


def _ordered(ids: pd.Series) -> tuple[np.ndarray, pa.LargeStringArray]:
    """The place of each row's id among the distinct ones in order, -1 where it is missing, and these."""
    code, distinct = pd.factorize(ids.astype("str"))
    text = pa.array(distinct, type=_IDS)
    order = pc.array_sort_indices(text)
    place = np.empty(len(text) + 1, dtype=np.int64)
    place[order.to_numpy()], place[-1] = np.arange(len(text)), -1
    return place[code], text.take(order)
