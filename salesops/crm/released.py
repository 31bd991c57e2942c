"""Memory that was let go, given back to the system: a process that goes on should not keep what a load needed."""

import ctypes
from contextlib import suppress

import pyarrow as pa


def give_back() -> None:
    """Give back what Arrow and the C library keep for later."""
    pa.default_memory_pool().release_unused()
    with suppress(OSError, AttributeError):  # only glibc keeps it, and has this to give it back
        ctypes.CDLL(None).malloc_trim(0)
