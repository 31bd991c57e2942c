"""What the data say about stages where nobody wrote it down: which are won and lost, and in which order."""

from dataclasses import replace
from typing import NamedTuple

import pandas as pd

from salesops.crm import shapes
from salesops.crm.shapes import Shape, plain
from salesops.crm.source import Source, Stages

Tables = dict[str, pd.DataFrame]

CLOSED = ("won", "lost", "no_decision")


class Guess(NamedTuple):
    """Stages as the data tell them, and why: a reason each for ``order`` and ``outcomes``."""

    stages: Stages
    reasons: dict[str, str]


def with_stages(source: Source, tables: Tables) -> tuple[Source, list[str]]:
    """The source with stages told from the data, where it comes from a CRM and nothing names them."""
    named = source.stages
    if source.kind not in shapes.KINDS or named.order or named.won or named.lost:
        return source, []
    shape = shapes.shape(source.kind)
    if "stages" in tables:
        closed = tables["stages"].loc[tables["stages"]["is_closed"].fillna(False).astype(bool), "stage"]
        undecided = named.no_decision or _called(closed, "no_decision", shape)
        return replace(source, stages=replace(named, no_decision=undecided)), []
    if tables["opportunities"]["stage"].isna().all():
        return source, []
    guess = stages(tables, shape)
    kept = {name: getattr(named, name) for name in ("no_decision", "qualified") if getattr(named, name)}
    told = ", ".join(
        f"{name}: {', '.join(getattr(guess.stages, name))}"
        for name in ("won", "lost", "no_decision")
        if getattr(guess.stages, name)
    )
    note = (
        f"Nothing names the stages. Closed ones are told by {guess.reasons['outcomes']} ({told or 'none'}), "
        f"the order by {guess.reasons['order']}. Correct them with salesops init."
    )
    return replace(source, stages=replace(guess.stages, **kept)), [note]


def stages(tables: Tables, shape: Shape) -> Guess:
    """Stages of the deals and their history: open ones in order by pipeline, closed ones by what they mean.

    A stage is closed where most of its deals say so, else where its name does; the others are
    open, in the order in which deals first enter them, else by their probability.
    """
    deals, history = tables["opportunities"], tables.get("stage_history", pd.DataFrame())
    names = pd.concat([deals["stage"], history["stage"]]) if "stage" in history else deals["stage"]
    outcome, by = _outcomes(deals, names.dropna().drop_duplicates(), shape)
    is_open = deals["stage"].map(outcome).eq("open")
    order, ordered_by = _order(deals[is_open], history, {name for name, one in outcome.items() if one == "open"})
    listed = {
        name: tuple(stage for stage, one in outcome.items() if one == name) for name in ("won", "lost", "no_decision")
    }
    return Guess(Stages(order=order, **listed), {"order": ordered_by, "outcomes": by})


def _outcomes(deals: pd.DataFrame, names: pd.Series, shape: Shape) -> tuple[dict[str, str], str]:
    """What each stage means, and what told it."""
    words = {plain(word): outcome for outcome, listed in shape.outcomes.items() for word in listed}
    by_name = {name: words.get(plain(name), "open") for name in sorted(names)}
    flags = deals[deals["stage"].notna() & deals["is_closed"].notna() & deals["is_won"].notna()]
    if flags.empty:
        return by_name, "their usual names"
    shares = (
        flags.astype({"is_closed": "float64", "is_won": "float64"}).groupby("stage")[["is_closed", "is_won"]].mean()
    )
    told = {
        stage: "open" if share.is_closed < 0.5 else "won" if share.is_won >= 0.5 else "lost"
        for stage, share in zip(shares.index, shares.itertuples(index=False), strict=True)
    }
    undecided = {name: "no_decision" for name, outcome in by_name.items() if outcome == "no_decision"}
    lost = {name: outcome for name, outcome in undecided.items() if told.get(name, "lost") == "lost"}
    return by_name | told | lost, "the deals' closed and won flags"


def _order(deals: pd.DataFrame, history: pd.DataFrame, names: set[str]) -> tuple[dict[str, tuple[str, ...]], str]:
    """Open stages in order by pipeline, and what told the order."""
    rows, by = deals[["pipeline", "stage"]].assign(place=deals["probability"]), "the probability of their deals"
    if "stage" in history and history["stage"].isin(names).any():
        entered = history[history["stage"].isin(names)].sort_values(
            ["opportunity_id", "changed_at", "seq"], kind="stable"
        )
        first = entered.drop_duplicates(["opportunity_id", "stage"])
        rows = first[["pipeline", "stage"]].assign(place=first.groupby("opportunity_id").cumcount())
        by = "the median place at which deals enter them"
    places = rows.groupby(["pipeline", "stage"], dropna=False)["place"].agg(["median", "mean"]).reset_index()
    places = places.sort_values(["median", "mean", "stage"], kind="stable", na_position="last")
    several = places["pipeline"].nunique() > 1
    key = places["pipeline"].fillna("") if several else pd.Series("", index=places.index)
    return {str(pipeline): tuple(group["stage"]) for pipeline, group in places.groupby(key, sort=True)}, by


def _called(names: pd.Series, outcome: str, shape: Shape) -> tuple[str, ...]:
    words = {plain(word) for word in shape.outcomes[outcome]}
    return tuple(name for name in names.dropna().drop_duplicates() if plain(name) in words)
