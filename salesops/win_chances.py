"""Win chances: how likely each open deal is won by the quarter's end, learned from how past quarters went on.

Every open deal of every week of the past quarters is a look; whether it was won by that quarter's end
is its outcome. The looks of the same week of the quarter, and of those near it, teach one logistic
regression; `landmark_table` says the same in shares of looks that can be checked by hand.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import beta

from salesops import checks
from salesops.forecast_cases import Case
from salesops.kept.memory import once
from salesops.stats import encoding, repeated

REACH = 3  # weeks of the past quarters on either side that are learnt from, the nearer the more
PENALTY = 5.0  # holds a level that few deals have near nothing; a level of a hundred looks hardly feels it
LEAST_WINS = checks.MIN_N  # deals won in past quarters, seen at this week, below which nothing is learnt
PARENT_WEIGHT = 20  # looks that the cell above counts for in each cell of the table
AGES = (0, 30, 90, 180, 365)  # days since creation at which the table's groups begin

_LEVELS = ("stage", "pipeline", "segment", "source", "forecast_category")
_LAST = 3.0  # weeks: the run to the quarter's end
_BEYOND = 52  # weeks after the quarter's end beyond which a close date says no more
NEEDED = (
    *_LEVELS, "opportunity_id", "period", "week", "weeks_left", "cutoff_date", "close_date", "amount", "age_days",
    "stage_days", "push_count", "is_due",
)  # fmt: skip


class Learnt(NamedTuple):
    """What was learnt of past quarters, and what it says of the deals open now.

    ``odds`` and ``columns`` are of the open deals; the others of the past looks of the same week:
    their rows in ``case.past``, the number of their quarter, their log odds, and the quarters in order.
    """

    odds: np.ndarray
    columns: np.ndarray  # with the constant; the coefficients' covariance says how sure the log odds are
    covariance: np.ndarray
    levels: repeated.Levels
    week: int
    at: np.ndarray
    quarter: np.ndarray
    past_odds: np.ndarray
    quarters: tuple[str, ...]


@once
def learn(case: Case) -> Learnt | None:
    """The model of the chances of this week of the quarter; None where too little, or everything, was won.

    Features: stage, pipeline, segment, source and forecast category; log of the weeks left, of the age, of the
    time in stage, of the pushes and of the amount; the last three weeks; close date in the quarter, past,
    or how far beyond it; and stage by weeks left, stage by time in stage, due by weeks left.

    Parameters
    ----------
    case
        Of `forecast_cases.cases` or `case_of`.

    References
    ----------
    van Houwelingen (2007), Scand. J. Statist. 34:70-85 (landmarking).

    Examples
    --------
    >>> from datetime import date
    >>> from salesops import forecast_cases, periods
    >>> from salesops.crm import sample
    >>> tables, day = sample.tables(size=2000, years=3, clean=True), date(2026, 7, 28)
    >>> case = forecast_cases.case_of(tables["opportunities"], tables["stage_history"], stages=tables["stages"],
    ...                               period=periods.quarter(day), cutoff=day)
    >>> learnt = learn(case)
    >>> len(learnt.odds), learnt.week, learnt.quarters[-1]
    (120, 5, '2026Q2')
    """
    for name, frame in (("now", case.now), ("past", case.past)):
        checks.require_columns(frame, NEEDED, where=f"the case's {name}")
    week = nearest_week(case)
    distance = np.abs(case.past["week"].to_numpy() - week)
    is_won = case.past["is_won_in_period"].to_numpy(dtype=bool)
    if is_won[distance == 0].sum() < LEAST_WINS or is_won.all():
        return None
    at = np.flatnonzero(distance <= REACH)
    design = _design(case, at)
    known, now = design[: len(at)], design[len(at) :]
    deals, periods, labels = _deals_and_quarters(case.past)
    quarter, first = pd.factorize(periods[at])
    quarters = labels[first]
    deal = deals[at] * len(quarters) + quarter
    weight = 1 - distance[at] / (REACH + 1)
    found = repeated.fit(known, is_won[at], case=deal, weight=weight, penalty=PENALTY)
    return _learnt(case, found, known, now, at, quarter, tuple(quarters), week)


def tabled(case: Case) -> Learnt | None:
    """The same from the shares of `landmark_table`, for who wants chances that can be looked up.

    Its log odds are taken as they are: only the level of the quarter is unsure.

    Examples
    --------
    >>> from datetime import date
    >>> from salesops import forecast_cases, periods
    >>> from salesops.crm import sample
    >>> tables, day = sample.tables(size=2000, years=3, clean=True), date(2026, 7, 28)
    >>> case = forecast_cases.case_of(tables["opportunities"], tables["stage_history"], stages=tables["stages"],
    ...                               period=periods.quarter(day), cutoff=day)
    >>> found = pd.Series(tabled(case).odds).groupby(case.now["stage"]).mean()
    >>> bool(found["Negotiation"] > found["Discovery"])
    True
    """
    week = nearest_week(case)
    at = np.flatnonzero(case.past["week"].to_numpy() == week)
    is_won = case.past["is_won_in_period"].to_numpy(dtype=bool)[at]
    if is_won.sum() < LEAST_WINS or is_won.all():
        return None
    rows = case.past.iloc[at]
    quarter, quarters = pd.factorize(rows["period"])
    past, now = _shares(_cells(rows), is_won, _cells(rows)), _shares(_cells(rows), is_won, _cells(case.now))
    odds = logit(past.clip(1e-4, 1 - 1e-4))
    levels = repeated.levels(odds, is_won, quarter, n_groups=len(quarters))
    none = np.zeros((len(case.now), 1))
    return Learnt(
        logit(now.clip(1e-4, 1 - 1e-4)), none, np.zeros((1, 1)), levels, week, at, quarter, odds, tuple(quarters)
    )


def stated(learnt: Learnt, *, draws: int = 200, seed: int = 0) -> np.ndarray:
    """Chance of each open deal to be won by the quarter's end, the level of the coming quarter taken in.

    Examples
    --------
    >>> nothing = repeated.Levels(np.zeros(8), np.full(8, 0.1))
    >>> learnt = Learnt(np.array([0.0, 2.0]), None, None, nothing, 1, None, None, None, ())
    >>> stated(learnt).round(2).tolist()
    [0.5, 0.88]
    """
    level = repeated.next_level(learnt.levels, draws, seed=seed)
    return expit(learnt.odds[:, None] + level).mean(axis=1)


def landmark_table(case: Case, *, confidence: float = 0.95) -> pd.DataFrame:
    """Share of the deals open in this week of past quarters that were won by the quarter's end.

    By stage, whether the close date lay in the quarter, segment and age. Each cell is drawn to the one above
    it as if that were 20 looks more: ``(won + 20 * above) / (n + 20)``, stage to all, due to stage and so
    on. A deal open in this week of two quarters is two looks.

    Parameters
    ----------
    case
        Of `forecast_cases.cases` or `case_of`.
    confidence
        Level of the interval: that of the beta distribution with the drawn share and its weight.

    Returns
    -------
    DataFrame
        One row per cell seen, and per stage with the other columns "all", stages in order: ``stage``, ``due``
        ("in the quarter", "later or none"), ``segment``, ``age`` (days), ``n`` (looks), ``won_count`` of them,
        ``quarter_win_rate`` with limits (0-1). No rows without past quarters.

    Metrics
    -------
    quarter_win_rate : rate, close_date, higher, -, is_won close_date
        Share of the deals open in this week of past quarters that were won by the quarter's end, few looks drawn
        to the share of the group above.

    References
    ----------
    Efron & Morris (1975), J. Am. Stat. Assoc. 70:311-319 (shrinkage).

    Examples
    --------
    >>> from datetime import date
    >>> from salesops import forecast_cases, periods
    >>> from salesops.crm import sample
    >>> tables, day = sample.tables(size=2000, years=3, clean=True), date(2026, 7, 28)
    >>> case = forecast_cases.case_of(tables["opportunities"], tables["stage_history"], stages=tables["stages"],
    ...                               period=periods.quarter(day), cutoff=day)
    >>> table = landmark_table(case)
    >>> table.loc[table["due"] == "all", ["stage", "n", "won_count", "quarter_win_rate"]].head(3).round(2)
                stage    n  won_count  quarter_win_rate
    0       Discovery  277         16              0.07
    18        Scoping  145         25              0.17
    36  Business Case  108         33              0.29
    """
    rows = case.past[case.past["week"].to_numpy() == nearest_week(case)]
    is_won = rows["is_won_in_period"].to_numpy(dtype=bool)
    cells = _cells(rows)
    position = rows["position"].to_numpy(dtype=float)
    table = cells.assign(won_count=is_won, share=_shares(cells, is_won, cells), position=position)
    alone = cells[["stage"]]
    every = pd.Categorical.from_codes(np.full(len(rows), len(AGES)), dtype=cells["age"].dtype)
    stages = table.assign(due="all", segment="all", age=every, share=_shares(alone, is_won, alone))
    keys = ["stage", "due", "segment", "age"]
    found = pd.concat([stages, table]).groupby(keys, dropna=False, sort=False, observed=True)
    found = found.agg(n=("won_count", "size"), won_count=("won_count", "sum"), share=("share", "first"),
                      position=("position", "min")).reset_index()  # fmt: skip
    order = found.assign(is_all=found["due"] != "all").sort_values(
        ["position", "stage", "is_all", "due", "segment", "age"], kind="stable", ignore_index=True
    )
    total, share = order["n"] + PARENT_WEIGHT, order["share"]
    low, high = (beta.ppf(q, share * total, (1 - share) * total) for q in ((1 - confidence) / 2, (1 + confidence) / 2))
    return order[[*keys, "n", "won_count"]].assign(
        quarter_win_rate=share, quarter_win_rate_low=low, quarter_win_rate_high=high
    )


def nearest_week(case: Case) -> int:
    """The week of past quarters that is like the case's: its own, or the nearest there is.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> nearest_week(SimpleNamespace(week=4, past=pd.DataFrame({"week": [1, 5, 9]})))
    5
    """
    weeks = case.past["week"].unique()
    return int(weeks[np.argmin(np.abs(weeks - case.week))]) if len(weeks) else case.week


def _learnt(case, found, known, now, at, quarter, quarters, week) -> Learnt:
    mine = case.past["week"].to_numpy()[at] == week
    odds = repeated.log_odds(found, known[mine])
    is_won = case.past["is_won_in_period"].to_numpy(dtype=bool)[at[mine]]
    levels = repeated.levels(odds, is_won, quarter[mine], n_groups=len(quarters))
    columns = np.column_stack([np.ones(len(now)), now])
    return Learnt(
        repeated.log_odds(found, now), columns, found.covariance, levels, week, at[mine], quarter[mine], odds, quarters
    )


def _design(case: Case, at: np.ndarray) -> np.ndarray:
    """Columns of some past looks and then of the deals open now, of one scale, as the past ones teach it."""
    coded = encoding.joined(_coded(case.past), at, _coded(case.now))
    encoder = encoding.learn(coded, np.arange(len(at)))
    matrix = encoding.encode(encoder, coded, np.arange(len(at) + len(case.now)))
    # The first column of a number is its value; one that says it is missing may follow.
    of = {name: matrix[:, encoder.owner == number] for number, name in enumerate(coded.names)}
    pairs = (("stage", "weeks_left"), ("stage", "stage_age"), ("is_due", "weeks_left"))
    return np.column_stack([matrix, *(of[one] * of[other][:, :1] for one, other in pairs if of[other].shape[1])])


# The cases of a quarter know the same past: its looks are numbered once.
@once
def _coded(rows: pd.DataFrame) -> encoding.Coded:
    frame = _features(rows)
    return encoding.coded(frame, list(frame.columns))


@once
def _deals_and_quarters(past: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, pd.Index]:
    return pd.factorize(past["opportunity_id"])[0], *pd.factorize(past["period"])


def _features(rows: pd.DataFrame) -> pd.DataFrame:
    left, amount = rows["weeks_left"].to_numpy(dtype=float), rows["amount"].to_numpy(dtype=float, na_value=np.nan)
    ahead = ((rows["close_date"] - rows["cutoff_date"]) / pd.Timedelta(days=7)).to_numpy(dtype=float)
    return pd.DataFrame({
        **{name: rows[name].array for name in _LEVELS},
        "weeks_left": np.log1p(left),
        "is_last": (left <= _LAST).astype(float),
        "age": np.log1p(rows["age_days"].to_numpy(dtype=float).clip(0)),
        "stage_age": np.log1p(rows["stage_days"].to_numpy(dtype=float).clip(0)),
        "amount": np.log(np.where(amount > 0, amount, np.nan)),
        "pushes": np.log1p(rows["push_count"].to_numpy(dtype=float)),
        "is_due": rows["is_due"].to_numpy(dtype=float),
        "is_overdue": (ahead < 0).astype(float),
        "weeks_beyond": np.log1p((ahead - left).clip(0, _BEYOND)),
    })  # fmt: skip


def _cells(rows: pd.DataFrame) -> pd.DataFrame:
    """The table's keys of each look, the coarsest first."""
    ends = [*AGES[1:], None]
    names = [f"{low} to {high - 1}" if high else f"{low} and more" for low, high in zip(AGES, ends, strict=True)]
    group = np.searchsorted(AGES, rows["age_days"].to_numpy(dtype=float).clip(0), side="right") - 1
    return pd.DataFrame({
        "stage": rows["stage"].array,
        "due": np.where(rows["is_due"].to_numpy(dtype=bool), "in the quarter", "later or none"),
        "segment": rows["segment"].array,
        "age": pd.Categorical.from_codes(group, [*names, "all"], ordered=True),
    })  # fmt: skip


def _shares(cells: pd.DataFrame, is_won: np.ndarray, asked: pd.DataFrame) -> np.ndarray:
    """Drawn share of each cell asked for; a cell never seen has the share of the nearest above it that was."""
    share = np.full(len(asked), is_won.sum() / max(len(is_won), 1))
    n = len(cells)
    code = np.zeros(n + len(asked), dtype=np.int64)
    for name in cells.columns:
        values = pd.concat([cells[name], asked[name]], ignore_index=True)
        code = pd.factorize(code * (values.nunique(dropna=False) + 1) + pd.factorize(values)[0] + 1)[0]
        known, hits = (np.bincount(code[:n], part, code.max(initial=0) + 1) for part in (np.ones(n), is_won))
        share = (hits[code[n:]] + PARENT_WEIGHT * share) / (known[code[n:]] + PARENT_WEIGHT)
    return share
