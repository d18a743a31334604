"""All that is known of etcd, as a record: addresses, codes, findings, clients and stand-in."""

from __future__ import annotations

from collections.abc import Mapping

from resilience.core.faults import HTTP_STATUS, fault
from resilience.core.kind import Doubles, Facts, Finding, Kind, Scheme, Template, Words
from resilience.core.records import Fault, FaultCode, Phase

C = FaultCode
_CODES: Mapping[int, FaultCode] = {
    3: C.APP_AUTH,
    4: C.APP_CLUSTER_DOWN,
    7: C.APP_AUTH,
    8: C.APP_READONLY,
    14: C.APP_CLUSTER_DOWN,
    16: C.APP_AUTH,
}
"""gRPC's codes as etcd's gateway sends them (rpctypes/error.go), of what this probe asks: its 3 is a refused login,
its 8 the alarm of a full store, its 4 and 14 a cluster without a leader."""


def etcd_fault(status: int, code: int, text: str, *, endpoint: str = "") -> Fault:
    """Return what a refusal means: by the gateway's code, else by the HTTP status."""
    meaning = _CODES.get(code) or HTTP_STATUS.get(status, C.APP_HTTP_STATUS)
    return fault(meaning, Phase.QUERY, f"HTTP {status}" + (f": {text}" if text else ""), endpoint=endpoint)


def _findings(facts: Facts) -> Finding | None:
    """Find a cluster that takes no writes, or lost its leader, as its status says."""
    if "NOSPACE" in (alarms := facts.get("alarms", "")):
        hint = "etcdctl alarm list; compact and defragment it, then etcdctl alarm disarm"
        return Finding(code=C.APP_READONLY, detail=f"[alarms] ({alarms}): its store is full", hint=hint)
    if alarms:
        return Finding(code=C.APP_ERROR, detail=f"[alarms] ({alarms})", hint="etcdctl alarm list")
    if facts.get("leader") == "none":
        return Finding(code=C.APP_CLUSTER_DOWN, detail="[leader] (none): its members have elected none")
    return None


KIND = Kind(
    name="etcd",
    title="etcd",
    schemes={"http": Scheme(port=2379, local=True), "https": Scheme(port=2379, tls=True)},
    url_prefix="etcd+",
    scheme_hint="https://etcd.staging.example:2379, and user:password@ where it asks for a login",
    templates=(
        Template(
            name="etcd",
            label="etcd",
            url="${STAGING_ETCD_URL}",
            local="http://127.0.0.1:2389",
            exports=(
                ("ETCD_ENDPOINTS", "http://{host}:{port}"),
                ("ETCD_URL", "http://{host}:{port}"),
                ("ETCDCTL_ENDPOINTS", "http://{host}:{port}"),
                ("ETCD_HOST", "{host}"),
                ("ETCD_PORT", "{port}"),
            ),
            words=("ETCD", "ETCDCTL"),
            images=r"\betcd\b",
            markers=("real_etcd", "etcd"),
        ),
    ),
    probe="resilience.services.etcd.probe:probe_etcd",
    words={
        C.APP_AUTH: Words(
            cause="it is up and refuses this login, or asks for one",
            hint="etcdctl --endpoints http(s)://{endpoint} --user NAME endpoint status; compare the password with the vault's",
        ),
        C.APP_CLUSTER_DOWN: Words(
            cause="it answers, and its cluster has no leader: too many members are gone",
            hint="etcdctl --endpoints http(s)://{endpoint} endpoint status --cluster -w table; which member is down?",
        ),
        C.APP_READONLY: Words(
            cause="it answers reads and refuses writes: its store is full",
            hint="etcdctl alarm list; compact and defragment it, then etcdctl alarm disarm",
        ),
        C.APP_HTTP_404: Words(
            cause="it is up and does not know /v3: an etcd before 3.4, its gateway switched off, or a proxy's default",
            hint="curl -i http(s)://{endpoint}/version",
        ),
    },
    findings=_findings,
    clients=("etcd3", "etcd3gw", "aetcd", "etcd"),
    errors={
        ("etcd3gw", "ConnectionFailedError"): C.PROTO_CLOSED,
        ("etcd3gw", "ConnectionTimeoutError"): C.PROTO_SILENT,
        ("etcd3", "ConnectionTimeoutError"): C.PROTO_SILENT,
        ("etcd", "EtcdConnectionFailed"): C.PROTO_CLOSED,
        ("etcd", "EtcdNoMoreMachines"): C.PROTO_CLOSED,
    },
    vague={
        ("etcd3", "ConnectionFailedError"): C.PROTO_CLOSED,
        ("aetcd", "ConnectionFailedError"): C.PROTO_CLOSED,
        ("aetcd", "ConnectionTimeoutError"): C.PROTO_SILENT,
    },
    commands=("etcdctl",),
    doubles=Doubles(
        stand_in="resilience.services.etcd.stand_in:STAND_INS",
        install="apt-get install etcd-server",
        unavailable="no etcd on this machine. Hint: apt-get install etcd-server, or give `start`",
    ),
)
