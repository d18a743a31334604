"""Every command of the README is run here as it stands there, against a lab whose database is down."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from resilience.lab.lab import Lab

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
README = (ROOT / "README.md").read_text()

IN_THE_LAB: dict[str, set[int]] = {
    "resilience assess": {20},
    "resilience plan": {20},
    "resilience doctor": {0, 10},
    "resilience apply": {0},
    "resilience status": {0},
    "resilience test": {1},
    "resilience run --no-apply": {20},
    "resilience run --no-apply --fail-on failures": {0},
    "papermill notebooks/01_assess.ipynb out.ipynb -p environment staging": {0},
    "resilience report": {0},
    "resilience restore": {0},
    "resilience drill list": {0},
}
"""In this order: the exit codes are those of a staging whose database is down."""
ELSEWHERE = {
    "resilience recover": "test_recover_waits_restores_and_tests",
    "resilience init": "test_init_shows_what_it_would_write",
    "resilience assess --url postgresql://user@localhost:5432/app": "test_assess_url_needs_no_configuration",
    "resilience assess --watch 300": "test_watch_prints_the_first_look_and_ends_with_ctrl_c",
    "resilience run --apply -p samples=3": "test_drill.py runs it against every scenario; slow test below",
    "resilience notebook": "tests/test_browser.py",
}


def commands() -> list[str]:
    found = [
        line for block in re.findall(r"```bash\n(.*?)```", README, re.S) for line in block.splitlines() if line.strip()
    ]
    found += re.findall(r"^\$ (.*)$", README, re.M)
    found += re.findall(r"^\| `(resilience[^`]*)` \|", README, re.M)
    found += re.findall(r"`(resilience (?:drill list|notebook|report))`", README)
    return sorted(set(found))


def test_every_command_of_the_readme_is_known_here() -> None:
    made = [command for command in commands() if command.startswith("make ")]
    assert set(commands()) - set(made) == {*IN_THE_LAB, *ELSEWHERE}


@pytest.mark.parametrize("command", [command for command in commands() if command.startswith("make ")])
def test_make_knows_the_target(command: str) -> None:
    assert subprocess.run([*shlex.split(command), "-n"], cwd=ROOT, capture_output=True, check=False).returncode == 0


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    async with Lab("database-unavailable", tmp_path_factory.mktemp("readme") / "lab") as lab:
        (lab.folder / "notebooks").symlink_to(ROOT / "notebooks")
        await lab.begin_outage()
        yield lab
        run(lab, "resilience restore --force")
        run(lab, "resilience services down")


def run(lab: Lab, command: str, *, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    # The lab follows the runbook's stages where RESILIENCE_DRILL is set; here it must stay broken.
    environ = {name: value for name, value in lab.environ.items() if name != "RESILIENCE_DRILL"}
    environ["PATH"] = f"{BIN}{os.pathsep}{environ['PATH']}"
    return subprocess.run(
        shlex.split(command),
        cwd=lab.folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="module")
async def test_the_commands_run_as_written(lab: Lab) -> None:
    for command, codes in IN_THE_LAB.items():
        done = run(lab, command)
        assert done.returncode in codes, (command, done.returncode, done.stdout[-2000:], done.stderr[-2000:])
        assert "Traceback" not in done.stdout + done.stderr, command
    head = run(lab, "resilience assess").stdout.splitlines()
    assert head[0].startswith("STAGING: DOWN (database: connect time-out after 1.5 s; backend_api: 503)")
    assert head[1].startswith("TESTS: can run on local stand-ins")


@pytest.mark.asyncio(loop_scope="module")
async def test_assess_url_needs_no_configuration(lab: Lab, tmp_path: Path, free_port: int) -> None:
    environ = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)}
    done = subprocess.run(
        ["resilience", "assess", "--url", f"postgresql://user@localhost:{free_port}/app"],
        cwd=tmp_path, env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 20
    assert "connection refused" in done.stdout.splitlines()[0]


def test_init_shows_what_it_would_write(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    real_database: needs PostgreSQL\n")
    (tmp_path / "test_shop.py").write_text("def test_shop():\n    pass\n")
    (tmp_path / ".env").write_text("DATABASE_URL=postgresql://a:very-secret@db.example.test:5432/x\n")
    environ = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)}
    done = subprocess.run(
        ["resilience", "init"], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "[[service]]" in done.stdout
    assert "very-secret" not in done.stdout
    assert not (tmp_path / "resilience.toml").exists()


@pytest.mark.asyncio(loop_scope="module")
async def test_watch_prints_the_first_look_and_ends_with_ctrl_c(lab: Lab) -> None:
    environ = {name: value for name, value in lab.environ.items() if name != "RESILIENCE_DRILL"}
    process = subprocess.Popen(
        [BIN / "resilience", "assess", "--watch", "300"],
        cwd=lab.folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert "STAGING: DOWN" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _out, errors = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in errors


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="module")
async def test_recover_waits_restores_and_tests(lab: Lab) -> None:
    before = (lab.folder / "config" / ".env.test.active").read_bytes()
    assert run(lab, "resilience apply").returncode == 0
    assert (lab.folder / "config" / ".env.test.active").read_bytes() != before
    await lab.recover()
    done = run(lab, "resilience recover")
    assert done.returncode == 1, done.stdout + done.stderr
    assert (lab.folder / "config" / ".env.test.active").read_bytes() == before
    assert done.stdout.index("critical tests") < done.stdout.index("full suite")
    assert "RECOVERY: confirmed" in done.stdout
    assert run(lab, "resilience run --apply -p samples=3").returncode == 1
