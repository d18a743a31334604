"""A command runs as the team runs it, is ended with all it started, and leaves no secret."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from resilience.core.records import Outcome, Verdict
from resilience.suite.testrun import TestRunInterrupted
from tests.kits.testrun_kit import (
    INFRA,
    PYTEST,
    LineServer,
    by_id,
    run,
    wait_until,
    write,
)


async def test_a_hanging_test_is_ended_named_and_leaves_nothing_behind(
    root: Path, out: Path, database: LineServer, tmp_path: Path
) -> None:
    write(
        root,
        test_a=f"""
        import subprocess, sys, time
        def test_a(): pass
        def test_hangs():
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
            open({str(tmp_path / "pid")!r}, "w").write(str(child.pid))
            time.sleep(600)
        def test_c(): pass
        """,
    )
    result = await run(root, out, {"database": database}, timeout_s=6.0)
    assert by_id(result) == {"test_a": Outcome.PASSED, "test_hangs": Outcome.TIMEOUT, "test_c": Outcome.NOT_RUN}
    assert (result.exit_code, result.verdict) == (124, Verdict.TIMED_OUT)
    message = next(test.message or "" for test in result.tests if test.outcome is Outcome.TIMEOUT)
    assert "test_hangs" in message
    assert "test_a.py:" in message
    pid = int((tmp_path / "pid").read_text())
    assert wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


async def test_cancelling_ends_the_tests_and_gives_what_was_known(
    root: Path, out: Path, database: LineServer, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    write(
        root,
        test_a=f"""
        import os, time
        def test_a(): pass
        def test_b():
            open({str(mark)!r}, "w").write(str(os.getpid()))
            time.sleep(600)
        """,
    )
    task = asyncio.create_task(run(root, out, {"database": database}))
    for _ in range(500):
        if mark.exists() and mark.read_text():
            break
        await asyncio.sleep(0.02)
    pid = int(mark.read_text())
    task.cancel()
    with pytest.raises(TestRunInterrupted) as raised:
        await task
    partial = raised.value.partial
    assert (partial.exit_code, partial.verdict) == (130, Verdict.INTERRUPTED)
    assert by_id(partial)["test_a"] is Outcome.PASSED
    assert partial.total_tests == 2
    assert not psutil.pid_exists(pid)


async def test_a_run_that_is_killed_leaves_no_secret_in_its_folder(root: Path, out: Path, tmp_path: Path) -> None:
    write(
        root,
        test_a="""
        import pathlib, time
        SECRET = "s3kr3t-" + "pass"
        def test_a(): raise RuntimeError("refused for " + SECRET)
        def test_b():
            print(SECRET, flush=True)
            pathlib.Path("reached").touch()
            time.sleep(60)
        """,
    )
    script = tmp_path / "killed.py"
    script.write_text(
        f"""
import asyncio, sys
sys.path[:0] = {[str(Path(__file__).parents[2])]!r}
from dataclasses import replace
from pathlib import Path
from resilience.core.secret import Secret
from tests.kits.testrun_kit import PYTEST, run, settings
root, out = Path({str(root)!r}), Path({str(out)!r})
made = replace(settings(root, {{}}), secrets=(Secret("s3kr3t-pass"),))
asyncio.run(run(root, out, {{}}, "echo $$ > shell; exec " + PYTEST + " -s", made=made))
"""
    )
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    runner = subprocess.Popen([sys.executable, str(script)], env={**os.environ, "TMPDIR": str(scratch)})
    try:
        reached = await asyncio.to_thread(wait_until, (root / "reached").exists, 30.0)
        said = await asyncio.to_thread(
            wait_until, lambda: any(b"***" in one.read_bytes() for one in out.rglob("*.log"))
        )
    finally:
        runner.kill()
        runner.wait()
        with contextlib.suppress(OSError, ValueError):
            os.killpg(int((root / "shell").read_text()), signal.SIGKILL)
    assert reached
    assert said
    left = [path for path in out.rglob("*") if path.is_file()]
    assert left
    assert not [path for path in left if b"s3kr3t-pass" in path.read_bytes()]
    raw = [path for path in scratch.rglob("*.events.jsonl") if b"s3kr3t-pass" in path.read_bytes()]
    assert raw, "the secret was told, or nothing was proved"
    assert all(folder.stat().st_mode & 0o077 == 0 for folder in scratch.glob("resilience-tests-*"))


async def test_a_project_that_cannot_be_written_to_is_no_hindrance(root: Path, out: Path, database: LineServer) -> None:
    write(root, test_a="from helpers import hello\ndef test_a(): hello()\ndef test_b(tmp_path): pass\n")
    unshare = shutil.which("unshare")
    as_nobody = f"{unshare} --user --map-user=65534"
    if unshare is None or subprocess.call([*as_nobody.split(), "true"], stderr=subprocess.DEVNULL):
        pytest.skip("no user namespaces here")
    root.chmod(0o555)
    try:
        result = await run(
            root,
            out,
            {"database": database},
            f"{as_nobody} sh -c '! touch x 2>/dev/null && {PYTEST}'",
            env={"PYTHONDONTWRITEBYTECODE": ""},
            attempts=0,
        )
    finally:
        root.chmod(0o755)
    assert by_id(result) == {"test_a": INFRA, "test_b": Outcome.PASSED}
    assert sorted(path.name for path in root.iterdir()) == ["helpers.py", "test_a.py"]


async def test_secrets_leave_neither_in_logs_nor_in_results(root: Path, out: Path, database: LineServer) -> None:
    write(
        root,
        test_a=f"""
        def test_a():
            print("dsn", "s3kr3t-pass")
            raise ConnectionError("postgresql://user:s3kr3t-pass@127.0.0.1:{database.port}/db refused")
        """,
    )
    result = await run(root, out, {"database": database}, attempts=0)
    assert "s3kr3t-pass" not in repr(result)
    for path in out.rglob("*"):
        if path.is_file():
            assert b"s3kr3t-pass" not in path.read_bytes(), path.name
