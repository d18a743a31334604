"""Services and stand-ins are known by their addresses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from resilience.core.records import Outcome, Verdict
from resilience.core.secret import Secret
from tests.kits.testrun_kit import (
    LineServer,
    by_id,
    run,
    settings,
    write,
)


async def test_refused_at_a_stand_in_that_does_not_run_is_nobodys_and_says_what_to_type(
    root: Path, out: Path, database: LineServer
) -> None:
    stopped = LineServer()
    write(
        root,
        test_a=f"""
        import socket
        def test_a(): socket.create_connection(("127.0.0.1", {stopped.port}), timeout=1).close()
        """,
    )
    made = settings(root, {"database": database.up()})
    service = replace(made.services[0], local=Secret(f"postgresql://u:p@127.0.0.1:{stopped.port}/db"))
    result = await run(root, out, {"database": database}, made=replace(made, services=(service,)))
    assert by_id(result) == {"test_a": Outcome.NOT_RUN}
    assert (result.exit_code, result.verdict) == (21, Verdict.UNKNOWN)
    assert "resilience env --unset" in (result.tests[0].reason or "")
