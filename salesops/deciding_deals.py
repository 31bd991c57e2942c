"""Deciding deals: which open deals the quarter hangs on, and which must be won for the target."""

import numpy as np
import pandas as pd

from salesops import checks, words
from salesops.pipeline_forecast import Outlook

WANTED = 0.80  # chance of the target that the must-win deals bring about
_NAMED = 3  # deals in a sentence
IN_PLAY = 0.10  # chance of being won in the quarter from which a deal may be one of them
_FOUND = (
    "n", "quarter_win_probability", "quarter_win_probability_low", "quarter_win_probability_high", "level",
    "deal_contribution_amount", "deal_swing_amount", "target_probability_if_won", "target_probability_if_lost",
    "is_must_win",
)  # fmt: skip
_COLUMNS = ("opportunity_id", "account_id", "owner_id", "stage", "segment", "close_date", "is_due", "amount")


def deal_list(
    found: Outlook | None, *, target: float | None = None, wanted: float = WANTED, in_play: float = IN_PLAY
) -> pd.DataFrame:
    """Every open deal with what it adds to the quarter, how far it can swing it, and whether it must be won.

    ``deal_contribution_amount`` is the mean of what the deal brings over all plays, ``deal_swing_amount`` what the
    quarter gains on that if the deal is won: about ``amount * (1 - chance)``. The chances of the target are
    those of the same plays with the deal won, or not won, in each of them. The must-win deals are the
    fewest, largest swing first, among those with a chance of at least `in_play`, that, won together, bring
    the chance of the target to `wanted`.

    Parameters
    ----------
    found
        Of `pipeline_forecast.outlook`; no rows without one.
    target
        Bookings to reach, where there are any.
    wanted, in_play
        Chance of the target that is enough; smallest chance of a must-win deal.

    Returns
    -------
    DataFrame
        One row per open deal, must-win deals first, then the largest contribution: ``opportunity_id, account_id,
        owner_id, stage, segment, close_date, is_due, amount``, ``n`` (plays), ``quarter_win_probability`` with the
        limits that four of
        five draws of what is not known keep, ``deal_contribution_amount``, ``deal_swing_amount``,
        ``target_probability_if_won``, ``target_probability_if_lost`` (missing without target), ``is_must_win`` (missing
        without target, or where no such deals are enough).

    Raises
    ------
    ParameterError
        `wanted` or `in_play` is not a share.

    Metrics
    -------
    quarter_win_probability : rate, close_date, higher, -, is_won close_date
        Chance that a deal open now is won by the quarter's end.
    deal_contribution_amount : amount, close_date, higher, -, is_won close_date amount
        What a deal brings to the quarter on average: its chance times its amount as amounts change.
    deal_swing_amount : amount, close_date, none, -, is_won close_date amount
        What the quarter gains on its expectation if the deal is won.
    target_probability_if_won : rate, close_date, higher, -, is_won close_date amount
        Chance of reaching the target once the deal is won in the quarter.
    target_probability_if_lost : rate, close_date, higher, -, is_won close_date amount
        Chance of reaching the target if the deal is not won in the quarter.

    Examples
    --------
    >>> from datetime import date
    >>> from salesops import forecast_cases, periods, pipeline_forecast
    >>> from salesops.crm import sample
    >>> tables, day = sample.tables(size=2000, years=3, clean=True), date(2026, 7, 28)
    >>> case = forecast_cases.case_of(tables["opportunities"], tables["stage_history"], stages=tables["stages"],
    ...                               period=periods.quarter(day), cutoff=day)
    >>> deals = deal_list(pipeline_forecast.outlook(case), target=2.5e6)
    >>> len(deals), bool((deals["target_probability_if_won"] >= deals["target_probability_if_lost"]).all())
    (120, True)
    """
    for name, share in (("wanted", wanted), ("in_play", in_play)):
        if not 0 <= share <= 1:
            raise checks.ParameterError(f"{name}: {share} is not a share. Give a number from 0 to 1.")
    if found is None:
        return pd.DataFrame(columns=[*_COLUMNS, *_FOUND])
    now, plays = found.case.now, len(found.total)
    chance = found.chance.mean(axis=0)
    low, high = np.quantile(found.chance, [0.1, 0.9], axis=0)
    if_won = _if_won(found)
    contribution = np.bincount(found.deal, found.amount, len(now)) / plays
    table = now[list(_COLUMNS)].assign(
        n=plays, quarter_win_probability=chance, quarter_win_probability_low=low, quarter_win_probability_high=high,
        deal_contribution_amount=contribution, deal_swing_amount=if_won - contribution, level=0.8,
    )  # fmt: skip
    table = table.assign(**_target_columns(found, if_won, target))
    table["is_must_win"] = _must_win(found, if_won, chance >= in_play, target, wanted)
    is_first = table["is_must_win"].fillna(False).astype(bool)
    order = table.assign(is_first=is_first).sort_values(
        ["is_first", "deal_contribution_amount"], ascending=False, kind="stable", ignore_index=True
    )
    return order.drop(columns="is_first")


def deal_sentence(
    deals: pd.DataFrame, *, target: float | None = None, wanted: float = WANTED, currency: str = "",
    names: pd.Series | None = None,
) -> str:  # fmt: skip
    """How much hangs on few deals, and which must be won for the target.

    Parameters
    ----------
    deals
        Of `deal_list`.
    target, wanted
        The same as for it.
    names
        What the deals are called, by their ids.

    Examples
    --------
    >>> deals = pd.DataFrame({"opportunity_id": ["A", "B", "C"], "deal_contribution_amount": [60.0, 30.0, 10.0],
    ...     "quarter_win_probability": [0.3, 0.2, 0.1], "deal_swing_amount": [140.0, 120.0, 90.0],
    ...     "is_must_win": pd.array([True, True, False], dtype="boolean")})
    >>> deal_sentence(deals, target=500.0, currency="USD")  # doctest: +NORMALIZE_WHITESPACE
    'It would take 2 of the 3 open deals, all won, to bring the chance of the target of $500 to 80 %: A and B,
    and the likeliest of the 2 has a chance of 30 %.'
    >>> deal_sentence(deals.assign(is_must_win=pd.NA), target=500.0, currency="USD")
    'Even with every deal in play won, the chance of the target of $500 is below 80 %.'
    >>> deal_sentence(deals)
    'Half of what is expected of the 3 open deals comes from one of them.'
    >>> deal_sentence(deals[:0])
    'No open deal has a chance that can be told.'
    """
    n = len(deals)
    if n == 0:
        return "No open deal has a chance that can be told."
    if target is not None and not pd.isna(target):
        named = deals.assign(opportunity_id=[words.deal(key, names) for key in deals["opportunity_id"]])
        return _target_sentence(named, words.amount(target, currency, compact=True), words.rate(wanted))
    total = deals["deal_contribution_amount"].sum()
    if n == 1:
        return "One deal is open."
    if total <= 0:
        return f"Nothing is expected of the {words.count(n)} open deals in the quarter."
    largest = deals["deal_contribution_amount"].sort_values(ascending=False).cumsum()
    few = int((largest < total / 2).sum()) + 1
    from_few = "one of them" if few == 1 else f"{words.count(few)} of them"
    return f"Half of what is expected of the {words.count(n)} open deals comes from {from_few}."


def _target_sentence(deals: pd.DataFrame, target: str, wanted: str) -> str:
    if deals["is_must_win"].isna().any():
        return f"Even with every deal in play won, the chance of the target of {target} is below {wanted}."
    must = deals[deals["is_must_win"].astype(bool)].sort_values("deal_swing_amount", ascending=False, kind="stable")
    if must.empty:
        return f"No single deal must be won: the chance of the target of {target} is {wanted} or more as things stand."
    reached = f"to bring the chance of the target of {target} to {wanted}"
    likeliest = words.rate(must["quarter_win_probability"].max())
    if len(must) == 1:
        return f"It would take one deal more {reached}: {must['opportunity_id'].iloc[0]}, with a chance of {likeliest}."
    *others, last = must["opportunity_id"].head(_NAMED)
    n = words.count(len(must))
    taken = f"It would take {n} of the {words.count(len(deals))} open deals, all won, {reached}"
    if len(must) == len(deals):
        taken = f"It would take all {n} open deals, won, {reached}"
    largest = f"{'the largest are ' if len(must) > _NAMED else ''}{', '.join(others)} and {last}"
    return f"{taken}: {largest}, and the likeliest of the {n} has a chance of {likeliest}."


def _if_won(found: Outlook) -> np.ndarray:
    """Mean final amount of each deal in the plays it is won in; of one never won, what is known, changed as usual."""
    wins, n = np.bincount(found.deal, minlength=len(found.case.now)), len(found.case.now)
    known = found.case.now["amount"].to_numpy(dtype=float, na_value=np.nan)
    brought = np.bincount(found.deal, found.amount, n)
    usable = known[found.deal] > 0
    base = known[found.deal][usable].sum()
    usual = found.amount[usable].sum() / base if base > 0 else 1.0
    typical = found.amount.mean() if len(found.amount) else 0.0
    never = np.where(known > 0, known * usual, typical)
    return np.where(wins > 0, brought / np.maximum(wins, 1), never)


def _target_columns(found: Outlook, if_won: np.ndarray, target: float | None) -> dict[str, np.ndarray]:
    """Chance of the target with each deal won in every play, and with it won in none."""
    n, plays = len(if_won), len(found.total)
    if target is None or np.isnan(target):
        return dict.fromkeys(["target_probability_if_won", "target_probability_if_lost"], np.full(n, np.nan))
    total = np.sort(found.total)
    reached = (found.total >= target).sum()
    mine = found.total[found.play]
    lost = np.bincount(found.deal, (mine >= target) & (mine - found.amount < target), n)
    # Plays that the deal's amount would lift over the target, less those in which it is won already.
    lifted = np.searchsorted(total, target) - np.searchsorted(total, target - if_won)
    already = np.bincount(found.deal, (mine < target) & (mine >= target - if_won[found.deal]), n)
    return {
        "target_probability_if_won": (reached + lifted - already) / plays,
        "target_probability_if_lost": (reached - lost) / plays,
    }


def _must_win(found: Outlook, if_won: np.ndarray, is_in_play: np.ndarray, target: float | None, wanted: float):
    n = len(if_won)
    missing = pd.array([pd.NA] * n, dtype="boolean")
    if target is None or np.isnan(target):
        return missing
    total, must = found.total.copy(), np.zeros(n, dtype=bool)
    swing = if_won * (1 - found.chance.mean(axis=0))
    for deal in np.argsort(-swing, kind="stable"):
        if (total >= target).mean() >= wanted:
            break
        if is_in_play[deal]:
            must[deal] = True
            gained = np.full(len(total), if_won[deal])
            gained[found.play[found.deal == deal]] = 0.0
            total += gained
    return pd.array(must, dtype="boolean") if (total >= target).mean() >= wanted else missing
