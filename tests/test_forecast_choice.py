"""Whose forecast is printed: both branches of the rule, the range of a method that says one number, the words."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

from salesops import forecast_backtest, forecast_choice

CASE = SimpleNamespace(week=5, won_so_far=30.0)
METHODS = {name: lambda *_, **__: 100.0 for name in ("pipeline", "near", "far", "silent")}
METHODS["silent"] = lambda *_, **__: np.array([np.nan])


def backtested(errors, n=12):
    """Every method's absolute error, alternating in sign, with a little noise of the quarter."""
    noise = np.tile([0.0, 1.0, 2.0, 1.5], n)[:n]
    frames = [
        pd.DataFrame({"model": name, "period": [f"Q{at}" for at in range(n)], "week": 5, "actual": 100.0,
                      "predicted": 100 + np.where(np.arange(n) % 2, 1, -1) * (error + noise * (1 + place))})
        for place, (name, error) in enumerate(errors.items())
    ]  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def chosen(errors, **other):
    rivals = forecast_backtest.compared(backtested(errors, **other), model="pipeline")
    return forecast_choice.choice(rivals, CASE, METHODS).iloc[0]


def test_the_default_stays_where_it_is_the_best():
    row = chosen({"pipeline": 10, "near": 30, "far": 60})
    assert (row["model"], row["other"], bool(row["is_default"]), bool(row["is_clear"])) == (
        "pipeline",
        "near",
        True,
        True,
    )


def test_the_default_stays_where_another_is_better_by_chance_only():
    errors = backtested({"pipeline": 10})
    other = errors.assign(model="near", predicted=100 + (errors["predicted"] - 100) * np.tile([0.4, 1.5], 6))
    rivals = forecast_backtest.compared(pd.concat([errors, other]), model="pipeline")
    assert (rivals["other_error_rate"] < rivals["error_rate"]).all() and rivals["p_value"].iloc[0] > 0.05
    row = forecast_choice.choice(rivals, CASE, METHODS).iloc[0]
    assert row["model"] == "pipeline" and not row["is_clear"]
    assert "no other way was clearly better" in forecast_choice.choice_sentence(pd.DataFrame([row]))


def test_another_takes_its_place_where_it_is_better_beyond_chance():
    row = chosen({"pipeline": 40, "near": 25, "far": 10})
    assert (row["model"], row["other"], bool(row["is_default"])) == ("far", "pipeline", False)
    assert row["error_rate"] < row["other_error_rate"] and row["n"] == 12
    said = forecast_choice.choice_sentence(pd.DataFrame([row]))
    assert said.startswith("The forecast is that of far, not the deal-by-deal forecast: over 12 quarters")


def test_a_method_that_says_nothing_now_cannot_be_used():
    assert chosen({"pipeline": 40, "silent": 10, "near": 20})["model"] == "near"
    assert chosen({"pipeline": 40, "silent": 10})["model"] == "pipeline"
    assert chosen({"pipeline": 40, "unheard of": 10})["model"] == "pipeline"


def test_two_quarters_choose_nothing():
    assert chosen({"pipeline": 40, "near": 1}, n=2)["model"] == "pipeline"


def test_the_report_s_own_control_of_chance_decides():
    rivals = forecast_backtest.compared(backtested({"pipeline": 40, "near": 10}), model="pipeline")
    assert forecast_choice.choice(rivals.assign(is_named=False), CASE, METHODS)["model"].item() == "pipeline"
    assert forecast_choice.choice(rivals.assign(is_named=True, p_value=0.9), CASE, METHODS)["model"].item() == "near"


def test_without_a_backtest_the_default_is_used():
    row = forecast_choice.choice(forecast_backtest.compared(backtested({"near": 1}), model="pipeline"), CASE, METHODS)
    assert row["model"].item() == "pipeline" and "no past quarter" in forecast_choice.choice_sentence(row)


def test_a_distribution_is_used_as_it_is():
    draws = np.array([1.0, 2.0, 3.0])
    assert forecast_choice.chosen_draws(CASE, lambda *_, **__: draws, backtested({"near": 1}), model="near") is not None
    assert (
        forecast_choice.chosen_draws(CASE, lambda *_, **__: draws, backtested({"near": 1}), model="near") == draws
    ).all()


def test_one_number_gets_the_range_of_its_own_errors():
    past = backtested({"near": 20})
    draws = forecast_choice.chosen_draws(CASE, METHODS["near"], past, model="near")
    miss = np.log(past["actual"] / past["predicted"])
    high = 100 * np.exp(student.ppf(0.9, 12) * np.sqrt((miss**2).mean() * 13 / 12))
    assert np.median(draws) == pytest.approx(100, rel=1e-12) and np.quantile(draws, 0.9) == pytest.approx(
        high, rel=2e-3
    )
    late = pd.concat([past, past.assign(week=9, predicted=200.0)])
    assert (forecast_choice.chosen_draws(CASE, METHODS["near"], late, model="near") == draws).all()


def test_the_range_of_one_number_holds_four_of_five():
    random, held = np.random.default_rng(1), []
    for _ in range(600):
        came = 100 * np.exp(random.normal(0, 0.3, 9))
        past = pd.DataFrame({"model": "near", "week": 5, "actual": came[:8], "predicted": 100.0})
        low, high = np.quantile(forecast_choice.chosen_draws(CASE, METHODS["near"], past, model="near"), [0.1, 0.9])
        held.append(low <= came[8] <= high)
    assert 0.76 < np.mean(held) < 0.84


def test_what_is_won_is_the_least():
    case = SimpleNamespace(week=5, won_so_far=95.0)
    assert forecast_choice.chosen_draws(case, METHODS["near"], backtested({"near": 20}), model="near").min() == 95.0


def test_few_errors_give_no_range():
    few = backtested({"near": 20}, n=3)
    assert forecast_choice.chosen_draws(CASE, METHODS["near"], few, model="near").tolist() == [100.0]
    assert np.isnan(forecast_choice.chosen_draws(CASE, METHODS["silent"], few, model="silent")).all()
