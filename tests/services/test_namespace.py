"""Rows of table 1 that need routes and a name server of ours: in a private namespace, else from the typed exception."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from resilience.core.faults import classify
from resilience.core.records import FaultCode, Phase
from tests.kits.servers import namespace

C = FaultCode
PROTOCOLS = ("postgresql", "redis", "http", "websocket")

ROUTES = {
    "no route": (C.TCP_NO_ROUTE, errno.ENETUNREACH),
    "host unreachable": (C.TCP_HOST_UNREACH, errno.EHOSTUNREACH),
    "prohibited": (C.TCP_PROHIBITED, errno.EACCES),
    "black hole route": (C.TCP_PROHIBITED, errno.EINVAL),
}
NAMES = {
    "nxdomain": C.DNS_NXDOMAIN,
    "nodata": C.DNS_NODATA,
    "servfail": C.DNS_TEMPFAIL,
    "refused": C.DNS_TEMPFAIL,
    "timeout": C.DNS_TIMEOUT,
}


@pytest.fixture(scope="module")
def seen() -> dict[str, list[str]]:
    why_not = namespace.usable()
    if why_not:
        pytest.skip(why_not)
    return namespace.look()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("row", ROUTES)
def test_a_route_in_a_namespace_of_ours(seen: dict[str, list[str]], row: str, protocol: str) -> None:
    assert seen[f"{row}, {protocol}"] == [ROUTES[row][0].value, Phase.TCP.value]


@pytest.mark.parametrize("row", NAMES)
def test_a_name_server_of_ours(seen: dict[str, list[str]], row: str) -> None:
    assert seen[row] == [NAMES[row].value, Phase.DNS.value]


def test_addresses_work_while_the_resolver_is_dead(seen: dict[str, list[str]]) -> None:
    assert seen["an address while the resolver is dead"] == ["", ""]


@pytest.mark.parametrize("row", ROUTES)
def test_a_route_from_the_typed_exception(row: str) -> None:
    code, number = ROUTES[row]
    assert classify(OSError(number, os.strerror(number)), Phase.TCP).code is code


def test_a_name_without_an_address_of_a_usable_family_from_the_typed_exception() -> None:
    assert classify(socket.gaierror(socket.EAI_ADDRFAMILY, "x"), Phase.DNS).code is C.DNS_NODATA
