"""All that is known of MongoDB, as a record: addresses, error codes, findings and clients."""

from __future__ import annotations

from collections.abc import Mapping

from resilience.core.faults import fault
from resilience.core.kind import Facts, Finding, Kind, Scheme, Template, Words
from resilience.core.records import Fault, FaultCode, Phase

C = FaultCode
_CODES: Mapping[int, FaultCode] = {
    13: C.APP_AUTH,
    18: C.APP_AUTH,
    8000: C.APP_AUTH,
    91: C.APP_SHUTDOWN,
    11600: C.APP_SHUTDOWN,
    11602: C.APP_SHUTDOWN,
    189: C.APP_STARTING,
    13436: C.APP_STARTING,
    94: C.APP_STARTING,
    10107: C.APP_READONLY,
    13435: C.APP_READONLY,
    133: C.APP_CLUSTER_DOWN,
    202: C.APP_OVERLOAD,
    14031: C.APP_READONLY,
}
"""Error codes (src/mongo/base/error_codes.yml), as far as they say something of the server."""


def mongo_fault(code: int, text: str, *, phase: Phase | None = Phase.QUERY, endpoint: str = "") -> Fault:
    """Return what an error code means; one that is not known is an error of the server's own."""
    return fault(_CODES.get(code, C.APP_ERROR), phase, f"{code}: {text}", endpoint=endpoint)


def _coded(link: BaseException, modules: frozenset[str], phase: Phase | None, endpoint: str) -> Fault | None:
    """Read the code of pymongo's OperationFailure. A duplicate key and its like are the product's own."""
    code = getattr(link, "code", None)
    if "pymongo" in modules and isinstance(code, int) and code in _CODES:
        return mongo_fault(code, str(link), phase=phase, endpoint=endpoint)
    return None


def _findings(facts: Facts) -> Finding | None:
    """Find that no writes are taken here: a secondary answers, or a member that is no part of its set yet."""
    role = facts.get("role", "")
    if role == "secondary":
        primary = facts.get("primary", "")
        if not primary:
            return Finding(code=C.APP_CLUSTER_DOWN, detail=f"[role] ({role}) == primary: its set has no primary")
        hint = f"point the url at the primary, {primary}"
        return Finding(code=C.APP_READONLY, detail=f"[role] ({role}) == primary: a secondary answers", hint=hint)
    if role in ("arbiter", "not in service"):
        return Finding(code=C.APP_STARTING, detail=f"[role] ({role}) == primary")
    return None


KIND = Kind(
    name="mongodb",
    title="MongoDB",
    schemes={"mongodb": Scheme(port=27017)},
    scheme_hint="mongodb://user:password@db.staging.example:27017/shop?tls=true; of mongodb+srv:// write one host instead",
    templates=(
        Template(
            name="mongodb",
            label="MongoDB",
            short_names=("mongo",),
            url="${STAGING_MONGODB_URL}",
            local="mongodb://127.0.0.1:27027/app_test",
            exports=(
                ("MONGODB_URL", "{local}"),
                ("MONGODB_URI", "{local}"),
                ("MONGO_URL", "{local}"),
                ("MONGO_URI", "{local}"),
                ("MONGO_HOST", "{host}"),
                ("MONGO_PORT", "{port}"),
            ),
            words=("MONGODB", "MONGO"),
            images=r"\bmongo(db)?(?!-express)\b",
            markers=("real_mongodb", "mongodb"),
        ),
    ),
    probe="resilience.services.mongodb.probe:probe_mongodb",
    words={
        C.APP_READONLY: Words(
            cause="it answers reads and takes no writes: it is no primary",
            hint="mongosh --host {host} --port {port} --eval 'db.hello().primary'; point the url at that one",
        ),
        C.APP_CLUSTER_DOWN: Words(
            cause="its replica set has no primary: too many members are gone for an election",
            hint="mongosh --host {host} --port {port} --eval 'rs.status().members'; which member is down?",
        ),
        C.APP_STARTING: Words(
            cause="it is up and no part of its replica set yet: starting, recovering, or never initiated",
            hint="mongosh --host {host} --port {port} --eval 'rs.status()'",
        ),
        C.APP_AUTH: Words(
            cause="it is up and refuses this login",
            hint="compare user and password with the vault's, and authSource in the url",
        ),
    },
    findings=_findings,
    clients=("pymongo", "motor", "mongoengine", "beanie"),
    errors={
        ("pymongo", "NotPrimaryError"): C.APP_READONLY,
        ("pymongo", "NetworkTimeout"): C.PROTO_SILENT,
        ("pymongo", "ConfigurationError"): C.CONFIG_INVALID,
        ("pymongo", "WaitQueueTimeoutError"): C.APP_OVERLOAD,
    },
    vague={
        ("pymongo", "ServerSelectionTimeoutError"): C.TCP_TIMEOUT,
        ("pymongo", "AutoReconnect"): C.PROTO_CLOSED,
        ("pymongo", "ConnectionFailure"): C.PROTO_CLOSED,
    },
    coded=_coded,
    commands=("mongosh",),
    untried="not tried on a real server",
)
