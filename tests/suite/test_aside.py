"""Work in a thread of its own ends early where it is told to, and is never waited for longer than that."""

from __future__ import annotations

import threading

from resilience.suite.aside import Aside


async def test_work_that_ends_in_time_is_done() -> None:
    did: list[int] = []
    aside = Aside(lambda: did.append(1), "short")
    aside.start()
    assert await aside.done()
    assert did == [1]


async def test_work_that_does_not_end_in_time_is_told_to_stop_and_left_behind() -> None:
    let_go = threading.Event()
    aside = Aside(lambda: let_go.wait(60) and None, "long")
    aside.start()
    assert not await aside.done(0.05)
    assert aside.stopped
    let_go.set()
