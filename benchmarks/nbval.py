"""The notebooks' checked cells run by nbval as `make test` runs them: kernels forked warm, and each started cold.

The ways take turns, each in processes of its own; medians of the rounds. Wall time, CPU time of all processes, and the
most memory they held together, shared pages counted once (from ``/proc``: Linux). Every cell has to pass both ways.

Usage: ``python benchmarks/nbval.py [--quick] [--rounds 3]``; quick is one round of two notebooks.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from runner import LIGHT, ROOT, checked, in_turn, row

WAYS = {"nbval --cold": ["--cold"], "nbval": []}


def main() -> None:
    """Print the table."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--quick", action="store_true")
    asked.add_argument("--rounds", type=int, default=3)
    options = asked.parse_args()
    found = sorted((ROOT / "notebooks").glob("*.ipynb"))
    books = [book for book in found if book.stem in LIGHT] if options.quick else found
    costs = in_turn(1 if options.quick else options.rounds, {name: way(books, more) for name, more in WAYS.items()})
    print("| what | way | wall s | CPU s | peak MB | times cold | must | aim | met |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, cost in costs.items():
        print(row(f"{len(books)} notebooks", name, cost, costs["nbval --cold"].wall / cost.wall, "", "", None))


def way(books: Sequence[Path], more: Sequence[str]) -> Callable[[Path], None]:
    """What checks these notebooks, two at a time."""
    asked = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadfile", "--nbval-lax", *books, *more]
    return lambda _: checked(asked)


if __name__ == "__main__":
    main()
