"""Turn a ClickHouse server into what its HTTP interface said: `SELECT 1`, replicas, errors at the end of a 200."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from resilience.core.faults import fault, http_fault
from resilience.core.plain import start
from resilience.core.records import Fault, FaultCode, Phase
from resilience.core.settings import Service
from resilience.services.clickhouse.kind import clickhouse_fault
from resilience.services.http.probe import Response, is_login_page, looks_html, read_response, request
from resilience.services.wire import Address, ProbeContext, Refused, Trace, Wire, open_wire, parse, quoted_headers

_CODE = re.compile(rb"Code: (\d{1,5})[.,:]?[^\n]{0,200}?(?:DB::Exception|e\.displayText)([^\n]{0,200})")
REPLICAS = "SELECT sum(is_readonly), max(absolute_delay), count() FROM system.replicas FORMAT TSV"


async def probe_clickhouse(service: Service, url: str, trace: Trace, context: ProbeContext) -> None:
    """Ask `SELECT 1` and the replicas; with write_check also make a temporary table.

    `/ping` is not asked: it answers "Ok." without a login, and beside replicas that take no writes. Raises Refused
    with the fault; the facts hold reads, writes, replicas, readonly_replicas and replica_delay_s (seconds).
    """
    address = parse(service.kind, url)
    trace.expected = "SELECT 1 gives 1"
    client = _Client(service, address, trace, context)
    try:
        answer = await client.ask("SELECT 1 FORMAT TSV")
        if answer.strip() != b"1":
            what = "an HTML page" if answer.lstrip()[:1] == b"<" else repr(start(answer.decode("utf-8", "replace"), 40))
            raise Refused(_fault(FaultCode.PROTO_WRONG, f"{what} instead of 1", address))
        trace.found = "1"
        trace.facts["reads"] = "ok"
        await _replicas(client, trace)
        if service.write_check:
            await client.ask("CREATE TEMPORARY TABLE resilience_probe (x UInt8)", write=True)
            trace.facts["writes"] = "ok"
    finally:
        client.close()


async def _replicas(client: _Client, trace: Trace) -> None:
    """Note how many replicas there are, are read-only, and lag by how many seconds.

    A user without the right to ask is no fault.
    """
    try:
        answer = await client.ask(REPLICAS)
    except Refused as exc:
        # reads work; a user without rights on system tables, or an engine without them, is no fault of staging's
        trace.facts["replicas"] = f"not known ({start(exc.fault.detail, 80)})"
        return
    fields = [*answer.decode("latin-1").strip().split("\t"), "", "", ""][:3]
    readonly, delay, count = (int(x) if x.isdigit() else 0 for x in fields)
    trace.facts["replicas"] = str(count)
    if readonly:
        trace.facts["readonly_replicas"] = str(readonly)
    if delay:
        trace.facts["replica_delay_s"] = str(delay)


class _Client:
    """One connection, kept for the probe's few questions and opened again where the server closed it."""

    def __init__(self, service: Service, address: Address, trace: Trace, context: ProbeContext) -> None:
        self.service, self.address, self.trace, self.context = service, address, trace, context
        self.wire: Wire | None = None

    async def ask(self, sql: str, *, write: bool = False) -> bytes:
        """Return the answer's body; raises Refused where it is an error, at its end too.

        A read gets the probe's remaining time as the server's own limit (max_execution_time), so that nothing goes on
        there after we left. A write is a POST in a session of its own, in which the temporary table lives and dies.
        """
        # The HTTP interface answers 404 to any path but /: the URL's path is a database, as in every other URL of one.
        target = "/?"
        parameters = {name: value for name, value in self.address.query.items() if name != "query"}
        if database := unquote(self.address.path.strip("/")):
            parameters.setdefault("database", database)
        if write:
            parameters["session_id"] = f"resilience-probe-{id(self):x}"
        else:
            parameters["max_execution_time"] = str(max(1, round(self.trace.left_s)))
            parameters["query"] = sql
        headers = list(quoted_headers(self.service.headers))
        if self.address.user:
            headers += [("X-ClickHouse-User", self.address.user), ("X-ClickHouse-Key", self.address.password)]
        target += "&".join(f"{quote(name)}={quote(value)}" for name, value in parameters.items())
        body = sql.encode() if write else b""
        if self.wire is None:
            self.wire = await open_wire(self.service, self.address, self.trace, self.context)
        wire = self.wire
        wire.write(
            request(
                "POST" if write else "GET", self.address, headers=headers, target=target, body=body, keep_alive=True
            )
        )
        response = await read_response(wire, self.address)
        if response.headers.get("connection", "").lower() == "close" or response.version != "HTTP/1.1" or response.cut:
            self.close()
        return self._checked(response)

    def _checked(self, response: Response) -> bytes:
        """Return the body, or raise Refused with ClickHouse's own error code, which says more than its HTTP status.

        The status misleads (404 for a missing database, 500 for a read-only table), and an error in the middle of an answer
        comes at the end of a 200: so the tail is searched first, then the header, and the status counts last.
        """
        endpoint = self.address.endpoint
        self.trace.facts["status"] = str(response.status)
        part = response.body[-4096:] if response.status == 200 else response.body[:4096]
        match = next(reversed(list(_CODE.finditer(part))), None)
        header = response.headers.get("x-clickhouse-exception-code", "")
        if match is not None or header.isdigit():
            code = int(match.group(1)) if match is not None else int(header)
            text = (
                response.body[-4096:].decode("utf-8", "replace")
                if match is None
                else match.group(0).decode("utf-8", "replace")
            )
            text = text.partition("DB::Exception:")[2].strip() or text
            where = " at the end of a 200" if response.status == 200 else ""
            raise Refused(clickhouse_fault(code, f"{start(text, 160)}{where}", endpoint=endpoint))
        if b"is for clickhouse-client program" in response.body[:200]:
            detail = "this is the port of clickhouse-client; the HTTP interface listens on another (8123 by default)"
            raise Refused(_fault(FaultCode.PROTO_WRONG, detail, self.address))
        if response.status != 200:
            raise Refused(
                http_fault(response.status, endpoint=endpoint)
                or _fault(FaultCode.APP_HTTP_STATUS, f"HTTP {response.status}", self.address)
            )
        if looks_html(response) or is_login_page(response):
            raise Refused(
                _fault(FaultCode.PROTO_WRONG, "an HTML page where ClickHouse's answer was expected", self.address)
            )
        return response.body

    def close(self) -> None:
        if self.wire is not None:
            self.wire.abort()
            self.wire = None


def _fault(code: FaultCode, detail: str, address: Address) -> Fault:
    return fault(code, Phase.QUERY, detail, endpoint=address.endpoint)
