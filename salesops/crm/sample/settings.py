"""The switches of the sample company, its calendar, and the words it uses."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import pandas as pd

from salesops import checks

PLANTED = ("segment", "type", "sponsor", "partner", "product", "rep", "competitor", "ramp", "mix", "break")

SEGMENTS = ("SMB", "Mid-Market", "Enterprise")
TYPES = ("new", "expansion", "renewal")
REGIONS = ("North America", "EMEA", "APAC", "LATAM")
TEAMS = ("US East", "US West", "UK & Nordics", "DACH & South", "Asia Pacific", "Latin America")
TEAM_REGION = np.array([0, 0, 1, 1, 2, 3])
TERRITORIES = tuple(f"{team} {half}" for team in TEAMS for half in (1, 2))
PRODUCTS = ("Data Hub", "Data Hub Plus", "Insight", "Insight Pro", "Guard", "Connect", "Starter", "Starter Team")
QUICK_PRODUCTS = np.array([0, 0, 0, 0, 0, 1, 1, 1])
SOURCES = ("Website", "Event", "Content", "Referral", "Outbound", "Partner")
INBOUND = np.array([1, 1, 1, 0, 0, 0], dtype=bool)
CAMPAIGNS = ("Spring webinar", "Product tour", "Search", "Field days", "Trade fair", "Year-end guide")
PARTNERS = tuple(f"P-{number:02d}" for number in range(1, 9))
COMPETITORS = ("Acuity", "Borealis", "Cobalt", "Dynamo", "Evergreen")
LOSS_REASONS = ("Price", "Missing feature", "Chose competitor", "Timing", "No budget", "No response")
INDUSTRIES = ("Software", "Manufacturing", "Retail", "Healthcare", "Financial services", "Public sector")
NAME_HEADS = tuple(
    "Alder Amber Anchor Arctic Aspen Beacon Birch Bright Cedar Coral Crown Delta Eagle Ember Falcon Fjord Forge "
    "Garnet Granite Harbor Hazel Heron Iris Ivory Juniper Lagoon Larch Lumen Maple Meadow Mesa Nimbus North Opal "
    "Orchid Osprey Pine Polar Quartz Raven Ridge River Sable Saffron Sierra Slate Solar Spruce Sterling Summit "
    "Tidal Timber Topaz Umber Vale Velvet Violet Willow Winter Zenith Zephyr".split()
)
NAME_TAILS = tuple(
    "Analytics Bank Brands Care Chemicals Clinics Components Consulting Dairy Electric Energy Engineering Estates "
    "Foods Freight Games Glass Health Hotels Insurance Instruments Labs Learning Logistics Machines Marine Markets "
    "Materials Media Metals Mills Mobility Motors Networks Optics Packaging Paper Partners Pharma Plastics Press "
    "Properties Rail Research Retail Robotics Security Services Shipping Software Steel Studios Systems Telecom "
    "Textiles Tools Travel Utilities Ventures Water Works".split()
)
USE_CASES = ("Reporting", "Planning", "Compliance", "Integration")


@dataclass(frozen=True)
class Switches:
    """Everything that chooses a sample company; equal switches, equal history."""

    seed: int
    size: int
    years: float
    end: date
    planted: frozenset[str]
    shock: float
    defects: tuple[tuple[str, int], ...]

    def random(self, purpose: str) -> np.random.Generator:
        """A stream of its own for each purpose, so that one table's draws never move another's."""
        return np.random.default_rng([self.seed, *purpose.encode()])

    def has(self, truth: str) -> bool:
        return truth in self.planted

    @cached_property
    def n_days(self) -> int:
        start = pd.Timestamp(self.end) - pd.DateOffset(months=round(12 * self.years)) + pd.Timedelta(days=1)
        return (pd.Timestamp(self.end) - start).days + 1

    @cached_property
    def start(self) -> np.datetime64:
        return np.datetime64(self.end, "D") - (self.n_days - 1)

    def day(self, when: object) -> int:
        """Days from the first day of the company to a date."""
        return int((np.datetime64(pd.Timestamp(when).date(), "D") - self.start).astype(int))

    def dates(self, days: np.ndarray) -> np.ndarray:
        return self.start + np.asarray(days).astype("timedelta64[D]")

    @cached_property
    def quarter_starts(self) -> np.ndarray:
        """First days of the quarters that touch the company's life, oldest first."""
        first, last = self.start.astype("datetime64[M]"), np.datetime64(self.end, "M")
        first, last = first - first.astype(int) % 3, last - last.astype(int) % 3
        return np.array([self.day(month) for month in np.arange(first, last + 1, 3)])

    @cached_property
    def mix_day(self) -> int:
        """First day of the mix shift: the last four quarters, or the last quarter in four of a short life."""
        count = len(self.quarter_starts)
        return int(self.quarter_starts[-min(4, max(count // 4, 1))])

    @cached_property
    def break_day(self) -> int:
        """The trend break: four quarters before the mix shift, or half-way to it in a short life."""
        index = int(np.flatnonzero(self.quarter_starts == self.mix_day)[0])
        return int(self.quarter_starts[index - 4 if index >= 8 else index // 2])


def switches(
    *,
    seed: int = 0,
    size: int = 6000,
    years: float = 4,
    end: object = "2026-09-30",
    null: bool = False,
    shock: float = 0.0,
    clean: bool = False,
    defects: Mapping[str, int] | None = None,
    planted: Iterable[str] | None = None,
) -> Switches:
    """Validated switches; `null` plants nothing, `clean` has no defects."""
    if seed < 0:
        raise checks.ParameterError(f"sample: seed is {seed}. Give a whole number, 0 or more.")
    if not 50 <= size <= 5_000_000:
        raise checks.ParameterError(f"sample: size is {size}. Give a number from 50 to 5,000,000.")
    if not 0.5 <= years <= 30:
        raise checks.ParameterError(f"sample: years is {years}. Give a number from 0.5 to 30.")
    if shock < 0:
        raise checks.ParameterError(f"sample: shock is {shock}. Give a standard deviation, 0 or more.")
    chosen = frozenset(() if null else PLANTED if planted is None else planted)
    _refuse_unknown("planted truth", chosen, PLANTED)
    counts = default_defects(size) if defects is None else dict(defects)
    _refuse_unknown("defect", counts, default_defects(size))
    wanted = tuple(sorted((name, int(n)) for name, n in counts.items() if n and not clean))
    return Switches(int(seed), int(size), float(years), pd.Timestamp(end).date(), chosen, float(shock), wanted)


def _refuse_unknown(kind: str, given, known) -> None:
    for name in sorted(set(given) - set(known)):
        raise checks.ParameterError(
            f"sample: unknown {kind} '{name}'. It knows {', '.join(known)}.{checks.did_you_mean(name, known)}"
        )


def default_defects(size: int) -> dict[str, int]:
    """A few of each fault, well under one row in a hundred together."""
    few = max(1, round(size / 2000))
    counts = dict.fromkeys(
        (
            "closed_before_created date_out_of_range negative_amount unknown_stage unknown_owner no_id no_outcome "
            "past_due_close_date no_amount_open repeated_row missing_date product_spelling"
        ).split(),
        few,
    )
    return counts | {"past_due_close_date": 2 * few, "product_spelling": 2 * few, "lost_amount_zero": 0}
