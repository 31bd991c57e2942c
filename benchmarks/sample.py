"""Time and peak memory of the sample company and of loading it, by size; growth as a slope.

Run with ``make bench NAME=sample``. A slope of 1 means twice the deals take twice as long.
"""

import json
import subprocess
import sys

import numpy as np

SIZES = (10_000, 100_000, 1_000_000)
MEASURED = """
import json, resource, sys, time
from salesops.crm import sample
started = time.perf_counter()
tables = sample.tables(size=int(sys.argv[1]))
print(json.dumps({"seconds": time.perf_counter() - started, "rows": sum(map(len, tables.values())),
                  "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def main() -> None:
    print(f"{'opportunities':>14}{'rows':>14}{'seconds':>10}{'MB':>8}{'rows a second':>16}")
    seconds = []
    for size in SIZES:
        ran = subprocess.run([sys.executable, "-c", MEASURED, str(size)], capture_output=True, text=True, check=True)
        found = json.loads(ran.stdout)
        seconds.append(found["seconds"])
        pace = found["rows"] / found["seconds"]
        print(f"{size:>14,}{found['rows']:>14,}{found['seconds']:>10.2f}{found['mb']:>8,.0f}{pace:>16,.0f}")
    print(f"slope of log time on log size: {np.polyfit(np.log(SIZES), np.log(seconds), 1)[0]:.2f}")


if __name__ == "__main__":
    main()
