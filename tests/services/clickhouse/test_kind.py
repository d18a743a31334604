"""What ClickHouse says of itself has one meaning, by its own code and its replicas."""

from __future__ import annotations

import pytest

from resilience.core.records import FaultCode
from resilience.services.clickhouse.kind import KIND, REPLICA_LAG_S, clickhouse_fault

C = FaultCode


@pytest.mark.parametrize(
    ("code", "meant", "retryable"),
    [
        (319, C.APP_ERROR, True),
        (999, C.APP_REPLICA_DOWN, True),
        (242, C.APP_READONLY, False),
        (252, C.APP_OVERLOAD, False),
    ],
)
def test_what_passes_by_itself_is_tried_again_and_what_waits_for_somebody_is_not(
    code: int, meant: FaultCode, retryable: bool
) -> None:
    found = clickhouse_fault(code)
    assert (found.code, found.retryable) == (meant, retryable)


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"readonly_replicas": "1", "replica_delay_s": "9999"}, C.APP_READONLY),
        ({"replica_delay_s": str(REPLICA_LAG_S + 1)}, C.APP_REPLICA_LAG),
        ({"replica_delay_s": str(REPLICA_LAG_S)}, None),
        ({"replica_delay_s": "unknown"}, None),
        ({}, None),
    ],
)
def test_replicas_that_take_no_writes_or_lag_are_found(facts: dict[str, str], code: FaultCode | None) -> None:
    found = KIND.findings(facts)
    assert (found.code if found else None) is code


class Raised(Exception):
    code = 241


def test_a_code_counts_only_in_an_error_of_a_client_of_clickhouse() -> None:
    known = KIND.coded(Raised("memory"), frozenset({"clickhouse_driver"}), None, "")
    assert known is not None
    assert known.code is C.APP_OVERLOAD
    in_text = KIND.coded(
        Exception("HTTPDriver: Code: 516. wrong password"), frozenset({"clickhouse_connect"}), None, ""
    )
    assert in_text is not None
    assert in_text.code is C.APP_AUTH
    assert KIND.coded(Raised("memory"), frozenset({"mine"}), None, "") is None
