"""Turn the system's memcached into a stand-in on one loopback address; it keeps nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from resilience.services.programs import Program, ProgramStandIns
from resilience.services.standing_in import Wanted


class _Memcached(ProgramStandIns):
    def found(self) -> tuple[str, str]:
        return "system", shutil.which("memcached") or ""

    def program(self, group: Sequence[Wanted], path: str, data: Path) -> Program:
        """Run it on TCP alone. As root it insists on a user to become."""
        place = group[0].place
        user = ("-u", "nobody") if os.geteuid() == 0 else ()
        return Program(
            provider="system", argv=(path, "-l", place.bind, "-p", str(place.port), "-U", "0", *user), new=False
        )


STAND_INS = _Memcached()
