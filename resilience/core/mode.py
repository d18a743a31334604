"""Choose how to run the tests, and say why.

Two tables of rules hold the promise: `RULES` says which mode the health of staging means, `WISHES` which mode a person's
variable means. In both the first row that holds is the one that counts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from resilience.core.records import (
    CauseName,
    ConnectivityResult,
    ConnectivityStatus,
    Decision,
    InfrastructureHealth,
    TestExecutionMode,
)
from resilience.core.settings import Service, Wishes
from resilience.core.variables import variable_of
from resilience.core.words import fault_phrase, listing

_DEAD = (ConnectivityStatus.UNAVAILABLE, ConnectivityStatus.UNKNOWN)
_ORDER = (
    TestExecutionMode.FULL,
    TestExecutionMode.DEGRADED,
    TestExecutionMode.CRITICAL_ONLY,
    TestExecutionMode.OFFLINE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the rules ask of a health: its results by what can be done with them.

    `dead` counts unknown as well: what is not known cannot carry a test. `slow` are the degraded ones, whatever the
    reason.
    """

    overall: ConnectivityStatus
    configured: tuple[ConnectivityResult, ...]
    dead: tuple[ConnectivityResult, ...]
    """Unavailable or unknown: nothing is known that tests could rest on."""
    slow: tuple[ConnectivityResult, ...]
    causes: frozenset[CauseName]
    unconfigured: tuple[str, ...]
    """Critical services that are not configured."""

    @property
    def critical_dead(self) -> bool:
        return any(result.critical for result in self.dead)

    @property
    def critical_slow(self) -> bool:
        return any(result.critical for result in self.slow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A state of staging → a mode. `reason` is said after the services that are not well; empty: these say enough.

    `because` is why the rule is so, for who maintains it; `reason` is what a person is told about this case.
    """

    mode: TestExecutionMode
    holds: Callable[[Seen], bool]
    reason: Callable[[Seen], str]
    because: str


RULES: tuple[Rule, ...] = (
    Rule(
        mode=TestExecutionMode.OFFLINE,
        holds=lambda seen: CauseName.THIS_MACHINE in seen.causes,
        reason=lambda _: "this machine's own network is down",
        because="staging may be well, but nothing that leaves this machine can be believed",
    ),
    Rule(
        mode=TestExecutionMode.OFFLINE,
        holds=lambda seen: len(seen.configured) > 1 and len(seen.dead) == len(seen.configured),
        reason=lambda _: "nothing of staging answers",
        because="a single service is not the world, but of several one would answer if only services were down",
    ),
    Rule(
        mode=TestExecutionMode.CRITICAL_ONLY,
        holds=lambda seen: seen.critical_slow and not seen.critical_dead,
        reason=lambda _: "critical services answer, but not well enough for a full suite",
        because="they are alive, so no stand-in takes their place, and a full suite would make them worse",
    ),
    Rule(
        mode=TestExecutionMode.DEGRADED,
        holds=lambda seen: not seen.configured,
        reason=lambda _: "no staging service is configured",
        because="nothing was looked at, so nothing is known to be well",
    ),
    Rule(
        mode=TestExecutionMode.DEGRADED,
        holds=lambda seen: bool(seen.dead or seen.slow),
        reason=lambda _: "",
        because="the rest is well: tests of what is dead go to stand-ins or wait",
    ),
    Rule(
        mode=TestExecutionMode.DEGRADED,
        holds=lambda seen: seen.overall is ConnectivityStatus.UNKNOWN and bool(seen.unconfigured),
        reason=lambda seen: f"{listing(seen.unconfigured)} (critical) is not configured, so it is unknown",
        because="unknown is never available, also where only the configuration lacks",
    ),
    Rule(
        mode=TestExecutionMode.FULL,
        holds=lambda _: True,
        reason=lambda _: "all configured services of staging are available",
        because="nothing speaks against the team's own staging",
    ),
)
"""What the health of staging means, strongest first. The table of design.md is this one in the words of a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A field of `Wishes` that asks for a mode, where the mode by health is one of `over`."""

    wish: str
    mode: TestExecutionMode
    over: tuple[TestExecutionMode, ...]
    because: str


WISHES: tuple[Wish, ...] = (
    Wish(
        wish="offline",
        mode=TestExecutionMode.OFFLINE,
        over=_ORDER,
        because="nothing of staging is to be touched whatever it does, also by the critical tests where these are asked for",
    ),
    Wish(
        wish="critical_only",
        mode=TestExecutionMode.CRITICAL_ONLY,
        over=_ORDER,
        because="fewer tests are asked for whatever staging does",
    ),
    Wish(
        wish="degraded_at_least",
        mode=TestExecutionMode.DEGRADED,
        over=(TestExecutionMode.FULL,),
        because="at least: a stricter mode by health stays",
    ),
)
"""What a person's variables ask for, strongest first."""


def decide(
    health: InfrastructureHealth,
    services: Sequence[Service],
    wishes: Wishes,
    *,
    now: datetime,
    force: TestExecutionMode | None = None,
    asked_by: str = "",
    failed_stand_ins: Collection[str] = (),
    applied: TestExecutionMode | None = None,
    in_use: Collection[str] = (),
) -> Decision:
    """Return the mode by the table of design.md; a parameter (`force`) overrules, then the guide's variables.

    `failed_stand_ins` are services whose stand-in was tried and did not come up. Their own tests are held back and the mode
    stays: fewer tests of everything else would prove less, and no service that was to be left alone is used because of it.
    `applied` is the mode of a fallback that is applied, with the stand-ins `in_use`: as long as it is, tests reach
    these, whatever staging does.

    Tests are blocked only where nobody asked for a mode: who asks, wants them run and told apart.

    `force` is a parameter of this run, and `asked_by` names it in the report. `would_be` of the result is the mode by
    health, where somebody overruled it. Pure: `now` is the decision's time, and nothing is looked up.
    """
    by_health, reasons = mode_by_health(health)
    mode, who = _overruled(by_health, services, wishes, force, asked_by, applied)
    if not wishes.resilience_enabled:
        reasons = (*reasons, f"{_who(wishes, 'resilience_enabled')}: no fallback is planned; tests run as they are")
    if who and mode is not by_health:
        reasons = (f"mode {mode.value} was asked for by {who}; by health it would be {by_health.value}", *reasons)
    if wishes.critical_only and mode is TestExecutionMode.OFFLINE:
        reasons = (
            *reasons,
            f"{_who(wishes, 'critical_only')} counts as well: of the tests that run offline, the critical ones",
        )

    stand_ins = list(in_use) if applied is not None else _stand_ins(health, services, wishes, mode, failed_stand_ins)
    held = _held(health, services, wishes, mode, stand_ins, failed_stand_ins)
    reasons = (*reasons, *_without_effect(health, services, wishes, mode, stand_ins, failed_stand_ins))
    if late := [name for name in held if name in failed_stand_ins]:
        reasons = (
            *reasons,
            f"the stand-in for {listing(late)} did not come up: its tests are held back, the mode stays",
        )
    may_block = wishes.skip_on_failure and wishes.fallback_enabled and not failed_stand_ins
    blocked = not who and health.should_skip_tests and may_block
    if blocked:
        reasons = (*reasons, "nothing usable stands in for a critical service: tests are blocked rather than failed")
    return Decision(
        mode=mode,
        reasons=reasons,
        decided_at=now,
        forced=force is not None,
        asked_by=who,
        blocked=blocked,
        would_be=by_health if mode is not by_health else None,
        stand_ins=tuple(stand_ins),
        held=held,
    )


def mode_by_health(health: InfrastructureHealth) -> tuple[TestExecutionMode, tuple[str, ...]]:
    """Return what the first rule that holds says, with its reasons: the services not well, then the rule's own.

    The last rule holds always, so that there is a mode for any health, an empty one included.
    """
    seen = look_at(health)
    rule = next(rule for rule in RULES if rule.holds(seen))
    unwell = tuple(
        f"{result.name} is {result.status.value}: {fault_phrase(result)}" + (" (critical)" if result.critical else "")
        for result in (*seen.dead, *seen.slow)
    )
    return rule.mode, tuple(filter(None, (*unwell, rule.reason(seen))))


def look_at(health: InfrastructureHealth) -> Seen:
    """Return what the rules ask of a health."""
    configured = [result for result in health.services if result.status is not ConnectivityStatus.NOT_CONFIGURED]
    dead = tuple(result for result in configured if result.status in _DEAD)
    return Seen(
        overall=health.overall_status,
        configured=tuple(configured),
        dead=dead,
        slow=tuple(result for result in configured if result.status is ConnectivityStatus.DEGRADED),
        causes=frozenset(cause.cause for cause in health.causes),
        unconfigured=tuple(
            result.name
            for result in health.services
            if result.critical and result.status is ConnectivityStatus.NOT_CONFIGURED
        ),
    )


def _overruled(
    by_health: TestExecutionMode,
    services: Sequence[Service],
    wishes: Wishes,
    force: TestExecutionMode | None,
    asked_by: str,
    applied: TestExecutionMode | None,
) -> tuple[TestExecutionMode, str]:
    """Return the mode and who asked for it; nobody ("") where it is the one by health.

    Strongest first: a parameter, given for this run; the fallback that is applied, since tests reach it whatever is
    wished; resilience switched off; then the wishes.
    """
    if force is not None:
        return force, asked_by or "--force"
    if applied is not None:
        return applied, "the fallback that is applied (undo: resilience restore)"
    if not wishes.resilience_enabled:
        return TestExecutionMode.FULL, _who(wishes, "resilience_enabled")
    for row in WISHES:
        if getattr(wishes, row.wish) and by_health in row.over:
            return row.mode, _who(wishes, row.wish)
    if by_health is TestExecutionMode.FULL and _wished(services, wishes):
        return TestExecutionMode.DEGRADED, _wished_by(wishes)
    return by_health, ""


def _who(wishes: Wishes, wish: str) -> str:
    return wishes.asked_by.get(wish, variable_of(wish))


def _usable(health: InfrastructureHealth) -> Mapping[str, bool]:
    return {available.service: available.usable for available in health.stand_ins}


def _wished(services: Sequence[Service], wishes: Wishes) -> tuple[str, ...]:
    """Services a variable asks to be stood in for, whatever the probe says.

    A wish for the private network's workaround means every service that declares a `network`.
    """
    private = [service.name for service in services if service.network] if wishes.private_network_down else []
    return tuple(dict.fromkeys([*wishes.local_services, *private]))


def _wished_by(wishes: Wishes) -> str:
    asked = wishes.asked_by
    return (
        ", ".join(value for key, value in asked.items() if key in ("local_services", "private_network_down"))
        or "a variable"
    )


def _stand_ins(
    health: InfrastructureHealth,
    services: Sequence[Service],
    wishes: Wishes,
    mode: TestExecutionMode,
    failed: Collection[str],
) -> list[str]:
    """Return the services to stand in for: those that need it by `_needs_stand_in` and have one that can be used here.

    None in mode full or where a wish forbids it. One that was tried and did not come up is not tried again.
    """
    if mode is TestExecutionMode.FULL or not wishes.resilience_enabled or not wishes.fallback_enabled:
        return []
    usable, wished = _usable(health), _wished(services, wishes)
    return [
        service.name
        for service in services
        if usable.get(service.name)
        and service.name not in failed
        and (service.name in wished or _needs_stand_in(service, health, mode))
    ]


def _needs_stand_in(service: Service, health: InfrastructureHealth, mode: TestExecutionMode) -> bool:
    """Say whether tests need something else than staging's service: it is dead, not to be reached, or a critical gap.

    A service that is only slow keeps its place: it answers, and a stand-in would hide how it answers.
    """
    result = health.result(service.name)
    status = result.status if result else ConnectivityStatus.NOT_CONFIGURED
    if mode is TestExecutionMode.OFFLINE or status in _DEAD:
        return True
    return status is ConnectivityStatus.NOT_CONFIGURED and service.critical


def _held(
    health: InfrastructureHealth,
    services: Sequence[Service],
    wishes: Wishes,
    mode: TestExecutionMode,
    stand_ins: Collection[str],
    failed: Collection[str],
) -> dict[str, str]:
    """Return service → why tests that need it are held back: dead, and nothing stands in for it.

    In mode offline also what is well is held back, as nothing off this machine is to be reached. Nothing is held
    where a person switched skipping, or the whole of it, off.
    """
    if not wishes.skip_on_failure or not wishes.resilience_enabled:
        return {}
    held = {}
    results = {result.name: result for result in health.services}
    for service in services:
        result = results.get(service.name)
        if result is None or service.name in stand_ins:
            continue
        if result.status in _DEAD:
            why = _why_none(service, health, wishes, failed)
            held[service.name] = f"{service.name} is {result.status.value} ({fault_phrase(result)}) and {why}"
        elif mode is TestExecutionMode.OFFLINE and result.status is not ConnectivityStatus.NOT_CONFIGURED:
            why = _why_none(service, health, wishes, failed)
            held[service.name] = f"{service.name} is not reached in mode offline and {why}"
        elif mode is not TestExecutionMode.FULL and service.name in wishes.local_services:
            why = _why_none(service, health, wishes, failed)
            held[service.name] = f"{service.name} was asked to be local ({_local_by(wishes, service.name)}) and {why}"
    return held


def _without_effect(
    health: InfrastructureHealth,
    services: Sequence[Service],
    wishes: Wishes,
    mode: TestExecutionMode,
    stand_ins: Collection[str],
    failed: Collection[str],
) -> list[str]:
    """Return the switches that change nothing here, with the reason: who set one believes that it is followed.

    A wish that a stronger one contains is followed: the critical tests of mode offline are critical ones, and every other
    mode is degraded at least.
    """
    followed = {
        "offline": mode is TestExecutionMode.OFFLINE,
        "critical_only": mode in (TestExecutionMode.CRITICAL_ONLY, TestExecutionMode.OFFLINE),
        "degraded_at_least": mode is not TestExecutionMode.FULL,
    }
    said = [
        f"{_who(wishes, wish)} has no effect: mode {mode.value} counts"
        for wish, kept in followed.items()
        if getattr(wishes, wish) and not kept
    ]
    for service in services:
        if service.name in wishes.local_services and service.name not in stand_ins:
            why = _why_none(service, health, wishes, failed)
            why = "gets no stand-in in mode full" if mode is TestExecutionMode.FULL else why
            said.append(f"{_local_by(wishes, service.name)} has no effect: {service.name} {why}")
    if wishes.private_network_down and not any(service.network for service in services):
        said.append(f"{_who(wishes, 'private_network_down')} stands in for nothing: no service has a network")
    if nothing := wishes.asked_by.get("nothing_to_switch"):
        said.append(f"{nothing} has no effect: no service is of that kind")
    return said


def _local_by(wishes: Wishes, service: str) -> str:
    return wishes.asked_by.get(f"local_services.{service}") or _who(wishes, "local_services")


def _why_none(service: Service, health: InfrastructureHealth, wishes: Wishes, failed: Collection[str]) -> str:
    if not wishes.fallback_enabled:
        who = _who(wishes, "fallback_enabled")
        return f"stand-ins are switched off ({who})"
    if service.name in failed:
        return "its stand-in did not come up"
    found = next((available for available in health.stand_ins if available.service == service.name), None)
    return f"has no stand-in here ({found.reason})" if found and found.reason else "has no stand-in here"


def stricter(one: TestExecutionMode, other: TestExecutionMode) -> TestExecutionMode:
    """Return the mode that trusts staging less.

    From the least strict: full, degraded, critical_only, offline.
    """
    return max(one, other, key=_ORDER.index)
