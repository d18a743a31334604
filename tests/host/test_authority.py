"""An authority of ours is for this machine's own names, and its key is nobody's but its owner's."""

from __future__ import annotations

import ssl
from pathlib import Path

import certifi

from resilience.host.authority import KEY, Authority, kept, usual, write_trust


def test_its_key_is_in_no_file_after_a_server_has_it(tmp_path: Path) -> None:
    folder = tmp_path / "lesson"
    authority = Authority()
    assert authority.context(folder).protocol is ssl.PROTOCOL_TLS_SERVER
    assert list(folder.iterdir()) == []
    assert folder.stat().st_mode & 0o077 == 0
    write_trust(folder, authority.certificate)
    assert b"PRIVATE" not in b"".join(path.read_bytes() for path in folder.iterdir())


def test_the_bundle_holds_it_beside_all_that_are_trusted_as_ever(tmp_path: Path) -> None:
    authority = Authority()
    write_trust(tmp_path, authority.certificate)
    bundle = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bundle.load_verify_locations(tmp_path / "trusted.pem")
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    theirs.load_verify_locations(certifi.where())
    mine = ssl.PEM_cert_to_DER_cert(authority.certificate.decode())
    found = set(bundle.get_ca_certs(binary_form=True))
    assert found >= {mine, *theirs.get_ca_certs(binary_form=True)}
    assert mine.hex() not in usual().hex()


def test_a_folder_keeps_its_authority_for_its_owner_alone(tmp_path: Path) -> None:
    first = kept(tmp_path / "tls")
    assert kept(tmp_path / "tls").certificate == first.certificate
    assert (tmp_path / "tls" / KEY).stat().st_mode & 0o777 == 0o600
    (tmp_path / "tls" / KEY).write_bytes(b"damaged")
    assert kept(tmp_path / "tls").certificate != first.certificate
