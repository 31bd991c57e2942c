"""What was made of an object is kept in memory for as long as the object lives and is as it was."""

import functools
import weakref
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import pandas as pd

from salesops.kept.content import fingerprint


def once(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function of an object, worked out at its first call with it; the same object gives the same result.

    A frame that was changed in place meanwhile is another: its content is compared. Other objects are the package's
    own, which nobody changes; nor may anybody change the result, nor the result hold on to the object: what is kept
    goes with it.

    Parameters
    ----------
    function
        Takes an object that can be referred to weakly, such as a frame, and perhaps more of them, names and numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> @once
    ... def total(frame):
    ...     print("worked out")
    ...     return int(frame["n"].sum())
    >>> some, others = pd.DataFrame({"n": [1, 2]}), pd.DataFrame({"n": [1, 2]})
    >>> total(some), total(some), total(others)
    worked out
    worked out
    (3, 3, 3)
    >>> some.loc[0, "n"] = 10
    >>> total(some)
    worked out
    12
    """
    made: dict[int, tuple[weakref.ref, dict[Any, tuple[list[weakref.ref], bytes, Any]]]] = {}

    @functools.wraps(function)
    def of(given: Any, *others: Any, **named: Any) -> Any:
        at, told = id(given), [given, *others, *(named[name] for name in sorted(named))]
        asked = tuple(map(_named, others)), tuple((name, _named(other)) for name, other in sorted(named.items()))
        content = fingerprint([each for each in told if isinstance(each, (pd.DataFrame, pd.Series, np.ndarray))])
        if at not in made:
            made[at] = weakref.ref(given, lambda _: made.pop(at, None)), {}
        found = made[at][1]
        # The number of an object that is gone may be that of a new one.
        if asked not in found or found[asked][1] != content or not all(each() is not None for each in found[asked][0]):
            objects = [weakref.ref(each) for each in told[1:] if not isinstance(each, Hashable)]
            found[asked] = objects, content, function(given, *others, **named)
        return found[asked][2]

    return of


def _named(each: Any) -> Any:
    """What tells an argument from others: its value, or where it cannot be hashed which object it is."""
    return each if isinstance(each, Hashable) else ("object", id(each))
