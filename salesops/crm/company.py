"""What `crm.load` gives: every table, and what a report has to say about them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

import pandas as pd

from salesops import periods, pipeline
from salesops.crm import people, population
from salesops.crm.own_page import About
from salesops.crm.scrubbing import Scrubber
from salesops.periods import Calendar, Period


@dataclass(frozen=True)
class Company:
    """The tables of one company as they stood on ``as_of``.

    Each table of the data model is a frame with its canonical columns; one the source does
    not have is empty. ``opportunities`` is the population after ``where`` and ``measure``;
    ``all_opportunities`` is before them. Moments are in the source's own time zone, without a
    mark: a loss at 23:00 on the last day of a quarter belongs to that quarter.

    ``about`` says whose own page it is, where it is one; ``policy`` is the people policy of the source in
    sentences; `peers` are the others' deals beside a person's own page, of nobody in particular; `hides` tells
    whether a text mentions a person who may not be shown.
    """

    opportunities: pd.DataFrame
    all_opportunities: pd.DataFrame
    stage_history: pd.DataFrame
    stages: pd.DataFrame
    reps: pd.DataFrame
    accounts: pd.DataFrame
    targets: pd.DataFrame
    actuals: pd.DataFrame
    activities: pd.DataFrame
    tool_usage: pd.DataFrame
    leads: pd.DataFrame
    forecast_submissions: pd.DataFrame
    opportunity_splits: pd.DataFrame
    line_items: pd.DataFrame
    territory_assignments: pd.DataFrame
    fx_rates: pd.DataFrame
    costs: pd.DataFrame
    market: pd.DataFrame
    as_of: date
    data_through: date
    calendar: Calendar
    currency: str
    locale: str
    time_zone: str
    source: str
    where: str
    measure: str
    exclusions: pd.DataFrame
    withheld: dict[str, str]
    inputs: pd.DataFrame
    notes: list[str]
    replay: str
    about: About | None = None
    policy: Sequence[str] = ()
    hidden: Sequence[Scrubber] = field(default=(), repr=False)
    peers: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)
    smallest_group: int = 5

    @property
    def who(self) -> str:
        """Whom sentences are about: the company, or whose own page it is."""
        return self.about.name if self.about else "The company"

    @property
    def is_one_person(self) -> bool:
        """Whether it is one person's own page: there is nobody to compare."""
        return self.about is not None and self.about.column == "owner_id"

    def holders(self) -> set[str]:
        """Who owns a deal that counts, or owned it when it closed."""
        deals = self.opportunities
        return {*deals["owner_id"].dropna(), *pipeline.owner_at_close(deals, self.stage_history).dropna()}

    def own(self, deals: pd.DataFrame) -> pd.DataFrame:
        """The rows of those whose own page it is; all where it is nobody's, or a region's."""
        if self.about is None or self.about.column == "region":
            return deals
        theirs = {self.about.value} if self.reps.empty else set(self.reps["owner_id"])
        return deals[deals["owner_id"].isin(theirs)]

    def hides(self, text: str) -> bool:
        """Whether a text, or a whole page, mentions a person who may not be on it."""
        return people.WITHHELD in text or any(scrub.is_in(text) for scrub in self.hidden)

    def unnamed(self, text: str) -> str:
        """A text with something else in place of every person who may not be on the page."""
        for scrub in self.hidden:
            text = scrub.scrubbed(text)
        return re.sub(rf"{people.WITHHELD}\d+", "not shown", text)

    def period(self, text: str) -> Period:
        """The period a parameter names, seen from ``as_of`` in this company's calendar."""
        deals = self.all_opportunities
        days = [deals["created_date"].min(), deals.loc[deals["is_closed"], "close_date"].min()]
        first = pd.Series(days).min()
        return periods.resolve(
            text, as_of=self.as_of, calendar=self.calendar, first=None if pd.isna(first) else first.date()
        )

    def stage_order(self, pipeline: str | None = None) -> list[str]:
        """Open stages in order, of one pipeline or, without one, of all."""
        stages = self.stages
        if pipeline is not None:
            stages = stages[stages["pipeline"].isna() | (stages["pipeline"] == pipeline)]
        is_open = ~stages["is_closed"].fillna(False).astype(bool)
        return list(dict.fromkeys(stages[is_open].sort_values("position", kind="stable")["stage"].dropna()))

    def is_in(self, group: str, *, parameter: str = "group") -> pd.Series | None:
        """For which opportunities a filter such as ``segment == 'SMB'`` holds; None where it is empty.

        `parameter` is what an error calls it.
        """
        if not group.strip():
            return None
        return population.holds(self.opportunities, group, parameter=parameter)

    def has(self, table: str) -> bool:
        """Whether a table has any row."""
        return not getattr(self, table).empty

    def has_column(self, table: str, column: str) -> bool:
        """Whether a column is there and has any value."""
        frame = getattr(self, table)
        return column in frame.columns and bool(frame[column].notna().any())
