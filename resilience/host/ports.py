"""Turn the ports that a checkout's stand-ins have in place of the wanted ones into ports.json, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from resilience.host.files import write_atomically

NAME = "ports.json"


def read_ports(data: Path) -> dict[int, int]:
    """Return wanted port → the port used in its place; none where the file is missing, cut or another's."""
    with suppress(OSError, ValueError, AttributeError, TypeError):
        raw = json.loads((data / NAME).read_bytes())
        return {int(wanted): int(used) for wanted, used in raw.items() if 0 < int(used) < 65536}
    return {}


def write_ports(data: Path, ports: Mapping[int, int]) -> None:
    """Write which ports are used in the place of others; without any, no file is left. Raises OSError."""
    if ports == read_ports(data):
        return
    if ports:
        text = json.dumps({str(wanted): used for wanted, used in sorted(ports.items())})
        write_atomically(data / NAME, text.encode(), mode=0o600, durable=False)
    else:
        (data / NAME).unlink(missing_ok=True)
