"""A signal from outside is told from an end, or a crash, of a process's own."""

from __future__ import annotations

import pytest

from resilience.suite.killed import killed


@pytest.mark.parametrize(("code", "name"), [(129, "SIGHUP"), (130, "SIGINT"), (137, "SIGKILL"), (143, "SIGTERM")])
def test_a_signal_from_outside_is_named(code: int, name: str) -> None:
    assert killed(code) == name


@pytest.mark.parametrize("code", [0, 1, 9, 128, 134, 139])
def test_an_end_or_a_crash_of_its_own_is_none(code: int) -> None:
    assert killed(code) == ""
