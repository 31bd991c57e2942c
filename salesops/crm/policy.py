"""The people policy of a source: what reports may show of the people in it. No parameter loosens it."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from salesops import checks

LEVELS = ("team", "rep")
NAMES = ("full", "initials", "codes")
ENVIRONMENT = "env:"
SHORTEST_KEY = 16  # characters: ids are few and guessable, so a short key could be tried out


@dataclass(frozen=True)
class Policy:
    """What may be shown of people; the defaults are those of a source without a policy.

    Parameters
    ----------
    level
        ``rep``: each person; ``team``: groups of at least `smallest_group` people.
    smallest_group
        People a group must have to be shown where the level is ``team``.
    has_activity
        Whether what each person logged is used.
    names
        ``full``, ``initials`` or ``codes``.
    key
        Environment variable that holds the secret the codes are made with.
    retention_days
        Days after which activities, forecasts and people who left are left out; never if empty.
    purpose, contact
        Why people's figures are shown, and who answers for it; printed on the page.
    is_set
        Whether the source has a policy.
    """

    level: str = "rep"
    smallest_group: int = 5
    has_activity: bool = True
    names: str = "full"
    key: str | None = None
    retention_days: int | None = None
    purpose: str = ""
    contact: str = ""
    is_set: bool = False

    def named(self, names: str) -> str:
        """The stricter of a parameter and the policy.

        Raises
        ------
        ParameterError
            The parameter is not full, initials or codes.

        Examples
        --------
        >>> Policy(names="initials", is_set=True).named("full"), Policy(names="initials").named("codes")
        ('initials', 'codes')
        """
        if names not in NAMES:
            hint = checks.did_you_mean(names, NAMES)
            raise checks.ParameterError(f"names: '{names}' is unknown. It takes {', '.join(NAMES)}.{hint}")
        return max(self.names, names, key=NAMES.index)

    def secret(self) -> bytes | None:
        """The secret of the codes; None where the policy names no key.

        Raises
        ------
        ParameterError
            The environment does not hold it, or it is short.
        """
        if self.key is None:
            return None
        held = os.environ.get(self.key, "")
        if len(held) < SHORTEST_KEY:
            found = "is not set" if not held else f"is shorter than {SHORTEST_KEY} characters"
            raise checks.ParameterError(
                f"people_policy: the environment variable {self.key} {found}, so people have no codes. "
                "Set it to a random text, the same for every run."
            )
        return held.encode()

    def withheld(self) -> dict[str, str]:
        """Fields that reports may not use, and why.

        Examples
        --------
        >>> Policy(has_activity=False).withheld()
        {'activities.owner_id': 'what each person logged is not used, by the people policy of the source'}
        """
        reason = "what each person logged is not used, by the people policy of the source"
        return {} if self.has_activity else {"activities.owner_id": reason}

    def described(self) -> dict[str, str]:
        """What a source.yaml says of it; nothing where there is no policy.

        Examples
        --------
        >>> Policy(is_set=True, level="team", has_activity=False).described()
        {'level': 'team', 'activity': 'off'}
        """
        usual = Policy()
        said = {name: getattr(self, field) for name, (field, _) in _READERS.items()}
        said = {name: value for name, value in said.items() if value != getattr(usual, _READERS[name][0])}
        texts = {name: "off" if value is False else str(value) for name, value in said.items()}
        if self.key:
            texts["key"] = f"{ENVIRONMENT}{self.key}"
        return {"level": self.level} | texts if self.is_set else {}

    def told(self, names: str) -> list[str]:
        """The policy in sentences for the page; `names` is how people are shown.

        Examples
        --------
        >>> Policy(level="team", is_set=True, contact="dpo@example.com").told("full")
        ['No single person is shown: only groups of at least 5 people, and smaller groups together.', \
'Questions about it: dpo@example.com.']
        """
        if not self.is_set:
            return []
        whole = "No single person is shown: only groups of at least {n} people, and smaller groups together."
        by_name = {"full": "name", "initials": "their initials", "codes": "a code"}[names]
        said = [
            whole.format(n=self.smallest_group) if self.level == "team" else f"People are shown by {by_name}.",
            "" if self.has_activity else "What each person logged is not used.",
            f"Activities, forecasts and people who left are kept for {self.retention_days:,} days."
            if self.retention_days
            else "",
            f"Purpose: {self.purpose.rstrip('.')}." if self.purpose else "",
            f"Questions about it: {self.contact.rstrip('.')}." if self.contact else "",
        ]
        return [sentence for sentence in said if sentence]


def read(value: Any, where: str) -> Policy:
    """The policy that ``people_policy`` of a source.yaml says.

    Raises
    ------
    DataError
        It says something unknown, or asks for codes without naming a key.

    Examples
    --------
    >>> read({"names": "codes", "key": "env:SALESOPS_PEOPLE_KEY", "retention": "730"}, "people_policy").level
    'team'
    >>> read({"names": "codes"}, "people_policy")
    Traceback (most recent call last):
        ...
    salesops.checks.DataError: people_policy: codes need a key. Write key: env: and the name of the environment \
variable that holds the secret, such as env:SALESOPS_PEOPLE_KEY.
    """
    if not isinstance(value, Mapping):
        raise checks.DataError(f"{where} must hold 'name: value' lines, such as level: team; found '{value}'.")
    fields: dict[str, Any] = {"level": "team", "is_set": True}
    for name, text in value.items():
        if name not in _READERS:
            hint = checks.did_you_mean(name, _READERS)
            raise checks.DataError(f"{where}: unknown key '{name}'. It takes {', '.join(_READERS)}.{hint}")
        field, reader = _READERS[name]
        fields[field] = reader(text, f"{where}.{name}")
    found = Policy(**fields)
    if found.names == "codes" and found.key is None:
        raise checks.DataError(f"{where}: codes need a key. Write key: {_KEY_FORM}")
    return found


_KEY_FORM = (
    f"{ENVIRONMENT} and the name of the environment variable that holds the secret, such as env:SALESOPS_PEOPLE_KEY."
)


def one_of(*allowed: str) -> Callable[[Any, str], str]:
    """A reader of a value that may only be one of these."""

    def choose(value: Any, where: str) -> str:
        if value not in allowed:
            raise checks.DataError(f"{where} must be one of {', '.join(allowed)}; found '{value}'.")
        return value

    return choose


def _number(value: Any, where: str) -> int:
    if not (isinstance(value, str) and re.fullmatch(r"[1-9]\d{0,5}", value)):
        raise checks.DataError(f"{where} must be a whole number from 1 on; found '{value}'.")
    return int(value)


def _group(value: Any, where: str) -> int:
    found = _number(value, where)
    if found < 2:
        raise checks.DataError(f"{where} must be at least 2: a group of one is a person.")
    return found


def _key(value: Any, where: str) -> str:
    """The name of a variable; the value itself is never quoted: it may be the secret."""
    if not (isinstance(value, str) and re.fullmatch(rf"{ENVIRONMENT}[A-Za-z_]\w*", value)):
        raise checks.DataError(f"{where} must be {_KEY_FORM}")
    return value.removeprefix(ENVIRONMENT)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise checks.DataError(f"{where} must be a text; found '{value}'.")
    return " ".join(value.split())


_READERS: dict[str, tuple[str, Callable[[Any, str], Any]]] = {
    "level": ("level", one_of(*LEVELS)),
    "smallest_group": ("smallest_group", _group),
    "activity": ("has_activity", lambda value, where: one_of("on", "off")(value, where) == "on"),
    "names": ("names", one_of(*NAMES)),
    "key": ("key", _key),
    "retention": ("retention_days", _number),
    "purpose": ("purpose", _text),
    "contact": ("contact", _text),
}
