"""The tables of deals, people and accounts, as the CRM stood on the evening of a day."""

import numpy as np
import pandas as pd

from salesops.crm.sample import defects, law, people, settings, text
from salesops.crm.sample.defects import NO_CLOSE, UNKNOWN_STAGE
from salesops.crm.sample.world import World, last_of_each

STEPS = np.array(
    [
        ["Book discovery call", "Map stakeholders", "Send introduction"],
        ["Confirm budget", "Agree success criteria", "Meet the sponsor"],
        ["Run the demo", "Technical workshop", "Build the business case"],
        ["Send proposal", "Walk through pricing", "Reference call"],
        ["Legal review", "Procurement call", "Get signature"],
    ]
)
CATEGORIES = ("pipeline", "best_case", "commit", "omitted", "closed")
OUTCOMES = ("open", "won", "lost", "no_decision")
STAGE_WORDS = tuple((*law.stage_names(customer), "Legacy Review") for customer in (False, True))
NO_DATE = np.datetime64("NaT", "s")


def stage_history(world: World, now: int) -> pd.DataFrame:
    """History rows up to the evening of day `now`."""
    rows = world.rows[world.rows["day"].to_numpy() <= now]
    first = np.flatnonzero(np.diff(rows["deal"].to_numpy(), prepend=-1))
    customer = (world.deals["type"].to_numpy() > 0)[rows["deal"]]
    return pd.DataFrame(
        {
            "opportunity_id": deal_ids(rows["deal"]),
            "changed_at": moments(world, rows["day"], rows["minute"]),
            "seq": np.arange(len(rows)) - np.repeat(first, np.diff(first, append=len(rows))) + 1,
            "pipeline": text.labels(customer, ["New business", "Customer"]),
            "owner_id": owner_text(rows["owner"]),
        }
        | _in_force(world, rows, customer)
    )


def opportunities(world: World, now: int) -> pd.DataFrame:
    """One row per deal created by the evening of day `now`, with the values then in force."""
    rows = world.rows[world.rows["day"].to_numpy() <= now]
    rows = rows.iloc[last_of_each(rows["deal"].to_numpy())]
    deals = world.deals.iloc[rows["deal"].to_numpy()]
    customer = (deals["type"] > 0).to_numpy()
    frame = pd.DataFrame(
        _created(world, deals, customer)
        | {"owner_id": owner_text(rows["owner"])}
        | _in_force(world, rows, customer)
        | _outcome(world, rows)
        | _closing(world, deals, rows)
        | {"qualified_date": _qualified(world, deals, now), "currency": "USD"}
    )
    return defects.with_extra_rows(frame, rows["deal"].to_numpy(), world.planted)


def deal_ids(numbers: np.ndarray) -> pd.Series:
    """Ids of the deals with these numbers."""
    return text.ids("D-", numbers)


def account_names(numbers: np.ndarray) -> pd.Series:
    """A made-up company name for each account, all different."""
    numbers = np.asarray(numbers, dtype=np.int64)
    first, rest = numbers % len(settings.NAME_HEADS), numbers // len(settings.NAME_HEADS)
    second, more = rest % len(settings.NAME_TAILS), rest // len(settings.NAME_TAILS)
    name = text.join(" ", text.labels(first, settings.NAME_HEADS), text.labels(second, settings.NAME_TAILS))
    return name.where(more == 0, text.join(" ", name, text.ids("", more, 1)))


def owner_text(numbers: np.ndarray) -> pd.Series:
    """Ids of the owners with these numbers; the last number is somebody the CRM does not know."""
    return text.labels(numbers, [*people.owner_ids(), "U-999"])


def moments(world: World, days: np.ndarray, minutes: np.ndarray) -> np.ndarray:
    """Times from days and minutes; a negative day is missing."""
    days, minutes = np.asarray(days, dtype=np.int64), np.asarray(minutes, dtype=np.int64)
    times = world.chosen.start.astype("datetime64[s]") + (days * 86_400 + minutes * 60).astype("timedelta64[s]")
    return np.where(days < 0, NO_DATE, times)


def days_text(world: World, days: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Dates of these days of the sample, missing where they are not known."""
    dates = world.chosen.dates(days).astype("datetime64[s]")
    return np.where(known, dates, NO_DATE)


def _in_force(world: World, rows: pd.DataFrame, customer: np.ndarray) -> dict[str, object]:
    """Fields with history, of history rows: stage, amount, close date, probability, category, next step."""
    stage = rows["stage"].to_numpy()
    known = stage != UNKNOWN_STAGE
    open_stage = np.where(stage < law.LOST, stage, 0)
    step = np.where(
        (stage < law.LOST) & (rows["step"] < STEPS.shape[1]), open_stage * STEPS.shape[1] + rows["step"], -1
    )
    words = STAGE_WORDS[0] + STAGE_WORDS[1]
    return {
        "stage": text.labels(stage + customer * len(STAGE_WORDS[0]), words),
        "amount": rows["amount"].to_numpy(),
        "close_date": days_text(world, rows["close"].to_numpy(), rows["close"].to_numpy() != NO_CLOSE),
        "probability": np.where(known, law.CRM_PROBABILITY[np.where(known, stage, 0)], np.nan),
        "forecast_category": text.labels(category(rows), CATEGORIES),
        "next_step": text.labels(step, STEPS.ravel().tolist()),
    }


def category(rows: pd.DataFrame) -> np.ndarray:
    """What the rep calls the deal: by stage, and by how near the close date was at the change."""
    stage, left = rows["stage"].to_numpy(), (rows["close"] - rows["day"]).to_numpy()
    commit = (stage == law.FINAL) & (left <= 45)
    best = (stage >= law.LATE) & (stage <= law.FINAL) & (left <= 90)
    called = np.select([commit, best], [2, 1], 0)
    return np.select([stage == law.WON, (stage == law.LOST) | (stage == law.NO_DECISION)], [4, 3], called)


def _created(world: World, deals: pd.DataFrame, customer: np.ndarray) -> dict[str, object]:
    """Fields that never change."""
    ids = deal_ids(deals.index)
    product = text.labels(deals["product"], [*settings.PRODUCTS, settings.PRODUCTS[0].replace(" ", "")])
    return {
        "opportunity_id": ids,
        "name": text.join(" ", account_names(deals["account"]), product),
        "account_id": text.ids("A-", deals["account"], 6),
        "pipeline": text.labels(customer, ["New business", "Customer"]),
        "opportunity_type": text.labels(deals["type"], settings.TYPES),
        "segment": text.labels(deals["segment"], settings.SEGMENTS),
        "region": text.labels(settings.TEAM_REGION[deals["territory"] // 2], settings.REGIONS),
        "territory": text.labels(deals["territory"], settings.TERRITORIES),
        "product": product,
        "lead_source": text.labels(deals["source"], settings.SOURCES),
        "campaign": text.labels(deals["campaign"], settings.CAMPAIGNS),
        "partner_id": text.labels(deals["partner"], settings.PARTNERS),
        "prior_arr_amount": np.where(deals["type"] > 0, np.round(deals["amount"] * deals["prior"], -1), np.nan),
        "created_date": moments(world, deals["created"], deals["minute"]),
        "record_url": text.join("", text.labels(np.zeros(len(ids)), ["https://crm.example.com/opportunity/"]), ids),
        "x_executive_sponsor": text.labels(deals["sponsor"], ["No", "Yes"]),
        "x_trial": text.labels(deals["trial"], ["No", "Yes"]),
        "x_use_case": text.labels(deals["use_case"], settings.USE_CASES),
        "x_website_visits": deals["visits"].to_numpy().astype(float),
    }


def _outcome(world: World, rows: pd.DataFrame) -> dict[str, object]:
    stage = rows["stage"].to_numpy()
    outcome = np.select([stage == law.WON, stage == law.LOST, stage == law.NO_DECISION], [1, 2, 3], 0)
    closed = np.where(outcome > 0, rows["closed"].to_numpy(), -1)
    return {
        "outcome": text.labels(outcome, OUTCOMES),
        "is_closed": outcome > 0,
        "is_won": outcome == 1,
        "closed_at": moments(world, closed, rows["minute"]),
    }


def _closing(world: World, deals: pd.DataFrame, rows: pd.DataFrame) -> dict[str, object]:
    """Fields written when a deal closes for good; a deal open now, or re-opened later, has none."""
    stage, amount = rows["stage"].to_numpy(), rows["amount"].abs().to_numpy()
    for_good = (stage >= law.LOST) & (stage != UNKNOWN_STAGE) & (rows["is_last"]).to_numpy()
    won = for_good & (stage == law.WON)
    start = (rows["closed"] + deals["starts"].to_numpy()).to_numpy()
    begins = world.chosen.dates(start)
    ends = (begins.astype("datetime64[M]") + deals["term"].to_numpy()).astype("datetime64[D]") + (
        begins - begins.astype("datetime64[M]")
    )
    one_off = np.round(amount * deals["one_off"].to_numpy(), 2)
    return {
        "competitor": text.labels(np.where(for_good, deals["competitor"], -1), settings.COMPETITORS),
        "loss_reason": text.labels(np.where(for_good & ~won, deals["reason"], -1), settings.LOSS_REASONS),
        "list_amount": np.where(for_good, np.round(amount / (1 - deals["discount"].to_numpy()), 2), np.nan),
        "arr_amount": np.where(for_good, np.round((amount - one_off) * 12 / deals["term"].to_numpy(), 2), np.nan),
        "one_off_amount": np.where(for_good, one_off, np.nan),
        "term_months": np.where(for_good, deals["term"].to_numpy(), np.nan),
        "contract_start": np.where(won, begins.astype("datetime64[s]"), NO_DATE),
        "contract_end": np.where(won, (ends - 1).astype("datetime64[s]"), NO_DATE),
    }


def _qualified(world: World, deals: pd.DataFrame, now: int) -> np.ndarray:
    day = deals["qualified"].to_numpy()
    return moments(world, np.where(day <= now, day, -1), deals["qualified_minute"].to_numpy())


def accounts(world: World, now: int) -> pd.DataFrame:
    """Every account; when a prospect became a customer is known once it has."""
    book = world.accounts
    won = world.visits[world.visits["stage"] == law.WON]
    first = won["day"].groupby(world.deals["account"].to_numpy()[won["deal"]]).min()
    since = np.where(book["customer"], book["since"], pd.Series(first).reindex(book.index).fillna(people.FOREVER))
    since = since.astype(np.int64)
    return pd.DataFrame(
        {
            "account_id": text.ids("A-", np.arange(len(book)), 6),
            "name": account_names(np.arange(len(book))),
            "industry": text.labels(book["industry"], settings.INDUSTRIES),
            "employees": book["employees"],
            "annual_revenue": book["revenue"],
            "segment": text.labels(book["segment"], settings.SEGMENTS),
            "region": text.labels(settings.TEAM_REGION[book["territory"] // 2], settings.REGIONS),
            "territory": text.labels(book["territory"], settings.TERRITORIES),
            "parent_id": text.ids("A-", book["parent"], 6),
            "customer_since": days_text(world, np.minimum(since, world.chosen.n_days), since <= now),
        }
    )


def reps(world: World, now: int) -> pd.DataFrame:
    """People hired by the evening of day `now`; who leaves later has not left."""
    roster = people.roster(world.chosen, world.sellers)
    today = world.chosen.dates(now)
    roster = roster[roster["hire_date"] <= today]
    return roster.assign(left_date=roster["left_date"].where(roster["left_date"] <= today))


def territory_assignments(world: World, now: int) -> pd.DataFrame:
    """Who worked which territory, from when until when."""
    sellers = world.sellers[world.sellers["hire"] <= now]
    return pd.DataFrame(
        {
            "territory": text.labels(sellers["territory"], settings.TERRITORIES),
            "owner_id": owner_text(sellers.index),
            "valid_from": world.chosen.dates(sellers["hire"].to_numpy()),
            "valid_to": days_text(world, np.minimum(sellers["left"], world.chosen.n_days), sellers["left"] <= now),
        }
    )
