"""All that is known of ClickHouse, as a record: addresses, settings, findings, codes, clients and stand-ins."""

from __future__ import annotations

import re
from collections.abc import Mapping

from resilience.core.faults import fault
from resilience.core.kind import Composed, Doubles, Facts, Finding, Kind, Scheme, Template, Words
from resilience.core.records import Fault, FaultCode, Phase

C = FaultCode
REPLICA_LAG_S = 300
"""A replica further behind is degraded: where ClickHouse's own /replicas_status turns red."""
_PASSWORD = "local-stand-in-only"  # noqa: S105  guards nothing: loopback only, the same for everybody


def clickhouse_fault(code: int, message: str = "", *, phase: Phase | None = Phase.QUERY, endpoint: str = "") -> Fault:
    """Return what a ClickHouse error code means (ErrorCodes.cpp); its HTTP status says less.

    Measured on 18.16: a wrong password comes as 401, a missing database as 404, a read-only table as 500, so that the
    status alone would blame the wrong thing. 319 and 999 pass by themselves; 242 and 252 wait for somebody's action.
    """
    meant = _CLICKHOUSE.get(code, C.APP_ERROR)
    retry = True if code in (319, 999) else False if code in (242, 252) else None
    infrastructure = True if code in (319, 999) else None
    detail = f"Code: {code}" + (f". {message}" if message else "")
    return fault(meant, phase, detail, endpoint=endpoint, retryable=retry, infrastructure=infrastructure)


_CLICKHOUSE: Mapping[int, FaultCode] = {
    60: C.APP_SCHEMA_GAP,
    81: C.APP_NO_DB,
    159: C.APP_SLOW,
    160: C.APP_SLOW,
    164: C.APP_READONLY,
    192: C.APP_AUTH,
    193: C.APP_AUTH,
    194: C.APP_AUTH,
    497: C.APP_AUTH,
    516: C.APP_AUTH,
    201: C.APP_QUOTA,
    202: C.APP_OVERLOAD,
    203: C.APP_OVERLOAD,
    209: C.APP_UPSTREAM,
    210: C.APP_UPSTREAM,
    279: C.APP_UPSTREAM,
    241: C.APP_OVERLOAD,
    242: C.APP_READONLY,
    252: C.APP_OVERLOAD,
    225: C.APP_REPLICA_DOWN,
    999: C.APP_REPLICA_DOWN,
}


_SERVERS_CODE = re.compile(r"\b[Cc]ode: (\d{1,5})\b")


def _coded(link: BaseException, modules: frozenset[str], phase: Phase | None, endpoint: str) -> Fault | None:
    """Read the server's code, which clickhouse-driver keeps as a number and clickhouse-connect only in its own text."""
    if not modules & {"clickhouse_connect", "clickhouse_driver", "asynch"}:
        return None
    code = getattr(link, "code", None)
    match = _SERVERS_CODE.search(str(link))
    if not isinstance(code, int) and match is None:
        return None
    number = code if isinstance(code, int) else int(match[1]) if match is not None else 0
    return clickhouse_fault(number, str(link), phase=phase, endpoint=endpoint)


def _findings(facts: Facts) -> Finding | None:
    """Find replicas that take no writes, or lag."""
    if facts.get("readonly_replicas"):
        return Finding(
            code=C.APP_READONLY,
            detail=f"[readonly replicas] ({facts['readonly_replicas']} of {facts.get('replicas', '?')}) == 0",
            hint="clickhouse-client -q 'select database, table, zookeeper_exception from system.replicas where is_readonly'"
            "; is Keeper up?",
        )
    delay = facts.get("replica_delay_s", "")
    if delay.isdigit() and int(delay) > REPLICA_LAG_S:
        return Finding(code=C.APP_REPLICA_LAG, detail=f"[replica delay] ({delay} s) <= {REPLICA_LAG_S} s")
    return None


KIND = Kind(
    name="clickhouse",
    title="ClickHouse",
    schemes={
        "http": Scheme(port=8123, local=True),
        "https": Scheme(port=8443, tls=True),
    },
    url_prefix="clickhouse+",
    password_in_url=True,
    scheme_hint="the HTTP interface is asked, usually port 8123: http://user:password@host:8123/database",
    keys=("write_check", "headers"),
    templates=(
        Template(
            name="clickhouse",
            label="ClickHouse",
            url="${STAGING_CLICKHOUSE_URL}",
            local=f"http://resilience:{_PASSWORD}@127.0.0.1:8126/resilience_test",
            exports=(
                ("CLICKHOUSE_URL", "{local}"),
                ("CLICKHOUSE_HOST", "{host}"),
                ("CLICKHOUSE_PORT", "{port}"),
                ("CLICKHOUSE_USER", "{user}"),
                ("CLICKHOUSE_PASSWORD", "{password}"),
                ("CLICKHOUSE_DB", "{database}"),
            ),
            words=("CLICKHOUSE",),
            images=r"clickhouse",
            markers=("clickhouse", "real_clickhouse"),
        ),
    ),
    probe="resilience.services.clickhouse.probe:probe_clickhouse",
    words={
        C.APP_OVERLOAD: Words(
            cause="it is up and has no memory or query slot left, or too many parts to merge",
            hint="curl 'http://{endpoint}/?query=SHOW+PROCESSLIST'; stop what floods it, assess again",
        ),
        C.APP_AUTH: Words(
            cause="it is up and refuses this user",
            hint="compare user and password in the url with the vault's; was it rotated?",
        ),
        C.APP_READONLY: Words(
            cause="it answers reads and refuses writes: read-only replicas (Keeper lost) or a read-only user",
            hint="curl 'http://{endpoint}/?query=select+table,is_readonly+from+system.replicas'; is Keeper up?",
        ),
    },
    findings=_findings,
    clients=("clickhouse_connect", "clickhouse_driver", "asynch"),
    coded=_coded,
    commands=("clickhouse-client",),
    doubles=Doubles(
        stand_in="resilience.services.clickhouse.stand_in:STAND_INS",
        install="pip install 'resilience-runbook[clickhouse]' (855 MB)",
        unavailable="no container engine, and chdb is not installed. Hint: pip install 'resilience-runbook[clickhouse]'",
        compose=Composed(service="clickhouse", prefix="CLICKHOUSE"),
        has_database=True,
    ),
)
