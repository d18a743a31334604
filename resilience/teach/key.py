"""Turn RESILIENCE_TEACH_KEY, or a file beside the stand-ins' data, into the key by which secrets get their pseudonyms.

It lies outside of the store: whoever has only what was taught cannot try likely secrets against the pseudonyms.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from resilience.core.errors import SettingsError

VARIABLE = "RESILIENCE_TEACH_KEY"
_LEAST = 16


def path_in(data: Path) -> Path:
    return data / "teach.key"


def read(data: Path, environ: Mapping[str, str]) -> bytes | None:
    """Return the key, None where there is none yet. Raises SettingsError for one that is too short to be a secret."""
    given = environ.get(VARIABLE, "")
    if given:
        if len(given) < _LEAST:
            raise SettingsError(
                name=VARIABLE,
                source="environment",
                found=f"({len(given)} characters)",
                expected=f"at least {_LEAST} characters",
                hint="python3 -c 'import secrets; print(secrets.token_urlsafe(32))'",
            )
        return given.encode()
    with suppress(FileNotFoundError):
        return path_in(data).read_bytes() or None
    return None


def make(data: Path, environ: Mapping[str, str]) -> bytes:
    """Return the key, made and kept for its owner alone where there is none."""
    found = read(data, environ)
    if found is not None:
        return found
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = secrets.token_urlsafe(32).encode()
    with open(path_in(data), "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(key)
    return key


def delete(data: Path) -> None:
    with suppress(FileNotFoundError):
        path_in(data).unlink()


def mark(key: bytes) -> str:
    """Return what tells keys apart and tells nothing of the key: a generation says by it whose pseudonyms it has."""
    return hmac.new(key, b"resilience: which key", hashlib.sha256).hexdigest()[:16]
