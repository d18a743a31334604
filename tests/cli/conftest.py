"""A command line to type into, and a team with a staging of one service."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from resilience import cli
from tests.kits.small_staging import SmallStaging, project
from tests.kits.typing_in import Said, Type


@pytest.fixture
def type_in(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Type]:
    """Type a command into the real entry point, in this process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}

    def run(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["resilience", *arguments])
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.main()
        out, err = capfd.readouterr()
        code = left.value.code
        assert code is None or isinstance(code, int)
        return Said(code or 0, out, err)

    yield run
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def staging() -> Iterator[SmallStaging]:
    with SmallStaging() as server:
        yield server


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to type in, with a state folder of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    folder = tmp_path / "empty"
    folder.mkdir()
    (folder / ".git").mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def team(home: Path, staging: SmallStaging, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = project(home.parent / "team", staging.port)
    monkeypatch.chdir(folder)
    return folder
