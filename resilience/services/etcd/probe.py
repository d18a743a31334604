"""Turn an etcd into what its status, a login and one read say, over its JSON gateway."""

from __future__ import annotations

import base64
import json

from resilience.core.plain import start
from resilience.core.settings import Service
from resilience.services.etcd.kind import etcd_fault
from resilience.services.http.probe import as_json, read_response, request
from resilience.services.reading import Reading
from resilience.services.wire import Address, ProbeContext, Refused, Trace, Wire, open_wire, parse

KEY = base64.b64encode(b"resilience/probe").decode()
"""The key that is read; it need not be there."""
NOT_ENABLED = 412
"""The status of a login where authentication is off."""


async def probe_etcd(service: Service, url: str, trace: Trace, context: ProbeContext) -> None:
    """Log in where the URL names a user, ask for the status, and read one key: a read needs the majority of the members.

    Nothing is written. A user who may not read that key is refused, which says that the read was not tried further.
    """
    address = parse(service.kind, url)
    trace.expected = "a status, and a read"
    wire = await open_wire(service, address, trace, context)
    gateway = Gateway(wire, address)
    try:
        trace.facts["login"] = "not tried (no user in the url)"
        if address.user:
            trace.facts["login"] = "by password" if await gateway.login() else "not asked for: authentication is off"
        status = await gateway.ask("maintenance/status", {})
        if "version" not in status:
            raise Reading(wire, "etcd", address.endpoint).wrong("an HTTP server that knows no status")
        trace.facts["server_version"] = start(str(status["version"]), 40)
        trace.facts["leader"] = "none" if str(status.get("leader", "0")) == "0" else "known"
        errors = status.get("errors")
        trace.facts["alarms"] = start(", ".join(map(str, errors)), 120) if isinstance(errors, list) else ""
        if trace.facts["leader"] == "known":
            await gateway.ask("kv/range", {"key": KEY})
            trace.facts["reads"] = "ok"
        trace.found = f"a status; leader {trace.facts['leader']}"
    finally:
        wire.abort()


class Gateway:
    """As much of etcd's JSON gateway (/v3, from 3.4 on) as a look and a stand-in need, on one connection."""

    def __init__(self, wire: Wire, address: Address) -> None:
        self.wire, self.address, self.token = wire, address, ""

    async def login(self) -> bool:
        """Log in, and return whether it asks for a login at all: with authentication off it lets anybody do anything."""
        told: dict[str, object] = {"name": self.address.user, "password": self.address.password}
        try:
            answer = await self.ask("auth/authenticate", told)
        except Refused as exc:
            if exc.fault.detail.startswith(f"HTTP {NOT_ENABLED}"):
                return False
            raise
        self.token = str(answer.get("token", ""))
        return True

    async def ask(self, path: str, body: dict[str, object]) -> dict[str, object]:
        """Return the answer to a question. Raises Refused by the code in its body, and for what is no etcd."""
        headers = [("Content-Type", "application/json")] + ([("Authorization", self.token)] if self.token else [])
        target, data = f"/v3/{path}", json.dumps(body).encode()
        self.wire.write(request("POST", self.address, headers=headers, target=target, body=data, keep_alive=True))
        response = await read_response(self.wire, self.address)
        if "chunked" in response.headers.get("transfer-encoding", ""):
            await self._pass_trailers()
        if response.status != 200:
            try:
                told = json.loads(response.body)
                code, text = int(told.get("code", 0)), str(told.get("error") or told.get("message") or "")
            except (ValueError, TypeError, AttributeError, RecursionError):
                code, text = 0, ""
            raise Refused(etcd_fault(response.status, code, start(text, 160), endpoint=self.address.endpoint))
        document = as_json(response, self.address.endpoint)
        return document if isinstance(document, dict) else {}

    async def _pass_trailers(self) -> None:
        """Pass over what follows the last chunk of a refusal, so that the next answer begins where it is looked for."""
        reading = Reading(self.wire, "etcd", self.address.endpoint)
        while await reading.line():
            pass
