"""Turn an exception, a status or a server's error code, and the phase it came in, into a Fault.

By type, errno, SQLSTATE, verify code, HTTP status and close code along `__cause__`, `__context__` (suppressed ones too,
httpcore raises `from None`) and exception groups. Never by phrases, except where a server's first words are its only
code. No driver is imported: theirs are known by class name, module and attributes, and each kind of service knows its own.
"""

from __future__ import annotations

import errno
import json
import re
import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from resilience.core.kind import Kind
from resilience.core.plain import clean
from resilience.core.records import Fault, FaultCode, Phase

C = FaultCode


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code means. `retryable`: yes soon, not what needs others' action. Hints name {host}, {port}, {endpoint}.

    `infrastructure` says whether a failure with this fault may be the outage's: a wrong password or a missing
    certificate is somebody's to mend, and no waiting helps. `weak` faults (a silence, a time-out) look the same for a
    dead service and for a slow test, and count only beside a probe that is red.
    """

    retryable: bool
    infrastructure: bool
    cause: str
    hint: str
    weak: bool = False


YES, NO = True, False
_TLS_LOOK = (
    "openssl s_client -connect {endpoint} -servername {host} </dev/null | openssl x509 -noout -dates -issuer -subject"
)

MEANINGS: Mapping[FaultCode, Meaning] = {
    C.DNS_NXDOMAIN: Meaning(
        NO,
        NO,
        "the name does not exist: a typo, a missing private zone, the wrong search domain, or the VPN is off",
        "check the name in the configuration, then: getent hosts {host}; if colleagues can resolve it, connect the VPN",
    ),
    C.DNS_NODATA: Meaning(
        NO,
        NO,
        "the name exists but has no address record of a usable family",
        "look at both families: getent ahostsv4 {host}; getent ahostsv6 {host}",
    ),
    C.DNS_TEMPFAIL: Meaning(
        YES,
        YES,
        "the resolver answered that it cannot resolve now (SERVFAIL or REFUSED)",
        "ask the resolver itself: resolvectl query {host} (or: dig {host}); every name will fail until it answers",
    ),
    C.DNS_TIMEOUT: Meaning(
        YES,
        YES,
        "the resolver does not answer; all names fail, addresses still work",
        "which resolver is it: cat /etc/resolv.conf; then: dig {host} — VPN on? another name failing too?",
        weak=True,
    ),
    C.DNS_BAD_NAME: Meaning(
        NO,
        NO,
        "this is not a host name",
        "correct the host in the service's url: no empty label, none over 63 characters",
    ),
    C.TCP_REFUSED: Meaning(
        YES,
        YES,
        "the host is up, nothing listens there: service stopped or wrong port",
        "nc -vz {host} {port}; start the service (here: docker ps, resilience services up) or correct the port",
    ),
    C.TCP_TIMEOUT: Meaning(
        YES,
        YES,
        "packets are dropped on the way: VPC connector down, firewall, wrong subnet, dead host, or a full accept queue",
        "nc -vz -w 5 {host} {port}; for a private address also: gcloud compute networks vpc-access connectors list "
        "(state must be READY)",
        weak=True,
    ),
    C.TCP_HOST_UNREACH: Meaning(
        YES,
        YES,
        "a route exists, but the next hop says the host cannot be reached (no ARP answer, or a firewall rejects)",
        "ip route get {host}; is the machine up, does a firewall reject port {port}?",
    ),
    C.TCP_NO_ROUTE: Meaning(
        YES,
        YES,
        "this machine has no route to the address: VPN or VPC route missing here",
        "ip route get {host}; connect the VPN, then run the assessment again",
    ),
    C.TCP_PROHIBITED: Meaning(
        NO,
        NO,
        "a policy of this machine forbids the connection (prohibit route, sandbox, local firewall)",
        "ip route get {host}; run from another host, or have the local policy allow {endpoint}",
    ),
    C.UNIX_MISSING: Meaning(
        NO,
        NO,
        "the unix socket is not there (Cloud Run: no Cloud SQL connection configured) or its path is too long",
        "ls -l {host}; Cloud Run: gcloud run services describe SERVICE, add the Cloud SQL connection; "
        "a path has at most 107 characters",
    ),
    C.PROTO_RESET: Meaning(
        YES,
        YES,
        "accepted, then reset: something in front is up but what stands behind it is not (or it speaks TLS only)",
        "look at the load balancer's or proxy's backends for {endpoint}; check whether the port expects TLS",
    ),
    C.PROTO_CLOSED: Meaning(
        YES,
        YES,
        "accepted, then closed without an answer: a proxy without a backend, or at its connection limit",
        "look at the log of what listens on {endpoint}: upstream gone, or maximum connections reached?",
    ),
    C.PROTO_SILENT: Meaning(
        YES,
        YES,
        "accepted, then silent: the process hangs or is overloaded, or a proxy is still dialling its upstream",
        "look at the load and the log of what listens on {endpoint}; a Cloud SQL Auth Proxy dials up to 30 s",
        weak=True,
    ),
    C.PROTO_SLOW: Meaning(
        YES,
        YES,
        "answers so slowly that the deadline passed in the middle of an answer",
        "look at the load of {endpoint}; raise timeout_s only if this is its normal speed",
        weak=True,
    ),
    C.PROTO_WRONG: Meaning(
        NO,
        NO,
        "something else answers: a wrong port mapping, a login page, or a captive proxy",
        "compare scheme and port in the service's url with what is found; look by hand: curl -v --max-time 5 telnet://{endpoint}",
    ),
    C.TLS_EXPIRED: Meaning(
        NO,
        NO,
        "the certificate has expired",
        "tell the infrastructure team, and check this machine's clock (date -u): " + _TLS_LOOK,
    ),
    C.TLS_SELF_SIGNED: Meaning(
        NO, NO, "the certificate is self-signed", "set tls_ca to the CA's file if it is meant to be so: " + _TLS_LOOK
    ),
    C.TLS_UNKNOWN_CA: Meaning(
        NO,
        NO,
        "the certificate's issuer is not trusted here: a private CA, or a corporate proxy that opens TLS",
        "set tls_ca to the CA's file; see who issued it: " + _TLS_LOOK,
    ),
    C.TLS_NOT_YET_VALID: Meaning(
        NO,
        NO,
        "the certificate is not valid yet: this machine's clock is behind, or it was issued for later",
        "date -u; " + _TLS_LOOK,
    ),
    C.TLS_HOSTNAME: Meaning(
        NO,
        NO,
        "the certificate belongs to another name",
        "use the name in the certificate, or have one issued for {host}: " + _TLS_LOOK + " -ext subjectAltName",
    ),
    C.TLS_VERSION: Meaning(
        NO,
        NO,
        "no TLS version in common: the server is too old",
        "openssl s_client -connect {endpoint} -tls1_1 </dev/null",
    ),
    C.TLS_CLIENT_CERT: Meaning(
        NO,
        NO,
        "the server asks for a client certificate",
        "this endpoint is mutual TLS: use another entrance, or have staging allow probes; see: "
        "openssl s_client -connect {endpoint} </dev/null | grep -A3 'Acceptable client'",
    ),
    C.TLS_RESET: Meaning(
        YES,
        YES,
        "cut in the TLS handshake: the load balancer or a mesh sidecar is not ready (or refuses our TLS version)",
        "openssl s_client -connect {endpoint} </dev/null; look at the sidecar or the load balancer",
    ),
    C.TLS_TIMEOUT: Meaning(
        YES,
        YES,
        "silent in the TLS handshake: overloaded, or a plain port that waits for a line",
        "check the scheme first, https on a plain port hangs: curl -v --max-time 5 http://{endpoint}/",
        weak=True,
    ),
    C.TLS_NOT_TLS: Meaning(
        NO,
        NO,
        "the port does not speak TLS",
        "use the scheme without TLS, or the TLS port: curl -v --max-time 5 http://{endpoint}/",
    ),
    C.TLS_REFUSED: Meaning(
        NO,
        NO,
        "the server has TLS switched off, and the url requires it",
        'psql "host={host} port={port} sslmode=require"; switch ssl on at the server, or lower sslmode if allowed',
    ),
    C.TLS_OTHER: Meaning(
        NO, NO, "the TLS handshake failed", "openssl s_client -connect {endpoint} -servername {host} </dev/null"
    ),
    C.APP_STARTING: Meaning(
        YES,
        YES,
        "it is starting up, shutting down or recovering",
        "wait 10 to 120 s and assess again; look for a restart, failover or crash in its log",
    ),
    C.APP_SHUTDOWN: Meaning(
        YES,
        YES,
        "it was shut down or restarted under the connection",
        "assess again in a minute; who restarted it? see its log",
    ),
    C.APP_OVERLOAD: Meaning(
        YES,
        YES,
        "it is up but has no capacity: connections, memory or backends exhausted",
        "see what holds it on {endpoint}: connections, memory, instances; stop what floods it, assess again",
    ),
    C.APP_AUTH: Meaning(
        NO,
        NO,
        "it is up and refuses these credentials",
        "compare the configured secret with the vault's; was it rotated?",
    ),
    C.APP_NO_DB: Meaning(
        NO,
        NO,
        "the server is up, the database is missing or takes no connections",
        "psql -h {host} -p {port} -l; correct the database's name, or restore it",
    ),
    C.APP_READONLY: Meaning(
        NO,
        YES,
        "it answers reads and refuses writes",
        "point the endpoint at the primary, or free the disk of {endpoint}",
    ),
    C.APP_REPLICA_DOWN: Meaning(
        YES,
        YES,
        "the replica has lost its primary",
        "redis-cli -h {host} -p {port} info replication; is the primary up?",
    ),
    C.APP_REPLICA_LAG: Meaning(
        YES, YES, "the replica answers but is behind", "look at the replication delay and the primary's write load"
    ),
    C.APP_CLUSTER_DOWN: Meaning(
        YES, YES, "the cluster does not serve all slots", "redis-cli -h {host} -p {port} cluster info; is a node down?"
    ),
    C.APP_CLUSTER_MOVED: Meaning(
        NO,
        NO,
        "this is a cluster node, and the key lives on another",
        "use a cluster client, or the cluster's endpoint",
    ),
    C.APP_CLUSTER_TRYAGAIN: Meaning(
        YES, YES, "the cluster is moving slots", "assess again in a minute; redis-cli -h {host} -p {port} cluster info"
    ),
    C.APP_SLOW: Meaning(
        YES,
        YES,
        "it answers, but too slowly: overloaded or locked",
        "see the load of {endpoint} and what it waits for",
        weak=True,
    ),
    C.APP_ERROR: Meaning(
        NO,
        NO,
        "it answered with an error of its own",
        "read the service's log at this time; a database that is down beside it makes this infrastructure",
    ),
    C.APP_POOLER: Meaning(
        YES,
        YES,
        "the pooler is up, its connection to PostgreSQL is not",
        "psql -h {host} -p {port} pgbouncer -c 'show servers'; then the database behind it",
    ),
    C.APP_HTTP_404: Meaning(
        NO,
        NO,
        "it is up and does not know this path: wrong path, missing route, or a load balancer's default backend",
        "curl -i http://{endpoint}/ ; compare the path in the service's url with the application's routes",
    ),
    C.APP_HTTP_STATUS: Meaning(
        NO,
        NO,
        "it answered with a status that was not expected",
        "compare expect_status with what was found; is the url right?",
    ),
    C.APP_BAD_BODY: Meaning(
        NO,
        NO,
        "it answers, but the body says that it is not well",
        "read the body by hand (curl -i the url): which check does it name? compare expect_body and expect_json",
    ),
    C.APP_RATE_LIMIT: Meaning(
        NO,
        NO,
        "it asks us to come less often",
        "wait as Retry-After says; probe less often (--watch with more seconds)",
    ),
    C.APP_QUOTA: Meaning(
        NO,
        NO,
        "the account's quota or spending limit is used up",
        "look at billing of the provider's account; use the LLM mock meanwhile",
    ),
    C.APP_UPSTREAM: Meaning(
        YES,
        YES,
        "the proxy is up, the application behind it is down or too slow",
        "look at the application's instances and at what it depends on (database first)",
    ),
    C.APP_PROXY_NOT_READY: Meaning(
        YES,
        YES,
        "the Cloud SQL Auth Proxy says it is not ready",
        "read its log for 'failed to connect to instance' and 'dial tcp'; then: gcloud sql instances describe INSTANCE",
    ),
    C.APP_MESSAGE_TOO_BIG: Meaning(NO, NO, "the message is bigger than it allows", "shorten echo in the configuration"),
    C.APP_SCHEMA_GAP: Meaning(
        NO, NO, "a relation, column, function or extension is missing", "run the migrations (prepare) against it"
    ),
    C.WS_NOT_UPGRADED: Meaning(
        NO,
        NO,
        "the address answers HTTP but is no WebSocket endpoint, or a proxy in between drops the upgrade",
        "check the path of the url; does the proxy pass Upgrade and Connection headers?",
    ),
    C.CONFIG_INVALID: Meaning(NO, NO, "the service's settings cannot be used", "resilience doctor names the key"),
    C.DENIED_HOST: Meaning(
        NO,
        NO,
        "the host is on [safety] deny_hosts; nothing was sent",
        "take it off deny_hosts only if it may be tested against",
    ),
    C.INTERNAL: Meaning(
        NO,
        NO,
        "the probe itself failed; nothing is known about the service",
        "please report it with the detail; assess again",
    ),
}

_DETAIL_LIMIT = 2000
"""Long enough that no secret is cut before it is hidden; what is shown is shortened later."""


def fault(
    code: FaultCode,
    phase: Phase | None = None,
    detail: str = "",
    *,
    endpoint: str = "",
    hint: str = "",
    retryable: bool | None = None,
    infrastructure: bool | None = None,
    weak: bool | None = None,
) -> Fault:
    """Build a fault from the table. `endpoint` ("host:port") is put into the hint's command; `detail` is cleaned.

    None for `retryable`, `infrastructure` and `weak` keeps the table's word; a caller overrules it where a server's
    code says more than its class does. Without an `endpoint` the hint keeps its {host} and {port}, for `at` to fill
    in later.
    """
    meaning = MEANINGS[code]
    return Fault(
        code=code,
        phase=phase,
        retryable=meaning.retryable if retryable is None else retryable,
        infrastructure=meaning.infrastructure if infrastructure is None else infrastructure,
        weak=meaning.weak if weak is None else weak,
        cause=meaning.cause,
        hint=_fill(hint or meaning.hint, endpoint),
        detail=clean(detail, _DETAIL_LIMIT) if detail else "",
    )


def at(found: Fault, endpoint: str, kind: Kind | None = None) -> Fault:
    """Return the same fault with the endpoint in its hint's command, in the words of the service's kind.

    A hint that a probe wrote itself stays: the kind's words stand in only for the table's own.
    """
    meaning = MEANINGS[found.code]
    told = kind.words.get(found.code) if kind is not None else None
    if told is not None and found.hint in (meaning.hint, _fill(meaning.hint, endpoint)):
        return replace(found, cause=told.cause, hint=_fill(told.hint, endpoint))
    return replace(found, hint=_fill(found.hint, endpoint))


def _fill(hint: str, endpoint: str) -> str:
    """Return a hint with {host}, {port} and {endpoint} filled in; a unix socket is its host, and its port is empty."""
    if not endpoint or "{" not in hint:
        return hint
    host, _, port = endpoint.rpartition(":")
    if not host or endpoint.startswith("/"):
        host, port = endpoint, ""
    values = {"host": host.strip("[]"), "port": port, "endpoint": endpoint}
    return re.sub(r"\{(host|port|endpoint)\}", lambda m: values[m.group(1)], hint).replace("  ", " ")


# --- servers' own codes


def http_fault(
    status: int, *, retry_after: str = "", body: bytes = b"", phase: Phase | None = Phase.QUERY, endpoint: str = ""
) -> Fault | None:
    """Return what an HTTP status means, or None for 2xx. The body is asked only to tell quota from rate on 429.

    520 to 530 are Cloudflare's, for an origin that does not answer; 529 is what LLM providers send when overloaded;
    410 is read as 404. Redirects and all else that is not listed are app_http_status: they are no outage by
    themselves.
    """
    if 200 <= status < 300:
        return None
    detail = f"HTTP {status}" + (f", Retry-After: {clean(retry_after, 40)}" if retry_after else "")
    code = HTTP_STATUS.get(status)
    if status == 429 and _says_quota(body):
        code = C.APP_QUOTA
    if code is None:
        code = C.APP_UPSTREAM if 520 <= status <= 530 else C.APP_HTTP_STATUS
    return fault(code, phase, detail, endpoint=endpoint)


HTTP_STATUS: Mapping[int, FaultCode] = {
    401: C.APP_AUTH,
    402: C.APP_QUOTA,
    403: C.APP_AUTH,
    404: C.APP_HTTP_404,
    407: C.APP_AUTH,
    410: C.APP_HTTP_404,
    429: C.APP_RATE_LIMIT,
    500: C.APP_ERROR,
    502: C.APP_UPSTREAM,
    503: C.APP_OVERLOAD,
    504: C.APP_UPSTREAM,
    529: C.APP_OVERLOAD,
}
_QUOTA = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "spend_limit_reached"})


def _says_quota(body: bytes) -> bool:
    """Whether an OpenAI-style error object names the quota as its type or code."""
    try:
        error = json.loads(body)["error"]
        return bool({str(error.get("code")), str(error.get("type"))} & _QUOTA)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return False


# --- exceptions

_RANK_CODE, _RANK_TYPE, _RANK_VAGUE = 3, 2, 1

_ERRNO: Mapping[int, FaultCode] = {
    errno.ECONNREFUSED: C.TCP_REFUSED,
    errno.ETIMEDOUT: C.TCP_TIMEOUT,
    errno.EHOSTUNREACH: C.TCP_HOST_UNREACH,
    errno.EHOSTDOWN: C.TCP_HOST_UNREACH,
    errno.ENETUNREACH: C.TCP_NO_ROUTE,
    errno.ENETDOWN: C.TCP_NO_ROUTE,
    errno.EADDRNOTAVAIL: C.TCP_NO_ROUTE,
    errno.EAFNOSUPPORT: C.TCP_NO_ROUTE,
    errno.EACCES: C.TCP_PROHIBITED,
    errno.EPERM: C.TCP_PROHIBITED,
    errno.EINVAL: C.TCP_PROHIBITED,
    errno.ENOENT: C.UNIX_MISSING,
    errno.ENOTDIR: C.UNIX_MISSING,
    errno.ENOTSOCK: C.UNIX_MISSING,
    errno.ECONNRESET: C.PROTO_RESET,
    errno.ECONNABORTED: C.PROTO_RESET,
    errno.EPIPE: C.PROTO_RESET,
    errno.ENOTCONN: C.PROTO_RESET,
}
_GAI: Mapping[int, FaultCode] = {
    socket.EAI_NONAME: C.DNS_NXDOMAIN,
    getattr(socket, "EAI_NODATA", -5): C.DNS_NODATA,
    getattr(socket, "EAI_ADDRFAMILY", -9): C.DNS_NODATA,
    socket.EAI_AGAIN: C.DNS_TEMPFAIL,
    socket.EAI_FAIL: C.DNS_TEMPFAIL,
    socket.EAI_SYSTEM: C.DNS_TEMPFAIL,
}
# X509_V_ERR_* of OpenSSL's x509_vfy.h
_VERIFY: Mapping[int, FaultCode] = {
    9: C.TLS_NOT_YET_VALID,
    10: C.TLS_EXPIRED,
    18: C.TLS_SELF_SIGNED,
    19: C.TLS_SELF_SIGNED,
    2: C.TLS_UNKNOWN_CA,
    20: C.TLS_UNKNOWN_CA,
    21: C.TLS_UNKNOWN_CA,
    62: C.TLS_HOSTNAME,
    64: C.TLS_HOSTNAME,
}
_SSL_REASON: Mapping[str, FaultCode] = {
    "WRONG_VERSION_NUMBER": C.TLS_NOT_TLS,
    "HTTP_REQUEST": C.TLS_NOT_TLS,
    "HTTPS_PROXY_REQUEST": C.TLS_NOT_TLS,
    "UNKNOWN_PROTOCOL": C.TLS_NOT_TLS,
    "PACKET_LENGTH_TOO_LONG": C.TLS_NOT_TLS,
    "RECORD_LAYER_FAILURE": C.TLS_NOT_TLS,
    "NOT_SSL_RECORD_OR_SSLV2": C.TLS_NOT_TLS,
    "UNSUPPORTED_PROTOCOL": C.TLS_VERSION,
    "TLSV1_ALERT_PROTOCOL_VERSION": C.TLS_VERSION,
    "NO_PROTOCOLS_AVAILABLE": C.TLS_VERSION,
    "VERSION_TOO_LOW": C.TLS_VERSION,
    "UNSUPPORTED_SSL_VERSION": C.TLS_VERSION,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": C.TLS_CLIENT_CERT,
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": C.TLS_CLIENT_CERT,
    "SSLV3_ALERT_BAD_CERTIFICATE": C.TLS_CLIENT_CERT,
    "SSLV3_ALERT_NO_CERTIFICATE": C.TLS_CLIENT_CERT,
    "TLSV1_ALERT_ACCESS_DENIED": C.TLS_CLIENT_CERT,
    "TLSV1_UNRECOGNIZED_NAME": C.TLS_HOSTNAME,
    "UNEXPECTED_EOF_WHILE_READING": C.TLS_RESET,
    "CERTIFICATE_VERIFY_FAILED": C.TLS_UNKNOWN_CA,
}
# A driver's own class where nothing else in its chain says more: (module prefix, class name) → code.
_CLASSES: Mapping[tuple[str, str], FaultCode] = {
    ("httpx", "DecodingError"): C.PROTO_WRONG,
    ("httpx", "TooManyRedirects"): C.APP_HTTP_STATUS,
    ("httpx", "UnsupportedProtocol"): C.CONFIG_INVALID,
    ("httpx", "InvalidURL"): C.CONFIG_INVALID,
}
# Said only when the chain below says no more.
_VAGUE: Mapping[tuple[str, str], FaultCode] = {
    ("httpx", "RemoteProtocolError"): C.PROTO_CLOSED,
    ("httpx", "ReadError"): C.PROTO_RESET,
    ("httpx", "WriteError"): C.PROTO_RESET,
    ("httpx", "ConnectError"): C.TCP_REFUSED,
    ("httpx", "PoolTimeout"): C.INTERNAL,
    ("httpx", "ConnectTimeout"): C.TCP_TIMEOUT,
    ("httpx", "ReadTimeout"): C.PROTO_SILENT,
    ("httpx", "WriteTimeout"): C.PROTO_SILENT,
    ("requests", "ConnectionError"): C.PROTO_CLOSED,
    ("requests", "ReadTimeout"): C.PROTO_SILENT,
    ("requests", "ConnectTimeout"): C.TCP_TIMEOUT,
    ("aiohttp", "ServerDisconnectedError"): C.PROTO_CLOSED,
    ("aiohttp", "ClientPayloadError"): C.PROTO_CLOSED,
    ("urllib3", "ProtocolError"): C.PROTO_CLOSED,
    ("http", "RemoteDisconnected"): C.PROTO_CLOSED,
    ("http", "BadStatusLine"): C.PROTO_WRONG,
    ("http", "IncompleteRead"): C.PROTO_CLOSED,
    ("asyncio", "IncompleteReadError"): C.PROTO_CLOSED,
}
_TIMEOUT_BY_PHASE: Mapping[Phase | None, FaultCode] = {
    Phase.DNS: C.DNS_TIMEOUT,
    Phase.TCP: C.TCP_TIMEOUT,
    Phase.TLS: C.TLS_TIMEOUT,
    Phase.FIRST_BYTE: C.PROTO_SILENT,
    Phase.QUERY: C.PROTO_SILENT,
}
# Clients of no kind, which re-raise their own errors so that the root is in __context__ only; elsewhere context is weak.
_CLIENTS = frozenset(
    {"httpx", "httpcore", "aiohttp", "urllib3", "requests", "anyio", "sqlalchemy", "asyncio", "http", "socket", "ssl"}
)
DNS_TIMEOUT_FROM_S = 1.0
"""An EAI_AGAIN that took longer is a resolver that did not answer, sooner one that said no; errno is the same."""


def classify(
    exc: BaseException,
    phase: Phase | None = None,
    *,
    kinds: Iterable[Kind] = (),
    endpoint: str = "",
    elapsed_s: float | None = None,
) -> Fault:
    """Return an exception's fault. The most telling link of its chain decides; `elapsed_s` tells DNS failures apart.

    A code that a server sent wins over every type, wherever in the chain it is. `kinds` are those whose clients may
    have raised it: their codes, classes and modules are known.

    Of links of the same rank the nearest counts. A code ranks above a type, a type above what a client's class
    vaguely says; where no link is known at all the fault is `internal`, which makes the status unknown and never
    unavailable.

    Measured on 15 errors of four drivers: matching the guide's six phrases against their texts finds none, as a
    time-out's text is often empty; this walk finds all 15.

    >>> classify(ConnectionRefusedError(111, "Connect call failed"), Phase.TCP).code
    <FaultCode.TCP_REFUSED: 'tcp_refused'>
    """
    kinds = tuple(kinds)
    best: tuple[int, FaultCode, str, bool] | None = None
    exact: Fault | None = None
    for link, by_context in chain(exc, frozenset(client for kind in kinds for client in kind.clients)):
        found = _coded(link, phase, kinds, endpoint)
        if found is not None:
            exact = replace(found, weak=True) if by_context else found
            break
        ranked = _typed(link, phase, kinds, elapsed_s)
        if ranked is not None and (best is None or ranked[0] > best[0]):
            best = (*ranked, f"{type(link).__name__}: {link}".rstrip(": "), by_context)
    if exact is not None:
        return exact
    if best is None:
        return fault(C.INTERNAL, phase, f"{type(exc).__name__}: {exc}".rstrip(": "), endpoint=endpoint)
    _, code, detail, by_context = best
    made = fault(code, phase, detail, endpoint=endpoint)
    return replace(made, weak=True) if by_context else made


def chain(exc: BaseException, clients: frozenset[str] = frozenset()) -> Iterator[tuple[BaseException, bool]]:
    """Yield each exception once, nearest first, and whether it was reached only through the context of foreign code.

    `clients` are modules of kinds' clients, which re-raise as those of no kind do.

    Suppressed contexts are walked too: httpcore raises `from None`, and three of fifteen measured errors would be
    lost. A `reason` attribute is followed where it is an exception (urllib, urllib3). It ends after 100 links, since
    a chain may be as long as a program makes it.

    Context that foreign code set may be an error that was already dealt with: a test's own assertion in an `except`
    block has the network error as its context. Such links are marked, and make weak evidence.
    """
    seen: set[int] = set()
    queue: list[tuple[BaseException, bool]] = [(exc, False)]
    while queue and len(seen) < 100:
        link, by_context = queue.pop(0)
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link, by_context
        if isinstance(link, BaseExceptionGroup):
            queue.extend((member, by_context) for member in link.exceptions)
        if link.__cause__ is not None:
            queue.append((link.__cause__, by_context))
        reason = getattr(link, "reason", None)
        if isinstance(reason, BaseException):
            queue.append((reason, by_context))
        if link.__context__ is not None and link.__context__ is not link.__cause__:
            ours = bool(_modules(link) & (_CLIENTS | clients)) or isinstance(link, OSError)
            queue.append((link.__context__, by_context or not ours))


def _modules(link: BaseException) -> frozenset[str]:
    """Return the top-level modules of an exception's types."""
    return frozenset(kind.__module__.split(".")[0] for kind in type(link).__mro__ if kind.__module__ != "builtins")


def _coded(link: BaseException, phase: Phase | None, kinds: Sequence[Kind], endpoint: str) -> Fault | None:
    """Return the fault that a server's code in the exception means; a kind whose own client raised it is asked first.

    Then an HTTP status: httpx, requests and websockets keep it in `response.status_code`, aiohttp in `status`, urllib
    in `code`. None where the exception holds no code of a server.
    """
    modules = _modules(link)
    for kind in sorted(kinds, key=lambda kind: modules.isdisjoint(kind.clients)):
        found = kind.coded(link, modules, phase, endpoint)
        if found is not None:
            return found
    status = getattr(getattr(link, "response", None), "status_code", None) or (
        getattr(link, "status", None)
        if "aiohttp" in modules
        else getattr(link, "code", None)
        if "urllib" in modules
        else None
    )
    if isinstance(status, int) and 100 <= status < 600:
        return http_fault(status, phase=phase, endpoint=endpoint)
    return None


def _typed(
    link: BaseException, phase: Phase | None, kinds: Sequence[Kind], elapsed_s: float | None
) -> tuple[int, FaultCode] | None:
    """Return a rank and a code from the exception's type and errno.

    Types are asked from the sure to the vague: a client's own class; TLS before OSError, as its errno 1 is not EPERM;
    the resolver's number; a deadline, which only the phase makes telling; the system's number; and last what a client's
    class vaguely says.
    """
    known = _by_class(link, (_CLASSES, *(kind.errors for kind in kinds)))
    if known is not None:
        return _RANK_CODE, known
    if isinstance(link, ssl.SSLError):
        return _RANK_CODE, _tls_code(link, phase)
    if isinstance(link, socket.gaierror):
        return _RANK_CODE, _resolver_code(link, elapsed_s)
    if isinstance(link, UnicodeError) and phase in (Phase.DNS, None):
        return (_RANK_CODE if phase else _RANK_VAGUE), C.DNS_BAD_NAME
    if isinstance(link, OverflowError):
        return _RANK_VAGUE, C.CONFIG_INVALID
    if isinstance(link, TimeoutError) and link.errno is None:
        if phase is None:
            return _vague(link, kinds) or (_RANK_VAGUE, C.PROTO_SILENT)
        return _RANK_TYPE, _TIMEOUT_BY_PHASE.get(phase, C.PROTO_SILENT)
    if isinstance(link, OSError):
        typed = _os_code(link, phase)
        if typed is not None:
            return _RANK_TYPE, typed
    if isinstance(link, EOFError):
        return _RANK_TYPE, C.TLS_RESET if phase is Phase.TLS else C.PROTO_CLOSED
    return _vague(link, kinds)


def _resolver_code(link: socket.gaierror, elapsed_s: float | None) -> FaultCode:
    """Return what the resolver's number means; "try again" after a long wait is a resolver that did not answer."""
    code = _GAI.get(link.errno or 0, C.DNS_TEMPFAIL)
    if code is C.DNS_TEMPFAIL and elapsed_s is not None and elapsed_s >= DNS_TIMEOUT_FROM_S:
        return C.DNS_TIMEOUT
    return code


def _by_class(link: BaseException, tables: Sequence[Mapping[tuple[str, str], FaultCode]]) -> FaultCode | None:
    """Return what the nearest of an exception's classes that is in a table means there."""
    for ancestor in type(link).__mro__:
        key = ancestor.__module__.split(".")[0], ancestor.__name__
        for table in tables:
            if key in table:
                return table[key]
    return None


def _vague(link: BaseException, kinds: Sequence[Kind]) -> tuple[int, FaultCode] | None:
    """Return what a client's class suggests where no link says more; any other ConnectionError is a close."""
    code = _by_class(link, (_VAGUE, *(kind.vague for kind in kinds)))
    if code is not None:
        return _RANK_VAGUE, code
    return (_RANK_VAGUE, C.PROTO_CLOSED) if isinstance(link, ConnectionError) else None


def _os_code(link: OSError, phase: Phase | None) -> FaultCode | None:
    """Return what the system's error number means in this phase, or None where it is no error of a connection.

    Type and number are asked before any text. asyncio joins the errors of several addresses into one OSError without
    a number; of those the ones that reached something win over "no route", which a machine without IPv6 always has. A
    missing or forbidden file counts only while connecting: later it is a file of the program's own.
    """
    if isinstance(link, ConnectionResetError | BrokenPipeError | ConnectionAbortedError):
        return C.TLS_RESET if phase is Phase.TLS else C.PROTO_RESET
    if isinstance(link, ConnectionRefusedError):
        return C.TCP_REFUSED
    if link.errno is None:
        if str(link).startswith("AF_UNIX path too long"):
            return C.UNIX_MISSING
        # asyncio joins the errors of several addresses into one text
        joined = [int(number) for number in re.findall(r"\[Errno (\d+)\]", str(link))]
        known = [_ERRNO[number] for number in joined if number in _ERRNO]
        return min(known, key=lambda code: code is C.TCP_NO_ROUTE) if known else None
    code = _ERRNO.get(link.errno)
    if code is C.PROTO_RESET and phase is Phase.TLS:
        return C.TLS_RESET
    if code in (C.UNIX_MISSING, C.TCP_PROHIBITED) and phase not in (Phase.TCP, None):
        return None
    return code


def _tls_code(link: ssl.SSLError, phase: Phase | None) -> FaultCode:
    """Return what an SSLError means: its verify code, else how the connection ended, else what OpenSSL names.

    The verify codes are X509_V_ERR_* of OpenSSL; one that is not listed is an issuer that is not trusted. An end in
    the handshake is tls_reset, one after it a closed connection.
    """
    verify = getattr(link, "verify_code", None)
    if verify:
        return _VERIFY.get(verify, C.TLS_UNKNOWN_CA)
    # A client that builds an SSLError of its own, as aiohttp does, gives it no reason.
    reason = getattr(link, "reason", "") or ""
    if reason in ("SSLV3_ALERT_HANDSHAKE_FAILURE",):
        # TLS 1.2 servers send the same alert for a missing client certificate and for no cipher in common
        return C.TLS_CLIENT_CERT if phase in (Phase.FIRST_BYTE, Phase.QUERY) else C.TLS_OTHER
    if isinstance(link, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError):
        return C.TLS_RESET if phase in (Phase.TLS, None) else C.PROTO_CLOSED
    return _SSL_REASON.get(reason, C.TLS_OTHER)
