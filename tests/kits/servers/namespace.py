"""Probe inside a private user, network and mount namespace, where routes and the name server are ours.

Run as `unshare -Urnm python -m tests.kits.servers.namespace`; prints one JSON object: row → [code, phase].
"""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from resilience.services.looking import ProbeContext, probe
from tests.kits.kinds import ServiceType
from tests.kits.servers import fakes
from tests.kits.servers.looking import SCHEME, service

ROUTED = {
    "no route": ("198.51.100.1", ""),
    "host unreachable": ("192.0.2.1", "unreachable 192.0.2.0/24"),
    "prohibited": ("203.0.113.1", "prohibit 203.0.113.0/24"),
    "black hole route": ("198.18.0.1", "blackhole 198.18.0.0/15"),
}


def usable() -> str:
    """Empty where such a namespace can be made here, else why not."""
    if not (shutil.which("unshare") and shutil.which("ip")):
        return "no unshare or ip on this machine"
    tried = subprocess.run(["unshare", "-Urnm", "ip", "link", "set", "lo", "up"], capture_output=True, text=True)
    return "" if tried.returncode == 0 else f"no private network namespace here: {tried.stderr.strip()}"


def look() -> dict[str, list[str]]:
    """Run all rows in a namespace of their own."""
    done = subprocess.run(
        ["unshare", "-Urnm", sys.executable, "-m", "tests.kits.servers.namespace"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _name_server() -> None:
    """Answer by name: nxdomain., nodata., servfail., refused.; ipv6only. has AAAA only; timeout. gets none."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 53))

    def run() -> None:
        while True:
            query, client = sock.recvfrom(512)
            name = query[13 : 13 + query[12]].decode()
            rcode = {"nxdomain": 3, "servfail": 2, "refused": 5, "nodata": 0}.get(name)
            if rcode is None:
                continue
            end = query.index(b"\0", 12) + 5
            sock.sendto(query[:2] + bytes([0x81, 0x80 | rcode]) + b"\0\1\0\0\0\0\0\0" + query[12:end], client)

    threading.Thread(target=run, daemon=True).start()


def _prepare(folder: Path) -> None:
    run = subprocess.run
    run(["ip", "link", "set", "lo", "up"], check=True)
    for _, route in ROUTED.values():
        if route:
            run(["ip", "route", "add", *route.split()], check=True)
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:30 attempts:1\n")
    run(["mount", "--bind", str(folder / "resolv.conf"), "/etc/resolv.conf"], check=True)
    (folder / "nsswitch.conf").write_text("hosts: files dns\n")
    if Path("/etc/nsswitch.conf").exists():
        run(["mount", "--bind", str(folder / "nsswitch.conf"), "/etc/nsswitch.conf"], check=True)
    _name_server()


async def _rows() -> dict[str, list[str]]:
    seen = {}
    kinds = (ServiceType.POSTGRESQL, ServiceType.REDIS, ServiceType.HTTP, ServiceType.WEBSOCKET)
    with ProbeContext() as context:

        async def one(row: str, url: str, kind: ServiceType, timeout_s: float) -> None:
            found = (await probe(service(kind, url, timeout_s=timeout_s), context=context)).fault
            seen[row] = [found.code.value, found.phase.value if found.phase else ""] if found else ["", ""]

        for kind in kinds:
            for row, (host, _) in ROUTED.items():
                await one(f"{row}, {kind.value}", SCHEME[kind].format(host=host, port=5432), kind, 3.0)
        for name in ("nxdomain", "nodata", "servfail", "refused", "timeout"):
            await one(name, f"http://{name}.staging.example/", ServiceType.HTTP, 1.0)
        async with fakes.serve(fakes.says(fakes.http(200))) as port:
            await one("an address while the resolver is dead", f"http://127.0.0.1:{port}/", ServiceType.HTTP, 3.0)
    return seen


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        _prepare(Path(name))
        print(json.dumps(asyncio.run(_rows())))
        subprocess.run(["umount", "/etc/resolv.conf"], check=False)
        subprocess.run(["umount", "/etc/nsswitch.conf"], check=False, stderr=subprocess.DEVNULL)
