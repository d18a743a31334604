"""memcached is known by its clients and its images, and a server that takes no more connections is degraded."""

from __future__ import annotations

from resilience.core.records import FaultCode
from resilience.services.memcached.kind import KIND


def test_a_server_that_takes_no_more_connections_is_overloaded() -> None:
    assert KIND.findings({"accepting": "yes"}) is None
    found = KIND.findings({"accepting": "no"})
    assert found is not None
    assert found.code is FaultCode.APP_OVERLOAD


def test_the_teams_client_names_it() -> None:
    assert "pymemcache" in KIND.clients
    assert KIND.default_port == 11211
