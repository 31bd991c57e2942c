"""What the pipeline waterfall says: how much came and left, what stands apart, and what history cannot tell."""

from datetime import date

import pandas as pd

from salesops import words
from salesops.periods import Period
from salesops.waterfall import END, LEFT, START, untold


def totals(table: pd.DataFrame) -> pd.DataFrame:
    """What came to the pipeline and what left it, in all: two rows of the waterfall, ``added`` and ``left``.

    Parameters
    ----------
    table
        Of `pipeline_waterfall`, not split.

    Examples
    --------
    >>> row = lambda cell, n, amount: {"cell": cell, "n": n, "pipeline_waterfall_amount": amount}
    >>> rows = [row("start", 2, 150e3), row("created", 1, 5e4), row("increased", 1, 1e4), row("won", 1, -8e4)]
    >>> totals(pd.DataFrame(rows))[["cell", "n", "pipeline_waterfall_amount"]]
        cell  n  pipeline_waterfall_amount
    0  added  2                    60000.0
    1   left  1                   -80000.0
    """
    flows = table[~table["cell"].isin([START, END])]
    cell = flows["cell"].isin([*LEFT, "decreased"]).map({True: "left", False: "added"})
    dates = [name for name in ("period", "period_start", "period_end") if name in table]
    sums = flows.assign(cell=cell).groupby(["cell", *dates], as_index=False, dropna=False)
    return sums[["n", "pipeline_waterfall_amount"]].sum()


def waterfall_sentence(table: pd.DataFrame, *, window: Period, start: date, end: date, currency: str = "") -> str:
    """What became of the pipeline due in a period: how much came, how much left, and by which way most.

    Parameters
    ----------
    table
        Of `pipeline_waterfall`, not split.

    Examples
    --------
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> days = {"window": q3, "start": date(2026, 6, 30), "end": date(2026, 7, 31), "currency": "USD"}
    >>> row = lambda cell, n, amount: {"cell": cell, "n": n, "pipeline_waterfall_amount": amount}
    >>> table = pd.DataFrame([row("start", 2, 150e3), row("created", 1, 5e4), row("increased", 1, 1e4),
    ...     row("won", 1, -8e4), row("end", 2, 13e4)])
    >>> print(waterfall_sentence(table, **days))
    The pipeline due in 2026Q3 went from $150K (2 deals) on 30 June 2026 to $130K (2 deals) on 31 July 2026: $60K was \
added, most of it created ($50K), and $80K left it, all of it won.
    >>> print(waterfall_sentence(table.iloc[:1], **days))
    The pipeline due in 2026Q3 stayed at $150K (2 deals) from 30 June 2026 to 31 July 2026: no deal is recorded to \
have come, left or changed its amount.
    >>> waterfall_sentence(table.iloc[:0], **days)
    'No deal was due in 2026Q3 on 30 June 2026, and none came by 31 July 2026.'
    """
    rows = table.set_index("cell")
    before, after = (_row(rows, cell) for cell in (START, END))
    flows = rows.drop(index=[START, END], errors="ignore").query("n > 0")
    first, last = words.day(start), words.day(end)
    if before["n"] == 0 and flows.empty:
        return f"No deal was due {window.when} on {first}, and none came by {last}."
    due = f"The pipeline due {window.when}"
    stood = f"{_money(before, currency)} ({_deals(before['n'])})"
    if flows.empty:
        nothing = "no deal is recorded to have come, left or changed its amount"
        return f"{due} stayed at {stood} from {first} to {last}: {nothing}."
    went = f"went from {stood} on {first} to {_money(after, currency)} ({_deals(after['n'])}) on {last}"
    lowers = flows.index.isin([*LEFT, "decreased"])
    said = f"{_flow(flows[~lowers], 'was added', currency)}, and {_flow(flows[lowers], 'left it', currency)}"
    return f"{due} {went}: {said}."


def untold_sentence(stage_history: pd.DataFrame) -> str:
    """What the waterfall cannot say, for want of history; nothing where it can say all.

    Examples
    --------
    >>> untold_sentence(pd.DataFrame({"amount": [], "close_date": []}))[:70]
    'There is no history of close dates and amounts, so the waterfall takes'
    >>> untold_sentence(pd.DataFrame({"amount": [1.0], "close_date": pd.to_datetime(["2026-07-01"])}))
    ''
    """
    hidden = untold(stage_history)
    what = [name for name, cell in (("close dates", "pushed out"), ("amounts", "increased")) if cell in hidden]
    if not what:
        return ""
    moves = {"pushed out": "pulled in or pushed out", "increased": "increased or decreased"}
    unknown = ", ".join(name for cell, name in moves.items() if cell in hidden)
    return (
        f"There is no history of {' and '.join(what)}, so the waterfall takes them as they are now: "
        f"what was {unknown} is not known."
    )


def exceptions_sentence(listed: pd.DataFrame) -> str:
    """How many deals of the waterfall need a word, and which.

    Examples
    --------
    >>> exceptions_sentence(pd.DataFrame({"exception": ["no amount", "no amount", "re-opened"],
    ...     "opportunity_id": ["A", "B", "A"]}))
    'Listed as exceptions: no amount (2 deals), re-opened (1 deal).'
    >>> exceptions_sentence(pd.DataFrame({"exception": [], "opportunity_id": []}))
    'No deal of the waterfall is an exception.'
    """
    if listed.empty:
        return "No deal of the waterfall is an exception."
    counts = listed.groupby("exception", sort=False)["opportunity_id"].nunique()
    return f"Listed as exceptions: {', '.join(f'{name} ({_deals(n)})' for name, n in counts.items())}."


def _row(rows: pd.DataFrame, cell: str) -> dict[str, float]:
    return rows.loc[cell].to_dict() if cell in rows.index else {"n": 0, "pipeline_waterfall_amount": 0.0}


def _money(row: dict[str, float], currency: str) -> str:
    return words.amount(row["pipeline_waterfall_amount"], currency, compact=True)


def _deals(n: float) -> str:
    return f"{words.count(n)} {'deal' if n == 1 else 'deals'}"


def _flow(flows: pd.DataFrame, verb: str, currency: str) -> str:
    """The money of one direction, and the cell with most of it."""
    sizes = flows["pipeline_waterfall_amount"].abs().sort_values(ascending=False, kind="stable")
    total = sizes.sum()
    if total == 0:
        return f"nothing {verb}" if flows.empty else f"deals without an amount {verb.replace('was', 'were')}"
    said = f"{words.amount(total, currency, compact=True)} {verb}"
    if len(sizes) == 1 or sizes.iloc[0] == total:
        return f"{said}, all of it {sizes.index[0]}"
    if sizes.iloc[0] == sizes.iloc[1]:
        return said
    part = "most of it" if sizes.iloc[0] > total / 2 else "the largest part"
    return f"{said}, {part} {sizes.index[0]} ({words.amount(sizes.iloc[0], currency, compact=True)})"
