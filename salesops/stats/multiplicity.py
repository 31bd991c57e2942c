"""What may be named when many things were looked at."""

import numpy as np
import pandas as pd

FALSE_DISCOVERY_RATE = 0.10


def named_together(*tables: pd.DataFrame, rate: float = FALSE_DISCOVERY_RATE) -> tuple[pd.DataFrame, ...]:
    """The tables with what may be named, Benjamini-Hochberg over all of their rows as one family.

    A reader sees every table of a report, so the report is the family: a table that is
    controlled by itself would let each section name noise once in ten.

    Parameters
    ----------
    tables
        Each with ``p_value``; a row without one was not compared, is not named and does not count.
    rate
        False discovery rate of the family.

    Returns
    -------
    tuple of DataFrame
        The tables with ``is_named`` and ``n_compared``, the size of the family.

    References
    ----------
    Benjamini & Hochberg (1995), J. R. Statist. Soc. B 57:289-300.

    Examples
    --------
    >>> drivers = pd.DataFrame({"factor": ["sponsor", "region"], "p_value": [0.001, 0.6]})
    >>> rivals = pd.DataFrame({"competitor": ["Acuity", "Cobalt"], "p_value": [0.2, None]})
    >>> drivers, rivals = named_together(drivers, rivals)
    >>> drivers["is_named"].tolist(), rivals["is_named"].tolist(), int(rivals["n_compared"].iloc[0])
    ([True, False], [False, False], 3)
    """
    p_values = pd.concat([table["p_value"].astype(float) for table in tables], ignore_index=True)
    compared = p_values.notna().to_numpy()
    named = np.zeros(len(p_values), dtype=bool)
    if compared.any():
        from statsmodels.stats.multitest import multipletests  # with all of scipy.stats, for who compares nothing too

        named[compared] = multipletests(p_values[compared], rate, "fdr_bh")[0]
    ends = np.cumsum([len(table) for table in tables])
    pieces = np.split(named, ends[:-1])
    n = int(compared.sum())
    return tuple(table.assign(is_named=piece, n_compared=n) for table, piece in zip(tables, pieces, strict=True))


def holm(p_values) -> np.ndarray:
    """P-values of the answers to one question, adjusted by Holm's steps before they join a family.

    Parameters
    ----------
    p_values
        A missing one was not compared and stays missing.

    References
    ----------
    Holm (1979), Scand. J. Statist. 6:65-70.

    Examples
    --------
    >>> holm([0.01, 0.04, None, 0.03]).round(2).tolist()
    [0.03, 0.06, nan, 0.06]
    """
    adjusted = np.asarray(p_values, dtype=float).copy()
    compared = ~np.isnan(adjusted)
    # statsmodels' collects the interpreter's garbage at each call, which takes longer than a whole report.
    order = np.flatnonzero(compared)[np.argsort(adjusted[compared], kind="stable")]
    adjusted[order] = np.maximum.accumulate(adjusted[order] * np.arange(len(order), 0, -1)).clip(max=1)
    return adjusted
