"""The rules of evidence, row by row: what a test raised, how the services were, and whose it is."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import httpx
import pytest
import redis
import redis.asyncio.retry
import redis.asyncio.sentinel
import redis.sentinel
from _pytest.runner import SetupState
from redis.backoff import NoBackoff
from redis.retry import Retry

from resilience.core.records import FaultCode, Outcome
from resilience.services.registry import KINDS
from resilience.suite import pytest_plugin as plugin
from resilience.suite.again import Again, settle
from resilience.suite.endpoints import Endpoint, Pair
from resilience.suite.events import Test
from resilience.suite.evidence import RULES, Answer, Scene, case_of, judge_failure, judge_test, shared_look, told_by
from resilience.suite.looks import Look, Looks
from tests.kits.failures import fed, told
from tests.kits.ports import free_port, free_ports

C = FaultCode
INFRA, FAILED, GAP, UNDECIDED = (
    Outcome.INFRASTRUCTURE_UNAVAILABLE, Outcome.FAILED, Outcome.STAND_IN_GAP, Outcome.UNDECIDED,
)  # fmt: skip

DB = Endpoint(
    service="database", kind=KINDS["postgresql"], host="db.staging.test", port=5432, aliases=frozenset({"10.52.0.3"}),
    deadline_s=2.0,
)  # fmt: skip
REDIS = Endpoint(
    service="redis", kind=KINDS["redis"], host="127.0.0.1", port=6379, markers=frozenset({"real_redis"}), deadline_s=2.0
)
API = Endpoint(service="backend_api", kind=KINDS["http"], host="api.staging.test", port=80, deadline_s=2.0)
LOCAL = Endpoint(service="database", kind=KINDS["postgresql"], host="127.0.0.1", port=5435, stand_in=True)
IDLE = Endpoint(service="redis", kind=KINDS["redis"], host="127.0.0.1", port=6382, stand_in=True, idle=True)
MYSQL_LOCAL = Endpoint(service="shop", kind=KINDS["mysql"], host="127.0.0.1", port=3307, stand_in=True)
AT_DB: Mapping[str, Any] = {"spoke": (("10.52.0.3", 5432),)}


def broken_runner() -> BaseException:
    """An assertion of pytest's own code: a fixture is torn down by nobody who set it up."""
    try:
        SetupState().addfinalizer(print, object())  # type: ignore[arg-type]
    except AssertionError as exc:
        return exc
    raise RuntimeError("pytest keeps no record of what is set up any more")


def look(service: str, at: float, fault: FaultCode | None = None, **more: Any) -> Look:
    """A look: red with a fault, green without, unless told otherwise."""
    given: dict[str, Any] = {"red": fault is not None, "well": fault is None, "fault": fault}
    return Look(service=service, at=at, **(given | more))


GREEN = (look("database", 99.0), look("database", 101.0), look("redis", 101.0), look("backend_api", 101.0))
RED = (
    look("database", 99.5, C.TCP_REFUSED),
    look("redis", 99.5, C.TCP_REFUSED),
    look("backend_api", 99.5, C.TCP_TIMEOUT),
)


class Custom(Exception):
    """An exception of the product."""


class Numbered(Exception):
    """An error of MySQL's clients: its number comes first."""

    def __init__(self, text: str) -> None:
        super().__init__(1049, text)


def refused(text: str = "Connect call failed ('10.52.0.3', 5432)") -> OSError:
    return ConnectionRefusedError(111, text)


def wrapped(outer: BaseException, inner: BaseException, *, cause: bool = True) -> BaseException:
    if cause:
        outer.__cause__ = inner
    else:
        outer.__context__ = inner
    return outer


def by_double(exc: BaseException) -> BaseException:
    """Return the error as it comes out of a mock that was told to raise it."""
    try:
        Mock(side_effect=exc)()
    except type(exc) as raised:
        return raised
    raise AssertionError("it was raised")


def status(code: int, url: str = "http://api.staging.test/orders") -> BaseException:
    request = httpx.Request("GET", url)
    return httpx.HTTPStatusError("said so", request=request, response=httpx.Response(code, request=request))


def sqlstate(code: str) -> BaseException:
    exc = type("Error", (Exception,), {"__module__": "asyncpg.exceptions"})("relation does not exist")
    exc.sqlstate = code  # type: ignore[attr-defined]
    return exc


def writing(text: str) -> BaseException:
    exc = type("Error", (Exception,), {"__module__": "asyncpg.exceptions"})(text)
    exc.sqlstate = "25006"  # type: ignore[attr-defined]
    return exc


def through(url: str, exc: BaseException) -> BaseException:
    """Return the error as it looks to us where it came up through a client that was given this URL."""
    exec(compile("def send(url, exc): raise exc", "client", "exec"), client := {"__name__": "httpx"})
    try:
        client["send"](url, exc)
    except type(exc) as raised:
        return raised
    raise AssertionError("it was raised")


def of(module: str, name: str, text: str = "", base: type[BaseException] = Exception) -> BaseException:
    return type(name, (base,), {"__module__": module})(text)


def hung() -> BaseException:
    return of("_pytest.outcomes", "Failed", "Timeout (>2.0s) from pytest-timeout.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One failure, what surrounds it, and what is right."""

    exc: BaseException
    looks: tuple[Look, ...] = GREEN
    more: Mapping[str, Any] = field(default_factory=dict)
    scene: Mapping[str, Any] = field(default_factory=dict)
    endpoints: tuple[Endpoint, ...] = (DB, REDIS, API)
    rule: int
    outcome: Outcome
    again: bool
    suspect: bool = False
    test: str = ""


PAIR: Pair = ("10.9.9.9", 25)
ROWS: Mapping[str, Row] = {
    "it hung beside a dead service it used": Row(exc=hung(), looks=RED, more=AT_DB, rule=3, outcome=INFRA, again=True),
    "it hung beside a slow one": Row(
        exc=hung(), looks=(look("database", 100.0, C.APP_SLOW, red=False, well=True, degraded=True),), more=AT_DB,
        rule=3, outcome=INFRA, again=True,
    ),
    "it hung beside well ones": Row(exc=hung(), more=AT_DB, rule=3, outcome=FAILED, again=True, suspect=True),
    "the status of what a mock does not know": Row(
        exc=status(404), scene={"answers": (Answer(service="backend_api", at=99.9, source="miss"),)},
        more={"duration_s": 1.0}, rule=4, outcome=GAP, again=False,
    ),
    "the product's own error behind what a mock does not know": Row(
        exc=ZeroDivisionError("x"), scene={"answers": (Answer(service="backend_api", at=99.9, source="miss"),)},
        more={"duration_s": 1.0}, rule=16, outcome=FAILED, again=False,
    ),
    "the product's own error in a test that surely was given a miss": Row(
        exc=ZeroDivisionError("x"), test="a::t", rule=4, outcome=GAP, again=False,
        scene={"answers": (Answer(service="backend_api", at=50.0, source="miss", test="a::t"),)},
    ),
    "a miss that another test was given": Row(
        exc=status(404), test="a::t", rule=16, outcome=FAILED, again=False,
        scene={"answers": (Answer(service="backend_api", at=99.9, source="miss", test="a::u"),)},
        more={"duration_s": 1.0},
    ),
    "an echo to this one of several workers": Row(
        exc=AssertionError("x"), test="a::t", more={"duration_s": 1.0}, rule=4, outcome=GAP, again=False,
        scene={"answers": (Answer(service="backend_api", at=99.9, source="echo", test="a::t"),), "alone": False},
    ),
    "what a mock knows by itself is no gap": Row(
        exc=AssertionError("x"), test="a::t", more={"duration_s": 1.0}, rule=16, outcome=FAILED, again=False,
        scene={"answers": (Answer(service="auth_service", at=99.9, source="synthetic", test="a::t"),)},
    ),
    "an assertion behind an echo of a mock": Row(
        exc=AssertionError("x"), scene={"answers": (Answer(service="backend_api", at=99.9, source="echo"),)},
        more={"duration_s": 1.0}, rule=4, outcome=GAP, again=False,
    ),
    "a KeyError behind a missed answer": Row(
        exc=KeyError("x"), scene={"answers": (Answer(service="backend_api", at=99.9, source="miss"),)},
        more={"duration_s": 1.0}, rule=4, outcome=GAP, again=False,
    ),
    "an own error behind an echo is the product's": Row(
        exc=ZeroDivisionError("x"), scene={"answers": (Answer(service="auth_service", at=99.9, source="echo"),)},
        more={"duration_s": 1.0}, rule=16, outcome=FAILED, again=False,
    ),
    "an echo of the set-up does not count": Row(
        exc=AssertionError("x"), scene={"answers": (Answer(service="auth_service", at=90.0, source="echo"),)},
        more={"duration_s": 1.0}, rule=16, outcome=FAILED, again=False,
    ),
    "a failure on recorded answers on which it never was seen to pass": Row(
        exc=AssertionError("x"), test="a::t", rule=5, outcome=UNDECIDED, again=False,
        scene={"answers": (Answer(service="backend_api", at=99.9, source="recorded", test="a::t"),)},
    ),
    "a failure on what the contract refused, never seen to pass": Row(
        exc=AssertionError("x"), test="a::t", rule=5, outcome=UNDECIDED, again=False,
        scene={"answers": (Answer(service="backend_api", at=99.9, source="contract", test="a::t"),)},
    ),
    "a failure on recorded answers on which it passed": Row(
        exc=AssertionError("x"), test="a::t", rule=5, outcome=FAILED, again=False,
        scene={
            "answers": (Answer(service="backend_api", at=99.9, source="recorded", test="a::t"),),
            "proved": frozenset({"a::t"}),
        },
    ),
    "an outage beside recorded answers": Row(
        exc=refused(), test="a::t", looks=RED, more=AT_DB, rule=11, outcome=INFRA, again=True,
        scene={"answers": (Answer(service="backend_api", at=99.9, source="recorded", test="a::t"),)},
    ),
    "an echo where only recorded answers were wanted": Row(
        exc=ZeroDivisionError("x"), test="a::t", rule=4, outcome=GAP, again=False,
        scene={
            "answers": (Answer(service="backend_api", at=99.9, source="echo", test="a::t"),),
            "strict": frozenset({"backend_api"}),
        },
    ),
    "a recorded answer is no gap": Row(
        exc=AssertionError("x"), scene={"answers": (Answer(service="backend_api", at=99.9, source="recorded"),)},
        more={"duration_s": 1.0}, rule=16, outcome=FAILED, again=False,
    ),
    "an echo to one of several workers tells nothing": Row(
        exc=AssertionError("x"), more={"duration_s": 1.0}, rule=16, outcome=FAILED, again=False,
        scene={"answers": (Answer(service="backend_api", at=99.9, source="echo"),), "alone": False},
    ),
    "no table on a stand-in that nobody prepared": Row(
        exc=sqlstate("42P01"), endpoints=(DB, LOCAL), more={"spoke": (("127.0.0.1", 5435),)}, rule=6, outcome=GAP, again=False
    ),
    "no table on a stand-in, seen through a framework's test client": Row(
        exc=through("http://testserver/orders", sqlstate("42P01")), endpoints=(DB, API, LOCAL),
        more={"used": (("127.0.0.1", 5435),)}, rule=6, outcome=GAP, again=False,
    ),
    "no table on a prepared stand-in": Row(
        exc=sqlstate("42P01"), endpoints=(DB, replace(LOCAL, prepared=True)), more={"spoke": (("127.0.0.1", 5435),)},
        rule=6, outcome=UNDECIDED, again=False,
    ),
    "a database that is not on a stand-in that nobody prepared": Row(
        exc=sqlstate("3D000"), endpoints=(DB, LOCAL), more={"spoke": (("127.0.0.1", 5435),)}, rule=6, outcome=GAP, again=False
    ),
    "a database that is not on a prepared stand-in": Row(
        exc=sqlstate("3D000"), endpoints=(DB, replace(LOCAL, prepared=True)), more={"spoke": (("127.0.0.1", 5435),)},
        rule=6, outcome=UNDECIDED, again=False,
    ),
    "a database that is not on a stand-in of MySQL's": Row(
        exc=of("pymysql.err", "OperationalError", "Unknown database", base=Numbered), endpoints=(DB, MYSQL_LOCAL),
        more={"spoke": (("127.0.0.1", 3307),)}, rule=6, outcome=GAP, again=False,
    ),
    "a database that is not in staging's MySQL": Row(
        exc=of("pymysql.err", "OperationalError", "Unknown database", base=Numbered),
        endpoints=(replace(MYSQL_LOCAL, stand_in=False),), more={"spoke": (("127.0.0.1", 3307),)}, rule=9, outcome=FAILED,
        again=False,
    ),
    "a wrong password at a stand-in": Row(
        exc=sqlstate("28P01"), endpoints=(DB, LOCAL), more={"spoke": (("127.0.0.1", 5435),)}, rule=9, outcome=FAILED, again=False
    ),
    "no table on staging": Row(exc=sqlstate("42P01"), endpoints=(DB, LOCAL), more=AT_DB, rule=16, outcome=FAILED, again=False),
    "no table elsewhere": Row(
        exc=sqlstate("42P01"), endpoints=(DB,), more={"spoke": (("10.9.9.9", 5432),)}, rule=16, outcome=FAILED, again=False
    ),
    "refused at a stand-in that does not run": Row(
        exc=refused("('127.0.0.1', 6382)"), endpoints=(REDIS, IDLE), rule=7, outcome=Outcome.NOT_RUN, again=False
    ),
    "refused by a server that the environment names, and by it to us": Row(
        exc=refused(str(PAIR)), scene={"known": {PAIR: "SMTP_HOST"}, "refusing": frozenset({PAIR})}, rule=8,
        outcome=UNDECIDED, again=True,
    ),
    "refused by a server that the environment names, and that answers us": Row(
        exc=refused(str(PAIR)), scene={"known": {PAIR: "SMTP_HOST"}}, rule=8, outcome=FAILED, again=False, suspect=True
    ),
    "refused on a port that nobody names": Row(
        exc=refused("('127.0.0.1', 1)"), looks=RED, rule=8, outcome=FAILED, again=False, suspect=True
    ),
    "a wrong port on a service's host": Row(
        exc=refused("('10.52.0.3', 8080)"), looks=RED, rule=8, outcome=FAILED, again=False, suspect=True
    ),
    "a wrong password": Row(exc=sqlstate("28P01"), more=AT_DB, rule=9, outcome=FAILED, again=False),
    "a wrong password beside a probe that is refused as well": Row(
        exc=sqlstate("28P01"), more=AT_DB, looks=(look("database", 100.5, C.APP_AUTH),), rule=9, outcome=INFRA, again=True
    ),
    "a wrong password beside a probe that is red for another reason": Row(
        exc=sqlstate("28P01"), more=AT_DB, looks=RED, rule=9, outcome=FAILED, again=False
    ),
    "a service that is unwell only while this test runs": Row(
        exc=sqlstate("53300"), more={**AT_DB, "duration_s": 1.0}, scene={"ended": 102.0}, rule=10, outcome=FAILED, again=True,
        suspect=True, looks=(look("database", 98.0), look("database", 100.5, C.APP_OVERLOAD), look("database", 102.5)),
    ),
    "the same where another test had met it before": Row(
        exc=sqlstate("53300"), more={**AT_DB, "duration_s": 1.0}, scene={"ended": 102.0, "first_sign": {"database": 99.5}},
        rule=11, outcome=INFRA, again=True,
        looks=(look("database", 98.0), look("database", 100.5, C.APP_OVERLOAD), look("database", 102.5)),
    ),
    "the same where it was unwell before": Row(
        exc=sqlstate("53300"), more={**AT_DB, "duration_s": 1.0}, scene={"ended": 102.0}, rule=11, outcome=INFRA, again=True,
        looks=(look("database", 98.0, C.APP_OVERLOAD), look("database", 102.5)),
    ),
    "refused at a service that is down": Row(exc=refused(), looks=RED, more=AT_DB, rule=11, outcome=INFRA, again=True),
    "a red look in the window wins over a green one": Row(
        exc=refused(), looks=(look("database", 98.6, C.TCP_REFUSED), look("database", 100.1)), more=AT_DB, rule=11,
        outcome=INFRA, again=True,
    ),
    "refused, the address from the audit": Row(
        exc=ConnectionRefusedError(111, ""), more=AT_DB, looks=RED, rule=11, outcome=INFRA, again=True
    ),
    "the product's own error because of it": Row(
        exc=wrapped(Custom("x"), refused()), looks=RED, more=AT_DB, rule=11, outcome=INFRA, again=True
    ),
    "refused by its words, where nobody was seen to connect": Row(
        exc=refused(), looks=RED, rule=14, outcome=UNDECIDED, again=True
    ),
    "refused by its words beside a well service": Row(exc=refused(), rule=13, outcome=FAILED, again=True, suspect=True),
    "refused in a loop in C, which nobody sees": Row(
        exc=refused(), looks=RED, more={"unseen": ("uvloop",)}, rule=11, outcome=INFRA, again=True
    ),
    "an assertion where a loop in C may have connected": Row(
        exc=AssertionError("x"), looks=RED, more={"unseen": ("uvloop",)}, rule=15, outcome=UNDECIDED, again=True
    ),
    "an assertion where a client that no kind knows may have connected to a dead server that knows none": Row(
        exc=AssertionError("x"), looks=RED, more={"unseen": ("oracledb",)}, rule=15, outcome=UNDECIDED, again=True
    ),
    "an assertion where such a client has none to speak to": Row(
        exc=AssertionError("x"), looks=RED[:2], more={"unseen": ("oracledb",)}, rule=16, outcome=FAILED, again=False
    ),
    "pytest's own assertion in a set-up, in a run in which Redis was down": Row(
        exc=broken_runner(), looks=(look("redis", 50.0, C.TCP_REFUSED), look("redis", 101.0)), more={"when": "setup"},
        rule=19, outcome=UNDECIDED, again=True,
    ),
    "the same in a run in which all was well": Row(
        exc=broken_runner(), more={"when": "setup"}, rule=16, outcome=Outcome.ERROR, again=False
    ),
    "a mock was told to raise what a dead service would": Row(
        exc=by_double(refused()), looks=RED, more=AT_DB, rule=20, outcome=FAILED, again=False
    ),
    "the product's own error because of a mock": Row(
        exc=wrapped(Custom("x"), by_double(refused())), looks=RED, rule=16, outcome=FAILED, again=False
    ),
    "the same where it used a service that is down as well": Row(
        exc=wrapped(Custom("x"), by_double(refused())), looks=RED, more=AT_DB, rule=15, outcome=UNDECIDED, again=True
    ),
    "a real refusal after a mock's": Row(
        exc=wrapped(refused(), by_double(refused()), cause=False), looks=RED, more=AT_DB, rule=11, outcome=INFRA, again=True
    ),
    "503 of a service that is down": Row(exc=status(503), looks=RED, rule=11, outcome=INFRA, again=True),
    "503 behind a green health page, as a deeper look says": Row(
        exc=status(503), looks=(look("backend_api", 99.9), look("backend_api", 101.0, C.APP_OVERLOAD, depth="path")), rule=11,
        outcome=INFRA, again=True,
    ),
    "a write to a server that only reads": Row(
        exc=sqlstate("25006"), more=AT_DB, rule=11, outcome=INFRA, again=True,
        looks=(look("database", 100.2, C.APP_READONLY, red=False, well=True, degraded=True),),
    ),
    "a deadline beside a slow service": Row(
        exc=of("httpx", "ReadTimeout", "('api.staging.test', 80)"), rule=11, outcome=INFRA, again=True,
        looks=(look("backend_api", 100.2, C.APP_SLOW, red=False, well=True, degraded=True),),
    ),
    "a deadline beside a service that was slow before and after as well": Row(
        exc=of("httpx", "ReadTimeout", "('api.staging.test', 80)"), more={"duration_s": 1.0}, scene={"ended": 102.0}, rule=11,
        outcome=INFRA, again=True,
        looks=tuple(look("backend_api", at, C.APP_SLOW, red=False, well=True, degraded=True) for at in (98.0, 100.5, 102.5)),
    ),
    "starting up": Row(exc=sqlstate("57P03"), more=AT_DB, looks=RED, rule=11, outcome=INFRA, again=True),
    "an assertion after a service that it used was unwell": Row(
        exc=AssertionError("x"), more=AT_DB, looks=(look("database", 50.0, C.TCP_REFUSED), look("database", 99.0)), rule=12,
        outcome=FAILED, again=True, suspect=True,
    ),
    "a closed connection after a restart": Row(
        exc=of("asyncpg.exceptions", "InterfaceError", "connection is closed"), more={"used": (("10.52.0.3", 5432),)}, rule=12,
        outcome=FAILED, again=True, suspect=True,
        looks=(look("database", 50.0, started="a"), look("database", 99.0, started="b")),
    ),
    "refused beside a green look": Row(exc=refused(), rule=13, outcome=FAILED, again=True, suspect=True),
    "refused, and no look tells": Row(exc=refused(), looks=(), rule=14, outcome=UNDECIDED, again=True),
    "a red look long ago": Row(
        exc=refused(), looks=(look("database", 60.0), look("database", 99.0)), rule=13, outcome=FAILED, again=True, suspect=True
    ),
    "the client's own error": Row(
        exc=of("asyncpg.exceptions", "InterfaceError", "another operation is in progress"), rule=13, outcome=FAILED, again=True
    ),
    "an exhausted pool, whose time-out is no sign": Row(
        exc=wrapped(of("httpx", "PoolTimeout"), TimeoutError()), more=AT_DB, rule=13, outcome=FAILED, again=True
    ),
    "an assertion with a refusal behind it, beside green looks": Row(
        exc=wrapped(AssertionError("x"), refused()), rule=13, outcome=FAILED, again=True, suspect=True
    ),
    "a time-out without an address beside a dead service that it used": Row(
        exc=TimeoutError(), more=AT_DB, looks=RED, rule=14, outcome=UNDECIDED, again=True
    ),
    "a time-out without an address beside well ones": Row(
        exc=TimeoutError(), more=AT_DB, rule=14, outcome=FAILED, again=True, suspect=True
    ),
    "a broken pipe to a child beside dead services": Row(
        exc=BrokenPipeError(32, "Broken pipe"), more={"children": True}, looks=RED, rule=14, outcome=FAILED, again=True,
        suspect=True,
    ),
    "the product's own end of file beside a well service that it used": Row(
        exc=EOFError("Compressed file ended"), more=AT_DB, rule=14, outcome=FAILED, again=True, suspect=True
    ),
    "the product's own reset beside a well service that it used": Row(
        exc=ConnectionResetError(104, "by our own rule"), more=AT_DB, rule=14, outcome=FAILED, again=True, suspect=True
    ),
    "a connection used after closing": Row(
        exc=of("asyncpg.exceptions", "InterfaceError", "connection is closed"), more=AT_DB, rule=13, outcome=FAILED, again=True
    ),
    "a mocked error of redis with the address in its text": Row(
        exc=redis.ConnectionError("Error 111 connecting to 127.0.0.1:6379. Connection refused."), rule=13, outcome=FAILED,
        again=True, suspect=True,
    ),
    "a database that is not there": Row(exc=sqlstate("3D000"), more=AT_DB, rule=9, outcome=FAILED, again=False),
    "a role that is not there": Row(exc=sqlstate("28000"), more=AT_DB, rule=9, outcome=FAILED, again=False),
    "an assertion on a dead service's answer": Row(
        exc=AssertionError("502"), more=AT_DB, looks=RED, rule=15, outcome=UNDECIDED, again=True
    ),
    "an assertion because of a refusal": Row(
        exc=wrapped(AssertionError("x"), refused()), looks=RED, rule=15, outcome=UNDECIDED, again=True
    ),
    "a KeyError of an error's body, which the marker's service gave": Row(
        exc=KeyError("orders"), more={"markers": ("real_redis",)}, looks=RED, rule=15, outcome=UNDECIDED, again=True
    ),
    "a child that failed beside dead services": Row(
        exc=AssertionError("1 == 0"), more={"children": True}, looks=RED, rule=15, outcome=UNDECIDED, again=True
    ),
    "a client in C that was loaded": Row(
        exc=AssertionError("x"), more={"unseen": ("psycopg2",)}, looks=RED, rule=15, outcome=UNDECIDED, again=True
    ),
    "a pure test beside dead services": Row(exc=AssertionError("x"), looks=RED, rule=16, outcome=FAILED, again=False),
    "a server that answered a wrong statement": Row(exc=sqlstate("42703"), more=AT_DB, rule=16, outcome=FAILED, again=False),
    "the same where it had been unwell": Row(
        exc=sqlstate("42703"), more=AT_DB, looks=RED, rule=12, outcome=FAILED, again=True, suspect=True
    ),
    "an assertion where a stand-in that does not run refused it": Row(
        exc=AssertionError("x"), endpoints=(DB, IDLE), more={"spoke": (("127.0.0.1", 6382),)},
        scene={"refusing": frozenset({("127.0.0.1", 6382)})}, rule=7, outcome=Outcome.NOT_RUN, again=False,
    ),
    "an assertion where somebody else listens in its place": Row(
        exc=AssertionError("x"), endpoints=(DB, IDLE), more={"spoke": (("127.0.0.1", 6382),)}, rule=16, outcome=FAILED,
        again=False,
    ),
    "404": Row(exc=status(404), rule=16, outcome=FAILED, again=False),
    "500": Row(exc=status(500), rule=16, outcome=FAILED, again=False),
    "words alone": Row(
        exc=Custom("connection refused, 503 service unavailable"), looks=RED, rule=16, outcome=FAILED, again=False
    ),
    "a client that was told wrongly beside a dead service": Row(
        exc=of("requests.exceptions", "MissingSchema", "Invalid URL '10.52.0.3:5432'"), looks=RED, rule=13, outcome=FAILED,
        again=True,
    ),
    "a write whose statement looks like an address": Row(
        exc=writing("[SQL: insert into payments values ('async', 1)]"), more=AT_DB, rule=11, outcome=INFRA, again=True,
        looks=(look("database", 100.2, C.APP_READONLY, red=False, well=True, degraded=True),),
    ),
    "a write in a pipeline of redis that takes none": Row(
        exc=of("redis.exceptions", "ResponseError", "Command # 1 (SET a) of pipeline caused error: (\"MISCONF cannot save\",)"),
        more={"spoke": (("127.0.0.1", 6379),)}, rule=11, outcome=INFRA, again=True,
        looks=(look("redis", 100.2, C.APP_READONLY, red=False, well=True, degraded=True),),
    ),
    "an assertion beside a server that takes no writes": Row(
        exc=AssertionError("x"), more=AT_DB, rule=15, outcome=UNDECIDED, again=True,
        looks=(look("database", 99.9, C.APP_READONLY, red=False, well=True, degraded=True),),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_the_first_rule_that_fits_decides(name: str) -> None:
    row = ROWS[name]
    more = dict(row.more)
    markers = more.pop("markers", ())
    scene = Scene(endpoints=row.endpoints, looks=Looks(row.looks), **row.scene)
    judged = judge_failure(told(row.exc, **more), scene, markers=markers, test=row.test)
    assert (judged.rule, judged.outcome, judged.again, judged.suspect) == (
        row.rule,
        row.outcome,
        row.again,
        row.suspect,
    ), judged


def test_every_rule_has_a_row_that_it_decides_and_a_reason() -> None:
    assert {rule.number for rule in RULES} == {row.rule for row in ROWS.values()}
    assert all(rule.reason and rule.what for rule in RULES)
    page = (Path(__file__).parents[2] / "docs/verdict.md").read_text(encoding="utf-8")
    told_of = [int(number) for number in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)]
    asked = [rule.number for rule in RULES]
    assert [number for number in told_of if number in asked] == asked, (
        "the page gives the rules in the order they are asked"
    )
    assert asked[-1] == 16, "what no other rule fits"


def test_a_judgement_carries_its_evidence() -> None:
    looks = Looks((look("database", 90.0), look("database", 99.8, C.TCP_REFUSED), look("database", 103.0)))
    judged = judge_failure(
        told(refused(), duration_s=0.5, **AT_DB), Scene(endpoints=(DB, REDIS), looks=looks, passed={"database": 2})
    )
    evidence = judged.evidence
    assert evidence is not None
    assert (evidence.rule, evidence.judgement, evidence.service) == (11, INFRA, "database")
    assert evidence.endpoint == "db.staging.test:5432"
    assert evidence.signs == ("ConnectionRefusedError: tcp_refused",)
    assert evidence.passed_there == 2
    assert evidence.before is not None
    assert evidence.during is not None
    assert evidence.after is not None
    assert (evidence.before.red, evidence.during.red, evidence.after.red) == (False, True, False)
    assert evidence.before.at < evidence.during.at < evidence.after.at


def test_an_error_that_our_plugin_could_not_read_is_nobodys() -> None:
    judged = judge_failure(told(AssertionError("x"), lost=True), Scene())
    assert (judged.rule, judged.outcome) == (1, Outcome.NOT_RUN)


def test_what_the_server_refuses_to_everybody_is_a_red_look_of_the_tests_themselves() -> None:
    tests = [Test(f"t{number}", failures=[told(status(503), at=100.0 + number)]) for number in range(3)]
    said = told_by(tests, (API,))["backend_api"]
    assert (said.unwell, said.depth, said.path) == (3, "path", "/orders")
    shared = shared_look("backend_api", said)
    assert shared is not None
    assert (shared.red, shared.told) == (True, True)
    passed = Test("t9", state="passed", spoke=(("api.staging.test", 80),))
    assert shared_look("backend_api", told_by([*tests, passed], (API,))["backend_api"]) is None
    assert shared_look("backend_api", told_by(tests[:2], (API,))["backend_api"]) is None


def test_an_answer_in_the_tests_hands_counts_like_one_in_its_error() -> None:
    seen = (("api.staging.test", 80, 503, "/orders"),)
    tests = [Test(f"t{number}", failures=[told(AssertionError("503 == 200"), seen=seen)]) for number in range(3)]
    assert told_by(tests, (API,))["backend_api"].unwell == 3


def test_nothing_can_have_been_done_where_the_only_service_was_never_reached() -> None:
    scene = Scene(endpoints=(DB, REDIS), looks=Looks(RED))
    assert judge_failure(told(refused()), scene).nothing_done
    assert not judge_failure(told(refused(), spoke=(("127.0.0.1", 6379),)), scene).nothing_done
    assert not judge_failure(told(sqlstate("57P01"), **AT_DB), scene).nothing_done


def test_a_retry_tests_own_server_and_a_test_client_of_a_framework_are_nobodys_endpoint() -> None:
    scene = Scene(endpoints=(DB, REDIS, API), looks=Looks(RED))
    assert case_of(told(status(503, "http://testserver/orders")), scene).target.endpoint is None
    assert case_of(told(status(503, "http://127.0.0.1:40404/x")), scene).service is None


CHAIN = plugin.describe(refused())
EVENTS: tuple[dict[str, Any], ...] = (
    {"k": "start", "root": "/p", "pytest": "9", "key": "k"},
    {"k": "ids", "ids": ["a::t"]},
    {"k": "collected"},
    {"k": "b", "i": 0, "l": 7},
    {"k": "fail", "id": 0, "chain": CHAIN, "spoke": [["10.52.0.3", 5432]], "when": "call", "at": 100.0},
)


@pytest.mark.parametrize(
    ("exc", "outcome"), [(AttributeError("x"), INFRA), (AssertionError("x"), Outcome.ERROR)], ids=["follows", "asserts"]
)
def test_teardown_after_an_outage_is_not_a_bug_but_an_assertion_is(exc: BaseException, outcome: Outcome) -> None:
    record = fed(*EVENTS, {"k": "fail", "id": 0, "chain": plugin.describe(exc), "when": "teardown", "at": 100.0})
    assert judge_test(record.tests["/p", "a::t"], Scene(endpoints=(DB,), looks=Looks(RED))).outcome is outcome


BUG = ZeroDivisionError("division by zero")


@pytest.mark.parametrize(
    ("exc", "looks", "outcome", "again"),
    [
        (ExceptionGroup("page", [refused(), BUG]), RED, UNDECIDED, True),
        (ExceptionGroup("page", [BUG, ExceptionGroup("rows", [refused()])]), RED, UNDECIDED, True),
        (ExceptionGroup("page", [refused(), refused()]), RED, INFRA, True),
        (ExceptionGroup("page", [refused(), BUG]), GREEN, FAILED, False),
        (ExceptionGroup("page", [refused()]), GREEN, FAILED, True),
    ],
    ids=["an outage and a bug", "within each other", "an outage twice", "a bug and a sign beside well ones", "a sign"],
)
def test_each_error_of_a_group_is_judged_and_the_worst_for_the_product_stands(
    exc: BaseException, looks: tuple[Look, ...], outcome: Outcome, again: bool
) -> None:
    judged = judge_failure(told(exc, **AT_DB), Scene(endpoints=(DB, REDIS, API), looks=Looks(looks)))
    assert (judged.outcome, judged.again) == (outcome, again), judged
    assert judged.message.startswith("ExceptionGroup: page")


def test_what_a_group_waits_for_is_what_all_of_its_errors_wait_for() -> None:
    group = ExceptionGroup("page", [refused(), through("http://api.staging.test/", status(503)), BUG])
    judged = judge_failure(told(group, **AT_DB), Scene(endpoints=(DB, REDIS, API), looks=Looks(RED)))
    assert judged.needs == {"database", "backend_api"}


def test_the_errors_of_a_group_are_what_two_runs_have_in_common() -> None:
    first = judge_failure(
        told(ExceptionGroup("page", [refused(), BUG]), **AT_DB), Scene(endpoints=(DB,), looks=Looks(RED))
    )
    for later in (ExceptionGroup("page", [BUG]), BUG):
        now = judge_failure(told(later), Scene(endpoints=(DB,), looks=Looks(GREEN), round=2))
        assert settle(Again(first=first, now=now)).outcome is FAILED
    other = judge_failure(told(ValueError("x")), Scene(endpoints=(DB,), looks=Looks(GREEN), round=2))
    assert settle(Again(first=first, now=other)).outcome is UNDECIDED


def test_a_reset_and_an_end_of_the_far_side_are_the_same_error_in_two_runs() -> None:
    """Which of the two a client is told when a server ends a connection is chance; a refusal is another error."""
    reset = wrapped(of("redis.exceptions", "ConnectionError", "reset"), ConnectionResetError(104, "reset"))
    closed = of("redis.exceptions", "ConnectionError", "Connection closed by server.")
    never = wrapped(of("redis.exceptions", "ConnectionError", "refused"), ConnectionRefusedError(111, "refused"))
    of_reset, of_closed, of_never = (judge_failure(told(exc), Scene()).kinds for exc in (reset, closed, never))
    assert of_reset == of_closed != of_never


@pytest.mark.parametrize("state", ["passed", "xpassed", "xfailed"])
def test_a_test_that_passed_is_a_gap_where_it_surely_was_given_a_miss(state: str) -> None:
    miss = Answer(service="backend_api", at=1.0, source="miss", what="GET /a", test="a::t")
    judged = judge_test(Test("a::t", state=state), Scene(answers=(miss, replace(miss, what="GET /b"))))
    assert (judged.rule, judged.outcome, judged.service) == (4, GAP, "backend_api")
    assert "had no answer to GET /a, and to 1 more" in judged.reason
    for other in (replace(miss, test="a::u"), replace(miss, test=""), replace(miss, source="echo")):
        assert judge_test(Test("a::t", state=state), Scene(answers=(other,))).rule == 0


def test_a_held_test_is_infrastructures_and_waits_for_its_service() -> None:
    judged = judge_test(Test("t", held=("database is down", "database")), Scene())
    assert (judged.rule, judged.outcome, judged.needs) == (2, INFRA, {"database"})


def test_libpq_says_by_its_connection_what_no_type_of_python_says() -> None:
    scene = Scene(endpoints=(DB, REDIS), looks=Looks(RED))
    text = 'connection to server at "10.52.0.3", port 5432 failed: Connection refused'
    failure = told(of("psycopg2", "OperationalError", text))
    assert judge_failure(failure, scene).outcome is not INFRA, "by its words alone it is nothing"
    chain = ({**failure.chain[0], "libpq": "connect"},)
    assert judge_failure(replace(failure, chain=chain), scene).rule == 11
    answered = ({**failure.chain[0], "libpq": "answered"},)
    assert judge_failure(replace(failure, chain=answered), scene).outcome is FAILED, (
        "a server that answers was not refused"
    )
    slow = look("database", 100.0, C.APP_SLOW, red=False, well=True, degraded=True)
    beside_slow = judge_failure(replace(failure, chain=answered), Scene(endpoints=(DB, REDIS), looks=Looks((slow,))))
    assert beside_slow.outcome is FAILED, "a slow server refuses nobody"
    red = Scene(endpoints=(DB, REDIS), looks=Looks((look("database", 100.0, C.APP_AUTH),)))
    assert judge_failure(replace(failure, chain=answered), red).rule == 11


def test_what_libpq_was_refused_at_a_stand_in_without_a_code_is_undecided() -> None:
    text = 'connection to server at "127.0.0.1", port 5435 failed: FATAL:  database "orders" does not exist'
    failure = told(of("psycopg2", "OperationalError", text), spoke=(("127.0.0.1", 5435),))
    assert failure.chain[0]["libpq"] == "answered"
    judged = judge_failure(failure, Scene(endpoints=(DB, LOCAL), looks=Looks(GREEN)))
    assert (judged.rule, judged.outcome, judged.again) == (6, UNDECIDED, True), (
        "the stand-in may lack it, or the code be wrong"
    )
    unwell = judge_failure(
        failure, Scene(endpoints=(DB, LOCAL), looks=Looks((look("database", 100.0, C.APP_STARTING),)))
    )
    assert unwell.rule == 11
    staging = judge_failure(failure, Scene(endpoints=(replace(LOCAL, stand_in=False),), looks=Looks(GREEN)))
    assert staging.outcome is FAILED


ONCE: Mapping[str, Any] = {"retry": Retry(NoBackoff(), 0), "socket_connect_timeout": 1}
AT_ONCE: Mapping[str, Any] = {"retry": redis.asyncio.retry.Retry(NoBackoff(), 0), "socket_connect_timeout": 1}


def asked_sentinel(way: str, port: int, then: int | None = None) -> BaseException:
    """The error of a client that asked a sentinel that is not there for the primary, and `then` spoke to a server itself."""
    try:
        if way.startswith("async"):
            asyncio.run(_ask_sentinel(port, then, client=way == "async client"))
        sentinel = redis.sentinel.Sentinel([("localhost", port)], sentinel_kwargs=dict(ONCE), **ONCE)
        try:
            if way == "sync client":
                sentinel.master_for("primary").ping()
            sentinel.discover_master("primary")
        except redis.ConnectionError:
            if then is None:
                raise
            redis.Redis(port=then, **ONCE).ping()
    except redis.ConnectionError as exc:
        return exc
    raise AssertionError("nobody listens there")


async def _ask_sentinel(port: int, then: int | None, *, client: bool) -> None:
    sentinel = redis.asyncio.sentinel.Sentinel([("localhost", port)], sentinel_kwargs=dict(AT_ONCE), **AT_ONCE)
    try:
        if client:
            await sentinel.master_for("primary").ping()
        await sentinel.discover_master("primary")
    except redis.ConnectionError:
        if then is None:
            raise
        async with redis.asyncio.Redis(port=then, **AT_ONCE) as server:
            await server.ping()


@pytest.mark.parametrize("way", ["sync", "sync client", "async", "async client"])
def test_a_sentinel_that_is_not_there_is_not_the_redis_that_is(way: str) -> None:
    port = free_port()
    exc, there = asked_sentinel(way, port), ("localhost", port)
    failure = told(exc, spoke=(("127.0.0.1", port), ("127.0.0.1", 6379)))
    nowhere = judge_failure(failure, Scene(endpoints=(DB, REDIS), looks=Looks(GREEN)))
    assert (nowhere.rule, nowhere.outcome, nowhere.service) == (8, FAILED, None), "a port that nobody names"
    assert f"localhost:{port}" in nowhere.reason
    scene = Scene(endpoints=(DB, REDIS), looks=Looks(GREEN), known={there: "ci.yml"}, refusing=frozenset({there}))
    named = judge_failure(failure, scene)
    assert (named.rule, named.outcome) == (8, UNDECIDED), "named, and dead for us as well: somebody's outage"
    declared = Endpoint(service="sentinel", kind=KINDS["tcp"], host="localhost", port=port)
    red = Looks((*GREEN, look("sentinel", 99.9, C.TCP_REFUSED)))
    judged = judge_failure(failure, Scene(endpoints=(DB, REDIS, declared), looks=red))
    assert (judged.rule, judged.outcome, judged.service) == (11, INFRA, "sentinel")


@pytest.mark.parametrize("way", ["sync client", "async client"])
def test_a_fallback_behind_a_sentinel_that_is_not_there_is_about_the_server_that_it_fell_back_to(way: str) -> None:
    sentinel, server = free_ports(2)
    failure = told(asked_sentinel(way, sentinel, server), spoke=(("127.0.0.1", server),))
    scene = Scene(endpoints=(DB, replace(REDIS, port=server)), looks=Looks(RED))
    judged = judge_failure(failure, scene)
    assert (judged.rule, judged.outcome, judged.service) == (11, INFRA, "redis")


def test_redis_errors_are_judged_by_what_redis_said() -> None:
    scene = Scene(endpoints=(DB, REDIS), looks=Looks(RED))
    assert judge_failure(told(redis.ConnectionError("gone")), scene).rule == 11, "the only service of its client"
    assert judge_failure(told(redis.MaxConnectionsError("Too many connections")), scene).rule == 13
    two = Scene(endpoints=(REDIS, replace(REDIS, service="cache", port=6380)), looks=Looks(RED))
    assert judge_failure(told(redis.ConnectionError("gone")), two).outcome is not INFRA, (
        "one of two: nobody knows which"
    )
