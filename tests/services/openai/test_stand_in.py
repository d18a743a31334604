"""An OpenAI-compatible service is imitated by the mock of an LLM, with the key of its `local` URL."""

from __future__ import annotations

from resilience.services.openai.stand_in import STAND_INS
from resilience.stand_ins.endpoints import endpoint
from tests.kits.kinds import ServiceType
from tests.kits.stand_in_kit import service


def test_a_real_one_is_asked_with_the_key_of_the_local_url() -> None:
    one = service("llm_service", "http://:sk-local@localhost:1/v1", kind=ServiceType.OPENAI, expect_status=(204,))
    assert STAND_INS.mock(one) == "llm"
    assert STAND_INS.health_status(one) == 204
    asked = STAND_INS.probed(one, endpoint(one))
    assert asked.local.reveal() == "http://127.0.0.1:1/v1"
    assert asked.headers["Authorization"].reveal() == "Bearer sk-local"
