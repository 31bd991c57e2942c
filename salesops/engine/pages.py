"""The engine's own pages: lists of deals, failures, indexes; escaped, self-contained, in the reports' look."""

from functools import cache
from typing import Any

import jinja2

from salesops import report, words
from salesops.checks import SalesopsError, StaleError
from salesops.report import gate, markup

LISTS = (4_000_000, 4_000_000)  # bytes of a page of lists: of three thousand deals with their addresses, of reports


def render(template: str, title: str, **facts: Any) -> str:
    """A page whose body comes from a template of this package; every fact in it is text.

    Parameters
    ----------
    template
        Name of the template, without its endings.
    title
        Heading of the page.
    facts
        What the template shows.
    """
    body = environment().get_template(f"{template}.html.j2").render(title=title, **facts)
    return report.page_shell(title, body)


def require_fit(name: str, found: list[gate.Fault]) -> None:
    """Refuse to publish a page that falls short of what a page is.

    Raises
    ------
    SalesopsError
        A rule is broken; the first three are said. A `StaleError` where it is the age of the data alone.
    """
    if found:
        shown = "; ".join(f"{fault.rule}: {fault.message}" for fault in found[:3])
        more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
        kind = StaleError if {fault.rule for fault in found} == {"freshness"} else SalesopsError
        raise kind(f"{name}: not fit to be published: {shown}{more}.")


@cache
def environment(*, is_html: bool = True) -> jinja2.Environment:
    """The templates of this package; in a page every fact is text, in a plain text it stands as it is."""
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("salesops.engine"),
        autoescape=is_html,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    found.filters.update(day=words.day, count=words.count, html=markup.text)
    return found
