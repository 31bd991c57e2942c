"""What goes with activity: hand-worked cases, a plain regression, planted effects, and what the sentences say."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.special import expit

from salesops import activity_effect, checks


def company(seed: int, *, within: float = 0.0, between: float = 0.0, reps: int = 25, deals: int = 60) -> pd.DataFrame:
    """Reps whose usual activity goes with their skill (`between`), and whose deals win more with more (`within`)."""
    random = np.random.default_rng(seed)
    habit = random.normal(0, 1, reps)
    rep = np.repeat(np.arange(reps), deals)
    count = random.poisson(np.exp(1.2 + 0.4 * habit[rep] + random.normal(0, 0.4, len(rep))))
    chance = expit(-1 + 0.6 * between * habit[rep] + within * (np.log2(1 + count) - 2))
    return pd.DataFrame({
        "owner_id": [f"U{each:02}" for each in rep], "account_id": [f"A{each}" for each in range(len(rep))],
        "segment": random.choice(["SMB", "Mid"], len(rep)), "is_closed": True,
        "is_won": random.random(len(rep)) < chance, "activity_count": count.astype(float),
    })  # fmt: skip


def rows_of(frame: pd.DataFrame, **options) -> tuple[pd.Series, pd.Series]:
    table = activity_effect.relation(frame, **options).set_index("comparison")
    return table.loc["within a rep"], table.loc["between reps"]


def test_the_effect_within_is_a_plain_logit_with_an_effect_of_each_rep():
    frame = company(1, within=0.3)
    x = np.log2(1 + frame["activity_count"])
    design = pd.get_dummies(frame["owner_id"], dtype=float).assign(x=x)
    fitted = sm.GLM(frame["is_won"].astype(float), design, family=sm.families.Binomial()).fit()
    steps = [fitted.predict(design.assign(x=x + half)) for half in (0.5, -0.5)]
    within, _ = rows_of(frame, controls=[])
    assert within["doubling_effect"] == pytest.approx((steps[0] - steps[1]).mean(), abs=1e-8)
    assert within["n"] == len(frame) and within["n_reps"] == 25


def test_the_effect_between_is_that_of_the_means():
    frame = company(2, between=1.0)
    x = np.log2(1 + frame["activity_count"])
    mean = x.groupby(frame["owner_id"]).transform("mean")
    design = pd.DataFrame({"one": 1.0, "apart": x - mean, "mean": mean})
    fitted = sm.GLM(frame["is_won"].astype(float), design, family=sm.families.Binomial()).fit()
    steps = [fitted.predict(design.assign(mean=mean + half)) for half in (0.5, -0.5)]
    _, between = rows_of(frame, controls=[])
    assert between["doubling_effect"] == pytest.approx((steps[0] - steps[1]).mean(), abs=1e-8)
    assert between["doubling_effect_low"] > 0


def test_better_reps_who_log_more_are_no_effect_within():
    """A few draws of what benchmarks/activity_effect.py measures."""
    found = [rows_of(company(seed, between=1.0)) for seed in range(40)]
    zero = np.mean([low["doubling_effect_low"] <= 0 <= low["doubling_effect_high"] for low, _ in found])
    assert zero >= 0.85  # of 40 at 95 %, fewer about once in a hundred times
    assert np.mean([high["doubling_effect_low"] > 0 for _, high in found]) > 0.9


def test_a_planted_effect_within_is_found_though_better_reps_log_less():
    found = [rows_of(company(seed, within=0.4, between=-1.0))[0] for seed in range(20)]
    assert np.mean([row["doubling_effect_low"] > 0 for row in found]) > 0.9


def test_what_is_held_equal_is_not_laid_to_activity():
    random = np.random.default_rng(5)
    stage = random.choice(["Early", "Late"], 1500)
    late = stage == "Late"
    frame = company(5).assign(stage=stage, activity_count=random.poisson(np.where(late, 8, 2)).astype(float))
    frame["is_won"] = random.random(1500) < np.where(late, 0.6, 0.2)
    naive, _ = rows_of(frame, controls=[])
    fair, _ = rows_of(frame)
    assert naive["doubling_effect_low"] > 0.05
    assert fair["doubling_effect_low"] < 0 < fair["doubling_effect_high"]
    assert activity_effect.held_equal(frame) == ["stage", "segment"]


def test_reps_with_too_few_deals_or_one_outcome_say_nothing_within():
    frame = company(3, reps=10)
    few, always = frame["owner_id"] == "U00", frame["owner_id"] == "U01"
    frame = frame[~few | (frame.groupby("owner_id").cumcount() < 19)]
    frame = frame.assign(is_won=frame["is_won"] | always)
    within, between = rows_of(frame)
    assert within["n_reps"] == 8 and within["n"] == 480
    assert between["n_reps"] == 9 and between["n"] == 540
    five, _ = rows_of(frame[frame["owner_id"] > "U06"])
    assert np.isfinite(five["doubling_effect"])
    assert pd.isna(rows_of(frame[frame["owner_id"] > "U06"])[1]["doubling_effect"])  # three reps are no comparison


def test_nothing_to_tell_gives_missing():
    frame = company(4)
    for changed in ({"activity_count": 3.0}, {"is_won": True}, {"is_closed": False}, {"owner_id": None}):
        table = activity_effect.relation(frame.assign(**changed))
        assert table["doubling_effect"].isna().all() and table["p_value"].isna().all()
        assert activity_effect.relation_sentence(table).startswith("Too few deals")
    assert activity_effect.relation(frame.drop(columns="activity_count")).empty
    parted = frame.assign(is_won=frame["activity_count"] > 3)
    assert rows_of(parted)[0]["n"] >= 0


def test_all_kinds_together_come_first_and_open_deals_do_not_count():
    frame = company(6).assign(call_count=1.0, email_count=range(1500), x_seat_count=range(1500))
    table = activity_effect.relation(frame)
    assert table["activity"].tolist() == ["activity"] * 2 + ["call"] * 2 + ["email"] * 2
    half = frame.assign(is_closed=np.arange(1500) % 2 == 0)
    pd.testing.assert_frame_equal(activity_effect.relation(half), activity_effect.relation(frame[::2]))


def test_row_order_and_input():
    frame = company(7)
    before = frame.copy(deep=True)
    mixed = frame.sample(frac=1.0, random_state=1)
    pd.testing.assert_frame_equal(activity_effect.relation(frame), activity_effect.relation(mixed), rtol=1e-6)
    pd.testing.assert_frame_equal(frame, before)


def test_dose_response_as_seen_and_within_reps():
    frame = company(8, between=1.0, deals=100)
    table = activity_effect.dose_response(frame)
    assert table["n"].sum() == len(frame) and table["n_won"].sum() == frame["is_won"].sum()
    inside = frame["activity_count"].between(3, 5)
    row = table.set_index("level").loc["3–5"]
    assert row["n"] == inside.sum() and row["landmark_win_rate"] == pytest.approx(frame.loc[inside, "is_won"].mean())
    slope = {
        name: np.polyfit(range(len(table)), table[name], 1)[0] for name in ("landmark_win_rate", "adjusted_win_rate")
    }
    assert slope["landmark_win_rate"] > 0.04 and abs(slope["adjusted_win_rate"]) < slope["landmark_win_rate"] / 2


def test_rare_buckets_go_with_the_one_below():
    frame = company(9).assign(activity_count=[0.0] * 700 + [1.0] * 785 + [12.0] * 15)
    table = activity_effect.dose_response(frame)
    assert table["level"].tolist() == ["0", "1+"] and table["n"].tolist() == [700, 800]
    assert activity_effect.dose_response(frame[:0])["n"].tolist() == [0]
    assert activity_effect.dose_response(frame.drop(columns="activity_count")).empty  # nobody logs anything
    won = activity_effect.dose_response(frame.assign(is_won=True))
    assert won["landmark_win_rate"].eq(1).all() and won["adjusted_win_rate"].isna().all()


def row(comparison: str, effect: float, *, p_value: float, **more) -> dict:
    limits = {"doubling_effect_low": effect - 0.03, "doubling_effect_high": effect + 0.03}
    base = {"activity": "activity", "comparison": comparison, "n": 900, "n_reps": 30, "doubling_effect": effect}
    return base | limits | {"p_value": p_value} | more


def test_sentences_say_goes_with_and_never_because():
    cases = [
        (
            [0.04, 0.5],
            "those with twice the activity by then are won 4 points more often (likely between 1 point and 7",
        ),
        ([-0.04, 0.5], "are won 4 points less often (likely between 1 point and 7 points)"),
        (
            [0.5, 0.04],
            "neither clearly more nor clearly less often; reps who usually do twice as much win 4 points more",
        ),
        ([0.5, 0.5], "not within the deals of one rep, and not between reps"),
    ]
    for (within, between), said in cases:
        effects = [each if abs(each) < 0.1 else 0.0 for each in (within, between)]
        rows = [row(name, effect, p_value=0.001 if effect else 0.5)
                for name, effect in zip(("within a rep", "between reps"), effects, strict=True)]  # fmt: skip
        text = activity_effect.relation_sentence(pd.DataFrame(rows))
        assert said in text and not {"because", "cause", "causes", "leads"} & set(text.split())
    alone = pd.DataFrame([row("between reps", 0.04, p_value=0.001)])
    assert activity_effect.relation_sentence(alone).startswith("Reps who usually do twice as much win 4 points more")
    noise = pd.DataFrame([row("within a rep", 0.04, p_value=0.001, is_named=False)])
    assert "no clear difference in wins" in activity_effect.relation_sentence(noise)
    titles = {
        activity_effect.relation_sentence(pd.DataFrame([row(place, effect, p_value=p)]), brief=True)
        for place in ("within a rep", "between reps") for effect in (0.04, -0.04) for p in (0.001, 0.5)
    }  # fmt: skip
    assert titles == {
        "A rep wins more of the deals with more activity in the first 30 days",
        "A rep wins fewer of the deals with more activity in the first 30 days",
        "Reps whose deals usually have more activity in the first 30 days win more of them",
        "Reps whose deals usually have more activity in the first 30 days win fewer of them",
        "More activity in the first 30 days goes with no clear difference in wins",
    }
    calls = pd.DataFrame([row("within a rep", 0.04, p_value=0.001) | {"activity": "call"}])
    assert "those with twice the calls by then" in activity_effect.relation_sentence(calls, activity="call")
    few = pd.DataFrame([row("within a rep", 0.04, p_value=0.001, n=19)])
    assert activity_effect.relation_sentence(few).startswith("Too few deals")


def test_what_is_missing_is_told():
    with pytest.raises(checks.DataError, match=r"missing column \['owner_id'\]"):
        activity_effect.relation(company(1).drop(columns="owner_id"))
    with pytest.raises(checks.DataError, match="call_count"):
        activity_effect.dose_response(company(1), column="call_count")  # counted, but not this
