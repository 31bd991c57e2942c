"""Rep performance: who reached quota, and who really differs."""

from datetime import date

import numpy as np
import pandas as pd
from scipy.stats import binom

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


def beyond_chance(rates: pd.DataFrame, *, min_n: int = checks.MIN_N, level: float = 0.998) -> pd.DataFrame:
    """Which reps' win rates lie outside what chance gives around the rate of all together.

    Exact binomial limits at the common rate: 99.8 % of equal reps lie inside, so that among
    thirty equal reps fewer than one report in fifteen marks any.

    Returns the rows of ``win_rate`` by owner with at least `min_n` deals, with the limits
    ``chance_low`` and ``chance_high`` (0-1) and ``is_outside``.

    References
    ----------
    Spiegelhalter (2005), Statist. Med. 24:1185-1202.

    Examples
    --------
    >>> rates = pd.DataFrame({"owner_id": ["U1", "U2", "U3"], "n": [100, 100, 5], "won_count": [60, 20, 5]})
    >>> beyond_chance(rates).round(2)[["owner_id", "chance_low", "chance_high", "is_outside"]]
      owner_id  chance_low  chance_high  is_outside
    0       U1        0.27         0.57        True
    1       U2        0.27         0.57        True
    """
    checks.require_columns(rates, ["n", "won_count"])
    total = rates["n"].sum()
    common = rates["won_count"].sum() / total if total else np.nan
    judged = rates[rates["n"] >= min_n].reset_index(drop=True)
    tail = (1 - level) / 2
    n, won = judged["n"], judged["won_count"]
    is_outside = (binom.cdf(won, n, common) < tail) | (binom.sf(won - 1, n, common) < tail)
    low, high = (binom.ppf(q, n, common) / n for q in (tail, 1 - tail))
    return judged.assign(chance_low=low, chance_high=high, is_outside=is_outside)


def headlines(
    company: pd.DataFrame,
    achievement: pd.DataFrame,
    rates: pd.DataFrame,
    *,
    period: Period,
    window: Period,
    as_of: date,
    who: str = "The company",
) -> list[str]:
    """The findings in sentences, most important first; no rep is named but the one whose own page it is.

    Parameters
    ----------
    company, achievement
        Of `quota_attainment` for the company, and of `quota_achievement`.
    rates
        Of ``win_rate`` by owner, in `window`.
    period, window, as_of
        Of attainment; of the win rates; and the last day used, which may lie inside `period`.
    who
        Whom the page is about; a page about one person compares nobody.
    """
    row = achievement.iloc[0]
    if who != "The company" and row["n"] <= 1:
        return [attainment_sentence(company, period, as_of, who=who)]
    reached = f"{row['n_achieved']:.0f} of {row['n']:.0f} reps with a quota reached it."
    unknown = "No rep has a quota in this period, so who reached it cannot be told."
    attained = attainment_sentence(company, period, as_of, who=who)
    differ = difference_sentence(rates, window)
    return [attained, reached if row["n"] else unknown, differ]


def attainment_sentence(company: pd.DataFrame, period: Period, as_of: date, *, who: str = "The company") -> str:
    """How much of its target the company won; `who` names whose page it is, where it is one's own.

    Examples
    --------
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> attainment_sentence(pd.DataFrame({"quota_attainment_rate": [0.907]}), q3, as_of=date(2026, 8, 1))
    'The company won 91 % of its bookings target so far in 2026Q3.'
    """
    rate = company["quota_attainment_rate"].iloc[0]
    if words.is_missing(rate):
        whose = "the company" if who == "The company" else who
        return f"There is no bookings target for {whose} in this period, so attainment cannot be told."
    so_far = "" if period.is_complete(as_of) else "so far "
    summed = int(company["n_quotas"].iloc[0]) if "n_quotas" in company else 0
    asked = f"the sum of {summed} people's quotas" if summed > 1 else "its bookings target"
    return f"{who} won {words.rate(rate)} of {asked} {so_far}{period.when}."


def difference_sentence(rates: pd.DataFrame, window: Period) -> str:
    """Whether reps win more or less often than luck explains; nobody is named.

    Examples
    --------
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> difference_sentence(pd.DataFrame({"owner_id": ["U1", "U2"], "n": [50, 60], "won_count": [15, 16]}), q3)
    'The differences between the win rates of 2 reps in 2026Q3 are no larger than chance would make them.'
    """
    judged = beyond_chance(rates[rates["owner_id"].notna()])
    when = window.when
    if len(judged) < 2:
        return f"Too few reps closed {checks.MIN_N} deals {when} to compare their win rates."
    outside = int(judged["is_outside"].sum())
    if outside == 0:
        compared = f"The differences between the win rates of {len(judged)} reps {when}"
        return f"{compared} are no larger than chance would make them."
    verb = "has a win rate" if outside == 1 else "have win rates"
    found = f"{outside} of {len(judged)} reps {verb} {when} that chance alone does not explain"
    return f"{found}; deal mix and territory may."


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
