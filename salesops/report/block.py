"""What a cell of a notebook shows: HTML for the reader, facts for the engine."""

import re
from dataclasses import dataclass, field
from html import unescape

from salesops.report import deal_lists

_IN_LAB = ('<div class="mathjax_ignore">', "</div>")  # where two amounts in dollars would be typeset as a formula


def bare(html: str) -> str:
    """What a cell showed, without what JupyterLab alone asks for.

    Examples
    --------
    >>> bare('<div class="mathjax_ignore"><p>$1 and $2</p></div>'), bare("<p>own</p>")
    ('<p>$1 and $2</p>', '<p>own</p>')
    """
    before, after = _IN_LAB
    return html.removeprefix(before).removesuffix(after) if html.startswith(before) else html


@dataclass(frozen=True)
class Block:
    """One piece of a page.

    Shown by IPython through `_repr_mimebundle_`. The facts travel as output metadata, so
    the engine collects them from the executed notebook without reading the HTML; of the ids of
    deals there are only counts, see `deal_lists.left`.

    Parameters
    ----------
    kind
        page, headline, tiles, table, chart, left_out, definitions, exclusions or note.
    html
        What the reader sees, already escaped.
    facts
        ``headlines``, ``figures``, ``deals``, ``titles``, ``left_out``, ``page``: those that apply.
    """

    kind: str
    html: str
    facts: dict = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The words alone, one line a row: what a terminal and nbval compare."""
        visible = re.sub(r"<(style|svg)\b.*?</\1>", "", self.html, flags=re.DOTALL)
        lines = re.sub(r"</(p|li|tr|caption|summary|h\d|dd|dt)>", "\n", visible)
        cells = re.sub(r"</t[hd]>", " | ", lines)
        bare = unescape(re.sub(r"<[^>]+>", " ", cells))
        return "\n".join(" ".join(line.split()).removesuffix(" |") for line in bare.splitlines() if line.strip())

    def _repr_mimebundle_(self, **_: object) -> tuple[dict, dict]:
        said = self.facts | (deal_lists.left(self.facts["deals"]) if "deals" in self.facts else {})
        html = self.html.join(_IN_LAB) if self.html else ""
        return {"text/plain": self.text, "text/html": html}, {"salesops": {"kind": self.kind, **said}}
