"""However a drill's process ends, no other stays behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

DRILL = """
import asyncio, pathlib, sys
from resilience import stand_ins as local
from resilience.lab import Lab

async def main():
    async with Lab("vpc-connector", pathlib.Path(sys.argv[1])) as lab:
        await lab.begin_outage()
        if sys.argv[2:]:
            (stand_in,) = await local.start([lab.settings.service("redis")], lab.settings)
            print(stand_in.pid, flush=True)
        print("up", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
async def test_signals_leave_no_process(tmp_path: Path, environ: dict[str, str], number: signal.Signals) -> None:
    """Ctrl-C cleans up; after SIGKILL the servers end with their process, and the reaper does the rest."""
    killed = number is signal.SIGKILL
    drill = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", DRILL, str(tmp_path / "lab"), *(["with a stand-in"] if killed else [])),
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        process_group=0,
    )
    assert drill.stdout is not None
    said = await asyncio.wait_for(drill.stdout.readuntil(b"up\n"), 30)
    left = psutil.Process(drill.pid).children(recursive=True)
    left += [psutil.Process(int(pid)) for pid in said.split()[:-1]]
    assert len(left) >= 3 + killed
    os.killpg(drill.pid, number)
    await asyncio.wait_for(drill.wait(), 15)
    _, alive = await asyncio.to_thread(psutil.wait_procs, left, 15)
    assert alive == []
    assert (tmp_path / "lab").exists() is not killed


@pytest.mark.parametrize(("said", "there"), [(b"bye\n", True), (b"", False)])
def test_a_lab_that_says_goodbye_keeps_its_folder_and_one_that_died_does_not(
    tmp_path: Path, said: bytes, there: bool
) -> None:
    folder = tmp_path / "lab"
    folder.mkdir()
    subprocess.run([sys.executable, "-m", "resilience.lab.reaper", str(folder)], input=said, check=True, timeout=30)
    assert folder.exists() is there
