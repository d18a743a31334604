"""What an exception says of the far side is read of types, codes and status, never of a phrase."""

from __future__ import annotations

from typing import Any

import pytest

from resilience.core.records import FaultCode
from resilience.services.registry import KINDS
from resilience.suite.signs import SIGNS, Said, read


def raised(kind: str, *bases: str, **more: Any) -> list[dict[str, Any]]:
    return [{"type": kind, "mro": [kind, *bases, "Exception"], "text": "", "of": -1, "via": "root", **more}]


@pytest.mark.parametrize(
    ("chain", "said", "code"),
    [
        (raised("ConnectionRefusedError", "ConnectionError", "OSError", errno=111), Said.SIGN, FaultCode.TCP_REFUSED),
        (raised("ConnectionResetError", "ConnectionError", "OSError", errno=104), Said.SIGN, FaultCode.PROTO_RESET),
        (raised("socket.gaierror", "OSError", errno=-2), Said.SIGN, FaultCode.DNS_NXDOMAIN),
        (raised("redis.exceptions.MaxConnectionsError", "redis.exceptions.ConnectionError"), Said.OWN, None),
        (raised("asyncpg.exceptions._base.InterfaceError"), Said.OWN, None),
        (raised("AssertionError", text="connection refused: 503 Service Unavailable"), Said.NOTHING, None),
        (raised("ValueError", text="[Errno 111] Connection refused"), Said.NOTHING, None),
        ([], Said.NOTHING, None),
    ],
)
def test_types_and_codes_are_signs_and_phrases_are_none(
    chain: list[dict[str, Any]], said: Said, code: FaultCode | None
) -> None:
    found = read(chain, tuple(KINDS))
    assert found.said is said
    assert found.code is code
    assert code is None or code in SIGNS


def test_an_assertion_before_a_refused_connection_is_an_assertion_with_its_code() -> None:
    refused = raised("ConnectionRefusedError", "ConnectionError", "OSError", errno=111)[0]
    found = read([*raised("AssertionError"), {**refused, "of": 0, "via": "context"}], tuple(KINDS))
    assert (found.assertion, found.code) == (True, FaultCode.TCP_REFUSED)
