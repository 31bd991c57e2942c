"""What the pipeline waterfall says: how much came and left, what stands apart, and what history cannot tell."""

from datetime import date

import pandas as pd

from salesops import words
from salesops.periods import Period
from salesops.waterfall import END, LEFT, START, untold

_LOWERS = [*LEFT, "decreased"]
_ENDS = ["won", "lost"]
_WAYS_OUT = [way for way in _LOWERS if way not in _ENDS]
_UNPRICED = "deals without an amount"
_SAID = {"decreased": "taken off amounts", "undated": "left without a close date"}


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
    cell = flows["cell"].isin(_LOWERS).map({True: "left", False: "added"})
    dates = [name for name in ("period", "period_start", "period_end") if name in table]
    sums = flows.assign(cell=cell).groupby(["cell", *dates], as_index=False, dropna=False)
    return sums[["n", "pipeline_waterfall_amount"]].sum()


def waterfall_sentence(
    table: pd.DataFrame, *, window: Period, start: date, end: date, currency: str = "", brief: bool = False
) -> str:
    """What became of the pipeline due in a period: won, lost or gone some other way, and what is left.

    Parameters
    ----------
    table
        Of `pipeline_waterfall`, not split.
    brief
        What was won and lost alone, as the title of a chart.

    Examples
    --------
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> days = {"window": q3, "start": date(2026, 6, 30), "end": date(2026, 7, 31), "currency": "USD"}
    >>> row = lambda cell, n, amount: {"cell": cell, "n": n, "pipeline_waterfall_amount": amount}
    >>> table = pd.DataFrame([row("start", 2, 150e3), row("created", 1, 5e4), row("increased", 1, 1e4),
    ...     row("won", 1, -8e4), row("end", 2, 13e4)])
    >>> print(waterfall_sentence(table, **days))
    Of the pipeline due in 2026Q3, $80K was won and nothing lost: $150K (2 deals) was due on 30 June 2026 and $60K \
came since; $130K (2 deals) was left on 31 July 2026.
    >>> waterfall_sentence(table, **days, brief=True)
    'Of the pipeline due in 2026Q3, $80K was won and nothing lost'
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
    stood = f"{_money(before, currency)} ({_deals(before['n'])})"
    if flows.empty:
        nothing = "no deal is recorded to have come, left or changed its amount"
        return f"The pipeline due {window.when} stayed at {stood} from {first} to {last}: {nothing}."
    ends = f"Of the pipeline due {window.when}, {_gone(flows, currency)}"
    if brief:
        return ends
    left = f"{_money(after, currency)} ({_deals(after['n'])})" if after["n"] else "nothing"
    left = f"{left} was left on {last}"
    other = _elsewhere(flows, currency)
    return f"{ends}: {stood} was due on {first}{_since(flows, currency)}; {other}{' and ' if other else ''}{left}."


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


def _since(flows: pd.DataFrame, currency: str) -> str:
    """What came on top of what was due at the start."""
    came = flows[~flows.index.isin(_LOWERS)]
    if came.empty:
        return ""
    total = came["pipeline_waterfall_amount"].sum()
    return f" and {words.amount(total, currency, compact=True) if total else _UNPRICED} came since"


def _gone(flows: pd.DataFrame, currency: str) -> str:
    """What was won, and what lost."""
    won, lost = (_left(flows, way, currency) for way in _ENDS)
    return f"{won} {'were' if won == _UNPRICED else 'was'} won and {lost} lost"


def _elsewhere(flows: pd.DataFrame, currency: str) -> str:
    """How it left other than by being won or lost."""
    said = [(_left(flows, way, currency), _SAID.get(way, way)) for way in _WAYS_OUT if way in flows.index]
    if not said:
        return ""
    (first, how), *rest = said
    verb = "were" if first == _UNPRICED else "was"
    return ", ".join([f"{first} {verb} {how}", *(f"{money} {way}" for money, way in rest)])


def _left(flows: pd.DataFrame, way: str, currency: str) -> str:
    if way not in flows.index:
        return "nothing"
    lost = -flows.loc[way, "pipeline_waterfall_amount"]
    return words.amount(lost, currency, compact=True) if lost else _UNPRICED
