"""Make an authority of our own for ports of this machine, the certificates it signs, and the files by which clients trust it.

Its private key is in memory, or in one file for its owner alone; a certificate is for 127.0.0.1 and localhost and nothing else.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

import trustme

from resilience.host.files import make_private_folder, write_atomically
from resilience.host.trust import BUNDLE, CERTIFICATE

KEY = "authority.key"
_NAMES = ("127.0.0.1", "localhost")
_DAYS = 365
_USUAL = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)
"""Where systems keep the authorities that all trust: Debian and Alpine, Fedora, macOS and the BSDs."""


class Authority:
    """One authority: `certificate` is what its clients are to trust, as PEM."""

    def __init__(self, made: trustme.CA | None = None) -> None:
        self._made = made or trustme.CA(organization_name="resilience", organization_unit_name="for this machine alone")
        self.certificate: bytes = self._made.cert_pem.bytes()

    def context(self, folder: Path) -> ssl.SSLContext:
        """Return how a server of ours speaks TLS, by a certificate that is new.

        OpenSSL takes a key from a file alone: it lies in this folder for the moment of reading, for its owner alone.
        """
        make_private_folder(folder)
        until = datetime.now(UTC) + timedelta(days=_DAYS)
        issued = self._made.issue_cert(*_NAMES, not_after=until)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with issued.private_key_and_cert_chain_pem.tempfile(dir=str(folder)) as path:
            context.load_cert_chain(path)
        return context

    def key(self) -> bytes:
        return self._made.private_key_pem.bytes()


def kept(folder: Path) -> Authority:
    """Return the authority of this folder: made once, so that shells which took over its variables go on trusting it."""
    with suppress(OSError, ValueError):
        key, begin, certificate = (folder / KEY).read_bytes().partition(b"-----BEGIN CERTIFICATE-----")
        authority = Authority(trustme.CA.from_pem(begin + certificate, key))
        write_trust(folder, authority.certificate)
        return authority
    authority = Authority()
    make_private_folder(folder)
    write_atomically(folder / KEY, authority.key() + authority.certificate, mode=0o600)  # in one, so never of two
    write_trust(folder, authority.certificate)
    return authority


def write_trust(folder: Path, certificate: bytes) -> None:
    """Write what clients are told to trust: the authority alone, and after all that are trusted as ever."""
    make_private_folder(folder)
    write_atomically(folder / CERTIFICATE, certificate, mode=0o600)
    write_atomically(folder / BUNDLE, usual() + certificate, mode=0o600)


def usual() -> bytes:
    """Return the authorities that programs of this machine trust as ever: the system's, and certifi's where it is installed."""
    paths = [ssl.get_default_verify_paths().openssl_cafile, *_USUAL]
    found = [path for path in paths if Path(path).is_file()][:1]
    with suppress(ImportError):
        found.append(import_module("certifi").where())
    return b"".join(Path(path).read_bytes().rstrip() + b"\n" for path in found)
