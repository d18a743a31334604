"""What etcd's codes and its status mean."""

from __future__ import annotations

import pytest

from resilience.core.records import FaultCode
from resilience.services.etcd.kind import KIND, etcd_fault
from resilience.services.registry import KINDS

C = FaultCode


@pytest.mark.parametrize(
    ("status", "code", "meaning"),
    [
        (400, 3, C.APP_AUTH),
        (403, 7, C.APP_AUTH),
        (503, 14, C.APP_CLUSTER_DOWN),
        (429, 8, C.APP_READONLY),
        (404, 0, C.APP_HTTP_404),
        (418, 0, C.APP_HTTP_STATUS),
    ],
)
def test_a_code_says_more_than_its_status(status: int, code: int, meaning: FaultCode) -> None:
    assert etcd_fault(status, code, "text").code is meaning


@pytest.mark.parametrize(
    ("facts", "meaning"),
    [
        ({"leader": "known", "alarms": ""}, None),
        ({"leader": "none"}, C.APP_CLUSTER_DOWN),
        ({"leader": "known", "alarms": "memberID:1 alarm:NOSPACE "}, C.APP_READONLY),
        ({"leader": "known", "alarms": "memberID:1 alarm:CORRUPT "}, C.APP_ERROR),
    ],
)
def test_its_status_is_judged(facts: dict[str, str], meaning: FaultCode | None) -> None:
    found = KIND.findings(facts)
    assert (found.code if found else None) is meaning


def test_its_urls_are_those_of_http_with_a_prefix_where_nothing_else_names_the_kind() -> None:
    found = KINDS.by_url("etcd+http://127.0.0.1:2379")
    assert found is not None
    assert found[0] is KIND
