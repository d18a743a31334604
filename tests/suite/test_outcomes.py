"""Errors are judged by type, address and probe; totals add up; the worst of several codes wins."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import httpx
import pytest
import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry
from websockets.asyncio.client import connect as ws_connect

from resilience.core import faults
from resilience.core.records import (
    CommandResult,
    FaultCode,
    Outcome,
    Reached,
    ServiceType,
    TestExecutionMode,
    TestOutcome,
    Verdict,
)
from resilience.suite import outcomes, pytest_plugin as plugin
from resilience.suite.outcomes import Endpoint, Failure, Look, Record
from tests.kits.testrun_kit import LineServer

C = FaultCode


def told(exc: BaseException, **more: Any) -> Failure:
    """Give the failure as a foreign interpreter tells it, through JSON."""
    chain = json.loads(json.dumps(plugin.describe(exc)))
    return Failure(
        chain=tuple(chain), spoke=more.pop("spoke", ()), when=more.pop("when", "call"), at=more.pop("at", 100.0), **more
    )


def caught(call: Callable[[], Any]) -> BaseException:
    try:
        call()
    except BaseException as exc:  # noqa: BLE001  whatever a driver raises is what is asked for
        return exc
    raise AssertionError("nothing was raised")


DRIVERS: dict[str, Callable[[int], Awaitable[Any]]] = {
    "asyncpg": lambda port: asyncpg.connect(f"postgresql://u:pw-of-mine@127.0.0.1:{port}/x", timeout=0.4),
    "httpx": lambda port: _httpx(port),
    "redis": lambda port: redis.asyncio.Redis(
        host="127.0.0.1", port=port, retry=Retry(NoBackoff(), 0), socket_timeout=0.4, socket_connect_timeout=0.4
    ).ping(),
    "websockets": lambda port: _websockets(port),
    "socket": lambda port: asyncio.to_thread(_recv, port),
}


async def _httpx(port: int) -> None:
    async with httpx.AsyncClient(timeout=0.4, trust_env=False) as client:
        (await client.get(f"http://user:pw-of-mine@127.0.0.1:{port}/")).raise_for_status()


async def _websockets(port: int) -> None:
    async with ws_connect(f"ws://127.0.0.1:{port}/", open_timeout=0.4, proxy=None):
        pass


def _recv(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=0.4) as client:
        client.recv(1)


@pytest.mark.parametrize("silent", [False, True], ids=["refused", "silent"])
@pytest.mark.parametrize("driver", DRIVERS)
async def test_what_a_foreign_interpreter_tells_means_what_the_live_exception_means(driver: str, silent: bool) -> None:
    server = LineServer()
    if silent:
        server.up(silent=True)
    try:
        await DRIVERS[driver](server.port)
    except Exception as exc:  # noqa: BLE001  whatever a driver raises is what is asked for
        failure = told(exc)
        live = faults.classify(exc)
    finally:
        server.down()
    found = outcomes.classify_chain(failure.chain)
    assert found is not None
    assert (found.code, found.weak) == (live.code, live.weak)
    assert "pw-of-mine" not in json.dumps(failure.chain)
    endpoint = Endpoint(service="it", type=ServiceType.HTTP, host="127.0.0.1", port=server.port)
    if driver == "socket":
        # A bare socket's error names nobody; the plug-in hears of the connection by an audit hook.
        failure.spoke = (("127.0.0.1", server.port),)
    named, how, _ = outcomes.attribute(failure, (), [endpoint])
    assert (named, how) == (endpoint, "address"), "the address is in the chain or the client's frames"


DB = Endpoint(
    service="database", type=ServiceType.POSTGRESQL, host="db.staging.test", port=5432, aliases=frozenset({"10.52.0.3"})
)
REDIS = Endpoint(
    service="redis", type=ServiceType.REDIS, host="127.0.0.1", port=6379, markers=frozenset({"real_redis"})
)
LOCAL = Endpoint(service="database", type=ServiceType.POSTGRESQL, host="127.0.0.1", port=5435, stand_in=True)
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
    judged = outcomes.judge_failure(told(exc, **dict(more)), endpoints=[DB, REDIS, LOCAL], looks=looks)
    assert (judged.outcome, judged.suspect) == (expected, suspect), judged


def test_a_marker_names_the_service_where_the_error_does_not() -> None:
    failure = told(TimeoutError())
    assert outcomes.judge_failure(failure, markers=["real_redis"], endpoints=[DB, REDIS], looks=RED).service == "redis"
    assert outcomes.judge_failure(failure, markers=["real_redis"], endpoints=[DB, REDIS], looks=RED).outcome is INFRA
    assert outcomes.judge_failure(failure, markers=["real_redis"], endpoints=[DB, REDIS], looks=GREEN).outcome is FAILED


def test_pytest_timeouts_end_of_a_test_is_weak_evidence_not_an_assertion() -> None:
    failed = type("Failed", (Exception,), {"__module__": "_pytest.outcomes", "__qualname__": "Failed"})
    hung = told(failed("Timeout (>2.0s) from pytest-timeout."), spoke=(("10.52.0.3", 5432),))
    assert outcomes.judge_failure(hung, endpoints=[DB], looks=RED).outcome is INFRA
    assert outcomes.judge_failure(hung, endpoints=[DB], looks=GREEN).outcome is FAILED
    said = told(failed("the database is down"), spoke=(("10.52.0.3", 5432),))
    assert outcomes.judge_failure(said, endpoints=[DB], looks=RED).outcome is FAILED


def test_an_assertion_of_a_test_that_spoke_to_a_dead_service_is_suspect_and_stays_the_products() -> None:
    failure = told(AssertionError("assert 503 == 200"), spoke=(("10.52.0.3", 5432),))
    red = outcomes.judge_failure(failure, endpoints=[DB], looks=RED)
    assert (red.outcome, red.suspect, red.service) == (FAILED, True, "database")
    green = outcomes.judge_failure(failure, endpoints=[DB], looks=GREEN)
    assert (green.outcome, green.suspect, green.fault) == (FAILED, False, None)


def test_a_red_look_close_by_wins_over_a_green_one() -> None:
    looks = (Look(service="database", at=100.5, red=False, well=True), Look(service="database", at=97.0, red=True))
    found = outcomes.look_near(looks, "database", 100.0)
    assert found is not None
    assert found.red
    assert outcomes.look_near(looks, "database", 500.0) is None


def fed(*events: dict[str, Any]) -> Record:
    record = Record()
    for event in events:
        record.feed({"s": "1", **event})
    return record


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
    assert outcomes.judge_test(follows.tests["/p", "a::t"], endpoints=[DB]).outcome is INFRA
    asserts = fed(
        *events, {"k": "fail", "id": 0, "chain": plugin.describe(AssertionError("x")), "when": "teardown", "at": 100.0}
    )
    assert outcomes.judge_test(asserts.tests["/p", "a::t"], endpoints=[DB]).outcome is Outcome.ERROR


def test_events_of_any_shape_break_nothing_but_themselves() -> None:
    record = Record()
    for event in ({}, {"k": "t"}, {"k": "b", "i": 99}, {"k": "nonsense", "s": 3}, {"k": "finish"}):
        record.feed(event)
    assert not record.started


def outcome_tests(*found: Outcome) -> tuple[TestOutcome, ...]:
    return tuple(TestOutcome(id=f"t{number}", outcome=one) for number, one in enumerate(found))


PYTEST_COMMAND = CommandResult(command="pytest", kind="pytest", exit_code=0, duration_s=1.0)


@pytest.mark.parametrize(
    ("found", "mode", "more", "code"),
    [
        ((Outcome.PASSED,), "full", {}, 0),
        ((Outcome.PASSED, Outcome.SKIPPED, Outcome.XFAILED, Outcome.DESELECTED), "full", {}, 0),
        ((Outcome.PASSED,), "degraded", {}, 10),
        ((Outcome.PASSED,), "full", {"stand_ins": True}, 10),
        ((Outcome.PASSED, Outcome.STAND_IN_GAP), "full", {}, 10),
        ((Outcome.PASSED, Outcome.INFRASTRUCTURE_UNAVAILABLE), "degraded", {}, 10),
        ((Outcome.PASSED, Outcome.INFRASTRUCTURE_UNAVAILABLE), "degraded", {"blocked": True}, 20),
        ((Outcome.FAILED, Outcome.INFRASTRUCTURE_UNAVAILABLE), "full", {"blocked": True}, 1),
        ((Outcome.ERROR,), "full", {}, 1),
        ((Outcome.NOT_RUN, Outcome.PASSED), "full", {}, 21),
        ((Outcome.NOT_RUN, Outcome.FAILED), "full", {}, 1),
        ((Outcome.DESELECTED,), "full", {}, 21),
        ((), "full", {}, 21),
        ((Outcome.TIMEOUT, Outcome.FAILED), "full", {}, 124),
        ((Outcome.TIMEOUT, Outcome.FAILED), "full", {"interrupted": 130}, 130),
        ((Outcome.FAILED,), "full", {"interrupted": 143, "runner_failed": "x"}, 30),
        ((Outcome.PASSED,), "degraded", {"reached": [Reached(service="database", connections=0, canary=False)]}, 21),
    ],
)
def test_the_exit_code_follows_the_contracts_order(
    found: tuple[Outcome, ...], mode: str, more: dict[str, Any], code: int
) -> None:
    proof = outcomes.prove(mode=TestExecutionMode(mode), tests=outcome_tests(*found), commands=[PYTEST_COMMAND], **more)
    assert proof.exit_code == code
    assert (proof.verdict is Verdict.PASSED) == (code == 0)


def test_totals_add_up_for_every_pair_of_outcomes() -> None:
    for pair in itertools.product(Outcome, repeat=2):
        counted = outcomes.totals(outcome_tests(*pair))
        assert sum(getattr(counted, outcome.value) for outcome in Outcome) == 2


@pytest.mark.parametrize(
    ("expression", "names", "expected"),
    [
        ("", set(), True),
        ("critical or mission_critical", {"mission_critical"}, True),
        ("not staging and not real_services", {"slow"}, True),
        ("(not real_services and not staging) or offline_capable", {"staging", "offline_capable"}, True),
        ("not (a or b)", {"b"}, False),
        ("not not a", {"a"}, True),
    ],
)
def test_marker_expressions_of_the_modes(expression: str, names: set[str], expected: bool) -> None:
    assert plugin.MarkerExpression(expression)(names) is expected


@pytest.mark.parametrize("expression", ["a or", "(a", "a b", "not", "and a", "a)"])
def test_a_broken_marker_expression_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="not a marker expression"):
        plugin.MarkerExpression(expression)


@pytest.mark.parametrize(
    ("output", "exit_code", "said"),
    [
        ("", 0, ""),
        ("", 1, ""),
        ("", 137, "killed by signal 9 (SIGKILL)"),
        ("", 139, "killed by signal 11 (SIGSEGV)"),
        ("", 255, ""),
        ("  Tests: 1 failed, 3 passed", 137, ""),
        ("> jest --ci\nsh: 1: jest: not found", 127, "a program did not start"),
        ("--- FAIL: TestOrder (0.00s)\nsh: 1: cleanup: not found", 127, ""),
        ("not ok 3 - sums\nUnknown command: x", 1, ""),
        ("/usr/bin/python: No module named pytest", 1, "a program did not start"),
        ("ModuleNotFoundError: No module named 'shop.orders'", 1, ""),
        (
            "py: Exception running subprocess [Errno 2] No such file or directory: 'x'\n  py: FAIL code 2",
            2,
            "a program did",
        ),
        ("b: failed with sh is not allowed, use allowlist_externals to allow it\n  b: FAIL code 1", 1, "a program did"),
        ("ROOT: HandledError| provided environments not found in configuration file:\nx", 254, "the command was used"),
        ("npm error enoent Could not read package.json: Error: ENOENT", 254, "a program did not start"),
        ('npm error Missing script: "tset"', 1, "the command was used wrongly"),
        ('Unknown command: "tset"', 1, "the command was used wrongly"),
        ("make: *** No rule to make target 'tset'.  Stop.", 2, "the command was used wrongly"),
        ("tox: error: unrecognized arguments: --nosuch", 2, "the command was used wrongly"),
        ("AssertionError: error: argument is wrong", 1, ""),
    ],
)
def test_only_what_a_runner_says_of_itself_takes_the_blame_from_the_product(
    output: str, exit_code: int, said: str
) -> None:
    why = outcomes.nothing_proven(output, exit_code)
    assert why.startswith(said) if said else why == ""
