"""A gRPC server is looked at by its health service, over frames as HTTP/2 writes them, and by grpcio's own server."""

from __future__ import annotations

import asyncio
import struct
from concurrent import futures
from pathlib import Path

import pytest

from resilience.core.records import FaultCode
from resilience.core.secret import Secret
from resilience.services.grpc.hpack import encoded
from resilience.services.grpc.probe import health_of
from tests.kits.kind_kit import by_client, check_dead_and_mute, code_of, look, of_kind, seen_against
from tests.kits.servers import fakes

URL = "grpc://127.0.0.1:{port}"
C = FaultCode
OK = [(":status", "200"), ("content-type", "application/grpc")]
SERVING = b"\0\0\0\0\x02\x08\x01"


def frame(kind: int, flags: int, stream: int, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + body


SETTINGS = frame(4, 0, 0, b"\0\x03\0\0\0\x64")


def headers(*pairs: tuple[str, str], end: bool = False) -> bytes:
    return frame(1, 4 | end, 1, encoded(pairs))


def refuses(status: int, message: str = "") -> bytes:
    return SETTINGS + headers(*OK, ("grpc-status", str(status)), ("grpc-message", message), end=True)


async def test_dead_mute_closing_and_strange_ones_are_told_apart() -> None:
    await check_dead_and_mute("grpc", URL)


async def test_a_serving_one_is_well_whatever_frames_come_between() -> None:
    """Padding, a priority, a ping, a block in two parts, and a message in two."""
    first, second = encoded(OK)[:9], encoded(OK)[9:]
    answer = (
        SETTINGS
        + frame(6, 0, 0, b"12345678")
        + frame(8, 0, 0, b"\0\0\xff\xff")
        + frame(1, 8 | 32, 1, b"\x02" + b"\0\0\0\0\x10" + first + b"\0\0")
        + frame(9, 4, 1, second)
        + frame(0, 8, 1, b"\x03" + SERVING[:3] + b"\0\0\0")
        + frame(0, 0, 1, SERVING[3:])
        + headers(("grpc-status", "0"), end=True)
    )
    seen = await seen_against("grpc", URL, fakes.says(answer, stay=True))
    assert (seen.fault, seen.found, seen.facts["health"]) == (None, "SERVING", "SERVING")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (refuses(16, "no%20token"), C.APP_AUTH),
        (refuses(5), C.APP_NO_DB),
        (refuses(14), C.APP_UPSTREAM),
        (
            SETTINGS + headers(*OK) + frame(0, 0, 1, b"\0\0\0\0\x02\x08\x02") + headers(("grpc-status", "0"), end=True),
            C.APP_STARTING,
        ),
        (
            SETTINGS + headers(*OK) + frame(0, 0, 1, b"\0\0\0\0\0") + headers(("grpc-status", "0"), end=True),
            C.APP_STARTING,
        ),
        (SETTINGS + headers((":status", "503"), end=True), C.APP_OVERLOAD),
        (SETTINGS + headers((":status", "200"), ("content-type", "text/html"), end=True), C.PROTO_WRONG),
        (SETTINGS + frame(7, 0, 0, struct.pack(">II", 0, 0)), C.APP_SHUTDOWN),
        (SETTINGS + frame(3, 0, 1, struct.pack(">I", 11)), C.APP_OVERLOAD),
        (SETTINGS + frame(1, 5, 1, b"\xff\xff\xff\xff\xff\xff"), C.PROTO_WRONG),
        (SETTINGS + frame(6, 0, 0, b"12345678") * 200, C.PROTO_WRONG),
        (SETTINGS + frame(0, 0, 1, b"x" * 16000) * 9, C.PROTO_WRONG),
        (frame(0, 0, 1, b"x"), C.PROTO_WRONG),
        (fakes.http(400), C.PROTO_WRONG),
    ],
)
async def test_what_it_answers_is_told_by_its_code(answer: bytes, code: FaultCode) -> None:
    assert code_of(await seen_against("grpc", URL, fakes.says(answer, stay=True))) is code


async def test_a_server_without_the_health_service_is_up_and_that_is_said() -> None:
    seen = await seen_against("grpc", URL, fakes.says(refuses(12), stay=True))
    assert (seen.fault, seen.found) == (None, "a gRPC server without the health service")
    assert seen.facts["health"] == "not implemented"


async def test_the_service_of_the_path_and_the_configured_headers_are_sent() -> None:
    told: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told.append(await reader.read(4096))
        writer.write(refuses(16))
        await reader.read(-1)

    token = {"Authorization": Secret("Bearer abc")}
    await seen_against("grpc", URL + "/shop.Orders", handler, headers=token)
    assert b"\x0a\x0bshop.Orders" in told[0]
    assert b"\x0dauthorization\x0aBearer abc" in told[0]


async def test_tls_asks_for_http_2_in_its_handshake(tmp_path: Path) -> None:
    certificates = fakes.Certificates()
    certificates.ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    tls = certificates.of("good")
    tls.set_alpn_protocols(["h2"])
    chosen: list[str | None] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        chosen.append(writer.get_extra_info("ssl_object").selected_alpn_protocol())
        await reader.read(4096)
        writer.write(refuses(12))
        await reader.read(-1)

    async with fakes.serve(handler, tls) as port:
        seen = await look(of_kind("grpc", f"grpcs://127.0.0.1:{port}", tls_ca=str(tmp_path / "ca.pem")))
    assert (chosen, seen.fault) == (["h2"], None)


def test_an_enum_of_zero_is_left_out_and_one_of_later_versions_is_not_known() -> None:
    assert [health_of(text) for text in (b"", b"\x08\x01", b"\x08\x03", b"\x08\x63")] == [
        "UNKNOWN",
        "SERVING",
        "SERVICE_UNKNOWN",
        "UNKNOWN",
    ]


async def test_grpcios_own_server_is_seen_up_not_serving_without_health_and_dead() -> None:
    grpc = pytest.importorskip("grpc")
    health = pytest.importorskip("grpc_health.v1.health")
    calls = pytest.importorskip("grpc_health.v1.health_pb2_grpc")
    servicer = health.HealthServicer()
    with futures.ThreadPoolExecutor(2) as pool:
        server, bare = grpc.server(pool), grpc.server(pool)
        calls.add_HealthServicer_to_server(servicer, server)
        port, bare_port = (one.add_insecure_port("127.0.0.1:0") for one in (server, bare))
        server.start()
        bare.start()
        try:
            one = of_kind("grpc", f"grpc://127.0.0.1:{port}")
            assert (await look(one)).found == "SERVING"
            servicer.set("", 2)
            assert code_of(await look(one)) is C.APP_STARTING
            assert code_of(await look(of_kind("grpc", f"grpc://127.0.0.1:{port}/shop.Orders"))) is C.APP_NO_DB
            seen = await look(of_kind("grpc", f"grpc://127.0.0.1:{bare_port}"))
            assert (seen.fault, seen.facts["health"]) == (None, "not implemented")
        finally:
            server.stop(0).wait()
            bare.stop(0).wait()
    assert code_of(await look(one)) is C.TCP_REFUSED


@pytest.mark.slow  # a process of its own
async def test_the_teams_client_of_a_dead_and_of_a_mute_server_is_read() -> None:
    pytest.importorskip("grpc_health.v1.health_pb2_grpc")
    script = """
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
def asked(port):
    with grpc.insecure_channel(f"127.0.0.1:{{port}}") as channel:
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=1)
for port in ({dead}, {mute}):
    print(fault_of("grpc", lambda: asked(port)))
"""
    async with fakes.serve(fakes.silent) as mute:
        printed = await by_client(script.format(dead=fakes.refused(), mute=mute))
    assert printed == [C.PROTO_CLOSED, C.PROTO_SILENT]
