"""A logistic regression on named factors: how each becomes columns, and which of them can be told apart."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from salesops.stats import logit

FEW = 5  # a level with fewer successes or failures than this has no safe estimate of its own
STRENGTH = 1.0  # of the log-F penalty there
_SKEWED = 1.0


class Found(NamedTuple):
    """A fit, the columns in it of the factors asked for, and its columns in the model's design."""

    fit: logit.Fit
    columns: np.ndarray
    order: np.ndarray


class Level(NamedTuple):
    """A value of a factor: its name, its columns, and the rows that have it."""

    name: str
    values: np.ndarray
    has: np.ndarray


class Factor(NamedTuple):
    """A factor as columns, with the levels compared: each with the one of the number given."""

    kind: str
    columns: np.ndarray
    levels: tuple[Level, ...]
    contrasts: tuple[tuple[int, int], ...]
    note: str = ""


class Model:
    """A logistic regression on a constant and named factors; fitted once, when first asked.

    Parameters
    ----------
    outcome
        0 or 1 for each row fitted.
    factors
        By name, the rows fitted first; rows after them are only for means to be taken over.
    cluster
        Which of the rows fitted belong together, or None.
    like
        A model with the same rows fitted, whose fits are taken over.
    """

    def __init__(
        self,
        outcome: np.ndarray,
        factors: Mapping[str, Factor],
        cluster: np.ndarray | logit.Clusters | None,
        like: "Model | None" = None,
    ) -> None:
        self.outcome, self.factors, self.like = np.asarray(outcome, dtype=float), dict(factors), like
        is_known = cluster is None or isinstance(cluster, logit.Clusters)
        self.cluster = cluster if is_known else logit.clusters(cluster)
        ends = 1 + np.cumsum([each.columns.shape[1] for each in factors.values()], dtype=int)
        self.blocks = {name: np.arange(start, end) for name, start, end in zip(factors, [1, *ends], ends, strict=False)}

    @cached_property
    def design(self) -> np.ndarray:
        """The columns of the rows fitted, behind a constant."""
        return self.like.design if self.like is not None else self.columns(slice(len(self.outcome)))

    def columns(self, rows: slice | np.ndarray) -> np.ndarray:
        """The columns of some rows, behind a constant: of those fitted, or of those after them."""
        parts = [each.columns[rows] for each in self.factors.values()]
        made = np.ones((len(parts[0]) if parts else len(self.outcome), 1 + sum(each.shape[1] for each in parts)))
        for block, part in zip(self.blocks.values(), parts, strict=True):
            made[:, block] = part
        return made

    @cached_property
    def independent(self) -> np.ndarray:
        """Which columns add to those before them."""
        if self.like is not None:
            return self.like.independent
        return logit.independent_columns(self.design)

    @property
    def n_coefficients(self) -> int:
        """Besides the constant."""
        return max(int(self.independent.sum()) - 1, 0)

    @property
    def events_per_coefficient(self) -> float:
        """The rarer outcome's rows for each coefficient; missing where there is none."""
        rarer = min(self.outcome.sum(), len(self.outcome) - self.outcome.sum())
        return float(rarer / self.n_coefficients) if self.n_coefficients else np.nan

    @cached_property
    def held(self) -> set[str]:
        """Factors whose estimates need the penalty: they part the outcomes, or a level has hardly any of one."""
        if self.like is not None:
            return self.like.held
        few = {name for name, each in self.factors.items() if any(self._few(level) for level in each.levels)}
        if self._is_finite_beside_rare:
            return few
        columns = np.flatnonzero(self.independent)
        parted = columns[logit.separated_columns(self.design[:, columns], self.outcome)]
        return few | {name for name, block in self.blocks.items() if np.isin(parted, block).any()}

    @property
    def _is_finite_beside_rare(self) -> bool:
        """Whether nothing but the levels that are held anyway can part the outcomes.

        Where the rows of those levels are left out and nothing parts the others, coefficients that part all rows
        are nothing but for those levels: the linear programme, large with many rows, need not look for them.
        """
        rare = [
            (self.blocks[name][at - 1], level)
            for name, each in self.factors.items()
            for at, level in enumerate(each.levels)
            if at and each.kind == "category" and self._few(level)
        ]
        if not rare:
            return self._finite is not None
        rows = ~np.any([level.has[: len(self.outcome)] for _, level in rare], axis=0)
        columns = np.setdiff1d(np.flatnonzero(self.independent), [column for column, _ in rare])
        part = self.design[np.ix_(np.flatnonzero(rows), columns)]
        is_whole = logit.independent_columns(part).all()
        return bool(is_whole and logit.finite_coefficients(part, self.outcome[rows]) is not None)

    def fitted(self, name: str) -> Found | None:
        """The fit and the factor's columns in it, or what the others leave of them; None where that is nothing."""
        if self.independent.all():
            return self.together([name]) if len(self.blocks[name]) else None
        # Dependent columns: this factor comes last and keeps what the others do not tell.
        others = np.setdiff1d(np.arange(self.design.shape[1]), self.blocks[name])
        order = np.concatenate([others, self.blocks[name]])
        order = order[logit.independent_columns(self.design[:, order])]
        mine = np.flatnonzero(np.isin(order, self.blocks[name]))
        return Found(self._fit(order), mine, order) if len(mine) else None

    def tested(self, name: str) -> logit.GroupTest | None:
        """The factor's columns left out together; None where the others tell them all."""
        found = self.fitted(name)
        return None if found is None else logit.group_test(found.fit, found.columns)

    def together(self, names: Sequence[str]) -> Found | None:
        """The fit and the columns of several factors; None where not every effect has an estimate."""
        if not self.independent.all():
            return None
        columns = np.concatenate([self.blocks[name] for name in names])
        return Found(self._whole, columns, np.arange(self.design.shape[1]))

    @cached_property
    def _whole(self) -> logit.Fit:
        if self.like is not None:
            return self.like._whole
        return self._fit(np.arange(self.design.shape[1]))

    @cached_property
    def _finite(self) -> np.ndarray | None:
        """Estimates without a penalty, where they are all finite."""
        kept = self.independent
        return logit.finite_coefficients(self.design if kept.all() else self.design[:, kept], self.outcome)

    def _fit(self, columns: np.ndarray) -> logit.Fit:
        strength = np.zeros(self.design.shape[1])
        for name in self.held:
            strength[self.blocks[name]] = STRENGTH
        is_whole = len(columns) == self.design.shape[1]
        return logit.fit(
            self.design if is_whole else self.design[:, columns], self.outcome, cluster=self.cluster,
            strength=strength[columns], start=None if self.held or not is_whole else self._finite, is_independent=True,
        )  # fmt: skip

    def _few(self, level: Level) -> bool:
        has = level.has[: len(self.outcome)]
        successes = self.outcome[has].sum()
        return has.any() and min(successes, has.sum() - successes) < FEW


def category(column: pd.Series, *, remainder: str | None = None, n: int | None = None) -> Factor:
    """A column of text, each value compared with the most frequent one.

    Parameters
    ----------
    column
        Text without missing values.
    remainder
        A value that is a collection of rare ones: never compared with.
    n
        Rows that decide on the levels, the first ones; a value that only later rows have counts as
        the most frequent one.

    Examples
    --------
    >>> made = category(pd.Series(["b", "a", "b"]))
    >>> [level.name for level in made.levels], made.contrasts, made.columns.ravel().tolist()
    (['b', 'a'], ((1, 0),), [0, 1, 0])
    """
    numbers, names = pd.factorize(column)
    return numbered(numbers, list(names), remainder=remainder, n=n)


def numbered(
    numbers: np.ndarray, names: Sequence[str], *, remainder: str | None = None, n: int | None = None
) -> Factor:
    """A column of numbered values, with their names, as `category` makes it.

    Examples
    --------
    >>> [level.name for level in numbered(np.array([0, 1, 0]), ["b", "a"]).levels]
    ['b', 'a']
    """
    counts = np.bincount(numbers[:n], minlength=len(names))
    seen = np.flatnonzero(counts)
    order = sorted(seen, key=lambda each: (names[each] == remainder, -counts[each], names[each]))
    place = np.full(len(names), -1, dtype=np.int16)
    place[order] = np.arange(len(order))
    # By level, so that what is read together lies together.
    has = np.arange(len(order), dtype=np.int16)[:, None] == place[numbers]
    rows = np.eye(len(order))[:, 1:]
    levels = tuple(Level(names[each], row, mine) for each, row, mine in zip(order, rows, has, strict=True))
    # Ones and nothing, in the same bytes as the levels.
    return Factor("category", has[1:].view(np.int8).T, levels, tuple((each, 0) for each in range(1, len(order))))


def number(column: pd.Series, *, min_n: int = 20, write=str, n: int | None = None) -> Factor:
    """A column of numbers, its upper quartile compared with its lower.

    Standardised; on the scale of ``log(1 + x)`` where it is skewed and never negative. From `min_n`
    missing values on they have a column of their own, fewer count as average. Where the
    quartiles are equal, the median of the values beyond takes the place of one.

    Parameters
    ----------
    column
        Numbers, some perhaps missing.
    min_n
        Missing values that have a column of their own.
    write
        How a value is written as the name of its level.
    n
        Rows that decide on the scale and the quartiles, the first ones.

    Examples
    --------
    >>> made = number(pd.Series([0, 1, 2, 3, 4.0]))
    >>> [(level.name, level.values.round(2).tolist()) for level in made.levels], made.contrasts
    ([('1.0', [-0.71]), ('3.0', [0.71])], ((1, 0),))
    """
    values = column.astype(float).replace([np.inf, -np.inf], np.nan)
    first, missing = values.head(len(values) if n is None else n), values.isna().to_numpy()
    known, n_missing = first.dropna(), int(first.isna().sum())
    if known.nunique() < 2:
        return Factor("number", np.zeros((len(values), 0)), (), ())
    logged = known.min() >= 0 and known.skew() > _SKEWED
    scale = np.log1p if logged else np.asarray
    centre, spread = scale(known).mean(), scale(known).std(ddof=0)
    has_own = n_missing >= min_n
    standard = np.where(
        missing,
        0.0,
        (scale(values.fillna(known.iloc[0]).clip(lower=known.min() if logged else None)) - centre) / spread,
    )
    columns = np.column_stack([standard, *([missing] if has_own else [])]).astype(float)
    low, high = _ends(known)
    levels = tuple(
        Level(write(end), np.array([(scale(end) - centre) / spread, *([0.0] if has_own else [])]), mine.to_numpy())
        for end, mine in ((low, values <= low), (high, values >= high))
    )
    notes = ["logarithmic scale" if logged else "", f"{n_missing:,} missing told apart" if has_own else ""]
    return Factor("number", columns, levels, ((1, 0),), "; ".join(filter(None, notes)))


def crossed(one: Factor, other: Factor, *, min_n: int = 20) -> tuple[Factor, np.ndarray]:
    """The products of two factors' columns, and which of them at least `min_n` rows have.

    Examples
    --------
    >>> one, other = category(pd.Series(list("aabb"))), category(pd.Series(list("xyxy")))
    >>> crossed(one, other, min_n=1)[0].columns.ravel().tolist()
    [0, 0, 0, 1]
    """
    products = one.columns[:, :, None] * other.columns[:, None, :]
    products = products.reshape(len(one.columns), one.columns.shape[1] * other.columns.shape[1])
    kept = (products != 0).sum(axis=0) >= min_n
    return Factor("product", products[:, kept], (), ()), kept


def bucketed(column: pd.Series, starts: Sequence[int]) -> tuple[pd.Series, list[str]]:
    """A count as the bucket it lies in, and the names of all buckets; the last is open.

    Examples
    --------
    >>> found, names = bucketed(pd.Series([0, 4, 9, None]), (0, 1, 3, 5))
    >>> found.tolist(), names
    (['0', '3–4', '5+', nan], ['0', '1–2', '3–4', '5+'])
    """
    ends = [*starts[1:], np.inf]
    names = [
        f"{start}+" if end == np.inf else f"{start}" if end - start == 1 else f"{start}–{end - 1}"
        for start, end in zip(starts, ends, strict=True)
    ]
    return pd.cut(column.astype(float), [*starts, np.inf], right=False, labels=names).astype(object), names


def _ends(known: pd.Series) -> tuple[float, float]:
    low, high = known.quantile(0.25, interpolation="nearest"), known.quantile(0.75, interpolation="nearest")
    if low < high:
        return low, high
    above, below = known[known > high], known[known < low]
    return (low, above.median()) if len(above) >= len(below) else (below.median(), high)
