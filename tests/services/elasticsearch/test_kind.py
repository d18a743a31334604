"""What Elasticsearch's errors mean, and which health is well; it is said to be untried on a real server."""

from __future__ import annotations

import pytest

from resilience.core.faults import classify
from resilience.core.records import FaultCode
from resilience.services.elasticsearch.kind import KIND, search_fault
from resilience.services.registry import KINDS

C = FaultCode


@pytest.mark.parametrize(
    ("status", "kind", "meaning"),
    [
        (401, "security_exception", C.APP_AUTH),
        (503, "master_not_discovered_exception", C.APP_CLUSTER_DOWN),
        (503, "", C.APP_OVERLOAD),
        (429, "circuit_breaking_exception", C.APP_OVERLOAD),
        (429, "", C.APP_RATE_LIMIT),
        (418, "", C.APP_HTTP_STATUS),
    ],
)
def test_an_error_is_told_by_its_type_then_by_its_status(status: int, kind: str, meaning: FaultCode) -> None:
    assert search_fault(status, kind, "text").code is meaning


@pytest.mark.parametrize(
    ("health", "data_nodes", "meaning"),
    [
        ("green", "3", None),
        ("yellow", "1", None),
        ("yellow", "3", C.APP_REPLICA_DOWN),
        ("red", "1", C.APP_CLUSTER_DOWN),
        ("red", "3", C.APP_CLUSTER_DOWN),
    ],
)
def test_yellow_is_well_where_one_node_can_hold_no_copies(
    health: str, data_nodes: str, meaning: FaultCode | None
) -> None:
    found = KIND.findings({"health": health, "data_nodes": data_nodes, "unassigned_shards": "4"})
    assert (found.code if found else None) is meaning
    assert found is None or "4" in found.detail


def test_its_urls_are_those_of_http_with_a_prefix_where_nothing_else_names_the_kind() -> None:
    found = KINDS.by_url("elasticsearch+https://search.staging.example")
    assert found is not None
    assert found[0] is KIND


def test_the_clients_errors_are_read() -> None:
    elasticsearch = pytest.importorskip("elasticsearch")
    transport = pytest.importorskip("elastic_transport")
    assert classify(transport.ConnectionError("refused"), kinds=(KIND,)).code is C.PROTO_CLOSED
    assert classify(transport.ConnectionTimeout("timed out"), kinds=(KIND,)).code is C.PROTO_SILENT
    meta = transport.ApiResponseMeta(
        status=503, http_version="1.1", headers=transport.HttpHeaders(), duration=0.0, node=None
    )
    assert classify(elasticsearch.ApiError("x", meta, {}), kinds=(KIND,)).code is C.APP_OVERLOAD
