"""Kernels boot ahead, end with everything that their cells started, and what they said is kept redacted."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from resilience.core.errors import RunbookError
from resilience.core.redact import Redactor
from resilience.host.files import scratch
from resilience.notebook.kernels import Kernels, sweep
from tests.kits.run_kit import SECRET


@pytest.fixture
def sockets() -> Iterator[Path]:
    folder = scratch("rk")
    yield folder
    subprocess.run(["rm", "-r", str(folder)], check=True)


def kernels(sockets: Path, tmp_path: Path, wanted: int, **environ: str) -> Kernels:
    return Kernels(
        wanted,
        folder=sockets,
        log=tmp_path / "logs" / "kernels.log",
        environ=dict(os.environ) | environ,
        redact=Redactor([SECRET]).text,
    )


async def test_no_more_kernels_are_booted_than_there_are_stages_and_all_are_ended(
    sockets: Path, tmp_path: Path
) -> None:
    pool = kernels(sockets, tmp_path, 2)
    try:
        pool.warm(5)
        assert len(pool.booting) == 2
        kernel = await pool.take()
        assert kernel.process.returncode is None
        pool.put_away(kernel, broken=True)
        pids = [one.process.pid for one in pool.alive]
    finally:
        await pool.close()
    assert pool.alive == []
    assert not [pid for pid in pids if psutil.pid_exists(pid)]


async def test_a_kernel_that_cannot_start_says_where_to_look_and_its_words_are_redacted(
    sockets: Path, tmp_path: Path
) -> None:
    """Its log holds whatever a traceback holds: here, a password in the environment of an interpreter that is broken."""
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "ipykernel").mkdir()
    (broken / "ipykernel" / "__init__.py").write_text(f"raise SystemExit('no kernel: {SECRET}')\n")
    pool = kernels(sockets, tmp_path, 1, PYTHONPATH=str(broken))
    try:
        with pytest.raises(RunbookError, match=r"ended with exit code 1.*logs/kernels\.log"):
            await pool.take()
    finally:
        await pool.close()
    said = pool.log.read_text()
    assert "no kernel" in said
    assert SECRET not in said


def test_only_what_bears_the_kernels_mark_is_swept_away() -> None:
    marked, other = (
        subprocess.Popen(["sleep", "60"], env={**os.environ, "RESILIENCE_KERNEL": token}, start_new_session=True)
        for token in ("a" * 32, "b" * 32)
    )
    try:
        assert sweep("a" * 32) == (marked.pid,)
        assert marked.wait(5) == -9
        assert other.poll() is None
        assert sweep("a" * 32) == ()
    finally:
        for process in (marked, other):
            process.kill()
            process.wait()
