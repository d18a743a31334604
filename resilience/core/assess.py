"""Turn observations into InfrastructureHealth: each service judged, shared causes named, staging as a whole.

Pure: the observations, the clock and what earlier looks reached come in as arguments. A probe's fault is judged here
and nowhere else, so that every room has the same word for a service. The statuses in short: available where the probe
met no fault; degraded where the service answered, if not as it should; unavailable where it did not answer; unknown
where the fault speaks of this side.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from resilience.core.causes import find_causes
from resilience.core.faults import at, fault
from resilience.core.records import (
    CauseName,
    ConnectivityResult,
    ConnectivityStatus,
    Fault,
    FaultCode,
    InfrastructureHealth,
    Observation,
    Phase,
    Phases,
    StandInAvailability,
    Vantage,
)
from resilience.core.settings import Service, Wishes
from resilience.core.steadiness import Steadiness, Summary, summarise

__all__ = ["Steadiness", "Summary", "assess", "is_good", "judge", "summarise"]

C = FaultCode
S = ConnectivityStatus

ABOUT_US = frozenset({C.INTERNAL, C.DENIED_HOST, C.CONFIG_INVALID, C.TCP_PROHIBITED})
"""Faults that say something about this side only: the service's status is unknown."""
ANSWERS = frozenset({C.APP_READONLY, C.APP_RATE_LIMIT, C.APP_REPLICA_LAG, C.APP_CLUSTER_TRYAGAIN})
"""Faults of a service that still answers: degraded."""
ANSWERS_READS = frozenset({C.APP_OVERLOAD, C.APP_REPLICA_DOWN, C.APP_AUTH, C.APP_SLOW, C.APP_SCHEMA_GAP, C.APP_ERROR})
"""The same where a read succeeded before."""


def judge(
    service: Service,
    observation: Observation | None,
    *,
    never_reached: bool = False,
    flapping: bool = False,
) -> ConnectivityResult:
    """Judge one service from what a probe found; None: it is not configured, so nothing was asked.

    A fault that the probe met comes before anything its facts say. `never_reached` adds the question for the VPN to
    detail and hint; `flapping` makes an available service degraded and never changes any other status, as a good
    answer of a service that comes and goes proves little. `detail` and `hint` are copied from the fault, whose texts
    the probe has already redacted.
    """
    if observation is None or not service.configured:
        return _not_configured(service)
    found = observation.fault or _finding(service, observation)
    status = _status(observation, found)
    if flapping and status is S.AVAILABLE:
        status = S.DEGRADED
    detail = found.detail if found else ""
    hint = found.hint if found else ""
    if found is not None and found.cause:
        detail = f"{detail} ({found.cause})" if detail else found.cause
    if flapping:
        detail = f"flapping: it comes and goes. {detail}".strip()
    if never_reached:
        detail = f"{detail}; never yet reached from this host and network".lstrip("; ")
        hint = f"VPN on? tunnel up? {hint}".strip()
    return ConnectivityResult(
        name=service.name,
        type=service.type,
        status=status,
        fault=found.code if found else None,
        phase=found.phase if found else None,
        retryable=found.retryable if found else False,
        infrastructure=found.infrastructure if found else False,
        response_time_s=observation.response_time_s,
        phases=observation.phases,
        endpoint=observation.endpoint,
        critical=service.critical,
        degraded_above_s=service.degraded_above_s,
        detail=detail,
        hint=hint,
        started_at=observation.started_at,
        network=service.network,
        expected=observation.expected,
        found=observation.found,
        facts=observation.facts,
        never_reached=never_reached,
        flapping=flapping,
        runbook_url=service.runbook_url,
        owner=service.owner,
        dashboard_url=service.dashboard_url,
    )


def _not_configured(service: Service) -> ConnectivityResult:
    """Return the result of a service without a URL: listed, never probed, never available, with the variables to set."""
    missing = ", ".join(service.unset)
    return ConnectivityResult(
        name=service.name,
        type=service.type,
        status=S.NOT_CONFIGURED,
        fault=None,
        phase=None,
        retryable=False,
        infrastructure=False,
        response_time_s=None,
        phases=Phases(),
        endpoint="",
        critical=service.critical,
        detail=f"not set: {missing}" if missing else "no url",
        hint=" ".join(f"export {name}=…" for name in service.unset)
        or f"write url for {service.name} in the configuration",
        network=service.network,
        runbook_url=service.runbook_url,
        owner=service.owner,
        dashboard_url=service.dashboard_url,
    )


def _status(observation: Observation, found: Fault | None) -> ConnectivityStatus:
    """Return the status that a fault means; None is available.

    Unknown where the fault speaks of us alone. Degraded where the service answered: the fault is our own finding
    about its answer (the observation has none), it is one that only an answering service has, or a read succeeded
    before something else was refused (the fact `reads` is "ok"). Everything else is unavailable.
    """
    if found is None:
        return S.AVAILABLE
    if found.code in ABOUT_US:
        return S.UNKNOWN
    if observation.fault is None or found.code in ANSWERS:
        return S.DEGRADED
    if observation.facts.get("reads") == "ok" and found.code in ANSWERS_READS:
        return S.DEGRADED
    return S.UNAVAILABLE


def _finding(service: Service, observation: Observation) -> Fault | None:
    """Return what is not right about a service that answered: what its kind reads in the facts, else that it was slow."""
    endpoint = observation.endpoint
    told = service.kind.findings(observation.facts)
    if told is not None:
        return at(fault(told.code, Phase.QUERY, told.detail, hint=told.hint), endpoint, service.kind)
    if observation.response_time_s > service.degraded_above_s:
        phase, seconds = _slowest(observation.phases)
        detail = (
            f"[response time] ({observation.response_time_s:.3f} s) <= {service.degraded_above_s:g} s, "
            f"most of it in phase {phase.value.replace('_', ' ')} ({seconds:.3f} s)"
        )
        return fault(C.APP_SLOW, phase, detail, endpoint=endpoint, hint=_SLOW_IN[phase])
    return None


_NORMAL = "; set degraded_above_s if this is its normal speed"
_SLOW_IN: Mapping[Phase, str] = {
    Phase.DNS: "the look-up takes long: dig {host}; cat /etc/resolv.conf" + _NORMAL,
    Phase.TCP: "the way there takes long (VPN, distance, lost packets): mtr -rwc 10 {host}" + _NORMAL,
    Phase.TLS: "the handshake takes long: is the load balancer or the process short of CPU?" + _NORMAL,
    Phase.FIRST_BYTE: "it thinks long: see its load and what it waits for (its database first)" + _NORMAL,
    Phase.QUERY: "its answer takes long: see its load, locks and slow queries" + _NORMAL,
}


def _slowest(phases: Phases) -> tuple[Phase, float]:
    """Return the phase that took the longest, and its seconds; a phase that was not reached counts as 0."""
    took = {
        Phase.DNS: phases.dns_s,
        Phase.TCP: phases.tcp_s,
        Phase.TLS: phases.tls_s,
        Phase.FIRST_BYTE: phases.first_byte_s,
        Phase.QUERY: phases.query_s,
    }
    phase = max(took, key=lambda p: took[p] or 0.0)
    return phase, took[phase] or 0.0


def assess(
    services: Sequence[Service],
    observations: Mapping[str, Observation],
    *,
    environment: str,
    vantage: Vantage,
    started_at: datetime,
    duration_s: float,
    stand_ins: Sequence[StandInAvailability],
    controls: Sequence[Observation] = (),
    wishes: Wishes | None = None,
    reached_before: Collection[str] | None = None,
    flapping: Collection[str] = (),
    unset_critical_counts: bool = True,
) -> InfrastructureHealth:
    """Judge staging as a whole.

    `observations` by service name; `reached_before` are names or endpoints once reached from this host (None: no
    history). `unset_critical_counts`: any critical service without configuration makes the whole unknown at best; False
    (the shipped configuration) only where no critical service is configured at all.

    `should_use_fallback`: stand-ins are not forbidden, and either a person's variable asks for one or a service that
    is down has a usable one. `should_skip_tests`: skipping is on, and a critical service that is down has no stand-in
    that may be used. `is_staging_available` is true for degraded too: then no critical service is down.

    Controls that show this machine itself to be offline turn the statuses of what they explain into unknown, and only
    then is the whole judged, so that our own dead network never reads "staging down".
    """
    wishes = wishes or Wishes()
    results = tuple(
        judge(
            service,
            observations.get(service.name),
            never_reached=_never_reached(service, observations.get(service.name), reached_before),
            flapping=service.name in flapping,
        )
        for service in services
    )
    causes = find_causes(services, results, controls)
    results = _blame_us(results, {n for c in causes if c.cause is CauseName.THIS_MACHINE for n in c.services})
    overall = overall_status(results, unset_critical_counts=unset_critical_counts)
    down = [r for r in results if r.status is S.UNAVAILABLE]
    allowed = wishes.resilience_enabled and wishes.fallback_enabled
    usable = {s.service for s in stand_ins if s.usable} if allowed else frozenset[str]()
    return InfrastructureHealth(
        environment=environment,
        started_at=started_at,
        duration_s=duration_s,
        vantage=vantage,
        overall_status=overall,
        services=results,
        causes=causes,
        checked=sum(r.status is not S.NOT_CONFIGURED for r in results),
        not_configured=sum(r.status is S.NOT_CONFIGURED for r in results),
        should_use_fallback=allowed and (_asks_for_fallback(wishes) or any(r.name in usable for r in down)),
        should_skip_tests=wishes.skip_on_failure and any(r.critical and r.name not in usable for r in down),
        is_staging_available=overall in (S.AVAILABLE, S.DEGRADED),
        stand_ins=tuple(stand_ins),
    )


def _asks_for_fallback(wishes: Wishes) -> bool:
    """Whether a person's variable asks for something that only stand-ins give, whatever staging does."""
    return wishes.degraded_at_least or wishes.offline or wishes.private_network_down or bool(wishes.local_services)


def overall_status(results: Sequence[ConnectivityResult], *, unset_critical_counts: bool = True) -> ConnectivityStatus:
    """Return the status of staging as a whole, from those of its services.

    Unavailable when a critical service is; else unknown when a critical one is, or all are; else degraded when
    anything is unwell, a dead service that is not critical included, since tests are left that can run; else
    available.

    Nothing asked is unknown, and so is a critical service that is not configured (but see `assess`).
    """
    configured = [r for r in results if r.status is not S.NOT_CONFIGURED]
    critical = [r for r in configured if r.critical]
    if any(r.status is S.UNAVAILABLE for r in critical):
        return S.UNAVAILABLE
    if not configured or any(r.status is S.UNKNOWN for r in critical) or all(r.status is S.UNKNOWN for r in configured):
        return S.UNKNOWN
    unset = any(r.critical and r.status is S.NOT_CONFIGURED for r in results)
    if unset and (unset_critical_counts or not critical):
        return S.UNKNOWN
    return S.AVAILABLE if all(r.status is S.AVAILABLE for r in configured) else S.DEGRADED


def _never_reached(service: Service, observation: Observation | None, reached: Collection[str] | None) -> bool:
    """Say whether this service was never reached from this host and network, so that VPN or tunnel are the first guess.

    Not where the way is known to be open or was not tried: TCP connected, the host refused, the host is on the deny
    list, or the configuration is wrong. Without a history (None) nothing is claimed.
    """
    if reached is None or observation is None or observation.fault is None:
        return False
    if observation.phases.tcp_s is not None or observation.fault.code in (
        C.TCP_REFUSED,
        C.DENIED_HOST,
        C.CONFIG_INVALID,
    ):
        return False
    return service.name not in reached and observation.endpoint not in reached


def _blame_us(results: tuple[ConnectivityResult, ...], names: Collection[str]) -> tuple[ConnectivityResult, ...]:
    """What only our own network kept us from seeing is unknown, never unavailable; its fault stays."""
    return tuple(replace(r, status=S.UNKNOWN) if r.name in names else r for r in results)


def is_good(health: InfrastructureHealth) -> tuple[bool, str]:
    """Whether this look counts towards recovery, and why not: all configured available, none slow or flapping.

    Stricter than `is_staging_available`, since tests go back to staging on it: a slow service is not back yet. The
    second value is empty for a good look; services that are not configured are left out of account.
    """
    if not health.checked:
        return False, "nothing was checked"
    unwell = [r for r in health.services if r.status not in (S.AVAILABLE, S.NOT_CONFIGURED)]
    if unwell:
        return False, ", ".join(
            f"{r.name} {r.status.value}" + (f" ({r.fault.value})" if r.fault else "") for r in unwell
        )
    if health.overall_status is not S.AVAILABLE:
        return False, f"staging as a whole is {health.overall_status.value}: a critical service is not configured"
    return True, ""
