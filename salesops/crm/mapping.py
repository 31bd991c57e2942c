"""From raw frames to canonical tables: names, values and types as the data model has them."""

import re
from typing import NamedTuple

import pandas as pd

from salesops import checks
from salesops.crm import coercion, model
from salesops.crm.exclusions import Finding
from salesops.crm.reading import Raw
from salesops.crm.shapes import KINDS
from salesops.crm.source import FILE, Source

# Columns without which a table says nothing; the other keys may be absent.
REQUIRED = {
    "opportunities": ("opportunity_id",),
    "stage_history": ("opportunity_id", "changed_at", "stage"),
    "stages": ("stage",),
    "reps": ("owner_id",),
    "accounts": ("account_id",),
    "targets": ("metric", "scope_kind", "scope_id", "period_start", "value"),
    "actuals": ("measure", "scope_kind", "scope_id", "period_start", "amount"),
    "activities": ("kind", "occurred_at"),
    "tool_usage": ("owner_id", "tool", "date"),
    "leads": ("lead_id", "created_at"),
    "forecast_submissions": ("owner_id", "period_start", "submitted_at", "category", "amount"),
    "opportunity_splits": ("opportunity_id", "owner_id", "share"),
    "line_items": ("opportunity_id",),
    "territory_assignments": ("territory", "owner_id", "valid_from"),
    "fx_rates": ("date", "currency", "rate"),
    "costs": ("month", "kind", "amount"),
    "market": ("month", "factor", "value"),
}

# Key columns that only number rows: numbered here where the source has none.
NUMBERED = {"stage_history": "seq", "line_items": "line", "activities": "activity_id"}

_FEW = 3
_PLAIN_NUMBER = r"-?(0|[1-9]\d*)(\.\d+)?"


class Mapped(NamedTuple):
    """A canonical table, what was found in it, and notes."""

    frame: pd.DataFrame
    findings: list[Finding]
    notes: list[str]


def mapped(raw: Raw, table: str, source: Source) -> Mapped:
    """A raw frame as a canonical table.

    Raises
    ------
    DataError
        A required or mapped column is missing, or a column cannot be read as its type.
    """
    named, theirs = _named(raw, table, source)
    findings: list[Finding] = []
    said: dict[str, list[str]] = {}
    columns = {}
    for name in named.columns:
        cells = _valued(named[name], table, name, source)
        if name.startswith("x_"):
            columns[name] = _driver(cells)
            continue
        at = f"{raw.file}, column '{theirs[name]}'" + (f" ({name})" if theirs[name] != name else "")
        parsed = _parsed(cells, table, name, source)
        _refuse(parsed, cells, at, name)
        if parsed.note:
            said.setdefault(parsed.note, []).append(name)
        findings += _unreadable(parsed, cells, table, name)
        columns[name] = parsed.values
    frame = pd.DataFrame(columns, index=named.index, copy=False)
    frame = _numbered(frame, table, source)
    notes = [*raw.notes, *(f"{raw.file}: {', '.join(names)} {note}." for note, names in said.items())]
    return Mapped(model.conform(frame, table), findings, notes)


def _named(raw: Raw, table: str, source: Source) -> tuple[pd.DataFrame, dict[str, str]]:
    """The frame under canonical names, and what each column was called."""
    chosen = dict(source.columns.get(table, {}))
    absent = [name for name in chosen.values() if name not in raw.frame.columns]
    if absent:
        _missing_columns(raw, absent, f" {FILE} maps it under columns.{table}.")
    canonical = set(model.columns(table))
    taken = set(chosen.values())
    for name in raw.frame.columns:
        if name in canonical and name not in chosen:
            chosen[name] = name
        elif name not in taken:
            chosen[_extra_name(_bare(name) if source.kind in KINDS else name, chosen)] = name
    required = [name for name in REQUIRED[table] if name not in chosen]
    if table == "opportunities" and source.is_row_id:
        required = []
    if required:
        hint = f" Map it in {FILE} under columns."
        if table == "opportunities":
            hint += " Where each row is a deal and has no id, write 'id: row'."
        _missing_columns(raw, required, hint)
    theirs = {name: column for name, column in chosen.items() if not (name == "opportunity_id" and source.is_row_id)}
    columns = {name: raw.frame[column] for name, column in theirs.items()}
    return pd.DataFrame(columns, index=raw.frame.index, copy=False), theirs


def _missing_columns(raw: Raw, names: list[str], hint: str) -> None:
    try:
        checks.require_columns(raw.frame, names, where=raw.file)
    except checks.DataError as error:
        raise checks.DataError(f"{error}{hint}") from None


def _bare(name: str) -> str:
    """A custom field's name without what the CRM or a connector adds to it."""
    return re.sub(r"__c$", "", name).removeprefix("property_")


def _extra_name(name: str, taken: dict[str, str]) -> str:
    plain = "x_" + (re.sub(r"\W+", "_", name.strip().lower()).strip("_").removeprefix("x_") or "unnamed")
    while plain in taken:
        plain += "_2"
    return plain


def _valued(cells: pd.Series, table: str, name: str, source: Source) -> pd.Series:
    """Cells with what `missing` names emptied and what `values` names translated."""
    absent = [text for key in ("", name, f"{table}.{name}") for text in source.missing.get(key, ())]
    values = source.values.get(f"{table}.{name}", source.values.get(name))
    if not absent and not values:
        return cells
    text = coercion.texts(cells).values
    if absent:
        text = text.where(~text.isin(absent))
    if values:
        text = text.map(lambda cell: values.get(cell, cell), na_action="ignore").astype("str")
    return text.where(text != "")


def _parsed(cells: pd.Series, table: str, name: str, source: Source) -> coercion.Parsed:
    kind = next(column.kind for column in model.TABLES[table] if column.name == name)
    if kind in ("date", "ts"):
        order = next((source.dates[key] for key in (f"{table}.{name}", name, "") if key in source.dates), None)
        return coercion.moments(cells, order=order, zone=source.time_zone, as_date=kind == "date")
    if kind == "bool":
        return coercion.booleans(cells)
    if name in ("probability", "share"):
        return coercion.rates(cells, decimal=source.decimal)
    if kind in ("float", "int"):
        return coercion.numbers(cells, decimal=source.decimal)
    return coercion.texts(cells, is_id=name.endswith("_id"))


def _refuse(parsed: coercion.Parsed, cells: pd.Series, at: str, name: str) -> None:
    """Raise where the column as a whole cannot be trusted."""
    bad = int(parsed.bad.sum())
    if not (parsed.fault or bad):
        return
    filled = int(cells.notna().sum())
    is_moment = pd.api.types.is_datetime64_any_dtype(parsed.values)
    if parsed.fault:
        line = f"dates: {{{name}: dmy}} or dates: {{{name}: mdy}}" if is_moment else "decimal: ',' or decimal: '.'"
        some = checks.examples(cells.dropna())
        raise checks.DataError(f"{at}: {parsed.fault} in {filled:,} rows ({some}). Add to {FILE} {line}.")
    if bad > max(_FEW, 0.01 * filled) or (bad and bad == filled):
        noun = "dates" if is_moment else "values"
        some = checks.examples(cells[parsed.bad])
        remedy = f"Say how they are written, e.g. dates: {{{name}: '%d.%m.%Y'}}," if is_moment else "Map or empty them"
        raise checks.DataError(
            f"{at}: {bad:,} of {filled:,} {noun} cannot be read ({some}). "
            f"{remedy} in {FILE} (values, missing), or correct the export."
        )


def _unreadable(parsed: coercion.Parsed, cells: pd.Series, table: str, name: str) -> list[Finding]:
    if not parsed.bad.any():
        return []
    n, filled = int(parsed.bad.sum()), int(cells.notna().sum())
    reason = f"{name} cannot be read; the row is left out of figures that use it"
    return [Finding(table, "unreadable", name, "barred", n, checks.examples(cells[parsed.bad]), reason, filled)]


def _driver(cells: pd.Series) -> pd.Series:
    """An unmapped column: numbers where every cell is a plain one, else as it came."""
    if pd.api.types.is_string_dtype(cells) and cells.notna().any():
        if cells.dropna().str.fullmatch(_PLAIN_NUMBER).all():
            return coercion.numbers(cells, decimal=".").values
    return cells


def _numbered(frame: pd.DataFrame, table: str, source: Source) -> pd.DataFrame:
    """Row numbers for the key column that only numbers, where the source has none."""
    number = "opportunity_id" if table == "opportunities" and source.is_row_id else NUMBERED.get(table)
    if number is None or number in frame.columns:
        return frame
    rest = [key for key in model.keys(table) if key in frame.columns]
    if table == "stage_history":
        ordered = frame.sort_values(["opportunity_id", "changed_at"], kind="stable")
        return frame.assign(seq=(ordered.groupby("opportunity_id", dropna=False).cumcount() + 1).astype("Int64"))
    order = frame.groupby(rest, dropna=False).cumcount() if rest else pd.Series(range(len(frame)), index=frame.index)
    is_text = any(column.name == number and column.kind == "str" for column in model.TABLES[table])
    return frame.assign(**{number: (order + 1).astype("str" if is_text else "Int64")})
