"""Tell the events that our plug-in signed from what anything else wrote into its file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec


class ForgedError(ValueError):
    """A line of the events file that our plug-in did not write there, or not at this place."""


class Signed:
    """Reads signed lines. Each is signed together with the one before it of its session: none can be added, copied or moved."""

    def __init__(self, key: str) -> None:
        self._key = key.encode("ascii")
        self._last: dict[str, bytes] = {}

    def read(self, line: bytes) -> Mapping[str, Any]:
        """Return the event of a line. Raises ForgedError, or ValueError where it is no JSON."""
        if not self._key:
            event = msgspec.json.decode(line)
        else:
            payload, _, mark = line.rpartition(b" ")
            event = msgspec.json.decode(payload)
        if not isinstance(event, dict):
            raise ForgedError("not an event")
        if self._key:
            session = str(event.get("s", ""))
            signed = hashlib.blake2b(self._last.get(session, b"") + payload, key=self._key, digest_size=8)
            expected = signed.hexdigest().encode("ascii")
            if mark != expected:
                raise ForgedError("not signed by our plug-in")
            self._last[session] = expected
        return event
