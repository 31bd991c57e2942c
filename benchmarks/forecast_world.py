"""A simulated company whose deals move day by day by known chances, and the forecast of one who knows them.

Deals of three segments pass four stages; a day brings a step on, a win, a loss, or a new close date, each with a
chance that depends only on what a CRM shows: segment, stage, whether the close date lies in the running quarter, how
often it was moved later, and whether the quarter is in its last three weeks. A common factor of the quarter, log-normal
with mean 1, may multiply every chance of winning. So `oracle` is exact: it knows all of it but the factor.
"""

from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import pandas as pd

from salesops.forecast_cases import Case
from salesops.periods import Period, previous, quarter

SEGMENTS = ("SMB", "Mid-Market", "Enterprise")
STAGES = ("Discovery", "Qualified", "Proposal", "Negotiation")
SHARE = np.array([0.55, 0.30, 0.15])
MEDIAN = np.array([9_000.0, 27_000.0, 80_000.0])  # amounts are log-normal around it
SPREAD = 1.05
SPEED = np.array([1.5, 1.0, 0.65])
FORWARD = np.array([0.034, 0.028, 0.026, 0.0])
LOSS = np.array([0.016, 0.012, 0.009, 0.009])
WIN = np.array([0.0, 0.0004, 0.0022, 0.009])
IF_DUE, IF_NOT_DUE = 1.5, 0.35
IF_PUSHED = np.array([1.0, 0.85, 0.70])  # 0, 1, 2 times or more
AT_THE_END, LAST_DAYS = 2.0, 21
PUSH, PULL = np.array([0.012, 0.011, 0.010, 0.009]), 0.0015
DUE_IN = np.array([[0.45, 0.45, 0.10], [0.15, 0.50, 0.35], [0.05, 0.35, 0.60]])  # quarters ahead, by segment
SLIP_MEAN, SLIP_SPREAD = 0.95, 0.15  # final over last known amount, log-normal
CRM = np.array([0.10, 0.30, 0.60, 0.80])  # what the CRM says of the stages
CATEGORIES = ("pipeline", "pipeline", "best_case", "commit")
A_DAY = 3.9  # deals created
_WON, _LOST = -1, -2


@dataclass(frozen=True)
class World:
    """The tables of one company, and what is true of it."""

    opportunities: pd.DataFrame
    stage_history: pd.DataFrame
    stages: pd.DataFrame
    quarters: list[Period]
    rate: dict[str, float]  # deals created a day, by quarter
    shock: float

    @property
    def as_of(self) -> date:
        return self.quarters[-1].end


def simulated(*, seed: int, quarters: int = 24, shock: float = 0.0, growth: float = 0.01, size: float = 1.0) -> World:
    """A company over so many quarters to 2026Q3, its first three only to fill the pipeline.

    Parameters
    ----------
    seed
        Of all chance.
    quarters
        How many whole quarters the tables show.
    shock
        Standard deviation of the quarters' common factor.
    growth
        Of the deals created, from quarter to quarter.
    size
        1 is a company of about 70 wins a quarter.
    """
    spans = [quarter(date(2026, 9, 30))]
    while len(spans) < quarters + 3:
        spans.insert(0, previous(spans[0]))
    walk = _Walk(np.random.default_rng(seed))
    rates = {}
    for number, span in enumerate(spans):
        rates[span.label] = A_DAY * size * (1 + growth) ** (number - len(spans) / 2)
        walk.through(span, rates[span.label], shock)
    first = pd.Timestamp(spans[3].start)
    return _tables(walk, first, spans[3:], rates, shock)


@dataclass
class _Walk:
    """The company's deals as they are, and the log of what became of them."""

    random: np.random.Generator
    n: int = 0
    ids: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    segment: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    stage: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    ahead: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))  # quarters to the close date
    pushed: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    amount: np.ndarray = field(default_factory=lambda: np.zeros(0))
    due: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    log: list = field(default_factory=list)
    made: list = field(default_factory=list)

    def through(self, span: Period, rate: float, shock: float) -> None:
        """One quarter, day by day."""
        factor = np.exp(_log_sd(shock) * self.random.standard_normal() - _log_sd(shock) ** 2 / 2)
        for back in range(span.days - 1, -1, -1):
            day = span.end - timedelta(days=back)
            self._step(day, span, factor * (AT_THE_END if back < LAST_DAYS else 1.0))
            self._create(day, span, rate)
        self._clean_up(span)

    def _step(self, day: date, span: Period, factor: float) -> None:
        win, loss, forward, push, pull = chances(self.segment, self.stage, self.ahead == 0, self.pushed, factor)
        u = self.random.random(len(self.stage))
        ends = np.cumsum([win, loss, forward, push, pull], axis=0)
        what = (u >= ends).sum(axis=0)
        self.stage = np.where(what == 2, self.stage + 1, self.stage)
        self._move(np.flatnonzero(what == 3), 1, span)
        self._move(np.flatnonzero(what == 4), 0, span)
        today = np.datetime64(day, "D").astype(np.int64)
        won = what == 0
        slip = SLIP_MEAN * np.exp(SLIP_SPREAD * self.random.standard_normal(won.sum()) - SLIP_SPREAD**2 / 2)
        self.amount[won] = np.round(self.amount[won] * slip, 2)
        self.due[won] = today
        self.stage = np.select([won, what == 1], [_WON, _LOST], self.stage)
        self._note(np.flatnonzero(what < 5), today)
        self._keep(self.stage >= 0)

    def _move(self, who: np.ndarray, ahead: int, span: Period) -> None:
        """New close dates: a push to the next quarter, or a pull into this one."""
        self.pushed[who] += ahead > 0
        self.ahead[who] = ahead
        self.due[who] = self._close_dates(span, self.ahead[who], span.end)

    def _create(self, day: date, span: Period, rate: float) -> None:
        n = self.random.poisson(rate)
        segment = self.random.choice(3, n, p=SHARE)
        ahead = (self.random.random(n)[:, None] > np.cumsum(DUE_IN, axis=1)[segment]).sum(axis=1).clip(max=2)
        amount = np.round(MEDIAN[segment] * np.exp(SPREAD * self.random.standard_normal(n)), 2)
        due, today = self._close_dates(span, ahead, day), np.datetime64(day, "D").astype(np.int64)
        new = {"ids": self.n + np.arange(n), "segment": segment, "stage": np.zeros(n, dtype=np.int64), "ahead": ahead,
               "pushed": np.zeros(n, dtype=np.int64), "amount": amount, "due": due}  # fmt: skip
        for name, values in new.items():
            setattr(self, name, np.r_[getattr(self, name), values])
        self.made.append(pd.DataFrame({"deal": new["ids"], "segment": segment, "created": today}))
        self.n += n
        self._note(np.arange(len(self.ids) - n, len(self.ids)), today)

    def _clean_up(self, span: Period) -> None:
        """On the last evening what was due and did not close is put off; then the next quarter is the present one."""
        late = np.flatnonzero(self.ahead == 0)
        self.pushed[late] += 1
        self.ahead[late] = 1 + (self.random.random(len(late)) < 0.25)
        self.due[late] = self._close_dates(span, self.ahead[late], span.end)
        self._note(late, np.datetime64(span.end, "D").astype(np.int64))
        self.ahead = self.ahead - 1

    def _close_dates(self, span: Period, ahead: np.ndarray, today: date) -> np.ndarray:
        """A day in the last half of a quarter, not before today."""
        spans = [span]
        while len(spans) < 3:
            spans.append(quarter(spans[-1].end + timedelta(days=1)))
        ends = np.array([np.datetime64(each.end, "D").astype(np.int64) for each in spans])[ahead]
        room = np.minimum(45, ends - np.datetime64(today, "D").astype(np.int64))
        return ends - np.floor(self.random.random(len(ahead)) * (room + 1)).astype(np.int64)

    def _note(self, who: np.ndarray, day: int) -> None:
        self.log.append((self.ids[who], np.full(len(who), day), self.stage[who], self.amount[who], self.due[who]))

    def _keep(self, kept: np.ndarray) -> None:
        for name in ("ids", "segment", "stage", "ahead", "pushed", "amount", "due"):
            setattr(self, name, getattr(self, name)[kept])


def chances(segment, stage, is_due, pushed, factor) -> tuple[np.ndarray, ...]:
    """Chance of a win, a loss, a step on, a push and a pull on one day."""
    speed = SPEED[segment]
    win = WIN[stage] * speed * np.where(is_due, IF_DUE, IF_NOT_DUE) * IF_PUSHED[np.minimum(pushed, 2)] * factor
    push, pull = np.where(is_due, PUSH[stage], 0.0), np.where(is_due, 0.0, PULL)
    return win, LOSS[stage] * speed, FORWARD[stage] * speed, push, pull


_STATES = [(a, s, d, p) for a in range(3) for s in range(4) for d in range(2) for p in range(3)]
_WAYS = np.array(_STATES)


def _index(segment, stage, is_due, pushed) -> np.ndarray:
    return ((np.asarray(segment) * 4 + stage) * 2 + np.asarray(is_due, dtype=np.int64)) * 3 + np.minimum(pushed, 2)


def _nodes(shock: float) -> tuple[np.ndarray, np.ndarray]:
    """Values of the common factor and their weights."""
    if shock == 0:
        return np.ones(1), np.ones(1)
    x, weight = np.polynomial.hermite_e.hermegauss(9)
    return np.exp(_log_sd(shock) * x - _log_sd(shock) ** 2 / 2), weight / weight.sum()


def _log_sd(shock: float) -> float:
    return float(np.sqrt(np.log(1 + shock**2)))


def _won_within(days: int, factor: float) -> np.ndarray:
    """Chance of being won in the quarter with so many days left, for each number of days and state; row 0 is none."""
    segment, stage, is_due, pushed = _WAYS.T
    found = np.zeros((days + 1, len(_WAYS)))
    for left in range(1, days + 1):
        now = factor * (AT_THE_END if left <= LAST_DAYS else 1.0)
        win, loss, forward, push, pull = chances(segment, stage, is_due == 1, pushed, now)
        after = found[left - 1]
        onward = after[_index(segment, np.minimum(stage + 1, 3), is_due, pushed)]
        put_off = after[_index(segment, stage, np.zeros_like(is_due), np.minimum(pushed + 1, 2))]
        pulled = after[_index(segment, stage, np.ones_like(is_due), pushed)]
        stay = 1 - win - loss - forward - push - pull
        found[left] = win + forward * onward + push * put_off + pull * pulled + stay * after
    return found


def oracle(world: World, n: int = 2000):
    """A method that knows every chance, the rate of creation and the law of amounts, but not the quarter's factor."""
    factors, weights = _nodes(world.shock)
    tables = np.array([_won_within(92, factor) for factor in factors])

    def draws(case: Case, *, seed: int) -> np.ndarray:
        random = np.random.default_rng(seed)
        left = (case.period.end - case.cutoff).days
        now = case.now
        segment = pd.Categorical(now["segment"], SEGMENTS).codes.astype(np.int64)
        state = _index(
            segment, now["position"].to_numpy(int) - 1, now["is_due"].to_numpy(), now["push_count"].to_numpy()
        )
        chance = tables[:, left][:, state]
        amount = now["amount"].to_numpy()
        node = random.choice(len(factors), n, p=weights)
        won = random.random((n, len(amount))) < chance[node]
        slip = SLIP_MEAN * np.exp(SLIP_SPREAD * random.standard_normal((n, len(amount))) - SLIP_SPREAD**2 / 2)
        total = case.won_so_far + (won * slip) @ amount
        return total + _created(random, tables[node], left, world.rate[case.period.label])

    return draws


def _created(random: np.random.Generator, chance: np.ndarray, left: int, rate: float) -> np.ndarray:
    """Amount of the deals not yet created that will be won in the quarter, draw by draw."""
    total = np.zeros(len(chance))
    for segment in range(3):
        due, later = _index(segment, 0, 1, 0), _index(segment, 0, 0, 0)
        share = DUE_IN[segment, 0]
        # created on a day with k left: k = left - 1 … 0
        fresh = share * chance[:, :left, due].sum(axis=1) + (1 - share) * chance[:, :left, later].sum(axis=1)
        n = random.poisson(rate * SHARE[segment] * fresh)
        sizes = MEDIAN[segment] * np.exp(SPREAD * random.standard_normal(n.sum()))
        slip = SLIP_MEAN * np.exp(SLIP_SPREAD * random.standard_normal(n.sum()) - SLIP_SPREAD**2 / 2)
        total += np.bincount(np.repeat(np.arange(len(n)), n), sizes * slip, minlength=len(n))
    return total


def _tables(walk: _Walk, first: pd.Timestamp, quarters: list[Period], rates: dict, shock: float) -> World:
    """The company as its CRM, brought in on the eve of the first quarter, shows it."""
    deal, day, stage, amount, due = (np.concatenate(part) for part in zip(*walk.log, strict=True))
    order = np.lexsort([np.arange(len(deal)), deal])
    log = pd.DataFrame({"deal": deal, "day": day, "code": stage, "amount": amount, "due": due}).iloc[order]
    log["seq"] = log.groupby("deal").cumcount() + 1
    last = log.drop_duplicates("deal", keep="last").set_index("deal")
    last = last[_days(last["day"]).ge(first) | last["code"].ge(0)]
    log = log[log["deal"].isin(last.index)]
    # The CRM was brought in on the eve of the first quarter: what was open then is told as it stood.
    eve = first.to_datetime64().astype("datetime64[D]").astype(np.int64) - 1
    log = log[(log["day"] > eve) | (log["deal"] != log["deal"].shift(-1)) | (log["day"].shift(-1) > eve)]
    log = log.assign(day=log["day"].clip(lower=eve))
    names, crm, told = [*STAGES, "Closed Lost", "Closed Won"], [*CRM, 0.0, 1.0], [*CATEGORIES, "omitted", "closed"]
    history = pd.DataFrame({
        "opportunity_id": _ids(log["deal"]), "changed_at": _days(log["day"]) + pd.Timedelta(hours=12),
        "seq": log["seq"],
        "pipeline": "new", "stage": np.array(names)[log["code"]], "amount": log["amount"],
        "close_date": _days(log["due"]), "probability": np.array(crm)[log["code"]],
        "forecast_category": np.array(told)[log["code"]], "owner_id": "r" + (log["deal"] % 12).astype(str),
    }).reset_index(drop=True)  # fmt: skip
    made = pd.concat(walk.made).set_index("deal").loc[last.index]
    code = last["code"].to_numpy()
    deals = pd.DataFrame({
        "opportunity_id": _ids(last.index.to_series()), "account_id": "a" + (last.index % 900).astype(str),
        "owner_id": "r" + (last.index % 12).astype(str), "pipeline": "new",
        "segment": np.array(SEGMENTS)[made["segment"]], "lead_source": "web", "amount": last["amount"].to_numpy(),
        "created_date": _days(made["created"]), "close_date": _days(last["due"]),
        "closed_at": (_days(last["day"]) + pd.Timedelta(hours=12)).where(code < 0),
        "stage": np.array(names)[code], "probability": np.array(crm)[code],
        "is_closed": code < 0, "is_won": code == _WON,
    }).reset_index(drop=True)  # fmt: skip
    stages = pd.DataFrame({
        "pipeline": "new", "stage": names, "valid_from": pd.NaT, "position": np.arange(1, 7),
        "is_closed": [False] * 4 + [True] * 2, "is_won": [False] * 5 + [True], "probability": crm,
        "forecast_category": told,
    })  # fmt: skip
    return World(deals, history, stages, quarters, rates, shock)


def _ids(numbers: pd.Series) -> pd.Series:
    return "D-" + numbers.astype(str).str.zfill(6)


def _days(numbers: pd.Series) -> pd.Series:
    return pd.Series(numbers.to_numpy().astype("datetime64[D]").astype("datetime64[us]"), index=numbers.index)


def bookings(world: World) -> pd.Series:
    """Money won in each quarter, by its label."""
    won = world.opportunities[world.opportunities["is_won"]]
    sums = {each.label: won.loc[each.contains(won["close_date"]), "amount"].sum() for each in world.quarters}
    return pd.Series(sums, dtype=float)
