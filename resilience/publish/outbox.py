"""Say what a letter is that waits to be sent, and what sending may come to: sent, put off, or refused for good."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One thing to be sent. `key` names it for good; `channel` says by what, `not_before` when it may be tried again."""

    id: int
    key: str
    channel: str
    body: str
    created_at: datetime
    not_before: datetime | None = None
    attempts: int = 0
    error: str = ""


class PutOffError(Exception):
    """It could not be sent now, and may be later; `until` is when at the earliest, where the far side said so."""

    def __init__(self, why: str, *, until: datetime | None = None) -> None:
        super().__init__(why)
        self.until = until


class RefusedError(Exception):
    """It was refused, and would be again: no right, no such issue, a body that cannot be."""


class Outbox(Protocol):
    """What sending asks of the place where letters wait (`resilience.runs.keeping.Keeping`)."""

    def waiting(self, channel: str = "", *, prefix: str = "") -> tuple[Letter, ...]: ...

    def sent(self, letter: Letter) -> None: ...

    def put_off(self, letter: Letter, error: str, *, until: datetime | None = None) -> None: ...

    def refused(self, letter: Letter, error: str) -> None: ...
