"""Wrap what must not be shown, and tell by its name what is such."""

from __future__ import annotations

import re


class Secret(str):
    """A text that shows itself as `***`; `reveal()` gives the value. (pydantic's SecretStr costs 0.08 s to import.)

    As a `str` it is the three stars, so that whatever formats, joins or logs it by mistake shows these; its length is
    theirs as well. Two are equal by their values, and none equals a plain text.
    """

    __slots__ = ("_value",)
    _value: str

    def __new__(cls, value: str) -> Secret:
        self = super().__new__(cls, "***")
        self._value = value
        return self

    def reveal(self) -> str:
        """Return the true value: for what connects, and for the redactor; never for a text that is shown."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __ne__(self, other: object) -> bool:
        return not self == other  # str has its own, which would compare what is shown

    def __hash__(self) -> int:
        return hash(("Secret", self._value))

    def __bool__(self) -> bool:
        return bool(self._value)


_SECRET_NAME = re.compile(
    r"(?:^|_)(?:[A-Z0-9]*PASSWORDS?|[A-Z0-9]*PASSWD|PASS|PASSPHRASE|[A-Z0-9]*TOKENS?|[A-Z0-9]*SECRETS?|[A-Z0-9]*APIKEY|KEYS?|DSN|CREDENTIALS?|COOKIES?|JWT|PAT|WEBHOOK)(?:_|$|[0-9])"
)


def looks_secret(name: str) -> bool:
    """Whether a variable's or header's name says that its value is a secret.

    Hyphens count as underscores, and case does not. Each word is asked for whole or as an end, so that DB_PASS and
    X-Api-Key are secret and KEYBOARD is not.
    """
    return bool(_SECRET_NAME.search(name.upper().replace("-", "_"))) or name.upper() in ("AUTHORIZATION", "PGPASSWORD")
