"""The answer key: chances by backward recursion over the law, exact and never sampled."""

from collections.abc import Iterator

import numpy as np

from salesops.crm.sample import law
from salesops.crm.sample.settings import Switches

HORIZON = 730  # days after which practically every deal has closed
NODES = 7  # of the Gauss-Hermite rule for a quarter's common shock


def values(
    chosen: Switches, classes: np.ndarray, first: int, last: int, *, beyond: int | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """Chance of winning by the evening of day `last`, seen from the evening of each day back to `first`.

    Yields ``day, chance`` with an array (shock, class, stage, days in stage), to
    be averaged by the weights of `shock_law` and not to be kept. With `beyond`, the chance of ever being in
    that stage or a later one, or won. The shock of a quarter is not known
    while the quarter runs: its chances are averaged over the shock's law.
    """
    nodes, weights = shock_law(chosen)
    days = np.arange(first, last + 1)
    weekday, pull, quarter = law.weekday(chosen, days), law.pull(chosen, days), law.quarter_of(chosen, days)
    hazards = law.hazards(chosen, classes)
    chance = np.zeros((len(nodes), *hazards.pace.shape))
    chance[:, :, law.LOST if beyond is None else beyond : law.LOST] = 1.0
    kept: dict[float, tuple[np.ndarray, ...]] = {}
    for at in range(len(days) - 1, -1, -1):
        yield int(days[at]), chance
        if at and at + 1 < len(days) and quarter[at] != quarter[at + 1]:
            chance[:] = np.tensordot(weights, chance, 1)
        if weekday[at] and pull[at] not in kept:
            kept[pull[at]] = _day(hazards, weekday[at], pull[at] * nodes)
        chance = _back(chance, hazards, kept[pull[at]] if weekday[at] else None)
        if beyond is not None:
            chance[:, :, beyond : law.LOST] = 1.0


def shock_law(chosen: Switches) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights that stand for a quarter's common shock."""
    if not chosen.shock:
        return np.ones(1), np.ones(1)
    points, weights = np.polynomial.hermite_e.hermegauss(NODES)
    spread = np.sqrt(np.log1p(chosen.shock**2))
    return np.exp(spread * points - spread**2 / 2), weights / weights.sum()


def _day(hazards: law.Hazards, weekday: float, pulls: np.ndarray) -> tuple[np.ndarray, ...]:
    """Of one kind of day: chance to stay, chance of a move for each unit of base hazard, chance to win."""
    wins = pulls[:, None, None] * hazards.win
    total = (hazards.base.sum(axis=0) + wins)[..., None] * hazards.pace * weekday
    share = -np.expm1(-total) / np.where(total > 0, total, 1.0) * hazards.pace * weekday
    return np.exp(-total), share, share * wins[..., None]


def _back(chance: np.ndarray, hazards: law.Hazards, day: tuple[np.ndarray, ...] | None) -> np.ndarray:
    """The chances one evening earlier."""
    older = np.concatenate([chance[..., 1:], chance[..., -1:]], axis=-1)
    if day is None:
        return older
    stay, share, win = day
    fresh = np.concatenate([chance[..., 0], np.zeros((*chance.shape[:2], 2))], axis=-1)  # won is counted apart
    ahead = sum(hazards.base[move] * fresh[..., law.TARGETS[move]] for move in range(len(hazards.base)))
    return stay * older + share * ahead[..., None] + win


def chance_on(chosen: Switches, classes, stage, days_in_stage, *, day: int, by: int | None, beyond: int | None = None):
    """Chance of deals in the given class, stage and days in stage, on the evening of a day."""
    known, row = np.unique(classes, return_inverse=True)
    last = day + HORIZON if by is None else by
    for _, chance in values(chosen, known, day, last, beyond=beyond):
        seen = chance
    return shock_law(chosen)[1] @ seen[:, row, stage, np.minimum(days_in_stage, law.CAP)]


def landmark(chosen: Switches, classes: np.ndarray, last: int) -> np.ndarray:
    """Chance of ever winning at the entry to the qualified stage: rows are days up to `last`, columns classes."""
    chances, weights = np.empty((last + 1, len(classes))), shock_law(chosen)[1]
    for day, chance in values(chosen, classes, 0, last + HORIZON):
        if day <= last:
            chances[day] = weights @ chance[:, :, law.QUALIFIED, 0]
    return chances
