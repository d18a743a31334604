"""The log of a command: in order, without secrets, and never at the price of the event loop."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from resilience.core.redact import Redactor
from resilience.suite.log import Log


class Stuck(Redactor):
    """Takes as long over a text as the test wants."""

    def __init__(self) -> None:
        super().__init__(())
        self.begun, self.go_on = threading.Event(), threading.Event()

    def text(self, text: str) -> str:
        self.begun.set()
        assert self.go_on.wait(60)
        return super().text(text)


async def test_lines_are_written_in_order_and_to_the_byte_whatever_they_are_read_in(tmp_path: Path) -> None:
    text = "".join(f"line {number} é\n" for number in range(30_000)).encode()
    log = Log(tmp_path / "log", Redactor(["s3kr3t-pass"]))
    for at in range(0, len(text), 4093):
        log.put(text[at : at + 4093])
    await log.close()
    assert (tmp_path / "log").read_bytes() == text
    assert log.tail.splitlines() == text.decode().splitlines()[-400:]
    assert log.trouble == ""


async def test_a_redaction_that_takes_long_holds_neither_the_loop_nor_more_than_a_few_megabytes(tmp_path: Path) -> None:
    redactor = Stuck()
    log = Log(tmp_path / "log", redactor)
    given = 0
    while not log.full:
        log.put(b"a line\n" * 10_000)
        given += 70_000
        await asyncio.sleep(0)
    assert given < 5 * 1024 * 1024
    redactor.go_on.set()
    await log.close()
    assert (tmp_path / "log").stat().st_size == given
    assert not log.full


async def test_who_presses_ctrl_c_does_not_wait_for_the_log_and_is_told_what_is_missing(tmp_path: Path) -> None:
    redactor = Stuck()
    log = Log(tmp_path / "log", redactor)
    log.put(b"a line\n" * 100_000)
    assert await asyncio.to_thread(redactor.begun.wait, 30)
    await log.close(within_s=0.05)
    assert log.trouble == "log ends 0.7 MB early: the run was interrupted while it was written"
    redactor.go_on.set()


async def test_a_log_that_cannot_be_written_is_said_and_ends_nothing(tmp_path: Path) -> None:
    log = Log(tmp_path, Redactor(()))
    for _ in range(20):
        log.put(b"x" * 1_000_000 + b"\n")
    await log.close()
    assert log.trouble.startswith(f"{tmp_path.name} could not be written in full: IsADirectoryError")
    assert not log.full


async def test_a_log_of_nothing_is_empty(tmp_path: Path) -> None:
    log = Log(tmp_path / "log", Redactor(()))
    await log.close()
    assert (tmp_path / "log").read_bytes() == b""
    assert log.tail == ""
