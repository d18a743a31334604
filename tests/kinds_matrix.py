"""Turn the live code into a printed matrix: what is known of each kind of service, one function a column.

`python -m tests.kinds_matrix` prints it; `tests/data/kinds.txt` is what it said last, and `test_kinds_matrix.py` compares.
A column asks the code that decides (it parses, judges, builds, recognises), with the samples below; it never repeats a
table. Where the code moves, the column is pointed to the new place and must still print the same lines.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache
from inspect import getsource
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from resilience import guide
from resilience.core import assess, causes, faults, plan
from resilience.core.errors import ResilienceError
from resilience.core.records import (
    Applied,
    Cause,
    ConnectivityResult,
    ConnectivityStatus,
    Decision,
    FaultCode,
    Observation,
    Phase,
    Phases,
    PlannedStandIn,
    StandIn,
    TestExecutionMode,
)
from resilience.core.redact import Redactor
from resilience.core.secret import Secret
from resilience.core.settings import Service, Settings
from resilience.core.urls import url_parts
from resilience.home import guessing, init, repository, signs
from resilience.host import log
from resilience.lab import lab, scenario
from resilience.runs import configuration
from resilience.services import looking, registry, standing_in, wire as connect
from resilience.services.clickhouse import kind as clickhouse_kind, stand_in as clickhouse
from resilience.services.postgresql import kind as postgresql_kind, stand_in as postgresql
from resilience.services.redis import driver, kind as redis_kind, stand_in as redis
from resilience.services.websocket import kind as websocket_kind
from resilience.settings.build import build
from resilience.stand_ins import (
    comparing,
    compose,
    endpoints,
    ground,
    listeners,
    offers,
    proof as proving,
    providers as providing,
    starting,
    usage,
)
from resilience.suite import addresses, pytest_plugin
from resilience.suite.endpoints import Endpoint, by_protocol
from tests.kits.kinds import ServiceType
from tests.kits.records import AT, config, health

KINDS = tuple(ServiceType)
REFUSED = "-"
Lines = Iterable[tuple[str, str]]
"""What a column prints of one kind: a key, and what the code says of it."""

# --- the samples: what the code is asked with, the same for every kind

SCHEMES = (
    *("postgresql", "postgres", "postgresql+asyncpg", "redis", "rediss", "valkey", "valkeys", "unix"),
    *("http", "https", "clickhouse", "clickhouses", "clickhouse+http", "clickhouse+https", "openai+http"),
    *("openai+https", "ws", "wss", "tcp", "mysql"),
)
URLS = {
    "a fragment": "{scheme}://127.0.0.1/a#b",
    "@ in the path": "{scheme}://127.0.0.1/a@b",
    "no host": "{scheme}:///x",
    "host as a query": "{scheme}:///x?host=db.test&port=6543",
    "a socket as a query": "{scheme}:///x?host=/run/pg&port=6543",
    "a user alone": "{scheme}://only-user@127.0.0.1/x",
    "port 0": "{scheme}://127.0.0.1:0/x",
    "a space": "{scheme}://127.0.0.1/a b",
    "@ in the password": "{scheme}://user:p@ss@127.0.0.1/x",
}
KEYS = {
    "readiness_url": '"http://127.0.0.1:1/readiness"',
    "write_check": "true",
    "headers": '{ X-Team = "1" }',
    "expect_status": "[204]",
    "expect_body": '"ok"',
    "expect_json": '{ status = "ok" }',
    "mock_routes": '["GET /orders 200"]',
    "echo": '"ping"',
    "teach": '["traffic"]',
    "teach_contract": '"/docs/openapi.json"',
    "teach_routes": '["/orders"]',
    "recorder_tls": "true",
    "teach_from": '"postgresql://127.0.0.1/replica"',
    "seed": '["users where id < 9"]',
    "mask": '{ "users.name" = "keep" }',
    "require": '"recorded"',
    "build_from": '"header:X-Version"',
    "prepare": '["true"]',
    "ready_query": '"select 1"',
    "tls_ca": '"ca.pem"',
    "network": '"vpc"',
    "critical": "true",
    "markers": '["real"]',
    "timeout_s": "3",
    "degraded_above_s": "2",
    "runbook_url": '"https://runbook.test/"',
    "owner": '"team"',
    "shared": "true",
    "dashboard_url": '"https://dashboard.test/"',
}
FINDINGS: Mapping[str, Mapping[str, str]] = {
    "role=standby": {"role": "standby"},
    "role=replica": {"role": "replica"},
    "role=replica, replica_read_only=0": {"role": "replica", "replica_read_only": "0"},
    "read_only=on": {"read_only": "on"},
    "primary_link=down": {"primary_link": "down"},
    "loading=yes": {"loading": "yes"},
    "last_save=err": {"last_save": "err"},
    "last_append=err": {"last_append": "err"},
    "memory_used=94 %, noeviction": {"memory_used": "94 %", "memory_policy": "noeviction"},
    "memory_used=95 %, noeviction": {"memory_used": "95 %", "memory_policy": "noeviction"},
    "memory_used=95 %, allkeys-lru": {"memory_used": "95 %", "memory_policy": "allkeys-lru"},
    "readonly_replicas=1": {"readonly_replicas": "1", "replicas": "2"},
    "replica_delay_s=31": {"replica_delay_s": "31"},
    "replica_delay_s=301": {"replica_delay_s": "301"},
}
CLIENTS = sorted({*pytest_plugin._CLIENTS, "aioredis", "asyncmy", "MySQLdb", "pymongo", "starlette"})
VARIABLES = (
    *("DATABASE_URL", "DB_URL", "POSTGRES_HOST", "POSTGRES_USER", "POSTGRES_DB", "PGHOST", "PGUSER", "PGDATABASE"),
    *("DB_HOST", "DB_NAME", "DATABASE_HOST", "MYSQL_HOST", "REDIS_URL", "REDIS_HOST", "REDISCLOUD_URL", "VALKEY_URL"),
    *("CLICKHOUSE_URL", "CLICKHOUSE_HOST", "BACKEND_URL", "BACKEND_BASE_URL", "API_URL", "API_BASE_URL", "SERVER_URL"),
    *("AUTH_URL", "AUTH_SERVICE_URL", "AUTH_SERVER_URL", "AUTH_BASE_URL", "AUTH_ISSUER", "OIDC_ISSUER"),
    *("WEBSOCKET_URL", "WS_URL", "WS_BASE_URL", "LLM_URL", "LLM_BASE_URL", "OPENAI_API_KEY", "OPENAI_BASE_URL"),
    *("OPENAI_API_BASE", "STAGING_DATABASE_URL", "STAGING_REDIS_URL", "KAFKA_URL"),
)
IMAGES = (
    *("postgres:16", "postgis/postgis:16-3.4", "pgvector/pgvector:pg16", "timescale/timescaledb:latest"),
    *(
        "redis:7",
        "redis/redis-stack",
        "valkey/valkey:8",
        "clickhouse/clickhouse-server:24",
        "quay.io/keycloak/keycloak",
    ),
    *("team/auth:1", "ollama/ollama", "vllm/vllm-openai", "team/backend:1", "mysql:8", "mariadb:11"),
)
SWITCHES = (
    *("DATABASE_MODE", "REDIS_MODE", "CLICKHOUSE_MODE"),
    *("WEBSOCKET_MOCK_MODE", "AUTH_FALLBACK_MODE", "LLM_FALLBACK_MODE", "BACKEND_MODE"),
)
TEMPLATES = {template.name: (kind, template) for kind, template in registry.KINDS.templates()}
NAMES = tuple(TEMPLATES)
"""The services of the outage guide, by which some of today's code tells what a service is."""

HERE = Path("/nowhere")


# --- what the samples are made of


def settings_of(*services: Service, root: Path = HERE) -> Settings:
    return replace(config(root), services=services)


def sample(kind: ServiceType, name: str = "mine", **fields: Any) -> Service:
    scheme = schemes_of(kind)[0]
    given: dict[str, Any] = {
        "url": Secret(f"{scheme}://user:staging-pw@staging.test/x"),
        "local": Secret(f"{scheme}://user:local-pw@127.0.0.1:9/x"),
        **fields,
    }
    return Service(name=name, kind=registry.KINDS[kind], **given)


def url_of(scheme: str, host: str = "127.0.0.1") -> str:
    return "unix:///run/x.sock" if scheme == "unix" else f"{scheme}://user:pw@{host}/x"


def schemes_of(kind: ServiceType) -> tuple[str, ...]:
    return tuple(scheme for scheme in SCHEMES if settings_port(kind, scheme) != REFUSED)


def result_of(service: Service, code: FaultCode | None, **fields: Any) -> ConnectivityResult:
    return ConnectivityResult(
        name=service.name,
        type=service.type,
        status=ConnectivityStatus.UNAVAILABLE if code else ConnectivityStatus.AVAILABLE,
        fault=code,
        phase=Phase.TCP if code else None,
        retryable=True,
        infrastructure=code is not None,
        response_time_s=1.0,
        phases=Phases(tcp_s=None if code else 0.01),
        endpoint=fields.pop("endpoint", "staging.test:1"),
        critical=False,
        detail="",
        hint="look there",
        **fields,
    )


def deciding(name: str) -> Decision:
    return Decision(mode=TestExecutionMode.DEGRADED, reasons=(), stand_ins=(name,), decided_at=AT)


def one_line(text: object) -> str:
    return " ".join(str(text).split())


def put(where: object, name: str, value: object) -> Any:
    """Put something in the place of what would reach out of this process."""
    return mock.patch.object(where, name, value)


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as made:
        (Path(made) / ".git").mkdir()
        yield Path(made)


# --- ports and TLS by scheme, as each of today's tables has them


def settings_port(kind: ServiceType, scheme: str) -> str:
    try:
        parts = url_parts(url_of(scheme), registry.KINDS[kind])
    except ValueError:
        return REFUSED
    return "socket" if parts.port is None else str(parts.port)


def probe_port(kind: ServiceType, scheme: str) -> str:
    try:
        address = connect.parse(registry.KINDS[kind], url_of(scheme))
    except connect.Refused:
        return REFUSED
    return f"{address.socket_path or address.port}{' TLS' if address.tls else ''}"


def stand_in_port(kind: ServiceType, scheme: str) -> str:
    try:
        return str(
            endpoints.endpoint(Service(name="mine", kind=registry.KINDS[kind], local=Secret(url_of(scheme)))).port
        )
    except ResilienceError:
        return REFUSED


def attributed_port(kind: ServiceType, scheme: str) -> str:
    service = Service(name="mine", kind=registry.KINDS[kind], url=Secret(url_of(scheme)))
    found = addresses.endpoints_of(settings_of(service).services, (), resolve_s=0.0)
    return str(found[0].port) if found else REFUSED


def plug_in_port(kind: ServiceType, scheme: str) -> str:
    found = pytest_plugin._from_url(url_of(scheme))
    return str(found[1]) if found else REFUSED


PORTS: Mapping[str, Callable[[ServiceType, str], str]] = {
    "settings": settings_port,
    "probe": probe_port,
    "stand-in": stand_in_port,
    "attribution": attributed_port,
    "plug-in": plug_in_port,
}


def ports(kind: ServiceType) -> Lines:
    """Each scheme that settings, the probe or the stand-in takes, with the port it has where the URL names none."""
    for scheme in SCHEMES:
        told = {name: port(kind, scheme) for name, port in PORTS.items()}
        if {told["settings"], told["probe"], told["stand-in"]} == {REFUSED}:
            continue
        # A stand-in speaks no TLS by design: that it refuses a scheme is no drift, another port is.
        numbers = {value.removesuffix(" TLS") for name, value in told.items() if (name, value) != ("stand-in", REFUSED)}
        drift = "" if len(numbers) == 1 else "   <- they differ"
        yield f"{scheme}://", ", ".join(f"{name} {value}" for name, value in told.items()) + drift


def refusals(kind: ServiceType) -> Lines:
    """What is said to a scheme that is not of this kind."""
    yield "settings", refused_by_settings(kind)
    try:
        connect.parse(registry.KINDS[kind], "gopher://127.0.0.1/x")
    except connect.Refused as exc:
        yield "probe", f"{exc.fault.detail}; hint: {exc.fault.hint}"
    try:
        endpoints.endpoint(Service(name="mine", kind=registry.KINDS[kind], local=Secret("gopher://127.0.0.1/x")))
    except ResilienceError as exc:
        yield "stand-in", one_line(exc)


def refused_by_settings(kind: ServiceType) -> str:
    try:
        built(f'name = "mine"\ntype = "{kind.value}"\nurl = "gopher://127.0.0.1/x"')
    except ResilienceError as exc:
        return one_line(exc)
    return "accepted"


def odd_urls(kind: ServiceType) -> Lines:
    """URLs that only some kinds take: what settings and the probe say of each."""
    for what, template in URLS.items():
        url = template.format(scheme=schemes_of(kind)[0])
        try:
            parts = url_parts(url, registry.KINDS[kind])
            settings = f"{parts.host} port {parts.port}"
        except ValueError as exc:
            settings = f"refused ({exc})"
        try:
            probe = connect.parse(registry.KINDS[kind], url).endpoint
        except connect.Refused as exc:
            probe = f"refused ({exc.fault.detail})"
        yield what, f"settings {settings}, probe {probe}"


# --- `assess --url`


@cache
def by_url() -> dict[str, tuple[ServiceType | None, str]]:
    """Each scheme → the kind that `assess --url` takes it for, and what it makes of it."""
    told: dict[str, tuple[ServiceType | None, str]] = {}
    with folder() as here:
        for scheme in SCHEMES:
            try:
                made = configuration.settings_for_url([url_of(scheme)], cwd=here, environ={}).services[0]
            except ResilienceError as exc:
                told[scheme] = None, f"refused: {one_line(exc)}"
                continue
            try:
                probe = connect.parse(made.kind, made.url.reveal()).endpoint
            except connect.Refused as exc:
                probe = f"refused ({exc.fault.detail})   <- they differ"
            told[scheme] = (
                made.type,
                (
                    f"{made.name}, critical {made.critical}, time-out {made.timeout_s:g} s, expects "
                    f"{'/'.join(map(str, made.expect_status))}, probe {probe}"
                ),
            )
    return told


def assess_url(kind: ServiceType) -> Lines:
    for scheme, (found, text) in by_url().items():
        if found == kind:
            yield f"{scheme}://", text


# --- settings


def built(service: str, environ: Mapping[str, str] | None = None) -> Settings:
    text = f"[[service]]\n{service}\n"
    return build(
        text, source=HERE / "resilience.toml", root=HERE, environ=environ or {}, profile_texts={}, kinds=registry.KINDS
    )


def keys(kind: ServiceType) -> Lines:
    """Keys that not every kind may have; those of all kinds are left out."""
    for key, value in KEYS.items():
        if all(takes(one, key, value) for one in KINDS):
            continue
        yield key, "accepted" if takes(kind, key, value) else REFUSED


def takes(kind: ServiceType, key: str, value: str) -> bool:
    try:
        built(f'name = "mine"\ntype = "{kind.value}"\nurl = "{url_of(schemes_of(kind)[0])}"\n{key} = {value}')
    except ResilienceError:
        return False
    return True


def defaults(kind: ServiceType) -> Lines:
    """What a service has whose configuration says nothing."""
    url = url_of(schemes_of(kind)[0])
    service = built(f'name = "mine"\ntype = "{kind.value}"\nurl = "{url}"').services[0]
    yield "critical", str(service.critical)
    yield "timeout_s", f"{service.timeout_s:g}"
    yield "degraded_above_s", f"{service.degraded_above_s:g}"
    yield "expect_status", "/".join(map(str, service.expect_status))
    yield "ready_query", service.ready_query or "none"
    user = url.replace("user:pw@", "only-user@")
    secrets = built(f'name = "mine"\ntype = "{kind.value}"\nurl = "{user}"').secrets
    yield "a user without a password is a secret", str(Secret("only-user") in secrets)


def switches(kind: ServiceType) -> Lines:
    """The variables that ask for a stand-in of this kind, and the one that `apply` writes by the service's name."""
    for variable in SWITCHES:
        value = "true" if variable.endswith(("MOCK_MODE", "FALLBACK_MODE")) else "local"
        chosen = built(
            f'name = "mine"\ntype = "{kind.value}"\nurl = "{url_of(schemes_of(kind)[0])}"', {variable: value}
        ).wishes.local_services
        if chosen:
            yield f"{variable}={value}", "asks for it, whatever its name"
    for name in (*names_of(kind), "mine"):
        service = sample(kind, name)
        decision = deciding(name)
        values = plan.values_to_apply(decision, health({}), settings_of(service).planning)
        written = [f"{variable}={values[variable]}" for variable in SWITCHES if variable in values]
        yield f"written for {name}", ", ".join(written) or "none"


# --- faults, findings, causes


def hints(kind: ServiceType) -> Lines:
    """Faults that are explained in the words of this kind's protocol."""
    for code in FaultCode:
        plain = faults.fault(code)
        told = faults.at(plain, "db.test:99", registry.KINDS[kind])
        if told != faults.at(plain, "db.test:99"):
            yield code.value, f"{told.cause} | {told.hint}"


def findings(kind: ServiceType) -> Lines:
    """What is unwell about a service that answered, by the facts that its probe can tell."""
    probe = getsource(importlib.import_module(f"resilience.services.{kind.value}.probe"))
    for what, facts in FINDINGS.items():
        if not all(f'"{name}"' in probe for name in facts):
            continue
        for writes in ({}, {"writes": "ok"}):
            seen = Observation(
                name="mine",
                started_at=AT,
                response_time_s=0.1,
                phases=Phases(),
                fault=None,
                endpoint="db.test:99",
                facts={**facts, **writes},
            )
            found = assess.judge(sample(kind), seen)
            code = found.fault.value if found.fault else "well"
            yield (
                f"{what}{', writes=ok' if writes else ''}",
                f"{found.status.value} {code} {one_line(found.detail)} | {found.hint}" if found.fault else code,
            )


def scene(*pairs: tuple[Service, ConnectivityResult]) -> causes.Scene:
    results = tuple(result for _, result in pairs)
    return causes.Scene(
        services={service.name: service for service, _ in pairs},
        results=results,
        left=tuple(result for result in results if result.fault),
    )


def shared_causes(kind: ServiceType) -> Lines:
    """The roles that this kind can play in the rules of shared causes."""
    mine, other = sample(kind, "mine", network="vpc"), sample(ServiceType.HTTP, "other")
    lost = result_of(mine, FaultCode.TCP_TIMEOUT)
    gateway = result_of(other, FaultCode.APP_UPSTREAM, found="status 502")
    yield "issue #1278, as the lost database", said(causes.issue_1278(scene((mine, lost), (other, gateway))))
    database = sample(ServiceType.POSTGRESQL, "database")
    silent = result_of(database, FaultCode.TCP_TIMEOUT)
    broken = result_of(mine, FaultCode.APP_UPSTREAM, found="status 502")
    yield "issue #1278, as the backend", said(causes.issue_1278(scene((database, silent), (mine, broken))))
    well = result_of(other, None)
    yield "a lost network", said(causes.vpc_connector(scene((mine, lost), (other, well))))
    proxied = result_of(mine, FaultCode.PROTO_SILENT, endpoint="127.0.0.1:5432")
    yield "silent on loopback", said(causes.cloud_sql_proxy(scene((mine, proxied))))
    needs, needed = replace(mine, depends_on=("other",)), result_of(other, FaultCode.TCP_REFUSED)
    symptom = result_of(mine, FaultCode.APP_ERROR)
    yield "an error while what it needs is down", said(causes.dependency(scene((needs, symptom), (other, needed))))
    for name in names_of(kind):
        asker = sample(ServiceType.HTTP, "asker", depends_on=(name,))
        refused = result_of(asker, FaultCode.APP_AUTH)
        down = result_of(sample(kind, name), FaultCode.TCP_REFUSED)
        yield (
            f"{name} down, who needs it is refused",
            said(causes.authentication(scene((sample(kind, name), down), (asker, refused)))),
        )
        needs_by_name = causes._edges(sample(kind, name), {name: sample(kind, name)})
        yield f"{name} needs, where none says", ", ".join(needs_by_name) or "nothing"


def said(found: Iterable[Cause]) -> str:
    return "; ".join(f"{c.cause.value} {c.issue} ({', '.join(c.services)})".replace("  ", " ") for c in found) or "no"


# --- clients, as failing tests show them


def clients_of(kind: ServiceType) -> tuple[str, ...]:
    """The client libraries whose errors are taken for this kind's where no address is known."""
    service = Endpoint(service="mine", kind=registry.KINDS[kind], host="staging.test", port=1)
    return tuple(module for module in CLIENTS if by_protocol([{"mro": [f"{module}.errors.Error"]}], [service]))


def clients(kind: ServiceType) -> Lines:
    yield "libraries", " ".join(clients_of(kind)) or "none"
    yield from (line for module in clients_of(kind) for line in classes_of(module))


def classes_of(module: str) -> Lines:
    """Each class of this library that says something by its name, and the fault it is."""
    for root, name in (*sure_classes(), *vague_classes()):
        if root == module:
            link = type(name, (Exception,), {"__module__": module})("…")
            sure = "sure" if (root, name) in sure_classes() else "vague"
            yield f"{module}.{name}", f"{faults.classify(link, kinds=registry.BUILT_IN).code.value} ({sure})"


def sure_classes() -> tuple[tuple[str, str], ...]:
    return tuple(key for table in (*(kind.errors for kind in registry.KINDS), faults._CLASSES) for key in table)


def vague_classes() -> tuple[tuple[str, str], ...]:
    return tuple(key for table in (*(kind.vague for kind in registry.KINDS), faults._VAGUE) for key in table)


def grouped(pairs: Iterable[tuple[str, str]]) -> Lines:
    by_code: dict[str, list[str]] = {}
    for sign, code in pairs:
        by_code.setdefault(code, []).append(sign)
    for code in sorted(by_code):
        yield code, " ".join(by_code[code])


def told(found: Any) -> str:
    if found is None:
        return "no fault"
    usual = faults.MEANINGS[found.code]
    odd = [f"retryable={found.retryable}"] if found.retryable != usual.retryable else []
    odd += [f"infrastructure={found.infrastructure}"] if found.infrastructure != usual.infrastructure else []
    return " ".join((found.code.value, *odd))


def sqlstates() -> Lines:
    states = sorted(
        {*postgresql_kind._SQLSTATE, *(f"{two}999" for two in (*postgresql_kind._SQLSTATE_CLASS, "22", "42"))}
    )
    return grouped((state, told(postgresql_kind.sqlstate_fault(state))) for state in states)


def redis_words() -> Lines:
    words = (*redis_kind._REDIS, "ERR", "ERR max number of clients reached", "WHATEVER")
    return grouped((word, told(redis_kind.redis_fault(word))) for word in words)


def clickhouse_codes() -> Lines:
    return grouped(
        (str(number), told(clickhouse_kind.clickhouse_fault(number)))
        for number in (*sorted(clickhouse_kind._CLICKHOUSE), 319, 1)
    )


def http_statuses() -> Lines:
    return grouped(
        (str(status), told(faults.http_fault(status))) for status in (200, 301, *range(400, 432), *range(500, 531))
    )


def close_codes() -> Lines:
    numbers = (None, *range(1000, 1016), 3000, 3003, 3008, 3999, 4000, *range(4400, 4405), 4429, 4500, 4503)
    return grouped((str(number), told(websocket_kind.ws_close_fault(number))) for number in numbers)


# --- stand-ins


def availability(kind: ServiceType) -> Lines:
    """What could stand in for it, as `doctor` says, on a machine with everything and on one with nothing."""
    for what, there in (("engine and binaries", True), ("binaries alone", None), ("nothing", False)):
        with machine(there is not False, engine=there is True), folder() as here:
            answer = offers.availability([sample(kind)], settings_of(root=here))[0]
        yield what, f"{answer.provider or 'none'}: {answer.reason}"


@contextmanager
def machine(binaries: bool, *, engine: bool = False) -> Iterator[None]:
    """A machine with the binaries and wheels there are, or with none; the real one is not looked at."""
    bins = Path("/usr/lib/postgresql/16/bin")
    pg = (
        postgresql.PostgresBinaries(folder=bins, provider="system", major=16),
        postgresql.PostgresBinaries(folder=bins, provider="wheel", major=16),
    )
    rd = (
        redis.RedisBinary(path=Path("/usr/bin/redis-server"), provider="system"),
        redis.RedisBinary(path=Path("/wheel/valkey-server"), provider="wheel"),
    )

    async def why_not() -> str:
        return "no engine here"

    with ExitStack() as patches:
        for where, name, value in (
            (offers, "_engine_socket", lambda: engine),
            (compose, "why_not", why_not),
            (postgresql, "find_binaries", lambda **_: pg if binaries else ()),
            (redis, "find_binaries", lambda: rd if binaries else ()),
            (importlib.util, "find_spec", lambda _: SimpleNamespace() if binaries else None),
        ):
            patches.enter_context(put(where, name, value))
        yield


def providers(kind: ServiceType) -> Lines:
    """Who provides a stand-in, in order, and what is said where nobody can."""
    if is_mocked(kind):
        for name in (*names_of(kind), "mine", "my-auth"):
            yield f"mock of {name}", mocks_of(kind).mock(sample(kind, name))
        return
    with folder() as here:
        settings = settings_of(sample(kind), root=here)
        wanted = standing_in.Wanted(service=sample(kind), place=endpoints.endpoint(sample(kind)))
        with machine(True):
            found = tuple(providing.in_order(ground.SupervisedGround(settings), [wanted]))
        assert [provider.name for provider in found[:2]] == ["running", "compose"]
        yield "after a running one and compose", " ".join(provider.name for provider in found[2:])
        with machine(False), put(ground, "port_open", lambda *_: False):
            made = asyncio.run(starting.start([sample(kind)], settings))[0]
        yield "where nothing is", made.error


def mocks_of(kind: ServiceType) -> standing_in.MockedStandIns:
    found = standing_in.stand_ins_of(registry.KINDS[kind])
    assert isinstance(found, standing_in.MockedStandIns)
    return found


def is_mocked(kind: ServiceType) -> bool:
    with machine(True), folder() as here:
        return offers.availability([sample(kind)], settings_of(root=here))[0].provider == "mock"


def in_the_plan(kind: ServiceType) -> Lines:
    """How the plan speaks of its stand-in, and whether tests of real services are held back beside it."""
    planned = PlannedStandIn(service="mine", type=kind, provider="", local="there")
    yield "words", plan.words_to_start(planned, registry.KINDS[kind])
    decision = deciding("mine")
    yield (
        "holds back real_services",
        str("real_services" in plan.held_markers(decision, [sample(kind)], settings_of().wishes)),
    )
    change = plan._by_hand((sample(kind),), (plan._change("A", None, "b", Redactor(())),), settings_of().places, None)
    yield "compose by hand", str(any("docker compose" in line for line in change))
    yield (
        "compose",
        " ".join(name for name, value in compose.variables(endpoints.endpoint(sample(kind))).items() if value != "-")
        if registry.KINDS[kind].doubles.compose
        else "unknown to it",
    )
    heard: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    log.logger.addHandler(handler)
    level = log.logger.level
    log.logger.setLevel(logging.INFO)
    try:
        for name in (*names_of(kind), "mine"):
            log.log_applied(applied_with(kind, name), [sample(kind, name)])
            yield f"log of {name}", heard[-1]
    finally:
        log.logger.removeHandler(handler)
        log.logger.setLevel(level)


def applied_with(kind: ServiceType, name: str) -> Applied:
    stand_in = StandIn(
        service=name,
        type=kind,
        provider="mock" if is_mocked(kind) else "wheel",
        endpoint="127.0.0.1:9",
        ready=True,
        started_here=True,
    )
    return Applied(
        run="r",
        mode=TestExecutionMode.DEGRADED,
        applied_at=AT,
        host="h",
        env_file="f",
        stand_ins=(stand_in,),
        changes=(),
    )


def proof(kind: ServiceType) -> Lines:
    """How a server on the port is proven to be a stand-in: what is probed there, and what is asked of its owner."""
    service, place = sample(kind), endpoints.endpoint(sample(kind))
    stand_ins = standing_in.stand_ins_of(place.kind)
    asked = stand_ins.probed(service, place)
    headers = ", ".join(f"{name}: {value.reveal()}" for name, value in asked.headers.items())
    yield "probed", f"{asked.local.reveal()}{f' with {headers}' if headers else ''}"
    address = asyncio.run(owner_on_this_machine(kind)).address
    yield "says its own address", "no" if address is None else "yes"
    seen: Any = SimpleNamespace(fault=None)

    async def probe(*_: Any, **__: Any) -> Any:
        return seen

    async def owner(_: Any) -> standing_in.Owner:
        return standing_in.Owner(version="1", address=address)

    with ExitStack() as patches:
        patches.enter_context(put(proving, "probe", probe))
        patches.enter_context(put(stand_ins, "owner", owner))
        patches.enter_context(put(proving, "listener", lambda _: listeners.Listener()))
        for said, asking in (
            ("holder unseen", replace(service, shared=True)),
            ("holder unseen, not shared", replace(service, shared=False)),
        ):
            try:
                asyncio.run(proving.prove(asking, place, config(HERE)))
                yield said, "accepted"
            except ResilienceError as exc:
                yield said, f"refused: {one_line(exc)}"
    yield (
        "default place",
        f"user {default_place(kind).user or 'none'}, database {default_place(kind).database or 'none'}",
    )
    yield "counts connections", counted(service)
    yield "gap of extensions", "told" if any("extension" in gap for gap in gaps(kind)) else "not told"


async def owner_on_this_machine(kind: ServiceType) -> standing_in.Owner:
    """What a server of this kind says of itself: one that tells its address tells 127.0.0.1."""

    class Answers:
        async def fetchval(self, _: str, *__: object) -> str:
            return "127.0.0.1"

        def get_settings(self) -> Any:
            return SimpleNamespace(server_version="1")

        async def call(self, *words: str) -> str:
            return "laddr=127.0.0.1:9" if words == ("CLIENT", "INFO") else ""

        def close(self) -> None:
            pass

    async def connection(*_: Any, **__: Any) -> Any:
        return Answers()

    async def opened(_: str, __: int, ___: str, password: str) -> Any:
        if password != place.password:
            raise redis.RedisRefused("WRONGPASS")
        return Answers()

    async def nothing(*_: Any) -> None:
        pass

    place = endpoints.endpoint(sample(kind))
    with ExitStack() as patches:
        patches.enter_context(put(postgresql, "connect", connection))
        patches.enter_context(put(postgresql, "close", nothing))
        patches.enter_context(put(redis.RedisConnection, "open", opened))
        patches.enter_context(put(clickhouse, "ask", lambda *_: ({}, "1")))
        return await standing_in.stand_ins_of(place.kind).owner(place)


def default_place(kind: ServiceType) -> endpoints.Endpoint:
    bare = f"{schemes_of(kind)[0]}://127.0.0.1:9"
    return endpoints.endpoint(Service(name="mine", kind=registry.KINDS[kind], local=Secret(bare)))


def counted(service: Service) -> str:
    """Where the count of connections comes from."""

    def page(where: str, path: str, timeout_s: float) -> Any:
        heard.append(path)
        return {"used": 7, "services": {service.name: 8}}

    async def by_postgresql(*_: Any) -> int:
        return 5

    async def by_redis(*_: Any) -> int:
        return 6

    heard: list[str] = []
    with ExitStack() as patches:
        patches.enter_context(put(postgresql, "count_connections", by_postgresql))
        patches.enter_context(put(redis, "count_connections", by_redis))
        patches.enter_context(put(clickhouse, "ask_json", page))
        patches.enter_context(put(standing_in, "ask_json", page))
        number = asyncio.run(usage.connections(service))
    where = {5: "PostgreSQL's own count", 6: "Redis' own count", 7: "the server's page, used", 8: "the mocks' page"}
    return f"{where[number]} {' '.join(heard)}".strip() if number is not None else "no"


def gaps(kind: ServiceType) -> tuple[str, ...]:
    async def nothing(*_: Any) -> Mapping[str, bool]:
        return {}

    seen = {"server_version": "17.1", "extensions": "postgis 3.4"}
    with ExitStack() as patches:
        for name in ("connect", "close", "extensions"):
            patches.enter_context(put(postgresql, name, nothing))
        return asyncio.run(comparing.gaps(endpoints.endpoint(sample(kind)), seen, "16.2"))


def needs_driver(kind: ServiceType) -> Lines:
    """What is imported before the clock of a probe starts."""
    imported: list[str] = []
    with (
        put(registry, "import_module", lambda name: driver if name == driver.__name__ else imported.append(name)),
        put(driver, "redis_connection", lambda: imported.append("redis.asyncio.connection")),
    ):
        looking.load([registry.KINDS[kind]])
    yield "imports", " ".join(imported) or "none"


# --- init, the lab, names


def names_of(kind: ServiceType) -> tuple[str, ...]:
    """The guide's services of this kind."""
    return tuple(name for name in NAMES if TEMPLATES[name][0].name == kind)


def recognised(kind: ServiceType) -> Lines:
    """The variables and images by which `init` knows a service of the guide."""
    for name in names_of(kind):
        named = [variable for variable in VARIABLES if name in guessed(variables=(variable,))]
        yield f"{name}: variables", " ".join(named)
        yield f"{name}: images", " ".join(image for image in IMAGES if name in guessed(images=(image,))) or "none"


def guessed(*, variables: Sequence[str] = (), images: Sequence[str] = ()) -> tuple[str, ...]:
    """The services that `init` sees in these names alone."""
    seen = signs.Signs(
        variables=tuple(signs.Variable(name=name, where=".env") for name in variables),
        images=tuple(signs.Image(image=image, where="compose.yml") for image in images),
        literals=(),
        counts={},
        staging={},
        broken=(),
    )
    return tuple(service.template.name for service in guessing.guess(seen, frozenset(), registry.KINDS).services)


def proposed(kind: ServiceType) -> Lines:
    """What `init` writes for it, in a repository that has every variable and marker, and in a bare one."""
    for what, lines in (("", proposal(everything=True)), (", bare", proposal(everything=False))):
        for name in names_of(kind):
            if name in lines:
                yield f"{name}{what}", " ; ".join(lines[name])


def proposal(*, everything: bool) -> dict[str, list[str]]:
    templates = [template for _, template in TEMPLATES.values()]
    variables = [name for template in templates for name, _ in template.exports]
    markers = [marker for template in templates for marker in template.markers]
    with folder() as here:
        named = variables if everything else ["DATABASE_URL"]
        (here / ".env").write_text("".join(f"{name}=x\n" for name in named), encoding="utf-8")
        if everything:
            (here / "pytest.ini").write_text("[pytest]\nmarkers =\n  " + "\n  ".join(markers), encoding="utf-8")
            (here / "alembic.ini").touch()
        seen = repository.look_at(here)
        text = init._toml(seen, guessing.guess(seen.signs, seen.dependencies, registry.KINDS), ())
    tomllib.loads(text)
    found: dict[str, list[str]] = {}
    for block in text.split("[[service]]\n")[1:]:
        lines = block.split("\n\n")[0].splitlines()
        found[tomllib.loads(lines[0])["name"]] = [one_line(line) for line in lines[1:]]
    return found


def drilled(kind: ServiceType) -> Lines:
    """What the drill configures for it."""
    for name, lines in lab._SERVICES.items():
        if tomllib.loads("\n".join(lines))["type"] == kind.value:
            always = "always" if name in scenario.SERVICES else "where a scenario asks for it"
            network = "on the network" if name in scenario.NETWORK_SERVICES else "beside it"
            yield name, f"{always}, {network}: {' ; '.join(lines[1:])}"


COLUMNS: Mapping[str, Callable[[ServiceType], Lines]] = {
    "port by scheme": ports,
    "refusal of a scheme": refusals,
    "odd URLs": odd_urls,
    "assess --url": assess_url,
    "keys not all kinds have": keys,
    "defaults": defaults,
    "switch variables": switches,
    "hints by fault": hints,
    "findings": findings,
    "shared causes": shared_causes,
    "clients": clients,
    "needs a driver": needs_driver,
    "availability of a stand-in": availability,
    "providers": providers,
    "in the plan and the log": in_the_plan,
    "proof and count": proof,
    "init recognises": recognised,
    "init proposes": proposed,
    "drill": drilled,
}


def of_no_kind() -> dict[str, Lines]:
    """What is known of protocols and names beside the kinds."""
    taken = {module for kind in KINDS for module in clients_of(kind)}
    other = dict.fromkeys(root for root, _ in (*sure_classes(), *vague_classes()) if root not in taken)
    return {
        "clients of no kind": [line for module in other for line in classes_of(module)],
        "SQLSTATE": sqlstates(),
        "Redis' first word": redis_words(),
        "ClickHouse's code": clickhouse_codes(),
        "HTTP status": http_statuses(),
        "close code": close_codes(),
        "assess --url refuses": [(f"{s}://", text) for s, (kind, text) in by_url().items() if kind is None],
        "an unknown type": [("settings", unknown_type())],
        "short names": [
            (name, f"guide {guide._ALIASES.get(name, '-')}, plug-in {pytest_plugin.ALIASES.get(name, '-')}")
            for name in dict.fromkeys((*guide._ALIASES, *pytest_plugin.ALIASES))
        ],
    }


def unknown_type() -> str:
    try:
        built('name = "mine"\ntype = "mysql"\nurl = "mysql://127.0.0.1/x"')
    except ResilienceError as exc:
        return one_line(exc)
    return "accepted"


def block(title: str, columns: Iterable[tuple[str, Lines]]) -> Iterator[str]:
    yield f"=== {title}"
    for name, lines in columns:
        shown = [f"    {key}: {value}" for key, value in lines]
        yield f"  {name}"
        yield from shown or ["    none"]
    yield ""


def matrix(kinds: Sequence[ServiceType] = KINDS) -> str:
    """Give the whole matrix, a block a kind; each line stands for itself, so that a diff says what changed."""
    lines = [
        "What the code knows of each kind of service. Made by: python -m tests.kinds_matrix > tests/data/kinds.txt",
        "",
    ]
    for kind in kinds:
        lines += block(kind.value, ((name, column(kind)) for name, column in COLUMNS.items()))
    lines += block("beside the kinds", of_no_kind().items())
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    print(matrix(), end="")


if __name__ == "__main__":
    main()
