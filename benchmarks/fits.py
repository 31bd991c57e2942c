"""What forecasts of a thousand series cost, ours beside models of statsmodels, and what the forecast's backtest costs.

The same simulated monthly series of five years go through each in turn, eighteen months ahead, in rounds that take
turns; medians of CPU seconds per thousand series, one BLAS thread. Ours chooses among several models and calibrates
its intervals on the series' own past; Theta of statsmodels fits one model, its ETS the form of least AICc of all, each
without intervals; they are run on fewer series, and their errors are against ours on the same ones. Last, the backtest
of a company of about 5,000 deals, 12 quarters by 13 weeks, in CPU seconds.

Usage: ``python benchmarks/fits.py [--series 1000] [--rounds 3]``
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import forecast
import numpy as np
import time_series as competition

from salesops.time_series import time_series

THETA, ETS = 100, 40  # series that these are run on
MONTHS = 60


def main() -> None:
    """Print the table and the backtest's line."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--series", type=int, default=1000)
    asked.add_argument("--rounds", type=int, default=3)
    options = asked.parse_args()
    kind = competition.KINDS["months"]._replace(shortest=MONTHS, longest=MONTHS)
    pairs = competition.simulated(kind, options.series)
    ways = {
        "salesops": (len(pairs), ours),
        "statsmodels Theta": (min(THETA, len(pairs)), each(competition.statsmodels_theta)),
        "statsmodels ETS, least AICc": (min(ETS, len(pairs)), each(competition.statsmodels_ets)),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    found = {}
    for _ in range(options.rounds):
        for name, (n, way) in ways.items():
            begun = time.process_time()
            found[name] = way(pairs[:n], kind)
            taken[name].append(1000 * (time.process_time() - begun) / n)
    print("| way | series | CPU s per thousand | times ours | sMAPE, MASE of ours against it |")
    print("|---|---|---|---|---|")
    mine = competition.errors(pairs, found["salesops"], kind)
    for name, (n, _) in ways.items():
        cost = median(taken[name])
        told = "" if name == "salesops" else competition.against(mine, pairs, found[name], kind)
        print(f"| {name} | {n:,} | {cost:.1f} | {cost / median(taken['salesops']):.1f} | {told} |", flush=True)
    forecast.show_speed()


def each(model: Callable) -> Callable:
    """A model of one series over several."""
    return lambda pairs, kind: [model(past, kind) for past, _ in pairs]


def ours(pairs, kind: competition.Kind) -> np.ndarray:
    """The forecasts, one row a series."""
    past = competition.long({f"s{place:05}": past for place, (past, _) in enumerate(pairs)})
    found = time_series(past, horizon=kind.horizon, season_length=kind.season_length)
    return found["predicted"].to_numpy().reshape(len(pairs), kind.horizon)


if __name__ == "__main__":
    main()
