"""How long a report takes, and how much memory, as the company grows.

The sample company with ten thousand, a hundred thousand and a million opportunities is written as CSV, and
``salesops run`` makes each report of it from nothing: reading, statistics, page, lists of deals. Prints the wall
time, the CPU time of all processes, their peak memory together, and how both grow: the slope of log against log.

Memory is what all processes together hold of their own (``anonymous``), and with the pages of files they have
mapped, each counted once (``in all``): the tables handed from the engine to the kernel are such pages, which the
system takes back when it needs them. Measured on Linux, from ``/proc``.

Usage: ``python benchmarks/reports_at_scale.py [--sizes 10000 100000 1000000] [--reports funnel win_loss]``
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).parents[1]
SALESOPS = [sys.executable, "-m", "salesops"]
SIZES, REPORTS = [10_000, 100_000, 1_000_000], ["funnel", "win_loss"]
MOST_SECONDS, MOST_MEGABYTES, SLOPE = 90, 4000, 1.05  # at a million opportunities; growth
EVERY = 0.5  # seconds between two looks at the memory


class Cost(NamedTuple):
    """What a run took: seconds, and megabytes at the peak."""

    wall: float
    cpu: float
    anonymous: float
    in_all: float


def main() -> None:
    """Print a line a report and size, and the slopes."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    asked.add_argument("--reports", nargs="+", default=REPORTS)
    options = asked.parse_args()
    found: dict[str, dict[int, Cost]] = {report: {} for report in options.reports}
    for size in options.sizes:
        with tempfile.TemporaryDirectory(prefix="salesops-benchmark-") as place:
            subprocess.run([*SALESOPS, "sample", f"{place}/source", "--size", str(size)], check=True, cwd=ROOT)
            for report in options.reports:
                found[report][size] = measured(report, Path(place))
                print(line(report, size, found[report][size]), flush=True)
    for report, costs in found.items():
        if len(costs) > 1:
            print(f"{report}: slopes, must be at most {SLOPE}: {slopes(costs)}", flush=True)


def measured(report: str, place: Path) -> Cost:
    """One run of a report in processes of its own."""
    before, started = used(), time.perf_counter()
    command = [*SALESOPS, "run", report, "-p", f"source={place}/source", "--out", f"{place}/{report}"]
    process = subprocess.Popen(command, cwd=ROOT)
    peaks = np.zeros(2)
    while process.poll() is None:
        peaks = np.maximum(peaks, held(process.pid))
        time.sleep(EVERY)
    if process.returncode:
        raise SystemExit(f"{report}: failed with {process.returncode}")
    return Cost(time.perf_counter() - started, used() - before, *peaks / 1024)


def used() -> float:
    """CPU seconds of all processes that have ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def held(process: int) -> np.ndarray:
    """Kilobytes that a process and those it started hold: anonymous, and in all."""
    return sum((memory(each) for each in family(process)), np.zeros(2))


def family(process: int) -> Iterator[int]:
    """A process and all that it started, and they."""
    yield process
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            ids = children.read_text().split()
        except OSError:  # it has just ended
            continue
        for child in ids:
            yield from family(int(child))


def memory(process: int) -> np.ndarray:
    """Kilobytes of one process, shared pages by its part of them."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return np.zeros(2)
    sizes = {name: int(rest.split()[0]) for name, _, rest in (each.partition(":") for each in lines)}
    return np.array([sizes.get("Pss_Anon", 0), sizes.get("Pss", 0)], dtype=float)


def line(report: str, size: int, cost: Cost) -> str:
    """One measured run."""
    told = (
        f"{report:9s} {size:>9,} opportunities: wall {cost.wall:6.1f} s, CPU {cost.cpu:6.1f} s, "
        f"memory {cost.anonymous:5.0f} MB anonymous, {cost.in_all:5.0f} MB in all"
    )
    busy = f", load of the machine {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores"
    limits = f"; must be at most {MOST_SECONDS} s, {MOST_MEGABYTES} MB" if size == max(SIZES) else ""
    return told + busy + limits


def slopes(costs: dict[int, Cost]) -> str:
    """Growth with the number of opportunities, over all sizes and from the last but one to the last."""
    sizes = np.log(list(costs))
    parts = []
    for name in Cost._fields:
        values = np.log([getattr(cost, name) for cost in costs.values()])
        whole, last = np.polyfit(sizes, values, 1)[0], (values[-1] - values[-2]) / (sizes[-1] - sizes[-2])
        parts.append(f"{name} {whole:.2f} (last step {last:.2f})")
    return ", ".join(parts)


if __name__ == "__main__":
    main()
