"""Remember how long a test command took to start, to collect and to run, and say what to expect of the next time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from resilience.host.files import write_atomically

_KEPT = 5
"""Times of a command that are kept; the middle one is expected, so that one slow night spoils nothing."""
_COMMANDS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How long a command took, in seconds, and how many tests it ran; 0 for what it has not, as one that is not pytest."""

    start_s: float = 0.0
    collect_s: float = 0.0
    run_s: float = 0.0
    tests: float = 0

    @property
    def total_s(self) -> float:
        return self.start_s + self.collect_s + self.run_s


def expected(file: Path, command: str, folder: Path) -> Times | None:
    """Return what this command took the middle of its last times in this folder; None where it is new."""
    kept = _read(file).get(_key(command, folder), [])
    try:
        times = [Times(**one) for one in kept]
        return Times(**{name: float(median(getattr(one, name) for one in times)) for name in asdict(times[0])})
    except (TypeError, IndexError):
        return None


def remember(file: Path, command: str, folder: Path, times: Times) -> None:
    """Keep how long a command took; never in the way of the tests."""
    known = _read(file)
    key = _key(command, folder)
    last = [*known.pop(key, []), {name: round(value, 2) for name, value in asdict(times).items()}][-_KEPT:]
    recent = dict(list(known.items())[-(_COMMANDS - 1) :])
    with suppress(OSError):
        write_atomically(file, json.dumps({**recent, key: last}).encode(), durable=False)


def _read(file: Path) -> dict[str, list[Mapping[str, Any]]]:
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and all(isinstance(one, list) for one in found.values()) else {}


def _key(command: str, folder: Path) -> str:
    """Return a name for the command that does not tell it: a command may hold a secret."""
    return hashlib.sha256(f"{folder}\0{command}".encode()).hexdigest()[:24]
