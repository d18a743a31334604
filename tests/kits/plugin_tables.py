"""Write the tables of kinds into the plug-in, which the team's Python 3.8 imports without this package.

python -m tests.kits.plugin_tables
"""

from __future__ import annotations

import re
from pathlib import Path

from resilience import suite
from resilience.services.registry import KINDS

FILE = Path(suite.__path__[0]) / "pytest_plugin.py"
BLOCK = re.compile(r"(?<=# BEGIN of the tables of kinds\n).*?(?=# END of the tables of kinds\n)", re.S)


def tables() -> str:
    """Return the tables: short names of services, ports by scheme, and the client libraries of the kinds."""
    ports: dict[str, int] = {}
    for kind in sorted(KINDS, key=lambda kind: bool(kind.url_prefix)):
        for name, scheme in kind.schemes.items():
            if scheme.port:
                ports.setdefault(name, scheme.port)
                if kind.url_prefix:
                    ports[f"{kind.url_prefix}{name}"] = scheme.port
    lines = ["# Written by: python -m tests.kits.plugin_tables", "ALIASES = {"]
    lines += [f'    "{short}": "{name}",' for short, name in KINDS.short_names().items()]
    lines += ["}", "_PORTS = {", *(f'    "{scheme}": {port},' for scheme, port in ports.items()), "}"]
    lines += ["_KINDS_CLIENTS = ("]
    lines += [f'    "{client}",' for kind in KINDS for client in kind.clients]
    lines += [")", "_PLAIN_CLIENTS = ("]
    lines += [f'    "{client}",' for kind in KINDS for client in kind.plain_clients]
    return "\n".join([*lines, ")", ""])


def main() -> None:
    FILE.write_text(BLOCK.sub(lambda _: tables(), FILE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
