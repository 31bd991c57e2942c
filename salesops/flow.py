"""Flow: where deals go from each stage, and where those that stand there today end up."""

import numpy as np
import pandas as pd

from salesops import checks, pipeline, words
from salesops.periods import Period
from salesops.stats import groups, multistate
from salesops.stays import ENDS, Stays, coded, counted

_DAY = pd.Timedelta(days=1)
_GROUPS = 50  # of companies, of which each is left out in turn: the error is then known to a tenth


def transitions(
    visits: pd.DataFrame, *, period: Period, by: str | None = None, confidence: float = 0.95
) -> pd.DataFrame:
    """Where deals go next from each stage: to which other stage, to a win or to a loss.

    ``transition_rate = sum over days u of S(u-) d(u) / n(u)`` on the clock of the stay: the ways out
    compete, stays that still go on are censored, and those already under way when the history
    begins enter at their age. A stay counts each time, so a stage that is entered again counts again; a
    loss or win that was taken back is a move to the stage that followed. What the rates of a stage
    lack to 1 is not known yet.

    Parameters
    ----------
    visits
        Of `journey.stage_visits`, with `by`, and ``account_id`` where deals of a company belong together.
    period
        When the stay began; of those under way when the history began, when they were first seen.
    by
        Column to group on; a missing value is a group.
    confidence
        Level of the interval.

    Returns
    -------
    DataFrame
        One row per pipeline, stage in order, group and way out that any deal has taken: ``stage``,
        ``pipeline``, `by`, ``next`` (a stage, won or lost; a stage of another pipeline with its name), ``n`` (stays),
        ``n_moves`` (by this way), ``n_still_there``, ``transition_rate`` and its limits. A group whose
        stays at a stage all go on has no rate.

    Metrics
    -------
    transition_rate : rate, stage_entered, none, -, changed_at
        Of the stays in a stage that began in the period, probability that the deal goes there next, the other ways
        out competing and stays still going on censored.

    References
    ----------
    Aalen & Johansen (1978), Scand. J. Statist. 5:141-150; Wolter (2007), Introduction to Variance
    Estimation, ch. 4: each of at most 50 groups of companies left out in turn.

    Examples
    --------
    >>> day = pd.to_datetime
    >>> visits = pd.DataFrame({
    ...     "opportunity_id": ["A", "A", "B", "C"], "visit": [1, 2, 1, 1], "pipeline": "new",
    ...     "stage": ["Qualify", "Propose", "Qualify", "Qualify"], "position": [1, 2, 1, 1],
    ...     "entered_at": day(["2026-07-01", "2026-07-05", "2026-07-01", "2026-07-10"]),
    ...     "exited_at": day(["2026-07-05", "2026-07-20", "2026-07-09", None]),
    ...     "exit": ["forward", "won", "lost", "still_there"], "days": [4.0, 15.0, 8.0, 2.0],
    ... })
    >>> july = Period("2026-07", pd.Timestamp("2026-07-01").date(), pd.Timestamp("2026-07-31").date())
    >>> transitions(visits, period=july)[["stage", "next", "n", "n_moves", "transition_rate"]]
         stage     next  n  n_moves  transition_rate
    0  Qualify  Propose  3        1              0.5
    1  Qualify      won  3        0              0.0
    2  Qualify     lost  3        1              0.5
    3  Propose      won  1        1              1.0
    4  Propose     lost  1        0              0.0
    """
    by = None if by in ("stage", "pipeline") else by  # every stage has its rows as it is
    stays = counted(visits, [by] if by else [])
    rows = stays.rows[period.contains(stays.rows["entered_at"]) & stays.rows["entry"].notna()]
    table = groups.tables_of_each(rows, by, lambda piece: _ways(stays, piece, confidence))
    ever = table.groupby(["from", "to"])["n_moves"].transform("sum") > 0
    table = table[ever | (table["to"] >= len(stays.states))].sort_values("from", kind="stable")
    keys = ["stage", "pipeline", *([by] if by else []), "next"]
    figures = ["n", "n_moves", "n_still_there", "transition_rate", "transition_rate_low", "transition_rate_high"]
    return pipeline.dated(table[[*keys, *figures]].reset_index(drop=True), period, after=keys)


def outlook(
    visits: pd.DataFrame, *, period: Period, days: int = 90, by: str | None = "stage", confidence: float = 0.95
) -> pd.DataFrame:
    """Where the deals that are open now end up: won, lost or still open after some days, and won in the end.

    Each deal goes on from the stage it stands in, given how long it has been there; the next stages
    begin anew, moves back and re-entry included. The pace is that of the moves made in `period`,
    stays under way at its start entering at their age; from the day on at which the last 20 moves of a
    stage lie its pace is their mean. The interval holds the share there will be: it adds the chance of each deal
    to what the deals of companies, at most 50 groups of them left out in turn, leave unknown of the pace.

    Known bias: deals are taken to differ by stage and time in it only, and to go on as others lately did. Deals of one
    company are taken to end independently of each other, so the interval is too short where they do not.

    Parameters
    ----------
    visits
        Of `journey.stage_visits`, with `by`, and ``account_id`` where deals of a company belong together.
    period
        Whose moves set the pace; up to the last day of data.
    days
        How far ahead.
    by
        Column to group the open deals on: their stage, another column, or none for one row.
    confidence
        Level of the intervals.

    Returns
    -------
    DataFrame
        One row per group (every stage has one): `by` (with ``pipeline`` for stages), ``n`` (open deals), ``n_moves``
        (of the period, out of those stages), ``days`` (ahead), ``outlook_won_rate``, ``outlook_lost_rate``,
        ``outlook_open_rate`` and ``outlook_final_win_rate`` with their limits. No rates where nobody is open, or where
        fewer than 20 moves tell the pace of those stages.

    Metrics
    -------
    outlook_won_rate : rate, snapshot, higher, -, changed_at
        Of the deals open now, share expected to be won within the days ahead, from their stage and time in it.
    outlook_lost_rate : rate, snapshot, lower, -, changed_at
        Of the deals open now, share expected to be lost within the days ahead.
    outlook_open_rate : rate, snapshot, none, -, changed_at
        Of the deals open now, share expected to be open still after the days ahead.
    outlook_final_win_rate : rate, snapshot, higher, -, changed_at
        Of the deals open now, share expected to be won in the end.

    References
    ----------
    Andersen, Borgan, Gill & Keiding (1993), Statistical Models Based on Counting Processes, X.1.

    Examples
    --------
    >>> visits = pd.DataFrame({
    ...     "opportunity_id": [f"d{number}" for number in range(41)], "visit": 1, "pipeline": "new", "stage": "Propose",
    ...     "position": 1, "entered_at": pd.to_datetime("2026-07-01"), "days": 10.0,
    ...     "exited_at": pd.to_datetime(["2026-07-11"] * 40 + [None]),
    ...     "exit": ["won"] * 10 + ["lost"] * 30 + ["still_there"],
    ... })
    >>> july = Period("2026-07", pd.Timestamp("2026-07-01").date(), pd.Timestamp("2026-07-31").date())
    >>> outlook(visits, period=july, days=30)[["stage", "n", "outlook_won_rate", "outlook_lost_rate"]]
         stage  n  outlook_won_rate  outlook_lost_rate
    0  Propose  1              0.25               0.75
    """
    keys = {"stage": ["stage", "pipeline"], None: []}.get(by, [by])
    stays = counted(visits, [by] if by not in ("stage", None) else [])
    futures, moves, n_groups = _futures(stays, period, days)
    standing = stays.rows[stays.rows["to"] < 0]
    if by == "stage":
        table, group = stays.states[keys], standing["from"].to_numpy()
    else:
        group, firsts = coded(standing, keys)
        table = standing[keys].iloc[firsts].reset_index(drop=True) if keys else pd.DataFrame(index=[0])
    met = pd.DataFrame({"group": group, "from": standing["from"]}).drop_duplicates()
    met = pd.DataFrame({"group": table.index, "from": table.index}) if by == "stage" else met
    told = np.bincount(met["group"], moves[met["from"]], minlength=len(table)).astype(int)
    figures = _expected(futures, standing, group, len(table), n_groups, confidence)
    figures[told < checks.MIN_N] = np.nan
    table = table.assign(n=np.bincount(group, minlength=len(table)), n_moves=told, days=days).join(figures)
    table = table if by == "stage" else table.sort_values(["n", *keys], ascending=[False, *[True] * len(keys)])
    return pipeline.dated(table.reset_index(drop=True), period, after=keys)


def outlook_sentence(table: pd.DataFrame) -> str:
    """How the open deals will end, from `outlook` without groups.

    Examples
    --------
    >>> row = pd.DataFrame({
    ...     "n": [240], "days": 90, "outlook_won_rate": 0.31, "outlook_won_rate_low": 0.26,
    ...     "outlook_won_rate_high": 0.36, "outlook_lost_rate": 0.4, "outlook_final_win_rate": 0.38,
    ... })
    >>> outlook_sentence(row)
    'Of the 240 deals open now in a known stage, 31 % can be expected to be won within 90 days (likely between 26 % \
and 36 %) and 40 % to be lost; 38 % can be expected to be won in the end.'
    >>> outlook_sentence(row.assign(n=3))
    '3 deals are open: too few to say how they will end.'
    """
    row = table.iloc[0]
    if row["n"] == 0:
        return "No deal is open."
    if row["n"] < checks.MIN_N:
        deals = "1 deal is" if row["n"] == 1 else f"{words.count(row['n'])} deals are"
        return f"{deals} open: too few to say how {'it' if row['n'] == 1 else 'they'} will end."
    if words.is_missing(row["outlook_won_rate"]):
        return f"Too few deals have left their stages to say how the {words.count(row['n'])} deals open now will end."
    limits = words.interval(row["outlook_won_rate_low"], row["outlook_won_rate_high"], "rate")
    won, lost, final = (words.rate(row[f"outlook_{name}_rate"]) for name in ("won", "lost", "final_win"))
    share = f"{won} can be expected to be won within {words.duration(row['days'])}{f' ({limits})' if limits else ''}"
    soon = f"Of the {words.count(row['n'])} deals open now in a known stage, {share} and {lost} to be lost"
    return f"{soon}; {final} can be expected to be won in the end."


def _ways(stays: Stays, rows: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Every way from every state: its stays, its moves and its share."""
    group, n_groups, company = multistate.group_numbers(rows["company"], most=_GROUPS)
    leaving = multistate.leavings(
        rows["from"], rows["to"], rows["time"], entry=rows["entry"], group=group, n_groups=n_groups, **stays.numbers
    )
    n, n_ways = len(stays.states), len(stays.states) + len(ENDS)
    shares = [multistate.next_shares(*(multistate.deleted(part) for part in counts)) for counts in leaving]
    shares = np.stack(shares, axis=1).reshape(-1, n * n_ways) if n else np.zeros((1, 0))
    met = pd.DataFrame({"from": rows["from"], "company": company}).drop_duplicates()["from"]
    least = np.repeat(np.bincount(met, minlength=n), n_ways)
    error = multistate.jackknife_error(shares)
    low, high = multistate.share_limits(shares[0], error, n_groups=n_groups, least=least, confidence=confidence)
    moved = rows[rows["to"] >= 0]
    here, there = (part.ravel() for part in np.indices((n, n_ways)))
    return pd.DataFrame({
        "from": here, "to": there, **{name: stays.states[name].array[here] for name in ("stage", "pipeline")},
        "next": _names(stays.states, here, there), "n": np.bincount(rows["from"], minlength=n)[here],
        "n_moves": np.bincount(moved["from"] * n_ways + moved["to"], minlength=n * n_ways),
        "n_still_there": np.bincount(rows["from"][rows["to"] < 0], minlength=n)[here],
        "transition_rate": shares[0], "transition_rate_low": low, "transition_rate_high": high,
    })  # fmt: skip


def _names(states: pd.DataFrame, here: np.ndarray, there: np.ndarray) -> list[str]:
    stages, pipelines = states["stage"].tolist(), [words.group(name) for name in states["pipeline"]]
    own = [
        ENDS[to - len(stages)] if to >= len(stages)
        else stages[to] if pipelines[to] == pipelines[at] else f"{stages[to]} ({pipelines[to]})"
        for at, to in zip(here, there, strict=True)
    ]  # fmt: skip
    return own


def _futures(stays: Stays, period: Period, days: int) -> tuple[list[np.ndarray], np.ndarray, int]:
    """Chances by state and time in it (won, lost, open, won in the end), of all and without each group of companies."""
    if stays.states.empty:
        return [np.zeros((0, 1, 4))], np.zeros(0, dtype=int), 1
    rows = stays.rows[stays.rows["entry"].notna()]
    began = rows["entered_at"].dt.normalize() - pd.to_timedelta(rows["entry"], unit="D")
    limits = pd.Timestamp(period.start), pd.Timestamp(period.end) + _DAY
    opens, closes = (((limit - began) / _DAY).to_numpy(dtype=int) for limit in limits)
    time, entry = rows["time"].to_numpy(), np.maximum(rows["entry"].to_numpy(), opens)
    to = np.where(time < closes, rows["to"], -1)
    group, n_groups, _ = multistate.group_numbers(rows["company"], most=_GROUPS)
    leaving = multistate.leavings(
        rows["from"], to, np.minimum(time, closes), entry=entry, group=group, n_groups=n_groups, **stays.numbers
    )
    moves, at_risk = [], []
    for counts in leaving:
        moves.append(multistate.deleted(counts.moves))
        at_risk.append(multistate.deleted(counts.at_risk))
    found = []
    for part in range(n_groups + 1 if n_groups > 1 else 1):
        ahead = multistate.outlook([each[part] for each in moves], [each[part] for each in at_risk], horizon=days)
        is_open = 1 - ahead.within.sum(axis=-1, keepdims=True)
        found.append(np.concatenate([ahead.within, is_open, ahead.finally_[..., :1]], axis=-1))
    return found, np.array([each[0].sum() for each in moves], dtype=int), n_groups


def _expected(
    futures: list[np.ndarray], standing: pd.DataFrame, group: np.ndarray, size: int, n_groups: int, confidence: float
) -> pd.DataFrame:
    """Mean chances of the deals of each group, with limits that hold the share there will be."""
    counted = standing[["from", "time"]].assign(group=group).value_counts(sort=False).reset_index()
    state, age, number, count = (counted[name].to_numpy(dtype=int) for name in ("from", "time", "group", "count"))
    n = np.bincount(number, count, minlength=size)[:, None]
    means, own = [], 0.0
    for part, chances in enumerate(futures):
        each = np.clip(chances[state, np.minimum(age, chances.shape[1] - 1)], 0, 1)  # a sum may round beyond
        means.append(_sums(each * count[:, None], number, size) / np.where(n > 0, n, np.nan))
        own = own if part else _sums(each * (1 - each) * count[:, None], number, size) / np.where(n > 0, n, np.nan) ** 2
    means = np.stack(means)
    error = np.sqrt(multistate.jackknife_error(means) ** 2 + own)
    least = np.broadcast_to(n, means[0].shape)
    low, high = multistate.share_limits(means[0], error, n_groups=n_groups, least=least, confidence=confidence)
    names = [f"outlook_{name}_rate" for name in ("won", "lost", "open", "final_win")]
    parts = {"": means[0], "_low": low, "_high": high}
    return pd.DataFrame({f"{name}{end}": part[:, at] for at, name in enumerate(names) for end, part in parts.items()})


def _sums(values: np.ndarray, number: np.ndarray, size: int) -> np.ndarray:
    return np.column_stack([np.bincount(number, column, minlength=size) for column in values.T])
