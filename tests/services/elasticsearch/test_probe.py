"""A cluster is looked at by its health, as the manual of its cluster health API writes the answer; no real one was asked."""

from __future__ import annotations

import json

import pytest

from resilience.core.assess import judge
from resilience.core.records import ConnectivityStatus, FaultCode
from tests.kits.kind_kit import check_dead_and_mute, code_of, look, of_kind, seen_against
from tests.kits.servers import fakes

URL = "http://127.0.0.1:{port}"
C = FaultCode
HEALTH = {
    "cluster_name": "staging",
    "status": "green",
    "timed_out": False,
    "number_of_nodes": 3,
    "number_of_data_nodes": 3,
    "active_primary_shards": 12,
    "active_shards": 24,
    "unassigned_shards": 0,
}


def answers(status: int, document: object) -> fakes.Handler:
    return fakes.says(fakes.http(status, json.dumps(document).encode()))


def error(kind: str) -> dict[str, object]:
    return {"error": {"root_cause": [], "type": kind, "reason": "why"}, "status": 0}


async def test_dead_mute_closing_and_strange_ones_are_told_apart() -> None:
    await check_dead_and_mute("elasticsearch", URL)


async def test_its_health_is_what_it_is_known_by_and_what_is_not_tried_is_said() -> None:
    seen = await seen_against("elasticsearch", URL, answers(200, HEALTH))
    assert (seen.fault, seen.found) == (None, "health green, 3 nodes (not tried on a real server)")
    assert (seen.facts["cluster"], seen.facts["data_nodes"]) == ("staging", "3")
    refused = await seen_against("elasticsearch", URL, answers(401, error("security_exception")))
    assert refused.fault is not None
    assert "(not tried on a real server)" in refused.fault.detail


async def test_a_dead_one_is_dead_without_a_doubt() -> None:
    seen = await look(of_kind("elasticsearch", f"http://127.0.0.1:{fakes.refused()}"))
    assert seen.fault is not None
    assert "not tried" not in seen.fault.detail


@pytest.mark.parametrize(
    ("health", "status", "code"),
    [
        ("red", ConnectivityStatus.DEGRADED, C.APP_CLUSTER_DOWN),
        ("yellow", ConnectivityStatus.DEGRADED, C.APP_REPLICA_DOWN),
    ],
)
async def test_shards_on_no_node_are_degraded(health: str, status: ConnectivityStatus, code: FaultCode) -> None:
    async with fakes.serve(answers(200, HEALTH | {"status": health, "unassigned_shards": 7})) as port:
        one = of_kind("elasticsearch", URL.replace("{port}", str(port)))
        result = judge(one, await look(one))
    assert (result.status, result.fault) == (status, code)
    assert "7" in result.detail


@pytest.mark.parametrize(
    ("status", "document", "code"),
    [
        (503, error("master_not_discovered_exception"), C.APP_CLUSTER_DOWN),
        (401, error("security_exception"), C.APP_AUTH),
        (403, "no", C.APP_AUTH),
        (502, {}, C.APP_UPSTREAM),
        (200, {"status": "ok"}, C.PROTO_WRONG),
        (200, [], C.PROTO_WRONG),
    ],
)
async def test_what_it_refuses_is_told_by_its_type(status: int, document: object, code: FaultCode) -> None:
    assert code_of(await seen_against("elasticsearch", URL, answers(status, document))) is code


async def test_an_index_that_is_not_there_is_named() -> None:
    missing = HEALTH | {"status": "red", "timed_out": True, "active_shards": 0}
    seen = await seen_against("elasticsearch", URL + "/orders", answers(408, missing))
    assert code_of(seen) is C.APP_NO_DB
    seen = await seen_against("elasticsearch", URL, answers(408, missing))
    assert (seen.fault, seen.facts["health"]) == (None, "red")
