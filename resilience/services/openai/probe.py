"""Turn an OpenAI-compatible endpoint into what `/v1/models` answered; no tokens are spent."""

from __future__ import annotations

from dataclasses import replace

from resilience.core.faults import fault
from resilience.core.records import FaultCode, Phase
from resilience.core.settings import Service
from resilience.services.http.probe import as_json, headers_of, judge_response, read_response, request
from resilience.services.wire import ProbeContext, Refused, Trace, open_wire, parse


async def probe_openai(service: Service, url: str, trace: Trace, context: ProbeContext) -> None:
    """List the models. An answer cut at 256 KiB counts where it begins as the list does.

    The path is completed to /v1/models. A list that is empty is well: which models an account may use is not ours to
    judge.
    """
    address = parse(service.kind, url)
    path = address.path.rstrip("/")
    if not path.endswith("/models"):
        path += "/models" if path.endswith("/v1") or "/v1/" in path else "/v1/models"
    address = replace(address, path=path)
    trace.expected = "status 200, a list of models"
    asked = request("GET", address, headers=headers_of(service, address))
    wire = await open_wire(service, address, trace, context)
    try:
        wire.write(asked)
        response = await read_response(wire, address)
    finally:
        wire.abort()
    expected = trace.expected
    judge_response(service, response, trace, address)
    trace.expected = expected
    if response.cut and response.body.lstrip().startswith(b"{") and b'"data"' in response.body:
        trace.facts["models"] = "more than 256 KiB of them"
        return
    document = as_json(response, address.endpoint)
    models = document.get("data") if isinstance(document, dict) else None
    if not isinstance(models, list):
        detail = f"HTTP {response.status}, JSON without a list of models in data"
        raise Refused(fault(FaultCode.APP_BAD_BODY, Phase.QUERY, detail, endpoint=address.endpoint))
    trace.facts["models"] = str(len(models))
    trace.found += f", {len(models)} models"
