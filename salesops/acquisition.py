"""Acquisition: what winning a new account costs, in all and by source."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from salesops import checks, words
from salesops.periods import Period
from salesops.stats import counts

KINDS = ("sales", "marketing")
RULES = {
    "marketing": "marketing cost of the source alone, over the accounts whose first won deal came from it",
    "deals": "marketing cost of the source, and the other costs by its share of the deals created while they were "
    "spent, over the accounts whose first won deal came from it",
}

_LIMITS = ("", "_low", "_high")


def new_accounts(opportunities: pd.DataFrame, *, period: Period) -> pd.DataFrame:
    """The first won deal of each account that was won for the first time in a period.

    An account whose first win on record is an expansion or renewal was a customer before the
    records begin; it is not new. A won deal without an account is an account of its own.

    Parameters
    ----------
    opportunities
        All of them, not the period's alone, with ``opportunity_id, account_id, opportunity_type, is_won, close_date``.
    period
        When the first deal was won.

    Examples
    --------
    >>> from datetime import date
    >>> deals = pd.DataFrame({
    ...     "opportunity_id": ["D1", "D2", "D3"], "account_id": ["A", "A", "B"], "is_won": True,
    ...     "opportunity_type": ["new", "expansion", "renewal"],
    ...     "close_date": pd.to_datetime(["2026-07-01", "2026-08-01", "2026-08-01"]),
    ... })
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> new_accounts(deals, period=q3)["opportunity_id"].tolist()
    ['D1']
    """
    needed = ["opportunity_id", "account_id", "opportunity_type", "is_won", "close_date"]
    checks.require_columns(opportunities, needed, where="opportunities")
    won = opportunities[opportunities["is_won"]]
    key = ("a" + won["account_id"]).fillna("d" + won["opportunity_id"].astype("str"))
    first = won.assign(key=key).sort_values(["close_date", "opportunity_id"], kind="stable").drop_duplicates("key")
    is_new = ~first["opportunity_type"].isin(["expansion", "renewal"])
    return first[is_new & period.contains(first["close_date"])].drop(columns="key")


def customer_acquisition_cost(
    opportunities: pd.DataFrame,
    *,
    costs: pd.DataFrame,
    periods: Sequence[Period],
    lag_months: int = 0,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Cost of sales and marketing over the new accounts won.

    The costs are those of the period, or of as many months earlier as they take to work. A
    month counts by its days inside. Missing where a month has no cost of a kind on record,
    where one of the two kinds is absent, or where no account was won. The costs are taken as
    known; the interval is that of the number of accounts, as a Poisson count.

    Parameters
    ----------
    opportunities
        As for `new_accounts`.
    costs
        With ``month`` (its first day), ``kind`` (sales or marketing) and ``amount``.
    periods
        When the accounts were won, one row each.
    lag_months
        How many months earlier the costs were spent.
    confidence
        Level of the interval.

    Returns
    -------
    DataFrame
        One row per period: ``period``, ``period_start``, ``period_end``, ``n`` (new accounts),
        ``sales_cost_amount``, ``marketing_cost_amount``, ``customer_acquisition_cost`` with limits.

    Metrics
    -------
    sales_cost_amount : amount, period, none, -, -
        Cost of sales of the period, or of as many months earlier as the lag says.
    marketing_cost_amount : amount, period, none, -, -
        Cost of marketing of the period, or of as many months earlier as the lag says.
    customer_acquisition_cost : amount, closed, lower, -, is_won close_date
        Cost of sales and marketing over the accounts won for the first time in the period.

    References
    ----------
    Garwood (1936), Biometrika 28:437-442 (the interval of the count).

    Examples
    --------
    >>> from datetime import date
    >>> deals = pd.DataFrame({
    ...     "opportunity_id": ["D1", "D2"], "account_id": ["A", "B"], "is_won": True, "opportunity_type": "new",
    ...     "close_date": pd.to_datetime("2026-07-15"),
    ... })
    >>> costs = pd.DataFrame({
    ...     "month": pd.to_datetime(["2026-06-01", "2026-06-01", "2026-07-01", "2026-07-01"]),
    ...     "kind": ["sales", "marketing"] * 2, "amount": [60.0, 40.0, 90.0, 50.0],
    ... })
    >>> july = Period("2026-07", date(2026, 7, 1), date(2026, 7, 31))
    >>> [customer_acquisition_cost(deals, costs=costs, periods=[july], lag_months=lag)["customer_acquisition_cost"][0]
    ...  for lag in (0, 1)]
    [np.float64(70.0), np.float64(50.0)]
    """
    checks.require_columns(costs, ["month", "kind", "amount"], where="costs")
    rows = []
    for period in periods:
        spent = _spent(costs, period, lag_months)
        sums = {f"{kind}_cost_amount": _complete(spent[spent["kind"] == kind]) for kind in KINDS}
        stated = {"period": period.label, "period_start": period.start, "period_end": period.end}
        n = len(new_accounts(opportunities, period=period))
        rows.append(stated | {"n": n} | sums)
    table = pd.DataFrame(rows, columns=None if rows else ["period", "period_start", "period_end", "n"])
    cost = table["sales_cost_amount"] + table["marketing_cost_amount"]
    return table.assign(**_per_account(cost, table["n"], "customer_acquisition_cost", confidence))


def source_acquisition_cost(
    opportunities: pd.DataFrame,
    *,
    costs: pd.DataFrame,
    period: Period,
    attribution: str,
    lag_months: int = 0,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Cost of the new accounts of each source, by a stated rule of attribution.

    An account belongs to the source of its first won deal. What it cost depends on the rule:
    ``marketing`` counts only the marketing cost that names the source; ``deals`` adds the
    costs that name none, sales among them, by the source's share of the deals created in the
    months of the costs.

    Known bias: credits one source with an account that several had touched.

    Parameters
    ----------
    opportunities
        As for `new_accounts`, with ``lead_source`` and ``created_date``.
    costs
        With ``month``, ``kind``, ``source`` and ``amount``.
    period, lag_months, confidence
        As for `customer_acquisition_cost`.
    attribution
        marketing or deals.

    Returns
    -------
    DataFrame
        One row per source by name, a missing one last: ``source``, ``n`` (new accounts), ``source_cost_amount``,
        ``source_acquisition_cost`` with limits, ``attribution`` (the rule in words).

    Metrics
    -------
    source_cost_amount : amount, period, none, -, -
        Cost put to the source by the rule of attribution.
    source_acquisition_cost : amount, closed, lower, source_cost_amount / n, is_won close_date lead_source
        Cost put to the source over the new accounts put to it, by the stated rule of attribution.

    Examples
    --------
    >>> from datetime import date
    >>> deals = pd.DataFrame({
    ...     "opportunity_id": ["D1", "D2"], "account_id": ["A", "B"], "is_won": [True, False],
    ...     "created_date": pd.to_datetime("2026-07-02"), "close_date": pd.to_datetime("2026-07-15"),
    ...     "lead_source": ["Event", "Web"], "opportunity_type": "new",
    ... })
    >>> costs = pd.DataFrame({
    ...     "month": pd.to_datetime("2026-07-01"), "kind": ["sales", "marketing"], "source": [None, "Event"],
    ...     "amount": [90.0, 50.0],
    ... })
    >>> july = Period("2026-07", date(2026, 7, 1), date(2026, 7, 31))
    >>> table = source_acquisition_cost(deals, costs=costs, period=july, attribution="deals")
    >>> table[["source", "n", "source_cost_amount", "source_acquisition_cost"]]
      source  n  source_cost_amount  source_acquisition_cost
    0  Event  1                95.0                     95.0
    1    Web  0                45.0                      NaN
    """
    if attribution not in RULES:
        near = checks.did_you_mean(attribution, RULES)
        raise checks.ParameterError(f"attribution: '{attribution}'. Use {', '.join(RULES)}.{near}")
    checks.require_columns(costs, ["month", "kind", "source", "amount"], where="costs")
    checks.require_columns(opportunities, ["lead_source", "created_date"], where="opportunities")
    spent = _spent(costs, period, lag_months)
    won = new_accounts(opportunities, period=period)["lead_source"].value_counts(dropna=False)
    own = spent[spent["source"].notna() & (spent["kind"] == "marketing")].groupby("source")["amount"].sum()
    created = opportunities.loc[_earlier(period, lag_months).contains(opportunities["created_date"]), "lead_source"]
    shares = created.value_counts(normalize=True, dropna=False)
    names = pd.Index([*won.index, *own.index, *(shares.index if attribution == "deals" else [])]).unique()
    table = pd.DataFrame({"source": pd.Series(names, dtype="str").sort_values(ignore_index=True)})
    cost, n, share = (_at(values, table["source"]) for values in (own, won, shares))
    if attribution == "deals":
        rest = spent["amount"].sum() - own.sum()
        cost = cost + (rest * share if len(created) else np.nan)
    is_complete = all(not np.isnan(_complete(spent[spent["kind"] == kind])) for kind in _kinds_of(attribution))
    cost = cost if is_complete else cost * np.nan
    table = table.assign(n=n.astype(int), source_cost_amount=cost)
    ratio = _per_account(cost, table["n"], "source_acquisition_cost", confidence)
    return table.assign(**ratio, attribution=RULES[attribution])


def cost_sentence(table: pd.DataFrame, *, currency: str = "", lag_months: int = 0) -> str:
    """What a new account cost in the last period of the table, and whether that changed.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "period": ["2026Q2", "2026Q3"], "n": [80, 100], "customer_acquisition_cost": [1000.0, 1100.0],
    ...     "customer_acquisition_cost_low": [800.0, 905.0], "customer_acquisition_cost_high": [1260.0, 1350.0],
    ... })
    >>> cost_sentence(table, currency="USD", lag_months=3)
    'A new account cost $1.1K in 2026Q3 (likely between $905 and $1.4K; 100 accounts, with the costs of 3 months \
earlier): no clear change from 2026Q2.'
    >>> cost_sentence(table.assign(n=[80, 0]))
    'No new account was won in 2026Q3, so there is no cost of one.'
    """
    name, now = "customer_acquisition_cost", table.iloc[-1]
    if now["n"] == 0:
        return f"No new account was won in {now['period']}, so there is no cost of one."
    if words.is_missing(now[name]):
        return f"The costs of {now['period']} are not complete, so what a new account cost cannot be told."
    many = f"{words.count(now['n'])} {'account' if now['n'] == 1 else 'accounts'}"
    when = f", with the costs of {words.count(lag_months)} {'month' if lag_months == 1 else 'months'} earlier"
    limits = words.interval(now[f"{name}_low"], now[f"{name}_high"], "amount", currency=currency)
    cost = words.amount(now[name], currency, compact=True)
    stated = f"A new account cost {cost} in {now['period']} ({limits}; {many}{when if lag_months else ''})"
    before = table.iloc[-2] if len(table) > 1 else None
    if before is None or words.is_missing(before[name]) or min(now["n"], before["n"]) < checks.MIN_N:
        return f"{stated}."
    if min(now[name], before[name]) <= 0:
        return f"{stated}; in {before['period']} it cost {words.amount(before[name], currency, compact=True)}."
    # Ratio of two Poisson rates, on the log scale: 1/n + 1/m is its variance.
    moved, margin = np.log(now[name] / before[name]), 1.96 * np.sqrt(1 / now["n"] + 1 / before["n"])
    if abs(moved) <= margin:
        return f"{stated}: no clear change from {before['period']}."
    said = words.change(now[name], before[name], "amount", good="lower")
    return f"{stated}, {said} from {words.amount(before[name], currency, compact=True)} in {before['period']}."


def _earlier(period: Period, lag_months: int) -> Period:
    """The months of the costs, as long before the period as the lag says."""
    if lag_months < 0:
        raise checks.ParameterError(f"lag_months: {lag_months}. Give 0 or more months from cost to win.")
    back = pd.DateOffset(months=lag_months)
    start, beyond = (
        pd.Timestamp(day) - back for day in (period.start, pd.Timestamp(period.end) + pd.Timedelta(days=1))
    )
    return Period(period.label, start.date(), (beyond - pd.Timedelta(days=1)).date())


def _spent(costs: pd.DataFrame, period: Period, lag_months: int) -> pd.DataFrame:
    """Costs of the months that touch the period, each by its days inside, with ``share``, those days in months."""
    window = _earlier(period, lag_months)
    first = costs["month"].dt.to_period("M").dt.start_time
    beyond = first + pd.offsets.MonthBegin(1)
    start, end = pd.Timestamp(window.start), pd.Timestamp(window.end) + pd.Timedelta(days=1)
    inside = (beyond.clip(upper=end) - first.clip(lower=start)) / pd.Timedelta(days=1)
    share = (inside / ((beyond - first) / pd.Timedelta(days=1))).clip(lower=0)
    rows = costs.assign(month=first, days=inside.clip(lower=0), amount=costs["amount"] * share, length=window.days)
    return rows[share > 0]


def _complete(spent: pd.DataFrame) -> float:
    """Sum of the costs, where every day of the window has one on record."""
    covered = spent.dropna(subset="amount").drop_duplicates("month")
    is_complete = len(covered) and covered["days"].sum() >= covered["length"].iloc[0]
    return spent["amount"].sum() if is_complete else np.nan


def _per_account(cost: pd.Series, n: pd.Series, name: str, confidence: float) -> dict[str, pd.Series]:
    few, many = counts.poisson_interval(n, confidence=confidence)
    limits = {name: n, f"{name}_low": pd.Series(many, cost.index), f"{name}_high": pd.Series(few, cost.index)}
    return {column: (cost / accounts.where(accounts > 0)).where(n > 0) for column, accounts in limits.items()}


def _at(values: pd.Series, names: pd.Series) -> pd.Series:
    """Values by source laid out over names, none for a source without one; the missing source has its own."""
    known = values[values.index.notna()]
    missing = values[values.index.isna()].sum()
    return names.map(known).astype(float).fillna(0.0).where(names.notna(), missing)


def _kinds_of(attribution: str) -> tuple[str, ...]:
    return KINDS if attribution == "deals" else ("marketing",)
