"""What a kernel costs beside its own cells: forked warm, started cold, and by papermill's plain interface.

A notebook of one small cell that imports what reports import is run so many times each way, in turn, after one run of
each that does not count. Wall time is of the whole call: start, cells, end. Processor time is of the process here, of
its children, and of what forks kernels with its own. Memory is the most that the kernel held (pages it shares with
the others counted) and, for a warm one, what is its own alone. The first row is what is paid once a run: the start of
the process that forks.

Usage: ``python benchmarks/warm.py [--n 10] [--bare]``; bare is a notebook that imports nothing.
"""

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import nbformat
import papermill

from salesops.engine import execute, warm

ROOT = Path(__file__).parents[1]
IMPORTS = "from salesops import crm, report, forecast, win_loss\n"
OWN = "print(open('/proc/self/smaps_rollup').read().partition('Private_Dirty:')[2].split()[0])"


class Cost(NamedTuple):
    """Of one run: seconds of wall and processor, megabytes."""

    wall: float
    cpu: float
    peak: float
    own: float


def main() -> None:
    """Print the table."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--n", type=int, default=10)
    asked.add_argument("--bare", action="store_true")
    options = asked.parse_args()
    print("\n".join(rows(n=options.n, imports="" if options.bare else IMPORTS)))


def rows(*, n: int = 10, imports: str = IMPORTS) -> list[str]:
    """The table's lines: medians, and the least and most wall time."""
    with tempfile.TemporaryDirectory() as place:
        path = notebook(Path(place) / "small.ipynb", imports)
        reports = sorted((ROOT / "notebooks").glob("*.ipynb"))
        with warm.zygote(reports, execute.kernel_environment()) as zygote:
            begun, cpu = time.perf_counter(), spent(zygote)
            ways: dict[str, Callable[[], Cost]] = {
                "warm": lambda: cost(lambda: made(path, zygote), zygote),
                "cold": lambda: cost(lambda: made(path, None), zygote),
                "papermill": lambda: cost(lambda: plain(path), zygote),
            }
            ways["warm"]()
            once = time.perf_counter() - begun, spent(zygote) - cpu
            for way in ("cold", "papermill"):
                ways[way]()
            found = {way: [] for way in ways}
            for _ in range(n):
                for way, run in ways.items():
                    found[way].append(run())
    lines = [f"once, with the first kernel: {once[0]:.2f} s wall, {once[1]:.2f} s processor", HEAD]
    return [*lines, *(line(way, costs) for way, costs in found.items())]


HEAD = f"{'kernel':10} {'wall s':>7} {'(least':>7} {'most)':>7} {'processor s':>11} {'peak MB':>8} {'own MB':>7}"


def line(way: str, costs: list[Cost]) -> str:
    """A way's medians."""
    wall, cpu, peak, own = (statistics.median(each) for each in zip(*costs, strict=True))
    least, most = min(each.wall for each in costs), max(each.wall for each in costs)
    return f"{way:10} {wall:7.3f} {least:7.3f} {most:7.3f} {cpu:11.3f} {peak:8.0f} {own:7.0f}"


def notebook(path: Path, imports: str) -> Path:
    """Of one cell."""
    tagged = nbformat.v4.new_code_cell("x = 1", metadata={"tags": ["parameters"]})
    book = nbformat.v4.new_notebook(cells=[tagged, nbformat.v4.new_code_cell(f"{imports}{OWN}")])
    book.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, path)
    return path


def made(path: Path, zygote: warm.Zygote | None) -> tuple[nbformat.NotebookNode, int]:
    """Run as a report is."""
    with execute.own_loop():
        done = execute.execute(path, {}, zygote=zygote)
    if done.failure:
        raise RuntimeError(done.failure.sentence)
    return done.notebook, done.peak_memory_bytes or 0


def plain(path: Path) -> tuple[nbformat.NotebookNode, int]:
    """Run by papermill alone, in the same environment."""
    before = dict(os.environ)
    os.environ.update(execute.kernel_environment())
    try:
        with execute.own_loop():
            return papermill.execute_notebook(str(path), None, progress_bar=False), 0
    finally:
        os.environ.clear()
        os.environ.update(before)


def cost(run: Callable[[], tuple[nbformat.NotebookNode, int]], zygote: warm.Zygote) -> Cost:
    """What a run took."""
    begun, cpu = time.perf_counter(), spent(zygote)
    book, peak = run()
    wall = time.perf_counter() - begun
    own = int(book.cells[-1].outputs[0].text.split()[-1]) / 1024
    return Cost(wall, spent(zygote) - cpu, peak / 2**20, own)


def spent(zygote: warm.Zygote) -> float:
    """Processor seconds so far: ours, those of ended children, those of what forks kernels and of its ended ones."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    ours = sum(each.ru_utime + each.ru_stime for each in both)
    if zygote.process is None:
        return ours
    said = Path(f"/proc/{zygote.process.pid}/stat").read_text().rpartition(")")[2].split()
    return ours + sum(map(int, said[11:15])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
