"""Data quality: what is wrong in the CRM, what it does to our numbers, and who can mend it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date

import numpy as np
import pandas as pd

from salesops import checks, deal_rules, pipeline, words
from salesops.deal_rules import PAST_DUE
from salesops.periods import Period
from salesops.stats import proportions

# Rules that only won, or only lost, deals can break: leaving those out moves a win rate by itself.
_ONE_SIDED = [deal_rules.NO_REASON, "won but never qualified", "won before qualified", "won, entered late"]
THOUSANDS, MONTH_END = "whole thousands", "last day of a month"
HEADS = {"n_left_out": "Deals left out", "difference_points": "Difference (points)", "difference_amount": "Difference",
         "faulty_count": "Faulty deals", "touched_amount": "Amount touched", "fix_count": "Faults",
         "n_deals_to_fix": "Deals to mend", "commonest": "Commonest fault", "record_url": "Record",
         **{f"{side}_{stem}": head for stem in ("win_rate", "weighted_pipeline_amount", "sales_cycle_days")
            for side, head in (("with", "With them"), ("without", "Without"))}}  # fmt: skip
_PERIOD = ["period", "period_start", "period_end"]
_STAND = ["stage", "amount", "close_date", "probability", "owner_id", "next_step"]  # known of a past day


def fault_rates(tests: pd.DataFrame, by: Sequence[str] = ("rule", "kind"), *, confidence: float = 0.95) -> pd.DataFrame:
    """Share of the deals looked at that break each rule, and the money in them; the worst first.

    Parameters
    ----------
    tests
        Of `deal_rules.examined`.
    by
        Columns to group on; ``rule`` among them, because no share over several rules means anything.

    Returns
    -------
    DataFrame
        One row per group: `by`, ``n`` (deals looked at), ``faulty_count``, ``fault_rate`` with
        its Wilson interval, ``touched_amount`` (of the faulty; a deal without an amount adds
        nothing). Groups of fewer than 20 deals come last.

    Metrics
    -------
    fault_rate : rate, as_of, lower, faulty_count / n, -
        Deals that break the rule over the deals it was looked at for.
    faulty_count : count, as_of, lower, -, -
        Deals that break the rule.
    touched_amount : amount, as_of, lower, -, amount
        Amount of the deals that break the rule; those without an amount add nothing.

    Examples
    --------
    >>> tests = pd.DataFrame({"rule": "no amount", "kind": "completeness", "is_faulty": [True, False],
    ...                       "amount": [None, 5.0]})
    >>> fault_rates(tests)[["rule", "n", "faulty_count", "fault_rate"]]
            rule  n  faulty_count  fault_rate
    0  no amount  2             1         0.5
    """
    checks.require_columns(tests, [*by, "is_faulty", "amount"])
    rows = tests.assign(touched_amount=tests["amount"].where(tests["is_faulty"]))
    table = rows.groupby(list(by), dropna=False, sort=False, observed=True).agg(
        n=("is_faulty", "size"), faulty_count=("is_faulty", "sum"), touched_amount=("touched_amount", "sum")
    )
    return _with_rates(table.reset_index(), by, confidence)


def reading_rates(exclusions: pd.DataFrame, rows_read: int, *, confidence: float = 0.95) -> pd.DataFrame:
    """The faults met while reading the opportunities, as `fault_rates`: their fields are gone from the deals.

    Parameters
    ----------
    exclusions
        With ``table, rule, field, action, n``.
    rows_read
        Rows in the source's opportunities.

    Examples
    --------
    >>> found = pd.DataFrame({"table": ["opportunities"], "rule": ["negative_amount"], "field": ["amount"],
    ...                       "action": ["barred"], "n": [3]})
    >>> reading_rates(found, 60)[["rule", "kind", "n", "faulty_count", "fault_rate"]].values.tolist()
    [['negative amount (amount)', 'met in reading', 60, 3, 0.05]]
    """
    # What is only counted and looked at here again, deal by deal, would be told twice.
    again = ["open_past_close_date", "open_without_amount", "unknown_owner", "converted_currency", "taken_as_new"]
    found = exclusions[(exclusions["table"] == "opportunities") & ~exclusions["rule"].isin(again)]
    named = found["rule"].str.replace("_", " ") + " (" + found["field"] + ")"
    table = pd.DataFrame({"rule": named, "kind": "met in reading", "n": rows_read, "faulty_count": found["n"]})
    return _with_rates(table.assign(touched_amount=np.nan), ["rule", "kind"], confidence)


def heaping(opportunities: pd.DataFrame, *, confidence: float = 0.95) -> pd.DataFrame:
    """Round amounts and month-end close dates beyond what chance gives: guesses entered as facts.

    Of amounts of 10,000 and more, one in 1,000 steps is a whole thousand, the step being the
    largest of 100, 10 and 1 that nearly all amounts are multiples of. Of days, 12 in 365.25 end
    a month; real closing is hurried at the end of a month, so won deals stand beside open ones.

    Returns
    -------
    DataFrame
        One row per kind of heap and ``outcome`` (open, won): ``heap, outcome, n, heaped_count,
        heaped_rate`` with its interval, ``expected_rate``, ``is_heaped`` (beyond chance).

    Metrics
    -------
    heaped_rate : rate, as_of, lower, heaped_count / n, -
        Deals on the round figure, or on the last day of a month, over the deals that have the field.

    Examples
    --------
    >>> deals = pd.DataFrame({"outcome": "open", "amount": [10_000.0, 20_000, 30_500],
    ...                       "close_date": pd.to_datetime(["2026-10-31", "2026-11-02", None])})
    >>> heaping(deals)[["heap", "n", "heaped_count", "expected_rate"]].round(3).values.tolist()
    [['whole thousands', 3, 2, 0.1], ['last day of a month', 2, 1, 0.033]]
    """
    rows = []
    for outcome in ("open", "won"):
        of_outcome = opportunities[opportunities["outcome"] == outcome]
        amounts = of_outcome.loc[of_outcome["amount"] >= 10_000, "amount"]
        days = of_outcome["close_date"].dropna()
        rows.append((THOUSANDS, outcome, len(amounts), int((amounts % 1000 == 0).sum()), _step(amounts) / 1000))
        rows.append((MONTH_END, outcome, len(days), int(days.dt.is_month_end.sum()), 12 / 365.25))
    table = pd.DataFrame(rows, columns=["heap", "outcome", "n", "heaped_count", "expected_rate"]).query("n > 0")
    low, high = proportions.wilson_interval(table["heaped_count"], table["n"], confidence)
    table = table.assign(heaped_rate=table["heaped_count"] / table["n"], heaped_rate_low=low, heaped_rate_high=high,
                         is_heaped=low > table["expected_rate"])  # fmt: skip
    return table.reset_index(drop=True)


def trend(
    opportunities: pd.DataFrame,
    periods: Sequence[Period],
    *,
    as_of: date,
    stage_history: pd.DataFrame,
    open_stages: Sequence[str],
    reps: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """How often each rule was broken at the end of each period, as the CRM stood that evening.

    Open deals are those the history shows in an open stage that day, with the amount, close
    date, owner and next step then in force; closed deals are those closed in the period, as
    they are now. Rules that need more (duplicates, last activity, stages) have no past.

    Returns
    -------
    DataFrame
        One row per period and rule, oldest first: ``period, period_start, period_end, rule, kind,
        n, faulty_count, quarter_fault_rate`` with its interval.

    Metrics
    -------
    quarter_fault_rate : rate, period_end, lower, faulty_count / n, -
        Deals that broke the rule over the deals it was looked at for, as the CRM stood at the end of the period.
    """
    parts = [fault_rates(_tests_at(opportunities, each, as_of, stage_history, open_stages, reps)).assign(
        period=each.label, period_start=each.start, period_end=each.end) for each in periods]  # fmt: skip
    table = pd.concat(parts, ignore_index=True).drop(columns="touched_amount")
    table = table.rename(columns=lambda name: name.replace("fault_rate", "quarter_fault_rate"))
    return table[[*_PERIOD, *table.columns.drop(_PERIOD)]]


def one_rule(course: pd.DataFrame, rule: str) -> pd.DataFrame:
    """One rule of `trend`, as a series."""
    return course[course["rule"] == rule].drop(columns=["rule", "kind"]).reset_index(drop=True)


def impact(
    opportunities: pd.DataFrame, tests: pd.DataFrame, measures: Mapping[str, Callable[[pd.DataFrame], pd.DataFrame]]
) -> pd.DataFrame:
    """What each rule's faulty deals do to the headline numbers: each with them and without.

    A comparison of records, not an estimate: the deals left out may differ from the others in
    more than the fault.

    Parameters
    ----------
    opportunities
        The population.
    tests
        Of `deal_rules.examined`.
    measures
        Column to a function that gives it in the first row, e.g. ``{"win_rate": win_loss.win_rate}``.

    Returns
    -------
    DataFrame
        One row per rule broken and measure: ``rule, metric, n_left_out, with_value,
        without_value, difference``; missing where a measure has no value.

    Metrics
    -------
    without_win_rate : rate, closed, none, -, is_won
        Win rate of the period without the deals that break the rule.
    without_weighted_pipeline_amount : amount, as_of, none, -, amount
        Weighted pipeline without the deals that break the rule.
    without_sales_cycle_days : days, qualified, none, -, close_date
        Median sales cycle without the deals that break the rule.

    Examples
    --------
    >>> deals = pd.DataFrame({"opportunity_id": ["A", "B"], "amount": [30.0, 10.0]})
    >>> tests = pd.DataFrame({"opportunity_id": ["A"], "rule": "no next step", "is_faulty": True})
    >>> total = lambda deals: deals[["amount"]].sum().to_frame().T
    >>> impact(deals, tests, {"amount": total})[["rule", "with_value", "without_value", "difference"]].values.tolist()
    [['no next step', 40.0, 10.0, -30.0]]
    """
    faulty = tests[tests["is_faulty"]]
    whole = {metric: _first(measure(opportunities), metric) for metric, measure in measures.items()}
    rows = []
    for rule, found in faulty.groupby("rule", sort=False):
        is_out = opportunities["opportunity_id"].isin(found["opportunity_id"])
        rest = opportunities[~is_out]
        rows += [(rule, metric, int(is_out.sum()), whole[metric], _first(measure(rest), metric))
                 for metric, measure in measures.items()]  # fmt: skip
    table = pd.DataFrame(rows, columns=["rule", "metric", "n_left_out", "with_value", "without_value"])
    table = table.astype({"with_value": float, "without_value": float})
    return table.assign(difference=table["without_value"] - table["with_value"])


def impact_on(impacts: pd.DataFrame, metric: str) -> pd.DataFrame:
    """One measure of `impact`, its columns named by their units; the rules that move it most first.

    Examples
    --------
    >>> table = pd.DataFrame({"rule": ["a", "b"], "metric": "win_rate", "n_left_out": [1, 2], "with_value": 0.2,
    ...                       "without_value": [0.2, 0.3], "difference": [0.0, 0.1]})
    >>> impact_on(table, "win_rate").columns.tolist()
    ['rule', 'n_left_out', 'with_win_rate', 'without_win_rate', 'difference_points']
    """
    stem = metric.removesuffix("_median")
    unit = {"rate": "points", None: "ratio"}.get(words.unit_of(stem), words.unit_of(stem))
    named = {"with_value": f"with_{stem}", "without_value": f"without_{stem}", "difference": f"difference_{unit}"}
    rows = impacts[impacts["metric"] == metric]
    rows = rows.sort_values("difference", key=lambda moved: -moved.abs(), kind="stable", ignore_index=True)
    return rows.drop(columns="metric").rename(columns=named)


def open_faults(tests: pd.DataFrame, *, confidence: float = 0.95) -> pd.DataFrame:
    """The faults of open deals, and lost deals without a reason, in one row; a rule not looked at is missing.

    Parameters
    ----------
    tests
        Of `deal_rules.current`.

    Returns
    -------
    DataFrame
        ``n`` (open deals), and each rate with its interval and its own n.

    Metrics
    -------
    past_due_rate : rate, as_of, lower, -, close_date
        Open deals whose expected close date is past over all open deals.
    no_next_step_rate : rate, as_of, lower, -, -
        Open deals without a next step over all open deals.
    no_amount_rate : rate, as_of, lower, -, -
        Open deals without an amount over all open deals.
    no_loss_reason_rate : rate, closed, lower, -, -
        Deals lost in the period without a loss reason over all deals lost in it.
    fix_count : count, as_of, lower, -, -
        Faults of the open deals and of those closed in the period: the rows of the fix list.
    """
    chosen = {"past_due_rate": PAST_DUE, "no_next_step_rate": deal_rules.NO_STEP,
              "no_amount_rate": deal_rules.NO_AMOUNT, "no_loss_reason_rate": deal_rules.NO_REASON}  # fmt: skip
    rates = fault_rates(tests, confidence=confidence).set_index("rule")
    n = tests.loc[~tests["is_closed"], "opportunity_id"].nunique()
    row = {"n": n, "fix_count": int(deal_rules.is_to_mend(tests).sum())}
    for name, rule in chosen.items():
        one = rates.loc[rule] if rule in rates.index else pd.Series(dtype=float)
        row |= {f"{name}{end}": one.get(f"fault_rate{end}", np.nan) for end in ("", "_low", "_high")}
        row[f"n_{name}"] = one.get("n", 0)
    return pd.DataFrame([row])


def fixes_by_owner(tests: pd.DataFrame, reps: pd.DataFrame) -> pd.DataFrame:
    """How much each owner has to mend, most first: a list of work, not a mark for people.

    Returns
    -------
    DataFrame
        One row per owner: ``owner`` (the name where known), ``n`` (deals looked at),
        ``fix_count``, ``n_deals_to_fix``, ``commonest`` (the rule broken most).
    """
    rows = tests.assign(owner=deal_rules.owner_names(tests["owner_id"], reps))
    faulty = rows[deal_rules.is_to_mend(rows)]
    counted = faulty.groupby("owner", dropna=False).agg(
        fix_count=("rule", "size"), n_deals_to_fix=("opportunity_id", "nunique"),
        commonest=("rule", lambda rules: rules.value_counts(sort=True).index[0]))  # fmt: skip
    n = rows.groupby("owner", dropna=False)["opportunity_id"].nunique().rename("n")
    table = counted.join(n).reset_index()[["owner", "n", "fix_count", "n_deals_to_fix", "commonest"]]
    return table.sort_values(["fix_count", "owner"], ascending=[False, True], kind="stable", ignore_index=True)


def headlines(
    rates: pd.DataFrame, impacts: pd.DataFrame, heaps: pd.DataFrame, course: pd.DataFrame, owners: pd.DataFrame
) -> list[str]:
    """The findings in sentences, most important first; of `fault_rates`, `impact`, `heaping`, `trend` and owners."""
    return [worst_sentence(rates, impacts), past_due_sentence(rates, impacts), moved_sentence(impacts),
            owners_sentence(owners), trend_sentence(course), heaping_sentence(heaps)]  # fmt: skip


def past_due_sentence(rates: pd.DataFrame, impacts: pd.DataFrame) -> str:
    """How many open deals are overdue, and what the pipeline is worth without them.

    Examples
    --------
    >>> rates = pd.DataFrame({"rule": [PAST_DUE], "n": 250, "faulty_count": 15, "fault_rate": 0.06})
    >>> moved = pd.DataFrame({"rule": [PAST_DUE], "metric": "weighted_pipeline_amount", "with_value": 100.0,
    ...                       "without_value": 88.0})
    >>> past_due_sentence(rates, moved)
    '6 % of open deals are past their close date; without them the weighted pipeline is 12 % lower.'
    >>> past_due_sentence(rates.assign(faulty_count=0), moved)
    'None of the 250 open deals is past its close date.'
    >>> past_due_sentence(rates[:0], moved)
    'No open deal has a close date, so none can be called late.'
    """
    found = rates[rates["rule"] == PAST_DUE]
    if found.empty:
        return "No open deal has a close date, so none can be called late."
    if (row := found.iloc[0])["faulty_count"] == 0:
        return f"None of the {words.count(row['n'])} open deals is past its close date."
    counted = f"{words.count(row['faulty_count'])} of {words.count(row['n'])}"
    share = counted if row["n"] < checks.MIN_N else f"{words.rate(row['fault_rate'])} of"
    stated = f"{share} open deals are past their close date"
    share = _lighter(impacts, PAST_DUE)
    if share is None:
        return f"{stated}; the pipeline cannot be weighed to say what they are worth."
    lower = f"without them the weighted pipeline is {words.rate(share)} lower"
    return f"{stated}; {lower if share else 'they add nothing to the weighted pipeline'}."


def worst_sentence(rates: pd.DataFrame, impacts: pd.DataFrame | None = None, *, min_n: int = checks.MIN_N) -> str:
    """The rule broken by the largest share of the deals it was looked at for, and what is worth less without them.

    Examples
    --------
    >>> table = pd.DataFrame({"rule": ["no next step", "no amount"], "n": [200, 200], "faulty_count": [50, 4],
    ...                       "fault_rate": [0.25, 0.02]})
    >>> worst_sentence(table)
    'The commonest fault is no next step: 25 % of the deals it can concern (50 of 200).'
    >>> worst_sentence(table.assign(faulty_count=0))
    'No deal breaks any of the 2 rules.'
    """
    broken = rates[rates["faulty_count"] > 0]
    if broken.empty:
        return f"No deal breaks any of the {len(rates)} rules." if len(rates) else "There was nothing to look at."
    common = broken[broken["n"] >= min_n].sort_values("fault_rate", ascending=False, kind="stable")
    if common.empty:
        return "Too few deals were looked at to say which fault is the commonest."
    row = common.iloc[0]
    counted = f"{words.count(row['faulty_count'])} of {words.count(row['n'])}"
    share = None if impacts is None else _lighter(impacts, row["rule"])
    weighs = f"; without them the weighted pipeline is {words.rate(share)} lower" if share else ""
    of = f"{words.rate(row['fault_rate'])} of the deals it can concern ({counted})"
    return f"The commonest fault is {row['rule']}: {of}{weighs}."


def moved_sentence(impacts: pd.DataFrame) -> str:
    """Which fault moves the win rate most, if any does by a point.

    Examples
    --------
    >>> table = pd.DataFrame({"rule": ["skipped a stage"], "metric": "win_rate", "n_left_out": 40, "with_value": 0.24,
    ...                       "without_value": 0.21, "difference": -0.03})
    >>> moved_sentence(table)
    'Without the deals marked skipped a stage, the win rate would read 21 % instead of 24 %.'
    >>> moved_sentence(table.assign(difference=0.001))
    'No fault moves the win rate by as much as a point.'
    """
    both = ~impacts["rule"].isin(_ONE_SIDED)
    rates = impacts[(impacts["metric"] == "win_rate") & impacts["difference"].notna() & both]
    if rates.empty:
        return ""
    row = rates.loc[rates["difference"].abs().idxmax()]
    if abs(row["difference"]) < 0.01:
        return "No fault moves the win rate by as much as a point."
    was, now = words.rate(row["with_value"]), words.rate(row["without_value"])
    return f"Without the deals marked {row['rule']}, the win rate would read {now} instead of {was}."


def trend_sentence(course: pd.DataFrame, rule: str = PAST_DUE, *, min_n: int = checks.MIN_N) -> str:
    """Whether a rule is broken less often at the end of the last period than of the first.

    Examples
    --------
    >>> table = pd.DataFrame({"rule": PAST_DUE, "period": ["2025Q3", "2026Q3"], "n": 200, "faulty_count": [60, 10],
    ...                       "quarter_fault_rate": [0.3, 0.05]})
    >>> trend_sentence(table)
    'Open deals past their close date: down 25 points since 2025Q3 (30 % to 5 %).'
    >>> trend_sentence(table[:1])
    'Too few past open deals to say whether the share past its close date changes.'
    """
    rows = (found := course[course["rule"] == rule])[found["n"] >= min_n]
    if found.empty:
        return ""
    if len(rows) < 2:
        return "Too few past open deals to say whether the share past its close date changes."
    first, last = rows.iloc[0], rows.iloc[-1]
    _, low, high = proportions.difference_interval(last["faulty_count"], last["n"], first["faulty_count"], first["n"])
    if not first["faulty_count"] and not last["faulty_count"]:
        return f"No open deal is past its close date, and none was at the end of {first['period']}."
    change = words.change(last["quarter_fault_rate"], first["quarter_fault_rate"], "rate", low=low, high=high)
    span = " to ".join(words.ends(first["quarter_fault_rate"], last["quarter_fault_rate"])[:2])
    return f"Open deals past their close date: {change} since {first['period']} ({span})."


def owners_sentence(owners: pd.DataFrame) -> str:
    """Whether the work lies with few people.

    Examples
    --------
    >>> owners_sentence(pd.DataFrame({"owner": list("ABCD"), "fix_count": [30, 20, 10, 40]}))
    '100 faults to mend; three owners hold 90 % of them.'
    >>> owners_sentence(pd.DataFrame({"owner": [], "fix_count": []}))
    'There is nothing to mend.'
    """
    total = int(owners["fix_count"].sum())
    if total == 0:
        return "There is nothing to mend."
    stated = f"{words.count(total)} {'fault' if total == 1 else 'faults'} to mend"
    if len(owners) < 4:
        return f"{stated}, by {len(owners)} {'owner' if len(owners) == 1 else 'owners'}."
    held = deal_rules.largest_lists(owners)["held_fix_rate"].iloc[0]
    return f"{stated}; three owners hold {words.rate(held)} of them."


def heaping_sentence(heaps: pd.DataFrame, *, min_n: int = checks.MIN_N) -> str:
    """Whether the figures of open deals are heaped beyond chance.

    Examples
    --------
    >>> table = pd.DataFrame({"heap": ["last day of a month"], "outcome": ["open"], "n": [200], "heaped_rate": [0.3],
    ...                       "expected_rate": [0.033], "is_heaped": [True]})
    >>> heaping_sentence(table)
    '30 % of open deals are due on the last day of a month, where chance gives 3 %.'
    >>> heaping_sentence(table.assign(is_heaped=False))
    'Amounts and close dates of open deals are heaped no more than chance gives.'
    """
    rows = heaps[(heaps["outcome"] == "open") & (heaps["n"] >= min_n)]
    if rows.empty:
        return ""
    found = rows[rows["is_heaped"]]
    if found.empty:
        return "Amounts and close dates of open deals are heaped no more than chance gives."
    row = found.loc[(found["heaped_rate"] - found["expected_rate"]).idxmax()]
    said = {THOUSANDS: "open amounts are whole thousands", MONTH_END: "open deals are due on the last day of a month"}
    seen, expected = words.rate(row["heaped_rate"]), words.rate(row["expected_rate"])
    return f"{seen} of {said[row['heap']]}, where chance gives {expected}."


def _lighter(impacts: pd.DataFrame, rule: str) -> float | None:
    """Share of the weighted pipeline that the deals breaking a rule are; None where it has no weight."""
    shares = deal_rules.weight_shares(impacts).set_index("rule")["fault_weight_rate"]
    return float(shares[rule]) if rule in shares.index else None


def _with_rates(table: pd.DataFrame, by: Sequence[str], confidence: float) -> pd.DataFrame:
    table = table.astype({"n": int, "faulty_count": int, "touched_amount": float})
    low, high = proportions.wilson_interval(table["faulty_count"], table["n"], confidence)
    share = table["faulty_count"] / table["n"].where(table["n"] > 0)
    is_few = table["n"] < checks.MIN_N
    table = table.assign(fault_rate=share, fault_rate_low=low, fault_rate_high=high, is_few=is_few)
    columns = [*by, "n", "faulty_count", "fault_rate", "fault_rate_low", "fault_rate_high", "touched_amount"]
    ordered = table.sort_values(["is_few", "fault_rate"], ascending=[True, False], kind="stable", ignore_index=True)
    return ordered[columns]


def _step(amounts: pd.Series) -> int:
    """The largest of 100, 10 and 1 that nearly all amounts are multiples of."""
    return next((step for step in (100, 10) if len(amounts) and (amounts % step == 0).mean() >= 0.95), 1)


def _tests_at(
    opportunities: pd.DataFrame,
    period: Period,
    as_of: date,
    stage_history: pd.DataFrame,
    open_stages: Sequence[str],
    reps: pd.DataFrame | None,
) -> pd.DataFrame:
    """The tests of the deals open at the end of a period, and of those closed in it."""
    day = min(period.end, as_of)
    stood = pipeline.snapshot(stage_history, day).set_index("opportunity_id")
    stood = stood[stood["stage"].isin(open_stages)]
    was_open = opportunities[opportunities["opportunity_id"].isin(stood.index)]
    then = stood.loc[was_open["opportunity_id"], _STAND].set_axis(was_open.index)
    blank = {name: pd.Series(None, index=was_open.index, dtype=was_open[name].dtype)
             for name in ("loss_reason", "closed_at")}  # fmt: skip
    opened = was_open.assign(outcome="open", is_closed=False, is_won=False, **blank, **dict(then.items()))
    deals = pd.concat([opened, pipeline.closed_in(opportunities, period)], ignore_index=True)
    past = deals.assign(account_id=None, last_activity_date=pd.NaT)  # of the past neither is known
    return deal_rules.examined(past.astype(opportunities.dtypes), as_of=day, reps=reps)


def _first(table: pd.DataFrame, column: str) -> float:
    return float(table[column].iloc[0]) if len(table) else np.nan
