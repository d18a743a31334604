"""Errors are judged by type, address and probe."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import redis

from resilience.core.records import FaultCode, Outcome
from resilience.services.registry import KINDS
from resilience.suite import pytest_plugin as plugin
from resilience.suite.endpoints import Endpoint
from resilience.suite.evidence import Look, judge_failure, judge_test, look_near
from tests.kits.failures import fed, told
from tests.kits.kinds import ServiceType

C = FaultCode

DB = Endpoint(
    service="database",
    kind=KINDS[ServiceType.POSTGRESQL],
    host="db.staging.test",
    port=5432,
    aliases=frozenset({"10.52.0.3"}),
)
REDIS = Endpoint(
    service="redis", kind=KINDS[ServiceType.REDIS], host="127.0.0.1", port=6379, markers=frozenset({"real_redis"})
)
LOCAL = Endpoint(service="database", kind=KINDS[ServiceType.POSTGRESQL], host="127.0.0.1", port=5435, stand_in=True)
RED = (Look(service="database", at=101.0, red=True, fault=C.TCP_TIMEOUT), Look(service="redis", at=99.0, red=True))
GREEN = (Look(service="database", at=101.0, red=False), Look(service="redis", at=99.0, red=False))


class Custom(Exception):
    """An exception of the product."""


def refused(text: str = "Connect call failed ('10.52.0.3', 5432)") -> OSError:
    return ConnectionRefusedError(111, text)


def wrapped(outer: BaseException, inner: BaseException, *, cause: bool) -> BaseException:
    if cause:
        outer.__cause__ = inner
    else:
        outer.__context__ = inner
    return outer


def status(code: int) -> BaseException:
    request = httpx.Request("GET", "http://db.staging.test:5432/x")
    return httpx.HTTPStatusError("said so", request=request, response=httpx.Response(code, request=request))


def sqlstate(code: str) -> BaseException:
    exc = type("UndefinedTable", (Exception,), {"__module__": "psycopg2.errors"})("relation does not exist")
    exc.pgcode = code
    return exc


INFRA, FAILED, GAP = Outcome.INFRASTRUCTURE_UNAVAILABLE, Outcome.FAILED, Outcome.STAND_IN_GAP
CASES: list[tuple[str, BaseException, dict[str, Any], tuple[Look, ...], Outcome, bool]] = [
    ("refused at a service's address", refused(), {}, (), INFRA, False),
    ("refused is strong even beside a green probe", refused(), {}, GREEN, INFRA, False),
    ("refused elsewhere", refused("('10.9.9.9', 1)"), {}, RED, FAILED, False),
    ("refused on this machine at another port", refused("('127.0.0.1', 1)"), {}, RED, FAILED, False),
    ("a service's host at another port", refused("('10.52.0.3', 8080)"), {}, RED, INFRA, False),
    ("refused, address unknown", ConnectionRefusedError(111, ""), {}, RED, FAILED, True),
    (
        "refused, the address from the audit",
        ConnectionRefusedError(111, ""),
        {"spoke": (("10.52.0.3", 5432),)},
        (),
        INFRA,
        False,
    ),
    ("an empty time-out beside a red probe", TimeoutError(), {"spoke": (("10.52.0.3", 5432),)}, RED, INFRA, False),
    ("an empty time-out beside a green probe", TimeoutError(), {"spoke": (("10.52.0.3", 5432),)}, GREEN, FAILED, True),
    ("an empty time-out without a probe", TimeoutError(), {"spoke": (("10.52.0.3", 5432),)}, (), FAILED, True),
    ("a red probe long ago", TimeoutError(), {"spoke": (("10.52.0.3", 5432),), "at": 200.0}, RED, FAILED, True),
    ("503 of a service", status(503), {}, (), INFRA, False),
    ("502 of a service", status(502), {}, (), INFRA, False),
    ("504 of a service", status(504), {}, (), INFRA, False),
    ("500 of a service", status(500), {}, RED, FAILED, False),
    ("404 of a service", status(404), {}, RED, FAILED, False),
    (
        "an assertion with the network behind it",
        wrapped(AssertionError("x"), refused(), cause=False),
        {},
        RED,
        FAILED,
        True,
    ),
    ("an assertion because of the network", wrapped(AssertionError("x"), refused(), cause=True), {}, RED, FAILED, True),
    (
        "the product's own error because of the network",
        wrapped(Custom("x"), refused(), cause=True),
        {},
        GREEN,
        INFRA,
        False,
    ),
    (
        "the product's own error, network in context only, red",
        wrapped(Custom("x"), refused(), cause=False),
        {},
        RED,
        INFRA,
        False,
    ),
    ("the same, green", wrapped(Custom("x"), refused(), cause=False), {}, GREEN, FAILED, True),
    ("words alone", Custom("connection refused, 503 service unavailable"), {}, RED, FAILED, False),
    ("a missing file", FileNotFoundError(2, "no"), {"spoke": (("10.52.0.3", 5432),)}, RED, FAILED, False),
    ("a group with an assertion", ExceptionGroup("g", [refused(), AssertionError("bug")]), {}, RED, FAILED, True),
    ("a group of refusals", ExceptionGroup("g", [refused(), refused()]), {}, (), INFRA, False),
    ("no table on the stand-in", sqlstate("42P01"), {"spoke": (("127.0.0.1", 5435),)}, (), GAP, False),
    ("no function on the stand-in", sqlstate("42883"), {}, (), GAP, False),
    ("no extension on the stand-in", sqlstate("0A000"), {}, (), GAP, False),
    ("no table on staging", sqlstate("42P01"), {"spoke": (("10.52.0.3", 5432),)}, (), FAILED, False),
    ("no table elsewhere", sqlstate("42P01"), {"spoke": (("10.9.9.9", 5432),)}, (), FAILED, False),
    ("a unique key violated", sqlstate("23505"), {}, RED, FAILED, False),
    ("no column", sqlstate("42703"), {}, RED, FAILED, False),
    ("starting up", sqlstate("57P03"), {"spoke": (("10.52.0.3", 5432),)}, (), INFRA, False),
    ("by protocol beside a red probe", redis.ConnectionError("gone"), {}, RED, INFRA, False),
    ("by protocol beside a green one", redis.ConnectionError("gone"), {}, GREEN, FAILED, True),
]


@pytest.mark.parametrize(
    ("exc", "more", "looks", "expected", "suspect"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_whose_failure_it_is(
    exc: BaseException, more: dict[str, Any], looks: tuple[Look, ...], expected: Outcome, suspect: bool
) -> None:
    judged = judge_failure(told(exc, **dict(more)), endpoints=[DB, REDIS, LOCAL], looks=looks)
    assert (judged.outcome, judged.suspect) == (expected, suspect), judged


def test_a_marker_names_the_service_where_the_error_does_not() -> None:
    failure = told(TimeoutError())
    assert judge_failure(failure, markers=["real_redis"], endpoints=[DB, REDIS], looks=RED).service == "redis"
    assert judge_failure(failure, markers=["real_redis"], endpoints=[DB, REDIS], looks=RED).outcome is INFRA
    assert judge_failure(failure, markers=["real_redis"], endpoints=[DB, REDIS], looks=GREEN).outcome is FAILED


def test_pytest_timeouts_end_of_a_test_is_weak_evidence_not_an_assertion() -> None:
    failed = type("Failed", (Exception,), {"__module__": "_pytest.outcomes", "__qualname__": "Failed"})
    hung = told(failed("Timeout (>2.0s) from pytest-timeout."), spoke=(("10.52.0.3", 5432),))
    assert judge_failure(hung, endpoints=[DB], looks=RED).outcome is INFRA
    assert judge_failure(hung, endpoints=[DB], looks=GREEN).outcome is FAILED
    said = told(failed("the database is down"), spoke=(("10.52.0.3", 5432),))
    assert judge_failure(said, endpoints=[DB], looks=RED).outcome is FAILED


def test_an_assertion_of_a_test_that_spoke_to_a_dead_service_is_suspect_and_stays_the_products() -> None:
    failure = told(AssertionError("assert 503 == 200"), spoke=(("10.52.0.3", 5432),))
    red = judge_failure(failure, endpoints=[DB], looks=RED)
    assert (red.outcome, red.suspect, red.service) == (FAILED, True, "database")
    green = judge_failure(failure, endpoints=[DB], looks=GREEN)
    assert (green.outcome, green.suspect, green.fault) == (FAILED, False, None)


def test_a_red_look_close_by_wins_over_a_green_one() -> None:
    looks = (Look(service="database", at=100.5, red=False, well=True), Look(service="database", at=97.0, red=True))
    found = look_near(looks, "database", 100.0)
    assert found is not None
    assert found.red
    assert look_near(looks, "database", 500.0) is None


def test_teardown_after_an_outage_is_not_a_bug_but_an_assertion_is() -> None:
    chain = plugin.describe(refused())
    events = [
        {"k": "start", "root": "/p", "pytest": "9", "key": "k"},
        {"k": "ids", "ids": ["a::t"]},
        {"k": "collected"},
        {"k": "b", "i": 0},
        {"k": "fail", "id": 0, "chain": chain, "when": "call", "at": 100.0},
    ]
    follows = fed(
        *events, {"k": "fail", "id": 0, "chain": plugin.describe(AttributeError("x")), "when": "teardown", "at": 100.0}
    )
    assert judge_test(follows.tests["/p", "a::t"], endpoints=[DB]).outcome is INFRA
    asserts = fed(
        *events, {"k": "fail", "id": 0, "chain": plugin.describe(AssertionError("x")), "when": "teardown", "at": 100.0}
    )
    assert judge_test(asserts.tests["/p", "a::t"], endpoints=[DB]).outcome is Outcome.ERROR
