"""Read whom to tell and when: [escalation], [publish], [alerts], [watch] and [[maintenance]]."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from resilience.core.errors import did_you_mean
from resilience.core.secret import Secret
from resilience.core.settings import (
    AlertSettings,
    EscalationSettings,
    Maintenance,
    PublishSettings,
    Service,
    WatchSettings,
)
from resilience.host.demand import on_demand
from resilience.settings.tables import Table
from resilience.settings.variables import VARIABLE, Variables, fill

with on_demand():
    # Where a message has a template of its own.
    from resilience.core import alerts

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OF = re.compile(r"\s*(\d+)\s+of\s+(\d+)\s*")
_WEB = re.compile(r"https?://[^/?#\s]")
_LONGEST_WINDOW = 20
"""Looks that `down` and `up` may count over: the length of Nagios' own memory."""


def read_escalation(table: Table) -> EscalationSettings:
    """Return the limits of the rules of escalation, and whom it names."""
    table.only("critical_down_minutes", "suite_failures", "persistent_minutes", "label", "mention", "contacts")
    default = EscalationSettings()
    return EscalationSettings(
        critical_down_minutes=table.number("critical_down_minutes", default.critical_down_minutes),
        suite_failures=table.whole("suite_failures", default.suite_failures, least=1),
        persistent_minutes=table.number("persistent_minutes", default.persistent_minutes),
        label=table.text("label", default.label),
        mention=table.text("mention", default.mention),
        contacts=table.texts("contacts"),
    )


def read_publish(table: Table) -> PublishSettings:
    """Return where may be written; a repository that cannot be one is refused, as the next thing typed would be a token."""
    table.only("repository", "authors", "wait_s")
    repository = table.text("repository").strip()
    if repository and not _REPOSITORY.fullmatch(repository):
        raise table.error("repository", found=f"({len(repository)} characters)", expected='"owner/name"')
    return PublishSettings(
        repository=repository,
        authors=table.texts("authors"),
        wait_s=table.number("wait_s", PublishSettings().wait_s, zero=True),
    )


def read_alerts(table: Table, variables: Variables) -> AlertSettings:
    """Return where alerts go. A variable that is not set makes them unsendable, which is said; it stops nothing else."""
    table.only("webhook_url", "headers", "template", "urls", "timeout_s")
    filled = fill(table.text("webhook_url"), variables.any, table, "webhook_url")
    unset = list(filled.unset)
    _check_web(table, "webhook_url", filled.text if not filled.unset else "")
    headers: dict[str, Secret] = {}
    for name, text in table.mapping("headers").items():
        if not _HEADER.fullmatch(name):
            raise table.error("headers", found=repr(name[:40]), expected="the name of an HTTP header")
        one = fill(text, variables.any, table, "headers")
        if any(ord(sign) < 32 or ord(sign) == 127 for sign in one.text):
            raise table.error(f"headers.{name}", expected="a value without line breaks and control characters")
        unset += one.unset
        headers[name] = Secret(one.text)
    template = table.text("template").strip()
    values: dict[str, Secret] = {}
    for match in VARIABLE.finditer(template):
        found = variables.any(match[1])
        if found is None:
            unset.append(match[1])
        else:
            values[match[1]] = Secret(found[0])
    _check_template(table, template)
    urls = [fill(text, variables.any, table, "urls") for text in table.texts("urls")]
    unset += [name for url in urls for name in url.unset]
    return AlertSettings(
        webhook_url=Secret("" if filled.unset else filled.text),
        headers=headers,
        template=template,
        values=values,
        urls=tuple(Secret(url.text) for url in urls if not url.unset),
        unset=tuple(dict.fromkeys(unset)),
        timeout_s=table.number("timeout_s", AlertSettings().timeout_s),
    )


def _check_template(table: Table, template: str) -> None:
    if not template:
        return
    try:
        parsed = json.loads(template)
    except ValueError as exc:
        raise table.error("template", found=f"({exc})", expected="JSON with {places} in its texts") from exc
    if unknown := next((name for name in alerts.places_of(parsed) if name not in alerts.PLACES), None):
        raise table.error(
            "template", found=f"{{{unknown}}}", expected="a known place", hint=did_you_mean(unknown, alerts.PLACES)
        )


def _check_web(table: Table, key: str, url: str) -> None:
    if url and not _WEB.match(url):
        raise table.error(key, found=f"({len(url)} characters)", expected="a URL with http:// or https://")


def read_watch(table: Table, variables: Variables) -> WatchSettings:
    """Return how staging is watched."""
    table.only("interval_s", "confirm_s", "down", "up", "reminder_minutes", "heartbeat_url", "textfile")
    default = WatchSettings()
    heartbeat = fill(table.text("heartbeat_url"), variables.any, table, "heartbeat_url")
    _check_web(table, "heartbeat_url", "" if heartbeat.unset else heartbeat.text)
    return WatchSettings(
        interval_s=table.number("interval_s", default.interval_s),
        confirm_s=table.number("confirm_s", default.confirm_s),
        down=_of(table, "down", default.down),
        up=_of(table, "up", default.up),
        reminder_minutes=table.number("reminder_minutes", default.reminder_minutes, zero=True),
        heartbeat_url=Secret("" if heartbeat.unset else heartbeat.text),
        textfile=table.text("textfile"),
    )


def _of(table: Table, key: str, default: tuple[int, int]) -> tuple[int, int]:
    text = table.text(key, f"{default[0]} of {default[1]}")
    match = _OF.fullmatch(text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]) <= _LONGEST_WINDOW:
        expected = f'"k of n", with n at most {_LONGEST_WINDOW},'
        raise table.error(key, found=repr(text[:20]), expected=expected, hint=f'{key} = "{default[0]} of {default[1]}"')
    return int(match[1]), int(match[2])


def read_maintenance(tables: Sequence[Table], services: Sequence[Service]) -> tuple[Maintenance, ...]:
    """Return the windows of maintenance. A time without its zone is refused: it would be another in each time zone."""
    return tuple(_window(table, [service.name for service in services]) for table in tables)


def _window(table: Table, known: Sequence[str]) -> Maintenance:
    table.only("from", "to", "services", "why")
    since, until = _time(table, "from"), _time(table, "to")
    if since >= until:
        raise table.error("to", found=f"{until:%Y-%m-%dT%H:%M:%SZ}", expected="a time after from")
    services = table.texts("services")
    if unknown := next((name for name in services if name not in known), None):
        raise table.error(
            "services", found=repr(unknown), expected="a service's name", hint=did_you_mean(unknown, known)
        )
    return Maintenance(since=since, until=until, services=services, why=table.text("why"))


def _time(table: Table, key: str) -> datetime:
    value = table.values.get(key)
    if not isinstance(value, datetime) or value.tzinfo is None:
        example = "2026-12-01T22:00:00Z"
        raise table.error(
            key,
            found="" if value is None else f"{value}",
            expected="a time with its zone, without quotes",
            hint=f"{key} = {example}",
        )
    return value.astimezone(UTC)


def secrets_of(alerts: AlertSettings, watch: WatchSettings) -> Iterator[str]:
    """Yield what must not be shown: the URLs are keys to whoever knows them, and their paths are what makes them so."""
    for url in filter(None, (alerts.webhook_url, watch.heartbeat_url, *alerts.urls)):
        text = url.reveal()
        yield text
        yield from (part for part in re.split(r"[/?&=#]", text.partition("://")[2]) if len(part) >= 16)
    for header in alerts.headers.values():
        yield header.reveal()
        yield header.reveal().partition(" ")[2]
