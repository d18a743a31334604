"""Turn what a comment is for into the HTML comment by which it is found again, and such a comment back into what it is for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

LAPSE = timedelta(hours=24)
"""A sticky comment that says "open" and that nobody edited for so long is of an outage that nobody saw end."""


class Kind(StrEnum):
    """What a comment of ours is: the one that is edited, or one of the three that are news; an issue has a mark too."""

    STICKY = "sticky"
    OPENED = "opened"
    ESCALATED = "escalated"
    RECOVERED = "recovered"
    ISSUE = "issue"

    @property
    def said(self) -> str:
        """Return what people call it: "sticky" is our word alone."""
        return "the incident's comment" if self is Kind.STICKY else f'the notice "{self.value}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What stands in the HTML comment. `incident` is the outage's name; hosts that name it differently agree on the first."""

    kind: Kind
    environment: str
    incident: str
    opened: datetime
    closed: datetime | None = None

    def text(self) -> str:
        """Return the HTML comment. Hyphens and angle brackets are JSON escapes: they would end it, or begin another."""
        fields = {
            "environment": self.environment,
            "incident": self.incident,
            "opened": _iso(self.opened),
            "closed": _iso(self.closed) if self.closed else None,
        }
        told = json.dumps(fields, sort_keys=True)
        for sign in "-<>":
            told = told.replace(sign, f"\\u{ord(sign):04x}")
        return f"<!-- resilience:{self.kind.value} {told} -->"

    def is_same_outage(self, other: Mark, *, edited_at: datetime, now: datetime) -> bool:
        """Say whether `other`, which a comment carries that was edited then, is of the same outage as this one.

        The same name is. Hosts with a history of their own name it by when they saw it first, so does a comment that is
        still open, or was closed after this outage began; unless nobody edited it for a day.
        """
        if other.environment != self.environment:
            return False
        if other.incident == self.incident:
            return True
        if other.closed is not None:
            return self.opened < other.closed
        return now - edited_at < LAPSE

    def joined(self, first: Mark) -> Mark:
        """Return this mark under the name that the outage has in the comment that was there first."""
        return replace(self, incident=first.incident, opened=min(self.opened, first.opened))


_MARK = re.compile(r"<!-- resilience:([a-z]+) (\{[^\n<]+?\}) -->")
"""Each scan ends where another comment may begin, so that a hostile body costs no more than its length."""


def mark_in(body: str) -> Mark | None:
    """Return the mark in a comment, the last one where there are several; None for none, or one that cannot be read.

    Whose it is must be asked besides: anybody can write such a text.
    """
    for kind, told in reversed(_MARK.findall(body)):
        try:
            fields: Mapping[str, Any] = json.loads(told)
            closed = fields["closed"]
            return Mark(
                kind=Kind(kind),
                environment=str(fields["environment"]),
                incident=str(fields["incident"]),
                opened=datetime.fromisoformat(fields["opened"]),
                closed=datetime.fromisoformat(closed) if closed else None,
            )
        except (ValueError, KeyError, TypeError):
            continue
    return None


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")
