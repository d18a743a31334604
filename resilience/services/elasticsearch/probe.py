"""Turn an Elasticsearch or OpenSearch into what it says of its cluster's health."""

from __future__ import annotations

import json

from resilience.core.plain import start
from resilience.core.records import FaultCode
from resilience.core.settings import Service
from resilience.services.elasticsearch.kind import search_fault
from resilience.services.http.probe import Response, as_json, headers_of, read_response, request
from resilience.services.reading import Reading
from resilience.services.wire import Address, ProbeContext, Refused, Trace, open_wire, parse

FACTS = (
    ("cluster_name", "cluster"),
    ("status", "health"),
    ("number_of_nodes", "nodes"),
    ("number_of_data_nodes", "data_nodes"),
    ("unassigned_shards", "unassigned_shards"),
)
"""Field of the answer → fact."""


async def probe_elasticsearch(service: Service, url: str, trace: Trace, context: ProbeContext) -> None:
    """Ask for the health of the cluster, or of the index that the URL's path names; nothing is written.

    What the health means is judged from the facts. An API key stands in the configured headers as Authorization.
    """
    address = parse(service.kind, url)
    index = address.path.strip("/")
    trace.expected = f"health of the index {index}" if index else "health of the cluster"
    path = f"/_cluster/health/{index}" if index else "/_cluster/health"
    asked = request("GET", address, headers=headers_of(service, address), target=f"{path}?timeout=1s")
    wire = await open_wire(service, address, trace, context)
    try:
        wire.write(asked)
        response = await read_response(wire, address)
    finally:
        wire.abort()
    document = _health(response, Reading(wire, "Elasticsearch", address.endpoint), address)
    trace.facts |= {fact: start(str(document[name]), 60) for name, fact in FACTS if name in document}
    trace.facts["reads"] = "ok"
    trace.found = f"health {trace.facts['health']}, {trace.facts.get('nodes', '?')} nodes"


def _health(response: Response, reading: Reading, address: Address) -> dict[str, object]:
    """Return the answer as a document. Raises Refused by the type of its error, its status, or where it is no health.

    An index that is not there is answered with 408 and red after the time-out that was asked for: it says so itself.
    """
    if response.status not in (200, 408):
        try:
            error = json.loads(response.body)["error"]
            kind, text = str(error["type"]), str(error.get("reason", ""))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            kind, text = "", ""
        raise Refused(search_fault(response.status, start(kind, 60), start(text, 160), endpoint=address.endpoint))
    document = as_json(response, address.endpoint)
    if not isinstance(document, dict) or document.get("status") not in ("green", "yellow", "red"):
        raise reading.wrong("an HTTP server that knows no cluster health")
    if response.status == 408 and document.get("active_shards") == 0 and address.path.strip("/"):
        raise reading.refused(FaultCode.APP_NO_DB, "HTTP 408: no shard of this index within 1 s")
    return document
