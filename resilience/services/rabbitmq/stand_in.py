"""Turn the system's RabbitMQ into a broker with the users and vhosts of the env file, with an epmd of its own."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

from resilience.host.files import write_atomically
from resilience.host.processes import kept
from resilience.services.place import Endpoint
from resilience.services.programs import Program, ProgramStandIns
from resilience.services.standing_in import Wanted

SCRIPTS = (
    "/usr/lib/rabbitmq/bin/rabbitmq-server",
    "/opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server",
    "/usr/local/opt/rabbitmq/sbin/rabbitmq-server",
)
"""Where systems keep the script itself: what lies in PATH there becomes another user first."""


class _RabbitMq(ProgramStandIns):
    def found(self) -> tuple[str, str]:
        return "system", next((path for path in SCRIPTS if Path(path).is_file()), "")

    def program(self, group: Sequence[Wanted], path: str, data: Path) -> Program:
        """Run a node of its own name, ports and folders, with no file of the machine's own configuration and no plug-in.

        Users and vhosts are read from a file that only we may read. A broker that was made with another password is another
        one, as those are read only once. The keeper ends epmd, which the node starts and leaves behind.
        """
        place = group[0].place
        config, definitions = data / "rabbitmq.conf", data / "definitions.json"
        text = json.dumps(_definitions([one.place for one in group]))
        base = data / f"node-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        epmd, distribution = _ports(data)

        async def prepare() -> None:
            base.mkdir(exist_ok=True, mode=0o700)
            lines = [
                f"listeners.tcp.default = {'[' + place.bind + ']' if ':' in place.bind else place.bind}:{place.port}",
                "loopback_users = none",
                f"load_definitions = {definitions}",
                "log.console = true",
                "log.file = false",
                "disk_free_limit.absolute = 50MB",
            ]
            write_atomically(config, ("\n".join(lines) + "\n").encode(), mode=0o600, durable=False)
            write_atomically(definitions, text.encode(), mode=0o600, durable=False)
            write_atomically(data / "plugins", b"[].\n", mode=0o600, durable=False)

        return Program(
            provider="system",
            argv=kept((path,), data / "node.log"),
            env={
                "HOME": str(data),
                "RABBITMQ_NODENAME": f"resilience-{place.home}@localhost",
                "RABBITMQ_CONFIG_FILE": str(config),
                "RABBITMQ_CONF_ENV_FILE": os.devnull,
                "RABBITMQ_ADVANCED_CONFIG_FILE": str(data / "none.config"),
                "RABBITMQ_ENABLED_PLUGINS_FILE": str(data / "plugins"),
                "RABBITMQ_MNESIA_BASE": str(base),
                "RABBITMQ_LOG_BASE": str(data),
                "RABBITMQ_PID_FILE": str(data / "pid"),
                "RABBITMQ_DIST_PORT": str(distribution),
                "ERL_EPMD_PORT": str(epmd),
                "ERL_EPMD_ADDRESS": "127.0.0.1",
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            },
            secret=text,
            prepare=prepare,
        )


def _ports(data: Path) -> tuple[int, int]:
    """Return a port for epmd and one for the node's own use, which stay: others would be another configuration."""
    path = data / "ports.json"
    with contextlib.suppress(OSError, ValueError):
        epmd, distribution = json.loads(path.read_bytes())
        return int(epmd), int(distribution)
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        found = one.getsockname()[1], other.getsockname()[1]
    write_atomically(path, json.dumps(found).encode(), mode=0o600, durable=False)
    return found


def _definitions(places: Sequence[Endpoint]) -> dict[str, list[dict[str, str]]]:
    """Return users, vhosts and rights as RabbitMQ reads them at its start; a password is there as its salted hash alone.

    The salt is made of the place, so that the same configuration is the same text.
    """
    users, vhosts, rights = {}, {}, []
    for place in places:
        user, password = place.user, place.password or ("guest" if place.user == "guest" else "")
        vhost = unquote(place.path.removeprefix("/")) or "/"
        salt = hashlib.sha256(place.digest().encode()).digest()[:4]
        proof = base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
        algorithm = "rabbit_password_hashing_sha256"
        users[user] = {"name": user, "password_hash": proof, "hashing_algorithm": algorithm, "tags": "administrator"}
        vhosts[vhost] = {"name": vhost}
        rights.append({"user": user, "vhost": vhost, "configure": ".*", "write": ".*", "read": ".*"})
    return {"users": [*users.values()], "vhosts": [*vhosts.values()], "permissions": rights}


STAND_INS = _RabbitMq()
