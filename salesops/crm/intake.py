"""From a source to checked tables: read, map, tell the outcome, hold to the rules."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from salesops import checks
from salesops.crm import (
    copies,
    exclusions,
    exports,
    guesses,
    mapping,
    model,
    outcomes,
    reading,
    released,
    replay,
    rules,
    shapes,
)
from salesops.crm import source as sources
from salesops.crm.source import FILE, Source

NEW = "new"


class Intake(NamedTuple):
    """Checked tables as the source has them today, and what was found on the way."""

    tables: rules.Tables
    source: Source
    findings: list[exclusions.Finding]
    notes: list[str]
    inputs: pd.DataFrame


def of_folder(path: str | Path, *, max_barred: float, faults: Sequence[rules.Rule] = rules.FAULTS) -> Intake:
    """The checked tables of a folder or a source.yaml."""
    if copies.is_folder(Path(path)):
        kept = copies.read(Path(path))
        taken = of_frames(kept.tables, kept.source, sha256=kept.sha256, max_barred=max_barred, faults=faults)
        return taken._replace(notes=kept.notes)
    exported, mapped = as_mapped(shapes.recognised(sources.read(Path(path))), keeps=False)
    return of_mapped(exported, mapped, max_barred=max_barred, faults=faults, keeps=False)


def of_mapped(
    exported: exports.Exported,
    mapped: dict[str, mapping.Mapped],
    *,
    max_barred: float,
    faults: Sequence[rules.Rule] = rules.FAULTS,
    keeps: bool = True,
) -> Intake:
    """Checked tables of a source that is read and mapped; what nobody asks to keep is emptied on the way."""
    raws, found_in_columns = exported.raws, [finding for one in mapped.values() for finding in one.findings]
    said = list(dict.fromkeys(note for one in mapped.values() for note in one.notes))
    frames = {table: (mapped[table] if keeps else mapped.pop(table)).frame for table in list(mapped)}
    if "stages" in frames:
        frames["stages"] = outcomes.told_by_probability(frames["stages"])
    source, guessed = guesses.with_stages(exported.source, frames)
    findings, notes = exported.findings + found_in_columns, guessed + said
    labels = {table: raw.file for table, raw in raws.items()}
    inputs = [(table, len(raw.frame), raw.sha256) for table, raw in raws.items()]
    if source.text:
        inputs.append((FILE, 0, hashlib.sha256(source.text.encode()).hexdigest()))
    tables, found = _checked(frames, source, labels, max_barred, faults)
    released.give_back()
    spelt, looked_up = _lookups(tables["opportunities"], source)
    inputs += looked_up
    return Intake(tables, source, findings + found + spelt, notes, _inputs(inputs))


def as_mapped(source: Source, *, keeps: bool = True) -> tuple[exports.Exported, dict[str, mapping.Mapped]]:
    """The tables of a source as they came, and under canonical names.

    Where nobody asks to keep them, the cells of a table as it came are let go before the next one is read.
    """
    if not keeps and source.kind not in shapes.KINDS:
        return _one_by_one(source)
    exported = exports.read(source)
    return exported, {table: mapping.mapped(raw, table, exported.source) for table, raw in exported.raws.items()}


def _one_by_one(source: Source) -> tuple[exports.Exported, dict[str, mapping.Mapped]]:
    raws, mapped = {}, {}
    for table, raw in reading.each_table(source):
        mapped[table] = mapping.mapped(raw, table, source)
        raws[table] = replace(raw, frame=raw.frame[[]])
        del raw
        released.give_back()
    return exports.Exported(raws, source, []), mapped


def of_frames(
    frames: rules.Tables, source: Source, *, sha256: str, max_barred: float, faults: Sequence[rules.Rule] = rules.FAULTS
) -> Intake:
    """Checked tables of frames that are canonical already, such as the sample's."""
    tables, findings = _checked(dict(frames), source, {}, max_barred, faults)
    inputs = [(table, len(frame), sha256) for table, frame in frames.items() if len(frame)]
    return Intake(tables, source, findings, [], _inputs(inputs))


def _checked(
    frames: rules.Tables, source: Source, labels: dict[str, str], max_barred: float, faults: Sequence[rules.Rule]
) -> tuple[rules.Tables, list[exclusions.Finding]]:
    given = list(frames)
    tables = {table: frames.pop(table) if table in frames else _absent(table) for table in model.TABLES}
    if tables["stages"].empty:
        tables["stages"] = outcomes.stages_table(source.stages)
    deals = tables["opportunities"]
    outcome = outcomes.of_opportunities(deals, tables["stages"], source, file=labels.get("opportunities", source.label))
    tables["opportunities"] = outcomes.flagged(deals.assign(outcome=outcome))
    del deals
    findings = []
    for table in given:
        released.give_back()  # what the table before held: of large ones there is one copy too many at a time
        label = labels.get(table, table)
        rows = len(tables[table])
        tables[table], aside = rules.set_aside(tables[table], table)
        findings += aside
        if table == "opportunities":
            rules.refuse_too_many(aside, rows, file=label, max_barred=max_barred)
        released.give_back()
        tables[table], repeated = rules.without_repeats(tables[table], table, file=label)
        findings += repeated
    tables = {table: frame.reset_index(drop=True) for table, frame in tables.items()}
    tables["opportunities"], typed = _with_types(tables["opportunities"])
    tables, barred = rules.held_to(faults, rules.Case(tables, source.stages, source.time_zone))
    if "product" not in source.lookups:
        products = tables["opportunities"]["product"]
        barred += misspelt(products, usual_spellings(products), where="the other deals")
    return _with_qualified(tables, source), findings + typed + barred


def _absent(table: str) -> pd.DataFrame:
    return model.conform(pd.DataFrame(), table)


def _with_types(deals: pd.DataFrame) -> tuple[pd.DataFrame, list[exclusions.Finding]]:
    """Deals of a source that has no opportunity_type are new, and counted as repaired."""
    if deals.empty or deals["opportunity_type"].notna().any():
        return deals, []
    reason = "the source does not tell new deals from renewals; every deal is taken as new"
    finding = exclusions.Finding(
        "opportunities", "taken_as_new", "opportunity_type", "repaired", len(deals), "", reason
    )
    return deals.assign(opportunity_type=pd.Series(NEW, index=deals.index, dtype="str")), [finding]


def _with_qualified(tables: rules.Tables, source: Source) -> rules.Tables:
    """The first entry into a qualified stage as qualified_date, where source.yaml names such stages."""
    deals, history = tables["opportunities"], tables["stage_history"]
    if not source.stages.qualified or deals["qualified_date"].notna().any():
        return tables
    entered = history[history["stage"].isin(source.stages.qualified)].groupby("opportunity_id")["changed_at"].min()
    qualified = replay.of_deals(deals["opportunity_id"], entered)
    return tables | {"opportunities": deals.assign(qualified_date=qualified)}


def _lookups(deals: pd.DataFrame, source: Source) -> tuple[list[exclusions.Finding], list[tuple[str, int, str]]]:
    """Values that a lookup file does not have."""
    findings, inputs = [], []
    for field, (file, column) in source.lookups.items():
        raw = reading.read_table(source.folder, file)
        checks.require_columns(raw.frame, [column], where=raw.file)
        inputs.append((f"{field} lookup", len(raw.frame), raw.sha256))
        findings += misspelt(deals[field], raw.frame[column], where=raw.file)
    return findings, inputs


def usual_spellings(values: pd.Series) -> pd.Series:
    """The most frequent of the spellings that differ only in blanks, marks or case.

    Examples
    --------
    >>> usual_spellings(pd.Series(["GTX Pro", "GTX Pro", "GTXPro", "MG"])).tolist()
    ['GTX Pro', 'MG']
    """
    counts = values.value_counts()
    return counts.index.to_series().drop_duplicates()[~counts.index.map(_bare).duplicated()].reset_index(drop=True)


def misspelt(values: pd.Series, known: pd.Series, *, where: str) -> list[exclusions.Finding]:
    """Findings for values that are not among the known ones, with the value map that would join them.

    Examples
    --------
    >>> values = pd.Series(["GTXPro", "MG"], name="product")
    >>> found = misspelt(values, pd.Series(["GTX Pro", "MG"]), where="products.csv")
    >>> found[0].rule, found[0].n, found[0].reason[32:]
    ('product_spelling', 1, 'likely GTX Pro for GTXPro: name them under product in values')
    """
    field = str(values.name)
    plain = {_bare(text): text for text in known.dropna().unique()}
    unknown = values[values.notna() & ~values.isin(known)]
    near = {text: plain[_bare(text)] for text in sorted(unknown.unique()) if _bare(text) in plain}
    spelt, strange = unknown[unknown.isin(list(near))], unknown[~unknown.isin(list(near))]
    pairs = ", ".join(f"{ours} for {theirs}" for theirs, ours in near.items())
    suggestion = f"not in {where} as written; likely {pairs}: name them under {field} in values"
    rows = [(f"{field}_spelling", spelt, suggestion), (f"unknown_{field}", strange, f"not in {where}")]
    return [
        exclusions.Finding("opportunities", rule, field, "counted", len(found), checks.examples(found), reason)
        for rule, found, reason in rows
        if len(found)
    ]


def _bare(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())


def _inputs(rows: list[tuple[str, int, str]]) -> pd.DataFrame:
    kinds = {"table": "str", "rows": "int64", "sha256": "str"}
    return pd.DataFrame(rows, columns=list(kinds)).astype(kinds)
