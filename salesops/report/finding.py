"""A picture with what stands around it: the finding above, its data behind, words where it may not be drawn."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pandas as pd
from matplotlib.axes import Axes

from salesops import words
from salesops.report import chart_data, drawing, figures, markup, tables
from salesops.report.block import Block
from salesops.report.figures import Scope

MAX_ROWS = 12  # of a picture; its data list them all


@dataclass(frozen=True)
class Finding:
    """What stands around a picture: its words above, its data behind."""

    frame: pd.DataFrame
    title: str
    subtitle: str
    scope: Scope
    units: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    def drawn(self, axes: Axes, alt: str) -> Block:
        """The picture under its finding; call inside its canvas."""
        mark = hashlib.sha256(f"{self.title}{alt}{self.frame.to_csv()}".encode()).hexdigest()[:8]
        framed = self._framed(drawing.svg(axes, name=f"so-{mark}", alt=alt))
        drawn = {"title": self.title.removesuffix("."), **chart_data.of(self.frame, self.units, self.names)}
        return replace(framed, facts=framed.facts | {"finding": drawn})

    def is_undrawn(self, column: str) -> bool:
        """Whether a picture would be empty or may not be shown."""
        return bool(figures.withheld(column, self.scope)) or bool(self.frame[column].isna().all())

    def without_picture(self, column: str) -> Block:
        """Words in place of the picture; nothing at all where there are no rows."""
        if self.frame.empty:
            return Block("chart", "", {"figures": []})
        reason, name = figures.withheld(column, self.scope), words.label(column)
        said = f"{name} is withheld: {reason}." if reason else f"{name}: no value is known."
        # A finding about numbers that may not be shown would tell them.
        shown = replace(self, title=name, subtitle="") if reason else self
        return shown._framed(f'<p class="so-withheld">{markup.text(said)}</p>')

    def _framed(self, picture: str) -> Block:
        data = tables.table(
            self.frame, caption=f"Data: {self.title}", scope=self.scope, min_n=0, units=self.units, names=self.names
        )
        title = self.title.removesuffix(".")
        html = (
            f'<figure class="so so-chart"><figcaption><p class="so-chart-title">{markup.text(title)}</p>'
            f'<p class="so-chart-subtitle">{markup.text(self.subtitle)}</p></figcaption>{picture}'
            f"<details><summary>Data of this chart</summary>{data.html}</details></figure>"
        )
        return Block("chart", html, {"figures": data.facts["figures"]})
