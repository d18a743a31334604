"""Ask pytest in the team's own interpreter what a command would run, without running any of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from resilience.home.commands import Candidate
from resilience.host.processes import as_bytes

COLLECT_S = 180.0
"""Seconds for one collection: it imports the team's code, which may ask services that do not answer.

Paperless's 3,000 tests take 98 s on a machine of two cores that others use as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What a command would run. `count` is None where it could not be told, and `error` says why."""

    candidate: Candidate
    count: int | None
    error: str = ""
    no_pytest: bool = False
    timed_out: bool = False


def collect(candidate: Candidate, root: Path, python: str, environ: Mapping[str, str]) -> Collected:
    """Return how many tests pytest would run for this command. It writes no cache and no bytecode."""
    words = (*candidate.words, *("--collect-only", "-q", "-p", "no:cacheprovider"))
    path = environ.get("PATH", os.defpath)
    if "/" in python:
        path = f"{(root / python).parent}{os.pathsep}{path}"
        if not (root / python).with_name(words[0]).exists():
            # The pytest of another environment further down PATH would collect with other packages.
            return Collected(candidate=candidate, count=None, error=f"no {words[0]} beside {python}", no_pytest=True)
    program = shutil.which(words[0], path=path)
    if program is None:
        return Collected(candidate=candidate, count=None, error=f"no {words[0]} on PATH", no_pytest=True)
    folder = root / candidate.folder
    if not folder.is_dir():
        return Collected(candidate=candidate, count=None, error=f"no folder {candidate.folder}")
    before = set(folder.iterdir())
    told = {**environ, "PATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            [as_bytes(word) for word in (program, *words[1:])],
            cwd=as_bytes(str(folder)),
            env={as_bytes(name): as_bytes(value) for name, value in told.items()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=COLLECT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        late = f"collecting was not done within {COLLECT_S:g} s"
        return Collected(candidate=candidate, count=None, error=late, timed_out=True)
    except OSError as exc:
        return Collected(candidate=candidate, count=None, error=str(exc))
    finally:
        for new in set(folder.iterdir()) - before:
            # Plugins make their folders at once, as pytest-benchmark does; one that holds something is kept.
            with suppress(OSError):
                new.rmdir()
    return _read(candidate, done.returncode, done.stdout.decode("utf-8", "replace"))


def _read(candidate: Candidate, code: int, text: str) -> Collected:
    """Return the count from pytest's last lines: 5 is that nothing was collected, anything else but 0 an error."""
    if "No module named pytest" in text:
        return Collected(candidate=candidate, count=None, error="it has no pytest", no_pytest=True)
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    counted = re.findall(r"^(?:=+ )?(?:(\d+)/\d+|(\d+)) tests? (?:collected|selected)", text, re.M)
    count = int(counted[-1][0] or counted[-1][1]) if counted else sum("::" in line for line in lines)
    if code in (0, 5):
        return Collected(candidate=candidate, count=count)
    said = next((line for line in lines if re.match(r"E\s+[\w.]*(Error|Exception|Configured|NotFound)\b", line)), "")
    said = said or next(
        (line for line in reversed(lines) if re.match(r"E\s|ERROR|error|\w*(Error|Exception)\b", line)), ""
    )
    said = said or (lines[-1] if lines else "no output")
    return Collected(candidate=candidate, count=count or None, error=re.sub(r"^E\s+", "", said)[:200])


def best(
    candidates: Sequence[Candidate], root: Path, python: str, environ: Mapping[str, str], *, most: int = 4
) -> tuple[Collected, ...]:
    """Return what each of the first candidates would run, the best first.

    The best is the one that collects most tests without an error: a command of CI that runs the unit tests alone would
    say of the rest nothing at all. Of equals the first is taken, as its options are the team's. Only pytest is asked:
    another runner may know no such question, and run the tests. After one that took too long no other is asked, since it
    imports the same code.
    """
    asked = sorted((one for one in candidates if one.is_pytest), key=lambda one: bool({"-m", "-k"} & set(one.words)))
    found: list[Collected] = []
    for one in asked[:most]:
        found.append(collect(one, root, python, environ))
        if found[-1].timed_out:
            break
    order = sorted(range(len(found)), key=lambda at: (bool(found[at].error), -(found[at].count or 0), at))
    return tuple(found[at] for at in order)


def shown(collected: Collected) -> str:
    """Return a sentence: the command, how many tests it runs, and where it was found."""
    count = "an unknown number of" if collected.count is None else f"{collected.count}"
    return f"command {collected.candidate.command} ({collected.candidate.where}): {count} tests"
