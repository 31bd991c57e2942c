"""Targets, forecasts people submitted, credit, line items, and the money around the deals."""

import numpy as np
import pandas as pd

from salesops.crm.sample import core_frames, deals, law, people, settings, text
from salesops.crm.sample.settings import Switches
from salesops.crm.sample.world import World

QUARTER_SHARE = np.array([0.95, 1.0, 0.90, 1.15])
PLAN_GROWTH = 1.05
TEAM_HEDGE = 0.95  # a manager's target is below the sum of the quotas
SUBMITTED = ("commit", "best_case", "most_likely", "pipeline")


def targets(world: World, now: int) -> pd.DataFrame:
    """Quarterly bookings targets of company, teams and sellers, for the fiscal years begun by now."""
    quotas = _quotas(world, now)
    ramped = quotas.assign(value=quotas["value"] * quotas["ramp_factor"])
    teams = ramped.groupby(["team", "period_start", "period_end"], as_index=False)["value"].sum()
    teams = teams.assign(scope_kind="team", scope_id=text.labels(teams["team"], settings.TEAMS))
    teams["value"] = (teams["value"] * TEAM_HEDGE).round(-3)
    company = teams.groupby(["period_start", "period_end"], as_index=False)["value"].sum()
    company = company.assign(scope_kind="company", scope_id="company", value=(company["value"] * TEAM_HEDGE).round(-3))
    frame = pd.concat([company, teams, quotas], ignore_index=True).drop(columns="team")
    return frame.assign(metric="bookings_amount", version="plan")


def _quotas(world: World, now: int) -> pd.DataFrame:
    """One row per seller and quarter with any day employed; the ramp factor is the quarter's mean load."""
    chosen = world.chosen
    years = np.arange(chosen.start.astype("datetime64[Y]"), chosen.dates(now).astype("datetime64[Y]") + 1)
    starts = np.concatenate([year.astype("datetime64[M]") + np.arange(0, 12, 3) for year in years])
    ends = (starts + 3).astype("datetime64[D]") - 1
    quarter, seller = (grid.ravel() for grid in np.meshgrid(np.arange(len(starts)), world.sellers.index, indexing="ij"))
    first, last = ((edge.astype("datetime64[D]") - chosen.start).astype(int)[quarter] for edge in (starts, ends))
    hired, left = (world.sellers[name].to_numpy()[seller] for name in ("hire", "left"))
    grown = (starts.astype("datetime64[Y]") - years[0]).astype(int)
    plan = _usual_quota(world) * PLAN_GROWTH**grown * QUARTER_SHARE[np.arange(len(starts)) % 4]
    frame = pd.DataFrame(
        {
            "team": world.sellers["team"].to_numpy()[seller],
            "scope_kind": "rep",
            "scope_id": core_frames.owner_text(seller),
            "period_start": starts.astype("datetime64[D]")[quarter],
            "period_end": ends[quarter],
            "value": np.round(plan, -3)[quarter],
            "ramp_factor": _mean_ramp(world, hired, first, last),
        }
    )
    return frame[(hired <= last) & (left > first) & (last >= 0)]


def _mean_ramp(world: World, hired: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Mean share of a full load over the quarter's days in seat."""
    if not world.chosen.has("ramp"):
        return np.ones(len(hired))
    days = first[:, None] + np.arange(92)
    seated = (days >= hired[:, None]) & (days <= last[:, None])
    load = people.ramp(((days - hired[:, None]) // people.MONTH_DAYS).astype(int))
    return np.round((load * seated).sum(axis=1) / np.maximum(seated.sum(axis=1), 1), 3)


def _usual_quota(world: World) -> float:
    """What a plan would ask of a full seller in a quarter: from the company's design, never from what happened."""
    mean_amount = (deals.SEGMENT_SHARE * deals.AMOUNT_MEDIAN * np.exp(deals.AMOUNT_SPREAD**2 / 2)).sum()
    a_quarter = world.chosen.size / (4 * world.chosen.years) * deals.TYPE_SHARE[:2].sum()
    return a_quarter * 0.20 * mean_amount / (people.N_REPS - people.N_LEAVERS)


def forecast_submissions(world: World, now: int) -> pd.DataFrame:
    """What sellers and their managers said each Monday about the running quarter."""
    chosen, random = world.chosen, world.chosen.random("submissions")
    days = np.arange(chosen.n_days)
    mondays = days[pd.DatetimeIndex(chosen.dates(days)).day_of_week == 0]
    won, named = _pipeline_on(world, mondays)
    bias = np.exp(random.normal(0.06, 0.16, people.N_REPS))
    noise = np.exp(random.normal(0, 0.06, (len(mondays), people.N_REPS)))
    said = np.round(_submitted(won, named * (bias * noise)[:, :, None]), -2)
    team = np.eye(people.N_TEAMS)[world.sellers["team"]]
    haircut = np.exp(random.normal(-0.05, 0.08, people.N_TEAMS))
    by_team = np.round(np.einsum("mrc,rt->mtc", said, team) * haircut[:, None], -2)
    hired, left = world.sellers["hire"].to_numpy(), world.sellers["left"].to_numpy()
    present = (mondays[:, None] >= hired) & (mondays[:, None] < left)
    present &= random.random(present.shape) < 0.92
    parts = [
        _submission_rows(world, mondays, said, present, people.owner_ids(), "rep"),
        _submission_rows(world, mondays, by_team, np.ones(by_team.shape[:2], bool), people.manager_ids(), "manager"),
    ]
    frame = pd.concat(parts, ignore_index=True)
    return frame[frame["submitted_at"] < chosen.dates(now + 1)]


def _submission_rows(world: World, mondays, said, present, ids, kind: str) -> pd.DataFrame:
    week, person, category = np.nonzero(np.repeat(present[:, :, None], said.shape[2], axis=2))
    quarter = world.chosen.dates(mondays[week]).astype("datetime64[M]")
    late = 10 if kind == "rep" else 15
    return pd.DataFrame(
        {
            "owner_id": text.labels(person, ids),
            "period_start": (quarter - quarter.astype(int) % 3).astype("datetime64[D]"),
            "submitted_at": core_frames.moments(world, mondays[week], late * 60 + person),
            "category": text.labels(category, SUBMITTED),
            "amount": said[week, person, category],
            "kind": kind,
        }
    )


def _submitted(won: np.ndarray, named: np.ndarray) -> np.ndarray:
    """Commit, best case, most likely and pipeline: each includes what is won and the surer categories."""
    pipeline, best, commit = np.moveaxis(named, 2, 0)
    sure = won + commit
    return np.stack([sure, sure + best, sure + 0.4 * best, sure + best + pipeline], axis=2)


def _pipeline_on(world: World, mondays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Amounts by Monday and seller, renewals apart: won so far in the quarter; open and due in it, by category."""
    chosen, renewal = world.chosen, (world.deals["type"] == 2).to_numpy()
    rows = world.rows[~renewal[world.rows["deal"]]]
    shape = (len(mondays), people.N_REPS + 1, 3)
    until = np.where(rows["is_last"], chosen.n_days, np.append(rows["day"].to_numpy()[1:], 0))
    first, last = np.searchsorted(mondays, rows["day"] + 1), np.searchsorted(mondays, until, side="right")
    is_open = (rows["stage"] < law.LOST).to_numpy() & rows["amount"].notna().to_numpy()
    at = np.repeat(np.arange(len(rows)), np.where(is_open, last - first, 0))
    count = np.where(is_open, last - first, 0)
    monday = first[at] + np.arange(len(at)) - np.repeat(np.cumsum(count) - count, count)
    close = np.clip(rows["close"].to_numpy(), 0, chosen.n_days + 400)
    due = law.quarter_of(chosen, close)[at] == law.quarter_of(chosen, mondays)[monday]
    at, monday = at[due], monday[due]
    cell = np.ravel_multi_index([monday, rows["owner"].to_numpy()[at], core_frames.category(rows)[at]], shape)
    named = np.bincount(cell, rows["amount"].to_numpy()[at], minlength=int(np.prod(shape))).reshape(shape)
    return _won_so_far(chosen, rows, mondays, first)[:, : people.N_REPS], named[:, : people.N_REPS]


def _won_so_far(chosen: Switches, rows: pd.DataFrame, mondays: np.ndarray, first: np.ndarray) -> np.ndarray:
    quarter = law.quarter_of(chosen, mondays)
    mine = (rows["stage"] == law.WON).to_numpy() & (first < len(mondays))
    mine[mine] = law.quarter_of(chosen, rows["day"].to_numpy()[mine]) == quarter[first[mine]]
    shape = (len(mondays), people.N_REPS + 1)
    cell = np.ravel_multi_index([first[mine], rows["owner"].to_numpy()[mine]], shape)
    total = np.cumsum(np.bincount(cell, rows["amount"].to_numpy()[mine], int(np.prod(shape))).reshape(shape), axis=0)
    begins = np.searchsorted(quarter, quarter)
    return total - np.where(begins[:, None] > 0, total[begins - 1], 0.0)


def won_rows(world: World, now: int) -> pd.DataFrame:
    """The closing history row of each deal won by now."""
    return world.rows[(world.rows["stage"].to_numpy() == law.WON) & (world.rows["day"].to_numpy() <= now)]


def opportunity_splits(world: World, now: int) -> pd.DataFrame:
    """Credit for won deals: the owner's, some shared with a team mate; overlays on top."""
    size = len(world.deals)
    random = world.chosen.random("splits")
    shared, helped = random.random(size) < 0.12, random.random(size) < 0.15
    mate, overlay = random.integers(0, 4, size), random.integers(0, 2, size)
    won = won_rows(world, now)
    deal, owner = won["deal"].to_numpy(), won["owner"].to_numpy()
    other = world.deals["territory"].to_numpy()[deal] // 2 + people.N_TEAMS * mate[deal]  # a stayer of the team
    shared = shared[deal] & (other != owner)
    ids = [*people.owner_ids(), "U-999", *people.overlay_ids()]
    parts = [
        (deal, owner, np.where(shared, 0.7, 1.0), "revenue"),
        (deal[shared], other[shared], 0.3, "revenue"),
        (deal[helped[deal]], people.N_REPS + 1 + overlay[deal][helped[deal]], 0.5, "overlay"),
    ]
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "opportunity_id": core_frames.deal_ids(at),
                    "owner_id": text.labels(who, ids),
                    "kind": kind,
                    "share": share,
                }
            )
            for at, who, share, kind in parts
        ],
        ignore_index=True,
    )


def line_items(world: World, now: int) -> pd.DataFrame:
    """One to three lines of each won deal; their amounts add up to the deal's."""
    size = len(world.deals)
    random = world.chosen.random("lines")
    count = 1 + np.searchsorted([0.6, 0.88], random.random(size))
    main, second = random.uniform(0.55, 0.85, size), random.uniform(0.4, 0.8, size)
    extra, quantity = random.integers(1, 8, (size, 2)), random.geometric(0.08, (size, 3)).astype(float)
    won = won_rows(world, now)
    deal, amount = won["deal"].to_numpy(), won["amount"].to_numpy()
    head = np.where(count[deal] == 1, amount, np.round(amount * main[deal], 2))
    middle = np.where(count[deal] == 2, amount - head, np.round((amount - head) * second[deal], 2))
    parts = np.column_stack([head, middle, amount - head - middle]).round(2)
    row, line = np.nonzero(np.arange(3) < count[deal][:, None])
    product = np.column_stack([world.deals["product"].to_numpy() % len(settings.PRODUCTS), extra])
    product[:, 1:] = (product[:, :1] + product[:, 1:]) % len(settings.PRODUCTS)
    discount = world.deals["discount"].to_numpy()[deal[row]]
    return pd.DataFrame(
        {
            "opportunity_id": core_frames.deal_ids(deal[row]),
            "line": text.labels(line, ["1", "2", "3"]),
            "product": text.labels(product[deal[row], line], settings.PRODUCTS),
            "quantity": quantity[deal[row], line],
            "amount": parts[row, line],
            "list_amount": np.round(parts[row, line] / (1 - discount), 2),
        }
    )


def _months(world: World, last: np.datetime64) -> np.ndarray:
    return np.arange(world.chosen.start.astype("datetime64[M]"), last.astype("datetime64[M]") + 1)


def costs(world: World, now: int) -> pd.DataFrame:
    """Monthly cost of sales, and of marketing by source."""
    months = _months(world, world.chosen.dates(world.chosen.n_days - 1))
    random = world.chosen.random("costs")
    mean = np.array([9000.0, 1100.0, 900.0, 500.0, 200.0, 300.0, 250.0]) * world.chosen.size / 60 / world.chosen.years
    amount = np.round(mean * np.exp(random.normal(0, 0.07, (len(months), len(mean)))), -2)
    month, source = (grid.ravel() for grid in np.indices(amount.shape))
    frame = pd.DataFrame(
        {
            "month": months.astype("datetime64[D]")[month],
            "kind": text.labels(source > 0, ["sales", "marketing"]),
            "source": text.labels(source - 1, settings.SOURCES),
            "amount": amount.ravel(),
        }
    )
    return frame[frame["month"] <= world.chosen.dates(now)]


def market(world: World, now: int) -> pd.DataFrame:
    """A monthly index of the market, and its planned path for the year after the last day."""
    last = world.chosen.dates(world.chosen.n_days - 1)
    months = _months(world, last + 366)
    random = world.chosen.random("market")
    value = 100 + np.cumsum(random.normal(0.2, 0.8, len(months)))
    dates = months.astype("datetime64[D]")
    frame = pd.DataFrame({"month": dates, "factor": "industry_index", "value": value.round(2)})
    planned = dates > last
    return frame.assign(is_planned=planned)[(dates <= world.chosen.dates(now)) | planned]


def actuals(world: World, now: int) -> pd.DataFrame:
    """Finance's monthly revenue, by company and region: bookings a month later, a little less."""
    won = won_rows(world, world.chosen.n_days)
    months = _months(world, world.chosen.dates(world.chosen.n_days - 1))
    booked = world.chosen.dates(won["day"].to_numpy()).astype("datetime64[M]") - months[0]
    region = settings.TEAM_REGION[world.deals["territory"].to_numpy()[won["deal"]] // 2]
    cell = (booked.astype(int) + 1) * len(settings.REGIONS) + region
    total = np.bincount(cell, won["amount"], (len(months) + 1) * len(settings.REGIONS))
    random = world.chosen.random("actuals")
    shape = (len(months), len(settings.REGIONS))
    revenue = np.round(total[: np.prod(shape)].reshape(shape) * random.normal(0.97, 0.01, shape), 2)
    frame = pd.DataFrame(np.column_stack([revenue, revenue.sum(axis=1)]), columns=[*settings.REGIONS, "company"])
    frame = frame.assign(period_start=months.astype("datetime64[D]")).melt(
        "period_start", var_name="scope_id", value_name="amount"
    )
    kind = np.where(frame["scope_id"] == "company", "company", "region")
    frame = frame.assign(measure="revenue", scope_kind=kind, amount=frame["amount"].round(2))
    return frame[frame["period_start"] <= world.chosen.dates(now)]
