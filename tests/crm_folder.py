"""A folder of small exports, for the tests of reading."""

from pathlib import Path

HEADER = "opportunity_id,amount,created_date,close_date,outcome"
DEALS = f"""{HEADER}
d1,100,2026-01-10,2026-03-31,won
d2,200,2026-02-01,2026-04-15,lost
d3,300,2026-03-01,2026-12-31,open
"""


def write(folder: Path, *, yaml: str | None = None, **files: str | bytes) -> Path:
    """A folder of CSV files by table name (the deals above unless told), and a source.yaml."""
    folder.mkdir(exist_ok=True)
    for name, content in ({"opportunities": DEALS} | files).items():
        data = content.encode() if isinstance(content, str) else content
        (folder / f"{name}.csv").write_bytes(data)
    if yaml is not None:
        (folder / "source.yaml").write_text(yaml, encoding="utf-8")
    return folder
