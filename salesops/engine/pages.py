"""The engine's own pages: lists of deals, failures, indexes; escaped, self-contained, in the reports' look."""

from functools import cache
from typing import Any

import jinja2

from salesops import report, words
from salesops.report import markup


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
    body = _environment().get_template(f"{template}.html.j2").render(title=title, **facts)
    return report.page_shell(title, body)


@cache
def _environment() -> jinja2.Environment:
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("salesops.engine"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    found.filters.update(day=words.day, count=words.count, html=markup.text)
    return found
