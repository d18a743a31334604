"""Put what people say of an outage into the history: a note for the timeline, and that somebody took it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from resilience.core.errors import RecordError, UsageError
from resilience.core.plain import clean
from resilience.core.records import Acknowledgement
from resilience.core.redact import Redactor
from resilience.core.settings import Settings
from resilience.host.vantage import vantage
from resilience.runs import memory
from resilience.runs.folder import latest, read_incident

LONGEST_NOTE = 2000
"""Characters of a note; what is longer belongs into the report's own sections."""
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")


def when(text: str, now: datetime) -> datetime:
    """Return the time that a person typed: 03:40 or 03:40:15 in UTC, today's or yesterday's if that is still to come, or ISO.

    Raises UsageError for what is no time, or one in the future: a timeline tells what happened.
    """
    if not text:
        return now
    if match := _CLOCK.fullmatch(text.strip().rstrip("Zz")):
        hour, minute, second = int(match[1]), int(match[2]), int(match[3] or 0)
        if hour < 24 and minute < 60 and second < 60:
            at = now.replace(hour=hour, minute=minute, second=second, microsecond=0)
            return at if at <= now else at - timedelta(days=1)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"--at {clean(text, 40)}: no time.", hint="--at 03:40 (UTC), or --at 2026-11-22T03:40Z"
        ) from None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    if at > now:
        raise UsageError(f"--at {clean(text, 40)}: it has not come yet.", hint=f"now it is {now:%Y-%m-%dT%H:%MZ}")
    return at


def note(settings: Settings, text: str, *, at: datetime | None = None) -> str:
    """Put a note on the timeline of the outage that lasts, else of the newest run; return which. Raises UsageError.

    The text is redacted before it is kept. Reports made from then on show it with its author.
    """
    text = Redactor.of(settings.secrets, settings.services).text(text).strip()
    if not text:
        raise UsageError("a note needs a text.", hint='resilience note "restarted the connector"')
    now = datetime.now(UTC)
    return _say(settings, "note", text, at or now, None)


def acknowledge(settings: Settings, text: str = "", *, for_s: float | None = None) -> Acknowledgement:
    """Note that the person who types took the outage that lasts: no escalation of it goes out, for `for_s` seconds or to its end.

    Raises UsageError where no outage is known to last.
    """
    now = datetime.now(UTC)
    until = now + timedelta(seconds=for_s) if for_s is not None else None
    text = Redactor.of(settings.secrets, settings.services).text(text).strip()
    _say(settings, "ack", text, now, until, lasting=True)
    return Acknowledgement(at=now, by=author(), until=until, text=text)


def _say(
    settings: Settings, kind: str, text: str, at: datetime, until: datetime | None, *, lasting: bool = False
) -> str:
    """Keep what was said, by the outage that lasts, else that of the newest run; return its name, or nothing for none."""
    # Here, as in `memory.history`.
    from resilience.runs.keeping import Keeping

    if lasting and not memory.has_history(settings):
        raise UsageError("no outage is known that lasts.", hint="resilience assess")
    kept = memory.history(settings)
    if kept is None:
        raise UsageError(f"the history in {settings.outputs} cannot be opened.", hint=f"ls -l {settings.outputs}")
    with kept:
        row = kept.open_incident(settings.environment)
        if row is None and lasting:
            raise UsageError("no outage is known that lasts.", hint="resilience assess")
        incident = row.id if row is not None else ""
        if not incident:
            try:
                incident = kept.incident_of(read_incident(latest(settings)))
            except (UsageError, RecordError, OSError):
                incident = ""
        Keeping(kept).say(
            kind,
            environment=settings.environment,
            incident=incident,
            at=at,
            author=author(),
            text=clean(text, LONGEST_NOTE, one_line=False),
            until=until,
        )
    return incident


def author() -> str:
    """Return who types, as records name a person: user@host."""
    here = vantage()
    return f"{here.user}@{here.host}"
