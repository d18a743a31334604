"""Tell a test that waits in vain for a service that is down from one that takes its time."""

from __future__ import annotations

import time

from resilience.suite.endpoints import Endpoint, whose
from resilience.suite.events import Record, Session
from resilience.suite.looking import Looker
from resilience.suite.looks import Look

AGAIN = 0.3
"""The share of the limit once a test was ended for this service, and it is still down: the next one waits for nothing new."""


class Stalls:
    """Watches the events of one execution come; says why it has to be ended, where it does.

    A signal does not interrupt a client in C, and a client in Python may swallow it: only the end of the process ends such a
    wait. Nothing is ended that did not connect to a service that a fresh look finds down.
    """

    def __init__(self, looker: Looker, record: Record, known: set[str], stall_s: float) -> None:
        self._looker, self._record, self._stall_s = looker, record, stall_s
        self._known = known
        """Services for which a test was ended before."""
        self._last = time.monotonic()
        self._looked = 0.0
        self.service: str | None = None
        self.stuck: tuple[str, str] = ("", "")
        """Rootdir and id of the test that made no progress."""
        self.fixture = ""
        """The fixture that connected, where it was one: its other tests would wait as well."""

    def heard(self) -> None:
        self._last = time.monotonic()

    def step(self) -> str:
        """Return why the execution has to be ended now, or an empty text."""
        waited = time.monotonic() - self._last
        if waited < self._stall_s * AGAIN:
            return ""
        for session, endpoint, fixture in self._touching():
            look = self._looker.looks.last(endpoint.service)
            # Before the first test there are no events to hear: a slow import is no wait.
            known = endpoint.service in self._known and session.current is not None
            limit = self._stall_s * (AGAIN if known else 1.0)
            if waited < limit:
                continue
            if look is None or look.at < time.time() - waited:
                self._look(endpoint.service)
            elif look.red:
                self.service, self.fixture = endpoint.service, fixture
                self.stuck = (session.root, session.current or "")
                self._known.add(endpoint.service)
                return f"{_where(session)} made no progress for {waited:.1f} s while {_down(look)}"
        return ""

    def _touching(self) -> list[tuple[Session, Endpoint, str]]:
        endpoints = [one for one in self._looker.endpoints if not one.idle]
        return [
            (session, endpoint, fixture)
            for session in self._record.sessions.values()
            for pair, fixture in session.touched
            if not session.finished and (endpoint := whose([pair], endpoints)) is not None
        ]

    def _look(self, service: str) -> None:
        if time.monotonic() - self._looked > 1.0:
            self._looked = time.monotonic()
            self._looker.want(service)


def _where(session: Session) -> str:
    return session.current or "pytest, before its first test,"


def _down(look: Look) -> str:
    return f"{look.service} was {look.fault.value if look.fault is not None else 'down'}"
