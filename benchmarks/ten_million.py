"""Ten million opportunities from Parquet to finished tables on a laptop, and how time and memory grow.

A made-up company is written as canonical tables (``opportunities.parquet``, ``stage_history.parquet``, sorted by
``opportunity_id`` as copies and exports are): bringing a raw export into that form is the work of the source layer,
and is not measured here. Every fourth deal has a history of its stages, about as many rows in all as there are deals.

Each size is measured in fresh processes, imports included: **cells** counts first (`salesops.crm.counted`) and hands
the counts to the functions that the reports use; **pandas** reads the same columns into frames and groups them, which
is what one writes without a package. Both make win rate by segment, bookings by month, quantiles of the sales cycle,
conversion of each stage and time in each stage; those of pandas are plain (no intervals, open deals left out).
The ``rows`` of a million deals are also put through the same public functions, and must give the same tables.

Usage: ``python benchmarks/ten_million.py [--sizes 10000 100000 1000000 10000000] [--rounds 3] [--history 4]``
(``--history 1``: every deal has one, forty million rows at ten million deals).
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from statistics import median

import numpy as np

ROOT = Path(__file__).parents[1]
SIZES = [10_000, 100_000, 1_000_000, 10_000_000]
MOST_SECONDS, MOST_MEGABYTES, MOST_SLOPE = 6, 700, 1.05
LARGEST_FOR_PANDAS = 10_000_000
CHECKED = 1_000_000  # deals of which rows and cells are compared
CHUNK, ROW_GROUP = 500_000, 250_000
FIRST, LAST = date(2023, 1, 1), date(2026, 9, 30)
OPEN_STAGES = ["Qualify", "Discovery", "Proposal", "Negotiation", "Contract"]
_DAY = np.timedelta64(86_400_000_000, "us")


def main() -> None:
    """Print a line a size and way, the growth, and whether the tables are those of the rows."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--history", type=int, default=4, help="one deal of how many has a history")
    asked.add_argument("--task", choices=["cells", "pandas", "rows"], help="one process of the benchmark")
    asked.add_argument("--folder", type=Path)
    options = asked.parse_args()
    if options.task:
        print(json.dumps(measured(options.task, options.folder)))
        return
    found: dict[str, dict[int, dict]] = {"cells": {}, "pandas": {}}
    for size in options.sizes:
        with tempfile.TemporaryDirectory(prefix="salesops-ten-million-") as folder:
            n = build(Path(folder), size, options.history)
            for way, cost in costs(Path(folder), size, options.rounds):
                found[way][size] = cost
                print(line(way, size, n, cost), flush=True)
            if size == CHECKED:
                subprocess.run([*_command("rows", Path(folder))], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
                print("          the tables of a million deals' rows are the same, digit by digit to 1e-9", flush=True)
    for way, each in found.items():
        if len(each) > 1:
            print(f"{way}: slope of the logarithms, must be at most {MOST_SLOPE}: {slopes(each)}", flush=True)


def costs(folder: Path, size: int, rounds: int) -> Iterator[tuple[str, dict]]:
    """The medians of some rounds, the ways taking turns."""
    ways = ["cells", "pandas"] if size <= LARGEST_FOR_PANDAS else ["cells"]
    taken: dict[str, list[dict]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            taken[way].append(fresh(way, folder))
    for way, each in taken.items():
        yield way, {name: median(one[name] for one in each) for name in ("wall", "cpu", "peak")}


def fresh(way: str, folder: Path) -> dict:
    """Seconds from start to end of a new process, its CPU seconds and its peak memory in megabytes."""
    started = time.perf_counter()
    told = subprocess.run(_command(way, folder), check=True, cwd=ROOT, capture_output=True, text=True).stdout
    return {"wall": time.perf_counter() - started} | json.loads(told)


def _command(way: str, folder: Path) -> list[str]:
    return [sys.executable, __file__, "--task", way, "--folder", str(folder)]


def measured(task: str, folder: Path) -> dict:
    """Do one task here, and say what it took."""
    {"cells": of_cells, "pandas": of_pandas, "rows": compare}[task](folder)
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {"cpu": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss / 1024}


def of_cells(folder: Path) -> dict:
    """Every table from counts."""
    from salesops import cells, forecast, funnel, pipeline, stage_times, win_loss
    from salesops.crm import counted
    from salesops.periods import Period, month, trailing_months

    deals, history = folder / "opportunities.parquet", folder / "stage_history.parquet"
    period, keys = Period("all", FIRST, LAST), {name: name for name in ("segment", "is_closed", "is_won")}
    rates = cells.Counted(keys | {"qualified_date": cells.within("qualified_date", [period])})
    months = cells.Counted(
        {"is_won": "is_won", "close_date": cells.month("close_date")}, {"amount": "amount"}, "is_won"
    )
    ages = pipeline.counted_ages("qualified_date", periods=[period], as_of=LAST, by=["segment"])
    asked = {"metric": "sales_cycle_days", "period": period, "by": "segment"}
    stages = counted.stage_cells(deals, history, stages=definition(), as_of=LAST, periods=[period])
    return {
        "win rate": win_loss.win_rate(counted.count(deals, rates), by="segment"),
        "bookings": forecast.bookings(counted.count(deals, months), trailing_months(month(LAST), 36)),
        "cycle": stage_times.times_to("won", counted.count(deals, ages), **asked),
        "conversion": funnel.stage_conversion(stages.entries, period=period),
        "duration": stage_times.stage_duration(stages.stays, period=period),
    }


def of_pandas(folder: Path) -> dict:
    """What one would write without a package: the columns read into frames, grouped."""
    import pandas as pd

    needed = ["opportunity_id", "segment", "amount", "qualified_date", "close_date", "is_closed", "is_won"]
    deals = pd.read_parquet(folder / "opportunities.parquet", columns=needed)
    closed = deals[deals["is_closed"] & deals["qualified_date"].notna()]
    won = deals[deals["is_won"]]
    cycle = (won["close_date"] - won["qualified_date"]).dt.days
    history = pd.read_parquet(
        folder / "stage_history.parquet", columns=["opportunity_id", "changed_at", "seq", "stage"]
    )
    history = history.sort_values(["opportunity_id", "changed_at", "seq"])
    after = history.groupby("opportunity_id", sort=False)[["changed_at", "stage"]].shift(-1)
    left = history.assign(days=(after["changed_at"] - history["changed_at"]).dt.days, to=after["stage"])
    return {
        "win rate": closed.groupby("segment", dropna=False, observed=True)["is_won"].agg(["size", "mean"]),
        "bookings": won.groupby(won["close_date"].dt.to_period("M"))["amount"].agg(["size", "sum"]),
        "cycle": cycle.groupby(won["segment"], dropna=False, observed=True).quantile([0.25, 0.5, 0.75]),
        "conversion": left.groupby(["stage", "to"], dropna=False, observed=True).size(),
        "duration": left.groupby("stage", observed=True)["days"].quantile([0.25, 0.5, 0.75, 0.9]),
    }


def compare(folder: Path) -> None:
    """The same public functions on all rows; an error where a table differs from that of the cells."""
    import pandas as pd

    from salesops import forecast, funnel, journey, pipeline, stage_times, win_loss
    from salesops.periods import Period, month, trailing_months

    deals, history = (pd.read_parquet(folder / f"{name}.parquet") for name in ("opportunities", "stage_history"))
    deals, history = (each.astype(dict.fromkeys(each.select_dtypes("category"), "str")) for each in (deals, history))
    period, alone = Period("all", FIRST, LAST), deals.drop(columns="opportunity_id")
    visits = journey.stage_visits(history, stages=definition(), opportunities=deals, as_of=LAST)
    ages = pipeline.ages(alone, start="qualified_date", as_of=LAST)
    single = visits.assign(opportunity_id=np.arange(len(visits)))  # of cells every visit stands alone
    rows = {
        "win rate": win_loss.win_rate(deals, by="segment"),
        "bookings": forecast.bookings(deals, trailing_months(month(LAST), 36)),
        "cycle": stage_times.times_to("won", ages, metric="sales_cycle_days", period=period, by="segment"),
        "conversion": funnel.stage_conversion(visits, period=period),
        "duration": stage_times.stage_duration(single, period=period),
    }
    for name, table in of_cells(folder).items():
        pd.testing.assert_frame_equal(rows[name], table, rtol=1e-9, obj=name)


def definition():
    """The stages of the made-up company."""
    import pandas as pd

    names = [*OPEN_STAGES, "Won", "Lost"]
    is_closed = [name in ("Won", "Lost") for name in names]
    return pd.DataFrame({"pipeline": "new", "stage": names, "valid_from": pd.NaT, "position": range(1, 8),
                         "is_closed": is_closed, "is_won": [name == "Won" for name in names]})  # fmt: skip


def build(folder: Path, size: int, every: int) -> int:
    """Write the two tables chunk by chunk, the same every time; how many history rows there are."""
    import pyarrow.parquet as pq

    writers, n = {}, 0
    for number, first in enumerate(range(0, size, CHUNK)):
        rng = np.random.default_rng([2026, number])
        deals = _deals(first, min(CHUNK, size - first), rng)
        tables = {"opportunities": _opportunities(deals, rng), "stage_history": _history(deals, every, rng)}
        n += len(tables["stage_history"])
        for name, table in tables.items():
            if name not in writers:
                writers[name] = pq.ParquetWriter(folder / f"{name}.parquet", table.schema)
            writers[name].write_table(table, row_group_size=ROW_GROUP)
    for writer in writers.values():
        writer.close()
    return n


def _deals(first: int, n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """What happens to each deal, in days since the first."""
    last = (LAST - FIRST).days
    created, segment = rng.integers(0, last, n), rng.integers(0, 5, n)
    qualified = created + rng.geometric(1 / 8, n) - 1
    ended = qualified + rng.geometric(1 / 60, n)
    is_qualified, is_closed = (rng.random(n) < 0.8) & (qualified <= last), ended <= last
    is_won = is_closed & is_qualified & (rng.random(n) < 0.15 + 0.05 * segment)
    names = np.char.add("006", np.char.zfill(np.arange(first, first + n).astype("U9"), 12))
    return {"names": names, "created": created, "segment": segment, "qualified": qualified, "ended": ended,
            "is_qualified": is_qualified, "is_closed": is_closed, "is_won": is_won}  # fmt: skip


def _opportunities(deals: dict[str, np.ndarray], rng: np.random.Generator):
    import pyarrow as pa

    n, is_open, last = len(deals["names"]), ~deals["is_closed"], (LAST - FIRST).days
    due = np.where(is_open, last + rng.integers(1, 90, n), deals["ended"])
    amount = np.round(rng.lognormal(10, 1, n), 2)
    return pa.table(
        {
            "opportunity_id": pa.array(deals["names"]),
            "pipeline": _named(["new"], np.zeros(n)),
            "segment": _named(["SMB", "Mid", "Large", "Public", "-"], deals["segment"], deals["segment"] == 4),
            "amount": pa.array(amount, mask=rng.random(n) < 0.02),
            "created_date": _moments(deals["created"]),
            "qualified_date": pa.array(_moments(deals["qualified"]), mask=~deals["is_qualified"]),
            "close_date": _moments(due),
            "closed_at": pa.array(_moments(deals["ended"]), mask=is_open),
            "is_closed": deals["is_closed"],
            "is_won": deals["is_won"],
        }
    )


def _history(deals: dict[str, np.ndarray], every: int, rng: np.random.Generator):
    """One to five stages of some deals, now and then one stage back, and the end."""
    import pyarrow as pa

    own = np.arange(0, len(deals["names"]), every)
    steps = rng.integers(1, len(OPEN_STAGES) + 1, len(own))
    deal, last = np.repeat(own, steps), (LAST - FIRST).days
    seq = np.arange(len(deal)) - np.repeat(np.cumsum(steps) - steps, steps)
    span = np.minimum(deals["ended"], last)[deal] - deals["created"][deal]
    day = deals["created"][deal] + (span * seq / np.repeat(steps, steps)).astype(int)
    stage = seq - 2 * ((rng.random(len(deal)) < 0.05) & (seq > 1))
    ended = own[deals["is_closed"][own]]
    deal, day = np.r_[deal, ended], np.r_[day, deals["ended"][ended]]
    stage, seq = np.r_[stage, np.where(deals["is_won"][ended], 5, 6)], np.r_[seq, np.full(len(ended), 9)]
    order = np.lexsort([seq, deal])
    return pa.table(
        {
            "opportunity_id": pa.array(deals["names"]).take(pa.array(deal[order])),
            "changed_at": _moments(day[order]),
            "seq": seq[order],
            "pipeline": _named(["new"], np.zeros(len(order))),
            "stage": _named([*OPEN_STAGES, "Won", "Lost"], stage[order]),
        }
    )


def _moments(days: np.ndarray) -> np.ndarray:
    return np.datetime64(FIRST, "us") + days * _DAY


def _named(names: list[str], numbers: np.ndarray, mask: np.ndarray | None = None):
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(pa.array(numbers.astype(np.int8), mask=mask), pa.array(names))


def line(way: str, size: int, n: int, cost: dict) -> str:
    """One measured size."""
    told = f"{way:7s} {size:>11,} deals, {n:>11,} history rows: wall {cost['wall']:6.2f} s, CPU {cost['cpu']:6.2f} s, "
    busy = f"load of the machine {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores"
    limits = f"; must be at most {MOST_SECONDS} s, {MOST_MEGABYTES} MB" if (way, size) == ("cells", SIZES[-1]) else ""
    return f"{told}peak memory {cost['peak']:5.0f} MB; {busy}{limits}"


def slopes(found: dict[int, dict]) -> str:
    """Growth with the number of deals, over all sizes and from the last but one to the last."""
    sizes, parts = np.log(list(found)), []
    for name in ("wall", "cpu", "peak"):
        values = np.log([cost[name] for cost in found.values()])
        whole, last = np.polyfit(sizes, values, 1)[0], (values[-1] - values[-2]) / (sizes[-1] - sizes[-2])
        parts.append(f"{name} {whole:.2f} (last step {last:.2f})")
    return ", ".join(parts)


if __name__ == "__main__":
    main()
