"""Which deals count, and which money of theirs."""

import ast

import pandas as pd

from salesops import checks

MEASURES = ("amount", "arr", "acv")
_NODES = (
    ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.Compare, ast.Eq, ast.NotEq,
    ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn, ast.Name, ast.Load, ast.Constant, ast.List, ast.Tuple,
)  # fmt: skip
_EXAMPLE = "Write e.g. segment in ['SMB', 'Enterprise'] and amount >= 1000."


def chosen(opportunities: pd.DataFrame, where: str, *, parameter: str = "where") -> pd.DataFrame:
    """The rows for which a filter on columns holds; an empty filter holds for all.

    Errors name the `parameter` that the filter came in.

    A missing text is unlike any value: ``segment != 'SMB'`` keeps deals without a segment.

    Raises
    ------
    ParameterError
        The text is more than comparisons of columns joined by and, or and not, or names
        an unknown column.

    Examples
    --------
    >>> deals = pd.DataFrame({"segment": ["SMB", None], "amount": [10.0, 20.0]})
    >>> chosen(deals, "amount > 5 and segment != 'SMB'").index.tolist()
    [1]
    >>> chosen(deals, "segmant == 'SMB'")
    Traceback (most recent call last):
        ...
    salesops.checks.ParameterError: where: unknown column 'segmant'. Did you mean 'segment'?
    """
    return opportunities[holds(opportunities, where, parameter=parameter)] if where.strip() else opportunities


def holds(opportunities: pd.DataFrame, where: str, *, parameter: str = "where") -> pd.Series:
    """For which rows a filter holds, as of `chosen`.

    Examples
    --------
    >>> holds(pd.DataFrame({"amount": [10.0, None]}), "amount > 5").tolist()
    [True, False]
    """
    if not where.strip():
        return pd.Series(True, index=opportunities.index)
    _validate(where, opportunities, parameter)
    text = " ".join(where.split())
    try:
        kept = opportunities.eval(text, engine="python")
    except (TypeError, ValueError, KeyError, NotImplementedError, AttributeError, SyntaxError) as error:
        why = str(error)[:120]
        raise checks.ParameterError(f"{parameter}: '{text}' cannot be compared ({why}). {_EXAMPLE}") from error
    if not isinstance(kept, pd.Series) or not pd.api.types.is_bool_dtype(kept):
        raise checks.ParameterError(f"{parameter}: '{text}' is not true or false for each deal. {_EXAMPLE}")
    return kept.fillna(False).astype(bool)


def measured(opportunities: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Opportunities whose ``amount`` is the money asked for.

    ``amount``: as it is. ``arr``: ``arr_amount``. ``acv``: ``(amount - one_off_amount) × 12 /
    term_months``, with no one-off amount taken as 0; ``amount`` as it is where there is no term.

    Raises
    ------
    ParameterError
        The measure is unknown, or no deal has the column it is made of.

    Examples
    --------
    >>> deals = pd.DataFrame({"amount": [250.0, 90.0], "one_off_amount": [10.0, None], "term_months": [24.0, None]})
    >>> measured(deals, "acv")["amount"].tolist()
    [120.0, 90.0]
    """
    if measure not in MEASURES:
        hint = checks.did_you_mean(measure, MEASURES)
        raise checks.ParameterError(f"measure: '{measure}' is unknown. It takes {', '.join(MEASURES)}.{hint}")
    needed = {"amount": "amount", "arr": "arr_amount", "acv": "term_months"}[measure]
    if measure == "amount":
        return opportunities
    if len(opportunities) and not opportunities[needed].notna().any():
        raise checks.ParameterError(f"measure: {measure} needs {needed}, which no deal has. Use measure=amount.")
    if measure == "arr":
        return opportunities.assign(amount=opportunities["arr_amount"])
    yearly = (opportunities["amount"] - opportunities["one_off_amount"].fillna(0)) * 12 / opportunities["term_months"]
    has_term = opportunities["term_months"] > 0
    return opportunities.assign(amount=yearly.where(has_term, opportunities["amount"]))


def _validate(where: str, opportunities: pd.DataFrame, parameter: str) -> None:
    try:
        tree = ast.parse(" ".join(where.split()), mode="eval")
    except (SyntaxError, ValueError, RecursionError) as error:
        raise checks.ParameterError(f"{parameter}: '{where}' cannot be read. {_EXAMPLE}") from error
    for node in ast.walk(tree):
        if not isinstance(node, _NODES):
            what = ast.unparse(node) if isinstance(node, ast.expr) else type(node).__name__
            refused = f"'{what}' is not allowed; only comparisons of columns are."
            raise checks.ParameterError(f"{parameter}: {refused} {_EXAMPLE}")
        if isinstance(node, ast.Constant) and not isinstance(node.value, (str, int, float, bool)):
            raise checks.ParameterError(f"{parameter}: a column cannot be compared with {node.value!r}. {_EXAMPLE}")
        if isinstance(node, ast.Name) and node.id not in opportunities.columns:
            hint = checks.did_you_mean(node.id, opportunities.columns)
            raise checks.ParameterError(f"{parameter}: unknown column '{node.id}'.{hint}")
