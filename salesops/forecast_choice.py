"""Forecast choice: whose forecast is printed, by the record of this company, and how sure it is."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import t as student

from salesops import checks, words
from salesops.forecast_cases import Case
from salesops.reference_forecasts import Method

DEFAULT = "pipeline"  # used unless another method beats it beyond chance

_DRAWS = 2_001  # odd, so that the number itself is the middle
_LEAST = 4  # past errors from which a range is told
_COLUMNS = ("model", "other", "n", "error_rate", "other_error_rate", "is_default", "is_clear")


def choice(rivals: pd.DataFrame, case: Case, methods: Mapping[str, Method], *, default: str = DEFAULT) -> pd.DataFrame:
    """The method whose forecast is printed: the default, unless others beat it beyond chance; then the best of them.

    The rule is fixed beforehand, so that the choice does not follow the luck of a few quarters: a method takes the
    default's place where its errors over the past quarters are smaller by more than chance (Diebold and Mariano's test,
    adjusted for how many methods were compared), and where it says anything of the case now.

    Parameters
    ----------
    rivals
        Of `forecast_backtest.compared` with the default as its ``model``; with ``is_named`` where the report controls
        its comparisons together, else a ``p_value`` below 5 % counts.
    case
        To forecast now.
    methods
        By name, as in the backtest.
    default
        The method used where nothing speaks against it.

    Returns
    -------
    DataFrame
        One row: ``model`` (used), ``other`` (the default where another is used, else the least wrong other),
        ``n`` (quarters), ``error_rate``, ``other_error_rate``, ``is_default``, ``is_clear`` (the difference is
        beyond chance). Without a comparison the rates are missing.

    References
    ----------
    Diebold & Mariano (1995), J. Bus. Econ. Stat. 13:253-263.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> rivals = pd.DataFrame({"model": "pipeline", "other": ["run_rate", "stage_table"], "n": 12, "error_rate": 0.2,
    ...     "other_error_rate": [0.1, 0.19], "p_value": [0.001, 0.6]})
    >>> methods = {"pipeline": lambda case, **_: 9.0, "run_rate": lambda case, **_: 8.0}
    >>> choice(rivals, SimpleNamespace(), methods)[["model", "other", "error_rate", "is_default"]]
          model     other  error_rate  is_default
    0  run_rate  pipeline         0.1       False
    >>> choice(rivals, SimpleNamespace(), methods | {"run_rate": lambda case, **_: np.nan})["model"].item()
    'pipeline'
    """
    checks.require_columns(rivals, ["model", "other", "n", "error_rate", "other_error_rate", "p_value"], where="rivals")
    rows = rivals[rivals["model"].eq(default)].sort_values("other_error_rate", kind="stable")
    if rows.empty:
        return pd.DataFrame([[default, None, 0, np.nan, np.nan, True, False]], columns=list(_COLUMNS))
    clear = rows["is_named"].astype(bool) if "is_named" in rows else rows["p_value"].lt(0.05)
    better = rows[clear & rows["other_error_rate"].lt(rows["error_rate"])]
    better = better[[_says(methods.get(name), case) for name in better["other"]]]
    if better.empty:
        row = rows.iloc[0]
        is_clear = bool(clear.iloc[0] and row["error_rate"] < row["other_error_rate"])
        told = [default, row["other"], row["n"], row["error_rate"], row["other_error_rate"], True, is_clear]
        return pd.DataFrame([told], columns=list(_COLUMNS))
    # Each pair is compared on its own cases, so the gain, not the error, decides among them.
    row = better.loc[(better["other_error_rate"] / better["error_rate"]).idxmin()]
    told = [row["other"], default, row["n"], row["other_error_rate"], row["error_rate"], False, True]
    return pd.DataFrame([told], columns=list(_COLUMNS))


def chosen_draws(case: Case, method: Method, tested: pd.DataFrame, *, model: str, seed: int = 0) -> np.ndarray:
    """Draws of the quarter's bookings by the method used; a method that says one number is spread as far as it missed.

    The logarithms of what came over what it said, in the nearest week of the past quarters, are taken for draws from a
    normal law around nothing; so the number stays in the middle, and the range is Student's for one more quarter. What
    is won already is the least. One number alone is given back where fewer than four quarters tell of its errors.

    Parameters
    ----------
    case
        To forecast.
    method, model
        The method and its name in the backtest.
    tested
        Of `forecast_backtest.backtest`.
    seed
        Given to the method.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> tested = pd.DataFrame({"model": "run_rate", "week": 5, "actual": [110.0, 90, 120, 100, 80], "predicted": 100.0})
    >>> case = SimpleNamespace(week=4, won_so_far=20.0)
    >>> found = chosen_draws(case, lambda case, **_: 50.0, tested, model="run_rate")
    >>> np.quantile(found, [0.1, 0.5, 0.9]).round(1).tolist()
    [39.6, 50.0, 63.1]
    """
    draws = np.atleast_1d(np.asarray(method(case, seed=seed), dtype=float)).ravel()
    if len(draws) > 1 or not np.isfinite(draws).all():
        return draws
    rows = tested[tested["model"].eq(model) & tested["actual"].gt(0) & tested["predicted"].gt(0)]
    distance = (rows["week"] - case.week).abs()
    near = rows[distance == distance.min()]
    n = len(near)
    if n < _LEAST:
        return draws
    miss = np.log(near["actual"] / near["predicted"])
    spread = np.sqrt((miss**2).mean() * (1 + 1 / n))
    place = (np.arange(_DRAWS) + 0.5) / _DRAWS
    return np.maximum(draws * np.exp(spread * student.ppf(place, n)), case.won_so_far)


def choice_sentence(table: pd.DataFrame) -> str:
    """Whose forecast is printed, and why.

    Parameters
    ----------
    table
        Of `choice`.

    Examples
    --------
    >>> row = {"model": "pipeline", "other": "stage_history", "n": 11, "error_rate": 0.19, "other_error_rate": 0.2,
    ...        "is_default": True, "is_clear": False}
    >>> choice_sentence(pd.DataFrame([row]))  # doctest: +NORMALIZE_WHITESPACE
    'Made like this, deal by deal, the forecasts of 11 past quarters were off by 19 % of bookings; no other way was
    clearly better (the nearest, past deals in the stage: 20 %).'
    >>> choice_sentence(pd.DataFrame([row | {"is_clear": True}]))  # doctest: +NORMALIZE_WHITESPACE
    'Made like this, deal by deal, the forecasts of 11 past quarters were off by 19 % of bookings, clearly less than any
    other way (the nearest, past deals in the stage: 20 %).'
    >>> other = row | {"model": "run_rate", "other": "pipeline", "error_rate": 0.1, "is_default": False}
    >>> choice_sentence(pd.DataFrame([other]))  # doctest: +NORMALIZE_WHITESPACE
    'The forecast is that of run rate, not the deal-by-deal forecast: over 11 quarters it was off by 10 % of bookings,
    clearly less than the 20 % of the deal-by-deal forecast.'
    >>> choice_sentence(pd.DataFrame([row | {"n": 0, "other": None}]))
    'The deal-by-deal forecast is used unless another way is clearly better; no past quarter yet tells.'
    """
    row = table.iloc[0]
    used = words.group(row["model"], "model")
    if not row["n"] or pd.isna(row["error_rate"]):
        stands = f"{used[0].upper()}{used[1:]} is used unless another way is clearly better"
        return f"{stands}; no past quarter yet tells."
    other = words.group(row["other"], "model")
    mine, theirs = words.rate(row["error_rate"]), words.rate(row["other_error_rate"])
    is_one, n = row["n"] == 1, f"{row['n']:.0f}"
    if not row["is_default"]:
        over = f"over {n} {'quarter' if is_one else 'quarters'}"
        return (f"The forecast is that of {used}, not {other}: {over} it was off by {mine} of bookings, clearly less "
                f"than the {theirs} of {other}.")  # fmt: skip
    made = "forecasts of 1 past quarter" if is_one else f"forecasts of {n} past quarters"
    stated = f"Made like this, deal by deal, the {made} were off by {mine} of bookings"
    if row["is_clear"]:
        return f"{stated}, clearly less than any other way (the nearest, {other}: {theirs})."
    return f"{stated}; no other way was clearly better (the nearest, {other}: {theirs})."


def _says(method: Method | None, case: Case) -> bool:
    return method is not None and bool(np.isfinite(np.asarray(method(case, seed=0), dtype=float)).all())
