"""The generated part of README.md: the index of metrics, read from the docstrings."""

import re
from pathlib import Path

from salesops import metrics

README = Path(__file__).parents[1] / "README.md"
_MARKED = re.compile(r"(<!-- metrics: begin, written by make readme -->\n).*?(<!-- metrics: end -->)", re.DOTALL)


def index() -> str:
    """One table row per metric: its name, what it is, where it lives."""
    rows = [
        f"| `{metric.name}` | {metric.unit.replace('_', ' ')} | {metric.definition} "
        f"| [`{metric.module.rpartition('.')[2]}.{metric.function}`]({metric.module.replace('.', '/')}.py) |"
        for metric in sorted(metrics.registry().values())
    ]
    return "\n".join(["| metric | unit | definition | computed by |", "|---|---|---|---|", *rows]) + "\n"


def updated(text: str) -> str:
    """The README with its metric index in step."""
    return _MARKED.sub(lambda found: found[1] + index() + found[2], text)


if __name__ == "__main__":
    README.write_text(updated(README.read_text(encoding="utf-8")), encoding="utf-8")
