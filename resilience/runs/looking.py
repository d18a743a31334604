"""Look at staging, or at what the tests reach in its place, and return what was found as health, document and samples."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from resilience.core.assess import assess as judge_all, judge
from resilience.core.errors import NotConfiguredError, RecordError, SettingsError
from resilience.core.records import (
    SCHEMA,
    ConnectivityResult,
    ConnectivityStatus,
    Decision,
    InfrastructureHealth,
    Observation,
    Sample,
)
from resilience.core.secret import Secret
from resilience.core.settings import Service, Settings
from resilience.fallback import journal as journals
from resilience.host import seen as seeing
from resilience.host.demand import on_demand
from resilience.host.log import log_health
from resilience.host.vantage import vantage
from resilience.services.looking import ProbeContext, control, load, probe, probe_all
from resilience.services.registry import KINDS
from resilience.settings.build import require_configured
from resilience.settings.environment import is_shipped
from resilience.stand_ins import availability

with on_demand():
    # Where a look is kept or told as JSON; one by `--url` is neither.
    from resilience.core import codec
    from resilience.runs import memory


async def look(
    settings: Settings,
    *,
    critical: bool = False,
    names: Sequence[str] | None = None,
    remember: bool = True,
    flapping: Sequence[str] = (),
) -> InfrastructureHealth:
    """Look once at all services at the same time, or at the critical ones; it takes as long as the slowest probe.

    `flapping` are services that earlier looks found to come and go: their good answer alone is not believed.
    Raises NotConfiguredError where no service has a URL, SettingsError where an endpoint changed during an incident.

    `names` restricts it, and then `critical` restricts it further. With `remember` false nothing is noted for later
    looks: not the last good facts of a service, nor the snapshot that tests ask. It reads and never locks.
    """
    services = _asked_for(settings, critical=critical, names=names)
    # A look by URL alone says nothing of the services that are called the same here.
    seen = seeing.load(settings.state) if settings.source else {}
    # Before the clock starts, as a driver's import is no time of a service's.
    load({service.kind for service in services if service.configured})
    started_at, began = datetime.now(UTC), perf_counter()
    async with _context(settings) as context:
        observed, controls = await asyncio.gather(
            probe_all([service for service in services if service.configured], context=context),
            control(settings.control_targets, context=context),
        )
    observations = {observation.name: observation for observation in observed}
    _check_frozen(settings, observations)
    here = vantage()
    health = judge_all(
        services,
        observations,
        environment=settings.environment,
        vantage=here,
        started_at=started_at,
        duration_s=round(perf_counter() - began, 3),
        stand_ins=availability(services, settings),
        controls=controls,
        wishes=settings.wishes,
        reached_before=seeing.reached(seen, here.network),
        flapping=flapping,
        unset_critical_counts=not is_shipped(settings.source),
    )
    if remember and settings.source is not None:
        seeing.remember(settings.state, seen, health)
        if len(services) == len(settings.services):
            memory.note_snapshot(settings.state, codec.to_json(health))
    log_health(health)
    return health


def _context(settings: Settings) -> ProbeContext:
    """Return what the probes of one look share."""
    return ProbeContext(
        deny_hosts=settings.deny_hosts,
        secrets=settings.secrets,
        root=settings.root,
        recv_s=settings.deadlines.websocket_recv_s,
        send_s=settings.deadlines.websocket_send_s,
    )


def _asked_for(settings: Settings, *, critical: bool, names: Sequence[str] | None) -> list[Service]:
    """Return the services to look at. Raises NotConfiguredError where none of them has a URL: that proves nothing."""
    require_configured(settings)
    services = [
        service
        for service in settings.services
        if (not critical or service.critical) and (names is None or service.name in names)
    ]
    if critical and not any(service.configured for service in services):
        raise NotConfiguredError(
            name="critical service",
            source=str(settings.source or ""),
            hint="resilience doctor",
        )
    return services


def _check_frozen(settings: Settings, observations: Mapping[str, Observation]) -> None:
    """Refuse to look elsewhere than at the incident's first assessment while a fallback is applied."""
    try:
        journal = journals.load(settings.state)
    except RecordError:
        return  # a damaged journal is what `status` and `restore` complain of; looking must go on
    if journal is None:
        return
    for name, observation in observations.items():
        frozen = journal.endpoints.get(name)
        if frozen and frozen != observation.endpoint:
            raise SettingsError(
                name=f"service {name}: its endpoint",
                found=observation.endpoint,
                expected=f"{frozen}, as at the first assessment of this incident,",
                hint="unset what points it elsewhere, or end the incident: resilience restore",
            )


def check_endpoints(first: InfrastructureHealth | None, health: InfrastructureHealth) -> None:
    """Refuse a look that went elsewhere than the first one of the same run. Raises SettingsError."""
    if first is None:
        return
    for result in health.services:
        frozen = first.result(result.name)
        if frozen and frozen.endpoint and result.endpoint and frozen.endpoint != result.endpoint:
            raise SettingsError(
                name=f"service {result.name}: its endpoint",
                found=result.endpoint,
                expected=f"{frozen.endpoint}, as at the first assessment of this run,",
                hint="start a new run: resilience run",
            )


async def look_as_tests_do(
    settings: Settings, names: Sequence[str], *, stood_in: Sequence[str]
) -> Mapping[str, ConnectivityResult]:
    """Look afresh at what the tests reach under these names: the stand-in where one is used, else staging.

    Judged by itself: neither history nor other services' faults count, as a test knows neither. It takes as long as
    the slowest probe.
    """
    services = [service for service in settings.services if service.name in names]
    async with _context(settings) as context:
        looks = [
            probe(service, context=context, target="stand_in" if service.name in stood_in else "staging")
            for service in services
            if service.configured or service.name in stood_in
        ]
        observed = await asyncio.gather(*looks)
    found = {observation.name: observation for observation in observed}
    return {service.name: judge(service, found.get(service.name)) for service in services}


async def look_deeper(
    settings: Settings, name: str, *, writes: bool = False, path: str = "", stood_in: Sequence[str] = ()
) -> ConnectivityResult | None:
    """Look at one service as deep as a test failed there: by a write, or by a GET of this path; None where that cannot be.

    A path is asked for without the test's query and body, and any answer below 500 is a good one: it is the server that is
    asked whether it is well, not the product.
    """
    service = settings.service(name)
    at = "local" if name in stood_in else "url"
    if service is None or not getattr(service, at):
        return None
    if writes:
        if "write_check" not in service.kind.keys:
            return None
        service = replace(service, write_check=True)
    else:
        parts = urlsplit(getattr(service, at).reveal())
        if parts.scheme not in KINDS["http"].schemes or not path.startswith("/"):
            return None
        url = Secret(urlunsplit((parts.scheme, parts.netloc, path, "", "")))
        service = replace(
            service, kind=KINDS["http"], expect_status=tuple(range(100, 500)), expect_body="", expect_json={}
        )
        service = replace(service, local=url) if at == "local" else replace(service, url=url)
    async with _context(settings) as context:
        observed = await probe(service, context=context, target="stand_in" if at == "local" else "staging")
    return judge(service, observed)


def assess_document(health: InfrastructureHealth, decision: Decision) -> dict[str, Any]:
    """Return the document of `assess --json`: the health, with the mode it leads to and why."""
    document: dict[str, Any] = {"schema": SCHEMA, **codec.to_builtins(health)}
    document["mode"] = decision.mode.value
    document["reasons"] = list(decision.reasons)
    document["blocked"] = decision.blocked
    return document


def samples_of(health: InfrastructureHealth, stage: str, target: str = "staging") -> list[Sample]:
    """Return one sample per probed service.

    `stage` is a stage's value, `target` "staging" or "stand_in". A result without a time of its own gets the look's.
    """
    return [
        Sample(
            at=result.started_at or health.started_at,
            service=result.name,
            status=result.status,
            response_time_s=result.response_time_s,
            fault=result.fault,
            phases=result.phases,
            target=target,
            stage=stage,
        )
        for result in health.services
        if result.status is not ConnectivityStatus.NOT_CONFIGURED
    ]
