"""What keeping saves: a large export taken apart anew or read as kept, and a forecast with and without its backtest.

Three ways side by side, one after the other in every round: without a cache, with an empty one, and with what the run
before kept. Prints medians of wall time, CPU time of all processes and peak memory, for

* reading the opportunities, the stage history and the activities of an export of the sample company,
* loading that export as it stood half a year before its end (``as_of``), which replays it,
* ``salesops run forecast`` on the sample, from nothing to the page.

Usage: ``python benchmarks/caches.py [--size 100000] [--rounds 3]``
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
WAYS = ("without", "cold", "warm")
READ = """
from pathlib import Path
from salesops.crm import formats
for name in ("opportunities", "stage_history", "activities"):
    formats.read_file(Path({folder!r}, name + ".csv"), name=name)
"""
REPLAY = "from salesops import crm; crm.load({folder!r}, as_of='2026-03-31')"
NOTHING = "from salesops import crm; from salesops.kept import codec, entries"


class Cost(NamedTuple):
    """What a process and those it started took: seconds, and megabytes of the largest of them."""

    wall: float
    cpu: float
    peak: float


def main() -> None:
    """Print a line a task and way."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--size", type=int, default=100_000, help="opportunities of the export")
    asked.add_argument("--rounds", type=int, default=3)
    options = asked.parse_args()
    for row in rows(options.size, options.rounds):
        print("  ".join(str(cell).rjust(wide) for cell, wide in zip(row, (30, 8, 8, 8, 8), strict=True)), flush=True)


def rows(size: int = 100_000, rounds: int = 3) -> Iterator[tuple[str, str, str, str, str]]:
    """A header, and a row of task, way, wall seconds, CPU seconds and megabytes each."""
    yield ("task", "cache", "wall s", "CPU s", "MB")
    with tempfile.TemporaryDirectory(prefix="salesops-benchmark-") as place:
        folder = f"{place}/crm"
        subprocess.run([sys.executable, "-m", "salesops", "sample", folder, "--size", str(size)], check=True, cwd=ROOT)
        forecast = ["-m", "salesops", "run", "forecast", "--force", "--out", f"{place}/out"]
        tasks = {
            "starting alone": ["-c", NOTHING],
            f"reading, {size:,} deals": ["-c", READ.format(folder=folder)],
            f"replaying, {size:,} deals": ["-c", REPLAY.format(folder=folder)],
            "salesops run forecast": forecast,
        }
        for task, words in tasks.items():
            costs = interleaved(words, Path(place), rounds)
            for way in WAYS:
                middle = Cost(*(statistics.median(column) for column in zip(*costs[way], strict=True)))
                yield task, way, f"{middle.wall:.2f}", f"{middle.cpu:.2f}", f"{middle.peak:,.0f}"


def interleaved(words: list[str], place: Path, rounds: int) -> dict[str, list[Cost]]:
    """The costs of each round and way."""
    costs: dict[str, list[Cost]] = {way: [] for way in WAYS}
    for turn in range(rounds):
        for way in WAYS:  # the cold one fills what the warm one finds
            cache = "off" if way == "without" else str(place / f"cache-{abs(hash(tuple(words)))}-{turn}")
            costs[way].append(measured(words, cache))
    return costs


def measured(words: list[str], cache: str) -> Cost:
    """Run Python with these words in a process of its own, which measures what it and its kernels took."""
    environment = os.environ | {"SALESOPS_CACHE": cache, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, *words], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    _, status, took = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    if status:
        raise SystemExit(f"{words}: ended with {status}")
    return Cost(wall, took.ru_utime + took.ru_stime, took.ru_maxrss / 1024)


if __name__ == "__main__":
    main()
