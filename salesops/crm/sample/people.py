"""The people of the sample: who sells where, from when until when, and how fast they grow into the job."""

import numpy as np
import pandas as pd

from salesops.crm.sample import settings
from salesops.crm.sample.settings import Switches

N_REPS, N_LEAVERS = 40, 8
N_TEAMS = len(settings.TEAMS)
OUTLIER = 7  # the one rep whose win hazard differs: there from the start, never leaves
FOREVER = 10**6
RAMP = np.array([0.10, 0.25, 0.45, 0.65, 0.80, 0.92, 1.0])  # share of a full load by month since hire
MONTH_DAYS = 365.25 / 12

_FIRST = (
    "Ada Ben Carla Daniel Elena Farid Grace Hugo Ines Jonas Karin Liam Maya Noah Olga Pablo Quinn Rosa Samir Tessa "
    "Umar Vera Wim Xenia Yusuf Zoe Amira Bruno Chloe Dmitri Emma Felix Gita Hannah Ivan Julia Kofi Lena Marco Nadia "
    "Oscar Priya Rafael Sofia Tomas Ursula Viktor Wanda Yara Anton Bella Cem Doris Egon Fiona Georg"
).split()
_LAST = (
    "Abbott Berg Castro Dubois Eriksen Fischer Gupta Hansen Ito Jansen Keller Lopez Moreau Nowak Okafor Petrov "
    "Quist Rossi Schmidt Tanaka Ueda Varga Weber Xu Young Zeller Almeida Brandt Costa Dahl Engel Ferrari Garcia "
    "Hoffman Ibrahim Johansson Kumar Larsen Mendes Nakamura Olsen Park Reyes Silva Torres Urban Vogel Wagner Yamada "
    "Zhou Ahmed Bauer Conti Diaz Eklund Ford"
).split()


def reps(chosen: Switches) -> pd.DataFrame:
    """Sellers by number: team, hire and leave days (from the first day of the company).

    The last `N_LEAVERS` replace as many leavers of the same team a few weeks
    after; everybody else stays, so handed-over deals have one new owner.
    """
    random = chosen.random("reps")
    number = np.arange(N_REPS)
    frame = pd.DataFrame({"team": number % N_TEAMS, "hire": -random.integers(200, 2500, N_REPS), "left": FOREVER})
    leavers = N_REPS - N_LEAVERS - 1 - np.arange(N_LEAVERS)
    hires = N_REPS - 1 - np.arange(N_LEAVERS)
    spread = np.linspace(0.12, 0.85, N_LEAVERS) * chosen.n_days + random.integers(-20, 20, N_LEAVERS)
    left = _business_day(chosen, np.maximum(spread.astype(int), 5))
    hire = _business_day(chosen, left + random.integers(10, 60, N_LEAVERS))
    frame.loc[leavers, "left"] = left
    frame.loc[hires, ["team", "hire"]] = np.column_stack([frame["team"].to_numpy()[leavers], hire])
    return frame.assign(territory=2 * frame["team"] + (number // N_TEAMS) % 2)


def _business_day(chosen: Switches, days: np.ndarray) -> np.ndarray:
    moved = np.busday_offset(chosen.dates(days), 0, roll="forward")
    return (moved - chosen.start).astype(int)


def ramp(months: np.ndarray) -> np.ndarray:
    """Share of a full load in the given month since hire (0 is the first)."""
    return RAMP[np.clip(months, 0, len(RAMP) - 1)]


def load(chosen: Switches, sellers: pd.DataFrame, days: np.ndarray) -> np.ndarray:
    """Weight of each seller in the draw of new deals: rows are days, columns sellers."""
    tenure = np.asarray(days)[:, None] - sellers["hire"].to_numpy()
    employed = (tenure >= 0) & (np.asarray(days)[:, None] < sellers["left"].to_numpy())
    grown = ramp((tenure // MONTH_DAYS).astype(int)) if chosen.has("ramp") else 1.0
    return employed * grown


def heirs(sellers: pd.DataFrame, leaver: int) -> np.ndarray:
    """Who takes over a leaver's open deals: the team's stayers, never the planted rep."""
    stays = (sellers["left"] == FOREVER) & (sellers["hire"] < 0) & (sellers["team"] == sellers["team"].iloc[leaver])
    return np.setdiff1d(np.flatnonzero(stays), [OUTLIER])


def owner_ids(count: int = N_REPS) -> list[str]:
    """Ids of the first reps, from U-001 on."""
    return [f"U-{number + 1:03d}" for number in range(count)]


def roster(chosen: Switches, sellers: pd.DataFrame) -> pd.DataFrame:
    """The `reps` table: sellers, then managers, development reps, overlays and their director."""
    ids, teams = owner_ids(N_REPS + N_TEAMS + 7), list(range(N_TEAMS))
    manager_of = {team: ids[N_REPS + team] for team in teams}
    director = ids[-1]
    roles = ["rep"] * N_REPS + ["manager"] * N_TEAMS + ["sdr"] * 4 + ["overlay"] * 2 + ["manager"]
    team = [*sellers["team"], *teams, 0, 2, 4, 5, 1, 3, -1]
    random = chosen.random("roster")
    hire = np.concatenate([sellers["hire"], -random.integers(300, 3000, len(ids) - N_REPS)])
    left = np.concatenate([sellers["left"], np.full(len(ids) - N_REPS, FOREVER)])
    names = [f"{_FIRST[i % len(_FIRST)]} {_LAST[(i * 5) % len(_LAST)]}" for i in range(len(ids))]
    bosses = [manager_of.get(t, director) for t in team[:N_REPS]] + [director] * N_TEAMS
    bosses += [manager_of[t] for t in team[N_REPS + N_TEAMS : -1]] + [None]
    return pd.DataFrame(
        {
            "owner_id": ids,
            "name": names,
            "email": [name.lower().replace(" ", ".") + "@example.com" for name in names],
            "manager_id": bosses,
            "team": [settings.TEAMS[t] if t >= 0 else None for t in team],
            "role": roles,
            "region": [settings.REGIONS[settings.TEAM_REGION[t]] if t >= 0 else None for t in team],
            "hire_date": chosen.dates(hire),
            "left_date": pd.Series(chosen.dates(np.minimum(left, chosen.n_days))).where(left < chosen.n_days),
        }
    )


def sdr_ids() -> list[str]:
    """Ids of those who qualify leads."""
    return owner_ids(N_REPS + N_TEAMS + 4)[-4:]


def overlay_ids() -> list[str]:
    """Ids of the specialists who work on others' deals."""
    return owner_ids(N_REPS + N_TEAMS + 6)[-2:]


def manager_ids() -> list[str]:
    """Ids of the managers, one a team."""
    return owner_ids(N_REPS + N_TEAMS)[-N_TEAMS:]
