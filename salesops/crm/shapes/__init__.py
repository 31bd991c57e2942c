"""Whose export is this? Shapes of CRMs as data, and how a folder is told to have one.

A shape is a YAML file beside this module: for each canonical table the files that hold it,
their columns and their words. `recognised` turns a folder that has one into the same `Source`
a source.yaml gives; what a source.yaml says itself always wins.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from salesops import checks
from salesops.crm import delimited, formats, model, reading
from salesops.crm.source import FILE, Part, Source

KINDS = ("salesforce", "hubspot")
ROWS = "rows"

# A file of ours by name and by these columns is taken as it is.
OURS = {"opportunities": ("opportunity_id",), "stage_history": ("opportunity_id", "changed_at")}


@dataclass(frozen=True)
class Layout:
    """One way a CRM writes a table: file names, telling columns, and their names for our columns."""

    table: str
    columns: Mapping[str, Sequence[str]]
    files: Sequence[str] = ()
    known_by: Sequence[Sequence[str]] = ()
    without: Sequence[str] = ()
    form: str = ROWS
    absent: Mapping[str, str] | None = None
    versions: bool = False
    entered: str = ""
    exited: str = ""
    unless: Sequence[str] = ()


@dataclass(frozen=True)
class Shape:
    """How one CRM exports: its layouts, and what else its files say."""

    kind: str
    title: str
    layouts: tuple[Layout, ...]
    excluded: Mapping[str, Mapping[str, Any]]
    ignored: Sequence[str]
    values: Mapping[str, Mapping[str, str]]
    outcomes: Mapping[str, Sequence[str]]
    merged: Mapping[str, Sequence[str]] | None = None
    labels: Mapping[str, Mapping[str, Sequence[str]]] | None = None
    links: Mapping[str, Mapping[str, Sequence[str]]] | None = None
    other_objects: Mapping[str, str] | None = None
    id_forms: Sequence[str] = ()


class Match(NamedTuple):
    """A file that fits a layout, and which of its columns are ours."""

    layout: Layout
    part: Part


@cache
def shape(kind: str) -> Shape:
    """The shape of a CRM.

    Examples
    --------
    >>> shape("hubspot").title
    'HubSpot'
    """
    content = yaml.load((Path(__file__).parent / f"{kind}.yaml").read_text(encoding="utf-8"), Loader=_Texts)
    tables = content.pop("tables")
    layouts = tuple(Layout(table=table, **layout) for table, listed in tables.items() for layout in listed)
    return Shape(kind=kind, layouts=layouts, **content)


class _Texts(yaml.SafeLoader):
    """Every scalar is text, as in a source.yaml; anchors and merges work."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        letter: [pair for pair in pairs if pair[0] == "tag:yaml.org,2002:merge"]
        for letter, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def plain(name: str) -> str:
    """A column's or a file's name as names are compared.

    Examples
    --------
    >>> plain("StageName"), plain("stage_name"), plain("Loss_Reason__c"), plain("property_dealname")
    ('stagename', 'stagename', 'lossreason', 'dealname')
    """
    bare = re.sub(r"(?<=.)_+c$", "", str(name).strip().lower().removeprefix("property_"))
    return re.sub(r"[^a-z0-9]", "", bare) or bare


def plain_file(name: str) -> str:
    """A file's name without what connectors and export buttons add to it.

    Examples
    --------
    >>> plain_file("sf_opportunity_data.csv"), plain_file("hubspot-crm-exports-all-deals-2026-09-30.csv")
    ('opportunity', 'alldeals')
    """
    stem = re.sub(r"(\.[A-Za-z]{2,8})+$", "", Path(name).name).lower()
    stem = re.sub(
        r"^(sf|sfdc|salesforce|hubspot|hs)[-_ ]+", "", re.sub(r"[-_ ]?\d{4}[-_]?\d{2}[-_]?\d{2}.*$", "", stem)
    )
    return re.sub(r"[^a-z0-9]", "", re.sub(r"([-_ ]data|[-_ ]+export)$", "", stem.removeprefix("crm-exports-")))


def recognised(source: Source) -> Source:
    """The source with the files, columns and values of the CRM it comes from.

    Without ``kind`` in its source.yaml, a source whose deals are not mapped there, and are not
    in a file of ours, is whichever CRM its files look like; otherwise it is generic.

    Raises
    ------
    DataError
        Two files look like the same table, or ``kind`` names a CRM and no file holds its deals.
    """
    maps_deals = bool({"opportunities"} & (source.tables.keys() | source.columns.keys()))
    if source.kind == "generic" or (not source.kind and maps_deals):
        return replace(source, kind="generic")
    if source.database or not source.folder.is_dir():
        return replace(source, kind=source.kind or "generic")
    heads = _heads(source)
    ours = {table for table in model.TABLES if _is_ours(table, heads)}
    if not source.kind and "opportunities" in ours:
        return replace(source, kind="generic")
    for kind in [source.kind] if source.kind else KINDS:
        matches = _matches(shape(kind), source, heads, ours)
        if "opportunities" in matches or "opportunities" in ours:
            return _with(source, shape(kind), matches)
    if source.kind:
        raise checks.DataError(
            f"{FILE}: kind is {source.kind}, but no file looks like its deals; found {sorted(heads)[:8]}. "
            f"Name the file under tables: opportunities."
        )
    return replace(source, kind="generic")


def resolved(columns: Mapping[str, Sequence[str]], head: Sequence[str]) -> dict[str, str]:
    """Which of a file's columns are ours: canonical name to theirs, the first that is there.

    Examples
    --------
    >>> resolved({"stage": ["StageName", "Stage"], "name": ["first + last"]}, ["stage_name", "First", "Last"])
    {'stage': 'stage_name', 'name': 'First + Last'}
    """
    theirs = {plain(name): name for name in reversed(head)}
    found = {}
    for ours, options in columns.items():
        for option in [ours, *options] if ours not in ("id", "label") else options:
            expression = _expression(option, theirs)
            if expression:
                found[ours] = expression
                break
    return found


def _expression(option: str, theirs: Mapping[str, str]) -> str | None:
    if " + " in option:
        names = [theirs.get(plain(name)) for name in option.split(" + ")]
        return " + ".join(names) if all(names) else None
    name, slash, divisor = option.partition(" / ")
    if slash and not divisor.isdigit():
        name, slash, divisor = option, "", ""
    found = theirs.get(plain(name))
    return f"{found}{slash}{divisor}" if found else None


def _heads(source: Source) -> dict[str, list[str]]:
    """Column names of each file of the folder, and of what source.yaml names."""
    named = {text for text in source.tables.values() if text}
    files = {path.name: path for path in sorted(source.folder.iterdir()) if path.is_file()}
    heads = {name: _head(path) for name, path in files.items() if formats.suffix_of(name)}
    for text in named - heads.keys():
        heads[text] = list(reading.read_table(source.folder, text).frame.columns)
    return heads


def _head(path: Path) -> list[str]:
    """A file's column names, none where it cannot be read: reading it says so, if it is needed."""
    try:
        if path.suffix.lower() not in (".csv", ".tsv"):
            return list(formats.read_file(path, name=path.name).frame.columns)
        with path.open("rb") as file:
            line = next((line for line in file if line.strip()), b"")
        delimiter = "\t" if path.suffix.lower() == ".tsv" else None
        return list(delimited.read(line, file=path.name, delimiter=delimiter)[0].columns)
    except (checks.DataError, OSError):
        return []


def _is_ours(table: str, heads: Mapping[str, Sequence[str]]) -> bool:
    """Whether a file has a canonical name and the columns that go with it."""
    telling = OURS.get(table) or [column.name for column in model.TABLES[table] if column.is_key][:1]
    return any(Path(name).stem == table and set(telling) <= set(head) for name, head in heads.items())


def _matches(
    found: Shape, source: Source, heads: Mapping[str, Sequence[str]], ours: set[str]
) -> dict[str, list[Match]]:
    matches: dict[str, list[Match]] = {}
    for layout in found.layouts:
        own = source.tables.get(layout.table, "")
        if layout.table in ours or own is None or _superseded(layout, matches):
            continue
        files = [own] if own else _files(layout, heads, {m.part.file for m in matches.get(layout.table, [])})
        for name in files:
            part = _part(layout, name, heads[name])
            if part:
                matches.setdefault(layout.table, []).append(Match(layout, part))
    return matches


def _superseded(layout: Layout, matches: Mapping[str, Sequence[Match]]) -> bool:
    return any(match.layout.form in layout.unless for match in matches.get(layout.table, []))


def _files(layout: Layout, heads: Mapping[str, Sequence[str]], taken: set[str]) -> list[str]:
    """The file of a layout: by its name, else by columns that no other file has."""
    fits = [name for name, head in heads.items() if name not in taken and not _is_without(layout, head)]
    named = [name for name in fits if plain_file(name) in layout.files]
    told = [name for name in fits if any(_has(head, heads[name]) for head in layout.known_by)]
    files = [name for name in named if name in told] or told or named
    if len(files) > 1:
        raise checks.DataError(
            f"{files[0]} and {files[1]} both look like {layout.table}. "
            f"Name one in {FILE} under tables: {layout.table}, or move the other away."
        )
    return files


def _is_without(layout: Layout, head: Sequence[str]) -> bool:
    return any(_has(text.split(" + "), head) for text in layout.without)


def _has(wanted: Sequence[str], head: Sequence[str]) -> bool:
    return {plain(name) for name in wanted} <= {plain(name) for name in head}


def _part(layout: Layout, name: str, head: Sequence[str]) -> Part | None:
    columns = resolved(layout.columns, head)
    needed = [column for column in layout.columns if column in _NEEDED[layout.form].get(layout.table, ())]
    if layout.form == "date_entered" and not any(re.match(layout.entered, column.lower()) for column in head):
        return None
    if any(column not in columns for column in needed):
        return None
    if layout.table == "opportunities" and not {"stage", "is_won"} & columns.keys():
        return None
    constants = {ours: text for ours, text in (layout.absent or {}).items()}
    return Part(name, columns, layout.form, constants)


# Columns without which a file is not what it looks like.
_NEEDED = {
    ROWS: {
        "stage_history": ("opportunity_id", "changed_at", "stage"),
        "stages": ("stage",),
        "reps": ("owner_id",),
        "accounts": ("account_id",),
        "activities": ("activity_id", "occurred_at"),
        "leads": ("lead_id", "created_at"),
        "line_items": ("opportunity_id",),
        "opportunity_splits": ("opportunity_id", "owner_id", "share"),
        "fx_rates": ("date", "currency"),
    },
    "field_history": {"stage_history": ("opportunity_id", "changed_at", "field", "new")},
    "property_history": {"stage_history": ("opportunity_id", "changed_at", "field", "new")},
    "date_entered": {"stage_history": ("opportunity_id",)},
}


def _with(source: Source, found: Shape, matches: Mapping[str, Sequence[Match]]) -> Source:
    """The source with what was recognised beneath what its source.yaml says."""
    parts = {
        table: tuple(_owned(match.part, source.columns.get(table, {})) for match in listed)
        for table, listed in matches.items()
    }
    values = {
        name: {**found.values.get(name, {}), **source.values.get(name, {})}
        for name in found.values.keys() | source.values.keys()
    }
    deals = parts.get("opportunities", ())
    is_row_id = source.is_row_id or bool(deals and "opportunity_id" not in deals[0].columns)
    return replace(source, kind=found.kind, parts=parts, values=values, is_row_id=is_row_id)


def _owned(part: Part, own: Mapping[str, str]) -> Part:
    return replace(part, columns={**part.columns, **own}) if own else part
