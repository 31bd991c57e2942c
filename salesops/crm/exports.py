"""From a CRM's files to one raw frame a table: what no longer counts left out, histories made states."""

import glob
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import pandas as pd

from salesops import checks
from salesops.crm import coercion, footers, histories, model, reading, record_ids, shapes
from salesops.crm.exclusions import Finding
from salesops.crm.raw import Raw, joint_hash
from salesops.crm.shapes import Shape, plain
from salesops.crm.source import Part, Source

_LOST = {
    "deleted_record": "was deleted in the CRM; left out",
    "superseded_version": "is an old version of a record; left out",
    "merged_record": "was merged into another deal in the CRM; left out",
}


class Exported(NamedTuple):
    """Raw tables, the source with what its files added to it, and what was left out."""

    raws: dict[str, Raw]
    source: Source
    findings: list[Finding]
    files: tuple[str, ...] = ()


class _Cut(NamedTuple):
    """A part's rows under their own names, and which of the columns are ours."""

    raw: Raw
    columns: dict[str, str]
    findings: list[Finding]


def read(source: Source) -> Exported:
    """The raw tables of a source whose shape is known; of any other, its tables as they are."""
    if source.kind not in shapes.KINDS:
        return Exported(reading.read_tables(source), source, [])
    shape = shapes.shape(source.kind)
    raws, files = reading.read_tables(_outside_parts(source)), {}
    raws["opportunities"] = _with_text(raws["opportunities"])
    if "opportunities" in source.parts:
        files[source.parts["opportunities"][0].file] = raws["opportunities"]
    columns, findings = dict(source.columns), []
    for table in sorted(source.parts, key=lambda table: table == "stage_history"):
        cuts = [_cut(_file(source, part.file, files), part, table, shape) for part in source.parts[table]]
        if table == "stage_history":
            deals = _ours(_Cut(raws["opportunities"], columns.get("opportunities", {}), []))
            raws[table], columns[table] = _history(cuts, source, deals), {}
        else:
            raws[table], columns[table] = _joined(cuts)
        findings += [finding for cut in cuts for finding in cut.findings]
    source = _labelled(replace(source, columns=columns), shape, files)
    raws = _linked(raws, source, shape, files)
    raws["opportunities"], merged = _without_merged(raws["opportunities"], source, shape, files)
    raws = {table: _one_form(raw, source.columns.get(table, {}), shape) for table, raw in raws.items()}
    return Exported(raws, source, findings + merged, tuple(files))


def _outside_parts(source: Source) -> Source:
    """The source with the deals and the tables that are not the shape's: those are read as always."""
    tables = {**source.tables, **dict.fromkeys(source.parts)}
    if "opportunities" in source.parts:
        tables["opportunities"] = _pattern(source, source.parts["opportunities"][0].file)
    return replace(source, tables=tables)


def _pattern(source: Source, file: str) -> str:
    return file if file in source.tables.values() else glob.escape(file)


def _file(source: Source, file: str, files: dict[str, Raw]) -> Raw:
    if file not in files:
        files[file] = _with_text(reading.read_table(source.folder, _pattern(source, file)))
    return files[file]


def _with_text(raw: Raw) -> Raw:
    """A table whose ids and logged values are text, also where a sheet or Parquet has them as numbers."""
    names = [name for name in raw.frame.columns if re.search(r"ids?$|value|^label$|stage$", plain(name))]
    typed = [name for name in names if not pd.api.types.is_string_dtype(raw.frame[name])]
    return replace(raw, frame=raw.frame.assign(**{name: coercion.texts(raw.frame[name]).values for name in typed}))


def _cut(raw: Raw, part: Part, table: str, shape: Shape) -> _Cut:
    """A part without footer, excluded records and ignored columns; joined columns and constants are made."""
    frame, notes = footers.of_frame(raw.frame, file=raw.file)
    frame, findings = _without_excluded(frame, part, table, shape)
    ignored = {plain(name) for name in shape.ignored} - {plain(name) for name in part.columns.values()}
    dated = [pattern for one in shape.layouts for pattern in (one.entered, one.exited) if pattern]
    spent = [name for name in frame.columns if plain(name) in ignored or _is_dated(name, part, dated)]
    frame = frame.drop(columns=spent)
    columns = dict(part.columns)
    for theirs in part.columns.values():
        if theirs not in frame.columns and (" + " in theirs or " / " in theirs):
            frame = frame.assign(**{theirs: _expressed(frame, theirs)})
            spent_on = [name for name in theirs.split(" + ") if " + " in theirs and name not in part.columns.values()]
            frame = frame.drop(columns=spent_on)
    for ours, text in part.constants.items():
        filled = frame[columns[ours]].fillna(text) if ours in columns else text
        columns[ours] = columns.get(ours, ours)
        frame = frame.assign(**{columns[ours]: filled})
    for name, pattern in (shape.other_objects or {}).items():
        owner, _, ours = name.partition(".")
        if owner == table and ours in columns:
            cells = frame[columns[ours]]
            frame = frame.assign(**{columns[ours]: cells.mask(cells.str.fullmatch(pattern).fillna(False).astype(bool))})
    return _Cut(replace(raw, frame=frame, notes=(*raw.notes, *notes)), columns, findings)


def _is_dated(name: str, part: Part, patterns: Sequence[str]) -> bool:
    return part.form != "date_entered" and any(histories.begins(name, pattern) for pattern in patterns)


def _expressed(frame: pd.DataFrame, expression: str) -> pd.Series:
    """Columns joined by a blank (``First + Last``), or a number divided by another (``Seconds / 60``)."""
    if " / " in expression:
        name, _, divisor = expression.partition(" / ")
        return pd.to_numeric(frame[name], errors="coerce") / float(divisor)
    first, *rest = (frame[name] for name in expression.split(" + "))
    joined = first.fillna("").astype("str")
    for column in rest:
        joined = joined.str.cat(column.fillna("").astype("str"), sep=" ")
    joined = joined.str.strip()
    return joined.where(joined != "")


def _without_excluded(frame: pd.DataFrame, part: Part, table: str, shape: Shape) -> tuple[pd.DataFrame, list[Finding]]:
    """The records that still stand: deleted ones and old versions are counted and left out."""
    findings = []
    for rule, said in shape.excluded.items():
        wanted = {plain(name) for name in said["columns"]}
        flags = [name for name in frame.columns if plain(name) in wanted]
        if rule == "superseded_version" and "_fivetran_start" in part.columns.values():
            flags = []
        gone = pd.Series(False, index=frame.index)
        for name in flags:
            told = coercion.booleans(frame[name]).values
            gone |= (told == (said["when"] == "true")).fillna(False).astype(bool)
        findings += _left_out(frame[gone], table, rule, ",".join(flags), part.columns)
        frame = frame[~gone].drop(columns=flags)
    return frame.reset_index(drop=True), findings


def _left_out(gone: pd.DataFrame, table: str, rule: str, field: str, columns: Mapping[str, str]) -> list[Finding]:
    if gone.empty:
        return []
    key = columns.get(model.keys(table)[0])
    some = checks.examples(gone[key]) if key in gone.columns else ""
    return [Finding(table, rule, field, "set_aside", len(gone), some, _LOST[rule])]


def _ours(cut: _Cut) -> pd.DataFrame:
    """A part's frame under our names; columns that are not ours keep their own."""
    theirs = set(cut.columns.values())
    rest = [name for name in cut.raw.frame.columns if name not in theirs and name not in cut.columns]
    named = {ours: cut.raw.frame[name] for ours, name in cut.columns.items() if name in cut.raw.frame.columns}
    return pd.DataFrame(named | {name: cut.raw.frame[name] for name in rest}, index=cut.raw.frame.index)


def _joined(cuts: Sequence[_Cut]) -> tuple[Raw, dict[str, str]]:
    """One raw frame of a table's parts: as it is where it is one, else under our names."""
    if len(cuts) == 1:
        return cuts[0].raw, cuts[0].columns
    return _of_several([cut.raw for cut in cuts], pd.concat([_ours(cut) for cut in cuts], ignore_index=True)), {}


def _of_several(raws: Sequence[Raw], frame: pd.DataFrame) -> Raw:
    if len(raws) == 1:
        return replace(raws[0], frame=frame)
    names = " + ".join(raw.file for raw in raws)
    return Raw(frame, names, joint_hash(raws), tuple(note for raw in raws for note in raw.notes))


def _history(cuts: Sequence[_Cut], source: Source, deals: pd.DataFrame) -> Raw:
    """The stage history of whatever histories there are: rows as they are, changes made states."""
    parts = source.parts["stage_history"]
    by_form = {part.form: cut for part, cut in zip(parts, cuts, strict=True)}
    raws = [cut.raw for cut in cuts]
    changed = [cut for form, cut in by_form.items() if form in ("field_history", "property_history")]
    if changed:
        rows = by_form.get("rows")
        frame = _states(changed, _ours(rows) if rows else None, source, deals)
    elif "rows" in by_form:
        frame = _ours(by_form["rows"])
    else:
        cut = by_form["date_entered"]
        layout = next(one for one in shapes.shape(source.kind).layouts if one.form == "date_entered")
        frame = histories.of_columns(cut.raw.frame, cut.columns["opportunity_id"], layout.entered)
        # a label of dates may name the pipeline after the stage, in brackets
        bare = frame["stage"].str.replace(r"\s*\([^()]*\)$", "", regex=True)
        frame = frame.assign(stage=frame["stage"].where(frame["stage"].isin(deals["stage"]), bare))
    if "pipeline" not in frame and {"pipeline", "opportunity_id"} <= set(deals.columns):
        of_deal = deals.drop_duplicates("opportunity_id").set_index("opportunity_id")["pipeline"]
        frame = frame.assign(pipeline=of_deal.reindex(frame["opportunity_id"]).to_numpy())
    return _of_several(raws, frame)


def _states(changed: Sequence[_Cut], rows: pd.DataFrame | None, source: Source, deals: pd.DataFrame) -> pd.DataFrame:
    shape = shapes.shape(source.kind)
    names = {
        plain(theirs): ours
        for ours, listed in _deal_columns(shape).items()
        for theirs in [ours, *listed]
        if ours in histories.FIELDS
    }
    parts = []
    for cut in changed:
        frame = _ours(cut)
        parts.append(
            pd.DataFrame(
                {
                    "opportunity_id": frame["opportunity_id"],
                    "at": _moments(frame["changed_at"], source, cut.raw.file),
                    "field": frame["field"].map(plain).map(names),
                    "old": frame["old"] if "old" in frame else None,
                    "new": frame["new"],
                }
            )
        )
    changes = _by_id(pd.concat(parts, ignore_index=True))
    if rows is not None:
        rows = rows.assign(at=_moments(rows["changed_at"], source, "stage_history"))
        own = histories.as_changes(rows)
        changes = pd.concat([changes[~changes["field"].isin(own["field"])], own], ignore_index=True)
    created = _moments(deals["created_date"], source, "opportunities") if "created_date" in deals else pd.NaT
    today = deals[[name for name in ("opportunity_id", *histories.FIELDS) if name in deals]].assign(at=created)
    today = today.astype({"at": "datetime64[us]"})
    for frame in (changes, today):
        frame["opportunity_id"] = (
            record_ids.short(frame["opportunity_id"]) if shape.id_forms else frame["opportunity_id"]
        )
    return histories.of_changes(changes, today).pipe(_in_utc)


def _in_utc(states: pd.DataFrame) -> pd.DataFrame:
    return states.assign(changed_at=states["changed_at"].dt.tz_localize("UTC"))


def _by_id(changes: pd.DataFrame) -> pd.DataFrame:
    """Salesforce logs a change of owner twice, by name and by id: the ids are kept."""
    is_owner = changes["field"] == "owner_id"
    is_id = changes["new"].str.fullmatch(r"005[A-Za-z0-9]{12}([A-Z0-5]{3})?").fillna(False).astype(bool)
    moments = changes.set_index(["opportunity_id", "at"]).index
    is_told = pd.Series(moments.isin(moments[is_owner & is_id]), index=changes.index)
    return changes[~(is_owner & ~is_id & is_told)].reset_index(drop=True)


def _deal_columns(shape: Shape) -> Mapping[str, Sequence[str]]:
    return next(layout.columns for layout in shape.layouts if layout.table == "opportunities")


def _moments(cells: pd.Series, source: Source, file: str) -> pd.Series:
    order = source.dates.get("changed_at", source.dates.get(""))
    parsed = coercion.moments(cells, order=order, zone=source.time_zone)
    if parsed.fault:
        raise checks.DataError(
            f"{file}, column '{cells.name}': {parsed.fault} ({checks.examples(cells.dropna())}). "
            f"Add to source.yaml dates: {{changed_at: dmy}} or dates: {{changed_at: mdy}}."
        )
    return parsed.values


def _labelled(source: Source, shape: Shape, files: dict[str, Raw]) -> Source:
    """The source with values that turn ids of stages and pipelines into their labels."""
    values = dict(source.values)
    for column, said in (shape.labels or {}).items():
        found = _found(source, said, files)
        if found is not None and {"id", "label"} <= found.columns.keys():
            labels = _labels(_ours(found), values.get("pipeline", {}))
            values[column] = labels | values.get(column, {})
    return replace(source, values=values)


def _labels(table: pd.DataFrame, pipelines: Mapping[str, str]) -> dict[str, str]:
    """Label of each id; with its pipeline where one label has two meanings: open, won, or closed and not won."""
    table = table.dropna(subset=["id", "label"])
    label = table["label"]
    if {"within", "is_closed", "probability"} <= set(table.columns):
        is_closed = coercion.booleans(table["is_closed"]).values.astype("float64")
        is_won = coercion.numbers(table["probability"]).values == 1
        is_mixed = (is_closed * (1 + is_won)).groupby(label).transform("nunique") > 1
        named = table["within"].map(lambda one: pipelines.get(one, one), na_action="ignore")
        label = label.mask(is_mixed & named.notna(), label + " (" + named + ")")
    return dict(zip(table["id"], label, strict=True))


def _found(source: Source, said: Mapping[str, Sequence[str]], files: dict[str, Raw]) -> _Cut | None:
    """The side file that a shape speaks of, and its columns, where the folder has it."""
    names = [path.name for path in sorted(source.folder.iterdir()) if path.is_file()] if source.folder.is_dir() else []
    named = [name for name in names if shapes.plain_file(name) in said["files"]]
    if not named:
        return None
    raw = _file(source, named[0], files)
    options = {key: listed for key, listed in said.items() if key != "files"}
    return _Cut(raw, shapes.resolved(options, list(raw.frame.columns)), [])


def _linked(raws: dict[str, Raw], source: Source, shape: Shape, files: dict[str, Raw]) -> dict[str, Raw]:
    """Tables with the ids that the CRM keeps in a file of its own."""
    raws = dict(raws)
    for name, said in (shape.links or {}).items():
        table, _, ours = name.partition(".")
        columns = source.columns.get(table, {})
        if table not in raws or ours in columns or ours in raws[table].frame.columns:
            continue
        found = _found(source, said, files)
        key = columns.get(model.keys(table)[0], model.keys(table)[0])
        if found is not None and {"on", "take"} <= found.columns.keys() and key in raws[table].frame.columns:
            pairs = _ours(found).drop_duplicates("on").set_index("on")["take"]
            frame = raws[table].frame
            raws[table] = replace(raws[table], frame=frame.assign(**{ours: pairs.reindex(frame[key]).to_numpy()}))
    return raws


def _without_merged(raw: Raw, source: Source, shape: Shape, files: dict[str, Raw]) -> tuple[Raw, list[Finding]]:
    """Deals that were not merged into another one."""
    said = shape.merged
    key = source.columns.get("opportunities", {}).get("opportunity_id", "opportunity_id")
    if not said or key not in raw.frame.columns:
        return raw, []
    found = _found(source, {"files": said["files"], "id": said["columns"]}, files)
    lists = [_ours(found)["id"]] if found is not None and "id" in found.columns else []
    wanted = {plain(name) for name in said["on_deal"]}
    on_deal = [name for name in raw.frame.columns if plain(name) in wanted]
    lists += [raw.frame[name].dropna().astype("str").str.split(r"[;,]\s*", regex=True).explode() for name in on_deal]
    gone = raw.frame[key].isin(set(pd.concat(lists).dropna())) if lists else pd.Series(False, index=raw.frame.index)
    findings = _left_out(raw.frame[gone], "opportunities", "merged_record", "opportunity_id", {"opportunity_id": key})
    return replace(raw, frame=raw.frame[~gone].reset_index(drop=True)), findings


def _one_form(raw: Raw, columns: Mapping[str, str], shape: Shape) -> Raw:
    """A table whose ids are in the one form in which tables join."""
    if not shape.id_forms:
        return raw
    named = {theirs for ours, theirs in columns.items() if ours.endswith("_id")}
    ids = [name for name in raw.frame.columns if name in named or name.endswith("_id")]
    changed = {name: record_ids.short(raw.frame[name]) for name in ids if pd.api.types.is_string_dtype(raw.frame[name])}
    return replace(raw, frame=raw.frame.assign(**changed))
