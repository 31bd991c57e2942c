"""Runs the benchmarks of speed one after another and writes what they print to ``benchmarks/RESULTS.md``.

A benchmark needs no more than a docstring, a ``main()`` and printed lines: lines that begin with ``|`` are its table
(what, must, aim, measured, met), whatever else it prints stands below it as it is. The machine is named by what it is,
not by its name.

Usage: ``python benchmarks/results.py [NAME …] [-- OPTION …]``; without names those of `SPEED` that are there, options
go to each, e.g. ``python benchmarks/results.py runner -- --quick``. What was not run again stays as it was measured.
"""

import argparse
import ast
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
SPEED = ("runner", "warm", "nbval", "engines", "ten_million", "reports_at_scale", "caches", "fits")
PACKAGES = ("numpy", "pandas", "pyarrow", "duckdb", "scipy", "statsmodels", "matplotlib", "papermill", "nbconvert")


def main() -> None:
    """Run them and write the file."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("names", nargs="*", default=[name for name in SPEED if (HERE / f"{name}.py").exists()])
    words = sys.argv[1:]
    at = words.index("--") if "--" in words else len(words)
    names, options = asked.parse_args(words[:at]).names, words[at + 1 :]
    kept = sections(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    kept |= {name: section(name, options) for name in names}
    order = [*SPEED, *(name for name in kept if name not in SPEED)]
    parts = [kept[name] for name in order if name in kept]
    RESULTS.write_text("\n\n".join(["# What was measured", *parts]) + "\n", encoding="utf-8")
    print(f"{RESULTS.relative_to(HERE.parent)}: {', '.join(names)}")


def sections(text: str) -> dict[str, str]:
    """The sections of an earlier file by name."""
    parts = text.split("\n## ")[1:]
    return {part.partition("\n")[0]: f"## {part.strip()}" for part in parts}


def section(name: str, options: list[str]) -> str:
    """What one benchmark is and what it printed; one that fails ends all."""
    path = HERE / f"{name}.py"
    done = subprocess.run([sys.executable, str(path), *options], stdout=subprocess.PIPE, text=True, check=True)
    lines = done.stdout.rstrip().splitlines()
    table = [line for line in lines if line.startswith("|")]
    rest = [line for line in lines if not line.startswith("|") and line.strip()]
    told = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
    command = " ".join(["python", f"benchmarks/{name}.py", *options])
    below = [f"```\n{chr(10).join(rest)}\n```"] if rest else []
    return "\n\n".join([f"## {name}", told, f"`{command}`", machine(), *["\n".join(table)] * bool(table), *below])


def machine() -> str:
    """Processor, cores, memory and versions; neither a host nor a path."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    cores = len(os.sched_getaffinity(0))
    parts = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"Measured on {processor()}, {cores} cores, {pages:.0f} GB of memory, {platform.system()}, "
        f"Python {platform.python_version()}; {parts}. Load at the end: {os.getloadavg()[0]:.1f}."
    )


def processor() -> str:
    """The processor's model, as the system names it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


if __name__ == "__main__":
    main()
