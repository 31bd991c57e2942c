"""What is known of each deal when it is created, and the accounts the deals belong to."""

import numpy as np
import pandas as pd

from salesops.crm.sample import law, people, settings
from salesops.crm.sample.settings import Switches

MONTHS = np.array([1.06, 1.02, 1.14, 0.98, 1.02, 1.04, 0.84, 0.80, 1.10, 1.10, 1.06, 0.84])
GROWTH = 0.04  # more deals a year
SEGMENT_SHARE = np.array([0.36, 0.42, 0.22])
SHIFTED_SHARE = np.array([0.68, 0.15, 0.17])
TYPE_SHARE = np.array([0.68, 0.18, 0.14])
TERRITORY_SHARE = np.array([6, 6, 6, 6, 4, 4, 4, 4, 3, 3, 3, 3]) / 52
SPONSOR_SHARE, PARTNER_SHARE = 0.30, 0.20
AMOUNT_MEDIAN = np.array([9_000.0, 24_000.0, 68_000.0])
AMOUNT_SPREAD = 1.05
CELLS = (len(settings.TERRITORIES), len(settings.SEGMENTS), 2)


def accounts(chosen: Switches) -> pd.DataFrame:
    """Accounts by number: territory, segment, and whether they were customers from the start.

    Every combination has at least two accounts.
    """
    random = chosen.random("accounts")
    cells = int(np.prod(CELLS))
    count = max(2 * cells, round(0.45 * chosen.size))
    territory, segment, customer = (np.tile(level, 2) for level in np.unravel_index(np.arange(cells), CELLS))
    rest = count - len(territory)
    frame = pd.DataFrame(
        {
            "territory": np.append(territory, _pick(random, TERRITORY_SHARE, rest)),
            "segment": np.append(segment, _pick(random, np.array([0.45, 0.36, 0.19]), rest)),
            "customer": np.append(customer, random.random(rest) < 0.32),
            "industry": random.integers(0, len(settings.INDUSTRIES), count),
            "since": -random.integers(90, 2500, count),
            "parent": np.where(random.random(count) < 0.06, random.integers(0, count, count), -1),
        }
    )
    employees = np.array([60, 600, 5000])[frame["segment"]] * np.exp(random.normal(0, 0.6, count))
    return frame.assign(
        employees=employees.round(), revenue=(employees * 180_000 * np.exp(random.normal(0, 0.4, count))).round(-4)
    )


def deals(chosen: Switches, book: pd.DataFrame, sellers: pd.DataFrame) -> pd.DataFrame:
    """Deals by number, in order of creation: one row each, all columns numbers."""
    random = chosen.random("deals")
    created = _created(chosen, random)
    shifted = (created >= chosen.mix_day) & chosen.has("mix")
    size = len(created)
    segment = np.where(shifted, _pick(random, SHIFTED_SHARE, size), _pick(random, SEGMENT_SHARE, size))
    frame = pd.DataFrame({"created": created, "segment": segment, "type": _pick(random, TYPE_SHARE, size)})
    frame["territory"] = _pick(random, TERRITORY_SHARE, size)
    frame["account"] = _account(random, book, frame)
    frame["owner"] = _owner(chosen, random, sellers, frame)
    frame["minute"] = random.integers(8 * 60, 16 * 60, size)
    frame["product"] = _pick(random, np.array([0.17, 0.10, 0.17, 0.10, 0.11, 0.10, 0.14, 0.11]), size)
    frame["partner"] = np.where(
        random.random(size) < PARTNER_SHARE, random.integers(0, len(settings.PARTNERS), size), -1
    )
    frame["source"] = _source(random, frame)
    frame["campaign"] = _campaign(random, frame)
    frame["amount"] = AMOUNT_MEDIAN[segment] * np.exp(random.normal(0, AMOUNT_SPREAD, size))
    frame["sponsor"] = random.random(size) < SPONSOR_SHARE
    frame["trial"] = random.random(size) < 0.4
    frame["use_case"] = random.integers(0, len(settings.USE_CASES), size)
    frame["visits"] = random.poisson(6.0, size)
    return frame.assign(law_class=_law_class(frame))


def _pick(random: np.random.Generator, shares: np.ndarray, size: int) -> np.ndarray:
    edges = np.cumsum(shares / shares.sum())[:-1]
    return np.searchsorted(edges, random.random(size), side="right")


def _created(chosen: Switches, random: np.random.Generator) -> np.ndarray:
    days = np.arange(chosen.n_days)
    dates = chosen.dates(days)
    season = MONTHS[dates.astype("datetime64[M]").astype(int) % 12]
    weight = np.is_busday(dates) * season * (1 + GROWTH) ** (days / 365.25)
    return np.repeat(days, random.multinomial(chosen.size, weight / weight.sum()))


def _account(random: np.random.Generator, book: pd.DataFrame, frame: pd.DataFrame) -> np.ndarray:
    """An account of the deal's territory and segment; some have many deals. Only customers expand or renew."""
    cell = np.ravel_multi_index([book["territory"], book["segment"], book["customer"].astype(int)], CELLS)
    order = np.argsort(cell, kind="stable")
    count = np.bincount(cell, minlength=int(np.prod(CELLS)))
    first = np.cumsum(count) - count
    wanted = np.ravel_multi_index([frame["territory"], frame["segment"], (frame["type"] > 0).astype(int)], CELLS)
    return order[first[wanted] + (count[wanted] * random.random(len(frame)) ** 1.5).astype(int)]


def _owner(chosen: Switches, random: np.random.Generator, sellers: pd.DataFrame, frame: pd.DataFrame) -> np.ndarray:
    """A seller of the territory's team, in proportion to the load each carries that day."""
    days = np.unique(frame["created"])
    weights = people.load(chosen, sellers, days)
    teams = np.arange(people.N_TEAMS)
    team_weights = weights[:, None, :] * (sellers["team"].to_numpy() == teams[:, None])
    edges = np.cumsum(team_weights, axis=2)
    row = np.searchsorted(days, frame["created"])
    mine = edges.reshape(-1, len(sellers))[row * len(teams) + frame["territory"].to_numpy() // 2]
    return (mine <= (random.random(len(frame)) * mine[:, -1])[:, None]).sum(axis=1)


def _source(random: np.random.Generator, frame: pd.DataFrame) -> np.ndarray:
    usual = _pick(random, np.array([0.26, 0.14, 0.14, 0.16, 0.30]), len(frame))
    through_partner = (frame["partner"] >= 0) & (random.random(len(frame)) < 0.6)
    return np.where(through_partner, settings.SOURCES.index("Partner"), usual)


def _campaign(random: np.random.Generator, frame: pd.DataFrame) -> np.ndarray:
    source = frame["source"].to_numpy()
    has_one = settings.INBOUND[source] & (random.random(len(frame)) < 0.8)
    which = np.where(random.random(len(frame)) < 0.5, 0, 1)
    options = np.array([[2, 0], [3, 4], [5, 1], [0, 0], [0, 0], [0, 0]])
    return np.where(has_one, options[source, which], -1)


def _law_class(frame: pd.DataFrame) -> np.ndarray:
    return law.class_of(
        type=frame["type"],
        segment=frame["segment"],
        sponsor=frame["sponsor"].astype(int),
        partner=(frame["partner"] >= 0).astype(int),
        product=settings.QUICK_PRODUCTS[frame["product"]],
        rep=(frame["owner"] == people.OUTLIER).astype(int),
    )
