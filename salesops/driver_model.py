"""The model of what goes with winning: deals decided, columns as factors, one fit for all that is asked of it."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd

from salesops import checks, words
from salesops.candidates import MIN_N, OTHER, is_number
from salesops.kept.memory import once
from salesops.stats import factors as coding
from salesops.stats import logit

LEAST_EVENTS = 10  # won deals (lost, if those are fewer) for each coefficient, below which nothing is estimated
LEAST_COMPANIES = 5  # that must have a level: what one company does cannot be told from what the level does
CROSS = "×"  # the name of two factors' products
_AS_IT_IS: Mapping[str, pd.Series] = MappingProxyType({})


class Study(NamedTuple):
    """A model and the deals it is of."""

    rows: pd.DataFrame  # the deals fitted
    model: coding.Model
    counted: pd.DataFrame  # the deals the money is of: those, or others that follow them in the model

    @property
    def reason(self) -> str | None:
        """Why nothing can be estimated."""
        won = self.rows["is_won"].sum()
        if won in (0, len(self.rows)):
            return "no deals were decided" if self.rows.empty else f"all decided deals were {'won' if won else 'lost'}"
        events = self.model.events_per_coefficient
        return "too few decided deals for so many factors" if events < LEAST_EVENTS else None


def study_of(
    frame: pd.DataFrame,
    factors: Sequence[str],
    controls: Sequence[str],
    cluster: str | None,
    *,
    instead: Mapping[str, pd.Series] = _AS_IT_IS,
    whole: str = "",
    also: pd.DataFrame | None = None,
) -> Study:
    """The regression of won on some columns, over the deals decided; fitted once for all that is asked of a frame.

    Parameters
    ----------
    frame, factors, controls, cluster
        As for `drivers.factor_tests`.
    instead
        Columns that stand instead of the frame's, by name.
    whole
        The one of them that keeps all its levels.
    also
        Deals whose rows follow those fitted, for means to be taken over.

    Raises
    ------
    DataError
        A column is missing or holds dates.

    Examples
    --------
    >>> deals = pd.DataFrame({"is_closed": True, "is_won": [True, False] * 30, "account_id": None,
    ...     "region": ["East", "East", "West"] * 20})
    >>> study_of(deals, ["region"], [], "account_id").model is study_of(deals, ["region"], [], "account_id").model
    True
    """
    names = list(dict.fromkeys([*controls, *factors]))
    checks.require_columns(frame, ["is_closed", "is_won", *names, *([cluster] if cluster else [])])
    dates = [name for name in names if pd.api.types.is_datetime64_any_dtype(frame[name])]
    if dates:
        some = checks.examples(dates)
        raise checks.DataError(f"drivers: dates as factors ({len(dates)}: {some}). Give days or a period instead.")
    money = [name for name in ("amount", "ended_at") if name in frame]
    decided = _decided(frame, tuple(sorted({"is_won", *names, *money, *([cluster] if cluster else [])})))
    rows = decided.rows
    if also is not None:
        return _followed(decided, tuple(names), cluster, also[also["is_closed"].astype(bool)])
    if not instead:
        return Study(rows, _model(decided, tuple(names), cluster), rows)
    company = _clusters(decided, cluster)
    put = {
        name: column[frame["is_closed"].to_numpy(dtype=bool)].reset_index(drop=True) for name, column in instead.items()
    }
    made = {
        name: _coded(put[name], company, whole=name == whole) if name in put else _factor(decided, name, cluster)
        for name in names
    }
    return Study(rows, _fitted(decided, made, cluster), rows)


class _Decided:
    """The deals decided of a frame, which nobody changes: what is made of them need not ask for their content."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self.rows = rows


# The tests, effects, pairs and doses of one frame are of one model: its columns are coded, and it is fitted, once.
@once
def _decided(frame: pd.DataFrame, names: tuple[str, ...]) -> _Decided:
    return _Decided(frame.loc[frame["is_closed"].astype(bool), list(names)].reset_index(drop=True))


@once
def _factor(decided: _Decided, name: str, cluster: str | None) -> coding.Factor:
    return _coded(decided.rows[name], _clusters(decided, cluster), whole=False)


@once
def _model(decided: _Decided, names: tuple[str, ...], cluster: str | None) -> coding.Model:
    return _fitted(decided, {name: _factor(decided, name, cluster) for name in names}, cluster)


@once
def _clusters(decided: _Decided, cluster: str | None) -> logit.Clusters:
    rows = decided.rows
    return logit.clusters(rows[cluster] if cluster else pd.Series(pd.NA, index=rows.index))


def _fitted(decided: _Decided, made: Mapping[str, coding.Factor], cluster: str | None) -> coding.Model:
    return coding.Model(decided.rows["is_won"].to_numpy(float), made, _clusters(decided, cluster))


def _followed(decided: _Decided, names: tuple[str, ...], cluster: str | None, counted: pd.DataFrame) -> Study:
    """The same model with more rows behind those fitted."""
    rows, company = decided.rows, _clusters(decided, cluster)
    made = {
        name: _coded(pd.concat([rows[name], counted[name]], ignore_index=True), company, whole=False) for name in names
    }
    model = _model(decided, names, cluster)
    return Study(rows, coding.Model(model.outcome, made, model.cluster, like=model), counted)


def crossed(given: Study, pair: tuple[str, str]) -> tuple[Study, np.ndarray]:
    """The study with the products of two factors as one more factor, and which of them enough rows have.

    Examples
    --------
    >>> deals = pd.DataFrame({"is_closed": True, "is_won": [True, False] * 40, "account_id": None,
    ...     "region": ["East", "West"] * 40, "segment": ["SMB"] * 40 + ["Public"] * 40})
    >>> crossed(study_of(deals, ["region", "segment"], [], "account_id"), ("region", "segment"))[1].tolist()
    [True]
    """
    product, kept = coding.crossed(*(given.model.factors[name] for name in pair), min_n=MIN_N)
    model = coding.Model(given.model.outcome, given.model.factors | {CROSS: product}, given.model.cluster)
    return given._replace(model=model), kept


def _coded(column: pd.Series, company: logit.Clusters, *, whole: bool) -> coding.Factor:
    """A column as a factor; the rows that have a company decide on its levels."""
    n = len(company.number)
    if is_number(column) and column.head(n).nunique() > 2:
        return coding.number(column, min_n=MIN_N, write=words.count, n=n)
    numbers, values = pd.factorize(column, use_na_sentinel=False)
    # Values of one name are one level.
    of_value, names = pd.factorize(_named(pd.Index(values), column, whole))
    numbers, number = of_value[numbers], of_value[numbers[:n]]
    counts = np.bincount(number, minlength=len(names))
    pairs = pd.unique(number.astype(np.int64) * (int(company.number.max(initial=0)) + 1) + company.number)
    n_companies = np.bincount(pairs // (int(company.number.max(initial=0)) + 1), minlength=len(names))
    is_level = (counts > 0) & (names != OTHER)
    if not whole:
        is_level &= (counts >= MIN_N) & (n_companies >= LEAST_COMPANIES)
    n_rare = int(((counts > 0) & ~is_level).sum())
    note = f"{words.count(n_rare)} rare level{'s'[: n_rare > 1]} as {OTHER}" if n_rare else ""
    kept = [*names[is_level], OTHER]
    place = np.where(is_level, np.cumsum(is_level) - 1, len(kept) - 1)
    return coding.numbered(place[numbers], kept, remainder=OTHER, n=n)._replace(note=note)


def _named(values: pd.Index, column: pd.Series, whole: bool) -> np.ndarray:
    """What each value of a column is called."""
    write = str if whole or pd.api.types.is_string_dtype(column) else words.count if is_number(column) else words.group
    return np.array([words.NO_GROUP if pd.isna(each) else write(each) for each in values.astype(object)], dtype=object)
