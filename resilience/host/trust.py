"""Say by which variables programs are told whom to trust over TLS, beside those they trust as ever."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

CERTIFICATE, BUNDLE = "authority.pem", "trusted.pem"
STAND_INS = "tls"
"""The folder of the stand-ins' own authority, in that of their data."""
VARIABLES = {"SSL_CERT_FILE": BUNDLE, "REQUESTS_CA_BUNDLE": BUNDLE, "NODE_EXTRA_CA_CERTS": CERTIFICATE}
"""Variable → the file it names: Python's ssl, httpx, aiohttp, curl and Go; requests; Node.js, which adds it to its own."""


def own_in(environ: Mapping[str, str], data: Path) -> frozenset[str]:
    """Return which of the variables are the team's own here: a shell may have taken over those of the stand-ins."""
    ours = trusting(data / STAND_INS, ())
    return frozenset(name for name in ours if environ.get(name, "") not in ("", ours[name]))


def trusting(folder: Path, own: Collection[str]) -> dict[str, str]:
    """Return the variables by which programs trust the authority of this folder; those that are the team's `own` stay theirs."""
    return {name: str(folder / file) for name, file in VARIABLES.items() if name not in own}


def words(own: Collection[str]) -> tuple[str, ...]:
    """Return what is not trusted for it: who reads only a variable that the team has set itself."""
    return tuple(
        f"{name} is set already and stays as it is: a client that reads it trusts no port of ours; unset it for the tests"
        for name in VARIABLES
        if name in own
    )
