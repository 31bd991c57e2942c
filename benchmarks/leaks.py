"""How many planted leaks the guard finds, and how many honest fields it refuses, on companies of three sizes.

Run with ``make bench NAME=leaks``. Each draw is another sample company, with fields planted in its CRM: some
written by the outcome, some honest but awkward (filled up with age, introduced late, given up, missing for
a segment or for fast products, strong predictors). Two standard errors treat each company as one draw.
"""

from collections.abc import Iterator
from datetime import date
from multiprocessing import get_context

import numpy as np
import pandas as pd

from salesops import landmark, leaks
from salesops.crm import sample

AS_OF = date(2026, 9, 30)
SIZES = ((2_000, 60), (6_000, 60), (20_000, 40))
WRITTEN_BY_THE_SAMPLE = (
    "competitor", "loss_reason", "list_amount", "arr_amount", "one_off_amount", "term_months",
)  # fmt: skip


def main() -> None:
    with get_context("spawn").Pool(2) as pool:
        for size, draws in SIZES:
            jobs = [(seed, size, bool(seed % 3 == 2)) for seed in range(draws)]
            show(size, pd.concat(pool.starmap(company, jobs, chunksize=1), ignore_index=True))


def show(size: int, found: pd.DataFrame) -> None:
    print(f"\n{size:,} opportunities, {found['seed'].nunique()} companies")
    for is_leak, name in ((True, "leaks caught"), (False, "honest fields refused")):
        mine = found[found["is_leak"] == is_leak]
        each = mine.groupby("seed")["is_refused"].mean()
        error = 2 * each.std(ddof=1) / np.sqrt(len(each))
        print(f"  {name:<24}{mine['is_refused'].mean():>8.4f} ± {error:.4f}   of {len(mine):,} fields")
        by_kind = mine.groupby("factor")["is_refused"].mean()
        odd = by_kind[by_kind < 1] if is_leak else by_kind[by_kind > 0]
        print("".join(f"    {factor:<36}{share:>8.3f}\n" for factor, share in odd.items()), end="")
    refused = found[~found["is_leak"]].groupby("seed")["is_refused"]
    print(f"  honest fields a company: {refused.size().iloc[0]}; most refused in one: {refused.sum().max()}")


def company(seed: int, size: int, is_null: bool) -> pd.DataFrame:
    """One company's fields, planted and its own: ``factor, is_leak, reason, is_refused, seed``."""
    switches = {"seed": seed, "size": size, "clean": True, "null": is_null}
    tables = sample.tables(**switches)
    deals = tables["opportunities"]
    rng = np.random.default_rng([seed, size])
    planted = plant(rng, deals, tables["activities"], chances(deals, switches))
    deals = deals.assign(**planted)
    history = tables["stage_history"]
    frame = landmark.deals(
        deals,
        at="qualified" if seed % 2 else 14,
        as_of=AS_OF,
        stage_history=history,
        activities=tables["activities"],
        accounts=tables["accounts"],
        reps=tables["reps"],
    )
    history, frame = edited_at_close(rng, history, deals, frame)
    found = leaks.guard(
        frame,
        deals,
        factors=landmark.factors(frame),
        as_of=AS_OF,
        stage_history=history,
        activities=tables["activities"],
    )
    is_leak = found["factor"].str.startswith("x_leak_") | found["factor"].isin(WRITTEN_BY_THE_SAMPLE)
    return found[["factor", "reason"]].assign(is_leak=is_leak, is_refused=found["reason"].notna(), seed=seed)


def chances(deals: pd.DataFrame, switches: dict) -> np.ndarray:
    """Chance that each deal ends won: what honest fields of open deals are drawn from."""
    known = sample.truth(**switches).win_probability(deals["opportunity_id"], AS_OF).to_numpy()
    return np.where(deals["is_closed"], deals["is_won"].to_numpy(float), known)


def plant(
    rng: np.random.Generator, deals: pd.DataFrame, activities: pd.DataFrame, chance: np.ndarray
) -> dict[str, object]:
    """Fields by name, one value a deal of the table."""
    ended = deals["closed_at"].fillna(pd.Timestamp(AS_OF)).dt.normalize()
    age = (ended - deals["created_date"].dt.normalize()).dt.days.to_numpy()
    will_win = rng.random(len(deals)) < chance
    leaking = leaking_fields(rng, deals, activities, age, ended)
    honest = honest_fields(rng, deals, age, will_win)
    return {f"x_leak_{name}": values for name, values in leaking} | {
        f"x_honest_{name}": values for name, values in honest
    }


def leaking_fields(
    rng: np.random.Generator, deals: pd.DataFrame, activities: pd.DataFrame, age: np.ndarray, ended: pd.Series
) -> Iterator[tuple[str, object]]:
    won, closed = deals["is_won"].to_numpy(), deals["is_closed"].to_numpy()
    lost, n = closed & ~won, len(deals)
    words = rng.choice(["Alpha", "Beta", "Gamma"], n)
    life = activities.groupby("opportunity_id").size().reindex(deals["opportunity_id"]).fillna(0).to_numpy()
    emails = activities[activities["kind"] == "email"].groupby("opportunity_id").size()
    emails = emails.reindex(deals["opportunity_id"]).fillna(0).to_numpy()

    def filled(values: object, *, of_won: float, of_lost: float, of_open: float) -> pd.Series:
        share = np.select([won, lost], [of_won, of_lost], of_open)
        return pd.Series(values, index=deals.index).where(rng.random(n) < share)

    yield "filled_for_won", filled(words, of_won=0.93, of_lost=0.04, of_open=0.04)
    yield "filled_for_lost", filled(words, of_won=0.04, of_lost=0.85, of_open=0.04)
    yield "filled_for_closed", filled(words, of_won=0.9, of_lost=0.9, of_open=0.05)
    yield "rival_typed_after_loss", filled(words, of_won=0.1, of_lost=0.6, of_open=0.05)
    yield "filled_up_at_close", filled(rng.normal(size=n), of_won=0.95, of_lost=0.95, of_open=0.4)
    yield "discount_of_won", filled(rng.beta(2, 9, n), of_won=0.3, of_lost=0.0, of_open=0.0)
    yield "default_until_closed", np.where(closed, words, "Pending")
    yield "nought_for_lost", np.where(lost, 0.0, np.round(rng.lognormal(8, 1, n)))
    code = np.where(closed, won, rng.random(n) < 0.3) ^ (rng.random(n) < 0.03)
    yield "code_by_outcome", pd.Series(rng.integers(0, 6, n) + 6 * code, index=deals.index).map("C{:02d}".format)
    yield "number_by_outcome", rng.normal(3.0 * np.where(closed, won, rng.random(n) < 0.3), 1.0)
    yield "last_probability", np.select([won, lost], [1.0, 0.0], rng.choice([0.1, 0.3, 0.5, 0.7], n))
    yield "activities_of_life", life
    yield "emails_of_life", np.round(emails * rng.uniform(0.8, 1.2, n) + rng.poisson(1.0, n))
    yield "days_in_pipeline", age.astype(float)
    yield "last_touch", ended - pd.to_timedelta(rng.integers(0, 8, n), unit="D")


def honest_fields(
    rng: np.random.Generator, deals: pd.DataFrame, age: np.ndarray, will_win: np.ndarray
) -> Iterator[tuple[str, object]]:
    n = len(deals)
    words = pd.Series(rng.choice(["Alpha", "Beta", "Gamma", "Delta"], n), index=deals.index)
    noise = pd.Series(rng.normal(size=n), index=deals.index)
    created = deals["created_date"]
    for days in (20, 60, 200):
        yield f"filled_within_{days}_days", words.where(rng.exponential(days, n) < age)
    yield "number_filled_within_60_days", noise.where(rng.exponential(60, n) < age)
    yield "word_missing_at_random", words.where(rng.random(n) > 0.3)
    yield "number_missing_at_random", noise.where(rng.random(n) > 0.3)
    yield "for_enterprise", words.where(rng.random(n) < np.where(deals["segment"] == "Enterprise", 0.9, 0.1))
    quick = deals["product"].isin(deals["product"].value_counts().index[-3:])
    yield "for_three_products", words.where(quick & (rng.random(n) < 0.9))
    yield "for_partners", words.where(deals["partner_id"].notna())
    yield "introduced_last_year", words.where(created >= "2025-10-01")
    yield "given_up_last_year", words.where(created < "2025-10-01")
    yield "given_up_in_summer", words.where(created < "2026-07-01")
    yield "flag_auc_75", np.where(rng.random(n) < np.where(will_win, 0.75, 0.25), "Yes", "No")
    yield "number_auc_75", rng.normal(0.954 * will_win, 1.0)
    yield "number_auc_85", rng.normal(1.466 * will_win, 1.0)
    level = np.clip(np.round(rng.normal(1.5 + 0.9 * will_win, 1.0)), 0, 3).astype(int)
    yield "level_auc_75", pd.Series(level, index=deals.index).map(dict(enumerate("DCBA")))
    yield "filled_for_the_promising", words.where(rng.random(n) < np.where(will_win, 0.7, 0.3))
    yield "rare_flag", np.where(rng.random(n) < 0.02, "Yes", "No")
    yield "mostly_nought", np.where(rng.random(n) < 0.8, 0.0, rng.poisson(3.0, n).astype(float))
    residual = np.where(deals["is_closed"], 0.0, rng.exponential(60, n))
    yield "guess_of_the_time", np.round((age + residual) * rng.lognormal(0, 1.6, n))
    yield "renewal_day", created + pd.to_timedelta(rng.integers(30, 400, n), unit="D")


def edited_at_close(
    rng: np.random.Generator, history: pd.DataFrame, deals: pd.DataFrame, frame: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two fields the history carries, in the frame as they stand today: one set at the close, one whenever."""
    deal = history["opportunity_id"]
    is_last = ~deal.duplicated(keep="last")
    is_closing = is_last & deal.isin(deals.loc[deals["is_closed"], "opportunity_id"])
    word = pd.Series(rng.choice(list("abcdefghij"), len(history)), index=history.index)
    is_first, chance = ~deal.duplicated(), rng.random(len(history))
    history = history.assign(
        x_leak_edited_at_close=word.where(is_first | (is_closing & (chance < 0.6))).ffill(),
        x_honest_edited_whenever=word.where(is_first | (chance < 0.1)).ffill(),
    )
    names = ["x_leak_edited_at_close", "x_honest_edited_whenever"]
    now = history[is_last].set_index("opportunity_id")[names].reindex(frame["opportunity_id"])
    return history, frame.assign(**{name: now[name].to_numpy() for name in names})


if __name__ == "__main__":
    main()
