"""Top against bottom: what reps who won more from like deals in earlier periods do differently in later ones."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import gammaln, nctdtrinc
from scipy.stats import t as student

from salesops import activity, checks, skill, words
from salesops.periods import Period
from salesops.stats import multiplicity

WATCHED_DAYS = 30  # of a deal's life in which a first touch and an early meeting are looked for
LEAST_REPS = 5  # a side, to compare
LEAST_DEALS = 5  # of a rep, to know a habit by
RATE = 0.05  # of findings that chance makes, at most

_REP = "owner_id"
_DAY = pd.Timedelta(days=1)
_SAME = 1e-3  # of the gap: reps within a group who vary less all do the same, and nothing can be judged by them
_DEALS = (
    "early_meeting_rate", "first_touch_days", "contacts_per_deal", "created_deal_amount", "won_discount_rate",
    "skipped_stage_rate",
)  # fmt: skip
_SAID = {
    "early_meeting_rate": "met or showed a product in {} of new deals within 30 days",
    "first_touch_days": "first worked on a new deal after {} on the average",
    "contacts_per_deal": "had {} contacts to a new deal",
    "created_deal_amount": "took up deals of {} (the median)",
    "won_discount_rate": "gave {} of discount on deals won",
    "skipped_stage_rate": "skipped a stage in {} of the moves forward",
}
_COLUMNS = [
    "behaviour", "n", "n_top", "n_bottom", "top_behaviour", "bottom_behaviour",
    *(f"{name}{end}" for name in ("behaviour_gap", "standard_behaviour_gap") for end in ("", "_low", "_high")),
    "p_value",
]  # fmt: skip


class Groups(NamedTuple):
    """Who was at the top and at the bottom, and whether that can be told at all."""

    reps: pd.DataFrame
    spread: pd.DataFrame


def score_groups(earlier: pd.DataFrame, *, share: float = 1 / 3, min_n: int = checks.MIN_N, **options) -> Groups:
    """The reps who won most and least from like deals in earlier periods.

    By `skill.win_skill`: wins against those to be expected from the deals, drawn in for chance. Whoever is at the top
    by luck will not be so later, and what was done in winning is not held against what was won: so habits
    are to be compared in later periods only (`compare`).

    Parameters
    ----------
    earlier
        Closed deals of the earlier periods as `skill.win_skill` takes them.
    share
        Of the reps in each group, up to a half; rounded down.
    min_n
        Deals below which a rep is in no group.
    options
        Further ones of `skill.win_skill`: ``factors``, ``draws``, ``seed``.

    Returns
    -------
    Groups
        ``reps``: one row per rep by id: ``owner_id``, ``n``, ``comparable_win_rate`` with limits and ``group``
        (top, bottom or missing). ``spread``: of `skill.win_skill`, with ``n_top`` and ``n_bottom``.

    Examples
    --------
    >>> deals = pd.DataFrame({"owner_id": np.repeat(["U1", "U2", "U3"], 100),
    ...     "is_won": np.concatenate([np.arange(100) < won for won in (60, 31, 10)])})
    >>> found = score_groups(deals)
    >>> found.reps["group"].tolist(), bool(found.spread["is_beyond_chance"].iloc[0])
    (['top', nan, 'bottom'], True)
    """
    if not 0 < share <= 0.5:
        raise checks.ParameterError(f"share: {share} of the reps cannot be in each of two groups. Give 0 to 0.5.")
    scored = skill.win_skill(earlier, **options)
    reps = scored.reps[scored.reps[_REP].notna()].reset_index(drop=True)
    able = reps[(reps["n"] >= min_n) & reps["comparable_win_rate"].notna()]
    order = able["comparable_win_rate"].sort_values(kind="stable").index
    n = int(len(order) * share + 1e-9)
    group = pd.Series(None, index=reps.index, dtype="str")
    group[order[len(order) - n :]], group[order[:n]] = "top", "bottom"
    columns = [_REP, "n", "comparable_win_rate", "comparable_win_rate_low", "comparable_win_rate_high"]
    return Groups(reps[columns].assign(group=group), scored.spread.assign(n_top=n, n_bottom=n))


def deal_behaviours(
    deals: pd.DataFrame,
    *,
    period: Period,
    activities: pd.DataFrame | None = None,
    visits: pd.DataFrame | None = None,
    contacts: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """How each rep goes about deals in a period: what can be told of it from what is recorded.

    A habit of which a rep has fewer than five deals, or moves, is missing, and one nobody recorded has no column.

    Parameters
    ----------
    deals
        With ``opportunity_id, owner_id, created_date, amount, is_won, close_date`` and, where known, ``list_amount``.
    period
        When deals were created (30 days before its end, so that all were watched as long), won or moved.
    activities
        With ``opportunity_id, kind, occurred_at, direction, is_automated, is_held``: people's own count.
    visits
        Of `journey.stage_visits` of the deals.
    contacts
        With ``opportunity_id`` and ``contact_id``: who of the customer is on the deal.

    Returns
    -------
    DataFrame
        One row per rep by id: ``owner_id``, ``early_meeting_rate`` (share of new deals with a meeting or demo held
        within 30 days), ``first_touch_days`` (mean days to the first activity, 30 where there was none),
        ``contacts_per_deal``, ``created_deal_amount`` (median), ``won_discount_rate`` (over the list amount) and
        ``skipped_stage_rate`` (of moves forward).

    Examples
    --------
    >>> day = pd.to_datetime
    >>> deals = pd.DataFrame({"opportunity_id": list("abcdef"), "owner_id": "U1", "created_date": day("2026-07-01"),
    ...     "amount": [1.0, 2, 3, 4, 5, 6], "is_won": False, "close_date": day("2026-09-01")})
    >>> log = pd.DataFrame({"opportunity_id": ["a", "b"], "kind": ["meeting", "call"], "is_held": [True, None],
    ...     "occurred_at": day(["2026-07-03", "2026-07-05"]), "direction": None, "is_automated": False})
    >>> q3 = Period("2026Q3", pd.Timestamp("2026-07-01").date(), pd.Timestamp("2026-09-30").date())
    >>> deal_behaviours(deals, period=q3, activities=log).round(2)
      owner_id  early_meeting_rate  first_touch_days  created_deal_amount
    0       U1                0.17              21.0                  3.5
    """
    needed = ["opportunity_id", _REP, "created_date", "amount", "is_won", "close_date"]
    checks.require_columns(deals, needed, where="top and bottom")
    known = deals[deals[_REP].notna()]
    new = known[period.contains(known["created_date"])]
    watched = new[new["created_date"].dt.normalize() + WATCHED_DAYS * _DAY <= pd.Timestamp(period.end)]
    won = known[known["is_won"].astype(bool) & period.contains(known["close_date"])]
    found = {"created_deal_amount": _of_reps(new, new["amount"], "median")}
    found |= {} if activities is None or activities.empty else _first_days(watched, activities)
    if contacts is not None and len(contacts):
        each = contacts.groupby("opportunity_id")["contact_id"].nunique()
        found["contacts_per_deal"] = _of_reps(watched, watched["opportunity_id"].map(each).fillna(0))
    if "list_amount" in won:
        listed = won[(won["list_amount"] > 0) & won["amount"].notna()]
        found["won_discount_rate"] = _of_reps(listed, 1 - listed["amount"] / listed["list_amount"])
    if visits is not None and len(visits):
        moved = visits[visits["exit"].isin(["forward", "skip"]) & period.contains(visits["exited_at"])]
        owner = moved["opportunity_id"].map(known.set_index("opportunity_id")[_REP])
        found["skipped_stage_rate"] = _of_reps(moved.assign(**{_REP: owner}), moved["exit"] == "skip")
    told = [name for name in _DEALS if name in found and found[name].notna().any()]
    table = pd.DataFrame({name: found[name] for name in told}, index=pd.Index(known[_REP].unique()).sort_values())
    return table.rename_axis(_REP).reset_index()


def compare(
    groups: Groups, *behaviours: pd.DataFrame, earlier: Period, later: Period, confidence: float = 0.95
) -> pd.DataFrame:
    """What those at the top do later against those at the bottom, behaviour by behaviour.

    A rep counts once, whatever the number of deals. The gap is judged by Student's test over reps, and
    standardised by their pooled standard deviation (Hedges' g, limits from the noncentral t distribution). All
    behaviours are judged together (Benjamini-Hochberg at 5 %). Where the earlier scores differ no more than
    chance makes them there is no top and no bottom: figures are shown, but nothing is tested or named.

    Parameters
    ----------
    groups
        Of `score_groups`, from deals closed in `earlier`.
    behaviours
        Frames of `later`, one row per rep: ``owner_id`` and columns of numbers, such as `deal_behaviours` or rates of
        hygiene; or the rows of `activity.activity_rates` by rep, of which each kind is a behaviour. Columns of counts
        (``n``, ``n_…``) and limits are not behaviours.
    earlier, later
        The periods; `later` must begin after `earlier` has ended.
    confidence
        Level of the intervals.

    Returns
    -------
    DataFrame
        One row per behaviour as given: ``behaviour``, ``n`` (reps compared), ``n_top``, ``n_bottom``,
        ``top_behaviour``, ``bottom_behaviour`` (means over reps, in the behaviour's own unit), ``behaviour_gap`` and
        ``standard_behaviour_gap`` with limits, ``p_value``, ``is_named``, ``n_compared``. Under five reps in a group,
        or without any difference among reps, there is no test.

    Metrics
    -------
    top_behaviour : ratio, period, none, -, -
        Mean over the reps who won most from like deals in earlier periods, in the behaviour's own unit.
    bottom_behaviour : ratio, period, none, -, -
        The same over those who won least.
    behaviour_gap : ratio, period, none, -, -
        Mean of the top less that of the bottom, in the behaviour's own unit.
    standard_behaviour_gap : ratio, period, none, -, -
        The gap in standard deviations of reps within the groups.

    Raises
    ------
    ParameterError
        `later` begins before `earlier` has ended.

    Notes
    -----
    The gap says what goes with winning, not what makes win: those at the top may have easier territories in ways
    that the mix of deals does not show. Scores hold chance, so gaps are smaller than between the truly
    best and least.

    References
    ----------
    Hedges (1981), J. Educ. Stat. 6:107-128; Steiger & Fouladi (1997), in What If There Were No Significance Tests?,
    ch. 9; Benjamini & Hochberg (1995), J. R. Statist. Soc. B 57:289-300.

    Examples
    --------
    >>> from datetime import date
    >>> reps = pd.DataFrame({"owner_id": list("abcdefghij"), "group": ["top"] * 5 + ["bottom"] * 5})
    >>> spread = pd.DataFrame({"is_beyond_chance": [True], "n_reps": 10, "n_top": 5, "n_bottom": 5})
    >>> later = pd.DataFrame({"owner_id": list("abcdefghij"), "calls": [9.0, 11, 10, 12, 8, 4, 5, 6, 3, 7]})
    >>> periods = [Period(str(year), date(year, 1, 1), date(year, 12, 31)) for year in (2025, 2026)]
    >>> table = compare(Groups(reps, spread), later, earlier=periods[0], later=periods[1])
    >>> table[["behaviour", "top_behaviour", "bottom_behaviour", "standard_behaviour_gap", "is_named"]].round(2)
      behaviour  top_behaviour  bottom_behaviour  standard_behaviour_gap  is_named
    0     calls           10.0               5.0                    2.85      True
    """
    if later.start <= earlier.end:
        raise checks.ParameterError(
            f"later: {later.label} begins before {earlier.label} has ended, so that the winners of chance would be "
            "compared by what won. Give a period that begins later."
        )
    is_told = bool(groups.spread["is_beyond_chance"].iloc[0])
    group = groups.reps.set_index(_REP)["group"]
    columns = [column for frame in behaviours for column in _columns(frame)]
    rows = [_compared(column, column.index.map(group), is_told, confidence) for column in columns]
    table = pd.DataFrame(rows, columns=_COLUMNS).astype({"p_value": float, "behaviour": "str"})
    return multiplicity.named_together(table, rate=RATE)[0]


def group_sentence(groups: Groups, period: Period) -> str:
    """Whether there is a top and a bottom to compare; nobody is named.

    Examples
    --------
    >>> from datetime import date
    >>> year = Period("2025", date(2025, 1, 1), date(2025, 12, 31))
    >>> spread = {"n_reps": 30, "n_top": 10, "n_bottom": 10, "is_beyond_chance": True, "n_apart": 4}
    >>> group_sentence(Groups(pd.DataFrame(), pd.DataFrame([spread])), year)
    'The 10 of 30 reps who won most often from like deals in 2025 are compared with the 10 who won least often; chance \
alone does not explain 4 of them, and put some of the others where they are.'
    >>> group_sentence(Groups(pd.DataFrame(), pd.DataFrame([spread | {"is_beyond_chance": False}])), year)
    'Given the deals they had, 30 reps did not win more or less often in 2025 than chance would make them: there is \
no top and no bottom to compare.'
    >>> group_sentence(Groups(pd.DataFrame(), pd.DataFrame([spread | {"n_top": 4}])), year)
    'Too few reps closed 20 deals in 2025 to compare those who won most often with those who won least often.'
    """
    row = groups.spread.iloc[0]
    if min(row["n_top"], row["n_bottom"]) < LEAST_REPS:
        few = f"Too few reps closed {checks.MIN_N} deals {period.when}"
        return f"{few} to compare those who won most often with those who won least often."
    if not row["is_beyond_chance"]:
        chance = f"did not win more or less often {period.when} than chance would make them"
        given = f"Given the deals they had, {row['n_reps']:.0f} reps"
        return f"{given} {chance}: there is no top and no bottom to compare."
    most = f"The {row['n_top']:.0f} of {row['n_reps']:.0f} reps who won most often from like deals {period.when}"
    luck = f"chance alone does not explain {row['n_apart']:.0f} of them, and put some of the others where they are"
    return f"{most} are compared with the {row['n_bottom']:.0f} who won least often; {luck}."


def coaching_sentences(table: pd.DataFrame, *, earlier: Period, later: Period, currency: str = "") -> list[str]:
    """What those who won more did otherwise later, as facts to coach by; nothing, if so.

    Examples
    --------
    >>> from datetime import date
    >>> periods = {"earlier": Period("2025", date(2025, 1, 1), date(2025, 12, 31)),
    ...     "later": Period("2026", date(2026, 1, 1), date(2026, 12, 31))}
    >>> table = pd.DataFrame({"behaviour": ["meetings_held", "early_meeting_rate", "hours"], "n_compared": 3,
    ...     "top_behaviour": [12.0, 0.5, 4.0], "bottom_behaviour": [8.0, 0.4, 5.0], "behaviour_gap": [4.0, 0.1, -1.0],
    ...     "behaviour_gap_low": [2.0, 0.02, -2.0], "behaviour_gap_high": [6.0, 0.18, 0.2], "p_value": 0.01,
    ...     "is_named": [True, True, False]})
    >>> for sentence in coaching_sentences(table, **periods):
    ...     print(sentence)
    In 2026 those who won more in 2025 logged 12 meetings held each thirty days, against 8 (likely 2 to 6 more).
    In 2026 those who won more in 2025 met or showed a product in 50 % of new deals within 30 days, against 40 % \
(likely 2 points to 18 points more).
    >>> coaching_sentences(table.assign(is_named=False), **periods)
    ['In 2026 those who won more in 2025 differed from those who won less by no more than chance would give (3 habits \
compared).']
    >>> coaching_sentences(table.assign(p_value=None, is_named=False, n_compared=0), **periods)
    ['What those who won more in 2025 do otherwise cannot be told: nothing of 2026 could be compared.']
    """
    checks.require_columns(table, ["behaviour", "behaviour_gap", "is_named", "p_value"], where="top and bottom")
    n = int(table["p_value"].notna().sum())
    if not n:
        told = f"What those who won more {earlier.when} do otherwise cannot be told"
        return [f"{told}: nothing of {later.label} could be compared."]
    who = f"{later.when[:1].upper()}{later.when[1:]} those who won more {earlier.when}"
    is_clear = table["is_named"] & (table["behaviour_gap_low"] * table["behaviour_gap_high"] > 0)
    said = [f"{who} {_fact(row, currency)}." for row in table[is_clear].to_dict("records")]
    none = f"{who} differed from those who won less by no more than chance would give"
    return said or [f"{none} ({n} {'habit' if n == 1 else 'habits'} compared)."]


def _of_reps(rows: pd.DataFrame, values: pd.Series, statistic: str = "mean") -> pd.Series:
    found = values.astype(float).groupby(rows[_REP]).agg([statistic, "count"])
    return found[statistic].where(found["count"] >= LEAST_DEALS)


def _first_days(watched: pd.DataFrame, activities: pd.DataFrame) -> dict[str, pd.Series]:
    """What was done in the first days of the deals."""
    checks.require_columns(activities, ["opportunity_id", "kind", "occurred_at", "is_held"], where="activities")
    own = activity.own(activities)
    born = watched.set_index("opportunity_id")["created_date"].dt.normalize()
    days = (own["occurred_at"] - own["opportunity_id"].map(born)) / _DAY
    soon = own[(days >= 0) & (days <= WATCHED_DAYS)].assign(days=days)
    first = watched["opportunity_id"].map(soon.groupby("opportunity_id")["days"].min())
    is_met = soon["kind"].isin(["meeting", "demo"]) & activity.flag(soon["is_held"], True)
    met = watched["opportunity_id"].isin(soon.loc[is_met, "opportunity_id"])
    return {
        "early_meeting_rate": _of_reps(watched, met),
        "first_touch_days": _of_reps(watched, first.fillna(WATCHED_DAYS)),
    }


def _columns(frame: pd.DataFrame) -> list[pd.Series]:
    """The behaviours of a frame, by rep."""
    checks.require_columns(frame, [_REP], where="behaviours")
    if "monthly_activities" in frame:
        kinds = frame["kind"].str.replace(" ", "_")
        frame = frame.assign(kind=kinds).pivot(index=_REP, columns="kind", values="monthly_activities").reset_index()
        frame = frame[[_REP, *dict.fromkeys(kinds)]]
    rows = frame[frame[_REP].notna()]
    if rows[_REP].duplicated().any():
        some = checks.examples(rows.loc[rows[_REP].duplicated(), _REP])
        raise checks.DataError(f"behaviours: several rows of one rep ({some}). Give one row a rep.")
    numbers = rows.set_index(_REP).select_dtypes("number").astype(float)
    return [numbers[name] for name in numbers if not (f"{name}_".startswith("n_") or name.endswith(("_low", "_high")))]


def _compared(column: pd.Series, group: pd.Index, is_told: bool, confidence: float) -> dict[str, object]:
    known = column.notna().to_numpy()
    top, bottom = (column[known & (group == name)].to_numpy() for name in ("top", "bottom"))
    n, m = len(top), len(bottom)
    found = {"behaviour": column.name, "n": n + m, "n_top": n, "n_bottom": m}
    if min(n, m) < LEAST_REPS:
        return found
    gap, freedom, length = top.mean() - bottom.mean(), n + m - 2, np.sqrt(1 / n + 1 / m)
    deviation = np.sqrt(((top - top.mean()) ** 2).sum() + ((bottom - bottom.mean()) ** 2).sum()) / np.sqrt(freedom)
    found |= {"top_behaviour": top.mean(), "bottom_behaviour": bottom.mean(), "behaviour_gap": gap}
    if not deviation > max(_SAME * abs(gap), 1e-12 * max(abs(top).max(), abs(bottom).max())):
        return found
    tail, seen = (1 - confidence) / 2, gap / deviation / length
    reach = student.ppf(1 - tail, freedom) * deviation * length
    ends = (nctdtrinc(freedom, below, seen) * length for below in (1 - tail, tail))
    found |= {"behaviour_gap_low": gap - reach, "behaviour_gap_high": gap + reach}
    small = np.exp(gammaln(freedom / 2) - gammaln((freedom - 1) / 2)) * np.sqrt(2 / freedom)
    found["standard_behaviour_gap"] = gap / deviation * small
    found |= dict(zip(("standard_behaviour_gap_low", "standard_behaviour_gap_high"), ends, strict=True))
    return found | {"p_value": 2 * student.sf(abs(seen), freedom) if is_told else np.nan}


def _fact(row: dict[str, object], currency: str) -> str:
    name = str(row["behaviour"])
    unit = "count" if name in (*activity.KINDS, "contacts_per_deal") else words.unit_of(name) or "ratio"
    top, bottom = (words.value(row[f"{side}_behaviour"], unit, currency=currency) for side in ("top", "bottom"))
    said = _SAID.get(name, f"had {words.label(name).lower()} of {{}}").format(top)
    if name in activity.KINDS:
        said = f"logged {top} {name.replace('_', ' ')} each thirty days"
    low, high = row["behaviour_gap_low"], row["behaviour_gap_high"]
    near, far = (_plain(each, unit, currency) for each in sorted((abs(low), abs(high))))
    return f"{said}, against {bottom} (likely {near} to {far} {'more' if low > 0 else 'less'})"


def _plain(size: float, unit: str, currency: str) -> str:
    return words.points(size) if unit in ("rate", "points") else words.value(size, unit, currency=currency)
