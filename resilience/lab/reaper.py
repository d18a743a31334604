"""Clean up after a drill whose process was killed: end its stand-ins, remove its folder.

    python -m resilience.lab.reaper FOLDER < PIPE

Stand-ins outlive whoever asked for them, on purpose; a drill's must not. The lab holds the other end of the pipe: when it
closes without a word, the lab is dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

_BYE = b"bye\n"
_STOP_S = 30.0


class Reaper:
    """The lab's side: a process in a session of its own that waits for our death.

    No pid is watched, which another process could have by then: the pipe closes with whoever held it.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=dict(environ),
            start_new_session=True,
        )

    def dismiss(self) -> None:
        """Send it home: the lab has cleaned up by itself."""
        with contextlib.suppress(OSError):  # it was killed
            self._process.communicate(_BYE, timeout=5)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def main(argv: list[str]) -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    said = sys.stdin.buffer.read()
    if said == _BYE:
        return 0
    folder = Path(argv[0])
    with contextlib.suppress(Exception):  # whatever cannot be stopped, the folder still has to go
        asyncio.run(_stop(folder))
    shutil.rmtree(folder, ignore_errors=True)
    if folder.parent.parent == Path(tempfile.gettempdir()).resolve():
        with contextlib.suppress(OSError):  # something else is in it
            folder.parent.rmdir()
    return 0


async def _stop(folder: Path) -> None:
    # Start-up: this process waits for as long as the lab lives, beside the drill, and mostly needs none of it.
    from resilience import stand_ins as local
    from resilience.runs.configuration import load_settings

    async with asyncio.timeout(_STOP_S):
        await local.stop(load_settings(folder / "resilience.toml", cwd=folder, environ=os.environ))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
