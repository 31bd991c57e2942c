"""Small pieces of HTML: everything that comes from data passes through here."""

import re
from html import escape as _escape

from salesops import words

_INSIDE = re.compile(r"(?<=[\dKMB]) (?=[%$€£¥₹](?!\w)|days?\b|hours?\b|points?\b)|(?<=\bn) (?=\d)")


def text(item: object) -> str:
    """Any value as HTML text; a number stays on one line with its sign and unit.

    Examples
    --------
    >>> text("<script> & 24 % of 1,200"), text("1,2M €")
    ('&lt;script&gt; &amp; 24&nbsp;% of 1,200', '1,2M&nbsp;€')
    """
    return _INSIDE.sub("&nbsp;", _escape(str(item)))


def attribute(item: object) -> str:
    """Any value inside a quoted attribute.

    Examples
    --------
    >>> attribute('a "b" <c>')
    'a &quot;b&quot; &lt;c&gt;'
    """
    return _escape(str(item), quote=True)


def deals_link(key: str | None, shown: str) -> str:
    """A figure's text, as a link to its deals where it has a key.

    Examples
    --------
    >>> deals_link("win_rate.2026Q3", "24 %")
    '<a href="deals:win_rate.2026Q3">24 %</a>'
    >>> deals_link(None, "24 %")
    '24 %'
    """
    return f'<a href="deals:{attribute(key)}">{shown}</a>' if key else shown


def slug(title: str) -> str:
    """A title as an HTML id.

    Examples
    --------
    >>> slug("Where do we win?")
    'where-do-we-win'
    """
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "x"


def few(n: object, min_n: int) -> bool:
    """Whether a group is too small to be judged; one of unknown size is not called small.

    Examples
    --------
    >>> few(4, 20), few(40, 20), few(None, 20)
    (True, False, False)
    """
    return not words.is_missing(n) and n < min_n
