"""Other counts: the conversion of each stage as the usual tools count it, beside ours, so that nobody has to argue."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from salesops import checks, journey
from salesops.periods import Period
from salesops.stats import proportions

_LIMITS = ("", "_low", "_high")
_COLUMNS = ["stage", "pipeline", "method", "n", "n_next", *(f"counted_conversion_rate{end}" for end in _LIMITS)]
_PARTS = ["all stages", "imputed", "direct moves"]  # the next is part of those before
_OURS = "ever further, open deals censored"


class Method(NamedTuple):
    """A way of counting: its name, and what is divided by what."""

    name: str
    rule: str


METHODS = (
    Method(_OURS, "chance of ever reaching a later stage, of the deals that first entered in the period"),
    Method("snapshot", "deals that stand in the next stage today ÷ deals that stand in this one today"),
    Method("period flow", "deals that first entered the next stage in the period ÷ those that first entered this one"),
    Method("any stage", "deals that ever entered the next stage ÷ deals that ever entered this one"),
    Method("all stages", "deals that entered every stage to the next ÷ deals that entered every stage to this one"),
    Method("imputed", "deals that came to the next stage or beyond ÷ deals that came to this one or beyond"),
    Method("direct moves", "stays that ended with a move straight to the next stage ÷ all stays"),
)


def other_counts(
    visits: pd.DataFrame, conversion: pd.DataFrame, *, period: Period, confidence: float = 0.95
) -> pd.DataFrame:
    """Conversion of each stage by each usual way of counting, ours first.

    ``counted_conversion_rate = n_next / n`` by the `rules` of each method; after the last stage comes being won. "Any
    stage", "all stages" and "imputed" count the deals whose first stay in the pipeline began in the period, as far
    as they have come by today; "direct moves" the stays that began in it; "snapshot" all that stand there today.
    Stages of one place count as one. In all but ours a deal that is still open counts as one that did not go on.

    Known bias: all but ours. A snapshot compares how long deals stay, not how many go on, and passes 1; flow lags
    behind entries where they grow, and passes 1 too; "all stages" loses every deal that skipped a stage;
    "any stage" mixes deals that skipped this one into the next; "imputed" counts stages that nobody saw;
    "direct moves" counts a skip and a return as failures.

    Parameters
    ----------
    visits
        Of `journey.stage_visits`.
    conversion
        Of `funnel.stage_conversion` for the same period, not split.
    period
        When the stage was first entered.
    confidence
        Level of the interval.

    Returns
    -------
    DataFrame
        One row per stage, in order, pipeline and method, in the order of `METHODS`: ``stage``, ``pipeline``,
        ``method``, ``n``, ``n_next``, ``counted_conversion_rate`` with its limits. Of ours ``n_next`` is
        missing: it is no plain ratio. Snapshot of a last stage is missing: nobody stands in "won". Limits
        are Wilson's where `n_next` is part of `n`, else those of a ratio of two counts, each deal on its own.

    Metrics
    -------
    counted_conversion_rate : rate, stage_entered, none, n_next / n, changed_at
        Stage conversion by the way of counting named in the row; above 1 where more stand in, or came to, the next
        stage.

    References
    ----------
    Przyborowski & Wilenski (1940), Biometrika 31:313-323 (ratio of two counts).

    Examples
    --------
    >>> from datetime import date
    >>> visits = pd.DataFrame({
    ...     "opportunity_id": ["A", "A", "B"], "visit": [1, 2, 1], "pipeline": "new",
    ...     "stage": ["Qualify", "Propose", "Qualify"], "position": [1, 2, 1],
    ...     "entered_at": pd.to_datetime("2026-07-01"), "exit": ["forward", "won", "still_there"], "is_reentry": False,
    ...     "exited_at": pd.to_datetime(["2026-07-05", "2026-07-09", None]),
    ... })
    >>> ours = pd.DataFrame({
    ...     "stage": ["Qualify", "Propose"], "pipeline": "new", "n": [2, 1], "stage_conversion_rate": 1.0,
    ...     "stage_conversion_rate_low": 0.2, "stage_conversion_rate_high": 1.0,
    ... })
    >>> july = Period("2026-07", date(2026, 7, 1), date(2026, 7, 31))
    >>> table = other_counts(visits, ours, period=july)
    >>> table.loc[table["stage"] == "Qualify", ["method", "n", "n_next", "counted_conversion_rate"]]
                                  method  n  n_next  counted_conversion_rate
    0  ever further, open deals censored  2    <NA>                      1.0
    1                           snapshot  1       0                      0.0
    2                        period flow  2       1                      0.5
    3                          any stage  2       1                      0.5
    4                         all stages  2       1                      0.5
    5                            imputed  2       1                      0.5
    6                       direct moves  2       1                      0.5
    """
    checks.require_columns(visits, ["opportunity_id", "visit", "entered_at", "exited_at", "exit", "is_reentry"])
    stages = journey.stage_groups(visits)
    counted = [
        _counted(piece, period).merge(stages[stages["pipeline"].isin([name])], on="position")
        for name, piece in visits.groupby("pipeline", dropna=False)
    ]
    rows = pd.concat([_ours(conversion, stages), *counted], ignore_index=True)
    rows = rows.reindex(columns=[*_COLUMNS, "position"])
    rows = rows.assign(order=rows["method"].map({each.name: place for place, each in enumerate(METHODS)}))
    rows = rows.sort_values(["pipeline", "position", "stage", "order"], kind="stable", ignore_index=True)
    return _with_limits(rows, confidence)[_COLUMNS]


def rules() -> pd.DataFrame:
    """What each method divides by what.

    Examples
    --------
    >>> rules().loc[1, "rule"]
    'deals that stand in the next stage today ÷ deals that stand in this one today'
    """
    return pd.DataFrame(METHODS, columns=["method", "rule"])


def _ours(conversion: pd.DataFrame, stages: pd.DataFrame) -> pd.DataFrame:
    named = {f"stage_conversion_rate{end}": f"counted_conversion_rate{end}" for end in _LIMITS}
    checks.require_columns(conversion, ["stage", "pipeline", "n", *named], where="conversion")
    found = conversion[["stage", "pipeline", "n", *named]].rename(columns=named)
    return found.merge(stages, on=["stage", "pipeline"]).assign(method=_OURS)


def _counted(visits: pd.DataFrame, period: Period) -> pd.DataFrame:
    """What each method counts of one pipeline: one row per method and place, with the number that came to the next."""
    deal, places = pd.factorize(visits["opportunity_id"])[0], np.sort(visits["position"].unique())
    place, n = np.searchsorted(places, visits["position"]), len(places)
    exits, is_won = visits["exit"].to_numpy(), (visits["exit"] == "won").to_numpy()
    came = np.zeros((deal.max(initial=-1) + 1, n + 1), dtype=bool)  # a row per deal, a column per place and for won
    came[deal, place], came[deal[is_won], n] = True, True
    inside = period.contains(visits["entered_at"]).to_numpy()
    is_new = ~visits["is_reentry"].to_numpy(dtype=bool) & inside
    mine = came[np.unique(deal[inside & (visits["visit"] == 1)])]
    won_now = len(np.unique(deal[is_won & period.contains(visits["exited_at"]).to_numpy()]))
    there = np.bincount(place[exits == "still_there"], minlength=n)
    stays = np.bincount(place[inside], minlength=n)
    straight = np.where(place == n - 1, is_won, exits == "forward") & inside
    counts = {
        "snapshot": np.r_[there, np.nan],
        "period flow": np.r_[np.bincount(np.unique(deal[is_new] * n + place[is_new]) % n, minlength=n), won_now],
        "any stage": mine.sum(axis=0),
        "all stages": np.logical_and.accumulate(mine, axis=1).sum(axis=0),
        "imputed": np.logical_or.accumulate(mine[:, ::-1], axis=1)[:, ::-1].sum(axis=0),
    }
    pairs = {name: (each[:-1], each[1:]) for name, each in counts.items()}
    pairs["direct moves"] = stays, np.bincount(place[straight], minlength=n)
    return pd.concat(
        [
            pd.DataFrame({"position": places, "method": name, "n": n, "n_next": n_next})
            for name, (n, n_next) in pairs.items()
        ]
    )


def _with_limits(rows: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """The plain ratios, with limits; ours as they came."""
    n, n_next = rows["n"].to_numpy(dtype=float), rows["n_next"].to_numpy(dtype=float)
    is_known = np.isfinite(n_next) & (n > 0)
    is_part = rows["method"].isin(_PARTS).to_numpy()
    ratio = np.divide(n_next, n, out=np.full(len(rows), np.nan), where=is_known)
    part = proportions.wilson_interval(np.nan_to_num(n_next), np.where(is_known & is_part, n, 0), confidence)
    # Of two counts, given their sum, the second is binomial: its share x gives the ratio x / (1 - x).
    total = np.where(is_known & ~is_part, n + n_next, 0)
    share = np.array(proportions.wilson_interval(np.nan_to_num(n_next), total, confidence))
    limits = np.where(is_part, part, share / (1 - share))
    found = {f"counted_conversion_rate{end}": each for end, each in zip(_LIMITS, [ratio, *limits], strict=True)}
    ours = rows["method"] == _OURS
    found = {name: rows[name].where(ours, each) for name, each in found.items()}
    return rows.assign(**found).astype({"n": int, "n_next": "Int64"})
