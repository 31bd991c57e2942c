"""The source.yaml to edit, written from the data: what is taken as it is, what could be, and why."""

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from salesops import checks
from salesops.crm import guesses, intake, shapes
from salesops.crm import source as sources
from salesops.crm.source import FILE, Source, Stages

_RENEWAL = r"(?i)renew|verl[äa]nger|prolong"
_QUALIFIED = r"(?i)qualif|sql\b|accepted"
_PERIOD = r"(?i)Q(?P<quarter>[1-4])[- ]*(?:FY)?(?P<year>\d{4})"
_ENOUGH = 0.95


class Draft(NamedTuple):
    """What a proposal is written from: the source, its tables and its stages with their reasons."""

    source: Source
    tables: guesses.Tables
    stages: Stages
    reasons: Mapping[str, str]


def write(source: str | Path, to: str | Path | None = None) -> str:
    """Write the source.yaml to edit for a folder of exports, and say what was written.

    Loading with the file gives what loading without it gave: whatever would change a figure is
    a comment, with its reason, to be taken in by hand.

    Parameters
    ----------
    source
        A folder of exports without a source.yaml.
    to
        Where to write; ``source.yaml`` in the folder if empty.

    Raises
    ------
    ParameterError
        The source is no folder, or the file is there already.
    DataError
        The source cannot be read.
    """
    folder = Path(source)
    if not folder.is_dir():
        raise checks.ParameterError(f"init: {source} is not a folder of exports. Name the folder.")
    for file in dict.fromkeys([folder / FILE, Path(to or folder / FILE)]):
        if file.exists():
            raise checks.ParameterError(
                f"init: {file} is there already and is not overwritten. Edit it, or move it away."
            )
    file = Path(to or folder / FILE)
    if not file.parent.is_dir():
        raise checks.ParameterError(f"init: {file.parent} is not a folder. Make it first.")
    place = os.path.relpath(folder, file.parent)
    file.write_text(text(_drafted(folder), folder=None if place == "." else place), encoding="utf-8")
    return f"{file}: written. Read it, correct it, and see with salesops check {folder if place == '.' else file}."


def text(draft: Draft, *, folder: str | None = None) -> str:
    """The text of a source.yaml, with a comment beside each guess."""
    source = draft.source
    sections = [
        [f"# How salesops reads {source.label}. Lines that begin with # are proposals or notes: they change nothing."],
        [f"folder: {_plain(folder)}"] if folder else [],
        [f"kind: {source.kind}   # {_KINDS[source.kind]}"],
        ["id: row   # no column holds the deals' ids, so each row is a deal"] if source.is_row_id else [],
        [*_currency(draft.tables["opportunities"]), f"time_zone: {source.time_zone}   # of times without an offset"],
        _fiscal(draft),
        _stages(draft),
        _types(draft.tables["opportunities"]),
        _columns(source),
    ]
    return "\n\n".join("\n".join(section) for section in sections if section) + "\n"


_KINDS = {
    "salesforce": "its columns and words are known; what stands below wins over them",
    "hubspot": "its columns and words are known; what stands below wins over them",
    "generic": "only canonical names are known; map every other column under columns",
}


def _drafted(folder: Path) -> Draft:
    exported, mapped = intake.as_mapped(shapes.recognised(sources.read(folder)))
    taken = intake.of_mapped(exported, mapped, max_barred=1)
    source, tables = taken.source, taken.tables
    if source.stages.order or source.stages.won or source.stages.lost:
        frames = {name: one.frame for name, one in mapped.items()}
        return Draft(source, tables, source.stages, guesses.stages(frames, shapes.shape(source.kind)).reasons)
    table = tables["stages"]
    if table.empty or table["is_closed"].isna().all():
        return Draft(source, tables, source.stages, {})
    position = {"order": "their position in the CRM", "outcomes": "the CRM's own flags"}
    return Draft(source, tables, _of_table(table, source.stages), position)


def _of_table(table: pd.DataFrame, named: Stages) -> Stages:
    is_closed, is_won = (table[name].fillna(False).astype(bool) for name in ("is_closed", "is_won"))
    ordered = table[~is_closed].sort_values("position", kind="stable")
    key = ordered["pipeline"].fillna("")
    order = {str(pipeline): tuple(group["stage"].dropna()) for pipeline, group in ordered.groupby(key, sort=False)}
    lost = table.loc[is_closed & ~is_won, "stage"].drop_duplicates()
    won = tuple(table.loc[is_closed & is_won, "stage"].drop_duplicates())
    undecided = tuple(stage for stage in lost if stage in named.no_decision)
    return Stages(order, won, tuple(stage for stage in lost if stage not in undecided), undecided, named.qualified)


def _currency(deals: pd.DataFrame) -> list[str]:
    found = sorted(deals["currency"].dropna().str.upper().unique())
    if len(found) == 1 and re.fullmatch("[A-Z]{3}", found[0]):
        return [f"currency: {found[0]}   # the only one of the deals"]
    told = f"deals are in {', '.join(found[:5])}; the others need fx_rates" if found else "no column names one"
    return [f"# currency: {found[0] if found else 'EUR'}   # {told}"]


def _fiscal(draft: Draft) -> list[str]:
    source = draft.source
    now = f"fiscal: {{start_month: {source.fiscal_start_month}, named_by: {source.fiscal_named_by}}}"
    found = fiscal_year(draft.tables["opportunities"])
    if found is None:
        return [f"{now}   # nothing tells the fiscal year; this is the calendar year"]
    start, named_by, share = found
    told = f"the CRM's own fiscal quarters agree for {share:.0%} of the deals"
    if (start, named_by) == (source.fiscal_start_month, source.fiscal_named_by):
        return [f"{now}   # {told}"]
    return [now, f"# fiscal: {{start_month: {start}, named_by: {named_by}}}   # {told}"]


def fiscal_year(deals: pd.DataFrame) -> tuple[int, str, float] | None:
    """First month and naming of the fiscal year that the CRM's own fiscal quarters tell, and their agreement.

    Examples
    --------
    >>> deals = pd.DataFrame({"close_date": pd.to_datetime(["2026-02-10", "2026-05-10", "2027-01-31"]),
    ...     "x_fiscal_period": ["Q1-2027", "Q2-2027", "Q4-2027"]})
    >>> fiscal_year(deals)
    (2, 'end', 1.0)
    """
    told = _fiscal_quarters(deals)
    if told is None:
        return None
    month, year = deals["close_date"].dt.month, deals["close_date"].dt.year
    known = told["quarter"].notna() & month.notna()
    scores = []
    for start in range(1, 13):
        quarter, began = (month - start) % 12 // 3 + 1, year - (month < start)
        for named_by, named in (("end", began + (start > 1)), ("start", began)):
            agrees = (quarter == told["quarter"]) & (named == told["year"])
            scores.append((float(agrees[known].mean()), start, named_by))
    share, start, named_by = max(scores, key=lambda score: score[0])
    return (start, named_by, share) if share >= _ENOUGH else None


def _fiscal_quarters(deals: pd.DataFrame) -> pd.DataFrame | None:
    plain = {shapes.plain(name.removeprefix("x_")): name for name in deals.columns if name.startswith("x_")}
    if {"fiscalyear", "fiscalquarter"} <= plain.keys():
        pair = deals[[plain["fiscalyear"], plain["fiscalquarter"]]].set_axis(["year", "quarter"], axis=1)
    elif {"fiscalperiod", "fiscal"} & plain.keys():
        column = plain.get("fiscalperiod") or plain["fiscal"]
        pair = deals[column].astype("str").str.extract(_PERIOD)
    else:
        return None
    numbers = pair.apply(pd.to_numeric, errors="coerce")
    return numbers if (numbers["quarter"].notna() & deals["close_date"].notna()).any() else None


def _stages(draft: Draft) -> list[str]:
    stages, reasons = draft.stages, draft.reasons
    if not (stages.order or stages.won or stages.lost):
        return ["# stages: {order: [...], won: [...], lost: [...]}   # the data name no stages"]
    lines = ["stages:", f"  order:   # open stages, told by {reasons.get('order', 'the source')}"]
    lines += [f"    {_plain(pipeline)}: {_listed(names)}" for pipeline, names in stages.order.items()]
    if not stages.order:
        lines[-1] = "  # order: [...]   # no open stage is left"
    lines.append(f"  # closed stages, told by {reasons.get('outcomes', 'the source')}")
    named = {"won": stages.won, "lost": stages.lost, "no_decision": stages.no_decision, "qualified": stages.qualified}
    lines += [f"  {name}: {_listed(texts)}" for name, texts in named.items() if texts]
    if not stages.qualified:
        chosen, why = _qualified(stages)
        lines += (
            [f"  # qualified: {_listed(chosen)}   # {why}; gives deals without one a qualified_date"] if chosen else []
        )
    return lines


def _qualified(stages: Stages) -> tuple[list[str], str]:
    """The stage of each pipeline at which a deal counts as qualified: by its name, else the second."""
    chosen, by_name = [], True
    for names in stages.order.values():
        named = [name for name in names if re.search(_QUALIFIED, name) and not re.search(r"(?i)^un|not ", name)]
        by_name &= bool(named)
        chosen += named[-1:] or list(names[1:2])
    return list(dict.fromkeys(chosen)), "by its name" if by_name else "the second stage, where no name says it"


def _types(deals: pd.DataFrame) -> list[str]:
    types = deals["opportunity_type"].dropna()
    unknown = types[~types.isin(["new", "expansion", "renewal"])].value_counts()
    told = types.value_counts()
    lines = [f"# opportunity types: {', '.join(f'{name} {n:,}' for name, n in told.items())}"] if len(told) else []
    renewals = [name for name in unknown.index if re.search(_RENEWAL, name)]
    if renewals:
        pairs = ", ".join(f"{_plain(name)}: renewal" for name in renewals)
        lines.append(f"# values: {{opportunity_type: {{{pairs}}}}}   # by their names; renewals are no new business")
    elif "renewal" not in told.index:
        lines.append("# values: {opportunity_type: {...: renewal}}   # nothing looks like a renewal: is there one?")
    return lines


def _columns(source: Source) -> list[str]:
    """What was recognised: the deals' columns to edit, those of other tables as notes."""
    lines = []
    for table in source.parts.keys() | source.columns.keys():
        found = dict(source.columns.get(table, {}))
        pairs = {ours: theirs for ours, theirs in found.items() if theirs != ours and not re.search(" [+/] ", theirs)}
        if pairs:
            mark = "" if table == "opportunities" else "# "
            lines.append(
                (
                    table != "opportunities",
                    table,
                    [f"{mark}  {table}:"] + [f"{mark}    {ours}: {_plain(theirs)}" for ours, theirs in pairs.items()],
                )
            )
    if not lines:
        return []
    head = "columns:" if any(table == "opportunities" for _, table, _ in lines) else "# columns:"
    return [head, *(line for _, _, section in sorted(lines) for line in section)]


def _listed(texts: Iterable[str]) -> str:
    return f"[{', '.join(_plain(text) for text in texts)}]"


def _plain(text: str | None) -> str:
    """A text as YAML has it: bare where that is safe, else in quotes."""
    return text if re.fullmatch(r"[\w][\w ./-]*\w|\w", text or "") else json.dumps(text, ensure_ascii=False)
