"""Counting where the rows are: Parquet or CSV files by embedded DuckDB, a table of a warehouse by Ibis.

Rows are never brought over, only their cells. A file is read as a stream on a few threads in bounded memory.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from salesops import cells, checks, stage_counts, stage_moves
from salesops.periods import Period
from salesops.stats import codes

if TYPE_CHECKING:
    import ibis

MEMORY = "300MB"  # for the tables of a count; what does not fit goes to a temporary folder
_PART, _SAMPLED = 500_000, 1_000  # rows of a history read at once, and one of how many tells where they part
_LIMITS = "/* the deals of a part */"
_HISTORY = ["opportunity_id", "changed_at", "seq", "pipeline", "stage"]
_DEALS = ["opportunity_id", "pipeline", "is_closed", "is_won", "close_date", "closed_at"]
_READERS = {".parquet": "read_parquet", ".csv": "read_csv"}


def count(rows: "pd.DataFrame | str | Path | ibis.Table", counted: cells.Counted, *, threads: int = 2) -> pd.DataFrame:
    """The cells of rows, made by whoever holds them.

    Parameters
    ----------
    rows
        A frame; a Parquet or CSV file with the canonical columns (several by ``*``); or a table of Ibis,
        whose database then counts (PostgreSQL, Spark, DuckDB).
    counted
        What is counted.
    threads
        Of the embedded engine.

    Returns
    -------
    DataFrame
        As of `cells.count`, the same from all of them; sums to the last digits.

    Examples
    --------
    >>> import tempfile
    >>> deals = pd.DataFrame({"segment": ["SMB", None, "SMB"], "amount": [5.0, 2.0, 1.0]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     deals.to_parquet(f"{folder}/deals.parquet")
    ...     count(f"{folder}/deals.parquet", cells.Counted({"segment": "segment"}, {"amount": "amount"}))
      segment  n  amount
    0     SMB  2     6.0
    1     NaN  1     2.0
    """
    if isinstance(rows, pd.DataFrame):
        return cells.count(rows, counted)
    if not isinstance(rows, (str, Path)):
        return _by_ibis(rows, counted)
    with connected(threads=threads) as connection:
        table, found = scanned(connection, rows, cells.columns(counted))
        query = cells.query(counted, table, has_n="n" in found)
        return cells.tidy(_frame(connection.sql(query).to_arrow_table()), counted)


def stage_cells(
    opportunities: "pd.DataFrame | str | Path",
    stage_history: "pd.DataFrame | str | Path",
    *,
    stages: pd.DataFrame,
    as_of: date,
    periods: Sequence[Period],
    by: str | None = None,
    threads: int = 2,
) -> stage_counts.StageCells:
    """Stays in stages and first entries as cells, some deals after the other, so that a long history fits.

    Files are read range by range of ``opportunity_id``: fast where they are sorted by it, since a range is then a
    part of the file; elsewhere each range reads through all of it.

    Parameters
    ----------
    opportunities, stage_history
        Frames, or Parquet or CSV files, with the columns `journey.stage_visits` takes and `by`; where there is
        ``created_date``, late entries are told.
    stages, as_of
        As for `journey.stage_visits`.
    periods
        The periods of entry that will be asked for.
    by
        Column to group on later.
    threads
        Of the embedded engine.

    Returns
    -------
    StageCells
        ``stays`` for `stage_times.stage_duration`, ``entries`` for `funnel.stage_conversion`.

    Examples
    --------
    >>> stages = pd.DataFrame({
    ...     "pipeline": "new", "stage": ["Qualify", "Won"], "valid_from": pd.NaT, "position": [1, 2],
    ...     "is_closed": [False, True], "is_won": [False, True]})
    >>> day = pd.to_datetime
    >>> deals = pd.DataFrame({"opportunity_id": ["A", "B"], "pipeline": "new", "is_closed": True, "is_won": True,
    ...     "close_date": day("2026-07-05"), "closed_at": day("2026-07-05")})
    >>> history = pd.DataFrame({"opportunity_id": ["A", "B"], "changed_at": day("2026-07-01"), "seq": 1,
    ...     "pipeline": "new", "stage": "Qualify"})
    >>> july = Period("2026-07", date(2026, 7, 1), date(2026, 7, 31))
    >>> found = stage_cells(deals, history, stages=stages, as_of=july.end, periods=[july])
    >>> found.stays[["stage", "exit", "days", "n"]]
         stage exit  days  n
    0  Qualify  won   4.0  2
    """
    end = pd.Timestamp(as_of) + pd.Timedelta(days=1)
    counting = {"stages": stages, "end": end, "periods": periods}
    if isinstance(opportunities, pd.DataFrame):
        number, groups = pd.factorize(opportunities[by], use_na_sentinel=False) if _is_own(by) else (None, pd.Series())
        moves = stage_counts.numbers(stage_history, opportunities, stages=stages, end=end, group=number)
        found = stage_counts.counted(moves, begins=stage_history["changed_at"].min(), **counting)
        return stage_counts.named(found, stages=stages, periods=periods, by=by, groups=cells.typed(pd.Series(groups)))
    with connected(threads=threads, in_order=True) as connection:
        wanted = {*_DEALS, *([by] if _is_own(by) else [])}
        deals, names = scanned(connection, opportunities, wanted)
        history, _ = scanned(connection, stage_history, set(_HISTORY))
        begins = pd.Timestamp(connection.execute(f"SELECT min(changed_at) FROM {history}").fetchall()[0][0])
        query = _moves_in_sql(deals, history, stage_moves.stage_map(stages), end, "created_date" in names, by)
        groups = _Groups(
            {}, connection.sql(query.replace(_LIMITS, "false")).to_arrow_table().schema.field("of_group").type
        )
        found = [
            stage_counts.counted(_numbers(part, groups), begins=begins, **counting)
            for part in _parts(connection, query, history)
        ]
    whole = {name: pd.concat([each[name] for each in found], ignore_index=True) for name in found[0]}
    return stage_counts.named(whole, stages=stages, periods=periods, by=by, groups=groups.names())


@contextmanager
def connected(*, threads: int = 2, memory: str = MEMORY, in_order: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """An embedded engine in bounded memory; moments with a time zone are those of UTC, as everywhere."""
    settings = {"threads": threads, "memory_limit": memory, "preserve_insertion_order": in_order}
    with duckdb.connect(config=settings) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def scanned(connection: duckdb.DuckDBPyConnection, path: str | Path, needed: set[str]) -> tuple[str, list[str]]:
    """A file as a table of DuckDB's SQL, and its columns.

    Raises
    ------
    ParameterError
        Neither Parquet nor CSV.
    DataError
        A column is missing.
    """
    path = Path(path)
    if path.suffix.lower() not in _READERS:
        raise checks.ParameterError(
            f"{path.name}: can be counted in a .parquet or a .csv file only. Write it as one of them."
        )
    escaped = str(path).replace("'", "''")
    table = f"{_READERS[path.suffix.lower()]}('{escaped}')"
    kinds = {name: kind for name, kind, *_ in connection.execute(f"DESCRIBE SELECT * FROM {table}").fetchall()}
    checks.require_columns(pd.DataFrame(columns=list(kinds)), sorted(needed), where=path.name)
    zoned = [cells.name_in_sql(name) for name, kind in kinds.items() if kind == "TIMESTAMP WITH TIME ZONE"]
    plain = ", ".join(f"CAST({name} AS TIMESTAMP) AS {name}" for name in zoned)
    return (f"(SELECT * REPLACE ({plain}) FROM {table})" if zoned else table), list(kinds)


class _Groups(NamedTuple):
    """The number of each group met so far."""

    known: dict
    kind: pa.DataType

    def names(self) -> pd.Series:
        return cells.typed(_frame(pa.table({"name": pa.array(list(self.known), type=self.kind)}))["name"])

    def numbered(self, column: pa.ChunkedArray) -> np.ndarray:
        coded = column.combine_chunks().dictionary_encode(null_encoding="encode")
        names = coded.dictionary.to_pylist()
        numbers = np.array([self.known.setdefault(name, len(self.known)) for name in names], dtype=np.int64)
        return numbers[coded.indices.to_numpy()] if len(names) else np.zeros(0, dtype=np.int64)


def _is_own(by: str | None) -> bool:
    """Whether a group is a matter of the deal, not of the stage."""
    return by not in (None, "pipeline", "stage")


def _moves_in_sql(
    deals: str, history: str, places: pd.DataFrame, end: pd.Timestamp, has_created: bool, by: str | None
) -> str:
    """Changes of a part of the history with their stage's place and what is known of their deal."""
    stages = enumerate(zip(places["pipeline"], places["stage"], strict=True))
    rows = ", ".join(f"({place}, {_text(line)}, {_text(stage)})" for place, (line, stage) in stages)
    is_one = places["pipeline"].nunique(dropna=False) == 1
    line = "" if is_one else " AND p.pipeline IS NOT DISTINCT FROM coalesce(h.pipeline, o.pipeline)"
    moments = {"entered_at": "h.changed_at", "ended_at": "coalesce(o.closed_at, o.close_date)",
               "created_at": "o.created_date" if has_created else "CAST(NULL AS TIMESTAMP)"}  # fmt: skip
    ticks = ", ".join(
        f"coalesce(epoch_us(CAST({moment} AS TIMESTAMP)), {stage_moves.NEVER + 1} - 1) AS {name}"
        for name, moment in moments.items()
    )
    group = f"o.{cells.name_in_sql(by)}" if _is_own(by) else "NULL"
    return (
        f"SELECT o.deal, p.place, h.seq, CAST(o.is_closed AS TINYINT) AS is_closed, "
        f"CAST(o.is_won AS TINYINT) AS is_won, {ticks}, {group} AS of_group "
        f"FROM (SELECT * FROM {history} WHERE {_LIMITS}) h "
        f"JOIN (SELECT *, row_number() OVER () AS deal FROM {deals} WHERE {_LIMITS}) o USING (opportunity_id) "
        f"JOIN (VALUES {rows}) p(place, pipeline, stage) ON p.stage = h.stage{line} "
        f"WHERE h.changed_at < TIMESTAMP '{end}'"
    )


def _parts(connection: duckdb.DuckDBPyConnection, query: str, history: str) -> Iterator[pa.Table]:
    """The moves range by range of the deals' ids; the next are read while some are counted."""
    sampled = f"SELECT opportunity_id FROM {history} WHERE hash(opportunity_id) % {_SAMPLED} = 0 ORDER BY 1"
    bounds = [each for (each,) in connection.execute(sampled).fetchall()][:: _PART // _SAMPLED][1:]
    with ThreadPoolExecutor(1) as reader:
        following = None
        for low, high in pairwise([None, *bounds, None]):
            now, following = following, reader.submit(_part, connection.cursor(), query, low, high)
            if now:
                yield now.result()
        yield following.result()


def _part(connection: duckdb.DuckDBPyConnection, query: str, low: str | None, high: str | None) -> pa.Table:
    limits = {"low": ("opportunity_id >= $low", low), "high": ("opportunity_id < $high", high)}
    given = {name: (rule, bound) for name, (rule, bound) in limits.items() if bound is not None}
    query = query.replace(_LIMITS, " AND ".join(rule for rule, _ in given.values()) or "true")
    return connection.sql(query, params={name: bound for name, (_, bound) in given.items()}).to_arrow_table()


def _numbers(part: pa.Table, groups: _Groups) -> stage_counts.Numbers:
    """The moves of a part, in order; a change that leaves the stage as it was is none."""
    found = {name: part[name].to_numpy() for name in part.column_names if name != "of_group"}
    found["group"] = groups.numbered(part["of_group"])
    order = codes.order(found["deal"], found["entered_at"], found["seq"])
    if order is not None:
        found = {name: each[order] for name, each in found.items()}
    is_move = stage_moves.is_move(found["deal"], found["place"])
    del found["seq"]
    found = found if is_move.all() else {name: each[is_move] for name, each in found.items()}
    flags = {name: found[name].astype(bool) for name in ("is_closed", "is_won")}
    return stage_counts.Numbers(**(found | flags))


def _text(of: str | None) -> str:
    return "NULL" if pd.isna(of) else "'" + of.replace("'", "''") + "'"


def _by_ibis(table: "ibis.Table", counted: cells.Counted) -> pd.DataFrame:
    """The same statement as an expression of Ibis, which says it in the dialect of the table's database."""
    checks.require_columns(pd.DataFrame(columns=list(table.columns)), sorted(cells.columns(counted)), where="the table")
    kept = table if counted.where is None else table.filter(_expression(counted.where, table))
    made = kept.select(
        n=kept["n"].cast("int64") if "n" in kept.columns else _constant(1),
        **{name: _expression(term, kept) for name, term in counted.keys.items()},
        **{name: _expression(term, kept).cast("decimal(28, 6)") for name, term in counted.sums.items()},
    )
    sums = {name: made[name].sum().cast("float64") for name in counted.sums}
    return cells.tidy(_frame(made.aggregate(by=list(counted.keys), n=made["n"].sum(), **sums).to_pyarrow()), counted)


def _expression(term: cells.Term | str, table: "ibis.Table") -> "ibis.Value":
    import ibis

    does, parts = cells.as_term(term)
    of = [_expression(part, table) if isinstance(part, cells.Term) else part for part in parts]
    match does:
        case "column":
            return table[parts[0]]
        case "stated":
            return ibis.literal(parts[0]) if isinstance(parts[0], str) else _moment(parts[0])
        case "day" | "month":
            return of[0].cast("timestamp").truncate("D" if does == "day" else "M")
        case "within":
            moment = of[0].cast("timestamp")
            inside = [(moment >= _moment(each.start)) & (moment < _moment(each.end, 1)) for each in parts[1]]
            starts = [_moment(each.start) for each in parts[1]]
            return ibis.cases(*zip(inside, starts, strict=True), else_=ibis.null("timestamp"))
        case "first":
            return ibis.coalesce(*of)
        case "when":
            return ibis.ifelse(of[0], of[1], ibis.null(of[1].type()) if of[2] is None else of[2])
        case "known":
            return of[0].notnull()
        case "at_most":
            return of[0] <= of[1]
        case "both":
            return of[0] & of[1]
        case _:
            return of[1].cast("date").delta(of[0].cast("date"), unit="day")


def _frame(table: pa.Table) -> pd.DataFrame:
    """A frame that keeps what kind of value a column has where all are missing."""
    days = {field.name: pa.timestamp("us") for field in table.schema if pa.types.is_date(field.type)}
    table = table.cast(pa.schema([(field.name, days.get(field.name, field.type)) for field in table.schema]))
    text = pd.StringDtype(na_value=np.nan)
    kinds = {pa.bool_(): pd.BooleanDtype(), pa.string(): text, pa.large_string(): text}
    return table.to_pandas(types_mapper=kinds.get)


def _constant(of: int) -> "ibis.Value":
    import ibis

    return ibis.literal(of, type="int64")


def _moment(of: date, days: int = 0) -> "ibis.Value":
    import ibis

    return ibis.literal(pd.Timestamp(of) + pd.Timedelta(days=days), type="timestamp")
