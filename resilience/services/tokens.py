"""Turn a signing key, kept in a file, into tokens (RFC 7519) that verify against its public half."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm


class Keys:
    """The signing key, kept in a file so that tokens outlive a restart. Made when first needed: 2048 bits take a while."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self._made: asyncio.Task[tuple[Any, dict[str, Any]]] | None = None

    async def get(self) -> tuple[Any, dict[str, Any]]:
        """Return the private key and the public one as a JWK.

        One key for all callers: the first begins the work on a thread, and a request that is cancelled does not end
        it.
        """
        if self._made is None:
            self._made = asyncio.create_task(asyncio.to_thread(self._make))
        return await asyncio.shield(self._made)

    def _make(self) -> tuple[Any, dict[str, Any]]:
        """Read the key from its file, or make one of RSA 2048 and keep it there, readable by us alone."""
        if self.file is not None and self.file.is_file():
            key: Any = serialization.load_pem_private_key(self.file.read_bytes(), password=None)
        else:
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            if self.file is not None:
                pem = key.private_bytes(
                    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
                )
                with open(self.file, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                    file.write(pem)
        jwk = json.loads(RSAAlgorithm.to_jwk(key.public_key()))
        jwk["kid"] = hashlib.sha256(jwk["n"].encode()).hexdigest()[:16]
        return key, {**jwk, "use": "sig", "alg": "RS256"}

    async def token(self, issuer: str, claims: Mapping[str, str], seconds: int) -> str:
        """Return a token of this issuer with these claims, that is good for so many seconds."""
        key, jwk = await self.get()
        now = int(time.time())
        payload = {"iss": issuer, "iat": now, "exp": now + seconds, "jti": secrets.token_hex(8), **claims}
        return jwt.encode(payload, key, algorithm="RS256", headers={"kid": jwk["kid"]})

    async def sign(self, claims: Mapping[str, Any], seconds: float) -> str:
        """Return a token with just these claims, its times anew."""
        key, jwk = await self.get()
        now = int(time.time())
        payload = {**claims, "iat": now, "exp": now + int(seconds), "jti": secrets.token_hex(8)}
        return jwt.encode(payload, key, algorithm="RS256", headers={"kid": jwk["kid"]})

    async def verified(self, token: str, issuer: str) -> dict[str, Any] | None:
        """Return the claims of a token that this key signed for this issuer and that is still good; None for any other.

        The audience is not checked: that is the team's own service's to do.
        """
        key, _ = await self.get()
        try:
            options: Any = {"verify_aud": False}
            claims: dict[str, Any] = jwt.decode(
                token, key.public_key(), algorithms=["RS256"], issuer=issuer, options=options
            )
        except jwt.PyJWTError:
            return None
        return claims
