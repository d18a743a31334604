"""Turn one look after the other into transitions and the messages worth sending: pure, from state to state.

The state is a value that is kept between looks and processes, so that a watch that was killed goes on where it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from resilience.core.alerts import Action, Alert, Severity
from resilience.core.escalation import escalation_lines, maintained
from resilience.core.records import ConnectivityResult, ConnectivityStatus, InfrastructureHealth, Notice
from resilience.core.settings import Maintenance, WatchSettings
from resilience.core.words import cause_title, fault_phrase, staging_line

MEMORY = 21
"""Looks that are remembered of a service, as Nagios remembers states."""
FLAPS_FROM, FLAPS_UNTIL = 20.0, 5.0
"""Weighted change in percent from which a service flaps, and below which it does so no longer: Nagios' own defaults."""
_SIGNS = {
    ConnectivityStatus.AVAILABLE: "+",
    ConnectivityStatus.DEGRADED: "~",
    ConnectivityStatus.UNAVAILABLE: "-",
}


class State(StrEnum):
    """How a service is by several looks. `unknown` is what it has before the first that says something."""

    UNKNOWN = "unknown"
    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"
    FLAPPING = "flapping"


_BAD = (State.DEGRADED, State.DOWN, State.FLAPPING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """One service: its last looks, one sign each (+ well, ~ degraded, - down), its state and since when."""

    looks: str = ""
    state: State = State.UNKNOWN
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """All that a watch knows. `key` names the incident that lasts, empty for none; `number` counts messages of it."""

    services: Mapping[str, Followed] = field(default_factory=dict)
    key: str = ""
    opened_at: datetime | None = None
    number: int = 0
    told_at: datetime | None = None
    escalated: tuple[str, ...] = ()
    follow_ups: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One transition. `muted`: another service's trouble explains it, so no line of a message is its own."""

    service: str
    before: State
    after: State
    why: str = ""
    muted: bool = False

    @property
    def line(self) -> str:
        return f"{self.service}: {self.before.value} → {self.after.value}" + (f" ({self.why})" if self.why else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one look came to: the new state, every transition, at most one message, and whether to look again soon.

    `escalated` are the notices that this message told first.
    """

    watch: Watch
    changes: tuple[Change, ...] = ()
    alert: Alert | None = None
    escalated: tuple[Notice, ...] = ()
    soon: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What a step needs besides the look: limits, windows, whom to tell by the rules of escalation, and the issue."""

    settings: WatchSettings
    notices: Sequence[Notice] = ()
    maintenance: Sequence[Maintenance] = ()
    acknowledged: bool = False
    issue: str = ""


def flap_percent(looks: str) -> float:
    """Return the weighted change of state in percent over the last 21 looks; the newest change weighs 1.25, the oldest 0.75.

    As Nagios counts it. Looks that were not taken yet count as no change.
    """
    well = [sign == "+" for sign in looks[-MEMORY:]]
    changes = [a != b for a, b in pairwise(well)]
    slots = MEMORY - 1
    first = slots - len(changes)
    total = sum(0.75 + 0.5 * (first + at) / (slots - 1) for at, changed in enumerate(changes) if changed)
    return total * 100 / slots


def follow(before: Followed, sign: str, settings: WatchSettings, now: datetime) -> Followed:
    """Take one more look at a service and return what is known of it then.

    Flapping is asked first and ends only when it is calm; then down by k of n, degraded by as many that were not well,
    up by its own k of n; else the state stays. Up needs one good look at the very beginning.
    """
    looks = (before.looks + sign)[-MEMORY:]
    state = _state(before.state, looks, settings)
    return Followed(looks=looks, state=state, since=before.since if state is before.state else now)


def _state(before: State, looks: str, settings: WatchSettings) -> State:
    change = flap_percent(looks)
    if change >= FLAPS_FROM or (before is State.FLAPPING and change >= FLAPS_UNTIL):
        return State.FLAPPING
    k, n = settings.down
    last = looks[-n:]
    if last.count("-") >= k:
        return State.DOWN
    if last.count("-") + last.count("~") >= k:
        return State.DEGRADED
    if before is State.UNKNOWN:
        return State.UP if looks[-1] == "+" else before
    k, n = settings.up
    return State.UP if looks[-n:].count("+") >= k else before


def step(watch: Watch, health: InfrastructureHealth, around: Around, now: datetime) -> Step:
    """Take one look at staging and return the new state with what is to be said of it.

    At most one message a look, about all that changed in it. An incident opens with the first service that is not up and
    not under maintenance, and resolves once when every service is up again. While it is acknowledged there are no
    reminders. What is not known changes nothing, but a service that nobody asks for any more is followed no longer: an
    outage would never end by it.
    """
    services, gone = _asked_for(watch.services, health)
    changes: list[Change] = list(gone)
    children = _explained(health)
    for result in health.services:
        sign = _sign(result)
        if sign is None:
            continue
        before = services.get(result.name, Followed())
        after = follow(before, sign, around.settings, now)
        services[result.name] = after
        if after.state is not before.state and not (before.state is State.UNKNOWN and after.state is State.UP):
            why = fault_phrase(result) if after.state in _BAD and sign != "+" else ""
            muted = result.name in children and after.state in _BAD
            changes.append(Change(service=result.name, before=before.state, after=after.state, why=why, muted=muted))
    unsettled = any(_unsettled(services[r.name], _sign(r)) for r in health.services if r.name in services)
    soon = unsettled and watch.follow_ups < max(around.settings.down[1], around.settings.up[1]) - 1
    kept = replace(watch, services=services, follow_ups=watch.follow_ups + 1 if soon else 0)
    kept, alert = _message(kept, health, tuple(changes), around, now)
    new = [rule for rule in kept.escalated if rule not in watch.escalated or kept.key != watch.key]
    escalated = tuple(notice for notice in around.notices if not notice.quiet and notice.rule in new)
    return Step(watch=kept, changes=tuple(changes), alert=alert, escalated=escalated, soon=soon)


def _sign(result: ConnectivityResult) -> str | None:
    """Return the sign of this look, or None where it says nothing.

    Looks are told which services flap, and call their good answers degraded. Counted as bad those would end the flapping
    by what it had itself brought about.
    """
    if result.flapping and result.fault is None and result.status is ConnectivityStatus.DEGRADED:
        return "+"
    return _SIGNS.get(result.status)


def _asked_for(
    followed: Mapping[str, Followed], health: InfrastructureHealth
) -> tuple[dict[str, Followed], list[Change]]:
    """Return what is known of the services that this look asked for, and the changes of those that were bad and are not."""
    asked = {r.name for r in health.services if r.status is not ConnectivityStatus.NOT_CONFIGURED}
    gone = [
        Change(service=name, before=one.state, after=State.UNKNOWN, why="followed no longer")
        for name, one in followed.items()
        if name not in asked and one.state in _BAD
    ]
    return {name: one for name, one in followed.items() if name in asked}, gone


def _unsettled(followed: Followed, sign: str | None) -> bool:
    """Say whether the last look says something else than the state: then another look soon decides."""
    if sign is None or followed.state is State.FLAPPING:
        return False
    if followed.state is State.UNKNOWN:
        return sign != "+"
    return (sign == "+") is not (followed.state is State.UP)


def _explained(health: InfrastructureHealth) -> set[str]:
    """Return the services whose trouble a shared cause explains: all that it names but the first, which is its root."""
    return {name for cause in health.causes if len(cause.services) > 1 for name in cause.services[1:]}


def _message(
    watch: Watch, health: InfrastructureHealth, changes: tuple[Change, ...], around: Around, now: datetime
) -> tuple[Watch, Alert | None]:
    """Return the state with what was said put down, and the message, if there is one to send."""
    bad = [name for name, one in watch.services.items() if one.state in _BAD]
    loud = [name for name in bad if maintained(around.maintenance, now, name) is None]
    due = [notice for notice in around.notices if not notice.quiet and notice.rule not in watch.escalated]
    told = [change for change in changes if maintained(around.maintenance, now, change.service) is None]
    if watch.key and not bad:
        alert = _alert(watch, health, "resolved", changes, (), around, now)
        return replace(watch, key="", opened_at=None, number=0, told_at=None, escalated=()), alert
    kind = _kind(watch, around, now, loud=bool(loud), due=bool(due), told=bool(told))
    if not kind:
        return watch, None
    if kind == "opened":
        watch = replace(watch, key=_key(health.environment, now), opened_at=now, number=0, escalated=())
    shown = changes if kind != "opened" or changes else _as_changes(watch, health, loud)
    alert = _alert(watch, health, kind, shown, tuple(due), around, now)
    escalated = (*watch.escalated, *(notice.rule for notice in due))
    return replace(watch, number=watch.number + 1, told_at=now, escalated=escalated), alert


def _kind(watch: Watch, around: Around, now: datetime, *, loud: bool, due: bool, told: bool) -> str:
    """Return what sort of message is to be sent while something is bad; empty for none. What is news goes before a reminder."""
    if not watch.key:
        return "opened" if loud else ""
    if due and loud:
        return "escalated"
    if told:
        return "changed"
    if loud and not around.acknowledged and _reminder_due(watch, around.settings, now):
        return "reminder"
    return ""


def _as_changes(watch: Watch, health: InfrastructureHealth, names: Sequence[str]) -> tuple[Change, ...]:
    """Return what is bad as changes: maintenance has ended, and it was silent until now."""
    results = {result.name: result for result in health.services}
    return tuple(
        Change(
            service=name,
            before=State.UP,
            after=watch.services[name].state,
            why=fault_phrase(results[name]) if name in results else "",
        )
        for name in names
    )


def _reminder_due(watch: Watch, settings: WatchSettings, now: datetime) -> bool:
    if not settings.reminder_minutes or watch.told_at is None:
        return False
    return now - watch.told_at >= timedelta(minutes=settings.reminder_minutes)


def _key(environment: str, now: datetime) -> str:
    at = now.astimezone(UTC)
    return f"resilience/{environment}/{at:%Y%m%dT%H%M%S}.{at.microsecond // 1000:03d}Z"


def _alert(
    watch: Watch,
    health: InfrastructureHealth,
    kind: str,
    changes: tuple[Change, ...],
    due: tuple[Notice, ...],
    around: Around,
    now: datetime,
) -> Alert:
    """Return the message: a title in one line, then each root with what is muted under it, the cause, and whom to tell."""
    lines = [change.line for change in changes if not change.muted]
    if with_it := [change.service for change in changes if change.muted]:
        lines.append(f"with it: {', '.join(with_it)}")
    for cause in health.causes[:1] if kind != "resolved" else ():
        lines += [f"likely cause: {cause_title(cause.cause)}", f"next: {cause.next}"]
    lines += escalation_lines(due)
    bad = [name for name, one in watch.services.items() if one.state in _BAD]
    if watch.opened_at is not None:
        lines.append(f"since {watch.opened_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC")
    titles = {
        "opened": f"{health.environment} outage: {', '.join(bad)}",
        "changed": f"{health.environment} outage changed: {', '.join(bad)}",
        "escalated": f"{health.environment} outage escalated: {', '.join(notice.reason for notice in due)}",
        "reminder": f"{health.environment} outage lasts: {', '.join(bad)}",
        "resolved": f"{health.environment} outage resolved",
    }
    resolved = kind == "resolved"
    return Alert(
        id=f"{watch.key}/{watch.number}",
        key=watch.key,
        action=Action.RESOLVE if resolved else Action.TRIGGER,
        kind=kind,
        severity=Severity.INFO if resolved else _severity(watch, health),
        title=titles[kind][:250],
        text="\n".join(lines) or staging_line(health),
        environment=health.environment,
        at=now,
        services=tuple(bad),
        issue=around.issue,
    )


def _severity(watch: Watch, health: InfrastructureHealth) -> Severity:
    down = {name for name, one in watch.services.items() if one.state is State.DOWN}
    if any(result.critical and result.name in down for result in health.services):
        return Severity.CRITICAL
    return Severity.ERROR if down else Severity.WARNING
