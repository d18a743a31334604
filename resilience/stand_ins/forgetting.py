"""Turn the data, logs and write-ahead logs of stand-ins that were loaded with what staging taught into nothing."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from resilience.core.errors import StandInError
from resilience.core.settings import Service
from resilience.services.teaching import lessons_of
from resilience.stand_ins import compose
from resilience.stand_ins.checkout import Checkout, logs_folder
from resilience.stand_ins.endpoints import endpoint
from resilience.stand_ins.records import read_records
from resilience.stand_ins.stopping import stop


async def forget(
    checkout: Checkout, services: Sequence[Service], *, keep: Sequence[Service] | None = None
) -> tuple[str, ...]:
    """End the servers of these services, and remove all that they wrote; return the names of the services that had any.

    The whole data folder goes: dropped rows stay in its write-ahead log. A service that shares the server loses its data as well,
    which its next start makes anew. With `keep` all servers of the kind go but those of these services: also what an earlier
    configuration left on other ports. Containers go with their volumes. What somebody else runs is left.
    """
    loaded = [service for service in services if lessons_of(service.kind) is not None and service.local]
    if not loaded:
        return ()
    composed = [one for service in loaded if (one := read_records(checkout.data).get(service.name)) and one.composed]
    names = _sharing(checkout, loaded)
    await stop(checkout, names)
    if composed:
        await compose.stop(checkout, loaded[0].kind, remove_data=True)
    gone = []
    for service in loaded:
        paths = _written_by(checkout, service, keep)
        if paths or any(one.stand_in.service == service.name for one in composed):
            gone.append(service.name)
        await asyncio.to_thread(_remove, paths)
    return tuple(gone)


def _sharing(checkout: Checkout, services: Sequence[Service]) -> list[str]:
    """Return the names of these services and of all that run on the same servers."""
    records = read_records(checkout.data)
    ports = {records[service.name].port for service in services if service.name in records}
    return sorted({service.name for service in services} | {name for name, one in records.items() if one.port in ports})


def _written_by(checkout: Checkout, service: Service, keep: Sequence[Service] | None) -> list[Path]:
    """Return the folders and logs of a service's own server, of whatever version, and of its preparations."""
    server = _server(checkout, service)
    if not server:
        return []
    logs = logs_folder(checkout)
    pattern = server if keep is None else f"{service.type}-*"
    found = [*checkout.data.glob(f"{pattern}-*"), *logs.glob(f"{pattern}.log*")]
    stay = tuple(
        f"{name}{sign}" for name in {_server(checkout, one) for one in keep or ()} - {server, ""} for sign in "-."
    )
    found = [path for path in found if not (stay and path.name.startswith(stay))]
    found += logs.glob(f"{service.name}-prepare.log*")
    return [path for path in found if not path.is_symlink()]


def _server(checkout: Checkout, service: Service) -> str:
    """Return by what the data and logs of a service's server are called; empty where it has no place here."""
    if not service.local:
        return ""
    try:
        place = endpoint(service, checkout.deny_hosts)
    except StandInError:
        return ""
    return f"{place.type}-{place.home}"


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()
