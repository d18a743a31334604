"""Tokens verify as a client does it, and outlive a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import jwt

from resilience.stand_ins.mocks import Mocks
from tests.kits.mock_kit import at, config


async def test_tokens_verify_against_the_jwks_as_a_client_does_it(mocks: Mocks, http: httpx.AsyncClient) -> None:
    about = (await http.get(at(mocks, "auth_service", "/.well-known/openid-configuration"))).json()
    assert about["issuer"] == at(mocks, "auth_service")
    granted = await http.post(
        about["token_endpoint"],
        auth=("app", "s3cret"),
        data={"grant_type": "client_credentials", "scope": "read", "audience": "api"},
    )
    token = granted.json()["access_token"]
    keys = jwt.PyJWKClient(about["jwks_uri"])
    key = await asyncio.to_thread(keys.get_signing_key_from_jwt, token)
    claims = jwt.decode(token, key.key, algorithms=["RS256"], audience="api", issuer=about["issuer"])
    assert claims["sub"] == "app"
    assert claims["scope"] == "read"
    told = await http.get(about["userinfo_endpoint"], headers={"Authorization": f"Bearer {token}"})
    assert told.json()["client_id"] == "app"
    broken = token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB")
    assert (
        await http.get(about["userinfo_endpoint"], headers={"Authorization": f"Bearer {broken}"})
    ).status_code == 401
    assert (await http.post(about["introspection_endpoint"], data={"token": token})).json()["active"] is True
    assert (await http.post(about["introspection_endpoint"], data={"token": broken})).json() == {"active": False}


async def test_tokens_outlive_a_restart_and_the_key_is_private(tmp_path: Path, http: httpx.AsyncClient) -> None:
    found = []
    for _ in range(2):
        async with Mocks(config(key_file=str(tmp_path / "key.pem"))) as running:
            found.append((await http.get(at(running, "auth_service", "/.well-known/jwks.json"))).json())
    assert found[0] == found[1]
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600
