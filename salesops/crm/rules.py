"""The rules rows are held to: what is set aside, repaired, barred from a figure, or only counted.

Each rule is a row of a table: a name, the field it is about, and a pure function that says
which rows break it. Later rules see what earlier ones left.
"""

from collections.abc import Callable, Iterable
from datetime import date
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from salesops import checks
from salesops.crm import model, outcomes
from salesops.crm.exclusions import Finding, percent
from salesops.crm.source import FILE, Stages

Tables = dict[str, pd.DataFrame]

FIRST_DAY, LAST_DAY = pd.Timestamp("1990-01-01"), pd.Timestamp("2100-12-31 23:59:59")
MONEY = ("amount", "list_amount", "arr_amount", "one_off_amount", "prior_arr_amount")

# Key columns that may be missing without making a row useless.
OPTIONAL_KEYS = {"pipeline", "version", "source", "seq", "line", "kind", "activity_id"}


class Case(NamedTuple):
    """What a rule may look at beside its own table."""

    tables: Tables
    stages: Stages = Stages()
    zone: str = "UTC"
    as_of: date | None = None


class Rule(NamedTuple):
    """Rows of a table whose field breaks a rule, as ``found(frame, case)`` says."""

    table: str
    name: str
    field: str
    action: str
    reason: str
    found: Callable[[pd.DataFrame, Case], pd.Series]


def held_to(rules: Iterable[Rule], case: Case) -> tuple[Tables, list[Finding]]:
    """The tables after the rules, and what was found: a barred field is missing, nothing else changes."""
    tables, findings = dict(case.tables), []
    for rule in rules:
        frame = tables[rule.table]
        broken = rule.found(frame, case._replace(tables=tables)) if len(frame) else pd.Series(dtype=bool)
        if not broken.any():
            continue
        findings.append(_finding(rule, frame, broken))
        if rule.action == "barred":
            tables[rule.table] = frame.assign(**{rule.field: frame[rule.field].mask(broken)})
    return tables, findings


def set_aside(frame: pd.DataFrame, table: str) -> tuple[pd.DataFrame, list[Finding]]:
    """Rows that can be used, and how many were set aside whole: those without an id or an outcome."""
    keys = [key for key in model.keys(table) if key not in OPTIONAL_KEYS]
    no_key = frame[keys].isna().any(axis=1)
    aside, findings = no_key, []
    if no_key.any():
        rows = checks.examples(f"row {row + 1}" for row in frame.index[no_key])
        findings.append(Finding(table, "no_id", " ".join(keys), "set_aside", int(no_key.sum()), rows, "has no id"))
    if table == "opportunities":
        no_outcome = frame["outcome"].isna() & ~no_key
        aside = no_key | no_outcome
        if no_outcome.any():
            some, reason = checks.examples(frame.loc[no_outcome, "opportunity_id"]), "has no usable outcome"
            findings.append(Finding(table, "no_outcome", "outcome", "set_aside", int(no_outcome.sum()), some, reason))
    return (frame[~aside] if findings else frame), findings


def refuse_too_many(findings: Iterable[Finding], rows: int, *, file: str, max_barred: float) -> None:
    """Raise `DataError` where more than ``max_barred`` of a file's rows are set aside."""
    aside = sum(finding.n for finding in findings)
    if aside > max_barred * rows:
        why = "; ".join(f"{finding.n:,} {finding.reason} ({finding.examples})" for finding in findings)
        raise checks.DataError(
            f"{file}: {aside:,} of {rows:,} rows cannot be used, more than {percent(max_barred)}: {why}. Map what "
            f"they say to open, won, lost or no_decision in {FILE} under values.outcome, or correct the export."
        )


def without_repeats(frame: pd.DataFrame, table: str, *, file: str) -> tuple[pd.DataFrame, list[Finding]]:
    """Rows without identical repeats, which are counted.

    Raises
    ------
    DataError
        One key stands for rows with different contents.
    """
    keys = model.keys(table)
    if _is_in_order(frame[keys]):
        return frame, []
    suspect = frame[frame.duplicated(keys, keep=False)]
    repeated = suspect.index[suspect.duplicated()]
    clashing = suspect.drop(index=repeated)
    clashing = clashing[clashing.duplicated(keys, keep=False)]
    if len(clashing):
        names = [key for key in keys if clashing[key].notna().any()]
        some = checks.examples(clashing[names].astype(str).agg(" ".join, axis=1))
        n = len(clashing.drop_duplicates(keys))
        verb = "stands" if n == 1 else "stand"
        raise checks.DataError(
            f"{file}: {n:,} {' + '.join(names)} {verb} for rows with different contents ({some}). "
            f"Keep one row each in the export, or combine them with a SELECT in {FILE} under tables."
        )
    if repeated.empty:
        return frame, []
    some, n = checks.examples(frame.loc[repeated, keys[0]]), len(repeated)
    finding = Finding(table, "repeated_row", keys[0], "repaired", n, some, "repeats a row; one of them is kept")
    return frame[~frame.index.isin(repeated)], [finding]


def _is_in_order(keys: pd.DataFrame) -> bool:
    """Whether each row's key comes after the one before, as exports mostly are: then none comes twice."""
    is_open = np.ones(max(len(keys) - 1, 0), dtype=bool)
    for key in keys:
        before, after = keys[key].array[:-1], keys[key].array[1:]
        is_later, is_same = (pd.array(each, dtype="boolean") for each in (after > before, after == before))
        if (is_open & ~(is_later | is_same).to_numpy(dtype=bool, na_value=False)).any():
            return False
        is_open &= is_same.to_numpy(dtype=bool, na_value=False)
    return not is_open.any()


def out_of_range(field: str) -> Callable[[pd.DataFrame, Case], pd.Series]:
    """Dates outside 1990-2100: typing errors and spreadsheet zeros."""
    return lambda frame, _: (frame[field] < FIRST_DAY) | (frame[field] > LAST_DAY)


def negative(field: str) -> Callable[[pd.DataFrame, Case], pd.Series]:
    """Amounts below zero."""
    return lambda frame, _: frame[field] < 0


def not_a_rate(field: str) -> Callable[[pd.DataFrame, Case], pd.Series]:
    """Probabilities outside 0-1."""
    return lambda frame, _: (frame[field] < 0) | (frame[field] > 1)


def closed_before_created(frame: pd.DataFrame, case: Case) -> pd.Series:
    """Closed deals whose close, by day, lies before their creation."""
    created = local_day(frame["created_date"], case.zone)
    closed = local_day(frame["closed_at"], case.zone)
    return frame["is_closed"] & ((closed < created) | (frame["close_date"] < created))


def unknown_stage(frame: pd.DataFrame, case: Case) -> pd.Series:
    """Stages that neither the stages table nor source.yaml knows, where one of them names any."""
    known = outcomes.of_stages(case.tables["stages"], case.stages)
    known = set(known) | set(case.tables["stages"]["stage"].dropna())
    return frame["stage"].notna() & ~frame["stage"].isin(known) & bool(known)


def unknown_owner(frame: pd.DataFrame, case: Case) -> pd.Series:
    """Owners that are not among the reps, where there are reps."""
    owners = case.tables["reps"]["owner_id"]
    return frame["owner_id"].notna() & ~is_among(frame["owner_id"], owners) & bool(len(owners))


def unknown_opportunity(frame: pd.DataFrame, case: Case) -> pd.Series:
    """Rows about an opportunity that is not there."""
    known = case.tables["opportunities"]["opportunity_id"]
    return frame["opportunity_id"].notna() & ~is_among(frame["opportunity_id"], known)


def open_past_close_date(frame: pd.DataFrame, case: Case) -> pd.Series:
    """Open deals that were expected to close before ``as_of``."""
    return ~frame["is_closed"] & (frame["close_date"] < pd.Timestamp(case.as_of))


def open_without_amount(frame: pd.DataFrame, _: Case) -> pd.Series:
    """Open deals without an amount."""
    return ~frame["is_closed"] & frame["amount"].isna()


def lost_amount_zero(frame: pd.DataFrame, _: Case) -> pd.Series:
    """Every lost deal, where there is one and all of them have amount 0 or none."""
    lost = frame["outcome"].isin(["lost", "no_decision"])
    amounts = frame.loc[lost, "amount"]
    return lost & bool(amounts.notna().any() and not amounts.fillna(0).any())


def no_date(field: str, *, closed: bool | None = None) -> Callable[[pd.DataFrame, Case], pd.Series]:
    """Deals without a date that other deals have."""

    def found(frame: pd.DataFrame, _: Case) -> pd.Series:
        among = pd.Series(True, index=frame.index) if closed is None else frame["is_closed"] == closed
        return among & frame[field].isna() & bool(frame[field].notna().any())

    return found


def local_day(moments: pd.Series, zone: str) -> pd.Series:
    """The day on which UTC moments fall in a time zone."""
    return local(moments, zone).dt.normalize()


def local(moments: pd.Series, zone: str) -> pd.Series:
    """UTC moments as the clocks of a time zone showed them."""
    return moments if zone == "UTC" else moments.dt.tz_localize("UTC").dt.tz_convert(zone).dt.tz_localize(None)


def is_among(column: pd.Series, known: pd.Series) -> pd.Series:
    """Which texts are among others, as `isin` tells; that takes a million known ones one by one.

    Examples
    --------
    >>> is_among(pd.Series(["d1", "d9", None]), pd.Series(["d1", "d2", None])).tolist()
    [True, False, False]
    """
    texts, others = (pa.array(each.astype("str"), type=pa.large_string()) for each in (column, known.dropna()))
    return pd.Series(pc.is_in(texts, value_set=others).to_numpy(zero_copy_only=False), index=column.index)


def _finding(rule: Rule, frame: pd.DataFrame, broken: pd.Series) -> Finding:
    some = checks.examples(frame.loc[broken, model.keys(rule.table)[0]])
    filled = int(frame[rule.field].notna().sum())
    return Finding(rule.table, rule.name, rule.field, rule.action, int(broken.sum()), some, rule.reason, filled)


def _dated() -> list[Rule]:
    reason = "lies outside 1990-2100; the row is left out of figures that use the date"
    return [
        Rule(table, "date_out_of_range", column.name, "barred", f"{column.name} {reason}", out_of_range(column.name))
        for table, columns in model.TABLES.items()
        for column in columns
        if column.kind in ("date", "ts")
    ]


def _money() -> list[Rule]:
    reason = "is negative; the deal is left out of figures of money, not of counts"
    fields = [("opportunities", field) for field in MONEY] + [("stage_history", "amount")]
    return [
        Rule(table, "negative_amount", field, "barred", f"{field} {reason}", negative(field)) for table, field in fields
    ]


def _deals(name: str, field: str, action: str, reason: str, found: Callable[[pd.DataFrame, Case], pd.Series]) -> Rule:
    return Rule("opportunities", name, field, action, reason, found)


_NO_STAGE = "stage is not among the stages; the deal is left out of stage figures"
_NO_RATE = "probability is outside 0-1; the deal is left out of weighted figures"
_TOO_EARLY = "closed before it was created; still won and booked, left out of cycle times"
_NO_OWNER = "the owner is not among the reps; shown as unknown owner"
_NO_DEAL = "belongs to a deal that is not among the opportunities; not used"
_OVERDUE = "open, though expected to close before the day of the report"
_NO_AMOUNT = "open and without an amount; adds nothing to open and weighted amounts"
_ALL_ZERO = "every lost deal has amount 0; win rates by money are withheld"
_UNDATED = "has no created date; left out of cycle times and creation cohorts"
_UNCLOSED = "closed without a close date; left out of every period"

# Held to once, when the source is read.
FAULTS: tuple[Rule, ...] = (
    _deals("missing_date", "created_date", "counted", _UNDATED, no_date("created_date")),
    _deals("missing_date", "close_date", "counted", _UNCLOSED, no_date("close_date", closed=True)),
    *_dated(),
    *_money(),
    _deals("probability_out_of_range", "probability", "barred", _NO_RATE, not_a_rate("probability")),
    _deals("unknown_stage", "stage", "barred", _NO_STAGE, unknown_stage),
    Rule("stage_history", "unknown_stage", "stage", "barred", _NO_STAGE, unknown_stage),
    _deals("unknown_owner", "owner_id", "counted", _NO_OWNER, unknown_owner),
    *(
        Rule(table, "unknown_opportunity", "opportunity_id", "counted", _NO_DEAL, unknown_opportunity)
        for table in ("stage_history", "line_items", "opportunity_splits")
    ),
)

# Held to after the replay: they look at whether a deal is open on the day of the report.
ON_THE_DAY: tuple[Rule, ...] = (
    _deals("closed_before_created", "created_date", "barred", _TOO_EARLY, closed_before_created),
    _deals("open_past_close_date", "close_date", "counted", _OVERDUE, open_past_close_date),
    _deals("open_without_amount", "amount", "counted", _NO_AMOUNT, open_without_amount),
    _deals("lost_amount_zero", "amount", "counted", _ALL_ZERO, lost_amount_zero),
)
