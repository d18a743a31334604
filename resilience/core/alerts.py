"""Turn a message of the watch into the body of an alert: our own document, or a configured template with its places filled."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from resilience.core.records import SCHEMA


class Action(StrEnum):
    """What the receiver does with an alert: open it or add to it, or close it. PagerDuty's words for it."""

    TRIGGER = "trigger"
    RESOLVE = "resolve"


class Severity(StrEnum):
    """How bad it is, in PagerDuty's words."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One message for people. `key` is the same for all alerts of one incident: by it a receiver joins them.

    `id` is of this alert alone: one that is sent twice, as its answer was lost, is known again by it. `kind` says what
    happened: opened, changed, escalated, reminder, resolved. Texts are redacted.
    """

    id: str
    key: str
    action: Action
    kind: str
    severity: Severity
    title: str
    text: str
    environment: str
    at: datetime
    services: tuple[str, ...] = ()
    issue: str = ""
    url: str = ""


_PLACES = re.compile(r"\$\{([^}]*)\}|\{([a-z_]+)\}")
PLACES: Mapping[str, Callable[[Alert], str]] = {
    "action": lambda alert: alert.action.value,
    "at": lambda alert: alert.at.astimezone(UTC).isoformat(timespec="seconds"),
    "environment": lambda alert: alert.environment,
    "id": lambda alert: alert.id,
    "issue": lambda alert: alert.issue,
    "key": lambda alert: alert.key,
    "kind": lambda alert: alert.kind,
    "services": lambda alert: ", ".join(alert.services),
    "severity": lambda alert: alert.severity.value,
    "text": lambda alert: alert.text,
    "title": lambda alert: alert.title,
    "url": lambda alert: alert.url,
}
"""What a template may hold in braces."""


def document(alert: Alert) -> dict[str, Any]:
    """Return the body that is sent where no template is configured."""
    places = {name: fill(alert) for name, fill in PLACES.items()}
    return {"schema": SCHEMA, **places, "services": list(alert.services)}


def body(alert: Alert, template: str, values: Mapping[str, str] | None = None) -> bytes:
    """Return the body as JSON; `values` are those of `${NAME}`, none for the body as it is scanned before it leaves.

    The template is read as JSON first and filled in its texts alone, so that nothing a service said can add a key.
    """
    if not template:
        return _json(document(alert))
    return _json(_filled(json.loads(template), alert, values or {}))


def _filled(node: Any, alert: Alert, values: Mapping[str, str]) -> Any:
    if isinstance(node, str):
        # In one pass: what a service said is never read as a place, nor as the name of a variable.
        return _PLACES.sub(lambda match: values.get(match[1], match[0]) if match[1] else PLACES[match[2]](alert), node)
    if isinstance(node, dict):
        return {key: _filled(value, alert, values) for key, value in node.items()}
    if isinstance(node, list):
        return [_filled(item, alert, values) for item in node]
    return node


def places_of(template: Any) -> Iterator[str]:
    """Yield the names in braces in the texts of a template that was read as JSON; `${NAME}` is none of them."""
    if isinstance(template, str):
        yield from (place for _, place in _PLACES.findall(template) if place)
    elif isinstance(template, dict):
        for value in template.values():
            yield from places_of(value)
    elif isinstance(template, list):
        for item in template:
            yield from places_of(item)


def _json(node: Any) -> bytes:
    return json.dumps(node, ensure_ascii=False).encode()
