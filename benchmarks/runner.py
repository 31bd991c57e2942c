"""The loop that people run today against `salesops run`, over the same notebooks with the same parameters.

The loop starts two processes a notebook, one after the other: ``papermill X.ipynb out.ipynb -p …`` and ``jupyter
nbconvert --to html out.ipynb``. Against it stand `salesops run`, and where the command line has them ``--cold`` (each
kernel started by itself) and ``--no-cache`` (nothing kept from an earlier run, as the loop keeps nothing). Every run is
of processes of its own into an empty folder; the ways take turns; medians of the rounds. Wall time, CPU time of all
processes, and the most memory they held together, shared pages counted once (from ``/proc``: Linux).

What a further report costs beside its own cells is read from the log of a fan-out of one report at a time, the first
left out: from its beginning to its publication, less what its cells took.

Usage: ``python benchmarks/runner.py [--quick] [--rounds 3] [--rows pack four parts further]``; quick is one round of
two reports and eight parts.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import yaml
from reports_at_scale import held, used

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
SALESOPS = [sys.executable, "-m", "salesops"]
FOUR = ["win_loss", "funnel", "forecast", "rep_performance"]
LIGHT = ["waterfall", "win_loss"]
PERIOD = "last_quarter"
PEOPLE = 20  # of the sample's people each has a report of two notebooks: forty runs
# What must be reached and what is aimed at: ratios to the loop, and seconds.
MUST = {"pack": (4.0, 5.0), "four": (None, None), "parts": (7.0, 8.5), "--cold": (2.5, 2.9)}
FURTHER, PACK_SECONDS = (0.5, 0.3), (60.0, 25.0)


class Cost(NamedTuple):
    """What a way took: seconds of wall and CPU, megabytes at the peak."""

    wall: float
    cpu: float
    memory: float


def main() -> None:
    """Print the tables."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--quick", action="store_true")
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--rows", nargs="+", choices=tuple(ROWS), default=list(ROWS))
    options = asked.parse_args()
    rounds = 1 if options.quick else options.rounds
    print("| what | way | wall s | CPU s | peak MB | times the loop | must | aim | met |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in options.rows:
        for line in ROWS[name](rounds, options.quick):
            print(line, flush=True)


def pack(rounds: int, quick: bool) -> list[str]:
    """The quarterly pack on the sample."""
    names = yaml.safe_load((ROOT / "parameters" / "quarterly.yaml").read_text(encoding="utf-8"))["reports"]
    names = names[:2] if quick else names
    costs = in_turn(rounds, {"loop": lambda place: loop([(name, {}) for name in names], place)} | ways(names))
    told = compared("pack", f"{len(names)} reports of the sample", costs)
    best = costs["salesops run"].wall
    must, aim = PACK_SECONDS
    return [*told, row("the sample's pack, wall time", "salesops run", costs["salesops run"], None,
                       f"≤ {must:.0f} s", f"≤ {aim:.0f} s", None if quick else best <= must)]  # fmt: skip


def four(rounds: int, quick: bool) -> list[str]:
    """Four reports."""
    names = FOUR[:2] if quick else FOUR
    costs = in_turn(rounds, {"loop": lambda place: loop([(name, {}) for name in names], place)} | ways(names))
    return compared("four", f"{len(names)} reports", costs)


def parts(rounds: int, quick: bool) -> list[str]:
    """Two notebooks for each of twenty people."""
    wanted = people(4 if quick else PEOPLE)
    filters = [{"where": f"(opportunity_type != 'renewal') and owner_id == '{each}'"} for each in wanted]
    work = [(name, each) for name in LIGHT for each in filters]
    chosen = ways(LIGHT, "--for-each", f"owner_id={','.join(wanted)}")
    costs = in_turn(rounds, {"loop": lambda place: loop(work, place)} | chosen)
    return compared("parts", f"{len(work)} runs by fan-out", costs)


def further(rounds: int, quick: bool) -> list[str]:
    """What one report more costs beside its own cells, one at a time."""
    wanted = people(4 if quick else 12)
    beside: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, options in variants().items():
            beside.setdefault(name, []).extend(batch(wanted, options))
    must, aim = FURTHER
    return [
        f"| a further report beside its own cells | {name} | {median(each):.2f} | | | | ≤ {must} s | ≤ {aim} s | "
        f"{met(median(each) <= must) if '--cold' not in name else ''} |"
        for name, each in beside.items()
    ]


def batch(wanted: Sequence[str], options: Sequence[str]) -> list[float]:
    """Seconds beside its cells of each report of a fan-out but the first, one at a time."""
    with tempfile.TemporaryDirectory(prefix="salesops-benchmark-") as place:
        told = ["--for-each", f"owner_id={','.join(wanted)}", "--jobs", "1", "--out", place]
        checked([*SALESOPS, "run", LIGHT[0], "-p", f"period={PERIOD}", *told, *options])
        lines = [line for path in Path(place, "log").glob("*.jsonl") for line in path.read_text().splitlines()]
        return [beside_cells(Path(place), entry) for entry in map(json.loads, lines)][1:]


def beside_cells(place: Path, entry: dict) -> float:
    """What a report took by the log, less its cells."""
    record = place / entry["folder"] / entry["as_of"] / f"{entry['report']}.run.json"
    return entry["seconds"] - sum(filter(None, json.loads(record.read_text(encoding="utf-8"))["cell_seconds"]))


def people(n: int) -> list[str]:
    """Ids of so many people who sell and have not left."""
    from salesops import crm

    company = crm.load("sample")
    sellers = company.reps[company.reps["owner_id"].isin(company.holders()) & company.reps["left_date"].isna()]
    return sorted(sellers["owner_id"].unique())[:n]


def variants() -> dict[str, list[str]]:
    """The ways of the command line that are there, by name, each without what earlier runs kept."""
    told = subprocess.run([*SALESOPS, "run", "--help"], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    plain = ["--no-cache"] if "--no-cache" in told else []
    cold = {"salesops run --cold": ["--cold", *plain]} if "--cold" in told else {}
    return {"salesops run": plain} | cold


def ways(names: Sequence[str], *more: str) -> dict[str, Callable[[Path], None]]:
    """Each of the `variants` as what makes some reports in a folder."""
    asked = [*SALESOPS, "run", *names, "-p", f"period={PERIOD}", *more]

    def way(options: list[str]) -> Callable[[Path], None]:
        return lambda place: checked([*asked, "--out", str(place), *options])

    return {name: way(options) for name, options in variants().items()}


def loop(work: Sequence[tuple[str, dict[str, str]]], place: Path) -> None:
    """What people do today: two processes a notebook."""
    for number, (name, values) in enumerate(work):
        made = place / f"{name}-{number}.ipynb"
        given = [word for key, value in values.items() for word in ("-r", key, value)]
        asked = [BIN / "papermill", ROOT / "notebooks" / f"{name}.ipynb", made, "-p", "period", PERIOD, *given]
        checked([*asked, "--no-progress-bar", "--log-level", "ERROR"])
        checked([BIN / "jupyter", "nbconvert", "--to", "html", "--log-level", "ERROR", made])


def checked(command: Sequence[object]) -> None:
    """Run a command from the repository; one that fails ends the benchmark with its words."""
    done = subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: failed with {done.returncode}\n{done.stderr[-2000:]}")


def in_turn(rounds: int, each: dict[str, Callable[[Path], None]]) -> dict[str, Cost]:
    """The medians of each way, which take turns."""
    found: dict[str, list[Cost]] = {name: [] for name in each}
    for _ in range(rounds):
        for name, way in each.items():
            found[name].append(measured(way))
    return {name: Cost(*map(median, zip(*costs, strict=True))) for name, costs in found.items()}


def measured(way: Callable[[Path], None]) -> Cost:
    """What one run of a way takes, in an empty folder."""
    with tempfile.TemporaryDirectory(prefix="salesops-benchmark-") as place:
        peak, is_done = [0.0], threading.Event()
        watch = threading.Thread(target=_watched, args=(peak, is_done))
        watch.start()
        before, begun = used(), time.perf_counter()
        try:
            way(Path(place))
        finally:
            is_done.set()
            watch.join()
        return Cost(time.perf_counter() - begun, used() - before, peak[0])


def _watched(peak: list[float], is_done: threading.Event) -> None:
    """The most that all processes we started hold together, in megabytes."""
    own = held_by_others()
    while not is_done.wait(0.5):
        peak[0] = max(peak[0], held_by_others() - own)


def held_by_others() -> float:
    """What this process and all it started hold."""
    return float(held(os.getpid())[1]) / 1024


def compared(name: str, what: str, costs: dict[str, Cost]) -> list[str]:
    """A line a way, beside what it must reach."""
    lines = []
    for way, cost in costs.items():
        ratio = costs["loop"].wall / cost.wall
        must, aim = (None, None) if way == "loop" else MUST["--cold"] if "--cold" in way else MUST[name]
        is_met = None if must is None else ratio >= must
        lines.append(row(what, way, cost, ratio, f"≥ {must:g}×" if must else "", f"≥ {aim:g}×" if aim else "", is_met))
    return lines


def row(what: str, way: str, cost: Cost, ratio: float | None, must: str, aim: str, is_met: bool | None) -> str:
    """One line of the table."""
    times = f"{ratio:.1f}×" if ratio else ""
    told = [what, way, f"{cost.wall:.1f}", f"{cost.cpu:.1f}", f"{cost.memory:.0f}", times, must, aim, met(is_met)]
    return f"| {' | '.join(told)} |"


def met(is_met: bool | None) -> str:
    return "" if is_met is None else "yes" if is_met else "no"


ROWS = {"pack": pack, "four": four, "parts": parts, "further": further}

if __name__ == "__main__":
    main()
