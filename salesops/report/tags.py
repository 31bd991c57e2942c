"""Finding tags of a finished page by class and place: what the rules ask again and again, without a CSS engine."""

from bs4.element import Tag


def classed(tag: Tag, name: str) -> list[Tag]:
    """The tags in another that have a class, in their order.

    Examples
    --------
    >>> from bs4 import BeautifulSoup
    >>> page = BeautifulSoup('<p class="a b">1</p><p class="b">2</p><p class="ab">3</p>', "html.parser")
    >>> [each.text for each in classed(page, "b")], classed(page, "c")
    (['1', '2'], [])
    """
    return [each for each in tag.find_all(True) if name in each.get("class", ())]


def first(tag: Tag, name: str) -> Tag | None:
    """The first of `classed`, if any."""
    return next(iter(classed(tag, name)), None)


def within(tag: Tag, outer: str, inner: str) -> list[Tag]:
    """The tags of one kind that lie in some of another kind.

    Examples
    --------
    >>> from bs4 import BeautifulSoup
    >>> page = BeautifulSoup("<main><h2>1</h2></main><h2>2</h2>", "html.parser")
    >>> [each.text for each in within(page, "main", "h2")]
    ['1']
    """
    return [each for box in tag.find_all(outer) for each in box.find_all(inner)]


def charts(page: Tag) -> list[Tag]:
    """The charts of a page: pictures with their title and data."""
    return [figure for figure in page.find_all("figure") if "so-chart" in figure.get("class", ())]
