"""Rep performance: who reached quota, and who really differs."""

from datetime import date

import pandas as pd

from salesops import checks, pipeline, words
from salesops.periods import Period

UNKNOWN = "unknown owner"
CREDITS = ("event", "current", "split")

_DAY = pd.Timedelta(days=1)
_NOTHING = 1e-9  # a share that sums of shares leave by rounding


def credited(
    opportunities: pd.DataFrame,
    *,
    stage_history: pd.DataFrame,
    reps: pd.DataFrame,
    credit: str = "event",
    splits: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Deals with their credit: whose each deal is, and that owner's team.

    ``event``: the owner when the deal closed; where the history is empty or names no owner, the
    present one. ``current``: the present one. ``split``: each deal once for everyone who shares
    its revenue, every amount times the ``share``, so that sums over people are the bookings;
    shares of overlays add nothing, shares of more than all are scaled down, and what nobody has
    stays with the owner when it closed. Rows so split are for money: they count a deal more than
    once, so count and compare win rates by event.

    An owner who is not among the reps is missing: the unknown owner, one row in every table.
    Without any reps every owner is known.

    Raises
    ------
    ParameterError
        Another word for `credit`.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> deals = pd.DataFrame({
    ...     "opportunity_id": ["A"], "owner_id": ["now"], "is_closed": [True], "is_won": [True],
    ...     "close_date": day(["2026-07-31"]), "closed_at": day(["2026-07-31 15:00"]),
    ... })
    >>> history = pd.DataFrame({
    ...     "opportunity_id": "A", "changed_at": day(["2026-07-01", "2026-08-02"]), "seq": [1, 2],
    ...     "owner_id": ["then", "now"],
    ... })
    >>> people = pd.DataFrame({"owner_id": ["now", "then"], "team": ["East", "West"]})
    >>> credited(deals, stage_history=history, reps=people)[["owner_id", "team"]].values.tolist()
    [['then', 'West']]
    >>> shares = pd.DataFrame({
    ...     "opportunity_id": "A", "owner_id": ["now", "then", "aid"], "kind": ["revenue", "revenue", "overlay"],
    ...     "share": [0.25, 0.75, 0.5],
    ... })
    >>> split = credited(deals.assign(amount=80.0), stage_history=history, reps=people, credit="split", splits=shares)
    >>> split[["owner_id", "amount", "share"]].values.tolist()
    [['now', 20.0, 0.25], ['then', 60.0, 0.75]]
    """
    if credit not in CREDITS:
        hint = checks.did_you_mean(credit, CREDITS)
        raise checks.ParameterError(f"credit: '{credit}' is unknown. It takes {', '.join(CREDITS)}.{hint}")
    is_now = credit == "current"
    owner = opportunities["owner_id"] if is_now else pipeline.owner_at_close(opportunities, stage_history)
    rows = opportunities.assign(owner_id=owner)
    if credit == "split" and splits is not None:
        rows = _shared(rows, splits)
    owner = _known_owner(rows["owner_id"], reps)
    return rows.assign(owner_id=owner, team=team_of(owner, reps))


def named(table: pd.DataFrame, reps: pd.DataFrame) -> pd.DataFrame:
    """A table by ``owner_id`` with people's names, in the order of the names: never a ranking.

    Examples
    --------
    >>> people = pd.DataFrame({"owner_id": ["U1", "U2"], "name": ["Zoe", "Ann"]})
    >>> named(pd.DataFrame({"owner_id": ["U1", "U2", None], "n": [3, 2, 1]}), people)
                name owner_id  n
    0            Ann       U2  2
    1            Zoe       U1  3
    2  unknown owner      NaN  1
    """
    owner = _known_owner(table["owner_id"], reps)
    name = _looked_up(owner, reps, "owner_id", "name").fillna(owner)
    rows = table.assign(owner_id=owner, name=name).sort_values(["name", "owner_id"], na_position="last")
    rows["name"] = rows["name"].fillna(UNKNOWN)
    return rows[["name", *table.columns]].reset_index(drop=True)


def with_owner(table: pd.DataFrame, reps: pd.DataFrame) -> pd.DataFrame:
    """A list of deals in its own order, with the names of their owners.

    Examples
    --------
    >>> people = pd.DataFrame({"owner_id": ["U1", "U2"], "name": ["Zoe", "Ann"]})
    >>> with_owner(pd.DataFrame({"opportunity_id": ["D3", "D1", "D2"], "owner_id": ["U1", "U9", None]}), people)
      opportunity_id          owner owner_id
    0             D3            Zoe       U1
    1             D1             U9       U9
    2             D2  unknown owner      NaN
    """
    name = _looked_up(table["owner_id"], reps, "owner_id", "name").fillna(table["owner_id"]).fillna(UNKNOWN)
    shown = table.copy()
    shown.insert(table.columns.get_loc("owner_id"), "owner", name.to_numpy())
    return shown


def team_of(owner: pd.Series, reps: pd.DataFrame) -> pd.Series:
    """The team of each owner; missing where it is not known.

    Examples
    --------
    >>> people = pd.DataFrame({"owner_id": ["U1", "U2"], "team": ["East", None]})
    >>> team_of(pd.Series(["U2", "U1", None]), people).tolist()
    [nan, 'East', nan]
    """
    return _looked_up(owner, reps, "owner_id", "team")


def not_reps(reps: pd.DataFrame) -> pd.Series:
    """Ids of those whose own quota and activity are not a rep's: managers, overlays and the like.

    Examples
    --------
    >>> not_reps(pd.DataFrame({"owner_id": ["U1", "U2", "U3"], "role": ["rep", "manager", None]})).tolist()
    ['U2']
    """
    return reps.loc[reps["role"].notna() & (reps["role"] != "rep"), "owner_id"]


def days_inside(first: pd.Series, last: pd.Series, period: Period) -> pd.Series:
    """Days from first to last, both included, that lie in the period.

    Examples
    --------
    >>> q3, day = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30)), pd.to_datetime
    >>> days_inside(pd.Series(day(["2026-06-01", "2026-10-01"])), pd.Series(day(["2026-07-02", None])), q3).tolist()
    [2.0, nan]
    """
    inside = last.clip(upper=pd.Timestamp(period.end)) - first.clip(lower=pd.Timestamp(period.start))
    return (inside / _DAY + 1).clip(lower=0)


def attainment_sentence(company: pd.DataFrame, period: Period, as_of: date, *, who: str = "The company") -> str:
    """How much of its target the company won; `who` names whose page it is, where it is one's own.

    Examples
    --------
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> attainment_sentence(pd.DataFrame({"quota_attainment_rate": [0.907]}), q3, as_of=date(2026, 8, 1))
    'The company won 91 % of its bookings target so far in 2026Q3.'
    >>> rate = pd.DataFrame({"quota_attainment_rate": [0.5]})
    >>> attainment_sentence(rate, q3, as_of=date(2026, 10, 1), who="Ann Lee")
    'Ann Lee won 50 % of the bookings target in 2026Q3.'
    """
    rate = company["quota_attainment_rate"].iloc[0]
    if words.is_missing(rate):
        whose = "the company" if who == "The company" else who
        return f"There is no bookings target for {whose} in this period, so attainment cannot be told."
    so_far = "" if period.is_complete(as_of) else "so far "
    summed = int(company["n_quotas"].iloc[0]) if "n_quotas" in company else 0
    asked = f"{'its' if who == 'The company' else 'the'} bookings target"
    asked = f"the sum of {summed} people's quotas" if summed > 1 else asked
    return f"{who} won {words.rate(rate)} of {asked} {so_far}{period.when}."


def credit_sentence(opportunities: pd.DataFrame, deals: pd.DataFrame, *, credit: str = "event") -> str:
    """Who gets the credit; by event how much won money would move from `deals` to the present owners.

    Examples
    --------
    >>> then = pd.DataFrame({"owner_id": ["U1", "U2"], "is_won": True, "amount": [30.0, 70.0]})
    >>> credit_sentence(then.assign(owner_id="U2"), then)
    'Credit goes to the owner when the deal closed; with the present owner, 30 % of the won amount would move.'
    """
    if credit != "event":
        return _CREDIT[credit]
    won = deals[deals["is_won"]]
    moves = won["owner_id"].notna() & (opportunities.loc[won.index, "owner_id"] != won["owner_id"])
    total = won["amount"].sum()
    share = words.rate(won.loc[moves, "amount"].sum() / total) if total else "none"
    credit = "Credit goes to the owner when the deal closed"
    return f"{credit}; with the present owner, {share} of the won amount would move."


_CREDIT = {
    "current": "Credit goes to the present owner of each deal, whoever owned it when it closed.",
    "split": "Credit for money is shared as the source splits the revenue of each deal, and what nobody has a share of "
    "stays with the owner when the deal closed; shares of overlays add nothing.",
}


def _shared(deals: pd.DataFrame, splits: pd.DataFrame) -> pd.DataFrame:
    """Each deal once for everyone who shares its revenue, and once for what is left."""
    checks.require_columns(splits, ["opportunity_id", "owner_id", "kind", "share"], where="opportunity_splits")
    shares = splits[(splits["kind"].fillna("revenue") != "overlay") & (splits["share"] > 0)]
    shares = shares[shares["opportunity_id"].isin(deals["opportunity_id"])]
    shares = shares.groupby(["opportunity_id", "owner_id"], dropna=False, as_index=False)["share"].sum()
    given = shares.groupby("opportunity_id")["share"].sum()
    shares = shares.assign(share=shares["share"] / shares["opportunity_id"].map(given).astype(float).clip(lower=1))
    taken = deals["opportunity_id"].map(given).astype(float).fillna(0.0)
    left = deals[["opportunity_id", "owner_id"]].assign(share=1 - taken)
    parts = pd.concat([shares, left[left["share"] > _NOTHING]])
    parts = parts.groupby(["opportunity_id", "owner_id"], dropna=False, as_index=False)["share"].sum()
    rows = deals.drop(columns="owner_id").merge(parts, on="opportunity_id")
    money = [name for name in rows.columns if name.endswith("amount")]
    return rows.assign(**{name: rows[name] * rows["share"] for name in money})


def _known_owner(owner: pd.Series, reps: pd.DataFrame) -> pd.Series:
    return owner if reps.empty else owner.where(owner.isin(reps["owner_id"]))


def _looked_up(keys: pd.Series, table: pd.DataFrame, key: str, column: str) -> pd.Series:
    """A column of text for each key; typed, also where the table is empty."""
    return keys.map(table.set_index(key)[column]).astype("str")
