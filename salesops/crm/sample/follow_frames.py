"""Activities, tool usage and leads: what people did around the deals."""

import numpy as np
import pandas as pd

from salesops.crm.sample import core_frames, law, people, settings, text
from salesops.crm.sample.world import World

KINDS = ("email", "call", "meeting", "demo", "proposal", "task")
KIND_SHARE = np.array(
    [
        [0.48, 0.32, 0.14, 0.00, 0.00, 0.06],
        [0.42, 0.26, 0.20, 0.04, 0.00, 0.08],
        [0.36, 0.20, 0.20, 0.16, 0.00, 0.08],
        [0.38, 0.20, 0.16, 0.05, 0.13, 0.08],
        [0.42, 0.24, 0.18, 0.02, 0.06, 0.08],
    ]
)
A_WEEK = np.array([0.9, 1.2, 1.5, 1.5, 1.8])  # by stage, for each week a deal is open
MINUTES = np.array([6.0, 14.0, 42.0, 55.0, 90.0, 20.0])
TOOLS = ("Conversation recorder", "Sales engagement")
LEAD_REASONS = ("No fit", "No budget", "No reply", "Student or competitor", "Duplicate")
DAY = 24 * 60


def activities(world: World, now: int) -> pd.DataFrame:
    """Touches of open deals: more in later stages, none after the close; they win nothing by themselves."""
    random = world.chosen.random("activities")
    log = _touches(world, random)
    log = log.iloc[np.argsort(log["day"].to_numpy() * DAY + log["minute"], kind="stable")].reset_index(drop=True)
    kind = _kinds(random, log["stage"].to_numpy())
    minutes = np.maximum(np.round(MINUTES[kind] * np.exp(random.normal(0, 0.35, len(log)))), 1.0)
    automated = (kind == 0) & (random.random(len(log)) < 0.2)
    inward = (kind < 2) & ~automated & (random.random(len(log)) < 0.35)
    held = random.random(len(log)) < 0.86
    seen = int(np.searchsorted(log["day"], now, side="right"))
    automated[-1:] = automated[-1:] | (kind[-1:] == 0)
    frame = pd.DataFrame(
        {
            "activity_id": text.ids("T-", np.arange(len(log)), 8),
            "owner_id": core_frames.owner_text(_owner_then(world, log)),
            "opportunity_id": core_frames.deal_ids(log["deal"]),
            "kind": text.labels(kind, KINDS),
            "direction": text.labels(np.where(kind < 2, inward, -1), ["outbound", "inbound"]),
            "occurred_at": core_frames.moments(world, log["day"], log["minute"]),
            "minutes": np.where(automated, 0.0, minutes),
            "is_held": pd.array(held, dtype="boolean"),
            "is_automated": automated,
        }
    )
    frame.loc[(kind != 2) & (kind != 3), "is_held"] = pd.NA
    return frame.iloc[:seen]


def _touches(world: World, random: np.random.Generator) -> pd.DataFrame:
    """One row per touch, on working days strictly inside a stage visit; one more on the company's last day."""
    stays = world.visits[world.visits["stage"] < law.LOST]
    span = np.minimum(stays["exit"], world.chosen.n_days).to_numpy() - stays["day"].to_numpy() - 1
    plenty = min(1.0, max(0.2, 60_000 / world.chosen.size))
    count = np.minimum(random.poisson(A_WEEK[stays["stage"]] / 5 * span * plenty), 40)
    visit = np.repeat(np.arange(len(stays)), count)
    day = stays["day"].to_numpy()[visit] + 1 + (random.random(len(visit)) * span[visit]).astype(int)
    log = pd.DataFrame({"deal": stays["deal"].to_numpy()[visit], "stage": stays["stage"].to_numpy()[visit], "day": day})
    log["minute"] = 8 * 60 + (random.random(len(log)) * 600).astype(int)
    log = log[np.is_busday(world.chosen.dates(day))]
    last = stays.iloc[int(np.argmax(stays["exit"].to_numpy()))]
    end = {"deal": last["deal"], "stage": last["stage"], "day": world.chosen.n_days - 1, "minute": 18 * 60 + 30}
    return pd.concat([log, pd.DataFrame([end])], ignore_index=True)


def _kinds(random: np.random.Generator, stage: np.ndarray) -> np.ndarray:
    edges = np.cumsum(KIND_SHARE, axis=1)[:, :-1]
    return (edges[stage] <= random.random(len(stage))[:, None]).sum(axis=1)


def _owner_then(world: World, log: pd.DataFrame) -> np.ndarray:
    deals = world.deals.iloc[log["deal"].to_numpy()]
    return np.where(log["day"] > deals["heir_day"].to_numpy(), deals["heir"], deals["owner"])


def last_activity(log: pd.DataFrame, opportunity_ids: pd.Series) -> pd.Series:
    """Day of each deal's last activity so far."""
    last = log.drop_duplicates("opportunity_id", keep="last").set_index("opportunity_id")["occurred_at"]
    return opportunity_ids.map(last).dt.normalize()


def tool_usage(world: World, now: int) -> pd.DataFrame:
    """Weekly log-ins of sellers to two tools; the second is licensed for half the teams."""
    chosen, random = world.chosen, world.chosen.random("tools")
    days = np.arange(chosen.n_days)
    days = days[pd.DatetimeIndex(chosen.dates(days)).day_of_week == 4]
    week, seller, tool = (grid.ravel() for grid in np.meshgrid(days, world.sellers.index, [0, 1], indexing="ij"))
    taste = random.gamma(4.0, 0.25, (len(world.sellers), 2))
    events = random.poisson(taste[seller, tool] * np.array([9.0, 22.0])[tool])
    licensed = (tool == 0) | (world.sellers["team"].to_numpy()[seller] % 2 == 0)
    hired, left = (world.sellers[name].to_numpy()[seller] for name in ("hire", "left"))
    keep = (week >= hired) & (week < left) & (week <= now)
    return pd.DataFrame(
        {
            "owner_id": core_frames.owner_text(seller),
            "tool": text.labels(tool, TOOLS),
            "date": chosen.dates(week),
            "events": np.where(licensed, events, 0).astype(float),
            "is_licensed": licensed,
        }
    )[keep].reset_index(drop=True)


def leads(world: World, now: int) -> pd.DataFrame:
    """Inbound leads: those behind inbound new deals, and those that came to nothing."""
    random = world.chosen.random("leads")
    log = pd.concat([_converted(world, random), _unconverted(world, random)], ignore_index=True)
    log = log.sort_values("created", kind="stable", ignore_index=True)
    score = np.clip(np.round(random.normal(np.where(log["deal"] >= 0, 62, 46), 14)), 1, 100)
    evening = (now + 1) * DAY
    times = {
        f"{name}_at": core_frames.moments(world, np.where(log[name] < evening, log[name] // DAY, -1), log[name] % DAY)
        for name in ("created", "first_response", "replied", "qualified", "converted", "disqualified")
    }
    known = np.where(log["converted"] < evening, log["deal"], -1)
    reason = np.where((log["disqualified"] >= 0) & (log["disqualified"] < evening), log["reason"], -1)
    frame = pd.DataFrame(
        {
            "lead_id": text.ids("L-", np.arange(len(log))),
            "source": text.labels(log["source"], settings.SOURCES),
            "campaign": text.labels(log["campaign"], settings.CAMPAIGNS),
            "class": text.labels((score < 55) + (score < 40).astype(int), ["A", "B", "C"]),
            "score": score,
            "owner_id": text.labels(random.integers(0, 4, len(log)), people.sdr_ids()),
            "opportunity_id": core_frames.deal_ids(known),
            "reason": text.labels(reason, LEAD_REASONS),
        }
        | times
    )
    return frame[log["created"].to_numpy() < evening]


def _converted(world: World, random: np.random.Generator) -> pd.DataFrame:
    """Leads behind deals; times are minutes since the company's first day, -1 where nothing happened."""
    inbound = settings.INBOUND[world.deals["source"]] & (world.deals["type"].to_numpy() == 0)
    deals = world.deals[inbound]
    converted = deals["created"].to_numpy() * DAY + deals["minute"].to_numpy()
    created = np.maximum(converted - DAY - (random.gamma(2.0, 4.0, len(deals)) * DAY).astype(int), 0)
    response = np.minimum(created + _response(random, len(deals)), created + (converted - created) // 3)
    replied = response + ((converted - response) * random.beta(2, 3, len(deals))).astype(int)
    qualified = replied + ((converted - replied) * 0.7).astype(int)
    return pd.DataFrame(
        {
            "deal": deals.index,
            "source": deals["source"].to_numpy(),
            "campaign": deals["campaign"].to_numpy(),
            "created": created,
            "first_response": response,
            "replied": replied,
            "qualified": qualified,
            "converted": converted,
            "disqualified": -1,
            "reason": -1,
        }
    )


def _unconverted(world: World, random: np.random.Generator) -> pd.DataFrame:
    size = round(1.1 * world.chosen.size)
    source = random.integers(0, 3, size)
    created = (random.random(size) * world.chosen.n_days * DAY).astype(int)
    response = np.where(random.random(size) < 0.17, -1, created + _response(random, size))
    replied = _after(random, response, 0.45, 3.0)
    qualified = _after(random, replied, 0.35, 4.0)
    disqualified = _after(random, created, 0.85, 20.0)
    disqualified = np.where(disqualified >= 0, np.maximum.reduce([disqualified, response, replied, qualified]) + 60, -1)
    campaign = np.where(random.random(size) < 0.8, np.array([2, 3, 5])[source], -1)
    return pd.DataFrame(
        {
            "deal": -1,
            "source": source,
            "campaign": campaign,
            "created": created,
            "first_response": response,
            "replied": replied,
            "qualified": qualified,
            "converted": -1,
            "disqualified": disqualified,
            "reason": random.integers(0, len(LEAD_REASONS), size),
        }
    )


def _response(random: np.random.Generator, size: int) -> np.ndarray:
    return np.exp(random.normal(np.log(190), 1.35, size)).astype(int) + 1


def _after(random: np.random.Generator, time: np.ndarray, share: float, days: float) -> np.ndarray:
    """A later time for a share of those that have a time; -1 for the others."""
    later = time + (random.exponential(days * DAY, len(time))).astype(int) + 1
    return np.where((time >= 0) & (random.random(len(time)) < share), later, -1)
