"""Writes the sample company to a folder as a CRM exports it: in our names, Salesforce's or HubSpot's."""

from pathlib import Path

from salesops import checks
from salesops.crm import sample
from salesops.crm.sample import hubspot, salesforce

SHAPES = {"canonical": dict, "salesforce": salesforce.files, "hubspot": hubspot.files}


def write(folder: str | Path, *, shape: str, size: int = 6000, **switches: object) -> str:
    """Write the sample company as CSV files and say what was written.

    Parameters
    ----------
    folder
        Where to write; a new or an empty folder.
    shape
        Whose export it is: ``canonical``, ``salesforce`` or ``hubspot``.
    size, switches
        Of `sample.tables`. Equal switches give equal files.

    Raises
    ------
    ParameterError
        The folder holds something, or the shape or a switch is unknown.

    Examples
    --------
    >>> write("exports", shape="hubspt")
    Traceback (most recent call last):
        ...
    salesops.checks.ParameterError: sample: unknown shape 'hubspt'. It knows canonical, salesforce, hubspot. \
Did you mean 'hubspot'?
    """
    if shape not in SHAPES:
        hint = checks.did_you_mean(shape, SHAPES)
        raise checks.ParameterError(f"sample: unknown shape '{shape}'. It knows {', '.join(SHAPES)}.{hint}")
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise checks.ParameterError(f"sample: {folder} is not an empty folder. Name a new one; nothing is overwritten.")
    files = SHAPES[shape](sample.tables(size=size, **switches))
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in files.items():
        frame.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n", encoding="utf-8")
    rows = sum(len(frame) for frame in files.values())
    return f"{folder}: the sample company as {shape}, {len(files)} files, {rows:,} rows."
