"""A folder of dated copies as one source: the latest copy is the company, what changed is its history."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from salesops import checks
from salesops.crm import coercion, model, replay
from salesops.crm import source as sources
from salesops.crm.source import FILE, Source

FIELDS = ("pipeline", *replay.IN_HISTORY)
DEALS = "opportunities.parquet"


class Kept(NamedTuple):
    """Canonical tables out of dated copies, unchecked, and what a reader should know."""

    tables: dict[str, pd.DataFrame]
    source: Source
    sha256: str
    notes: list[str]


def is_folder(path: Path) -> bool:
    """Whether a folder holds dated copies and no source of its own."""
    return path.is_dir() and not (path / FILE).exists() and bool(days(path))


def days(folder: Path) -> list[date]:
    """The days of which a folder holds a copy, in order."""
    if not folder.is_dir():
        return []
    return sorted(day for path in folder.iterdir() if (path / DEALS).is_file() and (day := _day(path.name)))


def read(folder: Path) -> Kept:
    """The source that a folder of dated copies is.

    Its stage_history is the one the CRM kept, where the latest copy has one, else what changed
    from copy to copy.

    Raises
    ------
    DataError
        A copy cannot be read.
    """
    dated = days(folder)
    last = folder / str(dated[-1])
    source = sources.read(last)
    tables = {path.stem: of_file(path) for path in sorted(last.glob("*.parquet")) if path.stem in model.TABLES}
    notes = []
    if "stage_history" not in tables:
        frames = ((day, of_file(folder / str(day) / DEALS)) for day in dated)
        tables["stage_history"] = history(frames, source.time_zone)
        notes.append(_fineness(dated))
    files = sorted(path for day in dated for path in (folder / str(day)).iterdir())
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    joint = hashlib.sha256("".join(hashes).encode()).hexdigest()
    return Kept(tables, replace(source, label=folder.resolve().name), joint, notes)


def of_file(path: Path) -> pd.DataFrame:
    """A canonical table from its Parquet copy."""
    try:
        frame = pyarrow.parquet.read_table(path).to_pandas()
    except (pa.ArrowException, OSError) as error:
        name = f"{path.parent.name}/{path.name}"
        raise checks.DataError(f"{name}: cannot be read as Parquet. Take the copy of that day away.") from error
    aware = {name: frame[name].dt.tz_localize(None) for name in frame.select_dtypes("datetimetz").columns}
    return model.conform(frame.assign(**aware), path.stem)


def history(copies: Iterable[tuple[date, pd.DataFrame]], zone: str = "UTC") -> pd.DataFrame:
    """What changed from copy to copy, as a stage_history.

    A deal begins with a row at its created date, or on the day of its first copy where the date
    is missing or later; each further copy in which a tracked field has another value adds a row
    on the copy's day. A deal that is closed in its first copy begins when it closed, and has no
    history at all unless it changes after: nobody saw how it stood before.

    Parameters
    ----------
    copies
        Days and opportunities, in order of the days.
    zone
        The time zone in which a day begins.

    Returns
    -------
    DataFrame
        A canonical stage_history.

    Examples
    --------
    >>> deals = model.conform(pd.DataFrame({"opportunity_id": ["d1"], "stage": ["Offer"]}), "opportunities")
    >>> later = deals.assign(stage="Won")
    >>> history([(date(2026, 1, 5), deals), (date(2026, 2, 5), deals), (date(2026, 3, 5), later)])[
    ...     ["opportunity_id", "changed_at", "seq", "stage"]
    ... ]
      opportunity_id changed_at  seq  stage
    0             d1 2026-01-05    1  Offer
    1             d1 2026-03-05    2    Won
    """
    seen, rows = None, []
    for day, deals in copies:
        now = deals.dropna(subset=["opportunity_id"]).drop_duplicates("opportunity_id", keep="last")
        now = now.set_index("opportunity_id")
        is_new = ~now.index.isin(seen.index) if seen is not None else pd.Series(True, index=now.index).to_numpy()
        rows += [_first(now[is_new], day, zone), _changed(seen, now[~is_new], _start(day, zone))]
        seen = now if seen is None else pd.concat([now, seen[~seen.index.isin(now.index)]])
    found = pd.concat(rows).rename_axis("opportunity_id").reset_index()
    is_unseen = found["was_closed"] & ~found.duplicated("opportunity_id", keep=False)
    found = found[~is_unseen].drop(columns="was_closed")
    found = found.sort_values(["opportunity_id", "changed_at"], kind="stable", ignore_index=True)
    return model.conform(found.assign(seq=found.groupby("opportunity_id").cumcount() + 1), "stage_history")


def _first(deals: pd.DataFrame, day: date, zone: str) -> pd.DataFrame:
    """The rows of deals that no earlier copy has."""
    start, end = _start(day, zone), replay.day_end(day, zone)
    was_closed = deals["outcome"].notna() & (deals["outcome"] != "open")
    closed = deals["closed_at"].fillna(coercion.to_utc(deals["close_date"], zone))
    began = deals["created_date"].mask(was_closed, closed)
    return deals[list(FIELDS)].assign(changed_at=began.where(began < end, start), was_closed=was_closed)


def _changed(seen: pd.DataFrame | None, deals: pd.DataFrame, start: pd.Timestamp) -> pd.DataFrame:
    """The rows of deals that an earlier copy has with other values."""
    after = deals[list(FIELDS)]
    before = after if seen is None else seen.loc[after.index, list(FIELDS)]
    differs = ((after != before) & ~(after.isna() & before.isna())).any(axis=1)
    return after[differs].assign(changed_at=start, was_closed=False)


def _start(day: date, zone: str) -> pd.Timestamp:
    return replay.day_end(day - timedelta(days=1), zone)


def _day(name: str) -> date | None:
    try:
        return date.fromisoformat(name) if len(name) == len("2026-09-30") else None
    except ValueError:
        return None


def _fineness(dated: list[date]) -> str:
    if len(dated) == 1:
        return f"There is one dated copy, of {dated[0]}: the history begins with it."
    return (
        f"History is told from {len(dated)} dated copies, {dated[0]} to {dated[-1]}, and is as fine as they are "
        "frequent: a change shows on the day of the next copy, and before "
        f"{dated[0]} a deal stands as that copy has it."
    )
