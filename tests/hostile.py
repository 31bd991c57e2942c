"""Hostile texts, the sample company made of them, and what shows that they stayed texts."""

import base64
import csv
import itertools
import subprocess
import sys
import urllib.parse
from pathlib import Path

import pandas as pd
from bs4 import BeautifulSoup

EVIL = [
    "<script>window.hacked=1</script>", '"><img src=x onerror="window.hacked=1">', "</style></script><svg onload=window.hacked=1>",
    "javascript:window.hacked=1", "<!--", "]]>", "&lt;b&gt;", "a'b\"c`d", "'; DROP TABLE deals; --", "{{7*7}}", "${7*7}", "$x_1$",
    "%s%n", '=HYPERLINK("http://evil.example","x")', "+1+1", "-2+3", "@SUM(A1)", "\t=1+1", "../../../../etc/passwd",
    "/etc/passwd", "C:\\x", ".", "..", "con", "-rf", "😀🦊", "\u202egnp.exe", "שלום", "line\nbreak", "x" * 1_000_000,
]  # fmt: skip
# Words of our own, which say what a row is: no text of a person stands there.
OURS = {
    "outcome", "kind", "direction", "forecast_category", "opportunity_type", "category", "currency", "metric", "measure",
    "scope_kind", "version", "factor", "class", "key",
}  # fmt: skip
EVERYWHERE = {"company"}  # the scope of a target of the whole company


def company(folder: Path) -> Path:
    """The sample company as CSV files in which every text of every column begins with a hostile one.

    A value has the same text wherever it stands, so that tables still fit together.
    """
    plain, texts = folder / "plain", itertools.cycle(EVIL[:-1])
    subprocess.run([sys.executable, "-m", "salesops", "sample", str(plain)], check=True, capture_output=True)
    (folder / "exports").mkdir()
    known: dict[str, str] = {}
    for path in sorted(plain.glob("*.csv")):
        table = pd.read_csv(path, dtype="str", keep_default_na=False)
        for name in table.columns:
            if is_text(name, table[name]):
                for value in table[name].unique():
                    known.setdefault(value, value if value in ("", *EVERYWHERE) else f"{next(texts)}{value}")
                table[name] = table[name].map(known)
        if path.stem == "opportunities":
            is_open = table["outcome"].eq("open") & table["opportunity_type"].ne("renewal")
            largest = pd.to_numeric(table["amount"]).where(is_open).nlargest(8).index  # reports name them
            table.loc[largest, ["name", "next_step"]] = EVIL[-1]
            table["record_url"] = ["javascript:window.hacked=1//" + url for url in table["record_url"]]
        table.to_csv(folder / "exports" / path.name, index=False, quoting=csv.QUOTE_ALL)
    return folder / "exports"


def is_text(name: str, values: pd.Series) -> bool:
    """Whether a column holds words of people: no number, date, truth value or word of our own."""
    told = values[values != ""]
    is_number = pd.to_numeric(told, errors="coerce").notna().all()
    is_other = told.str.fullmatch(r"\d{4}-\d\d-\d\d.*|True|False").all()
    return name not in OURS and not is_number and not is_other


def inert(html: str) -> BeautifulSoup:
    """The parsed document, in which nothing from the data has become a tag or an attribute that acts."""
    found = BeautifulSoup(html, "html.parser")
    acting = [tag.name for tag in found.find_all(True) if any(name.startswith("on") for name in tag.attrs)]
    assert acting == [] and found.find_all("img", src="x") == []
    assert [tag for tag in found.find_all("script") if "hacked" in tag.get_text()] == []
    addresses = [
        tag.get("href", "") or tag.get("src", "") for tag in found.find_all(["a", "img", "iframe", "link", "object"])
    ]
    assert [each for each in addresses if each.strip().lower().startswith(("javascript:", "vbscript:"))] == []
    return found


def downloads(page: BeautifulSoup) -> list[str]:
    """The CSV files a page carries."""
    found = []
    for link in page.select("a[download]"):
        head, _, data = link["href"].partition(",")
        raw = base64.b64decode(data) if head.endswith("base64") else urllib.parse.unquote_to_bytes(data)
        found.append(raw.decode("utf-8-sig"))
    return found
