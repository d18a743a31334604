"""A vantage says from where something was seen, and gives no address away."""

from __future__ import annotations

import getpass
import platform
import re
import socket

import pytest

from resilience.host import vantage as place
from resilience.host.vantage import vantage


def test_a_vantage_names_host_user_and_python_and_the_network_by_a_digest_alone() -> None:
    seen = vantage()
    assert (seen.host, seen.user) == (socket.gethostname(), getpass.getuser())
    assert seen.python == platform.python_version()
    assert re.fullmatch(r"[0-9a-f]{8}|", seen.network)
    assert not re.search(r"\d+\.\d+\.\d+\.\d+", f"{seen.network} {seen.user}")


def test_seen_twice_from_one_place_it_is_the_same() -> None:
    assert vantage() == vantage()


@pytest.mark.parametrize("error", [KeyError("uid"), OSError("no name"), ImportError("pwd")])
def test_a_user_without_a_name_as_in_containers_is_told_by_number(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def nameless() -> str:
        raise error

    monkeypatch.setattr(place.getpass, "getuser", nameless)
    assert vantage().user.isdecimal()
