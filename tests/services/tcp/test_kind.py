"""Of a service behind a bare port nothing is guessed: neither its port nor a stand-in."""

from __future__ import annotations

import pytest

from resilience.core.urls import UrlError, url_parts
from resilience.services.tcp.kind import KIND


def test_the_port_must_be_written() -> None:
    assert url_parts("tcp://broker.example:5672", KIND).port == 5672
    with pytest.raises(UrlError, match="no port"):
        url_parts("tcp://broker.example", KIND)


def test_it_is_stood_in_for_only_by_the_teams_own() -> None:
    assert KIND.doubles is None
    assert not KIND.is_mocked
