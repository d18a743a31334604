"""Programs are told whom to trust by variables, of which the team's own stay as they are."""

from __future__ import annotations

from pathlib import Path

from resilience.host.trust import trusting, words


def test_a_variable_of_the_teams_own_stays_and_it_is_said() -> None:
    found = trusting(Path("/lesson"), {"SSL_CERT_FILE", "HOME"})
    assert found == {
        "REQUESTS_CA_BUNDLE": "/lesson/trusted.pem",
        "NODE_EXTRA_CA_CERTS": "/lesson/authority.pem",
    }
    (said,) = words({"SSL_CERT_FILE", "HOME"})
    assert said.startswith("SSL_CERT_FILE is set already and stays as it is")
    assert words({"HOME"}) == ()
