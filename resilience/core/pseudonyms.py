"""Turn addresses, internal names, projects and people into names that tell strangers nothing."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Iterable, Sequence

_ADDRESS4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
_ADDRESS6 = re.compile(r"(?<![\w:.])(?=[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:)[0-9A-Fa-f:]{3,39}(?:%\w+)?(?![\w:])")
_EMAIL = re.compile(
    r"(?<![\w.%+-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*\.[A-Za-z]{2,24}\b"
)
_INTERNAL = re.compile(
    r"(?i)(?<![\w.-])(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.){1,8}"
    r"(?:internal|local|lan|corp|intra|intranet|private|svc|localdomain|home\.arpa|svc\.cluster\.local)\b(?![\w-]|\.\w)"
)
_PROJECT = re.compile(r"\b(projects/)([a-z][a-z0-9-]{4,28}[a-z0-9])\b")
_INSTANCE = re.compile(r"\b([a-z][a-z0-9-]{4,28}[a-z0-9])(:[a-z]{2,}-[a-z]{3,}[0-9]{1,2}:)([a-z][a-z0-9-]{0,97})")
_PRIVATE = tuple(
    ipaddress.ip_network(network)
    for network in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "fc00::/7",
        "fe80::/10",
    )
)


class Pseudonyms:
    """Names for what strangers need not know; the same thing has the same name in every text of one report.

    With a `key` a name is the first 8 hexadecimal digits of an HMAC-SHA256, the same in every run, and not to be
    guessed from a list of likely names; without one it is a number.
    """

    def __init__(self, hosts: Sequence[str], projects: Sequence[str], key: bytes) -> None:
        self._key = key
        self._names: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}
        self._addresses = {ipaddress.ip_address(name.strip("[]")) for name in hosts if _is_address(name)}
        given = [name for name in hosts if len(name) >= 2 and not _is_address(name) and name.lower() != "localhost"]
        self._given = {"host": _any_of(given), "project": _any_of(projects)}

    def replace(self, text: str) -> str:
        """Return the text with people, instances, projects, internal hosts and private addresses under other names.

        E-mail goes first, as its domain may be an internal name; addresses last. Loopback addresses stay, and public
        ones that are not of `hosts`. Doing it twice changes nothing more: `mail.invalid` and names of this form are
        known again (RFC 2606 keeps .invalid out of the DNS).
        """
        text = _EMAIL.sub(self._person, text)
        text = _INSTANCE.sub(lambda m: f"{self._name('project', m[1])}{m[2]}{self._name('instance', m[3])}", text)
        text = _PROJECT.sub(lambda m: f"{m[1]}{self._name('project', m[2])}", text)
        for kind, pattern in self._given.items():
            if pattern:
                text = pattern.sub(lambda m, kind=kind: self._name(kind, m[0].lower()), text)  # type: ignore[misc]
        text = _INTERNAL.sub(lambda m: self._name("host", m[0].lower()), text)
        text = _ADDRESS4.sub(self._address, text)
        return _ADDRESS6.sub(self._address, text)

    def _person(self, match: re.Match[str]) -> str:
        if match[0].endswith("@mail.invalid"):
            return match[0]
        return f"{self._name('person', match[0].lower())}@mail.invalid"

    def _address(self, match: re.Match[str]) -> str:
        try:
            address = ipaddress.ip_address(match[0].partition("%")[0])
        except ValueError:
            return match[0]
        private = address in self._addresses or any(address in network for network in _PRIVATE)
        return self._name("address", str(address)) if private and not address.is_loopback else match[0]

    def _name(self, kind: str, value: str) -> str:
        if re.fullmatch(rf"{kind}-[0-9a-f]{{1,8}}", value):
            return value
        if (kind, value) not in self._names:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            digest = hmac.new(self._key, f"{kind}:{value}".encode(), hashlib.sha256).hexdigest()[:8]
            self._names[kind, value] = f"{kind}-{digest if self._key else self._counts[kind]}"
        return self._names[kind, value]


def _any_of(names: Iterable[str]) -> re.Pattern[str] | None:
    longest_first = sorted({re.escape(name) for name in names if name}, key=lambda name: (-len(name), name))
    return re.compile(rf"(?i)(?<![\w-])(?:{'|'.join(longest_first)})(?![\w-])") if longest_first else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
