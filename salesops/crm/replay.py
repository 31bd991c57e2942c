"""The tables as they stood at the end of a day."""

from datetime import date
from typing import NamedTuple

import pandas as pd

from salesops import checks, kept, periods, words
from salesops.crm import coercion, model, outcomes, rules
from salesops.crm.rules import Tables, local_day
from salesops.crm.source import Source

# What a CRM writes when a deal closes, without a history: missing for a deal open that day.
WRITTEN_ON_CLOSING = (
    "loss_reason", "competitor", "closed_at", "list_amount", "arr_amount", "one_off_amount", "term_months",
    "contract_start", "contract_end",
)  # fmt: skip
IN_HISTORY = ("stage", "amount", "close_date", "probability", "forecast_category", "owner_id", "next_step")

# Rows dated later are gone.
ROWS_DATED_BY = {
    "stage_history": "changed_at",
    "activities": "occurred_at",
    "forecast_submissions": "submitted_at",
    "leads": "created_at",
    "tool_usage": "date",
    "costs": "month",
    "market": "month",
    "fx_rates": "date",
    "actuals": "period_start",
    "territory_assignments": "valid_from",
    "reps": "hire_date",
}
# Cells dated later are missing.
CELLS_DATED = {
    "reps": ("left_date",),
    "accounts": ("customer_since",),
    "territory_assignments": ("valid_to",),
    "leads": ("first_response_at", "replied_at", "qualified_at", "converted_at", "disqualified_at"),
}
# Moments at which something was recorded: the latest is the day of the data.
EVENTS = {
    "opportunities": ("created_date", "qualified_date", "closed_at"),
    "stage_history": ("changed_at",),
    "activities": ("occurred_at",),
    "leads": ("created_at", *CELLS_DATED["leads"]),
    "forecast_submissions": ("submitted_at",),
}


def latest_event(tables: Tables, zone: str) -> date | None:
    """Day of the latest recorded event: never an expected close, a target or a plan."""
    deals = _credible(tables["opportunities"], zone)
    sure = tables | {"opportunities": deals}
    moments = [sure[table][column].max() for table, columns in EVENTS.items() for column in columns]
    days = list(local_day(pd.Series(moments, dtype="datetime64[us]"), zone))
    days.append(deals.loc[deals["is_closed"] & deals["closed_at"].isna(), "close_date"].max())
    days.append(deals["last_activity_date"].max())
    known = [day for day in days if not pd.isna(day)]
    return max(known).date() if known else None


def in_local_time(tables: Tables, zone: str) -> Tables:
    """The tables with every moment as the clocks of a time zone showed it.

    Examples
    --------
    >>> table = pd.DataFrame({"changed_at": pd.to_datetime(["2026-10-01 03:00"]).astype("datetime64[us]")})
    >>> str(in_local_time({"stage_history": table}, "America/New_York")["stage_history"]["changed_at"].iloc[0])
    '2026-09-30 23:00:00'
    """
    if zone == "UTC":
        return tables
    kinds = {name: [column.name for column in columns if column.kind == "ts"] for name, columns in model.TABLES.items()}
    kinds["all_opportunities"] = kinds["opportunities"]
    moved = {
        name: frame.assign(**{column: rules.local(frame[column], zone) for column in kinds[name] if column in frame})
        for name, frame in tables.items()
    }
    return tables | moved


def chosen_day(as_of: date | str | None, latest: date | None, *, label: str) -> date:
    """The last day whose information may be used.

    Raises
    ------
    ParameterError
        The text is no date, or there is none and no event either.

    Examples
    --------
    >>> chosen_day("2026-06-30", None, label="ours")
    datetime.date(2026, 6, 30)
    >>> chosen_day("30.6.", None, label="ours")
    Traceback (most recent call last):
        ...
    salesops.checks.ParameterError: as_of: '30.6.' is no date. Write it as 2026-09-30.
    """
    if as_of is None and latest is None:
        raise checks.ParameterError(f"as_of: {label} holds no dates to tell it. Give it, e.g. as_of=2026-09-30.")
    if as_of is None:
        return latest
    try:
        return date.fromisoformat(as_of) if isinstance(as_of, str) else date(as_of.year, as_of.month, as_of.day)
    except (ValueError, AttributeError) as error:
        raise checks.ParameterError(f"as_of: '{as_of}' is no date. Write it as 2026-09-30.") from error


def day_end(day: date, zone: str) -> pd.Timestamp:
    """The UTC moment at which a day ends in a time zone.

    Examples
    --------
    >>> day_end(date(2026, 6, 30), "America/New_York")
    Timestamp('2026-07-01 04:00:00')
    """
    midnight = pd.Series([pd.Timestamp(day) + pd.Timedelta(days=1)], dtype="datetime64[us]")
    return coercion.to_utc(midnight, zone).iloc[0]


def cut(tables: Tables, end: pd.Timestamp, day: date) -> Tables:
    """Tables without the rows and cells that are dated after the day.

    A time is compared with the end of the day, a bare date with the day.
    """
    kept = dict(tables)
    for table, column in ROWS_DATED_BY.items():
        frame = kept[table]
        later = _is_later(frame[column], column, end, day)
        if table == "market":
            later &= ~frame["is_planned"].fillna(False).astype(bool)
        kept[table] = _rows(frame, ~later)
    for table, columns in CELLS_DATED.items():
        frame = kept[table]
        later_cells = {column: _is_later(frame[column], column, end, day) for column in columns}
        kept[table] = frame.assign(**{c: frame[c].mask(later) for c, later in later_cells.items() if later.any()})
    return kept


class Stood(NamedTuple):
    """Tables as they stood on a day, what a reader should know, and whether something could not be replayed."""

    tables: Tables
    notes: list[str]
    is_partial: bool


@kept.by_content("snapshots")
def as_they_stood(tables: Tables, day: date, source: Source, calendar: periods.Calendar) -> Stood:
    """Every table as it stood at the end of an earlier day."""
    end = day_end(day, source.time_zone)
    kept = cut(tables, end, day)
    kept["opportunities"], notes, is_partial = _opportunities(tables, kept, end, day, source)
    won = kept["opportunities"].loc[kept["opportunities"]["is_won"], "opportunity_id"]
    for table in ("opportunity_splits", "line_items"):
        kept[table] = _rows(kept[table], rules.is_among(kept[table]["opportunity_id"], won))
    leads = kept["leads"]
    kept["leads"] = leads.assign(
        opportunity_id=leads["opportunity_id"].where(leads["converted_at"].notna()),
        reason=leads["reason"].where(leads["disqualified_at"].notna()),
    )
    year_end = pd.Timestamp(periods.year(day, calendar).end)
    targets = kept["targets"]
    kept["targets"] = targets[~(targets["period_start"] > year_end)]
    return Stood({table: frame.reset_index(drop=True) for table, frame in kept.items()}, notes, is_partial)


def of_deals(ids: pd.Series, values: pd.Series) -> pd.Series:
    """Values by deal, laid out over a column of ids; missing for an id without one."""
    return values.reindex(ids).set_axis(ids.index)


def _opportunities(
    tables: Tables, kept: Tables, end: pd.Timestamp, day: date, source: Source
) -> tuple[pd.DataFrame, list[str], bool]:
    everything, history = tables["opportunities"], tables["stage_history"]
    first_seen = history.groupby("opportunity_id")["changed_at"].min()
    created = _credible(everything, source.time_zone)["created_date"]
    born = created.fillna(of_deals(everything["opportunity_id"], first_seen))
    deals = _rows(everything, ~(born >= end))
    has_history = rules.is_among(deals["opportunity_id"], first_seen.index.to_series())
    fields = [field for field in IN_HISTORY if history[field].notna().any()]
    outcome_of = _stage_outcomes(tables, source)
    replayed = _replayed(_rows(deals, has_history), kept["stage_history"], fields, end, day, outcome_of)
    guessed = _guessed(deals[~has_history], end, day)
    stood = outcomes.flagged(pd.concat([replayed, guessed]).loc[deals.index] if len(guessed) else replayed)
    n_opened = int((deals.loc[guessed.index, "is_closed"] & ~stood.loc[guessed.index, "is_closed"]).sum())
    notes = _replay_notes(len(everything) - len(deals), len(guessed), n_opened, fields if len(replayed) else None, day)
    # closed that day, re-opened and closed again since: what is written is of the later closing
    is_unwritten = ~stood["is_closed"] | (deals["closed_at"] >= end)
    return _without_later(stood, is_unwritten, kept["activities"], end, day, source.time_zone), notes, len(guessed) > 0


def _replay_notes(n_later: int, n_guessed: int, n_opened: int, fields: list[str] | None, day: date) -> list[str]:
    notes = [f"{words.count(n_later)} deals created after {day} are left out."] if n_later else []
    if n_guessed:
        notes.append(
            f"The replay is partial: {words.count(n_guessed)} deals have no history. "
            f"{words.count(n_opened)} of them closed after {day} "
            "and count as open, with the amount of the export and without stage and expected close."
        )
    absent = [field for field in IN_HISTORY if fields is not None and field not in fields]
    if absent:
        notes.append(f"stage_history has no {', '.join(absent)}: they stand as they were exported.")
    return notes


def _replayed(
    deals: pd.DataFrame,
    history: pd.DataFrame,
    fields: list[str],
    end: pd.Timestamp,
    day: date,
    outcome_of: dict[str, str],
) -> pd.DataFrame:
    """Deals with the values of their last history row, and the outcome of the stage then in force."""
    dated = _rows(history, history["changed_at"].notna())
    ordered = dated.sort_values(["opportunity_id", "changed_at", "seq"], kind="stable")
    last = ordered.drop_duplicates("opportunity_id", keep="last").set_index("opportunity_id")
    now = deals.assign(**{field: of_deals(deals["opportunity_id"], last[field]) for field in fields})
    outcome = now["stage"].map(outcome_of).astype("str").fillna("open")
    # the deal's own word tells lost from no decision where one stage stands for both, but not
    # what became of a deal that closed later without leaving its stage
    is_own = now["stage"].eq(deals["stage"]) & ~(outcome.eq("open") & _closed_later(deals, end, day))
    now = now.assign(outcome=outcome.mask(is_own, deals["outcome"]))
    return now.assign(closed_at=_closed_at(now, ordered, end, outcome_of))


def _closed_at(now: pd.DataFrame, ordered: pd.DataFrame, end: pd.Timestamp, outcome_of: dict[str, str]) -> pd.Series:
    """When each closed deal closed; from history for those since re-opened: the start of that closed spell."""
    reopened = now["outcome"].ne("open") & (now["closed_at"].ge(end) | ~now["is_closed"])
    if not reopened.any() or now["closed_at"].isna().all():
        return now["closed_at"]
    rows = ordered[ordered["opportunity_id"].isin(now.loc[reopened, "opportunity_id"])]
    is_open = rows["stage"].map(outcome_of).fillna("open").eq("open")
    spell = is_open.astype("int64").groupby(rows["opportunity_id"]).cumsum()
    in_last = spell.eq(spell.groupby(rows["opportunity_id"]).transform("max")) & ~is_open
    began = rows[in_last].groupby("opportunity_id")["changed_at"].min()
    return now["closed_at"].mask(reopened, of_deals(now["opportunity_id"], began))


def _stage_outcomes(tables: Tables, source: Source) -> dict[str, str]:
    """Outcome of each stage: as named, and for stages nobody names, as their closed deals say."""
    deals = tables["opportunities"][["stage", "outcome"]]
    seen = deals.dropna(subset=["stage"]).groupby("stage")["outcome"].agg(lambda outcome: outcome.mode().iloc[0])
    return seen.to_dict() | outcomes.of_stages(tables["stages"], source.stages)


def _credible(deals: pd.DataFrame, zone: str) -> pd.DataFrame:
    """Deals without the created dates that their own closing contradicts."""
    wrong = rules.closed_before_created(deals, rules.Case({}, zone=zone))
    return deals.assign(created_date=deals["created_date"].mask(wrong))


def _closed_later(deals: pd.DataFrame, end: pd.Timestamp, day: date) -> pd.Series:
    by_date = deals["closed_at"].isna() & (deals["close_date"] > pd.Timestamp(day))
    return deals["is_closed"] & ((deals["closed_at"] >= end) | by_date)


def _guessed(deals: pd.DataFrame, end: pd.Timestamp, day: date) -> pd.DataFrame:
    """Deals without history: those that closed after the day are open, in nobody knows which stage."""
    later = _closed_later(deals, end, day)
    unknown = ("stage", "close_date", "probability", "forecast_category")
    cleared = {field: deals[field].mask(later) for field in unknown}
    return deals.assign(outcome=deals["outcome"].mask(later, "open"), **cleared)


def _without_later(
    deals: pd.DataFrame, is_unwritten: pd.Series, activities: pd.DataFrame, end: pd.Timestamp, day: date, zone: str
) -> pd.DataFrame:
    cleared = {field: deals[field].mask(is_unwritten) for field in WRITTEN_ON_CLOSING}
    cleared["closed_at"] = deals["closed_at"].mask(~deals["is_closed"])
    qualified = deals["qualified_date"].mask(deals["qualified_date"] >= end)
    touched = deals["last_activity_date"].mask(deals["last_activity_date"] > pd.Timestamp(day))
    if activities["opportunity_id"].notna().any():
        latest = local_day(activities.groupby("opportunity_id")["occurred_at"].max(), zone)
        touched = of_deals(deals["opportunity_id"], latest)
    return deals.assign(**cleared, qualified_date=qualified, last_activity_date=touched)


def _is_later(values: pd.Series, column: str, end: pd.Timestamp, day: date) -> pd.Series:
    return values >= end if column.endswith("_at") else values > pd.Timestamp(day)


def _rows(frame: pd.DataFrame, is_kept: pd.Series) -> pd.DataFrame:
    """The rows of a frame that are kept; the frame itself, uncopied, where all are."""
    return frame if is_kept.all() else frame[is_kept]
