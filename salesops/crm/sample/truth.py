"""What is really so in a sample company, for tests and benchmarks to compare with."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import pandas as pd

from salesops import checks
from salesops.crm.sample import answers, core_frames, defects, law, people, settings
from salesops.crm.sample import world as worlds
from salesops.crm.sample.world import World

# Planted effects at the landmark: a factor of the law, its column, its levels in words (first the reference).
EFFECTS = {
    "segment": ("segment", settings.SEGMENTS),
    "type": ("opportunity_type", settings.TYPES[:2]),
    "sponsor": ("x_executive_sponsor", ("No", "Yes")),
    "partner": ("partner_id", ("direct", "partner")),
    "product": ("product", ("other products", "quick products")),
    "rep": ("owner_id", ("other reps", people.owner_ids()[people.OUTLIER])),
}
NO_EFFECT = ("x_trial", "x_use_case", "x_website_visits", "region", "territory", "lead_source", "campaign", "amount")


@dataclass(frozen=True)
class Truth:
    """The planted truths of one company; what is switched off is None, empty or equal."""

    world: World
    best_segment: str | None
    hurting_competitor: str | None
    competitor_odds_ratio: float
    outlier_rep: str | None
    break_date: date | None
    mix_shift: tuple[date, date] | None
    skill: pd.DataFrame
    ramp: pd.DataFrame
    no_effect: tuple[str, ...] = NO_EFFECT

    @cached_property
    def effects(self) -> pd.DataFrame:
        """Average effects at the landmark (entry to the qualified stage), in points, of deals that are no renewals.

        One row per factor and level: ``column, level, reference, points``: the
        mean over all such deals of the chance of winning with the level, less
        with the reference, all else as it was.
        """
        chosen, deals = self.world.chosen, self.world.deals
        mine = (deals["qualified"] < chosen.n_days) & (deals["type"] < 2)
        classes, day = deals["law_class"].to_numpy()[mine], deals["qualified"].to_numpy()[mine]
        every = np.arange(np.prod(list(law.FACTORS.values())))
        chances = answers.landmark(chosen, every, chosen.n_days - 1)
        rows = []
        for factor, (column, words) in EFFECTS.items():
            at = [chances[day, law.with_level(classes, factor, level)].mean() for level in range(len(words))]
            rows += [(column, word, words[0], 100 * (at[level] - at[0])) for level, word in enumerate(words) if level]
        return pd.DataFrame(rows, columns=["column", "level", "reference", "points"])

    @cached_property
    def defects(self) -> pd.DataFrame:
        """Rows each rule for reading finds: ``defect, rule, table, field, action, n``."""
        full = core_frames.opportunities(self.world, self.world.chosen.n_days - 1)
        return defects.counts(self.world.chosen, self.world.planted, full)

    def win_probability(self, opportunity_ids: Iterable[str], day: object, by: object = None) -> pd.Series:
        """Chance that each deal is won on or before `by`, from what the tables show on `day`.

        Exact, and the common shock is not known: it is averaged over. Without
        `by` it is the chance of ever being won. A deal won is 1, one that is
        not created yet is missing; a lost one may be re-opened.
        """
        today, last = self._day(day), None if by is None else self._day(by)
        if last is not None and last < today:
            raise checks.ParameterError(f"win_probability: by is {by}, before {day}. Give a later day.")
        classes, stage, age = self._states(opportunity_ids, today)
        chance = np.select([stage == law.WON, stage == law.NO_DECISION], [1.0, 0.0], np.nan)
        alive = (stage >= 0) & (stage <= law.LOST)
        if alive.any():
            state = classes[alive], stage[alive], age[alive]
            chance[alive] = answers.chance_on(self.world.chosen, *state, day=today, by=last)
        return pd.Series(chance, index=pd.Index(opportunity_ids, name="opportunity_id"), name="win_probability")

    def next_stage_probability(self, opportunity_ids: Iterable[str], day: object) -> pd.Series:
        """Chance that each open deal ever reaches the next stage or a later one; winning counts.

        From the last open stage it is the chance of ever being won. Deals
        that are not open on the day are missing.
        """
        today = self._day(day)
        classes, stage, age = self._states(opportunity_ids, today)
        chance = np.full(len(stage), np.nan)
        for now in np.unique(stage[(stage >= 0) & (stage < law.LOST)]):
            mine = stage == now
            state = classes[mine], stage[mine], age[mine]
            chance[mine] = answers.chance_on(self.world.chosen, *state, day=today, by=None, beyond=int(now) + 1)
        return pd.Series(chance, index=pd.Index(opportunity_ids, name="opportunity_id"), name="next_stage_probability")

    def _day(self, when: object) -> int:
        return self.world.chosen.day(when)

    def _states(self, opportunity_ids: Iterable[str], day: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Class, stage (-1 before creation) and days in stage of each deal on the evening of a day."""
        number = self._numbers(opportunity_ids)
        visits, days = self.world.visits, np.int64(10**7)
        begins = visits["deal"].to_numpy() * days + visits["day"].to_numpy()
        at = np.searchsorted(begins, number * days + day, side="right") - 1
        exists = (at >= 0) & (visits["deal"].to_numpy()[at] == number)
        stage = np.where(exists, visits["stage"].to_numpy()[at], -1)
        return self.world.deals["law_class"].to_numpy()[number], stage, day - visits["day"].to_numpy()[at]

    def _numbers(self, opportunity_ids: Iterable[str]) -> np.ndarray:
        text = pd.Series(pd.Index(opportunity_ids), dtype="str")
        number = pd.to_numeric(text.str.extract(r"^D-(\d+)$")[0]) - 1
        strange = ~number.between(0, len(self.world.deals) - 1)
        if strange.any():
            some = checks.examples(text[strange])
            raise checks.ParameterError(
                f"truth: {strange.sum()} unknown opportunities ({some}). Give ids of this sample."
            )
        return number.to_numpy(np.int64)


def of(world: World) -> Truth:
    """The answer key of a simulated company."""
    chosen = world.chosen
    ids = people.owner_ids()
    factor = np.where((np.arange(len(ids)) == people.OUTLIER) & chosen.has("rep"), law.REP_WIN, 1.0)
    load = people.RAMP if chosen.has("ramp") else np.ones_like(people.RAMP)
    first, last = chosen.dates([chosen.mix_day, chosen.n_days - 1]).tolist()
    return Truth(
        world=world,
        best_segment=settings.SEGMENTS[int(np.argmax(law.SEGMENT_WIN))] if chosen.has("segment") else None,
        hurting_competitor=settings.COMPETITORS[worlds.HURTING] if chosen.has("competitor") else None,
        competitor_odds_ratio=worlds.HURTING_ODDS_RATIO if chosen.has("competitor") else 1.0,
        outlier_rep=ids[people.OUTLIER] if chosen.has("rep") else None,
        break_date=chosen.dates(chosen.break_day).tolist() if chosen.has("break") else None,
        mix_shift=(first, last) if chosen.has("mix") else None,
        skill=pd.DataFrame({"owner_id": ids, "win_hazard_factor": factor}),
        ramp=pd.DataFrame({"month": np.arange(len(load)), "load": load}),
    )
