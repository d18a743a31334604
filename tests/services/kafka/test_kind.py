"""What Kafka's error codes and its metadata mean, and in the errors of its clients."""

from __future__ import annotations

import pytest

from resilience.core.faults import classify
from resilience.core.records import FaultCode
from resilience.services.kafka.kind import KIND, kafka_fault

C = FaultCode


@pytest.mark.parametrize(
    ("code", "meaning"),
    [(58, C.APP_AUTH), (33, C.APP_AUTH), (5, C.APP_CLUSTER_DOWN), (41, C.APP_STARTING), (1, C.APP_ERROR)],
)
def test_a_code_says_what_it_means(code: int, meaning: FaultCode) -> None:
    assert kafka_fault(code).code is meaning


@pytest.mark.parametrize(
    ("facts", "meaning"),
    [
        ({"controller": "a:9092", "leaderless": "0", "under_replicated": "0"}, None),
        ({"controller": "none", "leaderless": "0"}, C.APP_CLUSTER_DOWN),
        ({"controller": "a:9092", "leaderless": "2", "under_replicated": "3"}, C.APP_CLUSTER_DOWN),
        ({"controller": "a:9092", "leaderless": "0", "under_replicated": "3"}, C.APP_REPLICA_DOWN),
        ({"metadata": "not read"}, None),
    ],
)
def test_its_metadata_are_judged(facts: dict[str, str], meaning: FaultCode | None) -> None:
    found = KIND.findings(facts)
    assert (found.code if found else None) is meaning


def test_the_code_within_confluents_error_is_read_and_the_class_of_the_others() -> None:
    wrapped = type("KafkaError", (), {"code": lambda _: -187, "__str__": lambda _: "all brokers are down"})()
    error = type("KafkaException", (Exception,), {"__module__": "cimpl"})
    assert classify(error(wrapped), kinds=(KIND,)).code is C.TCP_REFUSED
    unknown = type("KafkaError", (), {"code": lambda _: 3})()
    assert classify(error(unknown), kinds=(KIND,)).code is C.INTERNAL
    no_brokers = type("NoBrokersAvailable", (Exception,), {"__module__": "kafka.errors"})
    assert classify(no_brokers("NoBrokersAvailable"), kinds=(KIND,)).code is C.TCP_REFUSED
