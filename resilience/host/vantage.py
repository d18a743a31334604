"""Turn this machine into a Vantage: from where something was seen, without an address."""

from __future__ import annotations

import getpass
import hashlib
import os
import platform
import socket

from resilience.core.records import Vantage


def vantage() -> Vantage:
    """Name host, user, platform and, as a digest, the local network (default route and its resolver)."""
    return Vantage(
        host=socket.gethostname(),
        user=_user(),
        network=_network(),
        platform=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # no entry for this uid, as in containers
        return str(os.getuid()) if hasattr(os, "getuid") else ""


def _network() -> str:
    """Eight hex digits that change with gateway or resolver: office, home, VPN; empty where neither can be read."""
    told = []
    try:
        with open("/proc/net/route", encoding="ascii") as table:
            told += [line.split()[2] for line in table if line.split()[1:2] == ["00000000"]]
    except (OSError, IndexError, ValueError):
        pass
    try:
        with open("/etc/resolv.conf", encoding="utf-8", errors="replace") as resolver:
            told += [line.split()[1] for line in resolver if line.startswith("nameserver") and len(line.split()) > 1]
    except OSError:
        pass
    return hashlib.sha256(" ".join(sorted(told)).encode()).hexdigest()[:8] if told else ""
