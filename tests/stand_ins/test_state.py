"""What the supervisor wrote down is believed only as far as it is whole, and of the very process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from resilience.host import processes
from resilience.stand_ins import supervision
from resilience.stand_ins.state import read_state
from tests.kits.supervisor_kit import LONG, sleeper


async def test_a_pid_that_is_another_programs_by_now_is_never_signalled(folder: Path) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    try:
        service = {
            "name": "old",
            "pid": bystander.pid,
            "identity": "another boot:1",
            "started_at": 0.0,
            "log": "",
            "digest": "",
            "stop_signals": [int(signal.SIGTERM)],
            "ended": "",
        }
        (folder / "state.json").write_text(
            json.dumps({"pid": bystander.pid, "identity": "x", "services": {"old": service}})
        )
        assert await supervision.end(folder) == ()
        await supervision.ensure(folder, [sleeper(folder)], LONG)
        assert bystander.poll() is None
        assert not processes.send(bystander.pid, "another boot:1", signal.SIGKILL)
    finally:
        bystander.kill()
        bystander.wait()


async def test_a_state_that_is_cut_or_foreign_counts_as_none(folder: Path) -> None:
    for text in ("", '{"pid": 1', "[]", '{"services": 3}', '{"pid": "x", "identity": "", "services": {}}'):
        (folder / "state.json").write_text(text)
        assert not read_state(folder).services
    assert (await supervision.ensure(folder, [sleeper(folder)], LONG))["sleeper"].alive
