"""Say which secrets are too common to hide wherever they stand, because that would deface a report and keep nothing.

Such a secret is still hidden where structure shows it: behind a password's key, in a header, in the user info of a URL.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator

from resilience.core import records as model

SHORTEST = 4
"""Characters; shorter secrets are hidden where structure shows them, as their letters are in every second word."""

DEFAULTS = (
    "admin administrator anonymous backend changeme clickhouse database default development docker example frontend "
    "guest integration linux localhost mock mysql passphrase passwd password postgres postgresql production redis "
    "root server session sqlite testing token username valkey worker"
)
"""What servers, images and examples come with as a password. Each is also a user, a product or a host in every second line."""
INSTEAD = (
    "always auto basic bearer cookie disabled enabled false https json keys legacy memory none null number "
    "optional plain prefer primary public required strict string true undefined value"
)
"""What variables with a secret's name hold that is none: SESSION_COOKIE_SAMESITE=strict, TOKEN_TYPE=bearer, API_KEY=none."""
CHOSEN = (
    "access black bottom center dark family golden green last light middle page private right strong success "
    "summary system three whatever white zero"
)
"""What people choose as a password although it stands in each of our pages: its words, style sheet, charts and selections."""


def words_of_records() -> Iterator[str]:
    """Return the names of fields and the values of enums: the words that each of our documents is made of.

    They are taken from the code, not listed, so that a field or a status added later is left readable by itself.
    """
    for thing in vars(model).values():
        if isinstance(thing, type) and issubclass(thing, enum.Enum):
            yield from (str(member.value).lower() for member in thing)
        elif dataclasses.is_dataclass(thing):
            yield from (field.name for field in dataclasses.fields(thing))


_COMMON = " ".join((*words_of_records(), DEFAULTS, INSTEAD, CHOSEN))
_WORDS = frozenset(_COMMON.split())


def too_common(value: str) -> bool:
    """Say whether hiding this value wherever it stands would deface the report instead of keeping a secret.

    It would where the value is a word of ours or of everybody's, has few characters or few digits, or is short and a
    part of such a word: "able" would be hidden in every "unavailable". A longer part of a word may be somebody's
    password.

    Lengths are in characters. Only stars, dots and blanks are no secret at all. A number of fewer than six digits
    would be found in ports, counts and times; case does not count for whole words.
    """
    if len(value) < SHORTEST or not value.strip("*. \t\n"):
        return True
    if (value.isdecimal() and len(value) < 6) or value.lower() in _WORDS:
        return True
    return len(value) < 8 and (value in _COMMON or value in _COMMON.upper())
