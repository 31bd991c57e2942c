"""Salesforce writes one record's id in 15 characters, or in 18: the last three only tell which are capitals."""

import numpy as np
import pandas as pd

_SHORT, _LONG = 15, 18
_CHECKS = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"))
_BITS = np.array([1, 2, 4, 8, 16])


def short(ids: pd.Series) -> pd.Series:
    """Ids in their 15-character form, in which one record has one id; capitals matter.

    An 18-character text whose last three characters are not the check of the others is no
    such id and stays as it is.

    Examples
    --------
    >>> short(pd.Series(["0061G00000HhviAQAR", "0061G00000HhviA", "Zoe Miller", None])).tolist()
    ['0061G00000HhviA', '0061G00000HhviA', 'Zoe Miller', nan]
    """
    long = ids[ids.str.fullmatch(rf"[A-Za-z0-9]{{{_LONG}}}").fillna(False).astype(bool)]
    if long.empty:
        return ids
    letters = np.array(long.tolist(), dtype=f"U{_LONG}").view("U1").reshape(-1, _LONG)
    is_capital = (letters[:, :_SHORT] >= "A") & (letters[:, :_SHORT] <= "Z")
    checks = _CHECKS[is_capital.reshape(-1, 3, 5) @ _BITS]
    is_id = pd.Series((checks == letters[:, _SHORT:]).all(axis=1), index=long.index)
    return ids.mask(is_id.reindex(ids.index, fill_value=False), ids.str[:_SHORT])
