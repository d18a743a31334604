"""What NATS says of itself in words is read by their beginnings, and lame duck mode is a shutdown."""

from __future__ import annotations

import pytest

from resilience.core.records import FaultCode
from resilience.services.nats.kind import KIND, nats_fault

C = FaultCode


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        (" 'Authorization Violation'", C.APP_AUTH),
        ("'User Authentication Expired'", C.APP_AUTH),
        ("'Maximum Connections Exceeded'\r\n", C.APP_OVERLOAD),
        ("'Secure Connection - TLS Required'", C.TLS_REFUSED),
        ("'Stale Connection'", C.APP_ERROR),
    ],
)
def test_an_error_is_told_by_its_first_words(text: str, meaning: FaultCode) -> None:
    assert nats_fault(text).code is meaning


def test_lame_duck_mode_is_a_shutdown() -> None:
    assert KIND.findings({"lame_duck": "no"}) is None
    found = KIND.findings({"lame_duck": "yes"})
    assert found is not None
    assert found.code is C.APP_SHUTDOWN
