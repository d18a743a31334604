"""Turn an open port into a proof of whose server answers there, or a refusal that says who holds it."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import shlex
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from resilience.core.errors import StandInError
from resilience.core.settings import Service
from resilience.services.looking import probe
from resilience.services.place import Endpoint
from resilience.services.standing_in import Owner, stand_ins_of
from resilience.services.wire import ProbeContext
from resilience.stand_ins.checkout import Folders
from resilience.stand_ins.listeners import Listener, listener, mark_of_process
from resilience.stand_ins.owners import Mark, is_ours, mark_above, own_mark

FORWARDERS = (
    "ssh", "autossh", "sshd", "cloud-sql-proxy", "cloud_sql_proxy", "alloydb-auth-proxy", "kubectl", "oc", "gcloud", "socat",
    "cloudflared", "tailscaled", "tsh", "boundary", "session-manager", "haproxy", "wstunnel", "chisel",
)  # fmt: skip
"""Programs that carry a port to another machine. What they carry may be staging: never a stand-in."""
CONTAINERS = (
    "docker-proxy",
    "com.docker.backend",
    "com.docker.backe",
    "rootlessport",
    "pasta",
    "pasta.avx2",
    "gvproxy",
    "conmon",
    "slirp4netns",
)
BRIDGES = ("docker", "br-", "podman", "cni", "lxc", "virbr")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A server that answered with the env file's credentials. `version` may be empty.

    `shared`: it is nobody's stand-in, and is used because the configuration says that it may be.
    """

    version: str = ""
    pid: int | None = None
    shared: bool = False


async def prove(
    service: Service, place: Endpoint, folders: Folders, *, timeout_s: float = 3.0, contained: bool = False
) -> Found:
    """Return the server that answers on this port, where something listens, with the env file's credentials.

    The probe says whether it is well, as it does of staging. A proof needs more: that the server is on this machine.
    A tunnel to staging answers just as well, and tests that write would write there. And it must be this checkout's, or
    nobody's and `shared`: another checkout's tests write into theirs. Raises StandInError where the port is somebody
    else's, or may lead to another machine.

    `version` and `pid` may be unknown. A container's port counts as this machine's where its engine's own forwarder
    holds it; one that our compose has just started (`contained`) is ours.
    """
    who = await asyncio.to_thread(listener, place.port)
    if who.name.lower() in FORWARDERS:
        raise StandInError(
            f"{service.name}: port {place.port} is held by {who}, which may lead to another machine: not used as a stand-in.",
            hint=f"end it, or give the stand-in of {service.name} another port in the env file",
        )
    refuse_another_checkouts(service, place.port, who, folders)
    owner = await _answers(service, place, who, timeout_s)
    forwarded = who.name.lower() in CONTAINERS
    elsewhere = bool(owner.address) and not forwarded and not _on_this_machine(owner.address or "")
    unseen = owner.address is None and not who.pid
    if elsewhere or unseen:
        seen = f"its server is at {owner.address}" if owner.address else "who holds it cannot be seen"
        raise StandInError(
            f"{service.name}: port {place.port} answers, but {seen}, so it may lead to another machine: not used as a stand-in.",
            hint=f"end what holds the port, or give the stand-in of {service.name} another port in the env file",
        )
    shared = not contained and not _is_ours(service, place, who, owner, folders)
    return Found(version=owner.version, pid=who.pid, shared=shared)


def refuse_another_checkouts(service: Service, port: int, who: Listener, folders: Folders) -> None:
    """Raise StandInError where the process on this port works for another checkout, with that checkout's path."""
    mark = mark_of_process(who.pid)
    if mark is not None and not is_ours(mark, folders):
        raise another_checkouts(service, port, who, mark)


def another_checkouts(service: Service, port: int, who: Listener, mark: Mark) -> StandInError:
    """Return the refusal of a port that another checkout's stand-in holds: whose it is, and what to type."""
    there = f"end it there (cd {shlex.quote(mark.root)} && resilience restore), or " if mark.root else ""
    return StandInError(
        f"{service.name}: port {port} is held by the stand-in of {mark.shown}: {who}. Its data are that checkout's.",
        hint=f"{there}write another port into the `local` of {service.name}",
    )


def _is_ours(service: Service, place: Endpoint, who: Listener, owner: Owner, folders: Folders) -> bool:
    """Say whether a server that answered is this checkout's, and not only one that may be shared.

    By what it says itself: the nonce that was given to it, or the folder of its data with the nonce that lies there; else
    by the folder its process works in. Raises StandInError where it is another's, or nobody's and not `shared`. A kind
    that nothing of ours stands in for has only what the team runs itself, so its `local` says that it may be used.
    """
    told = mark_above(Path(owner.folder)) if owner.folder else None
    marks = [mark for mark in (told, mark_of_process(who.pid)) if mark is not None]
    if owner.nonce and owner.nonce == own_mark(folders).nonce:
        return True
    for mark in marks:
        if not is_ours(mark, folders):
            raise another_checkouts(service, place.port, who, mark)
    if marks and not owner.nonce:
        return True
    if owner.nonce:
        raise StandInError(
            f"{service.name}: port {place.port} is held by the stand-in of another checkout: {who}.",
            hint=f"end it there (resilience restore), or write another port into the `local` of {service.name}",
        )
    if not service.shared and service.kind.doubles is not None:
        raise StandInError(
            f"{service.name}: port {place.port} is held by {who}, which this checkout did not start: its data may be anybody's.",
            hint=f"end it, write another port into `local`, or say that it may be used: shared = true for {service.name}",
        )
    return False


async def _answers(service: Service, place: Endpoint, who: Listener, timeout_s: float) -> Owner:
    """Return what the server says of itself, after the probe found it well. Raises StandInError that names who holds the port."""
    stand_ins = stand_ins_of(place.kind)
    asked = replace(stand_ins.probed(service, place), timeout_s=timeout_s)
    with ProbeContext() as context:
        seen = await probe(asked, context=context, target="stand_in")
    if seen.fault is not None:
        raise _taken(service, place, who, seen.fault.detail or seen.fault.cause)
    try:
        async with asyncio.timeout(timeout_s):
            return await stand_ins.owner(place)
    except StandInError:
        raise
    except TimeoutError as exc:
        raise _taken(service, place, who, f"no answer within {timeout_s:g} s") from exc
    except Exception as exc:  # whatever a foreign program answers becomes the reason
        raise _taken(service, place, who, f"{type(exc).__name__}: {exc}"[:200]) from exc


def _taken(service: Service, place: Endpoint, who: Listener, why: str) -> StandInError:
    return StandInError(
        f"{service.name}: port {place.port} is taken by {who}, which does not take the env file's credentials ({why}).",
        hint=f"ss -ltnp 'sport = :{place.port}' shows it; end it, or set another port in the env file",
    )


def _on_this_machine(address: str) -> bool:
    """Say whether the server's own address is this machine's, or a container's on one of its bridges.

    Raises ValueError for what is no address.
    """
    wanted = ipaddress.ip_address(address.partition("%")[0])
    if wanted.is_loopback:
        return True
    for name, addresses in psutil.net_if_addrs().items():
        for item in addresses:
            with contextlib.suppress(ValueError):
                own = ipaddress.ip_interface(f"{item.address.partition('%')[0]}/{item.netmask or 32}")
                if wanted == own.ip or (name.startswith(BRIDGES) and wanted in own.network):
                    return True
    return False
