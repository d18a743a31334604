"""Turn services into observations: all at once, each under its own total deadline, nothing judged."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from resilience.core.causes import LOOPBACK_CHECK
from resilience.core.faults import at, classify, fault
from resilience.core.kind import Kind
from resilience.core.plain import clean
from resilience.core.records import Fault, FaultCode, Observation, Phase, Phases
from resilience.core.redact import Redactor
from resilience.core.secret import Secret
from resilience.core.settings import Service
from resilience.services.http.kind import KIND as HTTP
from resilience.services.registry import resolve
from resilience.services.watchdog import Watchdog
from resilience.services.wire import Address, ProbeContext, Refused, Trace, dial, parse, why_tls_broke

__all__ = ["ProbeContext", "control", "load", "loop_is_alive", "probe", "probe_all"]

Target = Literal["staging", "stand_in"]
Probe = Callable[[Service, str, Trace, ProbeContext], Awaitable[None]]

_CUT = frozenset({FaultCode.TLS_RESET, FaultCode.PROTO_CLOSED, FaultCode.PROTO_RESET})
_ANSWERED = frozenset({Phase.FIRST_BYTE, Phase.QUERY})
"""The phases in which a kind's own protocol is spoken: what is found in them is as good as what is known of it."""
_GRACE_S = 0.05
"""What a driver gets to notice its cancellation; then the probe ends without it."""
_STANDSTILL_S = 5.0
"""How much longer than the longest deadline the event loop may stand still before it is interrupted."""
_AT_ONCE = 16
"""Probes started per turn of the event loop: a thousand starts in one turn would count as their slowness."""
_FILES_EACH = 4
"""Open files that one probe may need at the same time: its connection, a second look, and what a driver adds."""
_FILES_SPARED = 256
"""Open files left to the rest of the process, or half of the limit where that is less."""


def load(kinds: Iterable[Kind]) -> None:
    """Import what probes of these kinds need. Done before the clock starts: imports would count as slow answers.

    A driver takes up to 0.25 s to import, which would be the slowest answer of the run.
    """
    for dotted in {kind.preload for kind in kinds} - {""}:
        named = resolve(dotted)
        if callable(named):
            named()


def _door(kind: Kind) -> Probe:
    probe: Probe = resolve(kind.probe)
    return probe


async def probe(service: Service, *, context: ProbeContext, target: Target = "staging") -> Observation:
    """Look at one service once. Never raises for the service; ends at its deadline whatever the far side does.

    `target` "stand_in" looks at the service's `local` URL and leaves the Cloud SQL proxy of staging out of account.
    Whatever goes wrong, also in our own code, is a fault of the observation; `response_time_s` is there in any case.
    """
    load([service.kind])
    seen = await _look(service, context, target)
    return await asyncio.to_thread(_shown, seen, context)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What a look at a service saw, before any of it is shown."""

    service: Service
    url: str
    started_at: datetime
    seconds: float
    fault: Fault | None
    phases: Phases
    expected: str
    found: str
    facts: dict[str, str]


async def _look_in(room: asyncio.Semaphore, service: Service, context: ProbeContext, target: Target) -> _Seen:
    async with room:
        return await _look(service, context, target)


async def _look(service: Service, context: ProbeContext, target: Target) -> _Seen:
    """Look at a service; whatever goes wrong becomes a fault of it.

    Where TLS was cut in the handshake a second, bare look asks why, as the client sees a reset only.
    """
    if target == "stand_in":
        service = replace(service, readiness_url="")  # the proxy belongs to staging
    secret = service.url if target == "staging" else service.local
    url = secret.reveal() if isinstance(secret, Secret) else str(secret)
    look = _door(service.kind)  # before the clock starts: it may import the probe
    started_at = datetime.now(UTC)
    trace = Trace(service.timeout_s, target)
    found = await _ask(look(service, url, trace, context), service, trace, context)
    seconds = _end(trace, found)
    if found is not None and _cut_in_handshake(found, trace):
        code = await why_tls_broke(service.kind, parse(service.kind, url), min(2.0, trace.left_s))
        found = fault(code, found.phase, found.detail) if code is not None else found
    return _Seen(
        service=service,
        url=url,
        started_at=started_at,
        seconds=seconds,
        fault=found,
        # Copied, as a driver that is left behind still writes into the trace.
        phases=trace.phases,
        expected=trace.expected,
        found=trace.found,
        facts=dict(trace.facts),
    )


def _shown(seen: _Seen, context: ProbeContext) -> Observation:
    """Put what was seen into words that may be shown.

    Texts of the server are redacted by value before they are cut short: servers quote what they were sent. What a probe
    found that no real server has answered yet carries that, once it depends on the protocol.
    """
    service, found = seen.service, seen.fault
    endpoint = _endpoint(service, seen.url)
    said = seen.found
    if untried := service.kind.untried:
        said = f"{said} ({untried})" if said else ""
        if found is not None and found.phase in _ANSWERED:
            found = replace(found, detail=f"{found.detail} ({untried})".lstrip())
    show: Callable[[str, int], str] = clean
    if found is not None or seen.found or seen.facts:
        show = _redactor(service, seen.url, context).short
    if found is not None:
        found = at(replace(found, detail=show(found.detail, 300)), endpoint, service.kind)
    return Observation(
        name=service.name,
        started_at=seen.started_at,
        response_time_s=round(seen.seconds, 6),
        phases=seen.phases,
        fault=found,
        endpoint=endpoint,
        expected=show(seen.expected, 200) if seen.expected else "",
        found=show(said, 200) if said else "",
        facts={name: show(value, 300) for name, value in seen.facts.items()},
    )


async def _ask(look: Awaitable[None], service: Service, trace: Trace, context: ProbeContext) -> Fault | None:
    """Await the kind's probe within the service's deadline; return what it met as a fault, None where all went well.

    A probe that runs a driver's code gets a task that can be left behind, since drivers swallow cancellation; the others
    run under a time-out. A TimeoutError with a number is the system's, one without is our own deadline.
    """
    try:
        if service.kind.may_hang:
            await _bounded(look, trace, context)
        else:
            async with asyncio.timeout(service.timeout_s):
                await look
    except Refused as exc:
        return exc.fault
    except TimeoutError as exc:
        return classify(exc, trace.phase, kinds=(service.kind,)) if exc.errno else _timed_out(trace, service)
    except Exception as exc:  # noqa: BLE001 - whatever a driver raises becomes a fault of this service
        return classify(exc, trace.phase, kinds=(service.kind,), elapsed_s=getattr(exc, "elapsed_s", None))
    return None


def _cut_in_handshake(found: Fault, trace: Trace) -> bool:
    """Whether a connection with TLS was cut before TLS had been agreed and a byte had come."""
    return trace.tls and found.code in _CUT and not (trace.started_bytes and trace.seconds.get(Phase.TLS))


def _redactor(service: Service, url: str, context: ProbeContext) -> Redactor:
    """Hide secrets by value, the service's own and all others known: servers quote what they were sent."""
    secrets: list[str] = []
    for value in service.headers.values():
        shown = value.reveal() if isinstance(value, Secret) else str(value)
        secrets += [shown, shown.rpartition(" ")[2]]  # "Bearer …": the token alone as well
    with suppress(Refused):
        address = parse(service.kind, url)
        secrets += [address.password, address.query.get("password", "")]
    return context.redactor(secrets)


def _end(trace: Trace, found: Fault | None) -> float:
    seconds = trace.deadline and (trace._clock() - trace.started)
    if found is None:
        trace.finish()
    return seconds


def _endpoint(service: Service, url: str) -> str:
    try:
        return parse(service.kind, url).endpoint
    except Refused:
        return ""


async def _bounded(look: Awaitable[None], trace: Trace, context: ProbeContext) -> None:
    """Await a probe that runs a driver's code, and leave it behind where it does not end.

    Raises TimeoutError at the deadline, plus 0.05 s for the driver to notice. What is left behind is kept in
    `context.stragglers`, so that it is not lost with a warning, and is ended with the context.
    """
    task = asyncio.ensure_future(look)
    try:
        done, _ = await asyncio.wait({task}, timeout=trace.left_s)
        if not done:
            task.cancel()
            done, _ = await asyncio.wait({task}, timeout=_GRACE_S)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if not done:
        context.stragglers.add(task)
        task.add_done_callback(_forget(context))
        raise TimeoutError
    if task.cancelled():
        raise TimeoutError
    await task


def _forget(context: ProbeContext) -> Callable[[asyncio.Future[None]], None]:
    """Return what takes a straggler off the list when it ends, and reads its exception so that asyncio logs none."""

    def forget(task: asyncio.Future[None]) -> None:
        context.stragglers.discard(task)
        if not task.cancelled():
            task.exception()

    return forget


def _timed_out(trace: Trace, service: Service) -> Fault:
    """The fault of a deadline that passed: silent, or too slow where something had come.

    The phase decides: DNS, TCP and TLS have codes of their own, as each leads somewhere else. After the connection,
    bytes that came mean too slow, unless a read had succeeded: then it is the next question that was not answered.
    """
    phase = trace.phase
    if phase in (Phase.FIRST_BYTE, Phase.QUERY):
        code = FaultCode.PROTO_SLOW if trace.started_bytes and not trace.facts.get("reads") else FaultCode.PROTO_SILENT
        word = "an answer began and did not end" if code is FaultCode.PROTO_SLOW else "no answer"
        return fault(code, phase, f"{word} within {service.timeout_s:g} s")
    code = {Phase.DNS: FaultCode.DNS_TIMEOUT, Phase.TCP: FaultCode.TCP_TIMEOUT, Phase.TLS: FaultCode.TLS_TIMEOUT}.get(
        phase, FaultCode.INTERNAL
    )
    what = {Phase.DNS: "the resolver did not answer", Phase.TCP: "no connection", Phase.TLS: "no TLS handshake"}
    return fault(code, phase, f"{what.get(phase, 'nothing')} within {service.timeout_s:g} s")


async def probe_all(
    services: Sequence[Service], *, context: ProbeContext | None = None, target: Target = "staging"
) -> tuple[Observation, ...]:
    """Look at all services at once, in the time of the slowest; in their order, those without URL left out.

    Where the limit on open files does not allow all at once, as many as it does, the others as soon as one ends: a
    deadline begins with its own look. A watchdog interrupts a probe that keeps the event loop from running 5 s longer
    than the longest deadline; then all that ran into a deadline meanwhile is `internal`, as it proves nothing.
    """
    asked = [s for s in services if (s.url if target == "staging" else s.local)]
    load({service.kind for service in asked})
    room = asyncio.Semaphore(_allow_files(len(asked)))
    own = context or ProbeContext()
    longest = max((s.timeout_s for s in asked), default=0.0)
    try:
        with Watchdog(asyncio.get_running_loop(), grace_s=longest + _STANDSTILL_S) as watchdog:
            tasks = []
            try:
                for number, service in enumerate(asked):
                    tasks.append(asyncio.ensure_future(_look_in(room, service, own, target)))
                    if number % _AT_ONCE == _AT_ONCE - 1:
                        await asyncio.sleep(0)
                looked = await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
        # After the last look and beside the loop: hiding 5,000 passwords takes seconds, which were others' time-outs.
        seen = await asyncio.to_thread(lambda: tuple(_shown(one, own) for one in looked))
        return tuple(_stood_still(o, watchdog.where) for o in seen) if watchdog.where else seen
    finally:
        if context is None:
            own.__exit__()


def _stood_still(seen: Observation, where: str) -> Observation:
    """What ran into its deadline while the event loop stood still says nothing about the service."""
    if seen.fault is None or not seen.fault.weak:
        return seen
    detail = f"the event loop stood still in {where}"
    return replace(seen, fault=fault(FaultCode.INTERNAL, seen.fault.phase, detail))


def _allow_files(count: int) -> int:
    """Raise the soft limit on open files where this many probes at once would meet it; return how many it now allows.

    A probe that finds no file free would say of a service what is true of this machine.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit on sockets
        return count
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES_EACH * count + _FILES_SPARED
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return count
    raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        soft = raised
    return max(1, min(count, (soft - min(_FILES_SPARED, soft // 2)) // _FILES_EACH))


async def control(
    targets: Sequence[str], *, context: ProbeContext | None = None, timeout_s: float = 3.0
) -> tuple[Observation, ...]:
    """Connect to each control target (host:port, or an http(s) URL), to tell "staging" from "this machine".

    Where this process cannot even connect to itself, an observation named LOOPBACK_CHECK says so, targets or not.

    `timeout_s` is each target's own, and they are asked at once. A target without a port is asked at 443.
    """
    own = context or ProbeContext()
    try:
        alive = asyncio.ensure_future(loop_is_alive())
        seen = tuple(await asyncio.gather(*(_control(target, own, timeout_s) for target in targets)))
        return seen if await alive else (_not_alive(), *seen)
    finally:
        if context is None:
            own.__exit__()


def _not_alive() -> Observation:
    return Observation(
        name=LOOPBACK_CHECK,
        started_at=datetime.now(UTC),
        response_time_s=0.0,
        phases=Phases(),
        fault=fault(FaultCode.INTERNAL, Phase.TCP, "this process cannot connect to itself on 127.0.0.1"),
        endpoint="127.0.0.1",
    )


async def _control(target: str, context: ProbeContext, timeout_s: float) -> Observation:
    """Connect to a control target, host:port or an http(s) URL. Any answer proves the way, a 500 too; no protocol is spoken."""
    if target.startswith(("http://", "https://")):
        anything = tuple(range(200, 600))  # any answer proves the way
        service = Service(name="control", kind=HTTP, url=Secret(target), timeout_s=timeout_s, expect_status=anything)
        return await probe(service, context=context)
    started_at = datetime.now(UTC)
    trace = Trace(timeout_s)
    found: Fault | None = None
    host, _, port = target.rpartition(":")
    address = Address(
        scheme="tcp",
        host=(host or target).strip("[]"),
        port=int(port) if host and port.isdigit() else 443,
        tls=False,
        path="",
    )
    try:
        async with asyncio.timeout(timeout_s):
            (await dial(address, trace, context)).close()
    except Refused as exc:
        found = exc.fault
    except TimeoutError:
        found = fault(FaultCode.DNS_TIMEOUT if trace.phase is Phase.DNS else FaultCode.TCP_TIMEOUT, trace.phase)
    except Exception as exc:  # noqa: BLE001 - becomes a record
        found = classify(exc, trace.phase, elapsed_s=getattr(exc, "elapsed_s", None))
    return Observation(
        name="control",
        started_at=started_at,
        response_time_s=round(_end(trace, found), 6),
        phases=trace.phases,
        fault=at(found, address.endpoint) if found else None,
        endpoint=address.endpoint,
        expected="a TCP connection",
        found="connected" if found is None else "",
    )


async def loop_is_alive(timeout_s: float = 1.0) -> bool:
    """Whether this process can connect to itself: if not, what the probes found says nothing about staging.

    Not if the machine has no open file or port left, or the loop is starved for `timeout_s` seconds.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    # Plain sockets that are closed here: an asyncio server given up as it starts, or accepts, leaves its own with the loop.
    try:
        with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as client:
            client.setblocking(False)
            async with asyncio.timeout(timeout_s):
                await loop.sock_connect(client, listening.getsockname())
                await asyncio.sleep(0.001)
        return loop.time() - began <= timeout_s
    except OSError:
        return False
