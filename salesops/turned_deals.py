"""Turned deals: which open deals were pushed, went back in stage or went quiet since an evening before."""

from datetime import date, timedelta

import numpy as np
import pandas as pd

from salesops import checks, words
from salesops.forecast_cases import Case

QUIET_DAYS = 14  # without a sign of life
TURNS = ("pushed", "stage back", "gone quiet")

_SHOWN = 3  # deals in a sentence


def turned_deals(
    case: Case, before: Case, *, activities: pd.DataFrame | None = None, quiet_days: int = QUIET_DAYS
) -> pd.DataFrame:
    """The open deals that turned since an evening before: pushed, back in stage, or gone quiet.

    *Pushed*: the close date lies later. *Stage back*: an earlier stage of the same pipeline. *Gone quiet*: no activity
    of people for `quiet_days`, and not so on the evening before; a deal that never had one is not told of.

    Known bias: what is done and not logged is not seen; only the two evenings are compared.

    Parameters
    ----------
    case, before
        Of `forecast_cases.case_of`: the evening, and one before, usually by a week. Both of the same quarter.
    activities
        ``opportunity_id, occurred_at`` and, where known, ``is_automated``, ``is_held``.
    quiet_days
        Days without a sign of life that make a deal quiet.

    Returns
    -------
    DataFrame
        One row per deal and turn, deals due in the quarter first, the largest first: ``opportunity_id, owner_id,
        turn, stage_before, stage, close_date_before, close_date, is_due`` (in the quarter on the evening before, or
        now), ``quiet_days``, ``n`` (1), ``turned_amount``.

    Raises
    ------
    ParameterError
        `before` is not before, or of another quarter.

    Metrics
    -------
    turned_amount : amount, changed_at, none, -, amount close_date
        Open amount of the deal that turned, as known on the evening.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> q3, day = SimpleNamespace(label="2026Q3"), pd.to_datetime
    >>> open_deals = pd.DataFrame({"opportunity_id": ["A", "B"], "owner_id": "r1", "pipeline": "new", "stage": "Offer",
    ...     "position": 2.0, "close_date": day("2026-09-30"), "is_due": True, "amount": [100.0, 50.0]})
    >>> before = SimpleNamespace(period=q3, cutoff=date(2026, 7, 21), now=open_deals)
    >>> moved = open_deals.assign(close_date=day(["2026-10-31", "2026-09-30"]), is_due=[False, True])
    >>> spoke = pd.DataFrame({"opportunity_id": ["B"], "occurred_at": day(["2026-07-10"])})
    >>> found = turned_deals(SimpleNamespace(period=q3, cutoff=date(2026, 7, 28), now=moved), before, activities=spoke)
    >>> found[["opportunity_id", "turn", "quiet_days"]]
      opportunity_id        turn  quiet_days
    0              A      pushed         NaN
    1              B  gone quiet        18.0
    """
    if before.cutoff >= case.cutoff or before.period.label != case.period.label:
        raise checks.ParameterError(
            f"before: {before.period.label} on {before.cutoff} is no earlier evening of {case.period.label} than "
            f"{case.cutoff}. Give a case of the same quarter, cut off a week before."
        )
    keep = ["opportunity_id", "pipeline", "stage", "position", "close_date", "is_due"]
    both = case.now.merge(before.now[keep], on="opportunity_id", suffixes=("", "_before"))
    silent, was_silent = (_silence(both["opportunity_id"], activities, each.cutoff) for each in (case, before))
    same = both["pipeline"].eq(both["pipeline_before"]) | (both["pipeline"].isna() & both["pipeline_before"].isna())
    turns = {
        "pushed": both["close_date"] > both["close_date_before"],
        "stage back": same & (both["position"] < both["position_before"]),
        "gone quiet": (silent >= quiet_days) & (was_silent < quiet_days),
    }
    is_due = both["is_due"] | both["is_due_before"]
    both = both.assign(quiet_days=silent, n=1, turned_amount=both["amount"], is_due=is_due)
    rows = pd.concat([both[is_so.to_numpy()].assign(turn=turn) for turn, is_so in turns.items()], ignore_index=True)
    rows = rows.sort_values(["is_due", "turned_amount"], ascending=False, kind="stable", na_position="last")
    return rows.reset_index(drop=True)[["opportunity_id", "owner_id", "turn", "stage_before", "stage",
                                        "close_date_before", "close_date", "is_due", "quiet_days", "n",
                                        "turned_amount"]]  # fmt: skip


def by_deal(turned: pd.DataFrame) -> pd.DataFrame:
    """The same, one row per deal: its turns side by side.

    Examples
    --------
    >>> by_deal(pd.DataFrame({"opportunity_id": ["A", "B", "A"], "turn": ["pushed", "pushed", "gone quiet"]}))
      opportunity_id                   turn
    0              A  pushed and gone quiet
    1              B                 pushed
    """
    turns = turned.groupby("opportunity_id", sort=False)["turn"].agg(lambda each: _listed(list(each))).astype("str")
    deals = turned.drop_duplicates("opportunity_id")
    return deals.assign(turn=deals["opportunity_id"].map(turns).astype("str")).reset_index(drop=True)


def turned_sentence(turned: pd.DataFrame, *, before: object, currency: str = "", names: pd.Series | None = None) -> str:
    """How many deals due in the quarter turned since an evening, how, and the largest.

    Parameters
    ----------
    turned
        Of `turned_deals`.
    before
        The evening before, a date.
    names
        What the deals are called, by their ids.

    Examples
    --------
    >>> turned = pd.DataFrame({"opportunity_id": ["A", "A", "B"], "turn": ["pushed", "gone quiet", "pushed"],
    ...     "is_due": True, "turned_amount": [90000.0, 90000.0, 20000.0]})
    >>> turned_sentence(turned, before="2026-07-21", currency="USD")  # doctest: +NORMALIZE_WHITESPACE
    'Since 21 July 2026 2 deals due in the quarter, worth $110K, have turned: 2 were pushed and 1 has gone quiet, one of
    them in more than one way; the largest are A and B.'
    >>> turned_sentence(turned[:0], before="2026-07-21")
    'Since 21 July 2026 no open deal due in the quarter was pushed, went back in stage or went quiet.'
    """
    mine = turned[turned["is_due"].to_numpy(dtype=bool)]
    since = f"Since {words.day(before)}"
    if mine.empty:
        return f"{since} no open deal due in the quarter was pushed, went back in stage or went quiet."
    deals = mine.drop_duplicates("opportunity_id")
    worth = words.amount(deals["turned_amount"].sum(), currency, compact=True)
    counts = mine["turn"].value_counts()
    how = _listed([f"{counts[turn]} {_verb(turn, counts[turn])}" for turn in TURNS if turn in counts])
    twice = int(mine["opportunity_id"].value_counts().gt(1).sum())
    if twice:
        how += f", {'one' if twice == 1 else twice} of them in more than one way"
    if len(deals) == 1:
        how = _listed([turn for turn in TURNS if turn in counts])
        named = words.deal(deals["opportunity_id"].iloc[0], names)
        return f"{since} one deal due in the quarter, {named}, worth {worth}, has turned: {how}."
    largest = deals.sort_values("turned_amount", ascending=False, kind="stable")["opportunity_id"].head(_SHOWN)
    named = _listed([words.deal(name, names) for name in largest])
    return f"{since} {len(deals)} deals due in the quarter, worth {worth}, have turned: {how}; the largest are {named}."


def _verb(turn: str, n: int) -> str:
    said = {
        "pushed": ("was pushed", "were pushed"), "stage back": ("went back a stage",) * 2,
        "gone quiet": ("has gone quiet", "have gone quiet"),
    }  # fmt: skip
    return said[turn][int(n > 1)]


def _silence(deals: pd.Series, activities: pd.DataFrame | None, evening: date) -> pd.Series:
    """Days since people's last activity on each deal; missing where there was none."""
    if activities is None or activities.empty:
        return pd.Series(np.nan, index=deals.index)
    by_people = ~activities["is_automated"].fillna(False).astype(bool) if "is_automated" in activities else True
    is_held = activities["is_held"].fillna(True).astype(bool) if "is_held" in activities else True
    is_past = activities["occurred_at"] < pd.Timestamp(evening + timedelta(days=1))
    last = activities[is_past & by_people & is_held].groupby("opportunity_id")["occurred_at"].max()
    return (pd.Timestamp(evening) - deals.map(last).dt.normalize()) / pd.Timedelta(days=1)


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
