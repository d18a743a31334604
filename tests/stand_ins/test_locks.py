"""A lock is had at once, or waited for no longer than told."""

from __future__ import annotations

import time
from pathlib import Path

from resilience.stand_ins.locks import lock, try_lock


def test_a_lock_that_is_held_is_waited_for_within_its_time_and_free_once_closed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("ab") as mine, path.open("ab") as other:
        assert try_lock(mine)
        assert not try_lock(other)
        assert not try_lock(other, shared=True)
        began = time.monotonic()
        assert not lock(other, timeout_s=0.05)
        assert time.monotonic() - began >= 0.05
        mine.close()
        assert lock(other, timeout_s=1.0)


def test_several_may_share_a_lock_that_nobody_has_alone(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("ab") as one, path.open("ab") as two, path.open("ab") as alone:
        assert lock(one, timeout_s=0.0, shared=True)
        assert lock(two, timeout_s=0.0, shared=True)
        assert not try_lock(alone)
