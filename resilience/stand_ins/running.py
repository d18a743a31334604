"""Turn an open port into a proof of whose server answers there, or a refusal that says who holds it."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from resilience.core.errors import StandInError
from resilience.core.records import ServiceType
from resilience.core.settings import Service
from resilience.services.place import Endpoint, ask, port_open
from resilience.services.postgresql import stand_in as postgresql
from resilience.services.redis import stand_in as redis

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
class Listener:
    """Who listens on a port, as far as this user may see."""

    pid: int | None = None
    name: str = ""

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})" if self.pid else "a process that this user may not see"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A server that answered with the env file's credentials. `version` may be empty."""

    version: str = ""
    pid: int | None = None


def listener(port: int) -> Listener:
    """Find who listens on the port."""
    import psutil

    with contextlib.suppress(psutil.Error, OSError):
        pid = _listening_pid(port) if sys.platform == "linux" else _listening_pid_by_psutil(port)
        if pid:
            return Listener(pid=pid, name=psutil.Process(pid).name())
    return Listener()


def _listening_pid(port: int) -> int | None:
    # Not psutil.net_connections, which gives up altogether when some process ends while it looks.
    sockets = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                words = line.split()
                if words[3] == "0A" and int(words[1].rpartition(":")[2], 16) == port:
                    sockets.add(f"socket:[{words[9]}]")
    for folder in Path("/proc").iterdir() if sockets else ():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                for handle in (folder / "fd").iterdir():
                    with contextlib.suppress(OSError):
                        if os.readlink(handle) in sockets:
                            return int(folder.name)
    return None


def _listening_pid_by_psutil(port: int) -> int | None:
    import psutil

    for connection in psutil.net_connections("tcp"):
        if (
            connection.status == psutil.CONN_LISTEN
            and connection.laddr
            and connection.laddr.port == port
            and connection.pid
        ):
            return int(connection.pid)
    return None


async def prove(service: Service, place: Endpoint, *, timeout_s: float = 3.0) -> Found | None:
    """Return the server that answers on this port with the env file's credentials; None where nobody listens.

    Raises StandInError where the port is somebody else's, or leads to another machine.
    """
    if not await asyncio.to_thread(port_open, place.bind, place.port):
        return None
    who = await asyncio.to_thread(listener, place.port)
    if who.name.lower() in FORWARDERS:
        raise StandInError(
            f"{service.name}: port {place.port} is held by {who}, which may lead to another machine: not used as a stand-in.",
            hint=f"end it, or give the stand-in of {service.name} another port in the env file",
        )
    try:
        async with asyncio.timeout(timeout_s):
            match place.type:
                case ServiceType.POSTGRESQL:
                    version, address = await _postgresql(place)
                case ServiceType.REDIS:
                    version, address = await _redis(place)
                case ServiceType.CLICKHOUSE:
                    version, address = await asyncio.to_thread(_clickhouse, place, timeout_s), ""
                case _:
                    version, address = await asyncio.to_thread(_http, service, place, timeout_s), ""
    except StandInError:
        raise
    except TimeoutError as exc:
        raise _taken(service, place, who, f"no answer within {timeout_s:g} s") from exc
    except Exception as exc:  # whatever a foreign program answers becomes the reason
        raise _taken(service, place, who, f"{type(exc).__name__}: {exc}"[:200]) from exc
    contained = who.name.lower() in CONTAINERS
    elsewhere = bool(address) and not contained and not _on_this_machine(address)
    unseen = not address and place.type != ServiceType.POSTGRESQL and not who.pid
    if elsewhere or unseen:
        seen = f"its server is at {address}" if address else "who holds it cannot be seen"
        raise StandInError(
            f"{service.name}: port {place.port} answers, but {seen}, so it may lead to another machine: not used as a stand-in.",
            hint=f"end what holds the port, or give the stand-in of {service.name} another port in the env file",
        )
    return Found(version=version, pid=who.pid)


def _taken(service: Service, place: Endpoint, who: Listener, why: str) -> StandInError:
    return StandInError(
        f"{service.name}: port {place.port} is taken by {who}, which does not take the env file's credentials ({why}).",
        hint=f"ss -ltnp 'sport = :{place.port}' shows it; end it, or set another port in the env file",
    )


async def _postgresql(place: Endpoint) -> tuple[str, str]:
    connection = await postgresql.connect(place.bind, place.port, place.user, place.password, place.database)
    try:
        # Null over a Unix socket, as behind a pooler on this machine.
        address = await connection.fetchval("select host(inet_server_addr())")
        return postgresql.version_of(connection), str(address or "")
    finally:
        await postgresql.close(connection)


async def _redis(place: Endpoint) -> tuple[str, str]:
    connection = await redis.RedisConnection.open(place.bind, place.port, place.user, place.password)
    try:
        await connection.call("PING")
        address = ""
        with contextlib.suppress(redis.RedisRefused):  # before 6.2
            fields = dict(word.partition("=")[::2] for word in str(await connection.call("CLIENT", "INFO")).split())
            address = fields.get("laddr", "").rpartition(":")[0].strip("[]")
        info: dict[str, str] = {}
        with contextlib.suppress(redis.RedisRefused):
            for line in str(await connection.call("INFO", "server")).splitlines():
                name, _, value = line.partition(":")
                info[name] = value
        return redis.version_of(info), address
    finally:
        connection.close()


def _clickhouse(place: Endpoint, timeout_s: float) -> str:
    headers = {"X-ClickHouse-User": place.user or "default", "X-ClickHouse-Key": place.password}
    database = f"?database={place.database}" if place.database else ""
    return ask(place, f"/{database}", timeout_s, headers, b"select version() format TSV")[1].strip()


def _http(service: Service, place: Endpoint, timeout_s: float) -> str:
    # A real backend, or an earlier mock, at the place of the mock.
    path = place.path if place.type == ServiceType.HTTP and place.path.strip("/") else "/health"
    if place.type == ServiceType.OPENAI:
        path = place.path.rstrip("/") + ("/models" if place.path.rstrip("/").endswith("/v1") else "/v1/models")
    headers = {"Authorization": f"Bearer {place.password}"} if place.password else {}
    ask(place, path, timeout_s, headers)
    return ""


def _on_this_machine(address: str) -> bool:
    """Say whether the server's own address is this machine's, or a container's on one of its bridges."""
    import psutil

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
