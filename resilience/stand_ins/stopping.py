"""Turn stand-ins that run into ports that are free again, and leave what somebody else runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from resilience.core.settings import Settings
from resilience.services.place import port_open
from resilience.stand_ins import compose, supervision
from resilience.stand_ins.mocked import MOCKS, _fewer_mocks
from resilience.stand_ins.records import Record, only_one, read_records, write_records
from resilience.stand_ins.state import read_state


async def stop(settings: Settings, names: Sequence[str] | None = None) -> tuple[str, ...]:
    """End stand-ins; see `resilience.stand_ins.stop`."""
    if not settings.data.is_dir():
        return ()
    async with only_one(settings, timeout_s=30.0):
        records = read_records(settings)
        wanted = {name: record for name, record in records.items() if names is None or name in names}
        kept = {name: record for name, record in records.items() if name not in wanted}
        folder = settings.data / "supervisor"
        state = read_state(folder)
        alive = {name for name, service in state.services.items() if service.alive}
        stopped = [name for name, record in wanted.items() if record.composed or record.supervised in alive]
        still_used = {record.supervised for record in kept.values()}
        if kept:
            # What nobody wrote down is of a start that was killed: it ends too.
            await supervision.end(folder, sorted(set(state.services) - still_used))
            await _fewer_mocks(settings, wanted, kept)
        else:
            await supervision.end(folder)
        await asyncio.gather(
            *(compose.stop(settings, record.stand_in.type) for record in wanted.values() if record.composed)
        )
        ended = [
            record
            for name, record in wanted.items()
            if name in stopped and record.supervised not in still_used - {MOCKS}
        ]
        await asyncio.to_thread(_wait_free, ended)
        # Somebody else's server that is gone meanwhile is nobody's stand-in any more.
        ours = {name for name, record in kept.items() if record.supervised or record.composed}
        write_records(settings, {n: r for n, r in kept.items() if n in ours or port_open(r.bind, r.port)})
        return tuple(stopped)


def _wait_free(ended: Sequence[Record], timeout_s: float = 5.0) -> None:
    until = time.monotonic() + timeout_s
    while any(port_open(record.bind, record.port) for record in ended) and time.monotonic() < until:
        time.sleep(0.005)
