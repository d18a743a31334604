"""Turn the records of what was started into the stand-ins as they are now."""

from __future__ import annotations

from dataclasses import replace

from resilience.core.records import StandIn
from resilience.services.place import port_open
from resilience.stand_ins.checkout import Folders, supervised_folder
from resilience.stand_ins.records import Record, read_records
from resilience.stand_ins.state import State, read_state


def status(folders: Folders) -> tuple[StandIn, ...]:
    """Return the stand-ins that were started, as they are now: one that died says so in `error`.

    Nothing is asked but whether the process lives or the port is open; a server that hangs looks well here.
    """
    state = read_state(supervised_folder(folders))
    return tuple(_now(record, state) for record in read_records(folders.data).values())


def _now(record: Record, state: State) -> StandIn:
    stand_in = record.stand_in
    if record.supervised:
        service = state.services.get(record.supervised)
        if service is not None and service.alive:
            return replace(stand_in, pid=service.pid)  # another one where the mocks were replaced by fewer
        how = service.ended if service is not None and service.ended else "ended, with its supervisor"
        return replace(
            stand_in, ready=False, pid=None, error=f"{how}. Hint: resilience services up; its log: {stand_in.log}"
        )
    if port_open(record.bind, record.port):
        return stand_in
    return replace(
        stand_in,
        ready=False,
        pid=None,
        error=f"nothing listens on {stand_in.endpoint} any more. Hint: resilience services up",
    )
