"""What reading a company costs from each engine: files, DuckDB, PostgreSQL and, where it is installed, Spark.

One company is written as CSV and put into each engine; then `crm.load` reads it from each in turn, in a process of its
own, several times round. Prints the medians of wall time, of CPU time (the reading process alone, not the server's)
and of its peak memory, and how they compare with the files. The tables are the same: tests/test_engines.py holds that.

Usage: ``python benchmarks/engines.py [--size 20000] [--rounds 3]``
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import warehouse_servers as servers  # noqa: E402

READ = """
import json, resource, sys, time
from salesops import crm
before, started = time.process_time(), time.perf_counter()
company = crm.load(sys.argv[1])
wall, cpu = time.perf_counter() - started, time.process_time() - before
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([wall, cpu, peak, len(company.opportunities)]))
"""


def main() -> None:
    """Print a line an engine."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--size", type=int, default=20_000)
    asked.add_argument("--rounds", type=int, default=3)
    options = asked.parse_args()
    print(f"{options.size:,} opportunities, medians of {options.rounds} rounds")
    for engine, wall, cpu, peak, against in rows(options.size, options.rounds):
        print(f"{engine:9} {wall:6.2f} s wall, {cpu:6.2f} s CPU ({against:.2f} of files), {peak:6.0f} MB", flush=True)


def rows(size: int, rounds: int) -> list[tuple[str, float, float, float, float]]:
    """Engine, seconds of wall time and of CPU, megabytes, and CPU against that of files."""
    with tempfile.TemporaryDirectory(prefix="salesops-engines-") as place, contextlib.ExitStack() as running:
        files = Path(place) / "files"
        command = [sys.executable, "-m", "salesops", "sample", str(files), "--size", str(size)]
        subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        tables, sources = servers.typed(files), {"files": (files, "")}
        for engine in ("duckdb", "postgres", "spark"):
            folder = Path(place) / engine
            folder.mkdir()
            (folder / "source.yaml").write_text("database: env:SALES_DB", encoding="utf-8")
            with contextlib.suppress(pytest.skip.Exception):
                sources[engine] = folder, running.enter_context(servers.started(engine, tables, folder))
        taken = {engine: [] for engine in sources}
        for _ in range(rounds):
            for engine, (folder, address) in sources.items():
                taken[engine].append(read(folder, address))
    medians = {
        engine: [statistics.median(column) for column in zip(*each, strict=True)] for engine, each in taken.items()
    }
    return [(engine, *costs[:3], costs[1] / medians["files"][1]) for engine, costs in medians.items()]


def read(folder: Path, address: str) -> list[float]:
    """Wall time, CPU time and peak memory of a process that reads the company."""
    command = [sys.executable, "-c", READ, str(folder)]
    done = subprocess.run(command, env=os.environ | {"SALES_DB": address}, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
