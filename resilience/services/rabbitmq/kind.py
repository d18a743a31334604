"""All that is known of RabbitMQ, and whatever else speaks AMQP 0-9-1, as a record: addresses, codes, clients and stand-in."""

from __future__ import annotations

from collections.abc import Mapping

from resilience.core.faults import fault
from resilience.core.kind import Doubles, Facts, Finding, Kind, Scheme, Template, Words
from resilience.core.records import Fault, FaultCode, Phase

C = FaultCode
_PASSWORD = "local-stand-in-only"  # noqa: S105  guards nothing: loopback only, the same for everybody
_CODES: Mapping[int, FaultCode] = {
    320: C.APP_SHUTDOWN,  # connection forced: an operator, or a node that goes down
    403: C.APP_AUTH,
    506: C.APP_OVERLOAD,
    541: C.APP_ERROR,
}
"""Reply codes of AMQP 0-9-1, section 1.2.2, as far as they say something of the server."""


def amqp_fault(code: int, text: str, *, phase: Phase | None = Phase.QUERY, endpoint: str = "") -> Fault:
    """Return what the code of a closed connection means.

    530 is both a vhost that is not there and one that this user may not enter; RabbitMQ tells them apart in words alone.
    """
    meaning = _CODES.get(code, C.APP_ERROR)
    if code == 530:
        meaning = C.APP_AUTH if "refused" in text else C.APP_OVERLOAD if "limit" in text else C.APP_NO_DB
    return fault(meaning, phase, f"{code}: {text}", endpoint=endpoint)


def _coded(link: BaseException, modules: frozenset[str], phase: Phase | None, endpoint: str) -> Fault | None:
    """Read the reply code that pika and amqp put into their errors of a closed connection."""
    code = getattr(link, "reply_code", None)
    if modules & {"pika", "amqp", "aio_pika", "aiormq", "kombu"} and isinstance(code, int) and code in (*_CODES, 530):
        return amqp_fault(code, str(getattr(link, "reply_text", "")), phase=phase, endpoint=endpoint)
    return None


def _findings(facts: Facts) -> Finding | None:
    """Find that it takes no messages, as it says to whoever publishes (write_check)."""
    if blocked := facts.get("blocked"):
        hint = "rabbitmq-diagnostics alarms, on its machine; free its memory or its disk"
        return Finding(code=C.APP_OVERLOAD, detail=f"it blocks whoever publishes: {blocked}", hint=hint)
    return None


KIND = Kind(
    name="rabbitmq",
    title="RabbitMQ",
    schemes={"amqp": Scheme(port=5672, local=True), "amqps": Scheme(port=5671, tls=True)},
    scheme_hint="amqp://user:password@broker.staging.example:5672/vhost",
    keys=("write_check",),
    templates=(
        Template(
            name="rabbitmq",
            label="RabbitMQ",
            short_names=("amqp",),
            url="${STAGING_RABBITMQ_URL}",
            local=f"amqp://app:{_PASSWORD}@127.0.0.1:5675/",
            exports=(
                ("RABBITMQ_URL", "{local}"),
                ("AMQP_URL", "{local}"),
                ("CELERY_BROKER_URL", "{local}"),
                ("RABBITMQ_HOST", "{host}"),
                ("RABBITMQ_PORT", "{port}"),
                ("RABBITMQ_USER", "{user}"),
                ("RABBITMQ_PASSWORD", "{password}"),
            ),
            words=("RABBITMQ", "RABBIT", "AMQP", "CLOUDAMQP"),
            local_password=f"app:{_PASSWORD}@",
            images=r"rabbitmq",
            markers=("real_rabbitmq", "rabbitmq"),
        ),
    ),
    probe="resilience.services.rabbitmq.probe:probe_rabbitmq",
    words={
        C.APP_AUTH: Words(
            cause="it is up and refuses this user, this password, or this user's right to the vhost",
            hint="compare the password in the url with the vault's; rabbitmqctl list_permissions -p VHOST",
        ),
        C.APP_NO_DB: Words(
            cause="it is up and has no such vhost",
            hint="rabbitmqctl list_vhosts; / is written %2F in the url's path",
        ),
    },
    findings=_findings,
    clients=("pika", "amqp", "aio_pika", "aiormq"),
    errors={
        ("pika", "ProbableAuthenticationError"): C.APP_AUTH,
        ("pika", "AuthenticationError"): C.APP_AUTH,
        ("pika", "ProbableAccessDeniedError"): C.APP_AUTH,
        ("pika", "IncompatibleProtocolError"): C.PROTO_WRONG,
        ("pika", "ConnectionBlockedTimeout"): C.APP_OVERLOAD,
        ("pika", "StreamLostError"): C.PROTO_CLOSED,
        ("amqp", "AccessRefused"): C.APP_AUTH,
        ("amqp", "ConnectionForced"): C.APP_SHUTDOWN,
    },
    vague={
        ("pika", "AMQPConnectorStackTimeout"): C.PROTO_SILENT,
        ("pika", "AMQPConnectorSocketConnectError"): C.TCP_REFUSED,
        ("pika", "AMQPConnectorException"): C.PROTO_CLOSED,
        ("pika", "AMQPConnectionError"): C.PROTO_CLOSED,
        ("pika", "ConnectionClosed"): C.PROTO_CLOSED,
        ("aiormq", "AMQPConnectionError"): C.PROTO_CLOSED,
        ("amqp", "RecoverableConnectionError"): C.PROTO_CLOSED,
    },
    coded=_coded,
    commands=("rabbitmqctl", "rabbitmq-diagnostics"),
    doubles=Doubles(
        stand_in="resilience.services.rabbitmq.stand_in:STAND_INS",
        install="apt-get install rabbitmq-server",
        unavailable="no RabbitMQ on this machine. Hint: apt-get install rabbitmq-server, or give `start`",
        user="guest",
    ),
)
