"""Turn the system's NATS server into a stand-in on one loopback address, with the user of the env file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from resilience.host.files import write_atomically
from resilience.services.programs import Program, ProgramStandIns
from resilience.services.standing_in import Wanted


class _Nats(ProgramStandIns):
    def found(self) -> tuple[str, str]:
        path = shutil.which("nats-server")
        return ("system", path) if path else ("", "")

    def program(self, group: Sequence[Wanted], path: str, data: Path) -> Program:
        """Run it with JetStream in its own folder. Its configuration, which only we may read, holds user and password."""
        place, config = group[0].place, data / "nats.conf"
        told: dict[str, object] = {
            "listen": place.netloc,
            "jetstream": {"store_dir": str(data / "jetstream"), "max_mem": 67108864, "max_file": 1073741824},
        }
        if place.password:
            told["authorization"] = {"user": place.user, "password": place.password}
        elif place.user:
            told["authorization"] = {"token": place.user}
        text = json.dumps(told)

        async def prepare() -> None:
            write_atomically(config, text.encode(), mode=0o600, durable=False)

        return Program(provider="system", argv=(path, "-c", str(config)), secret=text, prepare=prepare)


STAND_INS = _Nats()
