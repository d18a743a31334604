"""All that is known of Elasticsearch and OpenSearch, as a record: addresses, error types, findings and clients."""

from __future__ import annotations

from collections.abc import Mapping

from resilience.core.faults import HTTP_STATUS, fault
from resilience.core.kind import Facts, Finding, Kind, Scheme, Template, Words
from resilience.core.records import Fault, FaultCode, Phase

C = FaultCode
_TYPES: Mapping[str, FaultCode] = {
    "security_exception": C.APP_AUTH,
    "master_not_discovered_exception": C.APP_CLUSTER_DOWN,
    "cluster_block_exception": C.APP_READONLY,
    "circuit_breaking_exception": C.APP_OVERLOAD,
    "es_rejected_execution_exception": C.APP_OVERLOAD,
    "rejected_execution_exception": C.APP_OVERLOAD,
    "index_not_found_exception": C.APP_NO_DB,
}
"""Types of errors in an answer's body ("Error responses" of both manuals), as far as they say more than the status."""
_CLIENTS = frozenset({"elasticsearch", "elastic_transport", "opensearchpy"})


def search_fault(status: int, kind: str, text: str, *, endpoint: str = "") -> Fault:
    """Return what an error means: by its type, else by its HTTP status."""
    code = _TYPES.get(kind) or HTTP_STATUS.get(status, C.APP_HTTP_STATUS)
    detail = f"HTTP {status}" + (f", {kind}" if kind else "") + (f": {text}" if text else "")
    return fault(code, Phase.QUERY, detail, endpoint=endpoint)


def _coded(link: BaseException, modules: frozenset[str], phase: Phase | None, endpoint: str) -> Fault | None:
    """Read the status of the clients' errors: what a product is answered itself, as 404 and 409, says nothing here."""
    status = getattr(link, "status_code", None)
    if not modules & _CLIENTS or status not in (401, 403, 429, 502, 503, 504):
        return None
    return fault(HTTP_STATUS[status], phase, f"HTTP {status}: {link}", endpoint=endpoint)


def _findings(facts: Facts) -> Finding | None:
    """Find shards that no node holds: primaries (red), or copies where there are nodes to hold them (yellow).

    One node alone is yellow for ever, as it may not hold a copy of its own shards: that is well.
    """
    health, missing = facts.get("health", ""), facts.get("unassigned_shards", "?")
    if health == "red":
        hint = (
            "curl -s 'http(s)://HOST:PORT/_cluster/allocation/explain?pretty' says why; which node is gone: _cat/nodes"
        )
        return Finding(
            code=C.APP_CLUSTER_DOWN, detail=f"[status] (red) == green: {missing} shards on no node", hint=hint
        )
    if health == "yellow" and facts.get("data_nodes") != "1":
        hint = "which node is gone: curl -s 'http(s)://HOST:PORT/_cat/nodes?v'; then _cluster/allocation/explain"
        detail = f"[status] (yellow) == green: {missing} copies of shards on no node"
        return Finding(code=C.APP_REPLICA_DOWN, detail=detail, hint=hint)
    return None


KIND = Kind(
    name="elasticsearch",
    title="Elasticsearch",
    schemes={"https": Scheme(port=9200, tls=True), "http": Scheme(port=9200)},
    url_prefix="elasticsearch+",
    scheme_hint="https://user:password@search.staging.example:9200",
    keys=("headers",),
    templates=(
        Template(
            name="elasticsearch",
            label="Elasticsearch",
            short_names=("opensearch",),
            url="${STAGING_ELASTICSEARCH_URL}",
            local="http://127.0.0.1:9215",
            exports=(
                ("ELASTICSEARCH_URL", "http://{host}:{port}"),
                ("ELASTIC_URL", "http://{host}:{port}"),
                ("OPENSEARCH_URL", "http://{host}:{port}"),
                ("ELASTICSEARCH_HOST", "{host}"),
                ("ELASTICSEARCH_PORT", "{port}"),
            ),
            words=("ELASTICSEARCH", "OPENSEARCH", "ELASTIC"),
            images=r"elasticsearch|opensearch(?!-dashboards)",
            markers=("real_elasticsearch", "elasticsearch"),
        ),
    ),
    probe="resilience.services.elasticsearch.probe:probe_elasticsearch",
    words={
        C.APP_AUTH: Words(
            cause="it is up and refuses this user, or its right to see the cluster's health (monitor)",
            hint="curl -u USER http(s)://{endpoint}/_cluster/health; compare the password with the vault's",
        ),
        C.APP_CLUSTER_DOWN: Words(
            cause="its cluster has no elected master, or shards that no node holds",
            hint="curl 'http(s)://{endpoint}/_cat/nodes?v'; is a node down, or its disk full?",
        ),
        C.APP_REPLICA_DOWN: Words(
            cause="copies of shards are on no node: it serves all data, and the next lost node may take some away",
            hint="curl 'http(s)://{endpoint}/_cat/nodes?v'; is a node down, or its disk full?",
        ),
        C.APP_NO_DB: Words(
            cause="it is up and has no such index",
            hint="curl 'http(s)://{endpoint}/_cat/indices?v'; the index is the url's path",
        ),
    },
    findings=_findings,
    clients=("elasticsearch", "elastic_transport", "elasticsearch_dsl", "opensearchpy"),
    errors={
        ("elastic_transport", "TlsError"): C.TLS_OTHER,
        ("elasticsearch", "AuthenticationException"): C.APP_AUTH,
        ("elasticsearch", "AuthorizationException"): C.APP_AUTH,
        ("elasticsearch", "UnsupportedProductError"): C.PROTO_WRONG,
        ("opensearchpy", "SSLError"): C.TLS_OTHER,
        ("opensearchpy", "AuthenticationException"): C.APP_AUTH,
        ("opensearchpy", "AuthorizationException"): C.APP_AUTH,
    },
    vague={
        ("elastic_transport", "ConnectionTimeout"): C.PROTO_SILENT,
        ("elastic_transport", "ConnectionError"): C.PROTO_CLOSED,
        ("opensearchpy", "ConnectionTimeout"): C.PROTO_SILENT,
        ("opensearchpy", "ConnectionError"): C.PROTO_CLOSED,
    },
    coded=_coded,
    untried="not tried on a real server",
)
