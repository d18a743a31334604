"""A mock knows from the path of its health check where its routes lie, and what the team's own check wants to find."""

from __future__ import annotations

import json

import pytest
from aiohttp.test_utils import make_mocked_request

from resilience.services.mocking import Config, Imitation, Mock, bearer


@pytest.mark.parametrize(
    ("path", "base"),
    [("", ""), ("/", ""), ("/health", ""), ("/api/healthz", "/api"), ("/api", "/api"), ("/v1/", "/v1"), ("/ws", "/ws")],
)
def test_routes_lie_below_the_path_without_its_question(path: str, base: str) -> None:
    mock = Mock(name="x", kind="backend", path=path)
    assert mock.base == base
    assert {path.rstrip("/"), base, f"{base}/health"} == set(mock.health_paths)


def test_its_health_says_what_the_teams_check_wants() -> None:
    mock = Mock(name="x", kind="backend", expect_json={"db.up": "true"}, expect_body="all good", expect_status=203)
    answer = mock.health()
    body = json.loads(answer.body)  # type: ignore[arg-type]
    assert (answer.status, body["db"], body["mock"]) == (203, {"up": "true"}, True)
    assert "all good" in answer.body.decode()  # type: ignore[union-attr]


def test_a_token_is_taken_from_its_header_alone() -> None:
    for text, token in (("Bearer t1", "t1"), ("bearer  t2 ", "t2"), ("Basic t3", ""), ("", "")):
        assert bearer(make_mocked_request("GET", "/", headers={"Authorization": text})) == token


async def test_a_sort_of_mock_claims_nothing_unless_it_says_so() -> None:
    sort = Imitation(Config(services=(), token="t"))
    assert not sort.claims("/v1/models")
    with pytest.raises(NotImplementedError):
        await sort.answer(make_mocked_request("GET", "/"), Mock(name="x", kind="y"))
