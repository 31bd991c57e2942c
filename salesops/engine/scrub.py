"""What no file that leaves the machine may say: where things lie on it, and what its environment keeps secret."""

import json
import os
import re
import sys
import tempfile
from collections.abc import Iterable
from html import escape
from pathlib import Path

_SECRET = re.compile(r"key|secret|token|passw|credential|address|dsn|_url$", re.IGNORECASE)  # of a variable's name
# Of a parameter, whose value every page shows, or of a variable, whose value none may.
IS_SECRET = re.compile(
    r"password|passwd|passphrase|_pwd$|secret|token|credential|(api|private|access|people)_?key", re.IGNORECASE
)
_PASSWORD = re.compile(r"://[^\s/@:]*:([^\s@/]{6,})@")
_LONG = 8  # characters of a value that is looked for in a page
_SHORTEST = 6  # characters of a secret that can be looked for without taking words apart
_LOGIN = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]*://)[^\s/@'\"]*@")
_ASSIGNED = re.compile(r"\b((?:password|passwd|pwd|token|secret|api_?key)\s*[=:]\s*)[^\s&;,'\"]+", re.IGNORECASE)
# A path has at least two parts; of an address on the web, and of one that is relative, no part is taken.
_PATH = re.compile(r"(?<![\w.:/~-])(?:~|[A-Za-z]:)?(?:[/\\][\w.@+{}-]+(?: [\w.@+{}-]+(?=[/\\]))*){2,}")


def text(said: str, *places: Path) -> str:
    """A text without paths of this machine, logins in addresses, and values of secret environment variables.

    Of a path its last part stays.

    Parameters
    ----------
    said
        Anything a person or a program wrote: a warning, an error.
    places
        Folders to be cut off where a text begins with one, spaces and all.

    Examples
    --------
    >>> text("FileNotFoundError: '/srv/ann/crm/deals.csv' is not there")
    "FileNotFoundError: 'deals.csv' is not there"
    >>> text("cannot reach postgres://ann:hunter2@db.example/sales?password=x")
    'cannot reach postgres://***@db.example/sales?password=***'
    >>> text("see https://example.com/a/b and 3/4 of a/b/c")
    'see https://example.com/a/b and 3/4 of a/b/c'
    """
    said = without_secrets(said)
    for place in _known(places):
        said = said.replace(f"{place}{os.sep}", "").replace(place, Path(place).name)
    return _PATH.sub(lambda found: re.split(r"[/\\]", found[0])[-1], said)


def without_secrets(said: str) -> str:
    """A text without logins in addresses and values of secret environment variables; paths stay.

    Examples
    --------
    >>> without_secrets("/srv/crm: cannot reach postgres://ann:hunter2@db.example/sales")
    '/srv/crm: cannot reach postgres://***@db.example/sales'
    """
    for value in _secrets():
        said = said.replace(value, "***")
    return _ASSIGNED.sub(r"\1***", _LOGIN.sub(r"\1***@", said))


def shown_secret(texts: Iterable[str]) -> str | None:
    """The name of an environment variable whose secret value stands in a text; none if none does.

    Only names that can hold nothing else count, and values that no sentence says by chance.

    Parameters
    ----------
    texts
        As they are about to be published: plain, HTML or JSON.
    """
    held = {name: value for name, value in os.environ.items() if IS_SECRET.search(name) and len(value) >= _LONG}
    passwords = {name: found[1] for name, value in os.environ.items() if (found := _PASSWORD.search(value))}
    wanted = [(name, value) for name, value in [*held.items(), *passwords.items()] if not value.isalpha()]
    forms = {form: name for name, value in wanted for form in _written(value)}
    return next((name for text in texts for form, name in forms.items() if form in text), None)


def _written(value: str) -> set[str]:
    """How a value stands in text, HTML, JSON, and HTML within JSON."""
    plain = {value, escape(value)}
    return plain | {json.dumps(each, ensure_ascii=False)[1:-1] for each in plain} | {json.dumps(value)[1:-1]}


def _secrets() -> list[str]:
    """Values of variables whose names say they are secret, and passwords in addresses, the longest first."""
    held = {value for name, value in os.environ.items() if _SECRET.search(name) and len(value) >= _SHORTEST}
    held |= {found[1] for value in os.environ.values() if (found := _PASSWORD.search(value))}
    return sorted(held, key=len, reverse=True)


def _known(places: tuple[Path, ...]) -> list[str]:
    usual = (Path.cwd(), Path.home(), Path(tempfile.gettempdir()), Path(sys.prefix))
    found = {str(each) for place in (*places, *usual) for each in (place, place.absolute(), place.resolve())}
    return sorted((each for each in found if each.count(os.sep) > 1 or len(each) > 3), key=len, reverse=True)
