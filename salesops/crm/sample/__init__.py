"""The sample company: a simulated, seeded CRM whose truth is known."""

import pandas as pd

from salesops import checks
from salesops.crm import model
from salesops.crm.sample import core_frames, follow_frames, law, plan_frames, settings, world
from salesops.crm.sample.truth import Truth, of

__all__ = ["SOURCE", "Truth", "tables", "truth"]

SOURCE = {
    "kind": "generic",
    "currency": "USD",
    "time_zone": "UTC",
    "fiscal": {"start_month": 1, "named_by": "end"},
    "stages": {
        "order": {"New business": list(law.NEW_STAGES), "Customer": list(law.CUSTOMER_STAGES[1:])},
        "won": ["Closed Won"],
        "lost": ["Closed Lost"],
        "no_decision": ["No Decision"],
        "qualified": {"New business": "Qualified", "Customer": "Scoping"},
    },
}

_FRAMES = {
    "opportunities": core_frames.opportunities,
    "stage_history": core_frames.stage_history,
    "accounts": core_frames.accounts,
    "reps": core_frames.reps,
    "targets": plan_frames.targets,
    "actuals": plan_frames.actuals,
    "activities": follow_frames.activities,
    "tool_usage": follow_frames.tool_usage,
    "leads": follow_frames.leads,
    "forecast_submissions": plan_frames.forecast_submissions,
    "opportunity_splits": plan_frames.opportunity_splits,
    "line_items": plan_frames.line_items,
    "territory_assignments": core_frames.territory_assignments,
    "costs": plan_frames.costs,
    "market": plan_frames.market,
}


def tables(
    *,
    seed: int = 0,
    size: int = 6000,
    years: float = 4,
    end: object = "2026-09-30",
    until: object = None,
    null: bool = False,
    shock: float = 0.0,
    clean: bool = False,
    defects: dict[str, int] | None = None,
    planted: tuple[str, ...] | None = None,
) -> dict[str, pd.DataFrame]:
    """The tables of the sample company as its CRM stood on the evening of a day.

    Deals are moved day by day by hazards that depend only on what the tables
    show, so that `truth` is exact. Equal switches give equal tables, and
    every `until` is a view of one history.

    Parameters
    ----------
    seed
        Of all chance.
    size
        Opportunities, 50 to 5,000,000.
    years, end
        The company's life: so many years, to its last day, on which something is recorded.
    until
        Day as of which the CRM is shown; the last day if empty.
    null
        Nothing is planted: no group differs from another, nothing changes with time.
    shock
        Standard deviation of the quarters' common factor (log-normal, mean 1) of the hazard of winning.
    clean
        No faults.
    defects
        How many rows of each fault (`settings.default_defects` names them); a few of each if empty.
        ``lost_amount_zero`` is a switch: 1 sets every lost amount to 0.
    planted
        Which of `settings.PLANTED` are planted; all if empty.

    Returns
    -------
    dict of DataFrame
        Canonical frames by table name; there are no ``fx_rates``, all money is in one currency.

    Raises
    ------
    ParameterError
        A switch makes no sense.

    Examples
    --------
    >>> deals = tables(size=500, until="2025-06-30")["opportunities"]
    >>> deals["created_date"].max().date() <= pd.Timestamp("2025-06-30").date()
    True
    """
    chosen = settings.switches(
        seed=seed,
        size=size,
        years=years,
        end=end,
        null=null,
        shock=shock,
        clean=clean,
        defects=defects,
        planted=planted,
    )
    now = _evening(chosen, until)
    company = world.build(chosen)
    frames = {name: frame(company, now) for name, frame in _FRAMES.items()} | {"stages": law.stages()}
    deals = frames["opportunities"]
    deals["last_activity_date"] = follow_frames.last_activity(frames["activities"], deals["opportunity_id"])
    return {name: model.conform(frame.reset_index(drop=True), name) for name, frame in frames.items()}


def _evening(chosen: settings.Switches, until: object) -> int:
    if until is None:
        return chosen.n_days - 1
    now = chosen.day(until)
    if now >= chosen.n_days:
        raise checks.ParameterError(f"sample: until is {until}, after the last day {chosen.end}. Give a later end.")
    if now < 0:
        raise checks.ParameterError(f"sample: until is {until}, before the first day {chosen.start}. Give a later day.")
    return now


def truth(**switches: object) -> Truth:
    """The answer key of the company that `tables` gives with the same switches.

    It is of the whole history: `until` is taken and changes nothing.

    Examples
    --------
    >>> key = truth(size=500)
    >>> key.best_segment, key.hurting_competitor, key.outlier_rep
    ('Mid-Market', 'Cobalt', 'U-008')
    """
    switches.pop("until", None)
    return of(world.build(settings.switches(**switches)))
