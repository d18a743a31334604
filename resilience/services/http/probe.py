"""Turn an HTTP endpoint into what it answered: one fresh connection, no redirect followed, bounded memory."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from resilience.core.faults import fault, http_fault
from resilience.core.plain import start
from resilience.core.records import Fault, FaultCode, Phase
from resilience.core.settings import Service
from resilience.services.wire import (
    BODY_LIMIT,
    HEAD_LIMIT,
    Address,
    ProbeContext,
    Refused,
    Trace,
    Wire,
    open_wire,
    parse,
    quoted_headers,
    sniff,
)

_LINE_LIMIT = 8 * 1024


@dataclass(slots=True)
class Response:
    """An answer; `body` is decoded and at most 256 KiB, `cut` says that there was more."""

    status: int
    version: str
    headers: Mapping[str, str]
    body: bytes = b""
    cut: bool = False


async def probe_http(service: Service, url: str, trace: Trace, context: ProbeContext) -> None:
    """Ask for the URL and compare status, body or JSON fields with what is expected.

    A fresh connection each time: one that was kept alive and closed meanwhile would look like an outage. No proxy of
    the environment is used, as a dead HTTP_PROXY would look like a dead service. Raises Refused, and what broke the
    connection.
    """
    address = parse(service.kind, url)
    trace.expected = "status " + " or ".join(map(str, service.expect_status))
    asked = request("GET", address, headers=headers_of(service, address))
    wire = await open_wire(service, address, trace, context)
    try:
        wire.write(asked)
        response = await read_response(wire, address)
    finally:
        wire.abort()
    judge_response(service, response, trace, address)


def judge_response(service: Service, response: Response, trace: Trace, address: Address) -> None:
    """Compare an answer with what the service is expected to say; raises Refused where it differs.

    The status is asked first, then HTML in place of an answer, then the body. An expected 3xx is well; any other is
    app_http_status with the host that it leads to.
    """
    endpoint = address.endpoint
    trace.found = f"status {response.status}"
    trace.facts["status"] = str(response.status)
    if response.status not in service.expect_status:
        meant = http_fault(
            response.status, retry_after=response.headers.get("retry-after", ""), body=response.body, endpoint=endpoint
        )
        if meant is None or 300 <= response.status < 400:
            detail = f"HTTP {response.status}"
            if "location" in response.headers:
                detail += f", redirects to {_where(response.headers['location'])}"
            meant = fault(FaultCode.APP_HTTP_STATUS, Phase.QUERY, detail, endpoint=endpoint)
        raise Refused(meant)
    wants = bool(service.expect_json or service.expect_body)
    if looks_html(response) and (service.expect_json or is_login_page(response)):
        what = "an HTML page" + (" with a form" if is_login_page(response) else "")
        raise Refused(
            _wrong(f"HTTP {response.status} with {what} where the service's own answer was expected", endpoint)
        )
    if not wants:
        return
    if service.expect_body:
        trace.expected += f", body with {service.expect_body!r}"
        if service.expect_body not in response.body.decode("utf-8", "replace"):
            trace.found += ", body without it"
            detail = f"HTTP {response.status}, the body does not hold {service.expect_body!r}: {_begin(response.body)}"
            raise Refused(fault(FaultCode.APP_BAD_BODY, Phase.QUERY, detail, endpoint=endpoint))
    if service.expect_json:
        document = as_json(response, endpoint)
        for path, expected in service.expect_json.items():
            found = _field(document, path)
            trace.expected += f", {path} = {expected}"
            trace.found += f", {path} = {found}"
            if found != expected:
                detail = f"[{path}] ({found}) == {expected}"
                raise Refused(fault(FaultCode.APP_BAD_BODY, Phase.QUERY, detail, endpoint=endpoint))


def as_json(response: Response, endpoint: str) -> object:
    """Return the body as JSON; raises Refused (proto_wrong) where it is something else."""
    try:
        return json.loads(response.body)
    except (ValueError, RecursionError):
        what = "HTML" if looks_html(response) else "no JSON"
        cut = ", cut at 256 KiB" if response.cut else ""
        raise Refused(_wrong(f"HTTP {response.status} with {what}{cut} where JSON was expected", endpoint)) from None


def _field(document: object, path: str) -> str:
    """Return the value at a dotted path as JSON writes it (strings bare), or "absent".

    A number in the path is an index of a list. "absent" is a word and not None, as it is shown beside what was
    expected.
    """
    for key in path.split("."):
        if isinstance(document, dict) and key in document:
            document = document[key]
        elif isinstance(document, list) and key.isdigit() and int(key) < len(document):
            document = document[int(key)]
        else:
            return "absent"
    return document if isinstance(document, str) else start(json.dumps(document), 200)


def _begin(body: bytes) -> str:
    return start(body.decode("utf-8", "replace"), 120)


def _where(location: str) -> str:
    """Host of a redirect; the rest may hold tokens."""
    _, found, rest = location.partition("://")
    return rest.split("/")[0].rpartition("@")[2] if found else "another path"


def _wrong(detail: str, endpoint: str, phase: Phase = Phase.QUERY) -> Fault:
    return fault(FaultCode.PROTO_WRONG, phase, detail, endpoint=endpoint)


def looks_html(response: Response) -> bool:
    start = response.body[:512].lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html"))


def is_login_page(response: Response) -> bool:
    """Whether an HTML page asks for a login or leads elsewhere, as captive portals and single sign-on do."""
    if not looks_html(response):
        return False
    page = response.body.lower()
    return b"<form" in page or b'type="password"' in page or b'http-equiv="refresh"' in page


def headers_of(service: Service, address: Address) -> list[tuple[str, str]]:
    """The service's own headers, and basic authentication where the URL holds a user.

    A configured Authorization wins over the URL's user.
    """
    headers = list(quoted_headers(service.headers))
    if address.user and not any(name.lower() == "authorization" for name, _ in headers):
        token = base64.b64encode(f"{address.user}:{address.password}".encode()).decode()
        headers.append(("Authorization", f"Basic {token}"))
    return headers


def request(
    method: str,
    address: Address,
    *,
    headers: Iterable[tuple[str, str]] = (),
    target: str = "",
    body: bytes = b"",
    keep_alive: bool = False,
) -> bytes:
    """Write an HTTP/1.1 request.

    `target` stands in place of path and query. Signs outside of visible ASCII are percent-encoded, what is encoded
    already stays; a header given twice, in whatever case, is sent once, and the caller's wins over ours.
    """
    if not target:
        target = (address.path or "/") + (f"?{address.raw_query}" if address.raw_query else "")
    target = "".join(c if "!" <= c <= "~" else "".join(f"%{b:02X}" for b in c.encode()) for c in target)
    default = 443 if address.tls else 80
    host = address.endpoint if address.port != default else address.endpoint.rpartition(":")[0]
    lines = {
        "host": f"Host: {host}",
        "user-agent": "User-Agent: resilience-probe",
        "accept": "Accept: */*",
        "accept-encoding": "Accept-Encoding: gzip",
        "connection": f"Connection: {'keep-alive' if keep_alive else 'close'}",
    }
    if body:
        lines["content-length"] = f"Content-Length: {len(body)}"
    for name, value in headers:
        lines[name.lower()] = f"{name}: {value}"
    return f"{method} {target} HTTP/1.1\r\n".encode() + "\r\n".join(lines.values()).encode("utf-8") + b"\r\n\r\n" + body


async def read_response(wire: Wire, address: Address, *, limit: int = BODY_LIMIT, bodyless: bool = False) -> Response:
    """Read one answer. Raises Refused where it is not HTTP, is cut, or is too long; else what broke the connection.

    Interim answers (1xx but 101) are passed over. `limit` is in bytes of the unpacked body; `bodyless` is for HEAD.
    The body of 101, 204 and 304 is empty by definition (RFC 9110).
    """
    while True:
        response = await _read_head(wire, address.endpoint)
        if response.status >= 200 or response.status == 101:
            break
    if response.status in (101, 204, 304) or bodyless:
        return response
    await _read_body(wire, response, address.endpoint, limit)
    return response


async def _read_head(wire: Wire, endpoint: str) -> Response:
    """Read status line and headers, at most 64 KiB. Raises Refused for what is not HTTP, as early as its first bytes tell.

    The first seven bytes are held against `HTTP/1.` before a whole line is waited for: other protocols never send one.
    An end before any byte (closed without a response) is told from an end in the middle, as a proxy without backends
    does the first and a process that dies the second.
    """
    buffer = wire.buffer
    while True:
        if buffer and b"HTTP/1."[: len(buffer)] != bytes(buffer[:7]):
            what = sniff(bytes(buffer[:64]))
            raise Refused(_wrong(f"{what} answers where HTTP was expected", endpoint, Phase.FIRST_BYTE))
        end = buffer.find(b"\r\n\r\n")
        skip = 4
        if end < 0:
            end, skip = buffer.find(b"\n\n"), 2
        if end >= 0 and end <= HEAD_LIMIT:
            break
        if end > HEAD_LIMIT or len(buffer) > HEAD_LIMIT:
            raise Refused(_wrong("its headers are longer than 64 KiB", endpoint))
        if not await wire.more():
            if not buffer:
                raise Refused(
                    fault(FaultCode.PROTO_CLOSED, Phase.FIRST_BYTE, "closed without a response", endpoint=endpoint)
                )
            raise Refused(
                fault(FaultCode.PROTO_CLOSED, Phase.QUERY, "closed in the middle of the headers", endpoint=endpoint)
            )
    head = bytes(buffer[:end]).decode("latin-1")
    del buffer[: end + skip]
    first, *lines = head.splitlines()
    version, _, rest = first.partition(" ")
    status = rest[:3]
    if not status.isascii() or not status.isdigit() or len(status) < 3:
        raise Refused(_wrong(f"an illegal status line: {start(first, 80)!r}", endpoint))
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return Response(status=int(status), version=version, headers=headers)


async def _read_body(wire: Wire, response: Response, endpoint: str, limit: int) -> None:
    """Read the body by its own framing (chunked, length, or until the end), unpacked, and stop at `limit` bytes.

    What is unpacked is bounded as well as what is read: 1.5 MB of gzip can hold 3 GB. A body that ends before its length
    is a fault of its own; one that is longer than we read is marked as cut. Raises Refused.
    """
    headers = response.headers
    encoding = headers.get("content-encoding", "").lower()
    if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise Refused(_wrong(f"a content-encoding that was not asked for: {start(encoding, 40)!r}", endpoint))
    inflate = zlib.decompressobj(47) if encoding not in ("", "identity") else None
    body = bytearray()

    def take(data: bytes) -> bool:
        """Add to the body; False once it is full."""
        if inflate is None:
            body.extend(data[: limit - len(body)])
            full = len(body) >= limit
        else:
            try:
                body.extend(inflate.decompress(data, max(1, limit - len(body))))
            except zlib.error as exc:
                raise Refused(_wrong(f"a broken gzip body: {exc}", endpoint)) from None
            full = len(body) >= limit or bool(inflate.unconsumed_tail)
        response.cut = response.cut or full
        return not full

    if "chunked" in headers.get("transfer-encoding", "").lower():
        await _read_chunks(wire, take, endpoint)
    elif "content-length" in headers:
        length = headers["content-length"]
        if not (length.isascii() and length.isdigit() and len(length) < 20):
            raise Refused(_wrong(f"an illegal content-length: {start(length, 40)!r}", endpoint))
        left = int(length)
        while left:
            if not wire.buffer and not await wire.more():
                got = int(length) - left
                detail = f"the body was cut after {got} of {length} bytes"
                raise Refused(fault(FaultCode.PROTO_CLOSED, Phase.QUERY, detail, endpoint=endpoint))
            data = bytes(wire.buffer[:left])
            del wire.buffer[:left]
            left -= len(data)
            if not take(data) and left:
                break
    else:
        while True:
            data = bytes(wire.buffer)
            wire.buffer.clear()
            if data and not take(data):
                break
            if not await wire.more():
                break
    response.body = bytes(body)


async def _read_chunks(wire: Wire, take: Callable[[bytes], bool], endpoint: str) -> None:
    """Hand each chunk's data to `take` until it says False or the last chunk (RFC 9112, section 7.1). Raises Refused.

    Sizes are checked by hand: int() would take signs, blanks and underscores, and a size without an end would be read for ever.
    """
    buffer = wire.buffer

    async def need(size: int) -> None:
        while len(buffer) < size:
            if not await wire.more():
                raise Refused(
                    fault(FaultCode.PROTO_CLOSED, Phase.QUERY, "the body was cut in a chunk", endpoint=endpoint)
                )

    while True:
        while (end := buffer.find(b"\n")) < 0:
            if len(buffer) > _LINE_LIMIT:
                raise Refused(_wrong("a chunk without a size", endpoint))
            await need(len(buffer) + 1)
        line = bytes(buffer[:end]).split(b";")[0].strip()
        del buffer[: end + 1]
        try:
            size = int(line, 16) if line else -1
        except ValueError:
            size = -1
        if size < 0 or len(line) > 16 or line[:1] in (b"+", b"-"):
            raise Refused(_wrong("a chunk with an illegal size", endpoint))
        if size == 0:
            return
        while size:
            await need(1)
            data = bytes(buffer[:size])
            del buffer[:size]
            size -= len(data)
            if not take(data):
                return
        await need(2 if buffer[:1] != b"\n" else 1)
        del buffer[: buffer.find(b"\n") + 1]
