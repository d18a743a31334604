"""All that is known of WebSocket services, as a record: addresses, settings, codes, clients and the mock."""

from __future__ import annotations

from collections.abc import Mapping

from resilience.core.faults import HTTP_STATUS, fault
from resilience.core.kind import Doubles, Kind, Scheme, Template, Words
from resilience.core.records import Fault, FaultCode, Phase

C = FaultCode


def ws_close_fault(
    code: int | None, reason: str = "", *, phase: Phase | None = Phase.QUERY, endpoint: str = ""
) -> Fault | None:
    """Return what a WebSocket close code means (RFC 6455 section 7.4, IANA); None: no close frame. 1000 is no fault.

    Codes of 4000 and more are an application's own; 4401 and the like are read as the HTTP status in them. 1001, 1012
    and 1013 are a restart or an overload, and pass by themselves.
    """
    if code == 1000:
        return None
    if code is None or code == 1006:
        return fault(C.PROTO_RESET, phase, "closed without a close frame (1006)", endpoint=endpoint)
    detail = f"close code {code}" + (f": {reason}" if reason else "")
    as_http = HTTP_STATUS.get(code - 4000)  # 4401-like codes of applications mirror HTTP's
    meant = as_http or _WS.get(code, C.APP_ERROR)
    return fault(meant, phase, detail, endpoint=endpoint)


_WS: Mapping[int, FaultCode] = {
    1001: C.APP_SHUTDOWN,
    1002: C.PROTO_WRONG,
    1003: C.PROTO_WRONG,
    1005: C.PROTO_CLOSED,
    1007: C.PROTO_WRONG,
    1008: C.APP_AUTH,
    1009: C.APP_MESSAGE_TOO_BIG,
    1010: C.PROTO_WRONG,
    1011: C.APP_ERROR,
    1012: C.APP_SHUTDOWN,
    1013: C.APP_OVERLOAD,
    1014: C.APP_UPSTREAM,
    1015: C.TLS_OTHER,
    3000: C.APP_AUTH,
    3003: C.APP_AUTH,
    3008: C.PROTO_SLOW,
}


def _coded(link: BaseException, modules: frozenset[str], phase: Phase | None, endpoint: str) -> Fault | None:
    """Read the close frame of `websockets`, or the status with which a server refused to upgrade.

    An exception that another interpreter described has no close frame where there was none: its class tells.
    """
    if "websockets" not in modules:
        return None
    status = getattr(getattr(link, "response", None), "status_code", None)
    if isinstance(status, int) and 100 <= status < 400:
        return fault(C.WS_NOT_UPGRADED, phase, f"HTTP {status} instead of 101", endpoint=endpoint)
    closed = any(ancestor.__name__.startswith("ConnectionClosed") for ancestor in type(link).__mro__)
    if status is None and (closed or hasattr(link, "rcvd")):
        frame = getattr(link, "rcvd", None)
        code, reason = (frame.code, frame.reason) if frame else (None, "")
        return ws_close_fault(code, reason, phase=phase, endpoint=endpoint)
    return None


KIND = Kind(
    name="websocket",
    title="WebSocket",
    schemes={"ws": Scheme(port=80, local=True), "wss": Scheme(port=443, tls=True)},
    keys=("headers", "echo", "expect_status"),
    expect_status=(101,),
    deadline="websocket_connection_s",
    templates=(
        Template(
            name="websocket",
            label="WebSocket",
            url="${STAGING_WEBSOCKET_URL}",
            local="ws://127.0.0.1:8092/ws",
            exports=tuple((name, "{local}") for name in ("WEBSOCKET_URL", "WS_URL", "WS_BASE_URL")),
            words=("WEBSOCKET", "WS"),
            markers=("websocket", "ws"),
            needs=("backend_api",),
        ),
    ),
    probe="resilience.services.websocket.probe:probe_websocket",
    words={
        C.APP_OVERLOAD: Words(
            cause="no healthy instance behind it, a cold start, or a dependency that is down",
            hint="look at its instances and at the backend behind it first (gcloud run services list; "
            "kubectl get pods); assess again",
        ),
        C.APP_AUTH: Words(
            cause="it is up and refuses us: token missing, expired, or the auth service is down",
            hint="set headers for this service (Authorization); is the token still valid?",
        ),
    },
    clients=("websockets", "websocket", "wsproto"),
    errors={
        ("websockets", "InvalidURI"): C.CONFIG_INVALID,
        ("websockets", "InvalidUpgrade"): C.WS_NOT_UPGRADED,
        ("websockets", "InvalidHeaderValue"): C.PROTO_WRONG,
        ("websockets", "InvalidHeader"): C.PROTO_WRONG,
    },
    vague={("websockets", "InvalidMessage"): C.PROTO_WRONG},
    coded=_coded,
    doubles=Doubles(
        stand_in="resilience.services.websocket.stand_in:STAND_INS",
        mock="websocket",
    ),
)
