"""The mocks of a backend and of an auth service hold up to real clients."""

from __future__ import annotations

import httpx

from resilience.services.mocking import Config, Mock
from resilience.stand_ins.mocks import Mocks
from tests.kits.mock_kit import at


async def test_the_backend_is_well_where_the_team_asks_and_echoes_only_its_routes(
    mocks: Mocks, http: httpx.AsyncClient
) -> None:
    for path in ("/api/health", "/health", "/api"):
        assert (await http.get(at(mocks, "backend_api", path))).json()["status"] == "ok"
    answer = await http.post(at(mocks, "backend_api", "/orders?x=1"), json={"a": 1})
    assert answer.status_code == 201
    assert answer.json() == {"mock": True, "method": "POST", "path": "/orders", "query": {"x": "1"}, "body": {"a": 1}}
    assert (await http.get(at(mocks, "backend_api", "/users/7"))).status_code == 200
    assert (await http.delete(at(mocks, "backend_api", "/any"))).status_code == 200
    for method, path in (("DELETE", "/users/7"), ("GET", "/orders"), ("GET", "/users"), ("GET", "/nowhere")):
        assert (await http.request(method, at(mocks, "backend_api", path))).status_code == 404


async def test_the_teams_own_health_check_finds_what_it_expects(http: httpx.AsyncClient) -> None:
    mock = Mock(
        name="b", kind="backend", expect_json={"db.up": "true", "v": "2"}, expect_body="all good", expect_status=204
    )
    async with Mocks(Config(services=(mock,), token="t")) as running:
        answer = await http.get(at(running, "b", "/health"))
        assert answer.status_code == 204
        mock.expect_status = 200
        answer = await http.get(at(running, "b", "/health"))
        assert answer.json()["db"] == {"up": "true"}
        assert "all good" in answer.text


async def test_only_the_configured_credentials_are_granted_a_token(mocks: Mocks, http: httpx.AsyncClient) -> None:
    url = at(mocks, "auth_service", "/oauth/token")
    wrong = [
        ({"grant_type": "client_credentials", "client_id": "app", "client_secret": "no"}, 401, "invalid_client"),
        ({"grant_type": "client_credentials"}, 401, "invalid_client"),
        ({"grant_type": "password", "username": "app", "password": "no"}, 400, "invalid_grant"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, 400, "invalid_grant"),
        ({"grant_type": "magic"}, 400, "unsupported_grant_type"),
        ({}, 400, "unsupported_grant_type"),
    ]
    for form, status, error in wrong:
        answer = await http.post(url, data=form)
        assert (answer.status_code, answer.json()["error"]) == (status, error)
    granted = await http.post(url, json={"grant_type": "password", "username": "app", "password": "s3cret"})
    again = await http.post(url, data={"grant_type": "refresh_token", "refresh_token": granted.json()["refresh_token"]})
    assert again.status_code == 200
    # An access token is no refresh token.
    twice = await http.post(url, data={"grant_type": "refresh_token", "refresh_token": granted.json()["access_token"]})
    assert twice.status_code == 400
