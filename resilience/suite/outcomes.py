"""Turn the events of a test run into what became of each test, what to run again, and what the run proved.

An error is judged by its type and code along its chain, by the address it spoke to, and by what a probe of that very endpoint
said at that time; never by its words. An assertion is the product's, whatever lies behind it.
"""

from __future__ import annotations

import re
import ssl
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from resilience.core import faults
from resilience.core.records import (
    CommandResult,
    ExitCode,
    Fault,
    FaultCode,
    Outcome,
    Reached,
    ServiceType,
    TestExecutionMode,
    TestOutcome,
    TestTotals,
    Verdict,
)

C = FaultCode

STRONG = frozenset(
    {
        C.DNS_NXDOMAIN, C.DNS_NODATA, C.DNS_TEMPFAIL, C.TCP_REFUSED, C.TCP_HOST_UNREACH, C.TCP_NO_ROUTE, C.PROTO_RESET,
        C.PROTO_CLOSED, C.TLS_EXPIRED, C.TLS_SELF_SIGNED, C.TLS_UNKNOWN_CA, C.TLS_NOT_YET_VALID, C.TLS_HOSTNAME,
        C.TLS_VERSION,
        C.TLS_CLIENT_CERT, C.TLS_RESET, C.TLS_NOT_TLS, C.TLS_REFUSED, C.TLS_OTHER, C.APP_STARTING, C.APP_SHUTDOWN,
        C.APP_OVERLOAD, C.APP_UPSTREAM, C.APP_POOLER, C.APP_REPLICA_DOWN, C.APP_CLUSTER_DOWN, C.APP_PROXY_NOT_READY,
    }
)  # fmt: skip
"""Faults that are an outage by themselves once it is known which service they speak of."""

WEAK = frozenset(
    {
        C.DNS_TIMEOUT, C.TCP_TIMEOUT, C.PROTO_SILENT, C.PROTO_SLOW, C.TLS_TIMEOUT, C.APP_SLOW, C.APP_READONLY,
        C.PROTO_WRONG,
        C.APP_REPLICA_LAG, C.APP_CLUSTER_TRYAGAIN, C.APP_AUTH, C.APP_NO_DB, C.APP_RATE_LIMIT, C.WS_NOT_UPGRADED,
    }
)  # fmt: skip
"""Faults that a bug of the product gives as well: an outage's only beside a red probe of that endpoint at that time."""

GAPS = frozenset({"42P01", "42883", "42704", "3F000", "58P01", "0A000"})
"""SQLSTATEs of a missing relation, function, object such as an extension, or schema (PostgreSQL manual, appendix A)."""

NEAR_S = 15.0
"""A probe this near to a failure counts as "at that time"."""

CLOSE_S = 5.0
"""A red probe this near to a failure wins over a green one."""

PHRASES = (
    "connection refused",
    "connection timeout",
    "network unreachable",
    "service unavailable",
    "502 bad gateway",
    "503 service unavailable",
)
"""The outage guide's patterns: the last resort, for commands that tell nothing but text."""

_PROTOCOLS: Mapping[str, tuple[str, ...]] = {
    ServiceType.POSTGRESQL: ("asyncpg", "psycopg", "psycopg2", "pg8000", "aiopg"),
    ServiceType.REDIS: ("redis", "valkey", "aioredis"),
    ServiceType.CLICKHOUSE: ("clickhouse_connect", "clickhouse_driver", "asynch"),
    ServiceType.WEBSOCKET: ("websockets", "websocket", "wsproto"),
    ServiceType.OPENAI: ("openai", "anthropic"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where tests may find a service: its staging address, or its stand-in's. `aliases` are the host's addresses."""

    service: str
    type: str
    host: str
    port: int | None
    stand_in: bool = False
    aliases: frozenset[str] = frozenset()
    markers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One fresh look at a service as the tests reach it; `at` in seconds since the epoch."""

    service: str
    at: float
    red: bool
    fault: FaultCode | None = None
    detail: str = ""
    well: bool = False
    """Whether it answered; unknown is neither red nor well."""


@dataclass(slots=True)
class Failure:
    """What one phase of a test, or the collection of a module, raised."""

    chain: tuple[Mapping[str, Any], ...]
    spoke: tuple[tuple[str, int | None], ...]
    when: str
    at: float
    text: str = ""
    duration_s: float = 0.0
    fixtures: tuple[str, ...] = ()


@dataclass(slots=True)
class Test:
    """One test of one execution of a command, as far as its events go."""

    __test__ = False

    id: str
    state: str = ""
    """As the plug-in saw it; empty where it was never finished."""
    begun: bool = False
    duration_s: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    held: tuple[str, str | None] | None = None
    left_out: str = ""
    reason: str = ""
    markers: tuple[str, ...] = ()
    collector: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """What a failure is: whose, which fault, which service."""

    outcome: Outcome
    fault: FaultCode | None = None
    service: str | None = None
    suspect: bool = False
    message: str = ""
    reason: str = ""


# --- the chain


def revive(chain: Sequence[Mapping[str, Any]]) -> BaseException | None:
    """Return an exception of the same types, codes and links as the one a foreign interpreter described."""
    made: list[BaseException] = []
    for node in chain:
        made.append(_revive_one(node))
    groups: dict[int, list[BaseException]] = {}
    for number, node in enumerate(chain):
        parent = node.get("of", -1)
        if not isinstance(parent, int) or not 0 <= parent < number:
            continue
        via = node.get("via")
        if via == "context" and made[parent].__context__ is None:
            made[parent].__context__ = made[number]
        elif via == "group":
            groups.setdefault(parent, []).append(made[number])
        elif made[parent].__cause__ is None:
            made[parent].__cause__ = made[number]
        else:
            groups.setdefault(parent, []).append(made[number])
    for parent, members in groups.items():
        # A link holds one cause; what lies beside it is hung on as a group, which the walk goes through as well.
        bundle = BaseExceptionGroup("members", members)
        bundle.__cause__ = made[parent].__cause__
        made[parent].__cause__ = bundle
    return made[0] if made else None


_KNOWN: Mapping[str, type[BaseException]] = {
    "ssl.SSLError": ssl.SSLError,
    "ssl.SSLEOFError": ssl.SSLEOFError,
    "ssl.SSLZeroReturnError": ssl.SSLZeroReturnError,
    "ssl.SSLCertVerificationError": ssl.SSLCertVerificationError,
    "socket.gaierror": faults.socket.gaierror,  # type: ignore[attr-defined]
    "socket.timeout": TimeoutError,
    "asyncio.exceptions.TimeoutError": TimeoutError,
    "concurrent.futures._base.TimeoutError": TimeoutError,
    **{
        kind.__name__: kind
        for kind in (
            Exception, ArithmeticError, AssertionError, AttributeError, BlockingIOError, BrokenPipeError,
            ConnectionAbortedError,
            ConnectionError, ConnectionRefusedError, ConnectionResetError, EOFError, FileNotFoundError, ImportError,
            KeyError,
            LookupError, OSError, OverflowError, PermissionError, RuntimeError, TimeoutError, TypeError, ValueError,
        )
    },
}  # fmt: skip
_types: dict[tuple[str, ...], type[BaseException]] = {}


def _type(names: tuple[str, ...]) -> type[BaseException]:
    """Return a class whose line of ancestors has these qualified names; built-in ones are themselves."""
    if not names:
        return Exception
    if names[0] in _KNOWN:
        return _KNOWN[names[0]]
    known = _types.get(names)
    if known is None:
        if len(_types) > 2000:
            _types.clear()
        base = _type(names[1:])
        module, _, name = names[0].rpartition(".")
        known = _types[names] = type(name or "Error", (base,), {"__module__": module or "builtins"})
    return known


def _revive_one(node: Mapping[str, Any]) -> BaseException:
    names = tuple(str(name) for name in node.get("mro", ()))
    # `ConnectionError` of redis derives from its own error and from nothing of the standard library, and so on: the line
    # is kept, but a built-in one in it ends it, since what follows is that one's own line.
    kind = _type(names)
    text = str(node.get("text", ""))
    number = node.get("errno")
    exc: BaseException
    try:
        exc = kind(number, text) if isinstance(number, int) and issubclass(kind, OSError) else kind(text)
    except Exception:  # noqa: BLE001  a described exception with an odd constructor is still an exception
        exc = RuntimeError(text)
    given = {
        "sqlstate": node.get("sqlstate"),
        "response": SimpleNamespace(status_code=node["status"]) if node.get("status") else None,
        "status_code": node.get("status_word"),
        "verify_code": node.get("verify_code"),
        "rcvd": SimpleNamespace(code=node["close_code"], reason="") if node.get("close_code") else None,
    }
    for name, value in given.items():
        if value is not None:
            try:
                setattr(exc, name, value)
            except (AttributeError, TypeError):
                continue
    if "rcvd" not in exc.__dict__ and any(
        name.startswith("websockets.") and ".ConnectionClosed" in name for name in names
    ):
        exc.rcvd = None  # type: ignore[attr-defined]
    return exc


def classify_chain(chain: Sequence[Mapping[str, Any]]) -> Fault | None:
    """Return the fault of a described exception, or None where there is none to speak of."""
    exc = revive(chain)
    if exc is None:
        return None
    found = faults.classify(exc)
    return None if found.code in (C.INTERNAL, C.CONFIG_INVALID) else found


def is_assertion(chain: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the test itself said that something is wrong: an assertion, `pytest.fail`, also among a group's members."""
    for number, node in enumerate(chain):
        outermost = node.get("via") == "root" or (node.get("via") == "group" and _only_groups(chain, number))
        if not outermost:
            continue
        names = {str(name).rpartition(".")[2] for name in node.get("mro", ())}
        if (
            "AssertionError" in names
            or "DocTestFailure" in names
            or ("MultipleDoctestFailures" in names and len(chain) == 1)
        ):
            return True
        if node.get("type") in ("_pytest.outcomes.Failed", "Failed") and not is_test_timeout(node):
            return True
    return False


def is_test_timeout(node: Mapping[str, Any]) -> bool:
    """Whether this is pytest-timeout's end of a test that hung; it has no type of its own."""
    return node.get("type") in ("_pytest.outcomes.Failed", "Failed") and bool(
        re.match(r"Timeout (\(?>|after)", str(node.get("text", "")))
    )


def _only_groups(chain: Sequence[Mapping[str, Any]], number: int) -> bool:
    while number >= 0:
        node = chain[number]
        if node.get("via") not in ("root", "group"):
            return False
        number = node.get("of", -1)
    return True


def modules(chain: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """Return the top-level modules of the types in the chain."""
    return frozenset(str(name).split(".")[0] for node in chain for name in node.get("mro", ()) if "." in str(name))


# --- whose address


_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0", "ip6-localhost", "::ffff:127.0.0.1"})  # noqa: S104
_PAIRS = (
    re.compile(r"\(\s*'([^'\s]+)'\s*,\s*(\d{1,5})"),
    re.compile(r'"([^"\s]+)"(?: \([^)]*\))?,? port (\d{1,5})'),
    re.compile(r"host\s*=\s*'?([\w.:\-]+)'?,?\s*port\s*=\s*(\d{1,5})"),
    re.compile(r"(?:^|[\s/@(\[])((?:[A-Za-z0-9](?:[\w\-]*\.)*[\w\-]*)|\[[0-9a-fA-F:]+\]):(\d{1,5})(?![\d:])"),
)


def addresses_of(failure: Failure) -> tuple[tuple[str, int | None], ...]:
    """Return the addresses a failure names: its exceptions' own first, then those in their texts."""
    found: dict[tuple[str, int | None], None] = {}
    for node in failure.chain:
        for host, port in node.get("addresses", ()):
            found[str(host), port] = None
    for node in failure.chain:
        text = str(node.get("text", ""))
        for pattern in _PAIRS:
            for host, port in pattern.findall(text):
                if 0 < int(port) < 65536:
                    found[host.strip("[]"), int(port)] = None
    return tuple(found)


def _same_host(host: str, endpoint: Endpoint) -> bool:
    host = host.lower().rstrip(".")
    own = endpoint.host.lower()
    return (
        host == own
        or host in endpoint.aliases
        or (host in _LOOPBACK and (own in _LOOPBACK or bool(endpoint.aliases & _LOOPBACK)))
    )


def whose(pairs: Iterable[tuple[str, int | None]], endpoints: Sequence[Endpoint]) -> Endpoint | None:
    """Return the endpoint that one of these addresses belongs to. A port must agree wherever both sides name one."""
    by_host: Endpoint | None = None
    for host, port in pairs:
        for endpoint in endpoints:
            if not _same_host(host, endpoint):
                continue
            if port is not None and endpoint.port is not None:
                if port == endpoint.port:
                    return endpoint
            elif port is None and host.lower() not in _LOOPBACK:
                by_host = by_host or endpoint
    return by_host


def _foreign_port(pairs: Iterable[tuple[str, int | None]], endpoints: Sequence[Endpoint]) -> Endpoint | None:
    """Return the endpoint of a configured host that is spoken to on another port; this machine has too many for that."""
    for host, _ in pairs:
        for endpoint in endpoints:
            if host.lower() not in _LOOPBACK and _same_host(host, endpoint):
                return endpoint
    return None


def by_protocol(chain: Sequence[Mapping[str, Any]], endpoints: Sequence[Endpoint]) -> Endpoint | None:
    """Return the only endpoint whose protocol the exception's client speaks, or None where there are none or several."""
    spoken = modules(chain)
    fitting = [endpoint for endpoint in endpoints if spoken & set(_PROTOCOLS.get(endpoint.type, ()))]
    return _one_service(fitting)


def by_marker(markers: Collection[str], endpoints: Sequence[Endpoint]) -> Endpoint | None:
    """Return the only endpoint whose tests carry one of these markers, or None where there are none or several."""
    return _one_service([endpoint for endpoint in endpoints if endpoint.markers & set(markers)])


def _one_service(fitting: Sequence[Endpoint]) -> Endpoint | None:
    return fitting[0] if len({endpoint.service for endpoint in fitting}) == 1 else None


# --- whose failure


def look_near(looks: Iterable[Look], service: str, at: float, duration_s: float = 0.0) -> Look | None:
    """Return the look that tells how a service was at the time of a failure: a red one close to it, else the nearest."""
    near: list[tuple[bool, float, Look]] = []
    for look in looks:
        if look.service != service:
            continue
        away = max(0.0, at - duration_s - look.at, look.at - at)
        if away <= NEAR_S:
            # Red beside green is a service that came or went; a test that only missed it is run again, a bug stays.
            near.append((not (look.red and away <= CLOSE_S), away, look))
    return min(near, key=lambda found: found[:2])[2] if near else None


def attribute(
    failure: Failure, markers: Collection[str], endpoints: Sequence[Endpoint]
) -> tuple[Endpoint | None, str, tuple[str, int | None] | None]:
    """Return the endpoint a failure speaks of, how that is known (address, host, protocol, marker, ""), and a foreign address."""
    named = addresses_of(failure)
    endpoint = whose(named, endpoints)
    if endpoint is not None:
        return endpoint, "address", None
    spoke = tuple(failure.spoke)
    if not named:
        endpoint = whose(tuple(reversed(spoke)), endpoints)
        if endpoint is not None:
            return endpoint, "address", None
    endpoint = _foreign_port(named or spoke, endpoints)
    if endpoint is not None:
        return endpoint, "host", None
    foreign = next(iter(named), None) or (spoke[-1] if spoke else None)
    if foreign is not None:
        return None, "", foreign
    endpoint = by_protocol(failure.chain, endpoints)
    if endpoint is not None:
        return endpoint, "protocol", None
    endpoint = by_marker(markers, endpoints)
    return (endpoint, "marker", None) if endpoint is not None else (None, "", None)


def judge_failure(
    failure: Failure,
    *,
    markers: Collection[str] = (),
    endpoints: Sequence[Endpoint] = (),
    looks: Sequence[Look] = (),
    is_test: bool = True,
) -> Judged:
    """Say whose a failure is. `error` where a set-up, a tear-down or a collection failed, else `failed`, if the product's."""
    product = Outcome.FAILED if is_test and failure.when == "call" else Outcome.ERROR
    message = message_of(failure)
    if not failure.chain:
        return Judged(product, message=message)
    hung = is_test_timeout(failure.chain[0])
    gap = next((str(node["sqlstate"]) for node in failure.chain if node.get("sqlstate") in GAPS), "")
    assertion = is_assertion(failure.chain)
    if gap and not assertion:
        standing = [endpoint for endpoint in endpoints if endpoint.stand_in]
        pairs = addresses_of(failure) or tuple(reversed(failure.spoke))
        endpoint = whose(pairs, standing) or (
            by_protocol(failure.chain, standing) if not _elsewhere(pairs, endpoints) else None
        )
        if endpoint is not None and whose(pairs, [e for e in endpoints if not e.stand_in]) is None:
            return Judged(
                Outcome.STAND_IN_GAP, C.APP_SCHEMA_GAP, endpoint.service, message=message,
                reason=f"the stand-in for {endpoint.service} lacks it (SQLSTATE {gap}); add it to prepare",
            )  # fmt: skip
        return Judged(product, C.APP_SCHEMA_GAP, message=message)
    fault = classify_chain(failure.chain)
    code = C.PROTO_SILENT if hung else fault.code if fault is not None else None
    if code is None or (code not in STRONG and code not in WEAK):
        if assertion:
            return _beside_an_outage(failure, Judged(product, message=message), endpoints, looks)
        return Judged(product, code, message=message)
    endpoint, how, foreign = attribute(failure, markers, endpoints)
    service = endpoint.service if endpoint is not None else None
    look = look_near(looks, service, failure.at, failure.duration_s) if service is not None else None
    if assertion:
        return Judged(
            product, None, service, suspect=True, message=message,
            reason=f"an assertion, with {code.value} behind it",
        )  # fmt: skip
    if endpoint is None:
        if foreign is not None:
            return Judged(
                product,
                code,
                message=message,
                reason=f"against {_pair(foreign)}, which no configured service has: the product's",
            )
        return Judged(
            product, code, suspect=True, message=message, reason=f"{code.value} against an address that is not known"
        )
    weak = hung or code in WEAK or bool(fault and fault.weak) or how in ("protocol", "marker")
    if not weak:
        return Judged(
            Outcome.INFRASTRUCTURE_UNAVAILABLE, code, service, message=message, reason=f"{service}: {code.value}"
        )
    red = look is not None and look.red and (code not in (C.APP_AUTH, C.APP_NO_DB) or look.fault in (None, code))
    if red:
        return Judged(
            Outcome.INFRASTRUCTURE_UNAVAILABLE, code, service, message=message,
            reason=f"{service}: {code.value}, and a probe at that time found it down",
        )  # fmt: skip
    why = (
        f"a probe of {service} at that time was well"
        if look is not None
        else f"no probe of {service} at that time confirms it"
    )
    return Judged(product, code, service, suspect=True, message=message, reason=f"{code.value}, but {why}")


def _beside_an_outage(failure: Failure, judged: Judged, endpoints: Sequence[Endpoint], looks: Sequence[Look]) -> Judged:
    """Mark an assertion suspect whose test had spoken to a service that a probe found down at that time; it stays the
    product's."""
    endpoint = whose(tuple(reversed(failure.spoke)), endpoints)
    look = look_near(looks, endpoint.service, failure.at, failure.duration_s) if endpoint is not None else None
    if endpoint is None or look is None or not look.red:
        return judged
    return replace(
        judged, service=endpoint.service, suspect=True, reason=f"an assertion, while {endpoint.service} was down"
    )


def _elsewhere(pairs: Sequence[tuple[str, int | None]], endpoints: Sequence[Endpoint]) -> bool:
    return bool(pairs) and whose(pairs, endpoints) is None


def _pair(pair: tuple[str, int | None]) -> str:
    host, port = pair
    return f"[{host}]:{port}" if ":" in host and port else f"{host}:{port}" if port else host


def message_of(failure: Failure) -> str:
    """One line: the outermost exception's type and text, or the first that has a text."""
    if not failure.chain:
        return failure.text
    first = failure.chain[0]
    kind = str(first.get("type", "")).rpartition(".")[2] or str(first.get("type", ""))
    text = str(first.get("text", "")) or failure.text
    if text.startswith(kind):
        text = text[len(kind) :].lstrip(": ")
    if not text:
        text = next(
            (
                f"from {str(n.get('type')).rpartition('.')[2]}: {n.get('text')}"
                for n in failure.chain[1:]
                if n.get("text")
            ),
            "",
        )
    return f"{kind}: {text}" if text else kind


def judge_test(test: Test, *, endpoints: Sequence[Endpoint] = (), looks: Sequence[Look] = ()) -> Judged:
    """Say what became of one test. A product failure wins over an outage's, unless it only followed from it in tear-down."""
    if test.held is not None and not test.failures:
        reason, service = test.held
        return Judged(Outcome.INFRASTRUCTURE_UNAVAILABLE, None, service, reason=reason)
    if test.failures:
        judged = [
            judge_failure(failure, markers=test.markers, endpoints=endpoints, looks=looks, is_test=not test.collector)
            for failure in test.failures
        ]
        first = judged[0]
        for failure, one in zip(test.failures[1:], judged[1:], strict=True):
            ours = first.outcome in (Outcome.INFRASTRUCTURE_UNAVAILABLE, Outcome.STAND_IN_GAP)
            theirs = one.outcome in (Outcome.FAILED, Outcome.ERROR)
            if ours and theirs and (failure.when != "teardown" or is_assertion(failure.chain)):
                first = one
        return first
    known = {
        "passed": Outcome.PASSED, "failed": Outcome.FAILED, "error": Outcome.ERROR, "skipped": Outcome.SKIPPED,
        "xfailed": Outcome.XFAILED, "xpassed": Outcome.XPASSED,
    }.get(test.state)  # fmt: skip
    if known is not None:
        return Judged(known, reason=test.reason)
    if test.left_out:
        return Judged(Outcome.DESELECTED, reason=test.left_out)
    return Judged(Outcome.NOT_RUN, reason=test.reason or "never reached")


# --- one execution of a command


@dataclass(slots=True)
class Session:
    """One pytest process, or one worker of pytest-xdist."""

    id: str
    root: str = ""
    key: str = ""
    worker: str = ""
    python: str = ""
    pytest: str = ""
    executable: str = ""
    ids: list[str] = field(default_factory=list)
    collected: int | None = None
    finished: bool = False
    exit: int | None = None
    current: str | None = None
    since: float = 0.0
    trouble: list[Failure] = field(default_factory=list)
    digests: Mapping[str, str | None] = field(default_factory=dict)


LEFT_OUT = {
    "command": "left out by the command's own selection",
    "mode": "left out by the mode's selection",
}


class Record:
    """The events of one execution of a command, fed line by line; tests by (rootdir, node id)."""

    def __init__(self, *, select: str = "", mode: str = "") -> None:
        self.sessions: dict[str, Session] = {}
        self.tests: dict[tuple[str, str], Test] = {}
        self.counts: dict[str, int] = {}
        self.failing: deque[str] = deque(maxlen=8)
        """The latest tests that failed, not yet judged."""
        self.spoke: dict[tuple[str, int | None], int] = {}
        self.bad_lines = 0
        self.troubles: list[str] = []
        self.interrupted = ""
        self.finished = 0
        self._why = dict(LEFT_OUT)
        if select:
            self._why["mode"] = f"left out by {'mode ' + mode if mode else 'the mode'}: {select}"

    def _test(self, session: Session, which: object) -> Test:
        name = session.ids[which] if isinstance(which, int) and 0 <= which < len(session.ids) else str(which)
        key = (session.root, name)
        test = self.tests.get(key)
        if test is None and "@" in name:
            # pytest-xdist's --dist=loadgroup appends the group's name.
            test = self.tests.get((session.root, name.rpartition("@")[0]))
        if test is None:
            test = self.tests[key] = Test(name)
        return test

    def feed(self, event: Mapping[str, Any], now: float = 0.0) -> tuple[str, Test | None, Failure | None]:
        """Take one event; return its kind, the test it is about and the failure it brings, if any."""
        kind = str(event.get("k", ""))
        name = str(event.get("s", ""))
        session = self.sessions.get(name)
        if session is None:
            session = self.sessions[name] = Session(name)
        if kind == "b":
            test = self._test(session, event.get("i", event.get("id")))
            test.begun = True
            session.current, session.since = test.id, now
            return kind, test, None
        if kind == "begin":
            test = self._test(session, event.get("id"))
            test.begun = True
            session.current, session.since = test.id, now
            return "b", test, None
        if kind in ("t", "end"):
            return "t", self._finish(session, event), None
        if kind == "fail":
            test = self._test(session, event.get("id"))
            failure = _failure(event, session)
            test.failures.append(failure)
            return kind, test, failure
        if kind == "held":
            test = self._test(session, event.get("id"))
            test.held = (str(event.get("reason", "")), event.get("service"))
            return kind, test, None
        if kind == "skip":
            test = self._test(session, event.get("id"))
            test.reason = str(event.get("reason", ""))
            return kind, test, None
        if kind == "rerun":
            test = self._test(session, event.get("id"))
            test.failures.clear()
            return kind, test, None
        return kind, None, self._about_session(kind, session, event)

    def _finish(self, session: Session, event: Mapping[str, Any]) -> Test:
        test = self._test(session, event.get("i", event.get("id")))
        state = str(event.get("o", ""))
        worse = _WORST.get(state, 0) >= _WORST.get(test.state, -1)
        if not test.state or worse:
            if test.state:
                self.counts[test.state] = self.counts.get(test.state, 1) - 1
            else:
                self.finished += 1
            test.state = state
            self.counts[state] = self.counts.get(state, 0) + 1
            if state in ("failed", "error"):
                self.failing.append(test.id)
        test.duration_s += float(event.get("d") or 0.0)
        if state not in ("failed", "error") and test.state == state:
            test.failures.clear()
        if session.current == test.id:
            session.current = None
        return test

    def _about_session(self, kind: str, session: Session, event: Mapping[str, Any]) -> Failure | None:
        if kind == "start":
            session.root, session.key = str(event.get("root", "")), str(event.get("key", ""))
            session.worker, session.python = str(event.get("worker", "")), str(event.get("python", ""))
            session.pytest, session.executable = str(event.get("pytest", "")), str(event.get("executable", ""))
        elif kind == "ids":
            for name in event.get("ids", ()):
                session.ids.append(self.tests.setdefault((session.root, name), Test(name)).id)
        elif kind == "collected":
            session.collected = len(session.ids)
            session.digests = event.get("digests") or {}
            for marker, numbers in (event.get("marked") or {}).items():
                for number in numbers:
                    test = self._test(session, number)
                    if marker not in test.markers:
                        test.markers = (*test.markers, marker)
        elif kind == "left_out":
            why = str(event.get("why", ""))
            for number in event.get("i", ()):
                self._test(session, number).left_out = self._why.get(why, why)
        elif kind == "collect_error":
            name = str(event.get("id", ""))
            test = self.tests.setdefault((session.root, name), Test(name or session.root, collector=True))
            failure = _failure(event, session)
            failure.when = "collect"
            if not test.failures:
                test.failures.append(failure)
            return failure
        elif kind in ("conftest", "internal"):
            failure = _failure(event, session)
            failure.when = kind
            session.trouble.append(failure)
            return failure
        elif kind == "crash":
            test = self._test(session, str(event.get("id", "")))
            failure = Failure((), (), "call", float(event.get("at") or 0.0), str(event.get("text", "")))
            test.failures.append(failure)
            test.state = "failed"
            return failure
        elif kind == "interrupt":
            self.interrupted = f"{event.get('type', '')}: {event.get('text', '')}".rstrip(": ")
        elif kind == "trouble":
            self.troubles.append(f"{event.get('what', '')}: {event.get('text', '')}")
        elif kind == "finish":
            session.finished, session.exit = True, event.get("exit")
            session.digests = event.get("digests") or session.digests
            session.current = None
            for host, port, count in event.get("spoke", ()):
                self.spoke[str(host), port] = self.spoke.get((str(host), port), 0) + int(count)
        return None

    @property
    def started(self) -> bool:
        """Whether our plug-in entered at all; if not, nothing is known of single tests."""
        return any(session.pytest for session in self.sessions.values())

    @property
    def complete(self) -> bool:
        """Whether each session that began also ended by itself."""
        return self.started and all(
            session.finished for session in self.sessions.values() if session.pytest and not session.worker
        )

    @property
    def in_flight(self) -> tuple[tuple[str, str], ...]:
        """Return (rootdir, node id) of the tests that began and did not end."""
        return tuple((session.root, session.current) for session in self.sessions.values() if session.current)

    @property
    def collected(self) -> int:
        return sum(1 for test in self.tests.values() if not test.collector)


_WORST = {"passed": 1, "xfailed": 1, "skipped": 1, "xpassed": 1, "held": 2, "unknown": 0, "error": 3, "failed": 4}


def _failure(event: Mapping[str, Any], session: Session) -> Failure:
    return Failure(
        chain=tuple(event.get("chain") or ()),
        spoke=tuple((str(pair[0]), pair[1]) for pair in event.get("spoke") or () if len(pair) == 2),
        when=str(event.get("when", "call")),
        at=float(event.get("at") or 0.0),
        text=str(event.get("text", "")),
        duration_s=float(event.get("d") or 0.0),
        fixtures=tuple(event.get("fixtures") or ()),
    )


# --- several executions into one result


@dataclass(slots=True)
class Standing:
    """Where one test stands after the rounds so far."""

    test: Test
    judged: Judged
    rounds: int = 0
    duration_s: float = 0.0
    previous: str | None = None
    command: int = 0
    root: str = ""
    planned: bool = False
    """Held back by the plan, before the run began."""

    def outcome(self, name: str) -> TestOutcome:
        judged = self.judged
        return TestOutcome(
            id=name,
            outcome=judged.outcome,
            rounds=self.rounds,
            duration_s=round(self.duration_s, 4),
            fault=judged.fault,
            service=judged.service,
            suspect=judged.suspect,
            message=judged.message or None,
            reason=judged.reason or None,
            markers=self.test.markers,
            command=self.command,
            previous=self.previous,
        )


_RANK = (
    Outcome.DESELECTED, Outcome.NOT_RUN, Outcome.SKIPPED, Outcome.PASSED, Outcome.XPASSED, Outcome.XFAILED,
    Outcome.INFRASTRUCTURE_UNAVAILABLE, Outcome.STAND_IN_GAP, Outcome.TIMEOUT, Outcome.ERROR, Outcome.FAILED,
)  # fmt: skip


_SAID = frozenset(
    {Outcome.PASSED, Outcome.XPASSED, Outcome.XFAILED, Outcome.FAILED, Outcome.ERROR, Outcome.STAND_IN_GAP}
)


class Board:
    """Where every test stands: each once, by rootdir and node id; the worst of several commands, the last of several rounds."""

    def __init__(self) -> None:
        self.standings: dict[tuple[str, str], Standing] = {}

    def take(
        self, record: Record, *, command: int, round: int, endpoints: Sequence[Endpoint], looks: Sequence[Look],
        planned: Collection[str] = (), not_run: str = "",
    ) -> None:  # fmt: skip
        """Take one execution. From the second round on only tests that ran, or are newly seen, say something."""
        collected_roots = {root for (root, _), test in record.tests.items() if not test.collector}
        for key, test in record.tests.items():
            judged = judge_test(test, endpoints=endpoints, looks=looks)
            if judged.outcome is Outcome.NOT_RUN and not_run:
                reason = not_run.replace("never reached", "began and never ended") if test.begun else not_run
                judged = Judged(Outcome.NOT_RUN, reason=reason)
            held_by_plan = test.held is not None and test.held[0] in planned and not test.failures
            ran = (test.begun and test.held is None) or test.collector
            known = self.standings.get(key)
            if known is None:
                self.standings[key] = Standing(
                    test, judged, 1 if ran else 0, test.duration_s, command=command, root=key[0], planned=held_by_plan
                )
                continue
            if round > 1 and known.command == command:
                if not (test.begun or test.failures):
                    continue
                if (
                    test.held is not None
                    and not test.failures
                    and known.judged.outcome is Outcome.INFRASTRUCTURE_UNAVAILABLE
                ):
                    continue
                if known.rounds:
                    known.previous = known.judged.message or known.judged.reason or known.judged.outcome.value
                known.test.markers = known.test.markers or test.markers
                known.judged, known.planned = judged, held_by_plan
                known.rounds += 1
                known.duration_s += test.duration_s
                continue
            if known.judged.outcome is Outcome.INFRASTRUCTURE_UNAVAILABLE and judged.outcome in _SAID:
                # A later command ran the same test after all.
                known.previous = known.judged.message or known.judged.reason or None
                known.judged, known.planned, known.command = judged, False, command
                known.rounds += 1
            elif _RANK.index(judged.outcome) > _RANK.index(known.judged.outcome):
                known.judged, known.planned, known.command = judged, held_by_plan, command
            known.rounds = max(known.rounds, 1 if ran else 0)
            known.duration_s += test.duration_s
        if round > 1:
            self._drop_collected(record, command, collected_roots)

    def _drop_collected(self, record: Record, command: int, roots: Collection[str]) -> None:
        """Drop modules that could not be collected before and now could: their tests are listed instead."""
        for key in [key for key, s in self.standings.items() if s.test.collector and s.command == command]:
            root, name = key
            if root in roots and key not in record.tests and any(
                r == root and other.startswith(name + "::") for r, other in record.tests
            ):  # fmt: skip
                del self.standings[key]

    def again(self, command: int, back: Collection[str]) -> dict[tuple[str, str], Standing]:
        """Return the tests to run again: failed from infrastructure or held back, and their service is back.

        Where nothing but an outage ended the run early (-x, --maxfail), what it left is run with them.
        """
        mine = {key: standing for key, standing in self.standings.items() if standing.command == command}
        found = {
            key: standing
            for key, standing in mine.items()
            if standing.judged.outcome is Outcome.INFRASTRUCTURE_UNAVAILABLE and standing.judged.service in back
        }
        if found and not any(standing.judged.outcome in (Outcome.FAILED, Outcome.ERROR) for standing in mine.values()):
            found |= {
                key: one for key, one in mine.items() if one.judged.outcome is Outcome.NOT_RUN and not one.test.begun
            }
        return found

    def missed(self, command: int) -> frozenset[str]:
        """Return the services that tests of this command missed."""
        return frozenset(
            standing.judged.service
            for standing in self.standings.values()
            if standing.command == command
            and standing.judged.outcome is Outcome.INFRASTRUCTURE_UNAVAILABLE
            and standing.judged.service is not None
        )

    def outcomes(self) -> tuple[TestOutcome, ...]:
        """Return each test once. Where two rootdirs have the same node id, the rootdir's name stands before it."""
        several: dict[str, int] = {}
        for _, name in self.standings:
            several[name] = several.get(name, 0) + 1
        return tuple(
            standing.outcome(name if several[name] == 1 else f"{root.rstrip('/').rpartition('/')[2]}/{name}")
            for (root, name), standing in self.standings.items()
        )

    def blocked(self) -> bool:
        """Whether an outage took tests that the plan had not held back beforehand, or left nothing that ran."""
        outcomes = [standing.judged.outcome for standing in self.standings.values()]
        if any(
            standing.judged.outcome is Outcome.INFRASTRUCTURE_UNAVAILABLE and not standing.planned
            for standing in self.standings.values()
        ):
            return True
        return Outcome.INFRASTRUCTURE_UNAVAILABLE in outcomes and not any(
            outcome in (Outcome.PASSED, Outcome.XFAILED, Outcome.XPASSED) for outcome in outcomes
        )


def totals(tests: Iterable[TestOutcome]) -> TestTotals:
    """Count tests by outcome; `retried` and `passed_on_retry` overlap the others."""
    counts: dict[str, int] = {}
    retried = passed = 0
    for test in tests:
        counts[test.outcome.value] = counts.get(test.outcome.value, 0) + 1
        if test.rounds > 1:
            retried += 1
            passed += test.outcome in (Outcome.PASSED, Outcome.XFAILED, Outcome.XPASSED)
    return TestTotals(**counts, retried=retried, passed_on_retry=passed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a whole run proved."""

    verdict: Verdict
    exit_code: int
    notes: tuple[str, ...] = ()


def prove(
    *,
    mode: TestExecutionMode,
    tests: Sequence[TestOutcome],
    commands: Sequence[CommandResult],
    reached: Sequence[Reached] = (),
    stand_ins: bool = False,
    blocked: bool = False,
    interrupted: int | None = None,
    timed_out: bool = False,
    unknown: Sequence[str] = (),
    runner_failed: str = "",
) -> Proof:
    """Return the verdict and the exit code; where several apply, the order of `contracts.md` decides."""
    counts = totals(tests)
    ran = counts.passed + counts.failed + counts.error + counts.skipped + counts.xfailed + counts.xpassed
    whole = [command for command in commands if command.kind not in ("pytest", "junit")]
    codes: list[int] = []
    notes: list[str] = []
    if runner_failed:
        codes.append(ExitCode.RUNBOOK_FAILED)
        notes.append(runner_failed)
    if interrupted is not None:
        codes.append(interrupted)
    if timed_out or counts.timeout or any(command.outcome is Outcome.TIMEOUT for command in commands):
        codes.append(ExitCode.TIMED_OUT)
    if counts.failed or counts.error or any(command.outcome in (Outcome.FAILED, Outcome.ERROR) for command in commands):
        codes.append(ExitCode.PRODUCT_FAILURES)
    if blocked or any(command.outcome is Outcome.INFRASTRUCTURE_UNAVAILABLE for command in whole):
        codes.append(ExitCode.BLOCKED)
    doubts = list(unknown)
    if not commands:
        doubts.append("no command was run")
    if not ran and not blocked and not any(command.outcome is Outcome.PASSED for command in whole):
        doubts.append("no test ran")
    if counts.not_run and not (counts.failed or counts.error or blocked):
        doubts.append(f"{counts.not_run} tests were never reached")
    doubts.extend(
        f"tests did not use the stand-in for {one.service}{': ' + one.detail if one.detail else ''}"
        for one in reached
        if one.canary is False
    )
    if doubts:
        codes.append(ExitCode.UNKNOWN)
        notes.extend(doubts)
    if counts.stand_in_gap or counts.infrastructure_unavailable or stand_ins or mode is not TestExecutionMode.FULL:
        codes.append(ExitCode.NOT_A_FULL_PASS)
    code = ExitCode.worst(*codes) if codes else ExitCode.PASSED
    verdict = {
        ExitCode.RUNBOOK_FAILED: Verdict.RUNBOOK_FAILED,
        ExitCode.INTERRUPTED: Verdict.INTERRUPTED,
        ExitCode.TERMINATED: Verdict.INTERRUPTED,
        ExitCode.TIMED_OUT: Verdict.TIMED_OUT,
        ExitCode.PRODUCT_FAILURES: Verdict.PRODUCT_FAILURES,
        ExitCode.BLOCKED: Verdict.INFRASTRUCTURE_UNAVAILABLE,
        ExitCode.UNKNOWN: Verdict.UNKNOWN,
        ExitCode.NOT_A_FULL_PASS: Verdict.PASSED_ON_STAND_INS,
    }.get(code, Verdict.PASSED)
    return Proof(verdict=verdict, exit_code=code, notes=tuple(dict.fromkeys(notes)))


def judge_text(output: str, exit_code: int) -> tuple[Outcome, str]:
    """Judge a command that tells nothing but its exit code and output; return the outcome and the guide's phrase found."""
    if exit_code == 0:
        return Outcome.PASSED, ""
    lowered = output.lower()
    return Outcome.FAILED, next((phrase for phrase in PHRASES if phrase in lowered), "")


_SIGNALS = {
    1: "SIGHUP",
    2: "SIGINT",
    3: "SIGQUIT",
    4: "SIGILL",
    6: "SIGABRT",
    8: "SIGFPE",
    9: "SIGKILL",
    11: "SIGSEGV",
    13: "SIGPIPE",
    14: "SIGALRM",
    15: "SIGTERM",
}
"""Those that have one number everywhere (POSIX, `kill`)."""
_DID_NOT_START = (
    r"^.*No module named '?(?:pytest|tox|nox|unittest)\b.*$",
    r"^.*can't open file '.*': \[Errno 2\].*$",
    r"^.*Exception running subprocess \[Errno 2\].*$",  # tox, a program of its commands
    r"^.*failed with \S+ is not allowed, use allowlist_externals.*$",
    r"^npm (?:error|ERR!) (?:enoent|could not determine executable).*$",
)
_MISUSED = (
    r"^npm (?:error|ERR!) Missing script: .*$",
    r"^(?:npm (?:error|ERR!) )?Unknown command: .*$",
    r"^error Command \".*\" not found\.$",  # yarn
    r"^.*ERR_PNPM_NO_SCRIPT.*$",
    r"^ROOT: HandledError\| .*$",  # tox: an unknown environment or option
    r"^make(?:\[\d+\])?: \*\*\* No rule to make target .*$",
    # argparse, whose programs no exception is called like
    r"^(?!\w*(?:Error|Exception):)\S+: error: (?:unrecognized arguments|the following arguments are required|argument ).*$",
)
_OWN_FAILURES = re.compile(r"(?m)^\s*(?:FAIL(?:ED)?:? \S|--- FAIL|not ok \d)|\b[1-9]\d* (?:failed|failing|failures?)\b")


def nothing_proven(output: str, exit_code: int) -> str:
    """Return why a command that failed without per-test data says nothing about the product, or "" where it may.

    A command that a signal ended, whose program is not there or that was called in a wrong way came to no verdict of its
    own: neither the product nor an outage is to blame for it. Where its output names a failed test, that stands all the
    same. Runners wrap such ends in exit codes of their own, so that their words decide, and only words that are theirs.
    """
    if exit_code == 0 or _OWN_FAILURES.search(output):
        return ""
    if name := _SIGNALS.get(exit_code - 128):
        return f"killed by signal {exit_code - 128} ({name}) before a first test was reported"
    for patterns, what in ((_DID_NOT_START, "a program did not start"), (_MISUSED, "the command was used wrongly")):
        for pattern in patterns:
            if found := re.search(pattern, output, re.MULTILINE):
                return f"{what} (exit code {exit_code}): {found[0].strip()[:200]}"
    if exit_code in (126, 127):
        return (
            f"a program did not start (exit code {exit_code}: {'not found' if exit_code == 127 else 'not executable'})"
        )
    return ""
