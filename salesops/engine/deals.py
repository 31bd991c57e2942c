"""Which deals each figure is made of: a table for programs and a page of lists for people."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from salesops import words
from salesops.engine import pages
from salesops.report.deal_lists import Lists

MOST, ALL_ROWS = 200, 3000  # of one list, and of the page: it is opened on a phone
PIECE = 1 << 20  # rows


def write_table(deals: Lists, path: Path) -> None:
    """A Parquet file of ``figure`` and ``opportunity_id``; it is written piece by piece, as it may be long."""
    schema = pa.Schema.from_pandas(pd.DataFrame(columns=["figure", "opportunity_id"], dtype="str"))
    with pyarrow.parquet.ParquetWriter(path, schema) as file:
        for some in _pieces(deals):
            figures = [pa.repeat(pa.scalar(key, pa.large_string()), len(ids)) for key, ids in some]
            columns = [pa.chunked_array(figures, pa.large_string())]
            columns.append(pa.chunked_array([ids for _, ids in some], pa.large_string()))
            file.write_table(pa.table(columns, schema=schema))


def page(deals: Lists, titles: dict[str, str], company: Any, *, report: str, title: str, run_id: str) -> str:
    """The lists of a report's figures, largest deals first, at most two hundred a figure and fewer where many have one.

    Parameters
    ----------
    deals
        Ids by figure key; a list's address on the page is its key.
    titles
        What each figure is, in words.
    company
        Where names, owners and addresses of the deals come from.
    report, title, run_id
        Of the report these belong to.
    """
    most = max(min(MOST, ALL_ROWS // max(len(deals), 1)), 10)
    known = _by_amount(company)
    chosen = _largest(known["opportunity_id"], deals, most)
    rows = _rows(known.iloc[sorted({place for places in chosen.values() for place in places})], company)
    lists = [
        {"key": key, "title": titles.get(key, key), "total": len(ids), "rows": [rows[at] for at in chosen[key]]}
        for key, ids in sorted(deals.items())
    ]
    facts = {"report": report, "run_id": run_id, "currency": company.currency, "most": most}
    return pages.render("deals", f"Deals behind {title}", lists=lists, **facts)


def frame(company: Any, ids: Iterable[str], most: int) -> pd.DataFrame:
    """The deals of some ids as on the page of lists, largest first, amounts as numbers; at most so many."""
    known = _by_amount(company)
    found = _owned(known[known["opportunity_id"].isin(set(ids))].head(most), company)
    return found[["opportunity_id", "name", "owner", "stage", "amount", "close_date"]].assign(
        record=found["record_url"].map(_web_address)
    )


def _pieces(deals: Lists) -> Iterator[list[tuple[str, pa.LargeStringArray]]]:
    """The lists, some at a time; a piece is a row group of the file."""
    some, n = [], 0
    for key, ids in deals.items():
        some.append((key, ids))
        n += len(ids)
        if n >= PIECE:
            yield some
            some, n = [], 0
    if some:
        yield some


def _by_amount(company: Any) -> pd.DataFrame:
    """Each deal's row, largest first; of equal ones in the order of their ids.

    Amounts are those of the population, whose measure may be recurring revenue.
    """
    columns = ["opportunity_id", "name", "owner_id", "stage", "amount", "close_date", "record_url"]
    deals = company.all_opportunities[columns].drop_duplicates("opportunity_id").dropna(subset=["opportunity_id"])
    measured = company.opportunities
    place = _places(deals["opportunity_id"], measured["opportunity_id"])
    amounts = np.append(measured["amount"].to_numpy(dtype=float), np.nan)[place]
    deals = deals.assign(amount=np.where(np.isnan(amounts), deals["amount"].to_numpy(dtype=float), amounts))
    deals = deals.sort_values("opportunity_id")
    return deals.sort_values("amount", ascending=False, kind="stable", ignore_index=True)


def _places(ids: pd.Series | pa.ChunkedArray, among: pd.Series) -> np.ndarray:
    """The row among others that has each id, first of several, -1 where none has."""
    wanted = ids if isinstance(ids, pa.ChunkedArray) else pa.chunked_array(pa.array(ids, pa.large_string()))
    found = pc.index_in(wanted, value_set=pa.array(among, pa.large_string()))
    return found.fill_null(-1).to_numpy()


def _largest(ordered: pd.Series, deals: Lists, most: int) -> dict[str, list[int]]:
    """The first rows of each list; lists that several figures share are looked up once."""
    shared = {id(ids): ids for ids in deals.values()}
    places = _places(pa.chunked_array(list(shared.values()), pa.large_string()), ordered)
    ends = np.cumsum([len(ids) for ids in shared.values()], dtype=int)
    parts = dict(zip(shared, np.split(places, ends[:-1]), strict=True)) if shared else {}
    first = {name: np.unique(part[part >= 0])[:most].tolist() for name, part in parts.items()}
    return {key: first[id(ids)] for key, ids in deals.items()}


def _rows(deals: pd.DataFrame, company: Any) -> dict[int, dict[str, Any]]:
    return {
        place: {
            "id": row["opportunity_id"],
            "name": _text(row["name"]) or row["opportunity_id"],
            "owner": _text(row["owner"]) or words.MISSING,
            "stage": _text(row["stage"]) or words.MISSING,
            "amount": words.amount(row["amount"]),
            "close_date": f"{row['close_date']:%Y-%m-%d}" if pd.notna(row["close_date"]) else words.MISSING,
            "url": _web_address(row["record_url"]),
        }
        for place, row in _owned(deals, company).iterrows()
    }


def _owned(deals: pd.DataFrame, company: Any) -> pd.DataFrame:
    owners = company.reps.drop_duplicates("owner_id").set_index("owner_id")["name"]
    return deals.assign(owner=deals["owner_id"].map(owners).astype("str").fillna(deals["owner_id"]))


def _text(value: Any) -> str:
    return "" if pd.isna(value) else str(value)


def _web_address(value: Any) -> str:
    """An address only where a browser opens it as a page: data may hold ``javascript:``."""
    return _text(value) if _text(value).lower().startswith(("https://", "http://")) else ""
