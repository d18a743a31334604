"""All that is known of a gRPC server, as a record: addresses, status codes and clients."""

from __future__ import annotations

from collections.abc import Mapping

from resilience.core.faults import fault
from resilience.core.kind import Kind, Scheme, Template, Words
from resilience.core.records import Fault, FaultCode, Phase

C = FaultCode
_CODES: Mapping[int, FaultCode] = {
    2: C.APP_ERROR,
    4: C.APP_SLOW,
    5: C.APP_NO_DB,
    7: C.APP_AUTH,
    8: C.APP_OVERLOAD,
    13: C.APP_ERROR,
    14: C.APP_UPSTREAM,
    15: C.APP_ERROR,
    16: C.APP_AUTH,
}
"""Status codes of gRPC (doc/statuscodes.md of grpc/grpc), as far as they say something of the server.

NOT_FOUND says so to the health protocol alone: of any other call it is the product's own.
"""
NAMES = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"),
    *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED"),
    *("INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
)
_OF_CLIENTS: Mapping[str, FaultCode] = {
    "UNAVAILABLE": C.PROTO_CLOSED,
    "DEADLINE_EXCEEDED": C.PROTO_SILENT,
    "UNAUTHENTICATED": C.APP_AUTH,
    "RESOURCE_EXHAUSTED": C.APP_OVERLOAD,
}
"""What the status in a client's error means: there UNAVAILABLE is a connection that could not be made, or was lost."""


def grpc_fault(status: int, text: str, *, endpoint: str = "") -> Fault:
    """Return what the status of an answer means; one that is not known is an error of the server's own."""
    name = NAMES[status] if 0 <= status < len(NAMES) else str(status)
    detail = f"{name}: {text}" if text else name
    return fault(_CODES.get(status, C.APP_ERROR), Phase.QUERY, detail, endpoint=endpoint)


def _coded(link: BaseException, modules: frozenset[str], phase: Phase | None, endpoint: str) -> Fault | None:
    """Read the status of grpcio's and grpclib's errors. What a product answers itself, as NOT_FOUND, says nothing here."""
    if not modules & {"grpc", "grpclib"}:
        return None
    code = getattr(link, "code", None) or getattr(link, "status", None)
    try:
        status = code() if callable(code) else code
    except Exception:  # noqa: BLE001 - a client's error may refuse to be asked
        return None
    name = str(getattr(status, "name", ""))
    if name not in _OF_CLIENTS:
        return None
    told = getattr(link, "details", None) or getattr(link, "message", "")
    text = told() if callable(told) else told
    return fault(_OF_CLIENTS[name], phase, f"{name}: {text}", endpoint=endpoint)


KIND = Kind(
    name="grpc",
    title="gRPC",
    schemes={"grpc": Scheme(), "grpcs": Scheme(port=443, tls=True)},
    scheme_hint="write its host and port: grpc://orders.staging.example:50051, and grpcs:// where it speaks TLS",
    keys=("headers",),
    templates=(
        Template(
            name="grpc",
            label="gRPC",
            url="${STAGING_GRPC_URL}",
            local="grpc://127.0.0.1:50055",
            exports=(("GRPC_TARGET", "{host}:{port}"), ("GRPC_ADDRESS", "{host}:{port}"), ("GRPC_PORT", "{port}")),
            words=("GRPC",),
            markers=("real_grpc", "grpc"),
        ),
    ),
    probe="resilience.services.grpc.probe:probe_grpc",
    words={
        C.APP_STARTING: Words(
            cause="it is up and says itself that it does not serve now",
            hint="grpc_health_probe -addr={endpoint}; look at its log and at what it depends on",
        ),
        C.APP_NO_DB: Words(
            cause="it is up and knows no health of this service name",
            hint="grpcurl -plaintext {endpoint} list; the name is the url's path, empty for the whole server",
        ),
        C.APP_AUTH: Words(
            cause="it is up and refuses us: its health asks for a token",
            hint="set headers for this service, or have its health service answer without a token",
        ),
    },
    clients=("grpc", "grpclib"),
    coded=_coded,
    commands=("grpcurl", "grpc_health_probe"),
)
