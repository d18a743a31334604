"""Turn a seed into an attack on a minimal run, and what it left into sentences; `python -m tests.chaos.attacks` draws many."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from resilience.core.records import StageName
from resilience.runs.folder import read_incident
from tests.chaos.small_run import Checkout, at, family, wait
from tests.kits.small_staging import SmallStaging
from tests.kits.stand_in_kit import eventually

SIGNALS = ("KILL", "TERM", "INT", "HUP", "STOP")
SIZES_KB = (8, 16, 32, 64, 128, 256, 384, 512, 1024, 2048)
"""Sizes of the disk: from one that takes not even the first record to one that fills with the last charts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One attack, and what was wrong afterwards; nothing where all was well."""

    attack: str
    detail: str
    wrong: tuple[str, ...] = ()


def signalled(where: Path, name: str, seed: int, lasts_s: dict[str, float]) -> Tried:
    """Send one signal at a moment that the seed draws to a process that it draws, then undo, then look.

    `lasts_s` is how long each verb takes here and now. STOP is followed by CONT after half a second.
    """
    draw = random.Random(f"{name} {seed}")
    verb = draw.choices(("test", "apply", "run"), (5, 3, 2))[0]
    share = draw.random()
    with SmallStaging() as staging:
        staging.status = 200 if verb == "test" else 503
        checkout = Checkout.make(where, staging)
        process = checkout.start(verb)
        met: list[str] = []
        sent: list[datetime] = []

        def act() -> None:
            there = family(process.pid)
            target = there[0] if draw.random() < 0.6 else draw.choice(there)
            with contextlib.suppress(psutil.NoSuchProcess):
                met.append("the command" if target.pid == process.pid else _named(target))
                sent.append(datetime.now(UTC))
                target.send_signal(getattr(signal, f"SIG{name}"))
                if name == "STOP":
                    time.sleep(0.5)
                    target.send_signal(signal.SIGCONT)

        done = at(share * lasts_s[verb] * 1.05, process, act)
        code = wait(process)
        detail = f"seed {seed}: {verb}, {share:.0%}, {met[0] if met else 'after its end'}, exit {code}"
        wrong = ["it hung"] if code is None else []
        late = name == "KILL" and bool(sent) and _was_done(checkout, sent[0])
        wrong += checkout.wrong_before_undo(None if late else code) if code is not None else []
        wrong += _unsaid(checkout, code) if done else []
        wrong += _other_end(name, code, checkout, sent[0]) if met == ["the command"] else []
        wrong += checkout.wrong_after_undo()
        checkout.end()
    return Tried(attack=f"SIG{name}", detail=detail, wrong=tuple(wrong))


def _named(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        words = " ".join(process.cmdline())
        for mark, name in (("ipykernel", "a kernel"), ("supervisor", "the supervisor"), ("mock", "a mock")):
            if mark in words:
                return name
        return "a test process" if "pytest" in words else process.name()
    return "a process"


def _other_end(name: str, code: int | None, checkout: Checkout, sent: datetime) -> list[str]:
    """A command that heard a signal ends with the signal's code, whatever it was at; one that was only stopped does not.

    But for two: Ctrl-C before a line of ours was read, where Python itself ends with 1; and a signal when all that was asked for
    was done and its end was being written, which `signals.let_none_in` lets nothing cut.
    """
    wanted = {"KILL": (137,), "TERM": (143,), "INT": (130,), "HUP": (129, 143)}.get(name)
    if wanted is None or code is None or (128 - code if code < 0 else code) in wanted:
        return []
    if name == "INT" and code == 1 and "init_import_site" in checkout.said() and checkout.run is None:
        return []
    return [] if _was_done(checkout, sent) else [f"the command heard SIG{name} and ended with {code}"]


def _was_done(checkout: Checkout, at: datetime) -> bool:
    """Say whether the end of the run was on disk already: whom a kill meets then, nobody can write it into the record."""
    if checkout.run is None:
        return False
    last = read_incident(checkout.run).stage(LAST[checkout.verb])
    return last is not None and last.finished_at is not None and last.finished_at <= at


def _unsaid(checkout: Checkout, code: int | None) -> list[str]:
    """What is due must stand in the last lines of a command that a signal ended and that could still speak."""
    if code not in (130, 143) or not (checkout.folder / ".resilience" / "state" / "journal.json").exists():
        return []
    said = checkout.said().strip().splitlines()[-2:]
    return [] if any("resilience restore" in line for line in said) else [f"what is due is not said: {said}"]


def full_disk(where: Path, size_kb: int, *, verb: str = "run") -> Tried:
    """Let the disk of the outputs be this large: a tmpfs in a user namespace, else a limit of each file's size."""
    with SmallStaging() as staging:
        staging.status = 503 if verb == "run" else 200
        checkout = Checkout.make(where, staging)
        outputs, kept = checkout.folder / "outputs", checkout.folder / "kept"
        outputs.mkdir()
        namespaces = can_mount()
        if namespaces:
            script = (
                'mount -t tmpfs -o size="$1"k tmpfs "$2"; shift; out=$1; keep=$2; shift 2; "$@"; code=$?; '
                'cp -a "$out" "$keep"; exit $code'
            )
            wrapped = ("unshare", "-Ur", "-m", "sh", "-c", script, "sh", str(size_kb), str(outputs), str(kept))
        else:
            wrapped = ("sh", "-c", 'ulimit -f "$1"; shift; exec "$@"', "sh", str(max(1, size_kb // 2)))
        process = checkout.start(verb, wrapped=wrapped)
        code = wait(process)
        if namespaces and kept.exists():
            shutil.rmtree(outputs)
            kept.rename(outputs)
        wrong = ["it hung"] if code is None else []
        wrong += checkout.wrong_before_undo(code) if code is not None else []
        wrong += checkout.wrong_after_undo()
        checkout.end()
    how = "tmpfs" if namespaces else "RLIMIT_FSIZE"
    return Tried(attack="full disk", detail=f"{size_kb} KB ({how}): {verb}, exit {code}", wrong=tuple(wrong))


def can_mount() -> bool:
    """Say whether this user may mount a tmpfs in a namespace of its own."""
    try:
        tried = ("unshare", "-Ur", "-m", "mount", "-t", "tmpfs", "tmpfs", "/tmp")
        return subprocess.run(tried, capture_output=True, check=False, timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def faketime() -> str:
    """Return the library that lies about the time, or nothing where it is not installed."""
    found = [path for root in ("/usr/lib", "/usr/local/lib") for path in Path(root).rglob("libfaketime.so.1")]
    return str(found[0]) if found else ""


LAST = {"test": StageName.RUN_TESTS, "apply": StageName.APPLY_FALLBACK, "run": StageName.REPORT}
"""Verb → the stage after which its end is written."""
JUMPS = ("+2h", "-2h", "-2d", "+0 x50")
"""What happens to the clock in the middle of a run; the last one runs fifty times as fast from there on."""
LASTS_AT_MOST_S = 120.0


def clock_jumps(where: Path, jump: str, library: str) -> Tried:
    """Let the clock jump in the middle of the tests; all pass all the same, and durations stay durations.

    `time.sleep` fails under libfaketime where the monotonic clock is left alone, so that the test waits in another way.
    """
    with SmallStaging() as staging:
        checkout = Checkout.make(where, staging)
        clock, begun = where / "clock", where / "begun"
        clock.write_text("+0\n")
        (checkout.folder / "tests" / "test_shop.py").write_text(
            "import pathlib, select\n\ndef test_one():\n"
            f"    pathlib.Path({str(begun)!r}).touch()\n"
            f"    while pathlib.Path({str(clock)!r}).read_text() == '+0\\n':\n        select.select([], [], [], 0.05)\n"
            "    select.select([], [], [], 0.5)\n"
        )
        own = {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        checkout.environ |= own
        process = checkout.start("test")
        if eventually(lambda: begun.exists() or process.poll() is not None, within_s=90):
            new = where / "clock.new"
            new.write_text(jump + "\n")
            new.replace(clock)
        code = wait(process)
        wrong = ["it hung"] if code is None else checkout.wrong_before_undo(code)
        wrong += [] if code in (None, 0) else [f"all passed, and it ended with {code}"]
        wrong += _odd_durations(checkout)
        for name in own:
            del checkout.environ[name]
        wrong += checkout.wrong_after_undo()
        checkout.end()
    return Tried(attack="clock", detail=f"{jump}: exit {code}", wrong=tuple(wrong))


def _odd_durations(checkout: Checkout) -> list[str]:
    """Return the durations of the record that no run of this size has: below 0, or of the clock's jump."""
    if checkout.run is None:
        return ["no run was left"]
    found: list[str] = []

    def walk(value: object, name: str) -> None:
        if isinstance(value, dict):
            for key, one in value.items():
                walk(one, f"{name}.{key}")
        elif isinstance(value, list):
            for one in value:
                walk(one, name)
        elif name.endswith("_s") and isinstance(value, int | float) and not 0 <= value <= LASTS_AT_MOST_S:
            found.append(f"{name.lstrip('.')} is {value:g}")

    walk(json.loads((checkout.run / "incident.json").read_text()), "")
    return found


@contextlib.contextmanager
def somewhere() -> Iterator[Path]:
    """A folder for one attack, with a short path, as sockets need."""
    where = Path(tempfile.mkdtemp(prefix="chaos-"))
    try:
        yield where
    finally:
        shutil.rmtree(where, ignore_errors=True)


def lasting() -> dict[str, float]:
    """Return how long each verb takes on this machine under its present load."""
    lasts = {}
    for verb in ("test", "apply", "run"):
        with somewhere() as where, SmallStaging() as staging:
            staging.status = 200 if verb == "test" else 503
            checkout = Checkout.make(where, staging)
            began = time.monotonic()
            wait(checkout.start(verb))
            lasts[verb] = time.monotonic() - began
            checkout.type_in("restore")
            checkout.end()
    return lasts


def table(tried: list[Tried]) -> str:
    """Return tried and wrong by attack, then each wrong one with how to draw it again."""
    counts, wrong = Counter(one.attack for one in tried), Counter(one.attack for one in tried if one.wrong)
    lines = [f"{'attack':<12} {'tried':>5} {'wrong':>5}"]
    lines += [f"{name:<12} {count:>5} {wrong[name]:>5}" for name, count in counts.items()]
    lines += [f"  {one.attack}, {one.detail}: {'; '.join(one.wrong)}" for one in tried if one.wrong]
    return "\n".join(lines)


def drawn(each: int, *, seed: int, tell: Callable[[str], None]) -> list[Tried]:
    """Try every attack, `each` moments of every signal; tell of each as it is done."""
    lasts = lasting()
    tell("a run lasts " + ", ".join(f"{verb} {seconds:.1f} s" for verb, seconds in lasts.items()))
    attacks: list[Callable[[Path], Tried]] = [
        lambda where, name=name, number=number: signalled(where, name, number, lasts)  # type: ignore[misc]
        for number in range(seed, seed + each)
        for name in SIGNALS
    ]
    attacks += [lambda where, size=size: full_disk(where, size) for size in SIZES_KB]  # type: ignore[misc]
    if library := faketime():
        attacks += [lambda where, jump=jump: clock_jumps(where, jump, library) for jump in JUMPS]  # type: ignore[misc]
    else:
        tell("clock: skipped, libfaketime is not installed")
    tried = []
    for attack in attacks:
        with somewhere() as where:
            tried.append(attack(where))
        tell(f"{tried[-1].attack}, {tried[-1].detail}: {'; '.join(tried[-1].wrong) or 'well'}")
    return tried


def main() -> int:
    """Draw as many moments of each signal as the first word says (60), from the seed that the second one says (1)."""
    each = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    tried = drawn(each, seed=seed, tell=lambda line: print(line, flush=True))
    print(table(tried))
    return 1 if any(one.wrong for one in tried) else 0


if __name__ == "__main__":
    os.environ.pop("RESILIENCE_RUN", None)
    sys.exit(main())
