"""Who listens on a port is named by pid and name, as far as this user may see."""

from __future__ import annotations

import os

from resilience.stand_ins.listeners import Listener, listener
from tests.kits.ports import free_ports
from tests.kits.stand_in_kit import listening


def test_a_listener_is_named() -> None:
    with listening() as port:
        found = listener(port)
    assert found.pid == os.getpid()
    assert str(found) == f"{found.name} (pid {os.getpid()})"


def test_where_nobody_is_seen_nobody_is_named() -> None:
    assert listener(free_ports(1)[0]) == Listener()
    assert str(Listener()) == "a process that this user may not see"


def test_those_who_are_likely_are_asked_first_and_a_wrong_guess_hides_nobody() -> None:
    with listening() as port:
        assert listener(port, [os.getpid()]).pid == os.getpid()
        assert listener(port, [2**22 + 1, os.getppid()]).pid == os.getpid()
