"""All that is known of MySQL and MariaDB, as a record: addresses, error numbers, findings, clients and stand-in."""

from __future__ import annotations

from collections.abc import Mapping

from resilience.core.faults import fault
from resilience.core.kind import Doubles, Facts, Finding, Kind, Scheme, Template, Words
from resilience.core.records import Fault, FaultCode, Phase

C = FaultCode
REPLICA_LAG_S = 30
"""A replica further behind is degraded."""
_PASSWORD = "local-stand-in-only"  # noqa: S105  guards nothing: loopback only, the same for everybody
_CLIENT = "mysql -h {host} -P {port} -e "
_MODULES = frozenset({"pymysql", "MySQLdb", "mysql", "mariadb", "aiomysql", "asyncmy"})

_ERRORS: Mapping[int, FaultCode] = {
    1040: C.APP_OVERLOAD,  # too many connections
    1203: C.APP_OVERLOAD,  # of this user
    1226: C.APP_OVERLOAD,
    1044: C.APP_AUTH,
    1045: C.APP_AUTH,
    1130: C.APP_AUTH,  # this host may not connect
    1129: C.APP_AUTH,  # blocked after many connection errors
    1227: C.APP_AUTH,
    1524: C.APP_AUTH,  # its login plugin is not loaded
    1698: C.APP_AUTH,
    1820: C.APP_AUTH,  # the password has expired
    1049: C.APP_NO_DB,
    1053: C.APP_SHUTDOWN,
    1290: C.APP_READONLY,
    1792: C.APP_READONLY,
    1836: C.APP_READONLY,
    1021: C.APP_READONLY,  # its disk is full
    3032: C.APP_OVERLOAD,
    2006: C.PROTO_CLOSED,  # said by the clients
    2013: C.PROTO_CLOSED,
    2055: C.PROTO_CLOSED,
    2026: C.TLS_OTHER,
}
"""Error numbers of the servers and of their clients (MySQL reference manual, "Server Error Message Reference")."""


def mysql_fault(number: int, text: str, *, phase: Phase | None = Phase.QUERY, endpoint: str = "") -> Fault:
    """Return what an error number means; one that is not known is an error of the server's own."""
    return fault(_ERRORS.get(number, C.APP_ERROR), phase, f"{number}: {text}", endpoint=endpoint)


def _coded(link: BaseException, modules: frozenset[str], phase: Phase | None, endpoint: str) -> Fault | None:
    """Read the number that the clients put first, or call `errno`. What is not known may be a mistake of the test's."""
    if not modules & _MODULES:
        return None
    number = getattr(link, "errno", None) or (link.args[0] if link.args else None)
    if isinstance(number, int) and number in _ERRORS:
        return mysql_fault(number, str(link.args[-1]), phase=phase, endpoint=endpoint)
    return None


def _findings(facts: Facts) -> Finding | None:
    """Find a replica that stands still or lags, or a server that takes no writes, in the order in which they decide."""
    if facts.get("replication") == "stopped":
        return Finding(code=C.APP_REPLICA_DOWN, detail="a replica whose replication has stopped")
    if facts.get("read_only") == "1":
        detail = "[read_only] (1) == 0"
        return Finding(code=C.APP_READONLY, detail=detail, hint=_CLIENT + "'select @@read_only, @@hostname'")
    delay = facts.get("replica_delay_s", "")
    if delay.isdigit() and int(delay) > REPLICA_LAG_S:
        return Finding(code=C.APP_REPLICA_LAG, detail=f"[replica delay] ({delay} s) <= {REPLICA_LAG_S} s")
    return None


KIND = Kind(
    name="mysql",
    title="MySQL",
    schemes={"mysql": Scheme(port=3306, local=True), "mariadb": Scheme(port=3306, local=True)},
    driver_in_scheme=True,
    templates=(
        Template(
            name="mysql",
            label="MySQL",
            short_names=("mariadb",),
            url="mysql://${STAGING_MYSQL_USER}:${STAGING_MYSQL_PASSWORD}@${STAGING_MYSQL_HOST}:${STAGING_MYSQL_PORT}/${STAGING_MYSQL_DB}",
            url_by_parts=("STAGING_MYSQL_URL", "${STAGING_MYSQL_URL}"),
            local=f"mysql://app:{_PASSWORD}@127.0.0.1:3311/app_test",
            exports=(
                ("MYSQL_URL", "{local}"),
                ("MYSQL_HOST", "{host}"),
                ("MYSQL_PORT", "{port}"),
                ("MYSQL_USER", "{user}"),
                ("MYSQL_PASSWORD", "{password}"),
                ("MYSQL_DATABASE", "{database}"),
            ),
            words=("MYSQL", "MARIADB"),
            vague_words=("DB", "DATABASE", "SQL", "SQLALCHEMY"),
            local_password=f"app:{_PASSWORD}@",
            images=r"mysql|mariadb|percona",
            critical=True,
            markers=("real_mysql", "mysql"),
            migrates=True,
        ),
    ),
    probe="resilience.services.mysql.probe:probe_mysql",
    words={
        C.APP_AUTH: Words(
            cause="it is up and refuses this user, this password, or this host",
            hint="compare the password in the url with the vault's; " + _CLIENT + "'select current_user()'",
        ),
        C.APP_OVERLOAD: Words(
            cause="it is up and has no connection left to give",
            hint=_CLIENT + "'show processlist; show variables like \"max_connections\"'",
        ),
    },
    findings=_findings,
    clients=tuple(sorted(_MODULES)),
    vague={
        ("pymysql", "OperationalError"): C.APP_ERROR,
        ("pymysql", "InterfaceError"): C.PROTO_CLOSED,
        ("MySQLdb", "OperationalError"): C.APP_ERROR,
        ("mysql", "InterfaceError"): C.PROTO_CLOSED,
        ("mysql", "OperationalError"): C.APP_ERROR,
    },
    coded=_coded,
    gap_codes=frozenset({"42S02", "42S22"}),
    commands=("mysql",),
    doubles=Doubles(
        stand_in="resilience.services.mysql.stand_in:STAND_INS",
        install="apt-get install mariadb-server",
        unavailable="no MariaDB on this machine. Hint: apt-get install mariadb-server, or give `start`",
        user="root",
        has_database=True,
    ),
)
