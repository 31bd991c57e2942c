"""Forecast bridge: from the forecast of a quarter on one evening to that on a later one, deal by deal."""

from datetime import date, timedelta

import numpy as np
import pandas as pd

from salesops import checks
from salesops.forecast_cases import Case
from salesops.periods import Period
from salesops.pipeline_forecast import Outlook

THEN, NOW = "forecast then", "forecast now"
WON, LOST, PUSHED, PULLED, NEW = "won", "lost", "pushed out", "pulled in", "new"
AMOUNT, CHANCE, TO_COME = "amount changed", "chance changed", "deals to come"
ELSEWHERE, CORRECTED = "won in another quarter", "win corrected"

_STEPS = [WON, LOST, PUSHED, PULLED, NEW, ELSEWHERE, CORRECTED, AMOUNT, CHANCE]
_RARE = [ELSEWHERE, CORRECTED]
_STOOD = ["state", "is_due", "owner_id", "stage", "close_date", "amount", "worth"]
_BATCHES = 10  # of the plays, to tell how far chance alone moves their middle
_BEYOND = 2.0  # standard errors: about 95 %


def deal_moves(
    then: Case, now: Case, *, found_then: Outlook | None = None, found_now: Outlook | None = None
) -> pd.DataFrame:
    """What became of every deal between two evenings, and what it added to the forecast of the quarter or took.

    A deal has one move:

    - won: won in the quarter as known now, and not so then (a win told late too);
    - lost: open then, and now neither open nor won;
    - pushed out, pulled in: open on both evenings, due in the quarter then and after it now, or the other way round;
    - new: open now, and neither open nor won then: created since, or re-opened;
    - won in another quarter: known as won since, with a close date outside the quarter;
    - win corrected: won in the quarter then, and now not, or for another amount; or won elsewhere then;
    - chance changed: open on both evenings and none of these.

    A won deal is worth its amount; an open one what it brings on average over all plays, times one factor for all that
    is not won yet, which leads to their middle. Worth is in whole cents, so that it adds up.

    What the worth changed by is split: the worth then, times how much the amount changed since, is ``amount_effect``;
    the rest is the move's.

    Known bias: a deal created and lost between the evenings is in none.

    Parameters
    ----------
    then, now
        Of `forecast_cases.case_of`: two evenings, the earlier first, of the same quarter.
    found_then, found_now
        Of `pipeline_forecast.outlook` of each; without one of them no effect is known.

    Returns
    -------
    DataFrame
        One row per deal open on one of the evenings or newly won: ``opportunity_id, owner_id, stage, move,
        close_date_then, close_date, amount_then, amount`` (of lost deals as they were), ``n`` (1), ``amount_effect``,
        ``move_effect``, and their sum, ``forecast_effect_amount``. The largest effects first.

    Metrics
    -------
    forecast_effect_amount : amount, changed_at, none, -, is_won close_date amount
        What the deal added to the forecast of the quarter since the evening before, or took from it.

    Raises
    ------
    ParameterError
        `then` is not earlier, or of another quarter.

    Examples
    --------
    >>> found = deal_moves(**_example())
    >>> found[["opportunity_id", "move", "amount_effect", "move_effect"]]
      opportunity_id            move  amount_effect  move_effect
    0              A             won           12.0         48.0
    1              B      pushed out            0.0        -45.0
    2              D             new            0.0         15.0
    3              C  chance changed            0.0          6.0
    """
    if then.cutoff >= now.cutoff or then.period.label != now.period.label:
        raise checks.ParameterError(
            f"then: {then.period.label} on {then.cutoff} is no earlier evening of {now.period.label} than "
            f"{now.cutoff}. Give a case of the same quarter, cut off a week before."
        )
    sides = _stood(then, found_then), _stood(now, found_now)
    ids = pd.Index(pd.unique(np.r_[sides[1].index.to_numpy(object), sides[0].index.to_numpy(object)]))
    a, b = (side.reindex(ids) for side in sides)
    rows = pd.DataFrame({
        "opportunity_id": ids.astype("str"), "owner_id": b["owner_id"].fillna(a["owner_id"]).to_numpy(),
        "stage": b["stage"].fillna(a["stage"]).to_numpy(), "move": _move(a, b, now.period),
        "close_date_then": a["close_date"].to_numpy(), "close_date": b["close_date"].fillna(a["close_date"]).to_numpy(),
        "amount_then": a["amount"].to_numpy(), "amount": b["amount"].fillna(a["amount"]).to_numpy(), "n": 1,
    })  # fmt: skip
    cents = b["worth"].fillna(0).to_numpy() - a["worth"].fillna(0).to_numpy()
    is_known = found_then is not None and found_now is not None
    part = np.where(np.isin(rows["move"], [LOST, CORRECTED, ELSEWHERE]), 0.0, _amount_part(a, b))
    effects = {"amount_effect": part, "move_effect": cents - part, "forecast_effect_amount": cents}
    rows = rows.assign(**{name: values / 100 if is_known else np.nan for name, values in effects.items()})
    return largest_first(rows[rows["move"] != ""])


def largest_first(moves: pd.DataFrame) -> pd.DataFrame:
    """The moves in the order in which they changed the forecast, by amount where that is not known.

    Parameters
    ----------
    moves
        With ``forecast_effect_amount`` and ``amount``.

    Examples
    --------
    >>> moves = pd.DataFrame({"move": ["new", "lost"], "forecast_effect_amount": [3.0, -5.0], "amount": [9.0, 5.0]})
    >>> largest_first(moves)["move"].tolist(), largest_first(moves.assign(forecast_effect_amount=None))["move"].tolist()
    (['lost', 'new'], ['new', 'lost'])
    """
    size = moves["forecast_effect_amount"].astype(float).abs().fillna(moves["amount"])
    return moves.loc[size.sort_values(ascending=False, kind="stable").index].reset_index(drop=True)


def cells(moves: pd.DataFrame) -> pd.DataFrame:
    """The deals behind each step of the bridge, with what they add to it.

    Parameters
    ----------
    moves
        Of `deal_moves`.

    Returns
    -------
    DataFrame
        One row per deal and step: ``opportunity_id, step, effect``.

    Examples
    --------
    >>> cells(deal_moves(**_example())).head(2).values.tolist()
    [['A', 'won', 48.0], ['B', 'pushed out', -45.0]]
    """
    own = moves[["opportunity_id", "move", "move_effect"]].set_axis(["opportunity_id", "step", "effect"], axis=1)
    changed = moves.loc[moves["amount_effect"].fillna(0) != 0, ["opportunity_id", "amount_effect"]]
    changed = changed.assign(step=AMOUNT).rename(columns={"amount_effect": "effect"})
    return pd.concat([own, changed[own.columns]], ignore_index=True)


def forecast_bridge(
    then: Case, now: Case, *, found_then: Outlook | None = None, found_now: Outlook | None = None
) -> pd.DataFrame:
    """From the forecast of the quarter on an evening to that on a later one, step by step, to the cent.

    ``forecast then + won + lost + pushed out + pulled in + new + amount changed + chance changed + deals to come =
    forecast now``, both forecasts being the middle of the plays: as likely passed as missed. A deal won adds what it
    brought beyond what was counted on, a deal lost takes what was; see `deal_moves`. *Chance changed* holds what a
    week less does too, and *deals to come* those not created yet. A won deal's amount that is not what it was
    expected at is in *amount changed*.

    Known bias: the plays differ from evening to evening by chance; see `play_error`.

    Parameters
    ----------
    then, now, found_then, found_now
        As of `deal_moves`.

    Returns
    -------
    DataFrame
        One row per step: ``step, period, period_start, period_end, n`` (deals; missing for deals to come),
        ``forecast_bridge_amount``. The rarer steps only where there are any; no rows where a forecast is missing.

    Metrics
    -------
    forecast_bridge_amount : amount, period_end, none, -, is_won close_date amount
        Forecast of the quarter on the evening before, what came to it and left it since, and the forecast now.

    Examples
    --------
    >>> table = forecast_bridge(**_example())
    >>> table.set_index("step")["forecast_bridge_amount"].to_dict()  # doctest: +NORMALIZE_WHITESPACE
    {'forecast then': 120.0, 'won': 48.0, 'lost': 0.0, 'pushed out': -45.0, 'pulled in': 0.0, 'new': 15.0,
     'amount changed': 12.0, 'chance changed': 6.0, 'deals to come': -6.0, 'forecast now': 150.0}
    """
    columns = ["step", "period", "period_start", "period_end", "n", "forecast_bridge_amount"]
    if found_then is None or found_now is None:
        return pd.DataFrame(columns=columns).astype({"n": float, "forecast_bridge_amount": float})
    listed = cells(deal_moves(then, now, found_then=found_then, found_now=found_now))
    listed["cents"] = np.rint(listed["effect"] * 100)
    steps = [step for step in _STEPS if step not in _RARE or (listed["step"] == step).any()]
    table = listed.groupby("step")["cents"].agg(["size", "sum"]).reindex(steps, fill_value=0)
    (worth_then, late_then), (worth_now, late_now) = _worth(then, found_then), _worth(now, found_now)
    ends = worth_then.sum() + late_then, worth_now.sum() + late_now
    n = [len(worth_then), *table["size"], np.nan, len(worth_now)]
    cents = np.r_[ends[0], table["sum"], late_now - late_then, ends[1]]
    period = now.period
    return pd.DataFrame({
        "step": [THEN, *steps, TO_COME, NOW], "period": period.label, "period_start": period.start,
        "period_end": period.end, "n": np.array(n, dtype=float), "forecast_bridge_amount": cents / 100,
    })[columns]  # fmt: skip


def play_error(found: Outlook | None) -> float:
    """Standard error of the middle of the plays: how far it would move were they played again.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> play_error(SimpleNamespace(total=np.tile([1.0, 2.0, 3.0], 400))), play_error(None)
    (0.0, nan)
    """
    if found is None:
        return np.nan
    if len(found.total) < _BATCHES:
        return 0.0
    # Every so many plays one of each world: a batch holds all plays of its worlds.
    batch = np.arange(len(found.total)) % _BATCHES
    middles = [np.median(found.total[batch == each]) for each in range(_BATCHES)]
    return float(np.std(middles, ddof=1) / np.sqrt(_BATCHES))


def forecast_change(
    bridge: pd.DataFrame, *, found_then: Outlook | None = None, found_now: Outlook | None = None
) -> pd.DataFrame:
    """By how much the forecast of the quarter changed, and how far chance among the plays alone may have moved that.

    Parameters
    ----------
    bridge
        Of `forecast_bridge`.
    found_then, found_now
        As of `deal_moves`.

    Returns
    -------
    DataFrame
        One row, none without a bridge: ``period, period_start, period_end, n`` (deals open or won now),
        ``forecast_now_amount``, ``forecast_change_amount`` with limits.

    Metrics
    -------
    forecast_now_amount : amount, period_end, higher, -, is_won close_date amount
        Middle of the plays of the quarter: as likely passed as missed.
    forecast_change_amount : amount, period_end, higher, -, is_won close_date amount
        Forecast now less that of the evening before; the range is two standard errors of the plays, no more.

    Examples
    --------
    >>> week = _example()
    >>> plays = {name: week[name] for name in ("found_then", "found_now")}
    >>> forecast_change(forecast_bridge(**week), **plays)[["period", "forecast_now_amount", "forecast_change_amount"]]
       period  forecast_now_amount  forecast_change_amount
    0  2026Q3                150.0                    30.0
    """
    amounts = bridge["forecast_bridge_amount"]
    change = amounts.iloc[-1:].to_numpy() - amounts.iloc[:1].to_numpy()
    reach = _BEYOND * np.hypot(play_error(found_then), play_error(found_now))
    return bridge[["period", "period_start", "period_end", "n"]].tail(1).reset_index(drop=True).assign(
        forecast_now_amount=amounts.iloc[-1:].to_numpy(), forecast_change_amount=change,
        forecast_change_amount_low=change - reach, forecast_change_amount_high=change + reach,
    )  # fmt: skip


def _stood(case: Case, found: Outlook | None) -> pd.DataFrame:
    """Each deal as it stood on an evening, by its id: open, won in the quarter, or won elsewhere."""
    won = case.won.drop_duplicates("opportunity_id")
    is_in = case.period.contains(won["close_date"]).to_numpy(dtype=bool)
    won = won.assign(state=np.where(is_in, WON, ELSEWHERE), is_due=False, stage=None)
    opened = case.now.assign(state="open")
    both = pd.concat([won[is_in], opened, won[~is_in]], ignore_index=True)
    worth = np.zeros(len(both)) if found is None else np.r_[_worth(case, found)[0], np.zeros((~is_in).sum())]
    both = both.assign(worth=worth, stage=both["stage"].astype("str"), is_due=both["is_due"].astype(bool))
    return both.set_index("opportunity_id")[_STOOD]


def _worth(case: Case, found: Outlook) -> tuple[np.ndarray, float]:
    """Cents that the wins of the quarter and then its open deals add to its middle, and those to come do."""
    won = case.won.drop_duplicates("opportunity_id")
    won = won.loc[case.period.contains(won["close_date"]), "amount"].fillna(0.0).to_numpy(dtype=float)
    plays = len(found.total)
    rest = np.r_[np.bincount(found.deal, found.amount, len(case.now)), found.late.sum()] / plays
    factor = (np.median(found.total) - won.sum()) / rest.sum() if rest.sum() > 0 else 0.0
    # Rounded as running sums, so that the parts are whole cents and so is their sum, nearest to the middle.
    cents = np.diff(np.rint(np.cumsum(np.r_[won, rest * factor]) * 100), prepend=0.0)
    return cents[:-1], float(cents[-1])


def _move(then: pd.DataFrame, now: pd.DataFrame, period: Period) -> np.ndarray:
    """How each deal moved; nothing for a win that stands, or was never of this quarter."""
    was, now_is = then["state"].fillna("").to_numpy(object), now["state"].fillna("").to_numpy(object)
    is_late = [(side["close_date"] >= pd.Timestamp(period.end + timedelta(days=1))).to_numpy() for side in (then, now)]
    is_due = [side["is_due"].eq(True).to_numpy() for side in (then, now)]
    both_open = (was == "open") & (now_is == "open")
    is_other = then["worth"].fillna(0).to_numpy() != now["worth"].fillna(0).to_numpy()
    found = np.select(
        [
            (now_is == WON) & np.isin(was, ["", "open"]),
            (was == WON) & (now_is == WON) & ~is_other,
            np.isin(was, [WON, ELSEWHERE]) & ((was != now_is) | (was == WON)),
            np.isin(was, ["", "open"]) & (now_is == ELSEWHERE),
            (was == "open") & (now_is == ""),
            (was == "") & (now_is == "open"),
            both_open & is_due[0] & is_late[1],
            both_open & is_late[0] & is_due[1],
            both_open,
        ],
        [WON, "", CORRECTED, ELSEWHERE, LOST, NEW, PUSHED, PULLED, CHANCE],
        "",
    )
    is_gone = (was == ELSEWHERE) & (now_is == "")  # of no quarter that is reviewed
    return np.where(is_gone, "", found)


def _amount_part(then: pd.DataFrame, now: pd.DataFrame) -> np.ndarray:
    """Cents that a deal's worth then changes by with its amount."""
    before, after = (side["amount"].to_numpy(dtype=float, na_value=np.nan) for side in (then, now))
    usable = (before > 0) & (after > 0)
    ratio = np.divide(after, before, out=np.ones(len(before)), where=usable)
    return np.rint(then["worth"].fillna(0).to_numpy(dtype=float) * (ratio - 1))


def _example() -> dict:
    """A week: A was won for more, B pushed out, C likelier, D new; 30 and then 24 to come."""
    from types import SimpleNamespace

    q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    day = pd.to_datetime
    columns = ["opportunity_id", "owner_id", "stage", "amount", "close_date", "is_due"]
    rows = [["A", "r1", "Offer", 100.0, day("2026-09-10"), True], ["B", "r1", "Offer", 90.0, day("2026-09-20"), True],
            ["C", "r2", "Talk", 50.0, day("2026-12-01"), False]]  # fmt: skip
    opened = pd.DataFrame(rows, columns=columns)
    later = pd.DataFrame([["B", "r1", "Offer", 90.0, day("2026-11-20"), False], rows[2],
                          ["D", "r2", "Talk", 40.0, day("2026-09-30"), True]], columns=columns)  # fmt: skip
    won = pd.DataFrame({"opportunity_id": ["A"], "owner_id": "r1", "amount": 120.0, "close_date": day(["2026-07-24"])})

    def case(cutoff: date, now: pd.DataFrame, won: pd.DataFrame) -> SimpleNamespace:
        return SimpleNamespace(period=q3, cutoff=cutoff, now=now, won=won)

    def found(worth: list[float], late: float, won: float) -> SimpleNamespace:
        deal = np.arange(len(worth))
        total = np.array([sum(worth) + late + won])
        return SimpleNamespace(total=total, deal=deal, amount=np.array(worth), late=np.array([late]))

    return {
        "then": case(date(2026, 7, 20), opened, won[:0]), "now": case(date(2026, 7, 27), later, won),
        "found_then": found([60.0, 45.0, 9.0], 6.0, 0.0), "found_now": found([0.0, 15.0, 15.0], 0.0, 120.0),
    }  # fmt: skip


def _example_moves() -> pd.DataFrame:
    return deal_moves(**_example())
