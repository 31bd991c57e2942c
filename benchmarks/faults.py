"""What is left of published reports when runs are killed, disks are full, folders are read-only, or eight run at once.

A run of toy reports is killed two hundred times: its process group, its parent process alone, or a kernel alone;
at random moments of a run with kernels, and at and shortly after the moments of publishing (files are staged, the new
folder is being built, it has been exchanged, the links are made), for which a run without kernels is enough. Right
after each kill, before anything else runs, everything that is published is read: each report is whole and of one run,
the one before or the killed one; the gate has nothing to say; each date's list is of what the folder holds; links of
one report lead to one date. Then the next run must work and leave nothing behind: no staging, no temporary folder, no
kernel. Linux only.

Usage: ``python benchmarks/faults.py [--kills 200] [--seed 1]``
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import fault_runs  # noqa: E402
from fault_runs import DAY, Run, Runs, World  # noqa: E402

REPORTS = ("alpha", "beta")
WITH_KERNELS = 0.3  # share of the kills; a kernel takes long to start
PAUSE = 0.06  # seconds at most between a moment of publishing and the kill
OFTEN = 10  # so many kills after which the next run is one with kernels
FRESH = 25  # so many kills in one folder


class Kill(NamedTuple):
    """What to kill, and when."""

    kind: str
    moment: str
    by_hand: bool


class Ended(NamedTuple):
    """What became of a killed run: whether it was alive, which reports are the run's own, how long kernels lived."""

    was_alive: bool
    is_new: tuple[bool, ...]
    kernel_seconds: float


class WrongError(AssertionError):
    """Something published is not as it should be."""


def main() -> None:
    """Print the counts; end with the first thing that is wrong."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--kills", type=int, default=200)
    asked.add_argument("--seed", type=int, default=1)
    options = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="salesops-faults-") as place, fault_runs.runs() as runs:
        began = time.monotonic()
        found = kills(runs, Path(place), n=options.kills, seed=options.seed)
        print(table(found))
        slowest = max(each.kernel_seconds for _, each in found)
        print(f"{len(found)} kills, nothing broken, mixed, missing or left; kernels outlived a run by {slowest:.1f} s")
        print(f"full disk: {full_disk(runs, Path(place))}")
        print(f"read-only: {read_only(runs, Path(place))}")
        print(f"at once: {at_once(runs, Path(place), rounds=10, by_hand=True)}")
        print(f"at once, with kernels: {at_once(runs, Path(place), rounds=1, by_hand=False)}")
        print(f"{time.monotonic() - began:.0f} seconds")


def kills(runs: Runs, place: Path, *, n: int, seed: int) -> list[tuple[Kill, Ended]]:
    """Kill runs at so many moments, those that came too late apart; each is followed by a run that must work."""
    random, found, tries = np.random.default_rng(seed), [], 0
    for kill in itertools.cycle(planned(random, n)):
        if not tries % FRESH:
            (here := place / f"kills{tries}").mkdir()
            world = fault_runs.world(here, *REPORTS)
            took = {by_hand: seconds(runs, world, 2 + by_hand, by_hand=by_hand) for by_hand in (True, False)}
        numbers = range(10 + 2 * (tries % FRESH), 12 + 2 * (tries % FRESH))
        ended = one(runs, world, kill, numbers, took[kill.by_hand], random, is_checked_long=tries % OFTEN == OFTEN - 1)
        if ended.was_alive:
            found.append((kill, ended))
        tries += 1
        if len(found) == n:
            return found
        require(tries < 3 * n, f"of {tries} kills only {len(found)} came in time")


def planned(random: np.random.Generator, n: int) -> list[Kill]:
    """So many kills in random order: each kind at each moment about equally often."""
    whole = itertools.cycle(Kill(kind, "any time", False) for kind in ("group", "parent", "kernel"))
    kinds, moments = ("group", "parent"), list(MOMENTS)
    # Every moment once before any comes twice, and each kind at every other one.
    turns = [(kinds[(turn + at) % 2], moment) for turn in range(2) for at, moment in enumerate(moments)]
    soon = itertools.cycle(Kill(kind, moment, True) for kind, moment in turns)
    n_whole = round(n * WITH_KERNELS)
    plan = [*itertools.islice(whole, n_whole), *itertools.islice(soon, n - n_whole)]
    return [plan[at] for at in random.permutation(n)]


def one(
    runs: Runs, world: World, kill: Kill, numbers: range, took: float, random: np.random.Generator, *,
    is_checked_long: bool,
) -> Ended:  # fmt: skip
    """Kill one run and look at what is there; then run the next one and look again."""
    told = [] if random.random() < 0.6 else [f"as_of=2026-10-{1 + random.integers(20):02d}"]
    given = [argument for each in told for argument in ("-p", each)]
    before = state(world)
    run = started(runs, world, numbers[0], *given, by_hand=kill.by_hand)
    was_alive = wait_for(run, kill, world, before, took, random) and fault_runs.kill(run, kill.kind, world)
    code = runs.wait(run)
    was_alive = was_alive and (code < 0 or kill.kind == "kernel")
    said = f"{kill}, seed's run {numbers[0]}, exit {code}:\n{run.log.read_text()}"
    look(world, said)
    between = state(world)
    is_new_of_killed = published_after(before, between, numbers[0], said)
    if kill.kind == "kernel":  # while it starts, another is started in its place; later the report has failed
        require(code == (0 if any(is_new_of_killed) else 1), f"the exit code is not what became of it: {said}")
    kernel_seconds = fault_runs.seconds_to_die(world)
    again = started(runs, world, numbers[1], *given, by_hand=not is_checked_long)
    code = runs.wait(again)
    said = f"the run after {kill}, exit {code}:\n{again.log.read_text()}"
    require(code == 0, said)
    look(world, said)
    is_new = published_after(between, state(world), numbers[1], said)  # what it was not asked for is as it was
    require(sum(is_new) == (1 if is_checked_long else len(REPORTS)), f"a report is missing: {said}")
    require(not fault_runs.left(world), f"{fault_runs.left(world)} is left: {said}")
    require(not fault_runs.kernels(world), f"a kernel is left: {said}")
    return Ended(was_alive, is_new_of_killed, kernel_seconds)


def started(runs: Runs, world: World, number: int, *given: str, by_hand: bool) -> Run:
    """The run of this number: all reports, or with kernels, which take long to start, the first."""
    reports = () if by_hand else REPORTS[:1]
    return runs.start(world, *reports, "-p", fault_runs.level(number), *given, by_hand=by_hand)


def wait_for(run: Run, kill: Kill, world: World, before: dict, took: float, random: np.random.Generator) -> bool:
    """Until it is time to kill; False where the run is over."""
    if kill.kind == "kernel":
        started = fault_runs.when(run, lambda: bool(fault_runs.kernels(world)), every=0.02)
        return started and pause(run, random.random() * min(took / 2, 1.5 * fault_runs.KERNEL))
    if kill.moment == "any time":
        return pause(run, random.random() * took)
    has_come = MOMENTS[kill.moment](world, before)
    # A second report is published after the first: either may be the one.
    is_there = fault_runs.when(run, has_come)
    return is_there and pause(run, random.random() * PAUSE)


def pause(run: Run, seconds: float) -> bool:
    """Some time later; False where the run is over by then."""
    until = time.monotonic() + seconds
    return not fault_runs.when(run, lambda: time.monotonic() > until, seconds + 1, 0.005) or not run.is_over


def _appears(*patterns: str) -> Callable[[World, dict], Callable[[], bool]]:
    return lambda world, _: lambda: any(next(world.out.glob(pattern), None) for pattern in patterns)


def _exchanged(world: World, _: dict) -> Callable[[], bool]:
    def inodes() -> set[tuple[str, int]]:
        return {(path.name, path.stat().st_ino) for path in world.out.glob("2*")}

    known = inodes()
    return lambda: inodes() != known


MOMENTS = {
    "any time": lambda *_: lambda: True,
    "staging begins": _appears(".staging-*"),
    "a report is staged": _appears(".staging-*/*/*.json", ".staging-*/*.json"),
    "the new folder is built": _appears(".staging-*/*/change-*", ".staging-*/change-*"),
    "the folder is exchanged": _exchanged,
    "links are made": _appears(".staging-*/links-*"),
}


def state(world: World) -> dict[tuple[str, str], int]:
    """Which run made each published report of each date."""
    days = sorted(path.name for path in world.out.glob("2*")) if world.out.exists() else []
    return {(day, name): made_by for day in days for name, made_by in fault_runs.published(world.out, day).items()}


def published_after(before: dict, after: dict, number: int, said: str) -> tuple[bool, ...]:
    """Which reports are of this run; none is lost, and none is of any but the one before or this one."""
    lost = set(before) - set(after)
    require(not lost, f"{lost} is lost: {said}")
    wrong = {key: made_by for key, made_by in after.items() if made_by not in (number, before.get(key))}
    require(not wrong, f"{wrong} is neither old nor new: {said}")
    return tuple(made_by == number for made_by in after.values())


def look(world: World, said: str) -> None:
    """Everything that is published is as it should be."""
    wrong = fault_runs.faults(world.out) if world.out.exists() else []
    require(not wrong, f"{wrong}: {said}")


def seconds(runs: Runs, world: World, number: int, *, by_hand: bool) -> float:
    """How long a run takes that nobody kills."""
    began = time.monotonic()
    run = started(runs, world, number, by_hand=by_hand)
    require(runs.wait(run) == 0, run.log.read_text())
    return time.monotonic() - began


def table(found: list[tuple[Kill, Ended]]) -> str:
    """How many kills of each kind at each moment, and after how many of them a report of the killed run was there."""
    counts = Counter((kill.moment, kill.kind, "by hand" if kill.by_hand else "kernels") for kill, _ in found)
    new = Counter((kill.moment, kill.kind, "by hand" if kill.by_hand else "kernels") for kill, ended in found
                  if any(ended.is_new))  # fmt: skip
    lines = [f"{moment:24} {kind:8} {how:8} {n:4} {new[moment, kind, how]:4}"
             for (moment, kind, how), n in sorted(counts.items())]  # fmt: skip
    return "\n".join([f"{'moment':24} {'killed':8} {'run':8} {'n':>4} {'new':>4}", *lines])


@contextmanager
def small_disk(place: Path, *options: str) -> Iterator[str]:
    """A small file system in a folder; says why not where it cannot be made."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(place)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        yield done.stderr.strip() or "cannot be mounted"
        return
    try:
        yield ""
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def full_disk(runs: Runs, place: Path, *, rooms: tuple[int, ...] = (0, 1, 4, 8, 16, 32, 64)) -> str:
    """Runs on a disk with so many pages of memory left, and as many inodes: what is published is not touched."""
    here = place / "disk"
    with small_disk(here, "size=8m", "nr_inodes=400", "mode=777") as refused:
        if refused:
            return f"SKIPPED, no small file system can be mounted: {refused}"
        (place / "reading").mkdir()
        world = fault_runs.world(place / "reading", *REPORTS)._replace(out=here / "out")
        seconds(runs, world, 2, by_hand=True)
        codes = []
        for at, (kind, room) in enumerate(itertools.product(("room", "inodes"), rooms)):
            before = state(world)
            with filled(here, kind, room):
                run = runs.start(world, "-p", fault_runs.level(10 + at), by_hand=True)
                code = runs.wait(run)
                said = f"{room} {kind} left, exit {code}:\n{run.log.read_text()}"
                look(world, said)
                published_after(before, state(world), 10 + at, said)
                told = run.log.read_text().lower()
                require(code == 0 or "no space left" in told or "disk" in told, f"the cause is not told: {said}")
                require("unexpected" not in told, said)
            codes.append(code)
            seconds(runs, world, 300 + at, by_hand=True)
            look(world, "after there was room again")
            require(not fault_runs.left(world), f"{fault_runs.left(world)} is left: {said}")
        return f"{len(codes)} runs, {sum(code != 0 for code in codes)} of them found no room; nothing was touched"


@contextmanager
def filled(place: Path, kind: str, room: int) -> Iterator[None]:
    """A disk with so many blocks or inodes left."""
    fill = place / "fill"
    fill.mkdir()
    found = os.statvfs(place)
    try:
        if kind == "room":
            (fill / "file").write_bytes(b"\0" * (max(found.f_bavail - room, 0) * found.f_frsize))
        else:
            for number in range(max(found.f_favail - room, 0)):
                (fill / str(number)).touch()
        yield
    finally:
        subprocess.run(["rm", "-r", str(fill)], check=True)


def read_only(runs: Runs, place: Path) -> str:
    """Runs into folders that may not be written, as a user without privileges: one message, and nothing is touched."""
    (place / "read-only").mkdir()
    world = fault_runs.world(place / "read-only", "alpha")
    seconds(runs, world, 2, by_hand=True)
    before = {path: path.read_bytes() for path in world.out.rglob("*") if path.is_file()}
    for number, folder in enumerate((world.out, world.out / DAY), start=10):
        mode = folder.stat().st_mode
        folder.chmod(0o555)
        run = runs.start(world, "-p", fault_runs.level(number), by_hand=True, is_plain=True)
        code = runs.wait(run)
        folder.chmod(mode)
        said = f"{folder.name} is read-only, exit {code}:\n{run.log.read_text()}"
        require(code == 2 and "cannot be written" in said, said)
        require("Traceback" not in said and len(run.log.read_text().splitlines()) <= 3, said)
        look(world, said)
        reports = {path: content for path, content in before.items() if path.name.startswith("alpha.")}
        require(all(path.read_bytes() == content for path, content in reports.items()), said)
    require(seconds(runs, world, 30, by_hand=True) > 0, "")
    require(not fault_runs.left(world), f"{fault_runs.left(world)} is left")
    return "2 runs told so, nothing was touched"


def at_once(runs: Runs, place: Path, *, rounds: int, by_hand: bool) -> str:
    """Eight runs at once into one folder: each makes a report of its own, and one that all of them make."""
    names = [f"r{number}" for number in range(8)]
    here = place / f"at-once-{by_hand}"
    here.mkdir()
    world = fault_runs.world(here, *names, "shared")
    for turn in range(rounds):
        numbers = {name: 10 + 8 * turn + at for at, name in enumerate(names)}
        began = [
            runs.start(world, name, "shared", "-p", fault_runs.level(number), by_hand=by_hand)
            for name, number in numbers.items()
        ]
        codes = [runs.wait(run) for run in began]
        said = "\n".join(run.log.read_text() for run in began)
        require(codes == [0] * 8, f"{codes}: {said}")
        look(world, said)
        found = fault_runs.published(world.out)
        require(found.pop("shared") in numbers.values() and found == numbers, f"{found}: {said}")
        latest = {path.name for path in (world.out / "latest").glob("*.html")}
        require({f"{name}.html" for name in (*names, "shared")} <= latest, f"{latest}: {said}")
        require(not fault_runs.left(world), f"{fault_runs.left(world)} is left: {said}")
    return f"{rounds} rounds of 8 runs, every report there and of one run"


def require(holds: bool, said: str) -> None:
    """End where something is wrong."""
    if not holds:
        raise WrongError(said)


if __name__ == "__main__":
    main()
