"""Called deals: what became of what was called a quarter's, and where the difference to the forecast came from."""

from datetime import date, timedelta

import numpy as np
import pandas as pd

from salesops import checks, words
from salesops.forecast_cases import Case
from salesops.periods import Period
from salesops.reference_forecasts import same_week
from salesops.stats import bootstrap, means, proportions

COMMIT = "commit"
ENDS = ("won", "lost", "slipped", "pulled in")
PARTS = ("judgement", "slipped", "lost", "not called", "amount", "created late", "data entry")
FIRST, LAST = "forecast", "bookings"

_CATEGORIES = ("commit", "best_case", "most_likely", "pipeline", "omitted")  # the surest first
_LIMITS = ("", "_low", "_high")
_SAID = {
    "judgement": "a judgement beyond the deals",
    "slipped": "deals that slipped",
    "lost": "deals that were lost",
    "not called": "deals that were not called",
    "amount": "changed amounts",
    "created late": "deals created later",
    "data entry": "wins recorded late or corrected",
}


def category_conversion(case: Case, *, confidence: float = 0.95) -> pd.DataFrame:
    """What the deals of each forecast category, due in the quarter in this week of past quarters, brought in it.

    By count and by money, the amount being that known then. A deal due in two quarters counts in each.

    Known bias: deals due later and pulled ahead are not in it; see `slip_matrix`.

    Parameters
    ----------
    case
        Of `forecast_cases`: its past quarters, at its week.
    confidence
        Level of the intervals, which allow for several deals of one company.

    Returns
    -------
    DataFrame
        One row per ``forecast_category``, the surest first, none last: ``n`` (deals), ``n_won``, ``category_won_rate``
        with limits, ``category_due_amount``, ``category_won_amount``, ``value_category_won_rate`` with limits.

    Metrics
    -------
    category_won_rate : rate, close_date, higher, n_won / n, is_won close_date forecast_category
        Of the open deals in the category and due in the quarter, the share won in it.
    category_due_amount : amount, close_date, none, -, amount close_date forecast_category
        Amount of those deals as known then.
    category_won_amount : amount, close_date, higher, -, amount close_date forecast_category
        Of it the amount of the deals won in the quarter.
    value_category_won_rate : rate, close_date, higher, category_won_amount / category_due_amount, amount close_date
        Of the amount in the category and due in the quarter, the share won in it.

    Examples
    --------
    >>> category_conversion(_example()[0])[["forecast_category", "n", "n_won", "value_category_won_rate"]]
      forecast_category  n  n_won  value_category_won_rate
    0            commit  2      1                     0.25
    1          pipeline  1      0                     0.00
    """
    rows = same_week(case)
    rows = _named(rows[rows["is_due"].to_numpy(dtype=bool)])
    options = {"by": ["forecast_category"], "success": "is_won_in_period", "cluster": "account_id"}
    count = means.clustered_share(rows, **options, confidence=confidence)
    count = count.rename(columns={"hit": "n_won"} | {f"share{end}": f"category_won_rate{end}" for end in _LIMITS})
    priced = rows.assign(amount=rows["amount"].fillna(0.0))
    value = proportions.weighted_share(priced, weight="amount", **options, confidence=confidence).drop(columns="n")
    value = value.rename(columns={"hit": "category_won_amount", "total": "category_due_amount"}
                         | {f"share{end}": f"value_category_won_rate{end}" for end in _LIMITS})  # fmt: skip
    return _in_order(count.merge(value, on="forecast_category"))


def slip_matrix(case: Case, *, confidence: float = 0.95) -> pd.DataFrame:
    """Where the deals of each forecast category in this week of past quarters stood when the quarter ended.

    Those due in the quarter were won in it, lost, or slipped (neither); of those due later some were pulled in.

    Parameters
    ----------
    case, confidence
        As of `category_conversion`.

    Returns
    -------
    DataFrame
        One row per ``forecast_category`` and end (``became``): ``n`` (deals due in the quarter; due later for "pulled
        in"), ``n_became``, ``became_rate`` with limits.

    Metrics
    -------
    became_rate : rate, close_date, none, n_became / n, is_won close_date forecast_category
        Of the deals in the category and due in the quarter, or later, the share that ended the quarter so.

    Examples
    --------
    >>> slip_matrix(_example()[0])[["forecast_category", "became", "n", "n_became"]].head(4)
      forecast_category     became  n  n_became
    0            commit        won  2         1
    1            commit       lost  2         0
    2            commit    slipped  2         1
    3            commit  pulled in  0         0
    """
    rows = _named(same_week(case))
    is_due = rows["is_due"].to_numpy(dtype=bool)
    tables = []
    for end in ENDS:
        is_late = end == "pulled in"
        became = rows["ended"].astype("str").eq("won" if is_late else end)
        of = rows.assign(became=became)[~is_due if is_late else is_due]
        found = means.clustered_share(of, by=["forecast_category"], success="became", cluster="account_id",
                                      confidence=confidence)  # fmt: skip
        found = found.rename(columns={"hit": "n_became"} | {f"share{tail}": f"became_rate{tail}" for tail in _LIMITS})
        every = rows[["forecast_category"]].drop_duplicates()
        tables.append(every.merge(found, on="forecast_category", how="left").assign(became=end))
    table = pd.concat(tables, ignore_index=True).fillna({"n": 0, "n_became": 0}).astype({"n": int, "n_became": int})
    return _in_order(table)[["forecast_category", "became", "n", "n_became", *(f"became_rate{e}" for e in _LIMITS)]]


def forecast_gap(
    case: Case,
    later: Case,
    *,
    forecast: float | None = None,
    called: pd.Series | None = None,
    late: float = 0.0,
    revenue: float | None = None,
    outside: float = 0.0,
) -> pd.DataFrame:
    """From what was forecast of a quarter to what was booked, part by part; the parts sum exactly, in cents.

    The forecast's deals are those won so far and the called ones, each with the amount then known times the share
    that was counted on. The parts: *judgement* (the deals less the forecast where that is another number), *slipped*
    and *lost* (what was counted on of deals still open at the quarter's end, or lost), *not called* (of the open
    deals won, what was not counted on), *amount* (their final less the known amount), *created late* (won deals
    created after the evening, less what was counted on of them), *data entry* (wins dated on or before the evening
    that the CRM was told later, and changes to what was already won).

    Parameters
    ----------
    case
        What was known on the evening of the forecast.
    later
        A case of a later quarter, which knows how this one ended.
    forecast
        Bookings that were forecast; what its deals sum to if empty.
    called
        Share of each deal of ``case.now`` that was counted on: true and false, or chances. If empty, the commit deals
        due in the quarter, or where there are no categories all that were due.
    late
        Amount counted on of deals not created yet.
    revenue, outside
        Finance's revenue of the quarter, for a last bar; and what was booked of deals that this report leaves out but
        finance does not (`outside`).

    Returns
    -------
    DataFrame
        One row per part, in the order of a waterfall from ``forecast`` to ``bookings`` (and ``other
        deals``, ``recognition``, ``revenue``): ``period``, ``cutoff_date``, ``week``, ``part``, ``n`` (deals; missing
        where none are meant), ``gap_part_amount``.

    Raises
    ------
    ParameterError
        `later` does not know how the quarter ended.

    Metrics
    -------
    gap_part_amount : amount, close_date, none, -, is_won close_date amount
        What the part takes from the forecast, or adds, on the way to the bookings; both ends are totals.

    Examples
    --------
    >>> gap = forecast_gap(*_example())
    >>> gap[["part", "n", "gap_part_amount"]].query("gap_part_amount != 0")  # doctest: +NORMALIZE_WHITESPACE
               part    n  gap_part_amount
    0      forecast  2.0            190.0
    2       slipped  1.0            -90.0
    5        amount  1.0            -20.0
    6  created late  1.0             35.0
    8      bookings  2.0            115.0
    """
    if later.period.start <= case.period.start or case.period.label not in set(later.late["period"]):
        raise checks.ParameterError(
            f"later: a case of {later.period.label}, cut off on {later.cutoff}, does not know how {case.period.label} "
            "ended. Give a case of a later quarter that has it among its past ones."
        )
    deals, share = _fates(case, later), _share(case, called)
    cents = _parts(deals, share, case.cutoff)
    expected = _cents(pd.Series([late]))[0]
    counted = deals["was"].sum() + cents["counted"].sum() + expected
    said = counted if forecast is None else _cents(pd.Series([forecast]))[0]
    totals = {part: cents[part].sum() for part in PARTS if part in cents} | {"judgement": counted - said}
    totals["created late"] -= expected
    n = {part: (cents[part] != 0).sum() for part in cents.columns}
    booked = said + sum(totals.values())
    n_called = n["counted"] + int(case.period.contains(case.won["close_date"]).sum())
    rows = [[FIRST, n_called, said], *([part, n.get(part), totals[part]] for part in PARTS),
            [LAST, int(deals["is_won"].sum()), booked]]  # fmt: skip
    if revenue is not None and not pd.isna(revenue):
        earned = _cents(pd.Series([revenue]))[0]
        others = _cents(pd.Series([outside]))[0]
        rows += [["other deals", None, others]] if others else []
        rows += [["recognition", None, earned - booked - others], ["revenue", None, earned]]
    table = pd.DataFrame(rows, columns=["part", "n", "gap_part_amount"]).astype({"n": float, "gap_part_amount": float})
    table["gap_part_amount"] /= 100
    table.insert(0, "week", case.week)
    table.insert(0, "cutoff_date", case.cutoff)
    table.insert(0, "period", case.period.label)
    return table


def forecast_gaps(cases: list[Case], later: Case, **beside: float) -> pd.DataFrame:
    """`forecast_gap` of every case whose end the later one knows, one under the other, with what stands beside them.

    Examples
    --------
    >>> case, later = _example()
    >>> len(forecast_gaps([case, later], later))
    9
    """
    known = set(later.late["period"])
    tables = [forecast_gap(each, later, **beside) for each in cases if each.period.label in known]
    columns = ["period", "cutoff_date", "week", "part", "n", "gap_part_amount"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def gap_shares(gaps: pd.DataFrame, *, confidence: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """What each part of the gap usually comes to, as a share of the bookings.

    Parameters
    ----------
    gaps
        Of `forecast_gaps`.
    confidence, seed
        Of the bootstrap, which draws whole quarters.

    Returns
    -------
    DataFrame
        One row per part: ``part``, ``n`` (forecasts), ``n_quarters``, ``gap_share_rate`` with limits.

    Metrics
    -------
    gap_share_rate : rate, close_date, none, -, is_won close_date amount
        Sum of what the part took from the forecasts, or added, over the sum of the bookings; sign kept.

    Examples
    --------
    >>> gap_shares(forecast_gaps([_example()[0]], _example()[1]))[["part", "n", "gap_share_rate"]].round(2)[1:3]
          part  n  gap_share_rate
    1  slipped  1           -0.78
    2     lost  1            0.00
    """
    booked = gaps[gaps["part"].eq(LAST)].set_index(["period", "week"])["gap_part_amount"]
    rows = []
    for part in PARTS:
        mine = gaps[gaps["part"].eq(part)].set_index(["period", "week"])["gap_part_amount"]
        periods = mine.index.get_level_values("period")
        size = booked.reindex(mine.index).to_numpy(dtype=float)
        found = bootstrap.ratio_interval(mine.to_numpy(float), size, cluster=periods, confidence=confidence, seed=seed)
        rows.append([part, len(mine), periods.nunique(), *found])
    return pd.DataFrame(rows, columns=["part", "n", "n_quarters", *(f"gap_share_rate{end}" for end in _LIMITS)])


def category_sentence(table: pd.DataFrame, *, week: int) -> str:
    """What each category brought.

    Parameters
    ----------
    table
        Of `category_conversion`.
    week
        The case's.

    Examples
    --------
    >>> table = pd.DataFrame({"forecast_category": ["commit", "best_case", "pipeline", None], "n": [60, 80, 200, 3],
    ...     "value_category_won_rate": [0.71, 0.33, 0.09, 1.0]})
    >>> category_sentence(table, week=5)  # doctest: +NORMALIZE_WHITESPACE
    'Of the amount due in the quarter at week 5, commit deals brought 71 %, best case deals 33 % and pipeline deals
    9 % within it.'
    >>> category_sentence(table[3:], week=5)
    'At week 5 of past quarters no forecast category had 20 deals due, too few to say what a category brings.'
    """
    enough = table["n"].ge(checks.MIN_N) & table["value_category_won_rate"].notna()
    known = table[enough & table["forecast_category"].notna()]
    if known.empty:
        few = f"no forecast category had {checks.MIN_N} deals due, too few to say what a category brings"
        return f"At week {week} of past quarters {few}."
    first, *rest = [
        (f"{_plain(row['forecast_category'])} deals", words.rate(row["value_category_won_rate"]))
        for _, row in known.iterrows()
    ]
    parts = [f"{first[0]} brought {first[1]}", *(f"{name} {share}" for name, share in rest)]
    return f"Of the amount due in the quarter at week {week}, {_listed(parts)} within it."


def slip_sentence(table: pd.DataFrame, *, week: int, category: str = COMMIT) -> str:
    """What became of the deals of one category.

    Parameters
    ----------
    table
        Of `slip_matrix`.
    week
        The case's.
    category
        Which.

    Examples
    --------
    >>> table = pd.DataFrame({"forecast_category": "commit", "became": ["won", "lost", "slipped", "pulled in"],
    ...     "n": [100, 100, 100, 40], "n_became": [60, 15, 25, 4]})
    >>> slip_sentence(table, week=5)  # doctest: +NORMALIZE_WHITESPACE
    'Of the 100 commit deals due in the quarter at week 5, 60 % were won in it, 15 % lost and 25 % slipped; of the 40
    due later 10 % were pulled in.'
    >>> slip_sentence(table.assign(n=[3, 3, 3, 0], n_became=[1, 0, 2, 0]), week=5)  # doctest: +NORMALIZE_WHITESPACE
    'At week 5 of past quarters only 3 commit deals were due in the quarter: too few to tell how often they slip.'
    >>> slip_sentence(table[:0], week=5)
    'No deals were called commit at week 5 of past quarters.'
    """
    mine = table[table["forecast_category"].eq(category)].set_index("became")
    name = _plain(category)
    if mine.empty:
        return f"No deals were called {name} at week {week} of past quarters."
    n, late = int(mine.loc["won", "n"]), int(mine.loc["pulled in", "n"])
    if n < checks.MIN_N:
        few = f"{f'only {n}' if n else 'no'} {name} {'deal was' if n == 1 else 'deals were'} due in the quarter"
        return f"At week {week} of past quarters {few}: too few to tell how often they slip."
    won, lost, slipped = (words.rate(mine.loc[end, "n_became"] / n) for end in ENDS[:3])
    stated = f"Of the {words.count(n)} {name} deals due in the quarter at week {week}, {won} were won in it"
    stated = f"{stated}, {lost} lost and {slipped} slipped"
    if late < checks.MIN_N:
        return f"{stated}."
    pulled = words.rate(mine.loc["pulled in", "n_became"] / late)
    return f"{stated}; of the {words.count(late)} due later {pulled} were pulled in."


def gap_sentence(gap: pd.DataFrame, *, currency: str = "", brief: bool = False) -> str:
    """What took the most from the forecast of a quarter, and what made up for it; both ends where `brief`, as a title.

    Parameters
    ----------
    gap
        Of `forecast_gap`.

    Examples
    --------
    >>> gap = pd.DataFrame({"period": "2026Q2", "week": 5, "part": ["forecast", "slipped", "lost", "created late",
    ...     "bookings"], "gap_part_amount": [3e6, -8e5, -2e5, 4e5, 2.4e6]})
    >>> gap_sentence(gap, currency="USD")  # doctest: +NORMALIZE_WHITESPACE
    'At week 5 $3.0M was forecast for 2026Q2 and $2.4M was booked: deals that slipped took $800K and deals that were
    lost $200K, and deals created later added $400K.'
    >>> gap_sentence(gap, currency="USD", brief=True)
    'At week 5 $3.0M was forecast for 2026Q2 and $2.4M was booked'
    >>> gap_sentence(gap.assign(gap_part_amount=[3e6, 0, 0, 0, 3e6]), currency="USD")
    'At week 5 $3.0M was forecast for 2026Q2 and $3.0M was booked, deal by deal.'
    >>> gap_sentence(gap[:0])
    'No completed quarter tells what became of its forecast.'
    """
    if gap.empty:
        return "No completed quarter tells what became of its forecast."
    amounts = gap.set_index("part")["gap_part_amount"]
    said, booked = (words.amount(amounts[end], currency, compact=True) for end in (FIRST, LAST))
    stated = f"At week {gap['week'].iloc[0]} {said} was forecast for {gap['period'].iloc[0]} and {booked} was booked"
    if brief:
        return stated
    parts = amounts[[part for part in PARTS if part in amounts.index]]
    took, added = parts[parts < 0].sort_values(), parts[parts > 0].sort_values(ascending=False)
    sides = [_moved(took, "took", currency), _moved(added, "added", currency)]
    told = ", and ".join(side for side in sides if side)
    return f"{stated}: {told}." if told else f"{stated}, deal by deal."


def _fates(case: Case, later: Case) -> pd.DataFrame:
    """Every deal open or won on the evening, or won in the quarter in the end: what it was then and became."""
    key = "opportunity_id"
    won = later.won[case.period.contains(later.won["close_date"])].set_index(key)
    was = case.won[case.period.contains(case.won["close_date"])].set_index(key)["amount"]
    now = case.now.set_index(key)["amount"]
    ids = pd.Index(now.index).append(
        [was.index.difference(now.index), won.index.difference(now.index.union(was.index))]
    )
    ended = (
        later.past[later.past["period"].eq(case.period.label)].drop_duplicates(key, keep="last").set_index(key)["ended"]
    )
    after = later.past.loc[pd.to_datetime(later.past["cutoff_date"]) > pd.Timestamp(case.period.end), key]
    still = ids.isin(set(later.now[key]) | set(after))
    ended = ended.astype("str").reindex(ids)
    is_lost = np.where(ended.notna(), ended.eq("lost"), ~still)
    final = won.reindex(ids)
    return pd.DataFrame({
        "is_open": ids.isin(now.index), "is_won": ids.isin(won.index), "is_lost": is_lost,
        "known": _cents(now.reindex(ids)), "was": _cents(was.reindex(ids)), "final": _cents(final["amount"]),
        "close_date": final["close_date"].to_numpy(), "created_date": final["created_date"].to_numpy(),
    })  # fmt: skip


def _share(case: Case, called: pd.Series | None) -> np.ndarray:
    if called is not None:
        return np.asarray(called, dtype=float)
    category = case.now["forecast_category"]
    is_due = case.now["is_due"].to_numpy(dtype=bool)
    return (is_due & (category.eq(COMMIT) | category.isna().all()).to_numpy(dtype=bool)).astype(float)


def _parts(deals: pd.DataFrame, share: np.ndarray, cutoff: date) -> pd.DataFrame:
    """Cents of each deal in each part; a deal's parts sum to its final less its counted and won amounts."""
    is_open, is_won, is_lost = (deals[name].to_numpy(dtype=bool) for name in ("is_open", "is_won", "is_lost"))
    known, was, final = (deals[name].to_numpy() for name in ("known", "was", "final"))
    counted = np.zeros(len(deals), dtype=np.int64)
    counted[is_open] = np.rint(known[is_open] * share)  # the open deals stand first, in the order of the case
    evening = pd.Timestamp(cutoff + timedelta(days=1))
    is_old = (deals["close_date"] < evening).to_numpy()
    is_made = (deals["created_date"] >= evening).to_numpy()
    is_late = ~is_open & is_won & (was == 0) & is_made & ~is_old
    went = is_open & is_won
    return pd.DataFrame({
        "counted": counted,
        "slipped": np.where(is_open & ~is_won & ~is_lost, -counted, 0),
        "lost": np.where(is_open & ~is_won & is_lost, -counted, 0),
        "not called": np.where(went & ~is_old, known - counted, 0),
        "amount": np.where(went & ~is_old, final - known, 0),
        "created late": np.where(is_late, final, 0),
        "data entry": np.where(went & is_old, final - counted, np.where(~is_open & ~is_late, final - was, 0)),
    })  # fmt: skip


def _cents(amounts: pd.Series) -> np.ndarray:
    return np.rint(amounts.fillna(0.0).to_numpy(dtype=float) * 100).astype(np.int64)


def _named(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(forecast_category=rows["forecast_category"].astype("str"))


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    """The surest category first, others after them, none last."""
    place = {name: at for at, name in enumerate(_CATEGORIES)}
    order = table["forecast_category"].map(place).fillna(len(place)).mask(table["forecast_category"].isna(), 99)
    ends = table["became"].map({end: at for at, end in enumerate(ENDS)}) if "became" in table else 0
    return table.assign(order=order, ends=ends).sort_values(["order", "forecast_category", "ends"], kind="stable").drop(
        columns=["order", "ends"]).reset_index(drop=True)  # fmt: skip


def _plain(category: object) -> str:
    return words.group(category).replace("_", " ")


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _moved(parts: pd.Series, verb: str, currency: str) -> str:
    fewer = {"created late": "too few deals created later"} if verb == "took" else {}
    names = _SAID | fewer
    told = [(names[part], words.amount(abs(value), currency, compact=True)) for part, value in parts.items()]
    if not told:
        return ""
    first, *rest = told
    return _listed([f"{first[0]} {verb} {first[1]}", *(" ".join(each) for each in rest)])


def _example() -> tuple[Case, Case]:
    """A quarter on an evening in it, and after its end: a deal won for less, one slipped, one created and won."""
    day = pd.to_datetime
    q2, q3 = (Period(f"2026Q{n}", date(2026, 3 * n - 2, 1), date(2026, 3 * n, 30)) for n in (2, 3))
    past = pd.DataFrame({
        "cutoff_date": day("2026-04-28"), "opportunity_id": ["a", "b", "c"], "account_id": ["x", "y", "z"],
        "period": "2026Q2", "week": 5, "amount": [30.0, 90.0, 50.0], "is_due": True,
        "forecast_category": ["commit", "commit", "pipeline"],
        "is_won_in_period": [True, False, False], "ended": ["won", "slipped", "lost"],
    })  # fmt: skip
    now = past.drop(columns=["is_won_in_period", "ended"]).assign(amount=[100.0, 90.0, 50.0])
    won = pd.DataFrame({
        "opportunity_id": ["a", "d"], "amount": [80.0, 35.0], "close_date": day(["2026-06-10", "2026-06-20"]),
        "created_date": day(["2026-02-10", "2026-05-20"]),
    })  # fmt: skip
    late = pd.DataFrame({"period": ["2026Q2"], "week": 5})
    usual = {"late_deals": late, "n_created": 2, "calendar": None, "won_so_far": 0.0, "week": 5, "past": past}
    case = Case(period=q2, cutoff=date(2026, 4, 28), now=now, won=won[:0], late=late[:0], **usual)
    return case, Case(period=q3, cutoff=date(2026, 7, 28), now=now[1:2], won=won, late=late, **usual)
