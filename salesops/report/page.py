"""The page a notebook reads aloud: one object that carries what every figure shares."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from types import SimpleNamespace

import pandas as pd

from salesops import checks, notes, words
from salesops.periods import Period
from salesops.report import captions, cover, definitions, figures, markup, remarks, tables, tiles
from salesops.report.block import Block
from salesops.report.style import block_css

MAX_HEADLINES = 6


class Page:
    """A report in the making; its own block is the first of the notebook.

    Parameters
    ----------
    title
        What the report is called.
    company
        As `crm.load` returns it.
    period
        The period the report is about.
    report
        Name of the report; the title in snake case if empty.
    """

    def __init__(self, title: str, company: object, *, period: Period, report: str | None = None):
        self.title, self.company, self.period = title, company, period
        self.report = report or markup.slug(title).replace("-", "_")
        self.scope = figures.Scope(
            period=period,
            where=company.where,
            currency=company.currency,
            withheld=dict(company.withheld),
            as_of=company.as_of,
            calendar=company.calendar,
            notes=notes.of_page(self.report, company),
        )
        self._told: dict[str, list[notes.Note]] = {"tiles": [], "tables": []}

    @property
    def chart(self) -> SimpleNamespace:
        """The functions of `report.charts`, each knowing this page's scope."""
        from salesops.report import charts  # with matplotlib and seaborn, which who draws nothing does without

        return SimpleNamespace(**{name: self._knowing(getattr(charts, name)) for name in charts.__all__})

    def _knowing(self, draw: Callable[..., Block]) -> Callable[..., Block]:
        @wraps(draw)  # so that `page.chart.lines?` tells what the chart is
        def drawn(*arguments: object, **options: object) -> Block:
            if isinstance(options.get("title"), str):
                options["title"] = captions.title(options["title"])
            return self._allowed(draw(*arguments, **({"scope": self.scope} | options)), str(options.get("title", "")))

        return drawn

    def headline(
        self,
        sentences: Iterable[str],
        *,
        of: Iterable[pd.DataFrame] = (),
        quoting: Sequence[Mapping] = (),
        titles: Mapping[str, str] | None = None,
    ) -> Block:
        """What matters most, most important first; at most six sentences, none of a person who may not be shown.

        Parameters
        ----------
        sentences
            Plain text; empty ones are passed over.
        of
            The frames behind them that no table or tile of the page shows: every number said is in the figures file.
        quoting
            Figures files of the reports whose sentences these are; each sentence then leads to its report.
        titles
            What those reports are called.
        """
        said = [sentence for sentence in sentences if sentence and not self.company.hides(sentence)]
        if len(said) > MAX_HEADLINES:
            raise checks.ParameterError(f"headline: {len(said)} sentences. Keep the {MAX_HEADLINES} that matter most.")
        items = "".join(
            f"<li>{markup.text(sentence)}{cover.source_link(sentence, quoting, titles or {})}</li>" for sentence in said
        )
        made = self.figures_of(of)
        made += cover.quoted(said, quoting, known=made, currency=self.scope.currency) if quoting else []
        return Block("headline", f'<ul class="so so-headline">{items}</ul>', {"headlines": said, "figures": made})

    def figures_of(self, frames: Iterable[pd.DataFrame]) -> list[figures.Figure]:
        """What the figures file lists of some frames."""
        return [one for frame in frames for one in figures.of(frame, self.scope)]

    def scorecard(self, card: pd.DataFrame, **options: object) -> Block:
        """Key figures beside their usual range; see `report.cover.scorecard` for the options."""
        return self._allowed(cover.scorecard(card, scope=self.scope, **options), str(options.get("caption", "")))

    def contents(self, listed: pd.DataFrame) -> Block:
        """The other reports as links, each with the first thing it says."""
        return self._allowed(cover.contents(listed), "The other reports")

    def tiles(self, items: Iterable[tiles.Tile]) -> Block:
        """Tiles side by side; make each with `report.tile`."""
        return self._noted(self._allowed(tiles.tiles(items, self.scope), "The tiles"), "tiles")

    def table(self, frame: pd.DataFrame, *, caption: str, **options: object) -> Block:
        """A tidy frame as a table; see `report.tables.table` for the options.

        Where people may not be shown a list of deals is without its owners, and a table of people a line.
        """
        if "opportunity_id" in frame.columns:
            people = [name for name in frame.columns if self.company.hides(_texts(frame[name]))]
            frame = frame.drop(columns=people)
            if "shown" in options:
                options["shown"] = [name for name in options["shown"] if name not in people]
        scope = replace(self.scope, notes=tuple(note for note in self.scope.notes if note not in self._told["tiles"]))
        block = self._allowed(tables.table(frame, caption=caption, scope=scope, **options), caption)
        return self._noted(block, "tables")

    def _noted(self, block: Block, where: str) -> Block:
        """The block; which notes it shows is kept, so that none is told twice or nowhere."""
        told = [(each["about"], each["text"]) for each in block.facts.get("notes", ())]
        self._told[where] += [note for note in self.scope.notes if (notes.about(note), note.text) in told]
        return block

    def _allowed(self, block: Block, said: str) -> Block:
        """The block; where people may not be shown and it shows one, a line in its place."""
        facts = {name: fact for name, fact in block.facts.items() if name != "deals"}
        if not self.company.hides(f"{block.html}{facts}"):
            return block
        what = "This part" if not said or self.company.hides(said) else said
        html = (
            f'<p class="so so-left-out"><strong>{markup.text(what)}</strong> is withheld: it is about single people, '
            "whom the people policy of the source does not show.</p>"
        )
        return Block("note", html)

    def left_out(self, section: str, reason: str) -> Block:
        """One line saying why a section is absent."""
        html = (
            f'<p class="so so-left-out"><strong>{markup.text(section)}</strong> is left out: {markup.text(reason)}</p>'
        )
        return Block("left_out", html, {"left_out": {"section": section, "reason": reason}})

    def needs(self, section: str, *wanted: str) -> Block:
        """Nothing where the data have what a section needs; else its `left_out` line.

        Parameters
        ----------
        section
            The section's heading.
        wanted
            Tables (``"targets"``) or columns (``"opportunities.loss_reason"``).
        """
        absent = [name for name in wanted if not self._is_there(name)]
        if not absent:
            return Block("note", "")
        withheld = [self.company.withheld[name] for name in absent if name in self.company.withheld]
        if withheld:
            return self.left_out(section, f"{withheld[0]}.")
        return self.left_out(section, f"the source has no {' and no '.join(absent)}.")

    def asks(self, section: str, value: object, how: str) -> Block:
        """Nothing where a parameter was given; else one line saying how to ask, and the section is not shown.

        Unlike `needs` this is no gap of the data: the report is whole without it.
        """
        if value is not None:
            return Block("note", "")
        said = f"<strong>{markup.text(section)}</strong> was not asked: {markup.text(how)}"
        return Block("left_out", f'<p class="so so-left-out">{said}</p>', {})

    def compares(self, section: str) -> Block:
        """Nothing, but on a person's own page one line: a comparison of people has no place there."""
        company = self.company
        if not company.is_one_person:
            return Block("note", "")
        who = markup.text(company.who)
        said = f"<strong>{markup.text(section)}</strong> compares people; this page is about {who}."
        return Block("left_out", f'<p class="so so-left-out">{said}</p>', {})

    def beside(self, frame: pd.DataFrame, *, caption: str, **options: object) -> Block:
        """A table of what a person has beside the others together; nothing where the page is not one person's."""
        return self.table(frame, caption=caption, **options) if self.company.is_one_person else Block("note", "")

    def _is_there(self, name: str) -> bool:
        table, _, column = name.partition(".")
        return self.company.has_column(table, column) if column else self.company.has(table)

    def definitions(self, *functions: Callable, linked: bool = False) -> Block:
        """What the report's words mean, from the docstrings of its functions."""
        return definitions.definitions(*functions, linked=linked)

    def exclusions(self) -> Block:
        """What was set aside, repaired or withheld, and why."""
        company = self.company
        block = definitions.exclusions(company.exclusions, company.notes, company.withheld)
        told = self._told["tiles"] + self._told["tables"]
        left = remarks.elsewhere(note for note in self.scope.notes if note not in told)
        return replace(block, html=f"{block.html}{left}")

    def method(self, text: str) -> Block:
        """Method and limits, one paragraph for each blank line."""
        parts = "".join(f"<p>{markup.text(' '.join(part.split()))}</p>" for part in text.split("\n\n") if part.strip())
        return Block("note", f'<div class="so so-method">{parts}</div>')

    @property
    def block(self) -> Block:
        """The banner an analyst sees in the notebook; the published page draws its own."""
        period, as_of = self.period, self.company.as_of
        state = "complete" if period.is_complete(as_of) else "to date"
        facts = (
            f"{period.label} ({words.day(period.start)} to {words.day(period.end)}, {state}), as of {words.day(as_of)}"
        )
        population, source = len(self.company.opportunities), markup.text(self.company.source)
        told = f"{markup.text(facts)}; {words.count(population)} opportunities from {source}."
        html = (
            f'<header class="so so-page"><style>{block_css()}</style><p><strong>{markup.text(self.title)}</strong></p>'
            f"<p>{told}</p>{self._policy()}</header>"
        )
        return Block("page", html, {"page": {"report": self.report, "title": self.title, "population": population}})

    def _policy(self) -> str:
        told = " ".join(self.company.policy)
        return f"<p>{markup.text(told)}</p>" if told else ""

    def _repr_mimebundle_(self, **_: object) -> tuple[dict, dict]:
        return self.block._repr_mimebundle_()


def _texts(column: pd.Series) -> str:
    return "\n".join(column.dropna().unique()) if pd.api.types.is_string_dtype(column) else ""
