"""How wrong forecasts of the quarter are, where the truth is known: simulated companies, and one who knows their law.

Run with ``make bench NAME=forecast``. Companies of about 70 wins a quarter and E[A^2] / E[A]^2 of about 6, eight
quarters at weeks 1, 5 and 9, without and with a common factor of the quarter (sd 0.2). The oracle knows every chance
but not the factor. All companies tell accuracy and coverage (200, or as many as the command line
says); errors are 2 Monte-Carlo standard errors with companies drawn anew. The CRM's stage weights are taken twice: of
the deals due in the quarter, and of all open deals. Last, how long the backtest of a company of 5,000 deals takes: 12
quarters by 13 weeks.
"""

import multiprocessing
import sys
import time

import forecast_world
import numpy as np
import pandas as pd

from salesops import forecast_backtest, forecast_cases, pipeline_forecast
from salesops.stats import bootstrap

COMPANIES = 200
WEEKS = (1, 5, 9)
SHOCKS = (0.0, 0.2)
GROWTH = 1.04  # planned, from last year's quarter
MODELS = ("oracle", "pipeline", "crm_stage_weights", "crm_weights_all_open", "same_quarter_last_year")
LIMITS = {0.0: (0.21, 0.18, 0.14), 0.2: (0.225, 0.195, 0.145)}  # the issue's, of WAPE
BELOW_CRM = (0.60, 0.60, 0.50)


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else COMPANIES
    with multiprocessing.Pool(2) as pool:
        for shock in SHOCKS:
            found = pool.imap(company, [(seed, shock) for seed in range(n)])
            show(pd.concat(found, ignore_index=True), shock)
    show_speed()


def company(job: tuple[int, float]) -> pd.DataFrame:
    """Every method on the last eight quarters of one company."""
    seed, shock = job
    world = forecast_world.simulated(seed=seed, quarters=20, shock=shock)
    cases = forecast_cases.cases(
        world.opportunities, world.stage_history, stages=world.stages, as_of=world.as_of, weeks=WEEKS, quarters=8
    )
    actual = forecast_world.bookings(world)
    methods = {
        "oracle": forecast_world.oracle(world),
        "pipeline": pipeline_forecast.pipeline,
        "crm_stage_weights": crm_stage_weights,
        "crm_weights_all_open": lambda case, **_: case.won_so_far + case.now["amount"] @ case.now["probability"],
        "same_quarter_last_year": lambda case, **_: actual.shift(4)[case.period.label],
    }
    tested = forecast_backtest.backtest(cases, methods, actual, seed=seed, targets=GROWTH * actual.shift(4))
    floor = forecast_backtest.floors(cases[-1], weeks=WEEKS).set_index("week")["floor_rate"]
    return tested.assign(company=seed, floor=tested["week"].astype(str).map(floor))


def crm_stage_weights(case: forecast_cases.Case, **_) -> float:
    """Won so far and the deals due in the quarter, each times the CRM's probability of its stage."""
    due = case.now[case.now["is_due"]]
    return case.won_so_far + float(due["amount"] @ due["probability"])


def show(tested: pd.DataFrame, shock: float) -> None:
    """The issue's table for one setting."""
    print(f"\ncommon factor sd {shock}: {tested['company'].nunique()} companies, 8 quarters each")
    print(f"{'week':<6}{'model':<24}{'WAPE':>8}{'± 2 se':>8}{'bias':>8}{'± 2 se':>8}{'CRPS':>7}"
          f"{'50 %':>7}{'80 %':>7}{'± 2 se':>8}{'95 %':>7}")  # fmt: skip
    for week in (*WEEKS, None):
        for model in MODELS:
            mine = tested[(tested["model"] == model) & (week is None or tested["week"] == week)]
            miss, side = (ratio(mine, part) for part in ("size", "sign"))
            cover = {level: share(mine, level) for level in (50, 80, 95)}
            print(f"{week or 'all':<6}{model:<24}{miss[0]:>8.3f}{miss[1]:>8.3f}{side[0]:>8.3f}{side[1]:>8.3f}"
                  f"{mine['crps'].sum() / mine['actual'].sum():>7.3f}{cover[50][0]:>7.3f}{cover[80][0]:>7.3f}"
                  f"{cover[80][1]:>8.3f}{cover[95][0]:>7.3f}")  # fmt: skip
    verdicts(tested, shock)


def verdicts(tested: pd.DataFrame, shock: float) -> None:
    """The issue's claims, each with its figure."""
    for place, week in enumerate(WEEKS):
        part = tested[tested["week"] == week]
        wape, around = ratio(part[part["model"] == "pipeline"], "size")
        (over, error), (share_of_crm, spread_of_crm) = (
            relative(part, other) for other in ("oracle", "crm_stage_weights")
        )
        best = 1 - relative(part, "crm_stage_weights", model="oracle")[0]
        limit, least, floor = LIMITS[shock][place], BELOW_CRM[place], part["floor"].mean()
        print(
            f"week {week}: WAPE {wape:.3f} ± {around:.3f} (at most {limit}), {over:.3f} ± {error:.3f} of the oracle's "
            f"(at most 1.10), {1 - share_of_crm:.1%} ± {spread_of_crm:.1%} below the CRM's weights (at least "
            f"{least:.0%}; the oracle {best:.1%}); floor {floor:.3f}"
        )
    side, error = ratio(tested[tested["model"] == "pipeline"], "sign")
    print(f"bias, weeks pooled: {side:+.3f} ± {error:.3f} (at most 0.03 either way)")
    for model in ("oracle", "pipeline"):
        skill, error = brier_skill(tested[tested["model"] == model])
        print(f"Brier skill of the target call, {model}: {skill:.3f} ± {error:.3f} (at least 0.25)")


def ratio(rows: pd.DataFrame, part: str) -> tuple[float, float]:
    """Absolute (size) or signed errors over the actuals, and 2 standard errors over companies."""
    error = rows["predicted"] - rows["actual"]
    error = error.abs() if part == "size" else error
    return spread(np.column_stack([error, rows["actual"]]), rows["company"], lambda sums: sums[:, 0] / sums[:, 1])


def relative(rows: pd.DataFrame, other: str, *, model: str = "pipeline") -> tuple[float, float]:
    """One method's errors over another's on the same cases."""
    wide = rows.assign(miss=(rows["predicted"] - rows["actual"]).abs())
    wide = wide.pivot(index=["company", "period", "week"], columns="model", values="miss")
    return spread(wide[[model, other]].to_numpy(), wide.index.get_level_values("company"),
                  lambda sums: sums[:, 0] / sums[:, 1])  # fmt: skip


def share(rows: pd.DataFrame, level: int) -> tuple[float, float]:
    """Share of the actuals within the limits."""
    known = rows[rows[f"predicted_low_{level}"].notna()]
    if known.empty:
        return np.nan, np.nan
    hit = known["actual"].between(known[f"predicted_low_{level}"], known[f"predicted_high_{level}"])
    return spread(np.column_stack([hit, np.ones(len(hit))]), known["company"], lambda sums: sums[:, 0] / sums[:, 1])


def brier_skill(rows: pd.DataFrame) -> tuple[float, float]:
    """Share of the squared error of the plain share of targets reached that the stated chances save."""
    rows = rows[rows["target_chance"].notna()]
    came = rows["is_above_target"].astype(float)
    columns = np.column_stack([(rows["target_chance"] - came) ** 2, came, np.ones(len(came))])
    return spread(columns, rows["company"], lambda s: 1 - s[:, 0] / (s[:, 1] * (1 - s[:, 1] / s[:, 2])))


def spread(columns: np.ndarray, company, figure) -> tuple[float, float]:
    """A figure of sums, and 2 standard errors with companies drawn anew."""
    sums = bootstrap.resampled_sums(columns, cluster=company, draws=1000)
    return float(figure(columns.sum(axis=0, keepdims=True).astype(float))[0]), float(2 * figure(sums).std())


def show_speed() -> None:
    """The full backtest of one company of about 5,000 deals, in seconds of one processor."""
    world = forecast_world.simulated(seed=0, quarters=13, size=1.0)
    started = time.process_time()
    cases = forecast_cases.cases(
        world.opportunities, world.stage_history, stages=world.stages, as_of=world.as_of,
        weeks=range(1, 14), quarters=12, least=1,
    )  # fmt: skip
    built = time.process_time()
    methods = {"pipeline": pipeline_forecast.pipeline, "crm_stage_weights": crm_stage_weights}
    tested = forecast_backtest.backtest(cases, methods, forecast_world.bookings(world), seed=0)
    forecast_backtest.scores(tested, naive="crm_stage_weights")
    done = time.process_time()
    print(f"\n{len(world.opportunities):,} deals, {len(cases)} cases, seconds of one processor: "
          f"{built - started:.1f} to build, {done - built:.1f} "
          "to forecast and score (on two processors together under 60)")  # fmt: skip


if __name__ == "__main__":
    main()
