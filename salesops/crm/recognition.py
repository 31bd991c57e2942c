"""What a source is taken for: its files, its columns under our names, what is missing and what that switches off."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from salesops import checks
from salesops.crm import copies, exclusions, exports, intake, mapping, model, sample, shapes
from salesops.crm import source as sources
from salesops.crm.source import FILE, Source

# What columns of the deals switch on; said when they are absent.
COLUMNS_SWITCH_ON = {
    "amount": "everything in money",
    "created_date": "cycle times, creation cohorts, pipeline created",
    "close_date": "every period of closed deals, expected closes",
    "owner_id": "everything by rep",
    "stage": "pipeline by stage",
    "probability": "weighted pipeline, calibration",
    "forecast_category": "forecast by category",
    "opportunity_type": "new business apart from renewals",
    "segment": "win rates by segment",
    "loss_reason": "why deals are lost",
    "competitor": "win rates against competitors",
    "lead_source": "win rates by source",
    "product": "product views",
    "account_id": "accounts, likely duplicates",
    "qualified_date": "qualified pipeline",
    "next_step": "completeness of next steps",
}

MOST = 12  # unmapped columns named; a CRM has hundreds


def table(source: str | Path) -> str:
    """What is recognised of a source, as text for a person.

    Raises
    ------
    DataError
        The source cannot be read at all.

    Examples
    --------
    >>> print(table("sample").splitlines()[0])
    sample: the built-in sample, generic
    """
    if str(source) == "sample":
        tables = {name: frame for name, frame in sample.tables().items() if len(frame)}
        rows = [("sample", name, f"{len(frame):,}", "") for name, frame in tables.items()]
        return _text(["sample: the built-in sample, generic", "", *_aligned(_HEAD, rows), *_absent(tables)])
    if copies.is_folder(Path(source)):
        kept = copies.read(Path(source))
        rows = [("dated copies", name, f"{len(frame):,}", "") for name, frame in kept.tables.items()]
        return _text([f"{kept.source.label}: a folder of dated copies", "", *_aligned(_HEAD, rows)])
    described = shapes.recognised(sources.read(Path(source)))
    exported, mapped = intake.as_mapped(described)
    frames = {name: one.frame for name, one in mapped.items()}
    lines = [_title(exported.source), "", *_files(exported, mapped), *_columns(exported, mapped), *_absent(frames)]
    return _text([*lines, *_unused(exported), *_said(exported, mapped)])


_HEAD = ("file", "table", "rows", "columns")


def _title(source: Source) -> str:
    told = f"as {FILE} says" if source.text and "kind:" in source.text else "told by its files"
    title = shapes.shape(source.kind).title if source.kind in shapes.KINDS else "generic, under canonical names"
    return f"{source.label}: {title}, {told}"


def _text(lines: Sequence[str]) -> str:
    return "\n".join(line.rstrip() for line in lines).rstrip()


def _aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as columns of text; numbers stand to the right."""
    table = [head, *rows]
    widths = [max(len(row[place]) for row in table) for place in range(len(head))]
    right = [all(row[place].replace(",", "").isdigit() for row in rows) for place in range(len(head))]
    return [
        "  ".join(
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(row, widths, right, strict=True)
        )
        for row in table
    ]


def _files(exported: exports.Exported, mapped: dict[str, mapping.Mapped]) -> list[str]:
    rows = []
    for name, one in mapped.items():
        ours = [column for column in model.columns(name) if one.frame[column].notna().any()]
        kept = [column for column in one.frame.columns if column.startswith("x_")]
        told = f"{len(ours)} of {len(model.TABLES[name])} filled" + (f", {len(kept)} kept as x_" if kept else "")
        rows.append((exported.raws[name].file, name, f"{len(one.frame):,}", told))
    return _aligned(_HEAD, rows)


def _columns(exported: exports.Exported, mapped: dict[str, mapping.Mapped]) -> list[str]:
    """Which column of each table is which of theirs, and those that are only kept."""
    lines = []
    for name, one in mapped.items():
        theirs = _theirs(exported.source, name)
        pairs = [(ours, theirs[ours]) for ours in one.frame.columns if ours in theirs and theirs[ours] != ours]
        kept = [column for column in one.frame.columns if column.startswith("x_")]
        if pairs or kept:
            lines += ["", f"{name}: column ← theirs"]
            lines += [f"  {line}" for line in _aligned(("column", "theirs"), pairs)[1:]] if pairs else []
            more = f" and {len(kept) - MOST} more" if len(kept) > MOST else ""
            lines += [f"  kept, mapped to nothing: {', '.join(kept[:MOST])}{more}"] if kept else []
    return lines


def _theirs(source: Source, table: str) -> dict[str, str]:
    """What each of our columns is called in the files of a table."""
    parts = source.parts.get(table, ())
    if not parts:
        return dict(source.columns.get(table, {}))
    names: dict[str, list[str]] = {}
    for part in parts:
        for ours, theirs in part.columns.items():
            names.setdefault(ours, []).append(theirs)
    return {ours: " | ".join(dict.fromkeys(theirs)) for ours, theirs in names.items()}


def _absent(frames: dict[str, pd.DataFrame]) -> list[str]:
    """Columns and tables that are not there, and what each switches off."""
    deals = frames["opportunities"]
    columns = [(column, text) for column, text in COLUMNS_SWITCH_ON.items() if deals[column].isna().all()]
    tables = [(name, text) for name, text in model.SWITCHES_ON.items() if name not in frames]
    rows = [*columns, *tables]
    return ["", *_aligned(("missing", "switches off"), rows)] if rows else []


def _unused(exported: exports.Exported) -> list[str]:
    folder = exported.source.folder
    if exported.source.database or not folder.is_dir():
        return []
    used = " ".join(
        [*exported.files, *(raw.file for raw in exported.raws.values()), *map(str, exported.source.tables.values())]
    )
    names = [path.name for path in sorted(folder.iterdir()) if path.is_file() and path.name != FILE]
    names = [name for name in names if name not in used and Path(name).stem not in used]
    return ["", f"Not read as a table: {', '.join(names)}"] if names else []


def _said(exported: exports.Exported, mapped: dict[str, mapping.Mapped]) -> list[str]:
    """What was guessed, left out and set aside, or why loading stops."""
    try:
        taken = intake.of_mapped(exported, mapped, max_barred=1)
    except checks.DataError as error:
        return ["", f"Loading stops: {error}"]
    lines = ["", *taken.notes] if taken.notes else []
    found = exclusions.table(taken.findings)
    rows = list(
        zip(found["table"], found["rule"], found["action"], found["n"].map("{:,}".format), found["reason"], strict=True)
    )
    return lines + (["", *_aligned(("table", "rule", "action", "n", "reason"), rows)] if rows else [])
