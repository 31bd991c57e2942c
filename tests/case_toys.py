"""Forecast cases made by hand, for tests: chances and amounts known, nothing else going on."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
from scipy.special import expit

from salesops.forecast_cases import Case
from salesops.periods import Calendar, quarter, trailing_quarters

STAGES = ("Talk", "Offer")


def looks(period, week, *, n, random, amount=100.0) -> pd.DataFrame:
    """Open deals on one evening: half in each stage, half due."""
    cutoff = period.start + timedelta(days=7 * (week - 1) - 1)
    number = np.arange(n)
    position = 1 + number % 2
    is_due = number // 2 % 2 == 0
    due = np.datetime64(period.end) + np.where(is_due, 0, random.integers(1, 400, n)).astype("timedelta64[D]")
    return pd.DataFrame({
        "cutoff_date": pd.Timestamp(cutoff), "period": period.label, "week": week,
        "weeks_left": ((period.end - cutoff).days) / 7, "opportunity_id": [f"{period.label}-{i}" for i in number],
        "account_id": [f"a{i}" for i in number], "owner_id": "r1", "pipeline": "new",
        "stage": pd.Series(STAGES, dtype="str").array[position - 1], "position": position,
        "segment": pd.Series(["SMB", "Mid"], dtype="str").array[number % 4 // 2], "source": "web", "amount": amount,
        "close_date": pd.to_datetime(due), "probability": 0.5, "forecast_category": "pipeline",
        "age_days": random.integers(1, 300, n).astype(float), "stage_days": random.integers(1, 90, n).astype(float),
        "push_count": random.integers(0, 3, n), "is_due": is_due,
    })  # fmt: skip


def log_odds(rows: pd.DataFrame) -> np.ndarray:
    """The truth: by stage and due date alone."""
    return -2.5 + 1.5 * (rows["position"] == 2).to_numpy() + 0.8 * rows["is_due"].to_numpy()


def case(*, seed=0, week=5, quarters=8, n=160, n_now=120, amount=100.0, change=1.0, levels=None, late=3) -> Case:
    """A case of 2026Q3; every past deal's final amount is `change` times the known one."""
    random = np.random.default_rng(seed)
    now = quarter(date(2026, 8, 15))
    before = trailing_quarters(now, quarters + 1)[:-1]
    levels = np.zeros(quarters) if levels is None else levels
    frames = []
    for period, level in zip(before, levels, strict=True):
        for each in (week - 4, week, week + 4):
            rows = looks(period, each, n=n, random=random, amount=amount)
            won = random.random(n) < expit(log_odds(rows) + level)
            frames.append(rows.assign(is_won_in_period=won, won_amount=np.where(won, rows["amount"] * change, 0.0),
                                      ended=np.where(won, "won", "slipped")))  # fmt: skip
    past = pd.concat(frames, ignore_index=True) if frames else looks(now, week, n=0, random=random).assign(
        is_won_in_period=np.zeros(0, dtype=bool), won_amount=0.0, ended="")  # fmt: skip
    spots = [(period.label, each) for period in before for each in (week - 4, week, week + 4)]
    counts = pd.DataFrame(spots, columns=["period", "week"]).assign(n=late, amount=50.0 * late, n_created=60)
    deals = counts.loc[counts.index.repeat(late), ["period", "week"]].assign(amount=50.0).reset_index(drop=True)
    won = pd.DataFrame({"opportunity_id": ["w1"], "close_date": pd.to_datetime(["2026-07-10"]), "amount": [400.0]})
    return Case(
        period=now, cutoff=now.start + timedelta(days=7 * (week - 1) - 1), week=week,
        now=looks(now, week, n=n_now, random=random, amount=amount), past=past, won=won, won_so_far=400.0,
        late=counts, late_deals=deals, n_created=60, calendar=Calendar(),
    )  # fmt: skip
