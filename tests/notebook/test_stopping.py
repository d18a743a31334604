"""A run stops at a signal, at the end of its time, or of its stage's, and gives the signals back."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from resilience.notebook.stopping import Stopping


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_asks_to_stop_and_the_first_one_is_remembered(number: signal.Signals) -> None:
    stopping, before = Stopping(), signal.getsignal(number)
    with stopping.listening():
        assert not stopping.ended
        os.kill(os.getpid(), number)
        await asyncio.wait_for(stopping.asked.wait(), 5)
        stopping.asked.clear()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(stopping.asked.wait(), 5)
    assert stopping.ended
    assert stopping.signal == number
    assert signal.getsignal(number) == before, "the end is still to be written under the handlers of before"


async def test_beside_the_main_thread_there_are_no_signals_to_listen_to_and_nothing_is_raised() -> None:
    def in_a_thread() -> bool:
        async def listen() -> bool:
            stopping = Stopping()
            with stopping.listening():
                return stopping.ended

        return asyncio.run(listen())

    assert await asyncio.to_thread(in_a_thread) is False


@pytest.mark.parametrize(
    ("total", "stage", "left"),
    [
        (None, None, None),
        (60.0, None, 60.0),
        (None, 10.0, 10.0),
        (60.0, 10.0, 10.0),
        (5.0, 10.0, 5.0),
        (0.0, 10.0, 0.0),
    ],
)
async def test_what_is_left_is_the_nearer_end(total: float | None, stage: float | None, left: float | None) -> None:
    stopping = Stopping(total_timeout_s=total, stage_timeout_s=stage)
    found = stopping.remaining(stopping.started)
    assert found == (None if left is None else pytest.approx(left, abs=1.0))


async def test_the_run_is_over_only_when_its_own_time_is() -> None:
    stage_over = Stopping(stage_timeout_s=0.0)
    assert stage_over.remaining(time.monotonic() - 1) == 0.0
    assert not stage_over.run_is_over()
    assert not stage_over.ended
    run_over = Stopping(total_timeout_s=0.0)
    assert run_over.run_is_over()
    assert run_over.ended
