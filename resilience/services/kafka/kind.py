"""All that is known of Kafka, as a record: addresses, error codes, findings and clients."""

from __future__ import annotations

from collections.abc import Mapping

from resilience.core.faults import fault
from resilience.core.kind import Facts, Finding, Kind, Scheme, Template, Words
from resilience.core.records import Fault, FaultCode, Phase

C = FaultCode
_CODES: Mapping[int, FaultCode] = {
    29: C.APP_AUTH,
    30: C.APP_AUTH,
    31: C.APP_AUTH,
    33: C.APP_AUTH,
    34: C.APP_AUTH,
    58: C.APP_AUTH,
    5: C.APP_CLUSTER_DOWN,
    8: C.APP_CLUSTER_DOWN,
    9: C.APP_REPLICA_DOWN,
    13: C.PROTO_CLOSED,
    19: C.APP_REPLICA_DOWN,
    20: C.APP_REPLICA_DOWN,
    41: C.APP_STARTING,
    56: C.APP_READONLY,
    # librdkafka's own, in the errors of confluent_kafka: rdkafka.h, rd_kafka_resp_err_t
    -195: C.PROTO_CLOSED,
    -193: C.DNS_NXDOMAIN,
    -187: C.TCP_REFUSED,
    -185: C.PROTO_SILENT,
    -181: C.TLS_OTHER,
    -169: C.APP_AUTH,
}
"""Error codes (the protocol guide, "Error codes"), as far as they say something of the broker."""


def kafka_fault(code: int, text: str = "", *, phase: Phase | None = Phase.QUERY, endpoint: str = "") -> Fault:
    """Return what an error code means; one that is not known is an error of the broker's own."""
    detail = f"error code {code}" + (f": {text}" if text else "")
    return fault(_CODES.get(code, C.APP_ERROR), phase, detail, endpoint=endpoint)


def _coded(link: BaseException, modules: frozenset[str], phase: Phase | None, endpoint: str) -> Fault | None:
    """Read the code of confluent_kafka's error, which it wraps, and of kafka-python's and aiokafka's, which their class has."""
    if not modules & {"cimpl", "confluent_kafka", "kafka", "aiokafka"}:
        return None
    code = getattr(link, "errno", None)
    if code is None and link.args and callable(getattr(link.args[0], "code", None)):
        code = link.args[0].code()
    if isinstance(code, int) and code in _CODES:
        return kafka_fault(code, str(link), phase=phase, endpoint=endpoint)
    return None


def _findings(facts: Facts) -> Finding | None:
    """Find a cluster that cannot decide or serve: no controller, partitions without a leader, or with too few copies."""
    if facts.get("controller") == "none":
        return Finding(code=C.APP_CLUSTER_DOWN, detail="[controller] (none): the brokers have elected none")
    for fact, code, what in (
        ("leaderless", C.APP_CLUSTER_DOWN, "without a leader"),
        ("under_replicated", C.APP_REPLICA_DOWN, "with fewer copies in step than they should have"),
    ):
        if (count := facts.get(fact, "0")).isdecimal() and count != "0":
            return Finding(code=code, detail=f"[{fact}] ({count}) == 0: partitions {what}")
    return None


KIND = Kind(
    name="kafka",
    title="Kafka",
    schemes={"kafka": Scheme(port=9092), "kafkas": Scheme(port=9093, tls=True)},
    scheme_hint="kafka://broker.staging.example:9092, and kafkas:// for TLS; user and password for SASL/PLAIN",
    templates=(
        Template(
            name="kafka",
            label="Kafka",
            url="${STAGING_KAFKA_URL}",
            local="kafka://127.0.0.1:9097",
            exports=(
                ("KAFKA_BOOTSTRAP_SERVERS", "{host}:{port}"),
                ("KAFKA_BROKERS", "{host}:{port}"),
                ("KAFKA_BROKER", "{host}:{port}"),
                ("KAFKA_HOST", "{host}"),
                ("KAFKA_PORT", "{port}"),
            ),
            words=("KAFKA", "REDPANDA"),
            images=r"\bkafka(?!-ui|-exporter|-connect)\b|redpanda(?!.*console)",
            markers=("real_kafka", "kafka"),
        ),
    ),
    probe="resilience.services.kafka.probe:probe_kafka",
    words={
        C.APP_CLUSTER_DOWN: Words(
            cause="the broker answers, and its cluster has no controller or no leader for some partitions",
            hint="kafka-topics.sh --bootstrap-server {endpoint} --describe --unavailable-partitions; which broker is down?",
        ),
        C.APP_REPLICA_DOWN: Words(
            cause="partitions have fewer copies in step than they should: a broker is down, or behind",
            hint="kafka-topics.sh --bootstrap-server {endpoint} --describe --under-replicated-partitions",
        ),
        C.APP_AUTH: Words(
            cause="it is up and refuses this login, or the way to log in",
            hint="compare user and password with the vault's; which mechanism does the listener have enabled?",
        ),
        C.PROTO_CLOSED: Words(
            cause="it accepts and closes: a listener that wants TLS or a login, or a broker that goes down",
            hint="is the scheme right? kafkas:// is TLS; openssl s_client -connect {endpoint} </dev/null",
        ),
    },
    findings=_findings,
    clients=("confluent_kafka", "cimpl", "kafka", "aiokafka", "faust"),
    errors={
        ("kafka", "NoBrokersAvailable"): C.TCP_REFUSED,
        ("kafka", "KafkaConnectionError"): C.PROTO_CLOSED,
        ("aiokafka", "KafkaConnectionError"): C.PROTO_CLOSED,
    },
    vague={
        ("kafka", "KafkaTimeoutError"): C.PROTO_SILENT,
        ("aiokafka", "KafkaTimeoutError"): C.PROTO_SILENT,
    },
    coded=_coded,
    untried="not tried on a real server",
)
