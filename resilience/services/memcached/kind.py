"""All that is known of memcached, as a record: its address, findings, clients and stand-in."""

from __future__ import annotations

from resilience.core.kind import Doubles, Facts, Finding, Kind, Scheme, Template, Words
from resilience.core.records import FaultCode

C = FaultCode


def _findings(facts: Facts) -> Finding | None:
    """Find that it takes no more connections, as it says itself."""
    if facts.get("accepting") == "no":
        return Finding(code=C.APP_OVERLOAD, detail="[connections] it accepts no more of them", hint="raise its -c")
    return None


KIND = Kind(
    name="memcached",
    title="memcached",
    schemes={"memcached": Scheme(port=11211, local=True)},
    scheme_hint="write its host and port: memcached://cache.staging.example:11211",
    templates=(
        Template(
            name="memcached",
            label="memcached",
            url="${STAGING_MEMCACHED_URL}",
            local="memcached://127.0.0.1:11215",
            exports=(("MEMCACHED_URL", "{local}"), ("MEMCACHED_HOST", "{host}"), ("MEMCACHED_PORT", "{port}")),
            words=("MEMCACHED", "MEMCACHE"),
            images=r"memcached",
            markers=("real_memcached", "memcached"),
        ),
    ),
    probe="resilience.services.memcached.probe:probe_memcached",
    words={
        C.PROTO_SILENT: Words(
            cause="it accepts connections and does not answer: all its connections are in use, or it hangs",
            hint="printf 'stats\\r\\n' | nc {host} {port}; compare curr_connections with max_connections",
        ),
    },
    findings=_findings,
    clients=("pymemcache", "pylibmc", "memcache", "bmemcached", "aiomcache"),
    errors={
        ("pymemcache", "MemcacheServerError"): C.APP_ERROR,
        ("pymemcache", "MemcacheUnexpectedCloseError"): C.PROTO_CLOSED,
        ("pymemcache", "MemcacheUnknownError"): C.PROTO_WRONG,
        ("pylibmc", "HostLookupError"): C.DNS_NXDOMAIN,
        ("pylibmc", "ConnectionError"): C.TCP_REFUSED,
        ("pylibmc", "ServerDown"): C.TCP_REFUSED,
    },
    doubles=Doubles(
        stand_in="resilience.services.memcached.stand_in:STAND_INS",
        install="apt-get install memcached",
        unavailable="no memcached on this machine. Hint: apt-get install memcached, or give `start`",
    ),
)
