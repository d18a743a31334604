"""The lease says since when nobody has asked, and who holds the stand-ins, and never keeps anybody waiting."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import time
from pathlib import Path

import pytest

from resilience.stand_ins import lease


def test_a_release_ends_the_hold_of_its_reason_and_begins_the_lease_anew(tmp_path: Path) -> None:
    lease.hold(tmp_path, "one")
    lease.hold(tmp_path, "two")
    before = time.time()
    lease.release(tmp_path, "one")
    touched_at, holds = lease.read_lease(tmp_path)
    assert [hold["reason"] for hold in holds] == ["two"]
    assert touched_at >= before
    lease.release(tmp_path)
    assert lease.read_lease(tmp_path)[1] == ()


def test_a_lease_that_is_cut_or_foreign_counts_as_none(tmp_path: Path) -> None:
    for text in ("", '{"holds": []}', "[]", '{"touched_at": "x", "holds": []}', '{"touched_at": 1, "holds": [3]}'):
        (tmp_path / "lease.json").write_text(text)
        assert lease.read_lease(tmp_path) == (0.0, ())


def test_who_stopped_with_the_lock_in_hand_keeps_nobody_from_wanting_the_stand_ins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "LOCK_S", 0.2)
    with open(tmp_path / "lease.lock", "ab") as stopped:
        fcntl.flock(stopped, fcntl.LOCK_EX)
        # In a process of its own, so that waiting without end would be seen as a failure.
        code = "import sys, pathlib; from resilience.stand_ins import lease; lease.touch(pathlib.Path(sys.argv[1]))"
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=20)
        lease.hold(tmp_path, "tests run")
    assert [hold["reason"] for hold in lease.read_lease(tmp_path)[1]] == ["tests run"]
