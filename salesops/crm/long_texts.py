"""Texts too long to be shown: cut, so that one cell of a CRM does not make a page of megabytes."""

import hashlib

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

LONGEST = 500  # characters; what is longer is no name, and a page shows the beginning of it


def cut(tables: dict[str, pd.DataFrame], *, longest: int = LONGEST) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """The tables with every longer text cut, and a note for each column that held one.

    Six hexadecimal digits of its hash follow what is kept, so that texts that differ stay different and the same text
    stays the same in every table.

    Parameters
    ----------
    tables
        Frames by name.
    longest
        Characters of a text that stay.

    Examples
    --------
    >>> deals = pd.DataFrame({"name": pd.Series(["Beta", "x" * 20], dtype="str"), "amount": [1.0, 2.0]})
    >>> shortened, notes = cut({"opportunities": deals}, longest=4)
    >>> shortened["opportunities"]["name"].tolist(), notes
    (['Beta', 'xxxx… d4fc1d'], ['opportunities.name: 1 text is longer than 4 characters and is cut.'])
    """
    shortened, notes = dict(tables), []
    for table, frame in tables.items():
        found = {name: long for name in _texts(frame) if (long := _is_longer(frame[name], longest)).any()}
        if found:
            kept = {
                name: frame[name].mask(long, frame.loc[long, name].map(_short(longest))) for name, long in found.items()
            }
            shortened[table] = frame.assign(**kept)
        notes += [_told(table, name, int(long.sum()), longest) for name, long in found.items()]
    return shortened, notes


def _texts(frame: pd.DataFrame) -> list[str]:
    return [name for name in frame.columns if isinstance(frame[name].dtype, pd.StringDtype)]


def _is_longer(texts: pd.Series, longest: int) -> pd.Series:
    """Which texts have more characters; there are at most as many as bytes, which are told without reading them."""
    most = pc.max(pc.binary_length(pa.array(texts, type=pa.large_string()))).as_py() or 0
    if most <= longest:
        return pd.Series(False, index=texts.index)
    return texts.str.len().gt(longest).fillna(False)


def _short(longest: int):
    return lambda text: f"{text[:longest]}… {hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:6]}"


def _told(table: str, name: str, n: int, longest: int) -> str:
    are = "text is longer" if n == 1 else "texts are longer"
    end = "is cut" if n == 1 else "are cut"
    return f"{table}.{name}: {n:,} {are} than {longest} characters and {end}."
