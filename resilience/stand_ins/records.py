"""Turn the stand-ins that were started into stand_ins.json, and what is written there back into records."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from resilience.core.codec import from_json, to_json
from resilience.core.errors import RecordError, StandInError
from resilience.core.records import StandIn
from resilience.host.files import write_atomically
from resilience.stand_ins.locks import try_lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A container of the team's own image or compose file, by what ends it again: nothing else is ever ended."""

    engine: str
    """`docker` or `podman`: the command that started it."""
    name: str = ""
    """The container's, where it was run from an image."""
    project: str = ""
    """The compose project, which is this checkout's own and never the team's."""
    file: str = ""
    service: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A stand-in as it was started. `supervised`: the supervisor's name of its process; `composed`: by compose.

    What outlives the process that started it: `stop`, also of a later version, finds by it what is to be ended.
    """

    stand_in: StandIn
    bind: str
    port: int
    supervised: str = ""
    composed: bool = False
    container: Container | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """`stand_ins.json`: by service name."""

    by_service: dict[str, Record] = field(default_factory=dict)
    schema: int = 1


def read_records(data: Path) -> dict[str, Record]:
    """Return what was started and not stopped since.

    A file that is missing or cannot be read counts as none: then the supervisor's state still tells what runs.
    """
    path = data / "stand_ins.json"
    try:
        return dict(from_json(path.read_bytes(), Records, source=path).by_service)
    except (OSError, RecordError):
        return {}


def write_records(data: Path, records: Mapping[str, Record]) -> None:
    write_atomically(data / "stand_ins.json", to_json(Records(by_service=dict(records))), durable=False)


@asynccontextmanager
async def only_one(data: Path, *, timeout_s: float) -> AsyncIterator[None]:
    """Let one process at a time start or stop the stand-ins of this checkout.

    Raises StandInError after `timeout_s` seconds. The lock is the kernel's, so a process that is killed leaves none
    behind.
    """
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as exc:
        raise StandInError(
            f"the folder of the stand-ins' data cannot be made: {exc}.", hint="export XDG_STATE_HOME=/a/folder/of/yours"
        ) from exc
    with (data / "start.lock").open("ab") as file:
        until = time.monotonic() + timeout_s
        while not try_lock(file):
            if time.monotonic() > until:
                raise StandInError(
                    "another process is starting or stopping the stand-ins of this checkout.",
                    hint="resilience services status",
                )
            await asyncio.sleep(0.02)
        yield
