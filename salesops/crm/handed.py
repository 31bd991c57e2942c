"""A company handed from the process that loaded it to those that report on it, which read nothing again.

The tables lie in a file that each process maps into its memory: what it does not use it does not
load, what several use is there once, and what one changes the others do not see.
"""

import hashlib
import io
import mmap
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from salesops.crm.company import Company

FOLDER = "SALESOPS_LOADED"  # environment variable: the folder, private to one run, where companies lie
_EDGE = 64  # bytes; Arrow wants its buffers to begin at a multiple


def leave(company: Company, arguments: Mapping[str, Any], folder: Path) -> Company:
    """Put a company where `found` finds it by the arguments it was loaded with; it is returned as found there."""
    parts, end = {}, 0
    with (folder / f"{name(arguments)}.tables").open("wb") as file:
        for field, value in vars(company).items():  # one at a time: what is copied on the way is small
            content, buffers, extents = io.BytesIO(), [], []
            _Pickler(content, protocol=5, buffer_callback=buffers.append).dump(value)
            for buffer in buffers:
                start = end + file.write(b"\0" * (-end % _EDGE))
                end = start + file.write(buffer.raw())
                extents.append((start, end))
            parts[field] = (content.getvalue(), extents)
        file.write(b"\0")  # an empty file cannot be mapped
    (folder / f"{name(arguments)}.pickle").write_bytes(pickle.dumps(parts))
    return _mapped(folder, name(arguments))


def found(arguments: Mapping[str, Any]) -> Company | None:
    """The company that was left for these arguments of `crm.load`, where one was."""
    folder = os.environ.get(FOLDER)
    if not folder or not Path(folder, f"{name(arguments)}.pickle").is_file():
        return None
    return _mapped(Path(folder), name(arguments))


class _Pickler(pickle.Pickler):
    """Leaves arrays of moments beside the pickle too, which numpy would write into it, and copies no text for it."""

    def reducer_override(self, item: Any) -> Any:
        if isinstance(item, np.ndarray) and item.dtype.kind in "mM":
            return _moments, (item.view(np.int64), item.dtype.str)
        if isinstance(item, pd.arrays.ArrowStringArray) and _is_whole(pa.array(item)):
            return _texts, (pa.array(item), item.dtype)
        return NotImplemented


def _moments(numbers: np.ndarray, dtype: str) -> np.ndarray:
    return numbers.view(dtype)


def _is_whole(texts: pa.Array | pa.ChunkedArray) -> bool:
    """Whether texts lie in one piece that holds nothing else: Arrow writes all of what a piece was cut from."""
    return isinstance(texts, pa.Array) and texts.get_total_buffer_size() < texts.nbytes + 3 * _EDGE


def _texts(texts: pa.LargeStringArray, dtype: pd.StringDtype) -> pd.arrays.ArrowStringArray:
    return pd.arrays.ArrowStringArray(texts, dtype=dtype)


def name(arguments: Mapping[str, Any]) -> str:
    """What a company's files are called."""
    # A path and its text, and a day and its text, ask for the same.
    asked = {
        key: value if isinstance(value, (int, float, type(None))) else str(value) for key, value in arguments.items()
    }
    return hashlib.sha256(repr(sorted(asked.items())).encode()).hexdigest()[:32]


def _mapped(folder: Path, called: str) -> Company:
    parts = pickle.loads((folder / f"{called}.pickle").read_bytes())
    with (folder / f"{called}.tables").open("rb") as file:
        space = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    return Company(**{
        field: pickle.loads(content, buffers=[space[start:end] for start, end in extents])
        for field, (content, extents) in parts.items()
    })  # fmt: skip
