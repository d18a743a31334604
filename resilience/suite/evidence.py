"""Turn what a test raised and fresh looks at the services into whose failure it is; no input and no output.

An error is judged by its type and code along its chain, by the address it spoke to, and by what a probe of that very endpoint
said at that time; never by its words. An assertion is the product's, whatever lies behind it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from resilience.core.records import FaultCode, Outcome
from resilience.suite.chains import classify_chain, is_assertion, is_test_timeout
from resilience.suite.endpoints import (
    Endpoint,
    address_text,
    addresses_of,
    attribute,
    by_protocol,
    elsewhere,
    kinds_of,
    whose,
)
from resilience.suite.events import Failure, Test

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

NEAR_S = 15.0
"""A probe this near to a failure counts as "at that time"."""

CLOSE_S = 5.0
"""A red probe this near to a failure wins over a green one."""


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


@dataclass(frozen=True, slots=True)
class Judged:
    """What a failure is: whose, which fault, which service."""

    outcome: Outcome
    fault: FaultCode | None = None
    service: str | None = None
    suspect: bool = False
    message: str = ""
    reason: str = ""


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
    kinds = kinds_of(endpoints)
    gaps = frozenset[str]().union(*(kind.gap_codes for kind in kinds))
    gap = next((str(node["sqlstate"]) for node in failure.chain if node.get("sqlstate") in gaps), "")
    assertion = is_assertion(failure.chain)
    if gap and not assertion:
        standing = [endpoint for endpoint in endpoints if endpoint.stand_in]
        pairs = addresses_of(failure) or tuple(reversed(failure.spoke))
        endpoint = whose(pairs, standing) or (
            by_protocol(failure.chain, standing) if not elsewhere(pairs, endpoints) else None
        )
        if endpoint is not None and whose(pairs, [e for e in endpoints if not e.stand_in]) is None:
            return Judged(
                Outcome.STAND_IN_GAP, C.APP_SCHEMA_GAP, endpoint.service, message=message,
                reason=f"the stand-in for {endpoint.service} lacks it (SQLSTATE {gap}); add it to prepare",
            )  # fmt: skip
        return Judged(product, C.APP_SCHEMA_GAP, message=message)
    fault = classify_chain(failure.chain, kinds)
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
                reason=f"against {address_text(foreign)}, which no configured service has: the product's",
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
