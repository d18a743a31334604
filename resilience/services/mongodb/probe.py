"""Turn a MongoDB into what its `hello` says: the role, the replica set, and who the primary is."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

from resilience.core.plain import start
from resilience.core.settings import Service
from resilience.services.mongodb.bson import decoded, encoded
from resilience.services.mongodb.kind import mongo_fault
from resilience.services.reading import Reading
from resilience.services.wire import ProbeContext, Refused, Trace, open_wire, parse, sniff

OP_MSG = 2013
NO_SUCH_COMMAND = 59
_VERSIONS = {9: "4.4", 13: "5.0", 17: "6.0", 21: "7.0", 25: "8.0"}
"""maxWireVersion → the release that brought it."""


async def probe_mongodb(service: Service, url: str, trace: Trace, context: ProbeContext) -> None:
    """Ask `hello`, which needs no login, and so tells nothing of user and password: the fact `login` says so.

    TLS is spoken where the URL's query asks for it (tls=true, or ssl=true). No client library is used.
    """
    address = parse(service.kind, url)
    if "true" in (address.query.get("tls"), address.query.get("ssl")):
        address = replace(address, tls=True)
    trace.expected = "hello, of a primary"
    wire = await open_wire(service, address, trace, context)
    reading = Reading(wire, "MongoDB", address.endpoint)
    try:
        told = await _asked(reading, {"hello": 1, "$db": "admin"}, 1)
        if told.get("code") == NO_SUCH_COMMAND:  # before 4.4.2
            told = await _asked(reading, {"isMaster": 1, "$db": "admin"}, 2)
    finally:
        wire.abort()
    if told.get("ok") != 1:
        code = told.get("code")
        text = start(str(told.get("errmsg", "")), 160)
        raise Refused(mongo_fault(code if isinstance(code, int) else 0, text, endpoint=address.endpoint))
    trace.facts |= {"role": _role(told), "login": "not tried: hello needs none", "reads": "ok"}
    for fact, name in (("set", "setName"), ("primary", "primary")):
        if told.get(name):
            trace.facts[fact] = start(str(told[name]), 80)
    wire_version = told.get("maxWireVersion")
    if isinstance(wire_version, int) and (known := [v for v in _VERSIONS if v <= wire_version]):
        trace.facts["server_version"] = f"{_VERSIONS[max(known)]} or newer"
    trace.found = f"hello of a {trace.facts['role']}"


def _role(told: dict[str, Any]) -> str:
    """Return which part a member plays, by its hello (Server Discovery and Monitoring, "Type of a server")."""
    if told.get("msg") == "isdbgrid":
        return "mongos"
    if told.get("isreplicaset"):
        return "not in service"
    if told.get("isWritablePrimary") or told.get("ismaster"):
        return "primary" if told.get("setName") else "standalone"
    if told.get("secondary"):
        return "secondary"
    return "arbiter" if told.get("arbiterOnly") else "not in service"


async def _asked(reading: Reading, command: dict[str, Any], number: int) -> dict[str, Any]:
    """Send a command as OP_MSG, and return the document of its answer. Raises Refused for what is none."""
    body = struct.pack("<I", 0) + b"\0" + encoded(command)
    reading.wire.write(struct.pack("<4i", 16 + len(body), number, 0, OP_MSG) + body)
    head = await reading.take(16)
    size, _, answers, opcode = struct.unpack("<4i", head)
    if (answers, opcode) != (number, OP_MSG) or size < 26:
        raise reading.wrong(sniff(head))
    answer = await reading.take(size - 16)
    flags = struct.unpack("<I", answer[:4])[0]
    try:
        if answer[4]:
            raise ValueError("a section that is no document")
        return decoded(answer[5:-4] if flags & 1 else answer[5:])
    except ValueError as exc:
        raise reading.wrong(f"a message with {exc}") from None
