"""The guide's backend and its authentication service are of one kind, with the backend on the others' shoulders."""

from __future__ import annotations

from resilience.core.kind import Role
from resilience.services.http.kind import KIND
from resilience.services.registry import KINDS


def test_a_plain_web_address_is_of_this_kind_and_not_of_one_with_a_prefix() -> None:
    assert KINDS.by_url("http://api.example/health") == (KIND, "http://api.example/health")
    assert KINDS.by_url("clickhouse+http://api.example/") != (KIND, "http://api.example/")


def test_a_gateways_answer_may_speak_for_what_is_behind_it() -> None:
    assert Role.HTTP_FRONT in KIND.roles


def test_each_service_that_the_backend_needs_is_one_of_the_guides() -> None:
    known = {template.name for _, template in KINDS.templates()}
    for template in KIND.templates:
        assert set(template.needs) <= known
        assert template.name not in template.needs
