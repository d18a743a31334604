"""What the status codes of gRPC mean, of a server and of its clients."""

from __future__ import annotations

import pytest

from resilience.core.faults import classify
from resilience.core.records import FaultCode
from resilience.services.grpc.kind import KIND, NAMES, grpc_fault

C = FaultCode


@pytest.mark.parametrize(
    ("status", "meaning"),
    [(16, C.APP_AUTH), (7, C.APP_AUTH), (14, C.APP_UPSTREAM), (8, C.APP_OVERLOAD), (5, C.APP_NO_DB), (99, C.APP_ERROR)],
)
def test_a_status_says_what_it_means(status: int, meaning: FaultCode) -> None:
    found = grpc_fault(status, "text")
    assert found.code is meaning
    assert found.detail == f"{NAMES[status] if status < len(NAMES) else status}: text"


def error(name: str) -> Exception:
    """An error as grpcio raises it: its status is a method, which returns an enum."""
    status = type("StatusCode", (), {"name": name})()
    made = type("_InactiveRpcError", (Exception,), {"__module__": "grpc._channel", "code": lambda _: status})
    return made("text")  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("UNAVAILABLE", C.PROTO_CLOSED),
        ("DEADLINE_EXCEEDED", C.PROTO_SILENT),
        ("UNAUTHENTICATED", C.APP_AUTH),
        ("NOT_FOUND", C.INTERNAL),
        ("INVALID_ARGUMENT", C.INTERNAL),
    ],
)
def test_a_clients_error_is_read_and_what_a_product_answers_itself_is_not(name: str, meaning: FaultCode) -> None:
    assert classify(error(name), kinds=(KIND,)).code is meaning
