"""Turn what a test raised into what it says of the far side: a sign of an outage, a refusal, the client's own error, or nothing.

By type, code and status along the whole chain, never by phrase: what a mocked or translated text says is no evidence. The
rules that weigh a sign against looks at the service are those of `evidence`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from resilience.core.kind import Kind
from resilience.core.records import FaultCode
from resilience.suite.chains import classify_chain, is_assertion, is_test_timeout, modules

C = FaultCode

CONNECT = frozenset(
    {
        C.DNS_NXDOMAIN, C.DNS_NODATA, C.DNS_TEMPFAIL, C.DNS_TIMEOUT, C.TCP_REFUSED, C.TCP_TIMEOUT, C.TCP_HOST_UNREACH,
        C.TCP_NO_ROUTE,
    }
)  # fmt: skip
"""The far side was never reached."""
TALK = frozenset(
    {
        C.PROTO_RESET, C.PROTO_CLOSED, C.PROTO_SILENT, C.PROTO_SLOW, C.PROTO_WRONG, C.WS_NOT_UPGRADED, C.TLS_EXPIRED,
        C.TLS_SELF_SIGNED, C.TLS_UNKNOWN_CA, C.TLS_NOT_YET_VALID, C.TLS_HOSTNAME, C.TLS_VERSION, C.TLS_CLIENT_CERT,
        C.TLS_RESET, C.TLS_TIMEOUT, C.TLS_NOT_TLS, C.TLS_REFUSED, C.TLS_OTHER,
    }
)  # fmt: skip
"""It was reached, and gave no answer of its protocol."""
ANSWER = frozenset(
    {
        C.APP_STARTING, C.APP_SHUTDOWN, C.APP_OVERLOAD, C.APP_UPSTREAM, C.APP_POOLER, C.APP_REPLICA_DOWN,
        C.APP_CLUSTER_DOWN, C.APP_PROXY_NOT_READY, C.APP_SLOW, C.APP_REPLICA_LAG, C.APP_CLUSTER_TRYAGAIN,
        C.APP_RATE_LIMIT,
    }
)  # fmt: skip
"""It answered that it is unwell."""
WRITE = frozenset({C.APP_READONLY})
"""It answers reads and refuses writes."""
SIGNS = CONNECT | TALK | ANSWER | WRITE
REFUSALS = frozenset({C.APP_AUTH, C.APP_NO_DB, C.APP_QUOTA})
"""It is well enough to say no."""
DEADLINES = frozenset(
    {C.DNS_TIMEOUT, C.TCP_TIMEOUT, C.PROTO_SILENT, C.PROTO_SLOW, C.TLS_TIMEOUT, C.APP_SLOW}
)  # fmt: skip
"""Somebody waited in vain: a slow service explains it as well as a dead one."""

PATH = "path"
"""The depth of a look by the same kind of GET as failed."""
WRITES = "writes"
"""The depth of a look that tried to write, or asked for the role."""

OWN: Mapping[tuple[str, str], str] = {
    ("asyncpg", "InterfaceError"): "used after closing, in progress, or told wrongly",
    ("psycopg", "InterfaceError"): "used after closing",
    ("psycopg2", "InterfaceError"): "used after closing",
    ("psycopg2", "PoolError"): "its pool is exhausted or closed",
    ("psycopg_pool", "PoolClosed"): "its pool is closed",
    ("psycopg_pool", "TooManyRequests"): "its pool's queue is full",
    ("sqlalchemy", "InvalidRequestError"): "used wrongly",
    ("sqlalchemy", "ArgumentError"): "told wrongly",
    ("redis", "MaxConnectionsError"): "its pool is exhausted",
    ("redis", "DataError"): "told wrongly",
    ("httpx", "LocalProtocolError"): "it broke the protocol itself",
    ("httpx", "UnsupportedProtocol"): "told wrongly",
    ("httpx", "InvalidURL"): "told wrongly",
    ("httpx", "StreamError"): "a body read twice or too late",
    ("requests", "InvalidURL"): "told wrongly",
    ("requests", "InvalidHeader"): "told wrongly",
    ("requests", "MissingSchema"): "told wrongly",
    ("requests", "InvalidSchema"): "told wrongly",
    ("urllib3", "ClosedPoolError"): "its pool is closed",
    ("urllib3", "LocationParseError"): "told wrongly",
    ("aiohttp", "InvalidURL"): "told wrongly",
    ("websockets", "InvalidURI"): "told wrongly",
    ("pymysql", "InterfaceError"): "used after closing",
    ("pymongo", "InvalidOperation"): "used after closing",
}
"""(module, class) of errors that a client makes by itself, with their subclasses → what that is."""
OWN_EXACTLY: Mapping[tuple[str, str], str] = {
    ("aiohttp", "ClientConnectionError"): "its session or connector is closed",
}
"""The same where subclasses speak of the far side."""
POOLS: Mapping[tuple[str, str], str] = {
    ("httpx", "PoolTimeout"): "its pool is exhausted",
    ("httpcore", "PoolTimeout"): "its pool is exhausted",
    ("sqlalchemy", "TimeoutError"): "its pool is exhausted",
    ("psycopg_pool", "PoolTimeout"): "its pool is exhausted, or could not fill itself",
    ("urllib3", "EmptyPoolError"): "its pool is exhausted",
}
"""Waits for a connection of the client's own pool: the time-out within is that wait, and no sign."""
MORE: Mapping[tuple[str, str], FaultCode] = {
    ("kombu", "OperationalError"): C.PROTO_CLOSED,
    ("amqp", "ConnectionError"): C.PROTO_CLOSED,
    ("pika", "AMQPConnectionError"): C.PROTO_CLOSED,
    ("pymongo", "AutoReconnect"): C.PROTO_CLOSED,
    ("pymongo", "ServerSelectionTimeoutError"): C.TCP_TIMEOUT,
    ("elastic_transport", "ConnectionError"): C.PROTO_CLOSED,
    ("elasticsearch", "ConnectionError"): C.PROTO_CLOSED,
    ("botocore", "EndpointConnectionError"): C.TCP_REFUSED,
    ("botocore", "ConnectTimeoutError"): C.TCP_TIMEOUT,
    ("botocore", "ReadTimeoutError"): C.PROTO_SILENT,
    ("kafka", "NoBrokersAvailable"): C.TCP_REFUSED,
    ("kafka", "KafkaTimeoutError"): C.PROTO_SILENT,
    ("confluent_kafka", "KafkaException"): C.PROTO_CLOSED,
    ("cassandra", "NoHostAvailable"): C.TCP_REFUSED,
    ("smtplib", "SMTPServerDisconnected"): C.PROTO_CLOSED,
    ("ldap3", "LDAPSocketOpenError"): C.TCP_REFUSED,
    ("nats", "NoServersError"): C.TCP_REFUSED,
    ("docker", "DockerException"): C.PROTO_CLOSED,
}
"""Signs of clients of services that no kind of ours speaks to, where the chain below says no more."""
_GRPC: Mapping[str, FaultCode] = {
    "UNAVAILABLE": C.PROTO_CLOSED,
    "DEADLINE_EXCEEDED": C.PROTO_SILENT,
    "RESOURCE_EXHAUSTED": C.APP_OVERLOAD,
    "UNAUTHENTICATED": C.APP_AUTH,
    "PERMISSION_DENIED": C.APP_AUTH,
}
_MYSQL: Mapping[int, FaultCode] = {
    2002: C.TCP_REFUSED,
    2003: C.TCP_REFUSED,
    2005: C.DNS_NXDOMAIN,
    2006: C.PROTO_CLOSED,
    2013: C.PROTO_CLOSED,
    2055: C.PROTO_CLOSED,
    1040: C.APP_OVERLOAD,
    1045: C.APP_AUTH,
    1049: C.APP_NO_DB,
    1290: C.APP_READONLY,
    1836: C.APP_READONLY,
}
"""Error numbers of MySQL's clients and servers (MySQL manual, error reference)."""
_CLIENTS = frozenset(
    {
        "httpx", "httpcore", "requests", "urllib3", "aiohttp", "sqlalchemy", "psycopg_pool", "kombu", "amqp", "celery", "pika",
        "pymongo", "pymysql", "MySQLdb", "grpc", "botocore", "elasticsearch", "elastic_transport", "kafka", "cassandra",
    }
)  # fmt: skip
"""Modules of clients that are of no kind of ours."""


class Said(StrEnum):
    """What an error says of the far side."""

    SIGN = "sign"
    REFUSAL = "refusal"
    OWN = "own"
    """A client made it by itself."""
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one failure says. `code` is the sign's or the refusal's, also where an assertion stands in front of it."""

    said: Said
    code: FaultCode | None = None
    fault: FaultCode | None = None
    """What the error means, also where that is no sign; for people."""
    assertion: bool = False
    """Whether the test itself said that something is wrong."""
    hung: bool = False
    """Whether it is the end that a time-out plug-in puts to a test."""
    gap: str = ""
    """SQLSTATE of something that is missing in a database."""
    node: int = 0
    """Which link of the chain says it."""
    answered: bool = False
    """libpq: the server answered and said no, in words without a code."""
    depth: str = ""
    """How deep a look has to go before its green speaks against the sign: PATH, WRITES, or as the service is probed."""
    answer: bool = False
    """Whether a server answered in full, and what it said is neither a sign nor a refusal."""
    wrongly: bool = False
    """Whether a client refused what it was told: it never tried to connect."""
    texts: tuple[str, ...] = ()

    @property
    def deadline(self) -> bool:
        return self.hung or self.code in DEADLINES

    @property
    def connecting(self) -> bool:
        """Whether nothing can have been done on the far side: it was never reached."""
        return self.code in CONNECT and not self.answered

    @property
    def writing(self) -> bool:
        return self.depth == WRITES


def read(chain: Sequence[Mapping[str, Any]], kinds: Iterable[Kind]) -> Reading:
    """Return what a described exception says of the far side.

    A code that a server sent decides before any type, a sign below in the chain before a client's own error above it. The
    errors a client makes by itself are taken out first, pools with all that lies below them.
    """
    kinds = tuple(kinds)
    if not chain:
        return Reading(said=Said.NOTHING)
    hung = is_test_timeout(chain[0])
    gap = _gap(chain, kinds)
    own, masked = _without_own(chain)
    fault = classify_chain(masked, kinds)
    code, answered = _code_of(chain, fault.code if fault is not None else None, gap)
    if hung:
        code = C.PROTO_SILENT
    said = _said(code, own)
    speaks = said in (Said.SIGN, Said.REFUSAL)
    node = _node_of(masked, code, kinds) if speaks else 0
    return Reading(
        said=said,
        code=code if speaks else None,
        fault=code or (fault.code if fault is not None else None),
        assertion=is_assertion(chain),
        hung=hung,
        gap=gap,
        node=node,
        answered=answered,
        depth=_depth(chain[node], code),
        answer=said is Said.NOTHING and _answered(chain),
        wrongly=said is Said.OWN and own.endswith("told wrongly"),
        texts=_texts(chain[node], said, code, own),
    )


def _gap(chain: Sequence[Mapping[str, Any]], kinds: Sequence[Kind]) -> str:
    """Return the first SQLSTATE of something that is missing in a database, or ""."""
    codes = frozenset[str]().union(*(kind.gap_codes for kind in kinds))
    return next((str(node["sqlstate"]) for node in chain if node.get("sqlstate") in codes), "")


def _code_of(chain: Sequence[Mapping[str, Any]], code: FaultCode | None, gap: str) -> tuple[FaultCode | None, bool]:
    """Return what the chain says, given what the standard library's and the kinds' types and codes say of it.

    Where that is neither a sign nor a refusal, clients without such types are asked. Whether a server answered stands beside it.
    """
    damaged = any(str(node.get("sqlstate", "")).startswith("58") for node in chain)
    if code is C.APP_ERROR and damaged and not gap:
        return C.APP_OVERLOAD, False  # class 58: an error of the system below the server
    return (code, False) if code in SIGNS | REFUSALS else _by_client(chain, code)


def _said(code: FaultCode | None, own: str) -> Said:
    """Return what a code is of: a sign goes before a refusal, both go before a client's own error."""
    if code in SIGNS:
        return Said.SIGN
    if code in REFUSALS:
        return Said.REFUSAL
    return Said.OWN if own else Said.NOTHING


def _texts(node: Mapping[str, Any], said: Said, code: FaultCode | None, own: str) -> tuple[str, ...]:
    """Return in words what was read: the type and code of the link that says it, else the client's own error."""
    if code is not None and said is not Said.OWN:
        return (f"{node.get('type', '')}: {code.value}",)
    return (own,) if own else ()


def _answered(chain: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a server's own code is in the outermost errors: an SQLSTATE, or a status that is none of an unwell server."""
    return any(node.get("sqlstate") or (node.get("status") and int(node["status"]) < 500) for node in chain[:3])


_FULL = frozenset({"53100", "53200"})
"""SQLSTATEs of a full disk and of memory that is used up."""
_UNWELL = frozenset({429, 502, 503, 504, 529, *range(520, 531)})
"""HTTP statuses of a server that is unwell, or of a proxy whose upstream is."""


def _depth(node: Mapping[str, Any], code: FaultCode | None) -> str:
    """Return the depth at which a sign was seen: a green PING says nothing of a server that takes no writes."""
    if code in WRITE or node.get("sqlstate") in _FULL or str(node.get("text", "")).startswith("OOM "):
        return WRITES
    if "OutOfMemoryError" in {name for _, name in _classes(node)}:
        return WRITES
    return PATH if node.get("status") in _UNWELL else ""


def is_clients(chain: Sequence[Mapping[str, Any]], kinds: Iterable[Kind]) -> bool:
    """Whether the outermost error is of a client's own type and carries no answer of a server: no SQLSTATE, no status."""
    if not chain or any(chain[0].get(name) for name in ("sqlstate", "status", "status_word", "close_code")):
        return False
    known = _CLIENTS.union(*(kind.clients for kind in kinds))
    answers = {("redis", "ResponseError"), ("sqlalchemy", "IntegrityError"), ("sqlalchemy", "ProgrammingError")}
    return bool(modules(chain[:1]) & known) and not answers & set(_classes(chain[0]))


def _without_own(chain: Sequence[Mapping[str, Any]]) -> tuple[str, list[Mapping[str, Any]]]:
    """Return what the client's own error is, or "", and the chain with such errors made neutral."""
    own = ""
    masked: list[Mapping[str, Any]] = []
    below: set[int] = set()
    doubles = _of_doubles(chain)
    for number, node in enumerate(chain):
        classes = _classes(node)
        pool = next((POOLS[key] for key in classes if key in POOLS), "")
        what = (
            pool
            or next((OWN[key] for key in classes if key in OWN), "")
            or (OWN_EXACTLY.get(classes[0], "") if classes else "")
        )
        if not what and _libpq(node) and node.get("libpq") is None:
            what = "told wrongly, or used wrongly"
        if pool or node.get("of") in below:
            below.add(number)
        if what or number in below or number in doubles or _libpq(node):
            # What libpq says is read apart from this: its type alone means everything from a slip to an outage.
            own = own or (f"{node.get('type', '')}: {what}" if what else "")
            masked.append(
                {**node, "mro": ["Exception"], "errno": None, "sqlstate": None, "status": None, "status_word": None}
            )
        else:
            masked.append(node)
    return own, masked


def by_double(chain: Sequence[Mapping[str, Any]]) -> str:
    """Return the module of the double, such as unittest.mock, that raised the outermost error; "" where none did."""
    return str(chain[0].get("double", "")) if chain else ""


def _of_doubles(chain: Sequence[Mapping[str, Any]]) -> set[int]:
    """Return the places of what a test's doubles raised, and of what a client made of it: nobody was spoken to."""
    found: set[int] = set()
    for number, node in reversed(list(enumerate(chain))):
        causes = (at for at in found if chain[at].get("of") == number and chain[at].get("via") == "cause")
        if node.get("double") or next(causes, None) is not None:
            found.add(number)
    return found


def _classes(node: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return (top-level module, class) of a described exception's type and its ancestors."""
    names = [str(name) for name in node.get("mro", ())]
    return tuple((name.split(".")[0], name.rpartition(".")[2]) for name in names if "." in name)


def _libpq(node: Mapping[str, Any]) -> bool:
    """Whether this is an OperationalError of libpq without a code, in which no type of Python's says what happened."""
    return not node.get("sqlstate") and any(
        module in ("psycopg", "psycopg2") and name == "OperationalError" for module, name in _classes(node)
    )


def _by_client(chain: Sequence[Mapping[str, Any]], code: FaultCode | None) -> tuple[FaultCode | None, bool]:
    """Return what clients without types or codes of the standard library say, and whether a server answered."""
    for node in chain:
        classes = _classes(node)
        if _libpq(node) and node.get("libpq"):
            answered = node["libpq"] == "answered"
            if any(name == "ConnectionTimeout" for _, name in classes):
                return C.TCP_TIMEOUT, False
            return (
                C.APP_OVERLOAD if answered else C.TCP_REFUSED if node["libpq"] == "connect" else C.PROTO_CLOSED
            ), answered
        if node.get("grpc") in _GRPC:
            return _GRPC[str(node["grpc"])], False
        number = node.get("errno") or node.get("number")
        mysql = any(module in ("pymysql", "MySQLdb", "mysql", "aiomysql", "asyncmy") for module, _ in classes)
        if mysql and isinstance(number, int) and number in _MYSQL:
            return _MYSQL[number], False
    for node in chain:
        for key in _classes(node):
            if key in MORE:
                return MORE[key], False
    return code, False


def _node_of(chain: Sequence[Mapping[str, Any]], code: FaultCode | None, kinds: Sequence[Kind]) -> int:
    """Return the link that says it by itself: its addresses are those of the socket that failed."""
    for number, node in enumerate(chain):
        alone = {key: value for key, value in node.items() if key not in ("of", "via")}
        found = classify_chain([alone], kinds)
        if found is not None and found.code is code:
            return number
    return next((number for number, node in enumerate(chain) if node.get("libpq") or node.get("grpc")), 0)
