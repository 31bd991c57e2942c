"""Dated copies of a source, so that a team whose CRM keeps no history starts its own."""

import shutil
import tempfile
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import yaml

from salesops import checks
from salesops.crm import copies, intake, mapping, model, outcomes, replay, shapes
from salesops.crm import source as sources
from salesops.crm.source import FILE, Source


def append(source: str | Path, folder: str | Path, *, as_of: date | str | None = None) -> str:
    """Keep a dated copy of a source's tables, and say what was kept.

    The copy is a folder named by its day, with one Parquet file for each table the source has,
    under canonical names and before any row is set aside or barred, and a source.yaml. It is
    there whole or not at all. The folder of copies loads as one source.

    Parameters
    ----------
    source
        A folder of exports, a source.yaml or a database file.
    folder
        Where the dated copies are; made where it is not there.
    as_of
        The day of the copy; the day of the latest recorded event if empty.

    Raises
    ------
    DataError
        The source cannot be read.
    ParameterError
        The day is before the latest recorded event, or has another copy already.
    """
    exported, mapped = intake.as_mapped(shapes.recognised(sources.read(Path(source))))
    checked = intake.of_mapped(exported, mapped, max_barred=1.0)
    described, tables = checked.source, _tables(mapped, checked, exported.raws["opportunities"].file)
    day = _day(checked, as_of)
    target = Path(folder) / str(day)
    said = f"{sum(map(len, tables.values())):,} rows of {len(tables)} tables"
    if target.exists():
        if not _is_same(target, tables, described):
            raise checks.ParameterError(
                f"as_of: there is another copy of {day} in {Path(folder).name}. Give the day of this one, e.g. "
                "--as-of 2026-09-30, or take the other away."
            )
        return f"{described.label}: the copy of {day} holds the same {said}; nothing is changed."
    _write(target, tables, described)
    n = len(copies.days(Path(folder)))
    return f"{described.label}: {said} kept as the copy of {day}, number {n} in {Path(folder).name}."


def _tables(mapped: dict[str, mapping.Mapped], checked: intake.Intake, file: str) -> dict[str, pd.DataFrame]:
    """The canonical tables, with what tells open from closed written out."""
    tables = {table: one.frame for table, one in mapped.items()}
    stages = checked.tables["stages"]
    deals = tables["opportunities"]
    outcome = outcomes.of_opportunities(deals, stages, checked.source, file=file)
    named = {"stages": stages} if len(stages) else {}
    return tables | named | {"opportunities": outcomes.flagged(deals.assign(outcome=outcome))}


def _day(checked: intake.Intake, as_of: date | str | None) -> date:
    latest = replay.latest_event(checked.tables, checked.source.time_zone)
    day = replay.chosen_day(as_of, latest, label=checked.source.label)
    if latest and day < latest:
        raise checks.ParameterError(f"as_of: {day} is before the latest recorded event. Give {latest} or a later day.")
    return day


def _write(target: Path, tables: dict[str, pd.DataFrame], source: Source) -> None:
    """The files of a copy, written beside their place and then moved there as one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        for table, frame in tables.items():
            pyarrow.parquet.write_table(_arrow(frame, table), draft / f"{table}.parquet")
        (draft / FILE).write_text(_described(source), encoding="utf-8")
        draft.chmod(0o755)
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _is_same(target: Path, tables: dict[str, pd.DataFrame], source: Source) -> bool:
    """Whether a copy holds the same tables and says the same of them."""
    if (target / FILE).read_text(encoding="utf-8") != _described(source):
        return False
    if {path.stem for path in target.glob("*.parquet")} != set(tables):
        return False
    return all(
        pyarrow.parquet.read_table(target / f"{table}.parquet").equals(_arrow(frame, table))
        for table, frame in tables.items()
    )


def _arrow(frame: pd.DataFrame, table: str) -> pa.Table:
    """A table whose times say that they are UTC, so that a copy also reads by itself."""
    times = [column.name for column in model.TABLES[table] if column.kind == "ts"]
    aware = {name: frame[name].dt.tz_localize("UTC") for name in times}
    return pa.Table.from_pandas(frame.assign(**aware), preserve_index=False)


def _described(source: Source) -> str:
    """What the tables do not say themselves, as a source.yaml."""
    stages = source.stages
    lists = {name: list(getattr(stages, name)) for name in ("won", "lost", "no_decision", "qualified")}
    content = {
        "time_zone": source.time_zone,
        "currency": source.currency,
        "locale": source.locale if source.locale != "en" else None,
        "fiscal": {"start_month": source.fiscal_start_month, "named_by": source.fiscal_named_by},
        "stages": {
            "order": {pipeline: list(names) for pipeline, names in stages.order.items()},
            **{name: texts for name, texts in lists.items() if texts},
        },
        "people_policy": source.people_policy.described(),
    }
    return yaml.safe_dump({key: value for key, value in content.items() if value}, allow_unicode=True)
