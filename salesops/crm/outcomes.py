"""What tells open, won, lost and no decision apart."""

import pandas as pd

from salesops import checks
from salesops.crm import coercion, model
from salesops.crm.source import FILE, Source, Stages


def of_stages(stages: pd.DataFrame, named: Stages) -> dict[str, str]:
    """Outcome of each stage, from the stages table and, before it, from source.yaml.

    Examples
    --------
    >>> table = pd.DataFrame({"stage": ["Offer", "Gone"], "is_closed": [False, True], "is_won": [False, False]})
    >>> of_stages(table, Stages(no_decision=("Gone",)))
    {'Offer': 'open', 'Gone': 'no_decision'}
    """
    known = stages[stages["is_closed"].notna() & stages["stage"].notna()]
    outcome = _outcome(known["is_closed"].astype(bool), known["is_won"].fillna(False).astype(bool))
    return dict(zip(known["stage"], outcome, strict=True)) | named.outcomes()


def of_opportunities(opportunities: pd.DataFrame, stages: pd.DataFrame, source: Source, *, file: str) -> pd.Series:
    """Outcome of each opportunity; missing where it is not usable.

    Told by ``outcome``, else by ``is_closed`` and ``is_won``, else by ``stage``.

    Raises
    ------
    DataError
        The table has none of the three.
    """
    if opportunities["outcome"].notna().any():
        words, spread = coercion.distinct_of(opportunities["outcome"])
        words = words.str.lower().str.replace(r"[\s-]+", "_", regex=True)
        return spread(words.where(words.isin(model.OUTCOMES))).astype("str")
    if opportunities["is_closed"].notna().any() and opportunities["is_won"].notna().any():
        is_known = opportunities["is_closed"].notna() & (opportunities["is_won"].notna() | ~opportunities["is_closed"])
        outcome = _outcome(opportunities["is_closed"].fillna(False), opportunities["is_won"].fillna(False))
        undecided = opportunities["stage"].isin(source.stages.no_decision) & (outcome == "lost")
        return outcome.mask(undecided, "no_decision").where(is_known.fillna(False))
    by_stage = of_stages(stages, source.stages)
    if {"won", "lost"} & set(by_stage.values()) and opportunities["stage"].notna().any():
        return opportunities["stage"].map(by_stage).astype("str")
    if opportunities.empty:
        return opportunities["outcome"]
    raise checks.DataError(
        f"{file}: nothing tells open, won and lost. Map outcome, or is_closed and is_won, in {FILE} under columns; "
        "or map stage and name its closed stages: stages: {won: [Closed Won], lost: [Closed Lost]}."
    )


def flagged(opportunities: pd.DataFrame) -> pd.DataFrame:
    """Opportunities with ``is_closed`` and ``is_won`` as their outcome says."""
    outcome = opportunities["outcome"]
    return opportunities.assign(
        is_closed=(outcome.notna() & (outcome != "open")).astype(bool), is_won=(outcome == "won").astype(bool)
    )


def told_by_probability(stages: pd.DataFrame) -> pd.DataFrame:
    """A stages table with what is missing of its flags: closed is not won, probability 1 is.

    Where nothing says which stages are closed, those at probability 0 and 1 are.

    Examples
    --------
    >>> told_by_probability(model.conform(pd.DataFrame({"probability": [0.2, 1, 0]}), "stages"))["is_won"].tolist()
    [False, True, False]
    """
    probability = stages["probability"]
    if probability.isna().all():
        return stages
    is_closed = stages["is_closed"]
    if is_closed.isna().all():
        is_closed = probability.isin([0, 1]).astype("boolean")
    is_won = stages["is_won"]
    if is_won.isna().all():
        is_won = (is_closed & (probability == 1)).astype("boolean")
    return stages.assign(is_closed=is_closed, is_won=is_won)


def stages_table(named: Stages) -> pd.DataFrame:
    """A stages table from what source.yaml says, for a source that has none."""
    rows = [(pipeline or None, stage, "open") for pipeline, stages in named.order.items() for stage in stages]
    listed = {stage for _, stage, _ in rows}
    rows += [(None, stage, outcome) for stage, outcome in named.outcomes().items() if stage not in listed]
    table = pd.DataFrame(rows, columns=["pipeline", "stage", "outcome"])
    outcome = table["stage"].map(named.outcomes())
    table = table.assign(position=range(1, len(table) + 1), is_closed=outcome != "open", is_won=outcome == "won")
    return model.conform(table.drop(columns="outcome"), "stages")


def _outcome(is_closed: pd.Series, is_won: pd.Series) -> pd.Series:
    outcome = pd.Series("open", index=is_closed.index, dtype="str")
    return outcome.mask(is_closed.astype(bool), "lost").mask((is_closed & is_won).astype(bool), "won")
