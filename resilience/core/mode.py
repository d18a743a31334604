"""Choose how to run the tests, and say why."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from resilience.core.records import (
    CauseName,
    ConnectivityStatus,
    Decision,
    InfrastructureHealth,
    TestExecutionMode,
)
from resilience.core.settings import Service, Settings
from resilience.core.variables import variable_of
from resilience.core.words import fault_phrase, listing

_DEAD = (ConnectivityStatus.UNAVAILABLE, ConnectivityStatus.UNKNOWN)
_ORDER = (
    TestExecutionMode.FULL,
    TestExecutionMode.DEGRADED,
    TestExecutionMode.CRITICAL_ONLY,
    TestExecutionMode.OFFLINE,
)


def decide(
    health: InfrastructureHealth,
    settings: Settings,
    *,
    now: datetime,
    force: TestExecutionMode | None = None,
    asked_by: str = "",
    failed_stand_ins: Collection[str] = (),
    applied: TestExecutionMode | None = None,
    in_use: Collection[str] = (),
) -> Decision:
    """Return the mode by the table of design.md; a parameter (`force`) overrules, then the guide's variables.

    `failed_stand_ins` are services whose stand-in was tried and did not come up: the second decision of design.md.
    `applied` is the mode of a fallback that is applied, with the stand-ins `in_use`: as long as it is, tests reach these,
    whatever staging does.
    """
    wishes = settings.wishes
    by_health, reasons = _by_health(health, settings, failed_stand_ins)
    mode, who = by_health, ""
    if not wishes.resilience_enabled:
        mode, who = TestExecutionMode.FULL, wishes.asked_by.get("resilience_enabled", variable_of("resilience_enabled"))
        reasons = (*reasons, f"{who}: no fallback is planned; tests run as they are")
    elif failed_stand_ins:
        pass
    elif wishes.critical_only:
        mode, who = TestExecutionMode.CRITICAL_ONLY, wishes.asked_by.get("critical_only", variable_of("critical_only"))
    elif wishes.offline:
        mode, who = TestExecutionMode.OFFLINE, wishes.asked_by.get("offline", variable_of("offline"))
    elif wishes.degraded_at_least and mode is TestExecutionMode.FULL:
        mode, who = (
            TestExecutionMode.DEGRADED,
            wishes.asked_by.get("degraded_at_least", variable_of("degraded_at_least")),
        )
    elif mode is TestExecutionMode.FULL and _wished(settings):
        mode, who = TestExecutionMode.DEGRADED, _wished_by(settings)
    if applied is not None and force is None:
        mode, who = applied, "the fallback that is applied (undo: resilience restore)"
    forced = force is not None
    if force is not None:
        mode, who = force, asked_by or "--force"
    if who and mode is not by_health:
        reasons = (f"mode {mode.value} was asked for by {who}; by health it would be {by_health.value}", *reasons)

    stand_ins = list(in_use) if applied is not None else _stand_ins(health, settings, mode, failed_stand_ins)
    held = _held(health, settings, mode, stand_ins, failed_stand_ins)
    blocked = (
        not forced
        and not who
        and health.should_skip_tests
        and wishes.skip_on_failure
        and wishes.fallback_enabled
        and not failed_stand_ins
    )
    if blocked:
        reasons = (*reasons, "nothing usable stands in for a critical service: tests are blocked rather than failed")
    return Decision(
        mode=mode,
        reasons=reasons,
        decided_at=now,
        forced=forced,
        asked_by=who,
        blocked=blocked,
        would_be=by_health if mode is not by_health else None,
        stand_ins=tuple(stand_ins),
        held=held,
    )


def _by_health(
    health: InfrastructureHealth, settings: Settings, failed: Collection[str]
) -> tuple[TestExecutionMode, tuple[str, ...]]:
    configured = [result for result in health.services if result.status is not ConnectivityStatus.NOT_CONFIGURED]
    dead = [result for result in configured if result.status in _DEAD]
    slow = [result for result in configured if result.status is ConnectivityStatus.DEGRADED]
    reasons = [
        f"{result.name} is {result.status.value}: {fault_phrase(result)}" + (" (critical)" if result.critical else "")
        for result in (*dead, *slow)
    ]
    critical_dead = [result for result in dead if result.critical]
    if failed and any(result.name in failed for result in critical_dead):
        names = [result.name for result in critical_dead if result.name in failed]
        return TestExecutionMode.CRITICAL_ONLY, (
            *reasons,
            f"the stand-in for {listing(names)} did not come up in time: second decision",
        )
    causes = {cause.cause for cause in health.causes}
    if CauseName.THIS_MACHINE in causes:
        return TestExecutionMode.OFFLINE, (*reasons, "this machine's own network is down")
    if dead and len(dead) == len(configured) and len(configured) > 1:
        return TestExecutionMode.OFFLINE, (*reasons, "nothing of staging answers")
    if any(result.critical for result in slow) and not critical_dead:
        return TestExecutionMode.CRITICAL_ONLY, (
            *reasons,
            "critical services answer, but not well enough for a full suite",
        )
    if not configured:
        return TestExecutionMode.DEGRADED, ("no staging service is configured",)
    unconfigured = [
        result.name
        for result in health.services
        if result.critical and result.status is ConnectivityStatus.NOT_CONFIGURED
    ]
    if health.overall_status is ConnectivityStatus.UNKNOWN and unconfigured and not dead and not slow:
        return TestExecutionMode.DEGRADED, (f"{listing(unconfigured)} (critical) is not configured, so it is unknown",)
    if dead or slow:
        return TestExecutionMode.DEGRADED, tuple(reasons)
    return TestExecutionMode.FULL, ("all configured services of staging are available",)


def _usable(health: InfrastructureHealth) -> Mapping[str, bool]:
    return {available.service: available.usable for available in health.stand_ins}


def _wished(settings: Settings) -> tuple[str, ...]:
    """Services a variable asks to be stood in for, whatever the probe says."""
    wishes = settings.wishes
    private = [service.name for service in settings.services if service.network] if wishes.private_network_down else []
    return tuple(dict.fromkeys([*wishes.local_services, *private]))


def _wished_by(settings: Settings) -> str:
    asked = settings.wishes.asked_by
    return (
        ", ".join(value for key, value in asked.items() if key in ("local_services", "private_network_down"))
        or "a variable"
    )


def _stand_ins(
    health: InfrastructureHealth, settings: Settings, mode: TestExecutionMode, failed: Collection[str]
) -> list[str]:
    wishes = settings.wishes
    if mode is TestExecutionMode.FULL or not wishes.resilience_enabled or not wishes.fallback_enabled:
        return []
    usable, wished = _usable(health), _wished(settings)
    chosen = []
    for service in settings.services:
        if service.name in failed or not usable.get(service.name):
            continue
        result = health.result(service.name)
        status = result.status if result else ConnectivityStatus.NOT_CONFIGURED
        wanted = (
            mode is TestExecutionMode.OFFLINE
            or status in _DEAD
            or service.name in wished
            or (status is ConnectivityStatus.NOT_CONFIGURED and service.critical)
        )
        if wanted:
            chosen.append(service.name)
    return chosen


def _held(
    health: InfrastructureHealth,
    settings: Settings,
    mode: TestExecutionMode,
    stand_ins: Collection[str],
    failed: Collection[str],
) -> dict[str, str]:
    """Return service → why tests that need it are held back: dead, and nothing stands in for it."""
    wishes = settings.wishes
    if not wishes.skip_on_failure or not wishes.resilience_enabled:
        return {}
    held = {}
    for service in settings.services:
        result = health.result(service.name)
        if result is None or service.name in stand_ins:
            continue
        if result.status in _DEAD:
            why = _why_none(service, health, settings, failed)
            held[service.name] = f"{service.name} is {result.status.value} ({fault_phrase(result)}) and {why}"
        elif mode is TestExecutionMode.OFFLINE and result.status is not ConnectivityStatus.NOT_CONFIGURED:
            why = _why_none(service, health, settings, failed)
            held[service.name] = f"{service.name} is not reached in mode offline and {why}"
    return held


def _why_none(service: Service, health: InfrastructureHealth, settings: Settings, failed: Collection[str]) -> str:
    if not settings.wishes.fallback_enabled:
        who = settings.wishes.asked_by.get("fallback_enabled", variable_of("fallback_enabled"))
        return f"stand-ins are switched off ({who})"
    if service.name in failed:
        return "its stand-in did not come up"
    found = next((available for available in health.stand_ins if available.service == service.name), None)
    return f"has no stand-in here ({found.reason})" if found and found.reason else "has no stand-in here"


def stricter(one: TestExecutionMode, other: TestExecutionMode) -> TestExecutionMode:
    """Return the mode that trusts staging less."""
    return max(one, other, key=_ORDER.index)
