"""What attainment says in sentences; no rep and no manager is named."""

from datetime import date

import pandas as pd

from salesops import checks, words
from salesops.periods import Period


def achievement_sentence(achievement: pd.DataFrame) -> str:
    """How many reps reached quota, the fully ramped ones apart.

    Parameters
    ----------
    achievement
        Of `attainment.achievement_by_ramp`.

    Examples
    --------
    >>> table = pd.DataFrame({"reps": ["all", "ramped", "ramping"], "n": [33, 31, 2], "n_achieved": [20, 20, 0]})
    >>> achievement_sentence(table)
    '20 of 33 reps with a quota reached it: 20 of the 31 fully ramped, none of the 2 still ramping.'
    >>> achievement_sentence(table.assign(n=[31, 31, 0], n_achieved=[31, 31, 0]))
    'All 31 reps with a quota reached it; all of them are fully ramped.'
    >>> achievement_sentence(table.assign(n=0, n_achieved=0))
    'No rep has a quota in this period, so who reached it cannot be told.'
    """
    n, reached = (achievement.set_index("reps")[name] for name in ("n", "n_achieved"))
    if not n["all"]:
        return "No rep has a quota in this period, so who reached it cannot be told."
    said = _of(reached["all"], n["all"], "with a quota")
    if not n["ramping"]:
        return f"{said}; all of them are fully ramped." if n["ramped"] == n["all"] else f"{said}."
    parts = [_part(reached[name], n[name], what) for name, what in _RAMPS.items() if n[name]]
    return f"{said}: {', '.join(parts)}."


_RAMPS = {"ramped": "fully ramped", "ramping": "still ramping"}


def _part(reached: int, n: int, what: str) -> str:
    if n == 1:
        return f"the one {what} did{'' if reached else ' not'}"
    return f"{_number(reached)} of the {n} {what}"


def distribution_sentence(bands: pd.DataFrame, quartiles: pd.DataFrame, *, brief: bool = False) -> str:
    """How attainment is spread over the reps; how many reached their quota alone where `brief`, as a title.

    Parameters
    ----------
    bands, quartiles
        Of `attainment.attainment_bands` and `attainment.attainment_quartiles`.

    Examples
    --------
    >>> quartiles = pd.DataFrame({"n": [30], "quota_attainment_rate_p25": 0.61, "quota_attainment_rate_median": 0.9,
    ...     "quota_attainment_rate_p75": 1.3})
    >>> bands = pd.DataFrame({"n": 30, "n_in_band": [12, 6, 12]})
    >>> distribution_sentence(bands, quartiles)  # doctest: +NORMALIZE_WHITESPACE
    'The middle half of 30 reps won between 61 % and 130 % of quota; 12 reached it, 6 came within a fifth of it and
    12 stayed further below.'
    >>> distribution_sentence(bands, quartiles, brief=True)
    'Of 30 reps with a quota 12 reached it, 12 missed by over a fifth'
    >>> distribution_sentence(bands.assign(n=5, n_in_band=[5, 0, 0]), quartiles.assign(n=5))
    'Of 5 reps with a quota 5 reached it, none came within a fifth of it and none stayed further below.'
    """
    n = int(bands["n"].iloc[0])
    if not n:
        return "No rep has a quota in this period, so how attainment is spread cannot be told."
    reached, near, below = (_number(count) for count in bands["n_in_band"])
    if brief:
        of = f"Of {n} {'rep' if n == 1 else 'reps'} with a quota"
        return f"{of} {reached} reached it, {below} missed by over a fifth"
    counts = f"{reached} reached it, {near} came within a fifth of it and {below} stayed further below"
    if n < checks.MIN_N:
        return f"Of {n} {'rep' if n == 1 else 'reps'} with a quota {counts}."
    low, high = (words.rate(quartiles[f"quota_attainment_rate_{end}"].iloc[0]) for end in ("p25", "p75"))
    return f"The middle half of {n} reps won between {low} and {high} of quota; {counts}."


def pace_sentence(company: pd.DataFrame, usual: pd.DataFrame, *, period: Period, as_of: date) -> str:
    """Whether the company is further with its target than a period usually is by this day.

    Parameters
    ----------
    company
        Of `attainment.attainment_pace` for the company.
    usual
        Of `attainment.usual_share`.
    period, as_of
        The period, and the last day used.

    Examples
    --------
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> row = pd.DataFrame({"quota_attainment_rate": [0.5], "attainment_pace": 1.25, "attainment_pace_low": 1.05,
    ...     "attainment_pace_high": 2.5})
    >>> usual = pd.DataFrame({"n": [8], "usual_by_now_rate": 0.4})
    >>> pace_sentence(row, usual, period=q3, as_of=date(2026, 8, 1))  # doctest: +NORMALIZE_WHITESPACE
    'The company has won 50 % of its target in 2026Q3; at this pace it ends above it: in 8 earlier periods 40 % was
    won by this day.'
    >>> said = pace_sentence(row.assign(attainment_pace_low=0.9), usual, period=q3, as_of=date(2026, 8, 1))
    >>> said.split("; ")[1][:47]
    'as far as periods usually differ, it is on pace'
    >>> pace_sentence(row, usual, period=q3, as_of=date(2026, 9, 30))
    '2026Q3 is over; its pace is its attainment.'
    """
    row, n = company.iloc[0], int(usual["n"].iloc[0])
    if words.is_missing(row["quota_attainment_rate"]):
        return "There is no bookings target for the company in this period, so its pace cannot be told."
    if period.is_complete(as_of):
        return f"{period.label} is over; its pace is its attainment."
    won = f"The company has won {words.rate(row['quota_attainment_rate'])} of its target {period.when}"
    if words.is_missing(row["attainment_pace"]):
        return f"{won}; no earlier period tells how much is usual by this day."
    by_now = f"in {n} earlier {'period' if n == 1 else 'periods'} {words.rate(usual['usual_by_now_rate'].iloc[0])}"
    return f"{won}; {_pace(row)}: {by_now} was won by this day."


def levels_sentence(levels: pd.DataFrame, *, currency: str = "") -> str:
    """Whether the targets of reps, teams and managers add up to the company's.

    Parameters
    ----------
    levels
        Of `attainment.attainment_levels`.
    currency
        Of the amounts.

    Examples
    --------
    >>> table = pd.DataFrame({"level": ["rep", "team", "company"], "quota_amount": [330.0, 300.0, 300.0],
    ...     "quota_gap_amount": [30.0, 0.0, 0.0], "n_summed": [0, 0, 0]})
    >>> levels_sentence(table)  # doctest: +NORMALIZE_WHITESPACE
    "The teams' targets add up to the company's; the reps' quotas add up to 30 more than it (10 %)."
    >>> levels_sentence(table.assign(n_summed=[0, 0, 2]))
    "The company has no target of its own: the sum of people's quotas is used."
    >>> levels_sentence(table[-1:])
    'Only the company has a target.'
    """
    company = levels[levels["level"] == "company"].iloc[0]
    if words.is_missing(company["quota_amount"]):
        return "There is no bookings target for the company in this period, so there is nothing to add up to."
    if company["n_summed"]:
        return "The company has no target of its own: the sum of people's quotas is used."
    rows = levels[(levels["level"] != "company") & levels["quota_amount"].notna() & (levels["n_summed"] == 0)]
    if rows.empty:
        return "Only the company has a target."
    is_even = rows["quota_gap_amount"].abs() < 0.0005 * company["quota_amount"]
    even = [f"the {_LEVELS[name]}" for name in rows.loc[is_even, "level"]]
    said = [f"{' and '.join(even)} add up to the company's"] if even else []
    for row in rows[~is_even].itertuples():
        gap = words.amount(abs(row.quota_gap_amount), currency, compact=bool(currency))
        share = words.rate(abs(row.quota_gap_amount) / company["quota_amount"])
        than = "it" if said else "the company's target"
        side = "more" if row.quota_gap_amount > 0 else "less"
        said.append(f"the {_LEVELS[row.level]} add up to {gap} {side} than {than} ({share})")
    text = "; ".join(said)
    return text[:1].upper() + text[1:] + "."


def source_sentence(managers: pd.DataFrame) -> str:
    """Which targets managers are measured by, so that none counts twice with the reps'.

    Parameters
    ----------
    managers
        Of `attainment.quota_attainment` by manager.

    Examples
    --------
    >>> source_sentence(pd.DataFrame({"manager_id": ["M1", "M2"], "quota_amount": [10.0, 20.0], "n_quotas": [0, 3]}))
    "Of 2 managers 1 has a target for the whole team, which is used; for the other the reps' quotas are added up."
    >>> source_sentence(pd.DataFrame({"manager_id": ["M1", "M2"], "quota_amount": 10.0, "n_quotas": [4, 3]}))
    "No manager has a target for the whole team: the reps' quotas are added up."
    """
    rows = managers[managers["manager_id"].notna() & managers["quota_amount"].notna()]
    own, summed = int((rows["n_quotas"] == 0).sum()), int((rows["n_quotas"] > 0).sum())
    if rows.empty:
        return "No manager leads a rep with a quota."
    if not own:
        return "No manager has a target for the whole team: the reps' quotas are added up."
    if not summed:
        return "Every manager has a target for the whole team; the reps' quotas are not added to it."
    others = "the other" if summed == 1 else f"the other {summed}"
    verb = "has" if own == 1 else "have"
    used = f"{own} {verb} a target for the whole team, which is used"
    return f"Of {len(rows)} managers {used}; for {others} the reps' quotas are added up."


def productivity_sentence(productivity: pd.DataFrame, *, period: Period, currency: str = "") -> str:
    """What a ramped rep wins in a month.

    Parameters
    ----------
    productivity
        Of `attainment.productivity`, all reps together.

    Examples
    --------
    >>> q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
    >>> row = pd.DataFrame({"n": [31], "productivity_amount": 4.1e4, "productivity_amount_low": 3.2e4,
    ...     "productivity_amount_high": 5.2e4})
    >>> productivity_sentence(row, period=q3, currency="USD")
    'A fully ramped rep won $41K a month in 2026Q3 (31 reps; likely between $32K and $52K).'
    >>> productivity_sentence(row[:0], period=q3)
    'No rep was fully ramped in 2026Q3, so what one wins in a month cannot be told.'
    """
    if productivity.empty or words.is_missing(productivity["productivity_amount"].iloc[0]):
        return f"No rep was fully ramped {period.when}, so what one wins in a month cannot be told."
    row = productivity.iloc[0]
    n, value = int(row["n"]), words.amount(row["productivity_amount"], currency, compact=True)
    ends = (row["productivity_amount_low"], row["productivity_amount_high"])
    likely = words.interval(*ends, "amount", currency=currency)
    beside = f"{n} {'rep' if n == 1 else 'reps'}{f'; {likely}' if likely else ''}"
    return f"A fully ramped rep won {value} a month {period.when} ({beside})."


_LEVELS = {
    "rep": "reps' quotas",
    "team": "teams' targets",
    "manager": "managers' targets",
    "region": "regions' targets",
}


def _of(count: int, n: int, who: str) -> str:
    noun = "rep" if n == 1 else "reps"
    if count == n:
        return f"The one {noun} {who} reached it" if n == 1 else f"All {n} {noun} {who} reached it"
    return f"{_number(count).capitalize()} of {n} {noun} {who} reached it"


def _number(count: int) -> str:
    return str(int(count)) if count else "none"


def _pace(row: pd.Series) -> str:
    """Which side of the pace, where the usual range of periods leaves one."""
    low, high = row["attainment_pace_low"], row["attainment_pace_high"]
    if not words.is_missing(low) and low > 1:
        return "at this pace it ends above it"
    if not words.is_missing(high) and high < 1:
        return "at this pace it ends below it"
    if words.is_missing(low) and words.is_missing(high):
        return f"that is {words.ratio(row['attainment_pace'])} of the usual pace"
    return "as far as periods usually differ, it is on pace"
