"""An LLM's address needs its prefix to be told from a backend's, and its client's variables lead to the stand-in."""

from __future__ import annotations

import pytest

from resilience.services.openai.kind import KIND
from resilience.services.registry import KINDS


def test_only_the_prefix_tells_it_from_a_backend() -> None:
    assert KINDS.by_url("openai+https://llm.example/v1") == (KIND, "https://llm.example/v1")
    found = KINDS.by_url("https://llm.example/v1")
    assert found is not None
    assert found[0] is not KIND


@pytest.mark.parametrize("name", ["OPENAI_BASE_URL", "OPENAI_API_BASE", "LLM_URL"])
def test_what_its_clients_read_is_recognised_and_exported(name: str) -> None:
    (template,) = KIND.templates
    assert set(template.words) & set(name.split("_"))
    assert (name, "{local}") in template.exports
