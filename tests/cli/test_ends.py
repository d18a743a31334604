"""Whatever ends a command becomes one line and its exit code, never a traceback."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kits.typing_in import Type


def test_what_nobody_foresaw_is_one_line_with_a_log_and_code_30(
    type_in: Type, team: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESILIENCE_STATE", "resilience.toml")
    said = type_in("status")
    said.complains("the runbook failed", "nothing is known about your tests", code=30)
    log = Path(next(word for word in said.err.split() if word.endswith(".log")))
    try:
        assert "Traceback" in log.read_text()
        assert log.stat().st_mode & 0o077 == 0
    finally:
        log.unlink()


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_watch_in_one_line_with_its_code(team: Path, sent: signal.Signals, code: int) -> None:
    watch = subprocess.Popen(
        [sys.executable, "-u", "-m", "resilience.cli", "assess", "--watch", "30"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=team,
    )
    try:
        assert watch.stdout is not None
        assert "STAGING: UP" in watch.stdout.readline()
        watch.send_signal(sent)
        _, err = watch.communicate(timeout=20)
    finally:
        watch.kill()
        watch.wait()
    assert watch.returncode == code
    assert err.count("\n") == 1
    assert "Traceback" not in err


@pytest.mark.parametrize(("name", "code"), [("SIGHUP", 143), ("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_outside_of_every_other_door_ends_with_its_code_too(name: str, code: int) -> None:
    early = (
        "import signal\nfrom resilience.host import signals\nheed = signals.heed\n"
        f"signals.heed = lambda: (heed(), signal.raise_signal(signal.{name}))\n"
        "from resilience.cli import main\nmain()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", early],
        capture_output=True,
        text=True,
        check=False,
        # Under nohup SIGHUP is ignored, by all that is started from there too.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # type: ignore[arg-type, return-value]
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("name", "code"), [("SIGHUP", 143), ("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_in_code_that_python_makes_from_text_ends_with_its_code_too(
    name: str, code: int, tmp_path: Path
) -> None:
    """Such as a dataclass, while a module loads: Python then ends `python -m` by SIGINT, whatever the exit code."""
    (tmp_path / "early.py").write_text(
        "import signal\nfrom resilience.host import signals\nheed = signals.heed\n"
        f"signals.heed = lambda: (heed(), exec('signal.raise_signal(signal.{name})'))\n"
        "from resilience.cli import main\nmain()\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "early"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # type: ignore[arg-type, return-value]
    )
    assert done.returncode == code, done.stderr


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["--nope"], ["No such option: --nope. Hint: resilience -h"]),
        (["assess", "--critcal"], ["--critcal", "--critical", "Hint: resilience assess -h"]),
        (["assess", "--samples", "x"], ["'--samples'", "Hint: resilience assess -h"]),
        (["services", "upp"], ["'upp'", "Hint: resilience services -h"]),
        (["test", "-x"], ["Hint: the tests' own command goes behind --: resilience test -- pytest -x"]),
        (["test", "--forc", "full"], ["--force", "Hint: resilience test -h"]),
    ],
)
def test_what_was_mistyped_comes_with_the_help_that_explains_it(
    type_in: Type, home: Path, typed: list[str], words: list[str]
) -> None:
    type_in(*typed).complains(*words)
