"""What the codes of AMQP mean, of a broker and of its clients."""

from __future__ import annotations

import pytest

from resilience.core.faults import classify
from resilience.core.records import FaultCode, Phase
from resilience.services.rabbitmq.kind import KIND, amqp_fault

C = FaultCode


@pytest.mark.parametrize(
    ("code", "text", "meaning"),
    [
        (403, "ACCESS_REFUSED", C.APP_AUTH),
        (320, "CONNECTION_FORCED - shutdown", C.APP_SHUTDOWN),
        (530, "NOT_ALLOWED - vhost shop not found", C.APP_NO_DB),
        (530, "NOT_ALLOWED - access to vhost 'shop' refused for user 'app'", C.APP_AUTH),
        (530, "NOT_ALLOWED - connection limit (5) is reached", C.APP_OVERLOAD),
        (504, "CHANNEL_ERROR", C.APP_ERROR),
    ],
)
def test_a_code_says_what_it_means(code: int, text: str, meaning: FaultCode) -> None:
    assert amqp_fault(code, text).code is meaning


def test_pikas_errors_are_read() -> None:
    exceptions = pytest.importorskip("pika.exceptions")
    for error, meaning in (
        (exceptions.ConnectionClosedByBroker(320, "CONNECTION_FORCED"), C.APP_SHUTDOWN),
        (exceptions.ProbableAuthenticationError(403, "ACCESS_REFUSED"), C.APP_AUTH),
        (exceptions.StreamLostError("reset"), C.PROTO_CLOSED),
    ):
        assert classify(error, Phase.QUERY, kinds=(KIND,)).code is meaning


def test_what_pika_says_of_a_broker_that_does_not_answer_is_read() -> None:
    """Of a mute one it was internal: nothing was known of the service whose broker hung."""
    workflow = pytest.importorskip("pika.adapters.utils.connection_workflow")
    for error, meaning in (
        (workflow.AMQPConnectorStackTimeout("Timeout during AMQP handshake"), C.PROTO_SILENT),
        (workflow.AMQPConnectorSocketConnectError(ConnectionRefusedError(111, "refused")), C.TCP_REFUSED),
        (workflow.AMQPConnectorTransportSetupError(OSError("x")), C.PROTO_CLOSED),
    ):
        assert classify(error, kinds=(KIND,)).code is meaning, error


def test_a_broker_that_blocks_whoever_publishes_is_overloaded() -> None:
    assert KIND.findings({"alarms": "none"}) is None
    found = KIND.findings({"blocked": "low on disk"})
    assert found is not None
    assert found.code is C.APP_OVERLOAD
