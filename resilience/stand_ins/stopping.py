"""Turn stand-ins that run into ports that are free again, and leave what somebody else runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence, Set
from contextlib import suppress

from resilience.host.ports import write_ports
from resilience.services.place import port_open
from resilience.services.registry import KINDS
from resilience.stand_ins import compose, containers, supervision
from resilience.stand_ins.checkout import Checkout, supervised_folder
from resilience.stand_ins.ground import SupervisedGround
from resilience.stand_ins.mocked import MOCKS, mock_fewer
from resilience.stand_ins.records import Record, only_one, read_records, write_records
from resilience.stand_ins.state import State, read_state

LOCK_S = 30.0


async def stop(checkout: Checkout, names: Sequence[str] | None = None) -> tuple[str, ...]:
    """End the stand-ins of these services, or all; return the names of the services whose stand-in ran.

    Returns when they are gone and their ports free, or after a bounded wait. Data are kept. What somebody else runs
    is left.

    A server that a service which stays also uses goes on; the process of the mocks is replaced by one with fewer.
    What the supervisor runs and nobody wrote down is of a start that was killed: it ends too. Written down stays what
    is ours, and what somebody else still runs.

    The lock is waited for 30 s. Raises StandInError where it cannot be had.
    """
    if not checkout.data.is_dir():
        return ()
    async with only_one(checkout.data, timeout_s=LOCK_S):
        records = read_records(checkout.data)
        ended = {name: record for name, record in records.items() if names is None or name in names}
        kept = {name: record for name, record in records.items() if name not in ended}
        state = read_state(supervised_folder(checkout))
        ran = _running(ended, state)
        still_used = {record.supervised for record in kept.values()}
        await _end(checkout, ended, kept, running=set(state.services))
        # What the engine did not end stays written down, so that the next stop tries again.
        kept |= await _not_ended_by_the_engine(ended, kept)
        stopped = {name: record for name, record in ran.items() if name not in kept}
        freed = [record for record in stopped.values() if record.supervised not in still_used - {MOCKS}]
        await asyncio.to_thread(_wait_free, freed)
        _write_down(checkout, kept)
        return tuple(stopped)


def _running(records: Mapping[str, Record], state: State) -> dict[str, Record]:
    """Return those of the records whose stand-in runs: in a container, or under the supervisor."""
    alive = {name for name, service in state.services.items() if service.alive}
    return {name: record for name, record in records.items() if _contained(record) or record.supervised in alive}


async def _not_ended_by_the_engine(ended: Mapping[str, Record], kept: Mapping[str, Record]) -> dict[str, Record]:
    """End the containers that nobody keeps, and return the records of those that are still there."""
    stay = [record.container for record in kept.values() if record.container]
    left = await containers.stop([record.container for record in ended.values() if record.container], stay)
    return {name: record for name, record in ended.items() if record.container in left}


def _write_down(checkout: Checkout, kept: Mapping[str, Record]) -> None:
    """Write down what is kept. On a full disk they are ended all the same: what is written of the dead is checked by pid."""
    with suppress(OSError):
        write_records(checkout.data, {name: record for name, record in kept.items() if _is_there(record)})
        if not kept:
            write_ports(checkout.data, {})


async def _end(
    checkout: Checkout, ended: Mapping[str, Record], kept: Mapping[str, Record], *, running: Set[str]
) -> None:
    """End the processes and containers of the ended; with nothing kept, the supervisor and all that it runs."""
    folder = supervised_folder(checkout)
    if kept:
        await supervision.end(folder, sorted(running - {record.supervised for record in kept.values()}))
        await mock_fewer(SupervisedGround(checkout), ended, kept)
    else:
        await supervision.end(folder)
    await asyncio.gather(*(_stop_container(checkout, record) for record in ended.values() if record.composed))


def _contained(record: Record) -> bool:
    return record.composed or record.container is not None


def _is_there(record: Record) -> bool:
    """Whether a stand-in that stays is ours, or is still run by whoever runs it."""
    return bool(record.supervised) or _contained(record) or port_open(record.bind, record.port)


async def _stop_container(checkout: Checkout, record: Record) -> None:
    kind = KINDS.get(record.stand_in.type)
    if kind is not None:
        await compose.stop(checkout, kind)


def _wait_free(freed: Sequence[Record], timeout_s: float = 5.0) -> None:
    until = time.monotonic() + timeout_s
    while any(port_open(record.bind, record.port) for record in freed) and time.monotonic() < until:
        time.sleep(0.005)
