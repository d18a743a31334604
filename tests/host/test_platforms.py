"""Each test's name is a claim about the system that the runbook is started on."""

from __future__ import annotations

import subprocess
import sys

import pytest

from resilience.host.platforms import support_of


@pytest.mark.parametrize(
    ("platform", "release", "name", "works"),
    [
        ("linux", "6.1.0-18-amd64", "Linux", True),
        ("linux", "5.15.90.1-microsoft-standard-WSL2", "WSL 2", True),
        ("linux", "4.4.0-19041-Microsoft", "WSL 1", False),
        ("darwin", "23.4.0", "macOS", True),
        ("win32", "10", "Windows", False),
        ("cygwin", "3.4", "Windows", False),
        ("freebsd14", "14.0", "freebsd14", True),
    ],
)
def test_what_is_known_of_a_system_is_said_and_what_does_not_work_has_what_to_type(
    platform: str, release: str, name: str, works: bool
) -> None:
    found = support_of(platform, release)
    assert (found.name, found.works, bool(found.hint)) == (name, works, not works)
    assert found.known


def test_on_a_system_where_it_cannot_work_it_says_so_before_anything_else() -> None:
    code = "import sys; from resilience import cli; sys.platform = 'win32'; sys.argv = ['resilience', 'assess']; cli.main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("resilience: Windows is not supported: ")
    assert "Hint: wsl --install" in done.stderr
    assert done.stderr.count("\n") == 1
