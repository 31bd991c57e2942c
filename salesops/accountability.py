"""Accountability: what was said of each quarter, by the model and by people, and what came."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.stats import t as student

from salesops import checks, words
from salesops.forecast_cases import Case, cutoff_of
from salesops.periods import Period
from salesops.reference_forecasts import last_words, past_quarters, said_category
from salesops.stats import accuracy, bootstrap, pooling

LAYERS = ("seasonal_naive", "reps", "managers", "pipeline")  # each sees what the one before it said

_FEW = 4  # quarters that the spread usual among people counts for in each one's own
_NAMED = 3  # people in a sentence
_LIMITS = ("", "_low", "_high")


def forecast_record(tested: pd.DataFrame, *, model: str) -> pd.DataFrame:
    """What one method said of each past quarter, week by week, and what came.

    Parameters
    ----------
    tested
        Of `forecast_backtest.backtest`.
    model
        The method.

    Returns
    -------
    DataFrame
        One row per quarter and week: ``model, period, period_start, period_end, week, cutoff_date``, ``n`` (1),
        ``week_forecast_amount`` with limits at ``level``, ``quarter_bookings_amount``,
        ``week_error_rate``.

    Metrics
    -------
    week_forecast_amount : amount, close_date, none, -, is_won close_date amount
        Bookings of the quarter as forecast on the evening before a week of it, with the 80 % range stated then.
    quarter_bookings_amount : amount, close_date, none, -, is_won close_date amount
        Bookings of that quarter in the end.
    week_error_rate : rate, close_date, none, -, is_won close_date amount
        Forecast less bookings over bookings, sign kept: above nothing it promised too much.

    Examples
    --------
    >>> tested = pd.DataFrame({"model": "m", "period": "2026Q2", "period_start": "2026-04-01",
    ...     "period_end": "2026-06-30", "week": [1, 5], "cutoff_date": ["2026-03-31", "2026-04-28"], "actual": 100.0,
    ...     "predicted": [130.0, 95.0], "predicted_low_80": 80.0, "predicted_high_80": 140.0})
    >>> forecast_record(tested, model="m")[["week", "week_forecast_amount", "week_error_rate"]].round(2)
       week  week_forecast_amount  week_error_rate
    0     1                 130.0             0.30
    1     5                  95.0            -0.05
    """
    needed = ["model", "period", "week", "actual", "predicted", "predicted_low_80", "predicted_high_80"]
    checks.require_columns(tested, needed, where="tested")
    mine = tested[tested["model"].eq(model) & tested["predicted"].notna()].reset_index(drop=True)
    told = {"predicted": "week_forecast_amount", "predicted_low_80": "week_forecast_amount_low",
            "predicted_high_80": "week_forecast_amount_high", "actual": "quarter_bookings_amount"}  # fmt: skip
    rate = (mine["predicted"] - mine["actual"]) / mine["actual"].where(mine["actual"] != 0)
    table = mine.rename(columns=told).assign(n=1, week_error_rate=rate, level=0.8)
    return table[["model", "period", "period_start", "period_end", "week", "cutoff_date", "n", "week_forecast_amount",
                  "week_forecast_amount_low", "week_forecast_amount_high", "level", "quarter_bookings_amount",
                  "week_error_rate"]]  # fmt: skip


def nearest_week(weeks: Sequence[int], case: Case) -> int:
    """The week of the backtest that is nearest to a case's own, the earlier of two.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> nearest_week([1, 5, 9], SimpleNamespace(week=2)), nearest_week([9, 5], SimpleNamespace(week=7))
    (1, 5)
    """
    return min(sorted(weeks), key=lambda week: abs(week - case.week))


def record_sentence(record: pd.DataFrame, *, week: int, currency: str = "") -> str:
    """On which side the forecasts of one week fell, the latest of them, and how often what came was in their range.

    Parameters
    ----------
    record
        Of `forecast_record`.
    week
        The week of the quarter.

    Examples
    --------
    >>> record = pd.DataFrame({"week": 5, "week_forecast_amount": [110.0, 90.0, 120.0],
    ...     "week_forecast_amount_low": 80.0, "week_forecast_amount_high": 125.0,
    ...     "quarter_bookings_amount": [100.0, 130.0, 100.0], "period": ["2026Q1", "2026Q2", "2026Q3"]})
    >>> record_sentence(record, week=5, currency="USD")  # doctest: +NORMALIZE_WHITESPACE
    'Forecasts made as week 5 of a quarter began were too high in 2 of 3 quarters and too low in 1: for 2026Q3 $120 was
    forecast and $100 booked. Bookings lay within the range of the forecast in 2 of 3, where four of five should.'
    >>> record_sentence(record, week=9)
    'No past quarter was forecast as its week 9 began.'
    """
    mine = record[record["week"].eq(week)]
    n = len(mine)
    if not n:
        return f"No past quarter was forecast as its week {week} began."
    said, came = mine["week_forecast_amount"], mine["quarter_bookings_amount"]
    high, low = int((said > came).sum()), int((said < came).sum())
    of = "the one quarter" if n == 1 else f"{n} quarters"
    sides = _sides(high, low, n, of)
    latest = mine.iloc[-1]
    told, booked = (words.amount(each, currency, compact=True) for each in (said.iloc[-1], came.iloc[-1]))
    came_to = f"for {latest['period']} {told} was forecast and {booked} booked"
    made = f"Forecasts made as week {week} of a quarter began were {sides}: {came_to}."
    limits = mine["week_forecast_amount_low"], mine["week_forecast_amount_high"]
    known = np.isfinite(inside := accuracy.is_covered(came, *limits))
    if not known.any():
        return made
    hits, total = int(inside[known].sum()), int(known.sum())
    held = f"in {hits} of {total}" if hits else f"in none of {total}"
    if total == 1:
        lay = "lay" if hits else "did not lie"
        return f"{made} Bookings {lay} within the range of the forecast, as four of five should."
    return f"{made} Bookings lay within the range of the forecast {held}, where four of five should."


def people_lean(
    submissions: pd.DataFrame,
    case: Case,
    *,
    kind: str = "rep",
    week: int = 5,
    category: str | None = None,
    reps: pd.DataFrame | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """How far each person's forecasts of the past quarters lay above or below what the person then won.

    ``forecast_lean_rate = said / booked - 1`` over the quarters forecast by the week's evening. Its logarithm is
    drawn to that of the others as far as its own quarters leave it unsure: ``shrunk_lean_rate``. The error is that
    of a ratio of sums over quarters, its variance taken together with the one usual among people as if that
    were 4 quarters more.

    Known bias: a manager's people are those of today; quarters of one person are taken to be independent.

    Parameters
    ----------
    submissions
        ``owner_id, period_start, submitted_at, category, amount, kind``.
    case
        The latest: its wins are what was booked, by the owner at winning, in the whole quarters it knows.
    kind
        rep, or manager: then with `reps`, and booked is what the manager's people won.
    week
        Of the quarter: the last word by the evening before it counts.
    category
        As of `reference_forecasts.submitted`.
    reps
        ``owner_id, manager_id``.
    confidence
        Level of the intervals.

    Returns
    -------
    DataFrame
        One row per person, who forecast the most first: ``owner_id``, ``kind``, ``n`` (quarters), ``n_won`` (deals won
        in them), ``said_amount``, ``said_booked_amount``, ``forecast_lean_rate``, ``shrunk_lean_rate`` with limits, and
        ``p_value`` of no lean at all. Missing rates where nothing was said or booked; no shrunk one with fewer
        than three people.

    Metrics
    -------
    said_amount : amount, close_date, none, -, amount close_date
        Sum of what the person forecast of the past quarters, in the last submission by the week's evening.
    said_booked_amount : amount, close_date, higher, -, is_won close_date amount
        Bookings of the person, or a manager's people, in those quarters.
    forecast_lean_rate : rate, close_date, none, -, is_won close_date amount
        What the person forecast over what was booked, less 1: above nothing the person promised too much.
    shrunk_lean_rate : rate, close_date, none, -, is_won close_date amount
        The same, drawn to that of the others as far as its own quarters leave it unsure.

    References
    ----------
    Gelman et al. (2013), Bayesian Data Analysis, section 5.4; Smyth (2004), Stat. Appl. Genet. Mol. Biol. 3:3.

    Examples
    --------
    >>> from datetime import date
    >>> from salesops import forecast_cases, periods
    >>> from salesops.crm import sample
    >>> tables, day = sample.tables(size=2000, years=3, clean=True), date(2026, 7, 28)
    >>> case = forecast_cases.case_of(tables["opportunities"], tables["stage_history"], stages=tables["stages"],
    ...                               period=periods.quarter(day), cutoff=day)
    >>> lean = people_lean(tables["forecast_submissions"], case, kind="manager", reps=tables["reps"])
    >>> len(lean), bool(lean["shrunk_lean_rate"].std() < lean["forecast_lean_rate"].std())
    (6, True)
    """
    needed = ["owner_id", "period_start", "submitted_at", "category", "amount", "kind"]
    checks.require_columns(submissions, needed, where="forecast_submissions")
    if kind == "manager" and reps is None:
        raise checks.ParameterError(
            "people_lean: who works for a manager is told by reps, and there are none. Give reps."
        )
    cells = _said_and_booked(submissions, case, kind, week, category, reps)
    people = cells.groupby("owner_id", sort=False)
    table = people.agg(n=("said", "size"), n_won=("n_won", "sum"), said=("said", "sum"), booked=("booked", "sum"))
    ratio = (table["said"] / table["booked"]).where((table["said"] > 0) & (table["booked"] > 0))
    error, freedom = _errors(cells, table)
    lean = np.log(ratio)
    p_value = 2 * student.sf(lean.abs() / error, freedom)
    shrunk = np.expm1(pooling.pooled_means(lean, error, confidence=confidence)).set_axis(table.index)
    named = {f"mean{end}": f"shrunk_lean_rate{end}" for end in _LIMITS}
    table = table.assign(kind=kind, forecast_lean_rate=ratio - 1).join(shrunk.rename(columns=named))
    table = table.assign(p_value=p_value).rename(columns={"said": "said_amount", "booked": "said_booked_amount"})
    table = table.sort_values("said_amount", ascending=False, kind="stable").reset_index()
    columns = ["owner_id", "kind", "n", "n_won", "said_amount", "said_booked_amount", "forecast_lean_rate"]
    return table[[*columns, *named.values(), "p_value"]]


def lean_sentence(table: pd.DataFrame, *, week: int = 5, person: str = "owner_id") -> str:
    """Whether people promise too much or too little together, and who does by more than chance.

    Parameters
    ----------
    table
        Of `people_lean`; with ``is_named`` where the report controls its comparisons together. Who won fewer than
        20 deals is not named.
    week
        Of the quarter.
    person
        Column that names people.

    Examples
    --------
    >>> row = {"kind": "rep", "n": 8, "n_won": 40, "said_booked_amount": 100.0, "p_value": 0.5}
    >>> sure = {"said_amount": 150.0, "shrunk_lean_rate": 0.4, "p_value": 0.001}
    >>> table = pd.DataFrame([row | sure | {"owner_id": "Ada"},
    ...     row | {"owner_id": "Ben", "said_amount": 100.0, "shrunk_lean_rate": 0.02},
    ...     row | {"owner_id": "Cleo", "said_amount": 80.0, "shrunk_lean_rate": -0.15, "p_value": 0.01}])
    >>> lean_sentence(table)  # doctest: +NORMALIZE_WHITESPACE
    'At week 5 the 3 reps together forecast 10 % more than was booked in the end; beyond chance Ada forecasts too much
    (40 %) and Cleo too little (15 %).'
    >>> lean_sentence(table[1:2])
    'At week 5 the one rep forecast just what was booked in the end; for no one by more than chance explains.'
    >>> lean_sentence(table[:0])
    'Nobody submitted a forecast by week 5 of a past quarter, so no one can be held to it.'
    """
    if table.empty:
        return f"Nobody submitted a forecast by week {week} of a past quarter, so no one can be held to it."
    kind, said, booked = table["kind"].iloc[0], table["said_amount"].sum(), table["said_booked_amount"].sum()
    who = f"the one {kind}" if len(table) == 1 else f"the {words.count(len(table))} {kind}s together"
    if booked <= 0:
        return f"At week {week} {who} forecast quarters in which nothing was booked."
    off = words.rate(abs(said / booked - 1))
    side = "just what" if off == "0 %" else f"{off} {'more' if said > booked else 'less'} than"
    chosen = table[_is_named(table) & table["n_won"].ge(checks.MIN_N) & table["shrunk_lean_rate"].notna()]
    stated = f"At week {week} {who} forecast {side}{'' if off == '0 %' else ' what'} was booked in the end"
    stated = stated.replace("than what was", "than was")
    if chosen.empty:
        return f"{stated}; for no one by more than chance explains."
    parts = [
        _people(chosen[chosen["shrunk_lean_rate"] > 0], "too much", person),
        _people(chosen[chosen["shrunk_lean_rate"] <= 0], "too little", person),
    ]
    return f"{stated}; beyond chance {' and '.join(_verbs([part for part in parts if part]))}."


def revenue(actuals: pd.DataFrame, period: Period, *, measure: str = "amount") -> float:
    """Finance's revenue of a period; missing where it is not known whole, or money is measured otherwise.

    The company's own figures, or where there are none the sum over the regions. It is whole where the period has as
    many of finance's dates as the fullest of its kind has.

    Parameters
    ----------
    actuals
        ``measure, scope_kind, period_start, amount``; rows of measure ``revenue`` count.
    period
        A quarter.
    measure
        Which money the report counts; revenue stands beside ``amount`` only.

    Examples
    --------
    >>> from datetime import date
    >>> months = pd.to_datetime(["2026-04-01", "2026-05-01", "2026-06-01", "2026-07-01"])
    >>> actuals = pd.DataFrame({"measure": "revenue", "scope_kind": "company", "period_start": months, "amount": 10.0})
    >>> q2, q3 = (Period(f"2026Q{n}", date(2026, 3 * n - 2, 1), date(2026, 3 * n, 30)) for n in (2, 3))
    >>> revenue(actuals, q2), revenue(actuals, q3)
    (30.0, nan)
    """
    rows = actuals[actuals["measure"].eq("revenue") & actuals["amount"].notna()]
    own = rows[rows["scope_kind"].eq("company")]
    rows = own if len(own) else rows[rows["scope_kind"].eq("region")]
    mine = rows[period.contains(rows["period_start"])]
    dates = pd.Series(rows["period_start"].unique())
    most = max((period.days // max(int(gap), 1) for gap in dates.sort_values().diff().dt.days.dropna()), default=1)
    if measure != "amount" or mine.empty or mine["period_start"].nunique() < most:
        return np.nan
    return float(mine["amount"].sum())


def booked_outside(every: pd.DataFrame, counted: pd.DataFrame, period: Period) -> float:
    """Amount won in a period of deals that a report does not count, such as renewals.

    Parameters
    ----------
    every, counted
        All deals, and those of the report: ``opportunity_id, is_won, close_date, amount``.
    period
        When they were won.

    Examples
    --------
    >>> from datetime import date
    >>> every = pd.DataFrame({"opportunity_id": ["a", "b"], "is_won": True, "amount": [5.0, 7.0],
    ...                       "close_date": pd.to_datetime("2026-05-02")})
    >>> booked_outside(every, every[:1], Period("2026Q2", date(2026, 4, 1), date(2026, 6, 30)))
    7.0
    """
    others = every[~every["opportunity_id"].isin(counted["opportunity_id"])]
    return float(others.loc[others["is_won"] & period.contains(others["close_date"]), "amount"].sum())


def value_added(
    tested: pd.DataFrame, *, layers: Sequence[str] = LAYERS, confidence: float = 0.95, seed: int = 0
) -> pd.DataFrame:
    """What each layer of forecasting adds: by how much its error is smaller than that of the layer before.

    On the cases that both forecast; whole quarters are drawn anew for the interval, and a quarter counts once in
    the test.

    Parameters
    ----------
    tested
        Of `forecast_backtest.backtest`.
    layers
        Methods in the order in which each sees what the one before said; those not tested are left out.
    confidence, seed
        Of the bootstrap.

    Returns
    -------
    DataFrame
        One row per layer after the first: ``model``, ``other`` (the layer before), ``n`` (cases), ``n_quarters``,
        ``layer_error_rate``, ``layer_before_error_rate``, ``forecast_value_added`` with limits, ``p_value``.

    Metrics
    -------
    layer_error_rate : rate, close_date, lower, -, amount close_date
        Sum of the layer's absolute errors over the bookings, on the cases that it and the layer before forecast.
    layer_before_error_rate : rate, close_date, lower, -, amount close_date
        The same of the layer before.
    forecast_value_added : points, close_date, higher, -, amount close_date
        Error rate of the layer before less that of the layer: above nothing the layer makes the forecast better.

    References
    ----------
    Gilliland (2010), The Business Forecasting Deal, ch. 4; Diebold & Mariano (1995), J. Bus. Econ. Stat. 13:253-263.

    Examples
    --------
    >>> tested = pd.DataFrame({"model": ["reps"] * 3 + ["managers"] * 3, "period": ["Q1", "Q2", "Q3"] * 2, "week": 5,
    ...     "actual": 100.0, "predicted": [130.0, 125.0, 135.0, 110.0, 108.0, 111.0]})
    >>> value_added(tested)[["model", "other", "n", "layer_error_rate", "forecast_value_added"]].round(3)
          model other  n  layer_error_rate  forecast_value_added
    0  managers  reps  3             0.097                 0.203
    """
    checks.require_columns(tested, ["model", "period", "week", "actual", "predicted"], where="tested")
    wide = tested.pivot_table(index=["period", "week"], columns="model", values="predicted", sort=False)
    actual = tested.drop_duplicates(["period", "week"]).set_index(["period", "week"])["actual"].reindex(wide.index)
    found = [name for name in layers if name in wide]
    errors = wide[found].sub(actual, axis=0).abs()
    rows = [_added(errors[[name, before]].dropna(), actual, confidence, seed) for before, name in pairwise(found)]
    columns = ["model", "other", "n", "n_quarters", "layer_error_rate", "layer_before_error_rate",
               *(f"forecast_value_added{end}" for end in _LIMITS), "p_value"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def layer_sentences(table: pd.DataFrame) -> list[str]:
    """Whether each layer makes the forecast better, one sentence each.

    Parameters
    ----------
    table
        Of `value_added`; with ``is_named`` where the report controls its comparisons together.

    Examples
    --------
    >>> row = {"model": "managers", "other": "reps", "n": 24, "n_quarters": 12, "layer_error_rate": 0.2,
    ...     "layer_before_error_rate": 0.26, "forecast_value_added": 0.06, "p_value": 0.01}
    >>> for text in layer_sentences(pd.DataFrame([row, row | {"p_value": 0.3}, row | {"forecast_value_added": -0.06}])):
    ...     print(text)
    Over 12 quarters managers were off by 20 % of bookings and reps by 26 %: managers make the forecast better.
    Over 12 quarters managers were off by 20 % of bookings and reps by 26 %: no more apart than chance explains.
    Over 12 quarters managers were off by 20 % of bookings and reps by 26 %: managers make the forecast worse.
    >>> layer_sentences(pd.DataFrame([row | {"n": 0, "n_quarters": 0}]))
    ['No quarter was forecast both by managers and by reps.']
    """
    return [_layer_sentence(row) for _, row in table.assign(is_named=_is_named(table)).iterrows()]


def _sides(high: int, low: int, n: int, of: str) -> str:
    if n in (high, low):
        side = "high" if high else "low"
        return f"too {side} in {of if n == 1 else f'all {of}'}"
    if not high and not low:
        return f"right to the cent in {of if n == 1 else f'all {of}'}"
    (side, most), (other, least) = sorted((("high", high), ("low", low)), key=lambda pair: -pair[1])
    return f"too {side} in {most} of {of} and too {other} in {least or 'none'}"


def _said_and_booked(submissions, case: Case, kind: str, week: int, category, reps) -> pd.DataFrame:
    """Quarter by quarter what each person said by the week's evening, and what was then won."""
    rows = submissions[submissions["kind"].eq(kind) & submissions["amount"].notna()]
    rows = rows[rows["category"].eq(category or said_category(rows))]
    won = case.won
    if kind == "manager":
        manager = reps.drop_duplicates("owner_id").set_index("owner_id")["manager_id"]
        own = won["owner_id"].where(won["owner_id"].isin(rows["owner_id"]))
        won = won.assign(owner_id=won["owner_id"].map(manager).fillna(own))
    parts = [pd.DataFrame({"owner_id": pd.Series(dtype="str"), "said": 0.0, "booked": 0.0, "n_won": 0})]
    for period in past_quarters(case):
        said = last_words(rows, period=period, cutoff=cutoff_of(period, week)).set_index("owner_id")["amount"]
        mine = won[period.contains(won["close_date"])].groupby("owner_id")["amount"].agg(["sum", "size"])
        mine = mine.reindex(said.index, fill_value=0)
        cells = {"said": said.to_numpy(), "booked": mine["sum"].to_numpy(), "n_won": mine["size"].to_numpy()}
        parts.append(pd.DataFrame({"owner_id": said.index} | cells))
    return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)


def _errors(cells: pd.DataFrame, table: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Standard error of each person's log ratio of sums, and its degrees of freedom."""
    whole = table[["said", "booked"]].where(table[["said", "booked"]] > 0).reindex(cells["owner_id"]).to_numpy()
    apart = cells["said"].to_numpy() / whole[:, 0] - cells["booked"].to_numpy() / whole[:, 1]
    squares = pd.Series(apart**2).groupby(cells["owner_id"].to_numpy()).sum(min_count=1).reindex(table.index)
    n = table["n"]
    known = squares.notna() & (n > 1)
    # a sum of n quarters varies by n / (n - 1) of the squares; times n it is one quarter's share
    usual = (squares * n**2)[known].sum() / (n - 1)[known].sum() if known.any() else np.nan
    own = (squares * n**2).where(known, 0.0)
    freedom = (n - 1).where(known, 0) + _FEW
    return np.sqrt((_FEW * usual + own) / freedom / n), freedom


def _people(rows: pd.DataFrame, side: str, person: str) -> str:
    """Whom a side holds, the farthest first, with how far."""
    if rows.empty:
        return ""
    rows = rows.reindex(rows["shrunk_lean_rate"].abs().sort_values(ascending=False, kind="stable").index)
    shown = rows.head(_NAMED)
    names = [words.group(owner) for owner in shown[person]]
    far = [words.rate(abs(lean)) for lean in shown["shrunk_lean_rate"]]
    more = len(rows) - len(shown)
    names = [*names, *([f"{more} more"] if more else [])]
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{listed} forecast{'s' if len(names) == 1 else ''} {side} ({', '.join(far)}{', …' if more else ''})"


def _verbs(parts: list[str]) -> list[str]:
    """The verb is said once."""
    if len(parts) < 2:
        return parts
    return [parts[0], parts[1].replace(" forecasts too", " too").replace(" forecast too", " too")]


def _added(errors: pd.DataFrame, actual: pd.Series, confidence: float, seed: int) -> list:
    name, before = errors.columns
    size = actual.reindex(errors.index).abs().to_numpy(float)
    total = size.sum()
    periods = errors.index.get_level_values("period")
    gain = (errors[before] - errors[name]).to_numpy()
    found = bootstrap.ratio_interval(gain, size, cluster=periods, confidence=confidence, seed=seed)
    quarters = errors.groupby(level="period", sort=False).mean()
    p_value = accuracy.diebold_mariano(quarters[name], quarters[before])[1] if len(quarters) > 1 else np.nan
    rates = [errors[each].sum() / total if total > 0 else np.nan for each in (name, before)]
    return [name, before, len(errors), len(quarters), *rates, *found, p_value]


def _layer_sentence(row: pd.Series) -> str:
    name, other = words.group(row["model"], "model"), words.group(row["other"], "model")
    if not row["n"]:
        return f"No quarter was forecast both by {name} and by {other}."
    count = "1 quarter" if row["n_quarters"] == 1 else f"{row['n_quarters']:.0f} quarters"
    verb, make = ("were", "make") if row["model"] in ("reps", "managers") else ("was", "makes")
    off = (
        f"{words.rate(row['layer_error_rate'])} of bookings and {other} by {words.rate(row['layer_before_error_rate'])}"
    )
    side = "better" if row["forecast_value_added"] > 0 else "worse"
    judged = f"{name} {make} the forecast {side}" if row["is_named"] else "no more apart than chance explains"
    return f"Over {count} {name} {verb} off by {off}: {judged}."


def _is_named(rows: pd.DataFrame) -> pd.Series:
    return rows["is_named"].astype(bool) if "is_named" in rows else rows["p_value"].lt(0.05)
