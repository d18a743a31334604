"""Tell the events that our plug-in signed from what anything else wrote into its file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec


class ForgedError(ValueError):
    """A line of the events file that our plug-in did not write, or wrote at another place."""


class Signed:
    """Reads signed lines. Each carries its number in its session: none can be made up, copied or moved."""

    def __init__(self, key: str) -> None:
        self._key = key.encode("ascii")
        self._count: dict[str, int] = {}
        self.missing = 0
        """How many lines of their sessions never came."""

    def read(self, line: bytes) -> Mapping[str, Any]:
        """Return the event of a line. Raises ForgedError, or ValueError where it is no JSON."""
        if not self._key:
            return self._event(line)
        payload, number, mark = _parts(line)
        event = self._event(payload)
        session = str(event.get("s", ""))
        signed = hashlib.blake2b(
            session.encode("utf-8", "replace") + b" %d" % number + payload, key=self._key, digest_size=8
        )
        if mark != signed.hexdigest().encode("ascii"):
            raise ForgedError("not signed by our plug-in")
        last = self._count.get(session, 0)
        if number <= last:
            raise ForgedError("a copy of an earlier line")
        self.missing += number - last - 1
        self._count[session] = number
        return event

    @staticmethod
    def _event(payload: bytes) -> Mapping[str, Any]:
        event = msgspec.json.decode(payload)
        if not isinstance(event, dict):
            raise ForgedError("not an event")
        return event


def _parts(line: bytes) -> tuple[bytes, int, bytes]:
    parts = line.rsplit(b" ", 2)
    if len(parts) != 3 or not parts[1].isdigit():
        raise ForgedError("not signed")
    return parts[0], int(parts[1]), parts[2]
