"""Which deals each figure is made of: a table for programs and a page of lists for people."""

from pathlib import Path
from typing import Any

import pandas as pd

from salesops import words
from salesops.engine import pages

MOST, ALL_ROWS = 200, 3000  # of one list, and of the page: it is opened on a phone


def write_table(deals: dict[str, list[str]], path: Path) -> None:
    """A Parquet file of ``figure`` and ``opportunity_id``."""
    rows = [(figure, deal) for figure, ids in deals.items() for deal in ids]
    pd.DataFrame(rows, columns=["figure", "opportunity_id"], dtype="str").to_parquet(path, index=False)


def page(
    deals: dict[str, list[str]], titles: dict[str, str], company: Any, *, report: str, title: str, run_id: str
) -> str:
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
    known = _known(company, {deal for ids in deals.values() for deal in ids})
    lists = [
        {"key": key, "title": titles.get(key, key), "total": len(ids), "rows": _rows(known, ids, most)}
        for key, ids in sorted(deals.items())
    ]
    facts = {"report": report, "run_id": run_id, "currency": company.currency, "most": most}
    return pages.render("deals", f"Deals behind {title}", lists=lists, **facts)


def _known(company: Any, wanted: set[str]) -> pd.DataFrame:
    deals = company.all_opportunities
    deals = deals[deals["opportunity_id"].isin(wanted)].drop_duplicates("opportunity_id").set_index("opportunity_id")
    owners = company.reps.drop_duplicates("owner_id").set_index("owner_id")["name"]
    # Amounts are those of the population, whose measure may be recurring revenue.
    measured = company.opportunities.drop_duplicates("opportunity_id").set_index("opportunity_id")["amount"]
    return deals.assign(
        owner=deals["owner_id"].map(owners).astype("str").fillna(deals["owner_id"]),
        amount=measured.reindex(deals.index).fillna(deals["amount"]),
    )


def _rows(known: pd.DataFrame, ids: list[str], most: int) -> list[dict[str, Any]]:
    chosen = known.loc[known.index.isin(ids)].sort_index().sort_values("amount", ascending=False, kind="stable")
    return [
        {
            "id": deal,
            "name": _text(row["name"]) or deal,
            "owner": _text(row["owner"]) or words.MISSING,
            "stage": _text(row["stage"]) or words.MISSING,
            "amount": words.amount(row["amount"]),
            "close_date": f"{row['close_date']:%Y-%m-%d}" if pd.notna(row["close_date"]) else words.MISSING,
            "url": _web_address(row["record_url"]),
        }
        for deal, row in chosen.head(most).iterrows()
    ]


def _text(value: Any) -> str:
    return "" if pd.isna(value) else str(value)


def _web_address(value: Any) -> str:
    """An address only where a browser opens it as a page: data may hold ``javascript:``."""
    return _text(value) if _text(value).lower().startswith(("https://", "http://")) else ""
