"""A kind of service made in the tests: it has a probe and no stand-in of ours."""

from __future__ import annotations

import asyncio

from resilience.core.faults import fault
from resilience.core.kind import Kind, Scheme
from resilience.core.records import FaultCode, Phase
from resilience.core.settings import Service
from resilience.services.wire import ProbeContext, Refused, Trace, dial, parse

QUEUE = Kind(
    name="queue",
    title="Queue",
    schemes={"queue": Scheme(port=7000), "queues": Scheme(port=7001, tls=True)},
    probe="tests.kits.queue_kind:probe",
)


async def probe(service: Service, url: str, trace: Trace, context: ProbeContext) -> None:
    """Read the greeting, which is `queue`."""
    address = parse(service.kind, url)
    sock = await dial(address, trace, context)
    try:
        trace.enter(Phase.FIRST_BYTE)
        greeting = await asyncio.get_running_loop().sock_recv(sock, 16)
    finally:
        sock.close()
    if greeting != b"queue":
        raise Refused(fault(FaultCode.PROTO_WRONG, Phase.FIRST_BYTE, f"{greeting!r} where b'queue' was expected"))
    trace.found = "queue"
