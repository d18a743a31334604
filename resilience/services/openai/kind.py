"""All that is known of OpenAI-compatible services, as a record: addresses, settings, words, clients and the mock."""

from __future__ import annotations

from resilience.core.kind import Doubles, Kind, Scheme, Template, Words
from resilience.core.records import FaultCode

C = FaultCode

KIND = Kind(
    name="openai",
    title="OpenAI-compatible",
    schemes={"https": Scheme(port=443, tls=True), "http": Scheme(port=80, local=True)},
    url_prefix="openai+",
    keys=(
        *("headers", "expect_status", "expect_body", "expect_json"),
        *("teach", "teach_contract", "teach_routes", "recorder_tls", "require", "build_from"),
    ),
    templates=(
        Template(
            name="llm_service",
            label="LLM",
            short_names=("llm",),
            url="${STAGING_LLM_URL}",
            local="http://127.0.0.1:8093/v1",
            exports=tuple(
                (name, "{local}") for name in ("LLM_URL", "OPENAI_BASE_URL", "OPENAI_API_BASE", "LLM_BASE_URL")
            ),
            words=("LLM", "OPENAI"),
            images=r"ollama|vllm",
            markers=("real_llm", "llm"),
        ),
    ),
    probe="resilience.services.openai.probe:probe_openai",
    words={
        C.APP_OVERLOAD: Words(
            cause="the provider is overloaded",
            hint="look at the provider's status page; use the LLM mock meanwhile: LLM_FALLBACK_MODE=true",
        ),
        C.APP_AUTH: Words(
            cause="it is up and refuses the key",
            hint="compare the key in headers with the provider's console; was it revoked?",
        ),
    },
    clients=("openai", "anthropic"),
    doubles=Doubles(
        stand_in="resilience.services.openai.stand_in:STAND_INS",
        mock="llm",
        recordable=True,
    ),
)
