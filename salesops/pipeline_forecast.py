"""Pipeline forecast: where the quarter will land, from the deals won, the deals open and those still to come.

The quarter is played through some thousand times: each open deal is won or not with its chance
(`win_chances`), for its amount changed as amounts did before; deals not created yet come as they came in
this week of past quarters. What is not known of the chances, and how far whole quarters went
better or worse than their deals promised, differs from play to play.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit

from salesops import win_chances, words
from salesops.forecast_cases import Case
from salesops.stats import repeated
from salesops.stats.covariance import square_root
from salesops.win_chances import Learnt

DRAWS = 5_000
MODEL = "pipeline"  # its name among the methods
LEVEL = 0.80  # of the interval: from the 10th to the 90th of a hundred plays
_WORLDS = 200  # draws of what is not known; each is played so many times
_OWN_WEIGHT = 20  # wins from which a stage's own changes of amount count as much as those of all stages
_CHANGES = (0.1, 10.0)  # final over known amount: beyond them one of the two is a slip of the pen
_CALM, _FARTHEST = 12, 9.0  # quarters that fell as far as they should, counted in; most one quarter counts
_LEARNT = 2  # quarters' worth of distance taken up by learning chances and amounts from the same quarters
_CHUNK = 2_000_000  # random numbers held at once
ToCome = Callable[[Case], pd.Series | None]

_MIDDLE = 0.05  # on either side of the median: the plays that say what it is made of


class Outlook(NamedTuple):
    """The quarter played through many times: amounts play by play, and the wins among the open deals one by one."""

    case: Case
    total: np.ndarray
    open: np.ndarray
    late: np.ndarray
    n_late: np.ndarray
    play: np.ndarray  # of each win
    deal: np.ndarray  # its row in ``case.now``
    amount: np.ndarray
    chance: np.ndarray  # of each open deal in each world: worlds by deals
    stretch: float
    n_quarters: int


def outlook(
    case: Case, *, draws: int = DRAWS, seed: int = 0, learn=win_chances.learn, to_come: ToCome | None = None
) -> Outlook | None:
    """The quarter played through; None where past quarters teach too little.

    The distance of each play from the median is then stretched by the square root of
    ``(12 + sum z ** 2) / (12 + n - 2)``, ``z`` being how far each of the ``n`` past quarters fell from what its deals
    and those to come promised at this week, in standard deviations (at most 3); two less because chances and amounts
    were learnt from the same quarters, which therefore lie nearer to them than the next one will.

    Parameters
    ----------
    case
        Of `forecast_cases.cases` or `case_of`.
    draws, seed
        How many plays, and the seed of their chance.
    learn
        `win_chances.learn`, or `win_chances.tabled`.
    to_come
        What the deals not created yet follow: a function that of a case gives a series by quarter's label, past ones
        and its own, such as `deals_to_come.follower`. The deals created in 91 days, where empty or None is given.

    References
    ----------
    van Houwelingen (2007), Scand. J. Statist. 34:70-85; Wedderburn (1974), Biometrika 61:439-447 (over-dispersion).

    Examples
    --------
    >>> from datetime import date
    >>> from salesops import forecast_cases, periods
    >>> from salesops.crm import sample
    >>> tables, day = sample.tables(size=2000, years=3, clean=True), date(2026, 7, 28)
    >>> case = forecast_cases.case_of(tables["opportunities"], tables["stage_history"], stages=tables["stages"],
    ...                               period=periods.quarter(day), cutoff=day)
    >>> found = outlook(case)
    >>> len(found.total), found.n_quarters, found.chance.shape
    (5000, 10, (200, 120))
    """
    learnt = learn(case)
    if learnt is None:
        return None
    random = np.random.default_rng(seed)
    level = repeated.next_level(learnt.levels, _WORLDS, seed=seed)
    chance, world = _chances(learnt, level, random), np.arange(draws) % _WORLDS
    play, deal = _wins(chance, world, random)
    amount = _final_amounts(case, learnt, deal, random)
    opened = np.bincount(play, amount, draws)
    expected = _late_expected(case, learnt, None if to_come is None else to_come(case))
    late, n_late = _late(expected, (level - level.mean())[world], random)
    stretch = _stretch(case, learnt, expected, level.std())
    rest, middle = opened + late, np.median(opened + late)
    total = case.won_so_far + np.maximum(middle + stretch * (rest - middle), np.minimum(rest, 0))
    return Outlook(case, total, opened, late, n_late, play, deal, amount, chance, stretch, len(learnt.quarters))


def pipeline(case: Case, *, seed: int = 0, to_come: ToCome | None = None) -> np.ndarray:
    """Draws of the quarter's bookings by `outlook`: a method for the backtest; one missing draw where it is None.

    Examples
    --------
    >>> nothing = pd.DataFrame(columns=[*win_chances.NEEDED, "is_won_in_period"])
    >>> case = type("Empty", (), {"week": 1, "now": nothing, "past": nothing})()
    >>> pipeline(case, seed=0)
    array([nan])
    """
    found = outlook(case, seed=seed, to_come=to_come)
    return np.full(1, np.nan) if found is None else found.total


def stage_table(case: Case, *, seed: int = 0, to_come: ToCome | None = None) -> np.ndarray:
    """The same with the chances of `win_chances.landmark_table`, which can be looked up by hand.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> nothing = pd.DataFrame(columns=[*win_chances.NEEDED, "is_won_in_period"])
    >>> stage_table(SimpleNamespace(week=1, now=nothing, past=nothing), seed=0)
    array([nan])
    """
    found = outlook(case, seed=seed, learn=win_chances.tabled, to_come=to_come)
    return np.full(1, np.nan) if found is None else found.total


def landing(
    case: Case,
    found: Outlook | None,
    *,
    target: float | None = None,
    commit: float | None = None,
    draws: np.ndarray | None = None,
    model: str = MODEL,
    currency: str = "",
) -> pd.DataFrame:
    """Where the quarter will land, with the interval that four of five quarters keep, and the chances of the plan.

    Known bias: the middle of a lopsided range lies below its mean, so over many quarters the sum of the
    middles is some hundredths below the sum of the bookings.

    Parameters
    ----------
    case, found
        The case, and its `outlook`.
    target, commit
        Amounts to reach, where there are any.
    draws, model
        Draws of the quarter's bookings by the method that is used, and its name; those of `found` if empty.
    currency
        Of the amounts, kept with them.

    Returns
    -------
    DataFrame
        One row: ``period``, ``period_start``, ``period_end``, ``model``, ``currency``, ``cutoff_date``, ``week``,
        ``n`` (open deals), ``n_quarters`` (past quarters learnt from), ``won_so_far_amount``, ``landing_amount`` with
        limits at ``level``, ``bookings_target_amount``, ``target_probability``, ``commit_amount``,
        ``commit_probability``, ``interval_stretch_ratio`` (of `found`). What is forecast is missing where there is no
        outlook; of a single draw there are neither limits nor chances.

    Metrics
    -------
    won_so_far_amount : amount, close_date, higher, -, is_won close_date amount
        Amount of the deals known as won by the evening, with a close date in the quarter.
    landing_amount : amount, close_date, higher, -, is_won close_date amount
        Bookings of the quarter that are as likely to be passed as to be missed: the median over all plays.
    bookings_target_amount : amount, close_date, none, -, amount
        Bookings the plan asks for.
    target_probability : rate, close_date, higher, -, is_won close_date amount
        Share of the plays in which the quarter's bookings reach the target.
    commit_amount : amount, close_date, none, -, amount
        Bookings that sales leaders committed to.
    commit_probability : rate, close_date, higher, -, is_won close_date amount
        Share of the plays in which the quarter's bookings reach the commit.
    interval_stretch_ratio : ratio, close_date, none, -, is_won close_date amount
        Factor by which the interval was made wider (above 1) because past quarters fell farther than simulated.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> q3 = SimpleNamespace(label="2026Q3", start=pd.Timestamp("2026-07-01"), end=pd.Timestamp("2026-09-30"))
    >>> case = SimpleNamespace(period=q3, cutoff=pd.Timestamp("2026-06-30"), week=1, now=[0] * 40, won_so_far=0.0)
    >>> found = SimpleNamespace(total=np.arange(101.0), stretch=1.0, n_quarters=12)
    >>> row = landing(case, found, target=75.0).iloc[0]
    >>> [round(float(row[name])) for name in ("n", "landing_amount", "landing_amount_low", "landing_amount_high")]
    [40, 50, 10, 90]
    >>> round(float(row["target_probability"]), 3), float(row["commit_probability"])
    (0.257, nan)
    """
    total = (np.full(1, np.nan) if found is None else found.total) if draws is None else np.asarray(draws, dtype=float)
    low, middle, high = np.quantile(total, [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2])
    low, high = (low, high) if len(total) > 1 else (np.nan, np.nan)
    period = case.period
    return pd.DataFrame([{
        "period": period.label, "period_start": period.start, "period_end": period.end, "model": model,
        "currency": currency, "cutoff_date": case.cutoff, "week": case.week, "n": len(case.now),
        "n_quarters": 0 if found is None else found.n_quarters, "won_so_far_amount": case.won_so_far,
        "landing_amount": middle, "landing_amount_low": low, "landing_amount_high": high, "level": LEVEL,
        "bookings_target_amount": _number(target), "target_probability": _reached(total, target),
        "commit_amount": _number(commit), "commit_probability": _reached(total, commit),
        "interval_stretch_ratio": np.nan if found is None or draws is not None else found.stretch,
    }])  # fmt: skip


def landing_parts(found: Outlook | None) -> pd.DataFrame:
    """What the landing is made of: won so far, open deals stage by stage, deals to be created.

    The mean over the tenth of all plays that end nearest to the median, and brought to it exactly by one factor for
    all that is not won yet; so the parts sum to ``landing_amount``.

    Parameters
    ----------
    found
        Of `outlook`; no rows without one.

    Returns
    -------
    DataFrame
        One row per part, in the order of a waterfall: ``part`` (won, open, to be created), ``stage`` (of open
        deals), ``n`` (deals won, open; missing for those to be created), ``landing_part_amount``.

    Metrics
    -------
    landing_part_amount : amount, close_date, none, -, is_won close_date amount
        What the part adds to the landing of the quarter.

    Examples
    --------
    >>> from datetime import date
    >>> from salesops import forecast_cases, periods
    >>> from salesops.crm import sample
    >>> tables, day = sample.tables(size=2000, years=3, clean=True), date(2026, 7, 28)
    >>> case = forecast_cases.case_of(tables["opportunities"], tables["stage_history"], stages=tables["stages"],
    ...                               period=periods.quarter(day), cutoff=day)
    >>> found = outlook(case)
    >>> parts = landing_parts(found)
    >>> parts["part"].value_counts().to_dict()
    {'open': 9, 'won': 1, 'to be created': 1}
    >>> bool(np.isclose(parts["landing_part_amount"].sum(), landing(case, found)["landing_amount"].iloc[0]))
    True
    """
    if found is None:
        return pd.DataFrame({"part": [], "stage": [], "n": [], "landing_part_amount": []})
    case, total = found.case, found.total
    low, high = np.quantile(total, [0.5 - _MIDDLE, 0.5 + _MIDDLE])
    near = (total >= low) & (total <= high)
    by_deal = np.bincount(found.deal, found.amount * near[found.play], len(case.now)) / near.sum()
    stages = case.now[["stage", "position"]].assign(amount=by_deal, n=1).groupby("stage", dropna=False, sort=False)
    stages = stages.agg(n=("n", "size"), amount=("amount", "sum"), position=("position", "min")).reset_index()
    stages = stages.sort_values("position", kind="stable")
    rest = np.r_[stages["amount"], found.late[near].mean()]
    rest = rest * ((np.median(total) - case.won_so_far) / rest.sum() if rest.sum() > 0 else 0.0)
    won = int(case.period.contains(case.won["close_date"]).sum())
    return pd.DataFrame({
        "part": ["won", *["open"] * len(stages), "to be created"],
        "stage": pd.Series([None, *stages["stage"], None], dtype="str"),
        "n": pd.Series([won, *stages["n"], np.nan], dtype=float),
        "landing_part_amount": np.r_[case.won_so_far, rest],
    })  # fmt: skip


def landing_sentence(row: pd.Series, *, currency: str = "", brief: bool = False) -> str:
    """Where the quarter will land, or why that cannot be said; without what is won where `brief`, as a title.

    Parameters
    ----------
    row
        Of `landing`.

    Examples
    --------
    >>> row = pd.Series({"period": "2026Q3", "n": 260, "n_quarters": 12, "won_so_far_amount": 1.2e6,
    ...     "landing_amount": 3.1e6, "landing_amount_low": 2.6e6, "landing_amount_high": 3.8e6})
    >>> landing_sentence(row, currency="USD")  # doctest: +NORMALIZE_WHITESPACE
    '2026Q3 will land at about $3.1M, in four of five cases between $2.6M and $3.8M; $1.2M of it is won.'
    >>> aimed = pd.concat([row, pd.Series({"bookings_target_amount": 4e6, "target_probability": 0.02})])
    >>> landing_sentence(aimed, currency="USD")  # doctest: +NORMALIZE_WHITESPACE
    '2026Q3 will land at about $3.1M, in four of five cases between $2.6M and $3.8M; $1.2M of it is won. The chance of
    reaching the target of $4.0M in 2026Q3 is 2 %.'
    >>> landing_sentence(row, currency="USD", brief=True)
    '2026Q3 will land at about $3.1M, in four of five cases between $2.6M and $3.8M'
    >>> landing_sentence(row.replace(3.1e6, np.nan), currency="USD")  # doctest: +NORMALIZE_WHITESPACE
    'Too little is on record of past quarters to say from the open deals where 2026Q3 will land; $1.2M is won.'
    """
    won = words.amount(row["won_so_far_amount"], currency, compact=True)
    is_any, nothing = bool(row["won_so_far_amount"]), "nothing is won yet"
    if pd.isna(row["landing_amount"]):
        few = f"Too little is on record of past quarters to say from the open deals where {row['period']} will land"
        brief_few = f"Where {row['period']} will land cannot be said from the open deals"
        return brief_few if brief else f"{few}; {f'{won} is won' if is_any else nothing}."
    middle = words.amount(row["landing_amount"], currency, compact=True)
    ends = row["landing_amount_low"], row["landing_amount_high"]
    limits = words.interval(*ends, "amount", currency=currency, level=LEVEL)
    lands = ", ".join(filter(None, [f"{row['period']} will land at about {middle}", limits]))
    if brief:
        return lands
    plans = plan_sentence(row, currency=currency)
    return " ".join(filter(None, [f"{lands}; {f'{won} of it is won' if is_any else nothing}.", plans]))


def plan_sentence(row: pd.Series, *, currency: str = "") -> str:
    """How likely the target and the commit are reached; nothing where there is neither.

    Examples
    --------
    >>> row = pd.Series({"period": "2026Q3", "won_so_far_amount": 1.2e6, "bookings_target_amount": 3.5e6,
    ...     "target_probability": 0.24, "commit_amount": 2.9e6, "commit_probability": 0.71})
    >>> plan_sentence(row, currency="USD")
    'The chance of reaching the target of $3.5M in 2026Q3 is 24 %, and of reaching the commit of $2.9M 71 %.'
    >>> plan_sentence(row.replace({3.5e6: 1.1e6, 0.71: 0.001}), currency="USD")  # doctest: +NORMALIZE_WHITESPACE
    'The target of $1.1M in 2026Q3 is reached already, and the chance of reaching the commit of $2.9M is under one in a
    hundred.'
    >>> plan_sentence(row.mask(row.index.isin(["target_probability", "commit_probability"])))
    ''
    """
    said = [_plan_part(row, name, key, currency) for name, key in _PLANS if not pd.isna(row.get(f"{name}_probability"))]
    if not said:
        return ""
    (what, is_reached, chance), *others = said
    stated = (
        f"The {what} in {row['period']} is reached already"
        if is_reached
        else (f"The chance of reaching the {what} in {row['period']} is {chance}")
    )
    for other, is_reached_too, other_chance in others:
        if is_reached_too:
            stated += f", and the {other} is reached already"
        elif is_reached:
            stated += f", and the chance of reaching the {other} is {other_chance}"
        else:
            stated += f", and of reaching the {other} {other_chance}"
    return f"{stated}."


def parts_sentence(parts: pd.DataFrame, *, currency: str = "", is_used: bool = True, brief: bool = False) -> str:
    """What the landing is made of; the sums alone where `brief`, as a title.

    Examples
    --------
    >>> parts = pd.DataFrame({"part": ["won", "open", "open", "to be created"], "n": [20, 100, 60, np.nan],
    ...     "landing_part_amount": [1.2e6, 4e5, 9e5, 1e5]})
    >>> parts_sentence(parts, currency="USD")
    'Of it $1.2M is won, $1.3M is expected of the 160 open deals and $100K of deals not created yet.'
    >>> parts_sentence(parts, currency="USD", brief=True)
    '$1.2M won, $1.3M expected of the 160 open deals, $100K of deals not created yet'
    >>> parts_sentence(parts, currency="USD", is_used=False)[:40]
    'Deal by deal, of $2.6M $1.2M is won, $1.'
    """
    if parts.empty:
        return "What the landing is made of cannot be said."
    sums = parts.groupby("part")[["n", "landing_part_amount"]].sum().reindex(["won", "open", "to be created"])
    won, opened, late = (words.amount(each, currency, compact=True) for each in sums["landing_part_amount"].fillna(0))
    n = sums["n"].fillna(0)["open"]
    deals = "no open deals" if n == 0 else "the one open deal" if n == 1 else f"the {words.count(n)} open deals"
    whole = words.amount(parts["landing_part_amount"].sum(), currency, compact=True)
    of = "Of it" if is_used else f"Deal by deal, of {whole}"
    if brief:
        return f"{won} won, {opened} expected of {deals}, {late} of deals not created yet"
    return f"{of} {won} is won, {opened} is expected of {deals} and {late} of deals not created yet."


_PLANS = (("target", "bookings_target_amount"), ("commit", "commit_amount"))


def _plan_part(row: pd.Series, name: str, key: str, currency: str) -> tuple[str, bool, str]:
    chance = row[f"{name}_probability"]
    told = words.chance(chance)
    what = f"{name} of {words.amount(row[key], currency, compact=True)}"
    return what, bool(row["won_so_far_amount"] >= row[key]), told


def _number(amount: float | None) -> float:
    return np.nan if amount is None else float(amount)


def _reached(total: np.ndarray, amount: float | None) -> float:
    known = amount is not None and not np.isnan(amount) and len(total) > 1 and not np.isnan(total).any()
    return float((total >= amount).mean()) if known else np.nan


def _chances(learnt: Learnt, level: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Chance of each open deal in each world.

    What is not known of the coefficients leaves the mean chance as estimated; a quarter's level does not, because
    quarters that go well gain more than those that go badly lose, and the estimates hold both.
    """
    root = square_root(learnt.covariance)
    half = random.standard_normal((len(root), len(level) // 2))
    moved = learnt.columns @ (root @ np.hstack([half, -half]))
    odds = learnt.odds + level.mean()
    # Log odds that vary have a mean chance nearer to one half: to second order, by half the variance.
    odds = odds - moved.var(axis=1) * (0.5 - expit(odds))
    return expit(odds + moved.T + (level - level.mean())[:, None])


def _wins(chance: np.ndarray, world: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Play and deal of every win."""
    size = max(1, _CHUNK // max(chance.shape[1], 1))
    plays, deals = [], []
    for first in range(0, len(world), size):
        part = chance[world[first : first + size]]
        won = np.flatnonzero(random.random(part.shape, dtype=np.float32) < part)
        play, deal = np.divmod(won, max(part.shape[1], 1))
        plays.append(play + first)
        deals.append(deal)
    return np.concatenate(plays), np.concatenate(deals)


def _past_changes(case: Case, learnt: Learnt) -> tuple[np.ndarray, pd.Series, float]:
    """Final over known amount of the past wins near this week, their stage, and the usual final amount."""
    near = np.abs(case.past["week"].to_numpy() - learnt.week) <= win_chances.REACH
    rows = np.flatnonzero(near & case.past["is_won_in_period"].to_numpy(dtype=bool))
    known, final = (case.past[name].to_numpy(dtype=float, na_value=np.nan)[rows] for name in ("amount", "won_amount"))
    usable = (known > 0) & (final > 0)
    paid = final[final > 0]
    ratio = np.clip(final[usable] / known[usable], *_CHANGES)
    return ratio, case.past["stage"].take(rows[usable]), paid.mean() if len(paid) else 0.0


def _final_amounts(case: Case, learnt: Learnt, deal: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Amount of each win: that known, changed as one of the past wins' of its stage or, where few, of any stage."""
    ratio, stage, usual = _past_changes(case, learnt)
    known = case.now["amount"].to_numpy(dtype=float, na_value=np.nan)
    known = np.where(known > 0, known, usual)[deal]
    if not len(ratio):
        return known
    codes, _ = pd.factorize(pd.concat([stage, case.now["stage"]]), use_na_sentinel=False)
    then, now = codes[: len(ratio)], codes[len(ratio) :].astype(np.int16)[deal]  # short numbers are sorted faster
    picked = ratio[random.integers(0, len(ratio), len(deal))]
    order, ends = np.argsort(now, kind="stable"), np.cumsum(np.bincount(now))
    for code in np.flatnonzero(np.diff(ends, prepend=0)):
        own = ratio[then == code]
        mine = order[ends[code - 1] if code else 0 : ends[code]]
        mine = mine[random.random(len(mine)) < len(own) / (len(own) + _OWN_WEIGHT)]
        picked[mine] = own[random.integers(0, len(own), len(mine))] if len(mine) else []
    return known * picked


class _Late(NamedTuple):
    """Late wins expected in each past quarter and in this one, and the amounts of all past ones."""

    past: np.ndarray
    now: float
    amounts: np.ndarray


def _late_expected(case: Case, learnt: Learnt, said: pd.Series | None) -> _Late:
    """As many as before for each deal created of late or, where something is said, for each that it expects."""
    past = case.late[case.late["week"] == learnt.week].set_index("period").reindex(learnt.quarters).fillna(0.0)
    made = case.late_deals
    amounts = made.loc[made["week"] == learnt.week, "amount"].dropna().to_numpy(dtype=float)
    base, now = (past["n_created"], case.n_created) if said is None else (said.reindex(past.index), said.iloc[-1])
    known = base.notna()
    rate = past["n"][known].sum() / (base[known].sum() or 1.0)
    # A quarter of which nothing is said is taken for a usual one.
    return _Late(rate * base.fillna(base.mean()).to_numpy(dtype=float), float(rate * now), amounts)


def _late(expected: _Late, level: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Amount and number of the wins still to be created, play by play."""
    seen, amounts = expected.past.sum(), expected.amounts
    if not len(amounts) or seen == 0:
        return np.zeros(len(level)), np.zeros(len(level), dtype=np.int64)
    mean = expected.now * random.gamma(seen, 1 / seen, len(level)) * np.exp(level - level.var() / 2)
    n = random.poisson(mean)
    picked = amounts[random.integers(0, len(amounts), n.sum())]
    return np.bincount(np.repeat(np.arange(len(n)), n), picked, len(n)), n


def _stretch(case: Case, learnt: Learnt, late: _Late, level_deviation: float) -> float:
    """How much farther than simulated the past quarters fell from what was expected at this week; see `outlook`."""
    ratio, _, usual = _past_changes(case, learnt)
    rows, p, n = case.past[["amount", "won_amount"]].take(learnt.at), expit(learnt.past_odds), len(learnt.quarters)
    amount = rows["amount"].to_numpy(dtype=float, na_value=np.nan)
    amount = np.where(amount > 0, amount, usual)
    mean, square = (ratio.mean(), (ratio**2).mean()) if len(ratio) else (1.0, 1.0)
    late, amounts = late.past, late.amounts
    typical, typical_square = (amounts.mean(), (amounts**2).mean()) if len(amounts) else (0.0, 0.0)

    def by_quarter(values):
        return np.bincount(learnt.quarter, values, n)

    expected = by_quarter(p * amount * mean) + late * typical
    own = by_quarter(amount**2 * (square * p - (mean * p) ** 2)) + late * typical_square
    common = by_quarter(amount * mean * p * (1 - p)) + late * typical
    found = case.late[case.late["week"] == learnt.week].set_index("period")["amount"].reindex(learnt.quarters)
    actual = by_quarter(rows["won_amount"].to_numpy(dtype=float)) + found.fillna(0.0).to_numpy(dtype=float)
    distance = (actual - expected) ** 2 / (own + (common * level_deviation) ** 2)
    return float(np.sqrt((_CALM + np.minimum(distance, _FARTHEST).sum()) / (_CALM + max(n - _LEARNT, 0))))
