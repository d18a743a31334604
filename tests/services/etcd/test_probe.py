"""An etcd is looked at by its status and a read, each answered here as its gateway does. A real one: test_stand_in.py."""

from __future__ import annotations

import asyncio
import json

from resilience.core.assess import judge
from resilience.core.records import ConnectivityStatus, FaultCode
from tests.kits.kind_kit import check_dead_and_mute, code_of, look, of_kind, seen_against
from tests.kits.servers import fakes

URL = "http://127.0.0.1:{port}"
STATUS = {"version": "3.5.9", "leader": "8041738607223756487"}


def gateway(answers: dict[str, tuple[int, dict[str, object]]]) -> fakes.Handler:
    """Answer each path on one connection; refusals in chunks with a trailer, as the gateway does."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(line for line in head.splitlines() if line.lower().startswith("content-length"))
            await reader.readexactly(int(length.partition(":")[2]))
            status, document = answers[head.split()[1]]
            body = json.dumps(document).encode()
            if status == 200:
                writer.write(fakes.http(200, body))
            else:
                chunk = b"%x\r\n%s\r\n0\r\nGrpc-Trailer-Content-Type: application/grpc\r\n\r\n" % (len(body), body)
                writer.write(b"HTTP/1.1 %d X\r\nTransfer-Encoding: chunked\r\n\r\n%s" % (status, chunk))
            await writer.drain()

    return handler


async def test_dead_mute_closing_and_strange_ones_are_told_apart() -> None:
    await check_dead_and_mute("etcd", URL)


async def test_a_status_and_a_read_are_what_it_is_known_by() -> None:
    answers = {"/v3/maintenance/status": (200, STATUS), "/v3/kv/range": (200, {"header": {}})}
    seen = await seen_against("etcd", URL, gateway(answers))  # type: ignore[arg-type]
    assert (seen.fault, seen.found) == (None, "a status; leader known")
    assert (seen.facts["server_version"], seen.facts["reads"]) == ("3.5.9", "ok")


async def test_a_member_without_a_leader_is_degraded_and_asked_no_further() -> None:
    handler = gateway({"/v3/maintenance/status": (200, {"version": "3.5.9", "leader": "0"})})
    async with fakes.serve(handler) as port:
        one = of_kind("etcd", URL.replace("{port}", str(port)))
        result = judge(one, await look(one))
    assert (result.status, result.fault) == (ConnectivityStatus.DEGRADED, FaultCode.APP_CLUSTER_DOWN)


async def test_a_refused_read_is_said_by_its_code() -> None:
    refusal = {"error": "etcdserver: permission denied", "code": 7}
    handler = gateway({"/v3/maintenance/status": (200, STATUS), "/v3/kv/range": (403, refusal)})  # type: ignore[dict-item]
    seen = await seen_against("etcd", URL, handler)
    assert code_of(seen) is FaultCode.APP_AUTH
    assert seen.fault is not None
    assert "permission denied" in seen.fault.detail


async def test_an_http_server_that_is_none_is_named() -> None:
    handler = gateway({"/v3/maintenance/status": (200, {"hello": "world"})})
    assert code_of(await seen_against("etcd", URL, handler)) is FaultCode.PROTO_WRONG
