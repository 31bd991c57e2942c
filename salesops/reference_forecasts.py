"""Reference forecasts: what the methods in common use say of the quarter, to be scored beside any better one.

Each is a method for `forecast_backtest.backtest`: ``(case, *, seed)`` gives one number, the quarter's bookings, in an
array of length one; missing where it has nothing to go by. None of them says how sure it is.
"""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from types import MappingProxyType

import numpy as np
import pandas as pd

from salesops import checks, words
from salesops.forecast_cases import Case
from salesops.kept.memory import once
from salesops.periods import Calendar, Period, trailing_quarters, year_before
from salesops.stats import means

Method = Callable[..., np.ndarray]

SAID = ("most_likely", "commit")  # the category that is a person's forecast: the first that was submitted
_CALENDAR = Calendar()
_YEAR = 4  # quarters
_LEAST_SHARE = 0.1  # of a quarter's bookings: below it the share says nothing of the rest
_STAGE = ["pipeline", "stage"]
_LIMITS = ("", "_low", "_high")


def crm_probability(case: Case, **_: object) -> np.ndarray:
    """Won so far, and each open deal due in the quarter times the CRM's probability of its stage.

    Known bias: deals that are pulled ahead or not created yet are not in it, and stage weights are seldom checked.

    Examples
    --------
    >>> crm_probability(_example()).tolist()
    [180.0]
    """
    return _landed(case, case.now["amount"] * case.now["probability"], case.now["is_due"])


def stage_history(case: Case, **_: object) -> np.ndarray:
    """Won so far, and each open deal due in the quarter times the share of `stage_rates` won in the end.

    A stage that no ended deal stood in has the share of all. Known bias: as of `crm_probability`, and a deal that is
    won after the quarter counts as if it were won in it.

    Examples
    --------
    >>> stage_history(_example()).tolist()  # in Offer 1 of 2 was won, in Talk none of 1
    [150.0]
    """
    rows = _ended(case)
    rates = rows.groupby(_STAGE, dropna=False, observed=True)["is_won"].mean().reset_index()
    share = _looked_up(case.now, rates, _STAGE, "is_won").fillna(rows["is_won"].mean() if len(rows) else np.nan)
    return _landed(case, case.now["amount"] * share, case.now["is_due"])


def category_history(case: Case, **_: object) -> np.ndarray:
    """Won so far, and each open deal due in the quarter times what its forecast category brought before.

    That is the amount won in the quarter over the amount known, of the deals due and in the category in this week of
    the past quarters. A category that was not seen then has that of all. Known bias: deals that are pulled ahead
    or not created yet are not in it.

    Examples
    --------
    >>> category_history(_example()).tolist()  # commit brought 60 of 120
    [150.0]
    """
    rows = same_week(case)
    rows = rows[rows["is_due"].to_numpy(dtype=bool) & rows["amount"].gt(0)]
    sums = rows.groupby("forecast_category", dropna=False, observed=True)[["won_amount", "amount"]].sum().reset_index()
    sums["share"] = sums["won_amount"] / sums["amount"]
    known = _looked_up(case.now, sums, ["forecast_category"], "share")
    share = known.fillna(sums["won_amount"].sum() / sums["amount"].sum() if len(sums) else np.nan)
    return _landed(case, case.now["amount"] * share, case.now["is_due"])


def length_of_sales_cycle(case: Case, **_: object) -> np.ndarray:
    """Won so far, and every open deal times its age over the mean sales cycle, exactly as the method is taught.

    See `cycle_probability`. Stage and close date are not looked at. Known bias: far too high, because a deal that
    stays open counts as the surer the older it is, and one older than the mean cycle as won.

    Examples
    --------
    >>> length_of_sales_cycle(_example()).tolist()  # 30 of 120 days, and beyond them
    [225.0]
    """
    chance = cycle_probability(case.now["age_days"], mean_cycle_days=mean_cycle(case))
    return _landed(case, case.now["amount"] * chance, np.ones(len(case.now), dtype=bool))


def run_rate(case: Case, **_: object) -> np.ndarray:
    """Won so far over the share of a quarter's bookings that was usually won by this day, over the last four.

    Where that share is below a tenth, as in the first weeks, the mean of those quarters.

    Known bias: one large deal, won early, is taken for a good quarter.

    Examples
    --------
    >>> run_rate(_example()).tolist()  # by this day 50 of 200 were won in the quarter before
    [400.0]
    """
    past = past_bookings(case).tail(_YEAR)
    total = past["bookings"].sum()
    if not len(past):
        return np.full(1, np.nan)
    share = past["booked_by_then"].sum() / total if total > 0 else 0.0
    return np.array([case.won_so_far / share if share >= _LEAST_SHARE else total / len(past)], dtype=float)


def seasonal_naive(case: Case, **_: object) -> np.ndarray:
    """The bookings of the same quarter last year; missing where the records do not reach back.

    Examples
    --------
    >>> seasonal_naive(_example())
    array([nan])
    """
    before = year_before(case.period, case.calendar)
    booked = case.won.loc[before.contains(case.won["close_date"]), "amount"]
    is_known = before.label in set(case.late["period"]) or case.won["close_date"].min() < pd.Timestamp(before.start)
    return np.array([booked.sum() if is_known else np.nan], dtype=float)


def submitted(submissions: pd.DataFrame, *, kind: str, category: str | None = None) -> Method:
    """The method of adding up what people said last of the quarter.

    Known bias: whoever has left, or says nothing any more, still counts with the last word.

    Parameters
    ----------
    submissions
        ``owner_id, period_start, submitted_at, category, amount, kind``.
    kind
        rep or manager.
    category
        Which of their figures; the first of `SAID` that people of the kind ever submitted if empty.

    Returns
    -------
    Method
        Missing where nobody has said anything of the quarter yet.

    Raises
    ------
    DataError
        A missing column.

    Examples
    --------
    >>> said = pd.DataFrame({"owner_id": ["a", "a", "b", "a"], "kind": "rep", "category": "commit",
    ...     "period_start": pd.to_datetime("2026-07-01"), "amount": [90.0, 100.0, 60.0, 500.0],
    ...     "submitted_at": pd.to_datetime(["2026-07-06", "2026-07-13", "2026-07-06", "2026-09-01"])})
    >>> submitted(said, kind="rep")(_example()).tolist()  # the last words of a and b by 28 July
    [160.0]
    """
    names = ("owner_id", "period_start", "submitted_at", "category", "amount", "kind")
    checks.require_columns(submissions, names, where="forecast_submissions")
    rows = submissions[submissions["kind"].eq(kind) & submissions["amount"].notna()]
    chosen = category or said_category(rows)
    rows = rows[rows["category"].eq(chosen)].sort_values("submitted_at", kind="stable")

    def method(case: Case, **_: object) -> np.ndarray:
        last = last_words(rows, period=case.period, cutoff=case.cutoff)
        return np.array([last["amount"].sum() if len(last) else np.nan], dtype=float)

    return method


def said_category(submissions: pd.DataFrame) -> str | None:
    """The category that people mean by their forecast: the first of `SAID` that was submitted.

    Examples
    --------
    >>> said_category(pd.DataFrame({"category": ["pipeline", "commit"]}))
    'commit'
    """
    known = set(submissions["category"].dropna())
    return next((name for name in SAID if name in known), None)


def last_words(submissions: pd.DataFrame, *, period: Period, cutoff: date) -> pd.DataFrame:
    """What each person said last of a quarter by the end of a day: the rows, one per ``owner_id``.

    Examples
    --------
    >>> from salesops.periods import quarter
    >>> said = pd.DataFrame({"owner_id": ["a", "a"], "amount": [90.0, 100.0],
    ...     "period_start": pd.to_datetime("2026-07-01"), "submitted_at": pd.to_datetime(["2026-07-06", "2026-07-13"])})
    >>> last_words(said, period=quarter(date(2026, 7, 1)), cutoff=date(2026, 7, 12))["amount"].tolist()
    [90.0]
    """
    known = submissions["submitted_at"] < pd.Timestamp(cutoff + timedelta(days=1))
    mine = submissions[known & period.contains(submissions["period_start"])]
    return mine.sort_values("submitted_at", kind="stable").drop_duplicates("owner_id", keep="last")


METHODS: Mapping[str, Method] = MappingProxyType({
    "crm_probability": crm_probability,
    "stage_history": stage_history,
    "category_history": category_history,
    "length_of_sales_cycle": length_of_sales_cycle,
    "run_rate": run_rate,
    "seasonal_naive": seasonal_naive,
})  # fmt: skip


def methods(submissions: pd.DataFrame | None = None) -> dict[str, Method]:
    """All reference methods by name; with ``reps`` and ``managers`` where they submit forecasts.

    Examples
    --------
    >>> list(methods())
    ['crm_probability', 'stage_history', 'category_history', 'length_of_sales_cycle', 'run_rate', 'seasonal_naive']
    """
    found = dict(METHODS)
    for name in ("rep", "manager"):
        if submissions is not None and len(submissions) and submissions["kind"].eq(name).any():
            found[f"{name}s"] = submitted(submissions, kind=name)
    return found


def reference_table(case: Case, chosen: Mapping[str, Method] = METHODS) -> pd.DataFrame:
    """What every reference method says of the quarter.

    Parameters
    ----------
    case
        Of `forecast_cases.case_of`.
    chosen
        Of `methods`.

    Returns
    -------
    DataFrame
        One row per method, in their order: ``model``, ``period``, ``n`` (open deals), ``reference_amount``.

    Metrics
    -------
    reference_amount : amount, close_date, none, -, is_won close_date amount
        Bookings of the quarter that a method in common use expects.

    Examples
    --------
    >>> reference_table(_example()).head(2)
                 model  period  n  reference_amount
    0  crm_probability  2026Q3  2             180.0
    1    stage_history  2026Q3  2             150.0
    """
    rows = [[name, case.period.label, len(case.now), float(method(case, seed=0)[0])] for name, method in chosen.items()]
    return pd.DataFrame(rows, columns=["model", "period", "n", "reference_amount"])


def stage_rates(case: Case, *, confidence: float = 0.95) -> pd.DataFrame:
    """Of the deals that stood in a stage on an evening of the past quarters and have ended, the share won.

    A deal counts once in each stage it was seen in. Known bias: deals still open are left out, so a stage that takes
    long to lose looks better than it is.

    Returns
    -------
    DataFrame
        One row per ``pipeline`` and ``stage``, in their order: ``n`` (ended deals), ``n_won``, ``stage_won_rate`` with
        limits that allow for several deals of one company.

    Metrics
    -------
    stage_won_rate : rate, closed, higher, n_won / n, is_won
        Of the ended deals that once stood in the stage, the share won in the end.

    Examples
    --------
    >>> stage_rates(_example())[["stage", "n", "n_won", "stage_won_rate"]]
       stage  n  n_won  stage_won_rate
    0   Talk  1      0             0.0
    1  Offer  2      1             0.5
    """
    keys, rows = _STAGE, _ended(case)
    table = means.clustered_share(rows, by=keys, success="is_won", cluster="account_id", confidence=confidence)
    table = table.rename(columns={"hit": "n_won"} | {f"share{end}": f"stage_won_rate{end}" for end in _LIMITS})
    table["position"] = _looked_up(table, case.past.drop_duplicates(keys), keys, "position")
    table = table.sort_values(["pipeline", "position"], kind="stable")
    return table.drop(columns="position").reset_index(drop=True)


def cycle_probability(age_days: pd.Series, *, mean_cycle_days: float) -> pd.Series:
    """Age over the mean sales cycle, at most 1: one month into a cycle of four is 25 %.

    Known bias: age alone does not win a deal; see `length_of_sales_cycle`.

    Metrics
    -------
    cycle_model_probability : rate, close_date, none, -, created_date
        Age of an open deal over the mean days from creation to winning, at most 1: the taught method, as a reference.

    Examples
    --------
    >>> cycle_probability(pd.Series([30.0, 240.0]), mean_cycle_days=120).tolist()
    [0.25, 1.0]
    """
    return (age_days / mean_cycle_days if mean_cycle_days > 0 else age_days * np.nan).clip(0, 1)


def mean_cycle(case: Case) -> float:
    """Mean days from creation to winning over all deals known as won; missing without any.

    Examples
    --------
    >>> mean_cycle(_example())
    120.0
    """
    days = (case.won["close_date"] - case.won["created_date"].dt.normalize()) / pd.Timedelta(days=1)
    return float(days[days >= 0].mean())


def same_week(case: Case) -> pd.DataFrame:
    """The rows of ``case.past`` of the same week of their quarter, or of the nearest there is."""
    distance = (case.past["week"] - case.week).abs()
    return case.past[distance == distance.min()]


def past_quarters(case: Case) -> list[Period]:
    """The whole quarters that the case knows, oldest first."""
    labels = set(case.late["period"])
    back = trailing_quarters(case.period, len(labels) + 2 * _YEAR, case.calendar)[:-1]
    return [each for each in back if each.label in labels]


def past_bookings(case: Case, *, days: int | None = None) -> pd.DataFrame:
    """Bookings of the whole quarters that the case knows, and what of them was booked as early in the quarter.

    Parameters
    ----------
    days
        Days of the quarter gone by; as many as on the case's evening if empty.

    Returns
    -------
    DataFrame
        One row per quarter, oldest first: ``period``, ``booked_by_then``, ``bookings``.

    Examples
    --------
    >>> past_bookings(_example())
       period  booked_by_then  bookings
    0  2026Q2            50.0     200.0
    """
    passed = (case.cutoff - case.period.start).days + 1 if days is None else days
    known = past_quarters(case)
    due, amount = case.won["close_date"].to_numpy(dtype="datetime64[D]"), case.won["amount"].to_numpy(dtype=float)
    rows = []
    for each in known:
        is_in = (due >= np.datetime64(each.start)) & (due <= np.datetime64(each.end))
        booked, on = amount[is_in], due[is_in]
        early = booked[on < np.datetime64(each.start + timedelta(days=passed))]
        rows.append([each.label, np.nansum(early), np.nansum(booked)])
    return pd.DataFrame(rows, columns=["period", "booked_by_then", "bookings"]).astype({"bookings": float})


def references_sentence(table: pd.DataFrame, *, currency: str = "") -> str:
    """Between which figures the methods in common use put the quarter.

    Parameters
    ----------
    table
        Of `reference_table`.

    Examples
    --------
    >>> table = pd.DataFrame({"model": ["crm_probability", "seasonal_naive"], "period": "2026Q3",
    ...     "reference_amount": [2.4e6, 1.9e6]})
    >>> references_sentence(table, currency="USD")  # doctest: +NORMALIZE_WHITESPACE
    "The usual methods put 2026Q3 between $1.9M (same quarter last year) and $2.4M (the CRM's probabilities)."
    >>> references_sentence(table[:1], currency="USD")
    "Of the usual methods only the CRM's probabilities can be used for 2026Q3; it says $2.4M."
    >>> references_sentence(table[:0])
    'None of the usual methods has enough to go by.'
    """
    known = table[table["reference_amount"].notna()].sort_values("reference_amount", kind="stable")
    if known.empty:
        return "None of the usual methods has enough to go by."
    names = [words.group(name, "model") for name in known["model"]]
    money = [words.amount(value, currency, compact=True) for value in known["reference_amount"]]
    period = known["period"].iloc[0]
    if len(known) == 1:
        return f"Of the usual methods only {names[0]} can be used for {period}; it says {money[0]}."
    if money[0] == money[-1]:
        return f"All of the {len(known)} usual methods put {period} at {money[0]}."
    return f"The usual methods put {period} between {money[0]} ({names[0]}) and {money[-1]} ({names[-1]})."


def _landed(case: Case, worth: pd.Series, counted) -> np.ndarray:
    """Won so far and what the counted deals are worth; a deal of unknown worth adds nothing."""
    taken = worth[np.asarray(counted, dtype=bool)]
    if len(taken) and taken.isna().all():
        return np.full(1, np.nan)
    return np.array([case.won_so_far + taken.sum()], dtype=float)


def _ended(case: Case) -> pd.DataFrame:
    """Each deal of the past quarters that is not open any more, once in each stage it was seen in."""
    rows = _stood_in(case.past)
    rows = rows[~rows["opportunity_id"].isin(case.now["opportunity_id"])]
    return rows.assign(is_won=rows["opportunity_id"].isin(case.won["opportunity_id"]))


@once
def _stood_in(past: pd.DataFrame) -> pd.DataFrame:
    """Each deal once in each stage it was seen in."""
    columns = past[["opportunity_id", "account_id", *_STAGE]]
    return columns.drop_duplicates(["opportunity_id", *_STAGE], keep="last")


def _looked_up(rows: pd.DataFrame, table: pd.DataFrame, keys: list[str], value: str) -> pd.Series:
    """A table's value for each row; a missing key is a key."""
    texts = [frame[keys].astype("str").fillna("") for frame in (rows, table)]
    found = texts[0].merge(texts[1].assign(value=table[value].to_numpy(dtype=float)), on=keys, how="left")["value"]
    return found.set_axis(rows.index)


def _example() -> Case:
    """A company of two open deals, after one quarter."""
    day, period = pd.to_datetime, Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    now = pd.DataFrame({
        "opportunity_id": ["p", "q"], "pipeline": "new", "stage": ["Offer", "Talk"], "position": [2.0, 1.0],
        "forecast_category": "commit", "amount": [100.0, 100.0], "probability": [0.8, 0.2], "age_days": [30.0, 400.0],
        "is_due": [True, False],
    })  # fmt: skip
    past = pd.DataFrame({
        "opportunity_id": ["b", "a", "c"], "account_id": ["x", "y", "z"], "period": "2026Q2", "week": 5,
        "pipeline": "new", "stage": ["Offer", "Offer", "Talk"], "position": [2.0, 2.0, 1.0], "amount": 60.0,
        "forecast_category": ["commit", "commit", "pipeline"], "is_due": [True, True, False],
        "won_amount": [60.0, 0.0, 0.0],
    })  # fmt: skip
    won = pd.DataFrame({
        "opportunity_id": ["b", "d", "e"], "amount": [150.0, 50.0, 100.0],
        "close_date": day(["2026-06-10", "2026-04-20", "2026-07-10"]),
        "created_date": day(["2026-02-10", "2025-12-21", "2026-03-12"]),
    })  # fmt: skip
    late = pd.DataFrame({"period": ["2026Q2"], "week": 5, "n": 0, "amount": 0.0})
    return Case(
        period=period, cutoff=date(2026, 7, 28), week=5, now=now, past=past, won=won, won_so_far=100.0, late=late,
        late_deals=late[:0], n_created=2, calendar=_CALENDAR,
    )  # fmt: skip
