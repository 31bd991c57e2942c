"""How often the lead report's intervals hold the truth, and how often it names what is not there.

Run with ``make bench NAME=leads``. One line a cell, with twice the Monte-Carlo error.
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from datetime import date

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import norm

from salesops import lead_funnel, lead_routing, lead_speed, leads
from salesops.periods import Period
from salesops.stats import survival

DRAWS, COMPANIES, BATCH, PROCESSES = 1_600, 300, 100, 2
START = pd.Timestamp("2026-07-01")
CLASSES = np.array([0.35, 0.2, 0.1])
SPEED, SPREAD = np.log(190 / 60), 1.35  # hours to an answer: half within 190 minutes
COLUMNS = ["opportunity_id", "created_date", "close_date", "closed_at", "is_closed", "is_won"]


def main(scale: float = 1.0) -> None:
    draws, companies = round(DRAWS * scale), round(COMPANIES * scale)
    with ProcessPoolExecutor(PROCESSES) as workers:
        print(f"{'figure':<44}{'cell':<38}{'value':>8}{'± 2 se':>9}{'draws':>8}")
        for days, n, share, twins in CONVERSION_CELLS:
            seeds = range(draws // BATCH)
            hits = np.concatenate(list(workers.map(conversion, *repeated(seeds, days, n, share, twins))))
            kind = f"{days} days, n {n}, share {share}{', 2 a company' if twins else ''}"
            show("95 % of the expected conversion", kind, hits)
        for n, never in ((50, 0.15), (200, 0.15), (200, 0.05), (1000, 0.05)):
            found = np.concatenate(list(workers.map(response, *repeated(range(draws // BATCH), n, never))))
            show("95 % of the median response", f"n {n}, {never:.0%} never answered", found[:, 0])
            show("95 % of the 90 % response", f"n {n}, {never:.0%} never answered", found[:, 1])
        for effect in (0.0, 0.06):
            found = np.array(list(workers.map(speed, *repeated(range(draws), effect), chunksize=20)))
            show("95 % of sooner against later", f"n 2,000, confounded, {effect:.2f}", found[:, 0])
            show("sooner named", f"n 2,000, confounded, {effect:.2f}", found[:, 1])
        for reps, each, skill, inter in ROUTING_CELLS:
            found = np.array(
                list(workers.map(routing, *repeated(range(companies), reps, each, skill, inter), chunksize=10))
            )
            kind = f"{reps} reps, {each} a class{', unequal reps' if skill else ''}{f', gap {inter}' if inter else ''}"
            show("re-routing gain named", kind, found[:, 0])
            show("95 % of the gain of the plans judged", kind, found[:, 1])
            show("re-routing gain less the truth, points", kind, 100 * (found[:, 2] - found[:, 3]))
            if not (skill or inter):
                show("a rep named (one class or more)", kind, found[:, 4])


CONVERSION_CELLS = [
    (days, n, share, twins)
    for days, n, share, twins in (
        (90, 100, 0.05, False),
        (90, 100, 0.2, False),
        (90, 400, 0.2, False),
        (45, 100, 0.2, False),
        (45, 400, 0.2, False),
        (90, 400, 0.2, True),
    )
]
ROUTING_CELLS = (
    (4, 150, 0.0, 0.0),
    (4, 150, 0.05, 0.0),
    (10, 60, 0.0, 0.0),
    (10, 60, 0.05, 0.0),
    (4, 40, 0.0, 0.0),
    (4, 600, 0.0, 0.0),
    (4, 150, 0.0, 0.08),
)


def repeated(seeds: range, *values: object) -> list:
    return [seeds, *([value] * len(seeds) for value in values)]


def show(name: str, cell: str, values: np.ndarray) -> None:
    error = 2 * values.std(ddof=1) / np.sqrt(len(values))
    print(f"{name:<44}{cell:<38}{values.mean():>8.3f}{error:>9.3f}{len(values):>8,}", flush=True)


def later(moments: pd.Series, days: np.ndarray, happens: np.ndarray) -> pd.Series:
    return (moments + pd.to_timedelta(np.where(happens, days, np.nan), unit="D")).astype("datetime64[us]")


def conversion(seed: int, days: int, n: int, share: float, twins: bool) -> np.ndarray:
    """Leads that arrive evenly up to the last day; a share converts in 8 days on average, most others end in 20."""
    rng = np.random.default_rng([1, seed, days, n])
    size = BATCH * n
    chance = np.full(size, share)
    if twins:
        chance = expit(logit(share) + 0.5 * np.repeat(rng.normal(size=size // 2), 2))
    created = pd.Series(START + pd.to_timedelta(rng.random(size) * days, unit="D")).astype("datetime64[us]")
    is_good, is_bad = rng.random(size) < chance, rng.random(size) < 0.85
    frame = pd.DataFrame(
        {
            "draw": np.repeat(np.arange(BATCH), n),
            "created_at": created,
            "qualified_at": pd.NaT,
            "opportunity_id": None,
            "converted_at": later(created, rng.gamma(2, 4, size), is_good),
            "disqualified_at": later(created, rng.exponential(20, size), is_bad & ~is_good),
        }
    )
    last = (START + pd.Timedelta(days=days - 1)).date()
    rows = lead_funnel.lead_progress(frame, pd.DataFrame(columns=COLUMNS), goal="opportunity", as_of=last)
    truth = true_share(share) if twins else share
    found = [survival.plateau(each["days"], each["cause"], causes=["reached"]) for _, each in rows.groupby("draw")]
    return np.array([each.loc[0, "incidence_low"] <= truth <= each.loc[0, "incidence_high"] for each in found], float)


def true_share(p: float) -> float:
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    return float((weights * expit(logit(p) + 0.5 * nodes)).sum() / weights.sum())


def response(seed: int, n: int, never: float) -> np.ndarray:
    """Whether the intervals of the median and the 90 % hold them; some leads are closed before any answer."""
    rng = np.random.default_rng([2, seed, n])
    size = BATCH * n
    created = pd.Series(START + pd.to_timedelta(rng.random(size) * 90, unit="D")).astype("datetime64[us]")
    hours = rng.lognormal(SPEED, SPREAD, size)
    closed = rng.exponential(20, size)
    is_answered = (rng.random(size) >= never) & (hours / 24 < closed)
    frame = pd.DataFrame(
        {
            "draw": np.repeat(np.arange(BATCH), n),
            "created_at": created,
            "converted_at": pd.NaT,
            "first_response_at": later(created, hours / 24, is_answered),
            "disqualified_at": later(created, closed, ~is_answered),
        }
    )
    last = (START + pd.Timedelta(days=89)).date()
    period = Period("all", date(2026, 7, 1), last)
    table = leads.lead_response(frame, period=period, as_of=last, by="draw")
    held = []
    for name, p in (("median", 0.5), ("p90", 0.9)):
        of_answered = p / (1 - never)
        truth = np.exp(SPEED + SPREAD * norm.ppf(of_answered)) if of_answered < 1 else np.inf
        low, high = (
            table[f"lead_response_hours_{name}_{end}"].fillna(fill) for end, fill in (("low", 1e9), ("high", np.inf))
        )
        # A missing lower limit says "beyond what was seen": it holds where the truth never comes.
        held.append((low <= truth) & (truth <= high))
    return np.column_stack(held).astype(float)


def speed(seed: int, effect: float) -> tuple[float, float]:
    """Whether the interval of later against sooner holds, and whether it is named; Events are answered first."""
    rng = np.random.default_rng([3, seed])
    n = 2_000
    is_event, hour = rng.random(n) < 0.5, rng.integers(0, 24, n)
    kind = rng.integers(0, 3, n)
    is_soon = rng.random(n) < np.where(is_event, 0.7, 0.3) * np.where(hour < 6, 0.5, 1)
    chance = expit(logit(CLASSES[kind]) + 0.7 * is_event - 0.3 * (hour < 6))
    created = START + pd.to_timedelta(rng.integers(0, 28, n) * 24 + hour, unit="h")
    hours = np.where(is_soon, 0.5, 30.0)
    rows = pd.DataFrame(
        {
            "source": np.where(is_event, "Event", "Web"),
            "class": kind.astype(str),
            "created_at": created,
            "cause": None,
            "waited_hours": hours,
            "first_response_at": created + pd.to_timedelta(hours, unit="h"),
            "is_over": True,
            "days": 60.0,
            "is_reached": rng.random(n) < chance + effect * is_soon,
        }
    )
    table = lead_speed.response_effect(rows, edges=[4])
    row = table.iloc[1]
    held = row["response_band_effect_low"] <= -effect <= row["response_band_effect_high"]
    return float(held), float("association" in lead_speed.effect_sentence(table))


def routing(seed: int, reps: int, each: int, skill: float, inter: float) -> tuple[float, ...]:
    """Whether a gain is named, its interval holds, the gain, the true one, and whether any rep is named."""
    rng = np.random.default_rng([4, seed, reps, each])
    chance = CLASSES + skill * np.linspace(-1, 1, reps)[:, None]
    chance = chance + np.tile([[inter, -inter / 2, -inter / 2], [-inter, inter / 2, inter / 2]], (reps // 2, 1))
    n = np.full(chance.shape, each)
    hits = rng.binomial(n, chance)
    rep, kind = (code.ravel() for code in np.indices(chance.shape))
    rows = pd.DataFrame({"owner_id": np.repeat(rep, each).astype(str), "class": np.repeat(kind, each).astype(str)})
    rows["is_reached"] = np.tile(np.arange(each), chance.size) < np.repeat(hits.ravel(), each)
    table = lead_routing.rerouting_gain(rows, seed=seed)
    gain, low, high = table.loc[0, ["rerouting_gain", "rerouting_gain_low", "rerouting_gain_high"]].astype(float)
    plan = lead_routing.routing_plan(rows)
    true = ((plan["n_planned"] - plan["n"]) * chance.ravel()).sum() / len(rows)
    some = (
        lead_routing.rep_leads(rows.assign(waited_hours=1.0, is_over=True))["is_named"].any()
        if not (skill or inter)
        else 0
    )
    return (
        float("If each lead" in lead_routing.gain_sentence(table)),
        float(low <= true <= high),
        gain,
        true,
        float(some),
    )


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
