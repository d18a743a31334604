"""Turn an S3 service into what a signed listing of its bucket says; nothing is written."""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import UTC, datetime
from urllib.parse import quote, unquote

from resilience.core.faults import fault, http_fault
from resilience.core.plain import start
from resilience.core.records import FaultCode, Phase
from resilience.core.settings import Service
from resilience.services.http.probe import Response, looks_html, read_response, request
from resilience.services.s3.kind import s3_fault
from resilience.services.wire import Address, ProbeContext, Refused, Trace, open_wire, parse

LISTING = "list-type=2&max-keys=1"
_CODE = re.compile(rb"<Code>([A-Za-z0-9.]{1,60})</Code>")
_MESSAGE = re.compile(rb"<Message>([^<]{0,200})</Message>")


async def probe_s3(service: Service, url: str, trace: Trace, context: ProbeContext) -> None:
    """List at most one object of the bucket, signed (version 4); without a bucket, list the buckets.

    Without a key in the URL it is asked unsigned, as for a public bucket. No client library is used. A redirect is a wrong
    region, which the configuration names.
    """
    address = parse(service.kind, url)
    bucket = bucket_of(address)
    trace.expected = f"a listing of the bucket {bucket}" if bucket else "a listing of the buckets"
    wire = await open_wire(service, address, trace, context)
    try:
        region = str(service.options.get("region", "us-east-1"))
        wire.write(signed(address, "GET", f"/{bucket}", LISTING if bucket else "", region))
        response = await read_response(wire, address)
    finally:
        wire.abort()
    check(response, address.endpoint)
    trace.found = f"a listing of {bucket or 'the buckets'}"
    trace.facts["reads"] = "ok"
    if server := response.headers.get("server"):
        trace.facts["server"] = start(server, 60)


def bucket_of(address: Address) -> str:
    """Return the bucket that the URL's path begins with; empty where it names none."""
    return unquote(address.path.strip("/")).partition("/")[0]


def check(response: Response, endpoint: str) -> None:
    """Raise Refused where the answer is no listing: by the error code of its body, which says more than its status."""
    status = response.status
    if match := _CODE.search(response.body[:4096]):
        code, said = match[1].decode("ascii"), _MESSAGE.search(response.body[:4096])
        if status != 200:
            raise Refused(
                s3_fault(code, start(said[1].decode("utf-8", "replace"), 160) if said else "", endpoint=endpoint)
            )
    if status in (301, 307):
        region = response.headers.get("x-amz-bucket-region", "another")
        detail = f"HTTP {status}: the bucket is in the region {start(region, 40)}"
        raise Refused(
            fault(FaultCode.CONFIG_INVALID, Phase.QUERY, detail, endpoint=endpoint, hint=f'region = "{region}"')
        )
    if status != 200:
        plain = fault(FaultCode.APP_HTTP_STATUS, Phase.QUERY, f"HTTP {status}", endpoint=endpoint)
        raise Refused(http_fault(status, endpoint=endpoint) or plain)
    if looks_html(response) or b"Result" not in response.body[:400]:
        detail = "a page that is no listing answers where S3 was expected"
        raise Refused(fault(FaultCode.PROTO_WRONG, Phase.QUERY, detail, endpoint=endpoint))


def signed(address: Address, method: str, path: str, query: str, region: str) -> bytes:
    """Return a request without a body, signed with the key of the URL (AWS Signature Version 4); unsigned without one."""
    host = address.endpoint if address.port != (443 if address.tls else 80) else address.host
    empty = hashlib.sha256(b"").hexdigest()
    at = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = [("x-amz-content-sha256", empty), ("x-amz-date", at)]
    path = quote(path)
    if address.user:
        names = "host;x-amz-content-sha256;x-amz-date"
        lines = [
            method,
            path,
            _canonical(query),
            f"host:{host}",
            f"x-amz-content-sha256:{empty}",
            f"x-amz-date:{at}",
            "",
            names,
            empty,
        ]
        scope = f"{at[:8]}/{region}/s3/aws4_request"
        text = "\n".join(("AWS4-HMAC-SHA256", at, scope, hashlib.sha256("\n".join(lines).encode()).hexdigest()))
        key = f"AWS4{address.password}".encode()
        for part in (at[:8], region, "s3", "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        proof = hmac.digest(key, text.encode(), "sha256").hex()
        credential = f"Credential={address.user}/{scope}, SignedHeaders={names}, Signature={proof}"
        headers.append(("Authorization", f"AWS4-HMAC-SHA256 {credential}"))
    if method == "PUT":
        headers.append(("Content-Length", "0"))
    target = f"{path}?{query}" if query else path
    return request(method, address, headers=headers, target=target)


def _canonical(query: str) -> str:
    return "&".join(sorted(query.split("&"))) if query else ""
