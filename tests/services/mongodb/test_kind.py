"""What MongoDB's error codes and roles mean, and in pymongo's errors."""

from __future__ import annotations

import pytest

from resilience.core.faults import classify
from resilience.core.records import FaultCode
from resilience.services.mongodb.kind import KIND, mongo_fault

C = FaultCode


@pytest.mark.parametrize(
    ("code", "meaning"),
    [(18, C.APP_AUTH), (91, C.APP_SHUTDOWN), (10107, C.APP_READONLY), (13436, C.APP_STARTING), (11000, C.APP_ERROR)],
)
def test_a_code_says_what_it_means(code: int, meaning: FaultCode) -> None:
    assert mongo_fault(code, "text").code is meaning


@pytest.mark.parametrize(
    ("facts", "meaning"),
    [
        ({"role": "primary"}, None),
        ({"role": "standalone"}, None),
        ({"role": "mongos"}, None),
        ({"role": "secondary", "primary": "a:27017"}, C.APP_READONLY),
        ({"role": "secondary"}, C.APP_CLUSTER_DOWN),
        ({"role": "arbiter"}, C.APP_STARTING),
        ({"role": "not in service"}, C.APP_STARTING),
    ],
)
def test_what_takes_no_writes_is_found(facts: dict[str, str], meaning: FaultCode | None) -> None:
    found = KIND.findings(facts)
    assert (found.code if found else None) is meaning


def test_pymongos_errors_are_read() -> None:
    errors = pytest.importorskip("pymongo.errors")
    for error, meaning in (
        (errors.ServerSelectionTimeoutError("no"), C.TCP_TIMEOUT),
        (errors.AutoReconnect("closed"), C.PROTO_CLOSED),
        (errors.NotPrimaryError("no"), C.APP_READONLY),
        (errors.OperationFailure("Authentication failed.", 18), C.APP_AUTH),
        (errors.DuplicateKeyError("E11000", 11000), C.INTERNAL),
    ):
        assert classify(error, kinds=(KIND,)).code is meaning, error
