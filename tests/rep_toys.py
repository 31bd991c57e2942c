"""People, targets and activity logs of a few rows, for the tests of what reps do and reach."""

import pandas as pd

from salesops.crm import model


def people(rows: list[dict]) -> pd.DataFrame:
    usual = {"role": "rep", "team": "East", "hire_date": "2020-01-01", "left_date": None}
    frame = pd.DataFrame([usual | row for row in rows], columns=["owner_id", "name", "manager_id", "region", *usual])
    for name in ("hire_date", "left_date"):
        frame[name] = pd.to_datetime(frame[name])
    return model.conform(frame, "reps")


def plan(rows: list[dict]) -> pd.DataFrame:
    usual = {
        "metric": "bookings_amount",
        "scope_kind": "rep",
        "scope_id": "r1",
        "period_start": "2026-07-01",
        "period_end": "2026-09-30",
        "version": "plan",
        "value": 92.0,
        "ramp_factor": None,
    }
    frame = pd.DataFrame([usual | row for row in rows], columns=list(usual))
    for name in ("period_start", "period_end"):
        frame[name] = pd.to_datetime(frame[name])
    return model.conform(frame, "targets")


def log(rows: list[dict]) -> pd.DataFrame:
    usual = {
        "owner_id": "r1",
        "kind": "meeting",
        "occurred_at": "2026-08-03",
        "direction": None,
        "is_held": None,
        "is_automated": None,
    }
    frame = pd.DataFrame([usual | row for row in rows], columns=list(usual))
    frame["occurred_at"] = pd.to_datetime(frame["occurred_at"])
    return model.conform(frame.assign(activity_id=range(len(frame))), "activities")


NO_REPS, NO_HISTORY = people([]), model.conform(pd.DataFrame(), "stage_history")
