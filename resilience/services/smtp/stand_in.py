"""Turn aiosmtpd into a mail server whose inbox one can read and whose mail goes nowhere."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from resilience.host.files import write_atomically
from resilience.host.processes import import_path
from resilience.services.programs import Program, ProgramStandIns
from resilience.services.standing_in import Wanted

INBOX = "inbox"


class _Smtp(ProgramStandIns):
    def found(self) -> tuple[str, str]:
        return ("wheel", "aiosmtpd") if importlib.util.find_spec("aiosmtpd") is not None else ("", "")

    def program(self, group: Sequence[Wanted], path: str, data: Path) -> Program:
        """Run our sink in our own interpreter; user and password are in a file that only we may read."""
        place, inbox, config = group[0].place, data / INBOX, data / "sink.json"
        told = {
            "bind": place.bind,
            "port": place.port,
            "user": place.user,
            "password": place.password,
            "inbox": str(inbox),
        }
        text = json.dumps(told)

        async def prepare() -> None:
            write_atomically(config, text.encode(), mode=0o600, durable=False)

        return Program(
            provider="wheel",
            argv=(sys.executable, "-m", "resilience.services.smtp.sink", str(config)),
            env={"PYTHONPATH": import_path(os.environ.get("PYTHONPATH", ""))},
            secret=text,
            prepare=prepare,
            gaps=(f"its mail goes to nobody: it is kept in {inbox}",),
        )


STAND_INS = _Smtp()
