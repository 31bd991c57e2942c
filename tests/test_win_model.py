"""Win model: judged on later deals only, with nothing of the days to come."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from sklearn.metrics import log_loss, roc_auc_score

from salesops import checks, landmark, win_model
from salesops.crm import sample
from salesops.periods import Calendar

AS_OF = date(2026, 9, 30)
FACTORS = ["segment", "amount", "region"]


def company(n: int = 3000, *, seed: int = 0, effect: float = 1.2, lasts: float = 40.0) -> pd.DataFrame:
    """Deals over three years; a segment wins more often by `effect` in log odds, nothing else tells."""
    random = np.random.default_rng(seed)
    landed = pd.Timestamp("2023-10-01") + pd.to_timedelta(np.sort(random.integers(0, 1095, n)), unit="D")
    segment = random.choice(["SMB", "Enterprise"], n)
    chance = expit(-1.2 + effect * (segment == "SMB"))
    lasted = np.ceil(random.exponential(lasts, n))
    ended = landed + pd.to_timedelta(lasted, unit="D")
    is_closed = ended <= pd.Timestamp(AS_OF)
    return pd.DataFrame(
        {
            "opportunity_id": [f"d{number}" for number in range(n)],
            "account_id": [f"a{number // 2}" for number in range(n)],
            "owner_id": "r1",
            "landmark_at": landed + pd.Timedelta(hours=9),
            "days": np.where(is_closed, lasted, (pd.Timestamp(AS_OF) - landed) / pd.Timedelta(days=1)),
            "is_closed": is_closed,
            "is_won": (random.random(n) < chance) & is_closed,
            "crm_probability": 0.3,
            "segment": segment,
            "amount": random.lognormal(9, 1, n),
            "region": random.choice(["East", "West", None], n),
            "truth": chance,
        }
    )


@pytest.fixture(scope="module")
def frame():
    return company()


@pytest.fixture(scope="module")
def later(frame):
    return win_model.later_deals(frame, FACTORS, as_of=AS_OF)


@pytest.fixture(scope="module")
def card(later):
    return win_model.score_card(later)


@pytest.fixture
def undated(frame):
    return frame.assign(landmark_at=pd.Series(pd.NaT, index=frame.index, dtype="datetime64[us]"), days=np.nan)


def test_every_later_deal_is_scored_once_by_what_was_known_before(frame, later):
    assert (
        later["period"].unique().tolist() == [f"{year}Q{q}" for year in (2024, 2025, 2026) for q in range(1, 5)][3:11]
    )
    assert later["opportunity_id"].is_unique
    inside = frame["landmark_at"].between("2024-10-01", "2026-10-01")
    assert set(later["opportunity_id"]) == set(frame.loc[inside, "opportunity_id"])
    landed = later["opportunity_id"].map(frame.set_index("opportunity_id")["landmark_at"])
    assert (landed > later["cutoff_date"] + pd.Timedelta(days=1)).all()
    first = later.iloc[0]
    ended = frame["landmark_at"].dt.normalize() + pd.to_timedelta(frame["days"], unit="D")
    assert first["n_known"] == (frame["is_closed"] & (ended <= first["cutoff_date"])).sum()


def test_the_days_to_come_change_no_chance(frame, later):
    """Outcomes, ends and factors of what happens after a quarter began, turned round, leave its chances alone."""
    start = pd.Timestamp("2025-07-01")
    ended = frame["landmark_at"].dt.normalize() + pd.to_timedelta(frame["days"], unit="D")
    future = frame["is_closed"] & (ended >= start)
    changed = frame.assign(is_won=frame["is_won"] ^ future, days=frame["days"] + 20 * future)
    changed["segment"] = frame["segment"].where(frame["landmark_at"] < "2025-10-01", "SMB")
    until = later[later["cutoff_date"] < start]
    other = win_model.later_deals(changed, FACTORS, as_of=AS_OF)
    columns = ["opportunity_id", "period", "n_known", "win_model", "base_rate"]
    pd.testing.assert_frame_equal(until[columns], other.loc[: len(until) - 1, columns], check_dtype=False)
    assert not np.allclose(later["win_model"][len(until) :], other["win_model"][len(until) :])


def test_the_order_of_the_rows_changes_nothing(frame, later):
    shuffled = win_model.later_deals(frame.sample(frac=1, random_state=1), FACTORS, as_of=AS_OF)
    both = later.merge(shuffled, on="opportunity_id", suffixes=("", "_2"))
    # The folds that choose the penalty may fall otherwise, so nearly.
    assert both["win_model"].to_numpy() == pytest.approx(both["win_model_2"].to_numpy(), abs=0.02)


def test_the_input_stays_as_it_was(frame):
    before = frame.copy(deep=True)
    win_model.later_deals(frame, FACTORS, as_of=AS_OF, quarters=1)
    win_model.predict_win_probability(frame, FACTORS, as_of=AS_OF)
    pd.testing.assert_frame_equal(frame, before)


def test_the_chances_are_near_the_truth(frame, later):
    truth = later["opportunity_id"].map(frame.set_index("opportunity_id")["truth"])
    assert (later["win_model"] - truth).abs().mean() < 0.04
    assert later["base_rate"].between(0.25, 0.45).all()


def test_the_card_by_hand(later, card):
    done = later[later["is_closed"]]
    row = card.set_index("model").loc["win_model"]
    assert row["n"] == len(done) and row["n_won"] == done["is_won"].sum() and row["n_open"] == len(later) - len(done)
    loss = {
        name: log_loss(done["is_won"], done[name], sample_weight=done["weight"]) for name in ("win_model", "base_rate")
    }
    assert row["log_loss"] == pytest.approx(loss["win_model"])
    assert row["skill_rate"] == pytest.approx(1 - loss["win_model"] / loss["base_rate"])
    assert row["auc"] == pytest.approx(roc_auc_score(done["is_won"], done["win_model"], sample_weight=done["weight"]))
    assert row["skill_rate_low"] > 0 and row["calibration_slope_low"] < 1 < row["calibration_slope_high"]
    base = card.set_index("model").loc["base_rate"]
    assert [base[f"skill_rate{end}"] for end in ("", "_low", "_high")] == [0, 0, 0]
    crm = card.set_index("model").loc["crm_probability"]
    assert crm["auc"] == pytest.approx(0.5) and np.isnan(crm["calibration_slope"])


def test_limits_hold_their_figures(card):
    for name in ("log_loss", "brier_score", "skill_rate", "auc"):
        assert (card[f"{name}_low"] <= card[name] + 1e-12).all() and (card[name] <= card[f"{name}_high"] + 1e-12).all()


def test_the_decided_stand_for_the_open(later):
    assert (later.loc[~later["is_closed"], "weight"] == 0).all()
    assert later.loc[later["is_closed"], "weight"].mean() == pytest.approx(1)
    done = later[later["is_closed"]].assign(days=1)
    assert done["weight"].max() > 1.05


def test_the_calibration_table_counts_every_decided_deal(later):
    table = win_model.calibration(later)
    assert table["n"].sum() == later["is_closed"].sum() and table["n_won"].sum() == later["is_won"].sum()
    assert table["predicted_rate"].is_monotonic_increasing and len(table) == 10
    assert (table["later_win_rate_low"] <= table["later_win_rate"]).all()
    assert (table["later_win_rate"] <= table["later_win_rate_high"]).all()
    assert len(win_model.calibration(later, model="crm_probability")) == 1


def test_what_tells_deals_apart_is_found_and_nothing_else(frame, later):
    table = win_model.importance(frame, FACTORS, as_of=AS_OF)
    assert table["factor"].iloc[0] == "segment" and table["is_named"].tolist() == [True, False, False]
    assert (table["n"] == later["is_closed"].sum()).all()
    first = table.iloc[0]
    assert first["dropped_log_loss_change_low"] > 0 and first["shuffled_log_loss_change_low"] > 0
    assert first["dropped_log_loss_change"] == pytest.approx(0.035, abs=0.02)


def test_twins_share_their_importance_when_one_is_dropped(frame):
    twins = frame.assign(size=frame["segment"].map({"SMB": "small", "Enterprise": "large"}))
    table = win_model.importance(twins, [*FACTORS, "size"], as_of=AS_OF).set_index("factor")
    assert table["dropped_log_loss_change"].abs().max() < 0.005 and not table["is_named"].any()
    assert table.loc[["segment", "size"], "shuffled_log_loss_change_low"].min() > 0


def test_importance_and_the_card_tell_the_same_deals(frame):
    """Without its only factor the model is the base rate: dropping it costs the skill."""
    one = win_model.later_deals(frame, ["segment"], as_of=AS_OF)
    found = win_model.score_card(one).set_index("model")
    table = win_model.importance(frame, ["segment"], as_of=AS_OF)
    gap = found.loc["base_rate", "log_loss"] - found.loc["win_model", "log_loss"]
    assert table["dropped_log_loss_change"].iloc[0] == pytest.approx(gap, abs=0.001)


def test_where_nothing_tells_the_chances_are_no_better_than_the_base_rate():
    cards = [
        win_model.score_card(win_model.later_deals(company(1500, seed=seed, effect=0), FACTORS, as_of=AS_OF))
        for seed in range(6)
    ]
    rows = pd.concat([card[card["model"] == "win_model"] for card in cards])
    assert (rows["skill_rate_low"] > 0).sum() <= 1 and rows["skill_rate"].abs().max() < 0.02
    said = [win_model.score_sentence(card) for card in cards]
    assert sum("predict no better than the base rate" in each or "worse" in each for each in said) >= 5


def test_a_change_of_level_is_followed():
    """Half as many wins from 2025-10-01 on, of whatever landmark: two quarters later the chances know it."""
    frame = company(12_000, effect=0.8)
    ended = frame["landmark_at"].dt.normalize() + pd.to_timedelta(frame["days"], unit="D")
    lost = (ended >= "2025-10-01") & (np.random.default_rng(5).random(len(frame)) < 0.5)
    later = win_model.later_deals(frame.assign(is_won=frame["is_won"] & ~lost), FACTORS, as_of=AS_OF)
    mean = later.groupby("period")["win_model"].mean()
    assert mean["2025Q3"] > 0.3 and mean["2026Q2"] == pytest.approx(mean["2025Q3"] / 2, abs=0.03)


@pytest.fixture(scope="module")
def growing():
    """Ever more deals; 30 % are won, after 150 days on average, the others lost after 20."""
    random = np.random.default_rng(3)
    n = 8000
    landed = pd.Timestamp("2024-10-01") + pd.to_timedelta(np.sort(np.floor(730 * random.random(n) ** 0.35)), unit="D")
    will = random.random(n) < 0.3
    lasted = np.ceil(np.where(will, random.exponential(150, n), random.exponential(20, n)))
    ended = landed + pd.to_timedelta(lasted, unit="D")
    closed = ended <= pd.Timestamp(AS_OF)
    frame = pd.DataFrame(
        {
            "opportunity_id": range(n), "account_id": range(n), "owner_id": "r", "landmark_at": landed,
            "days": np.where(closed, lasted, (pd.Timestamp(AS_OF) - landed) / pd.Timedelta(days=1)),
            "is_closed": closed, "is_won": will & closed, "segment": random.choice(["a", "b"], n),
        }
    )  # fmt: skip
    return frame


def test_quick_losses_do_not_lower_the_chances_of_a_growing_company(growing):
    later = win_model.later_deals(growing, ["segment"], as_of=AS_OF, quarters=1)
    decided = growing[
        growing["is_closed"]
        & (growing["landmark_at"] < "2026-07-01")
        & (growing["days"] + (growing["landmark_at"] - pd.Timestamp("2026-07-01")) / pd.Timedelta(days=1) < 0)
    ]
    assert decided["is_won"].mean() < 0.25
    assert later["win_model"].mean() == pytest.approx(0.3, abs=0.04)
    assert later["base_rate"].mean() == pytest.approx(0.3, abs=0.04)


def test_a_deal_that_is_still_open_after_the_losses_has_a_better_chance(growing):
    table = win_model.predict_win_probability(growing, ["segment"], as_of=AS_OF)
    young = table.loc[table["open_days"] <= 5, "win_probability"].mean()
    old = table.loc[table["open_days"].between(100, 150), "win_probability"].mean()
    # At 125 days .3 exp(-125 / 150) are still open that will be won, and .7 exp(-125 / 20) that will not.
    assert young == pytest.approx(0.32, abs=0.05) and old > 0.8


def test_the_penalty_is_chosen_once_before_the_first_quarter(frame, monkeypatch):
    seen = []
    best = win_model.chances.ridge.best_penalty
    monkeypatch.setattr(
        win_model.chances.ridge,
        "best_penalty",
        lambda columns, *args, **how: seen.append(len(columns.values)) or best(columns, *args, **how),
    )
    later = win_model.later_deals(frame.copy(), FACTORS, as_of=AS_OF)
    assert seen == [later["n_known"].iloc[0]]


def test_chances_of_the_deals_open_now(frame):
    table = win_model.predict_win_probability(frame, FACTORS, as_of=AS_OF)
    still = frame[~frame["is_closed"]]
    assert (
        set(table["opportunity_id"]) == set(still["opportunity_id"])
        and table["win_probability"].is_monotonic_decreasing
    )
    truth = table["opportunity_id"].map(frame.set_index("opportunity_id")["truth"])
    assert (table["win_probability"] - truth).abs().mean() < 0.05
    inside = (table["win_probability_low"] < truth) & (truth < table["win_probability_high"])
    assert inside.mean() > 0.7 and table["n"].unique().size == 1
    assert (table["win_probability_low"] < table["win_probability"]).all()
    assert (
        table["open_days"].tolist() == table["opportunity_id"].map(frame.set_index("opportunity_id")["days"]).tolist()
    )


def test_a_fiscal_calendar_moves_the_quarters(frame):
    later = win_model.later_deals(frame, FACTORS, as_of=AS_OF, calendar=Calendar(2), quarters=2)
    assert later["period"].unique().tolist() == ["FY27Q2", "FY27Q3"]
    assert later["cutoff_date"].dt.strftime("%m-%d").unique().tolist() == ["04-30", "07-31"]


def test_without_dates_nothing_is_scored(undated):
    later = win_model.later_deals(undated, FACTORS, as_of=AS_OF)
    card = win_model.score_card(later)
    assert later.empty and card["n"].tolist() == [0, 0, 0] and card["log_loss"].isna().all()
    assert win_model.importance(undated, FACTORS, as_of=AS_OF).empty
    assert win_model.predict_win_probability(undated, FACTORS, as_of=AS_OF).empty
    assert win_model.calibration(later).empty
    assert win_model.score_sentence(card, has_dates=False).startswith("Without dates no deal comes later than another")
    assert win_model.calibration_sentence(card) == ""


def test_too_few_deals_say_so(frame):
    few = frame.head(80)
    later = win_model.later_deals(few, FACTORS, as_of=AS_OF)
    card = win_model.score_card(later)
    assert later.empty and list(later.columns) == list(win_model.later_deals(frame, FACTORS, as_of=AS_OF, quarters=1))
    assert win_model.score_sentence(card) == "No later deal is decided: too few to say how good the chances are."
    table = win_model.importance(few, FACTORS, as_of=AS_OF)
    assert win_model.importance_sentence(table).startswith("Too few deals are decided")
    assert table.columns.tolist() == win_model.importance(frame, FACTORS, as_of=AS_OF, quarters=1).columns.tolist()
    still = win_model.predict_win_probability(frame.tail(80), FACTORS, as_of=AS_OF)
    assert len(still) and still["win_probability"].isna().all()


def test_no_crm_probability_is_a_row_without_figures(frame):
    later = win_model.later_deals(frame.drop(columns="crm_probability"), FACTORS, as_of=AS_OF, quarters=2)
    card = win_model.score_card(later).set_index("model")
    assert card.loc["crm_probability", "n"] == 0 and np.isnan(card.loc["crm_probability", "brier_score"])


def test_all_won_teaches_nothing(frame):
    all_won = frame[frame["is_won"]]
    assert win_model.later_deals(all_won, FACTORS, as_of=AS_OF).empty


def test_errors_say_what_to_do(frame):
    with pytest.raises(checks.ParameterError, match=r"factors is empty\. Give at least one column"):
        win_model.later_deals(frame, [], as_of=AS_OF)
    with pytest.raises(checks.DataError, match=r"win_model: missing column \['sgment'\].*Did you mean 'segment'"):
        win_model.predict_win_probability(frame, ["sgment"], as_of=AS_OF)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"skill_rate_low": -0.2, "skill_rate_high": -0.1}, "predict worse than the base rate"),
        ({"skill_rate_low": np.nan}, "predict no better than the base rate"),
        ({"n": 1}, "One later deal is decided: too few"),
        ({}, r"less error than the base rate .*; a deal that was won .* in 65 of 100 pairs"),
    ],
)
def test_score_sentences(card, change, words):
    rows = card.assign(auc=0.652, **change)
    assert pd.Series(win_model.score_sentence(rows)).str.contains(words).all()
    assert ("pairs" in win_model.score_sentence(rows)) == (not change)  # ranking is never told alone


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(0.5, 0.9, "too far out"), (1.1, 1.5, "too timid"), (0.9, 1.1, "differ by"), (0.9, 1.1, "luck")],
)
def test_calibration_sentences(card, low, high, words):
    rows = card.assign(calibration_slope=1.0, calibration_slope_low=low, calibration_slope_high=high)
    assert words in win_model.calibration_sentence(rows)


def test_importance_sentences():
    table = pd.DataFrame({"factor": ["segment", "owner_id", "x_tier"], "is_named": True})
    assert win_model.importance_sentence(table) == "Later deals are predicted better with segment, owner and tier."
    assert win_model.importance_sentence(table.head(1).assign(is_named=False)) == (
        "The one factor does not make later deals more predictable by more than chance would."
    )


def test_the_sample_company_is_predicted_nearly_as_well_as_can_be():
    """A short form of ``benchmarks/win_model.py``: within 6 % of the true chances' own log-loss, slope about 1."""
    switches = {"seed": 0, "size": 6000}
    tables = sample.tables(**switches)
    deals = tables["opportunities"].dropna(subset=["opportunity_id", "outcome"]).drop_duplicates("opportunity_id")
    deals = deals[deals["opportunity_type"] != "renewal"]
    frame = landmark.deals(
        deals, at="qualified", as_of=AS_OF, stage_history=tables["stage_history"], accounts=tables["accounts"]
    )
    factors = [
        "segment",
        "opportunity_type",
        "x_executive_sponsor",
        "is_partner",
        "product",
        "owner_id",
        "region",
        "x_trial",
        "amount",
    ]
    later = win_model.later_deals(frame, factors, as_of=AS_OF, quarters=7)
    some = later[later["opportunity_id"].isin(later["opportunity_id"].iloc[::40])]
    landed = some["opportunity_id"].map(frame.set_index("opportunity_id")["landmark_at"]).dt.normalize()
    key = sample.truth(**switches)
    truth = pd.concat([key.win_probability(some["opportunity_id"][landed == day], day) for day in landed.unique()])
    truth, said = truth[some["opportunity_id"]].to_numpy(), some["win_model"].to_numpy()
    expected = lambda p: -np.mean(truth * np.log(p) + (1 - truth) * np.log1p(-p))  # noqa: E731
    assert expected(said) < 1.06 * expected(truth)
    assert np.polyfit(logit(said), logit(truth), 1)[0] == pytest.approx(1, abs=0.45)
    card = win_model.score_card(later).set_index("model")
    assert card.loc["win_model", "skill_rate_low"] > 0.01 and card.loc["win_model", "calibration_error"] < 0.06
    assert 0.7 < card.loc["win_model", "calibration_slope"] < 1.4
