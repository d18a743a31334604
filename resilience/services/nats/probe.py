"""Turn a NATS server into what its greeting, a login and a ping say."""

from __future__ import annotations

import json

from resilience.core.plain import start
from resilience.core.settings import Service
from resilience.services.nats.kind import nats_fault
from resilience.services.reading import Reading
from resilience.services.wire import Address, ProbeContext, Refused, Trace, open_wire, parse

LINES = 20


async def probe_nats(service: Service, url: str, trace: Trace, context: ProbeContext) -> None:
    """Read the greeting, go on in TLS where it asks for that, log in, and ping. Nothing is published or subscribed to."""
    address = parse(service.kind, url)
    trace.expected = "INFO, and PONG"
    wire = await open_wire(service, address, trace, context)
    reading = Reading(wire, "NATS", address.endpoint)
    try:
        await reading.starts(b"INFO ", b"-ERR ")
        info = _info(await _said(reading, b"INFO "), reading)
        if info.get("tls_required"):
            await reading.start_tls(context.tls(service.tls_ca), address.host)
        for fact, name in (("server_version", "version"), ("cluster", "cluster"), ("server", "server_name")):
            if info.get(name):
                trace.facts[fact] = start(str(info[name]), 60)
        trace.facts["jetstream"] = "yes" if info.get("jetstream") else "no"
        trace.facts["lame_duck"] = "yes" if info.get("ldm") else "no"
        told = json.dumps(_login(address) | {"verbose": False, "pedantic": False, "lang": "python", "version": "0"})
        wire.write(f"CONNECT {told}\r\nPING\r\n".encode())
        await _said(reading, b"PONG")
        trace.facts["reads"] = "ok"
        trace.found = "PONG"
    finally:
        wire.abort()


def _login(address: Address) -> dict[str, str]:
    """Return what the server is told of us: a user alone is a token."""
    if address.user and not address.password:
        return {"auth_token": address.user}
    return {"user": address.user, "pass": address.password} if address.user else {}


async def _said(reading: Reading, word: bytes) -> bytes:
    """Return what stands behind this word; other lines that a server may say are passed over. Raises Refused for -ERR."""
    for _ in range(LINES):
        line = await reading.line()
        if line.startswith(b"-ERR"):
            text = start(line[4:].decode("utf-8", "replace"), 160)
            raise Refused(nats_fault(text, endpoint=reading.endpoint))
        if line.startswith(word):
            return line[len(word) :]
        if not line.startswith((b"INFO ", b"+OK", b"PING")):
            break
    raise reading.wrong(f"bytes beginning with {line[:8]!r}")


def _info(text: bytes, reading: Reading) -> dict[str, object]:
    try:
        info = json.loads(text)
    except (ValueError, RecursionError):
        info = None
    if not isinstance(info, dict):
        raise reading.wrong("INFO without a document")
    return info
