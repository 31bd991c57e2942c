"""Tries again what a passing disturbance stopped, after a pause that doubles."""

from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

LONGEST = 60.0  # seconds between two tries


def pause(attempt: int) -> float:
    """Seconds to wait after a try: the same in every run, no chance in it.

    Examples
    --------
    >>> [pause(attempt) for attempt in (1, 2, 3, 10)]
    [2.0, 4.0, 8.0, 60.0]
    """
    return min(2.0**attempt, LONGEST)


def until(
    work: Callable[[int], Found],
    is_passing: Callable[[Found], bool],
    *,
    retries: int,
    sleep: Callable[[float], object],
) -> Found:
    """What work gives, tried again while that is a passing failure.

    Parameters
    ----------
    work
        Called with the number of the try, from one; always with the same everything else.
    is_passing
        Whether another try may go well.
    retries
        Tries after the first, at most.
    sleep
        Waits so many seconds.

    Examples
    --------
    >>> waited = []
    >>> until(lambda attempt: f"try {attempt}", lambda found: found != "try 3", retries=5, sleep=waited.append)
    'try 3'
    >>> waited
    [2.0, 4.0]
    >>> until(lambda attempt: attempt, lambda found: True, retries=1, sleep=waited.append)
    2
    """
    attempt = 1
    while True:
        found = work(attempt)
        if attempt > retries or not is_passing(found):
            return found
        sleep(pause(attempt))
        attempt += 1
