"""On a terminal the command has one, too."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path

from tests.kits.testrun_kit import (
    write,
)


async def test_on_a_terminal_the_command_has_one_too(root: Path, out: Path, tmp_path: Path) -> None:
    write(root, test_a="def test_a(): pass\n")
    script = tmp_path / "typed.py"
    script.write_text(
        f"""
import asyncio, sys
sys.path[:0] = {[str(Path(__file__).parents[2])]!r}
from pathlib import Path
from resilience.suite.records import Instruments, Place, Request
from resilience.suite.testrun import run_suite
from resilience.core.records import PlannedCommand, TestExecutionMode
from tests.kits.testrun_kit import PYTEST, Probe, environ
root, out = Path({str(root)!r}), Path({str(out)!r})
command = PlannedCommand(command="test -t 1 && " + PYTEST)
result = asyncio.run(run_suite(
    Request(commands=(command,), mode=TestExecutionMode.FULL),
    Place(root=root, folder=out, environ=environ({{}}, TERM="xterm")),
    Instruments(probe=Probe({{}})),
))
print("exit", result.exit_code)
"""
    )
    import pty

    printed = bytearray()

    def typed() -> int:
        pid, ours = pty.fork()
        if pid == 0:
            os.execv(sys.executable, [sys.executable, str(script)])
        with contextlib.suppress(OSError):
            while data := os.read(ours, 4096):
                printed.extend(data)
        os.close(ours)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    code = await asyncio.to_thread(typed)
    assert code == 0, bytes(printed)
    assert b"exit 0" in printed, bytes(printed)
    assert b"\x1b[32m" in printed, "green, as pytest shows on a terminal"
    assert b"\x1b" not in (out / "logs/01-round1.log").read_bytes()
