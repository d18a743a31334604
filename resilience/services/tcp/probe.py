"""Turn a host and port into whether something listens there, and greets as it is expected to."""

from __future__ import annotations

from resilience.core.faults import fault
from resilience.core.plain import start
from resilience.core.records import FaultCode, Phase
from resilience.core.settings import Service
from resilience.services.wire import ProbeContext, Refused, Trace, Wire, dial, open_wire, parse, sniff


async def probe_tcp(service: Service, url: str, trace: Trace, context: ProbeContext) -> None:
    """Connect; send `greeting_send` and compare the first bytes that come with `greeting_expect`, where they are set.

    Without `greeting_expect`, that the connection is accepted is all that is known: a proxy whose backend is gone may
    accept as well.
    """
    address = parse(service.kind, url)
    send, expect = (str(service.options.get(key, "")).encode() for key in ("greeting_send", "greeting_expect"))
    trace.expected = f"a greeting {shown(expect)}" if expect else "a TCP connection"
    if not send and not expect:
        (await dial(address, trace, context)).close()
        trace.found = "connected"
        return
    wire = await open_wire(service, address, trace, context)
    try:
        if send:
            wire.write(send)
        trace.found = f"a greeting {shown(await _greeting(wire, expect, address.endpoint))}" if expect else "connected"
    finally:
        wire.abort()


async def _greeting(wire: Wire, expect: bytes, endpoint: str) -> bytes:
    """Return the expected first bytes; raises Refused as soon as others come, or the connection ends before them.

    No more than the expected bytes is waited for: a server that greets and then waits would otherwise look silent.
    """
    while len(wire.buffer) < len(expect):
        if not expect.startswith(wire.buffer):
            break
        if not await wire.more():
            detail = f"closed after {len(wire.buffer)} bytes, before it had greeted"
            raise Refused(fault(FaultCode.PROTO_CLOSED, wire.trace.phase, detail, endpoint=endpoint))
    first = bytes(wire.buffer[: max(len(expect), 16)])
    if not first.startswith(expect):
        detail = f"{sniff(first)} answers where {shown(expect)} was expected"
        raise Refused(fault(FaultCode.PROTO_WRONG, Phase.QUERY, detail, endpoint=endpoint))
    return first[: len(expect)]


def shown(data: bytes) -> str:
    """Return bytes as a short text in quotes."""
    return repr(start(data.decode("utf-8", "backslashreplace"), 60))
