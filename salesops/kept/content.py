"""What a value is, hashed: two values with one hash are the same to the bit, and so is what is computed of them."""

import dataclasses
import functools
import hashlib
import inspect
import struct
from collections.abc import Callable, Iterable
from datetime import date, time, timedelta
from pathlib import PurePath
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc


class UnknownError(Exception):
    """A value is of a kind that nobody can tell by its content."""


def digest(value: Any) -> str:
    """A hash of a value's content: of a frame its values, missing ones, dtypes, index, names and attributes.

    A function of the package is its name and what it holds on to; its code is not part of the content.

    Parameters
    ----------
    value
        Numbers, text, days, arrays, frames, the package's own records and functions, and collections of them.

    Raises
    ------
    UnknownError
        It is something else.

    Examples
    --------
    >>> one, other = pd.DataFrame({"n": [1, 2]}), pd.DataFrame({"n": [1.0, 2.0]})
    >>> digest(one) == digest(one.copy()), digest(one) == digest(other), digest(one) == digest(one.iloc[::-1])
    (True, False, False)
    >>> digest([1, None]) == digest((1, None)), digest(-0.0) == digest(0.0)
    (False, False)
    >>> digest(lambda: 1)
    Traceback (most recent call last):
        ...
    salesops.kept.content.UnknownError: function
    """
    return _Reader(_hash).read(value).hex()


def fingerprint(value: Any) -> bytes:
    """What tells a value's content from another within this process, several times as quick as `digest`.

    Parameters
    ----------
    value
        As for `digest`.

    Examples
    --------
    >>> one, other = pd.DataFrame({"n": [1, 2]}), pd.DataFrame({"n": [1.0, 2.0]})
    >>> fingerprint(one) == fingerprint(one.copy()), fingerprint(one) == fingerprint(other)
    (True, False)
    """
    return _Reader(_keyed).read(value)


class _Reader:
    """Reads values of which some are there several times; each of these is read once."""

    def __init__(self, hashed: Callable[..., bytes]) -> None:
        self.hashed = hashed
        self.known: dict[int, tuple[Any, bytes]] = {}

    def read(self, value: Any) -> bytes:
        if not isinstance(value, (pd.DataFrame, pd.Series, np.ndarray)) and not dataclasses.is_dataclass(value):
            return self._read(value)
        if id(value) not in self.known:  # held on to, so that no other object gets its id
            self.known[id(value)] = value, self._read(value)
        return self.known[id(value)][1]

    def _read(self, value: Any) -> bytes:
        kind = type(value)
        name = f"{kind.__module__}.{kind.__qualname__}"
        if value is None or kind in (bool, int, str):
            return self.hashed(name, repr(value))
        if kind is float:
            return self.hashed(name, struct.pack("<d", value))
        if isinstance(value, (date, time, timedelta)):  # moments of pandas are among them
            return self.hashed(name, repr(value), getattr(value, "unit", ""))
        if isinstance(value, (pd.DataFrame, pd.Series, pd.Index)):
            return self.hashed(name, *self._frame(value))
        if isinstance(value, (np.ndarray, pd.api.extensions.ExtensionArray)):
            return self.hashed(name, *self._array(value))
        if isinstance(value, np.generic):
            return self.hashed(name, value.dtype.str, value.tobytes())
        if value is pd.NA or value is pd.NaT:
            return self.hashed(name)
        return self.hashed(name, *self._parts(value, kind))

    def _parts(self, value: Any, kind: type) -> Iterable[bytes | str]:
        if dataclasses.is_dataclass(kind):
            return [self.read(getattr(value, field.name)) for field in dataclasses.fields(value)]
        if kind is dict:  # in their order, which an answer may follow
            return [self.read(part) for pair in value.items() for part in pair]
        if isinstance(value, (list, tuple)) and (kind in (list, tuple) or hasattr(kind, "_fields")):
            return [self.read(part) for part in value]
        if kind in (set, frozenset):
            return sorted(self.read(part) for part in value)
        if kind is functools.partial:
            return [self.read(part) for part in (value.func, value.args, value.keywords)]
        if isinstance(value, PurePath) or kind is bytes:
            return [str(value)]
        if inspect.isfunction(inspect.unwrap(value)):
            return self._function(inspect.unwrap(value))
        raise UnknownError(kind.__name__)

    def _function(self, value: Any) -> list[bytes | str]:
        if not value.__module__.startswith("salesops.") or "<lambda>" in value.__qualname__:
            raise UnknownError(type(value).__name__)
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        return [value.__module__, value.__qualname__, *map(self.read, cells)]

    def _frame(self, value: pd.DataFrame | pd.Series | pd.Index) -> Iterable[bytes | str]:
        if isinstance(value, pd.DataFrame):
            columns = [self.read(value.iloc[:, place].array) for place in range(value.shape[1])]
            return [self.read(value.columns), self.read(value.index), self.read(value.attrs), *columns]
        if isinstance(value, pd.Series):
            return [self.read(part) for part in (value.name, value.index, value.attrs, value.array)]
        if isinstance(value, pd.RangeIndex):
            return [self.read(part) for part in (value.name, value.start, value.stop, value.step)]
        if isinstance(value, pd.MultiIndex):
            return [
                self.read(list(value.names)),
                *(self.read(value.get_level_values(at)) for at in range(value.nlevels)),
            ]
        return [self.read(value.name), repr(getattr(value, "freq", None)), self.read(value.array)]

    def _array(self, value: Any) -> Iterable[bytes | str]:
        if isinstance(value, pd.arrays.NumpyExtensionArray):
            value = value.to_numpy()
        dtype = value.dtype
        if isinstance(dtype, pd.CategoricalDtype):
            codes = np.ascontiguousarray(value.codes)
            return [str(dtype.ordered), self.read(dtype.categories), codes.dtype.str, codes.data]
        if isinstance(dtype, pd.StringDtype):
            return [repr(dtype), *_texts(pa.array(value, type=pa.large_string()))]
        if hasattr(dtype, "numpy_dtype") and hasattr(value, "isna"):
            plain = value.to_numpy(dtype=dtype.numpy_dtype, na_value=dtype.numpy_dtype.type(0))
            return [str(dtype), np.ascontiguousarray(plain).data, np.ascontiguousarray(value.isna()).data]
        if isinstance(value, np.ndarray) and dtype.kind in "biufcmM":
            return [dtype.str, repr(value.shape), np.ascontiguousarray(value).reshape(-1).view(np.uint8).data]
        if isinstance(value, np.ndarray) and dtype.kind == "O":
            return [repr(value.shape), *map(self.read, value.ravel().tolist())]
        if hasattr(value, "asi8"):  # moments in a time zone, spans
            return [str(dtype), repr(getattr(value, "freq", None)), np.ascontiguousarray(value.asi8).data]
        raise UnknownError(str(dtype))


def _texts(values: pa.Array | pa.ChunkedArray) -> Iterable[bytes]:
    """Lengths, a missing text's being below zero, and the letters one after the other."""
    whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    yield np.ascontiguousarray(pc.fill_null(pc.binary_length(whole), -1).to_numpy(zero_copy_only=False)).data
    starts = np.frombuffer(whole.buffers()[1], dtype=np.int64)[whole.offset : whole.offset + len(whole) + 1]
    if len(whole) and starts[-1] > starts[0]:
        yield memoryview(whole.buffers()[2])[starts[0] : starts[-1]]


def _hash(kind: str, *parts: bytes | str) -> bytes:
    """Of the kind and of the parts one by one, so that none runs into the next."""
    found = hashlib.blake2b(kind.encode(), digest_size=20)
    for part in parts:
        plain = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        found.update(struct.pack("<q", memoryview(plain).nbytes))
        found.update(plain)
    return found.digest()


def _keyed(kind: str, *parts: bytes | str) -> bytes:
    """By Python's own hash, which is keyed and takes bytes only."""
    plain = (part if isinstance(part, str) else memoryview(part).tobytes() for part in parts)
    return struct.pack("<q", hash((kind, *map(hash, plain))))
