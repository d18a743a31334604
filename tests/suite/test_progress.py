"""Who looks on sees how far the run is."""

from __future__ import annotations

from pathlib import Path

from resilience.core.records import Outcome
from resilience.suite.records import Progress
from tests.kits.testrun_kit import (
    LineServer,
    by_id,
    run,
    write,
)


async def test_progress_names_the_current_test_and_a_failing_probe_is_said(
    root: Path, out: Path, database: LineServer
) -> None:
    write(
        root, test_a="import time\nfrom helpers import hello\ndef test_a(): hello()\ndef test_slow(): time.sleep(0.4)\n"
    )
    seen: list[Progress] = []

    async def broken(names: object) -> dict[str, object]:
        raise RuntimeError("no probe today")

    result = await run(root, out, {"database": database}, on_event=seen.append, probe=broken)
    assert any(event.current.endswith("test_slow") and event.collected == 2 for event in seen)
    assert by_id(result)["test_a"] is Outcome.UNDECIDED
    assert any("no probe today" in note for note in result.notes)
