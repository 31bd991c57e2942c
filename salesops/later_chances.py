"""Later chances: what was learnt before each quarter, and the chances it gave to the deals of that quarter."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import numpy as np
import pandas as pd

from salesops import checks
from salesops.kept.memory import once
from salesops.periods import Calendar, Period, quarter, quarters_between, trailing_quarters
from salesops.stats import censoring, chances, encoding

MODEL, BASE_RATE, CRM = "win_model", "base_rate", "crm_probability"
LEVEL_WINDOW = 2  # quarters that set the level, because the level drifts sooner than what tells deals apart
GIVEN = ["period", "cutoff_date", "weight", "n_known", MODEL, BASE_RATE, CRM]

_DAY = pd.Timedelta(days=1)
_FRAME = ["opportunity_id", "account_id", "landmark_at", "days", "is_closed", "is_won"]


def cases_of(frame: pd.DataFrame, factors: Sequence[str]) -> tuple[pd.DataFrame, chances.Cases]:
    """The deals with a date in the order of their landmarks, and the same as `chances` takes them.

    Examples
    --------
    >>> frame = pd.DataFrame({"opportunity_id": ["a", "b"], "account_id": "c", "days": 3.0, "is_closed": True,
    ...     "landmark_at": pd.to_datetime(["2026-07-02", "2026-07-01"]), "is_won": [True, False], "region": "East"})
    >>> cases_of(frame, ["region"])[1].outcome.tolist()
    [0.0, 1.0]
    """
    checks.require_columns(frame, [*_FRAME, *factors], where="win_model")
    if not len(factors):
        raise checks.ParameterError("win_model: factors is empty. Give at least one column to predict from.")
    rows = frame[frame["landmark_at"].notna()].sort_values("landmark_at", kind="stable", ignore_index=True)
    landed = rows["landmark_at"].dt.normalize()
    ended = (landed + rows["days"] * _DAY).where(rows["is_closed"].astype(bool))
    cases = chances.Cases(
        begun=landed.to_numpy("datetime64[D]"),
        ended=ended.to_numpy("datetime64[D]"),
        outcome=rows["is_won"].to_numpy(dtype=float),
        cluster=rows["account_id"].to_numpy(),
        columns=encoding.coded(rows, factors),
    )
    return rows, cases


def first_day(now: pd.Timestamp, quarters: int, calendar: Calendar) -> pd.Timestamp:
    """First day of the `quarters` quarters that end with the day before `now`.

    Examples
    --------
    >>> first_day(pd.Timestamp("2026-07-01"), 2, Calendar())
    Timestamp('2026-01-01 00:00:00')
    """
    last = quarter((now - _DAY).date(), calendar)
    return pd.Timestamp(trailing_quarters(last, quarters, calendar)[0].start)


class Rolled(NamedTuple):
    """The later deals with their chances; all deals; of each quarter what was learnt before it, and its deals."""

    scored: pd.DataFrame
    cases: chances.Cases
    learnt: list[tuple[chances.Learnt, np.ndarray]]


@once  # scores and importance are of the same chances
def rolled(
    frame: pd.DataFrame,
    factors: tuple[str, ...],
    as_of: date,
    calendar: Calendar,
    quarters: int,
    window: int,
    seed: int,
) -> Rolled:
    """What was learnt before each later quarter, and the chances it gave; see `win_model.later_deals`.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> sponsor = random.random(900) < 0.5
    >>> frame = pd.DataFrame({
    ...     "opportunity_id": range(900), "account_id": range(900), "days": 20.0, "is_closed": True,
    ...     "landmark_at": pd.date_range("2025-01-01", periods=900, freq="17h"), "x_sponsor": sponsor,
    ...     "is_won": random.random(900) < np.where(sponsor, 0.6, 0.2),
    ... })
    >>> [len(later) for _, later in rolled(frame, ("x_sponsor",), date(2026, 9, 30), Calendar(), 2, 8, 0).learnt]
    [128, 129]
    """
    rows, cases = cases_of(frame, factors)
    rows = rows[[*_FRAME, *rows.columns.intersection([CRM])]]
    pieces, found, penalty = [], [], None
    first = rows["landmark_at"].iloc[0] if len(rows) else pd.Timestamp(as_of)
    for each in quarters_between(first.date(), as_of, calendar)[-quarters:]:
        now = pd.Timestamp(each.start)
        later = np.flatnonzero(each.contains(rows["landmark_at"]))
        starts = first_day(now, window, calendar), first_day(now, LEVEL_WINDOW, calendar)
        learnt = chances.learn(cases, now, *starts, penalty=penalty, seed=seed)
        if learnt is None or not len(later):
            continue
        penalty = learnt.found.penalty
        pieces.append(_given(rows.iloc[later], chances.predict(learnt, cases, later), learnt, each))
        found.append((learnt, later))
    nothing = rows.iloc[:0].reindex(columns=rows.columns.union(GIVEN))
    scored = pd.concat(pieces, ignore_index=True) if pieces else nothing
    scored["weight"] = censoring.known_end_weights(scored["days"], scored["is_closed"])
    return Rolled(scored, cases, found)


def _given(later: pd.DataFrame, chance: np.ndarray, learnt: chances.Learnt, each: Period) -> pd.DataFrame:
    crm = later[CRM] if CRM in later else np.nan
    given = {MODEL: chance, BASE_RATE: learnt.base_rate, CRM: crm, "n_known": len(learnt.known.at)}
    return later.assign(period=each.label, cutoff_date=pd.Timestamp(each.start) - _DAY, **given)
