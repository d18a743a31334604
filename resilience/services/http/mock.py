"""Turn requests to a backend into echoes of its routes, and requests to an auth service into tokens that verify."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from resilience.services.mocking import Imitation, Mock, bearer

if TYPE_CHECKING:
    from resilience.services.tokens import Keys


class Backend(Imitation):
    """The configured routes, echoed; everything else is not there, for an invented answer would hide a missing one."""

    rank = 0

    async def answer(self, request: web.Request, mock: Mock) -> web.StreamResponse:
        return await _echo(request, mock)


class Auth(Imitation):
    """Tokens that verify against the JWKS; with credentials in the `local` URL, for these alone."""

    rank = 1
    makes_up = False

    @cached_property
    def keys(self) -> Keys:
        # When first asked: the libraries of keys and tokens take 0.1 s, by which all mocks would come up later.
        from resilience.services.tokens import Keys

        return Keys(Path(self.config.key_file) if self.config.key_file else None)

    def claims(self, path: str) -> bool:
        return path.startswith(("/oauth", "/.well-known", "/userinfo"))

    async def answer(self, request: web.Request, mock: Mock) -> web.StreamResponse:
        return await _authenticate(request, mock, self.keys)


async def _echo(request: web.Request, mock: Mock) -> web.StreamResponse:
    status = _route_status(request.method, request.path, [*mock.routes, "* /echo", f"* {mock.base}/echo"])
    if status is None:
        return web.json_response(
            {"detail": f"the mock of {mock.name} has no route {request.method} {request.path}", "mock": True},
            status=404,
        )
    raw = await request.read()
    text = raw.decode("utf-8", "replace")
    try:
        body = json.loads(text) if text else None
    except ValueError:
        body = text
    echo = {"mock": True, "method": request.method, "path": request.path, "query": dict(request.query), "body": body}
    return web.json_response(echo, status=status)


def _route_status(method: str, path: str, routes: Sequence[str]) -> int | None:
    """Return the status of the first route that matches; `{name}` stands for one segment.

    A route is `METHOD /path STATUS`; `*` stands for any method, and HEAD is answered where GET is.
    """
    for route in routes:
        words = route.split()
        wanted = words.pop(0).upper() if not words[0].startswith("/") else "GET"
        segments, found = words[0].strip("/").split("/"), path.strip("/").split("/")
        same = len(segments) == len(found) and all(
            a == b or (a[:1] == "{" and a[-1:] == "}") for a, b in zip(segments, found, strict=True)
        )
        if same and wanted in ("*", method, "GET" if method == "HEAD" else method):
            return int(words[1]) if len(words) > 1 else 200
    return None


async def _authenticate(request: web.Request, mock: Mock, keys: Keys) -> web.StreamResponse:
    """Answer as an OpenID provider does (RFC 6749, 7517, 7662): what it is, its keys, tokens, and whose a token is."""
    base = mock.base
    issuer = f"http://{request.host}{base}"
    match request.method, request.path.removeprefix(base).rstrip("/"):
        case "GET", "/.well-known/openid-configuration" | "/.well-known/oauth-authorization-server":
            return web.json_response(
                {
                    "issuer": issuer,
                    "token_endpoint": f"{issuer}/oauth/token",
                    "jwks_uri": f"{issuer}/.well-known/jwks.json",
                    "userinfo_endpoint": f"{issuer}/userinfo",
                    "introspection_endpoint": f"{issuer}/oauth/introspect",
                    "grant_types_supported": ["client_credentials", "password", "refresh_token"],
                    "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
                    "id_token_signing_alg_values_supported": ["RS256"],
                    "response_types_supported": ["token"],
                    "subject_types_supported": ["public"],
                }
            )
        case "GET", "/.well-known/jwks.json":
            _, jwk = await keys.get()
            return web.json_response({"keys": [jwk]})
        case "POST", "/oauth/token" | "/token":
            return await _grant(request, mock, keys, issuer)
        case "GET" | "POST", "/userinfo":
            claims = await keys.verified(bearer(request), issuer)
            if claims is None:
                return web.json_response(
                    {"error": "invalid_token"}, status=401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'}
                )
            return web.json_response({key: claims[key] for key in ("sub", "scope", "client_id") if key in claims})
        case "POST", "/oauth/introspect":
            form = await _form(request)
            claims = await keys.verified(form.get("token", ""), issuer)
            return web.json_response({"active": False} if claims is None else {"active": True, **claims})
    return web.json_response({"error": "not_found", "mock": True}, status=404)


async def _grant(request: web.Request, mock: Mock, keys: Keys, issuer: str) -> web.StreamResponse:
    """Grant a token by credentials of a client, of a user, or by a refresh token (RFC 6749, 4.4, 4.3 and 6).

    Any credentials do, unless the `local` URL names some: then only these, so that a test of a wrong password fails as it
    would on staging. A client gets no refresh token, as the RFC has it, and an access token is none either.
    """
    form = await _form(request)
    kind, _, encoded = request.headers.get("Authorization", "").partition(" ")
    client, secret = form.get("client_id", ""), form.get("client_secret", "")
    if kind.lower() == "basic":
        with contextlib.suppress(ValueError):
            client, _, secret = base64.b64decode(encoded).decode("utf-8", "replace").partition(":")
    user, subject = form.get("username", ""), client
    match form.get("grant_type", ""):
        case "client_credentials":
            if not client or (mock.user and (client, secret) != (mock.user, mock.password)):
                return web.json_response({"error": "invalid_client"}, status=401)
        case "password":
            if (
                not user
                or not form.get("password")
                or (mock.user and (user, form["password"]) != (mock.user, mock.password))
            ):
                return web.json_response({"error": "invalid_grant"}, status=400)
            subject = user
        case "refresh_token":
            claims = await keys.verified(form.get("refresh_token", ""), issuer)
            if claims is None or claims.get("use") != "refresh":
                return web.json_response({"error": "invalid_grant"}, status=400)
            subject, client = str(claims["sub"]), str(claims["client_id"])
        case _:
            return web.json_response({"error": "unsupported_grant_type"}, status=400)
    scope = form.get("scope", "")
    claims = {"sub": subject, "client_id": client or subject, "scope": scope}
    if audience := form.get("audience"):
        claims["aud"] = audience
    answer = {
        "access_token": await keys.token(issuer, claims, 3600),
        "token_type": "Bearer",
        "expires_in": 3600,
        "scope": scope,
    }
    if form["grant_type"] != "client_credentials":
        answer["refresh_token"] = await keys.token(issuer, {**claims, "use": "refresh"}, 86400)
    return web.json_response(answer, headers={"Cache-Control": "no-store"})


async def _form(request: web.Request) -> dict[str, str]:
    if request.content_type == "application/json":
        try:
            raw = await request.json()
        except ValueError:
            return {}
        return {str(key): str(value) for key, value in raw.items()} if isinstance(raw, dict) else {}
    return {key: value for key, value in (await request.post()).items() if isinstance(value, str)}
