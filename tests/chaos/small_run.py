"""Start a minimal run in a checkout of its own, and look at everything it left: the same end everywhere, and nothing else."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.kits.endings import disagreements
from tests.kits.small_staging import SmallStaging, project
from tests.kits.stand_in_kit import eventually
from tests.kits.typing_in import with_stand_in

MINE = b"# written by hand\nMINE=1\n"
CANARY = "canary-Zx81!kQ7wR"
"""In the environment of each run and in what its tests print; no byte of the run may hold it."""
LIMIT_S = 240.0
"""Longer than this, on a machine under load, is a hang."""

VERBS: Mapping[str, tuple[str, ...]] = {
    "test": ("test", "--force", "full"),
    "apply": ("apply",),
    "run": ("run", "--apply"),
}


@dataclass(slots=True)
class Checkout:
    """A team's repository with a backend that is down, its mock as the stand-in, an env file of its own, and a temp folder."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)
    verb: str = ""
    """What was started last."""

    @classmethod
    def make(cls, where: Path, staging: SmallStaging) -> Checkout:
        folder = project(where / "team", staging.port)
        with_stand_in(folder)
        config = folder / "resilience.toml"
        header = 'headers = { Authorization = "Bearer ${API_TOKEN}" }\n'
        config.write_text(config.read_text().replace("critical = true\n", f"critical = true\n{header}", 1))
        (folder / ".env.test.active").write_bytes(MINE)
        (folder / "tests" / "test_shop.py").write_text(
            "import os, time\n\ndef test_one():\n    print(os.environ['API_TOKEN'])\n    time.sleep(0.5)\n"
        )
        temporary = where / "tmp"
        temporary.mkdir()
        own = {name: value for name, value in os.environ.items() if not name.startswith(("RESILIENCE_", "STAGING_"))}
        own |= {"TMPDIR": str(temporary), "XDG_STATE_HOME": str(where / "xdg"), "API_TOKEN": CANARY}
        return cls(folder, own)

    @property
    def temporary(self) -> Path:
        return Path(self.environ["TMPDIR"])

    def start(self, verb: str, *, wrapped: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        self.verb = verb
        told = (self.temporary.parent / "said.txt").open("wb")
        with told:
            return subprocess.Popen(
                [*wrapped, sys.executable, "-m", "resilience.cli", *VERBS[verb]],
                cwd=self.folder,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=subprocess.STDOUT,
                preexec_fn=_as_in_a_terminal,
            )

    def said(self) -> str:
        """What the command printed that was started last."""
        return (self.temporary.parent / "said.txt").read_text(errors="replace")

    def type_in(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "resilience.cli", *words],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )

    @property
    def run(self) -> Path | None:
        """The folder of the newest run, if one was made."""
        found = sorted(self.folder.glob("outputs/*/*/incident.json"))
        return found[-1].parent if found else None

    def wrong_before_undo(self, code: int | None) -> list[str]:
        """Return what two outputs say differently."""
        return [] if self.run is None else disagreements(self.run, process=code)

    def wrong_after_undo(self) -> list[str]:
        """Undo, and return what is not as it was before: files, processes, temporary folders, a run without an end."""
        found: list[str] = []
        done = self.type_in("restore")
        if done.returncode != 0:
            found.append(f"restore: exit code {done.returncode}: {done.stderr.strip()[-200:]}")
        if (self.folder / ".env.test.active").read_bytes() != MINE:
            found.append("the env file is not as before")
        if not eventually(lambda: not self.alive(), within_s=20):
            found.append(f"still running: {self.alive()}")
        # The traceback of what nobody foresaw, such as a full disk, is left on purpose, and its path is said.
        if left := sorted(path.name for path in self.temporary.iterdir() if path.suffix != ".log"):
            found.append(f"left in the temporary folder: {left}")
        if self.run is not None:
            found += [f"after restore: {one}" for one in disagreements(self.run)]
        found += [f"the secret stands in {name}" for name in self.leaks()]
        return found

    def alive(self) -> list[int]:
        """Pids of all that was begun here: whatever a run starts, supervisors and mocks too, keeps the temporary folder's name."""
        mark = f"TMPDIR={self.temporary}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with contextlib.suppress(OSError):
                    if mark in (entry / "environ").read_bytes().split(b"\0"):
                        found.append(int(entry.name))
        return found

    def leaks(self) -> list[str]:
        """Files of the run, the state and the outputs in which the secret stands."""
        found = []
        for root in (self.folder / "outputs", self.folder / ".resilience", self.temporary):
            for path in sorted(root.rglob("*")):
                if path.is_file() and not path.is_symlink() and CANARY.encode() in path.read_bytes():
                    found.append(str(path.relative_to(root.parent)))
        return found

    def end(self) -> None:
        """End what an attack left, so that the next one starts with nothing."""
        for pid in self.alive():
            try:
                psutil.Process(pid).kill()
            except psutil.NoSuchProcess:
                continue


def _as_in_a_terminal() -> None:
    """Let signals be heard that nohup (SIGHUP) and a shell's `&` (SIGINT) have all ignore that is started from there."""
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def family(pid: int) -> list[psutil.Process]:
    """Return the process and all below it, as they are at this moment."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def wait(process: subprocess.Popen[bytes]) -> int | None:
    """Return how it ended; None where it hung, and had to be killed."""
    try:
        return process.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        for one in reversed(family(process.pid)):
            one.send_signal(signal.SIGKILL)
        process.wait()
        return None


def at(moment_s: float, process: subprocess.Popen[bytes], act: Callable[[], None]) -> bool:
    """Do this so many seconds after now, unless the process has ended by then; say whether it was done."""
    until = time.monotonic() + moment_s
    while time.monotonic() < until:
        if process.poll() is not None:
            return False
        time.sleep(0.01)
    act()
    return True
